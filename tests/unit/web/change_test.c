/* What of an app changes while it runs: where it listens, its settings, its access log. */
#include "web/change.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/ip.h"
#include "web/access.h"
#include "web/app.h"
#include "web/metrics.h"
#include "world.h"

enum { WORKERS = 3, LOADS = 2 };

static void hello(struct wr_request *r, void *context)
{
    (void)context;
    wr_respond_text(r, 200, wr_request_address(r));
}

static void begin(struct world *w, unsigned workers)
{
    struct wr_config config;
    wr_config_init(&config);
    config.workers = workers;
    config.connections_per_address_max = 0;
    world_init(w, &config);
    assert_int_equal(wr_route(w->app, "GET", "/hello", hello, NULL), WR_OK);
}

static void *serve(void *app)
{
    wr_run(app);
    return NULL;
}

static void run(struct world *w)
{
    assert_int_equal(pthread_create(&w->thread, NULL, serve, w->app), 0);
}

/* --- calling on the first worker's thread --- */

struct call {
    struct wr_app *app;
    const struct app_settings *settings;
    const struct app_listen *wanted;
    size_t count;
    int rc, done;
    char why[256];
};

static void call_there(struct wr_worker *worker, void *argument)
{
    struct call *call = argument;
    struct app_change *change;
    (void)worker;
    call->rc = app_prepare(call->app, call->settings, call->wanted, call->count, &change);
    snprintf(call->why, sizeof call->why, "%s", wr_app_error(call->app));
    if (call->rc == WR_OK) app_commit(change);
    __atomic_store_n(&call->done, 1, __ATOMIC_RELEASE);
}

static void nothing(struct wr_worker *worker, void *argument)
{
    (void)worker;
    __atomic_add_fetch((int *)argument, 1, __ATOMIC_RELEASE);
}

/* All workers have done what was posted to them. */
static void settle(struct world *w)
{
    int done = 0;
    for (unsigned i = 0; i < wr_workers(w->app); i++)
        assert_int_equal(wr_worker_post(wr_worker_at(w->app, i), nothing, &done), WR_OK);
    wait_for(&done, (int)wr_workers(w->app));
}

/* Returns when all workers have followed. *why: the words of an error. */
static int change(struct world *w, const struct app_settings *settings, const struct app_listen *wanted,
                  size_t count, char why[256])
{
    struct call call = {.app = w->app, .settings = settings, .wanted = wanted, .count = count};
    assert_int_equal(wr_worker_post(wr_worker_at(w->app, 0), call_there, &call), WR_OK);
    wait_for(&call.done, 1);
    if (why) memcpy(why, call.why, sizeof call.why);
    settle(w);
    return call.rc;
}

/* --- clients --- */

/* A connection, or -1 with errno. */
static int try_connect(const char *ip, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, ip, &address.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* False when the connection was refused or reset; `text` gets the answer. */
static bool ask_at(const char *ip, uint16_t port, const char *target, char *text, size_t size)
{
    char request[512];
    int fd = try_connect(ip, port);
    if (fd < 0) return false;
    int len =
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", target);
    bool good = send(fd, request, (size_t)len, MSG_NOSIGNAL) == len;
    size_t n = 0;
    ssize_t got = 1;
    while (good && got > 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 10000) != 1) break;
        got = recv(fd, text + n, size - 1 - n, 0);
        if (got > 0) n += (size_t)got;
    }
    text[n] = 0;
    close(fd);
    return good && got == 0 && n > 0;
}

static bool answers(uint16_t port)
{
    char text[2048];
    return ask_at("127.0.0.1", port, "/hello", text, sizeof text) && strstr(text, "HTTP/1.1 200");
}

/* A port that nobody uses now. */
static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* Short connections, one after the other, until they are to stop. */
struct load {
    pthread_t thread;
    uint16_t port;
    int stop, asked, failed;
};

