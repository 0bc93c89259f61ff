/* shared.h - what several streams send at once, also on several threads: constant bytes and open files, each
 * with a count of its owners.
 *
 * Rules: a new one has one owner, the caller. Who keeps a pointer holds, who is done releases; the last one
 * frees. Holding and releasing is allowed on any thread; bytes are written before they are first given to
 * somebody, and never after that. */
#ifndef NET_SHARED_H
#define NET_SHARED_H

#include <stdatomic.h>

#include "base/slice.h"

struct shared_bytes {
    atomic_uint owners;
    size_t len;
    uint8_t bytes[];
};

/* Room for len bytes that the caller fills; NULL without memory. */
struct shared_bytes *shared_bytes_new(size_t len);
struct shared_bytes *shared_bytes_hold(struct shared_bytes *bytes);
/* NULL is allowed. */
void shared_bytes_release(struct shared_bytes *bytes);
static inline slice shared_slice(const struct shared_bytes *bytes)
{
    return slice_of(bytes->bytes, bytes->len);
}

struct shared_file {
    atomic_uint owners;
    int fd; /* of a regular file, open for reading; its position is not used */
};

/* Takes fd: the last owner closes it. NULL without memory: fd is the caller's still. */
struct shared_file *shared_file_new(int fd);
struct shared_file *shared_file_hold(struct shared_file *file);
/* NULL is allowed. */
void shared_file_release(struct shared_file *file);

#endif
