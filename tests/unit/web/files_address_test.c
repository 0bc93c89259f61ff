/* Which addresses lead to which files of a folder, and to nothing else. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files_world.h"

/* --- addresses --- */

static const struct {
    const char *path;
    int status;
    const char *body; /* how it begins; NULL: any */
} addresses[] = {
    {"/a.txt", 200, "0123456789"},
    {"/", 200, "<h1>home"},
    {"/index.html", 200, "<h1>home"},
    {"/?x=1", 200, "<h1>home"},
    {"/a.txt?../../secret", 200, "0123456789"},
    {"/%61.txt", 200, "0123456789"},
    {"/%61%2etxt", 200, "0123456789"},
    {"/a%2Etxt", 200, "0123456789"},
    {"/empty.txt", 200, ""},
    {"/two%20words%20&%20%3Cb%3E.txt", 200, "words"},
    {"/caf%C3%A9.txt", 200, "coffee"},
    {"/caf%c3%a9.txt", 200, "coffee"},
    {"/100%25.txt", 200, "percent"},
    {"/a+b.txt", 200, "plus"},
    {"/a%2Bb.txt", 200, "plus"},
    {"/a%20b/", 200, "spaced"},
    {"/docs/", 200, "<h1>docs"},
    {"/docs/page.txt", 200, "page"},
    {"/docs/route", 200, "a route"},
    {"/docs/./page.txt", 200, "page"},
    {"//a.txt", 200, "0123456789"},
    {"/docs//page.txt", 200, "page"},
    {"/docs//", 200, "<h1>docs"},
    {"/link.txt", 200, "0123456789"},
    {"/doclink/page.txt", 200, "page"},
    {"/.well-known/security.txt", 200, "contact"},
    {"/compiled.txt", 200, "asset"},
    /* folders without the slash */
    {"/docs", 301, ""},
    {"/doclink", 301, ""},
    {"/a%20b", 301, ""},
    /* nothing there */
    {"/nothing", 404, NULL},
    {"/nothing/", 404, NULL},
    {"/nothing/a.txt", 404, NULL},
    {"/a.txt/", 404, NULL},
    {"/a.txt/b", 404, NULL},
    {"/a.txt/index.html", 404, NULL},
    {"/A.TXT", 404, NULL},
    {"/a.txt%20", 404, NULL},
    {"/a.txt.", 404, NULL},
    {"/bare", 404, NULL},
    {"/bare/", 404, NULL},
    {"/indexfolder/", 404, NULL},
    {"/indexfolder", 404, NULL},
    {"/fifo", 404, NULL},
    {"/socket", 404, NULL},
    {"/dangling", 404, NULL},
    {"/loop", 404, NULL},
    {"/loop/a", 404, NULL},
    /* links that lead out */
    {"/out", 404, NULL},
    {"/up", 404, NULL},
    {"/up/", 404, NULL},
    {"/up/secret", 404, NULL},
    {"/up/www/a.txt", 404, NULL},
    {"/passwd", 404, NULL},
    /* hidden names */
    {"/.htpasswd", 404, NULL},
    {"/%2ehtpasswd", 404, NULL},
    {"/.git/config", 404, NULL},
    {"/.git/", 404, NULL},
    {"/.git", 404, NULL},
    {"/%2Egit/config", 404, NULL},
    {"/docs/.nothing", 404, NULL},
    {"/...", 404, NULL},
    {"/.well-known/.hidden", 404, NULL},
    {"/.well-known/", 404, NULL},
    {"/.well-knownx", 404, NULL},
    /* ways out */
    {"/..", 400, NULL},
    {"/../secret", 400, NULL},
    {"/../../../../../../../../etc/passwd", 400, NULL},
    {"/docs/..", 400, NULL},
    {"/docs/../../secret", 400, NULL},
    {"/docs/../a.txt", 400, NULL},
    {"/%2e%2e/secret", 400, NULL},
    {"/%2E%2E/secret", 400, NULL},
    {"/.%2e/secret", 400, NULL},
    {"/%2e./secret", 400, NULL},
    {"/..%2fsecret", 400, NULL},
    {"/..%2Fsecret", 400, NULL},
    {"/%2e%2e%2fsecret", 400, NULL},
    {"/docs%2f..%2f..%2fsecret", 400, NULL},
    {"/docs%2Fpage.txt", 400, NULL},
    {"/%2fetc/passwd", 400, NULL},
    {"/..%5csecret", 400, NULL},
    {"/..\\secret", 400, NULL},
    {"/docs\\..\\..\\secret", 400, NULL},
    {"/docs%5C..%5C..%5Csecret", 400, NULL},
    {"/a.txt%00", 400, NULL},
    {"/a.txt%00.html", 400, NULL},
    {"/%00", 400, NULL},
    {"/../secret%00.txt", 400, NULL},
    {"/a.txt%0d%0aX-Evil:%20yes", 400, NULL},
    {"/%0a", 400, NULL},
    {"/%7f", 400, NULL},
    {"/%", 400, NULL},
    {"/%2", 400, NULL},
    {"/%zz", 400, NULL},
    {"/%u002e%u002e/secret", 400, NULL},
    /* decoded once, so these are strange names and nothing else */
    {"/%252e%252e/secret", 404, NULL},
    {"/%252e%252e%252fsecret", 404, NULL},
    {"/..%252fsecret", 404, NULL},
    {"/%c0%ae%c0%ae/secret", 404, NULL},
    {"/%c0%ae%c0%ae%c0%afsecret", 404, NULL},
    {"/%e0%80%ae%e0%80%ae/secret", 404, NULL},
    {"/..%c0%afsecret", 404, NULL},
    {"/..;/secret", 404, NULL},
    {"/..%3b/secret", 404, NULL},
    {"/.../secret", 404, NULL},
    {"/~root/", 404, NULL},
    {"/proc/self/environ", 404, NULL},
    {"/etc/passwd", 404, NULL},
    {"//etc/passwd", 404, NULL},
    {"/http://127.0.0.1/a.txt", 404, NULL},
    /* without links */
    {"/strict/a.txt", 200, "0123456789"},
    {"/strict/", 200, "<h1>home"},
    {"/strict", 301, ""},
    {"/strict/link.txt", 404, NULL},
    {"/strict/doclink/", 404, NULL},
    {"/strict/doclink/page.txt", 404, NULL},
    {"/strict/out", 404, NULL},
    {"/strict/../a.txt", 400, NULL},
    {"/%73trict/a.txt", 200, "0123456789"},
    /* hidden names shown */
    {"/all/of/it/.htpasswd", 200, "SECRET"},
    {"/all/of/it/.git/config", 200, "SECRET"},
    {"/all/of/it/...", 200, "dots"},
    {"/all/of/it/..", 400, NULL},
    {"/all/of/it/up/", 404, NULL},
    {"/all/of", 404, NULL},
    /* a page for all that is not there */
    {"/spa/docs/page.txt", 200, "page"},
    {"/spa/nothing", 200, "<h1>docs"},
    {"/spa/nothing/at/all", 200, "<h1>docs"},
    {"/spa/bare/", 200, "<h1>docs"},
    {"/spa/.htpasswd", 404, NULL},
    {"/spa/../secret", 400, NULL},
    {"/spa/out", 200, "<h1>docs"},
};

