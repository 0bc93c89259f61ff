// What a device remembers in the browser. Each promise that resolves is a promise kept:
//   commit   strict: the rows survive a power cut. The core acknowledges entries (HAVE) and sends own ones only
//            after it, so an acknowledgement is never taken back, and an own seq is never used twice. The flush
//            costs some milliseconds; the shell groups what arrives meanwhile into the next transaction.
//   the rest relaxed: survives the browser, not a power cut. Losing a mark, a read position or a peer's
//            label costs nothing that does not come back by itself.
// Every write checks the lease in its own transaction: a worker that lost it cannot write any more, whatever it believes.
import { checkLease } from "./lease";
import {
  done, openDatabase, transact, walk,
  type ChannelRow, type EntryRow, type IdentityRow, type MarkRow, type PeerRow, type RelationRow, type StoreName,
} from "./idb";
import { randomBytes } from "./bytes";
import type { FileRow, FileRows, LeafRow } from "./files";
import type { EntryKey } from "./shell";
import type { Id } from "./api";

export interface Place {
  place: number;
  author: Id;
  seq: number;
}

export interface CommitRow {
  entry?: EntryRow;
  /** A channel record. */
  channel?: { channel: Id; record: Uint8Array };
}

export interface Store extends FileRows {
  readonly database: IDBDatabase;
  identity(): Promise<IdentityRow>;
  saveIdentity(changes: Partial<IdentityRow>): Promise<void>;
  /** Channel records first, then entries by (channel, author, seq), as node_restore wants them. */
  restore(visit: (record: Uint8Array) => void): Promise<void>;
  commit(rows: CommitRow[]): Promise<void>;
  read(keys: EntryKey[]): Promise<(Uint8Array | undefined)[]>;
  /** At most `limit` rows before `before`, oldest first. */
  history(channel: Id, before: Place | undefined, limit: number): Promise<{ rows: EntryRow[]; more: boolean }>;
  entry(key: EntryKey): Promise<EntryRow | undefined>;
  /** How many rows after the place satisfy `counts`, at most `max`. */
  countAfter(channel: Id, place: number, max: number, counts: (row: EntryRow) => boolean): Promise<number>;
  channels(): Promise<ChannelRow[]>;
  saveChannel(channel: Id, changes: Partial<ChannelRow>): Promise<void>;
  marks(): Promise<MarkRow[]>;
  saveMarks(rows: MarkRow[]): Promise<void>;
  peers(): Promise<PeerRow[]>;
  savePeers(rows: PeerRow[]): Promise<void>;
  relations(): Promise<RelationRow[]>;
  saveRelation(row: RelationRow): Promise<void>;
  /** Removes everything; the next opening makes a new device. */
  forget(): Promise<void>;
  close(): void;
}

const RESTORE_BATCH = 500;
/** All but the lease. */
const CONTENT: StoreName[] = ["identity", "entries", "channels", "marks", "peers", "files", "leaves", "relations"];

async function restoreRows(database: IDBDatabase, visit: (record: Uint8Array) => void): Promise<void> {
  const channels = await transact(database, ["channels"], "readonly", "relaxed", (store) =>
    done<ChannelRow[]>(store("channels").getAll()),
  );
  for (const row of channels) if (row.record) visit(row.record);
  let after: IDBKeyRange | null = null;
  for (;;) {
    const range: IDBKeyRange | null = after;
    const rows = await transact(database, ["entries"], "readonly", "relaxed", (store) =>
      done<EntryRow[]>(store("entries").getAll(range, RESTORE_BATCH)),
    );
    for (const row of rows) visit(row.record);
    const last = rows.at(-1);
    if (!last || rows.length < RESTORE_BATCH) return;
    after = IDBKeyRange.lowerBound([last.channel, last.author, last.seq], true);
  }
}

function emptyChannel(channel: Id): ChannelRow {
  return { channel, name: "", authority: "", readPlace: 0 };
}

