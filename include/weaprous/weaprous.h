/* weaprous.h - libweaprous: a small HTTP/1.1 and WebSocket server for programs in C.
 *
 * An app owns one libuv loop, listens, and hands each request to the handler of its route. A handler answers
 * at once or later; a WebSocket is a route whose handler accepts the upgrade. The library parses strictly
 * (RFC 9112, RFC 6455), bounds everything that a client can make it hold, and answers by itself what has no
 * route.
 *
 *     static void hello(struct wr_request *request, void *context)
 *     {
 *         wr_respond_text(request, 200, "Hello, world\n");
 *     }
 *     struct wr_app *app = wr_app_new(NULL);
 *     wr_route(app, "GET", "/", hello, NULL);
 *     if (wr_listen(app, "127.0.0.1", 8080, NULL) != 0) fputs(wr_app_error(app), stderr);
 *     else wr_run(app);
 *     wr_app_free(app);
 *
 * Rules
 *   Thread:  everything on the thread that runs the loop, except wr_stop (any thread, also a signal handler).
 *            Work that blocks belongs on another thread (uv_queue_work, or a uv_async_t on wr_loop).
 *   Memory:  arguments are copied unless the comment says borrows or takes. Pointers that a request gives out
 * live until it is answered; those that a callback gets, until it returns. Time:    milliseconds, monotonic.
 *   Errors:  int results are 0 or a negative enum wr_result. Answering never fails: what cannot be sent (the
 * client has gone, memory is short) closes the connection. Re-entrancy: handlers may call every function of
 * this header except wr_run and wr_app_free. */
#ifndef WEAPROUS_WEAPROUS_H
#define WEAPROUS_WEAPROUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WR_API __attribute__((visibility("default")))
#define WR_CHECKED __attribute__((warn_unused_result))

struct wr_app;
struct wr_request; /* one request and the answer to it */
struct wr_socket;  /* one open WebSocket */
struct wr_tls;     /* reserved */
struct uv_loop_s;

enum wr_result {
    WR_OK = 0,
    WR_INVALID = -1, /* an argument is not valid, or not possible now */
    WR_EXISTS = -2,  /* this method of this path has a route */
    WR_MEMORY = -3,
    WR_SYSTEM = -4, /* the operating system refused; wr_app_error has the sentence */
    WR_CLOSED = -5, /* the other side has gone, or this side closed */
    WR_FULL = -6,   /* a limit is reached; nothing was taken */
};

/* Borrowed bytes. */
struct wr_bytes {
    const void *ptr;
    size_t len;
};

/* --- the app --- */

enum wr_log_level { WR_LOG_INFO, WR_LOG_WARNING, WR_LOG_ERROR };

/* What a client may do. A request over a limit gets the status in brackets, and its connection is closed. */
struct wr_config {
    size_t target_bytes_max;   /* the request target, default 8 KiB (414) */
    size_t header_bytes_max;   /* request line and header fields together, default 16 KiB (431) */
    unsigned header_count_max; /* header fields, default 64, at most 256 (431) */
    size_t body_bytes_max;     /* request body, default 1 MiB (413) */
    /* Open connections; 0, the default, means what the descriptor limit allows less 64. One more waits in the
     * kernel's queue until another closes. */
    unsigned connections_max;
    unsigned connections_per_address_max; /* default 512; one more is closed at once. 0: no limit */
    unsigned
        header_timeout_ms; /* from the first byte of a request to the end of its header, default 10 s (408) */
    unsigned body_timeout_ms; /* for the whole body, default 30 s (408) */
    unsigned idle_timeout_ms; /* a connection without a request, default 60 s (closed silently) */
    unsigned
        answer_timeout_ms; /* a handler that has not answered, default 60 s (503); the handle stays valid */
    unsigned write_timeout_ms; /* unsent bytes of which the client took none, default 30 s (closed) */
    /* TCP_DEFER_ACCEPT: the kernel keeps a connection back until its first byte, or 10 s. Default true. */
    bool defer_accept;
    unsigned drain_timeout_ms; /* how long wr_stop waits before it cuts, default 5 s */
    /* Told about trouble that has no other way out. May be NULL. `text` is one line without a line feed. */
    void (*log)(void *log_context, enum wr_log_level level, const char *text);
    void *log_context;
};

/* Fills in the defaults. */
WR_API void wr_config_init(struct wr_config *config);

/* config NULL: the defaults. Copies it. NULL when memory or the loop cannot be had. Ignores SIGPIPE from now
 * on, unless the program has a handler for it. */
WR_API struct wr_app *wr_app_new(const struct wr_config *config);
/* Cuts what is still open (each WebSocket gets its close callback), closes the loop and frees. Not while
 * wr_run is running. Handles of the caller on the loop must be closing by now. Requests that were not
 * answered are released here; do not touch them afterwards. NULL is allowed. */
