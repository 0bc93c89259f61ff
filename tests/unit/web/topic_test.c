/* One message to many sockets, on one worker and on two. Clients ask by texts: "+T" joins topic T, "-T"
 * leaves it, "=T text" publishes to all but the asker, "*T text" to all; everything is answered. */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "world.h"

enum { CLIENTS = 8, TOPICS = 6, TEXT_MAX = 4096 };

static struct wr_app *app;
static int opened, closed_count, last_code, on_worker[2];

static void add(int *count)
{
    __atomic_add_fetch(count, 1, __ATOMIC_RELEASE);
}

static void on_open(struct wr_socket *socket, void *context)
{
    (void)context;
    add(&on_worker[wr_worker_index(wr_socket_worker(socket))]);
    add(&opened);
}

static int obey(struct wr_socket *socket, char *text)
{
    char *payload = strchr(text, ' ');
    if (payload) *payload++ = 0;
    size_t len = payload ? strlen(payload) : 0;
    switch (text[0]) {
    case '+': return wr_subscribe(socket, text + 1);
    case '-': wr_unsubscribe(socket, text + 1); return 0;
    case '=': return wr_publish(app, text + 1, WR_TEXT, payload, len, socket);
    case '*': return wr_publish(app, text + 1, WR_TEXT, payload, len, NULL);
    default: return 1;
    }
}

static void on_message(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                       void *context)
{
    (void)kind, (void)context;
    char text[TEXT_MAX + 1], answer[32];
    assert_true(len <= TEXT_MAX);
    memcpy(text, bytes, len);
    text[len] = 0;
    int n = snprintf(answer, sizeof answer, "ok %d", obey(socket, text));
    wr_socket_send(socket, WR_TEXT, answer, (size_t)n);
}

static void on_close(struct wr_socket *socket, int code, const char *reason, void *context)
{
    (void)reason, (void)context;
    assert_int_equal(wr_subscribe(socket, "late"), WR_CLOSED);
    __atomic_store_n(&last_code, code, __ATOMIC_RELEASE);
    add(&closed_count);
}

static void begin(struct world *w, unsigned workers, size_t queue_bytes_max)
{
    struct wr_config config;
    wr_config_init(&config);
    config.workers = workers;
    world_init(w, &config);
    app = w->app;
    opened = closed_count = last_code = on_worker[0] = on_worker[1] = 0;
    const struct wr_socket_handlers handlers = {.open = on_open,
                                                .message = on_message,
                                                .close = on_close,
                                                .queue_bytes_max = queue_bytes_max,
                                                .compress_bytes_min = 64};
    assert_int_equal(wr_websocket(w->app, "/ws", &handlers, NULL), WR_OK);
    world_run(w);
}

#define HANDSHAKE(more)                                                                                      \
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"                           \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" more "\r\n"

static int open_socket(struct world *w, const char *request)
{
    char head[2000];
    size_t n = 0;
    int fd = client_connect(w);
    client_send(fd, request);
    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
        client_read_exact(fd, head + n++, 1);
    assert_memory_equal(head, "HTTP/1.1 101 ", 13);
    return fd;
}

/* One frame: its first byte; the payload NUL-terminated. */
static unsigned read_frame(int fd, char *payload, size_t *out_len)
{
    uint8_t head[4];
    client_read_exact(fd, head, 2);
    size_t len = head[1];
    assert_true(len <= 126);
    if (len == 126) {
        client_read_exact(fd, head + 2, 2);
        len = (size_t)head[2] << 8 | head[3];
    }
    assert_true(len <= TEXT_MAX);
    client_read_exact(fd, payload, len);
    payload[len] = 0;
    if (out_len) *out_len = len;
    return head[0];
}

static void put_text(int fd, const char *text)
{
    size_t len = strlen(text);
    uint8_t head[8] = {0x81, 0xFE, (uint8_t)(len >> 8), (uint8_t)len};
    if (len < 126) {
        head[1] = (uint8_t)(0x80 | len);
        head[2] = head[3] = 0;
    }
    client_send_bytes(fd, head, len < 126 ? 6 : 8);
    client_send_bytes(fd, text, len);
}

static void expect(int fd, const char *text)
{
    static char got[TEXT_MAX + 1];
    assert_int_equal(read_frame(fd, got, NULL), 0x81);
    assert_string_equal(got, text);
}

static void asks(int fd, const char *text, const char *answer)
{
    put_text(fd, text);
    expect(fd, answer);
}

