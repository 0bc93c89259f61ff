/* forward.c - the yardstick of a proxy: what one core needs at least to pass bytes on between two
 * connections.
 *
 * One epoll, level-triggered; each connection of a client gets one of its own to the server, at once; what
 * one side sends goes to the other. Nothing is parsed, so no connection is shared and nothing is written
 * anew. What one side does not take waits in a buffer (or in the pipe), and the other one is not read
 * meanwhile.
 *
 * bench-forward copy|splice PORT...: for each port of a server one listener on 127.0.0.1; their ports on one
 * line of stdout. copy: one read and one write into memory; splice: two calls too, through a pipe, without
 * the bytes coming to this process. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, PIECE_BYTES = 64 * 1024, FILES_MAX = 20000, BACKLOG = 4096 };

/* By descriptor: one end of a pair, or a listener. */
struct end {
    int peer;        /* -1: a listener, or not in use */
    uint16_t server; /* of a listener: its port */
    uint32_t events;
    int pipe[2];     /* splice: what has come from this end and has not gone to the peer */
    char *kept;      /* copy: the same; NULL: nothing */
    size_t at, left; /* in `kept`; only `left` of the pipe */
};

static struct end ends[FILES_MAX];
static char input[PIECE_BYTES];
static bool splices;
static int epoll;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void want(int fd, uint32_t events)
{
    if (ends[fd].events == events) return;
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) < 0) die("epoll_ctl");
    ends[fd].events = events;
}

static void add(int fd, int peer)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    ends[fd] = (struct end){.peer = peer, .events = EPOLLIN, .pipe = {-1, -1}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void drop(int fd)
{
    struct end *e = &ends[fd];
    if (e->pipe[0] >= 0) {
        close(e->pipe[0]);
        close(e->pipe[1]);
    }
    free(e->kept);
    *e = (struct end){.peer = -1, .pipe = {-1, -1}};
    close(fd);
}

static void drop_pair(int fd)
{
    int peer = ends[fd].peer;
    drop(fd);
    drop(peer);
}

/* Negative when there are no descriptors left. */
static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) return fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (fd >= FILES_MAX || (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void accept_all(int listener)
{
    int client;
    while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        int server = client < FILES_MAX ? dial(ends[listener].server) : -1;
        if (server < 0) {
            close(client);
            continue;
        }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        add(client, server);
        add(server, client);
    }
}

/* What an end does next: it is not read while its peer has not taken everything. */
static void wait_for_more(int fd)
{
    struct end *e = &ends[fd];
    want(fd, (e->left > 0 ? 0u : (uint32_t)EPOLLIN) | (ends[e->peer].left > 0 ? (uint32_t)EPOLLOUT : 0u));
}

static bool failed(ssize_t rc)
{
    return rc == 0 || (rc < 0 && errno != EAGAIN && errno != ENOTCONN);
}

/* Moves what waits from an end to its peer. False when the connection is broken. */
static bool push(struct end *from)
{
    ssize_t n;
    if (splices)
        n = splice(from->pipe[0], NULL, from->peer, NULL, from->left, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    else
        n = send(from->peer, from->kept + from->at, from->left, MSG_NOSIGNAL);
    if (failed(n)) return false;
    if (n > 0) {
        from->at += (size_t)n;
        from->left -= (size_t)n;
    }
    if (from->left == 0) {
        free(from->kept);
        from->kept = NULL;
    }
    return true;
}

static bool pull_splicing(int fd, struct end *from)
{
    if (from->pipe[0] < 0 && pipe2(from->pipe, O_NONBLOCK) < 0) die("pipe2");
    ssize_t n = splice(fd, NULL, from->pipe[1], NULL, PIECE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (failed(n)) return false;
    if (n < 0) return true;
    from->left = (size_t)n;
    return push(from);
}

static bool pull_copying(int fd, struct end *from)
{
    ssize_t n = read(fd, input, sizeof input);
    if (failed(n)) return false;
    if (n < 0) return true;
    ssize_t sent = send(from->peer, input, (size_t)n, MSG_NOSIGNAL);
    if (failed(sent)) return false;
    from->left = (size_t)(sent < 0 ? n : n - sent);
    if (from->left == 0) return true;
    from->at = 0;
    from->kept = malloc(from->left);
    if (!from->kept) die("malloc");
    memcpy(from->kept, input + ((size_t)n - from->left), from->left);
    return true;
}

static void serve(int fd, uint32_t events)
{
    struct end *e = &ends[fd];
    if (e->peer < 0) return; /* closed before in this turn */
    struct end *peer = &ends[e->peer];
    bool good = true;
    if (peer->left > 0 && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) good = push(peer);
    if (good && e->left == 0 && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        good = splices ? pull_splicing(fd, e) : pull_copying(fd, e);
    if (!good) {
        drop_pair(fd);
        return;
    }
    wait_for_more(fd);
    wait_for_more(e->peer);
}

static uint16_t listen_for(uint16_t server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        die("listen");
    add(fd, -1);
    ends[fd].server = server;
    return ntohs(address.sin_port);
}

int main(int argc, char **argv)
{
    if (argc < 3 || (strcmp(argv[1], "copy") != 0 && strcmp(argv[1], "splice") != 0)) {
        fputs("usage: bench-forward copy|splice PORT...\n", stderr);
        return 2;
    }
    splices = strcmp(argv[1], "splice") == 0;
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(0);
    if (epoll < 0) die("epoll_create1");
    for (int i = 2; i < argc; i++)
        printf("%u ", listen_for((uint16_t)strtoul(argv[i], NULL, 10)));
    putchar('\n');
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (ends[fd].server > 0)
                accept_all(fd);
            else
                serve(fd, events[i].events);
        }
    }
}
