/* Devices that do not play by the rules. They have keys and often a certificate, use the core's own link,
 * message and entry writers, and say with them what an honest core never would. Nobody honest may lose
 * anything by it. */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "core/entry.h"
#include "core/identity.h"
#include "core/message.h"

enum { LINES_MAX = 48, KEPT_BYTES = 4096, FORK_LENGTH = 12, FORK_TIMES = 9 };

struct hostile {
    struct line lines[LINES_MAX];
    uint8_t kept[KEPT_BYTES]; /* link bytes seen last, to be said again */
    size_t kept_len;
    uint8_t entry[NODE_RECORD_BYTES_MAX]; /* an entry of somebody, seen last */
    size_t entry_len;
    uint8_t fork_id[2][FORK_LENGTH + 1][ID_BYTES];
    struct insider insider;
};

void hostile_new(struct sim *sim, struct device *d)
{
    (void)sim;
    d->hostile = must_alloc(sizeof *d->hostile);
}

static void line_close(struct line *line)
{
    if (line->live) link_deinit(&line->link);
    line->live = false;
}

void hostile_free(struct device *d)
{
    if (!d->hostile) return;
    for (int i = 0; i < LINES_MAX; i++)
        line_close(&d->hostile->lines[i]);
    free(d->hostile);
    d->hostile = NULL;
}

static struct line *line_of(struct device *d, uint32_t number)
{
    for (int i = 0; i < LINES_MAX; i++)
        if (d->hostile->lines[i].live && d->hostile->lines[i].number == number) return &d->hostile->lines[i];
    return NULL;
}

void hostile_lost(struct device *d, uint32_t number)
{
    struct line *line = line_of(d, number);
    if (line) line_close(line);
}

static void say_bytes(struct sim *sim, struct line *line, slice bytes)
{
    struct pipe *pipe = sim->pipes[line->pipe];
    sim_tell(sim, "link %u: %zu hostile bytes of manner %d, %016llx", line->number, bytes.len, line->manner,
             (unsigned long long)bytes_hash(bytes));
    if (bytes.len > 0 && pipe_room(pipe, line->side) > bytes.len) pipe_write(sim, pipe, line->side, bytes);
}

void hostile_say(struct sim *sim, struct line *line, const struct writer *message)
{
    static uint8_t frame[LINK_FRAME_BYTES_MAX];
    struct writer w = writer_of(frame, sizeof frame);
    if (message->failed || message->len == 0 || line->link.state != LINK_OPEN) return;
    if (pipe_room(sim->pipes[line->pipe], line->side) < message->len + 64)
        return; /* keep the counter right */
    if (link_seal(&line->link, writer_slice(message), &w) != OK) return;
    if (line->manner == MANNER_FLIP && dice_chance(line->dice, 300)) dice_flip(line->dice, frame, w.len);
    say_bytes(sim, line, writer_slice(&w));
}

static void greet(struct sim *sim, struct device *d, struct line *line)
{
    uint8_t out[4096];
    struct writer w = writer_of(out, sizeof out);
    slice certificate = slice_of(d->certificate, d->certificate_len);
    const struct device *other = &sim->devices[dice_below(line->dice, sim->devices_len)];
    bool claims = dice_chance(line->dice, 500) && line->manner == MANNER_NAMELESS; /* to be the other one */
    if (line->manner == MANNER_NAMELESS) certificate = slice_of(other->certificate, other->certificate_len);
    struct link_self self = {claims ? other->id : d->id, d->seed, ROLE_PERSON, certificate};
    while (link_greets(&line->link) && !line->broken)
        if (link_greet(&line->link, &self, &w) != OK) line->broken = true;
    say_bytes(sim, line, writer_slice(&w));
}

/* What is said instead of a handshake. True when that was all. */
static bool opening(struct sim *sim, struct line *line)
{
    uint8_t bytes[300];
    uint32_t len = (uint32_t)dice_between(line->dice, 1, sizeof bytes);
    dice_bytes(line->dice, bytes, len);
    switch (line->manner) {
    case MANNER_GARBAGE: break;
    case MANNER_VERSION:
        memcpy(bytes, "wprs\x02", 5);
        if (len < 5) len = 5;
        break;
    case MANNER_HALF:
        memcpy(bytes, "wprs\x01\x00\x20", 7);
        if (len > 38) len = 38;
        break;
    default: return false;
    }
    say_bytes(sim, line, slice_of(bytes, len));
    line->broken = true;
    return true;
}

