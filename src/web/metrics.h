/* metrics.h - numbers that a worker counts alone and a scrape adds up.
 *
 * Only the owner writes, others read: a plain store that cannot tear is enough (C17 5.1.2.4: relaxed
 * atomics). */
#ifndef WEB_METRICS_H
#define WEB_METRICS_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    COUNTS_METHODS = 8, /* metrics.c names them; the last is all others */
    COUNTS_CLASSES = 5, /* 1xx to 5xx */
    COUNTS_BUCKETS = 14,
    METRICS_TEXT_BYTES_MAX =
        1024 * 1024, /* of the text; enough for some thousand metrics of the program's own */
};

struct counts {
    uint64_t connections;                                  /* accepted */
    uint64_t turned_away;                                  /* closed at once: too many of one address */
    uint64_t requests[COUNTS_METHODS + 1][COUNTS_CLASSES]; /* the last row: what was no valid request */
    uint64_t durations[COUNTS_BUCKETS + 1];
    uint64_t duration_ns;
    uint64_t received_bytes, answer_bytes;
    uint64_t sockets, sockets_closed;
    uint64_t messages_received, messages_sent;
    uint64_t handshakes, handshakes_failed; /* TLS */
};

static inline void counts_add(uint64_t *count, uint64_t n)
{
    __atomic_store_n(count, __atomic_load_n(count, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* An answer. method empty: there was no valid request. */
void counts_request(struct counts *counts, slice method, int status);
void counts_duration(struct counts *counts, uint64_t duration_ns);

struct wr_app;
/* Appends what wr_metrics answers with: the app's, the process's, the program's own. ERR_MEMORY, also when
 * the buffer may not become so long. Any thread. */
int metrics_text(const struct wr_app *app, struct buffer *out) BASE_CHECKED;

struct buffer;
/* A line, or a part of one, of the Prometheus text format; at most 511 characters. */
void metrics_put(struct buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void metrics_put_head(struct buffer *out, const char *name, const char *type, const char *help);

struct wr_metric;
void metrics_free(struct wr_metric *first);

#endif
