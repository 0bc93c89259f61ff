/* weaprous user: the accounts of a server, from the command line, also while it is running. */
#include "cli/user.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "account/passwords.h"
#include "base/utf8.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/data.h"
#include "cli/secret.h"
#include "crypto/native.h"
#include "store/accounts_sql.h"

#define DATA_HELP "folder of the server (default " DATA_DEFAULT ")"

/* --- shared with user_import.c --- */

uint64_t user_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void user_complain(const char *folder, int err)
{
    if (err == ERR_BUSY)
        complain("The accounts in %s are busy: another process has held them for seconds. Try again.",
                 folder);
    else if (err == ERR_DISK_FULL)
        complain("The disk is full: nothing was changed in %s.", folder);
    else
        complain("The accounts in %s cannot be read or changed: %s.", folder, err_text(err));
}

int user_open(const char *folder, bool make, struct store **out_store)
{
    if (crypto_native_start()) {
        complain("There is no randomness from the system.");
        return ERR_IO;
    }
    int err = data_find(folder, make);
    if (err) return err;
    char why[STORE_WHY_BYTES];
    char *path = data_database(folder);
    struct store_options options = {.path = path};
    err = path ? store_open(&options, out_store, why) : ERR_MEMORY;
    if (err) complain("%s", path ? why : "There is not enough memory.");
    free(path);
    return err;
}

static void found(void *context, int result, const struct store_row *row)
{
    struct user_found *out = context;
    if (result) return;
    out->account = row->account;
    snprintf(out->name, sizeof out->name, "%.*s", (int)row->name.len, (const char *)row->name.ptr);
}

int user_find(struct store *store, slice key, struct user_found *out)
{
    return store_run(store, STORE_ACCOUNT_GET, &(struct store_row){.key = key}, found, out);
}

static void ended(void *context, int result, const struct store_row *row)
{
    if (!result) *(uint64_t *)context = row->seq;
}

int user_end_sessions(struct store *store, int64_t account, uint64_t *out_count)
{
    return store_run(store, STORE_SESSION_END_ALL, &(struct store_row){.account = account}, ended, out_count);
}

/* --- one account --- */

bool user_read_name(struct user_one *one)
{
    const char *problem = name_problem(slice_text(one->name));
    int len = problem ? 0 : fold_name(slice_text(one->name), one->key_room);
    if (!problem && len < 0) problem = "This name cannot be used.";
    if (problem)
        complain("%s", problem);
    else
        one->key = slice_of(one->key_room, (size_t)len);
    return !problem;
}

static enum args_result parse_one(const char *usage, struct user_one *one, bool adds, int argc, char **argv)
{
    *one = (struct user_one){.data = DATA_DEFAULT};
    const struct arg args[] = {
        {"NAME", ARG_WORD, &one->name, NULL, "name of the account", 0, 0},
        {"data", ARG_TEXT, &one->data, "DIR", DATA_HELP, 0, 0},
        {"reuse", ARG_FLAG, &one->reuse, NULL,
         "the name may be one of an account that was deleted, whose messages\nstay signed with it", 0, 0},
    };
    int count = (int)(sizeof args / sizeof args[0]) - !adds;
    enum args_result result = args_parse(usage, args, count, argc, argv);
    if (result != ARGS_OK) return result;
    return user_read_name(one) ? ARGS_OK : ARGS_WRONG;
}

int user_find_one(struct store *store, const struct user_one *one, struct user_found *out)
{
    int err = user_find(store, one->key, out);
    if (err == ERR_NOT_FOUND)
        complain("There is no account %s in %s.", one->name, one->data);
    else if (err)
        user_complain(one->data, err);
    return err;
}

static int hash_new_password(const struct user_one *one, char out_hash[PASSWORD_HASH_BYTES])
{
    struct secret secret;
    int err = secret_read(one->name, &secret);
    if (err) return err;
    err = password_hash(slice_of(secret.bytes, secret.len), out_hash);
    secret_wipe(&secret);
    if (err) complain("There is not enough memory to hash the password (64 MiB).");
    return err;
}

static void retired(void *context, int result, const struct store_rows *rows)
{
    bool *there = context;
    *there = !result && rows->count > 0;
}

