/* socket.c - a connection that has become a WebSocket (RFC 6455). */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "http/response.h"
#include "http/token.h"
#include "http/ws_reader.h"
#include "web/connection.h"

enum { CLOSE_TIMEOUT_MS = 5000, ACCEPT_BYTES = 28 };

struct wr_socket {
    struct connection *conn;
    const struct target *target;
    void *user;
    struct ws_reader reader;
    uint64_t received_ms; /* when the client was last heard of */
    uint64_t ping_ms;     /* when the next ping is due */
    uint64_t closing_ms;  /* when the close frame went; 0 before */
    bool paused;
    bool wants_drain; /* a send returned queue_bytes_high or more */
};

static uint64_t now_of(const struct wr_socket *s)
{
    return net_loop_now(&s->conn->worker->loop);
}

static const struct wr_socket_handlers *handlers_of(const struct wr_socket *s)
{
    return &s->target->socket;
}

/* --- the handshake --- */

static void refuse_handshake(struct wr_request *r, int status, const char *message)
{
    wr_response_header(r, "Upgrade", "websocket");
    wr_response_header(r, "Sec-WebSocket-Version", "13");
    wr_respond_error(r, status, message);
}

static const char not_a_handshake[] = "this address is a WebSocket";

static void accept_same_origin(struct wr_request *r)
{
    if (!wr_request_same_origin(r))
        wr_respond_error(r, 403, "this page may not connect to this server");
    else
        (void)!wr_socket_accept(r, NULL);
}

void socket_upgrade(struct wr_request *r)
{
    const struct http_head *head = &r->parser.head;
    bool asks = head->upgrade && list_has(request_field(r, "Upgrade"), SLICE("websocket"));
    r->not_a_handshake = !asks || head->minor == 0 || r->head_only;
    if (r->not_a_handshake && r->target->socket.upgrade)
        r->target->socket.upgrade(r, r->target->context); /* it may have a better reason to refuse */
    else if (r->not_a_handshake)
        refuse_handshake(r, 426, not_a_handshake);
    else if (!slice_equal(request_field(r, "Sec-WebSocket-Version"), SLICE("13")))
        refuse_handshake(r, 426, "this server speaks version 13 of WebSocket");
    else if (!ws_key_valid(request_field(r, "Sec-WebSocket-Key")) || head->body != HTTP_BODY_NONE)
        wr_respond_error(r, 400, "the WebSocket handshake is not valid");
    else if (r->target->socket.upgrade)
        r->target->socket.upgrade(r, r->target->context);
    else
        accept_same_origin(r);
}

