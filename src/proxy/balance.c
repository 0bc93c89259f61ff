#include "proxy/balance.h"

/* How many requests `a` has for its weight, against `b`: below 0 when fewer. Exact: no division. */
static int compare_load(const struct candidate *a, const struct candidate *b)
{
    uint64_t left = (uint64_t)a->active * b->weight, right = (uint64_t)b->active * a->weight;
    return (left > right) - (left < right);
}

static bool eligible(const struct candidate *c)
{
    return c->usable && c->weight > 0;
}

/* Round-robin among those eligible; with `among`, of these only those that are as busy as it is. */
static int rotate(struct rotation *rotation, const struct candidate *candidates, size_t count,
                  const struct candidate *among)
{
    int best = BALANCE_NONE;
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const struct candidate *c = &candidates[i];
        if (!eligible(c) || (among && compare_load(c, among) != 0)) continue;
        rotation->current[i] += c->weight;
        total += c->weight;
        if (best < 0 || rotation->current[i] > rotation->current[best]) best = (int)i;
    }
    if (best >= 0) rotation->current[best] -= total;
    return best;
}

int balance_round_robin(struct rotation *rotation, const struct candidate *candidates, size_t count)
{
    return rotate(rotation, candidates, count, NULL);
}

int balance_least_conn(struct rotation *rotation, const struct candidate *candidates, size_t count)
{
    const struct candidate *best = NULL;
    bool equals = false;
    for (size_t i = 0; i < count; i++) {
        if (!eligible(&candidates[i])) continue;
        int order = best ? compare_load(&candidates[i], best) : -1;
        if (order > 0) continue;
        equals = order == 0;
        if (order < 0) best = &candidates[i];
    }
    if (!best) return BALANCE_NONE;
    return equals ? rotate(rotation, candidates, count, best) : (int)(best - candidates);
}

/* --- two at random --- */

/* The one that has the point `at` when all lie side by side, each as wide as its weight, without `but`. */
static int at_point(const struct candidate *candidates, size_t count, uint64_t at, int but)
{
    int last = BALANCE_NONE;
    for (size_t i = 0; i < count; i++) {
        if (!eligible(&candidates[i]) || (int)i == but) continue;
        last = (int)i;
        if (at < candidates[i].weight) break;
        at -= candidates[i].weight;
    }
    return last;
}

int balance_random_two(uint64_t random, const struct candidate *candidates, size_t count)
{
    uint64_t total = 0; /* below 2^24, so that the products fit */
    for (size_t i = 0; i < count; i++)
        if (eligible(&candidates[i])) total += candidates[i].weight;
    if (total == 0) return BALANCE_NONE;
    int first = at_point(candidates, count, (random >> 32) * total >> 32, BALANCE_NONE);
    total -= candidates[first].weight;
    if (total == 0) return first;
    int second = at_point(candidates, count, (random & UINT32_MAX) * total >> 32, first);
    return compare_load(&candidates[second], &candidates[first]) < 0 ? second : first;
}

/* --- rendezvous hashing --- */

/* The finalizer of SplitMix64 (Steele, Lea, Flood, 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* -ln(hash / 2^64), in 1/2^40 and at least 1. With that as the divisor of the weight, the chance to have the
 * largest quotient is the weight's share (Schindelhauer and Schomaker, 2005). In integers: all machines must
 * come to the same result. Falls, or stays, when the hash grows. */
static uint64_t distance(uint64_t hash)
{
    enum { ONE_THIRD = 0x55555555, ONE_FIFTH = 0x33333333, ONE_SEVENTH = 0x24924924, ONE_NINTH = 0x1c71c71c };
    enum { ONE_ELEVENTH = 0x1745d174, ONE_13TH = 0x13b13b13, ONE_15TH = 0x11111111 };
    const uint64_t one = (uint64_t)1 << 32, ln2 = 0xb17217f7d1; /* of 2^32; of 2^40 */
    hash |= 1;
    unsigned halvings = (unsigned)__builtin_clzll(hash);
    /* What is left is from 1/2 to 1: 1 - t. Then -ln(1 - t) = 2 atanh(z) with z = t / (2 - t) <= 1/3. */
    uint64_t t = (0 - (hash << halvings)) >> 32;
    uint64_t z = (t << 32) / (2 * one - t);
    uint64_t square = z * z >> 32;
    static const uint32_t terms[] = {ONE_13TH, ONE_ELEVENTH, ONE_NINTH, ONE_SEVENTH, ONE_FIFTH, ONE_THIRD};
    uint64_t sum = ONE_15TH;
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        sum = terms[i] + (sum * square >> 32);
    sum = one + (sum * square >> 32);
    return halvings * ln2 + (z * sum >> 23) + 1;
}

struct score {
    uint32_t weight;
    uint64_t hash;
};

static bool higher(const struct score *a, const struct score *b)
{
    if (a->weight != b->weight) {
        uint64_t left = a->weight * distance(b->hash), right = b->weight * distance(a->hash);
        if (left != right) return left > right;
    }
    return a->hash > b->hash;
}

int balance_hash(uint64_t key, const uint64_t *names, const struct candidate *candidates, size_t count)
{
    int best = BALANCE_NONE;
    struct score highest = {0};
    key = mix(key);
    for (size_t i = 0; i < count; i++) {
        if (!eligible(&candidates[i])) continue;
        struct score score = {candidates[i].weight, mix(key ^ names[i])};
        if (best >= 0 && !higher(&score, &highest)) continue;
        highest = score;
        best = (int)i;
    }
    return best;
}

/* --- slow start --- */

uint32_t balance_slow_start(unsigned weight, uint64_t since_ms, uint32_t slow_start_ms)
{
    uint64_t full = (uint64_t)weight * 256;
    if (since_ms >= slow_start_ms) return (uint32_t)full;
    uint64_t now = full * since_ms / slow_start_ms, least = full / BALANCE_SLOW_START_LEAST;
    return (uint32_t)(now > least ? now : least);
}
