/* The timer wheel against a plain list of deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/wheel.h"

enum { ENTRIES = 200 };

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Every deadline fires once, not early, and at most one tick late. */
static void deadlines_fire_in_time_also_when_they_were_moved(void **state)
{
    (void)state;
    static struct wheel w;
    static struct wheel_entry entries[ENTRIES];
    uint64_t seed = 1, now = 1000003, due[ENTRIES] = {0};
    size_t fired = 0;
    wheel_init(&w, now);
    for (int i = 0; i < ENTRIES; i++)
        wheel_entry_init(&entries[i]);
    for (int step = 0; step < 40000; step++) {
        uint32_t i = next_random(&seed) % ENTRIES;
        /* near, far, and beyond the horizon of the wheel; earlier and later than before */
        uint64_t far = next_random(&seed) % 3 == 0 ? 200000 : 3000;
        if (next_random(&seed) % 8 == 0) {
            wheel_remove(&w, &entries[i]);
            due[i] = 0;
        } else if (next_random(&seed) % 4 == 0) {
            due[i] = now + next_random(&seed) % far + 1;
            wheel_set(&w, &entries[i], due[i]);
        }
        now += next_random(&seed) % 40;
        struct wheel_entry *e;
        while ((e = wheel_next(&w, now))) {
            size_t k = (size_t)(e - entries);
            assert_true(due[k] != 0 && due[k] <= now);
            due[k] = 0;
            fired++;
        }
        for (int k = 0; k < ENTRIES; k++)
            assert_true(due[k] == 0 || due[k] + 2 * WHEEL_TICK_MS >= now);
    }
    assert_true(fired > 1000);
    size_t left = 0;
    for (int k = 0; k < ENTRIES; k++)
        left += due[k] != 0;
    assert_int_equal(w.len, left);
}

static void moving_a_deadline_to_later_does_not_move_the_entry(void **state)
{
    (void)state;
    static struct wheel w;
    struct wheel_entry e;
    wheel_init(&w, 0);
    wheel_entry_init(&e);
    wheel_set(&w, &e, 1000);
    struct list *place = e.node.next;
    wheel_set(&w, &e, 50000);
    assert_true(e.node.next == place);
    assert_null(wheel_next(&w, 49999));
    assert_true(wheel_next(&w, 50000 + WHEEL_TICK_MS) == &e);
    assert_int_equal(w.len, 0);
}

static void a_long_sleep_fires_everything_that_is_due(void **state)
{
    (void)state;
    static struct wheel w;
    struct wheel_entry a, b;
    wheel_init(&w, 0);
    wheel_entry_init(&a);
    wheel_entry_init(&b);
    wheel_set(&w, &a, 100);
    wheel_set(&w, &b, 10000000);
    assert_true(wheel_next(&w, 5000000) == &a);
    assert_null(wheel_next(&w, 5000000));
    assert_true(wheel_next(&w, 20000000) == &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_fire_in_time_also_when_they_were_moved),
        cmocka_unit_test(moving_a_deadline_to_later_does_not_move_the_entry),
        cmocka_unit_test(a_long_sleep_fires_everything_that_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
