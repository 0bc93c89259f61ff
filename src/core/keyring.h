/* keyring.h - the epochs of a sealed channel: their keys, who has been given them, and KEY entries.
 * docs/protocol/wire.md, "Keys".
 *
 * An epoch is a random key. Its id follows from the key and from what is said about it, so one id means one
 * thing to everybody who has the key. KEY entries give it to devices, each in a box that only this device can
 * open. Boxes follow from the key and a salt in the entry: whoever has the key sees whether a box is good,
 * and a device that was given a bad one counts as not given (recheck.h). So a member cannot keep a key from
 * another by pretending to hand it on.
 *
 * Memory: keys stand in blocks of their own that never move, and are wiped before they are freed. */
#ifndef CORE_KEYRING_H
#define CORE_KEYRING_H

#include "base/map.h"
#include "core/entry.h"
#include "core/node.h"

struct node;
struct channel;

enum {
    EPOCH_ID_BYTES = 16,
    EPOCH_SALT_BYTES = 16,
    EPOCH_BOX_BYTES = KEY_BYTES + TAG_BYTES,
    EPOCHS_MAX = 4096,          /* of one channel */
    EPOCHS_ACCOUNT_MAX = 1024,  /* of them: heard of first from devices of one other account */
    HANDINGS_MAX = 1024 * 1024, /* KEY entries that are remembered */
    HOLDERS_MAX = 2 * NODE_AUTHORS_MAX,
    HOLDERS_UNKNOWN_MAX = 4096, /* of them: named in KEY entries, and not known as anybody's */
};

/* Number and roster are the larger the newer; both only grow along what a device has seen. */
struct epoch {
    uint8_t id[EPOCH_ID_BYTES];
    bool open; /* the key is here */
    uint8_t key[KEY_BYTES];
    uint32_t number;
    uint32_t roster; /* the roster's number that its maker knew */
    uint64_t created_ms;
    uint32_t index;
    uint32_t maker; /* author of the KEY entry that it was heard of by first; NONE: made here */
    uint8_t *given; /* bits by holder: the sum of the handings that count */
    uint32_t given_cap;
};

/* What one KEY entry has given. It counts as long as the entry does: one that was withdrawn is not with all.
 */
struct handing {
    uint8_t author[ID_BYTES];
    uint32_t seq, epoch;
    uint32_t *holders; /* a list, for it must not take more room than the entry does */
    uint32_t holders_len, holders_cap;
    bool believed; /* its boxes were not looked at: the key is not here, or it has come back from the disk */
};

/* A device that may be given keys, or was. */
struct holder {
    uint8_t device[ID_BYTES];
    uint32_t author;      /* where it was last found, or NONE */
    uint8_t *certificate; /* of one that has not joined, or NULL */
    uint16_t certificate_len;
    slice account; /* in it */
    bool unknown;  /* named in KEY entries only */
    bool deaf;     /* no box can be made for it */
    usec hand_at;  /* when keys that it lacks are given to it; 0: it lacks none */
};

struct keyring {
    struct epoch **epochs; /* in the order in which they were heard of */
    uint32_t epochs_len, epochs_cap;
    struct map by_id;
    struct handing *handings;
    uint32_t handings_len, handings_cap;
    struct map by_entry; /* handings by author and seq */
    uint32_t believed;   /* of them; recheck.c looks at them */
    uint32_t recheck_next;
    usec recheck_at;
    usec looked_until; /* the time that was spent on boxes of entries that came is used up to here */
    bool rechecking;   /* one is being read */
    bool recount;      /* false boxes were found */
    struct holder *holders;
    uint32_t holders_len, holders_cap, unknown;
    struct map by_device;
    bool review; /* somebody may lack keys */
};

int keyring_new(struct node *n, struct keyring **out) BASE_CHECKED;
void keyring_free(struct node *n, struct keyring *ring);

struct epoch *keyring_epoch(const struct keyring *ring, const uint8_t id[EPOCH_ID_BYTES]);
/* An epoch with a new key, of the next number, given to nobody. ERR_FULL, ERR_MEMORY. */
int keyring_make(struct node *n, struct channel *c, struct epoch **out) BASE_CHECKED;
/* The largest number of an epoch whose key is here. */
uint32_t keyring_number(const struct keyring *ring);

/* The holder of this device; a new one when there is none. ERR_FULL, ERR_MEMORY. */
int keyring_holder(struct node *n, struct keyring *ring, const uint8_t *device,
                   uint32_t *out_holder) BASE_CHECKED;
/* The device has joined. ERR_MEMORY. */
int keyring_joined(struct node *n, struct keyring *ring, const uint8_t *device) BASE_CHECKED;
/* Its certificate is known: it may be given keys before it has joined. A false one is left out. */
int keyring_certified(struct node *n, struct channel *c, slice certificate) BASE_CHECKED;
/* Whether a box can be made for it at all: ids of devices are what others say they are. */
bool keyring_hears(const struct node *n, struct holder *h);
bool epoch_given(const struct epoch *e, uint32_t holder);
/* Members came or went: which handings count is looked at anew. ERR_MEMORY: too little counts as given. */
int keyring_recount(struct node *n, struct channel *c) BASE_CHECKED;

/* A KEY entry is part of its feed, by being new or coming back from the disk. What it says of others is
 * looked at when it is new and its key is here; else it is believed for now. *out_opened: a key came that was
 * not here. ERR_MEMORY. */
int keyring_learn(struct node *n, struct channel *c, const struct entry *e, bool *out_opened) BASE_CHECKED;

/* The handing of this KEY entry, or NULL. */
struct handing *keyring_handing(const struct keyring *ring, const uint8_t *author, uint32_t seq);
/* Looks at the boxes of an entry that was believed; body: of the entry. *out_boxes: how many there were.
 * ERR_MEMORY: it is still believed. */
int keyring_check(struct node *n, struct channel *c, struct handing *h, slice body,
                  uint64_t *out_boxes) BASE_CHECKED;

/* The body of a KEY entry that gives the epoch to as many of the holders as find room, from *at on. */
void keyring_write(struct node *n, const struct channel *c, const struct epoch *e, const uint32_t *holders,
                   uint32_t holders_len, uint32_t *at, struct writer *w);

#endif
