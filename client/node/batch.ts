// Rows that may be written a moment later and together: of each key only the last one counts.
import type { Clock } from "./clock";

export interface Batch<Row> {
  put(key: string, row: Row): void;
  /** Writes what is waiting now. */
  flush(): Promise<void>;
}

export function createBatch<Row>(clock: Clock, delayMs: number, write: (rows: Row[]) => Promise<void>): Batch<Row> {
  let rows = new Map<string, Row>();
  let cancel: (() => void) | undefined;

  async function flush(): Promise<void> {
    cancel?.();
    cancel = undefined;
    if (rows.size === 0) return;
    const now = [...rows.values()];
    rows = new Map();
    await write(now).catch(() => {}); // what is kept here comes again by itself (store.ts)
  }

  return {
    put(key, row) {
      rows.set(key, row);
      cancel ??= clock.after(delayMs, () => void flush());
    },
    flush,
  };
}
