/* lane.c - the edges at which a feed grows, each with its stores under way. feed.h tells the rules. */
#include <assert.h>
#include <string.h>

#include "core/state.h"

/* --- marks --- */

uint64_t feed_prefix(const uint8_t id[ID_BYTES])
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | id[i];
    return v;
}

/* Room for `count` more marks, before the first one or behind the last one. */
static int run_room(const struct allocator *a, struct run *r, bool before, uint32_t count)
{
    if (before ? r->first >= count : r->cap - r->first - r->len >= count) return OK;
    uint32_t spare = r->len > count ? r->len : count;
    if (spare < 4) spare = 4;
    if (spare > RUN_MAX || r->cap > RUN_MAX - spare) return ERR_MEMORY;
    uint32_t cap = r->cap + spare, first = r->first + (before ? spare : 0);
    struct mark *marks = alloc_resize(a, r->marks, r->cap * sizeof *marks, cap * sizeof *marks);
    if (!marks) return ERR_MEMORY;
    if (before && r->len > 0) memmove(marks + first, marks + r->first, r->len * sizeof *marks);
    *r = (struct run){marks, first, r->len, cap};
    return OK;
}

/* Puts marks before the first one or behind the last one. */
static int run_put(const struct allocator *a, struct run *r, bool before, const struct mark *marks,
                   uint32_t count)
{
    int rc = run_room(a, r, before, count);
    if (rc < 0) return rc;
    if (before) r->first -= count;
    memcpy(r->marks + r->first + (before ? 0 : r->len), marks, count * sizeof *marks);
    r->len += count;
    return OK;
}

static void run_free(const struct allocator *a, struct run *r)
{
    alloc_free(a, r->marks, r->cap * sizeof *r->marks);
    *r = (struct run){0};
}

const struct mark *feed_mark(const struct author *a, uint32_t seq)
{
    const struct island *i = a->island;
    if (seq == 0) return NULL;
    if (seq <= a->tip) return &a->run.marks[a->run.first + seq - 1];
    if (!i || seq < i->down.tip || seq > i->up.tip) return NULL;
    return &i->run.marks[i->run.first + seq - i->down.tip];
}

bool feed_has(const struct author *a, uint32_t from, uint32_t upto)
{
    const struct island *i = a->island;
    if (upto <= a->tip) return true;
    if (!i || upto > i->up.tip) return false;
    return from >= i->down.tip || a->tip + 1 == i->down.tip;
}

uint32_t feed_top(const struct author *a)
{
    return a->island ? a->island->up.tip : a->tip;
}

bool author_left(const struct author *a)
{
    return a->left_seq > 0 && a->left_seq >= feed_top(a);
}

uint32_t feed_shown(const struct author *a)
{
    return a->island && a->island->shown ? a->island->up.have : a->have;
}

bool feed_holds(const struct author *a, uint32_t seq)
{
    const struct island *i = a->island;
    if (seq == 0) return false;
    return seq <= a->have || (i && i->shown && seq >= i->down.have && seq <= i->up.have);
}

/* --- edges --- */

struct edge *lane_edge(struct author *a, enum lane lane)
{
    if (lane == LANE_MAIN) return &a->main;
    if (!a->island) return NULL;
    return lane == LANE_UP ? &a->island->up : &a->island->down;
}

void lane_drop_island(struct node *n, struct author *a)
{
    if (!a->island) return;
    if (a->island->loose) n->loose--;
    struct island *older = a->island->older;
    run_free(n->allocator, &a->island->run);
    alloc_free(n->allocator, a->island, sizeof *a->island);
    a->island = older;
}

void lane_keep_newer(struct node *n, struct author *a)
{
    struct island *newer = a->island, *older = newer->older;
    if (newer->loose) n->loose--;
    newer->loose = false;
    newer->older = NULL;
    if (!older) return;
    a->island = older;
    lane_drop_island(n, a);
    a->island = newer;
}

void lane_free(struct node *n, struct author *a)
{
    while (a->island)
        lane_drop_island(n, a);
    run_free(n->allocator, &a->run);
}

/* An island without an entry yet, for this one. */
static int island_new(struct node *n, struct author *a, const struct entry *e)
{
    struct island *i = alloc_new(n->allocator, sizeof *i);
    if (!i) return ERR_MEMORY;
    i->up.have = i->up.tip = e->seq - 1;
    i->down.have = i->down.tip = e->seq;
    i->down.have_ms = i->down.tip_ms = e->time_ms;
    memcpy(i->down.tip_id, e->prev, ID_BYTES);
    memcpy(i->down.have_id, e->prev, ID_BYTES);
    i->up.ops_head = i->up.ops_tail = i->down.ops_head = i->down.ops_tail = NONE;
    a->island = i;
    PROBE(n, ISLAND);
    return OK;
}

