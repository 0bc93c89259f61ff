/* serve.c - what a link is given: own entries pushed, have-vectors, and what the other side asked for, read
 * ahead from the shell's store. Nothing waits here but small requests: messages are made when the link has
 * room. */
#include <string.h>

#include "core/recheck.h"
#include "core/state.h"
#include "core/transfer.h"

/* Queues entries to be served; what is on its way already is not queued again. ERR_MEMORY, ERR_FULL. */
int serve_add(struct node *n, struct pipe *p, struct share *s, struct request wanted)
{
    if (!s->requests) s->requests = alloc_array(n->allocator, REQUESTS_MAX, sizeof *s->requests);
    if (!s->requests) return ERR_MEMORY;
    for (uint32_t i = 0; i < s->requests_len && wanted.from <= wanted.upto; i++) {
        const struct request *r = &s->requests[(s->requests_head + i) % REQUESTS_MAX];
        if (r->author != wanted.author) continue;
        if (!wanted.down && r->from <= wanted.from && wanted.from <= r->upto) wanted.from = r->upto + 1;
        if (wanted.down && r->from <= wanted.upto && wanted.upto <= r->upto) wanted.upto = r->from - 1;
    }
    if (wanted.from > wanted.upto) return OK;
    if (s->requests_len == REQUESTS_MAX) return ERR_FULL;
    s->requests[(s->requests_head + s->requests_len++) % REQUESTS_MAX] = wanted;
    pipe_wake(n, p);
    return OK;
}

static slice entry_message(struct node *n, const struct blob *blob)
{
    struct writer w = writer_of(n->plain, sizeof n->plain);
    message_write_entry(&w, blob->wire);
    return w.failed ? SLICE_EMPTY : writer_slice(&w);
}

/* Own entries to a link that has all the earlier ones. */
static slice next_push(struct node *n, struct pipe *p, uint32_t channel, struct share *s)
{
    struct channel *c = n->channels[channel];
    if (c->self == NONE || s->push == 0 || s->push > c->authors[c->self].have) return SLICE_EMPTY;
    if (!gossip_pushes_own(c, p, s)) return SLICE_EMPTY;
    struct blob *blob = feed_cached(n, channel, c->self, s->push);
    if (!blob) { /* a long burst: the rest comes from the disk; without room the other side will ask for it */
        struct request rest = {c->self, s->push, c->authors[c->self].have, false};
        s->push = 0;
        PROBE(n, PUSH_FROM_DISK);
        (void)!serve_add(n, p, s, rest);
        return SLICE_EMPTY;
    }
    s->push++;
    return entry_message(n, blob);
}

/* Entries of others to a link that is to get them at once. */
static slice next_news(struct node *n, struct pipe *p, struct channel *c, struct share *s)
{
    uint32_t author, seq;
    while (gossip_next(p, c, s, &author, &seq)) {
        struct blob *blob = feed_cached(n, c->index, author, seq);
        if (blob) return entry_message(n, blob);
    }
    return SLICE_EMPTY;
}

static bool have_due(const struct node *n, const struct pipe *p, const struct channel *c,
                     const struct share *s)
{
    if (s->whole || digest_due(s)) return true;
    bool changed = s->version_sent < c->version || s->hold_sent < c->version;
    return changed && c->have_at == NEVER && gossip_tells(n, p, c, s);
}

static slice next_whole(struct node *n, struct channel *c, struct share *s)
{
    uint32_t pairs = 0, from = s->cursor, to = s->cursor;
    for (; to < c->authors_len && pairs < MESSAGE_HAVE_PAIRS_MAX; to++)
        pairs += c->authors[to].have > 0 && share_tells(s, &c->authors[to]);
    uint64_t flags = (s->whole_started ? 0 : HAVE_FIRST) | (to == c->authors_len ? HAVE_LAST : 0);
    struct writer w = writer_of(n->plain, sizeof n->plain);
    message_write_have(&w, c->id, flags, pairs);
    for (uint32_t i = from; i < to; i++) {
        const struct author *a = &c->authors[i];
        if (a->have > 0 && share_tells(s, a)) message_write_pair(&w, a->device, a->have);
    }
    s->cursor = to;
    s->whole_started = true;
    s->whole = (flags & HAVE_LAST) == 0;
    return w.failed ? SLICE_EMPTY : writer_slice(&w);
}

/* The first author in the order of changes that changed after this version. */
static uint32_t first_change(const struct channel *c, uint64_t version)
{
    uint32_t from = NONE;
    for (uint32_t i = c->newest; i != NONE && c->authors[i].version > version; i = c->authors[i].older)
        from = i;
    return from;
}

