/* What administrators do: accounts of others, invites, the audit log, figures. Everything is written down
 * there before it is answered. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/ticket.h"
#include "store/accounts_sql.h"
#include "tracker/account_calls.h"
#include "tracker/audit.h"
#include "tracker/socket.h"

#define RESET_LIFE_MS ((uint64_t)24 * 3600 * 1000)
#define DAY_MS ((int64_t)86400 * 1000)

enum { PAGE_ROWS_MAX = 200, PAGE_ROWS = 50 };

/* --- the account that it is about --- */

struct target {
    struct account_info info;
    void (*go_on)(struct call *call, const struct account_info *info);
    const char *what;   /* for the audit log, when it is done ... */
    const char *detail; /* ... both static */
    char ticket[TICKET_TEXT];
};

static void target_found(struct call *call, int result, const struct store_rows *rows)
{
    struct target *target = call->state;
    if (!result) result = account_info_read(rows, &target->info);
    if (result == ERR_NOT_FOUND)
        call_refuse(call, 404, "There is no account of this name.");
    else if (result)
        call_failed(call, result);
    else
        target->go_on(call, &target->info);
}

/* Reads "account" and looks it up. */
static void with_account(struct call *call, const char *what, const char *detail,
                         void (*go_on)(struct call *call, const struct account_info *info))
{
    uint8_t room[FOLD_KEY_BYTES_MAX];
    slice key;
    if (!call_account_key(call, "account", room, &key)) return;
    struct target *target = calloc(1, sizeof *target);
    call->state = target;
    if (!target) {
        call_failed(call, ERR_MEMORY);
        return;
    }
    target->go_on = go_on;
    target->what = what;
    target->detail = detail;
    const struct store_value values[] = {store_text(key)};
    call_ask(call, &STORE_ACCOUNT_BY_KEY, values, 1, target_found);
}

/* The end of what changes an account: written down, answered, and its sockets looked at. */
static void target_changed(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    const struct target *target = call->state;
    struct tracker *tracker = call->tracker;
    int64_t account = target->info.account;
    if (result == ERR_WRONG_STATE) {
        call_refuse(call, 409, "It is the only administrator: make somebody else one first.");
    } else if (result == ERR_NOT_FOUND) {
        call_refuse(call, 404, "It is gone already, or was not there.");
    } else if (result) {
        call_failed(call, result);
    } else {
        audit_call(call, target->what, slice_text(target->info.name), target->detail);
        if (account == call->account) { /* while the socket that asks is there */
            call_answer(call, NULL);
            sockets_account_changed(tracker, account);
        } else { /* what the sockets ask of the store comes before this question: then it counts for them */
            sockets_account_changed(tracker, account);
            call_ask(call, &STORE_ADMIN_LOOK, NULL, 0, call_done);
        }
    }
}

/* --- looking --- */

static json_t *user_json(const struct store_value *row)
{
    return json_pack("{s:o,s:s,s:b,s:I,s:I,s:I,s:I,s:b}", "username", account_text(&row[1]), "role",
                     account_role_name(row[3].number), "disabled", row[4].number > 0, "created_ms",
                     (json_int_t)row[5].number, "seen_ms", (json_int_t)row[6].number, "sessions",
                     (json_int_t)row[7].number, "devices", (json_int_t)row[8].number, "totp",
                     row[9].number > 0);
}

static void users_found(struct call *call, int result, const struct store_rows *rows)
{
    if (result) {
        call_failed(call, result);
        return;
    }
    json_t *users = json_array(), *answer = json_pack("{s:o}", "users", users);
    for (size_t i = 0; i < rows->count; i++)
        json_array_append_new(users, user_json(store_at(rows, i, 0)));
    /* What asks for the next page; absent on the last one. */
    int64_t limit;
    bool full =
        call_number(call, "limit", 1, PAGE_ROWS_MAX, PAGE_ROWS, &limit) && rows->count == (size_t)limit;
    if (full) json_object_set_new(answer, "next", account_text(store_at(rows, rows->count - 1, 2)));
    call_answer(call, answer);
}

/* As it stands in keys: folded when it could be a name, with what LIKE takes for signs escaped. */
static slice pattern_of(slice search, uint8_t out[2 * FOLD_KEY_BYTES_MAX])
{
    uint8_t key[FOLD_KEY_BYTES_MAX];
    int len = !name_problem(search) ? fold_name(search, key) : -1;
    slice text = len < 0 ? slice_sub(search, 0, sizeof key) : slice_of(key, (size_t)len);
    size_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '%' || text.ptr[i] == '_' || text.ptr[i] == '\\') out[used++] = '\\';
        out[used++] = text.ptr[i];
    }
    return slice_of(out, used);
}

