/* partner.c - who has which leaves of a file, and telling others what is here: ASK, HAVE and STOP. */
#include <string.h>

#include "core/transfer.h"

static bool is_person(const struct pipe *p)
{
    return p->link.role == ROLE_PERSON;
}

/* --- the table --- */

struct bulk *bulk_get(struct node *n, struct pipe *p)
{
    if (!p->bulk) p->bulk = alloc_new(n->allocator, sizeof *p->bulk);
    return p->bulk;
}

struct partner *partner_find(const struct pipe *p, const struct file *f)
{
    struct partner *q = p->bulk ? p->bulk->partners : NULL;
    while (q && q->file != f)
        q = q->next_of_pipe;
    return q;
}

static bool lied(const struct file *f, const uint8_t *device)
{
    for (uint32_t i = 0; i < f->liars_len; i++) {
        if (memcmp(f->liars[i], device, ID_BYTES) == 0) return true;
    }
    return false;
}

struct partner *partner_get(struct node *n, struct pipe *p, struct file *f)
{
    struct partner *q = partner_find(p, f);
    if (q) return q;
    struct bulk *b = bulk_get(n, p);
    if (!b || b->partners_len >= PARTNERS_MAX) return NULL;
    q = alloc_new(n->allocator, sizeof *q);
    if (!q) return NULL;
    q->pipe = p;
    q->file = f;
    q->window = WINDOW_MIN;
    q->hint = NONE;
    q->patience_us = FILE_STALL_US;
    q->liar = lied(f, p->link.device);
    if (f->partners_last)
        f->partners_last->next_of_file = q;
    else
        f->partners = q;
    f->partners_last = q;
    if (b->partners_last)
        b->partners_last->next_of_pipe = q;
    else
        b->partners = q;
    b->partners_last = q;
    b->partners_len++;
    return q;
}

static void unlink_of_file(struct partner *q)
{
    struct file *f = q->file;
    struct partner *before = NULL;
    for (struct partner *at = f->partners; at != q; at = at->next_of_file)
        before = at;
    if (before)
        before->next_of_file = q->next_of_file;
    else
        f->partners = q->next_of_file;
    if (f->partners_last == q) f->partners_last = before;
}

static void unlink_of_pipe(struct partner *q)
{
    struct bulk *b = q->pipe->bulk;
    struct partner *before = NULL;
    for (struct partner *at = b->partners; at != q; at = at->next_of_pipe)
        before = at;
    if (before)
        before->next_of_pipe = q->next_of_pipe;
    else
        b->partners = q->next_of_pipe;
    if (b->partners_last == q) b->partners_last = before;
    if (b->turn == q) b->turn = NULL;
    b->partners_len--;
}

static bool map_new(struct node *n, struct leaves *map, const struct file *f, bool all)
{
    struct transfers *t = n->transfers;
    size_t bytes = leaves_bytes(f->leaves);
    if (map->words) return true;
    if (bytes > FILE_MAPS_BYTES_MAX - t->map_bytes) return false;
    if (leaves_init(map, n->allocator, f->leaves, all) < 0) return false;
    t->map_bytes += bytes;
    return true;
}

static void map_free(struct node *n, struct leaves *map)
{
    if (map->words) n->transfers->map_bytes -= leaves_bytes(map->total);
    leaves_deinit(map, n->allocator);
}

void partner_forget(struct node *n, struct partner *q)
{
    q->all = false;
    q->hint = NONE;
    map_free(n, &q->theirs);
    map_free(n, &q->later);
}

void partner_free(struct node *n, struct partner *q)
{
    struct file *f = q->file;
    fetch_partner_gone(n, q);
    give_partner_gone(n, q);
    partner_forget(n, q);
    unlink_of_file(q);
    unlink_of_pipe(q);
    alloc_free(n->allocator, q, sizeof *q);
    file_changed(n, f);
    file_wake(n, f);
}

void partners_drop(struct node *n, struct file *f)
{
    while (f->partners) {
        partner_stop(n, f->partners, 0, STOP_GONE, 0);
        partner_free(n, f->partners);
    }
}

bool partner_has(const struct partner *q, uint32_t leaf)
{
    if (q->all) return true;
    return (q->theirs.words && leaves_has(&q->theirs, leaf)) ||
           (q->later.words && leaves_has(&q->later, leaf));
}

bool partner_is_source(const struct partner *q)
{
    return !q->liar && (q->all || q->theirs.count > 0 || q->later.count > 0);
}

