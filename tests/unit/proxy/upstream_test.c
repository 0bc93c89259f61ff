/* Groups of servers: who is picked, what is counted. */
#include "scene.h"

static void set_active(struct group *group, int member, unsigned active)
{
    group->members[member].upstream->active = active;
}

/* --- picking --- */

static void requests_are_spread_in_turn(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 3);
    s.servers[0].weight = 5;
    struct group *group = scene_group(&s);
    static const int expected[] = {0, 0, 1, 0, 2, 0, 0};
    for (size_t i = 0; i < 14; i++)
        assert_int_equal(scene_pick(&s, group), expected[i % 7]);
    struct pick pick = {.now_ms = s.now_ms};
    for (size_t i = 1; i < 14; i++) /* the other worker has its own turn, which began one later */
        assert_int_equal(group_pick(group, 1, &pick), expected[i % 7]);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void a_request_is_not_sent_to_the_same_server_again(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 3);
    s.config.breaker_fails = 1;
    struct group *group = scene_group(&s);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(scene_pick_from(&s, group, 3), 2);
        assert_int_equal(scene_pick_from(&s, group, 5), 1);
    }
    assert_int_equal(scene_pick_from(&s, group, 7), PICK_ALL_TRIED);
    scene_fail(&s, group, 2, 1);
    assert_int_equal(scene_pick_from(&s, group, 3), PICK_ALL_TRIED);
    scene_fail(&s, group, 0, 1);
    scene_fail(&s, group, 1, 1);
    assert_int_equal(scene_pick_from(&s, group, 7), PICK_ALL_DOWN);
    assert_int_equal(scene_pick_from(&s, group, 0), PICK_ALL_DOWN);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void no_server_gets_more_than_its_max_conns(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.servers[0].max_conns = 2;
    s.servers[1].max_conns = 1;
    struct group *group = scene_group(&s);
    for (int i = 0; i < 3; i++)
        upstream_begin(group->members[scene_pick(&s, group)].upstream);
    assert_int_equal(group->members[0].upstream->active, 2);
    assert_int_equal(group->members[1].upstream->active, 1);
    assert_int_equal(scene_pick(&s, group), PICK_ALL_BUSY);
    assert_int_equal(scene_pick_from(&s, group, 1), PICK_ALL_BUSY); /* one is left that could take it later */
    assert_int_equal(scene_pick_from(&s, group, 3), PICK_ALL_TRIED);
    upstream_end(group->members[0].upstream);
    assert_int_equal(scene_pick(&s, group), 0);
    upstream_end(group->members[0].upstream);
    upstream_end(group->members[1].upstream);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void backups_are_for_when_all_others_are_down_or_tried(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 4);
    s.servers[2].backup = s.servers[3].backup = true;
    s.servers[0].max_conns = s.servers[1].max_conns = 1;
    s.config.breaker_fails = 1;
    struct group *group = scene_group(&s);
    for (int i = 0; i < 10; i++)
        assert_in_range(scene_pick(&s, group), 0, 1);
    assert_int_equal(scene_pick_from(&s, group, 3), 2);
    set_active(group, 0, 1);
    assert_int_equal(scene_pick_from(&s, group, 2), PICK_ALL_BUSY); /* busy is not down */
    set_active(group, 0, 0);
    scene_fail(&s, group, 0, 1);
    assert_int_equal(scene_pick(&s, group), 1);
    scene_fail(&s, group, 1, 1);
    assert_int_equal(scene_pick(&s, group), 3); /* the backups have a turn of their own */
    assert_int_equal(scene_pick(&s, group), 2);
    assert_int_equal(scene_pick_from(&s, group, 4), 3);
    assert_int_equal(scene_pick_from(&s, group, 12), PICK_ALL_TRIED);
    scene_fail(&s, group, 2, 1);
    scene_fail(&s, group, 3, 1);
    assert_int_equal(scene_pick(&s, group), PICK_ALL_DOWN);
    s.now_ms += 10000; /* each is tried, one by one, and first those that are no backups */
    assert_int_equal(scene_pick(&s, group), 0);
    assert_int_equal(scene_pick(&s, group), 1);
    assert_in_range(scene_pick(&s, group), 2, 3);
    upstream_succeeded(&s.registry, group, group->members[1].upstream, s.now_ms);
    assert_int_equal(scene_pick(&s, group), 1);
    assert_int_equal(scene_pick(&s, group), 1);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void what_cannot_be_sent_again_is_no_trial_while_there_is_another_server(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.config.breaker_fails = 1;
    struct group *group = scene_group(&s);
    scene_fail(&s, group, 0, 1);
    s.now_ms += 10000;
    struct pick pick = {.now_ms = s.now_ms, .unrepeatable = true};
    for (int i = 0; i < 10; i++)
        assert_int_equal(group_pick(group, 0, &pick), 1);
    pick.unrepeatable = false;
    int first = group_pick(group, 0, &pick), second = group_pick(group, 0, &pick);
    assert_true(first == 0 || second == 0);
    scene_fail(&s, group, 0, 1); /* the trial */
    scene_fail(&s, group, 1, 1);
    pick.unrepeatable = true;
    assert_int_equal(group_pick(group, 0, &pick), PICK_ALL_DOWN);
    pick.now_ms += 1000;
    assert_in_range(group_pick(group, 0, &pick), 0, 1); /* better than none */
    assert_true(pick.trial);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void a_request_that_has_no_other_server_tries_one_that_is_down(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.config.breaker_fails = 2;
    struct group *group = scene_group(&s);
    scene_fail(&s, group, 0, 2);
    assert_int_equal(scene_pick(&s, group), 1);
    assert_int_equal(scene_pick_from(&s, group, 2), PICK_ALL_TRIED); /* it failed just now */
    s.now_ms += 1000;
    assert_int_equal(scene_pick(&s, group), 1);
    assert_int_equal(scene_pick_from(&s, group, 2), 0); /* the other one has failed this request */
    assert_int_equal(scene_pick_from(&s, group, 2),
                     PICK_ALL_BUSY); /* what another one finds out is waited for */
    assert_int_equal(scene_pick_from(&s, group, 3), PICK_ALL_TRIED);
    assert_int_equal(scene_pick(&s, group), 1);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void the_cookie_leads_to_its_server_as_long_as_that_is_up(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 4);
    s.config.policy = POLICY_STICKY;
    s.config.breaker_fails = 1;
    struct group *group = scene_group(&s);
    char values[4][UPSTREAM_STICKY_BYTES + 1];
    for (int i = 0; i < 4; i++) {
        group_sticky_value(group, i, values[i]);
        assert_int_equal(strspn(values[i], "0123456789abcdef"), UPSTREAM_STICKY_BYTES);
        for (int other = 0; other < i; other++)
            assert_string_not_equal(values[i], values[other]);
    }
    struct pick pick = {.now_ms = s.now_ms, .sticky = slice_text(values[2])};
    for (int i = 0; i < 10; i++)
        assert_int_equal(group_pick(group, 0, &pick), 2);
    static const char *const strange[] = {"", "0", "00000000000000000", "0000000000000000", "\xff\xff"};
    unsigned counts[4] = {0};
    for (int i = 0; i < 40; i++) { /* others are new sessions, in turn */
        pick.sticky = slice_text(strange[i % 5]);
        counts[group_pick(group, 0, &pick)]++;
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(counts[i], 10);
    pick.sticky = slice_text(values[2]);
    pick.tried = 4;
    assert_int_not_equal(group_pick(group, 0, &pick), 2);
    pick.tried = 0;
    scene_fail(&s, group, 2, 1);
    assert_int_not_equal(group_pick(group, 0, &pick), 2);
    pick.now_ms += 10000;
    assert_int_equal(group_pick(group, 0, &pick), 2); /* its own sessions try it */
    assert_int_not_equal(group_pick(group, 0, &pick), 2);
    upstream_succeeded(&s.registry, group, group->members[2].upstream, pick.now_ms);
    assert_int_equal(group_pick(group, 0, &pick), 2);
    group_free(&s.registry, group);
    scene_end(&s);
}

/* A session goes on after an update of the proxy, and through another proxy. */
static void cookies_mean_the_same_on_every_machine(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.servers[1].tls = true;
    s.servers[1].host = s.servers[0].host;
    struct group *group = scene_group(&s);
    char value[UPSTREAM_STICKY_BYTES + 1];
    group_sticky_value(group, 0, value);
    assert_string_equal(value, "338ea38ee1c0f10a");
    group_sticky_value(group, 1, value);
    assert_string_equal(value, "71e6cc0fc2a682a3");
    group_free(&s.registry, group);
    scene_end(&s);
}

static void an_address_has_its_server(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 5);
    s.config.policy = POLICY_IP_HASH;
    s.config.breaker_fails = 1;
    struct group *group = scene_group(&s);
    unsigned counts[5] = {0};
    uint8_t address[IP_BYTES] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2};
    struct pick pick = {.now_ms = s.now_ms, .address = address};
    int of[256];
    for (int i = 0; i < 256; i++) {
        address[15] = (uint8_t)i;
        of[i] = group_pick(group, 0, &pick);
        assert_int_equal(group_pick(group, 1, &pick), of[i]); /* on whichever worker */
        counts[of[i]]++;
    }
    for (int i = 0; i < 5; i++)
        assert_in_range(counts[i], 25, 80);
    scene_fail(&s, group, 3, 1);
    for (int i = 0; i < 256; i++) {
        address[15] = (uint8_t)i;
        int now = group_pick(group, 0, &pick);
        assert_true(of[i] == 3 ? now != 3 : now == of[i]);
    }
    uint8_t v6[IP_BYTES] = {0x20, 1, 0xd, 0xb8, [7] = 9, [15] = 1}; /* a /64 is one client */
    pick.address = v6;
    int home = group_pick(group, 0, &pick);
    unsigned moved = 0;
    for (int i = 0; i < 256; i++) {
        v6[15] = v6[8] = (uint8_t)i;
        assert_int_equal(group_pick(group, 0, &pick), home);
    }
    for (int i = 0; i < 256; i++) {
        v6[7] = (uint8_t)i;
        moved += group_pick(group, 0, &pick) != home;
    }
    assert_in_range(moved, 150, 230);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void the_other_policies_are_used(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 3);
    s.config.policy = POLICY_LEAST_CONN;
    struct group *group = scene_group(&s);
    set_active(group, 0, 2);
    set_active(group, 2, 2);
    for (int i = 0; i < 5; i++)
        assert_int_equal(scene_pick(&s, group), 1);
    s.config.policy = POLICY_RANDOM_TWO;
    set_active(group, 2, 9);
    struct pick pick = {.now_ms = s.now_ms};
    for (uint64_t i = 0; i < 100; i++) {
        pick.random = i * 0x9e3779b97f4a7c15;
        assert_int_not_equal(group_pick(group, 0, &pick), 2);
    }
    set_active(group, 0, 0);
    set_active(group, 2, 0);
    group_free(&s.registry, group);
    scene_end(&s);
}

/* --- counts --- */

static void answers_are_counted_by_status_and_time(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 1);
    struct group *group = scene_group(&s);
    struct upstream *u = group->members[0].upstream;
    static const struct {
        int status;
        uint64_t us;
        size_t bucket;
    } table[] = {{200, 0, 0},    {204, 100, 0},      {404, 101, 1},        {500, 5000000, 13},
                 {101, 2500, 4}, {503, 5000001, 14}, {301, 3600000000, 14}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        unsigned before = (unsigned)u->latencies[table[i].bucket];
        upstream_answered(u, table[i].status, table[i].us * 1000);
        assert_int_equal(u->latencies[table[i].bucket], before + 1);
    }
    static const unsigned answers[5] = {1, 2, 1, 1, 2};
    for (int i = 0; i < 5; i++)
        assert_int_equal(u->answers[i], answers[i]);
    assert_int_equal(u->latency_ns, (uint64_t)(100 + 101 + 5000000 + 2500 + 5000001 + 3600000000) * 1000);
    upstream_answered(u, 999, 1000); /* of no class, but with a time */
    for (int i = 1; i < UPSTREAM_BUCKETS; i++)
        assert_true(upstream_bucket_us[i] > upstream_bucket_us[i - 1]);
    upstream_begin(u);
    assert_int_equal(u->requests, 1);
    assert_int_equal(u->active, 1);
    upstream_end(u);
    assert_int_equal(u->active, 0);
    group_free(&s.registry, group);
    scene_end(&s);
}

