#include "core/signal.h"

#include <string.h>

#include "core/identity.h"
#include "core/state.h"

#define REFILL_US (250 * MILLISECONDS) /* one more signal from a link */

static void drop(struct node *n, struct signal *s)
{
    alloc_free(n->allocator, s->bytes, s->len);
    *s = (struct signal){0};
}

void signals_free(struct node *n)
{
    for (uint32_t i = 0; i < SIGNAL_WAITING_MAX; i++)
        drop(n, &n->signals.waiting[i]);
    drop(n, &n->signals.shown);
}

struct letter {
    const uint8_t *to, *from;
    uint32_t ttl;
    slice bytes;
    uint64_t serial;
};

/* Whether this one was handed on already; it counts as seen from now on. */
static bool seen(struct node *n, const struct letter *l)
{
    struct signals *s = &n->signals;
    uint8_t head[ID_BYTES + 8], id[ID_BYTES];
    memcpy(head, l->from, ID_BYTES);
    for (int i = 0; i < 8; i++)
        head[ID_BYTES + i] = (uint8_t)(l->serial >> (8 * i));
    hash_joined(n->crypto, slice_of(l->to, ID_BYTES), slice_of(head, sizeof head), l->bytes, id);
    uint64_t mark = feed_prefix(id) | 1; /* 0: none */
    for (uint32_t i = 0; i < SIGNAL_SEEN_MAX; i++)
        if (s->seen[i] == mark) return true;
    s->seen[s->seen_next++ % SIGNAL_SEEN_MAX] = mark;
    return false;
}

/* --- on the way --- */

static bool give(struct node *n, struct pipe *p, const struct letter *l)
{
    struct writer w = writer_of(n->plain, sizeof n->plain);
    message_write_signal(&w, l->to, l->from, l->ttl, l->bytes, l->serial);
    return !w.failed && pipe_control(n, p, writer_slice(&w));
}

static bool is_open(const struct pipe *p)
{
    return p && p->open_done && !p->closing;
}

/* The best link to the device, or NULL. */
static struct pipe *direct(struct node *n, const uint8_t *device)
{
    const struct peer *peer = peer_find(n, device);
    struct pipe *best = NULL;
    for (uint32_t i = peer ? peer->first_link : NONE; i != NONE; i = n->pipes[i]->sibling)
        if (is_open(n->pipes[i]) && (!best || n->pipes[i]->path > best->path)) best = n->pipes[i];
    return best;
}

/* An authority of one of our channels, or somebody whom it has certified: nobody else has us carry letters,
 * or sees those of others. */
static bool is_known(const struct node *n, const struct pipe *p)
{
    for (uint32_t i = 0; i < n->channels_len; i++) {
        const uint8_t *authority = n->channels[i]->authority;
        if (memcmp(p->link.device, authority, ID_BYTES) == 0) return true;
        if (p->certified && memcmp(p->authority, authority, ID_BYTES) == 0) return true;
    }
    return false;
}

/* How many took it. `except`: who brought it. */
static uint32_t hand_on(struct node *n, const struct letter *l, const struct pipe *except, uint32_t fan)
{
    struct pipe *p = direct(n, l->to);
    if (!p) p = view_via(n, l->to);
    if (p && p != except) return give(n, p, l);
    uint32_t given = 0, first = n->pipes_cap > 0 ? (uint32_t)random_below(&n->random, n->pipes_cap) : 0;
    for (uint32_t i = 0; i < n->pipes_cap && given < fan; i++) {
        p = n->pipes[(first + i) % n->pipes_cap];
        if (is_open(p) && p != except && is_known(n, p)) given += give(n, p, l);
    }
    return given;
}

int signal_send(struct node *n, const uint8_t *device, slice bytes)
{
    if (bytes.len == 0 || memcmp(device, n->device, ID_BYTES) == 0) return ERR_INVALID;
    if (bytes.len > NODE_SIGNAL_BYTES_MAX) return ERR_TOO_LARGE;
    struct letter l = {device, n->device, SIGNAL_TTL, bytes, 0};
    l.serial = random_below(&n->random, UINT64_MAX);
    return hand_on(n, &l, NULL, SIGNAL_FAN) > 0 ? OK : ERR_NOT_FOUND;
}

/* --- arrival --- */

static void keep(struct node *n, const uint8_t *from, slice bytes)
{
    struct signals *s = &n->signals;
    if (s->waiting_len == SIGNAL_WAITING_MAX) return; /* whoever means it says it again */
    struct signal *place = &s->waiting[(s->waiting_head + s->waiting_len) % SIGNAL_WAITING_MAX];
    place->bytes = alloc_new(n->allocator, bytes.len);
    if (!place->bytes) return;
    memcpy(place->device, from, ID_BYTES);
    memcpy(place->bytes, bytes.ptr, bytes.len);
    place->len = (uint32_t)bytes.len;
    s->waiting_len++;
}

/* A bucket of SIGNAL_BURST that fills again slowly. */
static bool within_rate(const struct node *n, struct pipe *p)
{
    usec full = SIGNAL_BURST * REFILL_US;
    if (p->signals_until < n->now) p->signals_until = n->now;
    if (p->signals_until + REFILL_US > n->now + full) return false;
    p->signals_until += REFILL_US;
    return true;
}

void signal_receive(struct node *n, struct pipe *p, const struct message *m)
{
    if (!is_known(n, p)) {
        pipe_glitch(n, p);
        return;
    }
    struct letter l = {m->to, m->device, m->ttl < SIGNAL_TTL ? m->ttl : SIGNAL_TTL, m->wire, m->stamp};
    if (!within_rate(n, p) || m->wire.len == 0 || memcmp(m->device, n->device, ID_BYTES) == 0) return;
    if (seen(n, &l)) return;
    if (memcmp(m->to, n->device, ID_BYTES) == 0) {
        keep(n, m->device, m->wire);
        return;
    }
    if (l.ttl == 0) return;
    l.ttl--;
    (void)hand_on(n, &l, p, SIGNAL_FAN_ON);
}

bool signal_next(struct node *n, struct action *out)
{
    struct signals *s = &n->signals;
    drop(n, &s->shown);
    if (s->waiting_len == 0) return false;
    struct signal *first = &s->waiting[s->waiting_head];
    s->shown = *first;
    *first = (struct signal){0};
    s->waiting_head = (s->waiting_head + 1) % SIGNAL_WAITING_MAX;
    s->waiting_len--;
    out->kind = ACTION_SIGNAL;
    out->device = s->shown.device;
    out->record = slice_of(s->shown.bytes, s->shown.len);
    return true;
}
