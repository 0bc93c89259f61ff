#include "core/recheck.h"

#include "core/state.h"

#define PAUSE_US (20 * MILLISECONDS)
#define PAUSE_BOX_US (2 * MILLISECONDS) /* more for each box: 3 % of a processor */
#define AT_ONCE_US (2 * SECONDS)        /* 1,000 boxes */
#define FAILED_US (10 * SECONDS)        /* when an entry could not be read, or looked at */

static void later(struct node *n, const struct channel *c, usec pause)
{
    c->keys->recheck_at = n->now + pause;
    timer_arm(n, TIMER_SEAL, c->index, 0, c->keys->recheck_at);
}

bool recheck_at_once(const struct node *n, struct channel *c, uint64_t boxes)
{
    struct keyring *ring = c->keys;
    if (ring->looked_until < n->now) ring->looked_until = n->now;
    if (ring->looked_until > n->now + AT_ONCE_US) return false;
    ring->looked_until += boxes * PAUSE_BOX_US;
    return true;
}

void recheck_soon(struct node *n, const struct channel *c)
{
    if (c->keys->believed > 0 && !c->keys->rechecking) timer_arm(n, TIMER_SEAL, c->index, 0, n->now);
}

/* The next handing of an open epoch that was believed; NULL when there is none. A round begins anywhere, so
 * that a device that never runs for long gets to each of them. */
static struct handing *next_believed(struct node *n, struct keyring *ring)
{
    if (ring->recheck_next >= ring->handings_len)
        ring->recheck_next = (uint32_t)random_below(&n->random, ring->handings_len);
    for (uint32_t i = 0; i < ring->handings_len; i++) {
        struct handing *h = &ring->handings[ring->recheck_next];
        ring->recheck_next = (ring->recheck_next + 1) % ring->handings_len;
        if (h->believed && ring->epochs[h->epoch]->open) return h;
    }
    return NULL;
}

void recheck_tick(struct node *n, struct channel *c)
{
    struct keyring *ring = c->keys;
    if (ring->rechecking || (ring->believed == 0 && !ring->recount)) return;
    if (n->now < ring->recheck_at) {
        timer_arm(n, TIMER_SEAL, c->index, 0, ring->recheck_at);
        return;
    }
    const struct handing *h = ring->believed > 0 ? next_believed(n, ring) : NULL;
    if (ring->recount &&
        (!h || ring->recheck_next % 64 == 0)) { /* not for each: it goes through all of them */
        ring->recount = keyring_recount(n, c) < 0;
        seal_review(n, c);
    }
    if (!h) return;
    uint32_t author = author_find(c, h->author);
    struct op *op = author == NONE ? NULL : op_new(n, OPS_RESERVE);
    if (!op) {
        later(n, c, FAILED_US);
        return;
    }
    op->channel = c->index;
    op->author = author;
    op->seq = h->seq;
    op_enqueue(n, op, OP_READ);
    ring->rechecking = true;
}

void recheck_read(struct node *n, const struct op *op, int result, slice record)
{
    struct channel *c = n->channels[op->channel];
    struct handing *h = keyring_handing(c->keys, c->authors[op->author].device, op->seq);
    enum record_kind kind;
    struct arrival arrival;
    struct channel_record unused;
    struct entry e;
    slice wire;
    uint64_t boxes = 0;
    c->keys->rechecking = false;
    if (result == OK) result = record_parse(record, &kind, &wire, &arrival, &unused);
    if (result == OK && kind != RECORD_ENTRY) result = ERR_CORRUPT;
    if (result == OK) result = entry_parse(wire, &e);
    if (result == OK && h && h->believed) result = keyring_check(n, c, h, e.body, &boxes);
    later(n, c, result == OK ? PAUSE_US + boxes * PAUSE_BOX_US : FAILED_US);
}
