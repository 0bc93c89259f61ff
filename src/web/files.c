/* files.c - answering with files from disk. */
#include "web/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/disposition.h"
#include "http/range.h"
#include "http/static_path.h"
#include "http/token.h"
#include "http/url.h"
#include "web/answer.h"
#include "web/wanted.h"

enum { BOUNDARY_BYTES = 32, PIECES_MAX = 2 * HTTP_RANGES_MAX + 1 };

/* --- caches --- */

/* Which fields for all answers give way to those of files. */
static uint32_t fields_replaced(const struct wr_app *app)
{
    static const char *const names[] = {"ETag", "Last-Modified", "Cache-Control", "Accept-Ranges",
                                        "Content-Encoding"};
    uint32_t mask = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t index = app_header_index(app, slice_text(names[i]));
        if (index < app->header_count) mask |= 1u << index;
    }
    return mask;
}

/* That of a mount in this worker; NULL without memory. */
static struct file_cache *cache_of(struct wr_worker *worker, unsigned index, const struct file_place *place)
{
    struct wr_app *app = worker->app;
    if (!worker->file_caches) {
        worker->file_caches = calloc(app->mount_count + 1u, sizeof(struct file_cache *));
        if (!worker->file_caches) return NULL;
        worker->file_fields = fields_replaced(app);
    }
    struct file_cache **cache = &worker->file_caches[index];
    if (*cache) return *cache;
    struct file_cache *c = malloc(sizeof *c);
    if (!c) return NULL;
    bool nosniff = app_header_index(app, SLICE("X-Content-Type-Options")) == app->header_count;
    if (file_cache_init(c, place, app->addresses.secret, nosniff) < 0) {
        free(c);
        return NULL;
    }
    return *cache = c;
}

void files_free_caches(struct wr_worker *worker)
{
    for (unsigned i = 0; worker->file_caches && i <= worker->app->mount_count; i++) {
        if (worker->file_caches[i]) file_cache_deinit(worker->file_caches[i]);
        free(worker->file_caches[i]);
    }
    free(worker->file_caches);
    worker->file_caches = NULL;
}

/* --- a file as the answer --- */

static void respond_trouble(struct wr_request *r, int err)
{
    if (err != ERR_MEMORY)
        app_log(r->app, WR_LOG_ERROR, "the file at %s could not be opened: %s", r->path,
                err == ERR_FULL ? "too many open files" : err_text(err));
    wr_respond_error(r, err == ERR_IO ? 500 : 503, err == ERR_IO ? NULL : "no room; try again later");
}

struct parts {
    struct answer_piece pieces[PIECES_MAX];
    size_t count;
};

/* Bytes from first to last of the form. */
static struct answer_piece piece_of(const struct file_form *form, struct http_range range)
{
    uint64_t len = http_range_bytes(range);
    if (form->file)
        return (struct answer_piece){
            .kind = ANSWER_FILE, .file = form->file, .offset = range.first, .len = len};
    if (len == form->bytes->len) return (struct answer_piece){.kind = ANSWER_SHARED, .shared = form->bytes};
    return (struct answer_piece){.kind = ANSWER_COPY,
                                 .bytes = slice_of(form->bytes->bytes + range.first, (size_t)len)};
}

static bool put_whole(const struct file_form *form, struct parts *parts)
{
    if (form->size > 0)
        parts->pieces[parts->count++] =
            piece_of(form, (struct http_range){.first = 0, .last = form->size - 1});
    return true;
}

/* Characters that the author of a file cannot know, so that they do not stand in it. */
static slice boundary_new(struct wr_request *r)
{
    char *out = arena_take(&r->arena, BOUNDARY_BYTES + 1);
    if (!out) return SLICE_EMPTY;
    struct sip_secret secret = r->app->addresses.secret;
    uint64_t now_ns = uv_hrtime(), high = sip_hash(secret, slice_of(&now_ns, sizeof now_ns));
    uint64_t low = sip_hash(secret, slice_of(&high, sizeof high));
    snprintf(out, BOUNDARY_BYTES + 1, "%016llx%016llx", (unsigned long long)high, (unsigned long long)low);
    return slice_of(out, BOUNDARY_BYTES);
}

