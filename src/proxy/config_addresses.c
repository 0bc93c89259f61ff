/* Where servers are and where the proxy listens: proxy_pass, listen. */
#include <stddef.h>
#include <stdio.h>

#include "http/url.h"
#include "proxy/config_read.h"

enum { LISTENS_MAX = 64 };

/* --- proxy_pass --- */

/* The path of a URL, which takes the place of the prefix of the block. "/" does that only in a path: the
 * prefix of a host is "/" already. */
static const char *server_path(struct config_reader *r, const struct config_scope *scope, slice path)
{
    bool inner = scope->kind == SCOPE_PATH && strcmp(scope->location.prefix, "/") != 0;
    if (path.len == 0 || (path.len == 1 && !inner)) return NULL;
    char *kept = arena_text(r->kept, path);
    r->no_memory |= !kept;
    return kept;
}

static void bad_url(struct config_reader *r, struct config_value value, const char *text)
{
    char guess[300];
    struct url url;
    int len = snprintf(guess, sizeof guess, "http://%s", text);
    if (!strstr(text, "://") && len < (int)sizeof guess && url_parse(slice_text(guess), &url) == OK)
        config_error(r, value.place, "proxy_pass: expected a URL: did you mean \"http://%s\"?",
                     config_shown(value.text).text);
    else
        config_error(r, value.place,
                     "proxy_pass: expected a URL as in http://127.0.0.1:9000 or https://name, not \"%s\"",
                     config_shown(value.text).text);
}

