/* Conditional requests, entity tags and the dates that they are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/condition.h"
#include "http/date.h"

enum { NOW_S = 1795000000 }; /* in November 2026 */

static int64_t seconds_of(const char *text, int64_t now_s)
{
    int64_t seconds;
    return http_date_parse(slice_text(text), now_s, &seconds) == OK ? seconds : INT64_MIN;
}

static void the_three_forms_of_a_date_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } dates[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
        {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Mon, 01 Jan 0001 00:00:00 GMT", -62135596800},
    };
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        int64_t got = seconds_of(dates[i].text, NOW_S);
        if (got != dates[i].seconds) fail_msg("%s: %lld", dates[i].text, (long long)got);
    }
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    uint64_t seconds = 1;
    for (int i = 0; i < 20000; i++) {
        char text[HTTP_DATE_BYTES + 1];
        seconds = (seconds * 6364136223846793005u + 1442695040888963407u);
        int64_t wanted = (int64_t)((seconds >> 20) % 253402300800);
        http_date_write(wanted, text);
        if (seconds_of(text, NOW_S) != wanted) fail_msg("%s", text);
    }
}

static void two_digits_of_a_year_are_never_more_than_50_years_ahead(void **state)
{
    (void)state;
    assert_int_equal(seconds_of("Friday, 01-Jan-76 00:00:00 GMT", NOW_S),
                     seconds_of("Wed, 01 Jan 2076 00:00:00 GMT", NOW_S));
    assert_int_equal(seconds_of("Saturday, 01-Jan-77 00:00:00 GMT", NOW_S),
                     seconds_of("Sat, 01 Jan 1977 00:00:00 GMT", NOW_S));
    assert_int_equal(seconds_of("Thursday, 01-Jan-26 00:00:00 GMT", NOW_S),
                     seconds_of("Thu, 01 Jan 2026 00:00:00 GMT", NOW_S));
    assert_int_equal(seconds_of("Saturday, 01-Jan-00 00:00:00 GMT", 784111777),
                     seconds_of("Sat, 01 Jan 2000 00:00:00 GMT", NOW_S));
}

static void other_dates_are_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 GMT",
        "Sun 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        ", 06 Nov 1994 08:49:37 GMT",
        "Sun, 06  1994 08:49:37 GMT",
        "Sun, 06 Nom 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 -8:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 19940 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994 ",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT; length=12",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (seconds_of(bad[i], NOW_S) != INT64_MIN) fail_msg("read: %s", bad[i]);
    }
    /* every beginning of a date, in memory of its own length */
    static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t n = 0; n < strlen(good[i]); n++) {
            int64_t seconds;
            char *copy = malloc(n ? n : 1);
            memcpy(copy, good[i], n);
            assert_int_equal(http_date_parse(slice_of(copy, n), NOW_S, &seconds), ERR_MALFORMED);
            free(copy);
        }
    }
}

static void entity_tags_are_compared_weakly_and_strongly(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool strong, weak;
    } rows[] = {
        /* RFC 9110 8.8.3.2 */
        {"W/\"1\"", "W/\"1\"", false, true},
        {"W/\"1\"", "W/\"2\"", false, false},
        {"W/\"1\"", "\"1\"", false, true},
        {"\"1\"", "\"1\"", true, true},
        {"", "", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        slice a = slice_text(rows[i].a), b = slice_text(rows[i].b);
        assert_int_equal(etag_equal(a, b, ETAG_STRONG), rows[i].strong);
        assert_int_equal(etag_equal(b, a, ETAG_STRONG), rows[i].strong);
        assert_int_equal(etag_equal(a, b, ETAG_WEAK), rows[i].weak);
        assert_int_equal(etag_equal(b, a, ETAG_WEAK), rows[i].weak);
    }
    assert_true(etag_valid(SLICE("\"\"")) && etag_valid(SLICE("W/\"a,b\\\"")));
    assert_false(etag_valid(SLICE("a")) || etag_valid(SLICE("\"a")) || etag_valid(SLICE("\"a\"b\"")));
    assert_false(etag_valid(SLICE("w/\"a\"")) || etag_valid(SLICE("\"a b\"")) || etag_valid(SLICE("\"a\" ")));
    assert_false(etag_valid(SLICE("")) || etag_valid(SLICE("W/")) || etag_valid(SLICE("\"")));
}

