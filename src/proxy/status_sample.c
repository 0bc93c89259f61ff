#include "proxy/status_sample.h"

#include <stdio.h>
#include <stdlib.h>

#define LOAD(what) atomic_load_explicit(&(what), memory_order_relaxed)

enum { SECOND_MS = 1000 };

/* --- counting --- */

static uint32_t clamp(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX - 1;
}

/* A counter that is less than it was belongs to another server. */
static uint64_t grown(uint64_t now, uint64_t last)
{
    return now >= last ? now - last : now;
}

static void counts_read(struct upstream *upstream, struct sample_counts *out)
{
    *out = (struct sample_counts){.requests = LOAD(upstream->requests),
                                  .failures = LOAD(upstream->failures),
                                  .latency_ns = LOAD(upstream->latency_ns)};
    for (int i = 0; i <= UPSTREAM_BUCKETS; i++) {
        out->latencies[i] = LOAD(upstream->latencies[i]);
        out->answered += out->latencies[i];
    }
}

static void counts_grown(struct sample_counts *out, const struct sample_counts *now,
                         const struct sample_counts *last)
{
    out->requests = grown(now->requests, last->requests);
    out->failures = grown(now->failures, last->failures);
    out->answered = grown(now->answered, last->answered);
    out->latency_ns = grown(now->latency_ns, last->latency_ns);
    for (int i = 0; i <= UPSTREAM_BUCKETS; i++)
        out->latencies[i] = grown(now->latencies[i], last->latencies[i]);
}

static void counts_add(struct sample_counts *sum, const struct sample_counts *more)
{
    sum->requests += more->requests;
    sum->failures += more->failures;
    sum->answered += more->answered;
    sum->latency_ns += more->latency_ns;
    for (int i = 0; i <= UPSTREAM_BUCKETS; i++)
        sum->latencies[i] += more->latencies[i];
}

/* --- series --- */

static void series_put(struct series *series, uint64_t number, const struct sample_counts *grew)
{
    size_t at = number % SAMPLES;
    series->seen = number;
    series->requests[at] = clamp(grew->requests);
    series->failures[at] = clamp(grew->failures);
    series->latency_us[at] = grew->answered ? clamp(grew->latency_ns / grew->answered / 1000) : UINT32_MAX;
    for (int i = 0; i <= UPSTREAM_BUCKETS; i++)
        series->latencies[number % SAMPLES_LATENCY][i] = clamp(grew->latencies[i]);
}

static void series_clear(struct series *series)
{
    const struct sample_counts nothing = {0};
    for (uint64_t i = 0; i < SAMPLES; i++)
        series_put(series, i, &nothing);
}

static char *name_of(const struct upstream *upstream)
{
    char text[1024];
    snprintf(text, sizeof text, "%s %d %s", upstream->group_name, upstream->tls, upstream->authority);
    return strdup(text);
}

static bool is_of(const struct series *series, const struct upstream *upstream)
{
    char text[1024];
    snprintf(text, sizeof text, "%s %d %s", upstream->group_name, upstream->tls, upstream->authority);
    return strcmp(series->name, text) == 0;
}

static void series_free(struct series *series)
{
    if (!series) return;
    free(series->name);
    free(series);
}

static struct series *series_new(const struct upstream *upstream)
{
    struct series *series = calloc(1, sizeof *series);
    if (!series) return NULL;
    series->name = name_of(upstream);
    if (!series->name) {
        free(series);
        return NULL;
    }
    series_clear(series);
    return series;
}

/* --- samples --- */

static bool make_room(struct sampler *sampler, uint32_t id)
{
    if (id < sampler->id_count) return true;
    size_t count = (size_t)id + 16;
    struct series **by_id = realloc(sampler->by_id, count * sizeof(struct series *));
    if (!by_id) return false;
    for (size_t i = sampler->id_count; i < count; i++)
        by_id[i] = NULL;
    sampler->by_id = by_id;
    sampler->id_count = count;
    return true;
}

