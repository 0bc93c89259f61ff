/* Whole URLs, percent-encoding, and what the path of a request may name below a folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/static_path.h"
#include "http/url.h"

/* A copy of exactly this length, so that the sanitizer sees reads past the end. */
static slice copy_of(const char *text)
{
    size_t len = strlen(text);
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    return slice_of(copy, len);
}

static void drop(slice copy)
{
    free((void *)(uintptr_t)copy.ptr);
}

/* "scheme host port authority target", a name of the error. */
static const char *told(const char *text)
{
    static char out[512];
    static const char *const schemes[] = {"http", "https", "ws", "wss"};
    slice copy = copy_of(text);
    struct url url;
    int rc = url_parse(copy, &url);
    if (rc < 0) {
        drop(copy);
        return err_name(rc);
    }
    struct buffer target;
    buffer_init(&target, &allocator_libc, 200);
    url_target_write(&target, &url);
    assert_false(target.failed);
    snprintf(out, sizeof out, "%s%s %s%.*s %u %.*s %.*s", schemes[url.scheme], url.secure ? "!" : "",
             url.host_is_v6 ? "v6:" : "", (int)url.host.len, (const char *)url.host.ptr, url.port,
             (int)url.authority.len, (const char *)url.authority.ptr, (int)target.len,
             (const char *)target.ptr);
    buffer_reset(&target);
    drop(copy);
    return out;
}

static void a_url_is_taken_apart_or_refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"http://a", "http a 80 a /"},
        {"HTTP://A.Example/", "http A.Example 80 A.Example /"},
        {"https://a/b/c?d=e&f#g", "https! a 443 a /b/c?d=e&f"},
        {"ws://a:8080/chat", "ws a 8080 a:8080 /chat"},
        {"wss://a:443/", "wss! a 443 a /"},
        {"http://a:443", "http a 443 a:443 /"},
        {"http://a:80/", "http a 80 a /"},
        {"http://a:/", "http a 80 a /"},
        {"http://a?b", "http a 80 a /?b"},
        {"http://a?", "http a 80 a /?"},
        {"http://a/?", "http a 80 a /?"},
        {"http://a#b?c", "http a 80 a /"},
        {"http://[::1]:8080/x", "http v6:::1 8080 [::1]:8080 /x"},
        {"https://[2001:DB8::1]", "https! v6:2001:DB8::1 443 [2001:DB8::1] /"},
        {"http://127.0.0.1/", "http 127.0.0.1 80 127.0.0.1 /"},
        {"http://azAZ09-._~/", "http azAZ09-._~ 80 azAZ09-._~ /"},
        {"http://a/%20;a=b/'()*!~@:$,", "http a 80 a /%20;a=b/'()*!~@:$,"},
        /* other schemes */
        {"", "PROTOCOL"},
        {"/a", "PROTOCOL"},
        {"a", "PROTOCOL"},
        {"ftp://a/", "PROTOCOL"},
        {"file:///etc/passwd", "PROTOCOL"},
        {"javascript:alert(1)", "PROTOCOL"},
        {"http:/a", "PROTOCOL"},
        {"http:a", "PROTOCOL"},
        {" http://a/", "PROTOCOL"},
        /* a user part */
        {"http://u@a/", "MALFORMED"},
        {"http://u:p@a/", "MALFORMED"},
        {"http://a:80@b/", "MALFORMED"},
        {"http://a\\@b/", "MALFORMED"},
        /* hosts and ports */
        {"http://", "MALFORMED"},
        {"http:///a", "MALFORMED"},
        {"http://:80/", "MALFORMED"},
        {"http://a:0/", "MALFORMED"},
        {"http://a:65536/", "MALFORMED"},
        {"http://a:-1/", "MALFORMED"},
        {"http://a:80a/", "MALFORMED"},
        {"http://a:80:80/", "MALFORMED"},
        {"http://a b/", "MALFORMED"},
        {"http://a%2eb/", "MALFORMED"},
        {"http://caf\xc3\xa9/", "MALFORMED"},
        {"http://[::1/", "MALFORMED"},
        {"http://[]/", "MALFORMED"},
        {"http://[::1]a/", "MALFORMED"},
        {"http://[::1%25eth0]/", "MALFORMED"},
        {"http://[127.0.0.1]/", "MALFORMED"},
        {"http://[v1.a]/", "MALFORMED"},
        {"http://::1/", "MALFORMED"},
        /* characters that must be encoded, so that nothing can be put into the request */
        {"http://a/ b", "MALFORMED"},
        {"http://a/\r\nX: y", "MALFORMED"},
        {"http://a/?\n", "MALFORMED"},
        {"http://a/\x01", "MALFORMED"},
        {"http://a/\x7f", "MALFORMED"},
        {"http://a/caf\xc3\xa9", "MALFORMED"},
        {"http://a/b\\c", "MALFORMED"},
        {"http://a/\"", "MALFORMED"},
        {"http://a/<", "MALFORMED"},
        {"http://a/{b}", "MALFORMED"},
        {"http://a\r\nb/", "MALFORMED"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(told(rows[i][0]), rows[i][1]) != 0) fail_msg("%s: %s", rows[i][0], told(rows[i][0]));
    }
}

