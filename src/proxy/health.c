/* health.c - a check is one GET on a connection of its own: what is to be known is whether a new one can be
 * made. The verdict comes with the head of the answer; the body is read and dropped, so that the server does
 * not see its connection broken off. */
#include "proxy/health.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/chunked.h"
#include "http/response_head.h"
#include "net/stream.h"
#include "proxy/resolve.h"
#include "weaprous/weaprous.h"

enum {
    HEAD_BYTES_MAX = 16 * 1024,
    BODY_BYTES_MAX = 64 * 1024, /* are read; then the connection is closed nevertheless */
    FIRST_SPREAD_MS = 1000,     /* the first checks of all servers begin within this, or an interval; of many
                                   servers one each millisecond: descriptors are needed for clients, too */
    JITTER_PART = 16,           /* an interval is longer or shorter by at most this part of it */
};

struct health {
    struct net_loop *loop;
    struct registry *registry;
    struct resolver *resolver;
    struct list checks;
    uint64_t random;
};

/* One request and its answer. */
struct attempt {
    struct stream stream;
    struct check *check; /* NULL: it is closing */
    bool opened, judged;
    size_t len; /* of bytes; once it is judged, of what has been dropped */
    struct http_response_parser parser;
    struct http_chunked chunked; /* its body, which is read only to end in good order */
    uint8_t bytes[HEAD_BYTES_MAX];
};

/* A server that is checked. The timer is for the next attempt, or for the time limit of this one. */
struct check {
    struct list node;
    struct health *health;
    const struct group *group;
    struct upstream *upstream;
    struct attempt *attempt; /* NULL: none under way */
    uv_timer_t timer;
    uint64_t began_ms;
    bool wanted; /* of health_set */
};

static void on_next(uv_timer_t *timer);

static uint64_t now_of(const struct check *check)
{
    return net_loop_now(check->health->loop);
}

/* --- one after the other --- */

static void schedule(struct check *check)
{
    struct health *h = check->health;
    uint32_t interval = check->group->config->check_interval_ms, jitter = interval / JITTER_PART;
    h->random = h->random * 6364136223846793005u + 1442695040888963407u;
    uint64_t next = check->began_ms + interval - jitter + (h->random >> 33) % (2 * (uint64_t)jitter + 1);
    uint64_t now = now_of(check);
    uv_timer_start(&check->timer, on_next, next > now ? next - now : 1, 0);
}

static void attempt_close(struct attempt *a)
{
    a->check->attempt = NULL;
    a->check = NULL;
    stream_close(&a->stream);
}

static void finish(struct attempt *a)
{
    struct check *check = a->check;
    attempt_close(a);
    schedule(check);
}

static void pass(struct attempt *a)
{
    struct check *check = a->check;
    a->judged = true;
    a->len = 0;
    upstream_check_passed(check->health->registry, check->group, check->upstream, now_of(check));
}

static void fail(struct check *check, const char *why)
{
    upstream_check_failed(check->health->registry, check->group, check->upstream, now_of(check), why);
}

/* Its verdict, unless there is one already; then it is over. */
static void fail_and_finish(struct attempt *a, const char *why)
{
    if (!a->judged) fail(a->check, why);
    finish(a);
}

static void on_timeout(uv_timer_t *timer)
{
    struct attempt *a = ((struct check *)timer->data)->attempt;
    fail_and_finish(a, a->opened ? "no answer in time" : "no connection in time");
}

/* --- the answer --- */

static void init_parser(struct attempt *a)
{
    static const struct http_limits limits = {.target_bytes_max = 1,
                                              .header_bytes_max = HEAD_BYTES_MAX,
                                              .header_count_max = HTTP_FIELDS_MAX,
                                              .body_bytes_max = UINT64_MAX};
    http_response_parser_init(&a->parser, &limits, HTTP_REQUEST_USUAL);
}

static void judge(struct attempt *a)
{
    char why[sizeof "status 65535"];
    unsigned status = a->parser.head.status;
    if (status >= 200 && status < 400) {
        pass(a);
        return;
    }
    snprintf(why, sizeof why, "status %u", status);
    fail(a->check, why);
    a->judged = true;
    a->len = 0;
}

/* The rest of the answer says nothing more; a server that keeps the connection open must not be waited for.
 */
