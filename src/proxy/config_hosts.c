/* The names of hosts, and which block has a name that several claim. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/config_read.h"

/* --- one name --- */

static bool read_port(struct config_reader *r, struct config_value value, size_t colon, uint64_t *out)
{
    value.place.column += (unsigned)colon + 1;
    value.text = slice_sub(value.text, colon + 1, value.text.len);
    return config_number(r, "host port", value, 1, 65535, out);
}

/* What is wrong with a name at first sight, or NULL. */
static const char *mistake(slice text)
{
    if (text.len == 0) return "expected the name of a host between the quotes";
    if (slice_equal(text, SLICE("*"))) return "write default for requests that no other host takes";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == ',') return "host names are separated by spaces, without commas";
        if (c == '/') return "expected the name of a host, without http:// and without a path";
        if (c >= 0x80) return "write the name as browsers send it, in its ASCII form (xn--...)";
    }
    return NULL;
}

static const char *read_name(struct config_reader *r, const struct config_word *word)
{
    struct config_value value = config_value(word);
    const char *text = config_text(r, value), *wrong = mistake(value.text);
    if (wrong) config_error(r, value.place, "host: %s", wrong);
    if (!text || wrong) return NULL;
    value.text = slice_text(text);
    if (slice_equal(value.text, SLICE("default"))) return text;
    size_t from = slice_starts(value.text, SLICE("*.")) ? 2 : 0;
    slice bare = slice_sub(value.text, from, value.text.len);
    size_t end = slice_starts(bare, SLICE("[")) ? slice_find(bare, ']') + 1 : slice_find(bare, ':');
    if (end > bare.len) end = bare.len;
    uint64_t port = 0;
    if (end < bare.len && bare.ptr[end] == ':' && !read_port(r, value, from + end, &port)) return NULL;
    if (port == 0) end = bare.len;
    const char *name = config_host_name(r, value, slice_sub(bare, 0, end), true);
    if (name && !from && (strcmp(name, "0.0.0.0") == 0 || strcmp(name, "[::]") == 0))
        config_warning(r, value.place,
                       "%s means all addresses, but people open one: write that, or give it with --host when "
                       "this is $HOST",
                       name);
    if (!name || (!from && !port)) return name;
    size_t bytes = strlen(name) + sizeof "*.:65535";
    char *whole = config_take(r, r->kept, bytes, 1);
    if (!whole) return NULL;
    int len = snprintf(whole, bytes, "%s%s", from ? "*." : "", name);
    if (port) snprintf(whole + len, bytes - (size_t)len, ":%u", (unsigned)port);
    return whole;
}

/* --- who has it --- */

static int by_text(const void *left, const void *right)
{
    const struct config_claim *a = *(const struct config_claim *const *)left;
    const struct config_claim *b = *(const struct config_claim *const *)right;
    int order = strcmp(a->name, b->name);
    return order ? order : a < b ? -1 : a > b;
}

/* The later one of two claims counts: files rely on it. */
static void settle(struct config_reader *r, struct config_claim *claims, size_t count)
{
    struct config_claim **sorted = config_take(r, r->passing, count, sizeof *sorted);
    if (!sorted) return;
    for (size_t i = 0; i < count; i++)
        sorted[i] = &claims[i];
    qsort(sorted, count, sizeof *sorted, by_text);
    for (size_t i = 1; i < count; i++) {
        struct config_claim *former = sorted[i - 1], *latter = sorted[i];
        if (strcmp(former->name, latter->name) != 0) continue;
        former->lost = true;
        if (former->block == latter->block)
            config_warning(r, latter->place, "\"%s\" is named twice",
                           config_shown(slice_text(former->name)).text);
        else
            config_warning(r, latter->place, "\"%s\" is named on line %u too: the block on line %u counts",
                           config_shown(slice_text(former->name)).text, former->place.line,
                           latter->block->name.place.line);
    }
}

struct config_claim *config_claims(struct config_reader *r, const struct config_statement *first,
                                   size_t *out_count)
{
    size_t most = 0, count = 0;
    for (const struct config_statement *s = first; s; s = s->next)
        most += s->directive->block ? s->argument_count : 0;
    struct config_claim *claims = config_take(r, r->passing, most, sizeof *claims);
    for (const struct config_statement *s = first; claims && s; s = s->next) {
        if (strcmp(s->directive->name, "host") != 0) continue;
        for (size_t i = 0; i < s->argument_count; i++) {
            if (i == 0 && slice_equal(s->arguments[0].text, SLICE("="))) break; /* the directive tells it */
            const char *name = s->arguments[i].bad ? NULL : read_name(r, &s->arguments[i]);
            if (!name) continue;
            claims[count++] = (struct config_claim){name, s->arguments[i].place, s, false};
        }
    }
    settle(r, claims, count);
    *out_count = count;
    return claims;
}
