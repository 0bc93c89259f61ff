/* socket.h - one WebSocket, of either role: what the files socket*.c and topic.c share.
 *
 * handshake.c makes one out of a request, client_socket.c out of a connection of ours; socket.c receives,
 * closes and keeps time; socket_send.c sends. An idle socket is this struct and nothing else: what a message
 * under way, topics or compression need is allocated when they are used, or shared by the worker. */
#ifndef WEB_SOCKET_H
#define WEB_SOCKET_H

#include "http/ws_reader.h"
#include "web/connection.h"

enum { SOCKET_PROTOCOLS_MAX = 64 };

struct wr_socket {
    struct connection *conn;
    const struct target *target;
    void *user;
    struct ws_reader reader;
    union {
        struct subscriptions *topics; /* topic.c; NULL: none */
        struct opening *opening;      /* client_socket.c, while is_opening */
    };
    /* The lower half of times in milliseconds: of at most 49 days ago. */
    uint32_t received_ms; /* when the other side was last heard of */
    uint32_t timer_ms;    /* when the last ping went; or the close frame, once closing */
    uint8_t window_bits;  /* what the other side can inflate, 9 to 15; 0: no compression was agreed on */
    uint8_t protocol;     /* the chosen one of target->protocols, from 1; 0: none */
    bool is_opening;      /* of a client: the server has not agreed yet */
    bool closing;         /* nothing is sent any more, no message is given out */
    bool paused;
    bool wants_drain; /* a send returned queue_bytes_high or more */
};

static inline const struct wr_socket_handlers *socket_handlers(const struct wr_socket *s)
{
    return &s->target->socket;
}

static inline uint64_t socket_now(const struct wr_socket *s)
{
    return net_loop_now(&s->conn->worker->loop);
}

/* A time whose lower half is `then`. */
static inline uint64_t socket_time(uint64_t now_ms, uint32_t then)
{
    return now_ms - (uint32_t)((uint32_t)now_ms - then);
}

/* Clients mask, servers do not (RFC 6455 5.1). */
static inline bool socket_masks(const struct wr_socket *s)
{
    return !s->reader.expects_mask;
}

/* One without a connection, or NULL without memory. One of a client masks what it sends, and owns its
 * target, which is on the heap. */
struct wr_socket *socket_new(const struct target *target, void *user, bool client);
/* Both sides have agreed: it is open. window_bits: of the other side's inflater, 0 without compression. */
void socket_begin(struct wr_socket *s, struct connection *conn, unsigned window_bits);
/* NULL is allowed. */
void socket_free(struct wr_socket *s);

/* The one of this worker, made when it is first needed; NULL without memory. */
struct deflater *worker_deflater(struct wr_worker *worker);

/* RFC 6455 4.2.2: what answers Sec-WebSocket-Key. */
enum { SOCKET_ACCEPT_BYTES = 28 };
void socket_accept_value(slice key, char out[SOCKET_ACCEPT_BYTES + 1]);

/* --- client_socket.c: a socket that is being opened --- */

/* Takes bytes of the server's answer; returns how many. The socket is perhaps gone afterwards. */
size_t opening_input(struct wr_socket *s, const uint8_t *bytes, size_t len);
/* It will not be: tells the owner and frees the socket, which has no connection any more. */
void opening_lost(struct wr_socket *s, int result, const char *why);
/* The next deadline of its connection, or 0 when that has come: then the socket is gone. */
uint64_t opening_deadline(struct wr_socket *s, uint64_t now_ms);

/* --- what a route, or a client, says --- */

/* Fills a target in: copies the handlers, sets the defaults. WR_INVALID, WR_MEMORY. */
int socket_target_init(struct target *target, const struct wr_socket_handlers *handlers,
                       void *context) BASE_CHECKED;
void socket_target_deinit(struct target *target);
/* Queues a control frame; payload of at most WS_CONTROL_BYTES_MAX. WR_CLOSED, WR_MEMORY, WR_SYSTEM. */
int socket_put_control(struct wr_socket *s, enum ws_opcode opcode, slice payload) BASE_CHECKED;
/* Queues a frame that many sockets share (of a server: it is not masked). Bytes in the queue then, WR_FULL,
 * WR_CLOSED, WR_MEMORY. */
int64_t socket_send_shared(struct wr_socket *s, struct shared_bytes *owner, slice frame) BASE_CHECKED;
/* The name of the protocol with this number, from 1; "" for 0. */
const char *socket_protocol_name(const struct target *target, unsigned number);

#endif
