/* json.c - JSON written piece by piece. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "web/app.h"
#include "weaprous/json.h"

enum { LEVELS_MAX = 64, FIRST_BYTES = 256, TEXT_BYTES_MAX = 1 << 30 };

struct wr_json {
    struct wr_request *request;
    uint8_t *text;
    size_t len, cap;
    uint64_t objects; /* bit by level: an object, not an array */
    unsigned level;   /* how many are open */
    const char *why;  /* it failed; NULL: it did not */
};

struct wr_json *wr_json_new(struct wr_request *request)
{
    struct wr_json *j = arena_take(&request->arena, sizeof *j + FIRST_BYTES);
    if (!j) return NULL;
    *j = (struct wr_json){.request = request, .text = (uint8_t *)(j + 1), .cap = FIRST_BYTES};
    return j;
}

static void fail(struct wr_json *j, const char *why)
{
    if (!j->why) j->why = why;
}

/* Room for len more bytes at the end, or NULL. What grows leaves the old memory to the request: in all less
 * than the text once more. */
static uint8_t *room(struct wr_json *j, size_t len)
{
    if (j->why) return NULL;
    if (len <= j->cap - j->len) return j->text + j->len;
    if (len > TEXT_BYTES_MAX - j->len) {
        fail(j, "it is too large");
        return NULL;
    }
    size_t cap = j->cap;
    while (cap - j->len < len)
        cap *= 2;
    uint8_t *text = arena_take(&j->request->arena, cap);
    if (!text) {
        fail(j, "there is no memory");
        return NULL;
    }
    memcpy(text, j->text, j->len);
    j->text = text;
    j->cap = cap;
    return text + j->len;
}

static void put(struct wr_json *j, slice bytes)
{
    uint8_t *out = room(j, bytes.len);
    if (!out) return;
    if (bytes.len) memcpy(out, bytes.ptr, bytes.len);
    j->len += bytes.len;
}

static void put_byte(struct wr_json *j, uint8_t byte)
{
    uint8_t *out = room(j, 1);
    if (!out) return;
    *out = byte;
    j->len++;
}

static bool stands_for_itself(uint8_t c)
{
    return c >= ' ' && c != '"' && c != '\\';
}

