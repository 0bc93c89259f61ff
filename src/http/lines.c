#include "http/lines.h"
#include "http/token.h"

int http_line_next(struct http_scan *scan, slice bytes, slice *out_line)
{
    if (scan->at >= bytes.len) return ERR_AGAIN;
    slice unseen = slice_sub(bytes, scan->at, bytes.len);
    size_t feed = slice_find(unseen, '\n');
    bool ended = feed < unseen.len;
    size_t stop = scan->at + feed; /* the line feed, or the end of what is here */
    slice line = slice_sub(bytes, scan->line, stop - scan->line);
    size_t cr = slice_find(line, '\r');
    /* A CR is allowed only right before the LF (and as the last byte so far). */
    if (cr + 1 < line.len || (ended && cr == line.len)) return ERR_MALFORMED;
    scan->at = stop;
    if (!ended) return ERR_AGAIN;
    scan->at = scan->line = stop + 1;
    line.len--;
    *out_line = line;
    return OK;
}

static struct http_span span_of(size_t at, size_t len)
{
    return (struct http_span){(uint16_t)at, (uint16_t)len};
}

const char *http_field_read(slice line, size_t base, struct http_field *out)
{
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') return "a header line is folded";
    size_t colon = 0;
    while (colon < line.len && token_char(line.ptr[colon]))
        colon++;
    if (colon == 0 || colon == line.len || line.ptr[colon] != ':')
        return "the name of a header field is not valid";
    slice value = slice_trim(slice_sub(line, colon + 1, line.len));
    if (!field_value_valid(value)) return "a header field has a control character";
    size_t at = value.len ? (size_t)(value.ptr - line.ptr) : colon + 1;
    *out = (struct http_field){span_of(base, colon), span_of(base + at, value.len)};
    return NULL;
}
