/* Hash trees of files (core/tree.h): hashing while a file streams by, and where proofs are read. */
#include "wasm.h"

#include "core/tree.h"

#include <string.h>

/* Files that are being hashed at one time. */
enum { BUILDERS_MAX = 8 };

static struct {
    bool used;
    struct tree_builder tree;
} builders[BUILDERS_MAX];

static struct tree_builder *builder_at(uint32_t index)
{
    if (index >= BUILDERS_MAX || !builders[index].used) wasm_trap();
    return &builders[index].tree;
}

static bool size_fits(double size)
{
    return size >= 0 && size <= (double)TREE_SIZE_MAX;
}

WASM_EXPORT(w_tree_leaves) double w_tree_leaves(double size);
double w_tree_leaves(double size)
{
    return size_fits(size) ? (double)tree_leaves((uint64_t)size) : (double)(int)ERR_TOO_LARGE;
}

WASM_EXPORT(w_tree_positions) double w_tree_positions(double size);
double w_tree_positions(double size)
{
    return size_fits(size) ? (double)tree_positions((uint64_t)size) : (double)(int)ERR_TOO_LARGE;
}

WASM_EXPORT(w_tree_siblings) int w_tree_siblings(double size, double leaf);
/* Output: the positions of the leaf's proof, as an array. */
int w_tree_siblings(double size, double leaf)
{
    uint64_t positions[TREE_LEVELS_MAX];
    struct writer w = writer_of(wasm.output, WASM_BUFFER_BYTES);
    if (!size_fits(size)) return ERR_TOO_LARGE;
    if (!(leaf >= 0 && leaf < tree_leaves((uint64_t)size))) return ERR_INVALID;
    unsigned count = tree_siblings((uint64_t)size, (uint32_t)leaf, positions);
    cbor_put_array(&w, count);
    for (unsigned i = 0; i < count; i++)
        cbor_put_uint(&w, positions[i]);
    return (int)w.len;
}

WASM_EXPORT(w_tree_verify) int w_tree_verify(uint32_t len);
/* Input [root, size, leaf, bytes, proof]. 1 or 0, or an error. */
int w_tree_verify(uint32_t len)
{
    struct cbor_reader r = cbor_reader_of(wasm_input(len));
    cbor_array(&r, 5);
    const uint8_t *root = cbor_fixed(&r, ID_BYTES);
    uint64_t size = cbor_uint(&r, TREE_SIZE_MAX);
    uint64_t leaf = cbor_uint(&r, UINT32_MAX);
    slice bytes = cbor_bytes(&r, len);
    slice proof = cbor_bytes(&r, len);
    if (!cbor_done(&r) || leaf >= tree_leaves(size)) return ERR_INVALID;
    return tree_verify(&crypto_imported, root, size, (uint32_t)leaf, bytes, proof) ? 1 : 0;
}

WASM_EXPORT(w_tree_begin) int w_tree_begin(double size);
/* The number of the builder, to be given up by w_tree_drop. */
int w_tree_begin(double size)
{
    if (!size_fits(size)) return ERR_TOO_LARGE;
    for (int i = 0; i < BUILDERS_MAX; i++) {
        if (builders[i].used) continue;
        builders[i].used = true;
        tree_begin(&builders[i].tree, (uint64_t)size);
        return i;
    }
    return ERR_FULL;
}

WASM_EXPORT(w_tree_add) int w_tree_add(uint32_t builder, uint32_t len);
/* Input: the next leaf. Output [position, hash, ...]: what is to be kept for proofs. */
int w_tree_add(uint32_t builder, uint32_t len)
{
    struct tree_node nodes[TREE_NODES_MAX];
    struct writer w = writer_of(wasm.output, WASM_BUFFER_BYTES);
    unsigned count;
    int result = tree_add(builder_at(builder), &crypto_imported, wasm_input(len), nodes, &count);
    if (result < 0) return result;
    cbor_put_array(&w, 2 * (uint64_t)count);
    for (unsigned i = 0; i < count; i++) {
        cbor_put_uint(&w, nodes[i].position);
        cbor_put_bytes(&w, slice_of(nodes[i].hash, TREE_HASH_BYTES));
    }
    return (int)w.len;
}

WASM_EXPORT(w_tree_root) int w_tree_root(uint32_t builder);
/* Output: the root. */
int w_tree_root(uint32_t builder)
{
    int result = tree_root(builder_at(builder), &crypto_imported, wasm.output);
    return result < 0 ? result : ID_BYTES;
}

WASM_EXPORT(w_tree_drop) void w_tree_drop(uint32_t builder);
void w_tree_drop(uint32_t builder)
{
    (void)builder_at(builder);
    memset(&builders[builder], 0, sizeof builders[builder]);
}
