/* Buckets and their table: functions of time alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rates.h"

static const uint8_t secret[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
#define HOUR ((uint64_t)3600 * 1000)
#define START ((uint64_t)1790000000 * 1000)

static void a_bucket_gives_its_burst_at_once_and_then_its_rate(void **state)
{
    (void)state;
    const struct rate rate = {2, 10};
    struct bucket bucket;
    uint64_t now = START;
    bucket_fill(&bucket, &rate, now);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(bucket_wait_ms(&bucket, &rate, 1, now), 0);
        bucket_take(&bucket, &rate, 1, now);
    }
    uint64_t wait = bucket_wait_ms(&bucket, &rate, 1, now);
    assert_in_range(wait, 499, 502);
    assert_int_equal(bucket_wait_ms(&bucket, &rate, 1, now + wait), 0);
    assert_int_not_equal(bucket_wait_ms(&bucket, &rate, 1, now + wait - 3), 0);

    unsigned passed = 0;
    for (; now < START + 100 * 1000; now += 7) {
        if (bucket_wait_ms(&bucket, &rate, 1, now)) continue;
        bucket_take(&bucket, &rate, 1, now);
        passed++;
    }
    assert_in_range(passed, 195, 201); /* two a second */
    bucket_take(&bucket, &rate, 0, now + HOUR);
    assert_true(bucket.level <= 10); /* never more than the burst */
}

static void a_bucket_goes_into_debt_and_pays_it_off_before_it_gives_again(void **state)
{
    (void)state;
    const struct rate rate = {1000, 4000};
    struct bucket bucket;
    bucket_fill(&bucket, &rate, START);
    bucket_take(&bucket, &rate, 64000, START);
    assert_in_range(bucket_wait_ms(&bucket, &rate, 1, START), 60000, 60010);
    assert_int_equal(bucket_wait_ms(&bucket, &rate, 1, START + 60010), 0);
}

static void time_that_goes_back_gives_nothing_and_takes_nothing(void **state)
{
    (void)state;
    const struct rate rate = {1, 5};
    struct bucket bucket;
    bucket_fill(&bucket, &rate, START);
    bucket_take(&bucket, &rate, 5, START);
    uint64_t wait = bucket_wait_ms(&bucket, &rate, 1, START);
    assert_int_equal(bucket_wait_ms(&bucket, &rate, 1, START - HOUR), wait);
    bucket_take(&bucket, &rate, 0, START - HOUR);
    assert_int_equal(bucket_wait_ms(&bucket, &rate, 1, START), wait);
}

static void the_table_forgets_whoever_is_least_throttled(void **state)
{
    (void)state;
    struct rates rates;
    assert_int_equal(rates_init(&rates, &allocator_libc, 64, (struct rate){0.001, 10}, secret), OK);
    uint64_t culprit = rates_key(&rates, SLICE("culprit"));
    rates_take(&rates, culprit, 10, START);
    for (uint32_t i = 0; i < 5000; i++)
        rates_take(&rates, rates_key(&rates, slice_of(&i, sizeof i)), 1, START);
    assert_true(rates_wait_ms(&rates, culprit, START) > 0);
    rates_deinit(&rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_gives_its_burst_at_once_and_then_its_rate),
        cmocka_unit_test(a_bucket_goes_into_debt_and_pays_it_off_before_it_gives_again),
        cmocka_unit_test(time_that_goes_back_gives_nothing_and_takes_nothing),
        cmocka_unit_test(the_table_forgets_whoever_is_least_throttled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