void partner_refused(struct node *n, struct partner *q, uint32_t leaf, bool later)
{
    struct file *f = q->file;
    if (!partner_has(q, leaf)) return;
    if (q->all) {
        if (!map_new(n, &q->theirs, f, true)) {
            q->stalled_until =
                n->now + FILE_STARVE_US; /* no memory to tell leaves apart: asked again later */
            transfer_timer(n, q->stalled_until);
            return;
        }
        q->all = false;
    }
    if (later && !map_new(n, &q->later, f, false)) later = false;
    if (q->theirs.words) (void)leaves_remove(&q->theirs, leaf);
    if (later)
        (void)leaves_add(&q->later, leaf);
    else if (q->later.words)
        (void)leaves_remove(&q->later, leaf);
}

/* --- asking --- */

void partners_ask_link(struct node *n, struct file *f, struct pipe *p, uint32_t channel)
{
    uint8_t plain[96];
    struct writer w = writer_of(plain, sizeof plain);
    const struct partner *q = partner_find(p, f);
    if (!is_person(p) || (q && (q->all || q->theirs.words))) return;
    cbor_put_array(&w, 4);
    cbor_put_uint(&w, MESSAGE_FILE_ASK);
    cbor_put_bytes(&w, slice_of(n->channels[channel]->id, ID_BYTES));
    cbor_put_bytes(&w, slice_of(f->root, ID_BYTES));
    cbor_put_uint(&w, f->size);
    (void)pipe_control(n, p, writer_slice(&w)); /* a full queue: asked again later */
}

void partners_ask(struct node *n, struct file *f)
{
    for (uint32_t i = 0; i < f->channels_len; i++) {
        const struct channel *c = n->channels[f->channels[i]];
        for (uint32_t k = 0; k < c->members_len; k++)
            partners_ask_link(n, f, n->pipes[c->members[k]], f->channels[i]);
    }
    f->ask_at = n->now + FILE_ASK_US;
    transfer_timer(n, f->ask_at);
}

static void tell_all(struct node *n, struct partner *q)
{
    q->snapshot = q->snapshot_first = true;
    q->snapshot_cursor = 0;
    q->snapshot_seq = q->file->fresh_seq;
    q->snapshot_at = n->now;
    pipe_wake(n, q->pipe);
}

static void remember_ask(struct node *n, struct pipe *p, uint32_t channel, const uint8_t *root)
{
    struct bulk *b = bulk_get(n, p);
    if (!b) return;
    for (uint32_t i = 0; i < b->asks_len; i++) {
        if (b->asks[i].channel == channel && memcmp(b->asks[i].root, root, ID_BYTES) == 0) return;
    }
    b->asks[b->asks_next].channel = channel;
    memcpy(b->asks[b->asks_next].root, root, ID_BYTES);
    b->asks_next = (b->asks_next + 1) % ASKS_MAX;
    if (b->asks_len < ASKS_MAX) b->asks_len++;
}

void partners_answer(struct node *n, struct file *f, uint32_t channel)
{
    const struct channel *c = n->channels[channel];
    for (uint32_t k = 0; k < c->members_len; k++) {
        struct pipe *p = n->pipes[c->members[k]];
        for (uint32_t i = 0; p->bulk && i < p->bulk->asks_len; i++) {
            if (p->bulk->asks[i].channel != channel) continue;
            if (memcmp(p->bulk->asks[i].root, f->root, ID_BYTES) != 0) continue;
            struct partner *q = partner_get(n, p, f);
            if (q) tell_all(n, q);
        }
    }
}

static void put_have_head(struct writer *w, const struct node *n, const struct partner *q, uint64_t flags,
                          bool bits)
{
    const struct file *f = q->file;
    uint32_t channel = f->channels[0];
    for (uint32_t i = 0; i < f->channels_len; i++) {
        const struct share *s = share_of(q->pipe, f->channels[i]);
        if (s && s->active) channel = f->channels[i];
    }
    cbor_put_array(w, bits ? 8 : 6);
    cbor_put_uint(w, MESSAGE_FILE_HAVE);
    cbor_put_bytes(w, slice_of(n->channels[channel]->id, ID_BYTES));
    cbor_put_bytes(w, slice_of(f->root, ID_BYTES));
    cbor_put_uint(w, f->size);
    cbor_put_uint(w, flags);
}

