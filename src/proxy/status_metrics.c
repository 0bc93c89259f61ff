/* status_metrics.c - the servers in the Prometheus text format 0.0.4, behind what the app counts itself. */
#include <inttypes.h>
#include <string.h>

#include "proxy/status_state.h"
#include "web/metrics.h"

#define LOAD(what) atomic_load_explicit(&(what), memory_order_relaxed)

enum { METRICS_BYTES_MAX = 128 * 1024 * 1024 };

/* The value of a label; of what is not ASCII nothing is known, so it becomes '?'. */
static void put_label(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') buffer_byte(out, '\\');
        buffer_byte(out, c < ' ' || c >= 0x7F ? '?' : c);
    }
}

/* name{group="...",server="...": further labels and the brace are the caller's. */
static void put_name(struct buffer *out, const char *name, const struct group *group,
                     const struct upstream *upstream)
{
    buffer_text(out, name);
    buffer_text(out, "{group=\"");
    put_label(out, group->config->name);
    buffer_text(out, "\",server=\"");
    buffer_text(out, upstream->tls ? "https://" : "http://");
    put_label(out, upstream->authority);
    buffer_byte(out, '"');
}

/* --- one metric over all servers --- */

typedef void (*put_function)(struct buffer *out, const char *name, const struct group *group,
                             const struct member *member);

/* A server that is named twice in its group is one. */
static bool is_first(const struct group *group, size_t member)
{
    for (size_t i = 0; i < member; i++) {
        if (group->members[i].upstream == group->members[member].upstream) return false;
    }
    return true;
}

static void put_all(struct buffer *out, const struct site *site, const char *name, const char *type,
                    const char *help, put_function function)
{
    metrics_put_head(out, name, type, help);
    for (size_t i = 0; i < site->config->group_count; i++) {
        const struct group *group = site->groups[i];
        for (size_t m = 0; m < group->count; m++) {
            if (is_first(group, m)) function(out, name, group, &group->members[m]);
        }
    }
}

#define VALUE(function_name, expression)                                                                     \
    static void function_name(struct buffer *out, const char *name, const struct group *group,               \
                              const struct member *member)                                                   \
    {                                                                                                        \
        struct upstream *u = member->upstream;                                                               \
        put_name(out, name, group, u);                                                                       \
        metrics_put(out, "} %" PRIu64 "\n", (uint64_t)(expression));                                         \
    }
VALUE(put_up, LOAD(u->state) == UPSTREAM_UP)
VALUE(put_weight, member->config->weight)
VALUE(put_active, LOAD(u->active))
VALUE(put_connections, LOAD(u->connections))
VALUE(put_idle, LOAD(u->idle))
VALUE(put_requests, LOAD(u->requests))
VALUE(put_failures, LOAD(u->failures))
VALUE(put_retried, LOAD(u->retried))
VALUE(put_connects, LOAD(u->connects))
VALUE(put_reused, LOAD(u->reused))
VALUE(put_sent, LOAD(u->sent_bytes))
VALUE(put_received, LOAD(u->received_bytes))

static void put_answers(struct buffer *out, const char *name, const struct group *group,
                        const struct member *member)
{
    for (int i = 0; i < 5; i++) {
        put_name(out, name, group, member->upstream);
        metrics_put(out, ",code=\"%dxx\"} %" PRIu64 "\n", i + 1,
                    (uint64_t)LOAD(member->upstream->answers[i]));
    }
}

static void put_latency(struct buffer *out, const char *name, const struct group *group,
                        const struct member *member)
{
    struct upstream *u = member->upstream;
    uint64_t total = 0;
    char part[96];
    snprintf(part, sizeof part, "%s_bucket", name);
    for (int i = 0; i <= UPSTREAM_BUCKETS; i++) {
        total += LOAD(u->latencies[i]);
        put_name(out, part, group, u);
        if (i < UPSTREAM_BUCKETS)
            metrics_put(out, ",le=\"%g\"} %" PRIu64 "\n", (double)upstream_bucket_us[i] / 1e6, total);
        else
            metrics_put(out, ",le=\"+Inf\"} %" PRIu64 "\n", total);
    }
    snprintf(part, sizeof part, "%s_sum", name);
    put_name(out, part, group, u);
    metrics_put(out, "} %.6f\n", (double)LOAD(u->latency_ns) / 1e9);
    snprintf(part, sizeof part, "%s_count", name);
    put_name(out, part, group, u);
    metrics_put(out, "} %" PRIu64 "\n", total);
}

