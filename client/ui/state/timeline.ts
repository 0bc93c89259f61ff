// The messages of one channel that are loaded now, in their one order (place, author, seq), and what the list
// shows of them: day lines, groups by author, folded joins, the "New" line, texts on their way to disk.
import { signal } from "@preact/signals";
import type { Gap, Message } from "../../node/api";
import { dayOf } from "./day";

/** A loaded list is cut to this many when it is read at its end; older ones come back by paging up. */
const KEPT_AT_END = 1500;
const CUT_TO = 500;
const GROUP_MS = 5 * 60_000;

/** An own text that is not yet durable, or that could not be stored. */
export interface Outgoing {
  key: string;
  text: string;
  time: number;
  failure?: string;
}

export type Row =
  | { kind: "start"; key: "start" }
  | { kind: "loading"; key: "loading" }
  | { kind: "day"; key: string; time: number }
  | { kind: "new"; key: "new" }
  | { kind: "fold"; key: string; messages: Message[] }
  | { kind: "odd"; key: string; message: Message }
  | { kind: "decision"; key: string; message: Message }
  /** Missing: so many of an author's, between two that are here; or before everything that is here. */
  | { kind: "gap"; key: string; account: string; count: number }
  | { kind: "coming"; key: "coming"; count: number }
  | { kind: "message"; key: string; message: Message; first: boolean; last: boolean }
  | { kind: "outgoing"; key: string; outgoing: Outgoing; first: boolean };

export function compare(a: Message, b: Message): number {
  if (a.place !== b.place) return a.place - b.place;
  if (a.author !== b.author) return a.author < b.author ? -1 : 1;
  return a.seq - b.seq;
}

const markOrder = { pending: 0, queued: 1, handed: 2, delivered: 3 };

export class Timeline {
  /** Counts up with every change: what draws the list reads it. */
  readonly version = signal(0);
  readonly messages: Message[] = [];
  outgoing: readonly Outgoing[] = [];
  more = true;
  loading = false;
  /** The first unread message when the channel was opened; the "New" line stands before it. */
  newFrom: string | null = null;
  private readonly ids = new Set<string>();
  /** By author. */
  private readonly gaps = new Map<string, Gap>();

  changed(): void {
    this.version.value++;
  }

  has(id: string): boolean {
    return this.ids.has(id);
  }

  find(id: string): Message | undefined {
    return this.ids.has(id) ? this.messages.find((message) => message.id === id) : undefined;
  }

