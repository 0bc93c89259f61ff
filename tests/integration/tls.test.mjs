// The example server with TLS (examples/https.c) against clients that are not ours: Node's tls and https, npm ws,
// `openssl s_client`. Certificates are made for each run.
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const program = process.env.WEAPROUS_HTTPS ?? join(root, "build/release/examples/https");
const PATIENCE_MS = 20_000;

const folder = mkdtempSync(join(tmpdir(), "weaprous-tls-"));
const children = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const path = (name) => join(folder, name);

/** Makes NAME.pem and NAME.key, for these names. */
function certificate(name, names, kind = "ec") {
  const key = { ec: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], rsa: ["rsa:2048"] }[kind];
  const san = `subjectAltName=${names.map((n) => `DNS:${n}`).join(",")}`;
  const words = ["req", "-x509", "-newkey", ...key, "-nodes", "-days", "30"];
  const files = ["-keyout", path(`${name}.key`), "-out", path(`${name}.pem`)];
  execFileSync("openssl", [...words, ...files, "-subj", `/CN=${names[0]}`, "-addext", san], { stdio: "pipe" });
}
certificate("one", ["one.test"]);
certificate("one-rsa", ["one.test"], "rsa");
certificate("two", ["two.test", "www.two.test"]);
certificate("wild", ["*.wild.test"]);

const pair = (name) => [path(`${name}.pem`), path(`${name}.key`)];
const trusted = (name) => readFileSync(path(`${name}.pem`));

/** Starts a server on a free port; `said` gathers its log. */
async function start(...names) {
  const child = spawn(program, ["127.0.0.1", "0", ...names.flatMap(pair)], { stdio: ["ignore", "pipe", "pipe"] });
  const server = { child, log: "", watchers: new Set() };
  children.add(child);
  child.stderr.on("data", (text) => {
    server.log += text;
    for (const watch of server.watchers) watch();
  });
  server.ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  const [line] = await within(Promise.race([once(child.stdout, "data"), server.ended.then(() => [server.log])]), "start");
  server.port = Number(/:(\d+)\//.exec(String(line))?.[1]);
  assert.ok(server.port > 0, `the server said ${line}`);
  /** Waits until the log matches, from what was said so far on. */
  server.says = (pattern) =>
    within(
      new Promise((resolve) => {
        const watch = () => {
          const match = pattern.exec(server.log);
          if (!match) return;
          server.log = server.log.slice(match.index + match[0].length);
          server.watchers.delete(watch);
          resolve(match);
        };
        server.watchers.add(watch);
        watch();
      }),
      `the log says ${pattern}`,
    );
  server.stop = async () => {
    child.kill("SIGTERM");
    assert.deepEqual(await within(server.ended, "the end"), { code: 0, signal: null });
    children.delete(child);
  };
  return server;
}

/** A TLS connection whose handshake is done. */
async function connect(port, options = {}) {
  const socket = tls.connect({ host: "127.0.0.1", port, servername: "one.test", rejectUnauthorized: false, ...options });
  await within(once(socket, "secureConnect"), "the handshake");
  socket.on("error", () => {});
  return socket;
}

/** Asks on an open connection; the status line, the fields and the body in one text. */
async function ask(socket, path = "/") {
  let text = "";
  socket.write(`GET ${path} HTTP/1.1\r\nHost: one.test\r\n\r\n`);
  await within(
    new Promise((resolve, reject) => {
      const end = () => reject(new Error(`the connection ended after: ${text}`));
      socket.on("data", function more(part) {
        text += part;
        if (!/\r\n\r\n.*\}/s.test(text)) return;
        socket.off("data", more);
        socket.off("close", end);
        resolve();
      });
      socket.on("close", end);
    }),
    "the answer",
  );
  return text;
}

/** The name that the certificate of this port has for clients that ask for `servername`. */
async function served(port, servername, options = {}) {
  const socket = await connect(port, { servername, ...options });
  const name = socket.getPeerCertificate().subject.CN;
  socket.destroy();
  return name;
}

const server = await start("one", "two", "wild", "one-rsa");

test("a client that checks everything is answered, and told to stay with https", async () => {
  const options = { host: "127.0.0.1", port: server.port, servername: "one.test", ca: trusted("one"), agent: false };
  const [answer] = await within(once(https.get({ ...options, headers: { Host: "one.test" } }), "response"), "the answer");
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers["strict-transport-security"], "max-age=3600");
  assert.equal(answer.socket.authorized, true);
  assert.equal(answer.socket.getProtocol(), "TLSv1.3");
  let body = "";
  for await (const part of answer) body += part;
  assert.deepEqual(JSON.parse(body), { scheme: "https", host: "one.test", address: "127.0.0.1" });
});

