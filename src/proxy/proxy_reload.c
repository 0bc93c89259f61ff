/* proxy_reload.c - a configuration comes to work, at the start or in the place of another one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "proxy/proxy_state.h"
#include "web/worker.h"

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
            snprintf(why, PROXY_WHY_BYTES,
                     strchr(listen->ip, ':')
                         ? "The certificate of listen [%s]:%u (line %u) cannot be used: %s."
                         : "The certificate of listen %s:%u (line %u) cannot be used: %s.",
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

/* Each client may need a connection to a server beside its own; who names a number knows that most of them
 * are idle. */
static unsigned connections_allowed(const struct config *config)
{
    struct rlimit limit;
    rlim_t descriptors = DESCRIPTORS_UNKNOWN;
    if (!getrlimit(RLIMIT_NOFILE, &limit)) descriptors = limit.rlim_cur;
    if (descriptors == RLIM_INFINITY || descriptors > DESCRIPTORS_ENOUGH) descriptors = DESCRIPTORS_ENOUGH;
    unsigned most =
        descriptors > 2 * DESCRIPTORS_KEPT ? (unsigned)(descriptors - DESCRIPTORS_KEPT) : DESCRIPTORS_KEPT;
    unsigned allowed = config->connections_max ? config->connections_max : most / 2;
    return allowed < most ? allowed : most;
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

/* The longest that a location lets the other side take nothing: locations with less see to it themselves. */
static uint32_t write_timeout_ms(const struct config *config)
{
    uint32_t longest_ms = 0;
    for (size_t h = 0; h < config->host_count; h++) {
        const struct config_host *host = &config->hosts[h];
        for (size_t i = 0; i < host->location_count; i++)
            if (host->locations[i].send_ms > longest_ms) longest_ms = host->locations[i].send_ms;
    }
    return longest_ms;
}

static struct app_settings settings_of(const struct proxy *proxy, const struct config *config)
{
    struct app_settings settings;
    app_settings_of(proxy->app, &settings);
    settings.header_timeout_ms = config->client_header_ms;
    settings.body_timeout_ms = config->client_body_ms;
    settings.idle_timeout_ms = config->client_idle_ms;
    settings.write_timeout_ms = write_timeout_ms(config);
    settings.header_bytes_max = config->header_bytes_max;
    settings.connections_max = connections_allowed(config);
    settings.trusted_proxies = config->trusted_proxies;
    settings.proxy_fields = config->trust_forwarded ? WR_FORWARDED : WR_X_FORWARDED;
    settings.access_log = config->access_log;
    settings.access_format = config->access_json ? WR_LOG_JSON : WR_LOG_COMBINED;
    settings.timed = proxy->options.status_ip != NULL; /* for its metrics */
    return settings;
}

/* The options' listener is the first one, so that wr_port tells its port. Room for one more than the
 * configuration has. */
static size_t listeners_of(const struct proxy *proxy, const struct config *config, const struct tls_set *tls,
                           struct app_listen *out)
{
    size_t count = 0;
    if (listens_by_option(proxy, config))
        out[count++] = (struct app_listen){.ip = proxy->options.ip, .port = proxy->options.port};
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *listen = &config->listens[i];
        out[count++] = (struct app_listen){
            .ip = listen->ip, .port = listen->port, .tls = tls->at[i], .redirect_https = listen->redirect};
    }
    return count;
}

int proxy_prepare(struct proxy *proxy, const struct config *config, const struct tls_set *tls,
                  struct app_change **out, char why[PROXY_WHY_BYTES])
{
    struct app_settings settings = settings_of(proxy, config);
    struct app_listen *listeners = calloc(config->listen_count + 1, sizeof *listeners);
    if (!listeners) return ERR_MEMORY;
    size_t count = listeners_of(proxy, config, tls, listeners);
    int rc = app_prepare(proxy->app, &settings, listeners, count, out);
    free(listeners);
    if (rc == WR_OK) return OK;
    if (rc == WR_MEMORY) return ERR_MEMORY;
    /* The library's sentence begins with "cannot listen on", or "cannot write". */
    snprintf(why, PROXY_WHY_BYTES, "The proxy %s.", wr_app_error(proxy->app));
    return ERR_INVALID;
}

