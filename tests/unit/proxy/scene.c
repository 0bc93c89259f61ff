#include "scene.h"

static const char *const hosts[CONFIG_SERVERS_MAX] = {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
                                                      "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8"};

static void changed(void *context, const struct upstream *upstream, bool up, const char *why)
{
    (void)upstream;
    char text[UPSTREAM_WHY_BYTES + 10];
    snprintf(text, sizeof text, "%s(%s)", up ? "up" : "down", why);
    scene_tell(context, text);
}

void scene_init(struct scene *s, size_t count)
{
    memset(s, 0, sizeof *s);
    registry_init(&s->registry, 2);
    s->registry.changed = changed;
    s->registry.context = s;
    s->now_ms = 1000000;
    assert_in_range(count, 1, 8);
    for (size_t i = 0; i < count; i++)
        s->servers[i] = (struct config_server){.host = hosts[i], .port = 9000, .weight = 1};
    s->config = (struct config_group){.name = "g.test",
                                      .servers = s->servers,
                                      .server_count = count,
                                      .check_interval_ms = 2000,
                                      .check_timeout_ms = 2000,
                                      .check_fall = 3,
                                      .check_rise = 2,
                                      .breaker_pause_ms = 10000};
}

void scene_end(struct scene *s)
{
    assert_null(s->registry.first);
    registry_deinit(&s->registry);
}

struct group *scene_group(struct scene *s)
{
    struct group *group;
    const char *why;
    assert_int_equal(group_new(&s->registry, &s->config, &group, &why), OK);
    registry_use(&s->registry, &group, 1, s->now_ms);
    return group;
}

void scene_tell(struct scene *s, const char *text)
{
    size_t len = strlen(s->told);
    snprintf(s->told + len, sizeof s->told - len, "%s%s", len ? " " : "", text);
}

int scene_pick(struct scene *s, struct group *group)
{
    return scene_pick_from(s, group, 0);
}

int scene_pick_from(struct scene *s, struct group *group, uint64_t tried)
{
    struct pick pick = {.now_ms = s->now_ms, .tried = tried};
    return group_pick(group, 0, &pick);
}

void scene_fail(struct scene *s, struct group *group, int member, int times)
{
    for (int i = 0; i < times; i++)
        upstream_failed(&s->registry, group, group->members[member].upstream, s->now_ms,
                        "connection refused");
}
