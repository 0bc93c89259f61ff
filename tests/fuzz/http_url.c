/* A text as a URL, an authority, a path below a folder, a query and an address. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/ip.h"
#include "http/static_path.h"
#include "http/url_resolve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

/* What was read, written as a URL, is read as the same. */
static void check_url(const struct url *url)
{
    static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};
    struct url again;
    struct buffer b;
    expect(url->host.len > 0 && url->port > 0 && url->path.len > 0 && url->path.ptr[0] == '/');
    expect(url_authority_valid(url->authority));
    buffer_init(&b, &allocator_libc, 1 << 20);
    buffer_text(&b, schemes[url->scheme]);
    buffer_put(&b, url->authority);
    size_t at = b.len;
    url_target_write(&b, url);
    expect(!b.failed && url_target_valid(slice_sub(buffer_slice(&b), at, b.len)));
    expect(url_parse(buffer_slice(&b), &again) == OK);
    expect(again.scheme == url->scheme && again.port == url->port && again.has_query == url->has_query);
    expect(slice_equal(again.host, url->host) && slice_equal(again.path, url->path));
    expect(slice_equal(again.query, url->query) && slice_equal(again.authority, url->authority));
    buffer_reset(&b);
}

static void check_path(slice text)
{
    enum { CAP = 300 };
    char *out = malloc(CAP);
    struct static_path p;
    if (!out) abort();
    if (static_path_parse(text, out, CAP, &p) == OK) {
        slice rest = slice_of(out, p.len), segment;
        expect(strlen(out) == p.len);
        bool hidden = false;
        while (p.len > 0 && slice_split(&rest, '/', &segment)) {
            expect(segment.len > 0 && segment.len <= 255);
            expect(!slice_equal(segment, SLICE(".")) && !slice_equal(segment, SLICE("..")));
            expect(slice_find(segment, '\\') == segment.len);
            hidden = hidden || segment.ptr[0] == '.';
        }
        expect(hidden == p.hidden);
    }
    free(out);
}

static void check_encoding(slice text)
{
    struct buffer b;
    size_t len;
    uint8_t *out = malloc(3 * text.len + 1);
    if (!out) abort();
    bool has_nul = slice_find(text, 0) < text.len;
    for (int i = 0; i < 2; i++) {
        buffer_init(&b, &allocator_libc, 1 << 20);
        (i ? url_encode_path : url_encode_component)(&b, text);
        expect(!b.failed && url_target_valid(buffer_slice(&b)));
        int rc = url_decode(buffer_slice(&b), false, out, &len);
        expect(has_nul ? rc < 0 : rc == OK && slice_equal(slice_of(out, len), text));
        buffer_reset(&b);
    }
    if (url_decode(text, true, out, &len) == OK) expect(len <= text.len && !memchr(out, 0, len));
    free(out);
}

/* A reference; what it leads to, being absolute, leads to itself. */
static void check_reference(slice text)
{
    struct url base, url;
    struct buffer out, again;
    expect(url_parse(SLICE("https://a:1/b/c?d"), &base) == OK);
    buffer_init(&out, &allocator_libc, 1 << 20);
    buffer_init(&again, &allocator_libc, 1 << 20);
    expect(url_resolve(&out, &base, text) == OK);
    if (url_parse(buffer_slice(&out), &url) == OK) {
        check_url(&url);
        expect(url_resolve(&again, &base, buffer_slice(&out)) == OK);
        expect(slice_equal(buffer_slice(&again), buffer_slice(&out)));
    }
    buffer_reset(&out);
    buffer_reset(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice text = slice_of(data, size), rest = text, name, value;
    struct url url;
    struct ip_network network;
    uint8_t address[IP_BYTES];
    if (url_parse(text, &url) == OK) check_url(&url);
    check_reference(text);
    check_path(text);
    check_encoding(text);
    while (url_pair_next(&rest, &name, &value))
        expect(name.len + value.len <= text.len);
    if (url_authority_valid(text)) expect(url_authority_same(text, text, 80));
    url_origin_matches(text, SLICE("a:80"));
    if (ip_parse(text, address) == OK) {
        expect(ip_network_parse(text, &network) == OK && network.bits == 128);
        expect(ip_network_has(&network, address));
    } else if (ip_network_parse(text, &network) == OK) {
        expect(ip_network_has(&network, network.address));
    }
    return 0;
}
