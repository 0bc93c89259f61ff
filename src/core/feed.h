/* feed.h - how much of an author's log is here, and where: the parts of struct author.
 *
 * What is held of a feed is a contiguous part 1..tip and at most one island above a gap: the newest entries
 * were taken first. Both are runs of marks, one for each entry. A run grows at its edges: the contiguous part
 * upwards, an island both ways. At an edge entries are accepted first, then stored, then released in the
 * order in which they were accepted; only what is released counts, is shown and is handed on.
 *
 * When the gap is closed and all of it is released, the island becomes a piece of the contiguous part. */
#ifndef CORE_FEED_H
#define CORE_FEED_H

#include "core/entry.h"

struct node;
struct channel;
struct author;
struct op;

/* What is remembered of one entry. */
struct mark {
    uint64_t prefix; /* the first 8 bytes of its id */
    uint64_t place_ms;
};

enum { RUN_MAX = 1 << 27 }; /* marks of one run: 2 GiB of them */

/* Marks of consecutive entries, with room before and behind. */
struct run {
    struct mark *marks;
    uint32_t first, len, cap; /* marks[first .. first + len) are in use */
};

/* Which edge of what is held. */
enum lane { LANE_MAIN, LANE_UP, LANE_DOWN /* both of the island */, LANES };

/* have: the last seq that was released at this edge; tip: the last one that was accepted. Upwards the ids are
 * those of these entries; downwards they are the ids that the entries before them must have. The times are
 * those of these entries. A macro, so that the fields of the contiguous part are fields of the author. */
#define EDGE_FIELDS                                                                                          \
    uint32_t have, tip;                                                                                      \
    uint8_t have_id[ID_BYTES], tip_id[ID_BYTES];                                                             \
    uint64_t have_ms, tip_ms;                                                                                \
    uint32_t ops_head, ops_tail; /* of the stores under way, in the order of acceptance */

struct edge {
    EDGE_FIELDS
};

struct island {
    struct edge up, down; /* down.tip..up.tip are accepted, down.have..up.have released */
    struct run run;       /* down.tip..up.tip */
    bool shown;           /* its first entry is released; before that down.have..up.have is empty */
    bool settled;         /* on demand: what lies below is older than the newest of the channel */
    bool loose;           /* being restored, and not known to have a first entry yet */
    struct island *older; /* being restored: the one below it, which counts unless this one does */
};

uint64_t feed_prefix(const uint8_t id[ID_BYTES]);
/* The mark of an entry that is accepted, else NULL. */
const struct mark *feed_mark(const struct author *a, uint32_t seq);
/* Whether from..upto are all accepted. */
bool feed_has(const struct author *a, uint32_t from, uint32_t upto);
/* The highest seq that is accepted. */
uint32_t feed_top(const struct author *a);
/* The last that is known of it is a LEAVE. */
bool author_left(const struct author *a);
/* The highest seq that is released. */
uint32_t feed_shown(const struct author *a);
/* Whether this entry is released. */
bool feed_holds(const struct author *a, uint32_t seq);

/* lane.c: the edges. */
struct edge *lane_edge(struct author *a, enum lane lane);
/* Puts an accepted entry at the edge and on its way to the disk; a first entry (no island yet, LANE_UP) makes
 * the island. ERR_BUSY, ERR_MEMORY. */
int lane_accept(struct node *n, uint32_t channel, uint32_t author, enum lane lane, struct blob *blob,
                uint64_t command_token, bool own) BASE_CHECKED;
/* What was released before, from a record; begins: an island begins with it. ERR_MEMORY. */
int lane_restore(struct node *n, struct author *a, enum lane lane, bool begins, const struct entry *e,
                 const uint8_t id[ID_BYTES], uint64_t place_ms) BASE_CHECKED;
/* The restored island has its first entry: it counts, and the one below it does not. */
void lane_keep_newer(struct node *n, struct author *a);
/* A store of this author ended well: releases what is durable, in order. */
void lane_release(struct node *n, uint32_t channel, uint32_t author);
/* A received entry could not be stored: it and what was accepted behind it are taken back. */
void lane_take_back(struct node *n, struct op *failed);
/* Lets go of the island with all that is in it (and of no other one, while records come back). */
void lane_drop_island(struct node *n, struct author *a);
void lane_free(struct node *n, struct author *a);

#endif
