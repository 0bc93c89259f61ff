/* random.h - the world's dice: splitmix64 (Steele, Lea, Flood 2014). One seed, one run.
 * Rule: one throw in one full expression; the order of two would be the compiler's. */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct dice {
    uint64_t state;
};

static inline uint64_t dice_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A stream of its own: what is drawn from it does not shift what others draw. */
static inline struct dice dice_stream(uint64_t seed, uint64_t purpose, uint64_t index)
{
    return (struct dice){dice_mix(dice_mix(seed + 0x5eed) ^ dice_mix(purpose << 40 ^ index))};
}

/* Eight bytes as a number, the same on every target. */
static inline uint64_t word_of(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline void word_put(uint8_t *out, uint64_t word)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    memcpy(out, &word, sizeof word);
}

static inline uint64_t dice_next(struct dice *d)
{
    d->state += 0x9e3779b97f4a7c15u;
    return dice_mix(d->state);
}

/* 0 to bound - 1; 0 when bound is 0. */
static inline uint64_t dice_below(struct dice *d, uint64_t bound)
{
    return bound ? dice_next(d) % bound : 0;
}

/* least to most, both included. */
static inline uint64_t dice_between(struct dice *d, uint64_t least, uint64_t most)
{
    return least + dice_below(d, most - least + 1);
}

static inline bool dice_chance(struct dice *d, uint64_t in_thousand)
{
    return dice_below(d, 1000) < in_thousand;
}

static inline void dice_bytes(struct dice *d, uint8_t *out, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        out[i] = (uint8_t)dice_next(d);
}

/* Flips one bit. */
static inline void dice_flip(struct dice *d, uint8_t *bytes, size_t len)
{
    uint64_t bit = dice_below(d, (uint64_t)len * 8);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

#endif
