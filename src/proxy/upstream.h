/* upstream.h - the servers behind the proxy, as all workers see them: whether they are up, how busy they are,
 * what happened to requests.
 *
 * A group is one of the configuration with its state. Servers outlive a reload: the same server (scheme, host
 * and port) in the group of the same name is the same object, with its health, counts and connections.
 *
 * Two things that know of each other decide whether a server gets requests.
 *
 * The circuit breaker looks at requests. After breaker_fails failures in a row (of all workers) the server is
 * DOWN for a pause; then one request at a time is a TRIAL of it. When that succeeds the server is UP; when it
 * fails the next pause begins, twice as long, up to UPSTREAM_PAUSE_MAX_MS. A pause is for while others are
 * up: for a request that has no other server a trial is allowed UPSTREAM_EARLY_MS after the last failure.
 *
 * Health checks: check_fall failures in a row take a server out, until check_rise checks have passed in a
 * row; without trials, since the checks are the trials. They take over from a circuit that is open. Checks
 * that pass end the first pause of a circuit, so that a trial comes at once; when a trial has failed all the
 * same, requests know better than checks, and the pauses run their time.
 *
 * Who comes back has a slow start. A valid answer ends a row of failures. What requests report that began
 * before the server went down changes nothing. A server without both is always UP.
 *
 * Rules: what is atomic is read and written with relaxed order by any worker; changes of `state`, and what
 * belongs to them, are made under the lock `why_lock`. The rest is constant while the group exists. Groups
 * and servers are made and freed by the thread that reloads. */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include <stdatomic.h>
#include <uv.h>

#include "http/ip.h"
#include "proxy/balance.h"
#include "proxy/config.h"

struct tls_client;

enum {
    UPSTREAM_BUCKETS = 14,
    UPSTREAM_WHY_BYTES = 120,
    UPSTREAM_ADDRESSES_MAX = 8,
    UPSTREAM_PAUSE_MAX_MS = 60 * 1000, /* of a circuit, unless the configuration says more */
    UPSTREAM_TRIAL_MS = 60 * 1000,     /* a trial that says nothing for so long is over */
    UPSTREAM_EARLY_MS = 1000,          /* from a failure to a trial, for want of another server */
    UPSTREAM_STICKY_BYTES = 16,
    REGISTRY_CHAINS = 4096,
};

enum upstream_state {
    UPSTREAM_UP,
    UPSTREAM_DOWN,  /* by health checks, or its circuit is open */
    UPSTREAM_TRIAL, /* the pause of its circuit is over: one request is trying it */
};

