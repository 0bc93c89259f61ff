/* All requests in one place (web/intake.h): what the reverse proxy relies on. */
#include "web/intake.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

enum { LARGE = 32 * 1024 * 1024 }; /* more than the kernel keeps for both sides */

/* What was called; written by the server's thread, read by the test. */
static struct {
    int begun, ended, failed, gone, drained, waits;
    int tunnels, tunnel_ended, tunnel_gone, tunnel_stopped;
    int bytes; /* of bodies */
} seen;

static void count(int *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELEASE);
}

static int value_of(const int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

/* --- answers --- */

static void put_head(struct wr_request *r, int status, enum framing framing, uint64_t length,
                     const char *more)
{
    struct intake_head head = {.max = 512, .status = status, .framing = framing, .length = length};
    head.close = framing == FRAMING_CLOSE || (status != 101 && intake_closes(r));
    uint8_t *room = intake_room(r, head.max);
    assert_non_null(room);
    int n = snprintf((char *)room, head.max, "HTTP/1.1 %d Words\r\nX-Method: %s\r\n%s", status,
                     wr_request_method(r), more);
    if (framing == FRAMING_LENGTH)
        n += snprintf((char *)room + n, head.max - (size_t)n, "Content-Length: %d\r\n", (int)length);
    if (framing == FRAMING_CHUNKED)
        n += snprintf((char *)room + n, head.max - (size_t)n, "Transfer-Encoding: chunked\r\n");
    n +=
        snprintf((char *)room + n, head.max - (size_t)n, "%s\r\n", head.close ? "Connection: close\r\n" : "");
    head.used = (size_t)n;
    intake_head(r, &head);
}

static void answer_text(struct wr_request *r, int status, const char *text)
{
    put_head(r, status, r->head_only ? FRAMING_NONE : FRAMING_LENGTH, strlen(text), "");
    intake_write(r, slice_text(text));
    intake_end(r, SLICE_EMPTY);
}

static bool is_at(const struct wr_request *r, const char *path)
{
    return strcmp(wr_request_path(r), path) == 0;
}

/* --- a tunnel that sends back what it gets, in capitals --- */

struct echo {
    struct tunnel tunnel;
    bool holds; /* after "hold" it takes nothing until it is told */
    bool ended;
};
static struct echo *held;

static void echo_received(struct tunnel *tunnel, uint8_t *bytes, size_t len)
{
    struct echo *echo = (struct echo *)tunnel;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] >= 'a' && bytes[i] <= 'z') bytes[i] = (uint8_t)(bytes[i] - 'a' + 'A');
    }
    assert_int_equal(stream_put(&tunnel->conn->stream, slice_of(bytes, len)), OK);
    if (len >= 4 && memcmp(bytes, "HOLD", 4) == 0) {
        held = echo;
        tunnel_pause(tunnel, true);
    } else if (len >= 5 && memcmp(bytes, "CLOSE", 5) == 0) {
        tunnel_close(tunnel, false);
        free(echo);
    } else if (len >= 3 && memcmp(bytes, "CUT", 3) == 0) {
        tunnel_close(tunnel, true);
        free(echo);
    }
}

static void echo_ended(struct tunnel *tunnel)
{
    struct echo *echo = (struct echo *)tunnel;
    if (echo->ended) return; /* it may be said again */
    echo->ended = true;
    count(&seen.tunnel_ended);
    assert_int_equal(stream_put(&tunnel->conn->stream, SLICE("last words")), OK);
    tunnel_close(tunnel, false);
    free(echo);
}

static void echo_flushed(struct tunnel *tunnel)
{
    (void)tunnel;
}

static void echo_gone(struct tunnel *tunnel)
{
    assert_null(tunnel->conn);
    count(&seen.tunnel_gone);
    free(tunnel);
}

static void echo_stop(struct tunnel *tunnel)
{
    count(&seen.tunnel_stopped);
    assert_int_equal(stream_put(&tunnel->conn->stream, SLICE("stopping")), OK);
    tunnel_close(tunnel, false);
    free(tunnel);
}

static uint64_t echo_deadline(struct tunnel *tunnel, uint64_t now_ms)
{
    (void)tunnel, (void)now_ms;
    return UINT64_MAX;
}

static const struct tunnel_events echo_events = {.received = echo_received,
                                                 .ended = echo_ended,
                                                 .flushed = echo_flushed,
                                                 .gone = echo_gone,
                                                 .stop = echo_stop,
                                                 .deadline = echo_deadline};

