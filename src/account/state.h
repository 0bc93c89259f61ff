/* state.h - what the files of the routes share, private to src/account. */
#ifndef ACCOUNT_STATE_H
#define ACCOUNT_STATE_H

#include "account/accounts.h"
#include "account/fold.h"
#include "account/passwords.h"
#include "account/throttle.h"

struct accounts {
    struct accounts_config config;
    struct passwords passwords; /* home's, as all below */
    struct throttle throttle;
    struct origins origins; /* any thread's */
    bool stopped;
};

enum { SESSION_TOKEN_TEXT = 2 * SESSION_TOKEN_BYTES + 1 };

uint64_t accounts_now_ms(struct accounts *accounts);
/* To home, and back to the thread of a request. When there is no way home, `function` of accounts_home never
 * runs: ERR_MEMORY. */
int accounts_home(struct accounts *accounts, void (*function)(void *argument), void *argument) BASE_CHECKED;
void accounts_back(struct accounts *accounts, struct wr_request *request, wr_worker_function function,
                   void *argument);

/* Answers POST /login, /register or /reset, now or later. */
enum attempt_kind { ATTEMPT_LOGIN, ATTEMPT_REGISTER, ATTEMPT_RESET };
void attempt_make(struct accounts *accounts, struct wr_request *request, enum attempt_kind kind);

/* Tells accounts_config.event; at home. */
void accounts_event(struct accounts *accounts, const char *what, int64_t account, slice name,
                    const char *detail, slice address);

/* Makes a token, and the row that keeps it. */
void session_new(char out_token[SESSION_TOKEN_TEXT], uint8_t out_hash[SESSION_HASH_BYTES]);
/* The hash of the token in the request's cookie; false when there is none in the right form. */
bool session_hash(struct wr_request *request, uint8_t out_hash[SESSION_HASH_BYTES]);
/* As session_check, for the session of this hash. */
void session_look_up(struct accounts *accounts, struct wr_request *request,
                     const uint8_t hash[SESSION_HASH_BYTES], session_found *found, void *context);
/* Adds the cookies of a session to the answer; token NULL: those that remove it. */
void session_cookies(const struct accounts *accounts, struct wr_request *request, const char *token);

/* The routes that tell how the server is. ERR_MEMORY. */
int health_open(struct accounts *accounts) BASE_CHECKED;

#endif
