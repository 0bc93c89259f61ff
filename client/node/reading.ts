// How far this account has read, the same on all its devices: the tracker keeps one marker for each channel and tells of it.
import type { Channels } from "./channels";
import type { Clock } from "./clock";
import type { Id, News } from "./api";

export interface Reading {
  /** The tracker is there: who is further tells the other. */
  online(): void;
  news(news: News): void;
  /** The marker of this device has moved. */
  marked(channel: Id, back: boolean): void;
}

/** Reading on is told now and then, not message by message. */
const GATHER_MS = 1000;
const ANY_AUTHOR = "f".repeat(64);

/** A place as the tracker writes it: <ms>-<author>-<seq>; everything of that millisecond is meant. */
const atOf = (place: number): string => `${place}-${ANY_AUTHOR}-0`;
const placeOf = (at: unknown): number | undefined => {
  const place = typeof at === "string" ? Number.parseInt(at, 10) : Number.NaN;
  return Number.isSafeInteger(place) && place >= 0 ? place : undefined;
};

export function createReading(options: {
  clock: Clock;
  ask: (type: string, fields: Record<string, unknown>) => Promise<Record<string, unknown>>;
  channels: Channels;
}): Reading {
  const { clock, ask, channels } = options;
  /** Moved here and not told yet, or on the way: what the tracker says of these is older. */
  const untold = new Map<Id, { back: boolean }>();

  async function tell(channel: Id): Promise<void> {
    const place = channels.readPlace(channel);
    const back = untold.get(channel)?.back ?? false;
    untold.set(channel, { back: false });
    try {
      await ask("mark-read", { channel, at: atOf(place), unread: back });
    } catch {
      // Away: compared when it is back. Or it keeps nothing of this conversation.
    }
    if (channels.readPlace(channel) === place) untold.delete(channel);
    else clock.after(GATHER_MS, () => void tell(channel));
  }

  function tellSoon(channel: Id, back = false): void {
    const waiting = untold.get(channel);
    untold.set(channel, { back: back || (waiting?.back ?? false) });
    if (!waiting) clock.after(GATHER_MS, () => void tell(channel));
  }

  async function compare(): Promise<void> {
    const { channels: rows } = await ask("unread", {});
    for (const row of (Array.isArray(rows) ? rows : []) as { channel: Id; read: unknown }[]) {
      const theirs = placeOf(row.read) ?? 0;
      const ours = channels.readPlace(row.channel);
      if (theirs > ours) await channels.markRead(row.channel, theirs);
      else if (ours > theirs) tellSoon(row.channel);
    }
  }

  return {
    online: () => void compare().catch(() => {}),
    news(news) {
      const { type, channel, read } = news;
      const place = placeOf(read);
      if (type !== "read" || typeof channel !== "string" || place === undefined || untold.has(channel)) return;
      void channels.markRead(channel, place, true).catch(() => {});
    },
    marked: tellSoon,
  };
}
