#include "web/connection.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "http/response.h"
#include "web/listen.h"

static struct connection *connection_of(struct stream *stream)
{
    return LIST_ENTRY(stream, struct connection, stream);
}

static uint64_t now_of(const struct connection *conn)
{
    return net_loop_now(&conn->worker->loop);
}

static void set_state(struct connection *conn, enum connection_state state)
{
    static const uint8_t allowed[] = {
        [CONNECTION_HEAD] = 1 << CONNECTION_HEAD | 1 << CONNECTION_BODY | 1 << CONNECTION_ANSWER |
                            1 << CONNECTION_LINGER | 1 << CONNECTION_CLOSED,
        [CONNECTION_BODY] = 1 << CONNECTION_ANSWER | 1 << CONNECTION_LINGER | 1 << CONNECTION_CLOSED,
        [CONNECTION_ANSWER] =
            1 << CONNECTION_HEAD | 1 << CONNECTION_SOCKET | 1 << CONNECTION_LINGER | 1 << CONNECTION_CLOSED,
        [CONNECTION_SOCKET] = 1 << CONNECTION_LINGER | 1 << CONNECTION_CLOSED,
        [CONNECTION_LINGER] = 1 << CONNECTION_CLOSED,
        [CONNECTION_CLOSED] = 0,
    };
    assert(allowed[conn->state] & 1 << state);
    conn->state = (uint8_t)state;
    conn->since_ms = now_of(conn);
}

static bool has_gone(const struct connection *conn)
{
    return conn->state == CONNECTION_CLOSED;
}

/* A pipelining client that takes no answers must not fill the memory with them. */
static bool is_behind(const struct connection *conn)
{
    return conn->state == CONNECTION_HEAD && !conn->request &&
           stream_queued(&conn->stream) >= CONNECTION_BEHIND_BYTES;
}

/* Whether bytes that come must wait. */
static bool is_busy(const struct connection *conn)
{
    return conn->state == CONNECTION_ANSWER || is_behind(conn) ||
           (conn->state == CONNECTION_SOCKET && socket_paused(conn->socket));
}

/* --- deadlines --- */

static uint64_t phase_ms(const struct connection *conn)
{
    const struct wr_config *config = &conn->worker->app->config;
    switch ((enum connection_state)conn->state) {
    case CONNECTION_HEAD: /* a TLS handshake is no idleness */
        return conn->request || stream_opening(&conn->stream) ? config->header_timeout_ms
                                                              : config->idle_timeout_ms;
    case CONNECTION_BODY: return config->body_timeout_ms;
    case CONNECTION_ANSWER: return config->answer_timeout_ms;
    case CONNECTION_LINGER: return CONNECTION_LINGER_MS;
    case CONNECTION_SOCKET:
    case CONNECTION_CLOSED: break;
    }
    return 0;
}

static void set_deadline(struct connection *conn, uint64_t deadline_ms)
{
    if (conn->stalled && conn->sent_ms + conn->worker->app->config.write_timeout_ms < deadline_ms)
        deadline_ms = conn->sent_ms + conn->worker->app->config.write_timeout_ms;
    net_loop_deadline(&conn->worker->loop, &conn->timer, deadline_ms);
}

void connection_arm(struct connection *conn)
{
    if (has_gone(conn)) return;
    if (conn->state == CONNECTION_SOCKET) {
        uint64_t deadline = socket_deadline(conn->socket, now_of(conn));
        if (deadline) set_deadline(conn, deadline);
        return;
    }
    set_deadline(conn, conn->since_ms + phase_ms(conn));
}

