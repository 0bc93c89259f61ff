/* accounts.h - accounts over HTTP: POST /login, /logout, perhaps /register and /reset, GET /session; who a
 * request comes from; and GET /healthz, /readyz, because the accounts are what a server stands on.
 * docs/protocol/accounts.md says what goes over the wire. The tracker and the backend are both made with it.
 *
 * Passwords are checked on libuv's threads, rows are kept by the store; the errand of a request goes from
 * step to step and ends in exactly one answer.
 *
 * Rules
 *   Thread: the store, the passwords and the throttle belong to one thread, "home". Requests belong to their
 *           workers. When the app has one worker, and home is its thread, `at_home` is NULL. Otherwise
 * at_home carries a call there; the way back is wr_worker_post. Functions that take a request are for its
 *           thread; accounts_stop and accounts_running are for home; the rest is for the thread that runs the
 *           app, before or after it runs.
 *   Memory: copies its configuration; what that points to is borrowed for its life.
 *   Time:   milliseconds since 1970, from now_ms, never backwards. */
#ifndef ACCOUNT_ACCOUNTS_H
#define ACCOUNT_ACCOUNTS_H

#include "account/info.h"
#include "account/origins.h"
#include "store/store.h"
#include "weaprous/weaprous.h"

struct uv_loop_s;
struct accounts;

enum { SESSION_TOKEN_BYTES = 32, SESSION_HASH_BYTES = STORE_ID_BYTES };
#define SESSION_LIFE_MS ((uint64_t)30 * 86400 * 1000)

enum account_role { ROLE_USER = STORE_ROLE_PERSON, ROLE_ADMIN = STORE_ROLE_ADMIN };

/* Who may make an account for himself. */
enum registration { REGISTRATION_OPEN, REGISTRATION_INVITE, REGISTRATION_CLOSED };

/* Something for the audit log. Texts may be anything that a client sent, but UTF-8. */
struct account_event {
    const char *what;   /* "login", "login-failed", "register" ... */
    int64_t account;    /* 0: none that exists */
    slice name;         /* of the account, or empty */
    const char *detail; /* never NULL */
    slice address;
};

/* For accounts_config.greet: call it once. `more` (may be NULL) is an object; takes the reference. */
typedef void account_greeted(void *token, json_t *more);

struct accounts_config {
    struct wr_app *app;
    struct store *store;
    struct uv_loop_s *loop; /* home's: waits for the password threads */
    bool registers;         /* POST /register and /reset are there, and ... */
    enum registration registration;
    const char *after_login; /* where a form leads: "/" */
    const char *after_logout;
    /* Runs function(argument) at home, soon, in the order of the calls. False: not possible; nothing runs. */
    bool (*at_home)(void *home, void (*function)(void *argument), void *argument);
    uint64_t (*now_ms)(void *home); /* at home */
    void *home;
    /* Answers a browser's form that was refused, with a page: the message is for the person. */
    void (*page)(void *context, struct wr_request *request, int status, const char *message);
    /* Pages of other sites that may use this server, as origins_read takes them; NULL: none. */
    const char *page_origins;
    /* Adds fields to the JSON answer of a login or registration; at home; calls done(token, more) once, now
     * or later. May be NULL. */
    void (*greet)(void *context, int64_t account, account_greeted *done, void *token);
    /* For the audit log; at home; what it points to is valid during the call. May be NULL. */
    void (*event)(void *context, const struct account_event *event);
    /* The sessions of an account have changed by more than one login or logout; at home. May be NULL. */
    void (*account_changed)(void *context, int64_t account);
    /* A session has ended; at home. May be NULL. */
    void (*logged_out)(void *context, const uint8_t session[SESSION_HASH_BYTES]);
    /* At home, after a login: calls land(argument, location) once, now or later, with where it leads (copied;
     * NULL: after_login). May be NULL. */
    void (*landing)(void *context, int64_t account, const uint8_t session[SESSION_HASH_BYTES],
                    void (*land)(void *argument, const char *location), void *argument);
    /* The store could not do something; on any of the threads. */
    void (*trouble)(void *context, int err);
    void *context;
};

/* Adds the routes. ERR_MEMORY; ERR_INVALID: page_origins. */
int accounts_open(const struct accounts_config *config, struct accounts **out_accounts) BASE_CHECKED;
/* Before the end: what waits for a password is refused. Then run home's loop until accounts_running is false,
 * then close the store. */
void accounts_stop(struct accounts *accounts);
bool accounts_running(const struct accounts *accounts);
/* After the store was closed. NULL is allowed. */
void accounts_free(struct accounts *accounts);

/* An error of the store in words for the person whose request it ended, and the HTTP status. */
const char *accounts_failure(int err, int *out_status);
/* Answers a request with it, and tells of trouble. */
void accounts_failed(struct accounts *accounts, struct wr_request *request, int err);

/* --- sessions --- */

struct session {
    int64_t account;
    int role; /* enum account_role */
    slice name;
    uint8_t hash[SESSION_HASH_BYTES];
    uint64_t now_ms, expires_ms;
};

/* result: OK; ERR_NOT_FOUND (no session, session is NULL); or an error of the store. On the request's thread;
 * session is valid during the call; the request is still to be answered. */
typedef void session_found(void *context, struct wr_request *request, int result,
                           const struct session *session);
/* Looks up the session that the request's cookie names; calls found once, now or later. */
void session_check(struct accounts *accounts, struct wr_request *request, session_found *found,
                   void *context);
/* Makes a session that is past half of its life last its full life again, cookies included. */
void session_renew(struct accounts *accounts, struct wr_request *request, const struct session *session);
/* Whether a request that changes something comes from a page of this server, from one of page_origins, or
 * from a program. Any thread. */
bool accounts_origin_good(const struct accounts *accounts, struct wr_request *request);

/* --- who is logged in proves it once more; at home --- */

enum account_proof {
    PROOF_PASSWORD,
    PROOF_PASSWORD_AND_CODE, /* the code only when the second step is on */
    PROOF_NOTHING,           /* reads the account, no more */
};

/* result: OK; ERR_AUTH: the password is wrong; ERR_SIGNATURE: the code is wrong or was used; ERR_AGAIN: too
 * many attempts, wait_ms says how long; ERR_NOT_FOUND: the account is gone; ERR_BUSY, ERR_CLOSED or another
 * error of the store. info (of OK) is valid during the call. */
typedef void account_proved(void *context, int result, uint64_t wait_ms, const struct account_info *info);
/* Slowed as logins are. Copies its texts. ERR_MEMORY, ERR_CLOSED, ERR_FULL: `done` never runs. */
int accounts_prove(struct accounts *accounts, int64_t account, enum account_proof proof, slice password,
                   slice code, slice address, account_proved *done, void *context) BASE_CHECKED;
/* As passwords_hash. */
int accounts_hash(struct accounts *accounts, slice password, passwords_done *done,
                  void *context) BASE_CHECKED;
/* How accounts are made here. */
enum registration accounts_registration(const struct accounts *accounts);

#endif
