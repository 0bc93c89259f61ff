/* client_socket.c - a WebSocket to a server, until that has agreed (RFC 6455 4.1). From then on it is like
 * any other (socket.c), but masks what it sends. */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "http/token.h"
#include "http/ws_deflate.h"
#include "web/client.h"
#include "web/socket.h"

enum { KEY_RANDOM_BYTES = 16, FIELD_MAX = 1024 };

struct opening {
    struct list node; /* in client->openings */
    struct wr_client *client;
    struct wr_socket *socket;
    void (*failed)(int result, int status, const char *error, void *context);
    uint64_t since_ms;
    struct buffer head; /* what came of the answer */
    struct http_response_parser parser;
    unsigned interims;
    unsigned window_bits; /* what the server can inflate, once agreed on */
    char key[WS_KEY_BYTES + 1];
};

static const struct ws_deflate deflate_wish = {.server_bits = WS_DEFLATE_BITS_MAX,
                                               .client_bits = WS_DEFLATE_BITS_MAX,
                                               .server_fresh = true,
                                               .client_fresh = true};

/* --- it failed --- */

static void opening_free(struct wr_socket *s)
{
    struct opening *o = s->opening;
    list_remove(&o->node);
    buffer_reset(&o->head);
    free(o);
    s->opening = NULL;
    s->is_opening = false;
}

static void fail(struct wr_socket *s, int result, int status, const char *why)
{
    void (*failed)(int, int, const char *, void *) = s->opening->failed;
    void *context = s->target->context;
    opening_free(s);
    socket_free(s);
    if (failed) failed(result, status, why, context);
}

void opening_lost(struct wr_socket *s, int result, const char *why)
{
    if (s->opening->client->freed) why = "the client was freed";
    fail(s, result, 0, why);
}

/* The server's answer is not what it should be. */
static void refuse(struct wr_socket *s, int status, const char *why)
{
    struct connection *conn = s->conn;
    conn->socket = NULL;
    connection_cut(conn);
    fail(s, WR_INVALID, status, why);
}

uint64_t opening_deadline(struct wr_socket *s, uint64_t now_ms)
{
    struct opening *o = s->opening;
    const struct wr_client_config *config = &o->client->config;
    bool connecting = stream_opening(&s->conn->stream);
    unsigned limit_ms = connecting ? config->connect_timeout_ms : config->timeout_ms;
    uint64_t deadline_ms = limit_ms ? o->since_ms + limit_ms : UINT64_MAX;
    if (now_ms < deadline_ms) return deadline_ms;
    struct connection *conn = s->conn;
    conn->socket = NULL;
    connection_cut(conn);
    fail(s, connecting ? WR_SYSTEM : WR_CLOSED, 0, "the server did not answer in time");
    return 0;
}

/* --- the answer --- */

static slice bytes_of(const struct opening *o, struct http_span span)
{
    return http_span_slice(buffer_slice(&o->head), span);
}

/* How often the field is there; *out_value is the last one. */
static unsigned field_of(const struct opening *o, slice name, slice *out_value)
{
    const struct http_response_head *head = &o->parser.head;
    unsigned count = 0;
    *out_value = SLICE_EMPTY;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!slice_equal_nocase(bytes_of(o, head->fields[i].name), name)) continue;
        *out_value = bytes_of(o, head->fields[i].value);
        count++;
    }
    return count;
}

static bool field_has(const struct opening *o, slice name, slice element)
{
    slice value;
    return field_of(o, name, &value) == 1 && list_has(value, element);
}

static bool accept_is_right(const struct opening *o)
{
    char expected[SOCKET_ACCEPT_BYTES + 1];
    slice value;
    socket_accept_value(slice_text(o->key), expected);
    return field_of(o, SLICE("Sec-WebSocket-Accept"), &value) == 1 &&
           slice_equal(value, slice_text(expected));
}

/* The sub-protocol that the server chose must be one of ours. */
static bool take_protocol(struct wr_socket *s)
{
    slice value;
    unsigned count = field_of(s->opening, SLICE("Sec-WebSocket-Protocol"), &value);
    if (count == 0) return true;
    for (unsigned i = 1; count == 1 && *socket_protocol_name(s->target, i); i++) {
        if (!slice_equal(value, slice_text(socket_protocol_name(s->target, i)))) continue;
        s->protocol = (uint8_t)i;
        return true;
    }
    return false;
}

