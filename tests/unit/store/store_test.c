/* What the store promises to its callers, without crashes and full disks (those: durability_test.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/sqlite.h"
#include "store_world.h"

static const uint8_t id_a[STORE_ID_BYTES] = {1}, id_b[STORE_ID_BYTES] = {2}, id_c[STORE_ID_BYTES] = {3};

static int64_t add_account(struct world *w, const char *name, const char *key)
{
    struct store_row row = {.name = slice_text(name),
                            .key = slice_text(key),
                            .secret = SLICE("hash"),
                            .time_ms = 5},
                     out;
    int result = world_run(w, STORE_ACCOUNT_ADD, &row, &out);
    return result ? result : out.account;
}

struct seen {
    int result;
    int64_t account;
    char name[64], secret[64];
    uint8_t record[256];
    size_t record_len;
};

static void see(void *context, int result, const struct store_row *row)
{
    struct seen *seen = context;
    seen->result = result;
    if (result) return;
    seen->account = row->account;
    snprintf(seen->name, sizeof seen->name, "%.*s", (int)row->name.len, (const char *)row->name.ptr);
    snprintf(seen->secret, sizeof seen->secret, "%.*s", (int)row->secret.len, (const char *)row->secret.ptr);
    seen->record_len = row->record.len;
    if (row->record.len) memcpy(seen->record, row->record.ptr, row->record.len);
}

static void look(struct world *w, enum store_kind kind, const struct store_row *row, struct seen *seen)
{
    assert_int_equal(store_submit(w->store, kind, row, see, seen), OK);
    world_wait_all(w);
}

static void an_account_is_found_by_its_key_and_a_key_is_taken_once(void **state)
{
    struct world *w = *state;
    int64_t alice = add_account(w, "Alice", "alice");
    assert_true(alice > 0);
    assert_int_equal(add_account(w, "ALICE", "alice"), ERR_EXISTS);
    struct seen seen;
    look(w, STORE_ACCOUNT_GET, &(struct store_row){.key = SLICE("alice")}, &seen);
    assert_int_equal(seen.result, OK);
    assert_true(seen.account == alice);
    assert_string_equal(seen.name, "Alice");
    assert_string_equal(seen.secret, "hash");
    look(w, STORE_ACCOUNT_GET, &(struct store_row){.key = SLICE("bob")}, &seen);
    assert_int_equal(seen.result, ERR_NOT_FOUND);
}

static void a_session_ends_when_it_expires_is_removed_or_purged(void **state)
{
    struct world *w = *state;
    int64_t alice = add_account(w, "Alice", "alice");
    struct store_row row = {.token = id_a, .account = alice, .time_ms = 10, .expires_ms = 100}, at = row;
    struct seen seen;
    assert_int_equal(world_run(w, STORE_SESSION_ADD, &row, NULL), OK);
    at.time_ms = 99;
    look(w, STORE_SESSION_GET, &at, &seen);
    assert_int_equal(seen.result, OK);
    assert_string_equal(seen.name, "Alice");
    at.time_ms = 100;
    assert_int_equal(world_run(w, STORE_SESSION_GET, &at, NULL), ERR_NOT_FOUND);
    row.expires_ms = 200;
    assert_int_equal(world_run(w, STORE_SESSION_EXTEND, &row, NULL), OK);
    assert_int_equal(world_run(w, STORE_SESSION_GET, &at, NULL), OK);
    assert_int_equal(world_run(w, STORE_SESSION_REMOVE, &row, NULL), OK);
    assert_int_equal(world_run(w, STORE_SESSION_GET, &at, NULL), ERR_NOT_FOUND);
    assert_int_equal(world_run(w, STORE_SESSION_REMOVE, &row, NULL), OK);

    assert_int_equal(world_run(w, STORE_SESSION_ADD, &row, NULL), OK);
    at.time_ms = 200;
    assert_int_equal(world_run(w, STORE_SESSION_PURGE, &at, NULL), OK);
    at.time_ms = 0;
    assert_int_equal(world_run(w, STORE_SESSION_GET, &at, NULL), ERR_NOT_FOUND);
}

static void a_session_needs_an_account_that_exists(void **state)
{
    struct store_row row = {.token = id_a, .account = 77, .time_ms = 1, .expires_ms = 2};
    assert_int_not_equal(world_run(*state, STORE_SESSION_ADD, &row, NULL), OK);
}

static void a_device_belongs_to_one_account_and_keeps_a_certificate_that_is_still_good(void **state)
{
    struct world *w = *state;
    int64_t alice = add_account(w, "Alice", "alice"), bob = add_account(w, "Bob", "bob");
    struct store_row row = {.device = id_a,
                            .account = alice,
                            .record = SLICE("first"),
                            .time_ms = 10,
                            .expires_ms = 1000,
                            .renew_ms = 500};
    struct seen seen;
    look(w, STORE_DEVICE_CLAIM, &row, &seen);
    assert_int_equal(seen.result, OK);
    assert_memory_equal(seen.record, "first", 5);
    row.record = SLICE("second");
    look(w, STORE_DEVICE_CLAIM, &row, &seen);
    assert_memory_equal(seen.record, "first", 5);
    row.renew_ms = 1000;
    look(w, STORE_DEVICE_CLAIM, &row, &seen);
    assert_memory_equal(seen.record, "second", 6);
    row.account = bob;
    look(w, STORE_DEVICE_CLAIM, &row, &seen);
    assert_int_equal(seen.result, ERR_DENIED);
}

static void an_account_has_a_bounded_number_of_devices(void **state)
{
    struct world *w = *state;
    struct store_row row = {
        .account = add_account(w, "Alice", "alice"), .record = SLICE("c"), .expires_ms = 9};
    uint8_t device[STORE_ID_BYTES] = {0};
    row.device = device;
    for (unsigned i = 0; i < STORE_DEVICES_MAX; i++) {
        memcpy(device, &i, sizeof i);
        assert_int_equal(store_submit(w->store, STORE_DEVICE_CLAIM, &row, NULL, NULL), OK);
    }
    world_wait_all(w);
    assert_int_equal(world_run(w, STORE_DEVICE_CLAIM, &row, NULL), OK); /* an old one */
    memset(device, 0xff, sizeof device);
    assert_int_equal(world_run(w, STORE_DEVICE_CLAIM, &row, NULL), ERR_FULL);
}

