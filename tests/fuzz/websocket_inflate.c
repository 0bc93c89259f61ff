/* Inflating a compressed WebSocket message: never more than the limit, and what comes out is packed and
 * unpacked again alike. The first byte says the limit, the second the receiver's window. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "web/deflate.h"

enum { LIMIT_UNIT = 97, WINDOWS = 7, WINDOW_MIN = 9 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

static void pack_and_unpack(struct deflater *d, slice text, unsigned window_bits)
{
    slice packed, again;
    int rc = deflater_pack(d, &(struct wr_bytes){text.ptr, text.len}, 1, text.len, window_bits, &packed);
    expect(rc == OK || rc == ERR_TOO_LARGE);
    if (rc < 0) return;
    expect(packed.len < text.len);
    expect(deflater_unpack(d, packed, text.len, &again) == OK);
    expect(slice_equal(again, text));
    deflater_pack_done(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    size_t limit = (size_t)data[0] * LIMIT_UNIT;
    struct deflater *d = deflater_new();
    slice out;
    expect(d != NULL);
    int rc = deflater_unpack(d, slice_of(data + 2, size - 2), limit, &out);
    expect(rc == OK || rc == ERR_MALFORMED || rc == ERR_TOO_LARGE);
    if (rc == OK) {
        expect(out.len <= limit);
        /* The same again, to the byte of the limit. */
        size_t len = out.len;
        uint8_t *text = malloc(len + 1);
        expect(text != NULL);
        if (len) memcpy(text, out.ptr, len);
        deflater_unpack_done(d);
        expect(deflater_unpack(d, slice_of(data + 2, size - 2), len, &out) == OK && out.len == len);
        expect(len == 0 || deflater_unpack(d, slice_of(data + 2, size - 2), len - 1, &out) == ERR_TOO_LARGE);
        if (len > 0) pack_and_unpack(d, slice_of(text, len), WINDOW_MIN + data[1] % WINDOWS);
        free(text);
    }
    deflater_free(d);
    return 0;
}
