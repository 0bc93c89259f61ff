// What a page is told: the connection pill, marks, peers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModules } from "./load.mjs";
import { createClock } from "./world.mjs";

const { createPill, judge, createMarks, createPeers, createBatch } = await loadModules("pill", "marks", "peers", "batch");
const NOW = 1_800_000_000_000;
const facts = (more) => ({ tracker: "online", unsaved: false, answeredAt: NOW, failures: 0, peers: 0, network: true, ...more });

test("green needs a round trip within the last 30 seconds, not an open socket", () => {
  assert.deepEqual(judge(facts({ answeredAt: NOW - 29_000 }), NOW), { state: "online", reason: "ok", peers: 0 });
  assert.notEqual(judge(facts({ answeredAt: NOW - 31_000 }), NOW).state, "online");
});

test("each kind of trouble has its word and reason", () => {
  const word = (more) => {
    const { state, reason } = judge(facts({ answeredAt: 0, ...more }), NOW);
    return `${state} ${reason}`;
  };
  assert.equal(word({ tracker: "idle" }), "connecting starting");
  assert.equal(word({ tracker: "connecting" }), "connecting tracker-connecting");
  assert.equal(word({ tracker: "waiting", failures: 5 }), "offline tracker-unreachable");
  assert.equal(word({ tracker: "waiting", failures: 5, peers: 3 }), "limited tracker-unreachable");
  assert.equal(word({ tracker: "waiting", network: false }), "offline no-network");
  assert.equal(word({ tracker: "waiting", network: false, peers: 1 }), "limited no-network");
  assert.equal(word({ tracker: "logged-out" }), "offline logged-out");
  assert.equal(word({ halted: "other-tab" }), "offline other-tab");
  assert.equal(word({ unsaved: true, answeredAt: NOW }), "limited storage-failed");
  assert.equal(word({ halted: "storage-failed" }), "offline storage-failed");
  assert.equal(judge(facts({ tracker: "waiting", failures: 5, retryAt: NOW + 5 }), NOW).retryAt, NOW + 5);
});

test("trouble is shown after two seconds, recovery at once", async () => {
  const clock = createClock(NOW);
  const shown = [];
  const pill = createPill(clock, ({ state }) => shown.push(state));
  const now = (more) => pill.update(facts({ answeredAt: clock.now(), ...more }));
  now({});
  assert.deepEqual(shown, ["online"]);
  now({ tracker: "waiting", peers: 2 });
  await clock.pass(1900);
  now({});
  await clock.pass(5000);
  assert.deepEqual(shown, ["online"], "a blip is not shown");
  now({ tracker: "waiting", peers: 2 });
  await clock.pass(2000);
  assert.deepEqual(shown, ["online", "limited"]);
  now({});
  assert.deepEqual(shown, ["online", "limited", "online"]);
});

test("a socket that goes quiet turns the pill without any event", async () => {
  const clock = createClock(NOW);
  const pill = createPill(clock, () => {});
  pill.update(facts({ answeredAt: clock.now() }));
  assert.equal(pill.value().state, "online");
  await clock.pass(33_000);
  assert.notEqual(pill.value().state, "online");
});

test("a mark says the best that is certain, and never more than a holder has", () => {
  const marks = createMarks("an");
  const held = (device, account, seq, { replica = false, from = 1 } = {}) => ({ channel: "c", device, account, replica, from, seq });
  const mark = (...of) => marks.take(held(...of))?.mark;
  assert.equal(marks.of("c", 1), "queued");
  assert.equal(mark("t", "", 3, { replica: true }), "handed");
  assert.equal(mark("own phone", "an", 4), "handed");
  assert.equal(mark("b", "binh", 2), "delivered");
  assert.equal(mark("b", "binh", 2), undefined, "nothing new");
  assert.equal(mark("b", "binh", 1), undefined, "never backwards");
  const all = (count) => Array.from({ length: count }, (_, i) => marks.of("c", i + 1));
  assert.deepEqual(all(5), ["delivered", "delivered", "handed", "handed", "queued"]);
  assert.deepEqual(marks.holders("c", 3).map(({ device }) => device), ["t", "own phone"]);
  assert.equal(marks.of("other", 1), "queued");
});

