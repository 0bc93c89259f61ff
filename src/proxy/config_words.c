/* The words of a configuration: quotes, comments, $HOST and {{HOST}}. */
#include "base/utf8.h"
#include "proxy/config_read.h"

void config_lexer_init(struct config_lexer *lexer, struct config_reader *reader, slice text)
{
    lexer->reader = reader;
    lexer->text = text;
    lexer->at = slice_starts(text, SLICE("\xEF\xBB\xBF")) ? 3 : 0;
    lexer->place = (struct config_place){1, 1};
}

static slice rest_of(const struct config_lexer *lexer)
{
    return slice_sub(lexer->text, lexer->at, lexer->text.len);
}

/* The byte at hand; a line feed at the end of the file. */
static uint8_t peek(const struct config_lexer *lexer)
{
    return lexer->at < lexer->text.len ? lexer->text.ptr[lexer->at] : '\n';
}

static void skip(struct config_lexer *lexer, size_t bytes)
{
    for (; bytes > 0 && lexer->at < lexer->text.len; bytes--) {
        uint8_t c = lexer->text.ptr[lexer->at++];
        if (c == '\n') {
            lexer->place.line++;
            lexer->place.column = 1;
        } else if ((c & 0xC0) != 0x80) { /* not within a character */
            lexer->place.column++;
        }
    }
}

/* Something in the word at hand is wrong; only the first such thing is told. */
static void bad(struct config_lexer *lexer, struct config_place place, const char *text)
{
    if (!lexer->bad) config_error(lexer->reader, place, "%s", text);
    lexer->bad = true;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct config_lexer *lexer)
{
    while (lexer->at < lexer->text.len) {
        if (peek(lexer) == '#')
            skip(lexer, slice_find(rest_of(lexer), '\n'));
        else if (is_space(peek(lexer)))
            skip(lexer, 1);
        else
            break;
    }
}

/* --- characters --- */

/* What people paste without seeing that it is not what it seems. */
static const char *look_alike(uint32_t point)
{
    if (point == 0xA0 || point == 0x2007 || point == 0x202F || point == 0x3000)
        return "this is not a usual space: write one in its place";
    if (point == 0x200B || point == 0xFEFF || point == 0x2060) return "there is an invisible character here";
    if ((point >= 0x2018 && point <= 0x201F) || point == 0xAB || point == 0xBB)
        return "this is a typographic quote: write \" in its place";
    return NULL;
}

/* Takes one character, which may be one that does not belong into a text. */
static void take_character(struct config_lexer *lexer, struct writer *word, bool quoted)
{
    slice here = rest_of(lexer), rest = here;
    uint32_t point;
    if (utf8_next(&rest, &point) < 0) {
        bad(lexer, lexer->place, "this is not UTF-8: save the file with that encoding");
        skip(lexer, 1);
        while (lexer->at < lexer->text.len && (peek(lexer) & 0xC0) == 0x80)
            skip(lexer, 1);
        return;
    }
    size_t len = here.len - rest.len;
    const char *odd = quoted ? NULL : look_alike(point);
    if (odd)
        bad(lexer, lexer->place, odd);
    else if (point == 0x7F || (point < ' ' && point != '\t'))
        bad(lexer, lexer->place, "a control character cannot stand here");
    else
        writer_put(word, slice_sub(here, 0, len));
    skip(lexer, len);
}

/* --- $HOST and {{HOST}} --- */

static void put_host(struct config_lexer *lexer, struct writer *word)
{
    slice host = slice_text(lexer->reader->options->host);
    if (host.len == 0) bad(lexer, lexer->place, "no address is known that $HOST could stand for");
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] == '$') writer_byte(word, '$');
        writer_byte(word, host.ptr[i]);
    }
}

static size_t name_length(slice text)
{
    size_t len = 0;
    while (len < text.len && config_variable_char(text.ptr[len]))
        len++;
    return len;
}

/* At '$': "$$", "$name" or "${name}"; all but $HOST stay in the word, with braces, so that what follows
 * cannot become a part of the name. */
static void take_dollar(struct config_lexer *lexer, struct writer *word)
{
    slice rest = slice_sub(rest_of(lexer), 1, lexer->text.len);
    bool braces = rest.len > 0 && rest.ptr[0] == '{';
    if (braces) rest = slice_sub(rest, 1, rest.len);
    size_t len = name_length(rest);
    bool closed = len < rest.len && rest.ptr[len] == '}';
    slice name = slice_sub(rest, 0, len);
    size_t whole = 1 + len + (braces ? 1 : 0) + (braces && closed ? 1 : 0);
    if (braces && (len == 0 || !closed)) {
        bad(lexer, lexer->place, "expected a variable as in \"${host}\"");
    } else if (slice_equal(name, SLICE("HOST"))) {
        put_host(lexer, word);
    } else if (len > 0) {
        writer_put(word, SLICE("${"));
        writer_put(word, name);
        writer_byte(word, '}');
    } else {
        bool twice = rest.len > 0 && rest.ptr[0] == '$';
        writer_put(word, twice ? SLICE("$$") : SLICE("$"));
        whole += twice ? 1 : 0;
    }
    skip(lexer, whole);
}

