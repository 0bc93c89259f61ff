/* CSV: RFC 4180, with LF as good as CRLF, and empty lines skipped. */
#include "account/import_reader.h"

#include <sodium.h>

#include "base/alloc.h"
#include "base/buffer.h"

struct csv {
    struct import_reader *reader;
    slice rest;
    size_t line;          /* of the first byte of rest */
    struct writer fields; /* room for the bytes of one record, without its quotes */
    size_t width;         /* of each line, once it is known */
    size_t name_at, password_at, nickname_at, friends_at; /* columns; NO_COLUMN: there is none */
};

enum { NO_COLUMN = IMPORT_FIELDS_MAX };

struct csv_record {
    size_t line, count;
    struct {
        size_t at, len;
    } fields[IMPORT_FIELDS_MAX];
    const char *problem;
};

static bool at_line_end(slice s)
{
    return !s.len || s.ptr[0] == '\n' || (s.len > 1 && s.ptr[0] == '\r' && s.ptr[1] == '\n');
}

static void skip_line(struct csv *csv)
{
    size_t end = slice_find(csv->rest, '\n');
    csv->rest = slice_sub(csv->rest, end + 1, csv->rest.len);
    csv->line++;
}

static const char too_long[] =
    "The line is longer than 64 KiB, or a quote that is opened here is never closed.";

/* After the opening quote; takes the closing one. What is never closed ends with its first line, so that it
 * does not take the rest of the file with it. */
static const char *take_quoted(struct csv *csv, slice *rest, size_t *line)
{
    size_t lines = 0;
    for (size_t i = 0; i < rest->len && !csv->fields.failed; i++) {
        uint8_t c = rest->ptr[i];
        lines += c == '\n';
        if (c == '"' && (i + 1 == rest->len || rest->ptr[i + 1] != '"')) {
            *rest = slice_sub(*rest, i + 1, rest->len);
            *line += lines;
            return at_line_end(*rest) || rest->ptr[0] == ','
                       ? NULL
                       : "After a closing quote there must be a comma or the end of the line.";
        }
        i += c == '"';
        writer_byte(&csv->fields, c);
    }
    return csv->fields.failed ? too_long : "A quote that is opened here is never closed.";
}

static const char *take_plain(struct csv *csv, slice *rest)
{
    size_t i = 0;
    while (i < rest->len && rest->ptr[i] != ',' && !at_line_end(slice_sub(*rest, i, rest->len))) {
        if (rest->ptr[i] == '\r') return "There is a carriage return in the middle of the line.";
        i++;
    }
    writer_put(&csv->fields, slice_sub(*rest, 0, i));
    *rest = slice_sub(*rest, i, rest->len);
    return csv->fields.failed ? too_long : NULL;
}

/* One record off csv->rest. */
static void take_record(struct csv *csv, struct csv_record *record)
{
    slice rest = csv->rest;
    size_t line = csv->line;
    record->line = line;
    record->count = 0;
    record->problem = NULL;
    csv->fields = writer_of(csv->fields.ptr, csv->fields.cap);
    for (bool more = true; more && !record->problem;) {
        size_t at = csv->fields.len;
        if (record->count == IMPORT_FIELDS_MAX) {
            record->problem = "There are too many fields on this line.";
        } else if (rest.len && rest.ptr[0] == '"') {
            rest = slice_sub(rest, 1, rest.len);
            record->problem = take_quoted(csv, &rest, &line);
        } else {
            record->problem = take_plain(csv, &rest);
        }
        if (record->problem) break;
        record->fields[record->count].at = at;
        record->fields[record->count++].len = csv->fields.len - at;
        more = rest.len && rest.ptr[0] == ',';
        if (more) rest = slice_sub(rest, 1, rest.len);
    }
    csv->rest = rest;
    csv->line = line;
    skip_line(csv); /* or what is left of it */
}

