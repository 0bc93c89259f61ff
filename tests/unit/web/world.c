#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Any worker's thread may have something to say. */
static pthread_mutex_t logged_lock = PTHREAD_MUTEX_INITIALIZER;

static void remember(void *context, enum wr_log_level level, const char *text)
{
    struct world *w = context;
    (void)level;
    pthread_mutex_lock(&logged_lock);
    snprintf(w->logged, sizeof w->logged, "%s", text);
    pthread_mutex_unlock(&logged_lock);
}

void world_init(struct world *w, struct wr_config *config)
{
    struct wr_config defaults;
    memset(w, 0, sizeof *w);
    if (!config) {
        wr_config_init(&defaults);
        config = &defaults;
    }
    config->log = remember;
    config->log_context = w;
    w->app = wr_app_new(config);
    assert_non_null(w->app);
}

static void *serve(void *context)
{
    wr_run(context);
    return NULL;
}

void world_run(struct world *w)
{
    assert_int_equal(wr_listen(w->app, "127.0.0.1", 0, NULL), WR_OK);
    assert_int_equal(pthread_create(&w->thread, NULL, serve, w->app), 0);
}

void world_end(struct world *w)
{
    wr_stop(w->app);
    pthread_join(w->thread, NULL);
    wr_app_free(w->app);
}

int client_connect(const struct world *w)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(wr_port(w->app))};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

void client_send_bytes(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

void client_send(int fd, const char *text)
{
    client_send_bytes(fd, text, strlen(text));
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *client_read(int fd, int ms, int *out_ms, bool *out_closed)
{
    static char text[READ_MAX + 1];
    int64_t began = now_ms(), left;
    size_t n = 0;
    bool closed = false;
    while (!closed && (left = began + ms - now_ms()) > 0 && n < READ_MAX) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)left) <= 0) continue;
        ssize_t got = recv(fd, text + n, READ_MAX - n, 0);
        closed = got <= 0;
        if (got > 0) n += (size_t)got;
    }
    text[n] = 0;
    if (out_ms) *out_ms = (int)(now_ms() - began);
    if (out_closed) *out_closed = closed;
    return text;
}

void client_read_exact(int fd, void *out, size_t len)
{
    char *at = out;
    while (len > 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 5000), 1);
        ssize_t n = recv(fd, at, len, 0);
        assert_true(n > 0);
        at += n;
        len -= (size_t)n;
    }
}

const char *ask(const struct world *w, const char *head)
{
    int fd = client_connect(w);
    bool closed;
    client_send(fd, head);
    client_send(fd, "Host: a\r\nConnection: close\r\n\r\n");
    const char *text = client_read(fd, 5000, NULL, &closed);
    assert_true(closed);
    close(fd);
    return text;
}

void assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0) fail_msg("'%s' does not begin with '%s'", text, start);
}

void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' is not in '%s'", part, text);
}

void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part)) fail_msg("'%s' is in '%s'", part, text);
}

void wait_for(const int *count, int value)
{
    for (int i = 0; i < 5000 && __atomic_load_n(count, __ATOMIC_ACQUIRE) != value; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(__atomic_load_n(count, __ATOMIC_ACQUIRE), value);
}

const char *file_text(const char *name)
{
    static char text[4 * 1024 * 1024];
    FILE *file = fopen(name, "r");
    if (!file) return "";
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    return text;
}
