/* Checks over real connections: what takes a server out, what brings it back, in words. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../web/world.h"
#include "proxy/health.h"
#include "scene.h"

enum { INTERVAL_MS = 20, PATIENT_MS = 20000, IMPATIENT_MS = 150, WAIT_MS = 20000 };

/* --- who checks --- */

/* A worker of an app, on which the checks go on; the scene has the configuration. */
static struct checker {
    struct world world;
    struct scene scene;
    struct group *group; /* at work */
    struct health *health;
    pthread_mutex_t lock;
    char told[1024]; /* guarded */
    atomic_uint changes;
    int done; /* what was posted */
} c;

static void changed(void *context, const struct upstream *upstream, bool up, const char *why)
{
    (void)context, (void)upstream;
    pthread_mutex_lock(&c.lock);
    snprintf(c.told, sizeof c.told, "%s: %s", up ? "up" : "down", why);
    pthread_mutex_unlock(&c.lock);
    atomic_fetch_add(&c.changes, 1);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Until what was told last is this. */
static void told(const char *text)
{
    char last[sizeof c.told];
    for (int i = 0; i < WAIT_MS / 5; i++) {
        pthread_mutex_lock(&c.lock);
        memcpy(last, c.told, sizeof last);
        pthread_mutex_unlock(&c.lock);
        if (strcmp(last, text) == 0) return;
        pause_ms(5);
    }
    fail_msg("told \"%s\", not \"%s\"", last, text);
}

static void until(const atomic_uint *count, unsigned at_least)
{
    for (int i = 0; i < WAIT_MS / 5 && atomic_load(count) < at_least; i++)
        pause_ms(5);
    assert_true(atomic_load(count) >= at_least);
}

static void on_worker(wr_worker_function function)
{
    __atomic_store_n(&c.done, 0, __ATOMIC_RELEASE);
    assert_int_equal(wr_worker_post(wr_worker_at(c.world.app, 0), function, NULL), WR_OK);
    for (int i = 0; i < WAIT_MS && !__atomic_load_n(&c.done, __ATOMIC_ACQUIRE); i++)
        pause_ms(1);
    assert_int_equal(c.done, 1);
}

static void start(struct wr_worker *worker, void *argument)
{
    (void)argument;
    c.health = health_new(worker, &c.scene.registry);
    c.done = c.health && health_set(c.health, &c.group, 1) == OK ? 1 : -1;
}

static void set_again(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    int done = health_set(c.health, &c.group, 1) == OK ? 1 : -1;
    __atomic_store_n(&c.done, done, __ATOMIC_RELEASE);
}

static void stop(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    health_free(c.health);
}

/* One server at 127.0.0.1; change c.scene.config before checker_run. */
static void checker_init(uint16_t port)
{
    memset(&c, 0, sizeof c);
    pthread_mutex_init(&c.lock, NULL);
    world_init(&c.world, NULL);
    scene_init(&c.scene, 1);
    c.scene.registry.changed = changed;
    c.scene.servers[0].host = "127.0.0.1";
    c.scene.servers[0].port = port;
    c.scene.config.check_path = "/healthz";
    c.scene.config.check_interval_ms = INTERVAL_MS;
    c.scene.config.check_timeout_ms = PATIENT_MS;
}

static void checker_run(void)
{
    c.group = scene_group(&c.scene);
    assert_int_equal(wr_on_worker(c.world.app, start, stop, NULL), WR_OK);
    world_run(&c.world);
}

static void checker_end(void)
{
    world_end(&c.world);
    assert_int_equal(c.done, 1);
    group_free(&c.scene.registry, c.group);
    scene_end(&c.scene);
}

/* --- the server --- */

enum { SILENT = -1 };

static struct server {
    struct world world;
    atomic_int status; /* what it answers, or SILENT */
    atomic_uint asked, elsewhere, strange, open, open_max;
} s;

/* The check was too impatient. */
static void gone(struct wr_request *request, void *context)
{
    (void)context;
    atomic_fetch_sub(&s.open, 1);
    wr_respond_text(request, 503, "");
}

static void healthz(struct wr_request *request, void *context)
{
    (void)context;
    int status = atomic_load(&s.status);
    unsigned open = atomic_fetch_add(&s.open, 1) + 1;
    if (open > atomic_load(&s.open_max)) atomic_store(&s.open_max, open);
    const char *agent = wr_request_header(request, "user-agent"), *host = wr_request_header(request, "host");
    if (!agent || strcmp(agent, "weaprous-health") != 0 || strcmp(host, context) != 0)
        atomic_fetch_add(&s.strange, 1);
    atomic_fetch_add(&s.asked, 1);
    if (status == SILENT) {
        wr_request_on_gone(request, gone, NULL);
        return;
    }
    atomic_fetch_sub(&s.open, 1);
    wr_response_header(request, "location", "/elsewhere");
    wr_respond_text(request, status, "as it is");
}

static void elsewhere(struct wr_request *request, void *context)
{
    (void)context;
    atomic_fetch_add(&s.elsewhere, 1);
    wr_respond_text(request, 200, "");
}

static char expected_host[64];

/* On this port; 0: any. Returns the port. */
static uint16_t server_begin(uint16_t port, const struct wr_tls *tls)
{
    world_init(&s.world, NULL);
    assert_int_equal(wr_listen(s.world.app, "127.0.0.1", port, tls), WR_OK);
    assert_int_equal(wr_route(s.world.app, "GET", "/healthz", healthz, expected_host), WR_OK);
    assert_int_equal(wr_route(s.world.app, "GET", "/elsewhere", elsewhere, NULL), WR_OK);
    world_run(&s.world);
    port = wr_port(s.world.app);
    snprintf(expected_host, sizeof expected_host, "127.0.0.1:%u", port);
    return port;
}

static uint16_t server_new(int status)
{
    memset(&s, 0, sizeof s);
    atomic_store(&s.status, status);
    return server_begin(0, NULL);
}

/* --- */

static void a_server_that_fails_is_taken_out_and_comes_back(void **state)
{
    (void)state;
    uint16_t port = server_new(200);
    checker_init(port);
    checker_run();
    until(&s.asked, 5);
    assert_int_equal(c.changes, 0);
    atomic_store(&s.status, 500);
    told("down: health check: status 500");
    atomic_store(&s.status, 204);
    told("up: 2 checks passed");
    world_end(&s.world); /* killed */
    told("down: health check: connection refused");
    server_begin(port, NULL); /* and started again */
    told("up: 2 checks passed");
    assert_int_equal(c.changes, 4);
    assert_int_equal(s.strange, 0);
    checker_end();
    world_end(&s.world);
}

static void a_silent_server_is_down_and_is_asked_one_at_a_time(void **state)
{
    (void)state;
    checker_init(server_new(SILENT));
    c.scene.config.check_timeout_ms = IMPATIENT_MS; /* many intervals */
    checker_run();
    told("down: health check: no answer in time");
    assert_true(s.asked >= 3);
    assert_int_equal(s.open_max, 1);
    atomic_store(&s.status, 200);
    told("up: 2 checks passed");
    checker_end();
    world_end(&s.world);
}

static void a_redirect_passes_and_is_not_followed(void **state)
{
    (void)state;
    checker_init(server_new(302));
    snprintf(expected_host, sizeof expected_host, "chat.example");
    c.scene.config.check_host = "chat.example";
    checker_run();
    until(&s.asked, 6);
    assert_int_equal(c.changes, 0);
    assert_int_equal(s.elsewhere, 0);
    assert_int_equal(s.strange, 0);
    checker_end();
    world_end(&s.world);
}

static void checks_under_way_end_with_the_proxy(void **state)
{
    (void)state;
    checker_init(server_new(SILENT));
    checker_run();
    until(&s.asked, 1);
    checker_end(); /* long before the time limit */
    world_end(&s.world);
}

static void a_reload_goes_on_with_the_checks_and_ends_those_of_others(void **state)
{
    (void)state;
    checker_init(server_new(500));
    checker_run();
    told("down: health check: status 500");
    struct group *old = c.group;
    c.scene.config.check_rise = 3;
    c.group = scene_group(&c.scene);
    on_worker(set_again);
    group_free(&c.scene.registry, old);
    assert_int_equal(c.group->members[0].upstream->state, UPSTREAM_DOWN);
    atomic_store(&s.status, 200);
    told("up: 3 checks passed");
    atomic_store(&s.status, 500);
    told("down: health check: status 500");

    old = c.group;
    struct config_group unchecked = c.scene.config;
    unchecked.check_path = NULL;
    const char *why;
    assert_int_equal(group_new(&c.scene.registry, &unchecked, &c.group, &why), OK);
    on_worker(set_again); /* a check that fails until now must not keep it down */
    told("up: it is not checked any more");
    group_free(&c.scene.registry, old);
    pause_ms(2 * INTERVAL_MS);
    unsigned asked = atomic_load(&s.asked);
    pause_ms(5 * INTERVAL_MS);
    assert_in_range(atomic_load(&s.asked), asked, asked + 1); /* one may have been on its way */
    checker_end();
    world_end(&s.world);
}

/* --- answers of all kinds --- */

static struct raw {
    int fd;
    uint16_t port;
    pthread_t thread;
    const char *answer;
    size_t len;
    atomic_uint asked;
} raw;

static void *answer_raw(void *argument)
{
    (void)argument;
    int fd;
    while ((fd = accept(raw.fd, NULL, NULL)) >= 0) {
        char request[1024];
        size_t len = 0;
        ssize_t got;
        while (len < sizeof request && (len < 4 || memcmp(request + len - 4, "\r\n\r\n", 4) != 0) &&
               (got = recv(fd, request + len, sizeof request - len, 0)) > 0)
            len += (size_t)got;
        (void)!send(fd, raw.answer, raw.len, MSG_NOSIGNAL);
        close(fd);
        atomic_fetch_add(&raw.asked, 1);
    }
    return NULL;
}

static void raw_begin(const char *answer, size_t len)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    raw.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(raw.fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(raw.fd, 8), 0);
    assert_int_equal(getsockname(raw.fd, (struct sockaddr *)&address, &size), 0);
    raw.port = ntohs(address.sin_port);
    raw.answer = answer;
    raw.len = len;
    raw.asked = 0;
    assert_int_equal(pthread_create(&raw.thread, NULL, answer_raw, NULL), 0);
}

