/* slice, buffer, writer, hex, err: what everything else is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/hex.h"

/* An allocator that refuses after a number of calls, and counts what is held. */
struct scarce {
    int calls_left;
    size_t held;
};

static void *scarce_resize(void *context, void *ptr, size_t old_size, size_t size)
{
    struct scarce *s = context;
    if (size > 0 && s->calls_left-- <= 0) return NULL;
    s->held += size;
    s->held -= old_size;
    if (size > 0) return realloc(ptr, size);
    free(ptr);
    return NULL;
}

static void slices_compare_by_bytes_and_length(void **state)
{
    (void)state;
    assert_true(slice_equal(SLICE("abc"), SLICE("abc")));
    assert_false(slice_equal(SLICE("abc"), SLICE("abd")));
    assert_false(slice_equal(SLICE("abc"), SLICE("ab")));
    assert_true(slice_equal(SLICE_EMPTY, slice_text("")));
    assert_true(slice_equal_nocase(SLICE("Host"), SLICE("hOST")));
    assert_false(slice_equal_nocase(SLICE("a["), SLICE("a{"))); /* only letters have case */
    assert_true(slice_compare(SLICE("ab"), SLICE("abc")) < 0);
    assert_true(slice_compare(SLICE("b"), SLICE("abc")) > 0);
    assert_true(slice_compare(SLICE("\xff"), SLICE("a")) > 0); /* bytes are unsigned */
    assert_int_equal(slice_compare(SLICE_EMPTY, SLICE_EMPTY), 0);
    assert_true(slice_starts(SLICE("abc"), SLICE("ab")));
    assert_true(slice_starts(SLICE("abc"), SLICE_EMPTY));
    assert_false(slice_starts(SLICE("a"), SLICE("ab")));
}

static void a_part_of_a_slice_never_leaves_it(void **state)
{
    (void)state;
    slice s = SLICE("hello");
    assert_true(slice_equal(slice_sub(s, 1, 3), SLICE("ell")));
    assert_int_equal(slice_sub(s, 9, 3).len, 0);
    assert_int_equal(slice_sub(s, 3, SIZE_MAX).len, 2);
    assert_int_equal(slice_sub(SLICE_EMPTY, 1, 1).len, 0);
    assert_int_equal(slice_find(s, 'l'), 2);
    assert_int_equal(slice_find(s, 'x'), 5);
    assert_int_equal(slice_find(SLICE_EMPTY, 'x'), 0);
    assert_true(slice_equal(slice_trim(SLICE(" \t a b\t ")), SLICE("a b")));
    assert_int_equal(slice_trim(SLICE(" \t ")).len, 0);
}

static size_t count_parts(slice text)
{
    slice part;
    size_t n = 0;
    while (slice_split(&text, ',', &part))
        n++;
    return n;
}

static void splitting_visits_every_part_empty_ones_included(void **state)
{
    (void)state;
    slice rest = SLICE("a,,bc,"), part;
    assert_true(slice_split(&rest, ',', &part) && slice_equal(part, SLICE("a")));
    assert_true(slice_split(&rest, ',', &part) && part.len == 0);
    assert_true(slice_split(&rest, ',', &part) && slice_equal(part, SLICE("bc")));
    assert_true(slice_split(&rest, ',', &part) && part.len == 0);
    assert_false(slice_split(&rest, ',', &part));
    assert_int_equal(count_parts(SLICE("")), 1);
    assert_int_equal(count_parts(SLICE(",")), 2);
    assert_int_equal(count_parts(SLICE_EMPTY), 0);
}

static void numbers_are_digits_only_and_stop_at_the_maximum(void **state)
{
    (void)state;
    uint64_t v = 7;
    assert_true(slice_to_u64(SLICE("0"), 0, &v) && v == 0);
    assert_true(slice_to_u64(SLICE("18446744073709551615"), UINT64_MAX, &v) && v == UINT64_MAX);
    assert_true(slice_to_u64(SLICE("000255"), 255, &v) && v == 255);
    v = 7;
    assert_false(slice_to_u64(SLICE("18446744073709551616"), UINT64_MAX, &v));
    assert_false(slice_to_u64(SLICE("256"), 255, &v));
    assert_false(slice_to_u64(SLICE("9"), 5, &v));
    assert_false(slice_to_u64(SLICE(""), 5, &v));
    assert_false(slice_to_u64(SLICE("+1"), 5, &v));
    assert_false(slice_to_u64(SLICE(" 1"), 5, &v));
    assert_false(slice_to_u64(SLICE("0x1"), 5, &v));
    assert_int_equal(v, 7); /* written only on success */
}

