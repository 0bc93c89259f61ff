/* socket.c - an open WebSocket (RFC 6455): receiving, closing, time. */
#include "web/socket.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "http/token.h"
#include "web/deflate.h"
#include "web/topic.h"

enum { CLOSE_TIMEOUT_MS = 5000 };

/* --- what a route says --- */

/* Names separated by NUL in place of spaces, with an empty one at the end. */
static int copy_protocols(struct target *target, const char *names)
{
    slice rest = slice_text(names), name;
    char *copy = calloc(1, rest.len + 2), *at = copy;
    unsigned count = 0;
    if (!copy) return WR_MEMORY;
    target->protocols = copy;
    while (slice_split(&rest, ' ', &name)) {
        if (name.len == 0) continue;
        if (!token_valid(name) || ++count > SOCKET_PROTOCOLS_MAX) return WR_INVALID;
        memcpy(at, name.ptr, name.len);
        at += name.len + 1;
    }
    target->socket.protocols = copy;
    return WR_OK;
}

int socket_target_init(struct target *target, const struct wr_socket_handlers *handlers, void *context)
{
    if (!handlers->message) return WR_INVALID;
    *target = (struct target){.context = context, .socket = *handlers, .is_socket = true};
    struct wr_socket_handlers *h = &target->socket;
    if (h->message_bytes_max == 0) h->message_bytes_max = 1024 * 1024;
    if (h->queue_bytes_max == 0) h->queue_bytes_max = 4 * 1024 * 1024;
    if (h->queue_bytes_high == 0) h->queue_bytes_high = 64 * 1024;
    if (h->ping_interval_ms == 0) h->ping_interval_ms = 30000;
    if (h->idle_timeout_ms == 0) h->idle_timeout_ms = 60000;
    int rc = h->protocols ? copy_protocols(target, h->protocols) : WR_OK;
    if (rc < 0) socket_target_deinit(target);
    return rc;
}

void socket_target_deinit(struct target *target)
{
    free(target->protocols);
    target->protocols = NULL;
}

const char *socket_protocol_name(const struct target *target, unsigned number)
{
    const char *name = target->protocols;
    if (!name || number == 0) return "";
    while (--number > 0 && *name)
        name += strlen(name) + 1;
    return name;
}

/* --- life --- */

struct wr_socket *socket_new(const struct target *target, void *user, bool client)
{
    struct wr_socket *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->target = target;
    s->user = user;
    ws_reader_init(&s->reader, &allocator_libc, target->socket.message_bytes_max, !client);
    return s;
}

void socket_begin(struct wr_socket *s, struct connection *conn, unsigned window_bits)
{
    s->conn = conn;
    s->received_ms = s->timer_ms = (uint32_t)socket_now(s);
    s->window_bits = (uint8_t)window_bits;
    if (window_bits) ws_reader_allow_compressed(&s->reader);
    counts_add(&conn->worker->counts.sockets, 1);
}

struct deflater *worker_deflater(struct wr_worker *worker)
{
    if (!worker->deflater) worker->deflater = deflater_new();
    return worker->deflater;
}

void socket_free(struct wr_socket *s)
{
    if (!s) return;
    ws_reader_deinit(&s->reader);
    if (socket_masks(s)) target_free((struct target *)(uintptr_t)s->target);
    free(s);
}

/* --- ending --- */

/* Tells the owner, once, and frees. The connection no longer knows it. */
static void end(struct wr_socket *s, int code, const char *reason)
{
    topic_leave_all(s);
    counts_add(&s->conn->worker->counts.sockets_closed, 1);
    if (socket_handlers(s)->close) socket_handlers(s)->close(s, code, reason, s->target->context);
    socket_free(s);
}

void socket_lost(struct wr_socket *s, const char *why)
{
    if (s->is_opening) {
        opening_lost(s, why ? WR_SYSTEM : WR_CLOSED, why ? why : "the connection was closed");
        return;
    }
    s->closing = true; /* calls from within the close callback must find a closed socket */
    end(s, WR_CLOSE_LOST, why ? why : "the connection was lost");
}

