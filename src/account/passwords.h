/* passwords.h - Argon2id (RFC 9106) off the loop: 64 MiB, two passes, about 100 ms of one core.
 *
 * At most PASSWORDS_RUNNING_MAX jobs run at a time on libuv's worker threads and PASSWORDS_WAITING_MAX wait;
 * more are refused, so a flood of logins costs bounded memory and leaves the workers to others.
 *
 * Rules
 *   Thread: the loop's.
 *   Memory: passwords and hashes are copied; copies of passwords are wiped.
 *   Stop:   passwords_stop ends what waits with ERR_CLOSED and refuses more; then run the loop until
 *           passwords_running is false. */
#ifndef ACCOUNT_PASSWORDS_H
#define ACCOUNT_PASSWORDS_H

#include <uv.h>

#include "account/names.h"
#include "base/err.h"

enum {
    PASSWORDS_RUNNING_MAX = 2,
    PASSWORDS_WAITING_MAX = 64,
    PASSWORD_HASH_BYTES = 128, /* with the NUL */
};

/* On the calling thread. ERR_TOO_LARGE, ERR_MEMORY. */
int password_hash(slice password, char out_hash[PASSWORD_HASH_BYTES]) BASE_CHECKED;
/* ERR_AUTH: wrong. ERR_TOO_LARGE. An empty hash stands for an account that does not exist: it takes the same
 * time and ends with ERR_AUTH. */
int password_verify(slice password, slice hash) BASE_CHECKED;

/* result: OK; ERR_AUTH (verify: the password is wrong); ERR_MEMORY; ERR_CLOSED. hash: of passwords_hash, else
 * empty. */
typedef void passwords_done(void *context, int result, slice hash);

struct password_job;

struct passwords {
    uv_loop_t *loop;
    struct password_job *first, **last; /* waiting */
    unsigned running, waiting;
    unsigned running_max; /* PASSWORDS_RUNNING_MAX; may be changed after passwords_init */
    bool stopped;
};

void passwords_init(struct passwords *p, uv_loop_t *loop);
void passwords_stop(struct passwords *p);
static inline bool passwords_running(const struct passwords *p)
{
    return p->running > 0;
}

/* ERR_BUSY (the queue is full), ERR_TOO_LARGE, ERR_MEMORY, ERR_CLOSED; then done never runs. */
int passwords_hash(struct passwords *p, slice password, passwords_done *done, void *context) BASE_CHECKED;
/* As password_verify. */
int passwords_verify(struct passwords *p, slice password, slice hash, passwords_done *done,
                     void *context) BASE_CHECKED;

#endif
