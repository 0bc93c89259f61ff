/* answer.c - an answer on its way from a server to the client. */
#include "proxy/exchange.h"

#include <stdio.h>
#include <string.h>

static uint64_t now_ns(void)
{
    return uv_hrtime();
}

/* --- the end --- */

/* The answer is complete. keep: the connection can be used again. */
static void finish(struct exchange *x, bool keep)
{
    struct forward *f = x->forward;
    struct wr_request *r = x->request;
    struct group *group = x->group;
    struct buffer trailers;
    exchange_trailers(&x->trailers, &trailers);
    exchange_note(x);
    bool sent = x->request_done && stream_queued(&x->conn->stream) == 0;
    struct server_connection *conn = exchange_release_server(x);
    if (keep && sent)
        server_keep(conn, group->config);
    else if (!sent)
        server_abandon(conn);
    else
        server_close(conn);
    struct site *site = list_empty(&f->waiting) ? NULL : site_hold(x->site);
    exchange_free(x);
    wr_request_set_user(r, NULL);
    intake_end(r, buffer_slice(&trailers)); /* without them when there is no memory */
    buffer_reset(&trailers);
    if (!site) return;
    forward_serve_waiting(f, group);
    site_release(site);
}

/* The server broke off: the client must see that something is missing. */
static void break_off(struct exchange *x, const char *why)
{
    snprintf(x->why, sizeof x->why, "%s", why);
    upstream_failed(x->forward->shared->registry, x->group, x->upstream, forward_now(x->forward), why);
    exchange_fail(x, 502, 0);
}

/* --- the body --- */

static void on_drain(struct wr_request *request, void *context)
{
    (void)request;
    struct exchange *x = context;
    if (!x->stalled || !x->conn) return;
    x->stalled = false;
    server_moved(x->conn);
    stream_read(&x->conn->stream, true);
}

static void pass(struct exchange *x, slice bytes)
{
    intake_write(x->request, bytes);
    atomic_fetch_add_explicit(&x->upstream->received_bytes, bytes.len, memory_order_relaxed);
}

/* More is to come, but not at once. */
static void push(struct exchange *x)
{
    if (intake_push(x->request) < x->location->buffer) return;
    intake_await_drain(x->request);
    if (x->stalled) return;
    x->stalled = true;
    stream_read(&x->conn->stream, false);
}

static void take_length(struct exchange *x, slice input)
{
    slice piece = slice_sub(input, 0, x->left < input.len ? (size_t)x->left : input.len);
    pass(x, piece);
    x->left -= piece.len;
    struct stream *server = &x->conn->stream, *client = &x->request->conn->stream;
    if (x->left == 0) {
        finish(x, x->parser.head.keep_alive && piece.len == input.len);
        return;
    }
    if (x->left >= EXCHANGE_SPLICE_MIN && !x->splicing && stream_can_splice(server, client))
        x->splicing = stream_splice(server, client, x->left) == OK;
    if (!x->splicing) push(x); /* else it leaves with what is spliced */
}

static void take_chunked(struct exchange *x, slice input)
{
    slice piece;
    int rc;
    while ((rc = http_chunked_next(&x->chunked, &input, &piece)) == OK)
        pass(x, piece);
    if (rc == ERR_CLOSED)
        finish(x, x->parser.head.keep_alive && input.len == 0);
    else if (rc == ERR_AGAIN)
        push(x);
    else
        break_off(x, "the chunks of the answer are not valid");
}

static void take_body(struct exchange *x, slice input)
{
    switch (x->parser.head.body) {
    case HTTP_BODY_NONE: finish(x, x->parser.head.keep_alive && input.len == 0); break;
    case HTTP_BODY_LENGTH:
        if (input.len > 0 || x->left == 0) take_length(x, input);
        break;
    case HTTP_BODY_CHUNKED: take_chunked(x, input); break;
    case HTTP_BODY_UNTIL_CLOSE:
        pass(x, input);
        push(x);
        break;
    }
}

void exchange_spliced(struct exchange *x, size_t n)
{
    intake_passed(x->request, n);
    atomic_fetch_add_explicit(&x->upstream->received_bytes, n, memory_order_relaxed);
    x->left -= n;
    if (x->left > 0) return;
    x->splicing = false;
    finish(x, x->parser.head.keep_alive);
}

