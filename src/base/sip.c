#include "base/sip.h"

#include <string.h>

/* Little-endian, as the paper has it. */
static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* Fewer than 8 bytes. */
static inline uint64_t load_rest(const uint8_t *p, size_t len)
{
    uint64_t v = 0;
    for (size_t i = len; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1, s->v1 = rotate(s->v1, 13) ^ s->v0, s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3, s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3, s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1, s->v1 = rotate(s->v1, 17) ^ s->v2, s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

struct sip_secret sip_secret_of(const uint8_t bytes[SIP_SECRET_BYTES])
{
    return (struct sip_secret){load64(bytes), load64(bytes + 8)};
}

uint64_t sip_hash(struct sip_secret secret, slice bytes)
{
    struct sip s = {secret.k0 ^ 0x736f6d6570736575u, secret.k1 ^ 0x646f72616e646f6du,
                    secret.k0 ^ 0x6c7967656e657261u, secret.k1 ^ 0x7465646279746573u};
    size_t i = 0;
    for (; bytes.len - i >= 8; i += 8)
        sip_word(&s, load64(bytes.ptr + i));
    uint64_t rest = i < bytes.len ? load_rest(bytes.ptr + i, bytes.len - i) : 0;
    sip_word(&s, (uint64_t)bytes.len << 56 | rest);
    s.v2 ^= 0xff;
    for (int j = 0; j < 3; j++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
