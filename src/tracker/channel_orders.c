/* What was decided about a room is written into its channel: by the process that has the node, in the order
 * in which it was decided. An order is taken off the list when its entry is durable, so one that a crash
 * interrupts is carried out again; what they say is the same twice. */
#include <string.h>

#include "crypto/native.h"
#include "store/messages_sql.h"
#include "tracker/channels.h"
#include "tracker/replica.h"

/* Times on the wire are at most 2^64 / 1000. */
#define FOR_EVER_MS (UINT64_MAX / 1000)
#define PATIENCE_MS 10000
/* How long the tracker writes nothing of its own into older channels after `weaprous restore`. */
#define RESTORED_MS (10 * 60 * 1000)

struct order {
    int64_t id, kind, from_ms, until_ms, number, policy;
    const uint8_t *channel, *author;
    slice by, account, text, name;
    const uint8_t *nonce; /* NULL: an open room */
};

static bool read_order(const struct store_rows *rows, size_t row, struct order *out)
{
    const struct store_value *v = store_at(rows, row, 0);
    *out = (struct order){.id = v[0].number,
                          .channel = v[1].bytes.ptr,
                          .kind = v[2].number,
                          .by = v[3].bytes,
                          .account = v[4].bytes,
                          .from_ms = v[5].number,
                          .until_ms = v[6].number,
                          .number = v[7].number,
                          .text = v[8].bytes,
                          .author = v[9].type == STORE_NULL ? NULL : v[9].bytes.ptr,
                          .policy = v[10].number,
                          .name = v[11].bytes,
                          .nonce = v[12].type == STORE_NULL ? NULL : v[12].bytes.ptr};
    return v[1].bytes.len == ID_BYTES && (!out->author || v[9].bytes.len == ID_BYTES) &&
           (!out->nonce || v[12].bytes.len == NODE_NONCE_BYTES);
}

static void order_done(struct tracker *tracker, int64_t id)
{
    const struct store_value values[] = {store_number(id)};
    /* When that fails it is carried out again at the next start. */
    if (store_ask(tracker->store, &STORE_ROOM_ORDER_DONE, values, 1, NULL, NULL))
        tracker_log_some(tracker, LOG_STORE, "an order was not taken off the list: the store is busy");
}

static int64_t carry(struct tracker *tracker, const struct order *o)
{
    struct channel_spec spec = {.type = o->nonce ? CHANNEL_PRIVATE : CHANNEL_PUBLIC,
                                .authority = tracker->device,
                                .name = o->name,
                                .founder = tracker->device,
                                .nonce = o->nonce};
    struct command command = {.kind = COMMAND_OPEN, .spec = &spec};
    return node_command(tracker->node, &command, tracker_now_us(tracker));
}

static int64_t say_member(struct tracker *tracker, const struct order *o, bool on)
{
    struct command command = {
        .kind = COMMAND_MEMBER, .channel = o->channel, .bytes = o->account, .online = on};
    return node_command(tracker->node, &command, tracker_now_us(tracker));
}

static int64_t say(struct tracker *tracker, const struct order *o, enum moderate_act act)
{
    uint8_t body[4096];
    struct writer w = writer_of(body, sizeof body);
    struct node_moderation m = {.act = act,
                                .by = o->by,
                                .account = o->account,
                                .text = o->text,
                                .from_ms = (uint64_t)o->from_ms,
                                .until_ms = (uint64_t)o->until_ms,
                                .number = (uint64_t)o->number};
    if (act == MODERATE_UNMUTE) m.until_ms = FOR_EVER_MS;
    if (o->author) {
        m.author = o->author;
        m.seq = (uint64_t)o->number;
        m.number = 1;
    }
    moderation_write(&m, &w);
    struct command command = {.kind = COMMAND_MODERATE, .channel = o->channel, .bytes = writer_slice(&w)};
    return w.failed ? ERR_TOO_LARGE : node_command(tracker->node, &command, tracker_now_us(tracker));
}

/* A token to wait for, 0: done, or an error: ERR_BUSY and ERR_MEMORY pass. */
static int64_t carry_out(struct tracker *tracker, const struct order *o)
{
    static const enum moderate_act acts[] = {
        [ORDER_BAN] = MODERATE_BAN,   [ORDER_UNBAN] = MODERATE_UNBAN, [ORDER_HIDE] = MODERATE_HIDE,
        [ORDER_SHOW] = MODERATE_SHOW, [ORDER_MUTE] = MODERATE_MUTE,   [ORDER_UNMUTE] = MODERATE_UNMUTE,
        [ORDER_SLOW] = MODERATE_SLOW, [ORDER_ROLE] = MODERATE_ROLE,   [ORDER_TOPIC] = MODERATE_TOPIC,
        [ORDER_NAME] = MODERATE_NAME, [ORDER_KICK] = MODERATE_KICK,   [ORDER_CLOSE] = MODERATE_CLOSE,
    };
    bool goes = o->kind == ORDER_LEAVE || o->kind == ORDER_KICK || o->kind == ORDER_BAN;
    int64_t result = 0;
    if (o->kind == ORDER_CARRY) return carry(tracker, o);
    if (o->nonce && o->kind == ORDER_JOIN) return say_member(tracker, o, true);
    if (o->nonce && goes) result = say_member(tracker, o, false);
    if (result < 0 || o->kind < 0 || o->kind >= (int64_t)(sizeof acts / sizeof *acts) || !acts[o->kind])
        return result;
    return say(tracker, o, acts[o->kind]);
}

