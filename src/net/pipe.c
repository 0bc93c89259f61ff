#include "net/pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct pipe *pipe_new(struct pipe_pool *pool)
{
    int ends[2];
    struct pipe *p = malloc(sizeof *p);
    if (!p) return NULL;
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) {
        free(p);
        return NULL;
    }
    /* A user has a limit for all pipes together; one of the usual size does it, too. */
    (void)!fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    *p = (struct pipe){.pool = pool, .read_fd = ends[0], .write_fd = ends[1]};
    return p;
}

static void pipe_free(struct pipe *p)
{
    close(p->read_fd);
    close(p->write_fd);
    free(p);
}

void pipe_pool_deinit(struct pipe_pool *pool)
{
    while (pool->free) {
        struct pipe *p = pool->free;
        pool->free = p->next;
        pipe_free(p);
    }
    *pool = (struct pipe_pool){0};
}

struct pipe *pipe_take(struct pipe_pool *pool)
{
    struct pipe *p = pool->free;
    if (p) {
        pool->free = p->next;
        pool->free_len--;
    } else {
        p = pool->used < PIPE_USED_MAX ? pipe_new(pool) : NULL;
        if (!p) return NULL;
    }
    pool->used++;
    return p;
}

void pipe_give(struct pipe *p)
{
    struct pipe_pool *pool = p->pool;
    pool->used--;
    if (p->bytes > 0 || pool->free_len == PIPE_POOL_MAX) {
        pipe_free(p);
        return;
    }
    p->next = pool->free;
    pool->free = p;
    pool->free_len++;
}
