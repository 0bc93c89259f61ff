/* client_call.c - one request of ours and its answer. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/token.h"
#include "http/url_resolve.h"
#include "web/client.h"

static const char no_memory[] = "there is no memory for the answer";

/* --- ending --- */

static void on_gone(uv_handle_t *handle)
{
    struct wr_call *call = (struct wr_call *)handle;
    free(call->method);
    free(call->url);
    free(call->follow);
    buffer_reset(&call->fields);
    buffer_reset(&call->sent);
    buffer_reset(&call->body);
    json_decref(call->json);
    arena_deinit(&call->arena);
    free(call);
}

/* Takes it off whatever it waits for. */
static void detach(struct wr_call *call)
{
    struct client_connection *conn = call->conn;
    if (call->host) {
        struct client_host *host = call->host;
        list_remove(&call->host_node);
        call->host = NULL;
        call->client->waiting--;
        client_host_changed(host);
    }
    if (conn) {
        conn->call = NULL;
        call->conn = NULL;
        client_cut(conn);
    }
}

void call_end(struct wr_call *call, int result, const char *why)
{
    if (call->state == CALL_DONE) return;
    if (call->state != CALL_ENDING) {
        call->result = result;
        snprintf(call->error, sizeof call->error, "%s", why);
    }
    call->state = CALL_DONE;
    detach(call);
    list_remove(&call->node);
    call->done(call, call->result, call->context);
    uv_close((uv_handle_t *)&call->timer, on_gone);
}

static void on_end(uv_timer_t *timer)
{
    struct wr_call *call = (struct wr_call *)timer;
    call_end(call, call->result, call->error);
}

void call_end_soon(struct wr_call *call, int result, const char *why)
{
    if (call->state >= CALL_ENDING) return;
    call->result = result;
    snprintf(call->error, sizeof call->error, "%s", why);
    call->state = CALL_ENDING;
    detach(call);
    uv_timer_start(&call->timer, on_end, 0, 0);
}

static void on_time_over(uv_timer_t *timer)
{
    call_end((struct wr_call *)timer, WR_CLOSED, "the answer did not come in time");
}

void wr_call_cancel(struct wr_call *call)
{
    call_end_soon(call, WR_CLOSED, "it was cancelled");
}

void call_connection_lost(struct wr_call *call, int result, const char *why, bool clean)
{
    if (clean && call->state == CALL_BODY && call->parser.head.body == HTTP_BODY_UNTIL_CLOSE)
        call_end(call, WR_OK, "");
    else
        call_end(call, result, why);
}

/* --- asking --- */

static bool takes_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static enum http_request_kind kind_of(const struct wr_call *call)
{
    return strcmp(call->method, "HEAD") == 0 ? HTTP_REQUEST_HEAD : HTTP_REQUEST_USUAL;
}

static void expect_answer(struct wr_call *call)
{
    const struct wr_client_config *config = &call->client->config;
    struct http_limits limits = {.target_bytes_max = 1024,
                                 .header_bytes_max = config->header_bytes_max,
                                 .header_count_max = HTTP_FIELDS_MAX,
                                 .body_bytes_max = call->data ? UINT64_MAX : config->body_bytes_max};
    if (limits.header_bytes_max > HTTP_HEAD_BYTES_MAX) limits.header_bytes_max = HTTP_HEAD_BYTES_MAX;
    http_response_parser_init(&call->parser, &limits, kind_of(call));
}

void call_send(struct wr_call *call)
{
    struct stream *stream = &call->conn->stream;
    struct buffer head;
    buffer_init(&head, &allocator_libc, 2 * HTTP_HEAD_BYTES_MAX);
    buffer_text(&head, call->method);
    buffer_byte(&head, ' ');
    url_target_write(&head, &call->parts);
    buffer_text(&head, " HTTP/1.1\r\nHost: ");
    buffer_put(&head, call->parts.authority);
    buffer_text(&head, "\r\n");
    if (!call->named_agent) buffer_text(&head, "User-Agent: weaprous/" WEB_VERSION "\r\n");
    buffer_put(&head, buffer_slice(&call->fields));
    if (call->sent.len > 0 || takes_body(call->method)) {
        buffer_text(&head, "Content-Length: ");
        buffer_u64(&head, call->sent.len);
        buffer_text(&head, "\r\n");
    }
    buffer_text(&head, "\r\n");
    expect_answer(call);
    int rc = head.failed ? ERR_MEMORY : stream_put(stream, buffer_slice(&head));
    if (rc == OK && call->sent.len > 0) rc = stream_put(stream, buffer_slice(&call->sent));
    buffer_reset(&head);
    if (rc < 0)
        call_end_soon(call, WR_MEMORY, "there is no memory for the request");
    else
        stream_read(stream, !call->paused);
}