static void an_address_leads_to_a_file_of_the_folder_or_nowhere(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) { /* the second from the cache */
        for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
            const char *answer = get(addresses[i].path, ""), *want = addresses[i].body;
            if (status_of(answer) != addresses[i].status)
                fail_msg("%s: %.12s instead of %d", addresses[i].path, answer, addresses[i].status);
            if (want && strncmp(body(answer), want, strlen(want)) != 0)
                fail_msg("%s: %.100s instead of %s", addresses[i].path, body(answer), want);
            if (strncmp(addresses[i].path, "/all/", 5) != 0) assert_has_not(answer, "SECRET");
            assert_has_not(answer, "root:");
            assert_has_not(answer, "\r\nX-Evil");
        }
    }
}

static void a_name_that_is_too_long_is_not_there(void **state)
{
    (void)state;
    static char path[6000];
    size_t lengths[] = {255, 256, 300, 4094, 4095, 4096, 4097, 5900};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(path, 'x', lengths[i]);
        path[0] = '/';
        path[lengths[i]] = 0;
        assert_int_equal(status_of(get(path, "")), 404);
        for (size_t j = 100; j < lengths[i]; j += 100)
            path[j] = '/';
        assert_int_equal(status_of(get(path, "")), 404);
    }
}

static void a_folder_without_its_slash_is_redirected_with_the_query(void **state)
{
    (void)state;
    assert_field(get("/docs", ""), "Location", "/docs/");
    assert_field(get("/docs?a=1&b=%20", ""), "Location", "/docs/?a=1&b=%20");
    assert_field(get("/a%20b", ""), "Location", "/a%20b/");
    assert_field(get("/%64ocs", ""), "Location", "/docs/");
    assert_field(get("/strict", ""), "Location", "/strict/");
    assert_field(get("/strict/docs", ""), "Location", "/strict/docs/");
    assert_field(get("/list/bare", ""), "Location", "/list/bare/");
    assert_field(get("/all/of/it", ""), "Location", "/all/of/it/");
    /* Never to another host. */
    assert_field(get("//docs", ""), "Location", "/docs/");
    assert_field(get("/colon:x", ""), "Location", "/colon:x/");
}

