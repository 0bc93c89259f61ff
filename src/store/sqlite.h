/* sqlite.h - the parts of the SQLite engine, private to src/store. */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <sqlite3.h>

#include "store/engine.h"

enum sqlite_statement {
    STATEMENT_ACCOUNT_ADD,
    STATEMENT_ACCOUNT_GET,
    STATEMENT_ACCOUNT_SECRET,
    STATEMENT_ACCOUNT_REMOVE,
    STATEMENT_SESSION_ADD,
    STATEMENT_SESSION_GET,
    STATEMENT_SESSION_EXTEND,
    STATEMENT_SESSION_REMOVE,
    STATEMENT_SESSION_END_ALL,
    STATEMENT_SESSION_PURGE,
    STATEMENT_DEVICE_GET,
    STATEMENT_DEVICE_REVOKED,
    STATEMENT_DEVICE_COUNT,
    STATEMENT_DEVICE_PUT,
    STATEMENT_CHANNEL_PUT,
    STATEMENT_ENTRY_PUT,
    STATEMENT_ENTRY_REPLACE,
    STATEMENT_ENTRY_GET,
    STATEMENT_COUNT,
};

enum { SQLITE_STEPS_KEPT = 512 }; /* a power of two, well above the number of all steps */

struct sqlite_engine {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT]; /* prepared when first used */
    /* The statements of store_operations, found by the address of the step; open addressing. */
    struct {
        const struct store_step *step;
        sqlite3_stmt *statement;
    } steps[SQLITE_STEPS_KEPT];
    size_t step_count;
};

/* Runs a store_operation. */
int sqlite_ask(struct sqlite_engine *engine, struct store_op *op) BASE_CHECKED;
void sqlite_forget_steps(struct sqlite_engine *engine);

/* The code of the err table for a result of SQLite; db (may be NULL) tells what the system said. */
int sqlite_error(sqlite3 *db, int rc);

/* One step of the schema: version n of the database is reached by running steps[0 .. n-1]. */
extern const char *const sqlite_schema_steps[];
extern const int sqlite_schema_version;

/* Brings the database to `count` steps, each in a transaction of its own together with its version number.
 * ERR_VERSION: the database is newer. */
int sqlite_migrate(sqlite3 *db, const char *const *steps, int count) BASE_CHECKED;

#endif
