#include "net/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/tls_context.h"

enum { KEY_BYTES = TLS_CLIENT_HOST_MAX + 8 }; /* "host:port" */

struct kept_session {
    char server[KEY_BYTES];
    SSL_SESSION *session; /* NULL: free */
    uint64_t used;        /* the larger, the later */
};

struct tls_client {
    atomic_uint owners;
    SSL_CTX *ctx;
    pthread_mutex_t lock; /* for the sessions */
    struct kept_session sessions[TLS_CLIENT_SESSIONS_MAX];
    uint64_t uses;
    char error[TLS_WHY_BYTES];
};

/* What a connection remembers: where its session belongs. */
struct origin {
    struct tls_client *client; /* held */
    char server[KEY_BYTES];
};

static int origin_index = -1;

static void on_ssl_gone(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long number, void *argument)
{
    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    struct origin *origin = ptr;
    if (!origin) return;
    tls_client_release(origin->client);
    free(origin);
}

static void make_index(void)
{
    origin_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_gone);
}

/* --- sessions --- */

/* The place of this server's session; else, with `make`, a free one or the least recently used. */
static struct kept_session *place(struct tls_client *client, const char *server, bool make)
{
    struct kept_session *best = &client->sessions[0];
    for (size_t i = 0; i < TLS_CLIENT_SESSIONS_MAX; i++) {
        struct kept_session *k = &client->sessions[i];
        if (k->session && strcmp(k->server, server) == 0) return k;
        if (best->session && (!k->session || k->used < best->used)) best = k;
    }
    return make ? best : NULL;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct origin *origin = SSL_get_ex_data(ssl, origin_index);
    struct tls_client *client = origin->client;
    pthread_mutex_lock(&client->lock);
    struct kept_session *k = place(client, origin->server, true);
    SSL_SESSION *old = k->session;
    strcpy(k->server, origin->server);
    k->session = session;
    k->used = ++client->uses;
    pthread_mutex_unlock(&client->lock);
    SSL_SESSION_free(old);
    return 1; /* taken */
}

/* Of TLS 1.3 each ticket is used once only, so that nobody can tell that two connections are one client's
 * (RFC 8446, C.4). */
static SSL_SESSION *take_session(struct tls_client *client, const char *server)
{
    SSL_SESSION *session = NULL;
    pthread_mutex_lock(&client->lock);
    struct kept_session *k = place(client, server, false);
    if (k) {
        session = k->session;
        k->used = ++client->uses;
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION)
            k->session = NULL;
        else
            SSL_SESSION_up_ref(session);
    }
    pthread_mutex_unlock(&client->lock);
    return session;
}

/* --- life --- */

static bool configure(SSL_CTX *ctx, const struct tls_client_options *options)
{
    unsigned char protocols[TLS_PROTOCOLS_MAX];
    unsigned len;
    if (tls_protocols_parse(options->protocols, protocols, &len) < 0) return false;
    if (!tls_context_common(ctx, options->only_tls13)) return false;
    if (len > 0 && SSL_CTX_set_alpn_protos(ctx, protocols, len) != 0) return false;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    SSL_CTX_set_verify(ctx, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return SSL_CTX_set_default_verify_paths(ctx) == 1;
}

struct tls_client *tls_client_new(const struct tls_client_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_index);
    struct tls_client *client = calloc(1, sizeof *client);
    if (!client) return NULL;
    client->ctx = SSL_CTX_new(TLS_client_method());
    bool good = client->ctx && origin_index >= 0 && configure(client->ctx, options);
    ERR_clear_error();
    if (!good) {
        SSL_CTX_free(client->ctx);
        free(client);
        return NULL;
    }
    atomic_init(&client->owners, 1);
    pthread_mutex_init(&client->lock, NULL);
    return client;
}

struct tls_client *tls_client_hold(struct tls_client *client)
{
    atomic_fetch_add_explicit(&client->owners, 1, memory_order_relaxed);
    return client;
}

void tls_client_release(struct tls_client *client)
{
    if (!client || atomic_fetch_sub_explicit(&client->owners, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < TLS_CLIENT_SESSIONS_MAX; i++)
        SSL_SESSION_free(client->sessions[i].session);
    SSL_CTX_free(client->ctx);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

int tls_client_trust(struct tls_client *client, const char *ca_file)
{
    const char *why = "out of memory";
    int rc = ERR_MEMORY;
    X509_STORE *store = NULL;
    ERR_clear_error();
    if (access(ca_file, R_OK) < 0) {
        why = strerror(errno);
        rc = ERR_IO;
    } else if ((store = X509_STORE_new()) && X509_STORE_load_file(store, ca_file) != 1) {
        why = "there is no certificate in PEM form in it";
        rc = ERR_INVALID;
    } else if (store) {
        SSL_CTX_set_cert_store(client->ctx, store); /* takes it */
        return OK;
    }
    X509_STORE_free(store);
    ERR_clear_error();
    snprintf(client->error, sizeof client->error, "%s: %s", ca_file, why);
    return rc;
}

const char *tls_client_error(const struct tls_client *client)
{
    return client->error;
}

/* --- connections --- */

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whom the certificate must be for. */
static bool expect(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool set_origin(SSL *ssl, struct tls_client *client, const char *host, uint16_t port)
{
    struct origin *origin = calloc(1, sizeof *origin);
    if (!origin || SSL_set_ex_data(ssl, origin_index, origin) != 1) {
        free(origin);
        return false;
    }
    origin->client = tls_client_hold(client);
    snprintf(origin->server, sizeof origin->server, "%s:%u", host, port);
    SSL_SESSION *session = take_session(client, origin->server);
    if (session) SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
    return true;
}

SSL *tls_client_session(struct tls_client *client, const char *host, uint16_t port)
{
    char name[TLS_CLIENT_HOST_MAX + 1];
    size_t len = strlen(host);
    if (len > 1 && host[len - 1] == '.') len--; /* the same name, spelled as a whole one */
    if (len == 0 || len > TLS_CLIENT_HOST_MAX) return NULL;
    memcpy(name, host, len);
    name[len] = 0;
    ERR_clear_error();
    SSL *ssl = SSL_new(client->ctx);
    if (ssl && expect(ssl, name) && set_origin(ssl, client, name, port)) return ssl;
    SSL_free(ssl);
    ERR_clear_error();
    return NULL;
}
