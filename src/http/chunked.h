/* chunked.h - the chunked transfer coding (RFC 9112 7.1), decoded as it arrives.
 *
 * Chunk extensions and trailer fields are checked for form and dropped. Lines end with CR LF, sizes are 1 to
 * 8 hexadecimal digits with nothing before or after them but an extension. */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "base/err.h"
#include "base/slice.h"

enum {
    CHUNKED_EXTENSION_BYTES_MAX = 256,
    CHUNKED_TRAILER_BYTES_MAX = 4096,
};

struct http_chunked {
    uint8_t state;
    uint8_t digits;
    bool trailer_colon; /* the trailer line so far has its colon */
    uint32_t spent;     /* bytes of this extension, or of all trailers */
    uint64_t left;      /* of this chunk */
    uint64_t total;     /* data bytes announced so far */
    uint64_t body_bytes_max;
};

void http_chunked_init(struct http_chunked *c, uint64_t body_bytes_max);

/* Takes bytes off *input until data comes out. OK: *out_data borrows the input, never empty. ERR_AGAIN: all
 * input is used. ERR_CLOSED: the body has ended; what is left in *input is the next request. ERR_MALFORMED,
 * ERR_TOO_LARGE. */
int http_chunked_next(struct http_chunked *c, slice *input, slice *out_data) BASE_CHECKED;

#endif
