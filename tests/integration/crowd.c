/* crowd.c - many devices that write through the tracker, lose it, and find it again: the load of the crash
 * tests.
 *
 *   crowd PORTS ACCOUNTS DEVICES PAUSE_MS
 *
 * PORTS: of the trackers, with commas; a device tries one after the other. Each device is the real core with
 * a WebSocket of its own, and writes a message every PAUSE_MS on average. A message counts as acknowledged
 * when the replica's have-vector says so, that is after its commit. Signatures of others' entries are not
 * verified: the process stands for many machines.
 *
 * Commands on standard input, a line each, are answered with a line of JSON:
 *   report   what each device has written, and up to which number of its feed all is acknowledged; and, when
 *            the replica took the newest first, from where to where that is
 *   wait     the same, once all are online and everything is acknowledged; nobody writes meanwhile
 *   read     a new device reads everything: which messages it got, and how often
 *   ports P  other ports from now on
 * The first line, {"ready":true}, comes once all are online. Ends with standard input. */
#include "client.h"

#include "base/cbor.h"
#include "base/hex.h"
#include "base/map.h"
#include "core/node.h"
#include "crypto/native.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    DEVICES_MAX = 257, /* the last one is the reader */
    ACCOUNTS_MAX = 32,
    PORTS_MAX = 8,
    LINK = 1,
    OUT_BYTES_MAX = 256 * 1024,
    MESSAGES_MAX = 1 << 20, /* of all devices together, told apart by the reader */
    LATENCIES_MAX = 1 << 18,
};
#define RETRY_US ((usec)100 * 1000)
#define RELINK_US ((usec)200 * 1000)
#define GREET_US ((usec)5 * SECONDS)

enum phase { AWAY, GREETING, ONLINE };

struct record {
    uint8_t *ptr;
    size_t len;
};

struct device {
    struct crowd *crowd;
    size_t index, account;
    struct node *node;
    struct ws ws;
    enum phase phase;
    uint16_t port; /* of the tracker where it is */
    uint8_t seed[KEY_BYTES], channel[ID_BYTES], tracker[ID_BYTES];
    json_t *welcome;
    bool joined, linked, writable;
    usec next_us; /* when it is to connect, or to give up, or to begin the link again */
    usec write_us;
    uint64_t acknowledged;        /* everything up to this number of its feed */
    uint64_t newest_from, newest; /* these, too, when the replica takes the newest first */
    struct record *records;       /* the disk of this device */
    struct map places;
    size_t records_len;
    unsigned turns; /* which port is tried next */
};

struct crowd {
    struct crypto crypto;
    struct device devices[DEVICES_MAX];
    size_t count;
    uint16_t ports[PORTS_MAX];
    size_t port_count;
    char cookies[ACCOUNTS_MAX][COOKIE_BYTES_MAX], names[ACCOUNTS_MAX][48];
    size_t accounts;
    usec pause_us;
    uint64_t random;
    bool quiet;    /* nobody writes */
    uint8_t *read; /* how often the reader got each message, by number */
    uint64_t messages;
    struct latencies {
        float *ms;
        size_t count;
    } across, beside; /* of messages from a device at another tracker, or at the same one */
    char line[256];
    size_t line_len;
};

static usec now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (usec)t.tv_sec * SECONDS + (usec)t.tv_nsec / 1000;
}

static bool trust(void *context, const uint8_t *signature, const uint8_t *key, slice message)
{
    (void)context, (void)signature, (void)key, (void)message;
    return true;
}

static uint64_t random_below(struct crowd *crowd, uint64_t bound)
{
    crowd->random = crowd->random * 6364136223846793005u + 1442695040888963407u;
    return (crowd->random >> 33) % bound;
}

static void command(struct device *d, const struct command *c)
{
    int64_t rc = node_command(d->node, c, now());
    if (rc >= 0 || rc == ERR_EXISTS || rc == ERR_BUSY) return;
    fprintf(stderr, "crowd: command %d: %s\n", (int)c->kind, err_text((int)rc));
}

