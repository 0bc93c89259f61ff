#include "table.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "http/ws_frame.h"

enum { LINES_MAX = 64, VARIANTS_MAX = 128, BYTES_MAX = 256 * 1024 };

/* A case as it stands in the file. */
struct draft {
    char *lines[LINES_MAX];
    size_t line_count;
    char *variants[VARIANTS_MAX];
    size_t variant_count;
    char *name;
};

static const char *file_name;
static int line_number;

static _Noreturn void wrong(const char *why, const char *line)
{
    fprintf(stderr, "%s:%d: %s: %s\n", file_name, line_number, why, line);
    exit(1);
}

/* --- bytes --- */

static const char *unescape(const char *at, struct buffer *out);

/* "N*TEXT)" */
static const char *repeat(const char *at, struct buffer *out)
{
    char *star;
    unsigned long count = strtoul(at, &star, 10);
    const char *end = strchr(at, ')');
    if (*star != '*' || !end) wrong("a repetition is \\(N*TEXT)", at);
    struct buffer once;
    buffer_init(&once, &allocator_libc, BYTES_MAX);
    for (const char *p = star + 1; p < end;)
        p = unescape(p, &once);
    for (; count > 0; count--)
        buffer_put(out, buffer_slice(&once));
    buffer_reset(&once);
    return end + 1;
}

/* One character or escape; returns what follows. */
static const char *unescape(const char *at, struct buffer *out)
{
    static const char letters[] = "rnt0s\\", bytes[] = "\r\n\t\0 \\";
    if (*at != '\\') {
        buffer_byte(out, (uint8_t)*at);
        return at + 1;
    }
    const char *letter = at[1] ? strchr(letters, at[1]) : NULL;
    uint8_t byte;
    if (letter) {
        buffer_byte(out, (uint8_t)bytes[letter - letters]);
        return at + 2;
    }
    if (at[1] == '(') return repeat(at + 2, out);
    if (at[1] != 'x' || hex_decode(slice_of(at + 2, strnlen(at + 2, 2)), &byte, 1) < 0)
        wrong("there is no such escape", at);
    buffer_byte(out, byte);
    return at + 4;
}

static void bytes_of(const char *text, struct buffer *out)
{
    while (*text)
        text = unescape(text, out);
    if (out->failed) wrong("this is too long", "");
}

static struct step *step_add(struct table_case *c, enum step_kind kind)
{
    if (c->step_count == STEPS_MAX) wrong("too many steps", c->name);
    struct step *s = &c->steps[c->step_count++];
    s->kind = kind;
    buffer_init(&s->bytes, &allocator_libc, BYTES_MAX);
    return s;
}

static struct step *send_step(struct table_case *c)
{
    struct step *last = c->step_count ? &c->steps[c->step_count - 1] : NULL;
    return last && last->kind == STEP_SEND ? last : step_add(c, STEP_SEND);
}

/* --- frames --- */

static const struct {
    const char *name;
    uint8_t opcode;
} kinds[] = {{"cont", WS_CONTINUATION},
             {"text", WS_TEXT},
             {"binary", WS_BINARY},
             {"op3", 3},
             {"op7", 7},
             {"op11", 11},
             {"op15", 15},
             {"close", WS_CLOSE},
             {"ping", WS_PING},
             {"pong", WS_PONG}};

static int opcode_of(const char *word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, word) == 0) return kinds[i].opcode;
    }
    return -1;
}

struct frame_words {
    bool more;     /* the FIN bit is off */
    bool unmasked; /* */
    uint8_t reserved;
    unsigned length_bytes; /* 16 or 64: the length is written so, even if it is short */
    uint64_t claims;       /* the length says so, whatever follows */
    bool claimed;
};

/* True when the word stands before the kind. */
static bool frame_word(const char *word, struct frame_words *w)
{
    if (strcmp(word, "more") == 0)
        w->more = true;
    else if (strcmp(word, "unmasked") == 0)
        w->unmasked = true;
    else if (strncmp(word, "rsv", 3) == 0)
        w->reserved |= (uint8_t)(0x80 >> (word[3] - '0'));
    else if (strncmp(word, "len", 3) == 0)
        w->length_bytes = (unsigned)atoi(word + 3);
    else if (strncmp(word, "claims=", 7) == 0)
        w->claims = strtoull(word + 7, NULL, 0), w->claimed = true;
    else
        return false;
    return true;
}

static void put_number(struct buffer *out, uint64_t value, int bytes)
{
    while (bytes-- > 0)
        buffer_byte(out, (uint8_t)(value >> 8 * bytes));
}

