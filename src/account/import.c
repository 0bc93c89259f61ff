#include "account/import.h"

#include <sodium.h>

#include "account/import_reader.h"

void import_problem(struct import_reader *reader, size_t line, const char *reason)
{
    reader->problems++;
    reader->handlers->problem(reader->context, line, reason);
}

int import_go_on(struct import_reader *reader, size_t line)
{
    if (reader->problems < IMPORT_PROBLEMS_MAX) return OK;
    import_problem(reader, line, "There are too many problems: nothing of the file was read.");
    return ERR_MALFORMED;
}

/* Whether the name stands in the file for the first time. */
static int note_name(struct import_reader *reader, const struct import_record *record, bool *out_first)
{
    uint8_t hash[MAP_KEY_BYTES];
    uint32_t ignored;
    crypto_generichash(hash, sizeof hash, record->key, record->key_len, NULL, 0);
    *out_first = !map_get(&reader->seen, hash, &ignored);
    return *out_first ? map_set(&reader->seen, hash, 1) : OK;
}

int import_take(struct import_reader *reader, struct import_record *record)
{
    if (++reader->records > IMPORT_RECORDS_MAX) {
        import_problem(reader, record->line, "There are too many accounts: at most 100,000 in one file.");
        return ERR_TOO_LARGE;
    }
    const char *problem = record->name.len ? name_problem(record->name) : "The name is empty.";
    if (!problem) problem = password_problem(record->password);
    int key_len = problem ? 0 : fold_name(record->name, record->key);
    if (!problem && key_len < 0) problem = "This name cannot be used.";
    if (problem) {
        import_problem(reader, record->line, problem);
        return OK;
    }
    record->key_len = (size_t)key_len;
    bool first;
    int err = note_name(reader, record, &first);
    if (err) return err;
    if (!first) {
        import_problem(reader, record->line,
                       "The name, or one that counts as the same, stands further up in the file already.");
        return OK;
    }
    record->taken = true;
    reader->friends = 0;
    return reader->handlers->record(reader->context, record);
}

int import_friend(struct import_reader *reader, const struct import_record *record, slice name)
{
    uint8_t key[FOLD_KEY_BYTES_MAX];
    if (!record->taken || !reader->handlers->friend || name_problem(name)) return OK;
    int len = fold_name(name, key);
    if (len < 0 || ++reader->friends > IMPORT_FRIENDS_MAX) return OK;
    return reader->handlers->friend(reader->context, slice_of(key, (size_t)len));
}

static slice without_mark(slice file)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    return slice_starts(file, slice_of(mark, sizeof mark)) ? slice_sub(file, sizeof mark, file.len) : file;
}

static bool is_utf16(slice file)
{
    static const uint8_t little[] = {0xFF, 0xFE}, big[] = {0xFE, 0xFF};
    return slice_starts(file, slice_of(little, 2)) || slice_starts(file, slice_of(big, 2));
}

static bool begins_json(slice file)
{
    size_t i = 0;
    while (i < file.len && (file.ptr[i] == ' ' || (file.ptr[i] >= '\t' && file.ptr[i] <= '\r')))
        i++;
    return i < file.len && (file.ptr[i] == '[' || file.ptr[i] == '{');
}

int import_read(slice file, const struct import_handlers *handlers, void *context)
{
    struct import_reader reader = {.handlers = handlers, .context = context};
    if (file.len > IMPORT_BYTES_MAX) {
        import_problem(&reader, 1, "The file is too large: at most 16 MiB.");
        return ERR_TOO_LARGE;
    }
    if (is_utf16(file)) {
        import_problem(&reader, 1, "The file is UTF-16: save it as UTF-8.");
        return ERR_MALFORMED;
    }
    uint8_t secret[16];
    randombytes_buf(secret, sizeof secret);
    map_init(&reader.seen, &allocator_libc, IMPORT_RECORDS_MAX, secret);
    file = without_mark(file);
    int err = begins_json(file) ? import_json(&reader, file) : import_csv(&reader, file);
    map_deinit(&reader.seen);
    return err;
}
