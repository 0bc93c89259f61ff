/* What each operation of the store does in SQLite: one function and one row in the table for each kind. */
#include "store/sqlite.h"

#include <limits.h>
#include <string.h>

static const char *const statement_texts[STATEMENT_COUNT] = {
    [STATEMENT_ACCOUNT_ADD] = "INSERT INTO accounts (id, name, key, secret, created_ms) SELECT"
                              " 1 + max(coalesce((SELECT max(id) FROM accounts), 0),"
                              " coalesce((SELECT max(id) FROM removed_accounts), 0)), ?1, ?2, ?3, ?4"
                              " WHERE NOT EXISTS (SELECT 1 FROM retired_names WHERE key = ?2)",
    [STATEMENT_ACCOUNT_GET] = "SELECT id, name, secret FROM accounts WHERE key = ?1",
    [STATEMENT_ACCOUNT_SECRET] = "UPDATE accounts SET secret = ?2 WHERE key = ?1 RETURNING id",
    [STATEMENT_ACCOUNT_REMOVE] = "DELETE FROM accounts WHERE key = ?1 RETURNING id",
    [STATEMENT_SESSION_ADD] =
        "INSERT INTO sessions (token, account, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)",
    [STATEMENT_SESSION_GET] = "SELECT s.account, a.name, s.expires_ms, a.role, s.seen_ms FROM sessions s"
                              " JOIN accounts a ON a.id = s.account WHERE s.token = ?1 AND s.expires_ms > ?2"
                              " AND a.disabled_ms = 0",
    [STATEMENT_SESSION_EXTEND] = "UPDATE sessions SET expires_ms = max(expires_ms, ?2) WHERE token = ?1",
    [STATEMENT_SESSION_REMOVE] = "DELETE FROM sessions WHERE token = ?1",
    [STATEMENT_SESSION_END_ALL] = "DELETE FROM sessions WHERE account = ?1",
    [STATEMENT_SESSION_PURGE] = "DELETE FROM sessions WHERE expires_ms <= ?1",
    [STATEMENT_DEVICE_GET] = "SELECT account, certificate, expires_ms FROM devices WHERE device = ?1",
    [STATEMENT_DEVICE_REVOKED] = "SELECT account FROM revoked_devices WHERE device = ?1",
    [STATEMENT_DEVICE_COUNT] = "SELECT (SELECT count(*) FROM devices WHERE account = ?1)"
                               " + (SELECT count(*) FROM revoked_devices WHERE account = ?1)",
    [STATEMENT_DEVICE_PUT] = "INSERT INTO devices (device, account, certificate, issued_ms, expires_ms)"
                             " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (device) DO UPDATE SET"
                             " certificate = excluded.certificate, issued_ms = excluded.issued_ms,"
                             " expires_ms = excluded.expires_ms",
    [STATEMENT_CHANNEL_PUT] = "INSERT INTO channels (channel, record) VALUES (?1, ?2)"
                              " ON CONFLICT (channel) DO UPDATE SET record = excluded.record",
    [STATEMENT_ENTRY_PUT] = "INSERT INTO entries (channel, author, seq, kind, place_ms, record)"
                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    [STATEMENT_ENTRY_REPLACE] = "REPLACE INTO entries (channel, author, seq, kind, place_ms, record)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [STATEMENT_ENTRY_GET] = "SELECT record FROM entries WHERE channel = ?1 AND author = ?2 AND seq = ?3",
};

/* A statement with its parameters and its sticky error; always ended with query_end. */
struct query {
    sqlite3 *db;
    sqlite3_stmt *statement;
    int rc;
    int next;
};

static struct query query_of(struct sqlite_engine *engine, enum sqlite_statement which)
{
    struct query q = {.db = engine->db, .next = 1};
    if (!engine->statements[which])
        q.rc = sqlite3_prepare_v3(engine->db, statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                                  &engine->statements[which], NULL);
    q.statement = engine->statements[which];
    return q;
}

