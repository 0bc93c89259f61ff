#include "web/body.h"

#include "web/connection.h"

/* The next piece: OK; ERR_AGAIN: more input is needed; ERR_CLOSED: it has ended; or what is wrong. */
static int next_piece(struct wr_request *r, slice *input, slice *out)
{
    const struct http_head *head = &r->parser.head;
    if (head->body == HTTP_BODY_CHUNKED) return http_chunked_next(&r->chunked, input, out);
    if (head->body == HTTP_BODY_NONE || r->received == head->content_length) return ERR_CLOSED;
    if (input->len == 0) return ERR_AGAIN;
    uint64_t left = head->content_length - r->received;
    *out = slice_sub(*input, 0, left < input->len ? (size_t)left : input->len);
    *input = slice_sub(*input, out->len, input->len);
    return OK;
}

static void count(struct wr_request *r, slice piece)
{
    r->received += piece.len;
    if (r->parser.head.body == HTTP_BODY_LENGTH && r->received == r->parser.head.content_length)
        r->body_done = true;
}

/* --- taken --- */

static void complete(struct wr_request *r)
{
    const struct target *target = r->target;
    r->body_done = true;
    r->dispatched = true;
    if (r->conn->state == CONNECTION_BODY) connection_set_state(r->conn, CONNECTION_ANSWER);
    if (target->is_body)
        target->body.end(r, target->context);
    else
        target->handler(r, target->context);
}

static void refuse(struct connection *conn, int err)
{
    if (err == ERR_TOO_LARGE)
        connection_refuse(conn, 413, "the body is too large");
    else if (err == ERR_MEMORY)
        connection_refuse(conn, 503, "out of memory; try again later");
    else
        connection_refuse(conn, 400, "the chunked body is not valid");
}

void body_input(struct connection *conn, slice *input)
{
    struct wr_request *r = conn->request;
    const struct target *target = r->target;
    slice piece;
    int rc;
    while ((rc = next_piece(r, input, &piece)) == OK) {
        count(r, piece);
        if (target->is_body)
            target->body.data(r, piece.ptr, piece.len, target->context);
        else
            buffer_put(&r->body, piece);
        if (conn->request != r || conn->state != CONNECTION_BODY || r->paused) return;
        if (r->body.failed) {
            refuse(conn, ERR_MEMORY);
            return;
        }
    }
    if (rc == ERR_CLOSED)
        complete(r);
    else if (rc != ERR_AGAIN)
        refuse(conn, rc);
}

/* True when the connection is still good. */
static bool send_continue(struct wr_request *r)
{
    if (!r->continue_due || r->paused || r->flow.begun) return true;
    r->continue_due = false;
    return stream_put(&r->conn->stream, SLICE("HTTP/1.1 100 Continue\r\n\r\n")) == OK;
}

static void receive(struct wr_request *r, uint64_t max)
{
    struct connection *conn = r->conn;
    r->dispatched = false;
    r->body.max = max > SIZE_MAX ? SIZE_MAX : (size_t)max;
    r->chunked.body_bytes_max = max;
    connection_set_state(conn, CONNECTION_BODY);
    if (!send_continue(r)) connection_cut(conn);
}

void body_begin(struct wr_request *r)
{
    const struct http_head *head = &r->parser.head;
    const struct target *target = r->target;
    const struct connection *conn = r->conn;
    uint64_t max = target->is_body ? target->body.body_bytes_max : r->app->config.body_bytes_max;
    if (head->body == HTTP_BODY_LENGTH && head->content_length > max) {
        r->over_limit = true;
        wr_respond_error(r, 413, "the body is too large");
        return;
    }
    if (target->is_body && target->body.begin) {
        target->body.begin(r, target->context);
        if (conn->request != r || r->answered) return;
    }
    if (r->body_done && !r->paused)
        complete(r);
    else
        receive(r, max);
}

/* --- unwanted --- */

bool body_is_long(const struct wr_request *r)
{
    const struct http_head *head = &r->parser.head;
    if (r->body_done) return false;
    /* It is not sure that it will come at all: only the end of the connection makes that clear. */
    if (r->continue_due) return true;
    return head->body == HTTP_BODY_LENGTH && head->content_length - r->received > BODY_SKIP_BYTES_MAX;
}

void body_skip(struct connection *conn, slice *input)
{
    struct wr_request *r = conn->request;
    slice piece;
    int rc;
    while ((rc = next_piece(r, input, &piece)) == OK) {
        r->received += piece.len;
        if (piece.len > r->flow.left) break;
        r->flow.left -= piece.len;
    }
    if (rc == ERR_AGAIN) return;
    if (rc == ERR_CLOSED && !wr_stopping(r->app))
        connection_skipped(conn);
    else
        connection_linger(conn); /* it has its answer, and hears nothing more */
}

/* --- time --- */

uint64_t body_time_ms(const struct wr_request *r)
{
    uint64_t ms = r->worker->settings->body_timeout_ms;
    if (r->paused || ms == 0) return 0;
    return r->target->is_body ? ms + r->received / BODY_RATE_MIN * 1000 : ms;
}

/* --- what a handler of pieces asks --- */

void wr_request_pause(struct wr_request *r)
{
    if (r->paused) return;
    r->paused = true;
    r->paused_ms = net_loop_now(&r->worker->loop);
}

void wr_request_resume(struct wr_request *r)
{
    struct connection *conn = r->conn;
    if (!r->paused) return;
    r->paused = false;
    if (!conn || conn->state != CONNECTION_BODY) return;
    conn->since_ms += net_loop_now(&r->worker->loop) - r->paused_ms;
    if (send_continue(r))
        connection_resume(conn);
    else
        connection_doom(conn);
}

uint64_t wr_request_received(const struct wr_request *r)
{
    return r->received;
}

int64_t wr_request_length(const struct wr_request *r)
{
    const struct http_head *head = &r->parser.head;
    if (head->body == HTTP_BODY_CHUNKED) return r->body_done ? (int64_t)r->received : -1;
    return head->body == HTTP_BODY_LENGTH ? (int64_t)head->content_length : 0;
}

/* --- what follows the body --- */

void body_keep_trailers(struct wr_request *r)
{
    r->came_after = arena_take(&r->arena, sizeof *r->came_after);
    if (!r->came_after) return; /* then there are none */
    buffer_init(r->came_after, &allocator_libc, CHUNKED_TRAILER_BYTES_MAX);
    http_chunked_keep_trailers(&r->chunked, r->came_after);
}

const char *wr_request_trailer(struct wr_request *r, const char *name)
{
    if (!r->came_after || !r->body_done) return NULL;
    slice rest = buffer_slice(r->came_after), field, value;
    while (http_trailer_next(&rest, &field, &value)) {
        if (slice_equal_nocase(field, slice_text(name))) return arena_text(&r->arena, value);
    }
    return NULL;
}
