#include "web/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/buffer.h"

enum {
    SMALL_BYTES = 4096, /* messages up to this use a small state, which is far cheaper to reset */
    SMALL_BITS = 12,
    LARGE_BITS = 15,
    SMALL_MEMORY = 5, /* zlib's memLevel: 8 KB of hash table to clear for each message instead of 64 */
    LARGE_MEMORY = 8,
    LEVEL = 4, /* of large messages 40 % of the time of zlib's 6, for 1 to 5 % more bytes */
    ROOM_BYTES = 4096,
    KEPT_BYTES = 64 * 1024, /* of each scratch, between messages */
    TAIL_BYTES = 4,
    AT_BLOCK_START = 128, /* z_stream.data_type after inflate */
    UNUSED_BITS = 63,
};

static const uint8_t tail[TAIL_BYTES] = {0, 0, 0xFF, 0xFF};

struct deflater {
    z_stream *packers[LARGE_BITS + 1]; /* by window bits */
    z_stream *unpacker;
    struct buffer packed, unpacked;
};

struct deflater *deflater_new(void)
{
    struct deflater *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    buffer_init(&d->packed, &allocator_libc, SIZE_MAX / 2);
    buffer_init(&d->unpacked, &allocator_libc, SIZE_MAX / 2);
    return d;
}

void deflater_free(struct deflater *d)
{
    if (!d) return;
    for (size_t i = 0; i <= LARGE_BITS; i++) {
        if (d->packers[i]) deflateEnd(d->packers[i]);
        free(d->packers[i]);
    }
    if (d->unpacker) inflateEnd(d->unpacker);
    free(d->unpacker);
    buffer_reset(&d->packed);
    buffer_reset(&d->unpacked);
    free(d);
}

void deflater_pack_done(struct deflater *d)
{
    if (d->packed.cap > KEPT_BYTES) buffer_reset(&d->packed);
}

void deflater_unpack_done(struct deflater *d)
{
    if (d->unpacked.cap > KEPT_BYTES) buffer_reset(&d->unpacked);
}

/* More room at the end of the scratch, for zlib to write to. False without memory, or at `max`. */
static bool make_room(struct buffer *b, size_t max, z_stream *z)
{
    if (b->len == b->cap) {
        size_t extra = b->cap < ROOM_BYTES ? ROOM_BYTES : b->cap;
        if (buffer_reserve(b, extra) < 0) {
            buffer_reset(b);
            return false;
        }
    }
    size_t room = b->cap - b->len;
    if (room > max - b->len) room = max - b->len;
    if (room > UINT32_MAX) room = UINT32_MAX;
    z->next_out = b->ptr + b->len;
    z->avail_out = (uInt)room;
    return room > 0;
}

/* What zlib has written since make_room. */
static void took_room(struct buffer *b, const z_stream *z)
{
    b->len = (size_t)(z->next_out - b->ptr);
}

/* --- compressing --- */

/* A window that spans the whole message is as good as any larger one. */
static bool spans(unsigned window_bits, size_t total)
{
    return total <= (size_t)1 << window_bits;
}

static unsigned bits_for(size_t total, unsigned window_bits)
{
    unsigned bits = total <= SMALL_BYTES ? SMALL_BITS : LARGE_BITS;
    return bits > window_bits && !spans(window_bits, total) ? window_bits : bits;
}

bool deflater_fits(size_t total, unsigned window_bits)
{
    return bits_for(total, window_bits) == bits_for(total, LARGE_BITS);
}

