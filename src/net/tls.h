/* tls.h - TLS between a stream and its bytes: ciphertext in, plaintext out, and the other way. No I/O.
 *
 * OpenSSL reads what is being fed and writes to where the output of this moment goes, so nothing is copied on
 * the way but by OpenSSL itself. An idle connection holds no buffer. A server's part costs next to nothing
 * until the first bytes of the client are there.
 *
 * Rules: one thread. After ERR_PROTOCOL only `wire` (an alert may be in it) and `reason` are of use. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/ssl.h>

#include "base/buffer.h"
#include "net/chunk.h"
#include "net/tls_client.h"
#include "net/tls_server.h"

enum {
    TLS_RECORD_BYTES = 16 * 1024,    /* of plaintext in a record (RFC 8446, 5.1) */
    TLS_OVERHEAD_BYTES = 64,         /* more than a record adds to its plaintext */
    TLS_SLACK_BYTES = 2 * 1024,      /* more than a key update or alert that goes out with a record */
    TLS_HEADROOM_BYTES = 18 * 1024,  /* before the ciphertext that is fed, see tls_open */
    TLS_WIRE_BYTES_MAX = 256 * 1024, /* of handshake messages that the other side does not take */
};

struct tls {
    SSL *ssl;                  /* NULL: a server's, nothing has come yet */
    struct tls_server *server; /* until then */
    struct chunk_pool *pool;
    struct chunk_queue wire; /* ciphertext on its way out that was not written to `sealed` */
    struct writer *sealed;   /* during tls_seal */
    const uint8_t *in;       /* during tls_open */
    size_t in_len;
    const char *reason; /* why it failed; constant */
    size_t under_way;   /* plaintext whose ciphertext the kernel has not all taken */
    bool opened;        /* the handshake is done */
    bool ended;         /* the other side has said that it sends no more */
    bool end_waits;     /* the owner was not told yet, because it does not read now */
    bool shut;          /* this side has */
    bool failed;
};

/* Holds the server. NULL without memory. */
struct tls *tls_new_server(struct tls_server *server, struct chunk_pool *pool);
/* Begins the handshake: what is to be sent first is in `wire`. Holds the client. */
struct tls *tls_new_client(struct tls_client *client, const char *host, uint16_t port,
                           struct chunk_pool *pool);
/* NULL is allowed. */
void tls_free(struct tls *tls);

/* Decrypts. The ciphertext, all of which is used, lies in the same memory as `room`, TLS_HEADROOM_BYTES or
 * more behind it: the plaintext is written from `room` on, over ciphertext that is done with. *out_len tells
 * how much, also on failure. ERR_PROTOCOL: the connection is to be ended, `reason` says why. */
int tls_open(struct tls *tls, uint8_t *room, slice cipher, size_t *out_len) BASE_CHECKED;
/* Only when opened. Appends ciphertext to `out`, which has room for tls_sealed_max(plain.len). ERR_PROTOCOL.
 */
int tls_seal(struct tls *tls, slice plain, struct writer *out) BASE_CHECKED;
static inline size_t tls_sealed_max(size_t plain)
{
    return plain + (plain / TLS_RECORD_BYTES + 1) * TLS_OVERHEAD_BYTES + TLS_SLACK_BYTES;
}
/* Says that this side sends no more, when that can still be said, and was not; to `out` (which has
 * TLS_SLACK_BYTES of room), or to `wire` when that is NULL. */
void tls_shut(struct tls *tls, struct writer *out);

/* The protocol that was agreed on by ALPN; empty: none. Borrowed. */
slice tls_protocol(const struct tls *tls);

#endif
