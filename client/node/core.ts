// The wasm core as typed functions: src/wasm over src/core/node.h, one node for each instance. No decision is
// taken here; ids are lower-case hexadecimal on this side, times are milliseconds since 1970.
import { fromUtf8, toHex, toUtf8, type Bytes } from "./bytes";
import { actionOf, entryOf, type Action, type ActionRow, type Entry, type EntryRow } from "./actions";
import { cborDecode, cborEncode, type Cbor } from "./cbor";
import { commandArray, idToBytes, PATHS, specArray, type ChannelSpec, type Command, type LinkPath } from "./commands";
import { cryptoImports, type Sodium } from "./sodium";
import { nodeError } from "./errors";
import { createTree, type Tree, type TreeExports } from "./tree";
import type { Id, NodeError } from "./api";

export type { Action, ChannelSpec, Command, Entry, LinkPath };
export const ENTRY = {
  join: 1, leave: 2, text: 3, profile: 4, key: 5, member: 6, session: 7, file: 8, reaction: 9, moderate: 10, } as const;
export const TRANSMIT_ROOM = 20 * 1024;
export const TRANSMIT_MAX = 64 * 1024;
export const BODY_BYTES_MAX = 16 * 1024;
/** A browser makes fewer connections well than a native peer does. */
const BROWSER_LINKS = { channel: 12, all: 24 };

export interface Certificate {
  account: string;
  device: Id;
  authority: Id;
  issued: number;
  expires: number;
}

export interface LinkInfo {
  path: LinkPath;
  initiator: boolean;
  expected?: Id;
  binding: string;
}

export interface CoreConfig {
  identitySeed: Uint8Array;
  randomSeed: Uint8Array;
  directPatienceMs?: number;
  channelLinksMax?: number;
  linksMax?: number;
  epochAgeMs?: number;
  sessionAnswerMs?: number;
  sessionAwayMs?: number;
  sessionSilenceMs?: number;
  /** Gets everything that goes into the node, piece by piece (src/core/trace.h); it holds the node's secrets. */
  trace?: (piece: Bytes) => void;
}

export interface Core {
  readonly device: Id;
  /** False: the record does not fit what came before and was left out. */
  restore(record: Uint8Array, now: number): boolean;
  linkUp(link: number, info: LinkInfo, now: number): void;
  linkDown(link: number, now: number): void;
  /** How many bytes were consumed. busy: drain and give the rest again; dead: the link is closed, drop the rest. */
  receive(link: number, bytes: Uint8Array, now: number): { used: number; state: "ok" | "busy" | "dead" };
  /** A copy of what is to be sent next, or undefined. */
  transmit(link: number, room: number, now: number): Bytes | undefined;
  /** A token, or 0 where there is nothing to wait for. Throws a NodeError. */
  command(command: Command, now: number): number;
  /** `failed`: a name of base/err.h. */
  done(token: number, now: number, result?: { failed?: string; record?: Uint8Array }): void;
  /** An entry's record as it is to be shown; undefined when it is damaged or its channel is not here. */
  view(record: Uint8Array): Entry | undefined;
  /** The accounts in a sealed channel. */
  members(channel: Id): string[];
  /** Who holds how much of one's own in the channel: the delivery ledger. */
  ledger(channel: Id): Ledger;
  tick(now: number): void;
  /** When tick is due; Infinity for never. */
  deadline(): number;
  next(): Action | undefined;
  destroy(): void;
}

export interface LedgerRow {
  device: Id;
  account: string;
  replica: boolean;
  path: LinkPath;
  /** Holds own entries from..seq; 0, 0: none that we know of. */
  from: number;
  seq: number;
}

export interface Ledger {
  /** Own entries that there are. */
  own: number;
  rows: LedgerRow[];
}

/** What needs no node; a tracker's part of it is for tests. */
export interface CoreTools {
  certificateParse(bytes: Uint8Array): Certificate;
  certificateWrite(seed: Uint8Array, fields: Certificate): Bytes;
  channelId(spec: ChannelSpec): Id;
  sign(seed: Uint8Array, domain: string, bytes: Uint8Array): Bytes;
  readonly tree: Tree;
  create(config: CoreConfig, now: number): Core;
}