/* 206 with one range: its Content-Range joins the fields. */
static bool put_range(struct wr_request *r, const struct file_form *form, struct http_range range,
                      struct answer *answer, struct parts *parts)
{
    size_t size = form->fields_len + HTTP_CONTENT_RANGE_BYTES_MAX;
    struct writer w = writer_of(arena_take(&r->arena, size), size);
    if (!w.ptr) return false;
    writer_put(&w, slice_of(form->fields, form->fields_len));
    http_content_range_write(&w, range, form->size);
    answer->fields = writer_slice(&w);
    parts->pieces[parts->count++] = piece_of(form, range);
    return !w.failed;
}

/* 206 with several: multipart/byteranges. */
static bool put_ranges(struct wr_request *r, const struct file_form *form, const struct http_ranges *ranges,
                       struct answer *answer, struct parts *parts)
{
    static const char multipart[] = "multipart/byteranges; boundary=";
    slice boundary = boundary_new(r), type = answer->content_type;
    size_t size =
        (ranges->count + 1) * (HTTP_RANGE_PART_BYTES_MAX + type.len) + sizeof multipart + boundary.len;
    struct writer w = writer_of(arena_take(&r->arena, size), size);
    if (!w.ptr || boundary.len == 0) return false;
    writer_put(&w, slice_text(multipart));
    writer_put(&w, boundary);
    answer->content_type = writer_slice(&w);
    for (size_t i = 0; i <= ranges->count; i++) {
        size_t from = w.len;
        if (i < ranges->count)
            http_range_part_write(&w, boundary, type, ranges->at[i], form->size);
        else
            http_range_end_write(&w, boundary);
        parts->pieces[parts->count++] = (struct answer_piece){
            .kind = ANSWER_COPY, .bytes = slice_sub(writer_slice(&w), from, w.len - from)};
        if (i < ranges->count) parts->pieces[parts->count++] = piece_of(form, ranges->at[i]);
    }
    return !w.failed;
}

/* The part of the file that is wanted. False without memory. */
static bool put_wanted(struct wr_request *r, const struct file_form *form, const struct wanted *wanted,
                       struct answer *answer, struct parts *parts)
{
    struct http_ranges ranges;
    bool partial = wanted->range.ptr && slice_equal(request_method(r), SLICE("GET"));
    if (partial && wanted->if_range.ptr)
        partial = http_if_range_holds(wanted->if_range, form->etag, form->modified_s, wanted_now_s(r));
    switch (partial ? http_range_parse(wanted->range, form->size, &ranges) : HTTP_RANGE_WHOLE) {
    case HTTP_RANGE_WHOLE: break;
    case HTTP_RANGE_PARTIAL:
        answer->status = 206;
        return ranges.count == 1 ? put_range(r, form, ranges.at[0], answer, parts)
                                 : put_ranges(r, form, &ranges, answer, parts);
    case HTTP_RANGE_UNSATISFIABLE: answer->status = 416; return true;
    }
    return put_whole(form, parts);
}

static void respond_unsatisfiable(struct wr_request *r, uint64_t size)
{
    char text[HTTP_CONTENT_RANGE_BYTES_MAX];
    snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
    wr_response_header(r, "Content-Range", text);
    wr_response_header(r, "Accept-Ranges", "bytes");
    wr_respond_error(r, 416, "the file has no such bytes; Content-Range tells how many it has");
}

static const struct file_form *choose(const struct file *f, const struct wanted *wanted)
{
    uint64_t sizes[CODINGS];
    for (size_t i = 0; i < CODINGS; i++)
        sizes[i] = f->forms[i].fields ? f->forms[i].size : CODING_ABSENT;
    return &f->forms[coding_choose(wanted->accept_encoding, sizes)];
}

/* Filters behind may do anything, also make the cache forget this file. */
static void respond_held(struct wr_request *r, const struct file_form *form, struct answer *answer)
{
    struct shared_bytes *bytes = form->bytes ? shared_bytes_hold(form->bytes) : NULL;
    struct shared_file *file = form->file ? shared_file_hold(form->file) : NULL;
    char *fields = arena_take(&r->arena, answer->fields.len);
    if (fields) {
        memcpy(fields, answer->fields.ptr, answer->fields.len);
        answer->fields.ptr = (uint8_t *)fields;
        respond_answer(r, answer);
    } else {
        respond_trouble(r, ERR_MEMORY);
    }
    shared_bytes_release(bytes);
    shared_file_release(file);
}

