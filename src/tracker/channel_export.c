/* GET /export/<channel>.json and .txt: all of an open room that is shown, oldest first, for its members. Page
 * by page from the reader, as fast as the client takes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/hex.h"
#include "store/messages_sql.h"
#include "tracker/channels.h"

struct export
{
    struct tracker *tracker;
    struct wr_request *request;
    int64_t account;
    bool admin, text, begun, any, gone;
    uint8_t channel[ID_BYTES], author[ID_BYTES];
    int64_t place_ms, seq; /* after this */
    char name[NODE_NAME_BYTES_MAX + 1];
};

static void next_page(struct export *e);

static void finish(struct export *e)
{
    if (e->begun && !e->gone && !e->text)
        (void)wr_respond_write(e->request, e->any ? "\n]}\n" : "]}\n", e->any ? 4 : 3);
    if (e->begun) wr_respond_end(e->request);
    free(e);
}

static void refuse(struct export *e, int err)
{
    if (e->begun)
        wr_respond_abort(e->request);
    else if (err == ERR_NOT_FOUND)
        wr_respond_error(e->request, 404, "There is no such channel.");
    else if (err == ERR_DENIED)
        wr_respond_error(e->request, 403, "You are not in this channel.");
    else if (err == ERR_WRONG_STATE)
        wr_respond_error(e->request, 403, "Only its members' devices can read this channel.");
    else
        accounts_failed(e->tracker->accounts, e->request, err);
    free(e);
}

static void begin(struct export *e)
{
    char disposition[128], head[512];
    char id[ID_TEXT_BYTES];
    hex_encode(slice_of(e->channel, ID_BYTES), id);
    snprintf(disposition, sizeof disposition, "attachment; filename=\"channel-%.8s.%s\"", id,
             e->text ? "txt" : "json");
    wr_response_header(e->request, "Content-Disposition", disposition);
    wr_response_header(e->request, "Cache-Control", "no-store");
    e->gone = wr_respond_begin(e->request, 200, e->text ? "text/plain; charset=utf-8" : "application/json",
                               -1) != 0;
    e->begun = true;
    json_t *name = json_string(e->name);
    char *quoted = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    int len = e->text ? snprintf(head, sizeof head, "#%s\n\n", e->name)
                      : snprintf(head, sizeof head, "{\"id\":\"%s\",\"name\":%s,\"messages\":[", id,
                                 quoted ? quoted : "\"\"");
    json_decref(name);
    free(quoted);
    if (!e->gone && wr_respond_write(e->request, head, (size_t)len) < 0) e->gone = true;
}

/* A line that somebody wrote does not begin like one of ours: else a message could hold forged ones. */
static void put_words(struct buffer *out, slice words)
{
    for (size_t i = 0; i < words.len; i++) {
        uint8_t c = words.ptr[i];
        if (c == '\n')
            buffer_put(out, SLICE("\n    "));
        else
            buffer_put(out, c < 0x20 || c == 0x7f ? SLICE(" ") : slice_of(&words.ptr[i], 1));
    }
}

static void put_text(struct buffer *out, const struct store_value *v, json_t *message)
{
    char when[40];
    time_t at = (time_t)(v[MESSAGE_TIME_MS].number / 1000);
    struct tm parts;
    gmtime_r(&at, &parts);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%SZ ", &parts);
    buffer_put(out, slice_text(when));
    const json_t *decision = json_object_get(message, "decision"), *files = json_object_get(message, "files");
    if (decision) {
        const char *parts_of[] = {"by", "act", "account", "text"};
        buffer_put(out, SLICE("*"));
        for (size_t i = 0; i < 4; i++) {
            const char *part = json_string_value(json_object_get(decision, parts_of[i]));
            if (!part || !*part) continue;
            buffer_put(out, SLICE(" "));
            put_words(out, slice_text(part));
        }
    } else {
        buffer_put(out, v[MESSAGE_ACCOUNT].bytes);
        buffer_put(out, SLICE(": "));
        size_t i;
        json_t *file;
        if (files) {
            json_array_foreach(files, i, file)
            {
                buffer_put(out, SLICE("[file "));
                put_words(out, slice_text(json_string_value(json_object_get(file, "path"))));
                buffer_put(out, SLICE("] "));
            }
        } else {
            put_words(out, v[MESSAGE_TEXT].bytes);
        }
    }
    buffer_put(out, SLICE("\n"));
}

