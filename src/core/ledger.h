/* ledger.h - who of a channel holds how much of what this device has written.
 *
 * Of a linked device that is what its HAVEs and HOLDs say. A device that is not linked to an author says it
 * by a RECEIPT, signed, which others hand along towards the author; at most one for each author in 10 s. Who
 * was linked once is remembered with what it said last. Receipts go round only in channels of few devices. */
#ifndef CORE_LEDGER_H
#define CORE_LEDGER_H

#include "base/map.h"
#include "core/node.h"

struct pipe;
struct channel;
struct message;

enum {
    LEDGER_DEVICES_MAX = 256, /* in a channel with more there are no receipts */
    LEDGER_ROWS_MAX = 4096,   /* receipts that are kept for others to be handed on; for one channel */
};
#define LEDGER_PAUSE_US (10 * SECONDS)
#define LEDGER_SOON_US (500 * MILLISECONDS) /* so that the receipts of a burst go together */

/* A receipt: the holder has from..upto of the author. */
struct ledger_receipt {
    uint32_t author, holder; /* indices of authors; holder may be LEDGER_AUTHORITY */
    uint32_t from, upto;
    uint64_t time_ms;
    uint8_t signature[SIGNATURE_BYTES];
    usec sent_at;       /* 0: never */
    bool due;           /* to be handed on, or told to the shell */
    bool again;         /* it was handed on before: now to the author himself only */
    uint32_t came_over; /* slot of the pipe, NONE: written here */
};
#define LEDGER_AUTHORITY (UINT32_MAX - 1)

struct ledger {
    struct ledger_receipt *rows;
    uint32_t rows_len, rows_cap;
    struct map by_pair;
    uint32_t *due;
    uint32_t due_len, due_cap;
    uint32_t *tell; /* rows about own entries for the shell */
    uint32_t tell_len, tell_cap;
    uint32_t seen_row, seen_at; /* node_ledger goes on here */
};

void ledger_init(struct node *n, struct ledger *l);
void ledger_free(struct node *n, struct ledger *l);
/* What is held of the author grew. */
void ledger_grew(struct node *n, struct channel *c, uint32_t author);
void ledger_linked(struct node *n, struct pipe *p, struct channel *c);
/* Before what the other side said is forgotten. */
void ledger_unlinked(struct node *n, struct pipe *p, struct channel *c);
int ledger_receive(struct node *n, struct pipe *p, const struct message *m) BASE_CHECKED;
void ledger_tick(struct node *n, uint32_t channel);
/* DELIVERED by somebody who is not linked. */
bool ledger_next(struct node *n, struct action *out);

#endif
