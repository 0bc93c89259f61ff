// Clients of every kind, well-behaved and not, in front of the proxy; requests and answers that stream through it: who waits
// for whom, how much memory that takes, and that the server side is given up as soon as nobody wants the answer.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { askOnce, assertMemory, socketsOf, eventually, figure, folderOf, memoryOf, pause, startNginx, startProxy, within } from "./proxy-kit.mjs";
import { Client, allOf, fine, request, startUpstream, valueOf } from "./proxy-wire.mjs";

const HOST = "site.test";
const MB = 1024 * 1024;
const GB = 1024 * MB;

const hostBlock = (port, lines = []) => `host "${HOST}" {\n  proxy_pass http://127.0.0.1:${port};\n  ${lines.join("\n  ")}\n}\n`;

/** A proxy in front of one scripted server. */
async function pair(t, handler, lines = [], options) {
  const upstream = await startUpstream(t, handler, options);
  const proxy = await startProxy(t, hostBlock(upstream.port, lines));
  return { upstream, proxy };
}

const nothingUnderWay = (proxy) => eventually(async () => assert.equal(await figure(proxy, "weaprous_proxy_upstream_active_requests"), 0, "requests under way"));

// --- how requests are written ---

test("pipelined requests are answered in order, whatever they are", async (t) => {
  const { proxy, upstream } = await pair(t, async (wire, message) => {
    const { body } = await wire.bodyOf(message);
    if (message.path === "/slow") await pause(100);
    return fine(wire, { ...message, framing: "none" }, `${message.method} ${message.path} ${body}`);
  });
  const asked = [
    ["GET", "/slow"],
    ["POST", "/a", "first"],
    ["GET", "/b"],
    ["HEAD", "/c"],
    ["PUT", "/d", "x".repeat(3000)],
    ["DELETE", "/e"],
    ...Array.from({ length: 20 }, (_, i) => ["GET", `/more/${i}`]),
  ];
  const client = await Client.connect(proxy.port);
  await client.write(asked.map(([method, path, body = ""]) => request(method, path, HOST, [], body)).join(""));
  for (const [method, path, body = ""] of asked) {
    const answer = await within(client.answer(method), `${method} ${path}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.text, method === "HEAD" ? "" : `${method} ${path} ${body}`);
  }
  assert.equal(upstream.requests.length, asked.length);
  client.close();
});

test("a head and a body that come byte by byte", async (t) => {
  const { proxy } = await pair(t, async (wire, message) => fine(wire, { ...message, framing: "none" }, String((await wire.bodyOf(message)).body)));
  const chunks = "3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nX-Trailer: t\r\n\r\n";
  for (const text of [request("POST", "/", HOST, [], "hello"), request("POST", "/", HOST, ["Transfer-Encoding: chunked"], chunks)]) {
    const client = await Client.connect(proxy.port);
    for (const byte of Buffer.from(text)) {
      await client.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    const answer = await within(client.answer("POST"), "the answer");
    assert.deepEqual([answer.status, answer.text], [200, "hello"]);
    client.close();
  }
});

test("clients of HTTP/1.0, with and without keep-alive, get what they understand", async (t) => {
  const { proxy } = await pair(t, async (wire, message) => {
    if (message.path === "/chunks") return wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: u\r\n\r\n");
    if (message.path === "/hints") return wire.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    return fine(wire, message, "hello");
  });
  for (const path of ["/length", "/chunks", "/hints"]) {
    const plain = await Client.connect(proxy.port);
    const answer = await plain.ask(`GET ${path} HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
    assert.deepEqual([answer.status, answer.text, answer.complete, answer.interim.length], [200, "hello", true, 0], path);
    assert.equal(valueOf(answer, "transfer-encoding"), undefined);
    assert.equal(await plain.ending(), "end", "the connection ends");

    const kept = await Client.connect(proxy.port);
    const first = await kept.ask(`GET ${path} HTTP/1.0\r\nHost: ${HOST}\r\nConnection: keep-alive\r\n\r\n`);
    assert.deepEqual([first.status, first.text, first.complete], [200, "hello", true], path);
    assert.equal(valueOf(first, "transfer-encoding"), undefined);
    if (path === "/chunks") {
      assert.equal(await kept.ending(), "end", "only the end of the connection can end this body");
      continue;
    }
    assert.match(valueOf(first, "connection"), /keep-alive/i);
    const second = await kept.ask(`GET ${path} HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
    assert.deepEqual([second.status, second.text], [200, "hello"]);
    assert.equal(await kept.ending(), "end");
  }
});

test("Expect: 100-continue is answered by the proxy, and the body goes on", async (t) => {
  const { proxy, upstream } = await pair(t, async (wire, message) => {
    const { body } = await wire.bodyOf(message);
    return fine(wire, { ...message, framing: "none" }, String(body));
  });
  for (const framing of ["Content-Length: 5", "Transfer-Encoding: chunked"]) {
    const client = await Client.connect(proxy.port);
    await client.write(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\n${framing}\r\n\r\n`);
    const interim = await within(client.head(), "100 Continue");
    assert.match(interim.first, /^HTTP\/1\.1 100 /);
    await client.write(framing.startsWith("Content") ? "hello" : "5\r\nhello\r\n0\r\n\r\n");
    const answer = await within(client.answer("POST"), "the answer");
    assert.deepEqual([answer.status, answer.text, answer.interim.length], [200, "hello", 0]);
    client.close();
  }
  for (const message of upstream.requests) assert.equal(valueOf(message, "expect"), undefined);
  const client = await Client.connect(proxy.port);
  const refused = await client.ask(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nExpect: a-pony\r\nContent-Length: 5\r\n\r\n`);
  assert.equal(refused.status, 417);
  client.close();
});

test("a client that ends its side after the request still gets the answer", async (t) => {
  const { proxy } = await pair(t, async (wire, message) => {
    await pause(150);
    return fine(wire, message, "x".repeat(300_000));
  });
  for (const text of [request("GET", "/", HOST), request("POST", "/", HOST, [], "hello")]) {
    const client = await Client.connect(proxy.port);
    client.end(text);
    const answer = await within(client.answer(), "the answer");
    assert.deepEqual([answer?.status, answer?.length, answer?.complete], [200, 300_000, true]);
    assert.equal(await client.ending(), "end");
  }
  await nothingUnderWay(proxy);
});

test("HEAD: the length is told, and no body comes, not even when the server sends one", async (t) => {
  const { proxy, upstream } = await pair(t, (wire, message) => {
    if (message.path === "/body") return wire.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    if (message.path === "/chunks") return wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    return fine(wire, message, "hello");
  });
  const client = await Client.connect(proxy.port);
  for (const path of ["/", "/body", "/chunks", "/"]) {
    const answer = await client.ask(request("HEAD", path, HOST));
    assert.equal(answer.status, 200, path);
    assert.equal(valueOf(answer, "content-length"), path === "/chunks" ? undefined : "5", path);
    assert.equal((await client.ask(request("GET", "/", HOST))).text, "hello", `GET after HEAD ${path}`);
  }
  client.close();
  assert.equal(upstream.connections, 2, "only that with a body too much is given up");
});

test("trailers go through both ways", async (t) => {
  let trailers;
  const { proxy } = await pair(t, async (wire, message) => {
    trailers = (await wire.bodyOf(message)).trailers;
    return wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 42\r\nContent-Length: 7\r\n\r\n");
  });
  const client = await Client.connect(proxy.port);
  const answer = await client.ask(
    request("POST", "/", HOST, ["Transfer-Encoding: chunked", "TE: trailers", "Trailer: X-Check"], "5\r\nhello\r\n0\r\nX-Check: 43\r\nHost: evil.test\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\r\n"),
  );
  assert.deepEqual([answer.status, answer.text], [200, "hello"]);
  assert.deepEqual(answer.trailers, [["x-sum", "42"]], "those that say how a message is framed do not pass");
  assert.deepEqual(trailers, [["x-check", "43"]]);
  client.close();
});

// --- early answers ---

test("a server answers before it has the whole body: the client hears it, and what it sends on harms nobody", async (t) => {
  const seen = new Map();
  const { proxy, upstream } = await pair(t, async (wire, message) => {
    if (message.path === "/fine") return fine(wire, message);
    seen.set(message.id, wire);
    await wire.exactly(1000);
    await wire.write("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large");
    if (message.path === "/end") wire.end();
    if (message.path === "/reset") await new Promise((resolve) => (wire.letGo = resolve)).then(() => wire.reset());
    await wire.ending();
  });
  for (const path of ["/end", "/stay", "/reset"])
    for (const framing of ["Content-Length: 50000000", "Transfer-Encoding: chunked"]) {
      const id = `${path.slice(1)}-${framing[0]}`;
      const client = await Client.connect(proxy.port);
      const piece = framing.startsWith("C") ? Buffer.alloc(65536, 97) : Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65536, 97), Buffer.from("\r\n")]);
      await client.write(`POST ${path}?id=${id} HTTP/1.1\r\nHost: ${HOST}\r\n${framing}\r\n\r\n`);
      await client.write(piece);
      const answer = await within(client.answer("POST"), `the early answer of ${id}`);
      assert.deepEqual([answer.status, answer.text], [413, "too large"], id);
      seen.get(id).letGo?.();
      // Who goes on sending is let, up to the limit of patience: the connection ends or takes it, but no request is made of it.
      for (let i = 0; i < 100 && (await Promise.race([client.write(piece), pause(100)])) && !client.fate; i++);
      client.close();
    }
  const answer = await askOnce(proxy, request("GET", "/fine", HOST));
  assert.equal(answer.text, "fine");
  await eventually(() => assert.ok(upstream.open() <= 1, `${upstream.open()} connections`));
  await nothingUnderWay(proxy);
});

test("a server answers without ever reading the body", async (t) => {
  const { proxy, upstream } = await pair(t, async (wire, message) => {
    if (message.path === "/fine") return fine(wire, message);
    await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    await new Promise((resolve) => wire.socket.once("close", resolve));
  });
  const client = await Client.connect(proxy.port);
  await client.write(`PUT / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 100000000\r\n\r\n`);
  client.write(Buffer.alloc(20 * MB, 97));
  const answer = await within(client.answer("PUT"), "the answer");
  assert.deepEqual([answer.status, answer.text], [200, "hello"]);
  await eventually(async () => assert.equal(await figure(proxy, "weaprous_proxy_upstream_connections"), 0, "the connection with half a request on it is given up"));
  assert.equal((await askOnce(proxy, request("GET", "/fine", HOST))).text, "fine");
  assert.equal(upstream.connections, 2);
  client.close();
  await nothingUnderWay(proxy);
});

// --- limits ---

test("max_body: 413 by the announced length before anything is sent, and for chunks when they become too many", async (t) => {
  let whole = 0;
  const { proxy, upstream } = await pair(
    t,
    async (wire, message) => {
      const body = await wire.bodyOf(message, { keep: false });
      if (!body.complete) return;
      whole++;
      return fine(wire, { ...message, framing: "none" }, String(body.length));
    },
    ["max_body 100k;"],
  );
  const limit = 100 * 1024;
  const chunk = (n) => `${n.toString(16)}\r\n${"x".repeat(n)}\r\n`;

  const announced = await askOnce(proxy, `PUT /?id=length HTTP/1.1\r\nHost: ${HOST}\r\nAccept: text/html\r\nContent-Length: ${limit + 1}\r\n\r\n`);
  assert.equal(announced.status, 413);
  assert.match(announced.text, /<p[^>]*>[^<]*(larg|big)/);
  assert.equal(upstream.requests.length, 0, "the server never heard of it");

  const expecting = await askOnce(proxy, `PUT / HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: ${limit + 1}\r\n\r\n`);
  assert.deepEqual([expecting.status, expecting.interim.length], [413, 0], "no 100 before a refusal");

  const chunked = await askOnce(proxy, request("PUT", "/?id=chunks", HOST, ["Transfer-Encoding: chunked", "Accept: application/json"], `${chunk(limit)}${chunk(1)}0\r\n\r\n`));
  assert.equal(chunked.status, 413);
  assert.equal(JSON.parse(chunked.text).status, "error");
  assert.equal(whole, 0, "no server took half a body for a whole one");

  assert.equal((await askOnce(proxy, request("PUT", "/", HOST, [], "x".repeat(limit)))).text, String(limit), "exactly the limit passes");
  assert.equal((await askOnce(proxy, request("PUT", "/", HOST, ["Transfer-Encoding: chunked"], `${chunk(limit)}0\r\n\r\n`))).text, String(limit));
});

test("CONNECT and TRACE are refused", async (t) => {
  const { proxy, upstream } = await pair(t, fine);
  for (const text of [`CONNECT ${HOST}:80 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, request("TRACE", "/", HOST)]) {
    const client = await Client.connect(proxy.port);
    const answer = await client.ask(text);
    assert.ok([400, 405, 501].includes(answer.status), `${answer.status}`);
    client.close();
  }
  assert.equal(upstream.requests.length, 0);
});

