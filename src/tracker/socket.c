#include "tracker/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "crypto/native.h"
#include "store/accounts_sql.h"
#include "tracker/admission.h"
#include "tracker/call.h"
#include "tracker/events.h"
#include "tracker/remote.h"
#include "tracker/classic.h"
#include "tracker/channels.h"

#define PING_INTERVAL_MS 30000
#define SILENCE_MS 60000
#define LABEL_LETTERS_MAX 64
#define REASON_BYTES_MAX 512 /* why a relay was closed, in words; a longer text is left out */

/* --- what the other files use --- */

struct client *sockets_online(struct tracker *tracker, const uint8_t device[ID_BYTES])
{
    uint32_t number;
    return map_get(&tracker->online, device, &number) ? handles_get(&tracker->clients, number) : NULL;
}

static const struct client_more no_more;

struct client_more *client_more(struct client *client)
{
    if (client->more != &no_more) return client->more;
    struct client_more *more = calloc(1, sizeof *more);
    if (!more) return NULL;
    buffer_init(&more->held, &allocator_libc, BINARY_BYTES_MAX);
    client->more = more;
    return more;
}

void client_less(struct client *client)
{
    struct client_more *more = client->more;
    if (more == &no_more || more->relay_count || more->attempts || more->held.len || more->untaken) return;
    buffer_reset(&more->held);
    free(more->relays);
    free(more);
    client->more = (struct client_more *)&no_more;
}

const char *client_device(const struct client *client, char out[ID_TEXT_BYTES])
{
    hex_encode(slice_of(client->seat.device, ID_BYTES), out);
    return out;
}

static bool was_queued(struct client *client, int64_t queued)
{
    if (queued == WR_FULL || queued == WR_MEMORY)
        wr_socket_close(client->socket, WR_CLOSE_POLICY, "too slow: what was sent to you was not taken");
    return queued >= 0;
}

bool client_send(struct client *client, json_t *json)
{
    int64_t queued = json ? wr_socket_send_json(client->socket, json) : WR_MEMORY;
    json_decref(json);
    return was_queued(client, queued);
}

bool client_send_text(struct client *client, const char *text, size_t len)
{
    return was_queued(client, wr_socket_send(client->socket, WR_TEXT, text, len));
}

/* Who asks on and on and does not take the answers is not read from until it does. */
static void send_answer(struct client *client, json_t *answer)
{
    if (client_send(client, answer) && client_is_full(client)) client_pause(client, PAUSE_ANSWERS);
}

void client_answer(struct client *client, const char *type, json_int_t id, json_t *more)
{
    json_t *answer = json_pack("{s:s,s:I,s:s}", "type", type, "id", id, "status", "success");
    if (answer && more) json_object_update(answer, more);
    json_decref(more);
    send_answer(client, answer);
}

void client_refuse(struct client *client, const char *type, json_int_t id, const char *message)
{
    send_answer(client, json_pack("{s:s,s:I,s:s,s:s}", "type", type, "id", id, "status", "error", "message",
                                  message));
}

void client_refuse_with(struct client *client, const char *type, json_int_t id, int code, const char *message)
{
    send_answer(client, json_pack("{s:s,s:I,s:s,s:i,s:s}", "type", type, "id", id, "status", "error", "code",
                                  code, "message", message));
}

static void leave(struct client *client);

void client_fail(struct client *client, const char *reason)
{
    leave(client);
    wr_socket_close(client->socket, WR_CLOSE_POLICY, reason);
}

static void goodbye(struct client *client, const char *reason, const char *message, int code,
                    uint32_t retry_ms)
{
    json_t *words = json_pack("{s:s,s:s,s:s}", "type", "goodbye", "reason", reason, "message", message);
    if (words && retry_ms) json_object_set_new(words, "retry_ms", json_integer(retry_ms));
    client_send(client, words);
    leave(client);
    wr_socket_close(client->socket, code, reason);
}

void client_goodbye(struct client *client, const char *reason, const char *message, int code)
{
    goodbye(client, reason, message, code, 0);
}

bool client_is_full(const struct client *client)
{
    return wr_socket_queued(client->socket) >= QUEUE_BYTES_HIGH;
}

