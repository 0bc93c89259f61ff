/* The HTTP client: against a server that does as it is told, byte by byte, and against our own. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

/* --- a server that answers by a script: "PATH-PREFIX ANSWER"; blocking, a thread for each connection --- */

struct script {
    const char *path;
    const char *answer; /* NULL: closes without one */
    bool close;         /* closes after it */
    bool dribble;       /* a byte at a time */
    int once;           /* only so often, then closes silently; 0: always */
};

struct server;
struct served {
    struct server *server;
    pthread_t thread;
    int fd;
};

struct server {
    struct served served[64];
    int fd;
    uint16_t port;
    pthread_t thread;
    const struct script *scripts;
    size_t count;
    int accepted, requests;
    char last[4096]; /* the last request */
    pthread_mutex_t lock;
};

static void send_slowly(int fd, const char *text)
{
    for (; *text; text++) {
        if (send(fd, text, 1, MSG_NOSIGNAL) != 1) return;
        usleep(100);
    }
}

/* False when the connection is to be closed. */
static bool answer_one(struct server *s, int fd, const char *request)
{
    const char *path = strchr(request, ' ') + 1;
    for (size_t i = 0; i < s->count; i++) {
        const struct script *script = &s->scripts[i];
        size_t len = strlen(script->path);
        if (strncmp(path, script->path, len) != 0 || (path[len] != ' ' && path[len] != '?')) continue;
        int number = __atomic_add_fetch(&s->requests, 1, __ATOMIC_SEQ_CST);
        if (!script->answer || (script->once && number > script->once)) return false;
        if (script->dribble)
            send_slowly(fd, script->answer);
        else if (send(fd, script->answer, strlen(script->answer), MSG_NOSIGNAL) < 0)
            return false;
        return !script->close;
    }
    return false;
}

static void *serve_one(void *context)
{
    struct served *served = context;
    char request[4096];
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(served->fd, request + n, sizeof request - 1 - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        request[n] = 0;
        if (!strstr(request, "\r\n\r\n")) continue;
        pthread_mutex_lock(&served->server->lock);
        memcpy(served->server->last, request, n + 1);
        pthread_mutex_unlock(&served->server->lock);
        n = 0;
        if (!answer_one(served->server, served->fd, request)) break;
    }
    shutdown(served->fd, SHUT_RDWR);
    return NULL;
}

static void *serve_all(void *context)
{
    struct server *s = context;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0) return NULL;
        __atomic_add_fetch(&s->accepted, 1, __ATOMIC_SEQ_CST);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct served *served = &s->served[s->accepted - 1];
        assert_true(s->accepted <= 64);
        *served = (struct served){.server = s, .fd = fd};
        assert_int_equal(pthread_create(&served->thread, NULL, serve_one, served), 0);
    }
}

static void server_start(struct server *s, const struct script *scripts, size_t count)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    memset(s, 0, sizeof *s);
    s->scripts = scripts;
    s->count = count;
    pthread_mutex_init(&s->lock, NULL);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->fd, 64), 0);
    getsockname(s->fd, (struct sockaddr *)&address, &len);
    s->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve_all, s), 0);
}

static void server_stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    for (int i = 0; i < s->accepted; i++) {
        shutdown(s->served[i].fd, SHUT_RDWR);
        pthread_join(s->served[i].thread, NULL);
        close(s->served[i].fd);
    }
}

/* --- a client on the loop of an app, driven from the test's thread --- */

struct outcome {
    int finished; /* atomic */
    int result, status;
    char body[256], error[200], header[256], url[256];
    size_t len;
};

static struct wr_client *client;
static struct wr_client_config config;
static struct world w;

static void make_client(struct wr_worker *worker, void *argument)
{
    client = wr_client_new(worker, &config);
    __atomic_store_n((int *)argument, 1, __ATOMIC_SEQ_CST);
}

static void free_client(struct wr_worker *worker, void *argument)
{
    (void)worker;
    wr_client_free(client);
    client = NULL;
    __atomic_store_n((int *)argument, 1, __ATOMIC_SEQ_CST);
}

static void on_loop(wr_worker_function function)
{
    int done = 0;
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), function, &done), WR_OK);
    wait_for(&done, 1);
}

static void begin(void)
{
    world_init(&w, NULL);
}

static void run(void)
{
    world_run(&w);
    on_loop(make_client);
}

static void end(void)
{
    on_loop(free_client);
    world_end(&w);
}

