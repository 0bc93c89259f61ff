#include "net/tls_server.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/tls_context.h"

struct tls_server {
    atomic_uint owners;
    struct tls_settings *settings;
    slice plain_answer;
    pthread_mutex_t files; /* for the certificates, and who changes `current` */
    struct tls_certificate **certificates;
    size_t count;
    pthread_mutex_t lock; /* for `current` */
    SSL_CTX *current;     /* NULL before tls_server_prepare */
    char error[TLS_WHY_BYTES];
};

static struct tls_settings *settings_new(const struct tls_server_options *options)
{
    struct tls_settings *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    atomic_init(&s->owners, 1);
    s->lifetime_s = options->session_lifetime_s;
    s->only_tls13 = options->only_tls13;
    if (tls_protocols_parse(options->protocols, s->protocols, &s->protocols_len) == OK &&
        tls_tickets_init(&s->tickets, s->lifetime_s) == OK)
        return s;
    free(s);
    return NULL;
}

struct tls_server *tls_server_new(const struct tls_server_options *options)
{
    struct tls_server *server = calloc(1, sizeof *server);
    if (!server) return NULL;
    server->settings = settings_new(options);
    if (!server->settings) {
        free(server);
        return NULL;
    }
    atomic_init(&server->owners, 1);
    server->plain_answer = options->plain_answer;
    /* Plain mutexes: cannot fail on Linux. */
    pthread_mutex_init(&server->files, NULL);
    pthread_mutex_init(&server->lock, NULL);
    return server;
}

struct tls_server *tls_server_hold(struct tls_server *server)
{
    atomic_fetch_add_explicit(&server->owners, 1, memory_order_relaxed);
    return server;
}

static void free_certificates(struct tls_certificate **certificates, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tls_certificate_free(certificates[i]);
    free(certificates);
}

void tls_server_release(struct tls_server *server)
{
    if (!server || atomic_fetch_sub_explicit(&server->owners, 1, memory_order_acq_rel) != 1) return;
    SSL_CTX_free(server->current);
    free_certificates(server->certificates, server->count);
    tls_settings_release(server->settings);
    pthread_mutex_destroy(&server->files);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

/* Makes a generation of the certificates that connections get from now on. */
static int install(struct tls_server *server, struct tls_certificate **certificates, size_t count)
{
    SSL_CTX *next = tls_generation_new(server->settings, certificates, count, server->error);
    if (!next) return ERR_INVALID;
    pthread_mutex_lock(&server->lock);
    SSL_CTX *old = server->current;
    server->current = next;
    pthread_mutex_unlock(&server->lock);
    SSL_CTX_free(old);
    return OK;
}

static int append(struct tls_server *server, struct tls_certificate *certificate)
{
    struct tls_certificate **grown =
        realloc(server->certificates, (server->count + 1) * sizeof(struct tls_certificate *));
    if (!grown) {
        snprintf(server->error, sizeof server->error, "out of memory");
        return ERR_MEMORY;
    }
    server->certificates = grown;
    grown[server->count++] = certificate;
    int rc = server->current ? install(server, grown, server->count) : OK;
    if (rc < 0) server->count--;
    return rc;
}

int tls_server_certificate(struct tls_server *server, const char *cert_file, const char *key_file)
{
    struct tls_certificate *certificate;
    pthread_mutex_lock(&server->files);
    int rc = tls_certificate_load(cert_file, key_file, &certificate, server->error);
    if (rc == OK) {
        rc = append(server, certificate);
        if (rc < 0) tls_certificate_free(certificate);
    }
    pthread_mutex_unlock(&server->files);
    return rc;
}

static int reload(struct tls_server *server)
{
    struct tls_certificate **fresh = calloc(server->count + 1, sizeof(struct tls_certificate *));
    size_t count = 0;
    int rc = fresh ? OK : ERR_MEMORY;
    for (; rc == OK && count < server->count; count += rc == OK) {
        const struct tls_certificate *old = server->certificates[count];
        rc = tls_certificate_load(old->cert_file, old->key_file, &fresh[count], server->error);
    }
    if (rc == OK && server->current) rc = install(server, fresh, count);
    if (rc < 0) {
        free_certificates(fresh, count);
        return rc;
    }
    free_certificates(server->certificates, server->count);
    server->certificates = fresh;
    return OK;
}

int tls_server_reload(struct tls_server *server)
{
    pthread_mutex_lock(&server->files);
    int rc = reload(server);
    pthread_mutex_unlock(&server->files);
    return rc;
}

int tls_server_prepare(struct tls_server *server)
{
    int rc = OK;
    pthread_mutex_lock(&server->files);
    if (!server->current && server->count == 0) {
        snprintf(server->error, sizeof server->error, "there is no certificate");
        rc = ERR_INVALID;
    } else if (!server->current) {
        rc = install(server, server->certificates, server->count);
    }
    pthread_mutex_unlock(&server->files);
    return rc;
}

const char *tls_server_error(const struct tls_server *server)
{
    return server->error;
}

SSL *tls_server_session(struct tls_server *server)
{
    pthread_mutex_lock(&server->lock);
    SSL_CTX *ctx = server->current;
    if (ctx && SSL_CTX_up_ref(ctx) != 1) ctx = NULL;
    pthread_mutex_unlock(&server->lock);
    SSL *ssl = ctx ? SSL_new(ctx) : NULL;
    SSL_CTX_free(ctx);
    return ssl;
}

slice tls_server_plain_answer(const struct tls_server *server)
{
    return server->plain_answer;
}

int tls_server_rotate(struct tls_server *server)
{
    return tls_tickets_rotate(&server->settings->tickets);
}