/* --- the head --- */

static enum framing framing_of(const struct exchange *x)
{
    const struct http_response_head *head = &x->parser.head;
    switch (head->body) {
    case HTTP_BODY_NONE: return FRAMING_NONE;
    case HTTP_BODY_LENGTH: return FRAMING_LENGTH;
    case HTTP_BODY_CHUNKED:
    case HTTP_BODY_UNTIL_CLOSE: break;
    }
    return x->request->parser.head.minor == 0 ? FRAMING_CLOSE : FRAMING_CHUNKED;
}

static enum answer_framing words_of(enum framing framing)
{
    static const uint8_t words[] = {[FRAMING_NONE] = ANSWER_FRAMING_NONE,
                                    [FRAMING_LENGTH] = ANSWER_FRAMING_LENGTH,
                                    [FRAMING_CHUNKED] = ANSWER_FRAMING_CHUNKED,
                                    [FRAMING_CLOSE] = ANSWER_FRAMING_CLOSE};
    return (enum answer_framing)words[framing];
}

/* The cookie that brings the client back to this server; empty: it has it, or none is used. */
static slice sticky_field(const struct exchange *x, char *out, size_t size)
{
    char value[17];
    const struct config_group *group = x->group->config;
    if (group->policy != POLICY_STICKY) return SLICE_EMPTY;
    group_sticky_value(x->group, x->member, value);
    if (slice_equal(x->sticky, slice_text(value))) return SLICE_EMPTY;
    int len = snprintf(out, size, "Set-Cookie: %s=%s; Path=/; HttpOnly; SameSite=Lax%s\r\n", group->cookie,
                       value, x->request->secure ? "; Secure" : "");
    return len > 0 && (size_t)len < size ? slice_of(out, (size_t)len) : SLICE_EMPTY;
}

/* Writes the head for the client. False: no memory, the exchange is over. */
static bool put_head(struct exchange *x, slice bytes, struct intake_head *out)
{
    char cookie[400];
    struct wr_request *r = x->request;
    const struct http_response_head *head = &x->parser.head;
    struct rewrite_answer in = {
        .head = head,
        .bytes = bytes,
        .framing = words_of(out->framing),
        .close = out->close,
        .keep_alive = !out->close && r->parser.head.minor == 0,
        .upgrade = head->tunnel,
        .date = slice_text(worker_date(r->worker)),
        .request_id = head->interim ? SLICE_EMPTY : x->id,
        .fields = head->interim || head->tunnel ? SLICE_EMPTY : sticky_field(x, cookie, sizeof cookie),
    };
    out->max = rewrite_answer_bound(&in);
    uint8_t *room = intake_room(r, out->max);
    if (room) {
        struct writer w = writer_of(room, out->max);
        if (rewrite_answer(&in, &w) == OK) {
            out->used = w.len;
            return true;
        }
        stream_trim(&r->conn->stream, out->max);
    }
    snprintf(x->why, sizeof x->why, "there is no memory for the answer");
    exchange_fail(x, 503, 1);
    return false;
}

/* 1xx but 101: handed on, but 100, which the proxy says itself (RFC 9110 15.2). False: the exchange is over.
 */
static bool take_interim(struct exchange *x, slice bytes)
{
    struct wr_request *r = x->request;
    struct intake_head head = {.framing = FRAMING_NONE};
    if (++x->interims > EXCHANGE_INTERIM_MAX) {
        exchange_attempt_failed(x, 502, "it sent one interim answer after another", true);
        return false;
    }
    if (x->parser.head.status != 100 && r->parser.head.minor > 0) {
        if (!put_head(x, bytes, &head)) return false;
        stream_trim(&r->conn->stream, head.max - head.used);
    }
    struct http_limits limits = x->parser.limits;
    http_response_parser_init(&x->parser, &limits, (enum http_request_kind)x->parser.request);
    return true;
}

