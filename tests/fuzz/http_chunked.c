/* A chunked body: whole and in pieces it must give the same data and trailers; what came out, written again,
 * must be read as the same. The first byte says how long the pieces are. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/chunked.h"

enum { BODY_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

struct outcome {
    int rc;
    size_t rest; /* of the input, after the end */
    struct buffer body, trailers;
};

static void decode(slice text, size_t step, struct outcome *o)
{
    struct http_chunked c;
    o->rc = ERR_AGAIN;
    o->rest = 0;
    buffer_init(&o->body, &allocator_libc, BODY_MAX);
    buffer_init(&o->trailers, &allocator_libc, CHUNKED_TRAILER_BYTES_MAX);
    http_chunked_init(&c, BODY_MAX);
    http_chunked_keep_trailers(&c, &o->trailers);
    for (size_t at = 0; at < text.len && o->rc == ERR_AGAIN; at += step) {
        slice piece = slice_sub(text, at, step), part;
        size_t after = text.len - at - piece.len;
        while ((o->rc = http_chunked_next(&c, &piece, &part)) == OK) {
            expect(part.len > 0);
            buffer_put(&o->body, part);
        }
        if (o->rc == ERR_CLOSED) o->rest = piece.len + after;
    }
    expect(!o->body.failed);
}

static void forget(struct outcome *o)
{
    buffer_reset(&o->body);
    buffer_reset(&o->trailers);
}

/* Writes what was read, in chunks of `step`. */
static void encode(const struct outcome *o, size_t step, struct buffer *out)
{
    uint8_t room[CHUNKED_TRAILER_BYTES_MAX + 64];
    struct writer w;
    for (size_t at = 0; at < o->body.len; at += step) {
        slice part = slice_sub(buffer_slice(&o->body), at, step);
        w = writer_of(room, CHUNKED_HEAD_BYTES_MAX);
        http_chunk_head_write(&w, part.len);
        expect(!w.failed);
        buffer_put(out, writer_slice(&w));
        buffer_put(out, part);
        buffer_put(out, HTTP_CHUNK_END);
    }
    buffer_put(out, HTTP_CHUNKED_LAST);
    slice rest = buffer_slice(&o->trailers), name, value;
    while (http_trailer_next(&rest, &name, &value)) {
        w = writer_of(room, sizeof room);
        expect(http_trailer_write(&w, name, value) == OK);
        buffer_put(out, writer_slice(&w));
    }
    buffer_put(out, HTTP_CHUNK_END);
    expect(!out->failed);
}

static bool same_trailers(slice a, slice b)
{
    slice name_a, value_a, name_b, value_b;
    while (http_trailer_next(&a, &name_a, &value_a)) {
        if (!http_trailer_next(&b, &name_b, &value_b)) return false;
        if (!slice_equal(name_a, name_b) || !slice_equal(value_a, value_b)) return false;
    }
    return !http_trailer_next(&b, &name_b, &value_b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    slice text = slice_of(data + 1, size - 1);
    size_t step = data[0] % 64 + 1u;
    struct outcome whole, cut, again;
    decode(text, text.len, &whole);
    decode(text, step, &cut);
    expect(whole.rc == cut.rc && whole.rest == cut.rest);
    expect(slice_equal(buffer_slice(&whole.body), buffer_slice(&cut.body)));
    expect(slice_equal(buffer_slice(&whole.trailers), buffer_slice(&cut.trailers)));
    if (whole.rc == ERR_CLOSED) {
        struct buffer written;
        buffer_init(&written, &allocator_libc, 1 << 20);
        encode(&whole, step, &written);
        decode(buffer_slice(&written), 7, &again);
        /* "Name: value" may be a little longer than what was read; then the limit speaks. */
        if (again.rc != ERR_TOO_LARGE) {
            expect(again.rc == ERR_CLOSED && again.rest == 0);
            expect(slice_equal(buffer_slice(&whole.body), buffer_slice(&again.body)));
            expect(same_trailers(buffer_slice(&whole.trailers), buffer_slice(&again.trailers)));
        }
        forget(&again);
        buffer_reset(&written);
    }
    forget(&whole);
    forget(&cut);
    return 0;
}
