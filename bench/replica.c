/* replica.c - how many entries a second the tracker's replica makes durable and acknowledges.
 *
 *   bench-replica tracker PORT DEVICES ENTRIES WINDOW   DEVICES accounts write ENTRIES entries in all
 *   bench-replica sqlite FILE ENTRIES                   the bare engine: one transaction for each row, FULL
 *
 * An entry counts when the replica's have-vector says so (ACTION_DELIVERED, role replica), that is after its
 * commit. Each device is the real core with a WebSocket of its own, and keeps at most WINDOW entries
 * unacknowledged. Signatures of entries that come back from the replica are not verified here: this process
 * stands for many machines and would be measured instead of the tracker. Prints one line of JSON. */
#include "client.h"

#include "base/cbor.h"
#include "base/hex.h"
#include "core/node.h"
#include "crypto/native.h"

#include <jansson.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEVICES_MAX = 256, LINK = 1, TEXT_BYTES = 120, OUT_BYTES_MAX = 256 * 1024 };

struct device {
    struct node *node;
    struct ws ws;
    char account[32];
    uint8_t seed[KEY_BYTES], channel[ID_BYTES];
    bool joined, writable, failed;
    uint64_t first_seq, written, acknowledged; /* of the measured entries; first_seq: the one before them */
    uint64_t *sent_us;                         /* for each measured entry */
    struct record *records;                    /* own entries, by seq - 1: the disk of this device */
    size_t records_len;
};

struct record {
    uint8_t *ptr;
    size_t len;
};

struct bench {
    struct crypto crypto;
    struct device devices[DEVICES_MAX];
    size_t count;
    uint64_t each, window;
    double *waits_ms;
    size_t waits;
    uint8_t body_bytes[TEXT_BYTES + 8];
    slice body;
};

static usec now_us(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (usec)t.tv_sec * SECONDS + (usec)t.tv_nsec / 1000;
}

static usec now(void)
{
    return now_us(CLOCK_REALTIME);
}

static bool trust(void *context, const uint8_t *signature, const uint8_t *key, slice message)
{
    (void)context, (void)signature, (void)key, (void)message;
    return true;
}

static int command(struct device *d, const struct command *c)
{
    int64_t rc = node_command(d->node, c, now());
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
static int say_hello(struct bench *b, struct device *d, const json_t *welcome)
{
    uint8_t proved[256], signature[SIGNATURE_BYTES];
    char device[2 * ID_BYTES + 1], proof[2 * SIGNATURE_BYTES + 1];
    size_t len;
    if (hex_member(welcome, "nonce", proved, 64, &len)) return -1;
    size_t id;
    if (hex_member(welcome, "tracker", proved + len, ID_BYTES, &id)) return -1;
    len += id;
    memcpy(proved + len, d->account, strlen(d->account));
    identity_sign(&b->crypto, d->seed, SLICE("weaprous.hello.1"), slice_of(proved, len + strlen(d->account)),
                  signature);
    hex_encode(slice_of(node_device(d->node), ID_BYTES), device);
    hex_encode(slice_of(signature, sizeof signature), proof);
    put_json(d, json_pack("{s:s,s:i,s:s,s:s,s:s}", "type", "hello", "id", 1, "device", device, "proof", proof,
                          "label", "bench"));
    return 0;
}

/* The answer to hello: takes the certificate, joins #general, opens the link to the replica. */
static int join(struct device *d, const json_t *welcome, const json_t *hello)
{
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX], tracker[ID_BYTES];
    size_t len, unused;
    const json_t *channel = json_array_get(json_object_get(welcome, "channels"), 0);
    const char *name = json_string_value(json_object_get(channel, "name"));
    if (hex_member(hello, "certificate", certificate, sizeof certificate, &len) ||
        hex_member(welcome, "tracker", tracker, sizeof tracker, &unused) ||
        hex_member(channel, "id", d->channel, sizeof d->channel, &unused))
        return -1;
    struct command certified = {.kind = COMMAND_CERTIFICATE, .bytes = slice_of(certificate, len)};
    struct command joined = {
        .kind = COMMAND_JOIN, .channel = d->channel, .device = tracker, .bytes = slice_text(name)};
    struct node_link link = {
        .path = PATH_TRACKER, .initiator = true, .expected = tracker, .binding = SLICE("tracker")};
    if (command(d, &certified) || command(d, &joined)) return -1;
    return node_link_up(d->node, LINK, &link, now());
}

