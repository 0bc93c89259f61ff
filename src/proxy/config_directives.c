/* The directives of a configuration, but those with addresses and fields. */
#include <stddef.h>
#include <stdio.h>

#include "http/token.h"
#include "http/url.h"
#include "proxy/config_read.h"

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    PROXIES_MAX = 256, /* as wr_trust_proxies takes them */
    KIB = 1024,
};

static const char default_cookie[] = "weaprous_server";

/* What the group directives mean that are not there; each is set as a whole. */
const struct config_group config_plain_group = {
    .prefix = "/",
    .policy = POLICY_ROUND_ROBIN,
    .check_interval_ms = 2 * SECOND_MS,
    .check_timeout_ms = 2 * SECOND_MS,
    .check_fall = 3,
    .check_rise = 2,
    .breaker_fails = 5,
    .breaker_pause_ms = 10 * SECOND_MS,
    .queue_max = 100,
    .queue_ms = 5 * SECOND_MS,
    .keepalive = 64,
    .idle_ms = 50 * SECOND_MS, /* less than the 60 s and 75 s of common servers */
};

const struct config_location config_plain_location = {
    .connect_ms = 5 * SECOND_MS,
    .read_ms = MINUTE_MS,
    .send_ms = MINUTE_MS,
    .tunnel_ms = HOUR_MS,
    .buffer = 64 * KIB,
    .retries = 2,
};

void config_defaults(struct config_scope *top)
{
    struct config *config = top->config;
    top->kind = SCOPE_TOP;
    top->group = config_plain_group;
    top->location = config_plain_location;
    config->client_idle_ms = MINUTE_MS;
    config->client_header_ms = 10 * SECOND_MS;
    config->client_body_ms = 30 * SECOND_MS;
    config->header_bytes_max = 16 * KIB;
}

/* --- times and limits --- */

#define IN_LOCATION(field) offsetof(struct config_location, field)
#define IN_GROUP(field) offsetof(struct config_group, field)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void read_timeout(struct config_reader *r, const struct config_statement *s,
                         struct config_scope *scope)
{
    static const struct config_key keys[] = {
        {"connect", KEY_DURATION, IN_LOCATION(connect_ms), 1, HOUR_MS},
        {"read", KEY_DURATION, IN_LOCATION(read_ms), 1, 7 * DAY_MS},
        {"send", KEY_DURATION, IN_LOCATION(send_ms), 1, 7 * DAY_MS},
        {"idle", KEY_DURATION, IN_LOCATION(tunnel_ms), 1, 30ull * DAY_MS},
    };
    (void)config_keys(r, s, 0, keys, COUNT(keys), &scope->location, scope->timeouts, true);
}

static void read_client_timeout(struct config_reader *r, const struct config_statement *s,
                                struct config_scope *scope)
{
    static const struct config_key keys[] = {
        {"idle", KEY_DURATION, offsetof(struct config, client_idle_ms), 1, 7 * DAY_MS},
        {"header", KEY_DURATION, offsetof(struct config, client_header_ms), 1, HOUR_MS},
        {"body", KEY_DURATION, offsetof(struct config, client_body_ms), 1, 7 * DAY_MS},
    };
    (void)config_keys(r, s, 0, keys, COUNT(keys), scope->config, scope->client_timeouts, true);
}

static void read_max_body(struct config_reader *r, const struct config_statement *s,
                          struct config_scope *scope)
{
    if (config_is_off(s))
        scope->location.max_body = 0;
    else
        (void)config_size(r, "max_body", config_value(&s->arguments[0]), 0, INT64_MAX,
                          &scope->location.max_body);
}

static void read_buffer(struct config_reader *r, const struct config_statement *s, struct config_scope *scope)
{
    uint64_t bytes = scope->location.buffer;
    (void)config_size(r, "buffer", config_value(&s->arguments[0]), 4 * KIB, 16 * KIB * KIB, &bytes);
    scope->location.buffer = (size_t)bytes;
}

static void read_retries(struct config_reader *r, const struct config_statement *s,
                         struct config_scope *scope)
{
    uint64_t count = scope->location.retries;
    if (config_is_off(s))
        count = 0;
    else
        (void)config_number(r, "retries", config_value(&s->arguments[0]), 0, CONFIG_SERVERS_MAX - 1, &count);
    scope->location.retries = (unsigned)count;
}