test("only TLS 1.2 and 1.3 are spoken, with forward secrecy", async () => {
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
  await assert.rejects(connect(server.port, old), /protocol version|unsupported protocol/i);
  await server.says(/no TLS with 127\.0\.0\.1: unsupported protocol/);
  const second = await connect(server.port, { maxVersion: "TLSv1.2" });
  assert.equal(second.getProtocol(), "TLSv1.2");
  assert.match(second.getCipher().name, /^ECDHE-.*(GCM|CHACHA20)/);
  assert.match(await ask(second), /^HTTP\/1\.1 200 /);
  second.destroy();
  for (const ciphers of ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"])
    await assert.rejects(connect(server.port, { maxVersion: "TLSv1.2", ciphers }), /handshake failure/i, ciphers);
});

test("the name chooses the certificate: exact, wildcard, else the first", async () => {
  const rows = { "one.test": "one.test", "www.two.test": "two.test", "TWO.test": "two.test", "a.wild.test": "*.wild.test" };
  rows["wild.test"] = rows["a.b.wild.test"] = rows["unknown.test"] = "one.test";
  for (const [asked, name] of Object.entries(rows)) assert.equal(await served(server.port, asked), name, asked);
  assert.equal(await served(server.port, ""), "one.test"); // no name at all
});

test("a name with two certificates serves clients that know one kind only", async () => {
  for (const [ciphers, type] of [["ECDHE-RSA-AES128-GCM-SHA256", "rsa"], ["ECDHE-ECDSA-AES128-GCM-SHA256", "ec"]]) {
    const socket = await connect(server.port, { maxVersion: "TLSv1.2", ciphers });
    assert.equal(Boolean(socket.getPeerCertificate().modulus), type === "rsa");
    socket.destroy();
  }
});

test("http/1.1 is agreed on by ALPN; who wants something else only is refused", async () => {
  const old = await connect(server.port, { ALPNProtocols: ["http/1.0"] }); // curl --http1.0
  assert.equal(old.alpnProtocol, "http/1.0");
  old.destroy();
  const both = await connect(server.port, { ALPNProtocols: ["h2", "http/1.1"] });
  assert.equal(both.alpnProtocol, "http/1.1");
  both.destroy();
  const none = await connect(server.port);
  assert.equal(none.alpnProtocol, false);
  none.destroy();
  await assert.rejects(connect(server.port, { ALPNProtocols: ["imap"] }), /no application protocol/i);
});

for (const version of ["TLSv1.2", "TLSv1.3"])
  test(`sessions of ${version} are resumed, also after a reload`, async () => {
    const options = { minVersion: version, maxVersion: version };
    const first = await connect(server.port, options);
    let session = first.getSession();
    first.on("session", (ticket) => (session = ticket));
    assert.equal(first.isSessionReused(), false);
    await ask(first); // the ticket of TLS 1.3 came before the answer
    first.end();
    for (let round = 0; round < 2; round++) {
      const again = await connect(server.port, { ...options, session });
      assert.equal(again.isSessionReused(), true, `round ${round}`);
      again.on("session", (ticket) => (session = ticket));
      assert.match(await ask(again), /^HTTP\/1\.1 200 /);
      again.end();
      server.child.kill("SIGHUP");
      await server.says(/the certificates were read again/);
    }
  });

test("a reload gives new connections the new certificate, and a bad file changes nothing", async () => {
  for (const end of ["pem", "key"]) copyFileSync(path(`one.${end}`), path(`live.${end}`));
  const own = await start("live");
  const old = await connect(own.port);
  await ask(old);
  copyFileSync(path("two.pem"), path("live.pem")); // its key is missing
  own.child.kill("SIGHUP");
  const [, why] = await own.says(/the certificates stay as they were: (.*)\n/);
  assert.equal(why, `${path("live.key")}: this is not the key of the certificate in ${path("live.pem")}`);
  assert.equal(await served(own.port, "one.test"), "one.test");
  copyFileSync(path("two.key"), path("live.key"));
  own.child.kill("SIGHUP");
  await own.says(/the certificates were read again/);
  assert.equal(await served(own.port, "one.test"), "two.test");
  assert.equal(old.getPeerCertificate().subject.CN, "one.test");
  assert.match(await ask(old), /^HTTP\/1\.1 200 /);
  writeFileSync(path("live.pem"), "");
  own.child.kill("SIGHUP");
  await own.says(/stay as they were: .*live\.pem: there is no certificate in PEM form/);
  rmSync(path("live.pem"));
  own.child.kill("SIGHUP");
  await own.says(/stay as they were: .*live\.pem: No such file/);
  assert.equal(await served(own.port, "two.test"), "two.test");
  old.destroy();
  await own.stop();
});

test("a certificate that cannot be used is named at the start", () => {
  const run = (...files) => spawnSync(program, ["127.0.0.1", "0", ...files], { encoding: "utf8", timeout: PATIENCE_MS });
  const missing = run(path("none.pem"), path("one.key"));
  assert.equal(missing.status, 1);
  assert.equal(missing.stderr, `${path("none.pem")}: No such file or directory\n`);
  const wrong = run(path("one.pem"), path("two.key"));
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /two\.key: this is not the key of the certificate in/);
});

