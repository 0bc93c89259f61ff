#include "base/map.h"

#include <string.h>

static uint64_t hash(const struct map *m, const uint8_t key[MAP_KEY_BYTES])
{
    return sip_hash(m->secret, slice_of(key, MAP_KEY_BYTES));
}

void map_init(struct map *m, const struct allocator *allocator, size_t max, const uint8_t secret[16])
{
    *m = (struct map){.allocator = allocator, .max = max, .secret = sip_secret_of(secret)};
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
