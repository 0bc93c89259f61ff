/* framing.h - the fields that say where a message ends and whether its connection goes on, which are the same
 * in requests and answers (RFC 9112 6, 9).
 *
 * Rules: nothing allocates. */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "base/slice.h"

struct http_framing {
    bool length, encoding;           /* Content-Length, Transfer-Encoding were there */
    bool close, keep_alive, upgrade; /* the options of Connection */
    uint64_t content_length;
    const char *why; /* when something was refused: a static sentence */
};

/* Takes one field into account; minor: of the HTTP version. 0, or the status that a request is refused with:
 * 400, 413 (Content-Length above body_bytes_max), 501 (a Transfer-Encoding other than chunked). */
int http_framing_take(struct http_framing *f, uint8_t minor, uint64_t body_bytes_max, slice name,
                      slice value);
/* After all fields: 0 or 400. */
int http_framing_check(struct http_framing *f);

#endif