static void what_is_encoded_is_decoded_again(void **state)
{
    (void)state;
    uint8_t every[256], out[768];
    struct buffer b;
    size_t len;
    for (int i = 0; i < 256; i++)
        every[i] = (uint8_t)i;
    buffer_init(&b, &allocator_libc, 1000);
    url_encode_component(&b, slice_of(every + 1, 255)); /* url_decode refuses a NUL */
    assert_false(b.failed);
    assert_int_equal(url_decode(buffer_slice(&b), true, out, &len), OK);
    assert_true(slice_equal(slice_of(out, len), slice_of(every + 1, 255)));
    assert_true(url_target_valid(buffer_slice(&b)));
    buffer_reset(&b);
    url_encode_path(&b, slice_of(every + 1, 255));
    assert_int_equal(url_decode(buffer_slice(&b), false, out, &len), OK);
    assert_true(slice_equal(slice_of(out, len), slice_of(every + 1, 255)));
    assert_true(url_target_valid(buffer_slice(&b)));
    buffer_reset(&b);
    url_encode_component(&b, SLICE("a b/c?d=e&f+\u00e9-._~"));
    assert_true(slice_equal(buffer_slice(&b), SLICE("a%20b%2Fc%3Fd%3De%26f%2B%C3%A9-._~")));
    buffer_reset(&b);
    url_encode_path(&b, SLICE("/a b/c?d#e%20@:!$&'()*+,;="));
    assert_true(slice_equal(buffer_slice(&b), SLICE("/a%20b/c%3Fd%23e%2520@:!$&'()*+,;=")));
    buffer_reset(&b);
}

/* The path, then '/' when it is a folder and '*' when hidden; a name of the error. */
static const char *resolved(const char *path)
{
    static char out[300];
    char *room = malloc(64);
    slice copy = copy_of(path);
    struct static_path p;
    int rc = static_path_parse(copy, room, 64, &p);
    if (rc == OK) {
        assert_int_equal(strlen(room), p.len);
        snprintf(out, sizeof out, "%s%s%s", room, p.directory ? "/" : "", p.hidden ? "*" : "");
    }
    free(room);
    drop(copy);
    return rc < 0 ? err_name(rc) : out;
}

#define TEN "0123456789"

