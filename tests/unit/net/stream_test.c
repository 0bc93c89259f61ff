/* Streams over loopback, each test without TLS and with it. */
#include "kit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/send.h"

static struct tls_server *server;
static struct tls_client *client;

/* Runs a test without TLS and with it. */
#define BOTH(name)                                                                                           \
    static void name##_plain(void **state)                                                                   \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(NULL, NULL);                                                                                    \
    }                                                                                                        \
    static void name##_secure(void **state)                                                                  \
    {                                                                                                        \
        (void)state;                                                                                         \
        name(server, client);                                                                                \
    }
#define BOTH_TESTS(name) cmocka_unit_test(name##_plain), cmocka_unit_test(name##_secure)

static struct world w;

static void bytes_arrive_in_their_order_both_ways(struct tls_server *s, struct tls_client *c)
{
    static const size_t sizes[] = {1, 3, 100, 2047, 16383, 16384, 16385, 65536, 100000, 3000000};
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    assert_int_equal(w.client.failed, 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        end_put(&w.client, sizes[i]);
        end_put(&w.server, sizes[i] * 2);
        WORLD_UNTIL(&w, w.server.received == w.client.sent && w.client.received == w.server.sent);
        WORLD_UNTIL(&w, stream_queued(&w.client.stream) == 0 && stream_queued(&w.server.stream) == 0);
        assert_int_equal(stream_sent(&w.client.stream), w.client.sent);
        assert_int_equal(stream_sent(&w.server.stream), w.server.sent);
    }
    assert_true(slice_equal(stream_protocol(&w.server.stream), s ? SLICE("http/1.1") : SLICE_EMPTY));
    world_close(&w);
}
BOTH(bytes_arrive_in_their_order_both_ways)

static void small_pieces_of_a_turn_leave_in_one_write(struct tls_server *s, struct tls_client *c)
{
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    end_put(&w.client, 10); /* what the handshake left has gone then */
    WORLD_UNTIL(&w, w.server.received == 10);
    uint64_t before = w.loop.written_calls;
    for (int i = 0; i < 100; i++)
        end_put(&w.client, 150);
    WORLD_UNTIL(&w, w.server.received == w.client.sent);
    assert_int_equal(w.loop.written_calls, before + 1);
    world_close(&w);
}
BOTH(small_pieces_of_a_turn_leave_in_one_write)

/* Nothing is given to an end that does not read, the other side cannot send without bound, and all comes when
 * it reads again. */
static void an_end_that_does_not_read_holds_the_other_up(struct tls_server *s, struct tls_client *c)
{
    enum { MANY = 40 * 1000 * 1000 };
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    w.server.pause_at = 1;
    end_put(&w.client, MANY);
    WORLD_UNTIL(&w, w.server.received > 0);
    size_t received = w.server.received;
    uint64_t sent = 0;
    for (int quiet = 0; quiet < 20; quiet++) { /* until the kernel's buffers are full */
        uv_run(&w.loop.uv, UV_RUN_NOWAIT);
        if (stream_sent(&w.client.stream) != sent) quiet = 0;
        assert_true(stream_sent(&w.client.stream) >= sent);
        sent = stream_sent(&w.client.stream);
    }
    assert_int_equal(w.server.received, received);
    assert_true(stream_queued(&w.client.stream) > 0);
    assert_true(sent < MANY);
    stream_read(&w.server.stream, true);
    WORLD_UNTIL(&w, w.server.received == MANY);
    world_close(&w);
}
BOTH(an_end_that_does_not_read_holds_the_other_up)

