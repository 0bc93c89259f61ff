// Our WebSocket client (examples/ws-echo-client.c) against servers that break the rules, and closing handshakes of both
// sides with every code, against npm ws. What our server does with bad frames is in tests/conformance/table.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import WebSocket, { WebSocketServer } from "ws";
import { start, stop, within } from "../conformance/server.mjs";
import { frame } from "../conformance/table.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const examples = process.env.WEAPROUS_EXAMPLES ?? join(root, "build/release/examples");

/** Runs ws-echo-client to its end. */
async function echoClient(port) {
  const child = spawn(join(examples, "ws-echo-client"), [`ws://127.0.0.1:${port}/x`, "1000"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (part) => (said += part));
  child.stderr.on("data", (part) => (said += part));
  const [code, signal] = await within(once(child, "close"), "ws-echo-client").finally(() => child.kill("SIGKILL"));
  return { code, signal, said };
}

/** The frames that a client sent: {opcode, masked, payload}. */
function framesOf(bytes) {
  const frames = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const kind = bytes[at + 1] & 127;
    const masked = bytes[at + 1] >> 7 === 1;
    const head = (kind === 127 ? 10 : kind === 126 ? 4 : 2) + (masked ? 4 : 0);
    if (bytes.length < at + head) break;
    const len = kind === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : kind === 126 ? bytes.readUInt16BE(at + 2) : kind;
    if (bytes.length < at + head + len) break;
    const payload = Buffer.from(bytes.subarray(at + head, at + head + len));
    if (masked) for (let i = 0; i < len; i++) payload[i] ^= bytes[at + head - 4 + (i % 4)];
    frames.push({ opcode: bytes[at] & 15, masked, payload });
    at += head + len;
  }
  return frames;
}

/** A server that answers the handshake with what `answer` makes of the right one, then sends `bytes`, all of it at once or
 * byte by byte; gives what the client did. */
