// One account's device in this browser: core, store, links, and what a page is told of them. Lives in the worker.
// Opening takes three steps: the database, the lease (another tab may be this device now), the core from its records.
import { concat, fromHex, randomBytes, toHex, toUtf8, type Bytes } from "./bytes";
import { createBatch } from "./batch";
import type { Clock } from "./clock";
import { BODY_BYTES_MAX, ENTRY, type CoreTools, type Entry } from "./core";
import { nodeError } from "./errors";
import { createChannels } from "./channels";
import { createReading } from "./reading";
import { createRooms } from "./rooms";
import type { EntryRow } from "./idb";
import { acquireLease, isLeaseLost, type Lease } from "./lease";
import { createLinks, type Links, type RtcTab } from "./links";
import { createFiles } from "./files";
import { createFriends } from "./friends";
import { createGaps } from "./gaps";
import { createMarks, type Held } from "./marks";
import { messageOf, rowOf, textBody } from "./messages";
import { createPeers } from "./peers";
import type { Switches } from "./protocol";
import { createTalks, type TalkCommands } from "./talks";
import { createShell, type NodeAction, type Shell, type StoreRequest } from "./shell";
import { openStore, type Store } from "./store";
import type { PresenceDevice, Tracker, Welcome } from "./tracker";
import type { Channel, Commands, Events, Id, Message, NodeError, Peer, News } from "./api";

export type DeviceState = "opening" | "other-tab" | "ready" | "storage-failed" | "closed";

export interface DeviceOptions {
  account: string;
  tools: CoreTools;
  tracker: Tracker;
  clock: Clock;
  /** Gets what goes into the core: a trace. */
  trace?: ((piece: Bytes) => void) | undefined;
  /** There is one worker for the whole browser. */
  singleton: boolean;
  label: string;
  switches: () => Switches;
  tab: () => RtcTab | undefined;
  emit: <E extends keyof Events>(name: E, value: Events[E]) => void;
  /** The state or the number of linked peers has changed. */
  changed: () => void;
  /** This device cannot go on and is to be opened again: the core failed, another tab took the lease, or the
   *  browser took the storage away (a full disk closes databases). */
  broken: (why?: "storage-failed") => void;
}

export type DeviceCommands = Pick<Commands, "history" | "send" | "gaps" | "holders" | "markRead"> & TalkCommands;

export interface Device {
  readonly account: string;
  state(): DeviceState;
  /** The last attempt to write failed. */
  unsaved(): boolean;
  id(): Id;
  channels(): Channel[];
  peers(): Peer[];
  linkedOthers(): number;
  links(): Links | undefined;
  commands: DeviceCommands;
  /** Proves this device to the tracker, as soon as it is open; `current` says whether that is still wanted. */
  greet(welcome: Welcome, current: () => boolean): Promise<void>;
  online(certificate: Bytes): void;
  /** The tracker takes this device no more: what it has here is removed, and it begins again as a new one. */
  revoked(): Promise<void>;
  presence(full: boolean, devices: PresenceDevice[]): void;
  /** What the tracker tells of itself. */
  news(news: News): void;
  trackerDown(): void;
  networkChanged(): void;
  /** Resolves when everything is written and the lease is free. */
  close(text: string): Promise<void>;
}

const HELLO_DOMAIN = "weaprous.hello.1";
const RENEW_AFTER = 0.75;
const RENEW_MIN_MS = 60_000;
const ROOM_POLL_MS = 100;
const SAVE_DELAY_MS = 500;
const SHOWN_AGAIN_MAX = 500;

/** Everything that exists once the device is open. */
type Open = Awaited<ReturnType<typeof openParts>>;

