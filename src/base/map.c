#include "base/map.h"

#include <string.h>

static uint64_t load64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static void sip_round(struct sip *s)
{
    s->v0 += s->v1, s->v1 = rotate(s->v1, 13) ^ s->v0, s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3, s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3, s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1, s->v1 = rotate(s->v1, 17) ^ s->v2, s->v2 = rotate(s->v2, 32);
}

/* SipHash-1-3 (Aumasson, Bernstein, 2012) of one 32-byte key. */
static uint64_t hash(const struct map *m, const uint8_t key[MAP_KEY_BYTES])
{
    uint64_t k0 = m->secret[0], k1 = m->secret[1];
    struct sip s = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                    k1 ^ 0x7465646279746573u};
    for (int i = 0; i < MAP_KEY_BYTES; i += 8) {
        uint64_t word = load64(key + i);
        s.v3 ^= word;
        sip_round(&s);
        s.v0 ^= word;
    }
    uint64_t last = (uint64_t)MAP_KEY_BYTES << 56;
    s.v3 ^= last;
    sip_round(&s);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void map_init(struct map *m, const struct allocator *allocator, size_t max, const uint8_t secret[16])
{
    *m = (struct map){.allocator = allocator, .max = max, .secret = {load64(secret), load64(secret + 8)}};
}

void map_deinit(struct map *m)
{
    alloc_free(m->allocator, m->slots, m->cap * sizeof *m->slots);
    m->slots = NULL;
    m->cap = m->len = 0;
}

/* The slot that holds the key, or the free one where it belongs. cap > 0. */
static size_t probe(const struct map *m, const uint8_t key[MAP_KEY_BYTES])
{
    size_t i = (size_t)hash(m, key) & (m->cap - 1);
    while (m->slots[i].used && memcmp(m->slots[i].key, key, MAP_KEY_BYTES) != 0)
        i = (i + 1) & (m->cap - 1);
    return i;
}

bool map_get(const struct map *m, const uint8_t key[MAP_KEY_BYTES], uint32_t *out_value)
{
    if (m->cap == 0) return false;
    size_t i = probe(m, key);
    if (!m->slots[i].used) return false;
    *out_value = m->slots[i].value;
    return true;
}

static int grow(struct map *m)
{
    struct map bigger = *m;
    bigger.cap = m->cap ? m->cap * 2 : 16;
    bigger.slots = alloc_array(m->allocator, bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots) return ERR_MEMORY;
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].used) bigger.slots[probe(&bigger, m->slots[i].key)] = m->slots[i];
    }
    alloc_free(m->allocator, m->slots, m->cap * sizeof *m->slots);
    *m = bigger;
    return OK;
}

int map_set(struct map *m, const uint8_t key[MAP_KEY_BYTES], uint32_t value)
{
    if (m->cap > 0) {
        size_t i = probe(m, key);
        if (m->slots[i].used) {
            m->slots[i].value = value;
            return OK;
        }
    }
    if (m->len >= m->max) return ERR_FULL;
    if (m->len + 1 > m->cap / 4 * 3) {
        int rc = grow(m);
        if (rc < 0) return rc;
    }
    struct map_slot *slot = &m->slots[probe(m, key)];
    memcpy(slot->key, key, MAP_KEY_BYTES);
    slot->value = value;
    slot->used = true;
    m->len++;
    return OK;
}

bool map_remove(struct map *m, const uint8_t key[MAP_KEY_BYTES])
{
    if (m->cap == 0) return false;
    size_t hole = probe(m, key), mask = m->cap - 1;
    if (!m->slots[hole].used) return false;
    for (size_t i = (hole + 1) & mask; m->slots[i].used; i = (i + 1) & mask) {
        size_t home = (size_t)hash(m, m->slots[i].key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].used = false;
    m->len--;
    return true;
}