static bool in_list(const char *field, const char *etag)
{
    return etag_list_has(slice_text(field), slice_text(etag), ETAG_WEAK);
}

static void a_list_of_entity_tags_is_searched(void **state)
{
    (void)state;
    assert_true(in_list("\"a\"", "\"a\""));
    assert_true(in_list("\"x\", W/\"a\" ,\"y\"", "\"a\""));
    assert_true(in_list(",, \"x\",\t\"a\",", "\"a\""));
    assert_true(in_list("\"b,\\\", \"a\"", "\"a\"")); /* a comma and a backslash within a tag are its own */
    assert_true(in_list("*", "\"a\""));
    assert_true(in_list(" * ", "\"a\""));
    assert_false(in_list("\"b, \"a\"", "\"a\""));
    assert_false(in_list("a", "\"a\""));
    assert_false(in_list("\"aa\"", "\"a\""));
    assert_false(in_list("", "\"a\""));
    assert_false(in_list("\"x\" \"a\"", "\"a\""));
    assert_false(in_list("\"x\", *", "\"a\""));
}

#define D0 "Sun, 06 Nov 1994 08:49:36 GMT"
#define D1 "Sun, 06 Nov 1994 08:49:37 GMT" /* the representation's */
#define D2 "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct {
    int result;
    const char *method, *match, *unmodified, *none_match, *modified;
} conditions[] = {
    {0, "GET", NULL, NULL, NULL, NULL},
    /* If-Match: strong */
    {0, "PUT", "\"a\"", NULL, NULL, NULL},
    {0, "PUT", "\"x\", \"a\"", NULL, NULL, NULL},
    {0, "PUT", "*", NULL, NULL, NULL},
    {412, "PUT", "\"x\"", NULL, NULL, NULL},
    {412, "PUT", "W/\"a\"", NULL, NULL, NULL},
    {412, "PUT", "", NULL, NULL, NULL},
    {412, "GET", "\"x\"", NULL, NULL, NULL},
    /* If-Unmodified-Since only without If-Match */
    {0, "PUT", NULL, D1, NULL, NULL},
    {0, "PUT", NULL, D2, NULL, NULL},
    {412, "PUT", NULL, D0, NULL, NULL},
    {412, "GET", NULL, D0, NULL, NULL},
    {0, "PUT", "\"a\"", D0, NULL, NULL},
    {412, "PUT", "\"x\"", D2, NULL, NULL},
    {0, "PUT", NULL, "yesterday", NULL, NULL},
    {0, "PUT", NULL, "", NULL, NULL},
    /* If-None-Match: weak */
    {304, "GET", NULL, NULL, "\"a\"", NULL},
    {304, "HEAD", NULL, NULL, "W/\"a\"", NULL},
    {304, "GET", NULL, NULL, "*", NULL},
    {412, "PUT", NULL, NULL, "*", NULL},
    {412, "DELETE", NULL, NULL, "\"a\"", NULL},
    {0, "GET", NULL, NULL, "\"x\"", NULL},
    {0, "PUT", NULL, NULL, "\"x\"", NULL},
    {0, "GET", NULL, NULL, "", NULL},
    /* If-Modified-Since only for GET and HEAD without If-None-Match */
    {304, "GET", NULL, NULL, NULL, D1},
    {304, "HEAD", NULL, NULL, NULL, D2},
    {304, "GET", NULL, NULL, NULL, "Sunday, 06-Nov-94 08:49:37 GMT"},
    {304, "GET", NULL, NULL, NULL, "Sun Nov  6 08:49:37 1994"},
    {0, "GET", NULL, NULL, NULL, D0},
    {0, "POST", NULL, NULL, NULL, D1},
    {0, "GET", NULL, NULL, NULL, "now"},
    {0, "GET", NULL, NULL, "\"x\"", D2},
    {304, "GET", NULL, NULL, "\"a\"", D0},
    /* all of them: the first two decide first */
    {304, "GET", "\"a\"", NULL, "\"a\"", NULL},
    {412, "GET", "\"x\"", NULL, "\"a\"", D1},
    {412, "GET", NULL, D0, "\"a\"", D1},
    {0, "GET", "\"a\"", D0, "\"x\"", D1},
};

