#include "account/second.h"

#include <stdlib.h>

#include "account/ticket.h"

struct second {
    struct accounts *accounts;
    int64_t account;
    second_checked *done;
    void *context;
};

static void second_end(struct second *second, int result)
{
    struct accounts *accounts = second->accounts;
    bool wrong = result == ERR_EXISTS || result == ERR_NOT_FOUND;
    if (!wrong) throttle_code_void(&accounts->throttle, second->account, accounts_now_ms(accounts));
    second->done(second->context, wrong ? ERR_SIGNATURE : result, 0);
    free(second);
}

static void taken(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    second_end(context, result);
}

static int take(struct second *second, const struct account_info *info, slice code)
{
    struct accounts *accounts = second->accounts;
    uint64_t step;
    uint8_t hash[TICKET_HASH_BYTES];
    slice secret = slice_of(info->totp, sizeof info->totp);
    struct store_value values[2] = {store_number(info->account)};
    if (totp_matches(secret, code, accounts_now_ms(accounts), &step)) {
        values[1] = store_number((int64_t)step);
        return store_ask(accounts->config.store, &STORE_TOTP_TAKE, values, 2, taken, second);
    }
    if (!code_hash(code, hash)) return ERR_NOT_FOUND;
    values[1] = store_id(hash);
    return store_ask(accounts->config.store, &STORE_RECOVERY_TAKE, values, 2, taken, second);
}

void second_check(struct accounts *accounts, const struct account_info *info, slice code,
                  second_checked *done, void *context)
{
    uint64_t wait_ms = throttle_code(&accounts->throttle, info->account, accounts_now_ms(accounts));
    if (wait_ms) {
        done(context, ERR_AGAIN, wait_ms);
        return;
    }
    struct second *second = malloc(sizeof *second);
    if (!second) {
        throttle_code_void(&accounts->throttle, info->account, accounts_now_ms(accounts));
        done(context, ERR_MEMORY, 0);
        return;
    }
    *second = (struct second){accounts, info->account, done, context};
    int err = take(second, info, code);
    if (err) second_end(second, err);
}
