/* Answers: assets and their encodings, fields for all, what a handler may get wrong, listening. */
#include <unistd.h>

#include "world.h"

static const unsigned char identity[] = "identity identity identity", br[] = "br", gz[] = "gzip";
static const struct wr_asset assets[] = {
    {.path = "/app.js",
     .mime = "text/javascript",
     .identity = identity,
     .identity_len = 26,
     .br = br,
     .br_len = 2,
     .gzip = gz,
     .gzip_len = 4,
     .etag = "e1",
     .immutable = true},
    {.path = "/",
     .mime = "text/html",
     .identity = identity,
     .identity_len = 26,
     .br = br,
     .br_len = 2,
     .etag = "e2"},
};
static const struct wr_asset login = {.path = "/login",
                                      .mime = "text/html",
                                      .identity = identity,
                                      .identity_len = 26,
                                      .gzip = gz,
                                      .gzip_len = 4,
                                      .etag = "e3"};

static void login_page(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_asset(request, 401, &login);
}

static void own_policy(struct wr_request *request, void *context)
{
    (void)context;
    wr_response_header(request, "content-security-policy", "own");
    wr_respond_text(request, 200, "ok");
}

static void bad_header(struct wr_request *request, void *context)
{
    (void)context;
    wr_response_header(request, "X-Name", "a\r\nSet-Cookie: evil=1");
    wr_response_header(request, "X-Fine", "fine");
    wr_respond_text(request, 200, "secret");
}

static void bad_status(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 99, "secret");
}

static void statuses(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_empty(request, atoi(wr_request_param(request, "status")));
}

static void error_with_quotes(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_error(request, 409, "the name \"x\" is taken\n\\");
}

static void fields(struct wr_request *request, void *context)
{
    (void)context;
    char text[200];
    const char *port = wr_request_field(request, "port"), *name = wr_request_field(request, "name");
    snprintf(text, sizeof text, "%s|%s|%d|%d", port ? port : "-", name ? name : "-",
             wr_request_wants_json(request), wr_request_same_origin(request));
    wr_respond_text(request, 200, text);
}

/* Two of them would be two answers to whoever reads them differently. */
static void own_type(struct wr_request *request, void *context)
{
    (void)context;
    wr_response_header(request, "content-TYPE", "a/first");
    wr_response_header(request, "Content-Type", "application/problem+json");
    wr_respond_error(request, 418, "no coffee");
}

static struct world world;

