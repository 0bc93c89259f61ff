/* Listeners: held back, out of descriptors, sharing an address. */
#include "kit.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 30, FREE_DESCRIPTORS = 5 };

static struct world w;
static struct end ends[CLIENTS];
static int clients[CLIENTS];

static bool take_all(struct listener *listener)
{
    struct end *e = &ends[w.accepted++];
    memset(e, 0, sizeof *e);
    e->world = &w;
    assert_int_equal(stream_accept(&e->stream, &w.loop, listener, &end_events), 0);
    return true;
}

static void connect_clients(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(w.listener.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(clients[i], (struct sockaddr *)&address, sizeof address), 0);
    }
}

static void close_all(void)
{
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    for (int i = 0; i < w.accepted; i++)
        stream_close(&ends[i].stream);
    for (int i = 0; i < w.accepted; i++)
        WORLD_UNTIL(&w, ends[i].closed);
    world_close(&w);
}

static int lowest_free_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static void without_descriptors_it_waits_says_so_once_and_goes_on(void **state)
{
    (void)state;
    struct rlimit before, low;
    world_open(&w, NULL);
    w.listener.ready = take_all;
    connect_clients();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)lowest_free_descriptor() + FREE_DESCRIPTORS;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    WORLD_UNTIL(&w, w.troubles > 0);
    int accepted = w.accepted;
    assert_true(accepted > 0 && accepted <= FREE_DESCRIPTORS);
    for (int retries = 0; retries < 3; retries++) {
        assert_false(uv_is_active((uv_handle_t *)&w.listener.poll)); /* so it cannot spin */
        assert_true(uv_is_active((uv_handle_t *)&w.listener.retry));
        uint64_t due = uv_now(&w.loop.uv) + LISTENER_RETRY_MS + 50;
        WORLD_UNTIL(&w, uv_now(&w.loop.uv) >= due);
    }
    assert_int_equal(w.troubles, 1);
    assert_int_equal(w.recoveries, 0);
    /* One gives up its descriptor, another gets it. */
    stream_close(&ends[0].stream);
    WORLD_UNTIL(&w, w.accepted == accepted + 1);
    assert_int_equal(w.recoveries, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    WORLD_UNTIL(&w, w.accepted == CLIENTS);
    assert_true(w.troubles <= 3 && w.recoveries == w.troubles);
    close_all();
}

static int wanted;

static bool take_wanted(struct listener *listener)
{
    return w.accepted < wanted && take_all(listener);
}

static void what_is_not_wanted_waits(void **state)
{
    (void)state;
    world_open(&w, NULL);
    w.listener.ready = take_wanted;
    wanted = 3;
    connect_clients();
    WORLD_UNTIL(&w, w.listener.held);
    assert_int_equal(w.accepted, 3);
    listener_resume(&w.listener);
    assert_true(w.listener.held);
    wanted = 10;
    listener_resume(&w.listener);
    assert_false(w.listener.held);
    WORLD_UNTIL(&w, w.listener.held);
    assert_int_equal(w.accepted, 10);
    close_all(); /* also the one that is held */
}

static struct listener second;
static bool second_closed;

static void on_second_closed(struct listener *listener)
{
    (void)listener;
    second_closed = true;
}

static int open_second(const struct listener_options *options)
{
    second_closed = false;
    second = (struct listener){.ready = take_all, .owner = &w, .closed = on_second_closed};
    return listener_open(&second, &w.loop, options);
}

static void an_address_in_use_is_noticed_also_by_the_first_of_several(void **state)
{
    (void)state;
    world_open(&w, NULL);
    struct listener_options options = {.ip = "127.0.0.1", .port = w.listener.port, .backlog = 1};
    assert_int_equal(open_second(&options), UV_EADDRINUSE);
    options.shared = true;
    assert_int_equal(open_second(&options), UV_EADDRINUSE);
    options.port = 0;
    assert_int_equal(open_second(&options), 0);
    struct listener third = {.ready = take_all, .owner = &w, .closed = on_second_closed};
    options.port = second.port;
    options.joins = true;
    assert_int_equal(listener_open(&third, &w.loop, &options), 0);
    listener_close(&second);
    WORLD_UNTIL(&w, second_closed);
    second_closed = false;
    listener_close(&third);
    WORLD_UNTIL(&w, second_closed);
    options = (struct listener_options){.ip = "localhost"};
    assert_int_equal(open_second(&options), UV_EINVAL);
    world_close(&w);
}

static void both_families_are_heard_on_one_listener(void **state)
{
    (void)state;
    world_open(&w, NULL);
    struct listener_options options = {.ip = "::", .backlog = 10};
    int rc = open_second(&options);
    if (rc < 0) {
        assert_int_equal(rc, UV_EAFNOSUPPORT); /* a machine without IPv6 */
        world_close(&w);
        return;
    }
    static const char *const hosts[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 2; i++) {
        struct stream_target target = {.host = hosts[i], .port = second.port};
        memset(&w.client, 0, sizeof w.client);
        w.client.world = &w;
        assert_int_equal(stream_connect(&w.client.stream, &w.loop, &target, &end_events), OK);
        WORLD_UNTIL(&w, w.client.failed || w.accepted > i);
        if (i == 0) assert_int_equal(w.client.failed, 0);
        if (w.accepted > i) assert_int_equal(second.peer.sin6_family, AF_INET6);
        stream_close(&w.client.stream);
        WORLD_UNTIL(&w, w.client.closed);
    }
    for (int i = 0; i < w.accepted; i++) {
        stream_close(&ends[i].stream);
        WORLD_UNTIL(&w, ends[i].closed);
    }
    listener_close(&second);
    WORLD_UNTIL(&w, second_closed);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_descriptors_it_waits_says_so_once_and_goes_on),
        cmocka_unit_test(what_is_not_wanted_waits),
        cmocka_unit_test(an_address_in_use_is_noticed_also_by_the_first_of_several),
        cmocka_unit_test(both_families_are_heard_on_one_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
