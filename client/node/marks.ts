// How far own messages have got, from which devices hold them. A mark is the smallest thing that is certain: it is
// shown after a device has acknowledged, never before.
import type { Holder, Id, Message } from "./api";
import type { MarkRow } from "./idb";

/** That device holds the own entries from..seq of the channel: what the core says. */
export interface Held extends Omit<MarkRow, "island"> {
  from: number;
}

export type Mark = NonNullable<Message["mark"]>;

export interface Marks {
  restore(rows: MarkRow[]): void;
  /** Takes what a device holds; gives what is known of that device now and the mark that this brings for
   *  from..seq, or undefined when it brings nothing new. */
  take(held: Held): { row: MarkRow; mark: "handed" | "delivered" } | undefined;
  of(channel: Id, seq: number): Mark;
  holders(channel: Id, seq: number): Omit<Holder, "path">[];
}

const holds = ({ seq: upTo, island }: MarkRow, seq: number): boolean =>
  seq <= upTo || (island !== undefined && seq >= island[0] && seq <= island[1]);

/** What a device has acknowledged it holds for ever, so parts are only added. */
function joined(old: MarkRow | undefined, { from, ...held }: Held): MarkRow {
  let { seq, island } = old ?? { seq: 0 };
  if (from > seq + 1) {
    const touches = island !== undefined && from <= island[1] + 1 && held.seq >= island[0] - 1;
    island = island && touches ? [Math.min(from, island[0]), Math.max(held.seq, island[1])] : [from, held.seq];
  } else {
    seq = Math.max(seq, held.seq);
  }
  if (island && island[0] <= seq + 1) {
    seq = Math.max(seq, island[1]);
    island = undefined;
  }
  return { ...held, seq, ...(island ? { island } : {}) };
}

/** `account`: whose devices do not count as delivery. */
export function createMarks(account: string): Marks {
  const channels = new Map<Id, Map<Id, MarkRow>>();

  const reach = (row: MarkRow): "handed" | "delivered" =>
    row.replica || row.account === account ? "handed" : "delivered";

  function rowsOf(channel: Id): Map<Id, MarkRow> {
    let rows = channels.get(channel);
    if (!rows) {
      rows = new Map();
      channels.set(channel, rows);
    }
    return rows;
  }

  return {
    restore(rows) {
      for (const row of rows) rowsOf(row.channel).set(row.device, row);
    },
    take(held) {
      const rows = rowsOf(held.channel);
      const old = rows.get(held.device);
      const from = Math.max(1, held.from);
      if (old?.account === held.account && holds(old, from) && holds(old, held.seq)) return undefined;
      const row = joined(old, { ...held, from });
      rows.set(held.device, row);
      return { row, mark: reach(row) };
    },
    of(channel, seq) {
      let best: Mark = "queued";
      for (const row of channels.get(channel)?.values() ?? []) {
        if (!holds(row, seq)) continue;
        best = reach(row);
        if (best === "delivered") break;
      }
      return best;
    },
    holders(channel, seq) {
      const found: Omit<Holder, "path">[] = [];
      for (const row of channels.get(channel)?.values() ?? []) {
        if (holds(row, seq)) found.push({ device: row.device, account: row.account, replica: row.replica });
      }
      return found;
    },
  };
}