static int on_text(struct bench *b, struct device *d, slice text, json_t **welcome)
{
    json_t *message = json_loadb((const char *)text.ptr, text.len, 0, NULL);
    const char *type = json_string_value(json_object_get(message, "type"));
    int rc = 0;
    if (type && strcmp(type, "welcome") == 0) {
        *welcome = json_incref(message);
        rc = say_hello(b, d, message);
    } else if (type && strcmp(type, "hello") == 0) {
        rc = join(d, *welcome, message);
    } else if (type && strcmp(type, "goodbye") == 0) {
        fprintf(stderr, "bench: the tracker said goodbye: %.*s\n", (int)text.len, (const char *)text.ptr);
        rc = -1;
    }
    json_decref(message);
    return rc;
}

static void on_acknowledged(struct bench *b, struct device *d, uint64_t seq)
{
    usec at = now_us(CLOCK_MONOTONIC);
    if (!d->sent_us) return;
    while (d->first_seq + d->acknowledged < seq && d->acknowledged < d->written)
        b->waits_ms[b->waits++] = (double)(at - d->sent_us[d->acknowledged++]) / 1000;
}

/* Keeps own entries, which the core may ask for again; those of others come from the replica. */
static int store(struct device *d, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    if (!entry->author || memcmp(entry->author, node_device(d->node), ID_BYTES) != 0) return OK;
    if (entry->seq != d->records_len + 1) return ERR_INVALID;
    struct record *grown = realloc(d->records, (d->records_len + 1) * sizeof *grown);
    if (grown) d->records = grown;
    uint8_t *copy = grown ? malloc(action->record.len) : NULL;
    if (!copy) return ERR_MEMORY;
    memcpy(copy, action->record.ptr, action->record.len);
    d->records[d->records_len++] = (struct record){copy, action->record.len};
    return OK;
}

static void read_back(struct device *d, const struct action *action)
{
    const struct entry_view *entry = &action->entry;
    bool own = memcmp(entry->author, node_device(d->node), ID_BYTES) == 0;
    if (!own || entry->seq > d->records_len) {
        node_done(d->node, action->token, ERR_NOT_FOUND, SLICE_EMPTY, now());
        return;
    }
    const struct record *record = &d->records[entry->seq - 1];
    node_done(d->node, action->token, OK, slice_of(record->ptr, record->len), now());
}

static void carry_out(struct bench *b, struct device *d)
{
    struct action action;
    while (node_next(d->node, &action)) {
        switch (action.kind) {
        case ACTION_STORE: node_done(d->node, action.token, store(d, &action), SLICE_EMPTY, now()); break;
        case ACTION_READ: read_back(d, &action); break;
        case ACTION_WRITABLE: d->writable = true; break;
        case ACTION_DELIVERED:
            if (action.role != ROLE_REPLICA) break;
            if (!d->joined) d->first_seq = action.seq;
            d->joined = true;
            on_acknowledged(b, d, action.seq);
            break;
        case ACTION_CLOSE:
            fprintf(stderr, "bench: link closed: %s: %.*s\n", err_text(action.result), (int)action.text.len,
                    (const char *)action.text.ptr);
            d->failed = true;
            break;
        default: break;
        }
    }
}

static void transmit(struct device *d)
{
    static uint8_t bytes[64 * 1024];
    while (d->writable && d->ws.out.len < OUT_BYTES_MAX) {
        size_t n = node_transmit(d->node, LINK, bytes, sizeof bytes, now());
        if (n) ws_put(&d->ws, WS_BINARY, SLICE("\0\0\0\0"), slice_of(bytes, n));
        d->writable = n > 0;
    }
}

