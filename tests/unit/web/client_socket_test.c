/* WebSockets to a server: to our own, and to one that this test plays, which does not always keep the rules.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

static struct world w;
static struct wr_client *client;
static struct wr_client_config config;

/* What the client's callbacks saw. */
static struct {
    int opened, messages, closed, failed; /* atomic */
    int result, status, code;
    char error[200], protocol[32], address[64], text[256];
    size_t bytes;
    bool wrong;
} seen;

static const struct wr_tls *tls; /* of the server; NULL: without */

static void add(int *count)
{
    __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
}

/* --- the server of the library: echoes; "close" closes --- */

static void echo(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len, void *context)
{
    (void)context;
    if (len == 5 && memcmp(bytes, "close", 5) == 0)
        wr_socket_close(socket, 4000, "as you wish");
    else
        assert_true(wr_socket_send(socket, kind, bytes, len) >= 0);
}

static void upgrade(struct wr_request *request, void *context)
{
    (void)context;
    const char *name = wr_request_header(request, "X-Name");
    if (name && strcmp(name, "nobody") == 0)
        wr_respond_error(request, 403, "not you");
    else
        (void)!wr_socket_accept(request, NULL);
}

/* --- the client --- */

static void on_open(struct wr_socket *socket, void *context)
{
    assert_ptr_equal(context, &seen);
    assert_ptr_equal(wr_socket_user(socket), &config);
    snprintf(seen.protocol, sizeof seen.protocol, "%s", wr_socket_protocol(socket));
    snprintf(seen.address, sizeof seen.address, "%s", wr_socket_address(socket));
    add(&seen.opened);
}

static void on_text(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                    void *context)
{
    (void)socket, (void)kind, (void)context;
    snprintf(seen.text, sizeof seen.text, "%.*s", (int)(len < 200 ? len : 200), (const char *)bytes);
    add(&seen.messages);
}

static void on_close(struct wr_socket *socket, int code, const char *reason, void *context)
{
    (void)socket, (void)context;
    seen.code = code;
    snprintf(seen.error, sizeof seen.error, "%s", reason);
    add(&seen.closed);
}

static void on_failed(int result, int status, const char *error, void *context)
{
    assert_ptr_equal(context, &seen);
    seen.result = result;
    seen.status = status;
    snprintf(seen.error, sizeof seen.error, "%s", error);
    add(&seen.failed);
}

static struct wr_socket_handlers handlers;
static struct wr_client_socket opening;
static char url[100];

static void make_client(struct wr_worker *worker, void *argument)
{
    client = wr_client_new(worker, &config);
    add(argument);
}

static void free_client(struct wr_worker *worker, void *argument)
{
    (void)worker;
    wr_client_free(client);
    client = NULL;
    add(argument);
}

static int open_result;

static void open_it(struct wr_worker *worker, void *argument)
{
    (void)worker;
    open_result = wr_client_open(client, &opening);
    add(argument);
}

static void on_loop(wr_worker_function function)
{
    int done = 0;
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), function, &done), WR_OK);
    wait_for(&done, 1);
}

static void begin(void)
{
    memset(&seen, 0, sizeof seen);
    wr_client_config_init(&config);
    handlers = (struct wr_socket_handlers){
        .open = on_open, .message = on_text, .close = on_close, .compress_bytes_min = 100};
    opening = (struct wr_client_socket){
        .url = url, .handlers = &handlers, .context = &seen, .user = &config, .failed = on_failed};
    world_init(&w, NULL);
    const struct wr_socket_handlers server = {.upgrade = upgrade,
                                              .message = echo,
                                              .message_bytes_max = 20 << 20,
                                              .queue_bytes_max = 64 << 20,
                                              .compress_bytes_min = 500,
                                              .protocols = "one two"};
    assert_int_equal(wr_websocket(w.app, "/echo", &server, NULL), WR_OK);
    if (tls) assert_int_equal(wr_listen(w.app, "127.0.0.1", 0, tls), WR_OK); /* wr_port is this one's */
    world_run(&w);
    on_loop(make_client);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/echo", wr_port(w.app));
}

static void end(void)
{
    if (client) on_loop(free_client);
    world_end(&w);
}

static void open_and_wait(void)
{
    on_loop(open_it);
    assert_int_equal(open_result, WR_OK);
    wait_for(&seen.opened, 1);
}

static void fails_with(int result, int status, const char *error)
{
    on_loop(open_it);
    assert_int_equal(open_result, WR_OK);
    wait_for(&seen.failed, 1);
    assert_int_equal(seen.result, result);
    assert_int_equal(seen.status, status);
    assert_has(seen.error, error);
    assert_int_equal(seen.opened, 0);
    assert_int_equal(seen.closed, 0);
}

