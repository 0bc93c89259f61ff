#include "http/disposition.h"

#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "http/param.h"

/* --- reading --- */

/* Text of somebody else that may be shown: UTF-8 without control characters. */
static bool text_valid(slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7F) return false;
    }
    return utf8_valid(text);
}

/* Where in the caller's memory a part of it is. */
static uint8_t *within(uint8_t *value, slice part)
{
    return part.len ? (uint8_t *)(uintptr_t)part.ptr : value;
}

/* In place; a backslash is an escape only before a quote or another backslash. */
static slice decode_quoted(uint8_t *value, slice text)
{
    uint8_t *out = within(value, text);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t next = i + 1 < text.len ? text.ptr[i + 1] : 0;
        if (text.ptr[i] == '\\' && (next == '"' || next == '\\')) i++;
        out[n++] = text.ptr[i];
    }
    return slice_of(out, n);
}

/* UTF-8'language'percent%20encoded (RFC 8187 3.2.1), in place: what comes out is never longer. */
static int decode_extended(uint8_t *value, slice text, slice *out_text)
{
    size_t first = slice_find(text, '\'');
    slice charset = slice_sub(text, 0, first), rest = slice_sub(text, first + 1, text.len);
    size_t second = slice_find(rest, '\'');
    if (first == text.len || second == rest.len) return ERR_MALFORMED;
    text = slice_sub(rest, second + 1, rest.len);
    bool latin = slice_equal_nocase(charset, SLICE("ISO-8859-1"));
    if (!latin && !slice_equal_nocase(charset, SLICE("UTF-8"))) return ERR_MALFORMED;
    uint8_t *out = within(value, text);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (c == '%') {
            if (hex_decode(slice_sub(text, i + 1, 2), &c, 1) < 0) return ERR_MALFORMED;
            i += 2;
        } else if (c >= 0x80 || c == '\'' || c == '*') {
            return ERR_MALFORMED;
        }
        if (latin && c >= 0x80) {
            out[n++] = (uint8_t)(0xC0 | c >> 6);
            c = 0x80 | (c & 0x3F);
        }
        out[n++] = c;
    }
    *out_text = slice_of(out, n);
    return OK;
}

static int take_once(const struct param *p, slice name, struct param *kept)
{
    if (!slice_equal_nocase(p->name, name)) return OK;
    if (kept->name.len || !p->has_value) return ERR_MALFORMED;
    *kept = *p;
    return OK;
}

static int decode(uint8_t *value, const struct param *p, slice *out_text)
{
    *out_text = p->quoted ? decode_quoted(value, p->value) : p->value;
    return text_valid(*out_text) ? OK : ERR_MALFORMED;
}

int disposition_parse(uint8_t *value, size_t len, struct disposition *out)
{
    slice rest = slice_of(value, len);
    struct disposition d = {.type = param_value(&rest)};
    struct param p, name = {0}, plain = {0}, extended = {0};
    int rc;
    if (d.type.len == 0) return ERR_MALFORMED;
    while ((rc = param_next(&rest, &p)) == OK) {
        rc = take_once(&p, SLICE("name"), &name);
        if (rc == OK) rc = take_once(&p, SLICE("filename"), &plain);
        if (rc == OK) rc = take_once(&p, SLICE("filename*"), &extended);
        if (rc < 0) return rc;
    }
    if (rc != ERR_CLOSED || extended.quoted) return ERR_MALFORMED;
    d.has_name = name.name.len > 0;
    d.has_filename = plain.name.len > 0 || extended.name.len > 0;
    if (d.has_name && decode(value, &name, &d.name) < 0) return ERR_MALFORMED;
    if (plain.name.len && decode(value, &plain, &d.filename) < 0) return ERR_MALFORMED;
    if (extended.name.len) {
        rc = decode_extended(value, extended.value, &d.filename);
        if (rc < 0 || !text_valid(d.filename)) return ERR_MALFORMED;
    }
    *out = d;
    return OK;
}

/* --- names of files --- */

static slice last_part(slice path)
{
    size_t from = path.len;
    while (from > 0 && path.ptr[from - 1] != '/' && path.ptr[from - 1] != '\\')
        from--;
    return slice_sub(path, from, path.len);
}