/* Puts the entry's mark at the edge and moves the tip to it. */
static int push_tip(struct node *n, struct author *a, enum lane lane, const struct entry *e,
                    const uint8_t id[ID_BYTES], uint64_t place_ms)
{
    struct run *run = lane == LANE_MAIN ? &a->run : &a->island->run;
    struct edge *edge = lane_edge(a, lane);
    struct mark mark = {feed_prefix(id), place_ms};
    int rc = run_put(n->allocator, run, lane == LANE_DOWN, &mark, 1);
    if (rc < 0) return rc;
    edge->tip = e->seq;
    edge->tip_ms = e->time_ms;
    memcpy(edge->tip_id, lane == LANE_DOWN ? e->prev : id, ID_BYTES);
    return OK;
}

int lane_accept(struct node *n, uint32_t channel, uint32_t author, enum lane lane, struct blob *blob,
                uint64_t command_token, bool own)
{
    struct author *a = &n->channels[channel]->authors[author];
    bool first = lane == LANE_UP && !a->island;
    struct op *op = op_new(n, own ? OPS_MAX / 4 : OPS_RESERVE);
    if (!op) return ERR_BUSY;
    int rc = first ? island_new(n, a, &blob->entry) : OK;
    if (rc == OK) rc = push_tip(n, a, lane, &blob->entry, blob->id, blob->arrival.place_ms);
    if (rc < 0) {
        if (first) lane_drop_island(n, a);
        op_free(n, op);
        return rc;
    }
    struct edge *edge = lane_edge(a, lane);
    uint32_t index = (uint32_t)(op - n->ops);
    op->own = own;
    op->channel = channel;
    op->author = author;
    op->seq = blob->entry.seq;
    op->lane = lane;
    op->blob = blob_keep(blob);
    op->command_token = command_token;
    op->next_of_author = NONE;
    op->recent = !own && history_takes(n, n->channels[channel], blob->arrival.from);
    n->channels[channel]->history.open += op->recent;
    n->channels[channel]->history.taken += op->recent;
    if (edge->ops_tail == NONE)
        edge->ops_head = index;
    else
        n->ops[edge->ops_tail].next_of_author = index;
    edge->ops_tail = index;
    op_enqueue(n, op, OP_STORE);
    return OK;
}

/* What is at the tip counts from now on. */
static void settle(struct edge *edge)
{
    edge->have = edge->tip;
    edge->have_ms = edge->tip_ms;
    memcpy(edge->have_id, edge->tip_id, ID_BYTES);
}

/* The island is a piece of the contiguous part as soon as nothing is missing between them, or being stored.
 * The shorter run is copied to the other. Without memory it stays an island, until the next try. */
static bool join(struct node *n, struct author *a)
{
    struct island *i = a->island;
    if (!i || !i->shown || a->have + 1 != i->down.have || a->tip != a->have || i->down.tip != i->down.have)
        return false;
    bool before = i->run.len > a->run.len;
    struct run *from = before ? &a->run : &i->run, *to = before ? &i->run : &a->run;
    if (run_put(n->allocator, to, before, from->marks + from->first, from->len) < 0) return false;
    PROBE(n, ISLAND_JOINED);
    if (before) PROBE(n, ISLAND_JOINED_LONGER);
    struct run whole = *to;
    *to = (struct run){0};
    run_free(n->allocator, &a->run);
    a->run = whole;
    a->main = i->up;
    for (uint32_t at = a->ops_head; at != NONE; at = n->ops[at].next_of_author)
        n->ops[at].lane = LANE_MAIN;
    lane_drop_island(n, a);
    return true;
}

static bool release_edge(struct node *n, uint32_t channel, uint32_t author, enum lane lane)
{
    struct author *a = &n->channels[channel]->authors[author];
    struct edge *edge = lane_edge(a, lane);
    bool grew = false;
    if (!edge || (lane == LANE_DOWN && !a->island->shown)) return false;
    if (lane != LANE_MAIN && a->have == 0) return false; /* without a name nothing can come back */
    while (edge->ops_head != NONE && n->ops[edge->ops_head].state == OP_STORED) {
        struct op *op = &n->ops[edge->ops_head];
        const struct blob *b = op->blob;
        if (member_learn(n, n->channels[channel], &b->entry, b->wire, true) < 0 ||
            talk_take(n, channel, author, &b->entry, b->arrival.arrived_ms) < 0) {
            timer_arm(n, TIMER_SEAL, channel, 0, n->now + STORE_RETRY_US); /* no memory: later */
            break;
        }
        edge->ops_head = op->next_of_author;
        if (edge->ops_head == NONE) edge->ops_tail = NONE;
        n->channels[channel]->writers += lane == LANE_MAIN && edge->have == 0;
        edge->have = op->seq;
        edge->have_ms = op->blob->entry.time_ms;
        memcpy(edge->have_id, lane == LANE_DOWN ? op->blob->entry.prev : op->blob->id, ID_BYTES);
        if (lane == LANE_UP) a->island->shown = true;
        feed_cache(n, channel, author, op->seq, op->blob);
        if (lane != LANE_DOWN && !op->recent) gossip_news(n, n->channels[channel], author, op->seq);
        history_stored(n, op, true);
        op_enqueue(n, op, OP_DELIVER);
        grew = true;
    }
    return grew;
}

