/* stream.h - one TCP connection, with TLS or without.
 *
 * Written bytes are queued and leave at the end of the loop turn in one write, tried directly first; only
 * what the kernel does not take waits in libuv. Ranges of files go by sendfile when they are large. Reading
 * goes to the loop's shared buffer. With TLS the same calls and events are about the plaintext.
 *
 * Life: stream_accept or stream_connect makes it live; stream_close ends it at any time, `closed` is its last
 * call. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/err.h"
#include "net/loop.h"

struct stream;
struct listener;
struct connector;
struct tls;
struct tls_client;
struct splice;

enum {
    STREAM_FLUSH_BYTES = 64 * 1024,  /* more than this leaves before the turn ends */
    STREAM_WRITE_BYTES = 256 * 1024, /* about this much is handed to libuv at a time */
    STREAM_TURN_BYTES = 512 * 1024,  /* about this much leaves in a turn, then others have theirs */
    STREAM_SENDFILE_MIN = 64 * 1024, /* shorter ranges of files are read and sent with what is around them */
    STREAM_STALL_BYTES = 16 * 1024,  /* of a file that are in memory while the kernel takes no more */
    STREAM_LEND_MIN = 4 * 1024,      /* copying fewer bytes costs less than a call of their own */
};

struct stream_events {
    /* The connection that stream_connect asked for is there; with TLS (accepted ones too) the handshake is
     * done. May be NULL. */
    void (*opened)(struct stream *stream);
    /* Bytes came; they may be changed, and are gone after the call. */
    void (*received)(struct stream *stream, uint8_t *bytes, size_t len);
    /* The other side sends no more. */
    void (*ended)(struct stream *stream);
    /* It could not be opened, was reset, or broke another rule: call stream_close. UV_EOF: a TLS connection
     * ended without saying so, what came may not be all. stream_failure has words for it. */
    void (*failed)(struct stream *stream, int uv_error);
    /* Asked for with stream_wake: at the end of this turn, before the flush. */
    void (*woken)(struct stream *stream);
    /* After an attempt to send: look at stream_queued and stream_sent. Never from within stream_put. */
    void (*flushed)(struct stream *stream);
    /* So many bytes went to the stream that stream_splice named. May be NULL where that is not called. */
    void (*spliced)(struct stream *stream, size_t len);
    void (*closed)(struct stream *stream);
};

struct stream {
    uv_tcp_t tcp;
    const struct stream_events *events;
    struct list dirty_node;
    struct chunk_queue out; /* not handed to the kernel yet; plaintext */
    union {
        struct stream_write *write;  /* what libuv is writing, or NULL */
        struct connector *connector; /* while `connecting` */
    };
    struct tls *tls;       /* NULL: without */
    struct splice *splice; /* where what comes goes, or NULL */
    struct splice *source; /* what brings something for it */
    uint64_t put;          /* bytes ever queued */
    int error;             /* libuv's, to be reported at the end of the turn */
    uint16_t read_kib;     /* at most so much is read at a time; 0: what the buffer holds */
    bool reading : 1, first : 1, wake : 1, finish : 1, finished : 1, last : 1, closing : 1, connecting : 1;
};

static inline struct net_loop *stream_loop(const struct stream *stream)
{
    return (struct net_loop *)stream->tcp.loop; /* its first member */
}

/* The connection that the listener has ready; with TLS when that is secure. The handshake has no time limit
 * of its own: see stream_opening. 0 or a libuv error: then the stream is closed already, `closed` comes from
 * the loop. */
int stream_accept(struct stream *stream, struct net_loop *loop, struct listener *listener,
                  const struct stream_events *events) BASE_CHECKED;

struct stream_target {
    const char *host; /* a name, or an IP address without brackets */
    uint16_t port;
    struct tls_client *tls; /* NULL: without */
    /* Addresses of the host that are known already, each as 16 bytes (an IPv4 one in its IPv6-mapped form):
     * then nothing is looked up, and the host is only whom the certificate must be for. Copied; the first 8
     * count. */
    const uint8_t (*addresses)[16];
    size_t address_count; /* 0: not known */
};
/* Connects: to each address of the host in turn, a next one 250 ms after the one before when that has not
 * answered; the first that answers is it. `opened` or `failed` comes from the loop; what is put before is
 * sent then. There is no time limit: stream_close ends the attempt. 0; ERR_MEMORY, ERR_INVALID (the host
 * cannot be one): nothing was begun, no event comes. */
int stream_connect(struct stream *stream, struct net_loop *loop, const struct stream_target *target,
                   const struct stream_events *events) BASE_CHECKED;
