/* storm.c - many devices, each of an account of its own, that connect to a tracker, stay, and come back all
 * at once.
 *
 *   bench-presence seed DATABASE COUNT   makes the accounts and their sessions; the tracker is not running
 *   bench-presence run PORT COUNT        obeys lines on stdin: "go" (whoever is not connected does so now),
 * "drop" (all connections are cut), "quit". After "go", a line of JSON.
 *
 * A device that is refused comes again when the server said. Only for a server on loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/hex.h"
#include "core/node.h"
#include "crypto/native.h"
#include "store/store.h"

enum {
    DEVICES_PER_ADDRESS = 3000, /* the tracker takes 4096 connections of one address */
    READ_BYTES = 256 * 1024,
    WAIT_MS = 60000,
    SESSION_MS_MAX = 86400000,
};

enum phase { AWAY, CONNECTING, ASKED, OPEN, GREETED, READY };

struct device {
    int fd;
    enum phase phase;
    uint64_t again_ms; /* AWAY: when to try */
    struct buffer in;
    uint8_t seed[KEY_BYTES], id[ID_BYTES];
};

static struct device *devices;
static size_t count, ready, refused, failed;
static uint16_t port;
static int poller;

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void derive(const char *what, size_t i, uint8_t out[32])
{
    char text[64];
    int len = snprintf(text, sizeof text, "%s %zu", what, i);
    crypto_generichash(out, 32, (const uint8_t *)text, (unsigned long long)len, NULL, 0);
}

static void name_of(size_t i, char out[16])
{
    snprintf(out, 16, "d%zu", i);
}

/* --- seed --- */

static int wake_pipe[2];

static void wake(void *context)
{
    (void)context;
    if (write(wake_pipe[1], "", 1) < 0) return; /* full: it will be looked at anyway */
}

static size_t waiting;

static void added(void *context, int result, const struct store_row *row)
{
    (void)context;
    (void)row;
    waiting--;
    failed += result != OK;
}

static void complete(struct store *store, size_t most)
{
    char bytes[256];
    while (waiting > most) {
        if (read(wake_pipe[0], bytes, sizeof bytes) <= 0) abort();
        store_complete(store);
    }
}

static int seed(const char *path, size_t number)
{
    struct store *store;
    char why[STORE_WHY_BYTES];
    struct store_options options = {.path = path, .wake = wake};
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    uint64_t time_ms = (uint64_t)wall.tv_sec * 1000;
    if (pipe(wake_pipe) || store_open(&options, &store, why) || store_start(store)) return 1;
    for (size_t i = 1; i <= number; i++) {
        char name[16];
        uint8_t token[32], hash[32];
        name_of(i, name);
        derive("session", i, token);
        crypto_generichash(hash, sizeof hash, token, sizeof token, NULL, 0);
        struct store_row account = {
            .name = slice_text(name), .key = slice_text(name), .secret = SLICE("none"), .time_ms = time_ms};
        struct store_row session = {
            .token = hash, .account = (int64_t)i, .time_ms = time_ms, .expires_ms = time_ms + SESSION_MS_MAX};
        complete(store, 4096);
        waiting += 2;
        if (store_submit(store, STORE_ACCOUNT_ADD, &account, added, NULL) ||
            store_submit(store, STORE_SESSION_ADD, &session, added, NULL))
            return 1;
    }
    complete(store, 0);
    store_close(store);
    return failed != 0;
}

/* --- run --- */

static void away(struct device *device, uint64_t again_ms)
{
    if (device->fd >= 0) close(device->fd);
    ready -= device->phase == READY;
    device->fd = -1;
    device->phase = AWAY;
    device->again_ms = again_ms;
    buffer_reset(&device->in);
}

static void dial(struct device *device, size_t index)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)}, from = {.sin_family = AF_INET};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(index / DEVICES_PER_ADDRESS));
    device->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = device};
    device->phase = CONNECTING;
    if (device->fd < 0 || bind(device->fd, (struct sockaddr *)&from, sizeof from) ||
        (connect(device->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) ||
        epoll_ctl(poller, EPOLL_CTL_ADD, device->fd, &event)) {
        failed++;
        away(device, now_ms() + 1000);
    }
}

