// WebSockets and any other upgraded connection through the proxy: what one side sends is what the other gets, how one side
// ends is how the other sees it end, and who does not read holds back who sends.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { askOnce, assertMemory, socketsOf, eventually, figure, memoryOf, pause, startProxy, usingNginx, within } from "./proxy-kit.mjs";
import { Client, fine, request, startUpstream, valueOf } from "./proxy-wire.mjs";

const HOST = "site.test";
const MB = 1024 * 1024;

const hostBlock = (port, lines = []) => `host "${HOST}" {\n  proxy_pass http://127.0.0.1:${port};\n  ${lines.join("\n  ")}\n}\n`;
const nothingUnderWay = (proxy) => eventually(async () => assert.equal(await figure(proxy, "weaprous_proxy_upstream_active_requests"), 0, "tunnels"));

/** A WebSocket server of npm's ws, which says what it gets; and the proxy before it. */
async function pair(t, lines = [], { onSocket = echo, ...options } = {}) {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 64 * MB, ...options });
  await once(server, "listening");
  server.on("connection", (socket, message) => {
    socket.on("error", () => {});
    onSocket(socket, message);
  });
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  const proxy = await startProxy(t, hostBlock(server.address().port, lines));
  return { server, proxy };
}

function echo(socket) {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
}

