/* app.h - what the files of this folder share: the app, a route, a request. The public side is
 * weaprous/weaprous.h. */
#ifndef WEB_APP_H
#define WEB_APP_H

#include "base/buffer.h"
#include "base/map.h"
#include "http/chunked.h"
#include "http/head.h"
#include "net/loop.h"
#include "weaprous/weaprous.h"
#include "web/arena.h"
#include "web/group.h"
#include "web/proxy.h"
#include "web/router.h"
#include "web/settings.h"
#include "web/worker.h"

struct access_upstream;
struct connection;
struct file_mount;

enum {
    APP_HEADERS_MAX = 32,
    APP_HEADER_BYTES_MAX = 16 * 1024, /* all fields for all answers; also those added to one answer */
    APP_METHODS_BYTES_MAX = 4096,     /* the methods of all routes, as Allow lists them */
};

/* What a route leads to. */
struct target {
    const struct wr_group *group;
    wr_handler handler;
    void *context;
    struct wr_body_handlers body;     /* for wr_route_body; its limit is filled in */
    struct wr_socket_handlers socket; /* for wr_websocket; its limits are filled in */
    char *protocols;                  /* the sub-protocols of a WebSocket, its own copy (socket.c) */
    bool is_body, is_socket;
};

struct asset_table {
    const struct wr_asset **by_path; /* sorted */
    size_t count;
};

struct worker_hook {
    wr_worker_function start, stop;
    void *argument;
};

/* Constant while the workers run, except what says otherwise. */
struct wr_app {
    struct wr_config config;
    struct settings *settings; /* those that the workers have, or will have soon */
    struct wr_worker **workers;
    unsigned worker_count;
    struct router router;
    struct wr_group root;
    struct target *intake; /* takes all requests (intake.h); NULL: the routes do */
    wr_handler missing;    /* answers what is not there; NULL: the library does */
    void *missing_context;
    struct buffer methods; /* of all routes: "GET, HEAD, POST" */
    struct asset_table assets;
    uint16_t https_port;       /* of wr_redirect_to_https, 0: none */
    char *strict_transport;    /* a field with its line end, for answers over TLS, or NULL */
    struct file_mount *mounts; /* the folders that are served */
    unsigned mount_count;
    char *header_names[APP_HEADERS_MAX]; /* fields for all answers */
    char *header_lines[APP_HEADERS_MAX]; /* each with its CR LF */
    size_t header_count;
    struct buffer headers; /* the lines joined */
    struct list places;    /* where it listens; on the thread that may change it */
    uint16_t port;         /* of the first listener; atomic */
    struct worker_hook *hooks;
    size_t hook_count;
    unsigned connection_count; /* of all workers; atomic */
    struct map addresses;      /* open connections of each address */
    uv_mutex_t addresses_lock;
    struct topic_counts topic_counts;
    struct wr_sessions *sessions;  /* all of them */
    struct wr_metric *own_metrics; /* the program's */
    struct log *log;
    int64_t began_s; /* when it was made, since 1970 */
    bool running;
    bool stopping; /* atomic */
    char error[256];
};

/* How the body of an answer is told from what follows it. */
enum framing {
    FRAMING_NONE,   /* none is sent: HEAD, 204, 304 */
    FRAMING_LENGTH, /* Content-Length */
    FRAMING_CHUNKED,
    FRAMING_CLOSE, /* it ends with the connection: HTTP/1.0 */
};

/* What is under way of an answer. */
struct flow {
    uint64_t left; /* bytes that were promised and not written yet, with FRAMING_LENGTH */
    wr_handler drain;
    void *drain_context;
    uint8_t framing;  /* enum framing */
    bool begun;       /* its head is queued, its end is not */
    bool close;       /* the connection ends after it */
    bool events;      /* server-sent events */
    bool wants_drain; /* a write returned WR_RESPONSE_HIGH or more */
};

/* Where a request stands between the filters. */
enum filter_state {
    FILTER_NONE,
    FILTER_CALLED, /* one is being called */
    FILTER_WAITS,  /* one will call wr_request_continue, or answer */
};

struct request_parts;

