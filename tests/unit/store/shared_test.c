/* One database, several stores: of one process, and of several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "store_world.h"

enum { PROCESSES = 3, ACCOUNTS = 200 };

/* What is in the database as another program sees it. */
static long asked_by_another(const struct world *w, const char *sql)
{
    char command[512];
    long count = -1;
    snprintf(command, sizeof command, "sqlite3 -cmd '.timeout 5000' %s '%s'", w->path, sql);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    if (fscanf(out, "%ld", &count) != 1) count = -1;
    assert_int_equal(pclose(out), 0);
    return count;
}

static void put_entry(struct world *w, uint64_t seq)
{
    uint8_t id[STORE_ID_BYTES] = {7};
    struct store_row row = {
        .channel = id, .author = id, .seq = seq, .entry_kind = 3, .place_ms = 1, .record = SLICE("record")};
    assert_int_equal(world_run(w, STORE_ENTRY_PUT, &row, NULL), OK);
}

/* Locks of POSIX belong to a process and its file, and end with the first descriptor of that file that is
 * closed. */
static void a_second_store_of_the_process_leaves_the_first_its_journal(void **state)
{
    struct world *w = *state;
    char why[STORE_WHY_BYTES], journal[128];
    struct stat before, after;
    struct store *second;
    struct store_options options = {.path = w->path};
    put_entry(w, 1);
    assert_int_equal(store_open(&options, &second, why), OK);
    store_close(second);
    snprintf(journal, sizeof journal, "%s-wal", w->path);
    assert_int_equal(stat(journal, &before), 0);
    assert_int_equal(asked_by_another(w, "SELECT count(*) FROM entries"), 1);
    assert_int_equal(stat(journal, &after), 0); /* it did not take itself for the last one */
    assert_int_equal(before.st_ino, after.st_ino);
    put_entry(w, 2);
    assert_int_equal(asked_by_another(w, "SELECT count(*) FROM entries"), 2);
}

struct outcome {
    uint8_t secret[STORE_SECRET_BYTES];
    unsigned added, taken, failed;
};

static void added(void *context, int result, const struct store_row *row)
{
    (void)row;
    struct outcome *outcome = context;
    outcome->added += result == OK;
    outcome->taken += result == ERR_EXISTS;
    outcome->failed += result != OK && result != ERR_EXISTS;
}

/* Another process: all want the same names, each begins at another one. */
static struct outcome compete(const char *path, unsigned which)
{
    struct outcome outcome = {.failed = ACCOUNTS};
    struct world w = {0};
    char why[STORE_WHY_BYTES];
    struct store_options options = {.path = path, .wake = world_wake, .wake_context = &w};
    sem_init(&w.woken, 0, 0);
    memset(outcome.secret, (int)which + 1, sizeof outcome.secret);
    if (store_open(&options, &w.store, why) || store_secret(w.store, "shared", outcome.secret) ||
        store_start(w.store))
        return outcome;
    outcome.failed = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", (i + which * ACCOUNTS / PROCESSES) % ACCOUNTS);
        struct store_row row = {
            .name = slice_text(key), .key = slice_text(key), .secret = SLICE("hash"), .time_ms = 1};
        if (store_submit(w.store, STORE_ACCOUNT_ADD, &row, added, &outcome)) outcome.failed++;
        if (i % 4 == which) world_wait_all(&w); /* batches of several sizes */
    }
    store_close(w.store);
    return outcome;
}

static void of_processes_that_want_the_same_one_gets_it(void **state)
{
    (void)state;
    struct world w;
    int pipes[PROCESSES][2];
    pid_t processes[PROCESSES];
    unsigned all = 0;
    struct outcome first = {0}, outcome;
    world_init(&w);
    for (unsigned i = 0; i < PROCESSES; i++) {
        assert_int_equal(pipe(pipes[i]), 0);
        processes[i] = fork();
        assert_true(processes[i] >= 0);
        if (!processes[i]) {
            outcome = compete(w.path, i);
            _exit(write(pipes[i][1], &outcome, sizeof outcome) != sizeof outcome);
        }
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status;
        close(pipes[i][1]);
        assert_int_equal(read(pipes[i][0], &outcome, sizeof outcome), sizeof outcome);
        close(pipes[i][0]);
        assert_int_equal(waitpid(processes[i], &status, 0), processes[i]);
        assert_int_equal(status, 0);
        assert_int_equal(outcome.failed, 0);
        assert_int_equal(outcome.added + outcome.taken, ACCOUNTS);
        if (!i) first = outcome;
        assert_memory_equal(outcome.secret, first.secret, sizeof first.secret);
        all += outcome.added;
    }
    assert_int_equal(all, ACCOUNTS);
    assert_int_equal(asked_by_another(&w, "SELECT count(DISTINCT id) FROM accounts"), ACCOUNTS);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: before this process has a database open. */
        cmocka_unit_test(of_processes_that_want_the_same_one_gets_it),
        cmocka_unit_test_setup_teardown(a_second_store_of_the_process_leaves_the_first_its_journal,
                                        world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
