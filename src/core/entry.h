/* entry.h - one signed, immutable item of a feed, and the record that a shell stores of it.
 * docs/protocol/wire.md, "Entry".
 *
 * A blob is one record in memory, counted: the same bytes wait to be stored, are shown and are sent to
 * several links. Not thread-safe, like all of the core. */
#ifndef CORE_ENTRY_H
#define CORE_ENTRY_H

#include "base/alloc.h"
#include "base/buffer.h"
#include "core/node.h"

/* Seqs above this are malformed: room for 60,000 messages a second over a day, and arithmetic that fits. */
#define ENTRY_SEQ_MAX UINT32_C(0xFFFFFFF0)

/* The fields; pointers borrow the bytes that were parsed. */
struct entry {
    uint32_t kind;
    const uint8_t *channel, *author, *prev;
    uint32_t seq;
    uint64_t time_ms;
    slice body;
    slice fields; /* the signed bytes */
    const uint8_t *signature;
};

/* How an entry came to stand beside those that were here: a restore must know which one counts only together
 * with another one (feed.h). */
enum record_run {
    RUN_UP = 0,    /* behind the one before it */
    RUN_FIRST = 1, /* above a gap, as the first one there */
    RUN_DOWN = 2,  /* before the one behind it */
};

/* Where and when an entry came here; part of the record, not of the entry. */
struct arrival {
    enum record_run run;
    enum path path;
    uint8_t from[ID_BYTES];
    uint64_t arrived_ms, place_ms;
};

struct blob {
    uint32_t references;
    size_t len;
    struct entry entry; /* points into data */
    struct arrival arrival;
    slice wire; /* the entry as it goes over links, in data */
    uint8_t id[ID_BYTES];
    uint8_t data[]; /* the record, len bytes */
};

/* Form and limits only: ERR_MALFORMED, ERR_TOO_LARGE (body). */
int entry_parse(slice wire, struct entry *out) BASE_CHECKED;
void entry_id(const struct crypto *crypto, const struct entry *entry, uint8_t out[ID_BYTES]);
/* id: of this entry, which is what its author has signed. */
bool entry_signed(const struct crypto *crypto, const struct entry *entry, const uint8_t id[ID_BYTES]);
/* Signs and writes the wire form of an entry: kind, channel, author, seq, prev, time_ms and body are read. */
int entry_write(const struct crypto *crypto, const struct entry *fields, const uint8_t seed[KEY_BYTES],
                struct writer *out) BASE_CHECKED;

/* A blob of an entry in wire form: NULL when out of memory. One reference is the caller's. `wire` must parse.
 */
struct blob *blob_new(const struct allocator *a, const struct crypto *crypto, slice wire,
                      const struct arrival *arrival);
/* The same, of an entry whose id is known. */
struct blob *blob_named(const struct allocator *a, slice wire, const uint8_t id[ID_BYTES],
                        const struct arrival *arrival);
struct blob *blob_keep(struct blob *b);
void blob_release(const struct allocator *a, struct blob *b);

/* Records, as given to STORE: entries and channels. */
enum record_kind { RECORD_ENTRY = 1, RECORD_CHANNEL = 2 };
struct channel_record {
    const uint8_t *channel, *authority;
    slice name;
    struct channel_spec spec; /* of sealed channels; no authority: a public one */
    slice certificate;        /* PRIVATE: the founder's, or empty */
};
/* ERR_CORRUPT for anything that record_* or blob_new did not write. */
int record_parse(slice record, enum record_kind *out_kind, slice *out_wire, struct arrival *out_arrival,
                 struct channel_record *out_channel) BASE_CHECKED;
int record_write_channel(const struct channel_record *channel, struct writer *out) BASE_CHECKED;

#endif
