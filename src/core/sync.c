/* sync.c - comparing have-vectors and exchanging what is missing, channel by channel, link by link.
 *
 * An author's own new entries are pushed to the links that are level with him; everything else is asked for
 * by the one who lacks it. So an entry crosses a link once, and a lost answer is only asked for again. */
#include <string.h>

#include "core/state.h"
#include "core/transfer.h"

struct share *share_of(const struct pipe *p, uint32_t channel)
{
    return channel < p->shares_len ? p->shares[channel] : NULL;
}

int sync_share(struct node *n, struct pipe *p, uint32_t channel, struct share **out)
{
    if (channel >= p->shares_len) {
        int rc = grow(n->allocator, (void **)&p->shares, &p->shares_len, channel + 1, sizeof *p->shares);
        if (rc < 0) return rc;
    }
    if (!p->shares[channel]) p->shares[channel] = alloc_new(n->allocator, sizeof **p->shares);
    *out = p->shares[channel];
    return *out ? OK : ERR_MEMORY;
}

static void share_free(struct node *n, struct pipe *p, uint32_t channel)
{
    struct share *s = share_of(p, channel);
    if (!s) return;
    alloc_free(n->allocator, s->have, s->have_cap * sizeof *s->have);
    alloc_free(n->allocator, s->doubt, s->have_cap * sizeof *s->doubt);
    alloc_free(n->allocator, s->hold, s->have_cap * sizeof *s->hold);
    recent_free(n, s);
    digest_free(n, s);
    alloc_free(n->allocator, s->requests, REQUESTS_MAX * sizeof *s->requests);
    timer_disarm(n, TIMER_SHARE, p->slot, channel);
    alloc_free(n->allocator, s, sizeof *s);
    p->shares[channel] = NULL;
}

/* What the other side says to hold of the author. An author of whom nothing is here lives for as long as
 * somebody claims something; with the last word of a link goes its doubt, for the index may become another
 * author's. */
static void note_claim(struct channel *c, struct share *s, uint32_t author, uint32_t have, struct span hold)
{
    struct author *a = &c->authors[author];
    bool before = s->have[author] > 0 || (s->hold && s->hold[author].high > 0);
    bool claims = have > 0 || hold.high > 0;
    s->have[author] = have;
    if (s->hold) s->hold[author] = hold;
    a->claims = (uint16_t)(a->claims - before + claims);
    if (!claims && a->tip == 0 && s->doubt) s->doubt[author] = 0;
}

/* --- carrying --- */

static void member_remove(struct channel *c, uint32_t slot)
{
    for (uint32_t i = 0; i < c->members_len; i++) {
        if (c->members[i] == slot) c->members[i--] = c->members[--c->members_len];
    }
}

static int activate(struct node *n, struct pipe *p, uint32_t channel)
{
    struct share *s = share_of(p, channel);
    struct channel *c = n->channels[channel];
    if (!s || s->active || !s->ours || !s->theirs || !member_may_carry(c, p)) return OK;
    int rc =
        grow(n->allocator, (void **)&c->members, &c->members_cap, c->members_len + 1, sizeof *c->members);
    if (rc < 0) return rc;
    c->members[c->members_len++] = p->slot;
    s->active = true;
    transfer_shared(n, p, channel);
    s->whole = c->writers <= DIGEST_AUTHORS || digest_begin(n, s) < 0;
    memset(s->buckets, 0xff, sizeof s->buckets);
    s->whole_started = s->overflow = false;
    s->cursor = 0;
    s->version_sent = s->version_told = c->version;
    s->hold_sent = s->hold_told = 0;
    s->vector = false;
    s->missing = 0;
    s->due = false;
    if (s->doubt_until > 0) timer_arm(n, TIMER_SHARE, p->slot, channel, s->doubt_until);
    pipe_wake(n, p);
    gossip_linked(n, p, c, s);
    view_linked(n, p, c);
    if (p->closing) return OK; /* there are too many */
    ledger_linked(n, p, c);
    return OK;
}