interface Exports extends TreeExports {
  memory: WebAssembly.Memory;
  _initialize(): void;
  w_input(): number;
  w_output(): number;
  w_buffer_size(): number;
  w_create(length: number, now: number): number;
  w_destroy(): void;
  w_device(): number;
  w_restore(length: number, now: number): number;
  w_link_up(link: number, length: number, now: number): number;
  w_link_down(link: number, now: number): void;
  w_receive(link: number, length: number, now: number): number;
  w_used(): number;
  w_transmit(link: number, room: number, now: number): number;
  w_command(length: number, now: number): number;
  w_done(token: number, result: number, length: number, now: number): void;
  w_view(length: number): number;
  w_members(length: number): number;
  w_ledger(length: number, start: number): number;
  w_tick(now: number): void;
  w_trace(): number;
  w_deadline(): number;
  w_next(): number;
  w_error_text(code: number): number;
  w_error_name(code: number): number;
  w_certificate(length: number): number;
  w_certificate_write(length: number): number;
  w_channel_id(length: number): number;
  w_sign(length: number): number;
}

const ERROR_CODES_MAX = 64;
const NONE = new Uint8Array(0);

/** The border: buffers in and out, and errors in words. */
function bindBuffers(exports: Exports) {
  const input = exports.w_input();
  const output = exports.w_output();
  const size = exports.w_buffer_size();
  const view = (length: number): Uint8Array => new Uint8Array(exports.memory.buffer, output, length);
  const take = (length: number): Bytes => view(length).slice() as Bytes;
  const errorName = (code: number): string => fromUtf8(take(exports.w_error_name(code)));
  return {
    size,
    take,
    /** One value from the output; cborDecode copies what it keeps. */
    decode: (length: number): Cbor => cborDecode(view(length)),
    give(bytes: Uint8Array): number {
      if (bytes.length > size) throw nodeError("TOO_LARGE", "larger than the core's buffer");
      new Uint8Array(exports.memory.buffer).set(bytes, input);
      return bytes.length;
    },
    errorName,
    error: (code: number): Error & NodeError =>
      nodeError(errorName(code), fromUtf8(take(exports.w_error_text(code)))),
  };
}

type Border = ReturnType<typeof bindBuffers>;

function errorCodes(border: Border): Map<string, number> {
  const codes = new Map<string, number>();
  for (let code = -1; code > -ERROR_CODES_MAX; code--) {
    const name = border.errorName(code);
    if (!codes.has(name)) codes.set(name, code);
  }
  return codes;
}

type LedgerArray = [device: Bytes, account: Bytes, role: number, path: number, from: number, seq: number];

function ledgerRow([device, account, role, path, from, seq]: LedgerArray): LedgerRow {
  return {
    device: toHex(device), account: fromUtf8(account), replica: role === 1, path: PATHS[path] ?? "none", from, seq,
  };
}

function createNode(exports: Exports, border: Border, codes: Map<string, number>): Core {
  const busy = codes.get("BUSY");
  return {
    device: toHex(border.take(exports.w_device())),
    restore: (record, now) => exports.w_restore(border.give(record), now) === 0,
    linkUp(link, info, now) {
      const { path, initiator, expected, binding } = info;
      const length = border.give(
        cborEncode([
          PATHS.indexOf(path), initiator ? 1 : 0, expected ? idToBytes(expected) : NONE, toUtf8(binding),
        ]),
      );
      const result = exports.w_link_up(link, length, now);
      if (result < 0) throw border.error(result);
    },
    linkDown: (link, now) => exports.w_link_down(link, now),
    receive(link, bytes, now) {
      const piece = bytes.length > border.size ? bytes.subarray(0, border.size) : bytes;
      const result = exports.w_receive(link, border.give(piece), now);
      return { used: exports.w_used(), state: result === 0 ? "ok" : result === busy ? "busy" : "dead" };
    },
    transmit(link, room, now) {
      const length = exports.w_transmit(link, Math.min(room, TRANSMIT_MAX), now);
      return length > 0 ? border.take(length) : undefined;
    },
    command(command, now) {
      const result = exports.w_command(border.give(cborEncode(commandArray(command))), now);
      if (result < 0) throw border.error(result);
      return result;
    },
    done(token, now, result = {}) {
      const code = result.failed ? (codes.get(result.failed) ?? codes.get("IO") ?? -1) : 0;
      exports.w_done(token, code, border.give(result.record ?? NONE), now);
    },
    view(record) {
      const length = exports.w_view(border.give(record));
      return length > 0 ? entryOf(border.decode(length) as EntryRow) : undefined;
    },
    members(channel) {
      const length = exports.w_members(border.give(idToBytes(channel)));
      if (length < 0) throw border.error(length);
      return (border.decode(length) as Bytes[]).map(fromUtf8);
    },
    ledger(channel) {
      const rows: LedgerRow[] = [];
      for (;;) {
        const length = exports.w_ledger(border.give(idToBytes(channel)), rows.length);
        if (length < 0) throw border.error(length);
        const [own, ...more] = border.decode(length) as [number, ...LedgerArray[]];
        rows.push(...more.map(ledgerRow));
        if (more.length === 0) return { own, rows };
      }
    },
    tick: (now) => exports.w_tick(now),
    deadline() {
      const at = exports.w_deadline();
      return at < 0 ? Number.POSITIVE_INFINITY : at;
    },
    next() {
      const length = exports.w_next();
      return length > 0 ? actionOf(border.decode(length) as ActionRow, border.errorName) : undefined;
    },
    destroy: () => exports.w_destroy(),
  };
}

