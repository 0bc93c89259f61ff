/* A store in a folder of its own, driven without an event loop: `wait_all` runs until nothing is waiting. */
#ifndef TEST_STORE_WORLD_H
#define TEST_STORE_WORLD_H

#include <semaphore.h>

#include "store/store.h"

struct world {
    char folder[64], path[96];
    struct store *store;
    sem_t woken;
};

void world_init(struct world *w);
/* Opens and starts the store; fails the test when that does not work. */
void world_open(struct world *w, uint32_t pages_max);
void world_close(struct world *w);
/* For cmocka: *state is an open world. */
int world_setup(void **state);
int world_teardown(void **state);
/* Removes the folder. */
void world_deinit(struct world *w);
void world_wake(void *context);
/* Until all that was submitted has completed; fails the test after 20 s. */
void world_wait_all(struct world *w);
/* Submits and waits; the result, and what came back in *out (its slices are gone). */
int world_run(struct world *w, enum store_kind kind, const struct store_row *row, struct store_row *out);

#endif
