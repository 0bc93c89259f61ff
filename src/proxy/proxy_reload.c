/* proxy_reload.c - a configuration comes to work, at the start or in the place of another one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "proxy/proxy_state.h"

enum { DESCRIPTORS_KEPT = 128, DESCRIPTORS_UNKNOWN = 1024, DESCRIPTORS_ENOUGH = 4 * 1024 * 1024 };

/* --- TLS of the listeners --- */

static int read_certificates(struct wr_tls *tls, const struct config_listen *listen,
                             char why[PROXY_WHY_BYTES])
{
    for (size_t i = 0; i < listen->certificate_count; i++) {
        const struct config_certificate *one = &listen->certificates[i];
        int rc = wr_tls_certificate(tls, one->cert, one->key);
        if (rc == WR_OK) continue;
        if (rc != WR_MEMORY)
            snprintf(why, PROXY_WHY_BYTES, "The certificate of listen %s:%u (line %u) cannot be used: %s.",
                     listen->ip, listen->port, listen->line, wr_tls_error(tls));
        return rc == WR_MEMORY ? ERR_MEMORY : ERR_INVALID;
    }
    return OK;
}

int tls_set_read(const struct config *config, struct tls_set *out, char why[PROXY_WHY_BYTES])
{
    struct tls_set set = {.count = config->listen_count};
    int err = OK;
    set.at = calloc(set.count ? set.count : 1, sizeof(struct wr_tls *));
    if (!set.at) return ERR_MEMORY;
    for (size_t i = 0; i < set.count && !err; i++) {
        if (!config->listens[i].certificate_count) continue;
        set.at[i] = wr_tls_new(NULL);
        err = set.at[i] ? read_certificates(set.at[i], &config->listens[i], why) : ERR_MEMORY;
    }
    if (err)
        tls_set_free(&set);
    else
        *out = set;
    return err;
}

void tls_set_free(struct tls_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        wr_tls_free(set->at[i]);
    free(set->at);
    *set = (struct tls_set){0};
}

/* --- listeners and settings --- */

/* Each client may need a connection to a server beside its own. */
static unsigned connections_allowed(const struct config *config)
{
    struct rlimit limit;
    rlim_t descriptors = DESCRIPTORS_UNKNOWN;
    if (!getrlimit(RLIMIT_NOFILE, &limit)) descriptors = limit.rlim_cur;
    if (descriptors == RLIM_INFINITY || descriptors > DESCRIPTORS_ENOUGH) descriptors = DESCRIPTORS_ENOUGH;
    unsigned allowed = descriptors > 2 * DESCRIPTORS_KEPT ? (unsigned)(descriptors - DESCRIPTORS_KEPT) / 2
                                                          : DESCRIPTORS_KEPT;
    return config->connections_max && config->connections_max < allowed ? config->connections_max : allowed;
}

/* Whether the options' listener is one, beside those of the configuration. */
static bool listens_by_option(const struct proxy *proxy, const struct config *config)
{
    const struct proxy_options *options = &proxy->options;
    if (!options->ip || (options->fallback && config->listen_count)) return false;
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];
        if (listen->port == proxy->port && strcmp(listen->ip, options->ip) == 0) return false;
    }
    return true;
}

static int cannot_listen(const struct proxy *proxy, char why[PROXY_WHY_BYTES])
{
    /* The library's sentence begins with "cannot listen on". */
    snprintf(why, PROXY_WHY_BYTES, "The proxy %s.", wr_app_error(proxy->app));
    return ERR_INVALID;
}

int proxy_apply(struct proxy *proxy, const struct config *config, const struct tls_set *tls,
                char why[PROXY_WHY_BYTES])
{
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];
        if (wr_listen(proxy->app, listen->ip, listen->port, tls->at[i])) return cannot_listen(proxy, why);
    }
    if (listens_by_option(proxy, config)) {
        if (wr_listen(proxy->app, proxy->options.ip, proxy->port, NULL)) return cannot_listen(proxy, why);
        proxy->port = wr_port(proxy->app);
    }
    (void)connections_allowed(config);
    return OK;
}

/* --- checks of the servers --- */

