/* node_world.h - one node for the fuzz targets of the core, with sham crypto: a person in a channel, and a
 * certified peer at the other end of a link. Everything is checked for leaks by the counting allocator. */
#ifndef FUZZ_NODE_WORLD_H
#define FUZZ_NODE_WORLD_H

#include "core/link.h"
#include "core/node.h"
#include "simulator/memory.h"

enum { WORLD_LINK = 1, WORLD_DEVICES = 4, WORLD_RECORDS_MAX = 64 };

struct world {
    struct memory memory;
    struct node *node;
    usec now;
    uint8_t seeds[WORLD_DEVICES]
                 [KEY_BYTES]; /* 0: tracker, 1: the node, 2: the peer, 3: a member who is away */
    uint8_t ids[WORLD_DEVICES][ID_BYTES];
    uint8_t channel[ID_BYTES];
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    size_t certificate_len;
    struct link peer;
    bool linked, stores_fail;
    bool has_session; /* of which the node was told */
    uint8_t session[NODE_SESSION_BYTES];
    uint8_t last_store[NODE_RECORD_BYTES_MAX]; /* what a READ gives back */
    size_t last_store_len;
    unsigned stores;
};

/* The node exists and knows its certificate. */
void world_open(struct world *w);
/* It is in the channel. */
void world_join(struct world *w);
/* The pipe is there; with `handshake` also the open link, and the peer carries the channel. */
void world_link(struct world *w, bool handshake);
/* Carries out all actions: stores succeed or fail, reads give what was stored last. */
void world_drain(struct world *w);
/* Bytes for the node over the link, as many as it takes. */
void world_bytes(struct world *w, slice bytes);
/* A message from the peer. */
void world_say(struct world *w, slice message);
/* Certificate of one of the devices, by the tracker. */
slice world_certificate(struct world *w, int device, uint8_t out[NODE_CERTIFICATE_BYTES_MAX]);
/* Aborts when something was not freed. */
void world_close(struct world *w);

/* Takes bytes off the fuzzer's input; zeros when it is used up. */
static inline uint8_t take_byte(slice *input)
{
    if (input->len == 0) return 0;
    uint8_t byte = input->ptr[0];
    *input = slice_sub(*input, 1, input->len);
    return byte;
}
/* A piece whose length stands before it in two bytes. */
slice take_piece(slice *input);

#endif
