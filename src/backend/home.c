#include "backend/home.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLEANING_MS 60000

struct home_call {
    struct home_call *next;
    void (*function)(void *argument);
    void *argument;
};

uint64_t home_now_ms(void *context)
{
    struct home *home = context;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t wall_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (wall_ms > home->now_ms) home->now_ms = wall_ms;
    return home->now_ms;
}

bool home_call(void *context, void (*function)(void *argument), void *argument)
{
    struct home *home = context;
    struct home_call *call = malloc(sizeof *call);
    if (!call) return false;
    *call = (struct home_call){.function = function, .argument = argument};
    uv_mutex_lock(&home->lock);
    bool alone = !home->first;
    *home->last = call;
    home->last = &call->next;
    uv_mutex_unlock(&home->lock);
    if (alone) uv_async_send(&home->called);
    return true;
}

static void carry_out(struct home *home)
{
    uv_mutex_lock(&home->lock);
    struct home_call *call = home->first;
    home->first = NULL;
    home->last = &home->first;
    uv_mutex_unlock(&home->lock);
    while (call) {
        struct home_call *next = call->next;
        call->function(call->argument);
        free(call);
        call = next;
    }
}

static void on_called(uv_async_t *async)
{
    struct home *home = async->data;
    store_complete(home->store);
    carry_out(home);
    if (home->ending) uv_stop(&home->loop);
}

static void clean(uv_timer_t *timer)
{
    struct home *home = timer->data;
    struct store_row row = {.time_ms = home_now_ms(home)};
    /* When the store is busy, the next time will do. */
    (void)!store_submit(home->store, STORE_SESSION_PURGE, &row, NULL, NULL);
}

static void end(void *argument)
{
    struct home *home = argument;
    home->ending = true;
}

static void run(void *argument)
{
    struct home *home = argument;
    uv_timer_start(&home->cleaner, clean, 0, CLEANING_MS);
    uv_run(&home->loop, UV_RUN_DEFAULT);
    accounts_stop(home->accounts);
    while (accounts_running(home->accounts))
        uv_run(&home->loop, UV_RUN_ONCE);
    store_close(home->store);
    home->store = NULL;
}

static void wake(void *context)
{
    struct home *home = context;
    uv_async_send(&home->called);
}

int home_open(struct home *home, const char *database, char why[STORE_WHY_BYTES])
{
    *home = (struct home){.last = &home->first};
    snprintf(why, STORE_WHY_BYTES, "There is not enough memory.");
    if (uv_mutex_init(&home->lock)) return ERR_MEMORY;
    if (uv_loop_init(&home->loop)) {
        uv_mutex_destroy(&home->lock);
        return ERR_MEMORY;
    }
    home->open = true;
    uv_async_init(&home->loop, &home->called, on_called);
    uv_timer_init(&home->loop, &home->cleaner);
    home->called.data = home->cleaner.data = home;
    struct store_options options = {.path = database, .wake = wake, .wake_context = home};
    return store_open(&options, &home->store, why);
}

int home_start(struct home *home)
{
    int err = store_start(home->store);
    if (err) return err;
    /* Signals belong to the thread that runs the app. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = uv_thread_create(&home->thread, run, home) ? ERR_IO : OK;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    home->started = !err;
    return err;
}

void home_stop(struct home *home)
{
    if (!home->started) return;
    while (!home_call(home, end, home))
        uv_sleep(10); /* no memory for one more call: those before it give some back */
    uv_thread_join(&home->thread);
    home->started = false;
}

void home_close(struct home *home)
{
    if (!home->open) return;
    store_close(home->store);
    uv_close((uv_handle_t *)&home->called, NULL);
    uv_close((uv_handle_t *)&home->cleaner, NULL);
    uv_run(&home->loop, UV_RUN_DEFAULT);
    uv_loop_close(&home->loop);
    uv_mutex_destroy(&home->lock);
    home->open = false;
}
