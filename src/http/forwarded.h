/* forwarded.h - who the client is behind proxies that are trusted: Forwarded (RFC 7239) or X-Forwarded-For,
 * -Proto and -Host.
 *
 * Each proxy adds at the right what it saw. So the list is walked from the right: as long as the address at
 * hand (first the peer's own) is a trusted proxy, the next element was written by it and is believed; the
 * walk stops at the first address that is not trusted, which is the client, or at an element that cannot be
 * read. What a client wrote itself is never reached.
 *
 * Proxies write one kind of field and pass on the other as the client sent it: so which kind is read must be
 * chosen.
 *
 * Rules: nothing allocates; slices borrow the fields. */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "http/ip.h"

enum { FORWARDED_HOPS_MAX = 16 }; /* further proxies are not walked */

enum forwarded_kind { FORWARDED_X, FORWARDED_STANDARD };

/* As sent, several fields of one name joined with commas; empty: absent. */
struct forwarded_fields {
    enum forwarded_kind kind;
    slice forwarded;                                            /* FORWARDED_X does not read this */
    slice x_forwarded_for, x_forwarded_proto, x_forwarded_host; /* FORWARDED_STANDARD does not read these */
};

struct forwarded {
    uint8_t address[IP_BYTES]; /* of the client; the peer's when no proxy is trusted */
    uint16_t port;             /* of the client, 0 when it was not said */
    bool believed;             /* a trusted proxy's word was used */
    slice scheme;              /* "http" or "https", static; empty when it was not said */
    slice host;                /* a valid host[:port]; empty when it was not said */
};

/* peer: the address of the connection. */
void forwarded_resolve(const struct forwarded_fields *fields, const uint8_t peer[IP_BYTES],
                       const struct ip_network *trusted, size_t trusted_count, struct forwarded *out);

#endif
