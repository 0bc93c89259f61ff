/* log.h - what a server tells its operator: access log, error log, metrics. */
#ifndef WEAPROUS_LOG_H
#define WEAPROUS_LOG_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum wr_log_format { WR_LOG_COMBINED, WR_LOG_JSON };

/* One line for each answer, to a file ("-": standard output), written by a thread of its own: the event loops
 * only put the line into a ring (1 MiB for each worker). When the disk cannot follow lines are dropped,
 * counted, and the count is written. Combined is the format of Apache and nginx; control characters, quotes
 * and backslashes of clients are escaped. Before wr_run, else WR_INVALID. WR_SYSTEM with wr_app_error.
 * WR_MEMORY. */
WR_API int wr_access_log(struct wr_app *app, enum wr_log_format format, const char *path) WR_CHECKED;
/* The same for trouble (config.log): one line "2026-11-20T10:00:00.000Z warning text", or JSON. Without it
 * and without config.log trouble goes nowhere. */
WR_API int wr_error_log(struct wr_app *app, enum wr_log_format format, const char *path) WR_CHECKED;
/* Opens the files again under their names, after they were rotated. Any thread. */
WR_API void wr_log_reopen(struct wr_app *app);
/* A line of the program's own in the error log. Any thread. */
WR_API void wr_log(struct wr_app *app, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prometheus text (0.0.4) about connections, requests by status class and method, bytes, durations
 * (histogram), WebSockets, TLS handshakes, log drops, of all workers. Counted by each worker alone, added up
 * when asked. */
WR_API int wr_metrics(struct wr_app *app, const char *path) WR_CHECKED;
/* The program's own: a counter or gauge, which begins at 0. labels: "lang=\"en\",kind=\"x\"", without braces,
 * as Prometheus writes them; NULL or "": none. Metrics of one name with different labels are one family: same
 * kind, and the help of the first. Before wr_run. NULL without memory, when name (letters, digits, '_', ':',
 * at most 100), labels or help (at most 200 bytes, no line ends) are not valid, or when the name has another
 * kind or these labels already. Lives as long as the app. wr_metric_add and wr_metric_set: any thread. */
struct wr_metric;
enum wr_metric_kind { WR_COUNTER, WR_GAUGE };
WR_API struct wr_metric *wr_metric(struct wr_app *app, enum wr_metric_kind kind, const char *name,
                                   const char *labels, const char *help) WR_CHECKED;
WR_API void wr_metric_add(struct wr_metric *metric, int64_t n);
WR_API void wr_metric_set(struct wr_metric *metric, int64_t value);

#ifdef __cplusplus
}
#endif

#endif
