/* second.h - the second step of a login: the code of an authenticator (totp.h), or a recovery code. Private
 * to src/account.
 *
 * Each code is good once, for all processes: the database decides. Wrong ones are slowed for each account
 * (throttle.h). */
#ifndef ACCOUNT_SECOND_H
#define ACCOUNT_SECOND_H

#include "account/state.h"

/* result: OK; ERR_SIGNATURE: wrong, or used; ERR_AGAIN: too many wrong ones, wait_ms; or an error of the
 * store. */
typedef void second_checked(void *context, int result, uint64_t wait_ms);
/* At home. info and code are read before it returns; done runs once, now or later. */
void second_check(struct accounts *accounts, const struct account_info *info, slice code,
                  second_checked *done, void *context);

#endif
