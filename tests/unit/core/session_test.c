/* The fold over SESSION entries: what a direct conversation has come to, from every order of arrival. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cbor.h"
#include "core/session.h"
#include "crypto/native.h"

enum { STEPS_MAX = 7, ASKS_MAX = 4 };

/* Two devices of each account, and one whose account nobody knows yet. */
enum who { AN = 1, AN2, BINH, BINH2, NOBODY };

struct step {
    enum who who;
    uint64_t at; /* seconds by its author's clock */
    enum session_act act;
    const char *about; /* which requests: "0", "1", "01": by their order in the list; not for ASK */
};

struct expected {
    enum session_state state;
    int session; /* which request */
    enum session_reason reason;
};

struct story {
    const char *name;
    struct step steps[STEPS_MAX];
    struct expected an, binh; /* as their devices see it, at second 100 of their clocks */
    bool opened;              /* a session was open at some time */
};

#define ANSWER_S 60
#define BASE_MS UINT64_C(1800000000000)

static const struct story stories[] = {
    {"nothing has happened", {{0}}, {0, 0, 0}, {0, 0, 0}, false},
    {"a request is a question to the other side",
     {{AN, 100, ACT_ASK, NULL}},
     {SESSION_ASKED, 0, 0},
     {SESSION_ASKING, 0, 0},
     false},
    {"accepted is open",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 110, ACT_ACCEPT, "0"}},
     {SESSION_OPEN, 0, 0},
     {SESSION_OPEN, 0, 0},
     true},
    {"declined is over",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 110, ACT_DECLINE, "0"}},
     {SESSION_ENDED, 0, REASON_DECLINED},
     {SESSION_ENDED, 0, REASON_DECLINED},
     false},
    {"cancelled is over",
     {{AN, 100, ACT_ASK, NULL}, {AN, 110, ACT_CANCEL, "0"}},
     {SESSION_ENDED, 0, REASON_CANCELLED},
     {SESSION_ENDED, 0, REASON_CANCELLED},
     false},
    {"nobody has answered",
     {{AN, 100, ACT_ASK, NULL}, {AN, 160, ACT_EXPIRE, "0"}},
     {SESSION_ENDED, 0, REASON_NO_ANSWER},
     {SESSION_ENDED, 0, REASON_NO_ANSWER},
     false},
    {"an answer that is later than the end of waiting is too late",
     {{AN, 100, ACT_ASK, NULL}, {AN, 160, ACT_EXPIRE, "0"}, {BINH, 161, ACT_ACCEPT, "0"}},
     {SESSION_ENDED, 0, REASON_NO_ANSWER},
     {SESSION_ENDED, 0, REASON_NO_ANSWER},
     false},
    {"an answer that was given before the end of waiting counts",
     {{AN, 100, ACT_ASK, NULL}, {AN, 160, ACT_EXPIRE, "0"}, {BINH, 159, ACT_ACCEPT, "0"}},
     {SESSION_OPEN, 0, 0},
     {SESSION_OPEN, 0, 0},
     true},
    {"of two devices of one account the first answer counts: accepted",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 111, ACT_DECLINE, "0"}, {BINH2, 110, ACT_ACCEPT, "0"}},
     {SESSION_OPEN, 0, 0},
     {SESSION_OPEN, 0, 0},
     true},
    {"of two devices of one account the first answer counts: declined",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 110, ACT_DECLINE, "0"}, {BINH2, 111, ACT_ACCEPT, "0"}},
     {SESSION_ENDED, 0, REASON_DECLINED},
     {SESSION_ENDED, 0, REASON_DECLINED},
     false},
    {"at the same millisecond the smaller device id counts",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 110, ACT_ACCEPT, "0"}, {BINH2, 110, ACT_DECLINE, "0"}},
     {SESSION_OPEN, 0, 0},
     {SESSION_OPEN, 0, 0},
     true},
    {"nobody accepts in the name of the other side",
     {{AN, 100, ACT_ASK, NULL}, {AN2, 101, ACT_ACCEPT, "0"}, {NOBODY, 102, ACT_ACCEPT, "0"}},
     {SESSION_ASKED, 0, 0},
     {SESSION_ASKING, 0, 0},
     false},
    {"nobody withdraws the request of the other side",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 101, ACT_CANCEL, "0"}, {BINH, 102, ACT_ACCEPT, "0"}},
     {SESSION_ASKED, 0, 0}, /* of one device only its first word counts */
     {SESSION_ASKING, 0, 0},
     false},
    {"ended by the one who asked",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 110, ACT_ACCEPT, "0"}, {AN, 120, ACT_END, "0"}},
     {SESSION_ENDED, 0, REASON_ENDED},
     {SESSION_ENDED, 0, REASON_ENDED},
     true},
    {"ended by another device of the one who was asked",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 110, ACT_ACCEPT, "0"}, {BINH2, 120, ACT_LOGOUT, "0"}},
     {SESSION_ENDED, 0, REASON_LOGOUT},
     {SESSION_ENDED, 0, REASON_LOGOUT},
     true},
    {"of two reasons the first one is told",
     {{AN, 100, ACT_ASK, NULL},
      {BINH, 110, ACT_ACCEPT, "0"},
      {AN, 121, ACT_LOGOUT, "0"},
      {BINH, 120, ACT_SILENCE, "0"}},
     {SESSION_ENDED, 0, REASON_SILENCE},
     {SESSION_ENDED, 0, REASON_SILENCE},
     true},
    {"an end by a device that nobody knows ends nothing",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 110, ACT_ACCEPT, "0"}, {NOBODY, 120, ACT_END, "0"}},
     {SESSION_OPEN, 0, 0},
     {SESSION_OPEN, 0, 0},
     true},
    {"requests that cross are one open session, named by the first",
     {{BINH, 102, ACT_ASK, NULL}, {AN, 101, ACT_ASK, NULL}},
     {SESSION_OPEN, 1, 0},
     {SESSION_OPEN, 1, 0},
     true},
    {"requests cross in spite of clocks that are minutes apart",
     {{AN, 101, ACT_ASK, NULL}, {BINH, 101 + 60 + 299, ACT_ASK, NULL}},
     {SESSION_OPEN, 0, 0},
     {SESSION_OPEN, 0, 0},
     true},
    {"a request long after the other one is one of its own",
     {{BINH, 20, ACT_ASK, NULL}, {AN, 20 + 60 + 301, ACT_ASK, NULL}},
     {SESSION_ASKED, 1, 0},
     {SESSION_ASKING, 1, 0},
     false},
    {"one end is the end of both requests that crossed",
     {{AN, 101, ACT_ASK, NULL}, {BINH, 102, ACT_ASK, NULL}, {BINH, 110, ACT_END, "01"}},
     {SESSION_ENDED, 0, REASON_ENDED},
     {SESSION_ENDED, 0, REASON_ENDED},
     true},
    {"of requests that crossed one is withdrawn: the other one waits for its answer",
     {{AN, 101, ACT_ASK, NULL}, {BINH, 102, ACT_ASK, NULL}, {AN, 103, ACT_CANCEL, "0"}},
     {SESSION_ASKING, 1, 0},
     {SESSION_ASKED, 1, 0},
     true},
    {"two devices of one account ask: one question, one answer to both",
     {{AN, 100, ACT_ASK, NULL}, {AN2, 101, ACT_ASK, NULL}, {BINH, 110, ACT_ACCEPT, "01"}},
     {SESSION_OPEN, 0, 0},
     {SESSION_OPEN, 0, 0},
     true},
    {"two devices of one account ask: the answer to one opens the session",
     {{AN, 100, ACT_ASK, NULL}, {AN2, 101, ACT_ASK, NULL}, {BINH, 110, ACT_ACCEPT, "1"}},
     {SESSION_OPEN, 1, 0},
     {SESSION_OPEN, 1, 0},
     true},
    {"a new request after the end",
     {{AN, 50, ACT_ASK, NULL},
      {BINH, 60, ACT_DECLINE, "0"},
      {AN, 100, ACT_ASK, NULL},
      {BINH, 110, ACT_ACCEPT, "1"}},
     {SESSION_OPEN, 1, 0},
     {SESSION_OPEN, 1, 0},
     true},
    {"a question whose time is over is no question",
     {{AN, 20, ACT_ASK, NULL}},
     {SESSION_ASKED, 0, 0}, /* until its own device says so */
     {SESSION_ENDED, 0, REASON_NO_ANSWER},
     false},
    {"acts that are not known are left out",
     {{AN, 100, ACT_ASK, NULL}, {BINH, 105, (enum session_act)77, "0"}, {BINH, 110, ACT_ACCEPT, "0"}},
     {SESSION_OPEN, 0, 0},
     {SESSION_OPEN, 0, 0},
     true},
};

