/* The head of an answer: what is read, what is refused, how the body is framed, however the input is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/response_head.h"

static const struct http_limits limits = {
    .header_bytes_max = 400, .header_count_max = 6, .body_bytes_max = 1000};

struct outcome {
    int rc;
    size_t len;
    struct http_response_parser parser;
};

/* Shows the parser the first n bytes in memory of their own. */
static int show(struct http_response_parser *p, slice text, size_t n, size_t *out_len)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, text.ptr, n);
    int rc = http_response_parser_read(p, slice_of(copy, n), out_len);
    free(copy);
    return rc;
}

static void assert_same(const struct outcome *a, const struct outcome *b, slice text)
{
    bool same = a->rc == b->rc && a->len == b->len;
    if (same && a->rc == OK)
        same = memcmp(&a->parser.head, &b->parser.head, offsetof(struct http_response_head, fields)) == 0 &&
               memcmp(a->parser.head.fields, b->parser.head.fields,
                      a->parser.head.field_count * sizeof a->parser.head.fields[0]) == 0;
    if (!same)
        fail_msg("cut input gives another result (%d %d): %.*s", a->rc, b->rc, (int)text.len, text.ptr);
}

static struct outcome parse_everyhow(slice text, enum http_request_kind request)
{
    struct outcome whole = {.len = 0};
    http_response_parser_init(&whole.parser, &limits, request);
    whole.rc = show(&whole.parser, text, text.len, &whole.len);
    for (size_t step = 1; step <= text.len; step++) {
        struct outcome o = {.rc = ERR_AGAIN};
        http_response_parser_init(&o.parser, &limits, request);
        for (size_t n = step; o.rc == ERR_AGAIN; n += step) {
            o.rc = show(&o.parser, text, n < text.len ? n : text.len, &o.len);
            if (n >= text.len) break;
        }
        assert_same(&whole, &o, text);
    }
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct outcome o = {.len = 0};
        http_response_parser_init(&o.parser, &limits, request);
        o.rc = show(&o.parser, text, cut, &o.len);
        if (o.rc == ERR_AGAIN) o.rc = show(&o.parser, text, text.len, &o.len);
        assert_same(&whole, &o, text);
    }
    return whole;
}

static void an_answer_is_taken_apart(void **state)
{
    (void)state;
    slice text =
        SLICE("HTTP/1.1 404 Not here, sorry\r\nServer: x\r\nX-Spaced: \t two words \t\r\nX-Empty:\r\n"
              "Content-Length: 12\r\n\r\nhello");
    struct outcome o = parse_everyhow(text, HTTP_REQUEST_USUAL);
    const struct http_response_head *h = &o.parser.head;
    assert_int_equal(o.rc, OK);
    assert_int_equal(o.len, text.len - 5);
    assert_int_equal(h->status, 404);
    assert_int_equal(h->minor, 1);
    assert_true(slice_equal(http_span_slice(text, h->reason), SLICE("Not here, sorry")));
    assert_int_equal(h->field_count, 4);
    assert_true(slice_equal(http_span_slice(text, h->fields[1].name), SLICE("X-Spaced")));
    assert_true(slice_equal(http_span_slice(text, h->fields[1].value), SLICE("two words")));
    assert_int_equal(h->fields[2].value.len, 0);
    assert_int_equal(h->fields[2].value.at, h->fields[2].name.at + h->fields[2].name.len + 1);
    assert_true(h->body == HTTP_BODY_LENGTH && h->has_length && h->content_length == 12);
    assert_true(h->keep_alive && !h->interim && !h->tunnel);
}

#define U HTTP_REQUEST_USUAL
#define H HTTP_REQUEST_HEAD
#define C HTTP_REQUEST_CONNECT
#define OK_ "HTTP/1.1 200 OK\r\n"