void lane_release(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    if (!c->stored) return;
    bool main = release_edge(n, channel, author, LANE_MAIN);
    bool up = release_edge(n, channel, author, LANE_UP);
    bool down = release_edge(n, channel, author, LANE_DOWN);
    bool apart = a->island && a->island->shown, joined = join(n, a);
    if (!main && !up && !down && !joined) return;
    author_touch(c, author);
    if (main || joined) a->have_version = a->version;
    if (up || down) a->hold_version = a->version;
    if (apart) gap_changed(n, channel, author);
    ledger_grew(n, c, author);
    sync_grew(n, channel, author);
}

/* Frees the stores of this edge from the one at `at` on. */
static void drop_ops(struct node *n, uint32_t at)
{
    while (at != NONE) {
        struct op *op = &n->ops[at];
        at = op->next_of_author;
        history_stored(n, op, false);
        if (op->state == OP_STORE)
            op->state = OP_FREE; /* still queued: node_next frees it */
        else
            op_free(n, op);
    }
}

/* The island has lost its first entry, or the JOIN before it: nothing of it is left. */
static void drop_unshown(struct node *n, struct author *a)
{
    if (!a->island) return;
    drop_ops(n, a->island->up.ops_head);
    drop_ops(n, a->island->down.ops_head);
    lane_drop_island(n, a);
}

void lane_take_back(struct node *n, struct op *failed)
{
    uint32_t channel = failed->channel, author = failed->author, seq = failed->seq;
    enum lane lane = failed->lane;
    struct author *a = &n->channels[channel]->authors[author];
    struct edge *edge = lane_edge(a, lane);
    uint32_t index = (uint32_t)(failed - n->ops), before = NONE;
    for (uint32_t at = edge->ops_head; at != index; at = n->ops[at].next_of_author)
        before = at;
    PROBE(n, TAKE_BACK);
    if (lane == LANE_DOWN) PROBE(n, TAKE_BACK_DOWN);
    if (before != NONE) PROBE(n, TAKE_BACK_LATER);
    drop_ops(n, index);
    edge->ops_tail = before;
    if (before == NONE) edge->ops_head = NONE;
    bool first = lane == LANE_UP && !a->island->shown && before == NONE;
    if (first) PROBE(n, TAKE_BACK_ISLAND);
    if (first || (lane == LANE_MAIN && seq == 1)) drop_unshown(n, a);
    if (a->island) a->island->settled = false;
    if (!first) {
        struct run *run = lane == LANE_MAIN ? &a->run : &a->island->run;
        uint32_t lost = lane == LANE_DOWN ? seq + 1 - edge->tip : edge->tip + 1 - seq;
        run->len -= lost;
        if (lane == LANE_DOWN) run->first += lost;
        if (before == NONE) {
            edge->tip = edge->have;
            edge->tip_ms = edge->have_ms;
            memcpy(edge->tip_id, edge->have_id, ID_BYTES);
        } else {
            const struct blob *b = n->ops[before].blob;
            n->ops[before].next_of_author = NONE;
            edge->tip = b->entry.seq;
            edge->tip_ms = b->entry.time_ms;
            memcpy(edge->tip_id, lane == LANE_DOWN ? b->entry.prev : b->id, ID_BYTES);
        }
    }
    sync_lost(n, channel, author);
}

int lane_restore(struct node *n, struct author *a, enum lane lane, bool begins, const struct entry *e,
                 const uint8_t id[ID_BYTES], uint64_t place_ms)
{
    struct island *older = a->island;
    int rc = begins ? island_new(n, a, e) : OK;
    if (rc == OK && begins) a->island->older = older;
    if (rc == OK) rc = push_tip(n, a, lane, e, id, place_ms);
    if (rc < 0) {
        if (a->island != older) lane_drop_island(n, a);
        return rc;
    }
    settle(lane_edge(a, lane));
    if (lane == LANE_UP) a->island->shown = true;
    return OK;
}
