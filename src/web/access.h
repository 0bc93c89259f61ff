/* access.h - what an access line says about an answer that came from another server. */
#ifndef WEB_ACCESS_H
#define WEB_ACCESS_H

#include "base/slice.h"

/* Set request->upstream to it before the request is released; it must live as long. A combined line then ends
 * with four more quoted parts:
 *     "10.0.0.1:9000" "0.412/3.050/9.781" "1" "8f2c0e…"
 * the server, the milliseconds from the beginning of the last try until it was connected, had sent the first
 * byte of its answer, and the last ("-" for what was not reached), how many servers were tried, the id of the
 * request. A JSON line has the members upstream, upstream_connect_ms, upstream_first_ms, upstream_ms, tries,
 * request_id. */
struct access_upstream {
    slice name;          /* the last server that was tried; empty: none was */
    uint64_t connect_ns; /* 0: not reached; a kept connection: at least 1 */
    uint64_t first_ns;   /* 0: not reached */
    uint64_t total_ns;   /* 0: not reached */
    unsigned tries;
    slice request_id; /* empty: none */
};

#endif
