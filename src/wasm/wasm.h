/* wasm.h - what the files of the browser core share: one node for each instance, and two buffers.
 *
 * The host (client/node/core.ts) is JavaScript, which cannot pass structs. So every call takes and gives
 * 32-bit numbers, and doubles for times (milliseconds since 1970), tokens and seqs (below 2^53). What is
 * longer is one deterministic CBOR array (base/cbor.h): arguments in the input buffer, results in the output
 * buffer. Absent ids are empty byte strings. Errors are the negative codes of base/err.h.
 *
 * Rules: one thread; nothing is called back except the crypto imports; the buffers never move, but memory may
 * grow in any call, which detaches the host's views. The host is trusted as far as its own node goes: a call
 * before w_create, or a length beyond the buffer, traps. */
#ifndef WASM_WASM_H
#define WASM_WASM_H

#include "base/buffer.h"
#include "base/cbor.h"
#include "core/node.h"

enum { WASM_BUFFER_BYTES = 80 * 1024, WASM_TRACE_BYTES_MAX = 512 * 1024 };

#define WASM_EXPORT(name) __attribute__((export_name(#name), used))

struct wasm {
    struct node *node;
    uint32_t used;       /* of the last w_receive */
    struct buffer trace; /* what w_trace has not given yet */
    struct action next;  /* what w_next took last; its slices borrow from the node */
    uint8_t input[WASM_BUFFER_BYTES];
    uint8_t output[WASM_BUFFER_BYTES];
};

extern struct wasm wasm;

/* The crypto table whose entries are imports from the module "crypto". */
extern const struct crypto crypto_imported;

/* Traps with the name of the caller on the stack. */
_Noreturn void wasm_trap(void);

static inline usec wasm_usec(double ms)
{
    return ms > 0 ? (usec)(ms * 1000.0) : 0;
}

/* The first `len` bytes of the input buffer; traps when there are not as many. */
slice wasm_input(uint32_t len);
/* The node; traps before w_create. */
struct node *wasm_node(void);
/* An id of `len` bytes, or NULL for the empty string; another length fails the reader. */
const uint8_t *wasm_id(struct cbor_reader *r, size_t len);
/* A channel_spec as w_command describes it; false for []. */
bool wasm_spec(struct cbor_reader *r, struct channel_spec *out);
/* [channel, author, seq, id, kind, time_ms, place_ms, body, account, from, path, arrived_ms, locked,
 * withdrawn]
 */
void wasm_put_entry(struct writer *w, const struct entry_view *entry);

#endif
