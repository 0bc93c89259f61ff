/* What was said, in SQL: the index, what is new, markers that do not go back, what is trimmed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "store/channels_sql.h"
#include "store/messages_sql.h"
#include "store_world.h"

enum { AN = 1, BINH = 2, NEWEST = 1000000 };
static const uint8_t ROOM[STORE_ID_BYTES] = {1}, TALK[STORE_ID_BYTES] = {2};
static const uint8_t AN_DEVICE[STORE_ID_BYTES] = {0xA}, BINH_DEVICE[STORE_ID_BYTES] = {0xB};

struct got {
    int result;
    size_t rows, columns;
    int64_t numbers[8][12];
    char texts[8][64]; /* the last text of each row */
};

static void keep(void *context, int result, const struct store_rows *rows)
{
    struct got *got = context;
    got->result = result;
    got->rows = rows->count;
    got->columns = rows->columns;
    for (size_t i = 0; i < rows->count && i < 8; i++) {
        for (size_t j = 0; j < rows->columns && j < 12; j++) {
            const struct store_value *v = store_at(rows, i, j);
            got->numbers[i][j] = v->type == STORE_NULL ? -1 : v->number;
            if (v->type == STORE_TEXT)
                snprintf(got->texts[i], 64, "%.*s", (int)v->bytes.len, (const char *)v->bytes.ptr);
        }
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

static struct world *open_world(void **state)
{
    struct world *w = *state;
    for (int64_t i = AN; i <= BINH; i++) {
        slice name = slice_text(i == AN ? "an" : "binh");
        struct store_row row = {.name = name, .key = name, .secret = SLICE("x"), .time_ms = 1};
        assert_int_equal(store_submit(w->store, STORE_ACCOUNT_ADD, &row, NULL, NULL), OK);
    }
    world_wait_all(w);
    assert_int_equal(ASK(w, STORE_ROOM_CREATE, store_id(ROOM), N(AN), N(0), T("tea"), T("tea"), N(0), T(""),
                         T(""), NOTHING, N(1))
                         .result,
                     OK);
    assert_int_equal(ASK(w, STORE_ROOM_JOIN, store_id(ROOM), N(BINH), N(0), N(2), T(""), T("")).result, OK);
    return w;
}

static int add(struct world *w, int64_t rowid, const uint8_t *channel, const uint8_t *device, int64_t seq,
               int64_t time, const char *text)
{
    return ASK(w, STORE_INDEX_ADD, N(rowid), store_id(channel), store_id(device), N(seq), N(3),
               store_id(channel), N(time), N(time), T(device == AN_DEVICE ? "an" : "binh"),
               text ? T(text) : NOTHING, N(0))
        .result;
}

static int64_t unread(struct world *w, int64_t who, const uint8_t *channel)
{
    struct got got = ASK(w, STORE_UNREAD_IN, N(who), T(who == AN ? "an" : "binh"), store_id(channel));
    return got.rows ? got.numbers[0][4] : -1;
}

static size_t found(struct world *w, const char *words, int64_t who)
{
    return ASK(w, STORE_SEARCH, T(words), N(who), NOTHING, N(NEWEST), N(10)).rows;
}

static void what_is_indexed_twice_is_there_once(void **state)
{
    struct world *w = open_world(state);
    assert_int_equal(add(w, 5, ROOM, AN_DEVICE, 2, 100, "green tea"), OK);
    assert_int_equal(add(w, 5, ROOM, AN_DEVICE, 2, 100, "green tea"), OK);
    assert_int_equal(found(w, "\"green\"", AN), 1);
    /* An entry that was replaced stands in another row. */
    assert_int_equal(add(w, 9, ROOM, AN_DEVICE, 2, 100, "black tea"), OK);
    assert_int_equal(found(w, "\"green\"", AN), 0);
    assert_int_equal(found(w, "\"black\" \"te\"*", BINH), 1);
    struct got got =
        ASK(w, STORE_HISTORY_AFTER, store_id(ROOM), N(BINH), N(0), N(0), store_bytes("", 0), N(0), N(10));
    assert_int_equal(got.rows, 1);
    assert_string_equal(got.texts[0], "black tea");
}

static void markers_go_forward_and_back_only_when_that_is_wanted(void **state)
{
    struct world *w = open_world(state);
    for (int64_t i = 0; i < 5; i++)
        assert_int_equal(add(w, 10 + i, ROOM, AN_DEVICE, 2 + i, 100 + i, "x"), OK);
    assert_int_equal(add(w, 20, ROOM, BINH_DEVICE, 2, 102, "mine"), OK);
    assert_int_equal(unread(w, BINH, ROOM), 5);
    assert_int_equal(unread(w, AN, ROOM), 1);
#define MARK(time, back)                                                                                     \
    ASK(w, STORE_MARK_READ, N(BINH), T("binh"), store_id(ROOM), N(time), store_id(AN_DEVICE), N(4), N(back)) \
        .result
    assert_int_equal(MARK(102, 0), OK);
    assert_int_equal(unread(w, BINH, ROOM), 2);
    assert_int_equal(MARK(100, 0), OK);
    assert_int_equal(unread(w, BINH, ROOM), 2);
    assert_int_equal(MARK(99, 1), OK);
    assert_int_equal(unread(w, BINH, ROOM), 5);
    assert_int_equal(
        ASK(w, STORE_MARK_READ, N(BINH), T("binh"), store_id(TALK), N(1), store_id(AN_DEVICE), N(1), N(0))
            .result,
        ERR_DENIED);
    assert_int_equal(unread(w, BINH, TALK), -1);
}

static void mentions_are_for_members_and_not_for_oneself(void **state)
{
    struct world *w = open_world(state);
    assert_int_equal(add(w, 10, ROOM, AN_DEVICE, 2, 100, "@binh @an @nobody"), OK);
#define MENTION(name) ASK(w, STORE_INDEX_MENTION, N(10), store_id(ROOM), T(name))
    assert_int_equal(MENTION("binh").numbers[0][0], BINH);
    assert_int_equal(MENTION("an").rows, 0);
    assert_int_equal(MENTION("nobody").rows, 0);
    assert_int_equal(ASK(w, STORE_MENTIONS, N(BINH), N(NEWEST), N(10)).rows, 1);
    assert_int_equal(ASK(w, STORE_MENTIONS_NEW, N(BINH)).numbers[0][0], 1);
    /* Reading on sees them, too. */
    assert_int_equal(
        ASK(w, STORE_MARK_READ, N(BINH), T("binh"), store_id(ROOM), N(100), store_id(AN_DEVICE), N(2), N(0))
            .result,
        OK);
    assert_int_equal(ASK(w, STORE_MENTIONS_NEW, N(BINH)).numbers[0][0], 0);
}

static void what_is_decided_to_be_hidden_is_hidden_before_it_is_written_down(void **state)
{
    struct world *w = open_world(state);
    assert_int_equal(add(w, 10, ROOM, BINH_DEVICE, 2, 100, "early"), OK);
    struct got got = ASK(w, STORE_ROOM_HIDE, store_id(ROOM), N(AN), N(0), T("binh"), N(50), N(150));
    assert_int_equal(got.numbers[0][0], 1);
    assert_int_equal(add(w, 11, ROOM, BINH_DEVICE, 3, 120, "on its way"), OK);
    assert_int_equal(add(w, 12, ROOM, BINH_DEVICE, 4, 151, "later"), OK);
    assert_int_equal(add(w, 13, ROOM, AN_DEVICE, 2, 120, "of another"), OK);
    got =
        ASK(w, STORE_HISTORY_BEFORE, store_id(ROOM), N(AN), N(0), N(NEWEST), store_bytes("", 0), N(0), N(10));
    assert_int_equal(got.rows, 2);
    assert_string_equal(got.texts[0], "later");
    assert_string_equal(got.texts[1], "of another");
}

static void a_conversation_is_counted_for_its_two_and_trimmed_whole(void **state)
{
    struct world *w = open_world(state);
    assert_int_equal(ASK(w, STORE_CONVERSATION_PUT, store_id(TALK), T("an"), T("binh")).rows, 0);
    struct store_row entry = {
        .channel = TALK, .author = AN_DEVICE, .entry_kind = 3, .record = SLICE("sealed")};
    for (entry.seq = 1; entry.seq <= 3; entry.seq++) {
        entry.place_ms = 100 * entry.seq;
        assert_int_equal(world_run(w, STORE_ENTRY_PUT, &entry, NULL), OK);
        assert_int_equal(add(w, (int64_t)entry.seq, TALK, AN_DEVICE, (int64_t)entry.seq, 100, NULL), OK);
    }
    assert_int_equal(unread(w, BINH, TALK), 3);
    assert_int_equal(unread(w, AN, TALK), 0);
    struct got page = ASK(w, STORE_CONVERSATIONS_PAGE, store_bytes("", 0));
    assert_int_equal(page.rows, 1);
    assert_int_equal(page.numbers[0][3], 3);
    assert_int_equal(page.numbers[0][4], 18);
    assert_int_equal(page.numbers[0][5], 300);
    assert_int_equal(page.numbers[0][6], 0);
    assert_int_equal(ASK(w, STORE_INDEX_MOVED, T("messages"), N(3)).result, OK);
    assert_int_equal(ASK(w, STORE_CONVERSATION_TRIM, store_id(TALK)).numbers[0][0], 0);
    /* The next entry has the number of one that was indexed before. */
    assert_int_equal(ASK(w, STORE_INDEX_POSITION, T("messages")).numbers[0][0], 0);
    page = ASK(w, STORE_CONVERSATIONS_PAGE, store_bytes("", 0));
    assert_int_equal(page.numbers[0][3], 0);
    assert_int_equal(page.numbers[0][7], 1);
    assert_int_equal(unread(w, BINH, TALK), 0);
    assert_int_equal(ASK(w, STORE_KEEP_SET, N(BINH), N(0)).result, OK);
    assert_int_equal(ASK(w, STORE_KEEP_NOT, N(BINH)).rows, 1);
    assert_int_equal(ASK(w, STORE_CONVERSATIONS_PAGE, store_bytes("", 0)).numbers[0][6], 1);
    assert_int_equal(ASK(w, STORE_CONVERSATION_DROP, store_id(TALK)).result, OK);
    assert_int_equal(ASK(w, STORE_CONVERSATIONS_PAGE, store_bytes("", 0)).rows, 0);
    assert_int_equal(ASK(w, STORE_CONVERSATION_PUT, store_id(TALK), T("an"), T("binh")).rows, 1);
    assert_int_equal(ASK(w, STORE_KEEP_SET, N(BINH), N(1)).result, OK);
    assert_int_equal(ASK(w, STORE_KEEP_NOT, N(BINH)).rows, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_indexed_twice_is_there_once),
        TEST(markers_go_forward_and_back_only_when_that_is_wanted),
        TEST(mentions_are_for_members_and_not_for_oneself),
        TEST(what_is_decided_to_be_hidden_is_hidden_before_it_is_written_down),
        TEST(a_conversation_is_counted_for_its_two_and_trimmed_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
