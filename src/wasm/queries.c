/* What can be asked of a node without changing it. */
#include "wasm.h"

WASM_EXPORT(w_view) int w_view(uint32_t len);
/* Input: the record of an entry. Output: the entry as it is to be shown, as in w_next. Gives its length, or
 * an error. */
int w_view(uint32_t len)
{
    struct entry_view view;
    int result = node_view(wasm_node(), wasm_input(len), &view);
    if (result < 0) return result;
    struct writer w = writer_of(wasm.output, WASM_BUFFER_BYTES);
    wasm_put_entry(&w, &view);
    if (w.failed) wasm_trap();
    return (int)w.len;
}

WASM_EXPORT(w_members) int w_members(uint32_t len);
/* Input: a channel's id. Output: the accounts that are members, as far as there is room; none of a public
 * one.
 */
int w_members(uint32_t len)
{
    struct writer w = writer_of(wasm.output, WASM_BUFFER_BYTES);
    slice channel = wasm_input(len), account;
    uint32_t count = 0;
    size_t bytes = 0;
    if (channel.len != ID_BYTES) return ERR_INVALID;
    while (node_member(wasm_node(), channel.ptr, count, &account)) {
        if (bytes + account.len + 16 > WASM_BUFFER_BYTES) break;
        bytes += account.len + 2;
        count++;
    }
    cbor_put_array(&w, count);
    for (uint32_t row = 0; row < count && node_member(wasm_node(), channel.ptr, row, &account); row++)
        cbor_put_bytes(&w, account);
    if (w.failed) wasm_trap();
    return (int)w.len;
}
