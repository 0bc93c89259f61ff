/* connect.c - finding somebody who listens: names to addresses, and the addresses in turn (RFC 8305 without
 * the sorting, which the system's resolver has done).
 *
 * Where there is only one address the stream's own handle connects, so that nothing else is watched
 * meanwhile.
 *
 * A connector belongs to its stream until that is connected, told so, or closed; then it closes what it has
 * and frees itself. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/send.h"

enum { ADDRESSES_MAX = 8, NEXT_AFTER_MS = 250 };

struct attempt {
    uv_poll_t poll;
    struct connector *connector;
    int fd; /* -1: none */
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct connector {
    struct stream *stream; /* NULL: nobody waits any more */
    struct net_loop *loop;
    uv_connect_t direct;
    uv_getaddrinfo_t lookup;
    uv_timer_t timer;
    union address addresses[ADDRESSES_MAX];
    size_t count, next; /* of them; the one whose turn it is */
    struct attempt attempts[ADDRESSES_MAX];
    size_t begun, running;
    unsigned handles; /* and requests that are not done; 0: it connects directly */
    int error;        /* of the last attempt */
    char port[8];
    char host[];
};

static void add_known(struct connector *c, const uint8_t address[16], uint16_t port)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    union address *out = &c->addresses[c->count++];
    if (memcmp(address, mapped, sizeof mapped) == 0) {
        out->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&out->v4.sin_addr, address + sizeof mapped, sizeof out->v4.sin_addr);
    } else {
        out->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
        memcpy(&out->v6.sin6_addr, address, sizeof out->v6.sin6_addr);
    }
}

/* Takes what was found, and frees it. */
static void add_found(struct connector *c, struct addrinfo *found)
{
    for (const struct addrinfo *a = found; a && c->count < ADDRESSES_MAX; a = a->ai_next) {
        if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
        memcpy(&c->addresses[c->count++], a->ai_addr, a->ai_addrlen);
    }
    if (found) freeaddrinfo(found);
}

/* Of a host that is an address itself. */
static void add_literal(struct connector *c, uint16_t port)
{
    union address *out = &c->addresses[0];
    if (uv_ip4_addr(c->host, port, &out->v4) == 0 || uv_ip6_addr(c->host, port, &out->v6) == 0) c->count = 1;
}

struct connector *connector_new(const struct stream_target *target)
{
    struct connector *c = calloc(1, sizeof *c + strlen(target->host) + 1);
    if (!c) return NULL;
    snprintf(c->port, sizeof c->port, "%u", target->port);
    memcpy(c->host, target->host, strlen(target->host));
    c->error = UV_EAI_NONAME;
    for (size_t i = 0; i < target->address_count && c->count < ADDRESSES_MAX; i++)
        add_known(c, target->addresses[i], target->port);
    if (c->count == 0) add_literal(c, target->port);
    return c;
}

void connector_free(struct connector *c)
{
    free(c);
}

static void released(struct connector *c)
{
    if (--c->handles == 0) connector_free(c);
}

static void on_timer_closed(uv_handle_t *handle)
{
    released(handle->data);
}

static void on_attempt_closed(uv_handle_t *handle)
{
    struct attempt *a = handle->data;
    released(a->connector);
}

/* Its descriptor is closed, unless it was taken before. */
static void attempt_end(struct attempt *a)
{
    if (uv_is_closing((uv_handle_t *)&a->poll)) return;
    uv_poll_stop(&a->poll);
    uv_close((uv_handle_t *)&a->poll, on_attempt_closed);
    if (a->fd >= 0) close(a->fd);
    a->fd = -1;
    a->connector->running--;
}

static void end(struct connector *c)
{
    c->stream = NULL;
    for (size_t i = 0; i < c->begun; i++)
        attempt_end(&c->attempts[i]);
    uv_cancel((uv_req_t *)&c->lookup); /* without effect when it is done */
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}