static void frame_put(struct buffer *out, int opcode, const struct frame_words *w, slice payload)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint64_t len = w->claimed ? w->claims : payload.len;
    unsigned form = w->length_bytes ? w->length_bytes : len > 65535 ? 64 : len > 125 ? 16 : 7;
    uint8_t masked = w->unmasked ? 0 : 0x80;
    buffer_byte(out, (uint8_t)((w->more ? 0 : 0x80) | w->reserved | opcode));
    buffer_byte(out, (uint8_t)(masked | (form == 64 ? 127 : form == 16 ? 126 : len)));
    if (form > 7) put_number(out, len, form == 64 ? 8 : 2);
    if (masked) buffer_put(out, slice_of(mask, 4));
    for (size_t i = 0; i < payload.len; i++)
        buffer_byte(out, payload.ptr[i] ^ (masked ? mask[i % 4] : 0));
}

/* The payload: of a close frame "CODE REASON", CODE in two bytes. */
static bool payload_of(int opcode, const char *text, struct buffer *out)
{
    char *reason = NULL;
    unsigned long code = opcode == WS_CLOSE ? strtoul(text, &reason, 10) : 0;
    if (reason && reason != text) {
        put_number(out, code, 2);
        text = *reason == ' ' ? reason + 1 : reason;
    }
    bytes_of(text, out);
    return reason && *text == 0;
}

static const char *next_word(const char *at, char word[32])
{
    size_t n = strcspn(at, " ");
    snprintf(word, 32, "%.*s", (int)n, at);
    return at[n] ? at + n + 1 : at + n;
}

static void frame_line(struct table_case *c, const char *text, bool sent)
{
    struct frame_words words = {.more = false};
    char word[32];
    text = next_word(text, word);
    while (frame_word(word, &words))
        text = next_word(text, word);
    int opcode = opcode_of(word);
    if (opcode < 0) wrong("there is no such kind of frame", word);
    if (!sent) {
        struct step *s = step_add(c, STEP_FRAME);
        s->opcode = opcode;
        s->any_reason = payload_of(opcode, text, &s->bytes);
        return;
    }
    struct buffer payload;
    buffer_init(&payload, &allocator_libc, BYTES_MAX);
    payload_of(opcode, text, &payload);
    frame_put(&send_step(c)->bytes, opcode, &words, buffer_slice(&payload));
    buffer_reset(&payload);
}

/* --- lines --- */

static void answer_line(struct table_case *c, const char *text)
{
    struct step *s = step_add(c, STEP_ANSWER);
    char *rest;
    s->status = (int)strtol(text, &rest, 10);
    s->optional = *rest == '?';
    if (*rest == '?') rest++;
    s->bodiless = strcmp(rest, " bodiless") == 0;
    if (s->status < 100 || (*rest && !s->bodiless)) wrong("an answer is \"< STATUS [bodiless]\"", text);
}

static void check_line(struct table_case *c, enum check_kind kind, const char *text)
{
    struct step *s = c->step_count ? &c->steps[c->step_count - 1] : NULL;
    if (!s || s->kind != STEP_ANSWER || s->check_count == CHECKS_MAX) wrong("no answer to check", text);
    struct check *check = &s->checks[s->check_count++];
    check->kind = kind;
    buffer_init(&check->name, &allocator_libc, BYTES_MAX);
    buffer_init(&check->value, &allocator_libc, BYTES_MAX);
    const char *colon = kind == CHECK_FIELD ? strchr(text, ':') : NULL;
    if (kind == CHECK_FIELD && (!colon || colon[1] != ' ')) wrong("a field is \"NAME: VALUE\"", text);
    if (colon) buffer_put(&check->name, slice_of(text, (size_t)(colon - text)));
    if (kind == CHECK_NO_FIELD) buffer_put(&check->name, slice_text(text));
    if (kind != CHECK_NO_FIELD) bytes_of(colon ? colon + 2 : text, &check->value);
}

