/* The index of what was said: behind the entries, in small steps, only while nobody else waits for the store.
 * In the process that holds the replica, because its node knows whose an entry is and whether it is hidden.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "core/entry.h"
#include "core/moderate.h"
#include "core/offer.h"
#include "store/messages_sql.h"
#include "tracker/channels.h"
#include "tracker/push.h"

/* How long after an entry the index goes on, and when the store is busy. */
enum { INDEX_SOON_MS = 20, INDEX_LATER_MS = 250, STORE_BUSY = 200, MENTIONS_MAX = 10 };

static void go_on(uv_timer_t *timer);

static void index_in(struct tracker *tracker, uint64_t ms)
{
    struct channels *c = tracker->rooms;
    if (!uv_is_active((uv_handle_t *)&c->index_timer)) uv_timer_start(&c->index_timer, go_on, ms, 0);
}

void channel_index_due(struct tracker *tracker)
{
    struct channels *c = tracker->rooms;
    if (!c || !c->index_known) return;
    c->index_again = c->indexing; /* it may have come after the list that is being worked on */
    if (!c->indexing) index_in(tracker, INDEX_SOON_MS);
}

/* --- mentions --- */

static bool in_name(uint32_t point)
{
    return point >= 0x80 || (point >= '0' && point <= '9') || (point >= 'a' && point <= 'z') ||
           (point >= 'A' && point <= 'Z') || point == '_' || point == '.' || point == '-';
}

/* The next @name; *rest is what follows. False when there is no more. */
static bool next_mention(slice *rest, slice *out_name)
{
    bool inside = false;
    uint32_t point;
    while (rest->len) {
        if (utf8_next(rest, &point)) return false;
        if (point != '@' || inside) {
            inside = in_name(point); /* an @ within a word belongs to an address */
            continue;
        }
        slice name = {rest->ptr, 0}, after = *rest;
        while (after.len && !utf8_next(&after, &point) && in_name(point)) {
            name.len = (size_t)(after.ptr - name.ptr);
            *rest = after;
        }
        while (name.len && strchr("._-", name.ptr[name.len - 1]))
            name.len--; /* the end of a sentence */
        if (name.len) {
            *out_name = name;
            return true;
        }
    }
    return false;
}

struct mentioning {
    struct tracker *tracker;
    uint8_t channel[ID_BYTES];
    char account[NODE_NAME_BYTES_MAX + 1], text[];
};

static void mentioned(void *context, int result, const struct store_rows *rows)
{
    struct mentioning *m = context;
    if (!result && rows->count) {
        char id[ID_TEXT_BYTES];
        slice name = store_at(rows, 0, 1)->bytes;
        hex_encode(slice_of(m->channel, ID_BYTES), id);
        push_account(m->tracker, store_at(rows, 0, 0)->number,
                     json_pack("{s:s,s:s,s:s%,s:s,s:s}", "type", "mention", "channel", id, "name",
                               (const char *)name.ptr, name.len, "account", m->account, "text", m->text));
    }
    free(m);
}

static void note_mentions(struct tracker *tracker, int64_t rowid, const struct entry_view *view, slice text)
{
    slice rest = text, name;
    uint8_t key[FOLD_KEY_BYTES_MAX];
    for (int i = 0; i < MENTIONS_MAX && next_mention(&rest, &name); i++) {
        int len = channel_key(name, key);
        struct mentioning *m = len < 0 ? NULL : calloc(1, sizeof *m + text.len + 1);
        if (!m) continue;
        m->tracker = tracker;
        memcpy(m->channel, view->channel, ID_BYTES);
        memcpy(m->account, view->account.ptr, view->account.len);
        memcpy(m->text, text.ptr, text.len);
        const struct store_value values[] = {store_number(rowid), store_id(view->channel),
                                             store_text(slice_of(key, (size_t)len))};
        if (store_ask(tracker->store, &STORE_INDEX_MENTION, values, 3, mentioned, m)) free(m);
    }
}

/* --- one entry --- */

static const char *act_name(uint64_t act)
{
    static const char *const names[] = {"",     "ban",  "unban", "hide", "show", "mute", "unmute",
                                        "slow", "role", "topic", "name", "kick", "close"};
    return act < sizeof names / sizeof *names ? names[act] : "";
}

