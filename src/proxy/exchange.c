/* exchange.c - a request on its way to a server: choosing one, sending, trying another. */
#include "proxy/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/pages.h"
#include "web/access.h"

/* --- life --- */

static void stop_waiting(struct exchange *x)
{
    if (list_empty(&x->wait_node)) return;
    list_remove(&x->wait_node);
    atomic_fetch_sub(&x->group->waiting, 1);
}

void exchange_free(struct exchange *x)
{
    struct forward *f = x->forward;
    stop_waiting(x);
    list_remove(&x->node);
    buffer_reset(&x->replay);
    buffer_reset(&x->in);
    buffer_reset(&x->trailers);
    site_release(x->site);
    if (f->spare_count >= EXCHANGE_POOLED_MAX) {
        free(x);
        return;
    }
    x->spare = f->spare;
    f->spare = x;
    f->spare_count++;
}

struct server_connection *exchange_release_server(struct exchange *x)
{
    struct server_connection *conn = x->conn;
    if (x->trial) upstream_trial_lost(x->upstream, forward_now(x->forward));
    x->trial = false;
    if (!conn) return NULL;
    x->conn = NULL;
    conn->exchange = NULL;
    upstream_end(x->upstream);
    return conn;
}

/* The connection is of no use any more. */
static void drop_server(struct exchange *x)
{
    struct server_connection *conn = exchange_release_server(x);
    if (conn) server_abandon(conn);
}

void exchange_cancel(struct exchange *x)
{
    struct forward *f = x->forward;
    const struct group *group = x->group;
    struct site *site = site_hold(x->site);
    bool had = x->conn != NULL;
    drop_server(x);
    exchange_free(x);
    if (had) forward_serve_waiting(f, group);
    site_release(site);
}

static uint64_t since(const struct exchange *x, uint64_t ns)
{
    return ns > x->began_ns ? ns - x->began_ns : 1;
}

void exchange_note(const struct exchange *x)
{
    struct wr_request *r = x->request;
    struct access_upstream *note;
    if (!r->worker->settings->access || !(note = wr_request_alloc(r, sizeof *note))) return;
    const char *id = arena_text(&r->arena, x->id);
    const char *name = x->attempts > 0 ? arena_text(&r->arena, slice_text(x->upstream->authority)) : NULL;
    *note = (struct access_upstream){.name = slice_text(name),
                                     .connect_ns = x->opened_ns ? since(x, x->opened_ns) : 0,
                                     .first_ns = x->first_ns ? since(x, x->first_ns) : 0,
                                     .total_ns = x->first_ns ? since(x, uv_hrtime()) : 0,
                                     .tries = x->attempts,
                                     .request_id = slice_text(id)};
    r->upstream = note;
}

/* --- the page when it has failed --- */

static const char *sentence(int status)
{
    switch (status) {
    case 413: return "What you send to \"%s\" is larger than this server takes.";
    case 502: return "The server behind \"%s\" could not be reached, or gave no valid answer.";
    case 503: return "No server behind \"%s\" can take the request at the moment.";
    case 504: return "The server behind \"%s\" did not answer in time.";
    default: return "The request for \"%s\" could not be handled.";
    }
}

/* So many lines a second; a server that is down would fill the disk. */
static void tell_failure(struct exchange *x, int status)
{
    enum { LINES_MAX = 10, TARGET_MAX = 200 };
    struct forward *f = x->forward;
    uint64_t second = forward_now(f) / 1000;
    if (f->told_second != second) f->told = 0;
    f->told_second = second;
    if (f->told++ >= LINES_MAX) return;
    slice target = request_target(x->request);
    bool asked = x->attempts > 0;
    wr_log(wr_worker_app(f->worker), WR_LOG_WARNING, "%s \"%s\" %.*s: %d, %s%s%s",
           wr_request_method(x->request), wr_request_host(x->request),
           (int)(target.len < TARGET_MAX ? target.len : TARGET_MAX), (const char *)target.ptr, status,
           asked ? x->upstream->authority : "", asked ? ": " : "", x->why);
}

