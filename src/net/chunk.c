#include "net/chunk.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const size_t pooled_cap = CHUNK_BYTES - sizeof(struct chunk);

static struct chunk *take_free(struct chunk **list, size_t *len)
{
    struct chunk *c = *list;
    *list = c->next;
    --*len;
    return c;
}

static struct chunk *chunk_new(struct chunk_pool *pool, size_t cap)
{
    struct chunk *c;
    if (cap == 0 && pool->free_links) {
        c = take_free(&pool->free_links, &pool->links_len);
    } else if (cap <= pooled_cap && cap > 0 && pool->free) {
        c = take_free(&pool->free, &pool->len);
    } else {
        if (cap > 0 && cap < pooled_cap) cap = pooled_cap;
        c = malloc(sizeof *c + cap);
        if (!c) return NULL;
        c->cap = cap;
    }
    c->next = NULL;
    c->ptr = c->data;
    c->len = 0;
    c->kind = CHUNK_OWN;
    return c;
}

static void give_free(struct chunk **list, size_t *len, struct chunk *c)
{
    c->next = *list;
    *list = c;
    ++*len;
}

static void chunk_free(struct chunk_pool *pool, struct chunk *c)
{
    if (c->kind == CHUNK_SHARED) shared_bytes_release(c->owner.shared);
    if (c->kind == CHUNK_FILE) shared_file_release(c->owner.file);
    if (c->kind == CHUNK_PIPE) pipe_give(c->owner.pipe);
    if (c->cap == pooled_cap && pool->len < CHUNK_POOL_MAX)
        give_free(&pool->free, &pool->len, c);
    else if (c->cap == 0 && pool->links_len < CHUNK_LINKS_MAX)
        give_free(&pool->free_links, &pool->links_len, c);
    else
        free(c);
}

static void free_all(struct chunk *list)
{
    while (list) {
        struct chunk *c = list;
        list = c->next;
        free(c);
    }
}

void chunk_pool_deinit(struct chunk_pool *pool)
{
    free_all(pool->free);
    free_all(pool->free_links);
    *pool = (struct chunk_pool){0};
}

