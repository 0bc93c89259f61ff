/* audit.h - who did what, when, from where: the log that administrators read (admin-audit). Private to
 * src/tracker.
 *
 * Written down: logins, good and bad ones, new and deleted accounts, passwords, ended sessions and devices,
 * roles, and everything that administrators and moderators do. `what` is a word from docs/api.md
 * ("login-failed"), `about` an account, a channel or a device, `detail` a few words; never a password, a code
 * or the text of a message.
 *
 * Bounds: the newest AUDIT_ROWS_MAX rows of AUDIT_LIFE_MS. What one account does too often (and all failed
 * logins together) is counted and not written; the next row of its kind says how many were left out. So
 * nobody can wash out of the log what he did by doing something else.
 *
 * Rules: as tracker.h. Nobody waits for it: what the store cannot take is told in the log of the process. */
#ifndef TRACKER_AUDIT_H
#define TRACKER_AUDIT_H

#include "tracker/call.h"

#define AUDIT_ROWS_MAX 200000
#define AUDIT_LIFE_MS ((uint64_t)400 * 86400 * 1000)

/* Done by an account (0: nobody who is known), from an address that is not known. Texts are UTF-8; NULL and
 * empty are the same. */
void audit(struct tracker *tracker, int64_t account, const char *what, const char *about, const char *detail);
/* Done by who asks: always before the call is answered. */
void audit_call(const struct call *call, const char *what, slice about, const char *detail);
/* For accounts_config.event; context: the tracker. */
void audit_event(void *context, const struct account_event *event);

int audit_open(struct tracker *tracker, const uint8_t secret[16]) BASE_CHECKED;
void audit_close(struct tracker *tracker);
/* Removes what is too much or too old, and tickets that have expired: now and then. */
void audit_keep_house(struct tracker *tracker);

#endif
