/* What devices that break the rules claim, kind by kind: that they hold what they do not and what does not
 * exist, receipts that nobody gave, channels that nobody founded, devices that are none, signals in others'
 * names. Honest cores may waste a little on it and lose nothing. */
#include "hostile.h"

#include <string.h>

#include "core/entry.h"
#include "core/message.h"
#include "core/spec.h"

static uint8_t buffer[LINK_MESSAGE_BYTES_MAX];

/* An id of somebody in this world, or of nobody: in `out`. */
static const uint8_t *some_id(struct sim *sim, struct line *line, uint8_t out[ID_BYTES])
{
    dice_bytes(line->dice, out, ID_BYTES);
    bool known = dice_chance(line->dice, 700);
    return known ? sim->devices[dice_below(line->dice, sim->devices_len)].id : out;
}

static const uint8_t *some_channel(struct sim *sim, struct line *line)
{
    return sim->channels[dice_below(line->dice, sim->channels_len)].id;
}

static uint32_t some_seq(struct line *line)
{
    bool huge = dice_chance(line->dice, 300);
    uint32_t small = (uint32_t)dice_below(line->dice, 500);
    return huge ? ENTRY_SEQ_MAX : small;
}

static void lie_have(struct sim *sim, struct line *line, struct writer *w)
{
    uint64_t pairs = dice_between(line->dice, 1, 20), flags = dice_below(line->dice, 4);
    uint8_t id[ID_BYTES];
    message_write_have(w, some_channel(sim, line), flags, pairs);
    for (uint64_t i = 0; i < pairs; i++) {
        const uint8_t *author = some_id(sim, line, id);
        message_write_pair(w, author, some_seq(line));
    }
}

static void lie_hold(struct sim *sim, struct line *line, struct writer *w)
{
    uint64_t spans = dice_between(line->dice, 1, 20);
    uint8_t id[ID_BYTES];
    message_write_hold(w, some_channel(sim, line), spans);
    for (uint64_t i = 0; i < spans; i++) {
        const uint8_t *author = some_id(sim, line, id);
        uint32_t low = some_seq(line), above = (uint32_t)dice_below(line->dice, 50);
        message_write_span(w, author, low, low < ENTRY_SEQ_MAX - 50 ? low + above : low);
    }
}

static void lie_digest(struct sim *sim, struct line *line, struct writer *w)
{
    uint8_t digest[DIGEST_BYTES];
    dice_bytes(line->dice, digest, sizeof digest);
    message_write_digest(w, some_channel(sim, line), slice_of(digest, sizeof digest));
}

static void lie_recent(struct sim *sim, struct line *line, struct writer *w)
{
    uint64_t before_ms = dice_chance(line->dice, 500) ? 0 : dice_next(line->dice) >> 12;
    uint32_t count = (uint32_t)dice_below(line->dice, MESSAGE_RECENT_COUNT_MAX + 2);
    message_write_recent(w, some_channel(sim, line), before_ms, count);
}

static void lie_recent_end(struct sim *sim, struct line *line, struct writer *w)
{
    uint64_t oldest_ms = dice_next(line->dice) >> 12;
    bool more = dice_chance(line->dice, 500);
    message_write_recent_end(w, some_channel(sim, line), oldest_ms, more);
}

static void lie_receipt(struct sim *sim, struct line *line, struct writer *w)
{
    uint8_t author[ID_BYTES], device[ID_BYTES], signature[SIGNATURE_BYTES];
    dice_bytes(line->dice, signature, sizeof signature);
    struct message receipt = {.from = 1, .time_ms = sim->now / MILLISECONDS, .signature = signature};
    receipt.channel = some_channel(sim, line);
    receipt.author = some_id(sim, line, author);
    receipt.device = some_id(sim, line, device);
    receipt.upto = some_seq(line);
    bool plausible = dice_chance(line->dice, 700); /* to who has written so much */
    uint32_t little = (uint32_t)dice_between(line->dice, 1, 20);
    if (plausible) {
        receipt.author = sim->devices[sim->pipes[line->pipe]->end[1 - line->side].device].id;
        receipt.upto = little;
    }
    message_write_receipt(w, &receipt);
}

static void lie_push(struct sim *sim, struct line *line, struct writer *w)
{
    enum message_kind kind = dice_chance(line->dice, 500) ? MESSAGE_PRUNE : MESSAGE_GRAFT;
    message_write_push(w, kind, some_channel(sim, line));
}

