#include "net/tls_certificate.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int complain(char *why, const char *file, const char *what, int rc)
{
    snprintf(why, TLS_WHY_BYTES, "%s: %s", file, what);
    ERR_clear_error();
    return rc;
}

/* A server has nobody to ask for a passphrase. */
static int no_passphrase(char *out, int cap, int writing, void *context)
{
    (void)out, (void)cap, (void)writing;
    *(bool *)context = true;
    return -1;
}

static int open_file(const char *path, FILE **out, char *why)
{
    *out = fopen(path, "re");
    return *out ? OK : complain(why, path, strerror(errno), ERR_IO);
}

static bool at_end_of_pem(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static int read_chain(struct tls_certificate *c, FILE *file, char *why)
{
    bool asked = false;
    c->leaf = PEM_read_X509(file, NULL, no_passphrase, &asked);
    if (!c->leaf)
        return complain(why, c->cert_file,
                        at_end_of_pem() ? "there is no certificate in PEM form in it"
                                        : "the certificate is damaged",
                        ERR_INVALID);
    c->chain = sk_X509_new_null();
    if (!c->chain) return complain(why, c->cert_file, "out of memory", ERR_MEMORY);
    X509 *next;
    while ((next = PEM_read_X509(file, NULL, no_passphrase, &asked))) {
        if (sk_X509_num(c->chain) >= TLS_CHAIN_MAX || sk_X509_push(c->chain, next) <= 0) {
            X509_free(next);
            return complain(why, c->cert_file, "the chain is too long", ERR_INVALID);
        }
    }
    if (!at_end_of_pem()) return complain(why, c->cert_file, "the chain is damaged", ERR_INVALID);
    ERR_clear_error();
    return OK;
}

static int key_kind(const EVP_PKEY *key, enum tls_key_kind *out)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS: *out = TLS_KEY_RSA; return OK;
    case EVP_PKEY_EC: *out = TLS_KEY_ECDSA; return OK;
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448: *out = TLS_KEY_EDDSA; return OK;
    default: return ERR_INVALID;
    }
}

static int read_key(struct tls_certificate *c, FILE *file, char *why)
{
    bool asked = false;
    c->key = PEM_read_PrivateKey(file, NULL, no_passphrase, &asked);
    if (!c->key)
        return complain(why, c->key_file,
                        asked ? "the key is locked with a passphrase"
                              : "there is no private key in PEM form in it",
                        ERR_INVALID);
    if (key_kind(c->key, &c->kind) < 0)
        return complain(why, c->key_file, "keys of this kind cannot be used", ERR_INVALID);
    if (X509_check_private_key(c->leaf, c->key) != 1) {
        char text[TLS_WHY_BYTES / 2];
        snprintf(text, sizeof text, "this is not the key of the certificate in %.200s", c->cert_file);
        return complain(why, c->key_file, text, ERR_INVALID);
    }
    return OK;
}

static int add_name(struct tls_certificate *c, const ASN1_STRING *name)
{
    const unsigned char *text = ASN1_STRING_get0_data(name);
    int len = ASN1_STRING_length(name);
    if (len <= 0 || len > TLS_NAME_MAX || memchr(text, 0, (size_t)len)) return OK; /* no client asks for it */
    char **names = realloc(c->names, (c->name_count + 1) * sizeof *names);
    if (!names) return ERR_MEMORY;
    c->names = names;
    char *copy = strndup((const char *)text, (size_t)len);
    if (!copy) return ERR_MEMORY;
    for (char *p = copy; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    c->names[c->name_count++] = copy;
    return OK;
}

/* The names in the extension; without them the old place, the common name. */
static int read_names(struct tls_certificate *c)
{
    int rc = OK;
    GENERAL_NAMES *names = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; rc == OK && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS) rc = add_name(c, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
    if (rc < 0 || c->name_count > 0) return rc;
    X509_NAME *subject = X509_get_subject_name(c->leaf);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at < 0 ? OK : add_name(c, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static int load(struct tls_certificate *c, char *why)
{
    FILE *file;
    int rc = open_file(c->cert_file, &file, why);
    if (rc < 0) return rc;
    rc = read_chain(c, file, why);
    fclose(file);
    if (rc == OK) rc = open_file(c->key_file, &file, why);
    if (rc < 0) return rc;
    rc = read_key(c, file, why);
    fclose(file);
    if (rc == OK && read_names(c) < 0) rc = complain(why, c->cert_file, "out of memory", ERR_MEMORY);
    return rc;
}

int tls_certificate_load(const char *cert_file, const char *key_file, struct tls_certificate **out,
                         char why[TLS_WHY_BYTES])
{
    struct tls_certificate *c = calloc(1, sizeof *c);
    if (!c) return complain(why, cert_file, "out of memory", ERR_MEMORY);
    c->cert_file = strdup(cert_file);
    c->key_file = strdup(key_file);
    ERR_clear_error();
    int rc =
        c->cert_file && c->key_file ? load(c, why) : complain(why, cert_file, "out of memory", ERR_MEMORY);
    if (rc == OK)
        *out = c;
    else
        tls_certificate_free(c);
    return rc;
}

void tls_certificate_free(struct tls_certificate *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->name_count; i++)
        free(c->names[i]);
    free(c->names);
    free(c->cert_file);
    free(c->key_file);
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    free(c);
}
