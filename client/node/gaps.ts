// What is missing before messages that are shown: one range for each author and channel, as the core tells it.
import type { Gap, Id } from "./api";

export interface Gaps {
  /** Takes what the core says; from > seq: there is none any more. */
  take(gap: Gap): void;
  of(channel: Id): Gap[];
}

export function createGaps(changed: (gap: Gap) => void): Gaps {
  const channels = new Map<Id, Map<Id, Gap>>();
  return {
    take(gap) {
      let authors = channels.get(gap.channel);
      if (!authors) channels.set(gap.channel, (authors = new Map()));
      if (gap.from <= gap.seq) authors.set(gap.author, gap);
      else authors.delete(gap.author);
      changed(gap);
    },
    of: (channel) => [...(channels.get(channel)?.values() ?? [])],
  };
}