/** Opens the account's database; `holder` is who holds the lease (lease.ts) while this store is in use. */
export async function openStore(account: string, holder: string, lost: () => void): Promise<Store> {
  const database = await openDatabase(account, lost);

  /** A write by the holder of the lease. */
  const write = <T>(
    names: StoreName[], durability: "strict" | "relaxed",
    work: (store: (name: StoreName) => IDBObjectStore) => T | Promise<T>,
  ): Promise<T> =>
    transact(database, [...names, "lease"], "readwrite", durability, async (store) => {
      await checkLease(store("lease"), holder);
      return work(store);
    });
  const readAll = <T>(name: StoreName): Promise<T[]> =>
    transact(database, [name], "readonly", "relaxed", (store) => done<T[]>(store(name).getAll()));
  const putAll = (name: StoreName, rows: unknown[]): Promise<void> =>
    write([name], "relaxed", (store) => {
      for (const row of rows) store(name).put(row);
    });
  const updateChannel = async (channels: IDBObjectStore, channel: Id, changes: Partial<ChannelRow>): Promise<void> => {
    const row = await done<ChannelRow | undefined>(channels.get(channel));
    channels.put({ ...(row ?? emptyChannel(channel)), ...changes });
  };

  return {
    database,
    identity: () =>
      write(["identity"], "strict", async (store) => {
        const found = await done<IdentityRow | undefined>(store("identity").get("device"));
        if (found) return found;
        const made: IdentityRow = { seed: randomBytes(32) };
        store("identity").put(made, "device");
        return made;
      }),
    saveIdentity: (changes) =>
      write(["identity"], "relaxed", async (store) => {
        const row = await done<IdentityRow | undefined>(store("identity").get("device"));
        if (row) store("identity").put({ ...row, ...changes }, "device");
      }),
    forget: () =>
      write(CONTENT, "strict", (store) => {
        for (const name of CONTENT) store(name).clear();
      }),
    restore: (visit) => restoreRows(database, visit),
    commit: (rows) =>
      write(["entries", "channels"], "strict", async (store) => {
        for (const { entry, channel } of rows) {
          if (entry) store("entries").put(entry);
          if (channel) await updateChannel(store("channels"), channel.channel, { record: channel.record });
        }
      }),
    read: (keys) =>
      transact(database, ["entries"], "readonly", "relaxed", (store) =>
        Promise.all(
          keys.map(async ({ channel, author, seq }) => {
            const row = await done<EntryRow | undefined>(store("entries").get([channel, author, seq]));
            return row?.record;
          }),
        ),
      ),
    history: (channel, before, limit) =>
      transact(database, ["entries"], "readonly", "relaxed", async (store) => {
        const upper = before ? [channel, before.place, before.author, before.seq] : [channel, []];
        const range = IDBKeyRange.bound([channel], upper, false, true);
        const rows: EntryRow[] = [];
        let more = false;
        await walk<EntryRow>(store("entries").index("place").openCursor(range, "prev"), (row) => {
          more = rows.length === limit;
          if (!more) rows.push(row);
          return !more;
        });
        return { rows: rows.reverse(), more };
      }),
    entry: ({ channel, author, seq }) =>
      transact(database, ["entries"], "readonly", "relaxed", (store) =>
        done<EntryRow | undefined>(store("entries").get([channel, author, seq])),
      ),
    countAfter: (channel, place, max, counts) =>
      transact(database, ["entries"], "readonly", "relaxed", async (store) => {
        const range = IDBKeyRange.bound([channel, place, []], [channel, []]); // an array sorts after every string
        let count = 0;
        await walk<EntryRow>(store("entries").index("place").openCursor(range), (row) => {
          if (counts(row)) count++;
          return count < max;
        });
        return count;
      }),
    channels: () => readAll<ChannelRow>("channels"),
    saveChannel: (channel, changes) =>
      write(["channels"], "relaxed", (store) => updateChannel(store("channels"), channel, changes)),
    marks: () => readAll<MarkRow>("marks"),
    saveMarks: (rows) => putAll("marks", rows),
    peers: () => readAll<PeerRow>("peers"),
    savePeers: (rows) => putAll("peers", rows),
    relations: () => readAll<RelationRow>("relations"),
    saveRelation: (row) => putAll("relations", [row]),
    files: () => readAll<FileRow>("files"),
    saveFile: (row) => putAll("files", [row]),
    dropFile: (root) =>
      write(["files", "leaves"], "relaxed", (store) => {
        store("files").delete(root);
        store("leaves").delete(IDBKeyRange.bound([root], [root, []]));
      }),
    leaf: (root, leaf) =>
      transact(database, ["leaves"], "readonly", "relaxed", (store) =>
        done<LeafRow | undefined>(store("leaves").get([root, leaf])),
      ),
    saveLeaf: (row) =>
      write(["leaves"], "strict", (store) => {
        store("leaves").put(row);
      }),
    leaves: (root) =>
      transact(database, ["leaves"], "readonly", "relaxed", async (store) => {
        const keys = await done(store("leaves").getAllKeys(IDBKeyRange.bound([root], [root, []])));
        return (keys as [Id, number][]).map(([, leaf]) => leaf);
      }),
    close: () => database.close(),
  };
}