static void deactivate(struct node *n, struct pipe *p, uint32_t channel)
{
    struct share *s = share_of(p, channel);
    struct channel *c = n->channels[channel];
    if (!s || !s->active) return;
    s->active = false;
    uint32_t slot = p->slot;
    member_remove(c, slot);
    transfer_unshared(n, p, channel);
    gossip_unlinked(n, c, s);
    view_unlinked(n, p, c);
    ledger_unlinked(n, p, c);
    recent_free(n, s);
    digest_free(n, s);
    s->push = 0;
    s->requests_len = 0;
    for (uint32_t i = 0; i < c->authors_len; i++) {
        struct author *a = &c->authors[i];
        if (!a->used) continue;
        if (a->want_link == slot) {
            want_cancel(n, channel, a);
            a->want_at = n->now;
            timer_arm(n, TIMER_AUTHOR, channel, i, n->now);
        }
        if (i < s->have_cap) note_claim(c, s, i, 0, (struct span){0});
        if (a->tip == 0) author_drop_phantom(n, c, i);
    }
    history_unlinked(n, p, channel);
}

int sync_carry(struct node *n, struct pipe *p, uint32_t channel, bool on)
{
    struct channel *c = n->channels[channel];
    struct share *s;
    uint8_t plain[64];
    if (p->closing) return OK;
    if (on && !member_may_carry(c, p)) return OK; /* not a member by this channel's authority */
    int rc = sync_share(n, p, channel, &s);
    if (rc < 0) return rc;
    struct writer w = writer_of(plain, sizeof plain);
    message_write_carry(&w, c->id, on, c->persons);
    if (!pipe_control(n, p, writer_slice(&w))) return ERR_FULL;
    s->ours = on;
    if (on && !s->theirs) introduce_due(n, p, channel);
    if (!on) deactivate(n, p, channel);
    return activate(n, p, channel);
}

int sync_carry_all(struct node *n, struct pipe *p)
{
    for (uint32_t i = 0; i < n->channels_len; i++) {
        if (!n->channels[i]->carried) continue;
        int rc = sync_carry(n, p, i, true);
        if (rc < 0) return rc;
    }
    return OK;
}

/* The other side says to hold all of from..upto: in its contiguous part, its island, or both. */
static bool share_holds(const struct share *s, uint32_t author, uint32_t from, uint32_t upto)
{
    if (from > upto) return true;
    if (author >= s->have_cap) return false;
    if (s->have[author] >= upto) return true;
    struct span hold = s->hold ? s->hold[author] : (struct span){0};
    uint32_t low = hold.low <= s->have[author] + 1 ? 1 : hold.low;
    return low <= from && hold.high >= upto;
}

struct span share_span(const struct share *s, uint32_t author)
{
    if (author >= s->have_cap) return (struct span){0};
    struct span hold = s->hold ? s->hold[author] : (struct span){0}, all = {1, s->have[author]};
    if (hold.high <= all.high) return all;
    return hold.low <= all.high + 1 ? (struct span){1, hold.high} : hold;
}

/* Who has left may let go of the channel at any moment, just as this device is about to: two who leave at the
 * same time must not rely on each other. */
static bool stays(const struct channel *c, const struct pipe *p)
{
    uint32_t author = author_find(c, p->link.device);
    return author == NONE || !author_left(&c->authors[author]);
}

/* Some other device that stays acknowledges each entry that is held here: the own ones, and those that
 * perhaps only this device has from somebody who left before. */
static bool all_kept(const struct node *n, uint32_t channel)
{
    const struct channel *c = n->channels[channel];
    for (uint32_t i = 0; i < c->authors_len; i++) {
        const struct author *a = &c->authors[i];
        uint32_t limit = c->roster ? member_limit(c, member_account(c, i), a->device) : UINT32_MAX;
        uint32_t due = a->have < limit ? a->have : limit, top = feed_shown(a) < limit ? feed_shown(a) : limit;
        uint32_t low = top > due && a->island ? a->island->down.have : due + 1;
        bool kept = top == 0;
        for (uint32_t k = 0; k < c->members_len && !kept; k++) {
            const struct share *s = share_of(n->pipes[c->members[k]], channel);
            kept =
                share_holds(s, i, 1, due) && share_holds(s, i, low, top) && stays(c, n->pipes[c->members[k]]);
        }
        if (!kept || (i == c->self && a->have < a->tip)) return false;
    }
    return true;
}

