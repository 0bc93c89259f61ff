/* gap.c - telling of what is missing in the middle of feeds: one ACTION_GAP for each author whose gap
 * changed, before the entries that it is about are delivered. */
#include <string.h>

#include "core/state.h"

void gap_changed(struct node *n, uint32_t channel, uint32_t author)
{
    struct author *a = &n->channels[channel]->authors[author];
    struct feed_ref self = {channel, author};
    if (a->gap_due) return;
    a->gap_due = true;
    a->gap_next = (struct feed_ref){NONE, NONE};
    if (n->gaps.tail.channel == NONE)
        n->gaps.head = self;
    else
        n->channels[n->gaps.tail.channel]->authors[n->gaps.tail.author].gap_next = self;
    n->gaps.tail = self;
}

int gap_lost(struct node *n, uint32_t channel, uint32_t author, uint32_t from, uint32_t upto)
{
    int rc = grow(n->allocator, (void **)&n->lost, &n->lost_cap, n->lost_len + 1, sizeof *n->lost);
    if (rc < 0) return rc;
    n->lost[n->lost_len++] = (struct lost){{channel, author}, from, upto};
    gap_changed(n, channel, author);
    return OK;
}

static void show(struct node *n, struct feed_ref at, uint32_t from, uint32_t upto, struct action *out)
{
    const struct channel *c = n->channels[at.channel];
    const struct author *a = &c->authors[at.author];
    memcpy(n->shown_device, a->device, ID_BYTES);
    memcpy(n->shown_account, a->account ? a->account : (const uint8_t *)"", a->account_len);
    out->kind = ACTION_GAP;
    out->channel = c->id;
    out->device = n->shown_device;
    out->account = slice_of(n->shown_account, a->account_len);
    out->from = from;
    out->seq = upto;
}

/* The last entry that is missing below the island; the contiguous part's last one when there is none. What
 * does not count any more, of who was removed, is not missing. */
static uint32_t missing_upto(const struct channel *c, uint32_t author)
{
    const struct author *a = &c->authors[author];
    if (!a->island || !a->island->shown) return a->have;
    uint32_t limit = member_limit(c, member_account(c, author), a->device), upto = a->island->down.have - 1;
    if (limit < a->have) limit = a->have;
    return upto < limit ? upto : limit;
}

bool gap_next(struct node *n, struct action *out)
{
    struct feed_ref at = n->gaps.head;
    if (at.channel == NONE) return false;
    if (n->lost_len > 0) { /* what does not count is said by itself; how it stands follows */
        const struct lost *lost = &n->lost[--n->lost_len];
        show(n, lost->at, lost->from, lost->upto, out);
        return true;
    }
    const struct channel *c = n->channels[at.channel];
    struct author *a = &c->authors[at.author];
    n->gaps.head = a->gap_next;
    if (n->gaps.head.channel == NONE) n->gaps.tail = n->gaps.head;
    a->gap_due = false;
    show(n, at, a->have + 1, missing_upto(c, at.author), out);
    return true;
}
