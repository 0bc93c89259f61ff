/* Who is logged in proves it once more, before something that a borrowed computer must not be able to do. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "account/second.h"

enum { CODE_BYTES_MAX = 64 };

struct proving {
    struct accounts *accounts;
    int64_t account;
    enum account_proof proof;
    account_proved *done;
    void *context;
    struct account_info info;
    size_t password_len, code_len, address_len;
    char password[PASSWORD_BYTES_MAX], code[CODE_BYTES_MAX], address[64];
};

static void proving_end(struct proving *proving, int result, uint64_t wait_ms)
{
    proving->done(proving->context, result, wait_ms, result ? NULL : &proving->info);
    sodium_memzero(proving, sizeof *proving);
    free(proving);
}

static slice proving_address(const struct proving *proving)
{
    return slice_of(proving->address, proving->address_len);
}

static void code_checked(void *context, int result, uint64_t wait_ms)
{
    proving_end(context, result, wait_ms);
}

static void verified(void *context, int result, slice hash)
{
    (void)hash;
    struct proving *proving = context;
    struct accounts *accounts = proving->accounts;
    slice key = account_info_key(&proving->info);
    uint64_t now_ms = accounts_now_ms(accounts);
    if (!result)
        throttle_login_good(&accounts->throttle, proving_address(proving), key, now_ms);
    else if (result != ERR_AUTH)
        throttle_login_void(&accounts->throttle, proving_address(proving), key, now_ms);
    else
        accounts_event(accounts, "login-failed", proving->account, slice_text(proving->info.name),
                       "password, of a session", proving_address(proving));
    if (!result && proving->proof == PROOF_PASSWORD_AND_CODE && proving->info.has_totp)
        second_check(accounts, &proving->info, slice_of(proving->code, proving->code_len), code_checked,
                     proving);
    else
        proving_end(proving, result, 0);
}

static void found(void *context, int result, const struct store_rows *rows)
{
    struct proving *proving = context;
    struct accounts *accounts = proving->accounts;
    if (!result) result = account_info_read(rows, &proving->info);
    if (result || proving->proof == PROOF_NOTHING) {
        proving_end(proving, result, 0);
        return;
    }
    slice key = account_info_key(&proving->info), address = proving_address(proving);
    uint64_t now_ms = accounts_now_ms(accounts);
    uint64_t wait_ms = throttle_login(&accounts->throttle, address, key, now_ms);
    if (wait_ms) {
        proving_end(proving, ERR_AGAIN, wait_ms);
        return;
    }
    int err = passwords_verify(&accounts->passwords, slice_of(proving->password, proving->password_len),
                               slice_text(proving->info.secret), verified, proving);
    if (!err) return;
    throttle_login_void(&accounts->throttle, address, key, now_ms);
    proving_end(proving, err, 0);
}

static size_t keep(char *room, size_t size, slice text)
{
    size_t len = text.len < size ? text.len : size;
    if (len) memcpy(room, text.ptr, len);
    return len;
}

int accounts_prove(struct accounts *accounts, int64_t account, enum account_proof proof, slice password,
                   slice code, slice address, account_proved *done, void *context)
{
    if (accounts->stopped) return ERR_CLOSED;
    struct proving *proving = calloc(1, sizeof *proving);
    if (!proving) return ERR_MEMORY;
    proving->accounts = accounts;
    proving->account = account;
    proving->proof = proof;
    proving->done = done;
    proving->context = context;
    proving->password_len = keep(proving->password, sizeof proving->password, password);
    proving->code_len = keep(proving->code, sizeof proving->code, code);
    proving->address_len = keep(proving->address, sizeof proving->address, address);
    const struct store_value values[] = {store_number(account)};
    int err = store_ask(accounts->config.store, &STORE_ACCOUNT_BY_ID, values, 1, found, proving);
    if (err) {
        sodium_memzero(proving, sizeof *proving);
        free(proving);
    }
    return err;
}