void client_pause(struct client *client, enum client_pause why)
{
    if (!client->pauses) wr_socket_pause(client->socket);
    client->pauses |= (uint8_t)why;
}

void client_resume(struct client *client, enum client_pause why)
{
    if (!(client->pauses & why)) return;
    client->pauses &= (uint8_t)~(unsigned)why;
    if (!client->pauses) wr_socket_resume(client->socket);
}

bool client_receiver(struct client *client, const json_t *message, const char *type, json_int_t id,
                     struct receiver *out)
{
    const json_t *to = json_object_get(message, "to");
    uint8_t device[ID_BYTES];
    if (!json_is_string(to) ||
        hex_decode(slice_of(json_string_value(to), json_string_length(to)), device, sizeof device)) {
        client_refuse(client, type, id, "\"to\" must be the id of a device: 64 hexadecimal digits.");
        return false;
    }
    struct client *here = sockets_online(client->tracker, device);
    *out = (struct receiver){.here = here, .there = here ? NULL : remote_find(client->tracker, device)};
    if (here == client) {
        client_refuse(client, type, id, "This is your own device.");
        return false;
    }
    const struct person *other = here ? here->person : out->there ? out->there->seat.person : NULL;
    if (!other || !presence_sees(client->person, other)) {
        client_refuse_with(client, type, id, 404, "That device is not online.");
        return false;
    }
    if (!presence_sees(other, client->person)) {
        client_refuse_with(client, type, id, 403, "You are invisible to that device.");
        return false;
    }
    return true;
}

/* --- coming and going --- */

/* Takes the client out of everything but the table of sockets. */
static void leave(struct client *client)
{
    struct tracker *tracker = client->tracker;
    bool was_online = client->phase == CLIENT_ONLINE;
    classic_socket_gone(client);
    client->phase = CLIENT_LEAVING;
    replica_forget(client);
    relay_forget(client);
    signal_forget(client);
    if (was_online && sockets_online(tracker, client->seat.device) == client) {
        map_remove(&tracker->online, client->seat.device);
        if (!tracker->stopping) remote_went(client);
        if (!tracker->stopping) presence_went(tracker, &client->seat);
    }
    presence_replaced(tracker, &client->seat);
}

void socket_replaced(struct client *client)
{
    map_remove(&client->tracker->online,
               client->seat.device); /* so that nobody is told that the device went away */
    client_goodbye(client, "replaced", "This device has connected again.", WR_CLOSE_NORMAL);
}

static void go_online(struct client *client, json_int_t id, slice certificate, uint64_t expires_ms)
{
    struct tracker *tracker = client->tracker;
    struct client *older = sockets_online(tracker, client->seat.device);
    if (older) socket_replaced(older);
    if (client->person->seat_count >= SEATS_MAX) {
        client->phase = CLIENT_GREETED;
        client_refuse(client, "hello", id, "Too many devices of this account are connected.");
        return;
    }
    if (map_set(&tracker->online, client->seat.device, client->number)) {
        client_fail(client, "the server has no room for more devices");
        return;
    }
    char text[2 * NODE_CERTIFICATE_BYTES_MAX + 1];
    hex_encode(certificate, text);
    uint64_t now_ms = tracker_now_ms(tracker);
    client->phase = CLIENT_ONLINE;
    client->since_ms = now_ms;
    client_answer(
        client, "hello", id,
        json_pack("{s:s,s:I}", "certificate", text, "expires_s", (json_int_t)((expires_ms - now_ms) / 1000)));
    remote_came(client);
    presence_came(tracker, &client->seat, client->person);
}

/* --- hello --- */

/* Two operations of one transaction: the certificate, then what the person calls the device. */
struct claim {
    struct tracker *tracker;
    uint32_t client;
    bool alone;               /* the second one could not be queued */
    json_int_t id;            /* of the hello */
    uint8_t nonce[KEY_BYTES]; /* for another hello, if this one is refused */
    int result;
    size_t certificate_len;
    uint64_t expires_ms;
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
};

