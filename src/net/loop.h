/* loop.h - one event loop: libuv's, with what all connections of it share.
 *
 * The read buffer is shared, because a read is handled before the next one: an idle connection holds none.
 * What a turn of the loop produces for a connection is gathered and leaves in one write at the end of the
 * turn (or at 64 KiB): streams with something to do are on the list `dirty`. Those for which nothing more is
 * to come in this turn are `settled`, and leave earlier when they are many: while what they need is still in
 * the processor's caches.
 *
 * Rules: everything on the thread of the loop. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <uv.h>

#include "net/chunk.h"
#include "net/list.h"
#include "net/wheel.h"

enum {
    LOOP_READ_BYTES = 64 * 1024,
    LOOP_HEADROOM_BYTES = 18 * 1024, /* before what is read, for decrypting it in place */
    LOOP_SETTLED_MAX = 64,           /* streams that are sent together */
};

/* Room for encrypting, made when the first stream with TLS comes. */
enum {
    LOOP_STAGE_BYTES = 64 * 1024,   /* small pieces joined; a piece of a file */
    LOOP_SEALED_BYTES = 151 * 1024, /* 9 records of TLS: what leaves in one write */
};
struct loop_scratch {
    uint8_t stage[LOOP_STAGE_BYTES];
    uint8_t sealed[LOOP_SEALED_BYTES];
};

/* What happened to the handshakes of this loop. */
struct loop_handshakes {
    uint64_t done; /* resumed ones too */
    uint64_t resumed;
    uint64_t failed;
};

struct net_loop {
    uv_loop_t uv;
    uv_prepare_t prepare; /* what timers produced leaves before the loop sleeps */
    uv_check_t check;     /* what events produced leaves after them */
    uv_idle_t idle;       /* keeps the loop from sleeping while a stream is dirty */
    uv_timer_t tick;      /* drives the wheel; runs only while the wheel has entries */
    struct list dirty;    /* struct stream, by dirty_node */
    struct list settled;  /* likewise */
    size_t settled_len;   /* at most so many, since some may have left */
    struct wheel wheel;
    struct chunk_pool chunks;
    struct pipe_pool pipes;
    void (*expired)(struct wheel_entry *entry); /* a deadline has come */
    uint64_t written_calls;                     /* write calls so far, for tests of the coalescing */
    struct loop_handshakes handshakes;
    struct loop_scratch *scratch; /* NULL before the first stream with TLS */
    bool reading;                 /* the read buffer is in use */
    struct stream *borrower;      /* has bytes of the read buffer in its queue, or NULL */
    uint8_t read_buffer[LOOP_HEADROOM_BYTES + LOOP_READ_BYTES];
};

/* 0 or a libuv error. */
int net_loop_init(struct net_loop *loop, void (*expired)(struct wheel_entry *entry));
/* Closes the own handles, runs the loop until every handle is closed, and frees. All streams and listeners
 * must be closed or closing; so must be the handles of others. */
void net_loop_deinit(struct net_loop *loop);

/* Milliseconds of the loop's clock, as of this turn. */
static inline uint64_t net_loop_now(const struct net_loop *loop)
{
    return uv_now(&loop->uv);
}
/* A stream that was dirty has been put on the list of the settled ones. */
void net_loop_settled(struct net_loop *loop);
void net_loop_deadline(struct net_loop *loop, struct wheel_entry *entry, uint64_t deadline_ms);

#endif
