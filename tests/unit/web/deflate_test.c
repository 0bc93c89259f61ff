/* Messages compressed and inflated by themselves (RFC 7692). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "web/deflate.h"

enum { LARGE = 300 * 1024 };

static struct deflater *d;
static uint8_t large[LARGE];

static int set_up(void **state)
{
    (void)state;
    d = deflater_new();
    uint32_t random = 7;
    for (size_t i = 0; i < LARGE; i++) {
        random = random * 1664525 + 1013904223;
        large[i] = i % 5 ? (uint8_t)('a' + (random >> 30)) : (uint8_t)(random >> 24);
    }
    return d ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    deflater_free(d);
    return 0;
}

static void expect_text(slice packed, const char *text)
{
    slice out;
    assert_int_equal(deflater_unpack(d, packed, strlen(text), &out), OK);
    assert_int_equal(out.len, strlen(text));
    if (out.len) assert_memory_equal(out.ptr, text, out.len);
}

static void the_examples_of_the_rfc_are_inflated(void **state)
{
    (void)state;
    expect_text(SLICE("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello");                         /* 7.2.3.1 */
    expect_text(SLICE("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello");         /* 7.2.3.3 */
    expect_text(SLICE("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello");                     /* 7.2.3.4 */
    expect_text(SLICE("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello"); /* 7.2.3.5 */
    expect_text(SLICE("\x00"), "");                                                      /* 7.2.3.6 */
}

static void what_is_packed_is_unpacked_for_every_length_and_window(void **state)
{
    (void)state;
    static const size_t lengths[] = {20, 100, 511, 513, 4095, 4096, 4097, 32768, 32769, LARGE};
    for (unsigned bits = 9; bits <= 15; bits++) {
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            size_t n = lengths[i], third = n / 3;
            const struct wr_bytes parts[] = {
                {large, third}, {NULL, 0}, {large + third, n - third}}; /* one message */
            slice packed, out;
            int rc = deflater_pack(d, parts, 3, n, bits, &packed);
            if (n < 100 && rc == ERR_TOO_LARGE) continue;
            assert_int_equal(rc, OK);
            assert_true(packed.len < n);
            assert_int_equal(deflater_unpack(d, packed, n, &out), OK);
            assert_int_equal(out.len, n);
            assert_memory_equal(out.ptr, large, n);
        }
    }
}

/* Inflates with a window of exactly these bits, as a receiver with little memory does. */
static int inflate_small(slice packed, int bits, uint8_t *out, size_t room)
{
    z_stream z = {0};
    int rc = Z_OK;
    assert_int_equal(inflateInit2(&z, -bits), Z_OK);
    /* In small pieces: only the window remembers what came before. */
    z.next_in = (Bytef *)(uintptr_t)packed.ptr;
    z.avail_in = (uInt)packed.len;
    z.next_out = out;
    for (size_t done = 0; done < room && rc == Z_OK; done += 64) {
        z.avail_out = (uInt)(room - done < 64 ? room - done : 64);
        rc = inflate(&z, Z_SYNC_FLUSH);
    }
    inflateEnd(&z);
    return rc;
}

static void nothing_reaches_back_further_than_the_window_of_the_receiver(void **state)
{
    (void)state;
    static uint8_t out[LARGE], far_copy[LARGE];
    /* The same bytes again after each 20,000: a large window finds them. */
    for (size_t i = 0; i < LARGE; i++)
        far_copy[i] = large[i % 20000];
    for (unsigned bits = 9; bits <= 15; bits++) {
        for (size_t n = 64; n <= LARGE; n = n * 3 + 1) {
            slice packed;
            if (deflater_pack(d, &(struct wr_bytes){far_copy, n}, 1, n, bits, &packed) < 0) continue;
            assert_int_equal(inflate_small(packed, (int)bits, out, n), Z_OK);
            assert_memory_equal(out, far_copy, n);
        }
    }
}

static void what_was_packed_for_all_fits_where_it_says_so(void **state)
{
    (void)state;
    static uint8_t out[LARGE];
    unsigned fits = 0, not = 0;
    for (unsigned bits = 9; bits <= 15; bits++) {
        for (size_t n = 100; n <= 40000; n = n * 2 + 13) {
            slice packed;
            assert_int_equal(deflater_pack(d, &(struct wr_bytes){large, n}, 1, n, 15, &packed), OK);
            if (!deflater_fits(n, bits)) {
                not++;
                continue;
            }
            fits++;
            assert_int_equal(inflate_small(packed, (int)bits, out, n), Z_OK);
            assert_memory_equal(out, large, n);
        }
    }
    assert_true(fits > 10 && not> 10);
}

static void a_message_does_not_depend_on_the_one_before(void **state)
{
    (void)state;
    const struct wr_bytes message = {large, 1000};
    uint8_t first[1000];
    slice packed;
    assert_int_equal(deflater_pack(d, &message, 1, 1000, 15, &packed), OK);
    size_t len = packed.len;
    memcpy(first, packed.ptr, len);
    assert_int_equal(deflater_pack(d, &message, 1, 1000, 15, &packed), OK);
    assert_int_equal(packed.len, len);
    assert_memory_equal(packed.ptr, first, len);
}

static void what_does_not_become_shorter_is_not_packed(void **state)
{
    (void)state;
    uint8_t noise[5000];
    uint32_t random = 3;
    for (size_t i = 0; i < sizeof noise; i++) {
        random = random * 1664525 + 1013904223;
        noise[i] = (uint8_t)(random >> 24);
    }
    slice packed;
    for (size_t n = 1; n <= sizeof noise; n += 7)
        assert_int_equal(deflater_pack(d, &(struct wr_bytes){noise, n}, 1, n, 15, &packed), ERR_TOO_LARGE);
    assert_int_equal(deflater_pack(d, &(struct wr_bytes){"abc", 3}, 1, 3, 15, &packed), ERR_TOO_LARGE);
    /* and the next one is none the worse for it */
    assert_int_equal(deflater_pack(d, &(struct wr_bytes){large, 1000}, 1, 1000, 15, &packed), OK);
    slice out;
    assert_int_equal(deflater_unpack(d, packed, 1000, &out), OK);
    assert_memory_equal(out.ptr, large, 1000);
}

static void bombs_stop_at_the_limit(void **state)
{
    (void)state;
    static uint8_t zeros[4 << 20];
    slice packed, out;
    assert_int_equal(deflater_pack(d, &(struct wr_bytes){zeros, sizeof zeros}, 1, sizeof zeros, 15, &packed),
                     OK);
    assert_true(packed.len < sizeof zeros / 200);
    assert_int_equal(deflater_unpack(d, packed, sizeof zeros, &out), OK);
    assert_int_equal(deflater_unpack(d, packed, sizeof zeros - 1, &out), ERR_TOO_LARGE);
    assert_int_equal(deflater_unpack(d, packed, 1, &out), ERR_TOO_LARGE);
    assert_int_equal(deflater_unpack(d, packed, 0, &out), ERR_TOO_LARGE);
    deflater_unpack_done(d);
    expect_text(SLICE("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello");
}

static void what_is_cut_off_or_broken_is_malformed(void **state)
{
    (void)state;
    slice packed, out;
    assert_int_equal(deflater_pack(d, &(struct wr_bytes){large, 2000}, 1, 2000, 15, &packed), OK);
    uint8_t copy[2000];
    size_t len = packed.len;
    memcpy(copy, packed.ptr, len);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(deflater_unpack(d, slice_of(copy, cut), 4000, &out), ERR_MALFORMED);
    assert_int_equal(deflater_unpack(d, SLICE("\x07"), 100, &out), ERR_MALFORMED); /* type 3 */
    assert_int_equal(deflater_unpack(d, SLICE("\x00\x05\x00\xfa\xfeHello"), 100, &out), ERR_MALFORMED);
    assert_int_equal(deflater_unpack(d, SLICE("\x4b\x04\x62\x00"), 100, &out),
                     ERR_MALFORMED);                                             /* too far back */
    assert_int_equal(deflater_unpack(d, SLICE_EMPTY, 100, &out), ERR_MALFORMED); /* at least 00 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_are_inflated),
        cmocka_unit_test(what_is_packed_is_unpacked_for_every_length_and_window),
        cmocka_unit_test(nothing_reaches_back_further_than_the_window_of_the_receiver),
        cmocka_unit_test(what_was_packed_for_all_fits_where_it_says_so),
        cmocka_unit_test(a_message_does_not_depend_on_the_one_before),
        cmocka_unit_test(what_does_not_become_shorter_is_not_packed),
        cmocka_unit_test(bombs_stop_at_the_limit),
        cmocka_unit_test(what_is_cut_off_or_broken_is_malformed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
