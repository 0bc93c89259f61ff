/* want.c - asking for what is missing: of whom, when, and what to make of those who do not answer.
 *
 * Missing may be what is above the highest entry that is held, and what lies in the gap below an island. The
 * upper part comes first, upwards; the gap then downwards from the island, so that the newest of it is shown
 * first, or upwards where a link has only the lower part. Authors of whom something is missing stand in
 * channel.behind; each is asked for over one link at a time. */
#include <string.h>

#include "core/state.h"

struct range {
    uint32_t from, upto;
    bool down;
};

uint32_t want_claim(const struct share *s, uint32_t author)
{
    if (!s || author >= s->have_cap) return 0;
    uint32_t seq = s->have[author];
    if (s->hold && s->hold[author].high > seq) seq = s->hold[author].high;
    return s->doubt && s->doubt[author] == seq ? 0 : seq;
}

void want_cancel(struct node *n, uint32_t channel, struct author *a)
{
    if (a->want_link == NONE) return;
    struct pipe *p = n->pipes[a->want_link];
    struct share *s = p ? share_of(p, channel) : NULL;
    if (s && s->wants > 0) s->wants--;
    a->want_link = NONE;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Up from `from`, as far as the link has it. */
static bool range_up(uint32_t have, struct span hold, uint32_t from, uint32_t below, struct range *out)
{
    uint32_t upto = have >= from ? have : hold.low <= from && hold.high >= from ? hold.high : 0;
    if (hold.low <= upto + 1 && hold.high > upto && upto > 0) upto = hold.high;
    if (below > 0) upto = least(upto, below - 1);
    if (upto < from) return false;
    *out = (struct range){from, least(upto, from - 1 + MESSAGE_WANT_COUNT_MAX), false};
    return true;
}

/* Down from `upto`, but not below `least_seq`. */
static bool range_down(uint32_t have, struct span hold, uint32_t upto, uint32_t least_seq, struct range *out)
{
    uint32_t from = have >= upto ? 1 : hold.low <= upto && hold.high >= upto ? hold.low : 0;
    if (from == 0 || upto < least_seq) return false;
    if (hold.low > 0 && hold.low <= have + 1) from = 1;
    if (from < least_seq) from = least_seq;
    if (upto - from >= MESSAGE_WANT_COUNT_MAX) from = upto - MESSAGE_WANT_COUNT_MAX + 1;
    *out = (struct range){from, upto, true};
    return true;
}

/* What this link can give of what is missing of the author, and could be taken now. */
static bool offers(const struct channel *c, const struct share *s, uint32_t author, struct range *out)
{
    const struct author *a = &c->authors[author];
    const struct island *i = a->island;
    uint32_t limit = member_ceiling(c, author);
    uint32_t claim = least(want_claim(s, author), limit), top = feed_top(a);
    if (claim == 0) return false;
    uint32_t have = least(s->have[author], limit);
    struct span hold = s->hold ? s->hold[author] : (struct span){0};
    if (hold.high > limit) hold = hold.low > limit ? (struct span){0} : (struct span){hold.low, limit};
    bool all = !c->on_demand || author == c->self, near = claim - a->tip <= HISTORY_NEAR;
    if (claim > top) {
        if (i || all || (near && (a->tip > 0 || a->news))) {
            if (range_up(have, hold, top + 1, 0, out)) return true;
        } else if (a->news && a->tip == 0) {
            return range_up(have, hold, 1, 2, out); /* his name, then the newest */
        }
        /* Only the newest is there, or wanted: an island begins with its last entry. */
        bool jump = hold.high > 0 || (a->news && !near);
        if (!i && a->tip > 0 && author != c->self && jump)
            return range_down(have, hold, claim,
                              claim > a->tip + HISTORY_NEAR ? claim - HISTORY_NEAR + 1 : a->tip + 2, out);
    }
    if (!i || (c->on_demand && !screen_near(c, a))) return false;
    /* On demand no more than what may belong to the newest of the channel. */
    uint32_t lowest = !all && top - a->tip > HISTORY_NEAR ? top - HISTORY_NEAR + 1 : a->tip + 1;
    if (lowest >= i->down.tip) return false;
    /* Who did not answer one question may answer the other one. */
    bool up = all || lowest == a->tip + 1;
    if (up && a->want_failures % 2 == 1 && range_up(have, hold, lowest, i->down.tip, out)) return true;
    return range_down(have, hold, i->down.tip - 1, lowest, out) ||
           (up && range_up(have, hold, lowest, i->down.tip, out));
}

enum found { FOUND, FOUND_BUSY, FOUND_LATER, FOUND_NOBODY };

/* The member to ask: one that has more and the fewest questions open, of those that are looked at now. Of
 * very many members a part is looked at each time. */
static enum found choose_member(struct node *n, struct channel *c, struct author *a, uint32_t *out_member,
                                struct range *out_range)
{
    uint32_t author = (uint32_t)(a - c->authors), fewest = WANTS_MAX;
    uint32_t probes = least(c->members_len, WANT_PROBES);
    enum found found = FOUND_NOBODY;
    for (uint32_t k = 0; k < probes; k++) {
        uint32_t slot = c->members[(c->member_next + k) % c->members_len];
        const struct share *s = share_of(n->pipes[slot], c->index);
        struct range range;
        if (!offers(c, s, author, &range)) continue;
        if (found != FOUND) found = FOUND_BUSY;
        if (s->wants >= fewest) continue;
        found = FOUND;
        fewest = s->wants;
        *out_member = slot;
        *out_range = range;
    }
    if (probes > 0) c->member_next = (c->member_next + probes) % c->members_len;
    a->want_probed = found == FOUND_NOBODY ? a->want_probed + probes : 0;
    if (found == FOUND_NOBODY && a->want_probed < c->members_len) return FOUND_LATER;
    return found;
}

static enum found wait_until(struct node *n, struct channel *c, struct author *a, usec at, enum found found)
{
    a->want_at = at;
    timer_arm(n, TIMER_AUTHOR, c->index, (uint32_t)(a - c->authors), at);
    return found;
}

static enum found ask(struct node *n, struct channel *c, struct author *a, uint32_t member,
                      const struct range *range)
{
    struct pipe *p = n->pipes[member];
    uint8_t plain[128];
    struct writer w = writer_of(plain, sizeof plain);
    uint32_t count = range->upto - range->from + 1;
    if (range->down) PROBE(n, WANT_DOWN);
    if (range->down)
        message_write_want_down(&w, c->id, a->device, range->from, count);
    else
        message_write_want(&w, c->id, a->device, range->from, count);
    (void)wait_until(n, c, a, n->now + WANT_PATIENCE_US, FOUND);
    if (!pipe_control(n, p, writer_slice(&w))) return FOUND_BUSY;
    a->want_link = member;
    a->want_since = n->now;
    a->want_from = range->from;
    a->want_upto = range->upto;
    share_of(p, c->index)->wants++;
    gossip_missed(n, p, c, (uint32_t)(a - c->authors));
    return FOUND;
}

/* Asks for what is missing of this author, if it is time. FOUND_NOBODY: he is not behind any more. */
static enum found pursue(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    struct range range = {0};
    uint32_t member = NONE;
    if (a->want_link != NONE) return FOUND;
    if (n->now < a->want_at) return wait_until(n, c, a, a->want_at, FOUND_LATER);
    if (history_asking(c) && author != c->self) return FOUND_LATER; /* goes on when that has come */
    enum found found = choose_member(n, c, a, &member, &range);
    switch (found) {
    case FOUND: return ask(n, c, a, member, &range);
    case FOUND_BUSY: /* every one has its hands full: want_next comes back to him, or the timer */
        PROBE(n, WANT_ALL_BUSY);
        return wait_until(n, c, a, n->now + WANT_GRACE_US, FOUND_BUSY);
    case FOUND_LATER: return wait_until(n, c, a, n->now + MILLISECONDS, FOUND_LATER);
    default:
        a->news = false;
        channel_set_behind(n, c, author, false);
        return FOUND_NOBODY;
    }
}

/* The author's own device is linked to us and level: it will push by itself. */
static bool pushes_itself(struct node *n, struct channel *c, uint32_t channel, uint32_t author)
{
    for (uint32_t i = 0; i < c->members_len && i < WANT_PROBES; i++) {
        struct pipe *p = n->pipes[c->members[i]];
        if (memcmp(p->link.device, c->authors[author].device, ID_BYTES) == 0 && share_of(p, channel))
            return p->link.role == ROLE_PERSON; /* a replica announces what it writes, as it does all else */
    }
    return false;
}

bool want_missing(const struct channel *c, const struct share *s, uint32_t author)
{
    struct range unused;
    return offers(c, s, author, &unused);
}

void want_more(struct node *n, uint32_t channel, uint32_t author, bool now)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    if (c->leaving) return;
    if (a->behind_at == NONE) {
        channel_set_behind(n, c, author, true);
        a->want_failures = 0;
        a->want_probed = 0;
        a->want_at = a->tip > 0 && pushes_itself(n, c, channel, author) ? n->now + WANT_GRACE_US : n->now;
        if (gossip_expected(c, author) > 0) a->want_at = gossip_expected(c, author);
    }
    if (now) (void)pursue(n, channel, author);
}

