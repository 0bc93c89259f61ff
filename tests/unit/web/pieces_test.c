/* Answers in pieces, server-sent events: framing, back-pressure, time, clients that leave, stopping. */
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "world.h"

enum { SHORT_MS = 400, MUCH_BYTES = 24 * 1024 * 1024 };

static int begun, gone, drained, ended, released;
static long long written;

static void count(int *what)
{
    __atomic_add_fetch(what, 1, __ATOMIC_RELEASE);
}

static void hello(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "hello");
}

static long number(struct wr_request *request, const char *name, long otherwise)
{
    const char *text = wr_request_query(request, name);
    return text ? strtol(text, NULL, 10) : otherwise;
}

/* "abc" and "defgh", as the query wants. */
static void two_pieces(struct wr_request *request, void *context)
{
    (void)context;
    int status = (int)number(request, "status", 200);
    wr_response_header(request, "X-Kind", "pieces");
    assert_int_equal(wr_respond_begin(request, status, "text/plain", number(request, "length", -1)), 0);
    assert_true(wr_respond_write(request, "abc", 3) >= 0);
    assert_true(wr_respond_write(request, "", 0) >= 0);
    assert_true(wr_respond_write(request, "defgh", 5) >= 0);
    wr_response_trailer(request, "X-Sum", "8");
    wr_response_trailer(request, "Content-Length", "8");
    wr_response_trailer(request, "X-Bad", "a\r\nb");
    wr_respond_end(request);
}

/* Says how the calls ended, in the second answer of a pipeline. */
static char results[200];

static void wrong_lengths(struct wr_request *request, void *context)
{
    (void)context;
    long length = number(request, "length", 4);
    int a = wr_respond_begin(request, 200, NULL, length);
    long long b = wr_respond_write(request, "abc", 3), c = wr_respond_write(request, "def", 3);
    snprintf(results, sizeof results, "%d %d %lld", a, b >= 0, c);
    wr_respond_end(request);
    count(&ended);
}

static void bad_head(struct wr_request *request, void *context)
{
    (void)context;
    wr_response_header(request, "X-Bad", "a\nb");
    int a = wr_respond_begin(request, 200, "text/plain", -1);
    long long b = wr_respond_write(request, "abc", 3);
    snprintf(results, sizeof results, "%d %lld", a, b);
    wr_respond_end(request);
    count(&ended);
}

static void twice(struct wr_request *request, void *context)
{
    (void)context;
    assert_int_equal(wr_respond_begin(request, 200, "text/plain", -1), 0);
    assert_true(wr_respond_write(request, "abc", 3) >= 0);
    wr_respond_text(request, 200, "again");
}

static void end_only(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_end(request);
}

static void aborted(struct wr_request *request, void *context)
{
    (void)context;
    wr_request_on_gone(request, end_only, NULL); /* must not be called: it would end it twice */
    assert_int_equal(wr_respond_begin(request, 200, "text/plain", -1), 0);
    assert_true(wr_respond_write(request, "abc", 3) >= 0);
    wr_respond_abort(request);
}

/* --- much --- */

static char page[8192];

static void produce(struct wr_request *request)
{
    while (written < MUCH_BYTES) {
        int64_t waiting = wr_respond_write(request, page, sizeof page);
        if (waiting < 0) return; /* the drain or gone handler ends it */
        written += (long long)sizeof page;
        if (waiting >= WR_RESPONSE_HIGH) return;
    }
    wr_respond_end(request);
    count(&ended);
}

static void on_drain(struct wr_request *request, void *context)
{
    (void)context;
    count(&drained);
    produce(request);
}

static void on_gone(struct wr_request *request, void *context)
{
    (void)context;
    assert_true(wr_request_gone(request));
    assert_int_equal(wr_respond_write(request, "x", 1), WR_CLOSED);
    count(&gone);
    wr_respond_end(request);
}

static void much(struct wr_request *request, void *context)
{
    (void)context;
    written = 0;
    wr_request_on_gone(request, on_gone, NULL);
    wr_response_on_drain(request, on_drain, NULL);
    assert_int_equal(wr_respond_begin(request, 200, NULL, number(request, "length", -1)), 0);
    produce(request);
}

