/* subscribers.c - one device writes, many others get it from the tracker's replica.
 *
 *   bench-subscribers tracker PORT SUBSCRIBERS   real cores over WebSocket; accounts 1 to SUBSCRIBERS + 1 are
 *                                                seeded (bench-presence seed)
 *   bench-subscribers raw PORT SUBSCRIBERS BYTES the same to bench-fanout-loop: messages of BYTES, passed on
 *
 * When all are there a line is printed. Then each line "MESSAGES UNDER_WAY" on stdin writes so many messages,
 * UNDER_WAY at once, each time until all subscribers have them, and prints a line of JSON. With real cores a
 * message is a signed entry that the tracker has committed before it hands it on. The subscribers ask for it
 * to be pushed (GRAFT), as devices do that have no links to other persons. */
#include "device.h"
#include "seeded.h"

#include "base/cbor.h"
#include "crypto/native.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEXT_BYTES = 64, HINTS = 20, EVENTS = 512, PATIENCE_S = 240, TICK_MS = 100, BATCH_MAX = 64 };

struct subscriber {
    struct device device;
    bool settled; /* the replica has told what it holds */
    uint64_t got;
};

static struct subscriber *all;
static size_t count; /* the writer, number 0, included */
static struct crypto crypto;
static int poller;
static uint16_t port;
static uint64_t deliveries, bytes_in;
static size_t settled;
static uint8_t body_bytes[TEXT_BYTES + 8];

static int die(const char *what)
{
    fprintf(stderr, "bench: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

/* --- real cores --- */

static void on_action(struct device *device, const struct action *action)
{
    struct subscriber *s = (struct subscriber *)device;
    bool writer = s == all;
    if (action->kind == ACTION_DELIVER && !writer && action->entry.kind == ENTRY_TEXT) {
        s->got++;
        deliveries++;
    }
    bool told = writer ? action->kind == ACTION_DELIVERED && action->role == ROLE_REPLICA
                       : action->kind == ACTION_DELIVER && action->entry.seq == 1;
    if (told && !s->settled) {
        s->settled = true;
        settled++;
    }
}

/* Subscribers write no JOIN: a thousand of them to a thousand others is not what is measured. */
static int subscribe(struct device *device)
{
    struct channel_spec spec = {
        .type = CHANNEL_PUBLIC, .authority = device->tracker, .name = SLICE("general")};
    struct command open = {.kind = COMMAND_OPEN, .spec = &spec, .quiet = true};
    size_t self = (size_t)((struct subscriber *)device - all);
    if (device_command(device, &open)) return -1;
    /* There are many, says the tracker; nobody can be dialled from here. */
    for (size_t i = 0; i < HINTS; i++) {
        uint8_t seed[KEY_BYTES], id[ID_BYTES];
        seeded_key(100000 + (self + i) % 1000, seed);
        crypto.sign_public(crypto.context, id, seed);
        struct command hint = {
            .kind = COMMAND_PEER, .channel = device->channel, .device = id, .online = true};
        if (device_command(device, &hint)) return -1;
    }
    return 0;
}

static void open_device(size_t i)
{
    struct subscriber *s = &all[i];
    char cookie[SEEDED_COOKIE_BYTES];
    s->device =
        (struct device){.crypto = &crypto, .certified = i ? subscribe : device_join, .action = on_action};
    seeded_name(i + 1, s->device.account);
    seeded_key(i + 1, s->device.seed);
    seeded_cookie(i + 1, cookie);
    if (device_open(&s->device, port, cookie)) exit(1);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, s->device.ws.fd, &event)) die("epoll_ctl");
}

static void turn(struct subscriber *s, bool readable)
{
    if (device_read(&s->device, readable) || device_write(&s->device)) exit(1);
}

/* Everybody, now and then: nodes have deadlines. */
static void tick(void)
{
    static usec last;
    usec now = bench_now_monotonic();
    if (now < last + TICK_MS * MILLISECONDS) return;
    last = now;
    for (size_t i = 0; i < count; i++)
        if (all[i].device.node) turn(&all[i], false);
}

static void wait_some(void)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(poller, events, EVENTS, 5);
    for (int i = 0; i < n; i++)
        turn(events[i].data.ptr, events[i].events & (EPOLLIN | EPOLLHUP));
    tick();
}

static void until(const uint64_t *what, uint64_t wanted)
{
    usec deadline = bench_now_monotonic() + PATIENCE_S * SECONDS;
    while (*what < wanted) {
        wait_some();
        if (bench_now_monotonic() < deadline) continue;
        fprintf(stderr, "bench: %llu of %llu after %d s\n", (unsigned long long)*what,
                (unsigned long long)wanted, PATIENCE_S);
        exit(1);
    }
}

