/* feed.c - taking entries into feeds: what arrives, what is written here, what comes back from the disk.
 *
 * An entry is accepted at the tip, then stored, then released in order: only then does it count in the
 * have-vector, is it delivered and handed on. */
#include <string.h>

#include "core/identity.h"
#include "core/state.h"

static uint64_t prefix_of(const uint8_t id[ID_BYTES])
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | id[i];
    return v;
}

static int push_tip(struct node *n, struct author *a, const uint8_t id[ID_BYTES], uint64_t time_ms)
{
    int rc = grow(n->allocator, (void **)&a->prefixes, &a->prefixes_cap, a->tip + 1, sizeof *a->prefixes);
    if (rc < 0) return rc;
    a->prefixes[a->tip++] = prefix_of(id);
    memcpy(a->tip_id, id, ID_BYTES);
    a->tip_ms = time_ms;
    return OK;
}

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
    a->forked = true;
}

static void cache_put(struct node *n, uint32_t channel, uint32_t author, uint32_t seq, struct blob *blob)
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

/* Puts an accepted entry on its way to the disk. */
static int accept(struct node *n, uint32_t channel, uint32_t author, struct blob *blob, bool own,
                  uint64_t command_token)
{
    struct author *a = &n->channels[channel]->authors[author];
    struct op *op = op_new(n, own ? OPS_MAX / 4 : OPS_RESERVE);
    if (!op) return ERR_BUSY;
    int rc = push_tip(n, a, blob->id, blob->entry.time_ms);
    if (rc < 0) {
        op_free(n, op);
        return rc;
    }
    op->own = own;
    op->channel = channel;
    op->author = author;
    op->seq = blob->entry.seq;
    op->blob = blob_keep(blob);
    op->command_token = command_token;
    op->next_of_author = NONE;
    uint32_t index = (uint32_t)(op - n->ops);
    if (a->ops_tail == NONE)
        a->ops_head = index;
    else
        n->ops[a->ops_tail].next_of_author = index;
    a->ops_tail = index;
    op_enqueue(n, op, OP_STORE);
    return OK;
}

/* The entry stands at or below the tip: a duplicate, or the proof of a fork. */
static int known_seq(struct node *n, struct author *a, const struct entry *e)
{
    uint8_t id[ID_BYTES];
    entry_id(n->crypto, e, id);
    if (a->prefixes[e->seq - 1] == prefix_of(id)) return OK;
    if (!entry_signed(n->crypto, e)) return ERR_SIGNATURE;
    fork_found(n, a);
    return OK;
}

int feed_receive(struct node *n, uint32_t channel, slice wire, struct pipe *from)
{
    struct channel *c = n->channels[channel];
    struct entry e;
    int rc = entry_parse(wire, &e);
    if (rc < 0) return rc;
    uint32_t author = author_find(c, e.author);
    if (author != NONE && e.seq <= c->authors[author].tip) return known_seq(n, &c->authors[author], &e);
    static const uint8_t zeros[ID_BYTES];
    uint32_t tip = author == NONE ? 0 : c->authors[author].tip;
    const uint8_t *tip_id = tip == 0 ? zeros : c->authors[author].tip_id;
    if (e.seq > tip + 1) return OK; /* a gap: not taken; the have-vectors will ask for what lies between */

    if (!entry_signed(n->crypto, &e)) return ERR_SIGNATURE;
    if (memcmp(e.prev, tip_id, ID_BYTES) != 0) {
        if (author == NONE) return ERR_PROTOCOL;
        fork_found(n, &c->authors[author]);
        return OK;
    }
    /* Nobody puts a message before one that he has written already. */
    if (tip > 0 && e.time_ms <= c->authors[author].tip_ms) return ERR_PROTOCOL;
    slice account;
    rc = check_kind(n, c, &e, &account);
    if (rc < 0) return rc;
    if (!member_takes(c, author, &e, account)) return OK;
    if (author == NONE) {
        rc = author_add(n, c, e.author, &author);
        if (rc == ERR_FULL && sync_make_room(n, c)) rc = author_add(n, c, e.author, &author);
        if (rc < 0) return rc;
    }
    uint64_t now_ms = n->now / MILLISECONDS;
    struct arrival arrival = {.path = from->path, .arrived_ms = now_ms, .place_ms = e.time_ms};
    memcpy(arrival.from, from->link.device, ID_BYTES);
    if (e.time_ms > now_ms + AHEAD_MS)
        arrival.place_ms = now_ms;
    else if (e.time_ms > n->clock_ms)
        n->clock_ms = e.time_ms;
    struct blob *blob = blob_new(n->allocator, n->crypto, wire, &arrival);
    if (!blob) return ERR_MEMORY;
    rc = set_account(n, c, &c->authors[author], account);
    if (rc == OK) rc = accept(n, channel, author, blob, false, 0);
    blob_release(n->allocator, blob);
    return rc;
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
    struct writer w = writer_of(n->plain, sizeof n->plain);
    int rc = entry_write(n->crypto, &e, n->config.identity_seed, &w);
    if (rc < 0) return rc;
    struct arrival arrival = {.path = PATH_NONE, .arrived_ms = now_ms, .place_ms = e.time_ms};
    memcpy(arrival.from, n->device, ID_BYTES);
    struct blob *blob = blob_new(n->allocator, n->crypto, writer_slice(&w), &arrival);
    if (!blob) return ERR_MEMORY;
    uint64_t token = ++n->tokens;
    slice account;
    rc = check_kind(n, c, &blob->entry, &account);
    if (rc == OK) rc = set_account(n, c, a, account);
    if (rc == OK) rc = accept(n, channel, c->self, blob, true, token);
    if (rc == OK) rc = member_learn(n, c, &blob->entry, blob->wire, false);
    blob_release(n->allocator, blob);
    if (rc < 0) return rc;
    if (e.time_ms > n->clock_ms) n->clock_ms = e.time_ms;
    *out_token = token;
    return OK;
}

