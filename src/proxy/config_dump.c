/* A configuration in its canonical form: at the top what goes for the whole proxy and what goes without
 * saying, then each host with what is different there. */
#include "http/ip.h"
#include "proxy/config_read.h"

/* --- words --- */

static bool needs_quotes(slice text)
{
    if (text.len == 0) return true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c <= ' ' || c >= 0x7F || slice_find(SLICE(";{}\"'#\\"), c) < 7) return true;
    }
    return false;
}

static void put_characters(struct buffer *out, slice text, bool quoted)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '$') buffer_byte(out, '$');
        if (quoted && (c == '"' || c == '\\')) buffer_byte(out, '\\');
        buffer_byte(out, c);
    }
}

static void put_quoted(struct buffer *out, const char *text)
{
    buffer_byte(out, '"');
    put_characters(out, slice_text(text), true);
    buffer_byte(out, '"');
}

static void put_word(struct buffer *out, const char *text)
{
    if (needs_quotes(slice_text(text)))
        put_quoted(out, text);
    else
        put_characters(out, slice_text(text), false);
}

static void put_key(struct buffer *out, const char *name, const char *value)
{
    buffer_byte(out, ' ');
    buffer_text(out, name);
    buffer_byte(out, '=');
    put_word(out, value);
}

static void put_key_number(struct buffer *out, const char *name, uint64_t number)
{
    buffer_byte(out, ' ');
    buffer_text(out, name);
    buffer_byte(out, '=');
    buffer_u64(out, number);
}

static void put_key_duration(struct buffer *out, const char *name, uint64_t ms)
{
    char text[32];
    config_write_duration(text, ms);
    put_key(out, name, text);
}

static void put_size(struct buffer *out, uint64_t bytes)
{
    char text[32];
    config_write_size(text, bytes);
    buffer_text(out, text);
}

/* --- what is the same as around it is left out --- */

struct dump {
    struct buffer *out;
    unsigned indent;
    const struct config_group *group;       /* around; NULL: everything is written */
    const struct config_location *location; /* the same */
};

static void begin(struct dump *d, const char *directive)
{
    for (unsigned i = 0; i < d->indent; i++)
        buffer_text(d->out, "    ");
    buffer_text(d->out, directive);
}

