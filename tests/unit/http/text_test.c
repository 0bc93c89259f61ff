/* The small languages within header fields and addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "http/accept.h"
#include "http/cookie.h"
#include "http/date.h"
#include "http/mime.h"
#include "http/response.h"
#include "http/status.h"
#include "http/token.h"
#include "http/url.h"

static void lists_are_divided_at_commas_outside_quotes(void **state)
{
    (void)state;
    slice rest = SLICE(" a ,,\tb;x=\"1,2\\\"3\" , c,"), got;
    assert_true(list_next(&rest, &got) && slice_equal(got, SLICE("a")));
    assert_true(list_next(&rest, &got) && slice_equal(got, SLICE("b;x=\"1,2\\\"3\"")));
    assert_true(list_next(&rest, &got) && slice_equal(got, SLICE("c")));
    assert_false(list_next(&rest, &got));
    assert_true(list_has(SLICE("keep-alive, Upgrade"), SLICE("upgrade")));
    assert_false(list_has(SLICE("upgraded"), SLICE("upgrade")));
}

/* RFC 9110 5.5: VCHAR, obs-text, space and tab; wherever in the value the byte stands. */
static void a_field_value_has_no_control_character_but_the_tab(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool allowed = byte == '\t' || (byte >= ' ' && byte != 0x7F);
        for (size_t len = 1; len < 20; len++) {
            for (size_t at = 0; at < len; at++) {
                uint8_t value[20];
                memset(value, at % 2 ? 0xFF : '\t', sizeof value);
                value[at] = (uint8_t)byte;
                assert_int_equal(field_value_valid(slice_of(value, len)), allowed);
                memset(value, ' ', sizeof value);
                value[at] = (uint8_t)byte;
                assert_int_equal(field_value_valid(slice_of(value, len)), allowed);
            }
        }
    }
    assert_true(field_value_valid(SLICE_EMPTY));
}

static const char *decoded(const char *text, bool plus)
{
    static uint8_t out[100];
    size_t len;
    if (url_decode(slice_text(text), plus, out, &len) < 0) return NULL;
    out[len] = 0;
    return (const char *)out;
}

static void percent_encoding_is_decoded_and_bad_escapes_are_refused(void **state)
{
    (void)state;
    assert_string_equal(decoded("a%20b%2Fc%c3%A9+", false), "a b/c\u00e9+");
    assert_string_equal(decoded("a+b%2B", true), "a b+");
    assert_string_equal(decoded("%2525", false), "%25"); /* once only */
    assert_null(decoded("%", false));
    assert_null(decoded("%2", false));
    assert_null(decoded("%2g", false));
    assert_null(decoded("%%20", false));
    assert_null(decoded("a%00b", false));
    uint8_t in_place[] = "%41%42c";
    size_t len;
    assert_int_equal(url_decode(slice_of(in_place, 7), false, in_place, &len), OK);
    assert_int_equal(len, 3);
    assert_memory_equal(in_place, "ABc", 3);
}

static void a_form_is_pairs(void **state)
{
    (void)state;
    slice rest = SLICE("a=1&&b&=x&c=d=e&"), name, value;
    assert_true(url_pair_next(&rest, &name, &value) && slice_equal(name, SLICE("a")) &&
                slice_equal(value, SLICE("1")));
    assert_true(url_pair_next(&rest, &name, &value) && slice_equal(name, SLICE("b")) && value.len == 0);
    assert_true(url_pair_next(&rest, &name, &value) && name.len == 0 && slice_equal(value, SLICE("x")));
    assert_true(url_pair_next(&rest, &name, &value) && slice_equal(name, SLICE("c")) &&
                slice_equal(value, SLICE("d=e")));
    assert_false(url_pair_next(&rest, &name, &value));
}

static bool same_origin(const char *origin, const char *host)
{
    return url_origin_matches(slice_text(origin), slice_text(host));
}

static void an_origin_is_compared_by_host_and_port(void **state)
{
    (void)state;
    assert_true(same_origin("http://a.example", "a.example"));
    assert_true(same_origin("http://A.example:80", "a.EXAMPLE"));
    assert_true(same_origin("http://a:8080", "a:8080"));
    assert_true(same_origin("http://[::1]:1", "[::1]:1"));
    assert_true(same_origin("https://a", "a:443"));
    assert_false(same_origin("http://a:8080", "a"));
    assert_false(same_origin("http://a", "a:8080"));
    assert_false(same_origin("http://evil.example", "a"));
    assert_false(same_origin("http://a.evil.example", "a"));
    assert_false(same_origin("http://evil.example/?a", "a"));
    assert_false(same_origin("http://a@evil", "a"));
    assert_false(same_origin("null", "a"));
    assert_false(same_origin("", "a"));
    assert_false(same_origin("file://a", "a"));
    assert_false(same_origin("http://a", ""));
}

