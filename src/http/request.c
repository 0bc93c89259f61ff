#include "http/request.h"
#include "http/framing.h"
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
    struct http_framing framing;
    bool host;
};

static int refuse(struct check *c, int status, const char *why)
{
    c->framing.why = why;
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
    if (name.len == 4 && slice_equal_nocase(name, SLICE("host"))) return check_host(c, span, value);
    if (name.len == 6 && slice_equal_nocase(name, SLICE("expect"))) return check_expect(c, value);
    return http_framing_take(&c->framing, c->head->minor, c->limits->body_bytes_max, name, value);
}

int http_head_check(slice bytes, const struct http_limits *limits, struct http_head *head,
                    const char **out_why)
{
    struct check c = {.bytes = bytes, .limits = limits, .head = head};
    const struct http_framing *f = &c.framing;
    int status = 0;
    for (size_t i = 0; i < head->field_count && status == 0; i++) {
        const struct http_field *field = &head->fields[i];
        status = check_field(&c, http_span_slice(bytes, field->name), field->value,
                             http_span_slice(bytes, field->value));
    }
    if (status == 0 && !c.host && head->minor == 1) status = refuse(&c, 400, "the Host is missing");
    if (status == 0) status = http_framing_check(&c.framing);
    if (status != 0) {
        *out_why = f->why;
        return status;
    }
    head->body = f->encoding ? HTTP_BODY_CHUNKED : f->length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    head->content_length = f->content_length;
    head->keep_alive = !f->close && (head->minor == 1 || f->keep_alive);
    head->upgrade = f->upgrade;
    return 0;
}
