#include "base/hex.h"

void hex_encode(slice bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        out[2 * i] = digits[bytes.ptr[i] >> 4];
        out[2 * i + 1] = digits[bytes.ptr[i] & 15];
    }
    out[2 * bytes.len] = 0;
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int hex_decode(slice text, uint8_t *out, size_t len)
{
    if (text.len != 2 * len) return ERR_MALFORMED;
    for (size_t i = 0; i < text.len; i++) {
        if (digit(text.ptr[i]) < 0) return ERR_MALFORMED;
    }
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(digit(text.ptr[2 * i]) << 4 | digit(text.ptr[2 * i + 1]));
    }
    return OK;
}
