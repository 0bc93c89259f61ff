/* Memory that runs out while servers are made, checked, or found: each allocation fails in turn. Nothing is
 * lost, nothing is left half done. */
#include "proxy/health.h"
#include "proxy/rate.h"
#include "proxy/resolve.h"
#include "../starve.h"
#include "scene.h"
#include "weaprous/weaprous.h"

static long countdown = -1; /* allocations until the one that fails; negative: none does */

bool starve_now(void)
{
    return countdown >= 0 && countdown-- == 0;
}

static void a_group_is_made_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 4);
    s.servers[2].tls = true;
    s.config.server_count = 2;
    struct group *old = scene_group(&s), *group = NULL;
    const char *why;
    s.config.server_count = 4;
    int rc = ERR_MEMORY;
    long failed = 0;
    for (; rc == ERR_MEMORY; failed++) {
        countdown = failed;
        rc = group_new(&s.registry, &s.config, &group, &why);
        countdown = -1;
        if (rc == OK) break;
        assert_string_equal(why, "out of memory");
        unsigned servers = 0;
        for (const struct upstream *u = s.registry.first; u; u = u->next)
            servers += u->owners == 1;
        assert_int_equal(servers, 2); /* the old ones */
    }
    assert_int_equal(rc, OK);
    assert_true(failed > 8);
    assert_ptr_equal(group->members[0].upstream, old->members[0].upstream);
    group_free(&s.registry, old);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void names_are_changed_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct scene s;
    uv_loop_init(&loop);
    scene_init(&s, 8);
    for (int i = 0; i < 8; i++)
        s.servers[i].host = i % 2 ? "localhost" : "other.invalid";
    struct group *group = scene_group(&s);
    countdown = 0;
    assert_null(resolver_new(&loop));
    countdown = -1;
    struct resolver *resolver = resolver_new(&loop);
    assert_non_null(resolver);
    int rc = ERR_MEMORY;
    for (long failed = 0; rc == ERR_MEMORY; failed++) {
        countdown = failed;
        rc = resolver_set(resolver, &group, 1);
        countdown = -1;
        uv_run(&loop, UV_RUN_NOWAIT);
        if (rc == ERR_MEMORY) assert_int_equal(group->members[1].upstream->address_count, 0);
    }
    assert_int_equal(rc, OK);
    while (group->members[1].upstream->address_count == 0)
        uv_run(&loop, UV_RUN_ONCE);
    resolver_free(resolver);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    group_free(&s.registry, group);
    scene_end(&s);
}

/* The checks never come to run here; that they end as they should is what the address sanitizer looks at. */
static void checks_are_changed_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    struct wr_app *app = wr_app_new(NULL);
    assert_non_null(app);
    struct wr_worker *worker = wr_worker_at(app, 0);
    struct scene s;
    scene_init(&s, 4);
    s.config.check_path = "/";
    s.servers[3].host = "localhost";
    struct group *group = scene_group(&s);
    struct health *health = NULL;
    long failed = 0;
    for (; !health; failed++) {
        countdown = failed;
        health = health_new(worker, &s.registry);
        countdown = -1;
    }
    assert_int_equal(failed, 3); /* two are needed */
    int rc = ERR_MEMORY;
    for (failed = 0; rc == ERR_MEMORY; failed++) {
        countdown = failed;
        rc = health_set(health, &group, 1);
        countdown = -1;
    }
    assert_int_equal(rc, OK);
    assert_true(failed > 4);
    assert_int_equal(health_set(health, &group, 1), OK);
    assert_int_equal(health_set(health, NULL, 0), OK);
    health_free(health);
    health_free(NULL);
    wr_app_free(app);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void a_table_of_rates_needs_memory(void **state)
{
    (void)state;
    countdown = 0;
    assert_null(rate_table_new());
    countdown = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_made_as_a_whole_or_not_at_all),
        cmocka_unit_test(names_are_changed_as_a_whole_or_not_at_all),
        cmocka_unit_test(checks_are_changed_as_a_whole_or_not_at_all),
        cmocka_unit_test(a_table_of_rates_needs_memory),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
