/* upstream.h - the servers behind the proxy, as all workers see them: whether they are up, how busy they are,
 * what happened to requests.
 *
 * A group is one of the configuration with its state. Servers outlive a reload: the same server (scheme, host
 * and port) in the group of the same name is the same object, with its health, counts and connections.
 *
 * Rules: what is atomic is read and written with relaxed order by any worker; the rest is constant while the
 * group exists. Groups and servers are made and freed by the thread that reloads. */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include <stdatomic.h>
#include <uv.h>

#include "http/ip.h"
#include "proxy/balance.h"
#include "proxy/config.h"

struct tls_client;

enum { UPSTREAM_BUCKETS = 14, UPSTREAM_WHY_BYTES = 120, UPSTREAM_ADDRESSES_MAX = 8 };

enum upstream_state {
    UPSTREAM_UP,
    UPSTREAM_DOWN,  /* by health checks, or its circuit is open */
    UPSTREAM_TRIAL, /* the pause of its circuit is over: one request may try */
};

struct upstream {
    struct upstream *next;               /* in the registry */
    unsigned owners;                     /* groups, old ones too; of the thread that reloads */
    uint32_t id;                         /* below registry->id_count; given again when it is freed */
    char *group_name, *host, *authority; /* "host:port" */
    uint16_t port;
    bool tls;
    struct tls_client *client_tls; /* NULL without TLS */
    uint64_t name_hash;
    atomic_bool retired; /* the configuration does not name it any more: keep no connections */
    /* --- health --- */
    atomic_uint state;
    atomic_uint fails_in_row, check_fails, check_passes;
    atomic_uint_fast64_t down_until_ms; /* of the circuit; 0: until a check passes */
    atomic_uint pause_ms;               /* grows with each failed trial */
    atomic_uint_fast64_t up_since_ms;   /* for slow start; 0: from the beginning */
    atomic_uint_fast64_t changed_ms;    /* when the state changed */
    uv_mutex_t why_lock;
    char why[UPSTREAM_WHY_BYTES]; /* the last failure, in words; guarded */
    /* --- addresses of its name; guarded by why_lock --- */
    unsigned address_count; /* 0: not known yet, or its host is an address */
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
    uint64_t names[CONFIG_SERVERS_MAX];
    struct rotation *rotations; /* of each worker: two, the second for backups */
    unsigned waiting;           /* requests in the queues of all workers; atomic, for the status */
};

/* All servers there are, the thread's that reloads. */
struct registry {
    struct upstream *first;
    unsigned worker_count;
    uint32_t id_count;
    /* Told, on any thread, that a server went up or down; may be NULL. */
    void (*changed)(void *context, const struct upstream *upstream, bool up, const char *why);
    void *context;
};

void registry_init(struct registry *registry, unsigned worker_count);
void registry_deinit(struct registry *registry);

/* A group for a part of a configuration, which must outlive it. ERR_MEMORY; ERR_INVALID: a file of
 * authorities cannot be used, *out_why says so. */
int group_new(struct registry *registry, const struct config_group *config, struct group **out,
              const char **out_why) BASE_CHECKED;
void group_free(struct registry *registry, struct group *group);

/* --- choosing; worker: the index of the one that asks --- */

enum { PICK_ALL_DOWN = -1, PICK_ALL_BUSY = -2, PICK_ALL_TRIED = -3 };

struct pick {
    uint64_t now_ms; /* of a monotonic clock that all workers share (uv_hrtime) */
    uint64_t random;
    uint64_t tried;         /* a bit for each member that is not to be chosen */
    const uint8_t *address; /* IP_BYTES, of the client */
    slice sticky;           /* the value of the cookie; empty: none */
};
/* The index of a member, or a PICK. A server in its trial is counted as tried by this call. */
int group_pick(struct group *group, unsigned worker, const struct pick *pick);
/* The value of the cookie that leads to this member: 16 characters, no secret. */
void group_sticky_value(const struct group *group, int member, char out[17]);
/* When a server may be up again, in seconds from now, at least 1: for Retry-After. */
unsigned group_retry_after_s(const struct group *group, uint64_t now_ms);

/* --- what happened --- */

/* A request goes to it. */
void upstream_begin(struct upstream *upstream);
/* The head of its answer has come, after so long. */
void upstream_answered(struct upstream *upstream, int status, uint64_t latency_ns);
/* The request is over (also one that failed): after upstream_begin, once. */
void upstream_end(struct upstream *upstream);
/* It could not be connected to, or gave no valid answer: `why` in words. */
void upstream_failed(struct registry *registry, const struct group *group, struct upstream *upstream,
                     uint64_t now_ms, const char *why);
/* A valid answer came: its row of failures is over, a trial has succeeded. */
void upstream_succeeded(struct registry *registry, const struct group *group, struct upstream *upstream,
                        uint64_t now_ms);
/* The address to connect to next, as text: one of those that its name had when it was last looked up, or its
 * host when that is not known (or TLS needs the name). `turn`: 0 first, then the next ones. */
void upstream_address(struct upstream *upstream, unsigned turn, char out[256]);

#endif
