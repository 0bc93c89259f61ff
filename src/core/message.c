#include "core/message.h"

#include "core/entry.h"
#include "core/spec.h"

static void parse_have(struct cbor_reader *r, struct message *m)
{
    m->channel = cbor_fixed(r, ID_BYTES);
    m->flags = cbor_uint(r, UINT32_MAX);
    uint64_t items = cbor_array(r, 2 * MESSAGE_HAVE_PAIRS_MAX);
    m->pairs = *r;
    m->pairs_left = items / 2;
    if (items % 2) r->failed = true;
    for (uint64_t i = 0; i < m->pairs_left && !r->failed; i++) {
        (void)cbor_fixed(r, ID_BYTES);
        (void)cbor_uint(r, ENTRY_SEQ_MAX);
    }
}

static void parse_hold(struct cbor_reader *r, struct message *m)
{
    m->channel = cbor_fixed(r, ID_BYTES);
    uint64_t items = cbor_array(r, 3 * MESSAGE_HOLD_SPANS_MAX);
    m->pairs = *r;
    m->pairs_left = items / 3;
    if (items % 3) r->failed = true;
    for (uint64_t i = 0; i < m->pairs_left && !r->failed; i++) {
        (void)cbor_fixed(r, ID_BYTES);
        uint64_t low = cbor_uint(r, ENTRY_SEQ_MAX), high = cbor_uint(r, ENTRY_SEQ_MAX);
        if (low == 0 || low > high) r->failed = true;
    }
}

static void parse_receipt(struct cbor_reader *r, struct message *m)
{
    m->channel = cbor_fixed(r, ID_BYTES);
    m->author = cbor_fixed(r, ID_BYTES);
    m->from = (uint32_t)cbor_uint(r, ENTRY_SEQ_MAX);
    m->upto = (uint32_t)cbor_uint(r, ENTRY_SEQ_MAX);
    m->time_ms = cbor_uint(r, UINT64_MAX / 1000);
    m->device = cbor_fixed(r, ID_BYTES);
    m->signature = cbor_fixed(r, SIGNATURE_BYTES);
    if (m->from == 0 || m->from > m->upto) r->failed = true;
}

static void parse_shuffle(struct cbor_reader *r, struct message *m)
{
    m->channel = cbor_fixed(r, ID_BYTES);
    m->pairs_left = cbor_array(r, MESSAGE_DEVICES_MAX);
    m->pairs = *r;
    for (uint64_t i = 0; i < m->pairs_left && !r->failed; i++)
        (void)cbor_fixed(r, ID_BYTES);
    m->on = cbor_uint(r, 1) == 1;
}

