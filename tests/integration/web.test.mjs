// The example server (examples/hello.c) against clients that are not ours: Node's HTTP client, npm ws, raw sockets.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const program = process.env.WEAPROUS_HELLO ?? join(root, "build/release/examples/hello");
const PATIENCE_MS = 15_000;

function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Starts a server on a free port. */
async function start(command = program, words = ["127.0.0.1", "0"]) {
  // The sanitizer would keep freed memory, which is measured here.
  const env = { ...process.env, ASAN_OPTIONS: "quarantine_size_mb=1" };
  const child = spawn(command, words, { env, stdio: ["ignore", "pipe", "inherit"] });
  child.on("error", () => {});
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  const [line] = await within(Promise.race([once(child.stdout, "data"), ended.then(() => ["it ended"])]), "the server");
  const port = Number(/:(\d+)\//.exec(String(line))?.[1]);
  assert.ok(port > 0, `the server said ${line}`);
  return { child, port, ended };
}

// One server for all tests; the last test ends it. It does not keep this process alive.
const server = await start();
server.child.unref();
server.child.stdout.unref();
process.on("exit", () => server.child.kill("SIGKILL"));

/** One request by Node's client. */
function ask(path, { method = "GET", headers = {}, body, agent, port = server.port } = {}) {
  return within(
    new Promise((resolve, reject) => {
      const request = http.request({ host: "127.0.0.1", port, path, method, headers, agent }, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () => {
          const bytes = Buffer.concat(parts);
          resolve({ status: answer.statusCode, headers: answer.headers, bytes, text: String(bytes), request });
        });
      });
      request.on("error", reject);
      request.end(body);
    }),
    `${method} ${path}`,
  );
}

/** Sends bytes as they are; gives all that comes back until the server closes. */
function raw(bytes, { half = false, port = server.port } = {}) {
  return within(
    new Promise((resolve, reject) => {
      const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true });
      const parts = [];
      socket.on("data", (part) => parts.push(part));
      socket.on("end", () => {
        socket.destroy();
        resolve(Buffer.concat(parts).toString("latin1"));
      });
      socket.on("error", reject);
      socket.on("connect", () => (half ? socket.end(bytes) : socket.write(bytes)));
    }),
    `an end after ${JSON.stringify(String(bytes).slice(0, 60))}`,
  );
}

const CLOSE = "Host: a\r\nConnection: close\r\n\r\n";
const countOf = (text, part) => text.split(part).length - 1;

test("GET and HEAD of a route, with the same header", async () => {
  const get = await ask("/");
  assert.equal(get.status, 200);
  assert.equal(get.text, "Hello, world\n");
  assert.equal(get.headers["content-type"], "text/plain; charset=utf-8");
  assert.ok(Math.abs(Date.parse(get.headers.date) - Date.now()) < 5000);
  const head = await ask("/", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.headers["content-length"], "13");
  assert.equal(head.bytes.length, 0);
});

test("one connection serves many requests", async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(`/echo/${i}`, { agent })));
  const ports = new Set(answers.map(({ request }) => request.socket.localPort));
  answers.forEach(({ text }, i) => assert.equal(JSON.parse(text).name, String(i)));
  assert.equal(ports.size, 1);
  agent.destroy();
});

test("parameters, query, repeated header fields and address reach the handler decoded", async () => {
  const { text } = await ask("/echo/a%20%2F%C3%A9/?q=1+2%26&q=no", { headers: { "X-Echo": ["one", "two"] } });
  const got = JSON.parse(text);
  assert.equal(got.name, "a /é");
  assert.equal(got.path, "/echo/a /é/");
  assert.equal(got.query, "1 2&");
  assert.equal(got.header, "one, two");
  assert.equal(got.address, "127.0.0.1");
});

