/* response.c - the answers. */
#include "http/response.h"

#include <stdlib.h>
#include <string.h>

#include "http/cookie.h"
#include "http/status.h"
#include "http/token.h"
#include "web/connection.h"

/* --- fields --- */

static bool is_own_field(slice name)
{
    return slice_equal_nocase(name, SLICE("content-length")) ||
           slice_equal_nocase(name, SLICE("connection")) || slice_equal_nocase(name, SLICE("date")) ||
           slice_equal_nocase(name, SLICE("transfer-encoding"));
}

void wr_response_header(struct wr_request *r, const char *name, const char *value)
{
    slice n = slice_text(name), v = slice_text(value);
    if (!token_valid(n) || !field_value_valid(v) || is_own_field(n)) {
        r->bad_fields = true;
        return;
    }
    /* A field for all answers of the same name gives way. */
    size_t common = app_header_index(r->app, n);
    if (common < r->app->header_count) r->replaced |= 1u << common;
    buffer_put(&r->fields, n);
    buffer_text(&r->fields, ": ");
    buffer_put(&r->fields, v);
    buffer_text(&r->fields, "\r\n");
}

void wr_response_cookie(struct wr_request *r, const struct wr_cookie *c)
{
    static const enum same_site same_site[] = {SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE};
    struct cookie cookie = {.name = slice_text(c->name),
                            .value = slice_text(c->value),
                            .path = c->path ? slice_text(c->path) : SLICE("/"),
                            .max_age_s = c->max_age_s,
                            .http_only = c->http_only,
                            .secure = c->secure,
                            .same_site = same_site[c->same_site]};
    if (cookie_write(&r->fields, &cookie) < 0) r->bad_fields = true;
}

/* The fields for all answers, less those that this answer replaces. False without memory. */
static bool common_fields(struct wr_request *r, slice *out)
{
    const struct wr_app *app = r->app;
    *out = buffer_slice(&app->headers);
    if (r->replaced == 0) return true;
    struct writer w = writer_of(arena_take(&r->arena, app->headers.len), app->headers.len);
    if (!w.ptr) return false;
    for (size_t i = 0; i < app->header_count; i++) {
        if (!(r->replaced & 1u << i)) writer_put(&w, slice_text(app->header_lines[i]));
    }
    *out = writer_slice(&w);
    return !w.failed;
}

/* --- sending --- */

static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

/* Writes the head straight into the queue of the connection. */
static int put_head(struct wr_request *r, const struct http_response *response)
{
    struct stream *stream = &r->conn->stream;
    size_t size = HTTP_RESPONSE_FIXED_BYTES + response->content_type.len + response->fields.len +
                  response->more_fields.len;
    uint8_t *room = stream_room(stream, size);
    if (!room) return ERR_MEMORY;
    struct writer w = writer_of(room, size);
    http_response_write(&w, response);
    stream_trim(stream, size - w.len);
    return w.failed ? ERR_MEMORY : OK;
}

static int put_body(struct wr_request *r, slice body, bool constant)
{
    struct stream *stream = &r->conn->stream;
    return constant ? stream_put_static(stream, body) : stream_put(stream, body);
}

static void send_answer(struct wr_request *r, int status, slice content_type, slice body, bool constant)
{
    struct connection *conn = r->conn;
    const struct http_head *head = &r->parser.head;
    bool close = !head->keep_alive || wr_stopping(r->app);
    slice common;
    if (!common_fields(r, &common)) {
        connection_cut(conn);
        return;
    }
    struct http_response response = {
        .status = status,
        .date = worker_date(r->worker),
        .content_type = content_type,
        .content_length = may_have_body(status) ? body.len : HTTP_NO_LENGTH,
        .close = close,
        .keep_alive = head->minor == 0,
        .fields = common,
        .more_fields = buffer_slice(&r->fields),
    };
    int rc = put_head(r, &response);
    if (rc == OK && may_have_body(status) && !r->head_only) rc = put_body(r, body, constant);
    if (rc < 0)
        connection_cut(conn);
    else
        connection_answered(conn, close, !head->keep_alive);
}

void respond_raw(struct wr_request *r, int status, slice content_type, slice body, bool constant)
{
    if (r->fields.failed || r->bad_fields || status < 200 || status > 599) {
        app_log(r->app, WR_LOG_ERROR, "the answer to %s has a field or status that is not valid",
                r->path ? r->path : "a request");
        r->fields.len = 0;
        r->fields.failed = r->bad_fields = false;
        r->replaced = 0;
        status = 500;
        content_type = SLICE("application/json");
        body = SLICE("{\"status\":\"error\",\"message\":\"Internal Server Error\"}");
        constant = true;
    }
    if (r->conn) send_answer(r, status, content_type, body, constant);
    request_release(r);
}

/* --- the kinds --- */

void wr_respond_empty(struct wr_request *r, int status)
{
    respond_raw(r, status, SLICE_EMPTY, SLICE_EMPTY, true);
}

void wr_respond_text(struct wr_request *r, int status, const char *text)
{
    respond_raw(r, status, SLICE("text/plain; charset=utf-8"), slice_text(text), false);
}

void wr_respond_bytes(struct wr_request *r, int status, const char *content_type, const void *bytes,
                      size_t len)
{
    slice type = slice_text(content_type);
    if (!field_value_valid(type)) r->bad_fields = true;
    respond_raw(r, status, type, slice_of(bytes, len), false);
}

void wr_respond_json(struct wr_request *r, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(json);
    if (!text) r->bad_fields = true;
    respond_raw(r, status, SLICE("application/json"), slice_text(text), false);
    free(text);
}

void wr_respond_error(struct wr_request *r, int status, const char *message)
{
    json_t *json =
        json_pack("{s:s, s:s}", "status", "error", "message", message ? message : http_status_text(status));
    wr_respond_json(r, status, json);
}

void wr_respond_redirect(struct wr_request *r, int status, const char *location)
{
    bool redirects = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (!redirects) r->bad_fields = true;
    wr_response_header(r, "Location", location);
    respond_raw(r, status, SLICE_EMPTY, SLICE_EMPTY, true);
}

void respond_wrong_method(struct wr_request *r, const struct route *routes, bool asset)
{
    char allow[256];
    struct writer w = writer_of(allow, sizeof allow - 1);
    bool get = asset;
    if (asset) writer_put(&w, SLICE("GET, HEAD"));
    for (; routes; routes = routes->next) {
        slice method = slice_text(routes->method);
        bool is_get = slice_equal(method, SLICE("GET"));
        if (is_get && get) continue;
        if (w.len > 0) writer_put(&w, SLICE(", "));
        writer_put(&w, method);
        if (is_get) writer_put(&w, SLICE(", HEAD"));
    }
    allow[w.len] = 0;
    wr_response_header(r, "Allow", allow);
    wr_respond_error(r, 405, "this address does not take this method; Allow names those that it takes");
}
