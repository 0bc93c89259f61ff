/* Workers pick, fail and succeed, another one checks, while the configuration is put in the place of itself
 * again and again: what is counted stays right, each change is told once. (Trials may overlap: a request from
 * before, or a check, may end one while its own request is still under way.) */
#include <pthread.h>
#include <sched.h>

#include "scene.h"

enum { WORKERS = 4, SERVERS = 4, ROUNDS = 100000, RELOADS = 60 };

/* As the site: requests under way keep the group that they began with. */
struct held {
    struct group *group;
    unsigned owners;
    struct held *next;
};

static struct world {
    struct registry registry;
    struct config_server servers[SERVERS];
    struct config_group config;
    pthread_mutex_t lock;
    struct held *now, *released; /* guarded by it */
    atomic_uint working;
    atomic_uint_fast64_t clock_ms;
    atomic_int level[SERVERS];
    atomic_uint told_up, told_down, broken;
} w;

static struct held *hold(void)
{
    pthread_mutex_lock(&w.lock);
    struct held *held = w.now;
    held->owners++;
    pthread_mutex_unlock(&w.lock);
    return held;
}

static void let_go(struct held *held)
{
    pthread_mutex_lock(&w.lock);
    if (--held->owners == 0) {
        held->next = w.released;
        w.released = held;
    }
    pthread_mutex_unlock(&w.lock);
}

static int number_of(const struct upstream *u)
{
    return u->port - 9000;
}

static void changed(void *context, const struct upstream *u, bool up, const char *why)
{
    (void)context;
    char words[UPSTREAM_WHY_BYTES];
    upstream_why((struct upstream *)u, words); /* no lock is held */
    atomic_fetch_add(up ? &w.told_up : &w.told_down, 1);
    atomic_fetch_add(&w.level[number_of(u)], up ? 1 : -1);
    if (!*why || !*words) atomic_fetch_add(&w.broken, 1);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

static void one_request(unsigned worker, uint64_t *seed)
{
    struct held *held = hold();
    struct group *group = held->group;
    uint64_t now = atomic_fetch_add(&w.clock_ms, next_random(seed) % 8 == 0) + 1;
    struct pick pick = {.now_ms = now, .random = *seed, .unrepeatable = next_random(seed) % 4 == 0};
    int member = group_pick(group, worker, &pick);
    if (member >= 0) {
        struct upstream *u = group->members[member].upstream;
        upstream_begin(u);
        if (atomic_load(&u->active) > WORKERS) atomic_fetch_add(&w.broken, 1); /* below 0, too */
        unsigned luck = (unsigned)next_random(seed) % 100;
        if (luck < 40)
            upstream_failed(&w.registry, group, u, now, "connection refused");
        else if (luck < 90)
            upstream_succeeded(&w.registry, group, u, now);
        else if (pick.trial)
            upstream_trial_lost(u, now);
        upstream_answered(u, 200, luck * 1000);
        upstream_end(u);
    } else if (group_retry_after_s(group, now) == 0) {
        atomic_fetch_add(&w.broken, 1);
    }
    let_go(held);
}

static void *work(void *argument)
{
    unsigned worker = *(const unsigned *)argument;
    uint64_t seed = worker + 1;
    for (int i = 0; i < ROUNDS; i++)
        one_request(worker, &seed);
    atomic_fetch_sub(&w.working, 1);
    return NULL;
}

static void *check(void *argument)
{
    (void)argument;
    uint64_t seed = 99;
    const uint8_t addresses[2][IP_BYTES] = {{1}, {2}};
    while (atomic_load(&w.working) > 0) {
        struct held *held = hold();
        for (size_t i = 0; i < held->group->count; i++) {
            struct upstream *u = held->group->members[i].upstream;
            uint8_t got[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
            uint64_t now = atomic_load(&w.clock_ms);
            if (next_random(&seed) % 2)
                upstream_check_failed(&w.registry, held->group, u, now, "status 500");
            else
                upstream_check_passed(&w.registry, held->group, u, now);
            upstream_set_addresses(u, addresses, 1 + (unsigned)next_random(&seed) % 2);
            if (upstream_addresses(u, got) == 0 || got[0][0] > 2) atomic_fetch_add(&w.broken, 1);
        }
        let_go(held);
    }
    return NULL;
}

static void free_released(void)
{
    pthread_mutex_lock(&w.lock);
    struct held *released = w.released;
    w.released = NULL;
    pthread_mutex_unlock(&w.lock);
    while (released) {
        struct held *next = released->next;
        group_free(&w.registry, released->group);
        free(released);
        released = next;
    }
}

static void reload(void)
{
    struct held *held = calloc(1, sizeof *held), *old = w.now;
    const char *why;
    assert_non_null(held);
    held->owners = 1;
    assert_int_equal(group_new(&w.registry, &w.config, &held->group, &why), OK);
    registry_use(&w.registry, &held->group, 1, atomic_load(&w.clock_ms));
    pthread_mutex_lock(&w.lock);
    w.now = held;
    pthread_mutex_unlock(&w.lock);
    if (old) let_go(old);
    free_released();
}

static void set_up(bool checks)
{
    memset(&w, 0, sizeof w);
    pthread_mutex_init(&w.lock, NULL);
    registry_init(&w.registry, WORKERS);
    w.registry.changed = changed;
    for (int i = 0; i < SERVERS; i++)
        w.servers[i] = (struct config_server){
            .host = "10.0.0.1", .port = (uint16_t)(9000 + i), .weight = 1 + (unsigned)i};
    w.config = (struct config_group){.name = "g.test",
                                     .servers = w.servers,
                                     .server_count = SERVERS,
                                     .check_path = checks ? "/" : NULL,
                                     .check_interval_ms = 10,
                                     .check_fall = 3,
                                     .check_rise = 2,
                                     .breaker_fails = 2,
                                     .breaker_pause_ms = 5,
                                     .slow_start_ms = 20};
    w.clock_ms = 1000;
}

static void run(bool checks)
{
    pthread_t threads[WORKERS], checker;
    unsigned workers[WORKERS];
    set_up(checks);
    reload();
    atomic_store(&w.working, WORKERS);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    if (checks) assert_int_equal(pthread_create(&checker, NULL, check, NULL), 0);
    for (int i = 0; i < RELOADS; i++)
        reload();
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    if (checks) pthread_join(checker, NULL);
    assert_int_equal(w.broken, 0);
    assert_true(w.told_down > 10 && w.told_up > 10); /* there was something to get wrong */
    for (int i = 0; i < SERVERS; i++) {
        const struct upstream *u = w.now->group->members[i].upstream;
        assert_int_equal(u->active, 0);
        assert_false(u->retired);
        assert_int_equal(w.level[i], u->state == UPSTREAM_UP ? 0 : -1);
    }
    let_go(w.now);
    free_released();
    assert_null(w.registry.first);
    registry_deinit(&w.registry);
}

static void requests_and_reloads(void **state)
{
    (void)state;
    run(false);
}

static void requests_checks_and_reloads(void **state)
{
    (void)state;
    run(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_reloads),
        cmocka_unit_test(requests_checks_and_reloads),
    };
    return cmocka_run_group_tests_name("upstream_threads", tests, NULL, NULL);
}
