#include "http/url_resolve.h"

static const char *scheme_text(enum url_scheme scheme)
{
    switch (scheme) {
    case URL_HTTP: return "http";
    case URL_HTTPS: return "https";
    case URL_WS: return "ws";
    case URL_WSS: return "wss";
    }
    return "";
}

/* A scheme and its colon stand before anything else that a reference may begin with. */
static bool has_scheme(slice reference)
{
    for (size_t i = 0; i < reference.len; i++) {
        uint8_t c = reference.ptr[i];
        if (c == ':') return i > 0;
        if (c == '/' || c == '?' || c == '#') return false;
    }
    return false;
}

static slice without_fragment(slice reference)
{
    return slice_sub(reference, 0, slice_find(reference, '#'));
}

/* Appends a path, its dot segments removed (RFC 3986 5.2.4): each ".." takes back what begins at `root`. */
static void put_path(struct buffer *out, slice path)
{
    size_t root = out->len;
    while (path.len > 0 && !out->failed) {
        path = slice_sub(path, 1, path.len); /* the slash */
        size_t end = slice_find(path, '/');
        slice segment = slice_sub(path, 0, end);
        path = slice_sub(path, end, path.len);
        bool up = slice_equal(segment, SLICE(".."));
        if (up) {
            while (out->len > root && out->ptr[--out->len] != '/') {
            }
        }
        if (up || slice_equal(segment, SLICE("."))) {
            if (path.len == 0) buffer_byte(out, '/');
            continue;
        }
        buffer_byte(out, '/');
        buffer_put(out, segment);
    }
}

/* What the reference's relative path means beside the base's: the base's up to its last slash, then it. */
static void put_merged(struct buffer *out, slice base, slice path)
{
    struct buffer merged;
    size_t last = base.len;
    while (last > 0 && base.ptr[last - 1] != '/')
        last--;
    buffer_init(&merged, out->allocator, out->max);
    buffer_put(&merged, slice_sub(base, 0, last));
    buffer_put(&merged, path);
    if (merged.failed)
        out->failed = true;
    else
        put_path(out, buffer_slice(&merged));
    buffer_reset(&merged);
}

int url_resolve(struct buffer *out, const struct url *base, slice reference)
{
    reference = without_fragment(reference);
    if (has_scheme(reference)) {
        buffer_put(out, reference);
        return out->failed ? ERR_MEMORY : OK;
    }
    buffer_text(out, scheme_text(base->scheme));
    buffer_text(out, ":");
    if (slice_starts(reference, SLICE("//"))) {
        buffer_put(out, reference);
        return out->failed ? ERR_MEMORY : OK;
    }
    buffer_text(out, "//");
    buffer_put(out, base->authority);
    size_t path_end = slice_find(reference, '?');
    slice path = slice_sub(reference, 0, path_end);
    bool query = path_end < reference.len;
    if (path.len == 0)
        buffer_put(out, base->path);
    else if (path.ptr[0] == '/')
        put_path(out, path);
    else
        put_merged(out, base->path, path);
    if (query) {
        buffer_put(out, slice_sub(reference, path_end, reference.len));
    } else if (path.len == 0 && base->has_query) {
        buffer_byte(out, '?');
        buffer_put(out, base->query);
    }
    return out->failed ? ERR_MEMORY : OK;
}
