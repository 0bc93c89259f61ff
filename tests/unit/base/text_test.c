/* utf8 and the rule for names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

/* By the definition of RFC 3629, the long way round. */
static size_t encode(uint32_t point, uint8_t out[4])
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len - 1; i > 0; i--, point >>= 6)
        out[i] = (uint8_t)(0x80 | (point & 0x3F));
    out[0] = (uint8_t)(lead[len] | point);
    return len;
}

static void every_code_point_is_read_and_surrogates_are_not(void **state)
{
    (void)state;
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        uint8_t bytes[4];
        slice s = slice_of(bytes, encode(point, bytes));
        uint32_t got = 0;
        bool surrogate = point >= 0xD800 && point <= 0xDFFF;
        int rc = utf8_next(&s, &got);
        if (surrogate ? rc != ERR_MALFORMED : rc != OK || got != point || s.len != 0)
            fail_msg("U+%04X", point);
    }
}

/* Which two bytes are valid must follow from the code points alone. */
static void no_other_sequence_of_two_bytes_is_valid(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            uint8_t bytes[2] = {(uint8_t)a, (uint8_t)b};
            bool expected = (a < 0x80 && b < 0x80) || (a >= 0xC2 && a <= 0xDF && b >= 0x80 && b <= 0xBF);
            if (utf8_valid(slice_of(bytes, 2)) != expected) fail_msg("%02x %02x", a, b);
        }
    }
}

static void overlong_and_too_large_forms_are_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x80\x80",
        "\xE0\x9F\xBF",
        "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xF8\x88\x80\x80",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xFE",
        "\xFF",
        "\x80",
        "\xBF",
        "\xC2",
        "\xE1\x80",
        "\xF1\x80\x80",
        "\xC2"
        "a",
        "\xE1\x80"
        "a",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        slice s = slice_text(bad[i]), before = s;
        uint32_t point;
        assert_int_equal(utf8_next(&s, &point), ERR_MALFORMED);
        assert_true(s.ptr == before.ptr && s.len == before.len);
    }
}

static void empty_text_is_valid_and_has_no_next(void **state)
{
    (void)state;
    slice s = SLICE_EMPTY;
    uint32_t point;
    assert_int_equal(utf8_next(&s, &point), ERR_AGAIN);
    assert_true(utf8_valid(SLICE_EMPTY));
    assert_int_equal(utf8_length(slice_text("a\u00e9\u6f22\U0001F600")), 4);
}

/* The slow way, by which the fast one is judged. */
static bool valid_by_points(slice text)
{
    uint32_t point;
    while (text.len) {
        if (utf8_next(&text, &point) < 0) return false;
    }
    return true;
}

/* Bytes from which code points are made and broken, so that random strings of them are often nearly valid. */
static void pieces_are_judged_like_the_whole_wherever_they_are_cut(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {'a',  0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF,
                                    0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF, 'b'};
    uint32_t random = 1;
    unsigned valid = 0;
    for (unsigned round = 0; round < 200000; round++) {
        uint8_t text[44];
        size_t ascii = round % 3 ? 0 : 40, len = ascii + 1 + round % 4;
        memset(text, 'x', ascii);
        for (size_t i = ascii; i < len; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = bytes[(random >> 16) % sizeof bytes];
        }
        bool expected = valid_by_points(slice_of(text, len));
        valid += expected;
        for (size_t cut = 0; cut <= len; cut++) {
            struct utf8_pieces p = {0};
            bool got = utf8_pieces_take(&p, slice_of(text, cut)) &&
                       utf8_pieces_take(&p, slice_of(text + cut, len - cut)) && utf8_pieces_whole(&p);
            if (got != expected) fail_msg("round %u cut at %zu", round, cut);
        }
    }
    assert_true(valid > 1000);
}

static void what_cannot_become_valid_is_refused_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t good; /* bytes that could still become valid */
    } cases[] = {{"\xC0", 0},     {"\xE0\x9F", 1},    {"\xED\xA0", 1},        {"\xF0\x8F", 1},
                 {"\xF4\x90", 1}, {"ab\xE1\x80x", 4}, {"\xF1\x80\x80\xC2", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct utf8_pieces p = {0};
        const uint8_t *text = (const uint8_t *)cases[i].text;
        for (size_t k = 0; k < cases[i].good; k++)
            assert_true(utf8_pieces_take(&p, slice_of(text + k, 1)));
        assert_false(utf8_pieces_take(&p, slice_of(text + cases[i].good, 1)));
    }
}

static int check(const char *name)
{
    return name_check(slice_text(name));
}

static void names_of_many_scripts_are_allowed(void **state)
{
    (void)state;
    static const char *const good[] = {"an",
                                       "Nguy\u1ec5n",
                                       "Jo\u00e3o",
                                       "\u6f22\u5b57",
                                       "\u0410\u043d\u043d\u0430",
                                       "\u0e2a\u0e21",
                                       "a_b.c-d",
                                       "\u0645\u062d\u0645\u062f",
                                       "x1",
                                       "1",
                                       "e\u0301",
                                       "\u0928\u092e\u0938\u094d\u0924\u0947"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (check(good[i]) != OK) fail_msg("%s", good[i]);
    }
}

static void names_that_deceive_or_carry_markup_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "a b",      "a\tb",        "a\nb",     "<b>",      "a&b",      "a\"b",     "a'b",
        "a/b",        "a\\b",     "a\u00a0b",    "a\u2003b", "a\u200bb", "a\u200db", "a\u202eb", "a\u2060b",
        "a\u3000b",   "a\ufeffb", "a\u00adb",    "a\u180eb", "a\u2028b", "a\u0600b", "a\u070fb", "a\ue000b",
        "\U0001F600", "a\u2800b", "\u3164",      "\u115f",   "...",      "-_-",      "a\x7f",    "a\xC2\x80",
        "a\xC2\x85",  "a\u2066b", "a\U000E0041", "a\uff1cb", "a@b",      "a%b",      "a#b",      "a:b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (check(bad[i]) != ERR_INVALID) fail_msg("%s (%d)", bad[i], check(bad[i]));
    }
    assert_int_equal(check("a\xff"), ERR_MALFORMED);
}

static void names_have_at_most_32_code_points(void **state)
{
    (void)state;
    char name[3 * 33 + 1] = "";
    for (size_t i = 0; i < 33; i++)
        memcpy(name + 3 * i, "\u6f22", 3);
    name[3 * 32] = 0;
    assert_int_equal(check(name), OK);
    name[3 * 32] = '\xE6';
    assert_int_equal(check(name), ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_read_and_surrogates_are_not),
        cmocka_unit_test(no_other_sequence_of_two_bytes_is_valid),
        cmocka_unit_test(overlong_and_too_large_forms_are_malformed),
        cmocka_unit_test(empty_text_is_valid_and_has_no_next),
        cmocka_unit_test(pieces_are_judged_like_the_whole_wherever_they_are_cut),
        cmocka_unit_test(what_cannot_become_valid_is_refused_at_once),
        cmocka_unit_test(names_of_many_scripts_are_allowed),
        cmocka_unit_test(names_that_deceive_or_carry_markup_are_refused),
        cmocka_unit_test(names_have_at_most_32_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
