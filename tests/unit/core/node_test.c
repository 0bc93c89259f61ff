/* Nodes exchange what they write, acknowledge only what is durable, and find each other again. */
#include "world.h"

static struct world *two(void)
{
    struct world *w = world_new();
    world_add(w, 1, ROLE_PERSON, "an");
    world_add(w, 2, ROLE_PERSON, "binh");
    return w;
}

static void two_people_talk(void **state)
{
    (void)state;
    struct world *w = two();
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_int_equal(w->places[1].peer_path[2], PATH_DIRECT);
    int64_t token = world_say(w, 1, "hello");
    assert_true(token > 0);
    world_settle(w); /* at once: no timer is needed for a message to arrive */
    assert_int_equal(world_heard(w, 2, "hello"), 1);
    struct delivery *d = &w->places[2].delivered[w->places[2].deliveries - 1];
    assert_string_equal(d->account, "an");
    assert_int_equal(d->path, PATH_DIRECT);
    assert_memory_equal(d->from, world_device(w, 1), 32);
    struct delivery *own = &w->places[1].delivered[w->places[1].deliveries - 1];
    assert_int_equal(own->token, token);
    assert_int_equal(w->places[1].acknowledged[2], 2); /* after a quiet time at once ... */
    assert_true(world_say(w, 1, "again") > 0);
    world_settle(w);
    assert_int_equal(world_heard(w, 2, "again"), 1);
    assert_int_equal(w->places[1].acknowledged[2], 2); /* ... then gathered for 50 ms */
    world_run(w, 50 * MILLISECONDS);
    assert_int_equal(w->places[1].acknowledged[2], 3);
    world_free(w);
}

static void nothing_is_acknowledged_before_it_is_durable(void **state)
{
    (void)state;
    struct world *w = two();
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    w->places[2].hold_stores = true;
    assert_true(world_say(w, 1, "hello") > 0);
    world_run(w, 5 * SECONDS);
    assert_int_equal(world_heard(w, 2, "hello"), 0);
    assert_int_equal(w->places[1].acknowledged[2], 1);
    assert_int_equal(w->places[2].held_len, 1);
    node_done(w->places[2].node, w->places[2].held[0], OK, SLICE_EMPTY, w->now);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 2, "hello"), 1);
    assert_int_equal(w->places[1].acknowledged[2], 2);
    world_free(w);
}

static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    struct world *w = two();
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    w->places[2].store_result = ERR_DISK_FULL;
    assert_true(world_say(w, 1, "one") > 0);
    assert_true(world_say(w, 1, "two") > 0);
    world_run(w, 3 * SECONDS);
    w->places[1].store_result = ERR_DISK_FULL;
    assert_true(world_say(w, 1, "three") > 0);
    world_run(w, 20 * SECONDS);
    assert_int_equal(world_heard(w, 1, "three"), 0);
    assert_int_equal(world_heard(w, 2, "one"), 0);
    assert_true(w->places[1].warnings > 0);
    w->places[1].store_result = w->places[2].store_result = OK;
    world_run(w, 120 * SECONDS);
    assert_int_equal(world_heard(w, 2, "one"), 1);
    assert_int_equal(world_heard(w, 2, "two"), 1);
    assert_int_equal(world_heard(w, 2, "three"), 1);
    assert_int_equal(w->places[1].acknowledged[2], 4);
    world_free(w);
}

static void a_late_comer_gets_the_history_from_a_replica(void **state)
{
    (void)state;
    struct world *w = world_new();
    char text[32];
    world_add(w, 0, ROLE_REPLICA, NULL);
    world_add(w, 1, ROLE_PERSON, "an");
    int first = world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    for (int i = 0; i < 400; i++) {
        snprintf(text, sizeof text, "message %d", i);
        assert_true(world_say(w, 1, text) > 0);
        world_settle(w);
    }
    world_run(w, SECONDS);
    assert_int_equal(w->places[1].acknowledged[0], 401);
    world_cut(w, first);
    world_add(w, 2, ROLE_PERSON, "binh");
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 3 * SECONDS);
    for (int i = 0; i < 400; i++) {
        snprintf(text, sizeof text, "message %d", i);
        assert_int_equal(world_heard(w, 2, text), 1);
    }
    world_free(w);
}

static void messages_pass_through_a_third_person(void **state)
{
    (void)state;
    struct world *w = two();
    world_add(w, 3, ROLE_PERSON, "chi");
    world_link(w, 1, 2, PATH_DIRECT);
    world_link(w, 2, 3, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "far") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 3, "far"), 1);
    struct delivery *d = &w->places[3].delivered[w->places[3].deliveries - 1];
    assert_memory_equal(d->from, world_device(w, 2), 32);
    assert_memory_equal(d->author, world_device(w, 1), 32);
    world_free(w);
}

