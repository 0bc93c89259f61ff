/* Memory that is not to be had: every feature is used again and again, and each time the next allocation of
 * the server's thread fails (or that one and all that follow for a while). Whatever happens to the request:
 * the client must see an answer or the end of its connection, the next client must be served, and nothing may
 * be lost or used after it is freed, which the sanitizers tell. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "web/change.h"
#include "../starve.h"
#include "world.h"

/* --- allocations, by the linker's --wrap --- */

static _Thread_local bool is_server;
static int left = -1; /* allocations before the one that fails; negative: none will */
static int in_row;    /* how many fail from there on */
static bool has_failed;

bool starve_now(void)
{
    if (!is_server || __atomic_load_n(&left, __ATOMIC_SEQ_CST) < 0) return false;
    if (__atomic_fetch_sub(&left, 1, __ATOMIC_SEQ_CST) > 0) return false;
    __atomic_store_n(&has_failed, true, __ATOMIC_SEQ_CST);
    if (--in_row > 0) __atomic_store_n(&left, 0, __ATOMIC_SEQ_CST);
    return true;
}

/* --- the server --- */

static struct world w;
static struct wr_sessions *sessions;
static struct wr_client *client;
static char folder[] = "/tmp/weaprous-memory-XXXXXX";
static int closed; /* WebSockets of the client that have ended; atomic */

static void text(struct wr_request *r, void *context)
{
    (void)context;
    const char *query = wr_request_query(r, "q"), *field = wr_request_header(r, "X-Twice");
    if (wr_session_start(sessions, r) == WR_OK && wr_session_set(sessions, r, "name", "value") == WR_OK)
        (void)wr_session_get(sessions, r, "name");
    wr_response_header(r, "X-Query", query ? query : "");
    wr_response_header(r, "X-Field", field ? field : "");
    wr_respond_text(r, 200, wr_request_cookie(r, "c") ? "cookie" : "none");
}

static void fields(struct wr_request *r, void *context)
{
    (void)context;
    const char *name = wr_request_field(r, "name");
    wr_respond_text(r, 200, name ? name : "none");
}

static void take(struct wr_request *r, const void *bytes, size_t len, void *context)
{
    (void)context;
    struct wr_multipart *multipart = wr_request_user(r);
    if (multipart) (void)!wr_multipart_feed(multipart, bytes, len);
}

static void forget(struct wr_request *r, void *context)
{
    (void)context;
    wr_multipart_free(wr_request_user(r));
}

static void begin(struct wr_request *r, void *context)
{
    static const struct wr_multipart_handlers none = {.part = NULL};
    wr_request_set_user(r, wr_multipart_new(r, &none, context));
}

static void stream(struct wr_request *r, void *context)
{
    static const char piece[20000];
    forget(r, context);
    if (wr_respond_begin(r, 200, "text/plain", -1) == WR_OK) {
        wr_response_trailer(r, "X-Sum", "1");
        for (int i = 0; i < 3; i++)
            (void)wr_respond_write(r, piece, sizeof piece);
    }
    wr_respond_end(r);
}

static void events(struct wr_request *r, void *context)
{
    (void)context;
    if (wr_respond_events(r) == WR_OK) {
        (void)wr_event_send(r, "name", "1", "two\nlines");
        (void)wr_event_send(r, NULL, NULL, "more");
    }
    wr_respond_end(r);
}

/* --- later: on another thread, by a timer, by a post --- */

static void respond_posted(struct wr_worker *worker, void *r)
{
    (void)worker;
    wr_respond_empty(r, 204);
}

static void on_time(struct wr_timer *timer, void *r)
{
    if (wr_worker_post(wr_timer_worker(timer), respond_posted, r) < 0) wr_respond_error(r, 503, NULL);
}

static void nothing(void *argument)
{
    (void)argument;
}

static void worked(struct wr_worker *worker, void *r)
{
    if (!wr_timer_start(worker, 0, 0, on_time, r)) wr_respond_error(r, 503, NULL);
}

