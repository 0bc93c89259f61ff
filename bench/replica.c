/* replica.c - how many entries a second the tracker's replica makes durable and acknowledges.
 *
 *   bench-replica tracker PORT DEVICES ENTRIES WINDOW   DEVICES accounts write ENTRIES entries in all
 *   bench-replica sqlite FILE ENTRIES                   the bare engine: one transaction for each row, FULL
 *
 * An entry counts when the replica's have-vector says so (ACTION_DELIVERED, role replica), that is after its
 * commit. Each device is the real core with a WebSocket of its own, and keeps at most WINDOW entries
 * unacknowledged. Signatures of entries that come back from the replica are not verified here: this process
 * stands for many machines and would be measured instead of the tracker. Prints one line of JSON. */
#include "device.h"

#include "base/cbor.h"
#include "crypto/native.h"

#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 256, TEXT_BYTES = 120 };

struct bench;

struct writing {
    struct device device; /* the first: actions come with it */
    struct bench *bench;
    bool joined;
    uint64_t first_seq, written, acknowledged; /* of the measured entries; first_seq: the one before them */
    uint64_t *sent_us;                         /* for each measured entry */
};

struct bench {
    struct crypto crypto;
    struct writing devices[DEVICES_MAX];
    size_t count;
    uint64_t each, window;
    double *waits_ms;
    size_t waits;
    uint8_t body_bytes[TEXT_BYTES + 8];
    slice body;
};

static void on_action(struct device *device, const struct action *action)
{
    struct writing *w = (struct writing *)device;
    struct bench *b = w->bench;
    if (action->kind != ACTION_DELIVERED || action->role != ROLE_REPLICA) return;
    if (!w->joined) w->first_seq = action->seq;
    w->joined = true;
    usec at = bench_now_monotonic();
    while (w->sent_us && w->first_seq + w->acknowledged < action->seq && w->acknowledged < w->written)
        b->waits_ms[b->waits++] = (double)(at - w->sent_us[w->acknowledged++]) / 1000;
}

/* One turn for one device: what came in, what is to be written, what goes out. */
static int turn(struct bench *b, struct writing *w, bool readable)
{
    if (device_read(&w->device, readable)) return -1;
    while (w->sent_us && w->written < b->each && w->written - w->acknowledged < b->window) {
        struct command send = {
            .kind = COMMAND_SEND, .channel = w->device.channel, .entry_kind = ENTRY_TEXT, .bytes = b->body};
        w->sent_us[w->written++] = bench_now_monotonic();
        if (device_command(&w->device, &send)) return -1;
        if (device_write(&w->device)) return -1;
    }
    return device_write(&w->device);
}

/* Turns until every device is done (joined, or acknowledged in full), at most 120 s. */
static int run(struct bench *b, bool measuring)
{
    struct pollfd polled[DEVICES_MAX];
    usec deadline = bench_now() + 120 * SECONDS;
    for (;;) {
        size_t done = 0;
        for (size_t i = 0; i < b->count; i++) {
            struct writing *w = &b->devices[i];
            short events = (short)(w->device.ws.out.len ? POLLIN | POLLOUT : POLLIN);
            polled[i] = (struct pollfd){.fd = w->device.ws.fd, .events = events};
            done += measuring ? w->acknowledged == b->each : w->joined;
        }
        if (done == b->count) return 0;
        if (bench_now() > deadline || poll(polled, b->count, 5) < 0) {
            fprintf(stderr, "bench: %zu of %zu devices were done in time\n", done, b->count);
            return -1;
        }
        for (size_t i = 0; i < b->count; i++)
            if (turn(b, &b->devices[i], polled[i].revents & (POLLIN | POLLHUP))) return -1;
    }
}

static int prepare(struct bench *b, struct writing *w, size_t number, uint16_t port)
{
    char cookie[COOKIE_BYTES_MAX];
    uint8_t suffix[4];
    crypto_native_random(suffix, sizeof suffix);
    w->bench = b;
    w->device = (struct device){.crypto = &b->crypto, .certified = device_join, .action = on_action};
    crypto_native_random(w->device.seed, sizeof w->device.seed);
    snprintf(w->device.account, sizeof w->device.account, "bench%zu-%02x%02x%02x%02x", number, suffix[0],
             suffix[1], suffix[2], suffix[3]);
    if (account_register(port, w->device.account, "bench-password", cookie)) return -1;
    return device_open(&w->device, port, cookie);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure_tracker(struct bench *b, uint16_t port, uint64_t entries)
{
    int rc = 0;
    for (size_t i = 0; i < b->count && !rc; i++)
        rc = prepare(b, &b->devices[i], i, port);
    if (rc || run(b, false)) return 1;
    b->each = entries / b->count;
    b->waits_ms = calloc(b->each * b->count, sizeof *b->waits_ms);
    for (size_t i = 0; i < b->count; i++)
        b->devices[i].sent_us = calloc(b->each, sizeof(uint64_t));
    usec began = bench_now_monotonic();
    if (run(b, true)) return 1;
    double seconds = (double)(bench_now_monotonic() - began) / 1e6;
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
    usec began = bench_now_monotonic();
    for (uint64_t i = 0; i < entries; i++) {
        sqlite3_bind_blob(insert, 1, id, sizeof id, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 2, (sqlite3_int64)i);
        sqlite3_bind_blob(insert, 3, record, sizeof record, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE) return 1;
        sqlite3_reset(insert);
    }
    double seconds = (double)(bench_now_monotonic() - began) / 1e6;
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
    if (!b.count || b.count > DEVICES_MAX || !b.window || device_crypto(&b.crypto)) return 2;
    uint8_t text[TEXT_BYTES];
    memset(text, 'x', sizeof text);
    struct writer body = writer_of(b.body_bytes, sizeof b.body_bytes);
    cbor_put_array(&body, 1);
    cbor_put_bytes(&body, slice_of(text, sizeof text));
    b.body = writer_slice(&body);
    return measure_tracker(&b, (uint16_t)strtoul(argv[2], NULL, 10), strtoull(argv[4], NULL, 10));
}
