/* feed.c - taking entries into feeds: what arrives, what is written here, what comes back from the disk.
 *
 * An entry is accepted at the tip, then stored, then released in order: only then does it count in the
 * have-vector, is it delivered and handed on. */
#include <string.h>

#include "core/bring.h"
#include "core/identity.h"
#include "core/state.h"

/* The certificate in a JOIN or PROFILE must be the channel authority's for this author. */
static int check_certificate(const struct node *n, const struct channel *c, const struct entry *e,
                             slice *out_account)
{
    struct cbor_reader r = {e->body, false};
    uint64_t count = cbor_array(&r, 32);
    slice bytes = cbor_bytes(&r, NODE_CERTIFICATE_BYTES_MAX);
    struct certificate certificate;
    if (r.failed || count < 1) return ERR_MALFORMED;
    int rc = certificate_parse(n->crypto, bytes, &certificate);
    if (rc < 0) return rc;
    if (memcmp(certificate.device, e->author, ID_BYTES) != 0) return ERR_PROTOCOL;
    if (memcmp(certificate.authority, c->authority, ID_BYTES) != 0) return ERR_PROTOCOL;
    *out_account = certificate.account;
    return OK;
}

/* Also gives the account name of a JOIN or PROFILE, else an empty slice; it borrows the entry. */
static int check_kind(const struct node *n, const struct channel *c, const struct entry *e,
                      slice *out_account)
{
    *out_account = SLICE_EMPTY;
    if ((e->seq == 1) != (e->kind == ENTRY_JOIN)) return ERR_PROTOCOL;
    if (e->kind != ENTRY_JOIN && e->kind != ENTRY_PROFILE) return OK;
    return check_certificate(n, c, e, out_account);
}

static int set_account(struct node *n, const struct channel *c, struct author *a, slice account)
{
    if (account.len == 0) return OK;
    if (c->roster && a->account_len) return OK; /* for ever that of the JOIN: membership hangs on it */
    uint8_t *copy = alloc_new(n->allocator, account.len);
    if (!copy) return ERR_MEMORY;
    memcpy(copy, account.ptr, account.len);
    alloc_free(n->allocator, a->account, a->account_len);
    a->account = copy;
    a->account_len = (uint8_t)account.len;
    return OK;
}

static void fork_found(struct node *n, struct author *a)
{
    if (!a->forked) {
        node_warn(
            n, ERR_PROTOCOL, a->device,
            "This device has written two different messages under one number. Only the first one is kept.");
    }
    PROBE(n, FORK);
    a->forked = true;
}

void feed_cache(struct node *n, uint32_t channel, uint32_t author, uint32_t seq, struct blob *blob)
{
    struct cached *slot = &n->cache[(author * 31u + seq) % CACHE_SLOTS];
    blob_release(n->allocator, slot->blob);
    *slot = (struct cached){channel, author, seq, blob_keep(blob)};
}

struct blob *feed_cached(const struct node *n, uint32_t channel, uint32_t author, uint32_t seq)
{
    const struct cached *slot = &n->cache[(author * 31u + seq) % CACHE_SLOTS];
    bool hit = slot->blob && slot->channel == channel && slot->author == author && slot->seq == seq;
    return hit ? slot->blob : NULL;
}

/* The entry is here already: a duplicate, or the proof of a fork. */
static int known_seq(struct node *n, struct author *a, const struct mark *mark, const struct entry *e)
{
    uint8_t id[ID_BYTES];
    entry_id(n->crypto, e, id);
    PROBE(n, DUPLICATE);
    if (mark->prefix == feed_prefix(id)) return OK;
    if (!entry_signed(n->crypto, e, id)) return ERR_SIGNATURE;
    fork_found(n, a);
    return OK;
}

/* Which edge the entry continues; LANES when none. The first one of an island: LANE_UP. */
static enum lane lane_for(const struct channel *c, uint32_t author, const struct entry *e)
{
    if (author == NONE) return e->seq == 1 ? LANE_MAIN : LANES;
    const struct author *a = &c->authors[author];
    if (e->seq == a->tip + 1) return LANE_MAIN;
    /* Who has no JOIN here has no name; and nobody goes on writing above a gap in his own feed. */
    if (a->tip == 0 || author == c->self) return LANES;
    if (!a->island || e->seq == a->island->up.tip + 1) return LANE_UP;
    return e->seq == a->island->down.tip - 1 ? LANE_DOWN : LANES;
}

