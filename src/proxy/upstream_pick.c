/* upstream_pick.c - the server for a request: what is known of the servers is made ready for balance.h. */
#include "base/sip.h"
#include "proxy/upstream_state.h"

/* What was found besides those that can be chosen. */
struct others {
    bool busy;  /* one is up, not tried, and has max_conns requests */
    bool tried; /* one is up and tried */
    bool trial; /* another request is trying one that this has not tried, and will soon know */
};

static unsigned load(const atomic_uint *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static uint64_t load_ms(const atomic_uint_fast64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static uint32_t weight_of(const struct group *group, const struct member *m, uint64_t now_ms)
{
    uint64_t since = load_ms(&m->upstream->up_since_ms);
    if (since == 0 || group->config->slow_start_ms == 0) return m->config->weight * 256;
    return balance_slow_start(m->config->weight, now_ms > since ? now_ms - since : 0,
                              group->config->slow_start_ms);
}

/* Since a moment ago: one that takes longer is not worth waiting for. */
static bool on_trial(const struct upstream *u, uint64_t now_ms)
{
    return load(&u->state) == UPSTREAM_TRIAL &&
           load_ms(&u->down_until_ms) + UPSTREAM_EARLY_MS > now_ms + UPSTREAM_TRIAL_MS;
}

static struct candidate look(const struct group *group, size_t i, const struct pick *pick,
                             enum upstream_trials trials, struct others *others)
{
    const struct member *m = &group->members[i];
    const struct upstream *u = m->upstream;
    struct candidate c = {.active = load(&u->active)};
    bool up = load(&u->state) == UPSTREAM_UP;
    if (!up && !upstream_may_try(u, pick->now_ms, trials)) {
        others->trial |= on_trial(u, pick->now_ms) && !(pick->tried >> i & 1);
        return c;
    }
    if (pick->tried >> i & 1) {
        others->tried |= up;
        return c;
    }
    if (m->config->max_conns > 0 && c.active >= m->config->max_conns) {
        others->busy |= up;
        return c;
    }
    c.usable = true;
    c.weight = weight_of(group, m, pick->now_ms);
    return c;
}

/* --- policies --- */

/* Of IPv6 a client has a whole /64, and changes its address within it. */
static uint64_t address_key(const uint8_t *address)
{
    static const struct sip_secret key = {0x7468652073616d65, 0x20666f7220616c6c};
    if (!address) return 0;
    return sip_hash(key, slice_of(address, ip_is_v4(address) ? IP_BYTES : IP_BYTES / 2));
}

static int sticky_member(const struct group *group, slice value, const struct candidate *candidates)
{
    if (value.len != UPSTREAM_STICKY_BYTES) return BALANCE_NONE;
    for (size_t i = 0; i < group->count; i++)
        if (candidates[i].usable && memcmp(group->sticky[i], value.ptr, UPSTREAM_STICKY_BYTES) == 0)
            return (int)i;
    return BALANCE_NONE;
}

static int choose(const struct group *group, struct rotation *rotation, const struct pick *pick,
                  const struct candidate *candidates)
{
    size_t count = group->count;
    switch (group->config->policy) {
    case POLICY_LEAST_CONN: return balance_least_conn(rotation, candidates, count);
    case POLICY_RANDOM_TWO: return balance_random_two(pick->random, candidates, count);
    case POLICY_IP_HASH: return balance_hash(address_key(pick->address), group->names, candidates, count);
    case POLICY_STICKY: {
        int member = sticky_member(group, pick->sticky, candidates);
        if (member >= 0) return member;
        break;
    }
    case POLICY_ROUND_ROBIN: break;
    }
    return balance_round_robin(rotation, candidates, count);
}

/* Among the backups, or among the others. A trial that another worker took in the meantime is chosen anew. */
static int pick_among(struct group *group, unsigned worker, struct pick *pick, bool backups,
                      enum upstream_trials trials, struct others *others)
{
    struct candidate candidates[CONFIG_SERVERS_MAX];
    for (size_t i = 0; i < group->count; i++) {
        bool asked = group->members[i].config->backup == backups;
        candidates[i] = asked ? look(group, i, pick, trials, others) : (struct candidate){0};
    }
    for (;;) {
        int i = choose(group, &group->rotations[worker], pick, candidates);
        if (i < 0) return BALANCE_NONE;
        struct upstream *u = group->members[i].upstream;
        if (load(&u->state) == UPSTREAM_UP) return i;
        pick->trial = upstream_try(u, pick->now_ms, trials);
        if (pick->trial) return i;
        candidates[i].usable = false;
    }
}

static int pick_with(struct group *group, unsigned worker, struct pick *pick, enum upstream_trials trials)
{
    struct others others = {0};
    int i = pick_among(group, worker, pick, false, trials, &others);
    if (i >= 0) return i;
    if (others.busy) return PICK_ALL_BUSY;
    if (group->has_backup) i = pick_among(group, worker, pick, true, trials, &others);
    if (i >= 0) return i;
    if (others.busy || (others.trial && trials == TRIALS_EARLY)) return PICK_ALL_BUSY;
    return others.tried ? PICK_ALL_TRIED : PICK_ALL_DOWN;
}

int group_pick(struct group *group, unsigned worker, struct pick *pick)
{
    pick->trial = false;
    int i = pick_with(group, worker, pick, pick->unrepeatable ? TRIALS_NONE : TRIALS_DUE);
    /* Better a server that is down for all we know than none. */
    if (i == PICK_ALL_DOWN || i == PICK_ALL_TRIED) i = pick_with(group, worker, pick, TRIALS_EARLY);
    return i;
}

void group_sticky_value(const struct group *group, int member, char out[UPSTREAM_STICKY_BYTES + 1])
{
    memcpy(out, group->sticky[member], UPSTREAM_STICKY_BYTES + 1);
}

/* How long the one that asks would have to wait for this server. */
static uint64_t back_in_ms(const struct config_group *config, const struct upstream *u, uint64_t now_ms)
{
    uint64_t until = load_ms(&u->down_until_ms), early = load_ms(&u->failed_ms) + UPSTREAM_EARLY_MS;
    unsigned passes = load(&u->check_passes);
    if (load(&u->state) != UPSTREAM_DOWN) return 0;
    if (until == 0)
        return (uint64_t)config->check_interval_ms *
               (passes < config->check_rise ? config->check_rise - passes : 1);
    if (early < until) until = early;
    return until > now_ms ? until - now_ms : 0;
}

unsigned group_retry_after_s(const struct group *group, uint64_t now_ms)
{
    uint64_t best = UPSTREAM_PAUSE_MAX_MS;
    for (size_t i = 0; i < group->count; i++) {
        uint64_t wait = back_in_ms(group->config, group->members[i].upstream, now_ms);
        if (wait < best) best = wait;
    }
    return best < 1000 ? 1 : (unsigned)((best + 999) / 1000);
}