/* The head of the answer, which the client gets now. False: the exchange is over. */
static bool take_final(struct exchange *x, slice bytes)
{
    const struct http_response_head *head = &x->parser.head;
    struct wr_request *r = x->request;
    struct forward *f = x->forward;
    x->first_ns = now_ns();
    upstream_answered(x->upstream, head->status, x->first_ns - x->began_ns);
    upstream_succeeded(f->shared->registry, x->group, x->upstream, forward_now(f));
    x->trial = false;
    struct intake_head out = {.status = head->status, .framing = framing_of(x)};
    if (head->body == HTTP_BODY_LENGTH) out.length = x->left = head->content_length;
    out.close = !head->tunnel && (out.framing == FRAMING_CLOSE || intake_closes(r));
    if (head->body == HTTP_BODY_CHUNKED) {
        http_chunked_init(&x->chunked, UINT64_MAX);
        if (out.framing == FRAMING_CHUNKED) {
            x->trailers.max = CHUNKED_TRAILER_BYTES_MAX;
            http_chunked_keep_trailers(&x->chunked, &x->trailers);
        }
    }
    if (!put_head(x, bytes, &out)) return false;
    intake_head(r, &out);
    wr_response_on_drain(r, on_drain, x);
    x->begun = true;
    x->state = EXCHANGE_BODY;
    buffer_reset(&x->replay);
    stream_read_limit(&x->conn->stream, 0);
    return true;
}

/* A head that is complete. False: the exchange is over. */
static bool take_head(struct exchange *x, slice bytes, slice *rest)
{
    if (x->parser.head.interim) return take_interim(x, bytes);
    if (x->parser.head.tunnel && !x->upgrade) { /* which it does only when it has no body */
        exchange_attempt_failed(x, 502, "it changed the protocol without being asked", true);
        return false;
    }
    if (x->parser.head.tunnel && wr_stopping(wr_worker_app(x->forward->worker))) {
        /* Those that there are have been told; nobody would tell this one, and all would wait for it. */
        snprintf(x->why, sizeof x->why, "the proxy is stopping");
        exchange_fail(x, 503, 1);
        return false;
    }
    if (!take_final(x, bytes)) return false;
    if (!x->parser.head.tunnel) return true;
    relay_begin(x, *rest);
    return false;
}

/* Reads heads from `input`, which holds all since the last one. *out_rest: what was not used; only when the
 * result is OK, the body follows. ERR_AGAIN; ERR_CLOSED: the exchange is over. */
static int read_heads(struct exchange *x, slice input, slice *out_rest)
{
    while (x->state == EXCHANGE_HEAD) {
        size_t len;
        int rc = http_response_parser_read(&x->parser, input, &len);
        if (rc == ERR_AGAIN) {
            *out_rest = input;
            return ERR_AGAIN;
        }
        if (rc < 0) {
            exchange_attempt_failed(x, 502, x->parser.why, true);
            return ERR_CLOSED;
        }
        slice head = slice_sub(input, 0, len);
        input = slice_sub(input, len, input.len);
        if (!take_head(x, head, &input)) return ERR_CLOSED;
    }
    *out_rest = input;
    return OK;
}

/* Bytes of an answer whose head was not complete before. */
static void join(struct exchange *x, slice bytes)
{
    x->in.max = 2 * HTTP_HEAD_BYTES_MAX;
    buffer_put(&x->in, bytes);
    if (x->in.failed) {
        exchange_attempt_failed(x, 502, "the head of its answer is too long", true);
        return;
    }
    struct buffer in = x->in; /* the exchange may end meanwhile */
    slice rest;
    buffer_init(&x->in, &allocator_libc, 2 * HTTP_HEAD_BYTES_MAX);
    int rc = read_heads(x, buffer_slice(&in), &rest);
    if (rc == ERR_AGAIN) {
        buffer_consume(&in, in.len - rest.len);
        x->in = in;
        return;
    }
    if (rc == OK) take_body(x, rest);
    buffer_reset(&in);
}