static void leave(struct device *d, usec pause_us)
{
    if (d->linked) node_link_down(d->node, LINK, now());
    if (d->phase != AWAY) ws_close(&d->ws);
    json_decref(d->welcome);
    d->welcome = NULL;
    d->linked = d->writable = false;
    d->phase = AWAY;
    d->next_us = now() + pause_us / 2 + random_below(d->crowd, pause_us);
}

/* --- the tracker's socket --- */

static void put_json(struct device *d, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    ws_put(&d->ws, WS_TEXT, SLICE_EMPTY, slice_text(text));
    free(text);
    json_decref(message);
}

static bool hex_member(const json_t *message, const char *key, uint8_t *out, size_t room, size_t *out_len)
{
    const char *text = json_string_value(json_object_get(message, key));
    size_t len = text ? strlen(text) / 2 : 0;
    *out_len = len;
    return len && len <= room && !hex_decode(slice_text(text), out, len);
}

static bool say_hello(struct device *d)
{
    uint8_t proved[256], signature[SIGNATURE_BYTES];
    char id[2 * ID_BYTES + 1], proof[2 * SIGNATURE_BYTES + 1];
    size_t nonce, tracker, name = strlen(d->crowd->names[d->account]);
    if (!hex_member(d->welcome, "nonce", proved, 64, &nonce) ||
        !hex_member(d->welcome, "tracker", proved + nonce, ID_BYTES, &tracker))
        return false;
    memcpy(proved + nonce + tracker, d->crowd->names[d->account], name);
    identity_sign(&d->crowd->crypto, d->seed, SLICE("weaprous.hello.1"),
                  slice_of(proved, nonce + tracker + name), signature);
    hex_encode(slice_of(node_device(d->node), ID_BYTES), id);
    hex_encode(slice_of(signature, sizeof signature), proof);
    put_json(d, json_pack("{s:s,s:i,s:s,s:s,s:s}", "type", "hello", "id", 1, "device", id, "proof", proof,
                          "label", "crowd"));
    return true;
}

static void link_up(struct device *d)
{
    struct node_link link = {
        .path = PATH_TRACKER, .initiator = true, .expected = d->tracker, .binding = SLICE("tracker")};
    d->linked = !node_link_up(d->node, LINK, &link, now());
}

static bool join(struct device *d, const json_t *hello)
{
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    size_t len, unused;
    const json_t *channel = json_array_get(json_object_get(d->welcome, "channels"), 0);
    const char *name = json_string_value(json_object_get(channel, "name"));
    if (!name || !hex_member(hello, "certificate", certificate, sizeof certificate, &len) ||
        !hex_member(d->welcome, "tracker", d->tracker, ID_BYTES, &unused) ||
        !hex_member(channel, "id", d->channel, ID_BYTES, &unused))
        return false;
    command(d, &(struct command){.kind = COMMAND_CERTIFICATE, .bytes = slice_of(certificate, len)});
    command(
        d, &(struct command){
               .kind = COMMAND_JOIN, .channel = d->channel, .device = d->tracker, .bytes = slice_text(name)});
    d->joined = true;
    d->phase = ONLINE;
    link_up(d);
    return true;
}

/* False: the socket is of no use any more. */
static bool on_text(struct device *d, slice text)
{
    json_t *message = json_loadb((const char *)text.ptr, text.len, 0, NULL);
    const char *type = json_string_value(json_object_get(message, "type"));
    bool good = type != NULL;
    if (good && strcmp(type, "welcome") == 0) {
        d->welcome = json_incref(message);
        good = say_hello(d);
    } else if (good && strcmp(type, "hello") == 0) {
        good = d->welcome && join(d, message);
    } else if (good && strcmp(type, "relay-close") == 0) { /* of the replica: it has moved, or will */
        if (d->linked) node_link_down(d->node, LINK, now());
        d->linked = d->writable = false;
        d->next_us = now() + RELINK_US / 2 + random_below(d->crowd, RELINK_US);
    } else if (good && strcmp(type, "goodbye") == 0) {
        good = false;
    }
    json_decref(message);
    return good;
}

