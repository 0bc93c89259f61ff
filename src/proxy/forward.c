#include "proxy/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/exchange.h"
#include "proxy/pages.h"
#include "web/access.h"

/* --- life --- */

struct forward *forward_new(struct wr_worker *worker, struct forward_shared *shared, struct site *site)
{
    struct forward *f = calloc(1, sizeof *f);
    if (!f || uv_random(NULL, NULL, f->random, sizeof f->random, 0, NULL) < 0) {
        free(f);
        return NULL;
    }
    f->random[0] |= 1; /* never both 0 */
    f->worker = worker;
    f->loop = &worker->loop;
    f->index = wr_worker_index(worker);
    f->shared = shared;
    f->site = site_hold(site);
    list_init(&f->exchanges);
    list_init(&f->waiting);
    uv_timer_init(&f->loop->uv, &f->tick);
    f->tick.data = f;
    return f;
}

void forward_set_site(struct forward *f, struct site *site)
{
    struct site *old = f->site;
    f->site = site_hold(site);
    pools_sweep(f, false);
    site_release(old);
}

static void on_closed(uv_handle_t *handle)
{
    struct forward *f = handle->data;
    for (size_t i = 0; i < f->pool_count; i++)
        free(f->pools[i]);
    free(f->pools);
    free(f);
}

void forward_free(struct forward *f)
{
    if (!f) return;
    pools_sweep(f, true);
    while (!list_empty(&f->exchanges))
        exchange_cancel(LIST_ENTRY(f->exchanges.next, struct exchange, node));
    while (f->spare) {
        struct exchange *next = f->spare->spare;
        free(f->spare);
        f->spare = next;
    }
    site_release(f->site);
    uv_close((uv_handle_t *)&f->tick, on_closed);
}

