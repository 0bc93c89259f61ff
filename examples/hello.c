/* hello.c - what libweaprous does, in one program: routes, JSON, forms, an answer that comes later, an
 * embedded asset, cookies and a WebSocket echo. `hello [IP [PORT]]`; port 0 lets the system choose. Ctrl-C
 * drains and ends. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <weaprous/weaprous.h>

static void hello(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "Hello, world\n");
}

static void json(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_json(request, 200, json_pack("{s:b, s:i, s:s}", "ok", 1, "id", 12345, "name", "bench"));
}

/* Says what was understood of the request. */
static void echo(struct wr_request *request, void *context)
{
    (void)context;
    json_t *fields = wr_request_fields(request);
    struct wr_bytes body = wr_request_body(request);
    json_t *answer = json_pack(
        "{s:s, s:s, s:s*, s:s*, s:s*, s:I, s:O*, s:s}", "method", wr_request_method(request), "path",
        wr_request_path(request), "name", wr_request_param(request, "name"), "query",
        wr_request_query(request, "q"), "header", wr_request_header(request, "X-Echo"), "body_bytes",
        (json_int_t)body.len, "fields", fields, "address", wr_request_address(request));
    wr_respond_json(request, 200, answer);
}

static void bytes(struct wr_request *request, void *context)
{
    (void)context;
    struct wr_bytes body = wr_request_body(request);
    wr_respond_bytes(request, 200, "application/octet-stream", body.ptr, body.len);
}

/* Counts visits with a cookie. */
static void visits(struct wr_request *request, void *context)
{
    (void)context;
    const char *old = wr_request_cookie(request, "visits");
    long count = old ? strtol(old, NULL, 10) + 1 : 1;
    char text[32];
    snprintf(text, sizeof text, "%ld", count);
    wr_response_cookie(
        request, &(struct wr_cookie){.name = "visits", .value = text, .max_age_s = 3600, .http_only = true});
    wr_respond_text(request, 200, text);
}

static void old_address(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_redirect(request, 302, "/");
}

/* Answers from a timer. */
struct late {
    uv_timer_t timer;
    struct wr_request *request;
};

static void late_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void late_due(uv_timer_t *timer)
{
    struct late *late = timer->data;
    wr_respond_text(late->request, 200, wr_request_gone(late->request) ? "nobody is there" : "late\n");
    uv_close((uv_handle_t *)timer, late_closed);
}

static void later(struct wr_request *request, void *context)
{
    (void)context;
    const char *text = wr_request_query(request, "ms");
    struct late *late = calloc(1, sizeof *late);
    if (!late) {
        wr_respond_error(request, 503, NULL);
        return;
    }
    late->request = request;
    late->timer.data = late;
    uv_timer_init(wr_loop(wr_request_app(request)), &late->timer);
    uv_timer_start(&late->timer, late_due, text ? strtoull(text, NULL, 10) % 60000 : 100, 0);
}

static void message(struct wr_socket *socket, enum wr_message kind, const void *data, size_t len,
                    void *context)
{
    (void)context;
    if (wr_socket_send(socket, kind, data, len) < 0)
        wr_socket_close(socket, WR_CLOSE_POLICY, "you do not read");
}

/* Echoes, but reads no more while its own answers wait: back-pressure from one end to the other. */
static void careful_message(struct wr_socket *socket, enum wr_message kind, const void *data, size_t len,
                            void *context)
{
    (void)context;
    int64_t queued = wr_socket_send(socket, kind, data, len);
    if (queued < 0)
        wr_socket_close(socket, WR_CLOSE_POLICY, "you do not read");
    else if (queued >= 64 * 1024)
        wr_socket_pause(socket);
}

static void careful_drain(struct wr_socket *socket, void *context)
{
    (void)context;
    wr_socket_resume(socket);
}

static const unsigned char page[] =
    "<!doctype html><title>libweaprous</title><h1>libweaprous</h1><p>An asset that is compiled in.</p>\n";
static unsigned char kilobyte[1024];
static const struct wr_asset assets[] = {
    {.path = "/page.html",
     .mime = "text/html; charset=utf-8",
     .identity = page,
     .identity_len = sizeof page - 1,
     .etag = "page-1"},
    {.path = "/kilobyte.bin",
     .mime = "application/octet-stream",
     .identity = kilobyte,
     .identity_len = sizeof kilobyte,
     .etag = "k-1",
     .immutable = true},
};

static int add_routes(struct wr_app *app)
{
    static const struct wr_socket_handlers plain = {.message = message};
    static const struct wr_socket_handlers careful = {
        .message = careful_message, .drain = careful_drain, .message_bytes_max = 256 * 1024};
    int rc = wr_route(app, "GET", "/", hello, NULL);
    if (rc == 0) rc = wr_route(app, "GET", "/json", json, NULL);
    if (rc == 0) rc = wr_route(app, "GET POST PUT", "/echo/:name", echo, NULL);
    if (rc == 0) rc = wr_route(app, "POST", "/bytes", bytes, NULL);
    if (rc == 0) rc = wr_route(app, "GET", "/visits", visits, NULL);
    if (rc == 0) rc = wr_route(app, "GET", "/old", old_address, NULL);
    if (rc == 0) rc = wr_route(app, "GET", "/later", later, NULL);
    if (rc == 0) rc = wr_websocket(app, "/socket", &plain, NULL);
    if (rc == 0) rc = wr_websocket(app, "/careful", &careful, NULL);
    if (rc == 0) rc = wr_assets(app, assets, sizeof assets / sizeof assets[0]);
    return rc;
}

static struct wr_app *running;

static void on_signal(int number)
{
    (void)number;
    wr_stop(running);
}

int main(int argc, char **argv)
{
    const char *ip = argc > 1 ? argv[1] : "127.0.0.1";
    unsigned long port = argc > 2 ? strtoul(argv[2], NULL, 10) : 8080;
    memset(kilobyte, 'k', sizeof kilobyte);
    struct wr_app *app = wr_app_new(NULL);
    if (!app || port > 65535 || add_routes(app) != 0) {
        fputs("cannot start\n", stderr);
        return 1;
    }
    if (wr_listen(app, ip, (uint16_t)port, NULL) != 0) {
        fprintf(stderr, "%s\n", wr_app_error(app));
        wr_app_free(app);
        return 1;
    }
    running = app;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("http://%s:%u/\n", ip, wr_port(app));
    fflush(stdout);
    wr_run(app);
    wr_app_free(app);
    return 0;
}
