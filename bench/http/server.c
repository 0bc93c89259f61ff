/* server.c - our contender: libweaprous as a program would use it.
 *
 * bench-server FOLDER WORKERS [TLS_PORT CERTIFICATE KEY]: serves FOLDER under /, a JSON route with a path
 * parameter and a WebSocket that echoes, on 127.0.0.1: plain on a free port, which it prints, and with TLS on
 * the other. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weaprous/weaprous.h>

static struct wr_app *app;

static void user(struct wr_request *request, void *context)
{
    (void)context;
    struct wr_json *json = wr_json_new(request);
    wr_json_object(json, NULL);
    wr_json_boolean(json, "ok", true);
    wr_json_integer(json, "id", strtoll(wr_request_param(request, "id"), NULL, 10));
    wr_json_text(json, "name", "bench");
    wr_json_end(json);
    wr_respond_json_written(request, 200, json);
}

/* The same by way of a tree. */
static void user_tree(struct wr_request *request, void *context)
{
    (void)context;
    long long id = strtoll(wr_request_param(request, "id"), NULL, 10);
    wr_respond_json(request, 200,
                    json_pack("{s:b, s:I, s:s}", "ok", 1, "id", (json_int_t)id, "name", "bench"));
}

static void message(struct wr_socket *socket, enum wr_message kind, const void *data, size_t len,
                    void *context)
{
    (void)context;
    if (wr_socket_send(socket, kind, data, len) < 0)
        wr_socket_close(socket, WR_CLOSE_POLICY, "you do not read");
}

static void on_signal(int number)
{
    (void)number;
    wr_stop(app);
}

static int listen_securely(const char *tls_port, const char *certificate, const char *key)
{
    struct wr_tls *tls = wr_tls_new(NULL);
    if (!tls) return WR_MEMORY;
    int rc = wr_tls_certificate(tls, certificate, key);
    if (rc < 0)
        fprintf(stderr, "%s\n", wr_tls_error(tls));
    else
        rc = wr_listen(app, "127.0.0.1", (uint16_t)strtoul(tls_port, NULL, 10), tls);
    wr_tls_free(tls);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct wr_socket_handlers echo = {.message = message};
    struct wr_config config;
    wr_config_init(&config);
    if (argc != 3 && argc != 6) return 2;
    config.workers = (unsigned)strtoul(argv[2], NULL, 10);
    config.connections_per_address_max = 0; /* all load comes from here */
    config.idle_timeout_ms = 600000;
    app = wr_app_new(&config);
    if (!app) return 1;
    if (wr_route(app, "GET", "/users/:id", user, NULL) < 0 ||
        wr_route(app, "GET", "/trees/:id", user_tree, NULL) < 0 ||
        wr_websocket(app, "/socket", &echo, NULL) < 0 || wr_static(app, "/", argv[1], NULL) < 0 ||
        wr_listen(app, "127.0.0.1", 0, NULL) < 0 ||
        (argc == 6 && listen_securely(argv[3], argv[4], argv[5]) < 0)) {
        fprintf(stderr, "%s\n", wr_app_error(app));
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("%u\n", wr_port(app));
    fflush(stdout);
    wr_run(app);
    wr_app_free(app);
    return 0;
}
