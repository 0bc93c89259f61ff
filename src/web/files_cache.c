#include "web/files_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http/date.h"
#include "http/mime.h"

enum { BUCKETS_MIN = 64, READ_TRIES = 3, FORM_FIELDS_BYTES = 192 };

static const char *const suffixes[FILE_CODINGS] = {"", ".br", ".gz"};
static const char *const encodings[FILE_CODINGS] = {"", "Content-Encoding: br\r\n",
                                                    "Content-Encoding: gzip\r\n"};

/* --- life --- */

int file_cache_init(struct file_cache *c, const struct file_place *place, struct sip_secret secret,
                    bool nosniff)
{
    *c = (struct file_cache){.place = place, .secret = secret, .bucket_count = BUCKETS_MIN};
    list_init(&c->plain);
    list_init(&c->others);
    const char *format = "Cache-Control: %s\r\n%s",
               *more = nosniff ? "X-Content-Type-Options: nosniff\r\n" : "";
    size_t size = strlen(format) + strlen(place->cache_control) + strlen(more) + 1;
    c->buckets = calloc(c->bucket_count, sizeof(struct file *));
    c->common_fields = malloc(size);
    if (!c->buckets || !c->common_fields) {
        free(c->buckets);
        free(c->common_fields);
        return ERR_MEMORY;
    }
    snprintf(c->common_fields, size, format, place->cache_control, more);
    return OK;
}

static void form_deinit(struct file_form *form)
{
    shared_bytes_release(form->bytes);
    shared_file_release(form->file);
    free(form->fields);
}

static void file_free(struct file *f)
{
    for (size_t i = 0; i < FILE_CODINGS; i++)
        form_deinit(&f->forms[i]);
    free(f);
}

static struct file **place_in_bucket(struct file_cache *c, const struct file *f)
{
    struct file **at = &c->buckets[f->hash & (c->bucket_count - 1)];
    while (*at && *at != f)
        at = &(*at)->chain;
    return at;
}

static void forget(struct file_cache *c, struct file *f)
{
    *place_in_bucket(c, f) = f->chain;
    list_remove(&f->node);
    c->count--;
    if (f->kind == FILE_PLAIN)
        c->bytes -= f->bytes;
    else
        c->others_count--;
    c->open -= f->open;
    file_free(f);
}

void file_cache_deinit(struct file_cache *c)
{
    while (!list_empty(&c->plain))
        forget(c, LIST_ENTRY(c->plain.next, struct file, node));
    while (!list_empty(&c->others))
        forget(c, LIST_ENTRY(c->others.next, struct file, node));
    free(c->buckets);
    free(c->common_fields);
}

/* --- limits --- */

/* The one used least recently, if it is another than `kept`. */
static struct file *oldest(struct list *list, const struct file *kept)
{
    struct file *f = LIST_ENTRY(list->next, struct file, node);
    return list_empty(list) || f == kept ? NULL : f;
}

static void keep_limits(struct file_cache *c, const struct file *kept)
{
    struct file *f;
    while (c->bytes > c->place->cache_bytes_max && (f = oldest(&c->plain, kept)))
        forget(c, f);
    while (c->others_count > FILES_OTHERS_MAX && (f = oldest(&c->others, kept)))
        forget(c, f);
    for (struct list *n = c->plain.next, *next; n != &c->plain && c->open > FILES_OPEN_MAX; n = next) {
        next = n->next;
        f = LIST_ENTRY(n, struct file, node);
        if (f->open > 0 && f != kept) forget(c, f);
    }
}

/* Closes what is open and not being sent. False when there was nothing. */
static bool close_all(struct file_cache *c)
{
    bool any = c->open > 0;
    for (struct list *n = c->plain.next, *next; n != &c->plain; n = next) {
        next = n->next;
        struct file *f = LIST_ENTRY(n, struct file, node);
        if (f->open > 0) forget(c, f);
    }
    return any;
}

