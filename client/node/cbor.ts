// The strict subset of CBOR that the core speaks (src/base/cbor.h): unsigned integers, byte strings, arrays of
// definite length, shortest heads. It carries arguments and actions over the wasm border, and is inside
// entry bodies. Integers are numbers: nothing that a page handles is above 2^53.
import type { Bytes } from "./bytes";

export type Cbor = number | Bytes | Cbor[];

const DEPTH_MAX = 8; // a value inside seven arrays is 8 deep
const MAJOR_UINT = 0;
const MAJOR_BYTES = 2;
const MAJOR_ARRAY = 4;
const EMPTY: Bytes = new Uint8Array(0);

function headLength(value: number): number {
  return value < 24 ? 1 : value <= 0xff ? 2 : value <= 0xffff ? 3 : value <= 0xffffffff ? 5 : 9;
}

function encodedLength(value: Cbor): number {
  if (typeof value === "number") return headLength(value);
  if (value instanceof Uint8Array) return headLength(value.length) + value.length;
  return value.reduce((sum: number, item) => sum + encodedLength(item), headLength(value.length));
}

function putHead(out: DataView, at: number, major: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`cbor: ${value} is not an unsigned integer`);
  const length = headLength(value);
  const info = length === 1 ? value : length === 2 ? 24 : length === 3 ? 25 : length === 5 ? 26 : 27;
  out.setUint8(at, (major << 5) | info);
  if (length === 2) out.setUint8(at + 1, value);
  if (length === 3) out.setUint16(at + 1, value);
  if (length === 5) out.setUint32(at + 1, value);
  if (length === 9) out.setBigUint64(at + 1, BigInt(value));
  return at + length;
}

function put(out: DataView, at: number, value: Cbor): number {
  if (typeof value === "number") return putHead(out, at, MAJOR_UINT, value);
  if (value instanceof Uint8Array) {
    at = putHead(out, at, MAJOR_BYTES, value.length);
    new Uint8Array(out.buffer, at, value.length).set(value);
    return at + value.length;
  }
  at = putHead(out, at, MAJOR_ARRAY, value.length);
  for (const item of value) at = put(out, at, item);
  return at;
}

export function cborEncode(value: Cbor): Bytes {
  const bytes = new Uint8Array(encodedLength(value));
  put(new DataView(bytes.buffer), 0, value);
  return bytes;
}

interface Reader {
  bytes: Uint8Array;
  view: DataView;
  at: number;
}

function malformed(what: string): never {
  throw new SyntaxError(`cbor: ${what}`);
}

/** The number behind a head that says that it takes `extra` bytes; a shorter form is the only one allowed. */
function takeLong(reader: Reader, extra: number): number {
  const { view, at } = reader;
  if (at + extra > view.byteLength) malformed("the end comes too early");
  reader.at += extra;
  const value =
    extra === 1
      ? view.getUint8(at)
      : extra === 2
        ? view.getUint16(at)
        : extra === 4
          ? view.getUint32(at)
          : Number(view.getBigUint64(at));
  if (headLength(value) !== 1 + extra) malformed("a head is not in its shortest form");
  if (!Number.isSafeInteger(value)) malformed("a number is larger than 2^53");
  return value;
}

function take(reader: Reader, depth: number): Cbor {
  const { bytes } = reader;
  const first = bytes[reader.at++];
  if (first === undefined) return malformed("the end comes too early");
  const info = first & 31;
  if (info > 27) malformed("indefinite lengths and reserved heads are not allowed");
  const value = info < 24 ? info : takeLong(reader, 1 << (info - 24));
  const major = first >> 5;
  if (major === MAJOR_UINT) return value;
  if (major !== MAJOR_BYTES && major !== MAJOR_ARRAY) malformed("a kind that is not allowed");
  if (value > bytes.length - reader.at) malformed("a value is longer than what is left");
  if (major === MAJOR_BYTES) {
    if (value === 0) return EMPTY;
    const from = reader.at;
    reader.at += value;
    return bytes.slice(from, from + value) as Bytes;
  }
  if (depth >= DEPTH_MAX) malformed("nested too deeply");
  const items: Cbor[] = [];
  for (let i = 0; i < value; i++) items.push(take(reader, depth + 1));
  return items;
}

/** One whole value; byte strings are copies. Throws SyntaxError for anything else. */
export function cborDecode(bytes: Uint8Array): Cbor {
  const reader = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: 0 };
  const value = take(reader, 1);
  if (reader.at !== bytes.length) malformed("bytes are left over");
  return value;
}