/* However often reading stops in the middle of something, nothing is lost and nothing comes out of order. */
static void reading_can_stop_at_any_byte(struct tls_server *s, struct tls_client *c)
{
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    for (size_t stop = 1; stop < 400000; stop = stop * 3 + 7) {
        w.server.pause_at = w.server.received + stop;
        end_put(&w.client, stop + 5000);
        if (stop % 2) stream_finish(&w.server.stream); /* the other direction does not matter */
        while (w.server.received < w.client.sent) {
            WORLD_UNTIL(&w, !w.server.stream.reading || w.server.received == w.client.sent);
            size_t received = w.server.received;
            for (int i = 0; i < 3 && !w.server.stream.reading; i++)
                uv_run(&w.loop.uv, UV_RUN_NOWAIT);
            assert_int_equal(w.server.received, received);
            stream_read(&w.server.stream, true);
        }
    }
    world_close(&w);
}
BOTH(reading_can_stop_at_any_byte)

static void the_end_waits_until_it_is_read(struct tls_server *s, struct tls_client *c)
{
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    w.server.pause_at = 1;
    end_put(&w.client, 1000);
    stream_finish(&w.client.stream);
    WORLD_UNTIL(&w, w.server.received == 1000);
    for (int i = 0; i < 10; i++)
        uv_run(&w.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(w.server.ended, 0);
    stream_read(&w.server.stream, true);
    WORLD_UNTIL(&w, w.server.ended == 1);
    /* Half closed: the other direction goes on. */
    end_put(&w.server, 100000);
    stream_finish(&w.server.stream);
    WORLD_UNTIL(&w, w.client.ended == 1);
    assert_int_equal(w.client.received, 100000);
    assert_int_equal(w.client.failed + w.server.failed, 0);
    world_close(&w);
}
BOTH(the_end_waits_until_it_is_read)

static void closing_says_so_when_everything_was_sent(struct tls_server *s, struct tls_client *c)
{
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    end_put(&w.client, 5000);
    WORLD_UNTIL(&w, w.server.received == 5000);
    stream_close(&w.client.stream);
    WORLD_UNTIL(&w, w.server.ended + w.server.failed > 0);
    assert_int_equal(w.server.ended, 1);
    world_close(&w);
}
BOTH(closing_says_so_when_everything_was_sent)

/* The kernel's end alone is not an end of TLS: somebody in between could have made it. */
static void an_end_that_tls_did_not_say_is_a_failure(void **state)
{
    (void)state;
    uv_os_fd_t fd;
    world_open(&w, server);
    world_connect(&w, client, "127.0.0.1");
    end_put(&w.client, 5000);
    WORLD_UNTIL(&w, w.server.received == 5000);
    assert_int_equal(uv_fileno((uv_handle_t *)&w.client.stream.tcp, &fd), 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    WORLD_UNTIL(&w, w.server.ended + w.server.failed > 0);
    assert_int_equal(w.server.failed, 1);
    assert_int_equal(w.server.error, UV_EOF);
    assert_string_equal(w.server.failure, "the connection ended without a TLS close");
    world_close(&w);
}

/* What was queued and not sent is missing: the other side must be able to see that. */
static void closing_in_the_middle_is_seen_as_a_failure(void **state)
{
    (void)state;
    world_open(&w, server);
    world_connect(&w, client, "127.0.0.1");
    w.server.pause_at = 1;
    end_put(&w.client, 40 * 1000 * 1000);
    WORLD_UNTIL(&w, w.server.received > 0);
    stream_close(&w.client.stream);
    stream_read(&w.server.stream, true);
    WORLD_UNTIL(&w, w.server.ended + w.server.failed > 0);
    assert_int_equal(w.server.failed, 1);
    world_close(&w);
}

/* --- files --- */

static struct shared_file *file_of(size_t len, int *out_fd)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        putc_unlocked(kit_byte(i), f);
    fflush(f);
    *out_fd = dup(fileno(f));
    fclose(f);
    struct shared_file *file = shared_file_new(*out_fd);
    assert_non_null(file);
    return file;
}

static void a_file_arrives_between_what_is_around_it(struct tls_server *s, struct tls_client *c)
{
    static const size_t sizes[] = {
        1, 100, 16384, 16385, 65535, 65536, 65537, 100000, 131072, 262145, STREAM_TURN_BYTES + 1, 9000000};
    int fd;
    struct shared_file *file = file_of(9100000, &fd);
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        /* The bytes before, of the file and after it are one run of the pattern. */
        w.client.received = w.server.sent = 77;
        uint64_t sent = stream_sent(&w.server.stream);
        end_put(&w.server, 200);
        assert_int_equal(stream_put_file(&w.server.stream, file, 277, sizes[i]), OK);
        assert_int_equal(stream_put_file(&w.server.stream, file, 277 + sizes[i], 0), OK);
        w.server.sent += sizes[i];
        end_put(&w.server, 300);
        WORLD_UNTIL(&w, w.client.received == w.server.sent);
        WORLD_UNTIL(&w, stream_queued(&w.server.stream) == 0);
        assert_int_equal(stream_sent(&w.server.stream), sent + 500 + sizes[i]);
    }
    assert_int_equal(atomic_load(&file->owners), 1);
    world_close(&w);
    shared_file_release(file);
}
BOTH(a_file_arrives_between_what_is_around_it)

