/* give.c - serving leaves: read from the shell's store, checked, and sent in pieces, a few for each link.
 *
 * Who has the file from the start gives each leaf once while somebody else is linked who has it or is about
 * to: the others get it from there, so that the sender uploads a file little more than once. Whoever cannot
 * get it there says so after a while (INSIST). */
#include <string.h>

#include "core/transfer.h"

enum { GAP_WORDS_MAX = 65536 }; /* of the leaves that were given; looked at for one WANT */

static const char words_changed[] = "the file is not what it was when it was offered: it is not served";

/* --- who was given what --- */

static bool waits_for(const struct partner *q, uint32_t leaf)
{
    for (uint32_t i = 0; i < q->wants_len; i++) {
        if (q->wants[(q->wants_head + i) % FILE_WANTS_MAX] == leaf) return true;
    }
    return false;
}

static uint32_t given_len(const struct partner *q)
{
    return q->given_len < FILE_WANTS_MAX ? q->given_len : FILE_WANTS_MAX;
}

/* Which of some leaves another device has, or is about to: in their order, so that one look at each partner
 * does for all of them. */
enum { LEAVES_ASKED_MAX = 2 * FILE_WANTS_MAX };
struct elsewhere {
    uint32_t leaf[LEAVES_ASKED_MAX], len;
    bool there[LEAVES_ASKED_MAX];
};

