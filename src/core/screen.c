/* screen.c - which missing entries belong to the newest screenful, in a channel whose history is on demand.
 *
 * There the newest HISTORY_SCREEN entries must be here without being asked for, whatever has been interrupted
 * on the way, and what is older must not come. When the entries were written is not known before they are
 * here, but some bounds are:
 *   - what lies in a gap is older than the first entry of the island above it. When so many newer ones are
 *     held, it does not belong to the newest.
 *   - who has answered RECENT in full has given the newest of what it holds. What it did not give is older
 *     than what it gave last: the gap is settled, and what it claims above the feeds as well.
 * The rest may belong to them: gaps are filled by WANT, and a member that claims more is asked with RECENT.
 */
#include "core/state.h"

/* Puts a place among the newest ones; the oldest of them stands at 0. */
static void put(uint64_t *newest, uint32_t *len, uint64_t place_ms)
{
    uint32_t at = 0;
    if (*len < HISTORY_SCREEN) {
        for (at = (*len)++; at > 0 && newest[(at - 1) / 2] > place_ms; at = (at - 1) / 2)
            newest[at] = newest[(at - 1) / 2];
        newest[at] = place_ms;
        return;
    }
    for (uint32_t child = 1; child < *len; child = 2 * at + 1) {
        if (child + 1 < *len && newest[child + 1] < newest[child]) child++;
        if (newest[child] >= place_ms) break;
        newest[at] = newest[child];
        at = child;
    }
    newest[at] = place_ms;
}

void screen_measure(struct channel *c)
{
    uint64_t newest[HISTORY_SCREEN];
    uint32_t len = 0;
    for (uint32_t k = 0; k < c->authors_len; k++) {
        const struct author *a = &c->authors[k];
        if (!a->used) continue;
        for (uint32_t seq = feed_top(a); seq > 0; seq--) {
            const struct mark *mark = feed_mark(a, seq);
            if (!mark) mark = feed_mark(a, seq = a->tip); /* over the gap */
            if (!mark || (len == HISTORY_SCREEN && mark->place_ms <= newest[0])) break;
            put(newest, &len, mark->place_ms);
        }
    }
    c->history.screen_ms = len == HISTORY_SCREEN ? newest[0] : 0;
}

bool screen_near(const struct channel *c, const struct author *a)
{
    const struct island *i = a->island;
    return i && !i->settled && feed_mark(a, i->down.tip)->place_ms > c->history.screen_ms;
}

bool screen_ahead(const struct channel *c, const struct share *s)
{
    for (uint32_t k = 0; k < c->authors_len && k < s->have_cap; k++) {
        const struct author *a = &c->authors[k];
        uint32_t claim = a->used ? want_claim(s, k) : 0, limit = member_ceiling(c, k);
        if (claim == 0 || k == c->self) continue;
        if (claim > limit) claim = limit;
        bool wanted = want_missing(c, s, k);
        if (wanted && screen_near(c, a)) return true; /* one question for all */
        if (!wanted && claim > feed_top(a) && claim > a->settled) return true;
    }
    return false;
}

void screen_settle(struct channel *c, const struct share *s, uint64_t oldest_ms, bool more)
{
    screen_measure(c);
    if (more && oldest_ms > c->history.screen_ms) return; /* not all of it was taken */
    for (uint32_t k = 0; k < c->authors_len && k < s->have_cap; k++) {
        struct author *a = &c->authors[k];
        if (!a->used || a->moved) continue;
        struct span hold = s->hold ? s->hold[k] : (struct span){0};
        uint32_t top = hold.high > s->have[k] ? hold.high : s->have[k];
        uint32_t below = a->island ? a->island->down.tip - 1 : 0;
        bool holds_below = s->have[k] >= below || (hold.low <= below && below <= hold.high);
        /* Without more to give it has given all that fits; what is not here could not be read, or stored. */
        if (top > a->settled && (more || top <= feed_top(a))) a->settled = top;
        if (a->island && more && holds_below) a->island->settled = true;
    }
}

void screen_fill(struct node *n, struct channel *c)
{
    for (uint32_t k = 0; k < c->authors_len; k++)
        if (c->authors[k].used && screen_near(c, &c->authors[k])) want_more(n, c->index, k, false);
}