struct wr_request {
    struct list node;          /* in worker->requests */
    struct wr_request *pooled; /* next in the pool */
    struct wr_worker *worker;
    struct wr_app *app;
    struct connection *conn; /* NULL: the client has gone, or was answered with 503 */
    struct arena arena;
    const uint8_t *head; /* own copy of the head; method, field names and values end with a NUL */
    size_t head_len;
    char *path; /* decoded */
    const struct target *target;
    const struct route *others;   /* the routes of its path, when none is for its method */
    const struct wr_group *group; /* whose filters go for it; NULL before it is matched */
    const char *const *param_names;
    const char *params[ROUTER_PARAMS_MAX];
    size_t param_count;
    size_t filters_done;
    struct buffer fields;          /* of the answer, as lines */
    uint32_t replaced;             /* fields for all answers, by index, that this answer has itself */
    struct session_link *sessions; /* looked up already */
    uint64_t began_ns;             /* uv_hrtime of its first byte; 0 unless settings->timed */
    uint64_t answer_bytes;         /* of the body, sent so far */
    uint16_t status;               /* of the answer, once it has begun */
    struct flow flow;
    json_t *json, *form; /* parsed once */
    struct request_parts *parts;
    const char *host;         /* when a proxy told it, or once it was asked for */
    const char *content_type; /* of the answer, when wr_response_header was given it */
    void *user;
    const struct access_upstream *upstream; /* for the access log; NULL: none */
    struct buffer *came_after;              /* trailer fields of the body */
    wr_handler gone;                        /* wr_request_on_gone */
    void *gone_context;
    uint64_t received;  /* bytes of the body so far */
    uint64_t paused_ms; /* when it was paused */
    uint8_t filter;     /* enum filter_state */
    bool json_tried, form_tried;
    bool missing;          /* what answers for what is not there has it */
    bool bad_fields;       /* wr_response_header was given what it may not be */
    bool head_only;        /* HEAD */
    bool secure;           /* https */
    bool not_a_handshake;  /* a plain GET of a WebSocket's route: wr_socket_accept refuses it */
    bool may_upgrade;      /* its filters have let it pass, and what it asks for was looked at */
    bool dispatched;       /* the program has it: who answers releases it */
    bool answered;         /* the program does not have it any more: its body is being skipped */
    bool over_limit;       /* its answer ends the connection */
    bool failing;          /* its `failed` handler is being called */
    bool body_done;        /* all of the body has come, or there is none */
    bool continue_due;     /* the client waits for 100 */
    bool paused;           /* wr_request_pause */
    bool half_close_ok;    /* a client that half-closes has not gone */
    char address_text[46]; /* written when it is asked for */
    uint8_t address[16];
    uint16_t port;
    /* From here on nothing is cleared for each request. */
    struct buffer body;
    struct http_chunked chunked; /* when the body is */
    struct buffer trailers;      /* of an answer that was begun, as lines */
    struct http_parser parser;   /* most of it is never touched */
};

/* Tells the log of the app, when it has one. */
void app_log(struct wr_app *app, enum wr_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Calls what wr_on_worker was given. */
void app_call_workers(struct wr_app *app, struct wr_worker *worker, bool start);
/* Frees what the router was given. */
void target_free(void *target);
/* Which of the fields for all answers has this name; header_count when none. */
size_t app_header_index(const struct wr_app *app, slice name);
const struct wr_asset *app_asset_find(const struct wr_app *app, slice path);

/* A cleared request, or NULL without memory. */
struct wr_request *request_new(struct wr_worker *worker, struct connection *conn);
/* access.c: counts an answer and writes it down; also one to what was no valid request. */
void access_answered(struct wr_request *request);
void access_refused(struct connection *conn, int status, uint64_t bytes);

/* session.c: frees a list of them. */
void sessions_free(struct wr_sessions *first);

/* Gives it back; the handle is not valid any more. */
void request_release(struct wr_request *request);
void request_free_pool(struct wr_worker *worker);
/* Keeps a copy of the head that the parser has just completed in `bytes`. ERR_MEMORY. */
int request_keep_head(struct wr_request *request, slice bytes) BASE_CHECKED;
slice request_method(const struct wr_request *request);
slice request_field(const struct wr_request *request, const char *name);

/* Decoded into the request's memory and NUL-terminated; NULL for a bad escape. `plus`: '+' is a space. */
char *request_decoded(struct wr_request *request, slice text, bool plus);
/* The same for the path of the head, or a part of it up to its end, for which nothing is copied when there is
 * nothing to decode. */
char *request_path_decoded(struct wr_request *request, slice part);
/* The target as it was sent. */
slice request_target(struct wr_request *request);
/* A part of the head. */
slice request_span(const struct wr_request *request, struct http_span span);
/* The connection has no use for it any more: tells the program, which then answers and so releases it; or
 * releases it. */
void request_lost(struct wr_request *request);

/* dispatch.c: the head is complete: finds the route, calls the filters, then the handler (when the body has
 * come), or answers. */
void request_begin(struct wr_request *request);

/* Sends an asset as found by path, with the conditions of the request. */
void asset_respond(struct wr_request *request, int status, const struct wr_asset *asset);

/* Answers with head (and the fields added so far) and body. content_type empty: none. `constant`: the body
 * lives as long as the app. */
void respond_raw(struct wr_request *request, int status, slice content_type, slice body, bool constant);

/* Checks the handshake and calls the upgrade handler, or answers. */
void socket_upgrade(struct wr_request *request);

/* From an enum err to an enum wr_result. */
int app_result(int err);
/* A method that some address takes. */
void app_note_method(struct wr_app *app, slice method);
/* One of those, or one that is usual. */
bool app_knows_method(const struct wr_app *app, slice method);

#endif
