/* log.c - rings, files, and the thread between them. */
#include "web/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "web/app.h"

#define TELL_EVERY_NS (60 * UINT64_C(1000000000))

/* --- rings --- */

/* False when it does not fit. */
static bool ring_put(struct log_ring *ring, slice line)
{
    size_t put = ring->put;
    size_t free_bytes = LOG_RING_BYTES - (put - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE));
    if (line.len > free_bytes) {
        __atomic_add_fetch(&ring->dropped, 1, __ATOMIC_RELAXED);
        return false;
    }
    size_t at = put % LOG_RING_BYTES, first = LOG_RING_BYTES - at;
    if (first > line.len) first = line.len;
    memcpy(ring->bytes + at, line.ptr, first);
    memcpy(ring->bytes, line.ptr + first, line.len - first);
    __atomic_store_n(&ring->put, put + line.len, __ATOMIC_RELEASE);
    return true;
}

/* The bytes that wait and lie in one piece. */
static slice ring_peek(struct log_ring *ring)
{
    size_t len = __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE) - ring->taken;
    size_t at = ring->taken % LOG_RING_BYTES;
    return slice_of(ring->bytes + at, len < LOG_RING_BYTES - at ? len : LOG_RING_BYTES - at);
}

static void wake_writer(struct log *log)
{
    /* What was put must be seen before the flag is: the writer clears the flag, then looks. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(&log->pending, __ATOMIC_RELAXED) ||
        __atomic_exchange_n(&log->pending, true, __ATOMIC_SEQ_CST))
        return;
    uv_mutex_lock(&log->lock);
    uv_cond_signal(&log->wake);
    uv_mutex_unlock(&log->lock);
}

void log_put(struct log *log, struct log_ring *ring, slice line)
{
    if (ring_put(ring, line)) wake_writer(log);
}

/* --- files --- */

static int file_open(const char *path)
{
    if (strcmp(path, "-") == 0) return dup(STDOUT_FILENO);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

/* False when the file takes nothing. */
static bool write_all(int fd, slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes = slice_sub(bytes, (size_t)n, bytes.len);
    }
    return true;
}

static void count_lost(struct log_ring *ring, slice bytes)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < bytes.len; i++)
        lines += bytes.ptr[i] == '\n';
    __atomic_add_fetch(&ring->dropped, lines, __ATOMIC_RELAXED);
}

static void tell_dropped(const struct log_file *file, struct log_ring *ring)
{
    uint64_t dropped = __atomic_load_n(&ring->dropped, __ATOMIC_RELAXED);
    if (dropped == ring->told) return;
    char line[128];
    int n =
        snprintf(line, sizeof line,
                 file->format == WR_LOG_JSON ? "{\"dropped_lines\":%llu}\n" : "# %llu lines were dropped\n",
                 (unsigned long long)(dropped - ring->told));
    if (write_all(file->fd, slice_of(line, (size_t)n))) ring->told = dropped;
}

/* A full disk, most often: said at once, then once a minute. */
static void tell_unwritable(struct log *log, struct log_file *file, int error)
{
    uint64_t now = uv_hrtime();
    if (file->told_ns && now - file->told_ns < TELL_EVERY_NS) return;
    file->told_ns = now;
    app_log(log->app, WR_LOG_ERROR, "the log file %s cannot be written: %s; lines are dropped until it can",
            file->path, strerror(error));
}

static void ring_drain(struct log *log, struct log_file *file, struct log_ring *ring)
{
    slice bytes;
    bool written = true;
    while ((bytes = ring_peek(ring)).len > 0) {
        if (!written || !write_all(file->fd, bytes)) {
            if (written) tell_unwritable(log, file, errno);
            written = false; /* one attempt each time: what waits must go, or the ring stays full */
            count_lost(ring, bytes);
        }
        __atomic_store_n(&ring->taken, ring->taken + bytes.len, __ATOMIC_RELEASE);
    }
    if (written) tell_dropped(file, ring);
}

static uint64_t sink_dropped(const struct log_sink *sink)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < sink->ring_count; i++)
        total += __atomic_load_n(&sink->rings[i]->dropped, __ATOMIC_RELAXED);
    return total;
}

static void file_close(struct log_file *file)
{
    if (file->path) close(file->fd);
    free(file->path);
}

static void sink_free(struct log_sink *sink)
{
    for (unsigned i = 0; i < sink->ring_count; i++)
        free(sink->rings[i]);
    file_close(&sink->file);
    free(sink);
}

/* Nobody puts anything into it any more. */
static void sink_close(struct log *log, struct log_sink *sink)
{
    uv_mutex_lock(&log->lock);
    struct log_sink **at = &log->sinks;
    while (*at != sink)
        at = &(*at)->next;
    *at = sink->next;
    log->dropped += sink_dropped(sink);
    uv_mutex_unlock(&log->lock);
    sink_free(sink);
}

