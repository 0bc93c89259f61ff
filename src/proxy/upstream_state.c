/* upstream_state.c - whether a server is up, and who says so. upstream.h has the rules.
 *
 * The usual case, a server that is up and answers, takes no lock. All changes of the state are made under
 * why_lock; who made one tells of it afterwards, without the lock, so that `changed` may do what it likes. */
#include <stdio.h>

#include "proxy/upstream_state.h"

static unsigned load(const atomic_uint *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void store(atomic_uint *value, unsigned to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

static uint64_t load_ms(const atomic_uint_fast64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void store_ms(atomic_uint_fast64_t *value, uint64_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

/* What happened under the lock, to be told after it. */
struct news {
    bool changed, up;
    char why[UPSTREAM_WHY_BYTES];
};

static void tell(const struct registry *registry, const struct upstream *u, const struct news *news)
{
    if (news->changed && registry->changed) registry->changed(registry->context, u, news->up, news->why);
}

/* --- changes; the lock is held --- */

static void go_up(struct upstream *u, uint64_t now_ms, struct news *news, const char *why)
{
    store(&u->fails_in_row, 0);
    store(&u->check_fails, 0);
    store(&u->pause_ms, 0);
    store_ms(&u->down_until_ms, 0);
    store_ms(&u->up_since_ms, now_ms ? now_ms : 1);
    store_ms(&u->changed_ms, now_ms);
    store(&u->state, UPSTREAM_UP);
    news->changed = news->up = true;
    snprintf(news->why, sizeof news->why, "%s", why);
}

/* until_ms 0: until checks pass. */
static void go_down(struct upstream *u, uint64_t now_ms, uint64_t until_ms, struct news *news)
{
    bool was_up = load(&u->state) == UPSTREAM_UP;
    store(&u->check_passes, 0);
    store_ms(&u->failed_ms, now_ms);
    store_ms(&u->down_until_ms, until_ms);
    store(&u->state, UPSTREAM_DOWN);
    if (!was_up) return;
    store_ms(&u->changed_ms, now_ms);
    news->changed = true;
    memcpy(news->why, u->why, sizeof news->why);
}

/* The pause of the circuit: the first one, or after a trial twice the last one. */
static uint64_t next_pause(struct upstream *u, const struct config_group *config)
{
    unsigned first = config->breaker_pause_ms > 0 ? config->breaker_pause_ms : 1;
    unsigned most = first > UPSTREAM_PAUSE_MAX_MS ? first : UPSTREAM_PAUSE_MAX_MS;
    unsigned last = load(&u->pause_ms);
    unsigned pause = last == 0 ? first : last > most / 2 ? most : last * 2;
    store(&u->pause_ms, pause);
    return pause;
}

/* --- requests --- */

void upstream_failed(struct registry *registry, const struct group *group, struct upstream *u,
                     uint64_t now_ms, const char *why)
{
    const struct config_group *config = group->config;
    struct news news = {0};
    atomic_fetch_add_explicit(&u->failures, 1, memory_order_relaxed);
    atomic_store_explicit(&u->lookup, true, memory_order_relaxed);
    uv_mutex_lock(&u->why_lock);
    snprintf(u->why, sizeof u->why, "%s", why);
    unsigned fails = load(&u->fails_in_row) + 1;
    store(&u->fails_in_row, fails);
    unsigned state = load(&u->state);
    if (state == UPSTREAM_TRIAL ||
        (state == UPSTREAM_UP && config->breaker_fails > 0 && fails >= config->breaker_fails))
        go_down(u, now_ms, now_ms + next_pause(u, config), &news);
    uv_mutex_unlock(&u->why_lock);
    tell(registry, u, &news);
}

void upstream_succeeded(struct registry *registry, const struct group *group, struct upstream *u,
                        uint64_t now_ms)
{
    (void)group;
    unsigned state = load(&u->state);
    if (state != UPSTREAM_TRIAL) {
        if (state == UPSTREAM_UP && load(&u->fails_in_row) > 0) store(&u->fails_in_row, 0);
        return;
    }
    struct news news = {0};
    uv_mutex_lock(&u->why_lock);
    if (load(&u->state) == UPSTREAM_TRIAL) go_up(u, now_ms, &news, "a request to try it was answered");
    uv_mutex_unlock(&u->why_lock);
    tell(registry, u, &news);
}

bool upstream_may_try(const struct upstream *u, uint64_t now_ms, enum upstream_trials trials)
{
    unsigned state = load(&u->state);
    uint64_t until = load_ms(&u->down_until_ms);
    if (state == UPSTREAM_UP || until == 0 || trials == TRIALS_NONE) return false;
    if (now_ms >= until) return true;
    return trials == TRIALS_EARLY && state == UPSTREAM_DOWN &&
           now_ms >= load_ms(&u->failed_ms) + UPSTREAM_EARLY_MS;
}

bool upstream_try(struct upstream *u, uint64_t now_ms, enum upstream_trials trials)
{
    uv_mutex_lock(&u->why_lock);
    bool may = upstream_may_try(u, now_ms, trials);
    if (may) {
        store_ms(&u->down_until_ms, now_ms + UPSTREAM_TRIAL_MS);
        store(&u->state, UPSTREAM_TRIAL);
    }
    uv_mutex_unlock(&u->why_lock);
    return may;
}

void upstream_trial_lost(struct upstream *u, uint64_t now_ms)
{
    uv_mutex_lock(&u->why_lock);
    if (load(&u->state) == UPSTREAM_TRIAL) {
        store_ms(&u->down_until_ms, now_ms);
        store(&u->state, UPSTREAM_DOWN);
    }
    uv_mutex_unlock(&u->why_lock);
}

/* --- checks --- */

void upstream_check_passed(struct registry *registry, const struct group *group, struct upstream *u,
                           uint64_t now_ms)
{
    const struct config_group *config = group->config;
    struct news news = {0};
    uv_mutex_lock(&u->why_lock);
    unsigned passes = load(&u->check_passes);
    if (passes < UINT32_MAX) store(&u->check_passes, ++passes);
    store(&u->check_fails, 0);
    if (load(&u->state) == UPSTREAM_DOWN && passes >= config->check_rise) {
        if (load_ms(&u->down_until_ms) == 0) {
            char why[UPSTREAM_WHY_BYTES];
            snprintf(why, sizeof why, "%u check%s passed", passes, passes == 1 ? "" : "s");
            go_up(u, now_ms, &news, why);
        } else if (load(&u->pause_ms) <= config->breaker_pause_ms) {
            if (load_ms(&u->down_until_ms) > now_ms) store_ms(&u->down_until_ms, now_ms);
        }
    }
    uv_mutex_unlock(&u->why_lock);
    tell(registry, u, &news);
}

void upstream_check_failed(struct registry *registry, const struct group *group, struct upstream *u,
                           uint64_t now_ms, const char *why)
{
    struct news news = {0};
    atomic_store_explicit(&u->lookup, true, memory_order_relaxed);
    uv_mutex_lock(&u->why_lock);
    unsigned fails = load(&u->check_fails);
    if (fails < UINT32_MAX) store(&u->check_fails, ++fails);
    store(&u->check_passes, 0);
    snprintf(u->why, sizeof u->why, "health check: %s", why);
    if (fails >= group->config->check_fall) go_down(u, now_ms, 0, &news);
    uv_mutex_unlock(&u->why_lock);
    tell(registry, u, &news);
}

void upstream_adopt(struct registry *registry, const struct group *group, struct upstream *u, uint64_t now_ms)
{
    const struct config_group *config = group->config;
    struct news news = {0};
    uv_mutex_lock(&u->why_lock);
    bool by_checks = load_ms(&u->down_until_ms) == 0, up = load(&u->state) == UPSTREAM_UP;
    if (!config->check_path) {
        store(&u->check_fails, 0);
        store(&u->check_passes, 0);
        if (!up && by_checks) go_up(u, now_ms, &news, "it is not checked any more");
    }
    if (config->breaker_fails == 0 && !up && !by_checks)
        go_up(u, now_ms, &news, "it has no circuit breaker any more");
    uv_mutex_unlock(&u->why_lock);
    tell(registry, u, &news);
}
