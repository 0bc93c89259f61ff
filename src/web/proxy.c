#include "web/proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/connection.h"

/* --- what is set --- */

void proxies_deinit(struct proxies *p)
{
    free(p->strict_transport);
}

int wr_redirect_to_https(struct wr_app *app, uint16_t port)
{
    if (port == 0 || app->running) return WR_INVALID;
    app->proxies.https_port = port;
    app->proxies.in_use = true;
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
    free(app->proxies.strict_transport);
    app->proxies.strict_transport = copy;
    return WR_OK;
}

/* --- what it means for a request --- */

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
    if (r->app->proxies.https_port != 443) {
        writer_byte(&w, ':');
        writer_u64(&w, r->app->proxies.https_port);
    }
    writer_put(&w, path);
    if (query.len > 0) writer_byte(&w, '?');
    writer_put(&w, query);
    location[w.len] = 0;
    wr_respond_redirect(r, 308, location);
}

bool proxies_answer(struct wr_request *r)
{
    bool open = r->secure || r->app->proxies.https_port == 0 || strcmp(r->path, "*") == 0 ||
                slice_starts(slice_text(r->path), SLICE("/.well-known/acme-challenge/"));
    if (!open) respond_redirect(r);
    return !open;
}
