/* sync.c - comparing have-vectors and exchanging what is missing, channel by channel, link by link.
 *
 * An author's own new entries are pushed to the links that are level with him; everything else is asked for
 * by the one who lacks it. So an entry crosses a link once, and a lost answer is only asked for again. */
#include <string.h>

#include "core/state.h"

struct share *share_of(const struct pipe *p, uint32_t channel)
{
    return channel < p->shares_len ? p->shares[channel] : NULL;
}

static int share_get(struct node *n, struct pipe *p, uint32_t channel, struct share **out)
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
    alloc_free(n->allocator, s->requests, REQUESTS_MAX * sizeof *s->requests);
    alloc_free(n->allocator, s, sizeof *s);
    p->shares[channel] = NULL;
}

static uint32_t claim(const struct share *s, uint32_t author)
{
    if (!s || author >= s->have_cap) return 0;
    uint32_t seq = s->have[author];
    return s->doubt && s->doubt[author] == seq ? 0 : seq;
}

/* --- asking --- */

static void want_clear(struct node *n, uint32_t channel, struct author *a)
{
    if (a->want_link == NONE) return;
    struct pipe *p = n->pipes[a->want_link];
    struct share *s = p ? share_of(p, channel) : NULL;
    if (s && s->wants > 0) s->wants--;
    a->want_link = NONE;
}

/* The member to ask: one that claims more and has the fewest questions open. */
static uint32_t choose_member(struct node *n, uint32_t channel, uint32_t author, uint32_t *out_claim)
{
    struct channel *c = n->channels[channel];
    uint32_t best = NONE, least = WANTS_MAX;
    for (uint32_t i = 0; i < c->members_len; i++) {
        const struct share *s = share_of(n->pipes[c->members[i]], channel);
        uint32_t seq = claim(s, author);
        if (seq <= c->authors[author].tip || s->wants >= least) continue;
        best = c->members[i];
        least = s->wants;
        *out_claim = seq;
    }
    return best;
}

static bool anyone_claims_more(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    for (uint32_t i = 0; i < c->members_len; i++) {
        if (claim(share_of(n->pipes[c->members[i]], channel), author) > c->authors[author].tip) return true;
    }
    return false;
}

/* Asks for what is missing of this author, if it is time; true while it stays behind. */
static bool pursue(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    uint32_t seq = 0;
    if (a->want_link != NONE) return true;
    if (!anyone_claims_more(n, channel, author)) {
        channel_set_behind(n, c, author, false);
        return false;
    }
    if (n->now < a->want_at) {
        node_timer(n, a->want_at);
        return true;
    }
    uint32_t member = choose_member(n, channel, author, &seq);
    if (member == NONE) { /* every one has its hands full */
        a->want_at = n->now + WANT_GRACE_US;
        node_timer(n, a->want_at);
        return true;
    }
    uint32_t count = seq - a->tip < MESSAGE_WANT_COUNT_MAX ? seq - a->tip : MESSAGE_WANT_COUNT_MAX;
    struct pipe *p = n->pipes[member];
    uint8_t plain[128];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_want(&w, c->id, a->device, a->tip + 1, count);
    a->want_at = n->now + WANT_PATIENCE_US;
    node_timer(n, a->want_at);
    if (!pipe_control(n, p, writer_slice(&w))) return true;
    a->want_link = member;
    a->want_since = n->now;
    a->want_upto = a->tip + count;
    share_of(p, channel)->wants++;
    return true;
}

/* The author's own device is linked to us and level: it will push by itself. */
static bool pushes_itself(struct node *n, struct channel *c, uint32_t channel, uint32_t author)
{
    for (uint32_t i = 0; i < c->members_len; i++) {
        struct pipe *p = n->pipes[c->members[i]];
        if (memcmp(p->link.device, c->authors[author].device, ID_BYTES) == 0 && share_of(p, channel))
            return true;
    }
    return false;
}

static void claims_more(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    if (c->leaving) return;
    if (a->behind_at == NONE) {
        channel_set_behind(n, c, author, true);
        a->want_failures = 0;
        a->want_at = a->tip > 0 && pushes_itself(n, c, channel, author) ? n->now + WANT_GRACE_US : n->now;
    }
    (void)pursue(n, channel, author);
}

static void doubts_end_at(struct node *n, struct share *s)
{
    s->doubt_pause = s->doubt_pause == 0 ? DOUBT_US : s->doubt_pause * 2;
    if (s->doubt_pause > DOUBT_MAX_US) s->doubt_pause = DOUBT_MAX_US;
    s->doubt_until = n->now + s->doubt_pause;
    node_timer(n, s->doubt_until);
}

