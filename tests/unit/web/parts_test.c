/* Forms with files: gathered, in pieces, and as plain fields. */
#include <sys/socket.h>
#include <unistd.h>

#include "world.h"

static void list(struct wr_request *request, void *context)
{
    (void)context;
    const struct wr_part *parts;
    size_t count;
    char text[2000];
    int rc = wr_request_parts(request, &parts, &count), n = 0;
    if (rc < 0) {
        snprintf(text, sizeof text, "result %d", rc);
        wr_respond_text(request, 400, text);
        return;
    }
    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const struct wr_part *p = &parts[i];
        n += snprintf(text + n, sizeof text - (size_t)n, "[%s|%s|%s|%.*s]", p->name,
                      p->filename ? p->filename : "-", p->content_type, (int)p->bytes.len,
                      (const char *)p->bytes.ptr);
    }
    assert_int_equal(wr_request_parts(request, &parts, &count), 0); /* the same again */
    wr_respond_text(request, 200, text);
}

static void fields(struct wr_request *request, void *context)
{
    (void)context;
    json_t *all = wr_request_fields(request);
    const char *name = wr_request_field(request, "name");
    char text[200];
    snprintf(text, sizeof text, "%d %s", all ? (int)json_object_size(all) : -1, name ? name : "-");
    wr_respond_text(request, 200, text);
}

/* --- in pieces --- */

struct upload {
    struct wr_multipart *multipart;
    char text[2000];
    size_t len;
    int rc;
};

static void add(struct upload *u, const void *bytes, size_t len)
{
    assert_true(u->len + len < sizeof u->text);
    memcpy(u->text + u->len, bytes, len);
    u->len += len;
    u->text[u->len] = 0;
}

static void add_text(struct upload *u, const char *text)
{
    add(u, text, strlen(text));
}

static int on_part(const struct wr_part *part, void *context)
{
    struct upload *u = context;
    add_text(u, "[");
    add_text(u, part->name);
    add_text(u, "|");
    add_text(u, part->filename ? part->filename : "-");
    add_text(u, "|");
    add_text(u, part->content_type);
    add_text(u, "|");
    assert_int_equal(part->bytes.len, 0);
    return strcmp(part->name, "stop") == 0 ? 42 : 0;
}

static int on_data(const void *bytes, size_t len, void *context)
{
    add(context, bytes, len);
    return 0;
}

static int on_end(void *context)
{
    add_text(context, "]");
    return 0;
}

static const struct wr_multipart_handlers handlers = {
    .part = on_part, .data = on_data, .end = on_end, .parts_max = 4};

static void upload_free(struct upload *u)
{
    wr_multipart_free(u->multipart);
    free(u);
}

static void upload_begin(struct wr_request *request, void *context)
{
    (void)context;
    struct upload *u = calloc(1, sizeof *u);
    assert_non_null(u);
    u->multipart = wr_multipart_new(request, &handlers, u);
    if (!u->multipart) {
        upload_free(u);
        wr_respond_error(request, 415, NULL);
        return;
    }
    wr_request_set_user(request, u);
}

static void upload_data(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)context;
    struct upload *u = wr_request_user(request);
    u->rc = wr_multipart_feed(u->multipart, bytes, len);
}

static void upload_end(struct wr_request *request, void *context)
{
    (void)context;
    struct upload *u = wr_request_user(request);
    char result[32] = "";
    if (u->rc < 0 || u->rc == 42)
        snprintf(result, sizeof result, "result %d", u->rc);
    else if (!wr_multipart_complete(u->multipart))
        snprintf(result, sizeof result, "cut");
    add_text(u, result);
    wr_respond_text(request, 200, u->text);
    upload_free(u);
}

static void upload_failed(struct wr_request *request, void *context)
{
    (void)context;
    upload_free(wr_request_user(request));
}

static struct world world;

