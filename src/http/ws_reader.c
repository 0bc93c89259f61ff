#include "http/ws_reader.h"

#include <string.h>

#include "base/buffer.h"
#include "base/utf8.h"

struct ws_partial {
    struct buffer message; /* what came of the message under way */
    struct ws_frame frame; /* the one under way, when in_frame */
    uint64_t taken;        /* of its payload */
    uint8_t head[WS_FRAME_HEAD_MAX];
    uint8_t head_len; /* bytes of a head that did not arrive at once */
    uint8_t kind;     /* WS_TEXT or WS_BINARY while a message is under way, else 0 */
    bool in_frame;
    bool compressed; /* the message under way is */
    struct utf8_pieces text;
    uint8_t control[WS_CONTROL_BYTES_MAX]; /* of a control frame that did not arrive at once */
};

void ws_reader_init(struct ws_reader *r, const struct allocator *allocator, size_t message_bytes_max,
                    bool expects_mask)
{
    if (message_bytes_max > UINT32_MAX) message_bytes_max = UINT32_MAX;
    *r = (struct ws_reader){.allocator = allocator,
                            .message_bytes_max = (uint32_t)message_bytes_max,
                            .expects_mask = expects_mask};
}

void ws_reader_allow_compressed(struct ws_reader *r)
{
    r->allows_compressed = true;
}

void ws_reader_deinit(struct ws_reader *r)
{
    if (r->partial) buffer_reset(&r->partial->message);
    alloc_free(r->allocator, r->partial, sizeof *r->partial);
    r->partial = NULL;
}

static bool is_control(const struct ws_frame *f)
{
    return f->opcode >= WS_CLOSE;
}

static void consume(uint8_t **bytes, size_t *len, size_t n)
{
    *bytes += n;
    *len -= n;
}

/* Compressing random bytes makes them longer: by an eighth at worst, when each is a literal of 9 bits (zlib's
 * deflateBound says so too). */
static size_t limit(const struct ws_reader *r, bool compressed)
{
    size_t max = r->message_bytes_max;
    return compressed ? max + max / 7 + 64 : max;
}