static void raw_end(void)
{
    shutdown(raw.fd, SHUT_RDWR);
    pthread_join(raw.thread, NULL);
    close(raw.fd);
}

static void the_answer_must_be_one(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *told; /* NULL: it passes */
    } rows[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", NULL},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", NULL},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n"
         "Content-Length: 1\r\n\r\na",
         NULL},
        {"HTTP/1.1 304 Not Modified\r\n\r\n", NULL},
        {"HTTP/1.1 399 Strange\r\nContent-Length: 100000\r\n\r\n", NULL}, /* the body never comes */
        {"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "down: health check: status 400"},
        {"HTTP/1.1 503 Service Unavailable\r\n\r\n", "down: health check: status 503"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         "down: health check: status 101"},
        {"", "down: health check: the connection ended before an answer"},
        {"HTTP/1.1 200 OK\r\nServer: a", "down: health check: the connection ended before an answer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        raw_begin(rows[i].answer, strlen(rows[i].answer));
        checker_init(raw.port);
        checker_run();
        if (rows[i].told)
            told(rows[i].told);
        else
            until(&raw.asked, 4);
        assert_int_equal(c.changes, rows[i].told ? 1 : 0);
        checker_end();
        raw_end();
    }
}

static void told_starts(const char *start)
{
    until(&c.changes, 1);
    assert_starts(c.told, start);
}

