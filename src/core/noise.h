/* noise.h - the handshake Noise_XX_25519_ChaChaPoly_BLAKE2b and the ciphers that come out of it.
 *
 * Source: The Noise Protocol Framework, revision 34, sections 4, 5, 7.5 (pattern XX) and 12. Checked against
 * the published vectors in tests/golden/. Keys enter as arguments, so it has no randomness of its own.
 * Rules: no allocation; after an error the state must be dropped; noise_deinit wipes it. */
#ifndef CORE_NOISE_H
#define CORE_NOISE_H

#include "base/buffer.h"
#include "core/crypto.h"

#define NOISE_MESSAGE_BYTES_MAX 65535

struct noise_cipher {
    uint8_t key[KEY_BYTES];
    uint64_t counter;
};

struct noise {
    const struct crypto *crypto;
    bool initiator;
    int step; /* messages done so far, 0 to 3 */
    bool has_key;
    uint8_t chaining_key[HASH_LONG_BYTES], hash[HASH_LONG_BYTES];
    struct noise_cipher cipher;
    uint8_t static_secret[KEY_BYTES], static_public[KEY_BYTES];
    uint8_t ephemeral_secret[KEY_BYTES], ephemeral_public[KEY_BYTES];
    uint8_t remote_static[KEY_BYTES], remote_ephemeral[KEY_BYTES];
};

void noise_init(struct noise *n, const struct crypto *crypto, bool initiator, slice prologue,
                const uint8_t static_secret[KEY_BYTES], const uint8_t ephemeral_secret[KEY_BYTES]);
void noise_deinit(struct noise *n);

/* True when the next message is ours to write. */
bool noise_writes_next(const struct noise *n);
bool noise_finished(const struct noise *n);
/* Appends the next handshake message with the payload. ERR_WRONG_STATE (not our turn), ERR_FULL. */
int noise_write(struct noise *n, slice payload, struct writer *out) BASE_CHECKED;
/* Reads the next handshake message; out_payload has room for message.len bytes.
 * ERR_WRONG_STATE, ERR_MALFORMED (too short), ERR_AUTH (a tag or key is wrong). */
int noise_read(struct noise *n, slice message, uint8_t *out_payload, size_t *out_len) BASE_CHECKED;
/* After the last message: the two transport ciphers. */
void noise_split(const struct noise *n, struct noise_cipher *out_send, struct noise_cipher *out_receive);

/* Transport messages. encrypt writes plain.len + TAG_BYTES bytes; decrypt writes sealed.len - TAG_BYTES. A
 * counter that is used up (2^64 - 1) is an error, never a repeat. ERR_LIMIT class: ERR_FULL; ERR_AUTH. */
int noise_encrypt(struct noise_cipher *c, const struct crypto *crypto, slice plain,
                  struct writer *out) BASE_CHECKED;
int noise_decrypt(struct noise_cipher *c, const struct crypto *crypto, slice sealed,
                  uint8_t *out) BASE_CHECKED;

#endif
