/* Who links to whom in small and large channels, how entries spread there, and signals. A channel counts as
 * large here with four members, because the limit of links for one channel is set to two. */
#include "world.h"

enum { DEGREE = 2 };

static struct world *small_limits(int persons)
{
    static const char *const names[PLACES] = {"tracker", "an", "binh", "chi", "dung", "em"};
    struct world *w = world_new();
    w->config.channel_links_max = DEGREE;
    for (int i = 1; i <= persons; i++)
        world_add(w, i, ROLE_PERSON, names[i]);
    return w;
}

static void hint(struct world *w, int place, const uint8_t *device, bool online, bool in_channel)
{
    struct command c = {
        .kind = COMMAND_PEER, .device = device, .online = online, .channel = in_channel ? w->channel : NULL};
    assert_int_equal(node_command(w->places[place].node, &c, w->now), 0);
}

static void stranger(uint8_t id[32], int number)
{
    memset(id, 0xff, 32); /* larger than ours: we call */
    id[1] = (uint8_t)number;
    id[2] = (uint8_t)(number >> 8);
}

/* Links to other places that are up. */
static int degree(const struct world *w, int place)
{
    int links = 0;
    for (int i = 0; i < w->links_len; i++)
        links += w->links[i].up && (w->links[i].a == place || w->links[i].b == place);
    return links;
}

/* Carries out CONNECTs between the places until nobody asks for more. */
static void connect_all(struct world *w, usec time)
{
    usec end = w->now + time;
    while (w->now < end) {
        world_run(w, 100 * MILLISECONDS);
        for (int i = 1; i < PLACES; i++) {
            struct place *p = &w->places[i];
            for (size_t k = 0; k < p->calls_len; k++)
                if (p->calls[k] >= 0) world_link(w, i, p->calls[k], PATH_DIRECT);
            p->calls_len = 0;
        }
    }
}

static void in_a_small_channel_everybody_is_called(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t id[32];
    world_add(w, 1, ROLE_PERSON, "an");
    for (int i = 0; i < 15; i++) {
        stranger(id, i);
        hint(w, 1, id, true, false);
    }
    world_run(w, 4 * SECONDS);
    assert_int_equal(w->places[1].called, 15);
    world_free(w);
}

static void in_a_large_channel_some_are_called(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t id[32];
    world_add(w, 1, ROLE_PERSON, "an");
    for (int i = 0; i < 10000; i++) {
        stranger(id, i);
        hint(w, 1, id, true, true);
    }
    world_run(w, 3 * SECONDS);
    assert_in_range(w->places[1].called, 2, 24); /* and not ten thousand */
    for (int i = 0; i < 10000; i++) {
        stranger(id, i);
        hint(w, 1, id, false, true);
    }
    int called = w->places[1].called;
    world_run(w, 300 * SECONDS); /* nobody is there any more */
    assert_int_equal(w->places[1].called, called);
    world_free(w);
}

static void members_find_each_other_by_hearsay(void **state)
{
    (void)state;
    struct world *w = world_new();
    static const char *const names[] = {"an", "binh", "chi", "dung"};
    for (int i = 1; i <= 4; i++)
        world_add(w, i, ROLE_PERSON, names[i - 1]);
    world_link(w, 1, 2, PATH_DIRECT);
    world_link(w, 2, 3, PATH_DIRECT);
    world_link(w, 3, 4, PATH_DIRECT);
    connect_all(w, 180 * SECONDS); /* no tracker names anybody */
    for (int a = 1; a <= 4; a++)
        for (int b = 1; b <= 4; b++)
            if (a != b) assert_int_equal(w->places[a].peer_path[b], PATH_DIRECT);
    world_free(w);
}

static void a_lost_link_is_made_good_without_the_tracker(void **state)
{
    (void)state;
    struct world *w = small_limits(5);
    for (int i = 1; i < 5; i++)
        world_link(w, i, i + 1, PATH_DIRECT);
    connect_all(w, 120 * SECONDS);
    for (int i = 0; i < w->links_len; i++)
        if (w->links[i].a == 1 || w->links[i].b == 1) world_cut(w, i);
    assert_int_equal(degree(w, 1), 0);
    connect_all(w, 60 * SECONDS);
    assert_true(degree(w, 1) > 0);
    assert_true(world_say(w, 1, "back again") > 0);
    world_run(w, 5 * SECONDS);
    for (int i = 2; i <= 5; i++)
        assert_int_equal(world_heard(w, i, "back again"), 1);
    world_free(w);
}

