/* proxy.c - life of the proxy: made, running, stopped. */
#include "proxy/proxy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"
#include "proxy/proxy_state.h"
#include "proxy/status.h"

enum {
    TARGET_BYTES_MAX = 64 * 1024,
    HEADERS_MAX = 256,
};

void proxy_log(const struct proxy *proxy, enum wr_log_level level, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (!proxy->options.log) return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    proxy->options.log(proxy->options.log_context, level, text);
}

uint64_t proxy_now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* A server has come or gone. Any thread. */
static void changed(void *context, const struct upstream *upstream, bool up, const char *why)
{
    /* Up again is a warning too: the end of one. */
    proxy_log(context, WR_LOG_WARNING, "server %s%s of \"%s\" is %s: %s", upstream->tls ? "https://" : "",
              upstream->authority, upstream->group_name, up ? "up again" : "down", why);
}

/* --- on each worker --- */

static void fail(struct proxy *proxy)
{
    proxy_log(proxy, WR_LOG_ERROR, "The proxy cannot serve: %s.", err_text(ERR_MEMORY));
    __atomic_store_n(&proxy->failure, ERR_MEMORY, __ATOMIC_RELAXED);
    wr_stop(proxy->app);
}

static void start_worker(struct wr_worker *worker, void *argument)
{
    struct proxy *proxy = argument;
    unsigned index = wr_worker_index(worker);
    struct site *site = site_at_work(proxy);
    proxy->shared.by_worker[index] = forward_new(worker, &proxy->shared, site);
    bool good = proxy->shared.by_worker[index] != NULL;
    if (good && index == 0) {
        proxy->health = health_new(worker, &proxy->registry);
        good = proxy->health && proxy_check_servers(proxy, site) == OK;
    }
    site_release(site);
    if (!good) fail(proxy);
}

static void stop_worker(struct wr_worker *worker, void *argument)
{
    struct proxy *proxy = argument;
    unsigned index = wr_worker_index(worker);
    forward_free(proxy->shared.by_worker[index]);
    proxy->shared.by_worker[index] = NULL;
    if (index > 0) return;
    health_free(proxy->health);
    proxy->health = NULL;
    if (proxy->checked) site_release(proxy->checked);
    proxy->checked = NULL;
}

/* --- making it --- */

static int make_app(struct proxy *proxy)
{
    struct wr_config config;
    wr_config_init(&config);
    config.workers = proxy->options.workers;
    config.target_bytes_max = TARGET_BYTES_MAX; /* max_header goes for all of the head */
    config.header_count_max = HEADERS_MAX;
    config.connections_per_address_max = 0; /* another proxy, or a school, is one address */
    config.drain_timeout_ms = PROXY_DRAIN_MS;
    config.answer_timeout_ms = 0; /* the servers have timeouts of their own */
    config.log = proxy->options.log;
    config.log_context = proxy->options.log_context;
    proxy->app = wr_app_new(&config);
    if (!proxy->app) return ERR_MEMORY;
    registry_init(&proxy->registry, wr_workers(proxy->app));
    proxy->registry.changed = changed;
    proxy->registry.context = proxy;
    return app_intake(proxy->app, &forward_intake, &proxy->shared) ||
                   wr_on_worker(proxy->app, start_worker, stop_worker, proxy)
               ? ERR_MEMORY
               : OK;
}

/* What Via calls this proxy: by it a request that comes round is known. */
static int choose_pseudonym(char out[24])
{
    uint8_t random[4];
    char digits[2 * sizeof random + 1];
    if (uv_random(NULL, NULL, random, sizeof random, 0, NULL)) return ERR_IO;
    hex_encode(slice_of(random, sizeof random), digits);
    snprintf(out, 24, "weaprous-%s", digits);
    return OK;
}

static int make_shared(struct proxy *proxy)
{
    struct forward_shared *shared = &proxy->shared;
    shared->registry = &proxy->registry;
    shared->rates = rate_table_new();
    shared->by_worker = calloc(wr_workers(proxy->app), sizeof(struct forward *));
    return shared->rates && shared->by_worker ? choose_pseudonym(shared->pseudonym) : ERR_MEMORY;
}

static int make_site(struct proxy *proxy, struct config *config, char why[PROXY_WHY_BYTES])
{
    struct site *site;
    int err = site_new(proxy, config, &site, why);
    if (err) return err;
    registry_use(&proxy->registry, site->groups, config->group_count, proxy_now_ms());
    proxy->site = site;
    proxy->numbers = site->number;
    proxy->loaded_s = time(NULL);
    err = tls_set_read(config, &proxy->tls, why);
    struct app_change *change;
    if (!err) err = proxy_prepare(proxy, config, &proxy->tls, &change, why);
    if (!err) proxy_commit(proxy, config, change);
    return err;
}

int proxy_new(const struct proxy_options *options, struct config *config, struct proxy **out,
              char why[PROXY_WHY_BYTES])
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    snprintf(why, PROXY_WHY_BYTES, "There is not enough memory.");
    if (!proxy || uv_mutex_init(&proxy->lock)) {
        free(proxy);
        config_free(config);
        return ERR_MEMORY;
    }
    proxy->options = *options;
    proxy->port = options->port;
    int err = make_app(proxy);
    if (!err) err = make_shared(proxy);
    if (err)
        config_free(config);
    else
        err = make_site(proxy, config, why);
    if (!err && options->status_ip) err = status_new(proxy, &proxy->status, why);
    if (err)
        proxy_free(proxy);
    else
        *out = proxy;
    return err;
}

/* --- running and stopping --- */

int proxy_run(struct proxy *proxy)
{
    int err = proxy->status ? status_start(proxy->status) : OK;
    if (err) {
        proxy_log(proxy, WR_LOG_ERROR, "The status page cannot be served: a thread could not be started.");
        return err;
    }
    int rc = wr_run(proxy->app);
    if (rc) proxy_log(proxy, WR_LOG_ERROR, "%s", wr_app_error(proxy->app));
    status_stop(proxy->status);
    err = __atomic_load_n(&proxy->failure, __ATOMIC_RELAXED);
    return rc ? ERR_IO : err;
}

void proxy_stop(struct proxy *proxy)
{
    wr_stop(proxy->app);
}

void proxy_free(struct proxy *proxy)
{
    if (!proxy) return;
    status_free(proxy->status);
    if (proxy->site) site_release(proxy->site);
    wr_app_free(proxy->app); /* what it cuts lets its sites go */
    sites_collect(proxy);
    registry_deinit(&proxy->registry);
    rate_table_free(proxy->shared.rates);
    free(proxy->shared.by_worker);
    tls_set_free(&proxy->tls);
    uv_mutex_destroy(&proxy->lock);
    free(proxy);
}

/* --- what is asked of it --- */

struct wr_app *proxy_app(const struct proxy *proxy)
{
    return proxy->app;
}

const struct config *proxy_config(const struct proxy *proxy)
{
    return proxy->site->config; /* changed by the calling thread only */
}

size_t proxy_servers(const struct config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->group_count; i++)
        count += config->groups[i].server_count;
    return count;
}

uint16_t proxy_status_port(const struct proxy *proxy)
{
    return status_port(proxy->status);
}

void proxy_refused(struct proxy *proxy)
{
    uv_mutex_lock(&proxy->lock);
    proxy->refused_s = time(NULL);
    proxy->refused++;
    uv_mutex_unlock(&proxy->lock);
}
