/* Bodies of requests: in pieces, with back-pressure, skipped, refused before they come. */
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "world.h"

enum { SMALL_MAX = 1000, SHORT_MS = 400, MANY_BYTES = 24 * 1024 * 1024 };

/* --- what the routes do --- */

static int begun, ended, failed, gone, drained, released;
static long long received;

static void count(int *what)
{
    __atomic_add_fetch(what, 1, __ATOMIC_RELEASE);
}

static void hello(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "hello");
}

static void body_length(struct wr_request *request, void *context)
{
    (void)context;
    char text[64];
    snprintf(text, sizeof text, "%zu of %lld", wr_request_body(request).len,
             (long long)wr_request_length(request));
    wr_respond_text(request, 200, text);
}

/* Sums up a body in pieces. */
struct sum {
    unsigned long long bytes, sum;
};

static void sum_begin(struct wr_request *request, void *context)
{
    (void)context;
    struct sum *sum = wr_request_alloc(request, sizeof *sum);
    assert_non_null(sum);
    *sum = (struct sum){0, 0};
    wr_request_set_user(request, sum);
    count(&begun);
}

static void sum_data(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)context;
    struct sum *sum = wr_request_user(request);
    const unsigned char *at = bytes;
    assert_true(len > 0);
    for (size_t i = 0; i < len; i++)
        sum->sum += at[i];
    sum->bytes += len;
    assert_int_equal(sum->bytes, wr_request_received(request));
}

static void sum_end(struct wr_request *request, void *context)
{
    (void)context;
    const struct sum *sum = wr_request_user(request);
    char text[128];
    const char *trailer = wr_request_trailer(request, "x-trailer");
    assert_null(wr_request_trailer(request, "Content-Length"));
    assert_null(wr_request_trailer(request, "Host"));
    snprintf(text, sizeof text, "%llu %llu %lld%s%s", sum->bytes, sum->sum,
             (long long)wr_request_length(request), trailer ? " " : "", trailer ? trailer : "");
    wr_respond_text(request, 200, text);
    count(&ended);
}

static void any_failed(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "must do nothing");
    count(&failed);
}

/* Answers in `begin` when the query says so, else at the first piece. */
static void early_begin(struct wr_request *request, void *context)
{
    (void)context;
    if (wr_request_query(request, "at")) return;
    wr_respond_error(request, 403, "no");
}

static void early_data(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)bytes, (void)len, (void)context;
    wr_respond_error(request, 403, "no more");
}

/* Sends back what comes, while it comes. */
static void echo_begin(struct wr_request *request, void *context)
{
    (void)context;
    assert_int_equal(wr_respond_begin(request, 200, "application/octet-stream", -1), 0);
}

static void echo_data(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)context;
    if (wr_respond_write(request, bytes, len) >= WR_RESPONSE_HIGH) wr_request_pause(request);
}

static void echo_drained(struct wr_request *request, void *context)
{
    (void)context;
    wr_request_resume(request);
}

static void echo_begin_with_drain(struct wr_request *request, void *context)
{
    echo_begin(request, context);
    wr_response_on_drain(request, echo_drained, NULL);
}

static void echo_end(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_end(request);
    count(&ended);
}

/* Takes a piece each time the test says so. */
static struct wr_request *paused;
static uv_async_t resume_it, release_it;

static void slow_begin(struct wr_request *request, void *context)
{
    (void)context;
    wr_request_pause(request);
    __atomic_store_n(&paused, request, __ATOMIC_RELEASE);
    count(&begun);
}

static void slow_data(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)bytes, (void)context;
    __atomic_add_fetch(&received, (long long)len, __ATOMIC_RELEASE);
    if (wr_request_header(request, "X-Steps")) wr_request_pause(request);
}

static void on_resume(uv_async_t *async)
{
    (void)async;
    wr_request_resume(paused);
    count(&released);
}

/* Keeps the request until release_it, then answers with a word about its client. */
static struct wr_request *kept;

static void is_gone(struct wr_request *request, void *context)
{
    assert_ptr_equal(context, &gone);
    assert_true(wr_request_gone(request));
    count(&gone);
}

static void keep(struct wr_request *request, void *context)
{
    (void)context;
    wr_request_on_gone(request, is_gone, &gone);
    kept = request;
    count(&begun);
}

static void on_release(uv_async_t *async)
{
    (void)async;
    wr_respond_text(kept, 200, wr_request_gone(kept) ? "gone" : "there");
    count(&released);
}

static const struct wr_body_handlers sum = {
    .begin = sum_begin, .data = sum_data, .end = sum_end, .failed = any_failed};
