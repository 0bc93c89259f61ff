/* proxy.h - who the client is, and how it spoke to us, when proxies stand between; https only.
 *
 * Rules: set before the workers run, constant afterwards. */
#ifndef WEB_PROXY_H
#define WEB_PROXY_H

#include "weaprous/weaprous.h"

struct proxies {
    uint16_t https_port;    /* what comes without TLS is sent there; 0: nowhere */
    char *strict_transport; /* a field with its line end, for answers over TLS, or NULL */
    bool in_use;            /* something of this goes for requests */
};

void proxies_deinit(struct proxies *proxies);
/* True when the request was answered with the way to https. */
bool proxies_answer(struct wr_request *request);

#endif