WR_API void wr_app_free(struct wr_app *app);

/* The loop of this app, for timers and asyncs of the caller. Borrows. */
WR_API struct uv_loop_s *wr_loop(struct wr_app *app);

/* Listens on an IP address (IPv4 or IPv6 text; "::" also takes IPv4) and port; 0 lets the system choose. May
 * be called several times. tls must be NULL in this version. WR_INVALID or WR_SYSTEM, with wr_app_error. */
WR_API int wr_listen(struct wr_app *app, const char *ip, uint16_t port, const struct wr_tls *tls) WR_CHECKED;
/* The port of the first listener, 0 when there is none. */
WR_API uint16_t wr_port(const struct wr_app *app);
/* A sentence about the last function of this app that failed: "cannot listen on 127.0.0.1 port 80: permission
 * denied". Never NULL; borrows until the next failure. */
WR_API const char *wr_app_error(const struct wr_app *app);

/* Serves until wr_stop has drained. Handles of the caller stay open. 0, or WR_INVALID when already running.
 */
WR_API int wr_run(struct wr_app *app);
/* Stops accepting, lets requests under way be answered (with Connection: close), closes WebSockets with 1001,
 * and after config.drain_timeout_ms cuts what is left; then wr_run returns. May be called twice, or before
 * wr_run. */
WR_API void wr_stop(struct wr_app *app);
/* True from the call of wr_stop on. */
WR_API bool wr_stopping(const struct wr_app *app);

/* Open connections, WebSockets included. */
WR_API unsigned wr_connections(const struct wr_app *app);

/* --- routes --- */

typedef void (*wr_handler)(struct wr_request *request, void *context);

/* methods: one or more, separated by spaces ("GET POST"); GET also serves HEAD. path: begins with '/'; a
 * segment
 * ":name" stands for any one non-empty segment, a last segment "*name" for all the rest. A trailing slash is
 * ignored on both sides. A literal segment wins over ":name", which wins over "*name"; routes win over
 * assets. What has no route gets 404; a path that has, but not for this method, 405 with Allow; both as JSON
 * errors. WR_EXISTS, WR_INVALID, WR_MEMORY. */
WR_API int wr_route(struct wr_app *app, const char *methods, const char *path, wr_handler handler,
                    void *context) WR_CHECKED;

/* A header field for every answer; replaces one of the same name. WR_INVALID when it holds control
 * characters. */
WR_API int wr_header_for_all(struct wr_app *app, const char *name, const char *value) WR_CHECKED;
/* The usual set for every answer: X-Content-Type-Options, X-Frame-Options, Referrer-Policy,
 * Cross-Origin-Opener-Policy, Cross-Origin-Resource-Policy; and Content-Security-Policy unless csp is NULL.
 */
WR_API int wr_security_headers(struct wr_app *app, const char *csp) WR_CHECKED;

/* --- the request: valid until it is answered, even when the client has gone --- */

WR_API const char *wr_request_method(const struct wr_request *request); /* "GET", also "HEAD" */
/* Percent-decoded, without the query. */
WR_API const char *wr_request_path(const struct wr_request *request);
/* The value of ":name" or "*name" of the route, percent-decoded; NULL when the route has none of this name.
 */
WR_API const char *wr_request_param(const struct wr_request *request, const char *name);
/* First value of this name in the query, decoded ('+' is a space); NULL when absent. */
WR_API const char *wr_request_query(struct wr_request *request, const char *name);
/* Value of a header field, any case; repeated fields are joined by ", ". NULL when absent. */
WR_API const char *wr_request_header(struct wr_request *request, const char *name);
/* First cookie of this name, as sent; NULL when absent. */
WR_API const char *wr_request_cookie(struct wr_request *request, const char *name);
/* The body as received (chunks joined). */
WR_API struct wr_bytes wr_request_body(const struct wr_request *request);
/* The body as a JSON value, whatever Content-Type says; NULL when it is not JSON (one value, no duplicate
 * keys, strict UTF-8). Borrowed from the request. */
WR_API json_t *wr_request_json(struct wr_request *request);
/* The body as an object of fields, whatever Content-Type says: a JSON object, or an HTML form (every value a
 * string; of a repeated name the first counts), or empty for an empty body. NULL when it is neither.
 * Borrowed. */
WR_API json_t *wr_request_fields(struct wr_request *request);
/* One field of it as text: a string, or the decimal spelling of a JSON integer. NULL when absent or of
 * another type. */