static int receive(struct bench *b, struct device *d, slice bytes)
{
    while (bytes.len) {
        size_t used = 0;
        int rc = node_receive(d->node, LINK, bytes, now(), &used);
        carry_out(b, d);
        if (rc && rc != ERR_BUSY) return rc;
        bytes = slice_sub(bytes, used, bytes.len);
    }
    return 0;
}

static int read_frames(struct bench *b, struct device *d, json_t **welcome)
{
    uint8_t opcode;
    slice payload;
    if (ws_fill(&d->ws)) return -1;
    while (ws_next(&d->ws, &opcode, &payload)) {
        int rc = 0;
        if (opcode == WS_TEXT) rc = on_text(b, d, payload, welcome);
        if (opcode == WS_BINARY) rc = receive(b, d, slice_sub(payload, 4, payload.len));
        if (opcode == WS_PING) ws_put(&d->ws, WS_PONG, SLICE_EMPTY, payload);
        if (opcode == WS_CLOSE) rc = -1;
        if (rc) return rc;
    }
    return 0;
}

/* One turn for one device: what came in, what is to be written, what goes out. */
static int turn(struct bench *b, struct device *d, bool readable, json_t **welcome)
{
    /* The welcome may have come together with the answer to the handshake. */
    if ((readable || d->ws.in.len > d->ws.taken) && read_frames(b, d, welcome)) return -1;
    if (node_deadline(d->node) <= now()) node_tick(d->node, now());
    while (d->sent_us && d->written < b->each && d->written - d->acknowledged < b->window) {
        struct command send = {
            .kind = COMMAND_SEND, .channel = d->channel, .entry_kind = ENTRY_TEXT, .bytes = b->body};
        d->sent_us[d->written++] = now_us(CLOCK_MONOTONIC);
        if (command(d, &send)) return -1;
        carry_out(b, d);
    }
    carry_out(b, d);
    transmit(d);
    return d->failed ? -1 : ws_flush(&d->ws);
}

/* Turns until every device is done (joined, or acknowledged in full), at most 120 s. */
static int run(struct bench *b, json_t **welcomes, bool measuring)
{
    struct pollfd polled[DEVICES_MAX];
    usec deadline = now() + 120 * SECONDS;
    for (;;) {
        size_t done = 0;
        for (size_t i = 0; i < b->count; i++) {
            struct device *d = &b->devices[i];
            polled[i] =
                (struct pollfd){.fd = d->ws.fd, .events = (short)(d->ws.out.len ? POLLIN | POLLOUT : POLLIN)};
            done += measuring ? d->acknowledged == b->each : d->joined;
        }
        if (done == b->count) return 0;
        if (now() > deadline || poll(polled, b->count, 5) < 0) {
            fprintf(stderr, "bench: %zu of %zu devices were done in time\n", done, b->count);
            return -1;
        }
        for (size_t i = 0; i < b->count; i++)
            if (turn(b, &b->devices[i], polled[i].revents & (POLLIN | POLLHUP), &welcomes[i])) return -1;
    }
}