async function openParts(options: DeviceOptions, store: Store) {
  const { account, tools, clock, emit, changed, broken } = options;
  const identity = await store.identity();
  const { trace } = options;
  const seeds = { identitySeed: identity.seed, randomSeed: randomBytes(32) };
  const core = tools.create({ ...seeds, ...(trace ? { trace } : {}) }, clock.now());
  /** The tracker of now, for conversations that are begun. */
  const tracker = { id: identity.tracker };
  let damaged = 0;
  await store.restore((record) => {
    if (!core.restore(record, clock.now())) damaged++;
  });
  if (damaged > 0) emit("warning", { code: "CORRUPT", text: `${damaged} stored records do not fit and were left out` });

  const marks = createMarks(account);
  marks.restore(await store.marks());
  const markBatch = createBatch(clock, SAVE_DELAY_MS, store.saveMarks);
  const peerBatch = createBatch(clock, SAVE_DELAY_MS, store.savePeers);
  const peers = createPeers({
    self: core.device,
    account,
    now: () => Math.round(clock.now()),
    changed: (peer) => {
      emit("peer", peer);
      changed();
    },
    save: (row) => peerBatch.put(row.device, row),
  });
  peers.restore(await store.peers());
  const channels = await createChannels({
    store,
    account,
    tracker: identity.tracker,
    changed: (channel) => emit("channel", channel),
  });

  const gaps = createGaps((gap) => emit("gap", gap));

  /** Own texts on their way to the disk: SEND's token to whoever waits. */
  const sending = new Map<number, { resolve: (message: Message) => void; reject: (error: Error) => void }>();
  /** Questions for older entries by the command's token: who waits for the number of those that came; or that
   *  number, when the answer was there before the command had returned. */
  const asking = new Map<number, number | ((came: number) => void)>();
  function answered(token: number, came: number): void {
    const waiting = asking.get(token);
    asking.delete(token);
    if (typeof waiting === "function") waiting(came);
    else asking.set(token, came);
  }
  /** A row as the core shows it now: since it was stored a key may have come, or a moderator may have hidden it. */
  function look(row: EntryRow): EntryRow {
    const view = core.view(row.record);
    return view ? { ...row, body: view.body, locked: view.locked, withdrawn: view.withdrawn, hidden: view.hidden } : row;
  }

  async function showAgain(channel: Id): Promise<void> {
    const { rows } = await store.history(channel, undefined, SHOWN_AGAIN_MAX);
    for (const row of rows) emit("message", messageOf(look(row), account, markOf(row), channels.authority(row.channel)));
  }

  const markOf = (entry: { author: Id; channel: Id; seq: number }): Message["mark"] =>
    entry.author === core.device ? marks.of(entry.channel, entry.seq) : undefined;
  const nameOf = (device: Id): string => peers.account(device) ?? "";

  function deliver(entry: Entry, token: number): void {
    peers.author(entry.author, entry.account);
    const message = messageOf({ ...entry, fromAccount: nameOf(entry.from) }, account, markOf(entry), channels.authority(entry.channel));
    channels.delivered(message);
    emit("message", message);
    sending.get(token)?.resolve(message);
    sending.delete(token);
  }

  function delivered(held: Held): void {
    const news = marks.take(held);
    if (!news) return;
    const { channel, device, from, seq } = held;
    markBatch.put(`${channel}/${device}`, news.row);
    emit("delivered", { channel, from, seq, mark: news.mark });
  }

  function act(action: NodeAction): void {
    switch (action.kind) {
      case "deliver":
        return deliver(action.entry, action.token);
      case "delivered": {
        const { kind: _, path: __, ...held } = action;
        return delivered({ ...held, account: held.account || nameOf(held.device) });
      }
      case "connect":
        return links.connect(action.device, action.path);
      case "peer":
        return peers.linked(action.device, action.account, action.replica, action.path, action.rttMs);
      case "channel":
        return talks.brought(action.channel, action.spec, action.removed);
      case "session":
        return talks.session(action);
      case "unlocked":
        return void showAgain(action.channel);
      case "history":
        return answered(action.token, action.count);
      case "signal":
        return links.signalBytes(action.device, action.bytes);
      case "gap": {
        const { kind: _, ...gap } = action;
        return gaps.take({ ...gap, account: gap.account || nameOf(gap.author) });
      }
      case "warning": {
        const { kind: _, ...warning } = action;
        return emit("warning", warning);
      }
    }
  }

  /** Whoever waits for the core to have room for more. */
  const waiting: (() => void)[] = [];
  const room = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      clock.after(ROOM_POLL_MS, resolve);
    });
  let unsaved = false;

  const wake = (): void => waiting.splice(0).forEach((go) => go());

  function committed(error: unknown): void {
    wake();
    const failing = error !== undefined;
    if (failing !== unsaved) {
      unsaved = failing;
      changed();
    }
    if (!failing) return;
    if (isLeaseLost(error)) return broken();
    emit("warning", { code: "STORAGE", text: `The browser could not save messages: ${String(error)}` });
  }

  const commitRows = (rows: StoreRequest[]): Promise<void> =>
    store.commit(
      rows.map(({ channel, record, entry }) =>
        entry ? { entry: rowOf(entry, record, nameOf(entry.from)) } : { channel: { channel, record } },
      ),
    );
  const files = createFiles(store, tools.tree);
  const friends = createFriends({
    clock,
    ask: options.tracker.ask,
    relations: () => talks.relations(),
    relate: (other, relation) => talks.relate(other, relation),
    partners: () => talks.partners(),
    certificate(bytes) {
      try {
        shell.command({ kind: "device", certificate: bytes });
      } catch {
        // Another tracker's, or more devices than the core keeps.
      }
    },
    introduced(channel, device, name) {
      peers.author(device, name);
      tellPeer(shell, device, true, channel);
    },
  });
  const talks = await createTalks({
    rows: store,
    account,
    shell: () => shell,
    channelId: tools.channelId,
    authority: () => tracker.id,
    online: (name) => peers.list().some((peer) => peer.account === name && peer.presence === "online"),
    changed(session) {
      friends.session(session);
      emit("session", session);
    },
    opened(channel, other, authority) {
      friends.opened(other);
      channels.joined(channel, `@${other}`, authority, "direct");
    },
  });
  const shell: Shell = createShell(core, { commit: commitRows, read: store.read }, clock, {
    leaves: files,
    action: act,
    storing(entry) {
      if (entry.author !== core.device) return;
      emit("message", messageOf({ ...entry, account, fromAccount: account }, account, "pending", channels.authority(entry.channel)));
    },
    committed: (_rows, error) => committed(error),
    crashed(error) {
      emit("warning", { code: "CRASH", text: `The core failed and is started again: ${String(error)}` });
      broken();
    },
  });
  const links: Links = createLinks({
    shell,
    tracker: options.tracker,
    clock,
    tab: options.tab,
    switches: options.switches,
    accountOf: (device) => peers.account(device),
    connecting: (device, on) => peers.connecting(device, on),
    ice: friends.ice,
  });
  if (identity.certificate && identity.tracker) {
    // Without the tracker too: what is written now waits on the disk.
    useCertificate(shell, identity.certificate);
    for (const { id, name, type } of channels.list()) {
      if (type === "public") shell.command({ kind: "join", channel: id, authority: identity.tracker, name });
    }
    talks.certified();
  }
  const flush = (): Promise<unknown> => Promise.all([markBatch.flush(), peerBatch.flush()]);
  const rooms = createRooms({
    shell: () => shell,
    channels,
    talks,
    channelId: tools.channelId,
    warn: (text) => emit("warning", { code: "JOIN", text }),
  });
  const reading = createReading({ clock, ask: options.tracker.ask, channels });
  return {
    rooms, friends, reading, identity, tracker, core, store, shell, links, peers, channels, marks, gaps, talks, sending, asking, markOf, look,
    room, wake, flush,
    unsaved: () => unsaved,
  };
}

