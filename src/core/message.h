/* message.h - the messages between two open links. docs/protocol/wire.md, "Messages".
 * Writers append to a struct writer and fail stickily; the parser borrows the plaintext. */
#ifndef CORE_MESSAGE_H
#define CORE_MESSAGE_H

#include "base/cbor.h"
#include "core/node.h"

enum message_kind {
    MESSAGE_CLOSE = 0,
    MESSAGE_PING = 1,
    MESSAGE_PONG = 2,
    MESSAGE_CARRY = 3,
    MESSAGE_HAVE = 4,
    MESSAGE_WANT = 5,
    MESSAGE_ENTRY = 6,
    MESSAGE_HOLD = 7,   /* what is held beside the vector: the newest, before a gap is filled */
    MESSAGE_DIGEST = 8, /* of a large have-vector, by buckets */
    MESSAGE_RECENT = 9, /* the newest entries of a channel are wanted */
    MESSAGE_RECENT_END = 10,
    MESSAGE_RECEIPT = 11,   /* a signed acknowledgement on its way to an author who is not linked */
    MESSAGE_INTRODUCE = 12, /* the spec of a sealed channel that the other side may take part in */
    MESSAGE_PRUNE = 13,     /* push nothing of others over this link: it came another way before */
    MESSAGE_GRAFT = 14,     /* push again */
    MESSAGE_SHUFFLE = 15,   /* some devices of a channel, to be remembered */
    MESSAGE_SIGNAL = 16,    /* bytes for a device, handed on */
    MESSAGE_FILE_ASK = 20,  /* what do you have of this file? */
    MESSAGE_FILE_HAVE = 21,
    MESSAGE_FILE_WANT = 22,
    MESSAGE_FILE_DATA = 23,
    MESSAGE_FILE_STOP = 24,
};

enum { HAVE_FIRST = 1, HAVE_LAST = 2 };
enum { DIGEST_BUCKETS = 256, DIGEST_BYTES = 8 * DIGEST_BUCKETS };

enum {
    MESSAGE_TEXT_BYTES_MAX = 200,
    MESSAGE_WANT_COUNT_MAX = 256,
    MESSAGE_HAVE_PAIRS_MAX = 400, /* in one piece: 400 x 40 bytes, within the frame */
    MESSAGE_HOLD_SPANS_MAX = 400, /* 400 x 44 bytes */
    MESSAGE_RECENT_COUNT_MAX = 4096,
    MESSAGE_DEVICES_MAX = 64, /* in a SHUFFLE */
    MESSAGE_TTL_MAX = 8,
};

struct message {
    uint64_t kind;              /* of enum message_kind, or one we do not know */
    uint64_t stamp;             /* PING, PONG; SIGNAL: its serial */
    uint64_t code;              /* CLOSE */
    slice text;                 /* CLOSE */
    const uint8_t *channel;     /* CARRY, HAVE, WANT */
    bool on;                    /* CARRY */
    uint64_t flags;             /* HAVE */
    struct cbor_reader pairs;   /* HAVE: read with message_next_pair */
    uint64_t pairs_left;        /* HAVE */
    const uint8_t *author;      /* WANT, RECEIPT */
    uint32_t from, count;       /* WANT; RECENT: count; RECEIPT: from */
    bool down;                  /* WANT: the last one first */
    uint64_t before_ms;         /* RECENT; RECENT_END: the place of the oldest */
    bool more;                  /* RECENT_END: there is more */
    slice digest;               /* DIGEST: DIGEST_BYTES */
    uint32_t upto;              /* RECEIPT */
    uint64_t time_ms;           /* RECEIPT */
    const uint8_t *signature;   /* RECEIPT */
    slice wire;                 /* ENTRY, INTRODUCE: the proof, SIGNAL */
    const uint8_t *to, *device; /* SIGNAL: for whom, and from whom, as it says; RECEIPT: who signed */
    uint32_t ttl;               /* SIGNAL */
    uint32_t links;             /* CARRY: to persons, that the sender has in the channel */
    slice spec, certificate;    /* INTRODUCE */
};

/* ERR_MALFORMED. Unknown kinds are OK, with only `kind` set. The pairs of a HAVE are checked too. */
int message_parse(slice plain, struct message *out) BASE_CHECKED;
/* The next (author, seq) of a HAVE, false after the last. */
bool message_next_pair(struct message *have, const uint8_t **out_author, uint32_t *out_seq);

/* The next (author, low, high) of a HOLD, false after the last. */
bool message_next_span(struct message *hold, const uint8_t **out_author, uint32_t *out_low,
                       uint32_t *out_high);
/* The next device of a SHUFFLE, false after the last. */
bool message_next_device(struct message *shuffle, const uint8_t **out_device);

void message_write_close(struct writer *w, uint64_t code, slice text);
void message_write_stamp(struct writer *w, enum message_kind kind, uint64_t stamp);
void message_write_carry(struct writer *w, const uint8_t *channel, bool on, uint32_t links);
/* The head of a HAVE; `pairs` times author and seq follow. */
void message_write_have(struct writer *w, const uint8_t *channel, uint64_t flags, uint64_t pairs);
void message_write_pair(struct writer *w, const uint8_t *author, uint32_t seq);
void message_write_want(struct writer *w, const uint8_t *channel, const uint8_t *author, uint32_t from,
                        uint32_t count);
/* ... the last one first. */
void message_write_want_down(struct writer *w, const uint8_t *channel, const uint8_t *author, uint32_t from,
                             uint32_t count);
/* The head of a HOLD; `spans` times author, low and high follow. */
void message_write_hold(struct writer *w, const uint8_t *channel, uint64_t spans);
void message_write_span(struct writer *w, const uint8_t *author, uint32_t low, uint32_t high);
void message_write_digest(struct writer *w, const uint8_t *channel, slice digest);
void message_write_recent(struct writer *w, const uint8_t *channel, uint64_t before_ms, uint32_t count);
void message_write_recent_end(struct writer *w, const uint8_t *channel, uint64_t oldest_ms, bool more);
/* channel, author, from, upto, time_ms, device and signature are read. */
void message_write_receipt(struct writer *w, const struct message *receipt);
void message_write_entry(struct writer *w, slice wire);
/* PRUNE or GRAFT. */
void message_write_push(struct writer *w, enum message_kind kind, const uint8_t *channel);
void message_write_shuffle(struct writer *w, const uint8_t *channel, const uint8_t *const *devices,
                           uint32_t devices_len, bool asks);
void message_write_signal(struct writer *w, const uint8_t *to, const uint8_t *from, uint32_t ttl, slice bytes,
                          uint64_t serial);
void message_write_introduce(struct writer *w, slice spec, slice certificate, slice proof);

#endif
