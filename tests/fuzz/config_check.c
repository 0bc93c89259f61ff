#include "config_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "http/token.h"
#include "http/url.h"

#define EXPECT(truth)                                                                                        \
    do {                                                                                                     \
        if (!(truth)) {                                                                                      \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #truth);                        \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* --- the same --- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_server(const struct config_server *a, const struct config_server *b)
{
    return same_text(a->host, b->host) && a->port == b->port && a->tls == b->tls &&
           same_text(a->path, b->path) && a->weight == b->weight && a->max_conns == b->max_conns &&
           a->backup == b->backup;
}

static bool same_group(const struct config_group *a, const struct config_group *b)
{
    if (!same_text(a->name, b->name) || !same_text(a->prefix, b->prefix) ||
        a->server_count != b->server_count)
        return false;
    for (size_t i = 0; i < a->server_count; i++) {
        if (!same_server(&a->servers[i], &b->servers[i])) return false;
    }
    return a->policy == b->policy && same_text(a->cookie, b->cookie) &&
           same_text(a->check_path, b->check_path) && same_text(a->check_host, b->check_host) &&
           a->check_interval_ms == b->check_interval_ms && a->check_timeout_ms == b->check_timeout_ms &&
           a->check_fall == b->check_fall && a->check_rise == b->check_rise &&
           a->breaker_fails == b->breaker_fails && a->breaker_pause_ms == b->breaker_pause_ms &&
           a->slow_start_ms == b->slow_start_ms && a->queue_max == b->queue_max &&
           a->queue_ms == b->queue_ms && a->keepalive == b->keepalive && a->idle_ms == b->idle_ms &&
           same_text(a->ca_file, b->ca_file) && a->insecure == b->insecure;
}

static bool same_field(const struct config_field *a, const struct config_field *b)
{
    if (!same_text(a->name, b->name) || a->piece_count != b->piece_count) return false;
    for (size_t i = 0; i < a->piece_count; i++) {
        if (a->pieces[i].variable != b->pieces[i].variable ||
            !same_text(a->pieces[i].text, b->pieces[i].text))
            return false;
    }
    return true;
}

static bool same_location(const struct config_location *a, const struct config_location *b)
{
    if (!same_text(a->prefix, b->prefix) || !same_group(a->group, b->group) ||
        a->field_count != b->field_count || a->implied != b->implied)
        return false;
    for (size_t i = 0; i < a->field_count; i++) {
        if (!same_field(&a->fields[i], &b->fields[i])) return false;
    }
    return a->connect_ms == b->connect_ms && a->read_ms == b->read_ms && a->send_ms == b->send_ms &&
           a->tunnel_ms == b->tunnel_ms && a->max_body == b->max_body && a->buffer == b->buffer &&
           a->retries == b->retries && a->rate.per_s == b->rate.per_s && a->rate.burst == b->rate.burst;
}

static bool same_host(const struct config_host *a, const struct config_host *b)
{
    if (a->name_count != b->name_count || a->is_default != b->is_default ||
        a->location_count != b->location_count)
        return false;
    for (size_t i = 0; i < a->name_count; i++) {
        if (!same_text(a->names[i], b->names[i])) return false;
    }
    for (size_t i = 0; i < a->location_count; i++) {
        if (!same_location(&a->locations[i], &b->locations[i])) return false;
    }
    return true;
}

static bool same_listen(const struct config_listen *a, const struct config_listen *b)
{
    if (!same_text(a->ip, b->ip) || a->port != b->port || a->redirect != b->redirect ||
        a->certificate_count != b->certificate_count)
        return false;
    for (size_t i = 0; i < a->certificate_count; i++) {
        if (!same_text(a->certificates[i].cert, b->certificates[i].cert) ||
            !same_text(a->certificates[i].key, b->certificates[i].key))
            return false;
    }
    return true;
}

bool config_same(const struct config *a, const struct config *b)
{
    if (a->host_count != b->host_count || a->group_count != b->group_count ||
        a->listen_count != b->listen_count)
        return false;
    for (size_t i = 0; i < a->host_count; i++) {
        if (!same_host(&a->hosts[i], &b->hosts[i])) return false;
    }
    for (size_t i = 0; i < a->listen_count; i++) {
        if (!same_listen(&a->listens[i], &b->listens[i])) return false;
    }
    return same_text(a->access_log, b->access_log) && a->access_json == b->access_json &&
           same_text(a->trusted_proxies, b->trusted_proxies) && a->trust_forwarded == b->trust_forwarded &&
           a->client_idle_ms == b->client_idle_ms && a->client_header_ms == b->client_header_ms &&
           a->client_body_ms == b->client_body_ms && a->header_bytes_max == b->header_bytes_max &&
           a->connections_max == b->connections_max;
}

/* --- problems --- */

static void check_shown(slice text, bool lines)
{
    EXPECT(utf8_valid(text));
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        EXPECT(c >= ' ' || (lines && (c == '\n' || c == '\t')));
        EXPECT(c != 0x7F);
    }
}

static void check_problems(slice text, const struct config_options *options,
                           const struct config_problem *problems, size_t count)
{
    unsigned lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    for (size_t i = 0; i < count && i < CONFIG_PROBLEMS_MAX; i++) {
        const struct config_problem *problem = &problems[i];
        EXPECT(problem->line >= 1 && problem->line <= lines && problem->column >= 1);
        EXPECT(i == 0 || problem->line > problems[i - 1].line ||
               (problem->line == problems[i - 1].line && problem->column >= problems[i - 1].column));
        EXPECT(problem->text[0]);
        check_shown(slice_text(problem->text), false);
        struct buffer out;
        buffer_init(&out, &allocator_libc, 8192);
        config_problem_write(&out, options, text, problem);
        EXPECT(!out.failed && out.ptr[out.len - 1] == '\n');
        check_shown(buffer_slice(&out), true);
        buffer_reset(&out);
    }
}

/* --- the structure --- */

static void check_group(const struct config_group *g)
{
    EXPECT(g->name && g->prefix && g->prefix[0] == '/');
    EXPECT(g->server_count >= 1 && g->server_count <= CONFIG_SERVERS_MAX);
    for (size_t i = 0; i < g->server_count; i++) {
        const struct config_server *s = &g->servers[i];
        EXPECT(s->host[0] && s->host[0] != '[' && s->port > 0 && s->weight >= 1 && s->weight <= 1000);
        EXPECT(!s->path || (s->path[0] == '/' && url_target_valid(slice_text(s->path))));
        for (size_t k = 0; k < i; k++)
            EXPECT(s->port != g->servers[k].port || s->tls != g->servers[k].tls ||
                   strcmp(s->host, g->servers[k].host) != 0);
    }
    EXPECT((g->policy == POLICY_STICKY) == (g->cookie != NULL));
    EXPECT(!g->cookie || token_valid(slice_text(g->cookie)));
    EXPECT(!g->check_path || (g->check_path[0] == '/' && url_target_valid(slice_text(g->check_path))));
    EXPECT(g->check_interval_ms > 0 && g->check_timeout_ms > 0 && g->check_fall > 0 && g->check_rise > 0);
    EXPECT(g->queue_ms > 0 && g->idle_ms > 0 && g->breaker_pause_ms > 0);
    EXPECT(!g->ca_file || !g->insecure);
}

static void check_location(const struct config *config, const struct config_location *l)
{
    EXPECT(l->prefix[0] == '/' && &config->groups[l->group_index] == l->group);
    for (size_t i = 0; i < l->field_count; i++) {
        const struct config_field *field = &l->fields[i];
        EXPECT(token_valid(slice_text(field->name)));
        for (size_t k = 0; k < i; k++)
            EXPECT(!slice_equal_nocase(slice_text(field->name), slice_text(l->fields[k].name)));
        for (size_t k = 0; k < field->piece_count; k++) {
            const struct config_piece *piece = &field->pieces[k];
            bool named = piece->variable == VARIABLE_NONE || piece->variable == VARIABLE_HTTP;
            EXPECT(named == (piece->text != NULL));
            EXPECT(!named || field_value_valid(slice_text(piece->text)));
        }
    }
    EXPECT(l->connect_ms > 0 && l->read_ms > 0 && l->send_ms > 0 && l->tunnel_ms > 0);
    EXPECT(l->buffer >= 4096 && l->retries < CONFIG_SERVERS_MAX && l->rate.per_s >= 0);
}

static void check_structure(const struct config *config)
{
    EXPECT(config->host_count > 0 && config->group_count > 0);
    for (size_t i = 0; i < config->group_count; i++)
        check_group(&config->groups[i]);
    for (size_t i = 0; i < config->host_count; i++) {
        const struct config_host *host = &config->hosts[i];
        EXPECT(host->name_count > 0 && host->location_count > 0);
        for (size_t k = 0; k < host->location_count; k++) {
            check_location(config, &host->locations[k]);
            EXPECT(k == 0 || strlen(host->locations[k].prefix) <= strlen(host->locations[k - 1].prefix));
        }
    }
    EXPECT(config->client_idle_ms > 0 && config->client_header_ms > 0 && config->client_body_ms > 0);
    EXPECT(config->header_bytes_max >= 1024 && config->header_bytes_max <= 65535);
}

/* --- finding, by looking at each name and each path --- */

/* How well a name of a host fits: the larger the better, 0 not at all. */
static size_t fits(const char *name, const char *asked, unsigned port)
{
    char with_port[400];
    size_t len = strlen(asked);
    snprintf(with_port, sizeof with_port, "%s:%u", asked, port);
    if (strcmp(name, with_port) == 0) return 4000;
    if (strcmp(name, asked) == 0) return 3000;
    if (strncmp(name, "*.", 2) != 0 || asked[0] == '[') return 0;
    const char *colon = strchr(name, ':');
    size_t suffix = colon ? (size_t)(colon - name) - 1 : strlen(name) - 1; /* with its dot */
    if (colon && (unsigned)atoi(colon + 1) != port) return 0;
    if (len < suffix || strncmp(asked + len - suffix, name + 1, suffix) != 0) return 0;
    return 2 * suffix + (colon ? 1 : 0);
}

static const struct config_host *slow_find(const struct config *config, const char *asked, unsigned port)
{
    const struct config_host *best = NULL, *fallback = NULL;
    size_t most = 0;
    for (size_t i = 0; i < config->host_count; i++) {
        const struct config_host *host = &config->hosts[i];
        if (host->is_default) fallback = host;
        for (size_t k = 0; k < host->name_count; k++) {
            size_t fit = strcmp(host->names[k], "default") == 0 ? 0 : fits(host->names[k], asked, port);
            if (fit > most) most = fit, best = host;
        }
    }
    return best ? best : fallback;
}

static void check_find_one(const struct config *config, const char *name, unsigned port)
{
    char authority[400];
    size_t len = (size_t)snprintf(authority, sizeof authority, "%s:%u", name, port);
    const struct config_host *expected = slow_find(config, name, port);
    for (size_t i = 0; i < len; i += 2)
        authority[i] = (char)(authority[i] >= 'a' && authority[i] <= 'z' ? authority[i] - 32 : authority[i]);
    EXPECT(config_find_host(config, slice_of(authority, len), false) == expected);
    EXPECT(config_find_host(config, slice_text(name), false) == slow_find(config, name, 80));
    EXPECT(config_find_host(config, slice_text(name), true) == slow_find(config, name, 443));
}

static void check_find(const struct config *config)
{
    for (size_t i = 0; i < config->host_count && i < 40; i++) {
        for (size_t k = 0; k < config->hosts[i].name_count && k < 10; k++) {
            const char *name = config->hosts[i].names[k];
            char asked[300];
            const char *rest = strncmp(name, "*.", 2) == 0 ? name + 1 : name;
            const char *bracket = strchr(rest, ']'), *colon = strchr(bracket ? bracket : rest, ':');
            size_t len = colon ? (size_t)(colon - rest) : strlen(rest);
            snprintf(asked, sizeof asked, "%s%.*s", rest == name ? "" : "a.b", (int)len, rest);
            if (strlen(asked) > 253) continue; /* longer than any name */
            check_find_one(config, asked, 8080);
            if (colon) check_find_one(config, asked, (unsigned)atoi(colon + 1));
            snprintf(asked, sizeof asked, "x%.*s", (int)len, name[0] == '[' ? "y" : rest);
            if (strlen(asked) <= 253) check_find_one(config, asked, 80);
        }
    }
}

static const struct config_location *slow_location(const struct config_host *host, const char *path)
{
    const struct config_location *best = NULL;
    for (size_t i = 0; i < host->location_count; i++) {
        const char *prefix = host->locations[i].prefix;
        size_t len = strlen(prefix);
        if (strncmp(path, prefix, len) != 0) continue;
        if (path[len] && path[len] != '/' && prefix[len - 1] != '/') continue;
        if (!best || len > strlen(best->prefix)) best = &host->locations[i];
    }
    return best;
}

static void check_locations(const struct config *config)
{
    static const char *const behind[] = {"", "/", "x", "/x"};
    for (size_t i = 0; i < config->host_count && i < 40; i++) {
        const struct config_host *host = &config->hosts[i];
        for (size_t k = 0; k < 4 * host->location_count && k < 40; k++) {
            char path[9000];
            int len = snprintf(path, sizeof path, "%s%s", host->locations[k / 4].prefix, behind[k % 4]);
            EXPECT(config_find_location(host, slice_of(path, (size_t)len)) == slow_location(host, path));
        }
    }
}

/* --- there and back --- */

static struct config *read_dumped(slice dumped)
{
    const struct config_options options = {.name = "dumped"};
    static struct config_problem problems[CONFIG_PROBLEMS_MAX];
    struct config *config = NULL;
    size_t count;
    int rc = config_read(dumped, &options, &config, problems, &count);
    for (size_t i = 0; i < count && i < CONFIG_PROBLEMS_MAX; i++) {
        /* The one warning that is about what the file means, not about how it says it. */
        bool meant = problems[i].warning && strstr(problems[i].text, "means all addresses");
        if (!meant)
            fprintf(stderr, "%.*s\n%u: %s\n", (int)dumped.len, (const char *)dumped.ptr, problems[i].line,
                    problems[i].text);
        EXPECT(meant);
    }
    EXPECT(rc == OK);
    return config;
}

static void check_dump(const struct config *config)
{
    struct buffer first, second;
    buffer_init(&first, &allocator_libc, (size_t)1 << 28);
    buffer_init(&second, &allocator_libc, (size_t)1 << 28);
    config_dump(config, &first);
    EXPECT(!first.failed);
    if (first.len <= CONFIG_BYTES_MAX) {
        struct config *again = read_dumped(buffer_slice(&first));
        config_dump(again, &second);
        EXPECT(slice_equal(buffer_slice(&first), buffer_slice(&second)));
        EXPECT(config_same(config, again));
        config_free(again);
    }
    buffer_reset(&first);
    buffer_reset(&second);
}

bool config_check(slice text, const char *host, size_t *out_warnings)
{
    const struct config_options options = {.name = "proxy.conf", .host = host};
    static struct config_problem problems[CONFIG_PROBLEMS_MAX];
    struct config *config = NULL;
    size_t errors = 0;
    int rc = config_read(text, &options, &config, problems, out_warnings);
    check_problems(text, &options, problems, *out_warnings);
    for (size_t i = 0; i < *out_warnings && i < CONFIG_PROBLEMS_MAX; i++)
        errors += !problems[i].warning;
    EXPECT(rc == OK || rc == ERR_MALFORMED);
    EXPECT((rc == OK) == (errors == 0) && (rc == OK) == (config != NULL));
    if (rc < 0) return false;
    check_structure(config);
    check_find(config);
    check_locations(config);
    check_dump(config);
    config_free(config);
    return true;
}
