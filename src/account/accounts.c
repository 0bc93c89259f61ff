/* The routes, and the ways between the threads. */
#include "account/accounts.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "account/state.h"

static void post_register(struct wr_request *request, void *context)
{
    attempt_make(context, request, ATTEMPT_REGISTER);
}

static void post_login(struct wr_request *request, void *context)
{
    attempt_make(context, request, ATTEMPT_LOGIN);
}

static void post_reset(struct wr_request *request, void *context)
{
    attempt_make(context, request, ATTEMPT_RESET);
}

/* --- log out, who am I --- */

struct leaving {
    struct accounts *accounts;
    struct wr_request *request;
    uint8_t hash[SESSION_HASH_BYTES];
    int err;
};

static void answer_out(struct accounts *accounts, struct wr_request *request)
{
    session_cookies(accounts, request, NULL);
    if (wr_request_wants_json(request))
        wr_respond_json(request, 200, json_pack("{s:s,s:s}", "status", "success", "message", "Logged out."));
    else
        wr_respond_redirect(request, 302, accounts->config.after_logout);
}

static void leaving_answer(struct wr_worker *worker, void *argument)
{
    (void)worker;
    struct leaving *leaving = argument;
    if (leaving->err)
        accounts_failed(leaving->accounts, leaving->request, leaving->err);
    else
        answer_out(leaving->accounts, leaving->request);
    free(leaving);
}

static void session_removed(void *context, int result, const struct store_row *row)
{
    (void)row;
    struct leaving *leaving = context;
    const struct accounts_config *config = &leaving->accounts->config;
    leaving->err = result;
    if (!result && config->logged_out) config->logged_out(config->context, leaving->hash);
    accounts_back(leaving->accounts, leaving->request, leaving_answer, leaving);
}

static void leave(void *argument)
{
    struct leaving *leaving = argument;
    struct store_row row = {.token = leaving->hash};
    int err = leaving->accounts->stopped ? ERR_CLOSED
                                         : store_submit(leaving->accounts->config.store, STORE_SESSION_REMOVE,
                                                        &row, session_removed, leaving);
    if (err) session_removed(leaving, err, NULL);
}

static void post_logout(struct wr_request *request, void *context)
{
    struct accounts *accounts = context;
    uint8_t hash[SESSION_HASH_BYTES];
    wr_response_header(request, "Cache-Control", "no-store");
    if (!accounts_origin_good(accounts, request)) {
        wr_respond_error(request, 403, "This form was sent by another site.");
        return;
    }
    if (!session_hash(request, hash)) {
        answer_out(accounts, request);
        return;
    }
    struct leaving *leaving = calloc(1, sizeof *leaving);
    int err = leaving ? OK : ERR_MEMORY;
    if (leaving) {
        *leaving = (struct leaving){.accounts = accounts, .request = request};
        memcpy(leaving->hash, hash, sizeof hash);
        err = accounts_home(accounts, leave, leaving);
    }
    if (err) {
        free(leaving);
        accounts_failed(accounts, request, err);
    }
}

static const char *registration_name(const struct accounts *accounts)
{
    static const char *const names[] = {"open", "invite", "closed"};
    return names[accounts_registration(accounts)];
}

static void session_answer(void *context, struct wr_request *request, int result,
                           const struct session *session)
{
    struct accounts *accounts = context;
    wr_response_header(request, "Cache-Control", "no-store");
    if (!result) {
        session_renew(accounts, request, session);
        wr_respond_json(request, 200,
                        json_pack("{s:s,s:s%,s:s,s:I}", "status", "success", "username",
                                  (const char *)session->name.ptr, session->name.len, "role",
                                  session->role == ROLE_ADMIN ? "admin" : "person", "expires_s",
                                  (json_int_t)((session->expires_ms - session->now_ms) / 1000)));
    } else if (result == ERR_NOT_FOUND) {
        /* How one gets an account here, for the page that now shows its forms. */
        wr_respond_json(request, 401,
                        json_pack("{s:s,s:s,s:s}", "status", "error", "message", "You are not logged in.",
                                  "registration", registration_name(accounts)));
    } else {
        accounts_failed(accounts, request, result);
    }
}

static void get_session(struct wr_request *request, void *context)
{
    session_check(context, request, session_answer, context);
}

