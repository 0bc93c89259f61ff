/* What of the servers outlives a reload, and whom they are to be. */
#include "scene.h"

#include <unistd.h>

/* --- reloads --- */

static void the_same_server_is_the_same_object_after_a_reload(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 3);
    s.config.breaker_fails = 1;
    struct group *old = scene_group(&s);
    struct upstream *servers[3];
    for (int i = 0; i < 3; i++)
        servers[i] = old->members[i].upstream;
    scene_fail(&s, old, 1, 1);
    upstream_begin(servers[0]);

    const struct config_server anew[] = {
        /* another order, one gone, two new ones */
        {.host = "10.0.0.2", .port = 9000, .weight = 7},
        {.host = "10.0.0.1", .port = 9001, .weight = 1},
        {.host = "10.0.0.1", .port = 9000, .weight = 1, .tls = true},
        {.host = "10.0.0.1", .port = 9000, .weight = 1},
    };
    struct config_group config = s.config;
    config.servers = anew;
    config.server_count = 4;
    struct group *group;
    const char *why;
    assert_int_equal(group_new(&s.registry, &config, &group, &why), OK);
    assert_false(servers[2]->retired); /* not before it is at work */
    registry_use(&s.registry, &group, 1, s.now_ms);
    assert_ptr_equal(group->members[0].upstream, servers[1]);
    assert_ptr_equal(group->members[3].upstream, servers[0]);
    for (int i = 1; i < 3; i++)
        for (int k = 0; k < 3; k++)
            assert_ptr_not_equal(group->members[i].upstream, servers[k]);
    assert_false(servers[0]->retired);
    assert_false(servers[1]->retired);
    assert_true(servers[2]->retired);
    assert_int_equal(servers[1]->state, UPSTREAM_DOWN);
    assert_int_equal(servers[0]->active, 1);
    assert_int_equal(s.registry.id_count, 5);

    assert_int_equal(scene_pick_from(&s, old, 3), 2); /* requests under way may still go there */
    group_free(&s.registry, old);
    upstream_end(servers[0]);
    old = scene_group(&s); /* it comes back: with an id that is free, as a new one */
    assert_false(old->members[2].upstream->retired);
    assert_int_equal(old->members[2].upstream->id, 2);
    assert_int_equal(s.registry.id_count, 5);
    group_free(&s.registry, group);
    group_free(&s.registry, old);
    scene_end(&s);
}

static void a_server_that_is_named_again_before_it_was_freed_is_not_retired(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    struct group *first = scene_group(&s);
    s.config.server_count = 1;
    struct group *second = scene_group(&s);
    assert_true(first->members[1].upstream->retired);
    s.config.server_count = 2;
    struct group *third = scene_group(&s);
    assert_ptr_equal(third->members[1].upstream, first->members[1].upstream);
    assert_false(first->members[1].upstream->retired);
    group_free(&s.registry, second);
    group_free(&s.registry, first);
    group_free(&s.registry, third);
    scene_end(&s);
}

static void groups_with_other_names_have_servers_of_their_own(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 1);
    struct group *one = scene_group(&s);
    s.config.name = "other.test";
    struct group *two = scene_group(&s);
    assert_ptr_not_equal(one->members[0].upstream, two->members[0].upstream);
    assert_int_equal(one->names[0], two->names[0]); /* but clients have the same one by ip-hash */
    assert_string_equal(one->sticky[0], two->sticky[0]);
    group_free(&s.registry, one);
    group_free(&s.registry, two);
    scene_end(&s);
}

