#include "net/wheel.h"

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    for (int i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
    w->now_tick = now_ms / WHEEL_TICK_MS;
    w->len = 0;
}

void wheel_entry_init(struct wheel_entry *e)
{
    list_init(&e->node);
    e->deadline_ms = e->slot_ms = 0;
}

static void place(struct wheel *w, struct wheel_entry *e)
{
    uint64_t tick = e->deadline_ms / WHEEL_TICK_MS + 1;
    uint64_t last = w->now_tick + WHEEL_SLOTS - 1;
    if (tick <= w->now_tick) tick = w->now_tick + 1;
    if (tick > last) tick = last;
    e->slot_ms = tick * WHEEL_TICK_MS;
    list_append(&w->slots[tick % WHEEL_SLOTS], &e->node);
}

void wheel_set(struct wheel *w, struct wheel_entry *e, uint64_t deadline_ms)
{
    bool placed = !list_empty(&e->node);
    e->deadline_ms = deadline_ms;
    if (placed && deadline_ms + WHEEL_TICK_MS >= e->slot_ms) return;
    if (placed)
        list_remove(&e->node);
    else
        w->len++;
    place(w, e);
}

void wheel_remove(struct wheel *w, struct wheel_entry *e)
{
    if (list_empty(&e->node)) return;
    list_remove(&e->node);
    w->len--;
}

struct wheel_entry *wheel_next(struct wheel *w, uint64_t now_ms)
{
    uint64_t now_tick = now_ms / WHEEL_TICK_MS;
    while (w->now_tick < now_tick) {
        struct list *slot = &w->slots[(w->now_tick + 1) % WHEEL_SLOTS];
        if (list_empty(slot)) {
            w->now_tick++;
            continue;
        }
        struct wheel_entry *e = LIST_ENTRY(slot->next, struct wheel_entry, node);
        list_remove(&e->node);
        if (e->deadline_ms <= now_ms) {
            w->len--;
            return e;
        }
        /* It was moved to later meanwhile; this slot, whose tick is passing, cannot get it again. */
        w->now_tick++;
        place(w, e);
        w->now_tick--;
    }
    return NULL;
}