static bool take_extensions(struct wr_socket *s)
{
    struct ws_deflate agreed;
    slice value;
    unsigned count = field_of(s->opening, SLICE("Sec-WebSocket-Extensions"), &value);
    if (count == 0) return true;
    if (count > 1 || socket_handlers(s)->compress_bytes_min == 0) return false;
    int rc = ws_deflate_answer_read(value, &deflate_wish, &agreed);
    if (rc == ERR_NOT_FOUND) return true;
    if (rc < 0) return false;
    s->opening->window_bits = agreed.client_bits;
    return true;
}

/* NULL when the server has agreed, else what is wrong. */
static const char *answer_check(struct wr_socket *s)
{
    const struct opening *o = s->opening;
    if (o->parser.head.status != 101) return "the server refused the WebSocket";
    if (o->parser.head.minor == 0) return "the server speaks HTTP/1.0, which has no WebSocket";
    if (!field_has(o, SLICE("Upgrade"), SLICE("websocket")) ||
        !field_has(o, SLICE("Connection"), SLICE("Upgrade")))
        return "the server did not switch to WebSocket";
    if (!accept_is_right(o)) return "Sec-WebSocket-Accept does not belong to our key";
    if (!take_protocol(s)) return "the server chose a sub-protocol that was not offered";
    if (!take_extensions(s)) return "the server chose an extension that was not offered";
    if (o->window_bits && !worker_deflater(s->conn->worker)) return "out of memory";
    return NULL;
}

static void answered(struct wr_socket *s)
{
    int status = s->opening->parser.head.status;
    const char *why = answer_check(s);
    if (why) {
        refuse(s, status, why);
        return;
    }
    unsigned window_bits = s->opening->window_bits;
    opening_free(s);
    socket_begin(s, s->conn, window_bits);
    connection_arm(s->conn);
    if (socket_handlers(s)->open) socket_handlers(s)->open(s, s->target->context);
}

static void expect_answer(struct opening *o)
{
    const struct wr_client_config *config = &o->client->config;
    size_t max =
        config->header_bytes_max < HTTP_HEAD_BYTES_MAX ? config->header_bytes_max : HTTP_HEAD_BYTES_MAX;
    struct http_limits limits = {.target_bytes_max = FIELD_MAX,
                                 .header_bytes_max = max,
                                 .header_count_max = HTTP_FIELDS_MAX,
                                 .body_bytes_max = UINT64_MAX};
    http_response_parser_init(&o->parser, &limits, HTTP_REQUEST_USUAL);
}

size_t opening_input(struct wr_socket *s, const uint8_t *bytes, size_t len)
{
    struct opening *o = s->opening;
    size_t before = o->head.len, head_len;
    buffer_put(&o->head, slice_of(bytes, len));
    if (o->head.failed) {
        refuse(s, 0, "the server's answer is too long");
        return len;
    }
    int rc = http_response_parser_read(&o->parser, buffer_slice(&o->head), &head_len);
    if (rc == ERR_AGAIN) return len;
    if (rc < 0) {
        refuse(s, 0, o->parser.why);
        return len;
    }
    if (!o->parser.head.interim) {
        answered(s);
    } else if (++o->interims > CLIENT_INTERIM_MAX) {
        refuse(s, o->parser.head.status, "the server sends interim answers without end");
        return len;
    } else {
        buffer_reset(&o->head);
        expect_answer(o);
    }
    return head_len - before;
}

/* --- the request --- */

static void put_list(struct buffer *out, const struct target *target)
{
    for (unsigned i = 1; *socket_protocol_name(target, i); i++) {
        buffer_text(out, i == 1 ? "Sec-WebSocket-Protocol: " : ", ");
        buffer_text(out, socket_protocol_name(target, i));
    }
    if (*socket_protocol_name(target, 1)) buffer_text(out, "\r\n");
}

static void put_offer(struct buffer *out)
{
    uint8_t value[WS_DEFLATE_FIELD_BYTES_MAX];
    struct writer w = writer_of(value, sizeof value);
    ws_deflate_offer_write(&w, &deflate_wish);
    assert(!w.failed);
    buffer_text(out, "Sec-WebSocket-Extensions: ");
    buffer_put(out, writer_slice(&w));
    buffer_text(out, "\r\n");
}

/* The caller's fields, but none that belong to the handshake. */
static int put_fields(struct buffer *out, const char *const *headers)
{
    bool named_agent = false;
    for (const char *const *h = headers; h && h[0]; h += 2) {
        if (slice_equal_nocase(slice_sub(slice_text(h[0]), 0, 14), SLICE("Sec-WebSocket-")))
            return WR_INVALID;
    }
    int rc = client_put_fields(out, headers, &named_agent);
    if (rc == WR_OK && !named_agent) buffer_text(out, "User-Agent: weaprous/" WEB_VERSION "\r\n");
    return rc;
}

