#include "base/utf8.h"

#include <string.h>

int utf8_next(slice *rest, uint32_t *out_point)
{
    if (rest->len == 0) return ERR_AGAIN;
    const uint8_t *p = rest->ptr;
    uint32_t point, least;
    size_t len;
    if (p[0] < 0x80)
        point = p[0], least = 0, len = 1;
    else if ((p[0] & 0xE0) == 0xC0)
        point = p[0] & 0x1Fu, least = 0x80, len = 2;
    else if ((p[0] & 0xF0) == 0xE0)
        point = p[0] & 0x0Fu, least = 0x800, len = 3;
    else if ((p[0] & 0xF8) == 0xF0)
        point = p[0] & 0x07u, least = 0x10000, len = 4;
    else
        return ERR_MALFORMED;
    if (len > rest->len) return ERR_MALFORMED;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) return ERR_MALFORMED;
        point = point << 6 | (p[i] & 0x3Fu);
    }
    if (point < least || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) return ERR_MALFORMED;
    *rest = slice_sub(*rest, len, rest->len);
    *out_point = point;
    return OK;
}

/* How many of the first bytes are ASCII. */
static size_t ascii_run(slice text)
{
    size_t i = 0;
    for (; i + 32 <= text.len; i += 32) {
        uint64_t w[4];
        memcpy(w, text.ptr + i, sizeof w);
        if ((w[0] | w[1] | w[2] | w[3]) & 0x8080808080808080u) break;
    }
    while (i < text.len && text.ptr[i] < 0x80)
        i++;
    return i;
}

/* What may follow the first byte of a code point (Unicode, table 3-7). */
static bool point_begin(struct utf8_pieces *p, uint8_t first)
{
    if (first < 0xC2 || first > 0xF4) return false;
    p->missing = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    p->least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    p->most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return true;
}

bool utf8_pieces_take(struct utf8_pieces *p, slice piece)
{
    struct utf8_pieces now = *p;
    size_t i = 0;
    while (i < piece.len) {
        uint8_t c = piece.ptr[i];
        if (now.missing > 0) {
            if (c < now.least || c > now.most) return false;
            now = (struct utf8_pieces){(uint8_t)(now.missing - 1), 0x80, 0xBF};
            i++;
        } else if (c < 0x80) {
            i += ascii_run(slice_of(piece.ptr + i, piece.len - i));
        } else {
            if (!point_begin(&now, c)) return false;
            i++;
        }
    }
    *p = now;
    return true;
}

bool utf8_valid(slice text)
{
    struct utf8_pieces p = {0};
    return utf8_pieces_take(&p, text) && utf8_pieces_whole(&p);
}

size_t utf8_length(slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += (text.ptr[i] & 0xC0) != 0x80;
    return n;
}

/* Blocks above ASCII that hold no letters or digits: spaces, punctuation, symbols, format characters,
 * box drawing, private use, specials, emoji, tags. A block list, because a table of all letters would have to
 * follow each Unicode version; what is new and unknown here is a letter of some script. */
static bool not_a_letter(uint32_t c)
{
    static const struct {
        uint32_t from, to;
    } ranges[] = {
        {0x80, 0xA9},       {0xAB, 0xB4},       {0xB6, 0xB9},       {0xBB, 0xBF},       {0xD7, 0xD7},
        {0xF7, 0xF7},       {0x34F, 0x34F},     {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},
        {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x115F, 0x1160},   {0x1680, 0x1680},
        {0x17B4, 0x17B5},   {0x180B, 0x180F},   {0x2000, 0x209F},   {0x20A0, 0x2BFF},   {0x2E00, 0x2E7F},
        {0x2FF0, 0x3004},   {0x3008, 0x3020},   {0x3164, 0x3164},   {0xD800, 0xF8FF},   {0xFD3E, 0xFD3F},
        {0xFE00, 0xFE1F},   {0xFE20, 0xFE6F},   {0xFEFF, 0xFF0F},   {0xFF1A, 0xFF20},   {0xFF3B, 0xFF40},
        {0xFF5B, 0xFF65},   {0xFFA0, 0xFFA0},   {0xFFE0, 0xFFFF},   {0x110BD, 0x110BD}, {0x110CD, 0x110CD},
        {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D000, 0x1D3FF}, {0x1F000, 0x1FAFF}, {0xE0000, 0x10FFFF},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (c >= ranges[i].from && c <= ranges[i].to) return true;
    }
    return false;
}

int name_check(slice name)
{
    bool letter = false;
    size_t points = 0;
    while (name.len) {
        uint32_t c;
        if (utf8_next(&name, &c) < 0) return ERR_MALFORMED;
        if (++points > 32) return ERR_TOO_LARGE;
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c >= 0x80 ? not_a_letter(c) : !alnum && c != '_' && c != '.' && c != '-') return ERR_INVALID;
        letter = letter || alnum || c >= 0x80;
    }
    return letter ? OK : ERR_INVALID;
}