test("bodies are read as JSON or as a form, whatever their type is called", async () => {
  const fields = async (body, type) =>
    JSON.parse((await ask("/echo/x", { method: "POST", body, headers: type ? { "Content-Type": type } : {} })).text).fields;
  assert.deepEqual(await fields('{"a":1,"b":"ü"}', "text/plain"), { a: 1, b: "ü" });
  assert.deepEqual(await fields('{"a":1}', "application/x-www-form-urlencoded"), { a: 1 });
  assert.deepEqual(await fields("a=1&b=x+y%21&a=2", "application/json"), { a: "1", b: "x y!" });
  assert.deepEqual(await fields(new URLSearchParams({ ä: "漢字 &=+" }).toString()), { ä: "漢字 &=+" });
  assert.deepEqual(await fields(""), {});
  for (const bad of ['{"a":', '{"a":1,"a":2}', "[1]", '{"a":"b=c"', "a=%zz", "a=%00", "a=%ff", "nothing"])
    assert.equal(await fields(bad), undefined, bad);
});

test("a body comes back as it was sent, with a length or in chunks, however it is cut", async () => {
  const body = randomBytes(700_000);
  const sized = await ask("/bytes", { method: "POST", body, headers: { "Content-Length": body.length } });
  assert.ok(sized.bytes.equals(body));
  const answer = await within(
    new Promise((resolve, reject) => {
      const request = http.request({ host: "127.0.0.1", port: server.port, path: "/bytes", method: "POST" }, resolve);
      request.on("error", reject);
      for (let at = 0, n = 1; at < body.length; at += n, n = (n * 7) % 9973) request.write(body.subarray(at, at + n));
      request.end();
    }),
    "the chunked body",
  );
  const parts = [];
  for await (const part of answer) parts.push(part);
  assert.ok(Buffer.concat(parts).equals(body));
});

test("a body over the limit gets 413, with a length or in chunks", async () => {
  const sized = await raw(`POST /bytes HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n`);
  assert.match(sized, /^HTTP\/1\.1 413 .*Connection: close.*"status":"error"/s);
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  const chunked = await raw(`POST /bytes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}`);
  assert.match(chunked, /^HTTP\/1\.1 413 /);
});

test("Expect: 100-continue is answered before the body comes", async () => {
  const body = "hello";
  const request = http.request({
    host: "127.0.0.1",
    port: server.port,
    path: "/bytes",
    method: "POST",
    headers: { Expect: "100-continue", "Content-Length": body.length },
  });
  request.flushHeaders();
  await within(once(request, "continue"), "100 Continue");
  request.end(body);
  const [answer] = await within(once(request, "response"), "the answer");
  assert.equal(String((await answer.toArray?.()) ?? (await readAll(answer))), body);
});

async function readAll(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

test("unknown paths get 404, known ones with a wrong method 405 with Allow, as JSON", async () => {
  const unknown = await ask("/nothing/here");
  assert.equal(unknown.status, 404);
  assert.deepEqual(JSON.parse(unknown.text), { status: "error", message: "there is nothing at this address" });
  const wrong = await ask("/echo/x", { method: "DELETE" });
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.allow, "GET, HEAD, POST, PUT, OPTIONS");
  assert.equal(JSON.parse(wrong.text).status, "error");
  const asset = await ask("/page.html", { method: "POST" });
  assert.equal(asset.status, 405);
  assert.equal(asset.headers.allow, "GET, HEAD, OPTIONS");
  assert.equal((await ask("/echo/%zz")).status, 400);
  assert.equal((await ask("/echo/%00")).status, 400);
});

test("redirects and cookies", async () => {
  const moved = await ask("/old");
  assert.equal(moved.status, 302);
  assert.equal(moved.headers.location, "/");
  const first = await ask("/visits");
  assert.deepEqual(first.headers["set-cookie"], ["visits=1; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"]);
  assert.equal((await ask("/visits", { headers: { Cookie: "x=9; visits=41; y=" } })).text, "42");
});

test("assets have an ETag, are not sent again, and are cached for ever only when their name says so", async () => {
  const page = await ask("/page.html");
  assert.equal(page.headers["cache-control"], "no-cache");
  assert.equal(page.headers["content-type"], "text/html; charset=utf-8");
  assert.equal(page.headers.vary, "Accept-Encoding");
  for (const condition of [page.headers.etag, `"other", W/${page.headers.etag}`, "*"]) {
    const again = await ask("/page.html", { headers: { "If-None-Match": condition } });
    assert.equal(again.status, 304);
    assert.equal(again.bytes.length, 0);
    assert.equal(again.headers.etag, page.headers.etag);
  }
  assert.equal((await ask("/page.html", { headers: { "If-None-Match": '"other"' } })).status, 200);
  assert.equal((await ask("/page.html/")).status, 200);
  const kilobyte = await ask("/kilobyte.bin");
  assert.equal(kilobyte.headers["cache-control"], "public, max-age=31536000, immutable");
  assert.ok(kilobyte.bytes.equals(Buffer.alloc(1024, "k")));
});