static void become_tunnel(struct wr_request *r)
{
    struct echo *echo = calloc(1, sizeof *echo);
    echo->tunnel.events = &echo_events;
    put_head(r, 101, FRAMING_NONE, 0, "Connection: Upgrade\r\nUpgrade: echo\r\n");
    count(&seen.tunnels);
    intake_tunnel(r, &echo->tunnel);
}

/* --- the intake --- */

static void on_gone(struct wr_request *r, void *context)
{
    (void)context;
    count(&seen.gone);
    wr_respond_abort(r);
}

static void on_drain(struct wr_request *r, void *context)
{
    static const char piece[32 * 1024];
    (void)context;
    count(&seen.drained);
    while (r->flow.left > 0) {
        size_t len = r->flow.left < sizeof piece ? (size_t)r->flow.left : sizeof piece;
        intake_write(r, slice_of(piece, len));
        if (intake_push(r) >= 256 * 1024 && r->flow.left > 0) {
            intake_await_drain(r);
            __atomic_store_n(&seen.waits, 1, __ATOMIC_RELEASE);
            return;
        }
    }
    intake_end(r, SLICE_EMPTY);
}

static void resume(struct wr_timer *timer, void *context)
{
    (void)timer;
    wr_request_resume(context);
}

static void on_begin(struct wr_request *r, void *context)
{
    (void)context;
    count(&seen.begun);
    intake_on_gone(r, on_gone, NULL);
    if (is_at(r, "/early")) {
        answer_text(r, 200, "early");
    } else if (is_at(r, "/both")) {
        wr_respond_text(r, 409, "by the framework");
    } else if (is_at(r, "/stream")) {
        put_head(r, 200, FRAMING_CHUNKED, 0, "Trailer: X-Sum\r\n");
    } else if (is_at(r, "/paused")) {
        wr_request_pause(r);
        assert_non_null(wr_timer_start(r->worker, 50, 0, resume, r));
    }
}

static void on_data(struct wr_request *r, const void *bytes, size_t len, void *context)
{
    (void)context;
    __atomic_add_fetch(&seen.bytes, (int)len, __ATOMIC_RELEASE);
    if (is_at(r, "/stream")) intake_write(r, slice_of(bytes, len));
    if (is_at(r, "/middle")) answer_text(r, 200, "enough");
}

static void on_end(struct wr_request *r, void *context)
{
    char text[128];
    (void)context;
    count(&seen.ended);
    if (is_at(r, "/stream")) {
        intake_end(r, SLICE("X-Sum: 7\r\n"));
    } else if (is_at(r, "/never")) {
        return;
    } else if (is_at(r, "/tunnel")) {
        become_tunnel(r);
    } else if (is_at(r, "/large")) {
        put_head(r, 200, FRAMING_LENGTH, LARGE, "");
        wr_response_on_drain(r, on_drain, NULL);
        on_drain(r, NULL);
    } else {
        snprintf(text, sizeof text, "%s of %d", wr_request_path(r), (int)r->received);
        answer_text(r, 200, text);
    }
}

static void on_failed(struct wr_request *r, void *context)
{
    (void)r, (void)context;
    count(&seen.failed);
}

static struct world w;

