/* peer.h - a device in a test that says exactly what the test tells it to, over a real link to a real node.
 */
#ifndef GOLDEN_PEER_H
#define GOLDEN_PEER_H

#include "core/link.h"
#include "core/node.h"

struct peer {
    struct node *node; /* the one at the other end; the test's */
    const struct crypto *crypto;
    usec now;
    uint32_t number; /* of the link in the node */
    uint8_t device[ID_BYTES];
    const uint8_t *seed;
    slice certificate;
    struct link link;
    /* What the node asked its shell for since the last look. */
    uint8_t stored_id[ID_BYTES]; /* of the last entry to be stored */
    unsigned stores, delivers, warnings;
    bool closed;
    int close_result;
    /* Gets every action before it is carried out, or NULL; to be set after peer_open. */
    void (*watch)(void *context, const struct action *action);
    /* Gets every message that the node says, or NULL. */
    void (*hear)(void *context, slice message);
    void *context;
};

/* Opens a direct link as initiator and shakes hands; `seed` and `certificate` are borrowed. */
void peer_open(struct peer *p, struct node *node, const struct crypto *crypto, uint32_t number,
               const uint8_t seed[KEY_BYTES], slice certificate, usec now);
void peer_close(struct peer *p);
/* Sends one message; the node's answers are read and dropped. False when the link is closed. */
bool peer_say(struct peer *p, slice message);
/* As above, CARRY 1 for the channel. */
bool peer_carry(struct peer *p, const uint8_t channel[ID_BYTES]);
/* As above, one entry in wire form. */
bool peer_entry(struct peer *p, slice wire);
/* Carries out what the node wants: every STORE succeeds at once. */
void peer_pump(struct peer *p);

#endif
