/* map.h - a hash table from 32-byte keys (device ids, channel ids, hashes) to 32-bit values.
 *
 * Open addressing with linear probing and backward-shift deletion; SipHash-1-3 under a secret key, because
 * peers choose the keys. Grows to `max` entries, never past it.
 * Rules: not thread-safe; iteration order depends on the hash key and is not for output that must be stable.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/sip.h"
#include "base/slice.h"

#define MAP_KEY_BYTES 32

struct map_slot {
    uint8_t key[MAP_KEY_BYTES];
    uint32_t value;
    bool used;
};

struct map {
    const struct allocator *allocator;
    struct map_slot *slots;
    size_t cap; /* power of two, or 0 */
    size_t len;
    size_t max;
    struct sip_secret secret;
};

/* secret: 16 random bytes; fixed ones in a simulation. */
void map_init(struct map *m, const struct allocator *allocator, size_t max, const uint8_t secret[16]);
void map_deinit(struct map *m);
bool map_get(const struct map *m, const uint8_t key[MAP_KEY_BYTES], uint32_t *out_value);
/* Inserts or replaces: 0, ERR_FULL past max, ERR_MEMORY. */
int map_set(struct map *m, const uint8_t key[MAP_KEY_BYTES], uint32_t value) BASE_CHECKED;
/* False when it was not there. */
bool map_remove(struct map *m, const uint8_t key[MAP_KEY_BYTES]);

#endif
