/* Heads as servers and clients get them, rule by rule; and what holds for all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <cmocka.h>

#include "../../fuzz/rewrite_check.h"
#include "proxy/rewrite.h"

static const struct http_limits limits = {.target_bytes_max = 8192,
                                          .header_bytes_max = HTTP_HEAD_BYTES_MAX,
                                          .header_count_max = HTTP_FIELDS_MAX,
                                          .body_bytes_max = UINT64_MAX};

/* --- requests --- */

static struct {
    struct http_parser parser;
    char text[4096];
    uint8_t path[4096];
    struct rewrite_request in;
    struct config_location location;
    struct config_group group;
    struct config_server server;
    char out[16384];
} t;

/* Reads a request from 192.0.2.9, which the test may change before it is written. */
static void given(const char *line, const char *fields)
{
    size_t len, path_len;
    snprintf(t.text, sizeof t.text, "%s\r\n%s\r\n", line, fields);
    http_parser_init(&t.parser, &limits);
    slice bytes = slice_text(t.text);
    if (http_parser_read(&t.parser, bytes, &len) != OK) fail_msg("refused: %s", t.parser.why);
    const struct http_head *head = &t.parser.head;
    assert_int_equal(rewrite_normal_path(http_span_slice(bytes, head->path), t.path, &path_len), OK);
    t.group = (struct config_group){.prefix = "/"};
    t.location = (struct config_location){.prefix = "/", .group = &t.group};
    t.server = (struct config_server){.path = NULL};
    t.in = (struct rewrite_request){
        .head = head,
        .bytes = bytes,
        .location = &t.location,
        .server = &t.server,
        .path = slice_of(t.path, path_len),
        .server_authority = SLICE("10.0.0.5:9000"),
        .host = http_span_slice(bytes, head->authority),
        .scheme = SLICE("http"),
        .address = SLICE("192.0.2.9"),
        .port = 40000,
        .peer = SLICE("192.0.2.9"),
        .local_port = 8080,
        .request_id = SLICE("abc"),
        .pseudonym = SLICE("wr"),
        .body = head->body,
        .content_length = head->content_length,
    };
}

static const char *written(void)
{
    size_t bound = rewrite_request_bound(&t.in);
    assert_true(bound < sizeof t.out);
    struct writer out = writer_of(t.out, bound);
    assert_int_equal(rewrite_request(&t.in, &out), OK);
    t.out[out.len] = 0;
    return t.out;
}

static void says(const char *line)
{
    char found[600];
    snprintf(found, sizeof found, "\r\n%s\r\n", line);
    if (!strstr(t.out, found)) fail_msg("\"%s\" is missing in\n%s", line, t.out);
}

/* No field of this name, any case. */
static void says_no(const char *name)
{
    char found[200];
    snprintf(found, sizeof found, "\r\n%s:", name);
    for (const char *at = t.out; *at; at++) {
        if (strncasecmp(at, found, strlen(found)) == 0) fail_msg("\"%s\" is in\n%s", name, t.out);
    }
}

static void a_usual_request_is_this(void **state)
{
    (void)state;
    given("GET /a/b?c=d HTTP/1.1",
          "Host: Example.org:8080\r\nUser-Agent: x\r\nAccept: */*\r\nCookie: a=b\r\n");
    assert_string_equal(written(), "GET /a/b?c=d HTTP/1.1\r\nHost: Example.org:8080\r\n"
                                   "User-Agent: x\r\nAccept: */*\r\nCookie: a=b\r\n"
                                   "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\n"
                                   "X-Forwarded-Host: Example.org:8080\r\nX-Forwarded-Port: 8080\r\n"
                                   "X-Real-IP: 192.0.2.9\r\n"
                                   "Forwarded: for=192.0.2.9;host=\"Example.org:8080\";proto=http\r\n"
                                   "X-Request-Id: abc\r\nVia: 1.1 wr\r\n\r\n");
}

