/* What is acknowledged survives a kill -9 at any moment, and a full or broken disk loses nothing of it. */
#include <setjmp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store_world.h"

enum { ROUNDS = 25, IN_FLIGHT = 64 };

static const uint8_t channel[STORE_ID_BYTES] = {1}, author[STORE_ID_BYTES] = {2};

static int setup(void **state)
{
    static struct world world;
    world_init(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    if (w->store) world_close(w);
    world_deinit(w);
    return 0;
}

static struct store_row entry(uint64_t seq, char text[40])
{
    snprintf(text, 40, "entry number %llu", (unsigned long long)seq);
    return (struct store_row){.channel = channel, .author = author, .seq = seq, .record = slice_text(text)};
}

/* --- killed --- */

static void acknowledge(void *context, int result, const struct store_row *row)
{
    const int *pipe_end = context;
    if (result == OK && write(*pipe_end, &row->seq, sizeof row->seq) != sizeof row->seq) _exit(3);
}

/* The child: writes entries for ever, and acknowledges each that is done on the pipe. */
static void write_for_ever(struct world *w, uint64_t seq, int pipe_end)
{
    world_open(w, 0);
    struct store_stats stats;
    char text[40];
    for (;;) {
        store_stats(w->store, &stats);
        for (; stats.waiting < IN_FLIGHT; stats.waiting++, seq++) {
            struct store_row row = entry(seq, text);
            if (store_submit(w->store, STORE_ENTRY_PUT, &row, acknowledge, &pipe_end)) _exit(4);
        }
        sem_wait(&w->woken);
        store_complete(w->store);
    }
}

struct check {
    uint64_t highest, found;
};

static int check_record(void *context, slice record)
{
    struct check *check = context;
    char text[40];
    struct store_row row = entry(check->found + 1, text);
    assert_true(slice_equal(row.record, record));
    check->found++;
    return OK;
}

static uint64_t read_acknowledged(int pipe_end, uint64_t highest)
{
    uint64_t seq;
    while (read(pipe_end, &seq, sizeof seq) == sizeof seq) {
        assert_int_equal(seq, highest + 1); /* in order, none left out */
        highest = seq;
    }
    return highest;
}

static void every_acknowledged_entry_is_there_after_a_kill_at_any_moment(void **state)
{
    struct world *w = *state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    uint64_t first = 1;
    unsigned rounds_with_writes = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[0]);
            write_for_ever(w, first, ends[1]);
        }
        close(ends[1]);
        /* Every other round is surely writing when it is killed, however busy the machine is; the others may
         * still be opening. */
        struct pollfd first_word = {.fd = ends[0], .events = POLLIN};
        if (round % 2) assert_int_equal(poll(&first_word, 1, 30000), 1);
        struct timespec pause = {0, (5 + rand() % 60) * 1000000L};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        uint64_t acknowledged = read_acknowledged(ends[0], first - 1);
        close(ends[0]);
        int status;
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status));

        char why[STORE_WHY_BYTES] = "";
        struct store_options options = {.path = w->path};
        if (store_open(&options, &w->store, why)) fail_msg("%s", why);
        struct check check = {.found = 0};
        assert_int_equal(store_each_record(w->store, check_record, &check), OK);
        assert_true(check.found >= acknowledged);
        world_close(w);
        rounds_with_writes += acknowledged >= first;
        first = check.found + 1;
    }
    assert_true(rounds_with_writes >= ROUNDS / 2); /* else it was killed before it did anything */
}

/* --- full --- */

/* Writes 4 KiB entries until one fails; how many succeeded. */
static uint64_t fill(struct world *w, int *out_result)
{
    static uint8_t big[4096];
    struct store_row row = {.channel = channel, .author = author, .record = slice_of(big, sizeof big)};
    for (row.seq = 1; row.seq < 10000; row.seq++) {
        memcpy(big, &row.seq, sizeof row.seq);
        *out_result = world_run(w, STORE_ENTRY_PUT, &row, NULL);
        if (*out_result) return row.seq - 1;
    }
    *out_result = OK;
    return row.seq;
}

static int check_big(void *context, slice record)
{
    struct check *check = context;
    check->found++;
    assert_memory_equal(record.ptr, &check->found, sizeof check->found);
    return OK;
}

static void assert_holds_exactly(struct world *w, uint64_t count)
{
    char why[STORE_WHY_BYTES] = "";
    struct store_options options = {.path = w->path, .wake = world_wake, .wake_context = w};
    if (store_open(&options, &w->store, why)) fail_msg("%s", why);
    struct check check = {.found = 0};
    assert_int_equal(store_each_record(w->store, check_big, &check), OK);
    assert_int_equal(check.found, count);
}

