/* exchange.h - the inside of forward.h: connections to servers, exchanges, relays.
 *
 * An exchange is one request of a client and its answer. It waits for a server, or has a connection to one.
 * It ends when the answer is complete, when the client goes, or when it has failed for good: then it has been
 * answered with a page or, when some of the answer had left already, its connection was cut.
 *
 * A connection to a server is idle in its pool, or has an exchange, or is one side of a relay. */
#ifndef PROXY_EXCHANGE_H
#define PROXY_EXCHANGE_H

#include "http/chunked.h"
#include "http/response_head.h"
#include "proxy/forward.h"
#include "proxy/rewrite.h"

enum {
    EXCHANGE_INTERIM_MAX = 16,            /* 1xx answers before the one */
    EXCHANGE_HEAD_READ_BYTES = 16 * 1024, /* are read at a time while the head of an answer is awaited: the
                                             rest of a long body can then be spliced */
    EXCHANGE_SPLICE_MIN = 32 * 1024,      /* shorter bodies are read and written */
    EXCHANGE_POOLED_MAX = 64,             /* kept for reuse */
    EXCHANGE_LOOK_MS = 5000,              /* how often it is looked whether somebody is too slow */
    EXCHANGE_HALF_MS = 10000, /* how long a server may be silent when the client has closed its side: it may
                                 have gone altogether */
    EXCHANGE_STALE_MAX = 2,   /* kept connections that a request may find closed, then a new one */
};

enum server_use { SERVER_IDLE, SERVER_EXCHANGE, SERVER_RELAY, SERVER_CLOSED };

struct server_connection {
    struct stream stream;
    struct wheel_entry timer;
    struct list node; /* SERVER_IDLE: in its pool, the one used last first */
    struct forward *forward;
    struct upstream *upstream; /* NULL once closed */
    union {
        struct exchange *exchange;
        struct relay *relay;
    };
    uint64_t since_ms;   /* when it became idle; else when something moved last */
    uint64_t sent_bytes; /* stream_sent then */
    uint64_t asked_at;   /* stream_sent when it was given to its exchange */
    uint32_t idle_ms;
    uint8_t use;
    bool opened; /* it was connected to */
    bool used;   /* an answer has come over it */
    bool broken; /* it has failed; only what has come already is still read */
};

/* The connections of a worker to a server that wait for a request. */
struct server_pool {
    struct list idle;
    unsigned count;
};

struct forward {
    struct wr_worker *worker;
    struct net_loop *loop;
    unsigned index;
    struct forward_shared *shared;
    struct site *site;
    struct server_pool **pools; /* by id of the upstream */
    size_t pool_count;
    struct list exchanges; /* all under way */
    struct list waiting;   /* those without a server, by wait_node, the oldest first */
    struct exchange *spare;
    size_t spare_count;
    struct wheel wheel; /* timers of the connections to servers */
    uv_timer_t tick;    /* drives it, and those that wait */
    bool ticking;
    bool serving, serve_again; /* of forward_serve_waiting */
    uint64_t random[2];
    uint64_t told_second; /* when the log was last told of a failed request, and how often */
    unsigned told;
};

enum exchange_state { EXCHANGE_WAITING, EXCHANGE_HEAD, EXCHANGE_BODY };

struct exchange {
    struct list node; /* in forward->exchanges */
    struct list wait_node;
    struct exchange *spare;
    struct forward *forward;
    struct site *site;
    struct wr_request *request;
    const struct config_location *location;
    struct group *group;
    struct server_connection *conn;
    struct upstream *upstream; /* with conn */
    int member;
    uint64_t tried;    /* members */
    unsigned attempts; /* servers that were asked */
    unsigned stale;    /* kept connections that were closed when they were used */
    unsigned interims; /* 1xx answers */
    uint64_t began_ns; /* of this attempt */
    uint64_t opened_ns, first_ns;
    uint64_t wait_until_ms;
    uint64_t left; /* of the answer's body with a length */
    slice id, path, sticky;
    uint8_t state;
    uint8_t asked;     /* enum http_body: of the request */
    bool idempotent;   /* RFC 9110 9.2.2 */
    bool replayable;   /* all of the body so far is in `replay` */
    bool request_done; /* all of the body has come */
    bool upgrade;      /* it asks for another protocol */
    bool held;         /* the client's body waits */
    bool stalled;      /* the server's answer waits */
    bool heard;        /* bytes of the answer have come in this attempt */
    bool begun;        /* the head of the answer has been handed to the client */
    bool splicing;
    bool trial; /* of a server whose circuit is open: it has not said yet whether it is back */
    char id_text[REWRITE_ID_BYTES + 1];
    char address_text[IP_TEXT_BYTES_MAX + 1], peer_text[IP_TEXT_BYTES_MAX + 1];
    int status; /* of the page when it fails: what went wrong last */
    char why[UPSTREAM_WHY_BYTES];
    /* From here on nothing is cleared for each exchange. */
    struct buffer replay, in, trailers;
    struct http_chunked chunked;
    struct http_response_parser parser; /* most of it is never touched */
};

