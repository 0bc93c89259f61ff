/* link.h - one authenticated, encrypted pipe: preface, Noise handshake, frames. docs/protocol/wire.md,
 * "Link".
 *
 * Knows nothing of channels or of other links. Bytes in by link_next, bytes out by link_greet (handshake) and
 * link_seal (messages).
 * Rules: nothing is allocated while idle: the inbox exists only while a frame is half received, the handshake
 * state only until it is done. After an error of class PEER or LIMIT the link must be dropped. */
#ifndef CORE_LINK_H
#define CORE_LINK_H

#include "base/alloc.h"
#include "core/node.h"
#include "core/noise.h"

enum {
    LINK_PREFACE_BYTES = 5,
    LINK_MESSAGE_BYTES_MAX = 20 * 1024, /* plaintext of one frame */
    LINK_FRAME_BYTES_MAX = 2 + LINK_MESSAGE_BYTES_MAX + TAG_BYTES,
    LINK_VERSION = 1,
};

enum link_state {
    LINK_PREFACE,   /* the other side's five bytes are not complete */
    LINK_HANDSHAKE, /* Noise messages */
    LINK_OPEN,
};

/* What this side says of itself in the handshake. */
struct link_self {
    const uint8_t *device;
    const uint8_t *seed; /* signs the Noise key; secret */
    enum node_role role;
    slice certificate;
};

struct link {
    const struct allocator *allocator;
    const struct crypto *crypto;
    enum link_state state;
    bool initiator;
    bool preface_sent;
    /* The last byte of the preface, ours and theirs: the oldest version that is spoken in the low half, how
     * many newer ones in the high half. */
    uint8_t versions, their_versions;
    struct noise *noise; /* until LINK_OPEN */
    struct noise_cipher send, receive;
    uint8_t session[16]; /* both sides have the same, each link another: of the handshake's hash */
    uint8_t *inbox;      /* as long as the frame that is half here; else NULL */
    size_t inbox_len, inbox_cap;

    /* The other side, valid in LINK_OPEN. */
    uint8_t device[ID_BYTES];
    enum node_role role;
    uint8_t *certificate; /* as sent; NULL when empty */
    size_t certificate_len;
};

/* noise_secret, ephemeral: X25519 secrets, copied. ERR_MEMORY. */
int link_init(struct link *l, const struct allocator *allocator, const struct crypto *crypto, bool initiator,
              slice binding, const uint8_t noise_secret[KEY_BYTES],
              const uint8_t ephemeral[KEY_BYTES]) BASE_CHECKED;
void link_deinit(struct link *l);

/* True when link_greet would write something. */
bool link_greets(const struct link *l);
/* Appends what the preface and handshake want to say now; at most 2 KiB. ERR_FULL. */
int link_greet(struct link *l, const struct link_self *self, struct writer *out) BASE_CHECKED;

/* Takes bytes off *rest until one message is whole. OK: *out_message is its plaintext in `scratch` (room for
 * LINK_FRAME_BYTES_MAX), or empty when the handshake moved on (look at link_greets and state). ERR_AGAIN:
 * everything was consumed, no message yet. ERR_VERSION, ERR_MALFORMED, ERR_TOO_LARGE, ERR_AUTH,
 * ERR_SIGNATURE, ERR_MEMORY: drop the link. */
int link_next(struct link *l, slice *rest, uint8_t *scratch, slice *out_message) BASE_CHECKED;

/* Appends one frame with this message (LINK_OPEN only). ERR_FULL when it does not fit. */
int link_seal(struct link *l, slice message, struct writer *out) BASE_CHECKED;

#endif