/* The phase has lasted too long. */
static void phase_expired(struct connection *conn)
{
    switch ((enum connection_state)conn->state) {
    case CONNECTION_HEAD:
        if (conn->request)
            connection_refuse(conn, 408, "the request came too slowly");
        else if (stream_queued(&conn->stream) == 0)
            connection_cut(conn);
        else
            conn->since_ms = now_of(conn); /* still taking its answer: not idle */
        break;
    case CONNECTION_BODY: connection_refuse(conn, 408, "the body came too slowly"); break;
    case CONNECTION_ANSWER: connection_refuse(conn, 503, "the answer took too long; try again later"); break;
    case CONNECTION_LINGER:
        if (stream_queued(&conn->stream) == 0)
            connection_cut(conn);
        else
            conn->since_ms = now_of(conn);
        break;
    case CONNECTION_SOCKET:
    case CONNECTION_CLOSED: break;
    }
}

/* True when the client has not taken a byte for too long. */
static bool write_expired(struct connection *conn, uint64_t now_ms)
{
    if (!conn->stalled) return false;
    uint64_t sent = stream_sent(&conn->stream);
    if (sent != conn->sent_bytes) {
        conn->sent_bytes = sent;
        conn->sent_ms = now_ms;
    }
    return conn->sent_ms + conn->worker->app->config.write_timeout_ms <= now_ms;
}

void connection_expired(struct wheel_entry *entry)
{
    struct connection *conn = LIST_ENTRY(entry, struct connection, timer);
    uint64_t now_ms = now_of(conn);
    if (write_expired(conn, now_ms)) {
        connection_cut(conn);
        return;
    }
    if (conn->state != CONNECTION_SOCKET && conn->since_ms + phase_ms(conn) <= now_ms) phase_expired(conn);
    connection_arm(conn);
}

/* --- ending --- */

/* A handler that has the request keeps it; one that is not complete is nobody's. */
static void drop_request(struct connection *conn)
{
    struct wr_request *request = conn->request;
    if (!request) return;
    conn->request = NULL;
    request->conn = NULL;
    if (!request->dispatched) request_release(request);
}

void connection_cut(struct connection *conn)
{
    if (has_gone(conn)) return;
    set_state(conn, CONNECTION_CLOSED);
    wheel_remove(&conn->worker->loop.wheel, &conn->timer);
    drop_request(conn);
    if (conn->socket) socket_lost(conn->socket, NULL);
    conn->socket = NULL;
    stream_close(&conn->stream);
}

void connection_linger(struct connection *conn)
{
    if (conn->state >= CONNECTION_LINGER) return;
    set_state(conn, CONNECTION_LINGER);
    buffer_reset(&conn->in);
    stream_finish(&conn->stream);
    stream_read(&conn->stream, !conn->ended);
    conn->close_flushed = conn->ended;
    connection_arm(conn);
}

void connection_refuse(struct connection *conn, int status, const char *why)
{
    const struct wr_app *app = conn->worker->app;
    uint8_t body[200];
    struct writer text = writer_of(body, sizeof body);
    writer_put(&text, SLICE("{\"status\":\"error\",\"message\":\""));
    writer_put(&text, slice_text(why));
    writer_put(&text, SLICE("\"}"));
    assert(!text.failed);
    bool bodiless = conn->request && conn->request->parser.head.is_head;
    drop_request(conn);
    size_t size = HTTP_RESPONSE_FIXED_BYTES + app->headers.len + text.len;
    uint8_t *room = stream_room(&conn->stream, size);
    if (!room) {
        connection_cut(conn);
        return;
    }
    struct writer out = writer_of(room, size);
    struct http_response response = {.status = status,
                                     .date = worker_date(conn->worker),
                                     .content_type = SLICE("application/json"),
                                     .content_length = text.len,
                                     .close = true,
                                     .fields = buffer_slice(&app->headers)};
    http_response_write(&out, &response);
    if (!bodiless) writer_put(&out, writer_slice(&text));
    assert(!out.failed);
    stream_trim(&conn->stream, size - out.len);
    access_refused(conn, status, bodiless ? 0 : text.len);
    connection_linger(conn);
}

