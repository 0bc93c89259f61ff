/* Chunked bodies, cut everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "http/chunked.h"

enum { BODY_MAX = 64 };

struct outcome {
    int rc;      /* the last one */
    size_t rest; /* input after the end of the body */
    size_t len;
    uint8_t body[BODY_MAX + 1];
};

static void feed(struct http_chunked *c, slice bytes, struct outcome *o)
{
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);
    memcpy(copy, bytes.ptr, bytes.len);
    slice input = slice_of(copy, bytes.len), data;
    while ((o->rc = http_chunked_next(c, &input, &data)) == OK) {
        assert_true(data.len > 0 && o->len + data.len <= BODY_MAX);
        memcpy(o->body + o->len, data.ptr, data.len);
        o->len += data.len;
    }
    o->rest = input.len;
    free(copy);
}

static struct outcome decode_cut(slice text, size_t step)
{
    struct outcome o = {.rc = ERR_AGAIN};
    struct http_chunked c;
    http_chunked_init(&c, BODY_MAX);
    for (size_t at = 0; at < text.len && o.rc == ERR_AGAIN; at += step) {
        slice piece = slice_sub(text, at, step);
        feed(&c, piece, &o);
        if (o.rc == ERR_CLOSED) o.rest += text.len - at - piece.len;
    }
    return o;
}

static struct outcome decode_everyhow(slice text)
{
    struct outcome whole = decode_cut(text, text.len);
    for (size_t step = 1; step < text.len; step++) {
        struct outcome o = decode_cut(text, step);
        if (o.rc != whole.rc || (o.rc == ERR_CLOSED && (o.rest != whole.rest || o.len != whole.len ||
                                                        memcmp(o.body, whole.body, o.len) != 0)))
            fail_msg("steps of %zu give another result: %.*s", step, (int)text.len, text.ptr);
    }
    for (size_t cut = 1; cut < text.len; cut++) {
        struct outcome o = {.rc = ERR_AGAIN};
        struct http_chunked c;
        http_chunked_init(&c, BODY_MAX);
        feed(&c, slice_sub(text, 0, cut), &o);
        if (o.rc == ERR_AGAIN) feed(&c, slice_sub(text, cut, text.len), &o);
        assert_int_equal(o.rc, whole.rc);
        if (o.rc == ERR_CLOSED) assert_memory_equal(o.body, whole.body, whole.len);
    }
    return whole;
}

static void chunks_are_joined_and_the_rest_is_left(void **state)
{
    (void)state;
    struct outcome o = decode_everyhow(
        SLICE("5\r\nhello\r\n00002;name=\"va l\"\r\n, \r\nA\r\n0123456789\r\n0\r\nX-Trailer: a\r\n"
              "Y:\r\n\r\nGET /"));
    assert_int_equal(o.rc, ERR_CLOSED);
    assert_int_equal(o.rest, 5);
    assert_int_equal(o.len, 17);
    assert_memory_equal(o.body, "hello, 0123456789", 17);
    o = decode_everyhow(SLICE("0\r\n\r\n"));
    assert_int_equal(o.rc, ERR_CLOSED);
    assert_int_equal(o.len, 0);
}

static void a_wrong_frame_is_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\r\n",
        "g\r\n",
        " 1\r\na\r\n",
        "1 \r\na\r\n",
        "1\na\r\n",
        "1\r\nab\r\n",
        "1\r\na\n0\r\n",
        "1\r\na0\r\n",
        "1\r\na\r0",
        "-1\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        "1;\x01\r\na",
        "1;a\n\r\n",
        "1;a\rb\r\n",
        "0\r\n\n",
        "0\r\nX\r\n\r\n",
        "0\r\nX : a\r\n\r\n",
        "0\r\n X: a\r\n",
        "0\r\n: a\r\n",
        "0\r\nX: \x01\r\n",
        "0\r\nX: a\n\r\n",
        "0\r\nX: a\r\r\n",
        "0\r\n\r\r",
        "1\rXa\r\n",
        ";a\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct outcome o = decode_everyhow(slice_text(bad[i]));
        if (o.rc != ERR_MALFORMED) fail_msg("%d: %s", o.rc, bad[i]);
    }
}

static void limits_hold_before_the_data_comes(void **state)
{
    (void)state;
    assert_int_equal(decode_everyhow(SLICE("41\r\n")).rc, ERR_TOO_LARGE);
    assert_int_equal(decode_everyhow(SLICE("40\r\n")).rc, ERR_AGAIN);
    assert_int_equal(decode_everyhow(SLICE("1\r\na\r\n40\r\n")).rc, ERR_TOO_LARGE);
    assert_int_equal(decode_everyhow(SLICE("FFFFFFFF\r\n")).rc, ERR_TOO_LARGE);
    assert_int_equal(decode_everyhow(SLICE("000000001\r\n")).rc, ERR_TOO_LARGE);
    assert_int_equal(decode_everyhow(SLICE("FFFFFFFFFFFFFFFF\r\n")).rc, ERR_TOO_LARGE);
}

static void extensions_and_trailers_are_bounded(void **state)
{
    (void)state;
    char text[CHUNKED_TRAILER_BYTES_MAX + 100];
    memset(text, 'x', sizeof text);
    memcpy(text, "1;", 2);
    assert_int_equal(decode_cut(slice_of(text, sizeof text), sizeof text).rc, ERR_TOO_LARGE);
    memset(text, 'x', sizeof text);
    memcpy(text, "0\r\nX:", 5);
    assert_int_equal(decode_cut(slice_of(text, sizeof text), sizeof text).rc, ERR_TOO_LARGE);
    /* many short ones too */
    struct http_chunked c;
    struct outcome o = {.rc = 0};
    http_chunked_init(&c, BODY_MAX);
    feed(&c, SLICE("0\r\n"), &o);
    for (int i = 0; i < 2000 && o.rc == ERR_AGAIN; i++)
        feed(&c, SLICE("X:\r\n"), &o);
    assert_int_equal(o.rc, ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined_and_the_rest_is_left),
        cmocka_unit_test(a_wrong_frame_is_malformed),
        cmocka_unit_test(limits_hold_before_the_data_comes),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
