/* Failure and return: what an operator sees for each sequence of events at a server. */
#include "scene.h"

/* Events, in turn:
 *   f  a request fails ("connection refused")     x  a check fails ("status 500")
 *   s  a request is answered                      p  a check passes
 *   ?  a request comes: "chosen", "trial", "none" l  the client of the trial goes
 *      of this server, "waits" for the trial
 *   +N so many milliseconds pass                  u  a reload: it is not checked any more */
struct row {
    const char *name;
    unsigned breaker_fails; /* pause 10 s */
    bool checks;            /* fall 3, rise 2 */
    bool alone;             /* there is no other server, which would be up */
    const char *events, *seen;
};

#define DOWN "down(connection refused)"
#define CHECKED_DOWN "down(health check: status 500)"
#define TRIED_UP "up(a request to try it was answered)"
#define CHECKED_UP "up(2 checks passed)"

static const struct row rows[] = {
    {"without breaker and checks it is always up", 0, false, false, "f f f f f f f f ? s ?", "chosen chosen"},
    {"only failures in a row count", 3, false, false, "f f s f f ? f ?", "chosen " DOWN " none"},
    {"one failure may be enough", 1, false, false, "? f ?", "chosen " DOWN " none"},
    {"it is told once", 3, false, false, "f f f f f f f f", DOWN},
    {"after the pause one request tries it, and only one", 3, false, false, "f f f ? +9999 ? +1 ? ? ? s ? ?",
     DOWN " none none trial none none " TRIED_UP " chosen chosen"},
    {"each trial that fails doubles the pause, up to a minute", 3, false, false,
     "f f f +9999 ? +1 ? f +19999 ? +1 ? f +39999 ? +1 ? f +59999 ? +1 ? f +59999 ? +1 ? s",
     DOWN " none trial none trial none trial none trial none trial " TRIED_UP},
    {"who comes back begins with the first pause again", 3, false, false,
     "f f f +10000 ? f +20000 ? s f f ? f +9999 ? +1 ?",
     DOWN " trial trial " TRIED_UP " chosen " DOWN " none trial"},
    {"a trial whose client goes is the next request's", 3, false, false, "f f f +10000 ? l ? ? s",
     DOWN " trial trial none " TRIED_UP},
    {"a lost trial does not make the pause longer", 3, false, false, "f f f +10000 ? l ? f +19999 ? +1 ?",
     DOWN " trial trial none trial"},
    {"a trial that says nothing for a minute is over", 3, false, false, "f f f +10000 ? +59999 ? +1 ? s",
     DOWN " trial none trial " TRIED_UP},
    {"answers to requests from before change nothing", 3, false, false, "f f f s s ? +10000 s ?",
     DOWN " none trial"},
    {"failures of requests from before do not make the pause longer", 3, false, false,
     "f f f f f +5000 f f +5000 ?", DOWN " trial"},
    {"checks take it out after three failures in a row", 0, true, false, "x x ? p x x ? x ?",
     "chosen chosen " CHECKED_DOWN " none"},
    {"checks bring it back after two passes in a row", 0, true, false, "x x x p ? x p ? p ?",
     CHECKED_DOWN " none none " CHECKED_UP " chosen"},
    {"what checks took out is not tried by requests", 3, true, false, "x x x +999999 ? f s ? p p ?",
     CHECKED_DOWN " none none " CHECKED_UP " chosen"},
    {"requests that fail do not take out what has no breaker", 0, true, false, "f f f f f f ? p p", "chosen"},
    {"checks take over from an open circuit", 3, true, false, "f f f x x x +10000 ? p ? p ?",
     DOWN " none none " CHECKED_UP " chosen"},
    {"checks that fail before the third leave the trial to requests", 3, true, false, "f f f x x +10000 ? s",
     DOWN " trial " TRIED_UP},
    {"checks that pass end the first pause", 3, true, false, "f f f p ? p ? ? s ?",
     DOWN " none trial none " TRIED_UP " chosen"},
    {"passes from before the failures do not", 3, true, false, "p p p p f f f ? p ? p ?",
     DOWN " none none trial"},
    {"when the trial fails nevertheless the pauses run their time", 3, true, false,
     "f f f p p ? f p p p p ? +19999 p ? +1 ? s", DOWN " trial none none trial " TRIED_UP},
    {"checks take over from a trial", 3, true, false, "f f f +10000 ? x x x s ? p p ?",
     DOWN " trial none " CHECKED_UP " chosen"},
    {"without checks it is up", 0, true, false, "x x x ? u ? ?",
     CHECKED_DOWN " none up(it is not checked any more) chosen chosen"},
    {"without checks an open circuit stays open", 3, true, false, "f f f p u p ? +10000 ?",
     DOWN " none trial"},
    {"without another server it is tried each second", 3, false, true,
     "f f f ? +999 ? +1 ? ? f +999 ? +1 ? s ?", DOWN " none none trial waits none trial " TRIED_UP " chosen"},
    {"requests wait for the trial, but not for long", 3, false, true, "f f f +1000 ? ? +999 ? +1 ? s ?",
     DOWN " trial waits waits none " TRIED_UP " chosen"},
    {"also when the pauses have become long", 3, false, true,
     "f f f +1000 ? f +1000 ? f +1000 ? f +1000 ? f +1000 ? f +999 ? +1 ?",
     DOWN " trial trial trial trial trial none trial"},
    {"but not when checks have taken it out", 3, true, true, "f f f +1000 ? f x x x +9999 ? p ? p ?",
     DOWN " trial none none " CHECKED_UP " chosen"},
};