bool sync_all_kept(const struct node *n, uint32_t channel)
{
    return all_kept(n, channel);
}

void sync_forget(struct node *n, struct pipe *p, uint32_t channel)
{
    struct share *s = share_of(p, channel);
    if (!s) return;
    if (s->ours && p->open_done && !p->closing && sync_carry(n, p, channel, false) < 0)
        pipe_close(n, p, ERR_FULL, err_text(ERR_FULL));
    deactivate(n, p, channel);
    if (s->introduce) p->introductions--;
    share_free(n, p, channel);
}

void sync_leave(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    while (c->behind_len > 0)
        channel_set_behind(n, c, c->behind[0], false);
    if (!all_kept(n, channel)) return;
    PROBE(n, LET_GO);
    c->carried = false;
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        struct pipe *p = n->pipes[i];
        if (!p || !p->open_done || p->closing || !share_of(p, channel)) continue;
        if (sync_carry(n, p, channel, false) < 0) pipe_close(n, p, ERR_FULL, err_text(ERR_FULL));
    }
}

void sync_pipe_gone(struct node *n, struct pipe *p)
{
    for (uint32_t i = 0; i < p->shares_len; i++) {
        deactivate(n, p, i);
        share_free(n, p, i);
    }
    alloc_free(n->allocator, p->shares, p->shares_len * sizeof *p->shares);
    p->shares = NULL;
    p->shares_len = p->introductions = 0;
    for (uint32_t i = 0; i < SERVE_WINDOW; i++) {
        blob_release(n->allocator, p->window[i].blob);
        p->window[i].blob = NULL;
    }
    transfer_pipe_gone(n, p);
}

/* --- what the other side says --- */

static int on_carry(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    struct share *s;
    if (!channel_find(n, m->channel, &channel)) return OK; /* not one of ours (yet) */
    int rc = sync_share(n, p, channel, &s);
    if (rc < 0) return rc;
    bool news = m->on && !s->theirs;
    s->theirs = m->on;
    s->their_links = m->links;
    if (m->on && !member_may_carry(n->channels[channel], p)) introduce_due(n, p, channel);
    if (!m->on) {
        deactivate(n, p, channel);
        return OK;
    }
    /* Ours is said again: the first may have come before the channel was one of theirs. */
    if (news && n->channels[channel]->carried) return sync_carry(n, p, channel, true);
    return activate(n, p, channel);
}

static int share_room(struct node *n, struct channel *c, struct share *s, uint32_t authors)
{
    uint32_t before = s->have_cap, cap = before;
    if (authors <= before) return OK;
    int rc = grow(n->allocator, (void **)&s->have, &cap, authors, sizeof *s->have);
    if (rc < 0) return rc;
    if (s->hold) {
        uint32_t holds = before;
        rc = grow(n->allocator, (void **)&s->hold, &holds, cap, sizeof *s->hold);
        if (rc < 0) { /* the same: what was said of islands is forgotten */
            for (uint32_t i = 0; i < before && i < c->authors_len; i++)
                note_claim(c, s, i, s->have[i], (struct span){0});
            alloc_free(n->allocator, s->hold, before * sizeof *s->hold);
            s->hold = NULL;
        }
    }
    if (s->doubt) {
        uint32_t doubts = before;
        rc = grow(n->allocator, (void **)&s->doubt, &doubts, cap, sizeof *s->doubt);
        if (rc < 0) { /* keep both arrays of one length: forget the doubts */
            alloc_free(n->allocator, s->doubt, before * sizeof *s->doubt);
            s->doubt = NULL;
        }
    }
    s->have_cap = cap;
    return OK;
}

/* The other side begins anew: what it said before does not count, nor do the authors whom only it has named.
 */
