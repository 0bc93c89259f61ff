/* node.c - the inputs of a node but for commands: what stands behind the calls of border.c. */
#include "core/node.h"

#include <assert.h>
#include <string.h>

#include "core/identity.h"
#include "core/state.h"
#include "core/transfer.h"

/* --- small things that all parts use --- */

void node_clock(struct node *n, usec now)
{
    blob_release(n->allocator, n->shown_blob);
    n->shown_blob = NULL;
    if (now > n->now) n->now = now;
}

void node_warn(struct node *n, int result, const uint8_t *device, const char *text)
{
    struct warning *w = &n->warnings[(n->warnings_head + n->warnings_len) % WARNINGS_MAX];
    if (n->warnings_len == WARNINGS_MAX)
        n->warnings_head = (n->warnings_head + 1) % WARNINGS_MAX;
    else
        n->warnings_len++;
    *w = (struct warning){.result = result, .has_device = device != NULL, .text = text};
    if (device) memcpy(w->device, device, ID_BYTES);
}

void node_started(struct node *n)
{
    if (!n->started) {
        feed_restored(n);
        seal_restored(n);
    }
    n->started = true;
}

struct op *op_new(struct node *n, uint32_t reserve)
{
    if (n->ops_used + reserve >= OPS_MAX) return NULL;
    if (n->ops_free == NONE) {
        uint32_t before = n->ops_cap;
        if (grow(n->allocator, (void **)&n->ops, &n->ops_cap, before + 1, sizeof *n->ops) < 0) return NULL;
        for (uint32_t i = n->ops_cap; i-- > before;) {
            n->ops[i].next = n->ops_free;
            n->ops_free = i;
        }
    }
    uint32_t index = n->ops_free;
    struct op *op = &n->ops[index];
    n->ops_free = op->next;
    n->ops_used++;
    *op = (struct op){.token = ++n->tokens * OPS_MAX + index, .pipe = NONE, .next_of_author = NONE};
    return op;
}

void op_free(struct node *n, struct op *op)
{
    blob_release(n->allocator, op->blob);
    timer_disarm(n, TIMER_OP, (uint32_t)(op - n->ops), 0);
    *op = (struct op){.state = OP_FREE, .next = n->ops_free};
    n->ops_free = (uint32_t)(op - n->ops);
    n->ops_used--;
}

void op_enqueue(struct node *n, struct op *op, enum op_state state)
{
    uint32_t index = (uint32_t)(op - n->ops);
    op->state = state;
    op->next = NONE;
    if (n->op_queue.tail == NONE)
        n->op_queue.head = index;
    else
        n->ops[n->op_queue.tail].next = index;
    n->op_queue.tail = index;
}

static struct op *op_find(struct node *n, uint64_t token)
{
    uint32_t index = (uint32_t)(token % OPS_MAX);
    if (index >= n->ops_cap || n->ops[index].token != token || token == 0) return NULL;
    return &n->ops[index];
}

/* --- life --- */

static bool table_complete(const struct crypto *c)
{
    return c->hash && c->sign_public && c->sign && c->verify && c->exchange_public && c->exchange &&
           c->seal && c->open && c->xseal && c->xopen && c->box_secret && c->box_public;
}

int node_create(const struct node_config *config, const struct allocator *allocator,
                const struct crypto *crypto, usec now, struct node **out_node)
{
    if (!table_complete(crypto) || !allocator->resize) return ERR_INVALID;
    struct node *n = alloc_new(allocator, sizeof *n);
    if (!n) return ERR_MEMORY;
    n->allocator = allocator;
    n->crypto = crypto;
    n->config = *config;
    recorder_watch(n);
    allocator = n->allocator;
    n->now = now;
    n->timers_lost_at = NEVER;
    n->ops_free = NONE;
    n->gaps.head = n->gaps.tail = (struct feed_ref){NONE, NONE};
    n->op_queue = n->peer_queue = n->channel_queue = (struct queue){NONE, NONE};
    for (int i = 0; i < PIPE_QUEUES; i++)
        n->pipe_queues[i] = (struct queue){NONE, NONE};
    crypto->sign_public(crypto->context, n->device, config->identity_seed);
    identity_noise_secret(crypto, config->identity_seed, n->noise_secret);
    crypto->box_secret(crypto->context, n->box_secret, config->identity_seed);
    random_init(&n->random, crypto, config->random_seed);
    random_bytes(&n->random, n->map_secret, sizeof n->map_secret);
    talks_init(n);
    map_init(&n->channel_by_id, allocator, NODE_CHANNELS_MAX, n->map_secret);
    map_init(&n->pipe_by_number, allocator, NODE_LINKS_MAX, n->map_secret);
    map_init(&n->peer_by_device, allocator, NODE_DEVICES_MAX, n->map_secret);
    map_init(&n->known_by_device, allocator, NODE_DEVICES_MAX, n->map_secret);
    recorder_create(n);
    *out_node = n;
    return OK;
}

