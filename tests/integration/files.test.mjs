// The file server (examples/files.c) against clients that are not ours: curl, Node's HTTP client, raw sockets.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, mkdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const program = process.env.WEAPROUS_FILES ?? join(root, "build/release/examples/files");
const PATIENCE_MS = 60_000;
const MIB = 1024 * 1024;

const home = mkdtempSync(join(tmpdir(), "files-test-"));
const folder = join(home, "www");
mkdirSync(join(folder, "sub"), { recursive: true });
const medium = randomBytes(5 * 1000 * 1000 + 17);
const large = randomBytes(20 * MIB);
const page = Buffer.from("<!doctype html><title>page</title>".padEnd(5000, "<p>text of the page</p>\n"));
writeFileSync(join(home, "secret.txt"), "SECRET");
writeFileSync(join(folder, "medium.bin"), medium);
writeFileSync(join(folder, "large.bin"), large);
writeFileSync(join(folder, "page.html"), page);
writeFileSync(join(folder, "page.html.br"), brotliCompressSync(page));
writeFileSync(join(folder, "page.html.gz"), gzipSync(page));
writeFileSync(join(folder, "sub", "index.html"), "<h1>sub</h1>");
symlinkSync("../secret.txt", join(folder, "link.txt"));

function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const child = spawn(program, [folder, "127.0.0.1", "0"], { stdio: ["ignore", "pipe", "inherit"] });
process.on("exit", () => child.kill("SIGKILL"));
const ended = once(child, "exit");
const [line] = await within(Promise.race([once(child.stdout, "data"), ended.then(() => ["it ended"])]), "the server");
const port = Number(/:(\d+)\/\n/.exec(String(line))?.[1]);
assert.ok(port > 0, `the server said ${line}`);
const address = `http://127.0.0.1:${port}`;
child.unref();
child.stdout.unref();

after(async () => {
  child.ref();
  child.kill("SIGTERM");
  const [code] = await within(ended, "the end of the server");
  rmSync(home, { recursive: true, force: true });
  assert.equal(code, 0);
});

function ask(path, headers = {}, method = "GET") {
  return within(
    new Promise((resolve, reject) => {
      const request = http.request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, bytes: Buffer.concat(parts) }));
      });
      request.on("error", reject);
      request.end();
    }),
    `${method} ${path}`,
  );
}

/** A strong tag: files that were just written have a weak one for two seconds. */
async function strongTag(path) {
  for (;;) {
    const { headers } = await ask(path, {}, "HEAD");
    if (headers.etag.startsWith('"')) return headers.etag;
    await pause(50);
  }
}

const curl = (...words) => run("curl", ["--silent", "--show-error", "--max-time", "60", ...words], { encoding: "buffer", maxBuffer: 64 * MIB });

test("a download arrives whole, by curl and by Node", async () => {
  assert.ok((await ask("/medium.bin")).bytes.equals(medium));
  const { stdout } = await curl(`${address}/medium.bin`);
  assert.ok(stdout.equals(medium));
});

test("curl resumes a download that stopped anywhere, byte by byte the same", async () => {
  const etag = await strongTag("/medium.bin");
  for (let i = 0; i < 10; i++) {
    const have = i === 0 ? 0 : randomInt(medium.length);
    const part = join(home, "part.bin");
    writeFileSync(part, medium.subarray(0, have));
    await curl("--continue-at", "-", "--header", `If-Range: ${etag}`, "--output", part, `${address}/medium.bin`);
    assert.ok(readFileSync(part).equals(medium), `resumed at ${have}`);
  }
});

