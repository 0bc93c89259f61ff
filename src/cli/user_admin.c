/* weaprous user role, disable, enable, totp-off, admin-link, reset-link, invite: what administrators do in
 * the page, for whoever is at the server's own keyboard. A server that is running hears of it within seconds.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "account/info.h"
#include "account/ticket.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/data.h"
#include "cli/user.h"
#include "store/accounts_sql.h"

#define LINK_LIFE_MS ((uint64_t)24 * 3600 * 1000)
#define DAY_MS ((uint64_t)86400 * 1000)
#define DATA_ARG(out) {"data", ARG_TEXT, out, "DIR", "folder of the server (default " DATA_DEFAULT ")", 0, 0}
#define URL_ARG(out)                                                                                         \
    {"url", ARG_TEXT, out, "URL", "address of the server as people know it: https://chat.example", 0, 0}

static void note(struct store *store, const char *what, const char *about, const char *detail)
{
    const struct store_value values[] = {store_number((int64_t)user_now_ms()),
                                         store_number(0),
                                         store_text(SLICE("console")),
                                         store_text(slice_text(what)),
                                         store_text(slice_text(about)),
                                         store_text(slice_text(detail)),
                                         store_text(SLICE_EMPTY)};
    int err = store_ask_now(store, &STORE_AUDIT_ADD, values, 7, NULL, NULL);
    if (err) complain("It was done, but could not be written into the audit log: %s.", err_text(err));
}

/* The words of an error of an operation on an account. */
static void complain_about(const char *name, const char *data, int err)
{
    if (err == ERR_WRONG_STATE)
        complain("%s is the only administrator: make somebody else one first.", name);
    else
        user_complain(data, err);
}

static int change(struct store *store, const struct user_one *one, const struct store_operation *operation,
                  const struct store_value *more, const char *what, const char *detail, const char *done)
{
    struct user_found account;
    struct store_value values[2];
    int err = user_find_one(store, one, &account);
    if (err) return err;
    values[0] = store_number(account.account);
    if (more) values[1] = *more;
    err = store_ask_now(store, operation, values, more ? 2 : 1, NULL, NULL);
    if (err) {
        complain_about(account.name, one->data, err);
        return err;
    }
    note(store, what, account.name, detail);
    printf(done, account.name);
    return OK;
}

static int disable(struct store *store, const struct user_one *one)
{
    const struct store_value now = store_number((int64_t)user_now_ms());
    return change(store, one, &STORE_ACCOUNT_DISABLE, &now, "account-disable", "",
                  "%s cannot log in any more, and is logged out everywhere.\n");
}

static int enable(struct store *store, const struct user_one *one)
{
    return change(store, one, &STORE_ACCOUNT_ENABLE, NULL, "account-enable", "", "%s can log in again.\n");
}

static int totp_off(struct store *store, const struct user_one *one)
{
    struct user_found account;
    int err = user_find_one(store, one, &account);
    if (err) return err;
    const struct store_value values[] = {store_number(account.account)};
    err = store_ask_now(store, &STORE_TOTP_END, values, 1, NULL, NULL);
    if (err == ERR_NOT_FOUND) {
        printf("%s is asked for no code at the login.\n", account.name);
        return OK;
    }
    if (err) {
        user_complain(one->data, err);
        return err;
    }
    note(store, "totp-off", account.name, "");
    printf("%s is asked for no code at the login any more.\n", account.name);
    return OK;
}

int user_disable(int argc, char **argv)
{
    return user_with_one("Usage: weaprous user disable NAME [--data DIR]\n\n"
                         "Ends the sessions of an account and lets it log in no more, until `enable`.\n",
                         false, disable, argc, argv);
}

int user_enable(int argc, char **argv)
{
    return user_with_one("Usage: weaprous user enable NAME [--data DIR]\n\n"
                         "Lets an account log in that was disabled.\n",
                         false, enable, argc, argv);
}

int user_totp_off(int argc, char **argv)
{
    return user_with_one(
        "Usage: weaprous user totp-off NAME [--data DIR]\n\n"
        "Ends the second step of logging in, for who has lost the phone and the recovery codes.\n",
        false, totp_off, argc, argv);
}

/* --- the role --- */