/* The place of the first leaf that is not below this one. */
static uint32_t place_of(const struct elsewhere *e, uint32_t leaf)
{
    uint32_t from = 0, to = e->len;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (e->leaf[middle] < leaf)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static void elsewhere_add(struct elsewhere *e, uint32_t leaf)
{
    uint32_t at = place_of(e, leaf);
    if (at < e->len && e->leaf[at] == leaf) return;
    memmove(&e->leaf[at + 1], &e->leaf[at], (e->len - at) * sizeof *e->leaf);
    e->leaf[at] = leaf;
    e->len++;
}

static void elsewhere_mark(struct elsewhere *e, uint32_t leaf)
{
    uint32_t at = place_of(e, leaf);
    if (at < e->len && e->leaf[at] == leaf) e->there[at] = true;
}

static void elsewhere_look(struct elsewhere *e, const struct partner *q)
{
    for (const struct partner *o = q->file->partners; o; o = o->next_of_file) {
        if (o == q || memcmp(o->pipe->link.device, q->pipe->link.device, ID_BYTES) == 0) continue;
        for (uint32_t i = 0; i < o->wants_len; i++)
            elsewhere_mark(e, o->wants[(o->wants_head + i) % FILE_WANTS_MAX]);
        for (uint32_t i = 0; i < given_len(o); i++)
            elsewhere_mark(e, o->given[i]);
        for (uint32_t at = 0; at < e->len; at++)
            e->there[at] = e->there[at] || partner_has(o, e->leaf[at]);
    }
}

/* What the partner waited for or was given does not count any more, where nobody else has it. */
static void take_back(struct partner *q, const uint32_t *leaves, uint32_t len)
{
    struct file *f = q->file;
    struct elsewhere e = {0};
    if (!f->given.words) return;
    for (uint32_t i = 0; i < len; i++)
        elsewhere_add(&e, leaves[i]);
    elsewhere_look(&e, q);
    for (uint32_t at = 0; at < e.len; at++)
        if (!e.there[at]) (void)leaves_remove(&f->given, e.leaf[at]);
}

/* A leaf that nobody was given yet and that the partner lacks; `leaf` itself when there is none at hand.
 * *words: how much of the set may still be looked at. */
static uint32_t instead_of(struct partner *q, uint32_t leaf, uint32_t *words)
{
    struct file *f = q->file;
    if (f->given.count == f->leaves) return leaf;
    for (uint32_t tries = 0; tries < 2 * PICK_SAMPLES && *words > 0; tries++) {
        uint32_t next = leaves_next_gap(&f->given, f->given_at), looked = (next - f->given_at) / 64 + 1;
        *words -= looked < *words ? looked : *words;
        f->given_at = next < f->leaves ? next + 1 : 0;
        if (next < f->leaves && !partner_has(q, next)) return next;
    }
    return leaf;
}

/* --- wants --- */

/* others: which of the leaves can be had elsewhere; NULL: the partner insists. */
static void take_want(struct node *n, struct partner *q, uint32_t leaf, const struct elsewhere *others,
                      uint32_t *words)
{
    struct file *f = q->file;
    if (waits_for(q, leaf)) return;
    if (!file_has(f, leaf)) {
        partner_stop(n, q, leaf, STOP_UNREADABLE, leaf);
        return;
    }
    if (q->wants_len == FILE_WANTS_MAX) {
        partner_stop(n, q, leaf, STOP_LATER, leaf);
        return;
    }
    bool counts = f->held && (f->given.words || leaves_init(&f->given, n->allocator, f->leaves, false) == OK);
    if (counts && others && leaves_has(&f->given, leaf) && others->there[place_of(others, leaf)]) {
        PROBE(n, GIVEN_ALREADY);
        partner_stop(n, q, leaf, STOP_LATER, instead_of(q, leaf, words));
        return;
    }
    if (counts) (void)leaves_add(&f->given, leaf);
    q->wants[(q->wants_head + q->wants_len++) % FILE_WANTS_MAX] = leaf;
}

int give_on_want(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements)
{
    const uint8_t *root = cbor_fixed(r, ID_BYTES);
    uint64_t flags = cbor_uint(r, UINT32_MAX), count = cbor_array(r, FILE_WANTS_MAX);
    if (r->failed || elements < 4) return ERR_MALFORMED;
    struct file *f = file_find(n, root);
    struct partner *q = f ? partner_find(p, f) : NULL;
    if (!q) { /* dropped meanwhile; perhaps that could not be said */
        pipe_stop_file(n, p, root, 0, STOP_GONE, 0);
        return OK;
    }
    uint32_t leaves[FILE_WANTS_MAX], words = GAP_WORDS_MAX;
    struct elsewhere others = {0};
    bool insist = flags & FILE_WANT_INSIST;
    for (uint64_t i = 0; i < count; i++) {
        leaves[i] = (uint32_t)cbor_uint(r, UINT32_MAX);
        if (r->failed || leaves[i] >= f->leaves) return ERR_MALFORMED;
        elsewhere_add(&others, leaves[i]);
    }
    if (f->given.words && !insist) elsewhere_look(&others, q);
    for (uint64_t i = 0; i < count; i++)
        take_want(n, q, leaves[i], insist ? NULL : &others, &words);
    pipe_wake(n, p);
    return OK;
}

void give_on_cancel(struct node *n, struct partner *q, uint32_t leaf)
{
    struct bulk *b = q->pipe->bulk;
    (void)n;
    for (uint32_t i = 0, kept = 0; i < q->wants_len; i++) {
        uint32_t want = q->wants[(q->wants_head + i) % FILE_WANTS_MAX];
        if (want != leaf) q->wants[(q->wants_head + kept++) % FILE_WANTS_MAX] = want;
        if (i + 1 < q->wants_len) continue;
        if (kept < q->wants_len) take_back(q, &leaf, 1);
        q->wants_len = kept;
        break;
    }
    for (uint32_t i = 0; i < b->gives_len; i++) { /* what is being sent is sent to its end */
        struct give *g = b->gives[i];
        if (g->partner == q && g->leaf == leaf && g->sent == 0) g->partner = NULL;
    }
}

/* --- gives --- */

/* Links whose wants could not be read for lack of a give get another chance. */
static void wake_short(struct node *n)
{
    struct transfers *t = n->transfers;
    if (!t->gives_short) return;
    t->gives_short = false;
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        struct pipe *p = n->pipes[(t->give_turn + i) % n->pipes_cap];
        if (!p || !p->bulk || p->bulk->gives_len == GIVES_OF_LINK) continue;
        bool waits = false;
        for (const struct partner *q = p->bulk->partners; q; q = q->next_of_pipe)
            waits = waits || q->wants_len > 0;
        if (!waits) continue;
        if (!t->gives_short) t->give_turn = p->slot + 1;
        t->gives_short = true;
        pipe_wake(n, p);
    }
}