static int evaluate(size_t i, const struct http_validators *v)
{
    struct http_conditions c = {slice_text(conditions[i].match), slice_text(conditions[i].unmodified),
                                slice_text(conditions[i].none_match), slice_text(conditions[i].modified)};
    return (int)http_condition_evaluate(&c, v, slice_text(conditions[i].method), NOW_S);
}

static void conditions_are_judged_in_their_order(void **state)
{
    (void)state;
    const struct http_validators v = {.etag = SLICE("\"a\""), .modified_s = 784111777};
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        int got = evaluate(i, &v);
        if (got != conditions[i].result)
            fail_msg("%d, not %d: %s %s | %s | %s | %s", got, conditions[i].result, conditions[i].method,
                     conditions[i].match, conditions[i].unmodified, conditions[i].none_match,
                     conditions[i].modified);
    }
}

static int one(const char *method, const char *match, const char *none_match, const struct http_validators *v)
{
    struct http_conditions c = {.if_match = slice_text(match), .if_none_match = slice_text(none_match)};
    return (int)http_condition_evaluate(&c, v, slice_text(method), NOW_S);
}

static void what_is_not_there_matches_nothing(void **state)
{
    (void)state;
    const struct http_validators none = {.missing = true, .modified_s = -1}, plain = {.modified_s = -1};
    assert_int_equal(one("PUT", "*", NULL, &none), 412);
    assert_int_equal(one("PUT", NULL, "*", &none), 0);
    assert_int_equal(one("PUT", "*", NULL, &plain), 0);
    assert_int_equal(one("PUT", NULL, "*", &plain), 412);
    assert_int_equal(one("GET", "\"a\"", NULL, &plain), 412);
    assert_int_equal(one("GET", NULL, "\"\"", &plain), 0);
    /* without a date of its own, dates decide nothing */
    struct http_conditions c = {.if_unmodified_since = SLICE(D0)};
    assert_int_equal(http_condition_evaluate(&c, &plain, SLICE("PUT"), NOW_S), 0);
    c = (struct http_conditions){.if_modified_since = SLICE(D2)};
    assert_int_equal(http_condition_evaluate(&c, &plain, SLICE("GET"), NOW_S), 0);
    const struct http_validators epoch = {.modified_s = 0}; /* the date of many images of containers */
    assert_int_equal(http_condition_evaluate(&c, &epoch, SLICE("GET"), NOW_S), 304);
}

static void a_weak_etag_never_fulfils_if_match(void **state)
{
    (void)state;
    const struct http_validators weak = {.etag = SLICE("W/\"a\""), .modified_s = -1};
    assert_int_equal(one("PUT", "W/\"a\"", NULL, &weak), 412);
    assert_int_equal(one("PUT", "\"a\"", NULL, &weak), 412);
    assert_int_equal(one("GET", NULL, "\"a\"", &weak), 304);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_forms_of_a_date_are_read),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(two_digits_of_a_year_are_never_more_than_50_years_ahead),
        cmocka_unit_test(other_dates_are_malformed),
        cmocka_unit_test(entity_tags_are_compared_weakly_and_strongly),
        cmocka_unit_test(a_list_of_entity_tags_is_searched),
        cmocka_unit_test(conditions_are_judged_in_their_order),
        cmocka_unit_test(what_is_not_there_matches_nothing),
        cmocka_unit_test(a_weak_etag_never_fulfils_if_match),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
