#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

bool crew_init(struct crew *crew, const struct sim_options *options, uint32_t len)
{
    *crew = (struct crew){.options = options};
    for (; crew->len < len; crew->len++) {
        struct worker *w = &crew->workers[crew->len];
        void *shared =
            mmap(NULL, sizeof *w->outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED) return false;
        w->outcome = shared;
    }
    return true;
}

/* How the process ended. */
static int worker_end(struct worker *w)
{
    int status = -1;
    if (w->child == 0) return status;
    close(w->socket);
    while (waitpid(w->child, &status, 0) < 0 && errno == EINTR) {
    }
    w->child = 0;
    w->busy = false;
    return status;
}

void crew_deinit(struct crew *crew)
{
    for (uint32_t i = 0; i < crew->len; i++) {
        (void)worker_end(&crew->workers[i]);
        munmap(crew->workers[i].outcome, sizeof *crew->workers[i].outcome);
    }
}

/* The process: until the other end of the socket is closed. */
static void serve(const struct crew *crew, struct worker *w, int socket)
{
    struct sim_options options = *crew->options;
    while (read(socket, &options.seed, sizeof options.seed) == sizeof options.seed) {
        memset(w->outcome, 0, sizeof *w->outcome);
        outcome_of(&options, w->outcome);
        if (send(socket, "", 1, MSG_NOSIGNAL) != 1) break;
    }
    _exit(0);
}

static bool spawn(struct crew *crew, struct worker *w)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) return false;
    fflush(NULL);
    w->child = fork();
    if (w->child == 0) { /* nobody but the parent keeps its ends open */
        close(ends[0]);
        for (uint32_t i = 0; i < crew->len; i++)
            if (&crew->workers[i] != w && crew->workers[i].child) close(crew->workers[i].socket);
        serve(crew, w, ends[1]);
    }
    close(ends[1]);
    w->socket = ends[0];
    if (w->child > 0) return true;
    close(ends[0]);
    w->child = 0;
    return false;
}

bool crew_start(struct crew *crew, uint64_t seed)
{
    for (uint32_t i = 0; i < crew->len; i++) {
        struct worker *w = &crew->workers[i];
        if (w->busy) continue;
        w->seed = seed;
        w->busy = true;
        /* One that died while it had nothing to do is missed now. */
        for (int tries = 0; tries < 2; tries++) {
            if (w->child == 0 && !spawn(crew, w)) break;
            if (send(w->socket, &seed, sizeof seed, MSG_NOSIGNAL) == sizeof seed) return true;
            (void)worker_end(w);
        }
        w->busy = false;
        return false;
    }
    return false;
}

static void note_death(struct worker *w)
{
    struct sim_report *report = &w->outcome->report;
    int status = worker_end(w);
    report->failed = true;
    report->events = 0;
    snprintf(report->message, sizeof report->message, "the process died, %s %d",
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

const struct worker *crew_wait(struct crew *crew)
{
    struct pollfd polled[JOBS_MAX];
    uint32_t who[JOBS_MAX], len = 0;
    char over;
    for (uint32_t i = 0; i < crew->len; i++) {
        if (!crew->workers[i].busy) continue;
        who[len] = i;
        polled[len++] = (struct pollfd){.fd = crew->workers[i].socket, .events = POLLIN};
    }
    if (len == 0) return NULL;
    while (poll(polled, len, -1) < 0)
        if (errno != EINTR) abort();
    for (uint32_t i = 0; i < len; i++) {
        struct worker *w = &crew->workers[who[i]];
        if (!polled[i].revents) continue;
        if (read(w->socket, &over, 1) != 1) note_death(w);
        w->busy = false;
        return w;
    }
    abort(); /* poll has said that there is one */
}