test("random ranges, also several at once, are the bytes of the file", async () => {
  for (let i = 0; i < 60; i++) {
    const first = randomInt(medium.length);
    const last = Math.min(medium.length - 1, first + randomInt(1 << randomInt(1, 22)));
    const { status, headers, bytes } = await ask("/medium.bin", { Range: `bytes=${first}-${last}` });
    assert.equal(status, 206);
    assert.equal(headers["content-range"], `bytes ${first}-${last}/${medium.length}`);
    assert.ok(bytes.equals(medium.subarray(first, last + 1)), `${first}-${last}`);
  }
  for (let i = 0; i < 10; i++) {
    const wanted = Array.from({ length: randomInt(2, 6) }, (_, n) => {
      const first = n * 900_000 + randomInt(400_000);
      return [first, first + randomInt(400_000)];
    });
    const { status, headers, bytes } = await ask("/medium.bin", { Range: `bytes=${wanted.map((r) => r.join("-")).join(", ")}` });
    assert.equal(status, 206);
    assert.equal(Number(headers["content-length"]), bytes.length);
    const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(headers["content-type"])[1];
    let at = 0;
    for (const [first, last] of wanted) {
      const head = bytes.indexOf("\r\n\r\n", at);
      const text = String(bytes.subarray(at, head));
      assert.ok(text.startsWith(`\r\n--${boundary}\r\n`), text);
      assert.ok(text.includes(`Content-Range: bytes ${first}-${last}/${medium.length}`), text);
      assert.ok(bytes.subarray(head + 4, head + 4 + last - first + 1).equals(medium.subarray(first, last + 1)));
      at = head + 4 + last - first + 1;
    }
    assert.equal(String(bytes.subarray(at)), `\r\n--${boundary}--\r\n`);
  }
});

test("what the client has is not sent again", async () => {
  const etag = await strongTag("/large.bin");
  const { headers } = await ask("/large.bin", {}, "HEAD");
  for (const condition of [{ "If-None-Match": etag }, { "If-Modified-Since": headers["last-modified"] }]) {
    const answer = await ask("/large.bin", condition);
    assert.equal(answer.status, 304);
    assert.equal(answer.headers.etag, etag);
    assert.equal(answer.bytes.length, 0);
  }
  const tags = join(home, "tags.txt");
  const output = join(home, "page.out");
  await curl("--etag-save", tags, "--output", output, `${address}/page.html`);
  const { stdout } = await curl("--etag-compare", tags, "--write-out", "%{http_code}", "--output", join(home, "none"), `${address}/page.html`);
  assert.equal(String(stdout), "304");
});

test("HEAD has the head of GET", async () => {
  for (const path of ["/large.bin", "/page.html", "/sub/"]) {
    const head = await ask(path, {}, "HEAD");
    const get = await ask(path);
    delete head.headers.date;
    delete get.headers.date;
    assert.deepEqual(head.headers, get.headers);
    assert.equal(head.bytes.length, 0);
    assert.equal(get.bytes.length, Number(head.headers["content-length"]));
  }
});

test("the compressed form that the client takes is sent", async () => {
  const decoders = { br: brotliDecompressSync, gzip: gunzipSync, undefined: (bytes) => bytes };
  const tags = new Set();
  for (const [accept, coding] of [
    ["gzip, deflate, br", "br"],
    ["gzip, deflate", "gzip"],
    ["br;q=0, gzip;q=0.1, identity;q=0.5", undefined],
    ["identity", undefined],
    ["*", "br"],
  ]) {
    const { headers, bytes } = await ask("/page.html", { "Accept-Encoding": accept });
    assert.equal(headers["content-encoding"], coding, accept);
    assert.equal(headers.vary, "Accept-Encoding");
    assert.equal(headers["content-type"], "text/html; charset=utf-8");
    assert.ok(decoders[coding](bytes).equals(page), accept);
    tags.add(headers.etag);
  }
  assert.equal(tags.size, 3);
  const { stdout } = await curl("--compressed", `${address}/page.html`);
  assert.ok(stdout.equals(page));
});