static void *load_run(void *context)
{
    struct load *load = context;
    char text[2048], target[64];
    while (!__atomic_load_n(&load->stop, __ATOMIC_ACQUIRE)) {
        snprintf(target, sizeof target, "/hello?%u-%d", load->port, load->asked);
        bool good = ask_at("127.0.0.1", load->port, target, text, sizeof text);
        load->failed += !(good && strstr(text, "HTTP/1.1 200"));
        __atomic_add_fetch(&load->asked, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void load_begin(struct load *loads, uint16_t port)
{
    for (int i = 0; i < LOADS; i++) {
        loads[i] = (struct load){.port = port};
        assert_int_equal(pthread_create(&loads[i].thread, NULL, load_run, &loads[i]), 0);
    }
}

/* Returns how many were asked; all must have been answered. */
static int load_end(struct load *loads)
{
    int asked = 0;
    for (int i = 0; i < LOADS; i++)
        __atomic_store_n(&loads[i].stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < LOADS; i++) {
        pthread_join(loads[i].thread, NULL);
        assert_int_equal(loads[i].failed, 0);
        asked += loads[i].asked;
    }
    return asked;
}

static void wait_for_more(const struct load *load, int more)
{
    int from = __atomic_load_n(&load->asked, __ATOMIC_ACQUIRE);
    for (int i = 0; i < 10000 && __atomic_load_n(&load->asked, __ATOMIC_ACQUIRE) < from + more; i++)
        usleep(1000);
}

/* One request on a connection that stays open; the answer's body is an address, "127.0.0.1". */
static void ask_kept(int fd)
{
    char answer[2048];
    size_t n = 0;
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    do {
        client_read_exact(fd, answer + n, 1);
        answer[++n] = 0;
    } while (!strstr(answer, "\r\n\r\n127.0.0.1"));
    assert_starts(answer, "HTTP/1.1 200");
}

/* Until nobody listens there. */
static void wait_for_refusal(uint16_t port)
{
    int fd = 0;
    for (int i = 0; i < 5000 && fd >= 0; i++) {
        fd = try_connect("127.0.0.1", port);
        if (fd < 0) break;
        close(fd);
        usleep(1000);
    }
    assert_int_equal(fd, -1);
    assert_int_equal(errno, ECONNREFUSED);
}

/* --- listeners --- */

static void come_and_go(struct world *w, const struct app_listen wanted[2])
{
    uint16_t other = wanted[1].port;
    for (int round = 0; round < 30; round++) {
        assert_int_equal(change(w, NULL, wanted, 2, NULL), WR_OK);
        assert_true(answers(other));
        int open = try_connect("127.0.0.1", other);
        assert_true(open >= 0);
        ask_kept(open);
        /* Once more at once, while some worker may still close what was there. */
        assert_int_equal(change(w, NULL, wanted, 1, NULL), WR_OK);
        if (round % 2) assert_int_equal(change(w, NULL, wanted, 2, NULL), WR_OK);
        if (round % 2) assert_int_equal(change(w, NULL, wanted, 1, NULL), WR_OK);
        ask_kept(open); /* what is open stays */
        close(open);
    }
}

static void listeners_come_and_go_while_one_is_under_load(void **state)
{
    (void)state;
    struct world w;
    struct load loads[LOADS];
    for (unsigned workers = 1; workers <= WORKERS; workers += WORKERS - 1) {
        begin(&w, workers);
        struct app_listen wanted[] = {{.ip = "127.0.0.1", .port = free_port()},
                                      {.ip = "127.0.0.1", .port = free_port()}};
        assert_int_equal(app_set_listeners(w.app, wanted, 1), WR_OK);
        assert_int_equal(wr_port(w.app), wanted[0].port);
        run(&w);
        load_begin(loads, wanted[0].port);
        come_and_go(&w, wanted);
        wait_for_refusal(wanted[1].port);
        wait_for_more(&loads[0], 5);
        assert_true(load_end(loads) > 0);
        world_end(&w);
    }
}

static void what_waits_at_a_listener_that_leaves_is_answered(void **state)
{
    (void)state;
    enum { WAITING = 200 };
    struct world w;
    int fds[WAITING];
    begin(&w, 2);
    struct app_listen wanted[] = {{.ip = "127.0.0.1", .port = free_port()}};
    assert_int_equal(app_set_listeners(w.app, wanted, 1), WR_OK);
    for (int i = 0; i < WAITING; i++) {
        fds[i] = try_connect("127.0.0.1", wanted[0].port);
        assert_true(fds[i] >= 0);
        client_send(fds[i], "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    /* The first thing that runs. */
    struct call call = {.app = w.app, .wanted = wanted, .count = 0};
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), call_there, &call), WR_OK);
    run(&w);
    for (int i = 0; i < WAITING; i++) {
        assert_starts(client_read(fds[i], 10000, NULL, NULL), "HTTP/1.1 200");
        close(fds[i]);
    }
    wait_for(&call.done, 1);
    assert_int_equal(call.rc, WR_OK);
    wait_for_refusal(wanted[0].port);
    assert_int_equal(wr_port(w.app), 0);
    world_end(&w);
}

static void a_bad_set_changes_nothing(void **state)
{
    (void)state;
    struct world w;
    struct wr_tls *empty = wr_tls_new(NULL);
    char why[256];
    begin(&w, WORKERS);
    uint16_t taken = 0;
    struct wr_app *stranger = wr_app_new(NULL);
    assert_int_equal(wr_listen(stranger, "127.0.0.1", 0, NULL), WR_OK);
    taken = wr_port(stranger);
    struct app_listen first = {.ip = "127.0.0.1", .port = free_port()};
    struct app_listen next = {.ip = "127.0.0.1", .port = free_port()};
    const struct {
        struct app_listen bad;
        int rc;
        const char *why;
    } cases[] = {
        {{.ip = "127.0.0.1", .port = taken}, WR_SYSTEM, "another program uses this port"},
        {{.ip = "192.0.2.1", .port = 1},
         WR_SYSTEM,
         "192.0.2.1 port 1: this machine does not have this address"},
        {{.ip = "nonsense", .port = 1}, WR_INVALID, "nonsense port 1: this is not an IP address"},
        {{.ip = "127.0.0.1", .port = next.port}, WR_INVALID, "it is named twice"},
        {{.ip = "127.0.0.1", .port = 0, .tls = empty}, WR_INVALID, "TLS: "},
    };
    assert_int_equal(app_set_listeners(w.app, &first, 1), WR_OK);
    run(&w);
    int open = try_connect("127.0.0.1", first.port);
    ask_kept(open);
    struct app_settings settings;
    app_settings_of(w.app, &settings);
    settings.idle_timeout_ms = 1;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct app_listen wanted[] = {next, cases[i].bad};
        assert_int_equal(change(&w, &settings, wanted, 2, why), cases[i].rc);
        assert_has(why, cases[i].why);
        wait_for_refusal(next.port);
        assert_true(answers(first.port));
    }
    settings.access_log = "/nowhere/at/all.log";
    assert_int_equal(change(&w, &settings, &next, 1, why), WR_SYSTEM);
    assert_has(why, "cannot write the log file /nowhere/at/all.log: No such file");
    settings.access_log = NULL;
    settings.trusted_proxies = "127.0.0.1, 10.0.0.0/40";
    assert_int_equal(change(&w, &settings, &next, 1, why), WR_INVALID);
    assert_has(why, "\"10.0.0.0/40\" is not an address or network of a proxy");
    assert_true(answers(first.port));
    wait_for_refusal(next.port);
    ask_kept(open); /* after all this, idle for more than a millisecond */
    close(open);
    wr_app_free(stranger);
    wr_tls_free(empty);
    world_end(&w);
}

static void an_address_may_be_widened_and_narrowed(void **state)
{
    (void)state;
    struct world w;
    for (unsigned workers = 1; workers <= WORKERS; workers += WORKERS - 1) {
        begin(&w, workers);
        uint16_t port = free_port();
        struct app_listen all = {.ip = "0.0.0.0", .port = port}, one = {.ip = "127.0.0.1", .port = port},
                          six = {.ip = "::", .port = port}, both[] = {all, one};
        assert_int_equal(app_set_listeners(w.app, &one, 1), WR_OK);
        run(&w);
        const struct app_listen *steps[] = {&all, &one, &six, &one, &six, &all, &one};
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            assert_int_equal(change(&w, NULL, steps[i], 1, NULL), WR_OK);
            assert_true(answers(port));
        }
        assert_int_equal(change(&w, NULL, both, 2, NULL), WR_OK);
        assert_true(answers(port));
        world_end(&w);
    }
}

