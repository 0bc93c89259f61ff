/* The head of a request: what is read, what is refused with which status, however the input is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/head.h"

static const struct http_limits limits = {
    .target_bytes_max = 100, .header_bytes_max = 400, .header_count_max = 6, .body_bytes_max = 1000};

struct outcome {
    int rc;
    size_t len;
    struct http_parser parser;
};

/* Shows the parser the first n bytes in memory of their own, so that the sanitizer sees every read past them
 * and every pointer kept from call to call. */
static int show(struct http_parser *p, slice text, size_t n, size_t *out_len)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, text.ptr, n);
    int rc = http_parser_read(p, slice_of(copy, n), out_len);
    free(copy);
    return rc;
}

/* All at once. */
static struct outcome parse(slice text)
{
    struct outcome o = {.len = 0};
    http_parser_init(&o.parser, &limits);
    o.rc = show(&o.parser, text, text.len, &o.len);
    return o;
}

static void assert_same(const struct outcome *a, const struct outcome *b, slice text)
{
    bool same = a->rc == b->rc && a->len == b->len && a->parser.status == b->parser.status;
    if (same && a->rc == OK) {
        const struct http_head *x = &a->parser.head, *y = &b->parser.head;
        same = x->field_count == y->field_count && x->body == y->body &&
               x->content_length == y->content_length && x->keep_alive == y->keep_alive &&
               x->minor == y->minor &&
               memcmp(x->fields, y->fields, x->field_count * sizeof x->fields[0]) == 0 &&
               memcmp(&x->method, &y->method, offsetof(struct http_head, minor)) == 0;
    }
    if (!same)
        fail_msg("cut input gives another result (%d %d): %.*s", a->rc, b->rc, (int)text.len, text.ptr);
}

/* The result must be the same for the whole, for two parts cut anywhere, and byte by byte. */
static struct outcome parse_everyhow(slice text)
{
    struct outcome whole = parse(text);
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct outcome o = {.len = 0};
        http_parser_init(&o.parser, &limits);
        o.rc = show(&o.parser, text, cut, &o.len);
        if (o.rc == ERR_AGAIN) o.rc = show(&o.parser, text, text.len, &o.len);
        assert_same(&whole, &o, text);
    }
    struct outcome o = {.rc = ERR_AGAIN};
    http_parser_init(&o.parser, &limits);
    for (size_t n = 1; n <= text.len && o.rc == ERR_AGAIN; n++)
        o.rc = show(&o.parser, text, n, &o.len);
    assert_same(&whole, &o, text);
    return whole;
}

static slice part(slice text, struct http_span span)
{
    return http_span_slice(text, span);
}

