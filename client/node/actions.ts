// What the core wants done: the array that w_next writes (src/wasm/actions.c) as one typed value for each kind.
import { fromUtf8, toHex, type Bytes } from "./bytes";
import { CHANNEL_TYPES, PATHS, type ChannelSpec, type LinkPath } from "./commands";
import { nodeError } from "./errors";
import type { Id, Path } from "./api";

/** One entry of a feed: struct entry_view. */
export interface Entry {
  channel: Id;
  author: Id;
  seq: number;
  id: Id;
  kind: number;
  time: number;
  place: number;
  body: Bytes;
  account: string;
  from: Id;
  path: Path;
  arrived: number;
  /** Sealed, and the key is not here: the body is empty. */
  locked: boolean;
  /** Its account was removed before all had it: not to be shown, the body is empty. */
  withdrawn: boolean;
  /** A moderator has hidden it: the same. */
  hidden: boolean;
}

const SESSION_STATES = ["none", "asked", "asking", "open", "ended"] as const;
export type SessionState = Exclude<(typeof SESSION_STATES)[number], "none">;
const SESSION_REASONS = [
  "none", "declined", "no-answer", "cancelled", "ended", "logout", "silence",
] as const;
export type SessionReason = (typeof SESSION_REASONS)[number];
const FILE_STATES = ["none", "waiting", "running", "paused", "done", "serving"] as const;
export type FileState = Exclude<(typeof FILE_STATES)[number], "none">;

export type Action =
  | { kind: "store"; token: number; record: Bytes; channel: Id; entry?: Entry }
  | { kind: "read"; token: number; channel: Id; author: Id; seq: number }
  | { kind: "deliver"; token: number; entry: Entry }
  /** That device holds own entries from..seq; path "none": it is not linked, others have brought its receipt. */
  | {
      kind: "delivered"; channel: Id; device: Id; account: string; from: number; seq: number; replica: boolean;
      path: LinkPath;
    }
  | { kind: "connect"; device: Id; path: LinkPath }
  | { kind: "close"; link: number; code: string; text: string }
  | { kind: "peer"; device: Id; account: string; replica: boolean; path: LinkPath; rttMs?: number }
  | { kind: "writable"; link: number }
  | { kind: "warning"; device?: Id; code: string; text: string }
  /** Entries from..seq of the author are missing; from > seq: no more. */
  | { kind: "gap"; channel: Id; author: Id; account: string; from: number; seq: number }
  /** `failed`: a name of base/err.h, when there is nothing older or nobody has answered. */
  | { kind: "history"; channel: Id; token: number; count: number; failed?: string }
  /** Somebody has brought this channel; or this account was removed from it. */
  | { kind: "channel"; channel: Id; spec: ChannelSpec; removed: boolean }
  /** What is locked or withdrawn in this channel may have changed. */
  | { kind: "unlocked"; channel: Id }
  | {
      kind: "session"; channel: Id; account: string; device?: Id; session: string; state: SessionState;
      reason: SessionReason; line: string; until: number;
    }
  | { kind: "signal"; device: Id; bytes: Bytes }
  | { kind: "file-read"; token: number; root: Id; leaf: number }
  | { kind: "file-write"; token: number; root: Id; leaf: number; bytes: Bytes; proof: Bytes }
  | {
      kind: "file"; root: Id; state: FileState; leaves: number; total: number; sources: number; code: string;
      text: string;
    };

export type EntryRow = [
  Bytes, Bytes, number, Bytes, number, number, number, Bytes, Bytes, Bytes, number, number, number,
  number,
];

export function entryOf(row: EntryRow): Entry {
  const path = PATHS[row[10]] ?? "none";
  return {
    channel: toHex(row[0]), author: toHex(row[1]), seq: row[2], id: toHex(row[3]), kind: row[4],
    time: row[5], place: row[6], body: row[7], account: fromUtf8(row[8]), from: toHex(row[9]),
    path: path === "none" ? "own" : path, arrived: row[11], locked: row[12] === 1, withdrawn: row[13] === 1,
    hidden: row[13] === 2,
  };
}

type SpecRow = [number, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes];

