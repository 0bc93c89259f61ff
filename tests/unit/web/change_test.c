/* What of an app changes while it runs: where it listens, its settings, its access log. */
#include "web/change.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
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
    assert_int_equal(wr_route(w->app, "GET POST", "/hello", hello, NULL), WR_OK);
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
/* Below those that the system gives to whoever asks for any, and each only once. */
static uint16_t free_port(void)
{
    enum { FIRST = 10000, COUNT = 20000, TRIES_MAX = 1000 };
    static unsigned given;
    for (int i = 0; i < TRIES_MAX; i++) {
        uint16_t port = (uint16_t)(FIRST + ((unsigned)getpid() * 61 + given++) % COUNT);
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
        close(fd);
        if (is_free) return port;
    }
    fail_msg("no port is free");
    return 0;
}

/* Short connections, one after the other, until they are to stop. */
struct load {
    pthread_t thread;
    uint16_t port;
    const char *target;
    int stop, asked, failed;
};

static void *load_run(void *context)
{
    struct load *load = context;
    char text[2048], target[64];
    while (!__atomic_load_n(&load->stop, __ATOMIC_ACQUIRE)) {
        snprintf(target, sizeof target, "%s?%d", load->target, load->asked);
        bool good = ask_at("127.0.0.1", load->port, target, text, sizeof text);
        load->failed += !(good && strstr(text, "HTTP/1.1 200"));
        __atomic_add_fetch(&load->asked, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

static void load_begin(struct load *loads, uint16_t port, const char *target)
{
    for (int i = 0; i < LOADS; i++) {
        loads[i] = (struct load){.port = port, .target = target};
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
        load_begin(loads, wanted[0].port, "/hello");
        come_and_go(&w, wanted);
        wait_for_refusal(wanted[1].port);
        wait_for_more(&loads[0], 5);
        assert_true(load_end(loads) > 0);
        world_end(&w);
    }
}

/* All before any worker has followed. */
static void flip(struct wr_worker *worker, void *argument)
{
    struct call *call = argument;
    (void)worker;
    for (size_t i = 0; i < 20 && call->rc == WR_OK; i++)
        call->rc = app_set_listeners(call->app, call->wanted, 1 + i % call->count);
    snprintf(call->why, sizeof call->why, "%s", wr_app_error(call->app));
    __atomic_store_n(&call->done, 1, __ATOMIC_RELEASE);
}

static void changes_may_follow_each_other_at_once(void **state)
{
    (void)state;
    struct world w;
    for (unsigned workers = 1; workers <= WORKERS; workers += WORKERS - 1) {
        begin(&w, workers);
        struct app_listen wanted[] = {{.ip = "127.0.0.1", .port = free_port()},
                                      {.ip = "127.0.0.1", .port = free_port()}};
        assert_int_equal(app_set_listeners(w.app, wanted, 1), WR_OK);
        run(&w);
        struct call call = {.app = w.app, .wanted = wanted, .count = 2};
        assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), flip, &call), WR_OK);
        wait_for(&call.done, 1);
        if (call.rc != WR_OK) fail_msg("%s", call.why);
        settle(&w);
        assert_true(answers(wanted[0].port));
        assert_true(answers(wanted[1].port)); /* the last change had both */
        world_end(&w);
    }
}

