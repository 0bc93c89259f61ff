/* proxy.h - the reverse proxy as a whole: listeners, workers, the configuration at work, its reload, status.
 *
 * Rules: all functions on the thread that calls proxy_run, but proxy_stop (any). */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "proxy/config.h"
#include "weaprous/weaprous.h"

enum {
    PROXY_WHY_BYTES = 300,
    PROXY_DRAIN_MS = 30000, /* how long requests under way may take when it stops */
};

struct proxy;

/* Texts are borrowed until proxy_free. */
struct proxy_options {
    /* A listener besides those of the configuration; ip NULL: none. */
    const char *ip;
    uint16_t port;
    bool fallback;         /* that one only when the configuration has none */
    unsigned workers;      /* 0: one for each core */
    const char *status_ip; /* NULL: no status page */
    uint16_t status_port;
    void (*log)(void *context, enum wr_log_level level, const char *text);
    void *log_context;
};

/* What a configuration changes, for people. */
struct proxy_change {
    uint64_t number; /* of the configuration: 1 is the first one */
    size_t hosts, servers;
    size_t added, removed; /* servers */
};

/* Makes it, opens its listeners. Takes the configuration, also on error. ERR_MEMORY; ERR_INVALID, ERR_IO:
 * *why, a sentence, says what cannot be used. */
int proxy_new(const struct proxy_options *options, struct config *config, struct proxy **out,
              char why[PROXY_WHY_BYTES]) BASE_CHECKED;
/* Whether the files that a configuration names can be used. As proxy_new; nothing is opened or taken. */
int proxy_check(const struct config *config, char why[PROXY_WHY_BYTES]) BASE_CHECKED;
/* Serves until proxy_stop; then requests under way are finished. OK or an error, which the log was told. */
int proxy_run(struct proxy *proxy) BASE_CHECKED;
void proxy_stop(struct proxy *proxy);
/* Puts another configuration in the place of the one at work: as a whole, or, on an error (as of proxy_new),
 * not at all. Takes it, also on error. Connections of clients stay; requests under way end under the old one.
 */
int proxy_reload(struct proxy *proxy, struct config *config, struct proxy_change *out_change,
                 char why[PROXY_WHY_BYTES]) BASE_CHECKED;
/* Opens the log again under its name, and reads the certificates again; those that are not good stay as they
 * were, and the log is told. */
void proxy_reopen(struct proxy *proxy);
/* A newer configuration could not be used: the status says so until one can. */
void proxy_refused(struct proxy *proxy);
struct wr_app *proxy_app(const struct proxy *proxy);
/* Borrowed until the next reload. */
const struct config *proxy_config(const struct proxy *proxy);
/* How many servers its groups have together. */
size_t proxy_servers(const struct config *config);
/* The port of the options' listener, or 0 when it does not listen there; that of the status page, or 0. */
uint16_t proxy_port(const struct proxy *proxy);
uint16_t proxy_status_port(const struct proxy *proxy);
/* NULL is allowed. */
void proxy_free(struct proxy *proxy);

#endif