/* Body: n none, l length, c chunked, u until close. Then k keep-alive, i interim, t tunnel. */
static const struct {
    enum http_request_kind request;
    const char *told, *text;
} answers[] = {
    {U, "u", OK_ "\r\n"},
    {U, "lk", OK_ "Content-Length: 0\r\n\r\n"},
    {U, "lk", OK_ "content-length:1000\r\n\r\n"},
    {U, "ck", OK_ "Transfer-Encoding: Chunked\r\n\r\n"},
    {U, "l", OK_ "Content-Length: 5\r\nConnection: Close\r\n\r\n"},
    {U, "c", OK_ "Transfer-Encoding: chunked\r\nConnection: x, close\r\n\r\n"},
    {U, "lk", "HTTP/1.1 500 \r\nContent-Length: 1\r\n\r\n"},
    {U, "lk", "HTTP/1.1 500\r\nContent-Length: 1\r\n\r\n"},
    {U, "lk", "HTTP/1.1 999 caf\xc3\xa9\t!\r\nContent-Length: 1\r\n\r\n"},
    {U, "lk", "HTTP/1.2 200 OK\r\nContent-Length: 1\r\n\r\n"},
    /* HTTP/1.0 */
    {U, "u", "HTTP/1.0 200 OK\r\n\r\n"},
    {U, "l", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"},
    {U, "lk", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n"},
    {U, "u", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"},
    /* never with a body, whatever the fields say */
    {U, "nk", "HTTP/1.1 204 No Content\r\n\r\n"},
    {U, "nk", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"},
    {U, "nk", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99999999999\r\n\r\n"},
    {U, "nk", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {H, "nk", OK_ "Content-Length: 99999999999\r\n\r\n"},
    {H, "nk", OK_ "Transfer-Encoding: chunked\r\n\r\n"},
    {H, "nk", OK_ "\r\n"},
    {U, "nki", "HTTP/1.1 100 Continue\r\n\r\n"},
    {U, "nki", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"},
    {U, "nt", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
    {C, "nt", OK_ "Content-Length: 5\r\n\r\n"},
    {C, "nt", "HTTP/1.1 299 Yes\r\n\r\n"},
    {C, "lk", "HTTP/1.1 407 Who are you\r\nContent-Length: 5\r\n\r\n"},
};

static void the_body_is_framed_by_request_status_and_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct outcome o = parse_everyhow(slice_text(answers[i].text), answers[i].request);
        const struct http_response_head *h = &o.parser.head;
        if (o.rc != OK || o.len != strlen(answers[i].text)) fail_msg("refused: %s", answers[i].text);
        char told[8] = {"nlcu"[h->body], 0};
        if (h->keep_alive) strcat(told, "k");
        if (h->interim) strcat(told, "i");
        if (h->tunnel) strcat(told, "t");
        if (strcmp(told, answers[i].told) != 0)
            fail_msg("%s, not %s: %s", told, answers[i].told, answers[i].text);
    }
}

static void the_length_is_told_where_there_is_no_body(void **state)
{
    (void)state;
    struct outcome o = parse_everyhow(SLICE(OK_ "Content-Length: 18446744073709551615\r\n\r\n"), H);
    assert_true(o.rc == OK && o.parser.head.has_length && o.parser.head.content_length == UINT64_MAX);
}

static const struct {
    int rc;
    const char *text;
} refused[] = {
    /* line ends */
    {ERR_MALFORMED, "HTTP/1.1 200 OK\n\n"},
    {ERR_MALFORMED, OK_ "A: b\n\r\n"},
    {ERR_MALFORMED, OK_ "\n"},
    {ERR_MALFORMED, OK_ "A: b\rc\r\n\r\n"},
    {ERR_MALFORMED, OK_ "A: b\r\r\n\r\n"},
    {ERR_MALFORMED, "\r\n" OK_ "\r\n"},
    /* the status line */
    {ERR_MALFORMED, "HTTP/1.1\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1 \r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1 20 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1 2000 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1 099 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1 +20 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1  200 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1\t200 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1 200\tOK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.1 200 O\x01K\r\n\r\n"},
    {ERR_MALFORMED, "http/1.1 200 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1 200 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/11 200 OK\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1,1 200 OK\r\n\r\n"},
    {ERR_MALFORMED, " HTTP/1.1 200 OK\r\n\r\n"},
    {ERR_MALFORMED, "ICY 200 OK\r\n\r\n"},
    {ERR_PROTOCOL, "HTTP/2.0 200 OK\r\n\r\n"},
    {ERR_PROTOCOL, "HTTP/0.9 200 OK\r\n\r\n"},
    /* fields */
    {ERR_MALFORMED, OK_ " A: b\r\n\r\n"},
    {ERR_MALFORMED, OK_ "A: b\r\n c\r\n\r\n"},
    {ERR_MALFORMED, OK_ "A : b\r\n\r\n"},
    {ERR_MALFORMED, OK_ "A\r\n\r\n"},
    {ERR_MALFORMED, OK_ ": b\r\n\r\n"},
    {ERR_MALFORMED, OK_ "A: b\x7f\r\n\r\n"},
    /* framing */
    {ERR_MALFORMED, OK_ "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Content-Length: 5, 5\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Content-Length: -5\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Content-Length: 0x5\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Content-Length:\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Content-Length: 18446744073709551616\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {ERR_MALFORMED, OK_ "Transfer-Encoding: gzip\r\n\r\n"},
    {ERR_MALFORMED, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {ERR_PROTOCOL, OK_ "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    /* limits */
    {ERR_TOO_LARGE, OK_ "Content-Length: 1001\r\n\r\n"},
    {ERR_TOO_LARGE, OK_ "A:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\n\r\n"},
};

static void what_is_ambiguous_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct outcome o = parse_everyhow(slice_text(refused[i].text), U);
        if (o.rc != refused[i].rc) fail_msg("%d: %s", o.rc, refused[i].text);
        assert_non_null(o.parser.why);
    }
}

static void a_head_that_is_too_long_is_refused_before_it_ends(void **state)
{
    (void)state;
    char text[500];
    memset(text, 'x', sizeof text);
    memcpy(text, OK_ "A: ", sizeof OK_ + 2);
    assert_int_equal(parse_everyhow(slice_of(text, 399), U).rc, ERR_AGAIN);
    assert_int_equal(parse_everyhow(slice_of(text, 400), U).rc, ERR_TOO_LARGE);
    assert_int_equal(parse_everyhow(slice_of(text, 500), U).rc, ERR_TOO_LARGE);
    memcpy(text + 396, "\r\n\r\n", 4);
    assert_int_equal(parse_everyhow(slice_of(text, 500), U).len, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_taken_apart),
        cmocka_unit_test(the_body_is_framed_by_request_status_and_fields),
        cmocka_unit_test(the_length_is_told_where_there_is_no_body),
        cmocka_unit_test(what_is_ambiguous_is_refused),
        cmocka_unit_test(a_head_that_is_too_long_is_refused_before_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
