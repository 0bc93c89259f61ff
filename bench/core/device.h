/* device.h - a node with a disk in memory, its CPU time and its memory counted. */
#ifndef BENCH_CORE_DEVICE_H
#define BENCH_CORE_DEVICE_H

#include "base/map.h"
#include "corpus.h"

/* Counts the bytes that a node asked for (not what the C library adds to each block). */
struct counter {
    struct allocator allocator; /* context is this struct: do not move it */
    size_t used, peak;
    uint64_t blocks; /* in use */
};

struct disk_author {
    uint8_t device[ID_BYTES];
    slice *records; /* by seq - 1 */
    uint32_t len, cap;
};

struct device {
    struct node *node;
    struct counter memory;
    const struct corpus *corpus;
    struct map by_author;
    struct disk_author *authors;
    uint32_t authors_len, authors_cap;
    slice channel_record;
    bool keeps; /* records are kept; else a STORE is done at once and forgotten */
    uint64_t cpu_ns;
    uint64_t stored, delivered, delivered_late; /* late: of the corpus' last `late` entries */
    uint32_t late;
    uint64_t read, warnings, closed;
    bool writable;
};

/* CPU time of this process, nanoseconds. */
uint64_t cpu_now(void);

/* The secrets of device_open for such an author. */
void device_secrets(uint32_t author, const struct corpus *c, uint8_t identity_seed[KEY_BYTES],
                    uint8_t random_seed[KEY_BYTES]);
/* A person's device that has joined the corpus' channel; author: one of the corpus, or UINT32_MAX for
 * somebody new. Restores what `from` keeps, if given. */
void device_open(struct device *d, const struct corpus *c, uint32_t author, bool keeps,
                 const struct device *from, usec now);
void device_close(struct device *d);
/* Carries out all actions. */
void device_pump(struct device *d, usec now);
/* The records in the order in which a restore wants them; false from `visit` ends it. */
void device_records(const struct device *d, bool (*visit)(void *context, slice record), void *context);

#endif
