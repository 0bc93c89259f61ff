/* load.c - load for an HTTP server on 127.0.0.1, on one thread and cheaply, so that the server is what is
 * measured.
 *
 *   bench-load --port N [--path /P] [--connections 64] [--seconds 3] [--bytes N] [--fields] [--post N]
 *              [--tls] [--close]
 *       closed loop: each connection asks again as soon as it has its answer; with --close on a new
 * connection (and with a full TLS handshake) each time.
 *   ... --message N
 *       closed loop of WebSocket messages of N bytes, which must come back as they are; begins when stdin
 * ends, after a line that says that all connections are open.
 *   ... --rate N [--shared]
 *       open loop: N requests a second, each due at a time of its own; latency counts from then, also while
 * every connection is busy, so a server that stalls pays for all who would have come (no coordinated
 * omission). --shared: sleeps until the next one is due, because somebody else needs the core too.
 *   ... --hold N [--websocket] [--late]
 *       opens N connections (one request, or one WebSocket handshake each), prints a line, and keeps them
 * until stdin ends. --late: asks on all of them before there is any answer.
 *
 * One line of JSON at the end. --bytes: what a body must have; any other answer is an error. --fields: sends
 * what a browser sends, not only Host. --post: requests are POST, with a body of N bytes. */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    INPUT_BYTES = 512 * 1024,
    HEAD_BYTES = 4096,
    REQUEST_BYTES = 64 * 1024,
    MESSAGE_MAX = REQUEST_BYTES - 8,
    OPENING_MAX = 64,     /* of --hold, at a time */
    SOURCE_ADDRESSES = 32 /* 127.0.0.2 and on: each has its own ports */
};

enum phase { CONNECTING, READY, HEAD, BODY };

struct conn {
    int fd;
    SSL *ssl;
    enum phase phase;
    uint32_t events;
    size_t left; /* of the body */
    size_t head_len;
    char *head; /* only when it comes in pieces */
    uint64_t due_ns;
};

static struct {
    uint16_t port;
    const char *path;
    unsigned connections, hold;
    double seconds, rate;
    long bytes;
    size_t post, message;
    bool tls, close, websocket, fields, late, shared;
} options = {.path = "/", .connections = 64, .seconds = 3, .bytes = -1};

static struct {
    uint64_t requests, errors;
    uint32_t *latency_us;
    size_t latencies, latency_cap;
} result;

static char request[REQUEST_BYTES], input[INPUT_BYTES];
static size_t request_len;
static bool messages; /* the upgrade is over: the request is a message now */
static int epoll;
static unsigned opened, open_now;
static uint64_t began_ns;
static SSL_CTX *tls;

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

/* --- one connection --- */

static void want(struct conn *c, uint32_t events)
{
    if (c->events == events) return;
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll_ctl");
    c->events = events;
}

static void conn_open(struct conn *c)
{
    *c = (struct conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .phase = CONNECTING};
    if (c->fd < 0) die("socket");
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + opened++ % SOURCE_ADDRESSES)};
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (options.tls) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (bind(c->fd, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    address.sin_port = htons(options.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        die("connect");
    open_now++;
    if (!tls) return;
    c->ssl = SSL_new(tls);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd)) die("SSL_new");
    SSL_set_connect_state(c->ssl);
}

static void conn_close(struct conn *c)
{
    SSL_free(c->ssl);
    close(c->fd);
    free(c->head);
    open_now--;
    *c = (struct conn){.fd = -1};
}

