/* socket_send.c - frames on their way out: compressed where that was agreed on, masked by clients, queued. */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "web/deflate.h"
#include "web/socket.h"

/* Masks must not be predictable (RFC 6455 10.3); many at a time cost less than each by itself. */
static bool mask_new(uint8_t mask[4])
{
    static _Thread_local uint8_t pool[512];
    static _Thread_local size_t left;
    if (left == 0) {
        if (RAND_bytes(pool, sizeof pool) != 1) return false;
        left = sizeof pool;
    }
    left -= 4;
    memcpy(mask, pool + left, 4);
    return true;
}

/* Queues one frame, all or nothing: half a frame would break the connection. */
static int put_frame(struct wr_socket *s, struct ws_frame *frame, const struct wr_bytes *parts, size_t count)
{
    struct stream *stream = &s->conn->stream;
    uint8_t head[WS_FRAME_HEAD_MAX];
    frame->masked = socket_masks(s);
    if (frame->masked && !mask_new(frame->mask)) return WR_SYSTEM;
    size_t head_len = ws_frame_write(frame, head);
    uint8_t *room = stream_room(stream, head_len + (size_t)frame->len);
    if (!room) return stream->closing || stream->finish ? WR_CLOSED : WR_MEMORY;
    memcpy(room, head, head_len);
    uint8_t *at = room + head_len;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len) memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    if (frame->masked) ws_mask(room + head_len, (size_t)frame->len, frame->mask, 0);
    stream_flush_large(stream);
    return WR_OK;
}

int socket_put_control(struct wr_socket *s, enum ws_opcode opcode, slice payload)
{
    struct ws_frame frame = {.fin = true, .opcode = (uint8_t)opcode, .len = payload.len};
    return put_frame(s, &frame, &(struct wr_bytes){payload.ptr, payload.len}, 1);
}

/* A message was queued: the bytes in the queue; asks for drain when they are many. */
static int64_t queued_after(struct wr_socket *s)
{
    counts_add(&s->conn->worker->counts.messages_sent, 1);
    size_t queued = stream_queued(&s->conn->stream);
    if (queued >= socket_handlers(s)->queue_bytes_high) s->wants_drain = true;
    return (int64_t)queued;
}

static bool parts_are_text(const struct wr_bytes *parts, size_t count)
{
    struct utf8_pieces text = {0};
    for (size_t i = 0; i < count; i++) {
        if (!utf8_pieces_take(&text, slice_of(parts[i].ptr, parts[i].len))) return false;
    }
    return utf8_pieces_whole(&text);
}

static bool has_room(const struct wr_socket *s, size_t bytes)
{
    size_t max = socket_handlers(s)->queue_bytes_max, queued = stream_queued(&s->conn->stream);
    return bytes <= max && queued <= max - bytes;
}

/* False when it is to be sent as it is. */
static bool compress(struct wr_socket *s, const struct wr_bytes *parts, size_t count, size_t total,
                     struct wr_bytes *out)
{
    slice packed;
    if (s->window_bits == 0 || total < socket_handlers(s)->compress_bytes_min) return false;
    if (deflater_pack(s->conn->worker->deflater, parts, count, total, s->window_bits, &packed) < 0)
        return false;
    *out = (struct wr_bytes){packed.ptr, packed.len};
    return true;
}

int64_t wr_socket_send_parts(struct wr_socket *s, enum wr_message kind, const struct wr_bytes *parts,
                             size_t count)
{
    size_t total = 0;
    if (s->closing) return WR_CLOSED;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > SIZE_MAX / 2 - total) return WR_FULL;
        total += parts[i].len;
    }
    if (!has_room(s, 0)) return WR_FULL; /* sooner than compressing in vain */
    if (kind == WR_TEXT && !parts_are_text(parts, count)) return WR_INVALID;
    struct ws_frame frame = {.fin = true, .opcode = kind == WR_TEXT ? WS_TEXT : WS_BINARY, .len = total};
    struct wr_bytes packed;
    int rc;
    if (compress(s, parts, count, total, &packed)) {
        frame.rsv1 = true;
        frame.len = packed.len;
        rc = has_room(s, packed.len) ? put_frame(s, &frame, &packed, 1) : WR_FULL;
        deflater_pack_done(s->conn->worker->deflater);
    } else {
        rc = has_room(s, total) ? put_frame(s, &frame, parts, count) : WR_FULL;
    }
    return rc < 0 ? rc : queued_after(s);
}

int64_t socket_send_shared(struct wr_socket *s, struct shared_bytes *owner, slice frame)
{
    if (s->closing) return WR_CLOSED;
    if (!has_room(s, frame.len)) return WR_FULL;
    return stream_put_part(&s->conn->stream, owner, frame) < 0 ? WR_MEMORY : queued_after(s);
}

int64_t wr_socket_send(struct wr_socket *s, enum wr_message kind, const void *bytes, size_t len)
{
    return wr_socket_send_parts(s, kind, &(struct wr_bytes){bytes, len}, 1);
}

int64_t wr_socket_send_json(struct wr_socket *s, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text) return json ? WR_MEMORY : WR_INVALID;
    int64_t rc = wr_socket_send(s, WR_TEXT, text, strlen(text));
    free(text);
    return rc;
}
