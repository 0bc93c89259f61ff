/* Hostile devices whose account was let into a private channel. They carry it, ask for what others wrote
 * there, hand out keys that are none, and try to bring in who was never a member. */
#include "hostile.h"

#include <string.h>

#include "core/entry.h"
#include "core/message.h"

enum { BOXES_MAX = 6, EPOCH_BYTES = 16, SALT_BYTES = 16, BOX_BYTES = KEY_BYTES + TAG_BYTES, WANT_COUNT = 50 };

uint32_t insider_channel(const struct sim *sim, const struct device *d)
{
    for (size_t i = 0; i < d->memberships_len; i++)
        if (sim->channels[d->memberships[i].channel].sealed) return d->memberships[i].channel;
    return UINT32_MAX;
}

/* [epoch, number, roster, created_ms, ...]: what it needs to name the epoch. */
static void note_epoch(struct insider *own, slice body)
{
    struct cbor_reader r = {body, false};
    (void)cbor_array(&r, 32);
    const uint8_t *epoch = cbor_fixed(&r, EPOCH_BYTES);
    uint64_t number = cbor_uint(&r, UINT32_MAX), roster = cbor_uint(&r, UINT32_MAX);
    uint64_t created_ms = cbor_uint(&r, UINT64_MAX);
    if (r.failed) return;
    memcpy(own->epoch, epoch, EPOCH_BYTES);
    own->number = number;
    own->roster = roster;
    own->created_ms = created_ms;
    own->knows_epoch = true;
}

void insider_hears(struct sim *sim, struct device *d, struct line *line, struct insider *own,
                   const struct message *m)
{
    uint32_t channel = insider_channel(sim, d);
    struct entry e;
    if (channel == UINT32_MAX) return;
    const uint8_t *id = sim->channels[channel].id;
    if (m->kind == MESSAGE_CARRY && memcmp(m->channel, id, ID_BYTES) == 0) line->trusted = m->on;
    if (m->kind != MESSAGE_ENTRY || entry_parse(m->wire, &e) != OK) return;
    if (e.kind == ENTRY_KEY && memcmp(e.channel, id, ID_BYTES) == 0) note_epoch(own, e.body);
}

/* A KEY entry that names an epoch which there is, with boxes in which no key is. */
static void write_false_key(struct sim *sim, struct line *line, const struct insider *own, struct writer *w)
{
    uint8_t bytes[BOX_BYTES];
    uint64_t boxes = dice_between(line->dice, 1, BOXES_MAX);
    cbor_put_array(w, 8);
    cbor_put_bytes(w, slice_of(own->epoch, EPOCH_BYTES));
    cbor_put_uint(w, own->number);
    cbor_put_uint(w, own->roster);
    cbor_put_uint(w, own->created_ms);
    dice_bytes(line->dice, bytes, sizeof bytes);
    cbor_put_bytes(w, slice_of(bytes, SALT_BYTES));
    cbor_put_bytes(w, slice_of(bytes + SALT_BYTES, KEY_BYTES));
    cbor_put_array(w, 2 * boxes);
    for (uint64_t i = 0; i < boxes; i++) {
        const uint8_t *device = sim->devices[dice_below(line->dice, sim->devices_len)].id;
        dice_bytes(line->dice, bytes, sizeof bytes);
        cbor_put_bytes(w, slice_of(device, ID_BYTES));
        cbor_put_bytes(w, slice_of(bytes, BOX_BYTES));
    }
    cbor_put_array(w, 0);
}

