#include "tracker/handles.h"

#include <string.h>

void handles_init(struct handles *h, const struct allocator *allocator)
{
    *h = (struct handles){.allocator = allocator};
}

void handles_deinit(struct handles *h)
{
    alloc_free(h->allocator, h->slots, h->cap * sizeof *h->slots);
    handles_init(h, h->allocator);
}

static void free_slot(struct handles *h, uint32_t slot)
{
    h->slots[slot].thing = NULL;
    h->slots[slot].next_free = 0;
    if (h->last_free)
        h->slots[h->last_free - 1].next_free = slot + 1;
    else
        h->first_free = slot + 1;
    h->last_free = slot + 1;
}

static int grow(struct handles *h)
{
    if (h->cap >= HANDLES_MAX) return ERR_FULL;
    size_t cap = h->cap ? h->cap * 2 : 64;
    if (cap > HANDLES_MAX) cap = HANDLES_MAX;
    struct handle_slot *slots =
        alloc_resize(h->allocator, h->slots, h->cap * sizeof *slots, cap * sizeof *slots);
    if (!slots) return ERR_MEMORY;
    size_t from = h->cap;
    h->slots = slots;
    h->cap = cap;
    for (size_t i = from; i < cap; i++) {
        slots[i].generation = 0;
        free_slot(h, (uint32_t)i);
    }
    return OK;
}

int handles_add(struct handles *h, void *thing, uint32_t *out_number)
{
    if (!h->first_free) {
        int err = grow(h);
        if (err) return err;
    }
    uint32_t slot = h->first_free - 1;
    struct handle_slot *s = &h->slots[slot];
    h->first_free = s->next_free;
    if (!h->first_free) h->last_free = 0;
    s->thing = thing;
    s->generation = s->generation % 65535 + 1;
    h->used++;
    *out_number = s->generation << 16 | slot;
    return OK;
}

void *handles_get(const struct handles *h, uint32_t number)
{
    uint32_t slot = number & 0xffff;
    return slot < h->cap && h->slots[slot].generation == number >> 16 ? h->slots[slot].thing : NULL;
}

void handles_remove(struct handles *h, uint32_t number)
{
    if (!handles_get(h, number)) return;
    h->used--;
    free_slot(h, number & 0xffff);
}

void *handles_next(const struct handles *h, size_t *at)
{
    while (*at < h->cap) {
        void *thing = h->slots[(*at)++].thing;
        if (thing) return thing;
    }
    return NULL;
}
