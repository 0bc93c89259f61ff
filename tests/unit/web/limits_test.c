/* Slow, silent, greedy and impatient clients; handlers that do not answer; stopping. */
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "world.h"

enum { SHORT_MS = 400, SLACK_MS = 2000, BIG_BYTES = 16 * 1024 * 1024 };

static unsigned char *big;
static int calls, answers;

static void hello(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "hello");
}

static void much(struct wr_request *request, void *context)
{
    (void)context;
    __atomic_add_fetch(&answers, 1, __ATOMIC_RELEASE);
    wr_respond_bytes(request, 200, "text/plain", big, BIG_BYTES);
}

/* Keeps the request; the test says when it is answered. */
static struct wr_request *kept;

static void keep(struct wr_request *request, void *context)
{
    (void)context;
    kept = request;
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELEASE);
}

static uv_async_t answer_now;

static void on_answer(uv_async_t *async)
{
    (void)async;
    char text[64];
    snprintf(text, sizeof text, "gone %d path %s", wr_request_gone(kept), wr_request_path(kept));
    wr_respond_text(kept, 200, text);
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELEASE);
}

static uv_async_t close_it;

static void on_close_it(uv_async_t *async)
{
    uv_close((uv_handle_t *)&answer_now, NULL);
    uv_close((uv_handle_t *)async, NULL);
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELEASE);
}

static void begin(struct world *w, struct wr_config *config)
{
    calls = answers = 0;
    world_init(w, config);
    assert_int_equal(wr_route(w->app, "GET POST", "/", hello, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "GET", "/much", much, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "GET", "/keep", keep, NULL), WR_OK);
    uv_async_init(wr_loop(w->app), &answer_now, on_answer);
    uv_async_init(wr_loop(w->app), &close_it, on_close_it);
    world_run(w);
}

static void end(struct world *w)
{
    int before = __atomic_load_n(&calls, __ATOMIC_ACQUIRE);
    uv_async_send(&close_it);
    wait_for(&calls, before + 1);
    world_end(w);
}

static struct wr_config short_config(void)
{
    struct wr_config config;
    wr_config_init(&config);
    config.header_timeout_ms = config.body_timeout_ms = config.idle_timeout_ms = config.answer_timeout_ms =
        config.write_timeout_ms = SHORT_MS;
    return config;
}

static void assert_about(int ms)
{
    if (ms < SHORT_MS - 50 || ms > SHORT_MS + SLACK_MS) fail_msg("after %d ms", ms);
}

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config = short_config();
    begin(&w, &config);
    int fd = client_connect(&w), ms;
    bool closed;
    client_send(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const char *text = client_read(fd, 10000, &ms, &closed);
    assert_true(closed);
    assert_about(ms);
    assert_starts(text, "HTTP/1.1 200 ");
    assert_has_not(text, "408");
    close(fd);
    end(&w);
}

/* Sends a byte every 20 ms until the server has had enough: a trickle does not help. */
static const char *trickle(struct world *w, const char *start, int *out_ms)
{
    int fd = client_connect(w), ms = 0, total = 0;
    bool closed = false;
    const char *text = "";
    client_send(fd, start);
    while (!closed && total < 10000 && !text[0]) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) < 0) break;
        text = client_read(fd, 20, &ms, &closed);
        total += ms;
    }
    *out_ms = total;
    close(fd);
    return text;
}

