#include "http/response_head.h"
#include "http/framing.h"
#include "http/token.h"

#include <string.h>

void http_response_parser_init(struct http_response_parser *p, const struct http_limits *limits,
                               enum http_request_kind request)
{
    /* The fields need no clearing; they are most of the size. */
    memset(p, 0, offsetof(struct http_response_parser, head) + offsetof(struct http_response_head, fields));
    p->limits = *limits;
    p->request = (uint8_t)request;
    if (p->limits.header_bytes_max > HTTP_HEAD_BYTES_MAX) p->limits.header_bytes_max = HTTP_HEAD_BYTES_MAX;
    if (p->limits.header_count_max > HTTP_FIELDS_MAX) p->limits.header_count_max = HTTP_FIELDS_MAX;
}

static int fail(struct http_response_parser *p, int error, const char *why)
{
    p->why = why;
    return error;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK"; the space before an empty reason is left out by many servers, and missed by nobody. */
static int status_line(struct http_response_parser *p, slice bytes, slice line)
{
    enum { VERSION_LEN = 8, REASON_AT = 13 };
    uint64_t status;
    slice rest = slice_sub(line, VERSION_LEN, line.len);
    if (line.len < VERSION_LEN || !slice_starts(line, SLICE("HTTP/")) || !is_digit(line.ptr[5]) ||
        line.ptr[6] != '.' || !is_digit(line.ptr[7]))
        return fail(p, ERR_MALFORMED, "this is not an answer of HTTP");
    if (line.ptr[5] != '1') return fail(p, ERR_PROTOCOL, "the server does not speak HTTP/1.1");
    if (rest.len < 4 || rest.ptr[0] != ' ' || !slice_to_u64(slice_sub(rest, 1, 3), 999, &status) ||
        status < 100)
        return fail(p, ERR_MALFORMED, "the status is not a number of three digits");
    slice reason = slice_sub(line, REASON_AT, line.len);
    if (rest.len > 4 && (rest.ptr[4] != ' ' || !field_value_valid(reason)))
        return fail(p, ERR_MALFORMED, "the status line is not valid");
    p->head.status = (uint16_t)status;
    p->head.minor = line.ptr[7] == '0' ? 0 : 1;
    if (reason.len > 0)
        p->head.reason = (struct http_span){(uint16_t)(reason.ptr - bytes.ptr), (uint16_t)reason.len};
    p->status_line = true;
    return OK;
}

static int field_line(struct http_response_parser *p, slice bytes, slice line)
{
    struct http_response_head *head = &p->head;
    if (head->field_count >= p->limits.header_count_max)
        return fail(p, ERR_TOO_LARGE, "too many header fields");
    const char *why = http_field_read(line, (size_t)(line.ptr - bytes.ptr), &head->fields[head->field_count]);
    if (why) return fail(p, ERR_MALFORMED, why);
    head->field_count++;
    return OK;
}

/* RFC 9112 6.3: how the body is framed, by the request, the status and the fields. */
static enum http_body body_of(const struct http_response_parser *p, const struct http_framing *f)
{
    unsigned status = p->head.status;
    if (p->request == HTTP_REQUEST_HEAD || status < 200 || status == 204 || status == 304 || p->head.tunnel)
        return HTTP_BODY_NONE;
    return f->encoding ? HTTP_BODY_CHUNKED : f->length ? HTTP_BODY_LENGTH : HTTP_BODY_UNTIL_CLOSE;
}

/* All fields are here. */
static int head_check(struct http_response_parser *p, slice bytes)
{
    struct http_response_head *head = &p->head;
    struct http_framing f = {0};
    int status = 0;
    for (size_t i = 0; i < head->field_count && status == 0; i++) {
        const struct http_field *field = &head->fields[i];
        status = http_framing_take(&f, head->minor, UINT64_MAX, http_span_slice(bytes, field->name),
                                   http_span_slice(bytes, field->value));
    }
    if (status == 0) status = http_framing_check(&f);
    if (status != 0) return fail(p, status == 501 ? ERR_PROTOCOL : ERR_MALFORMED, f.why);
    bool connected = p->request == HTTP_REQUEST_CONNECT && head->status >= 200 && head->status < 300;
    head->tunnel = head->status == 101 || connected;
    head->interim = head->status < 200 && head->status != 101;
    head->has_length = f.length;
    head->content_length = f.content_length;
    head->body = body_of(p, &f);
    head->keep_alive = !f.close && (head->minor == 1 || f.keep_alive) && !head->tunnel &&
                       head->body != HTTP_BODY_UNTIL_CLOSE;
    if (head->body == HTTP_BODY_LENGTH && head->content_length > p->limits.body_bytes_max)
        return fail(p, ERR_TOO_LARGE, "the body is too large");
    return OK;
}

/* What does not begin like HTTP is told at once: the peer that speaks something else may wait for us. */
static bool begins_like_http(const struct http_response_parser *p, slice bytes)
{
    slice begin = slice_sub(bytes, 0, 5);
    return p->status_line || slice_starts(SLICE("HTTP/"), begin);
}

int http_response_parser_read(struct http_response_parser *p, slice bytes, size_t *out_len)
{
    if (!begins_like_http(p, bytes)) return fail(p, ERR_MALFORMED, "this is not an answer of HTTP");
    size_t visible = bytes.len < p->limits.header_bytes_max ? bytes.len : p->limits.header_bytes_max;
    slice seen = slice_of(bytes.ptr, visible), line;
    int rc;
    while ((rc = http_line_next(&p->scan, seen, &line)) == OK) {
        if (!p->status_line) {
            rc = status_line(p, seen, line);
        } else if (line.len > 0) {
            rc = field_line(p, seen, line);
        } else {
            rc = head_check(p, seen);
            if (rc == OK) *out_len = p->scan.line;
            return rc;
        }
        if (rc < 0) return rc;
    }
    if (rc == ERR_MALFORMED) return fail(p, rc, "a line does not end with CR LF");
    if (visible >= p->limits.header_bytes_max) return fail(p, ERR_TOO_LARGE, "the header is too large");
    return ERR_AGAIN;
}
