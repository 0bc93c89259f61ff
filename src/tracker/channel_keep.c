/* Which direct conversations the server keeps for devices that are away, and how much of them.
 *
 * A conversation over its limits is let go of as a whole and begun anew with the newest screenful: so the
 * replica never says to hold what it does not. As long as nobody else has all of it that waits, up to twice
 * the size. In the process that holds the replica; one look at all of them every hour. */
#include <string.h>

#include "store/messages_sql.h"
#include "tracker/channels.h"
#include "tracker/replica.h"

enum {
    WALK_MS = 3600 * 1000,
    WALK_STEP_MS = 50,    /* between two pages */
    WALK_AGAIN_MS = 2000, /* something was under way */
    WORTH_TRIMMING = 200, /* entries: of what is old and small nothing is to be gained */
};

static void walk(uv_timer_t *timer);

static void walk_in(struct tracker *tracker, uint64_t ms)
{
    uv_timer_start(&tracker->rooms->keep_timer, walk, ms, 0);
}

static void gone(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    struct channels *c = tracker->rooms;
    if (result)
        tracker_log_some(tracker, LOG_STORE, "a conversation was not removed: %s", err_text(result));
    else if (rows->count && c->index_at > store_at(rows, 0, 0)->number)
        c->index_at = store_at(rows, 0, 0)->number;
}

static void remove_entries(struct tracker *tracker, const uint8_t *channel, const struct store_operation *how)
{
    const struct store_value values[] = {store_id(channel)};
    if (store_ask(tracker->store, how, values, 1, gone, tracker))
        tracker_log_some(tracker, LOG_STORE, "a conversation was not removed: the store is busy");
}

static int forget(struct tracker *tracker, const uint8_t *channel, bool anyway)
{
    struct command command = {.kind = COMMAND_FORGET, .channel = channel, .online = anyway};
    return (int)node_command(tracker->node, &command, tracker_now_us(tracker));
}

static void carry_newest(struct tracker *tracker, slice one, slice other)
{
    struct channel_spec spec = {
        .type = CHANNEL_DIRECT, .authority = tracker->device, .account = one, .other = other};
    struct command command = {.kind = COMMAND_OPEN, .spec = &spec, .on_demand = true};
    int64_t result = node_command(tracker->node, &command, tracker_now_us(tracker));
    if (result < 0)
        tracker_log_some(tracker, LOG_REPLICA, "a conversation is not kept: %s", err_text((int)result));
}

/* --- the walk --- */

struct kept {
    const uint8_t *channel;
    slice one, other;
    int64_t entries, bytes, newest_ms;
    bool unkept, trimmed;
};

/* False: something is under way, so that it has to be looked at again soon. */
static bool look_at(struct tracker *tracker, const struct kept *k)
{
    const struct tracker_config *config = &tracker->config;
    int64_t bytes_max = config->conversation_bytes ? (int64_t)config->conversation_bytes : CONVERSATION_BYTES;
    int64_t days = config->conversation_days ? config->conversation_days : CONVERSATION_DAYS;
    int64_t now_ms = (int64_t)tracker_now_ms(tracker);
    bool large = k->bytes > bytes_max;
    bool old = k->newest_ms < now_ms - days * 86400 * 1000 && k->entries > WORTH_TRIMMING;
    if (k->unkept) {
        int err = forget(tracker, k->channel, true);
        if (err == OK || err == ERR_NOT_FOUND) remove_entries(tracker, k->channel, &STORE_CONVERSATION_DROP);
        return err != ERR_BUSY;
    }
    if (!large && !old) return true;
    int err = forget(tracker, k->channel, k->bytes > 2 * bytes_max);
    if (err) return err != ERR_BUSY;
    remove_entries(tracker, k->channel, &STORE_CONVERSATION_TRIM);
    carry_newest(tracker, k->one, k->other);
    return true;
}

