#include "core/offer.h"

#include "base/utf8.h"
#include "core/tree.h"

/* Controls, and what hides or turns round what stands beside it. */
static bool invisible(uint32_t point)
{
    return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0xAD || point == 0x61C ||
           (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF || (point >= 0xFFF0 && point <= 0xFFFB) ||
           (point >= 0xE0000 && point <= 0xE0FFF) || (point & 0xFFFE) == 0xFFFE;
}

static int check_name(slice name)
{
    uint32_t point;
    slice rest = name;
    if (name.len == 0) return ERR_INVALID;
    if (name.len > OFFER_NAME_BYTES_MAX) return ERR_TOO_LARGE;
    /* Also what some systems take off the end: "a." and "a " would be "a" there, and ".. " the folder above.
     */
    uint8_t first = name.ptr[0], last = name.ptr[name.len - 1];
    if (first == ' ' || last == ' ' || last == '.') return ERR_INVALID;
    while (rest.len > 0) {
        if (utf8_next(&rest, &point) < 0) return ERR_MALFORMED;
        /* Backslash and colon divide paths elsewhere, or name drives. */
        if (invisible(point) || point == '\\' || point == ':') return ERR_INVALID;
    }
    return OK;
}

int offer_check_path(slice path)
{
    slice rest = path, name;
    if (path.len == 0) return ERR_INVALID;
    if (path.len > OFFER_PATH_BYTES_MAX) return ERR_TOO_LARGE;
    if (path.ptr[path.len - 1] == '/') return ERR_INVALID;
    for (unsigned depth = 0; slice_split(&rest, '/', &name); depth++) {
        if (depth == OFFER_DEPTH_MAX) return ERR_TOO_LARGE;
        int rc = check_name(name);
        if (rc < 0) return rc;
    }
    return OK;
}

static int check_file(const struct offer_file *f)
{
    if (f->size > TREE_SIZE_MAX || f->type.len > OFFER_TYPE_BYTES_MAX) return ERR_TOO_LARGE;
    for (size_t i = 0; i < f->type.len; i++) {
        if (f->type.ptr[i] < 0x20 || f->type.ptr[i] > 0x7E) return ERR_INVALID;
    }
    return offer_check_path(f->path);
}

/* The same place, or one is a folder in which the other one lies. */
static bool collide(slice a, slice b)
{
    slice shorter = a.len < b.len ? a : b, longer = a.len < b.len ? b : a;
    return slice_starts(longer, shorter) && (longer.len == shorter.len || longer.ptr[shorter.len] == '/');
}

int offer_write(struct writer *w, const struct offer_file *files, size_t count)
{
    size_t before = w->len;
    if (count == 0) return ERR_INVALID;
    if (count > OFFER_FILES_MAX) return ERR_TOO_LARGE;
    for (size_t i = 0; i < count; i++) {
        int rc = check_file(&files[i]);
        if (rc < 0) return rc;
        for (size_t k = 0; k < i; k++)
            if (collide(files[i].path, files[k].path)) return ERR_INVALID;
    }
    cbor_put_array(w, 1);
    cbor_put_array(w, count);
    for (size_t i = 0; i < count; i++) {
        cbor_put_array(w, 4);
        cbor_put_bytes(w, files[i].path);
        cbor_put_uint(w, files[i].size);
        cbor_put_bytes(w, files[i].type);
        cbor_put_bytes(w, slice_of(files[i].root, ID_BYTES));
    }
    if (w->failed) return ERR_FULL;
    return w->len - before > NODE_BODY_BYTES_MAX ? ERR_TOO_LARGE : OK;
}

static bool read_file(struct cbor_reader *r, struct offer_file *out)
{
    uint64_t elements = cbor_array(r, 64);
    out->path = cbor_bytes(r, NODE_BODY_BYTES_MAX);
    out->size = cbor_uint(r, UINT64_MAX);
    out->type = cbor_bytes(r, NODE_BODY_BYTES_MAX);
    out->root = cbor_fixed(r, ID_BYTES);
    if (r->failed || elements < 4) return false;
    cbor_skip(r, elements - 4);
    return !r->failed;
}

int offer_read(slice body, struct offer *out)
{
    struct cbor_reader r = cbor_reader_of(body);
    uint64_t elements = cbor_array(&r, 64), count = elements > 0 ? cbor_array(&r, OFFER_FILES_MAX) : 0;
    if (r.failed || elements == 0) return ERR_MALFORMED;
    struct offer offer = {r, (uint32_t)count}, others;
    struct offer_file file, other;
    if (count == 0) return ERR_INVALID;
    for (uint64_t i = 0; i < count; i++) {
        if (!read_file(&r, &file)) return ERR_MALFORMED;
        int rc = check_file(&file);
        if (rc < 0) return rc;
        others = offer;
        for (uint64_t k = 0; k < i && offer_next(&others, &other); k++)
            if (collide(file.path, other.path)) return ERR_INVALID;
    }
    cbor_skip(&r, elements - 1);
    if (!cbor_done(&r)) return ERR_MALFORMED;
    *out = offer;
    return OK;
}

bool offer_next(struct offer *offer, struct offer_file *out)
{
    if (offer->left == 0 || !read_file(&offer->rest, out)) return false;
    offer->left--;
    return true;
}