static void start_tracker(void)
{
    uint64_t opened = 0;
    if (device_crypto(&crypto)) die("no cryptography");
    for (; opened < count; opened++) {
        open_device(opened);
        wait_some();
    }
    usec deadline = bench_now_monotonic() + PATIENCE_S * SECONDS;
    while (settled < count && bench_now_monotonic() < deadline)
        wait_some();
    if (settled < count) {
        errno = 0;
        fprintf(stderr, "bench: %zu of %zu are there\n", settled, count);
        exit(1);
    }
    for (usec calm = bench_now_monotonic() + 2 * SECONDS; bench_now_monotonic() < calm;)
        wait_some();
}

static void write_tracker(size_t messages)
{
    uint8_t text[TEXT_BYTES];
    memset(text, 'x', sizeof text);
    struct writer body = writer_of(body_bytes, sizeof body_bytes);
    cbor_put_array(&body, 1);
    cbor_put_bytes(&body, slice_of(text, sizeof text));
    struct command send = {.kind = COMMAND_SEND,
                           .channel = all[0].device.channel,
                           .entry_kind = ENTRY_TEXT,
                           .bytes = writer_slice(&body)};
    for (size_t i = 0; i < messages; i++)
        if (device_command(&all[0].device, &send)) exit(1);
    turn(&all[0], false);
    until(&deliveries, deliveries + messages * (count - 1));
}

/* --- bare connections --- */

static int *fds;
static size_t message_bytes;

static void start_raw(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fds = calloc(count, sizeof *fds);
    if (!fds) die("memory");
    for (size_t i = 0; i < count; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&to, sizeof to)) die("connect");
        (void)setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
        if (i && epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &event)) die("epoll_ctl");
    }
    usleep(300000);
}

static void write_raw(size_t messages)
{
    static uint8_t bytes[64 * 1024];
    struct epoll_event events[EVENTS];
    uint64_t wanted = bytes_in + messages * message_bytes * (count - 1);
    for (size_t i = 0; i < messages; i++)
        if (write(fds[0], bytes, message_bytes) != (ssize_t)message_bytes) die("write");
    while (bytes_in < wanted) {
        int n = epoll_wait(poller, events, EVENTS, 10000);
        if (n <= 0) die("the loop is silent");
        for (int i = 0; i < n; i++) {
            ssize_t got = read(events[i].data.fd, bytes, sizeof bytes);
            if (got <= 0) die("read");
            bytes_in += (uint64_t)got;
        }
    }
    deliveries += messages * (count - 1);
}

int main(int argc, char **argv)
{
    char line[64];
    struct rlimit files;
    bool raw = argc == 5 && strcmp(argv[1], "raw") == 0;
    if (!raw && (argc != 4 || strcmp(argv[1], "tracker") != 0)) {
        fprintf(stderr, "usage: bench-subscribers tracker PORT SUBSCRIBERS | raw PORT SUBSCRIBERS BYTES\n");
        return 2;
    }
    port = (uint16_t)strtoul(argv[2], NULL, 10);
    count = 1 + strtoul(argv[3], NULL, 10);
    if (raw) message_bytes = strtoul(argv[4], NULL, 10);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (count + 64 > files.rlim_max) {
        fprintf(stderr, "bench: %zu connections need more than the %llu descriptors that are allowed here\n",
                count, (unsigned long long)files.rlim_max);
        return 1;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    all = calloc(count, sizeof *all);
    if (poller < 0 || !all) die("start");
    if (raw)
        start_raw();
    else
        start_tracker();
    printf("ready\n");
    fflush(stdout);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        size_t messages, under_way;
        while (poll(&input, 1, 0) == 0) {
            if (raw)
                poll(&input, 1, 100);
            else
                wait_some();
        }
        if (!fgets(line, sizeof line, stdin)) return 0;
        if (sscanf(line, "%zu %zu", &messages, &under_way) != 2 || !under_way || under_way > BATCH_MAX)
            return 2;
        uint64_t had = deliveries;
        usec began = bench_now_monotonic();
        for (size_t done = 0; done < messages; done += under_way) {
            if (raw)
                write_raw(under_way);
            else
                write_tracker(under_way);
        }
        printf("{\"deliveries\":%llu,\"seconds\":%.4f}\n", (unsigned long long)(deliveries - had),
               (double)(bench_now_monotonic() - began) / 1e6);
        fflush(stdout);
    }
}
