/* Rooms in SQL: who may what, whose last owner one is, what an invite is worth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/channels_sql.h"
#include "store_world.h"

enum { AN = 1, BINH, CHI, DUNG };
static const char *const names[] = {"", "an", "binh", "chi", "dung"};
static const uint8_t ROOM[STORE_ID_BYTES] = {1}, SEALED[STORE_ID_BYTES] = {2},
                     EVERYBODY[STORE_ID_BYTES] = {3};
static const uint8_t NONCE[16] = {9};

struct got {
    int result;
    size_t rows;
    int64_t first[12]; /* numbers of the first row; -1: NULL */
    int64_t last;      /* the first column of the last row */
    char text[64];     /* the first text of the first row */
};

static void keep(void *context, int result, const struct store_rows *rows)
{
    struct got *got = context;
    got->result = result;
    got->rows = rows->count;
    for (size_t i = 0; rows->count && i < rows->columns && i < 12; i++) {
        const struct store_value *v = store_at(rows, 0, i);
        got->first[i] = v->type == STORE_NULL ? -1 : v->number;
        if (v->type == STORE_TEXT && !got->text[0])
            snprintf(got->text, sizeof got->text, "%.*s", (int)v->bytes.len, (const char *)v->bytes.ptr);
    }
    if (rows->count) got->last = store_at(rows, rows->count - 1, 0)->number;
}

static struct got ask(struct world *w, const struct store_operation *operation,
                      const struct store_value *values, size_t count)
{
    struct got got = {.result = 1};
    assert_int_equal(store_ask(w->store, operation, values, count, keep, &got), OK);
    world_wait_all(w);
    return got;
}