static void give_free(struct node *n, struct give *g)
{
    struct transfers *t = n->transfers;
    alloc_free(n->allocator, g->bytes, g->leaf_len + g->proof_len);
    t->reads_due -= g->state == GIVE_READ;
    *g = (struct give){.state = GIVE_FREE};
    t->gives_used--;
    wake_short(n);
}

/* Takes the give off its link. */
static void give_shift(struct bulk *b, uint32_t at)
{
    memmove(&b->gives[at], &b->gives[at + 1], (b->gives_len - at - 1) * sizeof(struct give *));
    b->gives_len--;
}

void give_partner_gone(struct node *n, struct partner *q)
{
    struct bulk *b = q->pipe->bulk;
    uint32_t leaves[LEAVES_ASKED_MAX], len = 0;
    for (uint32_t i = 0; i < q->wants_len; i++)
        leaves[len++] = q->wants[(q->wants_head + i) % FILE_WANTS_MAX];
    for (uint32_t i = 0; i < given_len(q); i++)
        leaves[len++] = q->given[i];
    q->wants_len = 0;
    take_back(q, leaves, len);
    for (uint32_t i = 0; i < b->gives_len; i++) {
        if (b->gives[i]->partner == q) b->gives[i]->partner = NULL;
    }
    (void)n;
}

void give_pipe_gone(struct node *n, struct pipe *p)
{
    while (p->bulk->gives_len > 0) {
        struct give *g = p->bulk->gives[--p->bulk->gives_len];
        give_free(n, g);
    }
}

/* The link's next partner with a want, each in turn. */
static struct partner *next_partner(struct bulk *b)
{
    struct partner *q = b->turn ? b->turn : b->partners;
    for (uint32_t i = 0; i < b->partners_len; i++) {
        if (!q) q = b->partners;
        if (q->wants_len > 0) return q;
        q = q->next_of_pipe;
    }
    return NULL;
}

/* Takes the next want of the link into a give. False when there is none, or no give. */
static bool give_one(struct node *n, struct bulk *b)
{
    struct transfers *t = n->transfers;
    struct partner *q = next_partner(b);
    if (!q) return false;
    if (t->gives_used == GIVES_MAX) {
        t->gives_short = true;
        return false;
    }
    struct give *g = t->gives;
    while (g->state != GIVE_FREE)
        g++;
    *g = (struct give){.state = GIVE_READ, .partner = q, .leaf = q->wants[q->wants_head]};
    g->order = ++t->orders;
    t->gives_used++;
    t->reads_due++;
    q->wants_head = (q->wants_head + 1) % FILE_WANTS_MAX;
    q->wants_len--;
    q->given[q->given_len++ % FILE_WANTS_MAX] = g->leaf;
    if (q->given_len == 2 * FILE_WANTS_MAX) q->given_len = FILE_WANTS_MAX;
    b->gives[b->gives_len++] = g;
    b->turn = q->next_of_pipe;
    return true;
}

static slice next_piece(struct node *n, struct give *g)
{
    size_t rest = g->leaf_len - g->sent, len = rest < FILE_PIECE_BYTES ? rest : FILE_PIECE_BYTES;
    struct writer w = writer_of(n->plain, sizeof n->plain);
    cbor_put_array(&w, 6);
    cbor_put_uint(&w, MESSAGE_FILE_DATA);
    cbor_put_bytes(&w, slice_of(g->partner->file->root, ID_BYTES));
    cbor_put_uint(&w, g->leaf);
    cbor_put_uint(&w, g->sent);
    cbor_put_bytes(&w, slice_of(g->bytes + g->sent, len));
    cbor_put_bytes(&w, slice_of(g->bytes + g->leaf_len, g->sent == 0 ? g->proof_len : 0));
    g->sent += len;
    return w.failed ? SLICE_EMPTY : writer_slice(&w);
}