void node_free(struct node *n)
{
    const struct allocator *a = n->allocator;
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        if (n->pipes[i]) pipe_free(n, i);
    }
    transfer_free(n);
    for (uint32_t i = 0; i < n->peers_cap; i++)
        alloc_free(a, n->peers[i], sizeof **n->peers);
    for (uint32_t i = 0; i < n->ops_cap; i++)
        blob_release(a, n->ops[i].blob);
    for (uint32_t i = 0; i < CACHE_SLOTS; i++)
        blob_release(a, n->cache[i].blob);
    for (uint32_t i = 0; i < n->channels_len; i++)
        channel_free(n, n->channels[i]);
    blob_release(a, n->shown_blob);
    alloc_free(a, n->lost, n->lost_cap * sizeof *n->lost);
    alloc_free(a, n->timers, n->timers_cap * sizeof *n->timers);
    alloc_free(a, n->pipes, n->pipes_cap * sizeof *n->pipes);
    alloc_free(a, n->peers, n->peers_cap * sizeof *n->peers);
    alloc_free(a, n->online, n->online_cap * sizeof *n->online);
    signals_free(n);
    alloc_free(a, n->ops, n->ops_cap * sizeof *n->ops);
    alloc_free(a, n->channels, n->channels_cap * sizeof *n->channels);
    talks_deinit(n);
    map_deinit(&n->channel_by_id);
    map_deinit(&n->pipe_by_number);
    map_deinit(&n->peer_by_device);
    seal_free_known(n);
    if (n->desk) wipe(n->desk, NODE_BODY_BYTES_MAX);
    alloc_free(a, n->desk, NODE_BODY_BYTES_MAX);
    wipe(n, sizeof *n);
    alloc_free(a, n, sizeof *n);
}

const uint8_t *node_device(const struct node *n)
{
    return n->device;
}

int input_restore(struct node *n, slice record, usec now)
{
    enum record_kind kind;
    slice wire;
    struct arrival arrival;
    struct channel_record c;
    uint32_t index;
    if (n->started) return ERR_WRONG_STATE;
    node_clock(n, now);
    int rc = record_parse(record, &kind, &wire, &arrival, &c);
    if (rc < 0) return rc;
    if (kind == RECORD_ENTRY) return feed_restore(n, wire, &arrival);
    if (channel_find(n, c.channel, &index)) return OK;
    uint8_t id[ID_BYTES];
    if (c.spec.authority &&
        (channel_spec_id(n->crypto, &c.spec, id) < 0 || memcmp(id, c.channel, ID_BYTES) != 0))
        return ERR_CORRUPT;
    rc = c.spec.authority ? member_channel_add(n, &c.spec, c.certificate, &index)
                          : channel_add(n, c.channel, c.authority, c.name, &index);
    if (rc < 0) return rc == ERR_INVALID ? ERR_CORRUPT : rc;
    struct channel *channel = n->channels[index];
    channel->stored = true;
    /* Somebody brought it, and the JOIN was lost with a crash: nobody would bring it again. */
    channel->join_due = channel->roster && channel->self != NONE; /* until an own entry comes back */
    if (channel->join_due) timer_arm(n, TIMER_SEAL, index, 0, n->now + SECONDS);
    return OK;
}

/* --- links --- */

