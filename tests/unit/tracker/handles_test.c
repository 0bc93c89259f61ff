/* Numbers for sockets and relays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tracker/handles.h"

static void a_number_finds_its_thing_until_it_is_removed(void **state)
{
    (void)state;
    struct handles h;
    int things[200];
    uint32_t numbers[200];
    handles_init(&h, &allocator_libc);
    assert_null(handles_get(&h, 0));
    assert_null(handles_get(&h, 1 << 16));
    for (int i = 0; i < 200; i++) {
        assert_int_equal(handles_add(&h, &things[i], &numbers[i]), OK);
        assert_int_not_equal(numbers[i], 0);
    }
    for (int i = 0; i < 200; i++)
        assert_ptr_equal(handles_get(&h, numbers[i]), &things[i]);
    for (int i = 0; i < 200; i += 2)
        handles_remove(&h, numbers[i]);
    handles_remove(&h, numbers[0]); /* again */
    assert_int_equal(h.used, 100);
    for (int i = 0; i < 200; i++)
        assert_ptr_equal(handles_get(&h, numbers[i]), i % 2 ? &things[i] : NULL);
    size_t at = 0, visited = 0;
    while (handles_next(&h, &at))
        visited++;
    assert_int_equal(visited, 100);
    handles_deinit(&h);
}

static void an_old_number_does_not_find_a_new_thing(void **state)
{
    (void)state;
    struct handles h;
    int thing;
    uint32_t first, number;
    handles_init(&h, &allocator_libc);
    assert_int_equal(handles_add(&h, &thing, &first), OK);
    handles_remove(&h, first);
    /* 64 slots times 65535 generations; a good part of them is enough to see. */
    for (int i = 0; i < 1000000; i++) {
        assert_int_equal(handles_add(&h, &thing, &number), OK);
        if (number == first) fail_msg("the number came back after %d", i);
        handles_remove(&h, number);
    }
    assert_null(handles_get(&h, first));
    handles_deinit(&h);
}

static void there_is_a_limit_and_after_it_room_again(void **state)
{
    (void)state;
    struct handles h;
    int thing;
    uint32_t number = 0, another;
    handles_init(&h, &allocator_libc);
    for (int i = 0; i < HANDLES_MAX; i++)
        assert_int_equal(handles_add(&h, &thing, &number), OK);
    assert_int_equal(handles_add(&h, &thing, &another), ERR_FULL);
    handles_remove(&h, number);
    assert_int_equal(handles_add(&h, &thing, &another), OK);
    assert_int_not_equal(another, number);
    handles_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_finds_its_thing_until_it_is_removed),
        cmocka_unit_test(an_old_number_does_not_find_a_new_thing),
        cmocka_unit_test(there_is_a_limit_and_after_it_room_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
