/* tls_ticket.h - the keys under which servers hand out session tickets (RFC 5077, RFC 8446 4.6.1).
 *
 * A server keeps no session: the client brings it back, sealed. Whoever gets hold of a key can read what was
 * sent in sessions resumed under it (in TLS 1.2), so each key is used for one lifetime, accepted for another
 * one, then wiped. All threads share the keys: a client may come back to any of them. */
#ifndef NET_TLS_TICKET_H
#define NET_TLS_TICKET_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "base/err.h"

struct tls_ticket_key {
    unsigned char name[16];
    unsigned char seal[32]; /* AES-256-CBC */
    unsigned char mac[32];  /* HMAC-SHA-256 */
    int64_t made_s;         /* 0: not in use */
};

struct tls_tickets {
    pthread_mutex_t lock;
    struct tls_ticket_key keys[2]; /* the present one, the one before */
    int64_t lifetime_s;
    EVP_CIPHER *cipher;
};

/* ERR_MEMORY (also when the system has no randomness). */
int tls_tickets_init(struct tls_tickets *tickets, unsigned lifetime_s) BASE_CHECKED;
void tls_tickets_deinit(struct tls_tickets *tickets);
int tls_tickets_rotate(struct tls_tickets *tickets) BASE_CHECKED;

/* What OpenSSL's callback does (SSL_CTX_set_tlsext_ticket_key_evp_cb), with the same results. */
int tls_tickets_use(struct tls_tickets *tickets, unsigned char name[16], unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal);

#endif
