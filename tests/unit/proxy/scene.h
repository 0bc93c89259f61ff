/* scene.h - for tests: a registry, a configuration of one group, and what was told of its servers. */
#ifndef TESTS_PROXY_SCENE_H
#define TESTS_PROXY_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/upstream.h"

struct scene {
    struct registry registry;
    struct config_server servers[CONFIG_SERVERS_MAX];
    struct config_group config; /* change it before scene_group */
    uint64_t now_ms;
    char told[512]; /* "down(why) " and "up(why) ", and what a test adds */
};

/* A group "g.test" of `count` servers 10.0.0.1:9000, 10.0.0.2:9000, ... of weight 1, nothing checked, no
 * circuit breaker; for 2 workers. */
void scene_init(struct scene *s, size_t count);
/* All groups have been freed. */
void scene_end(struct scene *s);
/* The group of the configuration as it is now, at work. */
struct group *scene_group(struct scene *s);
void scene_tell(struct scene *s, const char *text);

/* Picks for a client without an address, by worker 0. */
int scene_pick(struct scene *s, struct group *group);
int scene_pick_from(struct scene *s, struct group *group, uint64_t tried);
/* So many requests fail. */
void scene_fail(struct scene *s, struct group *group, int member, int times);

#endif
