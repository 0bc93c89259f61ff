/* hostile.h - a device that breaks the rules and one link of it, shared by hostile.c, insider.c and lies.c.
 */
#ifndef SIM_HOSTILE_H
#define SIM_HOSTILE_H

#include "sim.h"

#include "core/link.h"
#include "core/message.h"

enum manner {
    MANNER_GARBAGE,  /* random bytes instead of a preface */
    MANNER_VERSION,  /* another version */
    MANNER_HALF,     /* begins a handshake and falls silent */
    MANNER_NAMELESS, /* no certificate, or one that is false */
    MANNER_OVERSIZED,
    MANNER_FLIP,   /* well-formed frames with a bit flipped */
    MANNER_NOISE,  /* sealed messages of random bytes */
    MANNER_FLOOD,  /* PINGs, HAVEs and WANTs without end */
    MANNER_LIES,   /* claims what it does not have, and what does not exist; see lies.c */
    MANNER_SHAPES, /* messages of any kind with random fields of the right sorts */
    MANNER_FORGE,  /* others' entries, altered */
    MANNER_FORK,   /* two logs under one name */
    MANNER_REPLAY,
    MANNER_MUTE, /* opens, carries, and does not answer */
    MANNER_COUNT,
    MANNER_INSIDER = MANNER_COUNT, /* of those who were let into a private channel; see insider.c */
};

struct line {
    struct dice *dice; /* the device's */
    uint32_t number, pipe, device;
    uint8_t side;
    enum manner manner;
    struct link link;
    bool live, broken, carried;
    bool trusted; /* the other end carries the private channel for it */
    uint32_t fork_sent;
};

enum { INSIDER_ENTRIES_MAX = 8, INSIDER_WIRE_BYTES = 1024 };

/* What it keeps of the private channel that it was let into: its own feed, the last epoch that it heard of.
 */
struct insider {
    uint8_t wire[INSIDER_ENTRIES_MAX][INSIDER_WIRE_BYTES];
    size_t wire_len[INSIDER_ENTRIES_MAX];
    uint32_t len;
    uint8_t tip[ID_BYTES];
    uint64_t tip_ms;
    bool knows_epoch;
    uint8_t epoch[16];
    uint64_t number, roster, created_ms;
};

/* The sealed channel that the device was, or will be, let into; UINT32_MAX: none. */
uint32_t insider_channel(const struct sim *sim, const struct device *d);
/* A message came over one of its links. */
void insider_hears(struct sim *sim, struct device *d, struct line *line, struct insider *own,
                   const struct message *m);
/* Says something about its private channel, if it is in one. */
void insider_act(struct sim *sim, struct device *d, struct line *line, struct insider *own);

/* Seals and sends one message; flips a bit of the frame when that is the manner. */
void hostile_say(struct sim *sim, struct line *line, const struct writer *message);
/* One lie. */
void lie(struct sim *sim, struct line *line);
/* A message of any kind, well formed as CBOR. */
void shapes(struct sim *sim, struct line *line);

#endif
