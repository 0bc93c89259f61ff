#include "http/ws_frame.h"

#include <string.h>

int ws_frame_parse(slice bytes, struct ws_frame *out)
{
    if (bytes.len < 1) return ERR_AGAIN;
    uint8_t first = bytes.ptr[0];
    struct ws_frame f = {.fin = first >> 7, .rsv1 = first >> 6 & 1, .opcode = first & 15};
    bool control = f.opcode >= 8;
    if (first & 0x30) return ERR_PROTOCOL;
    if ((f.opcode > WS_BINARY && !control) || f.opcode > WS_PONG) return ERR_PROTOCOL;
    if (control && !f.fin) return ERR_PROTOCOL;
    if (f.rsv1 && (control || f.opcode == WS_CONTINUATION)) return ERR_PROTOCOL;
    if (bytes.len < 2) return ERR_AGAIN;
    uint8_t second = bytes.ptr[1];
    f.masked = second >> 7;
    f.len = second & 127;
    if (control && f.len > WS_CONTROL_BYTES_MAX) return ERR_PROTOCOL;
    size_t extra = f.len == 126 ? 2 : f.len == 127 ? 8 : 0;
    if (bytes.len < 2 + extra) return ERR_AGAIN;
    if (extra) {
        f.len = 0;
        for (size_t i = 0; i < extra; i++)
            f.len = f.len << 8 | bytes.ptr[2 + i];
        if (f.len < (extra == 2 ? 126 : 65536) || f.len >> 63) return ERR_PROTOCOL;
    }
    f.head_len = (uint8_t)(2 + extra + (f.masked ? 4 : 0));
    if (bytes.len < f.head_len) return ERR_AGAIN;
    if (f.masked) memcpy(f.mask, bytes.ptr + 2 + extra, 4);
    *out = f;
    return OK;
}

size_t ws_frame_write(const struct ws_frame *f, uint8_t out[WS_FRAME_HEAD_MAX])
{
    size_t n = 0, extra = f->len < 126 ? 0 : f->len <= 0xFFFF ? 2 : 8;
    uint8_t masked = f->masked ? 0x80 : 0;
    out[n++] = (uint8_t)((f->fin ? 0x80 : 0) | (f->rsv1 ? 0x40 : 0) | f->opcode);
    out[n++] = (uint8_t)(masked | (extra == 0 ? f->len : extra == 2 ? 126 : 127));
    for (size_t i = extra; i > 0; i--)
        out[n++] = (uint8_t)(f->len >> (8 * (i - 1)));
    if (f->masked) {
        memcpy(out + n, f->mask, 4);
        n += 4;
    }
    return n;
}

void ws_mask(uint8_t *bytes, size_t len, const uint8_t mask[4], uint64_t offset)
{
    uint8_t turned[8];
    for (size_t i = 0; i < 8; i++)
        turned[i] = mask[(offset + i) & 3];
    uint64_t word, pattern;
    memcpy(&pattern, turned, 8);
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, bytes + i, 8);
        word ^= pattern;
        memcpy(bytes + i, &word, 8);
    }
    for (; i < len; i++)
        bytes[i] ^= turned[i & 7];
}

bool ws_close_code_valid(unsigned code)
{
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

bool ws_key_valid(slice key)
{
    if (key.len != WS_KEY_BYTES || key.ptr[22] != '=' || key.ptr[23] != '=') return false;
    for (size_t i = 0; i < 22; i++) {
        uint8_t c = key.ptr[i];
        bool digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
                     c == '/';
        if (!digit) return false;
    }
    return true;
}
