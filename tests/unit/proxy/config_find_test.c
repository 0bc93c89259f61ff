/* Which host and path a request is for. */
#include "config_kit.h"

static const char *found(const struct config *config, const char *authority, bool secure)
{
    const struct config_host *host = config_find_host(config, slice_text(authority), secure);
    return host ? host->locations[0].group->servers[0].host : "-";
}

static void hosts_are_found_by_name_and_port(void **state)
{
    (void)state;
    struct config *config = kit_config("host a.example:8080 { proxy_pass http://port; }\n"
                                       "host a.example b.example:80 { proxy_pass http://any; }\n"
                                       "host *.example { proxy_pass http://wild; }\n"
                                       "host *.deep.example:443 { proxy_pass http://deep443; }\n"
                                       "host *.deep.example *.tie.example:80 { proxy_pass http://deep; }\n"
                                       "host [2001:db8::0:1]:8080 [::1] { proxy_pass http://v6; }\n"
                                       "host 127.0.0.1 { proxy_pass http://v4; }\n");
    static const struct {
        const char *authority;
        bool secure;
        const char *host;
    } cases[] = {
        {"a.example:8080", false, "port"},
        {"A.Example:8080", true, "port"},
        {"a.example.:8080", false, "port"},
        {"a.example:08080", false, "port"},
        {"a.example", false, "any"},
        {"a.example:", false, "any"},
        {"a.example:8081", false, "any"},
        {"a.example:0", false, "any"},
        {"b.example", false, "any"},
        {"b.example:80", true, "any"},
        {"b.example", true, "wild"}, /* port 443 */
        {"b.example:8080", false, "wild"},
        {"x.b.example", false, "wild"},
        {"example", false, "-"},
        {".example", false, "wild"}, /* no host can have this name; whoever asks so gets what he asked for */
        {"badexample", false, "-"},
        {"x.deep.example", true, "deep443"},
        {"x.deep.example", false, "deep"},
        {"y.x.DEEP.example:81", false, "deep"},
        {"deep.example", false, "wild"},
        {"x.tie.example", false, "deep"},
        {"x.tie.example", true, "wild"},
        {"[2001:db8::1]:8080", false, "v6"},
        {"[2001:DB8:0:0::1]:8080", false, "v6"},
        {"[2001:db8::1]", false, "-"},
        {"[::1]:9", false, "v6"},
        {"[0:0:0:0:0:0:0:1]", false, "v6"},
        {"[::1", false, "-"},
        {"[::1]x", false, "-"},
        {"127.0.0.1:8080", false, "v4"},
        {"127.0.0.1:99999", false, "-"},
        {"127.0.0.1:x", false, "-"},
        {"", false, "-"},
        {":", false, "-"},
        {":8080", false, "-"},
        {"a..example", false, "wild"},
        {"default", false, "-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = found(config, cases[i].authority, cases[i].secure);
        if (strcmp(got, cases[i].host) != 0)
            fail_msg("%s: %s and not %s", cases[i].authority, got, cases[i].host);
    }
    config_free(config);
}

static void the_default_takes_what_no_name_fits(void **state)
{
    (void)state;
    struct config *config = kit_config("host default { proxy_pass http://fallback; }\n"
                                       "host a b:81 { proxy_pass http://named; }");
    static const char *const cases[][2] = {{"a", "named"},    {"b:81", "named"},   {"b", "fallback"},
                                           {"c", "fallback"}, {"", "fallback"},    {"default", "fallback"},
                                           {"*", "fallback"}, {"[x]", "fallback"}, {"a:99999", "fallback"},
                                           {"a:1", "named"},  {"xa", "fallback"},  {"x.a", "fallback"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(found(config, cases[i][0], false), cases[i][1]);
    config_free(config);
}

/* What is asked for comes from strangers, and may be long. */
static void long_names_are_found_or_not(void **state)
{
    (void)state;
    static const char label[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"; /* 63 */
    static char text[1000], huge[65536];
    char name[260];
    int len = snprintf(name, sizeof name, "%s.%s.%s.%.61s", label, label, label, label);
    assert_int_equal(len, 253);
    snprintf(text, sizeof text, "host %s { proxy_pass http://long; } host *.%s { proxy_pass http://wild; }",
             name, name + 2);
    struct config *config = kit_config(text);
    assert_string_equal(found(config, name, false), "long");
    snprintf(huge, sizeof huge, "%s.:65535", name);
    assert_string_equal(found(config, huge, false), "long");
    snprintf(huge, sizeof huge, "%sx", name);
    assert_string_equal(found(config, huge, false), "-");
    snprintf(huge, sizeof huge, "a.%s", name + 2);
    assert_string_equal(found(config, huge, false), "wild");
    memset(huge, 'a', sizeof huge - 1);
    assert_string_equal(found(config, huge, false), "-");
    memset(huge, '.', sizeof huge - 1);
    assert_string_equal(found(config, huge, false), "-");
    for (size_t i = 0; i + 1 < sizeof huge; i += 2)
        huge[i] = 'a';
    assert_string_equal(found(config, huge, false), "-");
    memset(huge, ':', sizeof huge - 1);
    assert_string_equal(found(config, huge, false), "-");
    memset(huge, '[', sizeof huge - 1);
    assert_string_equal(found(config, huge, false), "-");
    memset(huge, '0', sizeof huge - 1);
    memcpy(huge, name, 253);
    memcpy(huge + 253, ":", 1);
    memcpy(huge + sizeof huge - 3, "80", 2);
    assert_string_equal(found(config, huge, false), "-");
    config_free(config);
}

static void many_hosts_are_found(void **state)
{
    (void)state;
    static char text[400000];
    size_t len = 0;
    for (int i = 0; i < 5000; i++)
        len +=
            (size_t)snprintf(text + len, sizeof text - len,
                             "host h%d.example h%d.example:81 { proxy_pass http://s%d; }\n", i, i + 5000, i);
    struct config *config = kit_config_with(slice_of(text, len), 0);
    for (int i = 0; i < 5000; i++) {
        char name[40], server[40];
        snprintf(server, sizeof server, "s%d", i);
        snprintf(name, sizeof name, "H%d.example:9", i);
        assert_string_equal(found(config, name, false), server);
        snprintf(name, sizeof name, "h%d.example:81", i + 5000);
        assert_string_equal(found(config, name, false), server);
        snprintf(name, sizeof name, "h%d.example", i + 5000);
        assert_string_equal(found(config, name, false), "-");
    }
    config_free(config);
}

static void paths_match_whole_segments(void **state)
{
    (void)state;
    struct config *config =
        kit_config("host a { proxy_pass http://x; path /api { } path /api/v2 { } path /files/ { } "
                   "path /apix { } path \"/a b\" { } }");
    static const char *const cases[][2] = {
        {"/", "/"},
        {"/x", "/"},
        {"/api", "/api"},
        {"/api/", "/api"},
        {"/api/x", "/api"},
        {"/apiy", "/"},
        {"/apix", "/apix"},
        {"/api/v2", "/api/v2"},
        {"/api/v", "/api"},
        {"/api/v2/z", "/api/v2"},
        {"/api/v23", "/api"},
        {"/files", "/"},
        {"/files/", "/files/"},
        {"/files/x", "/files/"},
        {"/a b", "/a b"},
        {"/API", "/"},
    };
    const struct config_host *host = config_find_host(config, SLICE("a"), false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct config_location *location = config_find_location(host, slice_text(cases[i][0]));
        assert_non_null(location);
        if (strcmp(location->prefix, cases[i][1]) != 0)
            fail_msg("%s: %s and not %s", cases[i][0], location->prefix, cases[i][1]);
    }
    assert_null(config_find_location(host, SLICE("*"))); /* OPTIONS * */
    assert_null(config_find_location(host, SLICE_EMPTY));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_found_by_name_and_port),
        cmocka_unit_test(the_default_takes_what_no_name_fits),
        cmocka_unit_test(long_names_are_found_or_not),
        cmocka_unit_test(many_hosts_are_found),
        cmocka_unit_test(paths_match_whole_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
