/* proxy.h - who the client is, and how it spoke to us, when proxies stand between (settings.h says which are
 * trusted); https only. */
#ifndef WEB_PROXY_H
#define WEB_PROXY_H

#include "weaprous/weaprous.h"

enum { PROXIES_MAX = 256 };

/* For a connection from a trusted proxy, or from a listener that sends its clients to https: finds out
 * address, scheme and host of the client. True when the request was answered with the way to https. */
bool proxies_answer(struct wr_request *request);

#endif
