/* action.c - what the shell is to do: one action after the other, from the queues. */
#include <assert.h>
#include <string.h>

#include "core/state.h"

static void show_entry(struct node *n, const struct op *op, struct action *out)
{
    const struct channel *c = n->channels[op->channel];
    const struct author *a = &c->authors[op->author];
    const struct blob *b = op->blob;
    n->shown_blob = blob_keep(op->blob);
    memcpy(n->shown_account, a->account ? a->account : (const uint8_t *)"", a->account_len);
    out->entry = (struct entry_view){
        .channel = c->id,
        .author = b->entry.author,
        .seq = b->entry.seq,
        .id = b->id,
        .kind = b->entry.kind,
        .time_ms = b->entry.time_ms,
        .place_ms = b->arrival.place_ms,
        .body = b->entry.body,
        .account = slice_of(n->shown_account, a->account_len),
        .from = b->arrival.from,
        .path = b->arrival.path,
        .arrived_ms = b->arrival.arrived_ms,
    };
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
    struct channel_record record = {c->id, c->authority, slice_of(c->name, c->name_len)};
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

static bool next_delivered(struct node *n, struct action *out)
{
    while (n->pipe_queues[QUEUE_DELIVERED].head != NONE) {
        struct pipe *p = n->pipes[n->pipe_queues[QUEUE_DELIVERED].head];
        for (uint32_t i = 0; i < p->shares_len && p->peer != NONE; i++) {
            struct share *s = p->shares[i];
            const struct channel *c = n->channels[i];
            if (!s || !s->delivered_due || c->self >= s->have_cap) continue;
            s->delivered_due = false;
            uint32_t seq = s->have[c->self], have = c->authors[c->self].have;
            show_peer(n, n->peers[p->peer], out);
            out->kind = ACTION_DELIVERED;
            out->channel = c->id;
            out->seq = seq < have ? seq : have; /* a claim beyond what exists says nothing */
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

bool output_next(struct node *n, struct action *out)
{
    node_clock(n, n->now);
    *out = (struct action){.kind = ACTION_WARNING};
    return next_op(n, out) || next_delivered(n, out) || next_peer(n, out) || next_warning(n, out) ||
           next_pipe(n, out);
}