static void append(struct chunk_queue *queue, struct chunk *c)
{
    if (queue->last)
        queue->last->next = c;
    else
        queue->first = c;
    queue->last = c;
    queue->bytes += c->len;
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

/* A piece whose bytes are another's. */
static int put_borrowed(struct chunk_pool *pool, struct chunk_queue *queue, slice bytes, enum chunk_kind kind)
{
    struct chunk *c = chunk_new(pool, 0);
    if (!c) return ERR_MEMORY;
    c->ptr = bytes.ptr;
    c->len = bytes.len;
    c->kind = kind;
    append(queue, c);
    return OK;
}

int chunk_put_static(struct chunk_pool *pool, struct chunk_queue *queue, slice bytes)
{
    if (bytes.len < CHUNK_BORROW_MIN) return chunk_put(pool, queue, bytes);
    return put_borrowed(pool, queue, bytes, CHUNK_STATIC);
}

int chunk_put_part(struct chunk_pool *pool, struct chunk_queue *queue, struct shared_bytes *owner, slice part)
{
    struct chunk *last = queue->last;
    if (part.len == 0) return OK;
    if (last && last->kind == CHUNK_SHARED && last->owner.shared == owner &&
        last->ptr + last->len == part.ptr) {
        last->len += part.len;
        queue->bytes += part.len;
        return OK;
    }
    /* One message for many: a link costs less than a chunk for each. But a queue that is not empty is perhaps
     * that of a slow reader, and many links would keep much alive for few bytes. */
    if (part.len < CHUNK_BORROW_MIN && last) return chunk_put(pool, queue, part);
    struct chunk *c = chunk_new(pool, 0);
    if (!c) return ERR_MEMORY;
    c->ptr = part.ptr;
    c->len = part.len;
    c->kind = CHUNK_SHARED;
    c->owner.shared = shared_bytes_hold(owner);
    append(queue, c);
    return OK;
}

int chunk_put_shared(struct chunk_pool *pool, struct chunk_queue *queue, struct shared_bytes *bytes)
{
    return chunk_put_part(pool, queue, bytes, shared_slice(bytes));
}

int chunk_put_file(struct chunk_pool *pool, struct chunk_queue *queue, struct shared_file *file,
                   uint64_t offset, size_t len)
{
    if (len == 0) return OK;
    struct chunk *c = chunk_new(pool, 0);
    if (!c) return ERR_MEMORY;
    c->ptr = NULL;
    c->len = len;
    c->kind = CHUNK_FILE;
    c->offset = offset;
    c->owner.file = shared_file_hold(file);
    append(queue, c);
    return OK;
}

int chunk_put_pipe(struct chunk_pool *pool, struct chunk_queue *queue, struct pipe *pipe)
{
    struct chunk *c = chunk_new(pool, 0);
    if (!c) return ERR_MEMORY;
    c->ptr = NULL;
    c->len = pipe->bytes;
    c->kind = CHUNK_PIPE;
    c->owner.pipe = pipe;
    append(queue, c);
    return OK;
}

int chunk_lend(struct chunk_pool *pool, struct chunk_queue *queue, slice bytes)
{
    return bytes.len > 0 ? put_borrowed(pool, queue, bytes, CHUNK_LENT) : OK;
}

/* Puts a copy in the place of a piece that was lent, or nothing when there is no memory. */
static bool keep_piece(struct chunk_pool *pool, struct chunk_queue *queue, struct chunk *before,
                       struct chunk *lent)
{
    struct chunk *own = chunk_new(pool, lent->len);
    if (own) {
        memcpy(own->data, lent->ptr, lent->len);
        own->len = lent->len;
        own->next = lent->next;
    } else {
        queue->bytes -= lent->len;
    }
    *(before ? &before->next : &queue->first) = own ? own : lent->next;
    if (queue->last == lent) queue->last = own ? own : before;
    chunk_free(pool, lent);
    return own;
}

int chunk_keep(struct chunk_pool *pool, struct chunk_queue *queue)
{
    int rc = OK;
    struct chunk *before = NULL, *next;
    for (struct chunk *c = queue->first; c; c = next) {
        next = c->next;
        if (c->kind == CHUNK_LENT) {
            if (!keep_piece(pool, queue, before, c)) {
                rc = ERR_MEMORY;
                continue;
            }
            c = before ? before->next : queue->first;
        }
        before = c;
    }
    return rc;
}

static ssize_t read_from(const struct chunk *c, uint8_t *out, size_t n, size_t done)
{
    if (c->kind == CHUNK_FILE) return pread(c->owner.file->fd, out, n, (off_t)(c->offset + done));
    ssize_t got = read(c->owner.pipe->read_fd, out, n);
    if (got > 0) c->owner.pipe->bytes -= (size_t)got;
    return got;
}

int chunk_read(const struct chunk *c, uint8_t *out, size_t n)
{
    assert((c->kind == CHUNK_FILE || c->kind == CHUNK_PIPE) && n <= c->len);
    for (size_t done = 0; done < n;) {
        ssize_t got = read_from(c, out + done, n - done, done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ERR_IO;
        if (got == 0) return ERR_CORRUPT;
        done += (size_t)got;
    }
    return OK;
}

int chunk_load(struct chunk_pool *pool, struct chunk_queue *queue, struct chunk *before, struct chunk **c,
               size_t n)
{
    struct chunk *range = *c;
    struct chunk *own = chunk_new(pool, n);
    if (!own) return ERR_MEMORY;
    int rc = chunk_read(range, own->data, n);
    if (rc < 0) {
        chunk_free(pool, own);
        return rc;
    }
    own->len = n;
    own->next = range->len == n ? range->next : range;
    if (before)
        before->next = own;
    else
        queue->first = own;
    range->len -= n;
    range->offset += n;
    if (range->len == 0) {
        if (queue->last == range) queue->last = own;
        chunk_free(pool, range);
    }
    *c = own;
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
    if (n == 0) return;
    struct chunk *c = queue->first;
    c->len -= n;
    if (c->ptr)
        c->ptr += n;
    else
        c->offset += n;
}
