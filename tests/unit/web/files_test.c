/* Files from disk as a client sees them: conditions, ranges, forms, changes while they are sent. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files_world.h"

/* --- head and conditions --- */

static void a_file_says_what_it_is(void **state)
{
    (void)state;
    const char *answer = get("/dated.txt", "");
    assert_int_equal(status_of(answer), 200);
    assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
    assert_field(answer, "Content-Length", "5");
    assert_field(answer, "Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT");
    assert_field(answer, "Accept-Ranges", "bytes");
    assert_field(answer, "Cache-Control", "no-cache"); /* replaces that for all */
    assert_has_not(answer, "private");
    assert_field(answer, "X-All", "all");
    assert_field(answer, "X-Content-Type-Options", "nosniff");
    assert_null(field(answer, "Vary"));
    assert_string_equal(body(answer), "dated");
    assert_field(get("/strict/a.txt", ""), "Cache-Control", "public, max-age=60");
    /* A date that has not come yet must not be told (RFC 9110 8.8.2.1). */
    assert_null(field(get("/future.txt", ""), "Last-Modified"));
    assert_field(get("/empty.txt", ""), "Content-Length", "0");
}

static void head_is_get_without_the_body(void **state)
{
    (void)state;
    static const char *const paths[] = {"/a.txt", "/large.bin", "/strict/a.txt", "/docs/", "/app.js"};
    char first[2000];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        snprintf(first, sizeof first, "%s",
                 get_head(paths[i], "Accept-Encoding: br\r\nRange: bytes=1-2\r\n"));
        assert_int_equal(status_of(first), 200); /* ranges are for GET only */
        assert_string_equal(body(first), "");
        assert_non_null(field(first, "ETag"));
        assert_non_null(field(first, "Content-Length"));
    }
    snprintf(first, sizeof first, "%s", get_head("/large.bin", ""));
    char size[20];
    snprintf(size, sizeof size, "%d", LARGE);
    assert_field(first, "Content-Length", size);
}

static int conditional(const char *path, const char *name, const char *value)
{
    char fields[200];
    snprintf(fields, sizeof fields, "%s: %s\r\n", name, value);
    return status_of(get_head(path, fields));
}

static void what_the_client_has_is_not_sent_again(void **state)
{
    (void)state;
    static const char *const paths[] = {"/a.txt", "/large.bin", "/strict/a.txt"};
    char etag[64], text[200];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        get_etag(paths[i], "", etag);
        snprintf(text, sizeof text, "If-None-Match: %s\r\n", etag);
        const char *answer = get(paths[i], text);
        assert_int_equal(status_of(answer), 304);
        assert_string_equal(body(answer), "");
        assert_field(answer, "ETag", etag);
        assert_non_null(field(answer, "Cache-Control"));
        assert_null(field(answer, "Content-Length"));
        assert_null(field(answer, "Content-Type"));
        snprintf(text, sizeof text, "\"other\", W/%s", etag);
        assert_int_equal(conditional(paths[i], "If-None-Match", text), 304);
        assert_int_equal(conditional(paths[i], "If-None-Match", "*"), 304);
        assert_int_equal(conditional(paths[i], "If-None-Match", "\"other\""), 200);
        assert_int_equal(conditional(paths[i], "If-Match", etag), 200);
        assert_int_equal(conditional(paths[i], "If-Match", "*"), 200);
        assert_int_equal(conditional(paths[i], "If-Match", "\"other\""), 412);
        snprintf(text, sizeof text, "W/%s", etag);
        assert_int_equal(conditional(paths[i], "If-Match", text), 412);
        /* Two fields are one list. */
        snprintf(text, sizeof text, "If-None-Match: \"x\"\r\nif-none-match: %s\r\n", etag);
        assert_int_equal(status_of(get(paths[i], text)), 304);
    }
    assert_int_equal(conditional("/dated.txt", "If-Modified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"), 304);
    assert_int_equal(conditional("/dated.txt", "If-Modified-Since", "Sun, 09 Sep 2001 01:46:41 GMT"), 304);
    assert_int_equal(conditional("/dated.txt", "If-Modified-Since", "Sun, 09 Sep 2001 01:46:39 GMT"), 200);
    assert_int_equal(conditional("/dated.txt", "If-Modified-Since", "yesterday"), 200);
    assert_int_equal(conditional("/dated.txt", "If-Unmodified-Since", "Sun, 09 Sep 2001 01:46:40 GMT"), 200);
    assert_int_equal(conditional("/dated.txt", "If-Unmodified-Since", "Sun, 09 Sep 2001 01:46:39 GMT"), 412);
    /* The tag goes before the date. */
    assert_int_equal(
        status_of(get("/dated.txt",
                      "If-None-Match: \"x\"\r\nIf-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT\r\n")),
        200);
}

