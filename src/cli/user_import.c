/* weaprous user import: reads the whole file first, then hashes on all cores and adds one account after the
 * other, so that what was done stays done when it is interrupted, and the next run goes on. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "account/import.h"
#include "account/passwords.h"
#include "base/buffer.h"
#include "base/utf8.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/data.h"
#include "cli/file.h"
#include "cli/user.h"
#include "store/people_sql.h"

enum { HASHING_MAX = 16, PROGRESS_FROM = 20 };

/* A name in somebody's list of friends. */
struct friendship {
    struct friendship *next;
    struct row *of;
    size_t key_len;
    uint8_t key[];
};

struct row {
    struct row *next;
    int64_t account; /* that exists under this name, or 0 */
    bool kept;       /* it was added, or got its new password */
    slice name, key, password;
    size_t bytes;
};

struct import {
    const char *file, *data;
    bool replace, dry_run;
    struct store *store; /* NULL: --dry-run where there is no database yet */

    struct row *first, **last, *todo, *newest;
    struct friendship *friendships; /* of all rows */
    size_t asked, befriended, strangers;
    size_t refused, nicknames, friends, short_passwords; /* in the file */
    size_t total, done, added, replaced, left;

    uv_loop_t loop;
    struct passwords passwords;
    unsigned hashing;
    int err;
};

struct hashing {
    struct import *import;
    struct row *row;
};

/* --- the file --- */

static void tell_problem(void *context, size_t line, const char *reason)
{
    struct import *import = context;
    import->refused++;
    fprintf(stderr, "%s:%zu: %s\n", import->file, line, reason);
}

static slice keep(uint8_t **room, slice bytes)
{
    slice kept = slice_of(*room, bytes.len);
    memcpy(*room, bytes.ptr, bytes.len);
    *room += bytes.len;
    return kept;
}

static int keep_row(void *context, const struct import_record *record)
{
    struct import *import = context;
    size_t bytes = sizeof(struct row) + record->name.len + record->key_len + record->password.len;
    struct row *row = malloc(bytes);
    if (!row) return ERR_MEMORY;
    uint8_t *room = (uint8_t *)(row + 1);
    *row = (struct row){.bytes = bytes};
    row->name = keep(&room, record->name);
    row->key = keep(&room, slice_of(record->key, record->key_len));
    row->password = keep(&room, record->password);
    *import->last = row;
    import->last = &row->next;
    import->newest = row;
    import->total++;
    import->nicknames += record->nickname;
    import->friends += record->friends;
    import->short_passwords += utf8_length(record->password) < PASSWORD_LETTERS_MIN;
    const uint8_t *p = record->password.ptr;
    if (p[0] == ' ' || p[record->password.len - 1] == ' ')
        fprintf(stderr, "%s:%zu: The password begins or ends with a space, which belongs to it.\n",
                import->file, record->line);
    return OK;
}

static int keep_friend(void *context, slice key)
{
    struct import *import = context;
    struct friendship *friendship = malloc(sizeof *friendship + key.len);
    if (!friendship) return ERR_MEMORY;
    *friendship = (struct friendship){import->friendships, import->newest, key.len};
    memcpy(friendship->key, key.ptr, key.len);
    import->friendships = friendship;
    return OK;
}

static int read_rows(struct import *import)
{
    static const struct import_handlers handlers = {keep_row, tell_problem, keep_friend};
    struct buffer file;
    int err = file_read(import->file, IMPORT_BYTES_MAX / (1024 * 1024), &file);
    if (!err) {
        err = import_read(buffer_slice(&file), &handlers, import);
        if (err == ERR_MEMORY)
            complain("There is not enough memory to read %s.", import->file);
        else if (err)
            complain("Nothing was imported from %s.", import->file);
    }
    if (file.len) sodium_memzero(file.ptr, file.len);
    buffer_reset(&file);
    return err;
}

static void free_rows(struct import *import)
{
    while (import->friendships) {
        struct friendship *friendship = import->friendships;
        import->friendships = friendship->next;
        free(friendship);
    }
    while (import->first) {
        struct row *row = import->first;
        import->first = row->next;
        sodium_memzero(row, row->bytes);
        free(row);
    }
}

/* --- the accounts --- */