/* The name of an account that was deleted is given again only when that is wanted. */
static int release_name(struct store *store, const struct user_one *one)
{
    bool was = false;
    const struct store_value values[] = {store_text(one->key)};
    int err = store_ask_now(store, &STORE_NAME_RETIRED, values, 1, retired, &was);
    if (!err && was && !one->reuse) {
        complain(
            "%s was the name of an account that was deleted, and what that one wrote stays signed with it; "
            "--reuse gives the name again.",
            one->name);
        return ERR_EXISTS;
    }
    if (!err && was) err = store_ask_now(store, &STORE_NAME_RELEASE, values, 1, NULL, NULL);
    if (err) user_complain(one->data, err);
    return err;
}

static int add_to(struct store *store, const struct user_one *one)
{
    struct user_found other;
    char hash[PASSWORD_HASH_BYTES];
    int err = user_find(store, one->key, &other);
    if (!err) {
        if (strcmp(other.name, one->name) == 0)
            complain("There is an account %s already; `weaprous user passwd` changes its password.",
                     one->name);
        else
            complain("There is an account %s, and %s counts as the same name.", other.name, one->name);
        return ERR_EXISTS;
    }
    if (err != ERR_NOT_FOUND) {
        user_complain(one->data, err);
        return err;
    }
    err = release_name(store, one);
    if (err) return err;
    err = hash_new_password(one, hash);
    if (err) return err;
    struct store_row row = {
        .name = slice_text(one->name), .key = one->key, .secret = slice_text(hash), .time_ms = user_now_ms()};
    err = store_run(store, STORE_ACCOUNT_ADD, &row, NULL, NULL);
    if (err == ERR_EXISTS)
        complain("Somebody has just taken the name %s.", one->name);
    else if (err)
        user_complain(one->data, err);
    else
        printf("The account %s was added.\n", one->name);
    return err;
}

static int change_password(struct store *store, const struct user_one *one)
{
    struct user_found account;
    char hash[PASSWORD_HASH_BYTES];
    uint64_t sessions = 0;
    int err = user_find_one(store, one, &account);
    if (!err) err = hash_new_password(one, hash);
    if (err) return err;
    struct store_row row = {.key = one->key, .secret = slice_text(hash)};
    err = store_run(store, STORE_ACCOUNT_SECRET, &row, NULL, NULL);
    if (!err) err = user_end_sessions(store, account.account, &sessions);
    if (err)
        user_complain(one->data, err);
    else
        printf("The password of %s was changed; logged out everywhere (%" PRIu64 " session%s).\n",
               account.name, sessions, sessions == 1 ? "" : "s");
    return err;
}

static int remove_from(struct store *store, const struct user_one *one)
{
    struct user_found account;
    uint64_t sessions = 0;
    int err = user_find_one(store, one, &account);
    if (err) return err;
    err = user_end_sessions(store, account.account, &sessions);
    if (!err) err = store_run(store, STORE_ACCOUNT_REMOVE, &(struct store_row){.key = one->key}, NULL, NULL);
    if (err) {
        user_complain(one->data, err);
        return err;
    }
    printf(
        "The account %s was removed and logged out everywhere (%" PRIu64 " session%s).\n"
        "Its messages stay: they are signed by its devices, and every member has them. A chat that is open\n"
        "now is closed by the server within a minute; links between browsers last until they are closed.\n"
        "The name is free again: whoever takes it next appears under it.\n",
        account.name, sessions, sessions == 1 ? "" : "s");
    return OK;
}

