/* bridge.h - ordered bytes between something in this process and something in another one, with back-pressure
 * of its own: a slow receiver holds back its sender and nobody else. Private to src/tracker.
 *
 * Relays and links to the replica whose two ends are in different processes run over these. The receiver says
 * how much it has got rid of (bridge_took); at most BRIDGE_WINDOW_BYTES and one more frame are under way,
 * also in the memory of the other process. When the bus itself is full, all bridges to that process are.
 *
 * Rules: not thread-safe. The two sides are peers (bus.h), one of them opened it. `closed` of the use is the
 * last that is heard of a bridge; bridge_close says nothing to its caller's own side. */
#ifndef TRACKER_BRIDGE_H
#define TRACKER_BRIDGE_H

#include "tracker/peers.h"

enum {
    BRIDGE_WINDOW_BYTES = 256 * 1024,
    BRIDGE_CREDIT_BYTES = BRIDGE_WINDOW_BYTES / 4, /* is given in pieces of at least this */
    BRIDGE_REQUEST_BYTES_MAX = 64,
};

enum bridge_purpose { BRIDGE_RELAY = 1, BRIDGE_REPLICA = 2 };

struct bridge {
    struct tracker *tracker;
    const struct bridge_use *use;
    void *user;        /* of whom has opened it, or of the use */
    struct port *port; /* of a link to the replica that another process has opened */
    uint32_t number;   /* here, never 0 */
    uint32_t there;    /* its number at the peer; 0 until it is open */
    uint32_t peer;
    bool was_full;  /* the user waits for `room` */
    size_t unacked; /* sent, and not known to be taken */
    size_t owed;    /* taken, and not said so */
};

/* What a purpose does with its bridges. */
struct bridge_use {
    enum bridge_purpose purpose;
    /* The other process opens one: accept it (OK, with bridge->user set), or refuse it with an error and
     * words. */
    int (*asked)(struct bridge *bridge, slice request, const char **out_why);
    /* For whom has opened it: it is open. */
    void (*opened)(struct bridge *bridge);
    void (*bytes)(struct bridge *bridge, slice bytes);
    /* bridge_is_full was true and is not any more. */
    void (*room)(struct bridge *bridge);
    /* By the other side, also instead of `opened`, or because it has left (text ""). It is freed after this.
     */
    void (*closed)(struct bridge *bridge, const char *text);
};
extern const struct bridge_use relay_bridge, replica_bridge;

/* request: at most BRIDGE_REQUEST_BYTES_MAX. ERR_FULL, ERR_MEMORY, ERR_NOT_FOUND (no such peer). */
int bridge_open(struct tracker *tracker, uint32_t peer, const struct bridge_use *use, slice request,
                void *user, struct bridge **out_bridge) BASE_CHECKED;
/* Only once it is open. ERR_FULL: these bytes went nowhere, so close it. */
int bridge_send(struct bridge *bridge, slice bytes) BASE_CHECKED;
/* Whether to wait for `room`. True until it is open. */
bool bridge_is_full(struct bridge *bridge);
/* The receiver has got rid of that many bytes. */
void bridge_took(struct bridge *bridge, size_t bytes);
/* Tells the other side and frees. */
void bridge_close(struct bridge *bridge, const char *text);

/* The end: all are closed, and both sides of each are told. */
void bridges_close(struct tracker *tracker, const char *text);

/* --- for peers.c --- */

peers_handler bridge_asked, bridge_was_opened, bridge_bytes, bridge_credit, bridge_was_closed;
void bridge_peer_left(struct tracker *tracker, uint32_t peer);
void bridge_peer_drained(struct tracker *tracker, uint32_t peer);

#endif