/* Whether the entry follows the one before it (or goes before the one behind it), as its author wrote them:
 * by the chain, and nobody puts a message before one that he has written already. `id`: of the entry. */
static bool fits(struct author *a, enum lane lane, const struct entry *e, const uint8_t id[ID_BYTES])
{
    static const uint8_t zeros[ID_BYTES];
    const struct edge *edge = a ? lane_edge(a, lane) : NULL;
    if (lane == LANE_DOWN) return memcmp(id, edge->tip_id, ID_BYTES) == 0 && e->time_ms < edge->tip_ms;
    if (lane == LANE_UP && !edge) return e->time_ms > a->tip_ms; /* an island begins */
    if (!edge || edge->tip == 0) return memcmp(e->prev, zeros, ID_BYTES) == 0;
    return memcmp(e->prev, edge->tip_id, ID_BYTES) == 0 && e->time_ms > edge->tip_ms;
}

/* What was just accepted has closed the gap: both sides of it must be of one chain. If they are not, what is
 * shown is kept, and the author is marked. */
static void check_seam(struct node *n, struct author *a)
{
    const struct island *i = a->island;
    if (!i || a->tip + 1 != i->down.tip) return;
    if (memcmp(a->tip_id, i->down.tip_id, ID_BYTES) != 0 || a->tip_ms >= i->down.tip_ms) {
        PROBE(n, SEAM_FORKED);
        fork_found(n, a);
    }
}

static struct blob *arrive(struct node *n, const struct entry *e, slice wire, const uint8_t id[ID_BYTES],
                           const struct bearer *from, enum record_run run)
{
    uint64_t now_ms = n->now / MILLISECONDS;
    struct arrival arrival = {.path = from->path, .arrived_ms = now_ms, .place_ms = e->time_ms, .run = run};
    memcpy(arrival.from, from->device, ID_BYTES);
    if (e->time_ms > now_ms + AHEAD_MS) {
        arrival.place_ms = now_ms;
        PROBE(n, FROM_THE_FUTURE);
    } else if (e->time_ms > n->clock_ms)
        n->clock_ms = e->time_ms;
    return blob_named(n->allocator, wire, id, &arrival);
}

int feed_take(struct node *n, uint32_t channel, slice wire, const struct bearer *from)
{
    struct channel *c = n->channels[channel];
    struct entry e;
    int rc = entry_parse(wire, &e);
    if (rc < 0) return rc;
    uint32_t author = author_find(c, e.author);
    struct author *a = author == NONE ? NULL : &c->authors[author];
    const struct mark *mark = a ? feed_mark(a, e.seq) : NULL;
    if (mark) return known_seq(n, a, mark, &e);
    enum lane lane = lane_for(c, author, &e);
    if (lane == LANES) PROBE(n, OUT_OF_ORDER);
    if (lane == LANES) return OK; /* not taken; what is missing will be asked for in its order */

    uint8_t id[ID_BYTES];
    entry_id(n->crypto, &e, id);
    if (!entry_signed(n->crypto, &e, id)) return ERR_SIGNATURE;
    if (!fits(a, lane, &e, id)) {
        bool himself = memcmp(from->device, e.author, ID_BYTES) == 0;
        if (himself && e.seq > 1) PROBE(n, BACKWARDS);
        if (e.seq == 1 || (himself && lane == LANE_MAIN && memcmp(e.prev, a->tip_id, ID_BYTES) == 0))
            return ERR_PROTOCOL; /* not in order by itself; or the author, into his own past */
        fork_found(n, a);        /* whoever hands it on may not have what shows this */
        return OK;
    }
    slice account;
    rc = check_kind(n, c, &e, &account);
    if (rc < 0) return rc;
    if (!member_takes(c, author, &e, account)) {
        PROBE(n, NOT_OF_A_MEMBER);
        return OK;
    }
    if (!a) {
        rc = author_add(n, c, e.author, &author);
        if (rc == ERR_FULL && sync_make_room(n, c)) rc = author_add(n, c, e.author, &author);
        if (rc < 0) return rc;
        a = &c->authors[author];
    }
    enum record_run run = lane == LANE_DOWN ? RUN_DOWN : lane == LANE_UP && !a->island ? RUN_FIRST : RUN_UP;
    struct blob *blob = arrive(n, &e, wire, id, from, run);
    if (!blob) return ERR_MEMORY;
    rc = feed_top(a) < e.seq ? set_account(n, c, a, account) : OK; /* the newest name */
    if (rc == OK) rc = lane_accept(n, channel, author, lane, blob, from->token, false);
    if (rc == OK) check_seam(n, a);
    blob_release(n->allocator, blob);
    return rc;
}

