/* app.h - the server itself: settings, listening, workers, timers, jobs. */
#ifndef WEAPROUS_APP_H
#define WEAPROUS_APP_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum wr_log_level { WR_LOG_INFO, WR_LOG_WARNING, WR_LOG_ERROR };

/* What a client may do. A request over a limit gets the status in brackets, and its connection is closed. A
 * timeout of 0 is none, but for drain_timeout_ms. */
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
    /* For the whole body, default 30 s (408); a body that a route takes in pieces earns a second more with
     * each 4 KiB. */
    unsigned body_timeout_ms;
    unsigned idle_timeout_ms; /* a connection without a request, default 60 s (closed silently) */
    unsigned
        answer_timeout_ms; /* a handler that has not answered, default 60 s (503); the handle stays valid */
    unsigned write_timeout_ms; /* unsent bytes of which the client took none, default 30 s (closed) */
    /* TCP_DEFER_ACCEPT: the kernel keeps a connection back until its first byte, or 10 s. Default true. */
    bool defer_accept;
    unsigned drain_timeout_ms; /* how long wr_stop waits before it cuts, default 5 s */
    unsigned
        event_beat_ms; /* server-sent events get a comment when silent for so long, default 15 s; 0: none */
    /* Event loops, each on its own thread, each with its own connections; the kernel spreads connections over
     * them (SO_REUSEPORT). Default 1: then all handlers run on one thread. 0: one for each core. With
     * several, handlers of different connections run at the same time: what they share must be protected. */
    unsigned workers;
    /* Told about trouble that has no other way out, by any thread of the app. May be NULL. `text` is one line
     * without a line feed. */
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

/* The loop of the first worker, for handles of the caller. Borrows. */
WR_API struct uv_loop_s *wr_loop(struct wr_app *app);

/* Listens on an IP address (IPv4 or IPv6 text; "::" also takes IPv4) and port; 0 lets the system choose. May
 * be called several times, before wr_run. tls (weaprous/tls.h) makes it HTTPS, NULL plain HTTP; the app keeps
 * a reference. WR_INVALID or WR_SYSTEM, with wr_app_error. */
WR_API int wr_listen(struct wr_app *app, const char *ip, uint16_t port, const struct wr_tls *tls) WR_CHECKED;
/* The port of the first listener, 0 when there is none. */
WR_API uint16_t wr_port(const struct wr_app *app);
/* A sentence about the last function of this app that failed: "cannot listen on 127.0.0.1 port 80: permission
 * denied". Never NULL; borrows until the next failure. */
WR_API const char *wr_app_error(const struct wr_app *app);

/* Serves until wr_stop has drained: the first worker on the calling thread, the others on threads of their
 * own, which have ended when it returns. Handles of the caller stay open. An app serves once: after
 * wr_stop it returns at once. 0; WR_INVALID when already running;
 * WR_SYSTEM or WR_MEMORY when a worker could not be started. */
WR_API int wr_run(struct wr_app *app);
/* Stops accepting, lets requests under way be answered (with Connection: close), closes WebSockets with 1001,
 * and after config.drain_timeout_ms cuts what is left; then wr_run returns. May be called twice, or before
 * wr_run; from any thread, and by signal handlers; but not when wr_app_free has begun. */
WR_API void wr_stop(struct wr_app *app);
/* True from the call of wr_stop on. */
WR_API bool wr_stopping(const struct wr_app *app);

/* Open connections, WebSockets included. */
WR_API unsigned wr_connections(const struct wr_app *app);

/* --- workers --- */

WR_API unsigned wr_workers(const struct wr_app *app);
/* index: 0 to wr_workers - 1. */
WR_API struct wr_worker *wr_worker_at(struct wr_app *app, unsigned index);
/* The worker whose thread calls; NULL on other threads. */
WR_API struct wr_worker *wr_worker_here(void);
WR_API struct wr_app *wr_worker_app(const struct wr_worker *worker);
WR_API unsigned wr_worker_index(const struct wr_worker *worker);
/* Its loop, for handles of the caller; only on its thread. Borrows. */
WR_API struct uv_loop_s *wr_worker_loop(struct wr_worker *worker);

