/* url_resolve.h - a reference relative to a URL (RFC 3986 5.2), for redirects.
 *
 * Rules: allocates only in the buffer that the caller gives. */
#ifndef HTTP_URL_RESOLVE_H
#define HTTP_URL_RESOLVE_H

#include "http/url.h"

/* Appends the absolute URL to *out: `reference` may be absolute, "//host/path", "/path", "?query", "path" or
 * empty; "." and ".." segments are removed, a fragment is dropped. The result may still be no valid URL:
 * url_parse says. ERR_MEMORY or ERR_FULL by out. */
int url_resolve(struct buffer *out, const struct url *base, slice reference) BASE_CHECKED;

#endif
