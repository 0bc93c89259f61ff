/* load.c - load for a server that hands each message on to many connections, on one thread and cheaply.
 *
 *   bench-fanout-load --port N --protocol websocket|nats|raw [--subscribers 1000] [--bytes 64] [--under-way
 * 16]
 *                     [--seconds 3] [--rate N]
 *
 * One connection publishes, the others subscribe. A message is done when the last subscriber has it; then the
 * next one is published, so that `under-way` of them are. With --rate, so many messages a second are
 * published instead, each at its due time, and latency counts from then.
 *
 * One line of JSON at the end: deliveries, seconds, and how long a message took to its last subscriber. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 1024,
    INPUT_BYTES = 256 * 1024,
    UNDER_WAY_MAX = 4096,
    LATENCIES_MAX = 1 << 22,
    PATIENCE_S = 10
};

static struct {
    uint16_t port;
    const char *protocol;
    unsigned subscribers, bytes, under_way;
    double seconds, rate;
} options = {.protocol = "websocket", .subscribers = 1000, .bytes = 64, .under_way = 16, .seconds = 3};

static struct subscriber {
    int fd;
    uint64_t bytes; /* received in all */
    uint64_t messages;
} *subscribers;

static int publisher, epoll;
static char message[8192], input[INPUT_BYTES];
static size_t message_len, frame_len; /* as published, as delivered */
static struct {
    uint64_t sent_ns;
    unsigned left; /* subscribers that do not have it */
} ring[UNDER_WAY_MAX];
static uint64_t published, done, deliveries;
static uint32_t *latencies_us;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- protocols --- */

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0) die("send");
        bytes += n;
        len -= (size_t)n;
    }
}

/* Reads until this text came; nothing may follow it. */
static void expect(int fd, const char *text)
{
    char answer[8192];
    size_t n = 0;
    do {
        ssize_t got = recv(fd, answer + n, sizeof answer - 1 - n, 0);
        if (got <= 0) die("no answer");
        n += (size_t)got;
        answer[n] = 0;
    } while (!strstr(answer, text));
}

static void open_websocket(int fd, bool subscribes)
{
    (void)subscribes; /* the publisher is one too, but is left out */
    send_all(fd,
             "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
             strlen("GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    expect(fd, "\r\n\r\n");
}

static void open_nats(int fd, bool subscribes)
{
    const char *words = subscribes ? "CONNECT {\"verbose\":false}\r\nSUB bench 1\r\nPING\r\n"
                                   : "CONNECT {\"verbose\":false}\r\nPING\r\n";
    expect(fd, "\r\n"); /* INFO */
    send_all(fd, words, strlen(words));
    expect(fd, "PONG\r\n");
}

static void make_websocket(void)
{
    size_t n = options.bytes, head = 0;
    message[head++] = (char)0x82;
    if (n < 126) {
        message[head++] = (char)(0x80 | n);
    } else {
        message[head++] = (char)(0x80 | 126);
        message[head++] = (char)(n >> 8);
        message[head++] = (char)n;
    }
    frame_len = head + n;
    memset(message + head, 0, 4); /* the mask */
    memset(message + head + 4, 'x', n);
    message_len = head + 4 + n;
}

static void make_nats(void)
{
    int head = snprintf(message, sizeof message, "PUB bench %u\r\n", options.bytes);
    memset(message + head, 'x', options.bytes);
    memcpy(message + head + options.bytes, "\r\n", 2);
    message_len = (size_t)head + options.bytes + 2;
    frame_len = (size_t)snprintf(NULL, 0, "MSG bench 1 %u\r\n", options.bytes) + options.bytes + 2;
}

/* Nobody says when the connection is accepted. */
static void open_raw(int fd, bool subscribes)
{
    (void)fd;
    if (!subscribes) nanosleep(&(struct timespec){.tv_nsec = 200 * 1000 * 1000}, NULL);
}

static void make_raw(void)
{
    memset(message, 'x', options.bytes + 2);
    frame_len = message_len = options.bytes + 2;
}

static const struct protocol {
    const char *name;
    void (*make)(void);
    void (*open)(int fd, bool subscribes);
} protocols[] = {{"websocket", make_websocket, open_websocket},
                 {"nats", make_nats, open_nats},
                 {"raw", make_raw, open_raw}};
static const struct protocol *protocol;

/* --- connections --- */

static int dial(bool subscribes)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(options.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    protocol->open(fd, subscribes);
    if (subscribes) fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void open_all(void)
{
    subscribers = calloc(options.subscribers, sizeof *subscribers);
    latencies_us = malloc(sizeof *latencies_us * LATENCIES_MAX);
    epoll = epoll_create1(0);
    if (!subscribers || !latencies_us || epoll < 0) die("setting up");
    for (unsigned i = 0; i < options.subscribers; i++) {
        subscribers[i].fd = dial(true);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, subscribers[i].fd, &event) < 0) die("epoll_ctl");
    }
    publisher = dial(false);
}

/* --- messages --- */

static void publish(unsigned count, uint64_t due_ns)
{
    static char batch[UNDER_WAY_MAX * 128];
    while (count > 0) {
        unsigned n = 0;
        for (; n < count && (n + 1) * message_len <= sizeof batch; n++) {
            memcpy(batch + n * message_len, message, message_len);
            ring[published % UNDER_WAY_MAX].sent_ns = due_ns;
            ring[published % UNDER_WAY_MAX].left = options.subscribers;
            published++;
        }
        send_all(publisher, batch, n * message_len);
        count -= n;
    }
}

static void received(struct subscriber *s, size_t len, uint64_t now)
{
    s->bytes += len;
    uint64_t messages = s->bytes / frame_len;
    deliveries += messages - s->messages;
    for (; s->messages < messages; s->messages++) {
        uint64_t number = s->messages;
        if (number >= published) die("more came than was sent");
        if (--ring[number % UNDER_WAY_MAX].left > 0) continue;
        latencies_us[done++ % LATENCIES_MAX] =
            (uint32_t)((now - ring[number % UNDER_WAY_MAX].sent_ns) / 1000);
    }
}

/* Waits for deliveries, at most so long. */
static void take(int timeout_ms)
{
    static struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct subscriber *s = &subscribers[events[i].data.u32];
        ssize_t got = recv(s->fd, input, sizeof input, 0);
        if (got < 0 && errno == EAGAIN) continue;
        if (got <= 0) die("a subscriber was closed");
        received(s, (size_t)got, now_ns());
    }
}

