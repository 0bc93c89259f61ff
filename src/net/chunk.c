#include "net/chunk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const size_t pooled_cap = CHUNK_BYTES - sizeof(struct chunk);

static struct chunk *chunk_new(struct chunk_pool *pool, size_t cap)
{
    struct chunk *c;
    if (cap <= pooled_cap && cap > 0 && pool->free) {
        c = pool->free;
        pool->free = c->next;
        pool->len--;
    } else {
        if (cap > 0 && cap < pooled_cap) cap = pooled_cap;
        c = malloc(sizeof *c + cap);
        if (!c) return NULL;
        c->cap = cap;
    }
    c->next = NULL;
    c->ptr = c->data;
    c->len = 0;
    return c;
}

static void chunk_free(struct chunk_pool *pool, struct chunk *c)
{
    if (c->cap != pooled_cap || pool->len >= CHUNK_POOL_MAX) {
        free(c);
        return;
    }
    c->next = pool->free;
    pool->free = c;
    pool->len++;
}

void chunk_pool_deinit(struct chunk_pool *pool)
{
    while (pool->free) {
        struct chunk *c = pool->free;
        pool->free = c->next;
        free(c);
    }
    pool->len = 0;
}

static void append(struct chunk_queue *queue, struct chunk *c)
{
    if (queue->last)
        queue->last->next = c;
    else
        queue->first = c;
    queue->last = c;
}

static size_t room_at_end(const struct chunk *c)
{
    return c && c->cap ? c->cap - (size_t)(c->ptr - c->data) - c->len : 0;
}

uint8_t *chunk_room(struct chunk_pool *pool, struct chunk_queue *queue, size_t len)
{
    struct chunk *c = queue->last;
    if (room_at_end(c) < len || !c) {
        c = chunk_new(pool, len ? len : 1);
        if (!c) return NULL;
        append(queue, c);
    }
    uint8_t *room = c->data + (c->ptr - c->data) + c->len;
    c->len += len;
    queue->bytes += len;
    return room;
}

void chunk_trim(struct chunk_queue *queue, size_t unused)
{
    assert(queue->last && queue->last->len >= unused);
    queue->last->len -= unused;
    queue->bytes -= unused;
}

int chunk_put(struct chunk_pool *pool, struct chunk_queue *queue, slice bytes)
{
    if (bytes.len == 0) return OK;
    uint8_t *room = chunk_room(pool, queue, bytes.len);
    if (!room) return ERR_MEMORY;
    memcpy(room, bytes.ptr, bytes.len);
    return OK;
}

int chunk_put_static(struct chunk_pool *pool, struct chunk_queue *queue, slice bytes)
{
    if (bytes.len < CHUNK_BORROW_MIN) return chunk_put(pool, queue, bytes);
    struct chunk *c = chunk_new(pool, 0);
    if (!c) return ERR_MEMORY;
    c->ptr = bytes.ptr;
    c->len = bytes.len;
    queue->bytes += bytes.len;
    append(queue, c);
    return OK;
}

void chunk_consume(struct chunk_pool *pool, struct chunk_queue *queue, size_t n)
{
    assert(n <= queue->bytes);
    queue->bytes -= n;
    while (queue->first && queue->first->len <= n) {
        struct chunk *c = queue->first;
        n -= c->len;
        queue->first = c->next;
        if (!queue->first) queue->last = NULL;
        chunk_free(pool, c);
    }
    if (n > 0) {
        queue->first->ptr += n;
        queue->first->len -= n;
    }
}
