#include "judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "http/chunked.h"
#include "http/token.h"
#include "http/ws_frame.h"

enum { FIELDS_MAX = 40, NORMAL_BYTES_MAX = 1024 * 1024, BODY_BYTES_MAX = 1024 * 1024 };

struct answer {
    int status;
    slice names[FIELDS_MAX], values[FIELDS_MAX];
    size_t field_count;
    slice body;
    struct buffer joined; /* of a chunked body */
    size_t len;           /* of the whole */
};

static enum judgement wrong(struct judge *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

static enum judgement wrong(struct judge *j, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(j->why, sizeof j->why, format, arguments);
    va_end(arguments);
    return JUDGE_WRONG;
}

void judge_init(struct judge *j, const struct table_case *c)
{
    *j = (struct judge){.c = c};
    buffer_init(&j->normal, &allocator_libc, NORMAL_BYTES_MAX);
}

void judge_deinit(struct judge *j)
{
    buffer_reset(&j->normal);
}

void judge_sent(struct judge *j)
{
    j->step++;
}

/* --- reading an answer --- */

/* The lines of the head; false when one is not a field. */
static bool fields_parse(slice lines, struct answer *a)
{
    slice line;
    while (lines.len > 0 && slice_split(&lines, '\n', &line)) {
        size_t colon = slice_find(line, ':');
        if (line.len == 0 || line.ptr[line.len - 1] != '\r' || a->field_count == FIELDS_MAX) return false;
        slice name = slice_sub(line, 0, colon), value = slice_sub(line, colon + 1, line.len - colon - 2);
        if (colon == line.len || !token_valid(name) || value.len == 0 || value.ptr[0] != ' ') return false;
        if (!field_value_valid(value)) return false;
        a->names[a->field_count] = name;
        a->values[a->field_count++] = slice_trim(value);
    }
    return true;
}

/* How many there are; *out is the last. */
static size_t field_count(const struct answer *a, slice name, slice *out)
{
    size_t n = 0;
    *out = SLICE_EMPTY;
    for (size_t i = 0; i < a->field_count; i++) {
        if (!slice_equal_nocase(a->names[i], name)) continue;
        *out = a->values[i];
        n++;
    }
    return n;
}

/* True when one of the fields of this name has the element in its list. */
static bool field_has(const struct answer *a, slice name, slice element)
{
    for (size_t i = 0; i < a->field_count; i++) {
        if (slice_equal_nocase(a->names[i], name) && list_has(a->values[i], element)) return true;
    }
    return false;
}

static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static enum judgement chunked_parse(struct judge *j, slice rest, struct answer *a)
{
    struct http_chunked chunked;
    slice data, before = rest;
    int rc;
    http_chunked_init(&chunked, BODY_BYTES_MAX);
    buffer_init(&a->joined, &allocator_libc, BODY_BYTES_MAX);
    while ((rc = http_chunked_next(&chunked, &rest, &data)) == OK)
        buffer_put(&a->joined, data);
    if (rc == ERR_AGAIN) return JUDGE_MORE;
    if (rc != ERR_CLOSED) return wrong(j, "the chunked body of the answer is not valid");
    a->body = buffer_slice(&a->joined);
    a->len += before.len - rest.len;
    return JUDGE_DONE;
}

static enum judgement body_parse(struct judge *j, bool bodiless, slice rest, struct answer *a)
{
    slice length, coding;
    uint64_t len = 0;
    size_t lengths = field_count(a, SLICE("Content-Length"), &length);
    size_t codings = field_count(a, SLICE("Transfer-Encoding"), &coding);
    if (!status_has_body(a->status))
        return lengths + codings == 0 ? JUDGE_DONE : wrong(j, "a length on a %d", a->status);
    if (bodiless && lengths + codings == 0) return JUDGE_DONE; /* RFC 9110 9.3.2: it may be left out */
    if (lengths + codings != 1) return wrong(j, "%d has %zu lengths", a->status, lengths + codings);
    if (codings) return bodiless ? JUDGE_DONE : chunked_parse(j, rest, a);
    if (!slice_to_u64(length, BODY_BYTES_MAX, &len)) return wrong(j, "a bad Content-Length");
    if (bodiless) return JUDGE_DONE;
    if (rest.len < len) return JUDGE_MORE;
    a->body = slice_sub(rest, 0, (size_t)len);
    a->len += (size_t)len;
    return JUDGE_DONE;
}

static size_t head_length(slice bytes)
{
    for (size_t i = 3; i < bytes.len; i++) {
        if (memcmp(bytes.ptr + i - 3, "\r\n\r\n", 4) == 0) return i + 1;
    }
    return 0;
}

static enum judgement answer_parse(struct judge *j, slice bytes, bool bodiless, struct answer *a)
{
    uint64_t status;
    size_t head = head_length(bytes);
    *a = (struct answer){.len = head};
    buffer_init(&a->joined, &allocator_libc, 0);
    if (head == 0) return JUDGE_MORE;
    slice line = slice_sub(bytes, 0, slice_find(bytes, '\n') + 1);
    if (!slice_starts(line, SLICE("HTTP/1.1 ")) || !slice_to_u64(slice_sub(line, 9, 3), 599, &status) ||
        line.ptr[12] != ' ')
        return wrong(j, "not a status line: %.*s", (int)line.len, line.ptr);
    a->status = (int)status;
    if (!fields_parse(slice_sub(bytes, line.len, head - line.len - 2), a))
        return wrong(j, "the fields of the answer are not valid: %.*s", (int)head, bytes.ptr);
    return body_parse(j, bodiless, slice_sub(bytes, head, bytes.len), a);
}

/* --- what every answer must have --- */

static bool is_last(const struct judge *j)
{
    for (size_t i = j->step + 1; i < j->c->step_count; i++) {
        if (j->c->steps[i].kind != STEP_SEND) return false;
    }
    return true;
}

static enum judgement form_check(struct judge *j, const struct answer *a)
{
    slice value;
    bool ends = j->c->ending == END_CLOSE || j->c->ending == END_CLOSE_OR_RESET;
    bool close = field_has(a, SLICE("Connection"), SLICE("close"));
    if (a->status == 100) return a->field_count == 0 ? JUDGE_DONE : wrong(j, "fields on a 100");
    if (field_count(a, SLICE("Date"), &value) != 1 || value.len != 29) return wrong(j, "no Date");
    if (a->status == 101) return close ? wrong(j, "a 101 that closes") : JUDGE_DONE;
    if (is_last(j) && ends && !close) return wrong(j, "%d does not say that it closes", a->status);
    if (close && !(is_last(j) && ends)) return wrong(j, "%d says that it closes", a->status);
    if (a->status == 405 && field_count(a, SLICE("Allow"), &value) != 1) return wrong(j, "405 without Allow");
    if (a->status == 426 && (field_count(a, SLICE("Upgrade"), &value) != 1 ||
                             !field_has(a, SLICE("Connection"), SLICE("upgrade"))))
        return wrong(j, "426 without Upgrade and Connection: Upgrade (RFC 9110 7.8)");
    return JUDGE_DONE;
}

static bool has_within(slice text, slice part)
{
    for (size_t i = 0; i + part.len <= text.len; i++) {
        if (slice_equal(slice_sub(text, i, part.len), part)) return true;
    }
    return false;
}

static enum judgement check(struct judge *j, const struct check *check, const struct answer *a)
{
    slice name = buffer_slice(&check->name), want = buffer_slice(&check->value), got;
    size_t n = field_count(a, name, &got);
    switch (check->kind) {
    case CHECK_FIELD:
        if (n == 1 && slice_equal(got, want)) return JUDGE_DONE;
        return wrong(j, "%zu fields %.*s: '%.*s' and not '%.*s'", n, (int)name.len, name.ptr, (int)got.len,
                     got.ptr, (int)want.len, want.ptr);
    case CHECK_NO_FIELD:
        if (n == 0) return JUDGE_DONE;
        return wrong(j, "there is a field %.*s: '%.*s'", (int)name.len, name.ptr, (int)got.len, got.ptr);
    case CHECK_BODY:
        if (slice_equal(a->body, want)) return JUDGE_DONE;
        break;
    case CHECK_BODY_HAS:
        if (has_within(a->body, want)) return JUDGE_DONE;
        break;
    }
    return wrong(j, "the body is '%.*s' and not '%.*s'", (int)(a->body.len < 150 ? a->body.len : 150),
                 a->body.ptr, (int)(want.len < 150 ? want.len : 150), want.ptr);
}

static void keep_normal(struct judge *j, const struct answer *a)
{
    buffer_u64(&j->normal, (uint64_t)a->status);
    for (size_t i = 0; i < a->field_count; i++) {
        buffer_text(&j->normal, "|");
        buffer_put(&j->normal, a->names[i]);
        if (!slice_equal_nocase(a->names[i], SLICE("Date"))) buffer_put(&j->normal, a->values[i]);
    }
    buffer_text(&j->normal, "|");
    buffer_put(&j->normal, a->body);
}

static enum judgement look_answer(struct judge *j, const struct step *s, slice rest)
{
    struct answer a;
    enum judgement result = answer_parse(j, rest, s->bodiless, &a);
    if (result == JUDGE_DONE && s->optional && a.status != s->status) {
        j->step++;
    } else if (result == JUDGE_DONE) {
        result = form_check(j, &a);
        if (a.status != s->status)
            result = wrong(j, "%d came and not %d: %.*s", a.status, s->status,
                           (int)(a.body.len < 150 ? a.body.len : 150), a.body.ptr);
        for (size_t i = 0; i < s->check_count && result == JUDGE_DONE; i++)
            result = check(j, &s->checks[i], &a);
        if (!s->optional) keep_normal(j, &a);
        j->at += a.len;
        j->step++;
    }
    buffer_reset(&a.joined);
    return result;
}

static enum judgement look_frame(struct judge *j, const struct step *s, slice rest)
{
    struct ws_frame frame;
    int rc = ws_frame_parse(rest, &frame);
    if (rc == ERR_AGAIN) return JUDGE_MORE;
    if (rc < 0 || frame.masked || !frame.fin) return wrong(j, "a frame that a server may not send");
    if (rest.len - frame.head_len < frame.len) return JUDGE_MORE;
    slice payload = slice_sub(rest, frame.head_len, (size_t)frame.len);
    slice want = buffer_slice(&s->bytes);
    slice head = s->any_reason ? slice_sub(payload, 0, want.len) : payload;
    if (frame.opcode != s->opcode || !slice_equal(head, want))
        return wrong(j, "frame %d of %zu bytes '%.*s' and not %d '%.*s'", frame.opcode, payload.len,
                     (int)(payload.len < 120 ? payload.len : 120), payload.ptr, s->opcode,
                     (int)(want.len < 120 ? want.len : 120), want.ptr);
    buffer_byte(&j->normal, frame.opcode);
    buffer_put(&j->normal, payload);
    j->at += frame.head_len + (size_t)frame.len;
    j->step++;
    return JUDGE_DONE;
}

enum judgement judge_look(struct judge *j, slice all)
{
    while (j->step < j->c->step_count) {
        const struct step *s = &j->c->steps[j->step];
        slice rest = slice_sub(all, j->at, all.len);
        if (s->kind == STEP_SEND) {
            if (rest.len == 0) return JUDGE_SEND;
            return wrong(j, "too much came: '%.*s'", (int)(rest.len < 150 ? rest.len : 150), rest.ptr);
        }
        enum judgement result = s->kind == STEP_ANSWER ? look_answer(j, s, rest) : look_frame(j, s, rest);
        if (result != JUDGE_DONE) return result;
    }
    return JUDGE_DONE;
}