/* Adds the caller's fields. WR_INVALID for what is not one, or is the library's own. */
int client_put_fields(struct buffer *out, const char *const *headers, bool *named_agent)
{
    static const char *const own[] = {"Host",   "Content-Length", "Connection", "Transfer-Encoding",
                                      "Expect", "Upgrade"};
    for (; headers && headers[0]; headers += 2) {
        slice name = slice_text(headers[0]), value = slice_text(headers[1]);
        if (!token_valid(name) || !field_value_valid(value)) return WR_INVALID;
        for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
            if (slice_equal_nocase(name, slice_text(own[i]))) return WR_INVALID;
        }
        *named_agent |= slice_equal_nocase(name, SLICE("User-Agent"));
        buffer_put(out, name);
        buffer_text(out, ": ");
        buffer_put(out, value);
        buffer_text(out, "\r\n");
    }
    return out->failed ? WR_FULL : WR_OK;
}

static int take_url(struct wr_call *call, const char *text)
{
    size_t len = strlen(text);
    if (len > CLIENT_URL_BYTES_MAX) return WR_INVALID;
    char *copy = strdup(text);
    if (!copy) return WR_MEMORY;
    struct url parts;
    bool valid = url_parse(slice_of(copy, len), &parts) == OK &&
                 (parts.scheme == URL_HTTP || parts.scheme == URL_HTTPS);
    if (!valid) {
        free(copy);
        return WR_INVALID;
    }
    free(call->url);
    call->url = copy;
    call->parts = parts;
    return WR_OK;
}

static int fill(struct wr_call *call, const struct wr_client_request *request)
{
    const char *method = request->method ? request->method : "GET";
    if (!request->url || !request->done || !token_valid(slice_text(method)) || strcmp(method, "CONNECT") == 0)
        return WR_INVALID;
    int rc = take_url(call, request->url);
    if (rc == WR_OK) rc = client_put_fields(&call->fields, request->headers, &call->named_agent);
    if (rc != WR_OK) return rc;
    call->method = strdup(method);
    buffer_put(&call->sent, slice_of(request->body.ptr, request->body.len));
    return call->method && !call->sent.failed ? WR_OK : WR_MEMORY;
}

static struct wr_call *call_new(struct wr_client *client)
{
    struct wr_call *call = calloc(1, sizeof *call);
    if (!call) return NULL;
    call->client = client;
    list_init(&call->node);
    list_init(&call->host_node);
    buffer_init(&call->fields, &allocator_libc, HTTP_HEAD_BYTES_MAX);
    buffer_init(&call->sent, &allocator_libc, SIZE_MAX / 2);
    buffer_init(&call->body, &allocator_libc, client->config.body_bytes_max);
    uv_timer_init(&client->worker->loop.uv, &call->timer);
    return call;
}

static int result_of(int err)
{
    return err == ERR_FULL ? WR_FULL : err == ERR_MEMORY ? WR_MEMORY : WR_INVALID;
}

struct wr_call *wr_client_ask(struct wr_client *client, const struct wr_client_request *request,
                              int *out_result)
{
    int unused;
    int *result = out_result ? out_result : &unused;
    struct wr_call *call = client->freed ? NULL : call_new(client);
    *result = client->freed ? WR_INVALID : WR_MEMORY;
    if (!call) return NULL;
    call->done = request->done;
    call->data = request->data;
    call->context = request->context;
    *result = fill(call, request);
    if (*result == WR_OK) {
        int rc = client_start(call, false);
        if (rc < 0) *result = result_of(rc);
    }
    if (*result != WR_OK) {
        uv_close((uv_handle_t *)&call->timer, on_gone);
        return NULL;
    }
    list_append(&client->calls, &call->node);
    if (client->config.timeout_ms > 0 && call->state < CALL_ENDING)
        uv_timer_start(&call->timer, on_time_over, client->config.timeout_ms, 0);
    return call;
}

struct wr_call *wr_client_get(struct wr_client *client, const char *url,
                              void (*done)(struct wr_call *call, int result, void *context), void *context)
{
    struct wr_client_request request = {.url = url, .done = done, .context = context};
    return wr_client_ask(client, &request, NULL);
}

/* --- redirects --- */

static slice head_field(const struct wr_call *call, slice name)
{
    slice bytes = slice_of(call->head, call->head_len);
    for (size_t i = 0; call->head && i < call->parser.head.field_count; i++) {
        const struct http_field *field = &call->parser.head.fields[i];
        if (slice_equal_nocase(http_span_slice(bytes, field->name), name))
            return http_span_slice(bytes, field->value);
    }
    return SLICE_EMPTY;
}