int message_parse(slice plain, struct message *out)
{
    struct cbor_reader r = {plain, false};
    struct message m = {0};
    uint64_t known = 1, count = cbor_array(&r, 64);
    m.kind = cbor_uint(&r, UINT64_MAX);
    if (r.failed || count < 1) return ERR_MALFORMED;
    switch (m.kind) {
    case MESSAGE_CLOSE:
        m.code = cbor_uint(&r, UINT64_MAX);
        m.text = cbor_bytes(&r, MESSAGE_TEXT_BYTES_MAX);
        known = 3;
        break;
    case MESSAGE_PING:
    case MESSAGE_PONG:
        m.stamp = cbor_uint(&r, UINT64_MAX);
        known = 2;
        break;
    case MESSAGE_CARRY:
        m.channel = cbor_fixed(&r, ID_BYTES);
        m.on = cbor_uint(&r, 1) == 1;
        known = 3;
        if (count > known) { /* left out when there are none */
            m.links = (uint32_t)cbor_uint(&r, UINT32_MAX);
            known = 4;
        }
        break;
    case MESSAGE_HAVE:
        parse_have(&r, &m);
        known = 4;
        break;
    case MESSAGE_WANT:
        m.channel = cbor_fixed(&r, ID_BYTES);
        m.author = cbor_fixed(&r, ID_BYTES);
        m.from = (uint32_t)cbor_uint(&r, ENTRY_SEQ_MAX);
        m.count = (uint32_t)cbor_uint(&r, MESSAGE_WANT_COUNT_MAX);
        if (m.from == 0 || m.count == 0) r.failed = true;
        known = 5;
        if (count > known) {
            m.down = cbor_uint(&r, 1) == 1;
            known = 6;
        }
        break;
    case MESSAGE_INTRODUCE:
        m.spec = cbor_bytes(&r, SPEC_BYTES_MAX);
        m.certificate = cbor_bytes(&r, NODE_CERTIFICATE_BYTES_MAX);
        m.wire = cbor_bytes(&r, NODE_RECORD_BYTES_MAX);
        known = 4;
        break;
    case MESSAGE_ENTRY:
        m.wire = cbor_bytes(&r, NODE_RECORD_BYTES_MAX);
        known = 2;
        break;
    case MESSAGE_HOLD:
        parse_hold(&r, &m);
        known = 3;
        break;
    case MESSAGE_DIGEST:
        m.channel = cbor_fixed(&r, ID_BYTES);
        m.digest = slice_of(cbor_fixed(&r, DIGEST_BYTES), DIGEST_BYTES);
        known = 3;
        break;
    case MESSAGE_RECENT:
        m.channel = cbor_fixed(&r, ID_BYTES);
        m.before_ms = cbor_uint(&r, UINT64_MAX / 1000);
        m.count = (uint32_t)cbor_uint(&r, MESSAGE_RECENT_COUNT_MAX);
        known = 4;
        break;
    case MESSAGE_RECENT_END:
        m.channel = cbor_fixed(&r, ID_BYTES);
        m.before_ms = cbor_uint(&r, UINT64_MAX / 1000);
        m.more = cbor_uint(&r, 1) == 1;
        known = 4;
        break;
    case MESSAGE_RECEIPT:
        parse_receipt(&r, &m);
        known = 8;
        break;
    case MESSAGE_PRUNE:
    case MESSAGE_GRAFT:
        m.channel = cbor_fixed(&r, ID_BYTES);
        known = 2;
        break;
    case MESSAGE_SHUFFLE:
        parse_shuffle(&r, &m);
        known = 4;
        break;
    case MESSAGE_SIGNAL:
        m.to = cbor_fixed(&r, ID_BYTES);
        m.device = cbor_fixed(&r, ID_BYTES);
        m.ttl = (uint32_t)cbor_uint(&r, MESSAGE_TTL_MAX);
        m.wire = cbor_bytes(&r, NODE_SIGNAL_BYTES_MAX);
        m.stamp = cbor_uint(&r, UINT64_MAX);
        known = 6;
        break;
    default: break;
    }
    if (r.failed || count < known) return ERR_MALFORMED;
    cbor_skip(&r, count - known);
    if (!cbor_done(&r)) return ERR_MALFORMED;
    *out = m;
    return OK;
}

bool message_next_pair(struct message *have, const uint8_t **out_author, uint32_t *out_seq)
{
    if (have->pairs_left == 0) return false;
    have->pairs_left--;
    *out_author = cbor_fixed(&have->pairs, ID_BYTES);
    *out_seq = (uint32_t)cbor_uint(&have->pairs, ENTRY_SEQ_MAX);
    return true;
}

bool message_next_span(struct message *hold, const uint8_t **out_author, uint32_t *out_low,
                       uint32_t *out_high)
{
    if (hold->pairs_left == 0) return false;
    hold->pairs_left--;
    *out_author = cbor_fixed(&hold->pairs, ID_BYTES);
    *out_low = (uint32_t)cbor_uint(&hold->pairs, ENTRY_SEQ_MAX);
    *out_high = (uint32_t)cbor_uint(&hold->pairs, ENTRY_SEQ_MAX);
    return true;
}

bool message_next_device(struct message *shuffle, const uint8_t **out_device)
{
    if (shuffle->pairs_left == 0) return false;
    shuffle->pairs_left--;
    *out_device = cbor_fixed(&shuffle->pairs, ID_BYTES);
    return true;
}

void message_write_close(struct writer *w, uint64_t code, slice text)
{
    cbor_put_array(w, 3);
    cbor_put_uint(w, MESSAGE_CLOSE);
    cbor_put_uint(w, code);
    cbor_put_bytes(w, slice_sub(text, 0, MESSAGE_TEXT_BYTES_MAX));
}

void message_write_stamp(struct writer *w, enum message_kind kind, uint64_t stamp)
{
    cbor_put_array(w, 2);
    cbor_put_uint(w, kind);
    cbor_put_uint(w, stamp);
}

void message_write_carry(struct writer *w, const uint8_t *channel, bool on, uint32_t links)
{
    cbor_put_array(w, links > 0 ? 4 : 3);
    cbor_put_uint(w, MESSAGE_CARRY);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
    cbor_put_uint(w, on);
    if (links > 0) cbor_put_uint(w, links);
}

void message_write_have(struct writer *w, const uint8_t *channel, uint64_t flags, uint64_t pairs)
{
    cbor_put_array(w, 4);
    cbor_put_uint(w, MESSAGE_HAVE);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
    cbor_put_uint(w, flags);
    cbor_put_array(w, 2 * pairs);
}

void message_write_pair(struct writer *w, const uint8_t *author, uint32_t seq)
{
    cbor_put_bytes(w, slice_of(author, ID_BYTES));
    cbor_put_uint(w, seq);
}

