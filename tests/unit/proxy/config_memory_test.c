/* Memory that runs out while a configuration is read or dumped: it is said, nothing is left behind (the
 * sanitizer looks), and each allocation is a place where it happens. */
#include "../starve.h"
#include "config_kit.h"

static long left = -1; /* allocations until the one that fails; negative: none does */

bool starve_now(void)
{
    return left >= 0 && left-- == 0;
}

/* Reads it with each allocation failing in turn; how many there are. */
static long starve(slice text, int expected)
{
    static struct config_problem problems[CONFIG_PROBLEMS_MAX];
    const struct config_options options = {.name = "x", .host = "127.0.0.1"};
    for (long i = 0;; i++) {
        struct config *config = NULL;
        size_t count;
        left = i;
        int rc = config_read(text, &options, &config, problems, &count);
        bool reached = left < 0;
        left = -1;
        config_free(config);
        if (!reached) {
            assert_int_equal(rc, expected);
            return i;
        }
        assert_int_equal(rc, ERR_MEMORY);
        assert_null(config);
    }
}

static void reading_says_that_there_is_no_memory(void **state)
{
    (void)state;
    char path[1024], *text;
    snprintf(path, sizeof path, "%s/config/examples/everything.conf", SOURCE);
    slice bytes = kit_file(path, &text);
    assert_true(starve(bytes, OK) > 5);
    free(text);
    static char many[100000];
    size_t len = 0;
    for (int i = 0; i < 200; i++) /* enough for a place in many blocks of memory */
        len += (size_t)snprintf(
            many + len, sizeof many - len,
            "host h%d *.h%d:80 { proxy_pass http://x/y; proxy_set_header A%d \"$host b\"; path /a "
            "{ proxy_pass https://y; } }\n",
            i, i, i);
    assert_true(starve(slice_of(many, len), OK) > 40);
    assert_true(starve(SLICE("host a { proxy_pas x; }"), ERR_MALFORMED) > 3);
}

static void a_dump_says_that_there_is_no_memory(void **state)
{
    (void)state;
    struct config *config = kit_config("host a { proxy_pass http://x; proxy_set_header A \"$host b\"; }");
    for (long i = 0, reached = 1; reached; i++) {
        struct buffer out;
        buffer_init(&out, &allocator_libc, 100000);
        left = i;
        config_dump(config, &out);
        reached = left < 0;
        left = -1;
        assert_int_equal(out.failed, reached);
        buffer_reset(&out);
    }
    struct buffer small;
    buffer_init(&small, &allocator_libc, 100);
    config_dump(config, &small);
    assert_true(small.failed && small.len <= 100);
    buffer_reset(&small);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_says_that_there_is_no_memory),
        cmocka_unit_test(a_dump_says_that_there_is_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
