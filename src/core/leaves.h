/* leaves.h - a set of the leaves of a file: one bit each, and one above for every 64 of them, so that the
 * next leaf that two sets share is found without looking at each. 2^24 leaves are 2 MiB and a bit.
 *
 * Rules: leaves are below the number given to leaves_init (asserted); a zeroed set is a valid empty one of no
 * leaves. */
#ifndef CORE_LEAVES_H
#define CORE_LEAVES_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/slice.h"

#define LEAVES_NONE UINT32_MAX

struct leaves {
    uint64_t *words, *tops;
    uint32_t total, count; /* leaves that there are, and in the set */
};

/* Memory that a set of so many leaves takes. */
size_t leaves_bytes(uint32_t total);
/* Empty, or all of them. ERR_MEMORY. */
int leaves_init(struct leaves *s, const struct allocator *a, uint32_t total, bool all) BASE_CHECKED;
void leaves_deinit(struct leaves *s, const struct allocator *a);

bool leaves_has(const struct leaves *s, uint32_t leaf);
/* False when nothing changed. */
bool leaves_add(struct leaves *s, uint32_t leaf);
bool leaves_remove(struct leaves *s, uint32_t leaf);
/* Adds `count` leaves from `from` on; or what is in `bits`, leaf `from` (a multiple of 64) being bit 0 of the
 * first byte: bits beyond the last leaf must not be set. */
void leaves_add_run(struct leaves *s, uint32_t from, uint32_t count);
bool leaves_add_bits(struct leaves *s, uint32_t from, slice bits) BASE_CHECKED;
/* Adds all of `other` (of as many leaves). */
void leaves_add_all(struct leaves *s, const struct leaves *other);
void leaves_clear(struct leaves *s);
/* Writes the bits of leaves from.. (a multiple of 64), up to the end or until `room` bytes are full; how many
 * bytes. */
size_t leaves_bits(const struct leaves *s, uint32_t from, uint8_t *out, size_t room);

/* The first leaf >= from in the set, and in `also` (of as many leaves) unless that is NULL; LEAVES_NONE when
 * there is none. */
uint32_t leaves_next(const struct leaves *s, const struct leaves *also, uint32_t from);
/* The first leaf >= from that is not in the set; the number of leaves when there is none. */
uint32_t leaves_next_gap(const struct leaves *s, uint32_t from);

#endif