/* --- pool.c --- */

/* A kept connection, or NULL. sure: it must be looked at whether the server has closed it. */
struct server_connection *server_take(struct forward *forward, struct upstream *upstream, bool sure);
/* A new one. NULL: no memory, or the name of the server cannot be one. */
struct server_connection *server_open(struct forward *forward, struct upstream *upstream);
/* It is idle from now on; closes it when there are enough. */
void server_keep(struct server_connection *conn, const struct config_group *group);
void server_close(struct server_connection *conn);
/* In the middle of a request: the server is told at once (by a reset), also when it reads nothing. */
void server_abandon(struct server_connection *conn);
/* Something has moved. */
static inline void server_moved(struct server_connection *conn)
{
    conn->since_ms = net_loop_now(conn->forward->loop);
}
void server_arm(struct server_connection *conn, uint64_t deadline_ms);
/* Closes idle connections to retired servers; all of them with `all`. */
void pools_sweep(struct forward *forward, bool all);
/* What the server sent before it closed or reset the connection may still be there. */
void server_read_rest(struct server_connection *conn);

/* --- exchange.c --- */

/* Chooses a server and sends, or waits, or fails. */
void exchange_try(struct exchange *x);
/* The request's body. */
void exchange_body(struct exchange *x, slice bytes);
void exchange_body_done(struct exchange *x);
/* The client has gone: ends it, not the request. */
void exchange_cancel(struct exchange *x);
/* It has waited for too long, or may try again. */
void exchange_waited(struct exchange *x, uint64_t now_ms);
/* Gives it back; it has no connection any more. */
void exchange_free(struct exchange *x);
/* It could not be done: answers with a page, or cuts what was begun. */
void exchange_fail(struct exchange *x, int status, unsigned retry_after_s);
/* This attempt has failed: tries another server when that is safe. opening: nothing was sent. `blame`: the
 * server is at fault. */
void exchange_attempt_failed(struct exchange *x, int status, const char *why, bool blame);
/* The connection of the exchange is another's, or closed. */
struct server_connection *exchange_release_server(struct exchange *x);

/* Those of the trailer fields that were collected which are passed on, as lines. */
void exchange_trailers(const struct buffer *collected, struct buffer *out);
/* What the access log says of it, once it is over: call it before the request is released. */
void exchange_note(const struct exchange *x);

/* --- answer.c: what the server's connection tells --- */

void exchange_opened(struct exchange *x);
void exchange_received(struct exchange *x, uint8_t *bytes, size_t len);
void exchange_spliced(struct exchange *x, size_t n);
void exchange_ended(struct exchange *x);
/* blame: it is the server's fault. */
void exchange_failed(struct exchange *x, const char *why, bool blame);
void exchange_flushed(struct exchange *x);
void exchange_expired(struct exchange *x, uint64_t now_ms);

/* --- relay.c --- */

/* The server has agreed to another protocol: the client's connection and the server's become a relay. rest:
 * what came behind the head of its answer. The exchange is over. */
void relay_begin(struct exchange *x, slice rest);
void relay_received(struct relay *relay, uint8_t *bytes, size_t len);
void relay_ended(struct relay *relay);
void relay_failed(struct relay *relay);
void relay_flushed(struct relay *relay);

/* --- forward.c --- */

uint64_t forward_random(struct forward *forward);
static inline uint64_t forward_now(const struct forward *forward)
{
    return net_loop_now(forward->loop);
}
/* Another request may have its turn at the servers of this group. */
void forward_serve_waiting(struct forward *forward, const struct group *group);
void forward_tick(struct forward *forward);
void forward_start_ticking(struct forward *forward);

#endif
