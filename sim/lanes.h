/* lanes.h - a quick hash of many bytes, the same on every target: four words at a time that do not wait for
 * each other. It has no strength; that two inputs meet by accident is as likely as with any 64 bits. */
#ifndef SIM_LANES_H
#define SIM_LANES_H

#include "base/slice.h"
#include "random.h"

enum { LANES_BLOCK = 32 };

struct lanes {
    uint64_t a, b, c, d, len;
};

static inline struct lanes lanes_of(uint64_t purpose)
{
    return (struct lanes){purpose ^ 0xa0761d6478bd642fu, purpose ^ 0xe7037ed1a0b428dbu,
                          purpose ^ 0x8ebc6af09c88c6e3u, purpose ^ 0x589965cc75374cc3u, 0};
}

static inline uint64_t lanes_step(uint64_t lane, uint64_t word)
{
    lane = (lane ^ word) * 0x9fb21c651e98df25u;
    return lane ^ lane >> 29;
}

static inline void lanes_words(struct lanes *l, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    l->a = lanes_step(l->a, a);
    l->b = lanes_step(l->b, b);
    l->c = lanes_step(l->c, c);
    l->d = lanes_step(l->d, d);
}

static inline void lanes_block(struct lanes *l, const uint8_t block[LANES_BLOCK])
{
    lanes_words(l, word_of(block), word_of(block + 8), word_of(block + 16), word_of(block + 24));
}

/* Fewer than eight bytes, which end at `end`; behind the first `len` of them all. */
static inline uint64_t lanes_rest(const uint8_t *end, size_t rest, size_t len)
{
    if (len >= 8) return word_of(end - 8) >> (64 - 8 * rest);
    uint64_t word = 0;
    while (rest-- > 0)
        word = word << 8 | *--end;
    return word;
}

/* Where one input ends and the next begins counts. */
static inline void lanes_add(struct lanes *l, slice bytes)
{
    struct lanes sum = *l; /* in registers */
    const uint8_t *at = bytes.ptr, *end = bytes.len > 0 ? at + bytes.len : at;
    for (; end - at >= LANES_BLOCK; at += LANES_BLOCK)
        lanes_block(&sum, at);
    if (end - at >= 8) sum.a = lanes_step(sum.a, word_of(at)), at += 8;
    if (end - at >= 8) sum.b = lanes_step(sum.b, word_of(at)), at += 8;
    if (end - at >= 8) sum.c = lanes_step(sum.c, word_of(at)), at += 8;
    if (end != at) sum.d = lanes_step(sum.d, lanes_rest(end, (size_t)(end - at), bytes.len));
    sum.len = sum.len * 0xd6e8feb86659fd93u + bytes.len + 1;
    *l = sum;
}

/* The hash; another one for each `which`. */
static inline uint64_t lanes_end(const struct lanes *l, uint64_t which)
{
    return dice_mix(l->a * (0x9e3779b97f4a7c15u + 2 * which) + l->b * (0xc2b2ae3d27d4eb4fu + 4 * which) +
                    l->c * (0x165667b19e3779f9u + 6 * which) + l->d * (0x27d4eb2f165667c5u + 8 * which) +
                    l->len + which);
}

#endif