/* After a restore others may have more of the tracker's own feeds than the database: to go on before they
 * have come back would fork them, for ever. New channels are not concerned. */
static bool must_wait(struct tracker *tracker, const struct order *o)
{
    struct channels *c = tracker->rooms;
    uint64_t seq;
    if (c->hold_until_ms && c->hold_until_ms <= tracker_now_ms(tracker)) {
        const struct store_value values[] = {store_text(SLICE("restored")), store_number(0)};
        if (!store_ask(tracker->store, &STORE_INDEX_MOVED, values, 2, NULL, NULL)) c->hold_until_ms = 0;
    }
    return c->hold_until_ms && o->kind != ORDER_CARRY &&
           (!o->nonce || node_author(tracker->node, o->channel, tracker->device, &seq));
}

static void restored_known(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    struct channels *c = tracker->rooms;
    if (tracker->stopping) return;
    if (!result && rows->count && store_at(rows, 0, 0)->number)
        c->hold_until_ms = tracker_now_ms(tracker) + RESTORED_MS;
    c->orders_known = !result;
    channel_orders_run(tracker);
}

void channel_orders_start(struct tracker *tracker)
{
    struct channels *c = tracker->rooms;
    /* What another process began and did not finish is done again. */
    c->order_after = 0;
    c->running_count = 0;
    c->orders_known = false;
    const struct store_value values[] = {store_text(SLICE("restored"))};
    if (store_ask(tracker->store, &STORE_INDEX_POSITION, values, 1, restored_known, tracker))
        c->orders_known = true; /* the store is busy: it was not restored just now */
}

static void listed(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    struct channels *c = tracker->rooms;
    c->asking = false;
    if (result) {
        tracker_log_some(tracker, LOG_STORE, "the orders of channels cannot be read: %s", err_text(result));
        return;
    }
    for (size_t i = 0; tracker->node && i < rows->count; i++) {
        struct order o;
        if (c->running_count == ORDERS_RUNNING_MAX) return; /* the timer goes on */
        bool whole = read_order(rows, i, &o);
        if (whole && must_wait(tracker, &o)) return;
        int64_t token = whole ? carry_out(tracker, &o) : ERR_CORRUPT;
        if (token == ERR_BUSY || token == ERR_MEMORY) return;
        if (token < 0)
            tracker_log_some(tracker, LOG_REPLICA, "an order of a channel came to nothing: %s",
                             err_text((int)token));
        c->order_after = store_at(rows, i, 0)->number;
        if (token > 0) {
            c->running[c->running_count].order = c->order_after;
            c->running[c->running_count++].token = (uint64_t)token;
        } else {
            /* What it stores goes before in the queue of the store, in this or an earlier transaction. */
            replica_pump(tracker);
            order_done(tracker, c->order_after);
        }
    }
    replica_pump(tracker);
    if (c->again || rows->count == ORDERS_RUNNING_MAX) channel_orders_run(tracker);
}

void channel_orders_run(struct tracker *tracker)
{
    struct channels *c = tracker->rooms;
    if (!tracker->node || tracker->stopping || !c->orders_known) return;
    uint64_t now_ms = tracker_now_ms(tracker);
    /* What could not be stored was never there: it is written anew. */
    if (c->running_count && now_ms > c->moved_ms + PATIENCE_MS) {
        c->running_count = 0;
        c->order_after = 0;
    }
    if (!c->running_count) c->moved_ms = now_ms;
    c->again = c->asking;
    if (c->asking) return;
    const struct store_value values[] = {store_number(c->order_after), store_number(ORDERS_RUNNING_MAX)};
    c->asking = !store_ask(tracker->store, &STORE_ROOM_ORDERS, values, 2, listed, tracker);
}

void channels_delivered(struct tracker *tracker, uint64_t token)
{
    struct channels *c = tracker->rooms;
    if (!c) return;
    channel_index_due(tracker);
    if (token == 0) return;
    c->moved_ms = tracker_now_ms(tracker);
    for (size_t i = 0; i < c->running_count; i++) {
        if (c->running[i].token != token) continue;
        order_done(tracker, c->running[i].order);
        c->running[i] = c->running[--c->running_count];
        return;
    }
}

void channels_due(struct tracker *tracker)
{
    if (tracker->node)
        channel_orders_run(tracker);
    else
        peers_publish(tracker, PEERS_ORDERS, SLICE_EMPTY);
}

void channels_due_elsewhere(struct tracker *tracker, uint32_t peer, slice message)
{
    (void)peer;
    if (message.len)
        channel_keep_due(tracker);
    else
        channel_orders_run(tracker);
}
