/* A request: the head whole and in pieces must give the same result; then its body and the languages in its
 * fields. The first byte says how long the pieces are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/accept.h"
#include "http/chunked.h"
#include "http/condition.h"
#include "http/cookie.h"
#include "http/head.h"
#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits limits = {
    .target_bytes_max = 512, .header_bytes_max = 2048, .header_count_max = 32, .body_bytes_max = 4096};

static void expect(int truth)
{
    if (!truth) abort();
}

static int parse(struct http_parser *p, slice text, size_t step, size_t *out_len)
{
    int rc = ERR_AGAIN;
    http_parser_init(p, &limits);
    for (size_t n = step; rc == ERR_AGAIN; n += step) {
        size_t shown = n < text.len ? n : text.len;
        rc = http_parser_read(p, slice_sub(text, 0, shown), out_len);
        if (shown == text.len) break;
    }
    return rc;
}

/* Decodes in pieces of `step`; returns the last result, sums up the data. */
static int body(slice text, size_t step, uint64_t *out_sum)
{
    struct http_chunked c;
    int rc = ERR_AGAIN;
    http_chunked_init(&c, limits.body_bytes_max);
    for (size_t at = 0; at < text.len && rc == ERR_AGAIN; at += step) {
        slice piece = slice_sub(text, at, step), part;
        while ((rc = http_chunked_next(&c, &piece, &part)) == OK) {
            expect(part.len > 0);
            for (size_t i = 0; i < part.len; i++)
                *out_sum = *out_sum * 31 + part.ptr[i] + 1;
        }
    }
    return rc;
}

static void read_value(slice value)
{
    uint8_t out[2048];
    size_t len;
    slice rest = value, name, pair;
    expect(value.len <= sizeof out);
    if (url_decode(value, true, out, &len) == OK) expect(len <= value.len && memchr(out, 0, len) == NULL);
    while (url_pair_next(&rest, &name, &pair))
        expect(name.len + pair.len <= value.len);
    cookie_find(value, SLICE("session"), &pair);
    int weight = accept_encoding_weight(value, SLICE("br"));
    expect(weight >= 0 && weight <= 1000);
    etag_list_has(value, SLICE("\"x\""), ETAG_WEAK);
    url_origin_matches(value, SLICE("a:80"));
}

static void check_head(const struct http_head *h, slice text, size_t len)
{
    expect(len <= limits.header_bytes_max && len <= text.len);
    expect(memcmp(text.ptr + len - 2, "\r\n", 2) == 0);
    slice path = http_span_slice(text, h->path);
    expect(path.len > 0 && (path.ptr[0] == '/' || path.ptr[0] == '*'));
    expect(h->minor == 0 || h->authority.len > 0);
    for (size_t i = 0; i < h->field_count; i++) {
        expect(h->fields[i].name.len > 0);
        expect(h->fields[i].value.at + h->fields[i].value.len < len);
        read_value(http_span_slice(text, h->fields[i].value));
    }
    read_value(http_span_slice(text, h->query));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    static struct http_parser whole, cut;
    slice text = slice_of(data + 1, size - 1);
    size_t step = data[0] % 64 + 1u, len = 0, cut_len = 0;
    int rc = parse(&whole, text, text.len ? text.len : 1, &len);
    int cut_rc = parse(&cut, text, step, &cut_len);
    /* What is wrong in two ways may be refused for either, by which is seen first. */
    bool refused = rc != OK && rc != ERR_AGAIN;
    expect(refused ? cut_rc != OK && cut_rc != ERR_AGAIN : cut_rc == rc && len == cut_len);
    if (rc != OK) {
        expect(rc == ERR_AGAIN || (whole.status >= 400 && whole.status <= 505 && whole.why));
        return 0;
    }
    expect(whole.head.field_count == cut.head.field_count && whole.head.body == cut.head.body);
    check_head(&whole.head, text, len);
    slice rest = slice_sub(text, len, text.len);
    uint64_t sum = 0, cut_sum = 0;
    if (whole.head.body == HTTP_BODY_CHUNKED && rest.len > 0) {
        expect(body(rest, rest.len, &sum) == body(rest, step, &cut_sum));
        expect(sum == cut_sum);
    }
    return 0;
}
