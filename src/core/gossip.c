#include "core/gossip.h"

#include <string.h>

#include "core/state.h"

#define LAZY_US (100 * MILLISECONDS)  /* and up to as much again: have-vectors follow the entries */
#define GRACE_US (300 * MILLISECONDS) /* and up to half of it again */
#define GRID_US (20 * MILLISECONDS)
#define SWAP_US (150 * MILLISECONDS) /* an announcement that was faster by so much shows a better way */
#define SWAP_PAUSE_US (2 * SECONDS)
#define GRAFT_PAUSE_US (500 * MILLISECONDS)
#define PRUNE_PAUSE_US (500 * MILLISECONDS)
#define REPLICA_US (10 * SECONDS)
#define BROUGHT_MAX 64

void gossip_free(struct node *n, struct channel *c)
{
    alloc_free(n->allocator, c->gossip.news, GOSSIP_NEWS_MAX * sizeof *c->gossip.news);
    c->gossip.news = NULL;
}

static bool to_replica(const struct node *n, const struct pipe *p)
{
    return p->link.role == ROLE_REPLICA || n->config.role == ROLE_REPLICA;
}

static uint32_t count_eager(const struct node *n, const struct channel *c)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->members_len; i++)
        count += share_of(n->pipes[c->members[i]], c->index)->gossip.eager;
    return count;
}

/* --- eager and lazy --- */

static bool say(struct node *n, struct pipe *p, const struct channel *c, enum message_kind kind)
{
    uint8_t plain[48];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_push(&w, kind, c->id);
    return pipe_control(n, p, writer_slice(&w));
}

/* From now on: what the other side lacks already it asks for. */
static void set_eager(const struct channel *c, struct share *s)
{
    if (s->gossip.eager) return;
    s->gossip.eager = true;
    s->gossip.news_at = c->gossip.news_end;
    if (s->push > 0 && c->self != NONE) s->push = c->authors[c->self].have + 1;
}

static void graft(struct node *n, struct pipe *p, struct channel *c)
{
    PROBE(n, GRAFT);
    if (say(n, p, c, MESSAGE_GRAFT)) set_eager(c, share_of(p, c->index));
}

static void prune(struct node *n, struct pipe *p, struct channel *c, struct share *s)
{
    PROBE(n, PRUNE);
    s->gossip.eager = false;
    s->gossip.prune_at = n->now + PRUNE_PAUSE_US;
    (void)say(n, p, c, MESSAGE_PRUNE);
}

/* A lazy link to a person, a random one; with none at all, the replica must do. NULL: none. */
static struct pipe *choose_lazy(struct node *n, const struct channel *c)
{
    uint32_t first = c->members_len > 0 ? (uint32_t)random_below(&n->random, c->members_len) : 0;
    struct pipe *replica = NULL;
    bool persons = false;
    for (uint32_t i = 0; i < c->members_len; i++) {
        struct pipe *p = n->pipes[c->members[(first + i) % c->members_len]];
        bool person = p->link.role == ROLE_PERSON;
        persons = persons || person;
        if (share_of(p, c->index)->gossip.eager) continue;
        if (person) return p;
        replica = p;
    }
    return persons ? NULL : replica;
}

static void ask_links(struct node *n, struct channel *c)
{
    while (view_large(c) && n->config.role == ROLE_PERSON && c->gossip.start > 0) {
        struct pipe *p = choose_lazy(n, c);
        if (!p) return;
        graft(n, p, c);
        if (p->link.role == ROLE_REPLICA) return; /* for the time being */
        c->gossip.start--;
    }
}

void gossip_linked(struct node *n, struct pipe *p, struct channel *c, struct share *s)
{
    s->gossip = (struct gossip_link){.news_at = c->gossip.news_end};
    for (uint32_t i = 0; p->link.role == ROLE_PERSON && i < c->members_len; i++) {
        struct pipe *q = n->pipes[c->members[i]];
        struct share *t = share_of(q, c->index);
        if (q->link.role == ROLE_REPLICA && t->gossip.eager) prune(n, q, c, t);
    }
    ask_links(n, c);
}

void gossip_unlinked(struct node *n, struct channel *c, const struct share *s)
{
    uint32_t all = 0;
    if (!s->gossip.eager || n->config.role == ROLE_REPLICA) return;
    for (uint32_t i = 0; i < c->members_len; i++)
        all += share_of(n->pipes[c->members[i]], c->index)->gossip.brought;
    /* That was where most entries came from: another way is needed before the next one. */
    if (c->gossip.start == 0 && (s->gossip.brought >= all || count_eager(n, c) == 0)) c->gossip.start = 1;
    ask_links(n, c);
}