int feed_receive(struct node *n, uint32_t channel, slice wire, struct pipe *from)
{
    const struct bearer link = {.path = from->path, .device = from->link.device};
    return feed_take(n, channel, wire, &link);
}

int feed_append(struct node *n, uint32_t channel, uint32_t kind, slice body, uint64_t *out_token)
{
    struct channel *c = n->channels[channel];
    if (c->self == NONE) return ERR_DENIED;
    if (body.len > NODE_BODY_BYTES_MAX) return ERR_TOO_LARGE;
    struct author *a = &c->authors[c->self];
    if (a->tip >= ENTRY_SEQ_MAX) return ERR_FULL;
    uint64_t least_ms = n->clock_ms > a->tip_ms ? n->clock_ms : a->tip_ms;
    static const uint8_t zeros[ID_BYTES];
    uint64_t now_ms = n->now / MILLISECONDS;
    struct entry e = {
        .kind = kind,
        .channel = c->id,
        .author = n->device,
        .prev = a->tip ? a->tip_id : zeros,
        .seq = a->tip + 1,
        .time_ms = now_ms > least_ms ? now_ms : least_ms + 1,
        .body = body,
    };
    uint8_t room[NODE_BODY_BYTES_MAX];
    int rc = seal_covers(c, kind) ? seal_entry(n, c, &e, room) : OK;
    if (rc < 0) return rc;
    struct writer w = writer_of(n->plain, sizeof n->plain);
    rc = entry_write(n->crypto, &e, n->config.identity_seed, &w);
    if (rc < 0) return rc;
    struct arrival arrival = {.path = PATH_NONE, .arrived_ms = now_ms, .place_ms = e.time_ms};
    memcpy(arrival.from, n->device, ID_BYTES);
    struct blob *blob = blob_new(n->allocator, n->crypto, writer_slice(&w), &arrival);
    if (!blob) return ERR_MEMORY;
    uint64_t token = ++n->tokens;
    slice account;
    rc = check_kind(n, c, &blob->entry, &account);
    if (rc == OK) rc = set_account(n, c, a, account);
    if (rc == OK) rc = lane_accept(n, channel, c->self, LANE_MAIN, blob, token, true);
    /* Without memory it is learned when it is durable, as what others write. */
    if (rc == OK) (void)!member_learn(n, c, &blob->entry, blob->wire, false);
    blob_release(n->allocator, blob);
    if (rc < 0) return rc;
    if (e.time_ms > n->clock_ms) n->clock_ms = e.time_ms;
    *out_token = token;
    return OK;
}

/* The loose island was given as restored, but nothing holds it: the shell is told. ERR_MEMORY. */
static int let_go(struct node *n, const struct channel *c, struct author *a)
{
    const struct island *i = a->island;
    int rc = gap_lost(n, c->index, (uint32_t)(a - c->authors), i->down.tip, i->up.tip);
    if (rc == OK) lane_drop_island(n, a);
    return rc;
}

/* Where a record goes: LANES when nowhere. What was stored downwards waits, loose, for the first entry of its
 * island; a store that failed may have left a hole before that, and then it does not count. Of two islands
 * the upper one counts: the lower one is left from a time when the JOIN could not be stored. */
static enum lane restore_lane(struct node *n, struct channel *c, struct author *a, const struct entry *e,
                              enum record_run run, bool *out_begins)
{
    uint32_t author = a ? (uint32_t)(a - c->authors) : NONE;
    bool above = a && a->island && e->seq > a->island->up.tip + 1;
    if (above && a->island->loose && let_go(n, c, a) < 0) return LANES;
    *out_begins = false;
    if (a && feed_mark(a, e->seq)) return LANES;
    enum lane lane = above && run != RUN_UP ? LANE_UP : lane_for(c, author, e);
    *out_begins = lane == LANE_UP && (above || !a->island);
    if (*out_begins && run == RUN_UP) return LANES; /* what it followed is not there */
    return lane == LANE_DOWN ? LANES : lane;
}