static void put_servers(struct buffer *out, const struct site *site)
{
    static const struct {
        const char *name, *type, *help;
        put_function function;
    } metrics[] = {
        {"up", "gauge", "1: gets requests; 0: down, or one request is trying it.", put_up},
        {"weight", "gauge", "Its share, as configured.", put_weight},
        {"active_requests", "gauge", "Requests under way.", put_active},
        {"connections", "gauge", "Open connections.", put_connections},
        {"idle_connections", "gauge", "Of them, those that wait for a request.", put_idle},
        {"requests_total", "counter", "Requests that were sent to it.", put_requests},
        {"failures_total", "counter", "Requests that it gave no valid answer to.", put_failures},
        {"retried_total", "counter", "Of them, those that another server was asked for.", put_retried},
        {"answers_total", "counter", "Answers by class of status.", put_answers},
        {"connects_total", "counter", "Connections that were opened.", put_connects},
        {"reused_total", "counter", "Requests that went over a kept connection.", put_reused},
        {"sent_bytes_total", "counter", "Bytes of the bodies that were sent to it.", put_sent},
        {"received_bytes_total", "counter", "Bytes of the bodies that were received from it.", put_received},
        {"latency_seconds", "histogram", "From sending a request to the head of its answer.", put_latency},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        char name[80];
        snprintf(name, sizeof name, "weaprous_proxy_upstream_%s", metrics[i].name);
        put_all(out, site, name, metrics[i].type, metrics[i].help, metrics[i].function);
    }
}

static void put_site(struct buffer *out, struct proxy *proxy, const struct site *site)
{
    const char *name = "weaprous_proxy_waiting_requests";
    metrics_put_head(out, name, "gauge", "Requests that wait because all servers have max_conns.");
    for (size_t i = 0; i < site->config->group_count; i++) {
        metrics_put(out, "%s{group=\"", name);
        put_label(out, site->groups[i]->config->name);
        metrics_put(out, "\"} %u\n", (unsigned)LOAD(site->groups[i]->waiting));
    }
    name = "weaprous_proxy_configuration_number";
    metrics_put_head(out, name, "gauge", "Configurations that have been at work, this one included.");
    metrics_put(out, "%s %" PRIu64 "\n", name, site->number);
    name = "weaprous_proxy_configuration_loaded_seconds";
    metrics_put_head(out, name, "gauge", "When it came to work, in seconds since 1970.");
    struct status_reloads reloads = status_reloads(proxy);
    metrics_put(out, "%s %" PRId64 "\n", name, reloads.loaded_s);
    name = "weaprous_proxy_configurations_refused_total";
    metrics_put_head(out, name, "counter", "Newer configurations that could not be used.");
    metrics_put(out, "%s %" PRIu64 "\n", name, reloads.refused);
}

void status_metrics(struct wr_request *request, void *context)
{
    struct status *status = context;
    struct buffer out;
    buffer_init(&out, &allocator_libc, METRICS_BYTES_MAX);
    struct site *site = site_at_work(status->proxy);
    int err = metrics_text(status->proxy->app, &out);
    put_servers(&out, site);
    put_site(&out, status->proxy, site);
    site_release(site);
    if (err || out.failed)
        wr_respond_error(request, 503, "The metrics take more memory than there is.");
    else
        wr_respond_bytes(request, 200, "text/plain; version=0.0.4; charset=utf-8", out.ptr, out.len);
    buffer_reset(&out);
}
