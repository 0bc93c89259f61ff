/* connection.h - one client: bytes in, requests one after the other, answers out in the same order.
 *
 * When the head of a request is complete its route is looked for and the filters are called; its body is
 * received when somebody wants it (body.h). While it waits for its answer, further (pipelined) bytes are
 * kept, at most a read buffer's worth, then reading stops. So answers cannot get out of order. The same
 * happens to a client that asks on and on and does not take the answers. */
#ifndef WEB_CONNECTION_H
#define WEB_CONNECTION_H

#include "net/stream.h"
#include "web/app.h"

enum {
    CONNECTION_LINGER_MS = 2000,           /* how long the client may be silent after the last answer */
    CONNECTION_LINGERS_MAX = 5,            /* times that it is waited for, while it still sends */
    CONNECTION_AHEAD_BYTES = 64 * 1024,    /* pipelined bytes that are kept before reading stops */
    CONNECTION_BEHIND_BYTES = 256 * 1024,  /* answers not taken from which on further requests wait */
    CONNECTION_KEPT_BYTES_MAX = 256 * 1024 /* never reached: ahead + one read + head */
};

struct tunnel;

enum connection_state {
    CONNECTION_HEAD,   /* waiting for, or within, the head of a request */
    CONNECTION_BODY,   /* within its body, which somebody wants */
    CONNECTION_ANSWER, /* a filter or the handler has it */
    CONNECTION_SKIP,   /* it is answered; the rest of its body is dropped */
    CONNECTION_SOCKET, /* a WebSocket */
    CONNECTION_TUNNEL, /* its bytes are another's (intake.h) */
    CONNECTION_LINGER, /* the last answer is on its way; what comes in is dropped */
    CONNECTION_CLOSED,
};

struct connection {
    struct stream stream;
    struct wr_worker *worker;
    struct list node; /* in worker->connections */
    struct wheel_entry timer;
    struct buffer *in; /* bytes that came and could not be used yet; NULL when there are none */
    struct wr_request *request;
    union {
        struct wr_socket *socket;
        struct tunnel *tunnel; /* `tunnelled` */
    };
    uint64_t since_ms;   /* when this state, or the wait for the next request, began */
    uint64_t sent_bytes; /* stream_sent when progress was last looked at */
    uint64_t sent_ms;    /* and when */
    uint8_t address[16]; /* IPv6, or IPv4 mapped into it */
    uint16_t port;
    uint16_t https_port; /* what comes without TLS is sent there; 0: nowhere */
    uint8_t state;
    uint8_t lingers;    /* how many times it was waited for */
    bool heard;         /* it has sent more since then */
    bool ended;         /* the client sends no more */
    bool close_flushed; /* close when everything is sent */
    bool stalled;       /* bytes wait for the client to take them */
    bool behind;        /* so many that its next request waits */
    bool counted;       /* in app->addresses */
    bool proxied;       /* the other side is a trusted proxy */
    bool doomed;        /* to be cut at the end of the turn */
    bool tunnelled;
    bool outgoing; /* of ours to a server: a WebSocket from the beginning */
};

/* For the listener: takes the connection that is ready. False without memory: try again later. */
bool connection_accept(struct wr_worker *worker, struct listener *listener);
/* Connects to a server for the socket; it is a WebSocket from the beginning. Arm it. 0, ERR_MEMORY,
 * ERR_INVALID (the host cannot be one). */
int connection_open(struct wr_worker *worker, const struct stream_target *target, struct wr_socket *socket,
                    struct connection **out) BASE_CHECKED;
/* One that is allowed to follow the state that it is in. */
void connection_set_state(struct connection *conn, enum connection_state state);
/* Goes on with the bytes that were kept, at the end of the turn. */
void connection_resume(struct connection *conn);
/* The request becomes a WebSocket. */
void connection_upgrade(struct connection *conn, struct wr_socket *socket);
/* How many bytes are kept. */
static inline size_t connection_kept(const struct connection *conn)
{
    return conn->in ? conn->in->len : 0;
}

/* --- ending.c --- */

/* The answer of its request is queued: releases it; goes on, or ends. */
void connection_answered(struct connection *conn);
/* The unwanted body has come to its end. */
void connection_skipped(struct connection *conn);
/* Answers what is not a valid request, and closes. */
void connection_refuse(struct connection *conn, int status, const char *why);
/* Sends what is queued, then closes; what still comes in is dropped. */
void connection_linger(struct connection *conn);
/* wr_stop: closes it as soon as what it is doing is done. */
void connection_drain(struct connection *conn);
/* Ends it at once; tells the program. */
void connection_cut(struct connection *conn);
/* Ends it at the end of the turn: for functions that the program calls, which may not call back into it. */
void connection_doom(struct connection *conn);
/* Its request, if there is one, is not its any more: the program is told. */
void connection_drop_request(struct connection *conn);
void connection_drop_kept(struct connection *conn);

/* --- deadline.c --- */

/* Looks at the deadlines again. */
void connection_arm(struct connection *conn);
/* A deadline of it has come. */
void connection_expired(struct wheel_entry *entry);
/* Bytes were sent, or could not be. */
void connection_watch_writing(struct connection *conn);

/* --- what socket.c does for a connection that is a WebSocket --- */

/* Takes bytes; returns how many. */
size_t socket_input(struct wr_socket *socket, uint8_t *bytes, size_t len);
bool socket_paused(const struct wr_socket *socket);
/* The connection has gone: tells the owner and frees. why: a sentence, or NULL for the usual one. */
void socket_lost(struct wr_socket *socket, const char *why);
void socket_flushed(struct wr_socket *socket);
/* Sends the ping that is due; returns the next deadline, or 0 when the socket is dead. */
uint64_t socket_deadline(struct wr_socket *socket, uint64_t now_ms);

#endif
