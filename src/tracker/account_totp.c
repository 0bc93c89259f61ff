/* The second step of logging in: on, off, and what helps when the phone is lost. */
#include <sodium.h>
#include <string.h>

#include "account/ticket.h"
#include "account/totp.h"
#include "store/accounts_sql.h"
#include "tracker/account_calls.h"
#include "tracker/audit.h"

/* --- begin: a secret to scan --- */

struct beginning {
    uint8_t secret[TOTP_SECRET_BYTES];
};

/* What the authenticator shows beside the name: where this is. */
static slice issuer_of(const struct call *call)
{
    slice host = call->request ? slice_text(wr_request_host(call->request)) : SLICE_EMPTY;
    if (host.len && host.ptr[0] == '[') return SLICE("weaprous");
    host = slice_sub(host, 0, slice_find(host, ':'));
    return host.len && host.len <= 100 ? host : SLICE("weaprous");
}

static void begun(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    struct beginning *beginning = call->state;
    char text[TOTP_SECRET_TEXT], uri[TOTP_URI_BYTES];
    slice secret = slice_of(beginning->secret, sizeof beginning->secret);
    if (result == ERR_EXISTS) {
        call_refuse(call, 409, "Codes are asked for already: end that first.");
    } else if (result || (result = totp_uri(issuer_of(call), slice_text(call->name), secret, uri)) != OK) {
        call_failed(call, result);
    } else {
        base32_write(secret, text);
        call_answer(call, json_pack("{s:s,s:s}", "secret", text, "uri", uri));
    }
    sodium_memzero(text, sizeof text);
    sodium_memzero(uri, sizeof uri);
}

static void may_begin(void *context, int result, uint64_t wait_ms, const struct account_info *info)
{
    (void)info;
    struct call *call = context;
    if (!account_call_proved(call, result, wait_ms)) return;
    struct beginning *beginning = malloc(sizeof *beginning);
    call->state = beginning;
    if (!beginning) {
        call_failed(call, ERR_MEMORY);
        return;
    }
    totp_new_secret(beginning->secret);
    const struct store_value values[] = {store_number(call->account),
                                         store_bytes(beginning->secret, sizeof beginning->secret)};
    call_ask(call, &STORE_TOTP_WANT, values, 2, begun);
}

void account_totp_begin(struct call *call)
{
    account_call_prove(call, PROOF_PASSWORD, may_begin);
}

/* --- recovery codes --- */

struct codes {
    char texts[STORE_RECOVERY_CODES][CODE_TEXT];
};

/* Makes them, and the values that keep them. */
static struct codes *new_codes(struct call *call, uint8_t hashes[STORE_RECOVERY_CODES][TICKET_HASH_BYTES],
                               struct store_value *values)
{
    struct codes *codes = malloc(sizeof *codes);
    call->state = codes;
    for (size_t i = 0; codes && i < STORE_RECOVERY_CODES; i++) {
        code_new(codes->texts[i], hashes[i]);
        values[i] = store_id(hashes[i]);
    }
    if (!codes) call_failed(call, ERR_MEMORY);
    return codes;
}

static void answer_codes(struct call *call)
{
    const struct codes *codes = call->state;
    json_t *array = json_array();
    for (size_t i = 0; i < STORE_RECOVERY_CODES; i++)
        json_array_append_new(array, json_string(codes->texts[i]));
    sodium_memzero(call->state, sizeof *codes);
    call_answer(call, json_pack("{s:o}", "recovery_codes", array));
}

/* --- confirm: the app shows the right codes --- */

static void confirmed(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_DENIED) {
        call_refuse(call, 409, "This was begun anew somewhere else: scan the code once more.");
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, "totp-on", SLICE_EMPTY, "");
        answer_codes(call);
    }
}

static void may_confirm(void *context, int result, uint64_t wait_ms, const struct account_info *info)
{
    struct call *call = context;
    slice code;
    uint64_t step;
    uint8_t hashes[STORE_RECOVERY_CODES][TICKET_HASH_BYTES];
    struct store_value values[3 + STORE_RECOVERY_CODES];
    if (!account_call_proved(call, result, wait_ms) || !call_text(call, "code", 6, 16, &code)) return;
    slice secret = slice_of(info->totp_wanted, sizeof info->totp_wanted);
    if (!info->totp_is_wanted) {
        call_refuse(call, 409, "There is nothing to confirm: begin first.");
    } else if (!totp_matches(secret, code, tracker_now_ms(call->tracker), &step)) {
        call_refuse(call, 403,
                    "The code is wrong. If it stays so, set the clock of your phone by the network.");
    } else if (new_codes(call, hashes, values + 3)) {
        values[0] = store_number(call->account);
        values[1] = store_bytes(info->totp_wanted, sizeof info->totp_wanted);
        values[2] = store_number((int64_t)step);
        call_ask(call, &STORE_TOTP_CONFIRM, values, 3 + STORE_RECOVERY_CODES, confirmed);
    }
}

void account_totp_confirm(struct call *call)
{
    account_call_prove(call, PROOF_NOTHING, may_confirm);
}

/* --- off, and new recovery codes --- */

static const char not_on[] = "No codes are asked for at the login of this account.";

static void ended(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_NOT_FOUND) {
        call_refuse(call, 409, not_on);
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, "totp-off", SLICE_EMPTY, "");
        call_answer(call, NULL);
    }
}

static void may_end(void *context, int result, uint64_t wait_ms, const struct account_info *info)
{
    (void)info;
    struct call *call = context;
    if (!account_call_proved(call, result, wait_ms)) return;
    const struct store_value values[] = {store_number(call->account)};
    call_ask(call, &STORE_TOTP_END, values, 1, ended);
}

void account_totp_end(struct call *call)
{
    account_call_prove(call, PROOF_PASSWORD_AND_CODE, may_end);
}

static void renewed(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_NOT_FOUND) {
        call_refuse(call, 409, not_on);
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, "recovery-renew", SLICE_EMPTY, "");
        answer_codes(call);
    }
}

static void may_renew(void *context, int result, uint64_t wait_ms, const struct account_info *info)
{
    (void)info;
    struct call *call = context;
    uint8_t hashes[STORE_RECOVERY_CODES][TICKET_HASH_BYTES];
    struct store_value values[1 + STORE_RECOVERY_CODES] = {store_number(call->account)};
    if (account_call_proved(call, result, wait_ms) && new_codes(call, hashes, values + 1))
        call_ask(call, &STORE_RECOVERY_RENEW, values, 1 + STORE_RECOVERY_CODES, renewed);
}

void account_recovery_renew(struct call *call)
{
    account_call_prove(call, PROOF_PASSWORD_AND_CODE, may_renew);
}