static void put_close(struct wr_socket *s, unsigned code, slice reason)
{
    uint8_t payload[WS_CONTROL_BYTES_MAX];
    struct writer w = writer_of(payload, sizeof payload);
    if (code != WR_CLOSE_NONE) {
        writer_byte(&w, (uint8_t)(code >> 8));
        writer_byte(&w, (uint8_t)code);
        writer_put(&w, reason);
    }
    /* Without memory the close frame is missing, and the other side sees a lost connection. */
    if (socket_put_control(s, WS_CLOSE, writer_slice(&w)) < 0) stream_finish(&s->conn->stream);
}

/* The close handshake is over, or cannot be: the connection goes on without the socket. */
static void leave(struct wr_socket *s, int code, const char *reason)
{
    struct connection *conn = s->conn;
    s->closing = true;
    conn->socket = NULL;
    connection_linger(conn);
    end(s, code, reason);
}

/* The other side broke the rules. */
static void fail(struct wr_socket *s, int err)
{
    static const struct {
        int err, code;
        const char *reason;
    } table[] = {
        {ERR_MALFORMED, WR_CLOSE_NOT_UTF8, "the text is not UTF-8"},
        {ERR_CORRUPT, WR_CLOSE_NOT_UTF8, "the compressed message is damaged"},
        {ERR_TOO_LARGE, WR_CLOSE_TOO_LARGE, "the message is too large"},
        {ERR_MEMORY, WR_CLOSE_ERROR, "out of memory"},
        {ERR_PROTOCOL, WR_CLOSE_PROTOCOL, "this frame is against the protocol"},
    };
    size_t i = 0;
    while (table[i].err != err && table[i].err != ERR_PROTOCOL)
        i++;
    int code = table[i].code;
    const char *reason = table[i].reason;
    if (!s->closing) put_close(s, (unsigned)code, slice_text(reason));
    leave(s, code, reason);
}

static bool reason_valid(slice reason)
{
    return reason.len <= WS_CONTROL_BYTES_MAX - 2 && utf8_valid(reason);
}

void wr_socket_close(struct wr_socket *s, int code, const char *reason)
{
    if (s->closing) return;
    if (s->is_opening) {
        connection_cut(s->conn);
        return;
    }
    slice text = slice_text(reason);
    if (code < 0 || !ws_close_code_valid((unsigned)code) || !reason_valid(text)) {
        app_log(s->conn->worker->app, WR_LOG_ERROR,
                "wr_socket_close was given a code or reason that is not valid");
        code = WR_CLOSE_ERROR;
        text = SLICE_EMPTY;
    }
    put_close(s, (unsigned)code, text);
    s->closing = true;
    s->timer_ms = (uint32_t)socket_now(s);
    topic_leave_all(s);
    wr_socket_resume(s); /* the answer must be read */
    connection_arm(s->conn);
}

/* --- receiving --- */

static void pong(struct wr_socket *s, slice payload)
{
    /* A client that pings and does not read fills its own queue: it is owed the latest pong only (5.5.3). */
    if (s->closing || stream_queued(&s->conn->stream) > socket_handlers(s)->queue_bytes_high) return;
    (void)!socket_put_control(s, WS_PONG, payload);
}

static void closed_by_peer(struct wr_socket *s, const struct ws_event *event)
{
    char reason[WS_CONTROL_BYTES_MAX] = {0};
    if (event->payload.len) memcpy(reason, event->payload.ptr, event->payload.len);
    if (!s->closing) put_close(s, event->close_code, SLICE_EMPTY);
    leave(s, (int)event->close_code, reason);
}

/* Makes a compressed message what it was before. OK or an error that ends the socket. */
static int inflate_event(struct wr_socket *s, struct ws_event *event)
{
    int rc = deflater_unpack(s->conn->worker->deflater, event->payload, socket_handlers(s)->message_bytes_max,
                             &event->payload);
    if (rc < 0) return rc == ERR_MALFORMED ? ERR_CORRUPT : rc;
    return event->opcode == WS_TEXT && !utf8_valid(event->payload) ? ERR_MALFORMED : OK;
}

