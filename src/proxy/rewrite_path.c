/* rewrite_path.c - the path of a request: in its normal form, and as a server gets it. */
#include "proxy/rewrite_path.h"
#include "base/hex.h"
#include "http/token.h"

/* --- the normal form --- */

/* Takes the last segment off a path that ends with '/'. */
static int up(const uint8_t *out, size_t *len)
{
    if (*len < 2) return ERR_MALFORMED;
    do
        --*len;
    while (out[*len - 1] != '/');
    return OK;
}

/* A segment is complete: out[from..len). `last`: no '/' follows. Writes the '/' that follows. */
static int end_segment(uint8_t *out, size_t from, size_t *len, bool last)
{
    slice segment = slice_of(out + from, *len - from);
    size_t dots = 0;
    while (dots < segment.len && segment.ptr[dots] == '.')
        dots++;
    bool is_dots = dots == 1 || dots == 2;
    /* Servers that take parameters off segments ("..;x") would see "..". */
    if (is_dots && dots < segment.len && segment.ptr[dots] == ';') return ERR_MALFORMED;
    if (is_dots && dots == segment.len) {
        *len = from;
        return dots == 2 ? up(out, len) : OK;
    }
    if (!last && segment.len > 0) out[(*len)++] = '/';
    return OK;
}

/* Takes one byte, encoded or not, off the path. */
static int next_byte(slice path, size_t *at, uint8_t *out)
{
    *out = path.ptr[*at];
    ++*at;
    if (*out == '%') {
        if (hex_decode(slice_sub(path, *at, 2), out, 1) < 0) return ERR_MALFORMED;
        *at += 2;
    }
    return *out ? OK : ERR_MALFORMED;
}

int rewrite_normal_path(slice path, uint8_t *out, size_t *out_len)
{
    size_t at = 1, len = 1, from = 1;
    int rc;
    if (path.len == 0 || (path.ptr[0] != '/' && !slice_equal(path, SLICE("*")))) return ERR_MALFORMED;
    out[0] = path.ptr[0];
    while (at < path.len) {
        uint8_t c;
        if ((rc = next_byte(path, &at, &c)) < 0) return rc;
        if (c != '/') {
            out[len++] = c;
            continue;
        }
        if ((rc = end_segment(out, from, &len, false)) < 0) return rc;
        from = len; /* behind a '/' in any case */
    }
    if ((rc = end_segment(out, from, &len, true)) < 0) return rc;
    out[len] = 0;
    *out_len = len;
    return OK;
}

/* --- as a server gets it --- */

bool path_is_unambiguous(slice path)
{
    bool usual = slice_find(path, '%') == path.len && slice_find(path, '.') == path.len;
    if (usual) return path.len < 2 || path.ptr[1] != '/';
    size_t at = 0;
    bool begins = false, dots = false; /* a segment begins here; it was dots only so far */
    for (size_t decoded = 0; at < path.len; decoded++) {
        uint8_t c;
        if (next_byte(path, &at, &c) < 0) return false;
        if (c == '/') {
            if (dots || decoded == 1) return false;
            begins = true;
        } else {
            dots = (begins || dots) && c == '.';
            begins = false;
        }
    }
    return !dots;
}

void path_encode(struct writer *out, slice path)
{
    static const char digits[] = "0123456789ABCDEF";
    static const slice also = {(const uint8_t *)"/!$&'()*+,;=:@", 14};
    for (size_t i = 0; i < path.len; i++) {
        uint8_t c = path.ptr[i];
        if (unreserved_char(c) || slice_find(also, c) < also.len) {
            writer_byte(out, c);
            continue;
        }
        writer_byte(out, '%');
        writer_byte(out, (uint8_t)digits[c >> 4]);
        writer_byte(out, (uint8_t)digits[c & 15]);
    }
}