test("who took the newest first holds those, and what came before stays marked", () => {
  const marks = createMarks("an");
  const take = (from, seq) => marks.take({ channel: "c", device: "b", account: "binh", replica: false, from, seq });
  const delivered = () => [1, 2, 3, 4, 5, 6, 7, 8].filter((seq) => marks.of("c", seq) === "delivered");
  take(1, 2);
  assert.deepEqual(take(6, 7).row.island, [6, 7]);
  assert.deepEqual(delivered(), [1, 2, 6, 7]);
  take(7, 8);
  assert.deepEqual(delivered(), [1, 2, 6, 7, 8]);
  assert.equal(take(6, 8), undefined, "nothing new");
  assert.equal(take(1, 5).row.seq, 8, "the gap has closed");
  assert.deepEqual(delivered(), [1, 2, 3, 4, 5, 6, 7, 8]);
  const again = createMarks("an");
  again.restore([{ channel: "c", device: "b", account: "binh", replica: false, seq: 2, island: [6, 7] }]);
  assert.deepEqual([2, 3, 6].map((seq) => again.of("c", seq)), ["delivered", "queued", "delivered"]);
});

function peerScene() {
  const told = [];
  const saved = [];
  const options = { self: "me", account: "an", now: () => NOW, changed: (peer) => told.push(peer), save: (row) => saved.push(row) };
  const peers = createPeers(options);
  return { peers, told, saved, one: (device) => peers.list().find((peer) => peer.device === device) };
}
const online = (device, account) => ({ device, account, label: "Test", status: "online" });

test("presence is the tracker's word, unknown without it, and a link is its own proof", () => {
  const { peers, told, one } = peerScene();
  peers.presence(true, [online("b", "binh"), online("c", "chi"), online("me", "an")]);
  assert.equal(one("me"), undefined);
  peers.linked("b", "binh", false, "direct", 12);
  assert.deepEqual([one("b").presence, one("b").path, one("b").rttMs], ["online", "direct", 12]);
  assert.equal(peers.linkedOthers(), 1);
  peers.trackerDown();
  assert.deepEqual([one("b").presence, one("c").presence], ["online", "unknown"]);
  peers.linked("b", "", false, "none");
  assert.deepEqual([one("b").presence, one("b").account, one("b").rttMs], ["unknown", "binh", undefined]);
  peers.presence(true, [online("b", "binh")]);
  assert.deepEqual([one("b").presence, one("c").presence], ["online", "offline"]);
  const before = told.length;
  peers.presence(false, [online("b", "binh")]);
  assert.equal(told.length, before, "nothing changed, nothing told");
});

test("nobody is being connected to who has left, though the attempt goes on for a while", () => {
  const { peers, told, one } = peerScene();
  peers.presence(true, [online("b", "binh")]);
  peers.connecting("b", true);
  assert.equal(one("b").connecting, true);
  peers.presence(false, [{ ...online("b", "binh"), status: "offline", seen_ms: NOW }]);
  assert.deepEqual([one("b").presence, one("b").connecting], ["offline", false]);
  assert.deepEqual([told.at(-1).presence, told.at(-1).connecting], ["offline", false]);
});

test("the replica and devices without a name are no members; own other devices do not count as others", () => {
  const { peers, one } = peerScene();
  peers.linked("t", "", true, "tracker");
  peers.linked("phone", "an", false, "direct");
  peers.connecting("stranger", true);
  assert.deepEqual(peers.list().map(({ device }) => device), ["phone"]);
  assert.equal(peers.linkedOthers(), 0);
  peers.author("stranger", "chi");
  assert.equal(one("stranger").connecting, true);
  peers.linked("stranger", "chi", false, "relay");
  assert.equal(one("stranger").connecting, false);
});

test("rows that wait are written together, the last of each key, and at once when asked", async () => {
  const clock = createClock(NOW);
  const written = [];
  const batch = createBatch(clock, 500, async (rows) => void written.push(rows));
  batch.put("a", 1);
  batch.put("b", 2);
  batch.put("a", 3);
  await clock.pass(499);
  assert.deepEqual(written, []);
  await clock.pass(1);
  assert.deepEqual(written, [[3, 2]]);
  batch.put("c", 4);
  await batch.flush();
  await clock.pass(1000);
  assert.deepEqual(written, [[3, 2], [4]]);
});
