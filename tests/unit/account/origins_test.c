/* What a list of page origins may look like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "account/origins.h"

static void a_list_is_origins_as_browsers_send_them(void **state)
{
    (void)state;
    struct origins origins;
    assert_null(origins_read(&origins, NULL));
    assert_int_equal(origins.count, 0);
    assert_null(origins_read(&origins, ""));
    assert_null(origins_read(&origins, "https://chat.example,http://localhost:3000,http://[::1]:8080"));
    assert_int_equal(origins.count, 3);
    assert_string_equal(origins.texts[1], "http://localhost:3000");
    const char *const wrong[] = {"chat.example",
                                 "https://chat.example/",
                                 "https://Chat.example",
                                 "https://",
                                 "ftp://chat.example",
                                 "*",
                                 "null",
                                 "https://a.example,,b",
                                 "https://a.example, https://b.example",
                                 "https://a.example/x",
                                 "https://user@a.example",
                                 "https://a.example?x",
                                 "https://*.example.com",
                                 "https://a.example,https://"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_non_null(origins_read(&origins, wrong[i]));
    char many[2048] = "";
    for (int i = 0; i < 17; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%shttp://h%d", i ? "," : "", i);
    assert_non_null(origins_read(&origins, many));
    assert_int_equal(origins.count, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_list_is_origins_as_browsers_send_them)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