/* Where the answer leads to, when it leads somewhere that is followed; else NULL. */
static char *redirect_of(const struct wr_call *call)
{
    int status = call->parser.head.status;
    bool leads = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    bool safe = strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0;
    slice location = head_field(call, SLICE("Location"));
    if (!leads || !safe || location.len == 0 || call->redirects >= call->client->config.redirects_max)
        return NULL;
    struct buffer url;
    struct url parts;
    buffer_init(&url, &allocator_libc, CLIENT_URL_BYTES_MAX);
    char *to = NULL;
    if (url_resolve(&url, &call->parts, location) == OK && url_parse(buffer_slice(&url), &parts) == OK &&
        (parts.scheme == URL_HTTP || parts.scheme == URL_HTTPS) && (parts.secure || !call->parts.secure))
        to = strndup((const char *)url.ptr, url.len);
    buffer_reset(&url);
    return to;
}

/* What is meant for one server is not told to another. */
static void drop_credentials(struct wr_call *call)
{
    struct buffer kept;
    slice rest = buffer_slice(&call->fields), line;
    buffer_init(&kept, &allocator_libc, HTTP_HEAD_BYTES_MAX);
    while (rest.len > 0 && slice_split(&rest, '\n', &line)) {
        slice name = slice_sub(line, 0, slice_find(line, ':'));
        if (slice_equal_nocase(name, SLICE("Authorization")) || slice_equal_nocase(name, SLICE("Cookie")))
            continue;
        buffer_put(&kept, line);
        buffer_byte(&kept, '\n');
    }
    buffer_reset(&call->fields);
    call->fields = kept;
}

static void follow(struct wr_call *call)
{
    char *to = call->follow;
    struct url old = call->parts;
    char host[CLIENT_HOST_BYTES_MAX + 1];
    size_t host_len = old.host.len < CLIENT_HOST_BYTES_MAX ? old.host.len : CLIENT_HOST_BYTES_MAX;
    memcpy(host, old.host.ptr, host_len);
    call->follow = NULL;
    call->redirects++;
    call->interims = 0;
    call->received = 0;
    call->retried = false;
    call->head = NULL;
    call->head_len = 0;
    int rc = take_url(call, to);
    free(to);
    if (rc == WR_OK) {
        bool same = slice_equal_nocase(slice_of(host, host_len), call->parts.host) &&
                    old.port == call->parts.port && old.secure == call->parts.secure;
        if (!same) drop_credentials(call);
        rc = call->fields.failed ? ERR_MEMORY : client_start(call, false);
    }
    if (rc < 0) call_end_soon(call, WR_SYSTEM, "the redirect could not be followed");
}

/* --- the answer --- */

/* It is complete. `rest`: bytes after it, which nobody asked for. */
static void complete(struct wr_call *call, size_t rest)
{
    client_give_back(call->conn, call->parser.head.keep_alive && rest == 0);
    if (call->follow)
        follow(call);
    else
        call_end(call, WR_OK, "");
}

/* False when the call has ended, or its connection is given back. */
static bool take_data(struct wr_call *call, slice data)
{
    call->received += data.len;
    if (call->follow) {
        if (call->received <= CLIENT_SKIP_BYTES) return true;
        struct client_connection *conn = call->conn; /* too much to be read for nothing */
        conn->call = NULL;
        call->conn = NULL;
        client_cut(conn);
        follow(call);
        return false;
    }
    if (call->data) {
        call->data(call, data.ptr, data.len, call->context);
        return call->state == CALL_BODY;
    }
    buffer_put(&call->body, data);
    if (!call->body.failed) return true;
    call_end(call, WR_FULL, "the answer is larger than allowed");
    return false;
}

static void read_chunked(struct wr_call *call, slice input)
{
    slice data;
    int rc;
    while ((rc = http_chunked_next(&call->chunked, &input, &data)) == OK) {
        if (!take_data(call, data)) return;
    }
    if (rc == ERR_CLOSED)
        complete(call, input.len);
    else if (rc == ERR_TOO_LARGE)
        call_end(call, WR_FULL, "the answer is larger than allowed");
    else if (rc != ERR_AGAIN)
        call_end(call, WR_INVALID, "the server's chunks are not valid");
}

static void read_body(struct wr_call *call, slice input)
{
    const struct http_response_head *head = &call->parser.head;
    if (head->body == HTTP_BODY_CHUNKED) {
        read_chunked(call, input);
        return;
    }
    slice part = input;
    if (head->body == HTTP_BODY_LENGTH && part.len > head->content_length - call->received)
        part.len = (size_t)(head->content_length - call->received);
    if (part.len > 0 && !take_data(call, part)) return;
    if (head->body == HTTP_BODY_LENGTH && call->received == head->content_length)
        complete(call, input.len - part.len);
}