/** Without one nothing can be joined; the tracker gives a new one with its hello. */
function useCertificate(shell: Shell, certificate: Uint8Array): void {
  try {
    shell.command({ kind: "certificate", bytes: certificate });
  } catch {
    // A damaged one is no use.
  }
}

/** More devices than the core keeps are simply not linked to. */
function tellPeer(shell: Shell, device: Id, online: boolean, channel?: Id): void {
  try {
    shell.command({ kind: "peer", device, online, ...(channel ? { channel } : {}) });
  } catch {
    // See above.
  }
}

/** Gives the text to the core as soon as it has room for it. */
async function submitText(open: Open, channel: Id, body: Bytes): Promise<number> {
  for (;;) {
    try {
      return open.shell.command({ kind: "send", channel, entryKind: ENTRY.text, body });
    } catch (error) {
      if ((error as NodeError).code !== "BUSY") throw error;
      await open.room();
    }
  }
}

/** Texts are written in the order in which they were given; each call resolves when its own is on disk. */
function createSend(ready: () => Promise<Open>): DeviceCommands["send"] {
  let last: Promise<unknown> = Promise.resolve();
  return async ({ channel, text }) => {
    const body = textBody(text);
    if (body.length > BODY_BYTES_MAX) throw nodeError("TOO_LARGE", "The message is longer than 16 KiB.");
    if (text.trim() === "") throw nodeError("INVALID", "The message is empty.");
    const open = await ready();
    const submitted = last.then(() => submitText(open, channel, body));
    last = submitted.catch(() => {});
    const token = await submitted;
    return new Promise((resolve, reject) => open.sending.set(token, { resolve, reject }));
  };
}