static void lie_shuffle(struct sim *sim, struct line *line, struct writer *w)
{
    uint8_t ids[MESSAGE_DEVICES_MAX][ID_BYTES];
    const uint8_t *devices[MESSAGE_DEVICES_MAX];
    uint32_t len = (uint32_t)dice_between(line->dice, 1, MESSAGE_DEVICES_MAX);
    for (uint32_t i = 0; i < len; i++)
        devices[i] = some_id(sim, line, ids[i]);
    bool asks = dice_chance(line->dice, 500);
    message_write_shuffle(w, some_channel(sim, line), devices, len, asks);
}

static void lie_signal(struct sim *sim, struct line *line, struct writer *w)
{
    static uint8_t bytes[NODE_SIGNAL_BYTES_MAX];
    uint8_t to[ID_BYTES], from[ID_BYTES];
    uint32_t most = dice_chance(line->dice, 100) ? NODE_SIGNAL_BYTES_MAX : 200;
    uint32_t len = (uint32_t)dice_between(line->dice, 1, most);
    memset(bytes, 0x5a, len);
    const uint8_t *target = some_id(sim, line, to), *sender = some_id(sim, line, from);
    uint32_t ttl = (uint32_t)dice_below(line->dice, MESSAGE_TTL_MAX + 1);
    uint64_t serial = dice_next(line->dice);
    message_write_signal(w, target, sender, ttl, slice_of(bytes, len), serial);
}

/* A private channel of somebody's, shown by a certificate that is none. */
static void lie_introduce(struct sim *sim, struct line *line, struct writer *w)
{
    uint8_t bytes[SPEC_BYTES_MAX], founder[ID_BYTES], nonce[NODE_NONCE_BYTES], certificate[100];
    struct channel_spec spec = {
        .type = CHANNEL_PRIVATE, .authority = sim->devices[0].id, .founder = some_id(sim, line, founder)};
    struct writer s = writer_of(bytes, sizeof bytes);
    dice_bytes(line->dice, nonce, sizeof nonce);
    dice_bytes(line->dice, certificate, sizeof certificate);
    spec.nonce = nonce;
    spec_write(&s, &spec);
    message_write_introduce(w, writer_slice(&s), slice_of(certificate, sizeof certificate), SLICE_EMPTY);
}

static void lie_carry(struct sim *sim, struct line *line, struct writer *w)
{
    bool on = dice_chance(line->dice, 700);
    uint32_t links = (uint32_t)dice_below(line->dice, 40);
    message_write_carry(w, some_channel(sim, line), on, links);
}

typedef void lie_write(struct sim *sim, struct line *line, struct writer *w);
static lie_write *const lies[] = {lie_have,    lie_have, lie_hold,    lie_digest, lie_recent, lie_recent_end,
                                  lie_receipt, lie_push, lie_shuffle, lie_signal, lie_carry,  lie_introduce};

void lie(struct sim *sim, struct line *line)
{
    struct writer w = writer_of(buffer, sizeof buffer);
    lies[dice_below(line->dice, sizeof lies / sizeof lies[0])](sim, line, &w);
    hostile_say(sim, line, &w);
}

/* --- any kind, any fields --- */

static void put_field(struct sim *sim, struct line *line, struct writer *w, int depth)
{
    uint8_t bytes[64];
    uint64_t number = dice_next(line->dice);
    switch (dice_below(line->dice, depth < 2 ? 7 : 6)) {
    case 0: cbor_put_uint(w, number % 300); break;
    case 1: cbor_put_uint(w, number); break;
    case 2: cbor_put_bytes(w, slice_of(some_id(sim, line, bytes), ID_BYTES)); break;
    case 3: cbor_put_bytes(w, slice_of(some_channel(sim, line), ID_BYTES)); break;
    case 4:
        dice_bytes(line->dice, bytes, sizeof bytes);
        cbor_put_bytes(w, slice_of(bytes, number % (sizeof bytes + 1)));
        break;
    case 5: cbor_put_uint(w, number & 1); break;
    default: {
        uint64_t len = number % 9;
        cbor_put_array(w, len);
        for (uint64_t i = 0; i < len; i++)
            put_field(sim, line, w, depth + 1);
    }
    }
}

void shapes(struct sim *sim, struct line *line)
{
    struct writer w = writer_of(buffer, sizeof buffer);
    uint64_t kind = dice_below(line->dice, SIM_KINDS), fields = dice_below(line->dice, 8);
    cbor_put_array(&w, 1 + fields);
    cbor_put_uint(&w, kind);
    for (uint64_t i = 0; i < fields; i++)
        put_field(sim, line, &w, 0);
    hostile_say(sim, line, &w);
}
