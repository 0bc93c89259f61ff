/* buffer.h - two ways to build bytes.
 *
 * `struct writer` fills a caller's fixed memory and never allocates. `struct buffer` owns heap memory that
 * grows up to a stated limit. Both fail stickily: after the first thing that did not fit, nothing more is
 * written and `failed` stays true, so a caller checks once, at the end. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/slice.h"

struct writer {
    uint8_t *ptr;
    size_t len; /* written so far, <= cap */
    size_t cap;
    bool failed;
};

static inline struct writer writer_of(void *memory, size_t cap)
{
    return (struct writer){(uint8_t *)memory, 0, cap, false};
}
static inline void writer_put(struct writer *w, slice bytes)
{
    if (w->failed || bytes.len > w->cap - w->len) {
        w->failed = true;
        return;
    }
    if (bytes.len) memcpy(w->ptr + w->len, bytes.ptr, bytes.len);
    w->len += bytes.len;
}
static inline void writer_byte(struct writer *w, uint8_t byte)
{
    writer_put(w, slice_of(&byte, 1));
}
/* In decimal. */
void writer_u64(struct writer *w, uint64_t value);
static inline slice writer_slice(const struct writer *w)
{
    return slice_of(w->ptr, w->len);
}

struct buffer {
    const struct allocator *allocator;
    uint8_t *ptr;
    size_t len, cap;
    size_t max; /* never grows past this many bytes */
    bool failed;
};

void buffer_init(struct buffer *b, const struct allocator *allocator, size_t max);
/* Frees the memory; the buffer can be used again, empty. */
void buffer_reset(struct buffer *b);
/* Room for `extra` more bytes: 0, ERR_FULL past max, ERR_MEMORY. Sets failed on error. */
int buffer_reserve(struct buffer *b, size_t extra) BASE_CHECKED;
void buffer_put(struct buffer *b, slice bytes);
void buffer_byte(struct buffer *b, uint8_t byte);
void buffer_text(struct buffer *b, const char *text);
void buffer_u64(struct buffer *b, uint64_t value);
/* With what means something in HTML, in text and in quoted attributes, escaped. */
void buffer_html(struct buffer *b, slice text);
/* Drops the first n bytes. */
void buffer_consume(struct buffer *b, size_t n);
static inline slice buffer_slice(const struct buffer *b)
{
    return slice_of(b->ptr, b->len);
}

#endif
