/* attempt.h - a request to log in, to register or to set a new password, on its way; private to src/account.
 *
 * attempt.c makes it from a request on that one's thread, carries it home, and answers it in the end;
 * login.c, register.c and reset.c are the steps between, at home; each step leads to exactly one of
 * attempt_end, attempt_refuse, attempt_broke, attempt_password_broke, attempt_too_fast, attempt_in. */
#ifndef ACCOUNT_ATTEMPT_H
#define ACCOUNT_ATTEMPT_H

#include "account/state.h"
#include "account/ticket.h"

enum { AGENT_BYTES_MAX = 200, LOCATION_BYTES = 256, LOGIN_TICKET_MS = 5 * 60 * 1000 };

struct attempt {
    struct accounts *accounts;
    struct wr_request *request;
    enum attempt_kind kind;
    slice address, name, password; /* borrow the request, which waits; may be empty */
    slice code;                    /* of the second step */
    char agent[AGENT_BYTES_MAX + 1];
    uint8_t key[FOLD_KEY_BYTES_MAX];
    size_t key_len;
    bool has_ticket, has_invite, has_old;
    uint8_t ticket[TICKET_HASH_BYTES], invite[TICKET_HASH_BYTES];
    uint8_t old[SESSION_HASH_BYTES]; /* the session that this browser had */
    struct account_info info;
    bool counted; /* throttle_login let it in, and it has not succeeded */
    /* what became of it */
    int err;                     /* of the store; else ... */
    int status;                  /* ... it was refused; else 0, and there is a session, or a new password */
    const char *message, *needs; /* needs: what is missing, for programs; or NULL */
    char words[160];             /* a message that is made for it */
    uint64_t retry_after_s;
    char token[SESSION_TOKEN_TEXT];
    uint8_t session[SESSION_HASH_BYTES]; /* its hash */
    char location[LOCATION_BYTES];       /* where it leads; empty: after_login */
    char login_ticket[TICKET_TEXT];      /* "" or what takes the place of the password for a while */
    json_t *more;                        /* for the answer, or NULL */
};

static inline slice attempt_key(const struct attempt *attempt)
{
    return slice_of(attempt->key, attempt->key_len);
}

extern const char attempt_wrong[]; /* the name or the password */

void login_begin(struct attempt *attempt);
void register_begin(struct attempt *attempt);
void reset_begin(struct attempt *attempt);

/* Carries it back: the answer. */
void attempt_end(struct attempt *attempt);
void attempt_refuse(struct attempt *attempt, int status, const char *message);
/* An error of the store. */
void attempt_broke(struct attempt *attempt, int err);
/* For errors of passwords_hash and passwords_verify. */
void attempt_password_broke(struct attempt *attempt, int err);
void attempt_too_fast(struct attempt *attempt, uint64_t wait_ms, const char *what);
/* Makes a session for info.account; the end. */
void attempt_in(struct attempt *attempt);
/* Tells the audit log. A name that no account has is left out: it may be a password in the wrong field. */
void attempt_event(const struct attempt *attempt, const char *what, const char *detail);
/* store_ask; answers when it cannot be queued. */
void attempt_ask(struct attempt *attempt, const struct store_operation *operation,
                 const struct store_value *values, size_t count, store_asked *done);

#endif
