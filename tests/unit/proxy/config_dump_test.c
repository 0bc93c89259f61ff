/* What is dumped is the configuration: it reads as the same one, and dumps as the same text. */
#include <dirent.h>

#include "config_check.h"
#include "config_kit.h"
#include "proxy/config_read.h"

/* Where repository files are: SOURCE. */
static void check_folder(const char *folder, const char *ending, bool without_warning)
{
    char path[1024], *text;
    snprintf(path, sizeof path, "%s/%s", SOURCE, folder);
    DIR *files = opendir(path);
    assert_non_null(files);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(files)) != NULL;) {
        size_t len = strlen(entry->d_name), warnings;
        if (len < strlen(ending) || strcmp(entry->d_name + len - strlen(ending), ending) != 0) continue;
        snprintf(path, sizeof path, "%s/%s/%s", SOURCE, folder, entry->d_name);
        slice bytes = kit_file(path, &text);
        bool good = config_check(bytes, "127.0.0.1", &warnings);
        if (without_warning && (!good || warnings > 0)) fail_msg("%s:\n%s", path, kit_problems(bytes));
        free(text);
        count++;
    }
    closedir(files);
    assert_true(count > 0);
}

static void the_files_that_come_with_it_are_read_without_warning(void **state)
{
    (void)state;
    check_folder("config", ".conf", true);
    check_folder("config/examples", ".conf", true);
}

static void assert_all_directives_in(const char *file)
{
    char path[1024], *text;
    snprintf(path, sizeof path, "%s/%s", SOURCE, file);
    slice bytes = kit_file(path, &text);
    assert_true(bytes.len < CONFIG_BYTES_MAX);
    text[bytes.len] = 0;
    for (size_t i = 0; i < config_directive_count; i++) {
        char wanted[100];
        snprintf(wanted, sizeof wanted, "%s ", config_directives[i].name);
        if (!strstr(text, wanted)) fail_msg("%s has no \"%s\"", file, wanted);
    }
    free(text);
}

static void the_manual_and_the_largest_example_have_all_directives(void **state)
{
    (void)state;
    assert_all_directives_in("config/examples/everything.conf");
    assert_all_directives_in("docs/proxy.md");
}

static void a_dump_has_what_goes_without_saying_at_the_top(void **state)
{
    (void)state;
    struct config *config = kit_config("host b a { proxy_pass http://x; retries 3; path /y { retries 2; } }");
    assert_string_equal(kit_dump(config), "access_log off;\n"
                                          "trusted_proxies off;\n"
                                          "client_timeout idle=1m header=10s body=30s;\n"
                                          "max_connections off;\n"
                                          "max_header 16k;\n"
                                          "dist_policy round-robin;\n"
                                          "health_check off;\n"
                                          "circuit_breaker fails=5 pause=10s;\n"
                                          "slow_start off;\n"
                                          "queue 100 timeout=5s;\n"
                                          "keepalive 64 idle=50s;\n"
                                          "proxy_tls system;\n"
                                          "timeout connect=5s read=1m send=1m idle=1h;\n"
                                          "max_body off;\n"
                                          "buffer 64k;\n"
                                          "retries 2;\n"
                                          "rate_limit off;\n"
                                          "\n"
                                          "host \"b\" \"a\" {\n"
                                          "    proxy_pass http://x:80;\n"
                                          "    retries 3;\n"
                                          "    path \"/y\" {\n"
                                          "        retries 2;\n"
                                          "    }\n"
                                          "}\n");
    config_free(config);
}

