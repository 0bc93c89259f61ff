/* handles.h - numbers for things that come and go: a number is never given to another thing soon again.
 *
 * A number is (generation << 16 | slot), never 0. So 65,535 things at a time, and an old number of a slot
 * that was used again finds nothing.
 * Rules: not thread-safe. */
#ifndef TRACKER_HANDLES_H
#define TRACKER_HANDLES_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/slice.h"

enum { HANDLES_MAX = 65535 };

struct handle_slot {
    void *thing;         /* NULL: free */
    uint32_t generation; /* 1 to 65535 */
    uint32_t next_free;  /* slot + 1 */
};

struct handles {
    const struct allocator *allocator;
    struct handle_slot *slots;
    size_t cap, used;               /* slots made so far, things in them */
    uint32_t first_free, last_free; /* slot + 1, oldest first */
};

void handles_init(struct handles *h, const struct allocator *allocator);
void handles_deinit(struct handles *h);
/* Keeps the pointer (borrows). ERR_FULL, ERR_MEMORY. */
int handles_add(struct handles *h, void *thing, uint32_t *out_number) BASE_CHECKED;
/* NULL when there is none. */
void *handles_get(const struct handles *h, uint32_t number);
void handles_remove(struct handles *h, uint32_t number);
/* Visits all: start with *at = 0; NULL at the end. Things may be removed meanwhile, not added. */
void *handles_next(const struct handles *h, size_t *at);

#endif