static int begin(void **state)
{
    static const struct wr_body_handlers handlers = {
        .begin = on_begin, .data = on_data, .end = on_end, .failed = on_failed};
    struct wr_config config;
    (void)state;
    memset(&seen, 0, sizeof seen);
    wr_config_init(&config);
    config.answer_timeout_ms = 0;
    world_init(&w, &config);
    assert_int_equal(app_intake(w.app, &handlers, NULL), OK);
    world_run(&w);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

/* Sends, half-closes when `last`, and reads to the end. */
static const char *talk(const char *text, bool last)
{
    int fd = client_connect(&w);
    bool closed;
    client_send(fd, text);
    if (last) shutdown(fd, SHUT_WR);
    const char *answer = client_read(fd, 8000, NULL, &closed);
    assert_true(closed);
    close(fd);
    return answer;
}

/* Reads until this has come. */
static void expect(int fd, const char *part)
{
    static char text[64 * 1024];
    size_t n = 0;
    do {
        assert_true(n + 1 < sizeof text);
        client_read_exact(fd, text + n, 1);
        text[++n] = 0;
    } while (!strstr(text, part));
}

/* --- what comes in --- */

static void every_method_and_address_comes_to_it(void **state)
{
    (void)state;
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"GET /a/../b?c HTTP/1.1", "/a/../b of 0"},
        {"BREW /pot HTTP/1.1", "X-Method: BREW\r\n"},
        {"TRACE / HTTP/1.1", "X-Method: TRACE\r\n"},
        {"OPTIONS * HTTP/1.1", "* of 0"},
        {"GET http://a/x HTTP/1.1", "/x of 0"},
        {"OPTIONS http://a HTTP/1.1", "/ of 0"},
        {"GET /%41 HTTP/1.1", "/A of 0"},
    };
    static const struct {
        const char *line, *answer;
    } refused[] = {
        {"CONNECT b:443 HTTP/1.1", "HTTP/1.1 501"}, {"GET * HTTP/1.1", "HTTP/1.1 400"},
        {"GET ftp://b/ HTTP/1.1", "HTTP/1.1 400"},  {"GET https://a/ HTTP/1.1", "HTTP/1.1 421"},
        {"GET /%4 HTTP/1.1", "HTTP/1.1 400"},       {"GET b:80 HTTP/1.1", "HTTP/1.1 400"},
        {"GET http://b/ HTTP/1.1", "HTTP/1.1 400"}, /* another Host is named */
    };
    char text[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "%s\r\n", cases[i].line);
        const char *answer = ask(&w, text);
        assert_starts(answer, "HTTP/1.1 200 Words\r\n");
        assert_has(answer, cases[i].answer);
    }
    assert_int_equal(value_of(&seen.begun), sizeof cases / sizeof cases[0]);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        snprintf(text, sizeof text, "%s\r\n", refused[i].line);
        assert_starts(ask(&w, text), refused[i].answer);
    }
    assert_int_equal(value_of(&seen.begun), sizeof cases / sizeof cases[0]);
}

