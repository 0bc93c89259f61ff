/* memory.h - the allocator of one simulated device: counts, keeps a budget, can fail on request. */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "base/alloc.h"

#include <stdbool.h>
#include <stdint.h>

struct memory {
    struct allocator allocator; /* context is this struct: do not move it */
    size_t used, peak;          /* bytes */
    uint64_t calls;             /* allocations that were asked for */
    uint64_t fail_at;           /* this call (counted from 1) fails; 0 for none */
    uint64_t fail_more;         /* and so many after it */
    bool size_error;            /* a block was given back with another size than it has */
};

void memory_init(struct memory *m);
/* For the simulator itself: never NULL; zeroed. */
void *must_alloc(size_t size);
/* Like realloc; the new part is not zeroed. */
void *must_resize(void *ptr, size_t size);
/* Makes room for one more element of `size` bytes in an array of *cap that holds `len`. */
void *must_grow(void *array, size_t len, size_t *cap, size_t size);

#endif
