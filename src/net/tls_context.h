/* tls_context.h - one generation of a server's certificates, as contexts of OpenSSL.
 *
 * The first context is what connections are made from; it knows the others by name. Nothing in a generation
 * changes, so all threads use it without a lock; it goes with the last connection that was made from it. */
#ifndef NET_TLS_CONTEXT_H
#define NET_TLS_CONTEXT_H

#include <stdatomic.h>

#include "net/tls_certificate.h"
#include "net/tls_ticket.h"

enum { TLS_PROTOCOLS_MAX = 128 };

/* What all generations of a server share. */
struct tls_settings {
    atomic_uint owners;
    struct tls_tickets tickets;
    unsigned lifetime_s;
    bool only_tls13;
    unsigned char protocols[TLS_PROTOCOLS_MAX]; /* as ALPN sends them */
    unsigned protocols_len;
};

/* Writes a list like "h2,http/1.1" as ALPN sends it (RFC 7301, 3.1). ERR_INVALID. */
int tls_protocols_parse(const char *list, unsigned char out[TLS_PROTOCOLS_MAX],
                        unsigned *out_len) BASE_CHECKED;
/* Ciphers, versions and modes that servers and clients have in common. False on failure. */
bool tls_context_common(SSL_CTX *ctx, bool only_tls13);

void tls_settings_release(struct tls_settings *settings);
/* Holds the settings; takes what it needs of the certificates, of which there is at least one. NULL with
 * `why` on failure. */
SSL_CTX *tls_generation_new(struct tls_settings *settings, struct tls_certificate *const *certificates,
                            size_t count, char why[TLS_WHY_BYTES]);

#endif
