/* health.h - active checks of the servers, and looking their names up again.
 *
 * One worker does it for all: a GET to check_path of each server every interval; 2xx and 3xx pass. `fall`
 * failures in a row take a server out, `rise` passes bring it back, with a slow start. Names are looked up
 * every HEALTH_RESOLVE_MS, and when a connection failed.
 *
 * Rules: on the thread of that worker. */
#ifndef PROXY_HEALTH_H
#define PROXY_HEALTH_H

#include "proxy/upstream.h"

struct wr_worker;
struct health;

enum { HEALTH_RESOLVE_MS = 10000 };

/* NULL without memory. */
struct health *health_new(struct wr_worker *worker, struct registry *registry) BASE_CHECKED;
/* Checks these groups from now on, and no others; what goes on goes on. The groups must exist until the next
 * call. Before registry_use, which brings back what is not checked any more. ERR_MEMORY: nothing has changed.
 */
int health_set(struct health *health, struct group *const *groups, size_t count) BASE_CHECKED;
/* Ends all checks. NULL is allowed. */
void health_free(struct health *health);

#endif
