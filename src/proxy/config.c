/* Reading a configuration: hosts, their paths, and the groups of servers behind them. */
#include "proxy/config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "proxy/config_read.h"

enum { PATHS_MAX = 256 }; /* of a host */

void *config_take(struct config_reader *r, struct arena *arena, size_t count, size_t size)
{
    void *memory = r->no_memory || count > SIZE_MAX / 2 / size ? NULL : arena_take(arena, count * size);
    if (memory)
        memset(memory, 0, count * size);
    else
        r->no_memory = true;
    return memory;
}

/* What is being put together; the arrays have room for all that the file names. */
struct building {
    struct config_reader *reader;
    struct config *config;
    struct config_host *hosts;
    struct config_group *groups;
    struct config_claim *claims; /* in the order of the blocks */
    size_t claim_count, claims_taken;
};

/* --- groups --- */

/* The group of a block that has servers; NULL without memory. path: of the block, NULL for a host. */
static const struct config_group *add_group(struct building *b, const struct config_scope *scope,
                                            const char *host, const char *path)
{
    struct config_group *group = &b->groups[b->config->group_count];
    size_t bytes = strlen(host) + 1 + (path ? strlen(path) + 1 : 0);
    char *name = config_take(b->reader, b->reader->kept, bytes, 1);
    if (!name) return NULL;
    snprintf(name, bytes, path ? "%s %s" : "%s", host, path);
    *group = scope->group;
    group->name = name;
    group->servers = scope->servers;
    group->prefix = path ? path : "/";
    b->config->group_count++;
    return group;
}

/* --- paths --- */

/* What is wrong with a prefix, or NULL. */
static const char *prefix_mistake(slice path)
{
    slice part;
    if (path.len == 0 || path.ptr[0] != '/') return "expected a path that begins with \"/\"";
    if (slice_find(path, '?') < path.len || slice_find(path, '#') < path.len)
        return "a path has no query and no fragment";
    for (slice rest = slice_sub(path, 1, path.len); slice_split(&rest, '/', &part);) {
        if (slice_equal(part, SLICE(".")) || slice_equal(part, SLICE("..")))
            return "a path has no \".\" and no \"..\" in it";
        if (part.len == 0 && rest.ptr) return "a path has no \"//\" in it";
    }
    return NULL;
}

static const char *read_prefix(struct config_reader *r, const struct config_statement *s,
                               const struct config_location *known, size_t count)
{
    struct config_value value = config_value(&s->arguments[0]);
    const char *prefix = config_text(r, value), *wrong = prefix_mistake(value.text);
    if (wrong) config_error(r, value.place, "path: %s", wrong);
    if (!prefix || wrong) return NULL;
    if (strchr(prefix, '%'))
        config_warning(r, value.place,
                       "path: paths are compared without %%-escapes: write the characters themselves");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(known[i].prefix, prefix) != 0) continue;
        config_error(r, value.place, "path \"%s\" is set twice: the first time on line %u",
                     config_shown(value.text).text, known[i].line);
        return NULL;
    }
    return prefix;
}

/* A block "path" in a host. NULL for group: the host has no servers of its own. */
static void read_path(struct building *b, const struct config_statement *s, const struct config_scope *host,
                      struct config_host *out, struct config_location *locations, bool alive,
                      const struct config_group *group)
{
    struct config_reader *r = b->reader;
    struct config_scope *scope = config_take(r, r->passing, 1, sizeof *scope);
    if (!scope || s->argument_count != 1) return;
    const char *prefix = s->bad ? NULL : read_prefix(r, s, locations, out->location_count);
    scope->kind = SCOPE_PATH;
    scope->config = b->config;
    scope->group = host->group;
    scope->group.server_count = 0;
    scope->location = host->location;
    scope->location.prefix = prefix ? prefix : "/";
    scope->location.line = s->name.place.line;
    config_scope_read(r, s->first, scope);
    if (!prefix) return;
    if (!config_scope_has(scope, "proxy_pass") && !config_scope_has(host, "proxy_pass"))
        config_error(r, s->name.place, "path \"%s\" has no proxy_pass, and its host has none either",
                     config_shown(slice_text(prefix)).text);
    if (out->location_count == PATHS_MAX) {
        config_error(r, s->name.place, "path: more than %d in one host", PATHS_MAX);
        return;
    }
    if (scope->group.server_count > 0 && alive) group = add_group(b, scope, out->names[0], prefix);
    scope->location.group = group;
    locations[out->location_count++] = scope->location;
}