void exchange_fail(struct exchange *x, int status, unsigned retry_after_s)
{
    struct wr_request *r = x->request;
    struct forward *f = x->forward;
    const struct group *group = x->group;
    struct site *site = site_hold(x->site);
    char id[REWRITE_ID_BYTES_MAX + 1], what[400];
    slice id_text = x->id;
    if (id_text.len > REWRITE_ID_BYTES_MAX) id_text.len = REWRITE_ID_BYTES_MAX;
    memcpy(id, id_text.ptr, id_text.len);
    if (x->attempts > 0 || status == 503) tell_failure(x, status);
    bool begun = x->begun;
    snprintf(what, sizeof what, sentence(status), wr_request_host(r));
    exchange_note(x);
    drop_server(x);
    exchange_free(x);
    wr_request_set_user(r, NULL);
    if (begun)
        wr_respond_abort(r);
    else
        page_respond(r, status, what, slice_of(id, id_text.len), retry_after_s);
    forward_serve_waiting(f, group);
    site_release(site);
}

/* --- waiting for a server --- */

/* The body that the client still sends waits. */
static void hold_body(struct exchange *x)
{
    if (x->held || x->request_done) return;
    x->held = true;
    wr_request_pause(x->request);
}

static void release_body(struct exchange *x)
{
    if (!x->held) return;
    x->held = false;
    wr_request_resume(x->request);
}

static void wait_for_server(struct exchange *x)
{
    const struct config_group *group = x->group->config;
    if (x->state == EXCHANGE_WAITING && !list_empty(&x->wait_node)) return;
    if (atomic_load(&x->group->waiting) >= group->queue_max * x->forward->shared->registry->worker_count) {
        snprintf(x->why, sizeof x->why, "all servers are busy, and so is the queue");
        exchange_fail(x, 503, 1);
        return;
    }
    x->state = EXCHANGE_WAITING;
    x->wait_until_ms = forward_now(x->forward) + group->queue_ms;
    atomic_fetch_add(&x->group->waiting, 1);
    list_append(&x->forward->waiting, &x->wait_node);
    forward_start_ticking(x->forward);
    hold_body(x);
}

void exchange_waited(struct exchange *x, uint64_t now_ms)
{
    if (now_ms >= x->wait_until_ms) {
        stop_waiting(x);
        snprintf(x->why, sizeof x->why, "all servers were busy for too long");
        exchange_fail(x, 503, 1);
    } else {
        exchange_try(x); /* other workers may have made room */
    }
}

/* --- sending --- */

/* The port that the client asked for: with its host, or the usual one. */
static uint16_t asked_port(slice authority, bool secure)
{
    uint64_t port;
    size_t at = authority.len;
    while (at > 0 && authority.ptr[at - 1] != ':' && authority.ptr[at - 1] != ']')
        at--;
    bool named = at > 0 && authority.ptr[at - 1] == ':';
    if (named && slice_to_u64(slice_sub(authority, at, authority.len), UINT16_MAX, &port))
        return (uint16_t)port;
    return secure ? 443 : 80;
}

static void describe(struct exchange *x, struct rewrite_request *out)
{
    struct wr_request *r = x->request;
    const struct http_head *head = &r->parser.head;
    /* When the request came: who is trusted may have changed since. */
    const bool proxied = x->peer_text[0] != 0;
    *out = (struct rewrite_request){
        .head = head,
        .bytes = slice_of(r->head, r->head_len),
        .location = x->location,
        .server = x->group->members[x->member].config,
        .path = x->path,
        .server_authority = slice_text(x->upstream->authority),
        .host = request_span(r, head->authority),
        .told_host = proxied ? slice_text(r->host) : SLICE_EMPTY,
        .scheme = r->secure ? SLICE("https") : SLICE("http"),
        .address = slice_text(x->address_text),
        .port = r->port,
        .local_port = asked_port(request_span(r, head->authority), r->secure),
        .peer = slice_text(proxied ? x->peer_text : x->address_text),
        .trusted = proxied,
        .trust_forwarded = x->site->config->trust_forwarded,
        .request_id = x->id,
        .pseudonym = slice_text(x->forward->shared->pseudonym),
        .body = (enum http_body)x->asked,
        .content_length = head->content_length,
        .upgrade = x->upgrade,
    };
}

/* OK; ERR_MEMORY; ERR_MALFORMED: the path does not fit the server. */
static int send_head(struct exchange *x)
{
    struct rewrite_request in;
    describe(x, &in);
    struct stream *stream = &x->conn->stream;
    size_t max = rewrite_request_bound(&in);
    uint8_t *room = stream_room(stream, max);
    if (!room) return ERR_MEMORY;
    struct writer w = writer_of(room, max);
    int rc = rewrite_request(&in, &w);
    stream_trim(stream, max - (rc == OK ? w.len : 0));
    return rc;
}

