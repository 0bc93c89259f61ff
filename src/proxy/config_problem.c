/* What is wrong with a configuration, and how it is shown. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "proxy/config_read.h"

enum { SHOWN_CHARACTERS = 100 }; /* of a line */

/* The place of another problem; NULL: it is only counted. Errors take the place of warnings. */
static struct config_problem *room(struct config_reader *r, bool warning)
{
    size_t count = r->problem_count++;
    if (count < CONFIG_PROBLEMS_MAX) return &r->problems[count];
    for (size_t i = CONFIG_PROBLEMS_MAX; !warning && i > 0; i--) {
        if (r->problems[i - 1].warning) return &r->problems[i - 1];
    }
    return NULL;
}

static void tell(struct config_reader *r, bool warning, struct config_place place, const char *format,
                 va_list arguments)
{
    struct config_problem *problem = room(r, warning);
    if (!warning) r->wrong = true;
    if (!problem) return;
    problem->warning = warning;
    problem->line = place.line;
    problem->column = place.column;
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
}

void config_error(struct config_reader *r, struct config_place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(r, false, place, format, arguments);
    va_end(arguments);
}

void config_warning(struct config_reader *r, struct config_place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(r, true, place, format, arguments);
    va_end(arguments);
}

static int in_order(const void *left, const void *right)
{
    const struct config_problem *a = left, *b = right;
    if (a->line != b->line) return a->line < b->line ? -1 : 1;
    if (a->column != b->column) return a->column < b->column ? -1 : 1;
    return strcmp(a->text, b->text);
}

void config_problems_sort(struct config_reader *r)
{
    size_t count = r->problem_count < CONFIG_PROBLEMS_MAX ? r->problem_count : CONFIG_PROBLEMS_MAX;
    qsort(r->problems, count, sizeof *r->problems, in_order);
}

/* The next character, as it may be shown on a terminal: "?" for what is no text. */
static slice next_shown(slice *rest)
{
    slice before = *rest;
    uint32_t point;
    if (utf8_next(rest, &point) < 0) {
        *rest = slice_sub(*rest, 1, rest->len);
        return SLICE("?");
    }
    bool control = point < 0x20 || (point >= 0x7F && point < 0xA0) || (point >= 0x200B && point <= 0x200F) ||
                   (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
    return control ? SLICE("?") : slice_sub(before, 0, before.len - rest->len);
}

struct config_shown config_shown(slice text)
{
    struct config_shown shown;
    struct writer out = writer_of(shown.text, sizeof shown.text - sizeof "...");
    while (text.len > 0) {
        slice rest = text, character = next_shown(&rest);
        if (character.len > out.cap - out.len) break;
        writer_put(&out, character);
        text = rest;
    }
    memcpy(shown.text + out.len, text.len > 0 ? "..." : "", text.len > 0 ? 4 : 1);
    return shown;
}

/* --- the line, and a mark below it --- */

static slice line_of(slice text, unsigned line)
{
    slice part = SLICE_EMPTY;
    while (line > 0 && slice_split(&text, '\n', &part))
        line--;
    return line > 0 ? SLICE_EMPTY : part;
}

void config_problem_write(struct buffer *out, const struct config_options *options, slice text,
                          const struct config_problem *problem)
{
    buffer_text(out, options->name);
    buffer_byte(out, ':');
    buffer_u64(out, problem->line);
    buffer_byte(out, ':');
    buffer_u64(out, problem->column);
    buffer_text(out, problem->warning ? ": warning: " : ": error: ");
    buffer_text(out, problem->text);
    buffer_text(out, "\n    ");
    if (slice_starts(text, SLICE("\xEF\xBB\xBF"))) text = slice_sub(text, 3, text.len);
    slice line = line_of(text, problem->line);
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
    /* of a long line only what is near the place */
    unsigned first = problem->column > SHOWN_CHARACTERS ? problem->column - SHOWN_CHARACTERS / 2 : 1;
    struct buffer mark;
    buffer_init(&mark, out->allocator, 4096);
    if (first > 1) buffer_text(out, "..."), buffer_text(&mark, "   ");
    for (unsigned column = 1; line.len > 0 && column < first + SHOWN_CHARACTERS; column++) {
        bool tab = line.ptr[0] == '\t';
        slice character = next_shown(&line);
        if (column < first) continue;
        buffer_put(out, tab ? SLICE("\t") : character);
        if (column < problem->column) buffer_byte(&mark, tab ? '\t' : ' ');
    }
    if (line.len > 0) buffer_text(out, "...");
    buffer_text(out, "\n    ");
    buffer_put(out, buffer_slice(&mark));
    buffer_text(out, "^\n");
    out->failed |= mark.failed;
    buffer_reset(&mark);
}