struct view {
    bool of_binh;
};

static void device_of(enum who who, uint8_t out[ID_BYTES])
{
    memset(out, 0x10 * (int)who, ID_BYTES);
}

static enum session_side side_of(void *context, const uint8_t *device)
{
    const struct view *v = context;
    enum who who = (enum who)(device[0] / 0x10);
    if (who == NOBODY) return SIDE_UNKNOWN;
    return (who >= BINH) == v->of_binh ? SIDE_OURS : SIDE_THEIRS;
}

static const uint8_t channel[ID_BYTES] = {0xCC};

static int steps_of(const struct story *s)
{
    int count = 0;
    while (count < STEPS_MAX && s->steps[count].who)
        count++;
    return count;
}

/* The id of the nth request of the story; seq of a device's entries: their place in the list, from 1. */
static void id_of(const struct story *s, int nth, uint8_t out[NODE_SESSION_BYTES])
{
    uint8_t device[ID_BYTES];
    for (int i = 0; i < steps_of(s); i++) {
        if (s->steps[i].act != ACT_ASK || nth-- > 0) continue;
        device_of(s->steps[i].who, device);
        session_id(crypto_native(), channel, device, (uint32_t)i + 1, out);
        return;
    }
    fail_msg("%s: no such request", s->name);
}

