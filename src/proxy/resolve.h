/* resolve.h - the names of servers, looked up again and again: apart from connections, which then need not
 * wait for it, and go on with the last known addresses when a lookup fails.
 *
 * Rules: on the thread of the loop. */
#ifndef PROXY_RESOLVE_H
#define PROXY_RESOLVE_H

#include "proxy/upstream.h"

enum {
    RESOLVE_TICK_MS = 500,   /* how soon a failed connection is followed by a lookup */
    RESOLVE_AGAIN_MS = 2000, /* but never more often than this */
    RESOLVE_RUNNING_MAX = 2, /* lookups at a time: each blocks one of the few threads of the pool */
};

struct resolver;

/* NULL without memory. */
struct resolver *resolver_new(uv_loop_t *loop) BASE_CHECKED;
/* Looks up the names of the servers of these groups, and no others. ERR_MEMORY: nothing has changed. */
int resolver_set(struct resolver *resolver, struct group *const *groups, size_t count) BASE_CHECKED;
/* Frees it as soon as the loop has closed what belongs to it. */
void resolver_free(struct resolver *resolver);

#endif
