/* ws_reader.h - the receiving half of a WebSocket: bytes in, whole messages and control frames out.
 *
 * Puts fragments together, unmasks, checks UTF-8 while it arrives (RFC 6455 8.1), refuses what RFC 6455
 * forbids. A message that lies whole in the input is given out in place, without a copy; one that does not is
 * gathered in memory that grows only with what has arrived and is freed afterwards: a reader between messages
 * holds nothing.
 *
 * Rules: no I/O; the input is unmasked in place, so it must be writable; not re-entrant for one reader. */
#ifndef HTTP_WS_READER_H
#define HTTP_WS_READER_H

#include "base/alloc.h"
#include "base/err.h"
#include "http/ws_frame.h"

struct ws_reader {
    const struct allocator *allocator;
    struct ws_partial *partial; /* the frame or message under way, or the one just given out; else NULL */
    uint32_t message_bytes_max;
    bool expects_mask;      /* true in a server: clients mask, servers do not (5.1) */
    bool allows_compressed; /* permessage-deflate was agreed on */
};

struct ws_event {
    enum ws_opcode opcode; /* WS_TEXT, WS_BINARY (whole messages), WS_PING, WS_PONG, WS_CLOSE */
    slice payload;         /* WS_CLOSE: the reason, UTF-8; WS_TEXT: UTF-8 unless compressed */
    bool compressed; /* a message to be inflated (RFC 7692 7.2.2); a text is to be checked for UTF-8 then */
    unsigned close_code; /* WS_CLOSE: 1005 when there was none */
};

/* message_bytes_max: less than 4 GiB. */
void ws_reader_init(struct ws_reader *r, const struct allocator *allocator, size_t message_bytes_max,
                    bool expects_mask);
/* permessage-deflate was agreed on (ws_deflate.h): compressed messages are given out, as they came, instead
 * of refused. The limit of a message, and a little more for what does not become shorter, then goes for its
 * compressed bytes; the caller has to bound what it inflates. */
void ws_reader_allow_compressed(struct ws_reader *r);
void ws_reader_deinit(struct ws_reader *r);

/* Takes bytes off the input (*bytes, *len) until something is complete. OK: *out is; its payload lives until
 * the next call or until the input goes. ERR_AGAIN: all input is used. ERR_PROTOCOL (close with 1002),
 * ERR_MALFORMED (not UTF-8: 1007), ERR_TOO_LARGE (1009), ERR_MEMORY (1011): do not call again. */
int ws_reader_next(struct ws_reader *r, uint8_t **bytes, size_t *len, struct ws_event *out) BASE_CHECKED;

#endif
