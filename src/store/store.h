/* store.h - what the tracker keeps: its identity, accounts, sessions, device certificates and entries.
 *
 * The store runs on a thread of its own. Operations wait in a queue; the thread takes all that wait and makes
 * them one transaction (group commit), so a thousand writes cost one fsync. The interface is engine-neutral:
 * no operation says how it is stored, each is atomic, and what must be unique is decided by the store and not
 * by what the caller remembers, so that several trackers can share one database. SQLite is the engine now.
 *
 * Rules
 *   Thread: all functions from one thread, the owner's. The store calls `wake` from its own thread; the owner
 *           then calls store_complete on its thread, and only there the `done` functions run. So the store
 *           needs no event loop, and any loop will do (uv_async_send, a byte in a pipe).
 *   Order:  operations take effect, and complete, in the order of submission. One that submits while another
 *           waits is in the same or a later transaction, never in an earlier one.
 *   Durable before acknowledged: `done` of a write with OK runs after the transaction is on the disk
 *           (synchronous=FULL). When a transaction cannot be committed, every operation in it completes with
 *           the error and none has taken effect.
 *   Bounds: STORE_QUEUE_MAX operations and STORE_QUEUE_BYTES_MAX bytes wait at most.
 *   Time:   milliseconds since 1970, given by the caller.
 *   Errors: ERR_DISK_FULL (also quotas and file-size limits), ERR_DENIED (read-only or not permitted),
 *           ERR_CORRUPT, ERR_VERSION (written by a newer program), ERR_BUSY (another process held the
 *           database for more than 5 s), ERR_IO, ERR_MEMORY.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/err.h"
#include "base/slice.h"

enum {
    STORE_QUEUE_MAX = 16384,
    STORE_QUEUE_BYTES_MAX = 64 * 1024 * 1024,
    STORE_ID_BYTES = 32,         /* devices, channels, authors, token hashes */
    STORE_SECRET_BYTES = 32,     /* named secrets */
    STORE_TEXT_BYTES_MAX = 1024, /* names, keys, password hashes */
    STORE_RECORD_BYTES_MAX = 65536,
    STORE_DEVICES_MAX = 1000, /* device certificates of one account */
    STORE_WHY_BYTES = 512,
};

struct store;

struct store_options {
    const char *path; /* the database file; made with mode 0600 when it is missing */
    /* Completions wait. Called on the store's thread; only passes the news on, calls nothing of the store. */
    void (*wake)(void *context);
    void *wake_context;
    /* The database may grow to this many pages of 4 KiB; 0: no limit. For tests of a full disk. */
    uint32_t pages_max;
};

/* Opens or makes the database and brings it to this program's version. Blocks. On an error *out_store is not
 * written and `why` holds one sentence for a person, with the path and what to do. Free with store_close. */
int store_open(const struct store_options *options, struct store **out_store,
               char why[STORE_WHY_BYTES]) BASE_CHECKED;

/* --- at the start, before store_start; these block --- */

/* The secret of that name: kept from an earlier start, or else `secret` as given is kept from now on. */
int store_secret(struct store *store, const char *name, uint8_t secret[STORE_SECRET_BYTES]) BASE_CHECKED;
/* Visits all records that ENTRY_PUT and CHANNEL_PUT made durable: channel records first, then entries of each
 * (channel, author) by rising seq. The slice is valid during the call. A result other than OK ends the walk
 * and is returned. */
typedef int store_visit(void *context, slice record);
int store_each_record(struct store *store, store_visit *visit, void *context) BASE_CHECKED;
/* From now on store_submit. ERR_MEMORY, ERR_IO (no thread). */
int store_start(struct store *store) BASE_CHECKED;

/* Channels that the tracker is to host besides its first one, by name. Adding one that is there is OK. */
int store_host_channel(struct store *store, slice name, uint64_t time_ms) BASE_CHECKED;
/* Visits the names in the order in which they were added; as store_each_record. */
int store_each_hosted(struct store *store, store_visit *visit, void *context) BASE_CHECKED;

