/* Sealed channels: who hears of them, who may take part, and what counts when somebody is removed. */
#include "people.h"

/* The tracker (0), An with two devices (1, 2), Binh (3), Chi (4); all linked to the tracker. */
static struct world *people(void)
{
    static const char *const accounts[] = {"an", "an", "binh", "chi", NULL};
    return people_online(accounts);
}

/* An's private channel with Binh and Chi in it. */
static struct channel_spec found(struct world *w)
{
    static const char *const members[] = {"binh", "chi", NULL};
    return people_found(w, 1, members);
}

static void ids_follow_from_specs(void **state)
{
    (void)state;
    struct world *w = people();
    uint8_t a[32], b[32], c[32];
    struct channel_spec spec = {
        .type = CHANNEL_DIRECT, .authority = w->authority, .account = SLICE("an"), .other = SLICE("binh")};
    assert_int_equal(channel_spec_id(crypto_native(), &spec, a), OK);
    spec.account = SLICE("binh");
    spec.other = SLICE("an");
    assert_int_equal(channel_spec_id(crypto_native(), &spec, b), OK);
    assert_memory_equal(a, b, 32);
    spec.account = SLICE("bin");
    spec.other = SLICE("han");
    assert_int_equal(channel_spec_id(crypto_native(), &spec, b), OK);
    assert_memory_not_equal(a, b, 32);
    spec.other = SLICE_EMPTY;
    assert_int_equal(channel_spec_id(crypto_native(), &spec, b), ERR_INVALID);
    struct channel_spec named = {.type = CHANNEL_PUBLIC, .authority = w->authority, .name = SLICE("general")};
    assert_int_equal(channel_spec_id(crypto_native(), &named, b), OK);
    channel_id(crypto_native(), w->authority, SLICE("general"), c);
    assert_memory_equal(b, c, 32);
    struct channel_spec founded = {.type = CHANNEL_PRIVATE, .authority = w->authority, .founder = a};
    assert_int_equal(channel_spec_id(crypto_native(), &founded, b), ERR_INVALID);
    world_free(w);
}

static void a_private_channel_reaches_its_members_only(void **state)
{
    (void)state;
    struct world *w = people();
    struct channel_spec spec = people_private(w, 1);
    assert_true(world_open(w, 1, &spec) > 0);
    world_run(w, SECONDS);
    assert_int_equal(w->places[0].introduced, 1);
    assert_int_equal(w->places[2].introduced, 1); /* the founder's other device */
    assert_int_equal(w->places[3].introduced, 0);
    assert_true(world_member(w, 1, "binh", true) > 0);
    world_run(w, SECONDS);
    assert_int_equal(w->places[3].introduced, 1);
    assert_int_equal(w->places[4].introduced, 0);
    assert_true(world_say(w, 3, "from binh") > 0);
    assert_true(world_say(w, 2, "from the tablet") > 0);
    world_run(w, 2 * SECONDS);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(world_shows(w, i, "from binh"), i > 0); /* the tracker holds it, and reads nothing */
        assert_int_equal(world_shows(w, i, "from the tablet"), i > 0);
    }
    slice account;
    assert_true(node_member(w->places[3].node, w->channel, 0, &account));
    assert_true(slice_equal(account, SLICE("an")));
    assert_true(node_member(w->places[3].node, w->channel, 1, &account));
    assert_true(slice_equal(account, SLICE("binh")));
    assert_false(node_member(w->places[3].node, w->channel, 2, &account));
    assert_int_equal(world_member(w, 3, "chi", true), ERR_DENIED);
    assert_true(world_say(w, 4, "from outside") < 0);
    world_free(w);
}

/* An's second device opens the channel by its spec; only the first one, which has founded it, is there. */
static void the_founder_is_known_without_the_tracker(void **state)
{
    (void)state;
    static const char *const accounts[] = {"an", "an", NULL};
    struct world *w = people_new(accounts);
    struct channel_spec spec = people_private(w, 1);
    assert_true(world_open(w, 1, &spec) > 0);
    assert_true(world_open(w, 2, &spec) > 0);
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "from the first") > 0);
    assert_true(world_say(w, 2, "from the second") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_shows(w, 2, "from the first"), 1);
    assert_int_equal(world_shows(w, 1, "from the second"), 1);
    world_free(w);
}

static void removal_ends_it_the_same_for_all(void **state)
{
    (void)state;
    struct world *w = people();
    (void)found(w);
    assert_true(world_say(w, 3, "early") > 0);
    world_run(w, 2 * SECONDS);
    world_cut(w, 0); /* An's first device goes away from the tracker */
    assert_true(world_say(w, 3, "meanwhile") > 0);
    world_run(w, 2 * SECONDS);
    assert_int_equal(world_shows(w, 4, "meanwhile"), 1);
    assert_true(world_member(w, 1, "binh", false) > 0);
    world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, 2 * SECONDS);
    assert_int_equal(w->places[3].excluded, 1);
    assert_int_equal(world_say(w, 3, "late"), ERR_DENIED);
    for (int i = 1; i < 5; i++) {
        if (i == 3) continue;
        assert_int_equal(world_shows(w, i, "early"), 1);
        assert_int_equal(world_shows(w, i, "meanwhile"), 0);
    }
    assert_true(w->places[4].unlocked > 0);
    assert_true(world_member(w, 2, "binh", true) > 0);
    world_run(w, 40 * SECONDS);
    assert_true(world_say(w, 3, "again") > 0);
    world_run(w, 40 * SECONDS);
    for (int i = 1; i < 5; i++) {
        assert_int_equal(world_shows(w, i, "meanwhile"), 1);
        assert_int_equal(world_shows(w, i, "again"), 1);
    }
    world_free(w);
}