void exchange_received(struct exchange *x, uint8_t *bytes, size_t len)
{
    slice input = slice_of(bytes, len), rest;
    /* It came in the same turn as the request, which has not left yet: it cannot be the answer. */
    if (!x->heard && x->conn->used && stream_sent(&x->conn->stream) == x->conn->asked_at) {
        exchange_attempt_failed(x, 502, "it spoke before it was asked", false);
        return;
    }
    x->heard = true;
    if (x->state == EXCHANGE_BODY) {
        take_body(x, input);
        return;
    }
    if (x->in.len > 0) {
        join(x, input);
        return;
    }
    int rc = read_heads(x, input, &rest);
    if (rc == OK)
        take_body(x, rest);
    else if (rc == ERR_AGAIN && rest.len > 0)
        join(x, rest);
}

/* --- other events --- */

/* How long it may take for what it is doing; 0: as long as it wants. */
static uint32_t limit_of(const struct exchange *x)
{
    const struct stream *stream = &x->conn->stream;
    if (!x->conn->opened) return x->location->connect_ms;
    if (stream_queued(stream) > 0) return x->location->send_ms;
    if (x->stalled || !x->request_done) return 0; /* the client is waited for */
    if (x->splicing && stream_queued(&x->request->conn->stream) > 0) return 0;
    return x->request->conn->ended && x->location->read_ms > EXCHANGE_HALF_MS ? EXCHANGE_HALF_MS
                                                                              : x->location->read_ms;
}

/* Looks again when the time is over, or sooner: what it may take changes meanwhile. */
static void watch(struct exchange *x, uint32_t limit_ms)
{
    uint64_t end_ms = x->conn->since_ms + limit_ms, look_ms = forward_now(x->forward) + EXCHANGE_LOOK_MS;
    server_arm(x->conn, limit_ms == 0 || end_ms > look_ms ? look_ms : end_ms);
}

void exchange_opened(struct exchange *x)
{
    x->opened_ns = now_ns();
    watch(x, x->location->send_ms < x->location->read_ms ? x->location->send_ms : x->location->read_ms);
    /* What cannot be sent again any more need not be kept. */
    if (!x->idempotent && x->replayable) {
        x->replayable = x->request_done && x->replay.len == 0;
        buffer_reset(&x->replay);
    }
}

void exchange_ended(struct exchange *x)
{
    if (x->state == EXCHANGE_BODY && x->parser.head.body == HTTP_BODY_UNTIL_CLOSE)
        finish(x, false);
    else if (x->state == EXCHANGE_BODY)
        break_off(x, "it closed the connection within its answer");
    else
        exchange_attempt_failed(x, 502,
                                x->heard ? "it closed the connection within the head of its answer"
                                         : "it closed the connection without an answer",
                                true);
}

void exchange_failed(struct exchange *x, const char *why, bool blame)
{
    struct server_connection *conn = x->conn;
    if (!stream_opening(&conn->stream)) {
        conn->broken = true;
        server_read_rest(conn); /* an answer may have come before the connection was reset */
        if (conn->use != SERVER_EXCHANGE || conn->exchange != x) return;
    }
    if (x->state == EXCHANGE_BODY)
        break_off(x, why);
    else
        exchange_attempt_failed(x, 502, why, blame);
}

void exchange_expired(struct exchange *x, uint64_t now_ms)
{
    uint32_t limit_ms = limit_of(x);
    struct server_connection *conn = x->conn;
    if (x->held && stream_was_reset(&x->request->conn->stream)) {
        connection_cut(x->request->conn);
        return;
    }
    if (limit_ms == 0) server_moved(conn);
    if (limit_ms == 0 || conn->since_ms + limit_ms > now_ms) {
        watch(x, limit_ms);
        return;
    }
    bool sending = stream_queued(&conn->stream) > 0;
    if (conn->opened && !sending && limit_ms < x->location->read_ms) {
        /* The server may still take its time: neither its fault nor a reason to ask another one. */
        snprintf(x->why, sizeof x->why, "it was silent, and the client had closed its side");
        exchange_fail(x, 504, 0);
        return;
    }
    const char *why = !conn->opened ? "no connection in time"
                      : sending     ? "it took nothing of the request for too long"
                                    : "it was silent for too long";
    if (x->state == EXCHANGE_BODY)
        break_off(x, why);
    else
        exchange_attempt_failed(x, 504, why, true);
}