/* What a MODERATE entry says, as JSON; NULL when it says nothing. Free with free. */
static char *decision_text(slice body)
{
    struct moderate_body m;
    if (moderate_parse(body, &m) || !*act_name(m.act)) return NULL;
    json_t *json = json_pack("{s:s,s:s%,s:s%,s:I,s:I,s:s%}", "act", act_name(m.act), "by",
                             m.by.len ? (const char *)m.by.ptr : "", m.by.len, "account",
                             m.account.len ? (const char *)m.account.ptr : "", m.account.len, "number",
                             (json_int_t)m.number, "until_ms", (json_int_t)m.until_ms, "text",
                             m.text.len ? (const char *)m.text.ptr : "", m.text.len);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* The names and sizes of the files that are offered. */
static char *files_text(slice body)
{
    struct offer offer;
    struct offer_file file;
    json_t *list = json_array();
    if (!list || offer_read(body, &offer)) {
        json_decref(list);
        return NULL;
    }
    while (offer_next(&offer, &file))
        json_array_append_new(list, json_pack("{s:s%,s:I}", "path", (const char *)file.path.ptr,
                                              file.path.len, "size", (json_int_t)file.size));
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

static void moved(void *context, int result, const struct store_rows *rows);

/* When all of a step are there, the index has moved. */
static void added(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    struct channels *c = tracker->rooms;
    (void)rows;
    if (result) {
        c->index_failed = true;
        tracker_log_some(tracker, LOG_STORE, "a message was not indexed: %s", err_text(result));
    }
    if (--c->index_adding || !c->indexing) return;
    const struct store_value values[] = {store_text(SLICE("messages")), store_number(c->index_at)};
    if (c->index_failed || store_ask(tracker->store, &STORE_INDEX_MOVED, values, 2, moved, tracker))
        moved(tracker, ERR_BUSY, NULL);
}

/* False: the store takes no more now. */
static bool add(struct tracker *tracker, int64_t rowid, const struct entry_view *view)
{
    struct cbor_reader r = cbor_reader_of(view->body);
    char *made = NULL;
    slice text = SLICE_EMPTY;
    if (view->kind == ENTRY_TEXT && !view->locked && cbor_array(&r, 32) >= 1) {
        text = cbor_bytes(&r, NODE_BODY_BYTES_MAX);
        if (!utf8_valid(text)) text = SLICE_EMPTY;
    } else if (!view->locked && view->kind != ENTRY_TEXT) {
        made = view->kind == ENTRY_MODERATE ? decision_text(view->body) : files_text(view->body);
        text = made ? slice_text(made) : SLICE_EMPTY;
    }
    bool readable = !view->locked && (text.len || view->kind == ENTRY_TEXT);
    const struct store_value values[] = {
        store_number(rowid),
        store_id(view->channel),
        store_id(view->author),
        store_number((int64_t)view->seq),
        store_number(view->kind),
        store_id(view->id),
        store_number((int64_t)view->time_ms),
        store_number((int64_t)view->place_ms),
        store_text(view->account),
        readable ? store_text(text) : (struct store_value){.type = STORE_NULL},
        store_number(view->hidden || view->withdrawn),
    };
    bool taken = !store_ask(tracker->store, &STORE_INDEX_ADD, values, 11, added, tracker);
    tracker->rooms->index_adding += taken;
    if (taken && view->kind == ENTRY_TEXT && readable && !view->hidden && !view->withdrawn)
        note_mentions(tracker, rowid, view, text);
    free(made);
    return taken;
}

/* --- the walk --- */

static void moved(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    struct channels *c = tracker->rooms;
    (void)rows;
    c->indexing = false;
    if (result) c->index_at = c->index_before; /* what is there already stays as it is */
    c->index_failed = false;
    bool more = c->index_more || c->index_again || result;
    c->index_again = false;
    if (!tracker->stopping && more) index_in(tracker, result ? INDEX_LATER_MS : 1);
}

/* A hidden entry is shown without its body, but the index keeps the text, so that it can be shown again. */
static int view_whole(struct tracker *tracker, slice record, struct entry_view *out)
{
    enum record_kind kind;
    slice wire;
    struct arrival arrival;
    struct channel_record unused;
    struct entry entry;
    int err = node_view(tracker->node, record, out);
    if (!err && out->hidden && !out->locked && !record_parse(record, &kind, &wire, &arrival, &unused) &&
        kind == RECORD_ENTRY && !entry_parse(wire, &entry))
        out->body = entry.body;
    return err;
}

static void listed(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    struct channels *c = tracker->rooms;
    c->indexing = false;
    if (!tracker->node || tracker->stopping) return;
    if (result || rows->count == 0) {
        if (result || c->index_again) index_in(tracker, INDEX_LATER_MS);
        c->index_again = false;
        return;
    }
    c->index_before = c->index_at;
    for (size_t i = 0; i < rows->count; i++) {
        struct entry_view view;
        int64_t rowid = store_at(rows, i, 0)->number;
        int err = view_whole(tracker, store_at(rows, i, 1)->bytes, &view);
        if (!err && !add(tracker, rowid, &view)) break;
        c->index_at = rowid;
    }
    c->index_more = rows->count == INDEX_BATCH || c->index_at != store_at(rows, rows->count - 1, 0)->number;
    c->indexing = c->index_adding > 0;
    if (!c->indexing && (c->index_more || c->index_again)) index_in(tracker, INDEX_LATER_MS);
}

static void go_on(uv_timer_t *timer)
{
    struct channels *c = timer->data;
    struct tracker *tracker = c->tracker;
    struct store_stats stats;
    if (!tracker->node || tracker->stopping || c->indexing) return;
    store_stats(tracker->store, &stats);
    if (stats.waiting > STORE_BUSY) {
        index_in(tracker, INDEX_LATER_MS);
        return;
    }
    const struct store_value values[] = {store_number(c->index_at)};
    c->indexing = !store_ask(c->reader, &STORE_INDEX_NEXT, values, 1, listed, tracker);
}

static void position_known(void *context, int result, const struct store_rows *rows)
{
    struct tracker *tracker = context;
    struct channels *c = tracker->rooms;
    if (result) return; /* at the next start */
    c->index_at = rows->count ? store_at(rows, 0, 0)->number : 0;
    c->index_known = true;
    channel_index_due(tracker);
}

void channel_index_start(struct tracker *tracker)
{
    const struct store_value values[] = {store_text(SLICE("messages"))};
    if (store_ask(tracker->store, &STORE_INDEX_POSITION, values, 1, position_known, tracker))
        tracker_log_some(tracker, LOG_STORE, "messages are not indexed: the store is busy");
}
