#include "core/noise.h"

#include <string.h>

#include "core/identity.h"

#define BLOCK_BYTES 128          /* BLAKE2b's, for HMAC (RFC 2104) */
#define HANDSHAKE_BYTES_MAX 2048 /* of one handshake message */
#define PROTOCOL_NAME "Noise_XX_25519_ChaChaPoly_BLAKE2b"

static void hash_two(const struct noise *n, slice a, slice b, uint8_t out[HASH_LONG_BYTES])
{
    /* Handshake messages are small: the longest input is a hash and an encrypted payload. */
    uint8_t joined[HASH_LONG_BYTES + HANDSHAKE_BYTES_MAX];
    struct writer w = writer_of(joined, sizeof joined);
    writer_put(&w, a);
    writer_put(&w, b);
    n->crypto->hash(n->crypto->context, out, HASH_LONG_BYTES, writer_slice(&w));
    wipe(joined, w.len);
}

static void mix_hash(struct noise *n, slice data)
{
    hash_two(n, slice_of(n->hash, HASH_LONG_BYTES), data, n->hash);
}

static void hmac(const struct noise *n, const uint8_t key[HASH_LONG_BYTES], slice data,
                 uint8_t out[HASH_LONG_BYTES])
{
    uint8_t pad[BLOCK_BYTES], inner[HASH_LONG_BYTES];
    memset(pad, 0x36, sizeof pad);
    for (int i = 0; i < HASH_LONG_BYTES; i++)
        pad[i] = key[i] ^ 0x36;
    hash_two(n, slice_of(pad, sizeof pad), data, inner);
    memset(pad, 0x5c, sizeof pad);
    for (int i = 0; i < HASH_LONG_BYTES; i++)
        pad[i] = key[i] ^ 0x5c;
    hash_two(n, slice_of(pad, sizeof pad), slice_of(inner, sizeof inner), out);
    wipe(pad, sizeof pad);
    wipe(inner, sizeof inner);
}

/* Section 4.3, two outputs. */
static void hkdf(const struct noise *n, slice input, uint8_t out1[HASH_LONG_BYTES],
                 uint8_t out2[HASH_LONG_BYTES])
{
    uint8_t temp[HASH_LONG_BYTES], data[HASH_LONG_BYTES + 1];
    hmac(n, n->chaining_key, input, temp);
    hmac(n, temp, SLICE("\x01"), out1);
    memcpy(data, out1, HASH_LONG_BYTES);
    data[HASH_LONG_BYTES] = 2;
    hmac(n, temp, slice_of(data, sizeof data), out2);
    wipe(temp, sizeof temp);
    wipe(data, sizeof data);
}

static void mix_key(struct noise *n, slice input)
{
    uint8_t chaining_key[HASH_LONG_BYTES], key[HASH_LONG_BYTES];
    hkdf(n, input, chaining_key, key);
    memcpy(n->chaining_key, chaining_key, HASH_LONG_BYTES);
    memcpy(n->cipher.key, key, KEY_BYTES); /* section 5.2: cut to 32 bytes when HASHLEN is 64 */
    n->cipher.counter = 0;
    n->has_key = true;
    wipe(chaining_key, sizeof chaining_key);
    wipe(key, sizeof key);
}

static int mix_exchange(struct noise *n, const uint8_t secret[KEY_BYTES], const uint8_t public_key[KEY_BYTES])
{
    uint8_t shared[KEY_BYTES];
    bool good = n->crypto->exchange(n->crypto->context, shared, secret, public_key);
    mix_key(n, slice_of(shared, KEY_BYTES));
    wipe(shared, sizeof shared);
    return good ? OK : ERR_AUTH;
}

void noise_init(struct noise *n, const struct crypto *crypto, bool initiator, slice prologue,
                const uint8_t static_secret[KEY_BYTES], const uint8_t ephemeral_secret[KEY_BYTES])
{
    memset(n, 0, sizeof *n);
    n->crypto = crypto;
    n->initiator = initiator;
    memcpy(n->hash, PROTOCOL_NAME, sizeof PROTOCOL_NAME - 1); /* shorter than HASHLEN: padded with zeros */
    memcpy(n->chaining_key, n->hash, HASH_LONG_BYTES);
    mix_hash(n, prologue);
    memcpy(n->static_secret, static_secret, KEY_BYTES);
    memcpy(n->ephemeral_secret, ephemeral_secret, KEY_BYTES);
    crypto->exchange_public(crypto->context, n->static_public, static_secret);
    crypto->exchange_public(crypto->context, n->ephemeral_public, ephemeral_secret);
}

void noise_deinit(struct noise *n)
{
    wipe(n, sizeof *n);
}

bool noise_finished(const struct noise *n)
{
    return n->step == 3;
}

bool noise_writes_next(const struct noise *n)
{
    return n->step < 3 && (n->step % 2 == 0) == n->initiator;
}

/* EncryptAndHash, section 5.2. */
static void put_sealed(struct noise *n, slice plain, struct writer *out)
{
    size_t len = plain.len + (n->has_key ? TAG_BYTES : 0);
    if (out->failed || len > out->cap - out->len) {
        out->failed = true;
        return;
    }
    uint8_t *at = out->ptr + out->len;
    if (n->has_key) {
        n->crypto->seal(n->crypto->context, at, n->cipher.key, n->cipher.counter++,
                        slice_of(n->hash, HASH_LONG_BYTES), plain);
    } else if (plain.len) {
        memcpy(at, plain.ptr, plain.len);
    }
    out->len += len;
    mix_hash(n, slice_of(at, len));
}

