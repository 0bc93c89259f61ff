#include "core/identity.h"

#include <string.h>

#include "base/cbor.h"

#define DAY_S 86400u

void wipe(void *secret, size_t len)
{
    memset(secret, 0, len);
    __asm__ volatile("" : : "r"(secret) : "memory"); /* somebody might look: the compiler keeps it */
}

void hash_joined(const struct crypto *crypto, slice a, slice b, slice c, uint8_t out[HASH_BYTES])
{
    uint8_t joined[512];
    struct writer w = writer_of(joined, sizeof joined);
    writer_put(&w, a);
    writer_put(&w, b);
    writer_put(&w, c);
    crypto->hash(crypto->context, out, HASH_BYTES, writer_slice(&w));
    wipe(joined, w.len);
}

void identity_noise_secret(const struct crypto *crypto, const uint8_t seed[KEY_BYTES], uint8_t out[KEY_BYTES])
{
    hash_joined(crypto, SLICE("weaprous.noise.1"), slice_of(seed, KEY_BYTES), SLICE_EMPTY, out);
}

/* domain | H(bytes): at most 64 + 32 bytes. */
static size_t signed_form(const struct crypto *crypto, slice domain, slice bytes, uint8_t out[96])
{
    struct writer w = writer_of(out, 96);
    writer_put(&w, slice_sub(domain, 0, 64));
    crypto->hash(crypto->context, out + w.len, HASH_BYTES, bytes);
    return w.len + HASH_BYTES;
}

void identity_sign(const struct crypto *crypto, const uint8_t seed[KEY_BYTES], slice domain, slice bytes,
                   uint8_t out_signature[SIGNATURE_BYTES])
{
    uint8_t form[96], public_key[KEY_BYTES];
    size_t len = signed_form(crypto, domain, bytes, form);
    crypto->sign_public(crypto->context, public_key, seed);
    crypto->sign(crypto->context, out_signature, seed, public_key, slice_of(form, len));
}

bool identity_verify(const struct crypto *crypto, const uint8_t device[KEY_BYTES], slice domain, slice bytes,
                     const uint8_t signature[SIGNATURE_BYTES])
{
    uint8_t form[96];
    size_t len = signed_form(crypto, domain, bytes, form);
    return crypto->verify(crypto->context, signature, device, slice_of(form, len));
}

int certificate_write(const struct crypto *crypto, const struct certificate *fields,
                      const uint8_t authority_seed[KEY_BYTES], uint8_t *out, size_t room)
{
    uint8_t authority[KEY_BYTES], signature[SIGNATURE_BYTES], plain[NODE_CERTIFICATE_BYTES_MAX];
    if (fields->account.len == 0 || fields->account.len > NODE_NAME_BYTES_MAX) return ERR_INVALID;
    crypto->sign_public(crypto->context, authority, authority_seed);

    struct writer f = writer_of(plain, sizeof plain);
    cbor_put_array(&f, 6);
    cbor_put_uint(&f, 1);
    cbor_put_bytes(&f, fields->account);
    cbor_put_bytes(&f, slice_of(fields->device, ID_BYTES));
    cbor_put_bytes(&f, slice_of(authority, KEY_BYTES));
    cbor_put_uint(&f, fields->issued_s);
    cbor_put_uint(&f, fields->expires_s);
    identity_sign(crypto, authority_seed, SLICE("weaprous.certificate.1"), writer_slice(&f), signature);

    struct writer w = writer_of(out, room < NODE_CERTIFICATE_BYTES_MAX ? room : NODE_CERTIFICATE_BYTES_MAX);
    cbor_put_array(&w, 2);
    cbor_put_bytes(&w, writer_slice(&f));
    cbor_put_bytes(&w, slice_of(signature, SIGNATURE_BYTES));
    return f.failed || w.failed ? ERR_FULL : (int)w.len;
}

int certificate_parse(const struct crypto *crypto, slice bytes, struct certificate *out)
{
    if (bytes.len > NODE_CERTIFICATE_BYTES_MAX) return ERR_TOO_LARGE;
    struct cbor_reader r = {bytes, false};
    uint64_t parts = cbor_array(&r, 16);
    slice plain = cbor_bytes(&r, NODE_CERTIFICATE_BYTES_MAX);
    const uint8_t *signature = cbor_fixed(&r, SIGNATURE_BYTES);
    if (r.failed || parts < 2) return ERR_MALFORMED;
    cbor_skip(&r, parts - 2);

    struct certificate c;
    struct cbor_reader f = {plain, false};
    uint64_t fields = cbor_array(&f, 32);
    uint64_t version = cbor_uint(&f, UINT64_MAX);
    c.account = cbor_bytes(&f, NODE_NAME_BYTES_MAX);
    c.device = cbor_fixed(&f, ID_BYTES);
    c.authority = cbor_fixed(&f, ID_BYTES);
    c.issued_s = cbor_uint(&f, UINT64_MAX);
    c.expires_s = cbor_uint(&f, UINT64_MAX);
    if (f.failed || fields < 6) return ERR_MALFORMED;
    cbor_skip(&f, fields - 6);
    if (version != 1 || c.account.len == 0 || !cbor_done(&r) || !cbor_done(&f)) return ERR_MALFORMED;
    if (!identity_verify(crypto, c.authority, SLICE("weaprous.certificate.1"), plain, signature)) {
        return ERR_SIGNATURE;
    }
    *out = c;
    return OK;
}

bool certificate_current(const struct certificate *certificate, usec now)
{
    uint64_t now_s = now / SECONDS;
    return now_s + DAY_S >= certificate->issued_s &&
           (certificate->expires_s > UINT64_MAX - DAY_S || now_s <= certificate->expires_s + DAY_S);
}

void channel_id(const struct crypto *crypto, const uint8_t authority[ID_BYTES], slice name,
                uint8_t out[ID_BYTES])
{
    hash_joined(crypto, SLICE("weaprous.channel.1"), slice_of(authority, ID_BYTES), name, out);
}