/* Invisible, or turning the direction of text, so that a name looks like another. */
static bool deceives(uint32_t point)
{
    return (point >= 0x80 && point < 0xA0) || (point >= 0x200B && point <= 0x200F) ||
           (point >= 0x2028 && point <= 0x202E) || (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF;
}

/* Takes one character of a name: its own bytes, or "_" for what is not UTF-8, a control character, deceiving
 * or one of `others`. */
static slice take_character(slice *rest, slice others)
{
    slice before = *rest;
    uint32_t point;
    if (utf8_next(rest, &point) < 0) {
        *rest = slice_sub(*rest, 1, rest->len);
        return SLICE("_");
    }
    if (point < 0x20 || point == 0x7F || deceives(point)) return SLICE("_");
    if (point < 0x80 && slice_find(others, (uint8_t)point) < others.len) return SLICE("_");
    return slice_sub(before, 0, before.len - rest->len);
}

static bool is_dot_or_space(uint8_t c)
{
    return c == '.' || c == ' ';
}

static slice strip(slice s)
{
    while (s.len > 0 && is_dot_or_space(s.ptr[0]))
        s = slice_sub(s, 1, s.len);
    while (s.len > 0 && is_dot_or_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Windows takes these for devices, whatever extension they have. */
static bool is_device(slice name)
{
    static const char *const devices[] = {"con", "prn", "aux", "nul"};
    slice base = slice_trim(slice_sub(name, 0, slice_find(name, '.')));
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        if (slice_equal_nocase(base, slice_text(devices[i]))) return true;
    }
    slice port = slice_sub(base, 0, 3);
    return base.len == 4 && base.ptr[3] >= '0' && base.ptr[3] <= '9' &&
           (slice_equal_nocase(port, SLICE("com")) || slice_equal_nocase(port, SLICE("lpt")));
}

/* ".tar": the last dot and what follows, when that is short and plain; else empty. */
static slice extension_of(slice name)
{
    enum { EXTENSION_MAX = 16 };
    for (size_t n = 1; n <= EXTENSION_MAX && n < name.len; n++) {
        uint8_t c = name.ptr[name.len - n];
        if (c == '.') return n > 1 ? slice_sub(name, name.len - n, n) : SLICE_EMPTY;
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) break;
    }
    return SLICE_EMPTY;
}

size_t filename_safe(slice filename, char out[FILENAME_BYTES_MAX + 1])
{
    slice name = strip(last_part(filename));
    slice extension = extension_of(name), stem = slice_sub(name, 0, name.len - extension.len);
    struct writer w = writer_of(out, FILENAME_BYTES_MAX);
    if (is_device(name)) writer_byte(&w, '_');
    while (stem.len > 0) {
        slice character = take_character(&stem, SLICE("<>:\"|?*/\\`$"));
        if (w.len == 0 && slice_equal(character, SLICE("-"))) character = SLICE("_");
        if (w.len + character.len + extension.len > w.cap) break;
        writer_put(&w, character);
    }
    while (extension.len == 0 && w.len > 0 && is_dot_or_space((uint8_t)out[w.len - 1]))
        w.len--; /* where it was cut */
    writer_put(&w, extension);
    if (w.len == 0) writer_put(&w, SLICE("file"));
    out[w.len] = 0;
    return w.len;
}

/* --- writing --- */

static bool is_attribute_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c > 0 && strchr("!#$&+-.^_`|~", c) != NULL);
}

static void put_extended(struct buffer *out, slice name)
{
    static const char digits[] = "0123456789ABCDEF";
    buffer_text(out, "; filename*=UTF-8''");
    while (name.len > 0) {
        slice character = take_character(&name, SLICE_EMPTY);
        for (size_t i = 0; i < character.len; i++) {
            uint8_t c = character.ptr[i];
            if (is_attribute_char(c)) {
                buffer_byte(out, c);
                continue;
            }
            buffer_byte(out, '%');
            buffer_byte(out, (uint8_t)digits[c >> 4]);
            buffer_byte(out, (uint8_t)digits[c & 15]);
        }
    }
}

void disposition_write(struct buffer *out, bool attachment, slice filename)
{
    slice name = last_part(filename);
    buffer_text(out, attachment ? "attachment" : "inline");
    if (name.len == 0) return;
    bool exact = true;
    buffer_text(out, "; filename=\"");
    for (slice rest = name; rest.len > 0;) {
        slice character = take_character(&rest, SLICE_EMPTY);
        /* Escapes and percent signs are read differently by different browsers: not in the plain form. */
        bool plain = character.len == 1 && character.ptr[0] != '"' && character.ptr[0] != '%';
        buffer_put(out, plain ? character : SLICE("_"));
        exact = exact && plain;
    }
    buffer_byte(out, '"');
    if (!exact) put_extended(out, name);
}