test("pipelined requests are answered in their order, a slow one included", async () => {
  const text = await raw(
    `GET /echo/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /later?ms=150 HTTP/1.1\r\nHost: a\r\n\r\nPOST /bytes HTTP/1.1\r\nHost: a\r\n` +
      `Content-Length: 3\r\n\r\nabcGET /echo/2 HTTP/1.1\r\n${CLOSE}`,
  );
  assert.match(text, /"name":"1".*late\n.*abc.*"name":"2"/s);
  assert.equal(countOf(text, "HTTP/1.1 200 OK"), 4);
});

test("a thousand pipelined requests in one write", async () => {
  const text = await raw("GET /json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(999) + `GET /json HTTP/1.1\r\n${CLOSE}`);
  assert.equal(countOf(text, '{"ok":true,"id":12345,"name":"bench"}'), 1000);
});

test("a request may come byte by byte", async () => {
  const socket = net.connect(server.port, "127.0.0.1");
  socket.setNoDelay(true);
  await once(socket, "connect");
  const got = [];
  socket.on("data", (part) => got.push(part));
  for (const byte of `POST /bytes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n`) {
    socket.write(byte);
    await new Promise(setImmediate);
  }
  await within(once(socket, "close"), "the answer");
  assert.match(String(Buffer.concat(got)), /^HTTP\/1\.1 200 OK.*\r\n\r\nabc$/s);
});

test("a client that half-closes still gets its answer", async () => {
  assert.match(await raw(`GET /later?ms=50 HTTP/1.1\r\nHost: a\r\n\r\n`, { half: true }), /^HTTP\/1\.1 200 .*late\n$/s);
  assert.equal(await raw("GET / HTT", { half: true }), "");
});

test("HTTP/1.0 closes, unless asked to stay", async () => {
  const text = await raw("GET / HTTP/1.0\r\n\r\n");
  assert.match(text, /Connection: close/);
  const kept = await raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
  assert.match(kept, /Connection: keep-alive.*Connection: close/s);
});

test("what could be read in two ways is refused and the connection closed", async () => {
  const bad = [
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST /bytes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  ];
  for (const bytes of bad) {
    const text = await raw(Buffer.from(`${bytes}GET /json HTTP/1.1\r\nHost: a\r\n\r\n`, "latin1"));
    assert.match(text, /^HTTP\/1\.1 400 .*Connection: close.*"status":"error","message":"/s, bytes);
    assert.equal(countOf(text, "HTTP/1.1"), 1, bytes); // what follows is not a second request
  }
  const long = await raw(`GET /${"a".repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`);
  assert.match(long, /^HTTP\/1\.1 414 /);
  const fields = await raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(20000)}\r\n\r\n`);
  assert.match(fields, /^HTTP\/1\.1 431 /);
  const many = await raw(`GET / HTTP/1.1\r\nHost: a\r\n${"X: a\r\n".repeat(70)}\r\n`);
  assert.match(many, /^HTTP\/1\.1 431 /);
});

test("answers for clients that have gone do no harm", async () => {
  const sockets = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const socket = net.connect(server.port, "127.0.0.1");
      socket.on("error", () => {});
      await once(socket, "connect");
      socket.write(`GET /later?ms=${i * 4} HTTP/1.1\r\nHost: a\r\n\r\n`);
      return socket;
    }),
  );
  await pause(30);
  for (const socket of sockets) socket.resetAndDestroy?.() ?? socket.destroy();
  await pause(300);
  assert.equal((await ask("/")).status, 200);
});

// --- WebSocket ---

async function connect(path = "/socket", options = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, options);
  socket.received = [];
  socket.on("message", (data, binary) => socket.received.push({ data, binary }));
  await within(once(socket, "open"), "the open socket");
  return socket;
}

async function close(socket, code = 1000) {
  const closed = once(socket, "close");
  socket.close(code);
  const [got] = await within(closed, "the close");
  assert.equal(got, code);
}

test("messages of every length come back whole and in order, text and binary", async () => {
  const socket = await connect();
  assert.equal(socket.extensions, "");
  const sizes = [0, 1, 124, 125, 126, 127, 65535, 65536, 65537, 300_000, 1024 * 1024];
  const messages = sizes.flatMap((size) => [Buffer.alloc(size, "ä漢x"), randomBytes(size)]);
  messages.forEach((data, i) => socket.send(i % 2 ? data : Buffer.alloc(data.length, 0x61).toString(), { binary: i % 2 === 1 }));
  while (socket.received.length < messages.length) await within(once(socket, "message"), "an echo");
  socket.received.forEach(({ data, binary }, i) => {
    assert.equal(binary, i % 2 === 1);
    assert.ok(data.equals(i % 2 ? messages[i] : Buffer.alloc(messages[i].length, 0x61)), `message ${i}`);
  });
  await close(socket, 3000);
});

test("fragments, pings within them, and UTF-8 cut between them", async () => {
  const socket = await connect();
  const text = Buffer.from("chào 漢字 😀");
  let pongs = 0;
  socket.on("pong", (data) => (pongs += String(data) === "are you there" ? 1 : 0));
  for (let i = 0; i < text.length; i++) {
    socket.send(text.subarray(i, i + 1), { binary: false, fin: i === text.length - 1 });
    if (i % 4 === 0) socket.ping("are you there");
  }
  await within(once(socket, "message"), "the echo");
  assert.equal(String(socket.received[0].data), String(text));
  assert.equal(pongs, Math.ceil(text.length / 4));
  await close(socket);
});

test("many sockets at once", async () => {
  const sockets = await Promise.all(Array.from({ length: 200 }, () => connect()));
  sockets.forEach((socket, i) => socket.send(`number ${i}`));
  await within(Promise.all(sockets.map((socket) => socket.received.length || once(socket, "message"))), "all echoes");
  sockets.forEach((socket, i) => assert.equal(String(socket.received[0].data), `number ${i}`));
  await Promise.all(sockets.map((socket) => close(socket)));
});

/** A handshake by hand; then `bytes`; gives what comes after the 101 until the server closes. */
async function rawSocket(bytes, headers = "") {
  const key = randomBytes(16).toString("base64");
  const text = await raw(
    Buffer.concat([
      Buffer.from(
        `GET /socket HTTP/1.1\r\nHost: a:1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
          `Sec-WebSocket-Key: ${key}\r\n${headers}\r\n`,
      ),
      bytes,
    ]),
  );
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  const end = text.indexOf("\r\n\r\n") + 4;
  if (text.startsWith("HTTP/1.1 101")) assert.ok(text.slice(0, end).includes(`Sec-WebSocket-Accept: ${accept}\r\n`));
  return { head: text.slice(0, end), rest: Buffer.from(text.slice(end), "latin1") };
}