static void other_methods_are_refused(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH"};
    char head[100];
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        snprintf(head, sizeof head, "%s /a.txt HTTP/1.1\r\n", methods[i]);
        const char *answer = ask(&world, head);
        assert_int_equal(status_of(answer), 405);
        assert_field(answer, "Allow", "GET, HEAD, OPTIONS");
        assert_has_not(answer, "0123456789");
    }
}

static void options_says_which_methods_there_are(void **state)
{
    (void)state;
    const char *answer = ask_for("OPTIONS", "/a.txt", "");
    assert_int_equal(status_of(answer), 204);
    assert_field(answer, "Allow", "GET, HEAD, OPTIONS");
}

/* --- lists --- */

static void a_list_shows_what_can_be_had(void **state)
{
    (void)state;
    const char *answer = get("/list/", "");
    assert_int_equal(status_of(answer), 200);
    assert_field(answer, "Content-Type", "text/html; charset=utf-8");
    assert_non_null(strstr(field(answer, "Content-Security-Policy"), "default-src 'none'"));
    assert_has(answer, "<a href=\"./two%20words%20%26%20%3Cb%3E.txt\">two words &amp; &lt;b&gt;.txt</a>");
    assert_has(answer, "<a href=\"./docs/\">docs/</a>");
    assert_has(answer, "<a href=\"./link.txt\">");
    assert_has(answer, "<a href=\"./doclink/\">doclink/</a>");
    assert_has(answer, "12.5 MB");
    static const char *const absent[] = {"htpasswd", ".git", "\"./out\"", "\"./up",       "passwd",
                                         "dangling", "loop", "fifo",      "\"./socket\"", "href=\"../\""};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_has_not(answer, absent[i]);
    answer = get("/list/bare/", "");
    assert_has(answer, "href=\"../\"");
    assert_has(answer, "<h1>/list/bare/</h1>");
    assert_has(get("/all/of/it/", ""), ".htpasswd");
    assert_int_equal(status_of(get("/list/nothing/", "")), 404);
    assert_int_equal(status_of(get("/list/a.txt/", "")), 404);
}

static void a_list_is_json_for_those_who_ask(void **state)
{
    (void)state;
    const char *answer = get("/list/bare/", "Accept: application/json\r\n");
    assert_field(answer, "Content-Type", "application/json");
    json_t *list = json_loads(body(answer), 0, NULL),
           *entry = json_array_get(json_object_get(list, "entries"), 0);
    assert_string_equal(json_string_value(json_object_get(list, "path")), "/list/bare/");
    assert_string_equal(json_string_value(json_object_get(entry, "name")), "x.txt");
    assert_string_equal(json_string_value(json_object_get(entry, "kind")), "file");
    assert_int_equal(json_integer_value(json_object_get(entry, "size")), 1);
    assert_int_equal(json_array_size(json_object_get(list, "entries")), 1);
    json_decref(list);
}

static void the_filters_of_a_group_go_for_its_files(void **state)
{
    (void)state;
    static const char word[] = "X-Word: please\r\n";
    assert_int_equal(status_of(get("/rooms/7/files/shared/a.txt", "")), 401);
    assert_int_equal(status_of(get("/rooms/7/a.txt", "")), 401);
    const char *answer = get("/rooms/7/files/shared/a.txt", word);
    assert_string_equal(body(answer), "0123456789");
    assert_field(answer, "X-Mark", "200");
    assert_non_null(field(answer, "ETag"));
    assert_field(get("/rooms/7/files/shared/docs", word), "Location", "/rooms/7/files/shared/docs/");
    assert_field(get("/rooms/7/files/shared/nothing", word), "X-Mark", "404");
    assert_string_equal(body(get("/rooms/7/a.txt", word)), "0123456789");
    assert_string_equal(body(get("/rooms/%2e/a.txt", word)), "0123456789"); /* a room's name */
    assert_field(get("/rooms/7", word), "Location", "/rooms/7/");
    assert_int_equal(status_of(get("/rooms/7/../a.txt", word)), 400);
}

