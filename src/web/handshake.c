/* handshake.c - a request that becomes a WebSocket (RFC 6455 4.2). */
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "http/response.h"
#include "http/token.h"
#include "http/ws_deflate.h"
#include "web/deflate.h"
#include "web/socket.h"

static void refuse_handshake(struct wr_request *r, int status, const char *message)
{
    wr_response_header(r, "Upgrade", "websocket");
    wr_response_header(r, "Sec-WebSocket-Version", "13");
    buffer_text(&r->fields, "Connection: Upgrade\r\n"); /* RFC 9110 7.8: wherever Upgrade is sent */
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
    r->may_upgrade = true; /* where it may not, it is answered here */
    r->not_a_handshake = !asks || head->minor == 0 || r->head_only;
    if (r->not_a_handshake && r->target->socket.upgrade)
        r->target->socket.upgrade(r, r->target->context); /* it may have a better reason to refuse */
    else if (r->not_a_handshake)
        refuse_handshake(r, 426, not_a_handshake);
    else if (!slice_equal(request_field(r, "Sec-WebSocket-Version"), SLICE("13")))
        refuse_handshake(r, 426, "this server speaks version 13 of WebSocket");
    else if (!ws_key_valid(request_field(r, "Sec-WebSocket-Key")) || head->body == HTTP_BODY_CHUNKED ||
             head->content_length > 0)
        wr_respond_error(r, 400, "the WebSocket handshake is not valid");
    else if (r->target->socket.upgrade)
        r->target->socket.upgrade(r, r->target->context);
    else
        accept_same_origin(r);
}

void socket_accept_value(slice key, char out[SOCKET_ACCEPT_BYTES + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[WS_KEY_BYTES + sizeof guid - 1], digest[SHA_DIGEST_LENGTH];
    memcpy(text, key.ptr, WS_KEY_BYTES);
    memcpy(text + WS_KEY_BYTES, guid, sizeof guid - 1);
    SHA1(text, sizeof text, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

/* --- what is agreed on --- */

static bool offers(slice list, slice name)
{
    slice element;
    while (list_next(&list, &element)) {
        if (slice_equal(element, name)) return true;
    }
    return false;
}

/* The first of ours that the client offers, from 1; 0: none. */
static unsigned choose_protocol(struct wr_request *r)
{
    slice offered = request_field(r, "Sec-WebSocket-Protocol");
    for (unsigned i = 1; offered.len > 0 && *socket_protocol_name(r->target, i); i++) {
        if (offers(offered, slice_text(socket_protocol_name(r->target, i)))) return i;
    }
    return 0;
}

/* Whether and how messages are compressed. */
static bool choose_deflate(struct wr_request *r, struct ws_deflate *out)
{
    static const struct ws_deflate wish = {.server_bits = WS_DEFLATE_BITS_MAX,
                                           .client_bits = WS_DEFLATE_BITS_MAX,
                                           .server_fresh = true,
                                           .client_fresh = true};
    struct ws_deflate agreed;
    if (r->target->socket.compress_bytes_min == 0 ||
        !ws_deflate_accept(request_field(r, "Sec-WebSocket-Extensions"), &wish, &agreed) ||
        !worker_deflater(r->worker))
        return false;
    *out = agreed;
    return true;
}

static void put_deflate(struct wr_request *r, const struct ws_deflate *agreed)
{
    char value[WS_DEFLATE_FIELD_BYTES_MAX + 1];
    struct writer w = writer_of(value, WS_DEFLATE_FIELD_BYTES_MAX);
    ws_deflate_write(&w, agreed);
    assert(!w.failed);
    value[w.len] = 0;
    wr_response_header(r, "Sec-WebSocket-Extensions", value);
}

static int send_handshake(struct wr_request *r, unsigned protocol)
{
    char accept[SOCKET_ACCEPT_BYTES + 1];
    socket_accept_value(request_field(r, "Sec-WebSocket-Key"), accept);
    wr_response_header(r, "Upgrade", "websocket");
    wr_response_header(r, "Sec-WebSocket-Accept", accept);
    if (protocol) wr_response_header(r, "Sec-WebSocket-Protocol", socket_protocol_name(r->target, protocol));
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

int wr_socket_accept(struct wr_request *r, void *user)
{
    if (!r->may_upgrade || r->flow.begun) {
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
    struct ws_deflate deflate = {0};
    if (choose_deflate(r, &deflate)) put_deflate(r, &deflate);
    struct wr_socket *s = socket_new(r->target, user, false);
    if (s) s->protocol = (uint8_t)choose_protocol(r);
    if (r->group->after.len > 0) group_after(r, 101);
    int rc = s ? send_handshake(r, s->protocol) : WR_MEMORY;
    if (rc < 0) {
        socket_free(s);
        r->bad_fields = true; /* a 500, whatever it was */
        wr_respond_empty(r, 500);
        return rc == WR_MEMORY ? WR_CLOSED : WR_INVALID;
    }
    socket_begin(s, r->conn, deflate.server_bits);
    connection_upgrade(r->conn, s);
    request_release(r);
    if (socket_handlers(s)->open) socket_handlers(s)->open(s, s->target->context);
    return WR_OK;
}
