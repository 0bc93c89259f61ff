/* parts.c - forms with files (multipart/form-data), gathered or as they arrive. */
#include <stdlib.h>
#include <string.h>

#include "http/disposition.h"
#include "http/multipart.h"
#include "web/app.h"
#include "web/parts.h"

enum { PARTS_MAX_DEFAULT = 64 };

_Static_assert(FILENAME_BYTES_MAX == 200, "wr_part_safe_name promises it");

void wr_part_safe_name(const char *filename, char out[201])
{
    (void)filename_safe(slice_text(filename), out);
}

static int result_of(int rc)
{
    switch (rc) {
    case ERR_MEMORY: return WR_MEMORY;
    case ERR_TOO_LARGE: return WR_FULL;
    default: return WR_INVALID;
    }
}

/* --- gathered --- */

struct request_parts {
    int rc;
    struct wr_part *at;
    size_t count, room;
};

/* Its data begin where the parser has arrived, and lie there in one piece. */
static bool begin_part(struct wr_request *r, struct request_parts *all, const struct multipart_event *event,
                       const uint8_t *data)
{
    if (all->count == all->room) {
        size_t room = all->room ? all->room * 2 : 8;
        struct wr_part *at = arena_take(&r->arena, room * sizeof *at);
        if (!at) return false;
        if (all->count) memcpy(at, all->at, all->count * sizeof *at);
        all->at = at;
        all->room = room;
    }
    slice type = event->content_type.len > 0 ? event->content_type : SLICE("text/plain");
    struct wr_part *part = &all->at[all->count++];
    *part = (struct wr_part){
        .name = arena_text(&r->arena, event->name),
        .filename = event->has_filename ? arena_text(&r->arena, event->filename) : NULL,
        .content_type = arena_text(&r->arena, type),
        .bytes = {data, 0},
    };
    return part->name && part->content_type && (part->filename || !event->has_filename);
}

static int parse(struct wr_request *r, struct request_parts *all)
{
    struct multipart m;
    struct multipart_event event;
    struct multipart_limits limits = {r->app->config.body_bytes_max, MULTIPART_PART_HEADER_BYTES_DEFAULT};
    slice input = buffer_slice(&r->body);
    int rc = multipart_init(&m, &allocator_libc, request_field(r, "Content-Type"), &limits);
    if (rc < 0) return rc;
    while (rc == OK && (rc = multipart_next(&m, &input, &event)) == OK) {
        if (event.kind == MULTIPART_PART && !begin_part(r, all, &event, input.ptr)) rc = ERR_MEMORY;
        if (event.kind == MULTIPART_DATA) all->at[all->count - 1].bytes.len += event.data.len;
    }
    if (rc == ERR_AGAIN) rc = multipart_ended(&m) ? OK : ERR_MALFORMED;
    multipart_deinit(&m);
    return rc;
}

int wr_request_parts(struct wr_request *r, const struct wr_part **out_parts, size_t *out_count)
{
    if (!r->parts) {
        struct request_parts *all = arena_take(&r->arena, sizeof *all);
        if (!all) return WR_MEMORY;
        *all = (struct request_parts){.rc = OK};
        int rc = parse(r, all);
        all->rc = rc < 0 ? result_of(rc) : WR_OK;
        r->parts = all;
    }
    if (r->parts->rc < 0) return r->parts->rc;
    *out_parts = r->parts->at;
    *out_count = r->parts->count;
    return WR_OK;
}

bool parts_expected(struct wr_request *r)
{
    slice type = request_field(r, "Content-Type");
    const slice multipart = SLICE("multipart/form-data");
    return slice_equal_nocase(slice_trim(slice_sub(type, 0, slice_find(type, ';'))), multipart);
}

/* --- as they arrive --- */

struct wr_multipart {
    struct multipart parser;
    struct wr_multipart_handlers handlers;
    void *context;
    char *texts; /* of the part under way: name, filename, content type */
    int failed;  /* what wr_multipart_feed returned, when it was an error */
};

struct wr_multipart *wr_multipart_new(struct wr_request *r, const struct wr_multipart_handlers *handlers,
                                      void *context)
{
    struct multipart_limits limits = {handlers->parts_max ? handlers->parts_max : PARTS_MAX_DEFAULT,
                                      MULTIPART_PART_HEADER_BYTES_DEFAULT};
    struct wr_multipart *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->handlers = *handlers;
    m->context = context;
    if (multipart_init(&m->parser, &allocator_libc, request_field(r, "Content-Type"), &limits) == OK)
        return m;
    free(m);
    return NULL;
}

void wr_multipart_free(struct wr_multipart *m)
{
    if (!m) return;
    multipart_deinit(&m->parser);
    free(m->texts);
    free(m);
}

static const char *put_text(char **at, slice text)
{
    char *start = *at;
    if (text.len > 0) memcpy(start, text.ptr, text.len);
    start[text.len] = 0;
    *at = start + text.len + 1;
    return start;
}

static int call_part(struct wr_multipart *m, const struct multipart_event *event)
{
    slice type = event->content_type.len > 0 ? event->content_type : SLICE("text/plain");
    free(m->texts);
    m->texts = malloc(event->name.len + event->filename.len + type.len + 3);
    if (!m->texts) return WR_MEMORY;
    char *at = m->texts;
    struct wr_part part = {.name = put_text(&at, event->name)};
    const char *filename = put_text(&at, event->filename);
    part.filename = event->has_filename ? filename : NULL;
    part.content_type = put_text(&at, type);
    return m->handlers.part ? m->handlers.part(&part, m->context) : WR_OK;
}

static int call(struct wr_multipart *m, const struct multipart_event *event)
{
    switch (event->kind) {
    case MULTIPART_PART: return call_part(m, event);
    case MULTIPART_DATA:
        return m->handlers.data ? m->handlers.data(event->data.ptr, event->data.len, m->context) : WR_OK;
    case MULTIPART_PART_END: return m->handlers.end ? m->handlers.end(m->context) : WR_OK;
    case MULTIPART_END: break;
    }
    return WR_OK;
}

int wr_multipart_feed(struct wr_multipart *m, const void *bytes, size_t len)
{
    slice input = slice_of(bytes, len);
    struct multipart_event event;
    int rc;
    while (!m->failed && (rc = multipart_next(&m->parser, &input, &event)) != ERR_AGAIN)
        m->failed = rc < 0 ? result_of(rc) : call(m, &event);
    return m->failed;
}

bool wr_multipart_complete(const struct wr_multipart *m)
{
    return multipart_ended(&m->parser);
}