static void a_full_database_says_so_and_keeps_what_it_acknowledged(void **state)
{
    struct world *w = *state;
    int result;
    world_open(w, 256);
    uint64_t kept = fill(w, &result);
    assert_int_equal(result, ERR_DISK_FULL);
    assert_true(kept > 5 && kept < 250);
    struct store_row small = {.token = channel, .time_ms = 1};
    assert_int_equal(world_run(w, STORE_SESSION_GET, &small, NULL), ERR_NOT_FOUND); /* still answers */
    world_close(w);

    assert_holds_exactly(w, kept);
    assert_int_equal(store_start(w->store), OK); /* with room again it goes on */
    struct store_row row = {.channel = channel, .author = author, .seq = kept + 1, .record = SLICE("more")};
    assert_int_equal(world_run(w, STORE_ENTRY_PUT, &row, NULL), OK);
}

static void a_file_size_limit_counts_as_a_full_disk(void **state)
{
    struct world *w = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {1200 * 1024, 1200 * 1024};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        int result;
        world_open(w, 0);
        uint64_t report[2] = {fill(w, &result), 0};
        report[1] = (uint64_t)-result;
        if (write(ends[1], report, sizeof report) != sizeof report) _exit(3);
        _exit(0);
    }
    close(ends[1]);
    uint64_t report[2] = {0};
    assert_int_equal(read(ends[0], report, sizeof report), sizeof report);
    close(ends[0]);
    waitpid(child, NULL, 0);
    assert_int_equal(-(int)report[1], ERR_DISK_FULL);
    assert_true(report[0] > 5);
    assert_holds_exactly(w, report[0]);
}

/* --- broken --- */

static int open_error(const char *path, char why[STORE_WHY_BYTES])
{
    struct store *store;
    struct store_options options = {.path = path};
    why[0] = '\0';
    int err = store_open(&options, &store, why);
    if (!err) store_close(store);
    return err;
}

static void what_is_no_database_is_called_damaged(void **state)
{
    struct world *w = *state;
    char why[STORE_WHY_BYTES];
    FILE *file = fopen(w->path, "w");
    for (int i = 0; i < 3000; i++)
        fputs("this is not a database ", file);
    fclose(file);
    assert_int_equal(open_error(w->path, why), ERR_CORRUPT);
    assert_non_null(strstr(why, "damaged"));
    assert_non_null(strstr(why, w->path));
}

static void a_database_with_overwritten_pages_is_called_damaged(void **state)
{
    struct world *w = *state;
    char why[STORE_WHY_BYTES];
    int result;
    world_open(w, 600);
    fill(w, &result);
    world_close(w);
    FILE *file = fopen(w->path, "r+");
    fseek(file, 5 * 4096, SEEK_SET);
    for (int i = 0; i < 10 * 4096; i++)
        fputc(0xA5, file);
    fclose(file);
    assert_int_equal(open_error(w->path, why), ERR_CORRUPT);
}

static void a_path_that_cannot_be_a_database_is_explained(void **state)
{
    struct world *w = *state;
    char why[STORE_WHY_BYTES], path[128];
    snprintf(path, sizeof path, "%s/nowhere/t.db", w->folder);
    assert_int_equal(open_error(path, why), ERR_NOT_FOUND);
    assert_non_null(strstr(why, "does not exist"));
    assert_int_equal(open_error(w->folder, why), ERR_INVALID);
}

/* Only somebody who is not root can be refused. */
static void a_folder_that_may_not_be_written_is_explained(void **state)
{
    struct world *w = *state;
    fflush(NULL);
    assert_int_equal(chmod(w->folder, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char why[STORE_WHY_BYTES];
        if (geteuid() == 0 && setuid(65534)) _exit(3);
        int err = open_error(w->path, why);
        _exit(err == ERR_DENIED && strstr(why, "cannot be written") ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    chmod(w->folder, 0700);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_acknowledged_entry_is_there_after_a_kill_at_any_moment),
        T(a_full_database_says_so_and_keeps_what_it_acknowledged),
        T(a_file_size_limit_counts_as_a_full_disk),
        T(what_is_no_database_is_called_damaged),
        T(a_database_with_overwritten_pages_is_called_damaged),
        T(a_path_that_cannot_be_a_database_is_explained),
        T(a_folder_that_may_not_be_written_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
