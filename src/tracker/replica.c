/* The replica: one node of the core, with relay number 0 of every socket as a link to it. */
#include "tracker/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/native.h"

#define TRANSMIT_ROOM (32 * 1024)

_Static_assert(TRANSMIT_ROOM >= NODE_TRANSMIT_ROOM, "room for node_transmit");

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
        node_done(tracker->node, token, err, SLICE_EMPTY, tracker_now_us(tracker));
    }
}

/* --- links --- */

static void list_writable(struct client *client)
{
    client->writable = true;
    if (client->listed || client_is_full(client)) return;
    client->listed = true;
    client->next_writable = client->tracker->writable;
    client->tracker->writable = client;
}

static void unlist(struct client *client)
{
    if (!client->listed) return;
    struct client **link = &client->tracker->writable;
    while (*link != client)
        link = &(*link)->next_writable;
    *link = client->next_writable;
    client->listed = false;
}

/* The shell's side of the link is forgotten; what came and was not taken is dropped. */
static void unlink_client(struct client *client)
{
    client->linked = false;
    client->writable = false;
    unlist(client);
    buffer_reset(&client->held);
    if (client->pauses & PAUSE_REPLICA) {
        client->tracker->held_count--;
        client_resume(client, PAUSE_REPLICA);
    }
}

static void link_closed(struct tracker *tracker, const struct action *action)
{
    struct client *client = handles_get(&tracker->clients, action->link);
    if (!client || !client->linked) return;
    json_t *notice = json_pack("{s:s,s:i,s:s%}", "type", "relay-close", "relay", 0, "message",
                               action->text.len ? (const char *)action->text.ptr : "", action->text.len);
    unlink_client(client);
    if (client->phase == CLIENT_ONLINE)
        client_send(client, notice);
    else
        json_decref(notice);
}

static void warn(struct tracker *tracker, const struct action *action)
{
    char device[ID_TEXT_BYTES] = "";
    if (action->device) hex_encode(slice_of(action->device, ID_BYTES), device);
    tracker_log_some(tracker, LOG_REPLICA, "replica: %.*s %s", (int)action->text.len,
                     action->text.len ? (const char *)action->text.ptr : "", device);
}

