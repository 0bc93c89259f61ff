#include "web/proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/connection.h"

/* --- what is set --- */

int wr_trust_proxies(struct wr_app *app, const char *networks, enum wr_proxy_fields fields)
{
    if (app->running) {
        snprintf(app->error, sizeof app->error, "proxies are named before the server runs");
        return WR_INVALID;
    }
    return settings_trust(app->settings, app, networks ? networks : "", fields);
}

int wr_redirect_to_https(struct wr_app *app, uint16_t port)
{
    if (port == 0 || app->running) return WR_INVALID;
    app->https_port = port;
    return WR_OK;
}

int wr_strict_transport(struct wr_app *app, uint64_t max_age_s, bool subdomains)
{
    char line[128];
    if (app->running) return WR_INVALID;
    snprintf(line, sizeof line, "Strict-Transport-Security: max-age=%" PRIu64 "%s\r\n", max_age_s,
             subdomains ? "; includeSubDomains" : "");
    char *copy = strdup(line);
    if (!copy) return WR_MEMORY;
    free(app->strict_transport);
    app->strict_transport = copy;
    return WR_OK;
}

/* --- what it means for a request --- */

static void resolve(struct wr_request *r)
{
    const struct settings *s = r->worker->settings;
    struct forwarded_fields fields = {.kind = s->trusted_kind};
    if (s->trusted_kind == FORWARDED_STANDARD) {
        fields.forwarded = request_field(r, "Forwarded");
    } else {
        fields.x_forwarded_for = request_field(r, "X-Forwarded-For");
        fields.x_forwarded_proto = request_field(r, "X-Forwarded-Proto");
        fields.x_forwarded_host = request_field(r, "X-Forwarded-Host");
    }
    struct forwarded client;
    forwarded_resolve(&fields, r->conn->address, s->trusted, s->trusted_count, &client);
    if (!client.believed) return;
    memcpy(r->address, client.address, sizeof r->address);
    r->port = client.port;
    if (client.scheme.len > 0) r->secure = slice_equal_nocase(client.scheme, SLICE("https"));
    if (client.host.len > 0) r->host = arena_text(&r->arena, client.host);
}

/* "a:8080" without the port; "[::1]" keeps its colons. */
static slice without_port(slice authority)
{
    for (size_t i = authority.len; i > 0 && authority.ptr[i - 1] != ']'; i--) {
        if (authority.ptr[i - 1] == ':') return slice_sub(authority, 0, i - 1);
    }
    return authority;
}

static void respond_redirect(struct wr_request *r)
{
    const struct http_head *head = &r->parser.head;
    slice host = without_port(slice_text(wr_request_host(r)));
    slice path = request_span(r, head->path), query = request_span(r, head->query);
    size_t size = host.len + path.len + query.len + sizeof "https://:65535?";
    char *location = arena_take(&r->arena, size);
    if (host.len == 0 || !location) {
        wr_respond_error(r, 400, "only https is served here, and the Host is missing");
        return;
    }
    struct writer w = writer_of(location, size - 1);
    writer_put(&w, SLICE("https://"));
    writer_put(&w, host);
    if (r->conn->https_port != 443) {
        writer_byte(&w, ':');
        writer_u64(&w, r->conn->https_port);
    }
    writer_put(&w, path);
    if (query.len > 0) writer_byte(&w, '?');
    writer_put(&w, query);
    location[w.len] = 0;
    wr_respond_redirect(r, 308, location);
}

bool proxies_answer(struct wr_request *r)
{
    if (r->conn->proxied) resolve(r);
    bool open = r->secure || r->conn->https_port == 0 || strcmp(r->path, "*") == 0 ||
                slice_starts(slice_text(r->path), SLICE("/.well-known/acme-challenge/"));
    if (!open) respond_redirect(r);
    return !open;
}
