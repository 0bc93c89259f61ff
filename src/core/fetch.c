/* fetch.c - getting the leaves of a file: what is asked of whom, what comes, and its way to the disk.
 *
 * Rarest first: of some leaves that a partner has and nobody was asked for, one that the fewest have. Each
 * partner is asked for what it is likely to bring within a second. */
#include <string.h>

#include "core/transfer.h"

static const char words_full[] = "the disk is full: make room, then go on";
static const char words_write[] = "the file cannot be written";
static const char words_liar[] =
    "a device sent bytes that are not of the file: nothing of this file is taken from it any more";

/* --- slots --- */

static bool is_asked(const struct slot *s)
{
    return s->state == SLOT_ASKED || s->state == SLOT_ARRIVING;
}

static struct slot *slot_find(struct transfers *t, const struct partner *q, uint32_t leaf)
{
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &t->slots[i];
        if (is_asked(s) && s->partner == q && s->leaf == leaf) return s;
    }
    return NULL;
}

static struct slot *slot_new(struct node *n, struct partner *q, uint32_t leaf)
{
    struct transfers *t = n->transfers;
    struct file *f = q->file;
    struct slot *s = t->slots;
    while (s->state != SLOT_FREE)
        s++;
    *s = (struct slot){.state = SLOT_ASKED, .file = f, .partner = q, .leaf = leaf, .asked_at = n->now};
    s->order = ++t->orders;
    s->leaf_len = tree_leaf_bytes(f->size, leaf);
    s->proof_len = tree_proof_bytes(f->size, leaf);
    t->slots_used++;
    f->slots++;
    f->starving_since = 0;
    t->busy += q->asked == 0;
    q->asked++;
    q->pipe->bulk->asked++;
    (void)leaves_remove(&f->need, leaf);
    transfer_timer(n, n->now + q->patience_us);
    return s;
}

static void slot_forget_bytes(struct node *n, struct slot *s)
{
    alloc_free(n->allocator, s->bytes, s->leaf_len + s->proof_len);
    s->bytes = NULL;
}

/* The partner has brought it, or is not asked for it any more. */
static void slot_leave_partner(struct node *n, struct slot *s)
{
    struct partner *q = s->partner;
    if (!q) return;
    q->pipe->bulk->asked--;
    q->asked--;
    n->transfers->busy -= q->asked == 0;
    s->partner = NULL;
}

/* The slot is free; its leaf is needed again unless it is here or in another slot. */
static void slot_release(struct node *n, struct slot *s)
{
    struct transfers *t = n->transfers;
    struct file *f = s->file;
    uint32_t leaf = s->leaf;
    bool was_full = t->slots_used == SLOTS_MAX, needed = !leaves_has(&f->have, leaf);
    slot_leave_partner(n, s);
    slot_forget_bytes(n, s);
    t->writes_due -= s->state == SLOT_WRITE;
    *s = (struct slot){.state = SLOT_FREE};
    t->slots_used--;
    f->slots--;
    for (uint32_t i = 0; i < SLOTS_MAX && needed; i++)
        needed = t->slots[i].state == SLOT_FREE || t->slots[i].file != f || t->slots[i].leaf != leaf;
    if (needed) (void)leaves_add(&f->need, leaf);
    for (uint32_t i = 0; i < t->awake_len && was_full; i++)
        file_wake(n, t->awake[i]);
}

static void slot_cancel(struct node *n, struct slot *s)
{
    struct partner *q = s->partner;
    q->stray += (uint32_t)(s->leaf_len + FILE_PIECE_BYTES - 1) / FILE_PIECE_BYTES;
    partner_stop(n, q, s->leaf, STOP_CANCEL, s->leaf);
    slot_release(n, s);
}

void fetch_partner_gone(struct node *n, struct partner *q)
{
    for (uint32_t i = 0; i < SLOTS_MAX && q->asked > 0; i++) {
        if (n->transfers->slots[i].partner == q) slot_release(n, &n->transfers->slots[i]);
    }
}

void fetch_release(struct node *n, struct file *f, enum release what)
{
    for (uint32_t i = 0; i < SLOTS_MAX && f->slots > 0; i++) {
        struct slot *s = &n->transfers->slots[i];
        if (s->state == SLOT_FREE || s->file != f) continue;
        if (is_asked(s))
            slot_cancel(n, s);
        else if (what == RELEASE_ALL || (what == RELEASE_HELD && s->state != SLOT_WRITING))
            slot_release(n, s);
        else if (what == RELEASE_HELD)
            slot_forget_bytes(n, s); /* the disk has it or not; a second try would need it */
    }
}

