#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *libc_resize(void *context, void *ptr, size_t old_size, size_t size)
{
    (void)context, (void)old_size;
    if (size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size);
}

const struct allocator allocator_libc = {NULL, libc_resize};

void *alloc_new(const struct allocator *a, size_t size)
{
    void *block = a->resize(a->context, NULL, 0, size);
    if (block) memset(block, 0, size);
    return block;
}

void *alloc_array(const struct allocator *a, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) return NULL;
    return alloc_new(a, count * size);
}

void *alloc_resize(const struct allocator *a, void *ptr, size_t old_size, size_t size)
{
    return a->resize(a->context, ptr, old_size, size);
}

void alloc_free(const struct allocator *a, void *ptr, size_t size)
{
    if (ptr) a->resize(a->context, ptr, size, 0);
}
