/* A server with TLS: slow handshakes, several workers while the certificates are read again. */
#include <openssl/ssl.h>
#include <unistd.h>

#include "world.h"

enum { SHORT_MS = 400, CLIENTS = 3, REQUESTS = 25, RELOADS = 15 };

static char folder[] = "/tmp/weaprous-web-XXXXXX";

static const char *path(const char *name)
{
    static char paths[2][64];
    static int next;
    char *text = paths[next++ % 2];
    snprintf(text, sizeof paths[0], "%s/%s", folder, name);
    return text;
}

static void hello(struct wr_request *request, void *context)
{
    (void)context;
    wr_respond_text(request, 200, wr_request_scheme(request));
}

static struct wr_tls *begin(struct world *w, struct wr_config *config)
{
    world_init(w, config);
    struct wr_tls *tls = wr_tls_new(NULL);
    assert_non_null(tls);
    assert_int_equal(wr_tls_certificate(tls, path("chain.pem"), path("key.pem")), WR_OK);
    assert_int_equal(wr_route(w->app, "GET", "/", hello, NULL), WR_OK);
    assert_int_equal(wr_listen(w->app, "127.0.0.1", 0, tls), WR_OK); /* the first: clients come here */
    world_run(w);
    return tls;
}

/* The idle time is much longer. */
static void a_handshake_has_the_time_of_a_header(void **state)
{
    (void)state;
    static const char beginning[] = {22, 3, 1, 2, 0, 1, 0};
    struct wr_config config;
    struct world w;
    wr_config_init(&config);
    config.header_timeout_ms = SHORT_MS;
    config.defer_accept = false;
    wr_tls_free(begin(&w, &config)); /* the listener keeps what it needs */
    for (size_t sent = 0; sent <= sizeof beginning; sent += sizeof beginning) {
        bool closed;
        int ms, fd = client_connect(&w);
        client_send_bytes(fd, beginning, sent);
        client_read(fd, 20000, &ms, &closed);
        assert_true(closed);
        assert_true(ms >= SHORT_MS / 2);
        close(fd);
    }
    world_end(&w);
}

struct client {
    pthread_t thread;
    const struct world *world;
    SSL_CTX *ctx;
    int good, resumed;
};

/* The session for the next connection; the one that was used is freed. */
static SSL_SESSION *one_request(struct client *client, SSL_SESSION *session)
{
    char answer[1000] = "";
    int fd = client_connect(client->world), len = 0, got;
    SSL *ssl = SSL_new(client->ctx);
    SSL_set_fd(ssl, fd);
    if (session) SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
    static const char ask[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    if (SSL_connect(ssl) == 1 && SSL_write(ssl, ask, sizeof ask - 1) > 0) {
        while ((got = SSL_read(ssl, answer + len, (int)sizeof answer - 1 - len)) > 0)
            len += got;
        bool ended = SSL_get_error(ssl, got) == SSL_ERROR_ZERO_RETURN;
        client->good += ended && strncmp(answer, "HTTP/1.1 200 ", 13) == 0 && strstr(answer, "\r\n\r\nhttps");
        client->resumed += SSL_session_reused(ssl);
    }
    session = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
    return session;
}

static void *many_requests(void *argument)
{
    struct client *client = argument;
    SSL_SESSION *session = NULL;
    for (int i = 0; i < REQUESTS; i++)
        session = one_request(client, session);
    SSL_SESSION_free(session);
    return NULL;
}

static void workers_share_certificates_and_tickets_through_reloads(void **state)
{
    (void)state;
    static struct client clients[CLIENTS];
    struct wr_config config;
    struct world w;
    wr_config_init(&config);
    config.workers = 2;
    struct wr_tls *tls = begin(&w, &config);
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].world = &w;
        clients[i].ctx = ctx;
        assert_int_equal(pthread_create(&clients[i].thread, NULL, many_requests, &clients[i]), 0);
    }
    for (int i = 0; i < RELOADS; i++)
        assert_int_equal(wr_tls_reload(tls), WR_OK);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].good, REQUESTS);
        assert_int_equal(clients[i].resumed, REQUESTS - 1); /* whichever worker it came to */
    }
    SSL_CTX_free(ctx);
    world_end(&w);
    wr_tls_free(tls);
}

static int make_certificate(void **state)
{
    (void)state;
    char command[512];
    if (!mkdtemp(folder)) return -1;
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=a "
             "-keyout %s/key.pem -out %s/chain.pem >/dev/null 2>&1",
             folder, folder);
    return system(command);
}

static int clean(void **state)
{
    (void)state;
    unlink(path("key.pem"));
    unlink(path("chain.pem"));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_has_the_time_of_a_header),
        cmocka_unit_test(workers_share_certificates_and_tickets_through_reloads),
    };
    return cmocka_run_group_tests(tests, make_certificate, clean);
}