static void bind_number(struct query *q, uint64_t value)
{
    if (value > INT64_MAX) q->rc = SQLITE_TOOBIG;
    if (q->rc == SQLITE_OK) q->rc = sqlite3_bind_int64(q->statement, q->next++, (sqlite3_int64)value);
}

static void bind_text(struct query *q, slice text)
{
    if (q->rc == SQLITE_OK)
        q->rc = sqlite3_bind_text(q->statement, q->next++, text.len ? (const char *)text.ptr : "",
                                  (int)text.len, SQLITE_STATIC);
}

static void bind_bytes(struct query *q, const uint8_t *ptr, size_t len)
{
    if (q->rc == SQLITE_OK)
        q->rc = len ? sqlite3_bind_blob(q->statement, q->next++, ptr, (int)len, SQLITE_STATIC)
                    : sqlite3_bind_zeroblob(q->statement, q->next++, 0);
}

/* True when there is a row; after that the columns can be read. */
static bool query_row(struct query *q)
{
    if (q->rc == SQLITE_OK || q->rc == SQLITE_ROW) q->rc = sqlite3_step(q->statement);
    return q->rc == SQLITE_ROW;
}

static int query_end(struct query *q)
{
    int err = sqlite_error(q->db, q->rc);
    if (q->statement) {
        sqlite3_reset(q->statement);
        sqlite3_clear_bindings(q->statement);
    }
    return err;
}

/* For a statement that is to give one row: `err` is what became of reading it. ERR_NOT_FOUND without a row.
 */
static int query_end_row(struct query *q, int err)
{
    if (q->rc == SQLITE_DONE) err = ERR_NOT_FOUND;
    int failed = query_end(q);
    return failed ? failed : err;
}

/* For a statement that gives no rows. */
static int query_run(struct query *q)
{
    query_row(q);
    return query_end(q);
}

static slice column_bytes(const struct query *q, int column)
{
    const void *ptr = sqlite3_column_blob(q->statement, column);
    return slice_of(ptr, (size_t)sqlite3_column_bytes(q->statement, column));
}

static int account_add(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_ACCOUNT_ADD);
    bind_text(&q, op->row.name);
    bind_text(&q, op->row.key);
    bind_text(&q, op->row.secret);
    bind_number(&q, op->row.time_ms);
    int err = query_run(&q);
    if (!err && sqlite3_changes(engine->db) == 0) err = ERR_EXISTS; /* the name is retired */
    if (!err) op->row.account = sqlite3_last_insert_rowid(engine->db);
    return err;
}

static int account_get(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_ACCOUNT_GET);
    bind_text(&q, op->row.key);
    int err = OK;
    if (query_row(&q)) {
        slice name = column_bytes(&q, 1), secret = column_bytes(&q, 2);
        uint8_t *room = store_op_room(op, name.len + secret.len);
        if (room) {
            memcpy(room, name.ptr, name.len);
            memcpy(room + name.len, secret.ptr, secret.len);
            op->row.account = sqlite3_column_int64(q.statement, 0);
            op->row.name = slice_of(room, name.len);
            op->row.secret = slice_of(room + name.len, secret.len);
        } else {
            err = ERR_MEMORY;
        }
    }
    return query_end_row(&q, err);
}

/* For a statement that changes one account and gives its number back. It has done so only when it was run to
 * its end. */
static int account_change(struct query *q, struct store_op *op)
{
    bool found = query_row(q);
    if (found) {
        op->row.account = sqlite3_column_int64(q->statement, 0);
        query_row(q);
        return query_end(q);
    }
    return query_end_row(q, OK);
}

static int account_secret(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_ACCOUNT_SECRET);
    bind_text(&q, op->row.key);
    bind_text(&q, op->row.secret);
    return account_change(&q, op);
}

static int account_remove(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_ACCOUNT_REMOVE);
    bind_text(&q, op->row.key);
    return account_change(&q, op);
}

static int session_add(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_SESSION_ADD);
    bind_bytes(&q, op->row.token, STORE_ID_BYTES);
    bind_number(&q, (uint64_t)op->row.account);
    bind_number(&q, op->row.time_ms);
    bind_number(&q, op->row.expires_ms);
    return query_run(&q);
}