/* New ones come in front: those behind the first stay as they are while this goes through them. */
static struct log_sink *first_sink(struct log *log)
{
    uv_mutex_lock(&log->lock);
    struct log_sink *first = log->sinks;
    uv_mutex_unlock(&log->lock);
    return first;
}

static void drain_all(struct log *log)
{
    for (struct log_sink *sink = first_sink(log), *next; sink; sink = next) {
        bool last = __atomic_load_n(&sink->owners, __ATOMIC_ACQUIRE) == 0;
        next = sink->next;
        for (unsigned i = 0; i < sink->ring_count; i++)
            ring_drain(log, &sink->file, sink->rings[i]);
        if (last) sink_close(log, sink);
    }
    if (log->trouble.path) ring_drain(log, &log->trouble, log->troubles);
}

uint64_t log_dropped(struct log *log)
{
    uv_mutex_lock(&log->lock);
    uint64_t total = log->dropped;
    for (const struct log_sink *sink = log->sinks; sink; sink = sink->next)
        total += sink_dropped(sink);
    uv_mutex_unlock(&log->lock);
    if (log->troubles) total += __atomic_load_n(&log->troubles->dropped, __ATOMIC_RELAXED);
    return total;
}

static void file_reopen(struct log_file *file)
{
    int fd = file->path ? file_open(file->path) : -1;
    if (fd < 0) return; /* better the old one than none */
    close(file->fd);
    file->fd = fd;
}

static void reopen_all(struct log *log)
{
    for (struct log_sink *sink = first_sink(log); sink; sink = sink->next)
        file_reopen(&sink->file);
    file_reopen(&log->trouble);
}

/* --- the writer --- */

static void writer(void *context)
{
    struct log *log = context;
    bool stop = false;
    while (!stop) {
        uv_mutex_lock(&log->lock);
        while (!log->stop && !log->reopen && !__atomic_load_n(&log->pending, __ATOMIC_SEQ_CST))
            uv_cond_wait(&log->wake, &log->lock);
        stop = log->stop;
        bool reopen = log->reopen;
        log->reopen = false;
        uv_mutex_unlock(&log->lock);
        __atomic_store_n(&log->pending, false, __ATOMIC_SEQ_CST);
        drain_all(log);
        if (reopen) reopen_all(log);
        if (!stop) uv_sleep(LOG_GATHER_MS); /* so that busy workers wake it at most so often */
    }
}

struct log *log_new(struct wr_app *app)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log) return NULL;
    log->app = app;
    if (uv_mutex_init(&log->lock) < 0) goto no_lock;
    if (uv_mutex_init(&log->troubles_lock) < 0) goto no_troubles_lock;
    if (uv_cond_init(&log->wake) < 0) goto no_cond;
    return log;
no_cond:
    uv_mutex_destroy(&log->troubles_lock);
no_troubles_lock:
    uv_mutex_destroy(&log->lock);
no_lock:
    free(log);
    return NULL;
}

void log_free(struct log *log)
{
    if (!log) return;
    if (log->running) {
        uv_mutex_lock(&log->lock);
        log->stop = true;
        uv_cond_signal(&log->wake);
        uv_mutex_unlock(&log->lock);
        uv_thread_join(&log->writer);
    }
    drain_all(log);
    assert(!log->sinks);
    file_close(&log->trouble);
    free(log->troubles);
    uv_cond_destroy(&log->wake);
    uv_mutex_destroy(&log->troubles_lock);
    uv_mutex_destroy(&log->lock);
    free(log);
}

/* --- setting up --- */

static int file_failed(struct wr_app *app, const char *path)
{
    snprintf(app->error, sizeof app->error, "cannot write the log file %s: %s", path, strerror(errno));
    return WR_SYSTEM;
}

static int file_set(struct wr_app *app, struct log_file *file, enum wr_log_format format, const char *path)
{
    int fd = file_open(path);
    if (fd < 0) return file_failed(app, path);
    char *copy = strdup(path);
    if (!copy) {
        close(fd);
        return WR_MEMORY;
    }
    *file = (struct log_file){.path = copy, .fd = fd, .format = format};
    return WR_OK;
}

static struct log_ring *ring_new(void)
{
    struct log_ring *ring = malloc(sizeof *ring);
    if (ring) memset(ring, 0, offsetof(struct log_ring, bytes));
    return ring;
}

static struct log_sink *sink_new(struct log *log)
{
    unsigned count = log->app->worker_count;
    struct log_sink *sink = calloc(1, sizeof *sink + count * sizeof sink->rings[0]);
    if (!sink) return NULL;
    sink->log = log;
    sink->owners = 1;
    for (; sink->ring_count < count; sink->ring_count++) {
        sink->rings[sink->ring_count] = ring_new();
        if (!sink->rings[sink->ring_count]) {
            sink_free(sink);
            return NULL;
        }
    }
    return sink;
}

