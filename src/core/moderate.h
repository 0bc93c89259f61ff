/* moderate.h - what moderators decide about a channel: MODERATE entries of the authority's device, which
 * everybody obeys. docs/protocol/wire.md, "Moderation".
 *
 * Only entries by the device of the channel's authority count; who may decide what is the tracker's affair.
 * All follow one order, that of its feed, so what holds follows from the set of entries, whatever came first:
 *
 *   bans     of an account the latest BAN or UNBAN. A banned account's entries count up to the cuts, as those
 *            of a member who was removed (public channels; in sealed ones MEMBER does that).
 *   hidden   what persons wrote is shown unless the latest of the HIDE, MUTE, SHOW and UNMUTE that name it
 *            says otherwise: by account and time, or by author and seq. Entries stay in their feeds and are
 *            handed on; they are shown empty.
 *   the rest of slow mode, roles and the end of a channel an honest device obeys when it writes.
 *
 * Slow mode hides nothing: what is too fast depends on entries that another device may not have yet. */
#ifndef CORE_MODERATE_H
#define CORE_MODERATE_H

#include "base/cbor.h"
#include "core/entry.h"
#include "core/node.h"

struct channel;
struct node;

enum {
    MODERATE_RULES_MAX = 4096, /* bans, roles and windows of one channel, of each: the newest stay */
    MODERATE_CUTS_MAX = 256,   /* devices named in one BAN */
};

/* A MODERATE entry's body: [act, by, account, from_ms, until_ms, number, text, [device, seq, ...]]. */
struct moderate_body {
    uint64_t act; /* of enum moderate_act, or one we do not know */
    slice by, account, text;
    uint64_t from_ms, until_ms, number;
    struct cbor_reader pairs; /* device, seq, device, seq ... */
    uint64_t pairs_left;
};
/* ERR_MALFORMED. */
int moderate_parse(slice body, struct moderate_body *out) BASE_CHECKED;

struct moderation;
void moderation_free(struct node *n, struct moderation *m);

/* An entry of this kind is part of its feed, and stored. ERR_MEMORY. */
int moderate_learn(struct node *n, struct channel *c, const struct entry *e) BASE_CHECKED;

bool moderate_banned(const struct channel *c, slice account);
/* Up to which seq entries of this device count; UINT32_MAX: no limit. */
uint32_t moderate_limit(const struct channel *c, slice account, const uint8_t *device);
/* Whether the entry is not to be shown. */
bool moderate_hides(const struct channel *c, slice account, const uint8_t *device, uint32_t kind,
                    uint32_t seq, uint64_t time_ms);
/* Whether this device may write something now: ERR_DENIED (muted, or the channel is closed), ERR_AGAIN (slow
 * mode: later). */
int moderate_may_write(const struct node *n, const struct channel *c) BASE_CHECKED;

/* COMMAND_MODERATE. */
int moderate_command(struct node *n, const struct command *command, uint64_t *out_token) BASE_CHECKED;

#endif
