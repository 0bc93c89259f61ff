// What the node says, as signals that the page draws. Everything that happens in a chat passes here: opening
// the node, its events, sending, reading. Nothing here knows how it looks.
import { batch, computed, signal } from "@preact/signals";
import type { Channel, Commands, Connection, Gap, Holder, Id, Message, News, Node, Peer, Session } from "../../node/api";
import { announce, notify } from "./attention";
import { logEvent } from "./log";
import { readSetting, writeSetting } from "./settings";
import { leave, session } from "./session";
import { type Outgoing, Timeline } from "./timeline";

const PAGE = 60;
const UNREAD_PAGE_MAX = 500;
const GAP_SHOWN_MS = 2000;

export const account = signal("");
export const device = signal<Id>("");
export const version = signal("");
/** A trace of this device is being recorded. */
export const recording = signal(false);
export const channels = signal<Channel[]>([]);
export const peers = signal<ReadonlyMap<Id, Peer>>(new Map());
export const connection = signal<Connection>({ state: "connecting", reason: "starting", peers: 0 });
/** The node could not be opened at all. */
export const failure = signal<string | null>(null);
export const ready = signal(false);
/** The last news of the tracker: a friend, a channel ... */
export const news = signal<News | null>(null);
/** How direct conversations stand, by channel. */
export const sessions = signal<ReadonlyMap<Id, Session>>(new Map());
/** Messages that came late and stand above what was read already, oldest first. */
export const lateArrivals = signal<Message[]>([]);

const timelines = new Map<Id, Timeline>();
/** Up to which place each channel was read on this page. */
const readPlaces = new Map<Id, number>();
const loaded = new Set<Id>();
/** Not shown yet, by channel and author. */
const freshGaps = new Map<string, Gap>();
let node: Node | null = null;
/** The first list of channels is there; later ones come as events. */
let listed = false;
let memberSince = 0;
/** This tab is logging out and loads the first screen itself when that is done. */
let leaving = false;

export const unreadTotal = computed(() => channels.value.reduce((sum, channel) => sum + channel.unread, 0));

export function timelineOf(channel: Id): Timeline {
  let timeline = timelines.get(channel);
  if (!timeline) timelines.set(channel, (timeline = new Timeline()));
  return timeline;
}

export function commands(): Commands {
  if (!node) throw new Error("the node is not open");
  return node.commands;
}

/** A sentence for whatever was thrown. */
export function reasonOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === "string" && message ? message : String(error);
}

/** Opens the node and fills the signals; call once, after logging in. */
export async function openChat(open: () => Promise<Node>): Promise<void> {
  try {
    node = await open();
    listen(node);
    const status = await node.commands.status();
    batch(() => {
      account.value = status.account;
      device.value = status.device;
      version.value = status.version;
      recording.value = status.recording;
      channels.value = status.channels;
      peers.value = new Map(status.peers.map((peer) => [peer.device, peer]));
      takeConnection(status.connection);
    });
    for (const row of await node.commands.sessions()) if (!sessions.value.has(row.channel)) sessions.value = new Map(sessions.value).set(row.channel, row);
    memberSince = rememberStart(status.account);
    listed = true;
    await Promise.all(channels.value.map(loadFirst));
    ready.value = true;
  } catch (error) {
    failure.value = reasonOf(error);
  }
}

/** When this browser first opened this account: what is older is history, not late. */
function rememberStart(name: string): number {
  const stored = Number(readSetting(`since.${name}`));
  if (stored > 0) return stored;
  writeSetting(`since.${name}`, String(Date.now()));
  return Date.now();
}

function listen(opened: Node): void {
  opened.on("message", takeMessage);
  opened.on("delivered", ({ channel, from, seq, mark }) => timelineOf(channel).mark(device.value, from, seq, mark));
  opened.on("gap", takeGap);
  opened.on("peer", (peer) => {
    logPathChange(peers.value.get(peer.device), peer);
    peers.value = new Map(peers.value).set(peer.device, peer);
  });
  opened.on("connection", takeConnection);
  opened.on("channel", takeChannel);
  opened.on("recording", ({ on }) => (recording.value = on));
  opened.on("session", (row) => (sessions.value = new Map(sessions.value).set(row.channel, row)));
  opened.on("news", (item) => (news.value = item));
  opened.on("warning", (warning) => logEvent({ kind: "warning", text: warning.text }));
}