static int put_body(struct exchange *x, slice bytes)
{
    struct stream *stream = &x->conn->stream;
    if (x->asked != HTTP_BODY_CHUNKED) return stream_put_now(stream, bytes);
    uint8_t head[CHUNKED_HEAD_BYTES_MAX];
    struct writer w = writer_of(head, sizeof head);
    http_chunk_head_write(&w, bytes.len);
    int rc = stream_put(stream, writer_slice(&w));
    if (rc == OK) rc = stream_lend(stream, bytes);
    if (rc == OK) rc = stream_put(stream, HTTP_CHUNK_END);
    stream_repay(stream);
    return rc;
}

void exchange_trailers(const struct buffer *collected, struct buffer *out)
{
    slice rest = buffer_slice(collected), name, value;
    buffer_init(out, &allocator_libc, 2 * CHUNKED_TRAILER_BYTES_MAX);
    while (http_trailer_next(&rest, &name, &value)) {
        if (!rewrite_trailer_passes(name)) continue;
        buffer_put(out, name);
        buffer_text(out, ": ");
        buffer_put(out, value);
        buffer_text(out, "\r\n");
    }
}

static int put_body_end(struct exchange *x)
{
    struct stream *stream = &x->conn->stream;
    const struct buffer *collected = x->request->came_after;
    if (x->asked != HTTP_BODY_CHUNKED) return OK;
    if (!collected || collected->len == 0) return stream_put(stream, HTTP_CHUNKED_END);
    struct buffer trailers;
    exchange_trailers(collected, &trailers);
    int rc = trailers.failed ? ERR_MEMORY : stream_put(stream, HTTP_CHUNKED_LAST);
    if (rc == OK) rc = stream_put(stream, buffer_slice(&trailers));
    if (rc == OK) rc = stream_put(stream, HTTP_CHUNK_END);
    buffer_reset(&trailers);
    return rc;
}

/* Sends the request, as far as it is here. */
static int send_request(struct exchange *x)
{
    int rc = send_head(x);
    if (rc == OK && x->replay.len > 0) rc = put_body(x, buffer_slice(&x->replay));
    if (rc == OK && x->request_done) rc = put_body_end(x);
    return rc;
}

static void expect_answer(struct exchange *x)
{
    static const struct http_limits limits = {.target_bytes_max = 1024,
                                              .header_bytes_max = HTTP_HEAD_BYTES_MAX,
                                              .header_count_max = HTTP_FIELDS_MAX,
                                              .body_bytes_max = UINT64_MAX};
    http_response_parser_init(&x->parser, &limits,
                              x->request->head_only ? HTTP_REQUEST_HEAD : HTTP_REQUEST_USUAL);
}

/* The exchange has this connection from now on. */
static void take_server(struct exchange *x, struct server_connection *conn)
{
    conn->use = SERVER_EXCHANGE;
    conn->exchange = x;
    conn->asked_at = stream_sent(&conn->stream);
    x->conn = conn;
    x->state = EXCHANGE_HEAD;
    x->heard = false;
    x->began_ns = uv_hrtime();
    x->opened_ns = conn->opened ? x->began_ns : 0;
    x->first_ns = 0;
    upstream_begin(x->upstream);
    bool opening = stream_opening(&conn->stream);
    stream_read_limit(&conn->stream, EXCHANGE_HEAD_READ_BYTES);
    stream_read(&conn->stream, true);
    uint32_t limit_ms = opening ? x->location->connect_ms : x->location->read_ms;
    server_arm(conn, conn->since_ms + (limit_ms < EXCHANGE_LOOK_MS ? limit_ms : EXCHANGE_LOOK_MS));
    expect_answer(x);
    int rc = send_request(x);
    if (rc < 0) {
        snprintf(x->why, sizeof x->why, "%s", rc == ERR_MEMORY ? "out of memory" : "the path is not valid");
        exchange_fail(x, rc == ERR_MEMORY ? 503 : 400, 0);
        return;
    }
    if (opening || stream_queued(&conn->stream) < x->location->buffer) release_body(x);
}

static void connect_to(struct exchange *x, bool fresh)
{
    struct forward *f = x->forward;
    struct server_connection *conn = NULL;
    if (!fresh) conn = server_take(f, x->upstream, !x->idempotent || !x->replayable);
    if (!conn) conn = server_open(f, x->upstream);
    if (conn)
        take_server(x, conn);
    else /* there is no memory: that says nothing about the server */
        exchange_attempt_failed(x, 502, "a connection could not be begun", false);
}

