#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

enum { KEPT_MAX = 65536 };

static json_t *documents[16];
static size_t document_count;
static uint8_t *kept[KEPT_MAX];
static size_t kept_count;

static void stop(const char *what, const char *name)
{
    fprintf(stderr, "golden vectors: %s: %s\n", what, name);
    abort();
}

json_t *vectors_open(const char *name)
{
    char path[512];
    json_error_t error;
    if (snprintf(path, sizeof path, "%s/%s", VECTORS_FOLDER, name) >= (int)sizeof path)
        stop("long path", name);
    json_t *document = json_load_file(path, 0, &error);
    if (!document || document_count == 16) stop(error.text, path);
    documents[document_count++] = document;
    return document;
}

int vectors_close(void **state)
{
    (void)state;
    while (document_count > 0)
        json_decref(documents[--document_count]);
    while (kept_count > 0)
        free(kept[--kept_count]);
    return 0;
}

json_t *vector_get(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!value) stop("there is no member", key);
    return value;
}

const char *vector_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(vector_get(object, key));
    if (!text) stop("no text", key);
    return text;
}

uint64_t vector_number(const json_t *object, const char *key)
{
    json_t *value = vector_get(object, key);
    if (!json_is_integer(value)) stop("no number", key);
    return (uint64_t)json_integer_value(value);
}

slice vector_bytes(const json_t *object, const char *key)
{
    slice text = slice_text(vector_text(object, key));
    if (kept_count == KEPT_MAX) stop("too many", key);
    uint8_t *bytes = malloc(text.len / 2 + 1);
    if (!bytes || hex_decode(text, bytes, text.len / 2) != 0) stop("not hexadecimal", key);
    kept[kept_count++] = bytes;
    return slice_of(bytes, text.len / 2);
}
