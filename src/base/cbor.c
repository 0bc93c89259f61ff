#include "base/cbor.h"

enum { MAJOR_UINT = 0, MAJOR_BYTES = 2, MAJOR_ARRAY = 4 };

static void put_head(struct writer *w, uint8_t major, uint64_t value)
{
    uint8_t head[9];
    if (value < 24) { /* most of them */
        writer_byte(w, (uint8_t)(major << 5 | (uint8_t)value));
        return;
    }
    int power = value <= 0xFF ? 0 : value <= 0xFFFF ? 1 : value <= 0xFFFFFFFF ? 2 : 3, bytes = 1 << power;
    head[0] = (uint8_t)(major << 5 | (24 + power));
    for (int i = bytes; i > 0; i--, value >>= 8)
        head[i] = (uint8_t)value;
    writer_put(w, slice_of(head, (size_t)bytes + 1));
}

void cbor_put_uint(struct writer *w, uint64_t value)
{
    put_head(w, MAJOR_UINT, value);
}

void cbor_put_bytes_head(struct writer *w, uint64_t len)
{
    put_head(w, MAJOR_BYTES, len);
}

void cbor_put_bytes(struct writer *w, slice bytes)
{
    cbor_put_bytes_head(w, bytes.len);
    writer_put(w, bytes);
}

void cbor_put_array(struct writer *w, uint64_t count)
{
    put_head(w, MAJOR_ARRAY, count);
}

/* Any head in shortest form; the major type is checked by the caller. */
static uint64_t head(struct cbor_reader *r, uint8_t *out_major)
{
    static const uint64_t least[] = {24, 0x100, 0x10000, 0x100000000};
    if (r->failed || r->rest.len == 0) goto fail;
    const uint8_t *at = r->rest.ptr;
    uint8_t info = *at & 31;
    size_t bytes = info < 24 ? 0 : (size_t)1 << (info & 3);
    *out_major = *at >> 5;
    if (info > 27 || r->rest.len < 1 + bytes) goto fail;
    r->rest = slice_of(at + 1 + bytes, r->rest.len - 1 - bytes);
    if (bytes == 0) return info;
    uint64_t value = 0;
    for (size_t i = 1; i <= bytes; i++)
        value = value << 8 | at[i];
    if (value >= least[info - 24]) return value;
fail:
    r->failed = true;
    *out_major = 0xFF;
    return 0;
}

static uint64_t expect(struct cbor_reader *r, uint8_t major, uint64_t max)
{
    uint8_t got;
    uint64_t value = head(r, &got);
    if (got == major && value <= max) return value;
    r->failed = true;
    return 0;
}

uint64_t cbor_uint(struct cbor_reader *r, uint64_t max)
{
    return expect(r, MAJOR_UINT, max);
}

slice cbor_bytes(struct cbor_reader *r, size_t max)
{
    uint64_t len = expect(r, MAJOR_BYTES, max);
    if (r->failed || len > r->rest.len) {
        r->failed = true;
        return SLICE_EMPTY;
    }
    slice out = slice_sub(r->rest, 0, (size_t)len);
    r->rest = slice_sub(r->rest, (size_t)len, r->rest.len);
    return out;
}

const uint8_t *cbor_fixed(struct cbor_reader *r, size_t len)
{
    slice s = cbor_bytes(r, len);
    if (r->failed || s.len != len) {
        r->failed = true;
        return NULL;
    }
    return s.ptr;
}

uint64_t cbor_array(struct cbor_reader *r, uint64_t max)
{
    return expect(r, MAJOR_ARRAY, max);
}

static void skip(struct cbor_reader *r, uint64_t items, int depth)
{
    for (uint64_t i = 0; i < items && !r->failed; i++) {
        uint8_t major;
        uint64_t value = head(r, &major);
        if (r->failed || major == MAJOR_UINT) continue;
        if (major == MAJOR_BYTES && value <= r->rest.len) {
            r->rest = slice_sub(r->rest, (size_t)value, r->rest.len);
        } else if (major == MAJOR_ARRAY && depth < CBOR_DEPTH_MAX) {
            skip(r, value, depth + 1);
        } else {
            r->failed = true;
        }
    }
}

void cbor_skip(struct cbor_reader *r, uint64_t items)
{
    skip(r, items, 1);
}
