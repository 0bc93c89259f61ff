/* What the status page remembers of each second. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/status_sample.h"

static struct upstream servers[2];
static struct group one;
static struct group *const groups[] = {&one};
static struct sampler sampler;
static uint64_t now_ms;

static void name(struct upstream *upstream, char *group, char *authority)
{
    upstream->group_name = group;
    upstream->authority = authority;
}

static int start(void **state)
{
    (void)state;
    static char group[] = "chat.example", first[] = "127.0.0.1:9000", second[] = "127.0.0.1:9001";
    memset(servers, 0, sizeof servers);
    memset(&one, 0, sizeof one);
    name(&servers[0], group, first);
    name(&servers[1], group, second);
    servers[1].id = 40;
    one.members[0].upstream = &servers[0];
    one.members[1].upstream = &servers[1];
    one.count = 2;
    now_ms = 5000;
    return 0;
}

static int end(void **state)
{
    (void)state;
    sampler_deinit(&sampler);
    return 0;
}

static void take_after(uint64_t ms)
{
    now_ms += ms;
    sampler_take(&sampler, groups, 1, now_ms);
}

static uint32_t requests(const struct series *series, uint64_t sample)
{
    return series->requests[sample % SAMPLES];
}

static const struct series *of(int server)
{
    const struct series *series = sampler_find(&sampler, &servers[server]);
    assert_non_null(series);
    return series;
}

/* Answers within this bucket. */
static void answer(struct upstream *upstream, int bucket, unsigned count, uint64_t each_ns)
{
    atomic_fetch_add(&upstream->latencies[bucket], count);
    atomic_fetch_add(&upstream->latency_ns, count * each_ns);
}

static void each_second_has_what_was_counted_in_it(void **state)
{
    (void)state;
    servers[0].requests = 3;
    take_after(0);
    servers[0].requests += 10;
    servers[1].requests += 5;
    servers[1].failures += 2;
    answer(&servers[1], 4, 5, 3000000);
    take_after(1010);
    take_after(980);
    assert_int_equal(sampler.count, 3);
    assert_int_equal(requests(of(0), 0), 3);
    assert_int_equal(requests(of(0), 1), 10);
    assert_int_equal(requests(of(0), 2), 0);
    assert_int_equal(requests(&sampler.all, 1), 15);
    assert_int_equal(of(1)->failures[1], 2);
    assert_int_equal(of(1)->latency_us[1], 3000);
    assert_int_equal(of(1)->latency_us[2], UINT32_MAX); /* no answer: no latency */
    assert_true(series_rate(&sampler, &sampler.all, 2) == 7.5);
    assert_true(series_rate(&sampler, &sampler.all, SAMPLES) == 6.0);
}

static void seconds_that_were_missed_are_empty(void **state)
{
    (void)state;
    take_after(0);
    servers[0].requests += 7;
    take_after(3000);
    assert_int_equal(sampler.count, 4);
    assert_int_equal(requests(of(0), 1) + requests(of(0), 2) + requests(of(0), 3), 7);
    take_after(400); /* too early: no second has gone by */
    assert_int_equal(sampler.count, 4);
    take_after(600);
    assert_int_equal(sampler.count, 5);
    take_after(7 * 24 * 3600 * UINT64_C(1000)); /* a laptop that slept */
    assert_int_equal(sampler.count, 5 + SAMPLES);
}

static void five_minutes_are_kept(void **state)
{
    (void)state;
    for (int i = 0; i < SAMPLES + 20; i++) {
        servers[0].requests += (unsigned)i;
        take_after(i ? 1000 : 0);
    }
    for (uint64_t i = 20; i < SAMPLES + 20; i++)
        assert_int_equal(requests(of(0), i), i);
}

static void a_server_that_comes_later_begins_at_nothing(void **state)
{
    (void)state;
    one.count = 1;
    take_after(0);
    servers[1].requests = 1000000; /* it was at work before, in another configuration */
    one.count = 2;
    take_after(1000);
    assert_int_equal(requests(of(1), 1), 0);
    servers[1].requests += 4;
    take_after(1000);
    assert_int_equal(requests(of(1), 2), 4);
    assert_int_equal(requests(&sampler.all, 2), 4);
    one.count = 1;
    take_after(1000);
    assert_null(sampler_find(&sampler, &servers[1]));
}

static void an_id_that_was_given_again_is_another_server(void **state)
{
    (void)state;
    static char other[] = "127.0.0.1:9009";
    servers[1].requests = 50;
    take_after(0);
    servers[1].authority = other;
    assert_null(sampler_find(&sampler, &servers[1]));
    servers[1].requests = 60;
    take_after(1000);
    assert_int_equal(requests(of(1), 0), 0);
    assert_int_equal(requests(of(1), 1), 0);
}

static void a_server_named_twice_counts_once(void **state)
{
    (void)state;
    one.members[1].upstream = &servers[0];
    servers[0].requests = 6;
    take_after(0);
    assert_int_equal(requests(&sampler.all, 0), 6);
}

static void latencies_are_read_from_buckets(void **state)
{
    (void)state;
    take_after(0);
    assert_true(series_latency_ms(of(0), 0.5) < 0);
    answer(&servers[0], 1, 90, 1000);
    answer(&servers[0], 5, 9, 1000);
    answer(&servers[0], UPSTREAM_BUCKETS, 1, 1000);
    take_after(1000);
    double low = (double)upstream_bucket_us[0] / 1000, high = (double)upstream_bucket_us[1] / 1000;
    double half = series_latency_ms(of(0), 0.5);
    assert_true(half > low + (high - low) * 0.55 && half < low + (high - low) * 0.56); /* the 50th of 90 */
    assert_true(series_latency_ms(of(0), 0.90) == high);
    double p95 = series_latency_ms(of(0), 0.95);
    assert_true(p95 > (double)upstream_bucket_us[4] / 1000 && p95 < (double)upstream_bucket_us[5] / 1000);
    /* Beyond the last bucket nothing is known but that. */
    assert_true(series_latency_ms(of(0), 1.0) == (double)upstream_bucket_us[UPSTREAM_BUCKETS - 1] / 1000);
    for (int i = 0; i < SAMPLES_LATENCY; i++)
        take_after(1000);
    assert_true(series_latency_ms(of(0), 0.5) < 0); /* a minute later */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_second_has_what_was_counted_in_it, start, end),
        cmocka_unit_test_setup_teardown(seconds_that_were_missed_are_empty, start, end),
        cmocka_unit_test_setup_teardown(five_minutes_are_kept, start, end),
        cmocka_unit_test_setup_teardown(a_server_that_comes_later_begins_at_nothing, start, end),
        cmocka_unit_test_setup_teardown(an_id_that_was_given_again_is_another_server, start, end),
        cmocka_unit_test_setup_teardown(a_server_named_twice_counts_once, start, end),
        cmocka_unit_test_setup_teardown(latencies_are_read_from_buckets, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
