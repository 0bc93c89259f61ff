// src/wasm: the core as WebAssembly, as the browser runs it.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { withoutCustomSections } from "../../client/sections.mjs";
import { root, wasmBytes, wasmModule } from "./load.mjs";
import { connect, createDevice, createMemoryStore, createWorld, settle } from "./world.mjs";

const IMPORTS = ["hash", "sign_public", "sign", "verify", "exchange_public", "exchange", "seal", "open", "xseal", "xopen", "box_secret", "box_public"];
const PLAIN_BYTES_MAX = 198 * 1024;
const BROTLI_BYTES_MAX = 72 * 1024;
const PAGE_BYTES_MAX = 200 * 1024; // the goal (docs/performance.md)

test("the wasm core imports the crypto table and nothing else", () => {
  const imports = WebAssembly.Module.imports(wasmModule());
  assert.deepEqual(
    imports.map(({ module, name, kind }) => `${module}.${name}:${kind}`).sort(),
    IMPORTS.map((name) => `crypto.${name}:function`).sort(),
  );
});

test("the wasm core stays small", () => {
  const bytes = withoutCustomSections(wasmBytes()); // as it is served
  assert.ok(bytes.length <= PLAIN_BYTES_MAX, `${bytes.length} bytes`);
  const packed = brotliCompressSync(bytes).length;
  assert.ok(packed <= BROTLI_BYTES_MAX, `${packed} bytes in brotli`);
});

test("what a first visit fetches of the page that is built into the program weighs what was promised", () => {
  const built = join(dirname(process.env.WEAPROUS ?? join(root, "build/release/weaprous")), "client");
  const { first, all, later } = JSON.parse(readFileSync(join(built, "weight.json"), "utf8"));
  const weights = readdirSync(join(built, "dist"), { recursive: true })
    .map((name) => join(built, "dist", name))
    .filter((file) => statSync(file).isFile() && !/\.(br|gz)$/.test(file))
    .map((file) => statSync(existsSync(`${file}.br`) ? `${file}.br` : file).size);
  assert.equal(weights.reduce((sum, weight) => sum + weight, 0), all, "the files are those that were weighed");
  assert.ok(weights.length - later.length >= 8, `only ${weights.length - later.length} files come with a first visit`);
  assert.ok(first <= PAGE_BYTES_MAX, `${first} bytes in brotli`);
});

async function pair() {
  const world = await createWorld();
  const an = await createDevice(world, "an", { seed: 1 });
  const binh = await createDevice(world, "binh", { seed: 2 });
  await settle();
  return { world, an, binh };
}

test("two linked cores exchange messages and acknowledge them", async () => {
  const { world, an, binh } = await pair();
  connect(an, binh);
  await world.clock.pass(500);
  an.say("chào");
  await world.clock.pass(500);
  binh.say("olá");
  await world.clock.pass(500);
  assert.deepEqual(an.texts(), ["chào", "olá"]);
  assert.deepEqual(binh.texts(), ["chào", "olá"]);

  const came = binh.of("deliver").find(({ entry }) => world.textOf(entry) === "chào").entry;
  assert.equal(came.author, an.core.device);
  assert.equal(came.account, "an");
  assert.equal(came.path, "direct");
  assert.equal(came.from, an.core.device);
  const { from, path, ...last } = an.of("delivered").at(-1);
  assert.deepEqual(
    last,
    { kind: "delivered", channel: world.channel, device: binh.core.device, account: "binh", seq: 2, replica: false },
  );
  assert.ok(an.of("peer").some(({ device, path }) => device === binh.core.device && path === "direct"));
});

test("nothing is acknowledged before it is on disk", async () => {
  const { world, an, binh } = await pair();
  connect(an, binh);
  await world.clock.pass(500);
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const commit = binh.store.commit.bind(binh.store);
  binh.store.commit = async (rows) => (await held, commit(rows));
  an.say("wait for it");
  await world.clock.pass(2000);
  assert.deepEqual(binh.texts(), [], "shown before it was stored");
  assert.equal(an.of("delivered").filter(({ seq }) => seq >= 2).length, 0, "acknowledged before it was stored");
  release();
  await world.clock.pass(500);
  assert.deepEqual(binh.texts(), ["wait for it"]);
  assert.equal(an.of("delivered").at(-1).seq, 2);
});

test("a failed store of an own message is tried again and the message goes out", async () => {
  const { world, an, binh } = await pair();
  connect(an, binh);
  await world.clock.pass(500);
  let failures = 2;
  an.store.fail = (rows) => {
    if (rows.some(({ entry }) => entry?.kind === 3) && failures-- > 0) throw new Error("disk full");
  };
  an.say("persistent");
  await world.clock.pass(60_000);
  assert.deepEqual(an.texts(), ["persistent"]);
  assert.deepEqual(binh.texts(), ["persistent"]);
  assert.equal(an.log.committed.filter(({ error }) => error).length, 2);
});