static int prepare(struct bench *b, struct device *d, size_t number, uint16_t port)
{
    char cookie[COOKIE_BYTES_MAX];
    struct node_config config = {.role = ROLE_PERSON};
    uint8_t suffix[4];
    crypto_native_random(suffix, sizeof suffix);
    crypto_native_random(d->seed, sizeof d->seed);
    crypto_native_random(config.random_seed, sizeof config.random_seed);
    memcpy(config.identity_seed, d->seed, sizeof d->seed);
    snprintf(d->account, sizeof d->account, "bench%zu-%02x%02x%02x%02x", number, suffix[0], suffix[1],
             suffix[2], suffix[3]);
    if (account_register(port, d->account, "bench-password", cookie) || ws_open(&d->ws, port, cookie))
        return -1;
    return node_create(&config, &allocator_libc, &b->crypto, now(), &d->node);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure_tracker(struct bench *b, uint16_t port, uint64_t entries)
{
    json_t *welcomes[DEVICES_MAX] = {NULL};
    int rc = 0;
    for (size_t i = 0; i < b->count && !rc; i++)
        rc = prepare(b, &b->devices[i], i, port);
    if (rc || run(b, welcomes, false)) return 1;
    b->each = entries / b->count;
    b->waits_ms = calloc(b->each * b->count, sizeof *b->waits_ms);
    for (size_t i = 0; i < b->count; i++)
        b->devices[i].sent_us = calloc(b->each, sizeof(uint64_t));
    usec began = now_us(CLOCK_MONOTONIC);
    if (run(b, welcomes, true)) return 1;
    double seconds = (double)(now_us(CLOCK_MONOTONIC) - began) / 1e6;
    qsort(b->waits_ms, b->waits, sizeof *b->waits_ms, by_value);
    printf("{\"entries\":%zu,\"devices\":%zu,\"seconds\":%.3f,\"per_second\":%.0f,\"p50_ms\":%.1f,\"p99_ms\":"
           "%.1f}\n",
           b->waits, b->count, seconds, (double)b->waits / seconds, b->waits_ms[b->waits / 2],
           b->waits_ms[b->waits * 99 / 100]);
    return 0;
}

/* Rows of the size that an entry has on the tracker's disk. */
static int measure_sqlite(const char *file, uint64_t entries)
{
    sqlite3 *db;
    sqlite3_stmt *insert;
    static uint8_t record[TEXT_BYTES + 220], id[ID_BYTES];
    if (sqlite3_open(file, &db) != SQLITE_OK ||
        sqlite3_exec(db,
                     "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                     "CREATE TABLE entries (channel BLOB, author BLOB, seq INTEGER, record BLOB,"
                     " PRIMARY KEY (channel, author, seq))",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "INSERT INTO entries VALUES (?1, ?1, ?2, ?3)", -1, &insert, NULL) !=
            SQLITE_OK) {
        fprintf(stderr, "bench: %s\n", sqlite3_errmsg(db));
        return 1;
    }
    usec began = now_us(CLOCK_MONOTONIC);
    for (uint64_t i = 0; i < entries; i++) {
        sqlite3_bind_blob(insert, 1, id, sizeof id, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 2, (sqlite3_int64)i);
        sqlite3_bind_blob(insert, 3, record, sizeof record, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) return 1;
        sqlite3_reset(insert);
    }
    double seconds = (double)(now_us(CLOCK_MONOTONIC) - began) / 1e6;
    sqlite3_finalize(insert);
    sqlite3_close(db);
    printf("{\"entries\":%llu,\"seconds\":%.3f,\"per_second\":%.0f}\n", (unsigned long long)entries, seconds,
           (double)entries / seconds);
    return 0;
}

int main(int argc, char **argv)
{
    static struct bench b;
    if (argc == 4 && strcmp(argv[1], "sqlite") == 0)
        return measure_sqlite(argv[2], strtoull(argv[3], NULL, 10));
    if (argc != 6 || strcmp(argv[1], "tracker") != 0) {
        fprintf(stderr, "usage: bench-replica tracker PORT DEVICES ENTRIES WINDOW | sqlite FILE ENTRIES\n");
        return 2;
    }
    b.count = strtoull(argv[3], NULL, 10);
    b.window = strtoull(argv[5], NULL, 10);
    if (!b.count || b.count > DEVICES_MAX || !b.window || crypto_native_start()) return 2;
    b.crypto = *crypto_native();
    b.crypto.verify = trust;
    uint8_t text[TEXT_BYTES];
    memset(text, 'x', sizeof text);
    struct writer body = writer_of(b.body_bytes, sizeof b.body_bytes);
    cbor_put_array(&body, 1);
    cbor_put_bytes(&body, slice_of(text, sizeof text));
    b.body = writer_slice(&body);
    return measure_tracker(&b, (uint16_t)strtoul(argv[2], NULL, 10), strtoull(argv[4], NULL, 10));
}