/* True until the connection and its TLS handshake are done. */
bool stream_opening(const struct stream *stream);
/* Whether the other side has reset a connection that is not read at the moment: no event tells of it. */
bool stream_was_reset(const struct stream *stream);
/* Why it failed, in words, for the error that `failed` gave. Borrows from the stream, or constant. */
const char *stream_failure(const struct stream *stream, int uv_error);
/* What both sides chose by ALPN; empty: nothing, or no TLS. Borrowed. */
slice stream_protocol(const struct stream *stream);

/* Starts and stops `received`. Both are cheap when nothing changes. */
void stream_read(struct stream *stream, bool on);

/* From now on at most so many bytes are read at a time (rounded up to KiB; 0: as many as there is room for).
 * A short read leaves what follows to a splice. */
void stream_read_limit(struct stream *stream, size_t bytes);

/* Queue bytes: 0 or ERR_MEMORY. After stream_finish or stream_close they do nothing. */
int stream_put(struct stream *stream, slice bytes) BASE_CHECKED;
/* For bytes that `received` of any stream of the loop was given, as they are: many are not copied. They, and
 * what is queued around them, are sent when stream_repay is called, when the read buffer is needed again, or
 * at the end of the turn; what the kernel does not take then is copied. They must not be changed any more.
 * Few bytes are queued. */
int stream_lend(struct stream *stream, slice bytes) BASE_CHECKED;
/* When something is lent to it: sends that now, and what is queued around it. */
void stream_repay(struct stream *stream);
/* Both, and past the queue when that is empty (then `flushed` has nothing to tell): where nothing is to be
 * put behind the bytes in this turn. */
int stream_put_now(struct stream *stream, slice bytes) BASE_CHECKED;
/* Constant bytes, borrowed until sent. */
int stream_put_static(struct stream *stream, slice bytes) BASE_CHECKED;
/* Holds the bytes until they are sent. */
int stream_put_shared(struct stream *stream, struct shared_bytes *bytes) BASE_CHECKED;
/* The same for a part of them; parts that follow one another leave as one piece. */
int stream_put_part(struct stream *stream, struct shared_bytes *owner, slice part) BASE_CHECKED;
/* Holds the file until `len` bytes from `offset` on are sent. A file that is shorter by then, or cannot be
 * read, makes the stream fail with UV_EIO: nothing else is ever sent in place of its bytes. */
int stream_put_file(struct stream *stream, struct shared_file *file, uint64_t offset,
                    size_t len) BASE_CHECKED;
/* Room for len bytes, counted as queued; fill it before the next call. NULL: no memory (or finished). */
uint8_t *stream_room(struct stream *stream, size_t len);
/* Gives back the last `unused` bytes of it. */
void stream_trim(struct stream *stream, size_t unused);
/* Writes now when much is queued; after stream_room, which cannot know when the room is filled. */
void stream_flush_large(struct stream *stream);
/* Bytes that are queued here and in libuv; with TLS what these have become. */
size_t stream_queued(const struct stream *stream);
/* Bytes that the kernel has taken in all. Never falls. */
uint64_t stream_sent(const struct stream *stream);

/* Calls `woken` at the end of this turn. */
void stream_wake(struct stream *stream);
/* Nothing more is to come for it in this turn, as far as is known: it need not wait for the end of a long
 * one. For the end of `received` only: others, and this one, may be woken, sent and closed in it. */
void stream_settle(struct stream *stream);
/* Sends what is queued, then tells the other side that nothing follows. Reading goes on. */
void stream_finish(struct stream *stream);
/* What is queued is the last. The owner closes as soon as it is sent, in `flushed`: so the end of the bytes
 * may wait in the kernel, and leaves in one segment with the end of the connection. */
void stream_last(struct stream *stream);
/* Ends it now; queued bytes that the kernel did not take are lost. */
void stream_close(struct stream *stream);

/* --- from one stream to another ---
 *
 * The next `len` bytes that come in on `from` go to `to`, behind what is queued there. Each time some have,
 * they count as queued there (stream_queued, stream_sent), and `spliced` of `from` is called. After the last
 * ones the splice is over, and what follows is received. While `to` has something queued, `from` is not read.
 *
 * stream_read(from, false) pauses it. When `from` ends or fails before the last byte, the splice is over, and
 * `from` is told as usual; what has come before is sent. When `to` cannot send any more, is finished, or
 * closed, `from` is not read until stream_unsplice or stream_close is called for it. */

/* Whether that is possible without copying: both are connected, without TLS, and in no other splice in this
 * direction. */
bool stream_can_splice(const struct stream *from, const struct stream *to);
/* On streams that are in a splice in this direction it must not be called. With TLS, or where the system has
 * no pipes left, the bytes are copied. ERR_MEMORY: nothing was begun. */
int stream_splice(struct stream *from, struct stream *to, uint64_t len) BASE_CHECKED;
/* Ends it: what has not come yet is received. Does nothing when there is none. */
void stream_unsplice(struct stream *from);

/* For the loop: woken, flush, flushed. */
void stream_turn(struct stream *stream);

#endif
