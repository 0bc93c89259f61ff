/* The directives about the servers of a host or path. Each is set as a whole: what it does not name has the
 * value that goes without saying. */
#include <stddef.h>

#include "http/token.h"
#include "http/url.h"
#include "proxy/config_read.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS, COOKIE_BYTES_MAX = 64 };

#define IN_GROUP(field) offsetof(struct config_group, field)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char default_cookie[] = "weaprous_server";

/* Policies may be written with '_' and in any case, as other programs have them. */
static bool same_policy(slice word, const char *name)
{
    if (word.len != strlen(name)) return false;
    for (size_t i = 0; i < word.len; i++) {
        uint8_t c = word.ptr[i];
        if (c == '_') c = '-';
        if (c >= 'A' && c <= 'Z') c = (uint8_t)(c + 32);
        if (c != (uint8_t)name[i]) return false;
    }
    return true;
}

void config_read_dist_policy(struct config_reader *r, const struct config_statement *s,
                             struct config_scope *scope)
{
    static const struct config_key keys[] = {{"cookie", KEY_TEXT, IN_GROUP(cookie), 0, 0}};
    unsigned lines[COUNT(keys)] = {0};
    slice word = s->arguments[0].text;
    struct config_group *group = &scope->group;
    group->policy = POLICY_ROUND_ROBIN;
    group->cookie = NULL;
    int policy = POLICY_ROUND_ROBIN;
    while (policy <= POLICY_STICKY && !same_policy(word, policy_name((enum policy)policy)))
        policy++;
    if (policy > POLICY_STICKY) {
        config_warning(r, s->arguments[0].place,
                       "dist_policy: \"%s\" is not known, so round-robin is taken; known are round-robin, "
                       "least-conn, random-two, ip-hash and sticky",
                       config_shown(word).text);
        return;
    }
    group->policy = (enum policy)policy;
    if (policy != POLICY_STICKY) {
        if (s->argument_count > 1)
            config_error(r, s->arguments[1].place, "dist_policy %s has no arguments",
                         policy_name(group->policy));
        return;
    }
    (void)config_keys(r, s, 1, keys, COUNT(keys), group, lines, false);
    if (!group->cookie) group->cookie = default_cookie;
    if (!token_valid(slice_text(group->cookie)) || strlen(group->cookie) > COOKIE_BYTES_MAX)
        config_error(r, config_key_place(s, "cookie"), "dist_policy: \"%s\" cannot be the name of a cookie",
                     config_shown(slice_text(group->cookie)).text);
}

void config_read_health_check(struct config_reader *r, const struct config_statement *s,
                              struct config_scope *scope)
{
    static const struct config_key keys[] = {
        {"path", KEY_TEXT, IN_GROUP(check_path), 0, 0},
        {"host", KEY_TEXT, IN_GROUP(check_host), 0, 0},
        {"interval", KEY_DURATION, IN_GROUP(check_interval_ms), 100, DAY_MS},
        {"timeout", KEY_DURATION, IN_GROUP(check_timeout_ms), 10, HOUR_MS},
        {"fall", KEY_NUMBER, IN_GROUP(check_fall), 1, 1000},
        {"rise", KEY_NUMBER, IN_GROUP(check_rise), 1, 1000},
    };
    unsigned lines[COUNT(keys)] = {0};
    struct config_group *group = &scope->group;
    group->check_path = group->check_host = NULL;
    group->check_interval_ms = config_plain_group.check_interval_ms;
    group->check_timeout_ms = config_plain_group.check_timeout_ms;
    group->check_fall = config_plain_group.check_fall;
    group->check_rise = config_plain_group.check_rise;
    if (config_is_off(s)) return;
    (void)config_keys(r, s, 0, keys, COUNT(keys), group, lines, false);
    if (!group->check_path) group->check_path = "/";
    if (group->check_path[0] != '/' || !url_target_valid(slice_text(group->check_path)))
        config_error(
            r, config_key_place(s, "path"),
            "health_check path: expected a path that begins with \"/\", other characters than those of "
            "URLs percent-encoded");
    if (group->check_host && !url_authority_valid(slice_text(group->check_host)))
        config_error(r, config_key_place(s, "host"), "health_check host: expected a name, or name:port");
}