static void respond_plain(struct wr_request *r, const struct file *f, slice type)
{
    struct wanted wanted;
    wanted_read(r, &wanted);
    const struct file_form *form = choose(f, &wanted);
    struct parts parts;
    struct answer answer = {.status = 200,
                            .content_type = type,
                            .fields = slice_of(form->fields, form->fields_len),
                            .replaces = r->worker->file_fields,
                            .pieces = parts.pieces};
    parts.count = 0;
    switch (wanted_evaluate(r, &wanted, form->etag, form->modified_s)) {
    case HTTP_PROCEED:
        if (put_wanted(r, form, &wanted, &answer, &parts)) break;
        respond_trouble(r, ERR_MEMORY);
        return;
    case HTTP_NOT_MODIFIED:
        answer.status = 304;
        answer.fields.len = form->kept_len;
        answer.content_type = SLICE_EMPTY;
        break;
    case HTTP_PRECONDITION_FAILED:
        wr_respond_error(r, 412, "the file is another one than the request goes for");
        return;
    }
    answer.count = parts.count;
    if (answer.status == 416)
        respond_unsatisfiable(r, form->size);
    else if (r->group && r->group->after.len > 0)
        respond_held(r, form, &answer);
    else
        respond_answer(r, &answer);
}

/* --- below a folder --- */

/* To the same address with a slash at its end. */
static void respond_slash(struct wr_request *r, slice before, slice name)
{
    slice query = http_span_slice(slice_of(r->head, r->head_len), r->parser.head.query);
    struct buffer location;
    buffer_init(&location, &allocator_libc, SIZE_MAX);
    buffer_put(&location, before);
    url_encode_path(&location, name);
    buffer_byte(&location, '/');
    if (query.len) buffer_byte(&location, '?');
    buffer_put(&location, query);
    buffer_byte(&location, 0);
    if (location.failed)
        respond_trouble(r, ERR_MEMORY);
    else
        wr_respond_redirect(r, 301, (const char *)location.ptr);
    buffer_reset(&location);
}

/* A segment that begins with a dot, but ".well-known" at the beginning. */
static bool is_hidden(slice name)
{
    static const char well_known[] = "/.well-known";
    slice known = slice_text(well_known);
    if (slice_starts(name, known) && (name.len == known.len || name.ptr[known.len] == '/'))
        name = slice_sub(name, known.len, name.len);
    for (size_t i = 0; i + 1 < name.len; i++) {
        if (name.ptr[i] == '/' && name.ptr[i + 1] == '.') return true;
    }
    return false;
}

/* The name that the files have for a path below the folder; empty: answered. */
static slice name_of(struct wr_request *r, slice path)
{
    struct static_path parsed;
    char *out = arena_take(&r->arena, path.len + 3);
    if (!out) {
        respond_trouble(r, ERR_MEMORY);
        return SLICE_EMPTY;
    }
    int rc = static_path_parse(path, out + 1, path.len + 1, &parsed);
    if (rc == ERR_TOO_LARGE) {
        respond_missing(r);
        return SLICE_EMPTY;
    }
    if (rc < 0) {
        wr_respond_error(r, 400, "the address is none that a file can have");
        return SLICE_EMPTY;
    }
    out[0] = '/';
    size_t len = parsed.len + 1;
    if (parsed.directory && parsed.len > 0) out[len++] = '/';
    return slice_of(out, len);
}