static void drop_body(struct attempt *a, slice input)
{
    const struct http_response_head *head = &a->parser.head;
    slice piece;
    int rc = ERR_AGAIN;
    a->len += input.len;
    bool over = head->body == HTTP_BODY_NONE || a->len > BODY_BYTES_MAX ||
                (head->body == HTTP_BODY_LENGTH && a->len >= head->content_length);
    while (!over && head->body == HTTP_BODY_CHUNKED &&
           (rc = http_chunked_next(&a->chunked, &input, &piece)) == OK)
        ;
    if (over || rc != ERR_AGAIN) finish(a);
}

static void read_head(struct attempt *a)
{
    size_t head;
    for (;;) {
        int rc = http_response_parser_read(&a->parser, slice_of(a->bytes, a->len), &head);
        if (rc == ERR_AGAIN) {
            if (a->len == sizeof a->bytes) fail_and_finish(a, "the head of its answer is too large");
            return;
        }
        if (rc < 0) {
            char why[UPSTREAM_WHY_BYTES];
            snprintf(why, sizeof why, "no valid answer: %s", a->parser.why);
            fail_and_finish(a, why);
            return;
        }
        if (!a->parser.head.interim) break;
        a->len -= head;
        memmove(a->bytes, a->bytes + head, a->len);
        init_parser(a);
    }
    slice rest = slice_sub(slice_of(a->bytes, a->len), head, a->len);
    http_chunked_init(&a->chunked, UINT64_MAX);
    judge(a);
    drop_body(a, rest);
}

static struct attempt *attempt_of(struct stream *stream)
{
    return LIST_ENTRY(stream, struct attempt, stream);
}

static void on_opened(struct stream *stream)
{
    attempt_of(stream)->opened = true;
}

static void on_received(struct stream *stream, uint8_t *bytes, size_t len)
{
    struct attempt *a = attempt_of(stream);
    if (!a->check) return;
    size_t room = a->judged ? 0 : sizeof a->bytes - a->len, taken = len < room ? len : room;
    if (!a->judged) {
        memcpy(a->bytes + a->len, bytes, taken);
        a->len += taken;
        read_head(a);
    }
    if (a->check && a->judged && taken < len) drop_body(a, slice_of(bytes + taken, len - taken));
}

static void on_ended(struct stream *stream)
{
    struct attempt *a = attempt_of(stream);
    if (a->check) fail_and_finish(a, "the connection ended before an answer");
}

static void on_failed(struct stream *stream, int uv_error)
{
    struct attempt *a = attempt_of(stream);
    if (!a->check) return;
    if (upstream_is_to_blame(uv_error))
        fail_and_finish(a, stream_failure(stream, uv_error));
    else
        finish(a); /* no verdict */
}

/* The request is small: nothing waits for room. */
static void on_flushed(struct stream *stream)
{
    (void)stream;
}

static void on_closed(struct stream *stream)
{
    free(attempt_of(stream));
}

static const struct stream_events events = {.opened = on_opened,
                                            .received = on_received,
                                            .ended = on_ended,
                                            .failed = on_failed,
                                            .flushed = on_flushed,
                                            .closed = on_closed};

/* --- the request --- */

static int put_request(struct check *check, struct stream *stream)
{
    const struct config_group *config = check->group->config;
    const char *host = config->check_host ? config->check_host : check->upstream->authority;
    const slice parts[] = {
        SLICE("GET "), slice_text(config->check_path), SLICE(" HTTP/1.1\r\nHost: "), slice_text(host),
        SLICE("\r\nUser-Agent: weaprous-health\r\nAccept: */*\r\nConnection: close\r\n\r\n")};
    int rc = OK;
    for (size_t i = 0; rc == OK && i < sizeof parts / sizeof parts[0]; i++)
        rc = stream_put(stream, parts[i]);
    return rc;
}

