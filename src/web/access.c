/* access.c - what is written down and counted about an answer. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "web/access.h"
#include "web/connection.h"
#include "web/log.h"
#include "web/metrics.h"

enum { TARGET_MAX = 4096, FIELD_MAX = 2048, AGENT_MAX = 1024 };

/* --- escaping --- */

static void put_hex(struct writer *w, const char *prefix, unsigned value)
{
    static const char digits[] = "0123456789abcdef";
    writer_put(w, slice_text(prefix));
    writer_byte(w, (uint8_t)digits[value >> 4 & 15]);
    writer_byte(w, (uint8_t)digits[value & 15]);
}

void log_json_text(struct writer *w, slice text, size_t max)
{
    size_t end = w->len + max;
    while (text.len > 0) {
        slice rest = text;
        uint32_t point;
        if (w->len + 12 > end) {
            writer_put(w, SLICE("..."));
            return;
        }
        if (utf8_next(&rest, &point) < 0) {
            writer_put(w, SLICE("\\ufffd"));
            rest = slice_sub(text, 1, text.len);
        } else if (point == '"' || point == '\\') {
            writer_byte(w, '\\');
            writer_byte(w, (uint8_t)point);
        } else if (point < ' ' || point == 0x7F) {
            put_hex(w, "\\u00", point);
        } else {
            writer_put(w, slice_sub(text, 0, text.len - rest.len));
        }
        text = rest;
    }
}

/* As nginx does: what could end the field or move a terminal's cursor becomes \xHH. */
static void put_plain(struct writer *w, slice text, size_t max)
{
    size_t end = w->len + max;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (w->len + 8 > end) {
            writer_put(w, SLICE("..."));
            return;
        }
        if (c < ' ' || c >= 0x7F || c == '"' || c == '\\')
            put_hex(w, "\\x", c);
        else
            writer_byte(w, c);
    }
}

/* --- lines --- */

/* One answer, whether there was a valid request or not. */
struct answer {
    const char *address;
    slice method, target; /* empty: no valid request */
    unsigned minor;
    int status;
    uint64_t bytes;
    uint64_t duration_ns;
    slice host, referer, agent, scheme;
    const struct access_upstream *upstream; /* NULL: none */
};

/* "10/Oct/2000:13:55:36 -0700", made once a second. */
static const char *combined_time(struct wr_worker *worker, int64_t seconds)
{
    if (worker->log_second != seconds) {
        struct tm t;
        time_t time = (time_t)seconds;
        localtime_r(&time, &t);
        strftime(worker->log_time, sizeof worker->log_time, "%d/%b/%Y:%H:%M:%S %z", &t);
        worker->log_second = seconds;
    }
    return worker->log_time;
}

static void put_or_dash(struct writer *w, slice text, size_t max)
{
    if (text.len == 0)
        writer_byte(w, '-');
    else
        put_plain(w, text, max);
}

/* Milliseconds; `none` for what was not reached. */
static void put_ms(struct writer *w, const char *before, uint64_t ns, const char *none)
{
    char text[48];
    if (ns > 0)
        snprintf(text, sizeof text, "%s%.3f", before, (double)ns / 1e6);
    else
        snprintf(text, sizeof text, "%s%s", before, none);
    writer_put(w, slice_text(text));
}

static void put_upstream(struct writer *w, const struct access_upstream *u)
{
    writer_put(w, SLICE(" \""));
    put_or_dash(w, u->name, AGENT_MAX);
    writer_put(w, SLICE("\" \""));
    put_ms(w, "", u->connect_ns, "-");
    put_ms(w, "/", u->first_ns, "-");
    put_ms(w, "/", u->total_ns, "-");
    writer_put(w, SLICE("\" \""));
    writer_u64(w, u->tries);
    writer_put(w, SLICE("\" \""));
    put_or_dash(w, u->request_id, AGENT_MAX);
    writer_byte(w, '"');
}

static void put_combined(struct writer *w, struct wr_worker *worker, const struct answer *a, int64_t seconds)
{
    writer_put(w, slice_text(a->address));
    writer_put(w, SLICE(" - - ["));
    writer_put(w, slice_text(combined_time(worker, seconds)));
    writer_put(w, SLICE("] \""));
    if (a->method.len > 0) {
        put_plain(w, a->method, AGENT_MAX);
        writer_byte(w, ' ');
        put_plain(w, a->target, TARGET_MAX);
        writer_put(w, a->minor ? SLICE(" HTTP/1.1") : SLICE(" HTTP/1.0"));
    } else {
        writer_byte(w, '-');
    }
    writer_put(w, SLICE("\" "));
    writer_u64(w, (uint64_t)a->status);
    writer_byte(w, ' ');
    writer_u64(w, a->bytes);
    writer_put(w, SLICE(" \""));
    put_or_dash(w, a->referer, FIELD_MAX);
    writer_put(w, SLICE("\" \""));
    put_or_dash(w, a->agent, AGENT_MAX);
    writer_byte(w, '"');
    if (a->upstream) put_upstream(w, a->upstream);
    writer_byte(w, '\n');
}

