/* ws-echo.c - a WebSocket server that sends every message back, on any path, to anybody: for test harnesses.
 * Messages to 16 MiB, permessage-deflate. `ws-echo [IP [PORT]]`; port 0 lets the system choose. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <weaprous/weaprous.h>

enum { MESSAGE_MAX = 16 * 1024 * 1024, QUEUE_HIGH = 1024 * 1024 };

static struct wr_app *app;

static void on_upgrade(struct wr_request *request, void *context)
{
    (void)context;
    (void)!wr_socket_accept(request, NULL);
}

/* Reads no more while its own answers wait: back-pressure from one end to the other. */
static void on_message(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                       void *context)
{
    (void)context;
    int64_t queued = wr_socket_send(socket, kind, bytes, len);
    if (queued < 0)
        wr_socket_close(socket, WR_CLOSE_ERROR, "out of memory");
    else if (queued >= QUEUE_HIGH)
        wr_socket_pause(socket);
}

static void on_drain(struct wr_socket *socket, void *context)
{
    (void)context;
    wr_socket_resume(socket);
}

static void on_signal(int number)
{
    (void)number;
    wr_stop(app);
}

int main(int argc, char **argv)
{
    const char *ip = argc > 1 ? argv[1] : "127.0.0.1";
    unsigned long port = argc > 2 ? strtoul(argv[2], NULL, 10) : 9001;
    const struct wr_socket_handlers echo = {.upgrade = on_upgrade,
                                            .message = on_message,
                                            .drain = on_drain,
                                            .message_bytes_max = MESSAGE_MAX,
                                            .queue_bytes_max = QUEUE_HIGH + 2 * MESSAGE_MAX,
                                            .queue_bytes_high = QUEUE_HIGH,
                                            .compress_bytes_min = 16};
    app = wr_app_new(NULL);
    if (!app || port > 65535 || wr_websocket(app, "/", &echo, NULL) < 0 ||
        wr_websocket(app, "/*path", &echo, NULL) < 0 || wr_listen(app, ip, (uint16_t)port, NULL) < 0) {
        fprintf(stderr, "%s\n", app ? wr_app_error(app) : "out of memory");
        wr_app_free(app);
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("ws://%s:%u/\n", ip, wr_port(app));
    fflush(stdout);
    wr_run(app);
    wr_app_free(app);
    return 0;
}