/* A slow reader: the kernel takes no more in the middle of the file, again and again. */
static void a_file_arrives_at_a_slow_reader(struct tls_server *s, struct tls_client *c)
{
    enum { MANY = 30 * 1000 * 1000 };
    int fd;
    struct shared_file *file = file_of(MANY, &fd);
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    assert_int_equal(stream_put_file(&w.server.stream, file, 0, MANY), OK);
    while (w.client.received < MANY) {
        w.client.pause_at = w.client.received + 3000000;
        WORLD_UNTIL(&w, !w.client.stream.reading || w.client.received == MANY);
        for (int i = 0; i < 5; i++)
            uv_run(&w.loop.uv, UV_RUN_NOWAIT);
        stream_read(&w.client.stream, true);
    }
    assert_int_equal(atomic_load(&file->owners), 1);
    world_close(&w);
    shared_file_release(file);
}
BOTH(a_file_arrives_at_a_slow_reader)

/* The connection ends; what came before is right, and nothing else comes in its place. */
static void a_file_that_became_shorter_ends_the_connection(struct tls_server *s, struct tls_client *c)
{
    static const size_t sizes[] = {100, 70000, 8000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int fd;
        struct shared_file *file = file_of(sizes[i], &fd);
        world_open(&w, s);
        world_connect(&w, c, "127.0.0.1");
        assert_int_equal(stream_put_file(&w.server.stream, file, 0, sizes[i]), OK);
        if (sizes[i] > 1000000) WORLD_UNTIL(&w, w.client.received > 0); /* it is under way */
        assert_int_equal(ftruncate(fd, (off_t)sizes[i] - 50), 0);
        end_put(&w.server, 100);
        WORLD_UNTIL(&w, w.server.failed && w.client.ended + w.client.failed > 0);
        assert_int_equal(w.server.error, UV_EIO);
        assert_true(w.client.received <= sizes[i] - 50);
        if (s) assert_int_equal(w.client.failed, 1);
        assert_int_equal(atomic_load(&file->owners), 1);
        world_close(&w);
        shared_file_release(file);
    }
}
BOTH(a_file_that_became_shorter_ends_the_connection)

/* However fast the client takes it, a turn has an end. */
static void a_large_file_leaves_in_parts(struct tls_server *s, struct tls_client *c)
{
    enum { MANY = 50 * 1000 * 1000 };
    int fd;
    struct shared_file *file = file_of(MANY, &fd);
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    assert_int_equal(stream_put_file(&w.server.stream, file, 0, MANY), OK);
    uint64_t sent = 0, most = 0;
    world_guard(&w);
    while (w.client.received < MANY) {
        assert_true(world_turn(&w));
        uint64_t now = stream_sent(&w.server.stream);
        if (now - sent > most) most = now - sent;
        sent = now;
    }
    /* Twice in a turn of the loop, and what libuv had in its hands besides. */
    assert_true(most <= 2 * STREAM_TURN_BYTES + 2 * STREAM_WRITE_BYTES);
    world_close(&w);
    shared_file_release(file);
}
BOTH(a_large_file_leaves_in_parts)

