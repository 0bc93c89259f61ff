// IndexedDB with promises, and the one schema. The database of an account holds everything that a device of
// it must remember; its origin is the tracker's.
import type { ChannelSpec } from "./commands";
import type { Id, Path } from "./api";

const SCHEMA_VERSION = 2;

/** One entry: the core's record, and what a person sees of it. */
export interface EntryRow {
  channel: Id;
  author: Id;
  seq: number;
  record: Uint8Array;
  id: Id;
  kind: number;
  time: number;
  place: number;
  body: Uint8Array;
  account: string;
  from: Id;
  fromAccount: string;
  path: Path;
  arrived: number;
  /** As it was when it came; the core knows what it is now. */
  locked?: boolean;
  withdrawn?: boolean;
  hidden?: boolean;
}

export interface ChannelRow {
  channel: Id;
  /** The core's record; missing until the core has stored it. */
  record?: Uint8Array;
  name: string;
  authority: Id;
  type?: "public" | "private" | "direct";
  /** Everything up to this place has been read. */
  readPlace: number;
  /** Of a sealed channel that this account is in. */
  spec?: ChannelSpec | undefined;
}

export interface RelationRow {
  account: string;
  relation: "none" | "friend" | "blocked";
}

/** That device holds the own entries 1..seq of the channel, and those of the island. */
export interface MarkRow {
  channel: Id;
  device: Id;
  account: string;
  replica: boolean;
  seq: number;
  /** First and last of a part that came before older ones did. */
  island?: [number, number];
}

export interface PeerRow {
  device: Id;
  account: string;
  label: string;
  seenAt: number;
}

export interface IdentityRow {
  seed: Uint8Array;
  certificate?: Uint8Array;
  /** Device id of the tracker that was here last. */
  tracker?: Id;
}

export interface LeaseRow {
  holder: string;
  until: number;
}

export type StoreName = "identity" | "entries" | "channels" | "marks" | "peers" | "lease" | "files" | "leaves" | "relations";

export function databaseName(account: string): string {
  return `weaprous.${account}`;
}

/** Version 1 is that of 0.1.0; what a later one adds is added to what is there. */
function createSchema(database: IDBDatabase, from: number): void {
  if (from < 1) createFirst(database);
  if (from < 2) {
    database.createObjectStore("files", { keyPath: "root" });
    database.createObjectStore("leaves", { keyPath: ["root", "leaf"] });
    database.createObjectStore("relations", { keyPath: "account" });
  }
}

function createFirst(database: IDBDatabase): void {
  const entries = database.createObjectStore("entries", { keyPath: ["channel", "author", "seq"] });
  entries.createIndex("place", ["channel", "place", "author", "seq"], { unique: true });
  database.createObjectStore("channels", { keyPath: "channel" });
  database.createObjectStore("marks", { keyPath: ["channel", "device"] });
  database.createObjectStore("peers", { keyPath: "device" });
  database.createObjectStore("identity");
  database.createObjectStore("lease");
}

/** `lost` is called when the browser closes the database: storage was cleared, or a newer page wants to upgrade. */
export function openDatabase(account: string, lost: () => void): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(databaseName(account), SCHEMA_VERSION);
    request.onupgradeneeded = ({ oldVersion }) => createSchema(request.result, oldVersion);
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const database = request.result;
      database.onclose = lost;
      database.onversionchange = () => {
        database.close();
        lost();
      };
      resolve(database);
    };
  });
}

export function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Runs `work` in one transaction and resolves after it is complete. What `work` throws aborts it. With
 *  `strict` complete means flushed to the disk, not only handed to the operating system. */
export function transact<T>(
  database: IDBDatabase,
  names: StoreName[],
  mode: IDBTransactionMode,
  durability: "strict" | "relaxed",
  work: (store: (name: StoreName) => IDBObjectStore) => T | Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(names, mode, { durability });
    let result: T | undefined;
    let thrown: unknown;
    transaction.oncomplete = () => resolve(result as T);
    transaction.onabort = () => reject(thrown ?? transaction.error ?? new Error("the transaction was aborted"));
    const fail = (error: unknown): void => {
      thrown = error;
      try {
        transaction.abort();
      } catch {
        reject(error); // it is over already
      }
    };
    try {
      Promise.resolve(work((name) => transaction.objectStore(name))).then((value) => {
        result = value;
      }, fail);
    } catch (error) {
      fail(error);
    }
  });
}

/** Visits rows until `visit` says false. */
export function walk<T>(request: IDBRequest<IDBCursorWithValue | null>, visit: (row: T) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (cursor && visit(cursor.value as T)) cursor.continue();
      else resolve();
    };
  });
}
