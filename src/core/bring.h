/* bring.h - entries that come without a link: the shell hands them in. Private to src/core. */
#ifndef CORE_BRING_H
#define CORE_BRING_H

#include "core/state.h"

/* Who hands an entry over; token: of the command, for its DELIVER, or 0. */
struct bearer {
    enum path path;
    const uint8_t *device;
    uint64_t token;
};

/* feed.c. OK also when it was not taken: it is here, out of order, a fork, or by nobody who counts. */
int feed_take(struct node *n, uint32_t channel, slice wire, const struct bearer *from) BASE_CHECKED;

/* This node is the replica of the channel's authority, and writes there what only that may. */
bool authority_is_here(const struct node *n, const struct channel *c);
/* Writes its next entry, after a JOIN when that is missing. token: for the DELIVER. ERR_WRONG_STATE (no
 * certificate yet, or others hold more of its feed), and what feed_take says. */
int authority_append(struct node *n, struct channel *c, uint32_t kind, slice body,
                     uint64_t *out_token) BASE_CHECKED;

/* COMMAND_BRING. */
int bring_entry(struct node *n, const struct command *command, uint64_t *out_token) BASE_CHECKED;

#endif
