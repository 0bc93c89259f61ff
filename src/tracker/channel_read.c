/* What was said in rooms, for those who have no core: history, search, what is new, mentions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "store/messages_sql.h"
#include "tracker/channels.h"
#include "tracker/push.h"

enum { AT_TEXT = 20 + 1 + ID_TEXT_BYTES + 1 + 20, QUERY_LETTERS_MAX = 200, WORDS_MAX = 16 };

/* --- places: <place_ms>-<author>-<seq> --- */

struct place {
    uint64_t place_ms, seq;
    uint8_t author[ID_BYTES];
};

static void place_text(const struct store_value *row, char out[AT_TEXT])
{
    char author[ID_TEXT_BYTES] = "";
    if (row[MESSAGE_AUTHOR].bytes.len == ID_BYTES) hex_encode(row[MESSAGE_AUTHOR].bytes, author);
    snprintf(out, AT_TEXT, "%lld-%s-%lld", (long long)row[MESSAGE_PLACE_MS].number, author,
             (long long)row[MESSAGE_SEQ].number);
}

static bool place_parse(slice text, struct place *out)
{
    char copy[AT_TEXT], *end;
    if (text.len >= sizeof copy || memchr(text.ptr, '\0', text.len)) return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    long long place_ms = strtoll(copy, &end, 10);
    if (end == copy || *end != '-' || place_ms < 0 || strlen(end) < 2 * ID_BYTES + 3) return false;
    if (hex_decode(slice_of(end + 1, 2 * ID_BYTES), out->author, ID_BYTES)) return false;
    end += 1 + 2 * ID_BYTES;
    if (*end != '-') return false;
    const char *from = end + 1;
    long long seq = strtoll(from, &end, 10);
    if (end == from || *end || seq < 0) return false;
    out->place_ms = (uint64_t)place_ms;
    out->seq = (uint64_t)seq;
    return true;
}

/* The field as a place; false when the call is answered. *out_there: whether it is given. */
static bool call_place(struct call *call, const char *field, struct place *out, bool *out_there)
{
    slice text;
    char what[120];
    if (!call_text_maybe(call, field, AT_TEXT, &text)) return false;
    *out_there = text.len > 0;
    if (!text.len || place_parse(text, out)) return true;
    snprintf(what, sizeof what, "\"%s\" must be the \"at\" of a message.", field);
    call_refuse(call, 400, what);
    return false;
}

static void put_place(struct store_value *values, const struct place *p)
{
    values[0] = store_number((int64_t)p->place_ms);
    values[1] = store_id(p->author);
    values[2] = store_number((int64_t)p->seq);
}

/* --- one message --- */

static const char *kind_name(int64_t kind)
{
    return kind == ENTRY_TEXT ? "text" : kind == ENTRY_FILE ? "files" : "decision";
}

json_t *message_json(const struct store_value *v)
{
    char at[AT_TEXT], author[ID_TEXT_BYTES] = "", entry[ID_TEXT_BYTES] = "";
    place_text(v, at);
    if (v[MESSAGE_AUTHOR].bytes.len == ID_BYTES) hex_encode(v[MESSAGE_AUTHOR].bytes, author);
    if (v[MESSAGE_ENTRY].bytes.len == ID_BYTES) hex_encode(v[MESSAGE_ENTRY].bytes, entry);
    int64_t kind = v[MESSAGE_KIND].number;
    slice text = v[MESSAGE_TEXT].bytes;
    json_t *json = json_pack("{s:s,s:s,s:s,s:s,s:I,s:s%,s:I,s:I}", "kind", kind_name(kind), "at", at, "id",
                             entry, "author", author, "seq", (json_int_t)v[MESSAGE_SEQ].number, "account",
                             v[MESSAGE_ACCOUNT].bytes.len ? (const char *)v[MESSAGE_ACCOUNT].bytes.ptr : "",
                             v[MESSAGE_ACCOUNT].bytes.len, "time_ms", (json_int_t)v[MESSAGE_TIME_MS].number,
                             "place_ms", (json_int_t)v[MESSAGE_PLACE_MS].number);
    if (!json || v[MESSAGE_TEXT].type == STORE_NULL) return json;
    if (kind == ENTRY_TEXT)
        json_object_set_new(json, "text", json_stringn(text.len ? (const char *)text.ptr : "", text.len));
    else
        json_object_set_new(json, kind == ENTRY_FILE ? "files" : "decision",
                            json_loadb((const char *)text.ptr, text.len, 0, NULL));
    return json;
}

static void channel_of(json_t *message, const struct store_value *v)
{
    char id[ID_TEXT_BYTES];
    if (!message || v[MESSAGE_CHANNEL].bytes.len != ID_BYTES) return;
    hex_encode(v[MESSAGE_CHANNEL].bytes, id);
    json_object_set_new(message, "channel", json_string(id));
}

/* --- history --- */

static void read_refused(struct call *call, int err)
{
    if (err == ERR_DENIED)
        call_refuse(call, 403, "You are not in this channel.");
    else if (err == ERR_WRONG_STATE)
        call_refuse(call, 403, "Only its members' devices can read this channel.");
    else
        channel_failed(call, err);
}

