/* status_json.c - the state of the proxy as JSON; what the page draws. docs/proxy.md describes it. */
#include <string.h>

#include "base/utf8.h"
#include "proxy/status_state.h"
#include "web/worker.h"

#define LOAD(what) atomic_load_explicit(&(what), memory_order_relaxed)

enum { RATE_SECONDS = 5 };

static void put(struct wr_json *json, const char *key, uint64_t value)
{
    wr_json_integer(json, key, value < INT64_MAX ? (int64_t)value : INT64_MAX);
}

/* Names and reasons are ASCII as a rule; one strange byte must not make the whole answer invalid. */
static void put_text(struct wr_json *json, const char *key, const char *text)
{
    char clean[512];
    if (!text || utf8_valid(slice_text(text))) {
        wr_json_text(json, key, text);
        return;
    }
    size_t len = 0;
    for (; text[len] && len < sizeof clean - 1; len++)
        clean[len] = (unsigned char)text[len] < 0x80 ? text[len] : '?';
    clean[len] = 0;
    wr_json_text(json, key, clean);
}

static void put_latency(struct wr_json *json, const struct series *series)
{
    static const struct {
        const char *key;
        double share;
    } shares[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
    wr_json_object(json, "latency_ms");
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        double ms = series ? series_latency_ms(series, shares[i].share) : -1;
        if (ms < 0)
            wr_json_null(json, shares[i].key);
        else
            wr_json_real(json, shares[i].key, ms);
    }
    wr_json_end(json);
}

/* --- samples --- */

struct range {
    bool wanted;
    uint64_t from, to;
};

/* Those from ?since= on that are still kept. */
static struct range range_of(struct wr_request *request, const struct sampler *sampler)
{
    struct range range = {.to = sampler->count};
    const char *since = wr_request_query(request, "since");
    range.wanted = since && slice_to_u64(slice_text(since), UINT64_MAX, &range.from);
    uint64_t oldest = sampler->count > SAMPLES ? sampler->count - SAMPLES : 0;
    /* A number that is yet to come is of another run of the proxy. */
    if (range.from < oldest || range.from > range.to) range.from = oldest;
    return range;
}

static void put_history(struct wr_json *json, const struct series *series, const struct range *range)
{
    if (!range->wanted || !series) return;
    wr_json_object(json, "history");
    wr_json_array(json, "requests");
    for (uint64_t i = range->from; i < range->to; i++)
        put(json, NULL, series->requests[i % SAMPLES]);
    wr_json_end(json);
    wr_json_array(json, "failures");
    for (uint64_t i = range->from; i < range->to; i++)
        put(json, NULL, series->failures[i % SAMPLES]);
    wr_json_end(json);
    wr_json_array(json, "latency_us");
    for (uint64_t i = range->from; i < range->to; i++) {
        uint32_t us = series->latency_us[i % SAMPLES];
        if (us == UINT32_MAX)
            wr_json_null(json, NULL);
        else
            put(json, NULL, us);
    }
    wr_json_end(json);
    wr_json_end(json);
}

/* --- servers --- */

struct totals {
    uint64_t servers, down, active, connections, idle, requests, failures, retried, sent, received,
        answers[5];
};

static void put_answers(struct wr_json *json, const uint64_t answers[5])
{
    static const char *const classes[5] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    wr_json_object(json, "answers");
    for (int i = 0; i < 5; i++)
        put(json, classes[i], answers[i]);
    wr_json_end(json);
}

static void put_state(struct wr_json *json, const struct group *group, struct upstream *upstream,
                      uint64_t now_ms)
{
    char why[UPSTREAM_WHY_BYTES];
    const char *word = status_word(group, upstream, now_ms);
    uint64_t changed_ms = LOAD(upstream->changed_ms), until_ms = LOAD(upstream->down_until_ms);
    bool down = strcmp(word, "down") == 0;
    upstream_why(upstream, why);
    wr_json_text(json, "state", word);
    if (changed_ms && changed_ms <= now_ms)
        put(json, "since_s", (now_ms - changed_ms) / 1000);
    else
        wr_json_null(json, "since_s"); /* from the beginning */
    put_text(json, "why", why[0] && (down || strcmp(word, "trial") == 0) ? why : NULL);
    if (down && until_ms > now_ms)
        put(json, "trial_in_s", (until_ms - now_ms + 999) / 1000);
    else
        wr_json_null(json, "trial_in_s");
}

/* Adds what a server has counted. */
static void add(struct totals *totals, const struct totals *one)
{
    totals->servers++;
    totals->down += one->down;
    totals->active += one->active;
    totals->connections += one->connections;
    totals->idle += one->idle;
    totals->requests += one->requests;
    totals->failures += one->failures;
    totals->retried += one->retried;
    totals->sent += one->sent;
    totals->received += one->received;
    for (int i = 0; i < 5; i++)
        totals->answers[i] += one->answers[i];
}

static void put_counts(struct wr_json *json, const struct totals *counts)
{
    put(json, "active", counts->active);
    put(json, "connections", counts->connections);
    put(json, "idle", counts->idle);
    put(json, "requests", counts->requests);
    put(json, "failures", counts->failures);
    put(json, "retried", counts->retried);
    put(json, "sent_bytes", counts->sent);
    put(json, "received_bytes", counts->received);
    put_answers(json, counts->answers);
}

