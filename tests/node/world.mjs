// A few browser cores in one process: wasm instances, shells with stores in memory, pipes between them, and a
// clock that only the test moves.
import { instantiateWorld } from "./instances.mjs";

export const TRACKER_SEED = new Uint8Array(32).fill(7);

export function createClock(start = 1_800_000_000_000) {
  let now = start;
  const timers = [];
  return {
    now: () => now,
    after(ms, call) {
      const timer = { at: now + Math.max(0, ms), call };
      timers.push(timer);
      return () => {
        const at = timers.indexOf(timer);
        if (at >= 0) timers.splice(at, 1);
      };
    },
    /** Runs all timers of the next `ms` milliseconds in their order, letting promises finish in between. */
    async pass(ms) {
      const end = now + ms;
      for (;;) {
        await settle();
        timers.sort((a, b) => a.at - b.at);
        const next = timers[0];
        if (!next || next.at > end) break;
        timers.shift();
        now = Math.max(now, next.at);
        next.call();
      }
      now = end;
      await settle();
    },
  };
}

/** Everything that promises still have to say. */
export async function settle() {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** A store in memory; `fail(rows)` may throw, and then nothing of the group is kept. */
export function createMemoryStore() {
  const channels = new Map();
  const entries = new Map();
  const keyOf = ({ channel, author, seq }) => `${channel}/${author}/${String(seq).padStart(12, "0")}`;
  return {
    groups: [],
    fail: undefined,
    async commit(rows) {
      this.groups.push(rows.length);
      await Promise.resolve();
      this.fail?.(rows);
      for (const { channel, record, entry } of rows) {
        if (entry) entries.set(keyOf(entry), { ...entry, record });
        else channels.set(channel, record);
      }
    },
    async read(keys) {
      return keys.map((key) => entries.get(keyOf(key))?.record);
    },
    /** Records in the order that a restore wants. */
    records() {
      return [...channels.values(), ...[...entries.keys()].sort().map((key) => entries.get(key).record)];
    },
    rows: () => [...entries.keys()].sort().map((key) => entries.get(key)),
  };
}

/** Rows of files and leaves in memory; a leaf more than `room` finds a full disk. */
export function createLeafRows() {
  const files = new Map();
  const leaves = new Map();
  return {
    room: Infinity,
    writes: [],
    files: async () => [...files.values()],
    saveFile: async (row) => void files.set(row.root, row),
    dropFile: async (root) => void files.delete(root),
    leaf: async (root, leaf) => leaves.get(`${root}/${leaf}`),
    async saveLeaf(row) {
      if (leaves.size >= this.room) throw new DOMException("full", "QuotaExceededError");
      this.writes.push(row.leaf);
      leaves.set(`${row.root}/${row.leaf}`, { ...row });
    },
    leaves: async (root) => [...leaves.values()].filter((row) => row.root === root).map(({ leaf }) => leaf),
  };
}

/** One device: certified by the world's tracker and in its channel, unless told otherwise. */
export async function createDevice(world, account, { seed, store = createMemoryStore(), certified = true, open, config = {}, leaves } = {}) {
  const { tools, shellOf } = await instantiateWorld();
  const identitySeed = new Uint8Array(32).fill(seed);
  const core = tools.create({ identitySeed, randomSeed: new Uint8Array(32).fill(seed + 100), ...config }, world.clock.now());
  const restored = store.records().map((record) => core.restore(record, world.clock.now()));
  const log = { actions: [], closed: [], committed: [] };
  const shell = shellOf(core, store, world.clock, {
    leaves,
    action: (action) => log.actions.push(action),
    committed: (rows, error) => log.committed.push({ rows, error }),
    linkClosed: (link, code, text) => log.closed.push({ link, code, text }),
    crashed(error) {
      throw error;
    },
  });
  if (certified) {
    const now = Math.floor(world.clock.now() / 1000);
    const fields = { account, device: core.device, authority: world.tracker, issued: now - 60, expires: now + 86400 };
    shell.command({ kind: "certificate", bytes: tools.certificateWrite(TRACKER_SEED, fields) });
    if (open) shell.command({ kind: "open", ...open });
    else shell.command({ kind: "join", channel: world.channel, authority: world.tracker, name: "general" });
  }
  const texts = (which = () => true) =>
    log.actions.filter(({ kind, entry }) => kind === "deliver" && entry.kind === 3 && which(entry)).map(({ entry }) => world.textOf(entry));
  const say = (text) => shell.command({ kind: "send", channel: world.channel, entryKind: 3, body: world.bodyOf(text) });
  return { account, core, shell, store, log, restored, texts, say, of: (kind) => log.actions.filter((a) => a.kind === kind) };
}

/** A pipe between two devices; bytes arrive in the next turn of Node's loop. */
export function connect(a, b, { binding = "test", otherBinding = binding, path = "direct", room = () => 1 << 20 } = {}) {
  const ends = {};
  const pipe = (to) => ({
    room,
    write: (bytes) => setImmediate(() => ends[to] !== undefined && (to === "b" ? b : a).shell.receive(ends[to], bytes)),
    close: () => setImmediate(() => cut()),
  });
  const cut = () => {
    for (const [name, device] of [["a", a], ["b", b]]) {
      const link = ends[name];
      delete ends[name];
      if (link !== undefined) device.shell.linkDown(link);
    }
  };
  ends.a = a.shell.linkUp({ path, initiator: true, expected: b.core.device, binding }, pipe("b"));
  ends.b = b.shell.linkUp({ path, initiator: false, expected: a.core.device, binding: otherBinding }, pipe("a"));
  return { cut, ends };
}

export async function createWorld() {
  const { tools, modules } = await instantiateWorld();
  const tracker = tools.create({ identitySeed: TRACKER_SEED, randomSeed: TRACKER_SEED }, 0);
  const id = tracker.device;
  tracker.destroy();
  return {
    clock: createClock(),
    tracker: id,
    channel: tools.channelId({ type: "public", authority: id, name: "general" }),
    bodyOf: (text) => modules.cborEncode([new TextEncoder().encode(text)]),
    textOf: (entry) => new TextDecoder().decode(modules.cborDecode(entry.body)[0]),
  };
}