void connection_answered(struct connection *conn, bool close, bool client_closes)
{
    conn->request = NULL;
    if (conn->state == CONNECTION_CLOSED) return;
    if (!close) {
        set_state(conn, CONNECTION_HEAD);
        if (conn->in.len > 0 || conn->ended) connection_resume(conn);
        return;
    }
    /* A client that asked for the end sends nothing more that a reset could harm: no need to linger. */
    bool expected = client_closes && conn->in.len == 0;
    if (expected) {
        set_state(conn, CONNECTION_LINGER);
        conn->close_flushed = true;
    } else {
        connection_linger(conn);
    }
}

void connection_drain(struct connection *conn)
{
    if (conn->state == CONNECTION_SOCKET)
        wr_socket_close(conn->socket, WR_CLOSE_GOING_AWAY, "the server is stopping");
    else if (conn->state == CONNECTION_HEAD && !conn->request)
        connection_linger(conn);
}

/* --- input --- */

static int body_take(struct connection *conn, slice *input)
{
    struct wr_request *request = conn->request;
    const struct http_head *head = &request->parser.head;
    if (head->body == HTTP_BODY_LENGTH) {
        slice part = slice_sub(*input, 0, (size_t)(head->content_length - request->body.len));
        buffer_put(&request->body, part);
        if (request->body.failed) return ERR_MEMORY;
        *input = slice_sub(*input, part.len, input->len);
        return request->body.len == head->content_length ? ERR_CLOSED : ERR_AGAIN;
    }
    slice data;
    int rc;
    while ((rc = http_chunked_next(&request->chunked, input, &data)) == OK) {
        buffer_put(&request->body, data);
        if (request->body.failed) return ERR_MEMORY;
    }
    return rc;
}

static void dispatch(struct connection *conn)
{
    set_state(conn, CONNECTION_ANSWER);
    conn->request->dispatched = true;
    request_dispatch(conn->request);
}

static void read_body(struct connection *conn, slice *input)
{
    int rc = body_take(conn, input);
    if (rc == ERR_CLOSED)
        dispatch(conn);
    else if (rc == ERR_TOO_LARGE)
        connection_refuse(conn, 413, "the body is too large");
    else if (rc == ERR_MEMORY)
        connection_refuse(conn, 503, "out of memory; try again later");
    else if (rc != ERR_AGAIN)
        connection_refuse(conn, 400, "the chunked body is not valid");
}

/* The head is complete. */
static void begin_body(struct connection *conn, bool body_is_here)
{
    struct wr_request *request = conn->request;
    const struct http_head *head = &request->parser.head;
    if (head->body == HTTP_BODY_NONE || (head->body == HTTP_BODY_LENGTH && head->content_length == 0)) {
        dispatch(conn);
        return;
    }
    buffer_init(&request->body, &allocator_libc, conn->worker->app->config.body_bytes_max);
    http_chunked_init(&request->chunked, conn->worker->app->config.body_bytes_max);
    set_state(conn, CONNECTION_BODY);
    if (head->expects_continue && !body_is_here &&
        stream_put(&conn->stream, SLICE("HTTP/1.1 100 Continue\r\n\r\n")) < 0)
        connection_cut(conn);
}

/* False when all input is used that can be used now. */
static bool read_head(struct connection *conn, slice *input)
{
    if (!conn->request) {
        conn->request = request_new(conn->worker, conn);
        if (!conn->request) {
            connection_refuse(conn, 503, "out of memory; try again later");
            return true;
        }
        conn->since_ms = now_of(conn);
    }
    struct http_parser *parser = &conn->request->parser;
    size_t len;
    int rc = http_parser_read(parser, *input, &len);
    if (rc == ERR_AGAIN) return false;
    if (rc < 0) {
        connection_refuse(conn, parser->status, parser->why);
        return true;
    }
    if (request_keep_head(conn->request, slice_sub(*input, 0, len)) < 0) {
        connection_refuse(conn, 503, "out of memory; try again later");
        return true;
    }
    *input = slice_sub(*input, len, input->len);
    begin_body(conn, input->len > 0);
    return true;
}