static int setup(void **state)
{
    (void)state;
    static const struct wr_body_handlers pieces = {
        .begin = upload_begin, .data = upload_data, .end = upload_end, .failed = upload_failed};
    world_init(&world, NULL);
    assert_int_equal(wr_route(world.app, "POST", "/parts", list, NULL), WR_OK);
    assert_int_equal(wr_route(world.app, "POST", "/fields", fields, NULL), WR_OK);
    assert_int_equal(wr_route_body(wr_root(world.app), "POST", "/pieces", &pieces, NULL), WR_OK);
    world_run(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_end(&world);
    return 0;
}

/* --- */

#define B "--x y\r\n"
static const char type[] = "multipart/form-data; boundary=\"x y\"";
static const char form[] = B "Content-Disposition: form-data; name=\"name\"\r\n\r\nEve\r\n" B
                             "Content-Disposition: form-data; name=empty\r\n\r\n\r\n" B
                             "Content-Disposition: form-data; name=\"file\"; filename=\"../a b.txt\"\r\n"
                             "Content-Type: text/html\r\n\r\n\r\n--x\r\n-- y\r\r\n--x Yes\r\n" B
                             "Content-Disposition: form-data; name=\"name\"\r\n\r\nAda\r\n--x y--\r\n";
static const char parts[] =
    "[name|-|text/plain|Eve][empty|-|text/plain|][file|../a b.txt|text/html|\r\n--x\r\n-- "
    "y\r\r\n--x Yes][name|-|text/plain|Ada]";

static const char *post(const char *path, const char *content_type, const char *body, size_t step)
{
    char head[400];
    int fd = client_connect(&world);
    snprintf(
        head, sizeof head,
        "POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
        path, content_type, strlen(body));
    client_send(fd, head);
    for (size_t at = 0, len = strlen(body); at < len; at += step)
        client_send_bytes(fd, body + at, step < len - at ? step : len - at);
    const char *text = client_read(fd, 10000, NULL, NULL);
    close(fd);
    return text;
}

static void the_parts_of_a_form_are_found_gathered_and_in_pieces(void **state)
{
    (void)state;
    char want[400];
    snprintf(want, sizeof want, "\r\n\r\n%s", parts);
    for (size_t step = 1; step < sizeof form; step += step < 40 ? 1 : 37) {
        assert_has(post("/parts", type, form, step), want);
        assert_has(post("/pieces", type, form, step), want);
    }
}

static void fields_are_the_parts_that_are_no_files(void **state)
{
    (void)state;
    assert_has(post("/fields", type, form, 1000), "\r\n\r\n2 Eve");
    assert_has(post("/fields", type, "--x y--\r\n", 1000), "\r\n\r\n0 -");
    assert_has(post("/fields", type, "name=Eve", 1000), "\r\n\r\n-1 -");
    assert_has(post("/fields", type,
                    B "Content-Disposition: form-data; name=\"name\"\r\n\r\n\xff\xfe\r\n--x y--\r\n", 1000),
               "\r\n\r\n-1 -");
    assert_has(post("/fields", "text/plain", "name=Eve", 1000), "\r\n\r\n1 Eve");
}

static void what_is_no_form_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body;
        int result;
    } cases[] = {
        {"text/plain", form, WR_INVALID},
        {"multipart/form-data", form, WR_INVALID},
        {type, "", WR_INVALID},
        {type, B "Content-Disposition: form-data; name=a\r\n\r\nEve\r\n--x y", WR_INVALID},
        {type, B "Content-Disposition: attachment; name=a\r\n\r\nEve\r\n--x y--\r\n", WR_INVALID},
        {type, B "Content-Type: text/plain\r\n\r\nEve\r\n--x y--\r\n", WR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[32];
        snprintf(want, sizeof want, "\r\n\r\nresult %d", cases[i].result);
        assert_has(post("/parts", cases[i].type, cases[i].body, 1000), want);
    }
    assert_starts(post("/pieces", "text/plain", form, 1000), "HTTP/1.1 415 ");
    assert_starts(post("/pieces", "multipart/form-data", form, 1000), "HTTP/1.1 415 ");
    assert_has(post("/pieces", type, "nonsense", 3), "\r\n\r\ncut");
    assert_has(post("/pieces", type, B "nonsense\r\n\r\n", 3), "\r\n\r\nresult -1");
}

#define PART B "Content-Disposition: form-data; name=a\r\n\r\nb\r\n"

static void limits_and_handlers_stop_the_parser(void **state)
{
    (void)state;
    assert_has(post("/pieces", type, PART PART PART PART "--x y--\r\n", 7), "]");
    assert_has(post("/pieces", type, PART PART PART PART PART "--x y--\r\n", 7), "]result -6");
    assert_has(post("/pieces", type, PART B "Content-Disposition: form-data; name=stop\r\n\r\nb\r\n" PART, 7),
               "[stop|-|text/plain|result 42");
    char long_head[6000];
    int n = snprintf(long_head, sizeof long_head, B "Content-Disposition: form-data; name=");
    memset(long_head + n, 'a', 5000);
    snprintf(long_head + n + 5000, sizeof long_head - (size_t)n - 5000, "\r\n\r\nb\r\n--x y--\r\n");
    assert_has(post("/pieces", type, long_head, 1000), "result -6");
    assert_has(post("/parts", type, long_head, 1000), "result -6");
}

static void a_client_that_leaves_within_a_form_leaks_nothing(void **state)
{
    (void)state;
    for (size_t len = 1; len < sizeof form; len += 50) {
        int fd = client_connect(&world);
        char head[300];
        snprintf(head, sizeof head,
                 "POST /pieces HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
                 sizeof form);
        client_send(fd, head);
        client_send_bytes(fd, form, len);
        close(fd);
    }
    assert_has(post("/parts", type, form, 1000), parts);
}

static void a_safe_name_is_one(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a.txt", "a.txt"},
        {"../../etc/passwd", "passwd"},
        {"C:\\temp\\a b.doc", "a b.doc"},
        {"", "file"},
        {"..", "file"},
        {".htaccess", "htaccess"},
        {"-rf", "_rf"},
        {"a/b/", "file"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[201];
        wr_part_safe_name(cases[i][0], name);
        assert_string_equal(name, cases[i][1]);
    }
    char long_name[1000], name[201];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    wr_part_safe_name(long_name, name);
    assert_true(strlen(name) <= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_form_are_found_gathered_and_in_pieces),
        cmocka_unit_test(fields_are_the_parts_that_are_no_files),
        cmocka_unit_test(what_is_no_form_is_refused),
        cmocka_unit_test(limits_and_handlers_stop_the_parser),
        cmocka_unit_test(a_client_that_leaves_within_a_form_leaks_nothing),
        cmocka_unit_test(a_safe_name_is_one),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
