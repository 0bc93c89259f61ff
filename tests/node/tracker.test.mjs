// The tracker's socket as a state machine, against a scripted other side and a clock that the test moves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModules } from "./load.mjs";
import { createClock } from "./world.mjs";

const { createTracker } = await loadModules("tracker");
const WELCOME = { type: "welcome", tracker: "aa".repeat(32), account: "an", nonce: "bb".repeat(32), version: "0.1.0", channels: [] };

/** A tracker with sockets that the test plays. */
function scene({ session = async () => true } = {}) {
  const clock = createClock();
  const sockets = [];
  const log = [];
  const hooks = {};
  for (const name of ["welcome", "online", "presence", "signal", "relayOpened", "relayClosed", "bytes", "down"]) {
    hooks[name] = (...args) => log.push([name, ...args]);
  }
  hooks.changed = () => {};
  const open = () => {
    const socket = { bufferedAmount: 0, sent: [], closed: false, send: (data) => socket.sent.push(data), close: () => (socket.closed = true) };
    sockets.push(socket);
    return socket;
  };
  const tracker = createTracker({ open, session, clock, random: () => 1, hooks });
  const last = () => sockets.at(-1);
  const say = (message) => last().onmessage({ data: JSON.stringify(message) });
  const asked = () => last().sent.filter((data) => typeof data === "string").map((data) => JSON.parse(data));
  const answer = (more = {}) => {
    const { id, type } = asked().at(-1);
    say({ type, id, status: "success", ...more });
  };
  const online = async () => {
    say(WELCOME);
    tracker.greet("cc".repeat(32), "dd".repeat(64), "test");
    answer({ certificate: "0102", expires_s: 60 });
    await clock.pass(0);
  };
  return { clock, sockets, log, tracker, last, say, asked, answer, online, names: () => log.map(([name]) => name) };
}

test("connects, greets and is online", async () => {
  const { tracker, log, online, asked, names } = scene();
  tracker.start();
  assert.equal(tracker.state(), "connecting");
  await online();
  assert.equal(tracker.state(), "online");
  assert.deepEqual(asked()[0], { type: "hello", id: 1, device: "cc".repeat(32), proof: "dd".repeat(64), label: "test" });
  assert.deepEqual(names(), ["welcome", "online"]);
  assert.deepEqual(log[1][1], Uint8Array.of(1, 2));
});

test("reconnects with growing pauses, and at once when asked", async () => {
  const { tracker, sockets, clock, last } = scene();
  tracker.start();
  const pauses = [];
  for (let i = 0; i < 21; i++) {
    const before = clock.now();
    last().onclose();
    assert.equal(tracker.state(), "waiting");
    pauses.push(tracker.retryAt() - before);
    await clock.pass(tracker.retryAt() - before);
    assert.equal(sockets.length, i + 2);
  }
  assert.deepEqual(pauses, [500, 1000, 2000, ...new Array(17).fill(3000), 15000]);
  last().onclose();
  tracker.retry();
  assert.equal(sockets.length, 23);
  assert.equal(tracker.state(), "connecting");
});

test("a socket that never answers is given up", async () => {
  const { tracker, sockets, clock } = scene();
  tracker.start();
  await clock.pass(11_000);
  assert.equal(sockets[0].closed, true);
  assert.ok(sockets.length > 1);
});

test("an online tracker that goes silent is asked, then given up, and the links inside are told", async () => {
  const { tracker, clock, online, asked, answer, names, sockets } = scene();
  tracker.start();
  await online();
  await clock.pass(12_000);
  assert.equal(asked().at(-1).type, "ping");
  answer();
  assert.equal(tracker.answeredAt(), clock.now());
  await clock.pass(12_000);
  assert.equal(asked().filter(({ type }) => type === "ping").length, 2);
  await clock.pass(7_900);
  assert.equal(tracker.state(), "online");
  assert.ok(!names().includes("down"));
  await clock.pass(100);
  assert.equal(tracker.state(), "waiting");
  assert.equal(sockets[0].closed, true);
  assert.ok(names().includes("down"));
});