static void what_waits_at_a_listener_that_leaves_is_answered(void **state)
{
    (void)state;
    enum { WAITING = 500 }; /* more than are accepted in one turn */
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

/* --- TLS --- */

static char folder[] = "/tmp/weaprous-change-XXXXXX";

static const char *path(const char *name)
{
    static char paths[4][128];
    static int next;
    char *text = paths[next++ % 4];
    snprintf(text, sizeof paths[0], "%s/%s", folder, name);
    return text;
}

/* A certificate for this name, with its key, in files of this name. */
static struct wr_tls *tls_for(const char *name)
{
    char command[512], cert[64], key[64];
    snprintf(cert, sizeof cert, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s "
             "-addext subjectAltName=DNS:%s -keyout %s -out %s 2>/dev/null",
             name, name, path(key), path(cert));
    assert_int_equal(system(command), 0); /* NOLINT: of this test's own words */
    struct wr_tls *tls = wr_tls_new(NULL);
    assert_int_equal(wr_tls_certificate(tls, path(cert), path(key)), WR_OK);
    return tls;
}

/* The name in the certificate of the server; "" when TLS is not spoken. */
static const char *name_at(SSL_CTX *ctx, uint16_t port)
{
    static char name[64];
    int fd = try_connect("127.0.0.1", port);
    assert_true(fd >= 0);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    name[0] = 0;
    if (SSL_connect(ssl) == 1) {
        X509 *certificate = SSL_get1_peer_certificate(ssl);
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
        X509_free(certificate);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
    return name;
}

static void a_listener_gets_other_certificates_and_loses_them(void **state)
{
    (void)state;
    struct world w;
    assert_non_null(mkdtemp(folder));
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct wr_tls *one = tls_for("one.example"), *two = tls_for("two.example");
    begin(&w, 2);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port(), .tls = one};
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    run(&w);
    assert_string_equal(name_at(ctx, listen.port), "one.example");
    /* A connection that has said nothing yet keeps what it was accepted with. */
    int early = try_connect("127.0.0.1", listen.port);
    client_send_bytes(early, "\x16", 1);
    struct pollfd none = {.fd = early};
    poll(&none, 1, 50);
    for (int round = 0; round < 10; round++) {
        listen.tls = two;
        assert_int_equal(change(&w, NULL, &listen, 1, NULL), WR_OK);
        assert_string_equal(name_at(ctx, listen.port), "two.example");
        listen.tls = one;
        assert_int_equal(change(&w, NULL, &listen, 1, NULL), WR_OK);
        assert_string_equal(name_at(ctx, listen.port), "one.example");
    }
    wr_tls_free(one); /* the listeners keep what they need */
    listen.tls = NULL;
    assert_int_equal(change(&w, NULL, &listen, 1, NULL), WR_OK);
    assert_true(answers(listen.port));
    listen.tls = two;
    assert_int_equal(change(&w, NULL, &listen, 1, NULL), WR_OK);
    wr_tls_free(two);
    assert_string_equal(name_at(ctx, listen.port), "two.example");
    close(early);
    world_end(&w);
    SSL_CTX_free(ctx);
    static const char *const files[] = {"one.example.pem", "one.example.key", "two.example.pem",
                                        "two.example.key"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlink(path(files[i]));
    rmdir(folder);
}

/* --- settings --- */

/* One with everything set to n, so that a mixture would show. */
static void uniform(struct app_settings *s, unsigned n)
{
    s->header_timeout_ms = s->body_timeout_ms = s->idle_timeout_ms = s->answer_timeout_ms = 10000 + n;
    s->write_timeout_ms = s->connections_per_address_max = s->connections_max = 10000 + n;
    s->header_bytes_max = 10000 + n;
    s->trusted_proxies = n % 2 ? "127.0.0.0/8, ::1" : NULL;
    s->proxy_fields = n % 3 ? WR_FORWARDED : WR_X_FORWARDED;
}

static int mixtures;

static void look(struct wr_request *r, void *context)
{
    const struct settings *s = r->worker->settings;
    unsigned n = s->idle_timeout_ms;
    (void)context;
    bool whole = s->header_timeout_ms == n && s->body_timeout_ms == n && s->answer_timeout_ms == n &&
                 s->write_timeout_ms == n && s->connections_max == n && s->connections_per_address_max == n &&
                 s->limits.header_bytes_max == n && (s->trusted_count == 2) == (n % 2);
    if (!whole) __atomic_add_fetch(&mixtures, 1, __ATOMIC_RELAXED);
    wr_respond_text(r, 200, "127.0.0.1");
}

static void settings_change_under_load_as_a_whole(void **state)
{
    (void)state;
    struct world w;
    struct load loads[LOADS];
    struct app_settings settings;
    begin(&w, WORKERS);
    assert_int_equal(wr_route(w.app, "GET", "/look", look, NULL), WR_OK);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port()};
    app_settings_of(w.app, &settings);
    uniform(&settings, 0);
    assert_int_equal(app_set_settings(w.app, &settings), WR_OK);
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    run(&w);
    load_begin(loads, listen.port, "/look");
    for (unsigned i = 1; i <= 200; i++) {
        uniform(&settings, i);
        assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
        if (i % 20 == 0) wait_for_more(&loads[0], 2);
    }
    assert_true(load_end(loads) > 20);
    assert_int_equal(mixtures, 0);
    struct app_settings last;
    app_settings_of(w.app, &last); /* nobody changes them now */
    assert_int_equal(last.idle_timeout_ms, 10200);
    assert_null(last.trusted_proxies);
    world_end(&w);
}

static void each_setting_goes_for_what_comes_next(void **state)
{
    (void)state;
    struct world w;
    struct app_settings settings;
    char text[2048];
    bool closed;
    begin(&w, 2);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port()};
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    run(&w);
    app_settings_of(w.app, &settings);
    assert_int_equal(settings.connections_per_address_max, 0);
    /* How large a head may be. */
    char target[3000] = "/hello?";
    memset(target + 7, 'x', sizeof target - 8);
    settings.header_bytes_max = 2000;
    assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
    target[400] = 0;
    assert_true(ask_at("127.0.0.1", listen.port, target, text, sizeof text));
    assert_starts(text, "HTTP/1.1 200");
    int fd = try_connect("127.0.0.1", listen.port);
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
    target[400] = 'x';
    client_send_bytes(fd, target, sizeof target - 1);
    assert_starts(client_read(fd, 5000, NULL, NULL), "HTTP/1.1 431");
    close(fd);
    /* How many connections one address may have: those that are open are not counted, as there was no limit.
     */
    int old = try_connect("127.0.0.1", listen.port);
    ask_kept(old);
    settings.connections_per_address_max = 1;
    assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
    int first = try_connect("127.0.0.1", listen.port);
    ask_kept(first);
    int second = try_connect("127.0.0.1", listen.port);
    send(second, "GET", 3, MSG_NOSIGNAL);
    assert_string_equal(client_read(second, 5000, NULL, &closed), "");
    assert_true(closed);
    close(second);
    settings.connections_per_address_max = 0;
    assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
    second = try_connect("127.0.0.1", listen.port);
    ask_kept(second);
    close(first);
    close(second);
    /* Idle connections. */
    settings.idle_timeout_ms = 50;
    assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
    ask_kept(old);
    assert_string_equal(client_read(old, 10000, NULL, &closed), "");
    assert_true(closed);
    close(old);
    world_end(&w);
}

