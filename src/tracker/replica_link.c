/* Relay number 0 of a socket: to the node when it is in this process, else over a bridge to the process that
 * holds it. A link that has nowhere to go yet keeps its first bytes, and the socket is not read from. */
#include "tracker/holder.h"
#include "tracker/replica.h"
#include "tracker/socket.h"

bool replica_is_linked(const struct client *client)
{
    return client->port || client->bridge || client->link_waits;
}

static void tell_closed(struct client *client, slice text)
{
    if (client->phase != CLIENT_ONLINE) return;
    client_send(client, json_pack("{s:s,s:i,s:s%}", "type", "relay-close", "relay", 0, "message",
                                  text.len ? (const char *)text.ptr : "", text.len));
}

/* Nothing is held any more, and nothing of the link is in the queue. */
static void drop_held(struct client *client)
{
    if (client->more->held.len) buffer_reset(&client->more->held);
    if (client->more->untaken) client->more->untaken = 0;
    client_less(client);
}

/* Takes what was held; to be reset by the caller. */
static struct buffer take_held(struct client *client)
{
    struct buffer held = client->more->held;
    if (held.cap) buffer_init(&client->more->held, &allocator_libc, BINARY_BYTES_MAX);
    client_less(client);
    return held;
}

/* False: no memory, or too much. */
static bool hold(struct client *client, slice bytes)
{
    struct client_more *more = client_more(client);
    if (more) buffer_put(&more->held, bytes);
    return more && !more->held.failed;
}

static void forget(struct client *client)
{
    client->port = NULL;
    client->bridge = NULL;
    client->link_waits = false;
    drop_held(client);
    client_resume(client, PAUSE_REPLICA);
}

void replica_port_closed(struct client *client, slice text)
{
    forget(client);
    tell_closed(client, text);
}

/* --- over a bridge --- */

static void send_bytes(struct client *client, slice bytes)
{
    if (bridge_send(client->bridge, bytes)) {
        bridge_close(client->bridge, "The server ran out of room.");
        forget(client);
        tell_closed(client, SLICE("The server ran out of room."));
    } else if (bridge_is_full(client->bridge)) {
        client_pause(client, PAUSE_REPLICA);
    }
}

static void opened(struct bridge *bridge)
{
    struct client *client = bridge->user;
    if (!client) return;
    struct buffer held = take_held(client);
    send_bytes(client, buffer_slice(&held));
    buffer_reset(&held);
}

static void room(struct bridge *bridge)
{
    if (bridge->port)
        port_room(bridge->port);
    else
        client_resume(bridge->user, PAUSE_REPLICA);
}

static void bytes_came(struct bridge *bridge, slice bytes)
{
    if (bridge->port) {
        port_bytes(bridge->port, bytes);
        return;
    }
    struct client *client = bridge->user;
    uint8_t frame[BINARY_BYTES_MAX];
    if (bytes.len > sizeof frame - 4) return; /* no process of this version sends that */
    peers_put(frame, 0);
    memcpy(frame + 4, bytes.ptr, bytes.len);
    if (wr_socket_send(client->socket, WR_BINARY, frame, 4 + bytes.len) < 0) {
        bridge_close(bridge, "That device does not take what is sent to it.");
        forget(client);
        wr_socket_close(client->socket, WR_CLOSE_POLICY, "too slow: what was sent to you was not taken");
    } else if (client_is_full(client)) {
        struct client_more *more = client_more(client);
        if (more) more->untaken += bytes.len;
        if (!more) client_fail(client, "the server is out of memory");
    } else {
        bridge_took(bridge, bytes.len);
    }
}

static void closed(struct bridge *bridge, const char *text)
{
    if (bridge->port) {
        port_close(bridge->port);
    } else {
        struct client *client = bridge->user;
        forget(client);
        tell_closed(client, slice_text(text[0] ? text : "The server's replica has moved: begin again."));
    }
}

static int asked(struct bridge *bridge, slice request, const char **out_why)
{
    struct tracker *tracker = bridge->tracker;
    if (!tracker->node || tracker->stopping || request.len != ID_BYTES) {
        *out_why = "The server's replica has moved: begin again.";
        return ERR_WRONG_STATE;
    }
    *out_why = "The server's replica has no room for another link.";
    return port_open(tracker, request.ptr, NULL, bridge, &bridge->port);
}

const struct bridge_use replica_bridge = {.purpose = BRIDGE_REPLICA,
                                          .asked = asked,
                                          .opened = opened,
                                          .bytes = bytes_came,
                                          .room = room,
                                          .closed = closed};

/* --- where it leads --- */

/* The first bytes are held. */
static void lead(struct client *client)
{
    struct tracker *tracker = client->tracker;
    uint32_t holder = holder_peer(tracker);
    if (!tracker->node && !holder) return; /* replica_links_go_on */
    client->link_waits = false;
    int err;
    if (tracker->node)
        err = port_open(tracker, client->seat.device, client, NULL, &client->port);
    else
        err = bridge_open(tracker, holder, &replica_bridge, slice_of(client->seat.device, ID_BYTES), client,
                          &client->bridge);
    if (err) {
        forget(client);
        tell_closed(client, SLICE("The server's replica has no room for another link."));
    } else if (client->port) {
        struct buffer held = take_held(client);
        client_resume(client, PAUSE_REPLICA);
        port_bytes(client->port, buffer_slice(&held));
        buffer_reset(&held);
    }
}

void replica_links_go_on(struct tracker *tracker)
{
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        if (client->link_waits) lead(client);
    }
}

static void begin(struct client *client, slice bytes)
{
    drop_held(client);
    if (!hold(client, bytes)) {
        client_fail(client, "the server is out of memory");
        return;
    }
    client->link_waits = true;
    client_pause(client, PAUSE_REPLICA);
    lead(client);
}

void replica_bytes(struct client *client, slice bytes)
{
    if (client->port) {
        port_bytes(client->port, bytes);
    } else if (client->bridge && client->bridge->there) {
        send_bytes(client, bytes);
    } else if (replica_is_linked(client)) {
        /* A frame that the library had read before the pause. */
        if (!hold(client, bytes)) client_fail(client, "too many bytes for a replica that is busy");
    } else if (slice_starts(bytes, SLICE("wprs"))) {
        /* A link begins with these four letters. Anything else is left over from one that was closed on this
         * side while it was on its way. */
        begin(client, bytes);
    }
    replica_pump(client->tracker);
}

void replica_closed_by_client(struct client *client)
{
    if (!replica_is_linked(client)) return;
    if (client->port) port_close(client->port);
    if (client->bridge) bridge_close(client->bridge, "");
    forget(client);
    replica_pump(client->tracker);
}

void replica_forget(struct client *client)
{
    replica_closed_by_client(client);
}

void replica_drained(struct client *client)
{
    if (client->bridge) {
        bridge_took(client->bridge, client->more->untaken);
        if (client->more->untaken) client->more->untaken = 0;
        client_less(client);
    } else if (client->port) {
        port_room(client->port);
        replica_pump(client->tracker);
    }
}
