/* job.h - something that only the process with the replica can do, asked for at any process. Private to
 * src/tracker.
 *
 * To add one: a line in the enum, and a row with the function that does it in the table of job.c. That
 * function runs in the process that has the replica (tracker->node is there), and answers once, now or later.
 *
 * Rules
 *   Whoever asks is called back once, perhaps before job_ask returns: with what was answered; with
 * ERR_BUSY when nobody has the replica at this moment, nothing was done then; or with ERR_CLOSED when the
 * process that was asked died before it answered: it may have done it, or not. Bounds: JOBS_MAX at a time;
 * a request and an answer have at most JOB_BYTES_MAX. */
#ifndef TRACKER_JOB_H
#define TRACKER_JOB_H

#include "tracker/peers.h"

enum { JOBS_MAX = 4096, JOB_BYTES_MAX = 128 * 1024 };

enum job_kind {
    JOB_NONE,
    JOB_WEB_WRITE, /* webdevice.c */
    JOB_KIND_COUNT,
};

/* One that is being done here. */
struct job {
    struct tracker *tracker;
    void *state; /* of whoever does it */
    /* private */
    uint32_t peer, number;
    void (*done)(void *context, int result, slice answer);
    void *context;
};
typedef void job_run(struct job *job, slice request);
/* Frees it. The answer counts only with OK. */
void job_answer(struct job *job, int result, slice answer);

/* ERR_TOO_LARGE, ERR_FULL, ERR_MEMORY: done is not called. */
int job_ask(struct tracker *tracker, enum job_kind kind, slice request,
            void (*done)(void *context, int result, slice answer), void *context) BASE_CHECKED;
/* The end: those that wait for another process are told ERR_CLOSED. Those that are being done here have to be
 * answered before. */
void jobs_close(struct tracker *tracker);

/* --- for peers.c --- */

peers_handler job_asked, job_answered;
void job_peer_left(struct tracker *tracker, uint32_t peer);

#endif
