/* What people do with their own account: sessions and devices, password, the end. What belongs to the second
 * step of logging in is in account_totp.c. */
#include "tracker/account_calls.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/ticket.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "store/accounts_sql.h"
#include "tracker/audit.h"
#include "tracker/socket.h"

/* --- proving --- */

bool account_call_secret(struct call *call, const char *field, slice *out)
{
    const json_t *value = json_object_get(call->fields, field);
    char words[80];
    *out = slice_of(json_string_value(value), json_string_length(value));
    if (json_is_string(value) && out->len && out->len <= PASSWORD_BYTES_MAX) return true;
    snprintf(words, sizeof words, "\"%s\" is missing.", field);
    call_refuse(call, 400, words);
    return false;
}

static void too_fast(struct call *call, uint64_t wait_ms)
{
    char words[96], seconds[24];
    unsigned long long wait_s = (wait_ms + 999) / 1000;
    snprintf(seconds, sizeof seconds, "%llu", wait_s);
    snprintf(words, sizeof words, "Too many failed attempts: try again in %llu s.", wait_s);
    if (call->request) wr_response_header(call->request, "Retry-After", seconds);
    call_refuse(call, 429, words);
}

bool account_call_proved(struct call *call, int result, uint64_t wait_ms)
{
    switch (result) {
    case OK: return true;
    case ERR_AUTH: call_refuse(call, 403, "The password is wrong."); break;
    case ERR_SIGNATURE:
        call_refuse(call, 403, "The code is wrong, is missing, or was used already: wait for the next one.");
        break;
    case ERR_AGAIN: too_fast(call, wait_ms); break;
    case ERR_NOT_FOUND: call_refuse(call, 401, "This account is gone."); break;
    default: call_failed(call, result); break;
    }
    return false;
}

void account_call_prove(struct call *call, enum account_proof proof, account_proved *done)
{
    slice password = SLICE_EMPTY, code = SLICE_EMPTY;
    if (proof != PROOF_NOTHING && !account_call_secret(call, "password", &password)) return;
    if (proof == PROOF_PASSWORD_AND_CODE && !call_text_maybe(call, "code", 40, &code)) return;
    int err = accounts_prove(call->tracker->accounts, call->account, proof, password, code,
                             slice_text(call->address), done, call);
    if (err) call_failed(call, err);
}

/* --- the account --- */

static void told(void *context, int result, uint64_t wait_ms, const struct account_info *info)
{
    static const char *const registrations[] = {"open", "invite", "closed"};
    struct call *call = context;
    if (!account_call_proved(call, result, wait_ms)) return;
    call_answer(call,
                json_pack("{s:s,s:s,s:I,s:b,s:i,s:s}", "username", info->name, "role",
                          account_role_name(info->role), "created_ms", (json_int_t)info->created_ms, "totp",
                          info->has_totp, "recovery_codes", (int)info->recovery_codes, "registration",
                          registrations[accounts_registration(call->tracker->accounts)]));
}

static void account(struct call *call)
{
    account_call_prove(call, PROOF_NOTHING, told);
}

const char *account_role_name(int64_t role)
{
    return role == ROLE_ADMIN ? "admin" : "person";
}

/* --- sessions and devices --- */

struct listing {
    account_listed *done;
};

json_t *account_text(const struct store_value *v)
{
    return v->type == STORE_TEXT ? json_stringn((const char *)v->bytes.ptr, v->bytes.len) : json_string("");
}

static json_t *id_json(const struct store_value *v)
{
    char text[ID_TEXT_BYTES];
    if (v->type != STORE_BYTES || v->bytes.len != ID_BYTES) return json_null();
    hex_encode(v->bytes, text);
    return json_string(text);
}

static json_t *session_json(const struct call *call, const struct store_value *row)
{
    bool current = row[1].bytes.len == SESSION_HASH_BYTES &&
                   memcmp(row[1].bytes.ptr, call->session, SESSION_HASH_BYTES) == 0;
    return json_pack("{s:o,s:b,s:I,s:I,s:I,s:o,s:o,s:o}", "session", id_json(&row[1]), "current", current,
                     "created_ms", (json_int_t)row[2].number, "seen_ms", (json_int_t)row[3].number,
                     "expires_ms", (json_int_t)row[4].number, "address", account_text(&row[5]), "agent",
                     account_text(&row[6]), "device", id_json(&row[8]));
}

