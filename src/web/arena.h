/* arena.h - memory that lives as long as a request and is freed at once. */
#ifndef WEB_ARENA_H
#define WEB_ARENA_H

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the one being filled first */
    size_t used;                /* of the first block */
};

/* Not zeroed, aligned for any type; NULL without memory. */
void *arena_take(struct arena *a, size_t size);
/* A NUL-terminated copy; NULL without memory. */
char *arena_text(struct arena *a, slice text);
/* Frees everything but one block of the usual size. */
void arena_clear(struct arena *a);
void arena_deinit(struct arena *a);

#endif