  /** Where a message would go: the index of the first one after it. */
  private position(message: Message): number {
    let low = 0;
    let high = this.messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compare(this.messages[middle] as Message, message) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Puts a message in its place, or replaces it. Answers how many messages stand after it; -1: it belongs
   *  before what is loaded and will come by paging. */
  insert(message: Message): number {
    const at = this.position(message);
    if (this.ids.has(message.id)) {
      if (this.messages[at]?.id === message.id) this.messages[at] = this.withBetterMark(message, this.messages[at]);
    } else {
      if (at === 0 && this.more && this.messages.length > 0) return -1;
      this.messages.splice(at, 0, message);
      this.ids.add(message.id);
    }
    this.changed();
    return this.messages.length - 1 - at;
  }

  /** A mark never goes back, whatever order the news arrive in. */
  private withBetterMark(next: Message, old: Message | undefined): Message {
    if (!next.mark || !old?.mark || markOrder[next.mark] >= markOrder[old.mark]) return next;
    return { ...next, mark: old.mark };
  }

  /** A page of history, oldest first. */
  prepend(page: Message[], more: boolean): void {
    for (const message of page) {
      if (this.ids.has(message.id)) continue;
      this.messages.splice(this.position(message), 0, message);
      this.ids.add(message.id);
    }
    this.more = more;
    this.changed();
  }

  /** Own messages from..seq of `device` are at least this far. */
  mark(device: string, from: number, seq: number, mark: "handed" | "delivered"): void {
    let touched = false;
    this.messages.forEach((message, i) => {
      if (!message.mark || message.author !== device) return;
      if (message.seq < from || message.seq > seq) return;
      if (markOrder[message.mark] >= markOrder[mark]) return;
      this.messages[i] = { ...message, mark };
      touched = true;
    });
    if (touched) this.changed();
  }

  hasGap(author: string): boolean {
    return this.gaps.has(author);
  }

  setGap(gap: Gap): void {
    const known = this.gaps.delete(gap.author);
    if (gap.from <= gap.seq) this.gaps.set(gap.author, gap);
    else if (!known) return;
    this.changed();
  }

  /** Messages of authors of whom nothing older is here: what a device that is new in a channel waits for. */
  private get coming(): number {
    let count = 0;
    for (const { from, seq } of this.gaps.values()) if (from === 1) count += seq;
    return count;
  }

  addOutgoing(outgoing: Outgoing): void {
    this.outgoing = [...this.outgoing, outgoing];
    this.changed();
  }

  replaceOutgoing(next: Outgoing): void {
    this.outgoing = this.outgoing.map((outgoing) => (outgoing.key === next.key ? next : outgoing));
    this.changed();
  }

  /** Drops the first that matches, if any. */
  dropOutgoing(match: (outgoing: Outgoing) => boolean): void {
    const gone = this.outgoing.find(match);
    if (!gone) return;
    this.outgoing = this.outgoing.filter((outgoing) => outgoing !== gone);
    this.changed();
  }

  /** Forgets old messages while the end is being read, so that a busy channel does not grow the page. */
  trim(): void {
    if (this.messages.length <= KEPT_AT_END) return;
    for (const message of this.messages.splice(0, this.messages.length - CUT_TO)) this.ids.delete(message.id);
    this.more = true;
    this.changed();
  }

  get last(): Message | undefined {
    return this.messages[this.messages.length - 1];
  }

  /** The newest message that says something, for the conversation list. */
  get lastText(): Message | undefined {
    for (let i = this.messages.length - 1; i >= 0; i--) {
      const message = this.messages[i];
      if (message?.kind === "text" && !message.hidden && !message.withdrawn) return message;
    }
    return undefined;
  }

  /** Own messages that are on this device only. */
  get waiting(): number {
    return this.messages.filter((message) => message.mark === "queued" || message.mark === "pending").length;
  }

  /** The n-th unread text from the end, not counting own ones. */
  unreadStart(count: number): string | null {
    let left = count;
    for (let i = this.messages.length - 1; i >= 0 && left > 0; i--) {
      const message = this.messages[i] as Message;
      if (message.kind !== "text" || message.mine || message.hidden) continue;
      if (--left === 0) return message.id;
    }
    return null;
  }

  private firstRow(): Row {
    if (this.more) return { kind: "loading", key: "loading" };
    return this.coming > 0 ? { kind: "coming", key: "coming", count: this.coming } : { kind: "start", key: "start" };
  }

  rows(): Row[] {
    const rows: Row[] = [this.firstRow()];
    let day = 0;
    let above: Message | null = null; // the message that the next one may be grouped with
    for (const message of this.messages) {
      if (message.withdrawn) continue;
      if (message.kind === "control") continue;
      if (dayOf(message.place) !== day) {
        day = dayOf(message.place);
        rows.push({ kind: "day", key: `day-${day}`, time: message.place });
        above = null;
      }
      if (message.id === this.newFrom) {
        rows.push({ kind: "new", key: "new" });
        above = null;
      }
      const gap = this.gaps.get(message.author);
      if (gap && gap.from > 1 && gap.seq + 1 === message.seq) {
        const count = gap.seq - gap.from + 1;
        rows.push({ kind: "gap", key: `gap-${message.id}`, account: gap.account || message.account, count });
        above = null;
      }
      above = appendMessage(rows, message, above);
    }
    this.outgoing.forEach((outgoing, i) =>
      rows.push({ kind: "outgoing", key: outgoing.key, outgoing, first: i === 0 && !above?.mine }),
    );
    return rows;
  }
}

function appendMessage(rows: Row[], message: Message, above: Message | null): Message | null {
  const end = rows[rows.length - 1] as Row;
  if (message.kind === "join" || message.kind === "leave") {
    if (end.kind === "fold") end.messages.push(message);
    else rows.push({ kind: "fold", key: `fold-${message.id}`, messages: [message] });
    return null;
  }
  if (message.kind === "decision") {
    rows.push({ kind: "decision", key: message.id, message });
    return null;
  }
  if (message.kind !== "text") {
    rows.push({ kind: "odd", key: message.id, message });
    return null;
  }
  const grouped = above !== null && above.account === message.account && message.place - above.place < GROUP_MS;
  if (grouped && end.kind === "message") end.last = false;
  rows.push({ kind: "message", key: message.id, message, first: !grouped, last: true });
  return message;
}