static void claimed(void *context, int result, const struct store_row *row)
{
    struct claim *claim = context;
    if (claim->alone) {
        free(claim);
        return;
    }
    claim->result = result;
    if (!result && row->record.len > sizeof claim->certificate) claim->result = ERR_CORRUPT;
    if (claim->result) return;
    claim->expires_ms = row->expires_ms;
    claim->certificate_len = row->record.len;
    memcpy(claim->certificate, row->record.ptr, row->record.len);
}

static void refuse_claim(struct client *client, const struct claim *claim)
{
    int code = 403;
    const char *message;
    client->phase = CLIENT_GREETED;
    memcpy(client_nonce(client), claim->nonce, KEY_BYTES);
    if (claim->result == ERR_DENIED) {
        message = "This device belongs to another account of this server.";
    } else if (claim->result == ERR_WRONG_STATE) {
        code = 410; /* the page makes a new key then */
        message = "This device was logged out for good: it needs a new key.";
    } else if (claim->result == ERR_FULL) {
        message = "This account has too many devices.";
    } else {
        code = 503;
        message = "The server could not keep the certificate: try again later.";
        tracker_log_some(client->tracker, LOG_STORE, "a certificate was not kept: %s",
                         err_text(claim->result));
    }
    client_refuse_with(client, "hello", claim->id, code, message);
}

static void named(void *context, int result, const struct store_rows *rows)
{
    struct claim *claim = context;
    struct client *client = handles_get(&claim->tracker->clients, claim->client);
    if (!claim->result) claim->result = result;
    if (client && client->phase == CLIENT_PROVING && claim->result) {
        refuse_claim(client, claim);
    } else if (client && client->phase == CLIENT_PROVING) {
        slice name = rows->count ? store_at(rows, 0, 0)->bytes : SLICE_EMPTY;
        char *label = name.len ? strndup((const char *)name.ptr, name.len) : NULL;
        if (label) {
            free(client->seat.label);
            client->seat.label = label;
        }
        go_online(client, claim->id, slice_of(claim->certificate, claim->certificate_len), claim->expires_ms);
    }
    free(claim);
}

static bool proof_is_good(struct client *client, const uint8_t device[ID_BYTES],
                          const uint8_t signature[SIGNATURE_BYTES])
{
    uint8_t room[KEY_BYTES + ID_BYTES + NODE_NAME_BYTES_MAX];
    struct writer w = writer_of(room, sizeof room);
    writer_put(&w, slice_of(client_nonce(client), KEY_BYTES));
    /* Names this tracker, so that another one cannot pass the proof on. */
    writer_put(&w, slice_of(client->tracker->device, ID_BYTES));
    writer_put(&w, slice_text(client->person->name));
    return identity_verify(crypto_native(), device, SLICE("weaprous.hello.1"), writer_slice(&w), signature);
}

/* Issues a certificate and asks the store to keep it, unless an older one is good for long enough. */
static int claim_device(struct client *client, json_int_t id, const uint8_t nonce[KEY_BYTES])
{
    struct tracker *tracker = client->tracker;
    uint64_t now_ms = tracker_now_ms(tracker);
    struct certificate fields = {.account = slice_text(client->person->name),
                                 .device = client->seat.device,
                                 .authority = tracker->device,
                                 .issued_s = now_ms / 1000,
                                 .expires_s = (now_ms + CERTIFICATE_LIFE_MS) / 1000};
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    int len = certificate_write(crypto_native(), &fields, tracker->seed, certificate, sizeof certificate);
    if (len < 0) return len;
    struct claim *claim = calloc(1, sizeof *claim);
    if (!claim) return ERR_MEMORY;
    *claim = (struct claim){.tracker = tracker, .client = client->number, .id = id};
    memcpy(claim->nonce, nonce, KEY_BYTES);
    struct store_row row = {.device = client->seat.device,
                            .account = client->account,
                            .record = slice_of(certificate, (size_t)len),
                            .time_ms = now_ms,
                            .expires_ms = fields.expires_s * 1000,
                            .renew_ms = now_ms + CERTIFICATE_LIFE_MS / 2};
    const struct store_value seen[] = {
        store_id(client->seat.device), store_id(client->session), store_text(slice_text(client->seat.label)),
        store_number((int64_t)now_ms), store_text(slice_text(wr_socket_address(client->socket)))};
    int err = store_submit(tracker->store, STORE_DEVICE_CLAIM, &row, claimed, claim);
    if (err) {
        free(claim);
        return err;
    }
    err = store_ask(tracker->store, &STORE_DEVICE_SEEN, seen, 5, named, claim);
    if (err) claim->alone = true; /* freed when the first one is done */
    return err;
}