static void take(struct sessions *sessions, const struct story *s, int index)
{
    const struct step *step = &s->steps[index];
    uint8_t body[SESSION_BODY_BYTES_MAX], device[ID_BYTES], id[NODE_SESSION_BYTES];
    struct writer w = writer_of(body, sizeof body);
    if (step->act == ACT_ASK) {
        session_write_ask(&w, ANSWER_S * 1000, SLICE("hello"));
    } else {
        session_write_act(&w, step->act, (uint32_t)strlen(step->about));
        for (const char *c = step->about; *c; c++) {
            id_of(s, *c - '0', id);
            cbor_put_bytes(&w, slice_of(id, sizeof id));
        }
    }
    assert_false(w.failed);
    device_of(step->who, device);
    struct entry e = {.kind = ENTRY_SESSION,
                      .channel = channel,
                      .author = device,
                      .seq = (uint32_t)index + 1,
                      .time_ms = BASE_MS + step->at * 1000,
                      .body = writer_slice(&w)};
    int rc = session_take(sessions, crypto_native(), &e, BASE_MS + step->at * 1000);
    if (rc == ERR_MEMORY) rc = session_take(sessions, crypto_native(), &e, BASE_MS + step->at * 1000);
    assert_int_equal(rc, OK);
}

static void check(const struct story *s, struct sessions *sessions, bool of_binh)
{
    const struct expected *e = of_binh ? &s->binh : &s->an;
    struct view view = {of_binh};
    struct session_verdict v = session_look(sessions, side_of, &view, BASE_MS + 100 * 1000);
    const struct session_mark *cause;
    uint8_t id[NODE_SESSION_BYTES];
    if (sessions->opened != s->opened) fail_msg("%s: opened is %d", s->name, sessions->opened);
    if (e->state != 0) id_of(s, e->session, id);
    if (e->state == 0 || e->state == SESSION_ENDED) {
        if (v.row) fail_msg("%s: %s sees state %d", s->name, of_binh ? "binh" : "an", (int)v.state);
        if (e->state == 0) return;
        assert_int_equal(session_reason_of(session_row_of(sessions, id), side_of, &view, &cause), e->reason);
        return;
    }
    if (v.state != e->state || !v.row || memcmp(v.row->id, id, sizeof id) != 0)
        fail_msg("%s: %s sees state %d", s->name, of_binh ? "binh" : "an", (int)v.state);
    if (v.state == SESSION_ASKING)
        assert_true(slice_equal(slice_of(v.row->line, v.row->line_len), SLICE("hello")));
}

/* Every order of arrival: `taken` says which entries are in already. */
static void every_order(const struct story *s, int *order, unsigned taken, int count)
{
    int steps = steps_of(s);
    if (count == steps) {
        for (int binh = 0; binh < 2; binh++) {
            struct sessions sessions;
            sessions_init(&sessions, &allocator_libc);
            for (int i = 0; i < steps; i++)
                take(&sessions, s, order[i]);
            check(s, &sessions, binh);
            for (int i = 0; i < steps; i++) /* twice is as once: a restart, or a try after ERR_MEMORY */
                take(&sessions, s, order[i]);
            check(s, &sessions, binh);
            sessions_deinit(&sessions);
        }
        return;
    }
    for (int i = 0; i < steps; i++) {
        if (taken & 1u << i) continue;
        order[count] = i;
        every_order(s, order, taken | 1u << i, count + 1);
    }
}