/* --- the core --- */

static bool is_reader(const struct device *d)
{
    return d == &d->crowd->devices[d->crowd->count];
}

/* Where an entry stands in d->records. Those of others come from the replica, and only the reader keeps them.
 */
static void key_of(const struct entry_view *entry, uint8_t out[MAP_KEY_BYTES])
{
    memcpy(out, entry->author, ID_BYTES);
    for (int i = 0; i < 8; i++)
        out[i] ^= (uint8_t)(entry->seq >> 8 * i);
}

static int store(struct device *d, const struct action *action)
{
    uint8_t key[MAP_KEY_BYTES];
    const struct entry_view *entry = &action->entry;
    if (!entry->author || (!is_reader(d) && memcmp(entry->author, node_device(d->node), ID_BYTES) != 0))
        return OK;
    struct record *grown = realloc(d->records, (d->records_len + 1) * sizeof *grown);
    if (grown) d->records = grown;
    uint8_t *copy = grown ? malloc(action->record.len) : NULL;
    if (!copy) return ERR_MEMORY;
    memcpy(copy, action->record.ptr, action->record.len);
    key_of(entry, key);
    if (map_set(&d->places, key, (uint32_t)d->records_len)) return ERR_MEMORY;
    d->records[d->records_len++] = (struct record){copy, action->record.len};
    return OK;
}

