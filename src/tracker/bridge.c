#include "tracker/bridge.h"

#include <stdlib.h>

#include "bus/bus.h"

static const struct bridge_use *use_of(uint8_t purpose)
{
    switch (purpose) {
    case BRIDGE_RELAY: return &relay_bridge;
    case BRIDGE_REPLICA: return &replica_bridge;
    default: return NULL;
    }
}

static int bridge_new(struct tracker *tracker, uint32_t peer, const struct bridge_use *use,
                      struct bridge **out_bridge)
{
    struct bridge *bridge = calloc(1, sizeof *bridge);
    if (!bridge) return ERR_MEMORY;
    *bridge = (struct bridge){.tracker = tracker, .use = use, .peer = peer};
    int err = handles_add(&tracker->bridges, bridge, &bridge->number);
    if (err) {
        free(bridge);
        return err;
    }
    *out_bridge = bridge;
    return OK;
}

static void bridge_free(struct bridge *bridge)
{
    handles_remove(&bridge->tracker->bridges, bridge->number);
    free(bridge);
}

/* The bridge that a message of this peer is about: its number is the first that the message says. */
static struct bridge *bridge_of(struct tracker *tracker, uint32_t peer, slice message)
{
    struct bridge *bridge = message.len < 4 ? NULL : handles_get(&tracker->bridges, peers_get(message.ptr));
    return bridge && bridge->peer == peer ? bridge : NULL;
}

static void tell_closed(struct tracker *tracker, uint32_t peer, uint32_t there, const char *text)
{
    uint8_t head[4];
    peers_put(head, there);
    peers_tell(tracker, peer, PEERS_BRIDGE_CLOSED, slice_of(head, sizeof head), slice_text(text));
}

/* --- opening and closing --- */

int bridge_open(struct tracker *tracker, uint32_t peer, const struct bridge_use *use, slice request,
                void *user, struct bridge **out_bridge)
{
    struct bridge *bridge = NULL;
    uint8_t head[5];
    int err = bridge_new(tracker, peer, use, &bridge);
    if (err) return err;
    bridge->user = user;
    bridge->was_full = true;
    peers_put(head, bridge->number);
    head[4] = (uint8_t)use->purpose;
    err = peers_send(tracker, peer, PEERS_BRIDGE_OPEN, slice_of(head, sizeof head), request);
    if (err) {
        bridge_free(bridge);
        return err;
    }
    *out_bridge = bridge;
    return OK;
}

void bridge_asked(struct tracker *tracker, uint32_t peer, slice message)
{
    const struct bridge_use *use = message.len < 5 ? NULL : use_of(message.ptr[4]);
    if (!use) return;
    struct bridge *bridge = NULL;
    uint32_t there = peers_get(message.ptr);
    const char *why = "The server is out of memory.";
    int err = bridge_new(tracker, peer, use, &bridge);
    if (err == ERR_FULL) why = "The server has no room for more.";
    if (!err) {
        bridge->there = there;
        err = use->asked(bridge, slice_sub(message, 5, message.len), &why);
        if (err) bridge_free(bridge);
    }
    if (err) {
        tell_closed(tracker, peer, there, why);
        return;
    }
    uint8_t head[8];
    peers_put(head, there);
    peers_put(head + 4, bridge->number);
    peers_tell(tracker, peer, PEERS_BRIDGE_OPENED, slice_of(head, sizeof head), SLICE_EMPTY);
}

static void tell_room(struct bridge *bridge)
{
    if (!bridge->was_full || bridge_is_full(bridge)) return;
    bridge->was_full = false;
    bridge->use->room(bridge);
}

void bridge_was_opened(struct tracker *tracker, uint32_t peer, slice message)
{
    struct bridge *bridge = bridge_of(tracker, peer, message);
    if (message.len < 8) return;
    uint32_t there = peers_get(message.ptr + 4);
    if (!bridge || bridge->there) { /* it was closed meanwhile */
        tell_closed(tracker, peer, there, "");
        return;
    }
    uint32_t number = bridge->number;
    bridge->there = there;
    bridge->use->opened(bridge);
    if (handles_get(&tracker->bridges, number)) tell_room(bridge);
}

