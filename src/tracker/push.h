/* push.h - news for people: to every socket of an account that has said hello, at every process.
 *
 * Rules: as tracker.h. Nothing is kept: who is away asks when it comes back (docs/api.md says for each kind
 * of news which call tells the same). */
#ifndef TRACKER_PUSH_H
#define TRACKER_PUSH_H

#include "tracker/peers.h"
#include "tracker/state.h"

/* Takes the reference to json (NULL: no memory, nothing is sent). */
void push_account(struct tracker *tracker, int64_t account, json_t *json);
void push_accounts(struct tracker *tracker, const int64_t *accounts, size_t count, json_t *json);
void push_everybody(struct tracker *tracker, json_t *json);

peers_handler push_from_peer;

#endif