static void answer_history(struct call *call, int result, const struct store_rows *rows)
{
    bool newest_first = !json_object_get(call->fields, "after");
    int64_t limit;
    if (result) {
        read_refused(call, result);
        return;
    }
    if (!call_number(call, "limit", 1, HISTORY_PAGE_MAX, 50, &limit)) return;
    json_t *list = json_array();
    for (size_t i = 0; list && i < rows->count; i++)
        json_array_append_new(list, message_json(store_at(rows, newest_first ? rows->count - 1 - i : i, 0)));
    call_answer(call, json_pack("{s:o,s:b}", "messages", list, "more", (int64_t)rows->count == limit));
}

void room_history(struct call *call)
{
    struct store_value values[7];
    struct place before = {.place_ms = INT64_MAX}, after = {0};
    bool has_before, has_after;
    int64_t limit;
    if (!call_place(call, "before", &before, &has_before) || !call_place(call, "after", &after, &has_after) ||
        !call_number(call, "limit", 1, HISTORY_PAGE_MAX, 50, &limit))
        return;
    if (has_before && has_after) {
        call_refuse(call, 400, "Give \"before\" or \"after\", not both.");
        return;
    }
    bool upwards = json_object_get(call->fields, "after") != NULL;
    if (!channel_begin(call, values)) return;
    put_place(values + 3, upwards ? &after : &before);
    values[6] = store_number(limit);
    channel_read(call, upwards ? &STORE_HISTORY_AFTER : &STORE_HISTORY_BEFORE, values, 7, answer_history);
}

/* --- search --- */

/* The words of the question, each in quotation marks, so that nothing in them is an operator; the last one
 * may go on. Empty when there is none. */
static slice words_of(slice query, struct writer *w)
{
    size_t words = 0;
    bool inside = false;
    while (query.len && words < WORDS_MAX) {
        slice before = query;
        uint32_t point;
        if (utf8_next(&query, &point)) break;
        bool letter = point >= 0x80 || (point >= '0' && point <= '9') || (point >= 'a' && point <= 'z') ||
                      (point >= 'A' && point <= 'Z');
        if (letter && !inside) writer_put(w, words ? SLICE(" \"") : SLICE("\""));
        if (letter) writer_put(w, slice_of(before.ptr, before.len - query.len));
        if (!letter && inside) writer_put(w, SLICE("\""));
        words += !letter && inside;
        inside = letter;
    }
    if (inside) writer_put(w, SLICE("\"*"));
    return w->failed ? SLICE_EMPTY : writer_slice(w);
}

/* The excerpt in pieces: [{"text":"..."},{"text":"...","hit":true}, ...]. */
static json_t *pieces_of(slice excerpt)
{
    json_t *list = json_array();
    bool hit = false;
    for (size_t from = 0, at = 0; list && at <= excerpt.len; at++) {
        bool mark = at < excerpt.len && (excerpt.ptr[at] == 2 || excerpt.ptr[at] == 3);
        if (!mark && at < excerpt.len) continue;
        if (at > from) {
            json_t *piece = json_pack("{s:s%}", "text", (const char *)excerpt.ptr + from, at - from);
            if (piece && hit) json_object_set_new(piece, "hit", json_true());
            json_array_append_new(list, piece);
        }
        if (mark) hit = excerpt.ptr[at] == 2;
        from = at + 1;
    }
    return list;
}

static void answer_search(struct call *call, int result, const struct store_rows *rows)
{
    int64_t limit;
    if (result) {
        read_refused(call, result);
        return;
    }
    if (!call_number(call, "limit", 1, SEARCH_PAGE_MAX, 20, &limit)) return;
    json_t *list = json_array();
    for (size_t i = 0; list && i < rows->count; i++) {
        const struct store_value *v = store_at(rows, i, 0);
        json_t *message = message_json(v);
        channel_of(message, v);
        if (message) json_object_set_new(message, "excerpt", pieces_of(v[MESSAGE_MORE].bytes));
        json_array_append_new(list, message);
    }
    json_t *answer = json_pack("{s:o,s:b}", "messages", list, "more", (int64_t)rows->count == limit);
    if (answer && rows->count)
        json_object_set_new(answer, "next",
                            json_integer((json_int_t)store_at(rows, rows->count - 1, MESSAGE_ID)->number));
    call_answer(call, answer);
}

void room_search(struct call *call)
{
    slice query;
    int64_t before, limit;
    uint8_t room[8 * QUERY_LETTERS_MAX], channel[ID_BYTES];
    struct writer w = writer_of(room, sizeof room);
    bool everywhere = !json_object_get(call->fields, "channel");
    if (!call_text(call, "query", 1, QUERY_LETTERS_MAX, &query) ||
        !call_number(call, "before", 1, INT64_MAX, INT64_MAX, &before) ||
        !call_number(call, "limit", 1, SEARCH_PAGE_MAX, 20, &limit) ||
        (!everywhere && !call_id(call, "channel", channel)))
        return;
    slice words = words_of(query, &w);
    if (!words.len) {
        call_refuse(call, 400, "There is no word to look for.");
        return;
    }
    const struct store_value values[] = {store_text(words), store_number(call->account),
                                         store_id(everywhere ? NULL : channel), store_number(before),
                                         store_number(limit)};
    channel_read(call, &STORE_SEARCH, values, 5, answer_search);
}