struct store_account {
    int64_t account;
    slice name, secret; /* valid during the visit */
    uint64_t created_ms;
    int role;                   /* accounts_sql.h */
    bool disabled;              /* it cannot log in */
    uint64_t sessions, devices; /* how many: sessions that are not over, device certificates */
};
/* Visits all accounts by name; a result other than OK ends the walk and is returned. time_ms: now. */
typedef int store_account_visit(void *context, const struct store_account *account);
int store_each_account(struct store *store, uint64_t time_ms, store_account_visit *visit,
                       void *context) BASE_CHECKED;

/* --- operations --- */

/* Which fields of store_row go in and come out. Not named: ignored. */
enum store_kind {
    STORE_ACCOUNT_ADD = 1, /* name, key, secret, time_ms -> account. ERR_EXISTS: the key is taken, or was
                              somebody's who deleted the account (accounts_sql.h) */
    STORE_ACCOUNT_GET,     /* key -> account, name, secret. ERR_NOT_FOUND */
    STORE_ACCOUNT_SECRET,  /* key, secret -> account. ERR_NOT_FOUND */
    STORE_ACCOUNT_REMOVE,  /* key -> account. ERR_NOT_FOUND. Its sessions and device certificates go with it;
                              its number is never given again */
    STORE_SESSION_ADD,     /* token, account, time_ms, expires_ms */
    STORE_SESSION_GET,     /* token, time_ms -> account, name, role, expires_ms, seen_ms. ERR_NOT_FOUND, also
                              when expired, or when the account is disabled */
    STORE_SESSION_EXTEND,  /* token, expires_ms; fine when it is gone */
    STORE_SESSION_REMOVE,  /* token; fine when it is gone */
    STORE_SESSION_END_ALL, /* account -> seq: how many it had */
    STORE_SESSION_PURGE,   /* time_ms: removes what has expired */
    STORE_DEVICE_CLAIM,  /* device, account, record (a certificate), time_ms, expires_ms, renew_ms -> record,
                            expires_ms. Binds the device to the account. A certificate that is kept already
                            and expires after renew_ms stays and comes back; else the given one is kept.
                            ERR_DENIED: the device is another account's; ERR_WRONG_STATE: it was
                            revoked; ERR_FULL: STORE_DEVICES_MAX, revoked ones included */
    STORE_CHANNEL_PUT,   /* channel, record: keeps the newest */
    STORE_ENTRY_PUT,     /* channel, author, seq, entry_kind, place_ms, record. The same record again is OK;
                            ERR_EXISTS: another one stands there */
    STORE_ENTRY_REPLACE, /* the same, in place of what stands there */
    STORE_ENTRY_GET,     /* channel, author, seq -> record. ERR_NOT_FOUND */
    STORE_KIND_COUNT,
};

struct store_row {
    int64_t account;
    uint64_t seq;      /* up to 2^63 - 1 */
    uint64_t place_ms; /* likewise all times */
    uint64_t time_ms, expires_ms, renew_ms, seen_ms;
    int role;
    uint32_t entry_kind;
    slice name, key, secret; /* text */
    slice record;
    const uint8_t *token, *device, *channel, *author; /* STORE_ID_BYTES each */
};

/* `row` and what it points to are valid during the call only. */
typedef void store_done(void *context, int result, const struct store_row *row);

/* Queues one operation; `row` is copied. `done` (may be NULL) runs exactly once, in store_complete or
 * store_close, never in here. ERR_FULL: too much is waiting, nothing was queued; ERR_INVALID, ERR_MEMORY. */
int store_submit(struct store *store, enum store_kind kind, const struct store_row *row, store_done *done,
                 void *context) BASE_CHECKED;
/* Carries out one operation on the caller's thread, before store_start or without it; `done` (may be NULL)
 * runs before this returns its result. For programs that do one thing and end. */
int store_run(struct store *store, enum store_kind kind, const struct store_row *row, store_done *done,
              void *context) BASE_CHECKED;
/* Runs `done` for what is finished; those may submit again. Returns how many ran. */
size_t store_complete(struct store *store);

struct store_stats {
    uint64_t operations;   /* executed */
    uint64_t transactions; /* that wrote something */
    uint64_t failures;     /* operations that ended with an error of class SYSTEM */
    size_t waiting;        /* submitted, not completed */
};
void store_stats(struct store *store, struct store_stats *out);

/* Waits until everything that was submitted is on the disk, runs what is left of `done` (those may submit no
 * more: ERR_CLOSED), ends the thread and closes. NULL is allowed. */
void store_close(struct store *store);

#endif
