/* app.c - life of the server: configuration, running, stopping. */
#include "web/app.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/status.h"
#include "web/connection.h"
#include "web/files.h"
#include "web/listen.h"

enum { ADDRESSES_MAX = 4 * 1024 * 1024 }; /* never reached: each has an open connection */

void wr_config_init(struct wr_config *config)
{
    *config = (struct wr_config){
        .target_bytes_max = 8 * 1024,
        .header_bytes_max = 16 * 1024,
        .header_count_max = 64,
        .body_bytes_max = 1024 * 1024,
        .connections_per_address_max = 512,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 60000,
        .answer_timeout_ms = 60000,
        .write_timeout_ms = 30000,
        .defer_accept = true,
        .drain_timeout_ms = 5000,
        .event_beat_ms = 15000,
        .workers = 1,
    };
}

/* --- running --- */

void wr_stop(struct wr_app *app)
{
    int number = errno; /* of what a signal has interrupted */
    __atomic_store_n(&app->stopping, true, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < app->worker_count; i++)
        worker_wake(app->workers[i]);
    errno = number;
}

bool wr_stopping(const struct wr_app *app)
{
    return __atomic_load_n(&app->stopping, __ATOMIC_RELAXED);
}

int wr_on_worker(struct wr_app *app, wr_worker_function start, wr_worker_function stop, void *argument)
{
    if (app->running) return WR_INVALID;
    struct worker_hook *all = realloc(app->hooks, (app->hook_count + 1) * sizeof *all);
    if (!all) return WR_MEMORY;
    app->hooks = all;
    app->hooks[app->hook_count++] = (struct worker_hook){start, stop, argument};
    return WR_OK;
}

void app_call_workers(struct wr_app *app, struct wr_worker *worker, bool start)
{
    for (size_t i = 0; i < app->hook_count; i++) {
        const struct worker_hook *hook = &app->hooks[start ? i : app->hook_count - 1 - i];
        wr_worker_function function = start ? hook->start : hook->stop;
        if (function) function(worker, hook->argument);
    }
}

static void worker_thread(void *worker)
{
    worker_run(worker);
}

int wr_run(struct wr_app *app)
{
    if (app->running) return WR_INVALID;
    if (log_start(app->log) != WR_OK) return WR_SYSTEM;
    app->running = true;
    unsigned started = 1;
    int rc = 0;
    while (started < app->worker_count && rc == 0) {
        struct wr_worker *worker = app->workers[started];
        rc = uv_thread_create(&worker->thread, worker_thread, worker);
        if (rc == 0) started++;
    }
    if (rc < 0) {
        snprintf(app->error, sizeof app->error, "a thread could not be started: %s", uv_strerror(rc));
        wr_stop(app);
    }
    worker_run(app->workers[0]);
    for (unsigned i = 1; i < started; i++)
        uv_thread_join(&app->workers[i]->thread);
    app->running = false;
    return rc == 0 ? WR_OK : rc == UV_ENOMEM ? WR_MEMORY : WR_SYSTEM;
}

/* --- life --- */

/* A client that has gone is an error code here, not a signal. A choice of the program stands. */
static void ignore_sigpipe(void)
{
    struct sigaction old;
    if (sigaction(SIGPIPE, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

static int add_workers(struct wr_app *app, unsigned wanted)
{
    unsigned count = wanted > 0 ? wanted : uv_available_parallelism();
    if (count > WORKERS_MAX) count = WORKERS_MAX;
    app->workers = calloc(count, sizeof(struct wr_worker *));
    if (!app->workers) return ERR_MEMORY;
    for (; app->worker_count < count; app->worker_count++) {
        app->workers[app->worker_count] = worker_new(app, app->worker_count);
        if (!app->workers[app->worker_count]) return ERR_MEMORY;
    }
    return OK;
}

static void init(struct wr_app *app, const uint8_t secret[16])
{
    group_init(&app->root, app);
    buffer_init(&app->methods, &allocator_libc, APP_METHODS_BYTES_MAX);
    app->began_s = time(NULL);
    ignore_sigpipe();
    buffer_init(&app->headers, &allocator_libc, APP_HEADER_BYTES_MAX);
    map_init(&app->addresses, &allocator_libc, ADDRESSES_MAX, secret);
    list_init(&app->places);
}

/* What wr_app_free cannot do without. */
static struct wr_app *app_alloc(void)
{
    uint8_t secret[16];
    struct wr_app *app = calloc(1, sizeof *app);
    if (!app) return NULL;
    if (uv_random(NULL, NULL, secret, sizeof secret, 0, NULL) < 0) goto no_secret;
    if (uv_mutex_init(&app->addresses_lock) < 0) goto no_secret;
    if (topic_counts_init(&app->topic_counts, secret) < 0) goto no_topics;
    app->log = log_new(app);
    if (!app->log) goto no_log;
    init(app, secret);
    return app;
no_log:
    topic_counts_deinit(&app->topic_counts);
no_topics:
    uv_mutex_destroy(&app->addresses_lock);
no_secret:
    free(app);
    return NULL;
}

struct wr_app *wr_app_new(const struct wr_config *config)
{
    struct wr_app *app = app_alloc();
    if (!app) return NULL;
    if (config)
        app->config = *config;
    else
        wr_config_init(&app->config);
    app->settings = settings_new(&app->config);
    if (app->settings && add_workers(app, app->config.workers) == OK) return app;
    wr_app_free(app);
    return NULL;
}

static void free_places(struct wr_app *app)
{
    while (!list_empty(&app->places)) {
        struct place *place = LIST_ENTRY(app->places.next, struct place, node);
        list_remove(&place->node);
        place_release(place);
    }
}

void wr_app_free(struct wr_app *app)
{
    if (!app) return;
    assert(!app->running);
    __atomic_store_n(&app->stopping, true, __ATOMIC_SEQ_CST); /* for callbacks that would begin something */
    for (unsigned i = 0; i < app->worker_count; i++)
        worker_close(app->workers[i]);
    for (unsigned i = 0; i < app->worker_count; i++)
        worker_free(app->workers[i]);
    settings_release(app->settings);
    log_free(app->log);
    free_places(app);
    sessions_free(app->sessions);
    metrics_free(app->own_metrics);
    free(app->workers);
    free(app->hooks);
    router_deinit(&app->router, target_free);
    free(app->intake);
    group_deinit(&app->root);
    buffer_reset(&app->methods);
    free(app->strict_transport);
    free(app->assets.by_path);
    files_free_mounts(app);
    for (size_t i = 0; i < app->header_count; i++) {
        free(app->header_names[i]);
        free(app->header_lines[i]);
    }
    buffer_reset(&app->headers);
    map_deinit(&app->addresses);
    topic_counts_deinit(&app->topic_counts);
    uv_mutex_destroy(&app->addresses_lock);
    free(app);
}

struct uv_loop_s *wr_loop(struct wr_app *app)
{
    return &app->workers[0]->loop.uv;
}

unsigned wr_workers(const struct wr_app *app)
{
    return app->worker_count;
}

struct wr_worker *wr_worker_at(struct wr_app *app, unsigned index)
{
    return index < app->worker_count ? app->workers[index] : NULL;
}

const char *wr_app_error(const struct wr_app *app)
{
    return app->error;
}

unsigned wr_connections(const struct wr_app *app)
{
    return __atomic_load_n(&app->connection_count, __ATOMIC_RELAXED);
}

const char *wr_status_text(int status)
{
    return http_status_text(status);
}

const char *wr_version(void)
{
    return WEB_VERSION;
}
