// The page's CBOR reader and writer against cborg, an independent implementation.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as cborg from "cborg";
import { loadModules } from "./load.mjs";

const { cborEncode, cborDecode } = await loadModules("cbor");
const SEED = Number(process.env.SEED ?? 20261120);

/** A small repeatable generator: failures can be seen again. */
function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const EDGES = [0, 1, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER];

function value(next, depth) {
  switch (next(depth < 6 ? 3 : 2)) {
    case 0: return next(2) ? EDGES[next(EDGES.length)] : next(2 ** 31);
    case 1: return new Uint8Array(next(10) ? next(40) : next(70_000)).map(() => next(256));
    default: return Array.from({ length: next(8) }, () => value(next, depth + 1));
  }
}

test(`what is written is what cborg writes, and is read back (seed ${SEED})`, () => {
  const next = random(SEED);
  for (let i = 0; i < 2000; i++) {
    const made = value(next, 0);
    const bytes = cborEncode(made);
    assert.deepEqual(bytes, new Uint8Array(cborg.encode(made)), `round ${i}`);
    assert.deepEqual(cborDecode(bytes), made, `round ${i}`);
  }
});

/** cborg restricted to what is allowed here. */
function oracle(bytes) {
  const made = cborg.decode(bytes, { strict: true, allowIndefinite: false, allowUndefined: false, allowBigInt: false });
  const allowed = (item) =>
    item instanceof Uint8Array ||
    (Number.isSafeInteger(item) && item >= 0 && !Object.is(item, -0)) ||
    (Array.isArray(item) && item.every(allowed));
  if (!allowed(made)) throw new Error("a kind that is not allowed");
  const again = new Uint8Array(cborg.encode(made));
  if (Buffer.compare(again, bytes)) throw new Error("not the one spelling"); // floats that are whole, for example
  return made;
}

test(`altered bytes are refused exactly when cborg refuses them (seed ${SEED})`, () => {
  const next = random(SEED + 1);
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = cborEncode(value(next, 3)).slice(0, 200);
    if (bytes.length === 0) continue;
    bytes[next(bytes.length)] = next(256);
    let expected;
    try {
      expected = oracle(bytes);
    } catch {
      refused++;
      assert.throws(() => cborDecode(bytes), `round ${i}: ${Buffer.from(bytes).toString("hex")}`);
      continue;
    }
    assert.deepEqual(cborDecode(bytes), expected, `round ${i}`);
  }
  assert.ok(refused > 1000, "the test refused hardly anything");
});

test("other kinds, long heads, deep nesting and left-over bytes are refused", () => {
  const bad = ["", "20", "60", "a0", "c000", "f4", "f6", "f90000", "1817", "190017", "1a00000017", "5f", "9f00ff", "8100ff", "82 00",
    "1bffffffffffffffff", "5affffffff00", "9affffffff", "81".repeat(9) + "00", "0000"];
  for (const hex of bad) {
    const bytes = Uint8Array.from(Buffer.from(hex.replace(" ", ""), "hex"));
    assert.throws(() => cborDecode(bytes), SyntaxError, hex);
  }
  assert.throws(() => cborEncode(-1), RangeError);
  assert.throws(() => cborEncode(1.5), RangeError);
});

test("a decoded byte string is a copy", () => {
  const bytes = cborEncode([new Uint8Array([1, 2, 3])]);
  const [inner] = cborDecode(bytes);
  bytes.fill(0);
  assert.deepEqual(inner, new Uint8Array([1, 2, 3]));
  assert.equal(inner.buffer.byteLength, 3, "nothing else is kept alive or stored with it");
});
