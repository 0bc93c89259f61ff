#include "core/tree.h"

#include <assert.h>
#include <string.h>

enum { DOMAIN_LEAF = 0, DOMAIN_NODE = 1, DOMAIN_ROOT = 2 };

uint32_t tree_leaves(uint64_t size)
{
    assert(size <= TREE_SIZE_MAX);
    return (uint32_t)((size + NODE_LEAF_BYTES - 1) / NODE_LEAF_BYTES);
}

size_t tree_leaf_bytes(uint64_t size, uint32_t leaf)
{
    assert(leaf < tree_leaves(size));
    uint64_t rest = size - (uint64_t)leaf * NODE_LEAF_BYTES;
    return rest < NODE_LEAF_BYTES ? (size_t)rest : NODE_LEAF_BYTES;
}

/* Hashes in the level above one of `width`. */
static uint32_t above(uint32_t width)
{
    return width / 2 + width % 2;
}

uint64_t tree_positions(uint64_t size)
{
    uint64_t count = 0;
    uint32_t width = tree_leaves(size);
    for (; width > 1; width = above(width))
        count += width;
    return count + width;
}

unsigned tree_siblings(uint64_t size, uint32_t leaf, uint64_t positions[TREE_LEVELS_MAX])
{
    unsigned count = 0;
    uint64_t base = 0;
    uint32_t at = leaf, width = tree_leaves(size);
    assert(leaf < width);
    for (; width > 1; at /= 2, width = above(width)) {
        if ((at ^ 1) < width) positions[count++] = base + (at ^ 1);
        base += width;
    }
    return count;
}

size_t tree_proof_bytes(uint64_t size, uint32_t leaf)
{
    uint64_t positions[TREE_LEVELS_MAX];
    return (size_t)tree_siblings(size, leaf, positions) * TREE_HASH_BYTES;
}

/* --- hashes --- */

static void hash_leaf(const struct crypto *c, slice bytes, uint8_t out[HASH_BYTES])
{
    uint8_t input[1 + HASH_BYTES] = {DOMAIN_LEAF};
    c->hash(c->context, input + 1, HASH_BYTES, bytes);
    c->hash(c->context, out, HASH_BYTES, slice_of(input, sizeof input));
}

static void hash_node(const struct crypto *c, const uint8_t *left, const uint8_t *right,
                      uint8_t out[HASH_BYTES])
{
    uint8_t input[1 + 2 * HASH_BYTES] = {DOMAIN_NODE};
    memcpy(input + 1, left, HASH_BYTES);
    memcpy(input + 1 + HASH_BYTES, right, HASH_BYTES);
    c->hash(c->context, out, HASH_BYTES, slice_of(input, sizeof input));
}

static void hash_root(const struct crypto *c, uint64_t size, const uint8_t *top, uint8_t out[HASH_BYTES])
{
    uint8_t input[1 + 8 + HASH_BYTES] = {DOMAIN_ROOT};
    for (int i = 0; i < 8; i++)
        input[1 + i] = (uint8_t)(size >> (8 * (7 - i)));
    memcpy(input + 9, top, HASH_BYTES);
    c->hash(c->context, out, HASH_BYTES, slice_of(input, sizeof input));
}

bool tree_verify(const struct crypto *crypto, const uint8_t root[HASH_BYTES], uint64_t size, uint32_t leaf,
                 slice bytes, slice proof)
{
    uint8_t hash[HASH_BYTES], computed[HASH_BYTES];
    uint32_t at = leaf, width = tree_leaves(size);
    if (bytes.len != tree_leaf_bytes(size, leaf) || proof.len != tree_proof_bytes(size, leaf)) return false;
    hash_leaf(crypto, bytes, hash);
    for (const uint8_t *beside = proof.ptr; width > 1; at /= 2, width = above(width)) {
        if ((at ^ 1) >= width) continue; /* left over: moves up as it is */
        if (at % 2)
            hash_node(crypto, beside, hash, hash);
        else
            hash_node(crypto, hash, beside, hash);
        beside += TREE_HASH_BYTES;
    }
    hash_root(crypto, size, hash, computed);
    return memcmp(computed, root, HASH_BYTES) == 0;
}

/* --- hashing a file that streams by --- */

void tree_begin(struct tree_builder *b, uint64_t size)
{
    assert(size <= TREE_SIZE_MAX);
    *b = (struct tree_builder){.size = size};
}

int tree_add(struct tree_builder *b, const struct crypto *crypto, slice bytes,
             struct tree_node out_nodes[TREE_NODES_MAX], unsigned *out_count)
{
    uint32_t width = tree_leaves(b->size), at = b->next;
    if (at >= width || bytes.len != tree_leaf_bytes(b->size, at)) return ERR_INVALID;
    uint8_t hash[HASH_BYTES];
    uint64_t base = 0;
    unsigned count = 0, level = 0;
    hash_leaf(crypto, bytes, hash);
    for (;; level++) {
        struct tree_node *node = &out_nodes[count++];
        node->position = base + at;
        memcpy(node->hash, hash, HASH_BYTES);
        if (width == 1) {
            memcpy(b->left[TREE_LEVELS_MAX], hash, HASH_BYTES);
            break;
        }
        if (at % 2) {
            hash_node(crypto, b->left[level], hash, hash);
        } else if (at + 1 < width) {
            memcpy(b->left[level], hash, HASH_BYTES);
            break;
        }
        base += width;
        at /= 2;
        width = above(width);
    }
    b->next++;
    *out_count = count;
    return OK;
}

int tree_root(const struct tree_builder *b, const struct crypto *crypto, uint8_t out_root[HASH_BYTES])
{
    if (b->next != tree_leaves(b->size)) return ERR_WRONG_STATE;
    hash_root(crypto, b->size, b->left[TREE_LEVELS_MAX], out_root);
    return OK;
}
