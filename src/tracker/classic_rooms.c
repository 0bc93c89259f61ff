/* Channels: who is in them, what was said, and saying something. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cbor.h"
#include "base/hex.h"
#include "core/entry.h"
#include "crypto/native.h"
#include "tracker/classic.h"
#include "tracker/webdevice.h"

enum { MESSAGES_DEFAULT = 200, MESSAGES_MAX = 1000 };

static const struct hosted *room_of(struct errand *errand)
{
    slice name;
    if (!errand_text(errand, "channel_name", &name) || !name.len) {
        errand_refuse(errand, 400, "Send the \"channel_name\".");
        return NULL;
    }
    for (size_t i = 0; i < errand->tracker->channel_count; i++) {
        const struct hosted *hosted = &errand->tracker->channels[i];
        if (!slice_equal(hosted->name, name)) continue;
        memcpy(errand->channel, hosted->id, ID_BYTES);
        return hosted;
    }
    errand_refuse(errand, 404, "Channel not found");
    return NULL;
}

void classic_channels(struct errand *errand)
{
    json_t *names = json_array();
    for (size_t i = 0; i < errand->tracker->channel_count; i++) {
        slice name = errand->tracker->channels[i].name;
        json_array_append_new(names, json_stringn((const char *)name.ptr, name.len));
    }
    errand_json(errand, 200, json_pack("{s:s,s:o}", "status", "success", "channels", names));
}

void classic_create(struct errand *errand)
{
    errand_refuse(errand, 403, "Channels cannot be created here.");
}

/* --- writing --- */

static void written(void *context, int result, const struct web_written *entry)
{
    struct errand *errand = context;
    char id[ID_TEXT_BYTES];
    if (result == ERR_NOT_FOUND) {
        errand_refuse(errand, 404, "Channel not found");
    } else if (result == ERR_DENIED) {
        errand_refuse(errand, 403, "This channel is encrypted: use the page, or a native peer of your own.");
    } else if (result) {
        errand_failed(errand, result);
    } else if (errand->route->run != classic_send) {
        errand_done(errand, errand->route->run == classic_join ? "You are in the channel."
                                                               : "You have left the channel.");
    } else {
        hex_encode(slice_of(entry->id, ID_BYTES), id);
        errand_json(errand, 200,
                    json_pack("{s:s,s:s,s:s,s:I}", "status", "success", "message", "Message sent.", "id", id,
                              "time", (json_int_t)entry->time_ms));
    }
}

static void write_entry(struct errand *errand, uint32_t kind, slice body)
{
    struct web_entry entry = {.account = errand->writer,
                              .name = errand->guest ? SLICE(CLASSROOM_GUEST) : slice_text(errand->name),
                              .channel = errand->channel,
                              .kind = kind,
                              .body = body};
    int err = web_write(errand->tracker, &entry, written, errand);
    if (err) errand_failed(errand, err);
}

static void write_what_it_is_for(struct errand *errand)
{
    static const uint8_t empty = 0x80; /* the empty array */
    uint8_t body[WEB_BODY_BYTES_MAX];
    struct writer w = writer_of(body, sizeof body);
    slice text;
    if (errand->route->run == classic_join) {
        write_entry(errand, ENTRY_JOIN, SLICE_EMPTY);
    } else if (errand->route->run == classic_leave) {
        write_entry(errand, ENTRY_LEAVE, slice_of(&empty, 1));
    } else if (!errand_text(errand, "message", &text) ||
               web_body(text, errand->guest ? slice_text(errand->name) : SLICE_EMPTY, &w)) {
        errand_failed(errand, ERR_TOO_LARGE);
    } else {
        write_entry(errand, ENTRY_TEXT, writer_slice(&w));
    }
}

/* Guests come and go in a list only: their entries are all the tracker's account's. */
static void guest_noted(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    if (result == ERR_FULL)
        errand_refuse(errand, 503, "Too many guests are in this channel.");
    else if (result)
        errand_failed(errand, result);
    else if (errand->route->run == classic_join)
        errand_done(errand, "You are in the channel.");
    else if (errand->route->run == classic_leave)
        errand_done(errand, "You have left the channel.");
    else if (!errand->writer)
        errand_refuse(errand, 403, "Guests cannot write here: the name \"guest\" belongs to somebody.");
    else
        write_what_it_is_for(errand);
}

