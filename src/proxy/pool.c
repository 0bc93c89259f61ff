/* pool.c - connections to servers: made, kept, ended. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/exchange.h"

static struct server_connection *server_of(struct stream *stream)
{
    return LIST_ENTRY(stream, struct server_connection, stream);
}

/* --- what the stream tells --- */

static void on_opened(struct stream *stream)
{
    struct server_connection *conn = server_of(stream);
    server_moved(conn);
    conn->opened = true;
    if (conn->use == SERVER_EXCHANGE) exchange_opened(conn->exchange);
}

/* An idle connection has nothing to say: what comes would be taken for the answer to the next request. */
static void on_received(struct stream *stream, uint8_t *bytes, size_t len)
{
    struct server_connection *conn = server_of(stream);
    server_moved(conn);
    switch ((enum server_use)conn->use) {
    case SERVER_EXCHANGE: exchange_received(conn->exchange, bytes, len); break;
    case SERVER_RELAY: relay_received(conn->relay, bytes, len); break;
    case SERVER_IDLE: server_close(conn); break;
    case SERVER_CLOSED: break;
    }
}

static void on_spliced(struct stream *stream, size_t n)
{
    struct server_connection *conn = server_of(stream);
    server_moved(conn);
    if (conn->use == SERVER_EXCHANGE) exchange_spliced(conn->exchange, n);
}

static void on_ended(struct stream *stream)
{
    struct server_connection *conn = server_of(stream);
    switch ((enum server_use)conn->use) {
    case SERVER_EXCHANGE: exchange_ended(conn->exchange); break;
    case SERVER_RELAY: relay_ended(conn->relay); break;
    case SERVER_IDLE: server_close(conn); break;
    case SERVER_CLOSED: break;
    }
}

static void on_failed(struct stream *stream, int uv_error)
{
    struct server_connection *conn = server_of(stream);
    switch ((enum server_use)conn->use) {
    case SERVER_EXCHANGE:
        exchange_failed(conn->exchange, stream_failure(stream, uv_error), upstream_is_to_blame(uv_error));
        break;
    case SERVER_RELAY: relay_failed(conn->relay); break;
    case SERVER_IDLE: server_close(conn); break;
    case SERVER_CLOSED: break;
    }
}

static void on_flushed(struct stream *stream)
{
    struct server_connection *conn = server_of(stream);
    uint64_t sent = stream_sent(stream);
    if (sent != conn->sent_bytes) {
        conn->sent_bytes = sent;
        server_moved(conn);
    }
    if (conn->use == SERVER_EXCHANGE)
        exchange_flushed(conn->exchange);
    else if (conn->use == SERVER_RELAY)
        relay_flushed(conn->relay);
}

static void on_closed(struct stream *stream)
{
    free(server_of(stream));
}

static void on_woken(struct stream *stream)
{
    (void)stream;
}

static const struct stream_events events = {.opened = on_opened,
                                            .received = on_received,
                                            .spliced = on_spliced,
                                            .ended = on_ended,
                                            .failed = on_failed,
                                            .woken = on_woken,
                                            .flushed = on_flushed,
                                            .closed = on_closed};

/* --- pools --- */

/* NULL without memory. */
static struct server_pool *pool_of(struct forward *f, const struct upstream *upstream)
{
    if (upstream->id >= f->pool_count) {
        size_t count = upstream->id + 16;
        struct server_pool **pools = realloc(f->pools, count * sizeof *pools);
        if (!pools) return NULL;
        memset(pools + f->pool_count, 0, (count - f->pool_count) * sizeof(struct server_pool *));
        f->pools = pools;
        f->pool_count = count;
    }
    struct server_pool **pool = &f->pools[upstream->id];
    if (!*pool && (*pool = malloc(sizeof **pool))) {
        list_init(&(*pool)->idle);
        (*pool)->count = 0;
    }
    return *pool;
}

static void take_off(struct server_connection *conn)
{
    list_remove(&conn->node);
    conn->forward->pools[conn->upstream->id]->count--;
    atomic_fetch_sub_explicit(&conn->upstream->idle, 1, memory_order_relaxed);
}

