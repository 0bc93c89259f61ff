/* Fields that servers get: proxy_set_header, and the variables in its values. */
#include "http/token.h"
#include "proxy/config_read.h"

enum { FIELDS_MAX = 64, VALUE_BYTES_MAX = 4096 };

static const struct {
    const char *name;
    enum config_variable variable;
} variables[] = {
    {"host", VARIABLE_HOST},
    {"remote_addr", VARIABLE_REMOTE_ADDR},
    {"remote_port", VARIABLE_REMOTE_PORT},
    {"scheme", VARIABLE_SCHEME},
    {"request_id", VARIABLE_REQUEST_ID},
    {"proxy_host", VARIABLE_PROXY_HOST},
    {"proxy_add_x_forwarded_for", VARIABLE_FORWARDED_FOR},
};
enum { VARIABLE_COUNT = sizeof variables / sizeof variables[0] };

const char *config_variable_name(enum config_variable variable)
{
    for (size_t i = 0; i < VARIABLE_COUNT; i++) {
        if (variables[i].variable == variable) return variables[i].name;
    }
    return "http_";
}

/* --- values --- */

struct value_reader {
    struct config_reader *reader;
    struct config_value value;
    struct config_piece *pieces;
    size_t count;
    char *text; /* room for all texts */
    size_t text_len;
};

