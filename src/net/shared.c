#include "net/shared.h"

#include <stdlib.h>
#include <unistd.h>

/* True when it was the last. What other owners read of it happened before. */
static bool leave(atomic_uint *owners)
{
    return atomic_fetch_sub_explicit(owners, 1, memory_order_acq_rel) == 1;
}

struct shared_bytes *shared_bytes_new(size_t len)
{
    if (len > SIZE_MAX - sizeof(struct shared_bytes)) return NULL;
    struct shared_bytes *bytes = malloc(sizeof *bytes + len);
    if (!bytes) return NULL;
    atomic_init(&bytes->owners, 1);
    bytes->len = len;
    return bytes;
}

struct shared_bytes *shared_bytes_hold(struct shared_bytes *bytes)
{
    atomic_fetch_add_explicit(&bytes->owners, 1, memory_order_relaxed);
    return bytes;
}

void shared_bytes_release(struct shared_bytes *bytes)
{
    if (bytes && leave(&bytes->owners)) free(bytes);
}

struct shared_file *shared_file_new(int fd)
{
    struct shared_file *file = malloc(sizeof *file);
    if (!file) return NULL;
    atomic_init(&file->owners, 1);
    file->fd = fd;
    return file;
}

struct shared_file *shared_file_hold(struct shared_file *file)
{
    atomic_fetch_add_explicit(&file->owners, 1, memory_order_relaxed);
    return file;
}

void shared_file_release(struct shared_file *file)
{
    if (!file || !leave(&file->owners)) return;
    close(file->fd);
    free(file);
}
