/* A certified peer in a direct conversation, with a file being fetched: every kind of message with fields of
 * any sorts, acts of sessions, keys and members under a right signature; and the node's person asks, answers
 * and ends. Whatever it is, the node neither crashes nor leaks, comes to rest, and has a deadline in the
 * future. */
#include <stdlib.h>
#include <string.h>

#include "core/entry.h"
#include "core/message.h"
#include "node_world.h"
#include "simulator/sham.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t message[LINK_MESSAGE_BYTES_MAX], root[ID_BYTES] = {7}, session[NODE_SESSION_BYTES];
static uint8_t direct[ID_BYTES], prev[ID_BYTES];
static uint32_t seq;

static const uint8_t *some_id(struct world *w, slice *input)
{
    static uint8_t stranger[ID_BYTES];
    uint8_t choice = take_byte(input);
    stranger[0] = choice;
    switch (choice % 8) {
    case 0: return w->channel;
    case 1: return direct;
    case 2: return root;
    case 3: return stranger;
    default: return w->ids[choice % 4];
    }
}

static uint64_t some_number(slice *input)
{
    uint8_t choice = take_byte(input);
    return choice<240 ? choice : choice<250 ? UINT64_C(1) << (choice - 240) * 6 : UINT64_MAX>>(choice - 250);
}

/* Values of any sorts, arrays of them to some depth. */
static void put_fields(struct world *w, slice *input, struct writer *m, unsigned count, int depth)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t sort = take_byte(input);
        if (sort < 96) {
            cbor_put_bytes(m, slice_of(some_id(w, input), ID_BYTES));
        } else if (sort < 160) {
            cbor_put_uint(m, some_number(input));
        } else if (sort < 176) {
            cbor_put_bytes(m, slice_of(session, sizeof session));
        } else if (sort < 208 || depth == 0) {
            cbor_put_bytes(m, slice_sub(take_piece(input), 0, 4000));
        } else {
            unsigned inner = take_byte(input) % 16;
            cbor_put_array(m, inner);
            put_fields(w, input, m, inner, depth - 1);
        }
    }
}

static void say_kind(struct world *w, slice *input)
{
    struct writer m = writer_of(message, sizeof message);
    uint8_t kind = take_byte(input) % 32;
    unsigned fields = take_byte(input) % 12;
    cbor_put_array(&m, 1 + fields);
    cbor_put_uint(&m, kind);
    put_fields(w, input, &m, fields, 2);
    if (!m.failed) world_say(w, writer_slice(&m));
}

/* The next entry of the peer's feed in the conversation; its body is an array of fields. */
static void say_act(struct world *w, slice *input)
{
    static uint8_t wire[NODE_RECORD_BYTES_MAX], body[NODE_BODY_BYTES_MAX];
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX];
    struct writer b = writer_of(body, sizeof body), o = writer_of(wire, sizeof wire);
    struct writer m = writer_of(message, sizeof message);
    struct entry back, e = {.kind = seq == 0 ? ENTRY_JOIN : 2u + take_byte(input) % 9,
                            .channel = direct,
                            .author = w->ids[2],
                            .seq = seq + 1,
                            .prev = prev,
                            .time_ms = w->now / MILLISECONDS + seq + 1};
    unsigned fields = seq == 0 ? 1 : take_byte(input) % 8;
    cbor_put_array(&b, fields);
    if (seq == 0)
        cbor_put_bytes(&b, world_certificate(w, 2, certificate));
    else
        put_fields(w, input, &b, fields, 2);
    e.body = writer_slice(&b);
    if (b.failed || entry_write(&crypto_sham, &e, w->seeds[2], &o) != OK) return;
    message_write_entry(&m, writer_slice(&o));
    if (m.failed || entry_parse(writer_slice(&o), &back) != OK) return;
    entry_id(&crypto_sham, &back, prev);
    seq++;
    world_say(w, writer_slice(&m));
}

static void do_something(struct world *w, slice *input)
{
    static const enum command_kind kinds[] = {COMMAND_REQUEST,   COMMAND_ANSWER,   COMMAND_END,
                                              COMMAND_LOGOUT,    COMMAND_RELATION, COMMAND_SEND,
                                              COMMAND_HISTORY,   COMMAND_SIGNAL,   COMMAND_FILE_PAUSE,
                                              COMMAND_FILE_DROP, COMMAND_LEAVE,    COMMAND_FILE_HOLD};
    uint8_t choice = take_byte(input);
    enum command_kind kind = kinds[choice % (sizeof kinds / sizeof kinds[0])];
    struct command c = {.kind = kind,
                        .channel = choice & 0x80 ? w->channel : direct,
                        .device = w->ids[2],
                        .bytes = kind == COMMAND_RELATION ? SLICE("peer") : take_piece(input),
                        .online = choice & 0x40,
                        .entry_kind = ENTRY_TEXT,
                        .relation = (enum relation)(choice / 16 % 3),
                        .count = choice,
                        .session = session,
                        .root = root,
                        .size = choice};
    (void)!node_command(w->node, &c, w->now);
    world_drain(w);
}

static void pass_time(struct world *w, slice *input)
{
    w->now += take_byte(input) * SECONDS;
    node_tick(w->node, w->now);
    if (node_deadline(w->node) <= w->now) abort();
    world_drain(w);
}

static void begin(struct world *w)
{
    struct channel_spec spec = {
        .type = CHANNEL_DIRECT, .authority = w->ids[0], .account = SLICE("node"), .other = SLICE("peer")};
    struct command open = {.kind = COMMAND_OPEN, .spec = &spec};
    struct command fetch = {
        .kind = COMMAND_FILE_FETCH, .channel = w->channel, .root = root, .size = 100 * NODE_LEAF_BYTES + 1};
    struct writer m = writer_of(message, sizeof message);
    seq = 0;
    memset(prev, 0, sizeof prev);
    if (channel_spec_id(&crypto_sham, &spec, direct) != OK) abort();
    if (node_command(w->node, &open, w->now) < 0 || node_command(w->node, &fetch, w->now) < 0) abort();
    world_drain(w);
    world_link(w, true);
    message_write_carry(&m, direct, true, 0);
    world_say(w, writer_slice(&m));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    slice input = slice_of(data, size);
    world_open(&w);
    world_join(&w);
    begin(&w);
    while (input.len > 0 && w.linked) {
        if (w.has_session) memcpy(session, w.session, sizeof session);
        switch (take_byte(&input) % 4) {
        case 0: say_kind(&w, &input); break;
        case 1: say_act(&w, &input); break;
        case 2: do_something(&w, &input); break;
        default: pass_time(&w, &input);
        }
    }
    world_close(&w);
    return 0;
}