/** Most gaps are filled before anybody could read of them. */
function takeGap(gap: Gap): void {
  const timeline = timelineOf(gap.channel);
  const name = `${gap.channel}/${gap.author}`;
  if (gap.from > gap.seq || timeline.hasGap(gap.author)) {
    freshGaps.delete(name);
    return timeline.setGap(gap);
  }
  const waiting = freshGaps.has(name);
  freshGaps.set(name, gap);
  if (waiting) return;
  setTimeout(() => {
    const latest = freshGaps.get(name);
    freshGaps.delete(name);
    if (latest) timeline.setGap(latest);
  }, GAP_SHOWN_MS);
}

function logPathChange(before: Peer | undefined, now: Peer): void {
  if (now.path === (before?.path ?? "none")) return;
  logEvent({ kind: "path", account: now.account, path: now.path });
}

function takeConnection(next: Connection): void {
  if (next.reason !== connection.value.reason) logEvent({ kind: "connection", connection: next });
  connection.value = next;
  if (next.reason === "logged-out" && !leaving) session.value = { state: "out" };
}

function takeChannel(channel: Channel): void {
  if (channel.left) {
    channels.value = channels.value.filter((other) => other.id !== channel.id);
    return;
  }
  const known = channels.value.some((other) => other.id === channel.id);
  channels.value = known
    ? channels.value.map((other) => (other.id === channel.id ? channel : other))
    : [...channels.value, channel];
  if (listed) void loadFirst(channel);
}

/** The newest page of a channel, once. */
async function loadFirst(channel: Channel): Promise<void> {
  if (loaded.has(channel.id)) return;
  loaded.add(channel.id);
  const timeline = timelineOf(channel.id);
  const limit = Math.min(UNREAD_PAGE_MAX, Math.max(PAGE, channel.unread + PAGE / 2));
  const { messages, more } = await commands().history({ channel: channel.id, limit });
  timeline.prepend(messages, more);
  timeline.newFrom = timeline.unreadStart(channel.unread);
  recoverUnsent(channel.id, timeline);
  for (const gap of await commands().gaps({ channel: channel.id })) takeGap(gap);
}

/** The page above what is loaded; safe to call again while one is on its way. */
export async function loadOlder(channel: Id): Promise<void> {
  const timeline = timelineOf(channel);
  const oldest = timeline.messages[0];
  if (timeline.loading || !timeline.more || !oldest) return;
  timeline.loading = true;
  try {
    const before = { place: oldest.place, author: oldest.author, seq: oldest.seq };
    const { messages, more } = await commands().history({ channel, before, limit: PAGE });
    timeline.prepend(messages, more);
  } catch (error) {
    logEvent({ kind: "warning", text: reasonOf(error) });
  } finally {
    timeline.loading = false;
  }
}

function takeMessage(message: Message): void {
  const timeline = timelineOf(message.channel);
  const news = !timeline.has(message.id);
  if (message.mine) timeline.dropOutgoing((outgoing) => outgoing.failure === undefined && outgoing.text === message.text);
  const after = timeline.insert(message);
  if (!news || message.mine || message.kind !== "text" || message.locked || message.hidden || message.withdrawn) return;
  if (!channels.value.some(({ id }) => id === message.channel)) return; // not shown
  const readPlace = readPlaces.get(message.channel) ?? Infinity;
  if (after !== 0 && message.place < readPlace && message.place > memberSince) {
    lateArrivals.value = [...lateArrivals.value, message].sort((a, b) => a.place - b.place);
  }
  if (message.time < memberSince) return; // history on its way in
  if (!document.hasFocus() && timeline.newFrom === null) timeline.newFrom = message.id;
  announce(message);
  notify(message);
}

// A text between Enter and the disk is kept here, so that closing the page in that moment loses nothing.
const unsentName = (channel: Id): string => `unsent.${account.value}.${channel}`;

