/* The statements of a configuration: directives with their arguments, blocks with what is in them. */
#include "proxy/config_read.h"

struct parser {
    struct config_reader *reader;
    struct config_lexer lexer;
    struct config_word word;    /* at hand */
    struct config_place before; /* behind the word before it */
    unsigned open;              /* blocks around the word at hand */
    unsigned leave;             /* blocks that are left without a brace */
    unsigned forgiven;          /* braces that will be too many because of that */
};

static void advance(struct parser *p)
{
    p->before = p->word.end;
    p->word = config_lexer_next(&p->lexer);
}

/* At the brace that opens a block which is of no use: takes all of it. */
static void skip_block(struct parser *p, const struct config_word *name)
{
    unsigned depth = 0;
    do {
        if (p->word.kind == WORD_END) {
            config_error(p->reader, name->place, "the block that begins here is not closed: expected \"}\"");
            return;
        }
        depth += p->word.kind == WORD_OPEN;
        depth -= p->word.kind == WORD_CLOSE;
        advance(p);
    } while (depth > 0);
}

/* --- directives --- */

static bool is_directive(const struct config_word *word)
{
    return word->kind == WORD_TEXT && !word->quoted && config_directive(word->text);
}

/* dist_policy needs no semicolon: files of long ago have none. */
static bool ends_freely(const struct config_statement *s)
{
    return s->directive && s->argument_count > 0 && slice_equal(s->name.text, SLICE("dist_policy"));
}

/* True when the word at hand begins another directive, and the semicolon before it is missing. */
static bool begins_another(const struct parser *p, const struct config_statement *s)
{
    if (ends_freely(s)) return p->word.place.line > p->before.line || is_directive(&p->word);
    return p->word.place.line > p->before.line && is_directive(&p->word);
}

static void missing_semicolon(struct parser *p, const struct config_statement *s)
{
    if (ends_freely(s)) return;
    bool block = s->directive && s->directive->block;
    config_error(
        p->reader, p->before, "expected \"%s\" after \"%s\"", block ? "{" : ";",
        config_shown(s->argument_count > 0 ? s->arguments[s->argument_count - 1].text : s->name.text).text);
}

/* The arguments, up to what ends them. */
static void take_arguments(struct parser *p, struct config_statement *s)
{
    struct config_reader *r = p->reader;
    for (; p->word.kind == WORD_TEXT && !begins_another(p, s); advance(p)) {
        if (s->argument_count < CONFIG_ARGUMENTS_MAX)
            r->arguments[s->argument_count] = p->word;
        else if (s->argument_count == CONFIG_ARGUMENTS_MAX)
            config_error(r, p->word.place, "\"%s\" has more than %d arguments",
                         config_shown(s->name.text).text, CONFIG_ARGUMENTS_MAX);
        s->argument_count += s->argument_count <= CONFIG_ARGUMENTS_MAX;
        s->bad |= p->word.bad;
    }
    if (s->argument_count > CONFIG_ARGUMENTS_MAX) s->argument_count = CONFIG_ARGUMENTS_MAX;
    if (s->argument_count == 0) return;
    struct config_word *kept = config_take(r, r->passing, s->argument_count, sizeof *kept);
    if (kept) memcpy(kept, r->arguments, s->argument_count * sizeof *kept);
    s->arguments = kept;
    if (!kept) s->argument_count = 0;
}

/* What to write in place of a name that is no directive, or NULL. */
static const char *hint_for(slice name)
{
    if (config_directive(name)) return "write it without quotes";
    if (config_directive(slice_sub(name, 0, slice_find(name, '=')))) return "write a space for the \"=\"";
    return config_directive_hint(name);
}

static void unknown(struct parser *p, const struct config_word *name)
{
    slice text = name->text;
    const char *hint = hint_for(text);
    const char *likely =
        config_likely(text, &config_directives[0].name, config_directive_count, sizeof config_directives[0]);
    if (!likely && !hint && slice_find(text, '.') < text.len) hint = "a host is host \"name\" { ... }";
    if (hint)
        config_error(p->reader, name->place, "unknown directive \"%s\": %s", config_shown(text).text, hint);
    else if (likely)
        config_error(p->reader, name->place, "unknown directive \"%s\": did you mean \"%s\"?",
                     config_shown(text).text, likely);
    else
        config_error(p->reader, name->place, "unknown directive \"%s\"", config_shown(text).text);
}