static void admin_users(struct call *call)
{
    slice search, after;
    int64_t limit;
    uint8_t pattern[2 * FOLD_KEY_BYTES_MAX];
    if (!call_text_maybe(call, "search", 64, &search) || !call_text_maybe(call, "after", 400, &after) ||
        !call_number(call, "limit", 1, PAGE_ROWS_MAX, PAGE_ROWS, &limit))
        return;
    const struct store_value values[] = {store_text(pattern_of(search, pattern)), store_text(after),
                                         store_number(limit),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &STORE_ACCOUNTS_PAGE, values, 4, users_found);
}

static void storage_found(struct call *call, int result, const struct store_rows *rows)
{
    const struct target *target = call->state;
    const struct account_info *info = &target->info;
    if (result) {
        call_failed(call, result);
        return;
    }
    call_answer(call,
                json_pack("{s:s,s:s,s:b,s:I,s:I,s:b,s:i,s:I,s:I}", "username", info->name, "role",
                          account_role_name(info->role), "disabled", info->disabled_ms > 0, "created_ms",
                          (json_int_t)info->created_ms, "seen_ms", (json_int_t)info->seen_ms, "totp",
                          info->has_totp, "recovery_codes", (int)info->recovery_codes, "entries",
                          (json_int_t)store_at(rows, 0, 0)->number, "entry_bytes",
                          (json_int_t)store_at(rows, 0, 1)->number));
}

static void look_at(struct call *call, const struct account_info *info)
{
    const struct store_value values[] = {store_number(info->account)};
    call_ask(call, &STORE_ACCOUNT_STORAGE, values, 1, storage_found);
}

static void admin_user(struct call *call)
{
    with_account(call, "", "", look_at);
}

static void list_sessions(struct call *call, const struct account_info *info)
{
    account_list(call, info->account, call_answer);
}

static void admin_user_sessions(struct call *call)
{
    with_account(call, "", "", list_sessions);
}

/* --- changing --- */