/** An open WebSocket through the proxy. */
async function open(t, proxy, { path = "/", protocols = [], ...options } = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}${path}`, protocols, { headers: { Host: HOST }, maxPayload: 64 * MB, ...options });
  t.after(() => socket.terminate());
  socket.ended = new Promise((resolve) => socket.on("close", (code, reason) => resolve({ code, reason: String(reason) })));
  await within(new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject)), "the WebSocket to open");
  socket.on("error", () => {});
  return socket;
}

const next = (socket) =>
  within(new Promise((resolve) => socket.once("message", (data, binary) => resolve(binary ? data : String(data)))), "a message");

const ended = (socket) => within(socket.ended, "the end of the WebSocket");

const UPGRADE = ["Upgrade: echo/1", "Connection: Upgrade"];
const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo/1\r\nConnection: Upgrade\r\n\r\n";

// --- WebSockets ---

test("text, binary and 16 MiB, in order, both ways; with and without compression", async (t) => {
  for (const perMessageDeflate of [false, true]) {
    const { proxy } = await pair(t, [], { perMessageDeflate });
    const socket = await open(t, proxy, { perMessageDeflate });
    assert.equal(socket.extensions.includes("permessage-deflate"), perMessageDeflate, "as client and server agreed");
    for (const message of ["hello", "", "Chào bạn 👋", "x".repeat(200_000)]) {
      socket.send(message);
      assert.equal(await next(socket), message);
    }
    const large = randomBytes(16 * MB);
    socket.send(large);
    const back = await next(socket);
    assert.ok(Buffer.isBuffer(back) && back.equals(large), "16 MiB");
    const came = [];
    const all = new Promise((resolve) => socket.on("message", (data) => came.push(String(data)) === 1000 && resolve()));
    for (let i = 0; i < 1000; i++) socket.send(String(i));
    await within(all, "a thousand messages");
    assert.deepEqual(came, Array.from({ length: 1000 }, (_, i) => String(i)));
    socket.close();
    await ended(socket);
  }
});

test("pings and pongs, subprotocols, close codes and reasons are those of the two ends", async (t) => {
  const { proxy, server } = await pair(t, [], {
    handleProtocols: (offered) => [...offered].at(-1),
    onSocket: (socket) => socket.on("message", (data) => socket.close(4001, String(data))),
  });
  const socket = await open(t, proxy, { protocols: ["one", "two"] });
  assert.equal(socket.protocol, "two");
  const pong = once(socket, "pong");
  socket.ping("are you there");
  assert.equal(String((await within(pong, "a pong"))[0]), "are you there");
  const [other] = server.clients;
  const answered = once(other, "pong");
  other.ping("and you");
  assert.equal(String((await within(answered, "a pong"))[0]), "and you");
  socket.send("enough");
  assert.deepEqual(await ended(socket), { code: 4001, reason: "enough" });

  const second = await open(t, proxy);
  const [peer] = server.clients;
  const seen = once(peer, "close");
  second.close(1000, "done");
  const [code, reason] = await within(seen, "the close frame");
  assert.deepEqual([code, String(reason)], [1000, "done"]);
  await nothingUnderWay(proxy);
});

test("a thousand WebSockets at once, and nothing is left of them afterwards", async (t) => {
  const COUNT = 1000;
  const { proxy } = await pair(t, [], { perMessageDeflate: false });
  const first = await open(t, proxy);
  first.terminate();
  await ended(first);
  await nothingUnderWay(proxy);
  const before = { sockets: socketsOf(proxy.pid), memory: memoryOf(proxy.pid) };
  const sockets = [];
  for (let at = 0; at < COUNT; at += 50)
    sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => open(t, proxy, { perMessageDeflate: false })))));
  const answers = sockets.map((socket, i) => {
    const answer = next(socket);
    socket.send(`number ${i}`);
    return answer;
  });
  assert.deepEqual(await Promise.all(answers), Array.from({ length: COUNT }, (_, i) => `number ${i}`));
  assert.equal(await figure(proxy, "weaprous_proxy_upstream_active_requests"), COUNT);
  const each = (memoryOf(proxy.pid) - before.memory) / COUNT;
  t.diagnostic(`${Math.round(each)} bytes of memory for each`);
  assertMemory(each, 8 * 1024, "an open WebSocket");
  for (const [i, socket] of sockets.entries()) i % 2 ? socket.close() : socket.terminate();
  await Promise.all(sockets.map(ended));
  await nothingUnderWay(proxy);
  await eventually(() => assert.ok(socketsOf(proxy.pid) <= before.sockets + 2, `${socketsOf(proxy.pid)} sockets, ${before.sockets} before`));
});

test("when one end dies the other sees it, soon", async (t) => {
  const { proxy, server } = await pair(t);
  const left = await open(t, proxy);
  const [peer] = server.clients;
  peer.terminate();
  assert.equal((await ended(left)).code, 1006);

  const right = await open(t, proxy);
  const [other] = server.clients;
  const seen = once(other, "close");
  right.terminate();
  assert.equal((await within(seen, "the end"))[0], 1006);
  await nothingUnderWay(proxy);
});

test("timeout idle: a silent connection ends, one that pings does not", async (t) => {
  const { proxy } = await pair(t, ["timeout idle=700ms;", "timeout read=200ms;"]);
  const silent = await open(t, proxy);
  const talks = await open(t, proxy);
  const pings = setInterval(() => talks.ping(), 100);
  t.after(() => clearInterval(pings));
  let over = false;
  talks.ended.then(() => (over = true));
  assert.equal((await ended(silent)).code, 1006);
  for (let i = 0; i < 12; i++) await once(talks, "pong");
  assert.equal(over, false, "the one that talks is still there");
  talks.terminate();
});

test("who does not read holds back who sends, in both directions, and gets everything in the end", async (t) => {
  const COUNT = 4;
  const MESSAGES = 32;
  const piece = Buffer.alloc(MB, "weaprous");
  const digest = createHash("sha256").update(piece).digest("hex");
  const upload = { bytes: 0, sockets: [] };
  const { proxy, server } = await pair(t, ["buffer 64k;", "timeout send=60s;"], {
    perMessageDeflate: false,
    onSocket(socket, message) {
      if (message.url === "/down") for (let i = 0; i < MESSAGES; i++) socket.send(piece);
      else {
        socket.pause();
        upload.sockets.push(socket);
        socket.on("message", (data) => (upload.bytes += data.length));
      }
    },
  });
  const warm = await open(t, proxy);
  warm.terminate();
  const before = memoryOf(proxy.pid);
  const downs = [];
  const ups = [];
  for (let i = 0; i < COUNT; i++) {
    const down = await open(t, proxy, { path: "/down" });
    down.pause();
    downs.push(down);
    const up = await open(t, proxy, { path: "/up" });
    for (let n = 0; n < MESSAGES; n++) up.send(piece);
    ups.push(up);
  }
  const waiting = () => [...server.clients, ...ups].reduce((sum, socket) => sum + socket.bufferedAmount, 0);
  let last = -1;
  await eventually(async () => {
    const now = waiting();
    const same = now === last;
    last = now;
    await pause(300);
    assert.ok(same, "it comes to a stand-still");
  }, 30_000);
  assert.ok(waiting() > COUNT * MESSAGES * MB, `the senders hold ${Math.round(waiting() / MB)} of ${2 * COUNT * MESSAGES} MB`);
  const grown = memoryOf(proxy.pid) - before;
  t.diagnostic(`${Math.round(grown / 1024 / 2 / COUNT)} KB for each stalled direction`);
  assertMemory(grown, 2 * COUNT * 200 * 1024, `${2 * COUNT} stalled directions`);

  let bytes = 0;
  for (const down of downs) {
    down.on("message", (data) => (assert.equal(createHash("sha256").update(data).digest("hex"), digest), (bytes += data.length)));
    down.resume();
  }
  for (const socket of upload.sockets) socket.resume();
  await eventually(() => assert.deepEqual([bytes, upload.bytes], [COUNT * MESSAGES * MB, COUNT * MESSAGES * MB]), 60_000);
});

// --- any Upgrade ---

test("any protocol: bytes that come with the handshake, in both directions, go through untouched", async (t) => {
  const hello = randomBytes(100_000);
  const upstream = await startUpstream(t, async (wire, message) => {
    if (valueOf(message, "upgrade") !== "echo/1") return fine(wire, message);
    await wire.write(Buffer.concat([Buffer.from(SWITCHED), hello]));
    for (let bytes; (bytes = await wire.piece()); ) await wire.write(bytes);
    wire.end("bye");
  });
  const proxy = await startProxy(t, hostBlock(upstream.port));
  const early = randomBytes(50_000);
  const client = await Client.connect(proxy.port);
  await client.write(Buffer.concat([Buffer.from(request("GET", "/", HOST, [...UPGRADE, "Sec-Odd: 1"])), early]));
  const answer = await within(client.answerHead(), "101");
  assert.deepEqual([answer.status, valueOf(answer, "upgrade")], [101, "echo/1"]);
  assert.match(valueOf(answer, "connection"), /upgrade/i);
  assert.equal(valueOf(upstream.requests[0], "sec-odd"), "1");
  assert.ok((await within(client.exactly(hello.length), "what came behind the 101")).equals(hello));
  assert.ok((await within(client.exactly(early.length), "what went behind the request")).equals(early));
  const more = randomBytes(3 * MB);
  const [back] = await Promise.all([within(client.exactly(more.length), "three megabytes"), client.write(more)]);
  assert.ok(back.equals(more));
  // A half-close goes through, and what the other side still has to say comes back.
  client.end();
  assert.equal(String(await within(client.exactly(100), "the rest")), "bye");
  assert.equal(await client.ending(), "end");
  await nothingUnderWay(proxy);
});

test("the server's half-close goes through as well, and what the client still sends reaches it, however slowly it reads", async (t) => {
  for (const last of [randomBytes(20), randomBytes(2 * MB)]) {
    let rest;
    const upstream = await startUpstream(t, async (wire) => {
      await wire.write(SWITCHED);
      wire.end("that was all from here");
      await new Promise((resolve) => (wire.goOn = resolve));
      rest = await wire.toTheEnd();
    });
    const proxy = await startProxy(t, hostBlock(upstream.port));
    const client = await Client.connect(proxy.port);
    await client.write(request("GET", "/", HOST, UPGRADE));
    assert.equal((await within(client.answerHead(), "101")).status, 101);
    assert.equal((await within(client.toTheEnd(), "the end")).body.toString(), "that was all from here");
    client.end(last);
    await eventually(() => assert.ok(client.socket.writableLength < last.length));
    for (const wire of upstream.wires) wire.goOn();
    await eventually(() => assert.ok(rest?.body.equals(last), `${rest?.length} bytes of ${last.length}`));
    await nothingUnderWay(proxy);
  }
});

test("a reset of one side does not look like a good end to the other", async (t) => {
  const upstream = await startUpstream(t, async (wire) => {
    await wire.write(SWITCHED);
    await wire.exactly(3);
    wire.reset();
  });
  const proxy = await startProxy(t, hostBlock(upstream.port));
  const client = await Client.connect(proxy.port);
  await client.write(request("GET", "/", HOST, UPGRADE));
  assert.equal((await within(client.answerHead(), "101")).status, 101);
  await client.write("abc");
  assert.ok(["reset", "end"].includes(await within(client.ending(), "the end")));
  client.close();
  await nothingUnderWay(proxy);
});

test("a refusal is an answer like any other: 400, 403, 426 with their bodies, and the connection goes on", async (t) => {
  const upstream = await startUpstream(t, async (wire, message) => {
    const status = /^\/(\d+)$/.exec(message.path)?.[1];
    if (!status) return fine(wire, message);
    return wire.write(`HTTP/1.1 ${status} No\r\nUpgrade: websocket\r\nContent-Length: 7\r\n\r\nbecause`);
  });
  const proxy = await startProxy(t, hostBlock(upstream.port));
  const handshake = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
  const client = await Client.connect(proxy.port);
  for (const status of [400, 403, 426]) {
    const answer = await client.ask(request("GET", `/${status}`, HOST, handshake));
    assert.deepEqual([answer.status, answer.text], [status, "because"]);
    assert.equal((await client.ask(request("GET", "/", HOST))).text, "fine");
  }
  client.close();
  const refused = new WebSocket(`ws://127.0.0.1:${proxy.port}/403`, { headers: { Host: HOST } });
  refused.on("error", () => {});
  const [, response] = await within(once(refused, "unexpected-response"), "a refusal");
  assert.equal(response.statusCode, 403);
  response.destroy();
  await nothingUnderWay(proxy);
});