static void put_json(struct export *e, struct buffer *out, json_t *message)
{
    char *line = message ? json_dumps(message, JSON_COMPACT) : NULL;
    buffer_put(out, e->any ? SLICE(",\n") : SLICE("\n"));
    buffer_put(out, line ? slice_text(line) : SLICE("null"));
    free(line);
}

static void drained(struct wr_request *request, void *context)
{
    (void)request;
    next_page(context);
}

static void page_read(void *context, int result, const struct store_rows *rows)
{
    struct export *e = context;
    struct buffer out;
    if (result) {
        refuse(e, result);
        return;
    }
    if (!e->begun) begin(e);
    buffer_init(&out, &allocator_libc, 2 * STORE_ANSWER_BYTES_MAX);
    for (size_t i = 0; i < rows->count && !e->gone; i++) {
        const struct store_value *v = store_at(rows, i, 0);
        json_t *message = message_json(v);
        if (e->text)
            put_text(&out, v, message);
        else
            put_json(e, &out, message);
        json_decref(message);
        e->any = true;
    }
    int64_t waiting = 0;
    if (out.len && !e->gone)
        waiting = out.failed ? WR_MEMORY : wr_respond_write(e->request, out.ptr, out.len);
    buffer_reset(&out);
    e->gone = e->gone || waiting < 0 || e->tracker->stopping;
    if (e->gone || rows->count < EXPORT_PAGE) {
        finish(e);
        return;
    }
    const struct store_value *last = store_at(rows, rows->count - 1, 0);
    e->place_ms = last[MESSAGE_PLACE_MS].number;
    e->seq = last[MESSAGE_SEQ].number;
    memcpy(e->author, last[MESSAGE_AUTHOR].bytes.ptr, ID_BYTES);
    if (waiting >= WR_RESPONSE_HIGH)
        wr_response_on_drain(e->request, drained, e);
    else
        next_page(e);
}

static void next_page(struct export *e)
{
    const struct store_value values[] = {
        store_id(e->channel), store_number(e->account), store_number(e->admin),   store_number(e->place_ms),
        store_id(e->author),  store_number(e->seq),     store_number(EXPORT_PAGE)};
    int err = e->tracker->rooms->reader
                  ? store_ask(e->tracker->rooms->reader, &STORE_HISTORY_AFTER, values, 7, page_read, e)
                  : ERR_CLOSED;
    if (err) refuse(e, err);
}

static void room_found(void *context, int result, const struct store_rows *rows)
{
    struct export *e = context;
    if (!result && rows->count == 0) result = ERR_NOT_FOUND;
    if (result) {
        refuse(e, result);
        return;
    }
    slice name = store_at(rows, 0, ROOM_NAME)->bytes;
    memcpy(e->name, name.ptr, name.len <= NODE_NAME_BYTES_MAX ? name.len : 0);
    next_page(e);
}

static void session_known(void *context, struct wr_request *request, int result,
                          const struct session *session)
{
    struct export *e = context;
    if (result == ERR_NOT_FOUND) {
        wr_respond_error(request, 401, "You are not logged in.");
        free(e);
        return;
    }
    if (result) {
        refuse(e, result);
        return;
    }
    e->account = session->account;
    e->admin = session->role >= ROLE_ADMIN;
    const struct store_value values[] = {store_id(e->channel), store_number(e->account),
                                         store_number(e->admin)};
    int err = store_ask(e->tracker->rooms->reader, &STORE_ROOM_GET, values, 3, room_found, e);
    if (err) refuse(e, err);
}

static void get_export(struct wr_request *request, void *context)
{
    struct tracker *tracker = context;
    slice file = slice_text(wr_request_param(request, "file"));
    bool text = slice_equal(slice_sub(file, 2 * ID_BYTES, file.len), SLICE(".txt"));
    struct export *e = calloc(1, sizeof *e);
    if (!e) {
        accounts_failed(tracker->accounts, request, ERR_MEMORY);
        return;
    }
    *e = (struct export){.tracker = tracker, .request = request, .text = text};
    bool known = text || slice_equal(slice_sub(file, 2 * ID_BYTES, file.len), SLICE(".json"));
    if (!known || hex_decode(slice_sub(file, 0, 2 * ID_BYTES), e->channel, ID_BYTES)) {
        refuse(e, ERR_NOT_FOUND);
        return;
    }
    session_check(tracker->accounts, request, session_known, e);
}

int channel_export_open(struct tracker *tracker)
{
    return wr_route(tracker->app, "GET", "/export/:file", get_export, tracker) ? ERR_MEMORY : OK;
}