/** A masked frame (the mask is zero). */
function frame(opcode, payload, { fin = true, masked = true } = {}) {
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 255];
  const head = [(fin ? 0x80 : 0) | opcode, length[0] | (masked ? 0x80 : 0), ...length.slice(1)];
  return Buffer.concat([Buffer.from(masked ? [...head, 0, 0, 0, 0] : head), payload]);
}

function closeCode(bytes) {
  assert.equal(bytes[0], 0x88, `a close frame: ${bytes.toString("hex")}`);
  return bytes.readUInt16BE(2);
}

test("frames that break the rules close with the code that says why", async () => {
  const code = async (...frames) => closeCode((await rawSocket(Buffer.concat(frames))).rest);
  assert.equal(await code(frame(1, Buffer.from("x"), { masked: false })), 1002);
  assert.equal(await code(frame(3, Buffer.from("x"))), 1002);
  assert.equal(await code(frame(0x41, Buffer.from("x"))), 1002);
  assert.equal(await code(frame(0, Buffer.from("x"))), 1002);
  assert.equal(await code(frame(1, Buffer.from("x"), { fin: false }), frame(2, Buffer.from("y"))), 1002);
  assert.equal(await code(frame(9, Buffer.alloc(126))), 1002);
  assert.equal(await code(frame(9, Buffer.from("x"), { fin: false })), 1002);
  assert.equal(await code(frame(8, Buffer.from([3]))), 1002);
  assert.equal(await code(frame(8, Buffer.from([3, 0xed]))), 1002); // 1005
  assert.equal(await code(frame(1, Buffer.from([0xed, 0xa0, 0x80]))), 1007);
  assert.equal(await code(frame(8, Buffer.from([3, 0xe8, 0xff]))), 1007);
  assert.equal(await code(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0])), 1009);
  assert.equal(await code(frame(8, Buffer.from([3, 0xe8]))), 1000);
});

