/* request.c - a request as its handler sees it. */
#include "web/app.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "http/accept.h"
#include "http/cookie.h"
#include "http/url.h"
#include "web/connection.h"

enum { REQUEST_FIELDS_KEPT = 2048 };

/* --- life --- */

struct wr_request *request_new(struct wr_worker *worker, struct connection *conn)
{
    struct wr_request *r = worker->pool;
    if (r) {
        worker->pool = r->pooled;
        worker->pool_len--;
    } else {
        r = malloc(sizeof *r);
        if (!r) return NULL;
        r->arena = (struct arena){0};
        buffer_init(&r->fields, &allocator_libc, APP_HEADER_BYTES_MAX);
    }
    /* What keeps its memory from request to request. */
    struct arena arena = r->arena;
    struct buffer fields = r->fields;
    memset(r, 0, offsetof(struct wr_request, body));
    r->arena = arena;
    r->fields = fields;
    r->worker = worker;
    if (worker->settings->timed) r->began_ns = uv_hrtime();
    r->app = worker->app;
    r->conn = conn;
    memcpy(r->address, conn->address, sizeof r->address);
    r->port = conn->port;
    r->secure = conn->stream.tls != NULL;
    http_parser_init(&r->parser, &worker->settings->limits);
    buffer_init(&r->body, &allocator_libc, 0);
    list_append(&worker->requests, &r->node);
    return r;
}

static void request_free(struct wr_request *r)
{
    buffer_reset(&r->fields);
    arena_deinit(&r->arena);
    free(r);
}

void request_release(struct wr_request *r)
{
    struct wr_worker *worker = r->worker;
    if (r->status) access_answered(r);
    list_remove(&r->node);
    buffer_reset(&r->body);
    if (r->flow.begun) buffer_reset(&r->trailers);
    if (r->came_after) buffer_reset(r->came_after);
    if (r->fields.cap > REQUEST_FIELDS_KEPT || r->fields.failed)
        buffer_reset(&r->fields);
    else
        r->fields.len = 0;
    json_decref(r->json);
    json_decref(r->form);
    if (worker->pool_len >= WORKER_REQUESTS_POOLED) {
        request_free(r);
        return;
    }
    arena_clear(&r->arena);
    r->pooled = worker->pool;
    worker->pool = r;
    worker->pool_len++;
}

void request_free_pool(struct wr_worker *worker)
{
    while (worker->pool) {
        struct wr_request *r = worker->pool;
        worker->pool = r->pooled;
        request_free(r);
    }
}

static void end_span(uint8_t *head, struct http_span span)
{
    head[span.at + span.len] = 0;
}

/* A path ends with the target or at '?'; but not the one that "http://host" has. */
static bool path_has_delimiter(const struct http_head *head, const uint8_t *bytes)
{
    size_t end = head->path.at + head->path.len;
    return end == head->target.at + head->target.len || bytes[end] == '?';
}

int request_keep_head(struct wr_request *r, slice bytes)
{
    uint8_t *copy = arena_take(&r->arena, bytes.len + 1);
    if (!copy) return ERR_MEMORY;
    memcpy(copy, bytes.ptr, bytes.len);
    /* After each of these stands a delimiter that is not needed any more. */
    const struct http_head *head = &r->parser.head;
    end_span(copy, head->method);
    if (path_has_delimiter(head, copy)) end_span(copy, head->path);
    for (size_t i = 0; i < head->field_count; i++) {
        end_span(copy, head->fields[i].name);
        end_span(copy, head->fields[i].value);
    }
    r->head = copy;
    r->head_len = bytes.len;
    r->head_only = strcmp((const char *)copy + head->method.at, "HEAD") == 0;
    return OK;
}

slice request_span(const struct wr_request *r, struct http_span s)
{
    return http_span_slice(slice_of(r->head, r->head_len), s);
}

slice request_method(const struct wr_request *r)
{
    return request_span(r, r->parser.head.method);
}

char *request_decoded(struct wr_request *r, slice text, bool plus)
{
    uint8_t *out = arena_take(&r->arena, text.len + 1);
    size_t len;
    if (!out || url_decode(text, plus, out, &len) < 0) return NULL;
    out[len] = 0;
    return (char *)out;
}

char *request_path_decoded(struct wr_request *r, slice part)
{
    char *text = (char *)(uintptr_t)part.ptr;
    bool as_it_is = slice_find(part, '%') == part.len && text[part.len] == 0;
    return as_it_is ? text : request_decoded(r, part, false);
}

slice request_target(struct wr_request *r)
{
    const struct http_head *head = &r->parser.head;
    slice target = request_span(r, head->target);
    size_t end = (size_t)(head->path.at - head->target.at) + head->path.len;
    if (end >= target.len || target.ptr[end] != 0) return target;
    uint8_t *copy = arena_take(&r->arena, target.len);
    if (!copy) return slice_sub(target, 0, end);
    memcpy(copy, target.ptr, target.len);
    copy[end] = '?'; /* where the path was ended */
    return slice_of(copy, target.len);
}

