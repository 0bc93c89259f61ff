/* remote.h - the devices that are online at the other processes. Private to src/tracker.
 *
 * Each process tells the others which devices came and went at its sockets, and all of them when they meet.
 * When a device has a socket at two processes, the newer one counts: `turn` is a number that grows by one
 * with every device that comes online anywhere, as far as its process has heard (a Lamport clock), and the
 * ids of the processes decide between equal ones. So all agree, and the older socket is told that it was
 * replaced. */
#ifndef TRACKER_REMOTE_H
#define TRACKER_REMOTE_H

#include "tracker/peers.h"
#include "tracker/person.h"

struct remote {
    struct seat seat; /* first */
    uint32_t peer;    /* at which process */
    uint64_t turn, peer_id, since_ms;
};

enum { REMOTES_MAX = 256 * 1024 };

int remotes_init(struct tracker *tracker, const uint8_t secret[16]) BASE_CHECKED;
void remotes_deinit(struct tracker *tracker);
/* NULL: it is not online at another process. */
const struct remote *remote_find(const struct tracker *tracker, const uint8_t device[ID_BYTES]);
/* Visits all: start with *at = 0; NULL at the end. */
const struct remote *remote_next(const struct tracker *tracker, size_t *at);

/* A device has come online here: gives the client its turn and tells the others; a socket of
 * it at another process is replaced. */
void remote_came(struct client *client);
void remote_went(struct client *client);

/* --- for peers.c --- */

peers_handler remote_online, remote_offline;
void remote_tell_all(struct tracker *tracker, uint32_t peer);
void remote_peer_left(struct tracker *tracker, uint32_t peer);

#endif
