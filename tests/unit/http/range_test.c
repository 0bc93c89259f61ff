/* Parts of a representation: which are asked for, and what the answer is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/date.h"
#include "http/range.h"

/* "first-last,first-last", "whole" or "none". */
static const char *ranges_of(slice field, uint64_t length)
{
    static char text[1024];
    struct http_ranges ranges;
    switch (http_range_parse(field, length, &ranges)) {
    case HTTP_RANGE_WHOLE: return "whole";
    case HTTP_RANGE_UNSATISFIABLE: return "none";
    case HTTP_RANGE_PARTIAL: break;
    }
    size_t n = 0;
    assert_true(ranges.count >= 1 && ranges.count <= HTTP_RANGES_MAX);
    for (size_t i = 0; i < ranges.count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%llu-%llu", i ? "," : "",
                              (unsigned long long)ranges.at[i].first, (unsigned long long)ranges.at[i].last);
    return text;
}

static const struct {
    const char *field;
    uint64_t length;
    const char *ranges;
} fields[] = {
    {"bytes=0-499", 10000, "0-499"},
    {"bytes=500-999", 10000, "500-999"},
    {"bytes=-500", 10000, "9500-9999"},
    {"bytes=9500-", 10000, "9500-9999"},
    {"bytes=0-0,-1", 10000, "0-0,9999-9999"},
    {"bytes= 0-999, 4500-5499, -1000", 10000, "0-999,4500-5499,9000-9999"},
    {"Bytes=0-0", 10, "0-0"},
    {"bytes=0-9", 10, "0-9"},
    {"bytes=0-10", 10, "0-9"},
    {"bytes=9-", 10, "9-9"},
    {"bytes=-10", 10, "0-9"},
    {"bytes=-11", 10, "0-9"},
    {"bytes=,0-1, ,\t3-4,", 10, "0-1,3-4"},
    {"bytes=00000000000000000000000-000000000000000000000001", 10, "0-1"},
    /* numbers larger than can be kept are past the end */
    {"bytes=5-99999999999999999999999999", 10, "5-9"},
    {"bytes=-99999999999999999999999999", 10, "0-9"},
    {"bytes=99999999999999999999999999-", 10, "none"},
    {"bytes=18446744073709551614-18446744073709551615", UINT64_MAX,
     "18446744073709551614-18446744073709551614"},
    {"bytes=0-18446744073709551615,0-", UINT64_MAX, "0-18446744073709551614"},
    /* not satisfiable, and those that are beside one that is */
    {"bytes=10-", 10, "none"},
    {"bytes=10-20,30-", 10, "none"},
    {"bytes=-0", 10, "none"},
    {"bytes=10-20,3-4,-0", 10, "3-4"},
    /* joined where they overlap or touch, in the place of the first */
    {"bytes=0-5,3-8", 10, "0-8"},
    {"bytes=0-4,5-8", 10, "0-8"},
    {"bytes=0-3,5-8", 10, "0-3,5-8"},
    {"bytes=5-8,0-3", 10, "5-8,0-3"},
    {"bytes=8-8,0-1,4-5,2-3", 10, "8-8,0-5"},
    {"bytes=0-1,8-8,4-5,2-3", 10, "0-5,8-8"},
    {"bytes=8-8,0-1,4-5,-10", 10, "0-9"},
    {"bytes=0-,0-,0-,0-,0-", 10, "0-9"},
    /* to be ignored */
    {"", 10, "whole"},
    {"bytes", 10, "whole"},
    {"bytes=", 10, "whole"},
    {"bytes=,", 10, "whole"},
    {"bytes 0-1", 10, "whole"},
    {"bytes =0-1", 10, "whole"},
    {"items=0-1", 10, "whole"},
    {"bytes=-", 10, "whole"},
    {"bytes=5", 10, "whole"},
    {"bytes=2-1", 10, "whole"},
    {"bytes=0-1,2-1", 10, "whole"},
    {"bytes=20-19", 10, "whole"},
    {"bytes=a-b", 10, "whole"},
    {"bytes=0x0-1", 10, "whole"},
    {"bytes=+0-1", 10, "whole"},
    {"bytes=0 - 1", 10, "whole"},
    {"bytes=0--1", 10, "whole"},
    {"bytes=--1", 10, "whole"},
    {"bytes=0-1;2-3", 10, "whole"},
    {"bytes=0-1,x", 10, "whole"},
    {"bytes=\"0-1\"", 10, "whole"},
    /* of nothing there are no parts */
    {"bytes=0-", 0, "whole"},
    {"bytes=-1", 0, "whole"},
    {"bytes=0-0", 1, "0-0"},
};

static void a_field_gives_ranges_none_or_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *got = ranges_of(slice_text(fields[i].field), fields[i].length);
        if (strcmp(got, fields[i].ranges) != 0)
            fail_msg("%s of %llu: %s, not %s", fields[i].field, (unsigned long long)fields[i].length, got,
                     fields[i].ranges);
    }
}