void request_lost(struct wr_request *r)
{
    const struct target *target = r->target;
    if (r->dispatched) {
        if (r->gone) r->gone(r, r->gone_context);
        return;
    }
    if (!r->answered && target) {
        r->failing = true;
        if (target->is_body && target->body.failed)
            target->body.failed(r, target->context);
        else if (r->gone)
            r->gone(r, r->gone_context);
    }
    request_release(r);
}

/* --- what a handler asks --- */

const char *wr_request_method(const struct wr_request *r)
{
    return (const char *)r->head + r->parser.head.method.at;
}

const char *wr_request_path(const struct wr_request *r)
{
    return r->path;
}

const char *wr_request_param(const struct wr_request *r, const char *name)
{
    for (size_t i = 0; i < r->param_count; i++) {
        if (strcmp(r->param_names[i], name) == 0) return r->params[i];
    }
    return NULL;
}

const char *wr_request_query(struct wr_request *r, const char *name)
{
    slice rest = request_span(r, r->parser.head.query), key, value;
    while (url_pair_next(&rest, &key, &value)) {
        const char *text = request_decoded(r, key, true);
        if (text && strcmp(text, name) == 0) return request_decoded(r, value, true);
    }
    return NULL;
}

/* All values of a repeated field as one list; cookies are joined their own way (RFC 9113 8.2.3). */
static const char *joined(struct wr_request *r, slice name, size_t total)
{
    const struct http_head *head = &r->parser.head;
    const char *separator = slice_equal_nocase(name, SLICE("cookie")) ? "; " : ", ";
    char *out = arena_take(&r->arena, total + 1);
    if (!out) return NULL;
    size_t n = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        slice value = request_span(r, head->fields[i].value);
        if (!slice_equal_nocase(request_span(r, head->fields[i].name), name)) continue;
        if (n > 0) {
            memcpy(out + n, separator, 2);
            n += 2;
        }
        memcpy(out + n, value.ptr, value.len);
        n += value.len;
    }
    out[n] = 0;
    return out;
}

const char *wr_request_header(struct wr_request *r, const char *name)
{
    const struct http_head *head = &r->parser.head;
    slice wanted = slice_text(name);
    const char *first = NULL;
    size_t count = 0, total = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!slice_equal_nocase(request_span(r, head->fields[i].name), wanted)) continue;
        if (count++ == 0) first = (const char *)r->head + head->fields[i].value.at;
        total += head->fields[i].value.len + 2u;
    }
    return count > 1 ? joined(r, wanted, total) : first;
}

slice request_field(const struct wr_request *r, const char *name)
{
    return slice_text(wr_request_header((struct wr_request *)(uintptr_t)r, name));
}

const char *wr_request_cookie(struct wr_request *r, const char *name)
{
    slice value;
    if (!cookie_find(request_field(r, "Cookie"), slice_text(name), &value)) return NULL;
    return arena_text(&r->arena, value);
}

struct wr_bytes wr_request_body(const struct wr_request *r)
{
    return (struct wr_bytes){r->body.ptr, r->body.len};
}

const char *wr_request_address(struct wr_request *r)
{
    if (!r->address_text[0])
        memcpy(r->address_text, worker_address_text(r->worker, r->address), sizeof r->address_text);
    return r->address_text;
}

uint16_t wr_request_port(const struct wr_request *r)
{
    return r->port;
}

bool wr_request_same_origin(struct wr_request *r)
{
    const char *origin = wr_request_header(r, "Origin");
    return !origin || url_origin_matches(slice_text(origin), slice_text(wr_request_host(r)));
}

bool wr_request_wants_json(struct wr_request *r)
{
    slice accept = request_field(r, "Accept");
    return accept_names(accept, SLICE("application/json")) && !accept_names(accept, SLICE("text/html"));
}

bool wr_request_gone(const struct wr_request *r)
{
    return r->conn == NULL;
}

struct wr_app *wr_request_app(const struct wr_request *r)
{
    return r->app;
}

struct wr_worker *wr_request_worker(const struct wr_request *r)
{
    return r->worker;
}

/* A part of the head that is no field value has no NUL behind it. */
const char *wr_request_host(struct wr_request *r)
{
    if (!r->host) r->host = arena_text(&r->arena, request_span(r, r->parser.head.authority));
    return r->host ? r->host : "";
}

const char *wr_request_scheme(struct wr_request *r)
{
    return r->secure ? "https" : "http";
}

void wr_request_set_user(struct wr_request *r, void *user)
{
    r->user = user;
}

void *wr_request_user(const struct wr_request *r)
{
    return r->user;
}

void *wr_request_alloc(struct wr_request *r, size_t size)
{
    return arena_take(&r->arena, size);
}

void wr_request_on_gone(struct wr_request *r, wr_handler handler, void *context)
{
    r->gone = handler;
    r->gone_context = context;
    /* It may have half-closed already. */
    if (handler && r->conn && r->conn->ended) connection_resume(r->conn);
}
