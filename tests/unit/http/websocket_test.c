/* WebSocket frames and messages, cut everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "http/ws_reader.h"

enum { MESSAGE_MAX = 1000, LOG_BYTES = 8192 };

/* Whether the readers of this test allow compressed messages. */
static bool deflate_agreed;

static void init_reader(struct ws_reader *r)
{
    ws_reader_init(r, &allocator_libc, MESSAGE_MAX, true);
    if (deflate_agreed) ws_reader_allow_compressed(r);
}

/* What came out, as text, so that two runs can be compared. */
struct log {
    char text[LOG_BYTES];
    size_t len;
};

static void note(struct log *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(log->text + log->len, LOG_BYTES - log->len, format, arguments);
    va_end(arguments);
    assert_true(n >= 0 && (size_t)n < LOG_BYTES - log->len);
    log->len += (size_t)n;
}

static int feed(struct ws_reader *r, slice bytes, struct log *log)
{
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1), *at = copy;
    memcpy(copy, bytes.ptr, bytes.len);
    size_t left = bytes.len;
    struct ws_event e;
    int rc;
    while ((rc = ws_reader_next(r, &at, &left, &e)) == OK) {
        uint32_t sum = 0;
        for (size_t i = 0; i < e.payload.len; i++)
            sum = sum * 31 + e.payload.ptr[i];
        note(log, "%s%d:%zu:%x:%u ", e.compressed ? "z" : "", (int)e.opcode, e.payload.len, sum,
             e.opcode == WS_CLOSE ? e.close_code : 0);
    }
    if (rc != ERR_AGAIN) note(log, "error %d", rc);
    if (rc == ERR_AGAIN) assert_int_equal(left, 0);
    free(copy);
    return rc;
}

static void read_in_steps(slice bytes, size_t step, struct log *log)
{
    struct ws_reader r;
    init_reader(&r);
    log->len = 0;
    log->text[0] = 0;
    int rc = ERR_AGAIN;
    for (size_t at = 0; at < bytes.len && rc == ERR_AGAIN; at += step)
        rc = feed(&r, slice_sub(bytes, at, step), log);
    ws_reader_deinit(&r);
}

static void read_everyhow(slice bytes, struct log *whole)
{
    static struct log other;
    read_in_steps(bytes, bytes.len ? bytes.len : 1, whole);
    for (size_t step = 1; step < bytes.len && step < 40; step++) {
        read_in_steps(bytes, step, &other);
        assert_string_equal(other.text, whole->text);
    }
    for (size_t cut = 1; cut < bytes.len; cut++) {
        struct ws_reader r;
        init_reader(&r);
        other.len = 0;
        other.text[0] = 0;
        if (feed(&r, slice_sub(bytes, 0, cut), &other) == ERR_AGAIN)
            feed(&r, slice_sub(bytes, cut, bytes.len), &other);
        assert_string_equal(other.text, whole->text);
        ws_reader_deinit(&r);
    }
}

/* Added to an opcode: the frame is marked as compressed. */
enum { COMPRESSED = 0x40 };

/* Appends one masked frame, as a client sends it. */
static void put_frame(struct buffer *b, uint8_t opcode, bool fin, slice payload)
{
    uint8_t head[WS_FRAME_HEAD_MAX], mask[4] = {0x37, 0xFA, 0x21, 0x3D};
    struct ws_frame f = {.len = payload.len,
                         .opcode = opcode & 15,
                         .fin = fin,
                         .rsv1 = opcode & COMPRESSED,
                         .masked = true,
                         .mask = {0x37, 0xFA, 0x21, 0x3D}};
    buffer_put(b, slice_of(head, ws_frame_write(&f, head)));
    size_t start = b->len;
    buffer_put(b, payload);
    ws_mask(b->ptr + start, payload.len, mask, 0);
}

