/* attacker.h - somebody at the other end of a link of place 1 who does not play by the rules: a real link
 * with honest cryptography and a certificate of its own, whose messages are written by hand. */
#ifndef TEST_ATTACKER_H
#define TEST_ATTACKER_H

#include "core/entry.h"
#include "core/link.h"
#include "world.h"

#define ATTACKER_LINK 77u

struct attacker {
    struct world *w;
    struct link link;
    uint8_t versions; /* in its preface; 0: as ours */
    uint8_t seed[32], device[32], certificate[512];
    size_t certificate_len;
    struct link_self self;
    int error;        /* what the victim's node_receive said last */
    uint64_t step_ms; /* between one entry and the next */
    uint8_t said[200000];
    size_t said_len;
};

/* An and Binh at places 1 and 2, linked, in the channel of the world. */
struct world *victim(void);
/* The honest people still talk. */
void still_works(struct world *w);

/* A link to place 1, open, on which the channel is carried. certified: by the channel's authority. */
struct attacker *attack(struct world *w, bool certified);
/* authority: the seed that signs the attacker's certificate, NULL for none. */
struct attacker *attack_as(struct world *w, const uint8_t *authority, const char *account);
/* Certified; its program is a later one. */
struct attacker *attack_later(struct world *w, uint8_t versions);
/* Once more, after the victim has closed the link. */
void attacker_connect(struct attacker *a);
/* The world goes, too. */
void attacker_free(struct attacker *a);

/* Bytes, a message, an entry for the victim; the result in a->error. */
void attacker_give(struct attacker *a, slice bytes);
void attacker_send(struct attacker *a, slice plain);
void attacker_send_entry(struct attacker *a, slice wire);
void attacker_send_have(struct attacker *a, const uint8_t *author, uint32_t seq);
void attacker_greet(struct attacker *a);
/* Takes what the victim sends; keeps the plaintexts one after the other. */
void attacker_take(struct attacker *a);

/* An entry of the attacker's own, signed; its length. out_id may be NULL. */
size_t attacker_entry(struct attacker *a, uint32_t kind, uint32_t seq, const uint8_t *prev, slice body,
                      uint8_t *out, uint8_t *out_id);
/* The body of its JOIN. */
slice attacker_join(const struct attacker *a, uint8_t *room);

#endif
