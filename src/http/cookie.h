/* cookie.h - cookies (RFC 6265). */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include "base/buffer.h"

/* The value of the first cookie of this name in a Cookie field; quotes around it are taken off. False when
 * absent. */
bool cookie_find(slice field, slice name, slice *out_value);

enum same_site { SAME_SITE_LAX, SAME_SITE_STRICT, SAME_SITE_NONE };

struct cookie {
    slice name, value, path;
    int64_t max_age_s; /* negative: none */
    bool http_only, secure;
    enum same_site same_site;
};

/* Appends "Set-Cookie: ...\r\n". ERR_INVALID when name, value or path has a character that it may not have;
 * nothing is written then. */
int cookie_write(struct buffer *out, const struct cookie *cookie) BASE_CHECKED;

#endif
