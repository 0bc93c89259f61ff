#include "web/intake.h"

#include <stdlib.h>

#include "web/answer.h"
#include "web/body.h"

int app_intake(struct wr_app *app, const struct wr_body_handlers *handlers, void *context)
{
    struct target *target = calloc(1, sizeof *target);
    if (!target) return ERR_MEMORY;
    *target = (struct target){.group = &app->root, .context = context, .body = *handlers, .is_body = true};
    target->body.body_bytes_max = UINT64_MAX;
    free(app->intake);
    app->intake = target;
    return OK;
}

void intake_on_gone(struct wr_request *r, wr_handler handler, void *context)
{
    r->gone = handler;
    r->gone_context = context;
    r->half_close_ok = true;
}

/* --- the answer --- */

uint8_t *intake_room(struct wr_request *r, size_t max)
{
    return stream_room(&r->conn->stream, max);
}

bool intake_closes(const struct wr_request *r)
{
    return !r->parser.head.keep_alive || r->over_limit || wr_stopping(r->app) ||
           (!r->body_done && body_is_long(r));
}

void intake_head(struct wr_request *r, const struct intake_head *head)
{
    stream_trim(&r->conn->stream, head->max - head->used);
    r->status = (uint16_t)head->status;
    r->flow.framing = (uint8_t)head->framing;
    r->flow.left = head->length;
    r->flow.close = head->close;
    r->flow.begun = true;
    buffer_init(&r->trailers, &allocator_libc, 0);
}

static int put_chunk(struct stream *stream, slice bytes)
{
    uint8_t head[CHUNKED_HEAD_BYTES_MAX];
    struct writer w = writer_of(head, sizeof head);
    http_chunk_head_write(&w, bytes.len);
    int rc = stream_put(stream, writer_slice(&w));
    if (rc == OK) rc = stream_lend(stream, bytes);
    return rc == OK ? stream_put(stream, HTTP_CHUNK_END) : rc;
}

void intake_write(struct wr_request *r, slice bytes)
{
    struct connection *conn = r->conn;
    if (bytes.len == 0 || r->flow.framing == FRAMING_NONE) return;
    int rc = r->flow.framing == FRAMING_CHUNKED ? put_chunk(&conn->stream, bytes)
                                                : stream_lend(&conn->stream, bytes);
    intake_passed(r, bytes.len);
    if (rc < 0) connection_doom(conn);
}

size_t intake_push(struct wr_request *r)
{
    struct stream *stream = &r->conn->stream;
    stream_repay(stream);
    return stream_queued(stream);
}

void intake_passed(struct wr_request *r, size_t n)
{
    if (r->flow.framing == FRAMING_LENGTH) r->flow.left -= n;
    r->answer_bytes += n;
}

void intake_await_drain(struct wr_request *r)
{
    r->flow.wants_drain = true;
}

void intake_end(struct wr_request *r, slice trailers)
{
    struct stream *stream = &r->conn->stream;
    int rc = OK;
    if (r->flow.framing == FRAMING_CHUNKED && trailers.len == 0) {
        rc = stream_put(stream, HTTP_CHUNKED_END);
    } else if (r->flow.framing == FRAMING_CHUNKED) {
        rc = stream_put(stream, HTTP_CHUNKED_LAST);
        if (rc == OK) rc = stream_put(stream, trailers);
        if (rc == OK) rc = stream_put(stream, HTTP_CHUNK_END);
    }
    r->flow.close |= wr_stopping(r->app) || body_is_long(r);
    answer_done(r, rc);
}

/* --- tunnels --- */

void intake_tunnel(struct wr_request *r, struct tunnel *tunnel)
{
    struct connection *conn = r->conn;
    conn->request = NULL;
    conn->tunnel = tunnel;
    conn->tunnelled = true;
    tunnel->conn = conn;
    request_release(r);
    connection_set_state(conn, CONNECTION_TUNNEL);
    connection_resume(conn);
    connection_arm(conn);
}

void tunnel_pause(struct tunnel *tunnel, bool paused)
{
    if (tunnel->paused == paused || !tunnel->conn) return;
    tunnel->paused = paused;
    if (paused)
        stream_read(&tunnel->conn->stream, false);
    else
        connection_resume(tunnel->conn);
}

void tunnel_close(struct tunnel *tunnel, bool cut)
{
    struct connection *conn = tunnel->conn;
    if (!conn) return;
    tunnel->conn = NULL;
    conn->tunnel = NULL;
    conn->tunnelled = false;
    connection_linger(conn);
    if (cut) connection_doom(conn);
}