/* "10/s", "30/m". */
static void read_rate_limit(struct config_reader *r, const struct config_statement *s,
                            struct config_scope *scope)
{
    static const struct config_key keys[] = {
        {"burst", KEY_NUMBER, offsetof(struct config_rate, burst), 1, 1000000}};
    unsigned lines[COUNT(keys)] = {0};
    struct config_rate rate = {0};
    scope->location.rate = rate;
    if (config_is_off(s)) return;
    struct config_value value = config_value(&s->arguments[0]);
    size_t slash = slice_find(value.text, '/');
    slice unit = slice_sub(value.text, slash, value.text.len);
    bool minutes = slice_equal(unit, SLICE("/m"));
    uint64_t count;
    if (!minutes && !slice_equal(unit, SLICE("/s"))) {
        config_error(r, value.place,
                     "rate_limit: expected requests in a time, as in 10/s or 30/m, not \"%s\"",
                     config_shown(value.text).text);
        return;
    }
    value.text = slice_sub(value.text, 0, slash);
    if (!config_number(r, "rate_limit", value, 1, 1000000, &count)) return;
    rate.per_s = minutes ? (double)count / 60 : (double)count;
    rate.burst = (unsigned)(minutes ? (count + 59) / 60 : count);
    if (config_keys(r, s, 1, keys, COUNT(keys), &rate, lines, false)) scope->location.rate = rate;
}

static void read_max_connections(struct config_reader *r, const struct config_statement *s,
                                 struct config_scope *scope)
{
    uint64_t count = 0;
    if (!config_is_off(s))
        (void)config_number(r, "max_connections", config_value(&s->arguments[0]), 1, 10000000, &count);
    scope->config->connections_max = (unsigned)count;
}

static void read_max_header(struct config_reader *r, const struct config_statement *s,
                            struct config_scope *scope)
{
    uint64_t bytes = scope->config->header_bytes_max;
    (void)config_size(r, "max_header", config_value(&s->arguments[0]), KIB, 63 * KIB, &bytes);
    scope->config->header_bytes_max = (size_t)bytes;
}

/* --- groups of servers --- */

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

static void read_dist_policy(struct config_reader *r, const struct config_statement *s,
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
    if (!token_valid(slice_text(group->cookie)))
        config_error(r, s->arguments[1].place, "dist_policy: \"%s\" cannot be the name of a cookie",
                     config_shown(slice_text(group->cookie)).text);
}

/* Where a value stands that was read with config_keys. */
static struct config_place place_of(const struct config_statement *s, const char *name)
{
    for (size_t i = 0; i < s->argument_count; i++) {
        slice got;
        struct config_value value;
        if (config_value_split(&s->arguments[i], &got, &value) && slice_equal(got, slice_text(name)))
            return value.place;
    }
    return s->name.place;
}

static void read_health_check(struct config_reader *r, const struct config_statement *s,
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
        config_error(r, place_of(s, "path"), "health_check path: expected a path that begins with \"/\"");
    if (group->check_host && !url_authority_valid(slice_text(group->check_host)))
        config_error(r, place_of(s, "host"), "health_check host: expected a name, or name:port");
}

