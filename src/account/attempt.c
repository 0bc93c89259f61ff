/* Logging in and registering.
 *
 * A request becomes an `attempt`: checked on its own thread, carried home, where it goes from step to step
 * (throttle, database, passwords, database), and carried back with what became of it. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/state.h"

enum { LOCATION_BYTES = 256 };

static const char wrong[] = "The name or the password is wrong.";

struct attempt {
    struct accounts *accounts;
    struct wr_request *request;
    slice address, name, password; /* borrow the request, which waits */
    uint8_t key[FOLD_KEY_BYTES_MAX];
    size_t key_len;
    bool registering;
    int64_t account;
    char real_name[ACCOUNT_NAME_BYTES_MAX]; /* as registered */
    size_t real_name_len;
    /* what became of it */
    int err;    /* of the store; else ... */
    int status; /* ... it was refused; else 0, and there is a session */
    const char *message;
    char words[160]; /* a message that is made for it */
    uint64_t retry_after_s;
    char token[SESSION_TOKEN_TEXT];
    uint8_t session[SESSION_HASH_BYTES];
    char location[LOCATION_BYTES]; /* where it leads; empty: after_login */
};

static slice attempt_key(const struct attempt *attempt)
{
    return slice_of(attempt->key, attempt->key_len);
}

/* --- the answer, on the request's thread --- */

static void refuse(struct accounts *accounts, struct wr_request *request, int status, const char *message)
{
    const char *accept = wr_request_header(request, "Accept");
    if (accept && strstr(accept, "text/html"))
        accounts->config.page(accounts->config.context, request, status, message);
    else
        wr_respond_error(request, status, message);
}

static void answer_in(const struct attempt *attempt)
{
    struct wr_request *request = attempt->request;
    const char *location = attempt->location[0] ? attempt->location : attempt->accounts->config.after_login;
    session_cookies(request, attempt->token);
    if (wr_request_wants_json(request))
        wr_respond_json(request, 200,
                        json_pack("{s:s,s:s,s:s%,s:s}", "status", "success", "message", "Logged in.",
                                  "username", attempt->real_name, attempt->real_name_len, "redirect",
                                  location));
    else
        wr_respond_redirect(request, 302, location);
}

static void attempt_answer(struct wr_worker *worker, void *argument)
{
    (void)worker;
    struct attempt *attempt = argument;
    char seconds[24];
    if (attempt->retry_after_s) {
        snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)attempt->retry_after_s);
        wr_response_header(attempt->request, "Retry-After", seconds);
    }
    if (attempt->err)
        accounts_failed(attempt->accounts, attempt->request, attempt->err);
    else if (attempt->status)
        refuse(attempt->accounts, attempt->request, attempt->status, attempt->message);
    else
        answer_in(attempt);
    sodium_memzero(attempt->token, sizeof attempt->token);
    free(attempt);
}

/* --- the steps, at home --- */

static void attempt_end(struct attempt *attempt)
{
    accounts_back(attempt->accounts, attempt->request, attempt_answer, attempt);
}

static void attempt_refuse(struct attempt *attempt, int status, const char *message)
{
    attempt->status = status;
    attempt->message = message;
    attempt_end(attempt);
}

/* It ends without a verdict about the password. */
static void attempt_void(struct attempt *attempt)
{
    struct accounts *accounts = attempt->accounts;
    if (!attempt->registering)
        throttle_login_void(&accounts->throttle, attempt->address, attempt_key(attempt),
                            accounts_now_ms(accounts));
}

static void attempt_broke(struct attempt *attempt, int err)
{
    attempt_void(attempt);
    attempt->err = err;
    attempt_end(attempt);
}

/* For errors of passwords_hash and passwords_verify. */
static void attempt_password_broke(struct attempt *attempt, int err)
{
    if (err == ERR_TOO_LARGE) { /* looked at before, so it is the hash */
        attempt_broke(attempt, ERR_CORRUPT);
        return;
    }
    attempt_void(attempt);
    attempt->retry_after_s = 3;
    attempt_refuse(attempt, 503,
                   "Too many people are logging in at this moment: try again in a few seconds.");
}