static int setup(void **state)
{
    (void)state;
    struct wr_app *app;
    world_init(&world, NULL);
    app = world.app;
    assert_int_equal(wr_security_headers(app, "default-src 'self'"), WR_OK);
    assert_int_equal(wr_header_for_all(app, "X-All", "one"), WR_OK);
    assert_int_equal(wr_header_for_all(app, "x-all", "two"), WR_OK);
    assert_int_equal(wr_header_for_all(app, "X-Bad", "a\nb"), WR_INVALID);
    assert_int_equal(wr_header_for_all(app, "Content-length", "1"), WR_INVALID);
    assert_int_equal(wr_header_for_all(app, "Transfer-Encoding", "chunked"), WR_INVALID);
    assert_int_equal(wr_header_for_all(app, "Content-Type", "text/html"), WR_INVALID);
    assert_int_equal(wr_route(app, "GET", "/own-type", own_type, NULL), WR_OK);
    assert_int_equal(wr_assets(app, assets, 2), WR_OK);
    assert_int_equal(wr_assets(app, (const struct wr_asset[]){login, login}, 2), WR_EXISTS);
    assert_int_equal(wr_route(app, "GET", "/login", login_page, NULL), WR_OK);
    assert_int_equal(wr_route(app, "GET", "/own", own_policy, NULL), WR_OK);
    assert_int_equal(wr_route(app, "GET", "/bad-header", bad_header, NULL), WR_OK);
    assert_int_equal(wr_route(app, "GET", "/bad-status", bad_status, NULL), WR_OK);
    assert_int_equal(wr_route(app, "GET", "/status/:status", statuses, NULL), WR_OK);
    assert_int_equal(wr_route(app, "GET", "/error", error_with_quotes, NULL), WR_OK);
    assert_int_equal(wr_route(app, " GET  POST ", "/fields", fields, NULL), WR_OK);
    assert_int_equal(wr_route(app, "PUT GET", "/fields", fields, NULL), WR_EXISTS);
    assert_int_equal(wr_route(app, "", "/x", fields, NULL), WR_INVALID);
    assert_int_equal(wr_route(app, "GET", "x", fields, NULL), WR_INVALID);
    world_run(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_end(&world);
    return 0;
}

static void there_is_one_content_type(void **state)
{
    (void)state;
    const char *text = ask(&world, "GET /own-type HTTP/1.1\r\n");
    assert_starts(text, "HTTP/1.1 418 ");
    assert_has(text, "\r\nContent-Type: application/problem+json\r\n");
    assert_has_not(text, "a/first");
    assert_has_not(text, "application/json");
}

static void the_best_encoding_that_the_client_accepts_is_sent(void **state)
{
    (void)state;
    const char *text = ask(&world, "GET /app.js HTTP/1.1\r\nAccept-Encoding: gzip, deflate, br\r\n");
    assert_has(text, "Content-Encoding: br\r\n");
    assert_has(text, "ETag: \"e1-br\"\r\n");
    assert_has(text, "Content-Length: 2\r\n");
    assert_has(text, "Vary: Accept-Encoding\r\n");
    assert_has(text, "\r\n\r\nbr");
    text = ask(&world, "GET /app.js HTTP/1.1\r\nAccept-Encoding: gzip, br;q=0.5\r\n");
    assert_has(text, "ETag: \"e1-gz\"\r\n");
    text = ask(&world, "GET /app.js HTTP/1.1\r\nAccept-Encoding: br;q=0, gzip;q=0\r\n");
    assert_has(text, "ETag: \"e1\"\r\n");
    assert_has_not(text, "Content-Encoding");
    text = ask(&world, "GET /app.js HTTP/1.1\r\nAccept-Encoding: identity, br;q=0.5\r\n");
    assert_has_not(text, "Content-Encoding");
    text = ask(&world, "GET /app.js HTTP/1.1\r\n");
    assert_has(text, "\r\n\r\nidentity identity identity");
    text = ask(&world, "GET / HTTP/1.1\r\nAccept-Encoding: gzip\r\n"); /* there is none */
    assert_has_not(text, "Content-Encoding");
    text = ask(&world, "HEAD /app.js HTTP/1.1\r\nAccept-Encoding: br\r\n");
    assert_has(text, "Content-Length: 2\r\n");
    assert_has_not(text, "\r\n\r\nb");
}

static void an_asset_that_the_client_has_is_not_sent_but_another_encoding_is(void **state)
{
    (void)state;
    const char *text =
        ask(&world, "GET /app.js HTTP/1.1\r\nAccept-Encoding: br\r\nIf-None-Match: \"e1-br\"\r\n");
    assert_starts(text, "HTTP/1.1 304 ");
    assert_has(text, "Cache-Control: public, max-age=31536000, immutable\r\n");
    assert_has_not(text, "Content-Length");
    assert_has_not(text, "\r\n\r\nb");
    text = ask(&world, "GET /app.js HTTP/1.1\r\nAccept-Encoding: br\r\nIf-None-Match: \"e1\"\r\n");
    assert_starts(text, "HTTP/1.1 200 ");
}

static void an_asset_with_another_status_is_sent_whole_and_not_kept(void **state)
{
    (void)state;
    const char *text = ask(&world, "GET /login HTTP/1.1\r\nAccept-Encoding: gzip\r\nIf-None-Match: *\r\n");
    assert_starts(text, "HTTP/1.1 401 ");
    assert_has(text, "Cache-Control: no-store\r\n");
    assert_has(text, "Content-Encoding: gzip\r\n");
    assert_has_not(text, "ETag");
    assert_has(text, "\r\n\r\ngzip");
}

static void every_answer_has_the_fields_for_all(void **state)
{
    (void)state;
    static const char *const heads[] = {"GET / HTTP/1.1\r\n", "GET /none HTTP/1.1\r\n",
                                        "GET /fields HTTP/1.1\r\n", "GET / HTTP/1.1\r\nBad Header: x\r\n",
                                        "POST / HTTP/1.1\r\n"};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        const char *text = ask(&world, heads[i]);
        assert_has(text, "X-Content-Type-Options: nosniff\r\n");
        assert_has(text, "Content-Security-Policy: default-src 'self'\r\n");
        assert_has(text, "X-Frame-Options: DENY\r\n");
        assert_has(text, "x-all: two\r\n");
        assert_has_not(text, "one");
    }
}

