/* What is good once is good once; names, devices and numbers of deleted accounts never come back; there is
 * always an administrator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/accounts_sql.h"
#include "store_world.h"

static const uint8_t id_a[STORE_ID_BYTES] = {1}, id_b[STORE_ID_BYTES] = {2}, id_c[STORE_ID_BYTES] = {3};

#define N(number) store_number(number)
#define ID(id) store_id(id)
#define ASK(w, operation, ...)                                                                               \
    ask(w, &operation, (const struct store_value[]){__VA_ARGS__},                                            \
        sizeof((const struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value))

struct got {
    int result;
    size_t rows;
    int64_t number; /* the first one of the first row */
    char text[512]; /* all of it */
};

static void keep(void *context, int result, const struct store_rows *rows)
{
    struct got *got = context;
    *got = (struct got){.result = result, .rows = rows->count};
    if (rows->count) got->number = store_at(rows, 0, 0)->number;
    size_t used = 0, cap = sizeof got->text;
    for (size_t i = 0; i < rows->count * rows->columns && used < cap; i++) {
        const struct store_value *v = &rows->values[i];
        const char *end = (i + 1) % rows->columns ? "," : ";";
        if (v->type == STORE_NUMBER)
            used += (size_t)snprintf(got->text + used, cap - used, "%d%s", (int)v->number, end);
        else if (v->type == STORE_BYTES)
            used += (size_t)snprintf(got->text + used, cap - used, "%02x%s", v->bytes.ptr[0], end);
        else
            used += (size_t)snprintf(got->text + used, cap - used, "%.*s%s", (int)v->bytes.len,
                                     v->type == STORE_NULL ? "" : (const char *)v->bytes.ptr, end);
    }
}

static struct got ask(struct world *w, const struct store_operation *operation,
                      const struct store_value *values, size_t count)
{
    struct got got = {.result = 1};
    int err = store_ask(w->store, operation, values, count, keep, &got);
    if (err) fail_msg("%s could not be asked: %s", operation->name, err_text(err));
    world_wait_all(w);
    return got;
}

static struct store_value T(const char *text) {
    return store_text(slice_text(text));
}

static struct got
add(struct world *w, const char *name)
{
    return ASK(w, STORE_REGISTER, T(name), T(name), T("hash"), N(5));
}

static int begin(struct world *w, const uint8_t *token, int64_t account, const uint8_t *old)
{
    return ASK(w, STORE_SESSION_BEGIN, ID(token), N(account), N(10), N(100), T("10.0.0.1"), T("browser"),
               ID(old), (struct store_value){.type = STORE_NULL})
        .result;
}

static int session(struct world *w, const uint8_t *token, struct store_row *out)
{
    return world_run(w, STORE_SESSION_GET, &(struct store_row){.token = token, .time_ms = 20}, out);
}

static int claim(struct world *w, const uint8_t *device, int64_t account)
{
    struct store_row row = {.device = device,
                            .account = account,
                            .record = SLICE("certificate"),
                            .time_ms = 10,
                            .expires_ms = 100,
                            .renew_ms = 50};
    return world_run(w, STORE_DEVICE_CLAIM, &row, NULL);
}

static void an_invite_is_good_for_its_uses_until_it_expires_or_is_revoked(void **state)
{
    struct world *w = *state;
    int64_t invite =
        ASK(w, STORE_ACCOUNT_INVITE_ADD, ID(id_a), N(1), T("class 7"), N(5), N(100), N(2)).number;
    assert_int_equal(ASK(w, STORE_REGISTER_INVITED, T("an"), T("an"), T("h"), N(100), ID(id_a)).result,
                     ERR_DENIED);
    assert_int_equal(ASK(w, STORE_REGISTER_INVITED, T("an"), T("an"), T("h"), N(6), ID(id_b)).result,
                     ERR_DENIED);
    assert_int_equal(ASK(w, STORE_REGISTER_INVITED, T("an"), T("an"), T("h"), N(6), ID(id_a)).result, OK);
    assert_int_equal(ASK(w, STORE_REGISTER_INVITED, T("an"), T("an"), T("h"), N(6), ID(id_a)).result,
                     ERR_EXISTS);
    assert_int_equal(ASK(w, STORE_ACCOUNT_INVITE_LOOK, ID(id_a), N(6)).rows, 1);
    assert_int_equal(ASK(w, STORE_REGISTER_INVITED, T("chi"), T("chi"), T("h"), N(6), ID(id_a)).result, OK);
    assert_int_equal(ASK(w, STORE_ACCOUNT_INVITE_LOOK, ID(id_a), N(6)).rows, 0);
    assert_int_equal(ASK(w, STORE_REGISTER_INVITED, T("em"), T("em"), T("h"), N(6), ID(id_a)).result,
                     ERR_DENIED);
    assert_string_equal(ASK(w, STORE_ACCOUNT_INVITES, N(0), N(10)).text, "1,an,class 7,5,100,2,2,0;");
    assert_int_equal(ASK(w, STORE_ACCOUNT_INVITES, N(invite), N(10)).rows, 0);
    ASK(w, STORE_ACCOUNT_INVITE_ADD, ID(id_b), N(1), T(""), N(5), N(100), N(2));
    assert_int_equal(ASK(w, STORE_ACCOUNT_INVITE_REVOKE, N(2), N(7)).result, OK);
    assert_int_equal(ASK(w, STORE_ACCOUNT_INVITE_REVOKE, N(2), N(7)).result, ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_REGISTER_INVITED, T("em"), T("em"), T("h"), N(6), ID(id_b)).result,
                     ERR_DENIED);
}

