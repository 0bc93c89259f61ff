/* A Cookie field, and cookies made of three lines: name, value and path. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/cookie.h"
#include "http/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

/* What was written is one header line, and a browser that sends it back is understood. */
static void check_written(const struct cookie *cookie, slice line)
{
    slice prefix = SLICE("Set-Cookie: "), got;
    expect(slice_starts(line, prefix) && line.len > prefix.len + 2);
    slice value = slice_sub(line, prefix.len, line.len - prefix.len - 2);
    expect(field_value_valid(value) && memcmp(line.ptr + line.len - 2, "\r\n", 2) == 0);
    expect(cookie_find(slice_sub(value, 0, slice_find(value, ';')), cookie->name, &got));
    expect(slice_equal(got, cookie->value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice text = slice_of(data, size), rest = text, lines[3] = {SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY}, value;
    for (int i = 0; i < 3; i++)
        if (!slice_split(&rest, '\n', &lines[i])) break;
    if (cookie_find(text, SLICE("session"), &value)) expect(value.len <= text.len);
    if (cookie_find(text, lines[0], &value)) expect(value.len <= text.len);
    struct buffer b;
    buffer_init(&b, &allocator_libc, 1 << 20);
    struct cookie cookie = {.name = lines[0],
                            .value = lines[1],
                            .path = lines[2],
                            .max_age_s = (int64_t)size - 10,
                            .http_only = size & 1,
                            .secure = size & 2,
                            .same_site = (enum same_site)(size % 3)};
    int rc = cookie_write(&b, &cookie);
    if (rc == OK)
        check_written(&cookie, buffer_slice(&b));
    else
        expect(b.len == 0);
    buffer_reset(&b);
    return 0;
}