static const char *cookie(const char *field, const char *name)
{
    static char out[100];
    slice value;
    if (!cookie_find(slice_text(field), slice_text(name), &value)) return NULL;
    memcpy(out, value.ptr, value.len);
    out[value.len] = 0;
    return out;
}

static void cookies_are_found_by_their_whole_name(void **state)
{
    (void)state;
    assert_string_equal(cookie("a=1; session=x=y; b=2", "session"), "x=y");
    assert_string_equal(cookie("session=", "session"), "");
    assert_string_equal(cookie("session=\"q\"", "session"), "q");
    assert_string_equal(cookie("session=1; session=2", "session"), "1");
    assert_null(cookie("xsession=1; Session=2; session", "session"));
    assert_null(cookie("", "session"));
}

static int write_cookie(const char *name, const char *value, const char *path, char out[200])
{
    struct buffer b;
    buffer_init(&b, &allocator_libc, 199);
    struct cookie c = {.name = slice_text(name),
                       .value = slice_text(value),
                       .path = slice_text(path),
                       .max_age_s = 60,
                       .http_only = true,
                       .secure = true,
                       .same_site = SAME_SITE_STRICT};
    int rc = cookie_write(&b, &c);
    memcpy(out, b.ptr ? (const char *)b.ptr : "", b.len);
    out[b.len] = 0;
    buffer_reset(&b);
    return rc;
}

