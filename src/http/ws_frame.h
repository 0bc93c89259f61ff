/* ws_frame.h - the frames of a WebSocket (RFC 6455 5.2), one at a time. */
#ifndef HTTP_WS_FRAME_H
#define HTTP_WS_FRAME_H

#include "base/err.h"
#include "base/slice.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

enum {
    WS_FRAME_HEAD_MAX = 14,
    WS_CONTROL_BYTES_MAX = 125,
    WS_KEY_BYTES = 24, /* Sec-WebSocket-Key: 16 bytes in base64 */
};

struct ws_frame {
    uint64_t len; /* of the payload */
    uint8_t opcode;
    bool fin;
    bool rsv1; /* compressed (RFC 7692 6): only on the first frame of a message */
    bool masked;
    uint8_t mask[4];
    uint8_t head_len; /* bytes of the head: 2 to 14 */
};

/* Reads the head of a frame. OK, ERR_AGAIN (bytes end before the head), ERR_PROTOCOL: a reserved bit or
 * opcode (the first reserved bit is given out with a text or binary frame: whether it was agreed on is the
 * caller's matter), a length that is not in its shortest form or has its top bit set, a control frame that is
 * fragmented or too long. */
int ws_frame_parse(slice bytes, struct ws_frame *out) BASE_CHECKED;
/* Writes the head of a frame by len, opcode, fin, rsv1, masked and mask; returns its length. */
size_t ws_frame_write(const struct ws_frame *frame, uint8_t out[WS_FRAME_HEAD_MAX]);
/* Masks or unmasks in place; offset: how many payload bytes came before these. */
void ws_mask(uint8_t *bytes, size_t len, const uint8_t mask[4], uint64_t offset);

/* Codes that may stand in a close frame (RFC 6455 7.4). */
bool ws_close_code_valid(unsigned code);
/* 16 bytes in base64 (RFC 6455 4.2.1). */
bool ws_key_valid(slice key);

#endif