static void page(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    struct channels *c = tracker->rooms;
    if (!tracker->node || tracker->stopping) return;
    for (size_t i = 0; !result && i < rows->count; i++) {
        const struct store_value *v = store_at(rows, i, 0);
        struct kept k = {.channel = v[0].bytes.ptr,
                         .one = v[1].bytes,
                         .other = v[2].bytes,
                         .entries = v[3].number,
                         .bytes = v[4].number,
                         .newest_ms = v[5].number,
                         .unkept = v[6].number,
                         .trimmed = v[7].number};
        if (v[0].bytes.len != ID_BYTES) continue;
        memcpy(c->keep_at, k.channel, ID_BYTES);
        /* What was trimmed before this process began is still carried with all that others have. */
        if (c->keep_first && k.trimmed && !k.unkept) carry_newest(tracker, k.one, k.other);
        if (!look_at(tracker, &k)) c->keep_again = true;
    }
    replica_pump(tracker);
    bool more = !result && rows->count == CONVERSATIONS_PAGE;
    if (more) {
        walk_in(tracker, WALK_STEP_MS);
        return;
    }
    c->keep_first = c->keep_first && result;
    memset(c->keep_at, 0, ID_BYTES);
    walk_in(tracker, c->keep_again || result ? WALK_AGAIN_MS : WALK_MS);
    c->keep_again = false;
}

static void walk(uv_timer_t *timer)
{
    struct channels *c = timer->data;
    struct tracker *tracker = c->tracker;
    if (!tracker->node || tracker->stopping) return;
    const struct store_value values[] = {store_id(c->keep_at)};
    if (store_ask(c->reader, &STORE_CONVERSATIONS_PAGE, values, 1, page, tracker))
        walk_in(tracker, WALK_AGAIN_MS);
}

void channel_keep_start(struct tracker *tracker)
{
    struct channels *c = tracker->rooms;
    memset(c->keep_at, 0, ID_BYTES);
    c->keep_first = true;
    walk_in(tracker, 0);
}

void channel_keep_due(struct tracker *tracker)
{
    struct channels *c = tracker->rooms;
    if (!tracker->node) {
        peers_publish(tracker, PEERS_ORDERS, SLICE("keep"));
        return;
    }
    memset(c->keep_at, 0, ID_BYTES);
    walk_in(tracker, 0);
}

/* --- new ones --- */

static void noted(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    if (!result && rows->count && tracker->node && !tracker->stopping) walk_in(tracker, WALK_STEP_MS);
}

void channels_introduced(struct tracker *tracker, const struct action *action)
{
    const struct channel_spec *spec = action->spec;
    if (!tracker->rooms || action->result || !spec || spec->type != CHANNEL_DIRECT) return;
    const struct store_value values[] = {store_id(action->channel), store_text(spec->account),
                                         store_text(spec->other)};
    if (store_ask(tracker->store, &STORE_CONVERSATION_PUT, values, 3, noted, tracker))
        tracker_log_some(tracker, LOG_STORE, "a conversation was not noted: the store is busy");
}

/* --- the switch --- */

static void answer_keep(struct call *call, int result, const struct store_rows *rows)
{
    if (result)
        channel_failed(call, result);
    else
        call_answer(call, json_pack("{s:b}", "keep", rows->count == 0));
}

static void keep_set(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result) {
        channel_failed(call, result);
        return;
    }
    channel_keep_due(call->tracker);
    const struct store_value values[] = {store_number(call->account)};
    call_ask(call, &STORE_KEEP_NOT, values, 1, answer_keep);
}

void room_keep(struct call *call)
{
    bool keep;
    if (!call_flag(call, "keep", &keep)) return;
    const struct store_value values[] = {store_number(call->account), store_number(keep)};
    if (json_object_get(call->fields, "keep"))
        call_ask(call, &STORE_KEEP_SET, values, 2, keep_set);
    else
        call_ask(call, &STORE_KEEP_NOT, values, 1, answer_keep);
}