static void ids_are_given_again_and_stay_small(void **state)
{
    (void)state;
    struct scene s;
    struct group *groups[6];
    char names[6][8];
    scene_init(&s, 3);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 6; i++) {
            snprintf(names[i], sizeof names[i], "g%d", i);
            s.config.name = names[i];
            groups[i] = scene_group(&s);
        }
        uint64_t seen = 0;
        for (int i = 0; i < 6; i++)
            for (int m = 0; m < 3; m++)
                seen |= 1ull << groups[i]->members[m].upstream->id;
        assert_int_equal(seen, (1 << 18) - 1);
        assert_int_equal(s.registry.id_count, 18);
        for (int i = 0; i < 6; i++)
            group_free(&s.registry, groups[(i * 5 + round) % 6]);
    }
    scene_end(&s);
}

/* 19,200 servers; looking at all of them for each one took longer than anybody waits. */
static void a_configuration_may_have_thousands_of_servers(void **state)
{
    (void)state;
    enum { GROUPS = 300, SERVERS = CONFIG_SERVERS_MAX };
    static struct config_server servers[SERVERS];
    static struct config_group configs[GROUPS];
    static char names[GROUPS][8];
    static struct group *groups[GROUPS], *again[GROUPS];
    static bool seen[GROUPS * SERVERS];
    struct scene s;
    const char *why;
    scene_init(&s, 1);
    for (int m = 0; m < SERVERS; m++)
        servers[m] = (struct config_server){.host = "10.0.0.1", .port = (uint16_t)(1 + m), .weight = 1};
    for (int i = 0; i < GROUPS; i++) {
        snprintf(names[i], sizeof names[i], "g%d", i);
        configs[i] = s.config;
        configs[i].name = names[i];
        configs[i].servers = servers;
        configs[i].server_count = SERVERS;
        assert_int_equal(group_new(&s.registry, &configs[i], &groups[i], &why), OK);
    }
    for (int i = 0; i < GROUPS; i++) {
        assert_int_equal(group_new(&s.registry, &configs[i], &again[i], &why), OK);
        for (int m = 0; m < SERVERS; m++)
            assert_ptr_equal(again[i]->members[m].upstream, groups[i]->members[m].upstream);
        group_free(&s.registry, again[i]);
    }
    for (int i = 0; i < GROUPS; i += 2) /* holes in the ids */
        group_free(&s.registry, groups[i]);
    for (int i = 0; i < GROUPS; i += 2)
        assert_int_equal(group_new(&s.registry, &configs[i], &groups[i], &why), OK);
    assert_int_equal(s.registry.id_count, GROUPS * SERVERS);
    memset(seen, 0, sizeof seen);
    uint32_t next = 0;
    for (const struct upstream *u = s.registry.first; u; u = u->next)
        assert_int_equal(u->id, next++);
    assert_int_equal(next, GROUPS * SERVERS);
    for (int i = 0; i < GROUPS; i++) {
        for (int m = 0; m < SERVERS; m++) {
            uint32_t id = groups[i]->members[m].upstream->id;
            assert_false(seen[id]);
            seen[id] = true;
        }
    }
    for (int i = 0; i < GROUPS; i++)
        group_free(&s.registry, groups[i * 7 % GROUPS]);
    scene_end(&s);
}

static void a_reload_that_takes_checks_or_breaker_away_brings_servers_back(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.config.check_path = "/";
    s.config.breaker_fails = 1;
    struct group *group = scene_group(&s);
    for (int i = 0; i < 3; i++)
        upstream_check_failed(&s.registry, group, group->members[0].upstream, s.now_ms, "status 500");
    scene_fail(&s, group, 1, 1);
    s.told[0] = 0;
    struct config_group config = s.config;
    struct group *next;
    const char *why;
    config.check_path = NULL;
    config.breaker_fails = 0;
    assert_int_equal(group_new(&s.registry, &config, &next, &why), OK);
    group_free(&s.registry, next); /* the reload has failed: nothing has changed */
    assert_int_equal(scene_pick(&s, group), PICK_ALL_DOWN);
    assert_string_equal(s.told, "");

    assert_int_equal(group_new(&s.registry, &config, &next, &why), OK);
    registry_use(&s.registry, &next, 1, s.now_ms);
    assert_string_equal(s.told, "up(it is not checked any more) up(it has no circuit breaker any more)");
    upstream_failed(&s.registry, group, next->members[0].upstream, s.now_ms, "connection reset");
    assert_int_equal(scene_pick_from(&s, next, 2), PICK_ALL_TRIED); /* an old request took it out */
    s.now_ms += 10000;
    assert_int_equal(scene_pick_from(&s, next, 2), 0); /* and it comes back all the same */
    group_free(&s.registry, group);
    group_free(&s.registry, next);
    scene_end(&s);
}