async function hostileServer(answer, bytes = Buffer.alloc(0), bytewise = false) {
  const sent = [];
  const server = net.createServer(async (socket) => {
    let head = "";
    let open = false;
    socket.on("error", () => {});
    socket.setNoDelay();
    socket.on("data", async (part) => {
      if (open) return sent.push(part);
      head += part.toString("latin1");
      if (!head.includes("\r\n\r\n")) return;
      open = true;
      const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? "";
      const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
      const good = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
      const all = Buffer.concat([Buffer.from(answer(good, accept), "latin1"), bytes]);
      for (let at = 0; bytewise && at < all.length && !socket.destroyed; at++) {
        socket.write(all.subarray(at, at + 1));
        await new Promise(setImmediate);
      }
      if (!bytewise) socket.write(all);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const result = await echoClient(server.address().port);
  server.close();
  return { ...result, frames: framesOf(Buffer.concat(sent)) };
}

const HANDSHAKES = {
  "no upgrade: 200": () => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
  "no upgrade: 404": () => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
  "another status with the right fields": (good) => good.replace("101 Switching Protocols", "200 OK"),
  "a redirect": () => "HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
  "HTTP/1.0": (good) => good.replace("HTTP/1.1", "HTTP/1.0"),
  "no Upgrade": (good) => good.replace("Upgrade: websocket\r\n", ""),
  "another Upgrade": (good) => good.replace("Upgrade: websocket", "Upgrade: h2c"),
  "no Connection": (good) => good.replace("Connection: Upgrade\r\n", ""),
  "another Connection": (good) => good.replace("Connection: Upgrade", "Connection: keep-alive"),
  "no Sec-WebSocket-Accept": (good) => good.replace(/Sec-WebSocket-Accept: \S+\r\n/, ""),
  "a wrong Sec-WebSocket-Accept": (good, accept) => good.replace(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
  "a Sec-WebSocket-Accept in another case": (good, accept) => good.replace(accept, accept === accept.toLowerCase() ? "x" : accept.toLowerCase()),
  "a Sec-WebSocket-Accept with more": (good, accept) => good.replace(accept, `${accept}x`),
  "two Sec-WebSocket-Accept": (good, accept) => good.replace("\r\n\r\n", `\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`),
  "an extension that was not offered": (good) => good.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
  "an unknown extension": (good) => good.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x-y\r\n\r\n"),
  "a sub-protocol that was not offered": (good) => good.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
  "line feeds alone": (good) => good.replaceAll("\r\n", "\n"),
  "a space before a colon": (good) => good.replace("Upgrade:", "Upgrade :"),
  "a folded line": (good) => good.replace("Upgrade: websocket", "Upgrade:\r\n websocket"),
  "no status line": () => "hello\r\n\r\n",
  "TLS": () => "\x15\x03\x03\x00\x02\x02\x28",
  "an endless header": (good) => good.replace("\r\n\r\n", `\r\nX: ${"x".repeat(100_000)}`),
};
for (const [name, answer] of Object.entries(HANDSHAKES)) {
  test(`our client refuses a handshake with ${name}`, async () => {
    const { code, signal, said, frames } = await hostileServer(answer);
    assert.equal(code, 1, `${code} ${signal} ${said}`);
    assert.notEqual(said, "");
    assert.equal(frames.filter(({ opcode }) => opcode !== 8).length, 0, "nothing is sent where nothing was agreed");
  });
}

const text = (bytes) => Buffer.from(bytes, "latin1");
const server = (opcode, payload, options) => frame(opcode, text(payload), { masked: false, ...options });
const closing = (code, reason = "") => server(8, String.fromCharCode(code >> 8, code & 255) + reason);
const FRAMES = {
  "a mask (5.1)": [1002, frame(1, text("hello"))],
  "a masked ping": [1002, frame(9, text("hello"))],
  "a reserved bit": [1002, server(1, "a", { rsv: 0x40 })],
  "another reserved bit": [1002, server(2, "a", { rsv: 0x10 })],
  "a reserved bit on a ping": [1002, server(9, "a", { rsv: 0x20 })],
  "opcode 3": [1002, server(3, "a")],
  "opcode 11": [1002, server(11, "a")],
  "a continuation of nothing": [1002, server(0, "a")],
  "a message within a message": [1002, Buffer.concat([server(1, "a", { fin: false }), server(1, "b")])],
  "a fragmented ping": [1002, server(9, "a", { fin: false })],
  "a long ping": [1002, server(9, "x".repeat(126))],
  "a long length for few bytes": [1002, server(1, "hello", { form: 16 })],
  "a very long length for few bytes": [1002, server(1, "hello", { form: 64 })],
  "a length with its top bit": [1002, server(1, "hello", { form: 64, claims: 0x8000000000000000n })],
  "a message that is too large": [1009, server(2, "x", { claims: 1 << 30 })],
  "a text that is no UTF-8": [1007, server(1, "a\xff")],
  "a text that is cut off": [1007, server(1, "a\xc3")],
  "a surrogate": [1007, server(1, "\xed\xa0\x80")],
  "a fragment that is no UTF-8": [1007, Buffer.concat([server(1, "a", { fin: false }), server(0, "\xff", { fin: false })])],
  "a close of one byte": [1002, server(8, "a")],
  "a close with 1005": [1002, closing(1005)],
  "a close with 1006": [1002, closing(1006)],
  "a close with 999": [1002, closing(999)],
  "a close with 5000": [1002, closing(5000)],
  "a reason that is no UTF-8": [1007, closing(1000, "\xff")],
  "a reason that is too long": [1002, closing(1000, "x".repeat(124))],
};
for (const [name, [code, bytes]] of Object.entries(FRAMES)) {
  for (const bytewise of [false, true]) {
    test(`our client ends with ${code} after ${name}${bytewise ? ", byte by byte" : ""}`, async () => {
      const result = await hostileServer((good) => good, bytes, bytewise);
      assert.equal(result.code, 1, result.said);
      const close = result.frames.find(({ opcode }) => opcode === 8);
      assert.ok(close, `no close frame; ${result.said}`);
      assert.equal(close.payload.readUInt16BE(0), code);
      assert.ok(result.frames.every(({ masked }) => masked), "what a client sends is masked");
    });
  }
}

const CODES = [1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];

test("npm ws closes our server with every code, and gets it back", async () => {
  const echo = await start(["127.0.0.1", "0"], { command: join(examples, "ws-echo") });
  for (const code of CODES) {
    const socket = new WebSocket(`ws://127.0.0.1:${echo.port}/`);
    await within(once(socket, "open"), "opening");
    socket.close(code, "that is why");
    const [got] = await within(once(socket, "close"), `the end with ${code}`);
    assert.equal(got, code);
  }
  await stop(echo);
});

test("npm ws closes our client with every code, and gets it back", async () => {
  for (const code of CODES) {
    const wss = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    await once(wss, "listening");
    const ended = new Promise((resolve) => wss.on("connection", (socket) => socket.on("close", resolve).close(code, "that is why")));
    const { code: exit, said } = await echoClient(wss.address().port);
    assert.equal(exit, 1);
    assert.match(said, new RegExp(String(code)), "it says why the server went");
    assert.equal(await within(ended, `the end with ${code}`), code);
    wss.close();
  }
});

test("a server that goes in the middle of everything does not leave our client waiting", async () => {
  const good = Buffer.concat([server(1, "hello", { fin: false }), server(9, "x"), server(0, "", {})]);
  for (const at of [0, 1, 3, 8, good.length]) {
    for (const end of ["end", "destroy", "resetAndDestroy"]) {
      const listener = net.createServer((socket) => {
        socket.on("error", () => {});
        socket.once("data", (head) => {
          const key = /sec-websocket-key: *(\S+)/i.exec(head.toString("latin1"))[1];
          const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
          const answer = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
          socket.write(Buffer.concat([Buffer.from(answer), good.subarray(0, at)]), () => socket[end]());
        });
      });
      listener.listen(0, "127.0.0.1");
      await once(listener, "listening");
      const { code, signal } = await echoClient(listener.address().port);
      assert.equal(code, 1, `after ${at} bytes and ${end}: ${code} ${signal}`);
      listener.close();
    }
  }
});
