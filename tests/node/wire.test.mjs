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
    this.session = handshake.h;
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
  const actions = [];
  const act = (action) => {
    actions.push(action);
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
  return { core, peers, speaker, settle, actions, writes: () => writes };
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

/** Bob's device that was given alice's feed by carol; [author, id of the last entry] of both. */
async function withFeed() {
  const w = await world("file-hold");
  const { feed, author } = load("entry");
  const carol = w.speaker("carol");
  carol.say(o.cbor([3, o.unhex(channel), 1]));
  for (const entry of feed) carol.say(o.cbor([6, o.unhex(entry.hex)]));
  w.settle();
  const own = w.actions.find((action) => action.kind === "store" && action.entry?.author === w.core.device).entry;
  const heads = [[o.unhex(author), o.unhex(feed.at(-1).id)], [o.unhex(w.core.device), o.unhex(own.id)]];
  return { ...w, carol, heads };
}

test("a digest has the sums that the protocol says, and equal buckets are not named again", async () => {
  const { speaker, settle, heads } = await withFeed();
  const alice = speaker("alice");
  const told = async (sums) => {
    alice.say(o.cbor([3, o.unhex(channel), 0]));
    alice.say(o.cbor([3, o.unhex(channel), 1]));
    alice.heard = [];
    alice.say(o.cbor([8, o.unhex(channel), sums]));
    settle();
    assert.equal(alice.closed, undefined);
    return alice.heard.map((message) => o.parse(message));
  };
  const right = o.digestSums(alice.session, heads);
  for (const sums of [new Uint8Array(2048), right, o.digestSums(alice.session, heads.slice(1))]) {
    const heard = await told(sums);
    const digest = heard.find(([kind]) => kind === 8);
    assert.equal(o.hex(digest[2]), o.hex(right));
    const after = heard.slice(heard.indexOf(digest)).filter(([kind]) => kind === 4);
    assert.deepEqual(after.map(([, , flags]) => flags), [2]);
    const named = after[0][3].filter((item) => item instanceof Uint8Array).map(o.hex);
    const different = heads.filter(([author]) => [0, 1, 2, 3, 4, 5, 6, 7].some((i) => sums[8 * author[0] + i] !== right[8 * author[0] + i]));
    assert.deepEqual(named.sort(), different.map(([author]) => o.hex(author)).sort());
  }
});

test("what is asked for comes in the order that was asked for", async () => {
  const { carol, settle } = await withFeed();
  const { feed, author } = load("entry");
  const id = o.unhex(channel);
  const answer = (...messages) => {
    carol.heard = [];
    for (const message of messages) carol.say(o.cbor(message));
    settle();
    const said = carol.heard.map((message) => o.parse(message));
    const ofAlice = said.filter(([kind, entry]) => kind === 6 && o.hex(o.parse(o.parse(entry)[0])[3]) === author);
    return { seqs: ofAlice.map(([, entry]) => o.parse(o.parse(entry)[0])[4]), end: said.find(([kind]) => kind === 10) };
  };
  const have = (flags, pairs) => [4, id, flags, pairs];
  const want = (...more) => [5, id, o.unhex(author), ...more];
  assert.deepEqual(answer(want(2, 3)).seqs, [2, 3, 4]);
  assert.deepEqual(answer(want(2, 3, 1)).seqs, [4, 3, 2]);
  assert.deepEqual(answer(want(6, 256)).seqs, [6, 7]);
  const newest = answer(have(3, []), [9, id, 0, 3]); // and the JOIN, for the name
  assert.deepEqual([newest.seqs, newest.end.slice(2)], [[1, 7, 6, 5], [feed[4].time_ms, 1]]);
  const rest = answer([7, id, [o.unhex(author), 5, 7]], have(0, [o.unhex(author), 1]), [9, id, feed[4].time_ms + 1, 64]);
  assert.deepEqual(rest.seqs, [4, 3, 2]);
  assert.equal(rest.end[3], 0);
});

test("a receipt that somebody hands on counts when its signature is right", async () => {
  const [{ actions, carol, core, settle }, other] = [await withFeed(), await withFeed()];
  const about = { channel: o.unhex(channel), author: o.unhex(core.device), from: 1, upto: 1, time: NOW };
  const receipt = o.receipt(o.unhex(vectors.speakers.alice.seed), about);
  carol.say(o.cbor(receipt));
  settle();
  const delivered = actions.find((action) => action.kind === "delivered" && action.path === "none");
  assert.deepEqual([delivered.device, delivered.from, delivered.seq], [o.hex(receipt[6]), 1, 1]);
  const forged = o.receipt(o.unhex(vectors.speakers.alice.seed), { ...about, time: NOW + 1 });
  forged[5] = NOW;
  other.carol.say(o.cbor(forged));
  other.settle();
  assert.equal(other.carol.closed, "SIGNATURE");
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
