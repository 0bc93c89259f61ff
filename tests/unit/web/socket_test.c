/* WebSockets from the side of the program: queue, drain, pause, pings, the one close callback. */
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "world.h"

static int opened, closed_count, close_code, messages, drained;
static char close_reason[200], refused_user;
static struct wr_socket *current;
static int64_t last_send;

static void add(int *count)
{
    __atomic_add_fetch(count, 1, __ATOMIC_RELEASE);
}

static void upgrade(struct wr_request *request, void *context)
{
    (void)context;
    const char *query = wr_request_query(request, "do");
    if (query && strcmp(query, "refuse") == 0) {
        wr_respond_error(request, 401, "who are you?");
        return;
    }
    wr_response_cookie(request, &(struct wr_cookie){.name = "seen", .value = "1", .max_age_s = -1});
    assert_int_equal(wr_socket_accept(request, &refused_user), WR_OK);
}

static void on_open(struct wr_socket *socket, void *context)
{
    assert_true(wr_socket_user(socket) == &refused_user);
    assert_ptr_equal(context, &opened);
    assert_string_equal(wr_socket_address(socket), "127.0.0.1");
    current = socket;
    wr_socket_send(socket, WR_TEXT, "hi", 2);
    add(&opened);
}

/* One-letter commands. */
static void on_message(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                       void *context)
{
    static char much[32 * 1024];
    (void)context;
    char command = len ? *(const char *)bytes : 0;
    switch (command) {
    case 'f': /* fill the queue until it refuses */
        while ((last_send = wr_socket_send(socket, WR_BINARY, much, sizeof much)) >= 0)
            continue;
        break;
    case 'p': wr_socket_pause(socket); break;
    case 'c':
        wr_socket_close(socket, 4001, "because");
        last_send = wr_socket_send(socket, WR_TEXT, "x", 1);
        break;
    case 'u': last_send = wr_socket_send(socket, WR_TEXT, "\xFF", 1); break;
    case 'j': {
        json_t *json = json_pack("{s:i}", "n", 1);
        last_send = wr_socket_send_json(socket, json);
        json_decref(json);
        break;
    }
    case '2':
        last_send =
            wr_socket_send_parts(socket, kind, (struct wr_bytes[]){{"ab", 2}, {NULL, 0}, {"cd", 2}}, 3);
        break;
    case 't': /* many in one turn */
        for (int i = 0; i < 50; i++)
            wr_socket_send(socket, WR_TEXT, "tick", 4);
        break;
    default: break;
    }
    add(&messages);
}

static void on_drain(struct wr_socket *socket, void *context)
{
    (void)context;
    assert_true(wr_socket_queued(socket) <= 16 * 1024);
    add(&drained);
}

static void on_close(struct wr_socket *socket, int code, const char *reason, void *context)
{
    (void)context;
    assert_int_equal(wr_socket_send(socket, WR_TEXT, "x", 1), WR_CLOSED);
    close_code = code;
    snprintf(close_reason, sizeof close_reason, "%s", reason);
    add(&closed_count);
}

static uv_async_t resume_it, end_it;

static void on_resume(uv_async_t *async)
{
    (void)async;
    wr_socket_resume(current);
}

static void on_end(uv_async_t *async)
{
    uv_close((uv_handle_t *)&resume_it, NULL);
    uv_close((uv_handle_t *)async, NULL);
    add(&opened);
}

static void begin(struct world *w, unsigned ping_ms, unsigned idle_ms)
{
    opened = closed_count = close_code = messages = drained = 0;
    last_send = 0;
    world_init(w, NULL);
    struct wr_socket_handlers handlers = {.upgrade = upgrade,
                                          .open = on_open,
                                          .message = on_message,
                                          .drain = on_drain,
                                          .close = on_close,
                                          .message_bytes_max = 1000,
                                          .queue_bytes_max = 1024 * 1024,
                                          .ping_interval_ms = ping_ms,
                                          .idle_timeout_ms = idle_ms};
    assert_int_equal(wr_websocket(w->app, "/ws", &handlers, &opened), WR_OK);
    assert_int_equal(wr_websocket(w->app, "/ws/", &handlers, &opened), WR_EXISTS);
    uv_async_init(wr_loop(w->app), &resume_it, on_resume);
    uv_async_init(wr_loop(w->app), &end_it, on_end);
    world_run(w);
}

static void end(struct world *w)
{
    int before = __atomic_load_n(&opened, __ATOMIC_ACQUIRE);
    uv_async_send(&end_it);
    wait_for(&opened, before + 1);
    world_end(w);
}

#define HANDSHAKE                                                                                            \
    "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                  \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void expect_frame(int fd, unsigned first, const char *payload)
{
    uint8_t got[130];
    size_t len = strlen(payload);
    client_read_exact(fd, got, 2);
    assert_int_equal(got[0], first);
    assert_int_equal(got[1], len);
    client_read_exact(fd, got, len);
    assert_memory_equal(got, payload, len);
}

/* The handshake and the greeting. */
static int open_socket(struct world *w)
{
    int fd = client_connect(w);
    char head[2000];
    size_t n = 0;
    client_send(fd, "GET /ws HTTP/1.1\r\n" HANDSHAKE);
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
        client_read_exact(fd, head + n++, 1);
    head[n] = 0;
    assert_starts(head, "HTTP/1.1 101 ");
    assert_has(head, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"); /* RFC 6455 1.3 */
    assert_has(head, "Set-Cookie: seen=1; Path=/; SameSite=Lax\r\n");
    assert_has_not(head, "Content-Length");
    expect_frame(fd, 0x81, "hi");
    return fd;
}

static void command(int fd, char letter)
{
    uint8_t frame[] = {0x81, 0x81, 0, 0, 0, 0, (uint8_t)letter};
    client_send_bytes(fd, frame, sizeof frame);
}

static void the_upgrade_handler_may_refuse(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 0);
    int fd = client_connect(&w);
    client_send(fd, "GET /ws?do=refuse HTTP/1.1\r\n" HANDSHAKE);
    const char *text = client_read(fd, 300, NULL, NULL);
    assert_starts(text, "HTTP/1.1 401 ");
    assert_has(text, "who are you?");
    assert_int_equal(opened, 0);
    close(fd);
    end(&w);
}

