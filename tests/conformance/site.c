#include "site.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/buffer.h"

enum { ECHO_BYTES_MAX = 64 * 1024 };

static void respond_buffer(struct wr_request *request, struct buffer *text)
{
    wr_respond_bytes(request, 200, "text/plain; charset=utf-8", text->ptr, text->len);
    buffer_reset(text);
}

static void part(struct buffer *out, const char *name, const char *value)
{
    if (!value) return;
    buffer_byte(out, ' ');
    buffer_text(out, name);
    buffer_byte(out, '=');
    buffer_text(out, value);
}

/* "METHOD path", then what else there is: rest=, q=, c= (a cookie), x= (the field X), body=. */
static void echo(struct wr_request *request, void *context)
{
    (void)context;
    struct buffer out;
    struct wr_bytes body = wr_request_body(request);
    buffer_init(&out, &allocator_libc, ECHO_BYTES_MAX);
    buffer_text(&out, wr_request_method(request));
    buffer_byte(&out, ' ');
    buffer_text(&out, wr_request_path(request));
    part(&out, "rest", wr_request_param(request, "rest"));
    part(&out, "q", wr_request_query(request, "q"));
    part(&out, "c", wr_request_cookie(request, "c"));
    part(&out, "x", wr_request_header(request, "X"));
    if (body.len > 0) {
        buffer_text(&out, " body=");
        buffer_put(&out, slice_of(body.ptr, body.len));
    }
    respond_buffer(request, &out);
}

static void json_text(struct wr_request *request, const json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    wr_respond_text(request, 200, text ? text : "none");
    free(text);
}

static void json(struct wr_request *request, void *context)
{
    (void)context;
    json_text(request, wr_request_json(request));
}

static void form(struct wr_request *request, void *context)
{
    (void)context;
    json_text(request, wr_request_fields(request));
}

static void hello(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "hello");
}

static void status(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_empty(request, atoi(wr_request_param(request, "code")));
}

/* Adds the field that the query names, as sent: what a careless handler might do. */
static void header(struct wr_request *request, void *context)
{
    (void)context;
    const char *value = wr_request_query(request, "v");
    wr_response_header(request, "X-Echo", value ? value : "");
    wr_respond_text(request, 200, "with a field");
}

/* --- bodies in pieces, filters, answers in pieces --- */

static void early(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "early");
}

static void no_piece(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)request;
    (void)bytes;
    (void)len;
    (void)context;
}

static void counted(struct wr_request *request, void *context)
{
    (void)context;
    char text[32];
    snprintf(text, sizeof text, "%llu bytes", (unsigned long long)wr_request_received(request));
    wr_respond_text(request, 200, text);
}

static bool closed_to_all(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 401, "who are you?");
    return false;
}

static void in_pieces(struct wr_request *request, void *context)
{
    (void)context;
    (void)wr_respond_begin(request, 200, "text/plain", -1);
    (void)wr_respond_write(request, "one ", 4);
    (void)wr_respond_write(request, "two", 3);
    wr_respond_end(request);
}

static const struct wr_body_handlers counting = {.data = no_piece, .end = counted};
static const struct wr_body_handlers answering_early = {.begin = early, .data = no_piece, .end = counted};

static int add_streams(struct wr_app *app)
{
    struct wr_group *guarded = wr_group(app, NULL, "/guarded");
    if (!guarded) return WR_MEMORY;
    int rc = wr_before(guarded, closed_to_all, NULL);
    if (rc == 0) rc = wr_group_route(guarded, "POST", "/", echo, NULL);
    if (rc == 0) rc = wr_route_body(wr_root(app), "POST", "/count", &counting, NULL);
    if (rc == 0) rc = wr_route_body(wr_root(app), "POST", "/early", &answering_early, NULL);
    if (rc == 0) rc = wr_route(app, "GET", "/pieces", in_pieces, NULL);
    return rc;
}

/* --- an answer that comes in a later turn of the loop --- */

static void late_closed(uv_handle_t *handle)
{
    free(handle);
}

static void late_due(uv_timer_t *timer)
{
    wr_respond_text(timer->data, 200, "later");
    uv_close((uv_handle_t *)timer, late_closed);
}

