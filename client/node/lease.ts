// Who may write as this device. Two cores with one identity would each write seq N to the same log, which is
// a fork, so one of them holds a lease in the device's own database and every write checks it in its own
// transaction (store.ts). The lease is thereby a fence and not a matter of luck: taking it over is always safe
// for the log, and only has to be polite to whoever holds it.
//
// A holder that is gone without a word (a reloaded tab takes its worker with it) must not cost the next one the
// whole term. A SharedWorker is the only one of its kind, so it takes the lease at once; the worker of a single tab
// asks on a BroadcastChannel first, and silence means that nobody is there.
import { done, transact, type LeaseRow } from "./idb";
import type { Clock } from "./clock";

const TERM_MS = 8000;
const RENEW_MS = 2000;
const ASK_MS = 500;
const CHANNEL = "weaprous.lease";

export const LEASE_LOST = "LeaseLostError";

/** Throws unless `holder` holds the lease. */
export async function checkLease(lease: IDBObjectStore, holder: string): Promise<void> {
  const row = await done<LeaseRow | undefined>(lease.get("holder"));
  if (row?.holder !== holder) throw Object.assign(new Error("another tab is this device now"), { name: LEASE_LOST });
}

export function isLeaseLost(error: unknown): boolean {
  return error instanceof Error && error.name === LEASE_LOST;
}

/** Takes the lease when it is free, out of date, our own, or when `force` is set. */
function take(database: IDBDatabase, holder: string, force: boolean): Promise<boolean> {
  return transact(database, ["lease"], "readwrite", "relaxed", async (store) => {
    const row = await done<LeaseRow | undefined>(store("lease").get("holder"));
    const now = Date.now();
    // A term that ends later than any can was written by a clock that has been set back since.
    const free = !row || row.holder === holder || row.until < now || row.until > now + TERM_MS;
    if (!free && !force) return false;
    store("lease").put({ holder, until: now + TERM_MS }, "holder");
    return true;
  });
}

function release(database: IDBDatabase, holder: string): Promise<void> {
  return transact(database, ["lease"], "readwrite", "relaxed", async (store) => {
    const row = await done<LeaseRow | undefined>(store("lease").get("holder"));
    if (row?.holder === holder) store("lease").delete("holder");
  });
}

interface Question {
  account: string;
  ask?: string;
  here?: string;
}

export interface Lease {
  release(): Promise<void>;
}

/** Resolves when this worker is the account's device. `waiting` is called when another one is, `lost` when the
 *  lease was taken from us later. `stopped` ends the waiting (the promise then never resolves). */
export async function acquireLease(options: {
  database: IDBDatabase;
  account: string;
  holder: string;
  /** There is one worker for the whole browser: whoever holds the lease is gone. */
  singleton: boolean;
  clock: Clock;
  waiting: () => void;
  lost: () => void;
  stopped: () => boolean;
}): Promise<Lease> {
  const { database, account, holder, singleton, clock, waiting, lost, stopped } = options;
  const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel(CHANNEL);
  let answered = false;
  let held = false;
  if (channel) {
    channel.onmessage = ({ data }: MessageEvent<Question>) => {
      if (data.account !== account) return;
      if (data.here && data.here !== holder) answered = true;
      if (data.ask && held) channel.postMessage({ account, here: holder } satisfies Question);
    };
  }
  const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
  /** True when nobody says that it is there; without a channel nobody can be asked. */
  const silence = async (): Promise<boolean> => {
    if (!channel) return false;
    answered = false;
    channel.postMessage({ account, ask: holder } satisfies Question);
    await pause(ASK_MS);
    return !answered;
  };

  while (!(await take(database, holder, singleton))) {
    if (stopped()) return new Promise(() => channel?.close());
    if (await silence()) {
      await take(database, holder, true);
      break;
    }
    waiting();
    await pause(RENEW_MS / 2);
  }
  held = true;

  let cancel = (): void => {};
  const drop = (): void => {
    held = false;
    cancel();
    channel?.close();
  };
  const renew = (): void => {
    cancel = clock.after(RENEW_MS, () => {
      transact(database, ["lease"], "readwrite", "relaxed", async (store) => {
        await checkLease(store("lease"), holder);
        store("lease").put({ holder, until: Date.now() + TERM_MS }, "holder");
      }).then(
        () => held && renew(),
        (error: unknown) => {
          if (!held) return;
          if (!isLeaseLost(error)) return renew();
          drop();
          lost();
        },
      );
    });
  };
  renew();
  return {
    release() {
      drop();
      return release(database, holder);
    },
  };
}