static void write_want(struct writer *w, const uint8_t *channel, const uint8_t *author, uint32_t from,
                       uint32_t count, uint64_t fields)
{
    cbor_put_array(w, fields);
    cbor_put_uint(w, MESSAGE_WANT);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
    cbor_put_bytes(w, slice_of(author, ID_BYTES));
    cbor_put_uint(w, from);
    cbor_put_uint(w, count);
}

void message_write_want(struct writer *w, const uint8_t *channel, const uint8_t *author, uint32_t from,
                        uint32_t count)
{
    write_want(w, channel, author, from, count, 5);
}

void message_write_want_down(struct writer *w, const uint8_t *channel, const uint8_t *author, uint32_t from,
                             uint32_t count)
{
    write_want(w, channel, author, from, count, 6);
    cbor_put_uint(w, 1);
}

void message_write_hold(struct writer *w, const uint8_t *channel, uint64_t spans)
{
    cbor_put_array(w, 3);
    cbor_put_uint(w, MESSAGE_HOLD);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
    cbor_put_array(w, 3 * spans);
}

void message_write_span(struct writer *w, const uint8_t *author, uint32_t low, uint32_t high)
{
    message_write_pair(w, author, low);
    cbor_put_uint(w, high);
}

void message_write_digest(struct writer *w, const uint8_t *channel, slice digest)
{
    cbor_put_array(w, 3);
    cbor_put_uint(w, MESSAGE_DIGEST);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
    cbor_put_bytes(w, digest);
}

void message_write_recent(struct writer *w, const uint8_t *channel, uint64_t before_ms, uint32_t count)
{
    cbor_put_array(w, 4);
    cbor_put_uint(w, MESSAGE_RECENT);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
    cbor_put_uint(w, before_ms);
    cbor_put_uint(w, count);
}

void message_write_recent_end(struct writer *w, const uint8_t *channel, uint64_t oldest_ms, bool more)
{
    cbor_put_array(w, 4);
    cbor_put_uint(w, MESSAGE_RECENT_END);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
    cbor_put_uint(w, oldest_ms);
    cbor_put_uint(w, more);
}

void message_write_receipt(struct writer *w, const struct message *r)
{
    cbor_put_array(w, 8);
    cbor_put_uint(w, MESSAGE_RECEIPT);
    cbor_put_bytes(w, slice_of(r->channel, ID_BYTES));
    cbor_put_bytes(w, slice_of(r->author, ID_BYTES));
    cbor_put_uint(w, r->from);
    cbor_put_uint(w, r->upto);
    cbor_put_uint(w, r->time_ms);
    cbor_put_bytes(w, slice_of(r->device, ID_BYTES));
    cbor_put_bytes(w, slice_of(r->signature, SIGNATURE_BYTES));
}

void message_write_entry(struct writer *w, slice wire)
{
    cbor_put_array(w, 2);
    cbor_put_uint(w, MESSAGE_ENTRY);
    cbor_put_bytes(w, wire);
}

void message_write_push(struct writer *w, enum message_kind kind, const uint8_t *channel)
{
    cbor_put_array(w, 2);
    cbor_put_uint(w, kind);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
}

void message_write_shuffle(struct writer *w, const uint8_t *channel, const uint8_t *const *devices,
                           uint32_t devices_len, bool asks)
{
    cbor_put_array(w, 4);
    cbor_put_uint(w, MESSAGE_SHUFFLE);
    cbor_put_bytes(w, slice_of(channel, ID_BYTES));
    cbor_put_array(w, devices_len);
    for (uint32_t i = 0; i < devices_len; i++)
        cbor_put_bytes(w, slice_of(devices[i], ID_BYTES));
    cbor_put_uint(w, asks);
}

void message_write_signal(struct writer *w, const uint8_t *to, const uint8_t *from, uint32_t ttl, slice bytes,
                          uint64_t serial)
{
    cbor_put_array(w, 6);
    cbor_put_uint(w, MESSAGE_SIGNAL);
    cbor_put_bytes(w, slice_of(to, ID_BYTES));
    cbor_put_bytes(w, slice_of(from, ID_BYTES));
    cbor_put_uint(w, ttl);
    cbor_put_bytes(w, bytes);
    cbor_put_uint(w, serial);
}

void message_write_introduce(struct writer *w, slice spec, slice certificate, slice proof)
{
    cbor_put_array(w, 4);
    cbor_put_uint(w, MESSAGE_INTRODUCE);
    cbor_put_bytes(w, spec);
    cbor_put_bytes(w, certificate);
    cbor_put_bytes(w, proof);
}