static const struct wr_body_handlers sum_large = {.begin = sum_begin,
                                                  .data = sum_data,
                                                  .end = sum_end,
                                                  .failed = any_failed,
                                                  .body_bytes_max = (uint64_t)1 << 40};
static const struct wr_body_handlers early = {
    .begin = early_begin, .data = early_data, .end = echo_end, .body_bytes_max = (uint64_t)1 << 40};
static const struct wr_body_handlers echo = {.begin = echo_begin_with_drain,
                                             .data = echo_data,
                                             .end = echo_end,
                                             .failed = any_failed,
                                             .body_bytes_max = (uint64_t)1 << 40};
static const struct wr_body_handlers late = {
    .begin = slow_begin, .data = slow_data, .end = keep, .failed = any_failed};
static const struct wr_body_handlers slow = {.begin = slow_begin,
                                             .data = slow_data,
                                             .end = body_length,
                                             .failed = any_failed,
                                             .body_bytes_max = (uint64_t)1 << 40};

static uv_async_t close_it;

static void on_close_it(uv_async_t *async)
{
    uv_close((uv_handle_t *)&resume_it, NULL);
    uv_close((uv_handle_t *)&release_it, NULL);
    uv_close((uv_handle_t *)async, NULL);
    count(&released);
}

static void begin(struct world *w, struct wr_config *config)
{
    begun = ended = failed = gone = drained = released = 0;
    received = 0;
    world_init(w, config);
    struct wr_group *root = wr_root(w->app);
    assert_int_equal(wr_route(w->app, "GET POST", "/", hello, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "POST", "/length", body_length, NULL), WR_OK);
    assert_int_equal(wr_route(w->app, "GET POST", "/keep", keep, NULL), WR_OK);
    assert_int_equal(wr_route_body(root, "POST", "/sum", &sum, NULL), WR_OK);
    assert_int_equal(wr_route_body(root, "POST PUT", "/large", &sum_large, NULL), WR_OK);
    assert_int_equal(wr_route_body(root, "POST", "/early", &early, NULL), WR_OK);
    assert_int_equal(wr_route_body(root, "POST", "/echo", &echo, NULL), WR_OK);
    assert_int_equal(wr_route_body(root, "POST", "/slow", &slow, NULL), WR_OK);
    assert_int_equal(wr_route_body(root, "POST", "/late", &late, NULL), WR_OK);
    uv_async_init(wr_loop(w->app), &resume_it, on_resume);
    uv_async_init(wr_loop(w->app), &release_it, on_release);
    uv_async_init(wr_loop(w->app), &close_it, on_close_it);
    world_run(w);
}

static void end(struct world *w)
{
    int before = __atomic_load_n(&released, __ATOMIC_ACQUIRE);
    uv_async_send(&close_it);
    wait_for(&released, before + 1);
    world_end(w);
}

static struct wr_config small_config(void)
{
    struct wr_config config;
    wr_config_init(&config);
    config.body_bytes_max = SMALL_MAX;
    return config;
}

/* --- reading --- */

/* Sends the text, a byte at a time when `step` is 1, and reads until the answers end. */
static const char *talk(const struct world *w, const char *text, size_t step, bool *out_closed)
{
    int fd = client_connect(w);
    for (size_t at = 0, len = strlen(text); at < len; at += step)
        client_send_bytes(fd, text + at, step < len - at ? step : len - at);
    shutdown(fd, SHUT_WR);
    const char *answer = client_read(fd, 10000, NULL, out_closed);
    close(fd);
    return answer;
}

static void a_body_in_pieces_joins_to_what_was_sent_however_it_is_cut(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    static const char *const bodies[] = {
        "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabcdefghij"
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n1;x=y\r\nd\r\n6\r\nefghij\r\n0\r\nX-Trailer: t\r\nContent-Length: 3\r\n\r\n"
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    };
    for (size_t i = 0; i < 2; i++) {
        for (size_t step = 1; step < 200; step += step < 20 ? 1 : 60) {
            bool closed;
            const char *text = talk(&w, bodies[i], step, &closed);
            assert_has(text, i == 0 ? "\r\n\r\n10 1015 10HTTP/1.1" : "\r\n\r\n10 1015 10 tHTTP/1.1");
            assert_has(text, "\r\n\r\nhello");
            assert_true(closed);
        }
    }
    assert_int_equal(begun, ended);
    assert_int_equal(failed, 0);
    end(&w);
}

static void a_request_without_a_body_begins_and_ends(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    assert_has(ask(&w, "POST /sum HTTP/1.1\r\n"), "\r\n\r\n0 0 0");
    assert_has(ask(&w, "POST /sum HTTP/1.1\r\nContent-Length: 0\r\n"), "\r\n\r\n0 0 0");
    assert_has(ask(&w, "POST /length HTTP/1.1\r\nContent-Length: 0\r\n"), "\r\n\r\n0 of 0");
    end(&w);
}

