/* upload.c - file upload with progress: forms with files go to a folder as they arrive, whatever their size.
 *
 *     upload FOLDER [IP [PORT [MEGABYTES]]]     default 127.0.0.1 8080 1024; port 0: the system chooses
 *
 *     curl -F file=@movie.mkv localhost:8080/upload
 *
 * The page shows how much the browser has sent (XMLHttpRequest) and, to everybody who has it open, what is
 * being stored (server-sent events at /events). Nothing is gathered in memory: pieces of the body go through
 * the multipart parser into a buffer of each file; when it is full the request is paused, a thread of the
 * pool writes it to the disk, and the request resumes. So a slow disk slows the sender down, and nobody else.
 *
 * A file gets a safe name, never that of another ("a (2).txt"), and appears when it is complete: until then
 * it is
 * ".upload-..." and goes away when the sender does. What is given back is a download, never a page of this
 * server, because it was written by strangers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weaprous/weaprous.h>

enum {
    BUFFER_BYTES = 256 * 1024,
    FORM_BYTES = 64 * 1024,
    NAMES_TRIED = 1000,
    WATCHERS_MAX = 1000,
    TELL_MS = 200
};

static struct wr_app *app;
static const char *folder_path;
static int folder;
static unsigned long long bytes_max;

/* --- who watches: all open pages --- */

static struct wr_request *watchers[WATCHERS_MAX];
static size_t watcher_count;

static void forget_watcher(struct wr_request *request, void *context)
{
    (void)context;
    for (size_t i = 0; i < watcher_count; i++) {
        if (watchers[i] == request) watchers[i--] = watchers[--watcher_count];
    }
    wr_respond_end(request);
}

static void watch(struct wr_request *request, void *context)
{
    (void)context;
    if (watcher_count == WATCHERS_MAX) {
        wr_respond_error(request, 503, "too many are watching");
        return;
    }
    wr_request_on_gone(request, forget_watcher, NULL);
    if (wr_respond_events(request) < 0)
        wr_respond_end(request);
    else
        watchers[watcher_count++] = request;
}

/* Takes the reference. Who does not keep up misses some of it. */
static void tell_all(const char *event, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    for (size_t i = 0; text && i < watcher_count; i++)
        (void)wr_event_send(watchers[i], event, NULL, text);
    free(text);
    json_decref(json);
}

/* --- one form on its way --- */

struct file {
    struct file *next;
    char name[201]; /* safe; the one that it got at last */
    char temporary[64];
    int fd;
    int error;            /* errno of what went wrong */
    unsigned char *bytes; /* not written yet */
    size_t len, size;
    unsigned long long stored, told;
    bool complete; /* all of it has come */
    bool kept;     /* it has its name */
};

struct upload {
    struct wr_request *request;
    struct wr_multipart *form;
    struct file *files, *last;
    bool writing; /* a thread of the pool has the files */
    bool ended;   /* the body is complete */
    bool failed;  /* the sender has gone */
    int result;   /* of the parser */
    uint64_t told_ms;
};

static void file_free(struct file *file)
{
    if (file->fd >= 0) close(file->fd);
    if (file->temporary[0]) unlinkat(folder, file->temporary, 0);
    free(file->bytes);
    free(file);
}

static void upload_free(struct upload *upload)
{
    while (upload->files) {
        struct file *file = upload->files;
        upload->files = file->next;
        file_free(file);
    }
    wr_multipart_free(upload->form);
    free(upload);
}

static int on_part(const struct wr_part *part, void *context)
{
    static unsigned long long number;
    struct upload *upload = context;
    struct file *file = calloc(1, sizeof *file);
    if (!file) return WR_MEMORY;
    file->fd = -1;
    if (upload->last)
        upload->last->next = file;
    else
        upload->files = file;
    upload->last = file;
    if (!part->filename || !part->filename[0]) return 0; /* a field, or no file was chosen: dropped */
    wr_part_safe_name(part->filename, file->name);
    snprintf(file->temporary, sizeof file->temporary, ".upload-%ld-%llu", (long)getpid(), ++number);
    file->fd = openat(folder, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file->fd < 0) {
        file->error = errno;
        file->temporary[0] = 0;
    }
    return 0;
}

static int on_data(const void *bytes, size_t len, void *context)
{
    struct file *file = ((struct upload *)context)->last;
    if (file->fd < 0) return 0;
    if (file->len + len > file->size) {
        size_t size = file->len + len > BUFFER_BYTES ? file->len + len : BUFFER_BYTES;
        unsigned char *grown = realloc(file->bytes, size);
        if (!grown) return WR_MEMORY;
        file->bytes = grown;
        file->size = size;
    }
    memcpy(file->bytes + file->len, bytes, len);
    file->len += len;
    return 0;
}