static void the_link_for_the_administrator_works_once(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number;
    assert_int_equal(ASK(w, STORE_TICKET_ADD, ID(id_a), N(STORE_TICKET_ADMIN), ID(NULL), N(1), N(50)).result,
                     OK);
    assert_int_equal(ASK(w, STORE_TICKET_ADD, ID(id_b), N(STORE_TICKET_ADMIN), ID(NULL), N(1), N(50)).result,
                     OK);
    struct got nobody = ask(w, &STORE_ADMIN_LOOK, NULL, 0);
    assert_int_equal(nobody.rows, 0);
    assert_int_equal(ASK(w, STORE_ADMIN_CLAIM, ID(id_a), N(50), N(an)).result, ERR_DENIED);
    assert_int_equal(ASK(w, STORE_REGISTER_ADMIN, T("an"), T("an"), T("h"), N(6), ID(id_a)).result,
                     ERR_EXISTS);
    assert_int_equal(ASK(w, STORE_REGISTER_ADMIN, T("chi"), T("chi"), T("h"), N(6), ID(id_a)).result, OK);
    /* The others of the kind went with it. */
    assert_int_equal(ASK(w, STORE_ADMIN_CLAIM, ID(id_b), N(6), N(an)).result, ERR_DENIED);
    ASK(w, STORE_TICKET_ADD, ID(id_b), N(STORE_TICKET_ADMIN), ID(NULL), N(1), N(50));
    assert_int_equal(ASK(w, STORE_ADMIN_CLAIM, ID(id_b), N(6), N(an)).result, OK);
    assert_int_equal(ASK(w, STORE_ADMIN_CLAIM, ID(id_b), N(6), N(an)).result, ERR_DENIED);
    assert_int_equal(ASK(w, STORE_FIGURES, N(6)).result, OK);
    assert_string_equal(ASK(w, STORE_FIGURES, N(6)).text, "2,2,0,0,0,0;");
}

static void the_last_administrator_stays(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number, chi = add(w, "chi").number;
    assert_int_equal(ASK(w, STORE_ROLE_SET, N(an), N(STORE_ROLE_ADMIN)).result, OK);
    assert_int_equal(ASK(w, STORE_ROLE_SET, N(an), N(STORE_ROLE_PERSON)).result, ERR_WRONG_STATE);
    assert_int_equal(ASK(w, STORE_ACCOUNT_DISABLE, N(an), N(9)).result, ERR_WRONG_STATE);
    assert_int_equal(ASK(w, STORE_ACCOUNT_DELETE, N(an), N(9), T("hash")).result, ERR_WRONG_STATE);
    assert_int_equal(ASK(w, STORE_ACCOUNT_EXPEL, N(an), N(9)).result, ERR_WRONG_STATE);
    assert_int_equal(ASK(w, STORE_ROLE_SET, N(chi), N(STORE_ROLE_ADMIN)).result, OK);
    assert_int_equal(ASK(w, STORE_ACCOUNT_DISABLE, N(chi), N(9)).result, OK);
    assert_int_equal(ASK(w, STORE_ACCOUNT_DISABLE, N(an), N(9)).result, ERR_WRONG_STATE); /* chi is no help */
    assert_int_equal(ASK(w, STORE_ACCOUNT_ENABLE, N(chi)).result, OK);
    assert_int_equal(ASK(w, STORE_ACCOUNT_EXPEL, N(an), N(9)).result, OK);
    assert_int_equal(ASK(w, STORE_ROLE_SET, N(99), N(1)).result, ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_ACCOUNT_ENABLE, N(99)).result, ERR_NOT_FOUND);
}