static void send_all(struct device *device, const void *bytes, size_t len)
{
    if (send(device->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len) return;
    failed++;
    away(device, now_ms() + 1000);
}

static void ask(struct device *device, size_t index)
{
    uint8_t token[32];
    char cookie[65], request[512];
    derive("session", index + 1, token);
    hex_encode(slice_of(token, sizeof token), cookie);
    int len =
        snprintf(request, sizeof request,
                 "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nCookie: session=%s\r\nConnection: Upgrade\r\n"
                 "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
                 (unsigned)port, cookie);
    device->phase = ASKED;
    send_all(device, request, (size_t)len);
}

/* The text behind "name":" in a frame, or NULL. */
static const char *text_field(slice frame, const char *name)
{
    char wanted[40];
    int len = snprintf(wanted, sizeof wanted, "\"%s\":\"", name);
    const char *found = memmem(frame.ptr, frame.len, wanted, (size_t)len);
    return found ? found + len : NULL;
}

static void put_text(struct device *device, const char *text, size_t len)
{
    uint8_t frame[1024] = {0x81, 0x80 | 126, (uint8_t)(len >> 8), (uint8_t)len}; /* the mask is zero */
    if (len + 8 > sizeof frame) abort();
    memcpy(frame + 8, text, len);
    send_all(device, frame, len + 8);
}

static void greet(struct device *device, size_t index, slice frame)
{
    const char *tracker = text_field(frame, "tracker"), *nonce = text_field(frame, "nonce");
    uint8_t bytes[2 * 32 + 16], signature[SIGNATURE_BYTES];
    char name[16], id[65], proof[2 * SIGNATURE_BYTES + 1], text[512];
    if (!tracker || !nonce || hex_decode(slice_of(nonce, 64), bytes, 32) ||
        hex_decode(slice_of(tracker, 64), bytes + 32, 32))
        abort();
    name_of(index + 1, name);
    memcpy(bytes + 64, name, strlen(name));
    identity_sign(crypto_native(), device->seed, SLICE("weaprous.hello.1"),
                  slice_of(bytes, 64 + strlen(name)), signature);
    hex_encode(slice_of(device->id, sizeof device->id), id);
    hex_encode(slice_of(signature, sizeof signature), proof);
    int len = snprintf(
        text, sizeof text,
        "{\"type\":\"hello\",\"id\":1,\"device\":\"%s\",\"proof\":\"%s\",\"label\":\"Firefox on Linux\"}", id,
        proof);
    device->phase = GREETED;
    put_text(device, text, (size_t)len);
}

static bool has(slice frame, const char *text)
{
    return memmem(frame.ptr, frame.len, text, strlen(text)) != NULL;
}

static void take_frame(struct device *device, size_t index, uint8_t opcode, slice frame)
{
    if (opcode == 9) { /* ping */
        uint8_t pong[6 + 125] = {0x8a, (uint8_t)(0x80 | frame.len)};
        memcpy(pong + 6, frame.ptr, frame.len);
        send_all(device, pong, 6 + frame.len);
    } else if (opcode == 8) {
        away(device, now_ms() + 1000);
    } else if (opcode == 1 && device->phase == OPEN && has(frame, "\"type\":\"welcome\"")) {
        greet(device, index, frame);
    } else if (opcode == 1 && device->phase == GREETED && has(frame, "\"full\":true")) {
        device->phase = READY;
        ready++;
    }
}

static void take_answer(struct device *device)
{
    slice in = buffer_slice(&device->in);
    const char *end = memmem(in.ptr, in.len, "\r\n\r\n", 4);
    if (!end) return;
    if (slice_starts(in, SLICE("HTTP/1.1 101"))) {
        device->phase = OPEN;
        buffer_consume(&device->in, (size_t)(end + 4 - (const char *)in.ptr));
        return;
    }
    const char *retry = memmem(in.ptr, in.len, "\"retry_ms\":", 11);
    if (retry) {
        refused++;
        away(device, now_ms() + strtoul(retry + 11, NULL, 10));
    } else if (!slice_starts(in, SLICE("HTTP/1.1 503"))) {
        fprintf(stderr, "bench: %.*s\n", (int)in.len, (const char *)in.ptr);
        failed++;
        away(device, now_ms() + 1000);
    }
}

static void take(struct device *device, size_t index)
{
    if (device->phase == ASKED) take_answer(device);
    while (device->phase >= OPEN) {
        const uint8_t *p = device->in.ptr;
        size_t have = device->in.len, head = 2;
        if (have < 2) break;
        size_t len = p[1] & 127, extra = len == 126 ? 2 : len == 127 ? 8 : 0;
        if (have < head + extra) break;
        if (extra) len = 0;
        for (size_t i = 0; i < extra; i++)
            len = len << 8 | p[head + i];
        head += extra;
        if (have < head + len) break;
        take_frame(device, index, p[0] & 15, slice_of(p + head, len));
        if (device->phase >= OPEN) buffer_consume(&device->in, head + len);
    }
    if (device->in.len == 0) buffer_reset(&device->in); /* an idle one holds nothing */
}

static void look(struct device *device, uint32_t events)
{
    static uint8_t bytes[READ_BYTES];
    size_t index = (size_t)(device - devices);
    if (device->phase == CONNECTING && (events & EPOLLOUT)) ask(device, index);
    while (device->fd >= 0) {
        ssize_t n = recv(device->fd, bytes, sizeof bytes, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            failed += device->phase != READY;
            away(device, now_ms() + 1000);
            return;
        }
        buffer_put(&device->in, slice_of(bytes, (size_t)n));
        take(device, index);
    }
}

static void turn(int wait_ms)
{
    struct epoll_event events[512];
    int n = epoll_wait(poller, events, 512, wait_ms);
    for (int i = 0; i < n; i++)
        look(events[i].data.ptr, events[i].events);
}

static void go(void)
{
    uint64_t began = now_ms();
    refused = failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (devices[i].phase == AWAY) devices[i].again_ms = 0;
    }
    while (ready < count && now_ms() < began + WAIT_MS) {
        uint64_t now = now_ms();
        for (size_t i = 0; i < count; i++) {
            if (devices[i].phase == AWAY && devices[i].again_ms <= now) dial(&devices[i], i);
        }
        turn(5);
    }
    printf("{\"ready\":%zu,\"ms\":%llu,\"refused\":%zu,\"failed\":%zu}\n", ready,
           (unsigned long long)(now_ms() - began), refused, failed);
    fflush(stdout);
}

static int run(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(EPOLL_CLOEXEC);
    devices = calloc(count, sizeof *devices);
    if (poller < 0 || !devices) return 1;
    for (size_t i = 0; i < count; i++) {
        devices[i].fd = -1;
        buffer_init(&devices[i].in, &allocator_libc, READ_BYTES * 4);
        derive("device", i + 1, devices[i].seed);
        crypto_native()->sign_public(crypto_native()->context, devices[i].id, devices[i].seed);
    }
    for (;;) {
        char line[16];
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&input, 1, 0) == 0) {
            turn(20);
            continue;
        }
        ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);
        if (n <= 0) return 0;
        line[n] = '\0';
        if (strstr(line, "drop")) {
            for (size_t i = 0; i < count; i++)
                away(&devices[i], 0);
        }
        if (strstr(line, "go")) go();
        if (strstr(line, "quit")) return 0;
    }
}

int main(int argc, char **argv)
{
    if (argc != 4 || crypto_native_start()) return 2;
    count = strtoul(argv[3], NULL, 10);
    if (strcmp(argv[1], "seed") == 0) return seed(argv[2], count);
    port = (uint16_t)strtoul(argv[2], NULL, 10);
    return run();
}