void hostile_attached(struct sim *sim, struct device *d, struct port *port, struct pipe *pipe)
{
    uint8_t secret[KEY_BYTES], ephemeral[KEY_BYTES];
    struct line *line = NULL;
    for (int i = 0; i < LINES_MAX && !line; i++)
        if (!d->hostile->lines[i].live) line = &d->hostile->lines[i];
    if (!line) return;
    memset(line, 0, sizeof *line);
    line->dice = &d->dice;
    line->number = port->number;
    line->device = d->index;
    line->pipe = pipe->id;
    line->side = port->side;
    line->manner = (enum manner)dice_below(&d->dice, MANNER_COUNT);
    bool quiet = dice_chance(&d->dice, 700);
    if (quiet && insider_channel(sim, d) != UINT32_MAX) line->manner = MANNER_INSIDER;
    dice_bytes(&d->dice, ephemeral, KEY_BYTES);
    identity_noise_secret(sim->crypto, d->seed, secret);
    slice binding = pipe->path == PATH_TRACKER ? SLICE("tracker")
                    : pipe->path == PATH_RELAY ? SLICE("relay")
                                               : SLICE("direct");
    if (dice_chance(&d->dice, 20)) binding = SLICE("elsewhere");
    if (link_init(&line->link, &allocator_libc, sim->crypto, port->side == 0, binding, secret, ephemeral) !=
        OK)
        return;
    line->live = true;
    if (!opening(sim, line)) greet(sim, d, line);
}

/* --- its forked log --- */

/* The wire form of entry `seq` of branch 0 or 1; both begin with the same JOIN. */
static slice fork_entry(struct sim *sim, struct device *d, uint32_t branch, uint32_t seq, uint8_t *out,
                        size_t room)
{
    static const uint8_t zeros[ID_BYTES];
    uint8_t body[NODE_CERTIFICATE_BYTES_MAX + 16];
    struct writer b = writer_of(body, sizeof body), w = writer_of(out, room);
    cbor_put_array(&b, 1);
    cbor_put_bytes(&b, seq == 1 ? slice_of(d->certificate, d->certificate_len)
                       : branch ? SLICE("yes")
                                : SLICE("no"));
    struct entry e = {
        .kind = seq == 1 ? ENTRY_JOIN : ENTRY_TEXT,
        .channel = sim->channels[0].id,
        .author = d->id,
        .prev = seq == 1 ? zeros : d->hostile->fork_id[branch][seq - 1],
        .seq = seq,
        .time_ms = UINT64_C(1800000000000) + (seq < FORK_TIMES ? seq : FORK_TIMES), /* then it stands */
        .body = writer_slice(&b),
    };
    struct entry parsed;
    if (entry_write(sim->crypto, &e, d->seed, &w) != OK || entry_parse(writer_slice(&w), &parsed) != OK)
        return SLICE_EMPTY;
    entry_id(sim->crypto, &parsed, d->hostile->fork_id[branch][seq]);
    return writer_slice(&w);
}

static void say_fork(struct sim *sim, struct device *d, struct line *line)
{
    uint8_t wire[1024], message[1200];
    uint32_t branch = sim->pipes[line->pipe]->end[1 - line->side].device % 2;
    if (line->fork_sent >= FORK_LENGTH || d->certificate_len == 0) return;
    uint32_t seq = ++line->fork_sent;
    /* The ids of the earlier entries are those of this branch, whatever was said elsewhere. */
    for (uint32_t i = 1; i <= seq; i++) {
        struct writer w = writer_of(message, sizeof message);
        slice entry = fork_entry(sim, d, branch, i, wire, sizeof wire);
        if (i < seq && dice_chance(line->dice, 900)) continue;
        message_write_entry(&w, entry);
        hostile_say(sim, line, &w);
    }
    struct writer w = writer_of(message, sizeof message);
    message_write_have(&w, sim->channels[0].id, 0, 1);
    message_write_pair(&w, d->id, seq);
    hostile_say(sim, line, &w);
}

/* --- what it says on an open link --- */

static void say_carry(struct sim *sim, struct line *line)
{
    uint8_t message[64];
    struct writer w = writer_of(message, sizeof message);
    message_write_carry(&w, sim->channels[0].id, true, 0);
    hostile_say(sim, line, &w);
    line->carried = true;
}

