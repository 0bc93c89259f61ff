/* response.h - the head of an answer, written into fixed memory. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "base/buffer.h"

#define HTTP_NO_LENGTH UINT64_MAX

struct http_response {
    int status;              /* 100 to 599 */
    const char *date;        /* HTTP_DATE_BYTES characters */
    slice content_type;      /* empty: none */
    uint64_t content_length; /* HTTP_NO_LENGTH: no such field (1xx, 204, 304) */
    bool chunked;            /* Transfer-Encoding: chunked, instead of a length */
    bool close;              /* Connection: close */
    bool keep_alive;         /* Connection: keep-alive, for HTTP/1.0 */
    slice fields;            /* further fields, each with its CR LF; checked already */
    slice more_fields;
};

/* Room that is enough for everything but content_type, fields and more_fields. */
enum { HTTP_RESPONSE_FIXED_BYTES = 256 };

void http_response_write(struct writer *w, const struct http_response *response);

#endif
