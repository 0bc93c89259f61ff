#include "http/token.h"

enum {
    VALUE = TOKEN_VALUE,
    TCHAR = TOKEN_TCHAR | TOKEN_VALUE,
    QUERY = TOKEN_QUERY,
    TARGET = TOKEN_PATH | TOKEN_QUERY,
    UNRESERVED = TOKEN_UNRESERVED | TCHAR | TARGET,
};

const uint8_t token_classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TCHAR | TARGET,
    ['"'] = VALUE,
    ['#'] = TCHAR,
    ['$' ... '\''] = TCHAR | TARGET,
    ['(' ... ')'] = VALUE | TARGET,
    ['*' ... '+'] = TCHAR | TARGET,
    [','] = VALUE | TARGET,
    ['-' ... '.'] = UNRESERVED,
    ['/'] = VALUE | TARGET,
    ['0' ... '9'] = UNRESERVED,
    [':' ... ';'] = VALUE | TARGET,
    ['<'] = VALUE,
    ['='] = VALUE | TARGET,
    ['>'] = VALUE,
    ['?' ... '@'] = VALUE | TARGET,
    ['A' ... 'Z'] = UNRESERVED,
    ['['] = VALUE | TARGET,
    ['\\'] = VALUE | QUERY,
    [']'] = VALUE | TARGET,
    ['^'] = TCHAR | TARGET,
    ['_'] = UNRESERVED,
    ['`'] = TCHAR | QUERY,
    ['a' ... 'z'] = UNRESERVED,
    ['{'] = VALUE | QUERY,
    ['|'] = TCHAR | TARGET,
    ['}'] = VALUE | QUERY,
    ['~'] = UNRESERVED,
    [0x80 ... 0xFF] = VALUE,
};

bool token_valid(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!token_char(s.ptr[i])) return false;
    }
    return s.len > 0;
}

/* Eight bytes at once: none below the space and no DEL. False also for a tab, which the caller looks at. */
static bool plain_text(const uint8_t bytes[8])
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones * 0x80;
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    uint64_t del = word ^ ones * 0x7F;
    return ((((word - ones * ' ') & ~word) | ((del - ones) & ~del)) & highs) == 0;
}

bool field_value_valid(slice s)
{
    size_t i = 0;
    for (; s.len - i >= 8; i += 8) {
        if (plain_text(s.ptr + i)) continue;
        for (size_t k = 0; k < 8; k++) {
            if (!field_value_char(s.ptr[i + k])) return false;
        }
    }
    for (; i < s.len; i++) {
        if (!field_value_char(s.ptr[i])) return false;
    }
    return true;
}

/* Length of the element at the start of s: up to a comma that is not quoted. */
static size_t element_length(slice s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            return i;
    }
    return s.len;
}

bool list_part(slice *rest, slice *out_element)
{
    if (rest->ptr == NULL) return false;
    size_t len = element_length(*rest);
    *out_element = slice_trim(slice_sub(*rest, 0, len));
    *rest = len == rest->len ? SLICE_EMPTY : slice_sub(*rest, len + 1, rest->len);
    return true;
}

bool list_next(slice *rest, slice *out_element)
{
    while (list_part(rest, out_element)) {
        if (out_element->len > 0) return true;
    }
    return false;
}

bool list_has(slice list, slice element)
{
    slice got;
    while (list_next(&list, &got)) {
        if (slice_equal_nocase(got, element)) return true;
    }
    return false;
}
