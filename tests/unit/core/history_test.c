/* Channels whose old history comes on demand, and channels that are opened quietly. */
#include "world.h"

enum { MANY = 300 };

static struct channel_spec general(const struct world *w)
{
    return (struct channel_spec){.type = CHANNEL_PUBLIC, .authority = w->authority, .name = SLICE("general")};
}

/* Like world_add, with these wishes. */
static void enter(struct world *w, int place, const char *account, bool quiet, bool on_demand)
{
    struct channel_spec spec = general(w);
    struct command open = {.kind = COMMAND_OPEN, .spec = &spec, .quiet = quiet, .on_demand = on_demand};
    world_enter(w, place, account);
    assert_true(node_command(w->places[place].node, &open, w->now) >= 0);
    world_settle(w);
}

/* A replica that holds what person 1 has said. */
static struct world *with_history(void)
{
    struct world *w = world_new();
    char text[32];
    world_add(w, 0, ROLE_REPLICA, NULL);
    world_add(w, 1, ROLE_PERSON, "an");
    world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, SECONDS);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, "message %d", i);
        assert_true(world_say(w, 1, text) > 0);
        world_run(w, 10 * MILLISECONDS);
    }
    world_run(w, SECONDS);
    assert_int_equal(w->places[1].acknowledged[0], MANY + 1);
    return w;
}

static int64_t history(struct world *w, int place, uint32_t count)
{
    struct command c = {.kind = COMMAND_HISTORY, .channel = w->channel, .count = count};
    return node_command(w->places[place].node, &c, w->now);
}

/* How many of the messages from..upto - 1 place has; each at most once. */
static int heard(const struct world *w, int place, int from, int upto)
{
    char text[32];
    int sum = 0;
    for (int i = from; i < upto; i++) {
        snprintf(text, sizeof text, "message %d", i);
        int times = world_heard(w, place, text);
        assert_true(times <= 1);
        sum += times;
    }
    return sum;
}

static void old_history_comes_when_it_is_asked_for(void **state)
{
    (void)state;
    struct world *w = with_history();
    struct place *p = &w->places[2];
    enter(w, 2, "binh", false, true);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 60 * SECONDS);
    int shown = heard(w, 2, 0, MANY);
    assert_in_range(shown, 60, 64); /* a screen, and nothing more by itself */
    assert_int_equal(heard(w, 2, MANY - shown, MANY), shown);
    assert_true(p->gaps[1].from == 2 && p->gaps[1].upto == (uint64_t)(MANY + 1 - shown));

    int64_t token = history(w, 2, 100);
    assert_true(token > 0);
    assert_int_equal(history(w, 2, 100), ERR_BUSY);
    world_run(w, 2 * SECONDS);
    assert_true(p->history_token == token && p->history_result == OK && p->history_came == 100);
    assert_int_equal(heard(w, 2, MANY - shown - 100, MANY), shown + 100);
    assert_int_equal(heard(w, 2, 0, MANY), shown + 100);

    world_restart(w, 2); /* and it goes on from there */
    struct channel_spec spec = general(w);
    struct command open = {.kind = COMMAND_OPEN, .spec = &spec, .on_demand = true};
    assert_true(node_command(p->node, &open, w->now) >= 0);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 10 * SECONDS);
    assert_int_equal(heard(w, 2, 0, MANY), shown + 100);
    token = history(w, 2, 1000);
    world_run(w, 3 * SECONDS);
    assert_true(p->history_token == token && p->history_result == OK);
    assert_int_equal(p->history_came, MANY - shown - 100);
    assert_int_equal(heard(w, 2, 0, MANY), MANY);
    assert_true(p->gaps[1].from > p->gaps[1].upto);

    token = history(w, 2, 10);
    world_run(w, 2 * SECONDS);
    assert_true(p->history_token == token && p->history_result == ERR_NOT_FOUND && p->history_came == 0);
    world_free(w);
}

