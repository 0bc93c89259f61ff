/* response.c - the answers. */
#include "http/response.h"

#include <stdlib.h>
#include <string.h>

#include "http/cookie.h"
#include "http/status.h"
#include "http/token.h"
#include "web/answer.h"
#include "web/body.h"
#include "web/connection.h"

/* --- fields --- */

bool answer_owns_field(slice name)
{
    return slice_equal_nocase(name, SLICE("content-length")) ||
           slice_equal_nocase(name, SLICE("connection")) || slice_equal_nocase(name, SLICE("date")) ||
           slice_equal_nocase(name, SLICE("transfer-encoding"));
}

void wr_response_header(struct wr_request *r, const char *name, const char *value)
{
    slice n = slice_text(name), v = slice_text(value);
    if (!token_valid(n) || !field_value_valid(v) || answer_owns_field(n)) {
        r->bad_fields = true;
        return;
    }
    if (slice_equal_nocase(n, SLICE("content-type"))) {
        r->content_type = arena_text(&r->arena, v);
        if (!r->content_type) r->bad_fields = true;
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

bool answer_has_body(const struct wr_request *r)
{
    return r->flow.framing != FRAMING_NONE;
}

static enum framing framing_of(const struct wr_request *r, int status, uint64_t length)
{
    if (r->head_only || !may_have_body(status)) return FRAMING_NONE;
    if (length != HTTP_NO_LENGTH) return FRAMING_LENGTH;
    return r->parser.head.minor == 0 ? FRAMING_CLOSE : FRAMING_CHUNKED;
}

bool answer_check(struct wr_request *r, int status)
{
    if (r->conn && r->group && r->group->after.len > 0) group_after(r, status);
    if (!r->fields.failed && !r->bad_fields && !r->flow.begun && status >= 200 && status <= 599) return true;
    app_log(r->app, WR_LOG_ERROR,
            r->flow.begun ? "%s was answered twice"
                          : "the answer to %s has a field or status that is not valid",
            r->path ? r->path : "a request");
    return false;
}

/* Writes it straight into the queue of the connection. */
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

/* There is one; that of the parts of a file is their frame, and not to be replaced. */
static slice type_of(const struct wr_request *r, const struct answer *answer)
{
    bool framed = slice_starts(answer->content_type, SLICE("multipart/byteranges"));
    return r->content_type && !framed ? slice_text(r->content_type) : answer->content_type;
}

int answer_head(struct wr_request *r, const struct answer *answer, uint64_t length)
{
    const struct http_head *head = &r->parser.head;
    enum framing framing = framing_of(r, answer->status, length);
    slice common, own;
    r->replaced |= answer->replaces;
    if (r->secure && r->app->strict_transport) buffer_text(&r->fields, r->app->strict_transport);
    if (!common_fields(r, &common) || !own_fields(r, answer->fields, &own)) return ERR_MEMORY;
    r->status = (uint16_t)answer->status;
    r->flow.framing = (uint8_t)framing;
    r->flow.close = !head->keep_alive || framing == FRAMING_CLOSE || r->over_limit || wr_stopping(r->app) ||
                    (!r->body_done && !r->flow.begun && body_is_long(r));
    struct http_response response = {
        .status = answer->status,
        .date = worker_date(r->worker),
        .content_type = type_of(r, answer),
        .content_length = may_have_body(answer->status) ? length : HTTP_NO_LENGTH,
        .chunked = framing == FRAMING_CHUNKED,
        .close = r->flow.close,
        .keep_alive = head->minor == 0,
        .fields = common,
        .more_fields = own,
    };
    return put_head(r, &response);
}

void answer_detach(struct wr_request *r)
{
    r->conn->request = NULL;
    r->conn = NULL;
}

void answer_done(struct wr_request *r, int rc)
{
    struct connection *conn = r->conn;
    if (!conn) {
        if (!r->failing) request_release(r);
    } else if (rc < 0) {
        answer_detach(r);
        request_release(r);
        connection_cut(conn);
    } else {
        connection_answered(conn);
    }
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

static int put_answer(struct wr_request *r, const struct answer *answer)
{
    uint64_t length = 0;
    for (size_t i = 0; i < answer->count; i++)
        length += piece_len(&answer->pieces[i]);
    int rc = answer_head(r, answer, length);
    if (!answer_has_body(r)) return rc;
    r->answer_bytes = length;
    for (size_t i = 0; i < answer->count && rc == OK; i++)
        rc = put_piece(&r->conn->stream, &answer->pieces[i]);
    return rc;
}

int answer_broken(struct wr_request *r)
{
    static const struct answer_piece text = {
        .kind = ANSWER_CONSTANT,
        .bytes = SLICE("{\"status\":\"error\",\"message\":\"Internal Server Error\"}")};
    static const struct answer broken = {
        .status = 500, .content_type = SLICE("application/json"), .pieces = &text, .count = 1};
    if (r->flow.begun) return ERR_WRONG_STATE; /* too late for a 500: the client sees that it is cut */
    r->fields.len = 0;
    r->fields.failed = r->bad_fields = false;
    r->replaced = 0;
    r->content_type = NULL;
    return r->conn ? put_answer(r, &broken) : OK;
}

void respond_answer(struct wr_request *r, const struct answer *answer)
{
    int rc = OK;
    if (!answer_check(r, answer->status))
        rc = answer_broken(r);
    else if (r->conn)
        rc = put_answer(r, answer);
    answer_done(r, rc);
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

void respond_missing(struct wr_request *r)
{
    if (r->app->missing && !r->missing) { /* once: it may ask for a file that is not there either */
        r->missing = true;
        r->app->missing(r, r->app->missing_context);
        return;
    }
    respond_raw(r, 404, SLICE("application/json"),
                SLICE("{\"status\":\"error\",\"message\":\"there is nothing at this address\"}"), true);
}

void wr_respond_redirect(struct wr_request *r, int status, const char *location)
{
    bool redirects = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    if (!redirects) r->bad_fields = true;
    wr_response_header(r, "Location", location);
    respond_raw(r, status, SLICE_EMPTY, SLICE_EMPTY, true);
}

/* The methods of a path, as Allow lists them. NULL without memory. */
static const char *allowed(struct wr_request *r, const struct route *routes, bool file)
{
    size_t size = sizeof "GET, HEAD, OPTIONS";
    for (const struct route *i = routes; i; i = i->next)
        size += strlen(i->method) + sizeof ", ";
    char *text = arena_take(&r->arena, size);
    if (!text) return NULL;
    struct writer w = writer_of(text, size - 1);
    bool get = file, options = false;
    for (const struct route *i = routes; i; i = i->next) {
        get |= strcmp(i->method, "GET") == 0;
        options |= strcmp(i->method, "OPTIONS") == 0;
    }
    if (get) writer_put(&w, SLICE("GET, HEAD, "));
    for (const struct route *i = routes; i; i = i->next) {
        if (strcmp(i->method, "GET") == 0 || (get && strcmp(i->method, "HEAD") == 0)) continue;
        writer_put(&w, slice_text(i->method));
        writer_put(&w, SLICE(", "));
    }
    if (options)
        w.len -= 2;
    else
        writer_put(&w, SLICE("OPTIONS"));
    text[w.len] = 0;
    return text;
}

void respond_other_method(struct wr_request *r, const struct route *routes, bool file)
{
    const char *allow = allowed(r, routes, file);
    if (allow)
        wr_response_header(r, "Allow", allow);
    else
        r->bad_fields = true;
    if (slice_equal(request_method(r), SLICE("OPTIONS")))
        wr_respond_empty(r, 204);
    else
        wr_respond_error(r, 405, "this address does not take this method; Allow names those that it takes");
}
