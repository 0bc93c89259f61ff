/* Direct conversations between nodes: asked, answered, ended, and what a person who was not asked is spared.
 */
#include "world.h"

enum { TRACKER, AN, BINH, AN2, BINH2 };

static const struct channel_spec *spec_of(const struct world *w)
{
    static struct channel_spec spec;
    spec = (struct channel_spec){
        .type = CHANNEL_DIRECT, .authority = w->authority, .account = SLICE("an"), .other = SLICE("binh")};
    return &spec;
}

/* An and Binh at one device each, with a link between them and to the tracker. */
static struct world *two(void)
{
    struct world *w = world_new();
    world_add(w, TRACKER, ROLE_REPLICA, NULL);
    world_add(w, AN, ROLE_PERSON, "an");
    world_add(w, BINH, ROLE_PERSON, "binh");
    world_use(w, spec_of(w));
    assert_true(world_open(w, AN, spec_of(w)) >= 0);
    world_link(w, AN, TRACKER, PATH_TRACKER);
    world_link(w, BINH, TRACKER, PATH_TRACKER);
    world_link(w, AN, BINH, PATH_DIRECT);
    world_run(w, SECONDS);
    return w;
}

static struct world *four(void)
{
    struct world *w = two();
    world_use(w, &(struct channel_spec){
                     .type = CHANNEL_PUBLIC, .authority = w->authority, .name = SLICE("general")});
    world_add(w, AN2, ROLE_PERSON, "an");
    world_add(w, BINH2, ROLE_PERSON, "binh");
    world_use(w, spec_of(w));
    world_link(w, AN2, TRACKER, PATH_TRACKER);
    world_link(w, BINH2, TRACKER, PATH_TRACKER);
    world_run(w, SECONDS);
    return w;
}

static int64_t ask(struct world *w, int place, const char *line, bool online)
{
    struct command c = {
        .kind = COMMAND_REQUEST, .channel = w->channel, .bytes = slice_text(line), .online = online};
    return node_command(w->places[place].node, &c, w->now);
}

static int64_t on_last(struct world *w, int place, enum command_kind kind, bool yes)
{
    struct command c = {
        .kind = kind, .channel = w->channel, .session = w->places[place].session.id, .online = yes};
    return node_command(w->places[place].node, &c, w->now);
}

static void logout(struct world *w, int place)
{
    struct command c = {.kind = COMMAND_LOGOUT};
    assert_int_equal(node_command(w->places[place].node, &c, w->now), 0);
}

static void expect(struct world *w, int place, enum session_state state, enum session_reason reason)
{
    assert_int_equal(w->places[place].session.state, state);
    assert_int_equal(w->places[place].session.reason, reason);
}

static void all_expect(struct world *w, enum session_state state, enum session_reason reason)
{
    for (int i = AN; i < PLACES; i++) {
        if (!w->places[i].node) continue;
        expect(w, i, state, reason);
        assert_memory_equal(w->places[i].session.id, w->places[AN].session.id, NODE_SESSION_BYTES);
    }
}

static void open_session(struct world *w)
{
    assert_true(ask(w, AN, "", true) > 0);
    world_run(w, SECONDS);
    assert_true(on_last(w, BINH, COMMAND_ANSWER, true) > 0);
    world_run(w, SECONDS);
    all_expect(w, SESSION_OPEN, REASON_NONE);
}

static void a_request_brings_its_line_and_is_accepted(void **state)
{
    (void)state;
    struct world *w = two();
    assert_true(ask(w, AN, "Do you have a minute?", true) > 0);
    world_run(w, SECONDS);
    expect(w, AN, SESSION_ASKED, REASON_NONE);
    expect(w, BINH, SESSION_ASKING, REASON_NONE);
    assert_string_equal(w->places[BINH].session.line, "Do you have a minute?");
    assert_string_equal(w->places[BINH].session.account, "an");
    assert_string_equal(w->places[AN].session.account, "binh");
    assert_true(w->places[BINH].session.until_ms > w->now / MILLISECONDS + 50000);
    assert_true(w->places[BINH].session.until_ms <= w->now / MILLISECONDS + 60000);
    assert_true(on_last(w, BINH, COMMAND_ANSWER, true) > 0);
    world_run(w, SECONDS);
    all_expect(w, SESSION_OPEN, REASON_NONE);
    assert_true(world_say(w, AN, "thank you") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, BINH, "thank you"), 1);
    assert_true(on_last(w, AN, COMMAND_END, false) > 0);
    world_run(w, SECONDS);
    all_expect(w, SESSION_ENDED, REASON_ENDED);
    assert_int_equal(world_say(w, BINH, "one more thing"), ERR_DENIED);
    world_free(w);
}