static void put_escaped(struct wr_json *j, uint8_t c)
{
    static const char shorts[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    static const char hex[] = "0123456789abcdef";
    char name = c >= ' ' ? (char)c : shorts[c];
    if (name)
        put(j, slice_of((char[]){'\\', name}, 2));
    else
        put(j, slice_of((char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6));
}

/* A text in which not all is plain. */
static void put_text(struct wr_json *j, slice text)
{
    if (!utf8_valid(text)) fail(j, "a text is not UTF-8");
    while (text.len > 0 && !j->why) {
        size_t n = 0;
        while (n < text.len && stands_for_itself(text.ptr[n]))
            n++;
        put(j, slice_sub(text, 0, n));
        if (n < text.len) put_escaped(j, text.ptr[n]);
        text = slice_sub(text, n + 1, text.len);
    }
}

static void put_string(struct wr_json *j, slice text)
{
    uint8_t *out = room(j, text.len + 2);
    if (!out) return;
    size_t n = 0;
    out[0] = '"';
    for (; n < text.len && stands_for_itself(text.ptr[n]) && text.ptr[n] < 0x80; n++)
        out[n + 1] = text.ptr[n];
    j->len += n + 1;
    if (n < text.len) put_text(j, slice_sub(text, n, text.len));
    put_byte(j, '"');
}

/* What stands before a value: the comma and the key. False when no value may stand here. */
static bool begin(struct wr_json *j, const char *key)
{
    if (!j || j->why) return false;
    bool in_object = j->level > 0 && (j->objects >> (j->level - 1) & 1);
    if (in_object != (key != NULL)) {
        fail(j, key ? "a key stands where none belongs" : "a key is missing");
        return false;
    }
    if (j->level == 0 && j->len > 0) {
        fail(j, "there is more than one value");
        return false;
    }
    if (j->len > 0 && j->text[j->len - 1] != '{' && j->text[j->len - 1] != '[') put_byte(j, ',');
    if (key) {
        put_string(j, slice_text(key));
        put_byte(j, ':');
    }
    return !j->why;
}

static void open_level(struct wr_json *j, const char *key, bool object)
{
    if (!begin(j, key)) return;
    if (j->level == LEVELS_MAX) {
        fail(j, "it has too many levels");
        return;
    }
    put_byte(j, object ? '{' : '[');
    uint64_t bit = UINT64_C(1) << j->level++;
    j->objects = object ? j->objects | bit : j->objects & ~bit;
}

void wr_json_object(struct wr_json *j, const char *key)
{
    open_level(j, key, true);
}

void wr_json_array(struct wr_json *j, const char *key)
{
    open_level(j, key, false);
}

void wr_json_end(struct wr_json *j)
{
    if (!j || j->why) return;
    if (j->level == 0) {
        fail(j, "there is nothing to end");
        return;
    }
    j->level--;
    put_byte(j, j->objects >> j->level & 1 ? '}' : ']');
}

static void put_value(struct wr_json *j, const char *key, slice value)
{
    if (begin(j, key)) put(j, value);
}

void wr_json_bytes(struct wr_json *j, const char *key, const void *text, size_t len)
{
    if (begin(j, key)) put_string(j, slice_of(text, len));
}

void wr_json_text(struct wr_json *j, const char *key, const char *text)
{
    if (text)
        wr_json_bytes(j, key, text, strlen(text));
    else
        wr_json_null(j, key);
}

void wr_json_integer(struct wr_json *j, const char *key, int64_t value)
{
    uint8_t digits[24];
    struct writer w = writer_of(digits, sizeof digits);
    if (value < 0) writer_byte(&w, '-');
    writer_u64(&w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    put_value(j, key, writer_slice(&w));
}

void wr_json_real(struct wr_json *j, const char *key, double value)
{
    char text[32];
    if (!isfinite(value)) {
        if (j) fail(j, "a number is not finite");
        return;
    }
    int len = 0;
    for (int digits = 15; digits <= 17; digits++) { /* as many as it takes to be read as the same number */
        len = snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    /* The locale of the program may have another decimal point. */
    bool whole = true;
    for (int i = 0; i < len; i++) {
        bool part = (text[i] >= '0' && text[i] <= '9') || text[i] == '-' || text[i] == '+' || text[i] == 'e';
        if (!part) text[i] = '.';
        whole = whole && part && text[i] != 'e';
    }
    /* A reader must see that it is no integer. */
    if (whole) len += snprintf(text + len, sizeof text - (size_t)len, ".0");
    put_value(j, key, slice_of(text, (size_t)len));
}

void wr_json_boolean(struct wr_json *j, const char *key, bool value)
{
    put_value(j, key, value ? SLICE("true") : SLICE("false"));
}

void wr_json_null(struct wr_json *j, const char *key)
{
    put_value(j, key, SLICE("null"));
}

void wr_json_tree(struct wr_json *j, const char *key, const json_t *tree)
{
    if (!begin(j, key)) return;
    char *text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text)
        put(j, slice_text(text));
    else
        fail(j, "a tree cannot be written");
    free(text);
}

void wr_respond_json_written(struct wr_request *r, int status, struct wr_json *j)
{
    if (j && (j->level > 0 || j->len == 0)) fail(j, "it is not complete");
    if (j && !j->why) {
        respond_raw(r, status, SLICE("application/json"), slice_of(j->text, j->len), false);
        return;
    }
    app_log(r->app, WR_LOG_ERROR, "the JSON for %s cannot be sent: %s", wr_request_path(r),
            j ? j->why : "there is no memory");
    wr_respond_error(r, 500, NULL);
}