static int longest_first(const void *left, const void *right)
{
    const struct config_location *a = left, *b = right;
    size_t len_a = strlen(a->prefix), len_b = strlen(b->prefix);
    return len_a != len_b ? (len_a < len_b ? 1 : -1) : strcmp(a->prefix, b->prefix);
}

/* --- hosts --- */

/* The names that this block has in the end. */
static void take_names(struct building *b, const struct config_statement *s, struct config_host *out)
{
    const char **names = config_take(b->reader, b->reader->kept, s->argument_count + 1, sizeof *names);
    for (; names && b->claims_taken < b->claim_count; b->claims_taken++) {
        const struct config_claim *claim = &b->claims[b->claims_taken];
        if (claim->block != s) break;
        if (claim->lost) continue;
        names[out->name_count++] = claim->name;
        out->is_default |= strcmp(claim->name, "default") == 0;
    }
    out->names = names;
}

static size_t count_paths(const struct config_statement *s)
{
    size_t count = 0;
    for (const struct config_statement *inner = s->first; inner; inner = inner->next)
        count += inner->directive->block;
    return count;
}

static bool has_directive(const struct config_statement *block, const char *name)
{
    for (const struct config_statement *s = block->first; s; s = s->next) {
        if (strcmp(s->directive->name, name) == 0) return true;
    }
    return false;
}

/* Whether some request reaches the servers that the host itself names: not when each path has its own, and
 * one of them is "/". */
static bool reached(const struct config_statement *host)
{
    bool root = false;
    for (const struct config_statement *s = host->first; s; s = s->next) {
        if (!s->directive->block) continue;
        if (!has_directive(s, "proxy_pass")) return true;
        root |= s->argument_count > 0 && slice_equal(s->arguments[0].text, SLICE("/"));
    }
    return !root;
}

static bool has_root(const struct config_host *host, const struct config_location *locations)
{
    for (size_t i = 0; i < host->location_count; i++) {
        if (strcmp(locations[i].prefix, "/") == 0) return true;
    }
    return false;
}

/* A host block. One that has lost all its names is read for its mistakes only. */
static void read_host(struct building *b, const struct config_statement *s, const struct config_scope *top)
{
    struct config_reader *r = b->reader;
    struct config_host host = {.line = s->name.place.line};
    size_t paths = count_paths(s);
    struct config_scope *scope = config_take(r, r->passing, 1, sizeof *scope);
    struct config_location *locations = config_take(r, r->kept, paths + 1, sizeof *locations);
    take_names(b, s, &host);
    if (!scope || !locations || !host.names) return;
    bool alive = host.name_count > 0;
    scope->kind = SCOPE_HOST;
    scope->config = b->config;
    scope->group = top->group;
    scope->location = top->location;
    scope->location.prefix = "/";
    config_scope_read(r, s->first, scope);
    if (!config_scope_has(scope, "proxy_pass") && paths == 0 && !s->unknown)
        config_error(r, s->name.place,
                     "this host has no proxy_pass: expected at least one, as in proxy_pass "
                     "http://127.0.0.1:9000;");
    const struct config_group *group = NULL;
    if (config_scope_has(scope, "proxy_pass") && !reached(s))
        config_warning(r, s->name.place,
                       "no request reaches the servers of this host: its paths have servers of their own");
    else if (scope->group.server_count > 0 && alive)
        group = add_group(b, scope, host.names[0], NULL);
    for (const struct config_statement *inner = s->first; inner; inner = inner->next) {
        if (inner->directive->block) read_path(b, inner, scope, &host, locations, alive, group);
    }
    if (group && !has_root(&host, locations)) {
        scope->location.group = group;
        scope->location.implied = true;
        scope->location.line = host.line;
        locations[host.location_count++] = scope->location;
    }
    qsort(locations, host.location_count, sizeof *locations, longest_first);
    for (size_t i = 0; i < host.location_count; i++) {
        if (locations[i].group) locations[i].group_index = (unsigned)(locations[i].group - b->groups);
    }
    host.locations = locations;
    if (alive) b->hosts[b->config->host_count++] = host;
}