static void a_request_comes_to_an_end_in_words(void **state)
{
    (void)state;
    struct world *w = two();
    assert_true(ask(w, AN, "", true) > 0);
    assert_int_equal(ask(w, AN, "", true), ERR_BUSY);
    world_run(w, SECONDS);
    assert_int_equal(ask(w, AN, "", true), ERR_EXISTS);
    assert_true(on_last(w, BINH, COMMAND_ANSWER, false) > 0);
    world_run(w, SECONDS);
    all_expect(w, SESSION_ENDED, REASON_DECLINED);
    assert_int_equal(on_last(w, BINH, COMMAND_ANSWER, true), ERR_NOT_FOUND);

    assert_true(ask(w, AN, "", true) > 0);
    world_run(w, SECONDS);
    assert_int_equal(on_last(w, BINH, COMMAND_END, false), ERR_NOT_FOUND); /* not his */
    assert_true(on_last(w, AN, COMMAND_END, false) > 0);
    world_run(w, SECONDS);
    all_expect(w, SESSION_ENDED, REASON_CANCELLED);

    assert_true(ask(w, BINH, "", true) > 0);
    world_run(w, 58 * SECONDS);
    expect(w, AN, SESSION_ASKING, REASON_NONE);
    world_run(w, 4 * SECONDS);
    all_expect(w, SESSION_ENDED, REASON_NO_ANSWER);
    assert_int_equal(on_last(w, AN, COMMAND_ANSWER, true), ERR_NOT_FOUND);
    world_free(w);
}

static void an_own_request_to_who_asks_is_an_answer(void **state)
{
    (void)state;
    struct world *w = two();
    assert_true(ask(w, AN, "", true) > 0);
    world_run(w, SECONDS);
    assert_true(ask(w, BINH, "", true) > 0);
    world_run(w, SECONDS);
    all_expect(w, SESSION_OPEN, REASON_NONE);
    assert_int_equal(ask(w, BINH, "", true), ERR_EXISTS);
    world_free(w);
}

static void requests_that_cross_are_one_session(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct world *w = two();
        assert_true(ask(w, late ? BINH : AN, "first", true) > 0);
        w->now += 5 * MILLISECONDS;
        assert_true(ask(w, late ? AN : BINH, "second", true) > 0);
        world_run(w, SECONDS);
        all_expect(w, SESSION_OPEN, REASON_NONE);
        assert_true(world_say(w, AN, "both at once") > 0);
        world_run(w, 100 * SECONDS); /* longer than a request waits */
        all_expect(w, SESSION_OPEN, REASON_NONE);
        assert_int_equal(world_heard(w, BINH, "both at once"), 1);
        assert_true(on_last(w, BINH, COMMAND_END, false) > 0);
        world_run(w, SECONDS);
        all_expect(w, SESSION_ENDED, REASON_ENDED);
        world_run(w, 100 * SECONDS);
        all_expect(w, SESSION_ENDED, REASON_ENDED); /* neither request comes back */
        world_free(w);
    }
}

