/* How often an address may ask. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/rate.h"

enum { ZONE = 7 };
#define DAY ((uint64_t)24 * 3600 * 1000)

static struct rate_table *table;
static unsigned wait_s;

static void v4(uint8_t out[IP_BYTES], uint32_t number)
{
    memset(out, 0, IP_BYTES);
    out[10] = out[11] = 0xff;
    for (int i = 0; i < 4; i++)
        out[12 + i] = (uint8_t)(number >> (24 - 8 * i));
}

static bool take(const struct config_rate *rate, uint32_t number, uint64_t now_ms)
{
    uint8_t address[IP_BYTES];
    v4(address, number);
    wait_s = 0;
    return rate_take(table, rate, ZONE, address, now_ms, &wait_s);
}

static int begin(void **state)
{
    (void)state;
    table = rate_table_new();
    return table ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    rate_table_free(table);
    rate_table_free(NULL);
    return 0;
}

static void a_burst_passes_and_then_the_rate(void **state)
{
    (void)state;
    const struct config_rate rate = {.per_s = 10, .burst = 20};
    uint64_t now = 5000;
    for (int i = 0; i < 21; i++)
        assert_true(take(&rate, 1, now));
    assert_false(take(&rate, 1, now));
    assert_int_equal(wait_s, 1);
    assert_false(take(&rate, 1, now + 99));
    assert_true(take(&rate, 1, now + 100));
    assert_false(take(&rate, 1, now + 100));
    assert_true(take(&rate, 2, now + 100)); /* others are others */
    now += 100 + 300;
    for (int i = 0; i < 3; i++)
        assert_true(take(&rate, 1, now));
    assert_false(take(&rate, 1, now));
    now += DAY; /* never more than the burst */
    for (int i = 0; i < 21; i++)
        assert_true(take(&rate, 1, now));
    assert_false(take(&rate, 1, now));
}

static void the_wait_is_as_long_as_it_takes(void **state)
{
    (void)state;
    static const struct {
        double per_s;
        unsigned wait_s;
        uint64_t wait_ms; /* exactly */
    } rows[] = {
        {0.1, 10, 10000},      {0.5, 2, 2000}, {1, 1, 1000},   {3, 1, 334},
        {1.0 / 60, 60, 60000}, {1000, 1, 1},   {0.3, 4, 3334},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct config_rate rate = {.per_s = rows[i].per_s};
        uint32_t who = 100 + (uint32_t)i;
        assert_true(take(&rate, who, 1000));
        assert_false(take(&rate, who, 1000));
        assert_int_equal(wait_s, rows[i].wait_s);
        assert_false(take(&rate, who, 1000 + rows[i].wait_ms - 1));
        assert_int_equal(wait_s, 1);
        assert_true(take(&rate, who, 1000 + rows[i].wait_ms));
    }
}

/* A client that asks all the time gets exactly what it may, for years, whatever the steps of its clock. */
static void nothing_is_lost_to_rounding(void **state)
{
    (void)state;
    static const double rates[] = {0.1, 1.0 / 60, 0.7, 3, 7, 33.3, 999};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        const struct config_rate rate = {.per_s = rates[i], .burst = 1000};
        uint32_t who = 200 + (uint32_t)i;
        uint64_t start = 1, now = start, passed = 0, step = rates[i] > 50 ? 1 : 13;
        while (take(&rate, who, now))
            passed++;
        assert_int_equal(passed, 1001);
        for (passed = 0; now < start + 1000 * 1000; now += step)
            passed += take(&rate, who, now);
        double allowed = rates[i] * (double)(now - step - start) / 1000;
        assert_true((double)passed <= allowed + 1e-6 && (double)passed > allowed - 1);
    }
    const struct config_rate slow = {.per_s = 1.0 / 60, .burst = 2};
    uint64_t year = 365 * DAY, passed = 0;
    for (uint64_t now = 3 * year; now < 5 * year; now += 60000) /* one a minute, for two years */
        passed += take(&slow, 300, now);
    assert_int_equal(passed, 2 * year / 60000);
    assert_true(take(&slow, 300, UINT64_MAX));
}

static void a_clock_that_is_a_little_behind_gives_nothing_twice(void **state)
{
    (void)state;
    const struct config_rate rate = {.per_s = 1};
    assert_true(take(&rate, 400, 10000)); /* two workers, whose turns began at different moments */
    for (int i = 0; i < 10; i++) {
        assert_false(take(&rate, 400, 9990));
        assert_false(take(&rate, 400, 10000));
    }
    assert_false(take(&rate, 400, 10999));
    assert_true(take(&rate, 400, 11000));
}