/* At "{{". */
static void take_template(struct config_lexer *lexer, struct writer *word)
{
    static const slice host = {(const uint8_t *)"{{HOST}}", 8};
    if (slice_starts(rest_of(lexer), host)) {
        put_host(lexer, word);
        skip(lexer, host.len);
        return;
    }
    bad(lexer, lexer->place, "only {{HOST}} is known between two braces");
    slice name = slice_sub(rest_of(lexer), 2, lexer->text.len);
    size_t len = name_length(name);
    skip(lexer, slice_starts(slice_sub(name, len, 2), SLICE("}}")) ? len + 4 : 2);
}

/* --- words --- */

static bool at_template(const struct config_lexer *lexer, bool quoted)
{
    return slice_starts(rest_of(lexer), quoted ? SLICE("{{HOST}}") : SLICE("{{"));
}

static bool ends_word(const struct config_lexer *lexer)
{
    uint8_t c = peek(lexer);
    return is_space(c) || c == ';' || c == '}' || (c == '{' && !at_template(lexer, false));
}

static void take_plain(struct config_lexer *lexer, struct writer *word);

/* At a quote; takes the one that closes it too. One that nothing closes is taken as if it were not there. */
static void take_quoted(struct config_lexer *lexer, struct writer *word)
{
    struct config_place begin = lexer->place;
    uint8_t quote = peek(lexer);
    size_t before = word->len;
    skip(lexer, 1);
    struct config_place inside = lexer->place;
    size_t at = lexer->at;
    while (peek(lexer) != quote) {
        slice rest = rest_of(lexer);
        if (peek(lexer) == '\n' || slice_starts(rest, SLICE("\r\n"))) {
            bad(lexer, begin, "the quote that opens here is not closed on its line");
            lexer->at = at;
            lexer->place = inside;
            word->len = before;
            take_plain(lexer, word);
            return;
        }
        if (peek(lexer) == '\\') {
            uint8_t next = rest.len > 1 ? rest.ptr[1] : '\n';
            if (next == '"' || next == '\'' || next == '\\') {
                writer_byte(word, next);
                skip(lexer, 2);
                continue;
            }
            bad(lexer, lexer->place, "expected \\\", \\' or \\\\: write \\\\ for a single backslash");
            skip(lexer, 1);
        } else if (peek(lexer) == '$') {
            take_dollar(lexer, word);
        } else if (at_template(lexer, true)) {
            take_template(lexer, word);
        } else {
            take_character(lexer, word, true);
        }
    }
    skip(lexer, 1);
    if (!ends_word(lexer)) bad(lexer, lexer->place, "expected a space after the quote that closes here");
    while (!ends_word(lexer))
        skip(lexer, 1);
}

static void take_plain(struct config_lexer *lexer, struct writer *word)
{
    while (!ends_word(lexer)) {
        uint8_t c = peek(lexer);
        if (c == '$') {
            take_dollar(lexer, word);
        } else if (at_template(lexer, false)) {
            take_template(lexer, word);
        } else if ((c == '"' || c == '\'') && word->len > 0 && word->ptr[word->len - 1] == '=') {
            take_quoted(lexer, word); /* name="value" */
            return;
        } else if (c == '"' || c == '\'') {
            bad(lexer, lexer->place, "a quote cannot stand within a word: put the whole word into quotes");
            skip(lexer, 1);
        } else {
            take_character(lexer, word, false);
        }
    }
}

struct config_word config_lexer_next(struct config_lexer *lexer)
{
    struct config_reader *r = lexer->reader;
    skip_space(lexer);
    struct config_word word = {.kind = WORD_TEXT, .place = lexer->place};
    uint8_t c = peek(lexer);
    if (lexer->at == lexer->text.len || r->no_memory) {
        word.kind = WORD_END;
    } else if (c == ';' || c == '}' || (c == '{' && !at_template(lexer, false))) {
        word.kind = c == ';' ? WORD_SEMICOLON : c == '}' ? WORD_CLOSE : WORD_OPEN;
        skip(lexer, 1);
    } else {
        struct writer text = writer_of(lexer->word, sizeof lexer->word);
        word.quoted = c == '"' || c == '\'';
        lexer->bad = false;
        if (word.quoted)
            take_quoted(lexer, &text);
        else
            take_plain(lexer, &text);
        if (text.failed) bad(lexer, word.place, "this word is longer than 8 KiB");
        char *kept = arena_text(r->passing, writer_slice(&text));
        r->no_memory |= !kept;
        word.bad = lexer->bad;
        word.text = kept ? slice_of(kept, text.len) : SLICE_EMPTY;
    }
    word.end = lexer->place;
    return word;
}