static void who_is_away_is_asked_when_he_is_back(void **state)
{
    (void)state;
    struct world *w = two();
    world_cut(w, 1);
    world_cut(w, 2);
    assert_true(ask(w, AN, "when you are back", false) > 0);
    world_run(w, 2 * SECONDS);
    logout(w, AN); /* does not take it back */
    world_run(w, SECONDS);
    world_cut(w, 0); /* An goes; only the tracker has it now */
    world_run(w, 600 * SECONDS);
    expect(w, AN, SESSION_ASKED, REASON_NONE);
    int link = world_link(w, BINH, TRACKER, PATH_TRACKER);
    world_run(w, 2 * SECONDS);
    expect(w, BINH, SESSION_ASKING, REASON_NONE);
    assert_string_equal(w->places[BINH].session.line, "when you are back");
    assert_true(on_last(w, BINH, COMMAND_ANSWER, true) > 0);
    world_run(w, SECONDS);
    world_cut(w, link);
    world_link(w, AN, TRACKER, PATH_TRACKER);
    world_run(w, SECONDS);
    expect(w, AN, SESSION_OPEN, REASON_NONE);
    world_free(w);
}

static void a_request_to_who_stays_away_expires(void **state)
{
    (void)state;
    struct world *w = two();
    world_cut(w, 1);
    world_cut(w, 2);
    assert_true(ask(w, AN, "", false) > 0);
    world_run(w, 2 * SECONDS);
    world_cut(w, 0);
    world_run(w, (usec)(7 * 24 * 3600 - 60) * SECONDS);
    expect(w, AN, SESSION_ASKED, REASON_NONE);
    world_run(w, 70 * SECONDS);
    expect(w, AN, SESSION_ENDED, REASON_NO_ANSWER);
    world_link(w, AN, BINH, PATH_DIRECT);
    world_run(w, 2 * SECONDS);
    assert_int_equal(w->places[BINH].session.questions, 0);
    world_free(w);
}

static void a_friend_is_not_asked(void **state)
{
    (void)state;
    struct world *w = two();
    world_relate(w, BINH, "an", RELATION_FRIEND);
    assert_true(ask(w, AN, "hello", true) > 0);
    world_run(w, SECONDS);
    all_expect(w, SESSION_OPEN, REASON_NONE);
    assert_int_equal(w->places[BINH].session.questions, 0);
    world_free(w);
}

static void who_is_blocked_is_not_heard_and_does_not_learn_of_it(void **state)
{
    (void)state;
    struct world *w = two();
    world_relate(w, BINH, "an", RELATION_BLOCKED);
    assert_int_equal(ask(w, BINH, "", true), ERR_DENIED);
    assert_true(ask(w, AN, "please", true) > 0);
    world_run(w, 59 * SECONDS);
    expect(w, AN, SESSION_ASKED, REASON_NONE);
    world_run(w, 3 * SECONDS);
    expect(w, AN, SESSION_ENDED, REASON_NO_ANSWER);
    assert_int_equal(w->places[BINH].session.count, 0);
    /* Not blocked any more, he may ask again. */
    world_relate(w, BINH, "an", RELATION_NONE);
    open_session(w);
    /* Blocked in the middle of it: it ends, and nothing more is shown. */
    world_relate(w, BINH, "an", RELATION_BLOCKED);
    world_run(w, SECONDS);
    all_expect(w, SESSION_ENDED, REASON_ENDED);
    world_free(w);
}

static int own_entries(const struct world *w, int place)
{
    int found = 0;
    for (size_t i = 0; i < w->places[place].records; i++) {
        const struct stored *s = &w->places[place].disk[i];
        found += s->seq > 0 && memcmp(s->channel, w->channel, 32) == 0 &&
                 memcmp(s->author, world_device(w, place), 32) == 0;
    }
    return found;
}

/* Whoever is blocked opens a conversation: it is carried, but nothing is written there, not even a JOIN that
 * would tell which devices there are, until he is not blocked any more. */
