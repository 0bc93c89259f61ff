/* fields.c - the body of a request as JSON or as an HTML form of either kind. */
#include "web/app.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "http/url.h"
#include "web/parts.h"

json_t *wr_request_json(struct wr_request *r)
{
    if (!r->json_tried) {
        r->json_tried = true;
        if (r->body.len > 0)
            r->json = json_loadb((const char *)r->body.ptr, r->body.len,
                                 JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    }
    return r->json;
}

/* Decodes one part of a form into the arena; false when it is not text. */
static bool form_text(struct wr_request *r, slice part, slice *out)
{
    uint8_t *memory = arena_take(&r->arena, part.len + 1);
    size_t len;
    if (!memory || url_decode(part, true, memory, &len) < 0) return false;
    memory[len] = 0;
    *out = slice_of(memory, len);
    return utf8_valid(*out);
}

static json_t *form_parse(struct wr_request *r)
{
    slice rest = buffer_slice(&r->body), name, value;
    /* curl -d adds no line end, but echo | curl -d @- does. */
    while (rest.len > 0 && (rest.ptr[rest.len - 1] == '\n' || rest.ptr[rest.len - 1] == '\r'))
        rest.len--;
    json_t *object = json_object();
    if (!object || (rest.len > 0 && slice_find(rest, '=') == rest.len)) goto fail;
    while (url_pair_next(&rest, &name, &value)) {
        slice key, text;
        if (!form_text(r, name, &key) || !form_text(r, value, &text)) goto fail;
        if (json_object_get(object, (const char *)key.ptr)) continue;
        if (json_object_set_new(object, (const char *)key.ptr,
                                json_stringn((const char *)text.ptr, text.len)) < 0)
            goto fail;
    }
    return object;
fail:
    json_decref(object);
    return NULL;
}

/* The parts that are no files. */
static json_t *parts_parse(struct wr_request *r)
{
    const struct wr_part *parts;
    size_t count;
    if (wr_request_parts(r, &parts, &count) < 0) return NULL;
    json_t *object = json_object();
    for (size_t i = 0; object && i < count; i++) {
        const struct wr_part *part = &parts[i];
        if (part->filename || json_object_get(object, part->name)) continue;
        if (json_object_set_new(object, part->name,
                                json_stringn(part->bytes.len ? part->bytes.ptr : "", part->bytes.len)) < 0) {
            json_decref(object); /* not text, or no memory */
            return NULL;
        }
    }
    return object;
}

/* What begins like a JSON value and is none is broken JSON, not a form with a strange name. */
static bool looks_like_json(const struct wr_request *r)
{
    for (size_t i = 0; i < r->body.len; i++) {
        uint8_t c = r->body.ptr[i];
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return c == '{' || c == '[' || c == '"';
    }
    return false;
}

json_t *wr_request_fields(struct wr_request *r)
{
    if (!r->form_tried) {
        r->form_tried = true;
        if (parts_expected(r)) return r->form = parts_parse(r);
        json_t *json = wr_request_json(r);
        if (json_is_object(json))
            r->form = json_incref(json);
        else if (!looks_like_json(r))
            r->form = form_parse(r);
    }
    return r->form;
}

const char *wr_request_field(struct wr_request *r, const char *name)
{
    json_t *value = json_object_get(wr_request_fields(r), name);
    if (json_is_string(value)) return json_string_value(value);
    if (!json_is_integer(value)) return NULL;
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return arena_text(&r->arena, slice_of(digits, (size_t)len));
}