void want_next(struct node *n, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    uint32_t asked = 0;
    bool full = false;
    for (uint32_t left = least(c->behind_len, WANT_AUTHORS); left > 0 && c->behind_len > 0 && !full; left--) {
        if (c->behind_next >= c->behind_len) c->behind_next = 0;
        uint32_t author = c->behind[c->behind_next];
        enum found found = c->authors[author].want_link == NONE ? pursue(n, channel, author) : FOUND_LATER;
        if (found == FOUND_NOBODY)
            author_drop_phantom(n, c, author); /* another one stands in his place now */
        else
            c->behind_next++;
        asked += found == FOUND;
        full = found == FOUND_BUSY; /* the next answer comes back here */
    }
    if (full || c->behind_len > WANT_AUTHORS) {
        usec pause = full || asked == 0 ? WANT_GRACE_US : MILLISECONDS;
        timer_arm(n, TIMER_WANTS, channel, 0, n->now + pause);
    }
}

static void doubts_end_at(struct node *n, const struct pipe *p, uint32_t channel, struct share *s)
{
    s->doubt_pause = s->doubt_pause == 0 ? DOUBT_US : s->doubt_pause * 2;
    if (s->doubt_pause > DOUBT_MAX_US) s->doubt_pause = DOUBT_MAX_US;
    s->doubt_until = n->now + s->doubt_pause;
    timer_arm(n, TIMER_SHARE, p->slot, channel, s->doubt_until);
}

