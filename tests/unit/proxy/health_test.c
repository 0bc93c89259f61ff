/* Checks over real connections: what takes a server out, what brings it back, in words. */
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checker.h"

static void a_server_that_fails_is_taken_out_and_comes_back(void **state)
{
    (void)state;
    uint16_t port = server_new(200, NULL);
    checker_init(port);
    checker_run();
    until(&s.asked, 5);
    assert_int_equal(c.changes, 0);
    atomic_store(&s.status, 500);
    told("down: health check: status 500");
    atomic_store(&s.status, 204);
    told("up: 2 checks passed");
    world_end(&s.world); /* killed */
    told("down: health check: connection refused");
    server_begin(port, NULL); /* and started again */
    told("up: 2 checks passed");
    assert_int_equal(c.changes, 4);
    assert_int_equal(s.strange, 0);
    checker_end();
    world_end(&s.world);
}

static void a_silent_server_is_down_and_is_asked_one_at_a_time(void **state)
{
    (void)state;
    checker_init(server_new(SILENT, NULL));
    c.scene.config.check_timeout_ms = IMPATIENT_MS; /* many intervals */
    checker_run();
    told("down: health check: no answer in time");
    assert_true(s.asked >= 3);
    struct group *old = c.group; /* a reload does not begin a second row of checks */
    c.group = scene_group(&c.scene);
    checker_set();
    group_free(&c.scene.registry, old);
    until(&s.asked, s.asked + 4);
    assert_int_equal(s.open_max, 1);
    atomic_store(&s.status, 200);
    told("up: 2 checks passed");
    checker_end();
    world_end(&s.world);
}

static void a_redirect_passes_and_is_not_followed(void **state)
{
    (void)state;
    checker_init(server_new(302, NULL));
    snprintf(s.host, sizeof s.host, "chat.example");
    c.scene.config.check_host = "chat.example";
    checker_run();
    until(&s.asked, 6);
    assert_int_equal(c.changes, 0);
    assert_int_equal(s.elsewhere, 0);
    assert_int_equal(s.strange, 0);
    checker_end();
    world_end(&s.world);
}

static void checks_under_way_end_with_the_proxy(void **state)
{
    (void)state;
    checker_init(server_new(SILENT, NULL));
    checker_run();
    until(&s.asked, 1);
    checker_end(); /* long before the time limit */
    world_end(&s.world);
}

static void a_reload_goes_on_with_the_checks_and_ends_those_of_others(void **state)
{
    (void)state;
    checker_init(server_new(500, NULL));
    checker_run();
    told("down: health check: status 500");
    struct group *old = c.group;
    c.scene.config.check_rise = 3;
    c.group = scene_group(&c.scene);
    checker_set();
    group_free(&c.scene.registry, old);
    assert_int_equal(c.group->members[0].upstream->state, UPSTREAM_DOWN);
    atomic_store(&s.status, 200);
    told("up: 3 checks passed");
    atomic_store(&s.status, 500);
    told("down: health check: status 500");

    old = c.group;
    struct config_group unchecked = c.scene.config;
    unchecked.check_path = NULL;
    const char *why;
    assert_int_equal(group_new(&c.scene.registry, &unchecked, &c.group, &why), OK);
    checker_set(); /* a check that fails until now must not keep it down */
    registry_use(&c.scene.registry, &c.group, 1, c.scene.now_ms);
    told("up: it is not checked any more");
    group_free(&c.scene.registry, old);
    pause_ms(2 * INTERVAL_MS);
    unsigned asked = atomic_load(&s.asked);
    pause_ms(5 * INTERVAL_MS);
    assert_in_range(atomic_load(&s.asked), asked, asked + 1); /* one may have been on its way */
    checker_end();
    world_end(&s.world);
}

/* The program has no descriptor left: that says nothing about the server. */
static void trouble_of_ones_own_takes_no_server_out(void **state)
{
    (void)state;
    checker_init(server_new(200, NULL));
    c.scene.config.check_fall = 1;
    checker_run();
    until(&s.asked, 2);
    struct rlimit limit, none = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    pause_ms(10 * INTERVAL_MS);
    unsigned asked = atomic_load(&s.asked);
    pause_ms(5 * INTERVAL_MS);
    assert_int_equal(atomic_load(&s.asked), asked); /* it cannot */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    until(&s.asked, asked + 2);
    assert_int_equal(c.changes, 0);
    checker_end();
    world_end(&s.world);
}

/* --- answers of all kinds --- */

static struct raw {
    int fd;
    uint16_t port;
    pthread_t thread;
    const char *answer;
    size_t len;
    bool keeps; /* it leaves the connection open until the other side closes */
    atomic_uint asked;
} raw;

