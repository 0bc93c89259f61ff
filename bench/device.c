#include "device.h"

#include "base/hex.h"
#include "crypto/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OUT_BYTES_MAX (256 * 1024)

static usec now_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (usec)t.tv_sec * SECONDS + (usec)t.tv_nsec / 1000;
}

usec bench_now(void)
{
    return now_of(CLOCK_REALTIME);
}

usec bench_now_monotonic(void)
{
    return now_of(CLOCK_MONOTONIC);
}

static bool trust(void *context, const uint8_t *signature, const uint8_t *key, slice message)
{
    (void)context, (void)signature, (void)key, (void)message;
    return true;
}

int device_crypto(struct crypto *out)
{
    if (crypto_native_start()) return -1;
    *out = *crypto_native();
    out->verify = trust;
    return 0;
}

int device_command(struct device *d, const struct command *c)
{
    int64_t rc = node_command(d->node, c, bench_now());
    if (rc >= 0) return 0;
    fprintf(stderr, "bench: command %d: %s\n", (int)c->kind, err_text((int)rc));
    return -1;
}

static void put_json(struct device *d, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    ws_put(&d->ws, WS_TEXT, SLICE_EMPTY, slice_text(text));
    free(text);
    json_decref(message);
}

static int hex_member(const json_t *message, const char *key, uint8_t *out, size_t room, size_t *out_len)
{
    const char *text = json_string_value(json_object_get(message, key));
    size_t len = text ? strlen(text) / 2 : 0;
    if (!len || len > room || hex_decode(slice_text(text), out, len)) {
        fprintf(stderr, "bench: the tracker sent no usable \"%s\"\n", key);
        return -1;
    }
    *out_len = len;
    return 0;
}

/* welcome: shows the device's key to the tracker. */
static int say_hello(struct device *d)
{
    uint8_t proved[256], signature[SIGNATURE_BYTES];
    char device[2 * ID_BYTES + 1], proof[2 * SIGNATURE_BYTES + 1];
    size_t len;
    if (hex_member(d->welcome, "nonce", proved, 64, &len)) return -1;
    size_t id;
    if (hex_member(d->welcome, "tracker", proved + len, ID_BYTES, &id)) return -1;
    len += id;
    memcpy(proved + len, d->account, strlen(d->account));
    identity_sign(d->crypto, d->seed, SLICE("weaprous.hello.1"), slice_of(proved, len + strlen(d->account)),
                  signature);
    hex_encode(slice_of(node_device(d->node), ID_BYTES), device);
    hex_encode(slice_of(signature, sizeof signature), proof);
    put_json(d, json_pack("{s:s,s:i,s:s,s:s,s:s}", "type", "hello", "id", 1, "device", device, "proof", proof,
                          "label", "bench"));
    return 0;
}

int device_join(struct device *d)
{
    const json_t *channel = json_array_get(json_object_get(d->welcome, "channels"), 0);
    const char *name = json_string_value(json_object_get(channel, "name"));
    if (!name) return -1;
    struct command joined = {
        .kind = COMMAND_JOIN, .channel = d->channel, .device = d->tracker, .bytes = slice_text(name)};
    return device_command(d, &joined);
}

/* The answer to hello: takes the certificate, opens the link to the replica. */
static int begin(struct device *d, const json_t *hello)
{
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    size_t len, unused;
    const json_t *channel = json_array_get(json_object_get(d->welcome, "channels"), 0);
    if (hex_member(hello, "certificate", certificate, sizeof certificate, &len) ||
        hex_member(d->welcome, "tracker", d->tracker, sizeof d->tracker, &unused) ||
        hex_member(channel, "id", d->channel, sizeof d->channel, &unused))
        return -1;
    struct command certified = {.kind = COMMAND_CERTIFICATE, .bytes = slice_of(certificate, len)};
    struct node_link link = {
        .path = PATH_TRACKER, .initiator = true, .expected = d->tracker, .binding = SLICE("tracker")};
    if (device_command(d, &certified) || d->certified(d)) return -1;
    d->linked = true;
    return node_link_up(d->node, DEVICE_LINK, &link, bench_now());
}

static int on_text(struct device *d, slice text)
{
    json_t *message = json_loadb((const char *)text.ptr, text.len, 0, NULL);
    const char *type = json_string_value(json_object_get(message, "type"));
    int rc = 0;
    if (type && strcmp(type, "welcome") == 0 && !d->welcome) {
        d->welcome = json_incref(message);
        rc = say_hello(d);
    } else if (type && strcmp(type, "hello") == 0) {
        rc = begin(d, message);
    } else if (type && strcmp(type, "goodbye") == 0) {
        fprintf(stderr, "bench: the tracker said goodbye: %.*s\n", (int)text.len, (const char *)text.ptr);
        rc = -1;
    }
    json_decref(message);
    return rc;
}

