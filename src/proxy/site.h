/* site.h - a configuration at work: it and the state of its groups. Requests under way keep the one that they
 * began with; a reload puts another one in its place.
 *
 * Rules: constant but for what the groups say is atomic. Held and released on any thread; the thread that
 * reloads frees it, soon after the last release. */
#ifndef PROXY_SITE_H
#define PROXY_SITE_H

#include "proxy/config.h"
#include "proxy/upstream.h"

struct proxy;

struct site {
    atomic_uint owners;
    struct proxy *proxy;
    struct site *next; /* of those that are to be freed */
    uint64_t number;   /* 1: the first one */
    struct config *config;
    struct group **groups; /* as config->groups */
};

static inline struct site *site_hold(struct site *site)
{
    atomic_fetch_add_explicit(&site->owners, 1, memory_order_relaxed);
    return site;
}
void site_release(struct site *site);

#endif
