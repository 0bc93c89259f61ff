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

/* What is kept of trailers. */
static struct buffer trailers = {.allocator = &allocator_libc, .max = CHUNKED_TRAILER_BYTES_MAX};

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

static void init(struct http_chunked *c)
{
    http_chunked_init(c, BODY_MAX);
    http_chunked_keep_trailers(c, &trailers);
    trailers.len = 0;
}

static struct outcome decode_cut(slice text, size_t step)
{
    struct outcome o = {.rc = ERR_AGAIN};
    struct http_chunked c;
    init(&c);
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
    uint8_t kept[CHUNKED_TRAILER_BYTES_MAX];
    size_t kept_len = trailers.len;
    if (kept_len) memcpy(kept, trailers.ptr, kept_len);
    for (size_t step = 1; step < text.len; step++) {
        struct outcome o = decode_cut(text, step);
        if (o.rc != whole.rc || (o.rc == ERR_CLOSED && (o.rest != whole.rest || o.len != whole.len ||
                                                        memcmp(o.body, whole.body, o.len) != 0)))
            fail_msg("steps of %zu give another result: %.*s", step, (int)text.len, text.ptr);
        assert_true(slice_equal(buffer_slice(&trailers), slice_of(kept, kept_len)));
    }
    for (size_t cut = 1; cut < text.len; cut++) {
        struct outcome o = {.rc = ERR_AGAIN};
        struct http_chunked c;
        init(&c);
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
    for (int keeping = 0; keeping < 2; keeping++) {
        init(&c);
        if (!keeping) http_chunked_keep_trailers(&c, NULL);
        feed(&c, SLICE("0\r\n"), &o);
        for (int i = 0; i < 2000 && o.rc == ERR_AGAIN; i++)
            feed(&c, SLICE("X:\r\n"), &o);
        assert_int_equal(o.rc, ERR_TOO_LARGE);
    }
}

static void trailers_are_kept_but_for_those_that_must_come_first(void **state)
{
    (void)state;
    struct outcome o =
        decode_everyhow(SLICE("1\r\na\r\n0\r\nX-Sum: \t 12 34 \r\nContent-Length: 5\r\nEmpty:\r\n"
                              "transfer-ENCODING: chunked\r\nHost: b\r\nX-Forwarded-For: 1.2.3.4\r\n"
                              "X-Sum: c:d\r\n\r\nGET"));
    assert_int_equal(o.rc, ERR_CLOSED);
    assert_int_equal(o.rest, 3);
    static const char *const kept[][2] = {{"X-Sum", "12 34"}, {"Empty", ""}, {"X-Sum", "c:d"}};
    slice rest = buffer_slice(&trailers), name, value;
    for (size_t i = 0; i < 3; i++) {
        assert_true(http_trailer_next(&rest, &name, &value));
        assert_true(slice_equal(name, slice_text(kept[i][0])));
        assert_true(slice_equal(value, slice_text(kept[i][1])));
    }
    assert_false(http_trailer_next(&rest, &name, &value));
    assert_int_equal(decode_everyhow(SLICE("0\r\nHost: b\r\n\r\n")).rc, ERR_CLOSED);
    assert_int_equal(trailers.len, 0);
    rest = buffer_slice(&trailers);
    assert_false(http_trailer_next(&rest, &name, &value));
}

static void *no_memory(void *context, void *ptr, size_t old_size, size_t size)
{
    (void)context;
    (void)ptr;
    (void)old_size;
    (void)size;
    return NULL;
}

static void without_memory_for_trailers_the_body_ends_in_an_error(void **state)
{
    (void)state;
    static const struct allocator none = {.resize = no_memory};
    struct buffer room;
    struct http_chunked c;
    slice input = SLICE("1\r\na\r\n0\r\nX: y\r\n\r\n"), data;
    buffer_init(&room, &none, CHUNKED_TRAILER_BYTES_MAX);
    http_chunked_init(&c, BODY_MAX);
    http_chunked_keep_trailers(&c, &room);
    assert_int_equal(http_chunked_next(&c, &input, &data), OK);
    assert_int_equal(http_chunked_next(&c, &input, &data), ERR_MEMORY);
    /* and a buffer that is too small says so */
    buffer_init(&room, &allocator_libc, 3);
    http_chunked_init(&c, BODY_MAX);
    http_chunked_keep_trailers(&c, &room);
    input = SLICE("0\r\nX: y\r\n\r\n");
    assert_int_equal(http_chunked_next(&c, &input, &data), ERR_TOO_LARGE);
    buffer_reset(&room);
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1, 9, 10, 15, 16, 255, 256, 0xFFFFFFFF, UINT64_MAX};
    static const char *const heads[] = {"1\r\n",   "9\r\n",        "a\r\n",
                                        "f\r\n",   "10\r\n",       "ff\r\n",
                                        "100\r\n", "ffffffff\r\n", "ffffffffffffffff\r\n"};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t head[CHUNKED_HEAD_BYTES_MAX];
        struct writer h = writer_of(head, sizeof head);
        http_chunk_head_write(&h, lengths[i]);
        assert_false(h.failed);
        assert_true(slice_equal(writer_slice(&h), slice_text(heads[i])));
    }
    char room[200];
    struct writer w = writer_of(room, sizeof room);
    http_chunk_head_write(&w, 26);
    writer_put(&w, SLICE("abcdefghijklmnopqrstuvwxyz"));
    writer_put(&w, HTTP_CHUNK_END);
    writer_put(&w, HTTP_CHUNKED_LAST);
    assert_int_equal(http_trailer_write(&w, SLICE("X-Sum"), SLICE("1")), OK);
    writer_put(&w, HTTP_CHUNK_END);
    struct outcome o = decode_everyhow(writer_slice(&w));
    assert_int_equal(o.rc, ERR_CLOSED);
    assert_int_equal(o.len, 26);
    assert_true(slice_equal(buffer_slice(&trailers), SLICE("X-Sum: 1\n")));
    assert_int_equal(decode_everyhow(HTTP_CHUNKED_END).rc, ERR_CLOSED);
}

static void a_trailer_that_would_do_harm_is_not_written(void **state)
{
    (void)state;
    char room[20];
    struct writer w = writer_of(room, sizeof room);
    assert_int_equal(http_trailer_write(&w, SLICE("Content-Length"), SLICE("1")), ERR_INVALID);
    assert_int_equal(http_trailer_write(&w, SLICE("set-cookie"), SLICE("1")), ERR_INVALID);
    assert_int_equal(http_trailer_write(&w, SLICE("X"), SLICE("1\r\nY: 2")), ERR_INVALID);
    assert_int_equal(http_trailer_write(&w, SLICE("X Y"), SLICE("1")), ERR_INVALID);
    assert_int_equal(http_trailer_write(&w, SLICE(""), SLICE("1")), ERR_INVALID);
    assert_int_equal(http_trailer_write(&w, SLICE("X"), SLICE("12345678901234567")), ERR_FULL);
    assert_int_equal(w.len, 0);
    assert_int_equal(http_trailer_write(&w, SLICE("X"), SLICE("123456789012345")), OK);
    assert_true(w.len == 20 && !w.failed);
}

static int free_trailers(void **state)
{
    (void)state;
    buffer_reset(&trailers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined_and_the_rest_is_left),
        cmocka_unit_test(a_wrong_frame_is_malformed),
        cmocka_unit_test(limits_hold_before_the_data_comes),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
        cmocka_unit_test(trailers_are_kept_but_for_those_that_must_come_first),
        cmocka_unit_test(without_memory_for_trailers_the_body_ends_in_an_error),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_trailer_that_would_do_harm_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, free_trailers);
}
