#include "proxy/status.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/ip.h"
#include "proxy/status_state.h"

enum { SAMPLE_MS = 1000, DRAIN_MS = 500 };

/* Style and script are files of their own; nothing else is loaded. */
static const char policy[] = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
                             "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
                             "frame-ancestors 'none'";

/* --- who may read --- */

/* Without its port: "[::1]:8081" becomes "::1". */
static slice host_name(slice authority)
{
    if (authority.len && authority.ptr[0] == '[') {
        size_t end = slice_find(authority, ']');
        return slice_sub(authority, 1, end - 1);
    }
    return slice_sub(authority, 0, slice_find(authority, ':'));
}

/* A page of another site can lead its own name to this address; its requests then carry that name. */
static bool guard_name(struct wr_request *request, void *context)
{
    (void)context;
    uint8_t address[IP_BYTES];
    slice name = host_name(slice_text(wr_request_host(request)));
    if (!name.len || slice_equal_nocase(name, SLICE("localhost")) || !ip_parse(name, address)) return true;
    wr_respond_error(request, 421, "Ask for this page by its IP address, or as localhost.");
    return false;
}

/* --- the page --- */

static void page(struct wr_request *request, void *context)
{
    const struct status *status = context;
    wr_respond_asset(request, 200, wr_asset_find(status->app, "/index.html"));
}

/* --- samples --- */

static void sample(struct wr_timer *timer, void *context)
{
    (void)timer;
    struct status *status = context;
    struct site *site = site_at_work(status->proxy);
    sampler_take(&status->sampler, site->groups, site->config->group_count, proxy_now_ms());
    site_release(site);
}

static void start_sampling(struct wr_worker *worker, void *context)
{
    struct status *status = context;
    if (wr_timer_start(worker, 0, SAMPLE_MS, sample, status)) return;
    proxy_log(status->proxy, WR_LOG_WARNING, "The status page has no figures: %s.", err_text(ERR_MEMORY));
}

const char *status_word(const struct group *group, const struct upstream *upstream, uint64_t now_ms)
{
    switch ((enum upstream_state)atomic_load_explicit(&upstream->state, memory_order_relaxed)) {
    case UPSTREAM_DOWN: return "down";
    case UPSTREAM_TRIAL: return "trial";
    case UPSTREAM_UP: break;
    }
    uint64_t since = atomic_load_explicit(&upstream->up_since_ms, memory_order_relaxed);
    return since && now_ms - since < group->config->slow_start_ms ? "slow-start" : "up";
}

struct status_reloads status_reloads(struct proxy *proxy)
{
    uv_mutex_lock(&proxy->lock);
    struct status_reloads reloads = {proxy->loaded_s, proxy->refused_s, proxy->refused};
    uv_mutex_unlock(&proxy->lock);
    return reloads;
}

/* --- life --- */

static int add_routes(struct status *status)
{
    struct wr_app *app = status->app;
    return wr_security_headers(app, policy) || wr_before(wr_root(app), guard_name, status) ||
                   wr_assets(app, status_assets, status_assets_count) ||
                   wr_route(app, "GET", "/", page, status) ||
                   wr_route(app, "GET", "/status.json", status_json, status) ||
                   wr_route(app, "GET", "/metrics", status_metrics, status) ||
                   wr_on_worker(app, start_sampling, NULL, status)
               ? ERR_MEMORY
               : OK;
}

int status_new(struct proxy *proxy, struct status **out, char why[PROXY_WHY_BYTES])
{
    struct wr_config config;
    wr_config_init(&config);
    config.connections_max = 256;
    config.drain_timeout_ms = DRAIN_MS;
    config.defer_accept = false;
    config.log = proxy->options.log;
    config.log_context = proxy->options.log_context;
    struct status *status = calloc(1, sizeof *status);
    if (!status) return ERR_MEMORY;
    status->proxy = proxy;
    status->began_s = time(NULL);
    status->began_ms = proxy_now_ms();
    status->app = wr_app_new(&config);
    int err = status->app ? add_routes(status) : ERR_MEMORY;
    if (!err && wr_listen(status->app, proxy->options.status_ip, proxy->options.status_port, NULL)) {
        /* The library's sentence begins with "cannot listen on". */
        snprintf(why, PROXY_WHY_BYTES, "The status page %s.", wr_app_error(status->app));
        err = ERR_INVALID;
    }
    if (err)
        status_free(status);
    else
        *out = status;
    return err;
}

static void run(void *argument)
{
    struct status *status = argument;
    if (wr_run(status->app)) proxy_log(status->proxy, WR_LOG_ERROR, "%s", wr_app_error(status->app));
}

int status_start(struct status *status)
{
    /* Signals belong to the thread that runs the proxy. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = uv_thread_create(&status->thread, run, status);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    status->started = rc == 0;
    return rc ? ERR_IO : OK;
}

void status_stop(struct status *status)
{
    if (!status || !status->started) return;
    wr_stop(status->app);
    uv_thread_join(&status->thread);
    status->started = false;
}

uint16_t status_port(const struct status *status)
{
    return status ? wr_port(status->app) : 0;
}

void status_free(struct status *status)
{
    if (!status) return;
    status_stop(status);
    wr_app_free(status->app);
    sampler_deinit(&status->sampler);
    free(status);
}
