#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "net/listener.h"

enum { IOV_MAX_HERE = 64 };

/* Bytes in libuv's hands; the chunks are kept here until the call back. */
struct stream_write {
    uv_write_t request;
    struct stream *stream;
    struct chunk_queue chunks;
};

static void mark_dirty(struct stream *s)
{
    if (list_empty(&s->dirty_node) && !s->closing) list_append(&s->loop->dirty, &s->dirty_node);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct stream *s = handle->data;
    assert(!s->loop->reading);
    s->loop->reading = true;
    *out = uv_buf_init((char *)s->loop->read_buffer, LOOP_READ_BYTES);
}

static void on_read(uv_stream_t *handle, ssize_t got, const uv_buf_t *buf)
{
    struct stream *s = handle->data;
    s->loop->reading = false;
    if (s->closing) return;
    if (got > 0) {
        s->events->received(s, (uint8_t *)buf->base, (size_t)got);
    } else if (got == UV_EOF) {
        stream_read(s, false);
        s->events->ended(s);
    } else if (got < 0) {
        s->events->failed(s, (int)got);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    s->events->closed(s);
}

int stream_accept(struct stream *s, struct net_loop *loop, struct listener *listener,
                  const struct stream_events *events)
{
    *s = (struct stream){.loop = loop, .events = events};
    list_init(&s->dirty_node);
    int rc = uv_tcp_init(&loop->uv, &s->tcp);
    assert(rc == 0); /* fails only when it makes a socket */
    s->tcp.data = s;
    rc = uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&s->tcp);
    if (rc == 0) {
        stream_read(s, true);
    } else {
        stream_close(s);
    }
    return rc;
}

void stream_read(struct stream *s, bool on)
{
    if (s->closing || s->reading == on) return;
    s->reading = on;
    if (on)
        uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
    else
        uv_read_stop((uv_stream_t *)&s->tcp);
}

static bool takes_bytes(const struct stream *s)
{
    return !s->closing && !s->finish;
}

static void release(struct net_loop *loop, struct chunk_queue *queue)
{
    chunk_consume(&loop->chunks, queue, queue->bytes);
}

/* The pieces at the front of the queue that one write can take. A short range of a file is read on the way; a
 * long one ends it. 0 or an error of libuv's. */
static int gather(struct stream *s, uv_buf_t iov[IOV_MAX_HERE], size_t *out_count, size_t *out_bytes)
{
    size_t n = 0, bytes = 0;
    struct chunk *before = NULL;
    for (struct chunk *c = s->out.first; c && n < IOV_MAX_HERE && bytes < STREAM_WRITE_BYTES; c = c->next) {
        if (c->kind == CHUNK_FILE) {
            if (c->len >= STREAM_SENDFILE_MIN) break;
            int rc = chunk_load(&s->loop->chunks, &s->out, before, &c, c->len);
            if (rc < 0) return rc == ERR_MEMORY ? UV_ENOMEM : UV_EIO;
        }
        iov[n++] = uv_buf_init((char *)(uintptr_t)c->ptr, (unsigned)c->len);
        bytes += c->len;
        before = c;
    }
    *out_count = n;
    *out_bytes = bytes;
    return 0;
}

static void on_written(uv_write_t *request, int status)
{
    struct stream_write *w = (struct stream_write *)request;
    struct stream *s = w->stream;
    s->write = NULL;
    release(s->loop, &w->chunks);
    free(w);
    if (s->closing) return;
    if (status < 0 && !s->error) s->error = status;
    mark_dirty(s);
}

/* Moves the first n chunks to another queue. */
static void move_chunks(struct chunk_queue *from, size_t n, struct chunk_queue *to)
{
    *to = (struct chunk_queue){.first = from->first};
    for (; n > 0; n--) {
        to->last = from->first;
        to->bytes += from->first->len;
        from->first = from->first->next;
    }
    from->bytes -= to->bytes;
    if (!from->first) from->last = NULL;
    to->last->next = NULL;
}

/* The kernel takes no more now: libuv waits until it does. It can wait only with bytes in its hands, so the
 * beginning of a file is read for it. */
static int write_later(struct stream *s)
{
    struct chunk *first = s->out.first;
    if (first->kind == CHUNK_FILE) {
        size_t n = first->len < STREAM_STALL_BYTES ? first->len : STREAM_STALL_BYTES;
        int rc = chunk_load(&s->loop->chunks, &s->out, NULL, &first, n);
        if (rc < 0) return rc == ERR_MEMORY ? UV_ENOMEM : UV_EIO;
    }
    struct stream_write *w = calloc(1, sizeof *w);
    if (!w) return UV_ENOMEM;
    uv_buf_t iov[IOV_MAX_HERE];
    size_t bytes, n;
    int rc = gather(s, iov, &n, &bytes);
    if (rc < 0) {
        free(w);
        return rc;
    }
    w->stream = s;
    move_chunks(&s->out, n, &w->chunks);
    s->write = w;
    rc = uv_write(&w->request, (uv_stream_t *)&s->tcp, iov, (unsigned)n, on_written);
    if (rc == 0) return 0;
    s->write = NULL;
    release(s->loop, &w->chunks);
    free(w);
    return rc;
}

/* What precedes a long file range waits in the kernel for its first bytes, so that they share segments. */
static ssize_t write_more(struct stream *s, const uv_buf_t *iov, size_t n)
{
    uv_os_fd_t fd;
    int rc = uv_fileno((const uv_handle_t *)&s->tcp, &fd);
    if (rc < 0) return rc;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_MORE | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}

