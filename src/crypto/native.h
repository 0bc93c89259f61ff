/* native.h - the core's crypto table on libsodium and OpenSSL, for native shells.
 *
 * Signatures, key exchange and hashes are libsodium's (its verdict on signatures is the protocol's); the AEAD
 * is OpenSSL's, which is two to three times as fast and byte-compatible.
 * Rules: crypto_native_start before any other use, once, from one thread. The table's functions may then be
 * called from any thread: each thread has its own cipher context. Randomness: crypto_native_random. */
#ifndef CRYPTO_NATIVE_H
#define CRYPTO_NATIVE_H

#include "base/err.h"
#include "core/crypto.h"

/* ERR_WRONG_STATE when libsodium cannot start (no randomness). */
int crypto_native_start(void) BASE_CHECKED;
const struct crypto *crypto_native(void);
void crypto_native_random(void *out, size_t len);

#endif
