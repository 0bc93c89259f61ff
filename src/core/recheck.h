/* recheck.h - looking at the boxes of KEY entries that were believed: those that came back from the disk, and
 * those that came before their key.
 *
 * A box takes 60 us to look at, and a channel of 300 devices has 18,000 of them after a year of epochs. So a
 * start looks at none, and of entries that come only as many are looked at at once as one member may have
 * others work for: the rest is read again one by one, with pauses, and its boxes count until then. A false
 * one delays who was given it by no more than that. */
#ifndef CORE_RECHECK_H
#define CORE_RECHECK_H

#include "base/buffer.h"

struct node;
struct channel;
struct op;

/* Whether so many boxes of an entry that came now are looked at at once; then they are counted. */
bool recheck_at_once(const struct node *n, struct channel *c, uint64_t boxes);
/* There may be something to look at. */
void recheck_soon(struct node *n, const struct channel *c);
/* From TIMER_SEAL, where this device gives keys to others. */
void recheck_tick(struct node *n, struct channel *c);
/* The entry was read; the op is the caller's to free. */
void recheck_read(struct node *n, const struct op *op, int result, slice record);

#endif
