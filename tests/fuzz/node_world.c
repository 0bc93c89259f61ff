#include "node_world.h"

#include <stdlib.h>
#include <string.h>

#include "core/identity.h"
#include "core/message.h"
#include "simulator/sham.h"

static uint8_t buffer[64 * 1024], scratch[LINK_FRAME_BYTES_MAX];

slice take_piece(slice *input)
{
    size_t len = (size_t)take_byte(input) << 8;
    len |= take_byte(input);
    slice piece = slice_sub(*input, 0, len);
    *input = slice_sub(*input, piece.len, input->len);
    return piece;
}

slice world_certificate(struct world *w, int device, uint8_t out[NODE_CERTIFICATE_BYTES_MAX])
{
    static const char *const names[WORLD_DEVICES] = {"tracker", "node", "peer", "absent"};
    struct certificate fields = {.account = slice_text(names[device]),
                                 .device = w->ids[device],
                                 .issued_s = 1,
                                 .expires_s = UINT64_C(4000000000)};
    int len = certificate_write(&crypto_sham, &fields, w->seeds[0], out, NODE_CERTIFICATE_BYTES_MAX);
    if (len < 0) abort();
    return slice_of(out, (size_t)len);
}

void world_open(struct world *w)
{
    struct node_config config = {.role = ROLE_PERSON};
    memset(w, 0, sizeof *w);
    memory_init(&w->memory);
    w->now = UINT64_C(1800000000) * SECONDS;
    for (int i = 0; i < WORLD_DEVICES; i++) {
        memset(w->seeds[i], 0x11 * (i + 1), KEY_BYTES);
        crypto_sham.sign_public(NULL, w->ids[i], w->seeds[i]);
    }
    channel_id(&crypto_sham, w->ids[0], SLICE("general"), w->channel);
    memcpy(config.identity_seed, w->seeds[1], KEY_BYTES);
    memset(config.random_seed, 7, KEY_BYTES);
    if (node_create(&config, &w->memory.allocator, &crypto_sham, w->now, &w->node) != OK) abort();
}

static void command(struct world *w, const struct command *c)
{
    if (node_command(w->node, c, w->now) < 0 && c->kind != COMMAND_JOIN) abort();
    world_drain(w);
}

void world_join(struct world *w)
{
    slice certificate = world_certificate(w, 1, w->certificate);
    w->certificate_len = certificate.len;
    command(w, &(struct command){.kind = COMMAND_CERTIFICATE, .bytes = certificate});
    command(w,
            &(struct command){
                .kind = COMMAND_JOIN, .channel = w->channel, .device = w->ids[0], .bytes = SLICE("general")});
}

static void on_action(struct world *w, const struct action *a)
{
    switch (a->kind) {
    case ACTION_STORE:
        w->stores++;
        if (a->entry.id) {
            memcpy(w->last_store, a->record.ptr, a->record.len);
            w->last_store_len = a->record.len;
        }
        node_done(w->node, a->token, w->stores_fail && w->stores % 2 ? ERR_DISK_FULL : OK, SLICE_EMPTY,
                  w->now);
        break;
    case ACTION_READ:
        node_done(w->node, a->token, w->stores_fail ? ERR_IO : OK, slice_of(w->last_store, w->last_store_len),
                  w->now);
        break;
    case ACTION_CLOSE: w->linked = false; break;
    case ACTION_SESSION:
        w->has_session = true;
        memcpy(w->session, a->session, sizeof w->session);
        break;
    default: break;
    }
}

static void greet(struct world *w)
{
    uint8_t out[4096], certificate[NODE_CERTIFICATE_BYTES_MAX];
    struct link_self self = {w->ids[2], w->seeds[2], ROLE_PERSON, world_certificate(w, 2, certificate)};
    size_t used;
    while (w->linked && link_greets(&w->peer)) {
        struct writer o = writer_of(out, sizeof out);
        if (link_greet(&w->peer, &self, &o) != OK) abort();
        (void)!node_receive(w->node, WORLD_LINK, writer_slice(&o), w->now, &used);
    }
}

void world_drain(struct world *w)
{
    bool progress = true;
    for (int round = 0; progress; round++) {
        struct action a;
        size_t len;
        progress = false;
        while (node_next(w->node, &a)) {
            on_action(w, &a);
            progress = true;
        }
        while (w->linked && (len = node_transmit(w->node, WORLD_LINK, buffer, sizeof buffer, w->now)) > 0) {
            slice rest = slice_of(buffer, len), message;
            progress = true;
            while (w->peer.allocator && rest.len > 0 && link_next(&w->peer, &rest, scratch, &message) == OK)
                greet(w);
        }
        if (round > 10000) abort(); /* it never comes to rest */
    }
}

void world_link(struct world *w, bool handshake)
{
    uint8_t secret[KEY_BYTES], ephemeral[KEY_BYTES] = {9}, carry[64];
    struct node_link info = {.path = PATH_DIRECT, .initiator = false, .binding = SLICE("direct")};
    if (node_link_up(w->node, WORLD_LINK, &info, w->now) != OK) abort();
    w->linked = true;
    if (handshake) {
        identity_noise_secret(&crypto_sham, w->seeds[2], secret);
        if (link_init(&w->peer, &allocator_libc, &crypto_sham, true, SLICE("direct"), secret, ephemeral) !=
            OK)
            abort();
        greet(w);
    }
    world_drain(w);
    if (!handshake) return;
    if (w->peer.state != LINK_OPEN) abort();
    struct writer m = writer_of(carry, sizeof carry);
    message_write_carry(&m, w->channel, true, 0);
    world_say(w, writer_slice(&m));
    if (!w->linked) abort();
}

void world_bytes(struct world *w, slice bytes)
{
    for (int i = 0; i < 1000 && w->linked && bytes.len > 0; i++) {
        size_t used = 0;
        int rc = node_receive(w->node, WORLD_LINK, bytes, w->now, &used);
        if (used > bytes.len) abort();
        world_drain(w);
        if (rc != ERR_BUSY) return;
        bytes = slice_sub(bytes, used, bytes.len);
    }
}

void world_say(struct world *w, slice message)
{
    static uint8_t frame[LINK_FRAME_BYTES_MAX];
    struct writer f = writer_of(frame, sizeof frame);
    if (!w->linked || message.len == 0 || message.len > LINK_MESSAGE_BYTES_MAX) return;
    if (link_seal(&w->peer, message, &f) != OK) return;
    world_bytes(w, writer_slice(&f));
}

void world_close(struct world *w)
{
    if (w->peer.allocator) link_deinit(&w->peer);
    node_destroy(w->node);
    if (w->memory.used != 0 || w->memory.size_error) abort();
}
