/* url.h - URLs of http and ws (RFC 3986, RFC 9110 4.2), percent-encoding, queries and forms.
 *
 * Rules: nothing allocates but a buffer that the caller gives; slices borrow the text. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/buffer.h"

/* Decodes %XX, and '+' to a space when plus is true, into `out`, which has room for text.len bytes (and may
 * be text.ptr itself). ERR_MALFORMED for a bad escape or one that gives a NUL. */
int url_decode(slice text, bool plus, uint8_t *out, size_t *out_len) BASE_CHECKED;

/* Takes the next "name=value" off a query or form, still encoded; a name without '=' has an empty value.
 * Empty parts are skipped. False at the end. */
bool url_pair_next(slice *rest, slice *out_name, slice *out_value);

/* host[:port] as in Host (RFC 9110 7.2): a name, an IPv4 address or a bracketed IPv6 address; not empty, no
 * user part. Narrower than RFC 3986: no percent escapes and no sub-delims in names. */
bool url_authority_valid(slice authority);
/* True when two valid ones name the same host, without case, and port; without one it is `port`. */
bool url_authority_same(slice a, slice b, uint16_t port);

/* True when an Origin ("http://host:port") names this authority: same host without case, same port, where a
 * missing port is the scheme's own. */
bool url_origin_matches(slice origin, slice authority);

enum url_scheme { URL_HTTP, URL_HTTPS, URL_WS, URL_WSS };

struct url {
    enum url_scheme scheme;
    bool secure;     /* https, wss */
    bool host_is_v6; /* the host is an IPv6 address; it stands here without its brackets */
    uint16_t port;   /* the scheme's own when there was none */
    slice host;      /* to be looked up; not empty */
    slice authority; /* for Host: host[:port] as written, without a port that is the scheme's own */
    slice path;      /* still encoded; begins with '/', which also stands for an empty one */
    slice query;     /* without '?' */
    bool has_query;
};

/* Reads an absolute URL; a fragment is dropped. ERR_PROTOCOL: another scheme. ERR_MALFORMED: a user part (it
 * would send a password in clear, or deceive), no host, a bad port or address, port 0, or a character that
 * must be encoded. */
int url_parse(slice text, struct url *out) BASE_CHECKED;
/* True when every character of a path with a query may stand in a request line: those of RFC 3986, and some
 * that browsers send as they are. Percent escapes are not looked at. */
bool url_target_valid(slice target);
/* Appends path and query: what stands in a request line. */
void url_target_write(struct buffer *out, const struct url *url);

/* Percent-encodes all that may not stand in a path as it is; '/' stays. For a path on its way into a URL. */
void url_encode_path(struct buffer *out, slice path);
/* Percent-encodes all but letters, digits and "-._~": for a name or value in a query, or one segment. */
void url_encode_component(struct buffer *out, slice text);

#endif
