/* The policies, as functions of what is known of the servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/balance.h"

enum { COUNT_MAX = CONFIG_SERVERS_MAX };

/* SplitMix64: the same numbers in each run. */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static void servers(struct candidate *candidates, const unsigned *weights, size_t count)
{
    for (size_t i = 0; i < count; i++)
        candidates[i] = (struct candidate){.weight = weights[i] * 256, .usable = true};
}

/* Pearson's: how far the counts are from the shares of the weights. */
static double chi_square(const unsigned *counts, const unsigned *weights, size_t count)
{
    double total = 0, weight = 0, sum = 0;
    for (size_t i = 0; i < count; i++)
        total += counts[i], weight += weights[i];
    for (size_t i = 0; i < count; i++) {
        double expected = total * weights[i] / weight;
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return sum;
}

static void assert_sequence(struct rotation *rotation, const struct candidate *candidates, size_t count,
                            const char *expected)
{
    char got[128] = "";
    for (size_t i = 0; expected[i]; i++) {
        int server = balance_round_robin(rotation, candidates, count);
        got[i] = server < 0 ? '-' : (char)('a' + server);
    }
    assert_string_equal(got, expected);
}

/* --- round-robin --- */

static void round_robin_gives_each_server_its_share_spread_evenly(void **state)
{
    (void)state;
    static const struct {
        unsigned weights[4];
        size_t count;
        const char *sequence;
    } table[] = {
        {{1}, 1, "aaaa"},
        {{1, 1}, 2, "abababab"},
        {{1, 1, 1}, 3, "abcabcabc"},
        {{5, 1, 1}, 3, "aabacaaaabacaa"},
        {{1, 2}, 2, "babbab"},
        {{3, 2, 1}, 3, "abacba"},
        {{1000, 1000}, 2, "abab"},
        {{4, 3, 2, 1}, 4, "abcabdacba"},
    };
    for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
        struct rotation rotation = {0};
        struct candidate candidates[4];
        servers(candidates, table[t].weights, table[t].count);
        assert_sequence(&rotation, candidates, table[t].count, table[t].sequence);
        for (size_t i = 0; i < table[t].count; i++)
            assert_int_equal(rotation.current[i], 0); /* a cycle leaves nothing behind */
    }
}

static void round_robin_is_exact_over_each_cycle_whatever_the_weights(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 50; round++) {
        unsigned weights[COUNT_MAX], counts[COUNT_MAX] = {0}, total = 0;
        struct candidate candidates[COUNT_MAX];
        size_t count = 1 + next_random(&seed) % COUNT_MAX;
        for (size_t i = 0; i < count; i++)
            total += weights[i] = 1 + (unsigned)(next_random(&seed) % 30);
        servers(candidates, weights, count);
        struct rotation rotation = {0};
        for (unsigned i = 0; i < total; i++)
            counts[balance_round_robin(&rotation, candidates, count)]++;
        assert_memory_equal(counts, weights, count * sizeof counts[0]);
    }
}

static void round_robin_passes_over_who_is_not_usable_and_takes_it_again(void **state)
{
    (void)state;
    struct rotation rotation = {0};
    struct candidate candidates[3];
    servers(candidates, (const unsigned[]){1, 1, 1}, 3);
    assert_sequence(&rotation, candidates, 3, "abc");
    candidates[1].usable = false;
    assert_sequence(&rotation, candidates, 3, "acacac");
    candidates[1].usable = true;
    assert_sequence(&rotation, candidates, 3, "abcabc"); /* it does not make up for what it missed */
    candidates[0].weight = 0;
    assert_sequence(&rotation, candidates, 3, "bcbc");
    for (int i = 0; i < 3; i++)
        candidates[i].usable = false;
    assert_sequence(&rotation, candidates, 3, "---");
}

static void round_robin_follows_weights_that_change(void **state)
{
    (void)state;
    struct rotation rotation = {0};
    struct candidate candidates[2];
    servers(candidates, (const unsigned[]){1, 1}, 2);
    unsigned second = 0;
    for (uint64_t ms = 0; ms < 1000; ms++) { /* one comes back, in a second */
        candidates[1].weight = balance_slow_start(1, ms, 1000);
        second += balance_round_robin(&rotation, candidates, 2) == 1;
    }
    /* The integral of w / (1 + w), with a tenth at least: 0.31 of the requests. */
    assert_in_range(second, 300, 320);
    assert_in_range(rotation.current[0] + 1024, 0, 2048);
    assert_in_range(rotation.current[1] + 1024, 0, 2048);
}