static void handshake(struct table_case *c, const char *path)
{
    struct step *s = step_add(c, STEP_SEND);
    struct buffer *out = &s->bytes;
    s->whole = true;
    buffer_text(out, "GET ");
    bytes_of(path, out);
    buffer_text(out, " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    answer_line(c, "101");
    check_line(c, CHECK_FIELD, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void ending_line(struct table_case *c, const char *text)
{
    static const char *const endings[] = {"keep", "close", "close or reset", "waits", "open"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (strcmp(text, endings[i]) != 0) continue;
        c->ending = (enum ending)i;
        return;
    }
    wrong("there is no such ending", text);
}

/* True when the line is "KEY text" or "KEY". */
static bool line_is(const char *line, const char *key, const char **out_text)
{
    size_t n = strlen(key);
    if (strncmp(line, key, n) != 0 || (line[n] && line[n] != ' ')) return false;
    *out_text = line[n] ? line + n + 1 : line + n;
    return true;
}

static void case_line(struct table_case *c, const char *line)
{
    const char *text;
    if (line_is(line, ">", &text)) {
        struct step *s = send_step(c);
        bytes_of(text, &s->bytes);
        buffer_text(&s->bytes, "\r\n");
    } else if (line_is(line, ">>", &text)) {
        bytes_of(text, &send_step(c)->bytes);
    } else if (line_is(line, "f>", &text)) {
        frame_line(c, text, true);
    } else if (line_is(line, "f<", &text)) {
        frame_line(c, text, false);
    } else if (line_is(line, "ws", &text)) {
        handshake(c, text);
    } else if (line_is(line, "<", &text)) {
        answer_line(c, text);
    } else if (line_is(line, "<f", &text)) {
        check_line(c, CHECK_FIELD, text);
    } else if (line_is(line, "<!", &text)) {
        check_line(c, CHECK_NO_FIELD, text);
    } else if (line_is(line, "<b", &text)) {
        check_line(c, CHECK_BODY, text);
    } else if (line_is(line, "<~", &text)) {
        check_line(c, CHECK_BODY_HAS, text);
    } else if (line_is(line, "site", &text)) {
        c->site = strcmp(text, "small") == 0 ? "small" : "default";
    } else if (line_is(line, "=", &text)) {
        ending_line(c, text);
    } else {
        wrong("this line means nothing", line);
    }
}

/* --- cases --- */

static char *replaced(const char *line, const char *variant)
{
    struct buffer out;
    buffer_init(&out, &allocator_libc, BYTES_MAX);
    for (const char *mark; variant && (mark = strstr(line, "$$")); line = mark + 2) {
        buffer_put(&out, slice_of(line, (size_t)(mark - line)));
        buffer_text(&out, variant);
    }
    buffer_text(&out, line);
    buffer_byte(&out, 0);
    return (char *)out.ptr;
}

static void case_add(struct table *t, const struct draft *d, const char *variant)
{
    struct table_case *c = calloc(1, sizeof *c);
    if (!c || t->count == CASES_MAX) wrong("too many cases", d->name);
    c->site = "default";
    snprintf(c->name, sizeof c->name, "%s%s%.100s", d->name, variant ? ": " : "", variant ? variant : "");
    for (size_t i = 0; i < d->line_count; i++) {
        char *line = replaced(d->lines[i], variant);
        case_line(c, line);
        free(line);
    }
    t->cases[t->count++] = c;
}

/* Makes the cases of the draft and empties it. */
static void draft_end(struct table *t, struct draft *d)
{
    if (!d->name) return;
    if (d->line_count < 2 || d->lines[d->line_count - 1][0] != '=') wrong("a case has no ending", d->name);
    if (d->variant_count == 0) case_add(t, d, NULL);
    for (size_t i = 0; i < d->variant_count; i++)
        case_add(t, d, d->variants[i]);
    while (d->variant_count > 0)
        free(d->variants[--d->variant_count]);
    while (d->line_count > 0)
        free(d->lines[--d->line_count]);
    free(d->name);
    d->name = NULL;
}

static void draft_line(struct table *t, struct draft *d, const char *line)
{
    const char *text;
    if (line_is(line, "case", &text)) {
        draft_end(t, d);
        d->name = strdup(text);
    } else if (!d->name) {
        wrong("this is before the first case", line);
    } else if (line_is(line, "with", &text)) {
        if (d->variant_count == VARIANTS_MAX) wrong("too many variants", line);
        d->variants[d->variant_count++] = strdup(text);
    } else {
        if (d->line_count == LINES_MAX) wrong("too many lines", line);
        d->lines[d->line_count++] = strdup(line);
    }
}

static void file_read(struct table *t, const char *path)
{
    struct draft draft = {.name = NULL};
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    file_name = path;
    line_number = 0;
    if (!file) wrong("cannot be read", "");
    while ((n = getline(&line, &cap, file)) >= 0) {
        line_number++;
        if (n > 0 && line[n - 1] == '\n') line[--n] = 0;
        if (n == 0 || line[0] == '#') continue;
        if (line[n - 1] == ' ' || strlen(line) != (size_t)n)
            wrong("a space ends the line, or a NUL is in it", line);
        draft_line(t, &draft, line);
    }
    draft_end(t, &draft);
    free(line);
    fclose(file);
}

static int is_table(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 4 && strcmp(entry->d_name + n - 4, ".txt") == 0;
}

void table_read(struct table *t, const char *folder)
{
    struct dirent **entries;
    file_name = folder;
    t->count = 0;
    t->cases = calloc(CASES_MAX, sizeof *t->cases);
    int n = scandir(folder, &entries, is_table, alphasort);
    if (n <= 0 || !t->cases) wrong("no table here", folder);
    for (int i = 0; i < n; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        file_read(t, path);
        free(entries[i]);
    }
    free(entries);
}

static void step_free(struct step *s)
{
    buffer_reset(&s->bytes);
    for (size_t i = 0; i < s->check_count; i++) {
        buffer_reset(&s->checks[i].name);
        buffer_reset(&s->checks[i].value);
    }
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        for (size_t k = 0; k < t->cases[i]->step_count; k++)
            step_free(&t->cases[i]->steps[k]);
        free(t->cases[i]);
    }
    free(t->cases);
}
