/* cbor.h - the strict subset of CBOR that goes on the wire and under signatures.
 *
 * RFC 8949 core deterministic encoding (4.2.1), and of it only: unsigned integers, byte strings and arrays of
 * definite length, heads in their shortest form. Anything else is ERR_MALFORMED. So every value has exactly
 * one spelling. Text is a byte string that holds UTF-8.
 *
 * Rules: nothing allocates; slices that a reader gives out borrow the input; both sides fail stickily. An
 * array may hold more elements than a reader knows: it skips them (room to grow), unless it asks for the
 * exact count. */
#ifndef BASE_CBOR_H
#define BASE_CBOR_H

#include "base/buffer.h"

#define CBOR_DEPTH_MAX 8

void cbor_put_uint(struct writer *w, uint64_t value);
void cbor_put_bytes(struct writer *w, slice bytes);
/* The head of a byte string; exactly `len` bytes must follow. */
void cbor_put_bytes_head(struct writer *w, uint64_t len);
/* The head of an array; exactly `count` items must follow. */
void cbor_put_array(struct writer *w, uint64_t count);

struct cbor_reader {
    slice rest;
    bool failed;
};

static inline struct cbor_reader cbor_reader_of(slice bytes)
{
    return (struct cbor_reader){bytes, false};
}
/* On failure these return 0 or the empty slice and set failed. */
uint64_t cbor_uint(struct cbor_reader *r, uint64_t max);
slice cbor_bytes(struct cbor_reader *r, size_t max);
/* A byte string of exactly len bytes; the pointer borrows the input, NULL on failure. */
const uint8_t *cbor_fixed(struct cbor_reader *r, size_t len);
/* The number of items that follow, at most max. */
uint64_t cbor_array(struct cbor_reader *r, uint64_t max);
/* Skips `items` whole values of any allowed kind, nested to CBOR_DEPTH_MAX. */
void cbor_skip(struct cbor_reader *r, uint64_t items);
/* True when nothing failed and every byte was used. */
static inline bool cbor_done(const struct cbor_reader *r)
{
    return !r->failed && r->rest.len == 0;
}

#endif