static void what_is_compiled_in_keeps_the_same_conditions(void **state)
{
    (void)state;
    assert_int_equal(conditional("/compiled.txt", "If-None-Match", "\"x\", W/\"a\""), 304);
    assert_int_equal(conditional("/compiled.txt", "If-None-Match", "\"x\""), 200);
    assert_int_equal(conditional("/compiled.txt", "If-Match", "\"a\""), 200);
    assert_int_equal(conditional("/compiled.txt", "If-Match", "\"x\""), 412);
}

/* --- ranges --- */

static void a_range_is_sent_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *range, *content_range, *bytes;
    } cases[] = {
        {"bytes=0-0", "bytes 0-0/10", "0"},          {"bytes=0-3", "bytes 0-3/10", "0123"},
        {"bytes=4-", "bytes 4-9/10", "456789"},      {"bytes=-3", "bytes 7-9/10", "789"},
        {"bytes=-99", "bytes 0-9/10", "0123456789"}, {"bytes=8-99", "bytes 8-9/10", "89"},
        {"BYTES=1-2", "bytes 1-2/10", "12"},         {"bytes=0-4,3-6", "bytes 0-6/10", "0123456"},
        {"bytes= 2-2 , 99-", "bytes 2-2/10", "2"},
    };
    static const char *const paths[] = {"/a.txt", "/strict/a.txt"};
    char fields[100], length[20];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < 2; j++) {
            snprintf(fields, sizeof fields, "Range: %s\r\n", cases[i].range);
            const char *answer = get(paths[j], fields);
            assert_int_equal(status_of(answer), 206);
            assert_field(answer, "Content-Range", cases[i].content_range);
            snprintf(length, sizeof length, "%zu", strlen(cases[i].bytes));
            assert_field(answer, "Content-Length", length);
            assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
            assert_non_null(field(answer, "ETag"));
            assert_string_equal(body(answer), cases[i].bytes);
        }
    }
}

static void what_is_no_range_gets_the_whole_and_what_is_not_there_416(void **state)
{
    (void)state;
    static const char *const ignored[] = {"bytes=",    "bytes=a-b", "bytes=5-3",
                                          "lines=1-2", "0-3",       "bytes=0--1"};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        char fields[100];
        snprintf(fields, sizeof fields, "Range: %s\r\n", ignored[i]);
        assert_int_equal(status_of(get("/a.txt", fields)), 200);
    }
    assert_int_equal(status_of(get("/a.txt", "Range: bytes=0-1\r\nRange: bytes=3-4\r\n")), 200);
    assert_int_equal(status_of(get("/empty.txt", "Range: bytes=0-\r\n")), 200);
    const char *answer = get("/a.txt", "Range: bytes=10-\r\n");
    assert_int_equal(status_of(answer), 416);
    assert_field(answer, "Content-Range", "bytes */10");
    assert_int_equal(status_of(get("/strict/a.txt", "Range: bytes=-0\r\n")), 416);
}

static void several_ranges_are_parts(void **state)
{
    (void)state;
    static const char *const paths[] = {"/a.txt", "/strict/a.txt"};
    for (size_t i = 0; i < 2; i++) {
        const char *answer = get(paths[i], "Range: bytes=0-1, 4-5, -1\r\n"),
                   *type = field(answer, "Content-Type");
        char boundary[100], want[1000];
        assert_int_equal(status_of(answer), 206);
        assert_starts(type, "multipart/byteranges; boundary=");
        snprintf(boundary, sizeof boundary, "%s", type + 31);
        assert_null(field(answer, "Content-Range"));
        snprintf(
            want, sizeof want,
            "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/10\r\n\r\n01"
            "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 4-5/10\r\n\r\n45"
            "\r\n--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 9-9/10\r\n\r\n9"
            "\r\n--%s--\r\n",
            boundary, boundary, boundary, boundary);
        assert_string_equal(body(answer), want);
        char length[20];
        snprintf(length, sizeof length, "%zu", strlen(want));
        assert_field(answer, "Content-Length", length);
    }
}

