#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* In front of every block, so that a wrong size given back is seen. */
struct block {
    uint64_t size, unused; /* 16 bytes: what follows stays aligned */
};

static void *memory_resize(void *context, void *ptr, size_t old_size, size_t size)
{
    struct memory *m = context;
    struct block *block = ptr ? (struct block *)ptr - 1 : NULL;
    if (block && block->size != old_size) m->size_error = true;
    if (size == 0) {
        if (block) m->used -= (size_t)block->size;
        free(block);
        return NULL;
    }
    m->calls++;
    if (m->fail_at && m->calls >= m->fail_at && m->calls - m->fail_at <= m->fail_more) return NULL;
    struct block *bigger = realloc(block, sizeof *block + size);
    if (!bigger) abort();
    m->used = m->used - (block ? old_size : 0) + size;
    if (m->used > m->peak) m->peak = m->used;
    bigger->size = size;
    return bigger + 1;
}

void memory_init(struct memory *m)
{
    memset(m, 0, sizeof *m);
    m->allocator = (struct allocator){m, memory_resize};
}

void *must_alloc(size_t size)
{
    void *block = calloc(1, size);
    if (!block) abort();
    return block;
}

void *must_resize(void *ptr, size_t size)
{
    void *block = realloc(ptr, size);
    if (!block) abort();
    return block;
}

void *must_grow(void *array, size_t len, size_t *cap, size_t size)
{
    if (len < *cap) return array;
    *cap = *cap ? 2 * *cap : 8;
    return must_resize(array, *cap * size);
}
