/* The directives that there are, where they may stand, and what goes without saying. */
#include "proxy/config_read.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS, KIB = 1024 };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

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

/* --- the table --- */

const struct config_directive config_directives[] = {
    {"host", SCOPE_TOP, .block = true, .repeats = true, .min = 1, .max = CONFIG_ARGUMENTS_MAX,
     .form = "host NAME ... { ... }"},
    {"path", SCOPE_HOST, .block = true, .repeats = true, .min = 1, .max = 1, .form = "path PREFIX { ... }"},
    {"proxy_pass", SCOPE_HOST | SCOPE_PATH, .repeats = true, .min = 1, .max = 4,
     .form = "proxy_pass URL [weight=N] [max_conns=N] [backup];", .read = config_read_proxy_pass},
    {"dist_policy", SCOPE_ALL, .of_servers = true, .min = 1, .max = 2,
     .form = "dist_policy round-robin|least-conn|random-two|ip-hash|sticky [cookie=NAME];",
     .read = config_read_dist_policy},
    {"health_check", SCOPE_ALL, .of_servers = true, .min = 0, .max = 6,
     .form = "health_check path=PATH host=NAME interval=TIME timeout=TIME fall=N rise=N; or off",
     .read = config_read_health_check},
    {"circuit_breaker", SCOPE_ALL, .of_servers = true, .min = 1, .max = 2,
     .form = "circuit_breaker fails=N pause=TIME; or off", .read = config_read_circuit_breaker},
    {"slow_start", SCOPE_ALL, .of_servers = true, .min = 1, .max = 1, .form = "slow_start TIME; or off",
     .read = config_read_slow_start},
    {"queue", SCOPE_ALL, .of_servers = true, .min = 1, .max = 2, .form = "queue N [timeout=TIME]; or off",
     .read = config_read_queue},
    {"keepalive", SCOPE_ALL, .of_servers = true, .min = 1, .max = 2,
     .form = "keepalive N [idle=TIME]; or off", .read = config_read_keepalive},
    {"proxy_tls", SCOPE_ALL, .of_servers = true, .min = 1, .max = 1,
     .form = "proxy_tls trust=FILE; or system, or insecure", .read = config_read_proxy_tls},
    {"proxy_set_header", SCOPE_ALL, .repeats = true, .min = 2, .max = 2,
     .form = "proxy_set_header NAME VALUE;", .read = config_read_set_header},
    {"timeout", SCOPE_ALL, .repeats = true, .min = 1, .max = 8,
     .form = "timeout connect=TIME read=TIME send=TIME idle=TIME;", .read = config_read_timeout},
    {"max_body", SCOPE_ALL, .min = 1, .max = 1, .form = "max_body SIZE; or off",
     .read = config_read_max_body},
    {"buffer", SCOPE_ALL, .min = 1, .max = 1, .form = "buffer SIZE;", .read = config_read_buffer},
    {"retries", SCOPE_ALL, .min = 1, .max = 1, .form = "retries N; or off", .read = config_read_retries},
    {"rate_limit", SCOPE_ALL, .min = 1, .max = 2, .form = "rate_limit N/s [burst=N]; or N/m, or off",
     .read = config_read_rate_limit},
    {"listen", SCOPE_TOP, .repeats = true, .min = 1, .max = CONFIG_ARGUMENTS_MAX,
     .form = "listen ADDRESS:PORT [cert=FILE key=FILE ...] [redirect=https[:PORT]];",
     .read = config_read_listen},
    {"access_log", SCOPE_TOP, .min = 1, .max = 2,
     .form = "access_log FILE [format=combined|json]; or - for stdout, or off",
     .read = config_read_access_log},
    {"trusted_proxies", SCOPE_TOP, .min = 1, .max = CONFIG_ARGUMENTS_MAX,
     .form = "trusted_proxies NETWORK ... [fields=forwarded]; or off", .read = config_read_trusted_proxies},
    {"client_timeout", SCOPE_TOP, .repeats = true, .min = 1, .max = 6,
     .form = "client_timeout idle=TIME header=TIME body=TIME;", .read = config_read_client_timeout},
    {"max_connections", SCOPE_TOP, .min = 1, .max = 1, .form = "max_connections N; or off",
     .read = config_read_max_connections},
    {"max_header", SCOPE_TOP, .min = 1, .max = 1, .form = "max_header SIZE;", .read = config_read_max_header},
};
const size_t config_directive_count = COUNT(config_directives);
_Static_assert(COUNT(config_directives) <= CONFIG_DIRECTIVES_MAX, "scopes have room for all");

/* --- blocks --- */

static const char *scope_name(unsigned scope)
{
    return scope == SCOPE_TOP ? "at the top of the file" : scope == SCOPE_HOST ? "in a host" : "in a path";
}

/* Whether a directive may stand here, and has as many arguments as it needs. False also when one of them is
 * bad, which has been told. */
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
    if (count > 0 && slice_equal(s->arguments[0].text, SLICE("="))) {
        config_error(r, s->arguments[0].place, "there is no \"=\" here: expected %s", d->form);
        return false;
    }
    if (s->bad || (count >= d->min && count <= d->max)) return !s->bad;
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
        if (in_place(r, s, scope) && s->directive->read) s->directive->read(r, s, scope);
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
        {"worker_processes", "that is --workers on the command line"},
        {"events", "max_connections is all that there is of this, and it may be missing"},
        {"worker_connections", "write max_connections"},
        {"global", "here a block is host \"name\" { ... }"},
        {"defaults", "what stands at the top goes for all hosts; a statement ends with a semicolon"},
        {"reverse_proxy", "write proxy_pass http://..."},
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        if (slice_equal(slice_text(others[i].name), name)) return others[i].hint;
    }
    return NULL;
}