test("nothing is read after a close frame", async () => {
  const { rest } = await rawSocket(Buffer.concat([frame(1, Buffer.from("a")), frame(8, Buffer.alloc(0)), frame(1, Buffer.from("b"))]));
  assert.deepEqual([...rest], [0x81, 1, 0x61, 0x88, 0]);
});

test("what is not a correct handshake is refused", async () => {
  const status = async (headers, method = "GET") =>
    Number((await raw(`${method} /socket HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n${headers}\r\n`)).slice(9, 12));
  const good = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  assert.equal(await status(""), 426);
  assert.equal(await status(good), 400);
  assert.equal(await status(`${good}Sec-WebSocket-Key: short\r\n`), 400);
  assert.equal(await status(good.replace("13", "8") + key), 426);
  assert.equal(await status(good + key, "POST"), 405);
  assert.equal(await status(good.replace("Upgrade: websocket", "Upgrade: h2c") + key), 426);
});

test("a page of another origin may not connect", async () => {
  const refused = await rawSocket(Buffer.alloc(0), "Origin: http://evil.example\r\nConnection: close\r\n");
  assert.match(refused.head, /^HTTP\/1\.1 403 /);
  const allowed = await rawSocket(frame(8, Buffer.alloc(0)), "Origin: http://A:1\r\n");
  assert.match(allowed.head, /^HTTP\/1\.1 101 /);
});

function residentKilobytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);
}

test("a client that does not read stops being read, and loses nothing", async () => {
  const socket = await connect("/careful");
  const message = randomBytes(200_000);
  const count = 200; // 40 MB, far more than the kernel's buffers take
  socket.pause();
  const beforeKb = residentKilobytes(server.child.pid);
  for (let i = 0; i < count; i++) socket.send(message);
  let last = -1;
  while (socket.bufferedAmount !== last) {
    last = socket.bufferedAmount;
    await pause(300);
  }
  assert.ok(last > 0, "the server went on reading");
  assert.ok(residentKilobytes(server.child.pid) - beforeKb < 8 * 1024, "the server kept what it could not send");
  socket.resume();
  while (socket.received.length < count) await within(once(socket, "message"), "an echo");
  assert.ok(socket.received.every(({ data }) => data.equals(message)));
  await close(socket);
});