static void drain(void)
{
    uint64_t until = now_ns() + PATIENCE_S * 1000000000ull;
    while (done < published && now_ns() < until)
        take(100);
    if (done < published) {
        fprintf(stderr, "%llu of %llu messages did not reach everybody\n",
                (unsigned long long)(published - done), (unsigned long long)published);
        exit(1);
    }
}

static void closed_loop(uint64_t end_ns)
{
    uint64_t now;
    publish(options.under_way, now_ns());
    while ((now = now_ns()) < end_ns) {
        take(1000);
        unsigned missing = options.under_way - (unsigned)(published - done);
        if (missing > 0) publish(missing, now_ns());
    }
}

static void open_loop(uint64_t begin_ns, uint64_t end_ns)
{
    double step_ns = 1e9 / options.rate;
    uint64_t now;
    for (uint64_t i = 0; (now = now_ns()) < end_ns;) {
        uint64_t due = begin_ns + (uint64_t)((double)i * step_ns);
        if (now < due) {
            take((int)((due - now) / 1000000));
            continue;
        }
        if (published - done >= UNDER_WAY_MAX) die("the server does not keep up");
        publish(1, due);
        i++;
        take(0);
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(double seconds)
{
    size_t n = done < LATENCIES_MAX ? done : LATENCIES_MAX;
    qsort(latencies_us, n, sizeof *latencies_us, by_size);
    printf("{\"deliveries\":%llu,\"messages\":%llu,\"seconds\":%.6f,\"p50_us\":%u,\"p99_us\":%u}\n",
           (unsigned long long)deliveries, (unsigned long long)done, seconds, n ? latencies_us[n / 2] : 0,
           n ? latencies_us[n - 1 - n / 100] : 0);
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {{"port", 1, NULL, 'p'},        {"protocol", 1, NULL, 'P'},
                                          {"subscribers", 1, NULL, 's'}, {"bytes", 1, NULL, 'b'},
                                          {"under-way", 1, NULL, 'u'},   {"seconds", 1, NULL, 't'},
                                          {"rate", 1, NULL, 'r'},        {0}};
    int c;
    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 'p': options.port = (uint16_t)atoi(optarg); break;
        case 'P': options.protocol = optarg; break;
        case 's': options.subscribers = (unsigned)atoi(optarg); break;
        case 'b': options.bytes = (unsigned)atoi(optarg); break;
        case 'u': options.under_way = (unsigned)atoi(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'r': options.rate = atof(optarg); break;
        default: exit(2);
        }
    }
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        if (strcmp(options.protocol, protocols[i].name) == 0) protocol = &protocols[i];
    }
    if (!protocol || options.subscribers == 0 || options.bytes > 4000 || options.under_way == 0 ||
        options.under_way > UNDER_WAY_MAX) {
        fprintf(stderr, "bench-fanout-load: options that make no sense\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    protocol->make();
    open_all();
    uint64_t begin_ns = now_ns(), end_ns = begin_ns + (uint64_t)(options.seconds * 1e9);
    if (options.rate > 0)
        open_loop(begin_ns, end_ns);
    else
        closed_loop(end_ns);
    drain();
    report((double)(now_ns() - begin_ns) / 1e9);
    return 0;
}
