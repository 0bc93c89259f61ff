/* server.c - our contender: libweaprous as a program would use it.
 *
 * bench-server FOLDER WORKERS TLS_PORT CERTIFICATE KEY: serves FOLDER under /, a JSON route with a path
 * parameter and a WebSocket that echoes, on 127.0.0.1: plain on a free port, which it prints, and with TLS on
 * the other. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weaprous/weaprous.h>

static struct wr_app *app;

static void user(struct wr_request *request, void *context)
{
    (void)context;
    long long id = strtoll(wr_request_param(request, "id"), NULL, 10);
    wr_respond_json(request, 200,
                    json_pack("{s:b, s:I, s:s}", "ok", 1, "id", (json_int_t)id, "name", "bench"));
}

/* Bytes that the program has from the allocator, its own overhead included. */
static void memory(struct wr_request *request, void *context)
{
    (void)context;
    struct mallinfo2 info = mallinfo2();
    wr_respond_json(request, 200, json_pack("{s:I}", "heap", (json_int_t)(info.uordblks + info.hblkhd)));
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

/* The files are read once and served from memory. */
static int serve_file(const char *folder, const char *name, struct wr_asset *out)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    fseek(f, 0, SEEK_END);
    size_t len = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(len + 1);
    char *url = malloc(strlen(name) + 2);
    if (!bytes || !url || fread(bytes, 1, len, f) != len) return -1;
    fclose(f);
    sprintf(url, "/%s", name);
    *out = (struct wr_asset){.path = url,
                             .mime = "application/octet-stream",
                             .identity = bytes,
                             .identity_len = len,
                             .etag = name};
    return 0;
}

static int listen_on(const char *tls_port, const char *certificate, const char *key)
{
    struct wr_tls *tls = wr_tls_new(NULL);
    if (!tls) return WR_MEMORY;
    int rc = wr_tls_certificate(tls, certificate, key);
    if (rc < 0)
        fprintf(stderr, "%s\n", wr_tls_error(tls));
    else if ((rc = wr_listen(app, "127.0.0.1", 0, NULL)) == WR_OK)
        rc = wr_listen(app, "127.0.0.1", (uint16_t)strtoul(tls_port, NULL, 10), tls);
    wr_tls_free(tls);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct wr_socket_handlers echo = {.message = message};
    static struct wr_asset assets[3];
    static const char *const names[] = {"1k.bin", "10k.bin", "100k.bin"};
    struct wr_config config;
    wr_config_init(&config);
    if (argc != 6) return 2;
    config.workers = (unsigned)strtoul(argv[2], NULL, 10);
    config.connections_per_address_max = 0; /* all load comes from here */
    config.idle_timeout_ms = 600000;
    app = wr_app_new(&config);
    if (!app) return 1;
    for (int i = 0; i < 3; i++)
        if (serve_file(argv[1], names[i], &assets[i]) < 0) return 1;
    if (wr_route(app, "GET", "/users/:id", user, NULL) < 0 ||
        wr_route(app, "GET", "/memory", memory, NULL) < 0 || wr_websocket(app, "/socket", &echo, NULL) < 0 ||
        wr_assets(app, assets, 3) < 0 || listen_on(argv[3], argv[4], argv[5]) < 0) {
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
