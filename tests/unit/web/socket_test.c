/* WebSockets from the side of the program: queue, drain, pause, pings, the one close callback. */
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "world.h"

static int opened, closed_count, close_code, messages, drained;
static char close_reason[200], refused_user;
static struct wr_socket *current;
static int64_t last_send; /* written before `messages` is counted up, read after that */

static void add(int *count)
{
    __atomic_add_fetch(count, 1, __ATOMIC_RELEASE);
}

static int get(const int *count)
{
    return __atomic_load_n(count, __ATOMIC_ACQUIRE);
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
    __atomic_store_n(&close_code, code, __ATOMIC_RELEASE);
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
                                          .compress_bytes_min = 100,
                                          .protocols = " chat  superchat",
                                          .queue_bytes_max = 1024 * 1024,
                                          .ping_interval_ms = ping_ms,
                                          .idle_timeout_ms = idle_ms};
    assert_int_equal(wr_websocket(w->app, "/ws", &handlers, &opened), WR_OK);
    assert_int_equal(wr_websocket(w->app, "/ws/", &handlers, &opened), WR_EXISTS);
    handlers.protocols = "a,b";
    assert_int_equal(wr_websocket(w->app, "/bad", &handlers, &opened), WR_INVALID);
    assert_int_equal(wr_metrics(w->app, "/metrics"), WR_OK);
    uv_async_init(wr_loop(w->app), &resume_it, on_resume);
    uv_async_init(wr_loop(w->app), &end_it, on_end);
    world_run(w);
}

static void end(struct world *w)
{
    int before = get(&opened);
    uv_async_send(&end_it);
    wait_for(&opened, before + 1);
    world_end(w);
}

/* With further lines. */
#define HANDSHAKE_WITH(lines)                                                                                \
    "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" lines            \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define HANDSHAKE HANDSHAKE_WITH("")

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
static int open_with(struct world *w, const char *request, char head[2000])
{
    int fd = client_connect(w);
    size_t n = 0;
    client_send(fd, request);
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

static int open_socket(struct world *w)
{
    char head[2000];
    return open_with(w, "GET /ws HTTP/1.1\r\n" HANDSHAKE, head);
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
    assert_int_equal(get(&opened), 0);
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
    assert_int_equal(get(&drained), 0);
    static uint8_t sink[1 << 16];
    for (int i = 0; i < 10000 && get(&drained) == 0; i++)
        (void)!recv(fd, sink, sizeof sink, MSG_DONTWAIT);
    wait_for(&drained, 1);
    close(fd);
    wait_for(&closed_count, 1);
    assert_int_equal(get(&close_code), WR_CLOSE_LOST);
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
    assert_int_equal(get(&messages), 1);
    assert_int_equal(get(&closed_count), 0);
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
    assert_int_equal(get(&closed_count), 0);
    command(fd, 'x'); /* not delivered any more */
    uint8_t answer[] = {0x88, 0x84, 0, 0, 0, 0, 0x0f, 0xa1, 'o', 'k'};
    client_send_bytes(fd, answer, sizeof answer);
    wait_for(&closed_count, 1);
    assert_int_equal(get(&close_code), 4001);
    assert_string_equal(close_reason, "ok");
    assert_int_equal(get(&messages), 1);
    bool closed;
    client_read(fd, 3000, NULL, &closed);
    assert_true(closed);
    close(fd);
    end(&w);
    assert_int_equal(get(&closed_count), 1);
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
    assert_int_equal(get(&closed_count), 0);
    wait_for(&closed_count, 1);
    assert_int_equal(get(&close_code), WR_CLOSE_LOST);
    close(fd);
    end(&w);
}

static void sockets_and_messages_are_counted(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 0);
    int fd = open_socket(&w), other = open_socket(&w);
    command(fd, 't');
    wait_for(&messages, 1);
    close(other);
    wait_for(&closed_count, 1);
    const char *text = ask(&w, "GET /metrics HTTP/1.1\r\n");
    assert_has(text, "\nweaprous_websockets 1\n");
    assert_has(text, "\nweaprous_websockets_total 2\n");
    assert_has(text, "\nweaprous_websocket_messages_total{direction=\"received\"} 1\n");
    assert_has(text, "\nweaprous_websocket_messages_total{direction=\"sent\"} 52\n");
    close(fd);
    wait_for(&closed_count, 2);
    end(&w);
}

static void stopping_closes_with_1001_and_freeing_calls_back_for_the_rest(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 0, 0);
    int fd = open_socket(&w);
    end(&w); /* the client never answers the close frame */
    assert_int_equal(get(&closed_count), 1);
    assert_int_equal(get(&close_code), WR_CLOSE_LOST);
    expect_frame(fd, 0x88,
                 "\x03\xe9"
                 "the server is stopping");
    close(fd);
}