static void a_cookie_that_could_add_attributes_is_not_written(void **state)
{
    (void)state;
    char out[200];
    assert_int_equal(write_cookie("session", "abc123", "/", out), OK);
    assert_string_equal(
        out, "Set-Cookie: session=abc123; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Strict\r\n");
    static const char *const bad[][3] = {
        {"a;b", "v", "/"},       {"", "v", "/"},    {"a=b", "v", "/"}, {"a", "v;x", "/"},
        {"a", "v\r\nX: y", "/"}, {"a", "v w", "/"}, {"a", "v,w", "/"}, {"a", "\"v\"", "/"},
        {"a", "v", "x"},         {"a", "v", "/;x"}, {"a", "v", ""},    {"a", "v", "/\n"},
        {"a", "\xc3\xa9", "/"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(write_cookie(bad[i][0], bad[i][1], bad[i][2], out), ERR_INVALID);
        assert_string_equal(out, "");
    }
}

static int weight(const char *field, const char *coding)
{
    return accept_encoding_weight(slice_text(field), slice_text(coding));
}

static void encodings_are_weighed(void **state)
{
    (void)state;
    assert_int_equal(weight("gzip, deflate, br", "br"), 1000);
    assert_int_equal(weight("gzip;q=0.5, br ; q=0.25", "br"), 250);
    assert_int_equal(weight("br;q=0", "br"), 0);
    assert_int_equal(weight("br;q=0, *", "br"), 0);
    assert_int_equal(weight("*;q=0.3", "br"), 300);
    assert_int_equal(weight("gzip", "br"), 0);
    assert_int_equal(weight("gzip", "identity"), 1);
    assert_int_equal(weight("identity;q=0", "identity"), 0);
    assert_int_equal(weight("*;q=0", "identity"), 0);
    assert_int_equal(weight("", "identity"), 1);
    assert_int_equal(weight("BR;Q=0.125", "br"), 125);
    assert_int_equal(weight("br;q=1.000", "br"), 1000);
    assert_int_equal(weight("br;q=1.001", "br"), 0);
    assert_int_equal(weight("br;q=abc", "br"), 0);
    assert_int_equal(weight("br;q=0.1234", "br"), 0);
    assert_int_equal(weight("xbr", "br"), 0);
    assert_true(accept_names(SLICE("text/html, Application/JSON;q=0.9"), SLICE("application/json")));
    assert_false(accept_names(SLICE("*/*"), SLICE("application/json")));
    assert_false(accept_names(SLICE("application/json;q=0"), SLICE("application/json")));
}

static void dates_are_those_of_the_c_library(void **state)
{
    (void)state;
    char ours[HTTP_DATE_BYTES + 1], theirs[64];
    http_date_write(784111777, ours);
    assert_string_equal(ours, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110's own example */
    for (int64_t t = 0; t < 253402300799; t += 86400 * 13 + 4321) {
        time_t time = (time_t)t;
        strftime(theirs, sizeof theirs, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&time));
        http_date_write(t, ours);
        assert_string_equal(ours, theirs);
    }
}

static void an_answer_is_written(void **state)
{
    (void)state;
    char memory[400];
    struct writer w = writer_of(memory, sizeof memory);
    struct http_response r = {.status = 404,
                              .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                              .content_type = SLICE("text/plain"),
                              .content_length = 12345678901,
                              .close = true,
                              .fields = SLICE("A: b\r\n"),
                              .more_fields = SLICE("C: d\r\n")};
    http_response_write(&w, &r);
    assert_true(slice_equal(writer_slice(&w),
                            SLICE("HTTP/1.1 404 Not Found\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                  "Content-Type: text/plain\r\nContent-Length: 12345678901\r\n"
                                  "Connection: close\r\nA: b\r\nC: d\r\n\r\n")));
}

/* The longest fixed part must fit the room that callers take. */
static void the_fixed_room_is_enough_for_every_status(void **state)
{
    (void)state;
    for (int status = 100; status < 600; status++) {
        char memory[HTTP_RESPONSE_FIXED_BYTES];
        struct writer w = writer_of(memory, sizeof memory);
        struct http_response r = {.status = status,
                                  .date = "Sun, 06 Nov 1994 08:49:37 GMT",
                                  .content_type = SLICE("x"),
                                  .content_length = UINT64_MAX - 1,
                                  .keep_alive = true};
        http_response_write(&w, &r);
        assert_false(w.failed);
        assert_true(strlen(http_status_text(status)) > 1);
    }
}

static void the_type_of_a_file_is_that_of_its_extension(void **state)
{
    (void)state;
    assert_string_equal(mime_type(SLICE("index.html")), "text/html; charset=utf-8");
    assert_string_equal(mime_type(SLICE("/a.b/c.min.JS")), "text/javascript; charset=utf-8");
    assert_string_equal(mime_type(SLICE("a.svg")), "image/svg+xml");
    assert_string_equal(mime_type(SLICE("a.woff2")), "font/woff2");
    assert_string_equal(mime_type(SLICE("a.tar.gz")), "application/gzip");
    assert_string_equal(mime_type(SLICE(".x.css")), "text/css; charset=utf-8");
    static const char *const unknown[] = {"",      "html",     "a.",       "a.unknown",
                                          ".html", "/a/.html", "a.html/b", "a.htmlx"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_string_equal(mime_type(slice_text(unknown[i])), "application/octet-stream");
}

static void text_is_worth_compressing_and_what_is_compressed_is_not(void **state)
{
    (void)state;
    static const char *const yes[] = {"a.html", "a.css", "a.js",  "a.json",       "a.svg",
                                      "a.wasm", "a.ttf", "a.xml", "a.webmanifest"};
    static const char *const no[] = {"a.png", "a.woff2", "a.mp4", "a.zip", "a.gz", "a.br", "a", "a.jpg"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_true(mime_compressible(slice_text(mime_type(slice_text(yes[i])))));
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_false(mime_compressible(slice_text(mime_type(slice_text(no[i])))));
    assert_true(mime_compressible(SLICE("Text/HTML ; charset=x")));
    assert_true(mime_compressible(SLICE("application/problem+json")));
    assert_false(mime_compressible(SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_type_of_a_file_is_that_of_its_extension),
        cmocka_unit_test(text_is_worth_compressing_and_what_is_compressed_is_not),
        cmocka_unit_test(lists_are_divided_at_commas_outside_quotes),
        cmocka_unit_test(a_field_value_has_no_control_character_but_the_tab),
        cmocka_unit_test(percent_encoding_is_decoded_and_bad_escapes_are_refused),
        cmocka_unit_test(a_form_is_pairs),
        cmocka_unit_test(an_origin_is_compared_by_host_and_port),
        cmocka_unit_test(cookies_are_found_by_their_whole_name),
        cmocka_unit_test(a_cookie_that_could_add_attributes_is_not_written),
        cmocka_unit_test(encodings_are_weighed),
        cmocka_unit_test(dates_are_those_of_the_c_library),
        cmocka_unit_test(an_answer_is_written),
        cmocka_unit_test(the_fixed_room_is_enough_for_every_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
