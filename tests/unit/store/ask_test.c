/* Operations that are described by data: together or not at all, and what they say when they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/operation.h"
#include "store_world.h"

static const struct store_operation ADD = {
    "add", true, 2, {{STEP_RUN, "INSERT INTO secrets (name, value) VALUES (?1, ?2)", 0}}};
static const struct store_operation MOVE = {
    "move",
    true,
    3,
    {{STEP_RUN, "INSERT INTO secrets (name, value) VALUES (?2, ?3)", 0},
     {STEP_MUST, "DELETE FROM secrets WHERE name = ?1", ERR_NOT_FOUND}}};
static const struct store_operation FREE = {
    "free", false, 1, {{STEP_NOT, "SELECT 1 FROM secrets WHERE name = ?1", ERR_EXISTS}}};
static const struct store_operation LIST = {
    "list",
    false,
    1,
    {{STEP_ROWS, "SELECT name, value, length(value), NULL FROM secrets WHERE name >= ?1 ORDER BY name", 0}}};
static const struct store_operation RAISE = {
    "raise", true, 2, {{STEP_ROWS, "UPDATE secrets SET value = ?2 WHERE name >= ?1 RETURNING name", 0}}};
static const struct store_operation ORPHAN = {
    "orphan",
    true,
    1,
    {{STEP_RUN, "INSERT INTO sessions (token, account, created_ms, expires_ms) VALUES (?1, 99, 1, 2)", 0}}};
static const struct store_operation WRONG = {
    "wrong", true, 0, {{STEP_RUN, "SELECT nonsense FROM nowhere", 0}}};

struct got {
    int result;
    size_t rows, columns;
    char text[512];
};

static void keep(void *context, int result, const struct store_rows *rows)
{
    struct got *got = context;
    got->result = result;
    got->rows = rows->count;
    got->columns = rows->columns;
    size_t used = 0;
    for (size_t i = 0; i < rows->count; i++) {
        for (size_t j = 0; j < rows->columns && used < sizeof got->text; j++) {
            const struct store_value *v = store_at(rows, i, j);
            const char *end = j + 1 == rows->columns ? ";" : ",";
            if (v->type == STORE_NUMBER)
                used +=
                    (size_t)snprintf(got->text + used, sizeof got->text - used, "%d%s", (int)v->number, end);
            else
                used +=
                    (size_t)snprintf(got->text + used, sizeof got->text - used, "%.*s%s", (int)v->bytes.len,
                                     v->type == STORE_NULL ? "" : (const char *)v->bytes.ptr, end);
        }
    }
}

static struct got ask(struct world *w, const struct store_operation *operation,
                      const struct store_value *values, size_t count)
{
    struct got got = {.result = 1};
    int err = store_ask(w->store, operation, values, count, keep, &got);
    if (err) return (struct got){.result = err};
    world_wait_all(w);
    return got;
}

static struct store_value text(const char *t)
{
    return store_text(slice_text(t));
}

static void a_step_that_fails_undoes_those_before_it_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct got a = {0}, b = {0}, c = {0};
    struct store_value one[] = {text("one"), store_bytes("1", 1)},
                       two[] = {text("two"), store_bytes("22", 2)},
                       move[] = {text("three"), text("four"), store_bytes("x", 1)};
    /* These three share a transaction. */
    assert_int_equal(store_ask(w->store, &ADD, one, 2, keep, &a), OK);
    assert_int_equal(store_ask(w->store, &MOVE, move, 3, keep, &b), OK);
    assert_int_equal(store_ask(w->store, &ADD, two, 2, keep, &c), OK);
    world_wait_all(w);
    assert_int_equal(a.result, OK);
    assert_int_equal(b.result, ERR_NOT_FOUND);
    assert_int_equal(c.result, OK);
    struct store_value from[] = {text("o")};
    struct got list = ask(w, &LIST, from, 1);
    assert_int_equal(list.columns, 4);
    assert_string_equal(list.text, "one,1,1,;two,22,2,;");
    struct store_value right[] = {text("one"), text("four"), store_bytes("x", 1)};
    assert_int_equal(ask(w, &MOVE, right, 3).result, OK);
    assert_string_equal(ask(w, &LIST, (struct store_value[]){text("")}, 1).text, "four,x,1,;two,22,2,;");
}

static void errors_are_told_apart(void **state)
{
    struct world *w = *state;
    struct store_value one[] = {text("one"), store_bytes("1", 1)};
    assert_int_equal(ask(w, &FREE, one, 1).result, OK);
    assert_int_equal(ask(w, &ADD, one, 2).result, OK);
    assert_int_equal(ask(w, &FREE, one, 1).result, ERR_EXISTS);
    assert_int_equal(ask(w, &ADD, one, 2).result, ERR_EXISTS);
    assert_int_equal(ask(w, &ADD, one, 1).result, ERR_INVALID);
    uint8_t token[STORE_ID_BYTES] = {7};
    assert_int_equal(ask(w, &ORPHAN, (struct store_value[]){store_id(token)}, 1).result, ERR_NOT_FOUND);
    assert_int_equal(err_class_of(ask(w, &WRONG, NULL, 0).result), ERR_CLASS_SYSTEM);
    struct got list = ask(w, &LIST, (struct store_value[]){text("x")}, 1);
    assert_int_equal(list.result, OK);
    assert_int_equal(list.rows, 0);
}

static void rows_come_back_from_changes_too_and_all_are_changed(void **state)
{
    struct world *w = *state;
    char name[16];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "n%02d", i);
        assert_int_equal(ask(w, &ADD, (struct store_value[]){text(name), store_bytes("a", 1)}, 2).result, OK);
    }
    struct got got = ask(w, &RAISE, (struct store_value[]){text("n15"), store_bytes("bb", 2)}, 2);
    assert_int_equal(got.rows, 5);
    got = ask(w, &LIST, (struct store_value[]){text("n14")}, 1);
    assert_string_equal(got.text, "n14,a,1,;n15,bb,2,;n16,bb,2,;n17,bb,2,;n18,bb,2,;n19,bb,2,;");
}

static void an_answer_is_bounded(void **state)
{
    struct world *w = *state;
    char name[16];
    for (int i = 0; i <= STORE_ROWS_MAX; i++) {
        snprintf(name, sizeof name, "n%05d", i);
        struct store_value values[] = {text(name), store_bytes("a", 1)};
        assert_int_equal(store_ask(w->store, &ADD, values, 2, NULL, NULL), OK);
    }
    assert_int_equal(ask(w, &LIST, (struct store_value[]){text("")}, 1).result, ERR_TOO_LARGE);
    assert_int_equal(ask(w, &LIST, (struct store_value[]){text("n00001")}, 1).rows, STORE_ROWS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_step_that_fails_undoes_those_before_it_and_nothing_else,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(errors_are_told_apart, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(rows_come_back_from_changes_too_and_all_are_changed, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(an_answer_is_bounded, world_setup, world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