/* --- asking --- */

static uint32_t ask_limit(const struct node *n, const struct partner *q)
{
    const struct transfers *t = n->transfers;
    uint32_t busy = t->busy + (q->asked == 0), fair = SLOTS_MAX / busy;
    if (fair < WINDOW_MIN) fair = WINDOW_MIN;
    return q->window < fair ? q->window : fair;
}

static uint32_t next_needed(const struct partner *q, uint32_t from)
{
    if (!q->all && !q->theirs.words) return LEAVES_NONE;
    return leaves_next(&q->file->need, q->all ? NULL : &q->theirs, from);
}

static bool can_bring(const struct partner *q, uint32_t leaf)
{
    return q->all || (q->theirs.words && leaves_has(&q->theirs, leaf));
}

/* All leaves are asked for, but another partner has far more to do: the one that it would send last. */
static struct slot *stealable(const struct node *n, const struct partner *q)
{
    struct slot *best = NULL;
    if (q->file->need.count > 0 || q->file->slots < STEAL_LEAD) return NULL;
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        struct slot *s = &n->transfers->slots[i];
        if (s->state != SLOT_ASKED || s->file != q->file || s->partner == q) continue;
        if (s->partner->asked < q->asked + STEAL_LEAD || !can_bring(q, s->leaf)) continue;
        if (!best || s->partner->asked > best->partner->asked ||
            (s->partner->asked == best->partner->asked && s->order > best->order))
            best = s;
    }
    return best;
}

/* The last leaves: one that another partner was asked for long ago and that this one may bring sooner. */
static uint32_t endgame_leaf(const struct node *n, const struct partner *q)
{
    const struct transfers *t = n->transfers;
    uint32_t best = NONE;
    usec oldest = n->now;
    if (q->file->need.count > 0 || q->file->slots == 0) return NONE;
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot *s = &t->slots[i];
        if (!is_asked(s) || s->file != q->file || s->partner == q) continue;
        if (s->asked_at + FILE_ENDGAME_US > n->now || s->asked_at >= oldest) continue;
        bool can = can_bring(q, s->leaf);
        for (uint32_t k = 0; k < SLOTS_MAX && can; k++) {
            const struct slot *other = &t->slots[k];
            can = k == i || other->state == SLOT_FREE || other->file != q->file || other->leaf != s->leaf;
        }
        if (!can) continue;
        best = s->leaf;
        oldest = s->asked_at;
    }
    return best;
}

bool fetch_can_want(const struct node *n, const struct partner *q)
{
    if (!file_fetches(q->file) || q->liar || q->pipe->closing || n->now < q->stalled_until) return false;
    if (n->transfers->slots_used == SLOTS_MAX || q->pipe->bulk->asked >= WINDOW_MAX) return false;
    if (q->asked >= ask_limit(n, q)) return false;
    return next_needed(q, 0) != LEAVES_NONE || stealable(n, q) || endgame_leaf(n, q) != NONE;
}