static void what_is_no_http_is_said_to_be_none(void **state)
{
    (void)state;
    static char large[64 * 1024];
    memset(large, 'a', sizeof large);
    memcpy(large, "HTTP/1.1 200 OK\r\nX: ", 20);
    raw_begin("SSH-2.0-OpenSSH_9\r\n", 19);
    checker_init(raw.port);
    checker_run();
    told_starts("down: health check: no valid answer: ");
    checker_end();
    raw_end();

    raw_begin(large, sizeof large);
    checker_init(raw.port);
    checker_run();
    until(&c.changes, 1);
    assert_has(c.told, "too large");
    checker_end();
    raw_end();
}

/* --- TLS --- */

static char folder[] = "/tmp/proxy-health-XXXXXX";

static const char *path(const char *name)
{
    static char paths[2][64];
    static int next;
    char *text = paths[next++ % 2];
    snprintf(text, sizeof paths[0], "%s/%s", folder, name);
    return text;
}

static uint16_t secure_server_new(void)
{
    struct wr_tls *tls = wr_tls_new(NULL);
    assert_int_equal(wr_tls_certificate(tls, path("cert.pem"), path("key.pem")), WR_OK);
    memset(&s, 0, sizeof s);
    atomic_store(&s.status, 200);
    world_init(&s.world, NULL);
    assert_int_equal(wr_listen(s.world.app, "127.0.0.1", 0, tls), WR_OK);
    assert_int_equal(wr_route(s.world.app, "GET", "/healthz", healthz, expected_host), WR_OK);
    world_run(&s.world);
    wr_tls_free(tls);
    return wr_port(s.world.app);
}