/* Uses what can be used of the bytes, returns how many. */
static size_t process(struct connection *conn, uint8_t *bytes, size_t len)
{
    slice input = slice_of(bytes, len);
    bool more = true;
    while (more && input.len > 0 && !is_busy(conn)) {
        switch ((enum connection_state)conn->state) {
        case CONNECTION_HEAD: more = read_head(conn, &input); break;
        case CONNECTION_BODY: read_body(conn, &input); break;
        case CONNECTION_SOCKET: {
            size_t used = socket_input(conn->socket, bytes + (len - input.len), input.len);
            input = slice_sub(input, used, input.len);
            break;
        }
        case CONNECTION_ANSWER:
        case CONNECTION_LINGER:
        case CONNECTION_CLOSED: input.len = 0; break;
        }
    }
    return len - input.len;
}

static void keep(struct connection *conn, slice bytes)
{
    if (bytes.len == 0 || conn->state >= CONNECTION_LINGER) return;
    buffer_put(&conn->in, bytes);
    if (conn->in.failed) {
        connection_cut(conn);
        return;
    }
    if (is_busy(conn) && conn->in.len >= CONNECTION_AHEAD_BYTES) stream_read(&conn->stream, false);
}

/* Uses the kept bytes as far as possible. */
static void pump(struct connection *conn)
{
    size_t used = 0;
    while (used < conn->in.len && !is_busy(conn) && conn->state < CONNECTION_LINGER) {
        size_t n = process(conn, conn->in.ptr + used, conn->in.len - used);
        used += n;
        if (n == 0) break;
    }
    buffer_consume(&conn->in, used);
    if (conn->in.len == 0) buffer_reset(&conn->in);
}

/* The client has half-closed: what it sent before is still answered; what it did not finish never will be. */
static void end_if_done(struct connection *conn)
{
    if (!conn->ended || conn->state >= CONNECTION_LINGER || conn->state == CONNECTION_ANSWER) return;
    if (conn->state == CONNECTION_HEAD && !conn->request && conn->in.len > 0) return; /* kept requests */
    if (conn->state == CONNECTION_SOCKET || conn->request || stream_queued(&conn->stream) == 0)
        connection_cut(conn);
    else
        conn->close_flushed = true;
}

static void after_input(struct connection *conn)
{
    if (conn->state < CONNECTION_LINGER && !is_busy(conn)) stream_read(&conn->stream, !conn->ended);
    conn->behind = is_behind(conn);
    end_if_done(conn);
    if (conn->state <= CONNECTION_ANSWER) connection_arm(conn);
}

static void on_received(struct stream *stream, uint8_t *bytes, size_t len)
{
    struct connection *conn = connection_of(stream);
    counts_add(&conn->worker->counts.received_bytes, len);
    if (conn->state >= CONNECTION_LINGER) return;
    if (conn->in.len == 0) {
        size_t used = process(conn, bytes, len);
        keep(conn, slice_of(bytes + used, len - used));
    } else {
        keep(conn, slice_of(bytes, len));
        pump(conn);
    }
    after_input(conn);
}

static void on_woken(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    pump(conn);
    after_input(conn);
}

void connection_resume(struct connection *conn)
{
    stream_wake(&conn->stream);
}

static void on_ended(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    conn->ended = true;
    if (conn->state == CONNECTION_LINGER) conn->close_flushed = true;
    if (conn->state == CONNECTION_LINGER && stream_queued(stream) == 0)
        connection_cut(conn);
    else
        end_if_done(conn);
}

static void on_failed(struct stream *stream, int uv_error)
{
    struct connection *conn = connection_of(stream);
    struct wr_socket *socket = conn->socket;
    conn->socket = NULL;
    if (socket) socket_lost(socket, stream_failure(stream, uv_error));
    connection_cut(conn);
}