/* --- echoes of every size --- */

static const size_t sizes[] = {0,     1,     125,    126,     127,     499,      500,     65535,
                               65536, 70000, 262143, 1000000, 5000000, 16777216, 16777216};
enum { SIZES = sizeof sizes / sizeof sizes[0] };
static uint8_t large[16777216];
static size_t at; /* the one under way */

static void send_next(struct wr_socket *socket)
{
    enum wr_message kind = at % 2 ? WR_BINARY : WR_TEXT;
    if (at == SIZES)
        wr_socket_close(socket, 1000, NULL);
    else
        assert_true(wr_socket_send(socket, kind, large, sizes[at]) >= 0);
}

static void on_echo(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                    void *context)
{
    (void)context;
    seen.wrong |=
        len != sizes[at] || kind != (at % 2 ? WR_BINARY : WR_TEXT) || memcmp(bytes, large, len) != 0;
    at++;
    add(&seen.messages);
    send_next(socket);
}

static void on_open_send(struct wr_socket *socket, void *context)
{
    on_open(socket, context);
    send_next(socket);
}

/* The world is there; compress_min as in the handlers. */
static void echo_every_size(size_t compress_min)
{
    at = 0;
    handlers.open = on_open_send;
    handlers.message = on_echo;
    handlers.message_bytes_max = 20 << 20;
    handlers.queue_bytes_max = 64 << 20;
    handlers.compress_bytes_min = compress_min;
    on_loop(open_it);
    for (int i = 0; i < 100000 && !__atomic_load_n(&seen.closed, __ATOMIC_ACQUIRE); i++)
        usleep(1000);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.messages, SIZES);
    assert_int_equal(seen.code, 1000);
    assert_false(seen.wrong);
}

static void fill_large(void)
{
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof large; i++) {
        random = random * 1664525 + 1013904223;
        large[i] = (uint8_t)(i / 100 % 3 ? 'a' + (random >> 28) : ' ' + i % 90);
    }
}

static void messages_of_every_size_come_back(void **state)
{
    (void)state;
    fill_large();
    for (size_t compress_min = 0; compress_min <= 100; compress_min += 100) {
        begin();
        echo_every_size(compress_min);
        end();
    }
}

static char folder[] = "/tmp/weaprous-web-XXXXXX";

static void make_certificate(char certificate[64], char key[64])
{
    char command[600];
    assert_non_null(mkdtemp(folder));
    snprintf(certificate, 64, "%s/certificate.pem", folder);
    snprintf(key, 64, "%s/key.pem", folder);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=a "
             "-addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
             key, certificate);
    assert_int_equal(system(command), 0);
}

static void the_same_over_tls_and_not_with_a_stranger(void **state)
{
    (void)state;
    char certificate[64], key[64], command[100];
    make_certificate(certificate, key);
    struct wr_tls *server = wr_tls_new(NULL), *trust = wr_tls_new(NULL);
    assert_int_equal(wr_tls_certificate(server, certificate, key), WR_OK);
    assert_int_equal(wr_tls_trust(trust, certificate), WR_OK);
    fill_large();
    tls = server;
    for (int trusted = 0; trusted < 2; trusted++) {
        begin();
        snprintf(url, sizeof url, "wss://127.0.0.1:%u/echo", wr_port(w.app));
        config.tls = trusted ? trust : NULL;
        on_loop(free_client);
        on_loop(make_client);
        if (trusted)
            echo_every_size(100);
        else
            fails_with(WR_SYSTEM, 0, "certificate");
        end();
    }
    tls = NULL;
    wr_tls_free(server);
    wr_tls_free(trust);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void sub_protocols_headers_and_closing_work_as_in_a_server(void **state)
{
    (void)state;
    begin();
    handlers.protocols = "zero two one";
    opening.headers = (const char *const[]){"Origin", "http://127.0.0.1", "X-Name", "somebody", NULL};
    open_and_wait();
    assert_string_equal(seen.protocol, "one"); /* the server's preference */
    assert_string_equal(seen.address, "127.0.0.1");
    end(); /* the app stops, the client's own is closed with 1001 */
    assert_int_equal(seen.closed, 1);
}

static void arguments_that_are_not_valid_are_refused_at_once(void **state)
{
    (void)state;
    static const char *const bad_urls[] = {"http://127.0.0.1/", "ws://", "ws://a b/", "ws://u@127.0.0.1/",
                                           ""};
    static const char *const bad_fields[][3] = {
        {"Host", "x"}, {"Upgrade", "x"},  {"Sec-WebSocket-Key", "x"}, {"sec-websocket-extensions", "x"},
        {"A b", "x"},  {"X", "a\r\nb: c"}};
    begin();
    for (size_t i = 0; i < sizeof bad_urls / sizeof bad_urls[0]; i++) {
        opening.url = bad_urls[i];
        on_loop(open_it);
        assert_int_equal(open_result, WR_INVALID);
    }
    opening.url = url;
    for (size_t i = 0; i < sizeof bad_fields / sizeof bad_fields[0]; i++) {
        opening.headers = bad_fields[i];
        on_loop(open_it);
        assert_int_equal(open_result, WR_INVALID);
    }
    opening.headers = NULL;
    handlers.protocols = "a,b";
    on_loop(open_it);
    assert_int_equal(open_result, WR_INVALID);
    handlers.protocols = NULL;
    handlers.message = NULL;
    on_loop(open_it);
    assert_int_equal(open_result, WR_INVALID);
    end();
    assert_int_equal(seen.failed, 0);
}

static void refusals_tell_the_status(void **state)
{
    (void)state;
    begin();
    opening.headers = (const char *const[]){"X-Name", "nobody", NULL};
    fails_with(WR_INVALID, 403, "refused");
    end();
    begin();
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/nothing", wr_port(w.app));
    fails_with(WR_INVALID, 404, "refused");
    end();
}

/* --- a server played by the test --- */

static int listening;
static uint16_t port;

static void listen_here(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listening, 8), 0);
    getsockname(listening, (struct sockaddr *)&address, &len);
    port = ntohs(address.sin_port);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/x?y=1", port);
}

