/* listen.c - listeners of all workers, and the limits on connections. */
#include "web/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/listener.h"
#include "web/connection.h"
#include "web/tls.h"

enum { BACKLOG = 1024, DEFER_S = 10, RETRY_MS = 100, FULL_TOLD_EVERY_MS = 60000 };

struct app_listener {
    struct listener listener;
    struct list node; /* in worker->listeners */
    struct wr_worker *worker;
};

/* --- how many --- */

static bool count(struct wr_app *app)
{
    if (__atomic_add_fetch(&app->connection_count, 1, __ATOMIC_SEQ_CST) <= app->config.connections_max)
        return true;
    __atomic_sub_fetch(&app->connection_count, 1, __ATOMIC_SEQ_CST);
    return false;
}

/* Once a minute at most: a server at its limit would tell it with every connection that closes. */
static void tell_full(struct wr_worker *worker)
{
    uint64_t now_ms = net_loop_now(&worker->loop);
    if (worker->full_told_ms && now_ms - worker->full_told_ms < FULL_TOLD_EVERY_MS) return;
    worker->full_told_ms = now_ms;
    app_log(worker->app, WR_LOG_WARNING, "%u connections are open, which is the limit; others wait",
            worker->app->config.connections_max);
}

bool listen_count(struct wr_worker *worker)
{
    if (count(worker->app)) return true;
    /* Said first, then looked again: who closes one meanwhile sees either the flag or makes the room. */
    __atomic_store_n(&worker->held, true, __ATOMIC_SEQ_CST);
    if (count(worker->app)) return true;
    tell_full(worker);
    return false;
}

void listen_uncount(struct wr_worker *worker)
{
    struct wr_app *app = worker->app;
    __atomic_sub_fetch(&app->connection_count, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < app->worker_count; i++) {
        struct wr_worker *other = app->workers[i];
        if (other != worker && __atomic_load_n(&other->held, __ATOMIC_SEQ_CST)) worker_wake(other);
    }
}

/* One address is one count; of IPv6 the network (/64) is, since a client has all of it. */
static void address_key(const uint8_t address[16], uint8_t key[MAP_KEY_BYTES])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    memset(key, 0, MAP_KEY_BYTES);
    memcpy(key, address, memcmp(address, mapped, sizeof mapped) == 0 ? 16 : 8);
}

bool listen_count_address(struct wr_app *app, const uint8_t address[16])
{
    unsigned max = app->config.connections_per_address_max;
    uint8_t key[MAP_KEY_BYTES];
    uint32_t open = 0;
    if (max == 0) return true;
    address_key(address, key);
    uv_mutex_lock(&app->addresses_lock);
    map_get(&app->addresses, key, &open);
    bool taken = open < max && map_set(&app->addresses, key, open + 1) == OK;
    uv_mutex_unlock(&app->addresses_lock);
    return taken;
}

void listen_uncount_address(struct wr_app *app, const uint8_t address[16])
{
    uint8_t key[MAP_KEY_BYTES];
    uint32_t open = 0;
    if (app->config.connections_per_address_max == 0) return;
    address_key(address, key);
    uv_mutex_lock(&app->addresses_lock);
    map_get(&app->addresses, key, &open);
    if (open > 1)
        (void)!map_set(&app->addresses, key, open - 1); /* replacing cannot fail */
    else
        map_remove(&app->addresses, key);
    uv_mutex_unlock(&app->addresses_lock);
}

/* --- accepting --- */

static void on_retry(uv_timer_t *timer)
{
    listen_resume(timer->data);
}

static bool on_ready(struct listener *listener)
{
    struct wr_worker *worker = listener->owner;
    if (!listen_count(worker)) return false;
    if (connection_accept(worker, listener)) return true;
    /* No memory. There may be no other connection whose end would say that there is some again. */
    __atomic_store_n(&worker->held, true, __ATOMIC_SEQ_CST);
    if (!worker->draining) uv_timer_start(&worker->drain_timer, on_retry, RETRY_MS, 0);
    listen_uncount(worker);
    return false;
}