static void subscribers_get_it_and_nobody_else(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1, 0);
    int a = open_socket(&w, HANDSHAKE("")), b = open_socket(&w, HANDSHAKE(""));
    int c = open_socket(&w, HANDSHAKE(""));
    asks(a, "=news nobody is there", "ok 0");
    asks(a, "+news", "ok 0");
    asks(a, "+news", "ok 0"); /* once is enough */
    asks(b, "+news", "ok 0");
    asks(c, "+sport", "ok 0");
    assert_int_equal(wr_subscribers(w.app, "news"), 2);
    assert_int_equal(wr_subscribers(w.app, "none"), 0);
    put_text(a, "=news to b");
    expect(b, "to b");
    expect(a, "ok 0");
    asks(c, "*news to both", "ok 0");
    expect(a, "to both");
    expect(b, "to both");
    asks(b, "-news", "ok 0");
    asks(b, "-news", "ok 0");
    asks(c, "*news to a", "ok 0");
    expect(a, "to a");
    asks(b, "=sport to c", "ok 0"); /* and nothing else had come to b */
    expect(c, "to c");
    close(a);
    wait_for(&closed_count, 1);
    assert_int_equal(wr_subscribers(w.app, "news"), 0);
    assert_int_equal(wr_subscribers(w.app, "sport"), 1);
    close(b);
    close(c);
    world_end(&w);
}

static void names_have_1_to_200_bytes_and_a_socket_64_topics(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1, 0);
    int a = open_socket(&w, HANDSHAKE("")), b = open_socket(&w, HANDSHAKE(""));
    char text[400];
    asks(a, "+", "ok -1");
    snprintf(text, sizeof text, "+%0201d", 1);
    asks(a, text, "ok -1");
    snprintf(text, sizeof text, "+%0200d", 1);
    asks(a, text, "ok 0");
    snprintf(text, sizeof text, "*%0200d two differ in the last digit", 2);
    asks(b, text, "ok 0");
    snprintf(text, sizeof text, "*%0200d one", 1);
    asks(b, text, "ok 0");
    expect(a, "one");
    for (int length = 30; length <= 34; length++) { /* around the length that is hashed */
        snprintf(text, sizeof text, "+%0*d", length, 7);
        asks(a, text, "ok 0");
        snprintf(text, sizeof text, "*%0*d %d", length, 7, length);
        asks(b, text, "ok 0");
        snprintf(text, sizeof text, "%d", length);
        expect(a, text);
    }
    for (int i = 6; i < 64; i++) {
        snprintf(text, sizeof text, "+t%d", i);
        asks(a, text, "ok 0");
    }
    asks(a, "+t64", "ok -6");
    assert_int_equal(wr_subscribers(w.app, "t64"), 0);
    asks(a, "-t10", "ok 0");
    asks(a, "+t64", "ok 0");
    assert_int_equal(wr_publish(w.app, "t64", WR_TEXT, "\xff", 1, NULL), WR_INVALID);
    assert_int_equal(wr_publish(w.app, "", WR_TEXT, "x", 1, NULL), WR_INVALID);
    close(a);
    close(b);
    world_end(&w);
}

/* Random joining, leaving, publishing and closing; a table here says who is where. */
static void who_is_where_is_never_mixed_up(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1, 0);
    int fds[CLIENTS];
    bool in[CLIENTS][TOPICS] = {{false}};
    uint32_t random = 5;
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = open_socket(&w, HANDSHAKE(""));
    for (int step = 0; step < 3000; step++) {
        char text[64], payload[32];
        random = random * 1664525 + 1013904223;
        unsigned who = random >> 8 & 7, topic = (random >> 16) % TOPICS, what = random >> 24 & 15;
        if (what == 0) {
            close(fds[who]);
            fds[who] = open_socket(&w, HANDSHAKE(""));
            memset(in[who], 0, sizeof in[who]);
        } else if (what < 10) {
            in[who][topic] = what < 6;
            snprintf(text, sizeof text, "%ctopic%u", what < 6 ? '+' : '-', topic);
            asks(fds[who], text, "ok 0");
        } else {
            snprintf(payload, sizeof payload, "%d", step);
            snprintf(text, sizeof text, "=topic%u %s", topic, payload);
            asks(fds[who], text, "ok 0");
            for (unsigned i = 0; i < CLIENTS; i++) {
                if (i != who && in[i][topic]) expect(fds[i], payload);
            }
        }
    }
    for (unsigned topic = 0; topic < TOPICS; topic++) {
        size_t count = 0;
        char name[16];
        for (int i = 0; i < CLIENTS; i++)
            count += in[i][topic];
        snprintf(name, sizeof name, "topic%u", topic);
        /* Those that closed in the last steps may be there still. */
        for (int i = 0; i < 5000 && wr_subscribers(w.app, name) != count; i++)
            poll(NULL, 0, 1);
        assert_int_equal(wr_subscribers(w.app, name), count);
    }
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    world_end(&w);
}

