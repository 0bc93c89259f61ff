#include "cli/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/buffer.h"
#include "cli/cli.h"

enum { FILE_HELD_MAX = 16 * 1024 * 1024, PATIENCE_S = 5 };

struct trace_file {
    char *path;
    int fd;
    uv_thread_t thread;
    uv_mutex_t mutex;
    uv_cond_t changed;
    struct buffer held, writing; /* held: guarded by the mutex; writing: the thread's */
    bool closing, failed;        /* guarded */
};

static bool write_all(int fd, slice bytes)
{
    while (bytes.len > 0) {
        ssize_t done = write(fd, bytes.ptr, bytes.len);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return false;
        bytes = slice_sub(bytes, (size_t)done, bytes.len);
    }
    return true;
}

static void complain_ends(const struct trace_file *file, const char *why)
{
    complain("The trace %s ends here, and the program goes on: %s.", file->path, why);
}

static void run(void *context)
{
    struct trace_file *file = context;
    uv_mutex_lock(&file->mutex);
    for (;;) {
        while (file->held.len == 0 && !file->closing)
            uv_cond_wait(&file->changed, &file->mutex);
        if (file->held.len == 0) break;
        struct buffer full = file->held;
        file->held = file->writing;
        file->writing = full;
        uv_mutex_unlock(&file->mutex);
        bool good = write_all(file->fd, buffer_slice(&full));
        int system = errno;
        file->writing.len = 0;
        uv_mutex_lock(&file->mutex);
        if (!good && !file->failed) {
            complain_ends(file, strerror(system));
            file->failed = true;
        }
        uv_cond_broadcast(&file->changed);
    }
    uv_mutex_unlock(&file->mutex);
}

static int complain_open(const char *path, int system)
{
    if (system == EEXIST)
        complain("There is a file %s already, and no trace overwrites one: name another.", path);
    else
        complain("The trace %s cannot be written: %s.", path, strerror(system));
    return system == EEXIST ? ERR_EXISTS : ERR_IO;
}

int trace_file_open(const char *path, struct trace_file **out_file)
{
    struct trace_file *file = calloc(1, sizeof *file);
    char *copy = strdup(path);
    int rc = ERR_MEMORY;
    if (!file || !copy) {
        complain("There is not enough memory for a trace.");
        goto fail;
    }
    file->path = copy;
    file->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        rc = complain_open(path, errno);
        goto fail;
    }
    buffer_init(&file->held, &allocator_libc, FILE_HELD_MAX);
    buffer_init(&file->writing, &allocator_libc, FILE_HELD_MAX);
    if (uv_mutex_init(&file->mutex)) goto fail_file;
    if (uv_cond_init(&file->changed)) goto fail_mutex;
    if (uv_thread_create(&file->thread, run, file)) goto fail_cond;
    *out_file = file;
    return OK;
fail_cond:
    uv_cond_destroy(&file->changed);
fail_mutex:
    uv_mutex_destroy(&file->mutex);
fail_file:
    rc = complain_open(path, EAGAIN);
    close(file->fd);
fail:
    free(copy);
    free(file);
    return rc;
}

void trace_file_write(void *context, slice piece)
{
    struct trace_file *file = context;
    uint64_t until = uv_hrtime() + (uint64_t)PATIENCE_S * 1000000000;
    uv_mutex_lock(&file->mutex);
    while (!file->failed && piece.len > FILE_HELD_MAX - file->held.len) {
        uint64_t now = uv_hrtime();
        if (now >= until || uv_cond_timedwait(&file->changed, &file->mutex, until - now)) {
            complain_ends(file, "the disk is too slow");
            file->failed = true;
        }
    }
    if (!file->failed) {
        buffer_put(&file->held, piece);
        if (file->held.failed) {
            complain_ends(file, "there is not enough memory");
            file->failed = true;
        }
    }
    uv_cond_broadcast(&file->changed);
    uv_mutex_unlock(&file->mutex);
}

void trace_file_close(struct trace_file *file)
{
    if (!file) return;
    uv_mutex_lock(&file->mutex);
    file->closing = true;
    uv_cond_broadcast(&file->changed);
    uv_mutex_unlock(&file->mutex);
    uv_thread_join(&file->thread);
    if (close(file->fd) && !file->failed) complain_ends(file, strerror(errno));
    uv_cond_destroy(&file->changed);
    uv_mutex_destroy(&file->mutex);
    buffer_reset(&file->held);
    buffer_reset(&file->writing);
    free(file->path);
    free(file);
}