int user_with_one(const char *usage, bool make, int (*work)(struct store *, const struct user_one *),
                  int argc, char **argv)
{
    struct user_one one;
    struct store *store;
    enum args_result result = parse_one(usage, &one, make, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    if (user_open(one.data, make, &store)) return EXIT_STOPPED;
    int err = work(store, &one);
    store_close(store);
    return err ? EXIT_STOPPED : EXIT_OK;
}

static int user_add(int argc, char **argv)
{
    return user_with_one(
        "Usage: weaprous user add NAME [--data DIR]\n\n"
        "Adds an account. The password is asked for on a terminal; otherwise it is read from standard\n"
        "input, one line. It is never an argument: everybody on this computer can see those.\n",
        true, add_to, argc, argv);
}

static int user_passwd(int argc, char **argv)
{
    return user_with_one(
        "Usage: weaprous user passwd NAME [--data DIR]\n\n"
        "Sets a new password, asked for on a terminal or read from standard input, and ends the\n"
        "sessions of the account.\n",
        false, change_password, argc, argv);
}

static int user_remove(int argc, char **argv)
{
    return user_with_one(
        "Usage: weaprous user remove NAME [--data DIR]\n\n"
        "Removes an account, ends its sessions and takes back the certificates of its devices.\n"
        "What it has written stays.\n",
        false, remove_from, argc, argv);
}

/* --- all accounts --- */

enum { NAME_COLUMNS = 24 };

static int print_account(void *context, const struct store_account *account)
{
    size_t *count = context;
    char day[16] = "";
    time_t created = (time_t)(account->created_ms / 1000);
    struct tm local;
    if (localtime_r(&created, &local)) strftime(day, sizeof day, "%Y-%m-%d", &local);
    if (!*count) printf("%-*s %-10s %9s %8s\n", NAME_COLUMNS, "NAME", "SINCE", "SESSIONS", "DEVICES");
    size_t letters = utf8_length(account->name);
    int pad = letters < NAME_COLUMNS ? (int)(NAME_COLUMNS - letters) : 0;
    printf("%.*s%*s %-10s %9" PRIu64 " %8" PRIu64 "%s%s\n", (int)account->name.len,
           (const char *)account->name.ptr, pad, "", day, account->sessions, account->devices,
           account->role == STORE_ROLE_ADMIN ? "  administrator" : "", account->disabled ? "  disabled" : "");
    ++*count;
    return OK;
}

static int user_list(int argc, char **argv)
{
    const char *data = DATA_DEFAULT;
    const struct arg args[] = {{"data", ARG_TEXT, &data, "DIR", DATA_HELP, 0, 0}};
    struct store *store;
    size_t count = 0;
    enum args_result result =
        args_parse("Usage: weaprous user list [--data DIR]\n\n"
                   "Prints the accounts: since when, how many sessions are open, how many\n"
                   "devices have a certificate.\n",
                   args, 1, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    if (user_open(data, false, &store)) return EXIT_STOPPED;
    int err = store_each_account(store, user_now_ms(), print_account, &count);
    if (err)
        user_complain(data, err);
    else if (!count)
        fprintf(stderr, "There are no accounts in %s yet.\n", data);
    store_close(store);
    return err ? EXIT_STOPPED : EXIT_OK;
}

/* --- which one --- */

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} actions[] = {
    {"add", "add an account", user_add},
    {"passwd", "set a new password", user_passwd},
    {"list", "print the accounts", user_list},
    {"remove", "remove an account", user_remove},
    {"disable", "let an account log in no more", user_disable},
    {"enable", "let it log in again", user_enable},
    {"role", "make an administrator, or a person again", user_role},
    {"totp-off", "ask for no code at the login any more", user_totp_off},
    {"reset-link", "print a link for a new password", user_reset_link},
    {"admin-link", "print a link that makes an administrator", user_admin_link},
    {"invite", "print an invite for a new account", user_invite},
    {"import", "add the accounts of another server: CSV or Users.json", user_import},
};

static void print_actions(void)
{
    printf("Usage: weaprous user ACTION [OPTIONS]\n\n"
           "Looks after the accounts of a server, also while it is running.\n\n");
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        printf("  %-10s %s\n", actions[i].name, actions[i].summary);
    printf("\n`weaprous user ACTION --help` says more.\n");
}

int user_main(const struct subcommand *self, int argc, char **argv)
{
    (void)self;
    if (argc < 2) {
        complain("weaprous user: say what to do: add, passwd, list, remove or import ...; `weaprous user "
                 "--help` lists all."
                 "");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_actions();
        return EXIT_OK;
    }
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].name, argv[1]) != 0) continue;
        char name[32];
        snprintf(name, sizeof name, "user %s", actions[i].name);
        argv[1] = name;
        return actions[i].run(argc - 1, argv + 1);
    }
    complain("weaprous user: there is no action \"%s\"; `weaprous user --help` lists what there is.",
             argv[1]);
    return EXIT_USAGE;
}
