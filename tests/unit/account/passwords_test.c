/* Password jobs on worker threads: verdicts, bounds, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include <cmocka.h>

#include "account/passwords.h"

struct outcome {
    int ran, result;
    char hash[PASSWORD_HASH_BYTES];
};

static void take(void *context, int result, slice hash)
{
    struct outcome *outcome = context;
    outcome->ran++;
    outcome->result = result;
    snprintf(outcome->hash, sizeof outcome->hash, "%.*s", (int)hash.len,
             hash.len ? (const char *)hash.ptr : "");
}

static int verify(struct passwords *p, uv_loop_t *loop, const char *password, slice hash)
{
    struct outcome outcome = {0};
    assert_int_equal(passwords_verify(p, slice_text(password), hash, take, &outcome), OK);
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(outcome.ran, 1);
    return outcome.result;
}

static void a_hash_accepts_its_password_and_no_other(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct passwords p;
    struct outcome outcome = {0};
    uv_loop_init(&loop);
    passwords_init(&p, &loop);
    assert_int_equal(passwords_hash(&p, SLICE("correct horse"), take, &outcome), OK);
    assert_int_equal(outcome.ran, 0); /* not on this thread */
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(outcome.ran, 1);
    assert_int_equal(outcome.result, OK);
    slice hash = slice_text(outcome.hash);
    assert_int_equal(verify(&p, &loop, "correct horse", hash), OK);
    assert_int_equal(verify(&p, &loop, "correct horsf", hash), ERR_AUTH);
    assert_int_equal(verify(&p, &loop, "", hash), ERR_AUTH);
    /* Nobody's hash costs the same and accepts nothing. */
    assert_int_equal(verify(&p, &loop, "correct horse", SLICE_EMPTY), ERR_AUTH);
    assert_int_equal(verify(&p, &loop, "anything", SLICE("not a hash")), ERR_AUTH);
    uv_loop_close(&loop);
}

static void hashes_are_argon2id_with_64_mib_and_two_passes(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct passwords p;
    struct outcome outcome = {0};
    uv_loop_init(&loop);
    passwords_init(&p, &loop);
    assert_int_equal(passwords_hash(&p, SLICE("correct horse"), take, &outcome), OK);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(strncmp(outcome.hash, "$argon2id$v=19$m=65536,t=2,p=1$", 31), 0);
    uv_loop_close(&loop);
}

static void too_many_at_once_are_refused_and_the_rest_is_done(void **state)
{
    (void)state;
    enum { ALL = PASSWORDS_RUNNING_MAX + PASSWORDS_WAITING_MAX };
    static struct outcome outcomes[ALL + 1];
    memset(outcomes, 0, sizeof outcomes);
    uv_loop_t loop;
    struct passwords p;
    uv_loop_init(&loop);
    passwords_init(&p, &loop);
    for (int i = 0; i < ALL; i++)
        assert_int_equal(passwords_verify(&p, SLICE("x"), SLICE("not a hash"), take, &outcomes[i]), OK);
    assert_int_equal(p.running, PASSWORDS_RUNNING_MAX);
    assert_int_equal(passwords_verify(&p, SLICE("x"), SLICE("not a hash"), take, &outcomes[ALL]), ERR_BUSY);
    uv_run(&loop, UV_RUN_DEFAULT);
    for (int i = 0; i < ALL; i++)
        assert_int_equal(outcomes[i].ran, 1);
    assert_int_equal(outcomes[ALL].ran, 0);
    static const uint8_t long_password[PASSWORD_BYTES_MAX + 1];
    slice password = slice_of(long_password, sizeof long_password);
    assert_int_equal(passwords_hash(&p, password, take, &outcomes[ALL]), ERR_TOO_LARGE);
    uv_loop_close(&loop);
}

static void at_the_end_what_waits_is_told_and_what_runs_is_finished(void **state)
{
    (void)state;
    enum { ALL = 5 };
    struct outcome outcomes[ALL + 1] = {{0}};
    uv_loop_t loop;
    struct passwords p;
    uv_loop_init(&loop);
    passwords_init(&p, &loop);
    for (int i = 0; i < ALL; i++)
        assert_int_equal(passwords_hash(&p, SLICE("x"), take, &outcomes[i]), OK);
    passwords_stop(&p);
    for (int i = 0; i < ALL; i++) {
        assert_int_equal(outcomes[i].ran, i >= PASSWORDS_RUNNING_MAX);
        if (outcomes[i].ran) assert_int_equal(outcomes[i].result, ERR_CLOSED);
    }
    assert_int_equal(passwords_hash(&p, SLICE("x"), take, &outcomes[ALL]), ERR_CLOSED);
    assert_true(passwords_running(&p));
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_false(passwords_running(&p));
    assert_int_equal(outcomes[0].result, OK);
    uv_loop_close(&loop);
}

static int start(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_accepts_its_password_and_no_other),
        cmocka_unit_test(hashes_are_argon2id_with_64_mib_and_two_passes),
        cmocka_unit_test(too_many_at_once_are_refused_and_the_rest_is_done),
        cmocka_unit_test(at_the_end_what_waits_is_told_and_what_runs_is_finished),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
