/* Sessions: who has one, what it holds, when it ends. */
#include <time.h>
#include <unistd.h>

#include "world.h"

static struct wr_sessions *sessions;

static void login(struct wr_request *r, void *context)
{
    (void)context;
    assert_int_equal(wr_session_start(sessions, r), WR_OK);
    assert_int_equal(wr_session_set(sessions, r, "user", wr_request_query(r, "user")), WR_OK);
    assert_true(wr_session_exists(sessions, r)); /* at once, though no cookie came */
    wr_respond_text(r, 200, "in");
}

static void who(struct wr_request *r, void *context)
{
    (void)context;
    const char *user = wr_session_get(sessions, r, "user");
    wr_respond_text(r, user ? 200 : 401, user ? user : "nobody");
}

static void set(struct wr_request *r, void *context)
{
    (void)context;
    char text[16];
    int rc = wr_session_set(sessions, r, wr_request_query(r, "key"), wr_request_query(r, "value"));
    snprintf(text, sizeof text, "%d", rc);
    wr_respond_text(r, 200, text);
}

static void get(struct wr_request *r, void *context)
{
    (void)context;
    const char *value = wr_session_get(sessions, r, wr_request_query(r, "key"));
    wr_respond_text(r, 200, value ? value : "(none)");
}

static void logout(struct wr_request *r, void *context)
{
    (void)context;
    wr_session_end(sessions, r);
    wr_respond_text(r, 200, "out");
}

static void begin(struct world *w, const struct wr_session_options *options, unsigned workers)
{
    struct wr_config config;
    wr_config_init(&config);
    config.workers = workers;
    world_init(w, &config);
    sessions = wr_sessions_new(w->app, options);
    assert_non_null(sessions);
    assert_int_equal(wr_route(w->app, "POST", "/login", login, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "GET", "/who", who, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "GET", "/set", set, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "GET", "/get", get, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "POST", "/logout", logout, NULL), WR_OK);
    world_run(w);
}

enum { TOKEN = 64 };

/* Logs in, sending the cookie that is there; takes the new one. */
static void enter(const struct world *w, const char *user, char cookie[TOKEN + 1])
{
    char head[300];
    snprintf(head, sizeof head, "POST /login?user=%s HTTP/1.1\r\nCookie: session=%s\r\n", user, cookie);
    const char *answer = ask(w, head);
    assert_starts(answer, "HTTP/1.1 200");
    const char *set_cookie = strstr(answer, "Set-Cookie: session=");
    assert_non_null(set_cookie);
    assert_has(set_cookie, "HttpOnly");
    assert_has(set_cookie, "SameSite=Lax");
    assert_has(set_cookie, "Path=/");
    assert_has_not(set_cookie, "Secure"); /* plain http */
    memcpy(cookie, set_cookie + strlen("Set-Cookie: session="), TOKEN);
    cookie[TOKEN] = 0;
    assert_int_equal(strspn(cookie, "0123456789abcdef"), TOKEN);
}

static const char *ask_with(const struct world *w, const char *method_and_path, const char *cookie)
{
    char head[8192];
    snprintf(head, sizeof head, "%s HTTP/1.1\r\nCookie: other=1; session=%s\r\n", method_and_path, cookie);
    return ask(w, head);
}

static void a_session_is_its_cookie(void **state)
{
    (void)state;
    struct world w;
    char an[TOKEN + 1] = "", binh[TOKEN + 1] = "", old[TOKEN + 1];
    begin(&w, NULL, 3);
    assert_starts(ask(&w, "GET /who HTTP/1.1\r\n"), "HTTP/1.1 401");
    enter(&w, "an", an);
    enter(&w, "binh", binh);
    assert_string_not_equal(an, binh);
    for (int i = 0; i < 10; i++) { /* whichever worker is asked */
        assert_has(ask_with(&w, "GET /who", an), "\r\n\r\nan");
        assert_has(ask_with(&w, "GET /who", binh), "\r\n\r\nbinh");
    }
    assert_int_equal(wr_session_count(sessions), 2);
    /* One digit off, cut, longer, upper case: nobody. */
    memcpy(old, an, sizeof old);
    old[10] = old[10] == '0' ? '1' : '0';
    assert_starts(ask_with(&w, "GET /who", old), "HTTP/1.1 401");
    assert_starts(ask_with(&w, "GET /who", "abc"), "HTTP/1.1 401");
    /* Logging in again ends the session that was there: nobody can plant one. */
    memcpy(old, an, sizeof old);
    enter(&w, "an2", an);
    assert_string_not_equal(an, old);
    assert_starts(ask_with(&w, "GET /who", old), "HTTP/1.1 401");
    assert_has(ask_with(&w, "GET /who", an), "an2");
    assert_has(ask_with(&w, "POST /logout", an), "Max-Age=0");
    assert_starts(ask_with(&w, "GET /who", an), "HTTP/1.1 401");
    assert_has(ask_with(&w, "GET /who", binh), "binh");
    assert_has_not(ask_with(&w, "POST /logout", an), "Set-Cookie"); /* there is none any more */
    world_end(&w);
}

