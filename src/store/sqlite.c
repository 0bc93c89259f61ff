/* The SQLite engine: opening, transactions, errors. What each operation does is in operations.c. */
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_WAIT_MS 5000
/* A database up to this size is read whole at the start to find damage (about 20 ms). */
#define CHECKED_BYTES_MAX (16 * 1024 * 1024)

/* SQLite knows ENOSPC as a full disk, but not quotas and file-size limits, and by the time of the question
 * errno may be gone. A write that fails while there is a limit on the size of files has met it. */
static int io_error(sqlite3 *db, int rc)
{
    int system = db ? sqlite3_system_errno(db) : 0;
    struct rlimit limit;
    bool write = rc == SQLITE_IOERR_WRITE || rc == SQLITE_IOERR_SHMSIZE || rc == SQLITE_IOERR_TRUNCATE;
    if (write && getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        return ERR_DISK_FULL;
    if (system == ENOSPC || system == EDQUOT || system == EFBIG) return ERR_DISK_FULL;
    if (system == EACCES || system == EPERM || system == EROFS) return ERR_DENIED;
    return ERR_IO;
}

int sqlite_error(sqlite3 *db, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return OK;
    case SQLITE_FULL: return ERR_DISK_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ERR_CORRUPT;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return ERR_DENIED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERR_BUSY;
    case SQLITE_NOMEM: return ERR_MEMORY;
    case SQLITE_TOOBIG: return ERR_TOO_LARGE;
    case SQLITE_CONSTRAINT: return ERR_EXISTS;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: return io_error(db, rc);
    default: return ERR_IO;
    }
}

static int run_sql(sqlite3 *db, const char *sql)
{
    return sqlite_error(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static int file_error(int system)
{
    if (system == EACCES || system == EPERM || system == EROFS) return ERR_DENIED;
    if (system == ENOSPC || system == EDQUOT) return ERR_DISK_FULL;
    if (system == EISDIR) return ERR_INVALID;
    return system == ENOENT || system == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
}

/* The file is made here and not by SQLite, because SQLite takes its mode from the umask; -wal and -shm get
 * the mode of the database. One that is there is not opened: closing it would end all locks that this process
 * has on it (POSIX), those of another store on the same file too, and the next program to leave the database
 * would take it for the last one and remove the -wal file under the other store. */
static int make_file(const char *path, bool *out_small)
{
    struct stat info;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
    if (fd < 0 && errno != EEXIST) return file_error(errno);
    if (stat(path, &info)) return file_error(errno);
    if (!S_ISREG(info.st_mode)) return ERR_INVALID;
    if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS)) return file_error(errno);
    *out_small = info.st_size <= CHECKED_BYTES_MAX;
    return OK;
}

static int check_whole(sqlite3 *db)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    int err = rc == SQLITE_ROW ? OK : sqlite_error(db, rc);
    if (!err && strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0) err = ERR_CORRUPT;
    sqlite3_finalize(statement);
    return err;
}

static int prepare_database(sqlite3 *db, const struct store_options *options, bool small)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, BUSY_WAIT_MS);
    int err = run_sql(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                          "PRAGMA journal_size_limit=67108864; PRAGMA trusted_schema=OFF;");
    if (!err && options->pages_max) {
        char pragma[48];
        snprintf(pragma, sizeof pragma, "PRAGMA max_page_count=%u", (unsigned)options->pages_max);
        err = run_sql(db, pragma);
    }
    if (!err && small) err = check_whole(db);
    if (!err) err = sqlite_migrate(db, sqlite_schema_steps, sqlite_schema_version);
    return err;
}

static void explain(int err, const char *path, char why[STORE_WHY_BYTES])
{
    const char *form;
    switch (err) {
    case ERR_DENIED: form = "The database %s cannot be written: check who owns it and its folder."; break;
    case ERR_DISK_FULL: form = "The disk is full: the database %s needs room to be written."; break;
    case ERR_CORRUPT:
        form = "The database %s is damaged or is not a database: move it away, or put back a copy.";
        break;
    case ERR_VERSION:
        form = "The database %s was written by a newer version of weaprous: use that one.";
        break;
    case ERR_BUSY: form = "The database %s is held by another process: end that one first."; break;
    case ERR_NOT_FOUND: form = "The folder of the database %s does not exist."; break;
    case ERR_INVALID: form = "The database %s is not a regular file: move it away."; break;
    case ERR_MEMORY: form = "There is not enough memory to open the database %s."; break;
    default: form = "The database %s cannot be read or written: the disk reports an error."; break;
    }
    snprintf(why, STORE_WHY_BYTES, form, path);
}

int sqlite_open(const struct store_options *options, struct sqlite_engine **out_engine,
                char why[STORE_WHY_BYTES])
{
    bool small = false;
    int err = make_file(options->path, &small);
    struct sqlite_engine *engine = NULL;
    if (!err) {
        engine = calloc(1, sizeof *engine);
        err = engine ? OK : ERR_MEMORY;
    }
    if (!err) {
        int rc =
            sqlite3_open_v2(options->path, &engine->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        err = rc == SQLITE_OK ? prepare_database(engine->db, options, small) : sqlite_error(engine->db, rc);
    }
    if (err) {
        explain(err, options->path, why);
        sqlite_close_engine(engine);
        return err;
    }
    *out_engine = engine;
    return OK;
}

void sqlite_close_engine(struct sqlite_engine *engine)
{
    if (!engine) return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(engine->statements[i]);
    sqlite_forget_steps(engine);
    sqlite3_close(engine->db);
    free(engine);
}

int sqlite_begin(struct sqlite_engine *engine)
{
    return run_sql(engine->db, "BEGIN IMMEDIATE");
}

int sqlite_commit(struct sqlite_engine *engine)
{
    int err = run_sql(engine->db, "COMMIT");
    if (err) sqlite_rollback(engine);
    return err;
}

void sqlite_rollback(struct sqlite_engine *engine)
{
    if (sqlite_in_transaction(engine)) sqlite3_exec(engine->db, "ROLLBACK", NULL, NULL, NULL);
}

bool sqlite_in_transaction(struct sqlite_engine *engine)
{
    return !sqlite3_get_autocommit(engine->db);
}
