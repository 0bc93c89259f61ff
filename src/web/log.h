/* log.h - lines on their way to a file, written by a thread of their own.
 *
 * Each worker puts its access lines into a ring that only it fills and only the writer empties; lines of
 * trouble, which are rare and come from any thread, go through one ring under a lock. A full ring drops the
 * line and counts it; the count is written when there is room again. */
#ifndef WEB_LOG_H
#define WEB_LOG_H

#include <uv.h>

#include "base/buffer.h"
#include "base/err.h"
#include "weaprous/log.h"

enum { LOG_RING_BYTES = 1024 * 1024, LOG_LINE_MAX = 16 * 1024, LOG_GATHER_MS = 20 };

struct log_ring {
    size_t put;       /* ever, by the producer; atomic */
    size_t taken;     /* ever, by the writer; atomic */
    uint64_t dropped; /* lines; atomic */
    uint64_t told;    /* of them, by the writer */
    uint8_t bytes[LOG_RING_BYTES];
};

struct log_file {
    char *path; /* NULL: none */
    int fd;
    enum wr_log_format format;
    uint64_t told_ns; /* by the writer: when it was said that the file takes nothing; 0: never */
};

/* An access log, as long as some worker has it (struct settings). When the last one has let it go, the writer
 * writes what waits and closes it. */
struct log_sink {
    struct log_sink *next; /* in log->sinks */
    struct log *log;
    struct log_file file;
    unsigned owners; /* atomic */
    unsigned ring_count;
    struct log_ring *rings[]; /* of each worker */
};

struct log {
    struct log_sink *sinks; /* guarded by `lock`; only the writer takes some out */
    uint64_t dropped;       /* lines, of those that were closed; guarded by `lock` */
    struct log_file trouble;
    struct log_ring *troubles; /* NULL: none */
    uv_mutex_t troubles_lock;
    struct wr_app *app;
    uv_thread_t writer;
    bool running;
    bool pending; /* lines wait; atomic */
    uv_mutex_t lock;
    uv_cond_t wake;
    bool stop, reopen; /* guarded by lock */
};

/* NULL without memory. */
struct log *log_new(struct wr_app *app) BASE_CHECKED;
/* Opens an access log. WR_SYSTEM with wr_app_error; WR_MEMORY. */
int log_sink_open(struct log *log, enum wr_log_format format, const char *path,
                  struct log_sink **out) BASE_CHECKED;
struct log_sink *log_sink_hold(struct log_sink *sink);
/* On any thread; NULL is allowed. */
void log_sink_release(struct log_sink *sink);
/* Puts a line, its line feed included, into a ring and sees to it that it gets written. */
void log_put(struct log *log, struct log_ring *ring, slice line);
/* Lines that were dropped, of all files. Any thread. */
uint64_t log_dropped(struct log *log);
/* A line of trouble, formatted by the settings of the file. Any thread. */
void log_trouble(struct log *log, int level, const char *text);
/* Starts the thread when there is a file; what was put before waits. */
int log_start(struct log *log);
/* Writes what waits and ends the thread. NULL is allowed. */
void log_free(struct log *log);
/* The inside of a JSON string: escaped, what is not UTF-8 replaced by U+FFFD, cut with "..." when it would
 * take more than max bytes. */
void log_json_text(struct writer *w, slice text, size_t max);
/* "2026-11-20T10:00:00.123Z" and a NUL. */
void log_time_text(int64_t seconds, unsigned milliseconds, char out[32]);

#endif
