/* tracker.h - the tracker: accounts, who is online, introductions, the relay, and a replica of its channels.
 *
 * One object on one libuv loop, made of libweaprous (HTTP and WebSockets), the store (its own thread) and one
 * node of the core (the replica). docs/protocol/tracker-socket.md is what it says on its socket.
 *
 * Rules
 *   Thread: all functions on the thread that runs tracker_run. crypto_native_start comes first.
 *   Memory: copies its configuration; page and log are borrowed for its life.
 *   Errors: what stops it at the start is one sentence for a person, in `why`. What goes wrong later is
 *           answered to whom it concerns and logged, at most once a minute for each kind; it goes on. */
#ifndef TRACKER_TRACKER_H
#define TRACKER_TRACKER_H

#include "account/accounts.h"
#include "base/err.h"
#include "base/slice.h"
#include "weaprous/weaprous.h"

enum { TRACKER_WHY_BYTES = 768 };

struct tracker_config {
    const char *database; /* path of the SQLite file */
    /* The folder that it shares with other processes of the same database (peers.h); NULL: it is alone. */
    const char *shared_folder;
    /* Called once the processes that share the database have agreed, before it is opened; or NULL. With an
     * error the start ends, without words: they have been said. */
    int (*prepare)(void *context);
    void *prepare_context;
    const char *const *ips; /* where to listen, at least one */
    size_t ip_count;
    uint16_t port;                 /* 0: the system chooses */
    const struct wr_tls *tls;      /* NULL: plain HTTP */
    double relay_total_per_second; /* for all accounts together; 0: TRACKER_RELAY_TOTAL_PER_SECOND */
    const char *ice_servers;       /* STUN and TURN servers for browsers: a list, or a file; or NULL */
    const char *turn_secret_file;  /* its first line is the secret that the TURN servers share; or NULL */
    const char *metrics_from;      /* networks that may look at /metrics besides this computer, or NULL */
    const char *trusted_proxies;   /* as wr_trust_proxies takes them, or NULL */
    const char *page_origins;      /* as origins_read takes them, or NULL */
    enum registration registration;
    /* The page: assets, of which "/index.html" is the page itself; NULL: one line of text instead. */
    const struct wr_asset *page;
    size_t page_count;
    const char *page_policy; /* Content-Security-Policy, or NULL */
    bool classroom;          /* names without a login are taken for announcements: docs/api.md, part 1 */
    const char *pool_secret; /* of native peers that offer themselves; NULL: none can, but with classroom */
    double relay_bytes_per_second; /* for each account */
    /* How much of one direct conversation is kept, and for how long after its last word; 0: the defaults. */
    uint64_t conversation_bytes;
    uint32_t conversation_days;
    uint32_t database_pages_max; /* 0: no limit; for tests of a full disk */
    /* For the replica's node_config.trace: secrets too (core/trace.h). NULL: no trace. */
    void (*trace)(void *context, slice piece);
    void *trace_context;
    const char *access_log, *log_file; /* one line for each answer; trouble instead of `log`. NULL: none */
    void (*log)(void *context, enum wr_log_level level, const char *text);
    void *log_context;
};

#define CONVERSATION_BYTES ((int64_t)64 * 1024 * 1024)
#define CONVERSATION_DAYS 365
#define TRACKER_RELAY_BYTES_PER_SECOND (4.0 * 1024 * 1024)
#define TRACKER_RELAY_TOTAL_PER_SECOND (64.0 * 1024 * 1024)

struct tracker;

/* Opens the database, brings back the replica and listens. Blocks. ERR_EXISTS: it cannot listen there; `why`
 * then has no full stop, so that the caller can add what to do. */
int tracker_open(const struct tracker_config *config, struct tracker **out_tracker,
                 char why[TRACKER_WHY_BYTES]) BASE_CHECKED;
/* What makes an administrator of whoever opens /admin?ticket=... with it, once, for a day; NULL when there is
 * an administrator already. */
const char *tracker_admin_ticket(const struct tracker *tracker);
/* Where it listens. */
uint16_t tracker_port(const struct tracker *tracker);
struct uv_loop_s *tracker_loop(struct tracker *tracker);
/* Serves until tracker_stop has drained. */
void tracker_run(struct tracker *tracker);
/* Opens the log files again under their names, after they were rotated. */
void tracker_reopen_logs(struct tracker *tracker);
/* Says goodbye to every socket, lets requests under way be answered, ends tracker_run. */
void tracker_stop(struct tracker *tracker);
/* Waits until the store has everything on disk, and frees. Not while tracker_run is running. NULL is allowed.
 */
void tracker_close(struct tracker *tracker);

#endif
