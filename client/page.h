/* page.h - the browser client, compiled in: every file of the page as an asset, and the policy it is sent
 * with.
 *
 * Written at build time by client/build.mjs. The table holds "/index.html" (chat page and login page in one:
 * the tracker sends it with 200 or 401), "/worker.js" (a constant address: all tabs share one worker), the
 * bundles under "/assets/" (immutable, the name carries a hash), "/favicon.svg" and "/manifest.webmanifest".
 *
 * Rules
 *   Thread: constant data, any thread.
 *   Memory: static; give page_assets to wr_assets as it is.
 */
#ifndef PAGE_PAGE_H
#define PAGE_PAGE_H

#include <stddef.h>

#include "weaprous/weaprous.h"

extern const struct wr_asset page_assets[];
extern const size_t page_assets_count;

/* Value of the Content-Security-Policy header for "/index.html"; it carries the hashes of the page's inline
 * style and script, so it must come from the same build as the page. */
extern const char page_content_security_policy[];

#endif
