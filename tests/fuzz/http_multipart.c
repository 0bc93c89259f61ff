/* A form in parts: whole and in pieces it must give the same parts. The first byte says how long the pieces
 * are; the boundary is "B". */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "http/disposition.h"
#include "http/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int truth)
{
    if (!truth) abort();
}

static void check_name(slice filename)
{
    char name[FILENAME_BYTES_MAX + 1];
    size_t len = filename_safe(filename, name);
    slice safe = slice_of(name, len);
    expect(len > 0 && len <= FILENAME_BYTES_MAX && strlen(name) == len && utf8_valid(safe));
    expect(name[0] != '.' && name[0] != '-' && name[len - 1] != '.' && name[len - 1] != ' ');
    for (size_t i = 0; i < len; i++)
        expect((uint8_t)name[i] >= ' ' && !strchr("/\\<>:\"|?*\x7f", name[i]));
    /* A name that is safe stays as it is. */
    char again[FILENAME_BYTES_MAX + 1];
    expect(slice_equal(slice_of(again, filename_safe(safe, again)), safe));
}

/* Everything that came out, with the data of a part in one piece. */
static void note(struct buffer *log, const struct multipart_event *e)
{
    static const char marks[] = {
        [MULTIPART_PART] = '[', [MULTIPART_DATA] = 0, [MULTIPART_PART_END] = ']', [MULTIPART_END] = '.'};
    if (e->kind != MULTIPART_DATA) buffer_byte(log, (uint8_t)marks[e->kind]);
    if (e->kind == MULTIPART_PART) {
        expect(utf8_valid(e->name) && utf8_valid(e->filename));
        expect(e->has_filename || e->filename.len == 0);
        buffer_put(log, e->name);
        buffer_byte(log, e->has_filename);
        buffer_put(log, e->filename);
        buffer_byte(log, 0);
        buffer_put(log, e->content_type);
        buffer_byte(log, 0);
        if (e->has_filename) check_name(e->filename);
    }
    expect((e->kind == MULTIPART_DATA) == (e->data.len > 0));
    buffer_put(log, e->data);
}

static void read_all(slice text, size_t step, struct buffer *log)
{
    static const struct multipart_limits limits = {8, 300};
    struct multipart m;
    struct multipart_event e;
    int rc = ERR_AGAIN;
    buffer_init(log, &allocator_libc, 1 << 22);
    expect(multipart_init(&m, &allocator_libc, SLICE("multipart/form-data; boundary=B"), &limits) == OK);
    for (size_t at = 0; at < text.len && rc == ERR_AGAIN; at += step) {
        slice piece = slice_sub(text, at, step);
        uint8_t *copy = malloc(piece.len);
        if (!copy) abort();
        memcpy(copy, piece.ptr, piece.len);
        slice input = slice_of(copy, piece.len);
        while ((rc = multipart_next(&m, &input, &e)) == OK)
            note(log, &e);
        expect(rc != ERR_AGAIN || input.len == 0);
        expect(m.head.len <= limits.part_header_bytes_max && m.matched <= m.delimiter_len);
        free(copy);
    }
    buffer_byte(log, (uint8_t)-rc);
    buffer_byte(log, multipart_ended(&m));
    multipart_deinit(&m);
    expect(!log->failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    slice text = slice_of(data + 1, size - 1);
    struct buffer whole, cut;
    read_all(text, text.len, &whole);
    read_all(text, data[0] % 64 + 1u, &cut);
    expect(slice_equal(buffer_slice(&whole), buffer_slice(&cut)));
    buffer_reset(&whole);
    buffer_reset(&cut);
    /* The input as a name and as a field, too. */
    check_name(text);
    uint8_t *field = malloc(text.len);
    if (!field) abort();
    memcpy(field, text.ptr, text.len);
    struct disposition d;
    if (disposition_parse(field, text.len, &d) == OK) expect(utf8_valid(d.name) && utf8_valid(d.filename));
    free(field);
    return 0;
}
