/* classroom.h - what the assignments of the P2P chat courses expect to find: the account admin with the
 * password "password", and five channels (the first, general, is there in any case); and the account guest,
 * without a password, for those who have none (tracker/classic.h).
 *
 * Everybody knows that password, so nothing but `--classroom` adds the account, and servers tell at each
 * start while it is there. Rules: blocks; a store that was not started. */
#ifndef ACCOUNT_CLASSROOM_H
#define ACCOUNT_CLASSROOM_H

#include <stdbool.h>

#include "store/store.h"

#define CLASSROOM_NAME "admin"
#define CLASSROOM_PASSWORD "password"
#define CLASSROOM_GUEST "guest"

enum { CLASSROOM_CHANNELS = 4 };
extern const char *const classroom_channels[CLASSROOM_CHANNELS]; /* besides the first one */

enum classroom_account {
    CLASSROOM_NO_ACCOUNT,
    CLASSROOM_OTHER_PASSWORD, /* somebody's own account */
    CLASSROOM_KNOWN_PASSWORD,
};

/* What is there. About 100 ms when there is such an account. */
int classroom_look(struct store *store, enum classroom_account *out_account) BASE_CHECKED;
/* Adds what is missing; an account that exists is left alone. */
int classroom_add(struct store *store, uint64_t now_ms, enum classroom_account *out_account) BASE_CHECKED;

#endif
