/* Which names count as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "account/fold.h"

static bool same(const char *a, const char *b)
{
    uint8_t key_a[FOLD_KEY_BYTES_MAX], key_b[FOLD_KEY_BYTES_MAX];
    int len_a = fold_name(slice_text(a), key_a), len_b = fold_name(slice_text(b), key_b);
    assert_true(len_a > 0 && len_b > 0);
    return slice_equal(slice_of(key_a, (size_t)len_a), slice_of(key_b, (size_t)len_b));
}

static void case_does_not_count(void **state)
{
    (void)state;
    assert_true(same("Alice", "aLICE"));
    assert_true(same("ÉMILE", "émile"));
    assert_true(same("ΣΟΦΙΑ", "σοφια"));
    assert_true(same("σοφίας", "ΣΟΦΊΑΣ")); /* the small sigma at the end */
    assert_true(same("Жанна", "ЖАННА"));
    assert_true(same("Straße", "STRASSE"));
}

static void the_spelling_of_accents_does_not_count_but_they_do(void **state)
{
    (void)state;
    assert_true(same("Nguyễn", "Nguye\xcc\x82\xcc\x83n")); /* e, circumflex, tilde */
    assert_true(same("Đạt", "Đa\xcc\xa3t"));               /* a, dot below */
    assert_true(same("ậ", "a\xcc\xa3\xcc\x82"));           /* both orders of two marks */
    assert_true(same("ậ", "a\xcc\x82\xcc\xa3"));
    assert_true(same("が", "か\xe3\x82\x99"));                       /* kana with a voiced mark */
    assert_true(same("한", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab")); /* a Hangul syllable and its letters */
    assert_false(same("José", "Jose"));
    assert_false(same("Nguyễn", "Nguyên"));
}

static void letters_drawn_like_latin_ones_count_as_those(void **state)
{
    (void)state;
    assert_true(same("alice", "\xd0\xb0lice")); /* Cyrillic a */
    assert_true(same("BOB", "\xd0\x92\xd0\x9e\xd0\x92"));
    assert_true(same("pope", "\xd1\x80\xd0\xbe\xd1\x80\xd0\xb5"));
    assert_true(same("Kai", "\xce\x9a\xce\xb1\xce\xb9")); /* Greek */
    assert_true(same("bob", "ｂｏｂ"));                   /* full-width */
    assert_true(same("Ilo", "\xc4\xb1lo"));               /* i without a dot */
    assert_true(same("fi", "ﬁ"));
}

static void other_names_stay_apart(void **state)
{
    (void)state;
    static const char *const names[] = {
        "alice", "alice2", "al.ice", "al_ice", "al-ice", "bob",  "b0b",  "leet", "l33t", "李雷",  "李磊",
        "Юля",   "ユリ",   "ハ",     "バ",     "パ",     "مريم", "מרים", "नीता", "நீலா",  "ñandu", "nandu"};
    size_t count = sizeof names / sizeof names[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++)
            assert_int_equal(same(names[i], names[j]), i == j);
    }
}

static void a_name_that_may_not_be_is_refused(void **state)
{
    (void)state;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    static const char *const bad[] = {
        "", "a b", "<b>", "\xff", "...", "a\xe2\x80\x8b", "123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fold_name(slice_text(bad[i]), key), ERR_INVALID);
}

static slice utf8_of(uint32_t c, uint8_t room[3])
{
    if (c < 0x800) {
        room[0] = (uint8_t)(0xC0 | c >> 6);
        room[1] = (uint8_t)(0x80 | (c & 0x3F));
        return slice_of(room, 2);
    }
    room[0] = (uint8_t)(0xE0 | c >> 12);
    room[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    room[2] = (uint8_t)(0x80 | (c & 0x3F));
    return slice_of(room, 3);
}

static void every_letter_of_the_table_fits_32_times_and_its_key_is_its_own_key(void **state)
{
    (void)state;
    size_t seen = 0;
    for (size_t i = 0; i < fold_table_count; i++) {
        if (i) assert_true(fold_table[i - 1].from < fold_table[i].from);
        uint8_t room[3], name[32 * 3], key[FOLD_KEY_BYTES_MAX], again[FOLD_KEY_BYTES_MAX];
        slice letter = utf8_of(fold_table[i].from, room);
        if (name_check(letter)) continue;
        seen++;
        for (size_t n = 0; n < 32; n++)
            memcpy(name + n * letter.len, letter.ptr, letter.len);
        assert_true(fold_name(slice_of(name, 32 * letter.len), key) > 0);
        int len = fold_name(letter, key);
        if (name_check(slice_of(key, (size_t)len))) continue; /* a key may hold what a name may not */
        if (fold_name(slice_of(key, (size_t)len), again) != len || memcmp(key, again, (size_t)len) != 0)
            fail_msg("U+%04X folds differently the second time", fold_table[i].from);
    }
    assert_true(seen > 1500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_does_not_count),
        cmocka_unit_test(the_spelling_of_accents_does_not_count_but_they_do),
        cmocka_unit_test(letters_drawn_like_latin_ones_count_as_those),
        cmocka_unit_test(other_names_stay_apart),
        cmocka_unit_test(a_name_that_may_not_be_is_refused),
        cmocka_unit_test(every_letter_of_the_table_fits_32_times_and_its_key_is_its_own_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
