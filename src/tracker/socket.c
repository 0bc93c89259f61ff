#include "tracker/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "crypto/native.h"
#include "tracker/call.h"
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

bool client_send(struct client *client, json_t *json)
{
    int64_t queued = json ? wr_socket_send_json(client->socket, json) : WR_MEMORY;
    json_decref(json);
    if (queued == WR_FULL || queued == WR_MEMORY)
        wr_socket_close(client->socket, WR_CLOSE_POLICY, "too slow: what was sent to you was not taken");
    return queued >= 0;
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

void client_goodbye(struct client *client, const char *reason, const char *message, int code)
{
    client_send(client, json_pack("{s:s,s:s,s:s}", "type", "goodbye", "reason", reason, "message", message));
    leave(client);
    wr_socket_close(client->socket, code, reason);
}

bool client_is_full(const struct client *client)
{
    return wr_socket_queued(client->socket) >= QUEUE_BYTES_HIGH;
}

void client_pause(struct client *client, enum client_pause why)
{
    if (!client->pauses) wr_socket_pause(client->socket);
    client->pauses |= why;
}

void client_resume(struct client *client, enum client_pause why)
{
    if (!(client->pauses & why)) return;
    client->pauses &= ~(unsigned)why;
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
    if (!here && !out->there) {
        client_refuse(client, type, id, "That device is not online.");
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
    if (was_online && sockets_online(tracker, client->device) == client) {
        map_remove(&tracker->online, client->device);
        if (!tracker->stopping) presence_changed(client, false);
    }
}

void socket_replaced(struct client *client)
{
    map_remove(&client->tracker->online,
               client->device); /* so that nobody is told that the device went away */
    client_goodbye(client, "replaced", "This device has connected again.", WR_CLOSE_NORMAL);
}

static void go_online(struct client *client, slice certificate, uint64_t expires_ms)
{
    struct tracker *tracker = client->tracker;
    struct client *older = sockets_online(tracker, client->device);
    if (older) socket_replaced(older);
    if (map_set(&tracker->online, client->device, client->number)) {
        client_fail(client, "the server has no room for more devices");
        return;
    }
    char text[2 * NODE_CERTIFICATE_BYTES_MAX + 1];
    hex_encode(certificate, text);
    uint64_t now_ms = tracker_now_ms(tracker);
    client->phase = CLIENT_ONLINE;
    client->since_ms = now_ms;
    client_answer(
        client, "hello", client->hello_id,
        json_pack("{s:s,s:I}", "certificate", text, "expires_s", (json_int_t)((expires_ms - now_ms) / 1000)));
    presence_send_all(client);
    presence_changed(client, true);
}

/* --- hello --- */

struct claim {
    struct tracker *tracker;
    uint32_t client;
};

static void claimed(void *context, int result, const struct store_row *row)
{
    struct claim *claim = context;
    struct tracker *tracker = claim->tracker;
    struct client *client = handles_get(&tracker->clients, claim->client);
    free(claim);
    if (!client || client->phase != CLIENT_PROVING) return;
    if (!result && row->record.len <= NODE_CERTIFICATE_BYTES_MAX) {
        go_online(client, row->record, row->expires_ms);
        return;
    }
    client->phase = CLIENT_GREETED;
    const char *message = "The server could not keep the certificate: try again later.";
    if (result == ERR_DENIED)
        message = "This device belongs to another account of this server.";
    else if (result == ERR_FULL)
        message = "This account has too many devices.";
    else
        tracker_log_some(tracker, LOG_STORE, "a certificate was not kept: %s", err_text(result));
    client_refuse(client, "hello", client->hello_id, message);
}

static bool proof_is_good(const struct client *client, const uint8_t signature[SIGNATURE_BYTES])
{
    uint8_t room[KEY_BYTES + ID_BYTES + NODE_NAME_BYTES_MAX];
    struct writer w = writer_of(room, sizeof room);
    writer_put(&w, slice_of(client->nonce, sizeof client->nonce));
    /* Names this tracker, so that another one cannot pass the proof on. */
    writer_put(&w, slice_of(client->tracker->device, ID_BYTES));
    writer_put(&w, slice_text(client->name));
    return identity_verify(crypto_native(), client->device, SLICE("weaprous.hello.1"), writer_slice(&w),
                           signature);
}

/* Issues a certificate and asks the store to keep it, unless an older one is good for long enough. */
static int claim_device(struct client *client)
{
    struct tracker *tracker = client->tracker;
    uint64_t now_ms = tracker_now_ms(tracker);
    struct certificate fields = {.account = slice_text(client->name),
                                 .device = client->device,
                                 .authority = tracker->device,
                                 .issued_s = now_ms / 1000,
                                 .expires_s = (now_ms + CERTIFICATE_LIFE_MS) / 1000};
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    int len = certificate_write(crypto_native(), &fields, tracker->seed, certificate, sizeof certificate);
    if (len < 0) return len;
    struct claim *claim = calloc(1, sizeof *claim);
    if (!claim) return ERR_MEMORY;
    *claim = (struct claim){tracker, client->number};
    struct store_row row = {.device = client->device,
                            .account = client->account,
                            .record = slice_of(certificate, (size_t)len),
                            .time_ms = now_ms,
                            .expires_ms = fields.expires_s * 1000,
                            .renew_ms = now_ms + CERTIFICATE_LIFE_MS / 2};
    int err = store_submit(tracker->store, STORE_DEVICE_CLAIM, &row, claimed, claim);
    if (err) free(claim);
    return err;
}

/* What a device calls itself, shown to others: no control characters, cut to its limit. */
static void keep_label(struct client *client, const json_t *label)
{
    slice rest =
        json_is_string(label) ? slice_of(json_string_value(label), json_string_length(label)) : SLICE_EMPTY;
    struct writer w = writer_of(client->label, sizeof client->label - 1);
    uint32_t point;
    for (size_t i = 0; i < LABEL_LETTERS_MAX; i++) {
        slice before = rest;
        if (utf8_next(&rest, &point) || before.len - rest.len > w.cap - w.len) break;
        bool control = point < 0x20 || (point >= 0x7f && point < 0xa0) ||
                       (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
                       (point >= 0x2060 && point <= 0x206f);
        if (!control) writer_put(&w, slice_of(before.ptr, before.len - rest.len));
    }
    client->label[w.len] = '\0';
}

static void hello_message(struct client *client, const json_t *message, json_int_t id)
{
    if (client->phase != CLIENT_GREETED) {
        client_refuse(client, "hello", id, "This socket has said hello already.");
        return;
    }
    const json_t *device = json_object_get(message, "device"), *proof = json_object_get(message, "proof");
    uint8_t signature[SIGNATURE_BYTES];
    if (!json_is_string(device) || !json_is_string(proof) ||
        hex_decode(slice_of(json_string_value(device), json_string_length(device)), client->device,
                   ID_BYTES) ||
        hex_decode(slice_of(json_string_value(proof), json_string_length(proof)), signature,
                   sizeof signature)) {
        client_refuse(client, "hello", id,
                      "\"device\" and \"proof\" must be hexadecimal, 64 and 128 digits.");
        return;
    }
    if (!proof_is_good(client, signature)) {
        tracker_log_some(client->tracker, LOG_HELLO, "a device could not prove its key (account %s, from %s)",
                         client->name, wr_socket_address(client->socket));
        client_refuse(client, "hello", id, "The proof is false: this device key was not shown to be yours.");
        return;
    }
    hex_encode(slice_of(client->device, ID_BYTES), client->device_text);
    keep_label(client, json_object_get(message, "label"));
    client->hello_id = id;
    client->phase = CLIENT_PROVING;
    int err = claim_device(client);
    if (err) {
        client->phase = CLIENT_GREETED;
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
    if (client->presence_stale) presence_send_all(client);
    relay_drained(client);
    replica_drained(client);
}

static void on_close(struct wr_socket *socket, int code, const char *reason, void *context)
{
    (void)code, (void)reason, (void)context;
    struct client *client = wr_socket_user(socket);
    leave(client);
    handles_remove(&client->tracker->clients, client->number);
    buffer_reset(&client->held);
    free(client->relays);
    free(client);
}

static void on_open(struct wr_socket *socket, void *context)
{
    struct tracker *tracker = context;
    struct client *client = wr_socket_user(socket);
    client->socket = socket;
    char nonce[2 * KEY_BYTES + 1];
    hex_encode(slice_of(client->nonce, sizeof client->nonce), nonce);
    channels_welcome(client, json_pack("{s:s,s:s,s:s,s:s,s:I,s:s}", "type", "welcome", "tracker",
                                       tracker->device_text, "account", client->name, "nonce", nonce,
                                       "time_ms", (json_int_t)tracker_now_ms(tracker), "version",
                                       wr_version()));
}

static void upgrade_found(void *context, struct wr_request *request, int result,
                          const struct session *session)
{
    struct tracker *tracker = context;
    if (result == ERR_NOT_FOUND) {
        wr_respond_error(request, 401, "You are not logged in.");
        return;
    }
    struct client *client = result ? NULL : calloc(1, sizeof *client);
    if (!result && !client) result = ERR_MEMORY;
    if (!result && tracker->stopping) result = ERR_CLOSED;
    if (!result) result = handles_add(&tracker->clients, client, &client->number);
    if (result) {
        free(client);
        accounts_failed(tracker->accounts, request, result);
        return;
    }
    client->tracker = tracker;
    client->account = session->account;
    client->role = session->role;
    memcpy(client->session, session->hash, sizeof client->session);
    memcpy(client->name, session->name.ptr, session->name.len); /* at most ACCOUNT_NAME_BYTES_MAX */
    crypto_native_random(client->nonce, sizeof client->nonce);
    buffer_init(&client->held, &allocator_libc, BINARY_BYTES_MAX);
    uint32_t number = client->number;
    if (wr_socket_accept(request, client)) {
        /* Nothing was opened, so no close callback comes. */
        handles_remove(&tracker->clients, number);
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
            client_goodbye(client, "shutting-down", "The server is shutting down.", WR_CLOSE_GOING_AWAY);
    }
}
