#include "net/tls_context.h"

#include <ctype.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Index of the certificate of each kind, -1 where there is none. */
struct certificate_set {
    int index[TLS_KEY_KINDS];
};

struct named {
    char *name;
    SSL_CTX *ctx; /* NULL: the first context, which owns this list */
};

/* What a context owns besides OpenSSL's things. */
struct context {
    struct tls_settings *settings;
    struct named *names; /* sorted; only of the first context */
    size_t name_count;
};

static int context_index = -1;

static void context_free(struct context *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->name_count; i++) {
        free(c->names[i].name);
        SSL_CTX_free(c->names[i].ctx);
    }
    free(c->names);
    tls_settings_release(c->settings);
    free(c);
}

static void on_context_gone(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long number,
                            void *argument)
{
    (void)parent, (void)data, (void)index, (void)number, (void)argument;
    context_free(ptr);
}

static void make_index(void)
{
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, on_context_gone);
}

static struct context *context_of(const SSL_CTX *ctx)
{
    return SSL_CTX_get_ex_data(ctx, context_index);
}

void tls_settings_release(struct tls_settings *s)
{
    if (!s || atomic_fetch_sub(&s->owners, 1) != 1) return;
    tls_tickets_deinit(&s->tickets);
    free(s);
}

int tls_protocols_parse(const char *list, unsigned char out[TLS_PROTOCOLS_MAX], unsigned *out_len)
{
    unsigned at = 0;
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        if (len == 0 || len > 255 || at + 1 + len > TLS_PROTOCOLS_MAX) return ERR_INVALID;
        out[at++] = (unsigned char)len;
        memcpy(out + at, p, len);
        at += (unsigned)len;
        p += len;
        if (*p == ',' && !*++p) return ERR_INVALID;
    }
    *out_len = at;
    return OK;
}

bool tls_context_common(SSL_CTX *ctx, bool only_tls13)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_set_min_proto_version(ctx, only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(
               ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           SSL_CTX_set_cipher_list(ctx, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305") == 1 &&
           SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1;
}

/* --- what OpenSSL asks during a handshake --- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static const struct named *find(const struct context *c, char *name)
{
    struct named key = {.name = name};
    return bsearch(&key, c->names, c->name_count, sizeof key, compare_names);
}

/* The exact name, else the wildcard for its first label (RFC 9525, 6.3). */
static const struct named *find_best(const struct context *c, const char *asked)
{
    char name[TLS_NAME_MAX + 1];
    size_t len = strlen(asked);
    if (len == 0 || len > TLS_NAME_MAX) return NULL;
    for (size_t i = 0; i <= len; i++)
        name[i] = (char)tolower((unsigned char)asked[i]);
    const struct named *found = find(c, name);
    char *dot = strchr(name, '.');
    if (found || !dot || dot == name) return found;
    dot[-1] = '*';
    return find(c, dot - 1);
}

static int on_name(SSL *ssl, int *alert, void *argument)
{
    (void)alert;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!asked) return SSL_TLSEXT_ERR_NOACK;
    const struct named *found = find_best(argument, asked);
    if (found && found->ctx) SSL_set_SSL_CTX(ssl, found->ctx);
    return found ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int on_protocols(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                        const unsigned char *offered, unsigned offered_len, void *argument)
{
    (void)ssl;
    const struct tls_settings *settings = argument;
    unsigned char *chosen;
    int rc = SSL_select_next_proto(&chosen, out_len, settings->protocols, settings->protocols_len, offered,
                                   offered_len);
    *out = chosen;
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int seal)
{
    struct context *c = context_of(SSL_get_SSL_CTX(ssl));
    int result = tls_tickets_use(&c->settings->tickets, name, iv, cipher, mac, seal);
    /* A ticket of TLS 1.3 is used once (RFC 8446, C.4): the client gets another one. */
    return result == 1 && !seal && SSL_version(ssl) >= TLS1_3_VERSION ? 2 : result;
}

/* --- making one --- */

static const char *openssl_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "out of memory";
}

static bool use_certificates(SSL_CTX *ctx, struct tls_certificate *const *certificates,
                             const struct certificate_set *set, char *why)
{
    for (int kind = 0; kind < TLS_KEY_KINDS; kind++) {
        if (set->index[kind] < 0) continue;
        const struct tls_certificate *c = certificates[set->index[kind]];
        if (SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) == 1) continue;
        snprintf(why, TLS_WHY_BYTES, "%s: %s", c->cert_file, openssl_reason());
        return false;
    }
    return true;
}

static bool configure(SSL_CTX *ctx, struct tls_settings *settings)
{
    static const unsigned char id[] = "weaprous";
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only */
    SSL_CTX_set_timeout(ctx, (long)settings->lifetime_s);
    if (settings->protocols_len > 0) SSL_CTX_set_alpn_select_cb(ctx, on_protocols, settings);
    return tls_context_common(ctx, settings->only_tls13) &&
           SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1;
}

