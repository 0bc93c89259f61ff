#include "net/stream.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listener.h"
#include "net/send.h"
#include "net/tls.h"

_Static_assert((int)LOOP_HEADROOM_BYTES >= (int)TLS_HEADROOM_BYTES, "room to decrypt in place");

/* --- reading --- */

static unsigned read_bytes(const struct stream *s)
{
    return s->read_kib ? s->read_kib * 1024U : LOOP_READ_BYTES;
}

void stream_read_limit(struct stream *s, size_t bytes)
{
    s->read_kib = bytes < LOOP_READ_BYTES ? (uint16_t)((bytes + 1023) / 1024) : 0;
}

/* The read buffer is to be used again. */
static void repay_all(struct net_loop *loop)
{
    if (loop->borrower) stream_repay(loop->borrower);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct stream *s = handle->data;
    if (s->splice && splice_takes_input(s)) {
        *out = uv_buf_init(NULL, 0);
        return;
    }
    repay_all(stream_loop(s));
    assert(!stream_loop(s)->reading);
    stream_loop(s)->reading = true;
    *out = uv_buf_init((char *)stream_loop(s)->read_buffer + LOOP_HEADROOM_BYTES, read_bytes(s));
}

void stream_fail(struct stream *s, int uv_error)
{
    splice_end(s);
    if (s->tls) {
        s->tls->failed = true;
        if (!s->tls->opened) stream_loop(s)->handshakes.failed++;
        stream_send_last(s); /* the alert that says why */
    }
    s->events->failed(s, uv_error);
}

/* The handshake is done. */
static void secure_opened(struct stream *s)
{
    stream_loop(s)->handshakes.done++;
    if (SSL_session_reused(s->tls->ssl)) stream_loop(s)->handshakes.resumed++;
    stream_mark(s);
    if (s->events->opened) s->events->opened(s);
}

static void deliver(struct stream *s, uint8_t *bytes, size_t len)
{
    while (s->splice && len > 0 && !s->closing) {
        size_t n = splice_pass_on(s, slice_of(bytes, len));
        bytes += n;
        len -= n;
    }
    if (len > 0 && !s->closing) s->events->received(s, bytes, len);
}

static void tell_end(struct stream *s)
{
    s->tls->end_waits = !s->reading;
    if (!s->reading) return;
    stream_read(s, false);
    s->events->ended(s);
}

static void take_ciphertext(struct stream *s, slice cipher)
{
    struct tls *t = s->tls;
    uint8_t *plain = stream_loop(s)->read_buffer;
    bool was_opened = t->opened;
    size_t len;
    int rc = tls_open(t, plain, cipher, &len);
    if (t->wire.bytes > 0) stream_mark(s);
    if (!was_opened && t->opened) secure_opened(s);
    deliver(s, plain, len);
    if (s->closing) return;
    if (rc < 0)
        stream_fail(s, UV_EPROTO);
    else if (t->ended)
        tell_end(s);
}

/* TCP ends. TLS that has not said so before was cut off, by accident or by somebody in between; but where
 * nothing was said, nothing is missing. */
void stream_take_end(struct stream *s)
{
    splice_end(s);
    stream_read(s, false);
    if (!s->tls || !s->tls->ssl) {
        s->events->ended(s);
        return;
    }
    s->tls->reason = s->tls->opened ? "the connection ended without a TLS close"
                                    : "the connection ended within the TLS handshake";
    stream_fail(s, UV_EOF);
}

static void take_input(struct stream *s, uint8_t *bytes, size_t len)
{
    if (s->tls)
        take_ciphertext(s, slice_of(bytes, len));
    else
        deliver(s, bytes, len);
}

static void on_read(uv_stream_t *handle, ssize_t got, const uv_buf_t *buf)
{
    struct stream *s = handle->data;
    if (got == UV_ENOBUFS && s->splice) {
        splice_input(s);
        return;
    }
    if (got > 0 && !s->closing) take_input(s, (uint8_t *)buf->base, (size_t)got);
    stream_loop(s)->reading = false;
    if (s->closing || got >= 0) return;
    if (got == UV_EOF)
        stream_take_end(s);
    else
        stream_fail(s, (int)got);
}