static void none_left(struct exchange *x, int reason)
{
    struct forward *f = x->forward;
    if (x->attempts > 0 && reason != PICK_ALL_BUSY) { /* what was tried last says why */
        exchange_fail(x, x->status, x->status == 503 ? group_retry_after_s(x->group, forward_now(f)) : 0);
        return;
    }
    snprintf(x->why, sizeof x->why, "all servers are down");
    exchange_fail(x, 503, group_retry_after_s(x->group, forward_now(f)));
}

void exchange_try(struct exchange *x)
{
    struct forward *f = x->forward;
    struct pick pick = {.now_ms = forward_now(f),
                        .random = forward_random(f),
                        .tried = x->tried,
                        .address = x->request->address,
                        .sticky = x->sticky,
                        .unrepeatable = !x->idempotent || !x->replayable};
    int member = group_pick(x->group, f->index, &pick);
    if (member == PICK_ALL_BUSY) {
        wait_for_server(x);
        return;
    }
    stop_waiting(x);
    if (member < 0) {
        none_left(x, member);
        return;
    }
    if (x->attempts > 0) atomic_fetch_add_explicit(&x->upstream->retried, 1, memory_order_relaxed);
    x->member = member;
    x->upstream = x->group->members[member].upstream;
    x->trial = pick.trial;
    x->tried |= 1ull << member;
    x->attempts++;
    connect_to(x, false);
}

/* --- trying again --- */

static bool may_repeat(const struct exchange *x, bool opening)
{
    if (x->begun || x->heard) return false;
    return (opening || x->idempotent) && x->replayable;
}

void exchange_attempt_failed(struct exchange *x, int status, const char *why, bool blame)
{
    struct forward *f = x->forward;
    struct server_connection *conn = x->conn;
    bool opening = !conn || !conn->opened || stream_sent(&conn->stream) == conn->asked_at;
    bool stale = conn && conn->used && !x->heard;
    snprintf(x->why, sizeof x->why, "%s", why);
    x->status = status;
    /* A kept connection that the server closed just now says nothing about the server. */
    stale &= status == 502 && x->stale < EXCHANGE_STALE_MAX;
    bool trial = x->trial && stale; /* goes on with another connection */
    x->trial &= !blame && !stale;
    if (blame && !stale) upstream_failed(f->shared->registry, x->group, x->upstream, forward_now(f), why);
    if (!may_repeat(x, opening)) {
        exchange_fail(x, status, 0);
        return;
    }
    drop_server(x);
    hold_body(x);
    if (stale) {
        x->stale++;
        x->trial = trial;
        connect_to(x, x->stale == EXCHANGE_STALE_MAX);
        return;
    }
    if (x->attempts <= x->location->retries)
        exchange_try(x);
    else
        exchange_fail(x, status, 0);
}

/* --- the body --- */

/* Keeps what may have to be sent again. */
static void remember(struct exchange *x, slice bytes)
{
    bool needed = x->idempotent || !x->conn || stream_opening(&x->conn->stream);
    if (!x->replayable) return;
    if (needed && x->replay.len + bytes.len <= x->location->buffer) {
        x->replay.max = x->location->buffer;
        buffer_put(&x->replay, bytes);
        if (!x->replay.failed) return;
    }
    x->replayable = false;
    if (x->conn) buffer_reset(&x->replay);
}

void exchange_body(struct exchange *x, slice bytes)
{
    remember(x, bytes);
    if (!x->conn && x->replayable) return;
    if (!x->conn) {
        exchange_fail(x, 503, 1);
        return;
    }
    atomic_fetch_add_explicit(&x->upstream->sent_bytes, bytes.len, memory_order_relaxed);
    if (put_body(x, bytes) < 0) {
        snprintf(x->why, sizeof x->why, "out of memory");
        exchange_fail(x, 503, 0);
        return;
    }
    if (stream_queued(&x->conn->stream) >= x->location->buffer) hold_body(x);
}

void exchange_body_done(struct exchange *x)
{
    x->request_done = true;
    x->held = false;
    if (!x->conn) return;
    server_moved(x->conn);
    if (put_body_end(x) == OK) return;
    snprintf(x->why, sizeof x->why, "out of memory");
    exchange_fail(x, 503, 0);
}

void exchange_flushed(struct exchange *x)
{
    if (!x->held || stream_opening(&x->conn->stream)) return;
    if (stream_queued(&x->conn->stream) < x->location->buffer / 2 + 1) release_body(x);
}