static void who_is_blocked_is_not_told_who_is_there(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_add(w, TRACKER, ROLE_REPLICA, NULL);
    world_add(w, AN, ROLE_PERSON, "an");
    world_add(w, BINH, ROLE_PERSON, "binh");
    world_use(w, spec_of(w));
    world_relate(w, BINH, "an", RELATION_BLOCKED);
    assert_true(world_open(w, AN, spec_of(w)) >= 0);
    world_link(w, AN, TRACKER, PATH_TRACKER);
    world_link(w, BINH, TRACKER, PATH_TRACKER);
    world_link(w, AN, BINH, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(ask(w, AN, "please", true) > 0);
    world_run(w, 10 * SECONDS);
    assert_int_equal(w->places[BINH].introduced, 1);
    assert_true(own_entries(w, AN) > 0);
    assert_int_equal(own_entries(w, BINH), 0);
    world_restart(w, BINH);
    world_relate(w, BINH, "an", RELATION_BLOCKED);
    world_run(w, 10 * SECONDS);
    assert_int_equal(own_entries(w, BINH), 0);
    world_relate(w, BINH, "an", RELATION_NONE);
    world_run(w, 2 * SECONDS);
    assert_true(own_entries(w, BINH) > 0);
    world_free(w);
}

static void a_text_without_a_session_is_neither_written_nor_shown(void **state)
{
    (void)state;
    struct world *w = two();
    assert_int_equal(world_say(w, AN, "psst"), ERR_DENIED);
    world_relate(w, AN, "binh", RELATION_FRIEND); /* An may write now, but Binh has not agreed to read */
    assert_true(world_say(w, AN, "psst") > 0);
    world_run(w, 2 * SECONDS);
    const struct place *binh = &w->places[BINH];
    assert_int_equal(world_heard(w, BINH, "psst"), 0);
    assert_true(binh->delivered[binh->deliveries - 1].locked);
    assert_int_equal(world_shows(w, BINH, "psst"), 0);
    int unlocked = binh->unlocked;
    open_session(w);
    assert_true(binh->unlocked > unlocked);
    assert_int_equal(world_shows(w, BINH, "psst"), 1);
    assert_true(on_last(w, BINH, COMMAND_END, false) > 0);
    world_run(w, SECONDS);
    assert_true(world_say(w, AN, "bye") > 0); /* a session was open */
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, BINH, "bye"), 1);
    world_relate(w, BINH, "an", RELATION_BLOCKED);
    assert_int_equal(world_shows(w, BINH, "bye"), 0);
    assert_true(world_say(w, AN, "hello?") > 0);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, BINH, "hello?"), 0);
    world_free(w);
}

static void all_devices_of_both_sides_agree_on_the_first_answer(void **state)
{
    (void)state;
    for (int accept_first = 0; accept_first < 2; accept_first++) {
        struct world *w = four();
        assert_true(ask(w, AN2, "anybody?", true) > 0);
        world_run(w, SECONDS);
        expect(w, AN, SESSION_ASKED, REASON_NONE);
        expect(w, BINH, SESSION_ASKING, REASON_NONE);
        expect(w, BINH2, SESSION_ASKING, REASON_NONE);
        assert_true(on_last(w, accept_first ? BINH2 : BINH, COMMAND_ANSWER, accept_first) > 0);
        w->now += 5 * MILLISECONDS;
        assert_true(on_last(w, accept_first ? BINH : BINH2, COMMAND_ANSWER, !accept_first) > 0);
        world_run(w, 2 * SECONDS);
        if (accept_first)
            all_expect(w, SESSION_OPEN, REASON_NONE);
        else
            all_expect(w, SESSION_ENDED, REASON_DECLINED);
        world_free(w);
    }
}

static void a_device_that_never_comes_back_leaves_no_request_behind(void **state)
{
    (void)state;
    struct world *w = four();
    assert_true(ask(w, AN2, "", true) > 0);
    world_run(w, SECONDS);
    world_cut(w, 3);
    world_run(w, 70 * SECONDS);
    expect(w, BINH, SESSION_ENDED, REASON_NO_ANSWER); /* by its own clock */
    expect(w, AN, SESSION_ASKED, REASON_NONE);
    world_run(w, 60 * SECONDS);
    all_expect(w, SESSION_ENDED, REASON_NO_ANSWER); /* the other device of An says so */
    world_free(w);
}

static void logout_ends_it_for_both(void **state)
{
    (void)state;
    struct world *w = two();
    open_session(w);
    logout(w, BINH);
    world_run(w, SECONDS);
    all_expect(w, SESSION_ENDED, REASON_LOGOUT);
    assert_true(ask(w, AN, "", true) > 0);
    world_run(w, SECONDS);
    logout(w, AN);
    world_run(w, SECONDS);
    all_expect(w, SESSION_ENDED, REASON_CANCELLED);
    world_free(w);
}