/** What is older and not here yet: how many came, after waiting as long as the core does. */
function askMembers(open: Open, channel: Id, before: number | undefined, count: number): Promise<number> {
  return new Promise((resolve) => {
    try {
      const token = open.shell.command({ kind: "history", channel, count, ...(before ? { before } : {}) });
      const came = open.asking.get(token);
      if (typeof came !== "number") return void open.asking.set(token, resolve);
      open.asking.delete(token);
      resolve(came);
    } catch {
      resolve(0); // another question about this channel is on its way
    }
  });
}

function deviceCommands(account: string, ready: () => Promise<Open>): DeviceCommands {
  return {
    async history({ channel, before, limit }) {
      const open = await ready();
      const count = Math.max(1, Math.min(limit, 500));
      let { rows, more } = await open.store.history(channel, before, count);
      if (!more && rows.length < count && open.gaps.of(channel).length > 0) {
        const came = await askMembers(open, channel, before?.place ?? rows[0]?.place, count);
        if (came > 0) ({ rows, more } = await open.store.history(channel, before, count));
        more ||= came > 0 && open.gaps.of(channel).length > 0;
      }
      return { messages: rows.map((row) => messageOf(open.look(row), account, open.markOf(row), open.channels.authority(channel))), more };
    },
    send: createSend(ready),
    async gaps({ channel }) {
      return (await ready()).gaps.of(channel);
    },
    async holders({ channel, seq }) {
      const open = await ready();
      const paths = new Map(open.core.ledger(channel).rows.map(({ device, path }) => [device, path]));
      return open.marks.holders(channel, seq).map((held) => ({ ...held, path: paths.get(held.device) ?? "none" }));
    },
    open: async (params) => (await ready()).talks.commands.open(params),
    sessions: async () => (await ready()).talks.commands.sessions(),
    request: async (params) => (await ready()).talks.commands.request(params),
    accept: async (params) => (await ready()).talks.commands.accept(params),
    decline: async (params) => (await ready()).talks.commands.decline(params),
    end: async (params) => (await ready()).talks.commands.end(params),
    relate: async (params) => (await ready()).talks.commands.relate(params),
    async markRead({ channel, place, unread }) {
      const open = await ready();
      if (await open.channels.markRead(channel, place, unread)) open.reading.marked(channel, unread ?? false);
    },
  };
}

