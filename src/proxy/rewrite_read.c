/* rewrite_read.c - what the proxy itself reads in the head of a request. */
#include "http/chunked.h"
#include "http/token.h"
#include "proxy/rewrite.h"
#include "proxy/rewrite_fields.h"

static slice field_name(const struct http_head *head, slice bytes, size_t i)
{
    return http_span_slice(bytes, head->fields[i].name);
}

/* "1.1 name (comment)" or "HTTP/1.1 name": the second word. */
static bool via_names(slice element, slice pseudonym)
{
    slice rest = slice_trim(slice_sub(element, slice_find(element, ' '), element.len));
    return slice_equal_nocase(slice_sub(rest, 0, slice_find(rest, ' ')), pseudonym);
}

bool rewrite_loops(const struct http_head *head, slice bytes, slice pseudonym)
{
    for (size_t i = 0; i < head->field_count; i++) {
        slice list = http_span_slice(bytes, head->fields[i].value), element;
        if (field_kind(field_name(head, bytes, i)) != FIELD_VIA) continue;
        while (list_next(&list, &element)) {
            if (via_names(element, pseudonym)) return true;
        }
    }
    return false;
}

static bool id_valid(slice id)
{
    if (id.len == 0 || id.len > REWRITE_ID_BYTES_MAX) return false;
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = id.ptr[i];
        bool allowed = unreserved_char(c) || slice_find(SLICE(":=+/"), c) < 4;
        if (!allowed || c == '~') return false;
    }
    return true;
}

slice rewrite_request_id(const struct http_head *head, slice bytes)
{
    slice id = SLICE_EMPTY;
    for (size_t i = 0; i < head->field_count; i++) {
        if (field_kind(field_name(head, bytes, i)) != FIELD_X_REQUEST_ID) continue;
        if (id.len > 0) return SLICE_EMPTY; /* which one? */
        id = http_span_slice(bytes, head->fields[i].value);
    }
    return id_valid(id) ? id : SLICE_EMPTY;
}

bool rewrite_ends_here(const struct http_head *head, slice bytes)
{
    uint64_t number = 1;
    slice method = http_span_slice(bytes, head->method);
    if (!slice_equal(method, SLICE("OPTIONS")) && !slice_equal(method, SLICE("TRACE"))) return false;
    for (size_t i = 0; i < head->field_count; i++) {
        if (field_kind(field_name(head, bytes, i)) == FIELD_MAX_FORWARDS &&
            slice_to_u64(http_span_slice(bytes, head->fields[i].value), UINT64_MAX, &number) && number == 0)
            return true;
    }
    return false;
}

bool rewrite_upgrades(const struct http_head *head, slice bytes)
{
    if (!head->upgrade || head->minor == 0) return false;
    for (size_t i = 0; i < head->field_count; i++) {
        slice list = http_span_slice(bytes, head->fields[i].value), protocol;
        if (field_kind(field_name(head, bytes, i)) != FIELD_UPGRADE) continue;
        while (list_next(&list, &protocol)) {
            if (protocol_passes(protocol)) return true;
        }
    }
    return false;
}

bool rewrite_trailer_passes(slice name)
{
    return name.len > 0 && http_trailer_allowed(name) && field_kind(name) == FIELD_OTHER;
}