static void begin_body(struct wr_call *call, slice input)
{
    const struct http_response_head *head = &call->parser.head;
    call->state = CALL_BODY;
    call->follow = redirect_of(call);
    if (head->body == HTTP_BODY_NONE || (head->body == HTTP_BODY_LENGTH && head->content_length == 0))
        complete(call, input.len);
    else {
        http_chunked_init(&call->chunked, call->parser.limits.body_bytes_max);
        if (input.len > 0) read_body(call, input);
    }
}

/* Takes the head off *input, and what follows it. True: more is needed, *input is what was not used. */
static bool read_head(struct wr_call *call, slice *input)
{
    size_t len;
    int rc;
    while ((rc = http_response_parser_read(&call->parser, *input, &len)) == OK && call->parser.head.interim) {
        if (++call->interims > CLIENT_INTERIM_MAX) {
            call_end(call, WR_INVALID, "the server sends one interim answer after the other");
            return false;
        }
        expect_answer(call);
        *input = slice_sub(*input, len, input->len);
    }
    if (rc == ERR_AGAIN) return true;
    if (rc < 0) {
        call_end(call, rc == ERR_TOO_LARGE ? WR_FULL : WR_INVALID, call->parser.why);
        return false;
    }
    if (call->parser.head.tunnel) {
        call_end(call, WR_INVALID, "the server switched protocols, which nobody asked for");
        return false;
    }
    uint8_t *copy = arena_take(&call->arena, len);
    if (!copy) {
        call_end(call, WR_MEMORY, no_memory);
        return false;
    }
    memcpy(copy, input->ptr, len);
    call->head = copy;
    call->head_len = len;
    begin_body(call, slice_sub(*input, len, input->len));
    return false;
}

void call_received(struct wr_call *call, uint8_t *bytes, size_t len)
{
    struct client_connection *conn = call->conn;
    if (call->state == CALL_BODY) {
        read_body(call, slice_of(bytes, len));
        return;
    }
    struct buffer joined = conn->in; /* the connection may be used again before this is over */
    slice input = slice_of(bytes, len);
    buffer_init(&conn->in, &allocator_libc, 2 * HTTP_HEAD_BYTES_MAX + LOOP_READ_BYTES);
    if (joined.len > 0) {
        buffer_put(&joined, input);
        input = buffer_slice(&joined);
    }
    if (joined.failed) {
        call_end(call, WR_MEMORY, no_memory);
    } else if (read_head(call, &input)) {
        if (input.len > 0 && input.ptr == joined.ptr) {
            conn->in = joined;
            return;
        }
        buffer_put(&conn->in, input);
        if (conn->in.failed) call_end(call, WR_MEMORY, no_memory);
    }
    buffer_reset(&joined);
}

void wr_call_pause(struct wr_call *call)
{
    call->paused = true;
    if (call->conn) stream_read(&call->conn->stream, false);
}

void wr_call_resume(struct wr_call *call)
{
    call->paused = false;
    if (call->conn) stream_read(&call->conn->stream, true);
}

/* --- what the caller asks --- */

int wr_call_status(const struct wr_call *call)
{
    return call->head ? call->parser.head.status : 0;
}

const char *wr_call_header(struct wr_call *call, const char *name)
{
    slice bytes = slice_of(call->head, call->head_len), wanted = slice_text(name);
    struct buffer joined;
    bool any = false;
    buffer_init(&joined, &allocator_libc, 2 * HTTP_HEAD_BYTES_MAX);
    for (size_t i = 0; call->head && i < call->parser.head.field_count; i++) {
        const struct http_field *field = &call->parser.head.fields[i];
        if (!slice_equal_nocase(http_span_slice(bytes, field->name), wanted)) continue;
        if (any) buffer_text(&joined, ", ");
        buffer_put(&joined, http_span_slice(bytes, field->value));
        any = true;
    }
    char *text = any && !joined.failed ? arena_text(&call->arena, buffer_slice(&joined)) : NULL;
    buffer_reset(&joined);
    return text;
}

struct wr_bytes wr_call_body(const struct wr_call *call)
{
    return (struct wr_bytes){call->body.ptr, call->body.len};
}

json_t *wr_call_json(struct wr_call *call)
{
    if (!call->json_tried) {
        call->json_tried = true;
        if (call->body.len > 0)
            call->json = json_loadb((const char *)call->body.ptr, call->body.len,
                                    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    }
    return call->json;
}

const char *wr_call_url(const struct wr_call *call)
{
    return call->url;
}

const char *wr_call_error(const struct wr_call *call)
{
    return call->result == WR_OK ? "" : call->error;
}