static void landed(void *argument, const char *location)
{
    struct attempt *attempt = argument;
    if (location && strlen(location) < sizeof attempt->location)
        memcpy(attempt->location, location, strlen(location) + 1);
    attempt_end(attempt);
}

static void session_added(void *context, int result, const struct store_row *row)
{
    (void)row;
    struct attempt *attempt = context;
    if (result == ERR_EXISTS) { /* the account that it refers to was removed in this moment */
        attempt_refuse(attempt, 401, wrong);
        return;
    }
    const struct accounts_config *config = &attempt->accounts->config;
    attempt->err = result;
    if (!result && config->landing)
        config->landing(config->context, attempt->account, attempt->session, landed, attempt);
    else
        attempt_end(attempt);
}

static void attempt_in(struct attempt *attempt)
{
    uint64_t now_ms = accounts_now_ms(attempt->accounts);
    session_new(attempt->token, attempt->session);
    struct store_row row = {.token = attempt->session,
                            .account = attempt->account,
                            .time_ms = now_ms,
                            .expires_ms = now_ms + SESSION_LIFE_MS};
    attempt->err =
        store_submit(attempt->accounts->config.store, STORE_SESSION_ADD, &row, session_added, attempt);
    if (attempt->err) attempt_end(attempt);
}

static void keep_name(struct attempt *attempt, slice name)
{
    attempt->real_name_len = name.len <= sizeof attempt->real_name ? name.len : 0;
    if (attempt->real_name_len) memcpy(attempt->real_name, name.ptr, attempt->real_name_len);
}

static void too_fast(struct attempt *attempt, uint64_t wait_ms, const char *what)
{
    attempt->retry_after_s = (wait_ms + 999) / 1000;
    snprintf(attempt->words, sizeof attempt->words, "Too many %s: try again in %llu s.", what,
             (unsigned long long)attempt->retry_after_s);
    attempt_refuse(attempt, 429, attempt->words);
}

static void get_account(struct attempt *attempt, store_done *done)
{
    struct store_row row = {.key = attempt_key(attempt)};
    int err = store_submit(attempt->accounts->config.store, STORE_ACCOUNT_GET, &row, done, attempt);
    if (err) attempt_broke(attempt, err);
}

/* --- register --- */

static void registered(void *context, int result, const struct store_row *row)
{
    struct attempt *attempt = context;
    if (result == ERR_EXISTS) {
        attempt_refuse(attempt, 409, "This name is taken.");
    } else if (result) {
        attempt_broke(attempt, result);
    } else {
        attempt->account = row->account;
        keep_name(attempt, attempt->name);
        attempt_in(attempt);
    }
}

static void hashed(void *context, int result, slice hash)
{
    struct attempt *attempt = context;
    if (result) {
        attempt_password_broke(attempt, result);
        return;
    }
    struct store_row row = {.name = attempt->name,
                            .key = attempt_key(attempt),
                            .secret = hash,
                            .time_ms = accounts_now_ms(attempt->accounts)};
    int err = store_submit(attempt->accounts->config.store, STORE_ACCOUNT_ADD, &row, registered, attempt);
    if (err) attempt_broke(attempt, err);
}

/* Looking first saves hashing a password for a name that is taken. */
static void name_looked_up(void *context, int result, const struct store_row *row)
{
    (void)row;
    struct attempt *attempt = context;
    if (!result) {
        attempt_refuse(attempt, 409, "This name is taken.");
    } else if (result != ERR_NOT_FOUND) {
        attempt_broke(attempt, result);
    } else {
        int err = passwords_hash(&attempt->accounts->passwords, attempt->password, hashed, attempt);
        if (err) attempt_password_broke(attempt, err);
    }
}

static void begin_register(struct attempt *attempt)
{
    struct accounts *accounts = attempt->accounts;
    uint64_t wait_ms = throttle_register(&accounts->throttle, attempt->address, accounts_now_ms(accounts));
    if (wait_ms)
        too_fast(attempt, wait_ms, "new accounts from this address");
    else
        get_account(attempt, name_looked_up);
}

