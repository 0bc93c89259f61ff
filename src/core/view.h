/* view.h - whom of a channel this device is linked to, and whom it could link to.
 *
 * Up to VIEW_SMALL members everybody links to everybody. In a larger channel a device keeps a few links (its
 * active view: the members of struct channel) and remembers a bounded number of other members (its passive
 * view: `known`), from which lost links are made good without a tracker; the neighbours tell each other of
 * some of theirs now and then (SHUFFLE). The idea is HyParView's (Leitao, Pereira, Rodrigues 2007); the
 * limits and times are ours, chosen by simulation.
 *
 * What a neighbour says in a SHUFFLE is hearsay: it may push out other hearsay, but nothing that the tracker
 * has said, and a device that cannot be reached is forgotten soon. */
#ifndef CORE_VIEW_H
#define CORE_VIEW_H

#include "base/err.h"
#include "core/node.h"

enum {
    VIEW_SMALL = 16,        /* members online, oneself included */
    VIEW_SMALL_AGAIN = 12,  /* a large channel is a small one again when so many are left */
    VIEW_DEGREE = 8,        /* links to persons that are striven for in a larger channel */
    VIEW_KNOWN_MAX = 96,    /* others that are remembered, for one channel */
    VIEW_DIALS_MAX = 4,     /* under way at one time, for one larger channel */
    VIEW_SHUFFLE_IDS = 8,   /* in one SHUFFLE */
    VIEW_FAILURES_MAX = 2,  /* then it is forgotten, unless the tracker says that it is there */
    VIEW_NEED_LINKS = 2,    /* who has fewer links in a channel is taken in by a full device, too */
    CHANNEL_LINKS_MAX = 32, /* defaults of node_config */
    LINKS_MAX = 64,
};

struct node;
struct channel;
struct pipe;
struct peer;
struct message;

/* Somebody of the channel who is not linked. */
struct acquaintance {
    uint8_t device[ID_BYTES];
    bool online;              /* the tracker says so */
    uint8_t failures;         /* in a row */
    uint32_t via, via_serial; /* slot and serial of the pipe that it was learnt from; NONE */
    usec pause_until;
};

struct view {
    struct acquaintance *known;
    uint32_t len, cap;
    bool large;
    usec shuffle_at; /* 0: not planned */
};

void view_free(struct node *n, struct channel *c);
/* True when the channel has more members online than can all be linked to each other. */
bool view_large(const struct channel *c);
/* This device is a member of the channel, and perhaps online. via: who says so, or NULL for the tracker. */
void view_learn(struct node *n, struct channel *c, const uint8_t *device, const struct pipe *via);
/* The tracker says that the device is there (in all channels where it has written), or is gone. */
void view_online(struct node *n, const uint8_t *device);
void view_offline(struct node *n, const uint8_t *device);
/* An author whom we did not know: he may be online. */
void view_author(struct node *n, struct channel *c, const uint8_t *device);
/* The channel became active on the link, or is not any more. The pipe may be closed by view_linked: a full
 * device takes in a newcomer who needs it, and lets another link go. */
void view_linked(struct node *n, struct pipe *p, struct channel *c);
void view_unlinked(struct node *n, struct pipe *p, struct channel *c);
/* The device could not be reached. */
void view_failed(struct node *n, const uint8_t *device);
/* A link to a person was opened: too many of them? May close `p` or another one. */
void view_opened(struct node *n, struct pipe *p);
/* Plan again soon: all channels. */
void view_soon(struct node *n);
void view_on_shuffle(struct node *n, struct pipe *p, const struct message *m);
/* The pipe over which a device of some channel was heard of, or NULL. */
struct pipe *view_via(struct node *n, const uint8_t *device);
void view_tick(struct node *n, uint32_t channel);

#endif
