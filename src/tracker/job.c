#include "tracker/job.h"

#include <stdlib.h>

#include "tracker/holder.h"
#include "tracker/webdevice.h"

static job_run *const runs[JOB_KIND_COUNT] = {
    [JOB_NONE] = NULL,
    [JOB_WEB_WRITE] = web_run,
};

/* Whoever waits for another process. */
struct waiting {
    uint32_t peer, number;
    void (*done)(void *context, int result, slice answer);
    void *context;
};

/* --- doing --- */

void job_answer(struct job *job, int result, slice answer)
{
    if (result || answer.len > JOB_BYTES_MAX) answer = SLICE_EMPTY;
    if (job->done) {
        job->done(job->context, result, answer);
    } else {
        uint8_t head[8];
        peers_put(head, job->number);
        peers_put(head + 4, (uint32_t)-result); /* errors are negative */
        peers_tell(job->tracker, job->peer, PEERS_ANSWER, slice_of(head, sizeof head), answer);
    }
    free(job);
}

static int run(const struct job *form, enum job_kind kind, slice request)
{
    struct job *job = malloc(sizeof *job);
    if (!job) return ERR_MEMORY;
    *job = *form;
    if (!job->tracker->node || job->tracker->stopping)
        job_answer(job, ERR_BUSY, SLICE_EMPTY);
    else if (kind >= JOB_KIND_COUNT || !runs[kind])
        job_answer(job, ERR_INVALID, SLICE_EMPTY);
    else
        runs[kind](job, request);
    return OK;
}

void job_asked(struct tracker *tracker, uint32_t peer, slice message)
{
    if (message.len < 5) return;
    struct job form = {.tracker = tracker, .peer = peer, .number = peers_get(message.ptr)};
    int err = run(&form, message.ptr[4], slice_sub(message, 5, message.len));
    if (err) { /* the answer to the one that could not be made */
        uint8_t head[8];
        peers_put(head, form.number);
        peers_put(head + 4, (uint32_t)-err);
        peers_tell(tracker, peer, PEERS_ANSWER, slice_of(head, sizeof head), SLICE_EMPTY);
    }
}

/* --- asking --- */

static void answered(struct tracker *tracker, struct waiting *waiting, int result, slice answer)
{
    handles_remove(&tracker->jobs, waiting->number);
    waiting->done(waiting->context, result, answer);
    free(waiting);
}

static int ask_peer(struct tracker *tracker, uint32_t peer, enum job_kind kind, slice request,
                    struct waiting *waiting)
{
    uint8_t head[5];
    if (tracker->jobs.used >= JOBS_MAX) return ERR_FULL;
    int err = handles_add(&tracker->jobs, waiting, &waiting->number);
    if (err) return err;
    peers_put(head, waiting->number);
    head[4] = (uint8_t)kind;
    err = peers_send(tracker, peer, PEERS_ASK, slice_of(head, sizeof head), request);
    if (err) handles_remove(&tracker->jobs, waiting->number);
    return err;
}

int job_ask(struct tracker *tracker, enum job_kind kind, slice request,
            void (*done)(void *context, int result, slice answer), void *context)
{
    if (request.len > JOB_BYTES_MAX) return ERR_TOO_LARGE;
    uint32_t peer = tracker->node ? 0 : holder_peer(tracker);
    if (!peer) {
        struct job form = {.tracker = tracker, .done = done, .context = context};
        return run(&form, kind, request);
    }
    struct waiting *waiting = malloc(sizeof *waiting);
    if (!waiting) return ERR_MEMORY;
    *waiting = (struct waiting){.peer = peer, .done = done, .context = context};
    int err = ask_peer(tracker, peer, kind, request, waiting);
    if (err) free(waiting);
    if (err != ERR_NOT_FOUND) return err;
    done(context, ERR_BUSY, SLICE_EMPTY); /* it is leaving */
    return OK;
}

void job_answered(struct tracker *tracker, uint32_t peer, slice message)
{
    if (message.len < 8) return;
    struct waiting *waiting = handles_get(&tracker->jobs, peers_get(message.ptr));
    if (!waiting || waiting->peer != peer) return;
    int result = -(int)(peers_get(message.ptr + 4) % ERR_INDEX_COUNT);
    answered(tracker, waiting, result, slice_sub(message, 8, message.len));
}

static void fail_those(struct tracker *tracker, uint32_t peer)
{
    struct waiting *waiting;
    for (size_t at = 0; (waiting = handles_next(&tracker->jobs, &at));) {
        if (!peer || waiting->peer == peer) answered(tracker, waiting, ERR_CLOSED, SLICE_EMPTY);
    }
}

void job_peer_left(struct tracker *tracker, uint32_t peer)
{
    fail_those(tracker, peer);
}

void jobs_close(struct tracker *tracker)
{
    if (tracker->jobs.allocator) fail_those(tracker, 0);
}
