#include "tracker/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tracker/bridge.h"
#include "tracker/replica.h"

/* The kernel ends the lock of a process that has died a moment after its sockets. */
enum { RETRY_SOON_MS = 10, RETRY_MS = 250, RETRY_LATER_MS = 2000 };

struct takeover {
    uv_work_t work;
    struct tracker *tracker;
    struct replica_source source;
    struct replica_found found;
    struct store_options options;
    char why[STORE_WHY_BYTES];
    int result;
    uint64_t began_ms;
};

struct holder {
    int lock; /* descriptor, or -1 when it is alone */
    bool locked;
    uint32_t peer;
    uv_timer_t retry;
    struct takeover *takeover; /* under way */
};

/* ERR_BUSY: another process has it. */
static int take_lock(struct holder *holder)
{
    if (holder->lock >= 0 && flock(holder->lock, LOCK_EX | LOCK_NB))
        return errno == EWOULDBLOCK ? ERR_BUSY : ERR_IO;
    holder->locked = true;
    return OK;
}

static void release_lock(struct holder *holder)
{
    holder->locked = false;
    if (holder->lock >= 0) (void)flock(holder->lock, LOCK_UN);
}

static void explain(const struct tracker *tracker, int err, char why[TRACKER_WHY_BYTES])
{
    snprintf(why, TRACKER_WHY_BYTES, "The messages in %s cannot be brought back: %s.",
             tracker->config.database, err_text(err));
}

/* --- taking over while serving --- */

static void bring_back(uv_work_t *work)
{
    struct takeover *takeover = work->data;
    takeover->result = store_open(&takeover->options, &takeover->source.store, takeover->why);
    if (takeover->result) return;
    takeover->result = replica_restore(&takeover->source, &takeover->found);
    store_close(takeover->source.store);
}

static void retry_in(struct tracker *tracker, unsigned ms);

static void brought_back(uv_work_t *work, int status)
{
    struct takeover *takeover = work->data;
    struct tracker *tracker = takeover->tracker;
    struct holder *holder = tracker->holder;
    int err = status ? ERR_CLOSED : takeover->result;
    holder->takeover = NULL;
    if (tracker->stopping) {
        node_destroy(takeover->found.node);
        free(takeover);
        return;
    }
    if (!err) err = replica_start(tracker, &takeover->found);
    if (err) {
        tracker_log_some(tracker, LOG_PEERS, "the replica was not taken over: %s", err_text(err));
        release_lock(holder);
        retry_in(tracker, RETRY_LATER_MS);
    } else {
        tracker_log(tracker, WR_LOG_WARNING, "this process has the replica now (%llu ms, %zu messages)",
                    (unsigned long long)(tracker_now_ms(tracker) - takeover->began_ms), takeover->found.kept);
        peers_publish(tracker, PEERS_HOLDER, SLICE_EMPTY);
        replica_links_go_on(tracker);
        replica_pump(tracker);
    }
    free(takeover);
}

static int take_over(struct tracker *tracker)
{
    struct takeover *takeover = calloc(1, sizeof *takeover);
    if (!takeover) return ERR_MEMORY;
    takeover->tracker = tracker;
    takeover->work.data = takeover;
    takeover->options = (struct store_options){.path = tracker->config.database,
                                               .pages_max = tracker->config.database_pages_max};
    takeover->source = (struct replica_source){
        .config = &tracker->config, .seed = tracker->seed, .now_us = tracker_now_us(tracker)};
    takeover->began_ms = tracker_now_ms(tracker);
    if (uv_queue_work(tracker->loop, &takeover->work, bring_back, brought_back)) {
        free(takeover);
        return ERR_MEMORY;
    }
    tracker->holder->takeover = takeover;
    return OK;
}

