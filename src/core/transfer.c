/* transfer.c - the files of a node: what a person wants of them, how they stand, what is due when. */
#include "core/transfer.h"

#include <string.h>

static const char words_size[] = "another device says that this file has another size";

void transfer_timer(struct node *n, usec at)
{
    timer_arm(n, TIMER_FILES, 0, 0, at);
}

/* --- the table --- */

static int transfers_get(struct node *n, struct transfers **out)
{
    if (!n->transfers) {
        n->transfers = alloc_new(n->allocator, sizeof *n->transfers);
        if (!n->transfers) return ERR_MEMORY;
        map_init(&n->transfers->by_root, n->allocator, FILES_MAX, n->map_secret);
        n->transfers->reports = (struct queue){NONE, NONE};
    }
    *out = n->transfers;
    return OK;
}

struct file *file_find(const struct node *n, const uint8_t *root)
{
    uint32_t index;
    if (!n->transfers || !map_get(&n->transfers->by_root, root, &index)) return NULL;
    return n->transfers->files[index];
}

bool file_in(const struct file *f, uint32_t channel)
{
    for (uint32_t i = 0; i < f->channels_len; i++) {
        if (f->channels[i] == channel) return true;
    }
    return false;
}

bool file_has(const struct file *f, uint32_t leaf)
{
    return f->held || leaves_has(&f->have, leaf);
}

static void file_release(struct node *n, struct file *f)
{
    leaves_deinit(&f->have, n->allocator);
    leaves_deinit(&f->need, n->allocator);
    leaves_deinit(&f->given, n->allocator);
    alloc_free(n->allocator, f->fresh, FRESH_MAX * sizeof *f->fresh);
    alloc_free(n->allocator, f, sizeof *f);
}

/* --- reports --- */

void file_stir(struct node *n, struct file *f, usec at)
{
    struct transfers *t = n->transfers;
    if (!f->stirring) {
        f->stirring = true;
        f->next_stirring = t->stirring;
        t->stirring = f;
    }
    transfer_timer(n, at);
}

static void file_unstir(struct transfers *t, struct file *f)
{
    struct file **at = &t->stirring;
    if (!f->stirring) return;
    while (*at != f)
        at = &(*at)->next_stirring;
    *at = f->next_stirring;
    f->stirring = false;
}

static enum file_state state_of(const struct node *n, const struct file *f, uint32_t *out_sources)
{
    uint32_t sources = 0;
    bool more = f->slots > 0;
    for (const struct partner *q = f->partners; q; q = q->next_of_file) {
        if (!partner_is_source(q)) continue;
        sources++;
        more = more || fetch_can_want(n, q) || q->later.count > 0;
    }
    *out_sources = sources;
    if (f->paused || f->stuck) return FILE_PAUSED;
    if (f->held) return FILE_SERVING;
    if (file_whole(f)) return FILE_DONE;
    return f->awake && more ? FILE_RUNNING : FILE_WAITING;
}

static void enqueue_report(struct node *n, struct file *f)
{
    struct transfers *t = n->transfers;
    f->report = false;
    if (f->queued) return;
    f->queued = true;
    f->next = NONE;
    if (t->reports.tail == NONE)
        t->reports.head = f->index;
    else
        t->files[t->reports.tail]->next = f->index;
    t->reports.tail = f->index;
}

static void dequeue_report(struct node *n, struct file *f)
{
    struct queue *queue = &n->transfers->reports;
    struct file **files = n->transfers->files;
    uint32_t before = NONE;
    if (!f->queued) return;
    for (uint32_t at = queue->head; at != f->index; at = files[at]->next)
        before = at;
    if (before == NONE)
        queue->head = f->next;
    else
        files[before]->next = f->next;
    if (queue->tail == f->index) queue->tail = before;
    f->queued = false;
}

static bool under_way(enum file_state state)
{
    return state == FILE_WAITING || state == FILE_RUNNING;
}

/* Something of it changed: that it begins, stops or is done is told at once, the rest a few times a second.
 */