static void the_examples_of_the_rfc_are_read(void **state)
{
    (void)state;
    /* RFC 6455 5.7: a masked "Hello" */
    uint8_t masked[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}, *at = masked;
    size_t left = sizeof masked;
    struct ws_reader r;
    struct ws_event e;
    ws_reader_init(&r, &allocator_libc, MESSAGE_MAX, true);
    assert_int_equal(ws_reader_next(&r, &at, &left, &e), OK);
    assert_int_equal(e.opcode, WS_TEXT);
    assert_true(slice_equal(e.payload, SLICE("Hello")));
    assert_true(e.payload.ptr == masked + 6); /* in place */
    ws_reader_deinit(&r);
    /* and, as a server sends it, unmasked in two fragments */
    uint8_t fragments[] = {0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f};
    at = fragments;
    left = sizeof fragments;
    ws_reader_init(&r, &allocator_libc, MESSAGE_MAX, false);
    assert_int_equal(ws_reader_next(&r, &at, &left, &e), OK);
    assert_true(slice_equal(e.payload, SLICE("Hello")));
    ws_reader_deinit(&r);
}

static void heads_are_written_in_their_shortest_form_and_read_back(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, UINT64_MAX >> 1};
    static const size_t sizes[] = {2, 2, 2, 4, 4, 4, 10, 10};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int masked = 0; masked < 2; masked++) {
            struct ws_frame f = {.len = lengths[i],
                                 .opcode = WS_BINARY,
                                 .fin = true,
                                 .rsv1 = i & 1,
                                 .masked = masked,
                                 .mask = {1, 2, 3, 4}},
                            got;
            uint8_t head[WS_FRAME_HEAD_MAX];
            size_t n = ws_frame_write(&f, head);
            assert_int_equal(n, sizes[i] + (masked ? 4 : 0));
            for (size_t cut = 0; cut < n; cut++)
                assert_int_equal(ws_frame_parse(slice_of(head, cut), &got), ERR_AGAIN);
            assert_int_equal(ws_frame_parse(slice_of(head, n), &got), OK);
            assert_true(got.len == f.len && got.opcode == f.opcode && got.fin && got.head_len == n);
            assert_int_equal(got.rsv1, f.rsv1);
            assert_int_equal(got.masked, masked);
            if (masked) assert_memory_equal(got.mask, f.mask, 4);
        }
    }
}

static void forbidden_heads_are_refused(void **state)
{
    (void)state;
    static const uint8_t bad[][10] = {
        {0xC9, 0x80}, /* a compressed ping, */
        {0xC8, 0x80},
        {0xC0, 0x80}, /* and continuation */
        {0xE1, 0x80},
        {0xA1, 0x80},
        {0x91, 0x80}, /* reserved bits */
        {0x83, 0x80},
        {0x87, 0x80},
        {0x8B, 0x80},
        {0x8F, 0x80}, /* reserved opcodes */
        {0x09, 0x80},
        {0x08, 0x80},
        {0x0A, 0x80}, /* fragmented control frames */
        {0x89, 0xFE, 0, 126},
        {0x88, 0xFF}, /* long control frames */
        {0x82, 0xFE, 0, 125},
        {0x82, 0xFE, 0, 0}, /* lengths that need not be so long */
        {0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF},
        {0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}, /* top bit */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ws_frame f;
        assert_int_equal(ws_frame_parse(slice_of(bad[i], 10), &f), ERR_PROTOCOL);
    }
}

static void masking_continues_at_any_offset(void **state)
{
    (void)state;
    uint8_t text[61], plain[61], mask[4] = {9, 8, 7, 6};
    for (size_t i = 0; i < sizeof text; i++)
        plain[i] = (uint8_t)(i * 7);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        memcpy(text, plain, sizeof text);
        ws_mask(text, cut, mask, 0);
        ws_mask(text + cut, sizeof text - cut, mask, cut);
        for (size_t i = 0; i < sizeof text; i++)
            assert_int_equal(text[i], plain[i] ^ mask[i & 3]);
    }
}

