/* response.c - the answers. */
#include "http/response.h"

#include <stdlib.h>
#include <string.h>

#include "http/cookie.h"
#include "http/status.h"
#include "http/token.h"
#include "web/answer.h"
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

/* Whether a field of this name was added to the request. */
static bool has_field(const struct wr_request *r, slice name)
{
    slice rest = buffer_slice(&r->fields), line;
    while (slice_split(&rest, '\n', &line)) {
        if (slice_equal_nocase(slice_sub(line, 0, slice_find(line, ':')), name)) return true;
    }
    return false;
}

/* The fields that were added to the request, and those of `fields` that they leave. False without memory. */
static bool own_fields(struct wr_request *r, slice fields, slice *out)
{
    slice added = buffer_slice(&r->fields), rest = fields, line;
    *out = added.len ? added : fields;
    if (added.len == 0 || fields.len == 0) return true;
    struct writer w = writer_of(arena_take(&r->arena, added.len + fields.len), added.len + fields.len);
    if (!w.ptr) return false;
    writer_put(&w, added);
    while (rest.len > 0 && slice_split(&rest, '\n', &line)) {
        slice name = slice_sub(line, 0, slice_find(line, ':'));
        if (has_field(r, name) && !slice_equal_nocase(name, SLICE("vary"))) continue;
        writer_put(&w, line);
        writer_byte(&w, '\n');
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

static uint64_t piece_len(const struct answer_piece *piece)
{
    switch (piece->kind) {
    case ANSWER_COPY:
    case ANSWER_CONSTANT: return piece->bytes.len;
    case ANSWER_SHARED: return piece->shared->len;
    case ANSWER_FILE: return piece->len;
    }
    return 0;
}

static int put_piece(struct stream *stream, const struct answer_piece *piece)
{
    switch (piece->kind) {
    case ANSWER_COPY: return stream_put(stream, piece->bytes);
    case ANSWER_CONSTANT: return stream_put_static(stream, piece->bytes);
    case ANSWER_SHARED: return stream_put_shared(stream, piece->shared);
    case ANSWER_FILE: return stream_put_file(stream, piece->file, piece->offset, (size_t)piece->len);
    }
    return OK;
}

static int put_answer(struct wr_request *r, const struct answer *answer, bool close)
{
    slice common, own;
    if (!common_fields(r, &common) || !own_fields(r, answer->fields, &own)) return ERR_MEMORY;
    uint64_t length = 0;
    for (size_t i = 0; i < answer->count; i++)
        length += piece_len(&answer->pieces[i]);
    bool body = may_have_body(answer->status);
    struct http_response response = {
        .status = answer->status,
        .date = worker_date(r->worker),
        .content_type = answer->content_type,
        .content_length = body ? length : HTTP_NO_LENGTH,
        .close = close,
        .keep_alive = r->parser.head.minor == 0,
        .fields = common,
        .more_fields = own,
    };
    r->status = (uint16_t)answer->status;
    r->answer_bytes = body && !r->head_only ? length : 0;
    int rc = put_head(r, &response);
    for (size_t i = 0; i < answer->count && rc == OK && body && !r->head_only; i++)
        rc = put_piece(&r->conn->stream, &answer->pieces[i]);
    return rc;
}

static void send_answer(struct wr_request *r, const struct answer *answer)
{
    bool client_closes = !r->parser.head.keep_alive, close = client_closes || wr_stopping(r->app);
    if (put_answer(r, answer, close) < 0)
        connection_cut(r->conn);
    else
        connection_answered(r->conn, close, client_closes);
}

void respond_answer(struct wr_request *r, const struct answer *answer)
{
    static const struct answer_piece text = {
        .kind = ANSWER_CONSTANT,
        .bytes = SLICE("{\"status\":\"error\",\"message\":\"Internal Server Error\"}")};
    static const struct answer broken = {
        .status = 500, .content_type = SLICE("application/json"), .pieces = &text, .count = 1};
    r->replaced |= answer->replaces;
    if (r->fields.failed || r->bad_fields || answer->status < 200 || answer->status > 599) {
        app_log(r->app, WR_LOG_ERROR, "the answer to %s has a field or status that is not valid",
                r->path ? r->path : "a request");
        r->fields.len = 0;
        r->fields.failed = r->bad_fields = false;
        r->replaced = 0;
        answer = &broken;
    }
    if (r->conn) send_answer(r, answer);
    request_release(r);
}

void respond_raw(struct wr_request *r, int status, slice content_type, slice body, bool constant)
{
    struct answer_piece piece = {.kind = constant ? ANSWER_CONSTANT : ANSWER_COPY, .bytes = body};
    respond_answer(
        r, &(struct answer){.status = status, .content_type = content_type, .pieces = &piece, .count = 1});
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

/* One more method of a list; left out when there is no room. */
static void allow(struct writer *w, slice method)
{
    size_t before = w->len;
    if (before > 0) writer_put(w, SLICE(", "));
    writer_put(w, method);
    if (w->failed) w->len = before;
}

void respond_wrong_method(struct wr_request *r, const struct route *routes, bool asset)
{
    char text[512];
    struct writer w = writer_of(text, sizeof text - 1);
    bool get = asset, options = false;
    if (asset) allow(&w, SLICE("GET, HEAD"));
    for (; routes; routes = routes->next) {
        slice method = slice_text(routes->method);
        bool is_get = slice_equal(method, SLICE("GET"));
        if (is_get && get) continue;
        allow(&w, is_get ? SLICE("GET, HEAD") : method);
        options |= slice_equal(method, SLICE("OPTIONS"));
    }
    if (!options) allow(&w, SLICE("OPTIONS"));
    text[w.len] = 0;
    wr_response_header(r, "Allow", text);
    if (slice_equal(request_method(r), SLICE("OPTIONS")))
        wr_respond_empty(r, 204);
    else
        wr_respond_error(r, 405, "this address does not take this method; Allow names those that it takes");
}