/* Without memory the chains only become longer. */
static void grow(struct file_cache *c)
{
    size_t count = c->bucket_count * 2;
    struct file **buckets = calloc(count, sizeof(struct file *));
    if (!buckets) return;
    for (size_t i = 0; i < c->bucket_count; i++) {
        for (struct file *f = c->buckets[i], *next; f; f = next) {
            next = f->chain;
            f->chain = buckets[f->hash & (count - 1)];
            buckets[f->hash & (count - 1)] = f;
        }
    }
    free(c->buckets);
    c->buckets = buckets;
    c->bucket_count = count;
}

static void remember(struct file_cache *c, struct file *f)
{
    if (c->count >= c->bucket_count) grow(c);
    f->chain = NULL;
    *place_in_bucket(c, f) = f;
    c->count++;
    c->open += f->open;
    if (f->kind == FILE_PLAIN) {
        list_append(&c->plain, &f->node);
        c->bytes += f->bytes;
    } else {
        list_append(&c->others, &f->node);
        c->others_count++;
    }
    keep_limits(c, f);
}

/* --- one form --- */

static struct file_identity identity_of(const struct stat *st)
{
    return (struct file_identity){.device = st->st_dev,
                                  .inode = st->st_ino,
                                  .size = st->st_size,
                                  .modified = st->st_mtim,
                                  .changed = st->st_ctim};
}

