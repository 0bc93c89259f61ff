#include "http/ws_reader.h"

#include <string.h>

#include "base/utf8.h"

void ws_reader_init(struct ws_reader *r, const struct allocator *allocator, size_t message_bytes_max,
                    bool expects_mask)
{
    *r = (struct ws_reader){.expects_mask = expects_mask};
    buffer_init(&r->message, allocator, message_bytes_max);
}

void ws_reader_allow_compressed(struct ws_reader *r)
{
    r->allows_compressed = true;
}

static void forget_control(struct ws_reader *r)
{
    alloc_free(r->message.allocator, r->control, WS_CONTROL_BYTES_MAX);
    r->control = NULL;
}

void ws_reader_deinit(struct ws_reader *r)
{
    buffer_reset(&r->message);
    forget_control(r);
}

static bool is_control(const struct ws_frame *f)
{
    return f->opcode >= WS_CLOSE;
}

/* What a frame may be depends on the message under way. */
static int frame_begin(struct ws_reader *r)
{
    const struct ws_frame *f = &r->frame;
    if (f->masked != r->expects_mask || (f->rsv1 && !r->allows_compressed)) return ERR_PROTOCOL;
    if (is_control(f)) return OK;
    bool continues = f->opcode == WS_CONTINUATION;
    if (continues != (r->kind != 0)) return ERR_PROTOCOL;
    if (f->len > r->message.max - r->message.len) return ERR_TOO_LARGE;
    if (continues) return OK;
    r->kind = f->opcode;
    r->compressed = f->rsv1;
    return OK;
}

static void consume(uint8_t **bytes, size_t *len, size_t n)
{
    *bytes += n;
    *len -= n;
}

/* Reads the head of the next frame, which may have come in pieces. */
static int head_read(struct ws_reader *r, uint8_t **bytes, size_t *len)
{
    if (*len == 0) return ERR_AGAIN;
    if (r->head_len == 0) {
        int rc = ws_frame_parse(slice_of(*bytes, *len), &r->frame);
        if (rc == OK) {
            consume(bytes, len, r->frame.head_len);
            return frame_begin(r);
        }
        if (rc != ERR_AGAIN) return rc;
    }
    while (*len > 0) {
        r->head[r->head_len++] = **bytes;
        consume(bytes, len, 1);
        int rc = ws_frame_parse(slice_of(r->head, r->head_len), &r->frame);
        if (rc == ERR_AGAIN) continue;
        r->head_len = 0;
        return rc < 0 ? rc : frame_begin(r);
    }
    return ERR_AGAIN;
}

static int close_event(slice payload, struct ws_event *out)
{
    *out = (struct ws_event){.opcode = WS_CLOSE, .close_code = 1005};
    if (payload.len == 0) return OK;
    if (payload.len == 1) return ERR_PROTOCOL;
    out->close_code = (unsigned)(payload.ptr[0] << 8 | payload.ptr[1]);
    if (!ws_close_code_valid(out->close_code)) return ERR_PROTOCOL;
    out->payload = slice_sub(payload, 2, payload.len);
    return utf8_valid(out->payload) ? OK : ERR_MALFORMED;
}

/* The payload of a frame is complete. 1 when it ends no message. */
static int frame_end(struct ws_reader *r, slice payload, struct ws_event *out)
{
    r->in_frame = false;
    r->given = true;
    if (r->frame.opcode == WS_CLOSE) return close_event(payload, out);
    if (is_control(&r->frame)) {
        *out = (struct ws_event){.opcode = (enum ws_opcode)r->frame.opcode, .payload = payload};
        return OK;
    }
    r->given = false;
    if (!r->frame.fin) return 1;
    r->given = true;
    *out =
        (struct ws_event){.opcode = (enum ws_opcode)r->kind, .payload = payload, .compressed = r->compressed};
    r->kind = 0;
    return out->opcode == WS_TEXT && !out->compressed && !utf8_valid(payload) ? ERR_MALFORMED : OK;
}

/* Keeps a part of a payload; `before` bytes of it were kept already. */
static int gather(struct ws_reader *r, uint64_t before, slice part)
{
    if (is_control(&r->frame)) {
        if (!r->control) r->control = alloc_new(r->message.allocator, WS_CONTROL_BYTES_MAX);
        if (!r->control) return ERR_MEMORY;
        if (part.len) memcpy(r->control + before, part.ptr, part.len);
        return OK;
    }
    if (buffer_reserve(&r->message, part.len) < 0) return ERR_MEMORY;
    buffer_put(&r->message, part);
    return OK;
}

/* Unmasks what is here of the payload; gathers it unless the whole message is here. */
static int payload_read(struct ws_reader *r, uint8_t **bytes, size_t *len, struct ws_event *out)
{
    const struct ws_frame *f = &r->frame;
    uint64_t before = r->taken;
    size_t take = *len < f->len - before ? *len : (size_t)(f->len - before);
    slice part = slice_of(*bytes, take);
    if (f->masked) ws_mask(*bytes, take, f->mask, before);
    consume(bytes, len, take);
    r->taken += take;
    bool whole = before == 0 && take == f->len;
    bool alone = is_control(f) || (f->fin && r->message.len == 0);
    if (whole && alone) return frame_end(r, part, out);
    int rc = gather(r, before, part);
    if (rc < 0) return rc;
    if (r->taken < f->len) return ERR_AGAIN;
    return frame_end(r, is_control(f) ? slice_of(r->control, (size_t)f->len) : buffer_slice(&r->message),
                     out);
}

int ws_reader_next(struct ws_reader *r, uint8_t **bytes, size_t *len, struct ws_event *out)
{
    if (r->given) {
        if (r->kind == 0) buffer_reset(&r->message);
        forget_control(r);
        r->given = false;
    }
    for (;;) {
        if (!r->in_frame) {
            int rc = head_read(r, bytes, len);
            if (rc < 0) return rc;
            r->in_frame = true;
            r->taken = 0;
        }
        int rc = payload_read(r, bytes, len, out);
        if (rc <= 0) return rc;
    }
}
