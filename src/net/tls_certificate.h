/* tls_certificate.h - a server's certificate, as read from its two files. */
#ifndef NET_TLS_CERTIFICATE_H
#define NET_TLS_CERTIFICATE_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/err.h"

/* One name may have a certificate of each kind. */
enum tls_key_kind { TLS_KEY_RSA, TLS_KEY_ECDSA, TLS_KEY_EDDSA, TLS_KEY_KINDS };

enum { TLS_WHY_BYTES = 512, TLS_CHAIN_MAX = 16, TLS_NAME_MAX = 253 };

/* Constant once loaded. */
struct tls_certificate {
    char *cert_file, *key_file;
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf */
    EVP_PKEY *key;
    enum tls_key_kind kind;
    size_t name_count;
    char **names; /* DNS names it is for, in lower case; some begin with "*." */
};

/* ERR_IO, ERR_INVALID, ERR_MEMORY; `why` is then a sentence that names the file. */
int tls_certificate_load(const char *cert_file, const char *key_file, struct tls_certificate **out,
                         char why[TLS_WHY_BYTES]) BASE_CHECKED;
/* NULL is allowed. */
void tls_certificate_free(struct tls_certificate *certificate);

#endif