static void what_needs_care_comes_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "proxy_set_header A \"$$host $host{{HOST}} ${host}x $host-x ${http_a_b}_ $http_a_b/ \\\" \\\\ ' $$$$ "
        "\";",
        "proxy_set_header A ''; proxy_set_header B$$C \"\xC3\xA9 \xC2\xA0\";",
        "path \"/a b;{}\" { } path '/\"' { } path /$$x { } path \"/\\\\\" { }",
        "path /a { proxy_pass http://y/; } path / { proxy_pass https://z/p%20q; } path /b/ { proxy_pass "
        "\"http://y/;$$,'(\"; }",
        "health_check path=\"/x;y\" host=[::1]:80; proxy_tls trust=\"a \\\"b\\\" $$c\";",
        "proxy_set_header X host; path /a { proxy_set_header x path; } path /b { proxy_set_header Y \"\"; }",
        "health_check; path /a { proxy_pass http://y; health_check off; queue off; circuit_breaker off; "
        "keepalive "
        "off; proxy_tls insecure; slow_start 1ms; dist_policy sticky\n }",
        "queue off; keepalive 0; circuit_breaker off; path /a { proxy_pass http://y; queue 100; keepalive "
        "64; "
        "circuit_breaker fails=5; dist_policy ip-hash\n}",
        "rate_limit 7/m; max_body 3k; path /a { rate_limit off; max_body off; } path /b { rate_limit 120/m "
        "burst=0; }",
        "timeout connect=1ms read=1001ms send=61s idle=2d; path /a { timeout read=60s idle=48h; }",
        "dist_policy sticky cookie=$$a\n path /a { proxy_pass http://y backup weight=3 max_conns=9; }",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[1000];
        size_t warnings;
        snprintf(text, sizeof text, "retries 7; host a *.b [::1]:80 default { proxy_pass http://x; %s }",
                 texts[i]);
        if (!config_check(slice_text(text), "127.0.0.1", &warnings))
            fail_msg("%s\n%s", text, kit_problems(slice_text(text)));
    }
}

/* --- configurations made at random --- */

static uint64_t seed;

static unsigned chance(unsigned of)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % of;
}

static const char *one_of(const char *const *list, unsigned count)
{
    return list[chance(count)];
}
#define ONE_OF(list) one_of(list, sizeof(list) / sizeof(list)[0])

static char made[200000];
static size_t made_len;

static void put(const char *text)
{
    made_len += (size_t)snprintf(made + made_len, sizeof made - made_len, "%s ", text);
}

/* Only one directive of a kind in a block. */
static size_t put_once(const char *text, const char **said, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strncmp(said[i], text, 9) == 0) return count; /* "timeout r" differs from "timeout c" */
    }
    put(text);
    said[count] = text;
    return count + 1;
}

static void put_settings(bool servers, bool top)
{
    static const char *const requests[] = {"timeout connect=2s;",
                                           "timeout read 5m;",
                                           "timeout idle=1d;",
                                           "max_body 10m;",
                                           "max_body off;",
                                           "buffer 4k;",
                                           "retries 0;",
                                           "retries 5;",
                                           "rate_limit 10/m;",
                                           "rate_limit off;",
                                           "buffer 64k;",
                                           "rate_limit 3/s burst=0;",
                                           "retries 2;",
                                           "max_body 0;",
                                           "timeout send=7ms;",
                                           "proxy_set_header A $host;",
                                           "proxy_set_header a \"\";",
                                           "proxy_set_header B \"x${scheme}y$$\";",
                                           "proxy_set_header Host $HOST;"};
    static const char *const groups[] = {"dist_policy round-robin\n",
                                         "dist_policy sticky\n",
                                         "dist_policy sticky cookie=c;",
                                         "dist_policy ip-hash;",
                                         "health_check;",
                                         "health_check off;",
                                         "health_check path=/h fall=1;",
                                         "circuit_breaker off;",
                                         "circuit_breaker pause=3s;",
                                         "slow_start 3s;",
                                         "slow_start off;",
                                         "queue off;",
                                         "queue 7;",
                                         "queue 100;",
                                         "keepalive off;",
                                         "keepalive 3 idle=3s;",
                                         "proxy_tls insecure;",
                                         "proxy_tls system;",
                                         "proxy_tls trust=ca;"};
    static const char *const proxy[] = {"access_log - format=json;",
                                        "trusted_proxies 10.0.0.0/8 fields=forwarded;",
                                        "max_header 8k;",
                                        "max_connections 9;",
                                        "client_timeout idle=3s;",
                                        "listen 80;",
                                        "listen [::1]:81 redirect=https;",
                                        "listen 443 cert=a key=b;"};
    const char *said[40];
    size_t count = 0;
    for (unsigned i = chance(6); i > 0; i--) {
        count = put_once(ONE_OF(requests), said, count);
        if (servers) count = put_once(ONE_OF(groups), said, count);
        if (top) count = put_once(ONE_OF(proxy), said, count);
    }
}