void bridge_close(struct bridge *bridge, const char *text)
{
    if (bridge->there) tell_closed(bridge->tracker, bridge->peer, bridge->there, text);
    bridge_free(bridge);
}

static void end(struct bridge *bridge, const char *text)
{
    bridge->use->closed(bridge, text);
    bridge_free(bridge);
}

void bridge_was_closed(struct tracker *tracker, uint32_t peer, slice message)
{
    struct bridge *bridge = bridge_of(tracker, peer, message);
    if (!bridge) return;
    char text[513];
    slice words = slice_sub(message, 4, sizeof text - 1);
    if (words.len) memcpy(text, words.ptr, words.len);
    text[words.len] = '\0';
    end(bridge, text);
}

void bridge_peer_left(struct tracker *tracker, uint32_t peer)
{
    struct bridge *bridge;
    for (size_t at = 0; (bridge = handles_next(&tracker->bridges, &at));) {
        if (bridge->peer == peer) end(bridge, "");
    }
}

void bridges_close(struct tracker *tracker, const char *text)
{
    struct bridge *bridge;
    for (size_t at = 0; (bridge = handles_next(&tracker->bridges, &at));) {
        if (bridge->there) tell_closed(tracker, bridge->peer, bridge->there, text);
        end(bridge, text);
    }
}

/* --- bytes --- */

bool bridge_is_full(struct bridge *bridge)
{
    bool full = !bridge->there || bridge->unacked >= BRIDGE_WINDOW_BYTES ||
                bus_queued(bridge->tracker->bus, bridge->peer) >= BUS_QUEUE_BYTES_HIGH;
    bridge->was_full = bridge->was_full || full;
    return full;
}

int bridge_send(struct bridge *bridge, slice bytes)
{
    uint8_t head[4];
    /* The other half of the queue is for what is no bridge. */
    if (bus_queued(bridge->tracker->bus, bridge->peer) > BUS_QUEUE_BYTES_MAX / 2) return ERR_FULL;
    peers_put(head, bridge->there);
    int err =
        peers_send(bridge->tracker, bridge->peer, PEERS_BRIDGE_BYTES, slice_of(head, sizeof head), bytes);
    if (!err) bridge->unacked += bytes.len;
    return err;
}

void bridge_bytes(struct tracker *tracker, uint32_t peer, slice message)
{
    struct bridge *bridge = bridge_of(tracker, peer, message);
    if (bridge) bridge->use->bytes(bridge, slice_sub(message, 4, message.len));
}

void bridge_took(struct bridge *bridge, size_t bytes)
{
    uint8_t head[8];
    bridge->owed += bytes;
    if (bridge->owed < BRIDGE_CREDIT_BYTES) return;
    peers_put(head, bridge->there);
    peers_put(head + 4, (uint32_t)bridge->owed);
    bridge->owed = 0;
    peers_tell(bridge->tracker, bridge->peer, PEERS_BRIDGE_CREDIT, slice_of(head, sizeof head), SLICE_EMPTY);
}

void bridge_credit(struct tracker *tracker, uint32_t peer, slice message)
{
    struct bridge *bridge = bridge_of(tracker, peer, message);
    if (!bridge || message.len < 8) return;
    uint32_t bytes = peers_get(message.ptr + 4);
    bridge->unacked -= bytes < bridge->unacked ? bytes : bridge->unacked;
    if (bridge->unacked <= BRIDGE_WINDOW_BYTES / 2) tell_room(bridge);
}

void bridge_peer_drained(struct tracker *tracker, uint32_t peer)
{
    struct bridge *bridge;
    for (size_t at = 0; (bridge = handles_next(&tracker->bridges, &at));) {
        if (bridge->peer == peer) tell_room(bridge);
    }
}
