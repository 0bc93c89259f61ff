/* Making an account: for everybody, with an invite, or with the link for the first administrator, which is
 * good whatever --registration says. */
#include "account/attempt.h"

static const char taken[] = "This name is taken.";

static void registered(void *context, int result, const struct store_rows *rows)
{
    struct attempt *attempt = context;
    if (result == ERR_EXISTS) {
        attempt_refuse(attempt, 409, taken);
    } else if (result == ERR_DENIED) { /* somebody was faster */
        attempt->needs = attempt->has_ticket ? NULL : "invite";
        attempt_refuse(attempt, 403,
                       attempt->has_ticket ? "This link was used already." : "This invite was used up.");
    } else if (result) {
        attempt_broke(attempt, result);
    } else {
        attempt->info.account = store_at(rows, 0, 0)->number;
        attempt->info.role = attempt->has_ticket ? ROLE_ADMIN : ROLE_USER;
        memcpy(attempt->info.name, attempt->name.ptr, attempt->name.len); /* at most 32 letters */
        if (attempt->has_ticket) attempt_event(attempt, "admin-claim", "");
        attempt_in(attempt);
    }
}

static void hashed(void *context, int result, slice hash)
{
    struct attempt *attempt = context;
    if (result) {
        attempt_password_broke(attempt, result);
        return;
    }
    const struct store_value values[] = {store_text(attempt->name), store_text(attempt_key(attempt)),
                                         store_text(hash),
                                         store_number((int64_t)accounts_now_ms(attempt->accounts)),
                                         store_id(attempt->has_ticket ? attempt->ticket : attempt->invite)};
    if (attempt->has_ticket)
        attempt_ask(attempt, &STORE_REGISTER_ADMIN, values, 5, registered);
    else if (attempt->accounts->config.registration == REGISTRATION_INVITE)
        attempt_ask(attempt, &STORE_REGISTER_INVITED, values, 5, registered);
    else
        attempt_ask(attempt, &STORE_REGISTER, values, 4, registered);
}

/* Looking first saves hashing a password for nothing; what counts is looked at once more by the operation
 * that makes the account. */
static void name_looked_up(void *context, int result, const struct store_rows *rows)
{
    struct attempt *attempt = context;
    if (result) {
        attempt_broke(attempt, result);
    } else if (rows->count) {
        attempt_refuse(attempt, 409, taken);
    } else {
        int err = passwords_hash(&attempt->accounts->passwords, attempt->password, hashed, attempt);
        if (err) attempt_password_broke(attempt, err);
    }
}

static void look_up_name(struct attempt *attempt)
{
    const struct store_value values[] = {store_text(attempt_key(attempt))};
    attempt_ask(attempt, &STORE_ACCOUNT_BY_KEY, values, 1, name_looked_up);
}

static void permission_looked_up(void *context, int result, const struct store_rows *rows)
{
    struct attempt *attempt = context;
    if (result) {
        attempt_broke(attempt, result);
    } else if (rows->count) {
        look_up_name(attempt);
    } else if (attempt->has_ticket) {
        attempt_refuse(attempt, 403, "This link was used already, or its time is over.");
    } else {
        attempt->needs = "invite";
        attempt_refuse(attempt, 403, "This invite is not good (any more): ask for a new one.");
    }
}

void register_begin(struct attempt *attempt)
{
    struct accounts *accounts = attempt->accounts;
    uint64_t now_ms = accounts_now_ms(accounts);
    uint64_t wait_ms = throttle_register(&accounts->throttle, attempt->address, now_ms);
    if (wait_ms) {
        attempt_too_fast(attempt, wait_ms, "new accounts from this address");
    } else if (attempt->has_ticket) {
        const struct store_value values[] = {store_id(attempt->ticket), store_number(STORE_TICKET_ADMIN),
                                             store_number((int64_t)now_ms)};
        attempt_ask(attempt, &STORE_TICKET_LOOK, values, 3, permission_looked_up);
    } else if (accounts->config.registration == REGISTRATION_OPEN) {
        look_up_name(attempt);
    } else if (accounts->config.registration == REGISTRATION_INVITE && attempt->has_invite) {
        const struct store_value values[] = {store_id(attempt->invite), store_number((int64_t)now_ms)};
        attempt_ask(attempt, &STORE_ACCOUNT_INVITE_LOOK, values, 2, permission_looked_up);
    } else if (accounts->config.registration == REGISTRATION_INVITE) {
        attempt->needs = "invite";
        attempt_refuse(attempt, 403, "New accounts need an invite here: ask an administrator for one.");
    } else {
        attempt_refuse(attempt, 403, "This server takes no new accounts: ask its administrator.");
    }
}