static bool read_url(struct config_reader *r, struct config_value value, const struct config_scope *scope,
                     struct config_server *server)
{
    const char *text = config_text(r, value);
    struct url url;
    if (!text) return false;
    int rc = url_parse(slice_text(text), &url);
    if (rc == OK && (url.scheme == URL_WS || url.scheme == URL_WSS)) {
        config_error(r, value.place, "proxy_pass: write %s: WebSockets pass through it by themselves",
                     url.secure ? "https://" : "http://");
        return false;
    }
    if (rc < 0) {
        bad_url(r, value, text);
        return false;
    }
    if (url.has_query || strchr(text, '#')) {
        config_error(r, value.place, "proxy_pass: the URL of a server has no query and no fragment");
        return false;
    }
    char host[300];
    snprintf(host, sizeof host, url.host_is_v6 ? "[%.*s]" : "%.*s",
             (int)(url.host.len < 260 ? url.host.len : 260), (const char *)url.host.ptr);
    server->host = config_host_name(r, value, slice_text(host), false);
    server->port = url.port;
    server->tls = url.secure;
    /* url_parse says "/" for none at all */
    bool has_path =
        url.path.ptr >= (const uint8_t *)text && url.path.ptr < (const uint8_t *)text + strlen(text);
    server->path = has_path ? server_path(r, scope, url.path) : NULL;
    return server->host != NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* A server that the block names already is the same one with more weight. True when it was. */
static bool merged(struct config_reader *r, const struct config_statement *s, struct config_group *group,
                   const struct config_server *server)
{
    for (size_t i = 0; i < group->server_count; i++) {
        struct config_server *known = (struct config_server *)&group->servers[i];
        if (known->port != server->port || known->tls != server->tls || !same_text(known->host, server->host))
            continue;
        struct config_place place = s->arguments[0].place;
        if (known->backup != server->backup || known->max_conns != server->max_conns ||
            !same_text(known->path, server->path)) {
            config_error(r, place, "proxy_pass: line %u names this server already, in another way",
                         known->line);
            return true;
        }
        known->weight = known->weight + server->weight < 1000 ? known->weight + server->weight : 1000;
        config_warning(r, place,
                       "proxy_pass: line %u names this server already: the weights are added, to %u",
                       known->line, known->weight);
        return true;
    }
    return false;
}

void config_read_proxy_pass(struct config_reader *r, const struct config_statement *s,
                            struct config_scope *scope)
{
    static const struct config_key keys[] = {
        {"weight", KEY_NUMBER, offsetof(struct config_server, weight), 1, 1000},
        {"max_conns", KEY_NUMBER, offsetof(struct config_server, max_conns), 0, 1000000},
        {"backup", KEY_FLAG, offsetof(struct config_server, backup), 0, 0},
    };
    unsigned lines[3] = {0};
    struct config_group *group = &scope->group;
    struct config_server server = {.weight = 1, .line = s->name.place.line};
    bool good = read_url(r, config_value(&s->arguments[0]), scope, &server);
    if (!config_keys(r, s, 1, keys, 3, &server, lines, false) || !good || merged(r, s, group, &server))
        return;
    if (group->server_count == CONFIG_SERVERS_MAX) {
        config_error(r, s->name.place, "proxy_pass: more than %d servers in one block", CONFIG_SERVERS_MAX);
        return;
    }
    scope->servers[group->server_count++] = server;
}

/* --- listen --- */

static bool read_port(struct config_reader *r, struct config_value value, uint16_t *out)
{
    uint64_t port;
    if (!config_number(r, "listen port", value, 1, 65535, &port)) return false;
    *out = (uint16_t)port;
    return true;
}

/* "8080", ":8080", "*:8080", "127.0.0.1:8080", "[::1]:8080". */
static bool read_address(struct config_reader *r, struct config_value value, struct config_listen *listen)
{
    size_t colon = value.text.len;
    uint8_t address[IP_BYTES];
    while (colon > 0 && value.text.ptr[colon - 1] != ':')
        colon--;
    slice ip = slice_sub(value.text, 0, colon > 0 ? colon - 1 : 0);
    struct config_value port = {slice_sub(value.text, colon, value.text.len), value.place};
    bool brackets = ip.len > 2 && ip.ptr[0] == '[' && ip.ptr[ip.len - 1] == ']';
    bool named = ip.len > 0 && !slice_equal(ip, SLICE("*"));
    if (brackets) ip = slice_sub(ip, 1, ip.len - 2);
    if (named && (ip_parse(ip, address) < 0 || brackets != (slice_find(ip, ':') < ip.len))) {
        config_error(r, value.place,
                     "listen: expected an IP address and a port, as in 127.0.0.1:8080, [::]:80 or 8080, not "
                     "\"%s\"",
                     config_shown(value.text).text);
        return false;
    }
    char v6[CONFIG_V6_BYTES];
    if (brackets && config_v6(ip, v6)) ip = slice_of(v6 + 1, strlen(v6) - 2);
    char *kept = arena_text(r->kept, named ? ip : SLICE("0.0.0.0"));
    r->no_memory |= !kept;
    listen->ip = kept;
    port.place.column += (unsigned)colon;
    return kept && read_port(r, port, &listen->port);
}

/* "https", "https:8443". */
static void read_redirect(struct config_reader *r, struct config_value value, struct config_listen *listen)
{
    static const slice https = {(const uint8_t *)"https", 5};
    if (listen->redirect) {
        config_error(r, value.place, "listen: redirect is set twice");
    } else if (slice_equal(value.text, https)) {
        listen->redirect = 443;
    } else if (slice_starts(value.text, SLICE("https:"))) {
        value.place.column += (unsigned)https.len + 1;
        value.text = slice_sub(value.text, https.len + 1, value.text.len);
        (void)read_port(r, value, &listen->redirect);
    } else {
        config_error(r, value.place, "listen: expected redirect=https or redirect=https:PORT, not \"%s\"",
                     config_shown(value.text).text);
    }
}

/* The arguments behind the address. certificates: has room for all of them. */
static void read_tls(struct config_reader *r, const struct config_statement *s, struct config_listen *listen,
                     struct config_certificate *certificates)
{
    for (size_t i = 1; i < s->argument_count; i++) {
        const struct config_word *word = &s->arguments[i];
        slice name;
        struct config_value value;
        size_t count = listen->certificate_count;
        bool has_value = config_value_split(word, &name, &value) && value.text.len > 0;
        if (has_value && slice_equal(name, SLICE("redirect"))) {
            read_redirect(r, value, listen);
        } else if (has_value && slice_equal(name, SLICE("cert"))) {
            certificates[count].cert = config_text(r, value);
            listen->certificate_count++;
        } else if (has_value && slice_equal(name, SLICE("key"))) {
            if (count == 0 || certificates[count - 1].key)
                config_error(r, word->place, "listen: expected cert=FILE before its key=FILE");
            else
                certificates[count - 1].key = config_text(r, value);
        } else {
            config_error(r, word->place, "listen: expected cert=FILE, key=FILE or redirect=https, not \"%s\"",
                         config_shown(word->text).text);
        }
    }
    for (size_t i = 0; i < listen->certificate_count; i++) {
        if (!certificates[i].key) certificates[i].key = certificates[i].cert; /* one file has both */
    }
    if (listen->redirect && listen->certificate_count > 0)
        config_error(r, s->name.place, "listen: either cert=FILE or redirect=https, not both");
}

void config_read_listen(struct config_reader *r, const struct config_statement *s, struct config_scope *scope)
{
    struct config *config = scope->config;
    struct config_listen *listens = (struct config_listen *)config->listens;
    struct config_listen listen = {.line = s->name.place.line};
    struct config_certificate *certificates =
        config_take(r, r->kept, s->argument_count, sizeof *certificates);
    if (!certificates) return;
    listen.certificates = certificates;
    bool good = read_address(r, config_value(&s->arguments[0]), &listen);
    read_tls(r, s, &listen, certificates);
    if (!good) return;
    for (size_t i = 0; i < config->listen_count; i++) {
        if (listens[i].port != listen.port || strcmp(listens[i].ip, listen.ip) != 0) continue;
        config_error(r, s->arguments[0].place, "listen: line %u listens there already", listens[i].line);
        return;
    }
    if (!listens) config->listens = listens = config_take(r, r->kept, LISTENS_MAX, sizeof *listens);
    if (!listens) return;
    if (config->listen_count == LISTENS_MAX)
        config_error(r, s->name.place, "listen: more than %d listeners", LISTENS_MAX);
    else
        listens[config->listen_count++] = listen;
}
