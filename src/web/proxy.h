/* proxy.h - who the client is, and how it spoke to us, when proxies stand between; https only.
 *
 * Rules: set before the workers run, constant afterwards. */
#ifndef WEB_PROXY_H
#define WEB_PROXY_H

#include "http/forwarded.h"
#include "weaprous/weaprous.h"

enum { PROXIES_MAX = 256 };

struct proxies {
    struct ip_network *trusted;
    size_t count;
    enum forwarded_kind kind;
    uint16_t https_port;    /* what comes without TLS is sent there; 0: nowhere */
    char *strict_transport; /* a field with its line end, for answers over TLS, or NULL */
    bool in_use;            /* something of this goes for requests */
};

void proxies_deinit(struct proxies *proxies);
/* True when this is the address of a trusted proxy. */
bool proxies_have(const struct proxies *proxies, const uint8_t address[IP_BYTES]);
/* Finds out address, scheme and host of the client. True when the request was answered with the way to https.
 */
bool proxies_answer(struct wr_request *request);

#endif