static void later(struct wr_request *r, void *context)
{
    (void)context;
    if (wr_offload(wr_request_worker(r), nothing, worked, r) < 0) wr_respond_error(r, 503, NULL);
}

/* --- asking: two calls over one connection at a time, with a redirect --- */

struct asking {
    struct wr_request *request;
    int calls, good;
};

static void asked(struct wr_call *call, int result, void *context)
{
    struct asking *asking = context;
    if (result == WR_OK && wr_call_header(call, "Content-Type")) asking->good++;
    (void)wr_call_json(call);
    if (--asking->calls > 0) return;
    wr_respond_empty(asking->request, asking->good == 3 ? 200 : 503);
    free(asking);
}

static void ask_itself(struct wr_request *r, void *context)
{
    (void)context;
    char url[64];
    struct asking *asking = calloc(1, sizeof *asking);
    if (!asking) {
        wr_respond_error(r, 503, NULL);
        return;
    }
    *asking = (struct asking){.request = r, .calls = 1};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/moved", wr_port(w.app));
    const char *const headers[] = {"X-A", "b", "Authorization", "secret", "X-End", "1", NULL};
    struct wr_client_request request = {.url = url, .headers = headers, .done = asked, .context = asking};
    for (int i = 0; i < 3; i++)
        asking->calls += wr_client_ask(client, &request, NULL) != NULL;
    if (--asking->calls > 0) return;
    free(asking);
    wr_respond_error(r, 503, NULL);
}

static void moved(struct wr_request *r, void *context)
{
    (void)context;
    wr_respond_redirect(r, 302, "/text?q=1");
}

/* --- WebSocket --- */

static void message(struct wr_socket *s, enum wr_message kind, const void *bytes, size_t len, void *context)
{
    (void)context;
    if (wr_socket_send(s, kind, bytes, len) < 0 || wr_subscribe(s, "topic") < 0 ||
        wr_publish(wr_worker_app(wr_socket_worker(s)), "topic", kind, bytes, len, NULL) < 0)
        wr_socket_close(s, WR_CLOSE_ERROR, NULL);
}

static void opened(struct wr_socket *s, void *context)
{
    static char large[70000];
    (void)context;
    memset(large, 'a', sizeof large);
    if (wr_socket_send(s, WR_TEXT, large, sizeof large) < 0) wr_socket_close(s, WR_CLOSE_ERROR, NULL);
}

static void got(struct wr_socket *s, enum wr_message kind, const void *bytes, size_t len, void *context)
{
    (void)kind, (void)bytes, (void)len, (void)context;
    wr_socket_close(s, WR_CLOSE_NORMAL, "enough");
}

static void ended(struct wr_socket *s, int code, const char *reason, void *context)
{
    (void)s, (void)code, (void)reason;
    wr_respond_empty(context, 200);
    __atomic_add_fetch(&closed, 1, __ATOMIC_SEQ_CST);
}

static void failed(int result, int status, const char *error, void *context)
{
    (void)result, (void)status, (void)error;
    wr_respond_empty(context, 503);
}

static void open_itself(struct wr_request *r, void *context)
{
    static const struct wr_socket_handlers handlers = {
        .open = opened, .message = got, .close = ended, .compress_bytes_min = 1, .protocols = "a b"};
    (void)context;
    char url[64];
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/socket", wr_port(w.app));
    struct wr_client_socket socket = {.url = url, .handlers = &handlers, .context = r, .failed = failed};
    if (wr_client_open(client, &socket) < 0) wr_respond_error(r, 503, NULL);
}

/* --- the world --- */

static void start(struct wr_worker *worker, void *argument)
{
    (void)argument;
    struct wr_client_config config;
    wr_client_config_init(&config);
    config.connections_per_host_max = 1;
    client = wr_client_new(worker, &config);
    assert_non_null(client);
    is_server = true;
}