static void a_route_may_take_more_or_less_than_the_app(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config = small_config();
    begin(&w, &config);
    char *text = malloc(70000);
    assert_non_null(text);
    int n = snprintf(text, 200, "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    memset(text + n, 'a', 60000);
    text[n + 60000] = 0;
    assert_has(talk(&w, text, 7000, NULL), "\r\n\r\n60000 5820000 60000");
    free(text);
    assert_starts(ask(&w, "POST /sum HTTP/1.1\r\nContent-Length: 1001\r\n"), "HTTP/1.1 413 ");
    assert_starts(ask(&w, "POST /length HTTP/1.1\r\nContent-Length: 1001\r\n"), "HTTP/1.1 413 ");
    assert_starts(ask(&w, "PUT /large HTTP/1.1\r\nContent-Length: 1099511627777\r\n"), "HTTP/1.1 413 ");
    /* What is announced chunk by chunk is refused when it passes the limit, and the handler is told. */
    assert_int_equal(failed, 0);
    assert_starts(talk(&w,
                       "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\n3e8\r\n",
                       1000, NULL),
                  "HTTP/1.1 413 ");
    assert_int_equal(failed, 1);
    end(&w);
}

/* Reads what is there after a pause long enough to be sure that nothing else comes. */
static void what_is_refused_is_refused_before_its_body_comes(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    static const struct {
        const char *head, *status;
    } cases[] = {
        {"POST /nowhere HTTP/1.1\r\n", "HTTP/1.1 404 "}, {"DELETE / HTTP/1.1\r\n", "HTTP/1.1 405 "},
        {"POST /early HTTP/1.1\r\n", "HTTP/1.1 403 "},   {"POST /length HTTP/1.1\r\n", "HTTP/1.1 413 "},
        {"POST /%zz HTTP/1.1\r\n", "HTTP/1.1 400 "},     {"BREW / HTTP/1.1\r\n", "HTTP/1.1 501 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = client_connect(&w);
        bool closed;
        client_send(fd, cases[i].head);
        client_send(fd, "Host: a\r\nExpect: 100-continue\r\nContent-Length: 1000000000000\r\n\r\n");
        const char *text = client_read(fd, 10000, NULL, &closed); /* without a byte of the body */
        assert_starts(text, cases[i].status);
        assert_has(text, "Connection: close\r\n");
        assert_true(closed);
        close(fd);
    }
    int fd = client_connect(&w);
    client_send(fd, "POST /length HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: "
                    "100-continue\r\nContent-Length: 2\r\n\r\n");
    static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char got[sizeof go] = {0};
    client_read_exact(fd, got, sizeof go - 1);
    assert_string_equal(got, go);
    client_send(fd, "ab");
    assert_has(client_read(fd, 10000, NULL, NULL), "\r\n\r\n2 of 2");
    close(fd);
    assert_starts(ask(&w, "POST /length HTTP/1.1\r\nExpect: the-best\r\nContent-Length: 2\r\n"),
                  "HTTP/1.1 417 ");
    end(&w);
}

static void a_little_that_nobody_wants_is_skipped_and_much_is_not(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    static const char *const skipped[] = {
        "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nGET / HTTP/1",
        "POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nc\r\nGET / "
        "HTTP/1\r\n0\r\n\r\n",
        "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nGET / HTTP/1",
        "POST /early?at=data HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\nGET / HTTP/1",
        "POST /early?at=data HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nGET /\r\n7\r\n HTTP/1\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++) {
        for (size_t step = 1; step < 300; step += 40) {
            char text[400];
            snprintf(text, sizeof text, "%sGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                     skipped[i]);
            const char *answer = talk(&w, text, step, NULL);
            assert_starts(answer, "HTTP/1.1 40");
            assert_has(answer, "\r\n\r\nhello");
        }
    }
    /* A chunked body without end: skipped for a while, then that was it. */
    int fd = client_connect(&w), ms;
    bool closed;
    client_send(fd, "POST /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    static char chunk[10008] = "2710\r\n";
    memcpy(chunk + 10006, "\r\n", 2);
    for (int i = 0; i < 20; i++)
        (void)!send(fd, chunk, sizeof chunk, MSG_NOSIGNAL);
    assert_starts(client_read(fd, 10000, &ms, &closed), "HTTP/1.1 404 ");
    assert_true(closed);
    close(fd);
    end(&w);
}

/* Sends on after the answer, for longer than a silent client is waited for, and reads only then. */
static void who_sends_on_after_a_refusal_still_gets_it(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n");
    for (int i = 0; i < 30; i++) {
        assert_int_equal(send(fd, "some bytes", 10, MSG_NOSIGNAL), 10);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    bool closed;
    assert_starts(client_read(fd, 10000, NULL, &closed), "HTTP/1.1 413 ");
    assert_true(closed);
    close(fd);
    end(&w);
}

static void an_answer_may_come_while_the_body_still_comes(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd,
                "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\n");
    char got[400] = {0};
    size_t n = 0;
    while (n < sizeof got - 1 && !strstr(got, "3\r\nabc\r\n"))
        client_read_exact(fd, got + n++, 1);
    assert_has(got, "Transfer-Encoding: chunked\r\n");
    client_send(fd, "5\r\ndefgh\r\n0\r\n\r\n");
    assert_string_equal(client_read(fd, 10000, NULL, NULL), "5\r\ndefgh\r\n0\r\n\r\n");
    close(fd);
    assert_int_equal(ended, 1);
    end(&w);
}

/* Writes until the kernel takes no more for a while. */
static size_t push(int fd, size_t most)
{
    static char bytes[65536];
    size_t pushed = 0;
    for (int idle = 0; idle < 30 && pushed < most;) {
        size_t want = most - pushed < sizeof bytes ? most - pushed : sizeof bytes;
        ssize_t n = send(fd, bytes, want, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) pushed += (size_t)n;
        idle = n > 0 ? 0 : idle + 1;
        if (n <= 0) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return pushed;
}

static void a_paused_body_is_not_read_and_its_time_does_not_run(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config;
    wr_config_init(&config);
    config.body_timeout_ms = config.idle_timeout_ms = config.answer_timeout_ms = SHORT_MS;
    begin(&w, &config);
    int fd = client_connect(&w), small = 64 * 1024;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    client_send(fd,
                "POST /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 25165824\r\n\r\n");
    wait_for(&begun, 1);
    size_t pushed = push(fd, MANY_BYTES); /* longer than the body timeout */
    assert_true(pushed < MANY_BYTES);
    assert_int_equal(__atomic_load_n(&received, __ATOMIC_ACQUIRE), 0);
    uv_async_send(&resume_it);
    pushed += push(fd, MANY_BYTES - pushed);
    assert_int_equal(pushed, MANY_BYTES);
    assert_has(client_read(fd, 10000, NULL, NULL), "\r\n\r\n0 of 25165824");
    assert_int_equal(received, MANY_BYTES);
    close(fd);
    end(&w);
}

/* Reads as far as the end of an answer of on_release. */
static void read_there(int fd)
{
    char text[2000];
    size_t len = 0;
    do {
        ssize_t got = recv(fd, text + len, sizeof text - 1 - len, 0);
        assert_true(got > 0);
        text[len += (size_t)got] = 0;
    } while (!strstr(text, "\r\n\r\nthere"));
}

/* All of the body is kept when it goes on, so much that reading has stopped; the answer comes later. */
static void the_next_request_is_read_after_a_body_that_was_kept(void **state)
{
    enum { BYTES = 64 * 1024 }; /* from so much on reading stops */
    static char body[BYTES];
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    char head[100];
    snprintf(head, sizeof head, "POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", BYTES);
    client_send(fd, head);
    wait_for(&begun, 1);
    assert_int_equal(send(fd, body, BYTES, MSG_NOSIGNAL), BYTES);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* as a rule it has been read by then */
    uv_async_send(&resume_it);
    wait_for(&begun, 2);
    uv_async_send(&release_it);
    read_there(fd);
    client_send(fd, "GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&begun, 3);
    uv_async_send(&release_it);
    read_there(fd);
    close(fd);
    end(&w);
}

static void a_body_paused_at_each_piece_still_ends(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    static const char *const heads[] = {
        "Content-Length: 4\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n",
        "\r\n",
    };
    static const char *const pieces[][3] = {
        {"ab", "cd", ""}, {"2\r\nab\r\n", "2\r\ncd\r\n0\r\n\r\n", ""}, {"", "", ""}};
    for (int i = 0; i < 3; i++) {
        int fd = client_connect(&w);
        bool closed = false;
        received = 0;
        client_send(fd, "POST /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Steps: yes\r\n");
        client_send(fd, heads[i]);
        wait_for(&begun, i + 1);
        client_send(fd, pieces[i][0]);
        client_send(fd, pieces[i][1]);
        shutdown(fd, SHUT_WR);
        const char *text = "";
        for (int turn = 0; turn < 200 && !closed; turn++) {
            uv_async_send(&resume_it);
            text = client_read(fd, 50, NULL, &closed);
            if (text[0]) break;
        }
        assert_starts(text, "HTTP/1.1 200 ");
        close(fd);
        assert_int_equal(received, i == 2 ? 0 : 4);
    }
    end(&w);
}

static void who_leaves_within_a_body_is_told_to_its_handler_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    static const char *const starts[] = {
        "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
        "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "POST /sum HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
    };
    for (int i = 0; i < 6; i++) {
        int fd = client_connect(&w);
        client_send(fd, starts[i]);
        if (i < 4) wait_for(&begun, i + 1);
        close(fd);
        wait_for(&failed, i + 1);
    }
    assert_int_equal(ended, 0);
    end(&w);
}

static void a_body_that_is_too_slow_gets_408_and_its_handler_is_told(void **state)
{
    (void)state;
    struct world w;
    struct wr_config config;
    wr_config_init(&config);
    config.body_timeout_ms = SHORT_MS;
    begin(&w, &config);
    int fd = client_connect(&w), ms;
    bool closed;
    client_send(fd, "POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    assert_starts(client_read(fd, 10000, &ms, &closed), "HTTP/1.1 408 ");
    assert_true(closed);
    assert_int_equal(failed, 1);
    close(fd);
    /* Half an answer is out: what follows it can only be the end. */
    fd = client_connect(&w);
    client_send(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    const char *text = client_read(fd, 10000, &ms, &closed);
    assert_true(closed);
    assert_starts(text, "HTTP/1.1 200 ");
    assert_has_not(text, "0\r\n\r\n");
    assert_has_not(text, "408");
    assert_int_equal(failed, 2);
    close(fd);
    end(&w);
}

static void an_echo_of_much_keeps_little(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    int fd = client_connect(&w);
    client_send(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 25165824\r\n\r\n");
    size_t pushed = push(fd, MANY_BYTES); /* the answer is not read: so the body is not either */
    assert_true(pushed < MANY_BYTES);
    size_t read = 0;
    static char bytes[65536];
    while (pushed < MANY_BYTES || read < MANY_BYTES) {
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n > 0) read += (size_t)n;
        size_t want = MANY_BYTES - pushed < sizeof bytes ? MANY_BYTES - pushed : sizeof bytes;
        ssize_t sent = want ? send(fd, bytes, want, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
        if (sent > 0) pushed += (size_t)sent;
        assert_false(n == 0);
    }
    assert_int_equal(pushed, MANY_BYTES);
    close(fd);
    end(&w);
}

static void a_handler_is_told_when_its_client_goes(void **state)
{
    (void)state;
    struct world w;
    begin(&w, NULL);
    for (int half = 0; half < 2; half++) {
        int fd = client_connect(&w);
        client_send(fd, "POST /keep HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
        wait_for(&begun, half + 1);
        assert_int_equal(gone, half);
        if (half)
            shutdown(fd, SHUT_WR); /* counts as gone for those who asked */
        else
            close(fd);
        wait_for(&gone, half + 1);
        uv_async_send(&release_it);
        wait_for(&released, half + 1);
        if (half) close(fd);
    }
    int fd = client_connect(&w);
    client_send(fd, "GET /keep HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    wait_for(&begun, 3);
    uv_async_send(&release_it);
    assert_has(client_read(fd, 10000, NULL, NULL), "\r\n\r\nthere");
    close(fd);
    assert_int_equal(gone, 2);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_in_pieces_joins_to_what_was_sent_however_it_is_cut),
        cmocka_unit_test(a_request_without_a_body_begins_and_ends),
        cmocka_unit_test(a_route_may_take_more_or_less_than_the_app),
        cmocka_unit_test(what_is_refused_is_refused_before_its_body_comes),
        cmocka_unit_test(a_little_that_nobody_wants_is_skipped_and_much_is_not),
        cmocka_unit_test(who_sends_on_after_a_refusal_still_gets_it),
        cmocka_unit_test(an_answer_may_come_while_the_body_still_comes),
        cmocka_unit_test(a_paused_body_is_not_read_and_its_time_does_not_run),
        cmocka_unit_test(the_next_request_is_read_after_a_body_that_was_kept),
        cmocka_unit_test(a_body_paused_at_each_piece_still_ends),
        cmocka_unit_test(who_leaves_within_a_body_is_told_to_its_handler_once),
        cmocka_unit_test(a_body_that_is_too_slow_gets_408_and_its_handler_is_told),
        cmocka_unit_test(an_echo_of_much_keeps_little),
        cmocka_unit_test(a_handler_is_told_when_its_client_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
