#include "base/slice.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool slice_equal_nocase(slice a, slice b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.ptr[i] != b.ptr[i] && lower(a.ptr[i]) != lower(b.ptr[i])) return false;
    }
    return true;
}

int slice_compare(slice a, slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    if (order != 0) return order;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

slice slice_trim(slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = slice_sub(s, 1, s.len);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool slice_split(slice *rest, uint8_t byte, slice *out_part)
{
    if (rest->ptr == NULL) return false;
    size_t at = slice_find(*rest, byte);
    *out_part = slice_sub(*rest, 0, at);
    *rest = at == rest->len ? SLICE_EMPTY : slice_sub(*rest, at + 1, rest->len);
    return true;
}

bool slice_to_u64(slice s, uint64_t max, uint64_t *out_value)
{
    if (s.len == 0) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value) || value > max)
            return false;
    }
    *out_value = value;
    return true;
}