static void say_flood(struct sim *sim, struct line *line)
{
    static uint8_t message[LINK_MESSAGE_BYTES_MAX];
    uint64_t kind = dice_below(line->dice, 3);
    for (uint64_t i = dice_between(line->dice, 1, 150); i > 0; i--) {
        struct writer w = writer_of(message, sizeof message);
        uint8_t author[ID_BYTES];
        dice_bytes(line->dice, author, sizeof author);
        if (kind == 0) {
            message_write_stamp(&w, dice_chance(line->dice, 500) ? MESSAGE_PING : MESSAGE_PONG, i);
        } else if (kind == 1) {
            const uint8_t *id = sim->devices[dice_below(line->dice, sim->devices_len)].id;
            uint32_t from = (uint32_t)dice_between(line->dice, 1, 40);
            message_write_want(&w, sim->channels[0].id, id, from, (uint32_t)dice_between(line->dice, 1, 256));
        } else {
            message_write_have(&w, sim->channels[0].id, 0, 100);
            for (int k = 0; k < 100; k++) {
                author[0] = (uint8_t)k;
                message_write_pair(&w, author, 1 + (uint32_t)dice_below(line->dice, 9));
            }
        }
        hostile_say(sim, line, &w);
    }
}

/* A certificate that it made for itself, in the name of somebody else. */
static slice own_certificate(struct sim *sim, struct device *d, uint8_t *out, size_t room)
{
    struct certificate fields = {
        .account = SLICE("person-1"), .device = d->id, .issued_s = 1, .expires_s = UINT64_C(4000000000)};
    int len = certificate_write(sim->crypto, &fields, d->seed, out, room);
    return slice_of(out, len > 0 ? (size_t)len : 0);
}

/* An entry that would fit where `seen` came from, if only the signature or the certificate were right. */
static void forge(struct sim *sim, struct device *d, const struct entry *seen, struct writer *out)
{
    static const uint8_t zeros[ID_BYTES];
    uint8_t id[ID_BYTES], certificate[NODE_CERTIFICATE_BYTES_MAX], body[NODE_CERTIFICATE_BYTES_MAX + 16];
    struct entry e = *seen;
    struct writer b = writer_of(body, sizeof body);
    switch (dice_below(&d->dice, 4)) {
    case 0: /* the author's next one, signed by somebody else */
        entry_id(sim->crypto, seen, id);
        e.seq++;
        e.prev = id;
        e.kind = ENTRY_TEXT;
        e.body = SLICE("\x81\x44lies");
        break;
    case 1: /* its own first one, with the certificate of another */
        if (seen->kind != ENTRY_JOIN) return;
        e.author = d->id;
        break;
    case 2: /* its own first one, certified by itself */
        cbor_put_array(&b, 1);
        cbor_put_bytes(&b, own_certificate(sim, d, certificate, sizeof certificate));
        e.kind = ENTRY_JOIN;
        e.author = d->id;
        e.seq = 1;
        e.prev = zeros;
        e.body = writer_slice(&b);
        break;
    default: /* another one under the same number */ e.body = SLICE("\x81\x44lies"); break;
    }
    if (entry_write(sim->crypto, &e, d->seed, out) != OK) out->len = 0;
}

static void say_forged(struct sim *sim, struct device *d, struct line *line)
{
    static uint8_t altered[NODE_RECORD_BYTES_MAX], rewritten[NODE_RECORD_BYTES_MAX],
        message[LINK_MESSAGE_BYTES_MAX];
    struct hostile *h = d->hostile;
    struct writer r = writer_of(rewritten, sizeof rewritten), w = writer_of(message, sizeof message);
    struct entry e;
    if (h->entry_len == 0) return;
    memcpy(altered, h->entry, h->entry_len);
    slice wire = slice_of(altered, h->entry_len);
    if (dice_chance(line->dice, 600) && entry_parse(wire, &e) == OK) {
        forge(sim, d, &e, &r);
        wire = writer_slice(&r);
    } else {
        dice_flip(line->dice, altered, h->entry_len);
    }
    if (wire.len == 0) return;
    message_write_entry(&w, wire);
    hostile_say(sim, line, &w);
}

static void say_noise(struct sim *sim, struct line *line)
{
    uint8_t message[600];
    uint32_t len = (uint32_t)dice_between(line->dice, 1, sizeof message);
    dice_bytes(line->dice, message, len);
    if (dice_chance(line->dice, 700)) message[0] = (uint8_t)(0x81 + dice_below(line->dice, 8)); /* an array */
    if (dice_chance(line->dice, 700) && len > 1) message[1] = (uint8_t)dice_below(line->dice, 9);
    struct writer w = {message, len, sizeof message, false};
    hostile_say(sim, line, &w);
}