int feed_restore(struct node *n, slice wire, const struct arrival *arrival)
{
    struct entry e;
    uint32_t channel, author;
    if (entry_parse(wire, &e) < 0) return ERR_CORRUPT;
    struct channel *c = channel_find(n, e.channel, &channel);
    if (!c) return ERR_CORRUPT;
    author = author_find(c, e.author);
    struct author *a = author == NONE ? NULL : &c->authors[author];
    bool begins;
    enum lane lane = restore_lane(n, c, a, &e, arrival->run, &begins);
    uint8_t id[ID_BYTES];
    entry_id(n->crypto, &e, id);
    if (lane == LANES) PROBE(n, RESTORE_REFUSED);
    if (lane == LANES) return ERR_CORRUPT;
    bool seam = begins ? e.time_ms <= a->tip_ms : !fits(a, lane, &e, id);
    /* A gap whose sides are not of one chain is a fork that was shown: closed, and marked; or open still,
     * when what came below it later is later than what is above it. */
    if (seam) PROBE(n, RESTORE_SEAM);
    bool shown = begins || (lane == LANE_MAIN && arrival->run != RUN_UP && e.seq > 1);
    if (seam && !shown) return ERR_CORRUPT;
    if (!a) {
        int rc = author_add(n, c, e.author, &author);
        if (rc < 0) return rc;
        a = &c->authors[author];
    }
    int rc = lane_restore(n, a, lane, begins, &e, id, arrival->place_ms);
    if (rc < 0) return rc;
    if (seam) a->forked = true;
    c->writers += e.seq == 1;
    if (begins && arrival->run == RUN_DOWN) {
        a->island->loose = true;
        PROBE(n, RESTORE_LOOSE);
        n->loose++;
    } else if (a->island && arrival->run == RUN_FIRST) {
        lane_keep_newer(n, a);
    }
    slice account;
    if (check_kind(n, c, &e, &account) == OK) rc = set_account(n, c, a, account);
    if (rc < 0 && c->roster) return rc; /* membership hangs on it; elsewhere it is only not shown */
    rc = member_learn(n, c, &e, wire, true);
    if (rc == OK) rc = talk_take(n, channel, author, &e, arrival->arrived_ms);
    if (rc < 0) return rc;
    if (author == c->self) {
        c->leaving = e.kind == ENTRY_LEAVE; /* until it is joined again */
        c->join_due = false;
    }
    author_touch(c, author);
    if (lane == LANE_MAIN)
        a->have_version = a->version;
    else
        a->hold_version = a->version;
    if (begins) gap_changed(n, channel, author);
    if (arrival->place_ms > n->clock_ms) n->clock_ms = arrival->place_ms;
    return OK;
}

void feed_restored(struct node *n)
{
    for (uint32_t c = 0; c < n->channels_len && n->loose > 0; c++) {
        for (uint32_t i = 0; i < n->channels[c]->authors_len; i++) {
            struct author *a = &n->channels[c]->authors[i];
            if (!a->island || !a->island->loose) continue;
            PROBE(n, RESTORE_LOOSE_DROPPED);
            (void)!let_go(n, n->channels[c], a); /* without memory it stays, and its gap is filled */
        }
    }
}

void feed_release_all(struct node *n, uint32_t channel)
{
    for (uint32_t i = 0; i < n->channels[channel]->authors_len; i++)
        if (n->channels[channel]->authors[i].used) lane_release(n, channel, i);
}

void feed_done(struct node *n, struct op *op, int result)
{
    if (op->author == NONE) { /* a channel record: written again until it is there */
        uint32_t channel = op->channel;
        if (result != OK) {
            PROBE(n, CHANNEL_STORE_FAILED);
            feed_retry(n, op);
            return;
        }
        op_free(n, op);
        n->channels[channel]->stored = true;
        feed_release_all(n, channel);
        return;
    }
    if (result == OK) {
        op->state = OP_STORED;
        lane_release(n, op->channel, op->author);
    } else if (op->own) {
        PROBE(n, STORE_FAILED_OWN);
        feed_retry(n, op);
    } else {
        lane_take_back(n, op);
    }
}

void feed_retry(struct node *n, struct op *op)
{
    if (op->pause == 0) {
        node_warn(n, ERR_IO, NULL, "A message could not be saved on this device. It is tried again.");
    }
    op->pause = op->pause == 0 ? STORE_RETRY_US : op->pause >= 30 * SECONDS ? 60 * SECONDS : op->pause * 2;
    op->retry_at = n->now + op->pause;
    op->state = OP_RETRY;
    timer_arm(n, TIMER_OP, (uint32_t)(op - n->ops), 0, op->retry_at);
}