/* --- least-conn --- */

static void least_conn_takes_who_has_the_fewest_requests_for_its_weight(void **state)
{
    (void)state;
    static const struct {
        unsigned weights[3], active[3];
        int expected;
    } table[] = {
        {{1, 1, 1}, {3, 2, 4}, 1}, {{1, 1, 1}, {0, 2, 4}, 0}, {{1, 1, 4}, {1, 1, 3}, 2},
        {{1, 1, 4}, {1, 1, 5}, 0}, {{2, 1, 1}, {3, 1, 2}, 1}, {{1000, 1, 1}, {999, 1, 2}, 0},
    };
    for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
        struct rotation rotation = {0};
        struct candidate candidates[3];
        servers(candidates, table[t].weights, 3);
        for (int i = 0; i < 3; i++)
            candidates[i].active = table[t].active[i];
        int got = balance_least_conn(&rotation, candidates, 3);
        assert_int_equal(got, table[t].expected);
        candidates[got].usable = false;
        assert_int_not_equal(balance_least_conn(&rotation, candidates, 3), got);
    }
    struct candidate most[2] = {{BALANCE_WEIGHT_MAX, UINT32_MAX, true},
                                {BALANCE_WEIGHT_MAX, UINT32_MAX - 1, true}};
    struct rotation rotation = {0};
    assert_int_equal(balance_least_conn(&rotation, most, 2), 1);
}

static void least_conn_takes_equals_in_turn_and_by_weight(void **state)
{
    (void)state;
    struct rotation rotation = {0};
    struct candidate candidates[4];
    servers(candidates, (const unsigned[]){1, 1, 1, 1}, 4);
    candidates[1].active = 1;
    char got[7] = "";
    for (int i = 0; i < 6; i++)
        got[i] = (char)('a' + balance_least_conn(&rotation, candidates, 4));
    assert_string_equal(got, "acdacd");

    unsigned counts[3] = {0}; /* all idle, as with little traffic: the weights decide */
    rotation = (struct rotation){0};
    servers(candidates, (const unsigned[]){5, 1, 1}, 3);
    for (int i = 0; i < 70; i++)
        counts[balance_least_conn(&rotation, candidates, 3)]++;
    assert_int_equal(counts[0], 50);
    assert_int_equal(counts[1], 10);
    for (int i = 0; i < 3; i++)
        candidates[i].usable = false;
    assert_int_equal(balance_least_conn(&rotation, candidates, 3), BALANCE_NONE);
}

static void least_conn_fills_servers_by_their_weights(void **state)
{
    (void)state;
    struct rotation rotation = {0};
    struct candidate candidates[3];
    servers(candidates, (const unsigned[]){1, 2, 5}, 3);
    for (int i = 0; i < 800; i++) /* nothing ever ends */
        candidates[balance_least_conn(&rotation, candidates, 3)].active++;
    assert_int_equal(candidates[0].active, 100);
    assert_int_equal(candidates[1].active, 200);
    assert_int_equal(candidates[2].active, 500);
}

/* --- two at random --- */

static void random_two_spreads_idle_servers_by_their_weights(void **state)
{
    (void)state;
    const unsigned weights[5] = {1, 2, 3, 10, 50};
    unsigned counts[5] = {0};
    struct candidate candidates[5];
    servers(candidates, weights, 5);
    uint64_t seed = 2;
    for (int i = 0; i < 100000; i++)
        counts[balance_random_two(next_random(&seed), candidates, 5)]++;
    assert_true(chi_square(counts, weights, 5) < 18.5); /* 4 degrees of freedom, one time in 1000 */
}

static void random_two_never_takes_the_busiest_when_there_are_others(void **state)
{
    (void)state;
    struct candidate candidates[4];
    unsigned counts[4] = {0};
    servers(candidates, (const unsigned[]){1, 1, 1, 1}, 4);
    for (unsigned i = 0; i < 4; i++)
        candidates[i].active = i;
    uint64_t seed = 3;
    for (int i = 0; i < 60000; i++)
        counts[balance_random_two(next_random(&seed), candidates, 4)]++;
    /* Of the six pairs three have the first, two the second without that, one the third without both. */
    const unsigned shares[3] = {3, 2, 1};
    assert_int_equal(counts[3], 0);
    assert_true(chi_square(counts, shares, 3) < 13.8);
}