static void what_may_not_be_read_is_forbidden(void **state)
{
    (void)state;
    write_file("mine.txt", "mine");
    assert_int_equal(chmod("mine.txt", 0), 0);
    int want = geteuid() == 0 ? 200 : 403; /* root may read everything */
    assert_int_equal(status_of(get("/mine.txt", "")), want);
}

/* --- setting up --- */

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct wr_app *app = wr_app_new(NULL);
    struct wr_static_options options;
    assert_non_null(app);
    assert_int_equal(wr_static(app, "/", "/nowhere/at/all", NULL), WR_SYSTEM);
    assert_has(wr_app_error(app), "/nowhere/at/all: No such file or directory");
    assert_int_equal(wr_static(app, "/", "a.txt", NULL), WR_SYSTEM);
    assert_int_equal(wr_static(app, "static", ".", NULL), WR_INVALID);
    wr_static_options_init(&options);
    options.index = "../index.html";
    assert_int_equal(wr_static(app, "/", ".", &options), WR_INVALID);
    wr_static_options_init(&options);
    options.cache_control = "a\r\nb";
    assert_int_equal(wr_static(app, "/", ".", &options), WR_INVALID);
    wr_static_options_init(&options);
    options.fallback = "../secret";
    assert_int_equal(wr_static(app, "/", ".", &options), WR_INVALID);
    assert_int_equal(wr_static(app, "/", ".", NULL), WR_OK);
    assert_int_equal(wr_static(app, "/", ".", NULL), WR_EXISTS);
    assert_int_equal(wr_static(app, "/a", ".", NULL), WR_OK);
    wr_app_free(app);
}

static void a_folder_that_is_deleted_has_nothing(void **state)
{
    (void)state;
    struct world other;
    make_folder("doomed");
    write_file("doomed/x", "x");
    world_init(&other, NULL);
    assert_int_equal(wr_static(other.app, "/", "doomed", NULL), WR_OK);
    world_run(&other);
    assert_has(ask(&other, "GET /x HTTP/1.1\r\n"), "\r\n\r\nx");
    assert_int_equal(unlink("doomed/x"), 0);
    assert_int_equal(rmdir("doomed"), 0);
    const char *answer = "";
    for (int64_t end = now_ms() + PATIENCE_MS; !strstr(answer, " 404 ") && now_ms() < end; pause_a_little())
        answer = ask(&other, "GET /x HTTP/1.1\r\n");
    assert_starts(answer, "HTTP/1.1 404 ");
    assert_starts(ask(&other, "GET / HTTP/1.1\r\n"), "HTTP/1.1 404 ");
    world_end(&other);
}

struct visitor {
    struct world *world;
    pthread_t thread;
    int good;
};

static void *visit(void *context)
{
    struct visitor *v = context;
    char text[1000];
    for (int i = 0; i < 20; i++) {
        int fd = client_connect(v->world);
        size_t n = 0;
        ssize_t got;
        client_send(fd, i % 2 ? "GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                              : "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        while (n < sizeof text - 1 && (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0)
            n += (size_t)got;
        text[n] = 0;
        v->good += i % 2 ? strstr(text, "\r\n\r\n0123456789") != NULL : strncmp(text + 9, "404", 3) == 0;
        close(fd);
    }
    return NULL;
}

static void each_worker_has_a_cache_of_its_own(void **state)
{
    (void)state;
    struct wr_config config;
    struct world other;
    struct visitor visitors[4];
    wr_config_init(&config);
    config.workers = 3;
    world_init(&other, &config);
    assert_int_equal(wr_static(other.app, "/", ".", NULL), WR_OK);
    world_run(&other);
    for (size_t i = 0; i < 4; i++) {
        visitors[i] = (struct visitor){.world = &other};
        assert_int_equal(pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(visitors[i].thread, NULL);
        assert_int_equal(visitors[i].good, 20);
    }
    world_end(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_leads_to_a_file_of_the_folder_or_nowhere),
        cmocka_unit_test(a_name_that_is_too_long_is_not_there),
        cmocka_unit_test(a_folder_without_its_slash_is_redirected_with_the_query),
        cmocka_unit_test(other_methods_are_refused),
        cmocka_unit_test(options_says_which_methods_there_are),
        cmocka_unit_test(a_list_shows_what_can_be_had),
        cmocka_unit_test(a_list_is_json_for_those_who_ask),
        cmocka_unit_test(the_filters_of_a_group_go_for_its_files),
        cmocka_unit_test(what_may_not_be_read_is_forbidden),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
        cmocka_unit_test(a_folder_that_is_deleted_has_nothing),
        cmocka_unit_test(each_worker_has_a_cache_of_its_own),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