typedef void (*wr_worker_function)(struct wr_worker *worker, void *argument);
/* Calls function on the worker's thread, soon; from any thread. What one thread posts to one worker runs in
 * that order. What was posted before wr_stop's drain is over still runs, at the latest within wr_app_free.
 * WR_MEMORY, or WR_CLOSED when the app is being freed. */
WR_API int wr_worker_post(struct wr_worker *worker, wr_worker_function function, void *argument) WR_CHECKED;
/* Called on each worker's thread: start before it accepts the first connection, stop after its last one has
 * closed. Either may be NULL. Before wr_run, else WR_INVALID. WR_MEMORY. */
WR_API int wr_on_worker(struct wr_app *app, wr_worker_function start, wr_worker_function stop,
                        void *argument) WR_CHECKED;

/* --- timers --- */

struct wr_timer;
typedef void (*wr_timer_function)(struct wr_timer *timer, void *context);
/* Calls function after delay_ms, then every repeat_ms (0: once). On the worker's thread, and only to be
 * called there (before wr_run: from the thread that will run it is allowed for the first worker). A timer
 * that has fired for the last time is freed after its function returns. NULL
 * without memory, or when the app is being freed. Timers end with the app. */
WR_API struct wr_timer *wr_timer_start(struct wr_worker *worker, uint64_t delay_ms, uint64_t repeat_ms,
                                       wr_timer_function function, void *context) WR_CHECKED;
/* Ends it; the handle is gone. May be called by its own function. */
WR_API void wr_timer_stop(struct wr_timer *timer);
WR_API struct wr_worker *wr_timer_worker(const struct wr_timer *timer);
/* Milliseconds, monotonic, as of this turn of the worker's loop. */
WR_API uint64_t wr_worker_now(const struct wr_worker *worker);

/* --- work that blocks --- */

/* Calls work on a thread of the pool (libuv's, UV_THREADPOOL_SIZE), then done on the worker's thread. work
 * must touch nothing of the app. From the worker's thread. At wr_stop what has begun is waited for: done is
 * always called. WR_FULL when 1024 jobs of this worker wait, WR_MEMORY, WR_CLOSED when wr_stop's drain is
 * over. */
WR_API int wr_offload(struct wr_worker *worker, void (*work)(void *argument), wr_worker_function done,
                      void *argument) WR_CHECKED;

/* --- where clients are --- */

/* Which fields the proxies write. The others are not read: a proxy passes them on as the client sent them. */
enum wr_proxy_fields {
    WR_X_FORWARDED, /* X-Forwarded-For, -Proto, -Host */
    WR_FORWARDED,   /* Forwarded (RFC 7239) */
};
/* Reverse proxies whose word about the client is believed: addresses and networks, separated by commas or
 * spaces ("127.0.0.1, 10.0.0.0/8, ::1"). Without it nobody's is. Then wr_request_address, _scheme, _host tell
 * the client's. Connections from trusted proxies have no limit per address. Before wr_run; again: replaces.
 * WR_INVALID with wr_app_error, WR_MEMORY. */
WR_API int wr_trust_proxies(struct wr_app *app, const char *networks, enum wr_proxy_fields fields) WR_CHECKED;

/* --- https only --- */

/* Requests that came without TLS are answered with 308 to https on this port (443 is left out of the
 * address), except those below "/.well-known/acme-challenge/". */
WR_API int wr_redirect_to_https(struct wr_app *app, uint16_t port) WR_CHECKED;
/* Strict-Transport-Security (RFC 6797) on answers over TLS. max_age_s 0 tells browsers to forget. */
WR_API int wr_strict_transport(struct wr_app *app, uint64_t max_age_s, bool subdomains) WR_CHECKED;

/* --- small things that every server needs --- */

/* The usual phrase of a status ("Not Found"); never NULL. */
WR_API const char *wr_status_text(int status);
/* The version of the library, "0.1.0". */
WR_API const char *wr_version(void);

#ifdef __cplusplus
}
#endif

#endif