static void a_slow_header_and_a_slow_body_get_408(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config = short_config();
    begin(&w, &config);
    int ms;
    assert_starts(trickle(&w, "GET / HTTP/1.1\r\nHost: a\r\nX: ", &ms), "HTTP/1.1 408 ");
    assert_about(ms);
    assert_starts(trickle(&w, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n", &ms),
                  "HTTP/1.1 408 ");
    assert_about(ms);
    end(&w);
}

static void a_handler_that_does_not_answer_gives_503_and_its_late_answer_goes_nowhere(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config = short_config();
    begin(&w, &config);
    int fd = client_connect(&w), ms;
    bool closed;
    client_send(fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    const char *text = client_read(fd, 10000, &ms, &closed);
    assert_starts(text, "HTTP/1.1 503 ");
    assert_true(closed);
    assert_true(ms >= SHORT_MS - 50);
    uv_async_send(&answer_now);
    wait_for(&calls, 2);
    close(fd);
    assert_has(ask(&w, "GET / HTTP/1.1\r\n"), "hello");
    end(&w);
}

static void a_late_answer_arrives_and_one_for_a_lost_client_is_harmless(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "GET /keep HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_for(&calls, 1);
    uv_async_send(&answer_now);
    assert_has(client_read(fd, 5000, NULL, NULL), "gone 0 path /keep");
    close(fd);
    fd = client_connect(&w);
    client_send(fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&calls, 3);
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    assert_has(ask(&w, "GET / HTTP/1.1\r\n"), "hello"); /* by now the reset has been seen */
    uv_async_send(&answer_now);
    wait_for(&calls, 4);
    end(&w);
}

static void a_client_that_does_not_take_its_answer_is_cut(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config = short_config();
    config.idle_timeout_ms = 60000;
    begin(&w, &config);
    int fd = client_connect(&w);
    client_send(fd, "GET /much HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 200 && wr_connections(w.app) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    for (int i = 0; i < 500 && wr_connections(w.app) == 1; i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    assert_int_equal(wr_connections(w.app), 0);
    close(fd);
    end(&w);
}

/* A reader that is slow but takes something is not cut. */
static void a_slow_reader_gets_everything(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config = short_config();
    config.idle_timeout_ms = SHORT_MS;
    begin(&w, &config);
    int fd = client_connect(&w);
    client_send(fd, "GET /much HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    size_t total = 0;
    static char piece[1 << 20];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0) {
        total += (size_t)n;
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    assert_true(total > BIG_BYTES);
    close(fd);
    end(&w);
}

static void over_the_limit_connections_wait_until_others_close(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config;
    wr_config_init(&config);
    config.connections_max = 2;
    config.defer_accept = false;
    begin(&w, &config);
    int fds[4];
    bool closed;
    for (int i = 0; i < 4; i++) {
        fds[i] = client_connect(&w);
        client_send(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert_has(client_read(fds[0], 300, NULL, &closed), "hello");
    assert_has(client_read(fds[1], 300, NULL, &closed), "hello");
    assert_string_equal(client_read(fds[2], 300, NULL, &closed), "");
    assert_false(closed);
    close(fds[0]);
    assert_has(client_read(fds[2], 1000, NULL, &closed), "hello");
    assert_string_equal(client_read(fds[3], 200, NULL, &closed), "");
    close(fds[1]);
    assert_has(client_read(fds[3], 1000, NULL, &closed), "hello");
    close(fds[2]);
    close(fds[3]);
    assert_has(ask(&w, "GET / HTTP/1.1\r\n"), "hello");
    end(&w);
}

static void one_address_has_only_so_many_connections(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config;
    wr_config_init(&config);
    config.connections_per_address_max = 3;
    begin(&w, &config);
    int fds[4];
    bool closed;
    for (int i = 0; i < 3; i++) {
        fds[i] = client_connect(&w);
        client_send(fds[i], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_has(client_read(fds[i], 200, NULL, &closed), "hello");
    }
    fds[3] = client_connect(&w);
    client_send(fds[3], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(client_read(fds[3], 1000, NULL, &closed), "");
    assert_true(closed);
    close(fds[0]);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    assert_has(ask(&w, "GET / HTTP/1.1\r\n"), "hello");
    for (int i = 1; i < 4; i++)
        close(fds[i]);
    end(&w);
}

static void a_silent_connection_costs_nothing_until_it_speaks(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_int_equal(wr_connections(w.app), 0);
    client_send(fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(client_read(fd, 300, NULL, NULL), "hello");
    assert_int_equal(wr_connections(w.app), 1);
    close(fd);
    end(&w);
}

static void a_client_that_sends_ahead_without_end_is_not_kept_in_memory(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&calls, 1);
    /* Pipelined bytes go into the kernel's buffers and then nowhere. */
    static char more[1 << 16];
    memset(more, 'x', sizeof more);
    size_t taken = 0;
    for (int i = 0; i < 2000; i++) {
        ssize_t n = send(fd, more, sizeof more, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) taken += (size_t)n;
        if (n < 0) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_true(taken < 64 * 1024 * 1024);
    close(fd);
    uv_async_send(&answer_now);
    wait_for(&calls, 2);
    end(&w);
}

/* One answer may wait for the client; the requests behind it wait too, and are answered when it reads. */
static void a_client_that_asks_on_and_takes_no_answer_is_not_answered_into_memory(void **state)
{
    (void)state;
    struct world w;
    enum { REQUESTS = 8 };
    begin(&w, NULL);
    int fd = client_connect(&w);
    for (int i = 0; i < REQUESTS; i++)
        client_send(fd, "GET /much HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    assert_int_equal(__atomic_load_n(&answers, __ATOMIC_ACQUIRE), 1);
    size_t total = 0;
    static char piece[1 << 20];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        total += (size_t)n;
    assert_true(total > (size_t)REQUESTS * BIG_BYTES);
    assert_int_equal(__atomic_load_n(&answers, __ATOMIC_ACQUIRE), REQUESTS);
    close(fd);
    end(&w);
}

static void stopping_cuts_what_does_not_end_and_freeing_releases_what_is_kept(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config;
    wr_config_init(&config);
    config.drain_timeout_ms = SHORT_MS;
    begin(&w, &config);
    int fd = client_connect(&w), ms;
    bool closed;
    client_send(fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&calls, 1);
    wr_stop(w.app);
    client_read(fd, 10000, &ms, &closed);
    assert_true(closed);
    assert_about(ms);
    pthread_join(w.thread, NULL);
    uv_close((uv_handle_t *)&answer_now, NULL);
    uv_close((uv_handle_t *)&close_it, NULL);
    wr_app_free(w.app); /* the request that nobody answered goes with it */
    close(fd);
}

int main(void)
{
    big = malloc(BIG_BYTES);
    memset(big, 'b', BIG_BYTES);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_connection_is_closed_without_a_word),
        cmocka_unit_test(a_slow_header_and_a_slow_body_get_408),
        cmocka_unit_test(a_handler_that_does_not_answer_gives_503_and_its_late_answer_goes_nowhere),
        cmocka_unit_test(a_late_answer_arrives_and_one_for_a_lost_client_is_harmless),
        cmocka_unit_test(a_client_that_does_not_take_its_answer_is_cut),
        cmocka_unit_test(a_slow_reader_gets_everything),
        cmocka_unit_test(over_the_limit_connections_wait_until_others_close),
        cmocka_unit_test(one_address_has_only_so_many_connections),
        cmocka_unit_test(a_silent_connection_costs_nothing_until_it_speaks),
        cmocka_unit_test(a_client_that_sends_ahead_without_end_is_not_kept_in_memory),
        cmocka_unit_test(a_client_that_asks_on_and_takes_no_answer_is_not_answered_into_memory),
        cmocka_unit_test(stopping_cuts_what_does_not_end_and_freeing_releases_what_is_kept),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(big);
    return failed;
}
