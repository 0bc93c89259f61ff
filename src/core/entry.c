#include "core/entry.h"

#include <string.h>

#include "base/cbor.h"
#include "core/identity.h"
#include "core/spec.h"

#define ENTRY_DOMAIN "weaprous.entry.1"

int entry_parse(slice wire, struct entry *out)
{
    struct cbor_reader r = {wire, false};
    struct entry e;
    uint64_t parts = cbor_array(&r, 16);
    e.fields = cbor_bytes(&r, NODE_RECORD_BYTES_MAX);
    e.signature = cbor_fixed(&r, SIGNATURE_BYTES);
    if (r.failed || parts < 2) return ERR_MALFORMED;
    cbor_skip(&r, parts - 2);

    struct cbor_reader f = {e.fields, false};
    uint64_t fields = cbor_array(&f, 32);
    uint64_t version = cbor_uint(&f, UINT64_MAX);
    e.kind = (uint32_t)cbor_uint(&f, UINT32_MAX);
    e.channel = cbor_fixed(&f, ID_BYTES);
    e.author = cbor_fixed(&f, ID_BYTES);
    e.seq = (uint32_t)cbor_uint(&f, ENTRY_SEQ_MAX);
    e.prev = cbor_fixed(&f, ID_BYTES);
    e.time_ms = cbor_uint(&f, UINT64_MAX / 1000);
    e.body = cbor_bytes(&f, NODE_RECORD_BYTES_MAX);
    if (f.failed || fields < 8) return ERR_MALFORMED;
    cbor_skip(&f, fields - 8);
    if (!cbor_done(&r) || !cbor_done(&f) || version != 1 || e.seq == 0) return ERR_MALFORMED;
    if (e.body.len > NODE_BODY_BYTES_MAX) return ERR_TOO_LARGE;
    *out = e;
    return OK;
}

void entry_id(const struct crypto *crypto, const struct entry *entry, uint8_t out[ID_BYTES])
{
    crypto->hash(crypto->context, out, HASH_BYTES, entry->fields);
}

bool entry_signed(const struct crypto *crypto, const struct entry *entry, const uint8_t id[ID_BYTES])
{
    uint8_t form[sizeof ENTRY_DOMAIN - 1 + ID_BYTES]; /* as identity_verify has it; the hash is the id */
    memcpy(form, ENTRY_DOMAIN, sizeof ENTRY_DOMAIN - 1);
    memcpy(form + sizeof ENTRY_DOMAIN - 1, id, ID_BYTES);
    return crypto->verify(crypto->context, entry->signature, entry->author, slice_of(form, sizeof form));
}

int entry_write(const struct crypto *crypto, const struct entry *fields, const uint8_t seed[KEY_BYTES],
                struct writer *out)
{
    if (fields->body.len > NODE_BODY_BYTES_MAX) return ERR_TOO_LARGE;
    uint8_t plain[NODE_BODY_BYTES_MAX + 256], signature[SIGNATURE_BYTES];
    struct writer f = writer_of(plain, sizeof plain);
    cbor_put_array(&f, 8);
    cbor_put_uint(&f, 1);
    cbor_put_uint(&f, fields->kind);
    cbor_put_bytes(&f, slice_of(fields->channel, ID_BYTES));
    cbor_put_bytes(&f, slice_of(fields->author, ID_BYTES));
    cbor_put_uint(&f, fields->seq);
    cbor_put_bytes(&f, slice_of(fields->prev, ID_BYTES));
    cbor_put_uint(&f, fields->time_ms);
    cbor_put_bytes(&f, fields->body);
    identity_sign(crypto, seed, SLICE(ENTRY_DOMAIN), writer_slice(&f), signature);
    cbor_put_array(out, 2);
    cbor_put_bytes(out, writer_slice(&f));
    cbor_put_bytes(out, slice_of(signature, SIGNATURE_BYTES));
    return f.failed || out->failed ? ERR_FULL : OK;
}

/* [1, path, from, arrived_ms, place_ms, entry] and, if not 0, the run */
static void put_record(struct writer *w, slice wire, const struct arrival *arrival)
{
    cbor_put_array(w, arrival->run == RUN_UP ? 6 : 7);
    cbor_put_uint(w, RECORD_ENTRY);
    cbor_put_uint(w, arrival->path);
    cbor_put_bytes(w, slice_of(arrival->from, ID_BYTES));
    cbor_put_uint(w, arrival->arrived_ms);
    cbor_put_uint(w, arrival->place_ms);
    cbor_put_bytes(w, wire);
    if (arrival->run != RUN_UP) cbor_put_uint(w, arrival->run);
}

