/* admission.h - how fast sockets are let in, and when those who were turned away may come again.
 *
 * After a restart everybody comes back at once. Each newcomer costs some three hundred microseconds (two
 * looks into the database, a signature, the list of who is here), so more than ADMISSION_PER_S a second would
 * hold up everybody else. Who comes too early is told in retry_ms when its turn is: turns are handed out one
 * after the other, with some chance in between, so that nobody has to try twice.
 *
 * Rules: as tracker.h. */
#ifndef TRACKER_ADMISSION_H
#define TRACKER_ADMISSION_H

#include "tracker/state.h"

enum {
    ADMISSION_PER_S = 2500,
    ADMISSION_BURST = 250,
    ADMISSION_STORE_WAITING = 1024, /* with so many operations in its queue nobody is let in */
    ADMISSION_JITTER_MS = 250,
};

/* 0: come in (that is counted). Else milliseconds until this one may try again. */
uint32_t admission_wait_ms(struct tracker *tracker);
/* When somebody would be let in who is only asking; 0: now. */
uint32_t admission_guess_ms(struct tracker *tracker);
/* For one of `count` who are all sent away now. */
uint32_t admission_spread_ms(size_t count);
/* Answers 503 with retry_ms. */
void admission_refuse(struct wr_request *request, uint32_t retry_ms);

#endif
