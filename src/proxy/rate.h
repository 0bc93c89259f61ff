/* rate.h - how often an address may ask: token buckets for rate_limit, shared by all workers.
 *
 * Memory is bounded: at most RATE_ENTRIES_MAX addresses are remembered, those that asked longest ago are
 * forgotten first (a forgotten one has a full bucket). Of IPv6 an entry is a /64, since a client has all of
 * it.
 *
 * Rules: any thread. */
#ifndef PROXY_RATE_H
#define PROXY_RATE_H

#include "http/ip.h"
#include "proxy/config.h"

enum {
    RATE_ENTRIES_MAX = 64 * 1024,
    RATE_BURST_MAX = 100 * 1000 * 1000, /* a larger one is this */
};

struct rate_table;

/* NULL without memory, or when the system has no random numbers. */
struct rate_table *rate_table_new(void) BASE_CHECKED;
/* NULL is allowed. */
void rate_table_free(struct rate_table *table);
/* Takes a token. A bucket holds burst + 1 of them, and gets per_s each second. zone: which location it is
 * about, the same over reloads. True, or false with *out_wait_s: seconds (1 or more) until there is one.
 * now_ms: monotonic. */
bool rate_take(struct rate_table *table, const struct config_rate *rate, uint64_t zone,
               const uint8_t address[IP_BYTES], uint64_t now_ms, unsigned *out_wait_s);

#endif