static void what_is_not_held_is_not_claimed(void **state)
{
    (void)state;
    struct world *w = with_history();
    enter(w, 2, "binh", false, true);
    int link = world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 2 * SECONDS);
    world_cut(w, link);
    world_link(w, 2, 1, PATH_DIRECT); /* the author hears what is really there */
    world_run(w, 2 * SECONDS);
    assert_true(w->places[1].acknowledged_from[2] > MANY / 2);
    assert_int_equal(w->places[1].acknowledged[2], MANY + 1);
    world_add(w, 3, ROLE_PERSON, "chi"); /* and who links to it gets what it has */
    world_link(w, 3, 2, PATH_DIRECT);
    world_run(w, 5 * SECONDS);
    int shown = heard(w, 2, 0, MANY);
    assert_true(shown < MANY && heard(w, 3, 0, MANY) == shown);
    world_link(w, 3, 0, PATH_TRACKER);
    world_run(w, 5 * SECONDS);
    assert_int_equal(heard(w, 3, 0, MANY), MANY);
    world_free(w);
}

static void new_entries_come_without_being_asked_for(void **state)
{
    (void)state;
    struct world *w = with_history();
    world_add(w, 3, ROLE_PERSON, "chi");
    world_link(w, 3, 0, PATH_TRACKER);
    enter(w, 2, "binh", false, true);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 3 * SECONDS);
    int shown = heard(w, 2, 0, MANY);
    assert_true(world_say(w, 1, "one more") > 0);
    assert_true(world_say(w, 3, "a newcomer's") > 0); /* of whom nothing is here but perhaps the JOIN */
    assert_true(world_say(w, 2, "an answer") > 0);
    world_run(w, 3 * SECONDS);
    assert_int_equal(world_heard(w, 2, "one more"), 1);
    assert_int_equal(world_heard(w, 2, "a newcomer's"), 1);
    assert_int_equal(world_heard(w, 1, "an answer"), 1);
    world_visit(w, 5, 1, 0, "somebody quite new");
    world_run(w, 3 * SECONDS);
    assert_int_equal(world_heard(w, 2, "somebody quite new"), 1);
    assert_int_equal(heard(w, 2, 0, MANY), shown);
    world_free(w);
}

static void who_was_away_gets_the_newest_of_many(void **state)
{
    (void)state;
    struct world *w = with_history();
    char text[32];
    enter(w, 2, "binh", false, true);
    int link = world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 3 * SECONDS);
    world_cut(w, link);
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "later %d", i);
        assert_true(world_say(w, 1, text) > 0);
        world_run(w, 10 * MILLISECONDS);
    }
    world_run(w, SECONDS);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 5 * SECONDS);
    for (int i = 0; i < 200; i++) { /* they follow what is there already */
        snprintf(text, sizeof text, "later %d", i);
        assert_int_equal(world_heard(w, 2, text), 1);
    }
    assert_true(heard(w, 2, 0, MANY) < MANY);
    world_free(w);
}

static void start_anew(struct world *w, int place)
{
    struct channel_spec spec = general(w);
    struct command open = {.kind = COMMAND_OPEN, .spec = &spec, .on_demand = true};
    world_restart(w, place);
    assert_true(node_command(w->places[place].node, &open, w->now) >= 0);
}

/* However the answer is torn, the newest are there in the end, and hardly more than they. */
static void a_torn_screen_is_made_whole(void **state)
{
    (void)state;
    for (int bytes = 3000; bytes < 13000; bytes += 1100) {
        struct world *w = with_history();
        enter(w, 2, "binh", false, true);
        int link = world_link(w, 2, 0, PATH_TRACKER);
        w->links[link].cut_after[1] = bytes;
        world_run(w, SECONDS);
        world_cut(w, link);
        int shown = heard(w, 2, 0, MANY);
        assert_true(shown < 60 && heard(w, 2, MANY - shown, MANY) == shown);
        if (bytes % 2000 < 1000) start_anew(w, 2);
        world_link(w, 2, 0, PATH_TRACKER);
        world_run(w, 10 * SECONDS);
        assert_int_equal(heard(w, 2, MANY - 60, MANY), 60);
        assert_in_range(heard(w, 2, 0, MANY), 60, 128);
        world_free(w);
    }
}