static void a_disabled_account_has_no_sessions_and_gets_none(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number;
    struct store_row out;
    assert_int_equal(begin(w, id_a, an, NULL), OK);
    assert_int_equal(session(w, id_a, &out), OK);
    assert_int_equal(out.role, STORE_ROLE_PERSON);
    assert_int_equal(out.seen_ms, 10);
    ASK(w, STORE_ROLE_SET, N(an), N(STORE_ROLE_ADMIN));
    assert_int_equal(session(w, id_a, &out), OK);
    assert_int_equal(out.role, STORE_ROLE_ADMIN);
    int64_t chi = add(w, "chi").number;
    ASK(w, STORE_ROLE_SET, N(chi), N(STORE_ROLE_ADMIN));
    assert_int_equal(ASK(w, STORE_ACCOUNT_DISABLE, N(an), N(9)).result, OK);
    assert_int_equal(session(w, id_a, NULL), ERR_NOT_FOUND);
    assert_int_equal(begin(w, id_b, an, NULL), ERR_DENIED);
    assert_int_equal(begin(w, id_b, 99, NULL), ERR_DENIED);
    ASK(w, STORE_ACCOUNT_ENABLE, N(an));
    assert_int_equal(session(w, id_a, NULL), ERR_NOT_FOUND);
    assert_int_equal(begin(w, id_b, an, NULL), OK);
}

static void a_login_ends_the_old_session_of_the_browser_and_the_oldest_of_too_many(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number, chi = add(w, "chi").number;
    assert_int_equal(begin(w, id_a, an, NULL), OK);
    assert_int_equal(begin(w, id_b, chi, id_a), OK);
    assert_int_equal(session(w, id_a, NULL), ERR_NOT_FOUND);
    for (unsigned i = 0; i < STORE_SESSIONS_MAX + 20; i++) {
        uint8_t token[STORE_ID_BYTES] = {9, (uint8_t)i, (uint8_t)(i >> 8)};
        assert_int_equal(begin(w, token, an, NULL), OK);
    }
    assert_int_equal(ASK(w, STORE_SESSIONS_AND_DEVICES, N(an), N(20), N(1000)).rows, STORE_SESSIONS_MAX);
    assert_int_equal(session(w, id_b, NULL), OK);
}

static void a_new_password_leaves_one_session_and_no_tickets(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number;
    assert_int_equal(begin(w, id_a, an, NULL), OK);
    assert_int_equal(begin(w, id_b, an, NULL), OK);
    ASK(w, STORE_TICKET_ADD, ID(id_c), N(STORE_TICKET_RESET), N(an), N(1), N(50));
    assert_int_equal(ASK(w, STORE_PASSWORD_CHANGE, N(an), T("other"), T("new"), ID(id_a)).result, ERR_DENIED);
    assert_int_equal(session(w, id_b, NULL), OK);
    assert_int_equal(ASK(w, STORE_PASSWORD_CHANGE, N(an), T("hash"), T("new"), ID(id_a)).result, OK);
    assert_int_equal(session(w, id_a, NULL), OK);
    assert_int_equal(session(w, id_b, NULL), ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_PASSWORD_RESET, ID(id_c), N(10), T("newer")).result, ERR_DENIED);
    ASK(w, STORE_TICKET_ADD, ID(id_c), N(STORE_TICKET_RESET), N(an), N(1), N(50));
    assert_int_equal(ASK(w, STORE_PASSWORD_RESET, ID(id_c), N(50), T("newer")).result, ERR_DENIED);
    assert_string_equal(ASK(w, STORE_PASSWORD_RESET, ID(id_c), N(10), T("newer")).text, "1,an;");
    assert_int_equal(session(w, id_a, NULL), ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_PASSWORD_RESET, ID(id_c), N(10), T("x")).result, ERR_DENIED);
    assert_int_equal(ASK(w, STORE_PASSWORD_CHANGE, N(an), T("newer"), T("last"), ID(NULL)).result, OK);
}

static void sessions_end_one_by_one_or_all_but_one(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number, chi = add(w, "chi").number;
    begin(w, id_a, an, NULL);
    begin(w, id_b, an, NULL);
    begin(w, id_c, chi, NULL);
    assert_int_equal(ASK(w, STORE_SESSION_END, N(chi), ID(id_a)).result, ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_SESSION_END, N(an), ID(id_a)).result, OK);
    assert_int_equal(ASK(w, STORE_SESSION_END, N(an), ID(id_a)).result, ERR_NOT_FOUND);
    begin(w, id_a, an, NULL);
    assert_int_equal(ASK(w, STORE_SESSIONS_END, N(an), ID(id_a)).rows, 1);
    assert_int_equal(session(w, id_a, NULL), OK);
    assert_int_equal(ASK(w, STORE_SESSIONS_END, N(an), ID(NULL)).rows, 1);
    assert_int_equal(session(w, id_c, NULL), OK);
}