static void every_story_ends_alike_from_every_order_of_arrival(void **state)
{
    (void)state;
    int order[STEPS_MAX];
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++)
        every_order(&stories[i], order, 0, 0);
}

static void bodies_in_any_other_form_are_left_out(void **state)
{
    (void)state;
    static const char *bodies[] = {"",
                                   "\x00",
                                   "\x80",
                                   "\x81\x01",
                                   "\x82\x01\x00",
                                   "\x83\x01\x00\x00",
                                   "\x82\x02\x00",
                                   "\x82\x02\x81\x00",
                                   "\x82\x02\x81\x41x",
                                   "\x82\x02\x98\xff",
                                   "\x82\x18\x63\x00",
                                   "hello"};
    uint8_t device[ID_BYTES];
    struct sessions sessions;
    sessions_init(&sessions, &allocator_libc);
    device_of(AN, device);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct entry e = {.channel = channel,
                          .author = device,
                          .seq = 1,
                          .time_ms = BASE_MS,
                          .body = slice_text(bodies[i])};
        assert_int_equal(session_take(&sessions, crypto_native(), &e, BASE_MS), OK);
        struct view view = {false};
        assert_null(session_look(&sessions, side_of, &view, BASE_MS).row);
    }
    sessions_deinit(&sessions);
}

static void later_versions_may_add_to_every_act(void **state)
{
    (void)state;
    uint8_t body[128], device[ID_BYTES], id[NODE_SESSION_BYTES];
    struct view view = {true};
    struct sessions sessions;
    sessions_init(&sessions, &allocator_libc);
    device_of(AN, device);
    struct writer w = writer_of(body, sizeof body);
    cbor_put_array(&w, 5);
    cbor_put_uint(&w, ACT_ASK);
    cbor_put_uint(&w, ANSWER_S * 1000);
    cbor_put_bytes(&w, SLICE("line"));
    cbor_put_array(&w, 1);
    cbor_put_uint(&w, 7);
    cbor_put_bytes(&w, SLICE("more"));
    struct entry e = {
        .channel = channel, .author = device, .seq = 1, .time_ms = BASE_MS, .body = writer_slice(&w)};
    assert_int_equal(session_take(&sessions, crypto_native(), &e, BASE_MS), OK);
    assert_int_equal(session_look(&sessions, side_of, &view, BASE_MS).state, SESSION_ASKING);
    session_id(crypto_native(), channel, device, 1, id);
    device_of(BINH, device);
    w.len = 0;
    cbor_put_array(&w, 3);
    cbor_put_uint(&w, ACT_ACCEPT);
    cbor_put_array(&w, 1);
    cbor_put_bytes(&w, slice_of(id, sizeof id));
    cbor_put_array(&w, 0);
    e.body = writer_slice(&w);
    assert_int_equal(session_take(&sessions, crypto_native(), &e, BASE_MS), OK);
    assert_int_equal(session_look(&sessions, side_of, &view, BASE_MS).state, SESSION_OPEN);
    sessions_deinit(&sessions);
}

static void ask_at(struct sessions *sessions, enum who who, uint32_t seq, uint64_t time_ms)
{
    uint8_t body[64], device[ID_BYTES];
    struct writer w = writer_of(body, sizeof body);
    session_write_ask(&w, ANSWER_S * 1000, SLICE_EMPTY);
    device_of(who, device);
    struct entry e = {
        .channel = channel, .author = device, .seq = seq, .time_ms = time_ms, .body = writer_slice(&w)};
    assert_int_equal(session_take(sessions, crypto_native(), &e, time_ms), OK);
}

static void only_the_newest_requests_are_remembered(void **state)
{
    (void)state;
    uint8_t device[ID_BYTES], id[NODE_SESSION_BYTES];
    struct sessions sessions;
    sessions_init(&sessions, &allocator_libc);
    for (uint32_t i = 1; i <= 5000; i++) {
        uint32_t seq = i * 1237 % 5001; /* each once, in a scattered order */
        ask_at(&sessions, AN, seq, BASE_MS + seq);
    }
    assert_int_equal(sessions.rows_len, SESSION_ROWS_MAX);
    device_of(AN, device);
    for (uint32_t seq = 5000; seq > 5000 - SESSION_ROWS_MAX; seq--) {
        session_id(crypto_native(), channel, device, seq, id);
        assert_non_null(session_row_of(&sessions, id));
    }
    sessions_deinit(&sessions);
}