/* The first bytes of a connection that the kernel kept back until they came. So a short one is answered and
 * closed before the system was asked to watch it. What is not there, or wrong, is libuv's to tell. */
static void read_first(struct stream *s)
{
    uv_os_fd_t fd;
    uint8_t *room = stream_loop(s)->read_buffer + LOOP_HEADROOM_BYTES;
    if (!s->reading || s->splice || uv_fileno((uv_handle_t *)&s->tcp, &fd) < 0) return;
    repay_all(stream_loop(s));
    assert(!stream_loop(s)->reading);
    stream_loop(s)->reading = true;
    ssize_t got = recv(fd, room, read_bytes(s), MSG_DONTWAIT);
    if (got > 0) take_input(s, room, (size_t)got);
    stream_loop(s)->reading = false;
}

void stream_read(struct stream *s, bool on)
{
    if (s->closing || s->reading == on) return;
    s->reading = on;
    if (s->tls && s->tls->ended && s->tls->end_waits) stream_mark(s);
    stream_read_as_wanted(s);
}

void stream_watch(struct stream *s)
{
    uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
}

void stream_read_as_wanted(struct stream *s)
{
    if (s->connecting || s->closing) return;
    if (!s->reading || splice_waits(s))
        uv_read_stop((uv_stream_t *)&s->tcp);
    else if (!s->tls || !s->tls->ended)
        stream_watch(s);
}

/* --- life --- */

static void on_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    tls_free(s->tls);
    s->tls = NULL;
    s->events->closed(s);
}

static void init(struct stream *s, struct net_loop *loop, const struct stream_events *events)
{
    *s = (struct stream){.events = events};
    list_init(&s->dirty_node);
    int rc = uv_tcp_init(&loop->uv, &s->tcp);
    assert(rc == 0); /* fails only when it makes a socket */
    (void)rc;
    s->tcp.data = s;
}

int stream_accept(struct stream *s, struct net_loop *loop, struct listener *listener,
                  const struct stream_events *events)
{
    init(s, loop, events);
    int fd = listener_take(listener);
    int rc = uv_tcp_open(&s->tcp, fd);
    if (rc < 0) close(fd);
    if (rc == 0 && listener->secure) {
        if (stream_scratch(loop) == OK) s->tls = tls_new_server(listener->secure, &loop->chunks);
        if (!s->tls) rc = UV_ENOMEM;
    }
    if (rc == 0) {
        stream_read(s, true);
        s->first = listener->deferred;
        if (s->first) stream_mark(s);
    } else {
        stream_close(s);
    }
    return rc;
}

int stream_connect(struct stream *s, struct net_loop *loop, const struct stream_target *target,
                   const struct stream_events *events)
{
    size_t len = strlen(target->host);
    if (len == 0 || len > TLS_CLIENT_HOST_MAX) return ERR_INVALID;
    struct connector *connector = connector_new(target);
    struct tls *tls = NULL;
    if (target->tls && stream_scratch(loop) == OK)
        tls = tls_new_client(target->tls, target->host, target->port, &loop->chunks);
    if (!connector || (target->tls && !tls)) {
        connector_free(connector);
        tls_free(tls);
        return ERR_MEMORY;
    }
    init(s, loop, events);
    s->tls = tls;
    s->connecting = s->reading = true;
    connector_begin(connector, s);
    return OK;
}

void stream_connected(struct stream *s, int fd)
{
    s->connecting = false;
    s->write = NULL;
    int rc = fd < 0 ? 0 : uv_tcp_open(&s->tcp, fd);
    if (rc < 0) {
        close(fd);
        s->events->failed(s, rc);
        return;
    }
    uv_tcp_nodelay(&s->tcp, 1);
    stream_read_as_wanted(s);
    stream_mark(s);
    if (!s->tls && s->events->opened) s->events->opened(s);
}

void stream_not_connected(struct stream *s, int uv_error)
{
    s->connecting = false;
    s->write = NULL;
    s->error = uv_error; /* nothing is sent any more */
    s->events->failed(s, uv_error);
}

