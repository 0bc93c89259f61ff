/* Several event loops, posts between them, timers, work on other threads. */
#include <poll.h>
#include <unistd.h>

#include "world.h"

enum { WORKERS = 3, CLIENTS = 60 };

static void index_of(struct wr_request *request, void *context)
{
    char text[16];
    (void)context;
    assert_ptr_equal(wr_worker_here(), wr_request_worker(request));
    snprintf(text, sizeof text, "%u", wr_worker_index(wr_request_worker(request)));
    wr_respond_text(request, 200, text);
}

static void begin(struct world *w, unsigned workers, unsigned connections_max)
{
    struct wr_config config;
    wr_config_init(&config);
    config.workers = workers;
    if (connections_max) config.connections_max = connections_max;
    world_init(w, &config);
    assert_int_equal(wr_workers(w->app), workers);
    assert_int_equal(wr_route(w->app, "GET", "/index", index_of, NULL), WR_OK);
}

static const char request_text[] = "GET /index HTTP/1.1\r\nHost: a\r\n\r\n";

/* Asks on an open connection, returns the worker's index. */
static unsigned ask_index(int fd)
{
    client_send(fd, request_text);
    char answer[1024];
    size_t n = 0;
    char *body = NULL;
    while (!body || !body[4]) {
        client_read_exact(fd, answer + n, 1);
        answer[++n] = 0;
        body = strstr(answer, "\r\n\r\n");
    }
    assert_starts(answer, "HTTP/1.1 200");
    return (unsigned)(body[4] - '0');
}

static void connections_are_spread(void **state)
{
    (void)state;
    struct world w;
    int fds[CLIENTS];
    unsigned seen[WORKERS] = {0};
    begin(&w, WORKERS, 0);
    world_run(&w);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = client_connect(&w);
        unsigned index = ask_index(fds[i]);
        assert_true(index < WORKERS);
        assert_int_equal(ask_index(fds[i]), index); /* a connection stays where it is */
        seen[index]++;
    }
    for (int i = 0; i < WORKERS; i++)
        assert_true(seen[i] > 0);
    assert_int_equal(wr_connections(w.app), CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    world_end(&w);
}

static void the_limit_of_connections_is_for_all_workers(void **state)
{
    (void)state;
    enum { MAX = 4 };
    struct world w;
    int fds[MAX + 8];
    begin(&w, WORKERS, MAX);
    world_run(&w);
    for (int i = 0; i < MAX; i++) {
        fds[i] = client_connect(&w);
        ask_index(fds[i]);
    }
    /* So many that each worker has one waiting. */
    for (int i = MAX; i < MAX + 8; i++) {
        fds[i] = client_connect(&w);
        client_send(fds[i], request_text);
    }
    struct pollfd early = {.fd = fds[MAX], .events = POLLIN};
    assert_int_equal(poll(&early, 1, 50), 0);
    int answered = 0;
    for (int i = 0; i < MAX; i++)
        close(fds[i]);
    for (int rounds = 0; answered < 8 && rounds < 200; rounds++) {
        for (int i = MAX; i < MAX + 8; i++) {
            struct pollfd p = {.fd = fds[i], .events = POLLIN};
            if (fds[i] < 0 || poll(&p, 1, 5) != 1) continue;
            char first;
            client_read_exact(fds[i], &first, 1);
            assert_true(wr_connections(w.app) <= MAX);
            close(fds[i]);
            fds[i] = -1;
            answered++;
        }
    }
    assert_int_equal(answered, 8);
    world_end(&w);
}

static void several_workers_do_not_share_the_port_with_strangers(void **state)
{
    (void)state;
    struct world w;
    begin(&w, WORKERS, 0);
    world_run(&w);
    struct wr_config config;
    wr_config_init(&config);
    config.workers = WORKERS;
    struct wr_app *other = wr_app_new(&config);
    assert_int_equal(wr_listen(other, "127.0.0.1", wr_port(w.app), NULL), WR_SYSTEM);
    assert_has(wr_app_error(other), "another program uses this port");
    wr_app_free(other);
    world_end(&w);
}

static int starts, stops, served;

static void count_start(struct wr_worker *worker, void *argument)
{
    assert_ptr_equal(wr_worker_here(), worker);
    assert_ptr_equal(argument, &starts);
    __atomic_add_fetch(&starts, 1, __ATOMIC_SEQ_CST);
}

static void count_stop(struct wr_worker *worker, void *argument)
{
    (void)argument;
    assert_ptr_equal(wr_worker_here(), worker);
    __atomic_add_fetch(&stops, 1, __ATOMIC_SEQ_CST);
}

static void hooks_run_on_each_worker(void **state)
{
    (void)state;
    struct world w;
    begin(&w, WORKERS, 0);
    assert_int_equal(wr_on_worker(w.app, count_start, count_stop, &starts), WR_OK);
    assert_int_equal(wr_on_worker(w.app, NULL, count_stop, NULL), WR_OK);
    assert_null(wr_worker_here());
    world_run(&w);
    wait_for(&starts, WORKERS);
    assert_int_equal(__atomic_load_n(&stops, __ATOMIC_SEQ_CST), 0);
    world_end(&w);
    assert_int_equal(stops, 2 * WORKERS);
}

static void never(struct wr_timer *timer, void *context)
{
    (void)timer, (void)context;
    fail();
}

static void stop_at_once(struct wr_worker *worker, void *argument)
{
    (void)argument;
    assert_non_null(wr_timer_start(worker, 60000, 0, never, NULL));
    wr_stop(wr_worker_app(worker));
}