static void read_back(struct device *d, const struct action *action)
{
    uint8_t key[MAP_KEY_BYTES];
    uint32_t place;
    key_of(&action->entry, key);
    bool found = map_get(&d->places, key, &place);
    node_done(d->node, action->token, found ? OK : ERR_NOT_FOUND,
              found ? slice_of(d->records[place].ptr, d->records[place].len) : SLICE_EMPTY, now());
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* "crowd NUMBER PORT MICROSECONDS": the number among all messages, where its writer was, when. */
static void delivered(struct device *d, const struct entry_view *entry)
{
    struct crowd *crowd = d->crowd;
    struct cbor_reader r = {entry->body, false};
    if (entry->kind != ENTRY_TEXT || !cbor_array(&r, 16)) return;
    slice text = cbor_bytes(&r, 256);
    char words[257] = "";
    unsigned long long number, port, sent;
    if (text.len) memcpy(words, text.ptr, text.len);
    if (sscanf(words, "crowd %llu %llu %llu", &number, &port, &sent) != 3) return;
    if (is_reader(d)) {
        if (number < MESSAGES_MAX && crowd->read[number] < 255) crowd->read[number]++;
    } else if (entry->path != PATH_NONE) {
        struct latencies *l = port != d->port ? &crowd->across : &crowd->beside;
        if (l->count < LATENCIES_MAX) l->ms[l->count++] = (float)(now() - sent) / 1000;
    }
}

static void acknowledged(struct device *d, uint64_t from, uint64_t seq)
{
    if (from > d->acknowledged + 1) {
        d->newest_from = from;
        d->newest = seq;
    } else if (seq > d->acknowledged) {
        d->acknowledged = seq;
    }
}

static void carry_out(struct device *d)
{
    struct action action;
    while (node_next(d->node, &action)) {
        switch (action.kind) {
        case ACTION_STORE: node_done(d->node, action.token, store(d, &action), SLICE_EMPTY, now()); break;
        case ACTION_READ: read_back(d, &action); break;
        case ACTION_WRITABLE: d->writable = true; break;
        case ACTION_DELIVER: delivered(d, &action.entry); break;
        case ACTION_DELIVERED:
            if (action.role == ROLE_REPLICA) acknowledged(d, action.from, action.seq);
            break;
        case ACTION_CLOSE:
            d->linked = d->writable = false;
            d->next_us = now(); /* the socket is left and opened again */
            if (d->phase == ONLINE) d->phase = GREETING;
            break;
        case ACTION_CONNECT: {
            uint8_t device[ID_BYTES];
            memcpy(device, action.device, sizeof device);
            command(d,
                    &(struct command){.kind = COMMAND_CONNECT_FAILED, .device = device, .path = action.path});
            break;
        }
        default: break;
        }
    }
}

static void receive(struct device *d, slice bytes)
{
    while (bytes.len && d->linked) {
        size_t used = 0;
        int rc = node_receive(d->node, LINK, bytes, now(), &used);
        carry_out(d);
        if (rc && rc != ERR_BUSY) return;
        bytes = slice_sub(bytes, used, bytes.len);
    }
}

static bool read_frames(struct device *d)
{
    uint8_t opcode;
    slice payload;
    bool open = !ws_fill(&d->ws);
    while (ws_next(&d->ws, &opcode, &payload)) { /* what came before the end counts */
        if (opcode == WS_TEXT && !on_text(d, payload)) return false;
        if (opcode == WS_BINARY) receive(d, slice_sub(payload, 4, payload.len));
        if (opcode == WS_PING) ws_put(&d->ws, WS_PONG, SLICE_EMPTY, payload);
        if (opcode == WS_CLOSE) return false;
    }
    return open;
}

static void transmit(struct device *d)
{
    static uint8_t bytes[64 * 1024];
    while (d->linked && d->writable && d->ws.out.len < OUT_BYTES_MAX) {
        size_t n = node_transmit(d->node, LINK, bytes, sizeof bytes, now());
        if (n) ws_put(&d->ws, WS_BINARY, SLICE("\0\0\0\0"), slice_of(bytes, n));
        d->writable = n > 0;
    }
}

/* --- one device --- */

static void write_message(struct device *d)
{
    struct crowd *crowd = d->crowd;
    char text[96];
    uint8_t room[128];
    struct writer body = writer_of(room, sizeof room);
    if (crowd->messages >= MESSAGES_MAX) return;
    int len = snprintf(text, sizeof text, "crowd %llu %u %llu", (unsigned long long)crowd->messages++,
                       (unsigned)d->port, (unsigned long long)now());
    cbor_put_array(&body, 1);
    cbor_put_bytes(&body, slice_of(text, (size_t)len));
    d->write_us = now() + crowd->pause_us / 2 + random_below(crowd, crowd->pause_us + 1);
    command(d, &(struct command){.kind = COMMAND_SEND,
                                 .channel = d->channel,
                                 .entry_kind = ENTRY_TEXT,
                                 .bytes = writer_slice(&body)});
}

static void dial(struct device *d)
{
    struct crowd *crowd = d->crowd;
    d->port = crowd->ports[(d->index + d->turns) % crowd->port_count];
    if (ws_open(&d->ws, d->port, crowd->cookies[d->account])) {
        d->turns++;
        d->next_us = now() + RETRY_US / 2 + random_below(crowd, RETRY_US);
        return;
    }
    d->phase = GREETING;
    d->next_us = now() + GREET_US;
}

static void turn(struct device *d, bool readable)
{
    bool writes = !is_reader(d) && !d->crowd->quiet;
    if (d->phase == AWAY && now() >= d->next_us) dial(d);
    if (d->phase != AWAY && (readable || d->ws.in.len > d->ws.taken) && !read_frames(d)) leave(d, RETRY_US);
    if (d->phase == GREETING && now() >= d->next_us) leave(d, RETRY_US);
    if (d->phase == ONLINE && !d->linked && now() >= d->next_us) link_up(d);
    if (node_deadline(d->node) <= now()) node_tick(d->node, now());
    /* People write while the tracker is away, too. */
    if (writes && d->joined && now() >= d->write_us) write_message(d);
    carry_out(d);
    if (d->phase == AWAY) return;
    transmit(d);
    if (ws_flush(&d->ws)) leave(d, RETRY_US);
}

static bool prepare(struct crowd *crowd, size_t index, size_t account)
{
    struct device *d = &crowd->devices[index];
    struct node_config config = {.role = ROLE_PERSON};
    *d = (struct device){.crowd = crowd, .index = index, .account = account};
    crypto_native_random(d->seed, sizeof d->seed);
    crypto_native_random(config.random_seed, sizeof config.random_seed);
    memcpy(config.identity_seed, d->seed, sizeof d->seed);
    map_init(&d->places, &allocator_libc, MESSAGES_MAX, d->seed);
    return !node_create(&config, &allocator_libc, &crowd->crypto, now(), &d->node);
}

/* --- all of them --- */

static void turns(struct crowd *crowd, size_t count, int wait_ms)
{
    struct pollfd polled[DEVICES_MAX];
    for (size_t i = 0; i < count; i++) {
        const struct device *d = &crowd->devices[i];
        short events = d->phase == AWAY ? 0 : d->ws.out.len ? POLLIN | POLLOUT : POLLIN;
        polled[i] = (struct pollfd){.fd = d->phase == AWAY ? -1 : d->ws.fd, .events = events};
    }
    if (poll(polled, count, wait_ms) < 0) return;
    for (size_t i = 0; i < count; i++)
        turn(&crowd->devices[i], polled[i].revents & (POLLIN | POLLHUP | POLLERR));
}

static bool settled(const struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++) {
        const struct device *d = &crowd->devices[i];
        if (d->phase != ONLINE || !d->linked || !d->records_len || d->acknowledged < d->records_len)
            return false;
    }
    return true;
}