static void a_range_of_another_file_is_the_whole(void **state)
{
    (void)state;
    char etag[64], fields[200];
    get_etag("/a.txt", "", etag);
    snprintf(fields, sizeof fields, "Range: bytes=0-1\r\nIf-Range: %s\r\n", etag);
    assert_int_equal(status_of(get("/a.txt", fields)), 206);
    assert_int_equal(status_of(get("/a.txt", "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n")), 200);
    snprintf(fields, sizeof fields, "Range: bytes=0-1\r\nIf-Range: W/%s\r\n", etag);
    assert_int_equal(status_of(get("/a.txt", fields)), 200);
    assert_int_equal(
        status_of(get("/dated.txt", "Range: bytes=0-1\r\nIf-Range: Sun, 09 Sep 2001 01:46:40 GMT\r\n")), 206);
    assert_int_equal(
        status_of(get("/dated.txt", "Range: bytes=0-1\r\nIf-Range: Sun, 09 Sep 2001 01:46:41 GMT\r\n")), 200);
    /* Conditions go before ranges. */
    snprintf(fields, sizeof fields, "Range: bytes=0-1\r\nIf-None-Match: %s\r\n", etag);
    assert_int_equal(status_of(get("/a.txt", fields)), 304);
}

/* --- forms --- */

static void the_best_form_is_sent(void **state)
{
    (void)state;
    char identity[64], br[64];
    const char *answer = get("/app.js", "Accept-Encoding: gzip, deflate, br\r\n");
    assert_field(answer, "Content-Encoding", "br");
    assert_field(answer, "Vary", "Accept-Encoding");
    assert_field(answer, "Content-Type", "text/javascript; charset=utf-8");
    assert_string_equal(body(answer), "brotli-bytes");
    assert_string_equal(body(get("/app.js", "Accept-Encoding: gzip, br;q=0.5\r\n")), "gzip-bytes-longer");
    assert_starts(body(get("/app.js", "Accept-Encoding: gzip;q=0, br;q=0\r\n")), "console");
    answer = get("/app.js", "");
    assert_starts(body(answer), "console");
    assert_null(field(answer, "Content-Encoding"));
    assert_field(answer, "Vary", "Accept-Encoding");
    get_etag("/app.js", "", identity);
    get_etag("/app.js", "Accept-Encoding: br\r\n", br);
    assert_string_not_equal(identity, br);
    char fields[200];
    snprintf(fields, sizeof fields, "Accept-Encoding: br\r\nIf-None-Match: %s\r\n", br);
    answer = get("/app.js", fields);
    assert_int_equal(status_of(answer), 304);
    assert_field(answer, "Vary", "Accept-Encoding");
    assert_null(field(answer, "Content-Encoding"));
    snprintf(fields, sizeof fields, "Accept-Encoding: br\r\nIf-None-Match: %s\r\n", identity);
    assert_int_equal(status_of(get("/app.js", fields)), 200);
    answer = get("/app.js", "Accept-Encoding: br\r\nRange: bytes=0-5\r\n"); /* of the form that is sent */
    assert_field(answer, "Content-Range", "bytes 0-5/12");
    assert_field(answer, "Content-Encoding", "br");
    assert_string_equal(body(answer), "brotli");
    /* One that is older than the file is of an older file. */
    assert_starts(body(get("/old.js", "Accept-Encoding: gzip\r\n")), "new contents");
    /* Switched off. */
    assert_starts(body(get("/strict/app.js", "Accept-Encoding: br\r\n")), "console");
    /* The form itself can be asked for by its name. */
    assert_null(field(get("/app.js.br", ""), "Content-Encoding"));
}

/* --- wr_respond_file --- */

static void a_handler_answers_with_any_file(void **state)
{
    (void)state;
    const char *answer = get("/download?path=a.txt", "");
    assert_string_equal(body(answer), "0123456789");
    assert_field(answer, "Content-Type", "text/plain; charset=utf-8");
    assert_null(field(answer, "Content-Disposition"));
    answer = get("/download?path=../secret&type=image/x-secret&name=caf%C3%A9%20%22x%22.txt", "");
    assert_string_equal(body(answer), "SECRET"); /* the handler chose it */
    assert_field(answer, "Content-Type", "image/x-secret");
    const char *disposition = field(answer, "Content-Disposition");
    assert_starts(disposition, "attachment; filename=\"");
    assert_has(disposition, "filename*=UTF-8''caf%C3%A9%20%22x%22.txt");
    assert_int_equal(status_of(get("/download?path=a.txt", "Range: bytes=1-2\r\n")), 206);
    assert_int_equal(status_of(get("/download?path=a.txt", "If-None-Match: *\r\n")), 304);
    assert_int_equal(status_of(get("/download?path=nothing", "")), 404);
    assert_int_equal(status_of(get("/download?path=docs", "")), 404);
    assert_int_equal(status_of(get("/download?path=docs/", "")), 404);
    assert_int_equal(status_of(get("/download?path=fifo", "")), 404);
    assert_int_equal(status_of(get("/download?path=/dev/zero", "")), 404);
    assert_int_equal(status_of(get("/download", "")), 404);
    assert_int_equal(status_of(get("/download?path=a.txt&type=a%0D%0AX-Evil:1", "")), 500);
    /* What a POST gives is no representation of the address: no conditions, no ranges. */
    answer = ask(&world, "POST /download?path=a.txt HTTP/1.1\r\nContent-Length: 0\r\nRange: bytes=1-2\r\n"
                         "If-None-Match: *\r\n");
    assert_int_equal(status_of(answer), 200);
    assert_string_equal(body(answer), "0123456789");
}