/* --- for the other files --- */

const char *accounts_failure(int err, int *out_status)
{
    *out_status = 503;
    switch (err) {
    case ERR_DISK_FULL: *out_status = 507; return "The server's disk is full: nothing was saved.";
    case ERR_DENIED: *out_status = 500; return "The server may not write its database: nothing was saved.";
    case ERR_CORRUPT: *out_status = 500; return "The server's database is damaged.";
    case ERR_BUSY:
    case ERR_FULL: return "The server is busy: try again in a few seconds.";
    case ERR_CLOSED: return "The server is shutting down.";
    case ERR_MEMORY: return "The server is out of memory.";
    default: *out_status = 500; return "The server's database reports an error.";
    }
}

void accounts_failed(struct accounts *accounts, struct wr_request *request, int err)
{
    int status;
    const char *message = accounts_failure(err, &status);
    if (err == ERR_BUSY || err == ERR_FULL) wr_response_header(request, "Retry-After", "3");
    if (err != ERR_CLOSED) accounts->config.trouble(accounts->config.context, err);
    wr_respond_error(request, status, message);
}

enum registration accounts_registration(const struct accounts *accounts)
{
    return accounts->config.registers ? accounts->config.registration : REGISTRATION_CLOSED;
}

bool accounts_origin_good(const struct accounts *accounts, struct wr_request *request)
{
    return origins_good(&accounts->origins, request);
}

int accounts_hash(struct accounts *accounts, slice password, passwords_done *done, void *context)
{
    return passwords_hash(&accounts->passwords, password, done, context);
}

void accounts_event(struct accounts *accounts, const char *what, int64_t account, slice name,
                    const char *detail, slice address)
{
    const struct account_event event = {
        .what = what, .account = account, .name = name, .detail = detail, .address = address};
    if (accounts->config.event) accounts->config.event(accounts->config.context, &event);
}

uint64_t accounts_now_ms(struct accounts *accounts)
{
    return accounts->config.now_ms(accounts->config.home);
}

int accounts_home(struct accounts *accounts, void (*function)(void *argument), void *argument)
{
    const struct accounts_config *config = &accounts->config;
    if (!config->at_home) {
        function(argument);
        return OK;
    }
    return config->at_home(config->home, function, argument) ? OK : ERR_MEMORY;
}

void accounts_back(struct accounts *accounts, struct wr_request *request, wr_worker_function function,
                   void *argument)
{
    struct wr_worker *worker = wr_request_worker(request);
    if (!accounts->config.at_home)
        function(worker, argument);
    else if (wr_worker_post(worker, function, argument))
        free(argument); /* no memory: the app's own timeout answers */
}

int accounts_open(const struct accounts_config *config, struct accounts **out_accounts)
{
    uint8_t secret[16];
    struct accounts *accounts = calloc(1, sizeof *accounts);
    if (!accounts) return ERR_MEMORY;
    accounts->config = *config;
    passwords_init(&accounts->passwords, config->loop);
    randombytes_buf(secret, sizeof secret);
    int err = throttle_init(&accounts->throttle, &allocator_libc, secret);
    if (!err && origins_read(&accounts->origins, config->page_origins)) err = ERR_INVALID;
    if (!err) err = origins_open(&accounts->origins, config->app);
    if (!err && (wr_route(config->app, "POST", "/login", post_login, accounts) ||
                 wr_route(config->app, "POST", "/logout", post_logout, accounts) ||
                 wr_route(config->app, "GET", "/session", get_session, accounts)))
        err = ERR_MEMORY;
    if (!err && config->registers &&
        (wr_route(config->app, "POST", "/register", post_register, accounts) ||
         wr_route(config->app, "POST", "/reset", post_reset, accounts)))
        err = ERR_MEMORY;
    if (!err) err = health_open(accounts);
    if (err)
        accounts_free(accounts);
    else
        *out_accounts = accounts;
    return err;
}

void accounts_stop(struct accounts *accounts)
{
    accounts->stopped = true;
    passwords_stop(&accounts->passwords);
}

bool accounts_running(const struct accounts *accounts)
{
    return passwords_running(&accounts->passwords);
}

void accounts_free(struct accounts *accounts)
{
    if (!accounts) return;
    throttle_deinit(&accounts->throttle);
    free(accounts);
}
