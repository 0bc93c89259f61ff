#include "peer.h"

#include <stdlib.h>
#include <string.h>

#include "core/identity.h"
#include "core/message.h"

static uint8_t bytes[128 * 1024], scratch[LINK_FRAME_BYTES_MAX];

static void greet(struct peer *p)
{
    struct link_self self = {p->device, p->seed, ROLE_PERSON, p->certificate};
    uint8_t out[4096];
    size_t used;
    while (!p->closed && link_greets(&p->link)) {
        struct writer w = writer_of(out, sizeof out);
        if (link_greet(&p->link, &self, &w) != OK) abort();
        (void)!node_receive(p->node, p->number, writer_slice(&w), p->now, &used);
    }
}

static void hear(struct peer *p, slice rest)
{
    slice message;
    while (rest.len > 0 && link_next(&p->link, &rest, scratch, &message) == OK) {
        if (p->hear && message.len > 0) p->hear(p->context, message);
        greet(p);
    }
}

static void act(struct peer *p, const struct action *a)
{
    if (p->watch) p->watch(p->context, a);
    switch (a->kind) {
    case ACTION_STORE:
        if (a->entry.id) memcpy(p->stored_id, a->entry.id, ID_BYTES);
        p->stores += a->entry.id != NULL;
        node_done(p->node, a->token, OK, SLICE_EMPTY, p->now);
        break;
    case ACTION_DELIVER: p->delivers++; break;
    case ACTION_WARNING: p->warnings++; break;
    case ACTION_CLOSE:
        p->closed = p->closed || a->link == p->number;
        p->close_result = a->result;
        break;
    default: break;
    }
}

void peer_pump(struct peer *p)
{
    bool progress = true;
    while (progress) {
        struct action a;
        progress = false;
        while (node_next(p->node, &a)) {
            act(p, &a);
            progress = true;
        }
        size_t len;
        while (!p->closed && p->number &&
               (len = node_transmit(p->node, p->number, bytes, sizeof bytes, p->now)) > 0) {
            hear(p, slice_of(bytes, len));
            progress = true;
        }
    }
}

void peer_open(struct peer *p, struct node *node, const struct crypto *crypto, uint32_t number,
               const uint8_t seed[KEY_BYTES], slice certificate, usec now)
{
    uint8_t secret[KEY_BYTES], ephemeral[KEY_BYTES];
    *p = (struct peer){.node = node,
                       .crypto = crypto,
                       .now = now,
                       .number = number,
                       .seed = seed,
                       .certificate = certificate};
    crypto->sign_public(crypto->context, p->device, seed);
    identity_noise_secret(crypto, seed, secret);
    memset(ephemeral, 0x42, sizeof ephemeral);
    struct node_link info = {.path = PATH_DIRECT, .initiator = false, .binding = SLICE("direct")};
    if (link_init(&p->link, &allocator_libc, crypto, true, SLICE("direct"), secret, ephemeral) != OK) abort();
    if (node_link_up(node, number, &info, now) != OK) abort();
    greet(p);
    peer_pump(p);
}

void peer_close(struct peer *p)
{
    node_link_down(p->node, p->number, p->now);
    link_deinit(&p->link);
    p->number = 0;
    peer_pump(p);
}

bool peer_say(struct peer *p, slice message)
{
    struct writer w = writer_of(bytes, sizeof bytes);
    size_t used;
    if (p->closed || link_seal(&p->link, message, &w) != OK) return false;
    (void)!node_receive(p->node, p->number, writer_slice(&w), p->now, &used);
    peer_pump(p);
    return !p->closed;
}

bool peer_carry(struct peer *p, const uint8_t channel[ID_BYTES])
{
    uint8_t message[64];
    struct writer w = writer_of(message, sizeof message);
    message_write_carry(&w, channel, true, 0);
    return peer_say(p, writer_slice(&w));
}

bool peer_entry(struct peer *p, slice wire)
{
    static uint8_t message[LINK_MESSAGE_BYTES_MAX];
    struct writer w = writer_of(message, sizeof message);
    message_write_entry(&w, wire);
    return !w.failed && peer_say(p, writer_slice(&w));
}
