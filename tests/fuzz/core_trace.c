/* A trace of anybody's making is read, replayed as far as it goes, or refused in a sentence. */
#include <stdlib.h>
#include <string.h>

#include "core/trace.h"
#include "simulator/sham.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_call(void *context, const struct trace_call *call)
{
    if (call->number != ++*(uint64_t *)context || call->kind >= TRACE_KINDS) abort();
}

static int replay(const uint8_t *data, size_t size, size_t piece, const struct crypto *crypto, bool lenient,
                  struct replay_report *out)
{
    uint64_t calls = 0;
    struct replay_options options = {.allocator = &allocator_libc,
                                     .crypto = crypto,
                                     .lenient = lenient,
                                     .call = on_call,
                                     .context = &calls};
    struct replay *r;
    int rc = OK;
    if (replay_new(&options, &r) < 0) abort();
    for (size_t at = 0; rc == OK && at < size; at += piece)
        rc = replay_feed(r, slice_sub(slice_of(data, size), at, piece));
    replay_end(r, out);
    if (rc < 0 && out->text[0] == '\0') abort();
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct replay_report read, whole, pieces;
    (void)replay(data, size, size + 1, NULL, true, &read);
    (void)replay(data, size, size + 1, &crypto_sham, false, &whole);
    if (whole.calls > read.calls) abort();
    int rc = replay(data, size, size + 1, &crypto_sham, true, &whole);
    if (replay(data, size, 1 + size / 3, &crypto_sham, true, &pieces) != rc) abort();
    if (memcmp(&whole, &pieces, sizeof whole) != 0) abort();
    return 0;
}
