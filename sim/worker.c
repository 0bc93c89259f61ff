#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "worker.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Of this process: the machine may have other work. */
static uint64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void outcome_of(const struct sim_options *options, struct outcome *out)
{
    uint64_t began_us = clock_us();
    (void)sim_run(options, &out->report);
    out->cpu_us = clock_us() - began_us;
}

bool worker_init(struct worker *w)
{
    *w = (struct worker){0};
    void *shared = mmap(NULL, sizeof *w->outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return false;
    w->outcome = shared;
    return true;
}

void worker_deinit(struct worker *w)
{
    if (w->outcome) munmap(w->outcome, sizeof *w->outcome);
}

bool worker_start(struct worker *w, const struct sim_options *options)
{
    memset(w->outcome, 0, sizeof *w->outcome);
    w->seed = options->seed;
    w->child = fork();
    if (w->child == 0) {
        outcome_of(options, w->outcome);
        _exit(0);
    }
    return w->child > 0;
}

const struct outcome *worker_wait(struct worker *w)
{
    int status = -1;
    struct sim_report *report = &w->outcome->report;
    bool ended = waitpid(w->child, &status, 0) == w->child;
    w->child = 0;
    if (ended && WIFEXITED(status) && WEXITSTATUS(status) == 0) return w->outcome;
    report->failed = true;
    report->events = 0;
    snprintf(report->message, sizeof report->message, "the process died, %s %d",
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return w->outcome;
}