int user_role(int argc, char **argv)
{
    struct user_one one = {.data = DATA_DEFAULT};
    const char *role = NULL;
    struct store *store;
    const struct arg args[] = {
        {"NAME", ARG_WORD, &one.name, NULL, "name of the account", 0, 0},
        {"ROLE", ARG_WORD, &role, NULL, "admin or person", 0, 0},
        DATA_ARG(&one.data),
    };
    enum args_result result =
        args_parse("Usage: weaprous user role NAME admin|person [--data DIR]\n\n"
                   "Makes an account an administrator, or a person like others again.\n",
                   args, 3, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    bool admin = strcmp(role, "admin") == 0;
    if (!admin && strcmp(role, "person") != 0) {
        complain("weaprous %s: the role is admin or person, not \"%s\".", argv[0], role);
        return EXIT_USAGE;
    }
    if (!user_read_name(&one)) return EXIT_USAGE;
    if (user_open(one.data, false, &store)) return EXIT_STOPPED;
    const struct store_value value = store_number(admin ? STORE_ROLE_ADMIN : STORE_ROLE_PERSON);
    int err = change(store, &one, &STORE_ROLE_SET, &value, "role", role,
                     admin ? "%s is an administrator now.\n" : "%s is no administrator now.\n");
    store_close(store);
    return err ? EXIT_STOPPED : EXIT_OK;
}

/* --- links that are good once --- */

/* Where people open it; without --url they put the path behind the address themselves. */
static void print_link(const char *url, const char *path, const char *key, const char *value)
{
    size_t len = url ? strlen(url) : 0;
    while (len && url[len - 1] == '/')
        len--;
    printf("    %.*s%s?%s=%s\n", (int)len, url ? url : "", path, key, value);
    if (!len) printf("Put it behind the address of the server.\n");
}

static int make_link(struct store *store, int kind, const int64_t *account, char out[TICKET_TEXT])
{
    uint8_t hash[TICKET_HASH_BYTES];
    int64_t now_ms = (int64_t)user_now_ms();
    ticket_new(out, hash);
    const struct store_value values[] = {store_id(hash), store_number(kind),
                                         account ? store_number(*account) : store_id(NULL),
                                         store_number(now_ms), store_number(now_ms + (int64_t)LINK_LIFE_MS)};
    return store_ask_now(store, &STORE_TICKET_ADD, values, 5, NULL, NULL);
}

int user_admin_link(int argc, char **argv)
{
    const char *data = DATA_DEFAULT, *url = NULL;
    char ticket[TICKET_TEXT];
    struct store *store;
    const struct arg args[] = {URL_ARG(&url), DATA_ARG(&data)};
    enum args_result result =
        args_parse("Usage: weaprous user admin-link [OPTIONS]\n\n"
                   "Prints a link that makes an administrator of whoever opens it, once, within a day.\n",
                   args, 2, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    if (user_open(data, true, &store)) return EXIT_STOPPED;
    int err = make_link(store, STORE_TICKET_ADMIN, NULL, ticket);
    if (err) {
        user_complain(data, err);
    } else {
        note(store, "admin-link", "", "");
        printf("This makes an administrator of whoever opens it, once, within a day:\n");
        print_link(url, "/admin", "ticket", ticket);
    }
    store_close(store);
    return err ? EXIT_STOPPED : EXIT_OK;
}

int user_reset_link(int argc, char **argv)
{
    struct user_one one = {.data = DATA_DEFAULT};
    struct user_found account;
    const char *url = NULL;
    char ticket[TICKET_TEXT];
    struct store *store;
    const struct arg args[] = {
        {"NAME", ARG_WORD, &one.name, NULL, "name of the account", 0, 0}, URL_ARG(&url), DATA_ARG(&one.data)};
    enum args_result result = args_parse(
        "Usage: weaprous user reset-link NAME [OPTIONS]\n\n"
        "Prints a link by which somebody who forgot the password chooses a new one, once, within a day.\n",
        args, 3, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    if (!user_read_name(&one)) return EXIT_USAGE;
    if (user_open(one.data, false, &store)) return EXIT_STOPPED;
    int err = user_find_one(store, &one, &account);
    if (!err) {
        err = make_link(store, STORE_TICKET_RESET, &account.account, ticket);
        if (err) user_complain(one.data, err);
    }
    if (!err) {
        note(store, "password-link", account.name, "");
        printf("Whoever opens this chooses a new password for %s, once, within a day:\n", account.name);
        print_link(url, "/reset", "ticket", ticket);
    }
    store_close(store);
    return err ? EXIT_STOPPED : EXIT_OK;
}

int user_invite(int argc, char **argv)
{
    const char *data = DATA_DEFAULT, *url = NULL, *words = "";
    uint64_t uses = 1, days = 7, now_ms = user_now_ms();
    char code[CODE_TEXT];
    uint8_t hash[TICKET_HASH_BYTES];
    struct store *store;
    const struct arg args[] = {
        {"uses", ARG_NUMBER, &uses, "N", "for how many accounts (default 1)", 1, 100000},
        {"days", ARG_NUMBER, &days, "N", "for how long (default 7)", 1, 365},
        {"note", ARG_TEXT, &words, "TEXT", "for whom, for the list of invites", 0, 0},
        URL_ARG(&url),
        DATA_ARG(&data),
    };
    enum args_result result =
        args_parse("Usage: weaprous user invite [OPTIONS]\n\n"
                   "Prints an invite for servers that were started with --registration invite.\n",
                   args, 5, argc, argv);
    if (result != ARGS_OK) return result == ARGS_HELP ? EXIT_OK : EXIT_USAGE;
    if (user_open(data, true, &store)) return EXIT_STOPPED;
    code_new(code, hash);
    const struct store_value values[] = {store_id(hash),
                                         store_number(0),
                                         store_text(slice_text(words)),
                                         store_number((int64_t)now_ms),
                                         store_number((int64_t)(now_ms + days * DAY_MS)),
                                         store_number((int64_t)uses)};
    int err = store_ask_now(store, &STORE_ACCOUNT_INVITE_ADD, values, 6, NULL, NULL);
    if (err) {
        user_complain(data, err);
    } else {
        note(store, "invite", "", words);
        printf("An invite for %" PRIu64 " account%s, good for %" PRIu64 " day%s:\n", uses,
               uses == 1 ? "" : "s", days, days == 1 ? "" : "s");
        print_link(url, "/register", "invite", code);
    }
    store_close(store);
    return err ? EXIT_STOPPED : EXIT_OK;
}