static void messages_fragments_and_control_frames_come_out_alike_however_cut(void **state)
{
    (void)state;
    static struct log log;
    uint8_t much[MESSAGE_MAX];
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (uint8_t)i;
    struct buffer b;
    buffer_init(&b, &allocator_libc, 10000);
    put_frame(&b, WS_TEXT, true, SLICE("one"));
    put_frame(&b, WS_TEXT, false, SLICE("caf\xc3"));
    put_frame(&b, WS_PING, true, SLICE("between"));
    put_frame(&b, WS_CONTINUATION, false, SLICE_EMPTY);
    put_frame(&b, WS_PONG, true, SLICE_EMPTY);
    put_frame(&b, WS_CONTINUATION, true, SLICE("\xa9"));
    put_frame(&b, WS_BINARY, true, SLICE_EMPTY);
    put_frame(&b, WS_BINARY, true, slice_of(much, 300));
    put_frame(&b, WS_BINARY, false, SLICE_EMPTY);
    put_frame(&b, WS_CONTINUATION, true, slice_of(much, MESSAGE_MAX));
    put_frame(&b, WS_CLOSE, true,
              SLICE("\x03\xE8"
                    "bye"));
    read_everyhow(buffer_slice(&b), &log);
    /* kind and length of each */
    static const char *const expected[] = {
        "1:3:", " 9:7:", " 10:0:", " 1:5:", " 2:0:", " 2:300:", " 2:1000:", " 8:3:"};
    const char *at = log.text;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        at = strstr(at, expected[i]);
        if (!at) fail_msg("%s is missing in %s", expected[i], log.text);
    }
    assert_non_null(strstr(at, ":1000 ")); /* the code */
    assert_null(strstr(log.text, "error"));
    buffer_reset(&b);
}

static void expect_error(struct buffer *b, int error)
{
    static struct log log;
    char want[32];
    read_everyhow(buffer_slice(b), &log);
    snprintf(want, sizeof want, "error %d", error);
    if (!strstr(log.text, want)) fail_msg("%s instead of %s", log.text, want);
    buffer_reset(b);
}

static void what_the_protocol_forbids_ends_it(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, &allocator_libc, 10000);
    put_frame(&b, WS_CONTINUATION, true, SLICE("x")); /* continues nothing */
    expect_error(&b, ERR_PROTOCOL);
    put_frame(&b, WS_TEXT, false, SLICE("x"));
    put_frame(&b, WS_TEXT, true, SLICE("y")); /* a new message within one */
    expect_error(&b, ERR_PROTOCOL);
    put_frame(&b, WS_CLOSE, true, SLICE("\x03")); /* half a code */
    expect_error(&b, ERR_PROTOCOL);
    static const unsigned codes[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        uint8_t code[2] = {(uint8_t)(codes[i] >> 8), (uint8_t)codes[i]};
        put_frame(&b, WS_CLOSE, true, slice_of(code, 2));
        expect_error(&b, ERR_PROTOCOL);
    }
    buffer_put(&b, SLICE("\x81\x01x")); /* not masked */
    expect_error(&b, ERR_PROTOCOL);
    put_frame(&b, WS_CLOSE, true, SLICE("\x03\xE8\xFF"));
    expect_error(&b, ERR_MALFORMED);
}

static void codes_of_the_protocol_and_of_applications_close_it(void **state)
{
    (void)state;
    static const unsigned codes[] = {1000, 1001, 1003, 1007, 1014, 3000, 3999, 4000, 4999};
    static struct log log;
    struct buffer b;
    buffer_init(&b, &allocator_libc, 10000);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        uint8_t code[2] = {(uint8_t)(codes[i] >> 8), (uint8_t)codes[i]};
        char want[16];
        put_frame(&b, WS_CLOSE, true, slice_of(code, 2));
        read_everyhow(buffer_slice(&b), &log);
        snprintf(want, sizeof want, ":%u ", codes[i]);
        if (!strstr(log.text, want)) fail_msg("%u: %s", codes[i], log.text);
        buffer_reset(&b);
    }
}

static void text_must_be_utf8_but_only_as_a_whole(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, &allocator_libc, 10000);
    put_frame(&b, WS_TEXT, true, SLICE("\xED\xA0\x80"));
    expect_error(&b, ERR_MALFORMED);
    put_frame(&b, WS_TEXT, false, SLICE("caf\xc3"));
    put_frame(&b, WS_CONTINUATION, true, SLICE("x"));
    expect_error(&b, ERR_MALFORMED);
}

