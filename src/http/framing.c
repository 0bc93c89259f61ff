#include "http/framing.h"
#include "http/token.h"

static int refuse(struct http_framing *f, int status, const char *why)
{
    f->why = why;
    return status;
}

static int take_length(struct http_framing *f, uint64_t max, slice value)
{
    if (f->length) return refuse(f, 400, "more than one Content-Length");
    f->length = true;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return refuse(f, 400, "the Content-Length is not a number");
    }
    if (value.len == 0) return refuse(f, 400, "the Content-Length is not a number");
    if (!slice_to_u64(value, max, &f->content_length)) return refuse(f, 413, "the body is too large");
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

static int take_encoding(struct http_framing *f, uint8_t minor, slice value)
{
    if (f->encoding) return refuse(f, 400, "more than one Transfer-Encoding");
    f->encoding = true;
    if (minor == 0) return refuse(f, 400, "Transfer-Encoding in HTTP/1.0");
    if (slice_equal_nocase(value, SLICE("chunked"))) return 0;
    /* Without chunked at its end, nobody knows where the body ends (RFC 9112 6.3). */
    if (!ends_with_chunked(value)) return refuse(f, 400, "the Transfer-Encoding does not end with chunked");
    return refuse(f, 501, "the only Transfer-Encoding that is understood is chunked");
}

static int take_connection(struct http_framing *f, slice value)
{
    slice option;
    while (list_next(&value, &option)) {
        if (!token_valid(option)) return refuse(f, 400, "Connection has something that is not an option");
        if (slice_equal_nocase(option, SLICE("close"))) f->close = true;
        if (slice_equal_nocase(option, SLICE("keep-alive"))) f->keep_alive = true;
        if (slice_equal_nocase(option, SLICE("upgrade"))) f->upgrade = true;
    }
    return 0;
}

int http_framing_take(struct http_framing *f, uint8_t minor, uint64_t body_bytes_max, slice name, slice value)
{
    switch (name.len) {
    case 10: return slice_equal_nocase(name, SLICE("connection")) ? take_connection(f, value) : 0;
    case 14:
        return slice_equal_nocase(name, SLICE("content-length")) ? take_length(f, body_bytes_max, value) : 0;
    case 17: return slice_equal_nocase(name, SLICE("transfer-encoding")) ? take_encoding(f, minor, value) : 0;
    default: return 0;
    }
}

int http_framing_check(struct http_framing *f)
{
    return f->length && f->encoding ? refuse(f, 400, "both Content-Length and Transfer-Encoding") : 0;
}
