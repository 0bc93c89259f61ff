// What a person or a program wants of the core, as the array that w_command reads (src/wasm/commands.c).
import { fromHex, toUtf8, type Bytes } from "./bytes";
import type { Cbor } from "./cbor";
import { nodeError } from "./errors";
import type { Id } from "./api";

export const PATHS = ["none", "tracker", "relay", "direct", "lan"] as const;
export type LinkPath = (typeof PATHS)[number];
export const CHANNEL_TYPES = ["public", "private", "direct"] as const;
const RELATIONS = ["none", "friend", "blocked"] as const;
export type Relation = (typeof RELATIONS)[number];

/** What a channel is: its id follows from this. `nonce` is 32 hexadecimal digits. */
export type ChannelSpec =
  | { type: "public"; authority: Id; name: string }
  | { type: "private"; authority: Id; founder: Id; nonce: string }
  | { type: "direct"; authority: Id; account: string; other: string };

/** enum command_kind with what each kind needs; see src/core/node.h for what they do. */
export type Command =
  | { kind: "certificate"; bytes: Uint8Array }
  | { kind: "join"; channel: Id; authority: Id; name: string }
  | { kind: "leave"; channel: Id }
  | { kind: "send"; channel: Id; entryKind: number; body: Bytes }
  /** `channel`: where it is, when that is known. */
  | { kind: "peer"; device: Id; online: boolean; channel?: Id }
  | { kind: "connect-failed"; device: Id; path: LinkPath }
  | { kind: "network" }
  | { kind: "open"; spec: ChannelSpec; quiet?: boolean; onDemand?: boolean }
  | { kind: "member"; channel: Id; account: string; member: boolean }
  | { kind: "device"; certificate: Uint8Array }
  /** `before`: a place, ms; the newest entries when it is missing. */
  | { kind: "history"; channel: Id; count: number; before?: number }
  | { kind: "relation"; account: string; relation: Relation }
  | { kind: "request"; channel: Id; line: string; online: boolean }
  | { kind: "answer"; channel: Id; session: string; accept: boolean }
  | { kind: "end"; channel: Id; session: string }
  | { kind: "logout" }
  | { kind: "signal"; device: Id; bytes: Uint8Array }
  | { kind: "file-hold"; channel: Id; root: Id; size: number }
  /** `bitmap`: of the leaves that are here already. */
  | { kind: "file-fetch"; channel: Id; root: Id; size: number; bitmap?: Uint8Array }
  | { kind: "file-pause"; root: Id; paused: boolean }
  | { kind: "file-drop"; root: Id };

const KINDS: Record<Command["kind"], number> = {
  certificate: 1, join: 2, leave: 3, send: 4, peer: 5, "connect-failed": 6, network: 7, open: 8, member: 9, device: 10,
  history: 11, relation: 12, request: 13, answer: 14, end: 15, logout: 16, signal: 17, "file-hold": 18,
  "file-fetch": 19, "file-pause": 20, "file-drop": 21,
};
const NONE = new Uint8Array(0);

function hexBytes(text: string, length: number): Bytes {
  const bytes = fromHex(text);
  if (!bytes || bytes.length !== length) throw nodeError("INVALID", `${text} is not an id of ${length} bytes`);
  return bytes;
}

export const idToBytes = (id: Id): Bytes => hexBytes(id, 32);
const sixteen = (text: string): Bytes => hexBytes(text, 16);

/** [type, authority, name, founder, nonce, account, other]: what a type does not have is empty. */
export function specArray(spec: ChannelSpec): Cbor[] {
  const head = [CHANNEL_TYPES.indexOf(spec.type), idToBytes(spec.authority)];
  switch (spec.type) {
    case "public": return [...head, toUtf8(spec.name), NONE, NONE, NONE, NONE];
    case "private": return [...head, NONE, idToBytes(spec.founder), sixteen(spec.nonce), NONE, NONE];
    case "direct": return [...head, NONE, NONE, NONE, toUtf8(spec.account), toUtf8(spec.other)];
  }
}

/** struct command; a missing field is zero there. */
interface Row {
  channel?: Id;
  device?: Id;
  bytes?: Uint8Array;
  entryKind?: number;
  path?: LinkPath;
  online?: boolean;
  spec?: ChannelSpec;
  quiet?: boolean;
  onDemand?: boolean;
  count?: number;
  before?: number;
  relation?: Relation;
  session?: string;
  root?: Id;
  size?: number;
}

function rowOf(command: Command): Row {
  switch (command.kind) {
    case "join": return { channel: command.channel, device: command.authority, bytes: toUtf8(command.name) };
    case "send": return { ...command, bytes: command.body };
    case "member": return { channel: command.channel, bytes: toUtf8(command.account), online: command.member };
    case "device": return { bytes: command.certificate };
    case "relation": return { bytes: toUtf8(command.account), relation: command.relation };
    case "request": return { channel: command.channel, bytes: toUtf8(command.line), online: command.online };
    case "answer": return { channel: command.channel, session: command.session, online: command.accept };
    case "file-fetch": return { ...command, ...(command.bitmap ? { bytes: command.bitmap } : {}) };
    case "file-pause": return { root: command.root, online: command.paused };
    case "network":
    case "logout": return {};
    default: return command;
  }
}

export function commandArray(command: Command): Cbor[] {
  const { channel, device, bytes = NONE, entryKind = 0, path = "none", ...row } = rowOf(command);
  const flag = (on: boolean | undefined): number => (on ? 1 : 0);
  return [
    KINDS[command.kind], channel ? idToBytes(channel) : NONE, device ? idToBytes(device) : NONE, bytes as Bytes,
    entryKind, PATHS.indexOf(path), flag(row.online), row.spec ? specArray(row.spec) : [], flag(row.quiet),
    flag(row.onDemand), row.count ?? 0, row.before ?? 0, RELATIONS.indexOf(row.relation ?? "none"),
    row.session ? sixteen(row.session) : NONE, row.root ? idToBytes(row.root) : NONE, row.size ?? 0,
  ];
}