void file_changed(struct node *n, struct file *f)
{
    uint32_t sources;
    enum file_state state = state_of(n, f, &sources);
    bool turns = state != f->state && !(under_way(state) && under_way(f->state));
    if (turns || n->now >= f->reported_at + FILE_REPORT_US) {
        enqueue_report(n, f);
        return;
    }
    f->report = true;
    file_stir(n, f, f->reported_at + FILE_REPORT_US);
}

static bool next_report(struct node *n, struct action *out)
{
    struct transfers *t = n->transfers;
    if (t->reports.head == NONE) return false;
    struct file *f = t->files[t->reports.head];
    dequeue_report(n, f);
    f->reported_at = n->now;
    f->state = state_of(n, f, &out->sources);
    out->kind = ACTION_FILE;
    out->root = f->root;
    out->file_state = f->state;
    out->leaves = f->held ? f->leaves : f->have.count;
    out->leaves_total = f->leaves;
    out->result = f->mismatch ? ERR_INVALID : f->result;
    out->text = slice_text(f->mismatch ? words_size : f->text);
    return true;
}

/* --- who is fetched now --- */

static bool could_wake(const struct file *f)
{
    return !f->awake && !f->held && !f->paused && !f->stuck && !file_whole(f);
}

static bool file_awaken(struct node *n, struct file *f)
{
    struct transfers *t = n->transfers;
    if (!f->fresh) f->fresh = alloc_array(n->allocator, FRESH_MAX, sizeof *f->fresh);
    if (!f->fresh) { /* no memory now */
        transfer_timer(n, n->now + FILE_STARVE_US);
        return false;
    }
    f->awake = true;
    t->awake[t->awake_len++] = f;
    f->source_at = n->now;
    f->starving_since = 0;
    partners_ask(n, f);
    file_wake(n, f);
    file_changed(n, f);
    return true;
}

static void file_sleep(struct node *n, struct file *f)
{
    struct transfers *t = n->transfers;
    if (!f->awake) return;
    fetch_release(n, f, RELEASE_ASKED);
    f->awake = false;
    for (uint32_t i = 0; i < t->awake_len; i++) {
        if (t->awake[i] != f) continue;
        memmove(&t->awake[i], &t->awake[i + 1], (t->awake_len - i - 1) * sizeof *t->awake);
        t->awake_len--;
        break;
    }
}

/* Fills the places of those that are fetched, in the order of their turns. */
static void awaken_next(struct node *n)
{
    struct transfers *t = n->transfers;
    if (t->awake_len == AWAKE_MAX || t->waiting == 0) return;
    for (uint32_t round = 0; round <= AWAKE_MAX; round++) {
        struct file *next = NULL;
        uint32_t waiting = 0;
        for (uint32_t i = 0; i < t->files_cap; i++) {
            struct file *f = t->files[i];
            if (!f || !could_wake(f)) continue;
            waiting++;
            if (!next || f->turn < next->turn) next = f;
        }
        t->waiting = waiting;
        if (!next || t->awake_len >= AWAKE_MAX || !file_awaken(n, next)) return;
    }
}

void file_wake(struct node *n, struct file *f)
{
    for (struct partner *q = f->partners; q; q = q->next_of_file) {
        if (fetch_can_want(n, q)) pipe_wake(n, q->pipe);
    }
}

void file_completed(struct node *n, struct file *f)
{
    f->mismatch = false;
    f->result = OK;
    f->text = NULL;
    partners_tell_whole(n, f);
    file_sleep(n, f);
    file_changed(n, f);
    awaken_next(n);
}

void file_reopened(struct node *n, struct file *f)
{
    f->turn = ++n->transfers->turns;
    n->transfers->waiting++;
    awaken_next(n);
    file_changed(n, f);
}

void file_stuck(struct node *n, struct file *f, int result, const char *text)
{
    PROBE(n, FILE_STUCK);
    f->stuck = true;
    f->result = result;
    f->text = text;
    fetch_release(n, f, RELEASE_HELD);
    file_sleep(n, f);
    if (f->held) partners_drop(n, f);
    file_changed(n, f);
    awaken_next(n);
}

/* --- commands --- */

