/* signal.h - bytes for a device that is not linked, handed along by those who are: how two devices that know
 * of each other find a way (ICE and the like) while the tracker is away.
 *
 * A signal goes to its device when that is linked, else to the neighbour from whom the device was heard of,
 * else to a few neighbours by chance; every hand lowers its ttl. What was seen lately is not handed on again,
 * and no link may bring more than a few in a second.
 *
 * `from` is what the sender says. Nobody on the way can prove it, and neither can who gets the signal: the
 * bytes are a proposal, and only the handshake of the link that comes of it shows who is there. They are not
 * encrypted here either. */
#ifndef CORE_SIGNAL_H
#define CORE_SIGNAL_H

#include "core/node.h"

enum {
    SIGNAL_TTL = 5,
    SIGNAL_FAN = 3,         /* neighbours by chance; from ... */
    SIGNAL_FAN_ON = 1,      /* ... and on the way */
    SIGNAL_SEEN_MAX = 64,   /* that are remembered */
    SIGNAL_WAITING_MAX = 8, /* for the shell */
    SIGNAL_BURST = 24,      /* from one link at once */
};

struct pipe;
struct message;

struct signal {
    uint8_t device[ID_BYTES];
    uint8_t *bytes;
    uint32_t len;
};
struct signals {
    uint64_t seen[SIGNAL_SEEN_MAX];
    uint32_t seen_next;
    struct signal waiting[SIGNAL_WAITING_MAX];
    uint32_t waiting_head, waiting_len;
    struct signal shown; /* the last one that was given out */
};

void signals_free(struct node *n);
/* COMMAND_SIGNAL. ERR_INVALID (nothing, or to oneself), ERR_TOO_LARGE, ERR_NOT_FOUND (nobody is linked). */
int signal_send(struct node *n, const uint8_t *device, slice bytes) BASE_CHECKED;
void signal_receive(struct node *n, struct pipe *p, const struct message *m);
/* ACTION_SIGNAL. */
bool signal_next(struct node *n, struct action *out);

#endif
