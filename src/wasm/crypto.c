/* The crypto table as imports: the host binds each to libsodium (client/node/sodium.ts). Pointers are offsets
 * into this instance's memory. */
#include "wasm.h"

#define CRYPTO_IMPORT(name) __attribute__((import_module("crypto"), import_name(#name)))

CRYPTO_IMPORT(hash) void crypto_hash(uint8_t *out, size_t out_len, const uint8_t *input, size_t len);
CRYPTO_IMPORT(sign_public) void crypto_sign_public(uint8_t *public_key, const uint8_t *seed);
CRYPTO_IMPORT(sign)
void crypto_sign(uint8_t *signature, const uint8_t *seed, const uint8_t *public_key, const uint8_t *message,
                 size_t len);
CRYPTO_IMPORT(verify)
int crypto_verify(const uint8_t *signature, const uint8_t *public_key, const uint8_t *message, size_t len);
CRYPTO_IMPORT(exchange_public) void crypto_exchange_public(uint8_t *public_key, const uint8_t *secret);
CRYPTO_IMPORT(exchange)
int crypto_exchange(uint8_t *shared, const uint8_t *secret, const uint8_t *public_key);
CRYPTO_IMPORT(seal)
void crypto_seal(uint8_t *out, const uint8_t *key, const uint8_t *nonce, const uint8_t *associated,
                 size_t associated_len, const uint8_t *plain, size_t plain_len);
CRYPTO_IMPORT(open)
int crypto_open(uint8_t *out, const uint8_t *key, const uint8_t *nonce, const uint8_t *associated,
                size_t associated_len, const uint8_t *sealed, size_t sealed_len);
CRYPTO_IMPORT(xseal)
void crypto_xseal(uint8_t *out, const uint8_t *key, const uint8_t *nonce, const uint8_t *associated,
                  size_t associated_len, const uint8_t *plain, size_t plain_len);
CRYPTO_IMPORT(xopen)
int crypto_xopen(uint8_t *out, const uint8_t *key, const uint8_t *nonce, const uint8_t *associated,
                 size_t associated_len, const uint8_t *sealed, size_t sealed_len);
CRYPTO_IMPORT(box_secret) void crypto_box_secret(uint8_t *secret, const uint8_t *seed);
CRYPTO_IMPORT(box_public) int crypto_box_public(uint8_t *box_key, const uint8_t *public_key);

static void table_hash(void *context, uint8_t *out, size_t out_len, slice input)
{
    (void)context;
    crypto_hash(out, out_len, input.ptr, input.len);
}

static void table_sign_public(void *context, uint8_t public_key[KEY_BYTES], const uint8_t seed[KEY_BYTES])
{
    (void)context;
    crypto_sign_public(public_key, seed);
}

static void table_sign(void *context, uint8_t signature[SIGNATURE_BYTES], const uint8_t seed[KEY_BYTES],
                       const uint8_t public_key[KEY_BYTES], slice message)
{
    (void)context;
    crypto_sign(signature, seed, public_key, message.ptr, message.len);
}

static bool table_verify(void *context, const uint8_t signature[SIGNATURE_BYTES],
                         const uint8_t public_key[KEY_BYTES], slice message)
{
    (void)context;
    return crypto_verify(signature, public_key, message.ptr, message.len) != 0;
}

static void table_exchange_public(void *context, uint8_t public_key[KEY_BYTES],
                                  const uint8_t secret[KEY_BYTES])
{
    (void)context;
    crypto_exchange_public(public_key, secret);
}

static bool table_exchange(void *context, uint8_t shared[KEY_BYTES], const uint8_t secret[KEY_BYTES],
                           const uint8_t public_key[KEY_BYTES])
{
    (void)context;
    return crypto_exchange(shared, secret, public_key) != 0;
}

/* 64-bit numbers do not cross the border, so the nonce of RFC 8439 is written here. */
struct nonce {
    uint8_t bytes[12];
};

static struct nonce nonce_of(uint64_t counter)
{
    struct nonce nonce = {{0}};
    for (int i = 0; i < 8; i++)
        nonce.bytes[4 + i] = (uint8_t)(counter >> (8 * i));
    return nonce;
}

static void table_seal(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                       slice associated, slice plain)
{
    (void)context;
    struct nonce nonce = nonce_of(counter);
    crypto_seal(out, key, nonce.bytes, associated.ptr, associated.len, plain.ptr, plain.len);
}

static bool table_open(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                       slice associated, slice sealed)
{
    (void)context;
    struct nonce nonce = nonce_of(counter);
    return crypto_open(out, key, nonce.bytes, associated.ptr, associated.len, sealed.ptr, sealed.len) != 0;
}

static void table_xseal(void *context, uint8_t *out, const uint8_t key[KEY_BYTES],
                        const uint8_t nonce[NONCE_BYTES], slice associated, slice plain)
{
    (void)context;
    crypto_xseal(out, key, nonce, associated.ptr, associated.len, plain.ptr, plain.len);
}

static bool table_xopen(void *context, uint8_t *out, const uint8_t key[KEY_BYTES],
                        const uint8_t nonce[NONCE_BYTES], slice associated, slice sealed)
{
    (void)context;
    return crypto_xopen(out, key, nonce, associated.ptr, associated.len, sealed.ptr, sealed.len) != 0;
}

static void table_box_secret(void *context, uint8_t secret[KEY_BYTES], const uint8_t seed[KEY_BYTES])
{
    (void)context;
    crypto_box_secret(secret, seed);
}

static bool table_box_public(void *context, uint8_t box_key[KEY_BYTES], const uint8_t public_key[KEY_BYTES])
{
    (void)context;
    return crypto_box_public(box_key, public_key) != 0;
}

const struct crypto crypto_imported = {
    .context = NULL,
    .hash = table_hash,
    .sign_public = table_sign_public,
    .sign = table_sign,
    .verify = table_verify,
    .exchange_public = table_exchange_public,
    .exchange = table_exchange,
    .seal = table_seal,
    .open = table_open,
    .xseal = table_xseal,
    .xopen = table_xopen,
    .box_secret = table_box_secret,
    .box_public = table_box_public,
};