static void on_trouble(struct listener *listener, int uv_error)
{
    struct wr_worker *worker = listener->owner;
    if (uv_error)
        app_log(worker->app, WR_LOG_WARNING, "port %u accepts no connections for now: %s", listener->port,
                uv_strerror(uv_error));
    else
        app_log(worker->app, WR_LOG_INFO, "port %u accepts connections again", listener->port);
}

static void on_closed(struct listener *listener)
{
    struct app_listener *l = LIST_ENTRY(listener, struct app_listener, listener);
    struct wr_worker *worker = l->worker;
    list_remove(&l->node);
    tls_server_release(l->listener.secure);
    free(l);
    worker_finish_if_drained(worker);
}

void listen_resume(struct wr_worker *worker)
{
    if (!__atomic_exchange_n(&worker->held, false, __ATOMIC_SEQ_CST)) return;
    for (struct list *n = worker->listeners.next; n != &worker->listeners; n = n->next)
        listener_resume(&LIST_ENTRY(n, struct app_listener, node)->listener);
}

void listen_close(struct wr_worker *worker)
{
    for (struct list *n = worker->listeners.next; n != &worker->listeners; n = n->next)
        listener_close(&LIST_ENTRY(n, struct app_listener, node)->listener);
}

/* --- beginning --- */

static const char *trouble_words(int uv_error)
{
    switch (uv_error) {
    case UV_EADDRINUSE: return "another program uses this port";
    case UV_EACCES: return "permission denied (ports below 1024 need more rights)";
    case UV_EADDRNOTAVAIL: return "this machine does not have this address";
    case UV_EINVAL: return "this is not an IP address";
    default: return uv_strerror(uv_error);
    }
}

static int failed(struct wr_app *app, const char *ip, uint16_t port, int uv_error)
{
    snprintf(app->error, sizeof app->error, "cannot listen on %s port %u: %s", ip, port,
             trouble_words(uv_error));
    return uv_error == UV_EINVAL ? WR_INVALID : uv_error == UV_ENOMEM ? WR_MEMORY : WR_SYSTEM;
}

/* 0 or a libuv error. *port: what was asked for; then what it is. */
static int open_one(struct wr_worker *worker, const char *ip, uint16_t *port, struct tls_server *secure)
{
    struct wr_app *app = worker->app;
    struct app_listener *l = calloc(1, sizeof *l);
    if (!l) return UV_ENOMEM;
    l->worker = worker;
    l->listener = (struct listener){.ready = on_ready,
                                    .owner = worker,
                                    .secure = secure ? tls_server_hold(secure) : NULL,
                                    .trouble = on_trouble,
                                    .closed = on_closed};
    struct listener_options options = {.ip = ip,
                                       .port = *port,
                                       .backlog = BACKLOG,
                                       .defer_s = app->config.defer_accept ? DEFER_S : 0,
                                       .shared = app->worker_count > 1,
                                       .joins = worker->index > 0};
    int rc = listener_open(&l->listener, &worker->loop, &options);
    if (rc < 0) {
        tls_server_release(secure);
        free(l);
        return rc;
    }
    list_append(&worker->listeners, &l->node);
    *port = l->listener.port;
    return 0;
}

int wr_listen(struct wr_app *app, const char *ip, uint16_t port, const struct wr_tls *tls)
{
    uint16_t chosen = port;
    if (app->running) {
        snprintf(app->error, sizeof app->error, "cannot listen on %s port %u: the server runs already", ip,
                 port);
        return WR_INVALID;
    }
    struct tls_server *secure = tls ? tls_server_of(tls) : NULL;
    if (tls && !secure) {
        snprintf(app->error, sizeof app->error, "cannot listen on %s port %u: TLS: %s", ip, port,
                 wr_tls_error(tls));
        return WR_INVALID;
    }
    int rc = 0;
    for (unsigned i = 0; i < app->worker_count && rc == 0; i++)
        rc = open_one(app->workers[i], ip, &chosen, secure);
    tls_server_release(secure);
    if (rc == 0 && app->port == 0) app->port = chosen;
    return rc < 0 ? failed(app, ip, port, rc) : WR_OK;
}

uint16_t wr_port(const struct wr_app *app)
{
    return app->port;
}
