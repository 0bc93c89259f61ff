/* site.c - configurations at work: made, held, freed. */
#include "proxy/site.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/proxy_state.h"

static void site_free(struct site *site)
{
    for (size_t i = 0; site->groups && i < site->config->group_count; i++) {
        if (site->groups[i]) group_free(&site->proxy->registry, site->groups[i]);
    }
    free(site->groups);
    config_free(site->config);
    free(site);
}

void group_explain(const struct config_group *group, int err, const char *trouble, char why[PROXY_WHY_BYTES])
{
    if (err != ERR_MEMORY)
        snprintf(why, PROXY_WHY_BYTES, "The servers of \"%s\" cannot be used: %s.", group->name,
                 trouble ? trouble : err_text(err));
}

static int make_groups(struct site *site, char why[PROXY_WHY_BYTES])
{
    const struct config *config = site->config;
    for (size_t i = 0; i < config->group_count; i++) {
        const char *trouble = NULL;
        int err = group_new(&site->proxy->registry, &config->groups[i], &site->groups[i], &trouble);
        if (!err) continue;
        group_explain(&config->groups[i], err, trouble, why);
        return err;
    }
    return OK;
}

int site_new(struct proxy *proxy, struct config *config, struct site **out, char why[PROXY_WHY_BYTES])
{
    snprintf(why, PROXY_WHY_BYTES, "There is not enough memory.");
    struct site *site = calloc(1, sizeof *site);
    if (!site) {
        config_free(config);
        return ERR_MEMORY;
    }
    atomic_init(&site->owners, 1);
    site->proxy = proxy;
    site->config = config;
    size_t count = config->group_count ? config->group_count : 1;
    site->groups = calloc(count, sizeof(struct group *));
    int err = site->groups ? make_groups(site, why) : ERR_MEMORY;
    if (err) {
        site_free(site);
        return err;
    }
    site->number = proxy->numbers + 1; /* when it comes to work */
    *out = site;
    return OK;
}

struct site *site_at_work(struct proxy *proxy)
{
    uv_mutex_lock(&proxy->lock);
    struct site *site = site_hold(proxy->site);
    uv_mutex_unlock(&proxy->lock);
    return site;
}

/* --- the end of them --- */

static void collect(struct wr_worker *worker, void *argument)
{
    (void)worker;
    sites_collect(argument);
}

/* Freed by the thread that makes them, and never within the call that released: who calls may be in the
 * middle of something with a group. */
void site_release(struct site *site)
{
    if (atomic_fetch_sub_explicit(&site->owners, 1, memory_order_acq_rel) != 1) return;
    struct proxy *proxy = site->proxy;
    uv_mutex_lock(&proxy->lock);
    site->next = proxy->released;
    proxy->released = site;
    bool asked = proxy->collecting;
    proxy->collecting = true;
    uv_mutex_unlock(&proxy->lock);
    if (asked || wr_worker_post(wr_worker_at(proxy->app, 0), collect, proxy) == WR_OK) return;
    /* No memory for that, or the proxy ends: the next release asks again, or proxy_free does it. */
    uv_mutex_lock(&proxy->lock);
    proxy->collecting = false;
    uv_mutex_unlock(&proxy->lock);
}

void sites_collect(struct proxy *proxy)
{
    uv_mutex_lock(&proxy->lock);
    struct site *site = proxy->released;
    proxy->released = NULL;
    proxy->collecting = false;
    uv_mutex_unlock(&proxy->lock);
    while (site) {
        struct site *next = site->next;
        site_free(site);
        site = next;
    }
}