void connector_cancel(struct connector *c)
{
    if (!c) return;
    if (c->handles == 0)
        c->stream = NULL; /* the request is over when the stream's handle is closed */
    else
        end(c);
}

static void give_up(struct connector *c)
{
    struct stream *s = c->stream;
    int error = c->error;
    end(c);
    stream_not_connected(s, error);
}

static void go_on(struct connector *c);

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct attempt *a = poll->data;
    struct connector *c = a->connector;
    int error = 0;
    socklen_t len = sizeof error;
    /* libuv tells any trouble as UV_EBADF; the socket knows what it was. */
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
    if (status < 0 || error) {
        c->error = error ? uv_translate_sys_error(error) : status;
        attempt_end(a);
        go_on(c);
        return;
    }
    struct stream *s = c->stream;
    int fd = a->fd;
    a->fd = -1;
    end(c);
    stream_connected(s, fd);
}

/* 0 when it is under way. */
static int attempt_begin(struct connector *c, const union address *address)
{
    struct attempt *a = &c->attempts[c->begun];
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return uv_translate_sys_error(errno);
    socklen_t len = address->any.sa_family == AF_INET ? sizeof address->v4 : sizeof address->v6;
    int rc = connect(fd, &address->any, len);
    if (rc < 0 && errno != EINPROGRESS) {
        rc = uv_translate_sys_error(errno);
        close(fd);
        return rc;
    }
    rc = uv_poll_init(&c->loop->uv, &a->poll, fd);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    a->poll.data = a;
    a->connector = c;
    a->fd = fd;
    c->begun++;
    c->running++;
    c->handles++;
    rc = uv_poll_start(&a->poll, UV_WRITABLE, on_ready);
    if (rc < 0) attempt_end(a);
    return rc;
}

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data);
}

/* Begins the next attempt; gives up when there is none and none is running. */
static void go_on(struct connector *c)
{
    while (c->next < c->count) {
        int rc = attempt_begin(c, &c->addresses[c->next++]);
        if (rc == 0) {
            uv_timer_start(&c->timer, on_timer, NEXT_AFTER_MS, 0);
            return;
        }
        c->error = rc;
    }
    if (c->running == 0) give_up(c);
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct connector *c = LIST_ENTRY(request, struct connector, lookup);
    add_found(c, addresses);
    if (c->stream) {
        if (status < 0) c->error = status;
        go_on(c);
    }
    released(c);
}

/* An address in an unusual form ("127.1") needs no lookup, and so no thread. */
static void on_begin(uv_timer_t *timer)
{
    struct connector *c = timer->data;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (c->count == 0 && getaddrinfo(c->host, c->port, &hints, &found) == 0) add_found(c, found);
    if (c->count > 0) {
        go_on(c);
        return;
    }
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    c->handles++;
    int rc = uv_getaddrinfo(&c->loop->uv, &c->lookup, on_found, c->host, c->port, &hints);
    if (rc == 0) return;
    c->handles--;
    c->error = rc;
    give_up(c);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct connector *c = LIST_ENTRY(request, struct connector, direct);
    struct stream *s = c->stream;
    connector_free(c);
    if (s && status < 0)
        stream_not_connected(s, status);
    else if (s)
        stream_connected(s, -1);
}

static void connect_directly(struct connector *c)
{
    struct stream *s = c->stream;
    int rc = uv_tcp_connect(&c->direct, &s->tcp, &c->addresses[0].any, on_connected);
    if (rc == 0) {
        stream_watch(s);
        return;
    }
    connector_free(c);
    s->connector = NULL;
    s->error = rc; /* is told at the end of the turn */
    stream_mark(s);
}

void connector_begin(struct connector *c, struct stream *s)
{
    c->stream = s;
    c->loop = stream_loop(s);
    s->connector = c;
    if (c->count == 1) {
        connect_directly(c);
        return;
    }
    uv_timer_init(&c->loop->uv, &c->timer);
    c->timer.data = c;
    c->handles = 1;
    uv_timer_start(&c->timer, on_begin, 0, 0);
}
