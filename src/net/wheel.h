/* wheel.h - deadlines of many connections, cheaply (Varghese and Lauck, 1987).
 *
 * A ring of lists, one for each 128 ms. Moving a deadline to a later time is one store: the entry stays where
 * it is, and is put further on when its old time comes. So a timeout that is renewed with every request costs
 * nothing.
 *
 * Rules: no clock, no memory of its own; a deadline fires at its time or up to 128 ms later. */
#ifndef NET_WHEEL_H
#define NET_WHEEL_H

#include <stdint.h>

#include "net/list.h"

enum { WHEEL_SLOTS = 512, WHEEL_TICK_MS = 128 };

struct wheel_entry {
    struct list node;
    uint64_t deadline_ms;
    uint64_t slot_ms; /* when the slot that holds it comes up */
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t now_tick; /* all slots up to this tick have come up */
    uint64_t len;
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_entry_init(struct wheel_entry *e);
/* Sets or moves the deadline. */
void wheel_set(struct wheel *w, struct wheel_entry *e, uint64_t deadline_ms);
/* Also when it has none. */
void wheel_remove(struct wheel *w, struct wheel_entry *e);
/* Takes the next entry whose deadline has come off the wheel; NULL when there is none for now. */
struct wheel_entry *wheel_next(struct wheel *w, uint64_t now_ms);

#endif
