/* The throttle of logins: a function of time alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "account/throttle.h"

static const uint8_t secret[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
#define HOUR ((uint64_t)3600 * 1000)
#define START ((uint64_t)1790000000 * 1000)

static struct throttle *new_throttle(void)
{
    static struct throttle throttle;
    assert_int_equal(throttle_init(&throttle, &allocator_libc, secret), OK);
    return &throttle;
}

/* How many of `count` wrong attempts at one moment get as far as a password check. */
static unsigned attempts(struct throttle *t, const char *address, const char *name, unsigned count,
                         uint64_t now)
{
    unsigned checked = 0;
    for (unsigned i = 0; i < count; i++)
        checked += throttle_login(t, slice_text(address), slice_text(name), now) == 0;
    return checked;
}

static void one_address_gets_few_guesses_however_many_it_makes(void **state)
{
    (void)state;
    struct throttle *t = new_throttle();
    assert_int_equal(attempts(t, "10.0.0.1", "alice", 10000, START), 20);
    assert_int_equal(attempts(t, "10.0.0.1", "bob", 100, START), 0); /* not by changing the name */
    unsigned day = 0;
    for (uint64_t now = START; now < START + 24 * HOUR; now += 500)
        day += attempts(t, "10.0.0.1", "alice", 1, now);
    assert_in_range(day, 10000, 28801); /* one in three seconds is the most */
    throttle_deinit(t);
}

static void an_attack_from_one_address_does_not_lock_out_others(void **state)
{
    (void)state;
    struct throttle *t = new_throttle();
    for (uint64_t now = START; now < START + HOUR; now += 100) {
        attempts(t, "10.0.0.1", "alice", 3, now);
        /* Somebody else gets in at any moment, at the latest after a few seconds. */
        if (now % 60000 == 0) assert_true(throttle_login(t, SLICE("192.168.7.7"), SLICE("bob"), now) == 0);
    }
    assert_true(throttle_login(t, SLICE("192.168.7.8"), SLICE("alice"), START + HOUR) <= 5000);
    throttle_deinit(t);
}

static void many_addresses_together_are_held_by_the_name_but_not_where_it_is_known(void **state)
{
    (void)state;
    struct throttle *t = new_throttle();
    assert_int_equal(throttle_login(t, SLICE("10.9.9.9"), SLICE("alice"), START), 0);
    throttle_login_good(t, SLICE("10.9.9.9"), SLICE("alice"), START);
    unsigned checked = 0;
    char address[32];
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(address, sizeof address, "10.1.%u.%u", i / 250, i % 250);
        checked += attempts(t, address, "alice", 5, START + 1000);
    }
    assert_in_range(checked, 50, 51);
    assert_true(throttle_login(t, SLICE("10.2.2.2"), SLICE("alice"), START + 1000) > 0);
    assert_int_equal(throttle_login(t, SLICE("10.9.9.9"), SLICE("alice"), START + 1000), 0);
    assert_int_equal(throttle_login(t, SLICE("10.2.2.2"), SLICE("bob"), START + 1000), 0);
    throttle_deinit(t);
}

static void good_logins_are_not_throttled(void **state)
{
    (void)state;
    struct throttle *t = new_throttle();
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(throttle_login(t, SLICE("10.0.0.1"), SLICE("alice"), START), 0);
        throttle_login_good(t, SLICE("10.0.0.1"), SLICE("alice"), START);
    }
    throttle_deinit(t);
}

static void ipv6_counts_by_network_and_mapped_ipv4_by_address(void **state)
{
    (void)state;
    struct throttle *t = new_throttle();
    assert_int_equal(attempts(t, "2001:db8:1:2::1", "alice", 100, START), 20);
    assert_int_equal(attempts(t, "2001:db8:1:2:ffff::9", "alice", 100, START), 0);
    assert_int_equal(attempts(t, "2001:db8:1:3::1", "bob", 100, START), 20);
    assert_int_equal(attempts(t, "::ffff:10.0.0.1", "carol", 100, START), 20);
    assert_int_equal(attempts(t, "10.0.0.1", "carol", 100, START), 0);
    assert_int_equal(attempts(t, "::ffff:10.0.0.2", "carol", 100, START), 20);
    assert_int_equal(attempts(t, "fe80::1%eth0", "dan", 100, START), 20);
    assert_int_equal(attempts(t, "fe80::2%eth1", "dan", 100, START), 0);
    throttle_deinit(t);
}

static void registrations_are_bounded_by_address(void **state)
{
    (void)state;
    struct throttle *t = new_throttle();
    unsigned passed = 0;
    for (int i = 0; i < 1000; i++)
        passed += throttle_register(t, SLICE("10.0.0.1"), START) == 0;
    assert_int_equal(passed, 300);
    assert_int_equal(throttle_register(t, SLICE("10.0.0.2"), START), 0);
    assert_int_equal(throttle_register(t, SLICE("10.0.0.1"), START + 1100), 0);
    throttle_deinit(t);
}

static void *fail_resize(void *context, void *ptr, size_t old_size, size_t size)
{
    int *left = context;
    if (size && (*left)-- == 0) return NULL;
    return allocator_libc.resize(allocator_libc.context, ptr, old_size, size);
}

static void without_memory_it_says_so_and_leaves_nothing_behind(void **state)
{
    (void)state;
    for (int fail_at = 0; fail_at < 4; fail_at++) {
        int left = fail_at;
        struct allocator failing = {&left, fail_resize};
        struct throttle t;
        assert_int_equal(throttle_init(&t, &failing, secret), ERR_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_gets_few_guesses_however_many_it_makes),
        cmocka_unit_test(an_attack_from_one_address_does_not_lock_out_others),
        cmocka_unit_test(many_addresses_together_are_held_by_the_name_but_not_where_it_is_known),
        cmocka_unit_test(good_logins_are_not_throttled),
        cmocka_unit_test(ipv6_counts_by_network_and_mapped_ipv4_by_address),
        cmocka_unit_test(registrations_are_bounded_by_address),
        cmocka_unit_test(without_memory_it_says_so_and_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
