/* cbor: every value has exactly one spelling, and nothing else is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cbor.h"
#include "base/hex.h"

static const char *written(struct writer *w)
{
    static char text[200];
    assert_false(w->failed);
    hex_encode(writer_slice(w), text);
    return text;
}

/* The unsigned integers of RFC 8949, appendix A, and the borders between the lengths. */
static const struct {
    uint64_t value;
    const char *hex;
} integers[] = {
    {0, "00"},
    {1, "01"},
    {10, "0a"},
    {23, "17"},
    {24, "1818"},
    {25, "1819"},
    {100, "1864"},
    {255, "18ff"},
    {256, "190100"},
    {1000, "1903e8"},
    {65535, "19ffff"},
    {65536, "1a00010000"},
    {1000000, "1a000f4240"},
    {4294967295, "1affffffff"},
    {4294967296, "1b0000000100000000"},
    {1000000000000, "1b000000e8d4a51000"},
    {UINT64_MAX, "1bffffffffffffffff"},
};

static void integers_are_written_in_their_shortest_form_and_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        uint8_t memory[9];
        struct writer w = writer_of(memory, sizeof memory);
        cbor_put_uint(&w, integers[i].value);
        assert_string_equal(written(&w), integers[i].hex);
        struct cbor_reader r = cbor_reader_of(writer_slice(&w));
        assert_true(cbor_uint(&r, UINT64_MAX) == integers[i].value);
        assert_true(cbor_done(&r));
    }
}

static void a_value_over_the_maximum_is_refused(void **state)
{
    (void)state;
    struct cbor_reader r = cbor_reader_of(SLICE("\x18\x64"));
    assert_int_equal(cbor_uint(&r, 99), 0);
    assert_true(r.failed);
    r = cbor_reader_of(SLICE("\x43"
                             "abc"));
    assert_int_equal(cbor_bytes(&r, 2).len, 0);
    assert_true(r.failed);
    r = cbor_reader_of(SLICE("\x83\x01\x02\x03"));
    assert_int_equal(cbor_array(&r, 2), 0);
    assert_true(r.failed);
}

static void bytes_and_arrays_are_read_back(void **state)
{
    (void)state;
    uint8_t memory[400];
    struct writer w = writer_of(memory, sizeof memory);
    uint8_t long_bytes[300];
    memset(long_bytes, 'x', sizeof long_bytes);
    cbor_put_array(&w, 3);
    cbor_put_bytes(&w, SLICE_EMPTY);
    cbor_put_bytes(&w, slice_of(long_bytes, sizeof long_bytes));
    cbor_put_uint(&w, 7);
    struct cbor_reader r = cbor_reader_of(writer_slice(&w));
    assert_int_equal(cbor_array(&r, 10), 3);
    assert_int_equal(cbor_bytes(&r, 10).len, 0);
    assert_non_null(cbor_fixed(&r, 300));
    assert_int_equal(cbor_uint(&r, 10), 7);
    assert_true(cbor_done(&r));
}

static bool refuses(const char *hex)
{
    uint8_t bytes[64];
    size_t len = strlen(hex) / 2;
    assert_int_equal(hex_decode(slice_text(hex), bytes, len), OK);
    struct cbor_reader skip = cbor_reader_of(slice_of(bytes, len));
    cbor_skip(&skip, 1);
    struct cbor_reader number = cbor_reader_of(slice_of(bytes, len));
    cbor_uint(&number, UINT64_MAX);
    struct cbor_reader text = cbor_reader_of(slice_of(bytes, len));
    cbor_bytes(&text, 1000);
    return skip.failed && number.failed && text.failed;
}

