/* A list of accounts from elsewhere: whatever it is, what comes out of it can be an account. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "account/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

struct seen {
    size_t records, problems, line;
};

static int record(void *context, const struct import_record *r)
{
    struct seen *seen = context;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    expect(!name_problem(r->name) && !password_problem(r->password));
    int len = fold_name(r->name, key);
    expect(len > 0 && (size_t)len == r->key_len && memcmp(key, r->key, r->key_len) == 0);
    expect(r->line >= seen->line && r->line > 0); /* in the order of the file */
    seen->line = r->line;
    seen->records++;
    return OK;
}

static void problem(void *context, size_t line, const char *reason)
{
    struct seen *seen = context;
    expect(line > 0 && strlen(reason) > 0);
    seen->problems++;
}

static int friend(void *context, slice key)
{
    (void)context;
    expect(key.len && key.len <= FOLD_KEY_BYTES_MAX);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct import_handlers handlers = {record, problem, friend};
    struct seen seen = {0};
    slice file = slice_of(data, size);
    int err = import_read(file, &handlers, &seen);
    expect(err == OK || err == ERR_MALFORMED || err == ERR_TOO_LARGE || err == ERR_MEMORY);
    expect(err != ERR_MALFORMED || seen.problems > 0);
    expect(seen.problems <= IMPORT_PROBLEMS_MAX + 1);
    size_t lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    expect(seen.line <= lines);
    return 0;
}
