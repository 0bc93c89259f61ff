/* hostile.h - one link of a device that breaks the rules, shared by hostile.c and lies.c. */
#ifndef SIM_HOSTILE_H
#define SIM_HOSTILE_H

#include "sim.h"

#include "core/link.h"

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
};

struct line {
    struct dice *dice; /* the device's */
    uint32_t number, pipe, device;
    uint8_t side;
    enum manner manner;
    struct link link;
    bool live, broken, carried;
    uint32_t fork_sent;
};

/* Seals and sends one message; flips a bit of the frame when that is the manner. */
void hostile_say(struct sim *sim, struct line *line, const struct writer *message);
/* One lie. */
void lie(struct sim *sim, struct line *line);
/* A message of any kind, well formed as CBOR. */
void shapes(struct sim *sim, struct line *line);

#endif