static void an_entry_is_kept_once_and_the_first_of_two_stays(void **state)
{
    struct world *w = *state;
    struct store_row row = {.channel = id_a, .author = id_b, .seq = 7, .record = SLICE("one")};
    struct seen seen;
    assert_int_equal(world_run(w, STORE_ENTRY_PUT, &row, NULL), OK);
    assert_int_equal(world_run(w, STORE_ENTRY_PUT, &row, NULL), OK);
    row.record = SLICE("two");
    assert_int_equal(world_run(w, STORE_ENTRY_PUT, &row, NULL), ERR_EXISTS);
    look(w, STORE_ENTRY_GET, &row, &seen);
    assert_int_equal(seen.record_len, 3);
    assert_memory_equal(seen.record, "one", 3);
    assert_int_equal(world_run(w, STORE_ENTRY_REPLACE, &row, NULL), OK);
    look(w, STORE_ENTRY_GET, &row, &seen);
    assert_memory_equal(seen.record, "two", 3);
    row.seq = 8;
    assert_int_equal(world_run(w, STORE_ENTRY_GET, &row, NULL), ERR_NOT_FOUND);
}

static int collect(void *context, slice record)
{
    char *all = context;
    strncat(all, (const char *)record.ptr, record.len);
    return OK;
}

static void records_come_back_after_a_restart_channels_first_then_each_feed_in_order(void **state)
{
    struct world *w = *state;
    static const struct {
        const uint8_t *author;
        uint64_t seq;
        const char *record;
    } entries[] = {{id_c, 2, "F"}, {id_b, 10, "D"}, {id_b, 2, "C"}, {id_c, 1, "E"}, {id_b, 1, "B"}};
    for (size_t i = 0; i < 5; i++) {
        struct store_row row = {.channel = id_a,
                                .author = entries[i].author,
                                .seq = entries[i].seq,
                                .record = slice_text(entries[i].record)};
        assert_int_equal(world_run(w, STORE_ENTRY_PUT, &row, NULL), OK);
    }
    struct store_row channel = {.channel = id_a, .record = SLICE("old")};
    assert_int_equal(world_run(w, STORE_CHANNEL_PUT, &channel, NULL), OK);
    channel.record = SLICE("A");
    assert_int_equal(world_run(w, STORE_CHANNEL_PUT, &channel, NULL), OK);
    world_close(w);

    char all[16] = "", why[STORE_WHY_BYTES];
    struct store_options options = {.path = w->path, .wake = world_wake, .wake_context = w};
    assert_int_equal(store_open(&options, &w->store, why), OK);
    assert_int_equal(store_each_record(w->store, collect, all), OK);
    assert_string_equal(all, "ABCDEF");
    assert_int_equal(store_start(w->store), OK);
}