static void a_full_device_takes_in_who_has_no_other_link(void **state)
{
    (void)state;
    struct world *w = small_limits(5);
    world_link(w, 1, 2, PATH_DIRECT);
    world_link(w, 1, 3, PATH_DIRECT);
    world_link(w, 2, 3, PATH_DIRECT);
    world_link(w, 2, 4, PATH_DIRECT); /* two is full, and may not let anybody go yet */
    world_run(w, SECONDS);
    assert_int_equal(w->places[2].last_close, ERR_BUSY);
    assert_non_null(strstr(w->places[2].last_text, "try another one"));
    world_run(w, 15 * SECONDS); /* links are not young any more */
    int newcomer = world_link(w, 5, 1, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(w->links[newcomer].up);
    assert_int_equal(degree(w, 1), DEGREE); /* another one had to go */
    world_free(w);
}

/* A ring of five, a large channel: one link is to be lazy. */
static struct world *web(void)
{
    struct world *w = small_limits(5);
    for (int i = 1; i <= 5; i++)
        world_link(w, i, i % 5 + 1, PATH_DIRECT);
    world_run(w, 20 * SECONDS);
    return w;
}

static uint64_t doubles(const struct world *w)
{
    uint64_t all = 0;
    for (int i = 1; i < PLACES; i++) {
        struct node_traffic t;
        node_traffic(w->places[i].node, &t);
        all += t.doubles;
    }
    return all;
}

static void pushed_entries_make_a_tree(void **state)
{
    (void)state;
    struct world *w = web();
    char text[16];
    for (int i = 0; i < 5; i++) { /* the tree grows */
        assert_true(world_say(w, 1 + i, "warm up") > 0);
        world_run(w, 3 * SECONDS);
    }
    uint64_t before = doubles(w);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "text %d", i);
        assert_true(world_say(w, 1 + i % 5, text) > 0);
        world_settle(w); /* pushed all the way: no time passes */
        for (int p = 1; p <= 5; p++)
            assert_int_equal(world_heard(w, p, text), 1);
        world_run(w, SECONDS);
    }
    assert_true(doubles(w) - before <= 4); /* of 80 */
    world_free(w);
}

static void what_is_announced_and_does_not_come_is_asked_for(void **state)
{
    (void)state;
    struct world *w = web();
    assert_true(world_say(w, 1, "warm up") > 0);
    world_run(w, 3 * SECONDS);
    for (int round = 0; round < 5; round++) { /* whatever link breaks, the tree is whole again at once */
        world_cut(w, round);
        assert_true(world_say(w, 1 + round, "again") > 0);
        world_run(w, 2 * SECONDS);
        for (int p = 1; p <= 5; p++)
            assert_int_equal(world_heard(w, p, "again"), round + 1);
        int a = w->links[round].a, b = w->links[round].b;
        world_link(w, a, b, PATH_DIRECT);
        world_run(w, SECONDS);
    }
    world_free(w);
}

static int signal_to(struct world *w, int from, const uint8_t *to, slice bytes)
{
    struct command c = {.kind = COMMAND_SIGNAL, .device = to, .bytes = bytes};
    int rc = (int)node_command(w->places[from].node, &c, w->now);
    world_settle(w);
    return rc;
}

