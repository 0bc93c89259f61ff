/* SipHash-1-3 against values of an independent implementation, checked with the paper's own vector of 2-4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sip.h"

static void the_hash_has_the_known_values(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        uint64_t hash;
    } known[] = {
        {0, 0xabac0158050fc4dc}, {1, 0xc9f49bf37d57ca93},  {7, 0xd3927d989bb11140},
        {8, 0x369095118d299a8e}, {15, 0xd320d86d2a519956}, {63, 0x9d199062b7bbb3a8},
    };
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    struct sip_secret secret = sip_secret_of(bytes);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_int_equal(sip_hash(secret, slice_of(bytes, known[i].len)), known[i].hash);
    assert_int_equal(sip_hash(secret, SLICE_EMPTY), known[0].hash);
}

static void another_secret_gives_another_hash(void **state)
{
    (void)state;
    struct sip_secret a = {1, 2}, b = {1, 3};
    assert_true(sip_hash(a, SLICE("/index.html")) != sip_hash(b, SLICE("/index.html")));
    assert_true(sip_hash(a, SLICE("/index.html")) != sip_hash(a, SLICE("/index.htm")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_has_the_known_values),
        cmocka_unit_test(another_secret_gives_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
