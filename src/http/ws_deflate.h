/* ws_deflate.h - agreeing on permessage-deflate (RFC 7692 7.1): offers and answers as values of
 * Sec-WebSocket-Extensions. The compression itself is not done here.
 *
 * How to use it: a server gives the client's field to ws_deflate_accept and, when that is true, answers with
 * ws_deflate_write; a client sends ws_deflate_offer_write and gives the answer to ws_deflate_answer_read.
 * Then the ws_reader is told (ws_reader_allow_compressed), gives out whole compressed messages with
 * `compressed` set, and the owner adds 00 00 FF FF and inflates; what is sent compressed has frame.rsv1 on
 * its first frame.
 *
 * Rules: nothing allocates. */
#ifndef HTTP_WS_DEFLATE_H
#define HTTP_WS_DEFLATE_H

#include "base/buffer.h"

enum {
    WS_DEFLATE_BITS_MIN =
        9, /* zlib cannot compress raw with a window of 8 bits: such an offer is passed over */
    WS_DEFLATE_BITS_MAX = 15,
    WS_DEFLATE_FIELD_BYTES_MAX = 160, /* room for either value written here */
    WS_DEFLATE_OFFERS_MAX = 16,       /* elements of the field that are looked at */
};

/* What holds for a connection, or what one side wishes. "client": what the client compresses, "server": what
 * the server does. Bits: of the window; in a wish 9 to 15, or 0 for 15. In what was agreed the bits for what
 * one inflates may also be 8, and a server may bind its client to 8: a client that cannot compress so sends
 * its messages plain. */
struct ws_deflate {
    uint8_t server_bits, client_bits;
    bool server_fresh, client_fresh; /* no context takeover: each message is compressed by itself */
};

/* Server: takes the first acceptable offer of permessage-deflate in the field and joins it with what the
 * server wishes (smaller windows and fresh contexts where either side asks for them; a smaller client window
 * only when the client says that it can). False: no such offer, or none that can be granted: go on without
 * compression. Offers that are malformed, or have parameters unknown or twice, are declined (7.1). */
bool ws_deflate_accept(slice field, const struct ws_deflate *wish, struct ws_deflate *out);
/* Server: the value that answers the offer that was accepted. */
void ws_deflate_write(struct writer *w, const struct ws_deflate *agreed);

/* Client: the value of the offer. */
void ws_deflate_offer_write(struct writer *w, const struct ws_deflate *wish);
/* Client: reads the server's answer to that offer. OK: agreed, *out is written. ERR_NOT_FOUND: the field is
 * empty: go on without compression. ERR_PROTOCOL: not an answer to this offer, or another extension: fail the
 * connection (RFC 6455 4.1). */
int ws_deflate_answer_read(slice field, const struct ws_deflate *wish, struct ws_deflate *out) BASE_CHECKED;

#endif
