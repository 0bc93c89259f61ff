#include "base/buffer.h"

#include <string.h>

/* Decimal digits at the end of `digits`; how many. */
static size_t decimal(uint64_t value, uint8_t digits[20])
{
    size_t n = 20;
    do {
        digits[--n] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value);
    return 20 - n;
}

void writer_u64(struct writer *w, uint64_t value)
{
    uint8_t digits[20];
    size_t n = decimal(value, digits);
    writer_put(w, slice_of(digits + 20 - n, n));
}

void buffer_init(struct buffer *b, const struct allocator *allocator, size_t max)
{
    *b = (struct buffer){.allocator = allocator, .max = max};
}

void buffer_reset(struct buffer *b)
{
    alloc_free(b->allocator, b->ptr, b->cap);
    buffer_init(b, b->allocator, b->max);
}

int buffer_reserve(struct buffer *b, size_t extra)
{
    if (b->failed) return ERR_FULL;
    if (extra > b->max - b->len) {
        b->failed = true;
        return ERR_FULL;
    }
    if (extra <= b->cap - b->len) return OK;
    size_t want = b->len + extra;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < want)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    uint8_t *ptr = alloc_resize(b->allocator, b->ptr, b->cap, cap);
    if (!ptr) {
        b->failed = true;
        return ERR_MEMORY;
    }
    b->ptr = ptr;
    b->cap = cap;
    return OK;
}

void buffer_put(struct buffer *b, slice bytes)
{
    if (buffer_reserve(b, bytes.len) < 0) return;
    if (bytes.len) memcpy(b->ptr + b->len, bytes.ptr, bytes.len);
    b->len += bytes.len;
}

void buffer_byte(struct buffer *b, uint8_t byte)
{
    buffer_put(b, slice_of(&byte, 1));
}

void buffer_text(struct buffer *b, const char *text)
{
    buffer_put(b, slice_text(text));
}

void buffer_u64(struct buffer *b, uint64_t value)
{
    uint8_t digits[20];
    size_t n = decimal(value, digits);
    buffer_put(b, slice_of(digits + 20 - n, n));
}

void buffer_html(struct buffer *b, slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&': buffer_text(b, "&amp;"); break;
        case '<': buffer_text(b, "&lt;"); break;
        case '>': buffer_text(b, "&gt;"); break;
        case '"': buffer_text(b, "&quot;"); break;
        case '\'': buffer_text(b, "&#39;"); break;
        default: buffer_byte(b, text.ptr[i]);
        }
    }
}

void buffer_consume(struct buffer *b, size_t n)
{
    if (n > b->len) n = b->len;
    if (n && n < b->len) memmove(b->ptr, b->ptr + n, b->len - n);
    b->len -= n;
}