/* Chi has the newest of what Binh has written, when he hears that nothing of it counts. */
static void what_does_not_count_is_not_missing(void **state)
{
    (void)state;
    struct world *w = people();
    struct place *chi = &w->places[4];
    (void)found(w);
    assert_true(world_say(w, 3, "early") > 0);
    world_run(w, 2 * SECONDS);
    world_cut(w, 0); /* An and Chi are away */
    world_cut(w, 3);
    for (int i = 0; i < 200; i++) {
        assert_true(world_say(w, 3, "meanwhile") > 0);
        world_run(w, 10 * MILLISECONDS);
    }
    int link = world_link(w, 4, 0, PATH_TRACKER);
    w->links[link].cut_after[1] = 16000;
    world_run(w, SECONDS);
    world_cut(w, link);
    assert_true(chi->gaps[3].from > 1 && chi->gaps[3].from + 60 < chi->gaps[3].upto);
    assert_true(world_shows(w, 4, "meanwhile") > 0);

    assert_true(world_member(w, 1, "binh", false) > 0);
    world_link(w, 4, 1, PATH_DIRECT);
    world_run(w, 2 * SECONDS);
    assert_true(chi->gaps[3].from == chi->gaps[3].upto + 1);
    assert_int_equal(world_shows(w, 4, "meanwhile"), 0);
    assert_int_equal(world_shows(w, 4, "early"), 1);
    chi->gaps[3].told = 0;
    world_restart(w, 4);
    world_settle(w);
    assert_true(chi->gaps[3].told > 0 && chi->gaps[3].from > chi->gaps[3].upto);

    assert_true(world_member(w, 1, "binh", true) > 0); /* all of it counts again, and is missing */
    world_link(w, 4, 1, PATH_DIRECT);
    world_run(w, 2 * SECONDS);
    assert_true(chi->gaps[3].from + 60 < chi->gaps[3].upto);
    world_link(w, 4, 0, PATH_TRACKER);
    world_run(w, 10 * SECONDS);
    assert_true(chi->gaps[3].from > chi->gaps[3].upto);
    assert_int_equal(world_shows(w, 4, "meanwhile"), 200);
    world_free(w);
}

static void a_direct_conversation_waits_at_the_replica(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_add(w, 0, ROLE_REPLICA, NULL);
    world_add(w, 1, ROLE_PERSON, "an");
    int link = world_link(w, 1, 0, PATH_TRACKER);
    struct channel_spec spec = people_direct(w, "binh", "an");
    assert_true(world_open(w, 1, &spec) > 0);
    world_relate(w, 1, "binh", RELATION_FRIEND);
    assert_true(world_say(w, 1, "are you there?") > 0);
    world_run(w, SECONDS);
    world_cut(w, link);
    world_use(w, &(struct channel_spec){
                     .type = CHANNEL_PUBLIC, .authority = w->authority, .name = SLICE("general")});
    world_add(w, 3, ROLE_PERSON, "binh");
    world_add(w, 4, ROLE_PERSON, "chi");
    world_link(w, 3, 0, PATH_TRACKER);
    world_link(w, 4, 0, PATH_TRACKER);
    world_use(w, &spec);
    world_run(w, SECONDS);
    assert_int_equal(w->places[3].introduced, 1);
    assert_int_equal(w->places[4].introduced, 0);
    assert_int_equal(world_open(w, 4, &spec), ERR_DENIED);
    world_free(w);
}

static void all_of_it_is_there_after_a_restart(void **state)
{
    (void)state;
    struct world *w = people();
    (void)found(w);
    assert_true(world_member(w, 1, "chi", false) > 0);
    world_run(w, 2 * SECONDS);
    for (int i = 0; i < 5; i++)
        world_restart(w, i);
    for (int i = 1; i < 5; i++)
        world_link(w, i, 0, PATH_TRACKER);
    world_run(w, 2 * SECONDS);
    assert_true(world_say(w, 3, "still here") > 0);
    world_run(w, 2 * SECONDS);
    for (int i = 1; i < 4; i++)
        assert_int_equal(world_shows(w, i, "still here"), 1);
    assert_int_equal(world_shows(w, 4, "still here"), 0);
    assert_int_equal(w->places[4].excluded, 2); /* it is told again */
    assert_int_equal(world_say(w, 4, "me too"), ERR_DENIED);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_follow_from_specs),
        cmocka_unit_test(a_private_channel_reaches_its_members_only),
        cmocka_unit_test(the_founder_is_known_without_the_tracker),
        cmocka_unit_test(removal_ends_it_the_same_for_all),
        cmocka_unit_test(what_does_not_count_is_not_missing),
        cmocka_unit_test(a_direct_conversation_waits_at_the_replica),
        cmocka_unit_test(all_of_it_is_there_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
