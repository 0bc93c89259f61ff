/* The mark of what the tracker wrote for somebody. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "tracker/webdevice.h"

struct read {
    bool good, web;
    slice text, guest;
};

static struct read read_body(slice body)
{
    struct read r = {0};
    r.good = web_body_read(body, &r.text, &r.web, &r.guest);
    return r;
}

static bool is(slice bytes, const char *text)
{
    return slice_equal(bytes, slice_text(text));
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t room[256];
    struct writer w = writer_of(room, sizeof room);
    assert_int_equal(web_body(SLICE("hello"), SLICE_EMPTY, &w), OK);
    struct read r = read_body(writer_slice(&w));
    assert_true(r.good && r.web && is(r.text, "hello") && r.guest.len == 0);
    w = writer_of(room, sizeof room);
    assert_int_equal(web_body(SLICE("hello"), SLICE("binh"), &w), OK);
    r = read_body(writer_slice(&w));
    assert_true(r.good && r.web && is(r.text, "hello") && is(r.guest, "binh"));
    w = writer_of(room, 5);
    assert_int_equal(web_body(SLICE("hello"), SLICE_EMPTY, &w), ERR_TOO_LARGE);
}

static void what_others_write_is_no_mark(void **state)
{
    (void)state;
    struct read r = read_body(SLICE("\x81\x42hi")); /* [text] */
    assert_true(r.good && !r.web && is(r.text, "hi"));
    r = read_body(SLICE("\x82\x42hi\x80")); /* [text, []] */
    assert_true(r.good && !r.web);
    r = read_body(SLICE("\x82\x42hi\x07")); /* [text, 7]: something newer */
    assert_true(r.good && !r.web && is(r.text, "hi"));
    r = read_body(SLICE("\x82\x42hi\x81\x02")); /* [text, [2]] */
    assert_true(r.good && !r.web);
    r = read_body(SLICE("\x82\x42hi\x82\x01\x07")); /* [text, [1, 7]] */
    assert_true(r.good && r.guest.len == 0);
    r = read_body(SLICE("\x83\x42hi\x81\x01\x41x")); /* [text, [1], more] */
    assert_true(r.good && r.web && is(r.text, "hi"));
}

static void what_is_no_text_is_none(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",           "\x80",   "\x81",           "\x81\x07",
                                         "\x81\x43hi", "\x42hi", "\x9f\x42hi\xff", "\xff"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_false(read_body(slice_text(bodies[i])).good);
    /* Cut at any place. */
    static const char whole[] = "\x82\x42hi\x82\x01\x44"
                                "binh";
    for (size_t len = 0; len < sizeof whole - 1; len++)
        (void)read_body(slice_of(whole, len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_others_write_is_no_mark),
        cmocka_unit_test(what_is_no_text_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