static void signals_are_handed_along(void **state)
{
    (void)state;
    struct world *w = small_limits(4);
    uint8_t id[32];
    static uint8_t big[NODE_SIGNAL_BYTES_MAX + 1];
    assert_int_equal(signal_to(w, 1, world_device(w, 4), SLICE("hello")), ERR_NOT_FOUND);
    world_link(w, 1, 2, PATH_DIRECT);
    world_link(w, 2, 3, PATH_DIRECT);
    world_link(w, 3, 4, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_int_equal(signal_to(w, 1, world_device(w, 4), SLICE("hello")), 0);
    assert_int_equal(w->places[4].signals, 1);
    assert_string_equal(w->places[4].signal, "hello");
    assert_memory_equal(w->places[4].signal_from, world_device(w, 1), 32);
    assert_int_equal(signal_to(w, 1, world_device(w, 4), SLICE("hello")),
                     0); /* the same again is a new one */
    assert_int_equal(w->places[4].signals, 2);
    assert_int_equal(signal_to(w, 1, world_device(w, 4), slice_of(big, sizeof big)), ERR_TOO_LARGE);
    assert_int_equal(signal_to(w, 1, world_device(w, 1), SLICE("self")), ERR_INVALID);
    assert_int_equal(signal_to(w, 1, world_device(w, 4), SLICE_EMPTY), ERR_INVALID);
    stranger(id, 1);
    assert_int_equal(signal_to(w, 1, id, SLICE("nobody")), 0); /* it ends somewhere */
    world_free(w);
}

static void signals_are_not_multiplied_and_have_a_rate(void **state)
{
    (void)state;
    static const char *const names[] = {"an", "binh", "chi", "dung", "em"};
    struct world *w = world_new();
    for (int i = 1; i <= 5; i++)
        world_add(w, i, ROLE_PERSON, names[i - 1]);
    for (int i = 1; i <= 4; i++)
        for (int k = i + 1; k <= 4; k++)
            world_link(w, i, k, PATH_DIRECT);
    int to = world_link(w, 4, 5, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_int_equal(signal_to(w, 1, world_device(w, 5), SLICE("once")), 0);
    assert_int_equal(w->places[5].signals, 1); /* by whatever ways it came */
    long before = w->links[to].bytes_of[0];
    for (int i = 0; i < 500; i++) /* one after the other, in no time */
        (void)signal_to(w, 1, world_device(w, 5), SLICE("flood"));
    assert_in_range(w->places[5].signals, 10, 100);
    assert_true(w->links[to].bytes_of[0] - before < 100 * 160);
    world_run(w, 20 * SECONDS);
    int came = w->places[5].signals;
    assert_int_equal(signal_to(w, 1, world_device(w, 5), SLICE("later")), 0);
    assert_int_equal(w->places[5].signals, came + 1);
    for (int i = 1; i <= 5; i++)
        assert_int_equal(w->places[i].closes, 0);
    world_free(w);
}

static void bytes_are_counted(void **state)
{
    (void)state;
    struct world *w = small_limits(2);
    struct node_traffic t, u;
    int link = world_link(w, 1, 2, PATH_RELAY);
    world_run(w, SECONDS);
    assert_true(world_say(w, 1, "counted") > 0);
    world_run(w, SECONDS);
    node_traffic(w->places[1].node, &t);
    node_traffic(w->places[2].node, &u);
    assert_int_equal(t.sent[PATH_RELAY], w->links[link].bytes_of[0]);
    assert_int_equal(t.sent[PATH_RELAY], u.received[PATH_RELAY]);
    assert_int_equal(u.sent[PATH_RELAY], w->links[link].bytes_of[1]);
    assert_int_equal(t.sent[PATH_DIRECT], 0);
    assert_true(t.sent_of[TRAFFIC_ENTRIES] > 64 && t.sent_of[TRAFFIC_SYNC] > 64);
    assert_int_equal(u.entries, 2); /* JOIN and the text */
    assert_int_equal(u.doubles, 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_a_small_channel_everybody_is_called),
        cmocka_unit_test(in_a_large_channel_some_are_called),
        cmocka_unit_test(members_find_each_other_by_hearsay),
        cmocka_unit_test(a_lost_link_is_made_good_without_the_tracker),
        cmocka_unit_test(a_full_device_takes_in_who_has_no_other_link),
        cmocka_unit_test(pushed_entries_make_a_tree),
        cmocka_unit_test(what_is_announced_and_does_not_come_is_asked_for),
        cmocka_unit_test(signals_are_handed_along),
        cmocka_unit_test(signals_are_not_multiplied_and_have_a_rate),
        cmocka_unit_test(bytes_are_counted),
    };
    return cmocka_run_group_tests_name("core/mesh", tests, NULL, NULL);
}
