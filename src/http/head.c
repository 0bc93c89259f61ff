#include "http/head.h"
#include "http/request.h"
#include "http/token.h"
#include "http/url.h"

#include <string.h>

enum { METHOD_BYTES_MAX = 32 };

void http_parser_init(struct http_parser *p, const struct http_limits *limits)
{
    /* The fields need no clearing; they are most of the size. */
    memset(p, 0, offsetof(struct http_parser, head) + offsetof(struct http_head, fields));
    p->limits = *limits;
    if (p->limits.header_bytes_max > HTTP_HEAD_BYTES_MAX) p->limits.header_bytes_max = HTTP_HEAD_BYTES_MAX;
    if (p->limits.header_count_max > HTTP_FIELDS_MAX) p->limits.header_count_max = HTTP_FIELDS_MAX;
}

static int fail(struct http_parser *p, int status, const char *why)
{
    p->status = (uint16_t)status;
    p->why = why;
    switch (status) {
    case 413:
    case 414:
    case 431: return ERR_TOO_LARGE;
    case 417:
    case 501:
    case 505: return ERR_PROTOCOL;
    default: return ERR_MALFORMED;
    }
}

static struct http_span span_of(size_t at, size_t len)
{
    return (struct http_span){(uint16_t)at, (uint16_t)len};
}

/* "HTTP/1.1" and nothing around it. Returns the minor version, or the negative status. */
static int version_parse(slice s)
{
    if (s.len != 8 || !slice_starts(s, SLICE("HTTP/")) || s.ptr[6] != '.') return -400;
    uint8_t major = s.ptr[5], minor = s.ptr[7];
    if (major < '0' || major > '9' || minor < '0' || minor > '9') return -400;
    if (major != '1') return -505;
    return minor == '0' ? 0 : 1;
}

/* What holds for a request line that is not complete yet, too: so the same bytes get the same status however
 * they are cut, and an endless line is refused when it is too long, not when it ends. */
static int request_line_begin(struct http_parser *p, slice line)
{
    size_t method_len = slice_find(line, ' ');
    bool too_long = method_len > METHOD_BYTES_MAX;
    slice method = slice_sub(line, 0, too_long ? METHOD_BYTES_MAX + 1 : method_len);
    if ((too_long || method_len < line.len) && !token_valid(method))
        return fail(p, 400, "the method is not valid");
    /* RFC 9112 3: a method longer than any that is implemented */
    if (too_long) return fail(p, 501, "this method is not known here");
    if (line.len > method_len + p->limits.target_bytes_max + sizeof "  HTTP/1.1" - 1)
        return fail(p, 414, "the address is too long");
    return OK;
}

static int request_line(struct http_parser *p, slice bytes, slice line)
{
    int rc = request_line_begin(p, line);
    if (rc < 0) return rc;
    size_t base = (size_t)(line.ptr - bytes.ptr);
    size_t method_len = slice_find(line, ' ');
    slice rest = slice_sub(line, method_len + 1, line.len);
    size_t target_len = slice_find(rest, ' ');
    if (target_len > p->limits.target_bytes_max) return fail(p, 414, "the address is too long");
    int minor = version_parse(slice_sub(rest, target_len + 1, rest.len));
    if (minor == -505) return fail(p, 505, "this server speaks HTTP/1.1");
    if (target_len == 0 || minor < 0) return fail(p, 400, "the request line is not valid");
    if (!url_target_valid(slice_sub(rest, 0, target_len)))
        return fail(p, 400, "the address has a character that must be encoded");
    p->head.method = span_of(base, method_len);
    p->head.is_head = slice_equal(slice_sub(line, 0, method_len), SLICE("HEAD"));
    p->head.target = span_of(base + method_len + 1, target_len);
    p->head.minor = (uint8_t)minor;
    p->request_line = true;
    int status = http_target_parse(bytes, &p->head);
    return status ? fail(p, status, "the address is not in a form that this server takes") : OK;
}

static int field_line(struct http_parser *p, slice bytes, slice line)
{
    struct http_head *head = &p->head;
    if (head->field_count >= p->limits.header_count_max) return fail(p, 431, "too many header fields");
    const char *why = http_field_read(line, (size_t)(line.ptr - bytes.ptr), &head->fields[head->field_count]);
    if (why) return fail(p, 400, why);
    head->field_count++;
    return OK;
}

/* One line without its end. 1 when it was the empty line that ends the head. */
static int take_line(struct http_parser *p, slice bytes, slice line)
{
    if (!p->request_line) {
        if (line.len > 0) return request_line(p, bytes, line);
        if (p->blank) return fail(p, 400, "empty lines instead of a request");
        p->blank = true; /* RFC 9112 2.2: one is forgiven */
        return OK;
    }
    if (line.len > 0) return field_line(p, bytes, line);
    const char *why = NULL;
    int status = http_head_check(bytes, &p->limits, &p->head, &why);
    return status ? fail(p, status, why) : 1;
}

/* The input ends within a line. */
static int unfinished(struct http_parser *p, slice bytes)
{
    slice line = slice_sub(bytes, p->scan.line, bytes.len);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
    int rc = p->request_line ? OK : request_line_begin(p, line);
    if (rc < 0) return rc;
    return bytes.len >= p->limits.header_bytes_max ? fail(p, 431, "the header is too large") : ERR_AGAIN;
}

/* A line ends as none may. What was wrong before that end comes first, as it does byte by byte. */
static int bad_line_end(struct http_parser *p, slice bytes)
{
    slice line = slice_sub(bytes, p->scan.line, bytes.len);
    line = slice_sub(line, 0, slice_find(line, '\n'));
    int rc = p->request_line ? OK : request_line_begin(p, slice_sub(line, 0, slice_find(line, '\r')));
    return rc < 0 ? rc : fail(p, 400, "a line does not end with CR LF");
}

int http_parser_read(struct http_parser *p, slice bytes, size_t *out_len)
{
    size_t visible = bytes.len < p->limits.header_bytes_max ? bytes.len : p->limits.header_bytes_max;
    bytes = slice_of(bytes.ptr, visible);
    slice line;
    for (;;) {
        int rc = http_line_next(&p->scan, bytes, &line);
        if (rc == ERR_AGAIN) return unfinished(p, bytes);
        if (rc < 0) return bad_line_end(p, bytes);
        rc = take_line(p, bytes, line);
        if (rc < 0) return rc;
        if (rc == 1) {
            *out_len = p->scan.line;
            return OK;
        }
    }
}