static int on_part_end(void *context)
{
    ((struct upload *)context)->last->complete = true;
    return 0;
}

/* --- the disk, on a thread of the pool --- */

static void write_bytes(struct file *file)
{
    for (size_t at = 0; at < file->len && !file->error;) {
        ssize_t n = write(file->fd, file->bytes + at, file->len - at);
        if (n < 0 && errno != EINTR) file->error = errno;
        if (n > 0) at += (size_t)n;
    }
    file->stored += file->len;
    file->len = 0;
}

/* "a.tar.gz" becomes "a (2).tar.gz"; a long name loses letters for it. */
static void numbered_name(const char *name, int number, char out[201])
{
    size_t stem = strcspn(name, "."), rest = strlen(name + stem), room = rest < 190 ? 190 - rest : 0;
    const char *extension = name + stem;
    if (stem > room) stem = room;
    while (stem > 0 && ((unsigned char)name[stem] & 0xC0) == 0x80)
        stem--; /* not within a letter */
    snprintf(out, 201, "%.*s (%d)%s", (int)stem, name, number, extension);
}

/* Gives it the first name that is free. */
static void keep_file(struct file *file)
{
    char name[201];
    snprintf(name, sizeof name, "%s", file->name);
    for (int number = 2; number < NAMES_TRIED; number++) {
        if (linkat(folder, file->temporary, folder, name, 0) == 0) {
            memcpy(file->name, name, sizeof name);
            file->kept = true;
            return;
        }
        if (errno != EEXIST) break;
        numbered_name(file->name, number, name);
    }
    file->error = errno;
}

static void store(void *argument)
{
    const struct upload *upload = argument;
    for (struct file *file = upload->files; file; file = file->next) {
        if (file->fd < 0) continue;
        write_bytes(file);
        if (!file->complete) continue;
        if (close(file->fd) < 0 && !file->error) file->error = errno;
        file->fd = -1;
        if (!file->error) keep_file(file);
        unlinkat(folder, file->temporary, 0);
        file->temporary[0] = 0;
    }
}

/* --- and back on the loop --- */

static void tell_progress(struct upload *upload)
{
    for (struct file *file = upload->files; file; file = file->next) {
        if (!file->name[0] || (file->stored == file->told && !file->kept)) continue;
        file->told = file->stored;
        tell_all(file->kept ? "stored" : "progress",
                 json_pack("{s:s, s:I}", "name", file->name, "bytes", (json_int_t)file->stored));
        if (file->kept) file->name[0] = 0; /* told */
    }
}

static int error_of(const struct upload *upload)
{
    for (const struct file *file = upload->files; file; file = file->next) {
        if (file->error) return file->error;
    }
    return 0;
}

static void answer(struct upload *upload)
{
    struct wr_request *request = upload->request;
    int error = error_of(upload);
    json_t *names = json_array();
    for (const struct file *file = upload->files; file; file = file->next) {
        if (file->kept) json_array_append_new(names, json_string(file->name));
    }
    tell_progress(upload);
    bool broken = upload->result < 0 || !wr_multipart_complete(upload->form);
    upload_free(upload);
    if (error || broken) {
        json_decref(names);
        wr_respond_error(request,
                         error == ENOSPC ? 507
                         : error         ? 500
                                         : 400,
                         error ? strerror(error) : "the form is not complete or not well-formed");
        return;
    }
    wr_respond_json(request, 201, json_pack("{s:s, s:o}", "status", "success", "files", names));
}

static void on_stored(struct wr_worker *worker, void *argument);

static void begin_storing(struct upload *upload)
{
    upload->writing = true;
    wr_request_pause(upload->request);
    if (wr_offload(wr_request_worker(upload->request), store, on_stored, upload) == WR_OK) return;
    store(upload); /* no room for one more job: rather slow than lost */
    upload->writing = false;
    wr_request_resume(upload->request);
}

static void on_stored(struct wr_worker *worker, void *argument)
{
    struct upload *upload = argument;
    upload->writing = false;
    if (upload->failed) {
        upload_free(upload);
    } else if (upload->ended || error_of(upload)) {
        answer(upload);
    } else {
        if (wr_worker_now(worker) - upload->told_ms >= TELL_MS) {
            upload->told_ms = wr_worker_now(worker);
            tell_progress(upload);
        }
        wr_request_resume(upload->request);
    }
}

