// From the core's entries to what a page draws.
import { fromUtf8, toUtf8, type Bytes } from "./bytes";
import { cborDecode, cborEncode } from "./cbor";
import { ENTRY, type Entry } from "./core";
import type { EntryRow } from "./idb";
import type { Mark } from "./marks";
import type { Decision, Id, Message } from "./api";

const KINDS: Record<number, Message["kind"]> = {
  [ENTRY.join]: "join",
  [ENTRY.leave]: "leave",
  [ENTRY.text]: "text",
  [ENTRY.profile]: "control",
  [ENTRY.key]: "control",
  [ENTRY.member]: "control",
  [ENTRY.session]: "control",
  [ENTRY.moderate]: "control",
};

const WEB_MARK = 1;
/** The tracker's account that signs for people without one; nobody can log in to it. */
const GUESTS = "guest";

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

/** What the tracker wrote for somebody (docs/protocol/wire.md, TEXT): "" for a person with an account, the announced name of a
 *  guest; undefined for what a device has written itself. */
function viaWeb(body: Uint8Array): string | undefined {
  try {
    const value = cborDecode(body);
    const mark = Array.isArray(value) ? value[1] : undefined;
    if (!Array.isArray(mark) || mark[0] !== WEB_MARK) return undefined;
    return mark[1] instanceof Uint8Array ? fromUtf8(mark[1]) : "";
  } catch {
    return undefined;
  }
}

const ACTS: readonly (Decision["act"] | undefined)[] = [
  undefined, "ban", "unban", "hide", "show", "mute", "unmute", "slow", "role", "topic", "name", "kick", "close",
];

function decisionOf(body: Uint8Array): Decision | undefined {
  try {
    const [act, by, about, , until, number, text] = cborDecode(body) as unknown[];
    const kind = ACTS[act as number];
    const bytes = [by, about, text].every((part) => part instanceof Uint8Array);
    if (!kind || !bytes || typeof until !== "number" || typeof number !== "number") return undefined;
    const [who, whom, words] = [by, about, text].map((part) => fromUtf8(part as Uint8Array)) as [string, string, string];
    return { act: kind, by: who, account: whom, number, until, text: words };
  } catch {
    return undefined;
  }
}

export function rowOf(entry: Entry, record: Uint8Array, fromAccount: string): EntryRow {
  return { ...entry, record, fromAccount };
}

/** `mark`: how far an own entry of this device has got. `authority`: the channel's, the only device that moderates. */
export function messageOf(row: Omit<EntryRow, "record">, account: string, mark: Mark | undefined, authority: Id): Message {
  const decision = row.kind === ENTRY.moderate && row.author === authority ? decisionOf(row.body) : undefined;
  const kind = decision ? "decision" : (KINDS[row.kind] ?? "unknown");
  const web = kind === "text" ? viaWeb(row.body) : undefined;
  const { id, channel, author, seq, time, place, path, from, fromAccount, arrived } = row;
  return {
    id, channel, author, seq, kind, time, place, path, from, fromAccount, arrived,
    account: web && row.account === GUESTS ? `${web} (${GUESTS})` : row.account,
    text: kind === "text" ? fromUtf8(firstBytes(row.body) ?? new Uint8Array(0)) : "",
    mine: row.account === account,
    ...(mark ? { mark } : {}),
    ...(web === undefined ? {} : { web: true as const }),
    ...(row.locked ? { locked: true } : {}),
    ...(row.withdrawn ? { withdrawn: true } : {}),
    ...(row.hidden ? { hidden: true } : {}),
    ...(decision ? { decision } : {}),
  };
}
