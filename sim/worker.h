/* worker.h - worlds in processes beside this one, so that a core which takes its process down is one world
 * that failed, and several run side by side. A process takes world after world until one takes it down; the
 * next gets a new one. Rules: one thread. A process ends by itself when this one is gone. */
#ifndef SIM_WORKER_H
#define SIM_WORKER_H

#include "sim.h"

enum { JOBS_MAX = 64 };

struct outcome {
    struct sim_report report;
    uint64_t cpu_us; /* of the processor */
};

struct worker {
    struct outcome *outcome; /* shared with the process */
    int child;               /* its id, 0: none */
    int socket;              /* to it: a seed; from it: a byte when that world is over */
    bool busy;
    uint64_t seed; /* what it has, or had last */
};

struct crew {
    const struct sim_options *options; /* but for the seed */
    struct worker workers[JOBS_MAX];
    uint32_t len;
};

/* Runs the world here. */
void outcome_of(const struct sim_options *options, struct outcome *out);

/* Borrows options until crew_deinit. len: 1 to JOBS_MAX. False when the system gives no memory. */
bool crew_init(struct crew *crew, const struct sim_options *options, uint32_t len);
/* Ends the processes; what they are at is lost. */
void crew_deinit(struct crew *crew);
/* Gives the world of this seed to one that is free. False when none is. */
bool crew_start(struct crew *crew, uint64_t seed);
/* Waits until one is ready: its seed and outcome are good until it is given another world. The outcome of a
 * process that died is a failed one. NULL when none is at work. */
const struct worker *crew_wait(struct crew *crew);

#endif