/* $http_x_y stands for the field X-Y. */
static bool take_http(struct value_reader *v, slice name)
{
    if (!slice_starts(name, SLICE("http_")) || name.len == 5) return false;
    char *field = arena_text(v->reader->kept, slice_sub(name, 5, name.len));
    v->reader->no_memory |= !field;
    for (char *c = field; c && *c; c++)
        *c = (char)(*c == '_' ? '-' : *c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    v->pieces[v->count++] = (struct config_piece){VARIABLE_HTTP, field};
    return true;
}

static void take_variable(struct value_reader *v, slice name)
{
    for (size_t i = 0; i < VARIABLE_COUNT; i++) {
        if (!slice_equal(slice_text(variables[i].name), name)) continue;
        v->pieces[v->count++] = (struct config_piece){variables[i].variable, NULL};
        return;
    }
    if (take_http(v, name)) return;
    const char *likely = config_likely(name, &variables[0].name, VARIABLE_COUNT, sizeof variables[0]);
    if (name.len == 0)
        config_error(v->reader, v->value.place,
                     "expected the name of a variable after \"$\": write $$ for a single $");
    else
        config_error(v->reader, v->value.place, "there is no variable $%s: %s%s%s", config_shown(name).text,
                     likely ? "did you mean $" : "known are $host, $remote_addr, $scheme and others",
                     likely ? likely : "", likely ? "?" : "");
}

/* At '$': the length of the variable, its name in *out. */
static size_t variable_length(slice rest, slice *out)
{
    size_t begin = rest.len > 1 && rest.ptr[1] == '{' ? 2 : 1, end = begin;
    while (end < rest.len && config_variable_char(rest.ptr[end]))
        end++;
    *out = slice_sub(rest, begin, end - begin);
    return begin == 2 ? end + 1 : end;
}

/* At text: what is up to the next variable, as a piece. */
static size_t take_text(struct value_reader *v, slice rest)
{
    size_t at = 0, begin = v->text_len;
    for (; at < rest.len; at++) {
        if (rest.ptr[at] == '$') {
            if (at + 1 == rest.len || rest.ptr[at + 1] != '$') break;
            at++;
        }
        v->text[v->text_len++] = (char)rest.ptr[at];
    }
    v->text[v->text_len++] = 0;
    v->pieces[v->count++] = (struct config_piece){VARIABLE_NONE, v->text + begin};
    return at;
}

static bool read_pieces(struct config_reader *r, struct config_value value, struct config_field *field)
{
    size_t most = 1;
    for (size_t i = 0; i < value.text.len; i++)
        most += value.text.ptr[i] == '$' ? 2 : 0;
    struct value_reader v = {.reader = r, .value = value};
    v.pieces = config_take(r, r->kept, most, sizeof *v.pieces);
    v.text = config_take(r, r->kept, value.text.len + most + 1, 1);
    if (!v.pieces || !v.text) return false;
    for (slice rest = value.text; rest.len > 0;) {
        size_t len;
        if (rest.ptr[0] == '$' && !slice_starts(rest, SLICE("$$"))) {
            slice name;
            len = variable_length(rest, &name);
            take_variable(&v, name);
        } else {
            len = take_text(&v, rest);
        }
        rest = slice_sub(rest, len, rest.len);
    }
    field->pieces = v.pieces;
    field->piece_count = v.count;
    return true;
}

/* --- names --- */

/* What the proxy says itself. True: the directive is to be left out. */
static bool is_ours(struct config_reader *r, const struct config_statement *s, slice name)
{
    static const char *const framing[] = {"Content-Length", "Transfer-Encoding", "TE",    "Trailer",
                                          "Keep-Alive",     "Proxy-Connection",  "Expect"};
    if (slice_equal_nocase(name, SLICE("Connection")) || slice_equal_nocase(name, SLICE("Upgrade"))) {
        config_warning(r, s->name.place,
                       "proxy_set_header %s is not needed: WebSockets and other upgrades pass through by "
                       "themselves",
                       slice_equal_nocase(name, SLICE("Upgrade")) ? "Upgrade" : "Connection");
        return true;
    }
    for (size_t i = 0; i < sizeof framing / sizeof framing[0]; i++) {
        if (!slice_equal_nocase(name, slice_text(framing[i]))) continue;
        config_error(r, s->arguments[0].place,
                     "proxy_set_header: %s is about a single connection: the proxy writes it itself",
                     framing[i]);
        return true;
    }
    if (!slice_equal_nocase(name, SLICE("Via"))) return false;
    config_error(r, s->arguments[0].place,
                 "proxy_set_header: Via is written by the proxy itself, which knows loops by it");
    return true;
}

/* Where a field of this name is, or is to be. */
static size_t place_of(const struct config_scope *scope, slice name)
{
    size_t i = 0;
    while (i < scope->location.field_count && !slice_equal_nocase(slice_text(scope->fields[i].name), name))
        i++;
    return i;
}

static void put(struct config_reader *r, const struct config_statement *s, struct config_scope *scope,
                const struct config_field *field)
{
    size_t i = place_of(scope, slice_text(field->name));
    if (scope->field_lines[i]) {
        config_error(r, s->arguments[0].place, "proxy_set_header %s is set twice: the first time on line %u",
                     config_shown(slice_text(field->name)).text, scope->field_lines[i]);
        return;
    }
    if (i == FIELDS_MAX) {
        config_error(r, s->name.place, "proxy_set_header: more than %d fields", FIELDS_MAX);
        return;
    }
    scope->fields[i] = *field;
    scope->field_lines[i] = s->name.place.line;
    scope->location.field_count += i == scope->location.field_count;
}

void config_read_set_header(struct config_reader *r, const struct config_statement *s,
                            struct config_scope *scope)
{
    struct config_field field = {0};
    struct config_value name = config_value(&s->arguments[0]), value = config_value(&s->arguments[1]);
    if (is_ours(r, s, name.text)) return;
    field.name = config_text(r, name);
    if (!field.name) return;
    if (!token_valid(slice_text(field.name))) {
        config_error(r, name.place, "proxy_set_header: \"%s\" cannot be the name of a field",
                     config_shown(name.text).text);
        return;
    }
    if (value.text.len > VALUE_BYTES_MAX) {
        config_error(r, value.place, "proxy_set_header: the value is longer than %d bytes", VALUE_BYTES_MAX);
        return;
    }
    if (value.text.len == 0 && slice_equal_nocase(name.text, SLICE("Host"))) {
        config_error(r, value.place, "proxy_set_header: servers need a Host");
        return;
    }
    if (read_pieces(r, value, &field)) put(r, s, scope, &field);
}
