/* Files arrive byte for byte, from whoever has them, whatever goes wrong on the way. */
#include "swarm.h"

#define LEAF ((uint64_t)NODE_LEAF_BYTES)

static struct swarm *pair(void)
{
    struct swarm *w = swarm_new(2);
    swarm_link(w, 0, 1);
    swarm_run(w, SECONDS / 2);
    return w;
}

static void sizes_around_the_borders_of_leaves_arrive(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0,    1,        100,          16384,        16385,        LEAF - 1,
                                     LEAF, LEAF + 1, 2 * LEAF - 1, 2 * LEAF + 1, 9 * LEAF + 77};
    struct swarm *w = pair();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int file = swarm_file(w, sizes[i]);
        swarm_hold(w, 0, file);
        assert_int_equal(swarm_fetch(w, 1, file), 0);
    }
    for (int file = 0; file < w->originals_len; file++) {
        assert_true(swarm_until_done(w, 1, file, 20 * SECONDS));
        assert_int_equal(w->devices[0].copies[file].state, FILE_SERVING);
        assert_int_equal(w->devices[1].copies[file].leaves, w->originals[file].leaves);
        for (uint32_t leaf = 0; leaf < w->originals[file].leaves; leaf++)
            assert_int_equal(w->devices[1].copies[file].writes[leaf], 1);
    }
    swarm_free(w);
}

static void a_file_that_is_held_later_is_found(void **state)
{
    (void)state;
    struct swarm *w = pair();
    int file = swarm_file(w, 3 * LEAF);
    assert_int_equal(swarm_fetch(w, 1, file), 0);
    swarm_run(w, 2 * SECONDS);
    assert_int_equal(w->devices[1].copies[file].state, FILE_WAITING);
    swarm_hold(w, 0, file);
    assert_true(swarm_until_done(w, 1, file, 2 * SECONDS));
    swarm_free(w);
}

/* Who has more of a file does not matter: all give what they have. */
static void several_sources_are_used_at_once(void **state)
{
    (void)state;
    struct swarm *w = swarm_new(5);
    int file = swarm_file(w, 64 * LEAF);
    for (int i = 0; i < 4; i++) {
        swarm_link(w, i, 4);
        w->devices[i].rate = 1000000;
        swarm_hold(w, i, file);
    }
    swarm_run(w, SECONDS / 2);
    usec began = w->now;
    assert_int_equal(swarm_fetch(w, 4, file), 0);
    assert_true(swarm_until_done(w, 4, file, 60 * SECONDS));
    assert_in_range(w->now - began, 1 * SECONDS, 2 * SECONDS); /* 4 MiB of 4 MB/s; one of them needs 4.2 s */
    for (int i = 0; i < 4; i++)
        assert_in_range(w->devices[i].data_sent, 10 * LEAF, 24 * LEAF);
    swarm_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_around_the_borders_of_leaves_arrive),
        cmocka_unit_test(a_file_that_is_held_later_is_found),
        cmocka_unit_test(several_sources_are_used_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