/* A replica shows nothing to anybody, so it has no use for DELIVER, DELIVERED and PEER. */
static bool run_actions(struct tracker *tracker)
{
    struct action action;
    bool any = false;
    while (node_next(tracker->node, &action)) {
        any = true;
        switch (action.kind) {
        case ACTION_STORE:
        case ACTION_READ: ask_store(tracker, &action); break;
        case ACTION_CLOSE: link_closed(tracker, &action); break;
        case ACTION_WARNING: warn(tracker, &action); break;
        case ACTION_WRITABLE: {
            struct client *client = handles_get(&tracker->clients, action.link);
            if (client && client->linked) list_writable(client);
            break;
        }
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

static void transmit(struct client *client)
{
    struct tracker *tracker = client->tracker;
    uint8_t frame[4 + TRANSMIT_ROOM] = {0}; /* relay number 0 */
    while (client->linked && !client_is_full(client)) {
        size_t len =
            node_transmit(tracker->node, client->number, frame + 4, TRANSMIT_ROOM, tracker_now_us(tracker));
        if (!len) {
            client->writable = false;
            return;
        }
        if (wr_socket_send(client->socket, WR_BINARY, frame, 4 + len) < 0) {
            /* Bytes of a link may not be lost: end it, the device will start another one. */
            node_link_down(tracker->node, client->number, tracker_now_us(tracker));
            unlink_client(client);
            wr_socket_close(client->socket, WR_CLOSE_POLICY, "too slow: what was sent to you was not taken");
        }
    }
}

static bool transmit_all(struct tracker *tracker)
{
    bool any = tracker->writable != NULL;
    while (tracker->writable) {
        struct client *client = tracker->writable;
        unlist(client);
        transmit(client);
    }
    return any;
}

/* Gives the bytes to the node; returns how many it took (all of them when it closed the link). */
static size_t feed(struct client *client, slice bytes)
{
    struct tracker *tracker = client->tracker;
    size_t total = 0;
    bool stuck = false;
    while (client->linked && total < bytes.len) {
        size_t used = 0;
        int err = node_receive(tracker->node, client->number, slice_sub(bytes, total, bytes.len),
                               tracker_now_us(tracker), &used);
        total += used;
        if (err && err != ERR_BUSY) return bytes.len;
        if (err == ERR_BUSY) run_actions(tracker);
        if (used == 0 && stuck) break;
        stuck = used == 0;
    }
    return client->linked ? total : bytes.len;
}

static void feed_held(struct tracker *tracker)
{
    struct client *client;
    for (size_t at = 0; tracker->held_count && (client = handles_next(&tracker->clients, &at));) {
        if (!(client->pauses & PAUSE_REPLICA)) continue;
        size_t used = feed(client, buffer_slice(&client->held));
        if (!client->linked) continue; /* unlink_client has cleaned up */
        buffer_consume(&client->held, used);
        if (client->held.len) continue;
        buffer_reset(&client->held);
        tracker->held_count--;
        client_resume(client, PAUSE_REPLICA);
    }
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
    if (tracker->pumping || tracker->stopping) return;
    tracker->pumping = true;
    bool more;
    do {
        feed_held(tracker);
        more = run_actions(tracker);
        more = transmit_all(tracker) || more;
    } while (more);
    schedule(tracker);
    tracker->pumping = false;
}

static bool link_up(struct client *client)
{
    struct tracker *tracker = client->tracker;
    struct node_link info = {
        .path = PATH_TRACKER, .initiator = false, .expected = client->device, .binding = SLICE("tracker")};
    int err = node_link_up(tracker->node, client->number, &info, tracker_now_us(tracker));
    client->linked = !err;
    if (err)
        client_send(client, json_pack("{s:s,s:i,s:s}", "type", "relay-close", "relay", 0, "message",
                                      "The server's replica has no room for another link."));
    return client->linked;
}

void replica_bytes(struct client *client, slice bytes)
{
    struct tracker *tracker = client->tracker;
    /* A link begins with these four letters. Anything else is left over from one that was closed on this side
     * while it was on its way. */
    if (!client->linked && (!slice_starts(bytes, SLICE("wprs")) || !link_up(client))) return;
    size_t used = client->held.len ? 0 : feed(client, bytes);
    if (client->linked && used < bytes.len) {
        buffer_put(&client->held, slice_sub(bytes, used, bytes.len));
        if (client->held.failed) {
            client_fail(client, "too many bytes for a replica that is busy");
        } else if (!(client->pauses & PAUSE_REPLICA)) {
            tracker->held_count++;
            client_pause(client, PAUSE_REPLICA);
        }
    }
    replica_pump(tracker);
}

void replica_closed_by_client(struct client *client)
{
    if (!client->linked) return;
    node_link_down(client->tracker->node, client->number, tracker_now_us(client->tracker));
    unlink_client(client);
    replica_pump(client->tracker);
}

void replica_forget(struct client *client)
{
    replica_closed_by_client(client);
}

void replica_drained(struct client *client)
{
    if (!client->linked || !client->writable) return;
    list_writable(client);
    replica_pump(client->tracker);
}

/* --- start and end --- */

struct restoring {
    struct tracker *tracker;
    size_t kept, damaged;
};

static int restore(void *context, slice record)
{
    struct restoring *restoring = context;
    int err = node_restore(restoring->tracker->node, record, tracker_now_us(restoring->tracker));
    if (err == ERR_CORRUPT) {
        restoring->damaged++;
        return OK;
    }
    restoring->kept += !err;
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

int replica_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    struct node_config config = {
        .role = ROLE_REPLICA, .trace = tracker->config.trace, .trace_context = tracker->config.trace_context};
    memcpy(config.identity_seed, tracker->seed, sizeof config.identity_seed);
    crypto_native_random(config.random_seed, sizeof config.random_seed);
    int err = node_create(&config, &allocator_libc, crypto_native(), tracker_now_us(tracker), &tracker->node);
    crypto_native_random(&config, sizeof config); /* wipes the seeds */
    struct restoring restoring = {.tracker = tracker};
    if (!err) err = store_each_record(tracker->store, restore, &restoring);
    if (!err) err = store_start(tracker->store);
    if (!err) err = join(tracker);
    if (err) {
        snprintf(why, TRACKER_WHY_BYTES, "The messages in %s cannot be brought back: %s.",
                 tracker->config.database, err_text(err));
        return err;
    }
    if (restoring.damaged)
        tracker_log(tracker, WR_LOG_WARNING,
                    "%zu of %zu messages in the database did not fit and were left out", restoring.damaged,
                    restoring.damaged + restoring.kept);
    replica_pump(tracker);
    return OK;
}

void replica_close(struct tracker *tracker)
{
    node_destroy(tracker->node);
    tracker->node = NULL;
}