#define ASK(w, operation, ...)                                                                               \
    ask(w, &(operation), (const struct store_value[]){__VA_ARGS__},                                          \
        sizeof((const struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value))
#define N(n) store_number(n)
#define T(t) store_text(slice_text(t))
#define BLOB(b) store_bytes(b, sizeof(b))
#define NOTHING ((struct store_value){.type = STORE_NULL})

static void people(struct world *w)
{
    for (size_t i = AN; i <= DUNG; i++) {
        struct store_row row = {
            .name = slice_text(names[i]), .key = slice_text(names[i]), .secret = SLICE("x"), .time_ms = 10};
        assert_int_equal(store_submit(w->store, STORE_ACCOUNT_ADD, &row, NULL, NULL), OK);
    }
    world_wait_all(w);
}

static void found(struct world *w, const uint8_t *id, int64_t who, const char *name, enum room_policy policy)
{
    struct got got = ASK(w, STORE_ROOM_CREATE, store_id(id), N(who), N(0), T(name), T(name), N(policy),
                         T(policy == ROOM_PASSWORD ? "hash" : ""), T(""),
                         policy == ROOM_OPEN ? NOTHING : BLOB(NONCE), N(100));
    assert_int_equal(got.result, OK);
}

static int join(struct world *w, const uint8_t *id, int64_t who, const char *secret)
{
    return ASK(w, STORE_ROOM_JOIN, store_id(id), N(who), N(0), N(200), T("please"), T(secret)).result;
}

static int act(struct world *w, const struct store_operation *operation, int64_t who, const char *target)
{
    const struct store_value values[] = {store_id(ROOM), N(who), N(0), T(target), N(300), T("note")};
    return ask(w, operation, values, 6).result;
}

static int role(struct world *w, int64_t who, const char *target, enum room_role to)
{
    return ASK(w, STORE_ROOM_ROLE, store_id(ROOM), N(who), N(0), T(target), N(300), N(to)).result;
}

static int64_t state_of(struct world *w, const uint8_t *id, int64_t who)
{
    return ASK(w, STORE_ROOM_MAY, store_id(id), N(who)).first[0];
}

static int64_t members(struct world *w, const uint8_t *id)
{
    return ASK(w, STORE_ROOM_GET, store_id(id), N(AN), N(1)).first[ROOM_MEMBERS];
}

static struct world *open_world(void **state)
{
    struct world *w = *state;
    people(w);
    return w;
}

static void an_open_room_is_joined_counted_and_left(void **state)
{
    struct world *w = open_world(state);
    found(w, ROOM, AN, "tea", ROOM_OPEN);
    assert_int_equal(join(w, ROOM, BINH, ""), OK);
    assert_int_equal(join(w, ROOM, BINH, ""), ERR_EXISTS);
    assert_int_equal(members(w, ROOM), 2);
    assert_int_equal(ASK(w, STORE_ROOM_LEAVE, store_id(ROOM), N(AN)).result, ERR_WRONG_STATE);
    assert_int_equal(role(w, AN, "binh", ROOM_OWNER), OK);
    assert_int_equal(ASK(w, STORE_ROOM_LEAVE, store_id(ROOM), N(AN)).result, OK);
    assert_int_equal(members(w, ROOM), 1);
    /* The last one of all may go in any case. */
    assert_int_equal(ASK(w, STORE_ROOM_LEAVE, store_id(ROOM), N(BINH)).result, OK);
    assert_int_equal(members(w, ROOM), 0);
    struct got again = ASK(w, STORE_ROOM_CREATE, BLOB(SEALED), N(CHI), N(0), T("Tea"), T("tea"), N(0), T(""),
                           T(""), NOTHING, N(400));
    assert_int_equal(again.result, ERR_EXISTS);
}

static void each_policy_lets_in_whom_it_says(void **state)
{
    struct world *w = open_world(state);
    found(w, ROOM, AN, "quiet", ROOM_PASSWORD);
    assert_int_equal(join(w, ROOM, BINH, ""), ERR_WRONG_STATE);
    assert_int_equal(join(w, ROOM, BINH, "other"), ERR_WRONG_STATE);
    assert_int_equal(join(w, ROOM, BINH, "hash"), OK);
    found(w, SEALED, AN, "asks", ROOM_APPROVAL);
    assert_int_equal(join(w, SEALED, CHI, ""), OK);
    assert_int_equal(state_of(w, SEALED, CHI), ROOM_ASKS);
    assert_int_equal(members(w, SEALED), 1);
    const struct store_value yes[] = {store_id(SEALED), N(AN), N(0), T("chi"), N(300), T("")};
    assert_int_equal(ask(w, &STORE_ROOM_APPROVE, yes, 6).first[0], CHI);
    assert_int_equal(state_of(w, SEALED, CHI), ROOM_MEMBER);
    assert_int_equal(members(w, SEALED), 2);
    static const uint8_t third[STORE_ID_BYTES] = {7};
    found(w, third, AN, "hidden", ROOM_INVITE);
    assert_int_equal(join(w, third, CHI, ""), ERR_WRONG_STATE);
    assert_int_equal(ASK(w, STORE_ROOM_GET, store_id(third), N(CHI), N(0)).rows, 0);
    assert_int_equal(ASK(w, STORE_ROOM_GET, store_id(third), N(AN), N(0)).rows, 1);
    assert_int_equal(ASK(w, STORE_ROOMS_PAGE, N(CHI), N(0), T(""), T(""), N(10)).rows, 2);
    assert_int_equal(ASK(w, STORE_ROOMS_PAGE, N(CHI), N(0), T("\\_"), T(""), N(10)).rows, 0);
}

static void moderators_reach_only_those_below_them(void **state)
{
    struct world *w = open_world(state);
    found(w, ROOM, AN, "tea", ROOM_OPEN);
    for (int64_t who = BINH; who <= CHI; who++)
        assert_int_equal(join(w, ROOM, who, ""), OK);
    assert_int_equal(act(w, &STORE_ROOM_KICK, BINH, "chi"), ERR_DENIED);
    assert_int_equal(role(w, BINH, "binh", ROOM_OWNER), ERR_DENIED);
    assert_int_equal(role(w, AN, "binh", ROOM_MODERATOR), OK);
    assert_int_equal(role(w, BINH, "chi", ROOM_MODERATOR), ERR_DENIED);
    assert_int_equal(act(w, &STORE_ROOM_KICK, BINH, "an"), ERR_DENIED);
    assert_int_equal(act(w, &STORE_ROOM_KICK, BINH, "nobody"), ERR_INVALID);
    assert_int_equal(act(w, &STORE_ROOM_KICK, BINH, "chi"), OK);
    assert_int_equal(act(w, &STORE_ROOM_KICK, BINH, "chi"), ERR_WRONG_STATE);
    /* A ban reaches also who has left, or was never there. */
    assert_int_equal(act(w, &STORE_ROOM_BAN, BINH, "chi"), OK);
    assert_int_equal(act(w, &STORE_ROOM_BAN, BINH, "dung"), OK);
    assert_int_equal(join(w, ROOM, CHI, ""), ERR_DENIED);
    assert_int_equal(act(w, &STORE_ROOM_UNBAN, BINH, "chi"), OK);
    assert_int_equal(join(w, ROOM, CHI, ""), OK);
    assert_int_equal(members(w, ROOM), 3);
    /* An owner cannot be thrown out by another one, and the last one stays. */
    assert_int_equal(role(w, AN, "binh", ROOM_OWNER), OK);
    assert_int_equal(role(w, BINH, "an", ROOM_PLAIN), ERR_DENIED);
    assert_int_equal(role(w, AN, "an", ROOM_PLAIN), OK);
    assert_int_equal(role(w, BINH, "binh", ROOM_PLAIN), ERR_WRONG_STATE);
}

static void an_invite_is_good_for_as_many_as_it_says(void **state)
{
    struct world *w = open_world(state);
    found(w, ROOM, AN, "tea", ROOM_INVITE);
    assert_int_equal(
        ASK(w, STORE_ROOM_INVITE, store_id(ROOM), N(BINH), N(0), T("t0"), N(1), N(0), N(0)).result,
        ERR_DENIED);
    struct got made = ASK(w, STORE_ROOM_INVITE, store_id(ROOM), N(AN), N(0), T("t1"), N(1), N(1000), N(2));
    assert_int_equal(made.result, OK);
    assert_int_equal(ASK(w, STORE_ROOM_REDEEM, T("t1"), N(BINH), N(1000)).result, ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_ROOM_REDEEM, T("t2"), N(BINH), N(999)).result, ERR_NOT_FOUND);
    assert_int_equal(ASK(w, STORE_ROOM_REDEEM, T("t1"), N(BINH), N(999)).result, OK);
    assert_int_equal(ASK(w, STORE_ROOM_REDEEM, T("t1"), N(BINH), N(999)).result, OK); /* uses nothing up */
    assert_int_equal(act(w, &STORE_ROOM_BAN, AN, "chi"), OK);
    assert_int_equal(ASK(w, STORE_ROOM_REDEEM, T("t1"), N(CHI), N(999)).result, ERR_DENIED);
    assert_int_equal(ASK(w, STORE_ROOM_REDEEM, T("t1"), N(DUNG), N(999)).result, OK);
    assert_int_equal(ASK(w, STORE_ROOM_REDEEM, T("t1"), N(AN), N(999)).result, ERR_NOT_FOUND);
    assert_int_equal(members(w, ROOM), 3);
    assert_int_equal(ASK(w, STORE_ROOM_INVITES, store_id(ROOM), N(AN), N(0), N(5)).rows, 0);
    made = ASK(w, STORE_ROOM_INVITE, store_id(ROOM), N(AN), N(0), T("t3"), N(1), N(0), N(0));
    assert_int_equal(ASK(w, STORE_ROOM_INVITE_REVOKE, store_id(ROOM), N(BINH), N(0), N(made.first[0])).result,
                     ERR_WRONG_STATE);
    assert_int_equal(ASK(w, STORE_ROOM_INVITE_REVOKE, store_id(ROOM), N(AN), N(0), N(made.first[0])).result,
                     OK);
    assert_int_equal(ASK(w, STORE_ROOM_INVITE_LOOK, T("t3"), N(5)).rows, 0);
}

