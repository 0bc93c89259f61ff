/* hex.h - bytes as lower-case hexadecimal text. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include "base/err.h"
#include "base/slice.h"

/* Writes 2 * bytes.len characters and a NUL; `out` has room for them. */
void hex_encode(slice bytes, char *out);
/* Exactly 2 * len hexadecimal digits, either case; else ERR_MALFORMED. */
int hex_decode(slice text, uint8_t *out, size_t len) BASE_CHECKED;

#endif
