/* worker.h - one event loop with its own connections, on a thread of its own.
 *
 * What a worker needs for a request is its own (connections, pools, timers, the settings it has now); what
 * all share (struct wr_app) is constant while they run, or guarded there. The first worker runs on the thread
 * that called wr_run. */
#ifndef WEB_WORKER_H
#define WEB_WORKER_H

#include "http/date.h"
#include "net/loop.h"
#include "web/topic.h"
#include "weaprous/weaprous.h"
#include "web/log.h"
#include "web/metrics.h"

enum { WORKERS_MAX = 256, WORKER_JOBS_MAX = 1024, WORKER_REQUESTS_POOLED = 64 };

struct wr_worker {
    struct wr_app *app;
    struct settings *settings; /* held */
    unsigned index;
    struct net_loop loop;
    struct list connections;
    struct list listeners;
    struct list requests; /* all that are not released */
    struct list timers;
    struct file_cache **file_caches; /* by index of the mount; NULL until needed */
    uint32_t file_fields;            /* fields for all answers, by index, that answers with files replace */
    struct wr_request *pool;
    size_t pool_len;
    unsigned connection_count;
    unsigned jobs;         /* of wr_offload, under way */
    bool held;             /* a connection waits because the app has too many; atomic */
    uint64_t full_told_ms; /* when the log was told that no further connection is let in; 0: never */
    bool draining, drained;
    bool ending;            /* the drain has taken too long, or it is being freed: nothing begins any more */
    uv_async_t signal;      /* wr_stop, posts, room for a connection */
    uv_timer_t drain_timer; /* before the drain: when to accept again after memory was short */
    uv_mutex_t posts_lock;
    struct post *first_post, *last_post; /* guarded by it */
    bool posts_closed;                   /* as well */
    struct counts counts;
    int64_t log_second; /* of log_time */
    char log_time[40];
    int64_t date_second;
    char date[HTTP_DATE_BYTES + 1];
    char address[46];
    struct topics topics;
    struct deflater *deflater; /* for WebSockets that agreed on compression; NULL until there is one */
    uv_thread_t thread;
};

/* NULL without memory or when the loop cannot be had. */
struct wr_worker *worker_new(struct wr_app *app, unsigned index);
/* Cuts connections and listeners, calls what was posted, closes the loop. Not while it runs. The program's
 * callbacks may still speak to other workers of the app: those that are closed refuse (WR_CLOSED). */
void worker_close(struct wr_worker *worker);
/* When all workers of the app are closed. */
void worker_free(struct wr_worker *worker);
/* Serves on this thread until wr_stop has drained. */
void worker_run(struct wr_worker *worker);
/* Makes it look at wr_stopping, its posts and its waiting connections. From any thread, also in signals. */
void worker_wake(struct wr_worker *worker);

/* wr_worker_post in two steps, of which only the first can fail: NULL without memory. The post is free()d
 * when it has run, or by who does not send it. Not when the app is being freed. */
struct post *worker_post_new(wr_worker_function function, void *argument) BASE_CHECKED;
void worker_post(struct wr_worker *worker, struct post *post);

/* A connection or listener of it has closed: others may come in, or the drain is over. */
void worker_connection_closed(struct wr_worker *worker);
void worker_finish_if_drained(struct wr_worker *worker);
/* The Date of now; written at most once a second. */
const char *worker_date(struct wr_worker *worker);
/* An address of a connection as text; lives until the next call. */
const char *worker_address_text(struct wr_worker *worker, const uint8_t address[16]);

/* timer.c: closes all timers. */
void worker_close_timers(struct wr_worker *worker);

#endif
