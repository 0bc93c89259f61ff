/* Programs that use what the headers allow in ways that nobody thought of. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "world.h"

static struct world w;

static void add(int *count)
{
    __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
}

/* --- a piece is valid during the call, also after the answer --- */

static char seen[65536];

static void answer_then_look(struct wr_request *r, const void *bytes, size_t len, void *context)
{
    (void)context;
    wr_respond_error(r, 413, "enough");
    memcpy(seen, bytes, len < sizeof seen ? len : sizeof seen);
}

static void never(struct wr_request *r, void *context)
{
    (void)context;
    wr_respond_empty(r, 204);
}

/* The body waits in the connection's own memory, since the filter goes on only later. */
static void go_on(struct wr_timer *timer, void *r)
{
    (void)timer;
    wr_request_continue(r);
}

static bool wait_a_turn(struct wr_request *r, void *context)
{
    (void)context;
    assert_non_null(wr_timer_start(wr_request_worker(r), 20, 0, go_on, r));
    return false;
}

static void test_a_piece_is_valid_after_the_answer(void **state)
{
    (void)state;
    static const struct wr_body_handlers handlers = {
        .data = answer_then_look, .end = never, .body_bytes_max = 1 << 30};
    static char body[20000];
    world_init(&w, NULL);
    assert_int_equal(wr_route_body(wr_root(w.app), "POST", "/", &handlers, NULL), WR_OK);
    assert_int_equal(wr_before(wr_root(w.app), wait_a_turn, NULL), WR_OK);
    world_run(&w);
    memset(body, 'a', sizeof body);
    int fd = client_connect(&w);
    client_send(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n");
    client_send_bytes(fd, body, sizeof body);
    shutdown(fd, SHUT_WR);
    assert_starts(client_read(fd, 5000, NULL, NULL), "HTTP/1.1 413 ");
    close(fd);
    world_end(&w);
    assert_int_equal(seen[0], 'a');
}

/* --- a WebSocket is accepted by its upgrade handler, not before its handshake was looked at --- */

static int accept_result;

static bool accept_early(struct wr_request *r, void *context)
{
    (void)context;
    accept_result = wr_socket_accept(r, NULL);
    return false;
}

static void take(struct wr_socket *s, enum wr_message kind, const void *bytes, size_t len, void *context)
{
    (void)s, (void)kind, (void)bytes, (void)len, (void)context;
}

static void test_a_filter_cannot_accept_a_websocket(void **state)
{
    (void)state;
    static const struct wr_socket_handlers handlers = {.message = take};
    world_init(&w, NULL);
    assert_int_equal(wr_websocket(w.app, "/", &handlers, NULL), WR_OK);
    assert_int_equal(wr_before(wr_root(w.app), accept_early, NULL), WR_OK);
    world_run(&w);
    assert_starts(ask(&w, "GET / HTTP/1.1\r\n"), "HTTP/1.1 500 ");
    assert_int_equal(accept_result, WR_INVALID);
    world_end(&w);
}

/* --- what begins again whenever it ends must not keep the server from ending --- */

static struct wr_client *client;
static int connects;

static void connect_again(void);

static void failed(int result, int status, const char *error, void *context)
{
    (void)result, (void)status, (void)error, (void)context;
    connect_again();
}

static void lost(struct wr_socket *s, int code, const char *reason, void *context)
{
    (void)s, (void)code, (void)reason, (void)context;
    connect_again();
}

static void connect_again(void)
{
    static const struct wr_socket_handlers handlers = {.message = take, .close = lost};
    static char url[64];
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", wr_port(w.app) ? wr_port(w.app) : 1);
    const struct wr_client_socket socket = {.url = url, .handlers = &handlers, .failed = failed};
    if (wr_client_open(client, &socket) == WR_OK) add(&connects);
    if (__atomic_load_n(&connects, __ATOMIC_SEQ_CST) > 100000) abort(); /* it never ends */
}

static void begin_client(struct wr_worker *worker, void *argument)
{
    (void)argument;
    client = wr_client_new(worker, NULL);
    assert_non_null(client);
    connect_again();
}

static void end_client(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    wr_client_free(client);
}

static void test_a_socket_that_connects_again_does_not_keep_the_server(void **state)
{
    (void)state;
    static const struct wr_socket_handlers handlers = {.message = take};
    struct wr_config config;
    wr_config_init(&config);
    config.drain_timeout_ms = 200;
    connects = 0;
    world_init(&w, &config);
    assert_int_equal(wr_websocket(w.app, "/", &handlers, NULL), WR_OK);
    assert_int_equal(wr_on_worker(w.app, begin_client, end_client, NULL), WR_OK);
    world_run(&w);
    wait_for(&connects, 1);
    world_end(&w);
}

static int posts, works;

static void post_again(struct wr_worker *worker, void *argument)
{
    add(&posts);
    if (__atomic_load_n(&posts, __ATOMIC_SEQ_CST) > 10000000) abort(); /* it never ends */
    (void)!wr_worker_post(worker, post_again, argument);
}

static void nothing(void *argument)
{
    (void)argument;
}

static void work_again(struct wr_worker *worker, void *argument)
{
    add(&works);
    if (__atomic_load_n(&works, __ATOMIC_SEQ_CST) > 3000000) abort();
    (void)!wr_offload(worker, nothing, work_again, argument);
}

static void begin_both(struct wr_worker *worker, void *argument)
{
    post_again(worker, argument);
    work_again(worker, argument);
}

static void test_posts_and_jobs_that_begin_again_do_not_keep_the_server(void **state)
{
    (void)state;
    struct wr_config config;
    wr_config_init(&config);
    config.drain_timeout_ms = 100;
    world_init(&w, &config);
    assert_int_equal(wr_on_worker(w.app, begin_both, NULL, NULL), WR_OK);
    world_run(&w);
    while (__atomic_load_n(&works, __ATOMIC_SEQ_CST) < 3)
        usleep(1000);
    world_end(&w);
}

/* --- timers begun while the app is being freed --- */

static void on_time(struct wr_timer *timer, void *argument)
{
    (void)timer, (void)argument;
}

static void begin_timer(struct wr_worker *worker, void *argument)
{
    struct wr_timer *timer = wr_timer_start(worker, 1000, 1000, on_time, argument);
    if (timer) add(argument);
}

static void test_a_job_that_ends_when_the_app_is_freed_may_begin_a_timer(void **state)
{
    (void)state;
    int begun = 0;
    world_init(&w, NULL);
    assert_int_equal(wr_offload(wr_worker_at(w.app, 0), nothing, begin_timer, &begun), WR_OK);
    wr_app_free(w.app);
    assert_int_equal(begun, 0);
}

/* --- workers that speak to each other while the app is being freed --- */

static int post_results[2];

static void post_to_each(struct wr_worker *worker, void *argument)
{
    struct wr_app *app = wr_worker_app(worker);
    (void)argument;
    for (unsigned i = 0; i < 2; i++)
        post_results[i] = wr_worker_post(wr_worker_at(app, i), post_to_each, NULL);
    assert_true(wr_publish(app, "topic", WR_BINARY, "a", 1, NULL) <= 0);
}

static void test_a_worker_may_post_to_one_that_was_freed_before(void **state)
{
    (void)state;
    struct wr_config config;
    wr_config_init(&config);
    config.workers = 2;
    world_init(&w, &config);
    post_results[0] = post_results[1] = WR_OK;
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 1), post_to_each, NULL), WR_OK);
    wr_app_free(w.app);
    assert_int_equal(post_results[0], WR_CLOSED);
    assert_int_equal(post_results[1], WR_CLOSED);
}