static int session_get(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_SESSION_GET);
    bind_bytes(&q, op->row.token, STORE_ID_BYTES);
    bind_number(&q, op->row.time_ms);
    int err = OK;
    if (query_row(&q)) {
        slice name = column_bytes(&q, 1);
        uint8_t *room = store_op_room(op, name.len);
        if (room) {
            memcpy(room, name.ptr, name.len);
            op->row.account = sqlite3_column_int64(q.statement, 0);
            op->row.name = slice_of(room, name.len);
            op->row.expires_ms = (uint64_t)sqlite3_column_int64(q.statement, 2);
            op->row.role = sqlite3_column_int(q.statement, 3);
            op->row.seen_ms = (uint64_t)sqlite3_column_int64(q.statement, 4);
        } else {
            err = ERR_MEMORY;
        }
    }
    return query_end_row(&q, err);
}

static int session_extend(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_SESSION_EXTEND);
    bind_bytes(&q, op->row.token, STORE_ID_BYTES);
    bind_number(&q, op->row.expires_ms);
    return query_run(&q);
}

static int session_remove(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_SESSION_REMOVE);
    bind_bytes(&q, op->row.token, STORE_ID_BYTES);
    return query_run(&q);
}

static int session_end_all(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_SESSION_END_ALL);
    bind_number(&q, (uint64_t)op->row.account);
    int err = query_run(&q);
    if (!err) op->row.seq = (uint64_t)sqlite3_changes(engine->db);
    return err;
}

static int session_purge(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_SESSION_PURGE);
    bind_number(&q, op->row.time_ms);
    return query_run(&q);
}

/* ERR_WRONG_STATE when it was revoked, ERR_DENIED when it was another account's. */
static int device_not_revoked(struct sqlite_engine *engine, const struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_DEVICE_REVOKED);
    bind_bytes(&q, op->row.device, STORE_ID_BYTES);
    int err = OK;
    if (query_row(&q))
        err = sqlite3_column_int64(q.statement, 0) == op->row.account ? ERR_WRONG_STATE : ERR_DENIED;
    int failed = query_end(&q);
    return failed ? failed : err;
}

/* *out_kept: the device has a certificate of this account that stays in force; it is in op->row then. */
static int device_look(struct sqlite_engine *engine, struct store_op *op, bool *out_known, bool *out_kept)
{
    struct query q = query_of(engine, STATEMENT_DEVICE_GET);
    bind_bytes(&q, op->row.device, STORE_ID_BYTES);
    int err = OK;
    *out_known = query_row(&q);
    *out_kept = false;
    if (*out_known) {
        uint64_t expires_ms = (uint64_t)sqlite3_column_int64(q.statement, 2);
        if (sqlite3_column_int64(q.statement, 0) != op->row.account) {
            err = ERR_DENIED;
        } else if (expires_ms > op->row.renew_ms) {
            slice certificate = column_bytes(&q, 1);
            uint8_t *room = store_op_room(op, certificate.len);
            if (room) {
                memcpy(room, certificate.ptr, certificate.len);
                op->row.record = slice_of(room, certificate.len);
                op->row.expires_ms = expires_ms;
                *out_kept = true;
            } else {
                err = ERR_MEMORY;
            }
        }
    }
    int failed = query_end(&q);
    return failed ? failed : err;
}

static int device_claim(struct sqlite_engine *engine, struct store_op *op)
{
    bool known, kept;
    int err = device_look(engine, op, &known, &kept);
    if (err || kept) return err;
    if (!known) {
        err = device_not_revoked(engine, op);
        if (err) return err;
        struct query count = query_of(engine, STATEMENT_DEVICE_COUNT);
        bind_number(&count, (uint64_t)op->row.account);
        bool full = query_row(&count) && sqlite3_column_int64(count.statement, 0) >= STORE_DEVICES_MAX;
        err = query_end(&count);
        if (err || full) return err ? err : ERR_FULL;
    }
    struct query q = query_of(engine, STATEMENT_DEVICE_PUT);
    bind_bytes(&q, op->row.device, STORE_ID_BYTES);
    bind_number(&q, (uint64_t)op->row.account);
    bind_bytes(&q, op->row.record.ptr, op->row.record.len);
    bind_number(&q, op->row.time_ms);
    bind_number(&q, op->row.expires_ms);
    return query_run(&q);
}

