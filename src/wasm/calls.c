/* The inputs of the node: life, links, time; commands are in commands.c. */
#include "wasm.h"

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

/* Milliseconds, up to a year. */
static usec duration(struct cbor_reader *r)
{
    return cbor_uint(r, (uint64_t)366 * 86400 * 1000) * MILLISECONDS;
}

static void keep_trace(void *context, slice piece)
{
    (void)context;
    buffer_put(&wasm.trace, piece); /* without room the trace ends here, for it fails stickily */
}

WASM_EXPORT(w_trace) uint32_t w_trace(void);
/* Output: the next piece of the trace; gives its length, 0 when there is none now. To be asked until then
 * after every call, also after the last. */
uint32_t w_trace(void)
{
    slice piece = slice_sub(buffer_slice(&wasm.trace), 0, WASM_BUFFER_BYTES);
    if (piece.len == 0) return 0;
    memcpy(wasm.output, piece.ptr, piece.len);
    buffer_consume(&wasm.trace, piece.len);
    return (uint32_t)piece.len;
}

WASM_EXPORT(w_create) int w_create(uint32_t len, double now_ms);
/* Input [identity seed, random seed, role, links of a channel, links in all, direct patience, age of an
 * epoch, session: answer, away, silence, trace]; the five before the last in ms, 0: the default of struct
 * node_config. trace 1: w_trace gives what goes into the node. */
int w_create(uint32_t len, double now_ms)
{
    if (wasm.node) return ERR_WRONG_STATE;
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    cbor_array(&r, 11);
    const uint8_t *identity_seed = cbor_fixed(&r, KEY_BYTES);
    const uint8_t *random_seed = cbor_fixed(&r, KEY_BYTES);
    struct node_config config = {.role = (enum node_role)cbor_uint(&r, ROLE_REPLICA)};
    config.channel_links_max = (uint32_t)cbor_uint(&r, NODE_LINKS_MAX);
    config.links_max = (uint32_t)cbor_uint(&r, NODE_LINKS_MAX);
    config.direct_patience_us = duration(&r);
    config.epoch_age_us = duration(&r);
    config.session_answer_us = duration(&r);
    config.session_away_us = duration(&r);
    config.session_silence_us = duration(&r);
    if (cbor_uint(&r, 1) == 1) config.trace = keep_trace;
    if (!cbor_done(&r)) return ERR_INVALID;
    memcpy(config.identity_seed, identity_seed, KEY_BYTES);
    memcpy(config.random_seed, random_seed, KEY_BYTES);
    buffer_init(&wasm.trace, &allocator_libc, WASM_TRACE_BYTES_MAX);
    int result = node_create(&config, &allocator_libc, &crypto_imported, wasm_usec(now_ms), &wasm.node);
    memset(&config, 0, sizeof config);
    memset(wasm.input, 0, len);
    return result;
}

WASM_EXPORT(w_destroy) void w_destroy(void);
void w_destroy(void)
{
    node_destroy(wasm.node);
    struct buffer rest = wasm.trace;
    memset(&wasm, 0, sizeof wasm);
    wasm.trace = rest; /* its end is still to be taken */
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
    info.expected = wasm_id(&r, ID_BYTES);
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
