/* The hash tree of a file is what docs/protocol/files.md says, and only the right leaf at the right place of
 * the right file passes. Checked against a second way to compute it: by recursion, from the top. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/leaves.h"
#include "core/tree.h"
#include "crypto/native.h"

enum { LEAVES_MAX = 37 };

static uint8_t *content; /* LEAVES_MAX leaves */

static void hash(const uint8_t *input, size_t len, uint8_t out[32])
{
    crypto_native()->hash(NULL, out, 32, slice_of(input, len));
}

/* RFC 6962, 2.1: the left side takes the largest power of two below the count. */
static void top_of(const uint8_t *bytes, uint64_t size, uint8_t out[32])
{
    uint64_t count = (size + 65535) / 65536, left = 1;
    uint8_t input[65] = {count == 1 ? 0 : 1};
    if (count == 1) {
        hash(bytes, size, input + 1);
        hash(input, 33, out);
        return;
    }
    while (left * 2 < count)
        left *= 2;
    top_of(bytes, left * 65536, input + 1);
    top_of(bytes + left * 65536, size - left * 65536, input + 33);
    hash(input, 65, out);
}

static void root_of(const uint8_t *bytes, uint64_t size, uint8_t out[32])
{
    uint8_t input[41] = {2};
    for (int i = 0; i < 8; i++)
        input[8 - i] = (uint8_t)(size >> (8 * i));
    if (size > 0) top_of(bytes, size, input + 9);
    hash(input, 41, out);
}

/* Streams the file through a builder and keeps the side file. */
static uint8_t *side_of(uint64_t size, uint8_t root[32])
{
    struct tree_builder b;
    struct tree_node nodes[TREE_NODES_MAX];
    uint64_t positions = tree_positions(size), written = 0;
    uint8_t *side = calloc(positions + 1, 32);
    tree_begin(&b, size);
    for (uint32_t i = 0; i < tree_leaves(size); i++) {
        unsigned count;
        slice leaf = slice_of(content + (size_t)i * NODE_LEAF_BYTES, tree_leaf_bytes(size, i));
        assert_int_equal(tree_root(&b, crypto_native(), root), ERR_WRONG_STATE);
        assert_int_equal(tree_add(&b, crypto_native(), leaf, nodes, &count), OK);
        for (unsigned k = 0; k < count; k++, written++) {
            assert_true(nodes[k].position < positions);
            memcpy(side + nodes[k].position * 32, nodes[k].hash, 32);
        }
    }
    assert_int_equal(written, positions); /* each once */
    assert_int_equal(tree_root(&b, crypto_native(), root), OK);
    return side;
}

static slice proof_of(const uint8_t *side, uint64_t size, uint32_t leaf, uint8_t out[TREE_PROOF_BYTES_MAX])
{
    uint64_t positions[TREE_LEVELS_MAX];
    unsigned count = tree_siblings(size, leaf, positions);
    for (unsigned k = 0; k < count; k++)
        memcpy(out + (size_t)k * 32, side + positions[k] * 32, 32);
    assert_int_equal(tree_proof_bytes(size, leaf), (size_t)count * 32);
    return slice_of(out, (size_t)count * 32);
}

static bool verify(const uint8_t *root, uint64_t size, uint32_t leaf, slice bytes, slice proof)
{
    return tree_verify(crypto_native(), root, size, leaf, bytes, proof);
}

static void the_root_of_every_size_is_that_of_the_definition(void **state)
{
    (void)state;
    for (uint64_t leaves = 0; leaves <= LEAVES_MAX; leaves++) {
        for (int around = -1; around <= 1; around++) {
            uint64_t size = leaves * NODE_LEAF_BYTES + (uint64_t)around;
            if (size > LEAVES_MAX * (uint64_t)NODE_LEAF_BYTES) continue; /* also -1 of nothing */
            uint8_t root[32], expected[32];
            free(side_of(size, root));
            root_of(content, size, expected);
            assert_memory_equal(root, expected, 32);
        }
    }
}