/* --- a signal at any time --- */

static struct wr_app *stopped;

static void on_alarm(int signal)
{
    (void)signal;
    wr_stop(stopped);
}

static void do_nothing(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
}

static void post_around(struct wr_timer *timer, void *argument)
{
    struct wr_app *app = wr_worker_app(wr_timer_worker(timer));
    assert_true(wr_port(app) > 0); /* while another worker closes its listener, perhaps */
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(wr_worker_post(wr_worker_at(app, i % 3), do_nothing, argument), WR_OK);
}

static void begin_posting(struct wr_worker *worker, void *argument)
{
    assert_non_null(wr_timer_start(worker, 0, 1, post_around, argument));
}

static void test_a_signal_may_stop_it_at_any_time(void **state)
{
    (void)state;
    struct wr_config config;
    wr_config_init(&config);
    config.workers = 3;
    signal(SIGALRM, on_alarm);
    for (int i = 0; i < 100; i++) {
        stopped = wr_app_new(&config);
        assert_non_null(stopped);
        assert_int_equal(wr_on_worker(stopped, begin_posting, NULL, NULL), WR_OK);
        assert_int_equal(wr_listen(stopped, "127.0.0.1", 0, NULL), WR_OK);
        struct itimerval soon = {.it_value.tv_usec = 1 + i * 37};
        setitimer(ITIMER_REAL, &soon, NULL);
        assert_int_equal(wr_run(stopped), WR_OK);
        assert_int_equal(wr_run(stopped), WR_OK); /* it has stopped for good */
        wr_app_free(stopped);
    }
    signal(SIGALRM, SIG_DFL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* The first: a thread of libuv's pool, which knows nothing of the app, may get the signal else. */
        cmocka_unit_test(test_a_signal_may_stop_it_at_any_time),
        cmocka_unit_test(test_a_piece_is_valid_after_the_answer),
        cmocka_unit_test(test_a_filter_cannot_accept_a_websocket),
        cmocka_unit_test(test_a_socket_that_connects_again_does_not_keep_the_server),
        cmocka_unit_test(test_posts_and_jobs_that_begin_again_do_not_keep_the_server),
        cmocka_unit_test(test_a_worker_may_post_to_one_that_was_freed_before),
        cmocka_unit_test(test_a_job_that_ends_when_the_app_is_freed_may_begin_a_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
