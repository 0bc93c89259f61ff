/* ice.h - the STUN and TURN servers that browsers are told to use, with credentials that end.
 *
 * A TURN server that shares a secret with this one (coturn: use-auth-secret) lets in whoever shows a name
 * "<end in seconds since 1970>:<account>" and Base64 of HMAC-SHA1(secret, name); nothing has to be told to it
 * ("A REST API For Access To TURN Services", draft-uberti-behave-turn-rest-00).
 *
 * Rules: as tracker.h. Bounds: below. */
#ifndef TRACKER_ICE_H
#define TRACKER_ICE_H

#include "tracker/call.h"

enum { ICE_URLS_MAX = 16, ICE_URL_BYTES_MAX = 255, ICE_SECRET_BYTES_MAX = 255, ICE_LIFE_S = 6 * 3600 };

/* Reads config.ice_servers and config.turn_secret_file. ERR_INVALID with a sentence in `why`, ERR_MEMORY. */
int ice_open(struct tracker *tracker, char why[TRACKER_WHY_BYTES]) BASE_CHECKED;
void ice_close(struct tracker *tracker);
/* The call ice-servers. */
call_handler ice_call;

#endif
