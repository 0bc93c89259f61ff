/* holder.h - which of the processes that share a database holds the replica. Private to src/tracker.
 *
 * Exactly one does: the one that has locked the file `replica.lock` in the data folder. The lock ends with
 * its process, however that ends; then another one gets it, brings the node back from the database (on
 * another thread, so that it goes on serving), and says so to all. The database is always complete: nothing
 * was acknowledged that is not in it, and nobody writes entries without the lock.
 *
 * Rules: flock, so the folder has to be on a disk of this machine. A tracker that is alone always holds it.
 */
#ifndef TRACKER_HOLDER_H
#define TRACKER_HOLDER_H

#include "tracker/peers.h"

/* Before peers_open. */
int holder_prepare(struct tracker *tracker) BASE_CHECKED;
/* Starts the store, with the node when nobody else has it. */
int holder_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES]) BASE_CHECKED;
/* The peer that said to have the replica, ready; 0: none that we know of, or it is here (tracker->node). */
uint32_t holder_peer(const struct tracker *tracker);
/* This process is about to end: the others do not count on it any more. */
void holder_retire(struct tracker *tracker);
/* Before holder_close run the loop until this is false. */
bool holder_is_busy(const struct tracker *tracker);
/* After the store was closed: another process may have it now. */
void holder_close(struct tracker *tracker);

/* --- for peers.c --- */

peers_handler holder_named, holder_retired;
void holder_joined(struct tracker *tracker, uint32_t peer);
void holder_left(struct tracker *tracker, uint32_t peer);

#endif