static void large(struct wr_request *r, void *context)
{
    static char bytes[32 * 1024 * 1024]; /* more than the kernel keeps for both sides */
    (void)context;
    wr_respond_bytes(r, 200, "text/plain", bytes, sizeof bytes);
}

static void no_time_is_no_limit(void **state)
{
    (void)state;
    struct world w;
    struct app_settings settings;
    static char piece[64 * 1024];
    begin(&w, 1);
    assert_int_equal(wr_route(w.app, "GET", "/large", large, NULL), WR_OK);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port()};
    app_settings_of(w.app, &settings);
    settings.idle_timeout_ms = settings.header_timeout_ms = settings.body_timeout_ms = 0;
    settings.write_timeout_ms = settings.answer_timeout_ms = 0;
    assert_int_equal(app_set_settings(w.app, &settings), WR_OK);
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    run(&w);
    int fd = try_connect("127.0.0.1", listen.port), idle = try_connect("127.0.0.1", listen.port);
    ask_kept(idle);
    client_send(fd, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
    struct pollfd none = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&none, 1, 200), 0);
    client_send(fd, "loGET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    usleep(300000); /* several times as long as the wheel needs to find it */
    size_t n = 0;
    for (ssize_t got; (got = recv(fd, piece, sizeof piece, 0)) > 0;)
        n += (size_t)got;
    assert_true(n > 32 * 1024 * 1024);
    ask_kept(idle);
    close(fd);
    close(idle);
    world_end(&w);
}