static void random_two_uses_only_who_is_usable(void **state)
{
    (void)state;
    struct candidate candidates[4];
    servers(candidates, (const unsigned[]){1, 7, 1, 1000}, 4);
    candidates[1].usable = candidates[3].usable = false;
    uint64_t seed = 4;
    unsigned first = 0;
    for (int i = 0; i < 1000; i++) {
        int got = balance_random_two(next_random(&seed), candidates, 4);
        assert_true(got == 0 || got == 2);
        first += got == 0;
    }
    assert_in_range(first, 440, 560);
    candidates[2].usable = false;
    static const uint64_t ends[] = {0, UINT64_MAX, UINT32_MAX, (uint64_t)UINT32_MAX << 32};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(balance_random_two(ends[i], candidates, 4), 0);
    candidates[0].usable = false;
    assert_int_equal(balance_random_two(5, candidates, 4), BALANCE_NONE);

    unsigned weights[COUNT_MAX]; /* the largest sums */
    struct candidate all[COUNT_MAX];
    for (int i = 0; i < COUNT_MAX; i++)
        weights[i] = 1000;
    servers(all, weights, COUNT_MAX);
    assert_int_equal(balance_random_two(UINT64_MAX, all, COUNT_MAX), COUNT_MAX - 1);
    assert_int_equal(balance_random_two(0, all, COUNT_MAX), 0);
}

/* --- hashing --- */

static void names(uint64_t *out, size_t count)
{
    uint64_t seed = 77;
    for (size_t i = 0; i < count; i++)
        out[i] = next_random(&seed);
}

static void hash_spreads_keys_by_the_weights(void **state)
{
    (void)state;
    static const struct {
        unsigned weights[8];
        size_t count;
        double limit; /* one time in 1000 */
    } table[] = {
        {{1, 1}, 2, 10.9},    {{1, 1, 1, 1, 1, 1, 1, 1}, 8, 24.4},         {{1, 2, 3, 4}, 4, 16.3},
        {{1, 1000}, 2, 10.9}, {{100, 99, 1, 50, 50, 7, 3, 1000}, 8, 24.4},
    };
    for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
        uint64_t of[8];
        unsigned counts[8] = {0};
        struct candidate candidates[8];
        names(of, table[t].count);
        servers(candidates, table[t].weights, table[t].count);
        for (uint64_t key = 0; key < 200000; key++) /* keys that follow one another, as addresses do */
            counts[balance_hash(key, of, candidates, table[t].count)]++;
        assert_true(chi_square(counts, table[t].weights, table[t].count) < table[t].limit);
    }
}

static void hash_moves_only_the_keys_of_a_server_that_goes_or_comes(void **state)
{
    (void)state;
    enum { SERVERS = 7, KEYS = 20000, GOES = 3 };
    static const unsigned weights[SERVERS] = {1, 2, 3, 4, 1, 1, 9};
    uint64_t of[SERVERS];
    struct candidate candidates[SERVERS];
    static int before[KEYS];
    unsigned moved = 0, weight = 0;
    names(of, SERVERS);
    servers(candidates, weights, SERVERS);
    for (int k = 0; k < KEYS; k++)
        before[k] = balance_hash((uint64_t)k, of, candidates, SERVERS);
    candidates[GOES].usable = false;
    for (int k = 0; k < KEYS; k++) {
        int after = balance_hash((uint64_t)k, of, candidates, SERVERS);
        assert_int_not_equal(after, GOES);
        if (before[k] != GOES) assert_int_equal(after, before[k]);
        moved += before[k] == GOES;
    }
    for (int i = 0; i < SERVERS; i++)
        weight += weights[i];
    assert_in_range(moved, KEYS * weights[GOES] / weight * 9 / 10, KEYS * weights[GOES] / weight * 11 / 10);
    candidates[GOES].usable = true;
    for (int k = 0; k < KEYS; k++)
        assert_int_equal(balance_hash((uint64_t)k, of, candidates, SERVERS), before[k]);
}

static void hash_moves_keys_only_to_a_server_whose_weight_grows(void **state)
{
    (void)state;
    enum { SERVERS = 4, KEYS = 5000 };
    uint64_t of[SERVERS];
    struct candidate candidates[SERVERS];
    static int last[KEYS];
    names(of, SERVERS);
    servers(candidates, (const unsigned[]){10, 10, 10, 10}, SERVERS);
    candidates[2].usable = false;
    for (int k = 0; k < KEYS; k++)
        last[k] = balance_hash((uint64_t)k, of, candidates, SERVERS);
    candidates[2].usable = true;
    for (uint64_t ms = 0; ms <= 1000; ms += 20) { /* slow start: it takes its keys back bit by bit */
        candidates[2].weight = balance_slow_start(10, ms, 1000);
        for (int k = 0; k < KEYS; k++) {
            int now = balance_hash((uint64_t)k, of, candidates, SERVERS);
            if (now != last[k]) assert_int_equal(now, 2);
            last[k] = now;
        }
    }
}