/* The claim is set aside: who cannot make it good must not stop us from asking others. But it may only have
 * been slow, so a few are tried again later, with growing pauses, and all of them soon once one turns out to
 * be true. */
static void doubt(struct node *n, struct share *s, uint32_t author)
{
    if (!s->doubt) s->doubt = alloc_array(n->allocator, s->have_cap, sizeof *s->doubt);
    if (!s->doubt || author >= s->have_cap) return;
    s->doubt[author] = s->have[author];
    if (s->doubt_until == 0) doubts_end_at(n, s);
}

/* Nothing came of what was asked for. A link that is busy with other entries gets more time. */
static void want_timed_out(struct node *n, uint32_t channel, uint32_t author)
{
    struct author *a = &n->channels[channel]->authors[author];
    struct pipe *p = n->pipes[a->want_link];
    struct share *s = p ? share_of(p, channel) : NULL;
    if (s && p->entry_at + WANT_PATIENCE_US > n->now && a->want_since + WANT_PATIENCE_MAX_US > n->now) {
        a->want_at = p->entry_at + WANT_PATIENCE_US;
        node_timer(n, a->want_at);
        return;
    }
    want_clear(n, channel, a);
    if (s && ++a->want_failures >= 2) {
        doubt(n, s, author);
        a->want_failures = 0;
    }
    a->want_at = n->now;
    if (!pursue(n, channel, author)) author_drop_phantom(n, n->channels[channel], author);
}

/* --- carrying --- */

static bool may_carry(const struct pipe *p, const struct channel *c)
{
    if (memcmp(p->link.device, c->authority, ID_BYTES) == 0) return true;
    return p->certified && memcmp(p->authority, c->authority, ID_BYTES) == 0;
}

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
    if (!s || s->active || !s->ours || !s->theirs || !may_carry(p, c)) return OK;
    int rc =
        grow(n->allocator, (void **)&c->members, &c->members_cap, c->members_len + 1, sizeof *c->members);
    if (rc < 0) return rc;
    c->members[c->members_len++] = p->slot;
    s->active = s->whole = true;
    s->whole_started = false;
    s->cursor = 0;
    s->version_sent = c->version;
    pipe_wake(n, p);
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
    for (uint32_t i = 0; i < c->authors_len; i++) {
        struct author *a = &c->authors[i];
        if (!a->used) continue;
        if (a->want_link == slot) {
            want_clear(n, channel, a);
            a->want_at = n->now;
            node_timer(n, n->now);
        }
        if (i < s->have_cap) s->have[i] = 0;
        if (a->tip == 0) author_drop_phantom(n, c, i);
    }
}

int sync_carry(struct node *n, struct pipe *p, uint32_t channel, bool on)
{
    struct channel *c = n->channels[channel];
    struct share *s;
    uint8_t plain[64];
    if (on && !may_carry(p, c)) return OK; /* not a member by this channel's authority */
    int rc = share_get(n, p, channel, &s);
    if (rc < 0) return rc;
    struct writer w = writer_of(plain, sizeof plain);
    message_write_carry(&w, c->id, on);
    if (!pipe_control(n, p, writer_slice(&w))) return ERR_FULL;
    s->ours = on;
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

/* Some other device acknowledges each entry that is held here: the own ones, and those that perhaps only this
 * device has from somebody who left before. */
static bool all_kept(const struct node *n, uint32_t channel)
{
    const struct channel *c = n->channels[channel];
    for (uint32_t i = 0; i < c->authors_len; i++) {
        const struct author *a = &c->authors[i];
        bool kept = a->have == 0;
        for (uint32_t k = 0; k < c->members_len && !kept; k++) {
            const struct share *s = share_of(n->pipes[c->members[k]], channel);
            kept = i < s->have_cap && s->have[i] >= a->have;
        }
        if (!kept || (i == c->self && a->have < a->tip)) return false;
    }
    return true;
}

void sync_leave(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    while (c->behind_len > 0)
        channel_set_behind(n, c, c->behind[0], false);
    if (!all_kept(n, channel)) return;
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
    p->shares_len = 0;
    for (uint32_t i = 0; i < SERVE_WINDOW; i++) {
        blob_release(n->allocator, p->window[i].blob);
        p->window[i].blob = NULL;
    }
}

/* --- what the other side says --- */

static int on_carry(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    struct share *s;
    if (!channel_find(n, m->channel, &channel)) return OK; /* not one of ours (yet) */
    int rc = share_get(n, p, channel, &s);
    if (rc < 0) return rc;
    bool news = m->on && !s->theirs;
    s->theirs = m->on;
    if (!m->on) {
        deactivate(n, p, channel);
        return OK;
    }
    /* Ours is said again: the first may have come before the channel was one of theirs. */
    if (news && n->channels[channel]->carried) return sync_carry(n, p, channel, true);
    return activate(n, p, channel);
}

static int share_room(struct node *n, struct share *s, uint32_t authors)
{
    uint32_t before = s->have_cap, cap = before;
    if (authors <= before) return OK;
    int rc = grow(n->allocator, (void **)&s->have, &cap, authors, sizeof *s->have);
    if (rc < 0) return rc;
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
        if (s->have[i] == 0) continue;
        s->have[i] = 0;
        author_drop_phantom(n, c, i);
    }
}

