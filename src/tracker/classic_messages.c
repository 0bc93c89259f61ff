/* What was said in a channel, and saying something. */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/cbor.h"
#include "base/hex.h"
#include "core/entry.h"
#include "crypto/native.h"
#include "tracker/channels.h"
#include "tracker/classic.h"
#include "tracker/webdevice.h"

enum {
    MESSAGES_DEFAULT = 200,
    MESSAGES_MAX = 1000,
    ENTRY_COST = 1024, /* bytes that an entry takes besides its text, on disks and links */
};

/* --- writing --- */

static const char encrypted[] = "This channel is encrypted: use the page, or a native peer of your own.";

static void written(void *context, int result, const struct web_written *entry)
{
    struct errand *errand = context;
    char id[ID_TEXT_BYTES];
    if (result == ERR_NOT_FOUND) {
        errand_refuse(errand, 404, "Channel not found");
    } else if (result == ERR_DENIED) {
        errand_refuse(errand, 403, encrypted);
    } else if (result) {
        errand_failed(errand, result);
    } else {
        hex_encode(slice_of(entry->id, ID_BYTES), id);
        errand_json(errand, 200,
                    json_pack("{s:s,s:s,s:s,s:I}", "status", "success", "message", "Message sent.", "id", id,
                              "time", (json_int_t)entry->time_ms));
    }
}

static void may_write(void *context, int result, const char *why, uint64_t wait_ms)
{
    struct errand *errand = context;
    uint8_t body[WEB_BODY_BYTES_MAX];
    char seconds[24];
    struct writer w = writer_of(body, sizeof body);
    slice text;
    if (result == ERR_BUSY && why) {
        snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)((wait_ms + 999) / 1000));
        wr_response_header(errand->request, "Retry-After", seconds);
        errand_refuse(errand, 429, why);
        return;
    }
    if (result == ERR_DENIED || result == ERR_NOT_FOUND) {
        errand_refuse(errand, result == ERR_DENIED ? 403 : 404, why ? why : "Channel not found");
        return;
    }
    if (result || !errand_text(errand, "message", &text) ||
        web_body(text, errand->guest ? slice_text(errand->name) : SLICE_EMPTY, &w)) {
        errand_failed(errand, result ? result : ERR_TOO_LARGE);
        return;
    }
    struct web_entry entry = {.account = errand->writer,
                              .name = errand->guest ? SLICE(CLASSROOM_GUEST) : slice_text(errand->name),
                              .channel = errand->channel,
                              .body = writer_slice(&w)};
    web_write(errand->tracker, &entry, written, errand);
}

/* What an account writes here counts like what its sockets bring: else it could fill the disk within the
 * hour. */
static bool has_quota(struct errand *errand)
{
    slice text;
    char seconds[24];
    struct rates *quota = &errand->tracker->relay_quota;
    uint64_t now_ms = tracker_now_ms(errand->tracker),
             key = rates_key(quota, slice_of(&errand->writer, sizeof errand->writer));
    uint64_t wait_ms = rates_wait_ms(quota, key, now_ms);
    if (!wait_ms) {
        size_t bytes = ENTRY_COST;
        if (errand_text(errand, "message", &text)) bytes += text.len;
        rates_take(quota, key, (double)bytes, now_ms);
        return true;
    }
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)((wait_ms + 999) / 1000));
    wr_response_header(errand->request, "Retry-After", seconds);
    errand_refuse(errand, 429, "You write too much: wait a moment.");
    return false;
}

static void send_text(struct errand *errand)
{
    if (!has_quota(errand)) return;
    if (errand->sealed)
        errand_refuse(errand, 403, encrypted);
    else if (!errand->writer)
        errand_refuse(errand, 403, "Guests cannot write here: the name \"guest\" belongs to somebody.");
    else
        channel_may_write(errand->tracker, errand->channel, errand->writer, may_write, errand);
}