/* 0: later (c->events are set); negative: an error or the end. */
static ssize_t outcome(struct conn *c, ssize_t rc, uint32_t direction)
{
    if (rc > 0) return rc;
    if (!c->ssl) {
        if (rc == 0 || (errno != EAGAIN && errno != ENOTCONN)) return -1;
        want(c, direction);
        return 0;
    }
    int error = SSL_get_error(c->ssl, (int)rc);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return -1;
    want(c, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
    return 0;
}

static ssize_t conn_write(struct conn *c, const char *bytes, size_t len)
{
    ssize_t n = c->ssl ? SSL_write(c->ssl, bytes, (int)len) : send(c->fd, bytes, len, MSG_NOSIGNAL);
    return outcome(c, n, EPOLLOUT);
}

static ssize_t conn_read(struct conn *c)
{
    ssize_t n = c->ssl ? SSL_read(c->ssl, input, sizeof input) : read(c->fd, input, sizeof input);
    return outcome(c, n, EPOLLIN);
}

/* Sends the request; false when the connection is broken. */
static bool ask(struct conn *c)
{
    ssize_t n = conn_write(c, request, request_len);
    if (n < 0 || (n > 0 && (size_t)n < request_len)) return false;
    if (n > 0) {
        c->phase = messages ? BODY : HEAD;
        c->left = messages ? request_len : 0;
        want(c, EPOLLIN);
    }
    return true;
}

static bool head_valid(const char *head, size_t len, size_t *out_body)
{
    static const char field[] = "\r\ncontent-length:";
    if (options.websocket) {
        *out_body = 0;
        return len > 12 && memcmp(head, "HTTP/1.1 101", 12) == 0;
    }
    if (len < 12 || memcmp(head, "HTTP/1.1 200", 12) != 0) return false;
    for (const char *at = head; (at = memchr(at, '\r', (size_t)(head + len - at))); at++) {
        if ((size_t)(head + len - at) < sizeof field || strncasecmp(at, field, sizeof field - 1) != 0)
            continue;
        *out_body = strtoul(at + sizeof field - 1, NULL, 10);
        return options.bytes < 0 || *out_body == (size_t)options.bytes;
    }
    return false;
}

/* Takes bytes of an answer: 1 when it is whole, 0 when more must come, -1 when it is wrong. */
static int take(struct conn *c, const char *bytes, size_t len)
{
    if (c->phase == HEAD) {
        if (c->head_len > 0) { /* pieces: put together, which is rare */
            if (c->head_len + len > HEAD_BYTES) return -1;
            memcpy(c->head + c->head_len, bytes, len);
            bytes = c->head;
            len += c->head_len;
            c->head_len = 0;
        }
        const char *end = memmem(bytes, len, "\r\n\r\n", 4);
        if (!end) {
            if (!c->head) c->head = malloc(HEAD_BYTES);
            if (!c->head || len > HEAD_BYTES) return -1;
            memmove(c->head, bytes, len);
            c->head_len = len;
            return 0;
        }
        size_t head_len = (size_t)(end - bytes) + 4;
        if (!head_valid(bytes, head_len, &c->left)) return -1;
        len -= head_len;
        c->phase = BODY;
    }
    if (len > c->left) return -1;
    c->left -= len;
    return c->left == 0;
}

/* Goes on as far as possible: 1 when an answer has become whole, 0 to wait, -1 when it is broken. */
static int conn_go(struct conn *c)
{
    if (c->phase == CONNECTING) return ask(c) ? 0 : -1;
    for (;;) {
        ssize_t n = conn_read(c);
        if (n <= 0) return (int)n;
        int done = take(c, input, (size_t)n);
        if (done != 0) {
            c->phase = READY;
            return done;
        }
        if (!c->ssl && n < (ssize_t)sizeof input) return 0;
    }
}

/* --- the kinds of load --- */

static void fail(struct conn *c)
{
    result.errors++;
    if (result.errors > 1000) {
        fputs("bench-load: too many errors\n", stderr);
        exit(1);
    }
    conn_close(c);
}

/* Asks when epoll says that the connection is there: what clients do across a network. */
static void open_and_ask(struct conn *c)
{
    conn_open(c);
    want(c, EPOLLOUT);
}

static void go_round(void)
{
    uint64_t end = now_ns() + (uint64_t)(options.seconds * 1e9);
    struct epoll_event events[EVENTS];
    while (now_ns() < end) {
        int n = epoll_wait(epoll, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            int done = conn_go(c);
            if (done == 0) continue;
            if (done < 0) {
                fail(c);
                open_and_ask(c);
                continue;
            }
            result.requests++;
            if (options.close) {
                conn_close(c);
                open_and_ask(c);
            } else if (!ask(c)) {
                fail(c);
                open_and_ask(c);
            }
        }
    }
}

static void closed_loop(struct conn *conns)
{
    for (unsigned i = 0; i < options.connections; i++)
        open_and_ask(&conns[i]);
    go_round();
}

static void note_latency(uint64_t due_ns, uint64_t now)
{
    if (result.latencies == result.latency_cap) return; /* cannot be: there is room for all that are due */
    uint64_t us = now > due_ns ? (now - due_ns) / 1000 : 0;
    result.latency_us[result.latencies++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* Hands out what is due by now; `*begun` have been handed out so far. */
static void ask_due(struct conn *conns, uint64_t start, uint64_t now, size_t total, size_t *begun)
{
    double interval_ns = 1e9 / options.rate;
    for (unsigned i = 0; i < options.connections && *begun < total; i++) {
        uint64_t due = start + (uint64_t)((double)*begun * interval_ns);
        if (due > now) return;
        if (conns[i].phase != READY) continue;
        conns[i].due_ns = due;
        ++*begun;
        if (!ask(&conns[i]) || conns[i].phase != HEAD) die("a connection was closed by the server");
    }
}

/* How long there is nothing to do but to take answers. A request that is due already waits for one. */
static struct timespec pause_until(uint64_t due, uint64_t now)
{
    uint64_t pause = due - now;
    if (due <= now || pause > 999999999) pause = 999999999;
    return (struct timespec){.tv_nsec = (long)pause};
}

static void open_loop(struct conn *conns)
{
    size_t total = (size_t)(options.rate * options.seconds), begun = 0;
    unsigned ready = 0;
    uint64_t start = UINT64_MAX, give_up = now_ns() + (uint64_t)((options.seconds + 10) * 1e9);
    result.latency_us = calloc(total, sizeof *result.latency_us);
    if (!result.latency_us) die("calloc");
    result.latency_cap = total;
    for (unsigned i = 0; i < options.connections; i++)
        open_and_ask(&conns[i]); /* the first answer of each only warms up */
    struct epoll_event events[EVENTS];
    while (result.latencies < total) {
        uint64_t now = now_ns();
        if (now > give_up) die("answers are missing");
        if (ready == options.connections && start == UINT64_MAX) start = now;
        if (start != UINT64_MAX) ask_due(conns, start, now, total, &begun);
        /* When the core is ours it is not left: waking up would be measured too. */
        struct timespec pause = {0};
        if (options.shared) {
            bool asks = start != UINT64_MAX && begun < total;
            double later = asks ? (double)begun * 1e9 / options.rate : 1e9;
            pause = pause_until((asks ? start : now) + (uint64_t)later, now);
        }
        int n = epoll_pwait2(epoll, events, EVENTS, &pause, NULL);
        now = now_ns();
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            int done = conn_go(c);
            if (done < 0) die("a wrong answer");
            if (done == 0) continue;
            result.requests++;
            if (start == UINT64_MAX)
                ready++;
            else
                note_latency(c->due_ns, now);
        }
    }
}

/* Opens connections, has one answer on each, says so, and waits until stdin ends. */
static void hold(struct conn *conns, unsigned count)
{
    unsigned begun = 0, asked = 0, done = 0;
    struct epoll_event events[EVENTS];
    while (done < count) {
        while (begun < count && begun - (options.late ? asked : done) < OPENING_MAX)
            open_and_ask(&conns[begun++]);
        int n = epoll_wait(epoll, events, EVENTS, 5000);
        if (n == 0 || result.errors) die("not all connections could be opened");
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            bool asks = c->phase == CONNECTING;
            int rc = conn_go(c);
            if (rc < 0) die("a wrong answer");
            done += (unsigned)rc;
            asked += asks && c->phase == HEAD;
        }
    }
    result.requests = done;
    printf("{\"held\":%u,\"seconds\":%.3f}\n", done, (double)(now_ns() - began_ns) / 1e9);
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
}

/* A binary message in one masked frame (RFC 6455 5.2); the mask is zero, and who passes it on does not look.
 */
static void make_message(void)
{
    size_t n = options.message, head = 2;
    request[0] = (char)0x82;
    request[1] = (char)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        request[head++] = (char)(n >> 8);
        request[head++] = (char)n;
    }
    memset(request + head, 0, 4);
    memset(request + head + 4, 'x', n);
    request_len = head + 4 + n;
    messages = true;
}

