#include "net/send.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "net/tls.h"

enum { PIECES_MAX = 64 };

/* Bytes in libuv's hands; the chunks are kept here until the call back. */
struct stream_write {
    uv_write_t request;
    struct stream *stream;
    struct chunk_queue chunks;
};

void stream_mark(struct stream *s)
{
    if (list_empty(&s->dirty_node) && !s->closing) list_append(&stream_loop(s)->dirty, &s->dirty_node);
}

int stream_scratch(struct net_loop *loop)
{
    if (!loop->scratch) loop->scratch = malloc(sizeof *loop->scratch);
    return loop->scratch ? OK : ERR_MEMORY;
}

static void release(struct net_loop *loop, struct chunk_queue *queue)
{
    chunk_consume(&loop->chunks, queue, queue->bytes);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int file_trouble(int rc)
{
    return rc == ERR_MEMORY ? UV_ENOMEM : UV_EIO;
}

/* --- what the kernel does not take now --- */

static void on_written(uv_write_t *request, int status)
{
    struct stream_write *w = (struct stream_write *)request;
    struct stream *s = w->stream;
    s->write = NULL;
    release(stream_loop(s), &w->chunks);
    free(w);
    if (s->closing) return;
    if (status < 0 && !s->error) s->error = status;
    stream_mark(s);
}

/* The pieces at the front of the queue that one write can take. A short range of a file is read on the way; a
 * long one, or a pipe, ends it. 0 or an error of libuv's. */
static int gather(struct net_loop *loop, struct chunk_queue *queue, uv_buf_t iov[PIECES_MAX],
                  size_t *out_count, size_t *out_bytes)
{
    size_t n = 0, bytes = 0;
    struct chunk *before = NULL;
    for (struct chunk *c = queue->first; c && n < PIECES_MAX && bytes < STREAM_WRITE_BYTES; c = c->next) {
        if (c->kind == CHUNK_PIPE) break;
        if (c->kind == CHUNK_FILE) {
            if (c->len >= STREAM_SENDFILE_MIN) break;
            int rc = chunk_load(&loop->chunks, queue, before, &c, c->len);
            if (rc < 0) return file_trouble(rc);
        }
        iov[n++] = uv_buf_init((char *)(uintptr_t)c->ptr, (unsigned)c->len);
        bytes += c->len;
        before = c;
    }
    *out_count = n;
    *out_bytes = bytes;
    return 0;
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

/* libuv waits until the kernel takes more. It can wait only with bytes in its hands, so the beginning of a
 * file or pipe is read for it. */
static int write_later(struct stream *s, struct chunk_queue *queue)
{
    if (chunk_keep(&stream_loop(s)->chunks, queue) < 0) return UV_ENOMEM;
    struct chunk *first = queue->first;
    if (first->kind == CHUNK_FILE || first->kind == CHUNK_PIPE) {
        int rc =
            chunk_load(&stream_loop(s)->chunks, queue, NULL, &first, smaller(first->len, STREAM_STALL_BYTES));
        if (rc < 0) return file_trouble(rc);
    }
    struct stream_write *w = calloc(1, sizeof *w);
    if (!w) return UV_ENOMEM;
    uv_buf_t iov[PIECES_MAX];
    size_t bytes, n;
    int rc = gather(stream_loop(s), queue, iov, &n, &bytes);
    if (rc == 0) {
        w->stream = s;
        move_chunks(queue, n, &w->chunks);
        s->write = w;
        rc = uv_write(&w->request, (uv_stream_t *)&s->tcp, iov, (unsigned)n, on_written);
        if (rc == 0) return 0;
        s->write = NULL;
        release(stream_loop(s), &w->chunks);
    }
    free(w);
    return rc;
}

/* --- without TLS --- */

static int descriptor(const struct stream *s)
{
    uv_os_fd_t fd;
    int rc = uv_fileno((const uv_handle_t *)&s->tcp, &fd);
    return rc < 0 ? rc : fd;
}

/* Bytes taken, or an error of libuv's. more: what comes before a long range of a file, a pipe, or the end,
 * waits in the kernel to share a segment with it. */
static ssize_t write_now(struct stream *s, const uv_buf_t *iov, size_t n, bool more)
{
    int fd = descriptor(s), flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
    if (fd < 0) return fd;
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n};
    ssize_t sent;
    do {
        sent = n == 1 ? send(fd, iov->base, iov->len, flags) : sendmsg(fd, &message, flags);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == ENOBUFS) return UV_EAGAIN;
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}

/* Whether what is written now may wait for the end: unread bytes would make the close a reset, which takes
 * with it what still waits. */
static bool ends_with(const struct stream *s, bool all)
{
    int unread = 0, fd = s->last && all ? descriptor(s) : -1;
    return fd >= 0 && ioctl(fd, FIONREAD, &unread) == 0 && unread == 0;
}

/* For file systems without sendfile: the next piece of the file goes into memory, and is sent like others. */
static int load_front(struct stream *s, size_t *out_asked)
{
    struct chunk *first = s->out.first;
    *out_asked = 0;
    int rc = chunk_load(&stream_loop(s)->chunks, &s->out, NULL, &first, STREAM_SENDFILE_MIN);
    return rc < 0 ? file_trouble(rc) : 0;
}

/* Sends from the file range at the front. */
static ssize_t send_file(struct stream *s, size_t *out_asked)
{
    const struct chunk *c = s->out.first;
    int fd = descriptor(s);
    if (fd < 0) return fd;
    *out_asked = smaller(c->len, STREAM_TURN_BYTES);
    off_t offset = (off_t)c->offset;
    ssize_t sent;
    do {
        sent = sendfile(fd, c->owner.file->fd, &offset, *out_asked);
    } while (sent < 0 && errno == EINTR);
    if (sent == 0) return UV_EIO; /* it has become shorter */
    if (sent < 0 && (errno == EINVAL || errno == ENOSYS)) return load_front(s, out_asked);
    return sent < 0 ? uv_translate_sys_error(errno) : sent;
}

/* Sends what is in the pipe at the front. */
static ssize_t send_pipe(struct stream *s, size_t *out_asked)
{
    const struct chunk *c = s->out.first;
    int fd = descriptor(s);
    if (fd < 0) return fd;
    *out_asked = c->len;
    ssize_t sent;
    do {
        sent = splice(c->owner.pipe->read_fd, NULL, fd, NULL, c->len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (sent < 0 && errno == EINTR);
    if (sent == 0) return UV_EIO; /* does not happen: there are bytes */
    if (sent < 0) return uv_translate_sys_error(errno);
    c->owner.pipe->bytes -= (size_t)sent;
    return sent;
}

/* One call. Bytes taken, or an error of libuv's. */
static ssize_t send_front(struct stream *s, size_t *out_asked)
{
    const struct chunk *first = s->out.first;
    if (first->kind == CHUNK_PIPE) return send_pipe(s, out_asked);
    if (first->kind == CHUNK_FILE && first->len >= STREAM_SENDFILE_MIN) return send_file(s, out_asked);
    uv_buf_t iov[PIECES_MAX];
    size_t n;
    int rc = gather(stream_loop(s), &s->out, iov, &n, out_asked);
    if (rc < 0) return rc;
    bool call_next = *out_asked < s->out.bytes && n < PIECES_MAX && *out_asked < STREAM_WRITE_BYTES;
    bool more = call_next || ends_with(s, *out_asked == s->out.bytes);
    return write_now(s, iov, n, more);
}

size_t stream_send_past(struct stream *s, slice bytes)
{
    if (s->tls || s->connecting || s->write || s->out.bytes > 0 || s->error) return 0;
    uv_buf_t piece = uv_buf_init((char *)(uintptr_t)bytes.ptr, (unsigned)bytes.len);
    ssize_t sent = write_now(s, &piece, 1, false);
    stream_loop(s)->written_calls++;
    if (sent < 0 && sent != UV_EAGAIN) {
        s->error = (int)sent;
        stream_mark(s);
    }
    if (sent <= 0) return 0;
    s->put += (size_t)sent;
    return (size_t)sent;
}

static void send_plain(struct stream *s)
{
    size_t left = STREAM_TURN_BYTES;
    while (!s->write && s->out.bytes > 0 && !s->error) {
        if (left == 0) {
            stream_mark(s);
            return;
        }
        size_t asked;
        ssize_t rc = send_front(s, &asked);
        stream_loop(s)->written_calls++;
        if (rc >= 0) {
            chunk_consume(&stream_loop(s)->chunks, &s->out, (size_t)rc);
            left -= smaller(left, (size_t)rc);
        }
        if (rc == UV_EAGAIN || (rc >= 0 && (size_t)rc < asked)) rc = write_later(s, &s->out);
        if (rc < 0) s->error = (int)rc;
    }
}

/* --- with TLS --- */

/* Joins small pieces to a whole record, and reads files in large pieces. */
static int stage(struct stream *s, size_t max, slice *out)
{
    uint8_t *room = stream_loop(s)->scratch->stage;
    size_t n = 0;
    max = smaller(max, LOOP_STAGE_BYTES);
    for (const struct chunk *c = s->out.first; c; c = c->next) {
        size_t limit = c->kind == CHUNK_FILE ? max : TLS_RECORD_BYTES;
        if (n >= limit) break;
        size_t part = smaller(c->len, limit - n);
        if (c->kind == CHUNK_FILE) {
            int rc = chunk_read(c, room + n, part);
            if (rc < 0) return file_trouble(rc);
        } else {
            memcpy(room + n, c->ptr, part);
        }
        n += part;
        if (part < c->len) break;
    }
    *out = slice_of(room, n);
    return 0;
}

/* The next plaintext to be sealed, at most max bytes (a record or more): from where it is, when that is much
 * or all. */
static int next_plaintext(struct stream *s, size_t max, slice *out)
{
    const struct chunk *c = s->out.first;
    if (c->kind == CHUNK_FILE || (c->len < TLS_RECORD_BYTES && c->next)) return stage(s, max, out);
    *out = slice_of(c->ptr, smaller(c->len, max));
    return 0;
}

/* Seals as much as one write can take. 0 or an error of libuv's. */
static int seal_queue(struct stream *s, struct writer *out)
{
    while (s->out.bytes > 0 && out->cap - out->len >= tls_sealed_max(TLS_RECORD_BYTES)) {
        size_t records = (out->cap - out->len - TLS_SLACK_BYTES - TLS_OVERHEAD_BYTES) /
                         (TLS_RECORD_BYTES + TLS_OVERHEAD_BYTES);
        slice plain;
        int rc = next_plaintext(s, records * TLS_RECORD_BYTES, &plain);
        if (rc < 0) return rc;
        if (tls_seal(s->tls, plain, out) < 0) return UV_EPROTO;
        chunk_consume(&stream_loop(s)->chunks, &s->out, plain.len);
    }
    if ((s->finish || s->last) && s->out.bytes == 0 && out->cap - out->len >= TLS_SLACK_BYTES)
        tls_shut(s->tls, out);
    return 0;
}

/* Writes what waits in `wire`, then the sealed bytes; what the kernel does not take is kept in `wire`. */
static int write_wire(struct stream *s, slice sealed)
{
    struct chunk_queue *wire = &s->tls->wire;
    uv_buf_t iov[PIECES_MAX];
    size_t n = 0, waiting = 0;
    int rc = gather(stream_loop(s), wire, iov, &n, &waiting);
    if (rc == 0 && waiting == wire->bytes && n < PIECES_MAX && sealed.len > 0)
        iov[n++] = uv_buf_init((char *)(uintptr_t)sealed.ptr, (unsigned)sealed.len);
    if (rc < 0) return rc;
    bool more = ends_with(s, s->out.bytes == 0 && n < PIECES_MAX);
    ssize_t sent = write_now(s, iov, n, more);
    stream_loop(s)->written_calls++;
    if (sent < 0 && sent != UV_EAGAIN) return (int)sent;
    size_t taken = sent < 0 ? 0 : (size_t)sent, of_wire = smaller(taken, wire->bytes);
    chunk_consume(&stream_loop(s)->chunks, wire, of_wire);
    sealed = slice_sub(sealed, taken - of_wire, sealed.len);
    return chunk_put(&stream_loop(s)->chunks, wire, sealed) < 0 ? UV_ENOMEM : 0;
}

static bool has_sealed_work(const struct stream *s)
{
    return s->tls->wire.bytes > 0 || (s->tls->opened && s->out.bytes > 0);
}

static void send_secure(struct stream *s)
{
    struct tls *t = s->tls;
    size_t left = STREAM_TURN_BYTES;
    while (!s->write && !s->error && has_sealed_work(s)) {
        if (left == 0) {
            stream_mark(s);
            return;
        }
        struct writer sealed = writer_of(stream_loop(s)->scratch->sealed, LOOP_SEALED_BYTES);
        size_t before = s->out.bytes;
        int rc = t->opened ? seal_queue(s, &sealed) : 0;
        t->under_way = before - s->out.bytes;
        left -= smaller(left, t->under_way);
        if (rc == 0) rc = write_wire(s, writer_slice(&sealed));
        if (rc == 0 && t->wire.bytes > 0) rc = write_later(s, &t->wire);
        if (rc < 0) s->error = rc;
    }
}

/* --- both --- */

void stream_send(struct stream *s)
{
    if (s->connecting) return;
    if (s->tls)
        send_secure(s);
    else
        send_plain(s);
}

void stream_send_last(struct stream *s)
{
    if (s->connecting || s->write || s->tls->wire.bytes == 0) return;
    (void)!write_wire(s, SLICE_EMPTY);
}

bool stream_is_sent(const struct stream *s)
{
    return !s->connecting && !s->write && s->out.bytes == 0 && (!s->tls || s->tls->wire.bytes == 0);
}