static void zones_and_addresses_are_apart_but_a_64_is_one(void **state)
{
    (void)state;
    const struct config_rate rate = {.per_s = 1};
    uint8_t address[IP_BYTES] = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1};
    assert_true(rate_take(table, &rate, 1, address, 1000, &wait_s));
    assert_true(rate_take(table, &rate, 2, address, 1000, &wait_s));
    for (int i = 8; i < IP_BYTES; i++) {
        address[i] ^= 0x55;
        assert_false(rate_take(table, &rate, 1, address, 1000, &wait_s));
    }
    address[7] = 2;
    assert_true(rate_take(table, &rate, 1, address, 1000, &wait_s));
}

static void no_rate_means_no_limit(void **state)
{
    (void)state;
    const struct config_rate none = {0};
    for (int i = 0; i < 1000; i++)
        assert_true(take(&none, 500, 1000));
}

static void a_reload_may_change_the_rate(void **state)
{
    (void)state;
    const struct config_rate wide = {.per_s = 1, .burst = 100}, narrow = {.per_s = 1, .burst = 2};
    assert_true(take(&wide, 600, 1000));
    for (int i = 0; i < 3; i++)
        assert_true(take(&narrow, 600, 1000));
    assert_false(take(&narrow, 600, 1000));
    assert_false(take(&wide, 600, 1000)); /* what is gone is gone */
}

static void extreme_rates_do_no_harm(void **state)
{
    (void)state;
    const struct config_rate most = {.per_s = 1e300, .burst = UINT32_MAX}, least = {.per_s = 1e-300};
    for (int i = 0; i < 100; i++)
        assert_true(take(&most, 700, 1000 + (uint64_t)i));
    assert_true(take(&most, 700, UINT64_MAX));
    assert_true(take(&least, 701, 0));
    assert_false(take(&least, 701, DAY));
    assert_true(wait_s > 1000000);
}

static void those_who_asked_longest_ago_are_forgotten_first(void **state)
{
    (void)state;
    const struct config_rate rate = {.per_s = 0.001};
    const uint32_t first = 1 << 24, strangers = 4 * RATE_ENTRIES_MAX;
    assert_true(take(&rate, 800, 1000));
    assert_true(take(&rate, 801, 1000));
    unsigned known = 0;
    for (uint32_t i = 0; i < strangers; i++) {
        assert_true(take(&rate, first + i, 1000));               /* full buckets: they are new */
        if (i % 1000 == 0) assert_false(take(&rate, 800, 1000)); /* who goes on asking is not forgotten */
    }
    assert_true(take(&rate, 801, 1000)); /* forgotten, and so as new */
    for (uint32_t i = strangers - RATE_ENTRIES_MAX / 2; i < strangers; i++)
        known += !take(&rate, first + i, 1000);
    assert_int_equal(known, RATE_ENTRIES_MAX / 2);
    known = 0;
    for (uint32_t i = 0; i < RATE_ENTRIES_MAX; i++)
        known += !take(&rate, first + i, 1000);
    assert_int_equal(known, 0);
}

/* --- threads --- */

enum { THREADS = 4, ADDRESSES = 50, ROUNDS = 40000 };

struct job {
    pthread_t thread;
    unsigned passed[ADDRESSES];
};

static void *ask(void *argument)
{
    struct job *job = argument;
    const struct config_rate rate = {.per_s = 0.001, .burst = 999};
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t address[IP_BYTES];
        unsigned wait, who = i % ADDRESSES;
        v4(address, 9000 + who);
        job->passed[who] += rate_take(table, &rate, ZONE, address, 1000, &wait);
    }
    return NULL;
}

static void several_threads_share_the_buckets(void **state)
{
    (void)state;
    static struct job jobs[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&jobs[i].thread, NULL, ask, &jobs[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(jobs[i].thread, NULL);
    for (int who = 0; who < ADDRESSES; who++) {
        unsigned passed = 0;
        for (int i = 0; i < THREADS; i++)
            passed += jobs[i].passed[who];
        assert_int_equal(passed, 1000);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_burst_passes_and_then_the_rate),
        TEST(the_wait_is_as_long_as_it_takes),
        TEST(nothing_is_lost_to_rounding),
        TEST(a_clock_that_is_a_little_behind_gives_nothing_twice),
        TEST(zones_and_addresses_are_apart_but_a_64_is_one),
        TEST(no_rate_means_no_limit),
        TEST(a_reload_may_change_the_rate),
        TEST(extreme_rates_do_no_harm),
        TEST(those_who_asked_longest_ago_are_forgotten_first),
        TEST(several_threads_share_the_buckets),
    };
    return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
