#include "tracker/replica.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/native.h"
#include "tracker/channels.h"
#include "tracker/socket.h"
#include "tracker/webdevice.h"

/* --- what the node asks of the store --- */

struct pending {
    struct tracker *tracker;
    uint64_t token;
};

static void stored(void *context, int result, const struct store_row *row)
{
    struct pending *pending = context;
    struct tracker *tracker = pending->tracker;
    /* The node says which entry stands there, for it has checked the chain. What is in its place was damaged,
     * or came with a batch of which an earlier entry was lost, so the node took it back. */
    if (result == ERR_EXISTS) {
        result = store_submit(tracker->store, STORE_ENTRY_REPLACE, row, stored, pending);
        if (!result) return;
    }
    if (result) tracker_log_some(tracker, LOG_STORE, "a message was not kept: %s", err_text(result));
    node_done(tracker->node, pending->token, result, SLICE_EMPTY, tracker_now_us(tracker));
    if (result && row->author) web_lost(tracker, row->channel, row->author, row->seq, result);
    free(pending);
}

static void was_read(void *context, int result, const struct store_row *row)
{
    struct pending *pending = context;
    struct tracker *tracker = pending->tracker;
    if (result) tracker_log_some(tracker, LOG_STORE, "a message was not found again: %s", err_text(result));
    node_done(tracker->node, pending->token, result, result ? SLICE_EMPTY : row->record,
              tracker_now_us(tracker));
    free(pending);
}

static void ask_store(struct tracker *tracker, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    struct store_row row = {.channel = entry->channel,
                            .author = entry->author,
                            .seq = entry->seq,
                            .entry_kind = entry->kind,
                            .place_ms = entry->place_ms,
                            .record = action->record};
    bool read = action->kind == ACTION_READ;
    enum store_kind kind = read ? STORE_ENTRY_GET : entry->author ? STORE_ENTRY_PUT : STORE_CHANNEL_PUT;
    uint64_t token = action->token;
    struct pending *pending = malloc(sizeof *pending);
    int err = ERR_MEMORY;
    if (pending) {
        *pending = (struct pending){tracker, token};
        err = store_submit(tracker->store, kind, &row, read ? was_read : stored, pending);
    }
    if (err) {
        free(pending);
        if (entry->author && !read) web_lost(tracker, entry->channel, entry->author, entry->seq, err);
        node_done(tracker->node, token, err, SLICE_EMPTY, tracker_now_us(tracker));
    }
}

static void warn(struct tracker *tracker, const struct action *action)
{
    char device[ID_TEXT_BYTES] = "";
    if (action->device) hex_encode(slice_of(action->device, ID_BYTES), device);
    tracker_log_some(tracker, LOG_REPLICA, "replica: %.*s %s", (int)action->text.len,
                     action->text.len ? (const char *)action->text.ptr : "", device);
}

/* A replica shows nothing to anybody, so it has no use for DELIVERED and PEER. */
bool replica_run_actions(struct tracker *tracker)
{
    struct action action;
    bool any = false;
    while (node_next(tracker->node, &action)) {
        any = true;
        switch (action.kind) {
        case ACTION_STORE:
        case ACTION_READ: ask_store(tracker, &action); break;
        case ACTION_DELIVER:
            channels_delivered(tracker, action.token);
            web_delivered(tracker, &action.entry, action.token);
            break;
        case ACTION_CHANNEL: channels_introduced(tracker, &action); break;
        case ACTION_CLOSE: port_closed_by_node(tracker, action.link, action.text); break;
        case ACTION_WARNING: warn(tracker, &action); break;
        case ACTION_WRITABLE: port_is_writable(tracker, action.link); break;
        case ACTION_CONNECT: {
            /* Nobody can be dialled from here: devices come to the tracker. */
            uint8_t device[ID_BYTES];
            memcpy(device, action.device, sizeof device);
            struct command failed = {.kind = COMMAND_CONNECT_FAILED, .device = device, .path = action.path};
            if (node_command(tracker->node, &failed, tracker_now_us(tracker)) < 0)
                tracker_log_some(tracker, LOG_REPLICA, "replica: a connection was asked for");
            break;
        }
        default: break;
        }
    }
    return any;
}

static void tick(uv_timer_t *timer)
{
    struct tracker *tracker = timer->data;
    node_tick(tracker->node, tracker_now_us(tracker));
    replica_pump(tracker);
}

static void schedule(struct tracker *tracker)
{
    usec deadline = node_deadline(tracker->node), now = tracker_now_us(tracker);
    if (deadline == UINT64_MAX)
        uv_timer_stop(&tracker->node_timer);
    else
        uv_timer_start(&tracker->node_timer, tick, deadline > now ? (deadline - now + 999) / 1000 : 0, 0);
}

void replica_pump(struct tracker *tracker)
{
    if (!tracker->node || tracker->pumping || tracker->stopping) return;
    tracker->pumping = true;
    bool more;
    do {
        port_feed_held(tracker);
        more = replica_run_actions(tracker);
        more = port_transmit_all(tracker) || more;
    } while (more);
    schedule(tracker);
    tracker->pumping = false;
}

/* --- start and end --- */

struct restoring {
    const struct replica_source *source;
    struct replica_found *found;
};

static int restore(void *context, slice record)
{
    struct restoring *restoring = context;
    int err = node_restore(restoring->found->node, record, restoring->source->now_us);
    if (err == ERR_CORRUPT) {
        restoring->found->damaged++;
        return OK;
    }
    restoring->found->kept += !err;
    return err;
}

int replica_restore(const struct replica_source *source, struct replica_found *out)
{
    struct node_config config = {
        .role = ROLE_REPLICA, .trace = source->config->trace, .trace_context = source->config->trace_context};
    memcpy(config.identity_seed, source->seed, sizeof config.identity_seed);
    crypto_native_random(config.random_seed, sizeof config.random_seed);
    *out = (struct replica_found){0};
    int err = node_create(&config, &allocator_libc, crypto_native(), source->now_us, &out->node);
    crypto_native_random(&config, sizeof config); /* wipes the seeds */
    struct restoring restoring = {source, out};
    if (!err) err = store_each_record(source->store, restore, &restoring);
    if (err) {
        node_destroy(out->node);
        out->node = NULL;
    }
    return err;
}

static int join(struct tracker *tracker)
{
    for (size_t i = 0; i < tracker->channel_count; i++) {
        struct command command = {.kind = COMMAND_JOIN,
                                  .channel = tracker->channels[i].id,
                                  .device = tracker->device,
                                  .bytes = tracker->channels[i].name};
        int64_t result = node_command(tracker->node, &command, tracker_now_us(tracker));
        if (result < 0 && result != ERR_EXISTS) return (int)result;
    }
    return OK;
}

int replica_start(struct tracker *tracker, const struct replica_found *found)
{
    tracker->node = found->node;
    int err = join(tracker);
    if (err) {
        replica_close(tracker);
        return err;
    }
    if (found->damaged) web_damaged(tracker);
    if (found->damaged)
        tracker_log(tracker, WR_LOG_WARNING,
                    "%zu of %zu messages in the database did not fit and were left out", found->damaged,
                    found->damaged + found->kept);
    replica_pump(tracker);
    channels_start(tracker);
    return OK;
}

void replica_close(struct tracker *tracker)
{
    node_destroy(tracker->node);
    tracker->node = NULL;
}
