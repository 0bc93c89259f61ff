/* chunk.h - bytes on their way out: a queue of pieces, small ones joined, large constant ones borrowed.
 *
 * Pieces of the usual size come from a pool and go back to it, so that nothing is allocated in steady state.
 */
#ifndef NET_CHUNK_H
#define NET_CHUNK_H

#include "base/err.h"
#include "base/slice.h"

enum {
    CHUNK_BYTES = 4096,      /* of a pooled chunk, head included */
    CHUNK_POOL_MAX = 256,    /* chunks kept for reuse */
    CHUNK_BORROW_MIN = 2048, /* constant bytes shorter than this are copied */
};

struct chunk {
    struct chunk *next;
    const uint8_t *ptr; /* what is unsent */
    size_t len;
    size_t cap; /* of data; 0 when ptr is borrowed */
    uint8_t data[];
};

struct chunk_pool {
    struct chunk *free;
    size_t len;
};

struct chunk_queue {
    struct chunk *first, *last;
    size_t bytes;
};

void chunk_pool_deinit(struct chunk_pool *pool);

/* Room for exactly len bytes in one piece at the end of the queue, which count as queued already; the caller
 * fills them (and may give back what is too much with chunk_trim). NULL without memory. */
uint8_t *chunk_room(struct chunk_pool *pool, struct chunk_queue *queue, size_t len);
/* Takes the last `unused` bytes of what chunk_room just gave back off the queue. */
void chunk_trim(struct chunk_queue *queue, size_t unused);
/* Copies. ERR_MEMORY: nothing was queued. */
int chunk_put(struct chunk_pool *pool, struct chunk_queue *queue, slice bytes) BASE_CHECKED;
/* Borrows constant bytes until they are sent (copies few). ERR_MEMORY. */
int chunk_put_static(struct chunk_pool *pool, struct chunk_queue *queue, slice bytes) BASE_CHECKED;
/* Drops the first n bytes and frees the chunks that this empties. */
void chunk_consume(struct chunk_pool *pool, struct chunk_queue *queue, size_t n);

#endif