static int free_slot(struct node *n, uint32_t *out_slot)
{
    uint32_t slot = n->pipes_low;
    while (slot < n->pipes_cap && n->pipes[slot])
        slot++;
    *out_slot = n->pipes_low = slot;
    return grow(n->allocator, (void **)&n->pipes, &n->pipes_cap, slot + 1, sizeof *n->pipes);
}

int input_link_up(struct node *n, uint32_t link, const struct node_link *info, usec now)
{
    uint8_t key[MAP_KEY_BYTES] = {0}, ephemeral[KEY_BYTES];
    uint32_t slot;
    node_clock(n, now);
    node_started(n);
    if (pipe_find(n, link)) return ERR_EXISTS;
    if (info->path <= PATH_NONE || info->path > PATH_LAN) return ERR_INVALID;
    if (n->pipes_used >= NODE_LINKS_MAX) return ERR_FULL;
    int rc = free_slot(n, &slot);
    if (rc < 0) return rc;
    struct pipe *p = alloc_new(n->allocator, sizeof *p);
    if (!p) return ERR_MEMORY;
    random_bytes(&n->random, ephemeral, sizeof ephemeral);
    rc = link_init(&p->link, n->allocator, n->crypto, info->initiator, info->binding, n->noise_secret,
                   ephemeral);
    wipe(ephemeral, sizeof ephemeral);
    memcpy(key, &link, sizeof link);
    if (rc == OK) rc = map_set(&n->pipe_by_number, key, slot);
    if (rc < 0) {
        link_deinit(&p->link);
        alloc_free(n->allocator, p, sizeof *p);
        return rc;
    }
    p->number = link;
    p->slot = slot;
    p->serial = ++n->serial;
    p->path = info->path;
    p->peer = NONE;
    p->has_expected = info->expected != NULL;
    if (info->expected) memcpy(p->expected, info->expected, ID_BYTES);
    p->opened_at = p->heard_at = p->sent_at = n->now;
    buffer_init(&p->control, n->allocator, CONTROL_BYTES_MAX);
    n->pipes[slot] = p;
    n->pipes_used++;
    timer_arm(n, TIMER_PIPE, slot, 0, n->now + HANDSHAKE_US);
    pipe_wake(n, p);
    return OK;
}

void input_link_down(struct node *n, uint32_t link, usec now)
{
    node_clock(n, now);
    struct pipe *p = pipe_find(n, link);
    if (p) pipe_free(n, p->slot);
}

static const char *words_for(int result)
{
    switch (result) {
    case ERR_VERSION:
        return "the other side speaks another version of the protocol; update the older program";
    case ERR_AUTH: return "the other side could not prove who it is, or a frame was altered on the way";
    case ERR_SIGNATURE: return "the other side sent something with a false signature";
    case ERR_TOO_LARGE: return "the other side sent more than the limit";
    case ERR_MALFORMED: return "the other side sent bytes that are not in the agreed form";
    default: return err_text(result);
    }
}

static int on_message(struct node *n, struct pipe *p, slice plain)
{
    struct message m;
    uint8_t reply[16];
    struct writer w = writer_of(reply, sizeof reply);
    int rc = message_parse(plain, &m);
    if (rc < 0) return rc;
    if (!limits_message(n, p, m.kind, plain.len)) return OK;
    switch (m.kind) {
    case MESSAGE_CLOSE:
        /* It wants to go: nothing more is sent; the shell closes the pipe. */
        pipe_close(n, p, ERR_CLOSED, "closed by the other side");
        p->close_said = true;
        pipe_enqueue(n, p, QUEUE_CLOSE);
        return OK;
    case MESSAGE_PING:
        message_write_stamp(&w, MESSAGE_PONG, m.stamp);
        if (!pipe_control(n, p, writer_slice(&w))) pipe_glitch(n, p);
        return OK;
    case MESSAGE_PONG:
        if (m.stamp != p->ping_stamp || p->ping_stamp == 0) {
            pipe_glitch(n, p);
            return OK;
        }
        n->peers[p->peer]->rtt_us = n->now > m.stamp ? n->now - m.stamp : 1;
        p->ping_stamp = 0;
        peer_announce(n, n->peers[p->peer]);
        return OK;
    case MESSAGE_FILE_ASK:
    case MESSAGE_FILE_HAVE:
    case MESSAGE_FILE_WANT:
    case MESSAGE_FILE_DATA:
    case MESSAGE_FILE_STOP: return transfer_message(n, p, m.kind, plain);
    default: return sync_message(n, p, &m);
    }
}