static void read_circuit_breaker(struct config_reader *r, const struct config_statement *s,
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

static void read_slow_start(struct config_reader *r, const struct config_statement *s,
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

static void read_queue(struct config_reader *r, const struct config_statement *s, struct config_scope *scope)
{
    static const struct config_key timeout = {"timeout", KEY_DURATION, IN_GROUP(queue_ms), 1, HOUR_MS};
    struct config_group *group = &scope->group;
    group->queue_ms = config_plain_group.queue_ms;
    (void)number_and_keys(r, s, 100000, &timeout, group, &group->queue_max);
    if (group->queue_max == 0) group->queue_ms = config_plain_group.queue_ms;
}

static void read_keepalive(struct config_reader *r, const struct config_statement *s,
                           struct config_scope *scope)
{
    static const struct config_key idle = {"idle", KEY_DURATION, IN_GROUP(idle_ms), 100, DAY_MS};
    struct config_group *group = &scope->group;
    group->idle_ms = config_plain_group.idle_ms;
    (void)number_and_keys(r, s, 10000, &idle, group, &group->keepalive);
    if (group->keepalive == 0) group->idle_ms = config_plain_group.idle_ms;
}

static void read_proxy_tls(struct config_reader *r, const struct config_statement *s,
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

/* --- the whole proxy --- */

static void read_access_log(struct config_reader *r, const struct config_statement *s,
                            struct config_scope *scope)
{
    static const struct config_key keys[] = {{"format", KEY_TEXT, 0, 0, 0}};
    unsigned lines[COUNT(keys)] = {0};
    const char *format = NULL;
    if (config_is_off(s)) return;
    scope->config->access_log = config_text(r, config_value(&s->arguments[0]));
    if (scope->config->access_log && !*scope->config->access_log)
        config_error(r, s->arguments[0].place, "access_log: expected a file, \"-\" or off");
    if (!config_keys(r, s, 1, keys, COUNT(keys), &format, lines, false) || !format) return;
    scope->config->access_json = strcmp(format, "json") == 0;
    if (!scope->config->access_json && strcmp(format, "combined") != 0)
        config_error(r, place_of(s, "format"), "access_log format: expected combined or json, not \"%s\"",
                     config_shown(slice_text(format)).text);
}

static bool read_trusted_fields(struct config_reader *r, const struct config_word *word, bool *out)
{
    slice name;
    struct config_value value;
    if (!config_value_split(word, &name, &value) || !slice_equal(name, SLICE("fields"))) return false;
    *out = slice_equal_nocase(value.text, SLICE("forwarded"));
    if (!*out && !slice_equal_nocase(value.text, SLICE("x-forwarded")))
        config_error(r, value.place, "trusted_proxies fields: expected forwarded or x-forwarded, not \"%s\"",
                     config_shown(value.text).text);
    return true;
}

static void read_trusted_proxies(struct config_reader *r, const struct config_statement *s,
                                 struct config_scope *scope)
{
    size_t bytes = 1, count = 0;
    if (config_is_off(s)) return;
    for (size_t i = 0; i < s->argument_count; i++)
        bytes += s->arguments[i].text.len + 1;
    char *list = config_take(r, r->kept, bytes, 1);
    if (!list) return;
    struct writer out = writer_of(list, bytes - 1);
    for (size_t i = 0; i < s->argument_count; i++) {
        struct ip_network network;
        slice text = s->arguments[i].text;
        if (read_trusted_fields(r, &s->arguments[i], &scope->config->trust_forwarded)) continue;
        if (ip_network_parse(text, &network) < 0)
            config_error(r, s->arguments[i].place,
                         "trusted_proxies: \"%s\" is not an address or network, as in 10.0.0.0/8",
                         config_shown(text).text);
        else if (++count > PROXIES_MAX)
            config_error(r, s->arguments[i].place, "trusted_proxies: more than %d networks", PROXIES_MAX);
        if (out.len > 0) writer_byte(&out, ',');
        writer_put(&out, text);
    }
    if (count == 0 && !r->wrong) config_error(r, s->name.place, "trusted_proxies: expected a network");
    scope->config->trusted_proxies = list;
}

/* --- the table --- */

const struct config_directive config_directives[] = {
    {"host", SCOPE_TOP, .block = true, .repeats = true, .min = 1, .max = CONFIG_ARGUMENTS_MAX,
     .form = "host NAME ... { ... }"},
    {"path", SCOPE_HOST, .block = true, .repeats = true, .min = 1, .max = 1, .form = "path PREFIX { ... }"},
    {"proxy_pass", SCOPE_HOST | SCOPE_PATH, .repeats = true, .min = 1, .max = 4,
     .form = "proxy_pass URL [weight=N] [max_conns=N] [backup];", .read = config_read_proxy_pass},
    {"dist_policy", SCOPE_ALL, .of_servers = true, .min = 1, .max = 2,
     .form = "dist_policy round-robin|least-conn|random-two|ip-hash|sticky [cookie=NAME];",
     .read = read_dist_policy},
    {"health_check", SCOPE_ALL, .of_servers = true, .min = 0, .max = 6,
     .form = "health_check path=PATH host=NAME interval=TIME timeout=TIME fall=N rise=N; or off",
     .read = read_health_check},
    {"circuit_breaker", SCOPE_ALL, .of_servers = true, .min = 1, .max = 2,
     .form = "circuit_breaker fails=N pause=TIME; or off", .read = read_circuit_breaker},
    {"slow_start", SCOPE_ALL, .of_servers = true, .min = 1, .max = 1, .form = "slow_start TIME; or off",
     .read = read_slow_start},
    {"queue", SCOPE_ALL, .of_servers = true, .min = 1, .max = 2, .form = "queue N [timeout=TIME]; or off",
     .read = read_queue},
    {"keepalive", SCOPE_ALL, .of_servers = true, .min = 1, .max = 2,
     .form = "keepalive N [idle=TIME]; or off", .read = read_keepalive},
    {"proxy_tls", SCOPE_ALL, .of_servers = true, .min = 1, .max = 1,
     .form = "proxy_tls trust=FILE; or system, or insecure", .read = read_proxy_tls},
    {"proxy_set_header", SCOPE_ALL, .repeats = true, .min = 2, .max = 2,
     .form = "proxy_set_header NAME VALUE;", .read = config_read_set_header},
    {"timeout", SCOPE_ALL, .repeats = true, .min = 1, .max = 8,
     .form = "timeout connect=TIME read=TIME send=TIME idle=TIME;", .read = read_timeout},
    {"max_body", SCOPE_ALL, .min = 1, .max = 1, .form = "max_body SIZE; or off", .read = read_max_body},
    {"buffer", SCOPE_ALL, .min = 1, .max = 1, .form = "buffer SIZE;", .read = read_buffer},
    {"retries", SCOPE_ALL, .min = 1, .max = 1, .form = "retries N; or off", .read = read_retries},
    {"rate_limit", SCOPE_ALL, .min = 1, .max = 2, .form = "rate_limit N/s [burst=N]; or N/m, or off",
     .read = read_rate_limit},
    {"listen", SCOPE_TOP, .repeats = true, .min = 1, .max = CONFIG_ARGUMENTS_MAX,
     .form = "listen ADDRESS:PORT [cert=FILE key=FILE ...] [redirect=https[:PORT]];",
     .read = config_read_listen},
    {"access_log", SCOPE_TOP, .min = 1, .max = 2,
     .form = "access_log FILE [format=combined|json]; or - for stdout, or off", .read = read_access_log},
    {"trusted_proxies", SCOPE_TOP, .min = 1, .max = CONFIG_ARGUMENTS_MAX,
     .form = "trusted_proxies NETWORK ... [fields=forwarded]; or off", .read = read_trusted_proxies},
    {"client_timeout", SCOPE_TOP, .repeats = true, .min = 1, .max = 6,
     .form = "client_timeout idle=TIME header=TIME body=TIME;", .read = read_client_timeout},
    {"max_connections", SCOPE_TOP, .min = 1, .max = 1, .form = "max_connections N; or off",
     .read = read_max_connections},
    {"max_header", SCOPE_TOP, .min = 1, .max = 1, .form = "max_header SIZE;", .read = read_max_header},
};
const size_t config_directive_count = COUNT(config_directives);
_Static_assert(COUNT(config_directives) <= CONFIG_DIRECTIVES_MAX, "scopes have room for all");

/* --- blocks --- */

static const char *scope_name(unsigned scope)
{
    return scope == SCOPE_TOP ? "at the top of the file" : scope == SCOPE_HOST ? "in a host" : "in a path";
}

/* Whether a directive may stand here, and has as many arguments as it needs. */
static bool in_place(struct config_reader *r, const struct config_statement *s, struct config_scope *scope)
{
    const struct config_directive *d = s->directive;
    unsigned *seen = &scope->seen[d - config_directives];
    size_t count = s->argument_count;
    if (!(d->scopes & scope->kind)) {
        unsigned right = d->scopes & (SCOPE_TOP | SCOPE_HOST);
        config_error(r, s->name.place, "\"%s\" cannot stand %s: expected it %s", d->name,
                     scope_name(scope->kind), scope_name(right));
        return false;
    }
    if (*seen && !d->repeats) {
        config_error(r, s->name.place, "\"%s\" is set twice: the first time on line %u", d->name, *seen);
        return false;
    }
    if (!*seen) *seen = s->name.place.line;
    if (count >= d->min && count <= d->max) return true;
    if (count > d->max && config_runs_on(r, s, d->max)) return false;
    struct config_place behind = count > 0 ? s->arguments[count - 1].end : s->name.end;
    config_error(r, count > d->max ? s->arguments[d->max].place : behind, "expected %s", d->form);
    return false;
}

/* Room for what the block will name: its servers and fields, besides the fields from around it. */
static bool make_room(struct config_reader *r, const struct config_statement *first,
                      struct config_scope *scope)
{
    size_t servers = 0, fields = 0, around = scope->location.field_count;
    for (const struct config_statement *s = first; s; s = s->next) {
        servers += s->directive->read == config_read_proxy_pass;
        fields += s->directive->read == config_read_set_header;
    }
    if (servers > CONFIG_SERVERS_MAX) servers = CONFIG_SERVERS_MAX;
    if (servers > 0) {
        scope->servers = config_take(r, r->kept, servers, sizeof *scope->servers);
        scope->group.servers = scope->servers;
    }
    if (fields > 0) {
        scope->fields = config_take(r, r->kept, around + fields, sizeof *scope->fields);
        scope->field_lines = config_take(r, r->passing, around + fields + 1, sizeof *scope->field_lines);
        if (scope->fields && around > 0)
            memcpy(scope->fields, scope->location.fields, around * sizeof *scope->fields);
        scope->location.fields = scope->fields;
    }
    return !r->no_memory;
}

void config_scope_read(struct config_reader *r, const struct config_statement *first,
                       struct config_scope *scope)
{
    if (!make_room(r, first, scope)) return;
    for (const struct config_statement *s = first; s && !r->no_memory; s = s->next) {
        if (in_place(r, s, scope) && !s->bad && s->directive->read) s->directive->read(r, s, scope);
    }
    if (scope->kind != SCOPE_PATH || config_scope_has(scope, "proxy_pass")) return;
    for (const struct config_statement *s = first; s; s = s->next) {
        if (s->directive->of_servers)
            config_error(r, s->name.place,
                         "\"%s\" is about servers, but this path has no proxy_pass of its own",
                         s->directive->name);
    }
}

bool config_scope_has(const struct config_scope *scope, const char *directive)
{
    return scope->seen[config_directive(slice_text(directive)) - config_directives] > 0;
}

const struct config_directive *config_directive(slice name)
{
    for (size_t i = 0; i < config_directive_count; i++) {
        if (slice_equal(slice_text(config_directives[i].name), name)) return &config_directives[i];
    }
    return NULL;
}

const char *config_directive_hint(slice name)
{
    static const struct {
        const char *name, *hint;
    } others[] = {
        {"server", "here a block is host \"name\" { ... }, and a server is proxy_pass http://..."},
        {"http", "hosts stand at the top of the file"},
        {"upstream", "write one proxy_pass for each server into the host"},
        {"backend", "write one proxy_pass for each server into the host"},
        {"frontend", "here a block is host \"name\" { ... }"},
        {"server_name", "names stand behind host: host \"a\" \"b\" { ... }"},
        {"location", "write path \"/prefix\" { ... }"},
        {"bind", "write listen ADDRESS:PORT;"},
        {"balance", "write dist_policy"},
        {"client_max_body_size", "write max_body"},
        {"proxy_connect_timeout", "write timeout connect=TIME;"},
        {"proxy_read_timeout", "write timeout read=TIME;"},
        {"proxy_send_timeout", "write timeout send=TIME;"},
        {"keepalive_timeout", "write client_timeout idle=TIME;"},
        {"ssl_certificate", "write listen ADDRESS:PORT cert=FILE key=FILE;"},
        {"ssl_certificate_key", "write listen ADDRESS:PORT cert=FILE key=FILE;"},
        {"ssl", "write listen ADDRESS:PORT cert=FILE key=FILE;"},
        {"proxy_http_version", "it is always 1.1"},
        {"proxy_buffering", "bodies are always streamed"},
        {"proxy_request_buffering", "bodies are always streamed"},
        {"proxy_ssl_verify", "write proxy_tls"},
        {"proxy_ssl_trusted_certificate", "write proxy_tls trust=FILE;"},
        {"set_real_ip_from", "write trusted_proxies"},
        {"limit_req", "write rate_limit N/s burst=N;"},
        {"return", "write listen ADDRESS:PORT redirect=https; to send clients to https"},
        {"include", "a configuration is one file"},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        if (slice_equal(slice_text(others[i].name), name)) return others[i].hint;
    }
    return NULL;
}