int feed_restore(struct node *n, slice wire, const struct arrival *arrival)
{
    struct entry e;
    uint32_t channel, author;
    if (entry_parse(wire, &e) < 0) return ERR_CORRUPT;
    struct channel *c = channel_find(n, e.channel, &channel);
    if (!c) return ERR_CORRUPT;
    author = author_find(c, e.author);
    static const uint8_t zeros[ID_BYTES];
    uint32_t tip = author == NONE ? 0 : c->authors[author].tip;
    const uint8_t *tip_id = tip == 0 ? zeros : c->authors[author].tip_id;
    if (e.seq != tip + 1 || memcmp(e.prev, tip_id, ID_BYTES) != 0) return ERR_CORRUPT;
    if (author == NONE) {
        int rc = author_add(n, c, e.author, &author);
        if (rc < 0) return rc;
    }
    uint8_t id[ID_BYTES];
    entry_id(n->crypto, &e, id);
    struct author *a = &c->authors[author];
    int rc = push_tip(n, a, id, e.time_ms);
    if (rc < 0) return rc;
    a->have = a->tip;
    a->have_ms = e.time_ms;
    memcpy(a->have_id, id, ID_BYTES);
    slice account;
    if (check_kind(n, c, &e, &account) == OK) (void)!set_account(n, c, a, account);
    rc = member_learn(n, c, &e, wire, true);
    if (rc < 0) return rc;
    if (author == c->self) c->leaving = e.kind == ENTRY_LEAVE; /* until it is joined again */
    author_touch(c, author);
    if (arrival->place_ms > n->clock_ms) n->clock_ms = arrival->place_ms;
    return OK;
}

/* Releases what is durable at the head of an author's stores, in order. */
static void release(struct node *n, uint32_t channel, uint32_t author)
{
    struct channel *c = n->channels[channel];
    struct author *a = &c->authors[author];
    bool grew = false;
    while (c->stored && a->ops_head != NONE && n->ops[a->ops_head].state == OP_STORED) {
        struct op *op = &n->ops[a->ops_head];
        if (member_learn(n, c, &op->blob->entry, op->blob->wire, true) < 0) {
            timer_arm(n, TIMER_SEAL, channel, 0, n->now + STORE_RETRY_US); /* no memory: later */
            break;
        }
        a->ops_head = op->next_of_author;
        if (a->ops_head == NONE) a->ops_tail = NONE;
        a->have = op->seq;
        memcpy(a->have_id, op->blob->id, ID_BYTES);
        a->have_ms = op->blob->entry.time_ms;
        cache_put(n, channel, author, op->seq, op->blob);
        op_enqueue(n, op, OP_DELIVER);
        grew = true;
    }
    if (!grew) return;
    author_touch(c, author);
    sync_grew(n, channel, author);
}

/* A received entry could not be stored: it and all that came after it are taken back. */
static void take_back(struct node *n, struct op *failed)
{
    uint32_t channel = failed->channel, author = failed->author, from = failed->seq;
    struct author *a = &n->channels[channel]->authors[author];
    uint32_t before = NONE, at = a->ops_head;
    while (at != NONE && n->ops[at].seq < from)
        before = at, at = n->ops[at].next_of_author;
    while (at != NONE) {
        struct op *op = &n->ops[at];
        at = op->next_of_author;
        if (op->state == OP_STORE)
            op->state = OP_FREE; /* still queued: node_next frees it */
        else
            op_free(n, op);
    }
    if (before == NONE) {
        a->ops_head = NONE;
        memcpy(a->tip_id, a->have_id, ID_BYTES);
        a->tip_ms = a->have_ms;
    } else {
        n->ops[before].next_of_author = NONE;
        memcpy(a->tip_id, n->ops[before].blob->id, ID_BYTES);
        a->tip_ms = n->ops[before].blob->entry.time_ms;
    }
    a->ops_tail = before;
    a->tip = from - 1;
    sync_lost(n, channel, author);
}

void feed_release_all(struct node *n, uint32_t channel)
{
    for (uint32_t i = 0; i < n->channels[channel]->authors_len; i++)
        if (n->channels[channel]->authors[i].used) release(n, channel, i);
}

void feed_done(struct node *n, struct op *op, int result)
{
    if (op->author == NONE) { /* a channel record: written again until it is there */
        uint32_t channel = op->channel;
        if (result != OK) {
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
        release(n, op->channel, op->author);
    } else if (op->own) {
        feed_retry(n, op);
    } else {
        take_back(n, op);
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
