/* measures.h - GET /metrics: what the framework counts, and what the tracker adds to it.
 *
 * It tells how much people do, so it is for this computer and for the networks that the operator names
 * (tracker_config.metrics_from); others get 403.
 *
 * Rules: as tracker.h. */
#ifndef TRACKER_MEASURES_H
#define TRACKER_MEASURES_H

#include "tracker/state.h"

struct measures;

/* Before the routes that it stands before. ERR_MEMORY; ERR_INVALID: metrics_from, with a sentence in why. */
int measures_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES]) BASE_CHECKED;
/* Looks again; every few seconds. */
void measures_take(struct tracker *tracker);
void measures_free(struct tracker *tracker);

#endif