static void put_servers(unsigned count)
{
    static const char *const urls[] = {"http://a", "http://b:81/", "https://c/base", "http://[::1]:9",
                                       "http://1.2.3.4/x/"};
    static const char *const arguments[] = {"", "weight=2", "backup", "max_conns=5",
                                            "weight=9 backup max_conns=1"};
    for (unsigned at = chance(5); count > 0; count--, at++)
        made_len += (size_t)snprintf(made + made_len, sizeof made - made_len, "proxy_pass %s %s;\n",
                                     urls[at % 5], ONE_OF(arguments));
}

static void make(void)
{
    static const char *const names[] = {"a",     "A:80",       "*.a", "*.b.c:8080", "default",
                                        "[::1]", "$HOST:8080", "x.a", "b.c."};
    static const char *const paths[] = {"/", "/x", "/x/", "/x/y", "\"/a b\"", "/$$"};
    made_len = 0;
    put_settings(true, true);
    for (unsigned hosts = 1 + chance(4); hosts > 0; hosts--) {
        put("\nhost");
        for (unsigned i = 1 + chance(3); i > 0; i--)
            put(ONE_OF(names));
        put("{");
        bool own = chance(4) > 0;
        if (own) put_servers(1 + chance(3));
        put_settings(true, false);
        unsigned first = chance(6);
        for (unsigned i = 0; i < chance(4); i++) {
            bool more = !own || chance(2);
            put("\npath");
            put(paths[(first + i) % 6]);
            put("{");
            if (more) put_servers(1 + chance(2));
            put_settings(more, false);
            put("}");
        }
        put("}");
    }
}

static void whatever_is_read_is_dumped_and_read_again(void **state)
{
    (void)state;
    unsigned good = 0, tries = 2000;
    const char *given = getenv("SEED");
    uint64_t begin = given ? strtoull(given, NULL, 0) : 1;
    for (unsigned i = 0; i < tries; i++) {
        size_t warnings;
        seed = begin + i;
        chance(2);
        make();
        good += config_check(slice_of(made, made_len), "127.0.0.1", &warnings);
    }
    if (good < tries / 4)
        fail_msg("only %u of %u could be read: %s", good, tries, kit_problems(slice_of(made, made_len)));
}

/* Any one byte left out, or put in, and any end: there is a message, or it means something. */
static void a_damaged_file_is_told_or_means_something(void **state)
{
    (void)state;
    char path[1024], *text;
    snprintf(path, sizeof path, "%s/config/examples/everything.conf", SOURCE);
    slice bytes = kit_file(path, &text);
    char *copy = malloc(bytes.len + 1);
    assert_non_null(copy);
    static const char odd[] = "{};\"'#$= \n\\\xC3\x01";
    for (size_t i = 0; i < bytes.len; i++) {
        size_t warnings;
        memcpy(copy, text, i);
        memcpy(copy + i, text + i + 1, bytes.len - i - 1);
        (void)config_check(slice_of(copy, bytes.len - 1), "127.0.0.1", &warnings);
        memcpy(copy + i + 1, text + i, bytes.len - i);
        copy[i] = odd[i % (sizeof odd - 1)];
        (void)config_check(slice_of(copy, bytes.len + 1), "127.0.0.1", &warnings);
        if (i % 8 == 0) (void)config_check(slice_of(text, i), "127.0.0.1", &warnings);
    }
    free(copy);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files_that_come_with_it_are_read_without_warning),
        cmocka_unit_test(the_manual_and_the_largest_example_have_all_directives),
        cmocka_unit_test(a_dump_has_what_goes_without_saying_at_the_top),
        cmocka_unit_test(what_needs_care_comes_back),
        cmocka_unit_test(whatever_is_read_is_dumped_and_read_again),
        cmocka_unit_test(a_damaged_file_is_told_or_means_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
