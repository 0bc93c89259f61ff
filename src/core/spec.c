#include "core/spec.h"

#include "core/identity.h"

static bool name_fits(slice name)
{
    return name.len > 0 && name.len <= NODE_NAME_BYTES_MAX;
}

static bool complete(const struct channel_spec *s)
{
    if (!s || !s->authority) return false;
    switch (s->type) {
    case CHANNEL_PUBLIC: return name_fits(s->name);
    case CHANNEL_PRIVATE: return s->founder && s->nonce;
    case CHANNEL_DIRECT: return name_fits(s->account) && name_fits(s->other);
    }
    return false;
}

/* The two accounts in the order in which they are hashed and written. */
static void in_order(const struct channel_spec *s, slice *out_first, slice *out_second)
{
    bool turned = slice_compare(s->account, s->other) > 0;
    *out_first = turned ? s->other : s->account;
    *out_second = turned ? s->account : s->other;
}

int channel_spec_id(const struct crypto *crypto, const struct channel_spec *spec, uint8_t out[ID_BYTES])
{
    uint8_t rest[1 + 2 * NODE_NAME_BYTES_MAX];
    struct writer w = writer_of(rest, sizeof rest);
    slice first, second;
    if (!complete(spec)) return ERR_INVALID;
    slice authority = slice_of(spec->authority, ID_BYTES);
    switch (spec->type) {
    case CHANNEL_PUBLIC: channel_id(crypto, spec->authority, spec->name, out); break;
    case CHANNEL_PRIVATE:
        writer_put(&w, slice_of(spec->founder, ID_BYTES));
        writer_put(&w, slice_of(spec->nonce, NODE_NONCE_BYTES));
        hash_joined(crypto, SLICE("weaprous.private.1"), authority, writer_slice(&w), out);
        break;
    case CHANNEL_DIRECT:
        in_order(spec, &first, &second);
        writer_byte(&w, (uint8_t)first.len);
        writer_put(&w, first);
        writer_put(&w, second);
        hash_joined(crypto, SLICE("weaprous.direct.1"), authority, writer_slice(&w), out);
        break;
    }
    return OK;
}

void spec_write(struct writer *w, const struct channel_spec *spec)
{
    slice first, second;
    cbor_put_array(w, spec->type == CHANNEL_PUBLIC ? 3 : 4);
    cbor_put_uint(w, spec->type);
    cbor_put_bytes(w, slice_of(spec->authority, ID_BYTES));
    switch (spec->type) {
    case CHANNEL_PUBLIC: cbor_put_bytes(w, spec->name); break;
    case CHANNEL_PRIVATE:
        cbor_put_bytes(w, slice_of(spec->founder, ID_BYTES));
        cbor_put_bytes(w, slice_of(spec->nonce, NODE_NONCE_BYTES));
        break;
    case CHANNEL_DIRECT:
        in_order(spec, &first, &second);
        cbor_put_bytes(w, first);
        cbor_put_bytes(w, second);
        break;
    }
}

bool spec_parse(slice bytes, struct channel_spec *out)
{
    struct cbor_reader r = {bytes, false};
    struct channel_spec s = {.type = CHANNEL_PUBLIC};
    uint64_t count = cbor_array(&r, 16), known = 3;
    uint64_t type = cbor_uint(&r, CHANNEL_DIRECT);
    s.authority = cbor_fixed(&r, ID_BYTES);
    s.type = (enum channel_type)type;
    switch (s.type) {
    case CHANNEL_PUBLIC: s.name = cbor_bytes(&r, NODE_NAME_BYTES_MAX); break;
    case CHANNEL_PRIVATE:
        s.founder = cbor_fixed(&r, ID_BYTES);
        s.nonce = cbor_fixed(&r, NODE_NONCE_BYTES);
        known = 4;
        break;
    case CHANNEL_DIRECT:
        s.account = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
        s.other = cbor_bytes(&r, NODE_NAME_BYTES_MAX);
        known = 4;
        break;
    }
    if (r.failed || count < known || !complete(&s)) return false;
    if (s.type == CHANNEL_DIRECT && slice_compare(s.account, s.other) > 0) return false;
    cbor_skip(&r, count - known);
    if (!cbor_done(&r)) return false;
    *out = s;
    return true;
}
