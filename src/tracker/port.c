/* The links of the node. */
#include <stdlib.h>

#include "tracker/replica.h"
#include "tracker/socket.h"

#define TRANSMIT_ROOM (32 * 1024)

_Static_assert(TRANSMIT_ROOM >= NODE_TRANSMIT_ROOM, "room for node_transmit");

static bool is_full(const struct port *port)
{
    return port->client ? client_is_full(port->client) : bridge_is_full(port->bridge);
}

static void pause_end(struct port *port)
{
    port->waiting = true;
    port->tracker->held_count++;
    if (port->client) client_pause(port->client, PAUSE_REPLICA); /* a bridge gets no credit */
}

static void resume_end(struct port *port)
{
    port->waiting = false;
    port->tracker->held_count--;
    if (port->client) client_resume(port->client, PAUSE_REPLICA);
}

static void list_writable(struct port *port)
{
    port->writable = true;
    if (port->listed || is_full(port)) return;
    port->listed = true;
    port->next_writable = port->tracker->writable;
    port->tracker->writable = port;
}

static void unlist(struct port *port)
{
    if (!port->listed) return;
    struct port **link = &port->tracker->writable;
    while (*link != port)
        link = &(*link)->next_writable;
    *link = port->next_writable;
    port->listed = false;
}

/* What came and was not taken is dropped. */
static void port_free(struct port *port)
{
    unlist(port);
    if (port->waiting) resume_end(port);
    buffer_reset(&port->held);
    handles_remove(&port->tracker->ports, port->number);
    free(port);
}

int port_open(struct tracker *tracker, const uint8_t device[ID_BYTES], struct client *client,
              struct bridge *bridge, struct port **out_port)
{
    struct port *port = calloc(1, sizeof *port);
    if (!port) return ERR_MEMORY;
    *port = (struct port){.tracker = tracker, .client = client, .bridge = bridge};
    /* What a bridge may have under way fits. */
    buffer_init(&port->held, &allocator_libc, BINARY_BYTES_MAX + (bridge ? BRIDGE_WINDOW_BYTES : 0));
    int err = handles_add(&tracker->ports, port, &port->number);
    if (err) {
        free(port);
        return err;
    }
    struct node_link info = {
        .path = PATH_TRACKER, .initiator = false, .expected = device, .binding = SLICE("tracker")};
    err = node_link_up(tracker->node, port->number, &info, tracker_now_us(tracker));
    if (err) {
        port_free(port);
        return err;
    }
    *out_port = port;
    return OK;
}

void port_close(struct port *port)
{
    struct tracker *tracker = port->tracker;
    if (tracker->node) node_link_down(tracker->node, port->number, tracker_now_us(tracker));
    port_free(port);
}

void port_closed_by_node(struct tracker *tracker, uint32_t number, slice text)
{
    struct port *port = handles_get(&tracker->ports, number);
    if (!port) return;
    struct client *client = port->client;
    struct bridge *bridge = port->bridge;
    char words[513];
    text = slice_sub(text, 0, sizeof words - 1);
    if (text.len) memcpy(words, text.ptr, text.len);
    words[text.len] = '\0';
    port_free(port);
    if (client)
        replica_port_closed(client, slice_text(words));
    else
        bridge_close(bridge, words);
}

/* Bytes of a link may not be lost: end it, the device will start another one. */
static void lost(struct port *port)
{
    struct client *client = port->client;
    struct bridge *bridge = port->bridge;
    port_close(port);
    if (bridge) {
        bridge_close(bridge, "The server ran out of room.");
        return;
    }
    replica_port_closed(client, SLICE_EMPTY);
    wr_socket_close(client->socket, WR_CLOSE_POLICY, "too slow: what was sent to you was not taken");
}

/* --- from the node --- */

void port_is_writable(struct tracker *tracker, uint32_t number)
{
    struct port *port = handles_get(&tracker->ports, number);
    if (port) list_writable(port);
}

static void transmit(struct port *port)
{
    struct tracker *tracker = port->tracker;
    uint8_t frame[4 + TRANSMIT_ROOM] = {0}; /* relay number 0 */
    while (!is_full(port)) {
        size_t len =
            node_transmit(tracker->node, port->number, frame + 4, TRANSMIT_ROOM, tracker_now_us(tracker));
        if (!len) {
            port->writable = false;
            return;
        }
        int64_t sent = port->client ? wr_socket_send(port->client->socket, WR_BINARY, frame, 4 + len)
                                    : bridge_send(port->bridge, slice_of(frame + 4, len));
        if (sent < 0) {
            lost(port);
            return;
        }
    }
}

bool port_transmit_all(struct tracker *tracker)
{
    bool any = tracker->writable != NULL;
    while (tracker->writable) {
        struct port *port = tracker->writable;
        unlist(port);
        transmit(port);
    }
    return any;
}

void port_room(struct port *port)
{
    if (port->writable) list_writable(port);
}

/* --- to the node --- */

/* Gives the bytes to the node; *out_used: how many it took. False when that ended the link. */
static bool feed(struct tracker *tracker, uint32_t number, slice bytes, size_t *out_used)
{
    bool stuck = false;
    size_t total = 0;
    while (handles_get(&tracker->ports, number) && total < bytes.len) {
        size_t used = 0;
        int err = node_receive(tracker->node, number, slice_sub(bytes, total, bytes.len),
                               tracker_now_us(tracker), &used);
        total += used;
        if (err && err != ERR_BUSY) {
            total = bytes.len; /* the node closes it */
            break;
        }
        if (err == ERR_BUSY) replica_run_actions(tracker);
        if (used == 0 && stuck) break;
        stuck = used == 0;
    }
    *out_used = total;
    return handles_get(&tracker->ports, number) != NULL;
}

void port_bytes(struct port *port, slice bytes)
{
    size_t used = 0;
    if (!port->held.len && !feed(port->tracker, port->number, bytes, &used)) return;
    if (port->bridge && used) bridge_took(port->bridge, used);
    if (used == bytes.len) return;
    buffer_put(&port->held, slice_sub(bytes, used, bytes.len));
    if (port->held.failed) {
        node_link_down(port->tracker->node, port->number, tracker_now_us(port->tracker));
        port_closed_by_node(port->tracker, port->number, SLICE("too many bytes for a replica that is busy"));
    } else if (!port->waiting) {
        pause_end(port);
    }
}

void port_feed_held(struct tracker *tracker)
{
    struct port *port;
    for (size_t at = 0; tracker->held_count && (port = handles_next(&tracker->ports, &at));) {
        size_t used;
        if (!port->waiting || !feed(tracker, port->number, buffer_slice(&port->held), &used)) continue;
        buffer_consume(&port->held, used);
        if (port->bridge && used) bridge_took(port->bridge, used);
        if (port->held.len) continue;
        buffer_reset(&port->held);
        resume_end(port);
    }
}