static int channel_put(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_CHANNEL_PUT);
    bind_bytes(&q, op->row.channel, STORE_ID_BYTES);
    bind_bytes(&q, op->row.record.ptr, op->row.record.len);
    return query_run(&q);
}

/* The record under (channel, author, seq); the slice is valid until query_end. */
static struct query entry_query(struct sqlite_engine *engine, const struct store_op *op)
{
    struct query q = query_of(engine, STATEMENT_ENTRY_GET);
    bind_bytes(&q, op->row.channel, STORE_ID_BYTES);
    bind_bytes(&q, op->row.author, STORE_ID_BYTES);
    bind_number(&q, op->row.seq);
    return q;
}

static int entry_write(struct sqlite_engine *engine, struct store_op *op, enum sqlite_statement how)
{
    struct query q = query_of(engine, how);
    bind_bytes(&q, op->row.channel, STORE_ID_BYTES);
    bind_bytes(&q, op->row.author, STORE_ID_BYTES);
    bind_number(&q, op->row.seq);
    bind_number(&q, op->row.entry_kind);
    bind_number(&q, op->row.place_ms);
    bind_bytes(&q, op->row.record.ptr, op->row.record.len);
    return query_run(&q);
}

static int entry_put(struct sqlite_engine *engine, struct store_op *op)
{
    int err = entry_write(engine, op, STATEMENT_ENTRY_PUT);
    if (err || sqlite3_changes(engine->db) == 1) return err;
    struct query old = entry_query(engine, op);
    bool same = query_row(&old) && slice_equal(column_bytes(&old, 0), op->row.record);
    err = query_end(&old);
    return err ? err : same ? OK : ERR_EXISTS;
}

static int entry_replace(struct sqlite_engine *engine, struct store_op *op)
{
    return entry_write(engine, op, STATEMENT_ENTRY_REPLACE);
}

static int entry_get(struct sqlite_engine *engine, struct store_op *op)
{
    struct query q = entry_query(engine, op);
    int err = OK;
    if (query_row(&q)) {
        slice record = column_bytes(&q, 0);
        uint8_t *room = store_op_room(op, record.len);
        if (room && record.len) memcpy(room, record.ptr, record.len);
        if (room)
            op->row.record = slice_of(room, record.len);
        else
            err = ERR_MEMORY;
    }
    return query_end_row(&q, err);
}

void sqlite_run(struct sqlite_engine *engine, struct store_op *op)
{
    static int (*const runs[STORE_KIND_COUNT])(struct sqlite_engine *, struct store_op *) = {
        [STORE_ACCOUNT_ADD] = account_add,
        [STORE_ACCOUNT_GET] = account_get,
        [STORE_ACCOUNT_SECRET] = account_secret,
        [STORE_ACCOUNT_REMOVE] = account_remove,
        [STORE_SESSION_ADD] = session_add,
        [STORE_SESSION_GET] = session_get,
        [STORE_SESSION_EXTEND] = session_extend,
        [STORE_SESSION_REMOVE] = session_remove,
        [STORE_SESSION_END_ALL] = session_end_all,
        [STORE_SESSION_PURGE] = session_purge,
        [STORE_DEVICE_CLAIM] = device_claim,
        [STORE_CHANNEL_PUT] = channel_put,
        [STORE_ENTRY_PUT] = entry_put,
        [STORE_ENTRY_REPLACE] = entry_replace,
        [STORE_ENTRY_GET] = entry_get,
    };
    op->result = op->operation ? sqlite_ask(engine, op) : runs[op->kind](engine, op);
}