/* --- blocks --- */

static struct config_statement *take_block(struct parser *p, struct config_statement *outer);

/* A block that cannot stand within the one around it shows that the end of that one was forgotten. True when
 * it is left for this. */
static bool leaves(struct parser *p, const struct config_statement *s, const struct config_statement *outer)
{
    if (!outer || !s->directive->block || outer->directive->scopes < s->directive->scopes) return false;
    config_error(p->reader, s->name.place,
                 "expected \"}\" before \"%s\": the block \"%s\" that begins on line %u is not closed",
                 s->directive->name, outer->directive->name, outer->name.place.line);
    p->leave = slice_equal(s->name.text, SLICE("path")) ? 1 : p->open;
    p->forgiven += p->leave;
    return true;
}

/* After the arguments: the end of the statement, or its block. False when it is to be left out. */
static bool take_end(struct parser *p, struct config_statement *s)
{
    bool block = s->directive && s->directive->block;
    if (p->word.kind == WORD_OPEN) {
        if (block) {
            advance(p);
            p->open++;
            s->first = take_block(p, s);
            p->open--;
            return true;
        }
        if (s->directive)
            config_error(p->reader, p->word.place, "expected \";\": \"%s\" is not a block",
                         s->directive->name);
        skip_block(p, &s->name);
        return s->directive != NULL;
    }
    bool semicolon = p->word.kind == WORD_SEMICOLON;
    if (block || (!semicolon && s->directive)) missing_semicolon(p, s);
    if (semicolon) advance(p);
    return s->directive && !block;
}

/* One statement; NULL when nothing is to be made of it. At a block that leaves the one around it nothing is
 * taken. */
static struct config_statement *take_statement(struct parser *p, struct config_statement *outer)
{
    struct config_statement *s = config_take(p->reader, p->reader->passing, 1, sizeof *s);
    if (!s) return NULL;
    s->name = p->word;
    s->directive = p->word.quoted ? NULL : config_directive(p->word.text);
    if (s->directive && leaves(p, s, outer)) return NULL;
    if (!s->directive) {
        if (!p->word.bad) unknown(p, &p->word);
        if (outer) outer->unknown = true;
    }
    advance(p);
    take_arguments(p, s);
    return take_end(p, s) ? s : NULL;
}

/* What is no statement. False at the end of the block. */
static bool take_sign(struct parser *p, const struct config_statement *outer)
{
    struct config_word sign = p->word;
    if (sign.kind == WORD_END) {
        if (outer)
            config_error(
                p->reader, outer->name.place,
                "the block that begins here is not closed: expected \"}\" before the end of the file");
        return false;
    }
    if (sign.kind == WORD_OPEN) {
        config_error(p->reader, sign.place, "expected a directive before \"{\"");
        skip_block(p, &sign);
        return true;
    }
    advance(p);
    if (sign.kind == WORD_SEMICOLON || outer) return sign.kind == WORD_SEMICOLON;
    if (p->forgiven > 0)
        p->forgiven--;
    else
        config_error(p->reader, sign.place, "there is no block that this \"}\" could close");
    return true;
}

/* The statements of a block, and its end; outer NULL: of the file. */
static struct config_statement *take_block(struct parser *p, struct config_statement *outer)
{
    struct config_statement *first = NULL, **last = &first;
    while (p->leave == 0 && !p->reader->no_memory) {
        if (p->word.kind != WORD_TEXT) {
            if (!take_sign(p, outer)) return first;
            continue;
        }
        struct config_statement *s = take_statement(p, outer);
        if (!s) continue;
        *last = s;
        last = &s->next;
    }
    if (p->leave > 0) p->leave--;
    return first;
}

struct config_statement *config_statements(struct config_reader *r, slice text)
{
    struct parser *p = config_take(r, r->passing, 1, sizeof *p);
    r->arguments = config_take(r, r->passing, CONFIG_ARGUMENTS_MAX, sizeof *r->arguments);
    if (!p || !r->arguments) return NULL;
    p->reader = r;
    config_lexer_init(&p->lexer, r, text);
    advance(p);
    return take_block(p, NULL);
}
