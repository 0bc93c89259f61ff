/* What a person or a program wants of the node: struct command as one CBOR array. */
#include "wasm.h"

const uint8_t *wasm_id(struct cbor_reader *r, size_t len)
{
    slice id = cbor_bytes(r, len);
    if (id.len == 0) return NULL;
    if (id.len != len) r->failed = true;
    return id.ptr;
}

bool wasm_spec(struct cbor_reader *r, struct channel_spec *out)
{
    uint64_t parts = cbor_array(r, 7);
    if (r->failed || parts == 0) return false;
    if (parts != 7) r->failed = true;
    out->type = (enum channel_type)cbor_uint(r, CHANNEL_DIRECT);
    out->authority = wasm_id(r, ID_BYTES);
    out->name = cbor_bytes(r, NODE_NAME_BYTES_MAX);
    out->founder = wasm_id(r, ID_BYTES);
    out->nonce = wasm_id(r, NODE_NONCE_BYTES);
    out->account = cbor_bytes(r, NODE_NAME_BYTES_MAX);
    out->other = cbor_bytes(r, NODE_NAME_BYTES_MAX);
    return true;
}

WASM_EXPORT(w_command) double w_command(uint32_t len, double now_ms);
/* Input [kind, channel, device, bytes, entry kind, path, online, spec, quiet, on demand, count, before in ms,
 * relation, session, root, size]: empty byte strings for ids that are not there, [] for no spec, else
 * [type, authority, name, founder, nonce, account, other]. A token, 0 or an error. */
double w_command(uint32_t len, double now_ms)
{
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    struct channel_spec spec = {0};
    struct command command = {0};
    cbor_array(&r, 16);
    command.kind = (enum command_kind)cbor_uint(&r, COMMAND_FORGET);
    command.channel = wasm_id(&r, ID_BYTES);
    command.device = wasm_id(&r, ID_BYTES);
    command.bytes = cbor_bytes(&r, len);
    command.entry_kind = (uint32_t)cbor_uint(&r, UINT32_MAX);
    command.path = (enum path)cbor_uint(&r, PATH_LAN);
    command.online = cbor_uint(&r, 1) == 1;
    if (wasm_spec(&r, &spec)) command.spec = &spec;
    command.quiet = cbor_uint(&r, 1) == 1;
    command.on_demand = cbor_uint(&r, 1) == 1;
    command.count = (uint32_t)cbor_uint(&r, UINT32_MAX);
    command.before_ms = cbor_uint(&r, UINT64_MAX);
    command.relation = (enum relation)cbor_uint(&r, RELATION_BLOCKED);
    command.session = wasm_id(&r, NODE_SESSION_BYTES);
    command.root = wasm_id(&r, ID_BYTES);
    command.size = cbor_uint(&r, UINT64_MAX);
    if (!cbor_done(&r)) return ERR_INVALID;
    return (double)node_command(wasm_node(), &command, wasm_usec(now_ms));
}
