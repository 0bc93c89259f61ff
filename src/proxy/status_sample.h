/* status_sample.h - what happened at the servers, second by second, for the last five minutes.
 *
 * Rules: one thread. The groups that are handed in are held by the caller during the call. */
#ifndef PROXY_STATUS_SAMPLE_H
#define PROXY_STATUS_SAMPLE_H

#include "proxy/upstream.h"

enum {
    SAMPLES = 300,       /* kept, one for each second */
    SAMPLES_LATENCY = 60 /* of them, how many the percentiles are of */
};

/* What has been counted so far. */
struct sample_counts {
    uint64_t requests, failures, answered, latency_ns, latencies[UPSTREAM_BUCKETS + 1];
};

/* Of one server, or of all. Index: number of the sample modulo the size. */
struct series {
    char *name;    /* of group and server; NULL: all of them */
    uint64_t seen; /* the last sample that it was in */
    struct sample_counts last;
    uint32_t requests[SAMPLES], failures[SAMPLES];
    uint32_t latency_us[SAMPLES]; /* the mean until the head of an answer; UINT32_MAX: there was no answer */
    uint32_t latencies[SAMPLES_LATENCY][UPSTREAM_BUCKETS + 1];
};

/* Zeroed at first. */
struct sampler {
    uint64_t count;    /* samples taken so far */
    uint64_t taken_ms; /* when the last one was */
    struct series all;
    struct series **by_id; /* of the servers; NULL: none */
    size_t id_count;
};

/* Takes a sample. What there is no memory for is left out. Seconds that were missed have no requests. */
void sampler_take(struct sampler *sampler, struct group *const *groups, size_t count, uint64_t now_ms);
/* NULL: not sampled yet. */
const struct series *sampler_find(const struct sampler *sampler, const struct upstream *upstream);
void sampler_deinit(struct sampler *sampler);

/* Requests in each second, over the last `seconds` (1 to SAMPLES) or as many as there are. */
double series_rate(const struct sampler *sampler, const struct series *series, unsigned seconds);
/* The latency, in milliseconds, that a share of the answers (0.5: half) did not exceed in the last
 * SAMPLES_LATENCY seconds; within a bucket as if its answers were spread evenly, beyond the last one its
 * limit. Negative: there was no answer. */
double series_latency_ms(const struct series *series, double share);

#endif
