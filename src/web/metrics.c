/* metrics.c - the Prometheus text format 0.0.4. */
#include "web/metrics.h"

#include <dirent.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "web/app.h"
#include "web/log.h"

struct wr_metric {
    struct wr_metric *next;
    enum wr_metric_kind kind;
    char *name, *labels, *help;
    int64_t value; /* atomic */
};

static const char *const methods[COUNTS_METHODS + 1] = {"GET",    "HEAD",    "POST",  "PUT",    "PATCH",
                                                        "DELETE", "OPTIONS", "other", "invalid"};
/* Seconds. */
static const double buckets[COUNTS_BUCKETS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                               0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};

/* --- counting --- */

void counts_request(struct counts *counts, slice method, int status)
{
    int m = 0, class = status / 100 - 1;
    if (method.len == 0)
        m = COUNTS_METHODS;
    else
        while (m < COUNTS_METHODS - 1 && !slice_equal(method, slice_text(methods[m])))
            m++;
    if (class >= 0 && class < COUNTS_CLASSES) counts_add(&counts->requests[m][class], 1);
}

void counts_duration(struct counts *counts, uint64_t duration_ns)
{
    int i = 0;
    while (i < COUNTS_BUCKETS && (double)duration_ns > buckets[i] * 1e9)
        i++;
    counts_add(&counts->durations[i], 1);
    counts_add(&counts->duration_ns, duration_ns);
}

/* --- adding up --- */

/* The sum over all workers of the counter that lies at this offset of struct counts. */
static uint64_t sum(const struct wr_app *app, size_t offset)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < app->worker_count; i++) {
        const char *counts = (const char *)&app->workers[i]->counts;
        total += __atomic_load_n((const uint64_t *)(const void *)(counts + offset), __ATOMIC_RELAXED);
    }
    return total;
}
#define SUM(app, member) sum(app, offsetof(struct counts, member))

void metrics_put(struct buffer *out, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (n > 0) buffer_put(out, slice_of(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1));
}