static bool settle(struct crowd *crowd)
{
    usec deadline = now() + 60 * SECONDS;
    crowd->quiet = true;
    while (!settled(crowd) && now() < deadline)
        turns(crowd, crowd->count, 5);
    crowd->quiet = false;
    return settled(crowd);
}

static void print(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    puts(text);
    fflush(stdout);
    free(text);
    json_decref(json);
}

static json_t *summary(struct latencies *l)
{
    size_t n = l->count;
    if (n) qsort(l->ms, n, sizeof *l->ms, by_value);
    l->count = 0;
    return json_pack("{s:i,s:f,s:f,s:f}", "count", (int)n, "p50_ms", n ? (double)l->ms[n / 2] : 0.0, "p99_ms",
                     n ? (double)l->ms[n * 99 / 100] : 0.0, "max_ms", n ? (double)l->ms[n - 1] : 0.0);
}

static void report(struct crowd *crowd, bool is_settled)
{
    json_t *devices = json_array();
    size_t online = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        const struct device *d = &crowd->devices[i];
        char id[2 * ID_BYTES + 1];
        hex_encode(slice_of(node_device(d->node), ID_BYTES), id);
        online += d->phase == ONLINE;
        json_array_append_new(
            devices, json_pack("{s:s,s:I,s:I,s:[I,I],s:i}", "id", id, "written", (json_int_t)d->records_len,
                               "acknowledged", (json_int_t)d->acknowledged, "newest",
                               (json_int_t)d->newest_from, (json_int_t)d->newest, "port", (int)d->port));
    }
    print(json_pack("{s:o,s:i,s:b,s:I,s:o,s:o}", "devices", devices, "online", (int)online, "settled",
                    is_settled, "messages", (json_int_t)crowd->messages, "across", summary(&crowd->across),
                    "beside", summary(&crowd->beside)));
}

/* A new device gets everything that there is; it is done when nothing came for two seconds. */
static void read_all(struct crowd *crowd)
{
    struct device *d = &crowd->devices[crowd->count];
    bool is_settled = settle(crowd);
    crowd->quiet = true;
    memset(crowd->read, 0, MESSAGES_MAX);
    usec deadline = now() + 60 * SECONDS, quiet_since = now();
    uint64_t once = 0, before = UINT64_MAX;
    bool there = prepare(crowd, crowd->count, 0);
    while (there && now() < deadline && now() - quiet_since < 2 * SECONDS) {
        turns(crowd, crowd->count + 1, 5);
        once = 0;
        for (uint64_t i = 0; i < crowd->messages; i++)
            once += crowd->read[i];
        if (once != before || d->phase != ONLINE) quiet_since = now();
        before = once;
    }
    json_t *missing = json_array(), *doubled = json_array();
    once = 0;
    for (uint64_t i = 0; i < crowd->messages; i++) {
        once += crowd->read[i] == 1;
        if (!crowd->read[i]) json_array_append_new(missing, json_integer((json_int_t)i));
        if (crowd->read[i] > 1) json_array_append_new(doubled, json_integer((json_int_t)i));
    }
    if (there) leave(d, RETRY_US);
    node_destroy(d->node);
    for (size_t i = 0; i < d->records_len; i++)
        free(d->records[i].ptr);
    free(d->records);
    map_deinit(&d->places);
    *d = (struct device){0};
    crowd->quiet = false;
    print(json_pack("{s:I,s:I,s:o,s:o,s:b}", "messages", (json_int_t)crowd->messages, "once",
                    (json_int_t)once, "missing", missing, "doubled", doubled, "settled", is_settled));
}

