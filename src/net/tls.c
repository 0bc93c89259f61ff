#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- what OpenSSL reads from and writes to --- */

static int bio_read(BIO *bio, char *out, size_t cap, size_t *out_len)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t n = t->in_len < cap ? t->in_len : cap;
    if (n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(out, t->in, n);
    t->in += n;
    t->in_len -= n;
    *out_len = n;
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t len, size_t *out_len)
{
    struct tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->sealed) {
        writer_put(t->sealed, slice_of(bytes, len));
        if (t->sealed->failed) return 0;
    } else if (t->wire.bytes + len > TLS_WIRE_BYTES_MAX ||
               chunk_put(t->pool, &t->wire, slice_of(bytes, len)) < 0) {
        return 0;
    }
    *out_len = len;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *bio_kind;

static void make_bio_kind(void)
{
    bio_kind = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (!bio_kind) return;
    BIO_meth_set_read_ex(bio_kind, bio_read);
    BIO_meth_set_write_ex(bio_kind, bio_write);
    BIO_meth_set_ctrl(bio_kind, bio_control);
    BIO_meth_set_create(bio_kind, bio_create);
}

static int attach(struct tls *t)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bio_kind);
    BIO *bio = bio_kind ? BIO_new(bio_kind) : NULL;
    if (!bio) return ERR_MEMORY;
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    return OK;
}

/* --- life --- */

struct tls *tls_new_server(struct tls_server *server, struct chunk_pool *pool)
{
    struct tls *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->pool = pool;
    t->server = tls_server_hold(server);
    return t;
}

struct tls *tls_new_client(struct tls_client *client, const char *host, uint16_t port,
                           struct chunk_pool *pool)
{
    struct tls *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->pool = pool;
    t->ssl = tls_client_session(client, host, port);
    if (t->ssl && attach(t) == OK) {
        SSL_set_connect_state(t->ssl);
        ERR_clear_error();
        if (SSL_do_handshake(t->ssl) < 0 && t->wire.bytes > 0) return t;
    }
    tls_free(t);
    return NULL;
}

void tls_free(struct tls *t)
{
    if (!t) return;
    SSL_free(t->ssl);
    tls_server_release(t->server);
    chunk_consume(t->pool, &t->wire, t->wire.bytes);
    free(t);
}

/* --- reading --- */

/* What stands in OpenSSL's queue of this thread would be taken for the error of the next call. It is nearly
 * always empty, and looking is cheaper than clearing. */
static void forget_errors(void)
{
    if (ERR_peek_error()) ERR_clear_error();
}

/* Takes the reason off OpenSSL's queue. Its texts are constant. */
static int fail(struct tls *t, const char *fallback)
{
    unsigned long code = ERR_peek_error();
    long verified = t->ssl ? SSL_get_verify_result(t->ssl) : X509_V_OK;
    t->failed = true;
    t->reason = code ? ERR_reason_error_string(code) : NULL;
    if (code && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
        t->reason = X509_verify_cert_error_string(verified);
    if (!t->reason) t->reason = fallback;
    ERR_clear_error();
    return ERR_PROTOCOL;
}

/* The first byte of a TLS connection is 22 (handshake); that of a request in plain HTTP is a letter. */
static bool is_plain_text(uint8_t first)
{
    return (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
}

/* The first bytes of a client are there. */
static int begin_server(struct tls *t)
{
    if (is_plain_text(t->in[0])) {
        (void)!chunk_put(t->pool, &t->wire, tls_server_plain_answer(t->server));
        t->failed = true;
        t->reason = "the client does not speak TLS";
        return ERR_PROTOCOL;
    }
    t->ssl = tls_server_session(t->server);
    if (!t->ssl || attach(t) < 0) {
        t->failed = true;
        t->reason = "out of memory";
        return ERR_PROTOCOL;
    }
    SSL_set_accept_state(t->ssl);
    tls_server_release(t->server);
    t->server = NULL;
    return OK;
}

static int handshake(struct tls *t)
{
    int rc = SSL_do_handshake(t->ssl);
    if (rc == 1) {
        t->opened = true;
        return OK;
    }
    return SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ ? OK : fail(t, "the handshake failed");
}

/* Decrypts until nothing is left. The plaintext of a record is shorter than the record, and what OpenSSL
 * keeps of an earlier, incomplete record is shorter than the headroom: so there is always room before
 * t->in. */
static int read_all(struct tls *t, uint8_t *room, size_t *out_len)
{
    while (t->in_len > 0 || SSL_has_pending(t->ssl)) {
        size_t got, cap = (size_t)(t->in - room) - *out_len;
        if (SSL_read_ex(t->ssl, room + *out_len, cap, &got) == 1) {
            *out_len += got;
            continue;
        }
        switch (SSL_get_error(t->ssl, 0)) {
        case SSL_ERROR_WANT_READ: return OK;
        case SSL_ERROR_ZERO_RETURN: t->ended = true; return OK;
        default: return fail(t, "the connection was broken off");
        }
    }
    return OK;
}

int tls_open(struct tls *t, uint8_t *room, slice cipher, size_t *out_len)
{
    *out_len = 0;
    if (t->ended || cipher.len == 0) return OK;
    t->in = cipher.ptr;
    t->in_len = cipher.len;
    forget_errors();
    int rc = t->ssl ? OK : begin_server(t);
    if (rc == OK && !t->opened) rc = handshake(t);
    if (rc == OK && t->opened) rc = read_all(t, room, out_len);
    t->in = NULL;
    t->in_len = 0;
    return rc;
}

/* --- writing --- */

int tls_seal(struct tls *t, slice plain, struct writer *out)
{
    size_t done;
    forget_errors();
    t->sealed = out;
    int rc = SSL_write_ex(t->ssl, plain.ptr, plain.len, &done);
    t->sealed = NULL;
    return rc == 1 && done == plain.len ? OK : fail(t, "sending failed");
}

void tls_shut(struct tls *t, struct writer *out)
{
    if (!t->opened || t->failed || t->shut) return;
    t->shut = true;
    t->sealed = out;
    forget_errors();
    (void)!SSL_shutdown(t->ssl);
    t->sealed = NULL;
    forget_errors();
}

slice tls_protocol(const struct tls *t)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    if (t->ssl) SSL_get0_alpn_selected(t->ssl, &name, &len);
    return slice_of(name, len);
}
