/* worker.h - one world in a process of its own, so that a core which takes it down is one world that failed,
 * and several run side by side. */
#ifndef SIM_WORKER_H
#define SIM_WORKER_H

#include "sim.h"

struct outcome {
    struct sim_report report;
    uint64_t cpu_us; /* of the processor */
};

struct worker {
    struct outcome *outcome; /* shared with the process */
    int child;               /* its id, 0: none */
    uint64_t seed;
};

/* Runs the world here. */
void outcome_of(const struct sim_options *options, struct outcome *out);

/* False when the system gives no memory or no process. */
bool worker_init(struct worker *w);
void worker_deinit(struct worker *w);
bool worker_start(struct worker *w, const struct sim_options *options);
/* Waits for the end; the outcome of a process that died is a failed one. */
const struct outcome *worker_wait(struct worker *w);

#endif