static void later(struct wr_request *request, void *context)
{
    (void)context;
    uv_timer_t *timer = malloc(sizeof *timer);
    if (!timer) {
        wr_respond_empty(request, 503);
        return;
    }
    timer->data = request;
    uv_timer_init(wr_loop(wr_request_app(request)), timer);
    uv_timer_start(timer, late_due, 0, 0);
}

/* --- WebSockets --- */

static void message(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                    void *context)
{
    (void)context;
    if (len > 6 && memcmp(bytes, "close ", 6) == 0) {
        char code[16] = {0};
        memcpy(code, (const char *)bytes + 6, len - 6 < 15 ? len - 6 : 15);
        wr_socket_close(socket, atoi(code), "asked for");
    } else if (wr_socket_send(socket, kind, bytes, len) < 0) {
        wr_socket_close(socket, WR_CLOSE_POLICY, "you do not read");
    }
}

static void accept_all(struct wr_request *request, void *context)
{
    (void)context;
    (void)!wr_socket_accept(request, NULL);
}

static const struct wr_socket_handlers any_origin = {
    .upgrade = accept_all, .message = message, .message_bytes_max = SMALL_MESSAGE_BYTES};
static const struct wr_socket_handlers same_origin = {.message = message};
static const struct wr_socket_handlers large = {.upgrade = accept_all,
                                                .message = message,
                                                .message_bytes_max = 16 * 1024 * 1024,
                                                .queue_bytes_max = 64 * 1024 * 1024};

static const unsigned char page[] = "<!doctype html><title>a page</title>\n";
static const struct wr_asset assets[] = {{.path = "/page.html",
                                          .mime = "text/html; charset=utf-8",
                                          .identity = page,
                                          .identity_len = sizeof page - 1,
                                          .etag = "page-1"}};

static int add_routes(struct wr_app *app)
{
    int rc = wr_route(app, "GET", "/", hello, NULL);
    if (rc == 0) rc = wr_route(app, "GET POST PUT DELETE PATCH", "/echo", echo, NULL);
    if (rc == 0) rc = wr_route(app, "GET POST PUT DELETE PATCH", "/echo/*rest", echo, NULL);
    if (rc == 0) rc = wr_route(app, "OPTIONS", "/options", echo, NULL);
    if (rc == 0) rc = wr_route(app, "POST", "/post", echo, NULL);
    if (rc == 0) rc = wr_route(app, "REPORT", "/report", echo, NULL);
    if (rc == 0) rc = wr_route(app, "GET", "/a b/:name/end", echo, NULL);
    if (rc == 0) rc = wr_route(app, "POST", "/json", json, NULL);
    if (rc == 0) rc = wr_route(app, "POST", "/form", form, NULL);
    if (rc == 0) rc = wr_route(app, "GET", "/status/:code", status, NULL);
    if (rc == 0) rc = wr_route(app, "GET", "/header", header, NULL);
    if (rc == 0) rc = wr_route(app, "GET POST", "/later", later, NULL);
    if (rc == 0) rc = wr_websocket(app, "/ws", &any_origin, NULL);
    if (rc == 0) rc = wr_websocket(app, "/same", &same_origin, NULL);
    if (rc == 0) rc = wr_websocket(app, "/large", &large, NULL);
    if (rc == 0) rc = wr_assets(app, assets, sizeof assets / sizeof assets[0]);
    return rc;
}

static void on_log(void *context, enum wr_log_level level, const char *text)
{
    (void)context;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

struct wr_app *site_new(const char *profile)
{
    struct wr_config config;
    wr_config_init(&config);
    config.defer_accept = false;
    config.connections_per_address_max = 0;
    config.log = on_log;
    if (strcmp(profile, "small") == 0) {
        config.target_bytes_max = SMALL_TARGET_BYTES;
        config.header_bytes_max = SMALL_HEADER_BYTES;
        config.header_count_max = SMALL_HEADERS;
        config.body_bytes_max = SMALL_BODY_BYTES;
    } else if (strcmp(profile, "greedy") == 0) {
        config.connections_max = 100000;
    } else if (strcmp(profile, "default") != 0) {
        return NULL;
    }
    struct wr_app *app = wr_app_new(&config);
    if (app && (add_routes(app) != 0 || add_streams(app) != 0)) {
        wr_app_free(app);
        return NULL;
    }
    return app;
}