static void happens(struct scene *s, struct group *group, const char *event)
{
    struct upstream *u = group->members[0].upstream;
    switch (event[0]) {
    case 'f': scene_fail(s, group, 0, 1); break;
    case 's': upstream_succeeded(&s->registry, group, u, s->now_ms); break;
    case 'l': upstream_trial_lost(u, s->now_ms); break;
    case 'x': upstream_check_failed(&s->registry, group, u, s->now_ms, "status 500"); break;
    case 'p': upstream_check_passed(&s->registry, group, u, s->now_ms); break;
    case 'u':
        s->config.check_path = NULL;
        registry_use(&s->registry, &group, 1, s->now_ms);
        break;
    case '+': s->now_ms += strtoull(event + 1, NULL, 10); break;
    case '?': {
        struct pick pick = {.now_ms = s->now_ms};
        int member = group_pick(group, 0, &pick);
        assert_true(member == 0 || !pick.trial);
        assert_true(member >= 0 || group->count == 1);
        scene_tell(s, member == PICK_ALL_BUSY ? "waits"
                      : member != 0           ? "none"
                      : pick.trial            ? "trial"
                                              : "chosen");
        break;
    }
    default: fail();
    }
}

static void what_takes_a_server_out_and_what_brings_it_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct scene s;
        scene_init(&s, row->alone ? 1 : 2);
        s.config.policy = POLICY_LEAST_CONN; /* the other one is busy: the first choice is this */
        s.config.breaker_fails = row->breaker_fails;
        if (row->checks) s.config.check_path = "/healthz";
        struct group *group = scene_group(&s);
        if (!row->alone) group->members[1].upstream->active = 10;
        for (const char *event = row->events; *event; event += strcspn(event, " "), event += *event == ' ')
            happens(&s, group, event);
        if (strcmp(s.told, row->seen) != 0)
            fail_msg("%s: %s\n  seen \"%s\"\n  not  \"%s\"", row->name, row->events, s.told, row->seen);
        group_free(&s.registry, group);
        scene_end(&s);
    }
}

static void a_longer_pause_than_a_minute_stays_what_it_is(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.config.policy = POLICY_LEAST_CONN;
    s.config.breaker_fails = 1;
    s.config.breaker_pause_ms = 3600 * 1000;
    struct group *group = scene_group(&s);
    group->members[1].upstream->active = 10;
    scene_fail(&s, group, 0, 1);
    for (int i = 0; i < 3; i++) {
        s.now_ms += 3600 * 1000 - 1;
        assert_int_equal(scene_pick(&s, group), 1);
        s.now_ms++;
        assert_int_equal(scene_pick(&s, group), 0);
        scene_fail(&s, group, 0, 1);
    }
    group_free(&s.registry, group);
    scene_end(&s);
}

