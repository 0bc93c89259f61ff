/* listen.c - listeners of all workers, and the limits on connections. */
#include "web/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "web/connection.h"
#include "web/tls.h"

enum { BACKLOG = 1024, DEFER_S = 10, RETRY_MS = 100, FULL_TOLD_EVERY_MS = 60000 };

/* --- how many --- */

static bool count(const struct wr_worker *worker)
{
    unsigned *open = &worker->app->connection_count;
    if (__atomic_add_fetch(open, 1, __ATOMIC_SEQ_CST) <= worker->settings->connections_max) return true;
    __atomic_sub_fetch(open, 1, __ATOMIC_SEQ_CST);
    return false;
}

/* Once a minute at most: a server at its limit would tell it with every connection that closes. */
static void tell_full(struct wr_worker *worker)
{
    uint64_t now_ms = net_loop_now(&worker->loop);
    if (worker->full_told_ms && now_ms - worker->full_told_ms < FULL_TOLD_EVERY_MS) return;
    worker->full_told_ms = now_ms;
    app_log(worker->app, WR_LOG_WARNING, "%u connections are open, which is the limit; others wait",
            worker->settings->connections_max);
}

bool listen_count(struct wr_worker *worker)
{
    if (count(worker)) return true;
    /* Said first, then looked again: who closes one meanwhile sees either the flag or makes the room. */
    __atomic_store_n(&worker->held, true, __ATOMIC_SEQ_CST);
    if (count(worker)) return true;
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

bool listen_count_address(struct connection *conn)
{
    struct wr_app *app = conn->worker->app;
    unsigned max = conn->worker->settings->connections_per_address_max;
    uint8_t key[MAP_KEY_BYTES];
    uint32_t open = 0;
    if (max == 0) return true;
    address_key(conn->address, key);
    uv_mutex_lock(&app->addresses_lock);
    map_get(&app->addresses, key, &open);
    conn->counted = open < max && map_set(&app->addresses, key, open + 1) == OK;
    uv_mutex_unlock(&app->addresses_lock);
    return conn->counted;
}

void listen_uncount_address(struct wr_app *app, const uint8_t address[16])
{
    uint8_t key[MAP_KEY_BYTES];
    uint32_t open = 0;
    address_key(address, key);
    uv_mutex_lock(&app->addresses_lock);
    map_get(&app->addresses, key, &open);
    if (open > 1)
        (void)!map_set(&app->addresses, key, open - 1); /* replacing cannot fail */
    else
        map_remove(&app->addresses, key);
    uv_mutex_unlock(&app->addresses_lock);
}

/* --- places --- */

int place_new(const char *ip, uint16_t port, struct place **out)
{
    socklen_t len;
    struct place *place = calloc(1, sizeof *place);
    if (!place) return UV_ENOMEM;
    place->owners = 1;
    place->wanted = place->port = port;
    list_init(&place->node);
    int rc = listener_address(ip, 0, &place->address, &len);
    if (rc < 0 || strlen(ip) >= sizeof place->ip) {
        free(place);
        return rc < 0 ? rc : UV_EINVAL;
    }
    snprintf(place->ip, sizeof place->ip, "%s", ip);
    *out = place;
    return 0;
}

struct place *place_hold(struct place *place)
{
    __atomic_add_fetch(&place->owners, 1, __ATOMIC_RELAXED);
    return place;
}

void place_release(struct place *place)
{
    if (__atomic_sub_fetch(&place->owners, 1, __ATOMIC_ACQ_REL) == 0) free(place);
}

static void listen_free(struct app_listener *l)
{
    tls_server_release(l->listener.secure);
    place_release(l->place);
    free(l);
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
    listen_free(l);
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

int listen_failed(struct wr_app *app, const char *ip, uint16_t port, int uv_error)
{
    snprintf(app->error, sizeof app->error, "cannot listen on %s port %u: %s", ip, port,
             trouble_words(uv_error));
    return uv_error == UV_EINVAL ? WR_INVALID : uv_error == UV_ENOMEM ? WR_MEMORY : WR_SYSTEM;
}

int listen_open(struct wr_worker *worker, struct place *place, bool shared, bool joins,
                struct app_listener **out)
{
    struct app_listener *l = calloc(1, sizeof *l);
    if (!l) return UV_ENOMEM;
    struct listener_options options = {.ip = place->ip,
                                       .port = place->port,
                                       .backlog = BACKLOG,
                                       .defer_s = worker->app->config.defer_accept ? DEFER_S : 0,
                                       .shared = shared,
                                       .joins = joins};
    int fd = listener_socket(&options);
    if (fd < 0) {
        free(l);
        return fd;
    }
    place->port = listener_bound_port(fd);
    l->worker = worker;
    l->place = place_hold(place);
    l->fd = fd;
    l->listener = (struct listener){
        .ready = on_ready, .owner = worker, .trouble = on_trouble, .closed = on_closed, .fd = fd};
    *out = l;
    return 0;
}

void listen_begin(struct app_listener *l)
{
    struct wr_worker *worker = l->worker;
    if (worker->draining || worker->ending) { /* it has closed its listeners */
        listen_discard(l);
        return;
    }
    int rc = listener_begin(&l->listener, &worker->loop, l->fd, worker->app->config.defer_accept);
    if (rc == 0) {
        list_append(&worker->listeners, &l->node);
        return;
    }
    app_log(worker->app, WR_LOG_ERROR, "a worker cannot accept on %s port %u: %s", l->place->ip,
            l->place->port, uv_strerror(rc));
    listen_discard(l);
}

void listen_discard(struct app_listener *l)
{
    close(l->fd);
    listen_free(l);
}

void listen_set(struct app_listener *l, struct tls_server *secure, uint16_t https_port)
{
    struct tls_server *old = l->listener.secure;
    l->listener.secure = secure ? tls_server_hold(secure) : NULL;
    l->https_port = https_port;
    tls_server_release(old);
}

struct app_listener *listen_find(struct wr_worker *worker, const struct place *place)
{
    for (struct list *n = worker->listeners.next; n != &worker->listeners; n = n->next) {
        struct app_listener *l = LIST_ENTRY(n, struct app_listener, node);
        if (l->place == place) return l;
    }
    return NULL;
}

uint16_t listen_https_port(struct listener *listener)
{
    const struct app_listener *l = LIST_ENTRY(listener, struct app_listener, listener);
    return l->https_port ? l->https_port : l->worker->app->https_port;
}

uint16_t wr_port(const struct wr_app *app)
{
    return __atomic_load_n(&app->port, __ATOMIC_RELAXED);
}
