#include "http/static_path.h"

#include "base/hex.h"

enum { SEGMENT_BYTES_MAX = 255 }; /* NAME_MAX of Linux's file systems */

/* The path so far. */
struct target {
    char *out;
    size_t len, cap;
    bool hidden;
};

/* Takes one character of a segment off *rest, decoded. ERR_MALFORMED for what must not be in a name. */
static int take_character(slice *rest, uint8_t *out)
{
    uint8_t c = rest->ptr[0];
    bool escaped = c == '%';
    if (escaped && hex_decode(slice_sub(*rest, 1, 2), &c, 1) < 0) return ERR_MALFORMED;
    *rest = slice_sub(*rest, escaped ? 3 : 1, rest->len);
    if (c < ' ' || c == 0x7F || c == '/' || c == '\\') return ERR_MALFORMED;
    *out = c;
    return OK;
}

static int put(struct target *t, char c)
{
    if (t->len + 1 >= t->cap) return ERR_TOO_LARGE;
    t->out[t->len++] = c;
    return OK;
}

/* Appends one segment, still encoded. */
static int put_segment(struct target *t, slice segment)
{
    size_t before = t->len;
    int rc = before > 0 ? put(t, '/') : OK;
    size_t start = t->len;
    while (rc == OK && segment.len > 0) {
        uint8_t c;
        rc = take_character(&segment, &c);
        if (rc == OK) rc = put(t, (char)c);
    }
    if (rc < 0) return rc;
    slice name = slice_of(t->out + start, t->len - start);
    if (slice_equal(name, SLICE(".."))) return ERR_DENIED;
    if (name.len > SEGMENT_BYTES_MAX) return ERR_TOO_LARGE;
    if (name.len == 0 || slice_equal(name, SLICE(".")))
        t->len = before;
    else if (name.ptr[0] == '.')
        t->hidden = true;
    return OK;
}

/* Empty, "." and its encoded forms: a folder is meant. */
static bool names_folder(slice last)
{
    return last.len == 0 || slice_equal(last, SLICE(".")) || slice_equal_nocase(last, SLICE("%2e"));
}

int static_path_parse(slice path, char *out, size_t cap, struct static_path *out_path)
{
    struct target t = {.out = out, .cap = cap};
    slice segment = SLICE_EMPTY;
    if (path.len == 0 || path.ptr[0] != '/') return ERR_MALFORMED;
    if (cap == 0) return ERR_TOO_LARGE;
    slice rest = slice_sub(path, 1, path.len);
    while (slice_split(&rest, '/', &segment)) {
        int rc = put_segment(&t, segment);
        if (rc < 0) return rc;
    }
    out[t.len] = 0;
    *out_path = (struct static_path){.len = t.len, .directory = names_folder(segment), .hidden = t.hidden};
    return OK;
}