static void *answer_raw(void *argument)
{
    (void)argument;
    int fd;
    while ((fd = accept(raw.fd, NULL, NULL)) >= 0) {
        char request[1024];
        size_t len = 0;
        ssize_t got;
        while (len < sizeof request && (len < 4 || memcmp(request + len - 4, "\r\n\r\n", 4) != 0) &&
               (got = recv(fd, request + len, sizeof request - len, 0)) > 0)
            len += (size_t)got;
        (void)!send(fd, raw.answer, raw.len, MSG_NOSIGNAL);
        while (raw.keeps && recv(fd, request, sizeof request, 0) > 0)
            ;
        close(fd);
        atomic_fetch_add(&raw.asked, 1);
    }
    return NULL;
}

static void raw_begin(const char *answer, size_t len)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    raw.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(raw.fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(raw.fd, 8), 0);
    assert_int_equal(getsockname(raw.fd, (struct sockaddr *)&address, &size), 0);
    raw.port = ntohs(address.sin_port);
    raw.answer = answer;
    raw.len = len;
    raw.asked = 0;
    assert_int_equal(pthread_create(&raw.thread, NULL, answer_raw, NULL), 0);
}

static void raw_end(void)
{
    shutdown(raw.fd, SHUT_RDWR);
    pthread_join(raw.thread, NULL);
    close(raw.fd);
}

static void the_answer_must_be_one(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *told; /* NULL: it passes */
    } rows[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", NULL},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", NULL},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n"
         "Content-Length: 1\r\n\r\na",
         NULL},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", NULL},
        {"HTTP/1.1 399 Strange\r\nContent-Length: 100000\r\n\r\n", NULL}, /* the body never comes */
        {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "down: health check: status 400"},
        {"HTTP/1.1 503 Service Unavailable\r\n\r\n", "down: health check: status 503"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         "down: health check: status 101"},
        {"", "down: health check: the connection ended before an answer"},
        {"HTTP/1.1 200 OK\r\nServer: a", "down: health check: the connection ended before an answer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        raw_begin(rows[i].answer, strlen(rows[i].answer));
        checker_init(raw.port);
        checker_run();
        if (rows[i].told)
            told(rows[i].told);
        else
            until(&raw.asked, 4);
        assert_int_equal(c.changes, rows[i].told ? 1 : 0);
        checker_end();
        raw_end();
    }
}

/* "Connection: close" was asked for; who does not mind is not waited for. */
static void a_whole_answer_is_the_end(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: u\r\n\r\n",
    };
    raw.keeps = true;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        raw_begin(answers[i], strlen(answers[i]));
        checker_init(raw.port);
        checker_run();
        until(&raw.asked, 4); /* by the time limit of a check it would be a minute */
        assert_int_equal(c.changes, 0);
        checker_end();
        raw_end();
    }
    raw.keeps = false;
}

static void told_starts(const char *start)
{
    until(&c.changes, 1);
    assert_starts(c.told, start);
}

static void what_is_no_http_is_said_to_be_none(void **state)
{
    (void)state;
    static char large[1024 * 1024];
    memset(large, 'a', sizeof large);
    memcpy(large, "HTTP/1.1 200 OK\r\nX: ", 20);
    raw_begin("SSH-2.0-OpenSSH_9\r\n", 19);
    checker_init(raw.port);
    checker_run();
    told_starts("down: health check: no valid answer: ");
    checker_end();
    raw_end();

    raw_begin(large, sizeof large);
    checker_init(raw.port);
    checker_run();
    until(&c.changes, 1);
    assert_has(c.told, "too large");
    checker_end();
    raw_end();

    memcpy(large, "HTTP/1.0 200 OK\r\n\r\n", 19); /* a large body is none of its business */
    raw_begin(large, sizeof large);
    checker_init(raw.port);
    checker_run();
    until(&raw.asked, 5);
    assert_int_equal(c.changes, 0);
    checker_end();
    raw_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_fails_is_taken_out_and_comes_back),
        cmocka_unit_test(a_silent_server_is_down_and_is_asked_one_at_a_time),
        cmocka_unit_test(a_redirect_passes_and_is_not_followed),
        cmocka_unit_test(checks_under_way_end_with_the_proxy),
        cmocka_unit_test(a_reload_goes_on_with_the_checks_and_ends_those_of_others),
        cmocka_unit_test(trouble_of_ones_own_takes_no_server_out),
        cmocka_unit_test(the_answer_must_be_one),
        cmocka_unit_test(a_whole_answer_is_the_end),
        cmocka_unit_test(what_is_no_http_is_said_to_be_none),
    };
    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