static void each_leaf_is_proved_by_its_siblings_and_no_other_is(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 65535, 65536, 65537, 3 * 65536, 7 * 65536 - 1, 20 * 65536 + 5};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint64_t size = sizes[s];
        uint8_t root[32], proof[TREE_PROOF_BYTES_MAX], wrong[TREE_PROOF_BYTES_MAX];
        uint8_t *side = side_of(size, root);
        for (uint32_t i = 0; i < tree_leaves(size); i++) {
            slice bytes = slice_of(content + (size_t)i * NODE_LEAF_BYTES, tree_leaf_bytes(size, i));
            slice right = proof_of(side, size, i, proof);
            assert_true(verify(root, size, i, bytes, right));
            for (uint32_t k = 0; k < tree_leaves(size); k++)
                assert_true(k == i || !verify(root, size, k, bytes, right));
            assert_false(verify(root, size, i, slice_sub(bytes, 0, bytes.len - 1), right));
            assert_false(verify(root, size, i, slice_sub(bytes, 1, bytes.len), right));
            for (size_t k = 0; k < right.len; k += 32) {
                memcpy(wrong, proof, right.len);
                wrong[k + i % 32] ^= 1;
                assert_false(verify(root, size, i, bytes, slice_of(wrong, right.len)));
            }
            if (right.len) assert_false(verify(root, size, i, bytes, slice_sub(right, 32, right.len)));
            content[(size_t)i * NODE_LEAF_BYTES] ^= 0x80;
            assert_false(verify(root, size, i, bytes, right));
            content[(size_t)i * NODE_LEAF_BYTES] ^= 0x80;
        }
        free(side);
    }
}

static void a_root_says_the_size(void **state)
{
    (void)state;
    uint8_t root[32], other[32], proof[TREE_PROOF_BYTES_MAX];
    uint64_t size = 5 * (uint64_t)NODE_LEAF_BYTES;
    uint8_t *side = side_of(size, root);
    slice first = slice_of(content, NODE_LEAF_BYTES), right = proof_of(side, size, 0, proof);
    assert_true(verify(root, size, 0, first, right));
    assert_int_equal(tree_proof_bytes(size, 0), tree_proof_bytes(size - 1, 0));
    assert_false(verify(root, size - 1, 0, first, right)); /* same shape, last leaf shorter */
    free(side);
    free(side_of(0, root));
    free(side_of(1, other));
    assert_memory_not_equal(root, other, 32);
}

static void a_file_that_changes_while_it_is_hashed_is_noticed(void **state)
{
    (void)state;
    struct tree_builder b;
    struct tree_node nodes[TREE_NODES_MAX];
    unsigned count;
    slice leaf = slice_of(content, NODE_LEAF_BYTES);
    tree_begin(&b, NODE_LEAF_BYTES + 10);
    assert_int_equal(tree_add(&b, crypto_native(), slice_sub(leaf, 0, 10), nodes, &count), ERR_INVALID);
    assert_int_equal(tree_add(&b, crypto_native(), leaf, nodes, &count), OK);
    assert_int_equal(tree_add(&b, crypto_native(), leaf, nodes, &count), ERR_INVALID);
    assert_int_equal(tree_add(&b, crypto_native(), slice_sub(leaf, 0, 10), nodes, &count), OK);
    assert_int_equal(tree_add(&b, crypto_native(), slice_sub(leaf, 0, 10), nodes, &count), ERR_INVALID);
}

