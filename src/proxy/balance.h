/* balance.h - which server gets the next request: pure functions over what is known of the servers.
 *
 * Rules: no I/O, no clock, no allocation, no randomness but what is handed in. */
#ifndef PROXY_BALANCE_H
#define PROXY_BALANCE_H

#include "base/slice.h"
#include "proxy/config.h"

enum {
    BALANCE_NONE = -1,
    BALANCE_WEIGHT_MAX = 1000 * 256, /* of a candidate */
    BALANCE_SLOW_START_LEAST = 10,   /* a server comes back with one part of so many of its weight */
};

/* One server as the choice sees it. */
struct candidate {
    uint32_t weight; /* in 1/256: slow start lowers it; at most BALANCE_WEIGHT_MAX; 0: is not chosen */
    uint32_t active; /* requests under way */
    bool usable;     /* up, not tried yet, below its max_conns */
};

/* What round-robin remembers between two choices: zeroed at first; belongs to one worker. */
struct rotation {
    int64_t current[CONFIG_SERVERS_MAX];
};

/* The index of a usable candidate, or BALANCE_NONE. count: 1 to CONFIG_SERVERS_MAX. */

/* Smooth weighted round-robin: in each cycle every server has its share, spread evenly (nginx, 2012). */
int balance_round_robin(struct rotation *rotation, const struct candidate *candidates, size_t count);
/* The fewest requests under way for its weight; among equals in turn, as round-robin has them. */
int balance_least_conn(struct rotation *rotation, const struct candidate *candidates, size_t count);
/* The better of two chosen at random by weight (Mitzenmacher, 2001). random: 64 random bits. */
int balance_random_two(uint64_t random, const struct candidate *candidates, size_t count);
/* Rendezvous hashing (Thaler and Ravishankar, 1998), by weight: the same key has the same server as long as
 * that is usable, and of the other keys only those of a server that goes or comes move. names: what tells
 * the servers apart over reloads (hashes of their addresses). */
int balance_hash(uint64_t key, const uint64_t *names, const struct candidate *candidates, size_t count);

/* What slow start makes of a weight: of `weight` (1 to 1000) in 1/256, `since_ms` after the server came back.
 * Grows evenly with the time, from BALANCE_SLOW_START_LEAST on. Never 0. */
uint32_t balance_slow_start(unsigned weight, uint64_t since_ms, uint32_t slow_start_ms);

#endif
