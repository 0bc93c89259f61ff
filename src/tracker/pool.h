/* pool.h - native peers that wait for somebody to log in: POST /login claims one and leads the browser there,
 * with a ticket that the peer may have checked here, once. docs/api.md, "The pool". Private to src/tracker.
 *
 * A peer stays in the pool for POOL_OFFER_MS after it was offered or renewed. A claim lasts until the session
 * that the login has made ends, at most POOL_CLAIM_MS. */
#ifndef TRACKER_POOL_H
#define TRACKER_POOL_H

#include "tracker/classic.h"

#define POOL_OFFER_MS ((int64_t)30 * 60 * 1000)
#define POOL_CLAIM_MS ((int64_t)12 * 3600 * 1000)
#define POOL_TICKET_MS ((int64_t)60 * 1000)

errand_handler pool_offer, pool_verify;
/* accounts_config.landing. */
void pool_landing(void *context, int64_t account, const uint8_t session[SESSION_HASH_BYTES],
                  void (*land)(void *argument, const char *location), void *argument);

#endif
