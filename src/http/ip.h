/* ip.h - addresses and networks as text and as 16 bytes, an IPv4 address in its IPv6-mapped form
 * (::ffff:a.b.c.d).
 *
 * Rules: nothing allocates. */
#ifndef HTTP_IP_H
#define HTTP_IP_H

#include "base/err.h"
#include "base/slice.h"

enum { IP_BYTES = 16, IP_TEXT_BYTES_MAX = 45 };

/* "192.0.2.1" (four decimal numbers without leading zeros) or RFC 4291 2.2 text without brackets and zone;
 * else ERR_MALFORMED. An IPv4-mapped IPv6 address gives the same bytes as the IPv4 address. */
int ip_parse(slice text, uint8_t out[IP_BYTES]) BASE_CHECKED;
bool ip_is_v4(const uint8_t address[IP_BYTES]);

struct ip_network {
    uint8_t address[IP_BYTES]; /* zero after the prefix */
    uint8_t bits;              /* of the 128 */
};

/* "10.0.0.0/8", "fd00::/8", or one address. ERR_MALFORMED also when bits are set after the prefix: that is a
 * mistake of who wrote it. */
int ip_network_parse(slice text, struct ip_network *out) BASE_CHECKED;
bool ip_network_has(const struct ip_network *network, const uint8_t address[IP_BYTES]);
/* True when one of them has it. */
bool ip_networks_have(const struct ip_network *networks, size_t count, const uint8_t address[IP_BYTES]);

#endif
