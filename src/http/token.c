#include "http/token.h"

enum { TOKEN = 1, VALUE = 2 };

/* Bit by bit: TOKEN for tchar, VALUE for field values. */
static const uint8_t classes[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TOKEN | VALUE,
    ['"'] = VALUE,
    ['#' ... '\''] = TOKEN | VALUE,
    ['(' ... ')'] = VALUE,
    ['*' ... '+'] = TOKEN | VALUE,
    [','] = VALUE,
    ['-' ... '.'] = TOKEN | VALUE,
    ['/'] = VALUE,
    ['0' ... '9'] = TOKEN | VALUE,
    [':' ... '@'] = VALUE,
    ['A' ... 'Z'] = TOKEN | VALUE,
    ['[' ... ']'] = VALUE,
    ['^' ... 'z'] = TOKEN | VALUE,
    ['{'] = VALUE,
    ['|'] = TOKEN | VALUE,
    ['}'] = VALUE,
    ['~'] = TOKEN | VALUE,
    [0x80 ... 0xFF] = VALUE,
};

bool token_char(uint8_t c)
{
    return classes[c] & TOKEN;
}

bool field_value_char(uint8_t c)
{
    return classes[c] & VALUE;
}

bool token_valid(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!token_char(s.ptr[i])) return false;
    }
    return s.len > 0;
}

bool field_value_valid(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
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