static int take_message(struct wr_socket *s, struct ws_event *event)
{
    struct wr_worker *worker = s->conn->worker;
    int rc = OK;
    if (s->closing) return OK;
    if (event->compressed) rc = inflate_event(s, event);
    if (rc == OK) {
        counts_add(&worker->counts.messages_received, 1);
        socket_handlers(s)->message(s, event->opcode == WS_TEXT ? WR_TEXT : WR_BINARY, event->payload.ptr,
                                    event->payload.len, s->target->context);
    }
    if (event->compressed) deflater_unpack_done(worker->deflater);
    return rc;
}

/* OK; an error that ends the socket; ERR_CLOSED when it is gone. */
static int take_event(struct wr_socket *s, struct ws_event *event)
{
    switch (event->opcode) {
    case WS_TEXT:
    case WS_BINARY: return take_message(s, event);
    case WS_PING: pong(s, event->payload); return OK;
    case WS_CLOSE: closed_by_peer(s, event); return ERR_CLOSED;
    case WS_PONG:
    case WS_CONTINUATION: break;
    }
    return OK;
}

size_t socket_input(struct wr_socket *s, uint8_t *bytes, size_t len)
{
    uint8_t *at = bytes;
    size_t left = len;
    s->received_ms = (uint32_t)socket_now(s);
    if (s->is_opening) return opening_input(s, bytes, len);
    while (!s->paused) {
        struct ws_event event;
        int rc = ws_reader_next(&s->reader, &at, &left, &event);
        if (rc == ERR_AGAIN) break;
        if (rc == OK) rc = take_event(s, &event);
        if (rc == ERR_CLOSED) return len;
        if (rc < 0) {
            fail(s, rc);
            return len;
        }
    }
    return len - left;
}

bool socket_paused(const struct wr_socket *s)
{
    return s->paused;
}

void wr_socket_pause(struct wr_socket *s)
{
    if (s->paused || s->closing) return;
    s->paused = true;
    stream_read(&s->conn->stream, false);
}

void wr_socket_resume(struct wr_socket *s)
{
    if (!s->paused) return;
    s->paused = false;
    s->received_ms = (uint32_t)socket_now(s);
    connection_resume(s->conn);
}

void socket_flushed(struct wr_socket *s)
{
    if (!s->wants_drain || s->closing || s->is_opening) return;
    if (stream_queued(&s->conn->stream) > socket_handlers(s)->queue_bytes_high / 4) return;
    s->wants_drain = false;
    if (socket_handlers(s)->drain) socket_handlers(s)->drain(s, s->target->context);
}

/* --- time --- */

static void ping(struct wr_socket *s, uint64_t now_ms)
{
    (void)!socket_put_control(s, WS_PING, SLICE_EMPTY); /* the next one may find memory */
    s->timer_ms = (uint32_t)now_ms;
}

uint64_t socket_deadline(struct wr_socket *s, uint64_t now_ms)
{
    if (s->is_opening) return opening_deadline(s, now_ms);
    uint64_t timer_ms = socket_time(now_ms, s->timer_ms);
    uint64_t dead_ms = s->closing ? timer_ms + CLOSE_TIMEOUT_MS
                       : s->paused
                           ? UINT64_MAX
                           : socket_time(now_ms, s->received_ms) + socket_handlers(s)->idle_timeout_ms;
    if (dead_ms <= now_ms) {
        connection_cut(s->conn);
        return 0;
    }
    if (s->closing) return dead_ms;
    uint64_t ping_ms = timer_ms + socket_handlers(s)->ping_interval_ms;
    if (ping_ms <= now_ms) {
        ping(s, now_ms);
        ping_ms = now_ms + socket_handlers(s)->ping_interval_ms;
    }
    return dead_ms < ping_ms ? dead_ms : ping_ms;
}

/* --- small things --- */

struct wr_worker *wr_socket_worker(const struct wr_socket *s)
{
    return s->conn->worker;
}

const char *wr_socket_protocol(const struct wr_socket *s)
{
    return socket_protocol_name(s->target, s->protocol);
}

size_t wr_socket_queued(const struct wr_socket *s)
{
    return stream_queued(&s->conn->stream);
}

void *wr_socket_user(const struct wr_socket *s)
{
    return s->user;
}

void wr_socket_set_user(struct wr_socket *s, void *user)
{
    s->user = user;
}

const char *wr_socket_address(const struct wr_socket *s)
{
    return worker_address_text(s->conn->worker, s->conn->address);
}