void classic_send(struct errand *errand)
{
    slice text;
    if (!errand_text(errand, "message", &text) || !text.len)
        errand_refuse(errand, 400, "Send a \"message\" that is not empty.");
    else if (text.len > WEB_TEXT_BYTES_MAX)
        errand_refuse(errand, 413, "A message is at most 8 KiB.");
    else
        classic_begin(errand, send_text);
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

/* The columns of CLASSIC_MESSAGES_NEWEST. */
enum { NUMBER, RECORD, FIRST_RECORD, SENDER_IP, SENDER_PORT };

static json_t *message_of(const struct store_rows *rows, size_t row, const json_t *guests)
{
    struct entry entry;
    slice text, guest;
    bool web;
    char id[ID_TEXT_BYTES], port[8] = "", guest_name[NODE_NAME_BYTES_MAX + 1] = "";
    uint8_t hash[ID_BYTES];
    if (!entry_of(store_at(rows, row, RECORD)->bytes, &entry) ||
        !web_body_read(entry.body, &text, &web, &guest))
        return NULL;
    slice name = account_of(store_at(rows, row, FIRST_RECORD)->bytes);
    if (guests && guest.len && slice_equal(name, SLICE(CLASSROOM_GUEST)))
        name = guest;
    else
        guest = SLICE_EMPTY; /* others can write such a mark as well */
    const struct store_value *sender = store_at(rows, row, SENDER_IP);
    slice ip = sender->type == STORE_TEXT && !guest.len ? sender->bytes : SLICE_EMPTY;
    if (ip.len) snprintf(port, sizeof port, "%d", (int)store_at(rows, row, SENDER_PORT)->number);
    if (guest.len) memcpy(guest_name, guest.ptr, guest.len);
    const json_t *there = guest.len ? json_object_get(guests, guest_name) : NULL;
    if (there) {
        ip = slice_text(json_string_value(json_array_get(there, 0)));
        snprintf(port, sizeof port, "%s", json_string_value(json_array_get(there, 1)));
    }
    entry_id(crypto_native(), &entry, hash);
    hex_encode(slice_of(hash, sizeof hash), id);
    return json_pack("{s:s%,s:s,s:s%,s:s%,s:s,s:I,s:I,s:b,s:b}", "sender_ip",
                     ip.len ? (const char *)ip.ptr : "", ip.len, "sender_port", port, "username",
                     (const char *)name.ptr, name.len, "text", text.len ? (const char *)text.ptr : "",
                     text.len, "id", id, "time", (json_int_t)entry.time_ms, "seq",
                     (json_int_t)store_at(rows, row, NUMBER)->number, "web", web, "guest", guest.len > 0);
}

static void messages_found(void *context, int result, const struct store_rows *rows);

/* Half as many when they are too large for one answer. */
static void ask_messages(struct errand *errand)
{
    const struct store_value values[] = {store_id(errand->channel), store_number(errand->after),
                                         store_number(errand->limit),
                                         store_number((int64_t)tracker_now_ms(errand->tracker))};
    errand_ask(errand, errand->has_after ? &CLASSIC_MESSAGES_AFTER : &CLASSIC_MESSAGES_NEWEST, values, 4,
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
        json_t *message = message_of(rows, errand->has_after ? i : rows->count - 1 - i, errand->guests);
        if (message) json_array_append_new(messages, message);
    }
    errand_json(errand, 200,
                json_pack("{s:s,s:{s:O,s:o}}", "status", "success", "messages", "members", errand->list,
                          "messages", messages));
}

/* Where guests listen, by the names that they have announced. */
static void guests_found(void *context, int result, const struct store_rows *rows)
{
    struct errand *errand = context;
    errand->guests = result ? NULL : json_object();
    if (!errand->guests) {
        errand_failed(errand, result ? result : ERR_MEMORY);
        return;
    }
    for (size_t i = 0; i < rows->count; i++) {
        slice name = store_at(rows, i, 0)->bytes, ip = store_at(rows, i, 1)->bytes;
        char key[NODE_NAME_BYTES_MAX + 1] = "", port[8];
        if (name.len >= sizeof key) continue;
        memcpy(key, name.ptr, name.len);
        snprintf(port, sizeof port, "%d", (int)store_at(rows, i, 2)->number);
        json_object_set_new(errand->guests, key, json_pack("[s%,s]", (const char *)ip.ptr, ip.len, port));
    }
    ask_messages(errand);
}

static void ask_guests(struct errand *errand)
{
    const struct store_value values[] = {store_number((int64_t)tracker_now_ms(errand->tracker))};
    errand_ask(errand, &CLASSIC_GUESTS, values, 1, guests_found);
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
    if (errand->tracker->config.classroom)
        ask_guests(errand);
    else
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

static void read_room(struct errand *errand)
{
    if (errand->sealed) {
        errand_refuse(errand, 403, encrypted);
        return;
    }
    const struct store_value values[] = {store_id(errand->channel),
                                         store_number((int64_t)tracker_now_ms(errand->tracker))};
    errand_ask(errand, &CLASSIC_MEMBERS, values, 2, members_found);
}

void classic_messages(struct errand *errand)
{
    if (!number_of(errand, "after", 0, INT64_C(999999999999999), 0, &errand->after) ||
        !number_of(errand, "limit", 1, MESSAGES_MAX, MESSAGES_DEFAULT, &errand->limit))
        return;
    errand->has_after = json_object_get(wr_request_fields(errand->request), "after") != NULL;
    classic_find_room(errand, read_room);
}
