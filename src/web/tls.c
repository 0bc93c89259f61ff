#include "web/tls.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is spoken to in plain HTTP by mistake. */
#define PLAIN_TEXT "This port speaks HTTPS. Write https:// in the address.\n"
#define PLAIN_ANSWER                                                                                         \
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 55\r\n"          \
    "Connection: close\r\n\r\n" PLAIN_TEXT
_Static_assert(sizeof PLAIN_TEXT - 1 == 55, "Content-Length");

struct wr_tls {
    struct tls_server *server;
    pthread_mutex_t lock;
    struct tls_client *client; /* made when it is needed */
    bool insecure, only_tls13;
    char *protocols;
    const char *error; /* of what failed last */
};

void wr_tls_config_init(struct wr_tls_config *config)
{
    *config = (struct wr_tls_config){.protocols = "http/1.1,http/1.0", .session_lifetime_s = 2 * 60 * 60};
}

struct wr_tls *wr_tls_new(const struct wr_tls_config *config)
{
    struct wr_tls_config defaults;
    wr_tls_config_init(&defaults);
    if (!config) config = &defaults;
    struct tls_server_options options = {.protocols = config->protocols,
                                         .session_lifetime_s = config->session_lifetime_s,
                                         .only_tls13 = config->only_tls13,
                                         .plain_answer = SLICE(PLAIN_ANSWER)};
    struct wr_tls *tls = calloc(1, sizeof *tls);
    if (!tls) return NULL;
    tls->insecure = config->insecure;
    tls->only_tls13 = config->only_tls13;
    tls->protocols = strdup(config->protocols);
    tls->server = tls_server_new(&options);
    tls->error = "";
    if (tls->protocols && tls->server && pthread_mutex_init(&tls->lock, NULL) == 0) return tls;
    tls_server_release(tls->server);
    free(tls->protocols);
    free(tls);
    return NULL;
}

void wr_tls_free(struct wr_tls *tls)
{
    if (!tls) return;
    tls_server_release(tls->server);
    tls_client_release(tls->client);
    pthread_mutex_destroy(&tls->lock);
    free(tls->protocols);
    free(tls);
}

/* What to say in the words of the public interface. */
static int result(struct wr_tls *tls, int rc, const char *error)
{
    if (rc == OK) return WR_OK;
    tls->error = error;
    return rc == ERR_MEMORY ? WR_MEMORY : rc == ERR_IO ? WR_SYSTEM : WR_INVALID;
}

int wr_tls_certificate(struct wr_tls *tls, const char *cert_file, const char *key_file)
{
    return result(tls, tls_server_certificate(tls->server, cert_file, key_file),
                  tls_server_error(tls->server));
}

int wr_tls_reload(struct wr_tls *tls)
{
    return result(tls, tls_server_reload(tls->server), tls_server_error(tls->server));
}

struct tls_server *tls_server_of(const struct wr_tls *shared)
{
    struct wr_tls *tls = (struct wr_tls *)(uintptr_t)shared; /* only the error is changed */
    int rc = result(tls, tls_server_prepare(tls->server), tls_server_error(tls->server));
    return rc == WR_OK ? tls_server_hold(tls->server) : NULL;
}

struct tls_client *tls_client_of(const struct wr_tls *shared)
{
    struct wr_tls *tls = (struct wr_tls *)(uintptr_t)shared; /* only what the lock protects is changed */
    pthread_mutex_lock(&tls->lock);
    if (!tls->client) {
        struct tls_client_options options = {
            .protocols = tls->protocols, .only_tls13 = tls->only_tls13, .insecure = tls->insecure};
        tls->client = tls_client_new(&options);
    }
    struct tls_client *client = tls->client ? tls_client_hold(tls->client) : NULL;
    pthread_mutex_unlock(&tls->lock);
    return client;
}

int wr_tls_trust(struct wr_tls *tls, const char *ca_file)
{
    struct tls_client *client = tls_client_of(tls);
    if (!client) return result(tls, ERR_MEMORY, "out of memory");
    int rc = result(tls, tls_client_trust(client, ca_file), tls_client_error(client));
    tls_client_release(client);
    return rc;
}

const char *wr_tls_error(const struct wr_tls *tls)
{
    return tls->error;
}
