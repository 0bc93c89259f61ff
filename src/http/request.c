#include "http/request.h"
#include "http/token.h"
#include "http/url.h"

/* Where in `bytes` a part of it begins. */
static struct http_span span_within(slice bytes, slice part)
{
    return (struct http_span){(uint16_t)(part.ptr - bytes.ptr), (uint16_t)part.len};
}

static void split_query(slice bytes, slice path_and_query, struct http_head *head)
{
    size_t mark = slice_find(path_and_query, '?');
    head->path = span_within(bytes, slice_sub(path_and_query, 0, mark));
    slice query = slice_sub(path_and_query, mark + 1, path_and_query.len);
    head->query = query.len ? span_within(bytes, query) : (struct http_span){0, 0};
}

/* "http://host/path" of RFC 9112 3.2.2, which a server must take. */
static int absolute_parse(slice bytes, slice target, struct http_head *head)
{
    size_t colon = slice_find(target, ':');
    slice scheme = slice_sub(target, 0, colon);
    slice rest = slice_sub(target, colon, target.len);
    bool https = slice_equal_nocase(scheme, SLICE("https"));
    if (!https && !slice_equal_nocase(scheme, SLICE("http"))) return 400;
    if (!slice_starts(rest, SLICE("://"))) return 400;
    size_t begin = 3, end = begin;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    slice authority = slice_sub(rest, begin, end - begin);
    if (!url_authority_valid(authority)) return 400;
    head->scheme = https ? HTTP_SCHEME_HTTPS : HTTP_SCHEME_HTTP;
    head->authority = span_within(bytes, authority);
    split_query(bytes, slice_sub(rest, end, rest.len), head);
    /* An empty path is "/" (RFC 9110 4.2.3): the second one of "://" stands for it. */
    if (head->path.len == 0) head->path = span_within(bytes, slice_sub(rest, 2, 1));
    return 0;
}

int http_target_parse(slice bytes, struct http_head *head)
{
    slice target = http_span_slice(bytes, head->target);
    slice method = http_span_slice(bytes, head->method);
    if (slice_equal(method, SLICE("CONNECT"))) return 501;
    if (target.ptr[0] == '/') {
        split_query(bytes, target, head);
        return 0;
    }
    if (slice_equal(target, SLICE("*"))) {
        head->path = head->target;
        return slice_equal(method, SLICE("OPTIONS")) ? 0 : 400;
    }
    return absolute_parse(bytes, target, head);
}

struct check {
    slice bytes;
    const struct http_limits *limits;
    struct http_head *head;
    const char *why;
    bool host, length, encoding, close, keep_alive;
};

static int refuse(struct check *c, int status, const char *why)
{
    c->why = why;
    return status;
}

static int check_host(struct check *c, struct http_span span, slice value)
{
    if (c->host) return refuse(c, 400, "more than one Host");
    c->host = true;
    if (!url_authority_valid(value)) return refuse(c, 400, "the Host is not valid");
    if (c->head->scheme == HTTP_SCHEME_NONE) {
        c->head->authority = span;
        return 0;
    }
    uint16_t port = c->head->scheme == HTTP_SCHEME_HTTPS ? 443 : 80;
    if (!url_authority_same(http_span_slice(c->bytes, c->head->authority), value, port))
        return refuse(c, 400, "the Host is not that of the address");
    return 0;
}

static int check_length(struct check *c, slice value)
{
    if (c->length) return refuse(c, 400, "more than one Content-Length");
    c->length = true;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return refuse(c, 400, "the Content-Length is not a number");
    }
    if (value.len == 0) return refuse(c, 400, "the Content-Length is not a number");
    if (!slice_to_u64(value, c->limits->body_bytes_max, &c->head->content_length))
        return refuse(c, 413, "the body is too large");
    return 0;
}

/* "gzip, chunked": tokens with parameters, of which the last, and only it, is chunked. */
static bool ends_with_chunked(slice codings)
{
    slice coding;
    bool chunked = false;
    while (list_part(&codings, &coding)) {
        slice name = slice_trim(slice_sub(coding, 0, slice_find(coding, ';')));
        if (chunked || !token_valid(name)) return false;
        chunked = slice_equal_nocase(coding, SLICE("chunked"));
        if (!chunked && slice_equal_nocase(name, SLICE("chunked"))) return false;
    }
    return chunked;
}

static int check_encoding(struct check *c, slice value)
{
    if (c->encoding) return refuse(c, 400, "more than one Transfer-Encoding");
    c->encoding = true;
    if (c->head->minor == 0) return refuse(c, 400, "Transfer-Encoding in HTTP/1.0");
    if (slice_equal_nocase(value, SLICE("chunked"))) return 0;
    /* Without chunked at its end, nobody knows where the body ends (RFC 9112 6.3). */
    if (!ends_with_chunked(value)) return refuse(c, 400, "the Transfer-Encoding does not end with chunked");
    return refuse(c, 501, "the only Transfer-Encoding that is understood is chunked");
}

static int check_connection(struct check *c, slice value)
{
    slice option;
    while (list_next(&value, &option)) {
        if (!token_valid(option)) return refuse(c, 400, "Connection has something that is not an option");
        if (slice_equal_nocase(option, SLICE("close"))) c->close = true;
        if (slice_equal_nocase(option, SLICE("keep-alive"))) c->keep_alive = true;
        if (slice_equal_nocase(option, SLICE("upgrade"))) c->head->upgrade = true;
    }
    return 0;
}

static int check_expect(struct check *c, slice value)
{
    if (c->head->minor == 0) return 0; /* RFC 9110 10.1.1: to be ignored */
    slice expectation;
    while (list_next(&value, &expectation)) {
        if (!slice_equal_nocase(expectation, SLICE("100-continue")))
            return refuse(c, 417, "this Expect is not understood");
        c->head->expects_continue = true;
    }
    return 0;
}

static int check_field(struct check *c, slice name, struct http_span span, slice value)
{
    switch (name.len) {
    case 4: return slice_equal_nocase(name, SLICE("host")) ? check_host(c, span, value) : 0;
    case 6: return slice_equal_nocase(name, SLICE("expect")) ? check_expect(c, value) : 0;
    case 10: return slice_equal_nocase(name, SLICE("connection")) ? check_connection(c, value) : 0;
    case 14: return slice_equal_nocase(name, SLICE("content-length")) ? check_length(c, value) : 0;
    case 17: return slice_equal_nocase(name, SLICE("transfer-encoding")) ? check_encoding(c, value) : 0;
    default: return 0;
    }
}

int http_head_check(slice bytes, const struct http_limits *limits, struct http_head *head,
                    const char **out_why)
{
    struct check c = {.bytes = bytes, .limits = limits, .head = head};
    int status = 0;
    for (size_t i = 0; i < head->field_count && status == 0; i++) {
        const struct http_field *f = &head->fields[i];
        status = check_field(&c, http_span_slice(bytes, f->name), f->value, http_span_slice(bytes, f->value));
    }
    if (status == 0 && !c.host && head->minor == 1) status = refuse(&c, 400, "the Host is missing");
    if (status == 0 && c.length && c.encoding)
        status = refuse(&c, 400, "both Content-Length and Transfer-Encoding");
    if (status != 0) {
        *out_why = c.why;
        return status;
    }
    head->body = c.encoding ? HTTP_BODY_CHUNKED : c.length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    head->keep_alive = !c.close && (head->minor == 1 || c.keep_alive);
    return 0;
}
