#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_connection(uv_stream_t *handle, int status)
{
    struct listener *l = handle->data;
    if (status < 0)
        l->trouble(l, status);
    else if (!l->ready(l))
        l->held = true; /* libuv stops polling until the connection is accepted */
}

static int address_parse(const char *ip, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    int rc = uv_ip4_addr(ip, port, (struct sockaddr_in *)out);
    return rc == 0 ? 0 : uv_ip6_addr(ip, port, (struct sockaddr_in6 *)out);
}

static uint16_t bound_port(const uv_tcp_t *tcp)
{
    struct sockaddr_storage address;
    int len = sizeof address;
    if (uv_tcp_getsockname(tcp, (struct sockaddr *)&address, &len) < 0) return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

/* With SO_REUSEPORT another program of the same user could have the address without anybody noticing: tried
 * without it first. 0 or a libuv error. */
static int address_is_free(const struct sockaddr_storage *address)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return uv_translate_sys_error(errno);
    (void)!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    int rc = bind(fd, (const struct sockaddr *)address, sizeof(struct sockaddr_in6));
    if (rc < 0) rc = uv_translate_sys_error(errno);
    close(fd);
    return rc;
}

static int bind_shared(struct listener *l, const struct sockaddr_storage *address, bool joins)
{
    uv_os_fd_t fd;
    int rc = joins ? 0 : address_is_free(address);
    if (rc == 0) rc = uv_fileno((uv_handle_t *)&l->tcp, &fd);
    if (rc == 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)) < 0)
        rc = uv_translate_sys_error(errno);
    return rc;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    l->closed(l);
}

int listener_open(struct listener *l, struct net_loop *loop, const struct listener_options *options,
                  bool *out_made)
{
    struct sockaddr_storage address;
    *out_made = false;
    int rc = address_parse(options->ip, options->port, &address);
    if (rc < 0) return rc;
    rc = uv_tcp_init_ex(&loop->uv, &l->tcp, address.ss_family);
    if (rc < 0) return rc;
    *out_made = true;
    l->tcp.data = l;
    l->held = false;
    if (options->shared) rc = bind_shared(l, &address, options->joins);
    if (rc == 0) rc = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&address, 0);
    if (rc == 0) rc = uv_listen((uv_stream_t *)&l->tcp, options->backlog, on_connection);
    if (rc < 0) {
        listener_close(l);
        return rc;
    }
    uv_os_fd_t fd;
    /* Accepted connections inherit this; what they write is coalesced already. */
    if (uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0)
        (void)!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (options->defer_s > 0 && uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0)
        (void)!setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &options->defer_s, sizeof options->defer_s);
    l->port = bound_port(&l->tcp);
    return 0;
}

void listener_resume(struct listener *l)
{
    /* `held` falls only when one is taken: accepting makes libuv poll again. */
    if (l->held && l->ready(l)) l->held = false;
}

void listener_close(struct listener *l)
{
    if (!uv_is_closing((uv_handle_t *)&l->tcp)) uv_close((uv_handle_t *)&l->tcp, on_closed);
}