void proxy_commit(struct proxy *proxy, const struct config *config, struct app_change *change)
{
    app_commit(change);
    if (listens_by_option(proxy, config)) proxy->port = wr_port(proxy->app);
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

/* On each worker. Whatever is at work by now: when reloads follow each other closely, it may be a later one.
 */
static void look(struct wr_worker *worker, void *argument)
{
    struct proxy *proxy = argument;
    struct forward *forward = proxy->shared.by_worker[wr_worker_index(worker)];
    if (!forward) return; /* it has stopped */
    struct site *site = site_at_work(proxy);
    forward_set_site(forward, site);
    site_release(site);
}

/* A call of `look` for each worker, so that asking them cannot fail. NULL without memory. */
static struct post **posts_new(struct proxy *proxy)
{
    unsigned count = wr_workers(proxy->app);
    struct post **posts = calloc(count, sizeof(struct post *));
    for (unsigned i = 0; posts && i < count; i++) {
        posts[i] = worker_post_new(look, proxy);
        if (posts[i]) continue;
        while (i > 0)
            free(posts[--i]);
        free(posts);
        return NULL;
    }
    return posts;
}

/* The workers look, one after the other: which have not yet go on with the old one, which they hold. */
static void swap(struct proxy *proxy, struct site *site, struct post **posts)
{
    uv_mutex_lock(&proxy->lock);
    struct site *old = proxy->site;
    proxy->site = site;
    proxy->loaded_s = time(NULL);
    proxy->refused_s = 0;
    uv_mutex_unlock(&proxy->lock);
    proxy->numbers = site->number;
    for (unsigned i = 0; i < wr_workers(proxy->app); i++)
        worker_post(wr_worker_at(proxy->app, i), posts[i]);
    free(posts);
    site_release(old);
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

/* What a reload has made so far. */
struct reload {
    struct site *site;
    struct tls_set tls;
    struct app_change *change;
    struct post **posts;
};

/* All that can fail. The checks come last: should they not be possible, they go on with the old site. */
static int prepare(struct proxy *proxy, struct reload *reload, char why[PROXY_WHY_BYTES])
{
    const struct config *config = reload->site->config;
    int err = tls_set_read(config, &reload->tls, why);
    if (err) return err;
    err = proxy_prepare(proxy, config, &reload->tls, &reload->change, why);
    if (err) return err;
    reload->posts = posts_new(proxy);
    if (!reload->posts) return ERR_MEMORY;
    if (proxy->health) err = proxy_check_servers(proxy, reload->site);
    if (!err) return OK;
    for (unsigned i = 0; i < wr_workers(proxy->app); i++)
        free(reload->posts[i]);
    free(reload->posts);
    return err;
}

int proxy_reload(struct proxy *proxy, struct config *config, struct proxy_change *out_change,
                 char why[PROXY_WHY_BYTES])
{
    struct reload reload = {0};
    int err = site_new(proxy, config, &reload.site, why);
    if (err) return err;
    err = prepare(proxy, &reload, why);
    if (err) {
        app_abandon(reload.change);
        tls_set_free(&reload.tls);
        site_release(reload.site);
        return err;
    }
    use(proxy, reload.site, out_change);
    swap(proxy, reload.site, reload.posts);
    proxy_commit(proxy, config, reload.change);
    tls_set_free(&proxy->tls); /* listeners hold what they need of it */
    proxy->tls = reload.tls;
    wr_log_reopen(proxy->app);
    return OK;
}

void proxy_reopen(struct proxy *proxy)
{
    wr_log_reopen(proxy->app);
    for (size_t i = 0; i < proxy->tls.count; i++) {
        if (!proxy->tls.at[i] || wr_tls_reload(proxy->tls.at[i]) == WR_OK) continue;
        proxy_log(proxy, WR_LOG_ERROR, "a certificate stays as it was: %s", wr_tls_error(proxy->tls.at[i]));
    }
}

/* --- a look without taking anything --- */

/* Files of authorities. */
static int check_groups(const struct config *config, char why[PROXY_WHY_BYTES])
{
    struct registry registry;
    struct group *group;
    int err = OK;
    registry_init(&registry, 1);
    for (size_t i = 0; i < config->group_count && !err; i++) {
        const char *trouble = NULL;
        err = group_new(&registry, &config->groups[i], &group, &trouble);
        if (!err)
            group_free(&registry, group);
        else
            group_explain(&config->groups[i], err, trouble, why);
    }
    registry_deinit(&registry);
    return err;
}

/* Whether it can be written, or made; it is not. */
static int check_log(const char *path, char why[PROXY_WHY_BYTES])
{
    if (!path || strcmp(path, "-") == 0) return OK;
    bool there = access(path, F_OK) == 0;
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) + 1 : 1;
    char *folder = strndup(slash ? path : ".", len);
    if (!folder) return ERR_MEMORY;
    int failed = there ? access(path, W_OK) : access(folder, W_OK | X_OK);
    free(folder);
    if (failed)
        snprintf(why, PROXY_WHY_BYTES, "The access log %s cannot be written: %s.", path, strerror(errno));
    return failed ? ERR_IO : OK;
}

int proxy_check(const struct config *config, char why[PROXY_WHY_BYTES])
{
    struct tls_set tls;
    snprintf(why, PROXY_WHY_BYTES, "There is not enough memory.");
    int err = tls_set_read(config, &tls, why);
    if (err) return err;
    tls_set_free(&tls);
    err = check_groups(config, why);
    return err ? err : check_log(config->access_log, why);
}

uint16_t proxy_port(const struct proxy *proxy)
{
    return listens_by_option(proxy, proxy->site->config) ? proxy->port : 0;
}
