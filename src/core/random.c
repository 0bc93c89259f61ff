#include "core/random.h"

#include <string.h>

#include "core/identity.h"

void random_init(struct random *r, const struct crypto *crypto, const uint8_t seed[KEY_BYTES])
{
    r->crypto = crypto;
    hash_joined(crypto, SLICE("weaprous.random.1"), slice_of(seed, KEY_BYTES), SLICE_EMPTY, r->key);
}

void random_bytes(struct random *r, uint8_t *out, size_t len)
{
    while (len > 0) {
        uint8_t block[HASH_LONG_BYTES];
        r->crypto->hash(r->crypto->context, block, sizeof block, slice_of(r->key, KEY_BYTES));
        memcpy(r->key, block, KEY_BYTES);
        size_t n = len < sizeof block - KEY_BYTES ? len : sizeof block - KEY_BYTES;
        memcpy(out, block + KEY_BYTES, n);
        wipe(block, sizeof block);
        out += n;
        len -= n;
    }
}

uint64_t random_below(struct random *r, uint64_t bound)
{
    uint8_t bytes[8];
    uint64_t value = 0;
    random_bytes(r, bytes, sizeof bytes);
    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value % bound;
}