/* --- log in --- */

static void verified(void *context, int result, slice hash)
{
    (void)hash;
    struct attempt *attempt = context;
    struct accounts *accounts = attempt->accounts;
    if (result == ERR_AUTH) {
        attempt_refuse(attempt, 401, wrong);
    } else if (result) {
        attempt_password_broke(attempt, result);
    } else {
        throttle_login_good(&accounts->throttle, attempt->address, attempt_key(attempt),
                            accounts_now_ms(accounts));
        attempt_in(attempt);
    }
}

static void account_found(void *context, int result, const struct store_row *row)
{
    struct attempt *attempt = context;
    if (result && result != ERR_NOT_FOUND) {
        attempt_broke(attempt, result);
        return;
    }
    if (!result) {
        attempt->account = row->account;
        keep_name(attempt, row->name);
    }
    slice hash = result ? SLICE_EMPTY : row->secret;
    int err = passwords_verify(&attempt->accounts->passwords, attempt->password, hash, verified, attempt);
    if (err) attempt_password_broke(attempt, err);
}

static void begin_login(struct attempt *attempt)
{
    struct accounts *accounts = attempt->accounts;
    uint64_t wait_ms = throttle_login(&accounts->throttle, attempt->address, attempt_key(attempt),
                                      accounts_now_ms(accounts));
    if (wait_ms)
        too_fast(attempt, wait_ms, "failed attempts to log in");
    else
        get_account(attempt, account_found);
}

static void attempt_begin(void *argument)
{
    struct attempt *attempt = argument;
    if (attempt->accounts->stopped) {
        attempt->err = ERR_CLOSED;
        attempt_end(attempt);
    } else if (attempt->registering) {
        begin_register(attempt);
    } else {
        begin_login(attempt);
    }
}

/* --- the request --- */

/* A field as bytes; refuses what is missing and what hides bytes behind a NUL. */
static bool text_field(struct wr_request *request, const char *name, slice *out)
{
    const json_t *field = json_object_get(wr_request_fields(request), name);
    const char *text = json_string_value(field);
    if (!text) text = wr_request_field(request, name);
    if (!text || (field && json_is_string(field) && strlen(text) != json_string_length(field))) return false;
    *out = slice_text(text);
    return true;
}

/* The checks that cost nothing: a sentence about what is wrong, or NULL. */
static const char *attempt_problem(struct attempt *attempt, int *out_status)
{
    *out_status = 400;
    if (!wr_request_same_origin(attempt->request)) {
        *out_status = 403;
        return "This form was sent by another site.";
    }
    if (!text_field(attempt->request, "username", &attempt->name) ||
        !text_field(attempt->request, "password", &attempt->password))
        return "Send a username and a password, as JSON or as a form.";
    const char *problem = name_problem(attempt->name);
    if (!problem && attempt->registering) problem = new_password_problem(attempt->password);
    if (!problem && attempt->password.len > PASSWORD_BYTES_MAX) problem = password_problem(attempt->password);
    if (problem) return problem;
    int key_len = fold_name(attempt->name, attempt->key);
    attempt->key_len = key_len < 0 ? 0 : (size_t)key_len;
    return key_len < 0 ? "This name cannot be used." : NULL;
}

void attempt_make(struct accounts *accounts, struct wr_request *request, bool registering)
{
    int status;
    wr_response_header(request, "Cache-Control", "no-store");
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt) {
        accounts_failed(accounts, request, ERR_MEMORY);
        return;
    }
    *attempt = (struct attempt){.accounts = accounts,
                                .request = request,
                                .registering = registering,
                                .address = slice_text(wr_request_address(request))};
    const char *problem = attempt_problem(attempt, &status);
    int err = problem ? OK : accounts_home(accounts, attempt_begin, attempt);
    if (!problem && !err) return;
    free(attempt);
    if (problem)
        refuse(accounts, request, status, problem);
    else
        accounts_failed(accounts, request, err);
}
