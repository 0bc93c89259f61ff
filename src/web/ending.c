/* ending.c - what becomes of a connection after an answer, a refusal, or an error. */
#include <assert.h>
#include <stdlib.h>

#include "http/response.h"
#include "web/answer.h"
#include "web/body.h"
#include "web/connection.h"
#include "web/intake.h"

void connection_drop_kept(struct connection *conn)
{
    if (!conn->in) return;
    buffer_reset(conn->in);
    free(conn->in);
    conn->in = NULL;
}

void connection_drop_request(struct connection *conn)
{
    struct wr_request *request = conn->request;
    if (!request) return;
    answer_detach(request);
    request_lost(request);
}

void connection_cut(struct connection *conn)
{
    if (conn->state == CONNECTION_CLOSED) return;
    connection_set_state(conn, CONNECTION_CLOSED);
    wheel_remove(&conn->worker->loop.wheel, &conn->timer);
    connection_drop_request(conn);
    if (conn->tunnelled) {
        conn->tunnel->conn = NULL;
        conn->tunnel->events->gone(conn->tunnel);
    } else if (conn->socket) {
        socket_lost(conn->socket, NULL);
    }
    conn->socket = NULL;
    stream_close(&conn->stream);
}

void connection_doom(struct connection *conn)
{
    conn->doomed = true;
    stream_wake(&conn->stream);
}

void connection_linger(struct connection *conn)
{
    if (conn->state >= CONNECTION_LINGER) return;
    connection_set_state(conn, CONNECTION_LINGER);
    connection_drop_request(conn);
    if (conn->in) { /* the handler that answered may still look at its piece: freed at the end of the turn */
        conn->in->len = 0;
        connection_resume(conn);
    }
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
    bool begun = conn->request && conn->request->flow.begun;
    bool bodiless = conn->request && conn->request->parser.head.is_head;
    bool known = conn->request && conn->request->head;
    if (known && !begun) { /* it is counted and written down when it is released */
        conn->request->status = (uint16_t)status;
        conn->request->answer_bytes = bodiless ? 0 : text.len;
    }
    connection_drop_request(conn);
    if (begun) { /* half an answer is out: the client must see that no more comes */
        connection_cut(conn);
        return;
    }
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
    if (!known) access_refused(conn, status, text.len);
    connection_linger(conn);
}

/* The next request may come. */
static void next_request(struct connection *conn)
{
    conn->request = NULL;
    connection_set_state(conn, CONNECTION_HEAD);
    /* Reading may have stopped when much was kept, all of which the body has used up meanwhile. */
    if (connection_kept(conn) > 0 || conn->ended || !conn->stream.reading) connection_resume(conn);
}

/* A client that asked for the end and has sent its request sends nothing more that a reset could harm: no
 * need to linger. */
static bool has_said_all(const struct connection *conn)
{
    return !conn->request->parser.head.keep_alive && connection_kept(conn) == 0 && conn->request->body_done;
}

void connection_answered(struct connection *conn)
{
    struct wr_request *request = conn->request;
    bool close = request->flow.close, expected = has_said_all(conn);
    if (!close && !request->body_done) {
        request->dispatched = false;
        request->answered = true;
        request->flow.left = BODY_SKIP_BYTES_MAX;
        connection_set_state(conn, CONNECTION_SKIP);
        connection_resume(conn);
        return;
    }
    request_release(request);
    conn->request = NULL;
    if (!close) {
        next_request(conn);
    } else if (expected) {
        connection_set_state(conn, CONNECTION_LINGER);
        stream_last(&conn->stream);
        conn->close_flushed = true;
    } else {
        connection_linger(conn);
    }
    connection_arm(conn); /* perhaps nothing comes from the client any more that would */
}

void connection_skipped(struct connection *conn)
{
    request_release(conn->request);
    next_request(conn);
}

void connection_drain(struct connection *conn)
{
    if (conn->state == CONNECTION_SOCKET)
        wr_socket_close(conn->socket, WR_CLOSE_GOING_AWAY, "the server is stopping");
    else if (conn->state == CONNECTION_TUNNEL)
        conn->tunnel->events->stop(conn->tunnel);
    else if ((conn->state == CONNECTION_HEAD && !conn->request) || conn->state == CONNECTION_SKIP)
        connection_linger(conn);
    else if (conn->state == CONNECTION_ANSWER && conn->request->flow.events)
        events_stop(conn->request);
}