/* The claim is set aside: who cannot make it good must not stop us from asking others. But it may only have
 * been slow, so a few are tried again later, with growing pauses, and all of them soon once one turns out to
 * be true. */
static void doubt(struct node *n, const struct pipe *p, uint32_t channel, struct share *s, uint32_t author)
{
    if (!s->doubt) s->doubt = alloc_array(n->allocator, s->have_cap, sizeof *s->doubt);
    if (!s->doubt || author >= s->have_cap) return;
    uint32_t claim = want_claim(s, author);
    if (claim > 0) s->doubt[author] = claim;
    PROBE(n, DOUBT);
    if (s->doubt_until == 0) doubts_end_at(n, p, channel, s);
}

/* Nothing came of what was asked for. A link that is busy with other entries gets more time. */
static void want_timed_out(struct node *n, uint32_t channel, uint32_t author)
{
    struct author *a = &n->channels[channel]->authors[author];
    struct pipe *p = n->pipes[a->want_link];
    struct share *s = p ? share_of(p, channel) : NULL;
    if (s && p->entry_at + WANT_PATIENCE_US > n->now && a->want_since + WANT_PATIENCE_MAX_US > n->now) {
        PROBE(n, WANT_GIVEN_TIME);
        (void)wait_until(n, n->channels[channel], a, p->entry_at + WANT_PATIENCE_US, FOUND_LATER);
        return;
    }
    PROBE(n, WANT_TIMED_OUT);
    want_cancel(n, channel, a);
    if (s && ++a->want_failures >= 2) {
        doubt(n, p, channel, s, author);
        a->want_failures = 0;
    }
    a->want_at = n->now;
    if (pursue(n, channel, author) == FOUND_NOBODY) author_drop_phantom(n, n->channels[channel], author);
}

void want_got(struct node *n, const struct pipe *p, uint32_t channel, uint32_t author)
{
    struct author *a = &n->channels[channel]->authors[author];
    struct share *s = share_of(p, channel);
    bool ended = false;
    if (s->doubt_until > n->now + DOUBT_SOON_US) { /* slow, but true */
        PROBE(n, DOUBT_WRONG);
        s->doubt_pause = 0;
        s->doubt_until = n->now + DOUBT_SOON_US;
        timer_arm(n, TIMER_SHARE, p->slot, channel, s->doubt_until);
    }
    if (a->want_link != NONE && n->pipes[a->want_link] == p) {
        a->want_at = n->now + WANT_PATIENCE_US;
        if (feed_has(a, a->want_from, a->want_upto)) {
            want_cancel(n, channel, a);
            a->want_failures = 0;
            a->want_at = n->now;
            ended = true;
        }
    }
    if (a->behind_at == NONE) return;
    (void)pursue(n, channel, author);
    if (ended) want_next(n, channel);
}

void want_end_doubts(struct node *n, struct pipe *p, uint32_t channel)
{
    struct channel *c = n->channels[channel];
    struct share *s = p->shares[channel];
    uint32_t tried = 0;
    if (s->doubt_until == 0 || !s->active) return;
    if (s->doubt_until > n->now) {
        timer_arm(n, TIMER_SHARE, p->slot, channel, s->doubt_until);
        return;
    }
    s->doubt_until = 0;
    for (uint32_t k = 0; s->doubt && k < s->have_cap && tried < DOUBT_PROBES; k++) {
        uint32_t i = (s->doubt_next + k) % s->have_cap;
        if (s->doubt[i] == 0 || i >= c->authors_len) continue;
        if (c->authors[i].forked) continue; /* that link holds the other branch, for ever */
        s->doubt[i] = 0;
        c->authors[i].news |= c->on_demand && want_claim(s, i) > c->authors[i].settled;
        if (!want_missing(c, s, i)) continue;
        PROBE(n, DOUBT_TRIED);
        want_more(n, channel, i, true);
        s->doubt_next = i + 1;
        tried++;
    }
    if (tried == DOUBT_PROBES) doubts_end_at(n, p, channel, s); /* there may be more */
}

void want_tick(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    if (a->behind_at == NONE) return;
    if (a->want_at > n->now)
        timer_arm(n, TIMER_AUTHOR, channel, author, a->want_at);
    else if (a->want_link != NONE)
        want_timed_out(n, channel, author);
    else if (pursue(n, channel, author) == FOUND_NOBODY)
        author_drop_phantom(n, c, author);
}