static SSL_CTX *context_new(struct tls_settings *settings, struct tls_certificate *const *certificates,
                            const struct certificate_set *set, char *why)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct context *c = calloc(1, sizeof *c);
    bool good = ctx && c && SSL_CTX_set_ex_data(ctx, context_index, c) == 1;
    if (good) {
        atomic_fetch_add(&settings->owners, 1);
        c->settings = settings;
        snprintf(why, TLS_WHY_BYTES, "out of memory");
        good = configure(ctx, settings) && use_certificates(ctx, certificates, set, why);
        c = NULL; /* the context's */
    }
    ERR_clear_error();
    if (good) return ctx;
    free(c);
    SSL_CTX_free(ctx);
    return NULL;
}

/* A name, and one certificate that has it. */
struct claim {
    const char *name;
    int index;
    enum tls_key_kind kind;
};

static int compare_claims(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static struct claim *collect(struct tls_certificate *const *certificates, size_t count, size_t *out_count)
{
    size_t total = 0, n = 0;
    for (size_t i = 0; i < count; i++)
        total += certificates[i]->name_count;
    struct claim *claims = calloc(total + 1, sizeof *claims);
    if (!claims) return NULL;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < certificates[i]->name_count; k++)
            claims[n++] = (struct claim){certificates[i]->names[k], (int)i, certificates[i]->kind};
    qsort(claims, n, sizeof *claims, compare_claims);
    *out_count = n;
    return claims;
}

/* The first certificate of each kind that has the name of the first claim; returns how many claims that
 * were. */
static size_t take_name(const struct claim *claims, size_t count, struct certificate_set *out)
{
    size_t n = 0;
    memset(out->index, -1, sizeof out->index);
    for (; n < count && strcmp(claims[n].name, claims[0].name) == 0; n++)
        if (out->index[claims[n].kind] < 0) out->index[claims[n].kind] = claims[n].index;
    return n;
}

struct generation {
    struct tls_settings *settings;
    struct tls_certificate *const *certificates;
    struct certificate_set first_set;
    SSL_CTX *first;
    struct certificate_set *sets; /* of the names of `first`, by index */
    char *why;
};

static bool same_set(const struct certificate_set *a, const struct certificate_set *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* An own reference to the context for the set; *out_ctx NULL for the first context. */
static bool context_for(struct generation *g, const struct certificate_set *set, SSL_CTX **out_ctx)
{
    const struct context *c = context_of(g->first);
    *out_ctx = NULL;
    if (same_set(set, &g->first_set)) return true;
    for (size_t i = 0; i < c->name_count; i++) {
        if (!same_set(set, &g->sets[i])) continue;
        *out_ctx = c->names[i].ctx;
        return SSL_CTX_up_ref(*out_ctx) == 1;
    }
    *out_ctx = context_new(g->settings, g->certificates, set, g->why);
    return *out_ctx != NULL;
}

static bool add_names(struct generation *g, const struct claim *claims, size_t count)
{
    struct context *c = context_of(g->first);
    for (size_t at = 0; at < count;) {
        struct certificate_set set;
        size_t n = take_name(claims + at, count - at, &set);
        struct named *named = &c->names[c->name_count];
        if (!context_for(g, &set, &named->ctx)) return false;
        g->sets[c->name_count++] = set;
        named->name = strdup(claims[at].name);
        if (!named->name) return false;
        at += n;
    }
    return true;
}

/* What the first certificate's first name has. */
static struct certificate_set first_set(const struct claim *claims, size_t count,
                                        const struct tls_certificate *first)
{
    struct certificate_set set;
    memset(set.index, -1, sizeof set.index);
    set.index[first->kind] = 0;
    for (size_t i = 0; i < count && first->name_count > 0; i++) {
        if (strcmp(claims[i].name, first->names[0]) != 0) continue;
        take_name(claims + i, count - i, &set);
        break;
    }
    return set;
}

SSL_CTX *tls_generation_new(struct tls_settings *settings, struct tls_certificate *const *certificates,
                            size_t count, char why[TLS_WHY_BYTES])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_index);
    size_t claim_count = 0;
    struct claim *claims = collect(certificates, count, &claim_count);
    struct certificate_set *sets = calloc(claim_count + 1, sizeof *sets);
    struct generation g = {.settings = settings, .certificates = certificates, .sets = sets, .why = why};
    snprintf(why, TLS_WHY_BYTES, "out of memory");
    if (claims && sets) {
        g.first_set = first_set(claims, claim_count, certificates[0]);
        g.first = context_new(settings, certificates, &g.first_set, why);
    }
    if (g.first) {
        struct context *c = context_of(g.first);
        c->names = calloc(claim_count + 1, sizeof *c->names);
        if (c->names && add_names(&g, claims, claim_count)) {
            SSL_CTX_set_tlsext_servername_callback(g.first, on_name);
            SSL_CTX_set_tlsext_servername_arg(g.first, c);
        } else {
            SSL_CTX_free(g.first);
            g.first = NULL;
        }
    }
    free(claims);
    free(sets);
    return g.first;
}