static void note_guest(struct errand *errand)
{
    bool leaves = errand->route->run == classic_leave, there = errand->port > 0;
    int64_t now_ms = (int64_t)tracker_now_ms(errand->tracker);
    const struct store_value values[] = {store_id(errand->channel),
                                         there ? store_text(slice_text(errand->ip))
                                               : (struct store_value){.type = STORE_NULL},
                                         store_number(errand->port),
                                         store_text(slice_text(errand->name)),
                                         store_number(now_ms),
                                         store_number(now_ms + ANNOUNCED_MS)};
    if (leaves)
        errand_ask(errand, &CLASSIC_GUEST_LEAVE, values, 4, guest_noted);
    else if (there)
        errand_ask(errand, &CLASSIC_GUEST_JOIN, values, 6, guest_noted);
    else
        guest_noted(errand, OK, NULL);
}

static void announced(void *context, int result, const struct store_rows *rows)
{
    (void)rows;
    struct errand *errand = context;
    if (result == ERR_FULL)
        errand_refuse(errand, 503, "Too many peers are announced at this moment.");
    else if (result)
        errand_failed(errand, result);
    else if (errand->guest)
        note_guest(errand);
    else
        write_what_it_is_for(errand);
}

static void enter(struct errand *errand)
{
    if (!room_of(errand)) return;
    int there = errand_address(errand, "peer_ip", "peer_port");
    if (there > 0)
        errand_announce(errand, announced);
    else if (there == 0)
        announced(errand, OK, NULL);
}

void classic_join(struct errand *errand)
{
    enter(errand);
}

void classic_leave(struct errand *errand)
{
    enter(errand);
}

void classic_send(struct errand *errand)
{
    slice text;
    if (!errand_text(errand, "message", &text) || !text.len)
        errand_refuse(errand, 400, "Send a \"message\" that is not empty.");
    else if (text.len > WEB_TEXT_BYTES_MAX)
        errand_refuse(errand, 413, "A message is at most 8 KiB.");
    else
        enter(errand);
}

/* --- reading --- */

static bool entry_of(slice record, struct entry *out)
{
    enum record_kind kind;
    slice wire;
    struct arrival arrival;
    struct channel_record channel;
    return !record_parse(record, &kind, &wire, &arrival, &channel) && kind == RECORD_ENTRY &&
           !entry_parse(wire, out);
}

/* The account in the certificate of an author's first entry. */
static slice account_of(slice record)
{
    struct entry entry;
    struct certificate certificate;
    if (!entry_of(record, &entry)) return SLICE_EMPTY;
    struct cbor_reader r = cbor_reader_of(entry.body);
    (void)cbor_array(&r, 32);
    slice bytes = cbor_bytes(&r, NODE_CERTIFICATE_BYTES_MAX);
    if (r.failed || certificate_parse(crypto_native(), bytes, &certificate)) return SLICE_EMPTY;
    return certificate.account;
}

/* Where a name listens, of the members that the answer lists. */
static const json_t *address_of(const json_t *members, const json_t *name)
{
    size_t i;
    json_t *member;
    json_array_foreach((json_t *)members, i, member)
    {
        if (json_equal(json_object_get(member, "username"), name)) return member;
    }
    return NULL;
}

static json_t *message_of(const struct store_rows *rows, size_t row, const json_t *members)
{
    struct entry entry;
    slice text, guest;
    bool web;
    char id[ID_TEXT_BYTES];
    uint8_t hash[ID_BYTES];
    if (!entry_of(store_at(rows, row, 1)->bytes, &entry) || !web_body_read(entry.body, &text, &web, &guest))
        return NULL;
    slice account = guest.len ? guest : account_of(store_at(rows, row, 2)->bytes);
    json_t *name = json_stringn((const char *)account.ptr, account.len);
    const json_t *member = address_of(members, name);
    const char *ip = json_string_value(json_object_get(member, "ip")),
               *port = json_string_value(json_object_get(member, "port"));
    entry_id(crypto_native(), &entry, hash);
    hex_encode(slice_of(hash, sizeof hash), id);
    return json_pack("{s:s,s:s,s:o,s:s%,s:s,s:I,s:I,s:b,s:b}", "sender_ip", ip ? ip : "", "sender_port",
                     port ? port : "", "username", name, "text", text.len ? (const char *)text.ptr : "",
                     text.len, "id", id, "time", (json_int_t)entry.time_ms, "seq",
                     (json_int_t)store_at(rows, row, 0)->number, "web", web, "guest", guest.len > 0);
}