static void a_path_never_leaves_its_folder(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"/", "/"},
        {"/a", "a"},
        {"/a/", "a/"},
        {"/a/b.html", "a/b.html"},
        {"/a%20b/%C3%A9", "a b/\u00e9"},
        {"/caf\xc3\xa9", "caf\u00e9"},
        {"/a%2Eb", "a.b"},
        {"/a+b", "a+b"},
        {"/a%2525", "a%25"},
        {"/~root", "~root"},
        {"/C:/a", "C:/a"},
        {"/...", "...*"},
        {"/a..b/..c", "a..b/..c*"},
        {"/.well-known/x", ".well-known/x*"},
        {"/%2egit/config", ".git/config*"},
        /* slashes and dots that say nothing */
        {"//", "/"},
        {"//etc//passwd", "etc/passwd"},
        {"/a//", "a/"},
        {"/./a/./b", "a/b"},
        {"/a/.", "a/"},
        {"/a/%2e", "a/"},
        {"/.", "/"},
        /* upwards */
        {"/..", "DENIED"},
        {"/../", "DENIED"},
        {"/../etc/passwd", "DENIED"},
        {"/a/..", "DENIED"},
        {"/a/../b", "DENIED"},
        {"/a/../../b", "DENIED"},
        {"//..//a", "DENIED"},
        {"/./../a", "DENIED"},
        {"/%2e%2e/a", "DENIED"},
        {"/%2E%2E/a", "DENIED"},
        {"/.%2e/a", "DENIED"},
        {"/%2e./a", "DENIED"},
        {"/%252e%252e/a", "%2e%2e/a"}, /* decoded once: an odd name, not a way up */
        {"/..;/a", "..;/a*"},
        {"/.. /a", ".. /a*"},
        {"/..%20/a", ".. /a*"},
        {"/\xc0\xae\xc0\xae/a", "\xc0\xae\xc0\xae/a"}, /* an overlong dot is no dot to the file system */
        {"/%c0%ae%c0%ae/a", "\xc0\xae\xc0\xae/a"},
        /* slashes in disguise */
        {"/a%2fb", "MALFORMED"},
        {"/a%2Fb", "MALFORMED"},
        {"/%2f", "MALFORMED"},
        {"/..%2f..%2fetc", "MALFORMED"},
        {"/%2e%2e%2fetc", "MALFORMED"},
        {"/a\\b", "MALFORMED"},
        {"/..\\..\\a", "MALFORMED"},
        {"/a%5cb", "MALFORMED"},
        {"/%5C..%5Cx", "MALFORMED"},
        {"\\a", "MALFORMED"},
        /* what ends a name elsewhere */
        {"/a%00", "MALFORMED"},
        {"/a.txt%00.html", "MALFORMED"},
        {"/%00", "MALFORMED"},
        {"/a%0a", "MALFORMED"},
        {"/a%0d%0ab", "MALFORMED"},
        {"/a%1b", "MALFORMED"},
        {"/a%7f", "MALFORMED"},
        {"/a\tb", "MALFORMED"},
        /* escapes */
        {"/%", "MALFORMED"},
        {"/%2", "MALFORMED"},
        {"/%zz", "MALFORMED"},
        {"/a%2g", "MALFORMED"},
        {"/%u002e%u002e/", "MALFORMED"},
        {"/%%32%65", "MALFORMED"},
        {"/a/b%", "MALFORMED"},
        /* not a path */
        {"", "MALFORMED"},
        {"*", "MALFORMED"},
        {"a", "MALFORMED"},
        {"http://a/", "MALFORMED"},
        /* 63 bytes fit beside the NUL */
        {"/" TEN TEN TEN TEN TEN TEN "012", TEN TEN TEN TEN TEN TEN "012"},
        {"/" TEN TEN TEN TEN TEN TEN "0123", "TOO_LARGE"},
        {"/" TEN TEN TEN TEN TEN TEN "/12", TEN TEN TEN TEN TEN TEN "/12"},
        {"/" TEN TEN TEN TEN TEN TEN "/123", "TOO_LARGE"},
        {"/" TEN TEN TEN TEN TEN TEN "/%31%32", TEN TEN TEN TEN TEN TEN "/12"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(resolved(rows[i][0]), rows[i][1]) != 0)
            fail_msg("%s: %s", rows[i][0], resolved(rows[i][0]));
    }
}

static void a_segment_is_no_longer_than_a_name_can_be(void **state)
{
    (void)state;
    char path[300], out[300];
    struct static_path p;
    memset(path, 'x', sizeof path);
    path[0] = '/';
    assert_int_equal(static_path_parse(slice_of(path, 256), out, sizeof out, &p), OK);
    assert_int_equal(static_path_parse(slice_of(path, 257), out, sizeof out, &p), ERR_TOO_LARGE);
    assert_int_equal(static_path_parse(SLICE("/"), out, 1, &p), OK);
    assert_int_equal(static_path_parse(SLICE("/"), out, 0, &p), ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart_or_refused),
        cmocka_unit_test(what_is_encoded_is_decoded_again),
        cmocka_unit_test(a_path_never_leaves_its_folder),
        cmocka_unit_test(a_segment_is_no_longer_than_a_name_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
