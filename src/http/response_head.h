/* response_head.h - the head of an answer, for a client: status line and header fields, parsed in place, and
 * how the body that follows is framed (RFC 9112 6.3).
 *
 * As strict as head.h and with the same field lines: CR LF, no folding, no space before a colon, at most one
 * Content-Length of digits, Transfer-Encoding exactly "chunked" and not beside a Content-Length. It keeps
 * offsets, not pointers, so that the caller may move the bytes between two calls.
 *
 * Rules: nothing allocates; no I/O; not re-entrant for one parser. */
#ifndef HTTP_RESPONSE_HEAD_H
#define HTTP_RESPONSE_HEAD_H

#include "http/head.h"
#include "http/lines.h"

struct http_response_head {
    uint16_t status;         /* 100 to 999 */
    struct http_span reason; /* may be empty */
    uint8_t minor;           /* 0 or 1 */
    bool keep_alive;         /* the connection can be used again when the body has been read */
    bool interim;            /* 1xx but 101: another answer follows; init the parser again and read on */
    bool tunnel;             /* 101, or 2xx to CONNECT: what follows is no HTTP */
    bool has_length;     /* Content-Length was there: of the body, or for HEAD and 304 of what it would be */
    enum http_body body; /* NONE, LENGTH, CHUNKED or UNTIL_CLOSE */
    uint64_t content_length; /* with has_length */
    size_t field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

/* What the request was, which decides whether its answer has a body. */
enum http_request_kind { HTTP_REQUEST_USUAL, HTTP_REQUEST_HEAD, HTTP_REQUEST_CONNECT };

struct http_response_parser {
    struct http_limits limits; /* target_bytes_max is of no use here */
    struct http_scan scan;
    uint8_t request; /* enum http_request_kind */
    bool status_line;
    const char *why; /* after an error: a static sentence */
    struct http_response_head head;
};

void http_response_parser_init(struct http_response_parser *p, const struct http_limits *limits,
                               enum http_request_kind request);

/* `bytes` are all bytes since the answer began, those of earlier calls included and unchanged. OK: the head
 * is complete, *out_len is its length. ERR_AGAIN: more is needed. ERR_MALFORMED; ERR_TOO_LARGE (head, fields
 * or the announced body); ERR_PROTOCOL (another HTTP version or transfer coding): close the connection; do
 * not call again. */
int http_response_parser_read(struct http_response_parser *p, slice bytes, size_t *out_len) BASE_CHECKED;

#endif
