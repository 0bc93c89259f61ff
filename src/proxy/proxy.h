/* proxy.h - the reverse proxy as a whole: listeners, workers, the configuration at work, its reload, status.
 *
 * Rules: all functions on the thread that calls proxy_run, but proxy_stop (any). */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "proxy/config.h"
#include "weaprous/weaprous.h"

enum { PROXY_WHY_BYTES = 300 };

struct proxy;

struct proxy_options {
    /* A listener besides those of the configuration; ip NULL: none. */
    const char *ip;
    uint16_t port;
    unsigned workers;      /* 0: one for each core */
    const char *status_ip; /* NULL: no status page */
    uint16_t status_port;
    void (*log)(void *context, enum wr_log_level level, const char *text);
    void *log_context;
};

/* Makes it, opens its listeners. Takes the configuration, also on error. ERR_MEMORY; ERR_INVALID, ERR_IO:
 * *why says what cannot be used. */
int proxy_new(const struct proxy_options *options, struct config *config, struct proxy **out,
              char why[PROXY_WHY_BYTES]) BASE_CHECKED;
/* Serves until proxy_stop; then requests under way are finished. OK or an error. */
int proxy_run(struct proxy *proxy) BASE_CHECKED;
void proxy_stop(struct proxy *proxy);
/* Puts another configuration in the place of the one at work: as a whole, or, on an error (as of proxy_new),
 * not at all. Takes it, also on error. Connections of clients stay; requests under way end under the old one.
 */
int proxy_reload(struct proxy *proxy, struct config *config, char why[PROXY_WHY_BYTES]) BASE_CHECKED;
/* Opens the log again under its name, and reads the certificates again. */
void proxy_reopen(struct proxy *proxy);
struct wr_app *proxy_app(const struct proxy *proxy);
/* The port of its first listener; that of the status page, or 0. */
uint16_t proxy_port(const struct proxy *proxy);
uint16_t proxy_status_port(const struct proxy *proxy);
/* NULL is allowed. */
void proxy_free(struct proxy *proxy);

#endif
