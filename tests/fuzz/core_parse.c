/* Certificates, entries, messages and records: whatever parses is within its limits, and a message that is
 * written again parses again to the same. The first byte chooses. */
#include <stdlib.h>
#include <string.h>

#include "core/entry.h"
#include "core/message.h"
#include "node_world.h"
#include "simulator/sham.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool truth)
{
    if (!truth) abort();
}

static void a_certificate(slice bytes)
{
    struct certificate c;
    if (certificate_parse(&crypto_sham, bytes, &c) != OK) return;
    expect(bytes.len <= NODE_CERTIFICATE_BYTES_MAX && c.account.len > 0 &&
           c.account.len <= NODE_NAME_BYTES_MAX);
    expect(c.device >= bytes.ptr && c.authority + ID_BYTES <= bytes.ptr + bytes.len);
}

static void an_entry(slice bytes)
{
    struct entry e;
    uint8_t id[ID_BYTES];
    if (entry_parse(bytes, &e) != OK) return;
    expect(e.seq >= 1 && e.seq <= ENTRY_SEQ_MAX && e.body.len <= NODE_BODY_BYTES_MAX);
    entry_id(&crypto_sham, &e, id);
    (void)entry_signed(&crypto_sham, &e, id);
}

static void a_record(slice bytes)
{
    enum record_kind kind;
    slice wire;
    struct arrival arrival;
    struct channel_record channel;
    if (record_parse(bytes, &kind, &wire, &arrival, &channel) != OK) return;
    expect(kind == RECORD_ENTRY || kind == RECORD_CHANNEL);
    if (kind == RECORD_ENTRY) an_entry(wire);
}

static void a_message(slice bytes)
{
    static uint8_t again[LINK_MESSAGE_BYTES_MAX];
    struct message m, second;
    struct writer w = writer_of(again, sizeof again);
    const uint8_t *author;
    uint32_t seq;
    if (bytes.len > LINK_MESSAGE_BYTES_MAX || message_parse(bytes, &m) != OK) return;
    second = m;
    switch (m.kind) {
    case MESSAGE_CLOSE: message_write_close(&w, m.code, m.text); break;
    case MESSAGE_PING:
    case MESSAGE_PONG: message_write_stamp(&w, (enum message_kind)m.kind, m.stamp); break;
    case MESSAGE_CARRY: message_write_carry(&w, m.channel, m.on, m.links); break;
    case MESSAGE_HAVE:
        message_write_have(&w, m.channel, m.flags, m.pairs_left);
        while (message_next_pair(&second, &author, &seq))
            message_write_pair(&w, author, seq);
        break;
    case MESSAGE_WANT: message_write_want(&w, m.channel, m.author, m.from, m.count); break;
    case MESSAGE_ENTRY: message_write_entry(&w, m.wire); break;
    default: return;
    }
    expect(!w.failed && message_parse(writer_slice(&w), &second) == OK && second.kind == m.kind);
    expect(w.len <= bytes.len && memcmp(again + 1, bytes.ptr + 1, 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = slice_of(data, size);
    switch (take_byte(&input) % 4) {
    case 0: a_certificate(input); break;
    case 1: an_entry(input); break;
    case 2: a_record(input); break;
    default: a_message(input);
    }
    return 0;
}
