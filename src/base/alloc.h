/* alloc.h - the allocator as a parameter, so that a test can make any allocation fail and a core can be
 * given a budget.
 *
 * Rules: thread: as the implementation says; the default is the C library's and thread-safe. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

struct allocator {
    void *context;
    /* realloc with sizes: ptr NULL allocates, size 0 frees (and returns NULL). Returns NULL on failure, the
     * old block then stays valid. */
    void *(*resize)(void *context, void *ptr, size_t old_size, size_t size);
};

extern const struct allocator allocator_libc;

/* Zeroed memory, or NULL. */
void *alloc_new(const struct allocator *a, size_t size);
/* Zeroed array; NULL also when count * size overflows. */
void *alloc_array(const struct allocator *a, size_t count, size_t size);
void *alloc_resize(const struct allocator *a, void *ptr, size_t old_size, size_t size);
/* NULL is allowed. */
void alloc_free(const struct allocator *a, void *ptr, size_t size);

#endif