/* One step of a link: ERR_AGAIN when the input is used up. */
static int receive_one(struct node *n, struct pipe *p, slice *rest)
{
    slice message;
    int rc = link_next(&p->link, rest, n->scratch, &message);
    if (rc < 0) return rc;
    if (link_greets(&p->link)) pipe_wake(n, p);
    if (p->link.state == LINK_OPEN && !p->open_done)
        rc = mesh_opened(n, p);
    else if (message.len)
        rc = on_message(n, p, message);
    if (rc == OK && !p->closing) mesh_heard(n, p);
    return rc;
}

int input_receive(struct node *n, uint32_t link, slice bytes, usec now, size_t *out_used)
{
    node_clock(n, now);
    slice rest = bytes;
    *out_used = bytes.len;
    struct pipe *p = pipe_find(n, link);
    if (!p) return ERR_NOT_FOUND;
    while (!p->closing) {
        if (n->ops_used + OPS_RESERVE >= OPS_MAX) {
            *out_used = bytes.len - rest.len;
            PROBE(n, BUSY);
            return ERR_BUSY;
        }
        size_t before = rest.len;
        int rc = receive_one(n, p, &rest);
        n->traffic.received[p->path] += before - rest.len;
        if (rc == ERR_AGAIN) return OK;
        if (rc < 0) {
            pipe_close(n, p, rc, words_for(rc));
            return rc;
        }
    }
    return p->close_result == ERR_CLOSED ? ERR_CLOSED : ERR_PROTOCOL;
}

/* By the kind of a message, which is its second byte: heads of such small arrays are one byte. */
static enum traffic traffic_of(slice message)
{
    uint8_t kind = message.len > 1 ? message.ptr[1] : 0;
    if (kind == MESSAGE_ENTRY) return TRAFFIC_ENTRIES;
    if (kind <= MESSAGE_PONG) return TRAFFIC_REST;
    if (kind >= MESSAGE_FILE_ASK) return TRAFFIC_FILES;
    return kind >= MESSAGE_PRUNE ? TRAFFIC_MESH : TRAFFIC_SYNC;
}

static bool seal(struct node *n, struct pipe *p, slice message, struct writer *w)
{
    n->traffic.sent_of[traffic_of(message)] += message.len;
    return link_seal(&p->link, message, w) == OK;
}

/* The next frame for the pipe into *w; false when there is nothing to say or no room. */
static bool transmit_one(struct node *n, struct pipe *p, struct writer *w)
{
    if (w->cap - w->len < LINK_FRAME_BYTES_MAX && w->len > 0) return false;
    if (p->closing) {
        if (p->close_said) return false;
        struct writer m = writer_of(n->plain, sizeof n->plain);
        message_write_close(&m, (uint64_t)-p->close_result, slice_text(p->close_text));
        p->close_said = true;
        pipe_enqueue(n, p, QUEUE_CLOSE);
        return seal(n, p, writer_slice(&m), w);
    }
    if (link_greets(&p->link)) {
        struct link_self self = {n->device, n->config.identity_seed, n->config.role,
                                 slice_of(n->certificate, n->certificate_len)};
        int rc = link_greet(&p->link, &self, w);
        if (rc == OK && p->link.state == LINK_OPEN && !p->open_done) rc = mesh_opened(n, p);
        if (rc < 0) pipe_close(n, p, rc, words_for(rc));
        return rc == OK;
    }
    if (p->link.state != LINK_OPEN) return false;
    if (p->control.len >= 2) {
        size_t len = (size_t)p->control.ptr[0] << 8 | p->control.ptr[1];
        bool sealed = seal(n, p, slice_of(p->control.ptr + 2, len), w);
        buffer_consume(&p->control, 2 + len);
        if (p->control.len == 0) buffer_reset(&p->control);
        return sealed;
    }
    slice message = serve_next(n, p);
    return message.len > 0 && seal(n, p, message, w);
}