void gossip_resized(struct node *n, struct channel *c)
{
    bool large = view_large(c);
    c->gossip.start = large ? GOSSIP_START : 0;
    memset(c->gossip.missing, 0, sizeof c->gossip.missing);
    for (uint32_t i = 0; i < c->members_len; i++) {
        struct share *s = share_of(n->pipes[c->members[i]], c->index);
        if (!large && s->push > 0 && c->self != NONE) s->push = c->authors[c->self].have + 1;
    }
    ask_links(n, c);
}

void gossip_message(struct node *n, struct pipe *p, const struct message *m)
{
    uint32_t channel;
    struct channel *c = channel_find(n, m->channel, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active) {
        pipe_glitch(n, p);
        return;
    }
    if (m->kind == MESSAGE_PRUNE)
        s->gossip.eager = false;
    else if (n->config.role == ROLE_PERSON && count_eager(n, c) >= GOSSIP_EAGER_MAX && !s->gossip.eager) {
        PROBE(n, GRAFT_REFUSED);
        prune(n, p, c, s);
    } else
        set_eager(c, s);
}

/* --- entries --- */

void gossip_news(struct node *n, struct channel *c, uint32_t author, uint32_t seq)
{
    struct gossip *g = &c->gossip;
    bool wanted = false;
    if (author == c->self) return; /* serve.c pushes these */
    for (uint32_t i = 0; i < c->members_len; i++) {
        struct pipe *p = n->pipes[c->members[i]];
        if (!share_of(p, c->index)->gossip.eager) continue;
        wanted = true;
        pipe_wake(n, p);
    }
    if (!wanted) return;
    if (!g->news) g->news = alloc_array(n->allocator, GOSSIP_NEWS_MAX, sizeof *g->news);
    if (!g->news) return; /* they hear of it and ask */
    g->news[g->news_end++ % GOSSIP_NEWS_MAX] = (struct news){author, seq, c->authors[author].via_serial};
}

bool gossip_has_next(const struct channel *c, const struct share *s)
{
    return s->gossip.eager && c->gossip.news && s->gossip.news_at < c->gossip.news_end;
}

bool gossip_next(const struct pipe *p, const struct channel *c, struct share *s, uint32_t *out_author,
                 uint32_t *out_seq)
{
    const struct gossip *g = &c->gossip;
    while (gossip_has_next(c, s)) {
        if (g->news_end - s->gossip.news_at > GOSSIP_NEWS_MAX)
            s->gossip.news_at = g->news_end - GOSSIP_NEWS_MAX;
        const struct news *news = &g->news[s->gossip.news_at++ % GOSSIP_NEWS_MAX];
        if (news->from == p->serial || (news->author < s->have_cap && s->have[news->author] >= news->seq))
            continue;
        if (memcmp(c->authors[news->author].device, p->link.device, ID_BYTES) == 0) continue;
        *out_author = news->author;
        *out_seq = news->seq;
        return true;
    }
    return false;
}

bool gossip_pushes_own(const struct channel *c, const struct pipe *p, const struct share *s)
{
    return !view_large(c) || s->gossip.eager || p->link.role == ROLE_REPLICA;
}

static struct missing *find_missing(struct gossip *g, uint32_t author, uint32_t seq)
{
    for (uint32_t i = 0; i < GOSSIP_MISSING_MAX; i++)
        if (g->missing[i].seq > 0 && g->missing[i].seq >= seq && g->missing[i].author == author)
            return &g->missing[i];
    return NULL;
}

void gossip_announced(struct node *n, struct pipe *p, struct channel *c, uint32_t author, uint32_t seq)
{
    struct gossip *g = &c->gossip;
    if (!view_large(c) || n->config.role == ROLE_REPLICA) return;
    if (find_missing(g, author, seq) || count_eager(n, c) == 0) return;
    /* On a coarse grid: many that come due one by one would be many ticks. */
    usec due = n->now + GRACE_US + random_below(&n->random, GRACE_US / 2);
    g->missing[g->missing_next++ % GOSSIP_MISSING_MAX] =
        (struct missing){.author = author,
                         .seq = seq,
                         .slot = p->slot,
                         .serial = p->serial,
                         .since = n->now,
                         .due = due - due % GRID_US + GRID_US};
}

usec gossip_expected(const struct channel *c, uint32_t author)
{
    usec due = 0;
    for (uint32_t i = 0; i < GOSSIP_MISSING_MAX; i++) {
        const struct missing *m = &c->gossip.missing[i];
        if (m->seq > feed_top(&c->authors[author]) && m->author == author && (due == 0 || m->due < due))
            due = m->due;
    }
    return due;
}

