/* app.c - life of the server: configuration, listeners, running, stopping. */
#include "web/app.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "http/status.h"
#include "web/connection.h"

enum { BACKLOG = 1024, DEFER_S = 10, DESCRIPTORS_KEPT = 64 };

struct app_listener {
    struct listener listener;
    struct list node;
};

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
    };
}

void app_log(struct wr_app *app, enum wr_log_level level, const char *format, ...)
{
    if (!app->config.log) return;
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    app->config.log(app->config.log_context, level, text);
}

const char *app_date(struct wr_app *app)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != app->date_second) {
        app->date_second = now.tv_sec;
        http_date_write(now.tv_sec, app->date);
    }
    return app->date;
}

const char *app_address_text(struct wr_app *app, const uint8_t address[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (memcmp(address, mapped, sizeof mapped) == 0)
        uv_inet_ntop(AF_INET, address + 12, app->address, sizeof app->address);
    else
        uv_inet_ntop(AF_INET6, address, app->address, sizeof app->address);
    return app->address;
}

/* --- stopping --- */

static void finish_if_drained(struct wr_app *app)
{
    if (!app->stopping || app->connection_count > 0 || !list_empty(&app->listeners)) return;
    app->drained = true;
    uv_timer_stop(&app->drain_timer);
    uv_stop(&app->loop.uv);
}

static void cut_all(struct wr_app *app)
{
    while (!list_empty(&app->connections)) {
        struct connection *conn = LIST_ENTRY(app->connections.next, struct connection, node);
        /* Off the list first: it leaves for good only when its handle is closed. */
        list_remove(&conn->node);
        connection_cut(conn);
    }
}

static void on_drain_over(uv_timer_t *timer)
{
    cut_all(timer->data);
}

static void close_listeners(struct wr_app *app)
{
    for (struct list *n = app->listeners.next; n != &app->listeners; n = n->next)
        listener_close(&LIST_ENTRY(n, struct app_listener, node)->listener);
}

static void drain(struct wr_app *app)
{
    close_listeners(app);
    for (struct list *n = app->connections.next, *next; n != &app->connections; n = next) {
        next = n->next;
        connection_drain(LIST_ENTRY(n, struct connection, node));
    }
    uv_timer_start(&app->drain_timer, on_drain_over, app->config.drain_timeout_ms, 0);
    finish_if_drained(app);
}

static void on_stop(uv_async_t *async)
{
    struct wr_app *app = async->data;
    if (app->drained || !app->running || uv_is_active((uv_handle_t *)&app->drain_timer)) return;
    drain(app);
}

void wr_stop(struct wr_app *app)
{
    __atomic_store_n(&app->stopping, true, __ATOMIC_RELAXED);
    uv_async_send(&app->stop_signal);
}

bool wr_stopping(const struct wr_app *app)
{
    return __atomic_load_n(&app->stopping, __ATOMIC_RELAXED);
}

int wr_run(struct wr_app *app)
{
    if (app->running) return WR_INVALID;
    app->running = true;
    app->drained = false;
    if (wr_stopping(app)) drain(app);
    while (!app->drained)
        uv_run(&app->loop.uv, UV_RUN_DEFAULT);
    app->running = false;
    return WR_OK;
}

/* --- listening --- */

static bool has_room(const struct wr_app *app)
{
    return app->connection_count < app->config.connections_max;
}

static bool on_ready(struct listener *listener)
{
    struct wr_app *app = listener->owner;
    return has_room(app) && connection_accept(app, listener);
}

static void on_trouble(struct listener *listener, int uv_error)
{
    app_log(listener->owner, WR_LOG_WARNING, "a connection could not be accepted: %s", uv_strerror(uv_error));
}

static void on_listener_closed(struct listener *listener)
{
    struct wr_app *app = listener->owner;
    struct app_listener *l = LIST_ENTRY(listener, struct app_listener, listener);
    list_remove(&l->node);
    free(l);
    finish_if_drained(app);
}

void app_connection_closed(struct wr_app *app)
{
    for (struct list *n = app->listeners.next; n != &app->listeners && has_room(app) && !wr_stopping(app);
         n = n->next)
        listener_resume(&LIST_ENTRY(n, struct app_listener, node)->listener);
    finish_if_drained(app);
}

static const char *listen_trouble(int uv_error)
{
    switch (uv_error) {
    case UV_EADDRINUSE: return "another program uses this port";
    case UV_EACCES: return "permission denied (ports below 1024 need more rights)";
    case UV_EADDRNOTAVAIL: return "this machine does not have this address";
    case UV_EINVAL: return "this is not an IP address";
    default: return uv_strerror(uv_error);
    }
}

static int listen_failed(struct wr_app *app, const char *ip, uint16_t port, int uv_error)
{
    snprintf(app->error, sizeof app->error, "cannot listen on %s port %u: %s", ip, port,
             listen_trouble(uv_error));
    return uv_error == UV_EINVAL ? WR_INVALID : uv_error == UV_ENOMEM ? WR_MEMORY : WR_SYSTEM;
}

int wr_listen(struct wr_app *app, const char *ip, uint16_t port, const struct wr_tls *tls)
{
    if (tls) {
        snprintf(app->error, sizeof app->error, "this version of the library does not speak TLS");
        return WR_INVALID;
    }
    struct app_listener *l = calloc(1, sizeof *l);
    if (!l) return listen_failed(app, ip, port, UV_ENOMEM);
    l->listener = (struct listener){
        .ready = on_ready, .owner = app, .trouble = on_trouble, .closed = on_listener_closed};
    struct listener_options options = {
        .ip = ip, .port = port, .backlog = BACKLOG, .defer_s = app->config.defer_accept ? DEFER_S : 0};
    bool made;
    int rc = listener_open(&l->listener, &app->loop, &options, &made);
    if (rc < 0 && !made) {
        free(l);
    } else {
        list_append(&app->listeners, &l->node);
    }
    return rc < 0 ? listen_failed(app, ip, port, rc) : WR_OK;
}

uint16_t wr_port(const struct wr_app *app)
{
    for (const struct list *n = app->listeners.next; n != &app->listeners; n = n->next) {
        uint16_t port = LIST_ENTRY(n, struct app_listener, node)->listener.port;
        if (port) return port;
    }
    return 0;
}

/* --- life --- */

static unsigned descriptors_allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024 - DESCRIPTORS_KEPT;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 4 * 1024 * 1024) return 4 * 1024 * 1024;
    return limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (unsigned)limit.rlim_cur - DESCRIPTORS_KEPT
                                                 : DESCRIPTORS_KEPT;
}

