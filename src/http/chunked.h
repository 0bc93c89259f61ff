/* chunked.h - the chunked transfer coding (RFC 9112 7.1): decoded as it arrives, and written.
 *
 * Chunk extensions are checked for form and dropped. Trailer fields are checked as header fields are; they
 * are dropped, or kept when the caller gives a buffer for them. Lines end with CR LF, sizes are 1 to 8
 * hexadecimal digits with nothing before or after them but an extension.
 *
 * Rules: no I/O; allocates only in the buffer that the caller gave for trailers. */
#ifndef HTTP_CHUNKED_H
#define HTTP_CHUNKED_H

#include "base/buffer.h"

enum {
    CHUNKED_EXTENSION_BYTES_MAX = 256, /* of one chunk */
    CHUNKED_EXTENSIONS_FREE = 4096,    /* of all, beyond as many as there are bytes of data */
    CHUNKED_TRAILER_BYTES_MAX = 4096,
    CHUNKED_HEAD_BYTES_MAX = 18, /* 16 digits and CR LF */
};

struct http_chunked {
    uint8_t state;
    uint8_t digits;
    bool trailer_colon; /* the trailer line so far has its colon */
    uint32_t spent;     /* bytes of this extension, or of all trailers */
    uint64_t left;      /* of this chunk */
    uint64_t total;     /* data bytes announced so far */
    uint64_t extension_bytes;
    uint64_t body_bytes_max;
    struct buffer *trailers; /* NULL: dropped */
    size_t trailer_line;     /* where the line under way begins in it */
};

/* --- reading --- */

/* ERR_TOO_LARGE comes as soon as a chunk is announced that goes past body_bytes_max. */
void http_chunked_init(struct http_chunked *c, uint64_t body_bytes_max);

/* Trailer fields are to be kept: from here to the end of the body they are appended to *trailers, which the
 * caller owns, has initialised (a max of CHUNKED_TRAILER_BYTES_MAX is always enough) and keeps while the
 * reader is used. Those that http_trailer_allowed refuses are left out. Memory is taken only when a trailer
 * field comes. */
void http_chunked_keep_trailers(struct http_chunked *c, struct buffer *trailers);

/* Takes bytes off *input until data comes out. OK: *out_data borrows the input, never empty. ERR_AGAIN: all
 * input is used. ERR_CLOSED: the body has ended, the trailers are complete; what is left in *input is the
 * next message. ERR_MALFORMED, ERR_TOO_LARGE; ERR_MEMORY only when trailers are kept. */
int http_chunked_next(struct http_chunked *c, slice *input, slice *out_data) BASE_CHECKED;

/* Takes the next field off what http_chunked_keep_trailers collected; both slices borrow it. False at the
 * end. */
bool http_trailer_next(slice *rest, slice *out_name, slice *out_value);

/* --- writing: for each chunk its head, its data and CR LF; then the last chunk, trailer lines, CR LF --- */

/* "1f4\r\n"; len is above 0 (0 would end the body) and CHUNKED_HEAD_BYTES_MAX are always room enough. */
void http_chunk_head_write(struct writer *w, uint64_t len);
#define HTTP_CHUNK_END SLICE("\r\n")
/* The last chunk when no trailers follow. */
#define HTTP_CHUNKED_END SLICE("0\r\n\r\n")
/* The last chunk before trailer lines; after them HTTP_CHUNK_END ends the body. */
#define HTTP_CHUNKED_LAST SLICE("0\r\n")
/* "Name: value\r\n". ERR_INVALID when the name or value is not valid or the field may not be a trailer;
 * nothing is written then. ERR_FULL: no room. */
int http_trailer_write(struct writer *w, slice name, slice value) BASE_CHECKED;

/* False for fields that frame, route, authenticate or describe the content, which are of use only before it
 * (RFC 9110 6.5.1). */
bool http_trailer_allowed(slice name);

#endif
