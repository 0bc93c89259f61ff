#include "files_world.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char base[] = "/tmp/files-XXXXXX";
struct world world;
unsigned char large[LARGE];

/* --- the folder --- */

void write_bytes(const char *name, const void *bytes, size_t len)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* As programs replace files that others may be reading. */
void replace_file(const char *name, const char *text)
{
    write_file("replacement", text);
    assert_int_equal(rename("replacement", name), 0);
}

void make_folder(const char *name)
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

int files_setup(void **state)
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

int files_teardown(void **state)
{
    (void)state;
    char command[64];
    world_end(&world);
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -r %s", base);
    return system(command);
}

/* --- asking --- */

const char *ask_for(const char *method, const char *path, const char *fields)
{
    char head[9000];
    snprintf(head, sizeof head, "%s %s HTTP/1.1\r\n%s", method, path, fields);
    return ask(&world, head);
}

const char *get(const char *path, const char *fields)
{
    return ask_for("GET", path, fields);
}

/* For files of any size. */
const char *get_head(const char *path, const char *fields)
{
    return ask_for("HEAD", path, fields);
}

int status_of(const char *answer)
{
    assert_starts(answer, "HTTP/1.1 ");
    return atoi(answer + 9);
}

/* The value of a field of an answer; NULL when it is not there. Static memory. */
const char *field(const char *answer, const char *name)
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

const char *body(const char *answer)
{
    const char *at = strstr(answer, "\r\n\r\n");
    assert_non_null(at);
    return at + 4;
}

void assert_field(const char *answer, const char *name, const char *value)
{
    const char *got = field(answer, name);
    if (!got || strcmp(got, value) != 0)
        fail_msg("%s: %s instead of %s in %.400s", name, got ? got : "nothing", value, answer);
}

/* The entity tag as the server gives it now. */
void get_etag(const char *path, const char *fields, char etag[64])
{
    const char *text = field(get_head(path, fields), "ETag");
    assert_non_null(text);
    snprintf(etag, 64, "%s", text);
}

void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Entity tags of files that were just written are weak. */
void wait_until_strong(const char *path)
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
void wait_for_answer(const char *path, const char *text)
{
    const char *answer = "";
    for (int64_t end = now_ms() + PATIENCE_MS; !strstr(answer, text) && now_ms() < end; pause_a_little())
        answer = get(path, "");
    assert_has(answer, text);
}