// --- clients that go ---

test("when the client goes, at whatever moment, the server's side is given up soon and nothing is left", async (t) => {
  const stops = { half: "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello", chunks: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" };
  let goOn;
  const { proxy, upstream } = await pair(t, async (wire, message) => {
    if (message.path === "/fine") return fine(wire, message);
    if (message.path === "/part") await wire.exactly(1000);
    const stop = stops[message.path.slice(1)];
    if (stop) await wire.write(stop);
    const gone = wire.ending();
    await Promise.race([gone, new Promise((resolve) => (goOn = resolve))]);
    if (!stop) await wire.write(stops.half);
    while (!wire.fate && (await wire.write("1\r\nx\r\n"))) await pause(5);
    wire.close();
  });
  assert.equal((await askOnce(proxy, request("GET", "/fine", HOST))).text, "fine");
  const sockets = socketsOf(proxy.pid);
  const underWay = (n) => eventually(async () => assert.equal(await figure(proxy, "weaprous_proxy_upstream_active_requests"), n));
  // half: whoever ends its side here has not sent the whole request, and cannot want an answer.
  const moments = {
    "in the head": { text: `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX-A`, half: true },
    "before the answer": { text: request("GET", "/silent", HOST), asked: true },
    "in its own body": { text: `PUT /part HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5000\r\n\r\n${"x".repeat(1000)}`, asked: true, half: true },
    "in its own chunks": { text: `PUT /part HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n${"x".repeat(1000)}`, asked: true, half: true },
    "in the answer": { text: request("GET", "/half", HOST), asked: true, answer: true },
    "in an answer of chunks": { text: request("GET", "/chunks", HOST), asked: true, answer: true },
  };
  for (const [moment, { text, asked, answer, half }] of Object.entries(moments))
    for (const way of ["close", "reset"]) {
      const what = `${way} ${moment}`;
      const before = upstream.requests.length;
      const client = await Client.connect(proxy.port);
      await client.write(text);
      if (asked) await eventually(() => assert.equal(upstream.requests.length, before + 1, what));
      if (asked) await underWay(1);
      if (answer) assert.equal((await within(client.answerHead(), "the head")).status, 200);
      client[way]();
      // A close looks like the end of one side only, and such a client is still answered: until it refuses to take more.
      if (way === "close" && !half) goOn();
      await eventually(async () => assert.equal(await figure(proxy, "weaprous_proxy_upstream_active_requests"), 0, `${what}: the request goes on`));
      if (asked) await eventually(() => assert.equal(upstream.open(), 0, `${what}: the server's connection stays`));
    }
  await eventually(() => assert.ok(socketsOf(proxy.pid) <= sockets, `${socketsOf(proxy.pid)} sockets, ${sockets} before`));
  assert.equal((await askOnce(proxy, request("GET", "/fine", HOST))).text, "fine");
});

// --- streams ---

/** Calls `look` every few milliseconds until the promise is settled; the largest number it saw. */
async function largestDuring(promise, look) {
  let over = false;
  let most = 0;
  const settled = promise.finally(() => (over = true));
  settled.catch(() => {});
  while (!over) {
    most = Math.max(most, look());
    await pause(10);
  }
  await settled;
  return most;
}

/** curl, which is quicker than this program: what it writes. */
async function curl(words) {
  const child = spawn("curl", ["--silent", "--show-error", ...words], { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  child.stdout.on("data", (bytes) => (out += bytes));
  child.stderr.on("data", (bytes) => (out += bytes));
  await within(once(child, "close"), "the end of curl", 120_000).finally(() => child.kill("SIGKILL"));
  return out;
}

test("a gigabyte streams in each direction without the proxy growing", async (t) => {
  const folder = folderOf(t);
  const path = join(folder, "giga");
  const file = openSync(path, "w");
  ftruncateSync(file, GB);
  closeSync(file);
  const nginx = await startNginx(t, `server { listen 127.0.0.1:PORT; root ${folder}; sendfile on; }`);
  const counter = await startUpstream(t, async (wire, message) => {
    const { length, complete } = await wire.bodyOf(message, { keep: false });
    if (complete) return fine(wire, { ...message, framing: "none" }, `${message.framing} ${length}`);
  });
  const proxy = await startProxy(t, `host "down.test" {\n  proxy_pass http://127.0.0.1:${nginx.port};\n}\nhost "up.test" {\n  proxy_pass http://127.0.0.1:${counter.port};\n  max_body 2g;\n}\n`);
  const url = `http://127.0.0.1:${proxy.port}/giga`;
  await askOnce(proxy, request("GET", "/", "down.test"));
  const before = memoryOf(proxy.pid);
  for (const [way, host, words, expected] of [
    ["down", "down.test", ["--output", "/dev/null", "--write-out", "%{http_code} %{size_download}"], `200 ${GB}`],
    ["up", "up.test", ["--upload-file", path], `length ${GB}`],
  ]) {
    const streams = curl([...words, "--header", `Host: ${host}`, url]);
    const most = await largestDuring(streams, () => memoryOf(proxy.pid));
    assert.equal(await streams, expected, way);
    t.diagnostic(`${way}: ${((most - before) / MB).toFixed(1)} MB more than before`);
    assertMemory(most - before, 4 * MB, `what a gigabyte ${way} takes`);
  }
});

test("what comes out is what went in: bodies of many sizes, both framings, both ways", async (t) => {
  const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
  const { proxy } = await pair(t, async (wire, message) => {
    const { body } = await wire.bodyOf(message);
    const head = `HTTP/1.1 200 OK\r\nX-Digest: ${digest(body)}\r\n`;
    if (message.path === "/chunks") {
      await wire.write(`${head}Transfer-Encoding: chunked\r\n\r\n`);
      for (let at = 0, step = 1; at < body.length; at += step, step = (step * 7) % 40_009) {
        const piece = body.subarray(at, at + step);
        await wire.write(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]));
      }
      return wire.write("0\r\n\r\n");
    }
    return wire.write(Buffer.concat([Buffer.from(`${head}Content-Length: ${body.length}\r\n\r\n`), body]));
  });
  const client = await Client.connect(proxy.port);
  let seed = 1;
  for (const size of [1, 2, 1000, 16_383, 16_384, 16_385, 32_767, 32_768, 65_536, 100_001, 1_000_003, 5_000_000])
    for (const path of ["/length", "/chunks"]) {
      const bytes = Buffer.alloc(size);
      for (let i = 0; i < size; i++) bytes[i] = (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) >> 16;
      const chunked = path === "/length"; // crosswise: one framing in, the other out
      const sent = chunked
        ? Buffer.concat([Buffer.from(`PUT ${path} HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n`), bytes, Buffer.from("\r\n0\r\n\r\n")])
        : Buffer.concat([Buffer.from(`PUT ${path} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${size}\r\n\r\n`), bytes]);
      const [answer] = await Promise.all([client.answer("PUT"), client.write(sent)]);
      assert.deepEqual([answer.status, answer.complete, answer.length], [200, true, size], `${path} ${size}`);
      assert.equal(valueOf(answer, "x-digest"), digest(bytes), `${size} bytes to the server`);
      assert.equal(digest(answer.body), digest(bytes), `${size} bytes from the server`);
    }
  client.close();
});

test("slow readers on either side hold back who sends, and nobody else", async (t) => {
  const CLIENTS = 30;
  const { proxy, upstream } = await pair(
    t,
    async (wire, message) => {
      if (message.path === "/fine") return fine(wire, message);
      if (message.path !== "/up") {
        const chunked = message.path === "/chunks";
        await wire.write(`HTTP/1.1 200 OK\r\n${chunked ? "Transfer-Encoding: chunked" : "Content-Length: 1000000000"}\r\n\r\n`);
        const piece = Buffer.alloc(256 * 1024, chunked ? `3f9\r\n${"x".repeat(0x3f9)}\r\n` : "x");
        wire.sent = 0;
        while (await wire.write(piece)) wire.sent += piece.length;
        return;
      }
      await new Promise((resolve) => wire.socket.once("close", resolve)); // reads nothing
    },
    ["buffer 64k;", "timeout send 60s;", "timeout read 60s;"],
  );
  await askOnce(proxy, request("GET", "/fine", HOST));
  const before = memoryOf(proxy.pid);

  const downs = await Promise.all(Array.from({ length: CLIENTS }, () => Client.connect(proxy.port)));
  for (const [i, client] of downs.entries()) await client.write(request("GET", i % 2 ? "/down" : "/chunks", HOST)); // and reads nothing
  const ups = await Promise.all(Array.from({ length: CLIENTS }, () => Client.connect(proxy.port)));
  const piece = Buffer.alloc(256 * 1024, 97);
  const sending = ups.map(async (client) => {
    await client.write(`PUT /up HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000000000\r\n\r\n`);
    for (client.sent = 0; await client.write(piece); ) client.sent += piece.length;
  });
  const amounts = () => [...ups.map(({ sent }) => sent), ...[...upstream.wires].map(({ sent }) => sent ?? 0)].join();
  // It comes to a stand-still: nobody can send more.
  await eventually(async () => {
    const now = amounts();
    assert.equal(upstream.requests.length, 1 + 2 * CLIENTS);
    await pause(500);
    assert.equal(amounts(), now, "somebody is still sending");
  }, 30_000);

  const grown = memoryOf(proxy.pid) - before;
  t.diagnostic(`${Math.round(grown / 1024 / 2 / CLIENTS)} KB for each stalled stream`);
  assertMemory(grown, 2 * CLIENTS * 200 * 1024, `${2 * CLIENTS} stalled streams`);
  for (let i = 0; i < 20; i++) assert.equal((await askOnce(proxy, request("GET", "/fine", HOST))).text, "fine");

  for (const client of [...downs, ...ups]) client.reset();
  await Promise.all(sending);
  await nothingUnderWay(proxy);
  await eventually(async () => assert.ok((await figure(proxy, "weaprous_proxy_upstream_connections")) <= 2, "connections to the server are left"));
});

test("a slow reader gets everything in the end", async (t) => {
  const size = 3 * MB;
  const bytes = Buffer.alloc(size, "0123456789abcdef");
  const { proxy } = await pair(t, async (wire, message) => {
    await wire.write(`HTTP/1.1 200 OK\r\n${message.path === "/length" ? `Content-Length: ${size}\r\n` : ""}\r\n`);
    await wire.write(bytes);
    if (message.path !== "/length") wire.end();
  }, ["buffer 16k;"]);
  for (const path of ["/length", "/close"]) {
    const client = await Client.connect(proxy.port, { highWaterMark: 4096 });
    await client.write(request("GET", path, HOST));
    const head = await within(client.answerHead(), "the head");
    for (let i = 0; i < 20; i++) client.socket.read(0), await pause(10); // the queues fill up
    const { body, complete } = await within(client.bodyOf(head), "the body");
    assert.ok(complete && body.equals(bytes), path);
    client.close();
  }
});

// --- time ---

test("each timeout has its own page, and the silence of one server is not the others'", async (t) => {
  const { proxy } = await pair(
    t,
    async (wire, message) => {
      if (message.path === "/fine") return fine(wire, message);
      if (message.path === "/drips") {
        await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for (let i = 0; i < 10; i++) await pause(150), await wire.write("x");
        return;
      }
      if (message.path === "/reads") await new Promise((resolve) => wire.socket.once("close", resolve));
      await wire.ending();
    },
    ["timeout read 600ms;", "timeout send 600ms;"],
  );
  const silent = await askOnce(proxy, request("GET", "/silent", HOST, ["Accept: text/html"]));
  assert.equal(silent.status, 504);
  assert.match(silent.text, /<p[^>]*>[^<]*in time/);
  const json = await askOnce(proxy, request("GET", "/silent", HOST, ["Accept: application/json"]));
  assert.equal(json.status, 504);
  assert.match(JSON.parse(json.text).message, /in time/);

  // A server that takes nothing: by that, and not only by its silence, the request comes to an end.
  const stuck = await Client.connect(proxy.port);
  await stuck.write(`PUT /reads HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 100000000\r\n\r\n`);
  stuck.write(Buffer.alloc(50 * MB, 97));
  const answer = await within(stuck.answer("PUT"), "the answer");
  assert.ok(answer === null || answer.status === 504, `${answer?.status}`);
  stuck.close();

  // The whole takes longer than the limit, but it is never silent for so long.
  const drips = await askOnce(proxy, request("GET", "/drips", HOST));
  assert.deepEqual([drips.status, drips.text, drips.complete], [200, "xxxxxxxxxx", true]);
  // The client is slow with its own body: that is not the server's silence.
  const slow = await Client.connect(proxy.port);
  await slow.write(`PUT /fine HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 10\r\n\r\n`);
  for (let i = 0; i < 10; i++) await pause(150), await slow.write("x");
  assert.equal((await within(slow.answer("PUT"), "the answer")).status, 200);
  slow.close();
  await nothingUnderWay(proxy);
});

test("a short timeout is not made longer by the others", async (t) => {
  const upstream = await startUpstream(t, async (wire) => void (await wire.ending()));
  const host = (name, timeouts) => `host "${name}" {\n  proxy_pass http://127.0.0.1:${upstream.port};\n  timeout connect=60s send=60s ${timeouts};\n}\n`;
  const proxy = await startProxy(t, host("short.test", "read=300ms") + host("long.test", "read=2s"));
  const order = [];
  const ask = async (name) => {
    assert.equal((await askOnce(proxy, request("GET", "/", name))).status, 504);
    order.push(name);
  };
  await Promise.all([ask("long.test"), ask("short.test").then(() => ask("short.test"))]);
  assert.deepEqual(order, ["short.test", "short.test", "long.test"]);
});

test("a client that takes nothing is given up after `timeout send`", async (t) => {
  const { proxy, upstream } = await pair(
    t,
    async (wire) => {
      await wire.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
      const piece = Buffer.alloc(256 * 1024, 97);
      while (await wire.write(piece));
    },
    ["timeout send 700ms;", "timeout read 60s;"],
  );
  const client = await Client.connect(proxy.port);
  await client.write(request("GET", "/", HOST));
  await eventually(() => assert.equal(upstream.open(), 1));
  await eventually(() => assert.equal(upstream.open(), 0, "the server's connection is still there"));
  client.close();
  await nothingUnderWay(proxy);
});

test("what goes for one connection only does not pass; what the client claims about itself does not either", async (t) => {
  const { proxy, upstream } = await pair(t, (wire, message) =>
    fine(wire, message, "hello", ["Connection: X-Secret, keep-alive", "X-Secret: 1", "Keep-Alive: timeout=5", "Proxy-Authenticate: Basic", "X-Public: 2"]),
  );
  const answer = await askOnce(
    proxy,
    request("GET", "/", HOST, ["Connection: X-Mine, close", "X-Mine: 1", "Keep-Alive: 3", "TE: trailers, deflate", "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Request-Id: mine", "X-Other: 4"]),
  );
  const [seen] = upstream.requests;
  for (const name of ["x-mine", "keep-alive", "proxy-connection", "forwarded_for"]) assert.deepEqual(allOf(seen, name), [], name);
  assert.deepEqual(allOf(seen, "x-other"), ["4"]);
  assert.deepEqual(allOf(seen, "host"), [HOST]);
  assert.deepEqual(allOf(seen, "x-forwarded-for"), ["127.0.0.1"]);
  assert.doesNotMatch(JSON.stringify(seen.fields), /6\.6\.6\.6/);
  assert.notEqual(valueOf(seen, "x-request-id"), "mine");
  assert.equal(valueOf(answer, "x-secret"), undefined);
  assert.equal(valueOf(answer, "keep-alive"), undefined);
  assert.equal(valueOf(answer, "x-public"), "2");
});