static void a_device_that_was_ended_is_never_certified_again(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number, chi = add(w, "chi").number;
    begin(w, id_a, an, NULL);
    begin(w, id_b, an, NULL);
    assert_int_equal(claim(w, id_c, an), OK);
    assert_string_equal(ASK(w, STORE_DEVICE_SEEN, ID(id_c), ID(id_a), T("Firefox"), N(11), T("::1")).text,
                        ";");
    assert_int_equal(ASK(w, STORE_DEVICE_RENAME, N(chi), ID(id_c), T("mine")).result, ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_DEVICE_RENAME, N(an), ID(id_c), T("laptop")).result, OK);
    assert_string_equal(ASK(w, STORE_DEVICE_SEEN, ID(id_c), ID(id_a), T("Firefox 2"), N(12), T("::1")).text,
                        "laptop;");
    assert_string_equal(ASK(w, STORE_SESSIONS_AND_DEVICES, N(an), N(20), N(9)).text,
                        "0,01,10,12,100,::1,browser,,03;0,02,10,10,100,10.0.0.1,browser,,;"
                        "1,03,10,12,100,::1,laptop,Firefox 2,;");
    assert_int_equal(ASK(w, STORE_DEVICE_END, N(chi), ID(id_c), N(13)).result, ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_DEVICE_END, N(an), ID(id_c), N(13)).result, OK);
    assert_int_equal(ASK(w, STORE_DEVICE_END, N(an), ID(id_c), N(13)).result, ERR_NOT_FOUND);
    assert_int_equal(session(w, id_a, NULL), ERR_NOT_FOUND); /* it had said hello there */
    assert_int_equal(session(w, id_b, NULL), OK);
    assert_int_equal(claim(w, id_c, an), ERR_WRONG_STATE);
    assert_int_equal(claim(w, id_c, chi), ERR_DENIED);
}

static void of_a_deleted_account_neither_name_nor_devices_nor_number_come_back(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number;
    begin(w, id_a, an, NULL);
    claim(w, id_c, an);
    ASK(w, STORE_TICKET_ADD, ID(id_b), N(STORE_TICKET_RESET), N(an), N(1), N(50));
    assert_int_equal(ASK(w, STORE_ACCOUNT_DELETE, N(an), N(9), T("wrong")).result, ERR_DENIED);
    assert_int_equal(ASK(w, STORE_ACCOUNT_DELETE, N(an), N(9), T("hash")).result, OK);
    assert_int_equal(session(w, id_a, NULL), ERR_NOT_FOUND);
    assert_int_equal(add(w, "an").result, ERR_EXISTS);
    struct store_row row = {.name = SLICE("an"), .key = SLICE("an"), .secret = SLICE("h"), .time_ms = 5};
    assert_int_equal(world_run(w, STORE_ACCOUNT_ADD, &row, NULL), ERR_EXISTS);
    assert_int_equal(ASK(w, STORE_NAME_RETIRED, T("an")).number, an);
    int64_t chi = add(w, "chi").number;
    assert_true(chi > an);
    assert_int_equal(claim(w, id_c, chi), ERR_DENIED);
    assert_int_equal(ASK(w, STORE_NAME_RELEASE, T("an")).result, OK);
    struct got again = add(w, "an");
    assert_int_equal(again.result, OK);
    assert_true(again.number > chi);
    assert_int_equal(claim(w, id_c, again.number), ERR_DENIED);
}

static struct got confirm(struct world *w, int64_t account, const char *secret, int step)
{
    struct store_value values[13] = {N(account), store_bytes(secret, strlen(secret)), N(step)};
    static uint8_t codes[10][STORE_ID_BYTES];
    for (int i = 0; i < 10; i++) {
        codes[i][0] = (uint8_t)(10 + i);
        values[3 + i] = ID(codes[i]);
    }
    return ask(w, &STORE_TOTP_CONFIRM, values, 13);
}