static void what_is_not_in_the_subset_is_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "1800",               /* 0 in two bytes */
        "1817",               /* 23 in two bytes */
        "190000",             /* 0 in three */
        "1900ff",             /* 255 in three */
        "1a0000ffff",         /* 65535 in five */
        "1b00000000ffffffff", /* 4294967295 in nine */
        "5801"
        "61", /* one byte with a long head */
        "98"
        "01"
        "00", /* one element with a long head */
        "18", /* cut heads */
        "19ff",
        "1a000000",
        "1b00000000000000",
        "42"
        "61", /* cut bytes */
        "5affffffff",
        "5bffffffffffffffff",
        "82"
        "01",                 /* cut array */
        "9bffffffffffffffff", /* an array of 2^64 - 1 elements */
        "1c",
        "1d",
        "1e",
        "1f", /* reserved, indefinite */
        "20", /* negative */
        "60",
        "6161", /* text */
        "a0",
        "a10101", /* map */
        "c001",   /* tag */
        "f4",
        "f5",
        "f6",
        "f7",
        "f90000",
        "fa00000000",
        "ff", /* simple, floating, break */
        "5f"
        "4161"
        "ff", /* indefinite bytes */
        "9f"
        "01"
        "ff", /* indefinite array */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (!refuses(bad[i])) fail_msg("%s was read", bad[i]);
    }
}

static void skipping_stops_at_its_depth(void **state)
{
    (void)state;
    uint8_t nested[CBOR_DEPTH_MAX + 2];
    memset(nested, 0x81, sizeof nested);
    nested[CBOR_DEPTH_MAX - 1] = 0x00; /* arrays within arrays, then a number */
    struct cbor_reader r = cbor_reader_of(slice_of(nested, CBOR_DEPTH_MAX));
    cbor_skip(&r, 1);
    assert_true(cbor_done(&r));
    memset(nested, 0x81, sizeof nested);
    nested[CBOR_DEPTH_MAX + 1] = 0x00;
    r = cbor_reader_of(slice_of(nested, sizeof nested));
    cbor_skip(&r, 1);
    assert_true(r.failed);
}

static void skipping_takes_exactly_one_value(void **state)
{
    (void)state;
    struct cbor_reader r = cbor_reader_of(SLICE("\x82\x43"
                                                "abc\x81\x18\x64\x05"));
    cbor_skip(&r, 1);
    assert_int_equal(cbor_uint(&r, 9), 5);
    assert_true(cbor_done(&r));
}

static void a_failed_reader_gives_nothing_any_more(void **state)
{
    (void)state;
    struct cbor_reader r = cbor_reader_of(SLICE("\x60\x05"));
    cbor_uint(&r, 9);
    assert_true(r.failed);
    assert_int_equal(cbor_uint(&r, 9), 0);
    assert_null(cbor_fixed(&r, 1));
    assert_int_equal(cbor_array(&r, 9), 0);
    assert_false(cbor_done(&r));
}

static void every_prefix_of_a_message_is_refused(void **state)
{
    (void)state;
    uint8_t memory[100];
    struct writer w = writer_of(memory, sizeof memory);
    cbor_put_array(&w, 4);
    cbor_put_uint(&w, 70000);
    cbor_put_bytes(&w, SLICE("some bytes"));
    cbor_put_array(&w, 1);
    cbor_put_uint(&w, 1);
    cbor_put_uint(&w, 300);
    for (size_t len = 0; len < w.len; len++) {
        /* A copy of its own, so that the sanitizer sees a read past the end. */
        uint8_t *copy = malloc(len ? len : 1);
        memcpy(copy, memory, len);
        struct cbor_reader r = cbor_reader_of(slice_of(copy, len));
        cbor_skip(&r, 1);
        assert_true(r.failed);
        free(copy);
    }
    struct cbor_reader r = cbor_reader_of(writer_slice(&w));
    cbor_skip(&r, 1);
    assert_true(cbor_done(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_written_in_their_shortest_form_and_read_back),
        cmocka_unit_test(a_value_over_the_maximum_is_refused),
        cmocka_unit_test(bytes_and_arrays_are_read_back),
        cmocka_unit_test(what_is_not_in_the_subset_is_malformed),
        cmocka_unit_test(skipping_stops_at_its_depth),
        cmocka_unit_test(skipping_takes_exactly_one_value),
        cmocka_unit_test(a_failed_reader_gives_nothing_any_more),
        cmocka_unit_test(every_prefix_of_a_message_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