static void a_head_and_a_large_file_share_their_segments(void **state)
{
    (void)state;
    int fd;
    struct shared_file *file = file_of(100000, &fd);
    world_open(&w, NULL);
    world_connect(&w, NULL, "127.0.0.1");
    uint64_t before = w.loop.written_calls;
    end_put(&w.server, 200);
    assert_int_equal(stream_put_file(&w.server.stream, file, 200, 90000), OK);
    w.server.sent += 90000;
    WORLD_UNTIL(&w, w.client.received == w.server.sent);
    assert_int_equal(w.loop.written_calls, before + 2);
    before = w.loop.written_calls;
    w.client.received = w.server.sent = 0;
    end_put(&w.server, 200);
    assert_int_equal(stream_put_file(&w.server.stream, file, 200, 30000), OK);
    w.server.sent += 30000;
    WORLD_UNTIL(&w, w.client.received == w.server.sent);
    assert_int_equal(w.loop.written_calls, before + 1);
    world_close(&w);
    shared_file_release(file);
}

/* Of some files the kernel says that they cannot be sent so. */
static void a_file_without_sendfile_arrives_too(void **state)
{
    (void)state;
    enum { MANY = 200000 };
    static char text[MANY];
    int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    for (ssize_t got = 1; fd >= 0 && got > 0 && len < MANY; len += got > 0 ? (size_t)got : 0)
        got = pread(fd, text + len, MANY - len, (off_t)len);
    if (len < MANY) skip(); /* hidden here */
    struct shared_file *file = shared_file_new(fd);
    world_open(&w, NULL);
    world_connect(&w, NULL, "127.0.0.1");
    w.client.keep = true;
    assert_int_equal(stream_put_file(&w.server.stream, file, 0, MANY), OK);
    shared_file_release(file);
    WORLD_UNTIL(&w, w.client.received == MANY || w.server.failed);
    assert_int_equal(w.server.failed, 0);
    assert_memory_equal(w.client.text, text, w.client.text_len);
    world_close(&w);
}

static void shared_bytes_arrive(struct tls_server *s, struct tls_client *c)
{
    struct shared_bytes *bytes = shared_bytes_new(50000);
    world_open(&w, s);
    world_connect(&w, c, "127.0.0.1");
    for (size_t i = 0; i < 50000; i++)
        bytes->bytes[i] = kit_byte(i);
    assert_int_equal(stream_put_shared(&w.server.stream, bytes), OK);
    WORLD_UNTIL(&w, w.client.received == 50000);
    assert_int_equal(stream_put_shared(&w.server.stream, bytes), OK);
    stream_close(&w.server.stream); /* with some queued */
    WORLD_UNTIL(&w, w.server.closed);
    assert_int_equal(atomic_load(&bytes->owners), 1);
    world_close(&w);
    shared_bytes_release(bytes);
}
BOTH(shared_bytes_arrive)

/* --- handshakes --- */

/* A connection of the test itself, which says these bytes to the server. */
static int say_raw(const void *bytes, size_t len)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(w.listener.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, bytes, len, 0), (ssize_t)len);
    return fd;
}

static void who_does_not_speak_tls_is_told(void **state)
{
    (void)state;
    char answer[200];
    world_open(&w, server);
    int fd = say_raw("GET / HTTP/1.1\r\n\r\n", 18);
    WORLD_UNTIL(&w, w.server.failed);
    assert_string_equal(w.server.failure, "the client does not speak TLS");
    assert_int_equal(w.loop.handshakes.failed, 1);
    WORLD_UNTIL(&w, w.server.closed);
    ssize_t got = recv(fd, answer, sizeof answer, MSG_WAITALL);
    assert_int_equal(got, sizeof KIT_PLAIN_ANSWER - 1);
    assert_memory_equal(answer, KIT_PLAIN_ANSWER, (size_t)got);
    close(fd);
    world_close(&w);
}