test("an upgrade goes on to the next server when the first one is not there; a silent one ends in 504", async (t) => {
  const [gone, silent] = [await startUpstream(t, fine), await startUpstream(t, async (wire) => void (await wire.ending()))];
  const good = await startUpstream(t, async (wire) => {
    await wire.write(SWITCHED);
    for (let bytes; (bytes = await wire.piece()); ) await wire.write(bytes);
  });
  await gone.stop();
  const proxy = await startProxy(
    t,
    `host "${HOST}" {\n  proxy_pass http://127.0.0.1:${gone.port} weight=1000;\n  proxy_pass http://127.0.0.1:${good.port};\n}\n` +
      `host "silent.test" {\n  proxy_pass http://127.0.0.1:${silent.port};\n  timeout read=500ms;\n}\n`,
  );
  const client = await Client.connect(proxy.port);
  await client.write(request("GET", "/", HOST, UPGRADE));
  assert.equal((await within(client.answerHead(), "101")).status, 101);
  await client.write("ping");
  assert.equal(String(await within(client.exactly(4), "an echo")), "ping");
  client.close();
  assert.equal((await askOnce(proxy, request("GET", "/", "silent.test", UPGRADE))).status, 504);
  await nothingUnderWay(proxy);
});

test("what is no upgrade does not become one", async (t) => {
  const upstream = await startUpstream(t, fine);
  const proxy = await startProxy(t, hostBlock(upstream.port));
  const ask = async (text) => {
    const answer = await askOnce(proxy, text);
    return [answer.status, valueOf(upstream.requests.at(-1) ?? { fields: [] }, "upgrade")];
  };
  // HTTP/2 in the clear would carry requests past the proxy.
  assert.deepEqual(await ask(request("GET", "/", HOST, ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"])), [200, undefined]);
  assert.equal(valueOf(upstream.requests.at(-1), "http2-settings"), undefined);
  assert.deepEqual(await ask(request("GET", "/", HOST, ["Upgrade: echo/1"])), [200, undefined], "Connection does not name it");
  assert.deepEqual(await ask(`GET / HTTP/1.0\r\nHost: ${HOST}\r\nUpgrade: echo/1\r\nConnection: Upgrade\r\n\r\n`), [200, undefined], "HTTP/1.0");
});

test("CONNECT and TRACE are refused", async (t) => {
  const upstream = await startUpstream(t, fine);
  const proxy = await startProxy(t, hostBlock(upstream.port));
  for (const text of [`CONNECT ${HOST}:80 HTTP/1.1\r\nHost: ${HOST}:80\r\n\r\n`, request("TRACE", "/", HOST), request("CONNECT", "/", HOST, UPGRADE)]) {
    const answer = await askOnce(proxy, text);
    assert.ok([400, 405, 501].includes(answer.status), `${answer.status}`);
  }
  assert.equal(upstream.requests.length, 0);
});

test("a reload leaves tunnels alone; the end of the proxy ends them", { skip: usingNginx }, async (t) => {
  const { proxy, server } = await pair(t);
  const socket = await open(t, proxy);
  proxy.child.kill("SIGHUP");
  await eventually(async () => assert.equal(await figure(proxy, "weaprous_proxy_configuration_number"), 2));
  socket.send("still here");
  assert.equal(await next(socket), "still here");
  const [peer] = server.clients;
  const seen = once(peer, "close");
  const stopped = proxy.end("SIGTERM");
  await Promise.all([ended(socket), within(seen, "the server's side to end")]);
  assert.deepEqual(await stopped, { code: 0, signal: null });
});