static void who_waits_for_room_is_let_in_when_there_is_more(void **state)
{
    (void)state;
    enum { WAITING = 8 };
    struct world w;
    struct app_settings settings;
    int fds[WAITING];
    begin(&w, WORKERS);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port()};
    app_settings_of(w.app, &settings);
    settings.connections_max = 1;
    assert_int_equal(app_set_settings(w.app, &settings), WR_OK);
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    run(&w);
    int fd = try_connect("127.0.0.1", listen.port);
    ask_kept(fd);
    for (int i = 0; i < WAITING; i++) {
        fds[i] = try_connect("127.0.0.1", listen.port);
        client_send(fds[i], "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    }
    struct pollfd early = {.fd = fds[0], .events = POLLIN};
    assert_int_equal(poll(&early, 1, 50), 0);
    /* The listener goes as well: what waits at it has its turn when there is room. */
    settings.connections_max = 100;
    assert_int_equal(change(&w, NULL, &listen, 0, NULL), WR_OK);
    assert_int_equal(poll(&early, 1, 50), 0);
    assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
    for (int i = 0; i < WAITING; i++) {
        assert_starts(client_read(fds[i], 10000, NULL, NULL), "HTTP/1.1 200");
        close(fds[i]);
    }
    wait_for_refusal(listen.port);
    close(fd);
    world_end(&w);
}

/* What the server takes for the client's address, on this connection. */
static const char *seen_as(int fd)
{
    static char answer[2048];
    size_t n = 0;
    client_send(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n");
    char *body = NULL;
    do {
        client_read_exact(fd, answer + n, 1);
        answer[++n] = 0;
        body = strstr(answer, "\r\n\r\n");
    } while (!body || strlen(body + 4) < sizeof "127.0.0.1" - 1); /* as long as the other one */
    return body + 4;
}

static void a_proxy_is_trusted_and_not_trusted_on_open_connections_too(void **state)
{
    (void)state;
    struct world w;
    struct app_settings settings;
    begin(&w, 2);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port()};
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    run(&w);
    int fd = try_connect("127.0.0.1", listen.port);
    app_settings_of(w.app, &settings);
    for (int round = 0; round < 3; round++) {
        assert_string_equal(seen_as(fd), "127.0.0.1");
        settings.trusted_proxies = "127.0.0.1";
        settings.proxy_fields = WR_X_FORWARDED;
        assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
        assert_string_equal(seen_as(fd), "192.0.2.7");
        settings.proxy_fields = WR_FORWARDED; /* which this client does not send */
        assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
        assert_string_equal(seen_as(fd), "127.0.0.1");
        settings.trusted_proxies = NULL;
        settings.proxy_fields = WR_X_FORWARDED;
        assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
    }
    close(fd);
    world_end(&w);
}

/* --- the access log --- */

/* Lines, all of which must be of this format. */
static int lines_in(const char *name, bool json)
{
    int n = 0;
    for (const char *line = file_text(name), *end; (end = strchr(line, '\n')); line = end + 1) {
        assert_int_equal(line[0] == '{', json);
        assert_int_equal(end[-1] == '}', json);
        n++;
    }
    return n;
}

static void the_access_log_moves_under_load_and_no_line_is_lost(void **state)
{
    (void)state;
    enum { FILES = 6, ROUNDS = 60 };
    char names[FILES][64];
    struct world w;
    struct load loads[LOADS];
    struct app_settings settings;
    begin(&w, WORKERS);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port()};
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    app_settings_of(w.app, &settings);
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i], sizeof names[i], "/tmp/weaprous-change-%d-%d.log", (int)getpid(), i);
        unlink(names[i]);
    }
    /* There is none yet, and no thread that writes. */
    run(&w);
    assert_true(answers(listen.port));
    settings.access_log = names[0];
    assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
    load_begin(loads, listen.port, "/hello");
    for (int i = 1; i <= ROUNDS; i++) {
        settings.access_log = names[i % FILES];
        settings.access_format = i % FILES % 2 ? WR_LOG_JSON : WR_LOG_COMBINED;
        assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
        if (i % 6 == 0) wr_log_reopen(w.app);
        wait_for_more(&loads[0], 1);
    }
    int asked = load_end(loads);
    settings.access_log = NULL;
    assert_int_equal(change(&w, &settings, NULL, 0, NULL), WR_OK);
    assert_true(answers(listen.port)); /* is not written down */
    world_end(&w);
    int lines = 0;
    for (int i = 0; i < FILES; i++) {
        int here = lines_in(names[i], i % 2);
        assert_true(here > 0);
        lines += here;
        unlink(names[i]);
    }
    assert_int_equal(lines, asked);
}