/* Its next entry: one chain, in good order, so that it is taken. */
static void write_next(struct sim *sim, struct device *d, struct line *line, struct insider *own)
{
    uint8_t body[INSIDER_WIRE_BYTES];
    struct writer b = writer_of(body, sizeof body);
    struct writer w = writer_of(own->wire[own->len], INSIDER_WIRE_BYTES);
    uint64_t now_ms = sim->now / MILLISECONDS;
    if (own->len == INSIDER_ENTRIES_MAX || d->certificate_len == 0 || (own->len > 0 && !own->knows_epoch))
        return;
    if (own->len == 0) {
        cbor_put_array(&b, 1);
        cbor_put_bytes(&b, slice_of(d->certificate, d->certificate_len));
    } else {
        write_false_key(sim, line, own, &b);
    }
    struct entry e = {.kind = own->len == 0 ? ENTRY_JOIN : ENTRY_KEY,
                      .channel = sim->channels[insider_channel(sim, d)].id,
                      .author = d->id,
                      .prev = own->tip,
                      .seq = own->len + 1,
                      .time_ms = now_ms > own->tip_ms ? now_ms : own->tip_ms + 1,
                      .body = writer_slice(&b)};
    struct entry parsed;
    if (b.failed || entry_write(sim->crypto, &e, d->seed, &w) != OK) return;
    if (entry_parse(writer_slice(&w), &parsed) != OK) return;
    entry_id(sim->crypto, &parsed, own->tip);
    own->tip_ms = e.time_ms;
    own->wire_len[own->len++] = w.len;
}

static void say_entry(struct sim *sim, struct line *line, slice wire)
{
    uint8_t message[INSIDER_WIRE_BYTES + 64];
    struct writer w = writer_of(message, sizeof message);
    message_write_entry(&w, wire);
    hostile_say(sim, line, &w);
}

/* Two good entries of somebody who was never let in. */
static void bring_stranger(struct sim *sim, struct line *line, uint32_t channel,
                           const struct device *stranger)
{
    static const uint8_t zeros[ID_BYTES];
    uint8_t wire[INSIDER_WIRE_BYTES], body[NODE_CERTIFICATE_BYTES_MAX + 16], id[ID_BYTES];
    for (uint32_t seq = 1; seq <= 2; seq++) {
        struct writer w = writer_of(wire, sizeof wire), b = writer_of(body, sizeof body);
        slice certificate = slice_of(stranger->certificate, stranger->certificate_len);
        cbor_put_array(&b, 1);
        cbor_put_bytes(&b, seq == 1 ? certificate : SLICE("me too"));
        struct entry parsed, e = {.kind = seq == 1 ? ENTRY_JOIN : ENTRY_TEXT,
                                  .channel = sim->channels[channel].id,
                                  .author = stranger->id,
                                  .prev = seq == 1 ? zeros : id,
                                  .seq = seq,
                                  .time_ms = sim->began / MILLISECONDS + seq,
                                  .body = writer_slice(&b)};
        if (entry_write(sim->crypto, &e, stranger->seed, &w) != OK) return;
        if (entry_parse(writer_slice(&w), &parsed) != OK) return;
        entry_id(sim->crypto, &parsed, id);
        say_entry(sim, line, writer_slice(&w));
    }
}

void insider_act(struct sim *sim, struct device *d, struct line *line, struct insider *own)
{
    uint8_t message[128];
    uint32_t channel = insider_channel(sim, d);
    if (channel == UINT32_MAX || !line->trusted) return;
    struct writer w = writer_of(message, sizeof message);
    message_write_carry(&w, sim->channels[channel].id, true, 0);
    hostile_say(sim, line, &w);
    const struct device *author = &sim->devices[dice_below(line->dice, sim->devices_len)];
    w = writer_of(message, sizeof message);
    message_write_want(&w, sim->channels[channel].id, author->id, 1, WANT_COUNT);
    hostile_say(sim, line, &w);
    if (own->len == 0 || dice_chance(line->dice, 200)) write_next(sim, d, line, own);
    for (uint32_t i = 0; i < own->len; i++)
        say_entry(sim, line, slice_of(own->wire[i], own->wire_len[i]));
    if (!dice_chance(line->dice, 200)) return;
    const struct device *stranger = &sim->devices[dice_between(line->dice, 1, sim->devices_len - 1)];
    if (!honest(stranger) && stranger->certificate_len > 0 && !membership_of(stranger, channel))
        bring_stranger(sim, line, channel, stranger);
}
