// The WebSocket examples against each other and against npm ws, in both directions.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import WebSocket, { WebSocketServer } from "ws";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const examples = process.env.WEAPROUS_EXAMPLES ?? join(root, "build/release/examples");
const PATIENCE_MS = 60_000;
const LARGEST = 16 * 1024 * 1024;

function within(promise, what, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Starts a server of examples/ on a free port; it ends with the test. */
async function start(t, name) {
  const child = spawn(join(examples, name), ["127.0.0.1", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  t.after(async () => {
    child.kill("SIGINT");
    assert.deepEqual(await within(ended, `the end of ${name}`), { code: 0, signal: null });
  });
  const [line] = await within(Promise.race([once(child.stdout, "data"), ended.then(() => ["it ended"])]), name);
  const port = Number(/:(\d+)\//.exec(String(line))?.[1]);
  assert.ok(port > 0, `${name} said ${line}`);
  return port;
}

/** Runs ws-echo-client; its exit code and what it said. */
async function echoClient(...words) {
  const child = spawn(join(examples, "ws-echo-client"), words, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (part) => (said += part));
  child.stderr.on("data", (part) => (said += part));
  const [code] = await within(once(child, "close"), "ws-echo-client", 120_000);
  return { code, said };
}

/** A client of npm ws, with its messages in a queue. */
async function connect(url, protocols = [], options = {}) {
  const socket = new WebSocket(url, protocols, { maxPayload: 2 * LARGEST, ...options });
  const arrived = [];
  let wake = () => {};
  socket.on("message", (data, binary) => {
    arrived.push({ data, binary });
    wake();
  });
  let end;
  const closed = new Promise((resolve) =>
    socket.on("close", (code, reason) => {
      resolve((end = { code, reason: String(reason) }));
      wake();
    }),
  );
  socket.next = async () => {
    while (arrived.length === 0 && !end) await within(new Promise((resolve) => (wake = resolve)), "a message");
    assert.ok(arrived.length > 0, `closed instead of a message: ${JSON.stringify(end)}`);
    return arrived.shift();
  };
  socket.ended = () => within(closed, "the end");
  await within(once(socket, "open"), `opening ${url}`);
  return socket;
}

/** A text of so many bytes that compresses as prose does. */
const prose = (bytes) => "The quick brown fox jumps over the lazy dog, and again. ".repeat(Math.ceil(bytes / 56)).slice(0, bytes);

test("ours to ours: every size to 16 MiB, with and without compression", async (t) => {
  const port = await start(t, "ws-echo");
  const { code, said } = await echoClient(`ws://127.0.0.1:${port}/any/path?x=1`);
  assert.equal(code, 0, said);
  assert.match(said, /^120 messages, \d+ bytes, each there and back: all right/);
});

for (const deflate of [false, true]) {
  test(`our client to npm ws, permessage-deflate ${deflate ? "on" : "off"}`, async (t) => {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: deflate, maxPayload: 2 * LARGEST });
    t.after(() => server.close());
    const extensions = [];
    server.on("connection", (socket) => {
      extensions.push(socket.extensions);
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
    await within(once(server, "listening"), "npm ws");
    const { code, said } = await echoClient(`ws://127.0.0.1:${server.address().port}/`);
    assert.equal(code, 0, said);
    assert.deepEqual(extensions, ["", deflate ? "permessage-deflate" : ""]);
  });
}

test("our client tells what went wrong", async () => {
  const refused = await echoClient("ws://127.0.0.1:1/");
  assert.equal(refused.code, 1);
  assert.match(refused.said, /refused/);
  assert.equal((await echoClient("http://127.0.0.1/")).code, 1);
  assert.equal((await echoClient()).code, 2);
});

const DEFLATE_FORMS = {
  off: false,
  "as offered by default": true,
  "smallest windows": { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  "no context of the server": { serverNoContextTakeover: true },
  "everything compressed": { threshold: 0 },
};
for (const [name, perMessageDeflate] of Object.entries(DEFLATE_FORMS)) {
  test(`npm ws to ours, permessage-deflate ${name}`, async (t) => {
    const port = await start(t, "ws-echo");
    const socket = await connect(`ws://127.0.0.1:${port}/`, [], { perMessageDeflate });
    assert.equal(socket.extensions, perMessageDeflate ? "permessage-deflate" : "");
    for (const bytes of [0, 1, 15, 16, 125, 126, 1023, 1024, 4096, 4097, 65535, 65536, 100_000, 1_000_000]) {
      for (const message of [prose(bytes), randomBytes(bytes), Buffer.alloc(bytes)]) {
        socket.send(message);
        const { data, binary } = await socket.next();
        assert.equal(binary, typeof message !== "string");
        assert.ok(data.equals(Buffer.from(message)), `${bytes} bytes`);
      }
    }
    for (let i = 0; i < 200; i++) socket.send(prose(i * 37)); /* many at once, in their order */
    for (let i = 0; i < 200; i++) assert.equal(String((await socket.next()).data), prose(i * 37));
    socket.send(randomBytes(LARGEST));
    assert.equal((await socket.next()).data.length, LARGEST);
    socket.close(4321, "goodbye");
    assert.deepEqual(await socket.ended(), { code: 4321, reason: "" });
  });

  test(`fragments and control frames between them, permessage-deflate ${name}`, async (t) => {
    const port = await start(t, "ws-echo");
    const socket = await connect(`ws://127.0.0.1:${port}/`, [], { perMessageDeflate });
    const text = "đây là tiếng Việt, 漢字 🎉 ".repeat(3000);
    const bytes = Buffer.from(text);
    const pong = once(socket, "pong");
    for (let at = 0; at < bytes.length; at += 1237) {
      const end = at + 1237 >= bytes.length;
      socket.send(bytes.subarray(at, at + 1237), { binary: false, fin: end, compress: true });
      if (at === 1237 * 5) socket.ping("between");
    }
    assert.equal(String((await within(pong, "a pong"))[0]), "between");
    const { data, binary } = await socket.next();
    assert.equal(binary, false);
    assert.equal(String(data), text);
    socket.close();
    assert.equal((await socket.ended()).code, 1005);
  });

  test(`what is against the rules ends with its code, permessage-deflate ${name}`, async (t) => {
    const port = await start(t, "ws-echo");
    const url = `ws://127.0.0.1:${port}/`;
    const notText = await connect(url, [], { perMessageDeflate });
    notText.send(Buffer.concat([Buffer.from(prose(3000)), Buffer.from([0xff])]), { binary: false });
    assert.equal((await notText.ended()).code, 1007);
    const tooLarge = await connect(url, [], { perMessageDeflate });
    tooLarge.on("error", () => {});
    tooLarge.send(Buffer.alloc(LARGEST + 1)); /* compressed it is 16 KB */
    assert.equal((await tooLarge.ended()).code, 1009);
    if (!perMessageDeflate) return;
    const broken = await connect(url, [], { perMessageDeflate });
    /* A frame that says that it is compressed, masked with zeros: 1, 2, 3 are no deflate data. */
    broken._socket.write(Buffer.from([0xc2, 0x83, 0, 0, 0, 0, 0xff, 0xfe, 0xfd]));
    assert.equal((await broken.ended()).code, 1007);
    const control = await connect(url, [], { perMessageDeflate });
    control._socket.write(Buffer.from([0xc9, 0x80, 0, 0, 0, 0]));
    assert.equal((await control.ended()).code, 1002);
  });
}

test("the chat: a page, rooms, everybody in a room and nobody else", async (t) => {
  const port = await start(t, "chat");
  const page = await fetch(`http://127.0.0.1:${port}/kitchen`);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /new WebSocket/);
  const open = (room) => connect(`ws://127.0.0.1:${port}/${room}/socket`, [], { origin: `http://127.0.0.1:${port}` });
  const kitchen = await Promise.all(Array.from({ length: 10 }, () => open("kitchen")));
  const cellar = await open("cellar");
  kitchen[3].send("dinner is ready");
  for (const socket of kitchen) assert.equal(String((await socket.next()).data), "dinner is ready");
  cellar.send("it is dark");
  assert.equal(String((await cellar.next()).data), "it is dark");
  kitchen[0].close();
  await kitchen[0].ended();
  kitchen[1].send("again");
  for (const socket of kitchen.slice(1)) assert.equal(String((await socket.next()).data), "again");
  await assert.rejects(connect(`ws://127.0.0.1:${port}/kitchen/socket`, [], { origin: "http://elsewhere.example" }), /403/);
});
