/* client.h - the HTTP client: connections that are kept for each host, and the calls that use them.
 *
 * A call waits, has a connection, or is done; only client_call.c moves it on. A connection is being made, has
 * a call, or is idle; only client.c makes, keeps and ends it. */
#ifndef WEB_CLIENT_H
#define WEB_CLIENT_H

#include "http/chunked.h"
#include "http/response_head.h"
#include "http/url.h"
#include "net/stream.h"
#include "web/app.h"

enum {
    CLIENT_HOST_BYTES_MAX = 255,
    CLIENT_URL_BYTES_MAX = 8 * 1024,
    CLIENT_INTERIM_MAX = 16,       /* 1xx answers before the one */
    CLIENT_SKIP_BYTES = 64 * 1024, /* of a redirect's body that are read to keep the connection */
};

struct wr_client {
    struct wr_worker *worker;
    struct wr_client_config config;
    struct tls_client *tls; /* made when it is needed */
    struct list hosts, calls;
    struct list openings; /* of client_socket.c */
    unsigned waiting;     /* calls without a connection */
    unsigned connections; /* whose handles are not closed yet */
    bool freed;           /* gone when the last connection is */
};

/* One server: scheme, name and port. Exists while it has a connection or a call that waits. */
struct client_host {
    struct list node;
    struct wr_client *client;
    struct list idle;    /* connections, the one used last first */
    struct list waiting; /* calls by host_node */
    unsigned open;       /* connections, also those being made */
    uint16_t port;
    bool secure;
    bool changing; /* client_host_changed is at work */
    char name[CLIENT_HOST_BYTES_MAX + 1];
};

struct client_connection {
    struct stream stream;
    uv_timer_t timer; /* until it is open; while it is idle */
    struct list node; /* in host->idle */
    struct client_host *host;
    struct wr_client *client;
    struct wr_call *call;
    struct buffer in; /* an answer's head that is not complete */
    unsigned handles; /* not closed yet */
    bool open;
    bool used; /* an answer has come over it */
    bool closing;
};

enum call_state { CALL_WAITING, CALL_HEAD, CALL_BODY, CALL_ENDING, CALL_DONE };

struct wr_call {
    uv_timer_t timer; /* for the whole of it, then to end it; its memory goes with this handle */
    struct list node; /* in client->calls */
    struct list host_node;
    struct wr_client *client;
    struct client_host *host; /* while it waits */
    struct client_connection *conn;
    void (*done)(struct wr_call *call, int result, void *context);
    void (*data)(struct wr_call *call, const void *bytes, size_t len, void *context);
    void *context;
    char *method, *url;
    struct url parts;     /* of url */
    struct buffer fields; /* the caller's, as lines */
    struct buffer sent;   /* the body that we send */
    struct http_response_parser parser;
    struct http_chunked chunked;
    struct arena arena;
    const uint8_t *head; /* copy of the answer's */
    size_t head_len;
    struct buffer body;
    uint64_t received; /* of the body */
    json_t *json;
    bool json_tried;
    char *follow; /* where a redirect leads, while its body is skipped */
    unsigned redirects, interims;
    int result;
    uint8_t state;
    bool retried, paused, named_agent;
    char error[200];
};

/* --- client.c --- */

/* The host of a call's URL, made when it is new. NULL without memory. */
struct client_host *client_host_of(struct wr_client *client, const struct url *url);
/* Gives the call a connection: kept, new, or later. 0, ERR_MEMORY, ERR_INVALID (the host cannot be one). */
int client_start(struct wr_call *call, bool fresh) BASE_CHECKED;
/* The answer is complete: the connection is kept, or closed. */
void client_give_back(struct client_connection *conn, bool keep);
void client_cut(struct client_connection *conn);
/* Looks whether a waiting call can have a connection, and whether the host is of use any more. */
void client_host_changed(struct client_host *host);

/* --- client_call.c --- */

/* Its connection is open: sends the request. */
void call_send(struct wr_call *call);
/* Bytes of the answer. */
void call_received(struct wr_call *call, uint8_t *bytes, size_t len);
/* The server sends no more, or the connection failed; why: a sentence. */
void call_connection_lost(struct wr_call *call, int result, const char *why, bool clean);
/* Ends it from the loop; the first reason counts. */
void call_end_soon(struct wr_call *call, int result, const char *why);
/* Ends it now. */
void call_end(struct wr_call *call, int result, const char *why);

/* Appends header lines. WR_INVALID for what is none, or is the library's own; WR_FULL. */
int client_put_fields(struct buffer *out, const char *const *headers, bool *named_agent);

/* --- client_socket.c --- */

/* Ends what is being opened. */
void client_cut_openings(struct wr_client *client);

/* Owned by the client; NULL without memory. */
struct tls_client *client_tls(struct wr_client *client);

#endif
