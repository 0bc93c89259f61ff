/* recent.c - answering RECENT: the newest entries of a channel that the other side does not hold, by a merge
 * of the authors' marks. A heap has one item for each author who has something left to give.
 *
 * Entries of one author go out by falling seq, because only what stands next to an island can be taken; his
 * JOIN goes first when the other side has nothing of him, for without it he has no name. */
#include <string.h>

#include "core/state.h"

struct item {
    uint64_t place_ms;
    uint32_t author, seq;
    uint32_t least; /* the last seq to give */
    bool join;      /* seq 1 goes first */
};

struct recent {
    struct item *heap;
    uint32_t len, cap;
    uint32_t left; /* entries still to give */
    uint64_t oldest_ms;
};

static bool before(const struct item *a, const struct item *b)
{
    return a->place_ms != b->place_ms ? a->place_ms > b->place_ms : a->author < b->author;
}

static void sift_down(struct recent *r, uint32_t at)
{
    struct item moved = r->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= r->len) break;
        if (child + 1 < r->len && before(&r->heap[child + 1], &r->heap[child])) child++;
        if (!before(&r->heap[child], &moved)) break;
        r->heap[at] = r->heap[child];
        at = child;
    }
    r->heap[at] = moved;
}

/* The highest seq of low..high that is placed before this time, low - 1 when none is. */
static uint32_t last_before(const struct author *a, uint32_t low, uint32_t high, uint64_t before_ms)
{
    while (before_ms > 0 && low <= high) {
        uint32_t middle = low + (high - low) / 2;
        if (feed_mark(a, middle)->place_ms < before_ms)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return high;
}

/* Where the giving of this author starts and ends; false when there is nothing to give. */
static bool start(const struct author *a, uint32_t have, struct span hold, uint64_t before_ms,
                  struct item *out)
{
    const struct island *i = a->island && a->island->shown ? a->island : NULL;
    uint32_t high = i ? i->up.have : a->have;
    uint64_t newest_ms = high > 0 ? feed_mark(a, high)->place_ms : 0;
    if (hold.high > 0) { /* only what stands next to the other side's island can be taken */
        high = hold.low - 1;
        if (!feed_holds(a, high)) return false;
    }
    uint32_t low = i && high >= i->down.have ? i->down.have : 1;
    if (low <= have) low = have + 1;
    high = last_before(a, low, high, before_ms); /* the rest has been sent, even if that is not said yet */
    if (high < low) return false;
    bool first = have == 0 && high > 1 && (before_ms == 0 || newest_ms < before_ms);
    *out = (struct item){.seq = high, .least = first && low == 1 ? 2 : low, .join = first};
    out->place_ms = feed_mark(a, high)->place_ms;
    return true;
}

static int fill(struct node *n, struct pipe *p, const struct channel *c, const struct share *s,
                uint64_t before_ms, struct recent *r)
{
    for (uint32_t k = 0; k < c->authors_len; k++) {
        const struct author *a = &c->authors[k];
        uint32_t have = k < s->have_cap ? s->have[k] : 0;
        struct span hold = s->hold && k < s->have_cap ? s->hold[k] : (struct span){0};
        struct item item;
        if (!a->used || memcmp(a->device, p->link.device, ID_BYTES) == 0) continue;
        if (!start(a, have, hold, before_ms, &item)) continue;
        int rc = grow(n->allocator, (void **)&r->heap, &r->cap, r->len + 1, sizeof *r->heap);
        if (rc < 0) return rc;
        item.author = k;
        r->heap[r->len++] = item;
    }
    for (uint32_t k = r->len / 2; k-- > 0;)
        sift_down(r, k);
    return OK;
}

int recent_begin(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active || s->recent) {
        pipe_glitch(n, p);
        return OK;
    }
    s->recent = alloc_new(n->allocator, sizeof *s->recent);
    if (!s->recent) return ERR_MEMORY;
    s->recent->left = m->count;
    s->recent->oldest_ms = m->before_ms;
    int rc = fill(n, p, c, s, m->before_ms, s->recent);
    if (rc < 0) recent_free(n, s);
    pipe_wake(n, p);
    return rc;
}

bool recent_take(struct node *n, struct pipe *p, uint32_t channel, uint32_t *out_author, uint32_t *out_seq)
{
    struct recent *r = share_of(p, channel)->recent;
    const struct channel *c = n->channels[channel];
    if (r->len == 0 || r->left == 0) return false;
    struct item *top = &r->heap[0];
    *out_author = top->author;
    if (top->join) {
        top->join = false;
        PROBE(n, RECENT_JOIN_FIRST);
        *out_seq = 1;
        return true;
    }
    *out_seq = top->seq;
    r->oldest_ms = top->place_ms;
    r->left--;
    if (top->seq == top->least) {
        *top = r->heap[--r->len];
    } else { /* a place that is out of order (a clock was wrong) must not bring him to the front again */
        uint64_t place_ms = feed_mark(&c->authors[top->author], --top->seq)->place_ms;
        if (place_ms < top->place_ms) top->place_ms = place_ms;
    }
    if (r->len > 0) sift_down(r, 0);
    return true;
}

void recent_summary(const struct recent *r, uint64_t *out_oldest_ms, bool *out_more)
{
    *out_oldest_ms = r->oldest_ms;
    *out_more = r->len > 0;
}

void recent_free(struct node *n, struct share *s)
{
    if (!s->recent) return;
    alloc_free(n->allocator, s->recent->heap, s->recent->cap * sizeof *s->recent->heap);
    alloc_free(n->allocator, s->recent, sizeof *s->recent);
    s->recent = NULL;
}
