/* action.c - what the shell is to do: one action after the other, from the queues. */
#include <assert.h>
#include <string.h>

#include "core/state.h"
#include "core/transfer.h"

/* The entry as it is to be shown; what is not to be seen is left out. */
static void show_view(struct node *n, const struct channel *c, uint32_t author, const struct entry *e,
                      const struct arrival *arrival, const uint8_t *id, struct entry_view *out)
{
    slice account = member_account(c, author);
    if (account.len) memcpy(n->shown_account, account.ptr, account.len);
    *out = (struct entry_view){
        .channel = c->id,
        .author = e->author,
        .seq = e->seq,
        .id = id,
        .kind = e->kind,
        .time_ms = e->time_ms,
        .place_ms = arrival->place_ms,
        .body = e->body,
        .account = slice_of(n->shown_account, account.len),
        .from = arrival->from,
        .path = arrival->path,
        .arrived_ms = arrival->arrived_ms,
        .withdrawn = !member_counts(c, author, e->seq),
        .hidden = moderate_hides(c, account, e->author, e->kind, e->seq, e->time_ms),
    };
    /* What a person has not agreed to hear is kept, but not shown. */
    out->locked = talk_by_person(e->kind) && !talk_shows(n, c->index, account);
    if (!out->locked && seal_covers(c, e->kind)) out->locked = !seal_open(n, c, e, &out->body);
    if (out->withdrawn || out->hidden || out->locked) out->body = SLICE_EMPTY;
}

static void show_entry(struct node *n, const struct op *op, struct action *out)
{
    const struct blob *b = op->blob;
    n->shown_blob = blob_keep(op->blob);
    show_view(n, n->channels[op->channel], op->author, &b->entry, &b->arrival, b->id, &out->entry);
}

static void show_store(struct node *n, struct op *op, struct action *out)
{
    const struct channel *c = n->channels[op->channel];
    op->state = OP_STORING;
    out->kind = ACTION_STORE;
    out->token = op->token;
    if (op->author != NONE) {
        show_entry(n, op, out);
        out->record = slice_of(op->blob->data, op->blob->len);
        return;
    }
    struct writer w = writer_of(n->shown_record, sizeof n->shown_record);
    struct channel_record record = {
        .channel = c->id, .authority = c->authority, .name = slice_of(c->name, c->name_len)};
    if (c->roster) {
        record.spec = member_spec(c);
        record.certificate = slice_of(c->roster->certificate, c->roster->certificate_len);
    }
    int rc = record_write_channel(&record, &w);
    assert(rc == OK);
    out->record = writer_slice(&w);
    out->entry.channel = c->id;
}

static bool next_op(struct node *n, struct action *out)
{
    while (n->op_queue.head != NONE) {
        struct op *op = &n->ops[n->op_queue.head];
        n->op_queue.head = op->next;
        if (n->op_queue.head == NONE) n->op_queue.tail = NONE;
        const struct channel *c = n->channels[op->channel];
        switch (op->state) {
        case OP_STORE: show_store(n, op, out); return true;
        case OP_READ:
            op->state = OP_READING;
            out->kind = ACTION_READ;
            out->token = op->token;
            out->entry.channel = c->id;
            out->entry.author = c->authors[op->author].device;
            out->entry.seq = op->seq;
            return true;
        case OP_DELIVER:
            out->kind = ACTION_DELIVER;
            out->token = op->command_token;
            show_entry(n, op, out);
            op_free(n, op);
            return true;
        default: op_free(n, op); /* taken back before it was given out */
        }
    }
    return false;
}

static bool next_warning(struct node *n, struct action *out)
{
    if (n->warnings_len == 0) return false;
    struct warning *w = &n->warnings[n->warnings_head];
    n->warnings_head = (n->warnings_head + 1) % WARNINGS_MAX;
    n->warnings_len--;
    memcpy(n->shown_device, w->device, ID_BYTES);
    out->kind = ACTION_WARNING;
    out->result = w->result;
    out->device = w->has_device ? n->shown_device : NULL;
    out->text = slice_text(w->text);
    return true;
}

static void show_peer(struct node *n, const struct peer *p, struct action *out)
{
    memcpy(n->shown_device, p->device, ID_BYTES);
    memcpy(n->shown_account, p->account, p->account_len);
    out->device = n->shown_device;
    out->account = slice_of(n->shown_account, p->account_len);
    out->role = p->role;
}