bool stream_opening(const struct stream *s)
{
    return s->connecting || (s->tls && !s->tls->opened);
}

bool stream_was_reset(const struct stream *stream)
{
    struct pollfd look = {.events = POLLRDHUP};
    if (uv_fileno((const uv_handle_t *)&stream->tcp, &look.fd) < 0) return false;
    return poll(&look, 1, 0) > 0 && look.revents & (POLLERR | POLLHUP);
}

const char *stream_failure(const struct stream *s, int uv_error)
{
    if (s->tls && s->tls->reason) return s->tls->reason;
    switch (uv_error) { /* what libuv says of these does not tell that it is about a name */
    case UV_EAI_AGAIN: return "the name cannot be looked up at the moment";
    case UV_EAI_NODATA:
    case UV_EAI_NONAME: return "there is no such name";
    default: return uv_strerror(uv_error);
    }
}

slice stream_protocol(const struct stream *s)
{
    return s->tls ? tls_protocol(s->tls) : SLICE_EMPTY;
}

void stream_wake(struct stream *s)
{
    s->wake = true;
    stream_mark(s);
}

void stream_settle(struct stream *s)
{
    struct net_loop *loop = stream_loop(s);
    if (s->closing || list_empty(&s->dirty_node)) return;
    list_remove(&s->dirty_node);
    list_append(&loop->settled, &s->dirty_node);
    net_loop_settled(loop);
}

void stream_finish(struct stream *s)
{
    s->finish = true;
    stream_mark(s);
}

void stream_last(struct stream *s)
{
    s->last = true;
    stream_mark(s);
}

void stream_close(struct stream *s)
{
    if (s->closing) return;
    if (s->connecting) {
        connector_cancel(s->connector);
        s->connecting = false;
        s->write = NULL;
    } else if (s->tls && stream_is_sent(s) && !s->error) {
        /* Only when everything was said: else the other side must see that something is missing. */
        tls_shut(s->tls, NULL);
        stream_send_last(s);
    }
    s->closing = true;
    splice_drop(s);
    list_remove(&s->dirty_node);
    if (stream_loop(s)->borrower == s) stream_loop(s)->borrower = NULL;
    chunk_consume(&stream_loop(s)->chunks, &s->out, s->out.bytes);
    uv_close((uv_handle_t *)&s->tcp, on_closed);
}

/* --- queueing --- */

bool stream_takes_bytes(const struct stream *s)
{
    return !s->closing && !s->finish && !s->last;
}

void stream_count(struct stream *s, size_t len)
{
    s->put += len;
    stream_mark(s);
}

void stream_flush_large(struct stream *s)
{
    if (!s->closing && s->out.bytes >= STREAM_FLUSH_BYTES) stream_send(s);
}

int stream_put(struct stream *s, slice bytes)
{
    if (!stream_takes_bytes(s)) return OK;
    int rc = chunk_put(&stream_loop(s)->chunks, &s->out, bytes);
    if (rc < 0) return rc;
    stream_count(s, bytes.len);
    stream_flush_large(s);
    return OK;
}

static bool in_read_buffer(const struct net_loop *loop, slice bytes)
{
    uintptr_t at = (uintptr_t)bytes.ptr, start = (uintptr_t)loop->read_buffer;
    return at >= start && at - start < sizeof loop->read_buffer;
}

int stream_lend(struct stream *s, slice bytes)
{
    struct net_loop *loop = stream_loop(s);
    if (bytes.len < STREAM_LEND_MIN || s->connecting || s->write || !in_read_buffer(loop, bytes))
        return stream_put(s, bytes);
    if (!stream_takes_bytes(s)) return OK;
    if (loop->borrower != s) repay_all(loop);
    int rc = chunk_lend(&loop->chunks, &s->out, bytes);
    if (rc < 0) return rc;
    loop->borrower = s;
    stream_count(s, bytes.len);
    return OK;
}

