/* tls_server.h - what a TLS server needs besides connections: certificates by name, ticket keys, settings.
 *
 * Certificates are kept with the files that they came from, so that all can be read again. From them one
 * OpenSSL context is made for each set of certificates that some name has; such a set of contexts never
 * changes: a reload makes a new one, and the connections of the old keep theirs until they close.
 *
 * Rules: every function on any thread, except that tls_server_error belongs to whoever made the last call
 * that failed. Freed when the last owner releases it. */
#ifndef NET_TLS_SERVER_H
#define NET_TLS_SERVER_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/slice.h"

struct tls_server;

struct tls_server_options {
    const char *protocols;       /* for ALPN, separated by commas, best first; "" for none */
    unsigned session_lifetime_s; /* of tickets; their keys change as often */
    bool only_tls13;
    slice plain_answer; /* constant; what a client gets that speaks without TLS */
};

/* Copies the options (not plain_answer). NULL without memory or when a protocol name is not valid. */
struct tls_server *tls_server_new(const struct tls_server_options *options);
struct tls_server *tls_server_hold(struct tls_server *server);
/* NULL is allowed. */
void tls_server_release(struct tls_server *server);

/* Reads and adds. ERR_IO: a file cannot be read; ERR_INVALID: what it holds is not good; ERR_MEMORY. */
int tls_server_certificate(struct tls_server *server, const char *cert_file,
                           const char *key_file) BASE_CHECKED;
/* Reads all files again, and takes what is in them only when all are good. Errors as above. */
int tls_server_reload(struct tls_server *server) BASE_CHECKED;
/* To be called before the first connection: ERR_INVALID when there is no certificate. ERR_MEMORY. */
int tls_server_prepare(struct tls_server *server) BASE_CHECKED;
/* Never NULL. */
const char *tls_server_error(const struct tls_server *server);

/* For one connection, with the certificates of now; NULL without memory. */
SSL *tls_server_session(struct tls_server *server);
slice tls_server_plain_answer(const struct tls_server *server);
/* Makes a new ticket key now; sessions under the one before are still resumed. */
int tls_server_rotate(struct tls_server *server) BASE_CHECKED;

#endif