bool label_takes(uint32_t point)
{
    bool control = point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x200b && point <= 0x200f) ||
                   (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f) ||
                   point == 0xfeff;
    return !control;
}

/* What a device calls itself, shown to others: no control characters, cut to its limit. */
static void keep_label(struct client *client, const json_t *label)
{
    slice rest =
        json_is_string(label) ? slice_of(json_string_value(label), json_string_length(label)) : SLICE_EMPTY;
    char room[4 * LABEL_LETTERS_MAX];
    struct writer w = writer_of(room, sizeof room);
    uint32_t point;
    for (size_t i = 0; i < LABEL_LETTERS_MAX; i++) {
        slice before = rest;
        if (utf8_next(&rest, &point) || before.len - rest.len > w.cap - w.len) break;
        if (label_takes(point)) writer_put(&w, slice_of(before.ptr, before.len - rest.len));
    }
    free(client->seat.label);
    client->seat.label = w.len ? strndup(room, w.len) : NULL; /* without memory it has none */
}

static void hello_message(struct client *client, const json_t *message, json_int_t id)
{
    if (client->phase != CLIENT_GREETED) {
        client_refuse(client, "hello", id, "This socket has said hello already.");
        return;
    }
    const json_t *device = json_object_get(message, "device"), *proof = json_object_get(message, "proof");
    uint8_t signature[SIGNATURE_BYTES], id_of_device[ID_BYTES];
    if (!json_is_string(device) || !json_is_string(proof) ||
        hex_decode(slice_of(json_string_value(device), json_string_length(device)), id_of_device, ID_BYTES) ||
        hex_decode(slice_of(json_string_value(proof), json_string_length(proof)), signature,
                   sizeof signature)) {
        client_refuse(client, "hello", id,
                      "\"device\" and \"proof\" must be hexadecimal, 64 and 128 digits.");
        return;
    }
    if (!proof_is_good(client, id_of_device, signature)) {
        tracker_log_some(client->tracker, LOG_HELLO, "a device could not prove its key (account %s, from %s)",
                         client->person->name, wr_socket_address(client->socket));
        client_refuse(client, "hello", id, "The proof is false: this device key was not shown to be yours.");
        return;
    }
    uint8_t nonce[KEY_BYTES];
    memcpy(nonce, client_nonce(client), sizeof nonce);
    memcpy(client->seat.device, id_of_device, ID_BYTES);
    keep_label(client, json_object_get(message, "label"));
    client->phase = CLIENT_PROVING;
    int err = claim_device(client, id, nonce);
    if (err) {
        client->phase = CLIENT_GREETED;
        memcpy(client_nonce(client), nonce, sizeof nonce);
        client_refuse(client, "hello", id, "The server is too busy to issue a certificate: try again later.");
    }
}

/* --- messages --- */

static void ping_message(struct client *client, const json_t *message, json_int_t id)
{
    (void)message;
    client_answer(client, "ping", id, NULL);
}

static void relay_end_message(struct client *client, const json_t *message, json_int_t id)
{
    (void)id;
    json_t *relay = json_object_get(message, "relay");
    const json_t *text = json_object_get(message, "message");
    if (!json_is_integer(relay) || json_integer_value(relay) < 0 || json_integer_value(relay) > UINT32_MAX) {
        client_fail(client, "relay-close needs the number of a relay");
        return;
    }
    uint32_t number = (uint32_t)json_integer_value(relay);
    if (number)
        relay_close_message(client, number,
                            json_string_length(text) <= REASON_BYTES_MAX ? json_string_value(text) : NULL);
    else
        replica_closed_by_client(client);
}