static void put_server(struct wr_json *json, const struct status *status, const struct group *group,
                       const struct member *member, const struct range *range, struct totals *totals)
{
    struct upstream *upstream = member->upstream;
    const struct series *series = sampler_find(&status->sampler, upstream);
    struct totals one = {.down = LOAD(upstream->state) != UPSTREAM_UP,
                         .active = LOAD(upstream->active),
                         .connections = LOAD(upstream->connections),
                         .idle = LOAD(upstream->idle),
                         .requests = LOAD(upstream->requests),
                         .failures = LOAD(upstream->failures),
                         .retried = LOAD(upstream->retried),
                         .sent = LOAD(upstream->sent_bytes),
                         .received = LOAD(upstream->received_bytes)};
    for (int i = 0; i < 5; i++)
        one.answers[i] = LOAD(upstream->answers[i]);
    wr_json_object(json, NULL);
    put_text(json, "server", upstream->authority);
    wr_json_boolean(json, "tls", upstream->tls);
    put_state(json, group, upstream, proxy_now_ms());
    put(json, "weight", member->config->weight);
    put(json, "max_conns", member->config->max_conns);
    wr_json_boolean(json, "backup", member->config->backup);
    put_counts(json, &one);
    put(json, "connects", LOAD(upstream->connects));
    put(json, "reused", LOAD(upstream->reused));
    wr_json_real(json, "rate", series ? series_rate(&status->sampler, series, RATE_SECONDS) : 0);
    put_latency(json, series);
    put_history(json, series, range);
    wr_json_end(json);
    add(totals, &one);
}

static void put_groups(struct wr_json *json, const struct status *status, const struct site *site,
                       const struct range *range, struct totals *totals)
{
    wr_json_array(json, "groups");
    for (size_t i = 0; i < site->config->group_count; i++) {
        const struct group *group = site->groups[i];
        wr_json_object(json, NULL);
        put_text(json, "name", group->config->name);
        wr_json_text(json, "policy", policy_name(group->config->policy));
        put_text(json, "check", group->config->check_path);
        put(json, "waiting", LOAD(group->waiting));
        wr_json_array(json, "servers");
        for (size_t m = 0; m < group->count; m++)
            put_server(json, status, group, &group->members[m], range, totals);
        wr_json_end(json);
        wr_json_end(json);
    }
    wr_json_end(json);
}

static void put_hosts(struct wr_json *json, const struct config *config)
{
    wr_json_array(json, "hosts");
    for (size_t i = 0; i < config->host_count; i++) {
        const struct config_host *host = &config->hosts[i];
        wr_json_object(json, NULL);
        wr_json_array(json, "names");
        for (size_t n = 0; n < host->name_count; n++)
            put_text(json, NULL, host->names[n]);
        wr_json_end(json);
        wr_json_array(json, "paths");
        for (size_t l = 0; l < host->location_count; l++) {
            wr_json_object(json, NULL);
            put_text(json, "path", host->locations[l].prefix);
            put(json, "group", host->locations[l].group_index);
            wr_json_end(json);
        }
        wr_json_end(json);
        wr_json_end(json);
    }
    wr_json_end(json);
}

static void put_totals(struct wr_json *json, const struct status *status, const struct totals *totals,
                       const struct range *range)
{
    wr_json_object(json, "totals");
    put(json, "servers", totals->servers);
    put(json, "down", totals->down);
    put_counts(json, totals);
    wr_json_real(json, "rate", series_rate(&status->sampler, &status->sampler.all, RATE_SECONDS));
    put_latency(json, &status->sampler.all);
    put_history(json, &status->sampler.all, range);
    wr_json_end(json);
}

/* What the proxy answers its clients: also what no server has answered. */
static void put_clients(struct wr_json *json, struct wr_app *app)
{
    uint64_t answers[COUNTS_CLASSES] = {0};
    for (unsigned w = 0; w < wr_workers(app); w++) {
        const struct counts *counts = &wr_worker_at(app, w)->counts;
        for (int m = 0; m <= COUNTS_METHODS; m++)
            for (int c = 0; c < COUNTS_CLASSES; c++)
                answers[c] += __atomic_load_n(&counts->requests[m][c], __ATOMIC_RELAXED);
    }
    wr_json_object(json, "clients");
    put(json, "connections", wr_connections(app));
    put_answers(json, answers);
    wr_json_end(json);
}

void status_json(struct wr_request *request, void *context)
{
    struct status *status = context;
    struct proxy *proxy = status->proxy;
    struct wr_json *json = wr_json_new(request);
    struct range range = range_of(request, &status->sampler);
    struct totals totals = {0};
    struct site *site = site_at_work(proxy);
    wr_json_object(json, NULL);
    wr_json_text(json, "version", wr_version());
    wr_json_integer(json, "began_s", status->began_s);
    put(json, "uptime_s", (proxy_now_ms() - status->began_ms) / 1000);
    put(json, "workers", wr_workers(proxy->app));
    put_clients(json, proxy->app);
    wr_json_object(json, "configuration");
    put(json, "number", site->number);
    struct status_reloads reloads = status_reloads(proxy);
    wr_json_integer(json, "loaded_s", reloads.loaded_s);
    if (reloads.refused_s)
        wr_json_integer(json, "refused_s", reloads.refused_s);
    else
        wr_json_null(json, "refused_s");
    wr_json_end(json);
    put(json, "samples", status->sampler.count);
    if (range.wanted) put(json, "history_from", range.from);
    put_hosts(json, site->config);
    put_groups(json, status, site, &range, &totals);
    put_totals(json, status, &totals, &range);
    wr_json_end(json);
    site_release(site);
    wr_response_header(request, "Cache-Control", "no-store");
    wr_respond_json_written(request, 200, json);
}