static bool read_ports(struct crowd *crowd, char *list)
{
    crowd->port_count = 0;
    for (char *port = strtok_r(list, ",", &list); port && crowd->port_count < PORTS_MAX;
         port = strtok_r(NULL, ",", &list))
        crowd->ports[crowd->port_count++] = (uint16_t)strtoul(port, NULL, 10);
    return crowd->port_count > 0;
}

static void obey(struct crowd *crowd, char *line)
{
    if (strcmp(line, "report") == 0) {
        report(crowd, settled(crowd));
    } else if (strcmp(line, "wait") == 0) {
        report(crowd, settle(crowd));
    } else if (strcmp(line, "read") == 0) {
        read_all(crowd);
    } else if (strncmp(line, "ports ", 6) == 0 && read_ports(crowd, line + 6)) {
        puts("{}");
        fflush(stdout);
    }
}

/* False at the end of standard input. */
static bool listen_to(struct crowd *crowd)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    while (poll(&in, 1, 0) > 0) {
        char letter;
        if (read(STDIN_FILENO, &letter, 1) != 1) return false;
        if (letter != '\n') {
            if (crowd->line_len < sizeof crowd->line - 1) crowd->line[crowd->line_len++] = letter;
            continue;
        }
        crowd->line[crowd->line_len] = '\0';
        crowd->line_len = 0;
        obey(crowd, crowd->line);
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct crowd crowd;
    if (argc != 5 || !read_ports(&crowd, argv[1]) || crypto_native_start()) {
        fprintf(stderr, "usage: crowd PORTS ACCOUNTS DEVICES PAUSE_MS\n");
        return 2;
    }
    crowd.accounts = strtoul(argv[2], NULL, 10);
    crowd.count = strtoul(argv[3], NULL, 10);
    crowd.pause_us = strtoul(argv[4], NULL, 10) * 1000;
    if (!crowd.accounts || crowd.accounts > ACCOUNTS_MAX || !crowd.count || crowd.count >= DEVICES_MAX)
        return 2;
    crowd.crypto = *crypto_native();
    crowd.crypto.verify = trust;
    crowd.read = calloc(1, MESSAGES_MAX);
    crowd.across.ms = calloc(LATENCIES_MAX, sizeof *crowd.across.ms);
    crowd.beside.ms = calloc(LATENCIES_MAX, sizeof *crowd.beside.ms);
    crowd.random = now();
    if (!crowd.read || !crowd.across.ms || !crowd.beside.ms) return 1;
    for (size_t i = 0; i < crowd.accounts; i++) {
        snprintf(crowd.names[i], sizeof crowd.names[i], "crowd%zu-%06llu", i,
                 (unsigned long long)random_below(&crowd, 1000000));
        if (account_register(crowd.ports[0], crowd.names[i], "crowd-password", crowd.cookies[i])) return 1;
    }
    for (size_t i = 0; i < crowd.count; i++)
        if (!prepare(&crowd, i, i % crowd.accounts)) return 1;
    if (!settle(&crowd)) {
        fprintf(stderr, "crowd: not all came online\n");
        return 1;
    }
    puts("{\"ready\":true}");
    fflush(stdout);
    while (listen_to(&crowd))
        turns(&crowd, crowd.count, 5);
    return 0;
}
