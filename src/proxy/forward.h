/* forward.h - requests on their way to the servers, and the answers on their way back, in one worker: the
 * connections to servers that it keeps, the requests that wait for one, the exchanges under way.
 *
 * Rules: on the thread of the worker. */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "proxy/rate.h"
#include "proxy/site.h"
#include "web/intake.h"
#include "weaprous/weaprous.h"

struct forward;

/* What all workers share; constant while they run. */
struct forward_shared {
    struct registry *registry;
    struct rate_table *rates;
    char pseudonym[24];         /* of this proxy in Via */
    struct forward **by_worker; /* by index of the worker */
};

/* NULL without memory. Holds the site. */
struct forward *forward_new(struct wr_worker *worker, struct forward_shared *shared,
                            struct site *site) BASE_CHECKED;
/* Requests that come from now on go by this site. Holds it; closes idle connections to servers that are
 * retired. */
void forward_set_site(struct forward *forward, struct site *site);
/* After the worker's connections have been cut, while its loop can still run. NULL is allowed. */
void forward_free(struct forward *forward);

/* For app_intake; the context is a struct forward_shared. */
extern const struct wr_body_handlers forward_intake;

#endif