int partner_on_ask(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements)
{
    uint32_t channel;
    const uint8_t *id = cbor_fixed(r, ID_BYTES), *root = cbor_fixed(r, ID_BYTES);
    (void)cbor_uint(r, UINT64_MAX); /* the size, as the other side knows it; the answer says ours */
    if (r->failed || elements < 4) return ERR_MALFORMED;
    if (!is_person(p) || n->config.role != ROLE_PERSON) return OK;
    struct channel *c = channel_find(n, id, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    if (!s || !s->active) {
        pipe_glitch(n, p);
        return OK;
    }
    struct file *f = file_find(n, root);
    if (!f || file_silent(f) || !file_in(f, channel)) {
        remember_ask(n, p, channel, root);
        return OK;
    }
    struct partner *q = partner_get(n, p, f);
    if (!q) return OK;
    /* Whoever asks in order to be told a large set again and again waits for it. */
    if (q->snapshot_at == 0 || n->now >= q->snapshot_at + FILE_STARVE_US) tell_all(n, q);
    return OK;
}

/* --- what the other side has --- */

/* Runs are rising and apart from each other. */
static bool take_runs(struct partner *q, struct cbor_reader *r, uint64_t items)
{
    uint64_t from = 0;
    for (uint64_t i = 0; i < items / 2; i++) {
        uint64_t start = cbor_uint(r, q->file->leaves), count = cbor_uint(r, q->file->leaves);
        if (r->failed || count == 0 || start < from || count > q->file->leaves - start) return false;
        leaves_add_run(&q->theirs, (uint32_t)start, (uint32_t)count);
        from = start + count;
    }
    return items % 2 == 0;
}

/* r: at the runs. The form of the message as a whole has been checked. */
static int take_have(struct node *n, struct partner *q, struct cbor_reader *r, uint64_t elements)
{
    struct file *f = q->file;
    uint64_t items = cbor_array(r, 2 * RUNS_MAX);
    if (r->failed) return ERR_MALFORMED;
    struct cbor_reader look = *r;
    if (items == 2 && cbor_uint(&look, UINT64_MAX) == 0 && cbor_uint(&look, UINT64_MAX) == f->leaves) {
        partner_forget(n, q); /* everything: no set is needed */
        q->all = true;
    }
    if (q->all || (items == 0 && elements < 8)) return OK;
    if (!map_new(n, &q->theirs, f, false)) return OK; /* no memory for one more: not a source for now */
    if (!take_runs(q, r, items)) return ERR_MALFORMED;
    if (elements < 8) return OK;
    uint64_t at = cbor_uint(r, f->leaves);
    slice bits = cbor_bytes(r, BITS_BYTES);
    if (r->failed || at % 64 != 0 || !leaves_add_bits(&q->theirs, (uint32_t)at, bits)) return ERR_MALFORMED;
    return OK;
}

int partner_on_have(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements)
{
    uint32_t channel;
    const uint8_t *id = cbor_fixed(r, ID_BYTES), *root = cbor_fixed(r, ID_BYTES);
    uint64_t size = cbor_uint(r, UINT64_MAX), flags = cbor_uint(r, UINT32_MAX);
    if (r->failed || elements < 6) return ERR_MALFORMED;
    struct channel *c = channel_find(n, id, &channel);
    struct share *s = c ? share_of(p, channel) : NULL;
    struct file *f = file_find(n, root);
    if (!is_person(p) || !s || !s->active || !f || file_silent(f) || !file_in(f, channel)) return OK;
    if (size != f->size) { /* one of the two is wrong; a leaf that verifies will tell */
        if (!f->held && f->have.count == 0 && !f->mismatch) {
            f->mismatch = true;
            file_changed(n, f);
        }
        return OK;
    }
    struct partner *q = partner_get(n, p, f);
    if (!q) return OK;
    if (flags & FILE_HAVE_FIRST) partner_forget(n, q);
    if (q->snapshot_at == 0) tell_all(n, q);
    int rc = take_have(n, q, r, elements);
    if (rc < 0) return rc;
    file_changed(n, f);
    if (fetch_can_want(n, q)) pipe_wake(n, p);
    return OK;
}

/* --- telling --- */

static slice news_whole(struct node *n, struct partner *q)
{
    struct writer w = writer_of(n->plain, sizeof n->plain);
    put_have_head(&w, n, q, FILE_HAVE_FIRST, false);
    cbor_put_array(&w, 2);
    cbor_put_uint(&w, 0);
    cbor_put_uint(&w, q->file->leaves);
    q->snapshot = false;
    q->told = q->file->fresh_seq;
    return w.failed ? SLICE_EMPTY : writer_slice(&w);
}

/* The runs of the set from *at on; how many, at most RUNS_MAX. *at: where it goes on. */
static uint32_t runs_of(const struct leaves *set, uint32_t *at, struct writer *w)
{
    uint32_t runs = 0, from = *at;
    while (runs < RUNS_MAX) {
        uint32_t start = leaves_next(set, NULL, from);
        if (start == LEAVES_NONE) {
            from = set->total;
            break;
        }
        from = leaves_next_gap(set, start);
        runs++;
        if (w) {
            cbor_put_uint(w, start);
            cbor_put_uint(w, from - start);
        }
    }
    *at = from;
    return runs;
}

/* The next piece of all that is here. */
static slice news_piece(struct node *n, struct partner *q)
{
    const struct file *f = q->file;
    struct writer w = writer_of(n->plain, sizeof n->plain);
    uint64_t flags = q->snapshot_first ? FILE_HAVE_FIRST : 0;
    uint32_t from = q->snapshot_cursor, at = from, runs = runs_of(&f->have, &at, NULL);
    uint32_t bits_from = from / 64 * 64;
    if (runs == RUNS_MAX && at < bits_from + BITS_BYTES * 8) {
        uint8_t bits[BITS_BYTES];
        size_t len = leaves_bits(&f->have, bits_from, bits, sizeof bits);
        put_have_head(&w, n, q, flags, true);
        cbor_put_array(&w, 0);
        cbor_put_uint(&w, bits_from);
        cbor_put_bytes(&w, slice_of(bits, len));
        at = bits_from + (uint32_t)len * 8;
    } else {
        put_have_head(&w, n, q, flags, false);
        cbor_put_array(&w, 2 * (uint64_t)runs);
        (void)runs_of(&f->have, &from, &w);
    }
    q->snapshot_first = false;
    q->snapshot_cursor = at;
    if (at >= f->leaves) {
        q->snapshot = false;
        q->told = q->snapshot_seq;
    }
    return w.failed ? SLICE_EMPTY : writer_slice(&w);
}

/* What came since the last news, by rising number. */
static slice news_fresh(struct node *n, struct partner *q)
{
    const struct file *f = q->file;
    uint32_t fresh[RUNS_MAX], len = 0, runs = 0;
    while (q->told < f->fresh_seq && len < RUNS_MAX) {
        uint32_t leaf = f->fresh[q->told++ % FRESH_MAX], at = len;
        while (at > 0 && fresh[at - 1] > leaf) {
            fresh[at] = fresh[at - 1];
            at--;
        }
        if (at > 0 && fresh[at - 1] == leaf) { /* lost and come again */
            memmove(&fresh[at], &fresh[at + 1], (len - at) * sizeof *fresh);
            continue;
        }
        fresh[at] = leaf;
        len++;
    }
    for (uint32_t i = 0; i < len; i++)
        runs += i == 0 || fresh[i] != fresh[i - 1] + 1;
    struct writer w = writer_of(n->plain, sizeof n->plain);
    put_have_head(&w, n, q, 0, false);
    cbor_put_array(&w, 2 * (uint64_t)runs);
    for (uint32_t i = 0; i < len;) {
        uint32_t start = i;
        while (++i < len && fresh[i] == fresh[i - 1] + 1) {
        }
        cbor_put_uint(&w, fresh[start]);
        cbor_put_uint(&w, i - start);
    }
    return w.failed ? SLICE_EMPTY : writer_slice(&w);
}

bool partner_has_news(const struct partner *q)
{
    return q->snapshot || (q->file->tell_at == NEVER && q->told < q->file->fresh_seq);
}

slice partner_news(struct node *n, struct partner *q)
{
    struct file *f = q->file;
    if (!partner_has_news(q)) return SLICE_EMPTY;
    if (!q->snapshot && f->fresh_seq - q->told > FRESH_MAX) {
        tell_all(n, q);
        q->snapshot_first = false; /* it only grew */
    }
    if (!q->snapshot) return news_fresh(n, q);
    return file_whole(f) ? news_whole(n, q) : news_piece(n, q);
}

void partners_tell(struct node *n, struct file *f, uint32_t leaf)
{
    if (f->fresh) f->fresh[f->fresh_seq % FRESH_MAX] = leaf;
    f->fresh_seq++;
    if (f->tell_at != NEVER) return;
    f->tell_at = f->told_at + FILE_TELL_US;
    if (f->tell_at < n->now) f->tell_at = n->now;
    file_stir(n, f, f->tell_at);
}

void partners_tell_whole(struct node *n, struct file *f)
{
    for (struct partner *q = f->partners; q; q = q->next_of_file) {
        if (q->snapshot || q->told < f->fresh_seq) tell_all(n, q);
    }
    alloc_free(n->allocator, f->fresh, FRESH_MAX * sizeof *f->fresh);
    f->fresh = NULL;
}

void pipe_stop_file(struct node *n, struct pipe *p, const uint8_t *root, uint32_t leaf,
                    enum stop_reason reason, uint32_t instead)
{
    uint8_t plain[80];
    struct writer w = writer_of(plain, sizeof plain);
    cbor_put_array(&w, 5);
    cbor_put_uint(&w, MESSAGE_FILE_STOP);
    cbor_put_bytes(&w, slice_of(root, ID_BYTES));
    cbor_put_uint(&w, leaf);
    cbor_put_uint(&w, reason);
    cbor_put_uint(&w, instead);
    if (!p->closing) (void)pipe_control(n, p, writer_slice(&w)); /* lost: it times out */
}

void partner_stop(struct node *n, struct partner *q, uint32_t leaf, enum stop_reason reason, uint32_t instead)
{
    pipe_stop_file(n, q->pipe, q->file->root, leaf, reason, instead);
}
