/* topic.h - one message to many sockets.
 *
 * Each worker knows which of its own sockets are in a topic; how many there are on all workers is counted in
 * one place, so that a message for a topic that lives on one worker does not wake the others. A message is
 * framed once: its bytes are counted and shared by all sockets on all workers.
 *
 * Rules: a worker's topics belong to its thread, the counts to everybody. */
#ifndef WEB_TOPIC_H
#define WEB_TOPIC_H

#include <uv.h>

#include "base/map.h"
#include "net/shared.h"

enum { TOPIC_NAME_MAX = 200, TOPICS_OF_SOCKET_MAX = 64, TOPIC_WAITING_BYTES_MAX = 64 * 1024 * 1024 };

struct wr_socket;
struct wr_worker;

/* What a socket is subscribed to. */
struct subscriptions;

/* The topics of one worker. */
struct topic {
    uint8_t key[MAP_KEY_BYTES];
    struct wr_socket **sockets; /* NULL: this place is free */
    uint32_t len, cap;
    uint32_t next_free; /* of the free places: index + 1, 0 at the end */
};

struct topics {
    struct map by_key; /* to an index of list */
    struct topic *list;
    uint32_t len, cap, first_free; /* index + 1 */
    /* Frames that were made one after the other lie one after the other, so what a subscriber gets in a turn
     * is one piece. */
    struct shared_bytes *slab; /* NULL: none */
    size_t slab_used;
    atomic_size_t waiting_bytes; /* of messages that other threads have posted and that are not delivered */
};

void topics_init(struct topics *t, const uint8_t secret[16]);
/* All sockets have left. */
void topics_deinit(struct topics *t);

/* Subscribers of each topic on all workers. */
struct topic_counts {
    uv_mutex_t lock;
    struct map by_key;
};

/* 0 or a libuv error. */
int topic_counts_init(struct topic_counts *counts, const uint8_t secret[16]);
void topic_counts_deinit(struct topic_counts *counts);

/* The socket ends: it leaves all its topics. */
void topic_leave_all(struct wr_socket *socket);

#endif
