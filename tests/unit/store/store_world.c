#include "store_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

void world_init(struct world *w)
{
    *w = (struct world){.folder = "/tmp/weaprous-store-XXXXXX"};
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/t.db", w->folder);
    sem_init(&w->woken, 0, 0);
}

void world_wake(void *context)
{
    struct world *w = context;
    sem_post(&w->woken);
}

void world_open(struct world *w, uint32_t pages_max)
{
    char why[STORE_WHY_BYTES] = "";
    struct store_options options = {
        .path = w->path, .wake = world_wake, .wake_context = w, .pages_max = pages_max};
    if (store_open(&options, &w->store, why)) fail_msg("%s", why);
    assert_int_equal(store_start(w->store), OK);
}

void world_close(struct world *w)
{
    store_close(w->store);
    w->store = NULL;
}

void world_deinit(struct world *w)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char path[128];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", w->path, endings[i]);
        unlink(path);
    }
    rmdir(w->folder);
    sem_destroy(&w->woken);
}

void world_wait_all(struct world *w)
{
    struct store_stats stats;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    for (;;) {
        store_complete(w->store);
        store_stats(w->store, &stats);
        if (!stats.waiting) return;
        if (sem_timedwait(&w->woken, &until)) fail_msg("%zu operations never completed", stats.waiting);
    }
}

struct answer {
    int result;
    struct store_row *out;
};

static void answered(void *context, int result, const struct store_row *row)
{
    struct answer *answer = context;
    answer->result = result;
    if (answer->out) *answer->out = *row;
}

int world_run(struct world *w, enum store_kind kind, const struct store_row *row, struct store_row *out)
{
    struct answer answer = {1, out};
    int err = store_submit(w->store, kind, row, answered, &answer);
    if (err) return err;
    world_wait_all(w);
    return answer.result;
}

int world_setup(void **state)
{
    static struct world world;
    world_init(&world);
    world_open(&world, 0);
    *state = &world;
    return 0;
}

int world_teardown(void **state)
{
    struct world *w = *state;
    world_close(w);
    world_deinit(w);
    return 0;
}
