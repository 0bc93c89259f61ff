/* loop.c - the yardstick of a fan-out: what one core needs at least to pass messages on to many connections.
 *
 * One epoll; what one read brings from a connection goes, as it is, in one write to each of the others. It
 * knows no protocol, so nothing is parsed, framed or queued: a connection that does not take it all ends the
 * program.
 *
 * bench-fanout-loop: its port on stdout. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, READ_BYTES = 64 * 1024, FILES_MAX = 20000 };

static int fds[FILES_MAX], count, epoll;
static char input[READ_BYTES];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void accept_all(int listener)
{
    int fd;
    while (count < FILES_MAX && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        fds[count++] = fd;
        watch(fd);
    }
}

static void forget(int fd)
{
    for (int i = 0; i < count; i++) {
        if (fds[i] == fd) fds[i--] = fds[--count];
    }
    close(fd);
}

static void pass_on(int from)
{
    ssize_t got = read(from, input, sizeof input);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        forget(from);
        return;
    }
    for (int i = 0; i < count; i++) {
        if (fds[i] != from && write(fds[i], input, (size_t)got) != got && errno != EPIPE &&
            errno != ECONNRESET)
            die("write");
    }
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct epoll_event events[EVENTS];
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll = epoll_create1(0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 4096) < 0)
        die("listen");
    getsockname(listener, (struct sockaddr *)&address, &len);
    watch(listener);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                accept_all(listener);
            else
                pass_on(events[i].data.fd);
        }
    }
}
