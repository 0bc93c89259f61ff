/* The tables, as steps from each version to the next. A step that was released is never changed again. */
#include "store/sqlite.h"

#include <stdio.h>

#include "store/schema_accounts.h"
#include "store/schema_channels.h"
#include "store/schema_classic.h"
#include "store/schema_cluster.h"
#include "store/schema_people.h"

const char *const sqlite_schema_steps[] = {
    /* 1: the first slice */
    "CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL UNIQUE,"
    " secret TEXT NOT NULL, created_ms INTEGER NOT NULL);"
    "CREATE TABLE sessions (token BLOB PRIMARY KEY, account INTEGER NOT NULL REFERENCES accounts(id),"
    " created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX sessions_by_expiry ON sessions(expires_ms);"
    "CREATE TABLE devices (device BLOB PRIMARY KEY, account INTEGER NOT NULL REFERENCES accounts(id),"
    " certificate BLOB NOT NULL, issued_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL);"
    "CREATE INDEX devices_by_account ON devices(account);"
    "CREATE TABLE channels (channel BLOB PRIMARY KEY, record BLOB NOT NULL);"
    "CREATE TABLE entries (channel BLOB NOT NULL, author BLOB NOT NULL, seq INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, place_ms INTEGER NOT NULL, record BLOB NOT NULL,"
    " PRIMARY KEY (channel, author, seq));",
    /* 2: accounts can be removed, in one statement; more channels than the first one */
    "CREATE TABLE removed_accounts (id INTEGER PRIMARY KEY);"
    "CREATE INDEX sessions_by_account ON sessions(account);"
    "CREATE TRIGGER account_removed BEFORE DELETE ON accounts BEGIN"
    " DELETE FROM sessions WHERE account = old.id;"
    " DELETE FROM devices WHERE account = old.id;"
    " INSERT INTO removed_accounts (id) VALUES (old.id);"
    " END;"
    "CREATE TABLE hosted_channels (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " created_ms INTEGER NOT NULL);",
    /* 3 to 7: the whole tracker, by area */
    SCHEMA_ACCOUNTS,
    SCHEMA_PEOPLE,
    SCHEMA_CHANNELS,
    SCHEMA_CLASSIC,
    SCHEMA_CLUSTER,
};

const int sqlite_schema_version = sizeof sqlite_schema_steps / sizeof sqlite_schema_steps[0];

static int version_of(sqlite3 *db, int *out_version)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) *out_version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? OK : sqlite_error(db, rc);
}

/* Another process may be doing the same: the version is looked at again inside the transaction. */
static int step_up(sqlite3 *db, const char *const *steps, int count, bool *out_more)
{
    int version;
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc != SQLITE_OK) return sqlite_error(db, rc);
    int err = version_of(db, &version);
    if (err) goto rollback;
    *out_more = version < count;
    if (version > count) {
        err = ERR_VERSION;
        goto rollback;
    }
    if (*out_more) {
        char pragma[48];
        snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version + 1);
        rc = sqlite3_exec(db, steps[version], NULL, NULL, NULL);
        if (rc == SQLITE_OK) rc = sqlite3_exec(db, pragma, NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc == SQLITE_OK) return OK;
    err = sqlite_error(db, rc);
rollback:
    if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

int sqlite_migrate(sqlite3 *db, const char *const *steps, int count)
{
    int version;
    int err = version_of(db, &version);
    if (err || version == count) return err;
    bool more = true;
    while (more && !err)
        err = step_up(db, steps, count, &more);
    return err;
}