void metrics_put_head(struct buffer *out, const char *name, const char *type, const char *help)
{
    metrics_put(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(struct buffer *out, const char *name, const char *type, const char *help, uint64_t value)
{
    metrics_put_head(out, name, type, help);
    metrics_put(out, "%s %llu\n", name, (unsigned long long)value);
}

static void put_requests(struct buffer *out, const struct wr_app *app)
{
    metrics_put_head(out, "weaprous_http_requests_total", "counter",
                     "Answers by method and class of status.");
    for (int m = 0; m <= COUNTS_METHODS; m++) {
        for (int c = 0; c < COUNTS_CLASSES; c++) {
            size_t offset =
                offsetof(struct counts, requests) + (size_t)(m * COUNTS_CLASSES + c) * sizeof(uint64_t);
            uint64_t n = sum(app, offset);
            if (n > 0)
                metrics_put(out, "weaprous_http_requests_total{method=\"%s\",code=\"%dxx\"} %llu\n",
                            methods[m], c + 1, (unsigned long long)n);
        }
    }
}

static void put_durations(struct buffer *out, const struct wr_app *app)
{
    const char *name = "weaprous_http_request_duration_seconds";
    uint64_t total = 0;
    metrics_put_head(out, name, "histogram", "From the first byte of a request to the last of its answer.");
    for (int i = 0; i <= COUNTS_BUCKETS; i++) {
        total += sum(app, offsetof(struct counts, durations) + (size_t)i * sizeof(uint64_t));
        if (i < COUNTS_BUCKETS)
            metrics_put(out, "%s_bucket{le=\"%g\"} %llu\n", name, buckets[i], (unsigned long long)total);
        else
            metrics_put(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)total);
    }
    metrics_put(out, "%s_sum %.6f\n%s_count %llu\n", name, (double)SUM(app, duration_ns) / 1e9, name,
                (unsigned long long)total);
}

static void put_server(struct buffer *out, const struct wr_app *app)
{
    put_one(out, "weaprous_http_connections", "gauge", "Open connections, WebSockets included.",
            wr_connections(app));
    put_one(out, "weaprous_http_connections_total", "counter", "Connections accepted.",
            SUM(app, connections));
    put_one(out, "weaprous_http_connections_turned_away_total", "counter",
            "Connections closed at once, because one address had too many.", SUM(app, turned_away));
    put_requests(out, app);
    put_durations(out, app);
    put_one(out, "weaprous_http_received_bytes_total", "counter", "Bytes received.",
            SUM(app, received_bytes));
    put_one(out, "weaprous_http_answer_bytes_total", "counter", "Bytes of the bodies of answers.",
            SUM(app, answer_bytes));
    uint64_t opened = SUM(app, sockets), closed = SUM(app, sockets_closed);
    put_one(out, "weaprous_websockets", "gauge", "Open WebSockets.", opened > closed ? opened - closed : 0);
    put_one(out, "weaprous_websockets_total", "counter", "WebSockets opened.", opened);
    metrics_put_head(out, "weaprous_websocket_messages_total", "counter", "WebSocket messages.");
    metrics_put(out, "weaprous_websocket_messages_total{direction=\"received\"} %llu\n",
                (unsigned long long)SUM(app, messages_received));
    metrics_put(out, "weaprous_websocket_messages_total{direction=\"sent\"} %llu\n",
                (unsigned long long)SUM(app, messages_sent));
    metrics_put_head(out, "weaprous_tls_handshakes_total", "counter", "TLS handshakes.");
    metrics_put(out, "weaprous_tls_handshakes_total{result=\"ok\"} %llu\n",
                (unsigned long long)SUM(app, handshakes));
    metrics_put(out, "weaprous_tls_handshakes_total{result=\"failed\"} %llu\n",
                (unsigned long long)SUM(app, handshakes_failed));
    put_one(out, "weaprous_log_lines_dropped_total", "counter", "Log lines that the disk could not follow.",
            log_dropped(app->log));
    put_one(out, "weaprous_workers", "gauge", "Event loops.", app->worker_count);
}

/* --- the process, as the usual client libraries name it --- */

static uint64_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) return 0;
    uint64_t n = 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n > 3 ? n - 3 : 0; /* ".", "..", and the folder itself */
}

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1) pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_process(struct buffer *out, const struct wr_app *app)
{
    struct rusage used;
    struct rlimit limit;
    getrusage(RUSAGE_SELF, &used);
    metrics_put_head(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.");
    metrics_put(out, "process_cpu_seconds_total %.6f\n",
                (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                    (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    put_one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    put_one(out, "process_open_fds", "gauge", "Open descriptors.", open_descriptors());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        put_one(out, "process_max_fds", "gauge", "Descriptors allowed.", limit.rlim_cur);
    put_one(out, "process_start_time_seconds", "gauge", "When it began to serve, in seconds since 1970.",
            (uint64_t)app->began_s);
}

/* --- the program's own --- */

static bool name_valid(const char *name)
{
    if (!name || !*name || (*name >= '0' && *name <= '9')) return false;
    for (const char *c = name; *c; c++) {
        bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                    *c == '_' || *c == ':';
        if (!good) return false;
    }
    return true;
}

static bool line_valid(const char *text)
{
    return !text || (strlen(text) <= 200 && !strpbrk(text, "\r\n"));
}

static char *copy_of(const char *text)
{
    return strdup(text ? text : "");
}

struct wr_metric *wr_metric(struct wr_app *app, enum wr_metric_kind kind, const char *name,
                            const char *labels, const char *help)
{
    if (app->running || !name_valid(name) || strlen(name) > 100 || !line_valid(labels) || !line_valid(help))
        return NULL;
    for (const struct wr_metric *m = app->own_metrics; m; m = m->next) {
        if (strcmp(m->name, name) == 0 && (m->kind != kind || strcmp(m->labels, labels ? labels : "") == 0))
            return NULL;
    }
    struct wr_metric *metric = calloc(1, sizeof *metric);
    if (!metric) return NULL;
    metric->kind = kind;
    metric->name = copy_of(name);
    metric->labels = copy_of(labels);
    metric->help = copy_of(help);
    if (!metric->name || !metric->labels || !metric->help) {
        metrics_free(metric);
        return NULL;
    }
    /* Those of one name stay together, as the format wants. */
    struct wr_metric **where = NULL, **m = &app->own_metrics;
    for (; *m; m = &(*m)->next) {
        if (strcmp((*m)->name, name) == 0) where = &(*m)->next;
    }
    if (!where) where = m;
    metric->next = *where;
    *where = metric;
    return metric;
}

void wr_metric_add(struct wr_metric *metric, int64_t n)
{
    __atomic_add_fetch(&metric->value, n, __ATOMIC_RELAXED);
}

void wr_metric_set(struct wr_metric *metric, int64_t value)
{
    __atomic_store_n(&metric->value, value, __ATOMIC_RELAXED);
}

void metrics_free(struct wr_metric *metric)
{
    while (metric) {
        struct wr_metric *next = metric->next;
        free(metric->name);
        free(metric->labels);
        free(metric->help);
        free(metric);
        metric = next;
    }
}

static void put_own(struct buffer *out, const struct wr_app *app)
{
    const char *last = "";
    for (const struct wr_metric *m = app->own_metrics; m; m = m->next) {
        if (strcmp(last, m->name) != 0)
            metrics_put_head(out, m->name, m->kind == WR_COUNTER ? "counter" : "gauge", m->help);
        last = m->name;
        bool labels = m->labels[0] != 0;
        metrics_put(out, "%s%s%s%s %lld\n", m->name, labels ? "{" : "", m->labels, labels ? "}" : "",
                    (long long)__atomic_load_n(&m->value, __ATOMIC_RELAXED));
    }
}

/* --- the route --- */

int metrics_text(const struct wr_app *app, struct buffer *out)
{
    put_server(out, app);
    put_process(out, app);
    put_own(out, app);
    return out->failed ? ERR_MEMORY : OK;
}

static void respond(struct wr_request *r, void *context)
{
    (void)context;
    struct buffer out;
    buffer_init(&out, &allocator_libc, METRICS_TEXT_BYTES_MAX);
    if (metrics_text(r->app, &out) < 0)
        wr_respond_error(r, 503, "the metrics take more memory than there is");
    else
        wr_respond_bytes(r, 200, "text/plain; version=0.0.4; charset=utf-8", out.ptr, out.len);
    buffer_reset(&out);
}

int wr_metrics(struct wr_app *app, const char *path)
{
    int rc = wr_route(app, "GET", path, respond, NULL);
    if (rc == WR_OK) app->settings->timed = true;
    return rc;
}
