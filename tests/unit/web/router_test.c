/* Routes: which one a path leads to, and what cannot be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "web/router.h"

static int targets[20];

static void nothing(void *target)
{
    (void)target;
}

static int add(struct router *r, const char *method, const char *path, int number)
{
    return router_add(r, slice_text(method), slice_text(path), &targets[number]);
}

static struct router_match find(const struct router *r, const char *method, const char *path)
{
    struct router_match m;
    router_find(r, slice_text(method), slice_text(path), &m);
    return m;
}

static int number(const struct router *r, const char *method, const char *path)
{
    struct router_match m = find(r, method, path);
    return m.route ? (int)((int *)m.route->target - targets) : m.others ? -405 : -404;
}

static void literals_win_over_names_and_names_over_the_rest(void **state)
{
    (void)state;
    struct router r = {0};
    assert_int_equal(add(&r, "GET", "/", 1), OK);
    assert_int_equal(add(&r, "GET", "/a/b", 2), OK);
    assert_int_equal(add(&r, "GET", "/a/:x", 3), OK);
    assert_int_equal(add(&r, "GET", "/a/:x/c", 4), OK);
    assert_int_equal(add(&r, "GET", "/a/*rest", 5), OK);
    assert_int_equal(add(&r, "POST", "/a/:y", 6), OK);
    assert_int_equal(number(&r, "GET", "/"), 1);
    assert_int_equal(number(&r, "GET", "/a/b"), 2);
    assert_int_equal(number(&r, "GET", "/a/b/"), 2);
    assert_int_equal(number(&r, "GET", "/a/%62"), 2);
    assert_int_equal(number(&r, "GET", "/a/z"), 3);
    assert_int_equal(number(&r, "GET", "/a/b/c"), 4); /* "b" has no "c" below it: back to the name */
    assert_int_equal(number(&r, "GET", "/a/b/d"), 5);
    assert_int_equal(number(&r, "GET", "/a/b/c/d"), 5);
    assert_int_equal(number(&r, "GET", "/a"), 5);
    assert_int_equal(number(&r, "POST", "/a/z"), 6);
    assert_int_equal(number(&r, "HEAD", "/a/z"), 3);
    assert_int_equal(number(&r, "PUT", "/a/z"), -405);
    assert_int_equal(number(&r, "GET", "/b"), -404);
    assert_int_equal(number(&r, "GET", "//"), 1);
    assert_int_equal(number(&r, "GET", "//a"), -404);
    assert_int_equal(number(&r, "GET", "*"), -404);
    router_deinit(&r, nothing);
}

static void names_belong_to_their_route(void **state)
{
    (void)state;
    struct router r = {0};
    assert_int_equal(add(&r, "GET", "/u/:id", 1), OK);
    assert_int_equal(add(&r, "POST", "/u/:name/f/:file", 2), OK);
    assert_int_equal(add(&r, "GET", "/s/*path", 3), OK);
    struct router_match m = find(&r, "POST", "/u/an%20a/f/x%2Fy/");
    assert_int_equal(m.route->param_count, 2);
    assert_string_equal(m.route->params[0], "name");
    assert_true(slice_equal(m.values[0], SLICE("an%20a")));
    assert_true(slice_equal(m.values[1], SLICE("x%2Fy")));
    m = find(&r, "GET", "/u/7");
    assert_string_equal(m.route->params[0], "id");
    m = find(&r, "GET", "/s/a/b//c");
    assert_true(slice_equal(m.values[0], SLICE("a/b//c")));
    assert_int_equal(number(&r, "GET", "/u//"), -404); /* a name stands for something */
    router_deinit(&r, nothing);
}

static void a_path_of_any_length_is_answered(void **state)
{
    (void)state;
    struct router r = {0};
    assert_int_equal(add(&r, "GET", "/s/*path", 1), OK);
    assert_int_equal(add(&r, "GET", "/a/:b", 2), OK);
    char path[4000] = "/s/";
    for (size_t i = 3; i < sizeof path - 1; i++)
        path[i] = i % 2 ? 'x' : '/';
    path[sizeof path - 2] = 'x';
    path[sizeof path - 1] = 0;
    struct router_match m = find(&r, "GET", path);
    assert_int_equal(m.values[0].len, strlen(path) - 3);
    path[1] = 'a';
    assert_int_equal(number(&r, "GET", path), -404);
    router_deinit(&r, nothing);
}

static void what_cannot_be_a_route_is_refused(void **state)
{
    (void)state;
    struct router r = {0};
    assert_int_equal(add(&r, "GET", "/a", 1), OK);
    assert_int_equal(add(&r, "GET", "/a/", 1), ERR_EXISTS);
    assert_int_equal(add(&r, "GET", "/x/:a", 1), OK);
    assert_int_equal(add(&r, "GET", "/x/:b", 1), ERR_EXISTS);
    assert_int_equal(add(&r, "GET", "a", 1), ERR_INVALID);
    assert_int_equal(add(&r, "GET", "", 1), ERR_INVALID);
    assert_int_equal(add(&r, "G T", "/b", 1), ERR_INVALID);
    assert_int_equal(add(&r, "GET", "/b//c", 1), ERR_INVALID);
    assert_int_equal(add(&r, "GET", "/b/:", 1), ERR_INVALID);
    assert_int_equal(add(&r, "GET", "/b/*r/c", 1), ERR_INVALID);
    assert_int_equal(number(&r, "GET", "/b"), -404);
    router_deinit(&r, nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_win_over_names_and_names_over_the_rest),
        cmocka_unit_test(names_belong_to_their_route),
        cmocka_unit_test(a_path_of_any_length_is_answered),
        cmocka_unit_test(what_cannot_be_a_route_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