void gossip_missed(struct node *n, struct pipe *p, struct channel *c, uint32_t author)
{
    struct missing *m = find_missing(&c->gossip, author, feed_top(&c->authors[author]) + 1);
    if (!m) return;
    m->seq = 0;
    if (n->now < c->gossip.graft_at || p->link.role == ROLE_REPLICA) return;
    if (share_of(p, c->index)->gossip.eager) return;
    c->gossip.graft_at = n->now + GRAFT_PAUSE_US;
    graft(n, p, c);
}

/* The entry was announced long before it came: the way of the announcement is tried. Of both ways the slower
 * one brings the next entry in vain and is pruned. */
static void consider_swap(struct node *n, struct channel *c, const struct pipe *p, struct missing *m)
{
    struct pipe *q = m->slot < n->pipes_cap ? n->pipes[m->slot] : NULL;
    bool faster = n->now >= m->since + SWAP_US && n->now >= c->gossip.swap_at;
    m->seq = 0;
    if (!faster || !q || q == p || q->serial != m->serial || q->closing || to_replica(n, q)) return;
    const struct share *s = share_of(q, c->index);
    if (!s || !s->active || s->gossip.eager) return;
    PROBE(n, SWAP);
    c->gossip.swap_at = n->now + SWAP_PAUSE_US + random_below(&n->random, SWAP_PAUSE_US);
    graft(n, q, c);
}

static void arrived_first(struct node *n, struct pipe *p, struct channel *c, struct share *s, uint32_t author,
                          uint32_t seq)
{
    if (!view_large(c) || n->config.role == ROLE_REPLICA) return;
    if (++s->gossip.brought > BROUGHT_MAX) {
        for (uint32_t i = 0; i < c->members_len; i++)
            share_of(n->pipes[c->members[i]], c->index)->gossip.brought /= 2;
    }
    struct missing *m = find_missing(&c->gossip, author, seq);
    if (m && m->seq == seq) consider_swap(n, c, p, m);
}

void gossip_entry(struct node *n, struct pipe *p, struct channel *c, uint32_t author, uint32_t seq,
                  bool known)
{
    struct share *s = share_of(p, c->index);
    n->traffic.entries++;
    if (!known) {
        arrived_first(n, p, c, s, author, seq);
        return;
    }
    n->traffic.doubles++;
    /* It was asked for, and came another way. */
    if (n->config.role == ROLE_REPLICA || s->wants > 0 || history_asking(c)) return;
    if (!view_large(c) && !s->gossip.eager) return;
    if (n->now < s->gossip.prune_at || (s->gossip.eager && count_eager(n, c) == 1)) return;
    prune(n, p, c, s);
}

/* --- announcements --- */

usec gossip_have_at(struct node *n, const struct channel *c)
{
    if (!view_large(c)) return c->have_last + HAVE_PAUSE_US;
    return n->now + LAZY_US + random_below(&n->random, LAZY_US);
}

/* A replica hears from all members of a large channel, and they hear from it, now and then only. */
bool gossip_tells(const struct node *n, const struct pipe *p, const struct channel *c, const struct share *s)
{
    if (!view_large(c) || !to_replica(n, p) || n->now >= s->gossip.have_at) return true;
    uint32_t author = author_find(c, p->link.device);
    return author != NONE && c->authors[author].version > s->version_sent;
}

void gossip_told(struct node *n, const struct pipe *p, const struct channel *c, struct share *s)
{
    if (!view_large(c) || !to_replica(n, p)) return;
    s->gossip.have_at = (n->now + REPLICA_US) / SECONDS * SECONDS + random_below(&n->random, 10) * SECONDS;
    timer_arm(n, TIMER_GOSSIP, c->index, 0, s->gossip.have_at);
}

bool gossip_tells_of(const struct node *n, const struct pipe *p, const struct channel *c,
                     const struct share *s, uint32_t author)
{
    const struct author *a = &c->authors[author];
    if (!view_large(c) || memcmp(a->device, p->link.device, ID_BYTES) == 0) return true;
    if (n->config.role == ROLE_PERSON && a->via_serial == p->serial) return false;
    return author >= s->have_cap || s->have[author] < a->have;
}

void gossip_tick(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    for (uint32_t i = 0; i < c->members_len; i++) {
        struct pipe *p = n->pipes[c->members[i]];
        struct share *s = share_of(p, channel);
        if (!to_replica(n, p)) continue;
        if (s->gossip.have_at > n->now) /* also of those to whom nothing is to be told yet */
            timer_arm(n, TIMER_GOSSIP, channel, 0, s->gossip.have_at);
        else if (s->version_sent < c->version)
            pipe_wake(n, p);
    }
}
