/* tls.h - certificates and settings for TLS 1.2 and 1.3, of servers (wr_listen) and of clients (wr_client).
 *
 *     struct wr_tls *tls = wr_tls_new(NULL);
 *     if (!tls || wr_tls_certificate(tls, "/etc/weaprous/chain.pem", "/etc/weaprous/key.pem") != WR_OK ||
 *         wr_listen(app, "0.0.0.0", 443, tls) != WR_OK) ...
 *     wr_tls_free(tls);
 *
 * Served are: TLS 1.2 with forward secrecy and authenticated ciphers only, and TLS 1.3; no renegotiation, no
 * compression, no early data. Sessions are resumed by tickets, whose keys all workers share and which change
 * by themselves. A client that speaks plain HTTP to such a port is answered 400.
 *
 * Rules
 *   Thread: every function may be called on any thread, at any time; but wr_tls_error is about the last call
 * that failed on whichever thread, so let one thread do what can fail.
 *   Memory: arguments are copied. A listener or client keeps what it was given: wr_tls_free may come before
 * or after wr_app_free. */
#ifndef WEAPROUS_TLS_H
#define WEAPROUS_TLS_H

#include "weaprous/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct wr_tls_config {
    /* Protocols offered by ALPN (RFC 7301), the best first, separated by commas. Default "http/1.1,http/1.0".
     * A client that offers protocols but none of these is refused. */
    const char *protocols;
    unsigned session_lifetime_s; /* how long a client may resume a session, default 2 h */
    bool only_tls13;
    /* For clients: takes any certificate. Only for tests: the other side may then be anybody. */
    bool insecure;
};
WR_API void wr_tls_config_init(struct wr_tls_config *config);

/* config NULL: the defaults. NULL without memory. */
WR_API struct wr_tls *wr_tls_new(const struct wr_tls_config *config) WR_CHECKED;
/* What listens or asks with it goes on. NULL is allowed. */
WR_API void wr_tls_free(struct wr_tls *tls);

/* Adds a certificate for servers: a file with it and the chain up to the root (which may be left out), and
 * one with its key, both PEM. Several may be added. Which one a client gets is decided by the name it asks
 * for (SNI) and the names in the certificates: the exact name, else a wildcard ("*.example.org"), else the
 * first certificate. One name may have an ECDSA, an RSA and an Ed25519 certificate: the client gets what it
 * can check. WR_SYSTEM (a file cannot be read), WR_INVALID (not a certificate, not its key, ...), WR_MEMORY;
 * wr_tls_error names the file. */
WR_API int wr_tls_certificate(struct wr_tls *tls, const char *cert_file, const char *key_file) WR_CHECKED;
/* Reads all files again. New connections get the new certificates, old ones go on. All or nothing: when one
 * file is not good, everything stays as it was, and wr_tls_error says why. */
WR_API int wr_tls_reload(struct wr_tls *tls) WR_CHECKED;

/* Clients trust the authorities in this PEM file in place of the system's. WR_SYSTEM, WR_INVALID, WR_MEMORY,
 * with wr_tls_error. */
WR_API int wr_tls_trust(struct wr_tls *tls, const char *ca_file) WR_CHECKED;

/* A sentence about the last call that failed: "/etc/weaprous/key.pem: no such file or directory". Never NULL;
 * borrows until the next failure. */
WR_API const char *wr_tls_error(const struct wr_tls *tls);

#ifdef __cplusplus
}
#endif

#endif
