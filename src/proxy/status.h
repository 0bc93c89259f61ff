/* status.h - how the proxy is doing, on a port of its own: a page, the same as JSON, metrics.
 *
 * A small app on a thread of its own: however busy the workers are, and whatever they do, the page answers.
 * Each second it takes a sample of what the servers have counted and keeps the last five minutes.
 *
 * Nobody logs in here, and nothing can be changed here. So that no page of another site gets to read it
 * through a name that leads here (DNS rebinding), only requests for an IP address or "localhost" are
 * answered.
 *
 * Rules: the functions belong to the thread that runs the proxy. */
#ifndef PROXY_STATUS_H
#define PROXY_STATUS_H

#include "proxy/proxy.h"

struct status;

/* Opens its listener, as the options of the proxy say. As proxy_new. */
int status_new(struct proxy *proxy, struct status **out, char why[PROXY_WHY_BYTES]) BASE_CHECKED;
/* ERR_IO: no thread. */
int status_start(struct status *status) BASE_CHECKED;
/* Until its thread has ended. NULL is allowed, and one that was not started. */
void status_stop(struct status *status);
/* 0 for NULL. */
uint16_t status_port(const struct status *status);
/* Stops it. NULL is allowed. */
void status_free(struct status *status);

#endif