static void a_secret_stays_what_it_was_at_first(void **state)
{
    struct world *w = *state;
    world_close(w);
    uint8_t secret[STORE_SECRET_BYTES] = {1, 2, 3}, other[STORE_SECRET_BYTES] = {9};
    char why[STORE_WHY_BYTES];
    struct store_options options = {.path = w->path, .wake = world_wake, .wake_context = w};
    assert_int_equal(store_open(&options, &w->store, why), OK);
    assert_int_equal(store_secret(w->store, "identity", secret), OK);
    assert_int_equal(store_secret(w->store, "identity", other), OK);
    assert_memory_equal(secret, other, sizeof secret);
}

static void the_database_is_for_its_owner_only(void **state)
{
    struct world *w = *state;
    struct stat info;
    assert_int_equal(stat(w->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    char wal[128];
    snprintf(wal, sizeof wal, "%s-wal", w->path);
    assert_int_equal(stat(wal, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void writes_that_wait_together_become_few_transactions(void **state)
{
    enum { WRITES = 4000 };
    struct world *w = *state;
    struct store_row row = {.channel = id_a, .author = id_b, .record = SLICE("hello")};
    for (row.seq = 1; row.seq <= WRITES; row.seq++)
        assert_int_equal(store_submit(w->store, STORE_ENTRY_PUT, &row, NULL, NULL), OK);
    world_wait_all(w);
    struct store_stats stats;
    store_stats(w->store, &stats);
    assert_int_equal(stats.operations, WRITES);
    assert_int_equal(stats.failures, 0);
    assert_true(stats.transactions >= 1);
    assert_true(stats.transactions <= WRITES / 40);
}

static void note(void *context, int result, const struct store_row *row)
{
    (void)result;
    uint64_t *last = context;
    assert_int_equal(row->seq, *last + 1);
    *last = row->seq;
}

static void operations_complete_in_their_order_and_only_in_store_complete(void **state)
{
    struct world *w = *state;
    uint64_t last = 0;
    struct store_row row = {.channel = id_a, .author = id_b, .record = SLICE("x")};
    for (row.seq = 1; row.seq <= 500; row.seq++)
        assert_int_equal(
            store_submit(w->store, row.seq % 3 ? STORE_ENTRY_PUT : STORE_ENTRY_GET, &row, note, &last), OK);
    assert_int_equal(last, 0);
    world_wait_all(w);
    assert_int_equal(last, 500);
}

static void one_failed_operation_does_not_spoil_the_others_of_its_transaction(void **state)
{
    struct world *w = *state;
    int64_t alice = add_account(w, "Alice", "alice");
    struct seen first, taken, last;
    struct store_row a = {.token = id_a, .account = alice, .expires_ms = 9},
                     b = {.token = id_b, .account = alice},
                     again = {.name = SLICE("x"), .key = SLICE("alice"), .secret = SLICE("y")};
    assert_int_equal(store_submit(w->store, STORE_SESSION_ADD, &a, see, &first), OK);
    assert_int_equal(store_submit(w->store, STORE_ACCOUNT_ADD, &again, see, &taken), OK);
    assert_int_equal(store_submit(w->store, STORE_SESSION_ADD, &b, see, &last), OK);
    world_wait_all(w);
    assert_int_equal(first.result, OK);
    assert_int_equal(taken.result, ERR_EXISTS);
    assert_int_equal(last.result, OK);
    assert_int_equal(world_run(w, STORE_SESSION_GET, &a, NULL), OK);
}

static void the_queue_is_bounded(void **state)
{
    struct world *w = *state;
    static uint8_t record[STORE_RECORD_BYTES_MAX];
    struct store_row row = {.channel = id_a, .author = id_b, .record = slice_of(record, sizeof record)};
    int err = OK;
    /* Completions are not taken, so everything counts as waiting. */
    for (row.seq = 1; !err && row.seq <= STORE_QUEUE_MAX + 1; row.seq++)
        err = store_submit(w->store, STORE_ENTRY_PUT, &row, NULL, NULL);
    assert_int_equal(err, ERR_FULL);
    struct store_stats stats;
    store_stats(w->store, &stats);
    assert_true(stats.waiting <= STORE_QUEUE_BYTES_MAX / sizeof record);
    world_wait_all(w);
    assert_int_equal(store_submit(w->store, STORE_ENTRY_PUT, &row, NULL, NULL), OK);
}

static void what_is_too_large_or_lacks_a_part_is_refused(void **state)
{
    struct world *w = *state;
    static uint8_t record[STORE_RECORD_BYTES_MAX + 1];
    struct store_row row = {
        .channel = id_a, .author = id_b, .seq = 1, .record = slice_of(record, sizeof record)};
    assert_int_equal(store_submit(w->store, STORE_ENTRY_PUT, &row, NULL, NULL), ERR_INVALID);
    row.record = SLICE_EMPTY;
    row.author = NULL;
    assert_int_equal(store_submit(w->store, STORE_ENTRY_PUT, &row, NULL, NULL), ERR_INVALID);
    row.author = id_b;
    row.seq = UINT64_MAX;
    assert_int_equal(world_run(w, STORE_ENTRY_PUT, &row, NULL), ERR_TOO_LARGE);
}

static void count_ok(void *context, int result, const struct store_row *row)
{
    (void)row;
    int *count = context;
    if (result == OK)
        ++*count;
    else
        assert_int_equal(result, ERR_EXISTS);
}

static void two_stores_on_one_file_agree_on_who_was_first(void **state)
{
    struct world *w = *state, second = *w;
    sem_init(&second.woken, 0, 0);
    world_open(&second, 0);
    int won = 0;
    for (int i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "name%d", i);
        struct store_row row = {.name = slice_text(key), .key = slice_text(key), .secret = SLICE("s")};
        assert_int_equal(store_submit(w->store, STORE_ACCOUNT_ADD, &row, count_ok, &won), OK);
        assert_int_equal(store_submit(second.store, STORE_ACCOUNT_ADD, &row, count_ok, &won), OK);
    }
    world_wait_all(w);
    world_wait_all(&second);
    assert_int_equal(won, 200);
    world_close(&second);
    sem_destroy(&second.woken);
}

static sqlite3 *raw_open(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static int raw_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int value = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static void migration_goes_step_by_step_keeps_data_and_stops_whole_at_a_bad_step(void **state)
{
    (void)state;
    static const char *const steps[] = {
        "CREATE TABLE t (a); INSERT INTO t VALUES (1)", "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = a + 1",
        "INSERT INTO t VALUES (5, 5); SELECT nonsense FROM nowhere", "INSERT INTO t VALUES (7, 7)"};
    sqlite3 *db = raw_open(":memory:");
    assert_int_equal(sqlite_migrate(db, steps, 1), OK);
    assert_int_equal(sqlite_migrate(db, steps, 2), OK);
    assert_int_equal(sqlite_migrate(db, steps, 2), OK);
    assert_int_equal(raw_number(db, "SELECT b FROM t"), 2);
    assert_int_not_equal(sqlite_migrate(db, steps, 4), OK);
    assert_int_equal(raw_number(db, "SELECT count(*) FROM t"), 1);
    assert_int_equal(raw_number(db, "PRAGMA user_version"), 2);
    assert_int_equal(sqlite_migrate(db, steps, 1), ERR_VERSION);
    sqlite3_close(db);
}

static void a_database_of_a_newer_program_is_left_alone(void **state)
{
    struct world *w = *state;
    world_close(w);
    sqlite3 *db = raw_open(w->path);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    char why[STORE_WHY_BYTES] = "";
    struct store_options options = {.path = w->path};
    assert_int_equal(store_open(&options, &w->store, why), ERR_VERSION);
    assert_non_null(strstr(why, "newer version"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(an_account_is_found_by_its_key_and_a_key_is_taken_once),
        T(a_session_ends_when_it_expires_is_removed_or_purged),
        T(a_session_needs_an_account_that_exists),
        T(a_device_belongs_to_one_account_and_keeps_a_certificate_that_is_still_good),
        T(an_account_has_a_bounded_number_of_devices),
        T(an_entry_is_kept_once_and_the_first_of_two_stays),
        T(records_come_back_after_a_restart_channels_first_then_each_feed_in_order),
        T(a_secret_stays_what_it_was_at_first),
        T(the_database_is_for_its_owner_only),
        T(writes_that_wait_together_become_few_transactions),
        T(operations_complete_in_their_order_and_only_in_store_complete),
        T(one_failed_operation_does_not_spoil_the_others_of_its_transaction),
        T(the_queue_is_bounded),
        T(what_is_too_large_or_lacks_a_part_is_refused),
        T(two_stores_on_one_file_agree_on_who_was_first),
        T(migration_goes_step_by_step_keeps_data_and_stops_whole_at_a_bad_step),
        T(a_database_of_a_newer_program_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