static void upload_begin(struct wr_request *request, void *context)
{
    static const struct wr_multipart_handlers handlers = {
        .part = on_part, .data = on_data, .end = on_part_end, .parts_max = 100};
    (void)context;
    if (!wr_request_same_origin(request)) {
        wr_respond_error(request, 403, "this page may not use this server");
        return;
    }
    struct upload *upload = calloc(1, sizeof *upload);
    if (upload) upload->form = wr_multipart_new(request, &handlers, upload);
    if (!upload || !upload->form) {
        free(upload);
        wr_respond_error(request, 415, "a form with files (multipart/form-data) is wanted");
        return;
    }
    upload->request = request;
    wr_request_set_user(request, upload);
}

static void upload_data(struct wr_request *request, const void *bytes, size_t len, void *context)
{
    (void)context;
    struct upload *upload = wr_request_user(request);
    if (upload->result == 0) upload->result = wr_multipart_feed(upload->form, bytes, len);
    size_t waiting = 0;
    for (const struct file *file = upload->files; file; file = file->next)
        waiting += file->len;
    if (waiting >= BUFFER_BYTES) begin_storing(upload);
}

static void upload_end(struct wr_request *request, void *context)
{
    (void)context;
    struct upload *upload = wr_request_user(request);
    upload->ended = true;
    upload->writing = true;
    if (wr_offload(wr_request_worker(request), store, on_stored, upload) == WR_OK) return;
    store(upload);
    on_stored(wr_request_worker(request), upload);
}

static void upload_failed(struct wr_request *request, void *context)
{
    (void)context;
    struct upload *upload = wr_request_user(request);
    upload->failed = true;
    if (!upload->writing) upload_free(upload); /* else the job does, when it is done */
}

/* --- what is there --- */