/* xorshift128+ (Vigna, 2014): good enough to spread load and to tell requests apart; no secret. */
uint64_t forward_random(struct forward *f)
{
    uint64_t a = f->random[0], b = f->random[1];
    f->random[0] = b;
    a ^= a << 23;
    f->random[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return f->random[1] + b;
}

static void serve_next(struct forward *f, const struct group *group)
{
    for (struct list *n = f->waiting.next; n != &f->waiting; n = n->next) {
        struct exchange *x = LIST_ENTRY(n, struct exchange, wait_node);
        if (x->group != group) continue;
        exchange_try(x);
        return;
    }
}

void forward_serve_waiting(struct forward *f, const struct group *group)
{
    /* One that fails at once makes room for the next of its group, and calls this again: a queue of many
     * thousands may end so, which the stack would not bear. */
    f->serve_again = true;
    if (f->serving) return;
    f->serving = true;
    while (f->serve_again) {
        f->serve_again = false;
        serve_next(f, group);
    }
    f->serving = false;
}

/* --- a request comes --- */

static struct exchange *exchange_new(struct forward *f, struct wr_request *r)
{
    struct exchange *x = f->spare;
    if (x) {
        f->spare = x->spare;
        f->spare_count--;
    } else {
        x = malloc(sizeof *x);
        if (!x) return NULL;
    }
    memset(x, 0, offsetof(struct exchange, replay));
    buffer_init(&x->replay, &allocator_libc, 0);
    buffer_init(&x->in, &allocator_libc, 0);
    buffer_init(&x->trailers, &allocator_libc, 0);
    x->forward = f;
    x->request = r;
    x->site = site_hold(f->site);
    list_init(&x->wait_node);
    list_append(&f->exchanges, &x->node);
    return x;
}

static void put_id(struct forward *f, char out[REWRITE_ID_BYTES + 1])
{
    for (int i = 0; i < REWRITE_ID_BYTES; i += 8) {
        /* 32 bits spread over 8 bytes, four to each; then each becomes its digit, all at once. */
        uint64_t x = forward_random(f) & UINT32_MAX;
        x = (x | x << 16) & 0x0000FFFF0000FFFFu;
        x = (x | x << 8) & 0x00FF00FF00FF00FFu;
        x = (x | x << 4) & 0x0F0F0F0F0F0F0F0Fu;
        uint64_t letters = ((x + 0x0606060606060606u) >> 4) & 0x0101010101010101u;
        x += 0x3030303030303030u + letters * ('a' - '0' - 10);
        memcpy(out + i, &x, sizeof x);
    }
    out[REWRITE_ID_BYTES] = 0;
}

/* Of IPv4 without the library, which takes a third of a microsecond. */
static void put_address(const uint8_t address[IP_BYTES], char out[IP_TEXT_BYTES_MAX + 1])
{
    if (!ip_is_v4(address)) {
        uv_inet_ntop(AF_INET6, address, out, IP_TEXT_BYTES_MAX + 1);
        return;
    }
    for (int i = 12; i < IP_BYTES; i++) {
        unsigned byte = address[i];
        if (byte >= 100) *out++ = (char)('0' + byte / 100);
        if (byte >= 10) *out++ = (char)('0' + byte / 10 % 10);
        *out++ = (char)('0' + byte % 10);
        *out++ = '.';
    }
    out[-1] = 0;
}

/* The path without escapes and dot segments: what locations are looked up with. False: it has none. */
static bool normal_path(struct wr_request *r, slice *out)
{
    slice path = request_span(r, r->parser.head.path);
    bool plain = true;
    for (size_t i = 0; i < path.len && plain; i++) {
        uint8_t c = path.ptr[i];
        plain =
            c != '%' && (c != '/' || i + 1 == path.len || (path.ptr[i + 1] != '/' && path.ptr[i + 1] != '.'));
    }
    *out = path;
    if (plain) return true;
    uint8_t *room = wr_request_alloc(r, path.len + 1);
    size_t len;
    if (!room || rewrite_normal_path(path, room, &len) < 0) return false;
    *out = slice_of(room, len);
    return true;
}

/* RFC 9110 9.2.2 */
static bool is_idempotent(slice method)
{
    return slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD")) ||
           slice_equal(method, SLICE("OPTIONS")) || slice_equal(method, SLICE("PUT")) ||
           slice_equal(method, SLICE("DELETE"));
}

/* A page before any server is asked. The access log has the id that the page asks to report. */
static void refuse(struct wr_request *r, int status, const char *what, slice id, unsigned retry_after_s)
{
    struct access_upstream *note;
    if (r->worker->settings->access && (note = wr_request_alloc(r, sizeof *note))) {
        *note = (struct access_upstream){.request_id = slice_text(arena_text(&r->arena, id))};
        r->upstream = note;
    }
    page_respond(r, status, what, id, retry_after_s);
}

/* What is known before any server is asked. NULL: it has been answered. */
static const struct config_location *locate(struct forward *f, struct wr_request *r,
                                            const struct config_host *host, slice id, slice *out_path)
{
    enum { HOST_SHOWN_MAX = 255 };
    const struct http_head *head = &r->parser.head;
    static const char methods[] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    slice method = request_method(r), bytes = slice_of(r->head, r->head_len);
    char what[400];
    if (slice_equal(method, SLICE("CONNECT")) || slice_equal(method, SLICE("TRACE"))) {
        wr_response_header(r, "Allow", methods);
        refuse(r, 405, "This method is not taken here.", id, 0);
        return NULL;
    }
    if (!host) {
        /* Not what X-Forwarded-Host says: that names none of them. */
        slice named = request_span(r, head->authority);
        if (named.len == 0)
            snprintf(what, sizeof what, "The request names no host.");
        else
            snprintf(what, sizeof what, "No host \"%.*s\" is configured here.",
                     (int)(named.len < HOST_SHOWN_MAX ? named.len : HOST_SHOWN_MAX), (const char *)named.ptr);
        refuse(r, 404, what, id, 0);
        return NULL;
    }
    if (!normal_path(r, out_path)) {
        refuse(r, 400, "The address is not valid.", id, 0);
        return NULL;
    }
    /* "OPTIONS *" is about the server as a whole. */
    slice place = slice_equal(*out_path, SLICE("*")) ? SLICE("/") : *out_path;
    const struct config_location *location = config_find_location(host, place);
    if (!location) {
        refuse(r, 404, "There is nothing at this address.", id, 0);
        return NULL;
    }
    if (rewrite_ends_here(head, bytes)) { /* "OPTIONS" with Max-Forwards: 0 asks this proxy */
        wr_response_header(r, "Allow", methods);
        wr_respond_empty(r, 204);
        return NULL;
    }
    if (rewrite_loops(head, bytes, slice_text(f->shared->pseudonym))) {
        refuse(r, 508, "The request came back to where it was before: the configuration has a loop.", id, 0);
        return NULL;
    }
    return location;
}

/* Tells locations apart, also after a reload (FNV-1a). */
static uint64_t zone_of(const struct config_host *host, const struct config_location *location)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char *at = host->names[0]; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 0x100000001B3u;
    for (const char *at = location->prefix; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 0x100000001B3u;
    return hash;
}

/* True: it may go on. */
static bool admit(struct forward *f, struct wr_request *r, const struct config_host *host,
                  const struct config_location *location, slice id)
{
    const struct http_head *head = &r->parser.head;
    unsigned wait_s;
    if (location->rate.per_s > 0 && !rate_take(f->shared->rates, &location->rate, zone_of(host, location),
                                               r->address, forward_now(f), &wait_s)) {
        refuse(r, 429, "Too many requests from your address. Wait a moment, then try again.", id, wait_s);
        return false;
    }
    if (location->max_body > 0 && head->body == HTTP_BODY_LENGTH &&
        head->content_length > location->max_body) {
        r->over_limit = true;
        refuse(r, 413, "What you send is larger than this server takes.", id, 0);
        return false;
    }
    return true;
}

/* The client does not wait for its answer, or what it sends has broken off. In the access log that is 499, as
 * others have it, unless a part of the answer was sent. */
static void left(struct wr_request *r)
{
    enum { CLIENT_LEFT = 499 };
    struct exchange *x = wr_request_user(r);
    wr_request_set_user(r, NULL);
    if (!x) return;
    if (!r->status) r->status = CLIENT_LEFT;
    exchange_note(x);
    exchange_cancel(x);
}

static void on_gone(struct wr_request *r, void *context)
{
    (void)context;
    left(r);
    wr_respond_abort(r);
}

static void fill(struct exchange *x, const struct config_location *location)
{
    struct wr_request *r = x->request;
    const struct connection *conn = r->conn;
    x->location = location;
    x->group = x->site->groups[location->group_index];
    put_address(r->address, x->address_text);
    if (conn->proxied) put_address(conn->address, x->peer_text);
    x->request_done = r->body_done;
    x->asked = (uint8_t)(r->body_done && r->parser.head.body != HTTP_BODY_LENGTH ? HTTP_BODY_NONE
                                                                                 : r->parser.head.body);
    x->idempotent = is_idempotent(request_method(r));
    x->replayable = true;
    x->upgrade = r->body_done && rewrite_upgrades(&r->parser.head, slice_of(r->head, r->head_len));
    if (x->group->config->policy == POLICY_STICKY)
        x->sticky = slice_text(wr_request_cookie(r, x->group->config->cookie));
}

static void begin(struct wr_request *r, void *context)
{
    struct forward_shared *shared = context;
    struct forward *f = shared->by_worker[r->worker->index];
    char id_text[REWRITE_ID_BYTES + 1];
    slice id = SLICE_EMPTY, path;
    if (r->conn->proxied) id = rewrite_request_id(&r->parser.head, slice_of(r->head, r->head_len));
    if (id.len == 0) {
        put_id(f, id_text);
        id = slice_of(id_text, REWRITE_ID_BYTES);
    }
    const struct config_host *host =
        config_find_host(f->site->config, request_span(r, r->parser.head.authority), r->secure);
    const struct config_location *location = locate(f, r, host, id, &path);
    if (!location || !admit(f, r, host, location, id)) return;
    struct exchange *x = exchange_new(f, r);
    if (!x) {
        refuse(r, 503, "This server is out of memory at the moment.", id, 1);
        return;
    }
    x->id = id;
    if (id.ptr == (const uint8_t *)id_text) {
        memcpy(x->id_text, id_text, sizeof id_text);
        x->id = slice_of(x->id_text, REWRITE_ID_BYTES);
    }
    x->path = path;
    fill(x, location);
    wr_request_set_user(r, x);
    intake_on_gone(r, on_gone, NULL);
    exchange_try(x);
}

/* --- its body --- */

static void on_data(struct wr_request *r, const void *bytes, size_t len, void *context)
{
    struct exchange *x = wr_request_user(r);
    (void)context;
    if (!x) return;
    if (x->location->max_body > 0 && r->received > x->location->max_body) {
        snprintf(x->why, sizeof x->why, "the body is too large");
        exchange_fail(x, 413, 0);
        return;
    }
    exchange_body(x, slice_of(bytes, len));
}

static void on_end(struct wr_request *r, void *context)
{
    struct exchange *x = wr_request_user(r);
    (void)context;
    if (x && !x->request_done) exchange_body_done(x);
}

static void on_failed(struct wr_request *r, void *context)
{
    (void)context;
    left(r);
}

const struct wr_body_handlers forward_intake = {
    .begin = begin, .data = on_data, .end = on_end, .failed = on_failed};