int log_sink_open(struct log *log, enum wr_log_format format, const char *path, struct log_sink **out)
{
    struct log_sink *sink = sink_new(log);
    if (!sink) return WR_MEMORY;
    int rc = file_set(log->app, &sink->file, format, path);
    if (rc != WR_OK) {
        sink_free(sink);
        return rc;
    }
    uv_mutex_lock(&log->lock);
    sink->next = log->sinks;
    log->sinks = sink;
    uv_mutex_unlock(&log->lock);
    *out = sink;
    return WR_OK;
}

struct log_sink *log_sink_hold(struct log_sink *sink)
{
    __atomic_add_fetch(&sink->owners, 1, __ATOMIC_RELAXED);
    return sink;
}

void log_sink_release(struct log_sink *sink)
{
    struct log *log = sink ? sink->log : NULL;
    if (sink && __atomic_sub_fetch(&sink->owners, 1, __ATOMIC_ACQ_REL) == 0) wake_writer(log);
}

int log_start(struct log *log)
{
    if (log->running || (!log->sinks && !log->trouble.path)) return WR_OK;
    log->running = uv_thread_create(&log->writer, writer, log) == 0;
    return log->running ? WR_OK : WR_SYSTEM;
}

int wr_access_log(struct wr_app *app, enum wr_log_format format, const char *path)
{
    if (app->running) return WR_INVALID;
    struct settings *settings = app->settings;
    if (settings->access) return WR_EXISTS;
    int rc = log_sink_open(app->log, format, path, &settings->access);
    if (rc == WR_OK) settings->timed = true;
    return rc;
}

int wr_error_log(struct wr_app *app, enum wr_log_format format, const char *path)
{
    struct log *log = app->log;
    if (app->running) return WR_INVALID;
    if (log->trouble.path) return WR_EXISTS;
    if (!log->troubles && !(log->troubles = ring_new())) return WR_MEMORY;
    return file_set(app, &log->trouble, format, path);
}

void wr_log_reopen(struct wr_app *app)
{
    uv_mutex_lock(&app->log->lock);
    app->log->reopen = true;
    uv_cond_signal(&app->log->wake);
    uv_mutex_unlock(&app->log->lock);
}

/* --- trouble --- */

void log_time_text(int64_t seconds, unsigned milliseconds, char out[32])
{
    struct tm t;
    time_t time = (time_t)seconds;
    gmtime_r(&time, &t);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(out + n, 32 - n, ".%03uZ", milliseconds % 1000);
}

void log_trouble(struct log *log, int level, const char *text)
{
    static const char *const levels[] = {"info", "warning", "error"};
    struct timespec now;
    char time[32], line[4096];
    clock_gettime(CLOCK_REALTIME, &now);
    log_time_text(now.tv_sec, (unsigned)(now.tv_nsec / 1000000), time);
    const char *name = levels[level < 0 || level > 2 ? 2 : level];
    struct writer w = writer_of(line, sizeof line - 3); /* so that the end always fits */
    if (log->trouble.format == WR_LOG_JSON) {
        writer_put(&w, SLICE("{\"time\":\""));
        writer_put(&w, slice_text(time));
        writer_put(&w, SLICE("\",\"level\":\""));
        writer_put(&w, slice_text(name));
        writer_put(&w, SLICE("\",\"message\":\""));
        log_json_text(&w, slice_text(text), sizeof line / 2);
        w.cap = sizeof line;
        writer_put(&w, SLICE("\"}\n"));
    } else {
        writer_put(&w, slice_text(time));
        writer_byte(&w, ' ');
        writer_put(&w, slice_text(name));
        writer_byte(&w, ' ');
        writer_put(&w, slice_text(text));
        writer_byte(&w, '\n');
    }
    uv_mutex_lock(&log->troubles_lock);
    log_put(log, log->troubles, writer_slice(&w));
    uv_mutex_unlock(&log->troubles_lock);
}

static void told(struct wr_app *app, enum wr_log_level level, const char *format, va_list arguments)
{
    char text[512];
    vsnprintf(text, sizeof text, format, arguments);
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            *c = '?'; /* one line; nothing that moves a terminal's cursor */
    }
    if (app->config.log) app->config.log(app->config.log_context, level, text);
    if (app->log->trouble.path) log_trouble(app->log, (int)level, text);
}

void app_log(struct wr_app *app, enum wr_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    told(app, level, format, arguments);
    va_end(arguments);
}

void wr_log(struct wr_app *app, int level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    told(app, (enum wr_log_level)level, format, arguments);
    va_end(arguments);
}