function specOf([type, authorityBytes, name, founder, nonce, account, other]: SpecRow): ChannelSpec {
  const authority = toHex(authorityBytes);
  switch (CHANNEL_TYPES[type]) {
    case "private": return { type: "private", authority, founder: toHex(founder), nonce: toHex(nonce) };
    case "direct": return { type: "direct", authority, account: fromUtf8(account), other: fromUtf8(other) };
    default: return { type: "public", authority, name: fromUtf8(name) };
  }
}

/** What only some kinds have; see put_rest. */
type RestRow = EntryRow | SpecRow | [Bytes, number, number, number] | [Bytes, number, Bytes] | FileRow;
type FileRow = [Bytes, number, number, number, number];

export type ActionRow = [
  kind: number, link: number, token: number, record: Bytes, channel: Bytes, device: Bytes, account: Bytes,
  seq: number, role: number, path: number, rttUs: number, result: number, text: Bytes, from: number, rest: RestRow,
];

export function actionOf(row: ActionRow, errorName: (code: number) => string): Action {
  const [kind, link, token, record, channelBytes, deviceBytes, accountBytes, seq, role, path, rttUs] = row;
  const [result, text, from, rest] = row.slice(11) as [number, Bytes, number, RestRow];
  const replica = role === 1;
  const linkPath = PATHS[path] ?? "none";
  const channel = toHex(channelBytes);
  const device = toHex(deviceBytes);
  const account = fromUtf8(accountBytes);
  const said = () => ({ code: result ? errorName(-result) : "OK", text: fromUtf8(text) });
  switch (kind) {
    case 1: {
      const view = entryOf(rest as EntryRow);
      return { kind: "store", token, record, channel: view.channel, ...(view.author ? { entry: view } : {}) };
    }
    case 2: {
      const { channel: of, author, seq: number } = entryOf(rest as EntryRow);
      return { kind: "read", token, channel: of, author, seq: number };
    }
    case 3: return { kind: "deliver", token, entry: entryOf(rest as EntryRow) };
    case 4: return { kind: "delivered", channel, device, account, from, seq, replica, path: linkPath };
    case 5: return { kind: "connect", device, path: linkPath };
    case 6: return { kind: "close", link, ...said() };
    case 7: {
      const rtt = rttUs > 0 ? { rttMs: rttUs / 1000 } : {};
      return { kind: "peer", device, account, replica, path: linkPath, ...rtt };
    }
    case 8: return { kind: "writable", link };
    case 9: return { kind: "warning", ...(device ? { device } : {}), ...said() };
    case 10: return { kind: "gap", channel, author: device, account, from, seq };
    case 11: return { kind: "history", channel, token, count: seq, ...(result ? { failed: errorName(-result) } : {}) };
    case 12: return { kind: "channel", channel, spec: specOf(rest as SpecRow), removed: result !== 0 };
    case 13: return { kind: "unlocked", channel };
    case 14: {
      const [session, state, reason, until] = rest as [Bytes, number, number, number];
      return {
        kind: "session", channel, account, ...(device ? { device } : {}), session: toHex(session),
        state: nameOf(SESSION_STATES, state) as SessionState, reason: nameOf(SESSION_REASONS, reason),
        line: fromUtf8(text), until,
      };
    }
    case 15: return { kind: "signal", device, bytes: record };
    case 16: {
      const [root, leaf] = rest as [Bytes, number, Bytes];
      return { kind: "file-read", token, root: toHex(root), leaf };
    }
    case 17: {
      const [root, leaf, proof] = rest as [Bytes, number, Bytes];
      return { kind: "file-write", token, root: toHex(root), leaf, bytes: record, proof };
    }
    case 18: {
      const [root, state, leaves, total, sources] = rest as FileRow;
      return {
        kind: "file", root: toHex(root), state: nameOf(FILE_STATES, state) as FileState, leaves, total, sources,
        ...said(),
      };
    }
    default: throw nodeError("INVALID", `the core gave an action of unknown kind ${kind}`);
  }
}

function nameOf<T extends readonly string[]>(names: T, index: number): T[number] {
  const name = names[index];
  if (name === undefined) throw nodeError("INVALID", `the core gave ${index}, which has no name`);
  return name;
}
