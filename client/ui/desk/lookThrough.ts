// Looking through the messages that are on this device.
import type { Message } from "../../node/api";
import { commands } from "../state/chat";

const PAGE = 200;
export const LOOKED_THROUGH_MAX = 20_000;
export const FOUND_MAX = 100;

/** Case and accents do not count, as at the server. */
export function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replaceAll("\u0111", "d");
}

/** The messages of a channel that have all these words, newest first; `found` is told of each page of it. */
export async function lookThrough(channel: string, query: string, wanted: () => boolean, found: (some: Message[]) => void): Promise<void> {
  const words = plain(query).split(/\s+/).filter(Boolean);
  let before: { place: number; author: string; seq: number } | undefined;
  for (let seen = 0, hits = 0; words.length > 0 && seen < LOOKED_THROUGH_MAX && hits < FOUND_MAX; seen += PAGE) {
    const { messages, more } = await commands().history({ channel, ...(before && { before }), limit: PAGE });
    if (!wanted()) return;
    const some = messages.filter(({ kind, hidden, withdrawn, locked, text, account }) => {
      if (kind !== "text" || hidden || withdrawn || locked) return false;
      const inside = plain(`${text} ${account}`);
      return words.every((word) => inside.includes(word));
    });
    hits += some.length;
    if (some.length > 0) found(some.reverse());
    const oldest = messages[0];
    if (!more || !oldest) return;
    before = { place: oldest.place, author: oldest.author, seq: oldest.seq };
  }
}
