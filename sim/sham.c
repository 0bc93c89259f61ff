#include "sham.h"

#include <string.h>

#include "random.h"

/* A mixer of 128 bits of state, eight bytes at a time. */
struct mixer {
    uint64_t a, b, len;
};

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

static void absorb_word(struct mixer *m, uint64_t word)
{
    m->a = (m->a ^ word) * 0x9fb21c651e98df25u;
    m->a ^= m->a >> 29;
    m->b = (m->b << 27 | m->b >> 37) + m->a;
    m->b = (m->b ^ (m->b >> 32)) * 0xd6e8feb86659fd93u;
}

static void absorb(struct mixer *m, slice bytes)
{
    size_t at = 0;
    for (; at + 8 <= bytes.len; at += 8)
        absorb_word(m, word_of(bytes.ptr + at));
    if (at < bytes.len) absorb_word(m, load(bytes.ptr + at, bytes.len - at));
    m->len += bytes.len;
    absorb_word(m, bytes.len); /* so that where one input ends and the next begins counts */
}

static void squeeze(const struct mixer *m, uint8_t *out, size_t len)
{
    for (size_t at = 0; at < len; at += 8) {
        uint64_t word = dice_mix(m->a + at * 0x9e3779b97f4a7c15u) ^ dice_mix(m->b ^ (m->len + at));
        if (len - at >= 8)
            word_put(out + at, word);
        else
            store(out + at, len - at, word);
    }
}

static struct mixer mixer_of(uint64_t purpose)
{
    return (struct mixer){dice_mix(purpose), dice_mix(~purpose), 0};
}

static void sham_hash(void *context, uint8_t *out, size_t out_len, slice input)
{
    (void)context;
    struct mixer m = mixer_of(out_len);
    absorb(&m, input);
    squeeze(&m, out, out_len);
}

static void sham_sign_public(void *context, uint8_t public_key[KEY_BYTES], const uint8_t seed[KEY_BYTES])
{
    (void)context;
    struct mixer m = mixer_of(1001);
    absorb(&m, slice_of(seed, KEY_BYTES));
    squeeze(&m, public_key, KEY_BYTES);
}

static void sham_sign(void *context, uint8_t signature[SIGNATURE_BYTES], const uint8_t seed[KEY_BYTES],
                      const uint8_t public_key[KEY_BYTES], slice message)
{
    (void)context, (void)seed;
    struct mixer m = mixer_of(1002);
    absorb(&m, slice_of(public_key, KEY_BYTES));
    absorb(&m, message);
    squeeze(&m, signature, SIGNATURE_BYTES);
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

static void stream(uint8_t *out, const uint8_t key[KEY_BYTES], uint64_t counter, const uint8_t *in,
                   size_t len)
{
    struct mixer m = mixer_of(counter);
    absorb(&m, slice_of(key, KEY_BYTES));
    uint64_t word = m.b;
    size_t at = 0;
    for (; at + 8 <= len; at += 8) {
        word = (word ^ word >> 32) * 0x9fb21c651e98df25u + m.a;
        word_put(out + at, word_of(in + at) ^ word);
    }
    word = (word ^ word >> 32) * 0x9fb21c651e98df25u + m.a;
    if (at < len) store(out + at, len - at, load(in + at, len - at) ^ word);
}

static void tag(uint8_t out[TAG_BYTES], const uint8_t key[KEY_BYTES], uint64_t counter, slice associated,
                slice sealed)
{
    struct mixer m = mixer_of(1003);
    absorb(&m, slice_of(key, KEY_BYTES));
    absorb_word(&m, counter);
    absorb(&m, associated);
    absorb(&m, sealed);
    squeeze(&m, out, TAG_BYTES);
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
    struct mixer m = mixer_of(1004);
    absorb(&m, slice_of(nonce, NONCE_BYTES));
    return m.a ^ m.b;
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
    struct mixer m = mixer_of(1005);
    absorb(&m, slice_of(public_key, KEY_BYTES));
    squeeze(&m, secret, KEY_BYTES);
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