static void sub_protocols_and_extensions_are_agreed_on_by_the_letter(void **state)
{
    (void)state;
    static const char none[] = "(nothing)";
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {HANDSHAKE, none},
        {HANDSHAKE_WITH("Sec-WebSocket-Protocol: other, superchat\r\n"),
         "Sec-WebSocket-Protocol: superchat\r\n"},
        {HANDSHAKE_WITH("Sec-WebSocket-Protocol: superchat\r\nSec-WebSocket-Protocol: chat\r\n"),
         "Sec-WebSocket-Protocol: chat\r\n"},
        {HANDSHAKE_WITH("Sec-WebSocket-Protocol: Chat, cha, chatter\r\n"), none},
        {HANDSHAKE_WITH("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
         "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
         "client_no_context_takeover\r\n"},
        {HANDSHAKE_WITH("Sec-WebSocket-Extensions: permessage-deflate; x, permessage-deflate; "
                        "server_max_window_bits=10; client_max_window_bits\r\n"),
         "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
         "client_no_context_takeover; server_max_window_bits=10\r\n"},
        {HANDSHAKE_WITH("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16\r\n"), none},
        {HANDSHAKE_WITH("Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n"), none},
    };
    struct world w;
    begin(&w, 0, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[1000], head[2000];
        snprintf(request, sizeof request, "GET /ws HTTP/1.1\r\n%s", cases[i].request);
        int fd = open_with(&w, request, head);
        if (cases[i].answer != none) {
            assert_has(head, cases[i].answer);
        } else {
            assert_has_not(head, "Sec-WebSocket-Protocol");
            assert_has_not(head, "Sec-WebSocket-Extensions");
        }
        close(fd);
    }
    end(&w);
}

#define DEFLATE HANDSHAKE_WITH("Sec-WebSocket-Extensions: permessage-deflate\r\n")

/* Without compression RSV1 is against the rules; with it, what is inflated counts. */
static void compressed_messages_are_bounded_checked_and_only_taken_where_agreed(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        unsigned code; /* 0: it is taken */
        uint8_t first, payload[40];
        size_t len;
    } cases[] = {
        {"GET /ws HTTP/1.1\r\n" DEFLATE, 0, 0xC1, {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, 7},
        {"GET /ws HTTP/1.1\r\n" HANDSHAKE, 1002, 0xC1, {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}, 7},
        {"GET /ws HTTP/1.1\r\n" DEFLATE, 1007, 0xC1, {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07}, 6}, /* cut off */
        {"GET /ws HTTP/1.1\r\n" DEFLATE, 1007, 0xC2, {0xff, 0xff}, 2},                         /* damaged */
        {"GET /ws HTTP/1.1\r\n" DEFLATE,
         1007,
         0xC1,
         {0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00},
         7},                                                  /* "\xff" */
        {"GET /ws HTTP/1.1\r\n" DEFLATE, 1002, 0xC9, {0}, 0}, /* a compressed ping */
        /* 1001 and 1000 times the letter a, of which 1000 are allowed */
        {"GET /ws HTTP/1.1\r\n" DEFLATE,
         1009,
         0xC2,
         {0x4a, 0x4c, 0x1c, 0x05, 0xa3, 0x60, 0x14, 0x0c, 0x7b, 0x00, 0x00},
         11},
        {"GET /ws HTTP/1.1\r\n" DEFLATE,
         0,
         0xC2,
         {0x4a, 0x4c, 0x1c, 0x05, 0xa3, 0x60, 0x14, 0x0c, 0x77, 0x00, 0x00},
         11},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        char head[2000];
        begin(&w, 0, 0);
        int fd = open_with(&w, cases[i].request, head);
        uint8_t frame[50] = {cases[i].first, (uint8_t)(0x80 | cases[i].len)};
        memcpy(frame + 6, cases[i].payload, cases[i].len);
        client_send_bytes(fd, frame, 6 + cases[i].len);
        if (cases[i].code == 0) {
            wait_for(&messages, 1);
        } else {
            uint8_t got[4];
            client_read_exact(fd, got, 4);
            assert_int_equal(got[0], 0x88);
            if ((got[2] << 8 | got[3]) != (int)cases[i].code)
                fail_msg("case %zu: %d", i, got[2] << 8 | got[3]);
            wait_for(&closed_count, 1);
            assert_int_equal(get(&messages), 0);
        }
        close(fd);
        end(&w);
    }
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
        cmocka_unit_test(sub_protocols_and_extensions_are_agreed_on_by_the_letter),
        cmocka_unit_test(compressed_messages_are_bounded_checked_and_only_taken_where_agreed),
        cmocka_unit_test(sockets_and_messages_are_counted),
        cmocka_unit_test(stopping_closes_with_1001_and_freeing_calls_back_for_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