static void hash_does_not_depend_on_the_order_of_the_servers(void **state)
{
    (void)state;
    enum { SERVERS = 5 };
    uint64_t of[SERVERS], reversed[SERVERS];
    struct candidate candidates[SERVERS], turned[SERVERS];
    names(of, SERVERS);
    servers(candidates, (const unsigned[]){1, 1, 3, 4, 4}, SERVERS);
    for (int i = 0; i < SERVERS; i++) {
        reversed[i] = of[SERVERS - 1 - i];
        turned[i] = candidates[SERVERS - 1 - i];
    }
    for (uint64_t key = 0; key < 5000; key++)
        assert_int_equal(balance_hash(key, of, candidates, SERVERS),
                         SERVERS - 1 - balance_hash(key, reversed, turned, SERVERS));
}

/* Several proxies, and the next version, must send a client to the same server. */
static void hash_is_the_same_on_every_machine(void **state)
{
    (void)state;
    uint64_t of[3];
    struct candidate candidates[3];
    char got[33] = "";
    names(of, 3);
    servers(candidates, (const unsigned[]){1, 2, 4}, 3);
    for (uint64_t key = 0; key < 32; key++)
        got[key] = (char)('a' + balance_hash(key * 0x123456789, of, candidates, 3));
    assert_string_equal(got, "ccbcccacaabbcccbcaccccbcaccbccbc");
    for (int i = 0; i < 3; i++)
        candidates[i].usable = false;
    assert_int_equal(balance_hash(1, of, candidates, 3), BALANCE_NONE);
}

/* --- slow start --- */

static void slow_start_grows_evenly_from_a_tenth(void **state)
{
    (void)state;
    static const struct {
        unsigned weight;
        uint64_t since_ms;
        uint32_t slow_start_ms, expected;
    } table[] = {
        {1, 0, 0, 256},
        {1, 0, 10000, 25},
        {1, 999, 10000, 25},
        {1, 5000, 10000, 128},
        {1, 9999, 10000, 255},
        {1, 10000, 10000, 256},
        {1000, 0, 1000, 25600},
        {1000, 500, 1000, 128000},
        {7, UINT64_MAX, 1000, 7 * 256},
        {1000, 0, UINT32_MAX, 25600},
        {1000, UINT32_MAX - 1, UINT32_MAX, 255999},
    };
    for (size_t t = 0; t < sizeof table / sizeof table[0]; t++)
        assert_int_equal(balance_slow_start(table[t].weight, table[t].since_ms, table[t].slow_start_ms),
                         table[t].expected);
    uint32_t last = 0;
    for (uint64_t ms = 0; ms <= 3000; ms++) {
        uint32_t now = balance_slow_start(3, ms, 3000);
        assert_true(now > 0 && now >= last);
        last = now;
    }
    assert_int_equal(last, 3 * 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_robin_gives_each_server_its_share_spread_evenly),
        cmocka_unit_test(round_robin_is_exact_over_each_cycle_whatever_the_weights),
        cmocka_unit_test(round_robin_passes_over_who_is_not_usable_and_takes_it_again),
        cmocka_unit_test(round_robin_follows_weights_that_change),
        cmocka_unit_test(least_conn_takes_who_has_the_fewest_requests_for_its_weight),
        cmocka_unit_test(least_conn_takes_equals_in_turn_and_by_weight),
        cmocka_unit_test(least_conn_fills_servers_by_their_weights),
        cmocka_unit_test(random_two_spreads_idle_servers_by_their_weights),
        cmocka_unit_test(random_two_never_takes_the_busiest_when_there_are_others),
        cmocka_unit_test(random_two_uses_only_who_is_usable),
        cmocka_unit_test(hash_spreads_keys_by_the_weights),
        cmocka_unit_test(hash_moves_only_the_keys_of_a_server_that_goes_or_comes),
        cmocka_unit_test(hash_moves_keys_only_to_a_server_whose_weight_grows),
        cmocka_unit_test(hash_does_not_depend_on_the_order_of_the_servers),
        cmocka_unit_test(hash_is_the_same_on_every_machine),
        cmocka_unit_test(slow_start_grows_evenly_from_a_tenth),
    };
    return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