/* What changed since the last HAVE on this link, oldest change first, so that a cut-off piece can go on. */
static slice next_changes(struct node *n, const struct pipe *p, struct channel *c, struct share *s)
{
    uint32_t from = first_change(c, s->version_sent), pairs = 0, looked = 0;
    for (uint32_t i = from; i != NONE && pairs < MESSAGE_HAVE_PAIRS_MAX; i = c->authors[i].newer, looked++)
        pairs += c->authors[i].have_version > s->version_told && gossip_tells_of(n, p, c, s, i);
    struct writer w = writer_of(n->plain, sizeof n->plain);
    message_write_have(&w, c->id, 0, pairs);
    for (uint32_t i = from; looked > 0; i = c->authors[i].newer, looked--) {
        const struct author *a = &c->authors[i];
        if (a->have_version > s->version_told && gossip_tells_of(n, p, c, s, i))
            message_write_pair(&w, a->device, a->have);
        s->version_sent = a->version;
    }
    if (s->version_sent >= c->version) s->version_told = s->version_sent;
    return w.failed || pairs == 0 ? SLICE_EMPTY : writer_slice(&w);
}

/* The same of islands. */
static slice next_holds(struct node *n, struct channel *c, struct share *s)
{
    uint32_t from = first_change(c, s->hold_sent), spans = 0, looked = 0;
    for (uint32_t i = from; i != NONE && spans < MESSAGE_HOLD_SPANS_MAX; i = c->authors[i].newer, looked++) {
        const struct author *a = &c->authors[i];
        spans += a->island && a->island->shown && a->hold_version > s->hold_told;
    }
    struct writer w = writer_of(n->plain, sizeof n->plain);
    message_write_hold(&w, c->id, spans);
    for (uint32_t i = from; looked > 0; i = c->authors[i].newer, looked--) {
        const struct author *a = &c->authors[i];
        if (a->island && a->island->shown && a->hold_version > s->hold_told)
            message_write_span(&w, a->device, a->island->down.have, a->island->up.have);
        s->hold_sent = a->version;
    }
    if (from == NONE) s->hold_sent = c->version;
    if (s->hold_sent >= c->version) s->hold_told = s->hold_sent;
    return w.failed || spans == 0 ? SLICE_EMPTY : writer_slice(&w);
}

static slice next_have(struct node *n, struct pipe *p, struct channel *c, struct share *s)
{
    if (digest_due(s)) {
        slice message = digest_message(n, p, c, s);
        if (message.len) return message;
    }
    if (s->whole) return next_whole(n, c, s);
    gossip_told(n, p, c, s);
    while (s->version_sent < c->version) {
        slice message = next_changes(n, p, c, s);
        if (message.len) return message;
    }
    while (s->hold_sent < c->version) {
        slice message = next_holds(n, c, s);
        if (message.len) return message;
    }
    return SLICE_EMPTY;
}

void serve_read_done(struct node *n, struct op *op, int result, slice record)
{
    if (result != OK) PROBE(n, READ_FAILED);
    if (op->pipe == NONE) recheck_read(n, op, result, record);
    struct pipe *p = op->pipe < n->pipes_cap ? n->pipes[op->pipe] : NULL;
    if (p && p->serial == op->pipe_serial) {
        for (uint32_t i = 0; i < p->window_len; i++) {
            struct serve *slot = &p->window[(p->window_head + i) % SERVE_WINDOW];
            if (slot->token != op->token) continue;
            enum record_kind kind;
            struct arrival arrival;
            struct channel_record unused;
            slice wire;
            slot->token = 0;
            if (result == OK && record_parse(record, &kind, &wire, &arrival, &unused) == OK &&
                kind == RECORD_ENTRY) {
                slot->blob = blob_new(n->allocator, n->crypto, wire, &arrival);
                if (slot->blob) p->window_bytes += slot->blob->len;
            }
            pipe_wake(n, p);
        }
    }
    op_free(n, op);
}

/* Takes the entry into the window: from memory, or by a READ. False when there is no room for that. */
static bool serve_entry(struct node *n, struct pipe *p, uint32_t channel, uint32_t author, uint32_t seq)
{
    struct serve *slot = &p->window[(p->window_head + p->window_len) % SERVE_WINDOW];
    *slot = (struct serve){.channel = channel, .author = author, .seq = seq};
    struct blob *blob = feed_cached(n, channel, author, seq);
    if (blob) {
        slot->blob = blob_keep(blob);
        p->window_bytes += blob->len;
    } else {
        struct op *op = op_new(n, OPS_RESERVE);
        if (!op) return false;
        op->channel = channel;
        op->author = author;
        op->seq = seq;
        op->pipe = p->slot;
        op->pipe_serial = p->serial;
        op_enqueue(n, op, OP_READ);
        slot->token = op->token;
    }
    p->window_len++;
    return true;
}

/* An entry of an answer to RECENT is left out: RECENT_END must not say that it was given. Without a JOIN
 * nothing of the author can be taken. */
