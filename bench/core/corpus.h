/* corpus.h - a channel full of signed entries, for measurements of the core; no peer of src/core is needed.
 *
 * A tracker, `authors` accounts with one device each, and `count` entries: everybody's JOIN first, then texts
 * in turns, each a second later than the one before. Deterministic. Everything lives until corpus_free; a
 * lack of memory ends the program. */
#ifndef BENCH_CORE_CORPUS_H
#define BENCH_CORE_CORPUS_H

#include "core/entry.h"

enum { CORPUS_TEXT_BYTES = 60 };

struct corpus_author {
    uint8_t seed[KEY_BYTES], device[ID_BYTES], last[ID_BYTES];
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    size_t certificate_len;
    uint32_t seq;
};

struct corpus {
    const struct crypto *crypto;
    uint8_t tracker_seed[KEY_BYTES], tracker[ID_BYTES], channel[ID_BYTES];
    struct corpus_author *authors;
    uint32_t authors_len;
    slice *wires; /* the entries, in the order of their times */
    uint32_t len;
    uint8_t *bytes;
    uint64_t first_ms;
};

void corpus_make(struct corpus *c, const struct crypto *crypto, uint32_t authors, uint32_t count);
void corpus_free(struct corpus *c);
/* A device of the channel that is not in the corpus. */
void corpus_certify(const struct corpus *c, const char *account, const uint8_t seed[KEY_BYTES], uint8_t *out,
                    size_t room, size_t *out_len);
/* A moment after the last entry. */
usec corpus_end(const struct corpus *c);

/* Never NULL. */
void *bench_alloc(size_t count, size_t size);
_Noreturn void bench_die(const char *what);

#endif
