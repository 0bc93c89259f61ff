/* tree.h - the hash tree of a file: what its root is, how a leaf is proved, where the hashes are kept.
 * docs/protocol/files.md, "Tree". (Shape: RFC 6962, 2.1; the hashes are ours.)
 *
 * A file is cut into leaves of NODE_LEAF_BYTES, the last one shorter. Level 0 has one hash for each leaf,
 * each level above one for every two, and where one is left over it moves up as it is: leaf = H(0 | H(bytes))
 * node = H(1 | left | right)    root = H(2 | size, 8 bytes big-endian | top) with H = BLAKE2b-256 and 32 zero
 * bytes as the top of the empty file. So a root says the size too, and nothing passes for something else.
 *
 * The proof of a leaf: the hashes beside its path, from the leaf up, without the levels where nothing is
 * beside it. A shell keeps the hashes of a file in one side file of tree_positions(size) x TREE_HASH_BYTES,
 * all of level 0 first: the holder writes what tree_add gives, a receiver the proofs that came with the
 * leaves; the proof of a leaf is then read from where tree_siblings says.
 *
 * Rules: pure, nothing allocates; size <= TREE_SIZE_MAX and leaf < tree_leaves(size) are the caller's duty
 * (asserted). */
#ifndef CORE_TREE_H
#define CORE_TREE_H

#include "core/node.h"

enum {
    TREE_HASH_BYTES = HASH_BYTES,
    TREE_LEVELS_MAX = 24, /* levels below the top: 2^24 leaves */
    TREE_PROOF_BYTES_MAX = TREE_LEVELS_MAX * TREE_HASH_BYTES,
    TREE_NODES_MAX = TREE_LEVELS_MAX + 1, /* that one leaf makes known */
};
#define TREE_SIZE_MAX ((uint64_t)1 << 40)

/* 0 for the empty file. */
uint32_t tree_leaves(uint64_t size);
size_t tree_leaf_bytes(uint64_t size, uint32_t leaf);
size_t tree_proof_bytes(uint64_t size, uint32_t leaf);

/* How many hashes a side file has. */
uint64_t tree_positions(uint64_t size);
/* Where in the side file the hashes of the leaf's proof stand, in the order of the proof; how many. */
unsigned tree_siblings(uint64_t size, uint32_t leaf, uint64_t positions[TREE_LEVELS_MAX]);

/* Whether `bytes` are this leaf of the file with this root and size. */
bool tree_verify(const struct crypto *crypto, const uint8_t root[HASH_BYTES], uint64_t size, uint32_t leaf,
                 slice bytes, slice proof);

/* Hashing a file that streams by. */
struct tree_builder {
    uint64_t size;
    uint32_t next; /* leaf */
    uint8_t left[TREE_LEVELS_MAX + 1]
                [HASH_BYTES]; /* by level: waits for its right neighbour; last: the top */
};
struct tree_node {
    uint64_t position;
    uint8_t hash[HASH_BYTES];
};

void tree_begin(struct tree_builder *b, uint64_t size);
/* The next leaf; the hashes that are known by it go to their positions in the side file. ERR_INVALID: too
 * many or too few bytes for the size that was told (the file has changed meanwhile). */
int tree_add(struct tree_builder *b, const struct crypto *crypto, slice bytes,
             struct tree_node out_nodes[TREE_NODES_MAX], unsigned *out_count) BASE_CHECKED;
/* After the last leaf (ERR_WRONG_STATE before it). */
int tree_root(const struct tree_builder *b, const struct crypto *crypto,
              uint8_t out_root[HASH_BYTES]) BASE_CHECKED;

#endif