static void skipped(const struct node *n, const struct pipe *p, const struct serve *slot)
{
    struct share *s = share_of(p, slot->channel);
    const struct author *a = &n->channels[slot->channel]->authors[slot->author];
    const struct mark *mark = feed_mark(a, slot->seq > 1 ? slot->seq : feed_shown(a));
    if (s && mark && mark->place_ms > s->skipped_ms) s->skipped_ms = mark->place_ms;
}

/* The answer to RECENT goes on, or ends. */
static bool serve_recent(struct node *n, struct pipe *p, uint32_t channel, struct share *s)
{
    uint32_t author, seq;
    if (n->ops_used + OPS_RESERVE >= OPS_MAX) return false;
    struct serve *slot = &p->window[(p->window_head + p->window_len) % SERVE_WINDOW];
    if (recent_take(n, p, channel, &author, &seq)) {
        bool taken = serve_entry(n, p, channel, author, seq);
        slot->recent = true;
        if (!taken) skipped(n, p, slot);
        return taken;
    }
    p->window_len++;
    *slot = (struct serve){.channel = channel, .end = true};
    recent_summary(s->recent, &slot->oldest_ms, &slot->more);
    recent_free(n, s);
    p->serve_channel = channel + 1;
    return true;
}

/* Takes the next wanted entry into the window. False when there is none. */
static bool serve_one(struct node *n, struct pipe *p)
{
    for (uint32_t tried = 0; tried < p->shares_len; tried++) {
        uint32_t channel = (p->serve_channel + tried) % p->shares_len;
        struct share *s = p->shares[channel];
        if (!s || !s->active) continue;
        if (s->requests_len == 0 && !s->recent) continue;
        if (s->requests_len == 0) return serve_recent(n, p, channel, s);
        struct request *r = &s->requests[s->requests_head];
        if (!serve_entry(n, p, channel, r->author, r->down ? r->upto : r->from)) return false;
        if (r->from == r->upto) {
            s->requests_head = (s->requests_head + 1) % REQUESTS_MAX;
            s->requests_len--;
            p->serve_channel = channel + 1;
        } else if (r->down) {
            r->upto--;
        } else {
            r->from++;
        }
        return true;
    }
    return false;
}

static slice end_message(struct node *n, const struct pipe *p, const struct serve *slot)
{
    struct writer w = writer_of(n->plain, sizeof n->plain);
    struct share *s = share_of(p, slot->channel);
    uint64_t skipped_ms = s ? s->skipped_ms : 0;
    bool all = skipped_ms == 0 || skipped_ms < slot->oldest_ms;
    message_write_recent_end(&w, n->channels[slot->channel]->id, all ? slot->oldest_ms : skipped_ms,
                             slot->more || skipped_ms > 0);
    if (s) s->skipped_ms = 0;
    return writer_slice(&w);
}

static slice next_served(struct node *n, struct pipe *p)
{
    for (;;) {
        while (p->window_len < SERVE_WINDOW && p->window_bytes < SERVE_BYTES && serve_one(n, p)) {
        }
        if (p->window_len == 0) return SLICE_EMPTY;
        struct serve *slot = &p->window[p->window_head];
        if (slot->token != 0) return SLICE_EMPTY; /* being read */
        struct blob *blob = slot->blob;
        slot->blob = NULL;
        p->window_head = (p->window_head + 1) % SERVE_WINDOW;
        p->window_len--;
        if (slot->end) return end_message(n, p, slot);
        if (!blob && slot->recent) skipped(n, p, slot);
        if (!blob) continue;
        p->window_bytes -= blob->len;
        slice message = entry_message(n, blob);
        blob_release(n->allocator, blob);
        return message;
    }
}

slice serve_next(struct node *n, struct pipe *p)
{
    slice introduction = introduce_next(n, p);
    if (introduction.len) return introduction;
    for (uint32_t i = 0; i < p->shares_len; i++) {
        struct share *s = p->shares[i];
        if (!s || !s->active) continue;
        slice message = next_push(n, p, i, s);
        if (message.len == 0) message = next_news(n, p, n->channels[i], s);
        if (message.len == 0 && have_due(n, p, n->channels[i], s)) {
            message = next_have(n, p, n->channels[i], s);
        }
        if (message.len) return message;
    }
    slice message = next_served(n, p);
    return message.len > 0 ? message : transfer_output(n, p);
}

bool serve_has_output(const struct node *n, const struct pipe *p)
{
    if (introduce_has_output(p)) return true;
    for (uint32_t i = 0; i < p->shares_len; i++) {
        const struct share *s = p->shares[i];
        if (!s || !s->active) continue;
        const struct channel *c = n->channels[i];
        if (have_due(n, p, c, s) || s->requests_len > 0 || s->recent) return true;
        if (gossip_has_next(c, s)) return true;
        bool own = c->self != NONE && s->push > 0 && s->push <= c->authors[c->self].have;
        if (own && gossip_pushes_own(c, p, s)) return true;
    }
    if (p->window_len > 0 && p->window[p->window_head].token == 0) return true;
    return transfer_has_output(n, p);
}
