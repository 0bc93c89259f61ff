// The crypto table of the browser core against @noble, an independent implementation: honest inputs must agree
// byte for byte, and what is false must be refused. (Verdicts on hostile signatures are libsodium's: tests/golden.)
import assert from "node:assert/strict";
import { test } from "node:test";
import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha";
import { ed25519, edwardsToMontgomeryPriv, edwardsToMontgomeryPub, x25519 } from "@noble/curves/ed25519";
import { blake2b } from "@noble/hashes/blake2b";
import { loadModules, loadSodium } from "./load.mjs";

const { cryptoImports } = await loadModules("sodium");
const memory = new Uint8Array(1 << 16);
const table = cryptoImports(await loadSodium(), () => memory);

let counter = 0;
const bytes = (length) => blake2b.create({ dkLen: 32 }).update(Uint8Array.of(++counter)).digest().slice(0, Math.min(32, length));
const long = (length) => Uint8Array.from({ length }, (_, i) => (i * 31 + counter) & 255);

/** Lays the arguments out in memory; gives their pointers. */
function place(...parts) {
  let at = 1024;
  return parts.map((part) => {
    memory.set(part, at);
    const pointer = at;
    at += part.length + 7; // odd places on purpose
    return pointer;
  });
}
const OUT = 40_000;
const out = (length) => memory.slice(OUT, OUT + length);

test("BLAKE2b, both lengths, from empty to long", () => {
  for (const length of [0, 1, 64, 127, 128, 129, 5000]) {
    const input = long(length);
    const [pointer] = place(input);
    for (const size of [32, 64]) {
      table.hash(OUT, size, pointer, length);
      assert.deepEqual(out(size), blake2b(input, { dkLen: size }));
    }
  }
  table.hash(OUT, 32, 0, 0); // the empty slice has no pointer
  assert.deepEqual(out(32), blake2b(new Uint8Array(0), { dkLen: 32 }));
});

test("Ed25519: keys, signatures, verdicts", () => {
  for (let i = 0; i < 20; i++) {
    const seed = bytes(32);
    const message = long(i * 50);
    const [seedAt, messageAt] = place(seed, message);
    table.sign_public(OUT, seedAt);
    const publicKey = out(32);
    assert.deepEqual(publicKey, ed25519.getPublicKey(seed));
    const [seedAgain, publicAt, messageAgain] = place(seed, publicKey, message);
    table.sign(OUT, seedAgain, publicAt, messageAgain, message.length);
    const signature = out(64);
    assert.deepEqual(signature, ed25519.sign(message, seed));
    const check = (sig, key, text) => {
      const [sigAt, keyAt, textAt] = place(sig, key, text);
      return table.verify(sigAt, keyAt, textAt, text.length);
    };
    assert.equal(check(signature, publicKey, message), 1);
    const altered = signature.slice();
    altered[i] ^= 1;
    assert.equal(check(altered, publicKey, message), 0);
    assert.equal(check(signature, ed25519.getPublicKey(bytes(32)), message), 0);
    assert.equal(check(signature, publicKey, long(i * 50 + 1)), 0);
    assert.ok(messageAt > 0);
  }
});

test("X25519: keys, shared secrets, and the all-zero result is refused", () => {
  for (let i = 0; i < 20; i++) {
    const [mine, theirs] = [bytes(32), bytes(32)];
    const [mineAt] = place(mine);
    table.exchange_public(OUT, mineAt);
    assert.deepEqual(out(32), x25519.getPublicKey(mine));
    const [secretAt, publicAt] = place(mine, x25519.getPublicKey(theirs));
    assert.equal(table.exchange(OUT, secretAt, publicAt), 1);
    assert.deepEqual(out(32), x25519.getSharedSecret(mine, x25519.getPublicKey(theirs)));
  }
  const [secretAt, zeroAt] = place(bytes(32), new Uint8Array(32));
  assert.equal(table.exchange(OUT, secretAt, zeroAt), 0);
});

test("ChaCha20-Poly1305: sealed in place, opened in place, altered bytes refused", () => {
  for (const length of [0, 1, 63, 64, 65, 20_000]) {
    const [key, associated, plain] = [bytes(32), long(length % 50), long(length)];
    const nonce = Uint8Array.of(0, 0, 0, 0, length & 255, 1, 2, 3, 4, 5, 6, 7);
    const [keyAt, nonceAt, associatedAt] = place(key, nonce, associated);
    const expected = chacha20poly1305(key, nonce, associated).encrypt(plain);
    memory.set(plain, OUT);
    table.seal(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, plain.length);
    assert.deepEqual(out(length + 16), expected);
    assert.equal(table.open(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, length + 16), 1);
    assert.deepEqual(out(length), plain);
    const altered = expected.slice();
    altered[length >> 1] ^= 128;
    memory.set(altered, OUT);
    assert.equal(table.open(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, length + 16), 0);
  }
});

test("XChaCha20-Poly1305: sealed in place, opened in place, altered bytes, nonces and associated data refused", () => {
  for (const length of [0, 1, 63, 64, 65, 16_384]) {
    const [key, associated, plain] = [bytes(32), long(length % 50), long(length)];
    const nonce = bytes(24);
    const [keyAt, nonceAt, associatedAt] = place(key, nonce, associated);
    const expected = xchacha20poly1305(key, nonce, associated).encrypt(plain);
    memory.set(plain, OUT);
    table.xseal(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, plain.length);
    assert.deepEqual(out(length + 16), expected);
    assert.equal(table.xopen(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, length + 16), 1);
    assert.deepEqual(out(length), plain);
    for (const spot of [0, length >> 1, length + 15]) {
      const altered = expected.slice();
      altered[spot] ^= 128;
      memory.set(altered, OUT);
      assert.equal(table.xopen(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, length + 16), 0);
    }
    memory.set(expected, OUT);
    assert.equal(table.xopen(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, length + 15), 0);
    memory[nonceAt + 23] ^= 1;
    assert.equal(table.xopen(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, length + 16), 0);
    assert.equal(table.xopen(OUT, keyAt, nonceAt, associatedAt, associated.length, OUT, 15), 0);
  }
});

test("a device's Ed25519 keys as X25519 keys, and what is no point is refused", () => {
  for (let i = 0; i < 20; i++) {
    const seed = bytes(32);
    const publicKey = ed25519.getPublicKey(seed);
    const [seedAt, publicAt] = place(seed, publicKey);
    table.box_secret(OUT, seedAt);
    const secret = out(32);
    assert.deepEqual(x25519.getPublicKey(secret), x25519.getPublicKey(edwardsToMontgomeryPriv(seed)));
    assert.equal(table.box_public(OUT, publicAt), 1);
    assert.deepEqual(out(32), edwardsToMontgomeryPub(publicKey));
    assert.deepEqual(out(32), x25519.getPublicKey(secret));
  }
  const neutral = new Uint8Array(32); // (0, 1): of order one
  neutral[0] = 1;
  const nowhere = new Uint8Array(32).fill(2); // not on the curve, or not of the large group
  for (const key of [neutral, nowhere, new Uint8Array(32)]) {
    const [publicAt] = place(key);
    assert.equal(table.box_public(OUT, publicAt), 0);
  }
});
