/* accounts.h - accounts over HTTP: POST /login, /logout, perhaps /register, GET /session; who a request comes
 * from; and GET /healthz, /readyz, because the accounts are what a server stands on.
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

#include "account/names.h"
#include "store/store.h"
#include "weaprous/weaprous.h"

struct uv_loop_s;
struct accounts;

enum { SESSION_TOKEN_BYTES = 32, SESSION_HASH_BYTES = STORE_ID_BYTES };
#define SESSION_LIFE_MS ((uint64_t)30 * 86400 * 1000)

struct accounts_config {
    struct wr_app *app;
    struct store *store;
    struct uv_loop_s *loop;  /* home's: waits for the password threads */
    bool registers;          /* POST /register is there */
    const char *after_login; /* where a form leads: "/" */
    const char *after_logout;
    /* Runs function(argument) at home, soon, in the order of the calls. False: not possible; nothing runs. */
    bool (*at_home)(void *home, void (*function)(void *argument), void *argument);
    uint64_t (*now_ms)(void *home); /* at home */
    void *home;
    /* Answers a browser's form that was refused, with a page: the message is for the person. */
    void (*page)(void *context, struct wr_request *request, int status, const char *message);
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

/* Adds the routes. ERR_MEMORY. */
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

enum account_role { ROLE_USER = 0, ROLE_ADMIN = 1 };

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

#endif