/* Takes the client's connection and its request; *out_accept is what answers its key. */
static int take_request(char *request, size_t size, char out_accept[29])
{
    uint8_t digest[SHA_DIGEST_LENGTH];
    char text[64];
    size_t n = 0;
    int fd = accept(listening, NULL, NULL);
    assert_true(fd >= 0);
    do {
        assert_true(n + 1 < size);
        client_read_exact(fd, request + n, 1);
        request[++n] = 0;
    } while (!strstr(request, "\r\n\r\n"));
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
    SHA1((const unsigned char *)text, strlen(text), digest);
    EVP_EncodeBlock((unsigned char *)out_accept, digest, sizeof digest);
    return fd;
}

/* Answers with a text in which %s stands for the right Sec-WebSocket-Accept. */
static int answer(const char *format)
{
    char request[2000], accept_value[29], text[2000];
    int fd = take_request(request, sizeof request, accept_value);
    const char *mark = strstr(format, "%s");
    int before = mark ? (int)(mark - format) : (int)strlen(format);
    snprintf(text, sizeof text, "%.*s%s%s", before, format, mark ? accept_value : "", mark ? mark + 2 : "");
    client_send(fd, text);
    return fd;
}

static void open_in_background(void)
{
    on_loop(open_it);
    assert_int_equal(open_result, WR_OK);
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define RIGHT SWITCH "Sec-WebSocket-Accept: %s\r\n"

static void answers_against_the_rules_fail(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int status;
        const char *error;
    } cases[] = {
        {SWITCH "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", 101, "Sec-WebSocket-Accept"},
        {SWITCH "\r\n", 101, "Sec-WebSocket-Accept"},
        {RIGHT "Sec-WebSocket-Accept: %s\r\n\r\n", 101, "Sec-WebSocket-Accept"},
        {"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", 101, "switch"},
        {"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", 101, "switch"},
        {"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", 101,
         "switch"},
        {RIGHT "Sec-WebSocket-Protocol: three\r\n\r\n", 101, "sub-protocol"},
        {RIGHT "Sec-WebSocket-Protocol: one, two\r\n\r\n", 101, "sub-protocol"},
        {RIGHT "Sec-WebSocket-Extensions: x-other\r\n\r\n", 101, "extension"},
        {RIGHT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 101,
         "extension"}, /* takes context over */
        {RIGHT "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; x\r\n\r\n", 101,
         "extension"},
        {"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", 302, "refused"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "refused"},
        {"what?\r\n\r\n", 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin();
        listen_here();
        handlers.protocols = "one two";
        open_in_background();
        int fd = answer(cases[i].answer);
        wait_for(&seen.failed, 1);
        if (seen.status != cases[i].status || !strstr(seen.error, cases[i].error))
            fail_msg("case %zu: %d %s", i, seen.status, seen.error);
        assert_int_equal(seen.result, WR_INVALID);
        close(fd);
        close(listening);
        end();
        assert_int_equal(seen.failed + seen.opened + seen.closed, 1);
    }
}

static void the_request_is_in_form_and_frames_that_come_with_the_answer_are_read(void **state)
{
    (void)state;
    char request[2000], accept_value[29], text[2000];
    begin();
    listen_here();
    handlers.protocols = "one two";
    opening.headers = (const char *const[]){"Cookie", "a=b", NULL};
    open_in_background();
    int fd = take_request(request, sizeof request, accept_value);
    assert_starts(request, "GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:");
    assert_has(request, "\r\nUpgrade: websocket\r\n");
    assert_has(request, "\r\nConnection: Upgrade\r\n");
    assert_has(request, "\r\nSec-WebSocket-Version: 13\r\n");
    assert_has(request, "\r\nSec-WebSocket-Protocol: one, two\r\n");
    assert_has(request, "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover");
    assert_has(request, "\r\nCookie: a=b\r\n");
    int n = snprintf(text, sizeof text,
                     "HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\n" SWITCH "Sec-WebSocket-Accept: %s\r\n"
                     "Sec-WebSocket-Protocol: two\r\n\r\n",
                     accept_value);
    memcpy(text + n, "\x81\x05hello\x81\x05world", 14);
    for (int i = 0; i < n + 14; i += 10) { /* in pieces that end anywhere */
        client_send_bytes(fd, text + i, (size_t)(n + 14 - i < 10 ? n + 14 - i : 10));
        usleep(200);
    }
    wait_for(&seen.messages, 2);
    assert_string_equal(seen.text, "world");
    assert_string_equal(seen.protocol, "two");
    client_send_bytes(fd, "\x89\x02hi", 4); /* the pong must be masked */
    uint8_t pong[8];
    client_read_exact(fd, pong, 8);
    assert_int_equal(pong[0], 0x8A);
    assert_int_equal(pong[1], 0x82);
    assert_int_equal(pong[6] ^ pong[2], 'h');
    assert_int_equal(pong[7] ^ pong[3], 'i');
    client_send_bytes(fd, "\x81\x81\x01\x02\x03\x04x", 7); /* servers do not mask */
    uint8_t end_frame[8];
    client_read_exact(fd, end_frame, 8);
    assert_int_equal(end_frame[0], 0x88);
    assert_int_equal((end_frame[6] ^ end_frame[2]) << 8 | (end_frame[7] ^ end_frame[3]), WR_CLOSE_PROTOCOL);
    wait_for(&seen.closed, 1);
    assert_int_equal(seen.code, WR_CLOSE_PROTOCOL);
    close(fd);
    close(listening);
    end();
}

static void no_server_no_answer_and_no_time_are_told_apart(void **state)
{
    (void)state;
    begin();
    listen_here();
    close(listening);
    fails_with(WR_SYSTEM, 0, "refused");
    end();
    begin();
    listen_here();
    open_in_background();
    char request[2000], accept_value[29];
    close(take_request(request, sizeof request, accept_value));
    wait_for(&seen.failed, 1);
    assert_int_equal(seen.result, WR_CLOSED);
    close(listening);
    end();
    begin();
    config.timeout_ms = 200;
    on_loop(free_client);
    on_loop(make_client);
    listen_here();
    fails_with(WR_CLOSED, 0, "in time");
    close(listening);
    end();
}

static void freeing_the_client_and_stopping_end_what_is_being_opened(void **state)
{
    (void)state;
    begin();
    listen_here();
    open_in_background();
    open_in_background();
    on_loop(free_client);
    assert_int_equal(seen.failed, 2);
    assert_int_equal(seen.result, WR_CLOSED);
    close(listening);
    end();
    begin();
    listen_here();
    open_in_background();
    wr_stop(w.app);
    wait_for(&seen.failed, 1);
    close(listening);
    pthread_join(w.thread, NULL);
    wr_client_free(client);
    client = NULL;
    wr_app_free(w.app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_every_size_come_back),
        cmocka_unit_test(the_same_over_tls_and_not_with_a_stranger),
        cmocka_unit_test(sub_protocols_headers_and_closing_work_as_in_a_server),
        cmocka_unit_test(arguments_that_are_not_valid_are_refused_at_once),
        cmocka_unit_test(refusals_tell_the_status),
        cmocka_unit_test(answers_against_the_rules_fail),
        cmocka_unit_test(the_request_is_in_form_and_frames_that_come_with_the_answer_are_read),
        cmocka_unit_test(no_server_no_answer_and_no_time_are_told_apart),
        cmocka_unit_test(freeing_the_client_and_stopping_end_what_is_being_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
