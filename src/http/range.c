#include "http/range.h"
#include "http/condition.h"
#include "http/date.h"
#include "http/token.h"

/* Digits only; a number too large to be written here is past every end. False when it is no number. */
static bool position_parse(slice digits, uint64_t *out)
{
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9') return false;
    }
    if (digits.len == 0) return false;
    if (!slice_to_u64(digits, UINT64_MAX, out)) *out = UINT64_MAX;
    return true;
}

/* One range-spec: 1 when it gives a range, 0 when it is past the end, ERR_MALFORMED. */
static int spec_parse(slice spec, uint64_t length, struct http_range *out)
{
    uint64_t first, last = UINT64_MAX;
    size_t dash = slice_find(spec, '-');
    if (dash == spec.len) return ERR_MALFORMED;
    slice left = slice_sub(spec, 0, dash), right = slice_sub(spec, dash + 1, spec.len);
    if (left.len == 0) {
        if (!position_parse(right, &last)) return ERR_MALFORMED;
        if (last == 0) return 0;
        *out = (struct http_range){last < length ? length - last : 0, length - 1};
        return 1;
    }
    if (!position_parse(left, &first)) return ERR_MALFORMED;
    if (right.len > 0 && (!position_parse(right, &last) || last < first)) return ERR_MALFORMED;
    if (first >= length) return 0;
    *out = (struct http_range){first, last < length ? last : length - 1};
    return 1;
}

static bool overlap_or_touch(struct http_range a, struct http_range b)
{
    return a.first <= b.last + 1 && b.first <= a.last + 1; /* last + 1 <= length: no overflow */
}

/* Adds a range, joined with those that it meets; the joined one stands where the first of them stood. */
static void add(struct http_ranges *ranges, struct http_range range)
{
    size_t place = ranges->count, kept = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        struct http_range r = ranges->at[i];
        if (!overlap_or_touch(r, range)) continue;
        if (r.first < range.first) range.first = r.first;
        if (r.last > range.last) range.last = r.last;
        if (place == ranges->count) place = i;
    }
    if (place == ranges->count) {
        ranges->at[ranges->count++] = range;
        return;
    }
    ranges->at[place] = range;
    for (size_t i = 0; i < ranges->count; i++) {
        if (i <= place || !overlap_or_touch(ranges->at[i], range)) ranges->at[kept++] = ranges->at[i];
    }
    ranges->count = kept;
}

enum http_range_kind http_range_parse(slice field, uint64_t length, struct http_ranges *out)
{
    size_t equals = slice_find(field, '=');
    slice unit = slice_sub(field, 0, equals), set = slice_sub(field, equals + 1, field.len), spec;
    if (!slice_equal_nocase(unit, SLICE("bytes")) || length == 0) return HTTP_RANGE_WHOLE;
    struct http_ranges ranges = {.count = 0};
    size_t asked = 0;
    while (list_next(&set, &spec)) {
        struct http_range range;
        int rc = spec_parse(spec, length, &range);
        if (rc < 0 || ++asked > HTTP_RANGES_MAX) return HTTP_RANGE_WHOLE;
        if (rc == 1) add(&ranges, range);
    }
    if (asked == 0) return HTTP_RANGE_WHOLE;
    if (ranges.count == 0) return HTTP_RANGE_UNSATISFIABLE;
    *out = ranges;
    return HTTP_RANGE_PARTIAL;
}

bool http_if_range_holds(slice field, slice etag, int64_t modified_s, int64_t now_s)
{
    int64_t date_s;
    field = slice_trim(field);
    if (etag_valid(field)) return etag_equal(field, etag, ETAG_STRONG);
    return modified_s >= 0 && modified_s < now_s && http_date_parse(field, now_s, &date_s) == OK &&
           date_s == modified_s;
}

/* --- writing --- */

void http_content_range_write(struct writer *w, struct http_range range, uint64_t length)
{
    writer_put(w, SLICE("Content-Range: bytes "));
    writer_u64(w, range.first);
    writer_byte(w, '-');
    writer_u64(w, range.last);
    writer_byte(w, '/');
    writer_u64(w, length);
    writer_put(w, SLICE("\r\n"));
}

void http_content_range_none_write(struct writer *w, uint64_t length)
{
    writer_put(w, SLICE("Content-Range: bytes */"));
    writer_u64(w, length);
    writer_put(w, SLICE("\r\n"));
}

void http_range_part_write(struct writer *w, slice boundary, slice content_type, struct http_range range,
                           uint64_t length)
{
    writer_put(w, SLICE("\r\n--"));
    writer_put(w, boundary);
    writer_put(w, SLICE("\r\n"));
    if (content_type.len > 0) {
        writer_put(w, SLICE("Content-Type: "));
        writer_put(w, content_type);
        writer_put(w, SLICE("\r\n"));
    }
    http_content_range_write(w, range, length);
    writer_put(w, SLICE("\r\n"));
}

void http_range_end_write(struct writer *w, slice boundary)
{
    writer_put(w, SLICE("\r\n--"));
    writer_put(w, boundary);
    writer_put(w, SLICE("--\r\n"));
}

static uint64_t digits_of(uint64_t number)
{
    uint64_t n = 1;
    for (; number >= 10; number /= 10)
        n++;
    return n;
}

uint64_t http_ranges_body_bytes(const struct http_ranges *ranges, slice boundary, slice content_type,
                                uint64_t length)
{
    uint64_t fixed =
        sizeof "\r\n--\r\nContent-Range: bytes -/\r\n\r\n" - 1 + boundary.len + digits_of(length);
    if (content_type.len > 0) fixed += sizeof "Content-Type: \r\n" - 1 + content_type.len;
    uint64_t total = sizeof "\r\n----\r\n" - 1 + boundary.len;
    for (size_t i = 0; i < ranges->count; i++) {
        struct http_range r = ranges->at[i];
        total += fixed + digits_of(r.first) + digits_of(r.last) + http_range_bytes(r);
    }
    return total;
}