/* Queues without asking until it is full. */
static void greedy(struct wr_request *request, void *context)
{
    (void)context;
    int64_t rc;
    wr_request_on_gone(request, on_gone, NULL);
    assert_int_equal(wr_respond_begin(request, 200, NULL, -1), 0);
    while ((rc = wr_respond_write(request, page, sizeof page)) >= 0)
        written += (long long)sizeof page;
    snprintf(results, sizeof results, "%lld", (long long)rc);
    count(&begun);
}

/* --- slow --- */

static struct wr_request *kept;

static void piece_due(struct wr_timer *timer, void *context)
{
    (void)context;
    if (wr_respond_write(kept, ".", 1) >= 0 && written++ < 9) return;
    wr_timer_stop(timer);
    wr_respond_end(kept);
    count(&ended);
}

/* A dot every 100 ms: ten of them. */
static void slowly(struct wr_request *request, void *context)
{
    (void)context;
    written = 0;
    kept = request;
    assert_int_equal(wr_respond_begin(request, 200, "text/plain", 10), 0);
    assert_non_null(wr_timer_start(wr_request_worker(request), 100, 100, piece_due, NULL));
    count(&begun);
}

/* --- events --- */

static uv_async_t send_it;

static void events_gone(struct wr_request *request, void *context)
{
    (void)context;
    assert_int_equal(wr_event_send(request, NULL, NULL, "nobody"), WR_CLOSED);
    wr_respond_end(request);
    count(&gone);
}

static void events(struct wr_request *request, void *context)
{
    (void)context;
    const char *last = wr_request_last_event(request);
    wr_request_on_gone(request, events_gone, NULL);
    if (wr_respond_events(request) < 0) {
        wr_respond_end(request);
        count(&ended);
        return;
    }
    kept = request;
    assert_true(wr_event_send(request, "start", last, "a\nb\r\nc\rd") >= 0);
    assert_int_equal(wr_event_send(request, "a\nb", NULL, "x"), WR_INVALID);
    assert_int_equal(wr_event_send(request, NULL, "a\rb", "x"), WR_INVALID);
    count(&begun);
}

static void on_send(uv_async_t *async)
{
    (void)async;
    assert_true(wr_event_send(kept, NULL, "7", "") >= 0);
    assert_true(wr_event_send(kept, NULL, NULL, "last\n") >= 0);
    wr_respond_end(kept);
    count(&released);
}

static uv_async_t close_it;

static void on_close_it(uv_async_t *async)
{
    uv_close((uv_handle_t *)&send_it, NULL);
    uv_close((uv_handle_t *)async, NULL);
    count(&released);
}

static void begin(struct world *w, struct wr_config *config)
{
    begun = gone = drained = ended = released = 0;
    written = 0;
    results[0] = 0;
    world_init(w, config);
    static const struct {
        const char *path;
        wr_handler handler;
    } routes[] = {
        {"/", hello},        {"/two", two_pieces}, {"/lengths", wrong_lengths},
        {"/bad", bad_head},  {"/twice", twice},    {"/abort", aborted},
        {"/much", much},     {"/greedy", greedy},  {"/slowly", slowly},
        {"/events", events}, {"/end", end_only},
    };
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        assert_int_equal(wr_route(w->app, "GET", routes[i].path, routes[i].handler, NULL), WR_OK);
    uv_async_init(wr_loop(w->app), &send_it, on_send);
    uv_async_init(wr_loop(w->app), &close_it, on_close_it);
    world_run(w);
}

static void close_handles(void)
{
    int before = __atomic_load_n(&released, __ATOMIC_ACQUIRE);
    uv_async_send(&close_it);
    wait_for(&released, before + 1);
}

static void end(struct world *w)
{
    close_handles();
    world_end(w);
}

static struct wr_config short_config(void)
{
    struct wr_config config;
    wr_config_init(&config);
    config.answer_timeout_ms = config.idle_timeout_ms = config.write_timeout_ms = SHORT_MS;
    return config;
}

