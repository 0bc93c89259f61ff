#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LATER_MAX = 200, LATER_US = 100000 };
#define WS_QUEUE_MAX (256u * 1024 * 1024)

static int complain(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, errno ? strerror(errno) : "unexpected answer");
    return -1;
}

/* A tracker takes so many of one address only; there are 16 million of them. */
#define CONNECTIONS_PER_ADDRESS 3000

static int dial(uint16_t port)
{
    static uint32_t dialled;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return complain("socket");
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + dialled++ / CONNECTIONS_PER_ADDRESS);
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) || connect(fd, (struct sockaddr *)&to, sizeof to)) {
        close(fd);
        return complain("connect");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Sends a request and reads until the end of the answer's head: how many bytes came, or -1. */
static ssize_t ask(int fd, const char *request, char *answer, size_t room)
{
    size_t len = strlen(request), got = 0;
    if (send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) return complain("send");
    answer[0] = 0;
    while (!strstr(answer, "\r\n\r\n")) {
        ssize_t n = recv(fd, answer + got, room - 1 - got, 0);
        if (n <= 0) return complain("no answer");
        got += (size_t)n;
        answer[got] = 0;
    }
    return (ssize_t)got;
}

int account_register(uint16_t port, const char *name, const char *password, char out_cookie[COOKIE_BYTES_MAX])
{
    char body[256], request[768], answer[8192];
    int fd = dial(port);
    if (fd < 0) return -1;
    snprintf(body, sizeof body, "username=%s&password=%s", name, password);
    snprintf(request, sizeof request,
             "POST /register HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: application/json\r\n"
             "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %zu\r\n\r\n%s",
             port, strlen(body), body);
    ssize_t got = ask(fd, request, answer, sizeof answer);
    close(fd);
    if (got < 0) return -1;
    const char *cookie = strstr(answer, "session=");
    size_t len = cookie ? strcspn(cookie, ";\r\n") : 0;
    errno = 0;
    if (!len || len >= COOKIE_BYTES_MAX) return complain(answer);
    memcpy(out_cookie, cookie, len);
    out_cookie[len] = 0;
    return 0;
}

/* The handshake. 1: the server asks to come later. */
static int upgrade(struct ws *ws, uint16_t port, const char *cookie)
{
    char request[1024], answer[4096];
    int fd = dial(port);
    if (fd < 0) return -1;
    snprintf(request, sizeof request,
             "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nOrigin: http://127.0.0.1:%u\r\nCookie: %s\r\n"
             "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
             port, port, cookie);
    ssize_t got = ask(fd, request, answer, sizeof answer);
    if (got < 0 || strncmp(answer, "HTTP/1.1 101", 12) != 0) {
        close(fd);
        errno = 0;
        return got > 0 && strncmp(answer, "HTTP/1.1 503", 12) == 0 ? 1 : complain(answer);
    }
    *ws = (struct ws){.fd = fd};
    buffer_init(&ws->in, &allocator_libc, WS_QUEUE_MAX);
    buffer_init(&ws->out, &allocator_libc, WS_QUEUE_MAX);
    const char *rest = strstr(answer, "\r\n\r\n") + 4; /* frames that came with the answer */
    buffer_put(&ws->in, slice_of(rest, (size_t)(got - (rest - answer))));
    return fcntl(fd, F_SETFL, O_NONBLOCK) ? complain("fcntl") : 0;
}

int ws_open(struct ws *ws, uint16_t port, const char *cookie)
{
    for (int i = 0; i < LATER_MAX; i++) {
        int rc = upgrade(ws, port, cookie);
        if (rc <= 0) return rc;
        usleep(LATER_US);
    }
    errno = 0;
    return complain("the server asked to come later again and again");
}

void ws_close(struct ws *ws)
{
    close(ws->fd);
    buffer_reset(&ws->in);
    buffer_reset(&ws->out);
}

void ws_put(struct ws *ws, uint8_t opcode, slice head, slice payload)
{
    size_t len = head.len + payload.len;
    buffer_byte(&ws->out, (uint8_t)(0x80 | opcode));
    if (len < 126) {
        buffer_byte(&ws->out, (uint8_t)(0x80 | len));
    } else {
        buffer_byte(&ws->out, len < 65536 ? 0x80 | 126 : 0x80 | 127);
        for (int shift = len < 65536 ? 8 : 56; shift >= 0; shift -= 8)
            buffer_byte(&ws->out, (uint8_t)((uint64_t)len >> shift));
    }
    buffer_put(&ws->out, SLICE("\0\0\0\0"));
    buffer_put(&ws->out, head);
    buffer_put(&ws->out, payload);
}

int ws_flush(struct ws *ws)
{
    size_t sent = 0;
    while (sent < ws->out.len) {
        ssize_t n = send(ws->fd, ws->out.ptr + sent, ws->out.len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) return complain("send");
        sent += (size_t)n;
    }
    buffer_consume(&ws->out, sent);
    return ws->out.failed ? complain("too much is waiting to be sent") : 0;
}

int ws_fill(struct ws *ws)
{
    for (;;) {
        if (buffer_reserve(&ws->in, 65536)) return complain("too much is waiting to be read");
        ssize_t n = recv(ws->fd, ws->in.ptr + ws->in.len, 65536, 0);
        if (n < 0 && errno == EAGAIN) return 0;
        errno = n ? errno : 0;
        if (n <= 0) return complain("the tracker closed the socket");
        ws->in.len += (size_t)n;
        if (n < 65536) return 0;
    }
}

bool ws_next(struct ws *ws, uint8_t *out_opcode, slice *out_payload)
{
    buffer_consume(&ws->in, ws->taken);
    ws->taken = 0;
    const uint8_t *p = ws->in.ptr;
    if (ws->in.len < 2) return false;
    size_t head = 2, len = p[1] & 127;
    size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (ws->in.len < head + extra) return false;
    if (extra) len = 0;
    for (size_t i = 0; i < extra; i++)
        len = len << 8 | p[head + i];
    head += extra;
    if (ws->in.len < head + len) return false;
    *out_opcode = p[0] & 15;
    *out_payload = slice_of(p + head, len);
    ws->taken = head + len;
    return true;
}