/* --- TLS --- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static char *file_text(const char *path)
{
    static char text[8192];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return text;
}

static void a_file_of_authorities_that_cannot_be_used_is_named(void **state)
{
    (void)state;
    char path[] = "/tmp/proxy-upstream-XXXXXX";
    close(mkstemp(path));
    struct scene s;
    struct group *group;
    const char *why;
    scene_init(&s, 2);
    s.servers[1].tls = true;
    s.config.ca_file = path;
    write_file(path, "nothing");
    assert_int_equal(group_new(&s.registry, &s.config, &group, &why), ERR_INVALID);
    assert_non_null(strstr(why, path));
    assert_non_null(strstr(why, "no certificate"));
    unlink(path);
    assert_int_equal(group_new(&s.registry, &s.config, &group, &why), ERR_INVALID);
    assert_non_null(strstr(why, "o such file"));
    scene_end(&s);
}

static void servers_share_whom_they_trust_until_that_changes(void **state)
{
    (void)state;
    char path[] = "/tmp/proxy-upstream-XXXXXX", command[300];
    close(mkstemp(path));
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -out %s "
             "-days 2 -subj /CN=test >/dev/null 2>&1",
             path);
    assert_int_equal(system(command), 0);
    struct scene s;
    scene_init(&s, 3);
    s.servers[0].tls = s.servers[1].tls = true;
    s.config.ca_file = path;
    struct group *first = scene_group(&s);
    assert_non_null(first->members[0].upstream->client_tls);
    assert_ptr_equal(first->members[0].upstream->client_tls, first->members[1].upstream->client_tls);
    assert_null(first->members[2].upstream->client_tls);
    struct group *same = scene_group(&s);
    assert_ptr_equal(first->members[0].upstream, same->members[0].upstream);
    group_free(&s.registry, same);

    s.config.insecure =
        true; /* connections that were made under the old word are not used under the new one */
    struct group *insecure = scene_group(&s);
    assert_ptr_not_equal(insecure->members[0].upstream, first->members[0].upstream);
    assert_ptr_equal(insecure->members[2].upstream, first->members[2].upstream);
    s.config.insecure = false;
    group_free(&s.registry, insecure);

    char *text = file_text(path);
    strcat(text, "# once more\n"); /* the same name, other bytes */
    write_file(path, text);
    struct group *other = scene_group(&s);
    assert_ptr_not_equal(other->members[0].upstream->client_tls, first->members[0].upstream->client_tls);
    assert_true(first->members[0].upstream->retired);
    group_free(&s.registry, other);
    group_free(&s.registry, first);
    unlink(path);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_server_is_the_same_object_after_a_reload),
        cmocka_unit_test(a_server_that_is_named_again_before_it_was_freed_is_not_retired),
        cmocka_unit_test(groups_with_other_names_have_servers_of_their_own),
        cmocka_unit_test(ids_are_given_again_and_stay_small),
        cmocka_unit_test(a_configuration_may_have_thousands_of_servers),
        cmocka_unit_test(a_reload_that_takes_checks_or_breaker_away_brings_servers_back),
        cmocka_unit_test(a_file_of_authorities_that_cannot_be_used_is_named),
        cmocka_unit_test(servers_share_whom_they_trust_until_that_changes),
    };
    return cmocka_run_group_tests_name("upstream_reload", tests, NULL, NULL);
}
