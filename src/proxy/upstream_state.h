/* upstream_state.h - what upstream.c, upstream_pick.c and upstream_state.c need of each other: when a server
 * that is down may be tried, and what a reload changes about that. */
#ifndef PROXY_UPSTREAM_STATE_H
#define PROXY_UPSTREAM_STATE_H

#include "proxy/upstream.h"

enum upstream_trials {
    TRIALS_NONE,
    TRIALS_DUE,   /* of servers whose pause is over, or whose last trial was silent for too long */
    TRIALS_EARLY, /* also during the pause: there is no other server */
};

bool upstream_may_try(const struct upstream *upstream, uint64_t now_ms, enum upstream_trials trials);
/* The one that hears true has the trial. */
bool upstream_try(struct upstream *upstream, uint64_t now_ms, enum upstream_trials trials);
/* It belongs to this configuration now: nothing that this does not have (checks, a breaker) keeps it down. */
void upstream_adopt(struct registry *registry, const struct group *group, struct upstream *upstream,
                    uint64_t now_ms);

#endif