static int file_new(struct node *n, const struct command *c, bool held, struct file **out)
{
    struct transfers *t;
    int rc = transfers_get(n, &t);
    if (rc < 0) return rc;
    if (t->files_len >= FILES_MAX) return ERR_FULL;
    uint32_t slot = 0;
    while (slot < t->files_cap && t->files[slot])
        slot++;
    rc = grow(n->allocator, (void **)&t->files, &t->files_cap, slot + 1, sizeof *t->files);
    if (rc < 0) return rc;
    struct file *f = alloc_new(n->allocator, sizeof *f);
    if (!f) return ERR_MEMORY;
    memcpy(f->root, c->root, ID_BYTES);
    f->size = c->size;
    f->leaves = tree_leaves(c->size);
    f->index = slot;
    f->held = held;
    f->turn = ++t->turns;
    f->tell_at = NEVER;
    f->reported_at = n->now;
    if (!held) {
        rc = leaves_init(&f->have, n->allocator, f->leaves, false);
        if (rc == OK) rc = leaves_init(&f->need, n->allocator, f->leaves, true);
        if (rc == OK && c->bytes.len > 0 && !leaves_add_bits(&f->have, 0, c->bytes)) rc = ERR_INVALID;
    }
    if (rc == OK) rc = map_set(&t->by_root, f->root, slot);
    if (rc < 0) {
        file_release(n, f);
        return rc;
    }
    for (uint32_t leaf = 0; !held && (leaf = leaves_next(&f->have, NULL, leaf)) != LEAVES_NONE; leaf++)
        (void)leaves_remove(&f->need, leaf);
    t->files[slot] = f;
    t->files_len++;
    *out = f;
    return OK;
}

static bool empty_root(const struct node *n, const uint8_t *root)
{
    struct tree_builder b;
    uint8_t expected[HASH_BYTES];
    tree_begin(&b, 0);
    return tree_root(&b, n->crypto, expected) == OK && memcmp(expected, root, HASH_BYTES) == 0;
}

/* HOLD and FETCH. A file that is here already is shared in one more channel. */
static int command_share(struct node *n, const struct command *c, bool held)
{
    uint32_t channel;
    if (!c->channel || !c->root) return ERR_INVALID;
    if (c->size > TREE_SIZE_MAX) return ERR_TOO_LARGE;
    if (c->size == 0 && !empty_root(n, c->root)) return ERR_INVALID;
    if (!channel_find(n, c->channel, &channel)) return ERR_NOT_FOUND;
    size_t bitmap = (tree_leaves(c->size) + (size_t)7) / 8;
    if (!held && c->bytes.len > 0 && c->bytes.len != bitmap) return ERR_INVALID;
    struct file *f = file_find(n, c->root);
    if (f && (f->size != c->size || (held && !file_whole(f)))) return ERR_EXISTS;
    if (f && !file_in(f, channel) && f->channels_len == FILE_CHANNELS_MAX) return ERR_FULL;
    if (!f) {
        int rc = file_new(n, c, held, &f);
        if (rc < 0) return rc;
    }
    if (!file_in(f, channel)) f->channels[f->channels_len++] = channel;
    enqueue_report(n, f);
    if (file_silent(f)) return OK;
    partners_answer(n, f, channel);
    if (file_fetches(f)) partners_ask(n, f);
    n->transfers->waiting += could_wake(f);
    awaken_next(n);
    return OK;
}

static int command_pause(struct node *n, const struct command *c)
{
    struct file *f = c->root ? file_find(n, c->root) : NULL;
    if (!f) return c->root ? ERR_NOT_FOUND : ERR_INVALID;
    if (c->online) {
        if (f->paused) return OK;
        file_sleep(n, f);
        f->paused = true;
        partners_drop(n, f);
    } else {
        if (!f->paused && !f->stuck) return OK;
        f->paused = f->stuck = false;
        f->result = OK;
        f->text = NULL;
        for (uint32_t i = 0; i < f->channels_len; i++)
            partners_answer(n, f, f->channels[i]);
        n->transfers->waiting += could_wake(f);
    }
    file_changed(n, f);
    awaken_next(n);
    return OK;
}

