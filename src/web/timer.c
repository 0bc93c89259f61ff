/* timer.c - timers of the program, and work on other threads. */
#include <stdlib.h>

#include "web/worker.h"

struct wr_timer {
    uv_timer_t uv;
    struct list node; /* in worker->timers */
    struct wr_worker *worker;
    wr_timer_function function;
    void *context;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void wr_timer_stop(struct wr_timer *timer)
{
    list_remove(&timer->node);
    uv_close((uv_handle_t *)&timer->uv, on_closed);
}

static void on_time(uv_timer_t *uv)
{
    struct wr_timer *timer = uv->data;
    timer->function(timer, timer->context);
    if (!uv_is_closing((uv_handle_t *)uv) && !uv_is_active((uv_handle_t *)uv)) wr_timer_stop(timer);
}

struct wr_timer *wr_timer_start(struct wr_worker *worker, uint64_t delay_ms, uint64_t repeat_ms,
                                wr_timer_function function, void *context)
{
    struct wr_timer *timer = worker->posts_closed ? NULL : malloc(sizeof *timer);
    if (!timer) return NULL;
    timer->worker = worker;
    timer->function = function;
    timer->context = context;
    uv_timer_init(&worker->loop.uv, &timer->uv);
    timer->uv.data = timer;
    list_append(&worker->timers, &timer->node);
    uv_timer_start(&timer->uv, on_time, delay_ms, repeat_ms);
    return timer;
}

struct wr_worker *wr_timer_worker(const struct wr_timer *timer)
{
    return timer->worker;
}

void worker_close_timers(struct wr_worker *worker)
{
    while (!list_empty(&worker->timers))
        wr_timer_stop(LIST_ENTRY(worker->timers.next, struct wr_timer, node));
}

/* --- work that blocks --- */

struct job {
    uv_work_t uv;
    struct wr_worker *worker;
    void (*work)(void *argument);
    wr_worker_function done;
    void *argument;
};

static void on_work(uv_work_t *uv)
{
    struct job *job = (struct job *)uv;
    job->work(job->argument);
}

static void on_done(uv_work_t *uv, int status)
{
    (void)status; /* nothing is ever cancelled */
    struct job *job = (struct job *)uv;
    struct wr_worker *worker = job->worker;
    job->done(worker, job->argument);
    free(job);
    worker->jobs--;
    worker_finish_if_drained(worker);
}

int wr_offload(struct wr_worker *worker, void (*work)(void *argument), wr_worker_function done,
               void *argument)
{
    if (worker->ending) return WR_CLOSED;
    if (worker->jobs >= WORKER_JOBS_MAX) return WR_FULL;
    struct job *job = malloc(sizeof *job);
    if (!job) return WR_MEMORY;
    *job = (struct job){.worker = worker, .work = work, .done = done, .argument = argument};
    if (uv_queue_work(&worker->loop.uv, &job->uv, on_work, on_done) < 0) {
        free(job);
        return WR_SYSTEM;
    }
    worker->jobs++;
    return WR_OK;
}