/* Sends it, reads until the server closes. */
static const char *talk(const struct world *w, const char *text, bool *out_closed)
{
    int fd = client_connect(w);
    client_send(fd, text);
    const char *answer = client_read(fd, 10000, NULL, out_closed);
    close(fd);
    return answer;
}

/* --- framing --- */

static void pieces_are_chunks_or_counted_or_end_with_the_connection(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    const char *text = ask(&w, "GET /two HTTP/1.1\r\n");
    assert_has(text, "X-Kind: pieces\r\n");
    assert_has(text, "Transfer-Encoding: chunked\r\n");
    assert_has_not(text, "Content-Length");
    assert_has(text, "\r\n\r\n3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n");
    text = ask(&w, "GET /two?length=8 HTTP/1.1\r\n");
    assert_has(text, "Content-Length: 8\r\n");
    assert_has_not(text, "Transfer-Encoding");
    assert_has(text, "\r\n\r\nabcdefgh");
    bool closed;
    text = talk(&w, "GET /two HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &closed);
    assert_true(closed);
    assert_has(text, "Connection: close\r\n");
    assert_has_not(text, "Transfer-Encoding");
    assert_has_not(text, "Content-Length");
    assert_has(text, "\r\n\r\nabcdefgh");
    text = talk(&w, "GET /two?length=8 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
                &closed);
    assert_has(text, "\r\n\r\nabcdefghHTTP/1.1 200 ");
    end(&w);
}

static void trailers_are_for_those_who_want_them(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    assert_has(ask(&w, "GET /two HTTP/1.1\r\nTE: deflate;q=0.5, trailers\r\n"),
               "\r\n\r\n3\r\nabc\r\n5\r\ndefgh\r\n0\r\nX-Sum: 8\r\n\r\n");
    assert_has(w.logged, "trailer");
    assert_has(ask(&w, "GET /two?length=8 HTTP/1.1\r\nTE: trailers\r\n"), "\r\n\r\nabcdefgh");
    end(&w);
}

static void answers_without_a_body_have_only_a_head(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    static const char *const heads[] = {
        "HEAD /two HTTP/1.1\r\n", "HEAD /two?length=8 HTTP/1.1\r\n", "GET /two?status=204 HTTP/1.1\r\n",
        "GET /two?status=304 HTTP/1.1\r\n", "HEAD /two HTTP/1.0\r\nConnection: keep-alive\r\n"};
    for (size_t i = 0; i < 5; i++) {
        char text[300];
        bool closed;
        snprintf(text, sizeof text, "%sHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                 heads[i]);
        const char *answer = talk(&w, text, &closed);
        assert_has(answer, "X-Kind: pieces\r\n");
        assert_has(answer, "\r\n\r\nHTTP/1.1 200 OK\r\n");
        assert_has(answer, "\r\n\r\nhello");
        assert_has_not(answer, "abc");
    }
    assert_has(ask(&w, "HEAD /two?length=8 HTTP/1.1\r\n"), "Content-Length: 8\r\n");
    end(&w);
}

static void a_length_that_is_not_kept_shows(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    bool closed;
    const char *text = talk(
        &w, "GET /lengths?length=4 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", &closed);
    assert_string_equal(results, "0 1 -6"); /* WR_FULL: nothing of it was taken */
    assert_true(closed);
    assert_has_not(text, "hello"); /* what follows could not be told from what is missing */
    wait_for(&ended, 1);
    talk(&w, "GET /lengths?length=7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &closed);
    assert_true(closed);
    end(&w);
}

static void what_cannot_be_answered_becomes_a_500_or_the_end(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    bool closed;
    assert_starts(talk(&w, "GET /bad HTTP/1.1\r\nHost: a\r\n\r\n", &closed), "HTTP/1.1 500 ");
    assert_string_equal(results, "-1 -5");
    const char *text = talk(&w, "GET /twice HTTP/1.1\r\nHost: a\r\n\r\n", &closed);
    assert_true(closed);
    assert_has_not(text, "again");
    assert_has_not(text, "0\r\n\r\n");
    assert_has(w.logged, "/twice was answered twice");
    text = talk(&w, "GET /abort HTTP/1.1\r\nHost: a\r\n\r\n", &closed);
    assert_true(closed);
    assert_has_not(text, "0\r\n\r\n");
    assert_starts(ask(&w, "GET /end HTTP/1.1\r\n"), "HTTP/1.1 500 ");
    end(&w);
}

/* --- flowing --- */

static size_t read_all(int fd, size_t most, unsigned pause_us)
{
    static char bytes[65536];
    size_t total = 0;
    while (total < most) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0) break;
        total += (size_t)n;
        if (pause_us) nanosleep(&(struct timespec){.tv_nsec = pause_us * 1000L}, NULL);
    }
    return total;
}

static void much_flows_as_fast_as_it_is_taken(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "GET /much?length=25165824 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    /* Nothing is read: so little is made. */
    for (long long before = -1, now = 0; before != now;) {
        before = now;
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        now = __atomic_load_n(&written, __ATOMIC_ACQUIRE);
    }
    assert_true(written > 0 && written < MUCH_BYTES);
    size_t total = read_all(fd, MUCH_BYTES * 2, 0);
    assert_true(total > MUCH_BYTES && total < MUCH_BYTES + 500);
    wait_for(&ended, 1);
    assert_true(drained > 0);
    assert_int_equal(gone, 0);
    close(fd);
    end(&w);
}

static void who_takes_nothing_is_cut_and_who_is_slow_is_not(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config = short_config();
    begin(&w, &config);
    int fd = client_connect(&w);
    client_send(fd, "GET /much HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&gone, 1); /* it took what fitted into the buffers, then nothing */
    close(fd);
    fd = client_connect(&w);
    client_send(fd, "GET /slowly HTTP/1.1\r\nHost: a\r\n\r\n"); /* a second, in an answer timeout of 0.4 s */
    bool closed;
    const char *text = client_read(fd, 10000, NULL, &closed);
    assert_has(text, "\r\n\r\n..........");
    assert_true(closed); /* idle afterwards */
    close(fd);
    end(&w);
}

static void a_greedy_handler_is_told_that_it_is_full(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "GET /greedy HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&begun, 1);
    assert_string_equal(results, "-6"); /* WR_FULL */
    assert_true(written >= 16 * 1024 * 1024);
    close(fd);
    wait_for(&gone, 1);
    end(&w);
}

static void pipelined_requests_wait_for_the_end(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    bool closed;
    const char *text = talk(&w,
                            "GET /slowly HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n"
                            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                            &closed);
    assert_has(text, "\r\n\r\n..........HTTP/1.1 200 OK\r\n");
    assert_has(text, "0\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_has(text, "\r\n\r\nhello");
    end(&w);
}

static void who_leaves_is_told_to_the_handler_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    for (int i = 0; i < 20; i++) {
        int fd = client_connect(&w);
        char some[1000];
        client_send(fd, "GET /much HTTP/1.1\r\nHost: a\r\n\r\n");
        if (i % 2) client_read_exact(fd, some, sizeof some);
        struct linger reset = {1, 0};
        if (i % 3 == 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (i % 3 == 1) shutdown(fd, SHUT_WR);
        if (i % 3 != 1) close(fd);
        wait_for(&gone, i + 1);
        if (i % 3 == 1) close(fd);
    }
    assert_int_equal(ended, 0);
    end(&w);
}

static void stopping_lets_an_answer_end(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "GET /slowly HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&begun, 1);
    close_handles();
    wr_stop(w.app);
    bool closed;
    assert_has(client_read(fd, 10000, NULL, &closed), "\r\n\r\n..........");
    assert_true(closed);
    close(fd);
    world_end(&w);
}

static void what_does_not_end_is_cut_when_the_time_to_drain_is_over(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config;
    wr_config_init(&config);
    config.drain_timeout_ms = SHORT_MS;
    begin(&w, &config);
    int fd = client_connect(&w);
    client_send(fd, "GET /much HTTP/1.1\r\nHost: a\r\n\r\n");
    char some[1000];
    client_read_exact(fd, some, sizeof some);
    end(&w);
    assert_int_equal(gone, 1);
    close(fd);
}

/* --- events --- */

static void events_have_the_form_that_browsers_read(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "GET /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\nLast-Event-ID: 41\r\n\r\n");
    wait_for(&begun, 1);
    uv_async_send(&send_it);
    bool closed;
    const char *text = client_read(fd, 10000, NULL, &closed);
    assert_true(closed);
    assert_has(text, "Content-Type: text/event-stream\r\n");
    assert_has(text, "Cache-Control: no-store\r\n");
    assert_has(text, "id: 41\nevent: start\ndata: a\ndata: b\ndata: c\ndata: d\n\n\r\n");
    assert_has(text, "id: 7\ndata: \n\n\r\n");
    assert_has(text, "data: last\ndata: \n\n\r\n0\r\n\r\n");
    close(fd);
    assert_int_equal(gone, 0);
    end(&w);
}

static void silent_events_get_comments_and_no_timeout(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config = short_config();
    config.event_beat_ms = 200;
    begin(&w, &config);
    int fd = client_connect(&w);
    client_send(fd, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&begun, 1);
    static const char beat[] = "3\r\n:\n\n\r\n";
    char got[4000] = {0};
    size_t n = 0;
    int beats = 0;
    while (beats < 4 && n < sizeof got - 1) { /* longer than the answer and idle timeouts */
        client_read_exact(fd, got + n++, 1);
        if (n >= sizeof beat - 1 && strcmp(got + n - (sizeof beat - 1), beat) == 0) beats++;
    }
    assert_int_equal(beats, 4);
    assert_int_equal(gone, 0);
    close(fd);
    wait_for(&gone, 1);
    end(&w);
}

static void events_end_when_the_server_stops(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&begun, 1);
    close_handles();
    uint64_t began = uv_hrtime();
    wr_stop(w.app);
    bool closed;
    const char *text = client_read(fd, 10000, NULL, &closed);
    assert_true(closed);
    assert_has(text, "\n\n\r\n0\r\n\r\n"); /* whole, so that the browser comes again */
    wait_for(&gone, 1);
    close(fd);
    world_end(&w);
    assert_true(uv_hrtime() - began < 4000000000u); /* it did not wait for the drain timeout */
}

static void head_of_events_does_not_stay(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    const char *text = ask(&w, "HEAD /events HTTP/1.1\r\n");
    assert_has(text, "Content-Type: text/event-stream\r\n");
    wait_for(&ended, 1);
    assert_int_equal(gone, 0);
    end(&w);
}

static void a_half_closed_client_of_events_has_gone(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    bool closed;
    client_send(fd, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    client_read(fd, 10000, NULL, &closed);
    assert_true(closed);
    wait_for(&gone, 1);
    close(fd);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_chunks_or_counted_or_end_with_the_connection),
        cmocka_unit_test(trailers_are_for_those_who_want_them),
        cmocka_unit_test(answers_without_a_body_have_only_a_head),
        cmocka_unit_test(a_length_that_is_not_kept_shows),
        cmocka_unit_test(what_cannot_be_answered_becomes_a_500_or_the_end),
        cmocka_unit_test(much_flows_as_fast_as_it_is_taken),
        cmocka_unit_test(who_takes_nothing_is_cut_and_who_is_slow_is_not),
        cmocka_unit_test(a_greedy_handler_is_told_that_it_is_full),
        cmocka_unit_test(pipelined_requests_wait_for_the_end),
        cmocka_unit_test(who_leaves_is_told_to_the_handler_once),
        cmocka_unit_test(stopping_lets_an_answer_end),
        cmocka_unit_test(what_does_not_end_is_cut_when_the_time_to_drain_is_over),
        cmocka_unit_test(events_have_the_form_that_browsers_read),
        cmocka_unit_test(silent_events_get_comments_and_no_timeout),
        cmocka_unit_test(events_end_when_the_server_stops),
        cmocka_unit_test(head_of_events_does_not_stay),
        cmocka_unit_test(a_half_closed_client_of_events_has_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