static void silence_ends_it_for_both(void **state)
{
    (void)state;
    struct world *w = two();
    open_session(w);
    world_run(w, 300 * SECONDS); /* nothing is said, but they are linked */
    all_expect(w, SESSION_OPEN, REASON_NONE);
    world_cut(w, 1);
    world_cut(w, 2);
    world_run(w, 115 * SECONDS);
    all_expect(w, SESSION_OPEN, REASON_NONE);
    world_run(w, 40 * SECONDS);
    all_expect(w, SESSION_ENDED, REASON_SILENCE);
    assert_int_equal(world_say(w, BINH, "hello?"), ERR_DENIED);
    world_link(w, AN, BINH, PATH_DIRECT);
    world_run(w, 20 * SECONDS);
    all_expect(w, SESSION_ENDED, REASON_SILENCE);
    world_free(w);
}

/* Binh's first device is cut off from everybody while his second one goes on. */
static void who_is_cut_off_himself_does_not_end_it_for_others(void **state)
{
    (void)state;
    struct world *w = four();
    struct command here = {.kind = COMMAND_PEER, .device = world_device(w, AN), .online = true};
    world_link(w, AN, BINH2, PATH_DIRECT);
    open_session(w);
    assert_true(node_command(w->places[BINH].node, &here, w->now) >= 0); /* and nobody takes it back */
    world_cut(w, 1);
    world_cut(w, 2);
    world_run(w, 100 * SECONDS);
    assert_true(world_say(w, AN, "still there?") > 0);
    world_run(w, 60 * SECONDS);
    expect(w, BINH, SESSION_ENDED, REASON_SILENCE);
    expect(w, AN, SESSION_OPEN, REASON_NONE);
    assert_true(world_say(w, BINH2, "yes, here") > 0);
    world_run(w, SECONDS);
    world_link(w, BINH, TRACKER, PATH_TRACKER);
    world_run(w, 30 * SECONDS);
    all_expect(w, SESSION_OPEN, REASON_NONE);
    world_free(w);
}

static void presence_counts_as_being_heard(void **state)
{
    (void)state;
    struct world *w = two();
    open_session(w);
    world_cut(w, 2);
    struct command here = {.kind = COMMAND_PEER, .device = world_device(w, BINH), .online = true};
    assert_true(node_command(w->places[AN].node, &here, w->now) >= 0);
    here.device = world_device(w, AN);
    assert_true(node_command(w->places[BINH].node, &here, w->now) >= 0);
    world_run(w, 300 * SECONDS);
    all_expect(w, SESSION_OPEN, REASON_NONE);
    world_free(w);
}