static void each_code_is_good_once(void **state)
{
    struct world *w = *state;
    int64_t an = add(w, "an").number;
    const uint8_t code[STORE_ID_BYTES] = {12};
    assert_int_equal(ASK(w, STORE_TOTP_TAKE, N(an), N(7)).result, ERR_EXISTS); /* it is off */
    assert_int_equal(ASK(w, STORE_TOTP_WANT, N(an), store_bytes("one", 3)).result, OK);
    assert_int_equal(ASK(w, STORE_TOTP_WANT, N(an), store_bytes("two", 3)).result, OK);
    assert_int_equal(confirm(w, an, "one", 7).result, ERR_DENIED);
    assert_int_equal(confirm(w, an, "two", 7).result, OK);
    assert_int_equal(confirm(w, an, "two", 7).result, ERR_DENIED);
    assert_int_equal(ASK(w, STORE_TOTP_WANT, N(an), store_bytes("two", 3)).result, ERR_EXISTS);
    assert_int_equal(ASK(w, STORE_TOTP_TAKE, N(an), N(7)).result, ERR_EXISTS);
    assert_int_equal(ASK(w, STORE_TOTP_TAKE, N(an), N(8)).result, OK);
    assert_int_equal(ASK(w, STORE_TOTP_TAKE, N(an), N(8)).result, ERR_EXISTS);
    assert_int_equal(ASK(w, STORE_RECOVERY_TAKE, N(an), ID(code)).result, OK);
    assert_int_equal(ASK(w, STORE_RECOVERY_TAKE, N(an), ID(code)).result, ERR_NOT_FOUND);
    assert_string_equal(ASK(w, STORE_ACCOUNT_BY_ID, N(an)).text, "1,an,an,hash,0,0,74,,5,0,9;");
    assert_int_equal(ASK(w, STORE_TOTP_END, N(an)).result, OK);
    assert_int_equal(ASK(w, STORE_TOTP_END, N(an)).result, ERR_NOT_FOUND);
    assert_string_equal(ASK(w, STORE_ACCOUNT_BY_KEY, T("an")).text, "1,an,an,hash,0,0,,,5,0,0;");
}

static void administrators_find_accounts_and_what_happened(void **state)
{
    struct world *w = *state;
    const char *const names[] = {"an", "a_b", "anh", "chi", "lan"};
    for (int i = 0; i < 5; i++)
        add(w, names[i]);
    assert_string_equal(ASK(w, STORE_ACCOUNTS_PAGE, T("an"), T(""), N(2), N(6)).text,
                        "1,an,an,0,0,5,0,0,0,0;3,anh,anh,0,0,5,0,0,0,0;");
    assert_string_equal(ASK(w, STORE_ACCOUNTS_PAGE, T("an"), T("anh"), N(2), N(6)).text,
                        "5,lan,lan,0,0,5,0,0,0,0;");
    assert_int_equal(ASK(w, STORE_ACCOUNTS_PAGE, T("\\_"), T(""), N(9), N(6)).rows, 1);
    assert_int_equal(ASK(w, STORE_ACCOUNTS_PAGE, T(""), T(""), N(9), N(6)).rows, 5);
    assert_string_equal(ASK(w, STORE_ACCOUNT_STORAGE, N(1)).text, "0,0;");
    for (int i = 1; i <= 9; i++)
        ASK(w, STORE_AUDIT_ADD, N(i), N(1), T(i % 2 ? "an" : "chi"), T("login"), T(i == 4 ? "an" : ""),
            T("d"), T("::1"));
    assert_string_equal(ASK(w, STORE_AUDIT_PAGE, N(0), N(2), T(""), T("")).text,
                        "9,9,an,login,,d,::1;8,8,chi,login,,d,::1;");
    assert_int_equal(ASK(w, STORE_AUDIT_PAGE, N(8), N(100), T("an"), T("login")).rows, 5);
    assert_int_equal(ASK(w, STORE_AUDIT_PAGE, N(0), N(100), T(""), T("other")).rows, 0);
    ASK(w, STORE_AUDIT_PURGE, N(3), N(5));
    assert_int_equal(ASK(w, STORE_AUDIT_PAGE, N(0), N(100), T(""), T("")).rows, 5);
    ASK(w, STORE_AUDIT_PURGE, N(8), N(5));
    assert_int_equal(ASK(w, STORE_AUDIT_PAGE, N(0), N(100), T(""), T("")).rows, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_invite_is_good_for_its_uses_until_it_expires_or_is_revoked),
        TEST(the_link_for_the_administrator_works_once),
        TEST(the_last_administrator_stays),
        TEST(a_disabled_account_has_no_sessions_and_gets_none),
        TEST(a_login_ends_the_old_session_of_the_browser_and_the_oldest_of_too_many),
        TEST(a_new_password_leaves_one_session_and_no_tickets),
        TEST(sessions_end_one_by_one_or_all_but_one),
        TEST(a_device_that_was_ended_is_never_certified_again),
        TEST(of_a_deleted_account_neither_name_nor_devices_nor_number_come_back),
        TEST(each_code_is_good_once),
        TEST(administrators_find_accounts_and_what_happened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