static void an_entry_crosses_a_link_once(void **state)
{
    (void)state;
    struct world *w = two();
    world_add(w, 3, ROLE_PERSON, "chi");
    int ab = world_link(w, 1, 2, PATH_DIRECT), bc = world_link(w, 2, 3, PATH_DIRECT),
        ca = world_link(w, 3, 1, PATH_DIRECT);
    world_run(w, 2 * SECONDS);
    long before = w->links[bc].bytes_of[0] + w->links[bc].bytes_of[1];
    long direct = w->links[ab].bytes_of[0] + w->links[ca].bytes_of[1];
    char text[200];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < 20; i++) {
        assert_true(world_say(w, 1, text) > 0);
        world_run(w, 200 * MILLISECONDS);
    }
    world_run(w, 2 * SECONDS);
    assert_int_equal(w->places[3].acknowledged[1], w->places[3].acknowledged[2]);
    long between_the_others = w->links[bc].bytes_of[0] + w->links[bc].bytes_of[1] - before;
    long from_the_author = w->links[ab].bytes_of[0] + w->links[ca].bytes_of[1] - direct;
    assert_true(from_the_author > 2 * 20 * 400);
    assert_true(between_the_others < 20 * 2 * 180); /* have-vectors only */
    world_free(w);
}

static void a_restart_keeps_history_and_goes_on(void **state)
{
    (void)state;
    struct world *w = two();
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "before") > 0);
    world_run(w, SECONDS);
    world_restart(w, 1);
    size_t deliveries = w->places[2].deliveries;
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_int_equal(w->places[2].deliveries, deliveries); /* nothing comes twice */
    assert_true(world_say(w, 1, "after") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 2, "after"), 1);
    assert_int_equal(w->places[2].delivered[w->places[2].deliveries - 1].seq, 3);
    world_free(w);
}

static void own_entries_come_back_from_others(void **state)
{
    (void)state;
    struct world *w = two();
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "kept elsewhere") > 0);
    world_run(w, SECONDS);
    w->places[1].records -= 1; /* the disk lost the last one */
    world_restart(w, 1);
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "next") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 2, "next"), 1);
    assert_int_equal(w->places[2].warnings, 0);
    world_free(w);
}

static void the_better_link_stays(void **state)
{
    (void)state;
    struct world *w = two();
    int relay = world_link(w, 1, 2, PATH_RELAY);
    world_run(w, SECONDS);
    assert_int_equal(w->places[1].peer_path[2], PATH_RELAY);
    int direct = world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_false(w->links[relay].up);
    assert_true(w->links[direct].up);
    assert_int_equal(w->places[1].peer_path[2], PATH_DIRECT);
    int late = world_link(w, 1, 2, PATH_RELAY);
    world_run(w, 2 * SECONDS);
    assert_false(w->links[late].up);
    assert_true(w->links[direct].up);
    assert_true(world_say(w, 1, "still there") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 2, "still there"), 1);
    world_free(w);
}

static void relay_is_asked_for_when_direct_takes_too_long(void **state)
{
    (void)state;
    struct world *w = two();
    int dialer = memcmp(world_device(w, 1), world_device(w, 2), 32) < 0 ? 1 : 2, other = 3 - dialer;
    struct place *p = &w->places[dialer];
    struct command hint = {.kind = COMMAND_PEER, .device = world_device(w, other), .online = true};
    assert_int_equal(node_command(p->node, &hint, w->now), 0);
    world_settle(w);
    assert_int_equal(p->connects, 1);
    assert_int_equal(p->connect_path, PATH_DIRECT);
    world_run(w, 4900 * MILLISECONDS);
    assert_int_equal(p->connects, 1);
    world_run(w, 200 * MILLISECONDS);
    assert_int_equal(p->connects, 2);
    assert_int_equal(p->connect_path, PATH_RELAY);
    world_link(w, dialer, other, PATH_RELAY);
    world_run(w, 60 * SECONDS); /* over the relay, direct is tried again */
    assert_true(p->connects >= 3);
    assert_int_equal(p->connect_path, PATH_DIRECT);
    world_link(w, dialer, other, PATH_DIRECT);
    world_run(w, SECONDS);
    int connects = p->connects;
    world_run(w, 300 * SECONDS); /* and then not any more */
    assert_int_equal(p->connects, connects);
    world_free(w);
}

static void failing_at_once_asks_for_the_relay_at_once(void **state)
{
    (void)state;
    struct world *w = two();
    int dialer = memcmp(world_device(w, 1), world_device(w, 2), 32) < 0 ? 1 : 2, other = 3 - dialer;
    struct place *p = &w->places[dialer];
    struct command hint = {.kind = COMMAND_PEER, .device = world_device(w, other), .online = true};
    struct command failed = {
        .kind = COMMAND_CONNECT_FAILED, .device = world_device(w, other), .path = PATH_DIRECT};
    assert_int_equal(node_command(p->node, &hint, w->now), 0);
    world_settle(w);
    assert_int_equal(node_command(p->node, &failed, w->now), 0);
    world_settle(w);
    assert_int_equal(p->connect_path, PATH_RELAY);
    world_free(w);
}

