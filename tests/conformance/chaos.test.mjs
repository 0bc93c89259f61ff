// Clients that do everything wrong, against a server under the sanitizers: they close, half-close or reset in the middle
// of everything, send nonsense, do not read. Afterwards the server must still serve, hold no connection, and end well.
// SEED, SECONDS: another beginning, a longer run.
import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { generator } from "./requests.mjs";
import { randomOf, start, stop, within } from "./server.mjs";
import { frame } from "./table.mjs";

const SEED = Number(process.env.SEED ?? 1);
const SECONDS = Number(process.env.SECONDS ?? 6);
const AT_ONCE = 40;

const HANDSHAKE =
  "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

function scripts(random) {
  const below = (n) => Math.floor(random() * n);
  const hostile = generator(below(2 ** 31));
  const get = (path) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const frames = () =>
    Buffer.concat(
      Array.from({ length: 1 + below(6) }, () =>
        frame([0, 1, 2, 8, 9, 10, 3][below(7)], Buffer.alloc(below(150), 97), { fin: random() < 0.7, masked: random() < 0.95 }),
      ),
    );
  return [
    () => hostile(),
    () => get("/later"),
    () => Buffer.concat(Array(1 + below(200)).fill(get(["/", "/later", "/echo/a"][below(3)]))),
    () => Buffer.concat([Buffer.from(HANDSHAKE), frames()]),
    () => Buffer.concat([Buffer.from(HANDSHAKE.replace("/ws", "/large")), frame(2, Buffer.alloc(below(300_000), 1))]),
    () => Buffer.from(`POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${below(200_000)}\r\n\r\n${"x".repeat(below(100_000))}`),
    () => Buffer.from("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"),
    () => Buffer.from(`POST /later HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${"3\r\nabc\r\n".repeat(below(2000))}0\r\n\r\n`),
    () => Buffer.alloc(0),
  ];
}

/** A reset; not while a half-close is under way, which Node would never come back from. */
function reset(socket) {
  if (socket.writableEnded || socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}

/** One connection: sends some of a script in pieces, then ends it in one of four ways. */
async function misbehave(port, random, kinds) {
  const below = (n) => Math.floor(random() * n);
  const bytes = kinds[below(kinds.length)]();
  const socket = net.connect({ host: "127.0.0.1", port, allowHalfOpen: random() < 0.5 });
  socket.on("error", () => {});
  if (random() < 0.7) socket.resume();
  await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
  const stopAt = random() < 0.5 ? bytes.length : below(bytes.length + 1);
  for (let at = 0; at < stopAt && !socket.destroyed; ) {
    const n = Math.min(random() < 0.2 ? 1 : 1 + below(20_000), stopAt - at);
    socket.write(bytes.subarray(at, at + n));
    at += n;
    if (random() < 0.3) await pause(below(4));
  }
  if (random() < 0.5) await pause(below(8));
  switch (below(4)) {
    case 0: reset(socket); break;
    case 1: socket.destroy(); break;
    case 2: socket.end(); break; // and wait for the server, which may keep what is half-closed for some seconds
  }
  await Promise.race([new Promise((resolve) => socket.once("close", resolve)), pause(below(60))]);
  socket.destroy();
}

async function served(port) {
  const socket = net.connect({ host: "127.0.0.1", port });
  socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  let text = "";
  for await (const bytes of socket) text += bytes;
  return text;
}

test(`${SECONDS} s of clients that misbehave, from seed ${SEED}`, async (t) => {
  const server = await start(["default"], { env: { ASAN_OPTIONS: "detect_leaks=1:quarantine_size_mb=16" } });
  const until = Date.now() + SECONDS * 1000;
  let connections = 0;
  const worker = async (index) => {
    const random = randomOf(SEED * 1000 + index);
    const kinds = scripts(random);
    while (Date.now() < until && server.child.exitCode === null && server.child.signalCode === null) {
      await misbehave(server.port, random, kinds);
      connections++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => worker(index)));
  assert.equal(server.child.exitCode ?? server.child.signalCode, null, `the server died:\n${server.errors()}`);
  assert.match(await within(served(server.port), "an answer afterwards"), /^HTTP\/1\.1 200 [^]*hello$/);
  t.diagnostic(`${connections} connections`);
  assert.ok(connections > 100);
  await stop(server); // the sanitizers tell leaks at the end
});
