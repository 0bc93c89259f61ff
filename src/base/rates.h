/* rates.h - how often somebody may do something: token buckets, and a bounded table of them.
 *
 * A bucket starts full with `burst` tokens and gets `rate` of them per second. An attempt takes some; there
 * must be some left, but it may take more than there are (a debt, paid off by waiting), so that a frame of
 * any size gets through once its turn comes.
 *
 * The table keeps buckets by a 64-bit key (a keyed hash of what they are for). It has a fixed size; when
 * there is no room near a key's place, the bucket that is nearest to full is forgotten. A forgotten bucket is
 * a full one, so that only helps whoever is the least throttled.
 *
 * Rules: pure functions of time; now_ms must not go backwards (a smaller value counts as the last one). */
#ifndef BASE_RATES_H
#define BASE_RATES_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/slice.h"

struct rate {
    double per_second; /* > 0 */
    double burst;      /* > 0 */
};

struct bucket {
    double level; /* tokens; negative is debt */
    uint64_t at_ms;
};

void bucket_fill(struct bucket *bucket, const struct rate *rate, uint64_t now_ms);
/* Milliseconds until there is at least `least` (0 < least <= burst), 0 for now. */
uint64_t bucket_wait_ms(const struct bucket *bucket, const struct rate *rate, double least, uint64_t now_ms);
void bucket_take(struct bucket *bucket, const struct rate *rate, double amount, uint64_t now_ms);

struct rates_slot {
    uint64_t key; /* 0: empty */
    struct bucket bucket;
};

struct rates {
    const struct allocator *allocator;
    struct rate rate;
    struct rates_slot *slots;
    size_t count; /* a power of two */
    uint64_t secret[2];
};

/* secret: 16 random bytes, so that nobody can aim at somebody else's place. ERR_MEMORY. */
int rates_init(struct rates *rates, const struct allocator *allocator, size_t count, struct rate rate,
               const uint8_t secret[16]) BASE_CHECKED;
void rates_deinit(struct rates *rates);
uint64_t rates_key(const struct rates *rates, slice what);
/* Milliseconds until an attempt under this key may be made, 0 for now. Takes nothing. */
uint64_t rates_wait_ms(const struct rates *rates, uint64_t key, uint64_t now_ms);
/* Takes (amount > 0) or gives back (amount < 0). */
void rates_take(struct rates *rates, uint64_t key, double amount, uint64_t now_ms);

#endif
