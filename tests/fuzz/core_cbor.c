/* The strict subset of CBOR: what is accepted has exactly one spelling, so writing it again gives the input.
 */
#include <stdlib.h>

#include "base/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies one value from reader to writer, by what its first byte says it is. */
static void copy(struct cbor_reader *r, struct writer *w, int depth)
{
    if (r->failed || r->rest.len == 0 || depth > CBOR_DEPTH_MAX) {
        r->failed = true;
        return;
    }
    switch (r->rest.ptr[0] >> 5) {
    case 0: cbor_put_uint(w, cbor_uint(r, UINT64_MAX)); break;
    case 2: cbor_put_bytes(w, cbor_bytes(r, SIZE_MAX)); break;
    case 4: {
        uint64_t count = cbor_array(r, UINT64_MAX);
        if (depth >= CBOR_DEPTH_MAX) r->failed = true; /* no array at the deepest, not even an empty one */
        if (!r->failed) cbor_put_array(w, count);
        for (uint64_t i = 0; i < count && !r->failed; i++)
            copy(r, w, depth + 1);
        break;
    }
    default: r->failed = true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t again[1 << 20];
    slice input = slice_of(data, size);
    struct cbor_reader skipper = cbor_reader_of(input), reader = cbor_reader_of(input);
    struct writer w = writer_of(again, sizeof again);
    cbor_skip(&skipper, 1);
    copy(&reader, &w, 1);
    if (cbor_done(&skipper) != cbor_done(&reader)) abort(); /* skipping and reading agree */
    if (cbor_done(&reader) && (w.failed || !slice_equal(writer_slice(&w), input))) abort();
    return 0;
}
