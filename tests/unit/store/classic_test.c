/* Announced peers, the pool and web devices in SQL: what ends when, and who gets what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/classic_sql.h"
#include "store_world.h"

enum { AN = 1, BINH };
static const uint8_t ONE[32] = {1}, TWO[32] = {2}, PEER[32] = {3}, TICKET[32] = {4}, OTHER[32] = {5};
#define HOUR ((int64_t)60 * 60 * 1000)

struct got {
    int result;
    size_t rows;
    char text[512]; /* all rows: values by ',', rows by ';' */
};

static void keep(void *context, int result, const struct store_rows *rows)
{
    struct got *got = context;
    size_t used = 0;
    got->result = result;
    got->rows = rows->count;
    for (size_t i = 0; i < rows->count * rows->columns && used < sizeof got->text; i++) {
        const struct store_value *v = &rows->values[i];
        const char *end = (i + 1) % rows->columns ? "," : ";";
        char *to = got->text + used;
        size_t room = sizeof got->text - used;
        int len;
        if (v->type == STORE_NUMBER)
            len = snprintf(to, room, "%lld%s", (long long)v->number, end);
        else if (v->type == STORE_TEXT)
            len = snprintf(to, room, "%.*s%s", (int)v->bytes.len, (const char *)v->bytes.ptr, end);
        else
            len = snprintf(to, room, "%s%s", v->type == STORE_NULL ? "-" : "*", end);
        used += (size_t)len;
    }
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
#define NOTHING ((struct store_value){.type = STORE_NULL})

static void add_session(struct world *w, const uint8_t *token, int64_t account, uint64_t expires_ms)
{
    struct store_row row = {.token = token, .account = account, .time_ms = 1, .expires_ms = expires_ms};
    assert_int_equal(store_submit(w->store, STORE_SESSION_ADD, &row, NULL, NULL), OK);
    world_wait_all(w);
}

static void end_session(struct world *w, const uint8_t *token)
{
    struct store_row row = {.token = token};
    assert_int_equal(store_submit(w->store, STORE_SESSION_REMOVE, &row, NULL, NULL), OK);
    world_wait_all(w);
}

static bool lives(struct world *w, const uint8_t *token)
{
    static const struct store_operation LOOK = {
        "look", false, 1, {{STEP_ROWS, "SELECT 1 FROM sessions WHERE token = ?1", 0}}};
    return ASK(w, LOOK, store_id(token)).rows == 1;
}

static struct world *world(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {"an", "binh"};
    for (int i = 0; i < 2; i++) {
        struct store_row row = {
            .name = slice_text(names[i]), .key = slice_text(names[i]), .secret = SLICE("x"), .time_ms = 1};
        assert_int_equal(store_submit(w->store, STORE_ACCOUNT_ADD, &row, NULL, NULL), OK);
    }
    world_wait_all(w);
    add_session(w, ONE, AN, 100 * HOUR);
    add_session(w, TWO, BINH, 100 * HOUR);
    return w;
}

static struct got announce(struct world *w, int64_t account, const char *ip, int port, const uint8_t *session,
                           int64_t now)
{
    return ASK(w, CLASSIC_ANNOUNCE, N(account), T(ip), N(port), T(account == AN ? "an" : "binh"),
               store_id(session), NOTHING, N(now), N(now + HOUR));
}

static struct got list(struct world *w, int64_t now)
{
    return ASK(w, CLASSIC_PEERS, N(now), T(""), T(""), N(0));
}

static void an_announcement_lasts_as_long_as_its_time_and_its_session(void **state)
{
    struct world *w = world(state);
    assert_int_equal(announce(w, AN, "10.0.0.1", 5001, ONE, 0).result, OK);
    assert_int_equal(announce(w, BINH, "10.0.0.2", 5002, TWO, 10).result, OK);
    assert_string_equal(list(w, 20).text, "an,10.0.0.1,5001,-,0,1;binh,10.0.0.2,5002,-,10,2;");
    assert_string_equal(ASK(w, CLASSIC_PEERS, N(20), T("an"), T("10.0.0.1"), N(5001)).text,
                        "binh,10.0.0.2,5002,-,10,2;");
    assert_string_equal(ASK(w, CLASSIC_ADDRESS, N(BINH), N(20)).text, "10.0.0.2,5002;");

    assert_string_equal(list(w, HOUR + 5).text, "binh,10.0.0.2,5002,-,10,2;");
    assert_int_equal(ASK(w, CLASSIC_ALIVE, store_id(TWO), N(HOUR), N(3 * HOUR), N(2 * HOUR)).result, OK);
    assert_int_equal(list(w, 2 * HOUR).rows, 1);
    /* Two heartbeats after its socket has ended, unless it was announced again meanwhile. */
    assert_int_equal(ASK(w, CLASSIC_FADE, store_id(TWO), N(2 * HOUR), N(5)).result, OK);
    assert_int_equal(list(w, 2 * HOUR).rows, 1);
    assert_int_equal(ASK(w, CLASSIC_FADE, store_id(TWO), N(2 * HOUR), N(HOUR)).result, OK);
    assert_int_equal(list(w, 2 * HOUR).rows, 0);
    /* What has faded does not come back by a heartbeat that is late. */
    assert_int_equal(ASK(w, CLASSIC_ALIVE, store_id(TWO), N(2 * HOUR + 1), N(9 * HOUR), N(8 * HOUR)).result,
                     OK);
    assert_int_equal(list(w, 2 * HOUR + 2).rows, 0);

    assert_int_equal(announce(w, AN, "10.0.0.1", 5001, ONE, 3 * HOUR).result, OK);
    end_session(w, ONE);
    assert_int_equal(list(w, 3 * HOUR).rows, 0);
}

static void a_session_whose_time_is_over_takes_its_announcements_along(void **state)
{
    struct world *w = world(state);
    add_session(w, OTHER, AN, 500);
    assert_int_equal(announce(w, AN, "10.0.0.1", 5001, OTHER, 0).result, OK);
    assert_int_equal(list(w, 499).rows, 1);
    assert_int_equal(list(w, 500).rows, 0);
    assert_int_equal(ASK(w, CLASSIC_ADDRESS, N(AN), N(500)).rows, 0);
}

static void guests_take_no_accounts_names_and_not_all_the_room(void **state)
{
    struct world *w = world(state);
    assert_int_equal(ASK(w, CLASSIC_GUEST, T("an")).result, ERR_DENIED);
    assert_int_equal(ASK(w, CLASSIC_GUEST, T("visitor")).result, OK);
    for (int i = 0; i < CLASSIC_GUESTS_MAX; i++)
        assert_int_equal(
            ASK(w, CLASSIC_ANNOUNCE_GUEST, T("10.0.0.9"), N(i + 1), T("visitor"), N(0), N(HOUR)).result, OK);
    assert_int_equal(ASK(w, CLASSIC_ANNOUNCE_GUEST, T("10.0.0.8"), N(1), T("more"), N(0), N(HOUR)).result,
                     ERR_FULL);
    assert_int_equal(ASK(w, CLASSIC_ANNOUNCE_GUEST, T("10.0.0.9"), N(1), T("again"), N(0), N(HOUR)).result,
                     OK);
    assert_int_equal(
        ASK(w, CLASSIC_ANNOUNCE_GUEST, T("10.0.0.8"), N(1), T("later"), N(HOUR), N(2 * HOUR)).result, OK);
}

static struct got offer(struct world *w, int port, int64_t now)
{
    return ASK(w, CLASSIC_POOL_OFFER, T("10.0.0.1"), N(port), T("peer"), N(now), N(now + HOUR));
}

static struct got claim(struct world *w, int64_t account, const uint8_t *session, const uint8_t *ticket,
                        int64_t now)
{
    return ASK(w, CLASSIC_POOL_CLAIM, N(account), store_id(session), N(now + 12 * HOUR), N(now),
               store_id(ticket), N(now + 60));
}

static void a_peer_is_claimed_once_and_waits_again_when_the_login_has_ended(void **state)
{
    struct world *w = world(state);
    assert_int_equal(claim(w, AN, ONE, TICKET, 0).rows, 0);
    assert_int_equal(offer(w, 7001, 0).result, OK);
    assert_int_equal(offer(w, 7002, 1).result, OK);
    assert_int_equal(offer(w, 7001, 2).result, ERR_EXISTS);
    assert_string_equal(claim(w, AN, ONE, TICKET, 3).text, "10.0.0.1,7001;");
    assert_string_equal(claim(w, BINH, TWO, OTHER, 4).text, "10.0.0.1,7002;");
    assert_int_equal(claim(w, BINH, TWO, PEER, 5).rows, 0);
    end_session(w, ONE);
    assert_string_equal(claim(w, BINH, TWO, PEER, 6).text, "10.0.0.1,7001;");
    /* A claim does not last for ever, but an offer that was not renewed is over before. */
    assert_int_equal(claim(w, BINH, TWO, PEER, 13 * HOUR).rows, 0);
    assert_int_equal(ASK(w, CLASSIC_POOL_RENEW, T("10.0.0.1"), N(7001), T("peer"), N(0), N(20 * HOUR)).result,
                     OK);
    assert_string_equal(claim(w, BINH, TWO, PEER, 13 * HOUR).text, "10.0.0.1,7001;");
    assert_int_equal(ASK(w, CLASSIC_POOL_TAKE_BACK, T("10.0.0.1"), N(7001)).result, OK);
    assert_int_equal(offer(w, 7001, 13 * HOUR).result, OK);
}

static struct got verify(struct world *w, const uint8_t *ticket, const char *ip, int port, int64_t now)
{
    return ASK(w, CLASSIC_POOL_TICKET_SESSION, store_id(ticket), T(ip), N(port), N(now), store_id(PEER),
               N(now + 12 * HOUR));
}

static void a_ticket_is_good_once_for_its_peer_and_for_a_minute(void **state)
{
    struct world *w = world(state);
    assert_int_equal(offer(w, 7001, 0).result, OK);
    assert_int_equal(claim(w, AN, ONE, TICKET, 0).rows, 1);
    assert_int_equal(verify(w, OTHER, "", 0, 1).result, ERR_NOT_FOUND);
    assert_int_equal(verify(w, TICKET, "10.0.0.1", 7002, 1).result, ERR_NOT_FOUND);
    assert_int_equal(verify(w, TICKET, "", 0, 60).result, ERR_NOT_FOUND);
    assert_false(lives(w, PEER));
    assert_string_equal(verify(w, TICKET, "10.0.0.1", 7001, 59).text, "1,an;");
    assert_true(lives(w, PEER));
    assert_int_equal(verify(w, TICKET, "10.0.0.1", 7001, 59).result, ERR_NOT_FOUND);
    end_session(w, ONE); /* and the peer's with it */
    assert_false(lives(w, PEER));

    assert_int_equal(claim(w, BINH, TWO, TICKET, 100).rows, 1);
    assert_string_equal(ASK(w, CLASSIC_POOL_TICKET, store_id(TICKET), T(""), N(0), N(101)).text, "2,binh;");
    assert_int_equal(ASK(w, CLASSIC_POOL_TICKET, store_id(TICKET), T(""), N(0), N(101)).result,
                     ERR_NOT_FOUND);
    assert_int_equal(claim(w, BINH, TWO, OTHER, 200).rows, 0);
}

static void a_peer_that_says_nothing_any_more_loses_its_session(void **state)
{
    struct world *w = world(state);
    assert_int_equal(offer(w, 7001, 0).result, OK);
    assert_int_equal(claim(w, AN, ONE, TICKET, 0).rows, 1);
    assert_int_equal(verify(w, TICKET, "", 0, 1).rows, 1);
    assert_int_equal(claim(w, BINH, TWO, OTHER, HOUR).rows, 0);
    assert_false(lives(w, PEER));
    assert_true(lives(w, ONE));
}

static void an_account_has_one_web_device_until_it_is_forgotten(void **state)
{
    struct world *w = world(state);
    struct got got = ASK(w, CLASSIC_WEB_DEVICE, N(AN), store_id(ONE), store_id(TWO), N(1));
    assert_string_equal(got.text, "*,*,-,-;");
    struct store_row row = {.device = TWO,
                            .account = AN,
                            .record = SLICE("certificate"),
                            .time_ms = 1,
                            .expires_ms = 77,
                            .renew_ms = 2};
    assert_int_equal(store_submit(w->store, STORE_DEVICE_CLAIM, &row, NULL, NULL), OK);
    world_wait_all(w);
    got = ASK(w, CLASSIC_WEB_DEVICE, N(AN), store_id(OTHER), store_id(OTHER), N(2));
    assert_string_equal(got.text, "*,*,*,77;");
    assert_int_equal(ASK(w, CLASSIC_WEB_FORGET, N(AN), store_id(OTHER)).result, OK); /* another one: stays */
    assert_string_equal(ASK(w, CLASSIC_WEB_DEVICE, N(AN), store_id(OTHER), store_id(OTHER), N(3)).text,
                        "*,*,*,77;");
    assert_int_equal(ASK(w, CLASSIC_WEB_FORGET, N(AN), store_id(TWO)).result, OK);
    assert_string_equal(ASK(w, CLASSIC_WEB_DEVICE, N(AN), store_id(OTHER), store_id(OTHER), N(4)).text,
                        "*,*,-,-;");
    struct store_row gone = {.key = SLICE("an")};
    assert_int_equal(store_submit(w->store, STORE_ACCOUNT_REMOVE, &gone, NULL, NULL), OK);
    world_wait_all(w);
    assert_int_equal(ask(w, &CLASSIC_WEB_FORGET_ALL, NULL, 0).result, OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_announcement_lasts_as_long_as_its_time_and_its_session,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_session_whose_time_is_over_takes_its_announcements_along,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(guests_take_no_accounts_names_and_not_all_the_room, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_peer_is_claimed_once_and_waits_again_when_the_login_has_ended,
                                        world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_ticket_is_good_once_for_its_peer_and_for_a_minute, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(a_peer_that_says_nothing_any_more_loses_its_session, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(an_account_has_one_web_device_until_it_is_forgotten, world_setup,
                                        world_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