static void disable(struct call *call, const struct account_info *info)
{
    const struct store_value values[] = {store_number(info->account),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    if (info->account == call->account)
        call_refuse(call, 409, "This is your own account.");
    else
        call_ask(call, &STORE_ACCOUNT_DISABLE, values, 2, target_changed);
}

static void admin_user_disable(struct call *call)
{
    with_account(call, "account-disable", "", disable);
}

static void enable(struct call *call, const struct account_info *info)
{
    const struct store_value values[] = {store_number(info->account)};
    call_ask(call, &STORE_ACCOUNT_ENABLE, values, 1, target_changed);
}

static void admin_user_enable(struct call *call)
{
    with_account(call, "account-enable", "", enable);
}

static void set_role(struct call *call, const struct account_info *info)
{
    const struct target *target = call->state;
    int role = strcmp(target->detail, "admin") == 0 ? ROLE_ADMIN : ROLE_USER;
    const struct store_value values[] = {store_number(info->account), store_number(role)};
    call_ask(call, &STORE_ROLE_SET, values, 2, target_changed);
}

static void admin_user_role(struct call *call)
{
    const char *role = json_string_value(json_object_get(call->fields, "role"));
    for (int i = ROLE_USER; role && i <= ROLE_ADMIN; i++) {
        if (strcmp(role, account_role_name(i)) != 0) continue;
        with_account(call, "role", account_role_name(i), set_role);
        return;
    }
    call_refuse(call, 400, "\"role\" must be admin or person.");
}

static void end_sessions(struct call *call, const struct account_info *info)
{
    const struct store_value values[] = {store_number(info->account), store_id(NULL)};
    call_ask(call, &STORE_SESSIONS_END, values, 2, target_changed);
}

static void admin_user_logout(struct call *call)
{
    with_account(call, "session-end", "everywhere", end_sessions);
}

static void end_device(struct call *call, const struct account_info *info)
{
    uint8_t device[ID_BYTES];
    if (!call_id(call, "device", device)) return;
    const struct store_value values[] = {store_number(info->account), store_id(device),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &STORE_DEVICE_END, values, 3, target_changed);
}

static void admin_user_device_end(struct call *call)
{
    with_account(call, "device-end", "", end_device);
}

static void end_totp(struct call *call, const struct account_info *info)
{
    const struct store_value values[] = {store_number(info->account)};
    call_ask(call, &STORE_TOTP_END, values, 1, target_changed);
}

static void admin_user_totp_off(struct call *call)
{
    with_account(call, "totp-off", "", end_totp);
}

static void expel(struct call *call, const struct account_info *info)
{
    const struct store_value values[] = {store_number(info->account),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    if (info->account == call->account)
        call_refuse(call, 409, "This is your own account: delete it in its settings.");
    else
        call_ask(call, &STORE_ACCOUNT_EXPEL, values, 2, target_changed);
}

static void admin_user_delete(struct call *call)
{
    with_account(call, "account-delete", "", expel);
}

/* --- a link for a new password --- */

static void reset_made(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    const struct target *target = call->state;
    char path[32 + TICKET_TEXT];
    if (result) {
        call_failed(call, result);
        return;
    }
    audit_call(call, target->what, slice_text(target->info.name), "");
    snprintf(path, sizeof path, "/reset?ticket=%s", target->ticket);
    call_answer(call, json_pack("{s:s,s:I}", "path", path, "expires_ms",
                                (json_int_t)(tracker_now_ms(call->tracker) + RESET_LIFE_MS)));
}

static void make_reset(struct call *call, const struct account_info *info)
{
    struct target *target = call->state;
    uint8_t hash[TICKET_HASH_BYTES];
    uint64_t now_ms = tracker_now_ms(call->tracker);
    ticket_new(target->ticket, hash);
    const struct store_value values[] = {store_id(hash), store_number(STORE_TICKET_RESET),
                                         store_number(info->account), store_number((int64_t)now_ms),
                                         store_number((int64_t)(now_ms + RESET_LIFE_MS))};
    call_ask(call, &STORE_TICKET_ADD, values, 5, reset_made);
}

static void admin_user_reset(struct call *call)
{
    with_account(call, "password-link", "", make_reset);
}

/* --- invites --- */

static void invite_added(struct call *call, int result, const struct store_rows *rows)
{
    char path[32 + CODE_TEXT], about[24];
    const char *code = call->state;
    if (result) {
        call_failed(call, result);
        return;
    }
    int64_t id = store_at(rows, 0, 0)->number;
    snprintf(about, sizeof about, "%lld", (long long)id);
    audit_call(call, "invite", slice_text(about), json_string_value(json_object_get(call->fields, "note")));
    snprintf(path, sizeof path, "/register?invite=%s", code);
    call_answer(call, json_pack("{s:I,s:s,s:s}", "invite", (json_int_t)id, "code", code, "path", path));
}

static void admin_invite_add(struct call *call)
{
    int64_t uses, days;
    slice note;
    uint8_t hash[TICKET_HASH_BYTES];
    if (!call_number(call, "uses", 1, 100000, 1, &uses) || !call_number(call, "days", 1, 365, 7, &days) ||
        !call_text_maybe(call, "note", 100, &note))
        return;
    call->state = malloc(CODE_TEXT);
    if (!call->state) {
        call_failed(call, ERR_MEMORY);
        return;
    }
    code_new(call->state, hash);
    int64_t now_ms = (int64_t)tracker_now_ms(call->tracker);
    const struct store_value values[] = {
        store_id(hash),       store_number(call->account),          store_text(note),
        store_number(now_ms), store_number(now_ms + days * DAY_MS), store_number(uses)};
    call_ask(call, &STORE_ACCOUNT_INVITE_ADD, values, 6, invite_added);
}

static json_t *invite_json(const struct store_value *row)
{
    return json_pack("{s:I,s:o,s:o,s:I,s:I,s:I,s:I,s:b}", "invite", (json_int_t)row[0].number, "by",
                     account_text(&row[1]), "note", account_text(&row[2]), "created_ms",
                     (json_int_t)row[3].number, "expires_ms", (json_int_t)row[4].number, "uses_max",
                     (json_int_t)row[5].number, "uses", (json_int_t)row[6].number, "revoked",
                     row[7].number > 0);
}

static void answer_rows(struct call *call, int result, const struct store_rows *rows, const char *name,
                        json_t *(*row_json)(const struct store_value *row))
{
    if (result) {
        call_failed(call, result);
        return;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < rows->count; i++)
        json_array_append_new(array, row_json(store_at(rows, i, 0)));
    call_answer(call, json_pack("{s:o}", name, array));
}

static void invites_found(struct call *call, int result, const struct store_rows *rows)
{
    answer_rows(call, result, rows, "invites", invite_json);
}

static bool page_fields(struct call *call, int64_t *before, int64_t *limit)
{
    return call_number(call, "before", 0, INT64_MAX, 0, before) &&
           call_number(call, "limit", 1, PAGE_ROWS_MAX, PAGE_ROWS, limit);
}

static void admin_invites(struct call *call)
{
    int64_t before, limit;
    if (!page_fields(call, &before, &limit)) return;
    const struct store_value values[] = {store_number(before), store_number(limit)};
    call_ask(call, &STORE_ACCOUNT_INVITES, values, 2, invites_found);
}

static void invite_revoked(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    char about[24];
    int64_t id = 0;
    if (result == ERR_NOT_FOUND) {
        call_refuse(call, 404, "There is no such invite, or it was revoked already.");
    } else if (result) {
        call_failed(call, result);
    } else if (call_number(call, "invite", 1, INT64_MAX, 0, &id)) {
        snprintf(about, sizeof about, "%lld", (long long)id);
        audit_call(call, "invite-revoke", slice_text(about), "");
        call_answer(call, NULL);
    }
}

static void admin_invite_revoke(struct call *call)
{
    int64_t id;
    if (!call_number(call, "invite", 1, INT64_MAX, 0, &id)) return;
    const struct store_value values[] = {store_number(id),
                                         store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &STORE_ACCOUNT_INVITE_REVOKE, values, 2, invite_revoked);
}

/* --- the log, and figures --- */

static json_t *audit_json(const struct store_value *row)
{
    return json_pack("{s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "row", (json_int_t)row[0].number, "time_ms",
                     (json_int_t)row[1].number, "who", account_text(&row[2]), "what", account_text(&row[3]),
                     "about", account_text(&row[4]), "detail", account_text(&row[5]), "address",
                     account_text(&row[6]));
}

static void audit_found(struct call *call, int result, const struct store_rows *rows)
{
    answer_rows(call, result, rows, "rows", audit_json);
}

static void admin_audit(struct call *call)
{
    int64_t before, limit;
    slice name, what;
    if (!page_fields(call, &before, &limit) || !call_text_maybe(call, "account", 128, &name) ||
        !call_text_maybe(call, "what", 32, &what))
        return;
    const struct store_value values[] = {store_number(before), store_number(limit), store_text(name),
                                         store_text(what)};
    call_ask(call, &STORE_AUDIT_PAGE, values, 4, audit_found);
}

static void figures_found(struct call *call, int result, const struct store_rows *rows)
{
    static const char *const names[] = {"accounts", "admins", "disabled", "sessions", "devices", "channels"};
    struct store_stats stats;
    if (result) {
        call_failed(call, result);
        return;
    }
    store_stats(call->tracker->store, &stats);
    json_t *answer =
        json_pack("{s:s,s:I,s:I,s:I,s:I}", "version", wr_version(), "sockets",
                  (json_int_t)call->tracker->clients.used, "store_operations", (json_int_t)stats.operations,
                  "store_waiting", (json_int_t)stats.waiting, "store_failures", (json_int_t)stats.failures);
    for (size_t i = 0; answer && i < sizeof names / sizeof names[0]; i++)
        json_object_set_new(answer, names[i], json_integer(store_at(rows, 0, i)->number));
    call_answer(call, answer);
}

static void admin_server(struct call *call)
{
    const struct store_value values[] = {store_number((int64_t)tracker_now_ms(call->tracker))};
    call_ask(call, &STORE_FIGURES, values, 1, figures_found);
}

const struct call_row admin_calls[] = {
    {"admin-users", admin_users, CALL_ADMIN},
    {"admin-user", admin_user, CALL_ADMIN},
    {"admin-user-sessions", admin_user_sessions, CALL_ADMIN},
    {"admin-user-disable", admin_user_disable, CALL_ADMIN},
    {"admin-user-enable", admin_user_enable, CALL_ADMIN},
    {"admin-user-role", admin_user_role, CALL_ADMIN},
    {"admin-user-logout", admin_user_logout, CALL_ADMIN},
    {"admin-user-device-end", admin_user_device_end, CALL_ADMIN},
    {"admin-user-totp-off", admin_user_totp_off, CALL_ADMIN},
    {"admin-user-delete", admin_user_delete, CALL_ADMIN},
    {"admin-user-reset", admin_user_reset, CALL_ADMIN},
    {"admin-invite-add", admin_invite_add, CALL_ADMIN},
    {"admin-invites", admin_invites, CALL_ADMIN},
    {"admin-invite-revoke", admin_invite_revoke, CALL_ADMIN},
    {"admin-audit", admin_audit, CALL_ADMIN},
    {"admin-server", admin_server, CALL_ADMIN},
    {0},
};