static void answer_of_another(struct wr_request *r, void *context)
{
    r->upstream = context;
    wr_respond_text(r, 200, "from elsewhere");
}

static void lines_tell_the_server_that_answered(void **state)
{
    (void)state;
    static const struct access_upstream full = {.name = {(const uint8_t *)"10.0.0.1:9000", 13},
                                                .connect_ns = 412000,
                                                .first_ns = 3050000,
                                                .total_ns = 9781234,
                                                .tries = 2,
                                                .request_id = {(const uint8_t *)"8f\"2c", 5}},
                                        never = {.name = {(const uint8_t *)"10.0.0.1:9000", 13}, .tries = 1},
                                        none = {.tries = 0};
    char name[64];
    struct world w;
    snprintf(name, sizeof name, "/tmp/weaprous-change-%d.log", (int)getpid());
    for (int json = 0; json < 2; json++) {
        begin(&w, 1);
        assert_int_equal(wr_route(w.app, "GET", "/full", answer_of_another, (void *)(uintptr_t)&full), WR_OK);
        assert_int_equal(wr_route(w.app, "GET", "/never", answer_of_another, (void *)(uintptr_t)&never),
                         WR_OK);
        assert_int_equal(wr_route(w.app, "GET", "/none", answer_of_another, (void *)(uintptr_t)&none), WR_OK);
        assert_int_equal(wr_access_log(w.app, json ? WR_LOG_JSON : WR_LOG_COMBINED, name), WR_OK);
        world_run(&w);
        ask(&w, "GET /full HTTP/1.1\r\n");
        ask(&w, "GET /never HTTP/1.1\r\n");
        ask(&w, "GET /none HTTP/1.1\r\n");
        ask(&w, "GET /hello HTTP/1.1\r\n");
        world_end(&w);
        const char *text = file_text(name);
        if (json) {
            assert_has(text, "\"upstream\":\"10.0.0.1:9000\",\"upstream_connect_ms\":0.412,"
                             "\"upstream_first_ms\":3.050,\"upstream_ms\":9.781,\"tries\":2,"
                             "\"request_id\":\"8f\\\"2c\"}\n");
            assert_has(text, "\"upstream\":\"10.0.0.1:9000\",\"tries\":1}\n");
            assert_has(text, ",\"tries\":0}\n");
        } else {
            assert_has(text, "\"GET /full HTTP/1.1\" 200 14 \"-\" \"-\" \"10.0.0.1:9000\" "
                             "\"0.412/3.050/9.781\" \"2\" \"8f\\x222c\"\n");
            assert_has(text, "200 14 \"-\" \"-\" \"10.0.0.1:9000\" \"-/-/-\" \"1\" \"-\"\n");
            assert_has(text, "200 14 \"-\" \"-\" \"-\" \"-/-/-\" \"0\" \"-\"\n");
            assert_has(text, "\"GET /hello HTTP/1.1\" 200 9 \"-\" \"-\"\n");
        }
        unlink(name);
    }
}