static json_t *device_json(const struct call *call, const struct store_value *row)
{
    bool current = call->has_device && row[1].bytes.len == ID_BYTES &&
                   memcmp(row[1].bytes.ptr, call->device, ID_BYTES) == 0;
    return json_pack("{s:o,s:b,s:I,s:I,s:I,s:o,s:o,s:o}", "device", id_json(&row[1]), "current", current,
                     "issued_ms", (json_int_t)row[2].number, "seen_ms", (json_int_t)row[3].number,
                     "expires_ms", (json_int_t)row[4].number, "address", account_text(&row[5]), "name",
                     account_text(&row[6]), "label", account_text(&row[7]));
}

static void listed(struct call *call, int result, const struct store_rows *rows)
{
    struct listing *listing = call->state;
    if (result) {
        call_failed(call, result);
        return;
    }
    json_t *sessions = json_array(), *devices = json_array();
    for (size_t i = 0; i < rows->count; i++) {
        const struct store_value *row = store_at(rows, i, 0);
        if (row->number)
            json_array_append_new(devices, device_json(call, row));
        else
            json_array_append_new(sessions, session_json(call, row));
    }
    listing->done(call, json_pack("{s:o,s:o}", "sessions", sessions, "devices", devices));
}

void account_list(struct call *call, int64_t account, account_listed *done)
{
    struct listing *listing = malloc(sizeof *listing);
    free(call->state);
    call->state = listing;
    if (!listing) {
        call_failed(call, ERR_MEMORY);
        return;
    }
    listing->done = done;
    const struct store_value values[] = {store_number(account),
                                         store_number((int64_t)tracker_now_ms(call->tracker)),
                                         store_number(ACCOUNT_LISTED_MAX)};
    call_ask(call, &STORE_SESSIONS_AND_DEVICES, values, 3, listed);
}

static void account_sessions(struct call *call)
{
    account_list(call, call->account, call_answer);
}

/* The sessions of the account are not what they were: its sockets are told after the answer. */
static void answer_and_check(struct call *call, json_t *more)
{
    struct tracker *tracker = call->tracker;
    int64_t account = call->account;
    call_answer(call, more);
    sockets_account_changed(tracker, account);
}

static void session_ended(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_NOT_FOUND) {
        call_refuse(call, 404, "There is no such session (any more).");
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, "session-end", SLICE_EMPTY, "one");
        answer_and_check(call, NULL);
    }
}

static void session_end(struct call *call)
{
    uint8_t token[SESSION_HASH_BYTES];
    if (!call_id(call, "session", token)) return;
    const struct store_value values[] = {store_number(call->account), store_id(token)};
    call_ask(call, &STORE_SESSION_END, values, 2, session_ended);
}

static void sessions_ended(struct call *call, int result, const struct store_rows *rows)
{
    if (result) {
        call_failed(call, result);
        return;
    }
    audit_call(call, "session-end", SLICE_EMPTY, "everywhere");
    answer_and_check(call, json_pack("{s:i}", "ended", (int)rows->count));
}

static void sessions_end(struct call *call)
{
    bool all;
    if (!call_flag(call, "all", &all)) return;
    const struct store_value values[] = {store_number(call->account), store_id(all ? NULL : call->session)};
    call_ask(call, &STORE_SESSIONS_END, values, 2, sessions_ended);
}

static const char no_device[] = "Your account has no such device.";

static void device_renamed(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_NOT_FOUND)
        call_refuse(call, 404, no_device);
    else
        call_done(call, result, rows);
}

static void device_rename(struct call *call)
{
    uint8_t device[ID_BYTES];
    slice name;
    if (!call_id(call, "device", device) || !call_text(call, "name", 0, 64, &name)) return;
    uint32_t point;
    for (slice rest = name; rest.len && !utf8_next(&rest, &point);) {
        if (label_takes(point)) continue;
        call_refuse(call, 400, "\"name\" must be one line, without signs that are not seen.");
        return;
    }
    const struct store_value values[] = {store_number(call->account), store_id(device), store_text(name)};
    call_ask(call, &STORE_DEVICE_RENAME, values, 3, device_renamed);
}

static void device_ended(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    const json_t *device = json_object_get(call->fields, "device");
    if (result == ERR_NOT_FOUND) {
        call_refuse(call, 404, no_device);
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, "device-end", slice_text(json_string_value(device)), "");
        answer_and_check(call, NULL);
    }
}

static void device_end(struct call *call)
{
    uint8_t device[ID_BYTES];
    if (!call_id(call, "device", device)) return;
    const struct store_value values[] = {store_number(call->account), store_id(device),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &STORE_DEVICE_END, values, 3, device_ended);
}