static const struct {
    const char *type;
    void (*run)(struct client *client, const json_t *message, json_int_t id);
    bool early;    /* allowed before hello is done */
    bool answered; /* needs an id */
} message_table[] = {
    {"hello", hello_message, true, true},
    {"ping", ping_message, true, true},
    {"signal", signal_message, false, true},
    {"relay-open", relay_open_message, false, true},
    {"relay-close", relay_end_message, false, false},
};

static void text_message(struct client *client, slice bytes)
{
    json_t *message = json_loadb((const char *)bytes.ptr, bytes.len, JSON_REJECT_DUPLICATES, NULL);
    const char *type = json_string_value(json_object_get(message, "type"));
    json_t *id_value = json_object_get(message, "id");
    json_int_t id = json_integer_value(id_value); /* 0 when it is no integer */
    size_t i = 0, count = sizeof message_table / sizeof message_table[0];
    while (type && i < count && strcmp(message_table[i].type, type) != 0)
        i++;

    if (!type) {
        client_fail(client, "a text frame must be a JSON object with a type");
    } else if ((id_value || i == count || message_table[i].answered) && id <= 0) {
        client_fail(client, "a request needs an id, a positive integer");
    } else if (i == count) {
        if (!calls_message(client, type, message, id))
            client_refuse(client, type, id, "This server does not know this type of message.");
    } else if (client->phase != CLIENT_ONLINE && !message_table[i].early) {
        if (message_table[i].answered)
            client_refuse(client, type, id, "Say hello first.");
        else
            client_fail(client, "say hello first");
    } else {
        message_table[i].run(client, message, id);
        /* What goes to another device costs the same in whatever frame. */
        if (message_table[i].run == signal_message && client->phase == CLIENT_ONLINE)
            relay_charge(client, bytes.len);
    }
    json_decref(message);
}

static void binary_message(struct client *client, slice frame)
{
    if (client->phase != CLIENT_ONLINE) {
        client_fail(client, "say hello first");
        return;
    }
    if (frame.len < 4) {
        client_fail(client, "a binary frame begins with four bytes of relay number");
        return;
    }
    const uint8_t *p = frame.ptr;
    uint32_t number = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    if (number)
        relay_bytes(client, number, frame);
    else
        replica_bytes(client, slice_sub(frame, 4, frame.len));
    /* Bytes for the replica count too: what nobody slows down fills the disk within the hour. */
    if (client->phase == CLIENT_ONLINE) relay_charge(client, frame.len);
}

/* --- callbacks of the library --- */

static void on_message(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                       void *context)
{
    (void)context;
    struct client *client = wr_socket_user(socket);
    if (client->phase == CLIENT_LEAVING) return;
    if (kind == WR_BINARY)
        binary_message(client, slice_of(bytes, len));
    else if (len > TEXT_BYTES_MAX)
        client_fail(client, "a text frame is at most 64 KiB");
    else
        text_message(client, slice_of(bytes, len));
}

static void on_drain(struct wr_socket *socket, void *context)
{
    (void)context;
    struct client *client = wr_socket_user(socket);
    client_resume(client, PAUSE_ANSWERS);
    if (client->phase != CLIENT_ONLINE) return;
    presence_drained(client->tracker, &client->seat);
    relay_drained(client);
    replica_drained(client);
}

static void on_close(struct wr_socket *socket, int code, const char *reason, void *context)
{
    (void)code, (void)reason, (void)context;
    struct client *client = wr_socket_user(socket);
    leave(client);
    handles_remove(&client->tracker->clients, client->number);
    person_release(client->tracker, client->person);
    free(client->seat.label);
    free(client);
}

static void on_open(struct wr_socket *socket, void *context)
{
    struct tracker *tracker = context;
    struct client *client = wr_socket_user(socket);
    client->socket = socket;
    char nonce[2 * KEY_BYTES + 1];
    hex_encode(slice_of(client_nonce(client), KEY_BYTES), nonce);
    channels_welcome(client,
                     json_pack("{s:s,s:s,s:s,s:s,s:I,s:s}", "type", "welcome", "tracker",
                               tracker->device_text, "account", client->person->name, "nonce", nonce,
                               "time_ms", (json_int_t)tracker_now_ms(tracker), "version", wr_version()));
}

