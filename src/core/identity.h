/* identity.h - what a device is: keys, and how things are signed. docs/protocol/wire.md, "Identity".
 * The functions that shells need too are declared in core/node.h. */
#ifndef CORE_IDENTITY_H
#define CORE_IDENTITY_H

#include "core/node.h"

/* The X25519 secret of the device's Noise static key, derived from its Ed25519 seed. */
void identity_noise_secret(const struct crypto *crypto, const uint8_t seed[KEY_BYTES],
                           uint8_t out[KEY_BYTES]);

/* Whether the certificate holds now, with a day of grace for wrong clocks. */
bool certificate_current(const struct certificate *certificate, usec now);

/* H(a | b | c); their lengths add up to at most 512 bytes. */
void hash_joined(const struct crypto *crypto, slice a, slice b, slice c, uint8_t out[HASH_BYTES]);

/* Overwrites secrets in a way that the compiler keeps. */
void wipe(void *secret, size_t len);

#endif