static void act_on(struct sim *sim, struct device *d, struct line *line)
{
    uint8_t oversized[] = {0xff, 0xff, 1, 2, 3};
    if (line->broken || line->link.state != LINK_OPEN) return;
    if (!line->carried) say_carry(sim, line);
    if (line->manner != MANNER_INSIDER &&
        dice_chance(line->dice, 50)) /* something else from now on, but nothing that ends the link at once */
        line->manner = (enum manner)dice_between(line->dice, MANNER_FLOOD, MANNER_MUTE);
    switch (line->manner) {
    case MANNER_OVERSIZED:
        say_bytes(sim, line, slice_of(oversized, sizeof oversized));
        line->broken = true;
        break;
    case MANNER_FLIP: say_carry(sim, line); break;
    case MANNER_NOISE: say_noise(sim, line); break;
    case MANNER_FLOOD: say_flood(sim, line); break;
    case MANNER_LIES: lie(sim, line); break;
    case MANNER_SHAPES: shapes(sim, line); break;
    case MANNER_FORGE: say_forged(sim, d, line); break;
    case MANNER_FORK: say_fork(sim, d, line); break;
    case MANNER_INSIDER: insider_act(sim, d, line, &d->hostile->insider); break;
    case MANNER_REPLAY: say_bytes(sim, line, slice_of(d->hostile->kept, d->hostile->kept_len)); break;
    default: break;
    }
}

/* Nobody gives an entry of a sealed channel to who was never in it. */
static void check_stranger(struct sim *sim, const struct device *d, const struct line *line, slice wire)
{
    struct entry e;
    const struct device *giver = &sim->devices[sim->pipes[line->pipe]->end[1 - line->side].device];
    if (!honest(giver) || entry_parse(wire, &e) != OK) return;
    uint32_t channel = channel_of_id(sim, e.channel);
    if (channel == UINT32_MAX || !sim->channels[channel].sealed || membership_of(d, channel)) return;
    sim_fail(sim, "an entry of the sealed channel %u was given to device %u, who has nothing to do with it",
             channel, d->index);
}

static void on_message(struct sim *sim, struct device *d, struct line *line, slice plain)
{
    uint8_t reply[32];
    struct message m;
    struct writer w = writer_of(reply, sizeof reply);
    static uint8_t lie[LINK_MESSAGE_BYTES_MAX];
    struct writer about_files = writer_of(lie, sizeof lie);
    if (message_parse(plain, &m) != OK) return;
    if (line->manner != MANNER_MUTE && files_lie(sim, line->dice, plain, &about_files))
        hostile_say(sim, line, &about_files);
    if (m.kind == MESSAGE_PING && line->manner != MANNER_MUTE) {
        message_write_stamp(&w, MESSAGE_PONG, m.stamp);
        hostile_say(sim, line, &w);
    }
    if (m.kind == MESSAGE_ENTRY) check_stranger(sim, d, line, m.wire);
    insider_hears(sim, d, line, &d->hostile->insider, &m);
    if (m.kind == MESSAGE_ENTRY && m.wire.len <= sizeof d->hostile->entry) {
        memcpy(d->hostile->entry, m.wire.ptr, m.wire.len);
        d->hostile->entry_len = m.wire.len;
    }
}

size_t hostile_receive(struct sim *sim, struct device *d, struct port *port, slice bytes)
{
    static uint8_t scratch[LINK_FRAME_BYTES_MAX];
    struct line *line = line_of(d, port->number);
    if (!line || line->broken) return bytes.len;
    d->hostile->kept_len = bytes.len < KEPT_BYTES ? bytes.len : KEPT_BYTES;
    memcpy(d->hostile->kept, bytes.ptr, d->hostile->kept_len);
    slice rest = bytes, message;
    while (!line->broken) {
        int rc = link_next(&line->link, &rest, scratch, &message);
        if (rc == ERR_AGAIN) break;
        if (rc != OK) {
            line->broken = true;
        } else if (message.len > 0) {
            on_message(sim, d, line, message);
        } else {
            greet(sim, d, line);
        }
    }
    return bytes.len;
}

/* Now and then: says something on every link, and calls somebody. */
void hostile_act(struct sim *sim, uint32_t device, uint32_t unused, uint64_t unused2)
{
    struct device *d = &sim->devices[device];
    (void)unused, (void)unused2;
    if (sim->calm) return;
    for (int i = 0; d->up && i < LINES_MAX; i++)
        if (d->hostile->lines[i].live && dice_chance(&d->dice, 500)) act_on(sim, d, &d->hostile->lines[i]);
    if (d->up && dice_chance(&d->dice, 200)) {
        uint32_t other = (uint32_t)dice_between(&d->dice, 1, sim->devices_len - 1);
        if (other != device)
            tracker_connect(sim, d, other, dice_chance(&d->dice, 500) ? PATH_DIRECT : PATH_RELAY);
    }
    schedule_at(sim, sim->now + dice_between(&d->dice, 50 * MILLISECONDS, 700 * MILLISECONDS), hostile_act,
                device, 0, 0);
}
