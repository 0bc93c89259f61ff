/* tls_client.h - whom TLS clients trust, and the sessions that they may resume.
 *
 * Rules: every function on any thread, except tls_client_trust, which comes before the first connection.
 * Freed when the last owner releases it. */
#ifndef NET_TLS_CLIENT_H
#define NET_TLS_CLIENT_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/slice.h"

struct tls_client;

enum {
    TLS_CLIENT_SESSIONS_MAX = 64, /* servers whose last session is kept */
    TLS_CLIENT_HOST_MAX = 255,    /* bytes of a host name */
};

struct tls_client_options {
    const char *protocols; /* for ALPN, separated by commas, best first; "" for none */
    bool only_tls13;
    bool insecure; /* any certificate will do */
};

/* Trusts the system's authorities. NULL without memory or when a protocol name is not valid. */
struct tls_client *tls_client_new(const struct tls_client_options *options);
struct tls_client *tls_client_hold(struct tls_client *client);
/* NULL is allowed. */
void tls_client_release(struct tls_client *client);

/* Trusts the authorities of this PEM file, and no others from now on. ERR_IO, ERR_INVALID, ERR_MEMORY. */
int tls_client_trust(struct tls_client *client, const char *ca_file) BASE_CHECKED;
/* Never NULL. */
const char *tls_client_error(const struct tls_client *client);

/* For one connection to `host` (a name or an IP address, which the certificate must be for). NULL without
 * memory, or when the name cannot be one. */
SSL *tls_client_session(struct tls_client *client, const char *host, uint16_t port);

#endif