static void silence_ends_a_link(void **state)
{
    (void)state;
    struct world *w = two();
    int link = world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    w->links[link].up = false; /* bytes vanish, nobody is told */
    world_run(w, 45 * SECONDS);
    assert_int_equal(w->places[1].last_close, ERR_TIMEOUT);
    assert_int_equal(w->places[2].last_close, ERR_TIMEOUT);
    assert_int_equal(w->places[1].peer_path[2], PATH_NONE);
    world_free(w);
}

static void commands_are_checked(void **state)
{
    (void)state;
    struct world *w = two();
    struct node *n = w->places[1].node;
    static uint8_t big[NODE_BODY_BYTES_MAX + 1], unknown[32] = {1};
    struct command c = {.kind = COMMAND_SEND, .channel = w->channel, .entry_kind = ENTRY_TEXT};
    c.bytes = slice_of(big, sizeof big);
    assert_int_equal(node_command(n, &c, w->now), ERR_TOO_LARGE);
    c.bytes = SLICE_EMPTY;
    assert_int_equal(node_command(n, &c, w->now), ERR_INVALID);
    c.bytes = SLICE("\x80");
    c.channel = unknown;
    assert_int_equal(node_command(n, &c, w->now), ERR_NOT_FOUND);
    c.channel = NULL;
    assert_int_equal(node_command(n, &c, w->now), ERR_INVALID);
    struct command leave = {.kind = COMMAND_LEAVE, .channel = w->channel};
    assert_true(node_command(n, &leave, w->now) > 0);
    assert_int_equal(world_say(w, 1, "gone"), ERR_NOT_FOUND);
    world_free(w);
}

static void who_failed_once_is_asked_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_add(w, 0, ROLE_REPLICA, NULL);
    world_add(w, 1, ROLE_PERSON, "an");
    int first = world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "kept") > 0);
    world_run(w, SECONDS);
    world_cut(w, first);
    world_restart(w, 0); /* nothing is in memory: entries are read back */
    w->places[0].read_result = ERR_IO;
    world_add(w, 2, ROLE_PERSON, "binh");
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 20 * SECONDS);
    assert_int_equal(world_heard(w, 2, "kept"), 0);
    w->places[0].read_result = OK;
    world_run(w, 30 * SECONDS);
    assert_int_equal(world_heard(w, 2, "kept"), 1);
    world_free(w);
}

static void a_long_burst_arrives_without_pauses(void **state)
{
    (void)state;
    struct world *w = two();
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    for (int i = 0; i < 500; i++)
        assert_true(world_say(w, 1, "one of many") > 0); /* more than stays in memory */
    world_settle(w);
    world_run(w, 100 * MILLISECONDS); /* less than the grace of whoever would ask */
    assert_int_equal(world_heard(w, 2, "one of many"), 500);
    assert_true(world_say(w, 1, "after it") > 0);
    world_settle(w);
    assert_int_equal(world_heard(w, 2, "after it"), 1);
    world_free(w);
}

static void who_leaves_still_hands_on_what_was_written(void **state)
{
    (void)state;
    struct world *w = two();
    assert_true(world_say(w, 1, "last words") > 0); /* nobody is linked */
    struct command leave = {.kind = COMMAND_LEAVE, .channel = w->channel};
    assert_true(node_command(w->places[1].node, &leave, w->now) > 0);
    assert_int_equal(node_command(w->places[1].node, &leave, w->now), ERR_NOT_FOUND);
    world_run(w, 5 * SECONDS);
    world_restart(w, 1);
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, 5 * SECONDS);
    assert_int_equal(world_heard(w, 2, "last words"), 1);
    assert_int_equal(w->places[2].delivered[w->places[2].deliveries - 1].kind, ENTRY_LEAVE);
    assert_true(world_say(w, 2, "good-bye") > 0);
    world_run(w, 5 * SECONDS);
    assert_int_equal(world_heard(w, 1, "good-bye"), 0);
    assert_int_equal(world_say(w, 1, "more"), ERR_NOT_FOUND);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_people_talk),
        cmocka_unit_test(nothing_is_acknowledged_before_it_is_durable),
        cmocka_unit_test(a_full_disk_loses_nothing),
        cmocka_unit_test(a_late_comer_gets_the_history_from_a_replica),
        cmocka_unit_test(messages_pass_through_a_third_person),
        cmocka_unit_test(an_entry_crosses_a_link_once),
        cmocka_unit_test(a_restart_keeps_history_and_goes_on),
        cmocka_unit_test(own_entries_come_back_from_others),
        cmocka_unit_test(the_better_link_stays),
        cmocka_unit_test(relay_is_asked_for_when_direct_takes_too_long),
        cmocka_unit_test(failing_at_once_asks_for_the_relay_at_once),
        cmocka_unit_test(silence_ends_a_link),
        cmocka_unit_test(commands_are_checked),
        cmocka_unit_test(who_failed_once_is_asked_again),
        cmocka_unit_test(a_long_burst_arrives_without_pauses),
        cmocka_unit_test(who_leaves_still_hands_on_what_was_written),
    };
    return cmocka_run_group_tests_name("core/node", tests, NULL, NULL);
}
