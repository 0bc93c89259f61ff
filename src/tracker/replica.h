/* replica.h - the replica: one node of the core, with relay number 0 of every socket as a link to it. Private
 * to src/tracker.
 *
 * Of the processes that share a database one has the node (holder.c). replica.c carries out what the node
 * wants; port.c has the node's links, to sockets of this process and to bridges from others; replica_link.c
 * is the socket's side: it leads to a port here or to a bridge, and waits while nobody holds the replica. */
#ifndef TRACKER_REPLICA_H
#define TRACKER_REPLICA_H

#include "base/buffer.h"
#include "tracker/bridge.h"

/* --- replica.c --- */

struct replica_source {
    struct store *store; /* not started */
    const struct tracker_config *config;
    const uint8_t *seed;
    uint64_t now_us;
};
struct replica_found {
    struct node *node;
    size_t kept, damaged;
};
/* Makes the node and brings back what the store has. Touches nothing else, so it may run on another thread.
 */
int replica_restore(const struct replica_source *source, struct replica_found *out) BASE_CHECKED;
/* From now on the node is here; takes it. Once the store was started. */
int replica_start(struct tracker *tracker, const struct replica_found *found) BASE_CHECKED;
void replica_close(struct tracker *tracker);
/* Carries out what the node wants, and asks it when it wants to be called next. Nothing without a node. */
void replica_pump(struct tracker *tracker);
/* Carries out what is waiting now; true when there was something. */
bool replica_run_actions(struct tracker *tracker);

/* --- port.c --- */

/* A link of the node. At its other end is a socket of this process, or a bridge. */
struct port {
    struct tracker *tracker;
    uint32_t number; /* of the link */
    struct client *client;
    struct bridge *bridge;
    bool writable; /* the node has something for it */
    bool listed;   /* in tracker->writable */
    bool waiting;  /* in held are bytes that the node has not taken yet, and its end is paused */
    struct buffer held;
    struct port *next_writable;
};

/* One of client and bridge. ERR_FULL, ERR_MEMORY. */
int port_open(struct tracker *tracker, const uint8_t device[ID_BYTES], struct client *client,
              struct bridge *bridge, struct port **out_port) BASE_CHECKED;
/* The node may close the link meanwhile; then the port is gone and its end has been told. */
void port_bytes(struct port *port, slice bytes);
/* Its end is gone, or wants to end it. */
void port_close(struct port *port);
/* Its end takes more again. */
void port_room(struct port *port);
/* For replica.c: what the node says of a link. */
void port_is_writable(struct tracker *tracker, uint32_t number);
void port_closed_by_node(struct tracker *tracker, uint32_t number, slice text);
bool port_transmit_all(struct tracker *tracker);
void port_feed_held(struct tracker *tracker);

/* --- replica_link.c: relay number 0 of a socket --- */

/* Whether it has a link, or waits for one. */
bool replica_is_linked(const struct client *client);
void replica_bytes(struct client *client, slice bytes);
void replica_closed_by_client(struct client *client);
void replica_forget(struct client *client);
void replica_drained(struct client *client);
/* The port of this client is gone, in words. */
void replica_port_closed(struct client *client, slice text);
/* There is somebody now who holds the replica: whoever waited goes on. */
void replica_links_go_on(struct tracker *tracker);

#endif