slice give_output(struct node *n, struct pipe *p)
{
    struct bulk *b = p->bulk;
    for (;;) {
        while (b->gives_len < GIVES_OF_LINK && give_one(n, b)) {
        }
        if (b->gives_len == 0) return SLICE_EMPTY;
        struct give *g = b->gives[0];
        bool over = !g->partner || g->state == GIVE_FAILED;
        if (over && g->partner) partner_stop(n, g->partner, g->leaf, g->reason, g->leaf);
        if (!over && g->state != GIVE_READY) return SLICE_EMPTY; /* being read */
        slice message = over ? SLICE_EMPTY : next_piece(n, g);
        if (over || g->sent == g->leaf_len) {
            give_shift(b, 0);
            give_free(n, g);
        }
        if (message.len > 0) return message;
    }
}

bool give_has_output(const struct node *n, const struct pipe *p)
{
    const struct bulk *b = p->bulk;
    if (b->gives_len > 0 && (b->gives[0]->state >= GIVE_READY || !b->gives[0]->partner)) return true;
    bool waits = false;
    for (const struct partner *q = b->partners; q && !waits; q = q->next_of_pipe)
        waits = q->wants_len > 0;
    return waits && b->gives_len < GIVES_OF_LINK && n->transfers->gives_used < GIVES_MAX;
}

bool give_next(struct node *n, struct action *out)
{
    struct transfers *t = n->transfers;
    while (t->reads_due > 0) {
        struct give *next = NULL;
        for (uint32_t i = 0; i < GIVES_MAX; i++) {
            struct give *g = &t->gives[i];
            if (g->state == GIVE_READ && (!next || g->order < next->order)) next = g;
        }
        t->reads_due--;
        if (!next->partner) { /* not wanted any more */
            next->state = GIVE_FAILED;
            continue;
        }
        next->state = GIVE_READING;
        next->token = ++n->tokens * OPS_MAX;
        out->kind = ACTION_FILE_READ;
        out->token = next->token;
        out->root = next->partner->file->root;
        out->leaf = next->leaf;
        return true;
    }
    return false;
}

/* What was here is not what it was: fetched again, or served no longer. */
static void leaf_lost(struct node *n, struct file *f, uint32_t leaf, int result)
{
    PROBE(n, LEAF_LOST);
    if (f->held) {
        file_stuck(n, f, result, words_changed);
        return;
    }
    if (!leaves_remove(&f->have, leaf)) return;
    (void)leaves_add(&f->need, leaf);
    file_reopened(n, f);
}

bool give_done(struct node *n, uint64_t token, int result, slice bytes)
{
    struct give *g = NULL;
    for (uint32_t i = 0; i < GIVES_MAX && !g; i++) {
        struct give *at = &n->transfers->gives[i];
        if (at->state == GIVE_READING && at->token == token) g = at;
    }
    if (!g) return false;
    g->state = GIVE_FAILED;
    g->reason = STOP_LATER;
    if (!g->partner) return true; /* taken off when its link looks */
    struct pipe *p = g->partner->pipe;
    struct file *f = g->partner->file;
    size_t leaf_len = tree_leaf_bytes(f->size, g->leaf), proof_len = tree_proof_bytes(f->size, g->leaf);
    if (result == OK && (bytes.len != leaf_len + proof_len ||
                         !tree_verify(n->crypto, f->root, f->size, g->leaf, slice_sub(bytes, 0, leaf_len),
                                      slice_sub(bytes, leaf_len, proof_len))))
        result = ERR_CORRUPT;
    if (result == OK) {
        g->bytes = alloc_new(n->allocator, bytes.len);
        if (g->bytes) {
            memcpy(g->bytes, bytes.ptr, bytes.len);
            g->leaf_len = leaf_len;
            g->proof_len = proof_len;
            g->state = GIVE_READY;
        }
    }
    pipe_wake(n, p);
    if (result == ERR_CORRUPT || result == ERR_NOT_FOUND) {
        g->reason = STOP_UNREADABLE;
        leaf_lost(n, f, g->leaf, result);
    }
    return true;
}