/* A fresh state with this window, or NULL without memory. */
static z_stream *packer(struct deflater *d, unsigned bits)
{
    z_stream *z = d->packers[bits];
    if (z) {
        deflateReset(z);
        return z;
    }
    z = calloc(1, sizeof *z);
    int memory = bits <= SMALL_BITS ? SMALL_MEMORY : LARGE_MEMORY;
    if (z && deflateInit2(z, LEVEL, Z_DEFLATED, -(int)bits, memory, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(z);
        z = NULL;
    }
    d->packers[bits] = z;
    return z;
}

/* Feeds bytes; flush as for zlib. ERR_TOO_LARGE when the result reaches `max`. */
static int pack_bytes(struct buffer *out, z_stream *z, slice bytes, int flush, size_t max)
{
    z->next_in = (Bytef *)(uintptr_t)bytes.ptr;
    z->avail_in = (uInt)bytes.len;
    do {
        if (out->len >= max) return ERR_TOO_LARGE;
        if (!make_room(out, max, z)) return ERR_MEMORY;
        deflate(z, flush); /* cannot fail with room to write */
        took_room(out, z);
    } while (z->avail_out == 0);
    return OK;
}

int deflater_pack(struct deflater *d, const struct wr_bytes *parts, size_t count, size_t total,
                  unsigned window_bits, slice *out)
{
    if (total >= UINT32_MAX) return ERR_TOO_LARGE;
    z_stream *z = packer(d, bits_for(total, window_bits));
    size_t max = total + TAIL_BYTES;
    int rc = z ? OK : ERR_MEMORY;
    d->packed.len = 0;
    for (size_t i = 0; i < count && rc == OK; i++) {
        if (parts[i].len)
            rc = pack_bytes(&d->packed, z, slice_of(parts[i].ptr, parts[i].len), Z_NO_FLUSH, max);
    }
    if (rc == OK) rc = pack_bytes(&d->packed, z, SLICE_EMPTY, Z_SYNC_FLUSH, max);
    if (rc < 0) return rc;
    *out = slice_of(d->packed.ptr, d->packed.len - TAIL_BYTES);
    return OK;
}

/* --- inflating --- */

static z_stream *unpacker(struct deflater *d)
{
    z_stream *z = d->unpacker;
    if (z) {
        inflateReset(z);
        return z;
    }
    z = calloc(1, sizeof *z);
    if (z && inflateInit2(z, -LARGE_BITS) != Z_OK) {
        free(z);
        z = NULL;
    }
    d->unpacker = z;
    return z;
}

/* Feeds bytes, into at most max bytes of output. */
static int unpack_bytes(struct buffer *out, z_stream *z, slice bytes, size_t max)
{
    z->next_in = (Bytef *)(uintptr_t)bytes.ptr;
    z->avail_in = (uInt)bytes.len;
    for (;;) {
        uint8_t beyond;
        bool full = out->len == max;
        if (full) {
            z->next_out = &beyond;
            z->avail_out = 1;
        } else if (!make_room(out, max, z)) {
            return ERR_MEMORY;
        }
        int rc = inflate(z, Z_SYNC_FLUSH);
        if (full && z->avail_out == 0) return ERR_TOO_LARGE;
        if (!full) took_room(out, z);
        if (rc == Z_MEM_ERROR) return ERR_MEMORY;
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) return ERR_MALFORMED;
        /* A final block may end what was compressed, but not the message (RFC 7692 7.2.3.4). */
        if (rc == Z_STREAM_END) inflateReset(z);
        if (z->avail_in == 0 && z->avail_out > 0) return OK;
        if (rc == Z_BUF_ERROR && z->avail_out > 0) return ERR_MALFORMED;
    }
}

int deflater_unpack(struct deflater *d, slice message, size_t bytes_max, slice *out)
{
    z_stream *z = unpacker(d);
    if (!z) return ERR_MEMORY;
    d->unpacked.len = 0;
    if (message.len >= UINT32_MAX) return ERR_TOO_LARGE;
    int rc = unpack_bytes(&d->unpacked, z, message, bytes_max);
    if (rc < 0) return rc;
    size_t len = d->unpacked.len;
    rc = unpack_bytes(&d->unpacked, z, slice_of(tail, TAIL_BYTES), bytes_max);
    if (rc < 0) return rc;
    /* What was added at the end is the rest of an empty block. If it was taken for something else, the
     * message is not whole. */
    if (!(z->data_type & AT_BLOCK_START) || (z->data_type & UNUSED_BITS) || d->unpacked.len != len)
        return ERR_MALFORMED;
    *out = slice_of(d->unpacked.ptr, d->unpacked.len);
    return OK;
}