WR_API const char *wr_request_field(struct wr_request *request, const char *name);
/* The client's IP address as text, and its port. */
WR_API const char *wr_request_address(struct wr_request *request);
WR_API uint16_t wr_request_port(const struct wr_request *request);
/* False when an Origin is sent whose host and port differ from Host (RFC 6454); true without Origin. */
WR_API bool wr_request_same_origin(struct wr_request *request);
/* True when Accept names application/json and not text/html: the client wants JSON, not a page. */
WR_API bool wr_request_wants_json(struct wr_request *request);
/* True when the client has gone (or the answer came too late): the answer will go nowhere, but must be given.
 */
WR_API bool wr_request_gone(const struct wr_request *request);
WR_API struct wr_app *wr_request_app(const struct wr_request *request);

/* --- the answer: exactly one wr_respond_... for each request ---
 *
 * In the handler, or later from any other callback of the loop: a handler that returns without answering
 * keeps the request. The answer releases the handle. If the client has gone meanwhile it does only that.
 * Answers of pipelined requests leave in the order of the requests. */

/* Adds a header field to the answer to come. A name or value with control characters turns the answer into a
 * 500. Content-Length, Connection, Date and Transfer-Encoding are the library's own. */
WR_API void wr_response_header(struct wr_request *request, const char *name, const char *value);

enum wr_same_site { WR_SAME_SITE_LAX, WR_SAME_SITE_STRICT, WR_SAME_SITE_NONE };

struct wr_cookie {
    const char *name;  /* a token */
    const char *value; /* no control characters, spaces, quotes, commas, semicolons, backslashes */
    const char *path;  /* NULL: "/" */
    int64_t max_age_s; /* negative: until the browser closes; 0: delete it */
    bool http_only;
    bool secure;
    enum wr_same_site same_site;
};
/* Adds Set-Cookie to the answer to come (RFC 6265). */
WR_API void wr_response_cookie(struct wr_request *request, const struct wr_cookie *cookie);

WR_API void wr_respond_empty(struct wr_request *request, int status);
/* text: UTF-8, sent as text/plain. */
WR_API void wr_respond_text(struct wr_request *request, int status, const char *text);
WR_API void wr_respond_bytes(struct wr_request *request, int status, const char *content_type,
                             const void *bytes, size_t len);
/* Takes the reference to json. NULL (out of memory) gives a 500. */
WR_API void wr_respond_json(struct wr_request *request, int status, json_t *json);
/* {"status":"error","message":message}; message NULL: the usual phrase of the status. */
WR_API void wr_respond_error(struct wr_request *request, int status, const char *message);
/* status: 301, 302, 303, 307 or 308. location: a path or URL, already percent-encoded. */
WR_API void wr_respond_redirect(struct wr_request *request, int status, const char *location);

/* --- embedded assets --- */

/* One file that is compiled in. Static data: borrowed for the life of the app. */
struct wr_asset {
    const char *path; /* "/app.4f2a.js"; not percent-encoded, no trailing slash except "/" itself */
    const char *mime; /* "text/html; charset=utf-8" */
    const unsigned char *identity;
    size_t identity_len;
    const unsigned char *br; /* the same bytes by brotli, or NULL */
    size_t br_len;
    const unsigned char *gzip; /* or NULL */
    size_t gzip_len;
    const char *etag; /* opaque, without quotes: a hash of the identity bytes */
    bool immutable;   /* the path names the content: may be cached for a year */
};

/* Serves a table (GET, HEAD): Accept-Encoding with q-values, a strong ETag for each encoding, If-None-Match
 * (304), Vary, and `Cache-Control: public, max-age=31536000, immutable` or `no-cache`. Borrows the table. May
 * be called several times; the first table that holds a path wins. WR_EXISTS: one table holds a path
 * twice. */
WR_API int wr_assets(struct wr_app *app, const struct wr_asset *assets, size_t count) WR_CHECKED;
/* The asset of this path in the tables given to wr_assets, or NULL. */
WR_API const struct wr_asset *wr_asset_find(const struct wr_app *app, const char *path);
/* Answers with an asset, which need not be in a table. Only status 200 is conditional and cacheable; any
 * other (a login page with 401) is sent whole with `Cache-Control: no-store`. Borrows the asset. */
WR_API void wr_respond_asset(struct wr_request *request, int status, const struct wr_asset *asset);

/* --- WebSocket (RFC 6455) --- */

enum wr_message { WR_TEXT = 1, WR_BINARY = 2 };

/* Codes of RFC 6455 7.4.1 that are of use here. */
enum wr_close_code {
    WR_CLOSE_NORMAL = 1000,
    WR_CLOSE_GOING_AWAY = 1001,
    WR_CLOSE_PROTOCOL = 1002,
    WR_CLOSE_UNSUPPORTED = 1003,
    WR_CLOSE_NONE = 1005, /* reported only: the other side gave no code */
    WR_CLOSE_LOST =
        1006, /* reported only: the connection ended without a close frame, or was silent too long */
    WR_CLOSE_NOT_UTF8 = 1007,
    WR_CLOSE_POLICY = 1008,
    WR_CLOSE_TOO_LARGE = 1009,
    WR_CLOSE_ERROR = 1011,
};