/* A client that has gone is an error code here, not a signal. A choice of the program stands. */
static void ignore_sigpipe(void)
{
    struct sigaction old;
    if (sigaction(SIGPIPE, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

static int init(struct wr_app *app)
{
    uint8_t secret[16];
    const struct wr_config *c = &app->config;
    if (c->connections_max == 0) app->config.connections_max = descriptors_allowed();
    app->limits = (struct http_limits){c->target_bytes_max, c->header_bytes_max, c->header_count_max,
                                       c->body_bytes_max};
    app->date_second = -1;
    ignore_sigpipe();
    list_init(&app->connections);
    list_init(&app->listeners);
    list_init(&app->requests);
    buffer_init(&app->headers, &allocator_libc, APP_HEADER_BYTES_MAX);
    int rc = uv_random(NULL, NULL, secret, sizeof secret, 0, NULL);
    if (rc == 0) rc = net_loop_init(&app->loop, connection_expired);
    if (rc < 0) return rc;
    map_init(&app->addresses, &allocator_libc, c->connections_max, secret);
    uv_timer_init(&app->loop.uv, &app->drain_timer);
    app->drain_timer.data = app->stop_signal.data = app;
    rc = uv_async_init(&app->loop.uv, &app->stop_signal, on_stop);
    if (rc < 0) {
        uv_close((uv_handle_t *)&app->drain_timer, NULL);
        net_loop_deinit(&app->loop);
    }
    return rc;
}

struct wr_app *wr_app_new(const struct wr_config *config)
{
    struct wr_app *app = calloc(1, sizeof *app);
    if (!app) return NULL;
    if (config)
        app->config = *config;
    else
        wr_config_init(&app->config);
    if (init(app) == 0) return app;
    free(app);
    return NULL;
}

static void release_requests(struct wr_app *app)
{
    while (!list_empty(&app->requests))
        request_release(LIST_ENTRY(app->requests.next, struct wr_request, node));
    request_free_pool(app);
}

void wr_app_free(struct wr_app *app)
{
    if (!app) return;
    assert(!app->running);
    cut_all(app);
    close_listeners(app);
    uv_close((uv_handle_t *)&app->drain_timer, NULL);
    uv_close((uv_handle_t *)&app->stop_signal, NULL);
    net_loop_deinit(&app->loop);
    release_requests(app);
    router_deinit(&app->router, free);
    free(app->assets.by_path);
    for (size_t i = 0; i < app->header_count; i++) {
        free(app->header_names[i]);
        free(app->header_lines[i]);
    }
    buffer_reset(&app->headers);
    map_deinit(&app->addresses);
    free(app);
}

struct uv_loop_s *wr_loop(struct wr_app *app)
{
    return &app->loop.uv;
}

const char *wr_app_error(const struct wr_app *app)
{
    return app->error;
}

unsigned wr_connections(const struct wr_app *app)
{
    return app->connection_count;
}

const char *wr_status_text(int status)
{
    return http_status_text(status);
}

const char *wr_version(void)
{
    return WEB_VERSION;
}