static uint32_t holders(const struct file *f, uint32_t leaf, uint32_t enough)
{
    uint32_t count = 0;
    for (const struct partner *q = f->partners; q && count < enough; q = q->next_of_file)
        count += !q->liar && partner_has(q, leaf);
    return count;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u; /* the finaliser of splitmix64 */
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint32_t pick(struct node *n, struct partner *q)
{
    const struct file *f = q->file;
    uint32_t best = NONE, fewest = UINT32_MAX, hint = q->hint;
    q->hint = NONE;
    if (hint != NONE && leaves_has(&f->need, hint) && next_needed(q, hint) == hint) return hint;
    struct slot *other = stealable(n, q);
    if (other) {
        uint32_t leaf = other->leaf;
        PROBE(n, STEAL);
        slot_cancel(n, other);
        return leaf;
    }
    if (next_needed(q, 0) == LEAVES_NONE) {
        PROBE(n, ENDGAME);
        return endgame_leaf(n, q);
    }
    uint64_t seed = random_below(&n->random, UINT64_MAX);
    for (uint32_t i = 0; i < PICK_SAMPLES; i++) {
        uint32_t leaf = next_needed(q, (uint32_t)(mix(seed + i * 0x9e3779b97f4a7c15u) % f->leaves));
        if (leaf == LEAVES_NONE) leaf = next_needed(q, 0);
        if (leaf == best) continue;
        uint32_t count = holders(f, leaf, fewest);
        if (count >= fewest) continue;
        best = leaf;
        fewest = count;
    }
    return best;
}

slice fetch_want(struct node *n, struct partner *q)
{
    uint32_t picked[WINDOW_MAX], len = 0;
    struct file *f = q->file;
    while (len < WINDOW_MAX && fetch_can_want(n, q)) {
        uint32_t leaf = pick(n, q);
        if (leaf == NONE) break;
        (void)slot_new(n, q, leaf);
        picked[len++] = leaf;
    }
    if (len == 0) return SLICE_EMPTY;
    struct writer w = writer_of(n->plain, sizeof n->plain);
    cbor_put_array(&w, 4);
    cbor_put_uint(&w, MESSAGE_FILE_WANT);
    cbor_put_bytes(&w, slice_of(f->root, ID_BYTES));
    cbor_put_uint(&w, n->now < f->insist_until ? FILE_WANT_INSIST : 0);
    cbor_put_array(&w, len);
    for (uint32_t i = 0; i < len; i++)
        cbor_put_uint(&w, picked[i]);
    file_changed(n, f);
    return writer_slice(&w);
}

void fetch_on_stop(struct node *n, struct partner *q, uint32_t leaf, uint64_t reason, uint32_t instead)
{
    struct file *f = q->file;
    struct slot *s = slot_find(n->transfers, q, leaf);
    if (!s) return; /* cancelled meanwhile */
    q->heard_at = n->now;
    slot_release(n, s);
    partner_refused(n, q, leaf, reason == STOP_LATER);
    if (reason == STOP_LATER && instead != leaf) q->hint = instead;
    file_changed(n, f);
    file_wake(n, f);
    if (f->slots == 0 && f->starving_since == 0) { /* perhaps nothing is left to be asked for */
        f->starving_since = n->now;
        transfer_timer(n, n->now + FILE_STARVE_US);
    }
}

/* --- what comes --- */

/* Whoever sends what is not of the file is asked for nothing more of it. The link may be closed by this. */
static void caught(struct node *n, struct partner *q)
{
    struct file *f = q->file;
    struct pipe *p = q->pipe;
    PROBE(n, LIAR);
    memcpy(f->liars[f->liars_next], p->link.device, ID_BYTES);
    f->liars_next = (f->liars_next + 1) % LIARS_MAX;
    if (f->liars_len < LIARS_MAX) f->liars_len++;
    for (struct partner *o = f->partners; o; o = o->next_of_file) {
        if (memcmp(o->pipe->link.device, p->link.device, ID_BYTES) != 0) continue;
        o->liar = true;
        for (uint32_t i = 0; i < SLOTS_MAX && o->asked > 0; i++) {
            if (n->transfers->slots[i].partner == o) slot_cancel(n, &n->transfers->slots[i]);
        }
    }
    node_warn(n, ERR_PROTOCOL, p->link.device, words_liar);
    file_changed(n, f);
    file_wake(n, f);
    pipe_glitch(n, p);
}

static void measure(struct node *n, struct partner *q, const struct slot *s)
{
    usec since = q->leaf_at > s->asked_at ? q->leaf_at : s->asked_at, took = n->now - since;
    q->interval_us = q->interval_us ? (3 * q->interval_us + took) / 4 : took;
    if (q->interval_us == 0) q->interval_us = 1;
    uint64_t ahead = FILE_AHEAD_US / q->interval_us;
    q->window = ahead > WINDOW_MAX - WINDOW_MIN ? WINDOW_MAX : WINDOW_MIN + (uint32_t)ahead;
    q->leaf_at = n->now;
}

static void leaf_complete(struct node *n, struct slot *s)
{
    struct transfers *t = n->transfers;
    struct partner *q = s->partner;
    struct file *f = s->file;
    slice bytes = slice_of(s->bytes, s->leaf_len), proof = slice_of(s->bytes + s->leaf_len, s->proof_len);
    if (!tree_verify(n->crypto, f->root, f->size, s->leaf, bytes, proof)) {
        caught(n, q);
        return;
    }
    f->mismatch = false;
    measure(n, q, s);
    slot_leave_partner(n, s);
    s->state = SLOT_WRITE;
    s->order = ++t->orders;
    t->writes_due++;
    for (uint32_t i = 0; i < SLOTS_MAX; i++) { /* others were asked for it, too */
        struct slot *o = &t->slots[i];
        if (is_asked(o) && o->file == f && o->leaf == s->leaf) slot_cancel(n, o);
    }
    if (fetch_can_want(n, q)) pipe_wake(n, q->pipe);
}

/* The next piece of a leaf: false when it is not what was to come. */
static bool take_piece(struct node *n, struct slot *s, uint64_t offset, slice piece, slice proof)
{
    size_t rest = s->leaf_len - s->got, due = rest < FILE_PIECE_BYTES ? rest : FILE_PIECE_BYTES;
    if (offset != s->got || piece.len != due || (offset == 0 && proof.len != s->proof_len)) return false;
    if (!s->bytes) {
        s->bytes = alloc_new(n->allocator, s->leaf_len + s->proof_len);
        if (!s->bytes) { /* asked for again, when there may be memory */
            s->partner->stalled_until = n->now + FILE_STARVE_US;
            transfer_timer(n, s->partner->stalled_until);
            slot_cancel(n, s);
            return true;
        }
        s->state = SLOT_ARRIVING;
        if (proof.len) memcpy(s->bytes + s->leaf_len, proof.ptr, proof.len);
    }
    memcpy(s->bytes + s->got, piece.ptr, piece.len);
    s->got += piece.len;
    if (s->got == s->leaf_len) leaf_complete(n, s);
    return true;
}

int fetch_on_data(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements)
{
    const uint8_t *root = cbor_fixed(r, ID_BYTES);
    uint64_t leaf = cbor_uint(r, UINT32_MAX), offset = cbor_uint(r, NODE_LEAF_BYTES);
    slice piece = cbor_bytes(r, FILE_PIECE_BYTES), proof = cbor_bytes(r, TREE_PROOF_BYTES_MAX);
    if (r->failed || elements < 6) return ERR_MALFORMED;
    struct file *f = file_find(n, root);
    struct partner *q = f ? partner_find(p, f) : NULL;
    if (!q) return OK; /* dropped or paused meanwhile */
    struct slot *s = slot_find(n->transfers, q, (uint32_t)leaf);
    if (!s && q->stray > 0) {
        PROBE(n, STRAY_PIECE);
        q->stray--; /* it was on its way when it was cancelled */
        return OK;
    }
    if (!s) {
        pipe_glitch(n, p);
        return OK;
    }
    if (offset != s->got && q->stray > 0) {
        PROBE(n, STRAY_AGAIN); /* it was cancelled and asked for again: the rest of the first answer ... */
        q->stray--;
        if (offset > 0) return OK;
        s->got = 0; /* ... or the second one begins */
    }
    q->heard_at = n->now;
    if (!take_piece(n, s, offset, piece, proof)) caught(n, q);
    return OK;
}

/* --- the disk --- */

bool fetch_next(struct node *n, struct action *out)
{
    struct transfers *t = n->transfers;
    struct slot *next = NULL;
    for (uint32_t i = 0; i < SLOTS_MAX && t->writes_due > 0; i++) {
        struct slot *s = &t->slots[i];
        if (s->state == SLOT_WRITE && (!next || s->order < next->order)) next = s;
    }
    if (!next) return false;
    t->writes_due--;
    next->state = SLOT_WRITING;
    next->token = ++n->tokens * OPS_MAX;
    out->kind = ACTION_FILE_WRITE;
    out->token = next->token;
    out->root = next->file->root;
    out->leaf = next->leaf;
    out->record = slice_of(next->bytes, next->leaf_len);
    out->proof = slice_of(next->bytes + next->leaf_len, next->proof_len);
    return true;
}

static void write_failed(struct node *n, struct slot *s, int result)
{
    struct file *f = s->file;
    bool again = result != ERR_DISK_FULL && s->bytes && ++s->tries < WRITE_TRIES_MAX;
    if (again) {
        s->pause = s->pause ? 2 * s->pause : FILE_WRITE_RETRY_US;
        s->retry_at = n->now + s->pause;
        PROBE(n, WRITE_AGAIN);
        s->state = SLOT_RETRY;
        transfer_timer(n, s->retry_at);
        return;
    }
    slot_release(n, s);
    if (!f->stuck) file_stuck(n, f, result, result == ERR_DISK_FULL ? words_full : words_write);
}

bool fetch_done(struct node *n, uint64_t token, int result)
{
    struct slot *s = NULL;
    for (uint32_t i = 0; i < SLOTS_MAX && !s; i++) {
        struct slot *at = &n->transfers->slots[i];
        if (at->state == SLOT_WRITING && at->token == token) s = at;
    }
    if (!s) return false;
    if (result != OK) {
        write_failed(n, s, result);
        return true;
    }
    struct file *f = s->file;
    uint32_t leaf = s->leaf;
    if (leaves_add(&f->have, leaf)) partners_tell(n, f, leaf);
    slot_release(n, s);
    if (file_whole(f))
        file_completed(n, f);
    else
        file_changed(n, f);
    return true;
}

/* --- time --- */

static void tick_slot(struct node *n, struct slot *s)
{
    if (s->state == SLOT_RETRY) {
        if (n->now < s->retry_at) {
            transfer_timer(n, s->retry_at);
            return;
        }
        s->state = SLOT_WRITE;
        s->order = ++n->transfers->orders;
        n->transfers->writes_due++;
        return;
    }
    if (!is_asked(s)) return;
    struct partner *q = s->partner;
    usec since = q->heard_at > s->asked_at ? q->heard_at : s->asked_at;
    if (n->now < since + q->patience_us) {
        transfer_timer(n, since + q->patience_us);
        return;
    }
    /* Silent: others are asked, and this one again after a while, with more patience. */
    struct file *f = s->file;
    for (uint32_t i = 0; i < SLOTS_MAX && q->asked > 0; i++) {
        if (n->transfers->slots[i].partner == q) slot_cancel(n, &n->transfers->slots[i]);
    }
    PROBE(n, SOURCE_SILENT);
    q->stalled_until = n->now + q->patience_us;
    q->patience_us = q->patience_us > FILE_STALL_MAX_US / 2 ? FILE_STALL_MAX_US : 2 * q->patience_us;
    q->window = WINDOW_MIN;
    q->interval_us = 0;
    transfer_timer(n, q->stalled_until);
    file_changed(n, f);
    file_wake(n, f);
}

/* Nothing is left but what was refused, because others were given it: perhaps they cannot be reached. */
static void tick_starving(struct node *n, struct file *f)
{
    bool refused = false;
    for (const struct partner *q = f->partners; q; q = q->next_of_file)
        refused = refused || (!q->liar && q->later.count > 0);
    if (f->slots > 0 || !refused) {
        f->starving_since = 0;
        return;
    }
    if (f->starving_since == 0) f->starving_since = n->now;
    if (n->now < f->starving_since + FILE_STARVE_US) {
        transfer_timer(n, f->starving_since + FILE_STARVE_US);
        return;
    }
    f->starving_since = 0;
    f->insist_us = f->insist_us == 0                        ? FILE_STARVE_US
                   : f->insist_us >= FILE_INSIST_MAX_US / 2 ? FILE_INSIST_MAX_US
                                                            : 2 * f->insist_us;
    f->insist_until = n->now + f->insist_us;
    PROBE(n, STARVED);
    for (struct partner *q = f->partners; q; q = q->next_of_file) {
        if (q->later.count == 0) continue;
        leaves_add_all(&q->theirs, &q->later);
        leaves_clear(&q->later);
    }
}

static void tick_fetch(struct node *n, struct file *f)
{
    usec oldest = NEVER;
    for (const struct partner *q = f->partners; q; q = q->next_of_file) {
        if (q->stalled_until > n->now) transfer_timer(n, q->stalled_until);
    }
    tick_starving(n, f);
    for (uint32_t i = 0; i < SLOTS_MAX && f->need.count == 0 && f->slots > 0; i++) {
        const struct slot *s = &n->transfers->slots[i];
        if (is_asked(s) && s->file == f && s->asked_at < oldest) oldest = s->asked_at;
    }
    if (oldest != NEVER)
        transfer_timer(n, oldest + FILE_ENDGAME_US > n->now ? oldest + FILE_ENDGAME_US
                                                            : n->now + FILE_ENDGAME_US);
    file_wake(n, f);
}

void fetch_tick(struct node *n)
{
    struct transfers *t = n->transfers;
    for (uint32_t i = 0; i < SLOTS_MAX && t->slots_used > 0; i++)
        tick_slot(n, &t->slots[i]);
    for (uint32_t i = 0; i < t->awake_len; i++) {
        if (file_fetches(t->awake[i])) tick_fetch(n, t->awake[i]);
    }
}