static int command_drop(struct node *n, const struct command *c)
{
    struct file *f = c->root ? file_find(n, c->root) : NULL;
    struct transfers *t = n->transfers;
    if (!f) return c->root ? ERR_NOT_FOUND : ERR_INVALID;
    fetch_release(n, f, RELEASE_ALL);
    file_sleep(n, f);
    partners_drop(n, f);
    dequeue_report(n, f);
    file_unstir(t, f);
    map_remove(&t->by_root, f->root);
    t->files[f->index] = NULL;
    t->files_len--;
    file_release(n, f);
    awaken_next(n);
    return OK;
}

int transfer_command(struct node *n, const struct command *c)
{
    switch (c->kind) {
    case COMMAND_FILE_HOLD: return command_share(n, c, true);
    case COMMAND_FILE_FETCH: return command_share(n, c, false);
    case COMMAND_FILE_PAUSE: return command_pause(n, c);
    case COMMAND_FILE_DROP: return command_drop(n, c);
    default: return ERR_INVALID;
    }
}

/* --- hooks --- */

static int on_stop(struct node *n, struct pipe *p, struct cbor_reader *r, uint64_t elements)
{
    const uint8_t *root = cbor_fixed(r, ID_BYTES);
    uint64_t leaf = cbor_uint(r, UINT32_MAX), reason = cbor_uint(r, UINT64_MAX);
    uint64_t instead = cbor_uint(r, UINT32_MAX);
    if (r->failed || elements < 5) return ERR_MALFORMED;
    struct file *f = file_find(n, root);
    struct partner *q = f ? partner_find(p, f) : NULL;
    if (!q) return OK; /* it is gone here, too */
    if (reason == STOP_GONE) PROBE(n, SOURCE_GONE);
    if (reason == STOP_GONE) { /* should it come back, we hear of it */
        partner_free(n, q);
        for (uint32_t i = 0; i < f->channels_len && file_fetches(f); i++) {
            const struct share *s = share_of(p, f->channels[i]);
            if (s && s->active) partners_ask_link(n, f, p, f->channels[i]);
        }
        return OK;
    }
    if (leaf >= f->leaves || instead >= f->leaves) return ERR_MALFORMED;
    if (reason == STOP_CANCEL)
        give_on_cancel(n, q, (uint32_t)leaf);
    else
        fetch_on_stop(n, q, (uint32_t)leaf, reason, (uint32_t)instead);
    return OK;
}

int transfer_message(struct node *n, struct pipe *p, uint64_t kind, slice plain)
{
    struct cbor_reader r = cbor_reader_of(plain);
    uint64_t elements = cbor_array(&r, 64);
    (void)cbor_uint(&r, UINT64_MAX);
    switch (kind) {
    case MESSAGE_FILE_ASK: return partner_on_ask(n, p, &r, elements);
    case MESSAGE_FILE_HAVE: return partner_on_have(n, p, &r, elements);
    case MESSAGE_FILE_WANT: return give_on_want(n, p, &r, elements);
    case MESSAGE_FILE_DATA: return fetch_on_data(n, p, &r, elements);
    case MESSAGE_FILE_STOP: return on_stop(n, p, &r, elements);
    default: return OK;
    }
}

void transfer_shared(struct node *n, struct pipe *p, uint32_t channel)
{
    struct transfers *t = n->transfers;
    for (uint32_t i = 0; t && i < t->awake_len; i++) {
        if (file_in(t->awake[i], channel)) partners_ask_link(n, t->awake[i], p, channel);
    }
}

void transfer_unshared(struct node *n, struct pipe *p, uint32_t channel)
{
    struct partner *next = p->bulk ? p->bulk->partners : NULL;
    while (next) {
        struct partner *q = next;
        const struct file *f = q->file;
        next = q->next_of_pipe;
        bool other = false;
        for (uint32_t i = 0; i < f->channels_len; i++) {
            const struct share *s = share_of(p, f->channels[i]);
            other = other || (s && s->active && f->channels[i] != channel);
        }
        if (!other && file_in(f, channel)) partner_free(n, q);
    }
}

void transfer_pipe_gone(struct node *n, struct pipe *p)
{
    if (!p->bulk) return;
    while (p->bulk->partners)
        partner_free(n, p->bulk->partners);
    give_pipe_gone(n, p);
    alloc_free(n->allocator, p->bulk, sizeof *p->bulk);
    p->bulk = NULL;
}

