/* What becomes of accounts that are changed and removed, also by another process; hosted channels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/sqlite.h"
#include "store_world.h"

static const uint8_t id_a[STORE_ID_BYTES] = {1}, id_b[STORE_ID_BYTES] = {2}, id_c[STORE_ID_BYTES] = {3};

static int64_t add_account(struct world *w, const char *name)
{
    struct store_row row = {.name = slice_text(name),
                            .key = slice_text(name),
                            .secret = SLICE("hash"),
                            .time_ms = 5},
                     out;
    int result = world_run(w, STORE_ACCOUNT_ADD, &row, &out);
    return result ? result : out.account;
}

static int add_session(struct world *w, const uint8_t *token, int64_t account)
{
    struct store_row row = {.token = token, .account = account, .time_ms = 10, .expires_ms = 100};
    return world_run(w, STORE_SESSION_ADD, &row, NULL);
}

static int claim_device(struct world *w, const uint8_t *device, int64_t account)
{
    struct store_row row = {.device = device,
                            .account = account,
                            .record = SLICE("certificate"),
                            .time_ms = 10,
                            .expires_ms = 100,
                            .renew_ms = 50};
    return world_run(w, STORE_DEVICE_CLAIM, &row, NULL);
}

static int session_state(struct world *w, const uint8_t *token)
{
    return world_run(w, STORE_SESSION_GET, &(struct store_row){.token = token, .time_ms = 20}, NULL);
}

/* A second process: a store that is never started. */
static struct store *open_beside(struct world *w)
{
    char why[STORE_WHY_BYTES] = "";
    struct store *store;
    struct store_options options = {.path = w->path};
    if (store_open(&options, &store, why)) fail_msg("%s", why);
    return store;
}

static void a_new_password_replaces_the_old_one_of_this_account_only(void **state)
{
    struct world *w = *state;
    int64_t an = add_account(w, "an");
    add_account(w, "binh");
    struct store_row row = {.key = SLICE("an"), .secret = SLICE("better")}, out;
    assert_int_equal(world_run(w, STORE_ACCOUNT_SECRET, &row, &out), OK);
    assert_true(out.account == an);
    row.key = SLICE("nobody");
    assert_int_equal(world_run(w, STORE_ACCOUNT_SECRET, &row, NULL), ERR_NOT_FOUND);
    world_close(w);
    struct store *beside = open_beside(w);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(w->path, &db), SQLITE_OK);
    sqlite3_stmt *statement;
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT group_concat(name || ':' || secret) FROM accounts ORDER BY key", -1,
                           &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "an:better,binh:hash");
    sqlite3_finalize(statement);
    sqlite3_close(db);
    store_close(beside);
    world_open(w, 0);
}

static void all_sessions_of_one_account_end_and_are_counted(void **state)
{
    struct world *w = *state;
    int64_t an = add_account(w, "an"), binh = add_account(w, "binh");
    assert_int_equal(add_session(w, id_a, an), OK);
    assert_int_equal(add_session(w, id_b, an), OK);
    assert_int_equal(add_session(w, id_c, binh), OK);
    struct store_row out;
    assert_int_equal(world_run(w, STORE_SESSION_END_ALL, &(struct store_row){.account = an}, &out), OK);
    assert_int_equal(out.seq, 2);
    assert_int_equal(session_state(w, id_a), ERR_NOT_FOUND);
    assert_int_equal(session_state(w, id_b), ERR_NOT_FOUND);
    assert_int_equal(session_state(w, id_c), OK);
}

static void
a_removed_account_takes_its_sessions_and_devices_with_it_and_its_number_never_comes_back(void **state)
{
    struct world *w = *state;
    int64_t an = add_account(w, "an"), binh = add_account(w, "binh");
    assert_int_equal(add_session(w, id_a, binh), OK);
    assert_int_equal(add_session(w, id_c, an), OK);
    assert_int_equal(claim_device(w, id_b, binh), OK);
    assert_int_equal(claim_device(w, id_b, an), ERR_DENIED);
    struct store_row row = {.key = SLICE("binh")}, out;
    assert_int_equal(world_run(w, STORE_ACCOUNT_REMOVE, &row, &out), OK);
    assert_true(out.account == binh);
    assert_int_equal(world_run(w, STORE_ACCOUNT_REMOVE, &row, NULL), ERR_NOT_FOUND);
    assert_int_equal(world_run(w, STORE_ACCOUNT_GET, &row, NULL), ERR_NOT_FOUND);
    assert_int_equal(session_state(w, id_a), ERR_NOT_FOUND);
    assert_int_equal(session_state(w, id_c), OK);
    assert_int_equal(claim_device(w, id_b, an), OK);
    /* binh had the highest number. */
    int64_t again = add_account(w, "binh");
    assert_true(again > binh);
    assert_int_not_equal(add_session(w, id_a, binh), OK);
}