test("what is pushed is no round trip, but it is not silence either", async () => {
  const { tracker, clock, online, say, asked } = scene();
  tracker.start();
  await online();
  const answered = tracker.answeredAt();
  for (let i = 0; i < 12; i++) {
    await clock.pass(5000);
    say({ type: "presence", full: false, devices: [] });
  }
  assert.equal(tracker.answeredAt(), answered);
  assert.equal(tracker.state(), "online");
  assert.ok(asked().filter(({ type }) => type === "ping").length >= 3, "it goes on asking");
});

test("a welcome that is not in the agreed form ends the socket", async () => {
  for (const broken of [{ tracker: "aa" }, { account: "" }, { nonce: "zz" }, { channels: null }, { channels: [{ id: "x", name: "general" }] }]) {
    const { tracker, say, names } = scene();
    tracker.start();
    say({ ...WELCOME, ...broken });
    assert.equal(tracker.state(), "waiting", JSON.stringify(broken));
    assert.deepEqual(names(), []);
  }
});

test("without a session it stops trying until asked to", async () => {
  const { tracker, clock, sockets, last } = scene({ session: async () => false });
  tracker.start();
  last().onclose();
  await clock.pass(0);
  assert.equal(tracker.state(), "logged-out");
  await clock.pass(60_000);
  assert.equal(sockets.length, 1);
  tracker.retry();
  assert.equal(tracker.state(), "connecting");
});

test("a server that cannot be asked about the session is tried again", async () => {
  const { tracker, clock, sockets, last } = scene({ session: async () => Promise.reject(new Error("no network")) });
  tracker.start();
  last().onclose();
  await clock.pass(600);
  assert.equal(sockets.length, 2);
});

test("a goodbye says what to do: log in again, or come back later", async () => {
  const { tracker, clock, say, online, last, sockets, names } = scene();
  tracker.start();
  await online();
  say({ type: "goodbye", reason: "replaced", message: "" });
  last().onclose();
  assert.ok(names().includes("down"));
  assert.equal(tracker.retryAt() - clock.now(), 5000);
  await clock.pass(5000);
  await online();
  say({ type: "goodbye", reason: "logged-out", message: "" });
  assert.equal(tracker.state(), "logged-out");
  await clock.pass(60_000);
  assert.equal(sockets.length, 2);
});

test("requests are answered by id, refused in words, and fail when the socket goes", async () => {
  const { tracker, say, online, asked, last } = scene();
  tracker.start();
  await online();
  const opened = tracker.relayOpen("ee".repeat(32));
  const refused = tracker.relayOpen("ff".repeat(32));
  const lost = tracker.signal("ee".repeat(32), { attempt: "x", candidate: null });
  const [, first, second] = asked();
  say({ type: "relay-open", id: second.id, status: "error", message: "That device is not online." });
  say({ type: "relay-open", id: first.id, status: "success", relay: 9 });
  assert.equal(await opened, 9);
  await assert.rejects(refused, /not online/);
  last().onclose();
  await assert.rejects(lost);
});

test("binary frames carry the relay's number before the link's bytes", async () => {
  const { tracker, log, online, last } = scene();
  tracker.start();
  await online();
  tracker.bytes(258, Uint8Array.of(7, 8));
  assert.deepEqual(last().sent.at(-1), Uint8Array.of(0, 0, 1, 2, 7, 8));
  last().onmessage({ data: Uint8Array.of(0, 0, 0, 0, 5, 6).buffer });
  assert.deepEqual(log.at(-1), ["bytes", 0, Uint8Array.of(5, 6)]);
  last().bufferedAmount = 1 << 30;
  assert.equal(tracker.room(), 0);
});

test("the pause that a goodbye or a refusal names is kept, within bounds", async () => {
  let pause = 4321;
  const { tracker, clock, sockets, last, say, online } = scene({ session: async () => pause });
  tracker.start();
  await online();
  say({ type: "goodbye", reason: "shutting-down", message: "", retry_ms: 1234 });
  last().onclose();
  assert.equal(tracker.retryAt(), clock.now() + 1234);
  await clock.pass(1234);
  assert.equal(sockets.length, 2);
  last().onclose(); // refused
  await clock.pass(0);
  assert.equal(tracker.state(), "waiting");
  assert.equal(tracker.retryAt(), clock.now() + 4321);
  await clock.pass(4321);
  pause = 10 ** 9;
  last().onclose();
  await clock.pass(0);
  assert.equal(tracker.retryAt(), clock.now() + 60_000);
});