static void show_progress(const struct import *import)
{
    if (import->total >= PROGRESS_FROM && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%zu of %zu%s", import->done, import->total,
                import->done == import->total ? "\n" : "");
}

static int keep_account(struct import *import, struct row *row, slice hash)
{
    uint64_t ended;
    struct store_row account = {.name = row->name, .key = row->key, .secret = hash, .time_ms = user_now_ms()};
    int err;
    if (row->account) {
        err = store_run(import->store, STORE_ACCOUNT_SECRET, &account, NULL, NULL);
        if (!err) err = user_end_sessions(import->store, row->account, &ended);
        import->replaced += !err;
    } else {
        err = store_run(import->store, STORE_ACCOUNT_ADD, &account, NULL, NULL);
        import->added += !err;
        import->left += err == ERR_EXISTS; /* somebody has just registered */
        if (err == ERR_EXISTS) return OK;
    }
    row->kept = !err;
    return err;
}

static void asked(void *context, int result, const struct store_rows *rows)
{
    struct import *import = context;
    if (result || !rows->count) return;
    if (store_at(rows, 0, 2)->number == PEOPLE_FRIEND)
        import->befriended++;
    else
        import->asked++;
}

/* Who lists somebody has asked that one; so who list each other are friends. Accounts that were left alone
 * keep theirs as they are. */
static int make_friends(struct import *import)
{
    int err = OK;
    for (struct friendship *f = import->friendships; f && !err; f = f->next) {
        struct user_found account;
        if (!f->of->kept) continue;
        err = user_find(import->store, f->of->key, &account);
        if (err) break;
        const struct store_value values[] = {store_number(account.account),
                                             store_text(slice_of(f->key, f->key_len)),
                                             store_text(SLICE_EMPTY), store_number((int64_t)user_now_ms())};
        err = store_ask_now(import->store, &PEOPLE_ASK, values, 4, asked, import);
        import->strangers += err == ERR_NOT_FOUND || err == ERR_FULL || err == ERR_DENIED;
        if (err == ERR_NOT_FOUND || err == ERR_FULL || err == ERR_DENIED || err == ERR_EXISTS) err = OK;
    }
    return err;
}

static void go_on(struct import *import);

static void hashed(void *context, int result, slice hash)
{
    struct hashing *hashing = context;
    struct import *import = hashing->import;
    import->hashing--;
    import->done++;
    if (!result) result = keep_account(import, hashing->row, hash);
    if (result && !import->err) import->err = result;
    free(hashing);
    show_progress(import);
    go_on(import);
}

