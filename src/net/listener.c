#include "net/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

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
    rc = uv_tcp_init(&loop->uv, &l->tcp);
    if (rc < 0) return rc;
    *out_made = true;
    l->tcp.data = l;
    l->held = false;
    rc = uv_tcp_bind(&l->tcp, (const struct sockaddr *)&address, 0);
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
