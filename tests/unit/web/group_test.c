/* Groups and filters: in which order they run, what they may do, for which requests they run; OPTIONS. */
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "world.h"

static int begun, released, handled;

static void count(int *what)
{
    __atomic_add_fetch(what, 1, __ATOMIC_RELEASE);
}

/* The names of the filters that a request has met, kept in the request. */
static bool note(struct wr_request *request, void *context)
{
    const char *before = wr_request_user(request);
    size_t len = (before ? strlen(before) : 0) + strlen(context) + 1;
    char *after = wr_request_alloc(request, len);
    assert_non_null(after);
    snprintf(after, len, "%s%s", before ? before : "", (const char *)context);
    wr_request_set_user(request, after);
    return true;
}

static void tell(struct wr_request *request, void *context)
{
    (void)context;
    count(&handled);
    const char *met = wr_request_user(request);
    wr_respond_text(request, 200, met ? met : "-");
}

static void stamp(struct wr_request *request, int status, void *context)
{
    char text[64];
    snprintf(text, sizeof text, "%s %d", (const char *)context, status);
    wr_response_header(request, "X-After", text);
}

static bool guard(struct wr_request *request, void *context)
{
    (void)context;
    if (wr_request_header(request, "Authorization")) return true;
    wr_respond_error(request, 401, "who are you?");
    return false;
}

/* Answers, and says that the request goes on all the same: a mistake that does no harm. */
static bool careless(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "careless");
    return true;
}

static bool at_once(struct wr_request *request, void *context)
{
    (void)context;
    wr_request_continue(request);
    return false;
}

static struct wr_request *kept;
static uv_async_t go_on, refuse;

static bool later(struct wr_request *request, void *context)
{
    (void)context;
    kept = request;
    count(&begun);
    return false;
}

static void on_go(uv_async_t *async)
{
    (void)async;
    wr_request_continue(kept);
    count(&released);
}

static void on_refuse(uv_async_t *async)
{
    (void)async;
    wr_respond_error(kept, 403, "no");
    count(&released);
}

static void gone(struct wr_request *request, void *context)
{
    (void)context;
    assert_ptr_equal(request, kept);
    count(&released);
}

static bool later_with_gone(struct wr_request *request, void *context)
{
    wr_request_on_gone(request, gone, NULL);
    return later(request, context);
}

static void length(struct wr_request *request, void *context)
{
    (void)context;
    char text[64];
    count(&handled);
    snprintf(text, sizeof text, "%zu %s", wr_request_body(request).len,
             (const char *)wr_request_user(request));
    wr_respond_text(request, 200, text);
}

static void piece(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)request, (void)bytes, (void)len, (void)context;
}

static const struct wr_asset asset = {.path = "/page",
                                      .mime = "text/html",
                                      .identity = (const unsigned char *)"page",
                                      .identity_len = 4,
                                      .etag = "p"};

static void echo(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len, void *context)
{
    (void)socket, (void)kind, (void)bytes, (void)len, (void)context;
}

static struct world world;

static void add_groups(struct wr_app *app)
{
    static const struct wr_body_handlers pieces = {.data = piece, .end = length};
    static const struct wr_socket_handlers socket = {.message = echo};
    struct wr_group *api = wr_group(app, NULL, "/api"), *users = wr_group(app, api, "/users/:user");
    struct wr_group *plain = wr_group(app, api, "");
    assert_non_null(api);
    assert_non_null(users);
    assert_non_null(plain);
    /* Before its filters: they go for it all the same. */
    assert_int_equal(wr_group_route(users, "GET", "/notes/:note", tell, NULL), WR_OK);
    assert_int_equal(wr_group_route(users, "GET", "", tell, NULL), WR_OK);
    assert_int_equal(wr_before(users, note, "c"), WR_OK);
    assert_int_equal(wr_before(api, note, "a"), WR_OK);
    assert_int_equal(wr_before(wr_root(app), note, "r"), WR_OK);
    assert_int_equal(wr_before(api, note, "b"), WR_OK);
    assert_int_equal(wr_after(api, stamp, "api"), WR_OK);
    assert_int_equal(wr_after(users, stamp, "users"), WR_OK);
    assert_int_equal(wr_after(wr_root(app), stamp, "root"), WR_OK);
    assert_int_equal(wr_group_route(plain, "GET PUT OPTIONS", "/plain", tell, NULL), WR_OK);
    assert_int_equal(wr_group_route(api, "GET POST", "/", tell, NULL), WR_OK);
    assert_int_equal(wr_route(app, "GET", "/", tell, NULL), WR_OK);

    struct wr_group *closed = wr_group(app, NULL, "/closed");
    assert_int_equal(wr_before(closed, guard, NULL), WR_OK);
    assert_int_equal(wr_group_route(closed, "GET POST", "/room", length, NULL), WR_OK);
    assert_int_equal(wr_route_body(closed, "PUT", "/room", &pieces, NULL), WR_OK);
    assert_int_equal(wr_group_websocket(closed, "/socket", &socket, NULL), WR_OK);

    struct wr_group *slow = wr_group(app, NULL, "/slow");
    assert_int_equal(wr_before(slow, later, NULL), WR_OK);
    assert_int_equal(wr_before(slow, note, "s"), WR_OK);
    assert_int_equal(wr_group_route(slow, "GET POST", "/", length, NULL), WR_OK);
    struct wr_group *watched = wr_group(app, NULL, "/watched");
    assert_int_equal(wr_before(watched, later_with_gone, NULL), WR_OK);
    assert_int_equal(wr_group_route(watched, "GET POST", "/", length, NULL), WR_OK);

    struct wr_group *odd = wr_group(app, NULL, "/odd");
    assert_int_equal(wr_before(odd, at_once, NULL), WR_OK);
    assert_int_equal(wr_group_route(odd, "GET", "/on", tell, NULL), WR_OK);
    struct wr_group *odder = wr_group(app, odd, "/er");
    assert_int_equal(wr_before(odder, careless, NULL), WR_OK);
    assert_int_equal(wr_group_route(odder, "GET", "/", tell, NULL), WR_OK);
}

