#include "base/rates.h"

#include <string.h>

/* A key may stand in this many places, one after the other. */
#define PLACES 8

/* What has come in since: the bucket as it is at now_ms. */
static struct bucket filled(const struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    struct bucket now = *bucket;
    if (now_ms <= now.at_ms) return now;
    now.level += (double)(now_ms - now.at_ms) * rate->per_second / 1000;
    if (now.level > rate->burst) now.level = rate->burst;
    now.at_ms = now_ms;
    return now;
}

void bucket_fill(struct bucket *bucket, const struct rate *rate, uint64_t now_ms)
{
    *bucket = (struct bucket){rate->burst, now_ms};
}

uint64_t bucket_wait_ms(const struct bucket *bucket, const struct rate *rate, double least, uint64_t now_ms)
{
    struct bucket now = filled(bucket, rate, now_ms);
    return now.level >= least ? 0 : (uint64_t)((least - now.level) * 1000 / rate->per_second) + 1;
}

void bucket_take(struct bucket *bucket, const struct rate *rate, double amount, uint64_t now_ms)
{
    *bucket = filled(bucket, rate, now_ms);
    bucket->level -= amount;
    if (bucket->level > rate->burst) bucket->level = rate->burst;
}

int rates_init(struct rates *rates, const struct allocator *allocator, size_t count, struct rate rate,
               const uint8_t secret[16])
{
    *rates = (struct rates){.allocator = allocator, .rate = rate, .count = count};
    memcpy(rates->secret, secret, sizeof rates->secret);
    rates->slots = alloc_array(allocator, count, sizeof *rates->slots);
    return rates->slots ? OK : ERR_MEMORY;
}

void rates_deinit(struct rates *rates)
{
    alloc_free(rates->allocator, rates->slots, rates->count * sizeof *rates->slots);
    rates->slots = NULL;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

/* Not a MAC: nobody sees the value, and a collision only makes two strangers share a bucket. */
uint64_t rates_key(const struct rates *rates, slice what)
{
    uint64_t h = rates->secret[0];
    for (size_t i = 0; i < what.len; i++)
        h = mix(h ^ what.ptr[i]) + rates->secret[1];
    h = mix(h ^ what.len);
    return h ? h : 1;
}

static const struct rates_slot *look(const struct rates *rates, uint64_t key)
{
    for (size_t i = 0; i < PLACES; i++) {
        const struct rates_slot *slot = &rates->slots[(key + i) & (rates->count - 1)];
        if (slot->key == key) return slot;
    }
    return NULL;
}

uint64_t rates_wait_ms(const struct rates *rates, uint64_t key, uint64_t now_ms)
{
    const struct rates_slot *slot = look(rates, key);
    return slot ? bucket_wait_ms(&slot->bucket, &rates->rate, 1, now_ms) : 0;
}

static struct rates_slot *place_for(struct rates *rates, uint64_t key, uint64_t now_ms)
{
    struct rates_slot *best = NULL;
    double best_level = 0;
    for (size_t i = 0; i < PLACES; i++) {
        struct rates_slot *slot = &rates->slots[(key + i) & (rates->count - 1)];
        if (slot->key == key) return slot;
        /* An empty place counts as fuller than full. */
        double level = slot->key ? filled(&slot->bucket, &rates->rate, now_ms).level : rates->rate.burst + 1;
        if (!best || level > best_level) best = slot, best_level = level;
    }
    best->key = key;
    bucket_fill(&best->bucket, &rates->rate, now_ms);
    return best;
}

void rates_take(struct rates *rates, uint64_t key, double amount, uint64_t now_ms)
{
    bucket_take(&place_for(rates, key, now_ms)->bucket, &rates->rate, amount, now_ms);
}
