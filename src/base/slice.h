/* slice.h - a borrowed run of bytes, passed by value. Never owns, never NUL-terminated. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct slice {
    const uint8_t *ptr; /* may be NULL when len is 0 */
    size_t len;
} slice;

#define SLICE_EMPTY ((slice){NULL, 0})
/* From a string literal. */
#define SLICE(literal) ((slice){(const uint8_t *)("" literal), sizeof(literal) - 1})

static inline slice slice_of(const void *ptr, size_t len)
{
    return (slice){(const uint8_t *)ptr, len};
}

/* From a NUL-terminated string; NULL gives the empty slice. */
static inline slice slice_text(const char *text)
{
    return text ? slice_of(text, strlen(text)) : SLICE_EMPTY;
}

static inline bool slice_equal(slice a, slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* From byte `from` (clamped) for at most `len` bytes. */
static inline slice slice_sub(slice s, size_t from, size_t len)
{
    if (from > s.len) from = s.len;
    if (len > s.len - from) len = s.len - from;
    return from == 0 ? slice_of(s.ptr, len) : slice_of(s.ptr + from, len);
}

static inline bool slice_starts(slice s, slice prefix)
{
    return s.len >= prefix.len && slice_equal(slice_sub(s, 0, prefix.len), prefix);
}

/* Index of the first `byte`, or s.len when there is none. */
static inline size_t slice_find(slice s, uint8_t byte)
{
    const uint8_t *hit = s.len ? (const uint8_t *)memchr(s.ptr, byte, s.len) : NULL;
    return hit ? (size_t)(hit - s.ptr) : s.len;
}

/* ASCII letters compare without case; for protocol tokens, not for human text. */
bool slice_equal_nocase(slice a, slice b);
/* Bytewise, a shorter one first when it is a prefix. */
int slice_compare(slice a, slice b);
/* Without ASCII spaces and tabs at both ends. */
slice slice_trim(slice s);
/* Takes what stands before the first `byte` off *rest into *out_part and drops the byte itself. False when
 * *rest is used up: `while (slice_split(&rest, ',', &part))` visits every part, empty ones included. */
bool slice_split(slice *rest, uint8_t byte, slice *out_part);
/* Decimal digits only, whole slice, no sign, no overflow past `max`. */
bool slice_to_u64(slice s, uint64_t max, uint64_t *out_value);

#endif
