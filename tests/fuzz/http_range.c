/* A text as Range, If-Range, a condition, a list of entity tags and a date. The first two bytes say how long
 * the representation is. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/condition.h"
#include "http/date.h"
#include "http/range.h"

enum { NOW_S = 1795000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

static void check_length(const struct http_ranges *ranges, uint64_t length)
{
    uint8_t room[HTTP_RANGE_PART_BYTES_MAX];
    uint64_t total = 0;
    for (size_t i = 0; i < ranges->count; i++) {
        struct writer w = writer_of(room, sizeof room);
        http_range_part_write(&w, SLICE("boundary"), SLICE("text/plain"), ranges->at[i], length);
        expect(!w.failed);
        total += w.len + http_range_bytes(ranges->at[i]);
    }
    struct writer w = writer_of(room, sizeof room);
    http_range_end_write(&w, SLICE("boundary"));
    expect(total + w.len == http_ranges_body_bytes(ranges, SLICE("boundary"), SLICE("text/plain"), length));
}

static void check_ranges(slice text, uint64_t length)
{
    struct http_ranges ranges;
    if (http_range_parse(text, length, &ranges) != HTTP_RANGE_PARTIAL) return;
    expect(ranges.count >= 1 && ranges.count <= HTTP_RANGES_MAX);
    uint64_t sum = 0;
    for (size_t i = 0; i < ranges.count; i++) {
        struct http_range r = ranges.at[i];
        expect(r.first <= r.last && r.last < length);
        sum += http_range_bytes(r);
        for (size_t j = 0; j < i; j++)
            expect(r.last + 1 < ranges.at[j].first || ranges.at[j].last + 1 < r.first);
    }
    expect(sum <= length);
    check_length(&ranges, length);
}

static void check_conditions(slice text)
{
    static const char *const methods[] = {"GET", "PUT"};
    const struct http_validators v = {.etag = SLICE("\"a\""), .modified_s = 784111777};
    for (int i = 0; i < 16; i++) {
        struct http_conditions c = {0};
        if (i & 1) c.if_match = text;
        if (i & 2) c.if_none_match = text;
        if (i & 4) c.if_modified_since = c.if_unmodified_since = text;
        int got = (int)http_condition_evaluate(&c, &v, slice_text(methods[i >> 3]), NOW_S);
        expect(got == 0 || got == 412 || (got == 304 && i < 8));
        expect(i & 7 || got == 0);
    }
    http_if_range_holds(text, v.etag, v.modified_s, NOW_S);
    if (etag_valid(text)) expect(etag_equal(text, text, ETAG_WEAK) && etag_list_has(text, text, ETAG_WEAK));
}

static void check_date(slice text)
{
    int64_t seconds, again;
    char written[HTTP_DATE_BYTES + 1];
    if (http_date_parse(text, NOW_S, &seconds) != OK || seconds < 0 || seconds >= 253402300800) return;
    http_date_write(seconds, written);
    expect(http_date_parse(slice_text(written), NOW_S, &again) == OK && again == seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    slice text = slice_of(data + 2, size - 2);
    uint64_t length = (uint64_t)data[0] << (data[1] % 57); /* from 0 to nearly 2^64 */
    check_ranges(text, length);
    check_conditions(text);
    check_date(text);
    return 0;
}
