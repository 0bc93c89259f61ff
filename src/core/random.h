/* random.h - the node's randomness: a stream of BLAKE2b over a seed and a counter, so that a run can be
 * replayed from its seed. The key moves on with every call: an old state does not follow from a new one. */
#ifndef CORE_RANDOM_H
#define CORE_RANDOM_H

#include "core/crypto.h"

struct random {
    const struct crypto *crypto;
    uint8_t key[KEY_BYTES];
};

void random_init(struct random *r, const struct crypto *crypto, const uint8_t seed[KEY_BYTES]);
void random_bytes(struct random *r, uint8_t *out, size_t len);
/* Uniform enough for timers: below `bound` (> 0). Not for keys. */
uint64_t random_below(struct random *r, uint64_t bound);

#endif