static void bodies_come_in_pieces_with_and_without_length(void **state)
{
    (void)state;
    const char *answers = talk("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                               "PUT /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                               "chunked\r\n\r\n3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nX: "
                               "y\r\n\r\nGET /z HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                               false);
    assert_has(answers, "/x of 5");
    assert_has(answers, "/y of 7");
    assert_has(answers, "/z of 0");
    assert_int_equal(value_of(&seen.bytes), 12);
    assert_int_equal(value_of(&seen.ended), 3);
}

static void a_client_that_waits_for_100_gets_it_unless_it_is_answered(void **state)
{
    (void)state;
    int fd = client_connect(&w);
    client_send(fd, "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    expect(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    client_send(fd, "hello");
    expect(fd, "/x of 5");
    /* Paused: the client hears it when the body is wanted. */
    client_send(fd, "PUT /paused HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    expect(fd, "HTTP/1.1 100 Continue\r\n\r\n");
    client_send(fd, "hello");
    expect(fd, "/paused of 5");
    close(fd);
    /* Answered at once: no 100, and the connection ends, since nobody knows whether the body will come. */
    const char *answer =
        talk("PUT /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", true);
    assert_starts(answer, "HTTP/1.1 200 Words\r\n");
    assert_has(answer, "Connection: close\r\n");
    assert_has_not(answer, "100 Continue");
    /* The answer has begun: no 100 either, it would be a second answer. */
    fd = client_connect(&w);
    client_send(fd, "PUT /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    expect(fd, "Connection: close\r\n\r\n");
    client_send(fd, "hello");
    expect(fd, "5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n");
    close(fd);
}

/* --- answers before the body has come --- */

static void an_early_answer_skips_a_short_rest(void **state)
{
    (void)state;
    int fd = client_connect(&w);
    for (int i = 0; i < 3; i++) {
        client_send(fd, "PUT /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
        expect(fd, "\r\n\r\nearly");
        client_send(fd, "56789");
        client_send(fd, "PUT /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        expect(fd, "\r\n\r\nearly");
        client_send(fd, "2\r\nde\r\n0\r\n\r\n");
        client_send(fd, "PUT /middle HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
        expect(fd, "\r\n\r\nenough");
        client_send(fd, "56789");
        client_send(fd, "PUT /both HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
        expect(fd, "by the framework");
        client_send(fd, "56789");
    }
    client_send(fd, "GET /after HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(fd, "/after of 0");
    close(fd);
    assert_int_equal(value_of(&seen.failed), 0);
    assert_int_equal(value_of(&seen.ended), 1);
}

static void an_early_answer_gets_through_a_long_body(void **state)
{
    (void)state;
    static char body[4 * 1024 * 1024];
    int fd = client_connect(&w);
    bool closed;
    client_send(fd, "PUT /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    /* As much as the server takes: it may close when it has waited long enough. */
    for (size_t n = 0; n < sizeof body; n += 64 * 1024) {
        if (send(fd, body, 64 * 1024, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) break;
    }
    shutdown(fd, SHUT_WR);
    const char *answer = client_read(fd, 8000, NULL, &closed);
    assert_true(closed);
    assert_has(answer, "Connection: close\r\n\r\nearly");
    close(fd);
}

static void an_answer_may_go_out_while_the_body_comes_in(void **state)
{
    (void)state;
    int fd = client_connect(&w);
    client_send(fd, "PUT /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    expect(fd, "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        client_send(fd, "4\r\nabcd\r\n");
        expect(fd, "4\r\nabcd\r\n");
    }
    client_send(fd, "0\r\n\r\n");
    expect(fd, "0\r\nX-Sum: 7\r\n\r\n");
    client_send(fd, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(fd, "/after of 0");
    /* What breaks the rules within it cannot be told any more: the connection ends. */
    client_send(
        fd, "PUT /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n");
    bool closed;
    const char *answer = client_read(fd, 8000, NULL, &closed);
    assert_true(closed);
    assert_has_not(answer, "400");
    assert_has_not(answer, "0\r\n\r\n");
    close(fd);
    wait_for(&seen.failed, 1);
}

/* --- clients that go --- */

static void a_client_may_go_at_any_time(void **state)
{
    (void)state;
    static const char request[] = "PUT /never HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    const struct linger reset = {.l_onoff = 1};
    int gone = 0, failed = 0, head = (int)(strstr(request, "hello") - request);
    for (int sent = 1; sent < (int)sizeof request; sent++) {
        int begun = value_of(&seen.begun), ended = value_of(&seen.ended);
        int fd = client_connect(&w);
        client_send_bytes(fd, request, (size_t)sent);
        if (sent >= head) wait_for(&seen.begun, begun + 1);
        if (sent == (int)sizeof request - 1) wait_for(&seen.ended, ended + 1);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        gone += sent == (int)sizeof request - 1;
        failed += sent >= head && sent < (int)sizeof request - 1;
        wait_for(&seen.failed, failed);
        wait_for(&seen.gone, gone);
    }
    assert_int_equal(gone, 1);
    assert_int_equal(failed, 5);
}

static void a_client_may_go_while_it_is_answered(void **state)
{
    (void)state;
    const struct linger reset = {.l_onoff = 1};
    char some[1000];
    int fd = client_connect(&w);
    client_send(fd, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    client_read_exact(fd, some, sizeof some);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    wait_for(&seen.gone, 1);
    fd = client_connect(&w);
    client_send(fd, "PUT /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n");
    expect(fd, "\r\n\r\n");
    close(fd);
    wait_for(&seen.failed, 1);
}

static void one_that_half_closes_is_answered(void **state)
{
    (void)state;
    int fd = client_connect(&w);
    client_send(fd, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    static char piece[64 * 1024];
    expect(fd, "\r\n\r\n");
    wait_for(&seen.waits, 1);
    for (size_t n = 0; n < LARGE; n += sizeof piece)
        client_read_exact(fd, piece, sizeof piece);
    bool closed;
    assert_string_equal(client_read(fd, 8000, NULL, &closed), "");
    assert_true(closed);
    close(fd);
    assert_true(value_of(&seen.drained) > 1);
    assert_int_equal(value_of(&seen.gone), 0);
    /* A body that is not whole is none. */
    assert_string_equal(talk("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel", true), "");
    wait_for(&seen.failed, 1);
    assert_has(talk("PUT /paused HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", true),
               "/paused of 5");
}

/* --- tunnels --- */

static const char handshake[] =
    "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

static int open_tunnel(const char *behind)
{
    char text[sizeof handshake + 256];
    int fd = client_connect(&w);
    snprintf(text, sizeof text, "%s%s", handshake, behind);
    client_send(fd, text);
    expect(fd, "Upgrade: echo\r\n\r\n");
    return fd;
}

static void what_comes_behind_a_handshake_goes_into_the_tunnel(void **state)
{
    (void)state;
    int fd = open_tunnel("early bytes ");
    expect(fd, "EARLY BYTES ");
    client_send(fd, "more");
    expect(fd, "MORE");
    close(fd);
    wait_for(&seen.tunnel_ended, 1);
    /* Behind another request, whose answer goes first. */
    fd = client_connect(&w);
    client_send(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    client_send(fd, handshake);
    client_send(fd, "one ");
    expect(fd, "/x of 0");
    expect(fd, "Upgrade: echo\r\n\r\nONE ");
    client_send(fd, "close");
    bool closed;
    assert_string_equal(client_read(fd, 8000, NULL, &closed), "CLOSE");
    assert_true(closed);
    close(fd);
}

static void a_tunnel_hears_that_the_client_sends_no_more(void **state)
{
    (void)state;
    bool closed;
    int fd = open_tunnel("all");
    shutdown(fd, SHUT_WR);
    assert_string_equal(client_read(fd, 8000, NULL, &closed), "ALLlast words");
    assert_true(closed);
    close(fd);
    assert_int_equal(value_of(&seen.tunnel_ended), 1);
    assert_int_equal(value_of(&seen.tunnel_gone), 0); /* it has closed itself */
}

static void let_go(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    tunnel_pause(&held->tunnel, false);
}

static void a_tunnel_that_is_paused_takes_nothing_and_loses_nothing(void **state)
{
    (void)state;
    static char sent[512 * 1024], got[512 * 1024];
    int fd = open_tunnel("");
    client_send(fd, "hold");
    expect(fd, "HOLD");
    memset(sent, 'x', sizeof sent);
    /* What the kernels and the server keep in between, and no more. */
    size_t n = 0;
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    while (n < sizeof sent && poll(&room, 1, 200) == 1) {
        ssize_t some = send(fd, sent + n, sizeof sent - n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (some > 0) n += (size_t)some;
    }
    struct pollfd none = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&none, 1, 50), 0);
    shutdown(fd, SHUT_WR);
    assert_int_equal(poll(&none, 1, 50), 0); /* what it sent comes before its end */
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), let_go, NULL), WR_OK);
    client_read_exact(fd, got, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i], 'X');
    bool closed;
    assert_string_equal(client_read(fd, 8000, NULL, &closed), "last words");
    assert_true(closed);
    close(fd);
}

static void a_tunnel_is_cut_by_either_side(void **state)
{
    (void)state;
    const struct linger reset = {.l_onoff = 1};
    int fd = open_tunnel("");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    wait_for(&seen.tunnel_gone, 1);
    fd = open_tunnel("");
    client_send(fd, "cut");
    bool closed;
    client_read(fd, 8000, NULL, &closed);
    assert_true(closed);
    close(fd);
    assert_int_equal(value_of(&seen.tunnel_gone), 1); /* not told to who did it */
}

static void a_server_that_stops_tells_its_tunnels(void **state)
{
    (void)state;
    bool closed;
    int fd = open_tunnel("");
    wr_stop(w.app);
    assert_string_equal(client_read(fd, 8000, NULL, &closed), "stopping");
    assert_true(closed);
    close(fd);
    pthread_join(w.thread, NULL);
    wr_app_free(w.app);
    assert_int_equal(seen.tunnel_stopped, 1);
    assert_int_equal(seen.tunnel_gone, 0);
    assert_int_equal(begin(NULL), 0); /* for the teardown */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_method_and_address_comes_to_it),
        TEST(bodies_come_in_pieces_with_and_without_length),
        TEST(a_client_that_waits_for_100_gets_it_unless_it_is_answered),
        TEST(an_early_answer_skips_a_short_rest),
        TEST(an_early_answer_gets_through_a_long_body),
        TEST(an_answer_may_go_out_while_the_body_comes_in),
        TEST(a_client_may_go_at_any_time),
        TEST(a_client_may_go_while_it_is_answered),
        TEST(one_that_half_closes_is_answered),
        TEST(what_comes_behind_a_handshake_goes_into_the_tunnel),
        TEST(a_tunnel_hears_that_the_client_sends_no_more),
        TEST(a_tunnel_that_is_paused_takes_nothing_and_loses_nothing),
        TEST(a_tunnel_is_cut_by_either_side),
        TEST(a_server_that_stops_tells_its_tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