static void forget_claims(struct node *n, struct channel *c, struct share *s)
{
    for (uint32_t i = 0; i < s->have_cap && i < c->authors_len; i++) {
        if (s->have[i] == 0 && (!s->hold || s->hold[i].high == 0)) continue;
        note_claim(c, s, i, 0, (struct span){0});
        author_drop_phantom(n, c, i);
    }
    s->vector = false;
    s->missing = 0;
    s->due = false;
}

bool sync_make_room(struct node *n, struct channel *c)
{
    uint32_t channel = c->index;
    for (uint32_t i = 0; i < c->authors_len; i++) {
        struct author *a = &c->authors[i];
        if (!a->used || a->tip > 0 || a->ops_head != NONE || a->want_link != NONE || i == c->self) continue;
        for (uint32_t k = 0; k < c->members_len; k++) {
            struct share *s = share_of(n->pipes[c->members[k]], channel);
            if (i < s->have_cap) note_claim(c, s, i, 0, (struct span){0});
        }
        author_drop_phantom(n, c, i);
        PROBE(n, ROOM_MADE);
        return true;
    }
    return false;
}

/* The index of an author whom a HAVE names; a new one within the limits, else NONE. */
static uint32_t named_author(struct node *n, struct pipe *p, struct share *s, struct channel *c,
                             const uint8_t *device)
{
    uint32_t author = author_find(c, device);
    if (author != NONE) return author;
    if (s->phantoms >= PHANTOMS_MAX) {
        /* The first vector may be large: RECENT brings those who found no room here. */
        s->overflow = true;
        PROBE(n, PHANTOMS_FULL);
        if (s->vector) pipe_glitch(n, p); /* perhaps the last one: then the share is gone */
        return NONE;
    }
    int rc = author_add(n, c, device, &author);
    bool itself = memcmp(device, p->link.device, ID_BYTES) == 0;
    if (rc == ERR_FULL && itself && sync_make_room(n, c)) rc = author_add(n, c, device, &author);
    if (rc < 0) return NONE; /* a table that others have filled is not this link's fault */
    s->phantoms++;
    return author;
}

static void own_acknowledged(struct node *n, struct pipe *p, struct share *s, const struct author *self,
                             uint32_t seq)
{
    /* Level, or so nearly that the rest is pushed rather than asked for. */
    if (s->push == 0 && (uint64_t)seq + PUSH_LAG >= self->have) s->push = seq + 1;
    s->delivered_due = true;
    pipe_enqueue(n, p, QUEUE_DELIVERED);
    if (s->push > 0 && s->push <= self->have) pipe_wake(n, p);
}

static void count_phantoms(const struct channel *c, struct share *s)
{
    if (s->phantoms < PHANTOMS_MAX) return;
    s->phantoms = 0;
    for (uint32_t i = 0; i < c->authors_len && i < s->have_cap; i++)
        s->phantoms += c->authors[i].used && c->authors[i].tip == 0 && s->have[i] > 0;
}

/* A claim of the other side went up. Before its whole vector is in, it is only noted. */
static void claimed(struct node *n, struct pipe *p, struct share *s, struct channel *c, uint32_t author)
{
    struct author *a = &c->authors[author];
    uint32_t claim = want_claim(s, author), top = feed_top(a);
    if (author == c->self && claim > 0) own_acknowledged(n, p, s, a, claim);
    if (c->on_demand && s->vector && claim > top && claim > a->settled) a->news = true;
    a->moved = true;
    bool wanted = want_missing(c, s, author);
    if (!s->vector && claim > top) s->missing += claim - top;
    if (wanted && s->vector) gossip_announced(n, p, c, author, claim);
    if (wanted) want_more(n, c->index, author, s->vector);
}

int sync_level(struct node *n, struct pipe *p, struct channel *c, uint32_t author, uint32_t seq)
{
    struct share *s = share_of(p, c->index);
    int rc = share_room(n, c, s, author + 1);
    if (rc < 0) return rc;
    if (seq <= s->have[author]) return OK;
    note_claim(c, s, author, seq, s->hold ? s->hold[author] : (struct span){0});
    claimed(n, p, s, c, author);
    return OK;
}

