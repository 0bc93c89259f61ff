/* lines.h - what heads of requests, of answers and of parts have in common: lines that end with CR LF, looked
 * at once however the input is cut, and field lines (RFC 9112 2.2, 5).
 *
 * Rules: nothing allocates; offsets, not pointers, are kept from call to call. */
#ifndef HTTP_LINES_H
#define HTTP_LINES_H

#include "base/err.h"
#include "base/slice.h"

enum {
    HTTP_FIELDS_MAX = 256,      /* of a head */
    HTTP_HEAD_BYTES_MAX = 65535 /* upper limit of a head: offsets have 16 bits */
};

struct http_span {
    uint16_t at, len;
};

struct http_field {
    struct http_span name, value;
};

static inline slice http_span_slice(slice bytes, struct http_span span)
{
    return slice_sub(bytes, span.at, span.len);
}

struct http_scan {
    size_t at;   /* first byte not looked at yet */
    size_t line; /* where the current line begins */
};

/* `bytes`: all since the first line, those of earlier calls included and unchanged. OK: *out_line is the next
 * line, without its end. ERR_AGAIN: the bytes end within the line that begins at scan->line. ERR_MALFORMED: a
 * CR that is not before an LF, or an LF without one. */
int http_line_next(struct http_scan *scan, slice bytes, slice *out_line) BASE_CHECKED;

/* Reads a field line (not empty) that begins at offset `base`: a token, at once a colon, a value without
 * control characters, trimmed; no folding. NULL, or a static sentence that says what is wrong. */
const char *http_field_read(slice line, size_t base, struct http_field *out);

#endif
