#include "account/fold.h"

#include "base/buffer.h"
#include "base/utf8.h"

enum { POINTS_MAX = 32 * 4 };

struct points {
    uint32_t at[POINTS_MAX];
    size_t count;
};

static void put(struct points *p, uint32_t point)
{
    if (p->count < POINTS_MAX) p->at[p->count++] = point;
}

static const struct fold_row *find(uint32_t point)
{
    size_t low = 0, high = fold_table_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (fold_table[middle].from < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < fold_table_count && fold_table[low].from == point ? &fold_table[low] : NULL;
}

/* Unicode Standard, 3.12: a Hangul syllable is its two or three letters. */
static void put_hangul(struct points *p, uint32_t syllable)
{
    uint32_t index = syllable - 0xAC00;
    put(p, 0x1100 + index / 588);
    put(p, 0x1161 + index % 588 / 28);
    if (index % 28) put(p, 0x11A7 + index % 28);
}

static void put_folded(struct points *p, uint32_t point)
{
    if (point >= 'A' && point <= 'Z') {
        put(p, point + ('a' - 'A'));
    } else if (point >= 0xAC00 && point <= 0xD7A3) {
        put_hangul(p, point);
    } else {
        const struct fold_row *row = point >= 0x80 ? find(point) : NULL;
        if (!row) put(p, point);
        for (size_t i = 0; row && i < 4 && row->to[i]; i++)
            put(p, row->to[i]);
    }
}

/* Accents, dots and hooks that stand above or below a letter (the combining blocks that name_check admits).
 */
static bool is_mark(uint32_t c)
{
    return (c >= 0x300 && c <= 0x36F) || (c >= 0x483 && c <= 0x487) || (c >= 0x591 && c <= 0x5C7) ||
           (c >= 0x610 && c <= 0x61A) || (c >= 0x64B && c <= 0x65F) || (c >= 0x1AB0 && c <= 0x1AFF) ||
           (c >= 0x1DC0 && c <= 0x1DFF) || c == 0x3099 || c == 0x309A;
}

/* The order of marks on one letter is not visible (mostly), so it does not count. */
static void sort_marks(struct points *p)
{
    for (size_t i = 1; i < p->count; i++) {
        uint32_t mark = p->at[i];
        size_t to = i;
        for (; is_mark(mark) && to > 0 && is_mark(p->at[to - 1]) && p->at[to - 1] > mark; to--)
            p->at[to] = p->at[to - 1];
        p->at[to] = mark;
    }
}

static void put_utf8(struct writer *w, uint32_t c)
{
    if (c < 0x80) {
        writer_byte(w, (uint8_t)c);
    } else if (c < 0x800) {
        writer_byte(w, (uint8_t)(0xC0 | c >> 6));
        writer_byte(w, (uint8_t)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        writer_byte(w, (uint8_t)(0xE0 | c >> 12));
        writer_byte(w, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
        writer_byte(w, (uint8_t)(0x80 | (c & 0x3F)));
    } else {
        writer_byte(w, (uint8_t)(0xF0 | c >> 18));
        writer_byte(w, (uint8_t)(0x80 | (c >> 12 & 0x3F)));
        writer_byte(w, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
        writer_byte(w, (uint8_t)(0x80 | (c & 0x3F)));
    }
}

int fold_name(slice name, uint8_t out_key[FOLD_KEY_BYTES_MAX])
{
    if (name_check(name)) return ERR_INVALID;
    struct points points = {.count = 0};
    uint32_t point;
    while (utf8_next(&name, &point) == OK)
        put_folded(&points, point);
    sort_marks(&points);
    struct writer w = writer_of(out_key, FOLD_KEY_BYTES_MAX);
    for (size_t i = 0; i < points.count; i++)
        put_utf8(&w, points.at[i]);
    return w.failed ? ERR_INVALID : (int)w.len;
}