/* Sends from the file range at the front. */
static ssize_t send_file(struct stream *s, size_t *out_asked)
{
    const struct chunk *c = s->out.first;
    uv_os_fd_t fd;
    int rc = uv_fileno((const uv_handle_t *)&s->tcp, &fd);
    if (rc < 0) return rc;
    *out_asked = c->len < STREAM_TURN_BYTES ? c->len : STREAM_TURN_BYTES;
    off_t offset = (off_t)c->offset;
    ssize_t sent;
    do {
        sent = sendfile(fd, c->owner.file->fd, &offset, *out_asked);
    } while (sent < 0 && errno == EINTR);
    if (sent == 0) return UV_EIO; /* it has become shorter */
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}

/* One call. Bytes taken, or an error of libuv's. */
static ssize_t send_front(struct stream *s, size_t *out_asked)
{
    const struct chunk *first = s->out.first;
    if (first->kind == CHUNK_FILE && first->len >= STREAM_SENDFILE_MIN) return send_file(s, out_asked);
    uv_buf_t iov[IOV_MAX_HERE];
    size_t n;
    int rc = gather(s, iov, &n, out_asked);
    if (rc < 0) return rc;
    bool file_next = *out_asked < s->out.bytes && n < IOV_MAX_HERE && *out_asked < STREAM_WRITE_BYTES;
    return file_next ? write_more(s, iov, n) : uv_try_write((uv_stream_t *)&s->tcp, iov, (unsigned)n);
}

/* Sends what can be sent in this turn; an error is kept for the end of the turn, because the caller may be in
 * the middle of something. */
static void send_out(struct stream *s)
{
    size_t left = STREAM_TURN_BYTES;
    while (!s->write && s->out.bytes > 0 && !s->error) {
        if (left == 0) {
            mark_dirty(s);
            return;
        }
        size_t asked;
        ssize_t rc = send_front(s, &asked);
        s->loop->written_calls++;
        if (rc >= 0) {
            chunk_consume(&s->loop->chunks, &s->out, (size_t)rc);
            left -= (size_t)rc < left ? (size_t)rc : left;
        }
        if (rc == UV_EAGAIN || (rc >= 0 && (size_t)rc < asked)) rc = write_later(s);
        if (rc < 0) s->error = (int)rc;
    }
}

static void queued(struct stream *s, size_t len)
{
    s->put += len;
    mark_dirty(s);
}

void stream_flush_large(struct stream *s)
{
    if (!s->closing && s->out.bytes >= STREAM_FLUSH_BYTES) send_out(s);
}

int stream_put(struct stream *s, slice bytes)
{
    if (!takes_bytes(s)) return OK;
    int rc = chunk_put(&s->loop->chunks, &s->out, bytes);
    if (rc < 0) return rc;
    queued(s, bytes.len);
    stream_flush_large(s);
    return OK;
}

int stream_put_static(struct stream *s, slice bytes)
{
    if (!takes_bytes(s)) return OK;
    int rc = chunk_put_static(&s->loop->chunks, &s->out, bytes);
    if (rc < 0) return rc;
    queued(s, bytes.len);
    stream_flush_large(s);
    return OK;
}

int stream_put_shared(struct stream *s, struct shared_bytes *bytes)
{
    if (!takes_bytes(s)) return OK;
    int rc = chunk_put_shared(&s->loop->chunks, &s->out, bytes);
    if (rc < 0) return rc;
    queued(s, bytes->len);
    stream_flush_large(s);
    return OK;
}

int stream_put_file(struct stream *s, struct shared_file *file, uint64_t offset, size_t len)
{
    if (!takes_bytes(s)) return OK;
    int rc = chunk_put_file(&s->loop->chunks, &s->out, file, offset, len);
    if (rc < 0) return rc;
    queued(s, len);
    return OK;
}

uint8_t *stream_room(struct stream *s, size_t len)
{
    if (!takes_bytes(s)) return NULL;
    uint8_t *room = chunk_room(&s->loop->chunks, &s->out, len);
    if (room) queued(s, len);
    return room;
}

void stream_trim(struct stream *s, size_t unused)
{
    chunk_trim(&s->out, unused);
    s->put -= unused;
}

size_t stream_queued(const struct stream *s)
{
    return s->out.bytes + uv_stream_get_write_queue_size((const uv_stream_t *)&s->tcp);
}

uint64_t stream_sent(const struct stream *s)
{
    return s->put - stream_queued(s);
}

void stream_wake(struct stream *s)
{
    s->wake = true;
    mark_dirty(s);
}

void stream_finish(struct stream *s)
{
    s->finish = true;
    mark_dirty(s);
}

void stream_close(struct stream *s)
{
    if (s->closing) return;
    s->closing = true;
    list_remove(&s->dirty_node);
    release(s->loop, &s->out);
    uv_close((uv_handle_t *)&s->tcp, on_closed);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status; /* an error shows in reading, or in the timeout that the owner has set */
    free(request);
}

static void shut_down(struct stream *s)
{
    s->finished = true;
    uv_shutdown_t *request = malloc(sizeof *request);
    if (request && uv_shutdown(request, (uv_stream_t *)&s->tcp, on_shutdown) < 0) free(request);
}

void stream_turn(struct stream *s)
{
    if (s->wake) {
        s->wake = false;
        s->events->woken(s);
        if (s->closing) return;
    }
    send_out(s);
    if (s->error) {
        s->events->failed(s, s->error);
        return;
    }
    if (s->finish && !s->finished && !s->write && s->out.bytes == 0) shut_down(s);
    s->events->flushed(s);
}
