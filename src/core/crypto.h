/* crypto.h - the primitives that the core needs, as one table: libsodium and OpenSSL natively, libsodium
 * imports in the browser, a sham in large simulations.
 *
 * Rules: every function is synchronous and pure (same inputs, same outputs); none may fail for lack of
 * memory; buffers do not overlap unless said. Signature verdicts are libsodium's, everywhere. */
#ifndef CORE_CRYPTO_H
#define CORE_CRYPTO_H

#include "base/slice.h"

enum {
    KEY_BYTES = 32,       /* Ed25519 seed or public key, X25519 secret or public key, AEAD key */
    SIGNATURE_BYTES = 64, /* Ed25519 */
    HASH_BYTES = 32,      /* BLAKE2b-256: ids, chains */
    HASH_LONG_BYTES = 64, /* BLAKE2b-512: inside Noise */
    TAG_BYTES = 16,       /* Poly1305 */
    NONCE_BYTES = 24,     /* XChaCha20 */
};

struct crypto {
    void *context;
    /* Unkeyed BLAKE2b (RFC 7693) with an output of out_len bytes: 32 or 64. */
    void (*hash)(void *context, uint8_t *out, size_t out_len, slice input);
    /* Ed25519 (RFC 8032) public key of a 32-byte seed. */
    void (*sign_public)(void *context, uint8_t public_key[KEY_BYTES], const uint8_t seed[KEY_BYTES]);
    void (*sign)(void *context, uint8_t signature[SIGNATURE_BYTES], const uint8_t seed[KEY_BYTES],
                 const uint8_t public_key[KEY_BYTES], slice message);
    bool (*verify)(void *context, const uint8_t signature[SIGNATURE_BYTES],
                   const uint8_t public_key[KEY_BYTES], slice message);
    /* X25519 (RFC 7748). `exchange` is false for an all-zero result. */
    void (*exchange_public)(void *context, uint8_t public_key[KEY_BYTES], const uint8_t secret[KEY_BYTES]);
    bool (*exchange)(void *context, uint8_t shared[KEY_BYTES], const uint8_t secret[KEY_BYTES],
                     const uint8_t public_key[KEY_BYTES]);
    /* ChaCha20-Poly1305 (RFC 8439); nonce = 4 zero bytes and the counter, little-endian (Noise 12.3).
     * seal writes plain.len + 16 bytes; open writes sealed.len - 16 and is false when the tag is wrong.
     * out may be the same memory as the input's start. */
    void (*seal)(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                 slice associated, slice plain);
    bool (*open)(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                 slice associated, slice sealed);
    /* The same with XChaCha20-Poly1305-IETF (draft-irtf-cfrg-xchacha): nonces may be random. */
    void (*xseal)(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
                  slice associated, slice plain);
    bool (*xopen)(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
                  slice associated, slice sealed);
    /* A device's Ed25519 keys as X25519 keys (the same curve in its other form, RFC 7748 4.1): the secret of
     * a seed (the first half of its SHA-512, clamped), and the public key of an Ed25519 public key, false
     * when that is not a point of large order. exchange_public(box_secret(seed)) =
     * box_public(sign_public(seed)). */
    void (*box_secret)(void *context, uint8_t secret[KEY_BYTES], const uint8_t seed[KEY_BYTES]);
    bool (*box_public)(void *context, uint8_t box_key[KEY_BYTES], const uint8_t public_key[KEY_BYTES]);
};

#endif
