#include "http/param.h"
#include "http/token.h"

slice param_value(slice *rest)
{
    size_t end = slice_find(*rest, ';');
    slice value = slice_trim(slice_sub(*rest, 0, end));
    *rest = slice_sub(*rest, end + 1, rest->len);
    return value;
}

static slice skip_space(slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = slice_sub(s, 1, s.len);
    return s;
}

static size_t token_length(slice s)
{
    size_t n = 0;
    while (n < s.len && token_char(s.ptr[n]))
        n++;
    return n;
}

/* Length of what stands between the quotes; s begins after the first. s.len when there is no second. */
static size_t quoted_length(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '"') return i;
        if (s.ptr[i] == '\\') i++;
        if (i == s.len || !field_value_char(s.ptr[i])) break;
    }
    return s.len;
}

int param_next(slice *rest, struct param *out)
{
    slice s = skip_space(*rest);
    while (s.len > 0 && s.ptr[0] == ';')
        s = skip_space(slice_sub(s, 1, s.len));
    if (s.len == 0) return ERR_CLOSED;
    size_t n = token_length(s);
    if (n == 0) return ERR_MALFORMED;
    struct param p = {.name = slice_sub(s, 0, n)};
    s = slice_sub(s, n, s.len);
    if (s.len > 0 && s.ptr[0] == '=') {
        s = slice_sub(s, 1, s.len);
        p.has_value = true;
        p.quoted = s.len > 0 && s.ptr[0] == '"';
        if (p.quoted) s = slice_sub(s, 1, s.len);
        n = p.quoted ? quoted_length(s) : token_length(s);
        if (p.quoted ? n == s.len : n == 0) return ERR_MALFORMED;
        p.value = slice_sub(s, 0, n);
        s = slice_sub(s, n + (p.quoted ? 1 : 0), s.len);
    }
    s = skip_space(s);
    if (s.len > 0 && s.ptr[0] != ';') return ERR_MALFORMED;
    *rest = s;
    *out = p;
    return OK;
}

int param_find(slice params, slice name, struct param *out)
{
    struct param p;
    int rc, found = ERR_NOT_FOUND;
    while ((rc = param_next(&params, &p)) == OK) {
        if (!slice_equal_nocase(p.name, name)) continue;
        if (found == OK) return ERR_MALFORMED;
        *out = p;
        found = OK;
    }
    return rc == ERR_CLOSED ? found : rc;
}

size_t param_unquote(slice value, uint8_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\\' && i + 1 < value.len) i++;
        out[n++] = value.ptr[i];
    }
    return n;
}
