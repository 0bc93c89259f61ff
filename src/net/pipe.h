/* pipe.h - kernel pipes that bytes go through from one connection to another without being copied.
 *
 * A pipe is in use only while bytes are in it, so a loop with few slow readers needs few, and those that come
 * back empty are kept. One that is not empty is closed: what is in it was for somebody else.
 *
 * Rules: everything on the thread of the loop that has the pool. */
#ifndef NET_PIPE_H
#define NET_PIPE_H

#include <stddef.h>

enum {
    PIPE_BYTES = 256 * 1024, /* what its size is set to, when the system allows that */
    PIPE_POOL_MAX = 32,      /* pipes kept for reuse: two descriptors each */
    PIPE_USED_MAX = 64,      /* in use at the same time */
};

struct pipe_pool;

struct pipe {
    struct pipe_pool *pool;
    struct pipe *next; /* that is free */
    size_t bytes;      /* in it: kept up to date by who writes and reads */
    int read_fd, write_fd;
};

struct pipe_pool {
    struct pipe *free;
    unsigned free_len, used;
};

void pipe_pool_deinit(struct pipe_pool *pool);
/* An empty one, not blocking; NULL when there is none to be had now. */
struct pipe *pipe_take(struct pipe_pool *pool);
void pipe_give(struct pipe *pipe);

#endif
