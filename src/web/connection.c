#include "web/connection.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "net/listener.h"
#include "web/answer.h"
#include "web/body.h"
#include "web/intake.h"
#include "web/listen.h"
#include "web/proxy.h"

static struct connection *connection_of(struct stream *stream)
{
    return LIST_ENTRY(stream, struct connection, stream);
}

static uint64_t now_of(const struct connection *conn)
{
    return net_loop_now(&conn->worker->loop);
}

void connection_set_state(struct connection *conn, enum connection_state state)
{
    enum { END = 1 << CONNECTION_LINGER | 1 << CONNECTION_CLOSED };
    static const uint8_t allowed[] = {
        [CONNECTION_HEAD] = 1 << CONNECTION_ANSWER | END,
        [CONNECTION_BODY] = 1 << CONNECTION_ANSWER | 1 << CONNECTION_HEAD | 1 << CONNECTION_SKIP | END,
        [CONNECTION_ANSWER] = 1 << CONNECTION_HEAD | 1 << CONNECTION_BODY | 1 << CONNECTION_SKIP |
                              1 << CONNECTION_SOCKET | 1 << CONNECTION_TUNNEL | END,
        [CONNECTION_SKIP] = 1 << CONNECTION_HEAD | END,
        [CONNECTION_SOCKET] = END,
        [CONNECTION_TUNNEL] = END,
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
           (conn->state == CONNECTION_BODY && conn->request->paused) ||
           (conn->state == CONNECTION_SOCKET && socket_paused(conn->socket)) ||
           (conn->state == CONNECTION_TUNNEL && conn->tunnel->paused);
}

/* --- bytes that must wait --- */

static struct buffer *kept_new(void)
{
    struct buffer *in = malloc(sizeof *in);
    if (in) buffer_init(in, &allocator_libc, CONNECTION_KEPT_BYTES_MAX);
    return in;
}

/* --- input --- */

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
    connection_set_state(conn, CONNECTION_ANSWER);
    conn->request->continue_due = conn->request->parser.head.expects_continue && input->len == 0;
    request_begin(conn->request);
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
        case CONNECTION_BODY: body_input(conn, &input); break;
        case CONNECTION_SKIP: body_skip(conn, &input); break;
        case CONNECTION_SOCKET: {
            size_t used = socket_input(conn->socket, bytes + (len - input.len), input.len);
            input = slice_sub(input, used, input.len);
            break;
        }
        case CONNECTION_TUNNEL:
            conn->tunnel->events->received(conn->tunnel, bytes + (len - input.len), input.len);
            input.len = 0;
            break;
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
    if (!conn->in && !(conn->in = kept_new())) {
        connection_cut(conn);
        return;
    }
    buffer_put(conn->in, bytes);
    if (conn->in->failed) {
        connection_cut(conn);
        return;
    }
    if (is_busy(conn) && connection_kept(conn) >= CONNECTION_AHEAD_BYTES) stream_read(&conn->stream, false);
}

/* Uses the kept bytes as far as possible. */
static void pump(struct connection *conn)
{
    size_t used = 0;
    while (used < connection_kept(conn) && !is_busy(conn) && conn->state < CONNECTION_LINGER) {
        size_t n = process(conn, conn->in->ptr + used, conn->in->len - used);
        used += n;
        if (n == 0) break;
    }
    if (conn->in) buffer_consume(conn->in, used);
    if (connection_kept(conn) == 0) connection_drop_kept(conn);
}

/* A program that wants to be told when its client goes takes a half-closed connection for that. */
static bool is_watched(const struct connection *conn)
{
    const struct wr_request *r = conn->request;
    return conn->state == CONNECTION_ANSWER && ((r->gone && !r->half_close_ok) || r->flow.events);
}

/* The client has half-closed: what it sent before is still answered; what it did not finish never will be. */
static void end_if_done(struct connection *conn)
{
    if (!conn->ended || conn->state >= CONNECTION_LINGER) return;
    if (is_watched(conn)) {
        connection_cut(conn);
        return;
    }
    if (conn->state == CONNECTION_ANSWER || (conn->state == CONNECTION_BODY && conn->request->paused)) return;
    if (conn->state == CONNECTION_TUNNEL) {
        if (connection_kept(conn) == 0) conn->tunnel->events->ended(conn->tunnel);
        return;
    }
    if (connection_kept(conn) > 0 && (is_busy(conn) || (conn->state == CONNECTION_HEAD && !conn->request)))
        return; /* kept bytes come first */
    if (conn->state == CONNECTION_SOCKET || conn->state == CONNECTION_BODY ||
        stream_queued(&conn->stream) == 0) {
        connection_cut(conn);
        return;
    }
    connection_drop_request(conn);
    connection_set_state(conn, CONNECTION_LINGER);
    conn->close_flushed = true;
}