static void end(struct dump *d)
{
    buffer_text(d->out, ";\n");
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void dump_policy(struct dump *d, const struct config_group *g)
{
    if (d->group && d->group->policy == g->policy && same_text(d->group->cookie, g->cookie)) return;
    begin(d, "dist_policy ");
    buffer_text(d->out, policy_name(g->policy));
    if (g->cookie) put_key(d->out, "cookie", g->cookie);
    end(d);
}

static bool same_check(const struct config_group *a, const struct config_group *b)
{
    return same_text(a->check_path, b->check_path) && same_text(a->check_host, b->check_host) &&
           a->check_interval_ms == b->check_interval_ms && a->check_timeout_ms == b->check_timeout_ms &&
           a->check_fall == b->check_fall && a->check_rise == b->check_rise;
}

static void dump_check(struct dump *d, const struct config_group *g)
{
    if (d->group && same_check(d->group, g)) return;
    begin(d, "health_check");
    if (g->check_path) {
        put_key(d->out, "path", g->check_path);
        if (g->check_host) put_key(d->out, "host", g->check_host);
        put_key_duration(d->out, "interval", g->check_interval_ms);
        put_key_duration(d->out, "timeout", g->check_timeout_ms);
        put_key_number(d->out, "fall", g->check_fall);
        put_key_number(d->out, "rise", g->check_rise);
    } else {
        buffer_text(d->out, " off");
    }
    end(d);
}

static void dump_breaker(struct dump *d, const struct config_group *g)
{
    if (d->group && d->group->breaker_fails == g->breaker_fails &&
        d->group->breaker_pause_ms == g->breaker_pause_ms)
        return;
    begin(d, "circuit_breaker");
    if (g->breaker_fails > 0) {
        put_key_number(d->out, "fails", g->breaker_fails);
        put_key_duration(d->out, "pause", g->breaker_pause_ms);
    } else {
        buffer_text(d->out, " off");
    }
    end(d);
}

/* "N name=TIME", or off. */
static void dump_number(struct dump *d, const char *directive, unsigned number, const char *key, uint64_t ms)
{
    begin(d, directive);
    buffer_byte(d->out, ' ');
    if (number > 0) {
        buffer_u64(d->out, number);
        put_key_duration(d->out, key, ms);
    } else {
        buffer_text(d->out, "off");
    }
    end(d);
}

static void dump_tls(struct dump *d, const struct config_group *g)
{
    if (d->group && d->group->insecure == g->insecure && same_text(d->group->ca_file, g->ca_file)) return;
    begin(d, "proxy_tls");
    if (g->ca_file)
        put_key(d->out, "trust", g->ca_file);
    else
        buffer_text(d->out, g->insecure ? " insecure" : " system");
    end(d);
}

static void dump_group(struct dump *d, const struct config_group *g)
{
    const struct config_group *around = d->group;
    dump_policy(d, g);
    dump_check(d, g);
    dump_breaker(d, g);
    if (!around || around->slow_start_ms != g->slow_start_ms) {
        char text[32];
        config_write_duration(text, g->slow_start_ms);
        begin(d, "slow_start ");
        buffer_text(d->out, g->slow_start_ms ? text : "off");
        end(d);
    }
    if (!around || around->queue_max != g->queue_max || around->queue_ms != g->queue_ms)
        dump_number(d, "queue", g->queue_max, "timeout", g->queue_ms);
    if (!around || around->keepalive != g->keepalive || around->idle_ms != g->idle_ms)
        dump_number(d, "keepalive", g->keepalive, "idle", g->idle_ms);
    dump_tls(d, g);
}

static void dump_servers(struct dump *d, const struct config_group *g)
{
    for (size_t i = 0; i < g->server_count; i++) {
        const struct config_server *server = &g->servers[i];
        bool v6 = strchr(server->host, ':') != NULL;
        struct buffer url;
        buffer_init(&url, d->out->allocator, CONFIG_WORD_BYTES_MAX + 512);
        buffer_text(&url, server->tls ? "https://" : "http://");
        if (v6) buffer_byte(&url, '[');
        buffer_text(&url, server->host);
        if (v6) buffer_byte(&url, ']');
        buffer_byte(&url, ':');
        buffer_u64(&url, server->port);
        buffer_text(&url, server->path ? server->path : "");
        buffer_byte(&url, 0);
        d->out->failed |= url.failed;
        begin(d, "proxy_pass ");
        if (!url.failed) put_word(d->out, (const char *)url.ptr);
        buffer_reset(&url);
        if (server->weight != 1) put_key_number(d->out, "weight", server->weight);
        if (server->max_conns != 0) put_key_number(d->out, "max_conns", server->max_conns);
        if (server->backup) buffer_text(d->out, " backup");
        end(d);
    }
}

/* --- locations --- */

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

static bool has_field(const struct config_location *l, const struct config_field *field)
{
    for (size_t i = 0; l && i < l->field_count; i++) {
        if (same_field(&l->fields[i], field)) return true;
    }
    return false;
}

/* The braces are needed when the text behind would belong to the name. */
static void put_variable(struct buffer *out, const struct config_piece *piece,
                         const struct config_piece *next)
{
    bool braces = next && next->variable == VARIABLE_NONE && config_variable_char((uint8_t)next->text[0]);
    buffer_text(out, braces ? "${" : "$");
    buffer_text(out, config_variable_name(piece->variable));
    for (const char *c = piece->text; c && *c; c++)
        buffer_byte(out, *c == '-' ? '_' : (uint8_t)*c);
    if (braces) buffer_byte(out, '}');
}

static void dump_field(struct dump *d, const struct config_field *field)
{
    begin(d, "proxy_set_header ");
    put_word(d->out, field->name);
    buffer_text(d->out, " \"");
    for (size_t i = 0; i < field->piece_count; i++) {
        const struct config_piece *piece = &field->pieces[i];
        if (piece->variable == VARIABLE_NONE)
            put_characters(d->out, slice_text(piece->text), true);
        else
            put_variable(d->out, piece, i + 1 < field->piece_count ? piece + 1 : NULL);
    }
    buffer_byte(d->out, '"');
    end(d);
}

static void dump_rate(struct dump *d, const struct config_rate *rate)
{
    begin(d, "rate_limit ");
    uint64_t per_s = (uint64_t)rate->per_s;
    if (rate->per_s <= 0) {
        buffer_text(d->out, "off");
    } else {
        bool minutes = (double)per_s != rate->per_s;
        buffer_u64(d->out, minutes ? (uint64_t)(rate->per_s * 60 + 0.5) : per_s);
        buffer_text(d->out, minutes ? "/m" : "/s");
        put_key_number(d->out, "burst", rate->burst);
    }
    end(d);
}

static void dump_timeouts(struct dump *d, const struct config_location *l)
{
    const struct config_location *around = d->location;
    bool connect = !around || around->connect_ms != l->connect_ms,
         read = !around || around->read_ms != l->read_ms;
    bool send = !around || around->send_ms != l->send_ms, idle = !around || around->tunnel_ms != l->tunnel_ms;
    if (!connect && !read && !send && !idle) return;
    begin(d, "timeout");
    if (connect) put_key_duration(d->out, "connect", l->connect_ms);
    if (read) put_key_duration(d->out, "read", l->read_ms);
    if (send) put_key_duration(d->out, "send", l->send_ms);
    if (idle) put_key_duration(d->out, "idle", l->tunnel_ms);
    end(d);
}

static void dump_location(struct dump *d, const struct config_location *l)
{
    const struct config_location *around = d->location;
    for (size_t i = 0; i < l->field_count; i++) {
        if (!has_field(around, &l->fields[i])) dump_field(d, &l->fields[i]);
    }
    dump_timeouts(d, l);
    if (!around || around->max_body != l->max_body) {
        begin(d, "max_body ");
        if (l->max_body)
            put_size(d->out, l->max_body);
        else
            buffer_text(d->out, "off");
        end(d);
    }
    if (!around || around->buffer != l->buffer) {
        begin(d, "buffer ");
        put_size(d->out, l->buffer);
        end(d);
    }
    if (!around || around->retries != l->retries) {
        begin(d, "retries ");
        buffer_u64(d->out, l->retries);
        end(d);
    }
    if (!around || around->rate.per_s != l->rate.per_s || around->rate.burst != l->rate.burst)
        dump_rate(d, &l->rate);
}

/* --- the whole --- */

static void dump_listen(struct dump *d, const struct config_listen *listen)
{
    bool v6 = strchr(listen->ip, ':') != NULL;
    begin(d, v6 ? "listen [" : "listen ");
    buffer_text(d->out, listen->ip);
    buffer_text(d->out, v6 ? "]:" : ":");
    buffer_u64(d->out, listen->port);
    for (size_t i = 0; i < listen->certificate_count; i++) {
        put_key(d->out, "cert", listen->certificates[i].cert);
        put_key(d->out, "key", listen->certificates[i].key);
    }
    if (listen->redirect) {
        buffer_text(d->out, " redirect=https:");
        buffer_u64(d->out, listen->redirect);
    }
    end(d);
}

static void dump_proxy(struct dump *d, const struct config *config)
{
    for (size_t i = 0; i < config->listen_count; i++)
        dump_listen(d, &config->listens[i]);
    begin(d, "access_log ");
    put_word(d->out, config->access_log ? config->access_log : "off");
    if (config->access_log) put_key(d->out, "format", config->access_json ? "json" : "combined");
    end(d);
    begin(d, "trusted_proxies");
    for (slice rest = slice_text(config->trusted_proxies), part; slice_split(&rest, ',', &part);) {
        buffer_byte(d->out, ' ');
        buffer_put(d->out, part);
    }
    if (!config->trusted_proxies) buffer_text(d->out, " off");
    if (config->trust_forwarded) buffer_text(d->out, " fields=forwarded");
    end(d);
    begin(d, "client_timeout");
    put_key_duration(d->out, "idle", config->client_idle_ms);
    put_key_duration(d->out, "header", config->client_header_ms);
    put_key_duration(d->out, "body", config->client_body_ms);
    end(d);
    begin(d, "max_connections ");
    if (config->connections_max)
        buffer_u64(d->out, config->connections_max);
    else
        buffer_text(d->out, "off");
    end(d);
    begin(d, "max_header ");
    put_size(d->out, config->header_bytes_max);
    end(d);
}

static void dump_path(struct dump *d, const struct config_location *location, const struct config_group *own)
{
    begin(d, "path ");
    put_quoted(d->out, location->prefix);
    buffer_text(d->out, " {\n");
    d->indent++;
    if (location->group != own) {
        dump_servers(d, location->group);
        dump_group(d, location->group);
    }
    dump_location(d, location);
    d->indent--;
    begin(d, "}\n");
}

static bool of_host(const struct config_group *group, const struct config_host *host)
{
    return strcmp(group->name, host->names[0]) == 0;
}

static void dump_host(struct dump d, const struct config_host *host)
{
    const struct config_group *own = NULL;
    const struct config_location *root = NULL;
    begin(&d, "\nhost");
    for (size_t i = 0; i < host->name_count; i++) {
        buffer_byte(d.out, ' ');
        put_quoted(d.out, host->names[i]);
    }
    buffer_text(d.out, " {\n");
    d.indent++;
    for (size_t i = 0; i < host->location_count; i++) {
        if (of_host(host->locations[i].group, host)) own = host->locations[i].group;
        if (host->locations[i].implied) root = &host->locations[i];
    }
    if (own) {
        dump_servers(&d, own);
        dump_group(&d, own);
        d.group = own;
    }
    if (root) {
        dump_location(&d, root);
        d.location = root;
    }
    for (size_t i = 0; i < host->location_count; i++) {
        if (!host->locations[i].implied) dump_path(&d, &host->locations[i], own);
    }
    d.indent--;
    begin(&d, "}\n");
}

void config_dump(const struct config *config, struct buffer *out)
{
    struct dump d = {.out = out};
    dump_proxy(&d, config);
    dump_group(&d, &config_plain_group);
    dump_location(&d, &config_plain_location);
    d.group = &config_plain_group;
    d.location = &config_plain_location;
    for (size_t i = 0; i < config->host_count; i++)
        dump_host(d, &config->hosts[i]);
}
