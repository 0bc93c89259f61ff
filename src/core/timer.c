/* timer.c - what is due when: a binary heap of (time, object). The object knows its place in the heap, so
 * there is at most one entry for each timer and nothing stale. Without memory for an entry everything is
 * looked at a little later instead. */
#include "core/state.h"

#define LOST_US (1 * SECONDS)

/* Where the object keeps its place in the heap (1 and up; 0: not armed). */
static uint32_t *place_of(const struct node *n, const struct timer *t)
{
    switch (t->kind) {
    case TIMER_PIPE: return &n->pipes[t->a]->timer;
    case TIMER_PEER: return &n->peers[t->a]->timer;
    case TIMER_OP: return &n->ops[t->a].timer;
    case TIMER_AUTHOR: return &n->channels[t->a]->authors[t->b].timer;
    case TIMER_SHARE: return &n->pipes[t->a]->shares[t->b]->timer;
    default: return &n->channels[t->a]->timers[t->kind - TIMER_CHANNEL];
    }
}

static void put(struct node *n, uint32_t at, struct timer t)
{
    n->timers[at] = t;
    *place_of(n, &t) = at + 1;
}

/* Puts `t` where it belongs, from the hole at `at` upwards or downwards. */
static void settle(struct node *n, uint32_t at, struct timer t)
{
    while (at > 0 && n->timers[(at - 1) / 2].at > t.at) {
        put(n, at, n->timers[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= n->timers_len) break;
        if (child + 1 < n->timers_len && n->timers[child + 1].at < n->timers[child].at) child++;
        if (n->timers[child].at >= t.at) break;
        put(n, at, n->timers[child]);
        at = child;
    }
    put(n, at, t);
}

void timer_arm(struct node *n, enum timer_kind kind, uint32_t a, uint32_t b, usec at)
{
    struct timer t = {at, kind, a, b};
    uint32_t place = *place_of(n, &t);
    if (at == NEVER) return;
    if (place > 0) {
        if (at < n->timers[place - 1].at) settle(n, place - 1, t);
        return;
    }
    if (grow(n->allocator, (void **)&n->timers, &n->timers_cap, n->timers_len + 1, sizeof *n->timers) < 0) {
        if (n->timers_lost_at == NEVER) n->timers_lost_at = n->now + LOST_US;
        return;
    }
    n->timers_len++;
    settle(n, n->timers_len - 1, t);
}

void timer_disarm(struct node *n, enum timer_kind kind, uint32_t a, uint32_t b)
{
    struct timer t = {0, kind, a, b};
    uint32_t *place = place_of(n, &t), at = *place - 1;
    if (*place == 0) return;
    *place = 0;
    struct timer last = n->timers[--n->timers_len];
    if (at < n->timers_len) settle(n, at, last);
}

bool timer_next(struct node *n, struct timer *out)
{
    if (n->timers_len == 0 || n->timers[0].at > n->now) return false;
    *out = n->timers[0];
    timer_disarm(n, out->kind, out->a, out->b);
    return true;
}

usec timer_deadline(const struct node *n)
{
    usec at = n->timers_len ? n->timers[0].at : NEVER;
    return n->timers_lost_at < at ? n->timers_lost_at : at;
}
