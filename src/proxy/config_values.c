/* The values of directives: numbers, times, sizes, names, and "name=value". */
#include <inttypes.h>
#include <stdio.h>

#include "http/ip.h"
#include "proxy/config_read.h"

/* --- what was meant --- */

enum { LIKELY_BYTES_MAX = 40 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits that make one text of the other: letters put in, left out, replaced, or swapped with their neighbour
 * (optimal string alignment). */
static size_t distance(slice a, slice b)
{
    size_t rows[3][LIKELY_BYTES_MAX + 1];
    if (a.len > LIKELY_BYTES_MAX || b.len > LIKELY_BYTES_MAX) return LIKELY_BYTES_MAX;
    for (size_t k = 0; k <= b.len; k++)
        rows[0][k] = k;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3], *far = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t k = 1; k <= b.len; k++) {
            bool same = (a.ptr[i - 1] | 0x20) == (b.ptr[k - 1] | 0x20);
            row[k] = least(least(above[k], row[k - 1]) + 1, above[k - 1] + !same);
            if (i > 1 && k > 1 && a.ptr[i - 1] == b.ptr[k - 2] && a.ptr[i - 2] == b.ptr[k - 1])
                row[k] = least(row[k], far[k - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

const char *config_likely(slice word, const void *names, size_t count, size_t stride)
{
    const char *best = NULL;
    size_t nearest = word.len < 3 ? 1 : word.len < 7 ? 2 : 3; /* further away is another word */
    for (size_t i = 0; i < count; i++) {
        const char *name;
        memcpy(&name, (const char *)names + i * stride, sizeof name);
        size_t edits = distance(word, slice_text(name));
        if (edits > nearest || (best && edits == nearest) || edits >= word.len) continue;
        nearest = edits;
        best = name;
    }
    return best;
}

/* --- parts of arguments --- */

struct config_value config_value(const struct config_word *word)
{
    return (struct config_value){word->text, word->place};
}

bool config_value_split(const struct config_word *word, slice *out_name, struct config_value *out_value)
{
    size_t equals = slice_find(word->text, '=');
    *out_name = slice_sub(word->text, 0, equals);
    *out_value = (struct config_value){slice_sub(word->text, equals + 1, word->text.len), word->place};
    if (equals == word->text.len) return false;
    /* exact as long as the name is made of what names are made of */
    out_value->place.column += (unsigned)equals + 1 + word->quoted;
    return true;
}

bool config_is_off(const struct config_statement *s)
{
    return s->argument_count == 1 && slice_equal(s->arguments[0].text, SLICE("off"));
}

bool config_runs_on(struct config_reader *r, const struct config_statement *s, size_t argument)
{
    const struct config_word *before = argument > 0 ? &s->arguments[argument - 1] : &s->name;
    if (s->arguments[argument].place.line == before->end.line) return false;
    config_error(r, before->end, "expected \";\" after \"%s\"", config_shown(before->text).text);
    return true;
}

const char *config_text(struct config_reader *r, struct config_value value)
{
    char *text = config_take(r, r->kept, value.text.len + 1, 1);
    size_t len = 0;
    for (size_t i = 0; text && i < value.text.len; i++) {
        uint8_t c = value.text.ptr[i];
        if (c == '$') {
            slice rest = slice_sub(value.text, i + 1, value.text.len);
            if (rest.len == 0 || rest.ptr[0] != '$') {
                config_error(r, value.place,
                             "variables are known in proxy_set_header only, besides $HOST: "
                             "write $$ for a single $");
                return NULL;
            }
            i++;
        }
        text[len++] = (char)c;
    }
    return text;
}

/* --- numbers with units --- */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
static const struct unit sizes[] = {{"", 1}, {"k", 1024}, {"m", 1024 * 1024}, {"g", 1024 * 1024 * 1024}};

/* The largest unit in which a value is a whole number. */
static void write_measure(char out[32], uint64_t value, const struct unit *units, size_t count)
{
    size_t i = count - 1;
    while (i > 0 && (value == 0 || value % units[i].factor != 0))
        i--;
    snprintf(out, 32, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
}

void config_write_duration(char out[32], uint64_t ms)
{
    write_measure(out, ms, durations, sizeof durations / sizeof durations[0]);
}

void config_write_size(char out[32], uint64_t bytes)
{
    write_measure(out, bytes, sizes, sizeof sizes / sizeof sizes[0]);
}

static bool measure(slice text, const struct unit *units, size_t count, uint64_t *out)
{
    size_t digits = 0;
    uint64_t number;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (digits == 0) return false;
    if (!slice_to_u64(slice_sub(text, 0, digits), UINT64_MAX, &number)) number = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (!slice_equal_nocase(slice_sub(text, digits, text.len), slice_text(units[i].name))) continue;
        if (__builtin_mul_overflow(number, units[i].factor, &number)) number = UINT64_MAX;
        *out = number;
        return true;
    }
    return false;
}

static bool in_range(struct config_reader *r, const char *what, struct config_value value, uint64_t number,
                     uint64_t min, uint64_t max, void (*write)(char[32], uint64_t))
{
    char least_text[32], most_text[32];
    if (number >= min && number <= max) return true;
    write(least_text, min);
    write(most_text, max);
    config_error(r, value.place, "%s: %s is not between %s and %s", what, config_shown(value.text).text,
                 least_text, most_text);
    return false;
}

static void write_number(char out[32], uint64_t number)
{
    snprintf(out, 32, "%" PRIu64, number);
}

bool config_number(struct config_reader *r, const char *what, struct config_value value, uint64_t min,
                   uint64_t max, uint64_t *out)
{
    static const struct unit none[] = {{"", 1}};
    uint64_t number;
    if (!measure(value.text, none, 1, &number)) {
        config_error(r, value.place, "%s: expected a number, not \"%s\"", what,
                     config_shown(value.text).text);
        return false;
    }
    if (!in_range(r, what, value, number, min, max, write_number)) return false;
    *out = number;
    return true;
}

bool config_duration(struct config_reader *r, const char *what, struct config_value value, uint64_t min_ms,
                     uint64_t max_ms, uint32_t *out_ms)
{
    uint64_t ms;
    if (!measure(value.text, durations, sizeof durations / sizeof durations[0], &ms)) {
        config_error(r, value.place,
                     "%s: expected a time with a unit (ms, s, m, h, d), as in 10s, not \"%s\"", what,
                     config_shown(value.text).text);
        return false;
    }
    if (!in_range(r, what, value, ms, min_ms, max_ms, config_write_duration)) return false;
    *out_ms = (uint32_t)ms;
    return true;
}

bool config_size(struct config_reader *r, const char *what, struct config_value value, uint64_t min,
                 uint64_t max, uint64_t *out)
{
    uint64_t bytes;
    if (!measure(value.text, sizes, sizeof sizes / sizeof sizes[0], &bytes)) {
        config_error(r, value.place,
                     "%s: expected bytes, or a size with a unit (k, m, g), as in 64k, not \"%s\"", what,
                     config_shown(value.text).text);
        return false;
    }
    if (!in_range(r, what, value, bytes, min, max, config_write_size)) return false;
    *out = bytes;
    return true;
}

/* --- name=value --- */

static bool set(struct config_reader *r, const char *what, const struct config_key *key,
                struct config_value value, void *target)
{
    char *at = (char *)target + key->offset;
    uint64_t number;
    switch (key->kind) {
    case KEY_DURATION: return config_duration(r, what, value, key->min, key->max, (uint32_t *)(void *)at);
    case KEY_NUMBER:
        if (!config_number(r, what, value, key->min, key->max, &number)) return false;
        *(unsigned *)(void *)at = (unsigned)number;
        return true;
    case KEY_TEXT:
        if (value.text.len == 0) {
            config_error(r, value.place, "%s: expected something after the \"=\"", what);
            return false;
        }
        return (*(const char **)(void *)at = config_text(r, value)) != NULL;
    case KEY_FLAG: *(bool *)(void *)at = true; return true;
    }
    return false;
}

static const struct config_key *find_key(const struct config_key *keys, size_t count, slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(slice_text(keys[i].name), name)) return &keys[i];
    }
    return NULL;
}

static void unknown_argument(struct config_reader *r, const struct config_statement *s,
                             const struct config_word *word, slice name, const struct config_key *keys,
                             size_t count)
{
    const char *likely = config_likely(name, &keys[0].name, count, sizeof keys[0]);
    if (likely)
        config_error(r, word->place, "%s: \"%s\" is not known here: did you mean \"%s\"?", s->directive->name,
                     config_shown(name).text, likely);
    else
        config_error(r, word->place, "%s: \"%s\" is not known here: expected %s", s->directive->name,
                     config_shown(word->text).text, s->directive->form);
}

bool config_keys(struct config_reader *r, const struct config_statement *s, size_t first,
                 const struct config_key *keys, size_t count, void *target, unsigned *lines, bool spaced)
{
    bool good = true;
    for (size_t i = first; i < s->argument_count; i++) {
        const struct config_word *word = &s->arguments[i];
        slice name;
        struct config_value value;
        char what[80];
        bool has_value = config_value_split(word, &name, &value);
        const struct config_key *key = find_key(keys, count, name);
        if (key && !has_value && spaced && i + 1 < s->argument_count) {
            value = config_value(&s->arguments[++i]);
            has_value = true;
        }
        if (!key) {
            if (config_runs_on(r, s, i)) return false;
            unknown_argument(r, s, word, name, keys, count);
            good = false;
            continue;
        }
        snprintf(what, sizeof what, "%s %s", s->directive->name, key->name);
        if (has_value != (key->kind != KEY_FLAG)) {
            config_error(r, word->place, has_value ? "%s has no value" : "%s: expected a value, as in %s",
                         what, s->directive->form);
            good = false;
        } else if (lines[key - keys]) {
            config_error(r, word->place, "%s is set twice: the first time on line %u", what,
                         lines[key - keys]);
            good = false;
        } else {
            lines[key - keys] = word->place.line;
            good &= set(r, what, key, value, target);
        }
    }
    return good;
}

struct config_place config_key_place(const struct config_statement *s, const char *name)
{
    for (size_t i = 0; i < s->argument_count; i++) {
        slice got;
        struct config_value value;
        if (config_value_split(&s->arguments[i], &got, &value) && slice_equal(got, slice_text(name)))
            return value.place;
    }
    return s->name.place;
}

/* --- hosts --- */

/* Labels of letters, digits, '-' and '_', at most 63 each. */
static bool name_valid(slice name)
{
    slice label;
    if (name.len == 0 || name.len > 253) return false;
    while (slice_split(&name, '.', &label)) {
        if (label.len == 0 || label.len > 63) return false;
        for (size_t i = 0; i < label.len; i++) {
            if (!config_variable_char(label.ptr[i]) && label.ptr[i] != '-') return false;
        }
    }
    return true;
}

/* A name whose last part is a number is meant to be an address (URL Standard, "ends in a number"). */
static bool ends_in_number(slice name)
{
    slice part = SLICE_EMPTY;
    uint64_t number;
    while (slice_split(&name, '.', &part)) {
    }
    return slice_to_u64(part, UINT64_MAX, &number);
}

const char *config_host_name(struct config_reader *r, struct config_value value, slice text, bool brackets)
{
    char v6[CONFIG_V6_BYTES];
    uint8_t address[IP_BYTES];
    bool good;
    if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        good = config_v6(slice_sub(text, 1, text.len - 2), v6);
        text = slice_text(v6);
        if (good && !brackets) text = slice_sub(text, 1, text.len - 2);
    } else {
        if (text.len > 1 && text.ptr[text.len - 1] == '.') text.len--;
        good = name_valid(text) && (!ends_in_number(text) || ip_parse(text, address) == OK);
    }
    if (!good) {
        config_error(r, value.place, "\"%s\" is not the name of a host or an address",
                     config_shown(value.text).text);
        return NULL;
    }
    char *kept = arena_text(r->kept, text);
    r->no_memory |= !kept;
    for (char *c = kept; c && *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    return kept;
}

const char *policy_name(enum policy policy)
{
    static const char *const names[] = {[POLICY_ROUND_ROBIN] = "round-robin",
                                        [POLICY_LEAST_CONN] = "least-conn",
                                        [POLICY_RANDOM_TWO] = "random-two",
                                        [POLICY_IP_HASH] = "ip-hash",
                                        [POLICY_STICKY] = "sticky"};
    return names[policy];
}