/* Whether the account is to be hashed and kept. */
static int look_at(struct import *import, struct row *row, bool *out_wanted)
{
    struct user_found there = {0};
    int err = import->store ? user_find(import->store, row->key, &there) : ERR_NOT_FOUND;
    *out_wanted = err == ERR_NOT_FOUND || (!err && import->replace);
    row->account = err ? 0 : there.account;
    import->left += !err && !import->replace;
    if (*out_wanted && import->dry_run) {
        import->added += !row->account;
        import->replaced += row->account != 0;
        *out_wanted = false;
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

static int hash_row(struct import *import, struct row *row)
{
    struct hashing *hashing = malloc(sizeof *hashing);
    if (!hashing) return ERR_MEMORY;
    *hashing = (struct hashing){import, row};
    int err = passwords_hash(&import->passwords, row->password, hashed, hashing);
    if (err)
        free(hashing);
    else
        import->hashing++;
    return err;
}

static void go_on(struct import *import)
{
    while (!import->err && import->todo && import->hashing < import->passwords.running_max) {
        struct row *row = import->todo;
        import->todo = row->next;
        bool wanted;
        import->err = look_at(import, row, &wanted);
        if (!import->err && wanted)
            import->err = hash_row(import, row);
        else
            import->done++;
    }
}

static int import_rows(struct import *import)
{
    char threads[8];
    unsigned cores = uv_available_parallelism();
    if (cores > HASHING_MAX) cores = HASHING_MAX;
    snprintf(threads, sizeof threads, "%u", cores);
    setenv("UV_THREADPOOL_SIZE", threads, 1);
    if (uv_loop_init(&import->loop)) return ERR_MEMORY;
    passwords_init(&import->passwords, &import->loop);
    import->passwords.running_max = cores;
    import->todo = import->first;
    go_on(import);
    uv_run(&import->loop, UV_RUN_DEFAULT);
    uv_loop_close(&import->loop);
    if (!import->err && !import->dry_run) import->err = make_friends(import);
    return import->err;
}

/* --- what came of it --- */

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void print_summary(const struct import *import)
{
    const char *would = import->dry_run ? "Would add" : "Added";
    printf("%s %zu account%s.\n", would, import->added, plural(import->added));
    if (import->replaced)
        printf("%s the password%s of %zu account%s, which %s logged out.\n",
               import->dry_run ? "Would replace" : "Replaced", plural(import->replaced), import->replaced,
               plural(import->replaced),
               import->dry_run         ? "would be"
               : import->replaced == 1 ? "was"
                                       : "were");
    if (import->left)
        printf("Left %zu account%s alone that exist%s already (--replace gives the password of the file).\n",
               import->left, plural(import->left), import->left == 1 ? "s" : "");
    if (import->refused)
        printf("Refused %zu line%s or record%s, see above.\n", import->refused, plural(import->refused),
               plural(import->refused));
    if (import->short_passwords)
        printf("%zu password%s shorter than 8 characters: accepted, but better changed.\n",
               import->short_passwords, import->short_passwords == 1 ? " is" : "s are");
    if (import->nicknames)
        printf("%zu nickname%s not kept: an account has one name, the username.\n", import->nicknames,
               import->nicknames == 1 ? " was" : "s were");
    if (import->befriended || import->asked > import->befriended)
        printf("%zu friendship%s; %zu more request%s, which wait for an answer.\n", import->befriended,
               plural(import->befriended), import->asked - import->befriended,
               plural(import->asked - import->befriended));
    if (import->strangers)
        printf("%zu name%s in lists of friends could not be asked: there is no such account, or there are "
               "too many.\n",
               import->strangers, plural(import->strangers));
    if (import->friends && import->dry_run)
        printf("%zu account%s list%s friends.\n", import->friends, plural(import->friends),
               import->friends == 1 ? "s" : "");
    if (import->dry_run) printf("Nothing was changed.\n");
}

static enum args_result parse(struct import *import, int argc, char **argv)
{
    const struct arg args[] = {
        {"FILE", ARG_WORD, &import->file, NULL, "the list; - for standard input", 0, 0},
        {"data", ARG_TEXT, &import->data, "DIR", "folder of the server (default " DATA_DEFAULT ")", 0, 0},
        {"replace", ARG_FLAG, &import->replace, NULL,
         "accounts that exist get the password of the file too, and\nare logged out", 0, 0},
        {"dry-run", ARG_FLAG, &import->dry_run, NULL, "say what would be done, and do nothing", 0, 0},
    };
    return args_parse(
        "Usage: weaprous user import FILE [OPTIONS]\n\n"
        "Adds the accounts of a list with passwords in clear, and keeps them hashed (Argon2id).\n"
        "The list is CSV, username,password on each line, with or without a header; or JSON\n"
        "(Users.json): records with username and password, perhaps nickname and friends.\n"
        "What is wrong on a line is told, and the others are imported; the exit status is 1 then.\n"
        "Delete the list afterwards: it holds the passwords in clear.\n",
        args, sizeof args / sizeof args[0], argc, argv);
}

static int open_store(struct import *import)
{
    char *path = import->dry_run ? data_database(import->data) : NULL;
    bool nothing = path && access(path, F_OK);
    free(path);
    return nothing ? OK : user_open(import->data, true, &import->store);
}

int user_import(int argc, char **argv)
{
    struct import import = {.data = DATA_DEFAULT};
    import.last = &import.first;
    enum args_result result = parse(&import, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    int err = read_rows(&import);
    if (!err) err = open_store(&import);
    if (!err) {
        err = import_rows(&import);
        print_summary(&import);
        fflush(stdout);
        if (err == ERR_MEMORY)
            complain(
                "It stopped there: there is not enough memory to hash passwords (64 MiB for each core).");
        else if (err)
            user_complain(import.data, err);
        store_close(import.store);
    }
    free_rows(&import);
    return err || import.refused ? EXIT_STOPPED : EXIT_OK;
}
