// The examples that speak HTTP, as their users run them: a JSON API with login, file upload with progress.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = process.env.WEAPROUS_EXAMPLES ?? join(root, "build/release/examples");

/** Starts an example on a port that is free; it is ended, and must end well, after the test. */
async function start(t, name, ...args) {
  const child = spawn(join(folder, name), args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  while (!text.includes("\n")) text += (await once(child.stdout, "data"))[0];
  const url = new URL(text.trim());
  t.after(async () => {
    child.kill("SIGTERM");
    const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
    assert.equal(code, 0, `${name} ends with 0`);
  });
  return { url, port: Number(url.port), child };
}

/** One request; the answer as text and, when it is that, as JSON. */
function ask(server, method, path, { body, headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: server.port, method, path, headers, agent: false }, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        const bytes = Buffer.concat(parts), text = bytes.toString();
        let json;
        try {
          json = JSON.parse(text);
        } catch {
          json = undefined;
        }
        resolve({ status: answer.statusCode, headers: answer.headers, bytes, text, json });
      });
      answer.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

const form = (fields) => ({ body: new URLSearchParams(fields).toString(), headers: { "Content-Type": "application/x-www-form-urlencoded" } });
const cookieOf = (answer) => answer.headers["set-cookie"][0].split(";")[0];

test("the API: accounts, sessions, and notes that are one's own", async (t) => {
  const api = await start(t, "api", "127.0.0.1", "0");
  assert.equal((await ask(api, "GET", "/api/notes")).status, 401);
  assert.equal((await ask(api, "POST", "/api/notes", { body: "x".repeat(2000000) })).status, 401); // without receiving it
  assert.equal((await ask(api, "POST", "/register", form({ username: "ada", password: "short" }))).status, 400);
  assert.equal((await ask(api, "POST", "/register", form({ username: "a b", password: "analytical" }))).status, 400);
  const ada = await ask(api, "POST", "/register", form({ username: "ada", password: "analytical" }));
  assert.equal(ada.status, 201);
  assert.match(ada.headers["set-cookie"][0], /HttpOnly/);
  assert.equal((await ask(api, "POST", "/register", form({ username: "ada", password: "something else" }))).status, 409);
  const eve = await ask(api, "POST", "/register", { body: JSON.stringify({ username: "eve", password: "forbidden fruit" }) });
  assert.equal(eve.status, 201);
  const as = (who, more = {}) => ({ ...more, headers: { Cookie: cookieOf(who), ...more.headers } });

  const made = await ask(api, "POST", "/api/notes", as(ada, form({ title: "Engine", text: "It weaves patterns." })));
  assert.equal(made.status, 201);
  assert.deepEqual(made.json, { id: 1, title: "Engine", text: "It weaves patterns." });
  const place = made.headers.location;
  assert.deepEqual((await ask(api, "GET", place, as(ada))).json, made.json);
  assert.equal((await ask(api, "GET", place, as(eve))).status, 404, "notes are one's own");
  const changed = await ask(api, "PUT", place, as(ada, { body: '{"text":"It weaves algebraic patterns."}' }));
  assert.deepEqual(changed.json, { id: 1, title: "Engine", text: "It weaves algebraic patterns." });
  assert.equal((await ask(api, "POST", "/api/notes", as(ada, form({ text: "no title" })))).status, 400);
  await ask(api, "POST", "/api/notes", as(ada, form({ title: "Second" })));
  assert.equal((await ask(api, "GET", "/api/notes", as(ada))).json.length, 2);
  assert.deepEqual((await ask(api, "GET", "/api/notes?q=algebraic", as(ada))).json, [changed.json]);
  assert.deepEqual((await ask(api, "GET", "/api/me", as(ada))).json, { username: "ada", notes: 2 });
  const wrong = await ask(api, "PATCH", place, as(ada));
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.allow, "GET, HEAD, PUT, DELETE, OPTIONS");
  assert.equal((await ask(api, "DELETE", place, as(ada))).status, 204);
  assert.equal((await ask(api, "GET", place, as(ada))).status, 404);
  assert.equal((await ask(api, "GET", "/api/notes/nonsense", as(ada))).status, 404);

  const strange = as(ada, { headers: { Origin: "http://elsewhere.example" } });
  assert.equal((await ask(api, "DELETE", "/api/notes/2", strange)).status, 403, "another site cannot act for her");
  assert.equal((await ask(api, "POST", "/login", form({ username: "ada", password: "analytic engine" }))).status, 401);
  assert.equal((await ask(api, "POST", "/login", form({ username: "nobody", password: "analytical" }))).status, 401);
  const again = await ask(api, "POST", "/login", form({ username: "ada", password: "analytical" }));
  assert.equal(again.status, 200);
  assert.equal(again.headers["cache-control"], "no-store");
  assert.equal((await ask(api, "POST", "/logout", as(again))).status, 204);
  assert.equal((await ask(api, "GET", "/api/me", as(again))).status, 401);
});

