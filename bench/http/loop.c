/* loop.c - the yardstick: what one core needs at least to answer an HTTP request on a TCP connection.
 *
 * One epoll, level-triggered; one read and one write for each request; the answer is the same bytes every
 * time. It knows of HTTP only where a request ends (an empty line), which is enough to be right about
 * pipelining. What a server needs beyond this is its own cost.
 *
 * bench-loop ANSWER...: one listener on 127.0.0.1 for each, the ports on one line of stdout. ANSWER is FILE
 * (its bytes as body), close:FILE (closes after the answer), deferred:FILE (closes too, and the listener has
 * TCP_DEFER_ACCEPT), upgrade: (a fixed 101), echo: (the same, then all bytes go back), post:N:FILE (requests
 * have a body of N bytes), or late:N:FILE (nobody is answered before N requests wait). */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, READ_BYTES = 64 * 1024, FILES_MAX = 20000, BACKLOG = 4096, DEFER_S = 10 };

struct answer {
    char *bytes;
    size_t len;
    bool close, echo, deferred;
    size_t body;            /* of each request */
    unsigned late, waiting; /* requests: wanted before the first answer, here */
    int listener;
};

/* By descriptor. */
struct client {
    struct answer *answer;
    unsigned end;  /* how much of "\r\n\r\n" the last bytes were */
    size_t body;   /* bytes of the request's body that have not come */
    bool upgraded; /* all bytes go back */
    unsigned owed; /* answers not begun */
    size_t left;   /* bytes of the current answer that the kernel did not take */
    bool blocked;  /* waits for EPOLLOUT */
};

static struct client clients[FILES_MAX];
static char input[READ_BYTES];
static int epoll;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void watch(int fd, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll, operation, fd, &event) < 0) die("epoll_ctl");
}

static void accept_all(struct answer *answer)
{
    int fd;
    while ((fd = accept4(answer->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= FILES_MAX) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        clients[fd] = (struct client){.answer = answer};
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static unsigned requests_in(struct client *c, const char *bytes, size_t len)
{
    static const char mark[] = "\r\n\r\n";
    unsigned found = 0;
    for (size_t i = 0; i < len;) {
        if (c->body > 0) {
            size_t part = c->body < len - i ? c->body : len - i;
            i += part;
            c->body -= part;
            found += c->body == 0;
            continue;
        }
        if (c->end == 0) {
            const char *next = memchr(bytes + i, '\r', len - i);
            if (!next) break;
            i = (size_t)(next - bytes);
        }
        char byte = bytes[i++];
        c->end = byte == mark[c->end] ? c->end + 1 : byte == '\r';
        if (c->end == 4) {
            c->end = 0;
            c->body = c->answer->body;
            found += c->body == 0;
        }
    }
    return found;
}

/* False when it is over. */
static bool send_owed(int fd, struct client *c)
{
    while (c->owed > 0 || c->left > 0) {
        if (c->left == 0) {
            c->owed--;
            c->left = c->answer->len;
        }
        ssize_t sent = write(fd, c->answer->bytes + c->answer->len - c->left, c->left);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent > 0) c->left -= (size_t)sent;
        if (c->left > 0) break;
    }
    bool waits = c->left > 0;
    if (waits != c->blocked) watch(fd, EPOLL_CTL_MOD, waits ? EPOLLOUT : EPOLLIN);
    c->blocked = waits;
    return waits || !c->answer->close;
}

/* When the last of those has come who are to wait for each other, all are answered. */
static void answer_waiting(struct answer *a, unsigned more)
{
    a->waiting += more;
    if (a->waiting < a->late) return;
    a->waiting = 0;
    for (int fd = 0; fd < FILES_MAX; fd++) {
        if (clients[fd].answer == a && clients[fd].owed > 0 && !send_owed(fd, &clients[fd])) close(fd);
    }
}

static void serve(int fd, uint32_t events)
{
    struct client *c = &clients[fd];
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        ssize_t got = read(fd, input, sizeof input);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            c->owed = 0;
            close(fd);
            return;
        }
        if (c->upgraded) {
            if (got > 0 && write(fd, input, (size_t)got) != got) close(fd);
            return;
        }
        unsigned more = got > 0 ? requests_in(c, input, (size_t)got) : 0;
        c->owed += more;
        if (c->answer->late > 0) {
            answer_waiting(c->answer, more);
            return;
        }
        if (c->owed == 0) return;
        c->upgraded = c->answer->echo;
    }
    if (!send_owed(fd, c)) close(fd);
}

static void load_answer(struct answer *a, const char *file)
{
    char head[256];
    size_t len = 0;
    char *body = NULL;
    FILE *f = fopen(file, "rb");
    if (!f) die(file);
    if (fseek(f, 0, SEEK_END) == 0) len = (size_t)ftell(f);
    rewind(f);
    body = malloc(len + 1);
    if (!body || fread(body, 1, len, f) != len) die(file);
    fclose(f);
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", len,
                     a->close ? "Connection: close\r\n" : "");
    a->len = (size_t)n + len;
    a->bytes = malloc(a->len);
    if (!a->bytes) die("malloc");
    memcpy(a->bytes, head, (size_t)n);
    memcpy(a->bytes + n, body, len);
    free(body);
}

static void upgrade_answer(struct answer *a)
{
    /* The Sec-WebSocket-Accept of the key in RFC 6455 1.3. */
    static char head[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    a->bytes = head;
    a->len = sizeof head - 1;
}

static uint16_t listen_for(struct answer *a)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    a->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (a->deferred) setsockopt(a->listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &(int){DEFER_S}, sizeof(int));
    if (a->listener < 0 || bind(a->listener, (struct sockaddr *)&address, len) < 0 ||
        listen(a->listener, BACKLOG) < 0 || getsockname(a->listener, (struct sockaddr *)&address, &len) < 0)
        die("listen");
    clients[a->listener].answer = a;
    watch(a->listener, EPOLL_CTL_ADD, EPOLLIN);
    return ntohs(address.sin_port);
}

/* Whether it begins with this word; `*text` goes behind it. */
static bool word(const char **text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*text, prefix, len) != 0) return false;
    *text += len;
    return true;
}

static size_t number(const char **text)
{
    char *end;
    size_t n = strtoul(*text, &end, 10);
    *text = *end == ':' ? end + 1 : end;
    return n;
}

static void make_answer(struct answer *a, const char *text)
{
    a->echo = word(&text, "echo:");
    if (a->echo || word(&text, "upgrade:")) {
        a->deferred = true;
        upgrade_answer(a);
        return;
    }
    a->deferred = word(&text, "deferred:");
    a->close = a->deferred || word(&text, "close:");
    if (word(&text, "post:")) a->body = number(&text);
    if (word(&text, "late:")) a->late = (unsigned)number(&text);
    load_answer(a, text);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: bench-loop [close:|deferred:|post:N:|late:N:]FILE|upgrade:|echo: ...\n", stderr);
        return 2;
    }
    struct answer *answers = calloc((size_t)argc, sizeof *answers);
    epoll = epoll_create1(0);
    if (!answers || epoll < 0) die("start");
    for (int i = 1; i < argc; i++) {
        make_answer(&answers[i], argv[i]);
        printf("%u ", listen_for(&answers[i]));
    }
    putchar('\n');
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == clients[fd].answer->listener)
                accept_all(clients[fd].answer);
            else
                serve(fd, events[i].events);
        }
    }
}