static void nonsense_ends_with_an_alert(void **state)
{
    (void)state;
    static const uint8_t nonsense[] = {22, 3, 1, 0, 5, 99, 0, 0, 1, 0};
    uint8_t answer[20];
    world_open(&w, server);
    int fd = say_raw(nonsense, sizeof nonsense);
    WORLD_UNTIL(&w, w.server.failed);
    assert_int_equal(w.server.error, UV_EPROTO);
    assert_int_equal(w.server.opened, 0);
    WORLD_UNTIL(&w, w.server.closed);
    assert_int_equal(recv(fd, answer, sizeof answer, MSG_WAITALL), 7);
    assert_int_equal(answer[0], 21);
    close(fd);
    world_close(&w);
}

static void a_silent_client_costs_no_openssl_object(void **state)
{
    (void)state;
    world_open(&w, server);
    int fd = say_raw("", 0);
    WORLD_UNTIL(&w, w.accepted == 1);
    assert_null(w.server.stream.tls->ssl);
    assert_true(stream_opening(&w.server.stream));
    close(fd);
    WORLD_UNTIL(&w, w.server.ended);
    assert_int_equal(w.loop.handshakes.failed, 0);
    world_close(&w);
    world_open(&w, server);
    fd = say_raw("\x16\x03", 2);
    WORLD_UNTIL(&w, w.accepted == 1);
    close(fd);
    WORLD_UNTIL(&w, w.server.failed);
    assert_string_equal(w.server.failure, "the connection ended within the TLS handshake");
    assert_int_equal(w.loop.handshakes.failed, 1);
    world_close(&w);
}

static void a_certificate_for_somebody_else_is_not_accepted(void **state)
{
    (void)state;
    world_open(&w, server);
    struct tls_client *stranger = kit_client("other");
    world_connect(&w, stranger, "127.0.0.1");
    assert_int_equal(w.client.failed, 1);
    assert_int_equal(w.client.opened, 0);
    assert_string_equal(w.client.failure, "self-signed certificate");
    WORLD_UNTIL(&w, w.server.failed);
    assert_int_equal(w.loop.handshakes.failed, 2);
    tls_client_release(stranger);
    world_close(&w);
}

static void handshakes_and_resumptions_are_counted(void **state)
{
    (void)state;
    struct tls_client *own = kit_client("good");
    world_open(&w, server);
    for (int i = 0; i < 3; i++) {
        world_connect(&w, own, "127.0.0.1");
        end_put(&w.server, 10); /* the ticket comes before it */
        WORLD_UNTIL(&w, w.client.received == 10);
        stream_close(&w.client.stream);
        stream_close(&w.server.stream);
        WORLD_UNTIL(&w, w.client.closed && w.server.closed);
    }
    assert_int_equal(w.loop.handshakes.done, 6); /* both ends */
    assert_int_equal(w.loop.handshakes.resumed, 4);
    tls_client_release(own);
    world_close(&w);
}

/* What is put before the connection is there goes with its first bytes. */
static void bytes_may_be_put_before_the_connection_is_there(struct tls_server *s, struct tls_client *c)
{
    world_open(&w, s);
    struct stream_target target = {.host = "127.0.0.1", .port = w.listener.port, .tls = c};
    memset(&w.client, 0, sizeof w.client);
    w.client.world = &w;
    assert_int_equal(stream_connect(&w.client.stream, &w.loop, &target, &end_events), OK);
    assert_true(stream_opening(&w.client.stream));
    end_put(&w.client, 150000);
    assert_int_equal(stream_sent(&w.client.stream), 0);
    stream_finish(&w.client.stream);
    WORLD_UNTIL(&w, w.server.ended);
    assert_int_equal(w.server.received, 150000);
    world_close(&w);
}
BOTH(bytes_may_be_put_before_the_connection_is_there)