/* What a frame may be depends on the message under way: its kind, or 0, and how much of it came before. */
static int frame_check(const struct ws_reader *r, const struct ws_frame *f, uint8_t kind, bool compressed,
                       size_t before)
{
    if (f->masked != r->expects_mask || (f->rsv1 && !r->allows_compressed)) return ERR_PROTOCOL;
    if (is_control(f)) return OK;
    if ((f->opcode == WS_CONTINUATION) != (kind != 0)) return ERR_PROTOCOL;
    return f->len > limit(r, compressed) - before ? ERR_TOO_LARGE : OK;
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

/* A control frame, whole. */
static int control_event(const struct ws_frame *f, slice payload, struct ws_event *out)
{
    if (f->opcode == WS_CLOSE) return close_event(payload, out);
    *out = (struct ws_event){.opcode = (enum ws_opcode)f->opcode, .payload = payload};
    return OK;
}

/* --- in place: a frame that is whole and stands alone, with nothing under way --- */

/* OK, ERR_AGAIN when the frame at the start of the input is not of this kind, or what is wrong with it. */
static int alone_read(const struct ws_reader *r, uint8_t **bytes, size_t *len, struct ws_event *out)
{
    struct ws_frame f;
    int rc = ws_frame_parse(slice_of(*bytes, *len), &f);
    if (rc == OK) rc = frame_check(r, &f, 0, f.rsv1, 0);
    if (rc < 0) return rc;
    if (f.len > *len - f.head_len || !f.fin) return ERR_AGAIN;
    consume(bytes, len, f.head_len);
    if (f.masked) ws_mask(*bytes, (size_t)f.len, f.mask, 0);
    slice payload = slice_of(*bytes, (size_t)f.len);
    consume(bytes, len, payload.len);
    if (is_control(&f)) return control_event(&f, payload, out);
    *out = (struct ws_event){.opcode = (enum ws_opcode)f.opcode, .payload = payload, .compressed = f.rsv1};
    return f.opcode == WS_TEXT && !f.rsv1 && !utf8_valid(payload) ? ERR_MALFORMED : OK;
}

/* --- in pieces --- */

static int partial_new(struct ws_reader *r)
{
    r->partial = alloc_new(r->allocator, sizeof *r->partial);
    if (!r->partial) return ERR_MEMORY;
    buffer_init(&r->partial->message, r->allocator, limit(r, true));
    return OK;
}

/* The head of a frame is complete. */
static int frame_begin(struct ws_reader *r, struct ws_partial *p)
{
    const struct ws_frame *f = &p->frame;
    bool begins = p->kind == 0 && !is_control(f);
    int rc = frame_check(r, f, p->kind, begins ? f->rsv1 : p->compressed, p->message.len);
    if (rc < 0) return rc;
    p->in_frame = true;
    p->taken = 0;
    if (!begins) return OK;
    p->kind = f->opcode;
    p->compressed = f->rsv1;
    p->text = (struct utf8_pieces){0};
    return OK;
}

/* Reads the head of the next frame, byte by byte. */
static int head_read(struct ws_reader *r, struct ws_partial *p, uint8_t **bytes, size_t *len)
{
    while (*len > 0) {
        p->head[p->head_len++] = **bytes;
        consume(bytes, len, 1);
        int rc = ws_frame_parse(slice_of(p->head, p->head_len), &p->frame);
        if (rc == ERR_AGAIN) continue;
        p->head_len = 0;
        return rc < 0 ? rc : frame_begin(r, p);
    }
    return ERR_AGAIN;
}

/* Keeps a part of a payload; `before` bytes of it were kept already. */
static int gather(struct ws_partial *p, uint64_t before, slice part)
{
    if (is_control(&p->frame)) {
        if (part.len) memcpy(p->control + before, part.ptr, part.len);
        return OK;
    }
    if (p->kind == WS_TEXT && !p->compressed && !utf8_pieces_take(&p->text, part)) return ERR_MALFORMED;
    buffer_put(&p->message, part);
    return p->message.failed ? ERR_MEMORY : OK;
}

/* Unmasks and keeps what is here of the payload. OK when the frame is complete. */
static int payload_read(struct ws_partial *p, uint8_t **bytes, size_t *len)
{
    const struct ws_frame *f = &p->frame;
    uint64_t before = p->taken;
    size_t take = *len < f->len - before ? *len : (size_t)(f->len - before);
    slice part = slice_of(*bytes, take);
    if (f->masked) ws_mask(*bytes, take, f->mask, before);
    consume(bytes, len, take);
    p->taken += take;
    int rc = gather(p, before, part);
    if (rc < 0) return rc;
    return p->taken < f->len ? ERR_AGAIN : OK;
}

/* One frame is complete. ERR_AGAIN when it ends no message. */
static int frame_end(struct ws_partial *p, struct ws_event *out)
{
    p->in_frame = false;
    if (is_control(&p->frame))
        return control_event(&p->frame, slice_of(p->control, (size_t)p->frame.len), out);
    if (!p->frame.fin) return ERR_AGAIN;
    *out = (struct ws_event){
        .opcode = (enum ws_opcode)p->kind, .payload = buffer_slice(&p->message), .compressed = p->compressed};
    p->kind = 0;
    return utf8_pieces_whole(&p->text) ? OK : ERR_MALFORMED;
}

static int partial_read(struct ws_reader *r, uint8_t **bytes, size_t *len, struct ws_event *out)
{
    struct ws_partial *p = r->partial;
    for (;;) {
        int rc = p->in_frame ? OK : head_read(r, p, bytes, len);
        if (rc == OK) rc = payload_read(p, bytes, len);
        if (rc < 0) return rc;
        rc = frame_end(p, out);
        if (rc != ERR_AGAIN) return rc;
    }
}

int ws_reader_next(struct ws_reader *r, uint8_t **bytes, size_t *len, struct ws_event *out)
{
    struct ws_partial *p = r->partial;
    if (p && !p->in_frame && p->head_len == 0 && p->kind == 0) ws_reader_deinit(r); /* was given out */
    if (!r->partial) {
        if (*len == 0) return ERR_AGAIN;
        int rc = alone_read(r, bytes, len, out);
        if (rc != ERR_AGAIN) return rc;
        rc = partial_new(r);
        if (rc < 0) return rc;
    }
    return partial_read(r, bytes, len, out);
}
