/* JSON that is written piece by piece: what it looks like, and what becomes a 500. */
#include <math.h>

#include "world.h"

static struct world world;

static void all_kinds(struct wr_request *request, void *context)
{
    (void)context;
    json_t *tree = json_pack("{s:[i,n]}", "t", 1);
    struct wr_json *json = wr_json_new(request);
    wr_json_object(json, NULL);
    wr_json_boolean(json, "yes", true);
    wr_json_boolean(json, "no", false);
    wr_json_integer(json, "least", INT64_MIN);
    wr_json_integer(json, "most", INT64_MAX);
    wr_json_real(json, "real", 0.1);
    wr_json_real(json, "whole", -2.0);
    wr_json_real(json, "large", 1e300);
    wr_json_null(json, "null");
    wr_json_text(json, "none", NULL);
    wr_json_text(json, "a \"key\"", "tab\there, quote \" backslash \\ line\n end\x01 \xC3\xA9");
    wr_json_bytes(json, "part", "abcdef", 3);
    wr_json_array(json, "list");
    wr_json_array(json, NULL);
    wr_json_end(json);
    wr_json_object(json, NULL);
    wr_json_end(json);
    wr_json_integer(json, NULL, 0);
    wr_json_end(json);
    wr_json_tree(json, "tree", tree);
    wr_json_end(json);
    json_decref(tree);
    wr_respond_json_written(request, 201, json);
}

static void long_list(struct wr_request *request, void *context)
{
    (void)context;
    struct wr_json *json = wr_json_new(request);
    wr_json_array(json, NULL);
    for (int i = 0; i < 20000; i++)
        wr_json_integer(json, NULL, i);
    wr_json_end(json);
    wr_respond_json_written(request, 200, json);
}

static void one_value(struct wr_request *request, void *context)
{
    (void)context;
    struct wr_json *json = wr_json_new(request);
    wr_json_text(json, NULL, "alone");
    wr_respond_json_written(request, 200, json);
}

/* What goes wrong, by name. */
static void wrong(struct wr_request *request, void *context)
{
    (void)context;
    const char *what = wr_request_param(request, "what");
    struct wr_json *json = strcmp(what, "memory") == 0 ? NULL : wr_json_new(request);
    bool object = strcmp(what, "key-missing") == 0, empty = strcmp(what, "empty") == 0;
    if (object)
        wr_json_object(json, NULL);
    else if (!empty)
        wr_json_array(json, NULL);
    if (object) wr_json_null(json, NULL);
    if (strcmp(what, "key-extra") == 0) wr_json_null(json, "key");
    if (strcmp(what, "utf8") == 0) wr_json_text(json, NULL, "\xFF");
    if (strcmp(what, "infinite") == 0) wr_json_real(json, NULL, INFINITY);
    for (int i = 0; i < 65 && strcmp(what, "deep") == 0; i++)
        wr_json_array(json, NULL);
    if (strcmp(what, "open") != 0 && !empty) wr_json_end(json);
    if (strcmp(what, "end") == 0) wr_json_end(json);
    if (strcmp(what, "two") == 0) wr_json_null(json, NULL);
    wr_respond_json_written(request, 200, json);
}

static void deepest(struct wr_request *request, void *context)
{
    (void)context;
    struct wr_json *json = wr_json_new(request);
    for (int i = 0; i < 64; i++)
        wr_json_array(json, NULL);
    for (int i = 0; i < 64; i++)
        wr_json_end(json);
    wr_respond_json_written(request, 200, json);
}

static int setup(void **state)
{
    (void)state;
    world_init(&world, NULL);
    assert_int_equal(wr_route(world.app, "GET", "/all", all_kinds, NULL), WR_OK);
    assert_int_equal(wr_route(world.app, "GET", "/list", long_list, NULL), WR_OK);
    assert_int_equal(wr_route(world.app, "GET", "/one", one_value, NULL), WR_OK);
    assert_int_equal(wr_route(world.app, "GET", "/deepest", deepest, NULL), WR_OK);
    assert_int_equal(wr_route(world.app, "GET", "/wrong/:what", wrong, NULL), WR_OK);
    world_run(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_end(&world);
    return 0;
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void what_is_written_is_compact_json(void **state)
{
    (void)state;
    const char *text = ask(&world, "GET /all HTTP/1.1\r\n");
    assert_starts(text, "HTTP/1.1 201 ");
    assert_has(text, "Content-Type: application/json\r\n");
    assert_string_equal(
        body_of(text),
        "{\"yes\":true,\"no\":false,\"least\":-9223372036854775808,\"most\":9223372036854775807,\"real\":0.1,"
        "\"whole\":-2.0,\"large\":1e+300,\"null\":null,\"none\":null,"
        "\"a \\\"key\\\"\":\"tab\\there, quote \\\" backslash \\\\ line\\n end\\u0001 "
        "\xC3\xA9\",\"part\":\"abc\","
        "\"list\":[[],{},0],\"tree\":{\"t\":[1,null]}}");
    assert_string_equal(body_of(ask(&world, "GET /one HTTP/1.1\r\n")), "\"alone\"");
}

static void another_reader_understands_it(void **state)
{
    (void)state;
    static const char *const paths[] = {"GET /all HTTP/1.1\r\n", "GET /deepest HTTP/1.1\r\n"};
    for (size_t i = 0; i < 2; i++) {
        json_t *tree = json_loads(body_of(ask(&world, paths[i])), 0, NULL);
        assert_non_null(tree);
        json_decref(tree);
    }
    json_t *list = json_loads(body_of(ask(&world, "GET /list HTTP/1.1\r\n")), 0, NULL);
    assert_int_equal(json_array_size(list), 20000);
    for (size_t i = 0; i < 20000; i++)
        assert_int_equal(json_integer_value(json_array_get(list, i)), i);
    json_decref(list);
}

static void what_is_no_json_becomes_a_500_and_a_line_in_the_log(void **state)
{
    (void)state;
    static const struct {
        const char *what, *why;
    } cases[] = {
        {"memory", "memory"},
        {"key-missing", "a key is missing"},
        {"key-extra", "where none belongs"},
        {"utf8", "UTF-8"},
        {"infinite", "finite"},
        {"open", "not complete"},
        {"empty", "not complete"},
        {"end", "nothing to end"},
        {"two", "more than one value"},
        {"deep", "too many levels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char head[100];
        snprintf(head, sizeof head, "GET /wrong/%s HTTP/1.1\r\n", cases[i].what);
        const char *text = ask(&world, head);
        assert_starts(text, "HTTP/1.1 500 ");
        assert_has(world.logged, cases[i].what);
        assert_has(world.logged, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_compact_json),
        cmocka_unit_test(another_reader_understands_it),
        cmocka_unit_test(what_is_no_json_becomes_a_500_and_a_line_in_the_log),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