static slice field(const struct csv *csv, const struct csv_record *record, size_t column)
{
    if (column >= record->count) return SLICE_EMPTY;
    return slice_of(csv->fields.ptr + record->fields[column].at, record->fields[column].len);
}

static size_t column_of(const struct csv *csv, const struct csv_record *record, slice title)
{
    for (size_t i = 0; i < record->count; i++) {
        if (slice_equal_nocase(slice_trim(field(csv, record, i)), title)) return i;
    }
    return NO_COLUMN;
}

/* The first record tells the columns, by its titles or by being one of two fields. */
static int learn_columns(struct csv *csv, const struct csv_record *record, bool *out_header)
{
    size_t name_at = column_of(csv, record, SLICE("username"));
    *out_header = !record->problem && name_at != NO_COLUMN;
    csv->width = 2;
    csv->name_at = 0;
    csv->password_at = 1;
    csv->nickname_at = csv->friends_at = NO_COLUMN;
    if (!*out_header) return OK;
    csv->width = record->count;
    csv->name_at = name_at;
    csv->password_at = column_of(csv, record, SLICE("password"));
    csv->nickname_at = column_of(csv, record, SLICE("nickname"));
    csv->friends_at = column_of(csv, record, SLICE("friends"));
    if (csv->password_at != NO_COLUMN) return OK;
    import_problem(csv->reader, record->line, "The header names no column \"password\".");
    return ERR_MALFORMED;
}

static int take_friends(struct csv *csv, const struct import_record *account, slice names)
{
    int err = OK;
    while (names.len && !err) {
        size_t len = 0;
        while (len < names.len && !memchr(" ,;", names.ptr[len], 3))
            len++;
        if (len) err = import_friend(csv->reader, account, slice_sub(names, 0, len));
        names = slice_sub(names, len + 1, names.len);
    }
    return err;
}

static int take_account(struct csv *csv, const struct csv_record *record)
{
    if (!record->problem && record->count == csv->width) {
        struct import_record account = {.line = record->line,
                                        .name = field(csv, record, csv->name_at),
                                        .password = field(csv, record, csv->password_at),
                                        .friends = field(csv, record, csv->friends_at).len > 0};
        slice nickname = field(csv, record, csv->nickname_at);
        account.nickname = nickname.len > 0 && !slice_equal(nickname, account.name);
        int err = import_take(csv->reader, &account);
        return err ? err : take_friends(csv, &account, field(csv, record, csv->friends_at));
    }
    const char *problem = record->problem;
    if (!problem && csv->width == 2 && record->count == 1)
        problem = "There must be two fields with a comma between them: username,password.";
    if (!problem)
        problem =
            "The number of fields is not that of the columns (a comma in a password needs quotes around "
            "the password).";
    import_problem(csv->reader, record->line, problem);
    return OK;
}

static int read_all(struct csv *csv)
{
    struct csv_record record;
    int err = OK;
    bool first = true;
    while (!err && csv->rest.len) {
        if (at_line_end(csv->rest)) {
            skip_line(csv);
            continue;
        }
        take_record(csv, &record);
        bool header = false;
        if (first) err = learn_columns(csv, &record, &header);
        first = false;
        if (!err && !header) err = take_account(csv, &record);
        if (!err) err = import_go_on(csv->reader, record.line);
    }
    return err;
}

int import_csv(struct import_reader *reader, slice file)
{
    uint8_t *fields = alloc_new(&allocator_libc, IMPORT_LINE_BYTES_MAX);
    if (!fields) return ERR_MEMORY;
    struct csv csv = {
        .reader = reader, .rest = file, .line = 1, .fields = writer_of(fields, IMPORT_LINE_BYTES_MAX)};
    int err = read_all(&csv);
    sodium_memzero(fields, IMPORT_LINE_BYTES_MAX);
    alloc_free(&allocator_libc, fields, IMPORT_LINE_BYTES_MAX);
    return err;
}
