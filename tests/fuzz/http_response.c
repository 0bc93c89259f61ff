/* An answer, as a client reads it: the head whole and in pieces must give the same result. The first byte
 * says how long the pieces are and what was asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/response_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits limits = {
    .header_bytes_max = 2048, .header_count_max = 32, .body_bytes_max = 4096};

static void expect(int truth)
{
    if (!truth) abort();
}

static int parse(struct http_response_parser *p, uint8_t flags, slice text, size_t step, size_t *out_len)
{
    int rc = ERR_AGAIN;
    http_response_parser_init(p, &limits, (enum http_request_kind)((flags >> 6) % 3));
    for (size_t n = step; rc == ERR_AGAIN; n += step) {
        size_t shown = n < text.len ? n : text.len;
        rc = http_response_parser_read(p, slice_sub(text, 0, shown), out_len);
        if (shown == text.len) break;
    }
    return rc;
}

static void check_body(const struct http_response_head *h)
{
    bool never = h->status < 200 || h->status == 204 || h->status == 304 || h->tunnel;
    expect(!never || h->body == HTTP_BODY_NONE);
    expect(h->body != HTTP_BODY_LENGTH || (h->has_length && h->content_length <= limits.body_bytes_max));
    expect(h->body != HTTP_BODY_UNTIL_CLOSE || !h->keep_alive);
    expect(h->body != HTTP_BODY_CHUNKED || (h->minor == 1 && !h->has_length));
    expect(!h->interim || (h->status < 200 && h->status != 101));
    expect(!h->tunnel || !h->keep_alive);
}

static void check_head(const struct http_response_head *h, slice text, size_t len)
{
    expect(len <= limits.header_bytes_max && len <= text.len);
    expect(memcmp(text.ptr + len - 4, "\r\n\r\n", 4) == 0);
    expect(h->status >= 100 && h->status <= 999 && h->minor <= 1);
    expect(h->field_count <= limits.header_count_max);
    for (size_t i = 0; i < h->field_count; i++) {
        slice name = http_span_slice(text, h->fields[i].name),
              value = http_span_slice(text, h->fields[i].value);
        expect(name.len > 0 && h->fields[i].value.at + value.len < len);
        expect(slice_find(name, ' ') == name.len && slice_find(name, ':') == name.len);
        expect(slice_find(value, '\r') == value.len && slice_find(value, '\n') == value.len);
    }
    check_body(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) return 0;
    static struct http_response_parser whole, cut;
    slice text = slice_of(data + 1, size - 1);
    size_t len = 0, cut_len = 0;
    int rc = parse(&whole, data[0], text, text.len ? text.len : 1, &len);
    int cut_rc = parse(&cut, data[0], text, data[0] % 64 + 1u, &cut_len);
    expect(cut_rc == rc && len == cut_len);
    if (rc != OK) {
        expect(rc == ERR_AGAIN || whole.why != NULL);
        return 0;
    }
    size_t decided = offsetof(struct http_response_head, fields);
    expect(memcmp(&whole.head, &cut.head, decided) == 0);
    check_head(&whole.head, text, len);
    return 0;
}
