/* golden_test.c - src/core against vectors that it did not make: tests/golden/vectors/, written by
 * generate.mjs with other libraries, and the published vectors of the Noise protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cbor.h"
#include "core/identity.h"
#include "core/noise.h"
#include "core/node.h"
#include "crypto/native.h"
#include "vectors.h"

#define assert_bytes(got, want)                                                                              \
    do {                                                                                                     \
        slice got_ = (got), want_ = (want);                                                                  \
        assert_int_equal(got_.len, want_.len);                                                               \
        if (want_.len) assert_memory_equal(got_.ptr, want_.ptr, want_.len);                                  \
    } while (0)

static const struct crypto *crypto;

static void cbor_is_read_strictly(void **state)
{
    (void)state;
    size_t i;
    json_t *item, *document = vectors_open("cbor.json");
    json_array_foreach(vector_get(document, "valid"), i, item)
    {
        struct cbor_reader r = cbor_reader_of(vector_bytes(item, "hex"));
        cbor_skip(&r, 1);
        if (!cbor_done(&r)) fail_msg("refused: %s", vector_text(item, "name"));
    }
    json_array_foreach(vector_get(document, "invalid"), i, item)
    {
        struct cbor_reader r = cbor_reader_of(vector_bytes(item, "hex"));
        cbor_skip(&r, 1);
        if (cbor_done(&r)) fail_msg("accepted: %s", vector_text(item, "name"));
    }
}

static struct channel_spec spec_of(const json_t *item)
{
    const json_t *spec = vector_get(item, "spec");
    const char *type = vector_text(spec, "type");
    struct channel_spec s = {.type = CHANNEL_PUBLIC, .authority = vector_bytes(spec, "authority").ptr};
    if (strcmp(type, "public") == 0) {
        s.name = slice_text(vector_text(spec, "name"));
    } else if (strcmp(type, "private") == 0) {
        s.type = CHANNEL_PRIVATE;
        s.founder = vector_bytes(spec, "founder").ptr;
        s.nonce = vector_bytes(spec, "nonce").ptr;
    } else {
        s.type = CHANNEL_DIRECT;
        s.account = slice_text(vector_text(spec, "account"));
        s.other = slice_text(vector_text(spec, "other"));
    }
    return s;
}

static void channels_have_the_ids_of_their_specs(void **state)
{
    (void)state;
    const json_t *document = vectors_open("identity.json");
    uint8_t id[ID_BYTES];
    size_t i;
    json_t *item;
    json_array_foreach(vector_get(document, "channels"), i, item)
    {
        struct channel_spec spec = spec_of(item);
        assert_int_equal(channel_spec_id(crypto, &spec, id), OK);
        assert_bytes(slice_of(id, sizeof id), vector_bytes(item, "id"));
        if (spec.type != CHANNEL_PUBLIC) continue;
        channel_id(crypto, spec.authority, spec.name, id);
        assert_bytes(slice_of(id, sizeof id), vector_bytes(item, "id"));
    }
    json_array_foreach(vector_get(document, "bad_channels"), i, item)
    {
        struct channel_spec spec = spec_of(item);
        assert_int_equal(channel_spec_id(crypto, &spec, id), ERR_INVALID);
    }
}

static void published_noise_vector(const json_t *vector)
{
    struct noise sides[2];
    struct noise_cipher send[2], receive[2];
    size_t i;
    json_t *message;
    noise_init(&sides[0], crypto, true, vector_bytes(vector, "init_prologue"),
               vector_bytes(vector, "init_static").ptr, vector_bytes(vector, "init_ephemeral").ptr);
    noise_init(&sides[1], crypto, false, vector_bytes(vector, "resp_prologue"),
               vector_bytes(vector, "resp_static").ptr, vector_bytes(vector, "resp_ephemeral").ptr);

    json_array_foreach(vector_get(vector, "messages"), i, message)
    {
        uint8_t sealed[1024], plain[1024];
        struct writer w = writer_of(sealed, sizeof sealed);
        slice payload = vector_bytes(message, "payload"), ciphertext = vector_bytes(message, "ciphertext");
        size_t from = i % 2, plain_len = payload.len;
        if (i < 3) {
            assert_true(noise_writes_next(&sides[from]) && !noise_writes_next(&sides[1 - from]));
            assert_int_equal(noise_write(&sides[from], payload, &w), OK);
            assert_int_equal(noise_read(&sides[1 - from], ciphertext, plain, &plain_len), OK);
        } else {
            assert_int_equal(noise_encrypt(&send[from], crypto, payload, &w), OK);
            assert_int_equal(noise_decrypt(&receive[1 - from], crypto, ciphertext, plain), OK);
        }
        assert_bytes(writer_slice(&w), ciphertext);
        assert_bytes(slice_of(plain, plain_len), payload);
        for (int side = 0; i == 2 && side < 2; side++) {
            assert_true(noise_finished(&sides[side]));
            noise_split(&sides[side], &send[side], &receive[side]);
        }
    }
    if (json_object_get(vector, "handshake_hash"))
        assert_bytes(slice_of(sides[0].hash, HASH_LONG_BYTES), vector_bytes(vector, "handshake_hash"));
    assert_memory_equal(sides[0].hash, sides[1].hash, HASH_LONG_BYTES);
}

static void noise_speaks_as_published(void **state)
{
    (void)state;
    size_t i;
    json_t *vector, *vectors = vector_get(vectors_open("noise-published.json"), "vectors");
    json_array_foreach(vectors, i, vector) published_noise_vector(vector);
}

static void devices_and_proofs_are_derived_alike(void **state)
{
    (void)state;
    size_t i;
    json_t *item, *document = vectors_open("identity.json");
    json_array_foreach(vector_get(document, "devices"), i, item)
    {
        uint8_t key[KEY_BYTES];
        slice seed = vector_bytes(item, "seed");
        crypto->sign_public(crypto->context, key, seed.ptr);
        assert_bytes(slice_of(key, sizeof key), vector_bytes(item, "device"));
        identity_noise_secret(crypto, seed.ptr, key);
        assert_bytes(slice_of(key, sizeof key), vector_bytes(item, "noise_secret"));
        uint8_t public_key[KEY_BYTES];
        crypto->exchange_public(crypto->context, public_key, key);
        assert_bytes(slice_of(public_key, sizeof public_key), vector_bytes(item, "noise_public"));
    }
    json_array_foreach(vector_get(document, "hello"), i, item)
    {
        uint8_t joined[192], proof[SIGNATURE_BYTES];
        struct writer w = writer_of(joined, sizeof joined);
        writer_put(&w, vector_bytes(item, "nonce"));
        writer_put(&w, vector_bytes(item, "tracker"));
        writer_put(&w, slice_text(vector_text(item, "account")));
        identity_sign(crypto, vector_bytes(item, "seed").ptr, SLICE("weaprous.hello.1"), writer_slice(&w),
                      proof);
        assert_bytes(slice_of(proof, sizeof proof), vector_bytes(item, "proof"));
    }
}

static void certificates_are_read_alike(void **state)
{
    (void)state;
    size_t i;
    json_t *item, *document = vectors_open("identity.json");
    json_array_foreach(vector_get(document, "certificates"), i, item)
    {
        struct certificate c;
        assert_int_equal(certificate_parse(crypto, vector_bytes(item, "hex"), &c), OK);
        assert_bytes(c.account, slice_text(vector_text(item, "account")));
        assert_bytes(slice_of(c.device, ID_BYTES), vector_bytes(item, "device"));
        assert_bytes(slice_of(c.authority, ID_BYTES), vector_bytes(item, "authority"));
        assert_int_equal(c.issued_s, vector_number(item, "issued_s"));
        assert_int_equal(c.expires_s, vector_number(item, "expires_s"));
    }
    json_array_foreach(vector_get(document, "bad_certificates"), i, item)
    {
        struct certificate c;
        int rc = certificate_parse(crypto, vector_bytes(item, "hex"), &c);
        if (strcmp(err_name(rc), vector_text(item, "error")) != 0)
            fail_msg("%s: %s", vector_text(item, "name"), err_name(rc));
    }
}

static void certificates_are_written_alike(void **state)
{
    (void)state;
    uint8_t out[NODE_CERTIFICATE_BYTES_MAX];
    json_t *document = vectors_open("identity.json");
    json_t *tracker = json_array_get(vector_get(document, "devices"), 0);
    assert_string_equal(vector_text(tracker, "name"), "tracker");
    for (size_t i = 0; i < 2; i++) { /* the third is of a later version */
        json_t *item = json_array_get(vector_get(document, "certificates"), i);
        struct certificate c = {
            .account = slice_text(vector_text(item, "account")),
            .device = vector_bytes(item, "device").ptr,
            .authority = vector_bytes(item, "authority").ptr,
            .issued_s = vector_number(item, "issued_s"),
            .expires_s = vector_number(item, "expires_s"),
        };
        int len = certificate_write(crypto, &c, vector_bytes(tracker, "seed").ptr, out, sizeof out);
        assert_true(len > 0);
        assert_bytes(slice_of(out, (size_t)len), vector_bytes(item, "hex"));
        for (size_t room = 0; room < (size_t)len; room++)
            assert_int_equal(certificate_write(crypto, &c, vector_bytes(tracker, "seed").ptr, out, room),
                             ERR_FULL);
    }
}

static void hostile_signatures_get_the_written_verdict(void **state)
{
    (void)state;
    size_t i;
    json_t *item, *cases = vector_get(vectors_open("signature.json"), "cases");
    json_array_foreach(cases, i, item)
    {
        bool valid = crypto->verify(crypto->context, vector_bytes(item, "signature").ptr,
                                    vector_bytes(item, "key").ptr, vector_bytes(item, "message"));
        if (valid != json_is_true(vector_get(item, "valid")))
            fail_msg("%s: %d", vector_text(item, "name"), valid);
    }
}

int main(void)
{
    if (crypto_native_start() != OK) return 1;
    crypto = crypto_native();
    const struct CMUnitTest tests[] = {
        GOLDEN(cbor_is_read_strictly),
        GOLDEN(noise_speaks_as_published),
        GOLDEN(devices_and_proofs_are_derived_alike),
        GOLDEN(channels_have_the_ids_of_their_specs),
        GOLDEN(certificates_are_read_alike),
        GOLDEN(certificates_are_written_alike),
        GOLDEN(hostile_signatures_get_the_written_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
