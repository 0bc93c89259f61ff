// From the core's entries to what a page draws.
import { fromUtf8, toUtf8, type Bytes } from "./bytes";
import { cborDecode, cborEncode } from "./cbor";
import { ENTRY, type Entry } from "./core";
import type { EntryRow } from "./idb";
import type { Mark } from "./marks";
import type { Message } from "./api";

const KINDS: Record<number, Message["kind"]> = {
  [ENTRY.join]: "join",
  [ENTRY.leave]: "leave",
  [ENTRY.text]: "text",
  [ENTRY.profile]: "profile",
};

export function textBody(text: string): Bytes {
  return cborEncode([toUtf8(text)]);
}

/** The first element of a body; undefined for anything that is not of that form (peers may send what they like). */
function firstBytes(body: Uint8Array): Bytes | undefined {
  try {
    const value = cborDecode(body);
    return Array.isArray(value) && value[0] instanceof Uint8Array ? value[0] : undefined;
  } catch {
    return undefined;
  }
}

export function rowOf(entry: Entry, record: Uint8Array, fromAccount: string): EntryRow {
  return { ...entry, record, fromAccount };
}

/** `mark`: how far an own entry of this device has got. */
export function messageOf(row: Omit<EntryRow, "record">, account: string, mark: Mark | undefined): Message {
  const kind = KINDS[row.kind] ?? "unknown";
  const { id, channel, author, seq, time, place, path, from, fromAccount, arrived } = row;
  return {
    id, channel, author, seq, kind, time, place, path, from, fromAccount, arrived,
    account: row.account,
    text: kind === "text" ? fromUtf8(firstBytes(row.body) ?? new Uint8Array(0)) : "",
    mine: row.account === account,
    ...(mark ? { mark } : {}),
    ...(row.locked ? { locked: true } : {}),
    ...(row.withdrawn ? { withdrawn: true } : {}),
  };
}