struct upstream {
    struct upstream *next, *previous;    /* in the registry, by id */
    struct upstream *chain;              /* the next one with the same place there */
    uint64_t key;                        /* of the place */
    unsigned owners;                     /* groups, old ones too; of the thread that reloads */
    bool named;                          /* of registry_use */
    uint32_t id;                         /* below registry->id_count; given again when it is freed */
    char *group_name, *host, *authority; /* "host:port" */
    uint16_t port;
    bool tls;
    struct tls_client *client_tls; /* NULL without TLS */
    uint64_t name_hash;            /* of scheme, host and port: for balance_hash */
    uint64_t tls_hash;             /* of proxy_tls; the same for all that share client_tls */
    atomic_bool retired;           /* the configuration does not name it any more: keep no connections */
    /* --- health --- */
    atomic_uint state;
    atomic_uint fails_in_row, check_fails, check_passes;
    /* DOWN: until then by the circuit, 0: until checks pass. TRIAL: then it is over. */
    atomic_uint_fast64_t down_until_ms;
    atomic_uint_fast64_t failed_ms;   /* when it went down, or its last trial failed */
    atomic_uint pause_ms;             /* grows with each failed trial */
    atomic_bool lookup;               /* something failed: its name is to be looked up again */
    atomic_uint_fast64_t up_since_ms; /* for slow start; 0: from the beginning */
    atomic_uint_fast64_t changed_ms;  /* when it went up or down */
    uv_mutex_t why_lock;
    char why[UPSTREAM_WHY_BYTES]; /* the last failure, in words; guarded */
    /* --- addresses of its name; guarded by why_lock --- */
    atomic_uint address_count; /* 0: not known yet, or its host is an address; read without it too */
    unsigned address_turn;     /* where the next connection begins */
    uint8_t addresses[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
    /* --- counts --- */
    atomic_uint active;            /* requests under way */
    atomic_uint connections, idle; /* open to it; of these without a request */
    atomic_uint_fast64_t requests, failures, retried, answers[5], sent_bytes, received_bytes;
    atomic_uint_fast64_t connects, reused;
    atomic_uint_fast64_t latency_ns; /* the sum, until the head of the answer */
    atomic_uint_fast64_t latencies[UPSTREAM_BUCKETS + 1];
};
/* The limits of the buckets, in microseconds. */
extern const uint64_t upstream_bucket_us[UPSTREAM_BUCKETS];

/* The place of a server in a group. */
struct member {
    struct upstream *upstream;
    const struct config_server *config;
};

struct group {
    const struct config_group *config;
    struct member members[CONFIG_SERVERS_MAX];
    size_t count;
    bool has_backup;
    uint64_t names[CONFIG_SERVERS_MAX]; /* their name_hash */
    char sticky[CONFIG_SERVERS_MAX][UPSTREAM_STICKY_BYTES + 1];
    struct rotation *rotations; /* of each worker */
    atomic_uint waiting;        /* requests in the queues of all workers, for the status */
};

/* All servers there are, the thread's that reloads. */
struct registry {
    struct upstream *first;                   /* by id */
    struct upstream *dense;                   /* all ids up to that of this one are given; NULL: 0 is not */
    struct upstream *chains[REGISTRY_CHAINS]; /* by the place, for group_new */
    unsigned worker_count;
    uint32_t id_count; /* ids have been below this; never falls */
    char why[300];     /* of group_new */
    /* Told, on any thread, once each time that a server went up or down, and why: "connection refused",
     * "health check: status 500", "2 checks passed". May be NULL. */
    void (*changed)(void *context, const struct upstream *upstream, bool up, const char *why);
    void *context;
};

void registry_init(struct registry *registry, unsigned worker_count);
/* All groups have been freed. */
void registry_deinit(struct registry *registry);
/* These groups are the configuration at work from now on: servers of others are retired (until named again),
 * and a server that nothing would bring back any more (its checks are gone) is up. */
void registry_use(struct registry *registry, struct group *const *groups, size_t count, uint64_t now_ms);

/* A group for a part of a configuration, which must outlive it. Changes nothing for servers that are at work:
 * see registry_use. ERR_MEMORY; ERR_INVALID: a file of authorities cannot be used, *out_why (borrowed until
 * the next call) says so. */
int group_new(struct registry *registry, const struct config_group *config, struct group **out,
              const char **out_why) BASE_CHECKED;
void group_free(struct registry *registry, struct group *group);

/* --- choosing; worker: the index of the one that asks --- */

enum { PICK_ALL_DOWN = -1, PICK_ALL_BUSY = -2, PICK_ALL_TRIED = -3 };

struct pick {
    uint64_t now_ms; /* of a monotonic clock that all workers share (uv_hrtime) */
    uint64_t random;
    uint64_t tried;         /* a bit for each member that is not to be chosen */
    const uint8_t *address; /* IP_BYTES, of the client; may be NULL when the policy is not ip-hash */
    slice sticky;           /* the value of the cookie; empty: none */
    bool unrepeatable;      /* could not be sent again: is no trial as long as there is another server */
    bool trial;             /* out: the request tries whether the server is back */
};
/* The index of a member, or:
 *   PICK_ALL_DOWN   none is up
 *   PICK_ALL_BUSY   one that is up and not tried has max_conns requests, or there is none but one whose trial
 *                   has just begun: wait, and ask again
 *   PICK_ALL_TRIED  those that are up have been tried.
 * Backups are chosen when all others are down or tried, not when they are busy. When the server is DOWN and
 * its pause is over, this call makes it TRIAL, and the request is the trial: it must end with
 * upstream_failed, upstream_succeeded or upstream_trial_lost. With several workers max_conns may be exceeded
 * by as many requests as there are further workers. */
int group_pick(struct group *group, unsigned worker, struct pick *pick);
/* The value of the cookie that leads to this member. It is a hash of the server's scheme, host and port, the
 * same over reloads and restarts: who sees it learns which clients have the same server, and can confirm a
 * guess of its address. */
void group_sticky_value(const struct group *group, int member, char out[UPSTREAM_STICKY_BYTES + 1]);
/* When a server may be up again, in seconds from now, at least 1: for Retry-After. */
unsigned group_retry_after_s(const struct group *group, uint64_t now_ms);

/* --- what happened to requests --- */

/* A request goes to it. */
void upstream_begin(struct upstream *upstream);
/* The head of its answer has come, after so long. */
void upstream_answered(struct upstream *upstream, int status, uint64_t latency_ns);
/* The request is over (also one that failed): after upstream_begin, once. */
void upstream_end(struct upstream *upstream);
/* False when a connection failed for want of something on this side: descriptors, memory, a free port. That
 * says nothing about the server, and would take out all of them. */
bool upstream_is_to_blame(int uv_error);
/* It could not be connected to, or gave no valid answer: `why` in words. */
void upstream_failed(struct registry *registry, const struct group *group, struct upstream *upstream,
                     uint64_t now_ms, const char *why);
/* A valid answer came: its row of failures is over, a trial has succeeded. */
void upstream_succeeded(struct registry *registry, const struct group *group, struct upstream *upstream,
                        uint64_t now_ms);
/* The request that was the trial is over without either (the client has gone): another one may be it. */
void upstream_trial_lost(struct upstream *upstream, uint64_t now_ms);

/* --- what happened to checks --- */

void upstream_check_passed(struct registry *registry, const struct group *group, struct upstream *upstream,
                           uint64_t now_ms);
/* why: "status 500". */
void upstream_check_failed(struct registry *registry, const struct group *group, struct upstream *upstream,
                           uint64_t now_ms, const char *why);

/* --- its name --- */

/* The addresses that its name had when it was last looked up, for stream_connect: each call begins with
 * another one, so that all have their share of the connections. Returns how many; 0: not known, the name is
 * still to be looked up, or its host is an address. */
unsigned upstream_addresses(struct upstream *upstream, uint8_t out[UPSTREAM_ADDRESSES_MAX][IP_BYTES]);
/* What its name has now; the first UPSTREAM_ADDRESSES_MAX count. */
void upstream_set_addresses(struct upstream *upstream, const uint8_t (*addresses)[IP_BYTES], unsigned count);
/* The last failure in words; "" when there was none. */
void upstream_why(struct upstream *upstream, char out[UPSTREAM_WHY_BYTES]);

#endif
