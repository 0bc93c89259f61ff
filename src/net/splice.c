/* splice.c - the input of one stream becomes output of another one, through a pipe where that can be.
 *
 * libuv says when the descriptor can be read by asking for a buffer; it gets none, and calls the read
 * callback nevertheless. There the bytes are moved to a pipe that is empty, the pipe is queued at the other
 * stream, and sent. It is the queue's from then on; so a splice that waits for input holds no pipe. While the
 * other stream has something queued the source is not read.
 *
 * A struct splice lasts until all bytes have come, or one of its streams is closed, or the splice is ended.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "net/send.h"
#include "net/tls.h"

struct splice {
    struct stream *from, *to; /* to: NULL when it was closed */
    uint64_t left;            /* bytes that have not come yet */
    struct pipe *pipe;        /* for the input that is there now, or NULL */
    bool waits;               /* the source is not read */
    bool copies;              /* the kernel cannot do it */
};

bool stream_can_splice(const struct stream *from, const struct stream *to)
{
    return from != to && !from->tls && !to->tls && !from->connecting && !to->connecting && !from->closing &&
           !to->closing && !from->splice && !to->source;
}

int stream_splice(struct stream *from, struct stream *to, uint64_t len)
{
    assert(from != to && !from->closing && !from->splice && !to->source);
    if (len == 0) return OK;
    struct splice *sp = malloc(sizeof *sp);
    if (!sp) return ERR_MEMORY;
    *sp = (struct splice){.from = from, .to = to, .left = len, .copies = from->tls || to->tls};
    from->splice = sp;
    if (to->closing)
        sp->to = NULL;
    else
        to->source = sp;
    return OK;
}

static void detach(struct splice *sp)
{
    sp->from->splice = NULL;
    if (sp->to) sp->to->source = NULL;
    if (sp->pipe) pipe_give(sp->pipe);
    free(sp);
}

void splice_end(struct stream *from)
{
    if (from->splice) detach(from->splice);
}

void stream_unsplice(struct stream *from)
{
    if (!from->splice) return;
    splice_end(from);
    stream_read_as_wanted(from);
}

void splice_drop(struct stream *s)
{
    splice_end(s);
    struct splice *sp = s->source;
    if (!sp) return;
    s->source = NULL;
    sp->to = NULL;
    sp->waits = true;
    stream_read_as_wanted(sp->from);
}

bool splice_waits(const struct stream *from)
{
    return from->splice && from->splice->waits;
}

static bool has_room(const struct splice *sp)
{
    return sp->to && sp->to->out.bytes == 0 && !sp->to->error && stream_takes_bytes(sp->to);
}

static void update(struct splice *sp, bool waits)
{
    if (sp->waits == waits) return;
    sp->waits = waits;
    stream_read_as_wanted(sp->from);
}

void splice_resume(struct stream *to)
{
    if (to->source && has_room(to->source)) update(to->source, false);
}

/* So many bytes have been queued at the other stream: the owner is told. */
static void moved(struct splice *sp, size_t n)
{
    struct stream *from = sp->from;
    sp->left -= n;
    if (sp->left == 0)
        detach(sp);
    else
        update(sp, !has_room(sp));
    from->events->spliced(from, n);
}

static void fail_without_memory(struct stream *to)
{
    if (!to->error) to->error = UV_ENOMEM;
    stream_mark(to);
}

/* --- through memory --- */

size_t splice_pass_on(struct stream *from, slice bytes)
{
    struct splice *sp = from->splice;
    size_t n = sp->left < bytes.len ? (size_t)sp->left : bytes.len;
    if (sp->to && stream_put_now(sp->to, slice_of(bytes.ptr, n)) < 0) fail_without_memory(sp->to);
    moved(sp, n);
    return n;
}

/* --- through a pipe --- */

bool splice_takes_input(struct stream *from)
{
    struct splice *sp = from->splice;
    if (!sp->to || sp->to->error || !stream_takes_bytes(sp->to)) return true;
    if (sp->copies) return false;
    if (!sp->pipe) sp->pipe = pipe_take(&stream_loop(from)->pipes);
    return sp->pipe;
}

static ssize_t fill(struct stream *from, struct pipe *pipe, size_t max)
{
    uv_os_fd_t fd;
    int rc = uv_fileno((uv_handle_t *)&from->tcp, &fd);
    if (rc < 0) return rc;
    ssize_t got;
    do {
        got = splice(fd, NULL, pipe->write_fd, NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (got < 0 && errno == EINTR);
    if (got > 0) pipe->bytes += (size_t)got;
    return got < 0 ? uv_translate_sys_error(errno) : got;
}

static void give_back(struct splice *sp)
{
    pipe_give(sp->pipe);
    sp->pipe = NULL;
}

/* Nothing came but the news that nothing will, or that it cannot be done so. */
static void take_trouble(struct stream *from, ssize_t rc)
{
    struct splice *sp = from->splice;
    give_back(sp);
    if (rc == UV_EAGAIN) return;
    if (rc == UV_EINVAL || rc == UV_ENOSYS || rc == UV_EPERM) {
        sp->copies = true; /* and libuv calls again, since there still is something to read */
        return;
    }
    if (rc == 0)
        stream_take_end(from);
    else
        stream_fail(from, (int)rc);
}

static void queue_pipe(struct splice *sp)
{
    struct stream *to = sp->to;
    struct pipe *pipe = sp->pipe;
    sp->pipe = NULL;
    size_t n = pipe->bytes;
    if (chunk_put_pipe(&stream_loop(to)->chunks, &to->out, pipe) < 0) {
        pipe_give(pipe);
        fail_without_memory(to);
        return;
    }
    stream_count(to, n);
    stream_send(to);
}

void splice_input(struct stream *from)
{
    size_t sum = 0, got = PIPE_BYTES;
    while (got == PIPE_BYTES && sum < STREAM_TURN_BYTES) {
        struct splice *sp = from->splice;
        if (!sp || from->closing || !from->reading || sp->waits || !splice_takes_input(from)) return;
        if (!sp->pipe) {
            update(sp, true);
            return;
        }
        size_t max = sp->left < PIPE_BYTES ? (size_t)sp->left : PIPE_BYTES;
        ssize_t rc = fill(from, sp->pipe, max);
        if (rc <= 0) {
            take_trouble(from, rc);
            return;
        }
        got = (size_t)rc;
        sum += got;
        queue_pipe(sp);
        moved(sp, got);
    }
}