/* False when the server has closed it already, or sent what it was not asked for. */
static bool is_sound(const struct server_connection *conn)
{
    uv_os_fd_t fd;
    char byte;
    if (conn->stream.tls || uv_fileno((const uv_handle_t *)&conn->stream.tcp, &fd) < 0) return true;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

struct server_connection *server_take(struct forward *f, struct upstream *upstream, bool sure)
{
    struct server_pool *pool = upstream->id < f->pool_count ? f->pools[upstream->id] : NULL;
    while (pool && !list_empty(&pool->idle)) {
        struct server_connection *conn = LIST_ENTRY(pool->idle.next, struct server_connection, node);
        if (sure && !is_sound(conn)) {
            server_close(conn);
            continue;
        }
        take_off(conn);
        server_moved(conn);
        atomic_fetch_add_explicit(&upstream->reused, 1, memory_order_relaxed);
        return conn;
    }
    return NULL;
}

struct server_connection *server_open(struct forward *f, struct upstream *upstream)
{
    uint8_t addresses[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
    struct server_connection *conn = pool_of(f, upstream) ? calloc(1, sizeof *conn) : NULL;
    if (!conn) return NULL;
    struct stream_target target = {.host = upstream->host,
                                   .port = upstream->port,
                                   .tls = upstream->client_tls,
                                   .addresses = addresses,
                                   .address_count = upstream_addresses(upstream, addresses)};
    if (stream_connect(&conn->stream, f->loop, &target, &events) < 0) {
        free(conn);
        return NULL;
    }
    wheel_entry_init(&conn->timer);
    list_init(&conn->node);
    conn->forward = f;
    conn->upstream = upstream;
    server_moved(conn);
    atomic_fetch_add_explicit(&upstream->connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&upstream->connects, 1, memory_order_relaxed);
    return conn;
}

void server_keep(struct server_connection *conn, const struct config_group *group)
{
    struct upstream *upstream = conn->upstream;
    struct server_pool *pool = conn->forward->pools[upstream->id];
    if (group->keepalive == 0 || conn->broken ||
        atomic_load_explicit(&upstream->retired, memory_order_relaxed) ||
        wr_stopping(wr_worker_app(conn->forward->worker))) {
        server_close(conn);
        return;
    }
    if (pool->count >= group->keepalive) /* the one that was used longest ago makes room */
        server_close(LIST_ENTRY(pool->idle.prev, struct server_connection, node));
    conn->use = SERVER_IDLE;
    conn->exchange = NULL;
    conn->used = true;
    conn->idle_ms = group->idle_ms;
    conn->node.prev = &pool->idle; /* in front: the caches know it best */
    conn->node.next = pool->idle.next;
    pool->idle.next->prev = &conn->node;
    pool->idle.next = &conn->node;
    pool->count++;
    atomic_fetch_add_explicit(&upstream->idle, 1, memory_order_relaxed);
    server_moved(conn);
    stream_read(&conn->stream, true);
    server_arm(conn, conn->since_ms + conn->idle_ms);
}

void server_close(struct server_connection *conn)
{
    if (conn->use == SERVER_CLOSED) return;
    if (conn->use == SERVER_IDLE && !list_empty(&conn->node)) take_off(conn);
    conn->use = SERVER_CLOSED;
    wheel_remove(&conn->forward->wheel, &conn->timer);
    atomic_fetch_sub_explicit(&conn->upstream->connections, 1, memory_order_relaxed);
    conn->upstream = NULL;
    stream_close(&conn->stream);
}

void server_abandon(struct server_connection *conn)
{
    uv_os_fd_t fd;
    static const struct linger reset = {.l_onoff = 1};
    if (conn->use != SERVER_CLOSED && uv_fileno((const uv_handle_t *)&conn->stream.tcp, &fd) == 0)
        (void)!setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    server_close(conn);
}

void pools_sweep(struct forward *f, bool all)
{
    for (size_t i = 0; i < f->pool_count; i++) {
        struct server_pool *pool = f->pools[i];
        if (!pool) continue;
        for (struct list *n = pool->idle.next, *next; n != &pool->idle; n = next) {
            struct server_connection *conn = LIST_ENTRY(n, struct server_connection, node);
            next = n->next;
            if (all || atomic_load_explicit(&conn->upstream->retired, memory_order_relaxed))
                server_close(conn);
        }
    }
}

void server_read_rest(struct server_connection *conn)
{
    enum { ROUNDS_MAX = 8, BYTES = 8 * 1024 };
    uint8_t bytes[BYTES];
    uv_os_fd_t fd;
    if (conn->stream.tls || uv_fileno((const uv_handle_t *)&conn->stream.tcp, &fd) < 0) return;
    for (int i = 0; i < ROUNDS_MAX && conn->use == SERVER_EXCHANGE; i++) {
        ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got <= 0) return;
        exchange_received(conn->exchange, bytes, (size_t)got);
    }
}

/* --- time --- */

static void on_timer(struct server_connection *conn, uint64_t now_ms)
{
    if (conn->use == SERVER_EXCHANGE)
        exchange_expired(conn->exchange, now_ms);
    else if (conn->use == SERVER_IDLE && conn->since_ms + conn->idle_ms <= now_ms)
        server_close(conn);
    else if (conn->use == SERVER_IDLE)
        server_arm(conn, conn->since_ms + conn->idle_ms);
}

static void on_tick(uv_timer_t *timer)
{
    forward_tick(timer->data);
}

void forward_start_ticking(struct forward *f)
{
    if (f->ticking) return;
    f->ticking = true;
    wheel_init(&f->wheel, forward_now(f)); /* it slept: its time is long past */
    uv_timer_start(&f->tick, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
}

void forward_tick(struct forward *f)
{
    struct wheel_entry *entry;
    uint64_t now_ms = forward_now(f);
    while ((entry = wheel_next(&f->wheel, now_ms)))
        on_timer(LIST_ENTRY(entry, struct server_connection, timer), now_ms);
    struct list waiting; /* they take each other off the list */
    list_take(&f->waiting, &waiting);
    while (!list_empty(&waiting)) {
        struct exchange *x = LIST_ENTRY(waiting.next, struct exchange, wait_node);
        list_remove(&x->wait_node);
        list_append(&f->waiting, &x->wait_node);
        exchange_waited(x, now_ms);
    }
    if (f->wheel.len > 0 || !list_empty(&f->waiting)) return;
    f->ticking = false;
    uv_timer_stop(&f->tick);
}

void server_arm(struct server_connection *conn, uint64_t deadline_ms)
{
    struct forward *f = conn->forward;
    forward_start_ticking(f);
    wheel_set(&f->wheel, &conn->timer, deadline_ms);
}