static void read_all(struct building *b, slice text)
{
    struct config_reader *r = b->reader;
    struct config_statement *first = config_statements(r, text);
    struct config_scope *top = config_take(r, r->passing, 1, sizeof *top);
    size_t hosts = 0, blocks = 0;
    for (const struct config_statement *s = first; s; s = s->next) {
        hosts += s->directive->block;
        blocks += s->directive->block ? 1 + count_paths(s) : 0;
    }
    b->hosts = config_take(r, r->kept, hosts + 1, sizeof *b->hosts);
    b->groups = config_take(r, r->kept, blocks + 1, sizeof *b->groups);
    b->claims = config_claims(r, first, &b->claim_count);
    if (!top || !b->hosts || !b->groups || !b->claims) return;
    b->config->hosts = b->hosts;
    b->config->groups = b->groups;
    top->config = b->config;
    config_defaults(top);
    config_scope_read(r, first, top);
    for (const struct config_statement *s = first; s && !r->no_memory; s = s->next) {
        if (strcmp(s->directive->name, "host") == 0) read_host(b, s, top);
    }
    if (hosts == 0 && !r->wrong)
        config_error(r, (struct config_place){1, 1},
                     "the file names no host: expected at least host \"$HOST:8080\" { proxy_pass "
                     "http://$HOST:9000; }");
}

/* --- the file --- */

/* What is no text that could be read. */
static bool is_text(struct config_reader *r, slice text)
{
    struct config_place begin = {1, 1};
    if (text.len > CONFIG_BYTES_MAX)
        config_error(r, begin, "the file is larger than 1 MiB");
    else if (slice_starts(text, SLICE("\xFF\xFE")) || slice_starts(text, SLICE("\xFE\xFF")))
        config_error(r, begin, "the file is UTF-16: save it as UTF-8");
    else
        return true;
    return false;
}

int config_read(slice text, const struct config_options *options, struct config **out,
                struct config_problem *problems, size_t *out_count)
{
    struct arena passing = {0};
    struct config *config = alloc_new(&allocator_libc, sizeof *config);
    struct config_memory *memory = alloc_new(&allocator_libc, sizeof *memory);
    *out_count = 0;
    if (!config || !memory) {
        alloc_free(&allocator_libc, config, sizeof *config);
        alloc_free(&allocator_libc, memory, sizeof *memory);
        return ERR_MEMORY;
    }
    config->memory = memory;
    struct config_reader reader = {
        .options = options, .problems = problems, .kept = &memory->arena, .passing = &passing};
    struct building building = {.reader = &reader, .config = config};
    if (is_text(&reader, text)) read_all(&building, text);
    arena_deinit(&passing);
    config_problems_sort(&reader);
    *out_count = reader.problem_count;
    int err = reader.no_memory ? ERR_MEMORY : reader.wrong ? ERR_MALFORMED : config_index(config);
    if (err < 0) {
        config_free(config);
        return err;
    }
    *out = config;
    return OK;
}

void config_free(struct config *config)
{
    if (!config) return;
    arena_deinit(&config->memory->arena);
    alloc_free(&allocator_libc, config->memory, sizeof *config->memory);
    alloc_free(&allocator_libc, config, sizeof *config);
}