function rememberUnsent(channel: Id): void {
  const texts = timelineOf(channel).outgoing.map((outgoing) => outgoing.text);
  writeSetting(unsentName(channel), texts.length ? JSON.stringify(texts) : "");
}

function recoverUnsent(channel: Id, timeline: Timeline): void {
  const stored = readSetting(unsentName(channel));
  if (!stored) return;
  writeSetting(unsentName(channel), "");
  const sent = new Set(timeline.messages.filter((message) => message.mine).map((message) => message.text));
  const lost = (JSON.parse(stored) as string[]).filter((text) => !sent.has(text));
  if (lost.length === 0) return;
  const draft = readDraft(channel);
  writeDraft(channel, [...lost, ...(draft ? [draft] : [])].join("\n\n"));
}

let outgoingCount = 0;

export async function sendText(channel: Id, text: string): Promise<void> {
  const timeline = timelineOf(channel);
  const outgoing: Outgoing = { key: `outgoing-${++outgoingCount}`, text, time: Date.now() };
  timeline.addOutgoing(outgoing);
  await store(channel, timeline, outgoing);
}

async function store(channel: Id, timeline: Timeline, outgoing: Outgoing): Promise<void> {
  rememberUnsent(channel);
  try {
    const message = await commands().send({ channel, text: outgoing.text });
    timeline.dropOutgoing((other) => other.key === outgoing.key);
    timeline.insert(message);
  } catch (error) {
    timeline.replaceOutgoing({ ...outgoing, failure: reasonOf(error) });
  }
  rememberUnsent(channel);
}

export async function retryOutgoing(channel: Id, { key, text }: Outgoing): Promise<void> {
  const again: Outgoing = { key, text, time: Date.now() };
  timelineOf(channel).replaceOutgoing(again);
  await store(channel, timelineOf(channel), again);
}

export function discardOutgoing(channel: Id, outgoing: Outgoing): void {
  timelineOf(channel).dropOutgoing((other) => other.key === outgoing.key);
  rememberUnsent(channel);
}

const draftName = (channel: Id): string => `draft.${account.value}.${channel}`;
export const draftVersion = signal(0);

export function readDraft(channel: Id): string {
  return readSetting(draftName(channel)) ?? "";
}

export function writeDraft(channel: Id, text: string): void {
  writeSetting(draftName(channel), text);
  draftVersion.value++;
}

/** Marked as unread: stays so while it is on the screen. */
const keptUnread = new Set<Id>();

/** The conversation is left: what is seen of it from now on counts again. */
export const leaveUnread = (channel: Id): void => void keptUnread.delete(channel);

/** This message and what is after it shall be read later. */
export async function markUnread({ channel, id, place }: Message): Promise<void> {
  keptUnread.add(channel);
  readPlaces.set(channel, place - 1);
  const timeline = timelineOf(channel);
  timeline.newFrom = id;
  timeline.changed();
  await commands().markRead({ channel, place: place - 1, unread: true });
}

/** Everything up to `place` was seen; `asked`: somebody said so. */
export async function markRead(channel: Id, place: number, asked = true): Promise<void> {
  if (asked) keptUnread.delete(channel);
  if (keptUnread.has(channel) || place <= (readPlaces.get(channel) ?? 0)) return;
  readPlaces.set(channel, place);
  try {
    await commands().markRead({ channel, place });
  } catch (error) {
    logEvent({ kind: "warning", text: reasonOf(error) });
  }
}

export function holdersOf(message: Message): Promise<Holder[]> {
  return commands().holders({ channel: message.channel, seq: message.seq });
}

/** Logs out everywhere in this browser. false: the tracker could not be asked, so nothing has changed. */
export async function logOut(): Promise<boolean> {
  leaving = true;
  await commands()
    .logout()
    .catch((error) => logEvent({ kind: "warning", text: reasonOf(error) }));
  if (await leave()) return true;
  leaving = false;
  await retryNow();
  return false;
}

export async function retryNow(): Promise<void> {
  await commands()
    .retry()
    .catch((error) => logEvent({ kind: "warning", text: reasonOf(error) }));
}
