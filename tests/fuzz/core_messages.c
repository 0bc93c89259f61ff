/* A certified peer says anything at all over an open link: raw messages, and well-formed ones with lies in
 * them. Whatever it is, the node neither crashes nor leaks, comes to rest, and has a deadline in the future.
 */
#include <stdlib.h>
#include <string.h>

#include "core/entry.h"
#include "core/message.h"
#include "node_world.h"
#include "simulator/sham.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t prev[WORLD_DEVICES][ID_BYTES]; /* of the last entry that was said under this name */
static uint8_t message[LINK_MESSAGE_BYTES_MAX];

/* An entry with a right signature: author, seq, kind and body come from the input. */
static void say_entry(struct world *w, slice *input)
{
    static uint8_t wire[NODE_RECORD_BYTES_MAX];
    static const uint8_t zeros[ID_BYTES];
    uint8_t certificate[NODE_CERTIFICATE_BYTES_MAX], body[NODE_BODY_BYTES_MAX], choice = take_byte(input);
    int author = choice % WORLD_DEVICES;
    struct writer b = writer_of(body, sizeof body), o = writer_of(wire, sizeof wire);
    struct writer m = writer_of(message, sizeof message);
    struct entry e = {.channel = w->channel, .author = w->ids[author], .seq = 1u + take_byte(input) % 8};
    bool joins = e.seq == 1 && !(choice & 0x40);
    e.kind = joins ? ENTRY_JOIN : take_byte(input);
    e.prev = e.seq == 1 ? zeros : prev[author];
    e.time_ms = w->now / MILLISECONDS + (choice & 0x80 ? 3600000 : 0);
    cbor_put_array(&b, 1);
    cbor_put_bytes(&b, joins ? world_certificate(w, author, certificate) : take_piece(input));
    e.body = writer_slice(&b);
    if (b.failed || entry_write(&crypto_sham, &e, w->seeds[author], &o) != OK) return;
    if (entry_parse(writer_slice(&o), &e) == OK && !(choice & 0x20)) entry_id(&crypto_sham, &e, prev[author]);
    message_write_entry(&m, writer_slice(&o));
    world_say(w, writer_slice(&m));
}

static void say_have(struct world *w, slice *input)
{
    struct writer m = writer_of(message, sizeof message);
    uint8_t pairs = take_byte(input), stranger[ID_BYTES] = {0};
    message_write_have(&m, w->channel, take_byte(input) % 4, pairs);
    for (int i = 0; i < pairs; i++) {
        uint8_t who = take_byte(input);
        stranger[0] = who;
        stranger[1] = (uint8_t)i;
        uint32_t seq = take_byte(input);
        message_write_pair(&m, who < 128 ? w->ids[who % WORLD_DEVICES] : stranger,
                           seq == 255 ? ENTRY_SEQ_MAX : seq);
    }
    world_say(w, writer_slice(&m));
}

static void say_want(struct world *w, slice *input)
{
    struct writer m = writer_of(message, sizeof message);
    const uint8_t *author = w->ids[take_byte(input) % WORLD_DEVICES];
    uint32_t from = 1u + take_byte(input);
    message_write_want(&m, w->channel, author, from, 1u + take_byte(input));
    world_say(w, writer_slice(&m));
}

static void pass_time(struct world *w, slice *input)
{
    w->now += take_byte(input) * 300 * MILLISECONDS;
    node_tick(w->node, w->now);
    if (node_deadline(w->node) <= w->now) abort();
    world_drain(w);
}

static void write_own(struct world *w, slice *input)
{
    struct command send = {
        .kind = COMMAND_SEND, .channel = w->channel, .entry_kind = ENTRY_TEXT, .bytes = take_piece(input)};
    (void)!node_command(w->node, &send, w->now);
    world_drain(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    slice input = slice_of(data, size);
    memset(prev, 0, sizeof prev);
    world_open(&w);
    world_join(&w);
    world_link(&w, true);
    while (input.len > 0 && w.linked) {
        switch (take_byte(&input) % 8) {
        case 0: world_say(&w, take_piece(&input)); break;
        case 1:
        case 2: say_entry(&w, &input); break;
        case 3: say_have(&w, &input); break;
        case 4: say_want(&w, &input); break;
        case 5: pass_time(&w, &input); break;
        case 6: write_own(&w, &input); break;
        default: w.stores_fail = take_byte(&input) % 2;
        }
    }
    world_close(&w);
    return 0;
}
