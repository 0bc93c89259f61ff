/* chunk.h - bytes on their way out: a queue of pieces, small ones joined, large ones borrowed or shared,
 * ranges of files named, bytes in pipes counted.
 *
 * Pieces of the usual size come from a pool and go back to it, so that nothing is allocated in steady state.
 */
#ifndef NET_CHUNK_H
#define NET_CHUNK_H

#include "base/err.h"
#include "net/pipe.h"
#include "net/shared.h"

enum {
    CHUNK_BYTES = 4096,      /* of a pooled chunk, head included */
    CHUNK_POOL_MAX = 256,    /* chunks kept for reuse */
    CHUNK_LINKS_MAX = 2048,  /* pieces without bytes of their own kept for reuse */
    CHUNK_BORROW_MIN = 2048, /* constant bytes shorter than this are copied */
};

enum chunk_kind {
    CHUNK_OWN,    /* bytes in data[] */
    CHUNK_STATIC, /* bytes that are always there */
    CHUNK_SHARED, /* bytes with counted owners */
    CHUNK_FILE,   /* a range of a file */
    CHUNK_LENT,   /* bytes that are there only for now, see chunk_lend */
    CHUNK_PIPE,   /* all that is in a pipe */
};

struct chunk {
    struct chunk *next;
    const uint8_t *ptr; /* what is unsent; NULL for a range of a file, or a pipe */
    size_t len;
    size_t cap;      /* of data; 0 when the bytes are someone else's */
    uint64_t offset; /* where in the file */
    union {
        struct shared_bytes *shared;
        struct shared_file *file;
        struct pipe *pipe;
    } owner;
    enum chunk_kind kind;
    uint8_t data[];
};

struct chunk_pool {
    struct chunk *free, *free_links;
    size_t len, links_len;
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
/* Holds the bytes until they are sent (copies few where a piece of its own stands before them). ERR_MEMORY.
 */
int chunk_put_shared(struct chunk_pool *pool, struct chunk_queue *queue,
                     struct shared_bytes *bytes) BASE_CHECKED;
/* The same for a part of the bytes. A part that follows the one before it is joined to that, so a series of
 * messages that lie one after the other is one piece. */
int chunk_put_part(struct chunk_pool *pool, struct chunk_queue *queue, struct shared_bytes *owner,
                   slice part) BASE_CHECKED;
/* Holds the file until `len` bytes from `offset` on are sent. ERR_MEMORY. */
int chunk_put_file(struct chunk_pool *pool, struct chunk_queue *queue, struct shared_file *file,
                   uint64_t offset, size_t len) BASE_CHECKED;
/* Takes the pipe until its bytes are sent, and gives it back. ERR_MEMORY: it is the caller's still. */
int chunk_put_pipe(struct chunk_pool *pool, struct chunk_queue *queue, struct pipe *pipe) BASE_CHECKED;
/* Borrows bytes until chunk_keep is called, which must be before they go. ERR_MEMORY. */
int chunk_lend(struct chunk_pool *pool, struct chunk_queue *queue, slice bytes) BASE_CHECKED;
/* Copies what was lent and is in the queue still. ERR_MEMORY: it was taken off the queue, and is lost. */
int chunk_keep(struct chunk_pool *pool, struct chunk_queue *queue) BASE_CHECKED;
/* Reads the first n bytes of the file range or pipe that the piece `c` is into memory, as a piece before the
 * rest of it (n at most c->len): `c` is this piece then. `before` is the piece before c, NULL when c is the
 * first. ERR_MEMORY; ERR_IO; ERR_CORRUPT when the file has become shorter. */
int chunk_load(struct chunk_pool *pool, struct chunk_queue *queue, struct chunk *before, struct chunk **c,
               size_t n) BASE_CHECKED;
/* Reads the first n bytes of a file range, or takes them out of a pipe; n at most c->len. ERR_IO, ERR_CORRUPT
 * as above. */
int chunk_read(const struct chunk *c, uint8_t *out, size_t n) BASE_CHECKED;
/* Drops the first n bytes and frees the chunks that this empties. */
void chunk_consume(struct chunk_pool *pool, struct chunk_queue *queue, size_t n);

#endif