static bool time_equal(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool identity_equal(const struct file_identity *a, const struct file_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           time_equal(a->modified, b->modified) && time_equal(a->changed, b->changed);
}

/* ctime and not mtime: any program may set that to any time after its change. */
static bool is_settled(const struct file_identity *id, struct timespec now)
{
    int64_t age_ms =
        (int64_t)(now.tv_sec - id->changed.tv_sec) * 1000 + (now.tv_nsec - id->changed.tv_nsec) / 1000000;
    return age_ms >= FILES_SETTLED_MS;
}

static uint64_t tag_of(const struct file_form *form, size_t coding)
{
    const struct file_identity *id = &form->identity;
    const uint64_t parts[] = {
        (uint64_t)id->device,
        (uint64_t)id->inode,
        (uint64_t)id->size,
        (uint64_t)id->modified.tv_sec,
        (uint64_t)id->modified.tv_nsec,
        (uint64_t)id->changed.tv_sec,
        (uint64_t)id->changed.tv_nsec,
        (uint64_t)coding,
        form->settled,
    };
    /* The same in all workers and after a restart: no secret. */
    return sip_hash((struct sip_secret){0, 0}, slice_of(parts, sizeof parts));
}

static int read_all(int fd, struct shared_bytes *bytes)
{
    size_t done = 0;
    while (done < bytes->len) {
        ssize_t n = pread(fd, bytes->bytes + done, bytes->len - done, (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ERR_IO;
        if (n == 0) return ERR_CORRUPT; /* it has become shorter */
        done += (size_t)n;
    }
    return OK;
}

/* Reads the file into memory, if it does not change meanwhile: then `st` is what was read. ERR_AGAIN when it
 * changes all the time. */
static int read_still(int fd, struct stat *st, struct shared_bytes **out)
{
    for (int i = 0; i < READ_TRIES; i++) {
        struct file_identity before = identity_of(st);
        struct shared_bytes *bytes = shared_bytes_new((size_t)st->st_size);
        if (!bytes) return ERR_MEMORY;
        int rc = read_all(fd, bytes);
        if (rc == ERR_CORRUPT || rc == OK) {
            if (fstat(fd, st) < 0) rc = ERR_IO;
            struct file_identity after = identity_of(st);
            if (rc == OK && identity_equal(&before, &after)) {
                *out = bytes;
                return OK;
            }
        }
        shared_bytes_release(bytes);
        if (rc == ERR_IO) return rc;
    }
    return ERR_AGAIN;
}

/* Takes fd. */
static int form_load(const struct file_cache *c, struct file_form *form, int fd, struct stat *st)
{
    int rc = ERR_AGAIN;
    if ((uint64_t)st->st_size <= c->place->cached_file_bytes_max) rc = read_still(fd, st, &form->bytes);
    if (rc == ERR_AGAIN) {
        form->file = shared_file_new(fd);
        rc = form->file ? OK : ERR_MEMORY;
    }
    if (!form->file) close(fd);
    if (rc < 0) return rc;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    form->size = (uint64_t)st->st_size;
    form->identity = identity_of(st);
    form->settled = is_settled(&form->identity, now);
    form->modified_s = st->st_mtim.tv_sec >= 0 && st->st_mtim.tv_sec <= now.tv_sec ? st->st_mtim.tv_sec : -1;
    return OK;
}

static int form_prepare(const struct file_cache *c, struct file_form *form, size_t coding, bool varies)
{
    char modified[HTTP_DATE_BYTES + 1] = "";
    size_t size = FORM_FIELDS_BYTES + strlen(c->common_fields);
    form->fields = malloc(size);
    if (!form->fields) return ERR_MEMORY;
    if (form->modified_s >= 0) http_date_write(form->modified_s, modified);
    int quote = form->settled ? 0 : 2;
    int kept =
        snprintf(form->fields, size, "ETag: %s\"%016llx\"\r\n%s%s%s%s%s", form->settled ? "" : "W/",
                 (unsigned long long)tag_of(form, coding), modified[0] ? "Last-Modified: " : "", modified,
                 modified[0] ? "\r\n" : "", varies ? "Vary: Accept-Encoding\r\n" : "", c->common_fields);
    int all = kept + snprintf(form->fields + kept, size - (size_t)kept, "Accept-Ranges: bytes\r\n%s",
                              encodings[coding]);
    form->kept_len = (size_t)kept;
    form->fields_len = (size_t)all;
    form->etag = slice_of(form->fields + 6, (size_t)quote + 18);
    return OK;
}

/* --- one file --- */

/* Where the file lies whose name is asked for: the index when the name is that of a folder. False when it is
 * too long. */
static bool path_of(const struct file_cache *c, slice name, char path[FOLDER_PATH_BYTES_MAX])
{
    bool folder = name.ptr[name.len - 1] == '/', absolute = c->place->folder.fd < 0;
    size_t skip = absolute ? 0 : 1;
    int n = snprintf(path, FOLDER_PATH_BYTES_MAX, "%.*s%s", (int)(name.len - skip), name.ptr + skip,
                     folder && !absolute ? c->place->index : "");
    return n >= 0 && n + 3 < FOLDER_PATH_BYTES_MAX; /* room for a suffix */
}

/* In whole seconds: some programs that compress keep no more of the time of the file (brotli). */
static bool is_older(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
}

/* Opens a plain file; what is none is only looked at, since to open a FIFO or a device may have an effect:
 * ERR_NOT_FOUND, with *st. */
static int open_plain(const struct file_cache *c, const char *path, struct stat *st, int *out_fd)
{
    int fd, rc = folder_stat(&c->place->folder, path, FOLDER_LOOK, st, NULL);
    if (rc == OK && !S_ISREG(st->st_mode)) rc = ERR_NOT_FOUND;
    if (rc == OK) rc = folder_stat(&c->place->folder, path, FOLDER_READ, st, &fd);
    if (rc < 0) return rc;
    if (S_ISREG(st->st_mode)) {
        *out_fd = fd;
        return OK;
    }
    close(fd); /* replaced between the two */
    return ERR_NOT_FOUND;
}

/* The compressed forms that lie beside the file. One that is older than the file is of an older file; one
 * that cannot be opened is none. */
static int load_variants(const struct file_cache *c, struct file *f, char *path, const struct stat *original)
{
    size_t len = strlen(path);
    for (size_t i = FILE_BR; i < FILE_CODINGS; i++) {
        struct stat st;
        int fd;
        memcpy(path + len, suffixes[i], 4);
        int rc = open_plain(c, path, &st, &fd);
        path[len] = 0;
        if (rc == ERR_NOT_FOUND || rc == ERR_DENIED) continue;
        if (rc < 0) return rc;
        if (is_older(&st, original)) {
            close(fd);
            continue;
        }
        rc = form_load(c, &f->forms[i], fd, &st);
        if (rc < 0) return rc;
    }
    return OK;
}

static bool form_is_there(const struct file_form *form)
{
    return form->bytes || form->file;
}

static int load_plain(const struct file_cache *c, struct file *f, char *path, int fd, struct stat *st)
{
    struct stat original = *st;
    f->kind = FILE_PLAIN;
    f->type = mime_type(slice_text(path));
    int rc = form_load(c, &f->forms[FILE_IDENTITY], fd, st);
    if (rc == OK && c->place->precompressed) rc = load_variants(c, f, path, &original);
    bool varies = form_is_there(&f->forms[FILE_BR]) || form_is_there(&f->forms[FILE_GZIP]);
    for (size_t i = 0; i < FILE_CODINGS && rc == OK; i++) {
        struct file_form *form = &f->forms[i];
        if (!form_is_there(form)) continue;
        rc = form_prepare(c, form, i, varies);
        f->bytes += (form->bytes ? form->bytes->len : 0) + form->fields_len;
        f->open += form->file != NULL;
    }
    return rc;
}

/* What is found under the name of a folder, with its slash at the end. */
static int load_folder(const struct file_cache *c, struct file *f, char *path)
{
    struct stat st;
    int fd, rc = ERR_NOT_FOUND;
    if (c->place->index[0]) rc = open_plain(c, path, &st, &fd);
    if (rc == OK) return load_plain(c, f, path, fd, &st);
    if (rc == ERR_NOT_FOUND && c->place->listing) {
        path[f->name_len - 1] = 0; /* without the index */
        rc = folder_stat(&c->place->folder, path, FOLDER_LOOK, &st, NULL);
        if (rc == OK && S_ISDIR(st.st_mode)) f->kind = FILE_LISTING;
    }
    return rc;
}

/* A folder whose name lacks the slash: whether it leads to something with it. */
static int load_slashless(const struct file_cache *c, struct file *f, char *path)
{
    struct stat st;
    size_t len = strlen(path);
    if (c->place->listing) {
        f->kind = FILE_FOLDER;
        return OK;
    }
    if (!c->place->index[0] || len + 1 + strlen(c->place->index) >= FOLDER_PATH_BYTES_MAX) return OK;
    path[len] = '/';
    memcpy(path + len + 1, c->place->index, strlen(c->place->index) + 1);
    int rc = folder_stat(&c->place->folder, path, FOLDER_LOOK, &st, NULL);
    if (rc == OK && S_ISREG(st.st_mode)) f->kind = FILE_FOLDER;
    return rc;
}

static int load(const struct file_cache *c, struct file *f)
{
    char path[FOLDER_PATH_BYTES_MAX];
    slice name = slice_of(f->name, f->name_len);
    struct stat st = {.st_mode = 0};
    int fd;
    bool below = c->place->folder.fd >= 0;
    if (!path_of(c, name, path)) return OK;
    if (below && f->name[f->name_len - 1] == '/') return load_folder(c, f, path);
    int rc = open_plain(c, path, &st, &fd);
    if (rc == OK) return load_plain(c, f, path, fd, &st);
    return below && S_ISDIR(st.st_mode) ? load_slashless(c, f, path) : rc;
}

static int file_new(const struct file_cache *c, slice name, uint64_t hash, struct file **out)
{
    struct file *f = calloc(1, sizeof *f + name.len + 1);
    if (!f) return ERR_MEMORY;
    memcpy(f->name, name.ptr, name.len);
    f->name_len = name.len;
    f->hash = hash;
    f->bytes = sizeof *f + name.len;
    int rc = load(c, f);
    if (rc == ERR_NOT_FOUND || rc == ERR_DENIED) {
        f->kind = rc == ERR_DENIED ? FILE_REFUSED : FILE_MISSING;
        rc = OK;
    }
    if (rc < 0)
        file_free(f);
    else
        *out = f;
    return rc;
}

/* OK when the form is still the one on the disk, or still not there; ERR_CORRUPT when it is not; ERR_FULL and
 * ERR_MEMORY when that cannot be told now. */
static int form_check(const struct file_cache *c, const struct file_form *form, const char *path,
                      const struct file_form *original)
{
    struct stat st;
    int rc = folder_stat(&c->place->folder, path, FOLDER_LOOK, &st, NULL);
    if (rc == ERR_FULL || rc == ERR_MEMORY) return rc;
    bool there = rc == OK && S_ISREG(st.st_mode);
    if (form_is_there(form)) {
        struct file_identity now = there ? identity_of(&st) : (struct file_identity){.inode = 0};
        return there && form->settled && identity_equal(&form->identity, &now) ? OK : ERR_CORRUPT;
    }
    struct stat first = {.st_mtim = original->identity.modified};
    return !there || is_older(&st, &first) ? OK : ERR_CORRUPT;
}

/* Whether what is remembered may be used for another second. */
static bool still_true(const struct file_cache *c, const struct file *f)
{
    char path[FOLDER_PATH_BYTES_MAX];
    if (f->kind != FILE_PLAIN || !path_of(c, slice_of(f->name, f->name_len), path)) return false;
    size_t len = strlen(path);
    int rc = OK;
    for (size_t i = 0; i < (c->place->precompressed ? FILE_CODINGS : 1) && rc == OK; i++) {
        memcpy(path + len, suffixes[i], strlen(suffixes[i]) + 1);
        rc = form_check(c, &f->forms[i], path, &f->forms[FILE_IDENTITY]);
    }
    return rc != ERR_CORRUPT; /* when it cannot be told, what was true is better than nothing */
}

/* --- finding --- */

static struct file *lookup(const struct file_cache *c, slice name, uint64_t hash)
{
    struct file *f = c->buckets[hash & (c->bucket_count - 1)];
    while (f && (f->hash != hash || f->name_len != name.len || memcmp(f->name, name.ptr, name.len) != 0))
        f = f->chain;
    return f;
}

static void touch(struct file_cache *c, struct file *f)
{
    struct list *list = f->kind == FILE_PLAIN ? &c->plain : &c->others;
    if (list->prev == &f->node) return;
    list_remove(&f->node);
    list_append(list, &f->node);
}

struct file *file_cache_peek(struct file_cache *c, slice name, uint64_t now_ms)
{
    struct file *f = lookup(c, name, sip_hash(c->secret, name));
    if (!f || now_ms - f->checked_ms >= FILES_FRESH_MS) return NULL;
    touch(c, f);
    return f;
}

int file_cache_find(struct file_cache *c, slice name, uint64_t now_ms, struct file **out)
{
    uint64_t hash = sip_hash(c->secret, name);
    struct file *f = lookup(c, name, hash);
    bool fresh = f && now_ms - f->checked_ms < FILES_FRESH_MS;
    if (fresh || (f && still_true(c, f))) {
        touch(c, f);
        if (!fresh) f->checked_ms = now_ms;
    } else {
        if (f) forget(c, f);
        int rc = file_new(c, name, hash, &f);
        if (rc == ERR_FULL && close_all(c)) rc = file_new(c, name, hash, &f);
        if (rc < 0) return rc;
        remember(c, f);
        f->checked_ms = now_ms;
    }
    *out = f;
    return OK;
}
