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

/* [device, account, role, path, from, seq] */
static void put_ledger_row(struct writer *w, const struct ledger_row *row)
{
    cbor_put_array(w, 6);
    cbor_put_bytes(w, slice_of(row->device, ID_BYTES));
    cbor_put_bytes(w, row->account);
    cbor_put_uint(w, (uint64_t)row->role);
    cbor_put_uint(w, (uint64_t)row->path);
    cbor_put_uint(w, row->from);
    cbor_put_uint(w, row->seq);
}

enum { ROWS_MAX = 128 }; /* at one time; the frame stays small */

WASM_EXPORT(w_ledger) int w_ledger(uint32_t len, uint32_t start);
/* Input: a channel's id. Output [own entries that there are, [device, account, role, path, from, seq] ...]:
 * the rows from `start` on, at most ROWS_MAX. */
int w_ledger(uint32_t len, uint32_t start)
{
    struct writer w = writer_of(wasm.output, WASM_BUFFER_BYTES);
    struct ledger_row rows[ROWS_MAX];
    slice channel = wasm_input(len);
    uint64_t own = 0;
    uint32_t count = 0;
    if (channel.len != ID_BYTES) return ERR_INVALID;
    while (count < ROWS_MAX && node_ledger(wasm_node(), channel.ptr, start + count, &rows[count], &own))
        count++;
    cbor_put_array(&w, 1 + (uint64_t)count);
    cbor_put_uint(&w, own);
    for (uint32_t i = 0; i < count; i++)
        put_ledger_row(&w, &rows[i]);
    if (w.failed) wasm_trap();
    return (int)w.len;
}