static void more_ranges_than_the_limit_are_ignored(void **state)
{
    (void)state;
    char text[400] = "bytes=";
    for (int i = 0; i < HTTP_RANGES_MAX; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d-%d,", i * 10, i * 10);
    assert_non_null(strstr(ranges_of(slice_text(text), 1000), ",150-150"));
    snprintf(text + strlen(text), sizeof text - strlen(text), "0-0");
    assert_string_equal(ranges_of(slice_text(text), 1000), "whole");
}

static bool holds(const char *field, const char *etag, int64_t modified_s)
{
    return http_if_range_holds(slice_text(field), slice_text(etag), modified_s, 784111778);
}

static void if_range_needs_a_strong_validator_that_is_the_same(void **state)
{
    (void)state;
    assert_true(holds("\"a\"", "\"a\"", -1));
    assert_false(holds("\"a\"", "\"b\"", -1));
    assert_false(holds("W/\"a\"", "\"a\"", -1));
    assert_false(holds("W/\"a\"", "W/\"a\"", -1));
    assert_false(holds("\"a\"", "", -1));
    assert_false(holds("*", "\"a\"", -1));
    assert_false(holds("\"a\", \"b\"", "\"a\"", -1));
    assert_false(holds("", "", -1));
    assert_true(holds("Sun, 06 Nov 1994 08:49:37 GMT", "\"a\"", 784111777));
    assert_false(holds("Sun, 06 Nov 1994 08:49:37 GMT", "\"a\"", 784111776));
    assert_false(holds("Sun, 06 Nov 1994 08:49:38 GMT", "\"a\"", 784111777));
    assert_false(holds("Sun, 06 Nov 1994 08:49:38 GMT", "\"a\"", 784111778)); /* this second is not over */
    assert_false(holds("Sun, 06 Nov 1994", "\"a\"", 784111777));
    assert_false(holds("Wed, 31 Dec 1969 23:59:59 GMT", "\"a\"", -1));
}

static void one_range_is_told_in_content_range(void **state)
{
    (void)state;
    char room[HTTP_CONTENT_RANGE_BYTES_MAX];
    struct writer w = writer_of(room, sizeof room);
    http_content_range_write(&w, (struct http_range){0, 9}, 100);
    assert_true(slice_equal(writer_slice(&w), SLICE("Content-Range: bytes 0-9/100\r\n")));
    w = writer_of(room, sizeof room);
    http_content_range_none_write(&w, 100);
    assert_true(slice_equal(writer_slice(&w), SLICE("Content-Range: bytes */100\r\n")));
    w = writer_of(room, sizeof room);
    http_content_range_write(&w, (struct http_range){UINT64_MAX - 1, UINT64_MAX - 1}, UINT64_MAX);
    assert_false(w.failed);
}

static void several_ranges_are_parts_of_the_length_that_was_announced(void **state)
{
    (void)state;
    static const char data[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    const uint64_t length = sizeof data - 1;
    struct http_ranges ranges;
    assert_int_equal(http_range_parse(SLICE("bytes=0-1,10-12,-2"), length, &ranges), HTTP_RANGE_PARTIAL);
    static const char *const types[] = {"text/plain", ""};
    for (size_t t = 0; t < 2; t++) {
        char room[2048];
        struct writer w = writer_of(room, sizeof room);
        for (size_t i = 0; i < ranges.count; i++) {
            http_range_part_write(&w, SLICE("B"), slice_text(types[t]), ranges.at[i], length);
            writer_put(&w, slice_of(data + ranges.at[i].first, (size_t)http_range_bytes(ranges.at[i])));
        }
        http_range_end_write(&w, SLICE("B"));
        assert_false(w.failed);
        assert_int_equal(w.len, http_ranges_body_bytes(&ranges, SLICE("B"), slice_text(types[t]), length));
        if (t == 0)
            assert_true(slice_equal(
                writer_slice(&w),
                SLICE("\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/36\r\n\r\n01"
                      "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 10-12/36\r\n\r\nabc"
                      "\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 34-35/36\r\n\r\nyz"
                      "\r\n--B--\r\n")));
    }
}

static void a_part_head_fits_the_room_that_is_promised(void **state)
{
    (void)state;
    char room[HTTP_RANGE_PART_BYTES_MAX], boundary[HTTP_RANGE_BOUNDARY_BYTES_MAX];
    memset(boundary, 'b', sizeof boundary);
    struct writer w = writer_of(room, sizeof room);
    http_range_part_write(&w, slice_of(boundary, sizeof boundary), SLICE_EMPTY,
                          (struct http_range){UINT64_MAX - 1, UINT64_MAX - 1}, UINT64_MAX);
    assert_false(w.failed);
    assert_true(w.len + sizeof "Content-Type: \r\n" <= sizeof room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_gives_ranges_none_or_the_whole),
        cmocka_unit_test(more_ranges_than_the_limit_are_ignored),
        cmocka_unit_test(if_range_needs_a_strong_validator_that_is_the_same),
        cmocka_unit_test(one_range_is_told_in_content_range),
        cmocka_unit_test(several_ranges_are_parts_of_the_length_that_was_announced),
        cmocka_unit_test(a_part_head_fits_the_room_that_is_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