bool sync_make_room(struct node *n, struct channel *c)
{
    uint32_t channel;
    if (channel_find(n, c->id, &channel) != c) return false;
    for (uint32_t i = 0; i < c->authors_len; i++) {
        struct author *a = &c->authors[i];
        if (!a->used || a->tip > 0 || a->ops_head != NONE || a->want_link != NONE || i == c->self) continue;
        for (uint32_t k = 0; k < c->members_len; k++) {
            struct share *s = share_of(n->pipes[c->members[k]], channel);
            if (i < s->have_cap) s->have[i] = 0;
        }
        author_drop_phantom(n, c, i);
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
        s->phantoms = 0;
        for (uint32_t i = 0; i < c->authors_len && i < s->have_cap; i++) {
            s->phantoms += c->authors[i].used && c->authors[i].tip == 0 && s->have[i] > 0;
        }
    }
    if (s->phantoms >= PHANTOMS_MAX) {
        pipe_glitch(n, p);
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
    if (s->push == 0 && seq + PUSH_LAG >= self->have) s->push = seq + 1;
    s->delivered_due = true;
    pipe_enqueue(n, p, QUEUE_DELIVERED);
    if (s->push > 0 && s->push <= self->have) pipe_wake(n, p);
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
    if (m->flags & HAVE_FIRST) forget_claims(n, c, s);
    while (message_next_pair(m, &device, &seq)) {
        uint32_t author = named_author(n, p, s, c, device);
        if (p->closing) return OK; /* one oddity too many: the share is gone */
        if (author == NONE) continue;
        int rc = share_room(n, s, author + 1);
        if (rc < 0) return rc;
        bool more = seq > s->have[author];
        s->have[author] = seq;
        if (author == c->self && more && seq > 0) own_acknowledged(n, p, s, &c->authors[author], seq);
        if (claim(s, author) > c->authors[author].tip) claims_more(n, channel, author);
    }
    if (c->leaving) node_timer(n, n->now); /* perhaps that was all */
    if ((m->flags & HAVE_LAST) && c->self != NONE && c->authors[c->self].have == 0 && s->push == 0)
        s->push = 1;
    return OK;
}

/* Queues entries to be served; what is on its way already is not queued again. ERR_MEMORY, ERR_FULL. */
static int request_add(struct node *n, struct pipe *p, struct share *s, struct request wanted)
{
    if (!s->requests) s->requests = alloc_array(n->allocator, REQUESTS_MAX, sizeof *s->requests);
    if (!s->requests) return ERR_MEMORY;
    for (uint32_t i = 0; i < s->requests_len; i++) {
        const struct request *r = &s->requests[(s->requests_head + i) % REQUESTS_MAX];
        if (r->author == wanted.author && r->from <= wanted.from && wanted.from <= r->upto) {
            wanted.from = r->upto + 1;
        }
    }
    if (wanted.from > wanted.upto) return OK;
    if (s->requests_len == REQUESTS_MAX) return ERR_FULL;
    s->requests[(s->requests_head + s->requests_len++) % REQUESTS_MAX] = wanted;
    pipe_wake(n, p);
    return OK;
}

static int on_want(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    uint32_t author = s && s->active ? author_find(c, m->author) : NONE;
    if (author == NONE || m->from > c->authors[author].have) {
        pipe_glitch(n, p);
        return OK;
    }
    uint32_t have = c->authors[author].have;
    uint32_t upto = have - m->from < m->count ? have : m->from + m->count - 1;
    int rc = request_add(n, p, s, (struct request){author, m->from, upto});
    if (rc != ERR_FULL) return rc;
    pipe_glitch(n, p);
    return OK;
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
    rc = feed_receive(n, channel, m->wire, p);
    if (rc < 0) return rc;
    author = author_find(c, e.author);
    if (author == NONE) return OK;
    if (s->doubt_until > n->now + DOUBT_SOON_US) { /* slow, but true */
        s->doubt_pause = 0;
        s->doubt_until = n->now + DOUBT_SOON_US;
        node_timer(n, s->doubt_until);
    }
    struct author *a = &c->authors[author];
    if (a->want_link != NONE && n->pipes[a->want_link] == p) {
        a->want_at = n->now + WANT_PATIENCE_US;
        if (a->tip >= a->want_upto) {
            want_clear(n, channel, a);
            a->want_failures = 0;
            a->want_at = n->now;
        }
    }
    if (a->behind_at != NONE) (void)pursue(n, channel, author);
    return OK;
}

int sync_message(struct node *n, struct pipe *p, struct message *m)
{
    switch (m->kind) {
    case MESSAGE_CARRY: return on_carry(n, p, m);
    case MESSAGE_HAVE: return on_have(n, p, m);
    case MESSAGE_WANT: return on_want(n, p, m);
    case MESSAGE_ENTRY: return on_entry(n, p, m);
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
        c->have_at = c->have_last + HAVE_PAUSE_US;
        if (c->have_at <= n->now)
            have_changed(n, c); /* quiet until now: at once */
        else
            node_timer(n, c->have_at);
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
    want_clear(n, channel, a);
    channel_set_behind(n, c, author, true);
    a->want_at = n->now + STORE_RETRY_US;
    node_timer(n, a->want_at);
}

/* Some of what was set aside is believed again when its time is over. */
static void end_doubts(struct node *n, uint32_t channel, struct share *s)
{
    struct channel *c = n->channels[channel];
    uint32_t tried = 0;
    if (s->doubt_until == 0) return;
    if (s->doubt_until > n->now) {
        node_timer(n, s->doubt_until);
        return;
    }
    s->doubt_until = 0;
    for (uint32_t k = 0; s->doubt && k < s->have_cap && tried < DOUBT_PROBES; k++) {
        uint32_t i = (s->doubt_next + k) % s->have_cap;
        if (s->doubt[i] == 0 || i >= c->authors_len) continue;
        if (c->authors[i].forked) continue; /* that link holds the other branch, for ever */
        s->doubt[i] = 0;
        if (claim(s, i) <= c->authors[i].tip) continue;
        claims_more(n, channel, i);
        s->doubt_next = i + 1;
        tried++;
    }
    if (tried == DOUBT_PROBES) doubts_end_at(n, s); /* there may be more */
}

void sync_tick(struct node *n)
{
    for (uint32_t i = 0; i < n->channels_len; i++) {
        struct channel *c = n->channels[i];
        if (c->leaving && c->carried) sync_leave(n, i);
        if (c->have_at <= n->now)
            have_changed(n, c);
        else
            node_timer(n, c->have_at);
        for (uint32_t k = 0; k < c->members_len; k++)
            end_doubts(n, i, share_of(n->pipes[c->members[k]], i));
        for (uint32_t k = c->behind_len; k-- > 0;) {
            if (k >= c->behind_len) continue; /* the list shrank meanwhile */
            uint32_t author = c->behind[k];
            struct author *a = &c->authors[author];
            if (a->want_at > n->now)
                node_timer(n, a->want_at);
            else if (a->want_link != NONE)
                want_timed_out(n, i, author);
            else if (!pursue(n, i, author))
                author_drop_phantom(n, c, author);
        }
    }
}

/* --- output --- */

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
    struct blob *blob = feed_cached(n, channel, c->self, s->push);
    if (!blob) { /* a long burst: the rest comes from the disk; without room the other side will ask for it */
        struct request rest = {c->self, s->push, c->authors[c->self].have};
        s->push = 0;
        (void)!request_add(n, p, s, rest);
        return SLICE_EMPTY;
    }
    s->push++;
    return entry_message(n, blob);
}

static bool have_due(const struct channel *c, const struct share *s)
{
    return s->whole || (c->have_at == NEVER && s->version_sent < c->version);
}

static slice next_whole(struct node *n, struct channel *c, struct share *s)
{
    uint32_t pairs = 0, from = s->cursor, to = s->cursor;
    for (; to < c->authors_len && pairs < MESSAGE_HAVE_PAIRS_MAX; to++)
        pairs += c->authors[to].have > 0;
    uint64_t flags = (s->whole_started ? 0 : HAVE_FIRST) | (to == c->authors_len ? HAVE_LAST : 0);
    struct writer w = writer_of(n->plain, sizeof n->plain);
    message_write_have(&w, c->id, flags, pairs);
    for (uint32_t i = from; i < to; i++) {
        if (c->authors[i].have > 0) message_write_pair(&w, c->authors[i].device, c->authors[i].have);
    }
    s->cursor = to;
    s->whole_started = true;
    s->whole = (flags & HAVE_LAST) == 0;
    return w.failed ? SLICE_EMPTY : writer_slice(&w);
}

/* What changed since the last HAVE on this link, oldest change first, so that a cut-off piece can go on. */
static slice next_changes(struct node *n, struct channel *c, struct share *s)
{
    uint32_t from = NONE, pairs = 0;
    for (uint32_t i = c->newest; i != NONE && c->authors[i].version > s->version_sent;
         i = c->authors[i].older)
        from = i;
    for (uint32_t i = from; i != NONE && pairs < MESSAGE_HAVE_PAIRS_MAX; i = c->authors[i].newer)
        pairs++;
    struct writer w = writer_of(n->plain, sizeof n->plain);
    message_write_have(&w, c->id, 0, pairs);
    for (uint32_t i = from; i != NONE && pairs > 0; i = c->authors[i].newer, pairs--) {
        message_write_pair(&w, c->authors[i].device, c->authors[i].have);
        s->version_sent = c->authors[i].version;
    }
    return w.failed || from == NONE ? SLICE_EMPTY : writer_slice(&w);
}

void sync_read_done(struct node *n, struct op *op, int result, slice record)
{
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
            }
            pipe_wake(n, p);
        }
    }
    op_free(n, op);
}

