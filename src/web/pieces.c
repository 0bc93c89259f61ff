/* pieces.c - answers in pieces. */
#include "http/response.h"
#include "http/token.h"
#include "web/answer.h"
#include "web/body.h"
#include "web/connection.h"

enum {
    PIECES_WAITING_MAX = 16 * 1024 * 1024, /* bytes that may wait for one client */
    PIECES_LOW = WR_RESPONSE_HIGH / 4,
    TRAILER_BYTES_MAX = 16 * 1024,
};

/* --- begin --- */

int wr_respond_begin(struct wr_request *r, int status, const char *content_type, int64_t length)
{
    struct connection *conn = r->conn;
    slice type = slice_text(content_type);
    if (!field_value_valid(type) || length < -1) r->bad_fields = true;
    bool valid = answer_check(r, status);
    if (!conn) return WR_CLOSED;
    int rc;
    if (valid) {
        r->flow.begun = true;
        r->flow.left = length < 0 ? 0 : (uint64_t)length;
        buffer_init(&r->trailers, &allocator_libc, TRAILER_BYTES_MAX);
        struct answer answer = {.status = status, .content_type = type};
        rc = answer_head(r, &answer, length < 0 ? HTTP_NO_LENGTH : (uint64_t)length);
    } else {
        rc = answer_broken(r);
    }
    connection_arm(conn);
    if (valid && rc == OK) return WR_OK;
    answer_detach(r);
    if (rc < 0)
        connection_cut(conn);
    else
        connection_linger(conn);
    return valid ? WR_CLOSED : WR_INVALID;
}

/* --- pieces --- */

/* Room for a piece within the queue, framed as the answer is. NULL without memory. */
static uint8_t *piece_room(struct wr_request *r, size_t len)
{
    struct stream *stream = &r->conn->stream;
    if (r->flow.framing != FRAMING_CHUNKED) return stream_room(stream, len);
    uint8_t head[CHUNKED_HEAD_BYTES_MAX];
    struct writer w = writer_of(head, sizeof head);
    http_chunk_head_write(&w, len);
    uint8_t *room = stream_room(stream, w.len + len + HTTP_CHUNK_END.len);
    if (!room) return NULL;
    struct writer out = writer_of(room, w.len + len + HTTP_CHUNK_END.len);
    writer_put(&out, writer_slice(&w));
    struct writer end = writer_of(room + w.len + len, HTTP_CHUNK_END.len);
    writer_put(&end, HTTP_CHUNK_END);
    return room + w.len;
}

int64_t pieces_room(struct wr_request *r, size_t len, uint8_t **out_room)
{
    struct connection *conn = r->conn;
    *out_room = NULL;
    if (!conn || conn->doomed) return WR_CLOSED;
    if (!r->flow.begun) return WR_INVALID;
    size_t waiting = stream_queued(&conn->stream);
    if (!answer_has_body(r) || len == 0) return (int64_t)waiting;
    if (len > PIECES_WAITING_MAX || waiting > PIECES_WAITING_MAX - len) return WR_FULL;
    if (r->flow.framing == FRAMING_LENGTH && len > r->flow.left) return WR_FULL;
    *out_room = piece_room(r, len);
    if (*out_room) {
        if (r->flow.framing == FRAMING_LENGTH) r->flow.left -= len;
        r->answer_bytes += len;
        return WR_OK;
    }
    connection_doom(conn);
    return WR_MEMORY;
}

int64_t pieces_filled(struct wr_request *r)
{
    struct stream *stream = &r->conn->stream;
    stream_flush_large(stream);
    size_t waiting = stream_queued(stream);
    if (waiting >= WR_RESPONSE_HIGH) r->flow.wants_drain = true;
    return (int64_t)waiting;
}

int64_t wr_respond_write(struct wr_request *r, const void *bytes, size_t len)
{
    uint8_t *room;
    int64_t rc = pieces_room(r, len, &room);
    if (!room) return rc;
    struct writer w = writer_of(room, len);
    writer_put(&w, slice_of(bytes, len));
    return pieces_filled(r);
}

void wr_response_on_drain(struct wr_request *r, wr_handler handler, void *context)
{
    r->flow.drain = handler;
    r->flow.drain_context = context;
}

void pieces_flushed(struct wr_request *r)
{
    if (stream_queued(&r->conn->stream) >= PIECES_LOW) return;
    r->flow.wants_drain = false;
    if (r->flow.drain) r->flow.drain(r, r->flow.drain_context);
}

/* --- end --- */

void wr_response_trailer(struct wr_request *r, const char *name, const char *value)
{
    slice n = slice_text(name), v = slice_text(value);
    if (!r->conn || r->flow.framing != FRAMING_CHUNKED || !r->flow.begun) return;
    if (!list_has(request_field(r, "TE"), SLICE("trailers"))) return;
    size_t size = n.len + v.len + sizeof ": \r\n";
    if (buffer_reserve(&r->trailers, size) < 0) return; /* failed: the end will see it */
    struct writer w = writer_of(r->trailers.ptr + r->trailers.len, size);
    if (http_trailer_write(&w, n, v) == OK)
        r->trailers.len += w.len;
    else
        app_log(r->app, WR_LOG_ERROR, "the answer to %s has a trailer field that is not valid", r->path);
}

int pieces_put_end(struct wr_request *r)
{
    struct stream *stream = &r->conn->stream;
    if (r->flow.framing == FRAMING_LENGTH) return r->flow.left == 0 ? OK : ERR_WRONG_STATE;
    if (r->flow.framing != FRAMING_CHUNKED) return OK;
    if (r->trailers.failed) return ERR_MEMORY;
    if (r->trailers.len == 0) return stream_put(stream, HTTP_CHUNKED_END);
    int rc = stream_put(stream, HTTP_CHUNKED_LAST);
    if (rc == OK) rc = stream_put(stream, buffer_slice(&r->trailers));
    return rc == OK ? stream_put(stream, HTTP_CHUNK_END) : rc;
}

void wr_respond_end(struct wr_request *r)
{
    struct connection *conn = r->conn;
    if (conn && !r->flow.begun) {
        app_log(r->app, WR_LOG_ERROR, "the answer to %s was ended before it began", r->path);
        wr_respond_error(r, 500, NULL);
        return;
    }
    int rc = conn && !conn->doomed ? pieces_put_end(r) : ERR_CLOSED;
    /* What is known only now: how much of the body has come, and whether the server goes on. */
    r->flow.close |= wr_stopping(r->app) || body_is_long(r);
    answer_done(r, rc);
    if (conn) connection_arm(conn); /* an answer under way has no deadline */
}

void wr_respond_abort(struct wr_request *r)
{
    answer_done(r, ERR_CLOSED);
}