int sqlite_secret(struct sqlite_engine *engine, const char *name, uint8_t secret[STORE_SECRET_BYTES])
{
    struct query put = {.db = engine->db, .next = 1};
    put.rc = sqlite3_prepare_v2(engine->db,
                                "INSERT INTO secrets (name, value) VALUES (?1, ?2)"
                                " ON CONFLICT DO NOTHING",
                                -1, &put.statement, NULL);
    bind_text(&put, slice_text(name));
    bind_bytes(&put, secret, STORE_SECRET_BYTES);
    int err = query_run(&put);
    sqlite3_finalize(put.statement);
    if (err) return err;

    struct query get = {.db = engine->db, .next = 1};
    get.rc =
        sqlite3_prepare_v2(engine->db, "SELECT value FROM secrets WHERE name = ?1", -1, &get.statement, NULL);
    bind_text(&get, slice_text(name));
    bool found = query_row(&get);
    slice value = found ? column_bytes(&get, 0) : SLICE_EMPTY;
    if (found && value.len == STORE_SECRET_BYTES)
        memcpy(secret, value.ptr, STORE_SECRET_BYTES);
    else
        err = ERR_CORRUPT;
    int failed = query_end(&get);
    sqlite3_finalize(get.statement);
    return failed ? failed : err;
}

static int visit_all(struct sqlite_engine *engine, const char *sql, store_visit *visit, void *context)
{
    struct query q = {.db = engine->db, .next = 1};
    q.rc = sqlite3_prepare_v2(engine->db, sql, -1, &q.statement, NULL);
    int err = OK;
    while (!err && query_row(&q))
        err = visit(context, column_bytes(&q, 0));
    int failed = query_end(&q);
    sqlite3_finalize(q.statement);
    return failed ? failed : err;
}

int sqlite_each_record(struct sqlite_engine *engine, store_visit *visit, void *context)
{
    int err = visit_all(engine, "SELECT record FROM channels ORDER BY channel", visit, context);
    return err ? err
               : visit_all(engine, "SELECT record FROM entries ORDER BY channel, author, seq", visit,
                           context);
}

int sqlite_host_channel(struct sqlite_engine *engine, slice name, uint64_t time_ms)
{
    struct query q = {.db = engine->db, .next = 1};
    q.rc = sqlite3_prepare_v2(engine->db,
                              "INSERT INTO hosted_channels (name, created_ms) VALUES (?1, ?2)"
                              " ON CONFLICT DO NOTHING",
                              -1, &q.statement, NULL);
    bind_text(&q, name);
    bind_number(&q, time_ms);
    int err = query_run(&q);
    sqlite3_finalize(q.statement);
    return err;
}

int sqlite_each_hosted(struct sqlite_engine *engine, store_visit *visit, void *context)
{
    return visit_all(engine, "SELECT name FROM hosted_channels ORDER BY id", visit, context);
}

int sqlite_each_account(struct sqlite_engine *engine, uint64_t time_ms, store_account_visit *visit,
                        void *context)
{
    struct query q = {.db = engine->db, .next = 1};
    q.rc = sqlite3_prepare_v2(
        engine->db,
        "SELECT id, name, secret, created_ms,"
        " (SELECT count(*) FROM sessions WHERE account = accounts.id AND expires_ms > ?1),"
        " (SELECT count(*) FROM devices WHERE account = accounts.id), role, disabled_ms FROM accounts"
        " ORDER BY key",
        -1, &q.statement, NULL);
    bind_number(&q, time_ms);
    int err = OK;
    while (!err && query_row(&q)) {
        struct store_account account = {.account = sqlite3_column_int64(q.statement, 0),
                                        .name = column_bytes(&q, 1),
                                        .secret = column_bytes(&q, 2),
                                        .created_ms = (uint64_t)sqlite3_column_int64(q.statement, 3),
                                        .sessions = (uint64_t)sqlite3_column_int64(q.statement, 4),
                                        .devices = (uint64_t)sqlite3_column_int64(q.statement, 5),
                                        .role = sqlite3_column_int(q.statement, 6),
                                        .disabled = sqlite3_column_int64(q.statement, 7) > 0};
        err = visit(context, &account);
    }
    int failed = query_end(&q);
    sqlite3_finalize(q.statement);
    return failed ? failed : err;
}
