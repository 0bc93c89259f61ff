/* files_list.c - what is in a folder, as a page or as JSON. */
#include "web/files.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"
#include "http/url.h"
#include "web/answer.h"

enum {
    ENTRIES_MAX = 10000,       /* further ones are not shown, and the list says so */
    LIST_BYTES_MAX = 16 << 20, /* of the answer */
    TIME_BYTES = 24,
};

struct entry {
    char *name;
    bool folder;
    uint64_t size;
    int64_t modified_s;
};

struct entries {
    struct entry *at;
    size_t count, cap;
    bool cut; /* there are more */
};

static void entries_free(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->at[i].name);
    free(entries->at);
}

static int entry_add(struct entries *entries, const char *name, const struct stat *st)
{
    if (entries->count == entries->cap) {
        size_t cap = entries->cap ? entries->cap * 2 : 64;
        struct entry *at = realloc(entries->at, cap * sizeof *at);
        if (!at) return ERR_MEMORY;
        entries->at = at;
        entries->cap = cap;
    }
    char *copy = strdup(name);
    if (!copy) return ERR_MEMORY;
    entries->at[entries->count++] = (struct entry){.name = copy,
                                                   .folder = S_ISDIR(st->st_mode),
                                                   .size = (uint64_t)st->st_size,
                                                   .modified_s = st->st_mtim.tv_sec};
    return OK;
}

/* Folders first, then by name. */
static int entry_compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->folder != y->folder) return x->folder ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Names that the paths of requests can have: see static_path.h. */
static bool can_be_asked_for(const char *name)
{
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7F || *c == '\\') return false;
    }
    return utf8_valid(slice_text(name));
}

/* What the name leads to when it is asked for: links are followed, or not, as there. */
static bool look(const struct file_mount *mount, int fd, const char *folder, const char *name,
                 struct stat *st)
{
    if (fstatat(fd, name, st, AT_SYMLINK_NOFOLLOW) < 0) return false;
    if (S_ISLNK(st->st_mode)) {
        char path[FOLDER_PATH_BYTES_MAX];
        int n = snprintf(path, sizeof path, "%s%s", folder, name);
        if (n < 0 || (size_t)n >= sizeof path) return false;
        if (folder_stat(&mount->place.folder, path, FOLDER_LOOK, st, NULL) < 0) return false;
    }
    return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

/* `folder`: its path, empty or with a slash at its end. */
static int read_entries(const struct file_mount *mount, const char *folder, struct entries *out)
{
    int fd, rc = folder_find(&mount->place.folder, folder, FOLDER_LIST, &fd);
    if (rc < 0) return rc;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return ERR_MEMORY;
    }
    const struct dirent *d;
    while (rc == OK && !out->cut && (d = readdir(dir))) {
        struct stat st;
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) continue;
        if ((d->d_name[0] == '.' && !mount->hidden) || !can_be_asked_for(d->d_name)) continue;
        if (!look(mount, fd, folder, d->d_name, &st)) continue;
        out->cut = out->count == ENTRIES_MAX;
        if (!out->cut) rc = entry_add(out, d->d_name, &st);
    }
    closedir(dir);
    if (rc == OK && out->count > 1) qsort(out->at, out->count, sizeof *out->at, entry_compare);
    return rc;
}

/* --- the page --- */

static const char page_start[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<style>\n"
    ":root{--fg:#1c1e21;--dim:#63686f;--line:#e3e5e8;--row:#f5f6f8;--bg:#fff;--link:#1a5fb4}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e4e6e9;--dim:#9aa0a8;--line:#33373d;--row:#22262b;"
    "--bg:#17191c;--link:#8ab8ff}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:60rem;"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.25rem;font-weight:600;overflow-wrap:anywhere}\nh1,p{padding:0 .5rem}\n"
    "table{width:100%;border-collapse:collapse}\n"
    "th{text-align:left;font-weight:500;font-size:.875rem;color:var(--dim)}\n"
    "th,td{padding:.375rem .5rem;border-bottom:1px solid var(--line)}\n"
    "tbody tr:hover{background:var(--row)}\n"
    "td:first-child{overflow-wrap:anywhere}\n"
    "td+td,th+th{white-space:nowrap;color:var(--dim);font-variant-numeric:tabular-nums}\n"
    "td:nth-child(2),th:nth-child(2){text-align:right}\n"
    "a{color:var(--link);text-decoration:none}\na:hover,a:focus{text-decoration:underline}\n"
    "p{color:var(--dim)}\n"
    "@media(max-width:30rem){td:nth-child(3),th:nth-child(3){display:none}}\n"
    "</style>\n<title>";

/* "12.3 MB", in powers of 1000. */
static void put_size(struct buffer *out, uint64_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    size_t unit = 0;
    uint64_t tenths = 0;
    for (; size >= 1000; unit++) {
        tenths = size % 1000 / 100;
        size /= 1000;
    }
    buffer_u64(out, size);
    if (unit > 0 && size < 100) {
        buffer_byte(out, '.');
        buffer_u64(out, tenths);
    }
    buffer_byte(out, ' ');
    buffer_text(out, units[unit]);
}