/** Hands on what each call left in the trace, also when it failed or trapped. */
function traced(core: Core, exports: Exports, border: Border, trace: (piece: Bytes) => void): Core {
  const drain = (): void => {
    for (let length = exports.w_trace(); length > 0; length = exports.w_trace()) trace(border.take(length));
  };
  const after = <A extends unknown[], R>(call: (...given: A) => R) => (...given: A): R => {
    try {
      return call(...given);
    } finally {
      drain();
    }
  };
  drain();
  return {
    ...core,
    restore: after(core.restore),
    linkUp: after(core.linkUp),
    linkDown: after(core.linkDown),
    receive: after(core.receive),
    transmit: after(core.transmit),
    command: after(core.command),
    done: after(core.done),
    tick: after(core.tick),
    next: after(core.next),
    destroy: after(core.destroy),
  };
}

/** A fresh instance; `sodium.ready` must have resolved. One node can be created in it at a time. */
export function instantiateCore(module: WebAssembly.Module, sodium: Sodium): CoreTools {
  let bytes = new Uint8Array(0);
  const memory = (): Uint8Array => {
    if (bytes.length === 0) bytes = new Uint8Array(exports.memory.buffer); // first use, or detached by growing
    return bytes;
  };
  const instance = new WebAssembly.Instance(module, { crypto: cryptoImports(sodium, memory) });
  const exports = instance.exports as unknown as Exports;
  exports._initialize();
  const border = bindBuffers(exports);
  const codes = errorCodes(border);
  const checkedNumber = (result: number): number => {
    if (result < 0) throw border.error(result);
    return result;
  };
  const checked = (length: number): Bytes => border.take(checkedNumber(length));
  return {
    certificateParse(certificate) {
      const [account, device, authority, issued, expires] = border.decode(
        checkedNumber(exports.w_certificate(border.give(certificate))),
      ) as [Bytes, Bytes, Bytes, number, number];
      return { account: fromUtf8(account), device: toHex(device), authority: toHex(authority), issued, expires };
    },
    certificateWrite(seed, fields) {
      const row: Cbor[] = [
        seed as Bytes, toUtf8(fields.account), idToBytes(fields.device), idToBytes(fields.authority),
        fields.issued, fields.expires,
      ];
      return checked(exports.w_certificate_write(border.give(cborEncode(row))));
    },
    channelId: (spec) => toHex(checked(exports.w_channel_id(border.give(cborEncode(specArray(spec)))))),
    sign: (seed, domain, message) =>
      checked(exports.w_sign(border.give(cborEncode([seed as Bytes, toUtf8(domain), message as Bytes])))),
    tree: createTree(exports, { ...border, checked: checkedNumber }),
    create(config, now) {
      const { channelLinksMax = BROWSER_LINKS.channel, linksMax = BROWSER_LINKS.all } = config;
      const row: Cbor[] = [
        config.identitySeed as Bytes, config.randomSeed as Bytes, 0, channelLinksMax, linksMax,
        config.directPatienceMs ?? 0, config.epochAgeMs ?? 0, config.sessionAnswerMs ?? 0, config.sessionAwayMs ?? 0,
        config.sessionSilenceMs ?? 0, config.trace ? 1 : 0,
      ];
      const result = exports.w_create(border.give(cborEncode(row)), now);
      if (result < 0) throw border.error(result);
      const core = createNode(exports, border, codes);
      return config.trace ? traced(core, exports, border, config.trace) : core;
    },
  };
}
