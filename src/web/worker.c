/* worker.c - life of one event loop: running, being woken, draining. */
#include "web/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "web/connection.h"
#include "web/files.h"
#include "web/deflate.h"
#include "web/listen.h"

/* The worker whose thread this is. */
static _Thread_local struct wr_worker *here;

struct post {
    struct post *next;
    wr_worker_function function;
    void *argument;
};

const char *worker_date(struct wr_worker *worker)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now); /* to the tick of the kernel, at no cost */
    if (now.tv_sec != worker->date_second) {
        worker->date_second = now.tv_sec;
        http_date_write(now.tv_sec, worker->date);
    }
    return worker->date;
}

const char *worker_address_text(struct wr_worker *worker, const uint8_t address[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (memcmp(address, mapped, sizeof mapped) == 0)
        uv_inet_ntop(AF_INET, address + 12, worker->address, sizeof worker->address);
    else
        uv_inet_ntop(AF_INET6, address, worker->address, sizeof worker->address);
    return worker->address;
}

/* --- posts --- */

struct post *worker_post_new(wr_worker_function function, void *argument)
{
    struct post *post = malloc(sizeof *post);
    if (post) *post = (struct post){.function = function, .argument = argument};
    return post;
}

/* False when the worker is being freed. */
static bool put_post(struct wr_worker *worker, struct post *post)
{
    uv_mutex_lock(&worker->posts_lock);
    bool closed = worker->posts_closed, first = !worker->first_post;
    if (!closed) {
        *(first ? &worker->first_post : &worker->last_post->next) = post;
        worker->last_post = post;
    }
    uv_mutex_unlock(&worker->posts_lock);
    if (!closed && first) uv_async_send(&worker->signal); /* one for all that wait */
    return !closed;
}

void worker_post(struct wr_worker *worker, struct post *post)
{
    bool put = put_post(worker, post);
    assert(put);
    (void)put;
}

int wr_worker_post(struct wr_worker *worker, wr_worker_function function, void *argument)
{
    struct post *post = worker_post_new(function, argument);
    if (!post) return WR_MEMORY;
    if (put_post(worker, post)) return WR_OK;
    free(post);
    return WR_CLOSED;
}

/* The last time nothing more is taken: a function that posts itself would go on for ever. */
static void call_posts(struct wr_worker *worker, bool last_time)
{
    uv_mutex_lock(&worker->posts_lock);
    struct post *post = worker->first_post;
    worker->first_post = NULL;
    worker->posts_closed = last_time;
    uv_mutex_unlock(&worker->posts_lock);
    while (post) {
        struct post *next = post->next;
        post->function(worker, post->argument);
        free(post);
        post = next;
    }
}

/* --- stopping --- */

void worker_finish_if_drained(struct wr_worker *worker)
{
    if (!worker->draining || worker->connection_count > 0 || worker->jobs > 0 ||
        !list_empty(&worker->listeners))
        return;
    worker->drained = true;
    uv_timer_stop(&worker->drain_timer);
    uv_stop(&worker->loop.uv);
}

void worker_connection_closed(struct wr_worker *worker)
{
    if (!wr_stopping(worker->app)) listen_resume(worker);
    worker_finish_if_drained(worker);
}

static void cut_all(struct wr_worker *worker)
{
    while (!list_empty(&worker->connections)) {
        struct connection *conn = LIST_ENTRY(worker->connections.next, struct connection, node);
        /* Off the list first: it leaves for good only when its handle is closed. */
        list_remove(&conn->node);
        connection_cut(conn);
    }
}

static void on_drain_over(uv_timer_t *timer)
{
    struct wr_worker *worker = timer->data;
    worker->ending = true;
    cut_all(worker);
}

static void drain(struct wr_worker *worker)
{
    worker->draining = true;
    listen_close(worker);
    for (struct list *n = worker->connections.next, *next; n != &worker->connections; n = next) {
        next = n->next;
        connection_drain(LIST_ENTRY(n, struct connection, node));
    }
    uv_timer_start(&worker->drain_timer, on_drain_over, worker->app->config.drain_timeout_ms, 0);
    worker_finish_if_drained(worker);
}

static void on_signal(uv_async_t *async)
{
    struct wr_worker *worker = async->data;
    call_posts(worker, false);
    if (!wr_stopping(worker->app))
        listen_resume(worker);
    else if (here == worker && !worker->draining)
        drain(worker);
}

void worker_wake(struct wr_worker *worker)
{
    uv_async_send(&worker->signal);
}

/* --- life --- */

void worker_run(struct wr_worker *worker)
{
    struct wr_worker *outer = here;
    here = worker;
    app_call_workers(worker->app, worker, true);
    if (wr_stopping(worker->app) && !worker->draining) drain(worker);
    while (!worker->drained)
        uv_run(&worker->loop.uv, UV_RUN_DEFAULT);
    call_posts(worker, false);
    app_call_workers(worker->app, worker, false);
    here = outer;
}

static int init(struct wr_worker *worker)
{
    list_init(&worker->connections);
    list_init(&worker->listeners);
    list_init(&worker->requests);
    list_init(&worker->timers);
    worker->date_second = worker->log_second = -1;
    if (uv_mutex_init(&worker->posts_lock) < 0) return WR_SYSTEM;
    if (net_loop_init(&worker->loop, connection_expired) < 0) {
        uv_mutex_destroy(&worker->posts_lock);
        return WR_SYSTEM;
    }
    uv_timer_init(&worker->loop.uv, &worker->drain_timer);
    worker->drain_timer.data = worker->signal.data = worker;
    if (uv_async_init(&worker->loop.uv, &worker->signal, on_signal) == 0) return WR_OK;
    uv_close((uv_handle_t *)&worker->drain_timer, NULL);
    net_loop_deinit(&worker->loop);
    uv_mutex_destroy(&worker->posts_lock);
    return WR_SYSTEM;
}

struct wr_worker *worker_new(struct wr_app *app, unsigned index)
{
    uint8_t secret[16];
    struct wr_worker *worker = calloc(1, sizeof *worker);
    if (!worker || uv_random(NULL, NULL, secret, sizeof secret, 0, NULL) < 0) {
        free(worker);
        return NULL;
    }
    topics_init(&worker->topics, secret);
    worker->app = app;
    worker->index = index;
    if (init(worker) == WR_OK) {
        worker->settings = settings_hold(app->settings);
        return worker;
    }
    free(worker);
    return NULL;
}

void worker_close(struct wr_worker *worker)
{
    struct wr_worker *outer = here;
    here = worker;
    worker->ending = true;
    cut_all(worker);
    call_posts(worker, true);
    listen_close(worker);
    worker_close_timers(worker);
    uv_close((uv_handle_t *)&worker->drain_timer, NULL);
    uv_close((uv_handle_t *)&worker->signal, NULL);
    net_loop_deinit(&worker->loop);
    while (!list_empty(&worker->requests))
        request_release(LIST_ENTRY(worker->requests.next, struct wr_request, node));
    worker->held = false; /* nobody wakes it any more */
    here = outer;
}

void worker_free(struct wr_worker *worker)
{
    request_free_pool(worker);
    files_free_caches(worker);
    deflater_free(worker->deflater);
    topics_deinit(&worker->topics);
    uv_mutex_destroy(&worker->posts_lock);
    settings_release(worker->settings);
    free(worker);
}

struct wr_worker *wr_worker_here(void)
{
    return here;
}

struct wr_app *wr_worker_app(const struct wr_worker *worker)
{
    return worker->app;
}

unsigned wr_worker_index(const struct wr_worker *worker)
{
    return worker->index;
}

struct uv_loop_s *wr_worker_loop(struct wr_worker *worker)
{
    return &worker->loop.uv;
}

uint64_t wr_worker_now(const struct wr_worker *worker)
{
    return net_loop_now(&worker->loop);
}