static void a_writer_stays_within_its_memory_and_fails_for_good(void **state)
{
    (void)state;
    uint8_t memory[5] = "....#";
    struct writer w = writer_of(memory, 4);
    writer_put(&w, SLICE("abc"));
    writer_put(&w, SLICE("de"));
    assert_true(w.failed);
    writer_byte(&w, 'd'); /* would fit, but comes after the failure */
    assert_int_equal(w.len, 3);
    assert_memory_equal(memory, "abc.#", 5);
    w = writer_of(memory, 4);
    writer_put(&w, SLICE("abcd"));
    writer_put(&w, SLICE_EMPTY);
    assert_false(w.failed);
}

static void a_buffer_never_holds_more_than_its_maximum(void **state)
{
    (void)state;
    for (size_t max = 0; max < 200; max += 7) {
        struct buffer b;
        buffer_init(&b, &allocator_libc, max);
        for (size_t i = 0; i < max; i++)
            buffer_byte(&b, (uint8_t)i);
        assert_false(b.failed);
        assert_int_equal(b.len, max);
        buffer_byte(&b, 1);
        assert_true(b.failed);
        assert_int_equal(b.len, max);
        buffer_reset(&b);
        assert_false(b.failed);
    }
}

static void a_buffer_without_memory_keeps_what_it_had_and_leaks_nothing(void **state)
{
    (void)state;
    struct scarce scarce = {.calls_left = 1};
    struct allocator allocator = {&scarce, scarce_resize};
    struct buffer b;
    buffer_init(&b, &allocator, 1000);
    buffer_text(&b, "kept");
    uint8_t much[500] = {0};
    buffer_put(&b, slice_of(much, sizeof much));
    assert_true(b.failed);
    assert_true(slice_equal(buffer_slice(&b), SLICE("kept")));
    assert_int_equal(buffer_reserve(&b, 1), ERR_FULL);
    buffer_reset(&b);
    assert_int_equal(scarce.held, 0);
}

static void a_buffer_is_consumed_from_the_front(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, &allocator_libc, 100);
    buffer_u64(&b, 0);
    buffer_u64(&b, UINT64_MAX);
    assert_true(slice_equal(buffer_slice(&b), SLICE("018446744073709551615")));
    buffer_consume(&b, 1);
    assert_true(slice_equal(buffer_slice(&b), SLICE("18446744073709551615")));
    buffer_consume(&b, 99);
    assert_int_equal(b.len, 0);
    buffer_reset(&b);
}

static void hexadecimal_goes_there_and_back(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    char text[513];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    hex_encode(slice_of(all, sizeof all), text);
    assert_int_equal(strlen(text), 512);
    assert_int_equal(hex_decode(slice_text(text), back, sizeof back), OK);
    assert_memory_equal(all, back, sizeof all);
    assert_int_equal(hex_decode(SLICE("aBcD"), back, 2), OK);
    assert_int_equal(back[0], 0xAB);
    assert_int_equal(hex_decode(SLICE("abc"), back, 2), ERR_MALFORMED);
    assert_int_equal(hex_decode(SLICE("abcd"), back, 1), ERR_MALFORMED);
    assert_int_equal(hex_decode(SLICE("ag"), back, 1), ERR_MALFORMED);
}

static void every_error_has_a_name_a_sentence_and_a_class(void **state)
{
    (void)state;
    for (int i = 0; i < (int)ERR_INDEX_COUNT; i++) {
        assert_true(strlen(err_name(-i)) > 0);
        assert_true(strlen(err_text(-i)) > 3);
    }
    assert_string_equal(err_name(ERR_TOO_LARGE), "TOO_LARGE");
    assert_int_equal(err_class_of(ERR_TOO_LARGE), ERR_CLASS_LIMIT);
    assert_string_equal(err_text(-1000), "unknown error");
    assert_string_equal(err_text(5), "unknown error");
}

static void arrays_whose_size_overflows_are_refused(void **state)
{
    (void)state;
    assert_null(alloc_array(&allocator_libc, SIZE_MAX / 2, 4));
    uint8_t *zeroed = alloc_array(&allocator_libc, 10, 10);
    for (int i = 0; i < 100; i++)
        assert_int_equal(zeroed[i], 0);
    alloc_free(&allocator_libc, zeroed, 100);
    alloc_free(&allocator_libc, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_bytes_and_length),
        cmocka_unit_test(a_part_of_a_slice_never_leaves_it),
        cmocka_unit_test(splitting_visits_every_part_empty_ones_included),
        cmocka_unit_test(numbers_are_digits_only_and_stop_at_the_maximum),
        cmocka_unit_test(a_writer_stays_within_its_memory_and_fails_for_good),
        cmocka_unit_test(a_buffer_never_holds_more_than_its_maximum),
        cmocka_unit_test(a_buffer_without_memory_keeps_what_it_had_and_leaks_nothing),
        cmocka_unit_test(a_buffer_is_consumed_from_the_front),
        cmocka_unit_test(hexadecimal_goes_there_and_back),
        cmocka_unit_test(every_error_has_a_name_a_sentence_and_a_class),
        cmocka_unit_test(arrays_whose_size_overflows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
