/* https.c - a server with TLS: several certificates, chosen by the name that a client asks for, read again on
 * SIGHUP without ending a connection.
 *
 *     https IP PORT CERTIFICATE KEY [CERTIFICATE KEY ...]
 *
 * A certificate for trying it out:
 *
 *     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out chain.pem \
 *         -subj /CN=localhost -addext subjectAltName=DNS:localhost -days 30
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include <weaprous/weaprous.h>

/* What the server knows about the request. */
static void describe(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_json(request, 200,
                    json_pack("{s:s, s:s, s:s}", "scheme", wr_request_scheme(request), "host",
                              wr_request_host(request), "address", wr_request_address(request)));
}

static void echo(struct wr_request *request, void *context)
{
    (void)context;
    struct wr_bytes body = wr_request_body(request);
    wr_respond_bytes(request, 200, "application/octet-stream", body.ptr, body.len);
}

static void message(struct wr_socket *socket, enum wr_message kind, const void *data, size_t len,
                    void *context)
{
    (void)context;
    if (wr_socket_send(socket, kind, data, len) < 0)
        wr_socket_close(socket, WR_CLOSE_POLICY, "you do not read");
}

static int add_routes(struct wr_app *app)
{
    static const struct wr_socket_handlers socket = {.message = message};
    int rc = wr_route(app, "GET", "/", describe, NULL);
    if (rc == 0) rc = wr_route(app, "POST", "/echo", echo, NULL);
    if (rc == 0) rc = wr_websocket(app, "/socket", &socket, NULL);
    if (rc == 0) rc = wr_strict_transport(app, 3600, false);
    return rc;
}

static int add_certificates(struct wr_tls *tls, int count, char **files)
{
    int rc = tls ? WR_OK : WR_MEMORY;
    for (int i = 0; rc == WR_OK && i + 1 < count; i += 2)
        rc = wr_tls_certificate(tls, files[i], files[i + 1]);
    if (rc < 0 && tls) fprintf(stderr, "%s\n", wr_tls_error(tls));
    return rc;
}

/* The server's log, one line each. */
static void say(void *context, enum wr_log_level level, const char *text)
{
    (void)context;
    fprintf(stderr, "%s%s\n", level == WR_LOG_INFO ? "" : "warning: ", text);
}

static struct wr_app *running;

static void on_stop(int number)
{
    (void)number;
    wr_stop(running);
}

static void on_reload(uv_signal_t *handle, int number)
{
    (void)number;
    struct wr_tls *tls = handle->data;
    if (wr_tls_reload(tls) == WR_OK)
        fprintf(stderr, "the certificates were read again\n");
    else
        fprintf(stderr, "the certificates stay as they were: %s\n", wr_tls_error(tls));
}

/* Frees the app. */
static int serve(struct wr_app *app, struct wr_tls *tls, const char *ip, uint16_t port)
{
    if (wr_listen(app, ip, port, tls) != WR_OK) {
        fprintf(stderr, "%s\n", wr_app_error(app));
        wr_app_free(app);
        return 1;
    }
    uv_signal_t reload;
    reload.data = tls;
    uv_signal_init(wr_loop(app), &reload);
    uv_signal_start(&reload, on_reload, SIGHUP);
    running = app;
    signal(SIGINT, on_stop);
    signal(SIGTERM, on_stop);
    printf("https://%s:%u/\n", ip, wr_port(app));
    fflush(stdout);
    wr_run(app);
    uv_close((uv_handle_t *)&reload, NULL);
    wr_app_free(app); /* closes the loop, while `reload` is still there */
    return 0;
}

int main(int argc, char **argv)
{
    unsigned long port = argc > 4 ? strtoul(argv[2], NULL, 10) : 0;
    if (argc < 5 || argc % 2 == 0 || port > 65535) {
        fputs("usage: https IP PORT CERTIFICATE KEY [CERTIFICATE KEY ...]\n", stderr);
        return 2;
    }
    struct wr_config config;
    wr_config_init(&config);
    config.log = say;
    config.body_bytes_max = 16 * 1024 * 1024;
    struct wr_app *app = wr_app_new(&config);
    struct wr_tls *tls = wr_tls_new(NULL);
    int rc = 1;
    if (app && add_certificates(tls, argc - 3, argv + 3) == WR_OK && add_routes(app) == 0)
        rc = serve(app, tls, argv[1], (uint16_t)port);
    else
        wr_app_free(app);
    wr_tls_free(tls);
    return rc;
}