static void fields_of_the_handler_go_before_those_of_the_file(void **state)
{
    (void)state;
    const char *answer = get("/own", "");
    assert_field(answer, "Cache-Control", "max-age=5");
    assert_has_not(answer, "no-cache");
    assert_has(answer, "Vary: Cookie\r\n");
    assert_non_null(field(answer, "ETag"));
}

/* --- large files, and those that change --- */

/* Sends a request and reads the head; returns the connection. */
static int begin(const char *path, const char *fields, char *head, size_t size)
{
    char request[300];
    int fd = client_connect(&world), small = 65536;
    size_t n = 0;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, fields);
    client_send(fd, request);
    do {
        assert_true(n + 1 < size);
        client_read_exact(fd, head + n++, 1);
        head[n] = 0;
    } while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0);
    return fd;
}

static void a_large_file_arrives_whole_and_the_connection_goes_on(void **state)
{
    (void)state;
    static unsigned char got[LARGE];
    char head[2000], fields[64];
    for (int i = 0; i < 2; i++) {
        int fd = begin(i ? "/strict/large.bin" : "/large.bin", "", head, sizeof head);
        client_read_exact(fd, got, LARGE);
        assert_memory_equal(got, large, LARGE);
        client_send(fd, "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n");
        client_read_exact(fd, got, 12);
        assert_memory_equal(got, "HTTP/1.1 200", 12);
        close(fd);
    }
    for (unsigned i = 0, at = 0; i < 20; i++, at = at * 1103515245u + 12345u) {
        size_t first = at % LARGE, last = first + (at >> 3) % (LARGE - first);
        snprintf(fields, sizeof fields, "Range: bytes=%zu-%zu\r\n", first, last);
        int fd = begin("/large.bin", fields, head, sizeof head);
        assert_int_equal(status_of(head), 206);
        client_read_exact(fd, got, last - first + 1);
        assert_memory_equal(got, large + first, last - first + 1);
        close(fd);
    }
}

static void requests_in_a_row_get_their_files_in_order(void **state)
{
    (void)state;
    static char got[3 * READ_MAX];
    char first[400];
    int fd = client_connect(&world);
    snprintf(first, sizeof first,
             "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\nGET /large.bin HTTP/1.1\r\nHost: "
             "a\r\nRange: bytes=5-100004\r\n\r\nGET /app.js HTTP/1.1\r\nHost: a\r\n"
             "Connection: close\r\n\r\n");
    client_send(fd, first);
    bool closed;
    const char *text = client_read(fd, 5000, NULL, &closed);
    assert_true(closed);
    assert_has(text, "\r\n\r\n0123456789HTTP/1.1 206 ");
    const char *second = strstr(text, "HTTP/1.1 206 ");
    const char *bytes = strstr(second, "\r\n\r\n") + 4;
    assert_memory_equal(bytes, large + 5, 100000);
    assert_starts(bytes + 100000, "HTTP/1.1 200 ");
    assert_has(bytes + 100000, "console.log");
    close(fd);
    (void)got;
}

static void a_file_that_is_replaced_while_it_is_sent_is_sent_as_it_was(void **state)
{
    (void)state;
    static unsigned char got[LARGE];
    char head[2000];
    write_bytes("replaced.bin", large, LARGE);
    int fd = begin("/replaced.bin", "", head, sizeof head);
    replace_file("replaced.bin", "another");
    while (strcmp(field(get_head("/replaced.bin", ""), "Content-Length"), "7") != 0)
        pause_a_little();
    client_read_exact(fd, got, LARGE);
    assert_memory_equal(got, large, LARGE);
    close(fd);
    fd = begin("/large.bin", "", head, sizeof head);
    assert_int_equal(rename("large.bin", "away.bin"), 0);
    while (status_of(get_head("/large.bin", "")) != 404)
        pause_a_little();
    client_read_exact(fd, got, LARGE);
    assert_memory_equal(got, large, LARGE);
    assert_int_equal(rename("away.bin", "large.bin"), 0);
    while (status_of(get_head("/large.bin", "")) != 200)
        pause_a_little();
    close(fd);
}

