#include "crypto/native.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>

/* Programmer errors and lack of memory end the program: a cipher that silently did nothing would be worse. */
static void must(bool good)
{
    if (!good) abort();
}

static pthread_key_t cipher_key;

static void cipher_free(void *context)
{
    EVP_CIPHER_CTX_free(context);
}

/* With the cipher in it: to look it up for each message costs more than to seal a short one. */
static EVP_CIPHER_CTX *cipher_of_thread(void)
{
    EVP_CIPHER_CTX *c = pthread_getspecific(cipher_key);
    if (!c) {
        c = EVP_CIPHER_CTX_new();
        must(c != NULL && pthread_setspecific(cipher_key, c) == 0);
        must(EVP_CipherInit_ex(c, EVP_chacha20_poly1305(), NULL, NULL, NULL, 1) == 1);
    }
    return c;
}

static void native_hash(void *context, uint8_t *out, size_t out_len, slice input)
{
    (void)context;
    must(crypto_generichash(out, out_len, input.ptr, input.len, NULL, 0) == 0);
}

static void native_sign_public(void *context, uint8_t public_key[KEY_BYTES], const uint8_t seed[KEY_BYTES])
{
    (void)context;
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    must(crypto_sign_seed_keypair(public_key, secret, seed) == 0);
    sodium_memzero(secret, sizeof secret);
}

static void native_sign(void *context, uint8_t signature[SIGNATURE_BYTES], const uint8_t seed[KEY_BYTES],
                        const uint8_t public_key[KEY_BYTES], slice message)
{
    (void)context;
    uint8_t secret[crypto_sign_SECRETKEYBYTES]; /* libsodium's form: seed | public key */
    memcpy(secret, seed, KEY_BYTES);
    memcpy(secret + KEY_BYTES, public_key, KEY_BYTES);
    must(crypto_sign_detached(signature, NULL, message.ptr, message.len, secret) == 0);
    sodium_memzero(secret, sizeof secret);
}

static bool native_verify(void *context, const uint8_t signature[SIGNATURE_BYTES],
                          const uint8_t public_key[KEY_BYTES], slice message)
{
    (void)context;
    return crypto_sign_verify_detached(signature, message.ptr, message.len, public_key) == 0;
}

static void native_exchange_public(void *context, uint8_t public_key[KEY_BYTES],
                                   const uint8_t secret[KEY_BYTES])
{
    (void)context;
    must(crypto_scalarmult_base(public_key, secret) == 0);
}

static bool native_exchange(void *context, uint8_t shared[KEY_BYTES], const uint8_t secret[KEY_BYTES],
                            const uint8_t public_key[KEY_BYTES])
{
    (void)context;
    return crypto_scalarmult(shared, secret, public_key) == 0;
}

static void nonce_of(uint64_t counter, uint8_t nonce[12])
{
    memset(nonce, 0, 12);
    for (int i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

static void native_seal(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                        slice associated, slice plain)
{
    (void)context;
    uint8_t nonce[12], none = 0;
    int len;
    EVP_CIPHER_CTX *c = cipher_of_thread();
    nonce_of(counter, nonce);
    must(plain.len < INT_MAX && associated.len < INT_MAX);
    must(EVP_EncryptInit_ex(c, NULL, NULL, key, nonce) == 1);
    must(associated.len == 0 || EVP_EncryptUpdate(c, NULL, &len, associated.ptr, (int)associated.len) == 1);
    must(EVP_EncryptUpdate(c, out, &len, plain.len ? plain.ptr : &none, (int)plain.len) == 1);
    must(EVP_EncryptFinal_ex(c, out + plain.len, &len) == 1);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out + plain.len) == 1);
}

static bool native_open(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                        slice associated, slice sealed)
{
    (void)context;
    uint8_t nonce[12], tag[TAG_BYTES], none = 0;
    int len;
    if (sealed.len < TAG_BYTES || sealed.len >= INT_MAX) return false;
    size_t plain_len = sealed.len - TAG_BYTES;
    EVP_CIPHER_CTX *c = cipher_of_thread();
    nonce_of(counter, nonce);
    memcpy(tag, sealed.ptr + plain_len, TAG_BYTES);
    must(EVP_DecryptInit_ex(c, NULL, NULL, key, nonce) == 1);
    must(associated.len == 0 || EVP_DecryptUpdate(c, NULL, &len, associated.ptr, (int)associated.len) == 1);
    must(EVP_DecryptUpdate(c, out ? out : &none, &len, plain_len ? sealed.ptr : &none, (int)plain_len) == 1);
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1);
    return EVP_DecryptFinal_ex(c, out ? out + plain_len : &none, &len) == 1;
}

static void native_xseal(void *context, uint8_t *out, const uint8_t key[KEY_BYTES],
                         const uint8_t nonce[NONCE_BYTES], slice associated, slice plain)
{
    (void)context;
    must(crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain.ptr, plain.len, associated.ptr,
                                                    associated.len, NULL, nonce, key) == 0);
}

static bool native_xopen(void *context, uint8_t *out, const uint8_t key[KEY_BYTES],
                         const uint8_t nonce[NONCE_BYTES], slice associated, slice sealed)
{
    (void)context;
    if (sealed.len < TAG_BYTES) return false;
    return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed.ptr, sealed.len, associated.ptr,
                                                      associated.len, nonce, key) == 0;
}

static void native_box_secret(void *context, uint8_t secret[KEY_BYTES], const uint8_t seed[KEY_BYTES])
{
    (void)context;
    uint8_t wide[crypto_sign_SECRETKEYBYTES] = {0}; /* the public half is not read */
    memcpy(wide, seed, KEY_BYTES);
    must(crypto_sign_ed25519_sk_to_curve25519(secret, wide) == 0);
    sodium_memzero(wide, sizeof wide);
}

static bool native_box_public(void *context, uint8_t box_key[KEY_BYTES], const uint8_t public_key[KEY_BYTES])
{
    (void)context;
    return crypto_sign_ed25519_pk_to_curve25519(box_key, public_key) == 0;
}

int crypto_native_start(void)
{
    static bool started;
    if (started) return OK;
    if (sodium_init() < 0 || pthread_key_create(&cipher_key, cipher_free) != 0) return ERR_WRONG_STATE;
    started = true;
    return OK;
}

const struct crypto *crypto_native(void)
{
    static const struct crypto table = {
        NULL,
        native_hash,
        native_sign_public,
        native_sign,
        native_verify,
        native_exchange_public,
        native_exchange,
        native_seal,
        native_open,
        native_xseal,
        native_xopen,
        native_box_secret,
        native_box_public,
    };
    return &table;
}

void crypto_native_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}
