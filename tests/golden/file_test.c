/* file_test.c - hash trees of files: roots, side files and proofs are those of the vectors, and nothing else
 * is proved. Offers of files: the good ones are read and written, the bad ones refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "core/offer.h"
#include "core/tree.h"
#include "crypto/native.h"
#include "vectors.h"

static const struct crypto *crypto;

/* The bytes from..from + length of a file of the vectors: see the rule there. */
static uint8_t *file_bytes(uint64_t from, size_t length)
{
    uint8_t *bytes = malloc(length + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++) {
        uint64_t at = from + i;
        bytes[i] = (uint8_t)(at ^ (at >> 8) ^ (at >> 16));
    }
    return bytes;
}

static void hash_the_file(uint64_t size, const json_t *item)
{
    const json_t *hashes = vector_get(item, "hashes");
    struct tree_builder builder;
    struct tree_node nodes[TREE_NODES_MAX];
    uint8_t root[HASH_BYTES];
    uint64_t known = 0;
    unsigned count;
    tree_begin(&builder, size);
    for (uint32_t leaf = 0; leaf < tree_leaves(size); leaf++) {
        size_t length = tree_leaf_bytes(size, leaf);
        uint8_t *bytes = file_bytes((uint64_t)leaf * NODE_LEAF_BYTES, length);
        assert_int_equal(tree_add(&builder, crypto, slice_of(bytes, length), nodes, &count), OK);
        free(bytes);
        for (unsigned i = 0; i < count; i++, known++) {
            slice want = slice_text(json_string_value(json_array_get(hashes, (size_t)nodes[i].position)));
            char hex[2 * HASH_BYTES + 1];
            hex_encode(slice_of(nodes[i].hash, HASH_BYTES), hex);
            assert_true(slice_equal(slice_text(hex), want));
        }
    }
    assert_int_equal(known, json_array_size(hashes)); /* each of them once, or a root would differ */
    assert_int_equal(tree_positions(size), json_array_size(hashes));
    assert_int_equal(tree_root(&builder, crypto, root), OK);
    assert_memory_equal(root, vector_bytes(item, "root").ptr, sizeof root);
}

static void check_proof(uint64_t size, const json_t *file, const json_t *item)
{
    uint32_t leaf = (uint32_t)vector_number(item, "leaf");
    size_t length = tree_leaf_bytes(size, leaf), i;
    uint8_t *bytes = file_bytes((uint64_t)leaf * NODE_LEAF_BYTES, length);
    slice proof = vector_bytes(item, "proof");
    assert_true(
        tree_verify(crypto, vector_bytes(file, "root").ptr, size, leaf, slice_of(bytes, length), proof));
    free(bytes);
    uint64_t positions[TREE_LEVELS_MAX];
    unsigned count = tree_siblings(size, leaf, positions);
    assert_int_equal(count, json_array_size(vector_get(item, "positions")));
    assert_int_equal(tree_proof_bytes(size, leaf), proof.len);
    json_t *position;
    json_array_foreach(vector_get(item, "positions"), i, position)
    {
        assert_int_equal(positions[i], (uint64_t)json_integer_value(position));
    }
}

static void files_have_the_trees_of_the_vectors(void **state)
{
    (void)state;
    size_t i, j;
    json_t *item, *proof, *files = vector_get(vectors_open("file.json"), "files");
    assert_true(json_array_size(files) > 0);
    json_array_foreach(files, i, item)
    {
        uint64_t size = vector_number(item, "size");
        hash_the_file(size, item);
        json_array_foreach(vector_get(item, "proofs"), j, proof)
        {
            check_proof(size, item, proof);
        }
    }
}

static void nothing_else_is_proved(void **state)
{
    (void)state;
    size_t i;
    json_t *item, *bad = vector_get(vectors_open("file.json"), "bad");
    assert_true(json_array_size(bad) > 0);
    json_array_foreach(bad, i, item)
    {
        size_t length = (size_t)vector_number(item, "length");
        uint8_t *bytes = file_bytes(vector_number(item, "from"), length);
        if (json_object_get(item, "changed")) bytes[vector_number(item, "changed")] ^= 1;
        if (tree_verify(crypto, vector_bytes(item, "root").ptr, vector_number(item, "size"),
                        (uint32_t)vector_number(item, "leaf"), slice_of(bytes, length),
                        vector_bytes(item, "proof")))
            fail_msg("proved: %s", vector_text(item, "name"));
        free(bytes);
    }
}

static void offers_are_read_and_written_alike(void **state)
{
    (void)state;
    static uint8_t again[NODE_BODY_BYTES_MAX];
    static struct offer_file files[OFFER_FILES_MAX];
    size_t i, k;
    json_t *item, *row, *list = vector_get(vectors_open("file.json"), "offers");
    json_array_foreach(list, i, item)
    {
        json_t *rows = vector_get(item, "files");
        struct offer_file file;
        struct offer offer;
        slice bytes = vector_bytes(item, "hex");
        assert_int_equal(offer_read(bytes, &offer), OK);
        json_array_foreach(rows, k, row)
        {
            files[k] = (struct offer_file){.path = slice_text(vector_text(row, "path")),
                                           .size = vector_number(row, "size"),
                                           .type = slice_text(vector_text(row, "type")),
                                           .root = vector_bytes(row, "root").ptr};
            assert_true(offer_next(&offer, &file));
            assert_true(slice_equal(file.path, files[k].path) && slice_equal(file.type, files[k].type));
            assert_int_equal(file.size, files[k].size);
            assert_memory_equal(file.root, files[k].root, ID_BYTES);
        }
        assert_false(offer_next(&offer, &file));
        struct writer w = writer_of(again, sizeof again);
        assert_int_equal(offer_write(&w, files, k), OK);
        assert_true(slice_equal(writer_slice(&w), bytes));
    }
    list = vector_get(vectors_open("file.json"), "longer_offers");
    json_array_foreach(list, i, item)
    {
        struct offer offer;
        assert_int_equal(offer_read(vector_bytes(item, "hex"), &offer), OK);
        assert_int_equal(offer.left, vector_number(item, "files"));
    }
}

static void bad_offers_are_refused(void **state)
{
    (void)state;
    size_t i;
    json_t *item, *bad = vector_get(vectors_open("file.json"), "bad_offers");
    assert_true(json_array_size(bad) > 0);
    json_array_foreach(bad, i, item)
    {
        struct offer offer;
        int rc = offer_read(vector_bytes(item, "hex"), &offer);
        if (rc == OK || strcmp(err_name(rc), vector_text(item, "error")) != 0)
            fail_msg("%s: %s", vector_text(item, "name"), err_name(rc));
    }
}

int main(void)
{
    if (crypto_native_start() != OK) return 1;
    crypto = crypto_native();
    const struct CMUnitTest tests[] = {
        GOLDEN(files_have_the_trees_of_the_vectors), GOLDEN(nothing_else_is_proved),
        GOLDEN(offers_are_read_and_written_alike), GOLDEN(bad_offers_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