size_t input_transmit(struct node *n, uint32_t link, uint8_t *buffer, size_t room, usec now)
{
    node_clock(n, now);
    struct pipe *p = pipe_find(n, link);
    struct writer w = writer_of(buffer, room);
    assert(room >= NODE_TRANSMIT_ROOM);
    while (p && transmit_one(n, p, &w)) {
    }
    if (p && w.len > 0) p->sent_at = n->now;
    if (p) n->traffic.sent[p->path] += w.len;
    return w.len;
}

void node_traffic(const struct node *n, struct node_traffic *out)
{
    *out = n->traffic;
}

/* --- the other inputs --- */

void input_done(struct node *n, uint64_t token, int result, slice bytes, usec now)
{
    node_clock(n, now);
    if (transfer_done(n, token, result, bytes)) return;
    struct op *op = op_find(n, token);
    if (!op) return;
    if (op->state == OP_STORING)
        feed_done(n, op, result);
    else if (op->state == OP_READING)
        serve_read_done(n, op, result, bytes);
}

static void tick_op(struct node *n, uint32_t index)
{
    struct op *op = &n->ops[index];
    if (op->state != OP_RETRY) return;
    if (op->retry_at > n->now) {
        timer_arm(n, TIMER_OP, index, 0, op->retry_at);
        return;
    }
    op->token = ++n->tokens * OPS_MAX + index;
    op_enqueue(n, op, OP_STORE);
}

static void tick(struct node *n, const struct timer *due)
{
    switch (due->kind) {
    case TIMER_PIPE: mesh_tick_pipe(n, due->a); break;
    case TIMER_PEER: mesh_tick_peer(n, due->a); break;
    case TIMER_OP: tick_op(n, due->a); break;
    case TIMER_AUTHOR: want_tick(n, due->a, due->b); break;
    case TIMER_SHARE: want_end_doubts(n, n->pipes[due->a], due->b); break;
    case TIMER_HAVE: sync_tick(n, due->a); break;
    case TIMER_WANTS: want_next(n, due->a); break;
    case TIMER_LEDGER: ledger_tick(n, due->a); break;
    case TIMER_HISTORY: history_tick(n, due->a); break;
    case TIMER_VIEW: view_tick(n, due->a); break;
    case TIMER_FILES: transfer_tick(n); break;
    case TIMER_SESSION: talk_tick(n, due->a); break;
    case TIMER_SEAL: seal_tick(n, due->a); break;
    case TIMER_GOSSIP: gossip_tick(n, due->a); break;
    default: break;
    }
}

/* There was no memory for some timer: looks at everything. */
static void tick_all(struct node *n)
{
    PROBE(n, TIMERS_LOST);
    n->timers_lost_at = NEVER;
    for (uint32_t i = 0; i < n->ops_cap; i++)
        tick_op(n, i);
    for (uint32_t c = 0; c < n->channels_len; c++) {
        for (enum timer_kind kind = TIMER_CHANNEL; kind < TIMER_KINDS; kind++)
            tick(n, &(struct timer){n->now, kind, c, 0});
        for (uint32_t i = 0; i < n->channels[c]->authors_len; i++)
            if (n->channels[c]->authors[i].used) want_tick(n, c, i);
    }
    for (uint32_t i = 0; i < n->pipes_cap; i++) {
        struct pipe *p = n->pipes[i];
        if (!p) continue;
        for (uint32_t c = 0; c < p->shares_len; c++)
            if (p->shares[c]) want_end_doubts(n, p, c);
        mesh_tick_pipe(n, i);
    }
    for (uint32_t i = 0; i < n->peers_cap; i++)
        if (n->peers[i]) mesh_tick_peer(n, i);
}

void input_tick(struct node *n, usec now)
{
    struct timer due;
    node_clock(n, now);
    node_started(n);
    if (n->timers_lost_at <= n->now) tick_all(n);
    /* What one does may be due in another at once: a link that dies makes its entries wanted elsewhere. */
    while (timer_next(n, &due))
        tick(n, &due);
}

usec node_deadline(const struct node *n)
{
    return timer_deadline(n);
}