test("a core restored from its records goes on where it was", async () => {
  const { world, an, binh } = await pair();
  const first = connect(an, binh);
  await world.clock.pass(500);
  for (let i = 1; i <= 20; i++) (i % 2 ? an : binh).say(`message ${i}`);
  await world.clock.pass(1000);
  first.cut();
  an.shell.stop("restart");

  const again = await createDevice(world, "an", { seed: 1, store: an.store });
  assert.equal(again.core.device, an.core.device);
  assert.ok(again.restored.length >= 22 && again.restored.every(Boolean), "every record fits");
  const stored = binh.store.rows().length;
  connect(again, binh);
  again.say("after the restart");
  await world.clock.pass(1000);
  assert.equal(again.of("deliver").length, 1, "nothing old is delivered again");
  assert.equal(binh.texts().at(-1), "after the restart");
  assert.equal(binh.store.rows().length, stored + 1, "nothing old is sent again");
  assert.equal(again.of("warning").length, 0);
  const ids = (device) => device.store.rows().map(({ id }) => id);
  assert.deepEqual(ids(again), ids(binh));
});

test("a damaged record is left out and comes back by sync", async () => {
  const { world, an, binh } = await pair();
  const first = connect(an, binh);
  await world.clock.pass(500);
  an.say("one");
  an.say("two");
  await world.clock.pass(500);
  first.cut();
  const damaged = createMemoryStore();
  damaged.records = () => {
    const records = binh.store.records().map((record) => record.slice());
    records.at(-1)[records.at(-1).length >> 1] ^= 1;
    return records;
  };
  const again = await createDevice(world, "binh", { seed: 2, store: damaged });
  assert.equal(again.restored.filter((fits) => !fits).length, 1);
  connect(an, again);
  await world.clock.pass(1000);
  assert.equal(again.of("deliver").length, 1);
});

test("the binding of the pipe must be the same on both ends", async () => {
  const { world, an, binh } = await pair();
  connect(an, binh, { binding: "direct A B", otherBinding: "direct A C" });
  await world.clock.pass(1000);
  an.say("secret");
  await world.clock.pass(1000);
  assert.deepEqual(binh.texts(), []);
  assert.ok(an.log.closed.length + binh.log.closed.length > 0);
});

test("garbage closes the link in words and traps nothing", async () => {
  const { world, an } = await pair();
  let closed;
  const pipe = { room: () => 1 << 20, write() {}, close: (text) => (closed = text) };
  for (let seed = 1; seed <= 50; seed++) {
    closed = undefined;
    const link = an.shell.linkUp({ path: "direct", initiator: seed % 2 === 0, binding: "" }, pipe);
    let state = seed * 2654435761;
    const bytes = new Uint8Array(3000).map(() => (state = Math.imul(state ^ (state >>> 15), 2246822519)) >>> 24);
    if (seed % 3 === 0) bytes.set([0x77, 0x70, 0x72, 0x73, 0x01]);
    an.shell.receive(link, bytes);
    await world.clock.pass(12_000);
    assert.ok(closed, `link ${link} is still open with seed ${seed}`);
  }
  an.say("still alive");
  await settle();
  assert.deepEqual(an.texts(), ["still alive"]);
});

test("a slow pipe is asked for nothing while it is full", async () => {
  const { world, an, binh } = await pair();
  let room = 1 << 20;
  const { ends } = connect(an, binh, { room: () => room });
  await world.clock.pass(500);
  room = 0;
  for (let i = 0; i < 50; i++) an.say(`queued ${i}`);
  await world.clock.pass(2000);
  assert.deepEqual(binh.texts(), []);
  room = 1 << 20;
  an.shell.writable(ends.a);
  binh.shell.writable(ends.b);
  await world.clock.pass(2000);
  assert.equal(binh.texts().length, 50);
});

test("many entries are stored in few transactions", async () => {
  const { world, an, binh } = await pair();
  for (let i = 0; i < 1000; i++) an.say(`history ${i}`);
  await world.clock.pass(1000);
  connect(an, binh);
  await world.clock.pass(20_000);
  assert.equal(binh.texts().length, 1000);
  assert.ok(binh.store.groups.length < 100, `${binh.store.groups.length} transactions for 1000 entries`);
});

test("a command that cannot be carried out is an error with a code", async () => {
  const world = await createWorld();
  const an = await createDevice(world, "an", { seed: 1, certified: false });
  const code = (call) => {
    try {
      call();
    } catch (error) {
      return error.code;
    }
  };
  assert.equal(code(() => an.say("no channel")), "NOT_FOUND");
  assert.equal(code(() => an.shell.command({ kind: "certificate", bytes: new Uint8Array(9) })), "MALFORMED");
  assert.equal(
    code(() => an.shell.command({ kind: "join", channel: world.channel, authority: world.tracker, name: "general" })),
    "WRONG_STATE",
  );
});