/* --- names --- */

static void connections_begin_with_each_address_in_turn(void **state)
{
    (void)state;
    static const uint8_t addresses[10][IP_BYTES] = {{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}};
    uint8_t got[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
    struct scene s;
    scene_init(&s, 1);
    s.servers[0].host = "name.test";
    struct group *group = scene_group(&s);
    struct upstream *u = group->members[0].upstream;
    assert_int_equal(upstream_addresses(u, got), 0);
    upstream_set_addresses(u, addresses, 3);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(upstream_addresses(u, got), 3);
        for (unsigned k = 0; k < 3; k++)
            assert_int_equal(got[k][0], 1 + (i + k) % 3);
    }
    upstream_set_addresses(u, addresses, 10);
    assert_int_equal(upstream_addresses(u, got), UPSTREAM_ADDRESSES_MAX);
    upstream_set_addresses(u, addresses + 9, 1);
    assert_int_equal(upstream_addresses(u, got), 1);
    assert_int_equal(got[0][0], 10);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void an_authority_can_be_read_by_others(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.servers[1].host = "fd00::1";
    struct group *group = scene_group(&s);
    assert_string_equal(group->members[0].upstream->authority, "10.0.0.1:9000");
    assert_string_equal(group->members[1].upstream->authority, "[fd00::1]:9000");
    group_free(&s.registry, group);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_spread_in_turn),
        cmocka_unit_test(a_request_is_not_sent_to_the_same_server_again),
        cmocka_unit_test(no_server_gets_more_than_its_max_conns),
        cmocka_unit_test(backups_are_for_when_all_others_are_down_or_tried),
        cmocka_unit_test(what_cannot_be_sent_again_is_no_trial_while_there_is_another_server),
        cmocka_unit_test(a_request_that_has_no_other_server_tries_one_that_is_down),
        cmocka_unit_test(the_cookie_leads_to_its_server_as_long_as_that_is_up),
        cmocka_unit_test(cookies_mean_the_same_on_every_machine),
        cmocka_unit_test(an_address_has_its_server),
        cmocka_unit_test(the_other_policies_are_used),
        cmocka_unit_test(answers_are_counted_by_status_and_time),
        cmocka_unit_test(connections_begin_with_each_address_in_turn),
        cmocka_unit_test(an_authority_can_be_read_by_others),
    };
    return cmocka_run_group_tests_name("upstream", tests, NULL, NULL);
}