/* RFC 6455 4.2.2: base64 of SHA-1 of the key and a constant. */
static void accept_value(slice key, char out[ACCEPT_BYTES + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[WS_KEY_BYTES + sizeof guid - 1], digest[SHA_DIGEST_LENGTH];
    memcpy(text, key.ptr, WS_KEY_BYTES);
    memcpy(text + WS_KEY_BYTES, guid, sizeof guid - 1);
    SHA1(text, sizeof text, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

static int send_handshake(struct wr_request *r)
{
    char accept[ACCEPT_BYTES + 1];
    accept_value(request_field(r, "Sec-WebSocket-Key"), accept);
    wr_response_header(r, "Upgrade", "websocket");
    wr_response_header(r, "Sec-WebSocket-Accept", accept);
    buffer_text(&r->fields, "Connection: Upgrade\r\n");
    if (r->fields.failed || r->bad_fields) return WR_INVALID;
    size_t size = HTTP_RESPONSE_FIXED_BYTES + r->fields.len;
    uint8_t *room = stream_room(&r->conn->stream, size);
    if (!room) return WR_MEMORY;
    struct writer w = writer_of(room, size);
    struct http_response response = {.status = 101,
                                     .date = worker_date(r->worker),
                                     .content_length = HTTP_NO_LENGTH,
                                     .fields = buffer_slice(&r->fields)};
    http_response_write(&w, &response);
    assert(!w.failed);
    stream_trim(&r->conn->stream, size - w.len);
    return WR_OK;
}

static struct wr_socket *socket_new(struct wr_request *r, void *user)
{
    struct wr_socket *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->conn = r->conn;
    s->target = r->target;
    s->user = user;
    s->received_ms = now_of(s);
    s->ping_ms = s->received_ms + r->target->socket.ping_interval_ms;
    ws_reader_init(&s->reader, &allocator_libc, r->target->socket.message_bytes_max, true);
    return s;
}

int wr_socket_accept(struct wr_request *r, void *user)
{
    if (!r->target || !r->target->is_socket) {
        wr_respond_error(r, 500, NULL);
        return WR_INVALID;
    }
    if (!r->conn || wr_stopping(r->app)) {
        wr_respond_error(r, 503, "the server is stopping");
        return WR_CLOSED;
    }
    if (r->not_a_handshake) {
        refuse_handshake(r, 426, not_a_handshake);
        return WR_CLOSED;
    }
    struct wr_socket *s = socket_new(r, user);
    int rc = s ? send_handshake(r) : WR_MEMORY;
    if (rc < 0) {
        free(s);
        r->bad_fields = true; /* a 500, whatever it was */
        wr_respond_empty(r, 500);
        return rc == WR_MEMORY ? WR_CLOSED : WR_INVALID;
    }
    connection_upgrade(r->conn, s);
    request_release(r);
    if (handlers_of(s)->open) handlers_of(s)->open(s, s->target->context);
    return WR_OK;
}

/* --- ending --- */

/* Tells the owner, once, and frees. The connection no longer knows it. */
static void end(struct wr_socket *s, int code, const char *reason)
{
    if (handlers_of(s)->close) handlers_of(s)->close(s, code, reason, s->target->context);
    ws_reader_deinit(&s->reader);
    free(s);
}

void socket_lost(struct wr_socket *s)
{
    /* Calls from within the close callback must find a closed socket. */
    s->closing_ms = now_of(s);
    end(s, WR_CLOSE_LOST, "the connection was lost");
}

static void put_close(struct wr_socket *s, unsigned code, slice reason)
{
    uint8_t head[WS_FRAME_HEAD_MAX], payload[WS_CONTROL_BYTES_MAX];
    struct writer w = writer_of(payload, sizeof payload);
    if (code != WR_CLOSE_NONE) {
        writer_byte(&w, (uint8_t)(code >> 8));
        writer_byte(&w, (uint8_t)code);
        writer_put(&w, reason);
    }
    size_t n = ws_frame_write(&(struct ws_frame){.fin = true, .opcode = WS_CLOSE, .len = w.len}, head);
    /* Without memory the close frame is missing, and the other side sees a lost connection. */
    if (stream_put(&s->conn->stream, slice_of(head, n)) < 0 ||
        stream_put(&s->conn->stream, writer_slice(&w)) < 0)
        stream_finish(&s->conn->stream);
}

/* The close handshake is over, or cannot be: the connection goes on without the socket. */
static void leave(struct wr_socket *s, int code, const char *reason)
{
    struct connection *conn = s->conn;
    s->closing_ms = now_of(s);
    conn->socket = NULL;
    connection_linger(conn);
    end(s, code, reason);
}

/* The client broke the rules. */
static void fail(struct wr_socket *s, int err)
{
    int code = err == ERR_MALFORMED   ? WR_CLOSE_NOT_UTF8
               : err == ERR_TOO_LARGE ? WR_CLOSE_TOO_LARGE
               : err == ERR_MEMORY    ? WR_CLOSE_ERROR
                                      : WR_CLOSE_PROTOCOL;
    const char *reason = err == ERR_MALFORMED   ? "the text is not UTF-8"
                         : err == ERR_TOO_LARGE ? "the message is too large"
                         : err == ERR_MEMORY    ? "out of memory"
                                                : "this frame is against the protocol";
    if (!s->closing_ms) put_close(s, (unsigned)code, slice_text(reason));
    leave(s, code, reason);
}

static bool reason_valid(slice reason)
{
    return reason.len <= WS_CONTROL_BYTES_MAX - 2 && utf8_valid(reason);
}

void wr_socket_close(struct wr_socket *s, int code, const char *reason)
{
    if (s->closing_ms) return;
    slice text = slice_text(reason);
    if (code < 0 || !ws_close_code_valid((unsigned)code) || !reason_valid(text)) {
        app_log(s->conn->worker->app, WR_LOG_ERROR,
                "wr_socket_close was given a code or reason that is not valid");
        code = WR_CLOSE_ERROR;
        text = SLICE_EMPTY;
    }
    put_close(s, (unsigned)code, text);
    s->closing_ms = now_of(s);
    wr_socket_resume(s); /* the answer must be read */
    connection_arm(s->conn);
}

/* --- receiving --- */

static void pong(struct wr_socket *s, slice payload)
{
    uint8_t head[WS_FRAME_HEAD_MAX];
    /* A client that pings and does not read fills its own queue: it is owed the latest pong only (5.5.3). */
    if (s->closing_ms || stream_queued(&s->conn->stream) > handlers_of(s)->queue_bytes_high) return;
    size_t n = ws_frame_write(&(struct ws_frame){.fin = true, .opcode = WS_PONG, .len = payload.len}, head);
    if (stream_put(&s->conn->stream, slice_of(head, n)) == OK) (void)!stream_put(&s->conn->stream, payload);
}

static void closed_by_client(struct wr_socket *s, const struct ws_event *event)
{
    char reason[WS_CONTROL_BYTES_MAX] = {0};
    if (event->payload.len) memcpy(reason, event->payload.ptr, event->payload.len);
    if (!s->closing_ms) put_close(s, event->close_code, SLICE_EMPTY);
    leave(s, (int)event->close_code, reason);
}

/* False when the socket is gone. */
static bool take_event(struct wr_socket *s, const struct ws_event *event)
{
    switch (event->opcode) {
    case WS_TEXT:
    case WS_BINARY:
        if (!s->closing_ms)
            handlers_of(s)->message(s, event->opcode == WS_TEXT ? WR_TEXT : WR_BINARY, event->payload.ptr,
                                    event->payload.len, s->target->context);
        return true;
    case WS_PING: pong(s, event->payload); return true;
    case WS_CLOSE: closed_by_client(s, event); return false;
    case WS_PONG:
    case WS_CONTINUATION: break;
    }
    return true;
}

size_t socket_input(struct wr_socket *s, uint8_t *bytes, size_t len)
{
    uint8_t *at = bytes;
    size_t left = len;
    s->received_ms = now_of(s);
    while (!s->paused) {
        struct ws_event event;
        int rc = ws_reader_next(&s->reader, &at, &left, &event);
        if (rc == ERR_AGAIN) break;
        if (rc < 0) {
            fail(s, rc);
            return len;
        }
        if (!take_event(s, &event)) return len;
    }
    return len - left;
}

bool socket_paused(const struct wr_socket *s)
{
    return s->paused;
}

void wr_socket_pause(struct wr_socket *s)
{
    if (s->paused || s->closing_ms) return;
    s->paused = true;
    stream_read(&s->conn->stream, false);
}

void wr_socket_resume(struct wr_socket *s)
{
    if (!s->paused) return;
    s->paused = false;
    s->received_ms = now_of(s);
    connection_resume(s->conn);
}

/* --- sending --- */

static int64_t queued_after(struct wr_socket *s)
{
    size_t queued = stream_queued(&s->conn->stream);
    if (queued >= handlers_of(s)->queue_bytes_high) s->wants_drain = true;
    return (int64_t)queued;
}

static bool parts_are_text(const struct wr_bytes *parts, size_t count, size_t total)
{
    if (count == 1) return utf8_valid(slice_of(parts[0].ptr, parts[0].len));
    uint8_t *joined = malloc(total ? total : 1);
    if (!joined) return false;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len) memcpy(joined + n, parts[i].ptr, parts[i].len);
        n += parts[i].len;
    }
    bool valid = utf8_valid(slice_of(joined, total));
    free(joined);
    return valid;
}

int64_t wr_socket_send_parts(struct wr_socket *s, enum wr_message kind, const struct wr_bytes *parts,
                             size_t count)
{
    struct stream *stream = &s->conn->stream;
    size_t total = 0, max = handlers_of(s)->queue_bytes_max;
    if (s->closing_ms) return WR_CLOSED;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > SIZE_MAX / 2 - total) return WR_FULL;
        total += parts[i].len;
    }
    size_t queued = stream_queued(stream);
    if (total > max || queued > max - total) return WR_FULL;
    if (kind == WR_TEXT && !parts_are_text(parts, count, total)) return WR_INVALID;
    uint8_t head[WS_FRAME_HEAD_MAX];
    struct ws_frame frame = {.fin = true, .opcode = kind == WR_TEXT ? WS_TEXT : WS_BINARY, .len = total};
    size_t head_len = ws_frame_write(&frame, head);
    /* All or nothing: half a frame would break the connection. */
    uint8_t *room = stream_room(stream, head_len + total);
    if (!room) return stream->closing || stream->finish ? WR_CLOSED : WR_MEMORY;
    memcpy(room, head, head_len);
    room += head_len;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len) memcpy(room, parts[i].ptr, parts[i].len);
        room += parts[i].len;
    }
    stream_flush_large(stream);
    return queued_after(s);
}