/* They are read before the loop watches the connection; what follows comes after them. */
static void the_first_bytes_of_a_deferred_connection_come_first(struct tls_server *s, struct tls_client *c)
{
    world_open_deferred(&w, s, 5);
    struct stream_target target = {.host = "127.0.0.1", .port = w.listener.port, .tls = c};
    memset(&w.client, 0, sizeof w.client);
    w.client.world = &w;
    assert_int_equal(stream_connect(&w.client.stream, &w.loop, &target, &end_events), OK);
    end_put(&w.client, 300000);
    w.server.pause_at = 1;
    WORLD_UNTIL(&w, w.server.received > 0);
    stream_read(&w.server.stream, true);
    end_put(&w.client, 300000);
    WORLD_UNTIL(&w, w.server.received == 600000);
    end_put(&w.server, 100);
    WORLD_UNTIL(&w, w.client.received == 100);
    world_close(&w);
}
BOTH(the_first_bytes_of_a_deferred_connection_come_first)

/* --- connecting --- */

static void try_connect(const char *host, uint16_t port)
{
    struct stream_target target = {.host = host, .port = port};
    memset(&w.client, 0, sizeof w.client);
    w.client.world = &w;
    assert_int_equal(stream_connect(&w.client.stream, &w.loop, &target, &end_events), OK);
}

static uint16_t closed_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void what_cannot_be_reached_fails_with_words(void **state)
{
    (void)state;
    world_open(&w, NULL);
    try_connect("127.0.0.1", closed_port());
    WORLD_UNTIL(&w, w.client.closed);
    assert_int_equal(w.client.error, UV_ECONNREFUSED);
    assert_string_equal(w.client.failure, "connection refused");
    try_connect("255.255.255.255", 80); /* the kernel says so at once; the owner hears it from the loop */
    assert_int_equal(w.client.failed, 0);
    WORLD_UNTIL(&w, w.client.closed);
    assert_int_equal(w.client.failed, 1);
    try_connect("no-such-name.invalid", 80);
    WORLD_UNTIL(&w, w.client.closed);
    assert_int_equal(w.client.failed, 1);
    assert_int_equal(w.client.opened, 0);
    struct stream_target target = {.host = "", .port = 1};
    assert_int_equal(stream_connect(&w.client.stream, &w.loop, &target, &end_events), ERR_INVALID);
    world_close(&w);
}

/* "localhost" is ::1 as well where there is IPv6; only 127.0.0.1 listens here. */
static void the_next_address_is_tried(void **state)
{
    (void)state;
    world_open(&w, NULL);
    world_connect(&w, NULL, "localhost");
    assert_int_equal(w.client.opened, 1);
    end_put(&w.client, 1000);
    WORLD_UNTIL(&w, w.server.received == 1000);
    world_close(&w);
}

