/* The directives about requests and about the proxy as a whole. */
#include <stddef.h>

#include "proxy/config_read.h"

enum {
    HOUR_MS = 3600 * 1000,
    DAY_MS = 24 * HOUR_MS,
    KIB = 1024,
    PROXIES_MAX = 256, /* as wr_trust_proxies takes them */
};

#define IN_LOCATION(field) offsetof(struct config_location, field)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* --- times and limits --- */

void config_read_timeout(struct config_reader *r, const struct config_statement *s,
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

void config_read_client_timeout(struct config_reader *r, const struct config_statement *s,
                                struct config_scope *scope)
{
    static const struct config_key keys[] = {
        {"idle", KEY_DURATION, offsetof(struct config, client_idle_ms), 1, 7 * DAY_MS},
        {"header", KEY_DURATION, offsetof(struct config, client_header_ms), 1, HOUR_MS},
        {"body", KEY_DURATION, offsetof(struct config, client_body_ms), 1, 7 * DAY_MS},
    };
    (void)config_keys(r, s, 0, keys, COUNT(keys), scope->config, scope->client_timeouts, true);
}

void config_read_max_body(struct config_reader *r, const struct config_statement *s,
                          struct config_scope *scope)
{
    if (config_is_off(s))
        scope->location.max_body = 0;
    else
        (void)config_size(r, "max_body", config_value(&s->arguments[0]), 0, INT64_MAX,
                          &scope->location.max_body);
}

void config_read_buffer(struct config_reader *r, const struct config_statement *s, struct config_scope *scope)
{
    uint64_t bytes = scope->location.buffer;
    (void)config_size(r, "buffer", config_value(&s->arguments[0]), 4 * KIB, 16 * KIB * KIB, &bytes);
    scope->location.buffer = (size_t)bytes;
}

void config_read_retries(struct config_reader *r, const struct config_statement *s,
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
void config_read_rate_limit(struct config_reader *r, const struct config_statement *s,
                            struct config_scope *scope)
{
    static const struct config_key keys[] = {
        {"burst", KEY_NUMBER, offsetof(struct config_rate, burst), 0, 1000000}};
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

void config_read_max_connections(struct config_reader *r, const struct config_statement *s,
                                 struct config_scope *scope)
{
    uint64_t count = 0;
    if (!config_is_off(s))
        (void)config_number(r, "max_connections", config_value(&s->arguments[0]), 1, 10000000, &count);
    scope->config->connections_max = (unsigned)count;
}

void config_read_max_header(struct config_reader *r, const struct config_statement *s,
                            struct config_scope *scope)
{
    uint64_t bytes = scope->config->header_bytes_max;
    (void)config_size(r, "max_header", config_value(&s->arguments[0]), KIB, 63 * KIB, &bytes);
    scope->config->header_bytes_max = (size_t)bytes;
}

/* --- the whole proxy --- */

void config_read_access_log(struct config_reader *r, const struct config_statement *s,
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
        config_error(r, config_key_place(s, "format"),
                     "access_log format: expected combined or json, not \"%s\"",
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

void config_read_trusted_proxies(struct config_reader *r, const struct config_statement *s,
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
        count++;
        if (ip_network_parse(text, &network) < 0)
            config_error(r, s->arguments[i].place,
                         "trusted_proxies: \"%s\" is not an address or network, as in 10.0.0.0/8",
                         config_shown(text).text);
        else if (count > PROXIES_MAX)
            config_error(r, s->arguments[i].place, "trusted_proxies: more than %d networks", PROXIES_MAX);
        if (out.len > 0) writer_byte(&out, ',');
        writer_put(&out, text);
    }
    if (count == 0) config_error(r, s->name.place, "trusted_proxies: expected a network");
    scope->config->trusted_proxies = list;
}
