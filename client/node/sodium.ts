// The core's crypto table (src/core/crypto.h) over libsodium: the same C underneath as natively, so the same
// verdict on every signature. Pointers are offsets into the core's memory; libsodium has its own, so bytes
// are copied in and out.
import type sodiumModule from "libsodium-wrappers";

export type Sodium = typeof sodiumModule;

const KEY = 32;
const SIGNATURE = 64;
const NONCE = 12;
const LONG_NONCE = 24;

/** The import object's "crypto" module. `memory` gives the present view: growing detaches older ones. */
export function cryptoImports(sodium: Sodium, memory: () => Uint8Array): Record<string, WebAssembly.ImportValue> {
  const at = (pointer: number, length: number): Uint8Array => memory().subarray(pointer, pointer + length);
  const put = (pointer: number, bytes: Uint8Array): void => memory().set(bytes, pointer);

  return {
    hash(out: number, outLength: number, input: number, length: number): void {
      put(out, sodium.crypto_generichash(outLength, at(input, length), null));
    },
    sign_public(out: number, seed: number): void {
      put(out, sodium.crypto_sign_seed_keypair(at(seed, KEY)).publicKey);
    },
    sign(out: number, seed: number, publicKey: number, message: number, length: number): void {
      const secret = new Uint8Array(2 * KEY); // libsodium's form of a secret key: seed, public key
      secret.set(at(seed, KEY));
      secret.set(at(publicKey, KEY), KEY);
      put(out, sodium.crypto_sign_detached(at(message, length), secret));
      secret.fill(0);
    },
    verify(signature: number, publicKey: number, message: number, length: number): number {
      return sodium.crypto_sign_verify_detached(at(signature, SIGNATURE), at(message, length), at(publicKey, KEY))
        ? 1
        : 0;
    },
    exchange_public(out: number, secret: number): void {
      put(out, sodium.crypto_scalarmult_base(at(secret, KEY)));
    },
    exchange(out: number, secret: number, publicKey: number): number {
      try {
        put(out, sodium.crypto_scalarmult(at(secret, KEY), at(publicKey, KEY)));
        return 1;
      } catch {
        return 0; // an all-zero result: the other side's key has a small order
      }
    },
    seal(
      out: number, key: number, nonce: number,
      associated: number, associatedLength: number, plain: number, plainLength: number,
    ): void {
      const sealed = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
        at(plain, plainLength), at(associated, associatedLength), null, at(nonce, NONCE), at(key, KEY),
      );
      put(out, sealed);
    },
    open(
      out: number, key: number, nonce: number,
      associated: number, associatedLength: number, sealed: number, sealedLength: number,
    ): number {
      try {
        const plain = sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
          null, at(sealed, sealedLength), at(associated, associatedLength), at(nonce, NONCE), at(key, KEY),
        );
        put(out, plain);
        return 1;
      } catch {
        return 0;
      }
    },
    xseal(
      out: number, key: number, nonce: number,
      associated: number, associatedLength: number, plain: number, plainLength: number,
    ): void {
      const sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        at(plain, plainLength), at(associated, associatedLength), null, at(nonce, LONG_NONCE), at(key, KEY),
      );
      put(out, sealed);
    },
    xopen(
      out: number, key: number, nonce: number,
      associated: number, associatedLength: number, sealed: number, sealedLength: number,
    ): number {
      try {
        const plain = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
          null, at(sealed, sealedLength), at(associated, associatedLength), at(nonce, LONG_NONCE), at(key, KEY),
        );
        put(out, plain);
        return 1;
      } catch {
        return 0;
      }
    },
    box_secret(out: number, seed: number): void {
      const wide = new Uint8Array(2 * KEY); // libsodium's form of a secret key; only the seed is read
      wide.set(at(seed, KEY));
      const secret = sodium.crypto_sign_ed25519_sk_to_curve25519(wide);
      put(out, secret);
      wide.fill(0);
      secret.fill(0);
    },
    box_public(out: number, publicKey: number): number {
      try {
        put(out, sodium.crypto_sign_ed25519_pk_to_curve25519(at(publicKey, KEY)));
        return 1;
      } catch {
        return 0; // not a point of large order: nobody has its secret
      }
    },
  };
}