static void messages_found(void *context, int result, const struct store_rows *rows);

/* Half as many when they are too large for one answer. */
static void ask_messages(struct errand *errand)
{
    const struct store_value values[] = {store_id(errand->channel), store_number(errand->after),
                                         store_number(errand->limit)};
    errand_ask(errand, errand->has_after ? &CLASSIC_MESSAGES_AFTER : &CLASSIC_MESSAGES_NEWEST, values, 3,
               messages_found);
}

static void messages_found(void *context, int result, const struct store_rows *rows)
{
    struct errand *errand = context;
    if (result == ERR_TOO_LARGE && errand->limit > 1) {
        errand->limit /= 2;
        ask_messages(errand);
        return;
    }
    if (result) {
        errand_failed(errand, result);
        return;
    }
    json_t *messages = json_array();
    for (size_t i = 0; i < rows->count; i++) {
        json_t *message = message_of(rows, errand->has_after ? i : rows->count - 1 - i, errand->list);
        if (message) json_array_append_new(messages, message);
    }
    errand_json(errand, 200,
                json_pack("{s:s,s:{s:O,s:o}}", "status", "success", "messages", "members", errand->list,
                          "messages", messages));
}

static void members_found(void *context, int result, const struct store_rows *rows)
{
    struct errand *errand = context;
    errand->list = result ? NULL : json_array();
    if (!errand->list) {
        errand_failed(errand, result ? result : ERR_MEMORY);
        return;
    }
    for (size_t i = 0; i < rows->count; i++) {
        slice name = store_at(rows, i, 0)->bytes;
        const struct store_value *ip = store_at(rows, i, 1);
        char port[8] = "";
        bool there = ip->type == STORE_TEXT;
        if (there) snprintf(port, sizeof port, "%d", (int)store_at(rows, i, 2)->number);
        json_array_append_new(errand->list,
                              json_pack("{s:s%,s:s,s:s%}", "ip", there ? (const char *)ip->bytes.ptr : "",
                                        there ? ip->bytes.len : 0, "port", port, "username",
                                        (const char *)name.ptr, name.len));
    }
    ask_messages(errand);
}

/* A number of the body: -1 when it is not right, and the errand is refused. */
static bool number_of(struct errand *errand, const char *field, int64_t min, int64_t max, int64_t otherwise,
                      int64_t *out)
{
    slice text;
    int64_t value = 0;
    char message[96];
    *out = otherwise;
    if (!json_object_get(wr_request_fields(errand->request), field)) return true;
    bool good = errand_text(errand, field, &text) && text.len > 0 && text.len <= 15;
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = value;
    if (good && value >= min && value <= max) return true;
    snprintf(message, sizeof message, "\"%s\" must be a number from %lld to %lld.", field, (long long)min,
             (long long)max);
    errand_refuse(errand, 400, message);
    return false;
}

void classic_messages(struct errand *errand)
{
    if (!room_of(errand)) return;
    if (!number_of(errand, "after", 0, INT64_C(999999999999999), 0, &errand->after) ||
        !number_of(errand, "limit", 1, MESSAGES_MAX, MESSAGES_DEFAULT, &errand->limit))
        return;
    errand->has_after = json_object_get(wr_request_fields(errand->request), "after") != NULL;
    const struct store_value values[] = {store_id(errand->channel),
                                         store_number((int64_t)tracker_now_ms(errand->tracker))};
    errand_ask(errand, &CLASSIC_MEMBERS, values, 2, members_found);
}
