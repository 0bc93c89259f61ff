#include "net/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- accepting --- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void drop_accepted(struct listener *l)
{
    if (l->accepted >= 0) close(l->accepted);
    l->accepted = -1;
}

int listener_take(struct listener *l)
{
    int fd = l->accepted;
    l->accepted = -1;
    return fd;
}

static void on_retry(uv_timer_t *timer)
{
    struct listener *l = timer->data;
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
    if (l->retiring) on_poll(&l->poll, 0, UV_READABLE);
}

static void stop_for_now(struct listener *l, int error)
{
    uv_poll_stop(&l->poll);
    uv_timer_start(&l->retry, on_retry, LISTENER_RETRY_MS, 0);
    if (l->troubled) return;
    l->troubled = true;
    l->trouble(l, error);
}

/* The connection has gone again, or never really was: the next one may be good (accept(2)). */
static bool is_of_one_connection(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP: return true;
    default: return false;
    }
}

/* True when there is one. A listener that retires is closed when there is none. */
static bool accept_one(struct listener *l)
{
    for (int i = 0; i < LISTENER_TURN_MAX; i++) {
        socklen_t len = sizeof l->peer;
        l->accepted = accept4(l->fd, (struct sockaddr *)&l->peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (l->accepted >= 0) return true;
        if (errno == EAGAIN) {
            if (l->retiring) listener_close(l);
            return false;
        }
        if (is_of_one_connection(errno)) continue;
        stop_for_now(l, uv_translate_sys_error(errno));
        return false;
    }
    return false;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct listener *l = poll->data;
    if (status < 0) {
        stop_for_now(l, status);
        return;
    }
    for (int i = 0; i < LISTENER_TURN_MAX && !uv_is_closing((uv_handle_t *)poll); i++) {
        if (!accept_one(l)) return;
        if (l->troubled) {
            l->troubled = false;
            l->trouble(l, 0);
        }
        if (!l->ready(l)) {
            l->held = true;
            uv_poll_stop(&l->poll);
            return;
        }
        drop_accepted(l); /* nothing, when it was taken */
    }
    /* Nothing may come any more that would say that others wait. */
    if (l->retiring) uv_timer_start(&l->retry, on_retry, 0, 0);
}

void listener_resume(struct listener *l)
{
    if (!l->held || uv_is_closing((uv_handle_t *)&l->poll) || !l->ready(l)) return;
    drop_accepted(l);
    l->held = false;
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
    if (l->retiring) on_poll(&l->poll, 0, UV_READABLE);
}

void listener_retire(struct listener *l)
{
    if (l->retiring || uv_is_closing((uv_handle_t *)&l->poll)) return;
    l->retiring = true;
    if (!l->held && !uv_is_active((uv_handle_t *)&l->retry)) on_poll(&l->poll, 0, UV_READABLE);
}

/* --- life --- */

static int last_error(void)
{
    return uv_translate_sys_error(errno);
}

int listener_address(const char *ip, uint16_t port, struct sockaddr_storage *out, socklen_t *out_len)
{
    memset(out, 0, sizeof *out);
    *out_len = sizeof(struct sockaddr_in);
    if (uv_ip4_addr(ip, port, (struct sockaddr_in *)out) == 0) return 0;
    *out_len = sizeof(struct sockaddr_in6);
    return uv_ip6_addr(ip, port, (struct sockaddr_in6 *)out);
}

uint16_t listener_bound_port(int fd)
{
    struct sockaddr_in6 address; /* the port lies at the same place in both kinds */
    socklen_t len = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &len) < 0 ? 0 : ntohs(address.sin6_port);
}

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? last_error() : 0;
}

static int open_socket(const struct sockaddr_storage *address)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return last_error();
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address->ss_family == AF_INET6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    return fd;
}

static int bind_to(int fd, const struct sockaddr_storage *address, socklen_t len)
{
    return bind(fd, (const struct sockaddr *)address, len) < 0 ? last_error() : 0;
}

/* With SO_REUSEPORT another program of the same user could have the address without anybody noticing: tried
 * without it first. 0 or a libuv error. */
static int address_is_free(const struct sockaddr_storage *address, socklen_t len)
{
    int fd = open_socket(address);
    if (fd < 0) return fd;
    int rc = bind_to(fd, address, len);
    close(fd);
    return rc;
}

int listener_socket(const struct listener_options *options)
{
    struct sockaddr_storage address;
    socklen_t len;
    int rc = listener_address(options->ip, options->port, &address, &len);
    if (rc == 0 && options->shared && !options->joins) rc = address_is_free(&address, len);
    if (rc < 0) return rc;
    int fd = open_socket(&address);
    if (fd < 0) return fd;
    if (options->shared) rc = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (rc == 0) rc = bind_to(fd, &address, len);
    /* Accepted connections inherit this; what they write is coalesced already. */
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options->defer_s > 0) set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options->defer_s);
    if (rc == 0 && listen(fd, options->backlog) < 0) rc = last_error();
    if (rc == 0) return fd;
    close(fd);
    return rc;
}

int listener_begin(struct listener *l, struct net_loop *loop, int fd, bool deferred)
{
    l->accepted = -1;
    l->held = l->troubled = l->retiring = false;
    l->deferred = deferred;
    l->fd = fd;
    int rc = uv_poll_init(&loop->uv, &l->poll, fd);
    if (rc < 0) return rc;
    uv_timer_init(&loop->uv, &l->retry); /* cannot fail */
    l->poll.data = l->retry.data = l;
    l->handles = 2;
    l->port = listener_bound_port(fd);
    uv_poll_start(&l->poll, UV_READABLE, on_poll);
    return 0;
}

int listener_open(struct listener *l, struct net_loop *loop, const struct listener_options *options)
{
    int fd = listener_socket(options);
    if (fd < 0) return fd;
    int rc = listener_begin(l, loop, fd, options->defer_s > 0);
    if (rc < 0) close(fd);
    return rc;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    if (--l->handles == 0) l->closed(l);
}

void listener_close(struct listener *l)
{
    if (uv_is_closing((uv_handle_t *)&l->poll)) return;
    uv_poll_stop(&l->poll);
    drop_accepted(l);
    uv_close((uv_handle_t *)&l->poll, on_closed);
    uv_close((uv_handle_t *)&l->retry, on_closed);
    close(l->fd); /* last: its number may be another thread's at once */
}