static void what_is_decided_is_on_the_list_of_orders(void **state)
{
    struct world *w = open_world(state);
    found(w, ROOM, AN, "tea", ROOM_OPEN);
    assert_int_equal(join(w, ROOM, BINH, ""), OK);
    assert_int_equal(act(w, &STORE_ROOM_BAN, AN, "binh"), OK);
    assert_int_equal(act(w, &STORE_ROOM_BAN, AN, "binh"), ERR_WRONG_STATE);
    struct got list = ASK(w, STORE_ROOM_ORDERS, N(0), N(10));
    assert_int_equal(list.rows, 5); /* carry, An joins, An owns, Binh joins, the ban */
    assert_int_equal(ASK(w, STORE_ROOM_ORDER_DONE, N(list.first[0])).result, OK);
    assert_int_equal(ASK(w, STORE_ROOM_ORDERS, N(0), N(10)).rows, 4);
    assert_int_equal(ASK(w, STORE_ROOM_ORDERS, N(list.last), N(10)).rows, 0);
}

static void a_room_for_everybody_has_also_who_comes_later(void **state)
{
    struct world *w = open_world(state);
    assert_int_equal(ASK(w, STORE_ROOM_HOST, store_id(EVERYBODY), T("general"), T("general"), N(50)).result,
                     OK);
    assert_int_equal(members(w, EVERYBODY), 4);
    struct store_row row = {.name = SLICE("em"), .key = SLICE("em"), .secret = SLICE("x"), .time_ms = 60};
    assert_int_equal(store_submit(w->store, STORE_ACCOUNT_ADD, &row, NULL, NULL), OK);
    world_wait_all(w);
    assert_int_equal(members(w, EVERYBODY), 5);
    /* Who leaves stays away, also after the next start. */
    assert_int_equal(ASK(w, STORE_ROOM_LEAVE, store_id(EVERYBODY), N(CHI)).result, OK);
    assert_int_equal(ASK(w, STORE_ROOM_HOST, store_id(EVERYBODY), T("general"), T("general"), N(70)).result,
                     OK);
    assert_int_equal(members(w, EVERYBODY), 4);
    /* Who is removed from the server is gone from its rooms, and the replica hears of it. */
    row = (struct store_row){.key = SLICE("em")};
    assert_int_equal(store_submit(w->store, STORE_ACCOUNT_REMOVE, &row, NULL, NULL), OK);
    world_wait_all(w);
    assert_int_equal(members(w, EVERYBODY), 3);
    assert_int_equal(ASK(w, STORE_ROOM_ORDERS, N(0), N(10)).rows, 2);
    const struct store_value end[] = {store_id(EVERYBODY), N(AN), N(1), N(80)};
    assert_int_equal(ask(w, &STORE_ROOM_CLOSE, end, 4).result, ERR_WRONG_STATE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_open_room_is_joined_counted_and_left),  TEST(each_policy_lets_in_whom_it_says),
        TEST(moderators_reach_only_those_below_them),   TEST(an_invite_is_good_for_as_many_as_it_says),
        TEST(what_is_decided_is_on_the_list_of_orders), TEST(a_room_for_everybody_has_also_who_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
