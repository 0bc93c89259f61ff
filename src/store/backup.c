#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite.h"

#define WAIT_MS 10000
#define PAUSE_MS 20

static int fail(char why[STORE_WHY_BYTES], int err, const char *form, const char *path)
{
    snprintf(why, STORE_WHY_BYTES, form, path);
    return err;
}

static int fail_database(char why[STORE_WHY_BYTES], int err, const char *path)
{
    switch (err) {
    case ERR_CORRUPT: return fail(why, err, "%s is damaged, or is not a database.", path);
    case ERR_DISK_FULL: return fail(why, err, "The disk is full: %s was not written.", path);
    case ERR_DENIED: return fail(why, err, "%s cannot be read or written: check who owns it.", path);
    case ERR_BUSY: return fail(why, err, "%s is held by another process: try again.", path);
    case ERR_MEMORY: return fail(why, err, "There is not enough memory to read %s.", path);
    default: return fail(why, err, "%s cannot be read or written: the disk reports an error.", path);
    }
}

static int run(sqlite3 *db, const char *sql)
{
    return sqlite_error(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static int number(sqlite3 *db, const char *sql, uint64_t *out)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) *out = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? OK : rc == SQLITE_DONE ? ERR_NOT_FOUND : sqlite_error(db, rc);
}

/* An existing file. */
static int open_there(const char *path, int flags, sqlite3 **out_db, char why[STORE_WHY_BYTES])
{
    struct stat info;
    *out_db = NULL;
    if (stat(path, &info)) {
        if (errno == ENOENT || errno == ENOTDIR) return fail(why, ERR_NOT_FOUND, "There is no %s.", path);
        return fail_database(why, errno == EACCES ? ERR_DENIED : ERR_IO, path);
    }
    if (!S_ISREG(info.st_mode)) return fail(why, ERR_INVALID, "%s is not a regular file.", path);
    int rc = sqlite3_open_v2(path, out_db, flags, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(*out_db, 1);
        sqlite3_busy_timeout(*out_db, WAIT_MS);
        return OK;
    }
    int err = sqlite_error(*out_db, rc);
    sqlite3_close(*out_db);
    *out_db = NULL;
    return fail_database(why, err, path);
}

/* --- what is in it --- */

static int check_pages(sqlite3 *db)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    int err = rc == SQLITE_ROW ? OK : sqlite_error(db, rc);
    if (!err && strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0) err = ERR_CORRUPT;
    sqlite3_finalize(statement);
    return err;
}

static int summarize(sqlite3 *db, struct store_summary *out)
{
    uint64_t version = 0, pages = 0, page = 0;
    *out = (struct store_summary){0};
    int err = number(db, "PRAGMA user_version", &version);
    if (!err) err = number(db, "PRAGMA page_count", &pages);
    if (!err) err = number(db, "PRAGMA page_size", &page);
    out->version = (int)version;
    out->bytes = pages * page;
    if (!err && version == 0) return ERR_INVALID;
    if (!err && version > (uint64_t)sqlite_schema_version) return ERR_VERSION;
    if (!err) err = number(db, "SELECT count(*) FROM accounts", &out->accounts);
    if (!err) err = number(db, "SELECT count(*) FROM devices", &out->devices);
    if (!err) err = number(db, "SELECT count(*) FROM channels", &out->channels);
    if (!err) err = number(db, "SELECT count(*) FROM entries", &out->entries);
    if (!err) err = number(db, "SELECT coalesce(max(place_ms), 0) FROM entries", &out->newest_ms);
    return err;
}

static int examine(sqlite3 *db, const char *path, struct store_summary *out, char why[STORE_WHY_BYTES])
{
    int err = check_pages(db);
    if (!err) err = summarize(db, out);
    if (err == ERR_INVALID) return fail(why, err, "%s is a database, but none of weaprous.", path);
    if (err == ERR_VERSION)
        return fail(why, err, "%s was written by a newer version of weaprous: use that one.", path);
    return err ? fail_database(why, err, path) : OK;
}

