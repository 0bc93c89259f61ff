/* client.h - an HTTP/1.1 and WebSocket client on the loop of a worker. */
#ifndef WEAPROUS_CLIENT_H
#define WEAPROUS_CLIENT_H

#include "weaprous/socket.h"
#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Connections kept open to the servers that were asked, with the settings they share. For one worker's
 * thread. */
struct wr_client;
/* One request of ours. Valid until its `done` returns. */
struct wr_call;

struct wr_client_config {
    unsigned connections_per_host_max; /* default 16; more requests wait their turn */
    unsigned waiting_max;              /* requests that wait for a connection, default 1024 (WR_FULL) */
    unsigned idle_timeout_ms;          /* of a kept connection, default 30 s */
    unsigned connect_timeout_ms;       /* name, TCP and TLS together, default 10 s */
    unsigned timeout_ms;               /* a whole request, default 60 s; 0: none */
    size_t header_bytes_max;           /* of an answer, default 64 KiB */
    size_t body_bytes_max;             /* of a gathered answer, default 16 MiB */
    /* Followed for GET and HEAD, default 5; 0: none. Never from https to http; Authorization and Cookie go to
     * no other host or port. One that is not followed is the answer, with its status. */
    unsigned redirects_max;
    const struct wr_tls *tls; /* whom to trust; NULL: the system's certificates */
};
WR_API void wr_client_config_init(struct wr_client_config *config);
/* config NULL: the defaults. NULL without memory. Free it before the app. */
WR_API struct wr_client *wr_client_new(struct wr_worker *worker,
                                       const struct wr_client_config *config) WR_CHECKED;
/* Ends what is under way: each `done` comes with WR_CLOSED before this returns. */
WR_API void wr_client_free(struct wr_client *client);

struct wr_client_request {
    const char *method; /* NULL: "GET" */
    const char *url;    /* absolute, http or https */
    /* Pairs: name, value, name, value, ..., NULL; or NULL. Host, Content-Length, Connection are the library's
     * own. */
    const char *const *headers;
    struct wr_bytes body; /* copied */
    /* The answer has come, or will not: exactly once. result: WR_OK, whatever the status is, or WR_SYSTEM (no
     * connection), WR_CLOSED (broken off, out of time, or ended by us), WR_FULL (a limit), WR_INVALID (the
     * server broke the protocol), WR_MEMORY; wr_call_error says more. */
    void (*done)(struct wr_call *call, int result, void *context);
    /* With this the body is handed on in pieces and not gathered. May be NULL. */
    void (*data)(struct wr_call *call, const void *bytes, size_t len, void *context);
    void *context;
};
/* Asks; done never comes before this returns. Idempotent requests on a kept connection that broke before any
 * byte of the answer came are tried once more on a new one. NULL with *out_result WR_INVALID, WR_FULL or
 * WR_MEMORY: then done is not called. out_result may be NULL. */
WR_API struct wr_call *wr_client_ask(struct wr_client *client, const struct wr_client_request *request,
                                     int *out_result);
WR_API struct wr_call *wr_client_get(struct wr_client *client, const char *url,
                                     void (*done)(struct wr_call *call, int result, void *context),
                                     void *context);
/* Breaks it off: done comes with WR_CLOSED from the loop. */
WR_API void wr_call_cancel(struct wr_call *call);
/* Stops and goes on taking pieces of the answer; what was received already may still come. */
WR_API void wr_call_pause(struct wr_call *call);
WR_API void wr_call_resume(struct wr_call *call);

WR_API int wr_call_status(const struct wr_call *call); /* 0 before the head has come */
/* Repeated fields are joined by ", ". NULL when absent. */
WR_API const char *wr_call_header(struct wr_call *call, const char *name);
WR_API struct wr_bytes wr_call_body(const struct wr_call *call);
/* The body as JSON, or NULL. Borrowed from the call. */
WR_API json_t *wr_call_json(struct wr_call *call);
/* Where redirects led to. */
WR_API const char *wr_call_url(const struct wr_call *call);
/* A sentence about what went wrong; "" when nothing did. */
WR_API const char *wr_call_error(const struct wr_call *call);

/* --- WebSocket --- */

struct wr_client_socket {
    const char *url;            /* ws or wss */
    const char *const *headers; /* as above, e.g. Cookie, Origin */
    /* As in wr_websocket: open when the handshake is done, then message, drain, close. upgrade is not used;
     * protocols are offered; compress_bytes_min above 0 offers permessage-deflate. */
    const struct wr_socket_handlers *handlers;
    void *context;
    void *user; /* wr_socket_user */
    /* Instead of open: it could not be opened. result: WR_SYSTEM (no connection), WR_CLOSED (broken off, too
     * slow, or ended by us), WR_INVALID (the server refused, or broke the protocol). status: of its answer, 0
     * without one. error: a sentence. May be NULL. */
    void (*failed)(int result, int status, const char *error, void *context);
};
/* Connects. 0; WR_INVALID, WR_MEMORY, WR_CLOSED (the app is stopping): then no callback comes. wr_client_free
 * ends what is not open yet with `failed`; what is open lives on. The socket lives like one of a server:
 * wr_socket_send, wr_socket_close
 * ... */
WR_API int wr_client_open(struct wr_client *client, const struct wr_client_socket *socket) WR_CHECKED;

#ifdef __cplusplus
}
#endif

#endif