static int on_have(struct node *n, struct pipe *p, struct message *m)
{
    uint32_t channel, seq;
    const uint8_t *device;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active) {
        pipe_glitch(n, p);
        return OK;
    }
    if ((m->flags & HAVE_FIRST) && s->vector) PROBE(n, VECTOR_ANEW);
    if (m->flags & HAVE_FIRST) forget_claims(n, c, s);
    count_phantoms(c, s);
    while (message_next_pair(m, &device, &seq)) {
        uint32_t author = named_author(n, p, s, c, device);
        if (p->closing) return OK; /* one oddity too many: the share is gone */
        if (author == NONE) continue;
        int rc = share_room(n, c, s, author + 1);
        if (rc < 0) return rc;
        bool more = seq > s->have[author];
        struct span hold = s->hold ? s->hold[author] : (struct span){0};
        note_claim(c, s, author, seq, seq >= hold.high ? (struct span){0} : hold);
        if (more) claimed(n, p, s, c, author);
    }
    if (c->leaving) timer_arm(n, TIMER_HAVE, channel, 0, n->now); /* perhaps that was all */
    if (!(m->flags & HAVE_LAST)) return OK;
    if (c->self != NONE && c->authors[c->self].have == 0 && s->push == 0) s->push = 1;
    s->vector = true;
    history_consider(n, p, channel);
    return OK;
}

static int on_hold(struct node *n, struct pipe *p, struct message *m)
{
    uint32_t channel;
    const uint8_t *device;
    struct span span;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active) {
        pipe_glitch(n, p);
        return OK;
    }
    count_phantoms(c, s);
    while (message_next_span(m, &device, &span.low, &span.high)) {
        uint32_t author = named_author(n, p, s, c, device);
        if (p->closing) return OK;
        if (author == NONE) continue;
        int rc = share_room(n, c, s, author + 1);
        if (rc < 0) return rc;
        if (!s->hold) s->hold = alloc_array(n->allocator, s->have_cap, sizeof *s->hold);
        if (!s->hold) return ERR_MEMORY;
        if (span.high <= s->have[author]) continue;
        note_claim(c, s, author, s->have[author], span);
        claimed(n, p, s, c, author);
    }
    if (c->leaving) timer_arm(n, TIMER_HAVE, channel, 0, n->now);
    return OK;
}

/* What is here of from..from + count - 1: of the contiguous part, or of the island. */
static bool held_part(const struct author *a, const struct message *m, struct request *out)
{
    uint64_t last = (uint64_t)m->from + m->count - 1;
    uint32_t from = m->from, upto = last < ENTRY_SEQ_MAX ? (uint32_t)last : ENTRY_SEQ_MAX;
    const struct island *i = a->island && a->island->shown ? a->island : NULL;
    bool above = i && (m->down ? upto >= i->down.have : from > a->have);
    if (above && from < i->down.have) from = i->down.have;
    uint32_t have = above ? i->up.have : a->have;
    if (upto > have) upto = have;
    if (from > upto) return false;
    out->from = from;
    out->upto = upto;
    out->down = m->down;
    return true;
}

static int on_want(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    uint32_t author = s && s->active ? author_find(c, m->author) : NONE;
    struct request wanted = {.author = author};
    if (author == NONE || !held_part(&c->authors[author], m, &wanted)) {
        pipe_glitch(n, p);
        return OK;
    }
    int rc = serve_add(n, p, s, wanted);
    if (rc != ERR_FULL) return rc;
    pipe_glitch(n, p);
    return OK;
}

/* In a channel on demand: an entry that is new. Those before it, which may be, too, are asked for, and the
 * JOIN without which it cannot be taken. */
static void on_pushed(struct node *n, uint32_t channel, uint32_t author, bool apart)
{
    struct author *a = &n->channels[channel]->authors[author];
    a->moved = true;
    if (a->tip == 0) a->news = true;
    if (a->tip == 0 || (a->island && !apart)) want_more(n, channel, author, false);
}