test("folders are listed, and nothing beyond them can be had", async () => {
  const list = JSON.parse(String((await ask("/", { Accept: "application/json" })).bytes));
  assert.deepEqual(
    list.entries.map((entry) => entry.name),
    ["sub", "large.bin", "medium.bin", "page.html", "page.html.br", "page.html.gz"],
  );
  assert.match(String((await ask("/")).bytes), /<a href="\.\/sub\/">sub\/<\/a>/);
  assert.equal((await ask("/sub?x=1")).headers.location, "/sub/?x=1");
  for (const path of ["/link.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/sub/..%2f..%2fsecret.txt", "/..%5csecret.txt"]) {
    const { stdout } = await curl("--path-as-is", "--write-out", "%{http_code}", `${address}${path}`);
    assert.match(String(stdout), /(400|404)$/, path);
    assert.doesNotMatch(String(stdout), /SECRET/);
  }
});

function residentBytes() {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) * 1024;
}

/** One download of `large` through a socket that reads when it is told to. */
function download(path) {
  const socket = net.connect({ host: "127.0.0.1", port });
  let same = true;
  let head = Buffer.alloc(0);
  let got = -1;
  const done = new Promise((resolve, reject) => {
    socket.on("error", reject);
    socket.on("data", (part) => {
      if (got < 0) {
        head = Buffer.concat([head, part]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        part = head.subarray(end + 4);
        got = 0;
      }
      same &&= part.equals(large.subarray(got, got + part.length));
      got += part.length;
    });
    socket.on("close", () => resolve({ bytes: got, same }));
  });
  done.catch(() => {});
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  return { socket, done };
}

test("200 downloads of 20 MiB at once, slow and fast readers: all arrive whole, the server's memory stays small", async () => {
  const before = residentBytes();
  const downloads = Array.from({ length: 200 }, () => download("/large.bin"));
  // Most wait until the kernel's buffers are full; a few read at once.
  for (const { socket } of downloads.slice(20)) socket.pause();
  await within(Promise.all(downloads.slice(0, 20).map(({ done }) => done)), "the fast ones");
  const small = (await ask("/page.html")).bytes; // others are served meanwhile
  assert.ok(small.equals(page));
  const grown = residentBytes() - before;
  console.log(`180 stalled downloads: the server grew by ${(grown / MIB).toFixed(1)} MiB`);
  assert.ok(grown < 40 * MIB, `${grown} bytes`); // 180 × 20 MiB are asked for
  for (const { socket } of downloads.slice(20)) socket.resume();
  const results = await within(Promise.all(downloads.map(({ done }) => done)), "all downloads", 4 * PATIENCE_MS);
  for (const result of results) assert.deepEqual(result, { bytes: large.length, same: true });
});

test("a file that is replaced during a download is sent as it was", async () => {
  writeFileSync(join(folder, "changing.bin"), large);
  const { socket, done } = download("/changing.bin");
  socket.pause();
  await once(socket, "connect");
  await ask("/changing.bin", {}, "HEAD"); // by now the first request has been seen
  writeFileSync(join(home, "new.bin"), "new");
  renameSync(join(home, "new.bin"), join(folder, "changing.bin"));
  for (;;) {
    const { bytes, headers } = await ask("/changing.bin", {}, "HEAD").then(async (head) => (head.headers["content-length"] === "3" ? ask("/changing.bin") : head));
    if (headers["content-length"] === "3") {
      assert.equal(String(bytes), "new");
      break;
    }
    await pause(50);
  }
  socket.resume();
  assert.deepEqual(await within(done, "the old file"), { bytes: large.length, same: true });
});

test("the list of a folder with very many files has an end, and says so", async () => {
  mkdirSync(join(folder, "many"));
  for (let i = 0; i < 10_050; i++) writeFileSync(join(folder, "many", `f${i}`), "");
  const list = JSON.parse(String((await ask("/many/", { Accept: "application/json" })).bytes));
  assert.equal(list.entries.length, 10_000);
  assert.equal(list.cut, true);
  assert.match(String((await ask("/many/")).bytes), /There are more files than are shown here/);
  rmSync(join(folder, "many"), { recursive: true });
});
