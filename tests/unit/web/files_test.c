/* Files from disk as a client sees them: addresses, conditions, ranges, forms, changes while they are sent.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

enum { LARGE = 12 * 1024 * 1024, PATIENCE_MS = 20000 };

static char base[] = "/tmp/files-XXXXXX";
static struct world world;
static unsigned char large[LARGE];

/* --- the folder --- */

static void write_bytes(const char *name, const void *bytes, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

static void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* As programs replace files that others may be reading. */
static void replace_file(const char *name, const char *text)
{
    write_file("replacement", text);
    assert_int_equal(rename("replacement", name), 0);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(name, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, name), 0);
}

static void make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void set_time(const char *name, time_t seconds, long nanoseconds)
{
    const struct timespec time = {seconds, nanoseconds}, times[2] = {time, time};
    assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static void fill_folder(void)
{
    write_file("secret", "SECRET");
    make_folder("www");
    assert_int_equal(chdir("www"), 0);
    write_file("index.html", "<h1>home</h1>");
    write_file("a.txt", "0123456789");
    write_file("empty.txt", "");
    write_file("two words & <b>.txt", "words");
    write_file("caf\xC3\xA9.txt", "coffee");
    write_file("100%.txt", "percent");
    write_file("a+b.txt", "plus");
    write_file("...", "dots");
    write_file(".htpasswd", "SECRET");
    make_folder(".git");
    write_file(".git/config", "SECRET");
    make_folder(".well-known");
    write_file(".well-known/security.txt", "contact");
    write_file(".well-known/.hidden", "SECRET");
    make_folder("docs");
    write_file("docs/index.html", "<h1>docs</h1>");
    write_file("docs/page.txt", "page");
    make_folder("bare");
    write_file("bare/x.txt", "x");
    make_folder("a b");
    write_file("a b/index.html", "spaced");
    make_folder("colon:x");
    write_file("colon:x/index.html", "colon");
    make_folder("indexfolder");
    make_folder("indexfolder/index.html");
    make_link("a.txt", "link.txt");
    make_link("docs", "doclink");
    make_link("../secret", "out");
    make_link("..", "up");
    make_link("/etc/passwd", "passwd");
    make_link("nowhere", "dangling");
    make_link("loop", "loop");
    assert_int_equal(mkfifo("fifo", 0644), 0);
    make_socket("socket");
    write_file("app.js", "console.log('identity identity identity identity')");
    write_file("app.js.br", "brotli-bytes");
    write_file("app.js.gz", "gzip-bytes-longer");
    set_time("app.js", 1500000000, 999999999);
    set_time("app.js.br", 1500000000, 0); /* as brotli sets it */
    set_time("app.js.gz", 1500000000, 999999999);
    write_file("old.js", "new contents of the file");
    write_file("old.js.gz", "outdated");
    set_time("old.js.gz", 1000000000, 0);
    write_file("dated.txt", "dated");
    set_time("dated.txt", 1000000000, 0);
    write_file("future.txt", "future");
    set_time("future.txt", 4000000000, 0);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (unsigned char)(i * 2654435761u >> 13);
    write_bytes("large.bin", large, LARGE);
}

/* --- the server --- */

static void download(struct wr_request *request, void *context)
{
    (void)context;
    const char *path = wr_request_query(request, "path"), *type = wr_request_query(request, "type");
    wr_respond_file(request, path ? path : "", type, wr_request_query(request, "name"));
}

static void own_fields(struct wr_request *request, void *context)
{
    (void)context;
    wr_response_header(request, "Cache-Control", "max-age=5");
    wr_response_header(request, "Vary", "Cookie");
    wr_respond_file(request, "app.js", NULL, NULL);
}

static void route(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, "a route");
}

/* Lets in who says the word, later. */
static bool guard(struct wr_request *request, void *context)
{
    (void)context;
    const char *word = wr_request_header(request, "X-Word");
    if (word) return true;
    wr_respond_error(request, 401, "say the word");
    return false;
}

static void mark(struct wr_request *request, int status, void *context)
{
    (void)context;
    char text[8];
    snprintf(text, sizeof text, "%d", status);
    wr_response_header(request, "X-Mark", text);
}

static void mount_group(void)
{
    char folder[64];
    snprintf(folder, sizeof folder, "%s/www", base);
    struct wr_group *outer = wr_group(world.app, NULL, "/rooms/:room"), *inner;
    assert_non_null(outer);
    inner = wr_group(world.app, outer, "/files");
    assert_non_null(inner);
    assert_int_equal(wr_before(outer, guard, NULL), WR_OK);
    assert_int_equal(wr_after(inner, mark, NULL), WR_OK);
    assert_int_equal(wr_group_static(inner, "/shared", folder, NULL), WR_OK);
    assert_int_equal(wr_group_static(outer, "", folder, NULL), WR_OK);
}

static const unsigned char asset_bytes[] = "asset";
static const struct wr_asset assets[] = {
    {.path = "/compiled.txt", .mime = "text/plain", .identity = asset_bytes, .identity_len = 5, .etag = "a"},
    {.path = "/empty.txt", .mime = "text/plain", .identity = asset_bytes, .identity_len = 5, .etag = "b"},
};

static void mount(const char *prefix, const struct wr_static_options *options)
{
    char folder[64];
    snprintf(folder, sizeof folder, "%s/www", base);
    assert_int_equal(wr_static(world.app, prefix, folder, options), WR_OK);
}

static void wait_until_settled(void);