struct blob *blob_named(const struct allocator *a, slice wire, const uint8_t id[ID_BYTES],
                        const struct arrival *arrival)
{
    size_t room = wire.len + 96; /* the heads and fixed fields of the record take at most 66 bytes */
    struct blob *b = alloc_new(a, sizeof *b + room);
    if (!b) return NULL;
    struct writer w = writer_of(b->data, room);
    put_record(&w, wire, arrival);
    b->references = 1;
    b->len = w.len;
    b->arrival = *arrival;
    b->wire = slice_of(b->data + w.len - wire.len - (arrival->run != RUN_UP), wire.len);
    memcpy(b->id, id, ID_BYTES);
    if (w.failed || entry_parse(b->wire, &b->entry) < 0) {
        alloc_free(a, b, sizeof *b + room);
        return NULL;
    }
    return b;
}

struct blob *blob_new(const struct allocator *a, const struct crypto *crypto, slice wire,
                      const struct arrival *arrival)
{
    struct entry e;
    uint8_t id[ID_BYTES];
    if (entry_parse(wire, &e) < 0) return NULL;
    entry_id(crypto, &e, id);
    return blob_named(a, wire, id, arrival);
}

struct blob *blob_keep(struct blob *b)
{
    b->references++;
    return b;
}

void blob_release(const struct allocator *a, struct blob *b)
{
    if (b && --b->references == 0) alloc_free(a, b, sizeof *b + b->wire.len + 96);
}

/* [2, channel, authority, name], and for sealed channels: spec, founder's certificate */
int record_write_channel(const struct channel_record *channel, struct writer *out)
{
    uint8_t spec[SPEC_BYTES_MAX];
    struct writer s = writer_of(spec, sizeof spec);
    cbor_put_array(out, channel->spec.authority ? 6 : 4);
    cbor_put_uint(out, RECORD_CHANNEL);
    cbor_put_bytes(out, slice_of(channel->channel, ID_BYTES));
    cbor_put_bytes(out, slice_of(channel->authority, ID_BYTES));
    cbor_put_bytes(out, channel->name);
    if (channel->spec.authority) {
        spec_write(&s, &channel->spec);
        cbor_put_bytes(out, writer_slice(&s));
        cbor_put_bytes(out, channel->certificate);
    }
    return out->failed || s.failed ? ERR_FULL : OK;
}

int record_parse(slice record, enum record_kind *out_kind, slice *out_wire, struct arrival *out_arrival,
                 struct channel_record *out_channel)
{
    struct cbor_reader r = {record, false};
    uint64_t count = cbor_array(&r, 16);
    uint64_t kind = cbor_uint(&r, UINT32_MAX);
    if (r.failed) return ERR_CORRUPT;
    if (kind == RECORD_ENTRY && count >= 6) {
        out_arrival->path = (enum path)cbor_uint(&r, PATH_LAN);
        const uint8_t *from = cbor_fixed(&r, ID_BYTES);
        out_arrival->arrived_ms = cbor_uint(&r, UINT64_MAX / 1000);
        out_arrival->place_ms = cbor_uint(&r, UINT64_MAX / 1000);
        *out_wire = cbor_bytes(&r, NODE_RECORD_BYTES_MAX);
        if (from) memcpy(out_arrival->from, from, ID_BYTES);
        out_arrival->run = count > 6 ? (enum record_run)cbor_uint(&r, RUN_DOWN) : RUN_UP;
        if (count > 7) cbor_skip(&r, count - 7);
    } else if (kind == RECORD_CHANNEL && count >= 4) {
        out_channel->channel = cbor_fixed(&r, ID_BYTES);
        out_channel->authority = cbor_fixed(&r, ID_BYTES);
        out_channel->name = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
        out_channel->spec = (struct channel_spec){.type = CHANNEL_PUBLIC};
        out_channel->certificate = SLICE_EMPTY;
        if (count >= 6) {
            slice spec = cbor_bytes(&r, SPEC_BYTES_MAX);
            out_channel->certificate = cbor_bytes(&r, NODE_CERTIFICATE_BYTES_MAX);
            if (!spec_parse(spec, &out_channel->spec)) r.failed = true;
        }
        cbor_skip(&r, count - (count >= 6 ? 6 : 4));
    } else {
        return ERR_CORRUPT;
    }
    if (!cbor_done(&r)) return ERR_CORRUPT;
    *out_kind = (enum record_kind)kind;
    return OK;
}
