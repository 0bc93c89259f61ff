#include "web/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 4096 - 32 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    alignas(max_align_t) uint8_t data[];
};

static size_t aligned(size_t size)
{
    return (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

void *arena_take(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2) return NULL;
    size = aligned(size);
    if (!a->blocks || a->blocks->size - a->used < size) {
        size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        struct arena_block *block = malloc(sizeof *block + room);
        if (!block) return NULL;
        block->next = a->blocks;
        block->size = room;
        a->blocks = block;
        a->used = 0;
    }
    void *out = a->blocks->data + a->used;
    a->used += size;
    return out;
}

char *arena_text(struct arena *a, slice text)
{
    char *copy = arena_take(a, text.len + 1);
    if (!copy) return NULL;
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    return copy;
}

void arena_clear(struct arena *a)
{
    struct arena_block *kept = NULL;
    while (a->blocks) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        if (!kept && block->size == BLOCK_BYTES)
            kept = block;
        else
            free(block);
    }
    if (kept) kept->next = NULL;
    a->blocks = kept;
    a->used = 0;
}

void arena_deinit(struct arena *a)
{
    arena_clear(a);
    free(a->blocks);
    a->blocks = NULL;
}