static void take_one(struct sampler *sampler, struct upstream *upstream, struct sample_counts *sum)
{
    if (!make_room(sampler, upstream->id)) return;
    struct series **series = &sampler->by_id[upstream->id];
    if (*series && !is_of(*series, upstream)) { /* the id was given again */
        series_free(*series);
        *series = NULL;
    }
    bool is_new = !*series;
    if (is_new) *series = series_new(upstream);
    if (!*series || (!is_new && (*series)->seen == sampler->count)) return; /* named twice in its group */
    struct sample_counts now, grew;
    counts_read(upstream, &now);
    if (is_new && sampler->count > 0) (*series)->last = now; /* it may have counted long before */
    counts_grown(&grew, &now, &(*series)->last);
    (*series)->last = now;
    series_put(*series, sampler->count, &grew);
    counts_add(sum, &grew);
}

static void take(struct sampler *sampler, struct group *const *groups, size_t count)
{
    struct sample_counts sum = {0};
    for (size_t i = 0; i < count; i++) {
        for (size_t m = 0; m < groups[i]->count; m++)
            take_one(sampler, groups[i]->members[m].upstream, &sum);
    }
    series_put(&sampler->all, sampler->count, &sum);
    for (size_t id = 0; id < sampler->id_count; id++) {
        struct series *series = sampler->by_id[id];
        if (!series || series->seen == sampler->count) continue;
        series_free(series); /* its server is gone */
        sampler->by_id[id] = NULL;
    }
    sampler->count++;
}

void sampler_take(struct sampler *sampler, struct group *const *groups, size_t count, uint64_t now_ms)
{
    if (sampler->count == 0) {
        series_clear(&sampler->all);
        sampler->taken_ms = now_ms - SECOND_MS;
    }
    /* As many as seconds have gone by: the first has what was counted, the others are empty. */
    uint64_t seconds = (now_ms - sampler->taken_ms + SECOND_MS / 2) / SECOND_MS;
    sampler->taken_ms += seconds * SECOND_MS;
    if (seconds > SAMPLES) seconds = SAMPLES;
    for (; seconds > 0; seconds--)
        take(sampler, groups, count);
}

const struct series *sampler_find(const struct sampler *sampler, const struct upstream *upstream)
{
    const struct series *series = upstream->id < sampler->id_count ? sampler->by_id[upstream->id] : NULL;
    return series && is_of(series, upstream) ? series : NULL;
}

void sampler_deinit(struct sampler *sampler)
{
    for (size_t i = 0; i < sampler->id_count; i++)
        series_free(sampler->by_id[i]);
    free(sampler->by_id);
    *sampler = (struct sampler){0};
}

/* --- what is made of them --- */

double series_rate(const struct sampler *sampler, const struct series *series, unsigned seconds)
{
    uint64_t sum = 0;
    if (seconds > sampler->count) seconds = (unsigned)sampler->count;
    for (uint64_t i = 1; i <= seconds; i++)
        sum += series->requests[(sampler->count - i) % SAMPLES];
    return seconds ? (double)sum / seconds : 0;
}

double series_latency_ms(const struct series *series, double share)
{
    uint64_t buckets[UPSTREAM_BUCKETS + 1] = {0}, total = 0, below = 0;
    for (int s = 0; s < SAMPLES_LATENCY; s++) {
        for (int i = 0; i <= UPSTREAM_BUCKETS; i++) {
            buckets[i] += series->latencies[s][i];
            total += series->latencies[s][i];
        }
    }
    if (total == 0) return -1;
    double wanted = share * (double)total;
    int i = 0;
    while (i < UPSTREAM_BUCKETS && (double)(below + buckets[i]) < wanted)
        below += buckets[i++];
    if (i == UPSTREAM_BUCKETS) return (double)upstream_bucket_us[UPSTREAM_BUCKETS - 1] / 1000;
    double from = i ? (double)upstream_bucket_us[i - 1] : 0, to = (double)upstream_bucket_us[i];
    double within = buckets[i] ? (wanted - (double)below) / (double)buckets[i] : 0;
    return (from + within * (to - from)) / 1000;
}