static void upgrade_found(void *context, struct wr_request *request, int result,
                          const struct session *session)
{
    struct tracker *tracker = context;
    if (result == ERR_NOT_FOUND) {
        wr_respond_error(request, 401, "You are not logged in.");
        return;
    }
    if (!result) {
        /* A page is not told why a handshake was refused, and asks with a plain request. */
        bool handshake = wr_request_header(request, "Upgrade") != NULL;
        uint32_t retry_ms = handshake ? admission_wait_ms(tracker) : admission_guess_ms(tracker);
        if (retry_ms) {
            admission_refuse(request, retry_ms);
            return;
        }
    }
    struct client *client = result ? NULL : calloc(1, sizeof *client);
    if (!result && !client) result = ERR_MEMORY;
    if (!result && tracker->stopping) result = ERR_CLOSED;
    if (!result) client->person = person_hold(tracker, session->account, session->name);
    if (!result && !client->person) result = ERR_MEMORY;
    if (!result) result = handles_add(&tracker->clients, client, &client->number);
    if (result) {
        if (client && client->person) person_release(tracker, client->person);
        free(client);
        accounts_failed(tracker->accounts, request, result);
        return;
    }
    client->tracker = tracker;
    client->account = session->account;
    client->role = (uint8_t)session->role;
    client->more = (struct client_more *)&no_more;
    client->seat.client = client->number;
    memcpy(client->session, session->hash, sizeof client->session);
    crypto_native_random(client_nonce(client), KEY_BYTES);
    uint32_t number = client->number;
    struct person *person = client->person;
    if (wr_socket_accept(request, client)) {
        /* Nothing was opened, so no close callback comes. */
        handles_remove(&tracker->clients, number);
        person_release(tracker, person);
        free(client);
    }
}

static void upgrade(struct wr_request *request, void *context)
{
    struct tracker *tracker = context;
    if (!accounts_origin_good(tracker->accounts, request))
        wr_respond_error(request, 403, "This page belongs to another site.");
    else
        session_check(tracker->accounts, request, upgrade_found, tracker);
}

int sockets_open(struct tracker *tracker)
{
    struct wr_socket_handlers handlers = {
        .upgrade = upgrade,
        .open = on_open,
        .message = on_message,
        .drain = on_drain,
        .close = on_close,
        .message_bytes_max = BINARY_BYTES_MAX,
        .queue_bytes_max = QUEUE_BYTES_MAX,
        .queue_bytes_high = QUEUE_BYTES_HIGH,
        .ping_interval_ms = PING_INTERVAL_MS,
        .idle_timeout_ms = SILENCE_MS,
    };
    return wr_websocket(tracker->app, "/ws", &handlers, tracker) ? ERR_MEMORY : OK;
}

static void log_out_here(struct tracker *tracker, const uint8_t session[HASH_BYTES])
{
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        if (client->phase != CLIENT_LEAVING && memcmp(client->session, session, HASH_BYTES) == 0)
            client_goodbye(client, "logged-out", "You have logged out.", WR_CLOSE_NORMAL);
    }
    outlets_log_out(tracker, session);
}

void sockets_log_out(struct tracker *tracker, const uint8_t session[HASH_BYTES])
{
    log_out_here(tracker, session);
    peers_publish(tracker, PEERS_LOGGED_OUT, slice_of(session, HASH_BYTES));
}

void sockets_logged_out_elsewhere(struct tracker *tracker, uint32_t peer, slice session)
{
    (void)peer;
    if (session.len == HASH_BYTES) log_out_here(tracker, session.ptr);
}

void sockets_goodbye(struct tracker *tracker)
{
    struct client *client;
    for (size_t at = 0; (client = handles_next(&tracker->clients, &at));) {
        if (client->phase != CLIENT_LEAVING)
            goodbye(client, "shutting-down", "The server is shutting down.", WR_CLOSE_GOING_AWAY,
                    admission_spread_ms(tracker->clients.used));
    }
}