static void check_securely(uint16_t port, const char *host, bool trusted, bool insecure)
{
    static const uint8_t loopback[1][IP_BYTES] = {{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    checker_init(port);
    snprintf(expected_host, sizeof expected_host, "%s:%u", host, port);
    c.scene.servers[0].host = host;
    c.scene.servers[0].tls = true;
    c.scene.config.ca_file = trusted ? path("cert.pem") : NULL;
    c.scene.config.insecure = insecure;
    c.group = scene_group(&c.scene);
    upstream_set_addresses(c.group->members[0].upstream, loopback, 1); /* no such name is found anywhere */
    assert_int_equal(wr_on_worker(c.world.app, start, stop, NULL), WR_OK);
    world_run(&c.world);
}

static void a_certificate_is_looked_at_as_for_requests(void **state)
{
    (void)state;
    uint16_t port = secure_server_new();
    check_securely(port, "good.invalid", true, false);
    until(&s.asked, 4);
    assert_int_equal(c.changes, 0);
    assert_int_equal(s.strange, 0);
    checker_end();

    check_securely(port, "good.invalid", false, false);
    told("down: health check: self-signed certificate");
    checker_end();

    check_securely(port, "bad.invalid", true, false);
    told("down: health check: hostname mismatch");
    checker_end();

    atomic_store(&s.asked, 0);
    check_securely(port, "bad.invalid", false, true);
    until(&s.asked, 4);
    assert_int_equal(c.changes, 0);
    checker_end();
    world_end(&s.world);
}

static int make_certificate(void **state)
{
    (void)state;
    char command[400];
    assert_non_null(mkdtemp(folder));
    snprintf(
        command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %s/key.pem "
        "-out %s/cert.pem -days 2 -subj /CN=test -addext subjectAltName=DNS:good.invalid >/dev/null 2>&1",
        folder, folder);
    return system(command);
}

static int remove_certificate(void **state)
{
    (void)state;
    unlink(path("key.pem"));
    unlink(path("cert.pem"));
    return rmdir(folder);
}

/* --- names --- */

static void looked_up_again(struct upstream *u)
{
    atomic_store(&u->lookup, true); /* as after a failed connection */
    for (int i = 0; i < WAIT_MS / 5 && atomic_load(&u->lookup); i++)
        pause_ms(5);
    assert_false(atomic_load(&u->lookup));
}

static void names_are_looked_up_and_what_was_known_stays(void **state)
{
    (void)state;
    static const uint8_t known[1][IP_BYTES] = {{1, 2, 3, 4}};
    checker_init(9);
    c.scene.config.check_path = NULL;
    c.scene.config.server_count = 4;
    c.scene.servers[0].host = "localhost";
    c.scene.servers[1].host = "no-such-name.invalid";
    c.scene.servers[2].host = "localhost";
    c.scene.servers[2].port = 10;
    c.scene.servers[3].host = "fd00::1";
    c.group = scene_group(&c.scene);
    struct upstream *u[4];
    for (int i = 0; i < 4; i++)
        u[i] = c.group->members[i].upstream;
    upstream_set_addresses(u[1], known, 1);
    assert_int_equal(wr_on_worker(c.world.app, start, stop, NULL), WR_OK);
    world_run(&c.world);
    for (int i = 0; i <= 2; i += 2) {
        uint8_t got[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
        unsigned count, v4 = 0;
        until(&u[i]->address_count, 1);
        count = upstream_addresses(u[i], got);
        for (unsigned k = 0; k < count; k++)
            v4 += ip_is_v4(got[k]) && got[k][12] == 127;
        assert_int_equal(v4, 1);
    }
    looked_up_again(u[1]);
    looked_up_again(u[1]); /* the one before is over then */
    uint8_t got[UPSTREAM_ADDRESSES_MAX][IP_BYTES];
    assert_int_equal(upstream_addresses(u[1], got), 1);
    assert_memory_equal(got[0], known[0], IP_BYTES);
    assert_int_equal(u[3]->address_count, 0); /* an address is none */

    struct group *old = c.group; /* a reload, in the middle of it */
    atomic_store(&u[1]->lookup, true);
    c.scene.servers[0].port = 11;
    c.group = scene_group(&c.scene);
    on_worker(set_again);
    group_free(&c.scene.registry, old);
    until(&c.group->members[0].upstream->address_count, 1); /* at once, since it has none */
    checker_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_fails_is_taken_out_and_comes_back),
        cmocka_unit_test(a_silent_server_is_down_and_is_asked_one_at_a_time),
        cmocka_unit_test(a_redirect_passes_and_is_not_followed),
        cmocka_unit_test(checks_under_way_end_with_the_proxy),
        cmocka_unit_test(a_reload_goes_on_with_the_checks_and_ends_those_of_others),
        cmocka_unit_test(the_answer_must_be_one),
        cmocka_unit_test(what_is_no_http_is_said_to_be_none),
        cmocka_unit_test(a_certificate_is_looked_at_as_for_requests),
        cmocka_unit_test(names_are_looked_up_and_what_was_known_stays),
    };
    return cmocka_run_group_tests_name("health", tests, make_certificate, remove_certificate);
}
