/* seal.h - what is said in sealed channels, for members only. docs/protocol/wire.md, "Sealed bodies", "Keys".
 *
 * Nobody coordinates. Who is about to write takes the newest epoch that he has and that is still good: young
 * enough, made with knowledge of every removal that he knows of, and given to nobody who has left. If there
 * is none he makes one, and gives it to all devices of members first, in the same call. Devices that join
 * later are given what they lack: by another device of their account at once, else by somebody after a short
 * random pause, so that one does it and not all. */
#ifndef CORE_SEAL_H
#define CORE_SEAL_H

#include "core/entry.h"
#include "core/keyring.h"

enum {
    /* [epoch id, nonce, ciphertext]: 1 + 17 + 26 + 3 bytes, and the tag */
    SEAL_OVERHEAD_BYTES = 64,
    SEAL_BODY_BYTES_MAX = NODE_BODY_BYTES_MAX - SEAL_OVERHEAD_BYTES,
};

/* Whether bodies of this kind are sealed in this channel. */
bool seal_covers(const struct channel *c, uint32_t kind);
/* A key to write with is here, and everybody who should has it; KEY entries are written as needed.
 * ERR_DENIED (not a member), and all errors of feed_append. */
int seal_ready(struct node *n, struct channel *c) BASE_CHECKED;
/* Replaces entry->body by its sealed form in `room` (NODE_BODY_BYTES_MAX). ERR_TOO_LARGE; ERR_WRONG_STATE
 * without seal_ready. */
int seal_entry(struct node *n, const struct channel *c, struct entry *entry, uint8_t *room) BASE_CHECKED;
/* The body of a sealed entry, in n->desk until the next one. False when the key is not here, or the entry is
 * not what was sealed. */
bool seal_open(struct node *n, const struct channel *c, const struct entry *e, slice *out_body);

/* A short text inside a clear entry (the line of a request): sealed for members, bound to its author.
 * Form as that of a body. seal_ready first. ERR_FULL, ERR_WRONG_STATE. */
int seal_line(struct node *n, const struct channel *c, slice line, struct writer *out) BASE_CHECKED;
/* room: as long as `sealed`. False as in seal_open. */
bool seal_open_line(const struct node *n, const struct channel *c, const uint8_t *author, slice sealed,
                    uint8_t *room, slice *out_line);

/* An entry is part of its feed; as member_learn. */
int seal_learn(struct node *n, struct channel *c, const struct entry *e) BASE_CHECKED;
/* The records are through. */
void seal_restored(struct node *n);
/* Somebody may lack keys: it is looked into soon. */
void seal_review(struct node *n, struct channel *c);
void seal_tick(struct node *n, uint32_t channel);

/* COMMAND_DEVICE: remembered, and given keys in the channels of its account. ERR_MALFORMED, ERR_SIGNATURE,
 * ERR_DENIED (out of date), ERR_FULL, ERR_MEMORY. */
int seal_device(struct node *n, slice certificate) BASE_CHECKED;
/* The devices that were named so may concern this channel: it is new, or somebody was added. */
int seal_known(struct node *n, struct channel *c) BASE_CHECKED;
void seal_free_known(struct node *n);

#endif