struct wr_socket_handlers {
    /* Decides about the upgrade: wr_socket_accept, or any wr_respond_... to refuse; now or later, like a
     * handler. By then the request is a correct handshake, or a plain GET, which may be refused for the same
     * reasons (a page is not told the status of a refused handshake, so it asks this way); wr_socket_accept
     * answers that one with 426. NULL: accept everybody who comes from the same origin, refuse others with
     * 403. */
    wr_handler upgrade;
    /* Called within wr_socket_accept. May send. May be NULL. */
    void (*open)(struct wr_socket *socket, void *context);
    /* A whole message; text is valid UTF-8, not NUL-terminated. */
    void (*message)(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                    void *context);
    /* After a send returned queue_bytes_high or more: the queue has fallen to a quarter of that. May be NULL.
     */
    void (*drain)(struct wr_socket *socket, void *context);
    /* Exactly once for each open, as the last call; the socket is gone when it returns. code and reason are
     * what the other side sent, or the enum above; also for a close that this side began. May be NULL. */
    void (*close)(struct wr_socket *socket, int code, const char *reason, void *context);
    /* Limits; 0 means the default. */
    size_t message_bytes_max;  /* default 1 MiB; a larger message closes with 1009 */
    size_t queue_bytes_max;    /* default 4 MiB; a send that would pass it returns WR_FULL */
    size_t queue_bytes_high;   /* default 64 KiB */
    unsigned ping_interval_ms; /* default 30 s */
    unsigned
        idle_timeout_ms; /* nothing received, pongs included, for so long: closed as lost; default 60 s */
};

/* GET path is a WebSocket; path as in wr_route. A request that is no handshake gets 426 (or 400). Copies
 * handlers. */
WR_API int wr_websocket(struct wr_app *app, const char *path, const struct wr_socket_handlers *handlers,
                        void *context) WR_CHECKED;

/* Accepts: sends 101 with the headers and cookies added so far, makes the socket with this user pointer,
 * calls open, releases the request. 0, or WR_CLOSED (the client has gone, or the app is stopping; the request
 * is released all the same, no callback comes) or WR_INVALID (not a request of a wr_websocket route; answered
 * with a 500). */
WR_API int wr_socket_accept(struct wr_request *request, void *user) WR_CHECKED;

WR_API void *wr_socket_user(const struct wr_socket *socket);
WR_API void wr_socket_set_user(struct wr_socket *socket, void *user);
/* The client's IP address as text; lives until the next call of this function. */
WR_API const char *wr_socket_address(const struct wr_socket *socket);

/* Queues one message; it leaves at the end of the loop turn, together with what else this turn produced.
 * Returns the bytes that now wait in the socket's queue (at queue_bytes_high or more: stop, and wait for
 * drain), or WR_FULL (nothing was queued), WR_CLOSED (closing already), WR_MEMORY. Text must be valid UTF-8
 * (WR_INVALID). */
WR_API int64_t wr_socket_send(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len);
/* The same, for a message whose bytes lie in several places. */
WR_API int64_t wr_socket_send_parts(struct wr_socket *socket, enum wr_message kind,
                                    const struct wr_bytes *parts, size_t count);
/* Sends it compactly as text. Borrows json. */
WR_API int64_t wr_socket_send_json(struct wr_socket *socket, const json_t *json);
/* Bytes that wait in the queue. */
WR_API size_t wr_socket_queued(const struct wr_socket *socket);

/* Stops reading from the client (messages that were read before are held back too) until wr_socket_resume.
 * The idle timeout rests meanwhile. Calls do not nest. */
WR_API void wr_socket_pause(struct wr_socket *socket);
WR_API void wr_socket_resume(struct wr_socket *socket);

/* Begins the close handshake after what is queued; no message comes any more, the close callback comes later
 * from the loop, within 5 s. code: 1000 to 1014 except 1004 to 1006, or 3000 to 4999; reason: UTF-8, at most
 * 123 bytes, NULL is allowed. Ignored when closing already. */
WR_API void wr_socket_close(struct wr_socket *socket, int code, const char *reason);

/* --- small things that every server needs --- */

/* The usual phrase of a status ("Not Found"); never NULL. */
WR_API const char *wr_status_text(int status);
/* The version of the library, "0.1.0". */
WR_API const char *wr_version(void);

#ifdef __cplusplus
}
#endif

#endif
