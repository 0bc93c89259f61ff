// The wasm core in conversation with a device that is none of ours: the links of tests/golden/oracle.mjs, on noble and
// cborg. What it must answer, and whose link it must end, stands in the shared vectors.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as o from "../golden/oracle.mjs";
import { instantiateWorld } from "./instances.mjs";
import { root } from "./load.mjs";

const load = (name) => JSON.parse(readFileSync(join(root, "tests/golden/vectors", `${name}.json`), "utf8"));
const EMPTY = new Uint8Array(0);
const vectors = load("exchange");
const { time_ms: NOW, channel, channel_name: name, authority } = vectors;

/** A link to the core, made by a device with this seed and certificate; link numbers differ. */
class Peer {
  constructor(core, link, { seed, certificate }) {
    const secret = o.noiseSecret(o.unhex(seed));
    const binding = "direct";
    Object.assign(this, { core, link, closed: undefined, inbox: EMPTY, heard: [] });
    core.linkUp(link, { path: "direct", initiator: false, binding }, NOW);
    const handshake = new o.Handshake({
      initiator: true,
      prologue: o.concat(o.text("weaprous.link.1"), o.text(binding)),
      staticSecret: secret,
      ephemeralSecret: new Uint8Array(32).fill(0x42),
    });
    this.give(o.PREFACE);
    this.give(o.frame(handshake.write(o.XX[0], EMPTY)));
    this.take();
    assert.deepEqual(this.inbox.slice(0, 5), o.PREFACE);
    this.inbox = this.inbox.slice(5);
    const [device, , role] = o.parse(handshake.read(o.XX[1], this.frames()[0]));
    assert.equal(o.hex(device), core.device);
    assert.equal(role, 0);
    const proof = o.sign(o.unhex(seed), o.DOMAIN.link, handshake.s.public);
    this.give(o.frame(handshake.write(o.XX[2], o.cbor([o.device(o.unhex(seed)), proof, 0, o.unhex(certificate)]))));
    this.ciphers = handshake.split();
  }
  give(bytes) {
    const { used, state } = this.core.receive(this.link, bytes, NOW);
    assert.ok(state === "dead" || used === bytes.length, "tests are slower than the core");
  }
  take() {
    for (let bytes; (bytes = this.core.transmit(this.link, 65536, NOW)); ) this.inbox = o.concat(this.inbox, bytes);
  }
  frames() {
    const found = [];
    while (this.inbox.length >= 2) {
      const end = 2 + this.inbox[0] * 256 + this.inbox[1];
      if (this.inbox.length < end) break;
      found.push(this.inbox.slice(2, end));
      this.inbox = this.inbox.slice(end);
    }
    return found;
  }
  say(message) {
    this.give(o.frame(this.ciphers.send.seal(EMPTY, message)));
  }
  listen() {
    if (this.closed) return;
    this.take();
    this.heard.push(...this.frames().map((frame) => this.ciphers.receive.open(EMPTY, frame)));
  }
}

/** Bob's device in the channel of the vectors, and what it is linked to. */
async function world(file) {
  const { tools } = await instantiateWorld();
  const core = tools.create({ identitySeed: o.unhex(vectors.reader.seed), randomSeed: new Uint8Array(32) }, NOW);
  const peers = new Map();
  const [leaf, proof] = [vectors.leaf, o.unhex(vectors.proof)];
  const bytes = Uint8Array.from({ length: vectors.size - 65536 * leaf }, (_, i) => {
    const at = 65536 * leaf + i;
    return (at ^ (at >> 8) ^ (at >> 16)) & 255;
  });
  let writes = 0;
  const act = (action) => {
    if (action.kind === "store") core.done(action.token, NOW);
    if (action.kind === "file-read") core.done(action.token, NOW, { record: o.concat(bytes, proof) });
    if (action.kind === "file-write") {
      assert.deepEqual([action.leaf, action.bytes, action.proof], [leaf, bytes, proof]);
      writes++;
      core.done(action.token, NOW);
    }
    for (const peer of peers.values()) if (action.kind === "close" && action.link === peer.link) peer.closed = action.code;
  };
  const settle = () => {
    for (let round = 0; round < 4; round++) {
      for (let action = core.next(); action; action = core.next()) act(action);
      for (const peer of peers.values()) peer.listen();
      core.tick(NOW);
    }
  };
  core.command({ kind: "certificate", bytes: o.unhex(vectors.reader.certificate) }, NOW);
  core.command({ kind: "join", channel, authority, name }, NOW);
  core.command({ kind: file, channel, root: vectors.root, size: vectors.size }, NOW);
  settle();
  const speaker = (who) => {
    if (!peers.has(who)) {
      peers.set(who, new Peer(core, 7 + peers.size, vectors.speakers[who]));
      settle();
    }
    return peers.get(who);
  };
  return { core, peers, speaker, settle, writes: () => writes };
}

const aboutFiles = (message) => o.parse(message)[0] >= 20;

for (const [file, steps] of [["file-hold", "serving"], ["file-fetch", "fetching"]]) {
  test(`a file is ${steps === "serving" ? "served" : "fetched"} as the vectors say`, async () => {
    const { peers, speaker, settle, writes } = await world(file);
    for (const step of vectors[steps]) {
      const from = speaker(step.from);
      const before = writes();
      for (const peer of peers.values()) peer.heard = [];
      from.say(o.unhex(step.say));
      settle();
      for (const peer of peers.values()) {
        const due = peer === from ? step.answers : [];
        assert.deepEqual(peer.heard.filter(aboutFiles).map(o.hex), due, step.name);
        assert.equal(peer.closed, undefined, step.name);
      }
      assert.equal(writes() - before, step.writes ?? 0, step.name);
    }
  });
}

/** What became of the link on which this was said after CARRY and FILE_ASK. */
async function verdict(message) {
  const { core, speaker, settle } = await world("file-hold");
  const alice = speaker("alice");
  for (const step of [vectors.serving[0], vectors.serving[2]]) alice.say(o.unhex(step.say));
  settle();
  assert.ok(alice.heard.some(aboutFiles));
  alice.say(message);
  settle();
  core.destroy();
  return alice.closed;
}

test("messages about files that the vectors call malformed end the link, odd ones do not", async () => {
  for (const item of vectors.malformed) assert.equal(await verdict(o.unhex(item.hex)), "MALFORMED", item.name);
  for (const item of vectors.harmless) assert.equal(await verdict(o.unhex(item.hex)), undefined, item.name);
});

test("so do all other messages", async () => {
  const { valid, skipped, invalid } = load("message");
  for (const item of invalid) assert.equal(await verdict(o.unhex(item.hex)), "MALFORMED", item.name);
  for (const item of [...valid, ...skipped]) {
    if (item.kind !== 0) assert.equal(await verdict(o.unhex(item.hex)), undefined, item.name);
  }
});

test("prefaces are taken and refused as the vectors say", async () => {
  const { prefaces, bad_prefaces: bad } = load("link");
  const stateAfter = async (bytes) => {
    const { core } = await world("file-hold");
    core.linkUp(7, { path: "direct", initiator: false, binding: "" }, NOW);
    return core.receive(7, o.unhex(bytes), NOW).state;
  };
  for (const bytes of prefaces) assert.equal(await stateAfter(bytes), "ok", bytes);
  for (const item of bad) assert.equal(await stateAfter(item.hex), "dead", item.name);
});