test("plain HTTP is answered in plain, and the connection ends", async () => {
  for (const text of ["GET / HTTP/1.1\r\nHost: one.test\r\n\r\n", "PROPFIND / HTTP/1.1\r\n\r\n"]) {
    const socket = net.connect(server.port, "127.0.0.1");
    let answer = "";
    socket.on("data", (part) => (answer += part));
    socket.write(text);
    await within(once(socket, "end"), "the end");
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n.*\r\n\r\nThis port speaks HTTPS/s);
    assert.equal(Number(/Content-Length: (\d+)/.exec(answer)[1]), answer.split("\r\n\r\n")[1].length);
    socket.destroy();
    await server.says(/no TLS with 127\.0\.0\.1: the client does not speak TLS/);
  }
});

test("a client cannot renegotiate", async () => {
  const words = ["s_client", "-connect", `127.0.0.1:${server.port}`, "-tls1_2", "-servername", "one.test"];
  const client = spawn("openssl", words, { stdio: ["pipe", "pipe", "pipe"] });
  children.add(client);
  let said = "";
  client.stderr.on("data", (part) => (said += part));
  client.stdout.on("data", (part) => {
    said += part;
    if (/Verify return code/.test(said) && !client.asked) {
      client.asked = true;
      client.stdin.write("R\n");
    }
  });
  await within(once(client, "close"), "the end of s_client");
  children.delete(client);
  assert.match(said, /RENEGOTIATING[\s\S]*no renegotiation/);
});

/** Carries bytes to the server one by one. */
async function byteWise(port) {
  const proxy = net.createServer((client) => {
    const upstream = net.connect({ port, host: "127.0.0.1", noDelay: true });
    client.on("data", (part) => {
      for (const byte of part) upstream.write(Uint8Array.of(byte));
    });
    upstream.pipe(client);
    client.on("close", () => upstream.destroy());
    for (const end of [client, upstream]) end.on("error", () => {});
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return proxy;
}

test("it does not matter how the bytes are split on the way", async () => {
  const proxy = await byteWise(server.port);
  for (const version of ["TLSv1.2", "TLSv1.3"]) {
    const socket = await connect(proxy.address().port, { minVersion: version, maxVersion: version });
    for (let i = 0; i < 3; i++) assert.match(await ask(socket), /^HTTP\/1\.1 200 /);
    socket.destroy();
  }
  proxy.close();
});

test("8 MiB go there and back", async () => {
  const sent = randomBytes(8 * 1024 * 1024);
  const options = { host: "127.0.0.1", port: server.port, path: "/echo", method: "POST", agent: false };
  const request = https.request({ ...options, servername: "one.test", rejectUnauthorized: false });
  request.end(sent);
  const [answer] = await within(once(request, "response"), "the answer");
  const parts = [];
  for await (const part of answer) parts.push(part);
  assert.ok(Buffer.concat(parts).equals(sent));
});

test("a WebSocket over TLS echoes", async () => {
  const socket = new WebSocket(`wss://127.0.0.1:${server.port}/socket`, { servername: "one.test", rejectUnauthorized: false });
  await within(once(socket, "open"), "the WebSocket");
  for (const size of [1, 70_000, 1_000_000]) {
    const sent = randomBytes(size);
    socket.send(sent);
    const [echoed] = await within(once(socket, "message"), "the echo");
    assert.ok(echoed.equals(sent));
  }
  socket.close();
  const [code] = await within(once(socket, "close"), "the close");
  assert.equal(code, 1005);
});

test("the end of a connection is said in TLS", async () => {
  const words = ["s_client", "-connect", `127.0.0.1:${server.port}`, "-servername", "one.test", "-quiet", "-msg"];
  const run = spawn("openssl", words, { stdio: ["pipe", "pipe", "pipe"] });
  children.add(run);
  let said = "";
  run.stdout.on("data", (part) => (said += part));
  run.stderr.on("data", (part) => (said += part));
  run.stdin.write("GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n");
  await within(once(run, "close"), "the end of s_client");
  children.delete(run);
  assert.match(said, /<<< TLS 1\.3, Alert \[length 0002\], warning close_notify/);
});

test("it ends when it is told to, also with connections open", async () => {
  const socket = await connect(server.port);
  await ask(socket);
  await server.stop();
  socket.destroy();
});