static void remember(struct wr_call *call, int result, void *context)
{
    struct outcome *o = context;
    struct wr_bytes body = wr_call_body(call);
    o->result = result;
    o->status = wr_call_status(call);
    o->len = body.len;
    snprintf(o->body, sizeof o->body, "%.*s", (int)(body.len < 255 ? body.len : 255), (const char *)body.ptr);
    snprintf(o->error, sizeof o->error, "%s", wr_call_error(call));
    snprintf(o->url, sizeof o->url, "%s", wr_call_url(call));
    const char *header = wr_call_header(call, "X-Test");
    snprintf(o->header, sizeof o->header, "%s", header ? header : "(none)");
    __atomic_add_fetch(&o->finished, 1, __ATOMIC_SEQ_CST);
}

struct asking {
    struct wr_client_request request;
    int result, done;
};

static void ask_now(struct wr_worker *worker, void *argument)
{
    (void)worker;
    struct asking *a = argument;
    (void)wr_client_ask(client, &a->request, &a->result);
    __atomic_store_n(&a->done, 1, __ATOMIC_SEQ_CST);
}

/* Asks and waits for the outcome. */
static struct outcome asked(const char *method, const char *url, const char *const *headers, const char *body)
{
    struct outcome o = {.result = 99};
    struct asking a = {.request = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .body = {body, body ? strlen(body) : 0},
                                   .done = remember,
                                   .context = &o}};
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), ask_now, &a), WR_OK);
    wait_for(&a.done, 1);
    if (a.result == WR_OK)
        wait_for(&o.finished, 1);
    else
        o.result = a.result;
    return o;
}