void stream_repay(struct stream *s)
{
    struct net_loop *loop = stream_loop(s);
    if (loop->borrower != s) return;
    loop->borrower = NULL;
    stream_send(s);
    if (chunk_keep(&loop->chunks, &s->out) < 0 && !s->error) s->error = UV_ENOMEM;
}

int stream_put_now(struct stream *s, slice bytes)
{
    if (bytes.len == 0 || !stream_takes_bytes(s)) return OK;
    size_t sent = stream_send_past(s, bytes);
    if (sent == bytes.len) return OK;
    int rc = stream_lend(s, slice_sub(bytes, sent, bytes.len));
    stream_repay(s);
    return rc;
}

int stream_put_static(struct stream *s, slice bytes)
{
    if (!stream_takes_bytes(s)) return OK;
    int rc = chunk_put_static(&stream_loop(s)->chunks, &s->out, bytes);
    if (rc < 0) return rc;
    stream_count(s, bytes.len);
    stream_flush_large(s);
    return OK;
}

int stream_put_part(struct stream *s, struct shared_bytes *owner, slice part)
{
    if (!stream_takes_bytes(s)) return OK;
    int rc = chunk_put_part(&stream_loop(s)->chunks, &s->out, owner, part);
    if (rc < 0) return rc;
    stream_count(s, part.len);
    stream_flush_large(s);
    return OK;
}

int stream_put_shared(struct stream *s, struct shared_bytes *bytes)
{
    return stream_put_part(s, bytes, shared_slice(bytes));
}

int stream_put_file(struct stream *s, struct shared_file *file, uint64_t offset, size_t len)
{
    if (!stream_takes_bytes(s)) return OK;
    int rc = chunk_put_file(&stream_loop(s)->chunks, &s->out, file, offset, len);
    if (rc < 0) return rc;
    stream_count(s, len);
    return OK;
}

uint8_t *stream_room(struct stream *s, size_t len)
{
    if (!stream_takes_bytes(s)) return NULL;
    uint8_t *room = chunk_room(&stream_loop(s)->chunks, &s->out, len);
    if (room) stream_count(s, len);
    return room;
}

void stream_trim(struct stream *s, size_t unused)
{
    chunk_trim(&s->out, unused);
    s->put -= unused;
}

/* Handed on, but not taken by the kernel; with TLS this is ciphertext. */
static size_t under_way(const struct stream *s)
{
    size_t bytes = s->connecting ? 0 : uv_stream_get_write_queue_size((const uv_stream_t *)&s->tcp);
    return s->tls ? bytes + s->tls->wire.bytes : bytes;
}

size_t stream_queued(const struct stream *s)
{
    return s->out.bytes + under_way(s);
}

uint64_t stream_sent(const struct stream *s)
{
    size_t waiting = under_way(s);
    if (s->tls && waiting > s->tls->under_way) waiting = s->tls->under_way;
    return s->put - s->out.bytes - waiting;
}

/* --- the end of a turn --- */

/* Everything is sent: says so to TLS, then to TCP. */
static void finish_now(struct stream *s)
{
    if (s->tls) {
        tls_shut(s->tls, NULL);
        stream_send(s);
        if (!stream_is_sent(s)) return; /* when it is written this comes again */
    }
    s->finished = true;
    uv_os_fd_t fd; /* nothing waits in libuv, and without memory the other side must hear of it, too */
    if (uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0) (void)!shutdown(fd, SHUT_WR);
}

void stream_turn(struct stream *s)
{
    if (s->first) {
        s->first = false;
        read_first(s);
        if (s->closing) return;
    }
    if (s->wake) {
        s->wake = false;
        s->events->woken(s);
        if (s->closing) return;
    }
    if (s->tls && s->tls->end_waits && s->reading) {
        tell_end(s);
        if (s->closing) return;
    }
    stream_repay(s);
    stream_send(s);
    splice_resume(s);
    if (s->error) {
        s->events->failed(s, s->error);
        return;
    }
    s->events->flushed(s); /* who closes now needs no half-close before it */
    if (s->finish && !s->finished && !s->closing && stream_is_sent(s)) finish_now(s);
}