static void an_answer_may_replace_a_field_for_all(void **state)
{
    (void)state;
    const char *text = ask(&world, "GET /own HTTP/1.1\r\n");
    assert_has(text, "content-security-policy: own\r\n");
    assert_has_not(text, "default-src");
    assert_has(text, "nosniff");
}

static void what_a_handler_gets_wrong_becomes_a_500_and_a_line_in_the_log(void **state)
{
    (void)state;
    const char *text = ask(&world, "GET /bad-header HTTP/1.1\r\n");
    assert_starts(text, "HTTP/1.1 500 ");
    assert_has_not(text, "evil");
    assert_has_not(text, "secret");
    assert_has(world.logged, "/bad-header");
    assert_starts(ask(&world, "GET /bad-status HTTP/1.1\r\n"), "HTTP/1.1 500 ");
}

static void answers_without_a_body_have_no_length(void **state)
{
    (void)state;
    const char *text = ask(&world, "GET /status/204 HTTP/1.1\r\n");
    assert_starts(text, "HTTP/1.1 204 No Content\r\n");
    assert_has_not(text, "Content-Length");
    assert_has(ask(&world, "GET /status/201 HTTP/1.1\r\n"), "Content-Length: 0\r\n");
}

static void errors_are_json_whatever_is_in_them(void **state)
{
    (void)state;
    assert_has(ask(&world, "GET /error HTTP/1.1\r\n"),
               "{\"status\":\"error\",\"message\":\"the name \\\"x\\\" is taken\\n\\\\\"}");
}

static void fields_are_text_also_when_they_are_numbers(void **state)
{
    (void)state;
    assert_has(ask(&world, "POST /fields HTTP/1.1\r\nContent-Length: 0\r\n"), "\r\n\r\n-|-|0|1");
    int fd = client_connect(&world);
    client_send(fd, "POST /fields HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\nAccept: "
                    "application/json\r\nConnection: close\r\n"
                    "Content-Length: 32\r\n\r\n{\"port\": 9001, \"name\": [\"list\"]}");
    assert_has(client_read(fd, 5000, NULL, NULL), "\r\n\r\n9001|-|1|0");
    close(fd);
}

static void listening_fails_with_a_sentence(void **state)
{
    (void)state;
    struct wr_app *app = wr_app_new(NULL);
    assert_int_equal(wr_listen(app, "nowhere", 80, NULL), WR_INVALID);
    assert_string_equal(wr_app_error(app), "cannot listen on nowhere port 80: this is not an IP address");
    assert_int_equal(wr_listen(app, "127.0.0.1", wr_port(world.app), NULL), WR_SYSTEM);
    assert_has(wr_app_error(app), "another program uses this port");
    assert_int_equal(wr_listen(app, "192.0.2.1", 0, NULL), WR_SYSTEM);
    assert_has(wr_app_error(app), "this machine does not have this address");
    struct wr_tls *tls = wr_tls_new(NULL);
    assert_int_equal(wr_listen(app, "127.0.0.1", 0, tls), WR_INVALID);
    assert_has(wr_app_error(app), "TLS: there is no certificate");
    assert_int_equal(wr_tls_certificate(tls, "/nowhere/chain.pem", "/nowhere/key.pem"), WR_SYSTEM);
    assert_has(wr_tls_error(tls), "/nowhere/chain.pem: No such file");
    wr_tls_free(tls);
    assert_int_equal(wr_port(app), 0);
    assert_int_equal(wr_listen(app, "::1", 0, NULL), WR_OK);
    assert_int_not_equal(wr_port(app), 0);
    wr_stop(app); /* before wr_run: it returns at once */
    assert_int_equal(wr_run(app), WR_OK);
    wr_app_free(app);
    wr_app_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_one_content_type),
        cmocka_unit_test(the_best_encoding_that_the_client_accepts_is_sent),
        cmocka_unit_test(an_asset_that_the_client_has_is_not_sent_but_another_encoding_is),
        cmocka_unit_test(an_asset_with_another_status_is_sent_whole_and_not_kept),
        cmocka_unit_test(every_answer_has_the_fields_for_all),
        cmocka_unit_test(an_answer_may_replace_a_field_for_all),
        cmocka_unit_test(what_a_handler_gets_wrong_becomes_a_500_and_a_line_in_the_log),
        cmocka_unit_test(answers_without_a_body_have_no_length),
        cmocka_unit_test(errors_are_json_whatever_is_in_them),
        cmocka_unit_test(fields_are_text_also_when_they_are_numbers),
        cmocka_unit_test(listening_fails_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