static void a_request_is_taken_apart(void **state)
{
    (void)state;
    slice text = SLICE("POST /a/b%20c?x=1&y HTTP/1.1\r\nHost: example.org:8080\r\nX-Empty:\r\n"
                       "X-Spaced: \t two words \t\r\nContent-Length: 12\r\n\r\nGET / HTTP");
    struct outcome o = parse_everyhow(text);
    const struct http_head *h = &o.parser.head;
    assert_int_equal(o.rc, OK);
    assert_int_equal(o.len, text.len - 10);
    assert_true(slice_equal(part(text, h->method), SLICE("POST")));
    assert_true(slice_equal(part(text, h->target), SLICE("/a/b%20c?x=1&y")));
    assert_true(slice_equal(part(text, h->path), SLICE("/a/b%20c")));
    assert_true(slice_equal(part(text, h->query), SLICE("x=1&y")));
    assert_true(slice_equal(part(text, h->authority), SLICE("example.org:8080")));
    assert_int_equal(h->field_count, 4);
    assert_true(slice_equal(part(text, h->fields[1].name), SLICE("X-Empty")));
    assert_int_equal(h->fields[1].value.len, 0);
    assert_true(slice_equal(part(text, h->fields[2].value), SLICE("two words")));
    assert_int_equal(h->body, HTTP_BODY_LENGTH);
    assert_int_equal(h->content_length, 12);
    assert_int_equal(h->minor, 1);
    assert_true(h->keep_alive);
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"

static void what_is_valid_is_read(void **state)
{
    (void)state;
    static const char *const good[] = {
        GET "\r\n",
        "\r\n" GET "\r\n", /* one empty line before it */
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET HTTPS://a:1/ HTTP/1.1\r\nHost: a:1\r\n\r\n",
        "M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhOsT:a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:\r\n\r\n",
        "GET /?a[]='%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
        GET "X: caf\xc3\xa9 \xff\r\n\r\n",
        GET "X: a\tb\r\n\r\n",
        GET "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n",
        GET "Expect: 100-Continue\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct outcome o = parse_everyhow(slice_text(good[i]));
        if (o.rc != OK || o.len != strlen(good[i]))
            fail_msg("refused (%u %s): %s", o.parser.status, o.parser.why, good[i]);
    }
}

/* By RFC 9112 and 9110; the status is what the client gets. */
static const struct {
    int status;
    const char *text;
} refused[] = {
    /* line ends */
    {400, "GET / HTTP/1.1\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
    {400, GET "\n"},
    {400, "GET / HTTP/1.1\rHost: a\r\n\r\n"},
    {400, GET "X: a\rb\r\n\r\n"},
    {400, GET "X: a\r\r\n\r\n"},
    {400, "\r\n\r\n" GET "\r\n"},
    {400, "\n" GET "\r\n"},
    /* request line */
    {400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
    {400, "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /\r\n\r\n"},
    {400, "GET\r\n\r\n"},
    {400, "GET / \r\n\r\n"},
    {400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/11\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.x\r\nHost: a\r\n\r\n"},
    {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
    {505, "PRI * HTTP/2.0\r\n\r\n"},
    {505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
    /* target */
    {400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http:// HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET http://u@a/b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, "GET /<b> HTTP/1.1\r\nHost: a\r\n\r\n"},
    {501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"},
    /* fields */
    {400, GET "X : a\r\n\r\n"},
    {400, GET ": a\r\n\r\n"},
    {400, GET "X\r\n\r\n"},
    {400, GET "X\tY: a\r\n\r\n"},
    {400, GET "X: a\r\n folded\r\n\r\n"},
    {400, GET "X: a\r\n\tfolded\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
    {400, GET "X: a\x01\r\n\r\n"},
    {400, GET "X: \x7f\r\n\r\n"},
    {400, GET "X\xc3\xa9: a\r\n\r\n"},
    {400, GET "X(: a\r\n\r\n"},
    /* Host */
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {400, GET "Host: a\r\n\r\n"},
    {400, "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: []\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: :80\r\n\r\n"},
    /* framing */
    {400, GET "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {400, GET "Content-Length: 1, 1\r\n\r\n"},
    {400, GET "Content-Length: +1\r\n\r\n"},
    {400, GET "Content-Length: -1\r\n\r\n"},
    {400, GET "Content-Length: 0x1\r\n\r\n"},
    {400, GET "Content-Length: 1 1\r\n\r\n"},
    {400, GET "Content-Length:\r\n\r\n"},
    {413, GET "Content-Length: 1001\r\n\r\n"},
    {413, GET "Content-Length: 99999999999999999999999999\r\n\r\n"},
    {400, GET "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, GET "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
    {400, GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {501, GET "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {400, GET "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {400, GET "Transfer-Encoding: identity\r\n\r\n"},
    {400, GET "Transfer-Encoding: xchunked\r\n\r\n"},
    {400, GET "Transfer-Encoding:\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {417, GET "Expect: something\r\n\r\n"},
    /* limits */
    {431, GET "A:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\n\r\n"},
};

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct outcome o = parse_everyhow(slice_text(refused[i].text));
        if (o.rc >= 0 || o.rc == ERR_AGAIN || o.parser.status != refused[i].status)
            fail_msg("rc %d, %u instead of %d: %s", o.rc, o.parser.status, refused[i].status,
                     refused[i].text);
        assert_non_null(o.parser.why);
    }
}

static void a_nul_is_refused_anywhere(void **state)
{
    (void)state;
    slice text = SLICE("GET /path HTTP/1.1\r\nHost: a\r\nX-Name: value\r\n\r\n");
    for (size_t i = 0; i < text.len; i++) {
        uint8_t copy[100];
        memcpy(copy, text.ptr, text.len);
        copy[i] = 0;
        struct outcome o = parse(slice_of(copy, text.len));
        /* A NUL instead of the last line feed leaves the head unfinished, but a CR that no LF follows. */
        assert_int_equal(o.rc, ERR_MALFORMED);
        assert_int_equal(o.parser.status, 400);
    }
}

static slice repeat(char *memory, const char *before, char c, size_t count, const char *after)
{
    size_t n = strlen(before), m = strlen(after);
    memcpy(memory, before, n);
    memset(memory + n, c, count);
    memcpy(memory + n + count, after, m);
    return slice_of(memory, n + count + m);
}

static void limits_are_exact(void **state)
{
    (void)state;
    char memory[1000];
    assert_int_equal(parse_everyhow(repeat(memory, "GET /", 'a', 99, " HTTP/1.1\r\nHost: a\r\n\r\n")).rc, OK);
    assert_int_equal(
        parse_everyhow(repeat(memory, "GET /", 'a', 100, " HTTP/1.1\r\nHost: a\r\n\r\n")).parser.status, 414);
    size_t rest = sizeof GET "X: \r\n\r\n" - 1;
    assert_int_equal(parse_everyhow(repeat(memory, GET "X: ", 'a', 400 - rest, "\r\n\r\n")).rc, OK);
    assert_int_equal(parse_everyhow(repeat(memory, GET "X: ", 'a', 401 - rest, "\r\n\r\n")).parser.status,
                     431);
    assert_int_equal(parse_everyhow(SLICE(GET "A:\r\nB:\r\nC:\r\nD:\r\nE:\r\n\r\n")).rc, OK);
}

/* A client that sends for ever must be refused when the limit is reached, not when the line ends. */
static void endless_lines_are_refused_as_soon_as_they_are_too_long(void **state)
{
    (void)state;
    char memory[1000];
    struct outcome o = parse(repeat(memory, "GET /", 'a', 150, ""));
    assert_int_equal(o.parser.status, 414);
    o = parse(repeat(memory, "", 'A', 40, ""));
    assert_int_equal(o.parser.status, 501);
    o = parse(repeat(memory, GET "X: ", 'a', 400, ""));
    assert_int_equal(o.parser.status, 431);
    o = parse(SLICE("GET / HTTP/1.1\nHo"));
    assert_int_equal(o.parser.status, 400);
    o = parse(SLICE("GET / HTTP/1.1\r\nHo"));
    assert_int_equal(o.rc, ERR_AGAIN);
}

static void persistence_follows_version_and_connection(void **state)
{
    (void)state;
    static const struct {
        bool keeps;
        const char *text;
    } cases[] = {
        {true, GET "\r\n"},
        {false, GET "Connection: close\r\n\r\n"},
        {false, GET "Connection: x, CLOSE ,y\r\n\r\n"},
        {true, GET "Connection: closed\r\n\r\n"},
        {false, GET "Connection: keep-alive\r\nConnection: close\r\n\r\n"},
        {false, "GET / HTTP/1.0\r\n\r\n"},
        {true, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(parse(slice_text(cases[i].text)).parser.head.keep_alive, cases[i].keeps);
    assert_true(parse(SLICE(GET "Connection: keep-alive, Upgrade\r\n\r\n")).parser.head.upgrade);
}

static void an_absolute_target_names_the_host(void **state)
{
    (void)state;
    slice text = SLICE("GET http://real:81/x?y HTTP/1.1\r\nHost: other\r\n\r\n");
    struct outcome o = parse_everyhow(text);
    assert_true(slice_equal(part(text, o.parser.head.authority), SLICE("real:81")));
    assert_true(slice_equal(part(text, o.parser.head.path), SLICE("/x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_taken_apart),
        cmocka_unit_test(what_is_valid_is_read),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_nul_is_refused_anywhere),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(endless_lines_are_refused_as_soon_as_they_are_too_long),
        cmocka_unit_test(persistence_follows_version_and_connection),
        cmocka_unit_test(an_absolute_target_names_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