int proxy_check_servers(struct proxy *proxy, struct site *site)
{
    int err = health_set(proxy->health, site->groups, site->config->group_count);
    if (err) return err;
    if (proxy->checked) site_release(proxy->checked);
    proxy->checked = site_hold(site);
    return OK;
}

/* --- another configuration --- */

/* On each worker. Whatever is at work by now: if two reloads follow each other the second call finds what the
 * first one found. */
static void look(struct wr_worker *worker, void *argument)
{
    struct proxy *proxy = argument;
    struct forward *forward = proxy->shared.by_worker[wr_worker_index(worker)];
    if (!forward) return; /* it has stopped */
    struct site *site = site_at_work(proxy);
    forward_set_site(forward, site);
    site_release(site);
}

/* Puts it in the place of the one at work, which the caller then has. All workers look, or none finds another
 * one: the lock is held until all have been asked. */
static int swap(struct proxy *proxy, struct site **site)
{
    int rc = WR_OK;
    uv_mutex_lock(&proxy->lock);
    for (unsigned i = 0; i < wr_workers(proxy->app) && rc == WR_OK; i++)
        rc = wr_worker_post(wr_worker_at(proxy->app, i), look, proxy);
    if (rc == WR_OK) {
        struct site *old = proxy->site;
        proxy->site = *site;
        proxy->numbers = (*site)->number;
        proxy->loaded_s = time(NULL);
        *site = old;
    }
    uv_mutex_unlock(&proxy->lock);
    return rc == WR_OK ? OK : ERR_MEMORY;
}

/* Servers that are at work. */
static size_t named(const struct proxy *proxy)
{
    size_t count = 0;
    for (const struct upstream *u = proxy->registry.first; u; u = u->next)
        count += u->named;
    return count;
}

/* Servers of a site that are not at work yet. */
static size_t unnamed(const struct site *site)
{
    size_t count = 0;
    for (size_t i = 0; i < site->config->group_count; i++) {
        for (size_t m = 0; m < site->groups[i]->count; m++)
            count += !site->groups[i]->members[m].upstream->named;
    }
    return count;
}

static void use(struct proxy *proxy, const struct site *site, struct proxy_change *change)
{
    size_t before = named(proxy);
    *change = (struct proxy_change){.number = site->number,
                                    .hosts = site->config->host_count,
                                    .servers = proxy_servers(site->config),
                                    .added = unnamed(site)};
    registry_use(&proxy->registry, site->groups, site->config->group_count, proxy_now_ms());
    change->removed = before + change->added - named(proxy);
}

int proxy_reload(struct proxy *proxy, struct config *config, struct proxy_change *out_change,
                 char why[PROXY_WHY_BYTES])
{
    struct site *site;
    struct tls_set tls;
    int err = site_new(proxy, config, &site, why);
    if (err) return err;
    err = tls_set_read(config, &tls, why);
    if (err) goto no_tls;
    err = proxy_apply(proxy, config, &tls, why);
    if (err) goto not_applied;
    if (proxy->health) err = proxy_check_servers(proxy, site);
    use(proxy, site, out_change);
    err = swap(proxy, &site);
    struct tls_set old = proxy->tls;
    proxy->tls = tls;
    tls = old;
not_applied:
    tls_set_free(&tls);
no_tls:
    site_release(site);
    return err;
}

void proxy_reopen(struct proxy *proxy)
{
    wr_log_reopen(proxy->app);
    for (size_t i = 0; i < proxy->tls.count; i++) {
        if (!proxy->tls.at[i] || wr_tls_reload(proxy->tls.at[i]) == WR_OK) continue;
        proxy_log(proxy, WR_LOG_ERROR, "a certificate stays as it was: %s", wr_tls_error(proxy->tls.at[i]));
    }
}

int proxy_check(const struct config *config, char why[PROXY_WHY_BYTES])
{
    struct tls_set tls;
    snprintf(why, PROXY_WHY_BYTES, "There is not enough memory.");
    int err = tls_set_read(config, &tls, why);
    if (!err) tls_set_free(&tls);
    return err;
}

uint16_t proxy_port(const struct proxy *proxy)
{
    return listens_by_option(proxy, proxy->site->config) ? proxy->port : 0;
}