/* Keeps own entries, which the core may ask for again; those of others come from the replica. */
static int store(struct device *d, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    if (!entry->author || memcmp(entry->author, node_device(d->node), ID_BYTES) != 0) return OK;
    if (entry->seq != d->records_len + 1) return ERR_INVALID;
    struct device_record *grown = realloc(d->records, (d->records_len + 1) * sizeof *grown);
    if (grown) d->records = grown;
    uint8_t *copy = grown ? malloc(action->record.len) : NULL;
    if (!copy) return ERR_MEMORY;
    memcpy(copy, action->record.ptr, action->record.len);
    d->records[d->records_len++] = (struct device_record){copy, action->record.len};
    return OK;
}

static void read_back(struct device *d, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    bool own = memcmp(entry->author, node_device(d->node), ID_BYTES) == 0;
    if (!own || entry->seq > d->records_len) {
        node_done(d->node, action->token, ERR_NOT_FOUND, SLICE_EMPTY, bench_now());
        return;
    }
    const struct device_record *record = &d->records[entry->seq - 1];
    node_done(d->node, action->token, OK, slice_of(record->ptr, record->len), bench_now());
}

static void carry_out(struct device *d)
{
    struct action action;
    while (node_next(d->node, &action)) {
        switch (action.kind) {
        case ACTION_STORE:
            node_done(d->node, action.token, store(d, &action), SLICE_EMPTY, bench_now());
            break;
        case ACTION_READ: read_back(d, &action); break;
        case ACTION_WRITABLE: d->writable = true; break;
        case ACTION_CLOSE:
            fprintf(stderr, "bench: link closed: %s: %.*s\n", err_text(action.result), (int)action.text.len,
                    (const char *)action.text.ptr);
            d->failed = true;
            break;
        default: break;
        }
        if (d->action) d->action(d, &action);
    }
}

static void transmit(struct device *d)
{
    static uint8_t bytes[64 * 1024];
    while (d->writable && d->ws.out.len < OUT_BYTES_MAX) {
        size_t n = node_transmit(d->node, DEVICE_LINK, bytes, sizeof bytes, bench_now());
        if (n) ws_put(&d->ws, WS_BINARY, SLICE("\0\0\0\0"), slice_of(bytes, n));
        d->writable = n > 0;
    }
}

static int receive(struct device *d, slice bytes)
{
    while (bytes.len) {
        size_t used = 0;
        int rc = node_receive(d->node, DEVICE_LINK, bytes, bench_now(), &used);
        carry_out(d);
        if (rc && rc != ERR_BUSY) return rc;
        bytes = slice_sub(bytes, used, bytes.len);
    }
    return 0;
}

static int read_frames(struct device *d)
{
    uint8_t opcode;
    slice payload;
    if (ws_fill(&d->ws)) return -1;
    while (ws_next(&d->ws, &opcode, &payload)) {
        int rc = 0;
        if (opcode == WS_TEXT) rc = on_text(d, payload);
        if (opcode == WS_BINARY) rc = receive(d, slice_sub(payload, 4, payload.len));
        if (opcode == WS_PING) ws_put(&d->ws, WS_PONG, SLICE_EMPTY, payload);
        if (opcode == WS_CLOSE) rc = -1;
        if (rc) return rc;
    }
    return 0;
}

int device_open(struct device *d, uint16_t port, const char *cookie)
{
    struct node_config config = {.role = ROLE_PERSON};
    crypto_native_random(config.random_seed, sizeof config.random_seed);
    memcpy(config.identity_seed, d->seed, sizeof d->seed);
    if (ws_open(&d->ws, port, cookie)) return -1;
    return node_create(&config, &allocator_libc, d->crypto, bench_now(), &d->node);
}

void device_close(struct device *d)
{
    for (size_t i = 0; i < d->records_len; i++)
        free(d->records[i].ptr);
    free(d->records);
    node_destroy(d->node);
    ws_close(&d->ws);
    json_decref(d->welcome);
}

int device_read(struct device *d, bool readable)
{
    /* The welcome may have come together with the answer to the handshake. */
    if ((readable || d->ws.in.len > d->ws.taken) && read_frames(d)) return -1;
    if (node_deadline(d->node) <= bench_now()) node_tick(d->node, bench_now());
    carry_out(d);
    return 0;
}

int device_write(struct device *d)
{
    carry_out(d);
    transmit(d);
    return d->failed ? -1 : ws_flush(&d->ws);
}
