/* A new password by a link that an administrator has made: POST /reset. */
#include "account/attempt.h"

static const char over[] = "This link was used already, or its time is over: ask for a new one.";

static void changed(void *context, int result, const struct store_rows *rows)
{
    struct attempt *attempt = context;
    const struct accounts_config *config = &attempt->accounts->config;
    if (result == ERR_DENIED) {
        attempt_refuse(attempt, 403, over);
        return;
    }
    if (result) {
        attempt_broke(attempt, result);
        return;
    }
    slice name = store_at(rows, 0, 1)->bytes;
    attempt->info.account = store_at(rows, 0, 0)->number;
    if (name.len < sizeof attempt->info.name) memcpy(attempt->info.name, name.ptr, name.len);
    attempt_event(attempt, "password-reset", "");
    if (config->account_changed) config->account_changed(config->context, attempt->info.account);
    attempt_end(attempt);
}

static void hashed(void *context, int result, slice hash)
{
    struct attempt *attempt = context;
    if (result) {
        attempt_password_broke(attempt, result);
        return;
    }
    const struct store_value values[] = {store_id(attempt->ticket),
                                         store_number((int64_t)accounts_now_ms(attempt->accounts)),
                                         store_text(hash)};
    attempt_ask(attempt, &STORE_PASSWORD_RESET, values, 3, changed);
}

static void ticket_found(void *context, int result, const struct store_rows *rows)
{
    struct attempt *attempt = context;
    if (result) {
        attempt_broke(attempt, result);
    } else if (!rows->count) {
        attempt_refuse(attempt, 403, over);
    } else {
        int err = passwords_hash(&attempt->accounts->passwords, attempt->password, hashed, attempt);
        if (err) attempt_password_broke(attempt, err);
    }
}

void reset_begin(struct attempt *attempt)
{
    struct accounts *accounts = attempt->accounts;
    uint64_t now_ms = accounts_now_ms(accounts);
    uint64_t wait_ms = throttle_register(&accounts->throttle, attempt->address, now_ms);
    if (wait_ms) {
        attempt_too_fast(attempt, wait_ms, "attempts from this address");
        return;
    }
    const struct store_value values[] = {store_id(attempt->ticket), store_number(STORE_TICKET_RESET),
                                         store_number((int64_t)now_ms)};
    attempt_ask(attempt, &STORE_TICKET_LOOK, values, 3, ticket_found);
}