struct walk {
    int count;
    char text[256];
    int stop_at;
};

static int see_account(void *context, const struct store_account *account)
{
    struct walk *walk = context;
    size_t len = strlen(walk->text);
    snprintf(walk->text + len, sizeof walk->text - len, "%.*s %d %d %d;", (int)account->name.len,
             (const char *)account->name.ptr, (int)account->created_ms, (int)account->sessions,
             (int)account->devices);
    return ++walk->count == walk->stop_at ? ERR_CLOSED : OK;
}

static void another_process_lists_adds_and_removes_while_the_first_is_running(void **state)
{
    struct world *w = *state;
    int64_t binh = add_account(w, "binh");
    add_account(w, "an");
    assert_int_equal(add_session(w, id_a, binh), OK);
    assert_int_equal(claim_device(w, id_b, binh), OK);
    struct store *beside = open_beside(w);
    struct walk walk = {0};
    assert_int_equal(store_each_account(beside, 20, see_account, &walk), OK);
    assert_string_equal(walk.text, "an 5 0 0;binh 5 1 1;");
    walk = (struct walk){.stop_at = 1};
    assert_int_equal(store_each_account(beside, 200, see_account, &walk), ERR_CLOSED);
    assert_string_equal(walk.text, "an 5 0 0;");

    struct store_row chi = {.name = SLICE("chi"), .key = SLICE("chi"), .secret = SLICE("hash"), .time_ms = 5};
    assert_int_equal(store_run(beside, STORE_ACCOUNT_ADD, &chi, NULL, NULL), OK);
    assert_int_equal(store_run(beside, STORE_ACCOUNT_ADD, &chi, NULL, NULL), ERR_EXISTS);
    assert_int_equal(
        store_run(beside, STORE_ACCOUNT_REMOVE, &(struct store_row){.key = SLICE("binh")}, NULL, NULL), OK);
    assert_int_equal(world_run(w, STORE_ACCOUNT_GET, &(struct store_row){.key = SLICE("chi")}, NULL), OK);
    assert_int_equal(session_state(w, id_a), ERR_NOT_FOUND);
    assert_int_equal(store_run(w->store, STORE_ACCOUNT_ADD, &chi, NULL, NULL), ERR_WRONG_STATE);
    store_close(beside);
}

static int see_name(void *context, slice name)
{
    struct walk *walk = context;
    size_t len = strlen(walk->text);
    snprintf(walk->text + len, sizeof walk->text - len, "%.*s;", (int)name.len, (const char *)name.ptr);
    return OK;
}

static void hosted_channels_are_kept_once_in_their_order(void **state)
{
    struct world *w = *state;
    assert_int_equal(store_host_channel(w->store, SLICE("x"), 1), ERR_WRONG_STATE);
    world_close(w);
    struct store *store = open_beside(w);
    const char *names[] = {"random", "project", "help", "random"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(store_host_channel(store, slice_text(names[i]), 1), OK);
    assert_int_equal(store_host_channel(store, SLICE_EMPTY, 1), ERR_INVALID);
    store_close(store);
    store = open_beside(w);
    struct walk walk = {0};
    assert_int_equal(store_each_hosted(store, see_name, &walk), OK);
    assert_string_equal(walk.text, "random;project;help;");
    store_close(store);
    world_open(w, 0);
}

static void a_database_of_the_first_version_keeps_its_accounts(void **state)
{
    struct world *w = *state;
    char path[128];
    snprintf(path, sizeof path, "%s-first", w->path);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite_migrate(db, sqlite_schema_steps, 1), OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO accounts VALUES (3, 'An', 'an', 'hash', 7);"
                                  "INSERT INTO sessions VALUES (x'01', 3, 1, 100)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    char why[STORE_WHY_BYTES] = "";
    struct store *store;
    struct store_options options = {.path = path};
    if (store_open(&options, &store, why)) fail_msg("%s", why);
    struct walk walk = {0};
    assert_int_equal(store_each_account(store, 50, see_account, &walk), OK);
    assert_string_equal(walk.text, "An 7 1 0;");
    assert_int_equal(
        store_run(store, STORE_ACCOUNT_REMOVE, &(struct store_row){.key = SLICE("an")}, NULL, NULL), OK);
    store_close(store);
    remove(path);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        T(a_new_password_replaces_the_old_one_of_this_account_only),
        T(all_sessions_of_one_account_end_and_are_counted),
        T(a_removed_account_takes_its_sessions_and_devices_with_it_and_its_number_never_comes_back),
        T(another_process_lists_adds_and_removes_while_the_first_is_running),
        T(hosted_channels_are_kept_once_in_their_order),
        T(a_database_of_the_first_version_keeps_its_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
