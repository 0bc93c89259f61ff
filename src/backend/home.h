/* home.h - the thread on which the backend keeps its accounts: the store, the password jobs and the throttle.
 * It outlives the workers, so that the last of their requests still get an answer.
 *
 * Rules
 *   Thread: home_open, home_start, home_stop and home_close on the thread that opens the backend; home_call
 * on any; home_now_ms on the thread of home. */
#ifndef BACKEND_HOME_H
#define BACKEND_HOME_H

#include <uv.h>

#include "account/accounts.h"

struct home_call;

struct home {
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t called;  /* something was put into the list, or the store has completed something */
    uv_timer_t cleaner; /* removes sessions that are over */
    uv_mutex_t lock;
    struct home_call *first, **last; /* under lock */
    struct store *store;
    struct accounts *accounts; /* set before home_start */
    uint64_t now_ms;
    bool open, started, ending;
};

/* Makes the loop and opens the database. On an error `why` has a sentence; home_close it all the same. */
int home_open(struct home *home, const char *database, char why[STORE_WHY_BYTES]) BASE_CHECKED;
/* From now on store_submit, and calls are carried out. ERR_IO, ERR_MEMORY. */
int home_start(struct home *home) BASE_CHECKED;
/* The two functions that accounts_config wants; context is the struct home. */
bool home_call(void *context, void (*function)(void *argument), void *argument);
uint64_t home_now_ms(void *context);
/* When no worker runs any more: carries out what was called for, refuses what waits for a password, brings
 * everything to the disk and ends the thread. */
void home_stop(struct home *home);
void home_close(struct home *home);

#endif
