/* A replica lets go of a direct conversation, and may begin anew with the newest of it. */
#include "world.h"

static const struct channel_spec *talk(struct world *w)
{
    static struct channel_spec spec;
    spec = (struct channel_spec){
        .type = CHANNEL_DIRECT, .authority = w->authority, .account = SLICE("an"), .other = SLICE("binh")};
    return &spec;
}

/* The tracker, and two friends who have said `count` things, numbered. */
static struct world *friends(int count)
{
    struct world *w = world_new();
    char text[32];
    world_add(w, 0, ROLE_REPLICA, NULL);
    world_enter(w, 1, "an");
    world_enter(w, 2, "binh");
    world_relate(w, 1, "binh", RELATION_FRIEND);
    world_relate(w, 2, "an", RELATION_FRIEND);
    world_use(w, talk(w));
    world_link(w, 1, 0, PATH_TRACKER);
    world_link(w, 2, 0, PATH_TRACKER);
    assert_true(world_open(w, 1, talk(w)) >= 0);
    world_run(w, 5 * SECONDS);
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_true(world_say(w, 1, text) > 0);
        world_run(w, 100 * MILLISECONDS);
    }
    world_run(w, 10 * SECONDS);
    return w;
}

static int64_t forget(struct world *w, int place, bool anyway)
{
    struct command c = {.kind = COMMAND_FORGET, .channel = w->channel, .online = anyway};
    return node_command(w->places[place].node, &c, w->now);
}

/* As a shell does it: what is on the disk goes, but for the record of the channel. */
static void clear_disk(struct world *w, int place)
{
    struct place *p = &w->places[place];
    size_t kept = 0;
    for (size_t i = 0; i < p->records; i++) {
        bool gone = p->disk[i].seq > 0 && memcmp(p->disk[i].channel, w->channel, 32) == 0;
        if (!gone) p->disk[kept++] = p->disk[i];
    }
    p->records = kept;
}

static size_t held(const struct world *w, int place)
{
    size_t count = 0;
    for (size_t i = 0; i < w->places[place].records; i++)
        count +=
            w->places[place].disk[i].seq > 0 && memcmp(w->places[place].disk[i].channel, w->channel, 32) == 0;
    return count;
}

static int64_t carry_on_demand(struct world *w)
{
    struct command c = {.kind = COMMAND_OPEN, .spec = talk(w), .on_demand = true};
    return node_command(w->places[0].node, &c, w->now);
}

static void only_replicas_forget_and_only_conversations(void **state)
{
    (void)state;
    struct world *w = friends(1);
    assert_int_equal(forget(w, 1, true), ERR_DENIED);
    world_use(w, &(struct channel_spec){
                     .type = CHANNEL_PUBLIC, .authority = w->authority, .name = SLICE("general")});
    assert_int_equal(forget(w, 0, true), ERR_DENIED);
    w->channel[0] ^= 1;
    assert_int_equal(forget(w, 0, true), ERR_NOT_FOUND);
    world_free(w);
}

/* The two go on without it; what they say meanwhile it does not take. */
static void what_is_forgotten_is_not_claimed_and_not_taken(void **state)
{
    (void)state;
    struct world *w = friends(5);
    assert_true(held(w, 0) >= 5);
    assert_int_equal(forget(w, 0, false), OK);
    clear_disk(w, 0);
    world_link(w, 1, 2, PATH_DIRECT);
    world_run(w, 5 * SECONDS);
    assert_true(world_say(w, 1, "between us") > 0);
    world_run(w, 30 * SECONDS);
    assert_int_equal(world_shows(w, 2, "between us"), 1);
    assert_int_equal(held(w, 0), 0);
    /* Also when one of them comes anew, and after a restart of the others. */
    world_restart(w, 1);
    world_link(w, 1, 0, PATH_TRACKER);
    world_run(w, 10 * SECONDS);
    assert_int_equal(held(w, 0), 0);
    world_free(w);
}

static void it_begins_anew_with_the_newest(void **state)
{
    (void)state;
    struct world *w = friends(150);
    assert_true(held(w, 0) > 150);
    assert_int_equal(forget(w, 0, false), OK);
    clear_disk(w, 0);
    assert_true(carry_on_demand(w) >= 0);
    world_run(w, 20 * SECONDS);
    size_t newest = held(w, 0);
    assert_true(newest >= 64 && newest < 100);
    assert_true(world_say(w, 1, "and on") > 0);
    world_run(w, 10 * SECONDS);
    assert_int_equal(held(w, 0), newest + 1);
    /* After a restart it does not fetch all that was forgotten. */
    world_restart(w, 0);
    assert_true(carry_on_demand(w) >= 0);
    world_link(w, 1, 0, PATH_TRACKER);
    world_link(w, 2, 0, PATH_TRACKER);
    world_run(w, 20 * SECONDS);
    assert_true(held(w, 0) <= newest + 66); /* one screenful more, at most */
    /* Who was away meanwhile gets the newest of it. */
    world_enter(w, 3, "binh");
    world_relate(w, 3, "an", RELATION_FRIEND);
    world_cut(w, 0);
    world_link(w, 3, 0, PATH_TRACKER);
    world_run(w, 20 * SECONDS);
    bool there = false;
    for (size_t i = 0; i < w->places[3].records; i++)
        there = there || (w->places[3].disk[i].seq > 100);
    assert_true(there);
    world_free(w);
}

/* An entry that nobody else has is not given up, unless that is wanted. */
static void what_others_lack_is_kept(void **state)
{
    (void)state;
    struct world *w = friends(0);
    world_cut(w, 1); /* Binh is away */
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "for Binh") > 0);
    world_run(w, SECONDS);
    world_cut(w, 0); /* and now An, too */
    world_run(w, 50 * SECONDS);
    assert_int_equal(forget(w, 0, false), ERR_AGAIN);
    assert_int_equal(forget(w, 0, true), OK);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_replicas_forget_and_only_conversations),
        cmocka_unit_test(what_is_forgotten_is_not_claimed_and_not_taken),
        cmocka_unit_test(it_begins_anew_with_the_newest),
        cmocka_unit_test(what_others_lack_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