/* RFC 6455 8.1: a server may fail at the first byte that cannot belong to any text. */
static void text_that_cannot_become_utf8_ends_it_before_its_frame_is_whole(void **state)
{
    (void)state;
    struct ws_reader r;
    struct ws_event e;
    uint8_t begin[] = {0x01, 0x02, 'a', 0xC3, 0x80, 0x7E, 0x01, 0x00, 0xA9, 'b'}, *at = begin;
    size_t left = sizeof begin;
    ws_reader_init(&r, &allocator_libc, MESSAGE_MAX, false);
    assert_int_equal(ws_reader_next(&r, &at, &left, &e), ERR_AGAIN);
    uint8_t bad[] = {0xC3, 'x'};
    at = bad;
    left = 1;
    assert_int_equal(ws_reader_next(&r, &at, &left, &e), ERR_AGAIN);
    left = 1;
    assert_int_equal(ws_reader_next(&r, &at, &left, &e), ERR_MALFORMED);
    ws_reader_deinit(&r);
}

static void a_reader_between_messages_holds_nothing(void **state)
{
    (void)state;
    struct ws_reader r;
    struct ws_event e;
    uint8_t frame[] = {0x82, 0x03, 'a', 'b', 'c'};
    ws_reader_init(&r, &allocator_libc, MESSAGE_MAX, false);
    for (size_t cut = 0; cut <= sizeof frame; cut++) {
        uint8_t copy[sizeof frame], *at = copy;
        memcpy(copy, frame, sizeof frame);
        size_t left = cut;
        bool whole = cut == sizeof frame;
        assert_int_equal(ws_reader_next(&r, &at, &left, &e), whole ? OK : ERR_AGAIN);
        left = sizeof frame - cut;
        if (!whole) assert_int_equal(ws_reader_next(&r, &at, &left, &e), OK);
        assert_true(slice_equal(e.payload, SLICE("abc")));
        assert_int_equal(ws_reader_next(&r, &at, &left, &e), ERR_AGAIN);
        assert_null(r.partial);
    }
    assert_true(sizeof r <= 24);
}

/* Gives out memory so often. */
static void *resize_so_often(void *context, void *ptr, size_t old_size, size_t size)
{
    int *left = context;
    if (size > 0 && (*left)-- <= 0) return NULL;
    return allocator_libc.resize(NULL, ptr, old_size, size);
}

static void without_memory_it_ends_with_an_error_and_loses_nothing(void **state)
{
    (void)state;
    uint8_t frame[400] = {0x82, 0x7E, 0x01, 0x86};
    int rc = ERR_MEMORY;
    for (int allocations = 0; rc == ERR_MEMORY; allocations++) {
        int left = allocations;
        struct allocator allocator = {.context = &left, .resize = resize_so_often};
        struct ws_reader r;
        struct ws_event e;
        assert_true(allocations < 20);
        ws_reader_init(&r, &allocator, MESSAGE_MAX, false);
        rc = ERR_AGAIN;
        for (size_t i = 0; i < 394 && rc == ERR_AGAIN; i += 2) {
            uint8_t piece[2] = {frame[i], frame[i + 1]}, *at = piece;
            size_t len = 2;
            rc = ws_reader_next(&r, &at, &len, &e);
        }
        if (allocations < 2) assert_int_equal(rc, ERR_MEMORY);
        ws_reader_deinit(&r);
    }
    assert_int_equal(rc, OK);
}

static void a_message_over_the_limit_ends_it_before_it_is_read(void **state)
{
    (void)state;
    struct buffer b;
    buffer_init(&b, &allocator_libc, 10000);
    uint8_t head[WS_FRAME_HEAD_MAX];
    struct ws_frame f = {.len = MESSAGE_MAX + 1, .opcode = WS_BINARY, .fin = true, .masked = true};
    buffer_put(&b, slice_of(head, ws_frame_write(&f, head)));
    expect_error(&b, ERR_TOO_LARGE);
    uint8_t half[MESSAGE_MAX / 2 + 1] = {0};
    put_frame(&b, WS_BINARY, false, slice_of(half, sizeof half));
    f = (struct ws_frame){.len = MESSAGE_MAX / 2, .opcode = WS_CONTINUATION, .fin = true, .masked = true};
    buffer_put(&b, slice_of(head, ws_frame_write(&f, head)));
    expect_error(&b, ERR_TOO_LARGE);
}