static void values_are_kept_within_the_limit(void **state)
{
    (void)state;
    struct world w;
    struct wr_session_options options;
    char an[TOKEN + 1] = "";
    wr_session_options_init(&options);
    options.session_bytes_max = 40;
    begin(&w, &options, 1);
    assert_has(ask(&w, "GET /set?key=a&value=b HTTP/1.1\r\n"), "\r\n\r\n-1"); /* no session */
    enter(&w, "an", an);                                                      /* "user" "an": 8 bytes */
    assert_has(ask_with(&w, "GET /set?key=colour&value=red", an), "\r\n\r\n0");
    assert_has(ask_with(&w, "GET /set?key=colour&value=green", an), "\r\n\r\n0");
    assert_has(ask_with(&w, "GET /get?key=colour", an), "green");
    assert_has(ask_with(&w, "GET /who", an), "\r\n\r\nan");
    assert_has(ask_with(&w, "GET /set?key=k&value=12345678901234567890", an), "\r\n\r\n-6"); /* full */
    assert_has(ask_with(&w, "GET /get?key=k", an), "(none)");
    assert_has(ask_with(&w, "GET /set?key=colour", an), "\r\n\r\n0"); /* removed */
    assert_has(ask_with(&w, "GET /get?key=colour", an), "(none)");
    assert_has(ask_with(&w, "GET /set?key=k&value=12345678901234567890", an), "\r\n\r\n0");
    assert_has(ask_with(&w, "GET /get?key=k", an), "12345678901234567890");
    assert_has(ask_with(&w, "GET /who", an), "\r\n\r\nan");
    world_end(&w);
}

static void the_one_unused_for_longest_gives_way(void **state)
{
    (void)state;
    struct world w;
    struct wr_session_options options;
    char cookies[4][TOKEN + 1] = {"", "", "", ""};
    wr_session_options_init(&options);
    options.sessions_max = 3;
    options.strict = false;
    begin(&w, &options, 1);
    enter(&w, "zero", cookies[0]);
    enter(&w, "one", cookies[1]);
    enter(&w, "two", cookies[2]);
    assert_has(ask_with(&w, "GET /who", cookies[0]), "zero"); /* used again */
    enter(&w, "three", cookies[3]);
    assert_int_equal(wr_session_count(sessions), 3);
    assert_starts(ask_with(&w, "GET /who", cookies[1]), "HTTP/1.1 401");
    assert_has(ask_with(&w, "GET /who", cookies[0]), "zero");
    assert_has(ask_with(&w, "GET /who", cookies[2]), "two");
    assert_has(ask_with(&w, "GET /who", cookies[3]), "three");
    assert_int_equal(wr_session_end_all(sessions, "user", "two"), 1);
    assert_int_equal(wr_session_end_all(sessions, "user", "two"), 0);
    assert_starts(ask_with(&w, "GET /who", cookies[2]), "HTTP/1.1 401");
    assert_has(ask_with(&w, "GET /who", cookies[3]), "three");
    world_end(&w);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void sessions_expire(void **state)
{
    (void)state;
    struct world w;
    struct wr_session_options options;
    char idle[TOKEN + 1] = "", used[TOKEN + 1] = "";
    wr_session_options_init(&options);
    options.lifetime_s = 3;
    options.lifetime_max_s = 6;
    begin(&w, &options, 1);
    double began = seconds(), now = began;
    enter(&w, "idle", idle);
    enter(&w, "used", used);
    bool renewed = false, gone = false;
    while (!gone && now - began < 60) {
        usleep(100 * 1000);
        gone = strncmp(ask_with(&w, "GET /who", used), "HTTP/1.1 401", 12) == 0;
        now = seconds();
        renewed |= !gone && now - began > 4; /* beyond the time that it may be unused; whole seconds count */
    }
    assert_true(gone);
    assert_true(renewed);
    assert_true(now - began > 5); /* it lived until the lifetime in all was over */
    assert_starts(ask_with(&w, "GET /who", idle), "HTTP/1.1 401");
    assert_int_equal(wr_session_count(sessions), 0);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_its_cookie),
        cmocka_unit_test(values_are_kept_within_the_limit),
        cmocka_unit_test(the_one_unused_for_longest_gives_way),
        cmocka_unit_test(sessions_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