static void stop(struct wr_worker *worker, void *argument)
{
    (void)worker, (void)argument;
    is_server = false;
    wr_client_free(client);
}

static bool pass(struct wr_request *r, void *context)
{
    (void)context;
    if (!wr_request_header(r, "X-Wait")) return true;
    wr_request_continue(r);
    return false;
}

static void after(struct wr_request *r, int status, void *context)
{
    (void)status, (void)context;
    wr_response_header(r, "X-After", "1");
}

static void world_make(void)
{
    static const struct wr_socket_handlers handlers = {
        .message = message, .compress_bytes_min = 1, .protocols = "b"};
    static const struct wr_body_handlers body = {
        .begin = begin, .data = take, .end = stream, .failed = forget};
    struct wr_static_options options;
    struct wr_config config;
    wr_config_init(&config);
    config.defer_accept = false;
    world_init(&w, &config);
    wr_static_options_init(&options);
    options.listing = true;
    struct wr_group *root = wr_root(w.app), *api = wr_group(w.app, NULL, "/api");
    sessions = wr_sessions_new(w.app, NULL);
    assert_non_null(sessions);
    assert_non_null(api);
    assert_int_equal(wr_route(w.app, "GET", "/text", text, NULL), WR_OK);
    assert_int_equal(wr_route(w.app, "POST", "/fields", fields, NULL), WR_OK);
    assert_int_equal(wr_route_body(root, "POST", "/stream", &body, NULL), WR_OK);
    assert_int_equal(wr_route(w.app, "GET", "/events", events, NULL), WR_OK);
    assert_int_equal(wr_route(w.app, "GET", "/later", later, NULL), WR_OK);
    assert_int_equal(wr_route(w.app, "GET", "/ask", ask_itself, NULL), WR_OK);
    assert_int_equal(wr_route(w.app, "GET", "/moved", moved, NULL), WR_OK);
    assert_int_equal(wr_route(w.app, "GET", "/open", open_itself, NULL), WR_OK);
    assert_int_equal(wr_group_route(api, "GET", "/:name/x", text, NULL), WR_OK);
    assert_int_equal(wr_before(api, pass, NULL), WR_OK);
    assert_int_equal(wr_after(api, after, NULL), WR_OK);
    assert_int_equal(wr_websocket(w.app, "/socket", &handlers, NULL), WR_OK);
    assert_int_equal(wr_static(w.app, "/files", folder, &options), WR_OK);
    assert_int_equal(wr_metrics(w.app, "/metrics"), WR_OK);
    assert_int_equal(wr_on_worker(w.app, start, stop, NULL), WR_OK);
    world_run(&w);
}

/* --- what a client does --- */

static const char *const features[] = {
    "GET /text?a=b%20c&q=%31 HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nX-Twice: 2\r\nCookie: a=b; c=d\r\n"
    "Connection: close\r\n\r\n",
    "GET /api/a%20b/x HTTP/1.1\r\nHost: a\r\nX-Wait: 1\r\nConnection: close\r\n\r\n",
    "POST /fields HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 14\r\n\r\n{\"name\":\"abc\"}",
    "POST /fields HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 13\r\n\r\nname=a%20b&c=d",
    "POST /fields HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nContent-Type: "
    "multipart/form-data; boundary=b\r\n\r\n4a\r\n--b\r\nContent-Disposition: form-data; "
    "name=\"name\"\r\n\r\nvalue of it\r\n--b--\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
    "POST /stream HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nTE: trailers\r\nTransfer-Encoding: "
    "chunked\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n4a\r\n--b\r\nContent-Disposition: "
    "form-data; name=\"name\"\r\n\r\nvalue of it\r\n--b--\r\n\r\n0\r\n\r\n",
    "GET /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /files/small.html HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,4-5\r\nConnection: close\r\n\r\n",
    "GET /files/large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /files/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /files HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nConnection: close\r\n\r\n",
    "OPTIONS /text HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /text HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: "
    "a\r\nConnection: close\r\n\r\n",
    "GET /ask HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "
    "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, b\r\n\r\n"
    "\x01\x82\x00\x00\x00\x00" /* "ab" in pieces with "cd" */
    "ab\x80\x82\x00\x00\x00\x00"
    "cd\x88\x82\x00\x00\x00\x00\x03\xe8",
};