static void what_goes_for_one_connection_stays_behind(void **state)
{
    (void)state;
    given("GET / HTTP/1.1",
          "Host: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nx-mine: 2\r\nKeep-Alive: 5\r\n"
          "Proxy-Connection: x\r\nTE: gzip\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n"
          "Proxy-Authorization: Basic eA==\r\nProxy: http://evil\r\nHTTP2-Settings: AAA\r\n"
          "Trailer: X-T\r\nX-Other: 3\r\n");
    written();
    static const char *const names[] = {
        "Connection",    "X-Mine", "Keep-Alive", "Proxy-Connection",    "TE",
        "Upgrade",       "Expect", "Proxy",      "Proxy-Authorization", "Trailer",
        "HTTP2-Settings"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        says_no(names[i]);
    says("X-Other: 3");
}

/* What stands before Connection is known to be named by it only afterwards. */
static void connection_may_come_last(void **state)
{
    (void)state;
    given("GET / HTTP/1.1",
          "Host: a\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\nConnection: x-b\r\nConnection: close, X-C\r\n");
    written();
    says("X-A: 1");
    says_no("X-B");
    says_no("X-C");
}

static void nobody_names_away_what_the_server_goes_by(void **state)
{
    (void)state;
    given("POST / HTTP/1.1",
          "Host: a\r\nContent-Length: 5\r\nAuthorization: Bearer x\r\nCookie: s=1\r\nContent-Type: "
          "text/plain\r\n"
          "Cache-Control: no-store\r\nOrigin: http://a\r\nSec-Fetch-Site: cross-site\r\nIf-Match: \"x\"\r\n"
          "Via: 1.1 before\r\nX-Forwarded-For: 10.0.0.1\r\n"
          "Connection: close, Host, Content-Length, Authorization, Cookie, Content-Type, Cache-Control, "
          "Origin, "
          "Sec-Fetch-Site, If-Match, Via, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Real-IP, "
          "X-Request-Id, Forwarded\r\n");
    written();
    static const char *const lines[] = {"Host: a",
                                        "Content-Length: 5",
                                        "Authorization: Bearer x",
                                        "Cookie: s=1",
                                        "Content-Type: text/plain",
                                        "Cache-Control: no-store",
                                        "Origin: http://a",
                                        "Sec-Fetch-Site: cross-site",
                                        "If-Match: \"x\"",
                                        "Via: 1.1 before",
                                        "Via: 1.1 wr",
                                        "X-Forwarded-For: 192.0.2.9",
                                        "X-Forwarded-Proto: http",
                                        "X-Forwarded-Host: a",
                                        "X-Real-IP: 192.0.2.9",
                                        "X-Request-Id: abc",
                                        "Forwarded: for=192.0.2.9;host=a;proto=http"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        says(lines[i]);
}

/* More names than anyone has are passed over, not looked for: it would cost what the client likes. */
static void connection_names_a_bounded_number_of_fields(void **state)
{
    (void)state;
    char fields[2000] = "Host: a\r\nX-F5: 1\r\nX-F31: 1\r\nX-F32: 1\r\nConnection: ";
    for (int i = 0; i < 40; i++)
        snprintf(fields + strlen(fields), sizeof fields - strlen(fields), "%sX-F%d", i ? ", " : "", i);
    strcat(fields, "\r\n");
    given("GET / HTTP/1.1", fields);
    written();
    says_no("X-F5");
    says_no("X-F31");
    says("X-F32: 1");
}

static void a_client_cannot_say_who_it_is(void **state)
{
    (void)state;
    given(
        "GET / HTTP/1.1",
        "Host: a\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\n"
        "X-Forwarded-Port: 1\r\nX-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX-Request-Id: evil\r\n"
        "X-Forwarded-Prefix: /evil\r\nX-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n"
        "X_Forwarded_For: 1.1.1.1\r\nX-Forwarded_Proto: https\r\nX_REAL_IP: 1.1.1.1\r\nContent_Length: 7\r\n"
        "Transfer_Encoding: chunked\r\nX_Request_Id: evil\r\nX_Forwarded_Prefix: /\r\nX_Mine: 1\r\n");
    written();
    assert_null(strstr(t.out, "1.1.1.1"));
    assert_null(strstr(t.out, "evil"));
    assert_null(strstr(t.out, "https"));
    static const char *const names[] = {"X-Forwarded-Prefix", "X-Original-URL",    "X-Rewrite-URL",
                                        "Content_Length",     "Transfer_Encoding", "X_Forwarded_Prefix"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        says_no(names[i]);
    says("X_Mine: 1");
    says("X-Forwarded-Port: 8080");
}

static void a_trusted_proxy_is_believed(void **state)
{
    (void)state;
    given("GET / HTTP/1.1",
          "Host: a:81\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 10.0.0.2, 10.0.0.3\r\n"
          "X-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /shop\r\n"
          "Forwarded: for=6.6.6.6\r\n");
    t.in.trusted = true;
    t.in.address = SLICE("203.0.113.7");
    t.in.scheme = SLICE("https");
    t.in.told_host = SLICE("shop.example");
    written();
    says("X-Forwarded-For: 203.0.113.7, 10.0.0.2, 10.0.0.3, 192.0.2.9");
    says("X-Forwarded-Proto: https");
    says("X-Forwarded-Host: shop.example");
    says("X-Forwarded-Port: 8443");
    says("X-Forwarded-Prefix: /shop");
    says("X-Real-IP: 203.0.113.7");
    says("Host: a:81");
    says("Forwarded: for=203.0.113.7;host=shop.example;proto=https, for=192.0.2.9");
}

static void its_forwarded_is_believed_when_that_is_what_it_writes(void **state)
{
    (void)state;
    given("GET / HTTP/1.1",
          "Host: a\r\nForwarded: for=203.0.113.7;proto=https\r\nForwarded: for=\"[::1]:80\"\r\n"
          "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Port: 6\r\n");
    t.in.trusted = t.in.trust_forwarded = true;
    t.in.address = SLICE("203.0.113.7");
    t.in.scheme = SLICE("https");
    written();
    says("Forwarded: for=203.0.113.7;proto=https, for=\"[::1]:80\", for=192.0.2.9");
    says("X-Forwarded-For: 203.0.113.7, 192.0.2.9");
    says("X-Forwarded-Port: 443");
    /* An open quote would swallow what is added. */
    given("GET / HTTP/1.1", "Host: a\r\nForwarded: for=\"6.6.6.6\r\n");
    t.in.trusted = t.in.trust_forwarded = true;
    written();
    says("Forwarded: for=192.0.2.9;host=a;proto=http");
}

static void a_trusted_proxy_that_says_nothing_is_the_client(void **state)
{
    (void)state;
    given("GET / HTTP/1.1", "Host: a:81\r\nX-Forwarded-For:\r\n");
    t.in.trusted = true;
    written();
    says("X-Forwarded-For: 192.0.2.9");
    says("X-Forwarded-Port: 81");
    says("Forwarded: for=192.0.2.9;host=\"a:81\";proto=http");
}

static void addresses_of_ipv6_are_quoted_in_forwarded(void **state)
{
    (void)state;
    given("GET / HTTP/1.1", "Host: [2001:db8::1]\r\n");
    t.in.address = t.in.peer = SLICE("2001:db8::9");
    t.in.scheme = SLICE("https");
    written();
    says("Forwarded: for=\"[2001:db8::9]\";host=\"[2001:db8::1]\";proto=https");
    says("X-Forwarded-For: 2001:db8::9");
    says("X-Real-IP: 2001:db8::9");
}

static void targets_become_origin_form(void **state)
{
    (void)state;
    static const struct {
        const char *line, *expected;
    } cases[] = {
        {"GET /a HTTP/1.1", "GET /a HTTP/1.1\r\n"},
        {"GET /a? HTTP/1.1", "GET /a? HTTP/1.1\r\n"},
        {"GET /a?b?c/../d HTTP/1.1", "GET /a?b?c/../d HTTP/1.1\r\n"},
        {"GET /a%2Fb%20%41 HTTP/1.1", "GET /a%2Fb%20%41 HTTP/1.1\r\n"},
        {"GET /a//b HTTP/1.1", "GET /a//b HTTP/1.1\r\n"},
        {"GET /a.b/.c/..d/e./... HTTP/1.1", "GET /a.b/.c/..d/e./... HTTP/1.1\r\n"},
        {"GET //a HTTP/1.1", "GET /a HTTP/1.1\r\n"},
        {"GET /%2fa HTTP/1.1", "GET /a HTTP/1.1\r\n"},
        {"GET /a/../b%20c?q HTTP/1.1", "GET /b%20c?q HTTP/1.1\r\n"},
        {"GET /a/%2e%2E/b HTTP/1.1", "GET /b HTTP/1.1\r\n"},
        {"GET /a%2f..%2fb HTTP/1.1", "GET /b HTTP/1.1\r\n"},
        {"GET /a/./b%25%3f HTTP/1.1", "GET /a/b%25%3F HTTP/1.1\r\n"},
        {"GET /a/. HTTP/1.1", "GET /a/ HTTP/1.1\r\n"},
        {"GET http://a/b?c HTTP/1.1", "GET /b?c HTTP/1.1\r\n"},
        {"GET http://a HTTP/1.1", "GET / HTTP/1.1\r\n"},
        {"GET http://a?b HTTP/1.1", "GET /?b HTTP/1.1\r\n"},
        {"GET http://a? HTTP/1.1", "GET /? HTTP/1.1\r\n"},
        {"OPTIONS http://a HTTP/1.1", "OPTIONS * HTTP/1.1\r\n"},
        {"OPTIONS http://a/ HTTP/1.1", "OPTIONS / HTTP/1.1\r\n"},
        {"OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1\r\n"},
        {"GET /a HTTP/1.0", "GET /a HTTP/1.1\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        given(cases[i].line, "Host: a\r\n");
        written();
        if (strncmp(t.out, cases[i].expected, strlen(cases[i].expected)) != 0)
            fail_msg("%s\nbecame\n%s", cases[i].line, t.out);
    }
}

static void the_path_of_the_server_takes_the_place_of_the_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *base, *path, *expected;
    } cases[] = {
        {"/", "/v1", "/x", "/v1/x"},
        {"/", "/v1/", "/x", "/v1/x"},
        {"/", "/", "/x", "/x"},
        {"/", "/v1", "/", "/v1"},
        {"/api", "/", "/api", "/"},
        {"/api", "/", "/api/x", "/x"},
        {"/api", "/v1", "/api/x%20y/%41?q=%20", "/v1/x%20y/A?q=%20"},
        {"/api", "/v1/", "/api/", "/v1/"},
        {"/api/", "/v1/", "/api/x", "/v1/x"},
        {"/api/", "/v1", "/api/x", "/v1/x"},
        {"/api", "/v1", "/x/../api/./y", "/v1/y"},
        {"/", "/v1", "*", "*"},
        {"/b c", "/v1", "/b%20c/%E2%82%AC%5c%3B;", "/v1/%E2%82%AC%5C;;"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[200], expected[200];
        const char *method = cases[i].path[0] == '*' ? "OPTIONS" : "GET";
        snprintf(line, sizeof line, "%s %s HTTP/1.1", method, cases[i].path);
        snprintf(expected, sizeof expected, "%s %s HTTP/1.1\r\n", method, cases[i].expected);
        given(line, "Host: a\r\n");
        t.group.prefix = cases[i].prefix;
        t.server.path = cases[i].base;
        written();
        if (strncmp(t.out, expected, strlen(expected)) != 0) fail_msg("%s\nbecame\n%s", line, t.out);
    }
    given("GET /api/x HTTP/1.1", "Host: a\r\n"); /* a path that shares the servers of its host */
    t.location.prefix = "/api";
    t.server.path = "/v1";
    written();
    assert_int_equal(strncmp(t.out, "GET /v1/api/x HTTP/1.1\r\n", 24), 0);
    given("GET /x HTTP/1.1", "Host: a\r\n");
    t.group.prefix = "/api";
    t.server.path = "/v1";
    struct writer out = writer_of(t.out, sizeof t.out);
    assert_int_equal(rewrite_request(&t.in, &out), ERR_MALFORMED);
}

static void a_client_of_http_1_0_is_served(void **state)
{
    (void)state;
    given("GET / HTTP/1.0", "Connection: keep-alive\r\nExpect: 100-continue\r\n");
    written();
    says("Host: 10.0.0.5:9000");
    says("Via: 1.0 wr");
    says("Forwarded: for=192.0.2.9;proto=http");
    says_no("X-Forwarded-Host");
    says_no("Connection");
}

static void the_body_is_framed_anew(void **state)
{
    (void)state;
    given("POST / HTTP/1.1", "Host: a\r\nContent-Length: 007\r\n");
    written();
    says("Content-Length: 7");
    given("POST / HTTP/1.1",
          "Host: a\r\nTransfer-Encoding: Chunked\r\nTrailer: X-Sum\r\nTE: trailers, gzip;q=1\r\n");
    written();
    says("Transfer-Encoding: chunked");
    says("Trailer: X-Sum");
    says("TE: trailers");
    says("Connection: TE");
    says_no("Content-Length");
    given("GET / HTTP/1.1", "Host: a\r\nContent-Length: 0\r\n");
    written();
    says("Content-Length: 0");
    given("GET / HTTP/1.1", "Host: a\r\n");
    written();
    says_no("Content-Length");
    says_no("Transfer-Encoding");
}

static void upgrades_pass_but_not_to_http(void **state)
{
    (void)state;
    given("GET / HTTP/1.1",
          "Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c, websocket\r\nUpgrade: HTTP/2.0, x/1\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    assert_true(rewrite_upgrades(t.in.head, t.in.bytes));
    t.in.upgrade = true;
    written();
    says("Upgrade: websocket, x/1");
    says("Connection: Upgrade");
    says("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    given("GET / HTTP/1.1", "Host: a\r\nConnection: Upgrade, TE\r\nUpgrade: H2C\r\nTE: trailers\r\n");
    assert_false(rewrite_upgrades(t.in.head, t.in.bytes));
    t.in.upgrade = true;
    written();
    says_no("Upgrade");
    says("Connection: TE");
    given("GET / HTTP/1.1", "Host: a\r\nUpgrade: websocket\r\n");
    assert_false(rewrite_upgrades(t.in.head, t.in.bytes));
    given("GET / HTTP/1.0", "Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
    assert_false(rewrite_upgrades(t.in.head, t.in.bytes));
}

static void max_forwards_is_counted_down(void **state)
{
    (void)state;
    static const struct {
        const char *line, *field, *expected;
    } cases[] = {
        {"OPTIONS / HTTP/1.1", "5", "Max-Forwards: 4"},
        {"OPTIONS * HTTP/1.1", "1", "Max-Forwards: 0"},
        {"OPTIONS * HTTP/1.1", "x", NULL},
        {"GET / HTTP/1.1", "5", "Max-Forwards: 5"},
    };
    char field[60];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(field, sizeof field, "Host: a\r\nMax-Forwards: %s\r\n", cases[i].field);
        given(cases[i].line, field);
        assert_false(rewrite_ends_here(t.in.head, t.in.bytes));
        written();
        cases[i].expected ? says(cases[i].expected) : says_no("Max-Forwards");
    }
    given("OPTIONS / HTTP/1.1", "Host: a\r\nMax-Forwards: 0\r\n");
    assert_true(rewrite_ends_here(t.in.head, t.in.bytes));
    given("GET / HTTP/1.1", "Host: a\r\nMax-Forwards: 0\r\n");
    assert_false(rewrite_ends_here(t.in.head, t.in.bytes));
}

static void the_location_sets_fields(void **state)
{
    (void)state;
    static const struct config_piece old = {VARIABLE_NONE, "old"}, a = {VARIABLE_NONE, "a"},
                                     sent = {VARIABLE_HTTP, "x-sent"}, cookie = {VARIABLE_HTTP, "cookie"},
                                     none = {VARIABLE_HTTP, "x-none"},
                                     forwarded = {VARIABLE_FORWARDED_FOR, NULL};
    static const struct config_piece all[] = {
        {VARIABLE_NONE, "h="},        {VARIABLE_HOST, NULL},   {VARIABLE_NONE, " r="},
        {VARIABLE_REMOTE_ADDR, NULL}, {VARIABLE_NONE, ":"},    {VARIABLE_REMOTE_PORT, NULL},
        {VARIABLE_NONE, " s="},       {VARIABLE_SCHEME, NULL}, {VARIABLE_NONE, " i="},
        {VARIABLE_REQUEST_ID, NULL},  {VARIABLE_NONE, " p="},  {VARIABLE_PROXY_HOST, NULL}};
    static const struct config_field fields[] = {{"X-Twice", &old, 1},
                                                 {"X-All", all, 12},
                                                 {"X-Copy", &sent, 1},
                                                 {"X-Nothing", &none, 1},
                                                 {"User-Agent", NULL, 0},
                                                 {"X_Twice", &a, 1},
                                                 {"X-Forwarded-Proto", NULL, 0},
                                                 {"x-real-ip", &a, 1},
                                                 {"Via", NULL, 0},
                                                 {"X-Mine", &forwarded, 1},
                                                 {"Connection", &a, 1},
                                                 {"Content-Length", &a, 1},
                                                 {"Upgrade", &a, 1},
                                                 {"Transfer-Encoding", &a, 1},
                                                 {"TE", &a, 1},
                                                 {"Expect", &a, 1},
                                                 {"Cookie", &cookie, 1}};
    given("GET / HTTP/1.1",
          "Host: a:8\r\nUser-Agent: x\r\nX-Sent: 1\r\nx-sent: 2\r\nx-twice: 3\r\nX_TWICE: 4\r\n"
          "X_Copy: 5\r\nX-Nothing: 6\r\nCookie: a=1\r\nCookie: b=2\r\nConnection: X-All\r\n");
    t.location.fields = fields;
    t.location.field_count = sizeof fields / sizeof fields[0];
    written();
    says("X-All: h=a:8 r=192.0.2.9:40000 s=http i=abc p=10.0.0.5:9000");
    says("X-Copy: 1, 2");
    says("X-Sent: 1");
    says("X_Twice: a");
    says("x-real-ip: a");
    says("X-Mine: 192.0.2.9");
    says("Cookie: a=1; b=2");
    static const char *const names[] = {
        "X-Twice",    "X-Nothing", "User-Agent",     "X-Forwarded-Proto", "Via",
        "Connection", "Upgrade",   "Content-Length", "Transfer-Encoding", "TE",
        "Expect",     "X_Copy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        says_no(names[i]);
    assert_null(strstr(strstr(t.out, "x-real-ip") + 1, "X-Real-IP"));
}

static void the_host_can_be_set_but_not_taken_away(void **state)
{
    (void)state;
    static const struct config_piece inner = {VARIABLE_NONE, "inner.example"},
                                     empty = {VARIABLE_HTTP, "x-none"};
    static const struct config_field set = {"host", &inner, 1}, none = {"Host", NULL, 0},
                                     gone = {"Host", &empty, 1};
    given("GET / HTTP/1.1", "Host: a\r\n");
    t.location.fields = &set;
    t.location.field_count = 1;
    written();
    says("host: inner.example");
    assert_null(strstr(t.out, "\r\nHost:"));
    says("X-Forwarded-Host: a");
    t.location.fields = &none;
    written();
    says("Host: 10.0.0.5:9000");
    t.location.fields = &gone;
    written();
    says("Host: 10.0.0.5:9000");
}

static void unusual_lines_are_put_in_order(void **state)
{
    (void)state;
    given("GET / HTTP/1.1", "Host:a\r\nX-A:1\r\nX-B:   2\t \r\nX-C: \r\nX-D:\r\nX-E:\t3\r\nX-F: 4\r\n");
    written();
    says("Host: a\r\nX-A:1\r\nX-B: 2\r\nX-C: \r\nX-D:\r\nX-E: 3\r\nX-F: 4");
}

static void loops_are_seen(void **state)
{
    (void)state;
    static const struct {
        const char *via;
        bool loops;
    } cases[] = {
        {"1.1 wr", true},          {"1.0 other, 1.1 WR (it, me), 1.1 x", true},
        {"HTTP/1.1  wr", true},    {"1.1 other", false},
        {"1.1 wrx", false},        {"wr", false},
        {"1.1 other (wr)", false}, {"", false},
    };
    char field[100];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(field, sizeof field, "Host: a\r\nVia: %s\r\n", cases[i].via);
        given("GET / HTTP/1.1", field);
        assert_int_equal(rewrite_loops(t.in.head, t.in.bytes, SLICE("wr")), cases[i].loops);
    }
}

static void request_ids_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *id;
    } cases[] = {
        {"X-Request-Id: aZ09-_.:=+/\r\n", "aZ09-_.:=+/"},
        {"x-request-ID: 1\r\n", "1"},
        {"X_Request_Id: 1\r\n", ""},
        {"X-Request-Id: a b\r\n", ""},
        {"X-Request-Id: a\"b\r\n", ""},
        {"X-Request-Id: a~b\r\n", ""},
        {"X-Request-Id:\r\n", ""},
        {"X-Request-Id: 1\r\nX-Request-Id: 2\r\n", ""},
        {"", ""},
    };
    char fields[400];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(fields, sizeof fields, "Host: a\r\n%s", cases[i].fields);
        given("GET / HTTP/1.1", fields);
        assert_true(slice_equal(rewrite_request_id(t.in.head, t.in.bytes), slice_text(cases[i].id)));
    }
    for (int len = REWRITE_ID_BYTES_MAX; len <= REWRITE_ID_BYTES_MAX + 1; len++) {
        snprintf(fields, sizeof fields, "Host: a\r\nX-Request-Id: %0*d\r\n", len, 7);
        given("GET / HTTP/1.1", fields);
        assert_int_equal(rewrite_request_id(t.in.head, t.in.bytes).len > 0, len == REWRITE_ID_BYTES_MAX);
    }
}

static void trailers_cannot_say_what_the_head_may_not(void **state)
{
    (void)state;
    assert_true(rewrite_trailer_passes(SLICE("X-Checksum")));
    assert_true(rewrite_trailer_passes(SLICE("Server-Timing")));
    static const char *const names[] = {"Content-Length", "Host",      "X-Forwarded-For", "x_forwarded_for",
                                        "X-Real-IP",      "Forwarded", "X-Request-Id",    "Via",
                                        "Connection",     "",          "X-Forwarded-Ssl", "Proxy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(rewrite_trailer_passes(slice_text(names[i])));
}

/* --- paths --- */

static void paths_have_one_normal_form(void **state)
{
    (void)state;
    static const struct {
        const char *path, *normal; /* NULL: refused */
    } cases[] = {
        {"/", "/"},
        {"/admin", "/admin"},
        {"/%61dmin", "/admin"},
        {"/%61%64%6D%69%6e", "/admin"},
        {"//admin", "/admin"},
        {"///admin//x", "/admin/x"},
        {"/x/../admin", "/admin"},
        {"/x/%2e%2e/admin", "/admin"},
        {"/x/.%2E/admin", "/admin"},
        {"/x/%2e./admin", "/admin"},
        {"/./admin", "/admin"},
        {"/%2e/admin", "/admin"},
        {"/x/y/../../admin", "/admin"},
        {"/x//../admin", "/admin"},
        {"/x%2f..%2fadmin", "/admin"},
        {"/%2fadmin", "/admin"},
        {"/%2Fadmin%2F%2f", "/admin/"},
        {"/admin%2f..", "/"},
        {"/admin/..", "/"},
        {"/admin/.", "/admin/"},
        {"/admin/%2e", "/admin/"},
        {"/a/b/..", "/a/"},
        {"/a/b/../", "/a/"},
        {"/a/...", "/a/..."},
        {"/a/..b/.c", "/a/..b/.c"},
        {"/a%5c..%5cadmin", "/a\\..\\admin"},
        {"/a/..%5cadmin", "/a/..\\admin"},
        {"/%252e%252e/admin", "/%2e%2e/admin"},
        {"/a;x/b", "/a;x/b"},
        {"/a%20b%C3%A9", "/a b\xC3\xA9"},
        {"*", "*"},
        {"/..", NULL},
        {"/../admin", NULL},
        {"/a/../..", NULL},
        {"/%2e%2e", NULL},
        {"//..", NULL},
        {"/a/..;/admin", NULL},
        {"/a/.;x/admin", NULL},
        {"/a/%2e%2e%3b/admin", NULL},
        {"/%", NULL},
        {"/%4", NULL},
        {"/%zz", NULL},
        {"/a%00", NULL},
        {"", NULL},
        {"admin", NULL},
        {"**", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        slice path = slice_text(cases[i].path);
        size_t len = 0;
        uint8_t *out = malloc(path.len + 1); /* exact, for the sanitizer */
        assert_non_null(out);
        int rc = rewrite_normal_path(path, out, &len);
        if (rc != (cases[i].normal ? OK : ERR_MALFORMED)) fail_msg("%s: %s", cases[i].path, err_name(rc));
        if (rc == OK && !slice_equal(slice_of(out, len), slice_text(cases[i].normal)))
            fail_msg("%s became %s", cases[i].path, (const char *)out);
        if (rc == OK) assert_int_equal(out[len], 0);
        free(out);
    }
}

/* --- answers --- */

static const char *answered(const char *text, enum http_request_kind kind, struct rewrite_answer *in)
{
    static struct http_response_parser parser;
    size_t len;
    http_response_parser_init(&parser, &limits, kind);
    if (http_response_parser_read(&parser, slice_text(text), &len) != OK) fail_msg("refused: %s", parser.why);
    in->head = &parser.head;
    in->bytes = slice_of(text, len);
    size_t bound = rewrite_answer_bound(in);
    struct writer out = writer_of(t.out, bound);
    assert_int_equal(rewrite_answer(in, &out), OK);
    t.out[out.len] = 0;
    return t.out;
}

static void a_usual_answer_is_this(void **state)
{
    (void)state;
    struct rewrite_answer in = {
        .framing = ANSWER_FRAMING_LENGTH, .date = SLICE("now"), .request_id = SLICE("abc")};
    assert_string_equal(
        answered("HTTP/1.1 200 Fine\r\nServer: nginx\r\nContent-Length: 012\r\nDate: then\r\n"
                 "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-Request-Id: theirs\r\n"
                 "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
                 HTTP_REQUEST_USUAL, &in),
        "HTTP/1.1 200 Fine\r\nServer: nginx\r\nDate: then\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
        "Content-Length: 12\r\nX-Request-Id: abc\r\n\r\n");
}

static void what_an_answer_lacks_is_added(void **state)
{
    (void)state;
    struct rewrite_answer in = {.framing = ANSWER_FRAMING_CHUNKED,
                                .date = SLICE("now"),
                                .close = true,
                                .fields = SLICE("Set-Cookie: s=1\r\n")};
    assert_string_equal(
        answered("HTTP/1.0 404\r\nX-Request-Id: theirs\r\nTrailer: X-T\r\n\r\n", HTTP_REQUEST_USUAL, &in),
        "HTTP/1.1 404 \r\nX-Request-Id: theirs\r\nTrailer: X-T\r\nDate: now\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\nSet-Cookie: s=1\r\n\r\n");
    in = (struct rewrite_answer){.framing = ANSWER_FRAMING_LENGTH, .date = SLICE("now"), .keep_alive = true};
    assert_string_equal(
        answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTrailer: X-T\r\n\r\n", HTTP_REQUEST_USUAL, &in),
        "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

static void lengths_without_a_body_stay_where_they_mean_something(void **state)
{
    (void)state;
    struct rewrite_answer in = {.framing = ANSWER_FRAMING_NONE};
    answered("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP_REQUEST_HEAD, &in);
    says("Content-Length: 7");
    answered("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", HTTP_REQUEST_USUAL, &in);
    says("Content-Length: 7");
    answered("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", HTTP_REQUEST_USUAL, &in);
    says_no("Content-Length");
    answered("HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\nLink: </a>\r\n\r\n", HTTP_REQUEST_USUAL, &in);
    says_no("Content-Length");
    says("Link: </a>");
    says_no("Date");
    answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_REQUEST_HEAD, &in);
    says_no("Content-Length");
    says_no("Transfer-Encoding");
}

static void a_server_names_what_goes_for_its_connection(void **state)
{
    (void)state;
    struct rewrite_answer in = {.framing = ANSWER_FRAMING_NONE};
    answered("HTTP/1.1 200 OK\r\nX-Inner: 1\r\nSet-Cookie: a=b\r\nConnection: X-Inner, Set-Cookie, close\r\n"
             "Content-Length: 0\r\n\r\n",
             HTTP_REQUEST_USUAL, &in);
    says_no("X-Inner");
    says("Set-Cookie: a=b");
}

static void the_answer_to_an_upgrade_keeps_it(void **state)
{
    (void)state;
    struct rewrite_answer in = {.framing = ANSWER_FRAMING_NONE, .upgrade = true};
    answered("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Accept: x\r\n\r\n",
             HTTP_REQUEST_USUAL, &in);
    says("Upgrade: websocket");
    says("Connection: Upgrade");
    says("Sec-WebSocket-Accept: x");
}

/* --- all of them --- */

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static const char *one_of(const char *const *texts, size_t count)
{
    return texts[draw((uint32_t)count)];
}
#define ONE_OF(texts) one_of(texts, sizeof texts / sizeof texts[0])

static void put_value(char *out, size_t room, const char *name)
{
    static const char *const values[] = {"a",
                                         "",
                                         "close",
                                         "X-A, X-B",
                                         "keep-alive, Cookie",
                                         "trailers",
                                         "websocket, h2c",
                                         "7",
                                         "chunked",
                                         "1.1.1.1",
                                         "\"",
                                         "for=\"1.1.1.1",
                                         "for=_x;by=\"\\\"\"",
                                         "a,,b",
                                         "[::1]:8",
                                         "https",
                                         "100-continue",
                                         "x\ty  z",
                                         "\xC3\xA9",
                                         "1.1 wr-0011223344556677x"};
    static const char *const spaces[] = {"", " ", "  ", "\t"};
    const char *value = strcasecmp(name, "host") == 0 ? "h.example:81" : ONE_OF(values);
    snprintf(out, room, "%s:%s%s%s\r\n", name, ONE_OF(spaces), value, ONE_OF(spaces));
}

/* A request that may or may not be valid. */
static void make_request(char *out, size_t room)
{
    static const char *const methods[] = {"GET", "POST", "OPTIONS", "HEAD", "PURGE", "TRACE"};
    static const char *const targets[] = {
        "/",           "/a/b?c",        "*",       "http://h.example:81",
        "/a/../b%20",  "//x/%2e%2e/y?", "/%2fa?b", "http://h.example:81?q",
        "/a%2f..%2fb", "/.../;x/..;/",  "/%41%zz", "https://h.example:81/p?"};
    static const char *const names[] = {"Connection",
                                        "X-A",
                                        "X-B",
                                        "Cookie",
                                        "Keep-Alive",
                                        "TE",
                                        "Content-Length",
                                        "Transfer-Encoding",
                                        "X-Forwarded-For",
                                        "X_Forwarded_For",
                                        "Forwarded",
                                        "X-Request-Id",
                                        "X-Forwarded-Host",
                                        "X-Forwarded-Proto",
                                        "X-Forwarded-Port",
                                        "Via",
                                        "Upgrade",
                                        "Expect",
                                        "Max-Forwards",
                                        "Proxy",
                                        "X-Set",
                                        "x_set",
                                        "Accept",
                                        "X-Real-IP",
                                        "Content_Length",
                                        "Trailer",
                                        "Date",
                                        "X-Forwarded-Ssl",
                                        "A",
                                        "Proxy-Authorization"};
    size_t at =
        (size_t)snprintf(out, room, "%s %s HTTP/1.%u\r\n", ONE_OF(methods), ONE_OF(targets), draw(8) > 0);
    if (draw(10)) at += (size_t)snprintf(out + at, room - at, "Host: h.example:81\r\n");
    for (uint32_t n = draw(10); n > 0; n--) {
        put_value(out + at, room - at, ONE_OF(names));
        at += strlen(out + at);
    }
    snprintf(out + at, room - at, "\r\n");
}

static void make_answer(char *out, size_t room)
{
    static const char *const lines[] = {"200 OK",    "204 No Content", "304", "101 Switching",
                                        "103 Early", "999 \xE9",       "206"};
    static const char *const names[] = {
        "Connection",     "X-A",    "Set-Cookie",   "Keep-Alive", "Date", "Trailer",          "Upgrade",
        "Content-Length", "Server", "X-Request-Id", "Via",        "TE",   "Transfer-Encoding"};
    size_t at = (size_t)snprintf(out, room, "HTTP/1.%u %s\r\n", draw(6) > 0, ONE_OF(lines));
    for (uint32_t n = draw(8); n > 0; n--) {
        put_value(out + at, room - at, ONE_OF(names));
        at += strlen(out + at);
    }
    snprintf(out + at, room - at, "\r\n");
}

static void what_is_written_is_read_again_as_the_same(void **state)
{
    (void)state;
    enum { ROUNDS = 60000 };
    char text[4096];
    size_t requests = 0, answers = 0;
    seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < ROUNDS; i++) {
        make_request(text, sizeof text);
        requests += rewrite_check_request(slice_text(text), draw(256));
        make_answer(text, sizeof text);
        answers += rewrite_check_answer(slice_text(text), draw(256));
    }
    assert_true(requests > ROUNDS / 10);
    assert_true(answers > ROUNDS / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_usual_request_is_this),
        cmocka_unit_test(what_goes_for_one_connection_stays_behind),
        cmocka_unit_test(connection_may_come_last),
        cmocka_unit_test(nobody_names_away_what_the_server_goes_by),
        cmocka_unit_test(connection_names_a_bounded_number_of_fields),
        cmocka_unit_test(a_client_cannot_say_who_it_is),
        cmocka_unit_test(a_trusted_proxy_is_believed),
        cmocka_unit_test(its_forwarded_is_believed_when_that_is_what_it_writes),
        cmocka_unit_test(a_trusted_proxy_that_says_nothing_is_the_client),
        cmocka_unit_test(addresses_of_ipv6_are_quoted_in_forwarded),
        cmocka_unit_test(targets_become_origin_form),
        cmocka_unit_test(the_path_of_the_server_takes_the_place_of_the_prefix),
        cmocka_unit_test(a_client_of_http_1_0_is_served),
        cmocka_unit_test(the_body_is_framed_anew),
        cmocka_unit_test(upgrades_pass_but_not_to_http),
        cmocka_unit_test(max_forwards_is_counted_down),
        cmocka_unit_test(the_location_sets_fields),
        cmocka_unit_test(the_host_can_be_set_but_not_taken_away),
        cmocka_unit_test(unusual_lines_are_put_in_order),
        cmocka_unit_test(loops_are_seen),
        cmocka_unit_test(request_ids_are_checked),
        cmocka_unit_test(trailers_cannot_say_what_the_head_may_not),
        cmocka_unit_test(paths_have_one_normal_form),
        cmocka_unit_test(a_usual_answer_is_this),
        cmocka_unit_test(what_an_answer_lacks_is_added),
        cmocka_unit_test(lengths_without_a_body_stay_where_they_mean_something),
        cmocka_unit_test(a_server_names_what_goes_for_its_connection),
        cmocka_unit_test(the_answer_to_an_upgrade_keeps_it),
        cmocka_unit_test(what_is_written_is_read_again_as_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
