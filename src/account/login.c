/* Logging in: the throttle, the account, the password, perhaps the code of the second step, the session.
 *
 * When the password was right and the code is missing, the answer names a ticket that takes the place of name
 * and password for five minutes, so that a page need not keep the password while the person looks for the
 * phone. */
#include <sodium.h>

#include "account/attempt.h"
#include "account/second.h"

/* --- the second step --- */

static void ticket_taken(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct attempt *attempt = context;
    if (result == ERR_DENIED)
        attempt_refuse(attempt, 401, "That took too long: begin again with your name and password.");
    else if (result)
        attempt_broke(attempt, result);
    else
        attempt_in(attempt);
}

static void code_checked(void *context, int result, uint64_t wait_ms)
{
    struct attempt *attempt = context;
    struct accounts *accounts = attempt->accounts;
    if (result == ERR_AGAIN) {
        attempt_too_fast(attempt, wait_ms, "wrong codes");
    } else if (result == ERR_SIGNATURE) {
        attempt->needs = "totp";
        attempt_event(attempt, "login-failed", "code");
        attempt_refuse(attempt, 401, "The code is wrong, or was used already: wait for the next one.");
    } else if (result) {
        attempt_broke(attempt, result);
    } else if (attempt->has_ticket) {
        const struct store_value values[] = {store_id(attempt->ticket), store_number(STORE_TICKET_LOGIN),
                                             store_number((int64_t)accounts_now_ms(accounts))};
        attempt_ask(attempt, &STORE_TICKET_TAKE, values, 3, ticket_taken);
    } else {
        attempt_in(attempt);
    }
}

static void ticket_made(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct attempt *attempt = context;
    if (result) {
        attempt_broke(attempt, result);
        return;
    }
    attempt->needs = "totp";
    attempt_refuse(attempt, 401, "Now the code that your authenticator shows, or a recovery code.");
}

static void second_step(struct attempt *attempt)
{
    uint8_t hash[TICKET_HASH_BYTES];
    if (attempt->code.len) {
        second_check(attempt->accounts, &attempt->info, attempt->code, code_checked, attempt);
        return;
    }
    uint64_t now_ms = accounts_now_ms(attempt->accounts);
    ticket_new(attempt->login_ticket, hash);
    const struct store_value values[] = {store_id(hash), store_number(STORE_TICKET_LOGIN),
                                         store_number(attempt->info.account), store_number((int64_t)now_ms),
                                         store_number((int64_t)(now_ms + LOGIN_TICKET_MS))};
    attempt_ask(attempt, &STORE_TICKET_ADD, values, 5, ticket_made);
}

/* --- the first one --- */

static void verified(void *context, int result, slice hash)
{
    (void)hash;
    struct attempt *attempt = context;
    struct accounts *accounts = attempt->accounts;
    if (result == ERR_AUTH) {
        attempt_event(attempt, "login-failed", attempt->info.account ? "password" : "name");
        attempt_refuse(attempt, 401, attempt_wrong);
        return;
    }
    if (result) {
        attempt_password_broke(attempt, result);
        return;
    }
    attempt->counted = false;
    throttle_login_good(&accounts->throttle, attempt->address, attempt_key(attempt),
                        accounts_now_ms(accounts));
    if (attempt->info.disabled_ms) {
        attempt_event(attempt, "login-failed", "disabled");
        attempt_refuse(attempt, 403, "An administrator has disabled this account.");
    } else if (attempt->info.has_totp) {
        second_step(attempt);
    } else {
        attempt_in(attempt);
    }
}

static void account_found(void *context, int result, const struct store_rows *rows)
{
    struct attempt *attempt = context;
    if (!result) result = account_info_read(rows, &attempt->info);
    if (result && result != ERR_NOT_FOUND) {
        attempt_broke(attempt, result);
        return;
    }
    slice hash = result ? SLICE_EMPTY : slice_text(attempt->info.secret);
    int err = passwords_verify(&attempt->accounts->passwords, attempt->password, hash, verified, attempt);
    if (err) attempt_password_broke(attempt, err);
}

/* --- with a ticket in place of the first step --- */

static void ticket_account_found(void *context, int result, const struct store_rows *rows)
{
    struct attempt *attempt = context;
    if (!result) result = account_info_read(rows, &attempt->info);
    if (result && result != ERR_NOT_FOUND)
        attempt_broke(attempt, result);
    else if (result || attempt->info.disabled_ms)
        attempt_refuse(attempt, 401, attempt_wrong);
    else if (attempt->info.has_totp)
        second_check(attempt->accounts, &attempt->info, attempt->code, code_checked, attempt);
    else /* an administrator has just ended it */
        code_checked(attempt, OK, 0);
}

static void ticket_found(void *context, int result, const struct store_rows *rows)
{
    struct attempt *attempt = context;
    if (result) {
        attempt_broke(attempt, result);
    } else if (!rows->count) {
        attempt_refuse(attempt, 401, "That took too long: begin again with your name and password.");
    } else {
        const struct store_value values[] = {store_number(store_at(rows, 0, 0)->number)};
        attempt_ask(attempt, &STORE_ACCOUNT_BY_ID, values, 1, ticket_account_found);
    }
}

void login_begin(struct attempt *attempt)
{
    struct accounts *accounts = attempt->accounts;
    uint64_t now_ms = accounts_now_ms(accounts);
    if (attempt->has_ticket) {
        const struct store_value values[] = {store_id(attempt->ticket), store_number(STORE_TICKET_LOGIN),
                                             store_number((int64_t)now_ms)};
        attempt_ask(attempt, &STORE_TICKET_LOOK, values, 3, ticket_found);
        return;
    }
    uint64_t wait_ms = throttle_login(&accounts->throttle, attempt->address, attempt_key(attempt), now_ms);
    if (wait_ms) {
        attempt_too_fast(attempt, wait_ms, "failed attempts to log in");
        return;
    }
    attempt->counted = true;
    const struct store_value values[] = {store_text(attempt_key(attempt))};
    attempt_ask(attempt, &STORE_ACCOUNT_BY_KEY, values, 1, account_found);
}