static size_t length_of(const char *feature)
{
    const char *end = strstr(feature, "\r\n\r\n");
    /* Only the WebSocket has NULs: 22 bytes of frames. */
    return strstr(feature, "/socket") ? (size_t)(end - feature) + 4 + 24 : strlen(feature);
}

static void use(const char *feature)
{
    bool is_closed;
    int fd = client_connect(&w);
    client_send_bytes(fd, feature, length_of(feature));
    shutdown(fd, SHUT_WR); /* who refuses waits for it */
    const char *answer = client_read(fd, 8000, NULL, &is_closed);
    if (!is_closed) fail_msg("no end of the answer to %.30s: '%.300s'", feature, answer);
    close(fd);
}

static void try_all(int row)
{
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        bool fired = true;
        for (int n = i > 0; fired; n++) { /* the first is that of accepting, which waits a second */
            world_make();
            in_row = row;
            has_failed = false;
            __atomic_store_n(&left, n, __ATOMIC_SEQ_CST);
            use(features[i]);
            __atomic_store_n(&left, -1, __ATOMIC_SEQ_CST);
            fired = __atomic_load_n(&has_failed, __ATOMIC_SEQ_CST);
            assert_true(n < 500);
            use(features[0]);
            world_end(&w);
        }
    }
}

static void test_any_one_allocation_may_fail(void **state)
{
    (void)state;
    try_all(1);
}

static void test_many_allocations_in_a_row_may_fail(void **state)
{
    (void)state;
    try_all(12);
}

/* --- changes --- */

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_a_change_without_memory_changes_nothing(void **state)
{
    (void)state;
    char log[128];
    int before = open_descriptors(), n = 0;
    struct wr_app *app = wr_app_new(NULL);
    struct app_settings settings, now;
    struct app_change *change;
    assert_int_equal(wr_listen(app, "127.0.0.1", 0, NULL), WR_OK);
    struct app_listen wanted[] = {{.ip = "127.0.0.1", .port = wr_port(app)}, {.ip = "127.0.0.1"}};
    snprintf(log, sizeof log, "%s/access.log", folder);
    app_settings_of(app, &settings);
    settings.trusted_proxies = "10.0.0.0/8";
    settings.access_log = log;
    is_server = true;
    for (;; n++) {
        in_row = 1;
        has_failed = false;
        left = n;
        int rc = app_prepare(app, &settings, wanted, 2, &change);
        left = -1;
        if (!has_failed) {
            assert_int_equal(rc, WR_OK);
            break;
        }
        assert_int_equal(rc, WR_MEMORY);
        app_settings_of(app, &now);
        assert_null(now.trusted_proxies);
        assert_null(now.access_log);
        assert_int_equal(wr_port(app), wanted[0].port);
    }
    is_server = false;
    assert_true(n > 8);
    app_commit(change);
    app_settings_of(app, &now);
    assert_string_equal(now.trusted_proxies, "10.0.0.0/8");
    assert_string_equal(now.access_log, log);
    wr_app_free(app);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(remove(log), 0);
}

/* --- files --- */

static void put_file(const char *name, size_t len)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < len; i++)
        fputc('a', file);
    assert_int_equal(fclose(file), 0);
}

static int make_files(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    put_file("small.html", 1000);
    put_file("small.html.gz", 500);
    put_file("large", 100000);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    static const char *const names[] = {"small.html", "small.html.gz", "large", ""};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_one_allocation_may_fail),
        cmocka_unit_test(test_many_allocations_in_a_row_may_fail),
        cmocka_unit_test(test_a_change_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