/* DecryptAndHash of `sealed` into out. */
static int take_sealed(struct noise *n, slice sealed, uint8_t *out)
{
    if (!n->has_key) {
        if (sealed.len) memcpy(out, sealed.ptr, sealed.len);
    } else if (!n->crypto->open(n->crypto->context, out, n->cipher.key, n->cipher.counter++,
                                slice_of(n->hash, HASH_LONG_BYTES), sealed)) {
        return ERR_AUTH;
    }
    mix_hash(n, sealed);
    return OK;
}

int noise_write(struct noise *n, slice payload, struct writer *out)
{
    int rc = OK;
    if (!noise_writes_next(n)) return ERR_WRONG_STATE;
    if (payload.len > HANDSHAKE_BYTES_MAX / 2) return ERR_TOO_LARGE;
    if (n->step < 2) { /* e */
        writer_put(out, slice_of(n->ephemeral_public, KEY_BYTES));
        mix_hash(n, slice_of(n->ephemeral_public, KEY_BYTES));
    }
    if (n->step == 1) { /* ee, s, es */
        rc = mix_exchange(n, n->ephemeral_secret, n->remote_ephemeral);
        put_sealed(n, slice_of(n->static_public, KEY_BYTES), out);
        if (rc == OK) rc = mix_exchange(n, n->static_secret, n->remote_ephemeral);
    } else if (n->step == 2) { /* s, se */
        put_sealed(n, slice_of(n->static_public, KEY_BYTES), out);
        rc = mix_exchange(n, n->static_secret, n->remote_ephemeral);
    }
    if (rc < 0) return rc;
    put_sealed(n, payload, out);
    if (out->failed) return ERR_FULL;
    n->step++;
    return OK;
}

int noise_read(struct noise *n, slice message, uint8_t *out_payload, size_t *out_len)
{
    if (n->step >= 3 || noise_writes_next(n)) return ERR_WRONG_STATE;
    size_t sealed_key = KEY_BYTES + TAG_BYTES;
    size_t least = n->step == 0   ? KEY_BYTES
                   : n->step == 1 ? KEY_BYTES + sealed_key + TAG_BYTES
                                  : sealed_key + TAG_BYTES;
    if (message.len < least) return ERR_MALFORMED;
    if (message.len > HANDSHAKE_BYTES_MAX) return ERR_TOO_LARGE;
    int rc = OK;
    if (n->step < 2) { /* e */
        memcpy(n->remote_ephemeral, message.ptr, KEY_BYTES);
        mix_hash(n, slice_of(n->remote_ephemeral, KEY_BYTES));
        message = slice_sub(message, KEY_BYTES, message.len);
    }
    if (n->step == 1) rc = mix_exchange(n, n->ephemeral_secret, n->remote_ephemeral); /* ee */
    if (n->step >= 1 && rc == OK) { /* s, then es (read by the initiator) or se (by the responder) */
        rc = take_sealed(n, slice_sub(message, 0, sealed_key), n->remote_static);
        message = slice_sub(message, sealed_key, message.len);
        if (rc == OK) rc = mix_exchange(n, n->ephemeral_secret, n->remote_static);
    }
    if (rc == OK) rc = take_sealed(n, message, out_payload);
    if (rc < 0) return rc;
    *out_len = message.len - (n->has_key ? TAG_BYTES : 0);
    n->step++;
    return OK;
}

void noise_split(const struct noise *n, struct noise_cipher *out_send, struct noise_cipher *out_receive)
{
    uint8_t first[HASH_LONG_BYTES], second[HASH_LONG_BYTES];
    hkdf(n, SLICE_EMPTY, first, second);
    struct noise_cipher *of_initiator = n->initiator ? out_send : out_receive;
    struct noise_cipher *of_responder = n->initiator ? out_receive : out_send;
    memcpy(of_initiator->key, first, KEY_BYTES);
    memcpy(of_responder->key, second, KEY_BYTES);
    of_initiator->counter = of_responder->counter = 0;
    wipe(first, sizeof first);
    wipe(second, sizeof second);
}

int noise_encrypt(struct noise_cipher *c, const struct crypto *crypto, slice plain, struct writer *out)
{
    if (c->counter == UINT64_MAX || out->failed || plain.len + TAG_BYTES > out->cap - out->len)
        return ERR_FULL;
    crypto->seal(crypto->context, out->ptr + out->len, c->key, c->counter++, SLICE_EMPTY, plain);
    out->len += plain.len + TAG_BYTES;
    return OK;
}

int noise_decrypt(struct noise_cipher *c, const struct crypto *crypto, slice sealed, uint8_t *out)
{
    if (sealed.len < TAG_BYTES) return ERR_MALFORMED;
    if (c->counter == UINT64_MAX) return ERR_FULL;
    return crypto->open(crypto->context, out, c->key, c->counter++, SLICE_EMPTY, sealed) ? OK : ERR_AUTH;
}