/* The time that it takes to open the connections does not count. */
static void message_loop(struct conn *conns)
{
    hold(conns, options.connections);
    make_message();
    result.requests = 0;
    began_ns = now_ns();
    for (unsigned i = 0; i < options.connections; i++)
        if (!ask(&conns[i])) die("a connection was closed by the server");
    go_round();
}

/* --- start and end --- */

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t percentile(double part)
{
    if (result.latencies == 0) return 0;
    size_t at = (size_t)((double)result.latencies * part);
    return result.latency_us[at < result.latencies ? at : result.latencies - 1];
}

static void make_request(void)
{
    static const char browser[] =
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
        "Accept-Language: en-US,en;q=0.5\r\nDNT: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: "
        "navigate\r\n"
        "Sec-Fetch-Site: none\r\nCookie: session=0f1e2d3c4b5a69788796a5b4c3d2e1f0; theme=dark\r\n";
    /* The key of RFC 6455 1.3. */
    static const char upgrade[] = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    char length[64] = "";
    if (options.post > 0) snprintf(length, sizeof length, "Content-Length: %zu\r\n", options.post);
    int n =
        snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s%s%s%s\r\n",
                 options.post > 0 ? "POST" : "GET", options.path, options.port, options.fields ? browser : "",
                 options.websocket ? upgrade : "", options.close ? "Connection: close\r\n" : "", length);
    if (n < 0 || (size_t)n + options.post >= sizeof request) die("the request is too long");
    memset(request + n, 'x', options.post);
    request_len = (size_t)n + options.post;
}

