#include "net/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

static int64_t now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec + 1; /* never 0 */
}

static int key_make(struct tls_ticket_key *key)
{
    if (RAND_bytes(key->name, sizeof key->name) != 1 || RAND_priv_bytes(key->seal, sizeof key->seal) != 1 ||
        RAND_priv_bytes(key->mac, sizeof key->mac) != 1)
        return ERR_MEMORY;
    key->made_s = now_s();
    return OK;
}

static int rotate(struct tls_tickets *t)
{
    struct tls_ticket_key next;
    int rc = key_make(&next);
    if (rc == OK) {
        t->keys[1] = t->keys[0];
        t->keys[0] = next;
    }
    OPENSSL_cleanse(&next, sizeof next);
    return rc;
}

int tls_tickets_init(struct tls_tickets *t, unsigned lifetime_s)
{
    memset(t, 0, sizeof *t);
    t->lifetime_s = lifetime_s;
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!t->cipher) return ERR_MEMORY;
    if (rotate(t) == OK && pthread_mutex_init(&t->lock, NULL) == 0) return OK;
    EVP_CIPHER_free(t->cipher);
    return ERR_MEMORY;
}

void tls_tickets_deinit(struct tls_tickets *t)
{
    EVP_CIPHER_free(t->cipher);
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t->keys, sizeof t->keys);
}

int tls_tickets_rotate(struct tls_tickets *t)
{
    pthread_mutex_lock(&t->lock);
    int rc = rotate(t);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

/* Wipes what is too old to be accepted, and sees to it that the present key is fresh. */
static int refresh(struct tls_tickets *t)
{
    int64_t now = now_s();
    int rc = t->keys[0].made_s + t->lifetime_s <= now ? rotate(t) : OK;
    if (t->keys[1].made_s && t->keys[1].made_s + 2 * t->lifetime_s <= now)
        OPENSSL_cleanse(&t->keys[1], sizeof t->keys[1]);
    return rc;
}

static int with_key(const struct tls_tickets *t, const struct tls_ticket_key *key, const unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_CipherInit_ex2(cipher, t->cipher, key->seal, iv, seal, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

int tls_tickets_use(struct tls_tickets *t, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                    EVP_MAC_CTX *mac, int seal)
{
    if (seal && RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) != 1) return -1;
    int result = seal ? -1 : 0; /* an error; a ticket that is not ours: a full handshake follows */
    pthread_mutex_lock(&t->lock);
    if (refresh(t) == OK) {
        int index = 0;
        if (seal)
            memcpy(name, t->keys[0].name, sizeof t->keys[0].name);
        else
            while (index < 2 &&
                   (!t->keys[index].made_s || memcmp(name, t->keys[index].name, sizeof t->keys[0].name) != 0))
                index++;
        if (index < 2) /* 2: accepted, and a new one is to be given */
            result = with_key(t, &t->keys[index], iv, cipher, mac, seal) ? index + 1 : -1;
    }
    pthread_mutex_unlock(&t->lock);
    return result;
}
