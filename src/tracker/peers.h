/* peers.h - the other tracker processes that share this database. Private to src/tracker.
 *
 * A message on the bus is a byte of enum peers_kind and then what that kind says. To send something new: a
 * line in the enum, and a row with its handler in the table of peers.c. What a handler keeps of a peer has to
 * go when the peer leaves, and to be sent to it when it joins: peers.c has a list for that, too.
 *
 * Rules
 *   A tracker that is alone (no shared folder) has no bus: publishing is nothing, sending is ERR_NOT_FOUND.
 *   Order and bounds are those of bus.h. A message that was published and cannot be taken ends the
 * connection, and both sides begin anew: so nobody misses a change. */
#ifndef TRACKER_PEERS_H
#define TRACKER_PEERS_H

#include "tracker/state.h"

enum peers_kind {
    PEERS_ONLINE = 1, /* remote.c: devices that are online there */
    PEERS_OFFLINE,
    PEERS_LOGGED_OUT, /* socket.c: a session has ended: its hash */
    PEERS_PUSH,       /* push.c */
    PEERS_SIGNAL,     /* signal.c: the device, then the JSON for it */
    PEERS_ASK,        /* job.c: both */
    PEERS_ANSWER,
    PEERS_HOLDER,      /* holder.c: the sender has the replica, and it is ready */
    PEERS_RETIRED,     /* ... and not any more: it ends */
    PEERS_BRIDGE_OPEN, /* bridge.c: these five */
    PEERS_BRIDGE_OPENED,
    PEERS_BRIDGE_BYTES,
    PEERS_BRIDGE_CREDIT,
    PEERS_BRIDGE_CLOSED,
    PEERS_ORDERS,          /* channel_orders.c: the list has grown */
    PEERS_ACCOUNT_CHANGED, /* sessions.c: the number of the account */
    PEERS_PERSON,          /* person.c: what the database says of an account has changed */
    PEERS_TALK,            /* reach.c: somebody wants to be seen by somebody, or not any more */
    PEERS_KIND_COUNT,
};

enum { PEERS_HEAD_BYTES_MAX = 127 };

typedef void peers_handler(struct tracker *tracker, uint32_t peer, slice message);

/* Opens the bus when config.shared_folder is set. The words of an error are in `why`. */
int peers_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES]) BASE_CHECKED;
void peers_close(struct tracker *tracker);

/* To all others. */
void peers_publish(struct tracker *tracker, enum peers_kind kind, slice message);
/* To one of them; head (at most PEERS_HEAD_BYTES_MAX) and body follow each other. As bus_send. */
int peers_send(struct tracker *tracker, uint32_t peer, enum peers_kind kind, slice head,
               slice body) BASE_CHECKED;
/* As peers_send, for what must not be missed: when it cannot be sent, the peer is dropped. */
void peers_tell(struct tracker *tracker, uint32_t peer, enum peers_kind kind, slice head, slice body);

/* Numbers in the messages that are no CBOR: 4 bytes, big-endian. */
static inline void peers_put(uint8_t out[4], uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}
static inline uint32_t peers_get(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#endif
