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

/* True when the answer has a field of this name of its own. */
static bool has_field(const struct wr_request *r, slice name)
{
    slice rest = buffer_slice(&r->fields), line;
    while (slice_split(&rest, '\n', &line)) {
        if (slice_equal_nocase(slice_sub(line, 0, slice_find(line, ':')), name)) return true;
    }
    return false;
}

/* The fields for all answers, less those that this answer replaces. */
static void put_common_fields(const struct wr_request *r, struct buffer *out)
{
    const struct wr_app *app = r->app;
    for (size_t i = 0; i < app->header_count; i++) {
        if (!has_field(r, slice_text(app->header_names[i]))) buffer_text(out, app->header_lines[i]);
    }
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
    struct buffer common;
    buffer_init(&common, &allocator_libc, APP_HEADER_BYTES_MAX);
    if (r->fields.len > 0) put_common_fields(r, &common);
    struct http_response response = {
        .status = status,
        .date = app_date(r->app),
        .content_type = content_type,
        .content_length = may_have_body(status) ? body.len : HTTP_NO_LENGTH,
        .close = close,
        .keep_alive = head->minor == 0,
        .fields = r->fields.len > 0 ? buffer_slice(&common) : buffer_slice(&r->app->headers),
        .more_fields = buffer_slice(&r->fields),
    };
    int rc = common.failed ? ERR_MEMORY : put_head(r, &response);
    if (rc == OK && may_have_body(status) && !r->head_only) rc = put_body(r, body, constant);
    buffer_reset(&common);
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
    wr_respond_error(r, 405, NULL);
}
