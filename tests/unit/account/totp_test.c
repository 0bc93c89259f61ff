/* The codes of RFC 6238, secrets in base 32 of RFC 4648, and how codes are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "account/ticket.h"
#include "account/totp.h"

static const slice rfc_secret = {(const uint8_t *)"12345678901234567890", 20};

static void codes_are_those_of_rfc_6238(void **state)
{
    (void)state;
    static const struct {
        uint64_t time_s;
        uint32_t code; /* 8 digits, SHA-1: appendix B */
    } vectors[] = {{59, 94287082},         {1111111109, 7081804},  {1111111111, 14050471},
                   {1234567890, 89005924}, {2000000000, 69279037}, {20000000000, 65353130}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_int_equal(totp_code(rfc_secret, vectors[i].time_s / 30, 8), vectors[i].code);
}

static void codes_are_those_of_rfc_4226(void **state)
{
    (void)state;
    static const uint32_t codes[] = {755224, 287082, 359152, 969429, 338314,
                                     254676, 287922, 162583, 399871, 520489}; /* appendix D */
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(totp_code(rfc_secret, i, 6), codes[i]);
}

static bool matches(const char *code, uint64_t now_ms, uint64_t *out_step)
{
    return totp_matches(rfc_secret, slice_text(code), now_ms, out_step);
}

static void a_code_is_good_one_step_before_and_after_its_own(void **state)
{
    (void)state;
    uint64_t step = 0;
    char code[8];
    for (uint64_t now = 40; now < 60; now++) {
        for (int off = -3; off <= 3; off++) {
            uint64_t of = now + (uint64_t)off;
            snprintf(code, sizeof code, "%06u", totp_code(rfc_secret, of, 6));
            bool near = off >= -1 && off <= 1;
            assert_int_equal(matches(code, now * 30000 + 29999, &step), near);
            if (near) assert_int_equal(step, of);
        }
    }
}

static void a_code_is_six_digits_and_spaces(void **state)
{
    (void)state;
    uint64_t step;
    /* Step 1: 287082. */
    assert_true(matches("287082", 59000, &step));
    assert_true(matches(" 287 082 ", 59000, &step));
    const char *const wrong[] = {"",       "28708",   "2870820",  "0287082",
                                 "28708a", "-287082", "287082\n", "+87082"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(matches(wrong[i], 59000, &step));
    /* At the beginning of time there is no step before. */
    assert_true(matches("755224", 0, &step));
}

static void secrets_are_written_in_base_32(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "MY"},
                                             {"fo", "MZXQ"},
                                             {"foo", "MZXW6"},
                                             {"foob", "MZXW6YQ"},
                                             {"fooba", "MZXW6YTB"},
                                             {"foobar", "MZXW6YTBOI"}}; /* RFC 4648, 10 */
    char text[TOTP_SECRET_TEXT];
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        base32_write(slice_text(vectors[i][0]), text);
        assert_string_equal(text, vectors[i][1]);
    }
    uint8_t secret[TOTP_SECRET_BYTES], other[TOTP_SECRET_BYTES];
    totp_new_secret(secret);
    totp_new_secret(other);
    assert_memory_not_equal(secret, other, sizeof secret);
    base32_write(slice_of(secret, sizeof secret), text);
    assert_int_equal(strlen(text), 32);
}

static void the_uri_is_what_apps_read(void **state)
{
    (void)state;
    char uri[TOTP_URI_BYTES];
    assert_int_equal(totp_uri(SLICE("chat.example"), SLICE("bình"), rfc_secret, uri), OK);
    assert_string_equal(uri, "otpauth://totp/chat.example:b%C3%ACnh?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
                             "&issuer=chat.example");
    char name[600];
    memset(name, 'x', sizeof name);
    assert_int_equal(totp_uri(SLICE("a"), slice_of(name, sizeof name), rfc_secret, uri), ERR_TOO_LARGE);
    /* The longest name and a long host fit. */
    memset(name, '\xff', 128);
    assert_int_equal(
        totp_uri(SLICE("a.rather.long.name.of.a.host.example"), slice_of(name, 128), rfc_secret, uri), OK);
}

static void a_code_that_is_typed_may_have_any_case_spaces_and_hyphens(void **state)
{
    (void)state;
    char text[CODE_TEXT], plain[CODE_TEXT];
    uint8_t hash[TICKET_HASH_BYTES], again[TICKET_HASH_BYTES];
    code_new(text, hash);
    assert_int_equal(strlen(text), 19);
    assert_true(code_hash(slice_text(text), again));
    assert_memory_equal(hash, again, sizeof hash);
    size_t len = 0;
    for (const char *p = text; *p; p++) {
        if (*p != '-') plain[len++] = (char)(*p >= 'a' ? *p - 'a' + 'A' : *p);
    }
    memset(again, 0, sizeof again);
    assert_true(code_hash(slice_of(plain, len), again));
    assert_memory_equal(hash, again, sizeof hash);
    assert_false(code_hash(slice_of(plain, len - 1), again));
    assert_false(code_hash(SLICE("0000-1111-iiii-llll"), again));
    assert_false(code_hash(SLICE(""), again));
    assert_false(code_hash(SLICE("2345-6789-abcd-efghj"), again));
    code_new(text, again);
    assert_memory_not_equal(hash, again, sizeof hash);
}

static void a_ticket_is_64_hexadecimal_digits(void **state)
{
    (void)state;
    char text[TICKET_TEXT];
    uint8_t hash[TICKET_HASH_BYTES], again[TICKET_HASH_BYTES];
    ticket_new(text, hash);
    assert_int_equal(strlen(text), 64);
    assert_true(ticket_hash(slice_text(text), again));
    assert_memory_equal(hash, again, sizeof hash);
    assert_false(ticket_hash(slice_of(text, 63), again));
    assert_false(ticket_hash(SLICE(""), again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_rfc_6238),
        cmocka_unit_test(codes_are_those_of_rfc_4226),
        cmocka_unit_test(a_code_is_good_one_step_before_and_after_its_own),
        cmocka_unit_test(a_code_is_six_digits_and_spaces),
        cmocka_unit_test(secrets_are_written_in_base_32),
        cmocka_unit_test(the_uri_is_what_apps_read),
        cmocka_unit_test(a_code_that_is_typed_may_have_any_case_spaces_and_hyphens),
        cmocka_unit_test(a_ticket_is_64_hexadecimal_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
