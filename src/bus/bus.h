/* bus.h - messages between the tracker processes that share one database.
 *
 * Every process is connected with every other one. What it publishes reaches all of them, what it sends one
 * of them; each gets the messages of one sender in the order in which they were given, and while the two stay
 * connected none is missing. When a connection has ended (`left`), what was under way is lost: whoever keeps
 * a copy of the other's state drops it then and is told anew after `joined`. The interface says nothing of
 * how messages travel. The engine here, "local", is for one machine: a Unix socket for each process in a
 * folder that only its owner may enter.
 *
 * Rules
 *   Thread:  all functions on the thread of the loop; handlers run there, never inside a call of the bus.
 *            Handlers may call everything but bus_close. The program ignores SIGPIPE.
 *   Memory:  copies what it is given; a message is borrowed for the call of its handler. folder and version
 *            are borrowed for its life.
 *   Bounds:  BUS_QUEUE_BYTES_MAX wait for one peer: then ERR_FULL, and nothing of that message was taken. Who
 *            sends much stops at BUS_QUEUE_BYTES_HIGH and goes on at `drained`. BUS_PEERS_MAX peers.
 *   Silence: a peer that says nothing for BUS_SILENCE_S, although it is asked to, has left.
 *   Errors:  ERR_FULL, ERR_TOO_LARGE, ERR_NOT_FOUND (no such peer, or it is leaving), ERR_MEMORY (the peer is
 *            dropped: it would miss a message). */
#ifndef BUS_BUS_H
#define BUS_BUS_H

#include "base/err.h"
#include "base/slice.h"

struct uv_loop_s;
struct bus;

enum {
    BUS_MESSAGE_BYTES_MAX = 256 * 1024,
    BUS_QUEUE_BYTES_HIGH = 1024 * 1024,
    BUS_QUEUE_BYTES_LOW = 256 * 1024,
    BUS_QUEUE_BYTES_MAX = 64 * 1024 * 1024,
    BUS_PEERS_MAX = 64,
    BUS_SILENCE_S = 10,
    BUS_WHY_BYTES = 512,
};

struct bus_handlers {
    /* From now on its messages come. Numbers count up from 1 and are not used again. */
    void (*joined)(void *context, uint32_t peer);
    /* why: NULL when it has called bus_close. */
    void (*left)(void *context, uint32_t peer, const char *why);
    void (*message)(void *context, uint32_t peer, slice message);
    /* Its queue was above BUS_QUEUE_BYTES_HIGH and is below BUS_QUEUE_BYTES_LOW now. */
    void (*drained)(void *context, uint32_t peer);
    /* A process was turned away, in words: it is of another version, or there are too many. */
    void (*refused)(void *context, const char *why);
    void *context;
};

struct bus_options {
    struct uv_loop_s *loop;
    const char *folder;  /* made when it is missing, mode 0700 */
    const char *version; /* processes of another version are refused */
    struct bus_handlers handlers;
};

/* Opens the bus and shakes hands with who is there, at most 2 s; runs the loop meanwhile. ERR_VERSION,
 * ERR_FULL: it was turned away by another process; ERR_DENIED, ERR_IO, ERR_MEMORY. `why` is one sentence for
 * a person. */
int bus_open(const struct bus_options *options, struct bus **out_bus, char why[BUS_WHY_BYTES]) BASE_CHECKED;
/* head and body are one message in two pieces. A peer that has no room for it is dropped, since it would miss
 * it. */
void bus_publish(struct bus *bus, slice head, slice body);
int bus_send(struct bus *bus, uint32_t peer, slice head, slice body) BASE_CHECKED;
/* Bytes that wait for this peer; 0 for none. */
size_t bus_queued(const struct bus *bus, uint32_t peer);
/* Ends the connection; `left` follows, and it will be tried again. */
void bus_drop(struct bus *bus, uint32_t peer, const char *why);
/* A number that this process, or a peer, has everywhere; random, never 0. 0: no such peer. */
uint64_t bus_id(const struct bus *bus);
uint64_t bus_peer_id(const struct bus *bus, uint32_t peer);
/* No handler runs any more. What waits is sent as far as it goes at once. The loop has to run once more. NULL
 * is allowed. */
void bus_close(struct bus *bus);

#endif
