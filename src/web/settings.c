#include "web/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "web/app.h"

enum { DESCRIPTORS_KEPT = 64 };

static unsigned descriptors_allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1024 - DESCRIPTORS_KEPT;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 4 * 1024 * 1024) return 4 * 1024 * 1024;
    return limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? (unsigned)limit.rlim_cur - DESCRIPTORS_KEPT
                                                 : DESCRIPTORS_KEPT;
}

struct settings *settings_new(const struct wr_config *c)
{
    struct settings *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (struct settings){
        .owners = 1,
        .header_timeout_ms = c->header_timeout_ms,
        .body_timeout_ms = c->body_timeout_ms,
        .idle_timeout_ms = c->idle_timeout_ms,
        .answer_timeout_ms = c->answer_timeout_ms,
        .write_timeout_ms = c->write_timeout_ms,
        .connections_max = c->connections_max ? c->connections_max : descriptors_allowed(),
        .connections_per_address_max = c->connections_per_address_max,
        /* How long a body may be is the route's to say (body_begin). */
        .limits = {c->target_bytes_max, c->header_bytes_max, c->header_count_max, INT64_MAX},
    };
    return s;
}

struct settings *settings_hold(struct settings *s)
{
    __atomic_add_fetch(&s->owners, 1, __ATOMIC_RELAXED);
    return s;
}

void settings_release(struct settings *s)
{
    if (!s || __atomic_sub_fetch(&s->owners, 1, __ATOMIC_ACQ_REL) > 0) return;
    log_sink_release(s->access);
    free(s->trusted);
    free(s->trusted_text);
    free(s);
}

/* --- trusted proxies --- */

/* Counts the networks of the text; writes them when `out` is not NULL. A negative number when one is wrong,
 * which *out_bad names. */
static int parse_networks(slice text, struct ip_network *out, slice *out_bad)
{
    int count = 0;
    slice list, part;
    while (slice_split(&text, ',', &list)) {
        while (slice_split(&list, ' ', &part)) {
            struct ip_network network;
            if (part.len == 0) continue;
            *out_bad = part;
            if (count == PROXIES_MAX || ip_network_parse(part, &network) < 0) return -1;
            if (out) out[count] = network;
            count++;
        }
    }
    return count;
}

int settings_trust(struct settings *s, struct wr_app *app, const char *networks, enum wr_proxy_fields fields)
{
    slice bad = SLICE_EMPTY;
    int count = networks ? parse_networks(slice_text(networks), NULL, &bad) : 0;
    if (networks && count <= 0) {
        snprintf(app->error, sizeof app->error, "\"%.*s\" is not an address or network of a proxy",
                 (int)(bad.len < 100 ? bad.len : 100), bad.len ? (const char *)bad.ptr : "");
        return WR_INVALID;
    }
    struct ip_network *trusted = NULL;
    char *text = NULL;
    if (networks) {
        trusted = malloc((size_t)count * sizeof *trusted);
        text = strdup(networks);
        if (!trusted || !text) {
            free(trusted);
            free(text);
            return WR_MEMORY;
        }
        (void)!parse_networks(slice_text(networks), trusted, &bad);
    }
    free(s->trusted);
    free(s->trusted_text);
    s->trusted = trusted;
    s->trusted_text = text;
    s->trusted_count = (size_t)count;
    s->trusted_kind = fields == WR_FORWARDED ? FORWARDED_STANDARD : FORWARDED_X;
    return WR_OK;
}

bool settings_trust_same(const struct settings *a, const struct settings *b)
{
    return strcmp(a->trusted_text ? a->trusted_text : "", b->trusted_text ? b->trusted_text : "") == 0;
}
