/* want.c - asking for what is missing: whom, when, and what to make of those who do not answer. */
#include <string.h>

#include "core/state.h"

uint32_t want_claim(const struct share *s, uint32_t author)
{
    if (!s || author >= s->have_cap) return 0;
    uint32_t seq = s->have[author];
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

/* The member to ask: one that claims more and has the fewest questions open. */
static uint32_t choose_member(struct node *n, uint32_t channel, uint32_t author, uint32_t *out_claim)
{
    struct channel *c = n->channels[channel];
    uint32_t best = NONE, least = WANTS_MAX;
    for (uint32_t i = 0; i < c->members_len; i++) {
        const struct share *s = share_of(n->pipes[c->members[i]], channel);
        uint32_t seq = want_claim(s, author);
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
        if (want_claim(share_of(n->pipes[c->members[i]], channel), author) > c->authors[author].tip)
            return true;
    }
    return false;
}

/* Asks for what is missing of this author, if it is time; true while it stays behind. */
static bool pursue(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    uint32_t seq = 0;
    if (member_refuses(c, author)) {
        want_cancel(n, channel, a);
        channel_set_behind(n, c, author, false);
        return false;
    }
    if (a->want_link != NONE) return true;
    if (!anyone_claims_more(n, channel, author)) {
        channel_set_behind(n, c, author, false);
        return false;
    }
    if (n->now < a->want_at) {
        timer_arm(n, TIMER_AUTHOR, channel, author, a->want_at);
        return true;
    }
    uint32_t member = choose_member(n, channel, author, &seq);
    if (member == NONE) { /* every one has its hands full */
        a->want_at = n->now + WANT_GRACE_US;
        timer_arm(n, TIMER_AUTHOR, channel, author, a->want_at);
        return true;
    }
    uint32_t count = seq - a->tip < MESSAGE_WANT_COUNT_MAX ? seq - a->tip : MESSAGE_WANT_COUNT_MAX;
    struct pipe *p = n->pipes[member];
    uint8_t plain[128];
    struct writer w = writer_of(plain, sizeof plain);
    message_write_want(&w, c->id, a->device, a->tip + 1, count);
    a->want_at = n->now + WANT_PATIENCE_US;
    timer_arm(n, TIMER_AUTHOR, channel, author, a->want_at);
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

void want_more(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    if (c->leaving || member_refuses(c, author)) return;
    if (a->behind_at == NONE) {
        channel_set_behind(n, c, author, true);
        a->want_failures = 0;
        a->want_at = a->tip > 0 && pushes_itself(n, c, channel, author) ? n->now + WANT_GRACE_US : n->now;
    }
    (void)pursue(n, channel, author);
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
    s->doubt[author] = s->have[author];
    if (s->doubt_until == 0) doubts_end_at(n, p, channel, s);
}

/* Nothing came of what was asked for. A link that is busy with other entries gets more time. */
static void want_timed_out(struct node *n, uint32_t channel, uint32_t author)
{
    struct author *a = &n->channels[channel]->authors[author];
    struct pipe *p = n->pipes[a->want_link];
    struct share *s = p ? share_of(p, channel) : NULL;
    if (s && p->entry_at + WANT_PATIENCE_US > n->now && a->want_since + WANT_PATIENCE_MAX_US > n->now) {
        a->want_at = p->entry_at + WANT_PATIENCE_US;
        timer_arm(n, TIMER_AUTHOR, channel, author, a->want_at);
        return;
    }
    want_cancel(n, channel, a);
    if (s && ++a->want_failures >= 2) {
        doubt(n, p, channel, s, author);
        a->want_failures = 0;
    }
    a->want_at = n->now;
    if (!pursue(n, channel, author)) author_drop_phantom(n, n->channels[channel], author);
}

void want_got(struct node *n, const struct pipe *p, uint32_t channel, uint32_t author)
{
    struct author *a = &n->channels[channel]->authors[author];
    struct share *s = share_of(p, channel);
    if (s->doubt_until > n->now + DOUBT_SOON_US) { /* slow, but true */
        s->doubt_pause = 0;
        s->doubt_until = n->now + DOUBT_SOON_US;
        timer_arm(n, TIMER_SHARE, p->slot, channel, s->doubt_until);
    }
    if (a->want_link != NONE && n->pipes[a->want_link] == p) {
        a->want_at = n->now + WANT_PATIENCE_US;
        if (a->tip >= a->want_upto) {
            want_cancel(n, channel, a);
            a->want_failures = 0;
            a->want_at = n->now;
        }
    }
    if (a->behind_at != NONE) (void)pursue(n, channel, author);
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
        if (want_claim(s, i) <= c->authors[i].tip) continue;
        want_more(n, channel, i);
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
    else if (!pursue(n, channel, author))
        author_drop_phantom(n, c, author);
}