static void retry(uv_timer_t *timer)
{
    struct tracker *tracker = timer->data;
    struct holder *holder = tracker->holder;
    if (holder->locked || tracker->stopping || take_lock(holder)) {
        if (!holder->locked) retry_in(tracker, RETRY_MS);
        return;
    }
    holder->peer = 0;
    if (take_over(tracker)) {
        release_lock(holder);
        retry_in(tracker, RETRY_LATER_MS);
    }
}

static void retry_in(struct tracker *tracker, unsigned ms)
{
    if (!tracker->stopping) uv_timer_start(&tracker->holder->retry, retry, ms, 0);
}

/* --- the others --- */

void holder_named(struct tracker *tracker, uint32_t peer, slice message)
{
    (void)message;
    tracker->holder->peer = peer;
    replica_links_go_on(tracker);
}

void holder_retired(struct tracker *tracker, uint32_t peer, slice message)
{
    (void)message;
    if (tracker->holder->peer == peer) tracker->holder->peer = 0;
}

void holder_retire(struct tracker *tracker)
{
    if (tracker->node) peers_publish(tracker, PEERS_RETIRED, SLICE_EMPTY);
    bridges_close(tracker, "The server is being restarted.");
}

void holder_joined(struct tracker *tracker, uint32_t peer)
{
    if (tracker->node) peers_tell(tracker, peer, PEERS_HOLDER, SLICE_EMPTY, SLICE_EMPTY);
}

void holder_left(struct tracker *tracker, uint32_t peer)
{
    struct holder *holder = tracker->holder;
    if (holder->peer == peer) holder->peer = 0;
    if (!holder->locked) retry_in(tracker, RETRY_SOON_MS);
}

uint32_t holder_peer(const struct tracker *tracker)
{
    return tracker->holder->peer;
}

/* --- start and end --- */

static int open_lock(struct tracker *tracker, struct holder *holder)
{
    const char *folder = tracker->config.shared_folder;
    size_t room = folder ? strlen(folder) + sizeof "/replica.lock" : 0;
    holder->lock = -1;
    if (!folder) return OK;
    char *path = malloc(room);
    if (!path) return ERR_MEMORY;
    snprintf(path, room, "%s/replica.lock", folder);
    holder->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    return holder->lock < 0 ? ERR_IO : OK;
}

int holder_prepare(struct tracker *tracker)
{
    struct holder *holder = calloc(1, sizeof *holder);
    if (!holder) return ERR_MEMORY;
    holder->lock = -1;
    uv_timer_init(tracker->loop, &holder->retry);
    holder->retry.data = tracker;
    tracker->holder = holder;
    return OK;
}

int holder_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES])
{
    struct holder *holder = tracker->holder;
    struct replica_found found = {0};
    int err = open_lock(tracker, holder);
    if (!err) err = take_lock(holder);
    bool here = !err;
    if (err == ERR_BUSY) err = OK;
    if (!err && here) {
        struct replica_source source = {.store = tracker->store,
                                        .config = &tracker->config,
                                        .seed = tracker->seed,
                                        .now_us = tracker_now_us(tracker)};
        err = replica_restore(&source, &found);
    }
    if (!err) err = store_start(tracker->store);
    if (err)
        node_destroy(found.node);
    else if (here)
        err = replica_start(tracker, &found);
    if (err) {
        explain(tracker, err, why);
        return err;
    }
    if (here)
        peers_publish(tracker, PEERS_HOLDER, SLICE_EMPTY);
    else
        retry_in(tracker, RETRY_MS);
    return OK;
}

bool holder_is_busy(const struct tracker *tracker)
{
    return tracker->holder && tracker->holder->takeover;
}

static void freed(uv_handle_t *handle)
{
    struct holder *holder = (struct holder *)((char *)handle - offsetof(struct holder, retry));
    free(holder);
}

void holder_close(struct tracker *tracker)
{
    struct holder *holder = tracker->holder;
    if (!holder) return;
    replica_close(tracker);
    if (holder->lock >= 0) close(holder->lock);
    uv_close((uv_handle_t *)&holder->retry, freed);
    tracker->holder = NULL;
}
