/* The delivery ledger: who holds how much of what one has written, linked or not. */
#include "people.h"

static bool row_of(struct world *w, int place, const uint8_t *device, struct ledger_row *out,
                   uint64_t *out_own)
{
    for (uint32_t row = 0; node_ledger(w->places[place].node, w->channel, row, out, out_own); row++)
        if (memcmp(out->device, device, 32) == 0) return true;
    return false;
}

static int rows(struct world *w, int place)
{
    struct ledger_row row;
    uint64_t own;
    int count = 0;
    while (node_ledger(w->places[place].node, w->channel, (uint32_t)count, &row, &own))
        count++;
    return count;
}

/* 1 - 2 - 3 - 0, each linked to the next one only. */
static struct world *chain(void)
{
    static const char *const accounts[] = {"an", "binh", "chi", NULL};
    struct world *w = people_new(accounts);
    world_link(w, 1, 2, PATH_LAN);
    world_link(w, 2, 3, PATH_DIRECT);
    world_link(w, 3, 0, PATH_TRACKER);
    world_run(w, 15 * SECONDS);
    return w;
}

static void linked_devices_say_it_themselves(void **state)
{
    (void)state;
    struct world *w = chain();
    struct ledger_row row;
    uint64_t own;
    assert_true(world_say(w, 1, "one") > 0);
    world_run(w, SECONDS);
    assert_true(row_of(w, 1, world_device(w, 2), &row, &own));
    assert_int_equal(own, 2);
    assert_true(row.from == 1 && row.seq == 2 && row.path == PATH_LAN && row.role == ROLE_PERSON);
    assert_memory_equal(row.account.ptr, "binh", 4);
    static const uint8_t unknown[32];
    assert_false(node_ledger(w->places[1].node, unknown, 0, &row, &own));
    world_free(w);
}

static void receipts_come_from_those_who_are_not_linked(void **state)
{
    (void)state;
    struct world *w = chain();
    struct ledger_row row;
    uint64_t own;
    for (int i = 0; i < 40; i++) {
        assert_true(world_say(w, 1, "many") > 0);
        world_run(w, 100 * MILLISECONDS);
    }
    world_run(w, 25 * SECONDS);
    assert_int_equal(rows(w, 1), 3);
    assert_true(row_of(w, 1, world_device(w, 3), &row, &own));
    assert_true(row.from == 1 && row.seq == 41 && row.path == PATH_NONE && row.role == ROLE_PERSON);
    assert_memory_equal(row.account.ptr, "chi", 3);
    assert_true(row_of(w, 1, world_device(w, 0), &row, &own));
    assert_true(row.seq == 41 && row.path == PATH_NONE && row.role == ROLE_REPLICA);
    assert_int_equal(w->places[1].acknowledged[3], 41); /* and the shell is told */
    assert_int_equal(w->places[1].acknowledged[0], 41);
    assert_int_equal(w->places[1].acknowledged_path[3], PATH_NONE);
    assert_true(row_of(w, 3, world_device(w, 1), &row, &own)); /* the other way round as well */
    assert_int_equal(row.seq, 1);
    world_free(w);
}

static void receipts_are_few(void **state)
{
    (void)state;
    struct world *w = chain();
    long before = w->links[0].bytes_of[1];
    for (int i = 0; i < 100; i++) {
        assert_true(world_say(w, 1, "x") > 0);
        world_run(w, 100 * MILLISECONDS);
    }
    /* In 10 s: 100 HAVEs, which there are anyway, two receipts from each of two devices, and PONGs. */
    assert_true(w->links[0].bytes_of[1] - before < 100 * 110 + 4 * 260 + 500);
    world_free(w);
}

static void who_was_linked_is_remembered(void **state)
{
    (void)state;
    struct world *w = chain();
    struct ledger_row row;
    uint64_t own;
    assert_true(world_say(w, 1, "one") > 0);
    world_run(w, SECONDS);
    world_cut(w, 0);
    assert_true(world_say(w, 1, "two") > 0);
    world_run(w, SECONDS);
    assert_true(row_of(w, 1, world_device(w, 2), &row, &own));
    assert_true(own == 3 && row.from == 1 && row.seq == 2 && row.path == PATH_NONE);
    world_free(w);
}

static void the_tracker_keeps_receipts_for_who_is_away(void **state)
{
    (void)state;
    static const char *const accounts[] = {"an", "binh", NULL};
    struct world *w = people_new(accounts);
    struct ledger_row row;
    uint64_t own;
    int first = world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "read it when you are there") > 0);
    world_run(w, SECONDS);
    world_cut(w, first);
    world_restart(w, 1);
    int second = world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 20 * SECONDS);
    world_cut(w, second);
    assert_false(row_of(w, 1, world_device(w, 2), &row, &own)); /* who that is is not known yet */
    world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, 20 * SECONDS);
    assert_true(row_of(w, 1, world_device(w, 2), &row, &own));
    assert_true(row.seq == 2 && row.path == PATH_NONE);
    assert_int_equal(w->places[1].acknowledged[2], 2);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linked_devices_say_it_themselves),
        cmocka_unit_test(receipts_come_from_those_who_are_not_linked),
        cmocka_unit_test(receipts_are_few),
        cmocka_unit_test(who_was_linked_is_remembered),
        cmocka_unit_test(the_tracker_keeps_receipts_for_who_is_away),
    };
    return cmocka_run_group_tests_name("core/ledger", tests, NULL, NULL);
}
