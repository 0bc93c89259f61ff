// The shell's loop against a core that the test plays: what the real one does rarely or never.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadModules } from "./load.mjs";
import { createClock, settle } from "./world.mjs";

const { createShell } = await loadModules("shell");

/** A core whose actions, appetite and words are set by the test. */
function scene(overrides = {}) {
  const clock = createClock();
  const actions = [];
  const log = { calls: [], crashed: [], closed: [], destroyed: 0, done: [] };
  const core = {
    device: "00".repeat(32),
    restore: () => true,
    linkUp: (link) => log.calls.push(["up", link]),
    linkDown: (link) => log.calls.push(["down", link]),
    receive: (_link, bytes) => ({ used: bytes.length, state: "ok" }),
    transmit: () => undefined,
    command: () => 1,
    done: (token, _now, result) => log.done.push([token, result]),
    tick: () => log.calls.push(["tick"]),
    deadline: () => Number.POSITIVE_INFINITY,
    next: () => actions.shift(),
    destroy: () => log.destroyed++,
    ...overrides,
  };
  const store = { commit: async () => {}, read: async (keys) => keys.map(() => undefined) };
  const shell = createShell(core, store, clock, {
    action: (action) => log.calls.push([action.kind]),
    crashed: (error) => log.crashed.push(error.message),
    linkClosed: (link, code) => log.closed.push([link, code]),
  });
  const pipe = (more) => ({ room: () => 1 << 20, written: [], write(bytes) { this.written.push(bytes); }, close(text) { this.closed = text; }, ...more });
  const link = { path: "direct", initiator: true, binding: "" };
  return { clock, core, store, shell, actions, log, pipe, link };
}

test("a core that traps is reported once, its pipes are closed, and nothing is asked of it again", async () => {
  const { shell, core, log, pipe, link, clock } = scene();
  const carrier = pipe();
  shell.linkUp(link, carrier);
  core.receive = () => {
    throw new Error("unreachable");
  };
  shell.receive(1, Uint8Array.of(1));
  assert.deepEqual(log.crashed, ["unreachable"]);
  assert.equal(carrier.closed, "the core failed");
  assert.equal(log.destroyed, 1);
  shell.receive(1, Uint8Array.of(1));
  shell.stop("again");
  await clock.pass(1000);
  assert.equal(log.destroyed, 1);
  assert.throws(() => shell.command({ kind: "network" }), { code: "CLOSED" });
  assert.throws(() => shell.linkUp(link, pipe()), { code: "CLOSED" });
});

test("a busy core gets the rest of the bytes, in order, when a store has ended", async () => {
  const took = [];
  let room = 3;
  const { shell, actions, pipe, link, store } = scene({
    receive(_link, bytes) {
      const used = Math.min(room, bytes.length);
      took.push(...bytes.subarray(0, used));
      room -= used;
      return { used, state: used < bytes.length ? "busy" : "ok" };
    },
    done: () => (room += 4),
  });
  let finish;
  store.commit = () => new Promise((resolve) => (finish = resolve));
  shell.linkUp(link, pipe());
  actions.push({ kind: "store", token: 1, record: new Uint8Array(1), channel: "c" });
  shell.receive(1, Uint8Array.of(1, 2, 3, 4, 5));
  shell.receive(1, Uint8Array.of(6, 7));
  await settle();
  assert.deepEqual(took, [1, 2, 3]);
  finish();
  await settle();
  assert.deepEqual(took, [1, 2, 3, 4, 5, 6, 7]);
});

test("a pipe that brings more than can be taken is closed", async () => {
  const { shell, pipe, link, log } = scene({ receive: () => ({ used: 0, state: "busy" }) });
  const carrier = pipe();
  const number = shell.linkUp(link, carrier);
  for (let i = 0; i < 9; i++) shell.receive(number, new Uint8Array(1 << 20));
  assert.deepEqual(log.closed, [[number, "FULL"]]);
  assert.ok(carrier.closed);
});

test("links take turns, one piece each, as far as their pipes have room", () => {
  const left = { 1: 3, 2: 3 };
  const { shell, actions, pipe, link } = scene({
    transmit: (number) => (left[number]-- > 0 ? new Uint8Array(10) : undefined),
  });
  const order = [];
  let roomOfSecond = 1 << 20;
  shell.linkUp(link, pipe({ write: () => order.push(1) }));
  shell.linkUp(link, pipe({ write: () => (order.push(2), (roomOfSecond = 0)), room: () => roomOfSecond }));
  actions.push({ kind: "writable", link: 1 }, { kind: "writable", link: 2 });
  shell.command({ kind: "network" });
  assert.deepEqual(order, [1, 2, 1, 1]);
  roomOfSecond = 1 << 20;
  shell.writable(2);
  assert.deepEqual(order, [1, 2, 1, 1, 2]);
});

test("stores that come while one is written go together into the next transaction, in order", async () => {
  const { shell, actions, store, log } = scene();
  const groups = [];
  const ends = [];
  store.commit = (rows) => (groups.push(rows.map(({ token }) => token)), new Promise((resolve, reject) => ends.push({ resolve, reject })));
  const give = (...tokens) => {
    for (const token of tokens) actions.push({ kind: "store", token, record: new Uint8Array(1), channel: "c" });
    shell.command({ kind: "network" });
  };
  give(1);
  give(2, 3);
  give(4);
  assert.deepEqual(groups, [[1]]);
  ends[0].resolve();
  await settle();
  assert.deepEqual(groups, [[1], [2, 3, 4]]);
  ends[1].reject(new DOMException("full", "QuotaExceededError"));
  await settle();
  assert.deepEqual(log.done, [[1, {}], ...[2, 3, 4].map((token) => [token, { failed: "DISK_FULL" }])]);
});

test("the core is ticked when it wants to be", async () => {
  const { shell, core, log, clock } = scene();
  let due = clock.now() + 500;
  core.deadline = () => due;
  core.tick = () => {
    log.calls.push(["tick"]);
    due = Number.POSITIVE_INFINITY;
  };
  shell.command({ kind: "network" });
  await clock.pass(499);
  assert.deepEqual(log.calls, []);
  await clock.pass(1);
  assert.deepEqual(log.calls, [["tick"]]);
});