/* 2^40 bytes cannot be hashed here, but one path through such a tree can. */
static void the_largest_file_has_proofs_of_24_hashes(void **state)
{
    (void)state;
    uint64_t size = TREE_SIZE_MAX, positions[TREE_LEVELS_MAX];
    assert_int_equal(tree_leaves(size), 1 << 24);
    assert_int_equal(tree_positions(size), (1 << 25) - 1);
    static const uint32_t leaves[] = {0, 1, 0x800000, 0xABCDEF, 0xFFFFFF};
    for (size_t n = 0; n < sizeof leaves / sizeof *leaves; n++) {
        uint8_t proof[TREE_PROOF_BYTES_MAX], input[65] = {0}, top[32], root[32];
        assert_int_equal(tree_siblings(size, leaves[n], positions), 24);
        for (int k = 0; k < 24; k++)
            assert_true(positions[k] < tree_positions(size) && (k == 0 || positions[k] > positions[k - 1]));
        memset(proof, 0x5A, sizeof proof);
        hash(content, NODE_LEAF_BYTES, input + 1);
        hash(input, 33, top);
        for (int k = 0; k < 24; k++) {
            bool right = (leaves[n] >> k) & 1;
            input[0] = 1;
            memcpy(input + (right ? 33 : 1), top, 32);
            memset(input + (right ? 1 : 33), 0x5A, 32);
            hash(input, 65, top);
        }
        uint8_t last[41] = {2, 0, 0, 1}; /* 2^40, big-endian */
        memcpy(last + 9, top, 32);
        hash(last, 41, root);
        slice bytes = slice_of(content, NODE_LEAF_BYTES), whole = slice_of(proof, sizeof proof);
        assert_true(verify(root, size, leaves[n], bytes, whole));
        assert_false(verify(root, size, leaves[n] ^ 1, bytes, whole));
    }
}

static uint32_t dice(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 12; /* the low bits repeat too soon */
}

static void a_set_of_leaves_is_an_array_of_flags(void **state)
{
    (void)state;
    static const uint32_t totals[] = {1, 63, 64, 65, 4096, 4097, 20000};
    uint32_t seed = 7;
    for (size_t t = 0; t < sizeof totals / sizeof *totals; t++) {
        uint32_t total = totals[t];
        bool *plain[2] = {calloc(total, 1), calloc(total, 1)};
        struct leaves sets[2];
        for (int k = 0; k < 2; k++) {
            assert_int_equal(leaves_init(&sets[k], &allocator_libc, total, k == 1), OK);
            memset(plain[k], k, total);
        }
        for (int step = 0; step < 3000; step++) {
            uint32_t k = dice(&seed) % 2, leaf = dice(&seed) % total;
            bool on = dice(&seed) % 8 == 0; /* the sets stay thin */
            bool changed = on ? leaves_add(&sets[k], leaf) : leaves_remove(&sets[k], leaf);
            assert_int_equal(changed, plain[k][leaf] != on);
            plain[k][leaf] = on;
            uint32_t from = dice(&seed) % (total + 2), hit = from, both = from, gap = from;
            while (hit < total && !plain[k][hit])
                hit++;
            while (both < total && !(plain[0][both] && plain[1][both]))
                both++;
            while (gap < total && plain[k][gap])
                gap++;
            assert_int_equal(leaves_next(&sets[k], NULL, from), hit < total ? hit : LEAVES_NONE);
            assert_int_equal(leaves_next(&sets[0], &sets[1], from), both < total ? both : LEAVES_NONE);
            assert_int_equal(leaves_next_gap(&sets[k], from), gap < total ? gap : total);
            assert_int_equal(leaves_has(&sets[k], leaf), on);
        }
        for (int k = 0; k < 2; k++) {
            uint32_t count = 0;
            for (uint32_t i = 0; i < total; i++)
                count += plain[k][i];
            assert_int_equal(sets[k].count, count);
            leaves_deinit(&sets[k], &allocator_libc);
            free(plain[k]);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    uint32_t seed = 1;
    content = malloc((size_t)LEAVES_MAX * NODE_LEAF_BYTES);
    for (size_t i = 0; i < (size_t)LEAVES_MAX * NODE_LEAF_BYTES; i++)
        content[i] = (uint8_t)(dice(&seed) >> 8);
    return crypto_native_start();
}

static int teardown(void **state)
{
    (void)state;
    free(content);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_of_every_size_is_that_of_the_definition),
        cmocka_unit_test(each_leaf_is_proved_by_its_siblings_and_no_other_is),
        cmocka_unit_test(a_root_says_the_size),
        cmocka_unit_test(a_file_that_changes_while_it_is_hashed_is_noticed),
        cmocka_unit_test(the_largest_file_has_proofs_of_24_hashes),
        cmocka_unit_test(a_set_of_leaves_is_an_array_of_flags),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
