/* The outputs of the node: one action at a time, as one CBOR array in the output buffer. */
#include "wasm.h"

static void put_id(struct writer *w, const uint8_t *id)
{
    cbor_put_bytes(w, id ? slice_of(id, ID_BYTES) : SLICE_EMPTY);
}

void wasm_put_entry(struct writer *w, const struct entry_view *entry)
{
    cbor_put_array(w, 14);
    put_id(w, entry->channel);
    put_id(w, entry->author);
    cbor_put_uint(w, entry->seq);
    put_id(w, entry->id);
    cbor_put_uint(w, entry->kind);
    cbor_put_uint(w, entry->time_ms);
    cbor_put_uint(w, entry->place_ms);
    cbor_put_bytes(w, entry->body);
    cbor_put_bytes(w, entry->account);
    put_id(w, entry->from);
    cbor_put_uint(w, (uint64_t)entry->path);
    cbor_put_uint(w, entry->arrived_ms);
    cbor_put_uint(w, entry->locked ? 1 : 0);
    cbor_put_uint(w, entry->hidden ? 2 : entry->withdrawn ? 1 : 0);
}

static void put_error(struct writer *w, int result)
{
    cbor_put_uint(w, result < 0 ? (uint64_t)-result : 0);
}

/* As w_command reads it. */
static void put_spec(struct writer *w, const struct channel_spec *spec)
{
    cbor_put_array(w, 7);
    cbor_put_uint(w, (uint64_t)spec->type);
    put_id(w, spec->authority);
    cbor_put_bytes(w, spec->name);
    put_id(w, spec->founder);
    cbor_put_bytes(w, spec->nonce ? slice_of(spec->nonce, NODE_NONCE_BYTES) : SLICE_EMPTY);
    cbor_put_bytes(w, spec->account);
    cbor_put_bytes(w, spec->other);
}

/* What only one or two kinds have, as an array of its own. */
static void put_rest(struct writer *w, const struct action *a)
{
    switch (a->kind) {
    case ACTION_STORE:
    case ACTION_READ:
    case ACTION_DELIVER: wasm_put_entry(w, &a->entry); break;
    case ACTION_CHANNEL:
        if (!a->spec) wasm_trap();
        put_spec(w, a->spec);
        break;
    case ACTION_SESSION:
        cbor_put_array(w, 4);
        cbor_put_bytes(w, a->session ? slice_of(a->session, NODE_SESSION_BYTES) : SLICE_EMPTY);
        cbor_put_uint(w, (uint64_t)a->state);
        cbor_put_uint(w, (uint64_t)a->reason);
        cbor_put_uint(w, a->until_ms);
        break;
    case ACTION_FILE_READ:
    case ACTION_FILE_WRITE:
        cbor_put_array(w, 3);
        put_id(w, a->root);
        cbor_put_uint(w, a->leaf);
        cbor_put_bytes(w, a->proof);
        break;
    case ACTION_FILE:
        cbor_put_array(w, 5);
        put_id(w, a->root);
        cbor_put_uint(w, (uint64_t)a->file_state);
        cbor_put_uint(w, a->leaves);
        cbor_put_uint(w, a->leaves_total);
        cbor_put_uint(w, a->sources);
        break;
    default: cbor_put_array(w, 0);
    }
}

WASM_EXPORT(w_next) uint32_t w_next(void);
/* The next action in the output, or 0 when there is none:
 * [kind, link, token, record, channel, device, account, seq, role, path, rtt in us, -result, text, from,
 * rest]; the rest is what put_rest writes for the kind. */
uint32_t w_next(void)
{
    struct action *a = &wasm.next;
    if (!node_next(wasm_node(), a)) return 0;
    struct writer w = writer_of(wasm.output, WASM_BUFFER_BYTES);
    cbor_put_array(&w, 15);
    cbor_put_uint(&w, (uint64_t)a->kind);
    cbor_put_uint(&w, a->link);
    cbor_put_uint(&w, a->token);
    cbor_put_bytes(&w, a->record);
    put_id(&w, a->channel);
    put_id(&w, a->device);
    cbor_put_bytes(&w, a->account);
    cbor_put_uint(&w, a->seq);
    cbor_put_uint(&w, (uint64_t)a->role);
    cbor_put_uint(&w, (uint64_t)a->path);
    cbor_put_uint(&w, a->rtt_us);
    put_error(&w, a->result);
    cbor_put_bytes(&w, a->text);
    cbor_put_uint(&w, a->from);
    put_rest(&w, a);
    if (w.failed) wasm_trap(); /* record and body are bounded: node.h */
    return (uint32_t)w.len;
}