static void put_member(struct writer *w, const char *name, slice text, size_t max)
{
    if (text.len == 0) return;
    writer_put(w, SLICE(",\""));
    writer_put(w, slice_text(name));
    writer_put(w, SLICE("\":\""));
    log_json_text(w, text, max);
    writer_byte(w, '"');
}

static void put_number(struct writer *w, const char *name, uint64_t value)
{
    writer_put(w, SLICE(",\""));
    writer_put(w, slice_text(name));
    writer_put(w, SLICE("\":"));
    writer_u64(w, value);
}

static void put_upstream_json(struct writer *w, const struct access_upstream *u)
{
    put_member(w, "upstream", u->name, AGENT_MAX);
    if (u->connect_ns) put_ms(w, ",\"upstream_connect_ms\":", u->connect_ns, "");
    if (u->first_ns) put_ms(w, ",\"upstream_first_ms\":", u->first_ns, "");
    if (u->total_ns) put_ms(w, ",\"upstream_ms\":", u->total_ns, "");
    put_number(w, "tries", u->tries);
    put_member(w, "request_id", u->request_id, AGENT_MAX);
}

static void put_json(struct writer *w, const struct answer *a, const struct timespec *now)
{
    char text[40];
    log_time_text(now->tv_sec, (unsigned)(now->tv_nsec / 1000000), text);
    writer_put(w, SLICE("{\"time\":\""));
    writer_put(w, slice_text(text));
    writer_byte(w, '"');
    put_member(w, "remote", slice_text(a->address), AGENT_MAX);
    put_member(w, "scheme", a->scheme, AGENT_MAX);
    put_member(w, "host", a->host, AGENT_MAX);
    put_member(w, "method", a->method, AGENT_MAX);
    put_member(w, "target", a->target, TARGET_MAX);
    if (a->method.len > 0) put_member(w, "version", a->minor ? SLICE("1.1") : SLICE("1.0"), AGENT_MAX);
    put_number(w, "status", (uint64_t)a->status);
    put_number(w, "bytes", a->bytes);
    snprintf(text, sizeof text, ",\"duration_ms\":%.3f", (double)a->duration_ns / 1e6);
    writer_put(w, slice_text(text));
    put_member(w, "referer", a->referer, FIELD_MAX);
    put_member(w, "agent", a->agent, AGENT_MAX);
    if (a->upstream) put_upstream_json(w, a->upstream);
    writer_put(w, SLICE("}\n"));
}

static void write_line(struct wr_worker *worker, const struct answer *a)
{
    const struct log_sink *sink = worker->settings->access;
    uint8_t line[LOG_LINE_MAX];
    struct writer w = writer_of(line, sizeof line);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (sink->file.format == WR_LOG_JSON)
        put_json(&w, a, &now);
    else
        put_combined(&w, worker, a, now.tv_sec);
    /* It never fails: each part has its limit. */
    if (!w.failed) log_put(sink->log, sink->rings[worker->index], writer_slice(&w));
}

/* --- what is told --- */

void access_answered(struct wr_request *r)
{
    struct wr_worker *worker = r->worker;
    struct counts *counts = &worker->counts;
    slice method = request_method(r);
    uint64_t duration_ns = r->began_ns ? uv_hrtime() - r->began_ns : 0;
    counts_request(counts, method, r->status);
    counts_add(&counts->answer_bytes, r->answer_bytes);
    if (r->began_ns) counts_duration(counts, duration_ns);
    if (!worker->settings->access) return;
    const struct http_head *head = &r->parser.head;
    struct answer answer = {.address = wr_request_address(r),
                            .method = method,
                            .target = request_target(r),
                            .minor = head->minor,
                            .status = r->status,
                            .bytes = r->answer_bytes,
                            .duration_ns = duration_ns,
                            .scheme = slice_text(wr_request_scheme(r)),
                            .host = slice_text(wr_request_host(r)),
                            .referer = slice_text(wr_request_header(r, "Referer")),
                            .agent = slice_text(wr_request_header(r, "User-Agent")),
                            .upstream = r->upstream};
    write_line(worker, &answer);
}

void access_refused(struct connection *conn, int status, uint64_t bytes)
{
    struct wr_worker *worker = conn->worker;
    counts_request(&worker->counts, SLICE_EMPTY, status);
    counts_add(&worker->counts.answer_bytes, bytes);
    if (!worker->settings->access) return;
    struct answer answer = {
        .address = worker_address_text(worker, conn->address), .status = status, .bytes = bytes};
    write_line(worker, &answer);
}
