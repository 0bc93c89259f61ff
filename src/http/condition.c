#include "http/condition.h"
#include "http/date.h"

/* etagc of RFC 9110 8.8.3; a backslash is a character like others. */
static bool etag_char(uint8_t c)
{
    return c == 0x21 || (c >= 0x23 && c != 0x7F);
}

/* Length of the entity tag at the start of s, 0 when there is none. */
static size_t etag_length(slice s)
{
    size_t at = slice_starts(s, SLICE("W/")) ? 2 : 0;
    if (at >= s.len || s.ptr[at] != '"') return 0;
    for (at++; at < s.len && etag_char(s.ptr[at]); at++) {
    }
    return at < s.len && s.ptr[at] == '"' ? at + 1 : 0;
}

bool etag_valid(slice etag)
{
    return etag.len > 0 && etag_length(etag) == etag.len;
}

bool etag_is_weak(slice etag)
{
    return slice_starts(etag, SLICE("W/"));
}

bool etag_equal(slice a, slice b, enum etag_comparison comparison)
{
    if (a.len == 0 || b.len == 0) return false;
    if (comparison == ETAG_STRONG) return !etag_is_weak(a) && slice_equal(a, b);
    if (etag_is_weak(a)) a = slice_sub(a, 2, a.len);
    if (etag_is_weak(b)) b = slice_sub(b, 2, b.len);
    return slice_equal(a, b);
}

static bool names_any(slice field)
{
    return slice_equal(slice_trim(field), SLICE("*"));
}

bool etag_list_has(slice field, slice etag, enum etag_comparison comparison)
{
    if (names_any(field)) return true;
    for (;;) {
        while (field.len > 0 && (field.ptr[0] == ' ' || field.ptr[0] == '\t' || field.ptr[0] == ','))
            field = slice_sub(field, 1, field.len);
        size_t len = etag_length(field);
        if (len == 0) return false;
        if (etag_equal(slice_sub(field, 0, len), etag, comparison)) return true;
        field = slice_trim(slice_sub(field, len, field.len));
        if (field.len > 0 && field.ptr[0] != ',') return false;
    }
}

static bool names_this(slice field, const struct http_validators *v, enum etag_comparison comparison)
{
    return !v->missing && etag_list_has(field, v->etag, comparison);
}

/* False when the field cannot be read, or there is no date to compare it with: then it is to be ignored. */
static bool date_of(slice field, const struct http_validators *v, int64_t now_s, int64_t *out_s)
{
    return field.ptr && !v->missing && v->modified_s >= 0 &&
           http_date_parse(slice_trim(field), now_s, out_s) == OK;
}

enum http_condition http_condition_evaluate(const struct http_conditions *c, const struct http_validators *v,
                                            slice method, int64_t now_s)
{
    bool reads = slice_equal(method, SLICE("GET")) || slice_equal(method, SLICE("HEAD"));
    int64_t since_s;
    if (c->if_match.ptr) {
        if (!names_this(c->if_match, v, ETAG_STRONG)) return HTTP_PRECONDITION_FAILED;
    } else if (date_of(c->if_unmodified_since, v, now_s, &since_s) && v->modified_s > since_s) {
        return HTTP_PRECONDITION_FAILED;
    }
    if (c->if_none_match.ptr) {
        if (!names_this(c->if_none_match, v, ETAG_WEAK)) return HTTP_PROCEED;
        return reads ? HTTP_NOT_MODIFIED : HTTP_PRECONDITION_FAILED;
    }
    if (reads && date_of(c->if_modified_since, v, now_s, &since_s) && v->modified_s <= since_s)
        return HTTP_NOT_MODIFIED;
    return HTTP_PROCEED;
}