static void every_state_outlives_a_restart(void **state)
{
    (void)state;
    struct world *w = two();
    assert_true(ask(w, AN, "after the restart", true) > 0);
    world_run(w, SECONDS);
    for (int i = AN; i <= BINH; i++) {
        memset(&w->places[i].session, 0, sizeof w->places[i].session);
        world_restart(w, i);
        world_settle(w);
    }
    expect(w, AN, SESSION_ASKED, REASON_NONE);
    expect(w, BINH, SESSION_ASKING, REASON_NONE);
    assert_string_equal(w->places[BINH].session.line, "after the restart");
    int link = world_link(w, AN, BINH, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_true(on_last(w, BINH, COMMAND_ANSWER, true) > 0);
    world_run(w, SECONDS);
    all_expect(w, SESSION_OPEN, REASON_NONE);
    for (int i = AN; i <= BINH; i++) {
        memset(&w->places[i].session, 0, sizeof w->places[i].session);
        world_restart(w, i);
        world_settle(w);
    }
    all_expect(w, SESSION_OPEN, REASON_NONE);
    assert_true(world_say(w, AN, "I am back") > 0);
    link = world_link(w, AN, BINH, PATH_DIRECT);
    world_run(w, SECONDS);
    assert_int_equal(world_heard(w, BINH, "I am back"), 1);
    assert_true(on_last(w, AN, COMMAND_END, false) > 0);
    world_run(w, SECONDS);
    world_cut(w, link);
    for (int i = AN; i <= BINH; i++) {
        memset(&w->places[i].session, 0, sizeof w->places[i].session);
        world_restart(w, i);
    }
    world_run(w, SECONDS);
    assert_int_equal(w->places[AN].session.count + w->places[BINH].session.count, 0);
    /* A request whose device was down when its time was over ends once it had time to hear of an answer. */
    assert_true(ask(w, AN, "", true) > 0);
    world_run(w, SECONDS);
    w->now += 3600 * SECONDS;
    world_restart(w, AN);
    world_run(w, 5 * SECONDS);
    expect(w, AN, SESSION_ASKED, REASON_NONE);
    world_run(w, 10 * SECONDS);
    expect(w, AN, SESSION_ENDED, REASON_NO_ANSWER);
    world_free(w);
}

static void commands_in_the_wrong_place_are_refused(void **state)
{
    (void)state;
    struct world *w = two();
    uint8_t nobody[32] = {9};
    static const char long_line[NODE_LINE_BYTES_MAX + 2] = {[0 ... NODE_LINE_BYTES_MAX] = 'x'};
    assert_int_equal(ask(w, AN, long_line, true), ERR_TOO_LARGE);
    assert_int_equal(on_last(w, AN, COMMAND_END, false), ERR_NOT_FOUND);
    assert_int_equal(on_last(w, AN, COMMAND_ANSWER, true), ERR_NOT_FOUND);
    struct command raw = {
        .kind = COMMAND_SEND, .channel = w->channel, .entry_kind = ENTRY_SESSION, .bytes = SLICE("\x80")};
    assert_int_equal(node_command(w->places[AN].node, &raw, w->now), ERR_INVALID);
    memcpy(w->channel, nobody, 32);
    assert_int_equal(ask(w, AN, "", true), ERR_NOT_FOUND);
    world_use(w, &(struct channel_spec){
                     .type = CHANNEL_PUBLIC, .authority = w->authority, .name = SLICE("general")});
    assert_int_equal(ask(w, AN, "", true), ERR_INVALID);
    world_use(w, &(struct channel_spec){.type = CHANNEL_DIRECT,
                                        .authority = w->authority,
                                        .account = SLICE("an"),
                                        .other = SLICE("an")});
    struct channel_spec own = {
        .type = CHANNEL_DIRECT, .authority = w->authority, .account = SLICE("an"), .other = SLICE("an")};
    assert_true(world_open(w, AN, &own) >= 0);
    world_run(w, SECONDS);
    assert_int_equal(ask(w, AN, "", true), ERR_INVALID);
    assert_true(world_say(w, AN, "a note to myself") > 0);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_brings_its_line_and_is_accepted),
        cmocka_unit_test(a_request_comes_to_an_end_in_words),
        cmocka_unit_test(an_own_request_to_who_asks_is_an_answer),
        cmocka_unit_test(requests_that_cross_are_one_session),
        cmocka_unit_test(who_is_away_is_asked_when_he_is_back),
        cmocka_unit_test(a_request_to_who_stays_away_expires),
        cmocka_unit_test(a_friend_is_not_asked),
        cmocka_unit_test(who_is_blocked_is_not_heard_and_does_not_learn_of_it),
        cmocka_unit_test(who_is_blocked_is_not_told_who_is_there),
        cmocka_unit_test(a_text_without_a_session_is_neither_written_nor_shown),
        cmocka_unit_test(all_devices_of_both_sides_agree_on_the_first_answer),
        cmocka_unit_test(a_device_that_never_comes_back_leaves_no_request_behind),
        cmocka_unit_test(logout_ends_it_for_both),
        cmocka_unit_test(silence_ends_it_for_both),
        cmocka_unit_test(who_is_cut_off_himself_does_not_end_it_for_others),
        cmocka_unit_test(presence_counts_as_being_heard),
        cmocka_unit_test(every_state_outlives_a_restart),
        cmocka_unit_test(commands_in_the_wrong_place_are_refused),
    };
    return cmocka_run_group_tests_name("core/talk", tests, NULL, NULL);
}