/* --- a new password --- */

struct changing {
    char old[PASSWORD_HASH_BYTES];
};

static void changed(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_DENIED) {
        call_refuse(call, 409, "The password was changed somewhere else in this moment.");
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, "password-change", SLICE_EMPTY, "");
        answer_and_check(call, NULL);
    }
}

static void hashed(void *context, int result, slice hash)
{
    struct call *call = context;
    struct changing *changing = call->state;
    if (result) {
        call_failed(call, result);
        return;
    }
    const struct store_value values[] = {store_number(call->account), store_text(slice_text(changing->old)),
                                         store_text(hash), store_id(call->session)};
    call_ask(call, &STORE_PASSWORD_CHANGE, values, 4, changed);
}

static void may_change(void *context, int result, uint64_t wait_ms, const struct account_info *info)
{
    struct call *call = context;
    slice password;
    if (!account_call_proved(call, result, wait_ms) || !account_call_secret(call, "new_password", &password))
        return;
    struct changing *changing = malloc(sizeof *changing);
    call->state = changing;
    int err = changing ? OK : ERR_MEMORY;
    if (!err) {
        memcpy(changing->old, info->secret, sizeof changing->old);
        err = accounts_hash(call->tracker->accounts, password, hashed, call);
    }
    if (err) call_failed(call, err);
}

static void password_change(struct call *call)
{
    slice password;
    if (!account_call_secret(call, "new_password", &password)) return;
    const char *problem = new_password_problem(password);
    if (problem)
        call_refuse(call, 400, problem);
    else
        account_call_prove(call, PROOF_PASSWORD, may_change);
}

/* --- the end of an account --- */

static void deleted(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_DENIED) {
        call_refuse(call, 409, "The password was changed somewhere else in this moment.");
    } else if (result == ERR_WRONG_STATE) {
        call_refuse(call, 409, "You are the only administrator: make somebody else one first.");
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, "account-delete", slice_text(call->name), "");
        answer_and_check(call, NULL);
    }
}

static void may_delete(void *context, int result, uint64_t wait_ms, const struct account_info *info)
{
    struct call *call = context;
    if (!account_call_proved(call, result, wait_ms)) return;
    const struct store_value values[] = {store_number(call->account),
                                         store_number((int64_t)tracker_now_ms(call->tracker)),
                                         store_text(slice_text(info->secret))};
    call_ask(call, &STORE_ACCOUNT_DELETE, values, 3, deleted);
}

static void account_delete(struct call *call)
{
    account_call_prove(call, PROOF_PASSWORD_AND_CODE, may_delete);
}

/* --- the link for the first administrator --- */

static void claimed(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_DENIED) {
        call_refuse(call, 403, "This link was used already, or its time is over.");
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, "admin-claim", SLICE_EMPTY, "");
        answer_and_check(call, json_pack("{s:s}", "role", account_role_name(ROLE_ADMIN)));
    }
}

static void admin_claim(struct call *call)
{
    const json_t *ticket = json_object_get(call->fields, "ticket");
    uint8_t hash[TICKET_HASH_BYTES];
    if (!ticket_hash(slice_of(json_string_value(ticket), json_string_length(ticket)), hash)) {
        call_refuse(call, 400, "\"ticket\" must be that of the link: 64 hexadecimal digits.");
        return;
    }
    const struct store_value values[] = {store_id(hash), store_number((int64_t)tracker_now_ms(call->tracker)),
                                         store_number(call->account)};
    call_ask(call, &STORE_ADMIN_CLAIM, values, 3, claimed);
}

const struct call_row account_calls[] = {
    {"account", account, CALL_PERSON},
    {"account-sessions", account_sessions, CALL_PERSON},
    {"session-end", session_end, CALL_PERSON},
    {"sessions-end", sessions_end, CALL_PERSON},
    {"device-rename", device_rename, CALL_PERSON},
    {"device-end", device_end, CALL_PERSON},
    {"password-change", password_change, CALL_PERSON},
    {"account-delete", account_delete, CALL_PERSON},
    {"totp-begin", account_totp_begin, CALL_PERSON},
    {"totp-confirm", account_totp_confirm, CALL_PERSON},
    {"totp-end", account_totp_end, CALL_PERSON},
    {"recovery-renew", account_recovery_renew, CALL_PERSON},
    {"admin-claim", admin_claim, CALL_PERSON},
    {0},
};
