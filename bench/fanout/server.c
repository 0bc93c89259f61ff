/* server.c - the fan-out of libweaprous: who connects to /socket is a subscriber, and what anybody sends goes
 * to all of them but the sender. bench-fanout-server: port 0, which is printed. One worker. */
#include <signal.h>
#include <stdio.h>

#include <weaprous/weaprous.h>

static struct wr_app *app;

static void on_open(struct wr_socket *socket, void *context)
{
    (void)context;
    if (wr_subscribe(socket, "bench") < 0) wr_socket_close(socket, WR_CLOSE_ERROR, NULL);
}

static void on_message(struct wr_socket *socket, enum wr_message kind, const void *bytes, size_t len,
                       void *context)
{
    (void)context;
    if (wr_publish(app, "bench", kind, bytes, len, socket) < 0) wr_socket_close(socket, WR_CLOSE_ERROR, NULL);
}

static void on_signal(int number)
{
    (void)number;
    wr_stop(app);
}

int main(void)
{
    const struct wr_socket_handlers handlers = {.open = on_open, .message = on_message};
    struct wr_config config;
    wr_config_init(&config);
    config.connections_per_address_max = 0;
    app = wr_app_new(&config);
    if (!app || wr_websocket(app, "/socket", &handlers, NULL) < 0 ||
        wr_listen(app, "127.0.0.1", 0, NULL) < 0) {
        fprintf(stderr, "%s\n", app ? wr_app_error(app) : "out of memory");
        return 1;
    }
    signal(SIGTERM, on_signal);
    printf("%u\n", wr_port(app));
    fflush(stdout);
    wr_run(app);
    wr_app_free(app);
    return 0;
}
