/* head.h - the head of one request: request line and header fields, parsed in place.
 *
 * Strict by RFC 9112: what two readers could understand differently is refused, because that is how requests
 * are smuggled past a proxy. Lines end with CR LF; there is no folding, no space before a colon, no control
 * character; at most one Content-Length, made of digits; Transfer-Encoding is exactly "chunked", and never
 * beside a Content-Length; one valid Host, which an absolute target agrees with. What is refused beyond the
 * letter of the RFC, and why, is in docs/conformance.md.
 *
 * The parser keeps offsets, not pointers, so that the caller may move the bytes between two calls. It looks
 * at each byte once, however the input is cut.
 *
 * Rules: nothing allocates; no I/O; not re-entrant for one parser. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/lines.h"

struct http_limits {
    size_t target_bytes_max;
    size_t header_bytes_max; /* request line and fields, with all line ends */
    size_t header_count_max;
    uint64_t body_bytes_max;
};

enum http_body {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_UNTIL_CLOSE, /* only of an answer */
};

/* Of an absolute target; else the connection says it. */
enum http_scheme { HTTP_SCHEME_NONE, HTTP_SCHEME_HTTP, HTTP_SCHEME_HTTPS };

struct http_head {
    struct http_span method;
    struct http_span target; /* as sent */
    struct http_span path;   /* of the target; begins with '/', or is "*" */
    struct http_span query;  /* without '?' */
    struct http_span
        authority; /* host[:port]: of an absolute target, else of Host; may be empty in HTTP/1.0 */
    enum http_scheme scheme;
    uint8_t minor;   /* 0 or 1 */
    bool is_head;    /* the method is HEAD: also known after an error in what follows the request line */
    bool keep_alive; /* the client is willing to go on after the answer */
    bool expects_continue;
    bool upgrade; /* Connection names "upgrade" */
    enum http_body body;
    uint64_t content_length; /* with HTTP_BODY_LENGTH */
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

struct http_parser {
    struct http_limits limits;
    struct http_scan scan;
    bool request_line; /* it has been read */
    bool blank;        /* one empty line before the request line was skipped */
    uint16_t status;   /* after an error: what to answer */
    const char *why;   /* and the sentence; static */
    struct http_head head;
};

void http_parser_init(struct http_parser *p, const struct http_limits *limits);

/* `bytes` are all bytes since the request began, those of earlier calls included and unchanged. OK: the head
 * is complete, *out_len is its length. ERR_AGAIN: more is needed. ERR_MALFORMED, ERR_TOO_LARGE, ERR_PROTOCOL
 * (not supported): answer with p->status and p->why, then close; do not call again. */
int http_parser_read(struct http_parser *p, slice bytes, size_t *out_len) BASE_CHECKED;

#endif