static void a_full_queue_refuses_and_drain_tells_when_it_is_nearly_empty(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 0);
    int fd = open_socket(&w);
    command(fd, 'f');
    wait_for(&messages, 1);
    assert_int_equal(last_send, WR_FULL);
    assert_int_equal(drained, 0);
    static uint8_t sink[1 << 16];
    for (int i = 0; i < 10000 && __atomic_load_n(&drained, __ATOMIC_ACQUIRE) == 0; i++)
        (void)!recv(fd, sink, sizeof sink, MSG_DONTWAIT);
    wait_for(&drained, 1);
    close(fd);
    wait_for(&closed_count, 1);
    assert_int_equal(close_code, WR_CLOSE_LOST);
    end(&w);
}

static void a_paused_socket_holds_messages_back(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 300);
    int fd = open_socket(&w);
    uint8_t three[] = {0x81, 0x81, 0, 0, 0, 0, 'p', 0x81, 0x81, 0, 0, 0, 0, 'x', 0x81, 0x81, 0, 0, 0, 0, 'y'};
    client_send_bytes(fd, three, sizeof three);
    wait_for(&messages, 1);
    command(fd, 'z');
    nanosleep(&(struct timespec){.tv_nsec = 700000000}, NULL); /* longer than the idle timeout, which rests */
    assert_int_equal(__atomic_load_n(&messages, __ATOMIC_ACQUIRE), 1);
    assert_int_equal(closed_count, 0);
    uv_async_send(&resume_it);
    wait_for(&messages, 4);
    close(fd);
    wait_for(&closed_count, 1);
    end(&w);
}

static void closing_sends_the_code_waits_for_the_answer_and_calls_back_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 0);
    int fd = open_socket(&w);
    command(fd, 'c');
    expect_frame(fd, 0x88,
                 "\x0f\xa1"
                 "because");
    assert_int_equal(last_send, WR_CLOSED);
    assert_int_equal(closed_count, 0);
    command(fd, 'x'); /* not delivered any more */
    uint8_t answer[] = {0x88, 0x84, 0, 0, 0, 0, 0x0f, 0xa1, 'o', 'k'};
    client_send_bytes(fd, answer, sizeof answer);
    wait_for(&closed_count, 1);
    assert_int_equal(close_code, 4001);
    assert_string_equal(close_reason, "ok");
    assert_int_equal(messages, 1);
    bool closed;
    client_read(fd, 3000, NULL, &closed);
    assert_true(closed);
    close(fd);
    end(&w);
    assert_int_equal(closed_count, 1);
}

static void texts_must_be_utf8_and_parts_are_one_message(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 0);
    int fd = open_socket(&w);
    command(fd, 'u');
    wait_for(&messages, 1);
    assert_int_equal(last_send, WR_INVALID);
    command(fd, 'j');
    expect_frame(fd, 0x81, "{\"n\":1}");
    command(fd, '2');
    expect_frame(fd, 0x81, "abcd");
    close(fd);
    wait_for(&closed_count, 1);
    end(&w);
}

static void what_a_turn_sends_leaves_together(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 0);
    int fd = open_socket(&w);
    command(fd, 't');
    wait_for(&messages, 1);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    char got[1000];
    assert_int_equal(recv(fd, got, sizeof got, 0), 50 * 6); /* one segment */
    close(fd);
    wait_for(&closed_count, 1);
    end(&w);
}

static void pings_are_sent_and_a_silent_client_is_lost(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 150, 500);
    int fd = open_socket(&w);
    expect_frame(fd, 0x89, "");
    uint8_t pong[] = {0x8A, 0x80, 0, 0, 0, 0};
    for (int i = 0; i < 5; i++) { /* 5 * 150 ms is more than the timeout: answers keep it alive */
        client_send_bytes(fd, pong, sizeof pong);
        expect_frame(fd, 0x89, "");
    }
    assert_int_equal(closed_count, 0);
    wait_for(&closed_count, 1);
    assert_int_equal(close_code, WR_CLOSE_LOST);
    close(fd);
    end(&w);
}

static void stopping_closes_with_1001_and_freeing_calls_back_for_the_rest(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 0);
    int fd = open_socket(&w);
    end(&w); /* the client never answers the close frame */
    assert_int_equal(closed_count, 1);
    assert_int_equal(close_code, WR_CLOSE_LOST);
    expect_frame(fd, 0x88,
                 "\x03\xe9"
                 "the server is stopping");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_upgrade_handler_may_refuse),
        cmocka_unit_test(a_full_queue_refuses_and_drain_tells_when_it_is_nearly_empty),
        cmocka_unit_test(a_paused_socket_holds_messages_back),
        cmocka_unit_test(closing_sends_the_code_waits_for_the_answer_and_calls_back_once),
        cmocka_unit_test(texts_must_be_utf8_and_parts_are_one_message),
        cmocka_unit_test(what_a_turn_sends_leaves_together),
        cmocka_unit_test(pings_are_sent_and_a_silent_client_is_lost),
        cmocka_unit_test(stopping_closes_with_1001_and_freeing_calls_back_for_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