static int on_entry(struct node *n, struct pipe *p, const struct message *m)
{
    struct entry e;
    uint32_t channel, author;
    int rc = entry_parse(m->wire, &e);
    if (rc < 0) return rc;
    struct channel *c = channel_find(n, e.channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active) {
        pipe_glitch(n, p);
        return OK;
    }
    if (c->leaving) return OK;
    p->entry_at = n->now;
    author = author_find(c, e.author);
    uint32_t before = author == NONE ? 0 : feed_top(&c->authors[author]);
    bool known = author != NONE && feed_mark(&c->authors[author], (uint32_t)e.seq);
    bool apart = author != NONE && c->authors[author].island;
    rc = feed_receive(n, channel, m->wire, p);
    if (rc < 0) return rc;
    author = author_find(c, e.author);
    bool fits = author != NONE && feed_mark(&c->authors[author], (uint32_t)e.seq);
    if (known || !fits) limits_useless(n, p, m->wire.len);
    if (author == NONE || p->closing) return OK;
    if (feed_top(&c->authors[author]) > before) {
        c->authors[author].via_link = p->slot;
        c->authors[author].via_serial = p->serial;
    }
    if (fits) gossip_entry(n, p, c, author, (uint32_t)e.seq, known);
    if (c->on_demand && !history_takes(n, c, p->link.device))
        on_pushed(n, channel, author, apart);
    else if (!fits)
        c->authors[author].moved = true; /* the answer has a hole */
    want_got(n, p, channel, author);
    return OK;
}

int sync_message(struct node *n, struct pipe *p, struct message *m)
{
    switch (m->kind) {
    case MESSAGE_CARRY: return on_carry(n, p, m);
    case MESSAGE_HAVE: return on_have(n, p, m);
    case MESSAGE_WANT: return on_want(n, p, m);
    case MESSAGE_HOLD: return on_hold(n, p, m);
    case MESSAGE_RECEIPT: return ledger_receive(n, p, m);
    case MESSAGE_DIGEST: return digest_receive(n, p, m);
    case MESSAGE_RECENT: return recent_begin(n, p, m);
    case MESSAGE_RECENT_END: history_on_end(n, p, m); return OK;
    case MESSAGE_ENTRY: return on_entry(n, p, m);
    case MESSAGE_PRUNE:
    case MESSAGE_GRAFT: gossip_message(n, p, m); return OK;
    case MESSAGE_SHUFFLE: view_on_shuffle(n, p, m); return OK;
    case MESSAGE_SIGNAL: signal_receive(n, p, m); return OK;
    case MESSAGE_INTRODUCE: return introduce_message(n, p, m);
    default: return OK;
    }
}

/* --- changes on this side --- */

/* The pause is over: what changed goes to every member. */
static void have_changed(struct node *n, struct channel *c)
{
    c->have_at = NEVER;
    c->have_last = n->now;
    for (uint32_t i = 0; i < c->members_len; i++)
        pipe_wake(n, n->pipes[c->members[i]]);
}

void sync_grew(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    if (c->have_at == NEVER) {
        c->have_at = gossip_have_at(n, c);
        if (c->have_at <= n->now)
            have_changed(n, c); /* quiet until now: at once */
        else
            timer_arm(n, TIMER_HAVE, channel, 0, c->have_at);
    }
    if (author != c->self) return;
    for (uint32_t i = 0; i < c->members_len; i++) {
        struct share *s = share_of(n->pipes[c->members[i]], channel);
        if (s->push > 0) pipe_wake(n, n->pipes[c->members[i]]);
    }
}

void sync_lost(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    want_cancel(n, channel, a);
    channel_set_behind(n, c, author, true);
    a->news = c->on_demand;
    a->settled = 0;
    a->moved = true;
    a->want_at = n->now + STORE_RETRY_US;
    timer_arm(n, TIMER_AUTHOR, channel, author, a->want_at);
}

void sync_tick(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    if (c->leaving && c->carried) sync_leave(n, channel);
    if (c->have_at <= n->now)
        have_changed(n, c);
    else
        timer_arm(n, TIMER_HAVE, channel, 0, c->have_at);
}
