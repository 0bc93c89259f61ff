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

bool gap_next(struct node *n, struct action *out)
{
    struct feed_ref at = n->gaps.head;
    if (at.channel == NONE) return false;
    const struct channel *c = n->channels[at.channel];
    struct author *a = &c->authors[at.author];
    n->gaps.head = a->gap_next;
    if (n->gaps.head.channel == NONE) n->gaps.tail = n->gaps.head;
    a->gap_due = false;
    memcpy(n->shown_device, a->device, ID_BYTES);
    memcpy(n->shown_account, a->account ? a->account : (const uint8_t *)"", a->account_len);
    out->kind = ACTION_GAP;
    out->channel = c->id;
    out->device = n->shown_device;
    out->account = slice_of(n->shown_account, a->account_len);
    out->from = (uint64_t)a->have + 1;
    out->seq = a->island && a->island->shown ? a->island->down.have - 1 : a->have;
    return true;
}