static void a_worker_may_stop_the_app_before_it_serves(void **state)
{
    (void)state;
    struct wr_app *app = wr_app_new(NULL);
    assert_int_equal(wr_on_worker(app, stop_at_once, NULL, NULL), WR_OK);
    assert_int_equal(wr_run(app), WR_OK);
    wr_app_free(app); /* whose loop has a handle to close, and was told to stop when it was not running */
}

/* --- posts --- */

enum { POSTS = 20000 };
static int expected[WORKERS], posted;

struct message {
    unsigned from;
    int number;
};

static void take(struct wr_worker *worker, void *argument)
{
    struct message *m = argument;
    assert_int_equal(wr_worker_index(worker), WORKERS - 1);
    assert_int_equal(expected[m->from], m->number); /* in order */
    expected[m->from]++;
    free(m);
    __atomic_add_fetch(&served, 1, __ATOMIC_SEQ_CST);
}

static void post_many(struct wr_worker *worker, void *argument)
{
    (void)argument;
    for (int i = 0; i < POSTS; i++) {
        struct message *m = malloc(sizeof *m);
        *m = (struct message){wr_worker_index(worker), i};
        assert_int_equal(wr_worker_post(wr_worker_at(wr_worker_app(worker), WORKERS - 1), take, m), WR_OK);
    }
    __atomic_add_fetch(&posted, 1, __ATOMIC_SEQ_CST);
}

static void posts_arrive_in_order(void **state)
{
    (void)state;
    struct world w;
    begin(&w, WORKERS, 0);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(wr_worker_post(wr_worker_at(w.app, i), post_many, NULL), WR_OK);
    world_run(&w);
    wait_for(&served, WORKERS * POSTS);
    wait_for(&posted, WORKERS);
    /* The last ones are called when the app is freed, also without running again. */
    wr_stop(w.app);
    pthread_join(w.thread, NULL);
    struct message *m = malloc(sizeof *m);
    *m = (struct message){0, POSTS};
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, WORKERS - 1), take, m), WR_OK);
    wr_app_free(w.app);
    assert_int_equal(served, WORKERS * POSTS + 1);
}

/* --- timers --- */

static int once, often, stopped;

static void on_once(struct wr_timer *timer, void *context)
{
    (void)context;
    assert_ptr_equal(wr_timer_worker(timer), wr_worker_here());
    __atomic_add_fetch(&once, 1, __ATOMIC_SEQ_CST);
}

static void on_often(struct wr_timer *timer, void *context)
{
    (void)context;
    if (__atomic_add_fetch(&often, 1, __ATOMIC_SEQ_CST) == 5) wr_timer_stop(timer);
}

static void on_never(struct wr_timer *timer, void *context)
{
    (void)timer, (void)context;
    stopped++;
}

static void timers_fire_and_stop(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1, 0);
    struct wr_worker *worker = wr_worker_at(w.app, 0);
    assert_non_null(wr_timer_start(worker, 5, 0, on_once, NULL));
    assert_non_null(wr_timer_start(worker, 1, 1, on_often, NULL));
    struct wr_timer *never = wr_timer_start(worker, 1, 1, on_never, NULL);
    wr_timer_stop(never);
    assert_non_null(wr_timer_start(worker, 3600 * 1000, 0, on_never, NULL)); /* ends with the app */
    world_run(&w);
    wait_for(&often, 5);
    wait_for(&once, 1);
    world_end(&w);
    assert_int_equal(often, 5);
    assert_int_equal(once, 1);
    assert_int_equal(stopped, 0);
}

/* --- work that blocks --- */

static int worked, done;
static pthread_t loop_thread;

static void slow_work(void *argument)
{
    (void)argument;
    assert_false(pthread_equal(pthread_self(), loop_thread));
    usleep(2000);
    __atomic_add_fetch(&worked, 1, __ATOMIC_SEQ_CST);
}

static void slow_done(struct wr_worker *worker, void *argument)
{
    assert_ptr_equal(wr_worker_here(), worker);
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    wr_respond_text(argument, 200, "done");
}

static void work_route(struct wr_request *request, void *context)
{
    (void)context;
    loop_thread = pthread_self();
    assert_int_equal(wr_offload(wr_request_worker(request), slow_work, slow_done, request), WR_OK);
}

static void silent_done(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
}

static void offload_many(struct wr_worker *worker, void *argument)
{
    (void)argument;
    loop_thread = pthread_self();
    int taken = 0;
    while (wr_offload(worker, slow_work, silent_done, NULL) == WR_OK)
        taken++;
    assert_int_equal(taken, 1024);
    wr_stop(wr_worker_app(worker));
}

static void work_runs_elsewhere(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1, 0);
    assert_int_equal(wr_route(w.app, "GET", "/work", work_route, NULL), WR_OK);
    world_run(&w);
    assert_has(ask(&w, "GET /work HTTP/1.1\r\n"), "done");
    assert_int_equal(worked, 1);
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), offload_many, NULL), WR_OK);
    pthread_join(w.thread, NULL); /* stops itself, after all that has begun */
    assert_int_equal(worked, 1025);
    assert_int_equal(done, 1025);
    wr_app_free(w.app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_are_spread),
        cmocka_unit_test(the_limit_of_connections_is_for_all_workers),
        cmocka_unit_test(several_workers_do_not_share_the_port_with_strangers),
        cmocka_unit_test(hooks_run_on_each_worker),
        cmocka_unit_test(a_worker_may_stop_the_app_before_it_serves),
        cmocka_unit_test(posts_arrive_in_order),
        cmocka_unit_test(timers_fire_and_stop),
        cmocka_unit_test(work_runs_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
