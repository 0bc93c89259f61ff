/* limits.h - how much one link may ask of this device, and for how long a device that asked for more is left
 * outside.
 *
 * What is wanted of the other side (entries, pieces of files) is bounded by what was asked for. The rest is
 * bounded here: small messages by number and bytes, those whose signature has to be checked, entries that
 * bring nothing, and oddities. The allowances are many times what an honest device needs at its worst (a
 * newcomer to thousands of channels at once); one that is exceeded closes the link, in words, and the device
 * is not let in again for a while, each time twice as long. docs/protocol/wire.md, "Limits". */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#include "core/node.h"

struct pipe;

/* A token bucket: when it would be full again, if nothing more came. Zeroed: full. */
struct allowance {
    usec full_at;
};

/* Of one link. */
struct limits {
    struct allowance messages, bytes, costly, useless, odd;
};

enum { BANS_MAX = 64 };

/* Devices that are left outside, the last ones. */
struct bans {
    struct ban {
        uint8_t device[ID_BYTES];
        usec until, pause; /* pause 0: free */
    } bans[BANS_MAX];
};

/* A message of this kind and length came. False when it is too much: the link is being closed. */
bool limits_message(struct node *n, struct pipe *p, uint64_t kind, size_t len);
/* An entry came that is here already or does not fit; may close the link. */
void limits_useless(struct node *n, struct pipe *p, size_t len);
/* Something odd but harmless; false when it is one oddity too many. */
bool limits_odd(struct node *n, struct pipe *p);
/* The device at the other end of this link is not let in for a while. */
void limits_ban(struct node *n, const struct pipe *p);
bool limits_banned(const struct node *n, const uint8_t *device);

#endif
