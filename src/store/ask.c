/* Runs the operations that are described by data (operation.h) in SQLite. */
#include <stdlib.h>
#include <string.h>

#include "store/sqlite.h"

/* --- prepared statements, kept for ever --- */

static int step_prepare(struct sqlite_engine *engine, const struct store_step *step, sqlite3_stmt **out)
{
    size_t at = ((uintptr_t)step / sizeof *step) % SQLITE_STEPS_KEPT;
    while (engine->steps[at].step && engine->steps[at].step != step)
        at = (at + 1) % SQLITE_STEPS_KEPT;
    if (!engine->steps[at].step) {
        if (engine->step_count + 1 >= SQLITE_STEPS_KEPT) return ERR_FULL;
        sqlite3_stmt *statement;
        int rc = sqlite3_prepare_v3(engine->db, step->sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
        if (rc != SQLITE_OK) return sqlite_error(engine->db, rc);
        engine->steps[at].step = step;
        engine->steps[at].statement = statement;
        engine->step_count++;
    }
    *out = engine->steps[at].statement;
    return OK;
}

void sqlite_forget_steps(struct sqlite_engine *engine)
{
    for (size_t i = 0; i < SQLITE_STEPS_KEPT; i++)
        sqlite3_finalize(engine->steps[i].statement);
    memset(engine->steps, 0, sizeof engine->steps);
    engine->step_count = 0;
}

static int bind(sqlite3_stmt *statement, const struct store_value *values, unsigned count)
{
    int rc = SQLITE_OK, used = sqlite3_bind_parameter_count(statement);
    for (int i = 0; rc == SQLITE_OK && i < used && i < (int)count; i++) {
        const struct store_value *v = &values[i];
        const char *ptr = v->bytes.len ? (const char *)v->bytes.ptr : "";
        switch (v->type) {
        case STORE_NUMBER: rc = sqlite3_bind_int64(statement, i + 1, v->number); break;
        case STORE_TEXT:
            rc = sqlite3_bind_text(statement, i + 1, ptr, (int)v->bytes.len, SQLITE_STATIC);
            break;
        case STORE_BYTES:
            rc = sqlite3_bind_blob(statement, i + 1, ptr, (int)v->bytes.len, SQLITE_STATIC);
            break;
        default: rc = sqlite3_bind_null(statement, i + 1); break;
        }
    }
    return rc;
}

/* --- the answer: values whose bytes are offsets until it is complete --- */

struct answer {
    struct store_value *values;
    size_t count, cap, rows, columns;
    uint8_t *bytes;
    size_t len, room;
};

static int answer_bytes(struct answer *a, const void *ptr, size_t len)
{
    if (len > STORE_ANSWER_BYTES_MAX - a->len) return ERR_TOO_LARGE;
    if (len > a->room - a->len) {
        size_t room = 2 * (a->len + len) + 256;
        uint8_t *grown = realloc(a->bytes, room);
        if (!grown) return ERR_MEMORY;
        a->bytes = grown;
        a->room = room;
    }
    if (len) memcpy(a->bytes + a->len, ptr, len);
    a->len += len;
    return OK;
}

static int answer_value(struct answer *a, sqlite3_stmt *statement, int column)
{
    struct store_value *v = &a->values[a->count++];
    *v = (struct store_value){.type = STORE_NULL, .number = (int64_t)a->len};
    int type = sqlite3_column_type(statement, column);
    if (type == SQLITE_NULL) return OK;
    if (type == SQLITE_INTEGER) {
        v->type = STORE_NUMBER;
        v->number = sqlite3_column_int64(statement, column);
        return OK;
    }
    v->type = type == SQLITE_BLOB ? STORE_BYTES : STORE_TEXT; /* a FLOAT becomes text */
    const void *ptr = v->type == STORE_BYTES ? sqlite3_column_blob(statement, column)
                                             : (const void *)sqlite3_column_text(statement, column);
    v->bytes.len = (size_t)sqlite3_column_bytes(statement, column);
    return v->bytes.len && !ptr ? ERR_MEMORY : answer_bytes(a, ptr, v->bytes.len);
}

static int answer_row(struct answer *a, sqlite3_stmt *statement)
{
    size_t columns = (size_t)sqlite3_column_count(statement);
    if (a->rows == 0) a->columns = columns;
    if (columns != a->columns) return ERR_INVALID;
    if (a->rows == STORE_ROWS_MAX) return ERR_TOO_LARGE;
    if (a->count + columns > a->cap) {
        size_t cap = 2 * (a->count + columns);
        struct store_value *grown = realloc(a->values, cap * sizeof *grown);
        if (!grown) return ERR_MEMORY;
        a->values = grown;
        a->cap = cap;
    }
    int err = OK;
    for (size_t i = 0; i < columns && !err; i++)
        err = answer_value(a, statement, (int)i);
    a->rows++;
    return err;
}

/* Into one block that goes with the operation. */
static int answer_keep(struct answer *a, struct store_op *op)
{
    size_t table = a->count * sizeof *a->values;
    uint8_t *room = store_op_room(op, table + a->len);
    if (!room) return ERR_MEMORY;
    if (a->count) memcpy(room, a->values, table);
    if (a->len) memcpy(room + table, a->bytes, a->len);
    struct store_value *values = (struct store_value *)(void *)room;
    for (size_t i = 0; i < a->count; i++) {
        if (values[i].type == STORE_NUMBER || values[i].type == STORE_NULL) continue;
        values[i].bytes.ptr = room + table + values[i].number;
        values[i].number = 0;
    }
    op->rows = (struct store_rows){.count = a->rows, .columns = a->columns, .values = values};
    return OK;
}

/* --- running --- */

static int step_run(struct sqlite_engine *engine, const struct store_step *step, const struct store_op *op,
                    struct answer *a)
{
    sqlite3_stmt *statement;
    int err = step_prepare(engine, step, &statement);
    if (err) return err;
    int rc = bind(statement, op->values, op->operation->values);
    bool found = false;
    if (rc == SQLITE_OK) {
        /* To its end in any case: what RETURNING gives is done only then. */
        while (!err && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
            found = true;
            if (step->kind == STEP_ROWS) err = answer_row(a, statement);
        }
    }
    if (rc == SQLITE_DONE && !found && !sqlite3_stmt_readonly(statement))
        found = sqlite3_changes(engine->db) > 0;
    if (!err && rc != SQLITE_DONE)
        err = rc == SQLITE_CONSTRAINT_FOREIGNKEY ? ERR_NOT_FOUND : sqlite_error(engine->db, rc);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (err) return err;
    if (step->kind == STEP_MUST && !found) return step->otherwise;
    if (step->kind == STEP_NOT && found) return step->otherwise;
    return OK;
}

int sqlite_ask(struct sqlite_engine *engine, struct store_op *op)
{
    const struct store_step *steps = op->operation->steps;
    struct answer a = {0};
    int err = OK;
    bool guarded = op->operation->writes && sqlite_in_transaction(engine);
    if (guarded)
        err = sqlite_error(engine->db, sqlite3_exec(engine->db, "SAVEPOINT operation", NULL, NULL, NULL));
    for (size_t i = 0; !err && i < STORE_STEPS_MAX && steps[i].sql; i++)
        err = step_run(engine, &steps[i], op, &a);
    if (!err) err = answer_keep(&a, op);
    if (guarded && sqlite_in_transaction(engine)) {
        if (err) sqlite3_exec(engine->db, "ROLLBACK TO operation", NULL, NULL, NULL);
        int rc = sqlite3_exec(engine->db, "RELEASE operation", NULL, NULL, NULL);
        if (!err) err = sqlite_error(engine->db, rc);
    }
    if (err) op->rows = (struct store_rows){0};
    free(a.values);
    free(a.bytes);
    return err;
}