static slice trimmed(slice path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

/* Nothing on the disk: what is compiled in, or the page for all that is not there. */
static void respond_instead(struct wr_request *r, const struct file_mount *mount, struct file_cache *cache)
{
    const struct wr_asset *asset = app_asset_find(r->app, trimmed(slice_text(r->path)));
    struct file *f;
    if (asset) {
        asset_respond(r, 200, asset);
        return;
    }
    if (!mount->fallback) {
        respond_missing(r);
        return;
    }
    int rc = file_cache_find(cache, slice_text(mount->fallback), net_loop_now(&r->worker->loop), &f);
    if (rc < 0)
        respond_trouble(r, rc);
    else if (f->kind == FILE_PLAIN)
        respond_plain(r, f, slice_text(f->type));
    else
        respond_missing(r);
}

static void respond_found(struct wr_request *r, const struct file_mount *mount, struct file_cache *cache,
                          const struct file *f, slice before)
{
    slice name = slice_of(f->name, f->name_len);
    switch (f->kind) {
    case FILE_MISSING: respond_instead(r, mount, cache); break;
    case FILE_REFUSED: wr_respond_error(r, 403, "the server may not read this"); break;
    case FILE_PLAIN: respond_plain(r, f, slice_text(f->type)); break;
    case FILE_FOLDER: respond_slash(r, before, name); break;
    case FILE_LISTING: files_list(r, mount, name); break;
    }
}

/* Where the path below the folder begins: after `depth` segments. */
static size_t below(slice path, size_t depth)
{
    size_t at = 0;
    for (; depth > 0 && at < path.len; depth--) {
        at++;
        while (at < path.len && path.ptr[at] != '/')
            at++;
    }
    return at;
}

void files_serve(struct wr_request *r, void *context)
{
    const struct file_mount *mount = context;
    slice path = http_span_slice(slice_of(r->head, r->head_len), r->parser.head.path);
    slice before = slice_sub(path, 0, below(path, mount->depth));
    slice name = slice_sub(path, before.len, path.len);
    uint64_t now_ms = net_loop_now(&r->worker->loop);
    struct file_cache *cache = cache_of(r->worker, mount->index, &mount->place);
    if (!cache) {
        respond_trouble(r, ERR_MEMORY);
        return;
    }
    /* Most paths are what the files are called already. An escape is not: it may stand for another name, and
     * a decoded name may look like one. */
    bool plain = slice_find(name, '%') == name.len;
    struct file *f = plain ? file_cache_peek(cache, name, now_ms) : NULL;
    if (!f) {
        bool root = name.len == 0; /* the address of the folder itself, without its slash */
        name = root ? SLICE("/") : name_of(r, name);
        if (name.len == 0) return;
        if (!mount->hidden && is_hidden(name)) {
            respond_missing(r);
            return;
        }
        int rc = file_cache_find(cache, name, now_ms, &f);
        if (rc < 0) {
            respond_trouble(r, rc);
            return;
        }
        if (root && (f->kind == FILE_PLAIN || f->kind == FILE_LISTING)) {
            respond_slash(r, before, SLICE_EMPTY);
            return;
        }
    }
    respond_found(r, mount, cache, f, before);
}

/* --- any file --- */

void wr_respond_file(struct wr_request *r, const char *path, const char *content_type,
                     const char *download_name)
{
    static char no_index[] = "", no_cache[] = "no-cache";
    static const struct file_place anywhere = {.folder = {.fd = -1},
                                               .index = no_index,
                                               .cache_control = no_cache,
                                               .cached_file_bytes_max = FILES_CACHED_FILE_BYTES,
                                               .cache_bytes_max = FILES_CACHE_BYTES};
    if (!path[0]) {
        respond_missing(r);
        return;
    }
    struct file_cache *cache = cache_of(r->worker, 0, &anywhere);
    struct file *f;
    int rc =
        !cache ? ERR_MEMORY : file_cache_find(cache, slice_text(path), net_loop_now(&r->worker->loop), &f);
    if (rc < 0) {
        respond_trouble(r, rc);
    } else if (f->kind == FILE_REFUSED) {
        wr_respond_error(r, 403, "the server may not read this");
    } else if (f->kind != FILE_PLAIN) {
        respond_missing(r);
    } else {
        struct buffer value;
        buffer_init(&value, &allocator_libc, APP_HEADER_BYTES_MAX);
        if (download_name) {
            disposition_write(&value, true, slice_text(download_name));
            buffer_byte(&value, 0);
            if (value.failed)
                r->bad_fields = true;
            else
                wr_response_header(r, "Content-Disposition", (const char *)value.ptr);
        }
        buffer_reset(&value);
        slice type = slice_text(content_type ? content_type : f->type);
        if (!field_value_valid(type)) r->bad_fields = true;
        respond_plain(r, f, type);
    }
}