static bool next_peer(struct node *n, struct action *out)
{
    while (n->peer_queue.head != NONE) {
        struct peer *p = n->peers[n->peer_queue.head];
        if (p->announce) {
            p->announce = false;
            show_peer(n, p, out);
            out->kind = ACTION_PEER;
            out->path = p->path;
            out->rtt_us = p->rtt_us;
            return true;
        }
        if (p->direct.due || p->relay.due) {
            show_peer(n, p, out);
            out->kind = ACTION_CONNECT;
            out->path = p->direct.due ? PATH_DIRECT : PATH_RELAY;
            if (p->direct.due)
                p->direct.due = false;
            else
                p->relay.due = false;
            return true;
        }
        n->peer_queue.head = p->next;
        if (n->peer_queue.head == NONE) n->peer_queue.tail = NONE;
        p->queued = false;
        peer_release(n, p->slot);
    }
    return false;
}

static bool next_channel(struct node *n, struct action *out)
{
    if (n->channel_queue.head == NONE) return false;
    struct channel *c = n->channels[n->channel_queue.head];
    n->shown_spec = member_spec(c);
    out->channel = c->id;
    out->spec = &n->shown_spec;
    if (c->says & (CHANNEL_SAY_NEW | CHANNEL_SAY_EXCLUDED)) {
        bool excluded = (c->says & CHANNEL_SAY_NEW) == 0;
        out->kind = ACTION_CHANNEL;
        out->result = excluded ? ERR_DENIED : OK;
        c->says &= (uint8_t)~(excluded ? CHANNEL_SAY_EXCLUDED : CHANNEL_SAY_NEW);
    } else {
        out->kind = ACTION_UNLOCKED;
        c->says = 0;
    }
    if (c->says) return true;
    n->channel_queue.head = c->says_next;
    if (n->channel_queue.head == NONE) n->channel_queue.tail = NONE;
    return true;
}

static bool next_delivered(struct node *n, struct action *out)
{
    while (n->pipe_queues[QUEUE_DELIVERED].head != NONE) {
        struct pipe *p = n->pipes[n->pipe_queues[QUEUE_DELIVERED].head];
        for (uint32_t i = 0; i < p->shares_len && p->peer != NONE; i++) {
            struct share *s = p->shares[i];
            const struct channel *c = n->channels[i];
            if (!s || !s->delivered_due || c->self >= s->have_cap) continue;
            s->delivered_due = false;
            struct span held = share_span(s, c->self);
            uint32_t have = c->authors[c->self].have;
            show_peer(n, n->peers[p->peer], out);
            out->kind = ACTION_DELIVERED;
            out->channel = c->id;
            out->from = held.low <= have ? held.low : 1;
            out->seq = held.high < have ? held.high : have; /* a claim beyond what exists says nothing */
            return true;
        }
        pipe_dequeue(n, p, QUEUE_DELIVERED);
    }
    return false;
}

static bool next_pipe(struct node *n, struct action *out)
{
    if (n->pipe_queues[QUEUE_CLOSE].head != NONE) {
        struct pipe *p = n->pipes[n->pipe_queues[QUEUE_CLOSE].head];
        memcpy(n->shown_text, p->close_text, sizeof n->shown_text);
        out->kind = ACTION_CLOSE;
        out->link = p->number;
        out->result = p->close_result;
        out->text = slice_text(n->shown_text);
        pipe_free(n, p->slot);
        return true;
    }
    if (n->pipe_queues[QUEUE_WRITABLE].head != NONE) {
        struct pipe *p = n->pipes[n->pipe_queues[QUEUE_WRITABLE].head];
        pipe_dequeue(n, p, QUEUE_WRITABLE);
        out->kind = ACTION_WRITABLE;
        out->link = p->number;
        return true;
    }
    return false;
}

/* The action is put together in the node, where it is blank as long as there is none: most calls find
 * nothing, and an action is large. */
bool output_next(struct node *n, struct action *out)
{
    struct action *a = &n->shown;
    node_clock(n, n->now);
    bool any = next_channel(n, a) || gap_next(n, a) || next_op(n, a) || history_next(n, a) ||
               next_delivered(n, a) || ledger_next(n, a) || next_peer(n, a) || signal_next(n, a) ||
               talk_next(n, a) || next_warning(n, a) || next_pipe(n, a) || transfer_next(n, a);
    if (!any) return false;
    *out = *a;
    *a = (struct action){0};
    return true;
}

int node_view(struct node *n, slice record, struct entry_view *out)
{
    enum record_kind kind;
    slice wire;
    struct channel_record unused;
    struct entry e;
    uint32_t index;
    if (record_parse(record, &kind, &wire, &n->shown_arrival, &unused) < 0 || kind != RECORD_ENTRY ||
        entry_parse(wire, &e) < 0)
        return ERR_CORRUPT;
    const struct channel *c = channel_find(n, e.channel, &index);
    uint32_t author = c ? author_find(c, e.author) : NONE;
    if (author == NONE) return ERR_NOT_FOUND;
    entry_id(n->crypto, &e, n->shown_id);
    show_view(n, c, author, &e, &n->shown_arrival, n->shown_id, out);
    return OK;
}