/* Without memory there is no verdict: that says nothing about the server. */
static int begin(struct check *check)
{
    struct upstream *u = check->upstream;
    struct health *h = check->health;
    uint8_t addresses[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
    struct attempt *a = calloc(1, sizeof *a);
    if (!a) return ERR_MEMORY;
    init_parser(a);
    const struct stream_target target = {.host = u->host,
                                         .port = u->port,
                                         .tls = u->client_tls,
                                         .addresses = addresses,
                                         .address_count = upstream_addresses(u, addresses)};
    int rc = stream_connect(&a->stream, h->loop, &target, &events);
    if (rc < 0) {
        free(a);
        if (rc == ERR_INVALID) fail(check, "its name cannot be one");
        return rc;
    }
    a->check = check;
    check->attempt = a;
    if (put_request(check, &a->stream) == OK) return OK;
    attempt_close(a);
    return ERR_MEMORY;
}

static void on_next(uv_timer_t *timer)
{
    struct check *check = timer->data;
    check->began_ms = now_of(check);
    if (begin(check) == OK)
        uv_timer_start(&check->timer, on_timeout, check->group->config->check_timeout_ms, 0);
    else
        schedule(check);
}

/* --- which servers --- */

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void check_end(struct check *check)
{
    if (check->attempt) attempt_close(check->attempt);
    list_remove(&check->node);
    uv_close((uv_handle_t *)&check->timer, on_timer_closed);
}

/* Checks for all servers of these groups that have none, at the end of `out`, and in by_id. */
static int make_checks(struct group *const *groups, size_t count, struct list *out, struct check **by_id)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; groups[i]->config->check_path && m < groups[i]->count; m++) {
            struct upstream *u = groups[i]->members[m].upstream;
            if (by_id[u->id]) continue;
            struct check *check = calloc(1, sizeof *check);
            if (!check) return ERR_MEMORY;
            check->upstream = u;
            by_id[u->id] = check;
            list_append(out, &check->node);
        }
    }
    return OK;
}

static void drop_checks(struct list *checks)
{
    while (!list_empty(checks)) {
        struct check *check = LIST_ENTRY(checks->next, struct check, node);
        list_remove(&check->node);
        free(check);
    }
}

static void start_checks(struct health *h, struct list *checks)
{
    uint64_t index = 0, count = 0;
    for (struct list *n = checks->next; n != checks; n = n->next)
        count++;
    const uint64_t longest = count > FIRST_SPREAD_MS ? count : FIRST_SPREAD_MS;
    while (!list_empty(checks)) {
        struct check *check = LIST_ENTRY(checks->next, struct check, node);
        list_remove(&check->node);
        list_append(&h->checks, &check->node);
        check->health = h;
        uv_timer_init(&h->loop->uv, &check->timer);
        check->timer.data = check;
        uint64_t spread = check->group->config->check_interval_ms;
        if (spread > longest) spread = longest;
        uv_timer_start(&check->timer, on_next, spread * index++ / count, 0);
    }
}

/* The group that says how: the last one that has the server, as with doubled names in a configuration. */
static void assign(struct group *const *groups, size_t count, struct check *const *by_id)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; groups[i]->config->check_path && m < groups[i]->count; m++) {
            struct check *check = by_id[groups[i]->members[m].upstream->id];
            check->group = groups[i];
            check->wanted = true;
        }
    }
}

int health_set(struct health *h, struct group *const *groups, size_t count)
{
    struct list fresh;
    struct check **by_id = calloc((size_t)h->registry->id_count + 1, sizeof(struct check *));
    if (!by_id) return ERR_MEMORY;
    for (struct list *n = h->checks.next; n != &h->checks; n = n->next) {
        struct check *check = LIST_ENTRY(n, struct check, node);
        check->wanted = false;
        by_id[check->upstream->id] = check;
    }
    list_init(&fresh);
    int rc = make_checks(groups, count, &fresh, by_id);
    if (rc == OK) rc = resolver_set(h->resolver, groups, count);
    if (rc < 0) {
        drop_checks(&fresh);
        free(by_id);
        return rc;
    }
    assign(groups, count, by_id);
    free(by_id);
    for (struct list *n = h->checks.next, *next; n != &h->checks; n = next) {
        struct check *check = LIST_ENTRY(n, struct check, node);
        next = n->next;
        if (!check->wanted) check_end(check);
    }
    start_checks(h, &fresh);
    return OK;
}

/* --- life --- */

struct health *health_new(struct wr_worker *worker, struct registry *registry)
{
    uv_loop_t *loop = wr_worker_loop(worker);
    struct health *h = calloc(1, sizeof *h);
    struct resolver *resolver = h ? resolver_new(loop) : NULL;
    if (!resolver) {
        free(h);
        return NULL;
    }
    h->loop = (struct net_loop *)loop; /* its first member */
    h->registry = registry;
    h->resolver = resolver;
    h->random = uv_hrtime();
    list_init(&h->checks);
    return h;
}

void health_free(struct health *h)
{
    if (!h) return;
    while (!list_empty(&h->checks))
        check_end(LIST_ENTRY(h->checks.next, struct check, node));
    resolver_free(h->resolver);
    free(h);
}