static void list_files(struct wr_request *request, void *context)
{
    (void)context;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    json_t *list = json_array();
    for (const struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat about;
        if (entry->d_name[0] == '.' || fstatat(folder, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        json_t *one = json_pack("{s:s, s:I}", "name", entry->d_name, "bytes", (json_int_t)about.st_size);
        if (S_ISREG(about.st_mode) && one) json_array_append(list, one);
        json_decref(one);
    }
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    wr_respond_json(request, 200, list);
}

static void send_file(struct wr_request *request, void *context)
{
    (void)context;
    char path[4096], safe[201];
    const char *name = wr_request_param(request, "name");
    wr_part_safe_name(name, safe);
    int n = snprintf(path, sizeof path, "%s/%s", folder_path, name);
    if (strcmp(safe, name) != 0 || n >= (int)sizeof path)
        wr_respond_error(request, 404, NULL);
    else
        wr_respond_file(request, path, "application/octet-stream", name);
}

/* --- the page --- */

static const char page[] =
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
    "<title>Upload</title><link rel=icon href=data:,><style>\n"
    ":root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 22%,transparent);--accent:#2563eb}\n"
    "@media(prefers-color-scheme:dark){:root{--accent:#7aa2ff}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:8vh auto;padding:0 1rem}\n"
    "h1{font-size:1.4rem;font-weight:600}\n"
    "label{display:block;padding:2.5rem 1rem;border:2px dashed "
    "var(--line);border-radius:12px;text-align:center;"
    "cursor:pointer;transition:border-color .15s,background .15s}\n"
    "label:hover,label:focus-within,label.over{border-color:var(--accent);"
    "background:color-mix(in srgb,var(--accent) 8%,transparent)}\n"
    "label b{color:var(--accent);font-weight:600}input{position:absolute;opacity:0;width:1px;height:1px}\n"
    "ul{list-style:none;padding:0;margin:1.5rem 0}\n"
    "li{display:grid;grid-template-columns:1fr auto;gap:.2rem 1rem;padding:.6rem 0;border-top:1px solid "
    "var(--line)}\n"
    "li a{color:inherit;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}\n"
    "li span{opacity:.7;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "progress{grid-column:1/-1;width:100%;height:6px;accent-color:var(--accent)}\n"
    ".bad span{color:#d33;opacity:1}\n"
    "</style><h1>Upload</h1><form><label><input type=file multiple aria-label=Files><b>Choose files</b> or "
    "drop them "
    "here</label></form><ul id=sending aria-live=polite></ul><ul id=files></ul><script type=module>\n"
    "const $ = id => document.getElementById(id), zone = document.querySelector('label')\n"
    "const size = n => { let u = 0; while (n >= 1000 && u < 4) { n /= 1000; u++ }\n"
    "  return (u ? n.toFixed(1) : n) + ' ' + ['B', 'kB', 'MB', 'GB', 'TB'][u] }\n"
    "function row(list, name, text, href) {\n"
    "  const li = document.createElement('li'), a = document.createElement('a'), span = "
    "document.createElement('span')\n"
    "  a.textContent = name; if (href) a.href = href; span.textContent = text\n"
    "  li.append(a, span); list.prepend(li); return { li, span } }\n"
    "async function refresh() {\n"
    "  const files = await (await fetch('/files')).json()\n"
    "  $('files').replaceChildren()\n"
    "  for (const f of files.sort((a, b) => b.name.localeCompare(a.name)))\n"
    "    row($('files'), f.name, size(f.bytes), '/files/' + encodeURIComponent(f.name)) }\n"
    "const mine = new Set(), others = new Map()\n"
    "function send(file) {\n"
    "  mine.add(file.name)\n"
    "  const { li, span } = row($('sending'), file.name, 'waiting'), bar = "
    "document.createElement('progress')\n"
    "  bar.max = file.size || 1; bar.value = 0; li.append(bar)\n"
    "  const form = new FormData(), request = new XMLHttpRequest()\n"
    "  form.append('file', file); request.open('POST', '/upload')\n"
    "  request.upload.onprogress = e => { bar.max = e.total; bar.value = e.loaded\n"
    "    span.textContent = size(e.loaded) + ' of ' + size(e.total) }\n"
    "  const failed = text => { li.className = 'bad'; span.textContent = text; bar.remove() }\n"
    "  request.onerror = () => failed('the connection was lost')\n"
    "  request.onload = () => { if (request.status == 201) return li.remove()\n"
    "    try { failed(JSON.parse(request.response).message) } catch { failed('error ' + request.status) } }\n"
    "  request.send(form) }\n"
    "zone.querySelector('input').onchange = e => { for (const f of e.target.files) send(f); e.target.value = "
    "'' }\n"
    "for (const [event, over] of [['dragover', 1], ['dragleave', 0], ['drop', 0]])\n"
    "  addEventListener(event, e => { e.preventDefault(); zone.classList.toggle('over', over)\n"
    "    if (event == 'drop') for (const f of e.dataTransfer.files) send(f) })\n"
    "const events = new EventSource('/events')\n"
    "events.addEventListener('progress', e => { const f = JSON.parse(e.data)\n"
    "  if (mine.has(f.name)) return\n"
    "  if (!others.has(f.name)) others.set(f.name, row($('files'), f.name, ''))\n"
    "  others.get(f.name).span.textContent = size(f.bytes) + ' so far' })\n"
    "events.addEventListener('stored', () => { others.clear(); refresh() })\n"
    "events.onopen = refresh\n"
    "</script>";

static void show_page(struct wr_request *request, void *context)
{
    (void)context;
    wr_response_header(
        request, "Content-Security-Policy",
        "default-src 'self'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    wr_respond_bytes(request, 200, "text/html; charset=utf-8", page, sizeof page - 1);
}

/* --- */

static bool set_up(void)
{
    const struct wr_body_handlers upload = {.begin = upload_begin,
                                            .data = upload_data,
                                            .end = upload_end,
                                            .failed = upload_failed,
                                            .body_bytes_max = bytes_max + FORM_BYTES};
    return wr_security_headers(app, NULL) == 0 && wr_route(app, "GET", "/", show_page, NULL) == 0 &&
           wr_route(app, "GET", "/events", watch, NULL) == 0 &&
           wr_route(app, "GET", "/files", list_files, NULL) == 0 &&
           wr_route(app, "GET", "/files/:name", send_file, NULL) == 0 &&
           wr_route_body(wr_root(app), "POST", "/upload", &upload, NULL) == 0;
}

static void on_signal(int number)
{
    (void)number;
    wr_stop(app);
}

int main(int argc, char **argv)
{
    const char *ip = argc > 2 ? argv[2] : "127.0.0.1";
    unsigned long port = argc > 3 ? strtoul(argv[3], NULL, 10) : 8080;
    bytes_max = (argc > 4 ? strtoull(argv[4], NULL, 10) : 1024) * 1000000;
    if (argc < 2 || port > 65535 || bytes_max == 0) {
        fputs("usage: upload FOLDER [IP [PORT [MEGABYTES]]]\n", stderr);
        return 2;
    }
    folder_path = argv[1];
    folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        fprintf(stderr, "%s: %s\n", folder_path, strerror(errno));
        return 1;
    }
    app = wr_app_new(NULL);
    if (!app || !set_up() || wr_listen(app, ip, (uint16_t)port, NULL) < 0) {
        fprintf(stderr, "%s\n", app && wr_app_error(app)[0] ? wr_app_error(app) : "cannot start");
        wr_app_free(app);
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("http://%s:%u/\n", ip, wr_port(app));
    fflush(stdout);
    wr_run(app);
    wr_app_free(app);
    close(folder);
    return 0;
}