static int setup(void **state)
{
    (void)state;
    struct wr_static_options options;
    assert_non_null(mkdtemp(base));
    assert_int_equal(chdir(base), 0);
    fill_folder();
    world_init(&world, NULL);
    assert_int_equal(wr_header_for_all(world.app, "Cache-Control", "private"), WR_OK);
    assert_int_equal(wr_header_for_all(world.app, "X-All", "all"), WR_OK);
    mount("/", NULL);
    wr_static_options_init(&options);
    options.follow_links = options.precompressed = false;
    options.cached_file_bytes_max = 0;
    options.cache_control = "public, max-age=60";
    mount("/strict/", &options);
    wr_static_options_init(&options);
    options.listing = true;
    options.index = "";
    mount("/list", &options);
    options.hidden = true;
    mount("/all/of/it", &options);
    wr_static_options_init(&options);
    options.fallback = "docs/index.html";
    mount("/spa", &options);
    assert_int_equal(wr_route(world.app, "GET POST", "/download", download, NULL), WR_OK);
    assert_int_equal(wr_route(world.app, "GET", "/own", own_fields, NULL), WR_OK);
    assert_int_equal(wr_route(world.app, "GET", "/docs/route", route, NULL), WR_OK);
    assert_int_equal(wr_assets(world.app, assets, 2), WR_OK);
    mount_group();
    world_run(&world);
    wait_until_settled();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[64];
    world_end(&world);
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -r %s", base);
    return system(command);
}

/* --- asking --- */

static const char *ask_for(const char *method, const char *path, const char *fields)
{
    char head[9000];
    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\n%s", method, path, fields);
    return ask(&world, head);
}

static const char *get(const char *path, const char *fields)
{
    return ask_for("GET", path, fields);
}

/* For files of any size. */
static const char *get_head(const char *path, const char *fields)
{
    return ask_for("HEAD", path, fields);
}

static int status_of(const char *answer)
{
    assert_starts(answer, "HTTP/1.1 ");
    return atoi(answer + 9);
}

/* The value of a field of an answer; NULL when it is not there. Static memory. */
static const char *field(const char *answer, const char *name)
{
    static char value[600];
    char line[100];
    snprintf(line, sizeof line, "\r\n%s: ", name);
    const char *end = strstr(answer, "\r\n\r\n"), *at = strstr(answer, line);
    if (!at || at > end) return NULL;
    at += strlen(line);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

static const char *body(const char *answer)
{
    const char *at = strstr(answer, "\r\n\r\n");
    assert_non_null(at);
    return at + 4;
}

static void assert_field(const char *answer, const char *name, const char *value)
{
    const char *got = field(answer, name);
    if (!got || strcmp(got, value) != 0)
        fail_msg("%s: %s instead of %s in %.400s", name, got ? got : "nothing", value, answer);
}

/* The entity tag as the server gives it now. */
static void get_etag(const char *path, const char *fields, char etag[64])
{
    const char *text = field(get_head(path, fields), "ETag");
    assert_non_null(text);
    snprintf(etag, 64, "%s", text);
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Entity tags of files that were just written are weak. */
static void wait_until_strong(const char *path)
{
    char etag[64] = "W";
    for (int64_t end = now_ms() + PATIENCE_MS; etag[0] == 'W' && now_ms() < end; pause_a_little())
        get_etag(path, "", etag);
    assert_int_equal(etag[0], '"');
}

static void wait_until_settled(void)
{
    char etag[64];
    get_etag("/a.txt", "", etag);
    if (etag[0] != 'W') print_message("the file was settled before it was asked for\n");
    wait_until_strong("/a.txt");
    wait_until_strong("/large.bin");
    wait_until_strong("/strict/a.txt");
    wait_until_strong("/strict/large.bin");
    wait_until_strong("/app.js");
}

/* Asks until the answer has `text`: a change is seen after a second. */
static void wait_for_answer(const char *path, const char *text)
{
    const char *answer = "";
    for (int64_t end = now_ms() + PATIENCE_MS; !strstr(answer, text) && now_ms() < end; pause_a_little())
        answer = get(path, "");
    assert_has(answer, text);
}

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
        cmocka_unit_test(a_file_says_what_it_is),
        cmocka_unit_test(head_is_get_without_the_body),
        cmocka_unit_test(what_the_client_has_is_not_sent_again),
        cmocka_unit_test(what_is_compiled_in_keeps_the_same_conditions),
        cmocka_unit_test(a_range_is_sent_exactly),
        cmocka_unit_test(what_is_no_range_gets_the_whole_and_what_is_not_there_416),
        cmocka_unit_test(several_ranges_are_parts),
        cmocka_unit_test(a_range_of_another_file_is_the_whole),
        cmocka_unit_test(the_best_form_is_sent),
        cmocka_unit_test(a_list_shows_what_can_be_had),
        cmocka_unit_test(a_list_is_json_for_those_who_ask),
        cmocka_unit_test(a_handler_answers_with_any_file),
        cmocka_unit_test(fields_of_the_handler_go_before_those_of_the_file),
        cmocka_unit_test(the_filters_of_a_group_go_for_its_files),
        cmocka_unit_test(a_large_file_arrives_whole_and_the_connection_goes_on),
        cmocka_unit_test(requests_in_a_row_get_their_files_in_order),
        cmocka_unit_test(a_file_that_is_replaced_while_it_is_sent_is_sent_as_it_was),
        cmocka_unit_test(a_file_that_becomes_shorter_while_it_is_sent_is_cut_short),
        cmocka_unit_test(changes_are_seen),
        cmocka_unit_test(a_young_file_has_a_weak_tag_until_it_is_settled),
        cmocka_unit_test(what_may_not_be_read_is_forbidden),
        cmocka_unit_test(a_folder_that_is_not_there_is_an_error),
        cmocka_unit_test(a_folder_that_is_deleted_has_nothing),
        cmocka_unit_test(each_worker_has_a_cache_of_its_own),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