static void compressed_messages_are_given_out_where_they_were_agreed_on(void **state)
{
    (void)state;
    static struct log log;
    struct buffer b;
    buffer_init(&b, &allocator_libc, 10000);
    deflate_agreed = true;
    put_frame(&b, WS_TEXT | COMPRESSED, true, SLICE("\xf2\x48\xcd\xc9\xc9\x07\x00")); /* RFC 7692 7.2.3.1 */
    put_frame(&b, WS_TEXT, true, SLICE("plain"));
    put_frame(&b, WS_BINARY | COMPRESSED, false, SLICE("\xf2\x48\xcd"));
    put_frame(&b, WS_PING, true, SLICE("!"));
    put_frame(&b, WS_CONTINUATION, true, SLICE("\xc9\xc9\x07\x00"));
    put_frame(&b, WS_BINARY, true, SLICE("x"));
    read_everyhow(buffer_slice(&b), &log);
    assert_null(strstr(log.text, "error"));
    static const char *const expected[] = {"z1:7:", " 1:5:", " 9:1:", " z2:7:", " 2:1:"};
    const char *at = log.text;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        at = strstr(at, expected[i]);
        if (!at) fail_msg("%s is missing in %s", expected[i], log.text);
    }
    buffer_reset(&b);
    put_frame(&b, WS_TEXT | COMPRESSED, false, SLICE("a"));
    put_frame(&b, WS_CONTINUATION | COMPRESSED, true, SLICE("b")); /* only the first frame is marked */
    expect_error(&b, ERR_PROTOCOL);
    put_frame(&b, WS_PING | COMPRESSED, true, SLICE("a"));
    expect_error(&b, ERR_PROTOCOL);
    put_frame(&b, WS_TEXT, true, SLICE("\xff")); /* not marked: it has to be a text */
    expect_error(&b, ERR_MALFORMED);
    deflate_agreed = false;
    put_frame(&b, WS_TEXT | COMPRESSED, true, SLICE("a"));
    expect_error(&b, ERR_PROTOCOL);
}

static void keys_of_the_handshake_are_16_bytes_in_base64(void **state)
{
    (void)state;
    assert_true(ws_key_valid(SLICE("dGhlIHNhbXBsZSBub25jZQ==")));
    assert_false(ws_key_valid(SLICE("dGhlIHNhbXBsZSBub25jZQ=")));
    assert_false(ws_key_valid(SLICE("dGhlIHNhbXBsZSBub25jZQAA")));
    assert_false(ws_key_valid(SLICE("dGhlIHNhbXBsZSBub25j ZQ==")));
    assert_false(ws_key_valid(SLICE("dGhlIHNhbXBsZSBub25j*Q==")));
    assert_false(ws_key_valid(SLICE_EMPTY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_are_read),
        cmocka_unit_test(heads_are_written_in_their_shortest_form_and_read_back),
        cmocka_unit_test(forbidden_heads_are_refused),
        cmocka_unit_test(masking_continues_at_any_offset),
        cmocka_unit_test(messages_fragments_and_control_frames_come_out_alike_however_cut),
        cmocka_unit_test(what_the_protocol_forbids_ends_it),
        cmocka_unit_test(codes_of_the_protocol_and_of_applications_close_it),
        cmocka_unit_test(text_must_be_utf8_but_only_as_a_whole),
        cmocka_unit_test(text_that_cannot_become_utf8_ends_it_before_its_frame_is_whole),
        cmocka_unit_test(a_reader_between_messages_holds_nothing),
        cmocka_unit_test(without_memory_it_ends_with_an_error_and_loses_nothing),
        cmocka_unit_test(a_message_over_the_limit_ends_it_before_it_is_read),
        cmocka_unit_test(compressed_messages_are_given_out_where_they_were_agreed_on),
        cmocka_unit_test(keys_of_the_handshake_are_16_bytes_in_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