export function createDevice(options: DeviceOptions): Device {
  const { account, tools, tracker, clock, emit, changed } = options;
  const holder = toHex(randomBytes(8));
  let state: DeviceState = "opening";
  let open: Open | undefined;
  let lease: Lease | undefined;
  let store: Store | undefined;
  let welcomed: Welcome | undefined;
  let cancelRenewal = (): void => {};
  let closing: Promise<void> | undefined;

  const closed = (): boolean => state === "closed"; // a function, because awaiting changes it

  function enter(next: DeviceState): void {
    if (state === "closed" || state === next) return;
    state = next;
    changed();
  }

  function storageLost(): void {
    if (closed()) return;
    open?.shell.stop("the browser took the storage away");
    rejectSends(nodeError("storage-failed", "The browser could not save the message."));
    enter("storage-failed");
    options.broken("storage-failed");
  }

  function rejectSends(error: Error): void {
    open?.wake();
    for (const { reject } of open?.sending.values() ?? []) reject(error);
    open?.sending.clear();
    for (const waiting of open?.asking.values() ?? []) if (typeof waiting === "function") waiting(0);
    open?.asking.clear();
  }

  async function start(): Promise<Open> {
    try {
      store = await openStore(account, holder, storageLost);
      lease = await acquireLease({
        database: store.database, account, holder, singleton: options.singleton, clock,
        waiting: () => enter("other-tab"),
        lost: () => options.broken(),
        stopped: closed,
      });
      if (closed()) throw nodeError("CLOSED", "The node was closed");
      open = await openParts(options, store);
      if (closed()) open.shell.stop("closed");
    } catch (error) {
      if (isLeaseLost(error)) options.broken();
      else if (!closed()) storageLost();
      throw nodeError("storage-failed", `The browser's storage cannot be used: ${String(error)}`);
    }
    enter("ready");
    return open;
  }

  async function shut(text: string): Promise<void> {
    state = "closed";
    open?.friends.stop();
    open?.shell.stop(text);
    rejectSends(nodeError("CLOSED", text));
    cancelRenewal();
    await open?.flush();
    await lease?.release().catch(() => {});
    store?.close();
  }

  const opened = start();
  opened.catch(() => {}); // told by the state, and to every command that waits

  /** Commands wait for the opening, but not for another tab to go away. */
  async function ready(): Promise<Open> {
    if (state === "other-tab") throw nodeError("other-tab", "Another tab of this browser is in use");
    if (state === "closed") throw nodeError("CLOSED", "The node was closed");
    return opened;
  }

  /** A tracker gives a certificate with every hello, so a socket that stays up for long is renewed in time. */
  function renewLater(certificate: Bytes): void {
    cancelRenewal();
    try {
      const left = tools.certificateParse(certificate).expires * 1000 - clock.now();
      cancelRenewal = clock.after(Math.max(left * RENEW_AFTER, RENEW_MIN_MS), () => tracker.renew("a new certificate"));
    } catch (error) {
      emit("warning", { code: "CERTIFICATE", text: `The tracker gave a bad certificate: ${String(error)}` });
    }
  }

  function presence(full: boolean, devices: PresenceDevice[]): void {
    if (!open) return;
    const { core, shell, peers } = open;
    const before = full ? new Set(peers.list().map(({ device }) => device)) : new Set<Id>();
    peers.presence(full, devices);
    for (const { device, status } of devices) {
      before.delete(device);
      if (device !== core.device) tellPeer(shell, device, status === "online");
    }
    for (const device of before) tellPeer(shell, device, false);
  }

  return {
    account,
    state: () => state,
    unsaved: () => open?.unsaved() ?? false,
    id: () => open?.core.device ?? "",
    channels: () => open?.channels.list() ?? [],
    peers: () => open?.peers.list() ?? [],
    linkedOthers: () => open?.peers.linkedOthers() ?? 0,
    links: () => open?.links,
    commands: deviceCommands(account, ready),
    async greet(welcome, current) {
      const { core, identity } = await opened;
      const nonce = fromHex(welcome.nonce);
      const to = fromHex(welcome.tracker);
      if (!nonce || !to || !current()) return;
      const proof = tools.sign(identity.seed, HELLO_DOMAIN, concat(nonce, to, toUtf8(account)));
      welcomed = welcome;
      tracker.greet(core.device, toHex(proof), options.label);
    },
    async revoked() {
      if (!open || closed()) return;
      open.shell.stop("logged out for good");
      try {
        await open.flush();
        await store?.forget();
        options.broken();
      } catch (error) {
        if (isLeaseLost(error)) options.broken();
        else storageLost();
      }
    },
    online(certificate) {
      if (!open || !welcomed) return;
      store?.saveIdentity({ certificate, tracker: welcomed.tracker }).catch(() => {});
      useCertificate(open.shell, certificate);
      renewLater(certificate);
      open.channels.useTracker(welcomed.tracker);
      open.tracker.id = welcomed.tracker;
      open.talks.certified();
      open.rooms.welcome(welcomed.channels, welcomed.tracker);
      emit("news", { type: "again" });
      open.links.trackerUp(welcomed.tracker);
      open.friends.online();
      open.reading.online();
    },
    presence,
    news(news) {
      if (open && welcomed) open.rooms.news(news, welcomed.tracker);
      open?.friends.news(news);
      open?.reading.news(news);
      emit("news", news);
    },
    trackerDown() {
      if (!open) return;
      open.links.trackerDown();
      for (const { device, presence: was } of open.peers.list()) {
        if (was === "online") tellPeer(open.shell, device, false);
      }
      open.peers.trackerDown();
    },
    networkChanged() {
      if (state === "ready") open?.shell.command({ kind: "network" });
    },
    close: (text) => (closing ??= shut(text)),
  };
}