/* --- metrics --- */

static void metrics_are_text_for_any_thread(void **state)
{
    (void)state;
    struct world w;
    struct buffer out;
    struct app_settings settings;
    begin(&w, WORKERS);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port()};
    app_settings_of(w.app, &settings);
    settings.timed = true;
    assert_int_equal(app_set_settings(w.app, &settings), WR_OK);
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    run(&w);
    for (int i = 0; i < 10; i++)
        assert_true(answers(listen.port));
    buffer_init(&out, &allocator_libc, METRICS_TEXT_BYTES_MAX);
    buffer_text(&out, "# first\n");
    assert_int_equal(metrics_text(w.app, &out), OK);
    buffer_byte(&out, 0);
    const char *text = (const char *)out.ptr;
    assert_starts(text, "# first\n");
    assert_has(text, "\nweaprous_http_requests_total{method=\"GET\",code=\"2xx\"} 10\n");
    assert_has(text, "\nweaprous_http_request_duration_seconds_count 10\n");
    assert_has(text, "\nprocess_resident_memory_bytes ");
    buffer_reset(&out);
    buffer_init(&out, &allocator_libc, 100);
    assert_int_equal(metrics_text(w.app, &out), ERR_MEMORY);
    buffer_reset(&out);
    world_end(&w);
}

/* --- stopping --- */

static void nothing_changes_when_the_server_stops(void **state)
{
    (void)state;
    struct world w;
    struct call call;
    begin(&w, WORKERS);
    struct app_listen listen = {.ip = "127.0.0.1", .port = free_port()};
    struct app_change *change;
    /* A change that was prepared in time, and one that was committed, but found no worker that ran. */
    assert_int_equal(app_prepare(w.app, NULL, &listen, 1, &change), WR_OK);
    app_abandon(change);
    wait_for_refusal(listen.port);
    assert_int_equal(app_set_listeners(w.app, &listen, 1), WR_OK);
    wr_stop(w.app);
    call = (struct call){.app = w.app, .wanted = &listen, .count = 1};
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), call_there, &call), WR_OK);
    run(&w);
    wait_for(&call.done, 1);
    assert_int_equal(call.rc, WR_CLOSED);
    assert_string_equal(call.why, "the server is stopping");
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_come_and_go_while_one_is_under_load),
        cmocka_unit_test(changes_may_follow_each_other_at_once),
        cmocka_unit_test(what_waits_at_a_listener_that_leaves_is_answered),
        cmocka_unit_test(a_bad_set_changes_nothing),
        cmocka_unit_test(an_address_may_be_widened_and_narrowed),
        cmocka_unit_test(the_system_may_choose_the_port),
        cmocka_unit_test(each_listener_may_send_its_clients_to_https),
        cmocka_unit_test(a_listener_gets_other_certificates_and_loses_them),
        cmocka_unit_test(settings_change_under_load_as_a_whole),
        cmocka_unit_test(each_setting_goes_for_what_comes_next),
        cmocka_unit_test(no_time_is_no_limit),
        cmocka_unit_test(who_waits_for_room_is_let_in_when_there_is_more),
        cmocka_unit_test(a_proxy_is_trusted_and_not_trusted_on_open_connections_too),
        cmocka_unit_test(the_access_log_moves_under_load_and_no_line_is_lost),
        cmocka_unit_test(lines_tell_the_server_that_answered),
        cmocka_unit_test(metrics_are_text_for_any_thread),
        cmocka_unit_test(nothing_changes_when_the_server_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
