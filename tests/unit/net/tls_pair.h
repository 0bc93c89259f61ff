/* tls_pair.h - a client and a server of TLS in memory, whose bytes are carried by hand. */
#ifndef TESTS_NET_TLS_PAIR_H
#define TESTS_NET_TLS_PAIR_H

#include "kit.h"

struct tls_side {
    struct tls *tls;
    struct chunk_pool pool;
    int rc; /* of the last tls_open; after a failure nothing more is carried to this side */
    size_t text_len;
    uint8_t text[300000]; /* plaintext that came */
    uint8_t room[TLS_HEADROOM_BYTES + 64 * 1024];
};

struct tls_pair {
    struct tls_side client, server;
};

void tls_pair_begin(struct tls_pair *pair, struct tls_client *client, struct tls_server *server,
                    const char *host);
void tls_pair_end(struct tls_pair *pair);
/* Carries what waits at `from` to `to`, in pieces of at most `step` bytes. False when nothing did. */
bool tls_pair_carry(struct tls_side *from, struct tls_side *to, size_t step);
/* Until nothing waits. */
void tls_pair_talk(struct tls_pair *pair, size_t step);
/* Seals bytes, which then wait. */
void tls_pair_say(struct tls_side *side, const uint8_t *bytes, size_t len);

#endif
