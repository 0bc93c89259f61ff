#include "core/leaves.h"

#include <assert.h>
#include <string.h>

static size_t words_of(uint32_t total)
{
    return (total + (size_t)63) / 64;
}

size_t leaves_bytes(uint32_t total)
{
    size_t words = words_of(total);
    return (words + words_of((uint32_t)words)) * sizeof(uint64_t);
}

int leaves_init(struct leaves *s, const struct allocator *a, uint32_t total, bool all)
{
    size_t words = words_of(total);
    *s = (struct leaves){.total = total};
    if (total == 0) return OK;
    s->words = alloc_new(a, leaves_bytes(total));
    if (!s->words) return ERR_MEMORY;
    s->tops = s->words + words;
    if (!all) return OK;
    s->count = total;
    memset(s->words, 0xFF, words * sizeof *s->words);
    if (total % 64) s->words[words - 1] = ((uint64_t)1 << (total % 64)) - 1;
    for (size_t i = 0; i < words; i++)
        s->tops[i / 64] |= (uint64_t)1 << (i % 64);
    return OK;
}

void leaves_deinit(struct leaves *s, const struct allocator *a)
{
    alloc_free(a, s->words, leaves_bytes(s->total));
    *s = (struct leaves){0};
}

bool leaves_has(const struct leaves *s, uint32_t leaf)
{
    assert(leaf < s->total);
    return (s->words[leaf / 64] >> (leaf % 64)) & 1;
}

bool leaves_add(struct leaves *s, uint32_t leaf)
{
    if (leaves_has(s, leaf)) return false;
    uint32_t word = leaf / 64;
    s->words[word] |= (uint64_t)1 << (leaf % 64);
    s->tops[word / 64] |= (uint64_t)1 << (word % 64);
    s->count++;
    return true;
}

bool leaves_remove(struct leaves *s, uint32_t leaf)
{
    if (!leaves_has(s, leaf)) return false;
    uint32_t word = leaf / 64;
    s->words[word] &= ~((uint64_t)1 << (leaf % 64));
    if (s->words[word] == 0) s->tops[word / 64] &= ~((uint64_t)1 << (word % 64));
    s->count--;
    return true;
}

static void add_word(struct leaves *s, uint32_t word, uint64_t bits)
{
    uint64_t more = bits & ~s->words[word];
    if (!more) return;
    s->words[word] |= more;
    s->tops[word / 64] |= (uint64_t)1 << (word % 64);
    s->count += (uint32_t)__builtin_popcountll(more);
}

void leaves_add_run(struct leaves *s, uint32_t from, uint32_t count)
{
    assert(from <= s->total && count <= s->total - from);
    while (count > 0) {
        uint32_t bit = from % 64, here = 64 - bit < count ? 64 - bit : count;
        uint64_t mask = here == 64 ? UINT64_MAX : (((uint64_t)1 << here) - 1) << bit;
        add_word(s, from / 64, mask);
        from += here;
        count -= here;
    }
}

bool leaves_add_bits(struct leaves *s, uint32_t from, slice bits)
{
    assert(from % 64 == 0);
    if (from > s->total || bits.len > (s->total - from + (size_t)7) / 8) return false;
    uint32_t beyond = (8 - (s->total - from) % 8) % 8;
    bool ends = bits.len == (s->total - from + (size_t)7) / 8;
    if (ends && bits.len && beyond && bits.ptr[bits.len - 1] >> (8 - beyond)) return false;
    for (size_t i = 0; i < bits.len; i += 8) {
        uint64_t word = 0;
        for (size_t k = 0; k < 8 && i + k < bits.len; k++)
            word |= (uint64_t)bits.ptr[i + k] << (8 * k);
        if (word) add_word(s, from / 64 + (uint32_t)(i / 8), word);
    }
    return true;
}

void leaves_add_all(struct leaves *s, const struct leaves *other)
{
    assert(s->total == other->total);
    for (uint32_t word = 0; word < words_of(s->total); word++)
        add_word(s, word, other->words[word]);
}

void leaves_clear(struct leaves *s)
{
    if (s->words) memset(s->words, 0, leaves_bytes(s->total));
    s->count = 0;
}

size_t leaves_bits(const struct leaves *s, uint32_t from, uint8_t *out, size_t room)
{
    assert(from % 64 == 0 && from <= s->total);
    size_t len = (s->total - from + (size_t)7) / 8;
    if (len > room) len = room;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(s->words[from / 64 + i / 8] >> (8 * (i % 8)));
    return len;
}

static uint64_t from_bit(uint64_t word, uint32_t bit)
{
    return word & (UINT64_MAX << bit);
}

static uint32_t lowest(uint64_t word)
{
    return (uint32_t)__builtin_ctzll(word);
}

uint32_t leaves_next(const struct leaves *s, const struct leaves *also, uint32_t from)
{
    if (from >= s->total) return LEAVES_NONE;
    assert(!also || also->total == s->total);
    uint32_t word = from / 64;
    uint64_t hit = from_bit(s->words[word] & (also ? also->words[word] : UINT64_MAX), from % 64);
    if (hit) return word * 64 + lowest(hit);
    size_t tops = words_of((uint32_t)words_of(s->total));
    uint32_t after = word + 1;
    for (size_t t = after / 64; t < tops; t++) {
        uint64_t top = s->tops[t] & (also ? also->tops[t] : UINT64_MAX);
        if (t == after / 64) top = from_bit(top, after % 64);
        for (; top; top &= top - 1) {
            word = (uint32_t)t * 64 + lowest(top);
            hit = s->words[word] & (also ? also->words[word] : UINT64_MAX);
            if (hit) return word * 64 + lowest(hit);
        }
    }
    return LEAVES_NONE;
}

uint32_t leaves_next_gap(const struct leaves *s, uint32_t from)
{
    if (from >= s->total) return s->total;
    uint32_t word = from / 64, words = (uint32_t)words_of(s->total);
    uint64_t gap = from_bit(~s->words[word], from % 64);
    while (!gap && ++word < words)
        gap = ~s->words[word];
    uint32_t leaf = gap ? word * 64 + lowest(gap) : s->total;
    return leaf < s->total ? leaf : s->total;
}
