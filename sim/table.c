#include "table.h"

#include <stdlib.h>

#include "memory.h"
#include "random.h"

static struct table_slot *slot_of(const struct table *t, uint64_t key)
{
    uint32_t at = (uint32_t)dice_mix(key) & (t->cap - 1);
    while (t->slots[at].value_plus_1 && t->slots[at].key != key)
        at = (at + 1) & (t->cap - 1);
    return &t->slots[at];
}

uint32_t table_get(const struct table *t, uint64_t key)
{
    return t->cap ? slot_of(t, key)->value_plus_1 - 1 : UINT32_MAX;
}

void table_put(struct table *t, uint64_t key, uint32_t value)
{
    if (4 * (t->len + 1) > 3 * t->cap) {
        struct table bigger = {.cap = t->cap ? 2 * t->cap : 8, .len = t->len};
        bigger.slots = must_alloc(bigger.cap * sizeof *bigger.slots);
        for (uint32_t i = 0; i < t->cap; i++)
            if (t->slots[i].value_plus_1) *slot_of(&bigger, t->slots[i].key) = t->slots[i];
        free(t->slots);
        *t = bigger;
    }
    struct table_slot *slot = slot_of(t, key);
    t->len += slot->value_plus_1 == 0;
    *slot = (struct table_slot){key, value + 1};
}

void table_free(struct table *t)
{
    free(t->slots);
    *t = (struct table){0};
}