static void who_does_not_read_is_closed_with_1008_and_the_others_go_on(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1, 64 * 1024);
    int small = 64 * 1024;
    int slow = open_socket(&w, HANDSHAKE("")), quick = open_socket(&w, HANDSHAKE(""));
    int sender = open_socket(&w, HANDSHAKE(""));
    setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    asks(slow, "+news", "ok 0");
    asks(quick, "+news", "ok 0");
    static char text[TEXT_MAX + 1];
    memset(text, 'x', TEXT_MAX);
    memcpy(text, "=news ", 6);
    for (int i = 0; i < 20000 && wr_subscribers(w.app, "news") == 2; i++) {
        asks(sender, text, "ok 0");
        expect(quick, text + 6);
    }
    assert_int_equal(wr_subscribers(w.app, "news"), 1); /* gone from the topic at once */
    static char got[TEXT_MAX + 1];
    unsigned first;
    while ((first = read_frame(slow, got, NULL)) == 0x81)
        assert_string_equal(got, text + 6);
    assert_int_equal(first, 0x88);
    assert_int_equal((uint8_t)got[0] << 8 | (uint8_t)got[1], WR_CLOSE_POLICY);
    asks(sender, text, "ok 0");
    expect(quick, text + 6);
    close(slow);
    wait_for(&closed_count, 1);
    close(quick);
    close(sender);
    world_end(&w);
}

#define DEFLATE "Sec-WebSocket-Extensions: permessage-deflate\r\n"
#define DEFLATE_SMALL "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n"

static void it_is_compressed_for_those_who_agreed_to_it(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 1, 0);
    static char text[2000], got[3][TEXT_MAX + 1];
    size_t lens[3];
    int fds[3] = {open_socket(&w, HANDSHAKE("")), open_socket(&w, HANDSHAKE(DEFLATE)),
                  open_socket(&w, HANDSHAKE(DEFLATE))};
    int small = open_socket(&w, HANDSHAKE(DEFLATE_SMALL));
    for (int i = 0; i < 3; i++)
        asks(fds[i], "+news", "ok 0");
    asks(small, "+news", "ok 0");
    memset(text, 'x', 1999);
    memcpy(text, "=news ", 6);
    put_text(fds[0], text);
    expect(fds[0], "ok 0");
    for (int i = 1; i < 3; i++)
        assert_int_equal(read_frame(fds[i], got[i], &lens[i]), 0xC1);
    assert_int_equal(lens[1], lens[2]);
    assert_true(lens[1] < 40);
    assert_memory_equal(got[1], got[2], lens[1]);
    expect(small, text + 6); /* made with a window that is too large for it */
    asks(fds[0], "=news short", "ok 0");
    expect(fds[1], "short");
    expect(fds[2], "short");
    expect(small, "short");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    close(small);
    world_end(&w);
}

/* Sockets on both workers; the kernel says which. */
static void open_on_both(struct world *w, int fds[CLIENTS])
{
    for (int tries = 0; tries < 100; tries++) {
        int before = __atomic_load_n(&opened, __ATOMIC_ACQUIRE);
        on_worker[0] = on_worker[1] = 0;
        for (int i = 0; i < CLIENTS; i++)
            fds[i] = open_socket(w, HANDSHAKE(""));
        wait_for(&opened, before + CLIENTS);
        if (on_worker[0] > 0 && on_worker[1] > 0) return;
        int gone = __atomic_load_n(&closed_count, __ATOMIC_ACQUIRE);
        for (int i = 0; i < CLIENTS; i++)
            close(fds[i]);
        wait_for(&closed_count, gone + CLIENTS);
    }
    fail_msg("all connections came to one worker");
}