/* --- what is new --- */

static json_t *unread_json(const struct store_value *v)
{
    char id[ID_TEXT_BYTES] = "", at[AT_TEXT], author[ID_TEXT_BYTES] = "";
    if (v[0].bytes.len == ID_BYTES) hex_encode(v[0].bytes, id);
    json_t *json = json_pack("{s:s,s:I,s:I}", "channel", id, "unread", (json_int_t)v[4].number, "mentions",
                             (json_int_t)v[5].number);
    if (!json || v[1].type == STORE_NULL) return json;
    if (v[2].bytes.len == ID_BYTES) hex_encode(v[2].bytes, author);
    snprintf(at, sizeof at, "%lld-%s-%lld", (long long)v[1].number, author, (long long)v[3].number);
    json_object_set_new(json, "read", json_string(at));
    return json;
}

static void answer_unread(struct call *call, int result, const struct store_rows *rows)
{
    if (result) {
        channel_failed(call, result);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; list && i < rows->count; i++)
        json_array_append_new(list, unread_json(store_at(rows, i, 0)));
    call_answer(call, json_pack("{s:o}", "channels", list));
}

void room_unread(struct call *call)
{
    const struct store_value values[] = {store_number(call->account), store_text(slice_text(call->name))};
    channel_read(call, &STORE_UNREAD, values, 2, answer_unread);
}

/* All devices of the account hear where the marker is now. */
static void answer_marked(struct call *call, int result, const struct store_rows *rows)
{
    if (result || rows->count == 0) {
        channel_failed(call, result ? result : ERR_NOT_FOUND);
        return;
    }
    json_t *state = unread_json(store_at(rows, 0, 0));
    json_t *news = json_pack("{s:s}", "type", "read");
    if (news && state) json_object_update(news, state);
    push_account(call->tracker, call->account, news);
    call_answer(call, state);
}

static void marked(struct call *call, int result, const struct store_rows *rows)
{
    (void)rows;
    if (result == ERR_DENIED) {
        call_refuse(call, 403, "You are not in this channel.");
    } else if (result) {
        channel_failed(call, result);
    } else {
        const struct store_value values[] = {store_number(call->account), store_text(slice_text(call->name)),
                                             store_id(call->state)};
        channel_read(call, &STORE_UNREAD_IN, values, 3, answer_marked);
    }
}

void room_mark_read(struct call *call)
{
    struct store_value base[3];
    struct place at;
    bool there, unread;
    if (!call_place(call, "at", &at, &there) || !call_flag(call, "unread", &unread)) return;
    if (!there) {
        call_refuse(call, 400, "\"at\" must be the place of a message.");
        return;
    }
    if (!channel_begin(call, base)) return;
    struct store_value values[] = {
        store_number(call->account), store_text(slice_text(call->name)), base[0], {0}, {0}, {0},
        store_number(unread)};
    put_place(values + 3, &at);
    call_ask(call, &STORE_MARK_READ, values, 7, marked);
}

/* --- mentions --- */

static void answer_mentions(struct call *call, int result, const struct store_rows *rows)
{
    int64_t limit;
    if (result) {
        channel_failed(call, result);
        return;
    }
    if (!call_number(call, "limit", 1, HISTORY_PAGE_MAX, 50, &limit)) return;
    json_t *list = json_array();
    for (size_t i = 0; list && i < rows->count; i++) {
        const struct store_value *v = store_at(rows, i, 0);
        json_t *message = message_json(v);
        channel_of(message, v);
        if (message) {
            json_object_set_new(message, "mention", json_integer((json_int_t)v[MESSAGE_ID].number));
            json_object_set_new(message, "seen", json_boolean(v[MESSAGE_MORE].number));
        }
        json_array_append_new(list, message);
    }
    call_answer(call, json_pack("{s:o,s:b}", "mentions", list, "more", (int64_t)rows->count == limit));
}

void room_mentions(struct call *call)
{
    int64_t before, limit;
    if (!call_number(call, "before", 1, INT64_MAX, INT64_MAX, &before) ||
        !call_number(call, "limit", 1, HISTORY_PAGE_MAX, 50, &limit))
        return;
    const struct store_value values[] = {store_number(call->account), store_number(before),
                                         store_number(limit)};
    channel_read(call, &STORE_MENTIONS, values, 3, answer_mentions);
}

static void mentions_seen(struct call *call, int result, const struct store_rows *rows)
{
    if (!result) push_account(call->tracker, call->account, json_pack("{s:s}", "type", "mentions-seen"));
    channel_done(call, result, rows);
}

void room_mentions_seen(struct call *call)
{
    int64_t upto;
    if (!call_number(call, "mention", 1, INT64_MAX, INT64_MAX, &upto)) return;
    const struct store_value values[] = {store_number(call->account), store_number(upto)};
    call_ask(call, &STORE_MENTIONS_SEEN, values, 2, mentions_seen);
}
