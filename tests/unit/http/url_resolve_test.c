/* The examples of RFC 3986 5.4, and what redirects really look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/url_resolve.h"

static void assert_resolves(const char *base_text, const char *reference, const char *expected)
{
    struct url base;
    struct buffer out;
    assert_int_equal(url_parse(slice_text(base_text), &base), OK);
    buffer_init(&out, &allocator_libc, 4096);
    assert_int_equal(url_resolve(&out, &base, slice_text(reference)), OK);
    buffer_byte(&out, 0);
    assert_string_equal((const char *)out.ptr, expected);
    buffer_reset(&out);
}

static void references_are_resolved(void **state)
{
    (void)state;
    static const char base[] = "http://a/b/c/d;p?q";
    static const char *const cases[][2] = {
        {"g:h", "g:h"}, /* the caller refuses the scheme */
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x?y#s", "http://a/b/c/g;x?y"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"a:b@c/", "a:b@c/"},
        {"?u=http://x/", "http://a/b/c/d;p?u=http://x/"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_resolves(base, cases[i][0], cases[i][1]);
    assert_resolves("https://a:8443", "b", "https://a:8443/b");
    assert_resolves("https://[::1]:8443/x", "/b", "https://[::1]:8443/b");
    assert_resolves("http://a", "https://b/c?d#e", "https://b/c?d");
}

static void memory_and_limits_are_told(void **state)
{
    (void)state;
    struct url base;
    struct buffer out;
    assert_int_equal(url_parse(SLICE("http://a/b"), &base), OK);
    buffer_init(&out, &allocator_libc, 12);
    assert_int_not_equal(url_resolve(&out, &base, SLICE("a-long-reference")), OK);
    buffer_reset(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_resolved),
        cmocka_unit_test(memory_and_limits_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
