/* events.h - GET /events: what goes over sockets, for clients without WebSocket, by long polling. Private to
 * src/tracker.
 *
 * The first request of a session makes an outlet: from then on the news of its account are kept there with
 * rising numbers, as many as there is room for. Somebody with an outlet counts as being here; after
 * OUTLET_SILENCE_MS without a request it is gone. What was missed is told by {"type":"lost"}: ask anew for
 * what you need.
 *
 * Rules: as person.h. Bounds: below. */
#ifndef TRACKER_EVENTS_H
#define TRACKER_EVENTS_H

#include "tracker/person.h"

enum {
    OUTLETS_MAX = 2000,
    OUTLETS_OF_ACCOUNT_MAX = 8,
    OUTLET_EVENTS_MAX = 256,
    OUTLET_BYTES_MAX = 256 * 1024,
    OUTLET_WAIT_S = 25, /* how long a request waits when it does not say */
    OUTLET_WAIT_S_MAX = 55,
    OUTLET_SILENCE_MS = 60000,
};

int outlets_open(struct tracker *tracker) BASE_CHECKED;
/* Answers who waits; nobody waits any more. */
void outlets_stop(struct tracker *tracker);
void outlets_close(struct tracker *tracker);
void outlets_log_out(struct tracker *tracker, const uint8_t session[SESSION_HASH_BYTES]);

/* --- for presence.c --- */

/* News: len bytes, a JSON object. */
void outlets_take(struct tracker *tracker, struct person *person, const char *text, size_t len);
/* Gives the list of who is online to those that have not had it, or have to get it anew. */
void outlets_list(struct tracker *tracker, struct person *person);
void outlets_stale(struct person *person);

#endif