static int setup(void **state)
{
    (void)state;
    world_init(&world, NULL);
    struct wr_app *app = world.app;
    add_groups(app);
    assert_int_equal(wr_assets(app, &asset, 1), WR_OK);
    static const char *const bad[] = {"api", "/api/", "//", "/a//b", "/*rest", "/:", "/"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(wr_group(app, NULL, bad[i]));
    assert_int_equal(wr_group_route(wr_root(app), "GET", "", tell, NULL), WR_INVALID);
    assert_int_equal(wr_group_route(wr_root(app), "GET", "/api", tell, NULL), WR_EXISTS);
    assert_int_equal(wr_before(wr_root(app), NULL, NULL), WR_INVALID);
    assert_int_equal(wr_after(wr_root(app), NULL, NULL), WR_INVALID);
    uv_async_init(wr_loop(app), &go_on, on_go);
    uv_async_init(wr_loop(app), &refuse, on_refuse);
    uv_unref((uv_handle_t *)&go_on);
    uv_unref((uv_handle_t *)&refuse);
    world_run(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wr_stop(world.app);
    pthread_join(world.thread, NULL);
    uv_close((uv_handle_t *)&go_on, NULL);
    uv_close((uv_handle_t *)&refuse, NULL);
    wr_app_free(world.app);
    return 0;
}

static void filters_run_from_the_outer_group_to_the_inner_and_back(void **state)
{
    (void)state;
    const char *text = ask(&world, "GET /api/users/eve/notes/7 HTTP/1.1\r\n");
    assert_has(text, "\r\n\r\nrabc");
    assert_has(text, "X-After: users 200\r\nX-After: api 200\r\nX-After: root 200\r\n");
    assert_has(ask(&world, "GET /api/users/eve HTTP/1.1\r\n"), "\r\n\r\nrabc");
    text = ask(&world, "GET /api/ HTTP/1.1\r\n");
    assert_has(text, "\r\n\r\nrab");
    assert_has_not(text, "users");
    assert_has(ask(&world, "GET /api/plain HTTP/1.1\r\n"), "\r\n\r\nrab");
    text = ask(&world, "GET / HTTP/1.1\r\n");
    assert_has(text, "\r\n\r\nr");
    assert_has_not(text, "api");
}

static void the_filters_of_the_root_see_everything(void **state)
{
    (void)state;
    assert_has(ask(&world, "GET /page HTTP/1.1\r\n"), "X-After: root 200\r\n");
    assert_has(ask(&world, "GET /nothing HTTP/1.1\r\n"), "X-After: root 404\r\n");
    assert_has(ask(&world, "DELETE /page HTTP/1.1\r\n"), "X-After: root 405\r\n");
    assert_has(ask(&world, "OPTIONS * HTTP/1.1\r\n"), "X-After: root 204\r\n");
    assert_has(ask(&world, "BREW / HTTP/1.1\r\n"), "X-After: root 501\r\n");
    assert_has_not(ask(&world, "GET / HTTP/1.1\r\nBad Header: x\r\n"), "X-After");
    /* Under a path of a group its own run too. */
    assert_has(ask(&world, "DELETE /api/plain HTTP/1.1\r\n"), "X-After: api 405\r\nX-After: root 405\r\n");
}

static void what_a_filter_refuses_reaches_no_handler_and_need_not_be_received(void **state)
{
    (void)state;
    int before = handled;
    assert_starts(ask(&world, "GET /closed/room HTTP/1.1\r\n"), "HTTP/1.1 401 ");
    static const char *const methods[] = {"POST", "PUT"};
    for (size_t i = 0; i < 2; i++) {
        int fd = client_connect(&world);
        char head[200];
        bool closed;
        snprintf(
            head, sizeof head,
            "%s /closed/room HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
            methods[i]);
        client_send(fd, head);
        assert_starts(client_read(fd, 10000, NULL, &closed), "HTTP/1.1 401 ");
        assert_true(closed);
        close(fd);
    }
    assert_starts(ask(&world, "GET /closed/socket HTTP/1.1\r\nUpgrade: websocket\r\n"), "HTTP/1.1 401 ");
    assert_starts(ask(&world, "DELETE /closed/room HTTP/1.1\r\n"), "HTTP/1.1 401 ");
    assert_int_equal(handled, before);
    assert_starts(ask(&world, "GET /closed/room HTTP/1.1\r\nAuthorization: me\r\n"), "HTTP/1.1 200 ");
    assert_starts(ask(&world, "GET /closed/socket HTTP/1.1\r\nAuthorization: me\r\n"), "HTTP/1.1 426 ");
}

static void a_filter_may_take_its_time(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        int fd = client_connect(&world), before = begun, done = released;
        /* With what follows already sent, and with what comes later. */
        client_send(fd, "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        if (i & 1) client_send(fd, "helloGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        wait_for(&begun, before + 1);
        uv_async_send(i & 2 ? &refuse : &go_on);
        wait_for(&released, done + 1);
        if (!(i & 1)) client_send(fd, "helloGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        const char *text = client_read(fd, 10000, NULL, NULL);
        assert_has(text, i & 2 ? "HTTP/1.1 403 " : "\r\n\r\n5 rs");
        assert_has(text, "\r\n\r\nr");
        close(fd);
    }
}

static void a_client_that_leaves_while_a_filter_waits_harms_nobody(void **state)
{
    (void)state;
    int before = handled;
    for (int i = 0; i < 2; i++) {
        int fd = client_connect(&world), started = begun, done = released;
        client_send(fd, i ? "POST /watched HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
                          : "GET /watched HTTP/1.1\r\nHost: a\r\n\r\n");
        wait_for(&begun, started + 1);
        close(fd);
        wait_for(&released, done + 1);
        uv_async_send(i ? &go_on : &refuse);
        wait_for(&released, done + 2);
    }
    /* After the filter, before the body is there: the library lets it go by itself, and says so. */
    int fd = client_connect(&world), started = begun, done = released;
    client_send(fd, "POST /watched HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    wait_for(&begun, started + 1);
    uv_async_send(&go_on);
    wait_for(&released, done + 1);
    close(fd);
    wait_for(&released, done + 2);
    assert_int_equal(handled, before);
}

static void filters_that_do_it_the_odd_way_work(void **state)
{
    (void)state;
    int before = handled;
    assert_has(ask(&world, "GET /odd/er HTTP/1.1\r\n"), "\r\n\r\ncareless");
    assert_int_equal(handled, before);
    assert_has(ask(&world, "GET /odd/on HTTP/1.1\r\n"), "\r\n\r\nr");
}

static void options_names_what_a_path_takes(void **state)
{
    (void)state;
    const char *text = ask(&world, "OPTIONS /closed/room HTTP/1.1\r\nAuthorization: me\r\n");
    assert_starts(text, "HTTP/1.1 204 ");
    assert_has(text, "Allow: GET, HEAD, POST, PUT, OPTIONS\r\n");
    assert_has(ask(&world, "OPTIONS /page HTTP/1.1\r\n"), "Allow: GET, HEAD, OPTIONS\r\n");
    assert_starts(ask(&world, "OPTIONS /nothing HTTP/1.1\r\n"), "HTTP/1.1 404 ");
    assert_has(ask(&world, "OPTIONS /api/plain HTTP/1.1\r\n"), "\r\n\r\nrab"); /* a route of its own */
    assert_has(ask(&world, "POST /api/plain HTTP/1.1\r\nContent-Length: 0\r\n"),
               "Allow: GET, HEAD, PUT, OPTIONS\r\n");
    text = ask(&world, "OPTIONS * HTTP/1.1\r\n");
    assert_starts(text, "HTTP/1.1 204 ");
    assert_has(text, "Allow: OPTIONS, GET, HEAD, PUT, POST\r\n");
}

static void nothing_is_added_while_the_app_runs(void **state)
{
    (void)state;
    struct wr_group *root = wr_root(world.app);
    ask(&world, "GET / HTTP/1.1\r\n"); /* it runs */
    assert_null(wr_group(world.app, NULL, "/new"));
    assert_int_equal(wr_before(root, note, "x"), WR_INVALID);
    assert_int_equal(wr_route(world.app, "GET", "/new", tell, NULL), WR_INVALID);
    assert_int_equal(wr_header_for_all(world.app, "X-New", "1"), WR_INVALID);
    assert_int_equal(wr_static(world.app, "/new", ".", NULL), WR_INVALID);
    assert_int_equal(wr_assets(world.app, &asset, 1), WR_INVALID);
    assert_int_equal(wr_on_worker(world.app, NULL, NULL, NULL), WR_INVALID);
    assert_int_equal(wr_access_log(world.app, WR_LOG_JSON, "-"), WR_INVALID);
    assert_int_equal(wr_error_log(world.app, WR_LOG_JSON, "-"), WR_INVALID);
    assert_int_equal(wr_trust_proxies(world.app, "::1", WR_FORWARDED), WR_INVALID);
    assert_int_equal(wr_listen(world.app, "127.0.0.1", 0, NULL), WR_INVALID);
    assert_string_equal(wr_app_error(world.app),
                        "cannot listen on 127.0.0.1 port 0: the server runs already");
    assert_null(wr_sessions_new(world.app, NULL));
    assert_null(wr_metric(world.app, WR_COUNTER, "late_total", NULL, ""));
}

/* --- what is not there --- */

static void missing(struct wr_request *request, void *context)
{
    count(&handled);
    if (strcmp(wr_request_path(request), "/file") == 0) { /* one that is not there either: no endless loop */
        wr_respond_file(request, "/nonexistent/404.html", NULL, NULL);
    } else if (strcmp(wr_request_path(request), "/later") == 0) {
        kept = request;
        count(&begun);
    } else {
        wr_respond_text(request, 404, context);
    }
}

static void no_file(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_file(request, "/nonexistent/report.pdf", NULL, NULL);
}

static void what_is_not_there_may_be_answered_by_the_program(void **state)
{
    (void)state;
    struct world other;
    world_init(&other, NULL);
    assert_int_equal(wr_not_found(other.app, NULL, NULL), WR_INVALID);
    assert_int_equal(wr_not_found(other.app, missing, "another"), WR_OK);
    assert_int_equal(wr_not_found(other.app, missing, "nowhere"), WR_OK);
    assert_int_equal(wr_route(other.app, "GET", "/report", no_file, NULL), WR_OK);
    assert_int_equal(wr_after(wr_root(other.app), stamp, "root"), WR_OK);
    uv_async_init(wr_loop(other.app), &refuse, on_refuse);
    uv_unref((uv_handle_t *)&refuse);
    world_run(&other);
    const char *text = ask(&other, "GET /nothing HTTP/1.1\r\n");
    assert_starts(text, "HTTP/1.1 404 ");
    assert_has(text, "X-After: root 404\r\n");
    assert_has(text, "\r\n\r\nnowhere");
    assert_has(ask(&other, "GET /report HTTP/1.1\r\n"), "\r\n\r\nnowhere");
    assert_starts(ask(&other, "DELETE /report HTTP/1.1\r\n"), "HTTP/1.1 405 ");
    assert_has(ask(&other, "GET /file HTTP/1.1\r\n"), "there is nothing at this address");
    assert_int_equal(wr_not_found(other.app, missing, "late"), WR_INVALID);
    for (int i = 0; i < 2; i++) {
        int fd = client_connect(&other), before = begun, done = released;
        client_send(fd, i ? "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
                          : "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
        client_send(fd, "GET /report HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        wait_for(&begun, before + 1);
        uv_async_send(&refuse);
        wait_for(&released, done + 1);
        text = client_read(fd, 10000, NULL, NULL);
        assert_starts(text, "HTTP/1.1 403 ");
        assert_has(text, "\r\n\r\nnowhere");
        close(fd);
    }
    wr_stop(other.app);
    pthread_join(other.thread, NULL);
    uv_close((uv_handle_t *)&refuse, NULL);
    wr_app_free(other.app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_run_from_the_outer_group_to_the_inner_and_back),
        cmocka_unit_test(the_filters_of_the_root_see_everything),
        cmocka_unit_test(what_a_filter_refuses_reaches_no_handler_and_need_not_be_received),
        cmocka_unit_test(a_filter_may_take_its_time),
        cmocka_unit_test(a_client_that_leaves_while_a_filter_waits_harms_nobody),
        cmocka_unit_test(filters_that_do_it_the_odd_way_work),
        cmocka_unit_test(options_names_what_a_path_takes),
        cmocka_unit_test(nothing_is_added_while_the_app_runs),
    };
    const struct CMUnitTest missing_tests[] = {
        cmocka_unit_test(what_is_not_there_may_be_answered_by_the_program),
    };
    return cmocka_run_group_tests(tests, setup, teardown) + cmocka_run_group_tests(missing_tests, NULL, NULL);
}