/* The name is found nowhere; nobody listens at the first two addresses. */
static void known_addresses_are_tried_in_turn_without_a_lookup(struct tls_server *s, struct tls_client *c)
{
    static const uint8_t addresses[3][16] = {
        {[15] = 1},
        {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 2},
        {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
    };
    world_open(&w, s);
    w.accept_into = &w.server;
    memset(&w.client, 0, sizeof w.client);
    w.client.world = &w;
    struct stream_target target = {
        .host = "good.test", .port = w.listener.port, .tls = c, .addresses = addresses, .address_count = 3};
    assert_int_equal(stream_connect(&w.client.stream, &w.loop, &target, &end_events), OK);
    WORLD_UNTIL(&w, w.client.opened == 1);
    end_put(&w.client, 1000);
    WORLD_UNTIL(&w, w.server.received == 1000);
    world_close(&w);

    world_open(&w, s);
    memset(&w.client, 0, sizeof w.client);
    w.client.world = &w;
    target.port = w.listener.port;
    target.address_count = 2;
    assert_int_equal(stream_connect(&w.client.stream, &w.loop, &target, &end_events), OK);
    WORLD_UNTIL(&w, w.client.closed);
    assert_string_equal(w.client.failure, "connection refused");
    world_close(&w);
}
BOTH(known_addresses_are_tried_in_turn_without_a_lookup)

static void the_certificate_is_for_the_name_and_not_for_the_address(void **state)
{
    (void)state;
    static const uint8_t address[1][16] = {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    world_open(&w, server);
    w.accept_into = &w.server;
    memset(&w.client, 0, sizeof w.client);
    w.client.world = &w;
    struct stream_target target = {
        .host = "bad.test", .port = w.listener.port, .tls = client, .addresses = address, .address_count = 1};
    assert_int_equal(stream_connect(&w.client.stream, &w.loop, &target, &end_events), OK);
    WORLD_UNTIL(&w, w.client.closed);
    assert_int_equal(w.client.opened, 0);
    assert_string_equal(w.client.failure, "hostname mismatch");
    WORLD_UNTIL(&w, w.server.failed);
    world_close(&w);
}

static void an_attempt_can_be_ended_at_any_time(void **state)
{
    (void)state;
    world_open(&w, NULL);
    for (int turns = 0; turns < 4; turns++) {
        w.accept_into = &w.server;
        try_connect(turns % 2 ? "localhost" : "127.0.0.1", w.listener.port);
        for (int i = 0; i < turns; i++)
            uv_run(&w.loop.uv, UV_RUN_NOWAIT);
        stream_close(&w.client.stream);
        WORLD_UNTIL(&w, w.client.closed);
        if (w.server.world) {
            stream_close(&w.server.stream);
            WORLD_UNTIL(&w, w.server.closed);
            memset(&w.server, 0, sizeof w.server);
        }
    }
    world_close(&w);
}

static int make_certificates(void **state)
{
    (void)state;
    kit_certificate("good", "ec", "DNS:good.test,IP:127.0.0.1");
    kit_certificate("other", "ec", "DNS:good.test,IP:127.0.0.1");
    server = kit_server("good", NULL);
    client = kit_client("good");
    return 0;
}

static int clean(void **state)
{
    (void)state;
    tls_server_release(server);
    tls_client_release(client);
    kit_clean();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_TESTS(bytes_arrive_in_their_order_both_ways),
        BOTH_TESTS(small_pieces_of_a_turn_leave_in_one_write),
        BOTH_TESTS(an_end_that_does_not_read_holds_the_other_up),
        BOTH_TESTS(reading_can_stop_at_any_byte),
        BOTH_TESTS(the_end_waits_until_it_is_read),
        BOTH_TESTS(closing_says_so_when_everything_was_sent),
        cmocka_unit_test(an_end_that_tls_did_not_say_is_a_failure),
        cmocka_unit_test(closing_in_the_middle_is_seen_as_a_failure),
        BOTH_TESTS(a_file_arrives_between_what_is_around_it),
        BOTH_TESTS(a_file_arrives_at_a_slow_reader),
        BOTH_TESTS(a_file_that_became_shorter_ends_the_connection),
        BOTH_TESTS(a_large_file_leaves_in_parts),
        cmocka_unit_test(a_head_and_a_large_file_share_their_segments),
        cmocka_unit_test(a_file_without_sendfile_arrives_too),
        BOTH_TESTS(shared_bytes_arrive),
        cmocka_unit_test(who_does_not_speak_tls_is_told),
        cmocka_unit_test(nonsense_ends_with_an_alert),
        cmocka_unit_test(a_silent_client_costs_no_openssl_object),
        cmocka_unit_test(a_certificate_for_somebody_else_is_not_accepted),
        cmocka_unit_test(handshakes_and_resumptions_are_counted),
        BOTH_TESTS(bytes_may_be_put_before_the_connection_is_there),
        BOTH_TESTS(the_first_bytes_of_a_deferred_connection_come_first),
        cmocka_unit_test(what_cannot_be_reached_fails_with_words),
        cmocka_unit_test(the_next_address_is_tried),
        BOTH_TESTS(known_addresses_are_tried_in_turn_without_a_lookup),
        cmocka_unit_test(the_certificate_is_for_the_name_and_not_for_the_address),
        cmocka_unit_test(an_attempt_can_be_ended_at_any_time),
    };
    return cmocka_run_group_tests(tests, make_certificates, clean);
}