static void what_is_told_fits_whatever_the_words(void **state)
{
    (void)state;
    char words[1000], why[UPSTREAM_WHY_BYTES];
    struct scene s;
    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = 0;
    scene_init(&s, 1);
    s.config.breaker_fails = 1;
    struct group *group = scene_group(&s);
    struct upstream *u = group->members[0].upstream;
    upstream_why(u, why);
    assert_string_equal(why, "");
    upstream_failed(&s.registry, group, u, s.now_ms, words);
    upstream_why(u, why);
    assert_int_equal(strlen(why), UPSTREAM_WHY_BYTES - 1);
    upstream_check_failed(&s.registry, group, u, s.now_ms, words);
    upstream_why(u, why);
    assert_int_equal(strlen(why), UPSTREAM_WHY_BYTES - 1);
    assert_int_equal(u->failures, 1);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void retry_after_is_when_the_first_of_them_may_be_back(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.config.breaker_fails = 1;
    struct group *group = scene_group(&s);
    scene_fail(&s, group, 0, 1);
    scene_fail(&s, group, 1, 1);
    assert_int_equal(scene_pick(&s, group), PICK_ALL_DOWN);
    assert_int_equal(group_retry_after_s(group, s.now_ms), 1); /* both are tried then */
    s.now_ms += 1000;
    assert_int_equal(group_retry_after_s(group, s.now_ms), 1);
    assert_in_range(scene_pick(&s, group), 0, 1); /* on trial */
    assert_int_equal(group_retry_after_s(group, s.now_ms), 1);
    group_free(&s.registry, group);

    s.config.check_path = "/";
    s.config.name = "checked.test";
    s.config.check_interval_ms = 5000;
    group = scene_group(&s);
    for (int member = 0; member < 2; member++)
        for (int i = 0; i < 3; i++)
            upstream_check_failed(&s.registry, group, group->members[member].upstream, s.now_ms,
                                  "status 500");
    assert_int_equal(group_retry_after_s(group, s.now_ms), 10); /* two checks */
    upstream_check_passed(&s.registry, group, group->members[1].upstream, s.now_ms);
    assert_int_equal(group_retry_after_s(group, s.now_ms), 5);
    group_free(&s.registry, group);
    scene_end(&s);
}

static void a_server_that_comes_back_has_a_slow_start(void **state)
{
    (void)state;
    struct scene s;
    scene_init(&s, 2);
    s.config.breaker_fails = 1;
    s.config.slow_start_ms = 20000;
    s.now_ms = 100; /* the machine has just started */
    struct group *group = scene_group(&s);
    unsigned second = 0;
    for (int i = 0; i < 100; i++)
        second += scene_pick(&s, group) == 1;
    assert_int_equal(second, 50); /* both are there from the beginning */
    scene_fail(&s, group, 1, 1);
    s.now_ms += 10000;
    while (scene_pick(&s, group) != 1)
        continue;
    upstream_succeeded(&s.registry, group, group->members[1].upstream, s.now_ms);
    static const struct {
        unsigned after_ms, share; /* of 1000 */
    } table[] = {{0, 90}, {2000, 90}, {5000, 200}, {10000, 333}, {20000, 500}, {100000, 500}};
    uint64_t back = s.now_ms;
    for (size_t t = 0; t < sizeof table / sizeof table[0]; t++) {
        s.now_ms = back + table[t].after_ms;
        second = 0;
        for (int i = 0; i < 1000; i++)
            second += scene_pick(&s, group) == 1;
        assert_in_range(second, table[t].share - 5, table[t].share + 5);
    }
    group_free(&s.registry, group);
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_a_server_out_and_what_brings_it_back),
        cmocka_unit_test(a_longer_pause_than_a_minute_stays_what_it_is),
        cmocka_unit_test(what_is_told_fits_whatever_the_words),
        cmocka_unit_test(retry_after_is_when_the_first_of_them_may_be_back),
        cmocka_unit_test(a_server_that_comes_back_has_a_slow_start),
    };
    return cmocka_run_group_tests_name("upstream_state", tests, NULL, NULL);
}
