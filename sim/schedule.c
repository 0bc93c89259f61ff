#include "sim.h"

static bool before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

/* A heap of four children a node: half as deep as one of two, and the four lie side by side. */
void schedule_at(struct sim *sim, usec at, event_run *run, uint32_t a, uint32_t b, uint64_t c)
{
    if (at < sim->now) at = sim->now;
    sim->heap = must_grow(sim->heap, sim->heap_len, &sim->heap_cap, sizeof *sim->heap);
    size_t i = sim->heap_len++;
    struct event event = {at, sim->event_order++, run, a, b, c};
    while (i > 0 && before(&event, &sim->heap[(i - 1) / 4])) {
        sim->heap[i] = sim->heap[(i - 1) / 4];
        i = (i - 1) / 4;
    }
    sim->heap[i] = event;
}

bool schedule_next(struct sim *sim, usec until, struct event *out)
{
    if (sim->heap_len == 0 || sim->heap[0].at > until) return false;
    *out = sim->heap[0];
    struct event last = sim->heap[--sim->heap_len];
    size_t i = 0, child;
    while ((child = 4 * i + 1) < sim->heap_len) {
        size_t end = child + 4 < sim->heap_len ? child + 4 : sim->heap_len;
        for (size_t k = child + 1; k < end; k++)
            if (before(&sim->heap[k], &sim->heap[child])) child = k;
        if (!before(&sim->heap[child], &last)) break;
        sim->heap[i] = sim->heap[child];
        i = child;
    }
    if (sim->heap_len > 0) sim->heap[i] = last;
    sim->now = out->at;
    sim->report.events++;
    return true;
}