static void on_flushed(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    if (has_gone(conn)) return;
    size_t queued = stream_queued(stream);
    if (queued > 0 && !conn->stalled) {
        conn->stalled = true;
        conn->sent_bytes = stream_sent(stream);
        conn->sent_ms = now_of(conn);
        connection_arm(conn);
    }
    if (queued == 0) conn->stalled = false;
    if (conn->behind && !is_behind(conn)) {
        conn->behind = false;
        connection_resume(conn);
    }
    if (conn->state == CONNECTION_SOCKET)
        socket_flushed(conn->socket);
    else if (queued == 0 && conn->close_flushed)
        connection_cut(conn);
}

/* --- beginning --- */

static bool address_read(struct connection *conn)
{
    struct sockaddr_storage peer;
    int len = sizeof peer;
    if (uv_tcp_getpeername(&conn->stream.tcp, (struct sockaddr *)&peer, &len) < 0) return false;
    if (peer.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&peer;
        conn->address[10] = conn->address[11] = 0xFF;
        memcpy(conn->address + 12, &v4->sin_addr, 4);
        conn->port = ntohs(v4->sin_port);
    } else {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&peer;
        memcpy(conn->address, &v6->sin6_addr, 16);
        conn->port = ntohs(v6->sin6_port);
    }
    return true;
}

static void on_closed(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    struct wr_worker *worker = conn->worker;
    bool outgoing = conn->outgoing;
    if (conn->counted) listen_uncount_address(worker->app, conn->address);
    buffer_reset(&conn->in);
    list_remove(&conn->node);
    free(conn);
    worker->connection_count--;
    if (!outgoing) listen_uncount(worker);
    worker_connection_closed(worker);
}

static void on_opened(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    if (!conn->outgoing) return;
    (void)!address_read(conn);
    connection_arm(conn); /* the deadline is another one now */
}

static const struct stream_events events = {.opened = on_opened,
                                            .received = on_received,
                                            .ended = on_ended,
                                            .failed = on_failed,
                                            .woken = on_woken,
                                            .flushed = on_flushed,
                                            .closed = on_closed};

static struct connection *connection_new(struct wr_worker *worker)
{
    struct connection *conn = calloc(1, sizeof *conn);
    if (!conn) return NULL;
    conn->worker = worker;
    conn->since_ms = now_of(conn);
    buffer_init(&conn->in, &allocator_libc, CONNECTION_KEPT_BYTES_MAX);
    wheel_entry_init(&conn->timer);
    list_append(&worker->connections, &conn->node);
    worker->connection_count++;
    return conn;
}

bool connection_accept(struct wr_worker *worker, struct listener *listener)
{
    struct connection *conn = connection_new(worker);
    if (!conn) return false;
    if (stream_accept(&conn->stream, &worker->loop, listener, &events) < 0) {
        conn->state = CONNECTION_CLOSED;
        return true;
    }
    counts_add(&worker->counts.connections, 1);
    conn->counted = address_read(conn) && listen_count_address(worker->app, conn->address);
    if (conn->counted)
        connection_arm(conn);
    else {
        counts_add(&worker->counts.turned_away, 1);
        connection_cut(conn);
    }
    return true;
}

void connection_upgrade(struct connection *conn, struct wr_socket *socket)
{
    conn->request = NULL;
    conn->socket = socket;
    set_state(conn, CONNECTION_SOCKET);
    connection_resume(conn);
    connection_arm(conn);
}

int connection_open(struct wr_worker *worker, const struct stream_target *target, struct wr_socket *socket,
                    struct connection **out)
{
    struct connection *conn = connection_new(worker);
    if (!conn) return ERR_MEMORY;
    conn->outgoing = true;
    int rc = stream_connect(&conn->stream, &worker->loop, target, &events);
    if (rc < 0) {
        list_remove(&conn->node);
        worker->connection_count--;
        free(conn);
        return rc;
    }
    conn->state = CONNECTION_SOCKET;
    conn->socket = socket;
    *out = conn;
    return OK;
}