static void put_time(struct buffer *out, int64_t seconds, const char *format)
{
    char text[TIME_BYTES];
    time_t time = (time_t)seconds;
    struct tm tm;
    if (gmtime_r(&time, &tm) && strftime(text, sizeof text, format, &tm) > 0) buffer_text(out, text);
}

static void put_row(struct buffer *out, const struct entry *entry)
{
    slice name = slice_text(entry->name);
    const char *slash = entry->folder ? "/" : "";
    buffer_text(out, "<tr><td><a href=\"./");
    url_encode_component(out, name);
    buffer_text(out, slash);
    buffer_text(out, "\">");
    buffer_html(out, name);
    buffer_text(out, slash);
    buffer_text(out, "</a></td><td>");
    if (!entry->folder) put_size(out, entry->size);
    buffer_text(out, "</td><td>");
    put_time(out, entry->modified_s, "%Y-%m-%d %H:%M");
    buffer_text(out, "</td></tr>\n");
}

static void put_page(struct buffer *out, slice title, bool root, const struct entries *entries)
{
    buffer_text(out, page_start);
    buffer_html(out, title);
    buffer_text(out, "</title>\n</head>\n<body>\n<h1>");
    buffer_html(out, title);
    buffer_text(out,
                "</h1>\n<table>\n<thead><tr><th>Name</th><th>Size</th><th>Changed (UTC)</th></tr></thead>\n"
                "<tbody>\n");
    if (!root) buffer_text(out, "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    for (size_t i = 0; i < entries->count; i++)
        put_row(out, &entries->at[i]);
    buffer_text(out, "</tbody>\n</table>\n");
    if (entries->cut) buffer_text(out, "<p>There are more files than are shown here.</p>\n");
    if (entries->count == 0) buffer_text(out, "<p>This folder is empty.</p>\n");
    buffer_text(out, "</body>\n</html>\n");
}

/* --- JSON --- */

static json_t *entry_json(const struct entry *entry)
{
    char time[TIME_BYTES] = "";
    struct buffer text;
    buffer_init(&text, &allocator_libc, TIME_BYTES);
    put_time(&text, entry->modified_s, "%Y-%m-%dT%H:%M:%SZ");
    if (text.len < sizeof time && text.len > 0) memcpy(time, text.ptr, text.len);
    buffer_reset(&text);
    if (entry->folder)
        return json_pack("{s:s, s:s, s:s}", "name", entry->name, "kind", "folder", "modified", time);
    return json_pack("{s:s, s:s, s:I, s:s}", "name", entry->name, "kind", "file", "size",
                     (json_int_t)entry->size, "modified", time);
}

static json_t *list_json(slice title, const struct entries *entries)
{
    json_t *array = json_array();
    for (size_t i = 0; i < entries->count && array; i++) {
        if (json_array_append_new(array, entry_json(&entries->at[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return json_pack("{s:s%, s:o, s:b}", "path", (const char *)title.ptr, title.len, "entries", array, "cut",
                     entries->cut);
}

/* --- answering --- */

static void respond_page(struct wr_request *r, slice title, bool root, const struct entries *entries)
{
    struct buffer page;
    buffer_init(&page, &allocator_libc, LIST_BYTES_MAX);
    put_page(&page, title, root, entries);
    if (page.failed) {
        wr_respond_error(r, 503, "out of memory; try again later");
    } else {
        wr_response_header(r, "Content-Security-Policy",
                           "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
        respond_raw(r, 200, SLICE("text/html; charset=utf-8"), buffer_slice(&page), false);
    }
    buffer_reset(&page);
}

void files_list(struct wr_request *r, const struct file_mount *mount, slice name)
{
    struct entries entries = {0};
    char folder[FOLDER_PATH_BYTES_MAX];
    int n = snprintf(folder, sizeof folder, "%.*s", (int)name.len - 1, (const char *)name.ptr + 1);
    bool shown = n >= 0 && (size_t)n < sizeof folder && utf8_valid(slice_text(r->path));
    int rc = !shown ? ERR_NOT_FOUND : read_entries(mount, folder, &entries);
    if (rc == ERR_NOT_FOUND) {
        respond_missing(r);
    } else if (rc == ERR_DENIED) {
        wr_respond_error(r, 403, "the server may not read this");
    } else if (rc < 0) {
        wr_respond_error(r, 503, "no room; try again later");
    } else {
        slice title = slice_text(r->path);
        wr_response_header(r, "Cache-Control", "no-cache");
        wr_response_header(r, "Vary", "Accept");
        if (wr_request_wants_json(r))
            wr_respond_json(r, 200, list_json(title, &entries));
        else
            respond_page(r, title, name.len == 1, &entries);
    }
    entries_free(&entries);
}