static void all_workers_deliver_and_each_senders_order_is_kept(void **state)
{
    (void)state;
    struct world w;
    enum { ROUNDS = 200 };
    int fds[CLIENTS];
    begin(&w, 2, 0);
    open_on_both(&w, fds);
    for (int i = 0; i < CLIENTS; i++)
        asks(fds[i], "+all", "ok 0");
    assert_int_equal(wr_subscribers(w.app, "all"), CLIENTS);
    char text[64];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            snprintf(text, sizeof text, "=all %d:%d", i, round);
            put_text(fds[i], text);
        }
        if (round % 10 == 0) { /* and a thread that is no worker */
            int n = snprintf(text, sizeof text, "%d:%d", CLIENTS, round / 10);
            assert_int_equal(wr_publish(w.app, "all", WR_TEXT, text, (size_t)n, NULL), WR_OK);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        int next[CLIENTS + 1] = {0}, answers = 0, left = CLIENTS * ROUNDS + ROUNDS / 10;
        while (left-- > 0) {
            static char got[TEXT_MAX + 1];
            assert_int_equal(read_frame(fds[i], got, NULL), 0x81);
            int from, number;
            if (strcmp(got, "ok 0") == 0) {
                answers++;
                continue;
            }
            assert_int_equal(sscanf(got, "%d:%d", &from, &number), 2);
            assert_true(from >= 0 && from <= CLIENTS && from != i);
            assert_int_equal(number, next[from]++);
        }
        assert_int_equal(answers, ROUNDS);
    }
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    wait_for(&closed_count, opened);
    assert_int_equal(wr_subscribers(w.app, "all"), 0);
    world_end(&w);
}

static uv_sem_t blocked, released;

static void block(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    uv_sem_post(&blocked);
    uv_sem_wait(&released);
}

static void what_waits_for_a_worker_is_bounded(void **state)
{
    (void)state;
    struct world w;
    static char text[1 << 20];
    begin(&w, 1, 256 << 20);
    uv_sem_init(&blocked, 0);
    uv_sem_init(&released, 0);
    int fd = open_socket(&w, HANDSHAKE(""));
    asks(fd, "+news", "ok 0");
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), block, NULL), WR_OK);
    uv_sem_wait(&blocked);
    int rc = WR_OK, count = 0;
    while (count < 1000 && (rc = wr_publish(w.app, "news", WR_BINARY, text, sizeof text, NULL)) == WR_OK)
        count++;
    assert_int_equal(rc, WR_FULL);
    assert_int_equal(count, 64);
    uv_sem_post(&released);
    for (size_t left = (size_t)count * (10 + sizeof text); left > 0;) { /* what was taken arrives */
        size_t part = left < sizeof text ? left : sizeof text;
        client_read_exact(fd, text, part);
        left -= part;
    }
    memset(text, 0, sizeof text);
    assert_int_equal(wr_publish(w.app, "news", WR_BINARY, "x", 1, NULL), WR_OK);
    client_read_exact(fd, text, 3);
    assert_memory_equal(text, "\x82\x01x", 3);
    close(fd);
    world_end(&w);
    uv_sem_destroy(&blocked);
    uv_sem_destroy(&released);
}

/* Joining, leaving, closing and publishing at once on two workers; the sanitizers are the judges. */
static void stopping_in_the_middle_loses_no_memory(void **state)
{
    (void)state;
    struct world w;
    int fds[CLIENTS];
    begin(&w, 2, 0);
    open_on_both(&w, fds);
    char text[64];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            snprintf(text, sizeof text, "%ct%d hello", "+*-="[(round + i) % 4], round % 3);
            put_text(fds[i], text);
        }
        assert_int_equal(wr_publish(w.app, "t1", WR_BINARY, "x", 1, NULL), WR_OK);
        if (round == 25) close(fds[0]), fds[0] = open_socket(&w, HANDSHAKE(""));
    }
    world_end(&w);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribers_get_it_and_nobody_else),
        cmocka_unit_test(names_have_1_to_200_bytes_and_a_socket_64_topics),
        cmocka_unit_test(who_is_where_is_never_mixed_up),
        cmocka_unit_test(who_does_not_read_is_closed_with_1008_and_the_others_go_on),
        cmocka_unit_test(it_is_compressed_for_those_who_agreed_to_it),
        cmocka_unit_test(all_workers_deliver_and_each_senders_order_is_kept),
        cmocka_unit_test(what_waits_for_a_worker_is_bounded),
        cmocka_unit_test(stopping_in_the_middle_loses_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