static void after_input(struct connection *conn)
{
    if (conn->state < CONNECTION_LINGER && !is_busy(conn)) stream_read(&conn->stream, !conn->ended);
    conn->behind = is_behind(conn);
    end_if_done(conn);
    if (conn->state < CONNECTION_SOCKET) connection_arm(conn);
}

static void on_received(struct stream *stream, uint8_t *bytes, size_t len)
{
    struct connection *conn = connection_of(stream);
    counts_add(&conn->worker->counts.received_bytes, len);
    if (conn->state >= CONNECTION_LINGER) {
        conn->heard = true;
        return;
    }
    if (connection_kept(conn) == 0) {
        size_t used = process(conn, bytes, len);
        keep(conn, slice_of(bytes + used, len - used));
    } else {
        keep(conn, slice_of(bytes, len));
        pump(conn);
    }
    after_input(conn);
    /* What others send to a WebSocket in this turn leaves together with its own. */
    if (conn->state != CONNECTION_SOCKET) stream_settle(stream);
}

static void on_woken(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    if (conn->doomed) {
        connection_cut(conn);
        return;
    }
    if (conn->state == CONNECTION_BODY && connection_kept(conn) == 0 && !conn->request->paused)
        body_input(conn, &(slice){NULL, 0}); /* it may have been paused at its very end */
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

/* Scanners do this all day: a line, but no warning. */
static void handshake_failed(struct connection *conn, int uv_error)
{
    counts_add(&conn->worker->counts.handshakes_failed, 1);
    app_log(conn->worker->app, WR_LOG_INFO, "no TLS with %s: %s",
            worker_address_text(conn->worker, conn->address), stream_failure(&conn->stream, uv_error));
}

static void on_failed(struct stream *stream, int uv_error)
{
    struct connection *conn = connection_of(stream);
    struct wr_socket *socket = conn->tunnelled ? NULL : conn->socket;
    if (!conn->outgoing && stream_opening(stream)) handshake_failed(conn, uv_error);
    if (socket) conn->socket = NULL;
    if (socket) socket_lost(socket, stream_failure(stream, uv_error));
    connection_cut(conn);
}

static void on_flushed(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    if (has_gone(conn)) return;
    size_t queued = stream_queued(stream);
    connection_watch_writing(conn);
    if (conn->behind && !is_behind(conn)) {
        conn->behind = false;
        connection_resume(conn);
    }
    if (conn->state == CONNECTION_SOCKET)
        socket_flushed(conn->socket);
    else if (conn->state == CONNECTION_TUNNEL)
        conn->tunnel->events->flushed(conn->tunnel);
    else if (conn->request && conn->request->flow.wants_drain)
        pieces_flushed(conn->request);
    else if (queued == 0 && conn->close_flushed)
        connection_cut(conn);
}

/* --- beginning --- */

/* peer: of IPv6, or of IPv4 at its place. */
static void set_address(struct connection *conn, const struct sockaddr_in6 *peer)
{
    if (peer->sin6_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)peer;
        conn->address[10] = conn->address[11] = 0xFF;
        memcpy(conn->address + 12, &v4->sin_addr, 4);
    } else {
        memcpy(conn->address, &peer->sin6_addr, 16);
    }
    conn->port = ntohs(peer->sin6_port); /* lies at the same place in both */
}

static void on_closed(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    struct wr_worker *worker = conn->worker;
    bool outgoing = conn->outgoing;
    if (conn->counted) listen_uncount_address(worker->app, conn->address);
    connection_drop_kept(conn);
    list_remove(&conn->node);
    free(conn);
    worker->connection_count--;
    if (!outgoing) listen_uncount(worker);
    worker_connection_closed(worker);
}

static void on_opened(struct stream *stream)
{
    struct connection *conn = connection_of(stream);
    if (!conn->outgoing) {
        counts_add(&conn->worker->counts.handshakes, 1);
        return;
    }
    struct sockaddr_in6 peer;
    int len = sizeof peer;
    if (uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&peer, &len) == 0) set_address(conn, &peer);
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
    set_address(conn, &listener->peer);
    conn->https_port = listen_https_port(listener);
    conn->proxied = settings_trusts(worker->settings, conn->address);
    if (conn->proxied || listen_count_address(conn)) {
        connection_arm(conn);
    } else {
        counts_add(&worker->counts.turned_away, 1);
        connection_cut(conn);
    }
    return true;
}

void connection_upgrade(struct connection *conn, struct wr_socket *socket)
{
    conn->request = NULL;
    conn->socket = socket;
    connection_set_state(conn, CONNECTION_SOCKET);
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
