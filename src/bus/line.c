/* One socket to another process: frames in, frames out. */
#include "bus/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEAD_BYTES = 5, READ_BYTES = 64 * 1024, KEPT_BYTES = 256 * 1024 };

struct line *line_new(struct bus *bus, bool initiator)
{
    struct line *line = calloc(1, sizeof *line);
    if (!line) return NULL;
    line->bus = bus;
    line->initiator = initiator;
    buffer_init(&line->in, &allocator_libc, HEAD_BYTES + BUS_MESSAGE_BYTES_MAX + READ_BYTES);
    buffer_init(&line->pending, &allocator_libc, BUS_QUEUE_BYTES_MAX);
    buffer_init(&line->writing, &allocator_libc, BUS_QUEUE_BYTES_MAX);
    uv_pipe_init(bus->options.loop, &line->pipe, 0);
    line->pipe.data = line;
    line->next = bus->lines;
    bus->lines = line;
    bus->handles++;
    return line;
}

static void closed(uv_handle_t *handle)
{
    struct line *line = handle->data;
    struct bus *bus = line->bus;
    struct line **link = &bus->lines;
    while (*link != line)
        link = &(*link)->next;
    *link = line->next;
    line_closed(line);
    buffer_reset(&line->in);
    buffer_reset(&line->pending);
    buffer_reset(&line->writing);
    free(line);
    bus_release(bus);
}

void line_close(struct line *line, const char *form, ...)
{
    if (line->phase == LINE_CLOSING) return;
    va_list arguments;
    va_start(arguments, form);
    vsnprintf(line->why, sizeof line->why, form, arguments);
    va_end(arguments);
    line->was_joined = line->phase == LINE_JOINED;
    line->phase = LINE_CLOSING;
    uv_close((uv_handle_t *)&line->pipe, closed);
}

/* --- out --- */

static void written(uv_write_t *write, int status)
{
    struct line *line = write->handle->data;
    buffer_consume(&line->writing, line->writing.len);
    if (line->phase == LINE_CLOSING) return;
    if (status < 0) {
        line_close(line, "%s", uv_strerror(status));
        return;
    }
    if (line->writing.cap > KEPT_BYTES) buffer_reset(&line->writing);
    line_flush(line);
    const struct bus_handlers *handlers = &line->bus->options.handlers;
    if (!line->above_high || line_queued(line) >= BUS_QUEUE_BYTES_LOW) return;
    line->above_high = false;
    if (line->phase == LINE_JOINED && !line->bus->closing) handlers->drained(handlers->context, line->number);
}

void line_flush(struct line *line)
{
    if (line->writing.len || !line->pending.len || line->phase == LINE_CLOSING ||
        line->phase == LINE_CONNECTING)
        return;
    struct buffer empty = line->writing;
    line->writing = line->pending;
    line->pending = empty;
    uv_buf_t out = uv_buf_init((char *)line->writing.ptr, (unsigned)line->writing.len);
    int status = uv_write(&line->write, (uv_stream_t *)&line->pipe, &out, 1, written);
    if (status) {
        buffer_consume(&line->writing, line->writing.len);
        line_close(line, "%s", uv_strerror(status));
    }
}

/* At the end: as much as the system takes now. */
void line_write_rest(struct line *line)
{
    if (line->phase != LINE_JOINED || line->writing.len || !line->pending.len) return;
    uv_buf_t out = uv_buf_init((char *)line->pending.ptr, (unsigned)line->pending.len);
    (void)uv_try_write((uv_stream_t *)&line->pipe, &out, 1);
}

int line_put(struct line *line, enum frame_kind kind, slice head, slice body)
{
    if (line->phase == LINE_CLOSING) return ERR_NOT_FOUND;
    size_t len = head.len + body.len;
    if (len > BUS_MESSAGE_BYTES_MAX) return ERR_TOO_LARGE;
    if (line_queued(line) + HEAD_BYTES + len > BUS_QUEUE_BYTES_MAX) return ERR_FULL;
    if (buffer_reserve(&line->pending, HEAD_BYTES + len)) {
        line_close(line, "there is not enough memory");
        return ERR_MEMORY;
    }
    uint8_t first[HEAD_BYTES] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                 (uint8_t)len, (uint8_t)kind};
    buffer_put(&line->pending, slice_of(first, sizeof first));
    buffer_put(&line->pending, head);
    buffer_put(&line->pending, body);
    line->idle_s = 0;
    if (line_queued(line) >= BUS_QUEUE_BYTES_HIGH) line->above_high = true;
    bus_wants_flush(line->bus);
    return OK;
}

/* --- in --- */

static void give_room(uv_handle_t *handle, size_t wanted, uv_buf_t *out)
{
    (void)wanted;
    struct line *line = handle->data;
    if (buffer_reserve(&line->in, READ_BYTES))
        *out = uv_buf_init(NULL, 0); /* libuv reports UV_ENOBUFS to was_read */
    else
        *out = uv_buf_init((char *)line->in.ptr + line->in.len, READ_BYTES);
}

static void take_frame(struct line *line, enum frame_kind kind, slice bytes)
{
    const struct bus_handlers *handlers = &line->bus->options.handlers;
    if (kind != FRAME_MESSAGE)
        line_frame(line, kind, bytes);
    else if (line->phase != LINE_JOINED)
        line_close(line, "it did not say hello first");
    else
        handlers->message(handlers->context, line->number, bytes);
}

static void take_frames(struct line *line)
{
    size_t at = 0;
    while (line->phase != LINE_CLOSING && !line->held && line->in.len - at >= HEAD_BYTES) {
        const uint8_t *p = line->in.ptr + at;
        size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (len > BUS_MESSAGE_BYTES_MAX) {
            line_close(line, "it sent something that is not in the agreed form");
            return;
        }
        if (line->in.len - at - HEAD_BYTES < len) break;
        take_frame(line, p[4], slice_of(p + HEAD_BYTES, len));
        at += HEAD_BYTES + len;
    }
    buffer_consume(&line->in, at);
}

static void was_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *room)
{
    (void)room;
    struct line *line = stream->data;
    if (line->phase == LINE_CLOSING) return;
    if (count < 0) {
        line_close(line, "%s", count == UV_EOF ? "it has ended" : uv_strerror((int)count));
        return;
    }
    line->silent_s = 0;
    line->in.len += (size_t)count;
    take_frames(line);
}

static void start_reading(struct line *line)
{
    int status = uv_read_start((uv_stream_t *)&line->pipe, give_room, was_read);
    if (status) line_close(line, "%s", uv_strerror(status));
}

void line_start(struct line *line)
{
    line->phase = LINE_GREETING;
    start_reading(line);
}

void line_resume(struct line *line)
{
    line->held = false;
    take_frames(line);
    if (line->phase != LINE_CLOSING) start_reading(line);
}