/* What is new first, then what is wanted: both are small and keep the others busy. Then the bytes. */
slice transfer_output(struct node *n, struct pipe *p)
{
    slice message = SLICE_EMPTY;
    if (!p->bulk) return message;
    for (struct partner *q = p->bulk->partners; q && message.len == 0; q = q->next_of_pipe)
        message = partner_news(n, q);
    for (struct partner *q = p->bulk->partners; q && message.len == 0; q = q->next_of_pipe)
        message = fetch_want(n, q);
    return message.len ? message : give_output(n, p);
}

bool transfer_has_output(const struct node *n, const struct pipe *p)
{
    if (!p->bulk) return false;
    for (const struct partner *q = p->bulk->partners; q; q = q->next_of_pipe) {
        if (partner_has_news(q) || fetch_can_want(n, q)) return true;
    }
    return give_has_output(n, p);
}

bool transfer_done(struct node *n, uint64_t token, int result, slice bytes)
{
    if (!n->transfers || token == 0) return false;
    return fetch_done(n, token, result) || give_done(n, token, result, bytes);
}

bool transfer_next(struct node *n, struct action *out)
{
    if (!n->transfers) return false;
    return fetch_next(n, out) || give_next(n, out) || next_report(n, out);
}

/* Links that said nothing are asked again; a file of which nothing is to be had lets another one take its
 * turn. */
static void tick_awake(struct node *n, struct file *f)
{
    struct transfers *t = n->transfers;
    uint32_t sources;
    if (state_of(n, f, &sources) != FILE_WAITING) f->source_at = n->now;
    if (n->now >= f->ask_at) {
        if (f->source_at < n->now)
            partners_ask(n, f);
        else
            f->ask_at = n->now + FILE_ASK_US;
    }
    transfer_timer(n, f->ask_at);
    if (t->waiting == 0) return;
    if (n->now < f->source_at + FILE_TURN_US) {
        transfer_timer(n, f->source_at + FILE_TURN_US);
        return;
    }
    file_sleep(n, f);
    f->turn = ++t->turns;
    t->waiting++;
    file_changed(n, f);
}

static void tick_file(struct node *n, struct file *f)
{
    if (f->report && n->now >= f->reported_at + FILE_REPORT_US) enqueue_report(n, f);
    if (f->report) file_stir(n, f, f->reported_at + FILE_REPORT_US);
    if (f->tell_at == NEVER) return;
    if (n->now < f->tell_at) {
        file_stir(n, f, f->tell_at);
        return;
    }
    f->tell_at = NEVER;
    f->told_at = n->now;
    for (struct partner *q = f->partners; q; q = q->next_of_file) {
        if (partner_has_news(q)) pipe_wake(n, q->pipe);
    }
}

void transfer_tick(struct node *n)
{
    struct transfers *t = n->transfers;
    struct file *awake[AWAKE_MAX];
    if (!t) return;
    uint32_t len = t->awake_len;
    memcpy(awake, t->awake, len * sizeof *awake);
    for (uint32_t i = 0; i < len; i++)
        tick_awake(n, awake[i]);
    fetch_tick(n);
    struct file *stirring = t->stirring;
    t->stirring = NULL;
    while (stirring) { /* those that are not over stir again */
        struct file *f = stirring;
        stirring = f->next_stirring;
        f->stirring = false;
        tick_file(n, f);
    }
    awaken_next(n);
}

void transfer_free(struct node *n)
{
    struct transfers *t = n->transfers;
    if (!t) return;
    for (uint32_t i = 0; i < t->files_cap; i++) {
        if (!t->files[i]) continue;
        fetch_release(n, t->files[i], RELEASE_ALL);
        file_release(n, t->files[i]);
    }
    for (uint32_t i = 0; i < GIVES_MAX; i++)
        alloc_free(n->allocator, t->gives[i].bytes, t->gives[i].leaf_len + t->gives[i].proof_len);
    alloc_free(n->allocator, t->files, t->files_cap * sizeof *t->files);
    map_deinit(&t->by_root);
    alloc_free(n->allocator, t, sizeof *t);
    n->transfers = NULL;
}