static void make_tls(void)
{
    static const unsigned char protocol[] = "\x08http/1.1";
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls) die("SSL_CTX_new");
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF); /* nothing is resumed */
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set1_groups_list(tls, "X25519");
    SSL_CTX_set_ciphersuites(tls, "TLS_AES_256_GCM_SHA384");
    SSL_CTX_set_alpn_protos(tls, protocol, sizeof protocol - 1);
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {{"port", 1, NULL, 'p'},        {"path", 1, NULL, 'u'},
                                          {"connections", 1, NULL, 'c'}, {"seconds", 1, NULL, 's'},
                                          {"bytes", 1, NULL, 'b'},       {"rate", 1, NULL, 'r'},
                                          {"hold", 1, NULL, 'h'},        {"websocket", 0, NULL, 'w'},
                                          {"tls", 0, NULL, 't'},         {"close", 0, NULL, 'x'},
                                          {"fields", 0, NULL, 'f'},      {"post", 1, NULL, 'o'},
                                          {"message", 1, NULL, 'm'},     {"late", 0, NULL, 'l'},
                                          {"shared", 0, NULL, 'd'},      {0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'p': options.port = (uint16_t)strtoul(optarg, NULL, 10); break;
        case 'u': options.path = optarg; break;
        case 'c': options.connections = (unsigned)strtoul(optarg, NULL, 10); break;
        case 's': options.seconds = strtod(optarg, NULL); break;
        case 'b': options.bytes = strtol(optarg, NULL, 10); break;
        case 'r': options.rate = strtod(optarg, NULL); break;
        case 'h': options.hold = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'w': options.websocket = true; break;
        case 't': options.tls = true; break;
        case 'x': options.close = true; break;
        case 'f': options.fields = true; break;
        case 'o': options.post = strtoul(optarg, NULL, 10); break;
        case 'm': options.message = strtoul(optarg, NULL, 10); break;
        case 'l': options.late = true; break;
        case 'd': options.shared = true; break;
        default: exit(2);
        }
    }
    options.websocket |= options.message > 0;
    if (options.port == 0 || options.connections == 0 || options.message > MESSAGE_MAX ||
        options.post > REQUEST_BYTES) {
        fputs("usage: bench-load --port N [options]; the head of bench/http/load.c says which\n", stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1); /* --shared wakes up when a request is due, not some time later */
    make_request();
    if (options.tls) make_tls();
    unsigned count = options.hold ? options.hold : options.connections;
    struct conn *conns = calloc(count, sizeof *conns);
    epoll = epoll_create1(0);
    if (!conns || epoll < 0) die("start");
    began_ns = now_ns();
    if (options.hold)
        hold(conns, options.hold);
    else if (options.message)
        message_loop(conns);
    else if (options.rate > 0)
        open_loop(conns);
    else
        closed_loop(conns);
    double seconds = (double)(now_ns() - began_ns) / 1e9;
    qsort(result.latency_us, result.latencies, sizeof *result.latency_us, by_value);
    printf("{\"requests\":%llu,\"errors\":%llu,\"seconds\":%.3f,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u}\n",
           (unsigned long long)result.requests, (unsigned long long)result.errors, seconds, percentile(0.5),
           percentile(0.99), percentile(1.0));
    return 0;
}
