#include "config_kit.h"

static const struct config_options options = {.name = "proxy.conf", .host = KIT_HOST};
static struct config_problem problems[CONFIG_PROBLEMS_MAX];
static char said[32 * 1024], dumped[256 * 1024];

static void say(size_t count)
{
    size_t len = 0;
    said[0] = 0;
    for (size_t i = 0; i < count && i < CONFIG_PROBLEMS_MAX; i++)
        len +=
            (size_t)snprintf(said + len, sizeof said - len, "%u:%u: %s: %s\n", problems[i].line,
                             problems[i].column, problems[i].warning ? "warning" : "error", problems[i].text);
}

struct config *kit_config_with(slice text, size_t warnings)
{
    struct config *config = NULL;
    size_t count;
    int rc = config_read(text, &options, &config, problems, &count);
    say(count);
    if (rc != OK || count != warnings)
        fail_msg("%d, %zu problems of\n%.*s\n%s", rc, count, (int)text.len, (const char *)text.ptr, said);
    return config;
}

struct config *kit_config(const char *text)
{
    return kit_config_with(slice_text(text), 0);
}

const char *kit_problems(slice text)
{
    struct config *config = NULL;
    size_t count;
    int rc = config_read(text, &options, &config, problems, &count);
    assert_true(rc == OK || rc == ERR_MALFORMED);
    config_free(config);
    say(count);
    return said;
}

const char *kit_dump(const struct config *config)
{
    struct buffer out;
    buffer_init(&out, &allocator_libc, sizeof dumped - 1);
    config_dump(config, &out);
    assert_false(out.failed);
    memcpy(dumped, out.ptr, out.len);
    dumped[out.len] = 0;
    buffer_reset(&out);
    return dumped;
}

slice kit_file(const char *path, char **out_text)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s cannot be opened", path);
    *out_text = malloc(CONFIG_BYTES_MAX + 1);
    assert_non_null(*out_text);
    size_t len = fread(*out_text, 1, CONFIG_BYTES_MAX + 1, file);
    fclose(file);
    return slice_of(*out_text, len);
}