static void what_could_not_be_stored_is_among_the_newest_still(void **state)
{
    (void)state;
    struct world *w = with_history();
    enter(w, 2, "binh", false, true);
    w->places[2].fail_every = 7;
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 2 * SECONDS);
    assert_true(heard(w, 2, MANY - 60, MANY) < 60);
    w->places[2].fail_every = 0;
    world_run(w, 20 * SECONDS);
    assert_int_equal(heard(w, 2, MANY - 60, MANY), 60);
    assert_in_range(heard(w, 2, 0, MANY), 60, 128);
    world_free(w);
}

static void nobody_there_is_an_answer_too(void **state)
{
    (void)state;
    struct world *w = with_history();
    struct place *p = &w->places[2];
    enter(w, 2, "binh", false, true);
    int64_t token = history(w, 2, 50);
    assert_true(token > 0);
    world_run(w, SECONDS);
    assert_true(p->history_token == token && p->history_result == ERR_TIMEOUT);
    int link = world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 3 * SECONDS);
    w->links[link].up = false; /* bytes vanish from now on */
    token = history(w, 2, 50);
    world_run(w, 20 * SECONDS);
    assert_true(p->history_token == token && p->history_result == ERR_TIMEOUT && p->history_came == 0);
    world_free(w);
}

static void a_disk_that_hangs_keeps_nobody_waiting(void **state)
{
    (void)state;
    struct world *w = with_history();
    struct place *p = &w->places[2];
    enter(w, 2, "binh", false, true);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 3 * SECONDS);
    p->hold_stores = true;
    int64_t token = history(w, 2, 20);
    world_run(w, 30 * SECONDS);
    assert_true(p->history_token != token && p->held_len > 0);
    world_run(w, 20 * SECONDS);
    assert_true(p->history_token == token && p->history_result == ERR_TIMEOUT && p->history_came == 0);
    p->hold_stores = false;
    for (size_t i = 0; i < p->held_len; i++)
        node_done(p->node, p->held[i], OK, SLICE_EMPTY, w->now);
    world_run(w, SECONDS);
    assert_in_range(heard(w, 2, 0, MANY), 80, 84); /* it is shown all the same */
    token = history(w, 2, 20);
    world_run(w, SECONDS);
    assert_true(p->history_token == token && p->history_result == OK && p->history_came == 20);
    world_free(w);
}

static void a_quiet_reader_is_not_announced_before_he_speaks(void **state)
{
    (void)state;
    struct world *w = with_history();
    enter(w, 2, "binh", true, false);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 5 * SECONDS);
    assert_int_equal(heard(w, 2, 0, MANY), MANY);
    for (size_t i = 0; i < w->places[1].deliveries; i++)
        assert_string_equal(w->places[1].delivered[i].account, "an");
    assert_true(world_say(w, 2, "first words") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, 1, "first words"), 1);
    const struct delivery *join = &w->places[1].delivered[w->places[1].deliveries - 2];
    assert_true(join->kind == ENTRY_JOIN && strcmp(join->account, "binh") == 0);
    world_free(w);
}

static void history_is_checked(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_add(w, 1, ROLE_PERSON, "an");
    static const uint8_t unknown[32];
    struct command c = {.kind = COMMAND_HISTORY, .channel = unknown, .count = 10};
    assert_int_equal(node_command(w->places[1].node, &c, w->now), ERR_NOT_FOUND);
    assert_int_equal(history(w, 1, 0), ERR_INVALID);
    c.channel = NULL;
    assert_int_equal(node_command(w->places[1].node, &c, w->now), ERR_INVALID);
    assert_true(history(w, 1, UINT32_MAX) > 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_history_comes_when_it_is_asked_for),
        cmocka_unit_test(what_is_not_held_is_not_claimed),
        cmocka_unit_test(new_entries_come_without_being_asked_for),
        cmocka_unit_test(who_was_away_gets_the_newest_of_many),
        cmocka_unit_test(a_torn_screen_is_made_whole),
        cmocka_unit_test(what_could_not_be_stored_is_among_the_newest_still),
        cmocka_unit_test(nobody_there_is_an_answer_too),
        cmocka_unit_test(a_disk_that_hangs_keeps_nobody_waiting),
        cmocka_unit_test(a_quiet_reader_is_not_announced_before_he_speaks),
        cmocka_unit_test(history_is_checked),
    };
    return cmocka_run_group_tests_name("core/history", tests, NULL, NULL);
}