/* Takes the next wanted entry into the window: from memory, or by a READ. False when there is none. */
static bool serve_one(struct node *n, struct pipe *p)
{
    for (uint32_t tried = 0; tried < p->shares_len; tried++) {
        uint32_t channel = (p->serve_channel + tried) % p->shares_len;
        struct share *s = p->shares[channel];
        if (!s || !s->active || s->requests_len == 0) continue;
        struct request *r = &s->requests[s->requests_head];
        struct serve *slot = &p->window[(p->window_head + p->window_len) % SERVE_WINDOW];
        *slot = (struct serve){.channel = channel, .author = r->author, .seq = r->from};
        struct blob *blob = feed_cached(n, channel, r->author, r->from);
        if (blob) {
            slot->blob = blob_keep(blob);
        } else {
            struct op *op = op_new(n, OPS_RESERVE);
            if (!op) return false;
            op->channel = channel;
            op->author = r->author;
            op->seq = r->from;
            op->pipe = p->slot;
            op->pipe_serial = p->serial;
            op_enqueue(n, op, OP_READ);
            slot->token = op->token;
        }
        p->window_len++;
        if (r->from++ == r->upto) {
            s->requests_head = (s->requests_head + 1) % REQUESTS_MAX;
            s->requests_len--;
            p->serve_channel = channel + 1;
        }
        return true;
    }
    return false;
}