void config_read_circuit_breaker(struct config_reader *r, const struct config_statement *s,
                                 struct config_scope *scope)
{
    static const struct config_key keys[] = {
        {"fails", KEY_NUMBER, IN_GROUP(breaker_fails), 1, 1000000},
        {"pause", KEY_DURATION, IN_GROUP(breaker_pause_ms), 100, DAY_MS},
    };
    unsigned lines[COUNT(keys)] = {0};
    scope->group.breaker_fails = config_is_off(s) ? 0 : config_plain_group.breaker_fails;
    scope->group.breaker_pause_ms = config_plain_group.breaker_pause_ms;
    if (!config_is_off(s)) (void)config_keys(r, s, 0, keys, COUNT(keys), &scope->group, lines, false);
}

void config_read_slow_start(struct config_reader *r, const struct config_statement *s,
                            struct config_scope *scope)
{
    scope->group.slow_start_ms = 0;
    if (!config_is_off(s))
        (void)config_duration(r, "slow_start", config_value(&s->arguments[0]), 1, DAY_MS,
                              &scope->group.slow_start_ms);
}

/* "N name=TIME", or off: the number, and then the keys. */
static bool number_and_keys(struct config_reader *r, const struct config_statement *s, uint64_t max,
                            const struct config_key *key, struct config_group *group, unsigned *out_number)
{
    unsigned line = 0;
    uint64_t number = 0;
    if (config_is_off(s)) {
        *out_number = 0;
        return true;
    }
    bool good = config_number(r, s->directive->name, config_value(&s->arguments[0]), 0, max, &number);
    *out_number = (unsigned)number;
    return config_keys(r, s, 1, key, 1, group, &line, false) && good;
}

void config_read_queue(struct config_reader *r, const struct config_statement *s, struct config_scope *scope)
{
    static const struct config_key timeout = {"timeout", KEY_DURATION, IN_GROUP(queue_ms), 1, HOUR_MS};
    struct config_group *group = &scope->group;
    group->queue_ms = config_plain_group.queue_ms;
    (void)number_and_keys(r, s, 100000, &timeout, group, &group->queue_max);
    if (group->queue_max == 0) group->queue_ms = config_plain_group.queue_ms;
}

void config_read_keepalive(struct config_reader *r, const struct config_statement *s,
                           struct config_scope *scope)
{
    static const struct config_key idle = {"idle", KEY_DURATION, IN_GROUP(idle_ms), 100, DAY_MS};
    struct config_group *group = &scope->group;
    group->idle_ms = config_plain_group.idle_ms;
    (void)number_and_keys(r, s, 10000, &idle, group, &group->keepalive);
    if (group->keepalive == 0) group->idle_ms = config_plain_group.idle_ms;
}

void config_read_proxy_tls(struct config_reader *r, const struct config_statement *s,
                           struct config_scope *scope)
{
    struct config_group *group = &scope->group;
    slice name;
    struct config_value value;
    group->ca_file = NULL;
    group->insecure = false;
    if (config_value_split(&s->arguments[0], &name, &value) && slice_equal(name, SLICE("trust")) &&
        value.text.len > 0) {
        group->ca_file = config_text(r, value);
    } else if (slice_equal(s->arguments[0].text, SLICE("insecure"))) {
        group->insecure = true;
    } else if (!slice_equal(s->arguments[0].text, SLICE("system"))) {
        config_error(r, s->arguments[0].place,
                     "proxy_tls: expected trust=FILE, system or insecure, not \"%s\"",
                     config_shown(s->arguments[0].text).text);
    }
}