/** A form with files, as browsers send it. */
function multipart(files) {
  const boundary = "----boundary7MA4YWxkTrZu0gW", parts = [];
  for (const [name, bytes] of files)
    parts.push(`--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n`,
      "Content-Type: application/octet-stream\r\n\r\n", bytes, "\r\n");
  parts.push(`--${boundary}--\r\n`);
  return { body: Buffer.concat(parts.map((part) => Buffer.from(part))), headers: { "Content-Type": `multipart/form-data; boundary=${boundary}` } };
}

/** Bytes that are not all the same. */
function noise(length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 2654435761) >>> 13;
  return bytes;
}

test("upload: files are stored under safe names, and given back as they were", async (t) => {
  const store = mkdtempSync(join(tmpdir(), "upload-"));
  t.after(() => rmSync(store, { recursive: true, force: true }));
  const server = await start(t, "upload", store, "127.0.0.1", "0", "20");
  assert.match((await ask(server, "GET", "/")).text, /<title>Upload/);

  const events = request({ host: "127.0.0.1", port: server.port, path: "/events", agent: false });
  events.end();
  const [stream] = await once(events, "response");
  assert.equal(stream.headers["content-type"], "text/event-stream");
  let heard = "";
  stream.on("data", (part) => (heard += part));
  stream.on("error", () => {});

  const large = noise(9000000), small = noise(1000);
  const sent = await ask(server, "POST", "/upload", multipart([["large.bin", large], ["../../.small", small], ["empty", ""]]));
  assert.equal(sent.status, 201, sent.text);
  assert.deepEqual(sent.json.files, ["large.bin", "small", "empty"]);
  assert.ok(readFileSync(join(store, "large.bin")).equals(large));
  assert.ok(readFileSync(join(store, "small")).equals(small));
  assert.deepEqual(readdirSync(store).sort(), ["empty", "large.bin", "small"]);
  const second = await ask(server, "POST", "/upload", multipart([["large.bin", small]]));
  assert.deepEqual(second.json.files, ["large (2).bin"]);
  assert.ok(readFileSync(join(store, "large.bin")).equals(large), "no file takes the place of another");
  while (!/event: stored\ndata: {"name":"large \(2\)\.bin","bytes":1000}/.test(heard)) await once(stream, "data");
  assert.match(heard, /event: stored\ndata: {"name":"large\.bin","bytes":9000000}/);
  stream.destroy();

  const back = await ask(server, "GET", "/files/large.bin");
  assert.ok(back.bytes.equals(large));
  assert.match(back.headers["content-disposition"], /^attachment; filename="large\.bin"/);
  assert.deepEqual((await ask(server, "GET", "/files")).json.map((file) => file.name).sort(),
    ["empty", "large (2).bin", "large.bin", "small"]);
  for (const path of ["/files/none", "/files/..%2Flarge.bin", "/files/.."]) assert.equal((await ask(server, "GET", path)).status, 404, path);

  assert.equal((await ask(server, "POST", "/upload", { body: "x", headers: { "Content-Type": "text/plain" } })).status, 415);
  const cut = multipart([["cut", small]]);
  assert.equal((await ask(server, "POST", "/upload", { ...cut, body: cut.body.subarray(0, 500) })).status, 400);
  const strange = multipart([["strange", small]]);
  strange.headers.Origin = "http://elsewhere.example";
  assert.equal((await ask(server, "POST", "/upload", strange)).status, 403);
  assert.deepEqual(readdirSync(store).sort(), ["empty", "large (2).bin", "large.bin", "small"]);
});

test("upload: what is too large is refused before it comes, and who leaves leaves nothing", async (t) => {
  const store = mkdtempSync(join(tmpdir(), "upload-"));
  t.after(() => rmSync(store, { recursive: true, force: true }));
  const server = await start(t, "upload", store, "127.0.0.1", "0", "1");
  const head = (length) => "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n" +
    `Content-Length: ${length}\r\n\r\n`;
  const large = connect(server.port, "127.0.0.1");
  large.write(head(1100000));
  assert.match(String((await once(large, "data"))[0]), /^HTTP\/1\.1 413 /);
  large.destroy();
  const leaving = connect(server.port, "127.0.0.1");
  leaving.write(head(900000) + '--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n');
  leaving.write(noise(500000));
  while (!readdirSync(store).length) await new Promise((resolve) => setTimeout(resolve, 10));
  leaving.destroy();
  while (readdirSync(store).length) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(existsSync(store));
});