static slice next_served(struct node *n, struct pipe *p)
{
    for (;;) {
        while (p->window_len < SERVE_WINDOW && serve_one(n, p)) {
        }
        if (p->window_len == 0) return SLICE_EMPTY;
        struct serve *slot = &p->window[p->window_head];
        if (slot->token != 0) return SLICE_EMPTY; /* being read */
        struct blob *blob = slot->blob;
        slot->blob = NULL;
        p->window_head = (p->window_head + 1) % SERVE_WINDOW;
        p->window_len--;
        if (!blob) continue;
        slice message = entry_message(n, blob);
        blob_release(n->allocator, blob);
        return message;
    }
}

slice sync_next(struct node *n, struct pipe *p)
{
    for (uint32_t i = 0; i < p->shares_len; i++) {
        struct share *s = p->shares[i];
        if (!s || !s->active) continue;
        slice message = next_push(n, p, i, s);
        if (message.len == 0 && have_due(n->channels[i], s)) {
            message = s->whole ? next_whole(n, n->channels[i], s) : next_changes(n, n->channels[i], s);
        }
        if (message.len) return message;
    }
    return next_served(n, p);
}

bool sync_has_output(const struct node *n, const struct pipe *p)
{
    for (uint32_t i = 0; i < p->shares_len; i++) {
        const struct share *s = p->shares[i];
        if (!s || !s->active) continue;
        const struct channel *c = n->channels[i];
        if (have_due(c, s) || s->requests_len > 0) return true;
        if (c->self != NONE && s->push > 0 && s->push <= c->authors[c->self].have) return true;
    }
    return p->window_len > 0 && p->window[p->window_head].token == 0;
}
