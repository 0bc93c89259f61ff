/* url.h - percent-encoding, queries and forms, and the authority of a URL. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/err.h"
#include "base/slice.h"

/* Decodes %XX, and '+' to a space when plus is true, into `out`, which has room for text.len bytes (and may
 * be text.ptr itself). ERR_MALFORMED for a bad escape or one that gives a NUL. */
int url_decode(slice text, bool plus, uint8_t *out, size_t *out_len) BASE_CHECKED;

/* Takes the next "name=value" off a query or form, still encoded; a name without '=' has an empty value.
 * Empty parts are skipped. False at the end. */
bool url_pair_next(slice *rest, slice *out_name, slice *out_value);

/* host[:port] as in Host (RFC 9110 7.2): a name, an IPv4 address or a bracketed IPv6 address; not empty, no
 * user part. */
bool url_authority_valid(slice authority);

/* True when an Origin ("http://host:port") names this authority: same host without case, same port, where a
 * missing port is the scheme's own. */
bool url_origin_matches(slice origin, slice authority);

#endif