static void the_system_may_choose_the_port(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 2);
    struct app_listen wanted[] = {{.ip = "127.0.0.1"}, {.ip = "127.0.0.1"}};
    assert_int_equal(app_set_listeners(w.app, wanted, 1), WR_OK);
    uint16_t port = wr_port(w.app);
    assert_true(port != 0);
    run(&w);
    assert_int_equal(change(&w, NULL, wanted, 2, NULL), WR_OK); /* that one stays, and there is another */
    assert_true(answers(port));
    struct app_listen named = {.ip = "127.0.0.1", .port = port};
    assert_int_equal(change(&w, NULL, &named, 1, NULL), WR_OK);
    assert_int_equal(wr_port(w.app), port);
    assert_true(answers(port));
    world_end(&w);
}

static void each_listener_may_send_its_clients_to_https(void **state)
{
    (void)state;
    struct world w;
    char text[2048];
    begin(&w, 2);
    struct app_listen wanted[] = {{.ip = "127.0.0.1", .port = free_port()},
                                  {.ip = "127.0.0.1", .port = free_port(), .redirect_https = 8443}};
    assert_int_equal(app_set_listeners(w.app, wanted, 2), WR_OK);
    run(&w);
    assert_true(answers(wanted[0].port));
    assert_true(ask_at("127.0.0.1", wanted[1].port, "/hello?q=1", text, sizeof text));
    assert_starts(text, "HTTP/1.1 308");
    assert_has(text, "\r\nLocation: https://a:8443/hello?q=1\r\n");
    int open = try_connect("127.0.0.1", wanted[0].port);
    ask_kept(open);
    wanted[0].redirect_https = 443;
    wanted[1].redirect_https = 0;
    assert_int_equal(change(&w, NULL, wanted, 2, NULL), WR_OK);
    assert_true(answers(wanted[1].port));
    assert_true(ask_at("127.0.0.1", wanted[0].port, "/hello", text, sizeof text));
    assert_has(text, "\r\nLocation: https://a/hello\r\n");
    ask_kept(open); /* it was accepted before */
    close(open);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_come_and_go_while_one_is_under_load),
        cmocka_unit_test(what_waits_at_a_listener_that_leaves_is_answered),
        cmocka_unit_test(a_bad_set_changes_nothing),
        cmocka_unit_test(an_address_may_be_widened_and_narrowed),
        cmocka_unit_test(the_system_may_choose_the_port),
        cmocka_unit_test(each_listener_may_send_its_clients_to_https),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
