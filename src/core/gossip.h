/* gossip.h - how a new entry spreads in a channel that is too large for its author to give it to everybody.
 *
 * Plumtree (Leitao, Pereira, Rodrigues 2007) on what sync has anyway. Each link of the channel is eager or
 * lazy. Over eager links an entry is pushed as soon as it is durable here; over lazy ones it is only
 * announced, by the have-vectors. Who gets an entry twice makes that link lazy (PRUNE), so that the eager
 * links become a tree; who has heard of an entry and does not get it soon asks for it (WANT) and makes that
 * link eager (GRAFT). A new link is lazy, unless this device has hardly any eager ones.
 *
 * In a small channel everybody is linked to everybody: authors push to all, and nothing of this applies.
 * Links to a replica are lazy, but an author gives it his own entries. */
#ifndef CORE_GOSSIP_H
#define CORE_GOSSIP_H

#include "core/node.h"

enum {
    GOSSIP_NEWS_MAX = 64, /* entries that wait to be pushed; for a slower link the rest is announced only */
    GOSSIP_MISSING_MAX = 32, /* announcements that are remembered until the entry comes */
    GOSSIP_START = 3,        /* eager links that a newcomer asks for */
    GOSSIP_EAGER_MAX = 10,   /* eager links; beyond, a GRAFT is answered with PRUNE */
};

struct node;
struct channel;
struct pipe;
struct share;
struct message;

struct news {
    uint32_t author, seq, from; /* from: serial of the pipe that brought it, 0 for an own one */
};
struct missing {
    uint32_t author, seq;  /* seq 0: none */
    uint32_t slot, serial; /* of the pipe over which it was announced first */
    usec since, due;       /* announced, and to be asked for */
};
struct gossip {
    struct news *news; /* a ring, NULL until it is needed */
    uint64_t news_end; /* how many there ever were */
    struct missing missing[GOSSIP_MISSING_MAX];
    uint32_t missing_next;
    uint32_t start; /* eager links to ask for, yet */
    usec graft_at;  /* no GRAFT on suspicion before */
    usec swap_at;   /* no GRAFT for speed before */
};

/* What a share remembers. */
struct gossip_link {
    bool eager;
    uint64_t news_at; /* the next of the news for this link */
    uint32_t brought; /* entries that came over it first, halved now and then */
    usec prune_at;    /* no PRUNE before */
    usec have_at;     /* no have-vector of others' entries before (replicas) */
};

void gossip_free(struct node *n, struct channel *c);
/* The channel became active on the link; or is not any more. */
void gossip_linked(struct node *n, struct pipe *p, struct channel *c, struct share *s);
void gossip_unlinked(struct node *n, struct channel *c, const struct share *s);
void gossip_message(struct node *n, struct pipe *p, const struct message *m);
/* An entry is durable: it goes to the eager links. */
void gossip_news(struct node *n, struct channel *c, uint32_t author, uint32_t seq);
/* An entry came over the link; known: it was here already. */
void gossip_entry(struct node *n, struct pipe *p, struct channel *c, uint32_t author, uint32_t seq,
                  bool known);
/* The other side says to hold more of this author than is here. */
void gossip_announced(struct node *n, struct pipe *p, struct channel *c, uint32_t author, uint32_t seq);
/* Until when to wait for an entry of this author that was announced, 0: it is not expected by itself. */
usec gossip_expected(const struct channel *c, uint32_t author);
/* A WANT goes over this link: what was expected did not come. */
void gossip_missed(struct node *n, struct pipe *p, struct channel *c, uint32_t author);
/* Whether own entries are pushed to this link. */
bool gossip_pushes_own(const struct channel *c, const struct pipe *p, const struct share *s);
/* The next entry of somebody else to push: false when there is none. */
bool gossip_next(const struct pipe *p, const struct channel *c, struct share *s, uint32_t *out_author,
                 uint32_t *out_seq);
bool gossip_has_next(const struct channel *c, const struct share *s);
/* When changes of the have-vector are told. */
usec gossip_have_at(struct node *n, const struct channel *c);
/* Whether this link is told yet, and of this author: who has announced it himself need not hear of it. */
bool gossip_tells(const struct node *n, const struct pipe *p, const struct channel *c, const struct share *s);
bool gossip_tells_of(const struct node *n, const struct pipe *p, const struct channel *c,
                     const struct share *s, uint32_t author);
void gossip_told(struct node *n, const struct pipe *p, const struct channel *c, struct share *s);
/* The channel has become a large one, or is not any more. */
void gossip_resized(struct node *n, struct channel *c);
void gossip_tick(struct node *n, uint32_t channel);

#endif
