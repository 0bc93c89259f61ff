/* Header fields with a language of their own: parameters, extensions of a WebSocket, proxies, media types and
 * names of files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/accept.h"
#include "http/chunked.h"
#include "http/disposition.h"
#include "http/forwarded.h"
#include "http/mime.h"
#include "http/param.h"
#include "http/token.h"
#include "http/url.h"
#include "http/ws_deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

static void check_params(slice text)
{
    struct param p;
    slice rest = text;
    uint8_t *out = malloc(text.len + 1);
    if (!out) abort();
    expect(param_value(&rest).len <= text.len);
    size_t before = rest.len + 1;
    while (param_next(&rest, &p) == OK) {
        expect(token_valid(p.name) && rest.len < before);
        expect(p.quoted || !p.has_value || token_valid(p.value));
        expect(param_unquote(p.value, out) <= p.value.len);
        before = rest.len;
        if (rest.len == 0) break;
    }
    free(out);
}

static void check_deflate(slice text)
{
    char room[WS_DEFLATE_FIELD_BYTES_MAX];
    for (unsigned i = 0; i < 4; i++) {
        struct ws_deflate wish = {i & 1 ? 10 : 0, i & 1 ? 12 : 15, i & 2, i & 1}, got, again;
        if (ws_deflate_accept(text, &wish, &got)) {
            expect(got.server_bits >= WS_DEFLATE_BITS_MIN && got.server_bits <= WS_DEFLATE_BITS_MAX);
            expect(got.client_bits >= 8 && got.client_bits <= WS_DEFLATE_BITS_MAX);
            struct writer w = writer_of(room, sizeof room);
            ws_deflate_write(&w, &got);
            expect(!w.failed);
            /* A client that wished just that takes the answer. */
            expect(ws_deflate_answer_read(writer_slice(&w), &got, &again) == OK);
            expect(memcmp(&again, &got, sizeof got) == 0);
        }
        (void)!ws_deflate_answer_read(text, &wish, &again);
    }
}

static void check_forwarded(slice text)
{
    struct ip_network trusted[2];
    uint8_t peer[IP_BYTES];
    expect(ip_network_parse(SLICE("10.0.0.0/8"), &trusted[0]) == OK);
    expect(ip_network_parse(SLICE("fd00::/8"), &trusted[1]) == OK);
    expect(ip_parse(SLICE("10.0.0.1"), peer) == OK);
    for (size_t count = 0; count <= 2; count++) {
        for (int kind = FORWARDED_X; kind <= FORWARDED_STANDARD; kind++) {
            struct forwarded_fields fields = {(enum forwarded_kind)kind, text, text, text, text};
            struct forwarded f;
            forwarded_resolve(&fields, peer, trusted, count, &f);
            expect(count > 0 || (!f.believed && memcmp(f.address, peer, IP_BYTES) == 0));
            expect(f.host.len == 0 || url_authority_valid(f.host));
            expect(f.scheme.len == 0 || slice_starts(f.scheme, SLICE("http")));
        }
    }
}

static void check_disposition(slice text)
{
    struct buffer b;
    struct disposition d;
    buffer_init(&b, &allocator_libc, 1 << 20);
    disposition_write(&b, true, text);
    expect(!b.failed && field_value_valid(buffer_slice(&b)));
    expect(disposition_parse(b.ptr, b.len, &d) == OK && slice_equal(d.type, SLICE("attachment")));
    buffer_reset(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice text = slice_of(data, size);
    check_params(text);
    check_deflate(text);
    check_forwarded(text);
    check_disposition(text);
    expect(mime_type(text) != NULL);
    mime_compressible(text);
    http_trailer_allowed(text);
    int weight = accept_encoding_weight(text, SLICE("br"));
    expect(weight >= 0 && weight <= 1000);
    accept_names(text, SLICE("text/html"));
    return 0;
}
