/* account_calls.h - what the calls on accounts share. Private to src/tracker. */
#ifndef TRACKER_ACCOUNT_CALLS_H
#define TRACKER_ACCOUNT_CALLS_H

#include "tracker/call.h"

enum { ACCOUNT_LISTED_MAX = 200 }; /* of sessions, and of devices */

/* A password as it was typed; refuses the call when it is not there. */
bool account_call_secret(struct call *call, const char *field, slice *out);
/* Asks for the proof that the fields "password" and "code" give; done's context is the call. */
void account_call_prove(struct call *call, enum account_proof proof, account_proved *done);
/* For `done`: when the proof failed it refuses the call and gives false. */
bool account_call_proved(struct call *call, int result, uint64_t wait_ms);

/* Sessions and devices of an account, as an object; `done` takes it. Uses call->state. */
typedef void account_listed(struct call *call, json_t *lists);
void account_list(struct call *call, int64_t account, account_listed *done);

const char *account_role_name(int64_t role);
json_t *account_text(const struct store_value *value);

/* --- account_totp.c --- */

call_handler account_totp_begin, account_totp_confirm, account_totp_end, account_recovery_renew;

#endif
