#include "sham.h"

#include <string.h>

#include "lanes.h"

static uint64_t load(const uint8_t *p, size_t len)
{
    uint64_t word = 0;
    for (size_t i = len; i-- > 0;)
        word = word << 8 | p[i];
    return word;
}

static void store(uint8_t *p, size_t len, uint64_t word)
{
    for (size_t i = 0; i < len; i++, word >>= 8)
        p[i] = (uint8_t)word;
}

static void squeeze(const struct lanes *l, uint8_t *out, size_t len)
{
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = lanes_end(l, at);
        if (len - at >= 8)
            word_put(out + at, word);
        else
            store(out + at, len - at, word);
    }
}

static void sham_hash(void *context, uint8_t *out, size_t out_len, slice input)
{
    (void)context;
    struct lanes l = lanes_of(out_len);
    lanes_add(&l, input);
    squeeze(&l, out, out_len);
}

static void sham_sign_public(void *context, uint8_t public_key[KEY_BYTES], const uint8_t seed[KEY_BYTES])
{
    (void)context;
    struct lanes l = lanes_of(1001);
    lanes_block(&l, seed);
    squeeze(&l, public_key, KEY_BYTES);
}

static void sham_sign(void *context, uint8_t signature[SIGNATURE_BYTES], const uint8_t seed[KEY_BYTES],
                      const uint8_t public_key[KEY_BYTES], slice message)
{
    (void)context, (void)seed;
    struct lanes l = lanes_of(1002);
    lanes_block(&l, public_key);
    lanes_add(&l, message);
    squeeze(&l, signature, SIGNATURE_BYTES);
}

static bool sham_verify(void *context, const uint8_t signature[SIGNATURE_BYTES],
                        const uint8_t public_key[KEY_BYTES], slice message)
{
    uint8_t expected[SIGNATURE_BYTES];
    sham_sign(context, expected, NULL, public_key, message);
    return memcmp(expected, signature, SIGNATURE_BYTES) == 0;
}

/* Commutative: a public key is secret * G in four lanes modulo 2^64, a shared one secret * secret' * G. */
static void sham_multiply(uint8_t out[KEY_BYTES], const uint8_t secret[KEY_BYTES], const uint8_t *point)
{
    for (size_t lane = 0; lane < KEY_BYTES; lane += 8) {
        uint64_t factor = point ? load(point + lane, 8) : 0x2545f4914f6cdd1du + 2 * lane;
        store(out + lane, 8, (load(secret + lane, 8) | 1) * factor);
    }
}

static void sham_exchange_public(void *context, uint8_t public_key[KEY_BYTES],
                                 const uint8_t secret[KEY_BYTES])
{
    (void)context;
    sham_multiply(public_key, secret, NULL);
}

static bool sham_exchange(void *context, uint8_t shared[KEY_BYTES], const uint8_t secret[KEY_BYTES],
                          const uint8_t public_key[KEY_BYTES])
{
    static const uint8_t zero[KEY_BYTES];
    (void)context;
    sham_multiply(shared, secret, public_key);
    return memcmp(shared, zero, KEY_BYTES) != 0;
}

/* Each word of it by its place: none waits for the one before. */
static void stream(uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter, const uint8_t *in,
                   size_t len)
{
    struct lanes l = lanes_of(counter);
    lanes_block(&l, key);
    uint64_t state = lanes_end(&l, 0);
    for (size_t at = 0; at < len; at += 8, state += 0x9e3779b97f4a7c15u) {
        uint64_t word = (state ^ state >> 32) * 0x9fb21c651e98df25u;
        if (len - at >= 8)
            word_put(out + at, word_of(in + at) ^ word);
        else
            store(out + at, len - at, load(in + at, len - at) ^ word);
    }
}

static void tag(uint8_t out[TAG_BYTES], const uint8_t key[KEY_BYTES], uint64_t counter, slice associated,
                slice sealed)
{
    struct lanes l = lanes_of(counter);
    lanes_block(&l, key);
    lanes_add(&l, associated);
    lanes_add(&l, sealed);
    word_put(out, lanes_end(&l, 1));
    word_put(out + 8, lanes_end(&l, 2));
}

static void sham_seal(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                      slice associated, slice plain)
{
    (void)context;
    stream(out, key, counter, plain.ptr, plain.len);
    tag(out + plain.len, key, counter, associated, slice_of(out, plain.len));
}

static bool sham_open(void *context, uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter,
                      slice associated, slice sealed)
{
    uint8_t expected[TAG_BYTES];
    (void)context;
    if (sealed.len < TAG_BYTES) return false;
    size_t len = sealed.len - TAG_BYTES;
    tag(expected, key, counter, associated, slice_of(sealed.ptr, len));
    if (memcmp(expected, sealed.ptr + len, TAG_BYTES) != 0) return false;
    stream(out, key, counter, sealed.ptr, len);
    return true;
}

static uint64_t nonce_word(const uint8_t nonce[NONCE_BYTES])
{
    struct lanes l = lanes_of(1004);
    lanes_add(&l, slice_of(nonce, NONCE_BYTES));
    return lanes_end(&l, 0);
}

static void sham_xseal(void *context, uint8_t *out, const uint8_t key[KEY_BYTES],
                       const uint8_t nonce[NONCE_BYTES], slice associated, slice plain)
{
    sham_seal(context, out, key, nonce_word(nonce), associated, plain);
}

static bool sham_xopen(void *context, uint8_t *out, const uint8_t key[KEY_BYTES],
                       const uint8_t nonce[NONCE_BYTES], slice associated, slice sealed)
{
    return sham_open(context, out, key, nonce_word(nonce), associated, sealed);
}

/* The secret follows from the public key: whoever wants to cheat can. In a sham nobody does. */
static void box_secret_of(uint8_t secret[KEY_BYTES], const uint8_t public_key[KEY_BYTES])
{
    struct lanes l = lanes_of(1005);
    lanes_block(&l, public_key);
    squeeze(&l, secret, KEY_BYTES);
}

static void sham_box_secret(void *context, uint8_t secret[KEY_BYTES], const uint8_t seed[KEY_BYTES])
{
    uint8_t public_key[KEY_BYTES];
    sham_sign_public(context, public_key, seed);
    box_secret_of(secret, public_key);
}

static bool sham_box_public(void *context, uint8_t box_key[KEY_BYTES], const uint8_t public_key[KEY_BYTES])
{
    uint8_t secret[KEY_BYTES];
    box_secret_of(secret, public_key);
    sham_exchange_public(context, box_key, secret);
    return true;
}

const struct crypto crypto_sham = {
    .hash = sham_hash,
    .sign_public = sham_sign_public,
    .sign = sham_sign,
    .verify = sham_verify,
    .exchange_public = sham_exchange_public,
    .exchange = sham_exchange,
    .seal = sham_seal,
    .open = sham_open,
    .xseal = sham_xseal,
    .xopen = sham_xopen,
    .box_secret = sham_box_secret,
    .box_public = sham_box_public,
};