int64_t wr_socket_send(struct wr_socket *s, enum wr_message kind, const void *bytes, size_t len)
{
    return wr_socket_send_parts(s, kind, &(struct wr_bytes){bytes, len}, 1);
}

int64_t wr_socket_send_json(struct wr_socket *s, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text) return json ? WR_MEMORY : WR_INVALID;
    int64_t rc = wr_socket_send(s, WR_TEXT, text, strlen(text));
    free(text);
    return rc;
}

size_t wr_socket_queued(const struct wr_socket *s)
{
    return stream_queued(&s->conn->stream);
}

void socket_flushed(struct wr_socket *s)
{
    if (!s->wants_drain || s->closing_ms) return;
    if (stream_queued(&s->conn->stream) > handlers_of(s)->queue_bytes_high / 4) return;
    s->wants_drain = false;
    if (handlers_of(s)->drain) handlers_of(s)->drain(s, s->target->context);
}

/* --- time --- */

static void ping(struct wr_socket *s, uint64_t now_ms)
{
    uint8_t head[WS_FRAME_HEAD_MAX];
    size_t n = ws_frame_write(&(struct ws_frame){.fin = true, .opcode = WS_PING}, head);
    (void)!stream_put(&s->conn->stream, slice_of(head, n)); /* the next one may find memory */
    s->ping_ms = now_ms + handlers_of(s)->ping_interval_ms;
}

uint64_t socket_deadline(struct wr_socket *s, uint64_t now_ms)
{
    uint64_t dead_ms = s->closing_ms ? s->closing_ms + CLOSE_TIMEOUT_MS
                       : s->paused   ? UINT64_MAX
                                     : s->received_ms + handlers_of(s)->idle_timeout_ms;
    if (dead_ms <= now_ms) {
        connection_cut(s->conn);
        return 0;
    }
    if (s->closing_ms) return dead_ms;
    if (s->ping_ms <= now_ms) ping(s, now_ms);
    return dead_ms < s->ping_ms ? dead_ms : s->ping_ms;
}

/* --- small things --- */

struct wr_worker *wr_socket_worker(const struct wr_socket *s)
{
    return s->conn->worker;
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
