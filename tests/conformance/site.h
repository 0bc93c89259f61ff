/* site.h - the site that the conformance table is about: routes that say what was understood. */
#ifndef TESTS_CONFORMANCE_SITE_H
#define TESTS_CONFORMANCE_SITE_H

#include "weaprous/weaprous.h"

/* "default": the limits of the library. "small": limits that a table can reach, see SMALL_... "greedy": more
 * connections than there may be descriptors. */
enum {
    SMALL_TARGET_BYTES = 64,
    SMALL_HEADER_BYTES = 512,
    SMALL_HEADERS = 8,
    SMALL_BODY_BYTES = 100,
    SMALL_MESSAGE_BYTES = 200, /* of a WebSocket, in both */
};

/* NULL for another profile, or when it cannot be made. */
struct wr_app *site_new(const char *profile);

#endif