static void acts_without_end_take_no_memory_and_do_not_hide_the_first_ones(void **state)
{
    (void)state;
    uint8_t body[64], device[ID_BYTES], id[NODE_SESSION_BYTES];
    struct view view = {false};
    struct sessions sessions;
    sessions_init(&sessions, &allocator_libc);
    ask_at(&sessions, AN, 1, BASE_MS);
    device_of(AN, device);
    session_id(crypto_native(), channel, device, 1, id);
    for (uint32_t i = 0; i < 1000; i++) {
        struct writer w = writer_of(body, sizeof body);
        session_write_act(&w, i % 2 ? ACT_DECLINE : ACT_SILENCE, 1);
        cbor_put_bytes(&w, slice_of(id, sizeof id));
        device_of(BINH, device);
        device[1] = (uint8_t)i, device[2] = (uint8_t)(i >> 8);
        struct entry e = {.channel = channel,
                          .author = device,
                          .seq = 9,
                          .time_ms = BASE_MS + 5000 - i * 4,
                          .body = writer_slice(&w)};
        assert_int_equal(session_take(&sessions, crypto_native(), &e, BASE_MS), OK);
    }
    const struct session_mark *cause;
    assert_int_equal(session_row_of(&sessions, id)->marks_len, SESSION_MARKS_MAX);
    assert_int_equal(session_reason_of(session_row_of(&sessions, id), side_of, &view, &cause),
                     REASON_DECLINED);
    assert_int_equal(cause->time_ms, BASE_MS + 5000 - 999 * 4);
    sessions_deinit(&sessions);
}

static void the_clock_of_the_asked_device_decides_how_long_it_asks(void **state)
{
    (void)state;
    struct view view = {true};
    struct sessions sessions;
    uint8_t body[64], device[ID_BYTES];
    struct writer w = writer_of(body, sizeof body);
    session_write_ask(&w, 60000, SLICE_EMPTY);
    device_of(AN, device);
    struct entry e = {
        .channel = channel, .author = device, .seq = 1, .time_ms = BASE_MS, .body = writer_slice(&w)};
    for (int64_t ahead_s = -200; ahead_s <= 200; ahead_s += 100) { /* Binh's clock against An's */
        uint64_t here = BASE_MS + (uint64_t)(ahead_s * 1000);
        sessions_init(&sessions, &allocator_libc);
        assert_int_equal(session_take(&sessions, crypto_native(), &e, here), OK);
        assert_int_equal(session_look(&sessions, side_of, &view, here + 59999).state, SESSION_ASKING);
        assert_int_equal(session_look(&sessions, side_of, &view, here + 60000).state, 0);
        sessions_deinit(&sessions);
    }
    /* One that has lain somewhere for an hour is no question. */
    sessions_init(&sessions, &allocator_libc);
    assert_int_equal(session_take(&sessions, crypto_native(), &e, BASE_MS + 3600 * 1000), OK);
    assert_int_equal(session_look(&sessions, side_of, &view, BASE_MS + 3600 * 1000).state, 0);
    sessions_deinit(&sessions);
}

struct starved {
    uint32_t calls, fail_at;
};

static void *resize_or_not(void *context, void *ptr, size_t old_size, size_t size)
{
    struct starved *m = context;
    if (size > old_size && ++m->calls == m->fail_at) return NULL;
    return allocator_libc.resize(NULL, ptr, old_size, size);
}

static void an_entry_that_found_no_memory_can_be_taken_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        uint32_t calls = 1;
        for (uint32_t fail_at = 1; fail_at <= calls; fail_at++) {
            struct starved memory = {.fail_at = fail_at};
            struct allocator allocator = {&memory, resize_or_not};
            struct sessions sessions;
            sessions_init(&sessions, &allocator);
            for (int k = 0; k < steps_of(&stories[i]); k++)
                take(&sessions, &stories[i], k);
            check(&stories[i], &sessions, fail_at % 2 == 0);
            sessions_deinit(&sessions);
            calls = memory.calls;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_story_ends_alike_from_every_order_of_arrival),
        cmocka_unit_test(bodies_in_any_other_form_are_left_out),
        cmocka_unit_test(later_versions_may_add_to_every_act),
        cmocka_unit_test(only_the_newest_requests_are_remembered),
        cmocka_unit_test(acts_without_end_take_no_memory_and_do_not_hide_the_first_ones),
        cmocka_unit_test(the_clock_of_the_asked_device_decides_how_long_it_asks),
        cmocka_unit_test(an_entry_that_found_no_memory_can_be_taken_again),
    };
    if (crypto_native_start() != OK) return 1;
    return cmocka_run_group_tests_name("core/session", tests, NULL, NULL);
}
