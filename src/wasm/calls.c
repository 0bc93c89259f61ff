/* The inputs of the node: life, links, commands, time. */
#include "wasm.h"

#include "base/cbor.h"

#include <string.h>

struct wasm wasm;

slice wasm_input(uint32_t len)
{
    if (len > WASM_BUFFER_BYTES) wasm_trap();
    return slice_of(wasm.input, len);
}

struct node *wasm_node(void)
{
    if (!wasm.node) wasm_trap();
    return wasm.node;
}

/* An id, or NULL for the empty string; another length fails the reader. */
static const uint8_t *optional_id(struct cbor_reader *r)
{
    slice id = cbor_bytes(r, ID_BYTES);
    if (id.len == 0) return NULL;
    if (id.len != ID_BYTES) r->failed = true;
    return id.ptr;
}

WASM_EXPORT(w_create) int w_create(uint32_t len, double now_ms);
/* Input [identity seed, random seed, role, direct patience in ms]. */
int w_create(uint32_t len, double now_ms)
{
    if (wasm.node) return ERR_WRONG_STATE;
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    cbor_array(&r, 4);
    const uint8_t *identity_seed = cbor_fixed(&r, KEY_BYTES);
    const uint8_t *random_seed = cbor_fixed(&r, KEY_BYTES);
    uint64_t role = cbor_uint(&r, ROLE_REPLICA);
    uint64_t patience_ms = cbor_uint(&r, UINT32_MAX);
    if (!cbor_done(&r)) return ERR_INVALID;
    struct node_config config = {.role = (enum node_role)role,
                                 .direct_patience_us = patience_ms * MILLISECONDS};
    memcpy(config.identity_seed, identity_seed, KEY_BYTES);
    memcpy(config.random_seed, random_seed, KEY_BYTES);
    int result = node_create(&config, &allocator_libc, &crypto_imported, wasm_usec(now_ms), &wasm.node);
    memset(&config, 0, sizeof config);
    memset(wasm.input, 0, len);
    return result;
}

WASM_EXPORT(w_destroy) void w_destroy(void);
void w_destroy(void)
{
    node_destroy(wasm.node);
    memset(&wasm, 0, sizeof wasm);
}

WASM_EXPORT(w_device) uint32_t w_device(void);
/* Output: this device's id. */
uint32_t w_device(void)
{
    memcpy(wasm.output, node_device(wasm_node()), ID_BYTES);
    return ID_BYTES;
}

WASM_EXPORT(w_restore) int w_restore(uint32_t len, double now_ms);
/* Input: the record. */
int w_restore(uint32_t len, double now_ms)
{
    return node_restore(wasm_node(), wasm_input(len), wasm_usec(now_ms));
}

WASM_EXPORT(w_link_up) int w_link_up(uint32_t link, uint32_t len, double now_ms);
/* Input [path, initiator, expected device or empty, binding]. */
int w_link_up(uint32_t link, uint32_t len, double now_ms)
{
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    cbor_array(&r, 4);
    struct node_link info = {0};
    info.path = (enum path)cbor_uint(&r, PATH_LAN);
    info.initiator = cbor_uint(&r, 1) == 1;
    info.expected = optional_id(&r);
    info.binding = cbor_bytes(&r, len);
    if (!cbor_done(&r)) return ERR_INVALID;
    return node_link_up(wasm_node(), link, &info, wasm_usec(now_ms));
}

WASM_EXPORT(w_link_down) void w_link_down(uint32_t link, double now_ms);
void w_link_down(uint32_t link, double now_ms)
{
    node_link_down(wasm_node(), link, wasm_usec(now_ms));
}

WASM_EXPORT(w_receive) int w_receive(uint32_t link, uint32_t len, double now_ms);
/* Input: the bytes. w_used says how many of them were consumed, also after an error. */
int w_receive(uint32_t link, uint32_t len, double now_ms)
{
    size_t used = 0;
    int result = node_receive(wasm_node(), link, wasm_input(len), wasm_usec(now_ms), &used);
    wasm.used = (uint32_t)used;
    return result;
}

WASM_EXPORT(w_used) uint32_t w_used(void);
uint32_t w_used(void)
{
    return wasm.used;
}

WASM_EXPORT(w_transmit) uint32_t w_transmit(uint32_t link, uint32_t room, double now_ms);
/* Output: bytes for the link; gives their number. */
uint32_t w_transmit(uint32_t link, uint32_t room, double now_ms)
{
    if (room < NODE_TRANSMIT_ROOM) return 0;
    if (room > WASM_BUFFER_BYTES) room = WASM_BUFFER_BYTES;
    return (uint32_t)node_transmit(wasm_node(), link, wasm.output, room, wasm_usec(now_ms));
}

WASM_EXPORT(w_command) double w_command(uint32_t len, double now_ms);
/* Input [kind, channel or empty, device or empty, bytes, entry kind, path, online]. A token, 0 or an error.
 */
double w_command(uint32_t len, double now_ms)
{
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    cbor_array(&r, 7);
    struct command command = {0};
    command.kind = (enum command_kind)cbor_uint(&r, COMMAND_NETWORK);
    command.channel = optional_id(&r);
    command.device = optional_id(&r);
    command.bytes = cbor_bytes(&r, len);
    command.entry_kind = (uint32_t)cbor_uint(&r, UINT32_MAX);
    command.path = (enum path)cbor_uint(&r, PATH_LAN);
    command.online = cbor_uint(&r, 1) == 1;
    if (!cbor_done(&r)) return ERR_INVALID;
    return (double)node_command(wasm_node(), &command, wasm_usec(now_ms));
}

WASM_EXPORT(w_done) void w_done(double token, int result, uint32_t len, double now_ms);
/* Input: the record, after a READ. */
void w_done(double token, int result, uint32_t len, double now_ms)
{
    node_done(wasm_node(), (uint64_t)token, result, wasm_input(len), wasm_usec(now_ms));
}

WASM_EXPORT(w_tick) void w_tick(double now_ms);
void w_tick(double now_ms)
{
    node_tick(wasm_node(), wasm_usec(now_ms));
}

WASM_EXPORT(w_deadline) double w_deadline(void);
/* When w_tick is due, rounded up to whole milliseconds; negative for never. */
double w_deadline(void)
{
    usec deadline = node_deadline(wasm_node());
    return deadline == UINT64_MAX ? -1 : (double)((deadline + 999) / 1000);
}
