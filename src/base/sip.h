/* sip.h - SipHash-1-3 (Aumasson, Bernstein, 2012): a hash for tables whose keys strangers choose. Who does
 * not know the secret cannot find keys that collide. Not for anything that needs a signature. */
#ifndef BASE_SIP_H
#define BASE_SIP_H

#include "base/slice.h"

enum { SIP_SECRET_BYTES = 16 };

struct sip_secret {
    uint64_t k0, k1;
};

struct sip_secret sip_secret_of(const uint8_t bytes[SIP_SECRET_BYTES]);
uint64_t sip_hash(struct sip_secret secret, slice bytes);

#endif
