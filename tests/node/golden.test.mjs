// The shared vectors (tests/golden) in the wasm core and the page's CBOR reader, as a browser has them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { instantiateWorld } from "./instances.mjs";
import { loadModules, loadSodium, root } from "./load.mjs";

const load = (name) => JSON.parse(readFileSync(join(root, "tests/golden/vectors", `${name}.json`), "utf8"));
const unhex = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const identity = load("identity");
const seedOf = (device) => unhex(identity.devices.find((known) => known.device === device).seed);
const fileBytes = (size) => Uint8Array.from({ length: size }, (_, i) => (i ^ (i >> 8) ^ (i >> 16)) & 255);
const fresh = async () => (await instantiateWorld()).tools;

test("a seed gives the device that the vectors name", async () => {
  for (const { seed, device, name } of identity.devices) {
    const core = (await fresh()).create({ identitySeed: unhex(seed), randomSeed: new Uint8Array(32) }, 0);
    assert.equal(core.device, device, name);
  }
});

test("channel ids, proofs and certificates are written as the vectors say, and read back", async () => {
  const tools = await fresh();
  for (const { spec, id } of identity.channels) assert.equal(tools.channelId(spec), id, JSON.stringify(spec));
  for (const { spec } of identity.bad_channels) assert.throws(() => tools.channelId(spec), ({ code }) => code === "INVALID");
  for (const { seed, nonce, tracker, account, proof } of identity.hello) {
    const signed = Buffer.concat([unhex(nonce), unhex(tracker), Buffer.from(account)]);
    assert.equal(hex(tools.sign(unhex(seed), "weaprous.hello.1", signed)), proof);
  }
  for (const { name, account, device, authority, issued_s: issued, expires_s: expires, hex: bytes } of identity.certificates) {
    const fields = { account, device, authority, issued, expires };
    const later = name === "with fields of a later version"; // which are skipped, and never written
    if (!later) assert.equal(hex(tools.certificateWrite(seedOf(authority), fields)), bytes, name);
    assert.deepEqual(tools.certificateParse(unhex(bytes)), fields, name);
  }
});

test("bad certificates are refused with the vectors' error", async () => {
  const tools = await fresh();
  for (const { name, error, hex: bytes } of identity.bad_certificates) {
    assert.throws(() => tools.certificateParse(unhex(bytes)), (thrown) => thrown.code === error, name);
  }
});

test("a device that writes what the vectors' author wrote writes the same entries", async () => {
  const { author_seed: seed, author, channel, channel_name: name, authority, certificate, feed } = load("entry");
  const core = (await fresh()).create({ identitySeed: unhex(seed), randomSeed: new Uint8Array(32) }, feed[0].time_ms);
  assert.equal(core.device, author);
  core.command({ kind: "certificate", bytes: unhex(certificate) }, feed[0].time_ms);
  let written = 0;
  for (const { kind, seq, time_ms: time, body, hex: wire, id } of feed) {
    const command =
      seq === 1
        ? { kind: "join", channel, authority, name }
        : kind === 2
          ? { kind: "leave", channel }
          : { kind: "send", channel, entryKind: kind, body: unhex(body) };
    core.command(command, time);
    for (let action = core.next(); action; action = core.next()) {
      if (action.kind !== "store") continue;
      if (action.entry) {
        assert.deepEqual(
          { id: action.entry.id, seq: action.entry.seq, kind: action.entry.kind, time: action.entry.time, body: hex(action.entry.body) },
          { id, seq, kind, time, body },
        );
        assert.ok(hex(action.record).includes(wire), `the record of seq ${seq} holds the entry's bytes`);
        written++;
      }
      core.done(action.token, time);
    }
  }
  assert.equal(written, feed.length);
});

test("files have the vectors' hash trees, and only true leaves are proved", async () => {
  const { tree } = await fresh();
  const { files, bad } = load("file");
  for (const { size, root, hashes, proofs } of files) {
    const bytes = fileBytes(size);
    const side = [];
    const builder = tree.begin(size);
    for (let at = 0; at < size; at += 65536) {
      for (const { position, hash } of builder.add(bytes.subarray(at, at + 65536))) side[position] = hex(hash);
    }
    assert.equal(builder.root(), root, `${size} bytes`);
    assert.deepEqual(side, hashes);
    assert.equal(tree.positions(size), hashes.length);
    for (const { leaf, positions, proof } of proofs) {
      assert.deepEqual(tree.siblings(size, leaf), positions);
      assert.ok(tree.verify(root, size, leaf, bytes.subarray(65536 * leaf, 65536 * (leaf + 1)), unhex(proof)));
    }
  }
  for (const { name, root, size, leaf, from, length, changed, proof } of bad) {
    const bytes = fileBytes(from + length).slice(from);
    if (changed !== undefined) bytes[changed] ^= 1;
    assert.ok(!tree.verify(root, size, leaf, bytes, unhex(proof)), name);
  }
});

test("the page's CBOR reader accepts and refuses what the vectors say", async () => {
  const { cborDecode, cborEncode } = await loadModules("cbor");
  const { valid, invalid } = load("cbor");
  for (const { name, hex: bytes } of valid) {
    // JavaScript's numbers end at 2^53, and nothing in the page is larger.
    if (/^1b(00[2-9a-f]|0[1-9a-f]|[1-9a-f])/.test(bytes)) assert.throws(() => cborDecode(unhex(bytes)), name);
    else assert.equal(hex(cborEncode(cborDecode(unhex(bytes)))), bytes, name);
  }
  for (const { name, hex: bytes } of invalid) assert.throws(() => cborDecode(unhex(bytes)), SyntaxError, name);
});

test("the crypto table gives the written verdict on hostile signatures", async () => {
  const { cryptoImports } = await loadModules("sodium");
  const memory = new Uint8Array(4096);
  const table = cryptoImports(await loadSodium(), () => memory);
  const { cases } = load("signature");
  for (const { name, key, signature, message, valid } of cases) {
    memory.set(unhex(signature), 0);
    memory.set(unhex(key), 64);
    memory.set(unhex(message), 96);
    assert.equal(table.verify(0, 64, 96, message.length / 2), valid ? 1 : 0, name);
  }
  assert.ok(cases.some(({ valid }) => valid) && cases.some(({ valid }) => !valid));
});