static struct outcome get(uint16_t port, const char *path)
{
    char url[300];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    return asked(NULL, url, NULL, NULL);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static void answers_of_all_shapes(void **state)
{
    (void)state;
    static const struct script scripts[] = {
        {.path = "/length", .answer = OK_HEAD "X-Test: a\r\nX-Test: b\r\nContent-Length: 5\r\n\r\nhello"},
        {.path = "/chunked",
         .answer = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n"},
        {.path = "/close", .answer = OK_HEAD "\r\nhello", .close = true},
        {.path = "/none", .answer = "HTTP/1.1 204 No Content\r\n\r\n"},
        {.path = "/interim",
         .answer = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" OK_HEAD
                   "Content-Length: 2\r\n\r\nok"},
        {.path = "/dribble",
         .answer = OK_HEAD "X-Test: slow\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
         .dribble = true},
        {.path = "/empty", .answer = OK_HEAD "Content-Length: 0\r\n\r\n"},
    };
    struct server s;
    wr_client_config_init(&config);
    begin();
    run();
    server_start(&s, scripts, sizeof scripts / sizeof scripts[0]);
    struct outcome o = get(s.port, "/length");
    assert_int_equal(o.result, WR_OK);
    assert_int_equal(o.status, 200);
    assert_string_equal(o.body, "hello");
    assert_string_equal(o.header, "a, b");
    assert_string_equal(get(s.port, "/chunked").body, "hello");
    assert_string_equal(get(s.port, "/dribble").body, "hello");
    o = get(s.port, "/none");
    assert_int_equal(o.status, 204);
    assert_int_equal(o.len, 0);
    o = get(s.port, "/interim");
    assert_int_equal(o.status, 200);
    assert_string_equal(o.body, "ok");
    assert_int_equal(get(s.port, "/empty").status, 200);
    assert_int_equal(s.accepted, 1); /* one connection has served them all */
    assert_string_equal(get(s.port, "/close").body, "hello");
    assert_string_equal(get(s.port, "/length").body, "hello");
    assert_int_equal(s.accepted, 2);
    end();
    server_stop(&s);
}

static void requests_are_as_they_should_be(void **state)
{
    (void)state;
    static const struct script scripts[] = {
        {.path = "/", .answer = OK_HEAD "Content-Length: 0\r\n\r\n"},
        {.path = "/a%20b", .answer = OK_HEAD "Content-Length: 0\r\n\r\n"}};
    static const char *const headers[] = {"X-One", "1", "Accept", "text/plain", NULL};
    static const char *const own[] = {"Content-Length", "5", NULL};
    static const char *const bad[] = {"X", "a\r\nEvil: 1", NULL};
    struct server s;
    char url[100], host[100];
    wr_client_config_init(&config);
    begin();
    run();
    server_start(&s, scripts, 2);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/?a=b#fragment", s.port);
    snprintf(host, sizeof host, "Host: 127.0.0.1:%u\r\n", s.port);
    assert_int_equal(asked("POST", url, headers, "body").result, WR_OK);
    assert_starts(s.last, "POST /?a=b HTTP/1.1\r\nHost: 127.0.0.1");
    assert_has(s.last, host);
    assert_has(s.last, "\r\nX-One: 1\r\nAccept: text/plain\r\n");
    assert_has(s.last, "\r\nContent-Length: 4\r\n");
    assert_has(s.last, "\r\nUser-Agent: weaprous/");
    assert_has(s.last, "\r\n\r\nbody");
    assert_int_equal(asked("POST", url, NULL, NULL).result, WR_OK);
    assert_has(s.last, "\r\nContent-Length: 0\r\n");
    assert_int_equal(asked(NULL, url, own, NULL).result, WR_INVALID);
    assert_int_equal(asked(NULL, url, bad, NULL).result, WR_INVALID);
    assert_int_equal(asked("BAD METHOD", url, NULL, NULL).result, WR_INVALID);
    assert_int_equal(asked("CONNECT", url, NULL, NULL).result, WR_INVALID);
    assert_int_equal(asked(NULL, "ftp://127.0.0.1/", NULL, NULL).result, WR_INVALID);
    assert_int_equal(asked(NULL, "/relative", NULL, NULL).result, WR_INVALID);
    assert_int_equal(asked(NULL, "http://user:pw@127.0.0.1/", NULL, NULL).result, WR_INVALID);
    end();
    server_stop(&s);
}

static void broken_servers_are_told(void **state)
{
    (void)state;
    static char large[20 * 1024];
    memset(large, 'x', sizeof large - 1);
    memcpy(large, "HTTP/1.1 200 OK\r\nX: ", 20);
    const struct script scripts[] = {
        {.path = "/garbage", .answer = "hello\r\n\r\n"},
        {.path = "/both",
         .answer = OK_HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"},
        {.path = "/two-lengths", .answer = OK_HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
        {.path = "/bad-chunk", .answer = OK_HEAD "Transfer-Encoding: chunked\r\n\r\nxx\r\n"},
        {.path = "/short", .answer = OK_HEAD "Content-Length: 10\r\n\r\nabc", .close = true},
        {.path = "/half-chunk", .answer = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nab", .close = true},
        {.path = "/silence", .answer = NULL},
        {.path = "/large-head", .answer = large},
        {.path = "/large-body", .answer = OK_HEAD "Content-Length: 5000\r\n\r\n"},
        {.path = "/large-chunks", .answer = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n1000\r\n"},
        {.path = "/never", .answer = OK_HEAD "Content-Length: 5\r\n\r\nab"},
        {.path = "/upgrade",
         .answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
    };
    static const struct {
        const char *path;
        int result;
    } cases[] = {
        {"/garbage", WR_INVALID},   {"/both", WR_INVALID},    {"/two-lengths", WR_INVALID},
        {"/bad-chunk", WR_INVALID}, {"/short", WR_CLOSED},    {"/half-chunk", WR_CLOSED},
        {"/silence", WR_CLOSED},    {"/large-head", WR_FULL}, {"/large-body", WR_FULL},
        {"/large-chunks", WR_FULL}, {"/never", WR_CLOSED},    {"/upgrade", WR_INVALID},
    };
    struct server s;
    wr_client_config_init(&config);
    config.header_bytes_max = 8 * 1024;
    config.body_bytes_max = 1000;
    config.timeout_ms = 1500;
    begin();
    run();
    server_start(&s, scripts, sizeof scripts / sizeof scripts[0]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outcome o = get(s.port, cases[i].path);
        if (o.result != cases[i].result) fail_msg("%s: %d %s", cases[i].path, o.result, o.error);
        assert_true(strlen(o.error) > 10);
    }
    server_stop(&s);
    struct outcome o = get(s.port, "/garbage"); /* nobody listens any more */
    assert_int_equal(o.result, WR_SYSTEM);
    if (!strstr(o.error, "refused")) fail_msg("%s", o.error);
    end();
}

static void a_kept_connection_that_was_closed_is_replaced(void **state)
{
    (void)state;
    static const struct script scripts[] = {
        {.path = "/once", .answer = OK_HEAD "Content-Length: 2\r\n\r\nok", .close = true},
        {.path = "/keep", .answer = OK_HEAD "Content-Length: 2\r\n\r\nok"},
        {.path = "/gone", .answer = NULL},
    };
    struct server s;
    wr_client_config_init(&config);
    begin();
    run();
    server_start(&s, scripts, 3);
    for (int i = 0; i < 20;
         i++) /* each one is closed right after its answer, sometimes after we used it again */
        assert_string_equal(get(s.port, "/once").body, "ok");
    assert_string_equal(get(s.port, "/keep").body, "ok");
    int accepted = __atomic_load_n(&s.accepted, __ATOMIC_SEQ_CST);
    s.requests = 0;
    assert_int_equal(get(s.port, "/gone").result, WR_CLOSED); /* on the kept one, then once more */
    assert_int_equal(s.requests, 2);
    assert_int_equal(s.accepted, accepted + 1);
    assert_string_equal(get(s.port, "/keep").body, "ok");
    s.requests = 0;
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/gone", s.port);
    assert_int_equal(asked("POST", url, NULL, "x").result, WR_CLOSED); /* may have been done: not again */
    assert_int_equal(s.requests, 1);
    end();
    server_stop(&s);
}

/* --- against our own server, on the same loop --- */

static void redirect_to(struct wr_request *r, void *context)
{
    (void)context;
    wr_respond_redirect(r, 302, wr_request_query(r, "to"));
}

static void show(struct wr_request *r, void *context)
{
    char text[300];
    const char *cookie = wr_request_header(r, "Cookie"), *own = wr_request_header(r, "X-Own");
    (void)context;
    snprintf(text, sizeof text, "%s %s %s", wr_request_method(r), cookie ? cookie : "-", own ? own : "-");
    wr_respond_text(r, 200, text);
}

static void redirects_are_followed(void **state)
{
    (void)state;
    static const char *const headers[] = {"Cookie", "a=b", "X-Own", "1", NULL};
    char url[300];
    wr_client_config_init(&config);
    begin();
    assert_int_equal(wr_route(w.app, "GET POST", "/to", redirect_to, NULL), WR_OK);
    assert_int_equal(wr_route(w.app, "GET", "/deep/show", show, NULL), WR_OK);
    run();
    uint16_t port = wr_port(w.app);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/to?to=deep/show", port);
    struct outcome o = asked(NULL, url, headers, NULL);
    assert_string_equal(o.body, "GET a=b 1");
    assert_has(o.url, "/deep/show");
    /* Another name is another server: it does not get the cookie. */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/to?to=http://localhost:%u/deep/show", port, port);
    assert_string_equal(asked(NULL, url, headers, NULL).body, "GET - 1");
    /* Round and round: the last answer is the outcome. */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/to?to=/to%%3Fto%%3D/to", port);
    o = asked(NULL, url, headers, NULL);
    assert_int_equal(o.result, WR_OK);
    assert_true(o.status == 302 || o.status == 500);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/to?to=/deep/show", port);
    assert_int_equal(asked("POST", url, headers, "x").status, 302); /* is not sent twice */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/to?to=ftp://x/", port);
    assert_int_equal(asked(NULL, url, headers, NULL).status, 302);
    end();
}

static void kept_waiting(struct wr_request *r, void *context)
{
    struct wr_request **kept = context;
    *kept = r;
}

static struct outcome outcomes[60];
static struct wr_call *calls[60];

static void ask_many(struct wr_worker *worker, void *argument)
{
    char url[100];
    int refused = 0;
    (void)worker;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/deep/show", wr_port(w.app));
    for (int i = 0; i < 60; i++) {
        struct wr_client_request request = {.url = url, .done = remember, .context = &outcomes[i]};
        int result;
        calls[i] = wr_client_ask(client, &request, &result);
        if (!calls[i]) {
            assert_int_equal(result, WR_FULL);
            refused++;
        }
    }
    assert_int_equal(refused, 60 - 3 - 40);
    wr_call_cancel(calls[0]);  /* being connected */
    wr_call_cancel(calls[30]); /* waiting */
    __atomic_store_n((int *)argument, 1, __ATOMIC_SEQ_CST);
}

static void many_calls_share_few_connections(void **state)
{
    (void)state;
    memset(outcomes, 0, sizeof outcomes);
    wr_client_config_init(&config);
    config.connections_per_host_max = 3;
    config.waiting_max = 40;
    begin();
    assert_int_equal(wr_route(w.app, "GET", "/deep/show", show, NULL), WR_OK);
    run();
    on_loop(ask_many);
    for (int i = 0; i < 43; i++) {
        wait_for(&outcomes[i].finished, 1);
        bool cancelled = i == 0 || i == 30;
        assert_int_equal(outcomes[i].result, cancelled ? WR_CLOSED : WR_OK);
        if (!cancelled) assert_string_equal(outcomes[i].body, "GET - -");
    }
    assert_true(wr_connections(w.app) <= 4);
    end();
    for (int i = 0; i < 43; i++)
        assert_int_equal(outcomes[i].finished, 1);
}

static void ask_and_free(struct wr_worker *worker, void *argument)
{
    char url[100];
    (void)worker;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/kept", wr_port(w.app));
    for (int i = 0; i < 10; i++) {
        struct wr_client_request request = {.url = url, .done = remember, .context = &outcomes[i]};
        calls[i] = wr_client_ask(client, &request, NULL);
        assert_non_null(calls[i]);
    }
    wr_client_free(client);
    client = NULL;
    for (int i = 0; i < 10; i++)
        assert_int_equal(outcomes[i].finished, 1);
    __atomic_store_n((int *)argument, 1, __ATOMIC_SEQ_CST);
}

static void freeing_ends_what_is_under_way(void **state)
{
    static struct wr_request *kept;
    (void)state;
    memset(outcomes, 0, sizeof outcomes);
    wr_client_config_init(&config);
    config.connections_per_host_max = 2;
    begin();
    assert_int_equal(wr_route(w.app, "GET", "/kept", kept_waiting, &kept), WR_OK);
    run();
    on_loop(ask_and_free);
    for (int i = 0; i < 10; i++)
        assert_int_equal(outcomes[i].result, WR_CLOSED);
    end();
}

/* --- pieces --- */

enum { MUCH = 3 * 1024 * 1024 };
static uint8_t much_bytes[MUCH];

static void much(struct wr_request *r, void *context)
{
    (void)context;
    wr_respond_bytes(r, 200, "application/octet-stream", much_bytes, MUCH);
}

struct pieces {
    struct outcome outcome;
    size_t taken;
    int pauses;
    bool paused;
};

static void resume(struct wr_timer *timer, void *context)
{
    (void)timer;
    struct wr_call *call = context;
    wr_call_resume(call);
}

static struct pieces pieces;

static void take_piece(struct wr_call *call, const void *bytes, size_t len, void *context)
{
    (void)context;
    assert_memory_equal(bytes, much_bytes + pieces.taken, len);
    pieces.taken += len;
    if (pieces.pauses < 5 && pieces.taken > (size_t)(pieces.pauses + 1) * 400000) {
        pieces.pauses++;
        wr_call_pause(call);
        assert_non_null(wr_timer_start(wr_worker_here(), 5, 0, resume, call));
    }
}

static void an_answer_comes_in_pieces(void **state)
{
    (void)state;
    char url[100];
    for (size_t i = 0; i < MUCH; i++)
        much_bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    memset(&pieces, 0, sizeof pieces);
    wr_client_config_init(&config);
    config.body_bytes_max = 1000; /* only for what is gathered */
    begin();
    assert_int_equal(wr_route(w.app, "GET", "/much", much, NULL), WR_OK);
    run();
    snprintf(url, sizeof url, "http://127.0.0.1:%u/much", wr_port(w.app));
    struct asking a = {
        .request = {.url = url, .done = remember, .data = take_piece, .context = &pieces.outcome}};
    assert_int_equal(wr_worker_post(wr_worker_at(w.app, 0), ask_now, &a), WR_OK);
    wait_for(&pieces.outcome.finished, 1);
    assert_int_equal(pieces.outcome.result, WR_OK);
    assert_int_equal(pieces.taken, MUCH);
    assert_int_equal(pieces.pauses, 5);
    assert_int_equal(pieces.outcome.len, 0);
    end();
}

/* One call after the other, each asked for when the one before is done. */
static int chained;

static void ask_next(struct wr_call *call, int result, void *context)
{
    assert_int_equal(result, WR_OK);
    if (__atomic_add_fetch(&chained, 1, __ATOMIC_SEQ_CST) < 50)
        assert_non_null(wr_client_get(client, wr_call_url(call), ask_next, context));
}

static void ask_first(struct wr_worker *worker, void *argument)
{
    char url[100];
    (void)worker;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/deep/show", wr_port(w.app));
    assert_non_null(wr_client_get(client, url, ask_next, NULL));
    __atomic_store_n((int *)argument, 1, __ATOMIC_SEQ_CST);
}

static void a_call_may_be_asked_for_by_another(void **state)
{
    (void)state;
    wr_client_config_init(&config);
    begin();
    assert_int_equal(wr_route(w.app, "GET", "/deep/show", show, NULL), WR_OK);
    run();
    on_loop(ask_first);
    wait_for(&chained, 50);
    assert_true(wr_connections(w.app) <= 2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_all_shapes),
        cmocka_unit_test(requests_are_as_they_should_be),
        cmocka_unit_test(broken_servers_are_told),
        cmocka_unit_test(a_kept_connection_that_was_closed_is_replaced),
        cmocka_unit_test(redirects_are_followed),
        cmocka_unit_test(many_calls_share_few_connections),
        cmocka_unit_test(freeing_ends_what_is_under_way),
        cmocka_unit_test(an_answer_comes_in_pieces),
        cmocka_unit_test(a_call_may_be_asked_for_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