/** Numbers that are the same for the same seed. */
function dice(seed) {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

test("clients that send nonsense, cut it anywhere and hang up harm nobody", async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  console.log(`# SEED=${seed}`);
  const roll = dice(seed);
  const handshake = `GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
  const starts = [
    Buffer.from("GET /later?ms=5 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(5)),
    Buffer.from("POST /echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\nGET /json HTTP/1.1\r\nHost: a\r\n\r\n"),
    Buffer.from("POST /bytes HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n01234567890123456789"),
    Buffer.concat([Buffer.from(handshake), frame(1, Buffer.from("hello"), { fin: false }), frame(9, Buffer.from("p")), frame(0, Buffer.alloc(300, 97)), frame(8, Buffer.from([3, 0xe8]))]),
    Buffer.concat([Buffer.from(handshake.replace("/socket", "/careful")), ...Array.from({ length: 20 }, () => frame(2, Buffer.alloc(4000)))]),
  ];
  const one = async () => {
    const bytes = Buffer.from(starts[roll(starts.length)]);
    for (let n = roll(3); n > 0; n--) bytes[roll(bytes.length)] = roll(256);
    const socket = net.connect({ host: "127.0.0.1", port: server.port, allowHalfOpen: true });
    socket.on("error", () => {});
    if (roll(2)) socket.resume();
    await once(socket, "connect");
    const end = roll(3) ? bytes.length : roll(bytes.length);
    for (let at = 0; at < end; ) {
      const n = 1 + roll(roll(2) ? 10 : 2000);
      socket.write(bytes.subarray(at, Math.min(at + n, end)));
      at += n;
      if (roll(4) === 0) await pause(roll(4));
    }
    const half = roll(3) === 0;
    if (half) socket.end();
    await pause(roll(30));
    // Node would never end after a reset of a socket that is shutting down.
    if (!half && roll(2) && socket.resetAndDestroy) socket.resetAndDestroy();
    else socket.destroy();
  };
  for (let round = 0; round < 20; round++) await within(Promise.all(Array.from({ length: 50 }, one)), "a round");
  assert.equal((await ask("/")).status, 200);
  const socket = await connect();
  await close(socket);
});

// --- starting and stopping ---

/** Hundredths of a second that a process has used. */
function cpuTicks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

test("SIGTERM drains: answers under way go out, sockets close with 1001, then it ends with 0", async () => {
  const other = await start();
  const socket = new WebSocket(`ws://127.0.0.1:${other.port}/socket`);
  await within(once(socket, "open"), "the open socket");
  const closed = once(socket, "close");
  const idle = net.connect(other.port, "127.0.0.1");
  await once(idle, "connect");
  idle.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await once(idle, "data");
  const idleEnded = once(idle, "end");
  const late = ask("/later?ms=400", { port: other.port });
  await pause(100);
  other.child.kill("SIGTERM");
  const [code] = await within(closed, "the close of the socket");
  assert.equal(code, 1001);
  await within(idleEnded, "the end of the idle connection");
  await assert.rejects(ask("/", { port: other.port }), { code: "ECONNREFUSED" });
  const answer = await late;
  assert.equal(answer.text, "late\n");
  assert.equal(answer.headers.connection, "close");
  assert.deepEqual(await within(other.ended, "the end of the server", 4000), { code: 0, signal: null });
});

test("out of descriptors, others wait and are served when there is room, and the server sleeps meanwhile", async () => {
  const few = await start("sh", ["-c", 'ulimit -n 90; exec "$0" 127.0.0.1 0', program]);
  const sockets = await Promise.all(
    Array.from({ length: 150 }, async () => {
      const socket = net.connect(few.port, "127.0.0.1");
      socket.got = "";
      socket.on("error", () => {});
      socket.on("data", (part) => (socket.got += part));
      await once(socket, "connect");
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      return socket;
    }),
  );
  const served = () => sockets.filter(({ got }) => got.includes("Hello")).length;
  await pause(500);
  const first = served();
  assert.ok(first >= 20 && first < 90, `${first} were served at once`);
  const before = cpuTicks(few.child.pid);
  await pause(1000);
  assert.ok(cpuTicks(few.child.pid) - before < 20, "the server spins");
  for (let round = 0; round < 20 && served() < 150; round++) {
    for (const socket of sockets) if (socket.got) socket.destroy();
    await pause(100);
  }
  assert.equal(served(), 150);
  few.child.kill("SIGTERM");
  assert.equal((await within(few.ended, "the end of the server")).code, 0);
});

test("a port in use is one clear sentence and exit code 1", async () => {
  const child = spawn(program, ["127.0.0.1", String(server.port)], { stdio: ["ignore", "ignore", "pipe"] });
  let words = "";
  child.stderr.on("data", (part) => (words += part));
  const [code] = await within(once(child, "close"), "the end of the second server");
  assert.equal(code, 1);
  assert.equal(words, `cannot listen on 127.0.0.1 port ${server.port}: another program uses this port\n`);
});

test("after all this the server ends with 0", async () => {
  server.child.ref();
  server.child.kill("SIGTERM");
  assert.deepEqual(await within(server.ended, "the end of the server"), { code: 0, signal: null });
});
