// How far own messages have got, from which devices hold them. A mark is the smallest thing that is certain: it is
// shown after a device has acknowledged, never before.
import type { Holder, Id, Message } from "./api";
import type { MarkRow } from "./idb";

export type Mark = NonNullable<Message["mark"]>;

export interface Marks {
  restore(rows: MarkRow[]): void;
  /** Takes what a device holds; gives the best mark that this brings for entries up to row.seq, or undefined when
   *  it brings nothing new. */
  take(row: MarkRow): "handed" | "delivered" | undefined;
  of(channel: Id, seq: number): Mark;
  holders(channel: Id, seq: number): Holder[];
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
    take(row) {
      const rows = rowsOf(row.channel);
      const old = rows.get(row.device);
      if (old && old.seq >= row.seq && old.account === row.account) return undefined;
      rows.set(row.device, row);
      return reach(row);
    },
    of(channel, seq) {
      let best: Mark = "queued";
      for (const row of channels.get(channel)?.values() ?? []) {
        if (row.seq < seq) continue;
        best = reach(row);
        if (best === "delivered") break;
      }
      return best;
    },
    holders(channel, seq) {
      const found: Holder[] = [];
      for (const { device, account: of, replica, seq: upTo } of channels.get(channel)?.values() ?? []) {
        if (upTo >= seq) found.push({ device, account: of, replica });
      }
      return found;
    },
  };
}