static int put_request(struct buffer *out, const struct opening *o, const struct target *target,
                       const struct url *url, const char *const *headers)
{
    buffer_text(out, "GET ");
    url_target_write(out, url);
    buffer_text(out, " HTTP/1.1\r\nHost: ");
    buffer_put(out, url->authority);
    buffer_text(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: ");
    buffer_text(out, o->key);
    buffer_text(out, "\r\n");
    put_list(out, target);
    if (target->socket.compress_bytes_min > 0) put_offer(out);
    int rc = put_fields(out, headers);
    buffer_text(out, "\r\n");
    return rc == WR_OK && out->failed ? WR_MEMORY : rc;
}

/* --- opening --- */

static struct opening *opening_new(struct wr_client *client, const struct wr_client_socket *config)
{
    uint8_t random[KEY_RANDOM_BYTES];
    struct opening *o = RAND_bytes(random, sizeof random) == 1 ? calloc(1, sizeof *o) : NULL;
    if (!o) return NULL;
    o->client = client;
    o->failed = config->failed;
    o->since_ms = net_loop_now(&client->worker->loop);
    EVP_EncodeBlock((unsigned char *)o->key, random, sizeof random);
    buffer_init(&o->head, &allocator_libc, HTTP_HEAD_BYTES_MAX + LOOP_READ_BYTES);
    expect_answer(o);
    list_init(&o->node);
    return o;
}

/* Begins to connect, with the request queued. */
static int start(struct wr_socket *s, const struct url *url, slice request)
{
    struct wr_client *client = s->opening->client;
    char host[CLIENT_HOST_BYTES_MAX + 1] = {0};
    struct stream_target target = {.host = host, .port = url->port};
    if (url->host.len > CLIENT_HOST_BYTES_MAX) return WR_INVALID;
    memcpy(host, url->host.ptr, url->host.len);
    if (url->secure && !(target.tls = client_tls(client))) return WR_MEMORY;
    int rc = connection_open(client->worker, &target, s, &s->conn);
    if (rc < 0) return rc == ERR_MEMORY ? WR_MEMORY : WR_INVALID;
    list_append(&client->openings, &s->opening->node);
    stream_read(&s->conn->stream, true);
    if (stream_put(&s->conn->stream, request) < 0) {
        /* `failed` must not be called: nothing has begun for the caller. */
        struct connection *conn = s->conn;
        conn->socket = NULL;
        connection_cut(conn);
        return WR_MEMORY;
    }
    connection_arm(s->conn);
    return WR_OK;
}

static int target_new(const struct wr_client_socket *config, struct target **out)
{
    struct target *target = config->handlers ? calloc(1, sizeof *target) : NULL;
    if (!target) return config->handlers ? WR_MEMORY : WR_INVALID;
    int rc = socket_target_init(target, config->handlers, config->context);
    if (rc < 0)
        free(target);
    else
        *out = target;
    return rc;
}

static int open_url(struct wr_client *client, const struct wr_client_socket *config, const struct url *url)
{
    struct target *target;
    struct buffer request;
    int rc = target_new(config, &target);
    if (rc < 0) return rc;
    buffer_init(&request, &allocator_libc, 2 * HTTP_HEAD_BYTES_MAX);
    struct opening *o = opening_new(client, config);
    struct wr_socket *s = o ? socket_new(target, config->user, true) : NULL;
    if (!s) {
        free(o);
        target_free(target);
        return WR_MEMORY;
    }
    s->is_opening = true;
    s->opening = o;
    o->socket = s;
    rc = put_request(&request, o, target, url, config->headers);
    if (rc == WR_OK) rc = start(s, url, buffer_slice(&request));
    buffer_reset(&request);
    if (rc == WR_OK) return WR_OK;
    opening_free(s);
    socket_free(s);
    return rc;
}

int wr_client_open(struct wr_client *client, const struct wr_client_socket *config)
{
    struct url url;
    slice text = slice_text(config->url);
    if (client->freed || text.len > CLIENT_URL_BYTES_MAX || url_parse(text, &url) < 0) return WR_INVALID;
    if (url.scheme != URL_WS && url.scheme != URL_WSS) return WR_INVALID;
    /* Who connects again whenever a socket is lost would keep the server from ever ending. */
    if (wr_stopping(client->worker->app)) return WR_CLOSED;
    return open_url(client, config, &url);
}

void client_cut_openings(struct wr_client *client)
{
    while (!list_empty(&client->openings))
        connection_cut(LIST_ENTRY(client->openings.next, struct opening, node)->socket->conn);
}