int store_examine(const char *database, struct store_summary *out, char why[STORE_WHY_BYTES])
{
    sqlite3 *db;
    int err = open_there(database, SQLITE_OPEN_READONLY, &db, why);
    if (err) return err;
    err = examine(db, database, out, why);
    sqlite3_close(db);
    return err;
}

/* --- copies --- */

/* A new file for this user only. */
static int make_new(const char *path, char why[STORE_WHY_BYTES])
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return OK;
    }
    switch (errno) {
    case EEXIST: return fail(why, ERR_EXISTS, "%s is there already: choose another name.", path);
    case ENOENT:
    case ENOTDIR: return fail(why, ERR_NOT_FOUND, "The folder of %s does not exist.", path);
    case ENOSPC:
    case EDQUOT: return fail_database(why, ERR_DISK_FULL, path);
    default: return fail_database(why, errno == EACCES || errno == EROFS ? ERR_DENIED : ERR_IO, path);
    }
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd);
    if (fd >= 0) close(fd);
    return failed ? ERR_IO : OK;
}

/* The bytes, and the name in its folder. */
static int sync_file(const char *path)
{
    char *copy = strdup(path);
    if (!copy) return ERR_MEMORY;
    int err = sync_path(path, O_RDONLY);
    if (!err) err = sync_path(dirname(copy), O_RDONLY | O_DIRECTORY);
    free(copy);
    return err;
}

/* In one step, under a read lock, which WAL lets writers pass. */
static int copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup) return sqlite_error(to, sqlite3_errcode(to));
    int rc = SQLITE_BUSY;
    for (int waited_ms = 0; rc != SQLITE_DONE && waited_ms < WAIT_MS; waited_ms += PAUSE_MS) {
        rc = sqlite3_backup_step(backup, -1);
        if (rc != SQLITE_BUSY && rc != SQLITE_LOCKED) break;
        sqlite3_sleep(PAUSE_MS);
    }
    int finished = sqlite3_backup_finish(backup);
    return sqlite_error(to, rc == SQLITE_DONE || finished != SQLITE_OK ? finished : rc);
}

/* `change` (may be NULL): SQL that is run in the copy. */
static int copy_database(const char *from, const char *to, const char *change, struct store_summary *out,
                         char why[STORE_WHY_BYTES])
{
    sqlite3 *source = NULL, *target = NULL;
    int err = open_there(from, SQLITE_OPEN_READWRITE, &source, why);
    if (err) return err;
    err = make_new(to, why);
    if (err) {
        sqlite3_close(source);
        return err;
    }
    err = open_there(to, SQLITE_OPEN_READWRITE, &target, why);
    if (!err) {
        err = copy_pages(source, target);
        /* One file is easier to carry away than three. */
        if (!err) err = run(target, "PRAGMA journal_mode=DELETE");
        if (!err && change) err = run(target, change);
        if (err)
            (void)fail_database(why, err, to);
        else
            err = examine(target, to, out, why);
    }
    sqlite3_close(target);
    sqlite3_close(source);
    if (!err) {
        err = sync_file(to);
        if (err) (void)fail_database(why, err, to);
    }
    if (err) unlink(to);
    return err;
}

int store_copy(const char *database, const char *copy, struct store_summary *out, char why[STORE_WHY_BYTES])
{
    return copy_database(database, copy, NULL, out, why);
}

int store_prepare(const char *copy, const char *prepared, struct store_summary *out,
                  char why[STORE_WHY_BYTES])
{
    int err = store_examine(copy, out, why);
    if (err) return err;
    /* A copy of an older version has no such table; it gets it when it is opened, empty. */
    sqlite3 *db;
    uint64_t there = 0;
    err = open_there(copy, SQLITE_OPEN_READONLY, &db, why);
    if (err) return err;
    err = number(db, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'web_devices'",
                 &there);
    sqlite3_close(db);
    if (err) return fail_database(why, err, copy);
    const char *change = "DELETE FROM web_devices;"
                         "INSERT INTO index_position (name, position) VALUES ('restored', 1)"
                         " ON CONFLICT (name) DO UPDATE SET position = 1;";
    return copy_database(copy, prepared, there ? change : NULL, out, why);
}
