/* The outputs of the node: one action at a time, as one CBOR array in the output buffer. */
#include "wasm.h"

#include "base/cbor.h"

static void put_id(struct writer *w, const uint8_t *id)
{
    cbor_put_bytes(w, id ? slice_of(id, ID_BYTES) : SLICE_EMPTY);
}

/* [channel, author, seq, id, kind, time_ms, place_ms, body, account, from, path, arrived_ms] */
static void put_entry(struct writer *w, const struct entry_view *entry)
{
    cbor_put_array(w, 12);
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
}

static bool has_entry(enum action_kind kind)
{
    return kind == ACTION_STORE || kind == ACTION_READ || kind == ACTION_DELIVER;
}

WASM_EXPORT(w_next) uint32_t w_next(void);
/* The next action in the output, or 0 when there is none:
 * [kind, link, token, record, channel, device, account, seq, role, path, rtt in us, -result, text, entry];
 * the entry is an empty byte string where the kind has none. */
uint32_t w_next(void)
{
    struct action *a = &wasm.next;
    if (!node_next(wasm_node(), a)) return 0;
    struct writer w = writer_of(wasm.output, WASM_BUFFER_BYTES);
    cbor_put_array(&w, 14);
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
    cbor_put_uint(&w, a->result < 0 ? (uint64_t)-a->result : 0);
    cbor_put_bytes(&w, a->text);
    if (has_entry(a->kind)) {
        put_entry(&w, &a->entry);
    } else {
        cbor_put_bytes(&w, SLICE_EMPTY);
    }
    if (w.failed) wasm_trap(); /* record and body are bounded: node.h */
    return (uint32_t)w.len;
}