static void a_file_that_becomes_shorter_while_it_is_sent_is_cut_short(void **state)
{
    (void)state;
    static unsigned char got[LARGE];
    char head[2000];
    write_bytes("shrinking.bin", large, LARGE);
    int fd = begin("/shrinking.bin", "", head, sizeof head);
    assert_int_equal(truncate("shrinking.bin", 1000000), 0);
    size_t n = 0;
    ssize_t len;
    while ((len = recv(fd, got + n, LARGE - n, 0)) > 0)
        n += (size_t)len;
    /* The client can tell, since the length was announced. (What was on its way from beyond the new end may
     * have become zeros: the kernel sends the pages of the file themselves.) */
    assert_true(n < LARGE);
    assert_memory_equal(got, large, n < 1000000 ? n : 1000000);
    close(fd);
}

static void changes_are_seen(void **state)
{
    (void)state;
    char etag[64], fields[100];
    write_file("changing.txt", "first");
    assert_string_equal(body(get("/changing.txt", "")), "first");
    get_etag("/changing.txt", "", etag);
    replace_file("changing.txt", "other");
    wait_for_answer("/changing.txt", "other");
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", etag);
    assert_int_equal(status_of(get("/changing.txt", fields)), 200);
    write_file("changing.txt", "third"); /* in place, of the same size */
    wait_for_answer("/changing.txt", "third");
    assert_int_equal(unlink("changing.txt"), 0);
    wait_for_answer("/changing.txt", "HTTP/1.1 404");
    write_file("changing.txt", "again");
    wait_for_answer("/changing.txt", "again");
    write_file("changing.txt.gz", "compressed");
    const char *answer = "";
    for (int64_t end = now_ms() + PATIENCE_MS; !strstr(answer, "compressed") && now_ms() < end;
         pause_a_little())
        answer = get("/changing.txt", "Accept-Encoding: gzip\r\n");
    assert_has(answer, "Content-Encoding: gzip\r\n");
    make_folder("becoming");
    assert_int_equal(status_of(get("/becoming/", "")), 404);
    write_file("becoming/index.html", "become");
    wait_for_answer("/becoming/", "become");
    assert_int_equal(status_of(get("/becoming", "")), 301);
}

static void a_young_file_has_a_weak_tag_until_it_is_settled(void **state)
{
    (void)state;
    char etag[64], fields[100];
    write_file("young.txt", "young");
    get_etag("/young.txt", "", etag);
    assert_starts(etag, "W/\"");
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", etag);
    assert_int_equal(status_of(get("/young.txt", fields)), 304);
    snprintf(fields, sizeof fields, "Range: bytes=0-1\r\nIf-Range: %s\r\n", etag);
    assert_int_equal(status_of(get("/young.txt", fields)), 200);
    wait_until_strong("/young.txt");
    snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", etag);
    assert_int_equal(status_of(get("/young.txt", fields)), 200); /* the strong one is another */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_says_what_it_is),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(what_the_client_has_is_not_sent_again),
        cmocka_unit_test(what_is_compiled_in_keeps_the_same_conditions),
        cmocka_unit_test(a_range_is_sent_exactly),
        cmocka_unit_test(what_is_no_range_gets_the_whole_and_what_is_not_there_416),
        cmocka_unit_test(several_ranges_are_parts),
        cmocka_unit_test(a_range_of_another_file_is_the_whole),
        cmocka_unit_test(the_best_form_is_sent),
        cmocka_unit_test(a_handler_answers_with_any_file),
        cmocka_unit_test(fields_of_the_handler_go_before_those_of_the_file),
        cmocka_unit_test(a_large_file_arrives_whole_and_the_connection_goes_on),
        cmocka_unit_test(requests_in_a_row_get_their_files_in_order),
        cmocka_unit_test(a_file_that_is_replaced_while_it_is_sent_is_sent_as_it_was),
        cmocka_unit_test(a_file_that_becomes_shorter_while_it_is_sent_is_cut_short),
        cmocka_unit_test(changes_are_seen),
        cmocka_unit_test(a_young_file_has_a_weak_tag_until_it_is_settled),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
